#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/moments.h"
#include "common/store/compare_table.h"
#include "common/store/paired.h"
#include "common/store/parts.h"
#include "common/store/values.h"

enum { PATH = 4 * TX_NAME_MAX };
static const double array_limit = 1e9; /* bytes of per-example values in the whole file */

/** One group DATASET-VIEW/SPLIT: cells of a block by (model, estimator, seed). */
typedef struct table {
    tx_h5 *file;
    const tx_block *block;
    tx_values *values;
    tx_run_cache *cache; /* NULL: nothing is known of earlier comparisons */
    tx_split split;
    size_t n_model, n_estimator, n_seed, n_example;
    const char **estimator;   /* [n_estimator] names of estimates */
    const tx_estimate **cell; /* [n_model,n_estimator,n_seed]; NULL where missing */
    tx_moments *seeds;        /* [n_model,n_estimator]: means of the complete runs */
    struct paired {
        int best; /* model, -1: none */
        tx_difference difference;
    } * paired; /* [n_model,n_estimator]: against the best model; NULL in `simulated` */
} table;

static const tx_estimate *first_cell(const table *t, size_t m, size_t e)
{
    for (size_t s = 0; s < t->n_seed; s++)
        if (t->cell[(m * t->n_estimator + e) * t->n_seed + s]) return t->cell[(m * t->n_estimator + e) * t->n_seed + s];
    return NULL;
}

/** Means of the complete runs. */
static tx_moments seeds_of(const table *t, size_t m, size_t e)
{
    tx_moments o = {0};
    for (size_t s = 0; s < t->n_seed; s++) {
        const tx_estimate *c = t->cell[(m * t->n_estimator + e) * t->n_seed + s];
        if (c && tx_run_complete(t->block->at[m * t->n_seed + s])) tx_moments_add(&o, c->mean);
    }
    return o;
}

static void table_new(table *t, tx_h5 *f, const tx_block *b, tx_split split)
{
    size_t cap = 1;
    for (int i = 0; i < b->n; i++) cap += (size_t)b->run[i]->n_estimate;
    *t = (table){.file = f, .block = b, .split = split, .n_model = (size_t)b->n_label, .n_seed = (size_t)b->n_seed};
    t->estimator = tx_alloc(cap, sizeof *t->estimator);
    for (int i = 0; i < b->n; i++)
        for (int k = 0; k < b->run[i]->n_estimate; k++) {
            const tx_estimate *e = &b->run[i]->estimate[k];
            size_t known = 0;
            while (known < t->n_estimator && strcmp(t->estimator[known], e->name) != 0) known++;
            if (e->split == split && known == t->n_estimator) t->estimator[t->n_estimator++] = e->name;
        }
    t->cell = tx_alloc(t->n_model * t->n_estimator * t->n_seed, sizeof *t->cell);
    for (size_t c = 0; c < t->n_model * t->n_estimator * t->n_seed; c++) {
        size_t m = c / t->n_seed / t->n_estimator, e = c / t->n_seed % t->n_estimator, s = c % t->n_seed;
        t->cell[c] = tx_run_estimate(b->at[m * t->n_seed + s], split, t->estimator[e]);
        if (t->cell[c] && !tx_same_method(t->cell[c], first_cell(t, m, e))) t->cell[c] = NULL;
        if (t->cell[c] && t->cell[c]->n > t->n_example) t->n_example = t->cell[c]->n;
    }
    t->seeds = tx_alloc(t->n_model * t->n_estimator, sizeof *t->seeds);
    for (size_t i = 0; i < t->n_model * t->n_estimator; i++)
        t->seeds[i] = seeds_of(t, i / t->n_estimator, i % t->n_estimator);
}

static void table_free(table *t)
{
    free(t->estimator);
    free(t->cell);
    free(t->seeds);
    free(t->paired);
}

/** `axes`: a letter for each axis: model, estimator, seed, x = example. Nothing is put where an axis is empty. */
static void put(const table *t, const char *group, const char *name, tx_h5_type type, const char *axes,
                const void *data, const char *unit, const char *long_name)
{
    const struct {
        char letter;
        const char *name;
        size_t n;
    } axis[] = {{'m', "model", t->n_model},
                {'e', "estimator", t->n_estimator},
                {'s', "seed", t->n_seed},
                {'x', "example", t->n_example}};
    tx_h5_array a = {
        .group = group, .name = name, .type = type, .data = data, .unit = unit, .long_name = long_name, .by_row = true};
    for (; *axes; axes++)
        for (size_t i = 0; i < TX_LEN(axis); i++)
            if (axis[i].letter == *axes) {
                a.dim[a.rank].name = axis[i].name;
                a.dim[a.rank++].n = axis[i].n;
                if (axis[i].n == 0) return;
            }
    tx_h5_put(t->file, &a);
}

