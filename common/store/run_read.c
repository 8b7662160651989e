#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/parts.h"

enum { PATH = 4 * TX_NAME_MAX };

/** A text that must be there. */
static void need_text(tx_h5 *f, const char *object, const char *name, char *out, size_t size)
{
    char *text = tx_h5_get_text(f, object, name);
    if (!text && f->status == TX_OK)
        f->status = tx_fail(TX_EDATA, "%s: %s: expected a text as attribute '%s', found none", f->path, object, name);
    tx_copy_text(out, size, text ? text : "");
    free(text);
}

/** One of a list of names; -1 with a failure. */
static int need_choice(tx_h5 *f, const char *object, const char *name, int n, const char *(*name_of)(int))
{
    char text[TX_NAME_MAX];
    need_text(f, object, name, text, sizeof text);
    for (int i = 0; i < n; i++)
        if (strcmp(text, name_of(i)) == 0) return i;
    if (f->status == TX_OK) f->status = tx_fail(TX_EDATA, "%s: %s: unknown %s '%s'", f->path, object, name, text);
    return -1;
}

static const char *kind_of(int i) { return tx_kind_name((tx_kind)i); }
static const char *measure_of(int i) { return tx_measure_name((tx_measure)i); }

static json_t *json_of(tx_h5 *f, const char *object, char *text)
{
    json_error_t error;
    json_t *json = text ? json_loads(text, 0, &error) : NULL;
    if (!json && f->status == TX_OK)
        f->status = tx_fail(TX_EDATA, "%s: %s: expected JSON, found %s", f->path, object,
                            text ? error.text : "nothing");
    free(text);
    return json;
}

/** What lies beside an estimate, by name: a value an example. */
static const struct {
    const char *name;
    size_t offset;
    bool optional;
} per_example[] = {{"log_likelihood", offsetof(tx_estimate, log_likelihood), false},
                   {"stderr", offsetof(tx_estimate, std_error), true},
                   {"upper_bound", offsetof(tx_estimate, upper), true}};

/** Is this an array of n doubles? False with a failure. */
static bool is_doubles(tx_h5 *f, const char *path, size_t n)
{
    tx_shape shape;
    if (!tx_h5_shape(f, path, TX_H5_F64, &shape)) return false;
    if (shape.rank == 1 && shape.dim[0] == n) return true;
    f->status = tx_fail(TX_EDATA, "%s: %s: expected %zu value%s", f->path, path, n, tx_plural((long long)n));
    return false;
}

/** An array of n doubles, or NULL with a failure. */
static double *doubles_of(tx_h5 *f, const char *path, size_t n)
{
    return is_doubles(f, path, n) ? tx_h5_get(f, path, TX_H5_F64, NULL) : NULL;
}

/** The rows that the model drew, where `read`: levels are stored as bytes. */
static void read_rows(tx_h5 *f, const char *path, bool read, tx_estimate *e)
{
    bool bytes = e->measure == TX_COUNTING;
    tx_shape shape;
    if (!tx_h5_shape(f, path, bytes ? TX_H5_U8 : TX_H5_REAL, &shape)) return;
    if (shape.rank != 2 || shape.dim[0] != e->n) {
        f->status = tx_fail(TX_EDATA, "%s: %s: expected %zu row%s", f->path, path, e->n, tx_plural((long long)e->n));
        return;
    }
    void *stored = read ? tx_h5_get(f, path, bytes ? TX_H5_U8 : TX_H5_REAL, NULL) : NULL;
    if (!stored) return;
    e->dim = shape.dim[1];
    e->x = bytes ? tx_alloc(e->n * e->dim, sizeof *e->x) : stored;
    for (size_t i = 0; bytes && i < e->n * e->dim; i++) e->x[i] = (real)((const uint8_t *)stored)[i];
    if (bytes) free(stored);
}

/** Arrays that cannot be what they should are found whether or not they are read. */
static void read_arrays(tx_h5 *f, const char *group, bool read, tx_estimate *e)
{
    char path[PATH + 32];
    for (size_t i = 0; i < TX_LEN(per_example); i++) {
        snprintf(path, sizeof path, "%s/%s", group, per_example[i].name);
        if (per_example[i].optional && !tx_h5_has(f, path)) continue;
        if (read)
            *(double **)((char *)e + per_example[i].offset) = doubles_of(f, path, e->n);
        else
            is_doubles(f, path, e->n);
    }
    snprintf(path, sizeof path, "%s/x", group);
    if (tx_h5_has(f, path)) read_rows(f, path, read, e);
}

