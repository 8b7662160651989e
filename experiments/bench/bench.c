#include "experiments/bench/bench.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/train.h"

enum { LEAST = 5, N_VALID = 100, SEED = 1, LARGEST = 1200 /* side of a product whose rate is measured */ };

/* A workload at work. */
typedef struct bench {
    const tx_workload *w;
    tx_dataset data;
    tx_view view;
    tx_model *model;
    tx_trainer *trainer;
    tx_tape *tape;
    real *x; /* [batch,dim] samples */
    const tx_estimator_ops *estimator;
    void *config; /* the estimator's */
    double rows;  /* as in the result */
    uint64_t repeat;
    void (*watch)(void *ctx, double share);
    void *ctx;
} bench;

struct tx_bench_phase {
    const char *name;
    int warm, least; /* repetitions before the timed ones, and of them */
    tx_status (*prepare)(bench *b);
    tx_status (*once)(bench *b);
    double (*bytes)(const bench *b); /* of one repetition, read and written */
    size_t (*growths)(const bench *b);
};

const char *tx_bench_phase_name(const tx_bench_phase *p) { return p->name; }

/* ---- training: as `taxon run` does it, but no validation falls into any of its steps ---- */

static tx_status options_of(const char *text, tx_yaml **map)
{
    return tx_yaml_parse(text, strlen(text), "workload", map);
}

static tx_status prepare_training(bench *b)
{
    char line[64];
    tx_train_config c;
    tx_yaml *map = NULL;
    TX_TRY(options_of(b->w->settings, &map));
    snprintf(line, sizeof line, "batch=%zu", b->w->batch);
    tx_status s = tx_yaml_override(map, line);
    if (!s) s = tx_yaml_override(map, "epochs=1000000");
    if (!s) s = tx_yaml_override(map, "valid_every=1000000");
    if (!s) s = tx_train_parse(&c, map, "workload");
    tx_yaml_free(map);
    return s ? s : tx_trainer_new(&b->trainer, b->model, &b->view, &c, SEED);
}

static tx_status train(bench *b)
{
    bool epoch_done;
    return tx_trainer_advance(b->trainer, &epoch_done);
}

/* The optimiser reads and writes weights and its state; a gradient may be used up in the cache. Rows are read as they
 * are stored and written as numbers. */
static double train_bytes(const bench *b)
{
    double slots = tx_optim_ops_of(b->model->optim[0])->n_slots;
    double numbers = (double)tx_model_size(b->model) * (2 + 2 * slots) + (double)(b->w->batch * b->data.dim);
    return numbers * sizeof(real) + (double)(b->w->batch * b->data.dim);
}

static size_t train_growths(const bench *b) { return tx_trainer_growths(b->trainer); }

/* ---- sampling ---- */

static tx_status prepare_sampling(bench *b)
{
    b->tape = tx_tape_new(1 << 20);
    b->x = tx_alloc(b->w->batch * b->data.dim, sizeof *b->x);
    return TX_OK;
}

static tx_status sample(bench *b)
{
    tx_rng r = tx_rng_named(tx_rng_root(SEED), "bench");
    tx_model_sample(b->model, b->tape, r, b->repeat++ * b->w->batch, b->w->batch, b->w->mean, b->x);
    return TX_OK;
}

/* The weights are read once. */
static double sample_bytes(const bench *b)
{
    return ((double)tx_model_size(b->model) + (double)(b->w->batch * b->data.dim)) * sizeof(real);
}

static size_t sample_growths(const bench *b) { return tx_tape_growths(b->tape); }

/* ---- estimators ---- */

static tx_status prepare_estimate(bench *b)
{
    tx_yaml *map = NULL;
    b->estimator = tx_estimator_find(b->w->estimator);
    TX_REQUIRE(b->estimator, "no estimator '%s'", b->w->estimator);
    TX_REQUIRE(!b->estimator->unfit(b->model->ops, &b->view), "%s does not apply to %s", b->w->estimator, b->w->model);
    b->config = tx_alloc(1, b->estimator->config_size);
    tx_options_defaults(b->estimator->options, b->config);
    TX_TRY(options_of(b->w->settings, &map));
    tx_option_set set = {b->estimator->options, b->config};
    tx_status s = tx_options_parse(&set, 1, map, "workload", NULL);
    tx_yaml_free(map);
    return s;
}

