/* Data sets made of files: where they lie, which file is which split. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "common/data/internal.h"

enum { MAX_PLACES = 8 };

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* "train.csv", "nltcs.train.data", "binarized_mnist_train.amat.gz", but not "training.csv" or "train-images...". */
static bool names_split(const char *file, const char *split)
{
    const size_t n = strlen(split);
    for (const char *p = file; (p = strstr(p, split)); p++)
        if ((p == file || strchr("._-", p[-1])) && p[n] == '.') return true;
    return false;
}

static bool begins_with(const char *file, const char *part) { return strncmp(file, part, strlen(part)) == 0; }

static bool same_but_gz(const char *a, const char *b)
{
    const size_t na = strlen(a), nb = strlen(b);
    return na + 3 == nb && memcmp(a, b, na) == 0 && strcmp(b + na, ".gz") == 0;
}

/* The one file of `folder` that matches; a plain file is preferred to its own .gz. name = "" where there is none. */
static tx_status find_file(const char *folder, bool (*match)(const char *, const char *), const char *part,
                           char path[TX_TEXT_MAX])
{
    char name[TX_TEXT_MAX] = "";
    DIR *dir = opendir(folder);
    if (!dir) return tx_fail(TX_ENOINPUT, "%s: the folder cannot be read", folder);
    tx_status status = TX_OK;
    for (struct dirent *e; status == TX_OK && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || !match(e->d_name, part) || same_but_gz(name, e->d_name)) continue;
        if (name[0] && !same_but_gz(e->d_name, name))
            status = tx_fail(TX_EDATA, "%s: expected one file of '%s', found '%s' and '%s'", folder, part, name,
                             e->d_name);
        tx_copy_text(name, sizeof name, e->d_name);
    }
    closedir(dir);
    path[0] = 0;
    if (status == TX_OK && name[0] && snprintf(path, TX_TEXT_MAX, "%s/%s", folder, name) >= TX_TEXT_MAX)
        status = tx_fail(TX_ENOINPUT, "%s/%s: a path of over %d bytes", folder, name, TX_TEXT_MAX - 1);
    return status;
}

static tx_status read_source(const char *path, tx_source *s)
{
    tx_copy_text(s->path, sizeof s->path, path);
    return tx_table_read(path, &s->table);
}

static tx_status read_images(const char *path, tx_source *s)
{
    TX_TRY(read_source(path, s));
    return s->table.dim > 1 ? TX_OK
                            : tx_fail(TX_EDATA, "%s: expected images, found one value a row, as labels have", path);
}

static tx_status read_labels(const char *folder, const char *part, tx_source *s, FILE *note)
{
    char path[TX_TEXT_MAX];
    tx_table t = {0};
    TX_TRY(find_file(folder, begins_with, part, path));
    if (!path[0]) {
        tx_note(note, "%s: no labels: no file %s*", folder, part);
        return TX_OK;
    }
    TX_TRY(tx_table_read(path, &t));
    tx_status status = TX_OK;
    if (t.n != s->table.n || t.dim != 1 || !t.u8)
        status = tx_fail(TX_EDATA, "%s: expected %zu labels 0..255, one for each row of %s, found %zu x %zu%s", path,
                         s->table.n, s->path, t.n, t.dim, t.u8 ? "" : " real values");
    else {
        s->label = t.u8;
        t.u8 = NULL;
    }
    tx_table_free(&t);
    return status;
}

/* MNIST's protocol: the last sixth of the training file (10000 of 60000) is the validation split. */
static tx_status load_pair(tx_dataset *d, const char *folder, const char *train, const char *test,
                           const tx_data_config *c, FILE *note)
{
    tx_source src[2] = {0};
    tx_status status = read_images(train, &src[0]);
    if (status == TX_OK) status = read_images(test, &src[1]);
    if (status == TX_OK) status = read_labels(folder, "train-labels", &src[0], note);
    if (status == TX_OK) status = read_labels(folder, "t10k-labels", &src[1], note);
    const size_t n = src[0].table.n, valid = n / 6;
    if (status == TX_OK && valid == 0)
        status = tx_fail(TX_EDATA, "%s: expected 6 rows or more, to cut a validation split, found %zu", train, n);
    const tx_cut cut[TX_N_SPLIT] = {{0, 0, n - valid}, {0, n - valid, valid}, {1, 0, src[1].table.n}};
    if (status == TX_OK) status = tx_dataset_build(d, c, src, 2, cut, note);
    tx_sources_free(src, 2);
    return status;
}