/** The first run of a model and the first cell of (model, estimator). */
static const tx_run_info *first_run(const table *t, size_t m)
{
    for (size_t s = 0; s < t->n_seed; s++)
        if (t->block->at[m * t->n_seed + s]) return t->block->at[m * t->n_seed + s];
    return NULL;
}

static void put_model_texts(const table *t, const char *group)
{
    const char **text = tx_alloc(t->n_model, sizeof *text);
    put(t, group, "model", TX_H5_TEXT, "m", t->block->label, NULL, "label of the model in this comparison");
    const struct {
        const char *name, *long_name;
        size_t offset;
    } column[] = {
        {"group", "label without grid values: variants of a group compete on valid", offsetof(tx_run_info, group)},
        {"architecture", "name of the model", offsetof(tx_run_info, model)},
        {"taxonomy_path", "place in the taxonomy", offsetof(tx_run_info, taxonomy_path)}};
    for (size_t k = 0; k < TX_LEN(column); k++) {
        for (size_t m = 0; m < t->n_model; m++) {
            text[m] = (const char *)first_run(t, m) + column[k].offset;
            if (!text[m][0]) text[m] = "none";
        }
        put(t, group, column[k].name, TX_H5_TEXT, "m", text, NULL, column[k].long_name);
    }
    free(text);
}

static const char *kind_of(const tx_estimate *e) { return tx_kind_name(e->kind); }
static const char *measure_of(const tx_estimate *e) { return tx_measure_name(e->measure); }
static const char *method_of(const tx_estimate *e) { return e->estimator; }
static const char *evaluated_of(const tx_estimate *e) { return e->evaluated_model; }
static const char *bits_kind_of(const tx_estimate *e)
{
    return isfinite(e->bits_per_dim) ? tx_kind_name(e->bits_kind) : "";
}

static void put_cell_texts(const table *t, const char *group)
{
    static const struct {
        const char *name, *long_name, *(*of)(const tx_estimate *e);
    } column[] = {
        {"kind", "what the number is: exact, lower_bound, upper_bound, estimate or none", kind_of},
        {"bits_kind", "what bits per dimension are as a code length: as kind, or none", bits_kind_of},
        {"measure", "measure of the likelihood: counting, lebesgue or none", measure_of},
        {"method", "registered name of the estimator", method_of},
        {"evaluated_model", "the distribution that was evaluated", evaluated_of},
    };
    size_t n = t->n_model * t->n_estimator;
    const char **text = tx_alloc(n, sizeof *text);
    uint8_t *stochastic = tx_alloc(n, 1);
    for (size_t k = 0; k < TX_LEN(column); k++) {
        for (size_t i = 0; i < n; i++) {
            const tx_estimate *e = first_cell(t, i / t->n_estimator, i % t->n_estimator);
            text[i] = e && *column[k].of(e) ? column[k].of(e) : "none";
            stochastic[i] = e && e->stochastic;
        }
        put(t, group, column[k].name, TX_H5_TEXT, "me", text, NULL, column[k].long_name);
    }
    put(t, group, "stochastic", TX_H5_U8, "me", stochastic, "1", "1: holds in expectation only, or noisy");
    free(stochastic);
    free(text);
}

/** Coordinates and labels, in the group of the examples and in that of the summaries alike. */
static void put_labels(const table *t, const char *group)
{
    static const uint8_t flag[] = {0, 1, 2};
    uint8_t *status = tx_alloc(t->n_model * t->n_seed, 1);
    for (size_t i = 0; i < t->n_model * t->n_seed; i++)
        status[i] = flag[!t->block->at[i] ? 2 : !tx_run_complete(t->block->at[i])];
    char path[PATH];
    snprintf(path, sizeof path, "%s/status", group);
    put_model_texts(t, group);
    put(t, group, "estimator", TX_H5_TEXT, "e", t->estimator, NULL,
        "name of the estimate: its estimator's, or the one that was given");
    put(t, group, "seed", TX_H5_I32, "s", t->block->seed, "1", "seed of the run");
    put_cell_texts(t, group);
    put(t, group, "chosen", TX_H5_U8, "m", t->block->chosen, "1",
        "1: the variant of its group with the best score on valid");
    put(t, group, "status", TX_H5_U8, "ms", status, "1", "how the run ended");
    tx_h5_set_u8(t->file, path, "flag_values", TX_LEN(flag), flag);
    tx_h5_set_text(t->file, path, "flag_meanings", "complete diverged missing");
    free(status);
}