static tx_status estimate(bench *b)
{
    tx_estimate e;
    tx_rng r = tx_rng_named(tx_rng_root(SEED), "bench");
    TX_TRY(b->estimator->run(b->config, b->model, &b->view, TX_TEST, b->w->batch, r, b->watch, b->ctx, &e));
    b->rows = e.gradient_evaluations > 0 ? e.gradient_evaluations : e.model_evaluations;
    tx_estimate_free(&e);
    return TX_OK;
}

static size_t no_growths(const bench *b)
{
    (void)b;
    return 0; /* an estimator makes a tape of its own in every call */
}

const tx_bench_phase tx_bench_train = {"train", TX_BENCH_WARM, LEAST,        prepare_training,
                                       train,   train_bytes,   train_growths};
const tx_bench_phase tx_bench_sample = {"sample", TX_BENCH_WARM, LEAST,         prepare_sampling,
                                        sample,   sample_bytes,  sample_growths};
const tx_bench_phase tx_bench_estimate = {"evaluate", 0, 1, prepare_estimate, estimate, sample_bytes, no_growths};

/* ---- data and model ---- */

/* Rows of two values from named streams: the same in every call. */
static void fill_split(tx_dataset *d, const tx_bench_data *q, int s, size_t n)
{
    uint8_t *level = tx_alloc(n * q->dim, sizeof *level);
    real *u = tx_alloc(q->dim, sizeof *u);
    tx_rng r = tx_rng_fold(tx_rng_named(tx_rng_root(SEED), "bench data"), (uint64_t)s);
    for (size_t i = 0; i < n; i++) {
        tx_rng_uniform(r, i * q->dim, q->dim, u);
        for (size_t j = 0; j < q->dim; j++)
            level[i * q->dim + j] = (double)u[j] < q->share ? (uint8_t)(q->levels - 1) : 0;
    }
    free(u);
    d->split[s].n = n, d->split[s].level = level, d->memory[s] = level;
}

static tx_status open_view(bench *b)
{
    const tx_bench_data *q = b->w->data;
    char line[TX_NAME_MAX];
    tx_view_config c;
    tx_yaml *map = NULL;
    b->data = (tx_dataset){.type = q->type, .levels = q->levels, .dim = q->dim};
    if (q->side * q->side == q->dim) b->data.height = b->data.width = q->side, b->data.channel = 1;
    tx_copy_text(b->data.name, sizeof b->data.name, q->name);
    fill_split(&b->data, q, TX_TRAIN, q->n_train);
    fill_split(&b->data, q, TX_VALID, N_VALID);
    fill_split(&b->data, q, TX_TEST, q->n_test);
    snprintf(line, sizeof line, "{view: %s}", q->view);
    tx_options_defaults(tx_view_options, &c);
    TX_TRY(options_of(line, &map));
    tx_option_set set = {tx_view_options, &c};
    tx_status s = tx_options_parse(&set, 1, map, "workload", NULL);
    tx_yaml_free(map);
    return s ? s : tx_view_open(&b->view, &b->data, &c);
}

static tx_status open_model(bench *b)
{
    const tx_model_ops *ops = tx_model_find(b->w->model);
    TX_REQUIRE(ops, "no model '%s'", b->w->model);
    void *config = tx_alloc(1, ops->config_size);
    tx_yaml *map = NULL;
    tx_options_defaults(ops->options, config);
    tx_option_set set = {ops->options, config};
    tx_status s = options_of(b->w->options, &map);
    if (!s) s = tx_options_parse(&set, 1, map, "workload", NULL);
    if (!s) s = tx_model_new(&b->model, ops, config, &b->view.space, SEED);
    tx_yaml_free(map);
    free(config);
    return s;
}