/** Schema 1.0 did not say it: the sign turns with that of the number, and a density bounds the code length from above.
 */
static tx_kind bits_kind_before(const tx_estimate *e)
{
    if (e->kind == TX_ESTIMATE || (e->kind == TX_EXACT && e->measure == TX_COUNTING)) return e->kind;
    return e->kind == TX_UPPER_BOUND ? TX_LOWER_BOUND : TX_UPPER_BOUND;
}

static void read_bits(tx_h5 *f, const char *path, tx_estimate *e)
{
    e->bits_per_dim = tx_h5_get_f64(f, path, "bits_per_dim");
    char *kind = tx_h5_get_text(f, path, "bits_kind");
    e->bits_kind = kind ? (tx_kind)need_choice(f, path, "bits_kind", TX_N_KIND, kind_of) : bits_kind_before(e);
    free(kind);
}

static void read_estimate(tx_h5 *f, tx_split split, const char *name, bool arrays, tx_estimate *e)
{
    char group[PATH], path[PATH + 32], timing[TX_NAME_MAX];
    snprintf(group, sizeof group, "/likelihood/%s/%s", tx_split_name(split), name);
    snprintf(path, sizeof path, "%s/log_likelihood", group);
    tx_copy_text(e->name, sizeof e->name, name);
    need_text(f, path, "estimator", e->estimator, sizeof e->estimator);
    need_text(f, path, "evaluated_model", e->evaluated_model, sizeof e->evaluated_model);
    e->kind = (tx_kind)need_choice(f, path, "kind", TX_N_KIND, kind_of);
    e->measure = (tx_measure)need_choice(f, path, "measure", TX_LEBESGUE + 1, measure_of);
    e->split = split;
    e->stochastic = tx_h5_get_i32(f, path, "stochastic") != 0;
    e->mean = tx_h5_get_f64(f, path, "mean");
    e->mean_error = tx_h5_get_f64(f, path, "std_error");
    e->mc_error = tx_h5_get_f64(f, path, "mc_error");
    read_bits(f, path, e);
    e->gradient_evaluations = tx_h5_get_f64(f, path, "gradient_evaluations");
    e->model_evaluations = tx_h5_get_f64(f, path, "model_evaluations");
    e->settings = json_of(f, path, tx_h5_get_text(f, path, "settings"));
    int n = tx_h5_get_i32(f, path, "n_example");
    if (n < 1 && f->status == TX_OK)
        f->status = tx_fail(TX_EDATA, "%s: %s: expected examples, found %d", f->path, path, n);
    e->n = n > 0 ? (size_t)n : 0;
    read_arrays(f, group, arrays, e);
    tx_part_timing_name(e, timing);
    snprintf(path, sizeof path, "/timing/%s", timing);
    if (tx_h5_has(f, path)) {
        tx_shape shape;
        double *seconds = tx_h5_get(f, path, TX_H5_F64, &shape);
        if (seconds && shape.rank == 0) e->seconds = *seconds;
        free(seconds);
    }
}

/** Appends the estimates of a file to r->estimate. */
static void read_estimates(tx_h5 *f, bool arrays, tx_run_info *r)
{
    for (int s = 0; s <= TX_SIMULATED; s++) {
        char group[PATH];
        size_t n;
        snprintf(group, sizeof group, "/likelihood/%s", tx_split_name((tx_split)s));
        tx_h5_name *name = tx_h5_list(f, group, &n);
        r->estimate = tx_realloc(r->estimate, (size_t)r->n_estimate, (size_t)r->n_estimate + n, sizeof *r->estimate);
        for (size_t i = 0; i < n && f->status == TX_OK; i++)
            read_estimate(f, (tx_split)s, name[i], arrays, &r->estimate[r->n_estimate++]);
        free(name);
    }
}

