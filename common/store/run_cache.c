#include "common/store/run_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/build.h"
#include "common/store/commit.h"
#include "common/store/h5.h"

/** Fewer runs than WORTH are read in a moment. A file that is changed again within the step of its clock has equal
 * times: SETTLED seconds are more than any file system's step. */
enum { WORTH = 50, SETTLED = 2 };
static const char head[] = "taxon-cache 1 " TX_VERSION " " TX_GIT;

/** What is written and read in one order by the same functions. Reading stops at the end of `p`, and says so. */
typedef struct stream {
    unsigned char *p;
    size_t at, n, cap; /* read, written, allocated */
    bool reading, bad;
} stream;

static void put_bytes(stream *s, void *v, size_t n)
{
    if (s->reading) {
        s->bad |= n > s->n - s->at;
        if (s->bad)
            memset(v, 0, n);
        else
            memcpy(v, s->p + s->at, n);
        s->at += s->bad ? 0 : n;
        return;
    }
    if (s->n + n > s->cap) {
        size_t cap = 2 * (s->n + n);
        s->p = tx_realloc(s->p, s->cap, cap, 1);
        s->cap = cap;
    }
    memcpy(s->p + s->n, v, n);
    s->n += n;
}

#define PUT(s, v) put_bytes(s, &(v), sizeof(v))

/** A number of items of at least `size` bytes each. */
static void put_count(stream *s, int *n, size_t size)
{
    PUT(s, *n);
    s->bad |= *n < 0 || (s->reading && (size_t)*n > (s->n - s->at) / size);
    if (s->bad) *n = 0;
}

static void put_text(stream *s, char *v, size_t size)
{
    int n = s->reading ? 0 : (int)strlen(v);
    put_count(s, &n, 1);
    s->bad |= (size_t)n >= size;
    if (s->bad) n = 0;
    put_bytes(s, v, (size_t)n);
    v[n] = '\0';
}

#define PUT_TEXT(s, v) put_text(s, v, sizeof(v))