static void end(bench *b)
{
    tx_trainer_free(b->trainer);
    tx_tape_free(b->tape);
    tx_model_free(b->model);
    tx_view_close(&b->view);
    tx_dataset_close(&b->data);
    free(b->x), free(b->config);
}

/* ---- time ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static tx_status repeat(bench *b, double seconds, tx_bench_result *out)
{
    const tx_bench_phase *p = b->w->phase;
    for (int i = 0; i < p->warm; i++) TX_TRY(p->once(b));
    size_t cap = 1024, growths = p->growths(b);
    double *time = tx_alloc(cap, sizeof *time), begin = tx_now();
    tx_status s = TX_OK;
    for (out->n = 0; !s && (out->n < (size_t)p->least || tx_now() - begin < seconds);) {
        if (out->n == cap) time = tx_realloc(time, cap, 2 * cap, sizeof *time), cap *= 2;
        double start = tx_now();
        s = p->once(b);
        time[out->n++] = tx_now() - start;
        b->watch(b->ctx, 0);
    }
    if (!s) out->median = median_of(time, out->n);
    out->growths = p->growths(b) - growths;
    free(time);
    return s;
}

/* ---- the floor ---- */

double tx_bench_flops(const tx_workload *w, double rows)
{
    double products = 0;
    for (const tx_bench_pass *p = w->pass; p < w->pass + TX_BENCH_PASSES && p->width[0]; p++)
        for (int l = 0; l + 1 < TX_BENCH_WIDTHS && p->width[l + 1]; l++)
            products += (double)p->width[l] * (double)p->width[l + 1] *
                        (p->forward + p->weight + (l ? p->input : p->first));
    return 2 * rows * products;
}

static size_t at_most(size_t x) { return x < LARGEST ? x : LARGEST; }

/* At the shape of the layer with most weights. */
static double gemm_rate(const tx_workload *w, double seconds)
{
    size_t in = 1, wide = 1;
    for (const tx_bench_pass *p = w->pass; p < w->pass + TX_BENCH_PASSES && p->width[0]; p++)
        for (int l = 0; l + 1 < TX_BENCH_WIDTHS && p->width[l + 1]; l++)
            if (p->width[l] * p->width[l + 1] > in * wide) in = p->width[l], wide = p->width[l + 1];
    return tx_bench_gemm_rate(at_most(w->batch), at_most(wide), at_most(in), seconds);
}

static void find_floor(const bench *b, double seconds, tx_bench_result *out)
{
    const tx_workload *w = b->w;
    double each = fmin(0.2, seconds / 20);
    out->flops = tx_bench_flops(w, b->rows);
    out->bytes = w->phase->bytes(b);
    out->units = w->units * b->rows;
    out->gemm_rate = gemm_rate(w, each);
    out->copy_rate = tx_bench_copy_rate((size_t)out->bytes, each);
    out->unit_rate = out->units > 0 ? tx_bench_unit_rate(each) : 0;
    out->floor = out->flops / out->gemm_rate + out->bytes / out->copy_rate;
    if (out->units > 0) out->floor += out->units / out->unit_rate;
}

static tx_status run(bench *b, double seconds, tx_bench_result *out)
{
    TX_TRY(open_view(b));
    TX_TRY(open_model(b));
    TX_TRY(b->w->phase->prepare(b));
    TX_TRY(repeat(b, seconds, out));
    out->rows = b->rows;
    out->parameters = (double)tx_model_size(b->model);
    if (b->w->pass[0].width[0]) find_floor(b, seconds, out);
    return TX_OK;
}

tx_status tx_bench_run(const tx_workload *w, double seconds, void (*watch)(void *ctx, double share), void *ctx,
                       tx_bench_result *out)
{
    bench b = {.w = w, .rows = (double)w->batch, .watch = watch, .ctx = ctx};
    *out = (tx_bench_result){0};
    tx_status s = run(&b, seconds > 0 ? seconds : w->seconds, out);
    end(&b);
    return s;
}
