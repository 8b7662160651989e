#include "experiments/taxon/watch.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/plan.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 1 << 16, NAME_CELLS = 40, CURVE_CELLS = 60, BAR_CELLS = 20, HEAD = 4 };

const char *tx_watched_state_name(tx_watched_state s)
{
    static const char *const name[] = {"running", "failed", "diverged", "stopped", "finished", "waiting"};
    return name[s];
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tx_watched *)a)->name, ((const tx_watched *)b)->name);
}

/* The run of this name, which is new if need be; `sorted`: how many of them are in order. */
static tx_watched *run_of(tx_watch *w, int sorted, const char *name)
{
    tx_watched like = {.name = (char *)name};
    tx_watched *r = sorted ? bsearch(&like, w->run, (size_t)sorted, sizeof like, by_name) : NULL;
    if (r) return r;
    w->run = tx_grow(w->run, (size_t)w->n, sizeof *w->run);
    r = &w->run[w->n++];
    *r = (tx_watched){.name = tx_strdup(name), .folder = tx_path_join(w->dir, name), .state = TX_WATCH_WAITING};
    r->score = NAN;
    return r;
}

static void sort(tx_watch *w)
{
    if (w->n) qsort(w->run, (size_t)w->n, sizeof *w->run, by_name);
}

static void read_plan(tx_watch *w)
{
    char *path = tx_path_join(w->dir, TX_PLAN_FILE), line[LINE];
    FILE *f = fopen(path, "re");
    for (int sorted = w->n; f && fgets(line, sizeof line, f);) {
        json_t *j = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(j, "run"));
        if (name) {
            tx_watched *r = run_of(w, sorted, name);
            r->n_parameter = json_number_value(json_object_get(j, "n_parameter"));
            r->n_step = json_number_value(json_object_get(j, "n_step"));
        }
        json_decref(j);
    }
    if (f) fclose(f);
    free(path);
    sort(w);
}

static void discover(tx_watch *w)
{
    tx_found f;
    size_t prefix = strlen(w->dir) + 1;
    read_plan(w);
    if (tx_find_runs(w->dir, &f) != TX_OK) return;
    for (int i = 0, sorted = w->n; i < f.n; i++)
        if (strlen(f.folder[i]) > prefix) run_of(w, sorted, f.folder[i] + prefix);
    tx_found_free(&f);
    sort(w);
}

/* Twice as far apart when there is no room: the curve keeps its shape, and its size. */
static void add_point(tx_watched *r, double v)
{
    if (r->stride == 0) r->stride = 1;
    r->score = v;
    if (r->epochs++ % r->stride) return;
    if (r->n == TX_CURVE) {
        for (int i = 0; i < TX_CURVE / 2; i++) r->curve[i] = r->curve[2 * i];
        r->n = TX_CURVE / 2;
        r->stride *= 2;
    }
    r->curve[r->n++] = (float)v;
}

/* The validation score, or what stands for it. */
static const json_t *score_of(const json_t *line)
{
    static const char *const key[] = {"valid_log_likelihood", "valid_objective", "objective"};
    for (size_t i = 0; i < TX_LEN(key); i++)
        if (json_object_get(line, key[i])) return json_object_get(line, key[i]);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)line, name,
                        value) if (json_is_real(value) && strcmp(name, "learning_rate") != 0) return value;
    return NULL;
}

static double utc_of(const char *text)
{
    struct tm t = {0};
    return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &t) ? (double)timegm(&t) : NAN;
}

/* A line that is no JSON, cut by a kill, says nothing. */
static void hear(tx_watched *r, const char *line)
{
    json_t *j = json_loads(line, 0, NULL);
    const char *end = json_string_value(json_object_get(j, "end")),
               *start = json_string_value(json_object_get(j, "start"));
    const json_t *step = json_object_get(j, "step"), *score = step ? score_of(j) : NULL;
    if (step) r->step = json_number_value(step);
    if (score) add_point(r, json_number_value(score));
    if (end) tx_copy_text(r->end, sizeof r->end, end);
    if (start) r->start = utc_of(start), r->from_step = r->step;
    json_decref(j);
}

static void forget(tx_watched *r, ino_t inode)
{
    r->inode = inode;
    r->at = 0;
    r->n = r->stride = 0;
    r->epochs = 0;
    r->step = r->from_step = 0;
    r->start = r->last = r->score = NAN;
    *r->end = 0;
}