static void read_numbers(tx_h5 *f, const char *group, tx_numbers *t)
{
    size_t n;
    tx_h5_name *name = tx_h5_list(f, group, &n);
    if (n > TX_MAX_NUMBERS && f->status == TX_OK)
        f->status = tx_fail(TX_EDATA, "%s: %s: expected at most %d numbers, found %zu", f->path, group, TX_MAX_NUMBERS,
                            n);
    for (size_t i = 0; i < n && f->status == TX_OK; i++) {
        char path[PATH], unit[sizeof t->m[0].unit], long_name[TX_NAME_MAX];
        tx_shape shape;
        snprintf(path, sizeof path, "%s/%s", group, name[i]);
        need_text(f, path, "units", unit, sizeof unit);
        need_text(f, path, "long_name", long_name, sizeof long_name);
        double *value = tx_h5_get(f, path, TX_H5_F64, &shape);
        if (value && shape.rank == 0) {
            tx_numbers_add(t, name[i], unit, *value, long_name);
            t->m[t->n - 1].error = tx_h5_get_f64(f, path, "std_error");
            if (H5Aexists_by_name(f->file, path, "n_sample", H5P_DEFAULT) > 0)
                t->m[t->n - 1].n_sample = tx_h5_get_i32(f, path, "n_sample");
        }
        free(value);
    }
    free(name);
}

static void read_root(tx_h5 *f, tx_run_info *r)
{
    const struct {
        const char *name;
        char *out;
        size_t size;
    } text[] = {{"label", r->label, sizeof r->label},
                {"group", r->group, sizeof r->group},
                {"model", r->model, sizeof r->model},
                {"taxonomy_path", r->taxonomy_path, sizeof r->taxonomy_path},
                {"dataset", r->dataset, sizeof r->dataset},
                {"view", r->view, sizeof r->view},
                {"measure", r->measure, sizeof r->measure},
                {"status", r->status, sizeof r->status},
                {"score", r->score, sizeof r->score},
                {"content_sha256", r->content_sha256, sizeof r->content_sha256},
                {"dataset_sha256", r->dataset_sha256, sizeof r->dataset_sha256},
                {"view_sha256", r->view_sha256, sizeof r->view_sha256}};
    for (size_t i = 0; i < TX_LEN(text); i++) need_text(f, "/", text[i].name, text[i].out, text[i].size);
    char *failure = tx_h5_get_text(f, "/", "failure");
    tx_copy_text(r->failure, sizeof r->failure, failure ? failure : "");
    free(failure);
    r->seed = tx_h5_get_i32(f, "/", "seed");
    r->best_epoch = tx_h5_get_i32(f, "/", "best_epoch");
    r->epochs = tx_h5_get_i32(f, "/", "epochs");
    r->best_score = tx_h5_get_f64(f, "/", "best_score");
}

