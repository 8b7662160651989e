#include "common/base/text.h"
#include "common/impute/impute.h"
#include "common/store/commit.h"
#include "common/store/h5.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/catalog.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/mask.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/progress.h"
#include "experiments/taxon/samples.h"
#include "experiments/taxon/schedule.h"
#include "experiments/taxon/signals.h"
#include "experiments/taxon/stored.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 1000000, MAX_SAMPLES = 1000000, MAX_THREADS = 4096 };
static const double MAX_BYTES = 4e9; /* of samples */

typedef struct request {
    const char *path, *mask;
    bool png;
    const tx_impute_ops *method; /* NULL: chosen by what the model is */
    void *config;
    tx_split split;
    int n, n_sample, seed, threads;
    tx_progress *progress;
    char doing[TX_TEXT_MAX];
    uint8_t *missing;
    real *x;
    tx_imputation q;
} request;

static tx_status read_split(const tx_args *a, request *q)
{
    const char *split = tx_args_text(a, "split", "test");
    for (int k = 0; k < TX_N_SPLIT; k++)
        if (strcmp(split, tx_split_name((tx_split)k)) == 0) {
            q->split = (tx_split)k;
            return TX_OK;
        }
    return tx_fail(TX_EUSAGE, "impute: --split: expected train, valid or test; found '%s'", split);
}

static tx_status read_request(const tx_args *a, request *q)
{
    const char *method = tx_args_text(a, "method", NULL);
    char why[TX_TEXT_MAX];
    q->mask = tx_args_text(a, "mask", NULL);
    if (!q->mask) return tx_fail(TX_EUSAGE, "impute: --mask is missing; `taxon impute --help` says what it may be");
    TX_TRY(tx_samples_output(a, &q->path, &q->png));
    if (method && !(q->method = tx_impute_find(method)))
        return tx_fail(TX_EUSAGE, "impute: %s",
                       tx_catalog_unknown(tx_catalog_find("imputers"), method, why, sizeof why));
    TX_TRY(read_split(a, q));
    TX_TRY(tx_args_int(a, "rows", 1, MAX_ROWS, 10, &q->n));
    TX_TRY(tx_args_int(a, "samples", 1, MAX_SAMPLES, 8, &q->n_sample));
    TX_TRY(tx_args_int(a, "seed", 0, INT_MAX, -1, &q->seed));
    TX_TRY(tx_args_int(a, "threads", 1, MAX_THREADS, tx_cores(), &q->threads));
    return tx_progress_new(&q->progress, tx_args_text(a, "progress", "auto"));
}

static tx_status read_options(const tx_args *a, request *q)
{
    tx_yaml *map = tx_alloc(1, sizeof *map);
    map->kind = TX_YAML_MAP;
    tx_status s = TX_OK;
    for (int i = 1; !s && i < a->n; i++) s = tx_yaml_override(map, a->v[i]);
    q->config = tx_alloc(1, q->method->config_size);
    tx_options_defaults(q->method->options, q->config);
    tx_option_set set = {q->method->options, q->config};
    if (!s) s = tx_options_parse(&set, 1, map, "command line", NULL);
    tx_yaml_free(map);
    return s;
}

static tx_status choose_method(const tx_stored *s, request *q)
{
    const tx_model *m = s->set->model;
    char why[TX_TEXT_MAX] = "";
    tx_text can = {0};
    if (!q->method) {
        q->method = tx_impute_choose(m, q->missing, why);
        return q->method ? TX_OK
                         : tx_fail(TX_ECONFIG, "impute: nothing applies to %s on %s, %s: %s", s->info.label,
                                   s->info.dataset, s->info.view, why);
    }
    const char *unfit = q->method->unfit(m, q->missing, why);
    if (!unfit) return TX_OK;
    for (int i = 0; tx_impute_list[i]; i++) {
        char other[TX_TEXT_MAX];
        if (!tx_impute_list[i]->unfit(m, q->missing, other))
            tx_text_add(&can, "%s%s", can.len ? ", " : "", tx_impute_list[i]->name);
    }
    tx_status status = tx_fail(
        TX_ECONFIG, "impute: %s does not apply to %s on %s, %s, with --mask %s: %s; that can: %s", q->method->name,
        s->info.label, s->info.dataset, s->info.view, q->mask, unfit, can.len ? can.s : "none");
    tx_text_free(&can);
    return status;
}

