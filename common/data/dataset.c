#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/internal.h"
#include "common/base/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are hashed as they lie in memory: little-endian");

static const char *const split_names[TX_N_SPLIT + 1] = {"train", "valid", "test", "simulated"};
static const char *const type_names[] = {"binary", "levels", "real"};

const char *tx_split_name(tx_split s) { return split_names[s]; }

#define FIELD(f) offsetof(tx_data_config, f)
const tx_option tx_data_options[] = {
    {"name", TX_OPT_STRING, FIELD(name), "", 0, 0, NULL, "registered data set, or a folder under $TAXON_DATA", NULL},
    {"path", TX_OPT_STRING, FIELD(path), "", 0, 0, NULL,
     "file or folder, instead of a name; its format is told from the content", NULL},
    {"type", TX_OPT_CHOICE, FIELD(type), "auto", 0, 0, "auto|" TX_DATA_TYPE_CHOICES,
     "what the numbers are; auto: 0/1 binary, 0..255 levels, else real", NULL},
    {"levels", TX_OPT_INT, FIELD(levels), "0", 0, 256, NULL,
     "number of levels K of {0..K-1}; 0: largest level + 1, 256 for images in IDX", NULL},
    {"split_key", TX_OPT_INT, FIELD(split_key), "0", 0, INT_MAX, NULL,
     "key of the permutation that splits a single file 80/10/10", NULL},
    {"n_train", TX_OPT_INT, FIELD(n_train), "0", 0, INT_MAX, NULL,
     "first so many training rows; 0: all (built-in sets: 50000)", NULL},
    {"n_valid", TX_OPT_INT, FIELD(n_valid), "0", 0, INT_MAX, NULL,
     "first so many validation rows; 0: all (built-in sets: 10000)", NULL},
    {"n_test", TX_OPT_INT, FIELD(n_test), "0", 0, INT_MAX, NULL,
     "first so many test rows; 0: all (built-in sets: 10000)", NULL},
    {"label_column", TX_OPT_INT, FIELD(label_column), "-1", -1, INT_MAX, NULL,
     "column of a text file that is a label 0..255, counted from 0; -1: none", NULL},
    {0},
};

void tx_note(FILE *note, const char *fmt, ...)
{
    if (!note) return;
    va_list a;
    va_start(a, fmt);
    vfprintf(note, fmt, a);
    va_end(a);
    fputc('\n', note);
}

void tx_sources_free(tx_source src[], int n)
{
    for (int i = 0; i < n; i++) {
        tx_table_free(&src[i].table);
        free(src[i].label);
        src[i].label = NULL;
    }
}

static double at(const tx_table *t, size_t i) { return t->u8 ? t->u8[i] : t->f32[i]; }

static tx_status take_labels(tx_source *s, int column)
{
    tx_table *t = &s->table;
    const size_t c = (size_t)column, d = t->dim;
    if (t->height || c >= d || d < 2)
        return tx_fail(TX_ECONFIG, "%s: label_column %d: expected a column from 0 to %zu of a table of numbers",
                       s->path, column, d < 2 ? 0 : d - 1);
    s->label = tx_alloc(t->n, 1);
    for (size_t i = 0; i < t->n; i++) {
        const double v = at(t, i * d + c);
        if (!(v >= 0 && v <= 255 && v == floor(v)))
            return tx_fail(TX_EDATA, "%s: row %zu, column %zu: expected a label 0..255, found %g", s->path, i + 1,
                           c + 1, v);
        s->label[i] = (uint8_t)v;
        const size_t size = t->u8 ? 1 : sizeof *t->f32, to = i * (d - 1), from = i * d;
        char *x = t->u8 ? (char *)t->u8 : (char *)t->f32;
        memmove(x + to * size, x + from * size, c * size);
        memmove(x + (to + c) * size, x + (from + c + 1) * size, (d - 1 - c) * size);
    }
    t->dim = d - 1;
    return TX_OK;
}