static tx_status load_three(tx_dataset *d, char path[TX_N_SPLIT][TX_TEXT_MAX], const tx_data_config *c, FILE *note)
{
    tx_source src[TX_N_SPLIT] = {0};
    tx_cut cut[TX_N_SPLIT];
    tx_status status = TX_OK;
    for (int s = 0; status == TX_OK && s < TX_N_SPLIT; s++) {
        status = read_source(path[s], &src[s]);
        cut[s] = (tx_cut){s, 0, src[s].table.n};
    }
    if (status == TX_OK) status = tx_dataset_build(d, c, src, TX_N_SPLIT, cut, note);
    tx_sources_free(src, TX_N_SPLIT);
    return status;
}

static tx_status load_single(tx_dataset *d, const char *path, const tx_data_config *c, FILE *note)
{
    tx_source src = {0};
    tx_status status = read_source(path, &src);
    const size_t n = src.table.n, tenth = n / 10;
    if (status == TX_OK && (tenth == 0 || n > UINT32_MAX))
        status = tx_fail(TX_EDATA, "%s: expected at least 10%s rows to split 80/10/10, found %zu", path,
                         n > 10 ? " and at most 4294967295" : "", n);
    const tx_cut cut[TX_N_SPLIT] = {{0, 0, n - 2 * tenth}, {0, n - 2 * tenth, tenth}, {0, n - tenth, tenth}};
    if (status == TX_OK) status = tx_dataset_build(d, c, &src, 1, cut, note);
    tx_sources_free(&src, 1);
    return status;
}

static tx_status load_folder(tx_dataset *d, const char *folder, const tx_data_config *c, FILE *note)
{
    char path[TX_N_SPLIT][TX_TEXT_MAX];
    TX_TRY(find_file(folder, begins_with, "train-images", path[TX_TRAIN]));
    TX_TRY(find_file(folder, begins_with, "t10k-images", path[TX_TEST]));
    if (path[TX_TRAIN][0] && path[TX_TEST][0]) return load_pair(d, folder, path[TX_TRAIN], path[TX_TEST], c, note);
    const bool lone[] = {path[TX_TRAIN][0] != 0, path[TX_TEST][0] != 0};
    for (int s = 0; s < TX_N_SPLIT; s++) {
        TX_TRY(find_file(folder, names_split, tx_split_name((tx_split)s), path[s]));
        if (!path[s][0] && (lone[0] || lone[1]))
            return tx_fail(TX_ENOINPUT, "%s: expected train-images* and t10k-images*, found only the %s", folder,
                           lone[0] ? "former" : "latter");
        if (!path[s][0])
            return tx_fail(
                TX_ENOINPUT,
                "%s: found no file of the %s split: expected train-images*, t10k-images* (and their labels), or "
                "[NAME.]{train,valid,test}.{data,csv,amat,npy,...}[.gz]",
                folder, tx_split_name((tx_split)s));
    }
    return load_three(d, path, c, note);
}

/* The base name without its extensions, in characters that are safe in paths. */
static void name_of(const char *path, char name[TX_NAME_MAX])
{
    char *full = realpath(path, NULL);
    const char *whole = full ? full : path, *base = strrchr(whole, '/');
    const bool folder = is_folder(path);
    char *dot;
    tx_copy_text(name, TX_NAME_MAX, base && base[1] ? base + 1 : "data");
    free(full);
    for (int i = 0; !folder && i < 2; i++)
        if ((dot = strrchr(name, '.')) && dot > name && (i == 0 || strcmp(dot, ".gz") != 0)) {
            const bool gz = strcmp(dot, ".gz") == 0;
            *dot = 0;
            if (!gz) break;
        }
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p)) *p = '_';
    if (name[0] == '.') name[0] = '_';
}