static tx_status prepare(const tx_stored *s, const tx_args *a, request *q)
{
    const tx_view *v = &s->set->view;
    size_t d = v->space.dim, have = v->data->split[q->split].n;
    if (!tx_run_complete(&s->info))
        return tx_fail(TX_EDATA, "%s: the run diverged, so its model is not worth asking: %.300s", s->path,
                       s->info.failure);
    if ((size_t)q->n > have) q->n = (int)have;
    if ((double)q->n * q->n_sample * (double)d * sizeof(real) > MAX_BYTES)
        return tx_fail(TX_EUSAGE, "impute: %d rows of %d samples of %zu values are more than %g GB: ask for fewer",
                       q->n, q->n_sample, d, MAX_BYTES / 1e9);
    if (q->seed < 0) q->seed = s->info.seed;
    q->missing = tx_alloc(d, 1);
    TX_TRY(tx_mask_read(q->mask, &v->space, q->seed, q->missing));
    TX_TRY(choose_method(s, q));
    TX_TRY(read_options(a, q));
    size_t n = (size_t)q->n, n_sample = (size_t)q->n_sample;
    q->x = tx_alloc(n * d, sizeof *q->x);
    tx_view_range(v, q->split, 0, n, q->x, NULL);
    q->q = (tx_imputation){.n = n, .n_sample = n_sample, .dim = d, .missing = q->missing, .x = q->x};
    q->q.sample = tx_alloc(n * n_sample * d, sizeof(real));
    q->q.log_likelihood = tx_alloc(3 * n, sizeof(double));
    q->q.std_error = q->q.log_likelihood + n, q->q.acceptance = q->q.std_error + n;
    snprintf(q->doing, sizeof q->doing, "%s of %s", q->method->name, s->info.label);
    return TX_OK;
}

static void on_progress(void *ctx, double share)
{
    const request *q = ctx;
    tx_progress_or_stop(q->progress, share, q->doing);
}

static void put_reals(tx_h5 *f, const char *name, const tx_h5_array *like, const void *data, tx_h5_type type,
                      const char *unit, const char *long_name)
{
    tx_h5_array a = *like;
    a.group = "/imputation", a.name = name, a.type = type, a.data = data, a.unit = unit, a.long_name = long_name;
    tx_h5_put(f, &a);
}

static void describe(tx_h5 *f, const tx_stored *s, const request *q)
{
    const char *of = "/imputation/log_likelihood";
    json_t *settings = tx_options_json(q->method->options, q->config);
    char *text = tx_json_text(settings);
    tx_h5_set_text(f, "/", "run_sha256", s->info.content_sha256);
    tx_h5_set_text(f, "/", "model", s->info.model);
    tx_h5_set_text(f, "/", "dataset", s->info.dataset);
    tx_h5_set_text(f, "/", "view", s->info.view);
    tx_h5_set_text(f, "/", "split", tx_split_name(q->split));
    tx_h5_set_text(f, "/", "mask", q->mask);
    tx_h5_set_i32(f, "/", "seed", q->seed);
    tx_h5_set_text(f, "/", "method", q->method->name);
    tx_h5_set_text(f, "/", "settings", text);
    tx_h5_set_text(f, "/imputation/samples", "kind", q->q.chains ? "estimate" : "exact");
    tx_h5_set_text(f, "/imputation/samples", "evaluated_model", q->q.evaluated_model);
    tx_h5_set_text(f, of, "kind", *q->q.none ? "none" : tx_kind_name(q->q.kind));
    tx_h5_set_text(f, of, "why_none", q->q.none);
    tx_h5_set_text(f, of, "evaluated_model", q->q.evaluated_model);
    tx_h5_set_text(f, of, "measure", tx_measure_name(s->set->view.space.measure));
    tx_h5_set_text(f, of, "unit", s->set->view.ops->invert ? "of the view" : "of the data");
    free(text), json_decref(settings);
}