/* Whether all are integers 0..255, and the largest. */
static bool integers(const tx_table *t, double *largest)
{
    const size_t len = t->n * t->dim;
    uint8_t top = 0;
    bool yes = true;
    for (size_t i = 0; t->u8 && i < len; i++) top = t->u8[i] > top ? t->u8[i] : top;
    *largest = fmax(*largest, top);
    for (size_t i = 0; t->f32 && yes && i < len; i++) {
        yes = t->f32[i] >= 0 && t->f32[i] <= 255 && t->f32[i] == floorf(t->f32[i]);
        *largest = fmax(*largest, (double)t->f32[i]);
    }
    return yes;
}

static tx_status decide_type(tx_dataset *d, const tx_data_config *c, const tx_source src[], int n, FILE *note)
{
    bool all = true, idx = false;
    double largest = 0;
    for (int i = 0; i < n; i++) {
        all = integers(&src[i].table, &largest) && all;
        idx = idx || (src[i].table.height && strncmp(src[i].table.note, "IDX", 3) == 0);
    }
    if (c->type == 0)
        d->type = !all ? TX_REAL : c->levels > 2 ? TX_LEVELS : largest <= 1 || c->levels == 2 ? TX_BINARY : TX_LEVELS;
    else
        d->type = (tx_data_type)(c->type - 1);
    if (c->levels && (c->levels == 1 || d->type == TX_REAL || (d->type == TX_BINARY && c->levels != 2)))
        return tx_fail(TX_ECONFIG, "%s: levels: %d does not go with data of type %s%s", src[0].path, c->levels,
                       type_names[d->type], c->type ? "" : " (inferred from the content)");
    const int inferred = idx ? 256 : largest < 1 ? 2 : (int)fmin(largest, 255) + 1;
    d->levels = d->type == TX_REAL ? 0 : d->type == TX_BINARY ? 2 : c->levels ? c->levels : inferred;
    if (d->levels == 2) d->type = TX_BINARY;
    if (d->levels)
        tx_note(note, "%s: type %s, %d levels%s", d->name, type_names[d->type], d->levels,
                c->type ? "" : " (inferred)");
    else
        tx_note(note, "%s: type real%s", d->name, c->type ? "" : " (inferred)");
    return TX_OK;
}

static tx_status check_range(const tx_dataset *d, const tx_source *s)
{
    const tx_table *t = &s->table;
    const bool any = d->levels == 0 || (t->u8 && d->levels == 256);
    for (size_t i = 0; !any && i < t->n * t->dim; i++) {
        const double v = at(t, i);
        if (!(v >= 0 && v < d->levels && v == (int)v))
            return tx_fail(TX_EDATA, "%s: row %zu, column %zu: expected an integer 0..%d (type %s), found %.9g",
                           s->path, i / t->dim + 1, i % t->dim + 1, d->levels - 1, type_names[d->type], v);
    }
    return TX_OK;
}

static void convert(const tx_dataset *d, tx_table *t)
{
    const size_t len = t->n * t->dim;
    if (d->levels && t->f32) {
        t->u8 = tx_alloc(len, 1);
        for (size_t i = 0; i < len; i++) t->u8[i] = (uint8_t)t->f32[i];
        free(t->f32);
        t->f32 = NULL;
    } else if (!d->levels && t->u8) {
        t->f32 = tx_alloc(len, sizeof *t->f32);
        for (size_t i = 0; i < len; i++) t->f32[i] = t->u8[i];
        free(t->u8);
        t->u8 = NULL;
    }
}

static void *permuted(void *old, const uint32_t perm[], size_t n, size_t bytes)
{
    char *fresh = tx_alloc(n, bytes);
    for (size_t i = 0; i < n; i++) memcpy(fresh + i * bytes, (char *)old + perm[i] * bytes, bytes);
    free(old);
    return fresh;
}