static const tx_run_info *run_of(const table *t, size_t cell)
{
    return t->block->at[cell / t->n_seed / t->n_estimator * t->n_seed + cell % t->n_seed];
}

/** Values of models [first, first + n): rows of `log_likelihood`. */
static void fill_examples(void *ctx, size_t first, size_t n, void *to)
{
    const table *t = ctx;
    double *value = to;
    size_t row = t->n_estimator * t->n_seed;
    for (size_t c = first * row; c < (first + n) * row; c++, value += t->n_example) {
        for (size_t i = 0; i < t->n_example; i++) value[i] = NAN;
        if (!t->cell[c] || !tx_values_has(run_of(t, c), t->cell[c]) || t->file->status != TX_OK) continue;
        t->file->status = tx_values_get(t->values, run_of(t, c), t->cell[c], value);
    }
}

static void put_examples(table *t, const char *group)
{
    size_t n = t->n_example;
    int32_t *example = tx_alloc(n, sizeof *example);
    for (size_t i = 0; i < n; i++) example[i] = (int32_t)i;
    put(t, group, "example", TX_H5_I32, "x", example, "1", "row of the split, from 0");
    free(example);
    tx_h5_put(t->file,
              &(tx_h5_array){
                  .group = group,
                  .name = "log_likelihood",
                  .type = TX_H5_F64,
                  .rank = 4,
                  .dim = {{"model", t->n_model}, {"estimator", t->n_estimator}, {"seed", t->n_seed}, {"example", n}},
                  .fill = fill_examples,
                  .ctx = t,
                  .unit = "nat",
                  .long_name = "log-likelihood of each example in the unit of the data",
                  .by_row = true});
}

/** The chosen model of the highest mean among those of the same estimator, kind, measure and number of examples; -1
 * where there is none. */
static int best_of(const table *t, size_t m, size_t e)
{
    const tx_estimate *own = first_cell(t, m, e);
    int best = -1;
    double best_mean = -INFINITY;
    for (size_t k = 0; own && k < t->n_model; k++) {
        const tx_estimate *other = first_cell(t, k, e);
        double mean = tx_moments_mean(&t->seeds[k * t->n_estimator + e]);
        bool comparable = other && other->kind == own->kind && other->measure == own->measure && other->n == own->n;
        if (!comparable || !t->block->chosen[k]) continue;
        if (mean > best_mean) {
            best = (int)k;
            best_mean = mean;
        }
    }
    return best;
}

/** The cell of a run that is complete and tells its examples' values; NULL without. */
static const tx_estimate *paired_cell(const table *t, size_t m, size_t e, size_t s)
{
    size_t c = (m * t->n_estimator + e) * t->n_seed + s;
    bool counts = t->cell[c] && tx_run_complete(run_of(t, c)) && tx_values_has(run_of(t, c), t->cell[c]);
    return counts ? t->cell[c] : NULL;
}

/** Of all that the difference of two models depends on; false where it is not only files. */
static bool difference_key(const table *t, const size_t model[2], size_t e, char key[TX_SHA256_TEXT])
{
    tx_sha256 *sum = tx_sha256_new();
    bool known = t->cache != NULL;
    for (size_t i = 0; i < 2 * t->n_seed; i++) {
        const tx_estimate *c = paired_cell(t, model[i % 2], e, i / 2);
        const tx_run_source *file = c ? tx_run_source_of(t->block->at[model[i % 2] * t->n_seed + i / 2], c) : NULL;
        known &= !c || file;
        tx_sha256_add_text(sum, file ? file->content_sha256 : "");
        tx_sha256_add_text(sum, file ? tx_split_name(c->split) : "");
        tx_sha256_add_text(sum, file ? c->name : "");
    }
    tx_sha256_end(sum, key);
    return known;
}

