#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/moments.h"
#include "common/store/compare_table.h"
#include "common/store/paired.h"
#include "common/store/parts.h"

enum { PATH = 4 * TX_NAME_MAX };
static const double array_limit = 1e9; /* bytes of per-example values in the whole file */

/** One group DATASET-VIEW/SPLIT: cells of a block by (model, estimator, seed). */
typedef struct table {
    tx_h5 *file;
    const tx_block *block;
    tx_split split;
    size_t n_model, n_estimator, n_seed, n_example;
    const char **estimator;   /* [n_estimator] names of estimates */
    const tx_estimate **cell; /* [n_model,n_estimator,n_seed]; NULL where missing */
} table;

static const tx_estimate *first_cell(const table *t, size_t m, size_t e)
{
    for (size_t s = 0; s < t->n_seed; s++)
        if (t->cell[(m * t->n_estimator + e) * t->n_seed + s]) return t->cell[(m * t->n_estimator + e) * t->n_seed + s];
    return NULL;
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
}

static void table_free(table *t)
{
    free(t->estimator);
    free(t->cell);
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

static void put_examples(const table *t, const char *group)
{
    size_t n = t->n_example, cells = t->n_model * t->n_estimator * t->n_seed;
    double *value = tx_alloc(cells * n, sizeof *value);
    int32_t *example = tx_alloc(n, sizeof *example);
    for (size_t i = 0; i < n; i++) example[i] = (int32_t)i;
    for (size_t c = 0; c < cells; c++)
        for (size_t i = 0; i < n; i++)
            value[c * n + i] = t->cell[c] && t->cell[c]->log_likelihood && i < t->cell[c]->n
                                   ? t->cell[c]->log_likelihood[i]
                                   : NAN;
    put(t, group, "example", TX_H5_I32, "x", example, "1", "row of the split, from 0");
    put(t, group, "log_likelihood", TX_H5_F64, "mesx", value, "nat",
        "log-likelihood of each example in the unit of the data");
    free(example);
    free(value);
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

/** The chosen model of the highest mean among those of the same estimator, kind, measure and number of examples; -1
 * where there is none. */
static int best_of(const table *t, size_t m, size_t e)
{
    const tx_estimate *own = first_cell(t, m, e);
    int best = -1;
    double best_mean = -INFINITY;
    for (size_t k = 0; own && k < t->n_model; k++) {
        const tx_estimate *other = first_cell(t, k, e);
        tx_moments seeds = seeds_of(t, k, e);
        double mean = tx_moments_mean(&seeds);
        bool comparable = other && other->kind == own->kind && other->measure == own->measure && other->n == own->n;
        if (!comparable || !t->block->chosen[k]) continue;
        if (mean > best_mean) {
            best = (int)k;
            best_mean = mean;
        }
    }
    return best;
}

/** Model m minus `best` over the seeds that both completed. */
static tx_difference difference_of(const table *t, size_t m, size_t best, size_t e)
{
    const tx_estimate **side[2];
    const size_t model[2] = {m, best};
    for (int k = 0; k < 2; k++) {
        side[k] = tx_alloc(t->n_seed, sizeof *side[k]);
        for (size_t s = 0; s < t->n_seed; s++) {
            const tx_estimate *c = t->cell[(model[k] * t->n_estimator + e) * t->n_seed + s];
            bool counts = c && c->log_likelihood && tx_run_complete(t->block->at[model[k] * t->n_seed + s]);
            side[k][s] = counts ? c : NULL;
        }
    }
    tx_difference d = tx_paired_difference((int)t->n_seed, side[0], side[1]);
    free(side[0]);
    free(side[1]);
    return d;
}

static void put_over_seeds(const table *t, const char *group)
{
    size_t n = t->n_model * t->n_estimator;
    double *mean = tx_alloc(n, sizeof *mean), *error = tx_alloc(n, sizeof *error);
    int32_t *count = tx_alloc(n, sizeof *count);
    for (size_t i = 0; i < n; i++) {
        tx_moments o = seeds_of(t, i / t->n_estimator, i % t->n_estimator);
        mean[i] = tx_moments_mean(&o), error[i] = tx_moments_error(&o), count[i] = (int32_t)o.n;
    }
    put(t, group, "n_complete", TX_H5_I32, "me", count, "1", "complete runs behind the mean over seeds");
    put(t, group, "seed_mean", TX_H5_F64, "me", mean, "nat", "mean over seeds of the mean log-likelihood");
    put(t, group, "seed_error", TX_H5_F64, "me", error, "nat", "standard error of that mean over seeds");
    free(count);
    free(error);
    free(mean);
}

static void put_differences(const table *t, const char *group)
{
    size_t n = t->n_model * t->n_estimator;
    double *difference = tx_alloc(n, sizeof *difference), *paired = tx_alloc(n, sizeof *paired);
    double *between = tx_alloc(n, sizeof *between);
    int32_t *count = tx_alloc(n, sizeof *count);
    const char **to = tx_alloc(n, sizeof *to);
    for (size_t i = 0; i < n; i++) {
        size_t m = i / t->n_estimator, e = i % t->n_estimator;
        int best = best_of(t, m, e);
        tx_difference d = best < 0 ? (tx_difference){0, 0, NAN, NAN, NAN} : difference_of(t, m, (size_t)best, e);
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
        const tx_numbers *own = r ? (const tx_numbers *)((const char *)r + offset) : &done;
        for (int k = 0; k < own->n && done.n < TX_MAX_NUMBERS; k++) {
            const char *name = own->m[k].name;
            char full[2 * TX_NAME_MAX];
            bool known = false;
            for (int j = 0; j < done.n; j++) known |= strcmp(done.m[j].name, name) == 0;
            if (known) continue;
            tx_numbers_add(&done, name, own->m[k].unit, 0, own->m[k].long_name);
            for (size_t j = 0; j < n; j++) {
                const tx_run_info *other = t->block->at[j];
                value[j] = other ? tx_numbers_get((const tx_numbers *)((const char *)other + offset), name) : NAN;
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

static void put_block(tx_h5 *f, const tx_block *b, bool examples)
{
    char name[PATH], group[PATH + 16], summary[PATH + 32];
    group_name(f, b->run[0], name);
    tx_h5_group(f, name);
    tx_h5_set_text(f, name, "dataset", b->run[0]->dataset);
    tx_h5_set_text(f, name, "view", b->run[0]->view);
    tx_h5_set_text(f, name, "measure", b->run[0]->measure);
    tx_h5_set_text(f, name, "dataset_sha256", b->run[0]->dataset_sha256);
    tx_h5_set_text(f, name, "view_sha256", b->run[0]->view_sha256);
    for (int s = 0; s <= TX_SIMULATED; s++) {
        if (!has_split(b, (tx_split)s)) continue;
        table t;
        table_new(&t, f, b, (tx_split)s);
        snprintf(group, sizeof group, "%s/%s", name, tx_split_name((tx_split)s));
        snprintf(summary, sizeof summary, "%s/summary", group);
        put_labels(&t, group);
        /* Rows that a run drew itself are no other run's: they have no axis in common. */
        if (examples && t.n_example > 0 && s != TX_SIMULATED) put_examples(&t, group);
        put_summary(&t, summary);
        table_free(&t);
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

tx_status tx_compare_h5(const char *path, int n_block, const tx_block block[])
{
    tx_h5 *f = tx_h5_new(path, TX_SCHEMA_COMPARE, false);
    bool examples = array_bytes(n_block, block) <= array_limit;
    for (int b = 0; b < n_block; b++) put_block(f, &block[b], examples);
    return tx_h5_commit(f, NULL);
}