static void permute(tx_source *s, uint64_t key)
{
    tx_table *t = &s->table;
    uint32_t *perm = tx_alloc(t->n, sizeof *perm);
    tx_rng_permutation(tx_rng_named(tx_rng_root(key), "split"), t->n, perm);
    if (t->u8) t->u8 = permuted(t->u8, perm, t->n, t->dim);
    if (t->f32) t->f32 = permuted(t->f32, perm, t->n, t->dim * sizeof *t->f32);
    if (s->label) s->label = permuted(s->label, perm, t->n, 1);
    free(perm);
}

static tx_status same_shape(const tx_source src[], int n)
{
    const tx_table *a = &src[0].table;
    for (int i = 1; i < n; i++) {
        const tx_table *b = &src[i].table;
        if (a->dim != b->dim || a->height != b->height || a->width != b->width)
            return tx_fail(TX_EDATA, "%s: expected rows of %zu value%s (%zu x %zu) as in %s, found %zu (%zu x %zu)",
                           src[i].path, a->dim, tx_plural((long long)a->dim), a->height, a->width, src[0].path, b->dim,
                           b->height, b->width);
    }
    return TX_OK;
}

static void place_split(tx_dataset *d, tx_split s, const tx_data_config *c, const tx_source *src, tx_cut cut,
                        bool shuffled)
{
    const int limit[TX_N_SPLIT] = {c->n_train, c->n_valid, c->n_test};
    const size_t n = limit[s] && (size_t)limit[s] < cut.n ? (size_t)limit[s] : cut.n, dim = src->table.dim;
    const char *base = strrchr(src->path, '/');
    d->split[s].n = n;
    d->split[s].level = src->table.u8 ? src->table.u8 + cut.from * dim : NULL;
    d->split[s].value = src->table.f32 ? src->table.f32 + cut.from * dim : NULL;
    d->split[s].label = src->label ? src->label + cut.from : NULL;
    base = base ? base + 1 : src->path;
    if (shuffled)
        snprintf(d->split[s].origin, TX_TEXT_MAX,
                 "places %zu..%zu of the permutation (split_key %d) of the %zu rows of %.200s", cut.from,
                 cut.from + n - 1, c->split_key, src->table.n, base);
    else
        snprintf(d->split[s].origin, TX_TEXT_MAX, "rows %zu..%zu of %.200s", cut.from, cut.from + n - 1, base);
}

static void keep(tx_dataset *d, void *memory)
{
    size_t i = 0;
    while (d->memory[i]) TX_REQUIRE(++i < TX_LEN(d->memory), "%s: too many arrays", d->name);
    d->memory[i] = memory;
}

tx_status tx_dataset_build(tx_dataset *d, const tx_data_config *c, tx_source src[], int n_source,
                           const tx_cut cut[TX_N_SPLIT], FILE *note)
{
    for (int i = 0; i < n_source; i++) tx_note(note, "%s: %s", src[i].path, src[i].table.note);
    for (int i = 0; c->label_column >= 0 && i < n_source; i++) TX_TRY(take_labels(&src[i], c->label_column));
    TX_TRY(same_shape(src, n_source));
    TX_TRY(decide_type(d, c, src, n_source, note));
    for (int i = 0; i < n_source; i++) TX_TRY(check_range(d, &src[i]));
    const tx_table *t = &src[0].table;
    d->dim = t->dim;
    d->height = t->height;
    d->width = t->width;
    d->channel = t->channel;
    const char *unit = d->type == TX_LEVELS ? (t->height ? "grey level, 0 = black" : "level") : "1";
    tx_copy_text(d->unit, sizeof d->unit, unit);
    for (int i = 0; i < n_source; i++) {
        convert(d, &src[i].table);
        if (n_source == 1) permute(&src[i], (uint64_t)c->split_key);
    }
    for (int s = 0; s < TX_N_SPLIT; s++) {
        place_split(d, (tx_split)s, c, &src[cut[s].source], cut[s], n_source == 1);
        tx_note(note, "%s: %s = %s", d->name, split_names[s], d->split[s].origin);
    }
    for (int i = 0; i < n_source; i++) {
        keep(d, src[i].table.u8 ? (void *)src[i].table.u8 : src[i].table.f32);
        if (src[i].label) keep(d, src[i].label);
        src[i] = (tx_source){0};
    }
    return TX_OK;
}