/** The same with its values, to be freed with free_side. */
static tx_estimate **load_side(const table *t, size_t m, size_t e)
{
    tx_estimate **side = tx_alloc(t->n_seed, sizeof *side);
    for (size_t s = 0; s < t->n_seed && t->file->status == TX_OK; s++) {
        const tx_estimate *c = paired_cell(t, m, e, s);
        if (!c) continue;
        side[s] = tx_alloc(1, sizeof *side[s]);
        *side[s] = (tx_estimate){.split = c->split, .n = c->n, .log_likelihood = tx_alloc(c->n, sizeof(double))};
        t->file->status = tx_values_get(t->values, t->block->at[m * t->n_seed + s], c, side[s]->log_likelihood);
    }
    return side;
}

static void free_side(const table *t, tx_estimate **side)
{
    for (size_t s = 0; s < t->n_seed; s++) {
        if (side[s]) tx_estimate_free(side[s]);
        free(side[s]);
    }
    free(side);
}

/** Model m minus `best` over the seeds that both completed. */
static tx_difference difference_of(const table *t, size_t m, size_t best, size_t e)
{
    char key[TX_SHA256_TEXT];
    bool keyed = difference_key(t, (size_t[]){m, best}, e, key);
    const tx_difference *known = keyed ? tx_run_cache_difference(t->cache, key) : NULL;
    if (known) return *known;
    tx_estimate **a = load_side(t, m, e), **b = load_side(t, best, e);
    tx_difference d = {0};
    if (t->file->status == TX_OK)
        d = tx_paired_difference((int)t->n_seed, (const tx_estimate *const *)a, (const tx_estimate *const *)b);
    if (t->file->status == TX_OK && keyed) tx_run_cache_keep(t->cache, key, &d);
    free_side(t, a);
    free_side(t, b);
    return d;
}

static void put_over_seeds(const table *t, const char *group)
{
    size_t n = t->n_model * t->n_estimator;
    double *mean = tx_alloc(n, sizeof *mean), *error = tx_alloc(n, sizeof *error);
    int32_t *count = tx_alloc(n, sizeof *count);
    for (size_t i = 0; i < n; i++) {
        tx_moments o = t->seeds[i];
        mean[i] = tx_moments_mean(&o), error[i] = tx_moments_error(&o), count[i] = (int32_t)o.n;
    }
    put(t, group, "n_complete", TX_H5_I32, "me", count, "1", "complete runs behind the mean over seeds");
    put(t, group, "seed_mean", TX_H5_F64, "me", mean, "nat", "mean over seeds of the mean log-likelihood");
    put(t, group, "seed_error", TX_H5_F64, "me", error, "nat", "standard error of that mean over seeds");
    free(count);
    free(error);
    free(mean);
}

/** Of all splits, model by model: the values of one are in memory for as long as they are needed. */
static void find_differences(int n, table t[])
{
    for (int k = 0; k < n; k++)
        if (t[k].split != TX_SIMULATED) t[k].paired = tx_alloc(t[k].n_model * t[k].n_estimator, sizeof *t[k].paired);
    for (size_t m = 0; n > 0 && m < t[0].n_model; m++)
        for (int k = 0; k < n; k++)
            for (size_t e = 0; t[k].paired && e < t[k].n_estimator; e++) {
                struct paired *p = &t[k].paired[m * t[k].n_estimator + e];
                p->best = best_of(&t[k], m, e);
                p->difference = p->best < 0 ? (tx_difference){0, 0, NAN, NAN, NAN}
                                            : difference_of(&t[k], m, (size_t)p->best, e);
            }
}