static void put_json(stream *s, json_t **v)
{
    char *text = s->reading ? NULL : json_dumps(*v, JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
    int n = text ? (int)strlen(text) : 0;
    put_count(s, &n, 1);
    if (s->reading) {
        *v = json_loadb((const char *)s->p + s->at, (size_t)n, 0, NULL);
        s->bad |= n > 0 && !*v;
        s->at += (size_t)n;
    } else {
        put_bytes(s, text, (size_t)n);
    }
    free(text);
}

static void put_numbers(stream *s, const tx_numbers **v)
{
    int n = s->reading ? 0 : (*v)->n;
    put_count(s, &n, 1);
    s->bad |= n > TX_MAX_NUMBERS;
    if (s->bad) n = 0;
    if (s->reading) *v = tx_numbers_room(n);
    tx_numbers *t = (tx_numbers *)*v;
    for (int i = 0; i < n; i++) {
        PUT_TEXT(s, t->m[i].name);
        PUT_TEXT(s, t->m[i].unit);
        PUT_TEXT(s, t->m[i].long_name);
        PUT(s, t->m[i].value);
        PUT(s, t->m[i].error);
        PUT(s, t->m[i].n_sample);
    }
}

static void put_estimate(stream *s, tx_estimate *e)
{
    PUT_TEXT(s, e->estimator);
    PUT_TEXT(s, e->name);
    PUT_TEXT(s, e->evaluated_model);
    PUT(s, e->kind);
    PUT(s, e->stochastic);
    PUT(s, e->measure);
    PUT(s, e->split);
    PUT(s, e->n);
    PUT(s, e->mean);
    PUT(s, e->mean_error);
    PUT(s, e->mc_error);
    PUT(s, e->bits_per_dim);
    PUT(s, e->bits_kind);
    PUT(s, e->seconds);
    PUT(s, e->gradient_evaluations);
    PUT(s, e->model_evaluations);
    put_json(s, &e->settings);
}

/** All but the path, the config, the arrays and what was left out. */
static void put_run(stream *s, tx_run_info *r)
{
    PUT_TEXT(s, r->label);
    PUT_TEXT(s, r->group);
    PUT_TEXT(s, r->model);
    PUT_TEXT(s, r->taxonomy_path);
    PUT_TEXT(s, r->dataset);
    PUT_TEXT(s, r->view);
    PUT_TEXT(s, r->measure);
    PUT_TEXT(s, r->status);
    PUT_TEXT(s, r->failure);
    PUT_TEXT(s, r->content_sha256);
    PUT_TEXT(s, r->dataset_sha256);
    PUT_TEXT(s, r->view_sha256);
    PUT_TEXT(s, r->score);
    PUT(s, r->seed);
    PUT(s, r->best_score);
    PUT(s, r->best_epoch);
    PUT(s, r->epochs);
    put_count(s, &r->n_estimate, sizeof(double));
    if (s->reading) r->estimate = tx_alloc((size_t)r->n_estimate, sizeof *r->estimate);
    for (int i = 0; i < r->n_estimate; i++) put_estimate(s, &r->estimate[i]);
    put_numbers(s, &r->metrics);
    put_numbers(s, &r->cost);
    put_numbers(s, &r->timing);
    put_count(s, &r->n_file, 1);
    if (s->reading) r->file = tx_alloc((size_t)r->n_file, sizeof *r->file);
    for (int i = 0; i < r->n_file; i++) {
        PUT_TEXT(s, r->file[i].name);
        PUT_TEXT(s, r->file[i].content_sha256);
        PUT(s, r->file[i].n_estimate);
    }
}

/** By what a file that changed is told; all zeros: there is none. */
typedef struct stamp {
    uint64_t inode, bytes, content[2], change[2]; /* times in s and ns */
} stamp;

static stamp stamp_of(const char *folder, const char *name)
{
    tx_text path = {0};
    struct stat st;
    tx_text_add(&path, "%s%s%s", folder, *name ? "/" : "", name);
    bool there = stat(path.s, &st) == 0;
    tx_text_free(&path);
    if (!there) return (stamp){0};
    return (stamp){(uint64_t)st.st_ino,
                   S_ISDIR(st.st_mode) ? 1 : (uint64_t)st.st_size,
                   {(uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec},
                   {(uint64_t)st.st_ctim.tv_sec, (uint64_t)st.st_ctim.tv_nsec}};
}

static bool same_stamp(const stamp *a, const stamp *b) { return a->bytes > 0 && memcmp(a, b, sizeof *a) == 0; }

/** A run, packed: put_run, then the stamps of its folder and of each of its files. */
typedef struct entry {
    char *folder; /* below that of the cache */
    stream packed;
    bool seen, owned;
} entry;

typedef struct result {
    char key[TX_SHA256_TEXT];
    tx_difference value;
    bool seen;
} result;

enum { MAX_MADE = 4 };
struct tx_run_cache {
    char *dir;
    unsigned char *image; /* the file as it was */
    int n, n_known, n_result, n_known_result, n_made, seen, learnt;
    entry *run;     /* [n]; the first n_known in the order of their folders */
    result *result; /* [n_result]; the first n_known_result in the order of their keys */
    char sum[TX_SHA256_TEXT], made_of[TX_SHA256_TEXT];
    stamp made[MAX_MADE];
    tx_sha256 *summing; /* until `sum` is asked for */
    bool remade;
};

static int by_folder(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->folder, ((const entry *)b)->folder);
}

static int by_key(const void *a, const void *b) { return strcmp(((const result *)a)->key, ((const result *)b)->key); }

static void put_result(stream *s, result *r)
{
    PUT_TEXT(s, r->key);
    PUT(s, r->value.n);
    PUT(s, r->value.n_pair);
    PUT(s, r->value.mean);
    PUT(s, r->value.error);
    PUT(s, r->value.seed_error);
}

static void put_entry(stream *s, entry *e)
{
    char folder[4 * TX_TEXT_MAX] = "";
    if (!s->reading) tx_copy_text(folder, sizeof folder, e->folder);
    PUT_TEXT(s, folder);
    int n = (int)e->packed.n;
    put_count(s, &n, 1);
    if (s->reading) {
        e->folder = tx_strdup(folder);
        e->packed = (stream){.p = s->p + s->at, .n = (size_t)n, .reading = true};
        s->at += (size_t)n;
    } else {
        put_bytes(s, e->packed.p, (size_t)n);
    }
}

/** As much as tx_grow has made of it when there are n. */
static size_t room(int n)
{
    size_t cap = 1;
    while (cap < (size_t)n) cap *= 2;
    return cap;
}

/** The whole file, in either direction. */
static void put_cache(stream *s, tx_run_cache *c)
{
    char text[sizeof head], width = (char)sizeof(real);
    memcpy(text, head, sizeof head);
    PUT(s, text);
    PUT(s, width);
    s->bad |= memcmp(text, head, sizeof head) != 0 || width != (char)sizeof(real);
    PUT_TEXT(s, c->made_of);
    PUT(s, c->n_made);
    s->bad |= c->n_made < 0 || c->n_made > MAX_MADE;
    PUT(s, c->made);
    put_count(s, &c->n_result, sizeof(double));
    if (s->reading) c->result = tx_alloc(room(c->n_result), sizeof *c->result);
    for (int i = 0; i < c->n_result; i++) put_result(s, &c->result[i]);
    put_count(s, &c->n, sizeof(int));
    if (s->reading) c->run = tx_alloc(room(c->n), sizeof *c->run);
    for (int i = 0; i < c->n; i++) put_entry(s, &c->run[i]);
}

static void forget(tx_run_cache *c)
{
    for (int i = 0; i < c->n; i++) {
        free(c->run[i].folder);
        if (c->run[i].owned) free(c->run[i].packed.p);
    }
    free(c->run);
    free(c->result);
    free(c->image);
    if (c->summing) tx_sha256_end(c->summing, c->sum);
    *c = (tx_run_cache){.dir = c->dir, .summing = tx_sha256_new()};
}

tx_run_cache *tx_run_cache_open(const char *dir)
{
    tx_run_cache *c = tx_alloc(1, sizeof *c);
    *c = (tx_run_cache){.dir = tx_strdup(dir), .summing = tx_sha256_new()};
    tx_text path = {0};
    size_t bytes = 0;
    tx_text_add(&path, "%s/" TX_RUN_CACHE_NAME, dir);
    if (tx_h5_read_image(path.s, &c->image, &bytes) == TX_OK) {
        stream s = {.p = c->image, .n = bytes, .reading = true};
        put_cache(&s, c);
        if (s.bad || s.at != s.n) forget(c);
        if (c->n) qsort(c->run, (size_t)c->n, sizeof *c->run, by_folder);
        if (c->n_result) qsort(c->result, (size_t)c->n_result, sizeof *c->result, by_key);
        c->n_known = c->n;
        c->n_known_result = c->n_result;
    }
    tx_text_free(&path);
    return c;
}

static const char *below(const tx_run_cache *c, const char *folder)
{
    size_t n = strlen(c->dir);
    return strncmp(folder, c->dir, n) == 0 ? folder + n + (folder[n] == '/') : folder;
}

static entry *find(tx_run_cache *c, const char *folder)
{
    entry like = {.folder = (char *)below(c, folder)};
    return c->n_known ? bsearch(&like, c->run, (size_t)c->n_known, sizeof like, by_folder) : NULL;
}

/** The run as it was packed; false where it has changed since. */
static bool recall(entry *e, const char *folder, tx_run_info *out)
{
    stream *s = &e->packed;
    s->at = 0;
    *out = (tx_run_info){0};
    put_run(s, out);
    bool same = true;
    for (int i = 0; i <= out->n_file && same; i++) {
        stamp was, is = stamp_of(folder, i ? out->file[i - 1].name : "");
        PUT(s, was);
        same = !s->bad && same_stamp(&was, &is);
    }
    if (!same) tx_run_info_free(out);
    return same;
}

/** Adds what was read to what is known, if nothing has changed it of late: then its times would not tell another
 * change. */
static void learn(tx_run_cache *c, const char *folder, tx_run_info *r, time_t start)
{
    size_t n = (size_t)c->n;
    entry e = {.folder = tx_strdup(below(c, folder)), .seen = true, .owned = true};
    put_run(&e.packed, r);
    tx_sha256_add(c->summing, e.packed.p, e.packed.n);
    bool settled = r->n_left_out == 0;
    for (int i = 0; i <= r->n_file; i++) {
        stamp is = stamp_of(folder, i ? r->file[i - 1].name : "");
        settled &= is.bytes > 0 && (int64_t)is.content[0] + SETTLED < (int64_t)start &&
                   (int64_t)is.change[0] + SETTLED < (int64_t)start;
        PUT(&e.packed, is);
    }
    if (settled) {
        c->run = tx_grow(c->run, n, sizeof *c->run);
        c->run[c->n++] = e;
        c->learnt++;
    } else {
        free(e.folder);
        free(e.packed.p);
    }
}

tx_status tx_run_cache_read(tx_run_cache *c, const char *folder, tx_run_info *out)
{
    tx_text path = {0};
    tx_status s = TX_OK;
    tx_text_add(&path, "%s/result.h5", folder);
    tx_sha256_add_text(c->summing, below(c, folder));
    entry *known = find(c, folder);
    if (known && recall(known, folder, out)) {
        known->seen = true;
        tx_copy_text(out->path, sizeof out->path, path.s);
        tx_sha256_add(c->summing, known->packed.p, known->packed.at - (size_t)(out->n_file + 1) * sizeof(stamp));
    } else {
        struct timespec start;
        clock_gettime(CLOCK_REALTIME, &start);
        s = tx_run_read(path.s, false, out);
        if (s == TX_OK) {
            json_decref(out->config);
            out->config = NULL;
            learn(c, folder, out, start.tv_sec);
        }
    }
    c->seen += s == TX_OK;
    tx_text_free(&path);
    return s;
}

const tx_difference *tx_run_cache_difference(tx_run_cache *c, const char key[TX_SHA256_TEXT])
{
    result like;
    tx_copy_text(like.key, sizeof like.key, key);
    result *r = c->n_known_result ? bsearch(&like, c->result, (size_t)c->n_known_result, sizeof like, by_key) : NULL;
    if (r) r->seen = true;
    return r ? &r->value : NULL;
}

void tx_run_cache_keep(tx_run_cache *c, const char key[TX_SHA256_TEXT], const tx_difference *d)
{
    size_t n = (size_t)c->n_result++;
    c->result = tx_grow(c->result, n, sizeof *c->result);
    c->result[n] = (result){.value = *d, .seen = true};
    tx_copy_text(c->result[n].key, TX_SHA256_TEXT, key);
}

static void end_sum(tx_run_cache *c)
{
    if (c->summing) tx_sha256_end(c->summing, c->sum);
    c->summing = NULL;
}

bool tx_run_cache_is_current(tx_run_cache *c, int n_file, const char *const file[])
{
    end_sum(c);
    bool same = n_file == c->n_made && strcmp(c->sum, c->made_of) == 0;
    for (int i = 0; i < n_file && same; i++) {
        stamp is = stamp_of(c->dir, file[i]);
        same = same_stamp(&c->made[i], &is);
    }
    return same;
}

void tx_run_cache_made(tx_run_cache *c, int n_file, const char *const file[])
{
    TX_REQUIRE(n_file <= MAX_MADE, "%d files", n_file);
    end_sum(c);
    tx_copy_text(c->made_of, sizeof c->made_of, c->sum);
    c->n_made = n_file;
    for (int i = 0; i < n_file; i++) c->made[i] = stamp_of(c->dir, file[i]);
    c->remade = true;
}

/** Runs and results that were asked for. */
static void drop_unseen(tx_run_cache *c)
{
    int n = 0, m = 0;
    for (int i = 0; i < c->n; i++) {
        entry e = c->run[n];
        if (!c->run[i].seen) continue;
        c->run[n++] = c->run[i];
        c->run[i] = e;
    }
    for (int i = 0; i < c->n_result; i++)
        if (c->result[i].seen || !c->remade) c->result[m++] = c->result[i];
    c->n_result = m;
    for (int i = n; i < c->n; i++) {
        free(c->run[i].folder);
        if (c->run[i].owned) free(c->run[i].packed.p);
    }
    c->n = n;
}

static void write_cache(tx_run_cache *c)
{
    enum { TRAILER = sizeof TX_H5_TRAILER - 1 + TX_SHA256_TEXT };
    char *said = tx_strdup(tx_last_error());
    stream s = {0};
    char sum[TX_SHA256_TEXT], trailer[TRAILER + 1];
    tx_text path = {0};
    put_cache(&s, c);
    tx_sha256_of(s.p, s.n, sum);
    snprintf(trailer, sizeof trailer, "%s%s\n", TX_H5_TRAILER, sum);
    put_bytes(&s, trailer, TRAILER);
    tx_text_add(&path, "%s/" TX_RUN_CACHE_NAME, c->dir);
    /* Where it cannot be written, everything is read again: nothing to complain of. */
    if (tx_commit(path.s, s.p, s.n) != TX_OK) tx_fail(TX_OK, "%s", said);
    tx_text_free(&path);
    free(said);
    free(s.p);
}

void tx_run_cache_close(tx_run_cache *c)
{
    if (c->learnt >= WORTH || (c->remade && c->seen >= WORTH)) {
        drop_unseen(c);
        write_cache(c);
    }
    forget(c);
    end_sum(c);
    free(c->dir);
    free(c);
}
