#include "experiments/taxon/gather.h"
#include "common/base/text.h"
#include "common/store/commit.h"
#include "common/store/compare_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 3 };

char *tx_path_join(const char *a, const char *b)
{
    tx_text t = {0};
    tx_text_add(&t, "%s/%s", a, b);
    return t.s;
}

static bool is_a(const char *path, mode_t type)
{
    struct stat st;
    return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

static bool holds_run(const char *folder)
{
    static const char *const file[] = {"result.h5", "checkpoint.h5", "checkpoint.prev.h5", "metrics.jsonl", "log.txt"};
    bool found = false;
    for (size_t i = 0; !found && i < TX_LEN(file); i++) {
        char *path = tx_path_join(folder, file[i]);
        found = is_a(path, S_IFREG);
        free(path);
    }
    return found;
}

static void add(tx_found *f, const char *folder)
{
    size_t n = (size_t)f->n++;
    f->folder = tx_grow(f->folder, n, sizeof *f->folder);
    f->folder[n] = tx_strdup(folder);
}

/* Lines on standard error, and added to `kept`, which may be NULL. */
static void tell(const char *lines, tx_text *kept)
{
    for (const char *line = lines; line && *line;) {
        size_t n = strcspn(line, "\n");
        fprintf(stderr, "taxon: left out: %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    if (kept && lines) tx_text_add(kept, "%s", lines);
}

static void search(const char *dir, int depth, tx_found *out)
{
    if (holds_run(dir)) add(out, dir);
    struct dirent **entry = NULL;
    int n = depth > 0 ? scandir(dir, &entry, NULL, alphasort) : 0;
    if (n < 0) {
        tx_text line = {0};
        tx_text_add(&line, "%s: cannot be listed: %s\n", dir, strerror(errno));
        tell(line.s, &out->left_out);
        tx_text_free(&line);
        out->n_left_out++;
    }
    for (int i = 0; i < n; i++) {
        char *path = tx_path_join(dir, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && is_a(path, S_IFDIR)) search(path, depth - 1, out);
        free(path);
        free(entry[i]);
    }
    free(entry);
}

tx_status tx_find_runs(const char *dir, tx_found *out)
{
    DIR *d = opendir(dir);
    if (!d) return tx_fail(TX_ENOINPUT, "%s: %s", dir, strerror(errno));
    closedir(d);
    *out = (tx_found){0};
    search(dir, DEPTH, out);
    return TX_OK;
}

bool tx_is_running(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}

void tx_found_free(tx_found *f)
{
    for (int i = 0; i < f->n; i++) free(f->folder[i]);
    free(f->folder);
    tx_text_free(&f->left_out);
    *f = (tx_found){0};
}

/* What makes two results one run of the comparison. */
static int compare_runs(const tx_run_info *x, const tx_run_info *y)
{
    int c = strcmp(x->dataset, y->dataset);
    if (!c) c = strcmp(x->view, y->view);
    if (!c) c = strcmp(x->dataset_sha256, y->dataset_sha256);
    if (!c) c = strcmp(x->view_sha256, y->view_sha256);
    if (!c) c = strcmp(x->label, y->label);
    return c ? c : (x->seed > y->seed) - (x->seed < y->seed);
}

static int by_run_and_path(const void *a, const void *b)
{
    const tx_run_info *x = a, *y = b;
    int c = compare_runs(x, y);
    if (!c) c = (int)strlen(x->path) - (int)strlen(y->path); /* the copy has the longer name, as a rule */
    return c ? c : strcmp(x->path, y->path);
}

/* A copied folder is no other seed. */
static void leave_out_copies(tx_gathered *g)
{
    int n = 0;
    for (int i = 0; i < g->n; i++) {
        if (n == 0 || compare_runs(&g->run[n - 1], &g->run[i]) != 0) {
            g->run[n++] = g->run[i];
            continue;
        }
        tx_text line = {0};
        tx_text_add(&line, "%s: data set, view, label and seed are those of %s\n", g->run[i].path, g->run[n - 1].path);
        tell(line.s, &g->left_out);
        tx_text_free(&line);
        tx_run_info_free(&g->run[i]);
        g->n_left_out++;
    }
    g->n = n;
}

void tx_tell_left_out(const tx_run_info *r) { tell(r->note.s, NULL); }

void tx_tell_unfinished(tx_gathered *g)
{
    tell(g->unfinished.s, NULL);
    g->n_left_out += g->n_unfinished;
}

tx_status tx_gather(const char *dir, bool arrays, tx_gathered *out)
{
    tx_found f;
    TX_TRY(tx_find_runs(dir, &f));
    tx_gathered g = {.run = tx_alloc((size_t)f.n, sizeof *g.run), .n_left_out = f.n_left_out, .left_out = f.left_out};
    f.left_out = (tx_text){0};
    if (!arrays) g.cache = tx_run_cache_open(dir);
    for (int i = 0; i < f.n; i++) {
        char *path = tx_path_join(f.folder[i], "result.h5");
        bool there = is_a(path, S_IFREG);
        if (there && (arrays ? tx_run_read(path, true, &g.run[g.n])
                             : tx_run_cache_read(g.cache, f.folder[i], &g.run[g.n])) == TX_OK) {
            tell(g.run[g.n].note.s, &g.left_out);
            g.n_left_out += g.run[g.n++].n_left_out;
        } else if (there) {
            g.n_left_out++;
            tell(tx_last_error(), &g.left_out);
            tx_text_add(&g.left_out, "\n");
        } else {
            tx_text_add(&g.unfinished, "%s: has no result.h5\n", f.folder[i]);
            g.n_unfinished++;
        }
        free(path);
    }
    tx_found_free(&f);
    if (g.n == 0) {
        int n_damaged = g.n_left_out;
        tx_gathered_free(&g);
        return n_damaged ? tx_fail(TX_EDATA, "%s: no result can be read (%d found)", dir, n_damaged)
                         : tx_fail(TX_ENOINPUT, "%s: holds no finished run (DATASET-VIEW/LABEL/seed-N/result.h5)", dir);
    }
    qsort(g.run, (size_t)g.n, sizeof *g.run, by_run_and_path);
    leave_out_copies(&g);
    *out = g;
    return TX_OK;
}

void tx_gathered_free(tx_gathered *g)
{
    for (int i = 0; i < g->n; i++) tx_run_info_free(&g->run[i]);
    free(g->run);
    if (g->cache) tx_run_cache_close(g->cache);
    tx_text_free(&g->unfinished);
    tx_text_free(&g->left_out);
    *g = (tx_gathered){0};
}

static const char *const compared[] = {"compare.h5", "compare.csv"};

tx_status tx_check_collect(const char *dir)
{
    tx_status s = tx_check_writable(dir);
    for (size_t i = 0; !s && i < TX_LEN(compared); i++) {
        char *path = tx_path_join(dir, compared[i]);
        s = tx_check_place(path);
        free(path);
    }
    return s;
}

static tx_status write_compared(const char *dir, const tx_gathered *g)
{
    char *h5 = tx_path_join(dir, compared[0]), *csv = tx_path_join(dir, compared[1]);
    tx_sweep(h5, ".part"), tx_sweep(csv, ".part"); /* under the lock: of processes that were killed */
    tx_status s = tx_compare_write(h5, csv, g->n, g->run, g->cache);
    if (!s) tx_run_cache_made(g->cache, TX_LEN(compared), compared);
    free(h5);
    free(csv);
    return s;
}

tx_status tx_collect(const char *dir, tx_gathered *out, bool *written)
{
    *out = (tx_gathered){0};
    int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0) flock(lock, LOCK_EX);
    tx_status s = tx_gather(dir, false, out);
    *written = !s && !tx_run_cache_is_current(out->cache, TX_LEN(compared), compared);
    if (*written) s = write_compared(dir, out);
    if (lock >= 0) close(lock);
    return s;
}

tx_status tx_gathered_status(const tx_gathered *g)
{
    return g->n_left_out ? tx_fail(TX_EDIVERGED, "%d file%s left out", g->n_left_out, tx_plural(g->n_left_out)) : TX_OK;
}

tx_status tx_run_path(const char *arg, char path[TX_TEXT_MAX])
{
    struct stat st;
    if (stat(arg, &st) != 0) return tx_fail(TX_ENOINPUT, "%s: %s", arg, strerror(errno));
    int n = snprintf(path, TX_TEXT_MAX, "%s%s", arg, S_ISDIR(st.st_mode) ? "/result.h5" : "");
    if (n >= TX_TEXT_MAX) return tx_fail(TX_ENOINPUT, "%.80s...: the path is too long", arg);
    if (access(path, R_OK) != 0) return tx_fail(TX_ENOINPUT, "%s: %s; expected a finished run", path, strerror(errno));
    return TX_OK;
}