static void put_differences(const table *t, const char *group)
{
    size_t n = t->n_model * t->n_estimator;
    double *difference = tx_alloc(n, sizeof *difference), *paired = tx_alloc(n, sizeof *paired);
    double *between = tx_alloc(n, sizeof *between);
    int32_t *count = tx_alloc(n, sizeof *count);
    const char **to = tx_alloc(n, sizeof *to);
    for (size_t i = 0; i < n; i++) {
        int best = t->paired[i].best;
        tx_difference d = t->paired[i].difference;
        to[i] = best < 0 ? "none" : t->block->label[best];
        difference[i] = d.mean, paired[i] = d.error, between[i] = d.seed_error, count[i] = d.n_pair;
    }
    put(t, group, "difference_to", TX_H5_TEXT, "me", to, NULL,
        "best chosen model of the same estimator, kind, measure and number of examples");
    put(t, group, "difference", TX_H5_F64, "me", difference, "nat",
        "mean over examples of this model minus difference_to");
    put(t, group, "difference_error", TX_H5_F64, "me", paired, "nat",
        "standard error over examples of that paired difference");
    put(t, group, "difference_seed_error", TX_H5_F64, "me", between, "nat",
        "standard error over seeds of that paired difference");
    put(t, group, "n_paired", TX_H5_I32, "me", count, "1", "seeds that both completed");
    free(to);
    free(count);
    free(between);
    free(paired);
    free(difference);
}

/** What rows that the model drew itself say about the estimator. */
static void put_gaps(const table *t, const char *group)
{
    static const struct {
        const char *name, *long_name;
    } column[] = {{"gap_mean", "mean over drawn rows of the upper minus the lower bound"},
                  {"gap_error", "standard error over drawn rows of that gap"},
                  {"gap_mc_error", "Monte Carlo standard error of that gap"}};
    size_t n = t->n_model * t->n_estimator * t->n_seed;
    double *value = tx_alloc(n, sizeof *value);
    for (size_t k = 0; k < TX_LEN(column); k++) {
        for (size_t c = 0; c < n; c++) value[c] = t->cell[c] ? tx_estimate_setting(t->cell[c], column[k].name) : NAN;
        put(t, group, column[k].name, TX_H5_F64, "mes", value, "nat", column[k].long_name);
    }
    free(value);
}

/** Metrics, costs and timings of the runs as PREFIX_NAME (model, seed). */
static void put_run_numbers(const table *t, const char *group, const char *prefix, size_t offset)
{
    size_t n = t->n_model * t->n_seed;
    double *value = tx_alloc(n, sizeof *value);
    tx_numbers done = {0};
    for (size_t i = 0; i < n; i++) {
        const tx_run_info *r = t->block->at[i];
        const tx_numbers *own = r ? *(const tx_numbers *const *)((const char *)r + offset) : NULL;
        for (int k = 0; own && k < own->n && done.n < TX_MAX_NUMBERS; k++) {
            const char *name = own->m[k].name;
            char full[2 * TX_NAME_MAX];
            bool known = false;
            for (int j = 0; j < done.n; j++) known |= strcmp(done.m[j].name, name) == 0;
            if (known) continue;
            tx_numbers_add(&done, name, own->m[k].unit, 0, own->m[k].long_name);
            for (size_t j = 0; j < n; j++) {
                const tx_run_info *other = t->block->at[j];
                value[j] = other ? tx_numbers_get(*(const tx_numbers *const *)((const char *)other + offset), name)
                                 : NAN;
            }
            snprintf(full, sizeof full, "%s_%s", prefix, name);
            put(t, group, full, TX_H5_F64, "ms", value, own->m[k].unit, own->m[k].long_name);
        }
    }
    free(value);
}

static void put_summary(const table *t, const char *group)
{
    static const struct {
        const char *name, *unit, *long_name;
        size_t offset;
    } column[] = {{"mean", "nat", "mean log-likelihood", offsetof(tx_estimate, mean)},
                  {"mean_error", "nat", "standard error of the mean over examples", offsetof(tx_estimate, mean_error)},
                  {"mc_error", "nat", "Monte Carlo standard error of the mean", offsetof(tx_estimate, mc_error)},
                  {"bits_per_dim", "bit/dim", "bits per dimension of the mean", offsetof(tx_estimate, bits_per_dim)}};
    static const struct {
        const char *prefix;
        size_t offset;
    } number[] = {{"metric", offsetof(tx_run_info, metrics)},
                  {"cost", offsetof(tx_run_info, cost)},
                  {"timing", offsetof(tx_run_info, timing)}};
    size_t n = t->n_model * t->n_estimator * t->n_seed, n_run = t->n_model * t->n_seed;
    double *value = tx_alloc(n + n_run, sizeof *value);
    put_labels(t, group);
    for (size_t k = 0; k < TX_LEN(column); k++) {
        for (size_t c = 0; c < n; c++)
            value[c] = t->cell[c] ? *(const double *)((const char *)t->cell[c] + column[k].offset) : NAN;
        put(t, group, column[k].name, TX_H5_F64, "mes", value, column[k].unit, column[k].long_name);
    }
    put_over_seeds(t, group);
    if (t->split == TX_SIMULATED)
        put_gaps(t, group);
    else
        put_differences(t, group);
    for (size_t i = 0; i < n_run; i++) value[i] = t->block->at[i] ? t->block->at[i]->best_score : NAN;
    put(t, group, "best_score", TX_H5_F64, "ms", value, "nat", "selection score on valid");
    for (size_t k = 0; k < TX_LEN(number); k++) put_run_numbers(t, group, number[k].prefix, number[k].offset);
    free(value);
}