/* The schema taxon-imputation: rows, mask and samples in the data's unit, likelihoods in the view's. */
static tx_status write_h5(const tx_stored *s, const request *q)
{
    const tx_view *v = &s->set->view;
    size_t n = q->q.n, k = q->q.n_sample, d = q->q.dim;
    const char *unit = tx_sample_unit(v);
    int *row = tx_alloc(n, sizeof *row);
    for (size_t i = 0; i < n; i++) row[i] = (int)i;
    real *x = tx_samples_in_data_unit(v, n, q->x), *sample = tx_samples_in_data_unit(v, n * k, q->q.sample);
    tx_h5 *f = tx_h5_new(q->path, "taxon-imputation", false);
    const tx_h5_array rows = {.rank = 1, .dim = {{"row", n}}}, variables = {.rank = 1, .dim = {{"dim", d}}};
    const tx_h5_array matrix = {.rank = 2, .dim = {{"row", n}, {"dim", d}}};
    const tx_h5_array cube = {.rank = 3, .dim = {{"row", n}, {"sample", k}, {"dim", d}}};
    put_reals(f, "row", &rows, row, TX_H5_I32, "1", "row of the split, from 0");
    put_reals(f, "missing", &variables, q->missing, TX_H5_U8, "1", "1: the variable is missing, 0: it is observed");
    put_reals(f, "x", &matrix, x, TX_H5_REAL, unit, "complete rows, with the values that were hidden");
    put_reals(f, "samples", &cube, sample, TX_H5_REAL, unit,
              "rows with the missing variables drawn given the observed ones");
    put_reals(f, "log_likelihood", &rows, q->q.log_likelihood, TX_H5_F64, "nat",
              "log p(missing variables | observed ones)");
    put_reals(f, "stderr", &rows, q->q.std_error, TX_H5_F64, "nat",
              "Monte Carlo or quadrature error of log_likelihood");
    if (q->q.chains)
        put_reals(f, "acceptance", &rows, q->q.acceptance, TX_H5_F64, "1", "accepted share of the chains' moves");
    describe(f, s, q);
    free(row), free(x), free(sample);
    return tx_h5_commit(f, NULL);
}

static tx_status write_png(const tx_stored *s, const request *q)
{
    return tx_samples_imputed_png(q->path, &s->set->view, q->q.n, q->q.n_sample, q->missing, q->x, q->q.sample);
}

static double mean_of(size_t n, const double v[])
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += v[i] / (double)n;
    return sum;
}

static void print_found(const tx_stored *s, const request *q)
{
    const tx_imputation *r = &q->q;
    size_t missing = tx_missing_count(r->dim, r->missing);
    json_t *settings = tx_options_json(q->method->options, q->config);
    char *text = tx_json_text(settings);
    double square = 0;
    for (size_t i = 0; i < r->n; i++) square += r->std_error[i] * r->std_error[i];
    printf("%s on %s, %s, %s split, %zu row%s, %zu of %zu variables missing (%s), by %s%s%s:\n", s->info.label,
           s->info.dataset, s->info.view, tx_split_name(q->split), r->n, tx_plural((long long)r->n), missing, r->dim,
           q->mask, q->method->name, r->chains ? " " : "", r->chains ? text : "");
    if (*r->none)
        printf("  no conditional log-likelihood: %s\n", r->none);
    else
        printf("  conditional log-likelihood %s %.4f nats a row%s, its error %.4f: %s\n", tx_kind_sign(r->kind),
               mean_of(r->n, r->log_likelihood), s->set->view.ops->invert ? " in the unit of the view" : "",
               sqrt(square) / (double)r->n, r->kind == TX_EXACT ? "exact" : "an estimate");
    if (r->chains)
        printf("  samples are the ends of Markov chains: estimates; accepted %.3f\n", mean_of(r->n, r->acceptance));
    else
        printf("  samples are exact draws\n");
    if (strcmp(r->evaluated_model, "model") != 0)
        printf("  evaluated is not the model itself but %s\n", r->evaluated_model);
    printf("stored in %s\n", q->path);
    free(text), json_decref(settings);
}