static int is_evaluation(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return strncmp(d->d_name, "evaluation-", 11) == 0 && n > 14 && strcmp(d->d_name + n - 3, ".h5") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static tx_status open_evaluation(tx_h5 **f, const char *path, const char *run_sha256)
{
    char sha256[TX_SHA256_TEXT];
    TX_TRY(tx_h5_open(f, path, TX_SCHEMA_EVALUATION));
    need_text(*f, "/", "run_sha256", sha256, sizeof sha256);
    if ((*f)->status == TX_OK && strcmp(sha256, run_sha256) != 0)
        (*f)->status = tx_fail(TX_EDATA, "%s: evaluates another run (%.12s, not %.12s)", path, sha256, run_sha256);
    return (*f)->status == TX_OK ? TX_OK : tx_h5_close(*f);
}

tx_status tx_evaluation_config(const char *path, const char *run_sha256, json_t **config)
{
    tx_h5 *f;
    TX_TRY(open_evaluation(&f, path, run_sha256));
    *config = json_of(f, "/config/json", tx_h5_get_string(f, "/config/json"));
    return tx_h5_close(f);
}

/** Metrics of an evaluation take the place of those of their names. */
static void merge_metrics(tx_h5 *f, const tx_numbers *from, tx_numbers *to)
{
    int more = 0;
    for (int i = 0; i < from->n; i++) more += tx_numbers_find(to, from->m[i].name) < 0;
    if (to->n + more > TX_MAX_NUMBERS) {
        f->status = tx_fail(TX_EDATA, "%s: /metrics: with those of the run more than %d numbers", f->path,
                            TX_MAX_NUMBERS);
        return;
    }
    for (int i = 0; i < from->n; i++) {
        int at = tx_numbers_find(to, from->m[i].name);
        to->m[at < 0 ? to->n++ : at] = from->m[i];
    }
}

/** The file that was just read, from which the estimates from `first` on come. */
static void add_source(tx_h5 *f, tx_run_info *r, int first)
{
    const char *slash = strrchr(f->path, '/');
    size_t n = (size_t)r->n_file++;
    r->file = tx_grow(r->file, n, sizeof *r->file);
    r->file[n].n_estimate = r->n_estimate - first;
    tx_copy_text(r->file[n].name, sizeof r->file[n].name, slash ? slash + 1 : f->path);
    need_text(f, "/", "content_sha256", r->file[n].content_sha256, sizeof r->file[n].content_sha256);
}

static tx_status read_evaluation(const char *path, bool arrays, tx_run_info *r, tx_numbers *all)
{
    tx_h5 *f;
    TX_TRY(open_evaluation(&f, path, r->content_sha256));
    int before = r->n_estimate;
    tx_numbers metrics = {0};
    if (f->status == TX_OK) read_estimates(f, arrays, r);
    if (f->status == TX_OK) read_numbers(f, "/metrics", &metrics);
    if (f->status == TX_OK) merge_metrics(f, &metrics, all);
    if (f->status != TX_OK)
        while (r->n_estimate > before) tx_estimate_free(&r->estimate[--r->n_estimate]);
    else
        add_source(f, r, before);
    return tx_h5_close(f);
}

static void read_beside(bool arrays, tx_run_info *r, tx_numbers *metrics)
{
    const char *slash = strrchr(r->path, '/');
    int folder = slash ? (int)(slash - r->path) + 1 : 0;
    char *here = tx_strdup(folder ? r->path : "./");
    here[folder ? folder : 2] = '\0';
    struct dirent **found = NULL;
    int n = scandir(here, &found, is_evaluation, by_name);
    if (n < 0) {
        tx_text_add(&r->note, "%s: cannot be listed: %s\n", here, strerror(errno));
        r->n_left_out++;
    }
    for (int i = 0; i < n; i++) {
        char path[2 * TX_TEXT_MAX];
        snprintf(path, sizeof path, "%s%s", here, found[i]->d_name);
        if (read_evaluation(path, arrays, r, metrics) != TX_OK) {
            tx_text_add(&r->note, "%s\n", tx_last_error());
            r->n_left_out++;
        }
        free(found[i]);
    }
    free(found);
    free(here);
}

tx_status tx_run_read(const char *path, bool arrays, tx_run_info *out)
{
    tx_h5 *f;
    TX_TRY(tx_h5_open(&f, path, TX_SCHEMA_RUN));
    *out = (tx_run_info){0};
    tx_copy_text(out->path, sizeof out->path, path);
    read_root(f, out);
    out->config = json_of(f, "/config/json", tx_h5_get_string(f, "/config/json"));
    read_estimates(f, arrays, out);
    tx_numbers *part = tx_alloc(3, sizeof *part);
    static const char *const group[] = {"/metrics", "/cost", "/timing"};
    for (int i = 0; i < 3; i++) read_numbers(f, group[i], &part[i]);
    add_source(f, out, 0);
    tx_status s = tx_h5_close(f);
    if (s == TX_OK) {
        read_beside(arrays, out, &part[0]);
        out->metrics = tx_numbers_copy(&part[0]);
        out->cost = tx_numbers_copy(&part[1]);
        out->timing = tx_numbers_copy(&part[2]);
    } else {
        tx_run_info_free(out);
    }
    free(part);
    return s;
}

bool tx_run_complete(const tx_run_info *r) { return r && strcmp(r->status, "complete") == 0; }

const tx_estimate *tx_run_estimate(const tx_run_info *r, tx_split s, const char *name)
{
    for (int i = r ? r->n_estimate - 1 : -1; i >= 0; i--)
        if (r->estimate[i].split == s && strcmp(r->estimate[i].name, name) == 0) return &r->estimate[i];
    return NULL;
}

/** Which estimates are of the file: from *first on, before *end. */
static void estimates_of(const tx_run_info *r, const tx_run_source *file, int *first, int *end)
{
    *first = 0;
    for (const tx_run_source *f = r->file; f < file; f++) *first += f->n_estimate;
    *end = *first + file->n_estimate;
}

const tx_run_source *tx_run_source_of(const tx_run_info *r, const tx_estimate *e)
{
    for (int i = 0, first, end; i < r->n_file; i++) {
        estimates_of(r, &r->file[i], &first, &end);
        if (e - r->estimate >= first && e - r->estimate < end) return &r->file[i];
    }
    return NULL;
}

tx_status tx_run_read_values(const tx_run_info *r, const tx_run_source *file, double *value[])
{
    tx_text path = {0};
    const char *slash = strrchr(r->path, '/');
    tx_text_add(&path, "%.*s%s", slash ? (int)(slash - r->path) + 1 : 0, r->path, file->name);
    tx_h5 *f;
    tx_status s = tx_h5_open(&f, path.s, file == r->file ? TX_SCHEMA_RUN : TX_SCHEMA_EVALUATION);
    tx_text_free(&path);
    TX_TRY(s);
    char sum[TX_SHA256_TEXT];
    need_text(f, "/", "content_sha256", sum, sizeof sum);
    if (f->status == TX_OK && strcmp(sum, file->content_sha256) != 0)
        f->status = tx_fail(TX_EDATA, "%s: it changed meanwhile: try again", f->path);
    int first, end;
    estimates_of(r, file, &first, &end);
    for (int i = first; i < end; i++) {
        char at[PATH + 32];
        const tx_estimate *e = &r->estimate[i];
        snprintf(at, sizeof at, "/likelihood/%s/%s/log_likelihood", tx_split_name(e->split), e->name);
        value[i - first] = doubles_of(f, at, e->n);
    }
    for (int i = first; i < end && f->status != TX_OK; i++) free(value[i - first]);
    return tx_h5_close(f);
}

void tx_run_info_free(tx_run_info *r)
{
    for (int i = 0; i < r->n_estimate; i++) tx_estimate_free(&r->estimate[i]);
    free(r->estimate);
    json_decref(r->config);
    free((void *)r->metrics), free((void *)r->cost), free((void *)r->timing);
    free(r->file);
    tx_text_free(&r->note);
    *r = (tx_run_info){0};
}

/** Reads one weight into w, or only checks it where `fill` is false. */
static void load_weight(tx_h5 *f, const tx_params *p, tx_param q, bool fill)
{
    char path[PATH];
    tx_shape shape;
    tx_tensor w = tx_params_value(p, q);
    snprintf(path, sizeof path, "/parameters/%s/%s", tx_params_net(p), tx_params_name(p, q));
    real *value = tx_h5_get(f, path, TX_H5_REAL, &shape);
    if (value && !tx_shape_equal(shape, w.shape))
        f->status = tx_fail(TX_EDATA, "%s: %s: expected %zu x %zu, found %zu x %zu", f->path, path, tx_rows(w),
                            tx_cols(w), shape.rank > 0 ? shape.dim[0] : 1, shape.rank > 1 ? shape.dim[1] : 1);
    else if (value && fill)
        memcpy(w.x, value, tx_len(w) * sizeof *value);
    free(value);
}

/** As many members of the group as the model has: the rest of the names is checked one by one. */
static void check_count(tx_h5 *f, const char *group, int expected)
{
    size_t n;
    free(tx_h5_list(f, group, &n));
    if (f->status == TX_OK && n != (size_t)expected)
        f->status = tx_fail(TX_EDATA, "%s: %s: expected %d member%s, found %zu: of another model or other options",
                            f->path, group, expected, tx_plural(expected), n);
}

tx_status tx_run_load_parameters(const char *path, tx_model *m)
{
    tx_h5 *f;
    TX_TRY(tx_h5_open(&f, path, TX_SCHEMA_RUN));
    check_count(f, "/parameters", m->n_net);
    for (int k = 0; k < m->n_net; k++) {
        char group[PATH];
        snprintf(group, sizeof group, "/parameters/%s", tx_params_net(m->net[k]));
        check_count(f, group, tx_params_count(m->net[k]));
    }
    for (int fill = 0; fill < 2; fill++)
        for (int k = 0; k < m->n_net; k++)
            for (int i = 0; i < tx_params_count(m->net[k]); i++) load_weight(f, m->net[k], (tx_param){i}, fill);
    return tx_h5_close(f);
}