/** "DATASET-VIEW" with every character that readers may refuse as '_', and one '_' more while the name is taken. */
static void group_name(tx_h5 *f, const tx_run_info *r, char group[PATH])
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    snprintf(group, PATH, "/%.100s-%.20s", r->dataset, r->view);
    for (char *p = group + 1; *p; p++)
        if (!strchr(good, *p) || (p == group + 1 && strchr(".-", *p))) *p = '_';
    while (tx_h5_has(f, group)) strcat(group, "_");
}

/** Splits with estimates; `test` too where no model has a likelihood of data. */
static bool has_split(const tx_block *b, tx_split s)
{
    bool any = false;
    for (int i = 0; i < b->n; i++)
        for (int k = 0; k < b->run[i]->n_estimate; k++) {
            any |= b->run[i]->estimate[k].split != TX_SIMULATED;
            if (b->run[i]->estimate[k].split == s) return true;
        }
    return !any && s == TX_TEST;
}

static void put_block(tx_h5 *f, const tx_block *b, bool examples, tx_values *values, tx_run_cache *cache)
{
    char name[PATH], group[PATH + 16], summary[PATH + 32];
    group_name(f, b->run[0], name);
    tx_h5_group(f, name);
    tx_h5_set_text(f, name, "dataset", b->run[0]->dataset);
    tx_h5_set_text(f, name, "view", b->run[0]->view);
    tx_h5_set_text(f, name, "measure", b->run[0]->measure);
    bool one = true; /* the rows that are scored are the same, those that are trained on need not be */
    for (int i = 1; i < b->n; i++) one &= strcmp(b->run[i]->dataset_sha256, b->run[0]->dataset_sha256) == 0;
    tx_h5_set_text(f, name, "dataset_sha256", one ? b->run[0]->dataset_sha256 : "several");
    tx_h5_set_text(f, name, "view_sha256", b->run[0]->view_sha256);
    table all[TX_SIMULATED + 1];
    int n = 0;
    for (int s = 0; s <= TX_SIMULATED; s++) {
        if (!has_split(b, (tx_split)s)) continue;
        table_new(&all[n], f, b, (tx_split)s);
        all[n].values = values, all[n].cache = cache;
        n++;
    }
    find_differences(n, all);
    for (int k = 0; k < n; k++) {
        table *t = &all[k];
        snprintf(group, sizeof group, "%s/%s", name, tx_split_name(t->split));
        snprintf(summary, sizeof summary, "%s/summary", group);
        put_labels(t, group);
        /* Rows that a run drew itself are no other run's: they have no axis in common. */
        if (examples && t->n_example > 0 && t->split != TX_SIMULATED) put_examples(t, group);
        put_summary(t, summary);
        table_free(t);
    }
}

/** Bytes of all per-example values. */
static double array_bytes(int n_block, const tx_block block[])
{
    double bytes = 0;
    for (int b = 0; b < n_block; b++)
        for (int s = 0; s < TX_N_SPLIT; s++) {
            table t;
            table_new(&t, NULL, &block[b], (tx_split)s);
            bytes += (double)(t.n_model * t.n_estimator * t.n_seed) * (double)t.n_example * sizeof(double);
            table_free(&t);
        }
    return bytes;
}

tx_status tx_compare_h5(const char *path, int n_block, const tx_block block[], tx_run_cache *cache)
{
    tx_h5 *f = tx_h5_new(path, TX_SCHEMA_COMPARE, false);
    bool examples = array_bytes(n_block, block) <= array_limit;
    tx_values *values = tx_values_new();
    for (int b = 0; b < n_block; b++) put_block(f, &block[b], examples, values, cache);
    tx_values_free(values);
    return tx_h5_commit(f, NULL);
}