static tx_status impute(const tx_stored *s, request *q)
{
    if (q->png) TX_TRY(tx_samples_imputed_fit(q->path, &s->set->view, q->q.n, q->q.n_sample));
    TX_TRY(tx_check_commit(q->path));
    if (tx_stop_count() > 0) return tx_fail(TX_ESTOPPED, "stopped before the work began: nothing was written");
    tx_status status = tx_impute_run(q->method, q->config, s->set->model,
                                     tx_rng_named(tx_rng_root((uint64_t)q->seed), "impute"), on_progress, q, &q->q);
    if (status == TX_EDIVERGED) {
        char why[TX_TEXT_MAX];
        tx_copy_text(why, sizeof why, tx_last_error());
        return tx_fail(status, "%s: %s", s->path, why);
    }
    TX_TRY(status);
    tx_progress_free(q->progress);
    q->progress = NULL;
    tx_stop_watch(false);
    TX_TRY((q->png ? write_png : write_h5)(s, q));
    print_found(s, q);
    return TX_OK;
}

static int run(const tx_args *a)
{
    request q = {0};
    tx_stored *s = NULL;
    tx_stop_watch(true);
    tx_status status = read_request(a, &q);
    if (!status) {
        tx_threads_set(q.threads);
        status = tx_stored_open(&s, a->v[0]);
    }
    if (!status) status = prepare(s, a, &q);
    if (!status) status = impute(s, &q);
    tx_stored_close(s);
    tx_progress_free(q.progress);
    free(q.config), free(q.missing), free(q.x), free(q.q.sample), free(q.q.log_likelihood);
    return status;
}

static const tx_flag flags[] = {
    {"mask", 'm', "MASK", "which variables are missing, the same ones in every row: see below"},
    {"output", 'o', "FILE", "FILE.h5 or, of pictures, FILE.png"},
    {"split", 's', "train|valid|test", "its rows (test)"},
    {"rows", 'n', "N", "the first N rows (10)"},
    {"samples", 'k', "N", "of each row (8)"},
    {"seed", 0, "S", "of the samples and of --mask random (the run's)"},
    {"method", 0, "IMPUTER", "`taxon list imputers` (the first of them that applies)"},
    {"threads", 't', "N", "threads (one a core)"},
    {"progress", 0, "auto|bar|plain|none", "on standard error (auto)"},
    {0},
};
const tx_command tx_command_impute = {
    .name = "impute",
    .summary = "Missing variables given the observed ones: samples, and their conditional log-likelihood",
    .usage = "RUN --mask MASK -o FILE.h5|FILE.png [key=value ...]",
    .detail =
        "MASK: half (the lower half of a picture, the second half of other rows), rows=A..B, columns=A..B of\n"
        "pictures, variables=A..B (all from 0, B included), random=SHARE, or a file (CSV, NPY, ...) with a 0 or 1\n"
        "for each variable, 1 = missing; a file called half is ./half. key=value sets an option of the method:\n"
        "`taxon show NAME` lists them. A picture has a row for each row: as it is, masked in grey, samples.\n"
        "Exit code 0; 3 a chain broke down; 75 or 130 stopped, nothing written; 64 usage; 65, 66 run, data or mask;\n"
        "73 FILE cannot be made; 78 the method does not apply.",
    .flags = flags,
    .min = 1,
    .max = -1,
    .run = run};