tx_status tx_builtin_alloc(tx_dataset *d, const tx_data_config *c, const char *name, bool labels)
{
    const int asked[TX_N_SPLIT] = {c->n_train, c->n_valid, c->n_test};
    const size_t dflt[TX_N_SPLIT] = {50000, 10000, 10000};
    if (c->type || c->levels || c->label_column >= 0)
        return tx_fail(TX_ECONFIG, "%s: type, levels and label_column of a built-in set are fixed: leave them out",
                       name);
    tx_copy_text(d->name, sizeof d->name, name);
    snprintf(d->source, sizeof d->source, "built-in, drawn from its known density");
    tx_copy_text(d->unit, sizeof d->unit, "1");
    for (int s = 0; s < TX_N_SPLIT; s++) {
        d->split[s].n = asked[s] ? (size_t)asked[s] : dflt[s];
        void *x = tx_alloc(d->split[s].n * d->dim, d->levels ? 1 : sizeof(float));
        keep(d, x);
        d->split[s].level = d->levels ? x : NULL;
        d->split[s].value = d->levels ? NULL : x;
        if (labels) keep(d, (void *)(d->split[s].label = tx_alloc(d->split[s].n, 1)));
        snprintf(d->split[s].origin, TX_TEXT_MAX, "draws 0..%zu of stream 'dataset', '%s', '%s'", d->split[s].n - 1,
                 name, split_names[s]);
    }
    return TX_OK;
}

tx_rng tx_builtin_rng(const tx_dataset *d, tx_split s)
{
    return tx_rng_named(tx_rng_named(tx_rng_named(tx_rng_root(0), "dataset"), d->name), split_names[s]);
}

static void hash(tx_dataset *d)
{
    char text[256];
    tx_sha256 *h = tx_sha256_new();
    snprintf(text, sizeof text, "%s %d levels, %zu = %zu x %zu x %zu", type_names[d->type], d->levels, d->dim,
             d->height, d->width, d->channel);
    tx_sha256_add_text(h, text);
    for (int s = 0; s < TX_N_SPLIT; s++) {
        const size_t len = d->split[s].n * d->dim;
        snprintf(text, sizeof text, "%s %zu %s", split_names[s], d->split[s].n,
                 d->split[s].label ? "labels" : "no labels");
        tx_sha256_add_text(h, text);
        if (d->levels)
            tx_sha256_add(h, d->split[s].level, len);
        else
            tx_sha256_add(h, d->split[s].value, len * sizeof(float));
        if (d->split[s].label) tx_sha256_add(h, d->split[s].label, d->split[s].n);
    }
    tx_sha256_end(h, d->sha256);
}

static tx_status load(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    if (!c->name[0] == !c->path[0])
        return tx_fail(TX_ECONFIG,
                       "a data set needs exactly one of name and path, found name '%.100s' and path '%.100s'", c->name,
                       c->path);
    if (c->path[0]) return tx_load_path(d, c->path, c, note);
    const tx_set_ops *set = tx_set_find(c->name);
    if (!set) return tx_load_named(d, c, note);
    d->citation = set->citation;
    return set->load(d, c, note);
}

tx_status tx_dataset_open(tx_dataset *out, const tx_data_config *c, FILE *note)
{
    tx_dataset d = {0};
    tx_status status = load(&d, c, note);
    if (status == TX_OK) {
        hash(&d);
        *out = d;
    } else {
        tx_dataset_close(&d);
    }
    return status;
}

void tx_dataset_close(tx_dataset *d)
{
    for (size_t i = 0; i < TX_LEN(d->memory); i++) free(d->memory[i]);
    free(d->state);
    *d = (tx_dataset){0};
}