tx_status tx_load_path(tx_dataset *d, const char *path, const tx_data_config *c, FILE *note)
{
    char file[TX_TEXT_MAX], part[TX_N_SPLIT][TX_TEXT_MAX];
    const char *inner = tx_path_split(path, file);
    if (!d->name[0]) name_of(file, d->name);
    snprintf(d->source, sizeof d->source, "%s", path);
    if (is_folder(path)) return load_folder(d, path, c, note);
    /* Only regular files are looked into; what is none is refused by the reader. */
    struct stat st;
    bool splits = false;
    if (!inner && stat(path, &st) == 0 && S_ISREG(st.st_mode)) TX_TRY(tx_hdf5_has_splits(path, &splits));
    if (!splits) return load_single(d, path, c, note);
    for (int s = 0; s < TX_N_SPLIT; s++)
        if (snprintf(part[s], TX_TEXT_MAX, "%s#%s", path, tx_split_name((tx_split)s)) >= TX_TEXT_MAX)
            return tx_fail(TX_ENOINPUT, "%s: a path of over %d bytes", path, TX_TEXT_MAX - 1);
    return load_three(d, part, c, note);
}

/* Folders where a name is looked for, in order; with '_' and with '-'. */
static int places_of(const char *name, char place[MAX_PLACES][TX_TEXT_MAX])
{
    const char *data = getenv("TAXON_DATA");
    char dashed[TX_NAME_MAX];
    tx_copy_text(dashed, sizeof dashed, name);
    for (char *p = dashed; *p; p++)
        if (*p == '_') *p = '-';
    const char *const within[] = {"", "density/"}, *const spelt[] = {name, dashed};
    const int n_spelt = strcmp(name, dashed) ? 2 : 1;
    int n = 0;
    for (size_t w = 0; data && *data && w < TX_LEN(within); w++)
        for (int i = 0; i < n_spelt; i++) snprintf(place[n++], TX_TEXT_MAX, "%s/%s%s", data, within[w], spelt[i]);
    for (int i = 0; i < n_spelt; i++) snprintf(place[n++], TX_TEXT_MAX, "/usr/share/datasets/%s", spelt[i]);
    return n;
}

static tx_status not_found(const char *name, char place[MAX_PLACES][TX_TEXT_MAX], int n)
{
    const tx_set_ops *set = tx_set_find(name);
    const char *known[64] = {0}, *data = getenv("TAXON_DATA");
    char tried[700] = "";
    for (int i = 0, used = 0; i < n && used < (int)sizeof tried; i++)
        used += snprintf(tried + used, sizeof tried - (size_t)used, "%s%s", i ? ", " : "", place[i]);
    const char *unset = data && *data ? "" : "; TAXON_DATA is not set";
    if (set)
        return tx_fail(TX_ENOINPUT, "data set '%s' not found: tried %s%s. Expected %s", name, tried, unset, set->files);
    for (int i = 0; tx_set_list[i] && i < 63; i++) known[i] = tx_set_list[i]->name;
    const char *near = tx_nearest(name, known);
    return tx_fail(TX_ECONFIG, "unknown data set '%.100s': neither registered nor a folder (tried %s%s)%s%s%s", name,
                   tried, unset, near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static tx_status find_named(const char *name, char folder[TX_TEXT_MAX])
{
    char place[MAX_PLACES][TX_TEXT_MAX];
    if (strchr(name, '/') || name[0] == '.' || strlen(name) >= TX_NAME_MAX)
        return tx_fail(TX_ECONFIG, "data set name '%.100s': expected a plain name; give files and folders as path",
                       name);
    const int n = places_of(name, place);
    for (int i = 0; i < n; i++)
        if (is_folder(place[i])) {
            tx_copy_text(folder, TX_TEXT_MAX, place[i]);
            return TX_OK;
        }
    return not_found(name, place, n);
}

tx_status tx_load_named(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    char folder[TX_TEXT_MAX];
    TX_TRY(find_named(c->name, folder));
    tx_copy_text(d->name, sizeof d->name, c->name);
    return tx_load_path(d, folder, c, note);
}

tx_status tx_load_mnist(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    TX_TRY(tx_load_named(d, c, note));
    char name[TX_TEXT_MAX];
    snprintf(name, sizeof name, "binarized_%.100s", c->name);
    /* No such folder is no error: the static_binarised view then draws its own. */
    if (find_named(name, d->binarised) != TX_OK) d->binarised[0] = 0;
    return TX_OK;
}

tx_status tx_load_binarized_mnist(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    TX_TRY(tx_load_named(d, c, note));
    if (d->dim != 784) return tx_fail(TX_EDATA, "%s: expected rows of 784 values, found %zu", d->source, d->dim);
    d->height = d->width = 28;
    d->channel = 1;
    return TX_OK;
}