/* Whole lines that were added; a file that was made anew is read from its start. */
static void read_metrics(tx_watched *r)
{
    char *path = tx_path_join(r->folder, "metrics.jsonl"), line[LINE];
    struct stat st;
    bool there = stat(path, &st) == 0, first = r->inode == 0;
    if (there && (st.st_ino != r->inode || st.st_size < r->at)) forget(r, st.st_ino);
    FILE *f = there && st.st_size > r->at ? fopen(path, "re") : NULL;
    if (f && fseeko(f, r->at, SEEK_SET) == 0)
        while (fgets(line, sizeof line, f)) {
            size_t n = strlen(line);
            if (n == 0 || (line[n - 1] != '\n' && n < sizeof line - 1)) break;
            hear(r, line);
            r->at = ftello(f);
            r->grew |= !first;
        }
    if (f) fclose(f);
    if (there) r->last = (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec;
    free(path);
}

static bool has(const tx_watched *r, const char *name)
{
    char *path = tx_path_join(r->folder, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void look(tx_watched *r)
{
    bool over = r->state == TX_WATCH_FINISHED || r->state == TX_WATCH_DIVERGED;
    if (over && r->inode && has(r, "result.h5")) return; /* until it is made anew: runs are written once */
    read_metrics(r);
    if (has(r, "result.h5"))
        r->state = strcmp(r->end, "diverged") == 0 ? TX_WATCH_DIVERGED : TX_WATCH_FINISHED;
    else if (tx_is_running(r->folder))
        r->state = TX_WATCH_RUNNING;
    else if (strcmp(r->end, "failed") == 0)
        r->state = TX_WATCH_FAILED;
    else if (r->grew && (double)time(NULL) - r->last < 60)
        r->state = TX_WATCH_RUNNING;
    else
        r->state = r->inode || has(r, "checkpoint.h5") ? TX_WATCH_STOPPED : TX_WATCH_WAITING;
}

void tx_watch_look(tx_watch *w, bool anew)
{
    if (anew) discover(w);
    memset(w->count, 0, sizeof w->count);
    for (int i = 0; i < w->n; i++) {
        look(&w->run[i]);
        w->count[w->run[i].state]++;
    }
}

tx_status tx_watch_open(tx_watch *w, const char *dir)
{
    struct stat st;
    *w = (tx_watch){.dir = tx_strdup(dir)};
    for (size_t n = strlen(dir); n > 1 && w->dir[n - 1] == '/'; n--) w->dir[n - 1] = 0;
    bool folder = stat(dir, &st) == 0 && S_ISDIR(st.st_mode);
    if (folder) discover(w);
    if (w->n) return TX_OK;
    tx_watch_close(w);
    return tx_fail(TX_ENOINPUT, folder ? "%s: holds no runs" : "%s: no such folder", dir);
}

void tx_watch_close(tx_watch *w)
{
    for (int i = 0; i < w->n; i++) free(w->run[i].name), free(w->run[i].folder);
    free(w->run);
    free(w->dir);
    *w = (tx_watch){0};
}

/* Estimators follow the last step. */
static double share_at(const tx_watched *r, double step) { return r->n_step > 0 ? 0.9 * fmin(step / r->n_step, 1) : 0; }

/* One that was stopped waits to go on. */
static bool is_over(const tx_watched *r)
{
    return r->state == TX_WATCH_FINISHED || r->state == TX_WATCH_DIVERGED || r->state == TX_WATCH_FAILED;
}

static tx_work work_of(const tx_watched *r)
{
    bool told = r->state == TX_WATCH_RUNNING || r->state == TX_WATCH_FINISHED;
    return (tx_work){.size = tx_work_size(r->n_parameter, r->n_step),
                     .state = is_over(r)                     ? TX_WORK_ENDED
                              : r->state == TX_WATCH_RUNNING ? TX_WORK_RUNS
                                                             : TX_WORK_WAITS,
                     .from = share_at(r, r->from_step),
                     .share = is_over(r) ? 1 : share_at(r, r->step),
                     .seconds = told ? r->last - r->start : NAN};
}

tx_forecast tx_watch_forecast(const tx_watch *w)
{
    tx_work *work = tx_alloc((size_t)w->n, sizeof *work);
    for (int i = 0, like = 0; i < w->n; i++) {
        like += i > 0 && !tx_work_alike(w->run[i - 1].name, w->run[i].name);
        work[i] = work_of(&w->run[i]);
        work[i].like = like;
    }
    int running = w->count[TX_WATCH_RUNNING];
    tx_forecast f = tx_forecast_of(w->n, work, running ? running : 1);
    if (!running) f.left = NAN;
    free(work);
    return f;
}

/* The curve in cells: levels from the least to the greatest of its last three quarters, since first epochs would dwarf
 * the rest. */
static void add_curve(const tx_watched *r, int cells, bool utf8, tx_text *out)
{
    static const char *const block[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, *const ascii[] = {"_", ".", "-", "=",
                                                                                                   "+", "*", "%", "#"};
    float low = INFINITY, high = -INFINITY;
    for (int i = r->n / 4; i < r->n; i++) low = fminf(low, r->curve[i]), high = fmaxf(high, r->curve[i]);
    int n = r->n < cells ? r->n : cells;
    for (int i = 0; i < n; i++) {
        float v = r->curve[(long)(i + 1) * r->n / n - 1];
        float level = high > low ? 8 * (v - low) / (high - low) : 4;
        int k = !(level > 0) ? 0 : level >= 7 ? 7 : (int)level;
        tx_text_add(out, "%s", utf8 ? block[k] : ascii[k]);
    }
}

static const char row_format[] = "%s%-*s  %-8s %6s %11s %8s  ";

static void end_line(tx_text *out)
{
    while (out->len && out->s[out->len - 1] == ' ') out->len--;
    tx_text_add(out, "\n");
}

static void add_run(const tx_watched *r, int name_cells, int columns, bool utf8, tx_text *out)
{
    char share[8] = "", score[24] = "", left[24] = "", time[16];
    int n = (int)strlen(r->name), cut = n > name_cells ? n - name_cells + 2 : 0;
    tx_work work = work_of(r);
    tx_forecast f = tx_forecast_of(1, &work, 1);
    if (r->state != TX_WATCH_WAITING && (r->n_step > 0 || is_over(r)))
        snprintf(share, sizeof share, "%.0f %%", 100 * (r->state == TX_WATCH_FINISHED ? 1 : share_at(r, r->step)));
    if (isfinite(r->score)) snprintf(score, sizeof score, "%.6g", r->score);
    if (r->state == TX_WATCH_RUNNING && isfinite(f.left))
        snprintf(left, sizeof left, "%s", tx_duration_text(f.left, time));
    tx_text_add(out, row_format, cut ? ".." : "", cut ? 0 : name_cells, r->name + cut, tx_watched_state_name(r->state),
                share, score, left);
    int cells = columns - name_cells - 42;
    if (cells > 0 && r->n > 1) add_curve(r, cells < CURVE_CELLS ? cells : CURVE_CELLS, utf8, out);
    end_line(out);
}

static void add_counts(const int count[TX_N_WATCH], tx_text *out)
{
    const char *comma = "";
    for (int s = 0; s < TX_N_WATCH; s++) {
        if (!count[s]) continue;
        tx_text_add(out, "%s%d %s", comma, count[s], tx_watched_state_name((tx_watched_state)s));
        comma = ", ";
    }
}

static void add_head(const tx_watch *w, tx_text *out)
{
    char bar[BAR_CELLS + 1] = "", time[16];
    tx_forecast f = tx_watch_forecast(w);
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < f.part * BAR_CELLS ? '=' : ' ';
    tx_text_add(out, "%s: ", w->dir);
    add_counts(w->count, out);
    tx_text_add(out, "\n[%s] %.0f %%", bar, 100 * f.part);
    if (isfinite(f.left))
        tx_text_add(out, "  %s %s left", f.guessed ? "perhaps" : "about", tx_duration_text(f.left, time));
    tx_text_add(out, "\n\n");
}

/* Running ones first, then those that need somebody, the finished, the waiting; below them, how many do not fit. */
void tx_watch_frame(const tx_watch *w, int columns, int rows, bool utf8, tx_text *out)
{
    int most = rows ? rows - HEAD - 1 : w->n, shown = 0, rest[TX_N_WATCH], width = 3;
    if (most < 0) most = 0;
    if (w->n == most + 1) most++;
    memcpy(rest, w->count, sizeof rest);
    for (int i = 0; i < w->n; i++)
        if ((int)strlen(w->run[i].name) > width) width = (int)strlen(w->run[i].name);
    if (width > NAME_CELLS) width = NAME_CELLS;
    if (width > columns / 2) width = columns / 2;
    if (width < 3) width = 3;
    add_head(w, out);
    tx_text_add(out, row_format, "", width, "run", "state", "done", "score", "left");
    if (columns - width - 42 > 20) tx_text_add(out, "score, epoch by epoch");
    end_line(out);
    for (int s = 0; s < TX_N_WATCH; s++)
        for (int i = 0; i < w->n && shown < most; i++) {
            if ((int)w->run[i].state != s) continue;
            add_run(&w->run[i], width, columns, utf8, out);
            rest[s]--;
            shown++;
        }
    if (shown == w->n) return;
    tx_text_add(out, "and ");
    add_counts(rest, out);
    tx_text_add(out, "\n");
}
