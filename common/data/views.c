/* The views: one struct and one line in the list each. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/views.h"
#include "common/base/text.h"
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"

static const uint8_t *levels_at(const tx_view *v, tx_split s, size_t row)
{
    return v->data->split[s].level + row * v->space.dim;
}

/* Noise of one row into y, while the row, which is anywhere in memory, is on its way to the cache. */
static const uint8_t *draw(const tx_view *v, tx_split s, size_t row, tx_rng r, real *y)
{
    const uint8_t *level = levels_at(v, s, row);
    for (size_t j = 0; j < v->space.dim; j += 64) __builtin_prefetch(level + j);
    tx_rng_uniform(r, 0, v->space.dim, y);
    return level;
}

static void copy_levels(size_t n, const uint8_t *level, real *y)
{
    for (size_t j = 0; j < n; j++) y[j] = level[j];
}

/* Noise u in y becomes a Bernoulli draw: u < level/(K-1), with the product on the exact side. */
static void threshold(size_t n, const uint8_t *level, real top, real *y)
{
    for (size_t j = 0; j < n; j++) y[j] = y[j] * top < level[j] ? 1 : 0;
}

/* Noise u in y becomes level + u; rounding must not reach the next level, of which the largest has none. */
static void add_level(size_t n, const uint8_t *level, real scale, real *y)
{
    const real below = 1 - (sizeof(real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON) / 2;
    for (size_t j = 0; j < n; j++) {
        const real x = level[j] + y[j], limit = (level[j] + 1) * below;
        y[j] = (x < limit ? x : limit) * scale;
    }
}

static real per_level(const tx_view *v) { return (real)1 / (real)v->data->levels; }

/* Mean and variance of the stored levels of the training split: exact integer sums. */
static void level_moments(size_t n, size_t dim, const uint8_t *level, double mean[], double variance[])
{
    uint64_t *sum = tx_alloc(2 * dim, sizeof *sum), *square = sum + dim;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++) {
            const uint32_t x = level[i * dim + j];
            sum[j] += x;
            square[j] += x * x;
        }
    for (size_t j = 0; j < dim; j++) {
        mean[j] = (double)sum[j] / (double)n;
        variance[j] = fmax(0, (double)square[j] / (double)n - mean[j] * mean[j]);
    }
    free(sum);
}

static void train_moments(const tx_view *v, double mean[], double variance[])
{
    level_moments(v->data->split[TX_TRAIN].n, v->data->dim, v->data->split[TX_TRAIN].level, mean, variance);
}

static void root_all(size_t n, double variance[])
{
    for (size_t j = 0; j < n; j++) variance[j] = sqrt(variance[j]);
}

static void counting(tx_view *v, int levels)
{
    v->space.measure = TX_COUNTING;
    v->space.levels = levels;
    v->space.lower = 0;
    v->space.upper = levels - 1;
}

static void lebesgue(tx_view *v, double lower, double upper)
{
    v->space.measure = TX_LEBESGUE;
    v->space.lower = lower;
    v->space.upper = upper;
}

static const char *needs_grey_levels(const tx_dataset *d)
{
    return d->type == TX_LEVELS ? NULL
           : d->type == TX_REAL ? "needs levels; these data are real: use raw or standardised"
                                : "needs grey levels; these data are already binary: use raw";
}

/* raw */

static const char *fits_all(const tx_dataset *d)
{
    (void)d;
    return NULL;
}

static double raw_row(const tx_view *v, tx_split s, size_t row, tx_rng r, real y[])
{
    (void)r;
    const size_t dim = v->space.dim;
    const float *x = v->data->split[s].value;
    if (!x)
        copy_levels(dim, levels_at(v, s, row), y);
    else
        for (size_t j = 0; j < dim; j++) y[j] = (real)x[row * dim + j];
    return 0;
}

static void raw_space(tx_view *v)
{
    if (v->data->levels)
        counting(v, v->data->levels);
    else
        lebesgue(v, -INFINITY, INFINITY);
}

static void raw_moments(const tx_view *v, double mean[], double deviation[])
{
    if (!v->data->levels) {
        tx_view_numeric_moments(v, raw_row, mean, deviation);
        return;
    }
    train_moments(v, mean, deviation);
    root_all(v->data->dim, deviation);
}

static const tx_view_ops raw = {"raw", "the stored numbers", fits_all, false, raw_row, NULL, raw_space,
                                NULL,  raw_moments};

/* binarised */

static double binarised_row(const tx_view *v, tx_split s, size_t row, tx_rng r, real y[])
{
    const uint8_t *level = draw(v, s, row, r, y);
    threshold(v->space.dim, level, (real)(v->data->levels - 1), y);
    return 0;
}

static void binary_space(tx_view *v) { counting(v, 2); }

static void binarised_moments(const tx_view *v, double mean[], double deviation[])
{
    train_moments(v, mean, deviation);
    for (size_t j = 0; j < v->data->dim; j++) {
        mean[j] /= v->data->levels - 1;
        deviation[j] = sqrt(mean[j] * (1 - mean[j]));
    }
}

static const tx_view_ops binarised = {
    "binarised",       "each level a Bernoulli draw with mean level/(K-1), fresh at every visit in training",
    needs_grey_levels, true,
    binarised_row,     NULL,
    binary_space,      NULL,
    binarised_moments,
};

/* static_binarised */

static const char *needs_levels(const tx_dataset *d)
{
    return d->levels ? NULL : "needs levels; these data are real: use raw or standardised";
}

static double static_row(const tx_view *v, tx_split s, size_t row, tx_rng r, real y[])
{
    (void)r;
    copy_levels(v->space.dim, v->fixed[s] ? v->fixed[s] + row * v->space.dim : levels_at(v, s, row), y);
    return 0;
}

typedef struct static_job {
    tx_view *v;
    tx_split s;
} static_job;
enum { DRAW_ROWS = 256 };

static void static_tile(void *ctx, size_t tile)
{
    const static_job *job = ctx;
    tx_view *v = job->v;
    const size_t dim = v->data->dim, n = v->data->split[job->s].n, last = (tile + 1) * DRAW_ROWS;
    real *y = tx_alloc(dim, sizeof *y);
    for (size_t i = tile * DRAW_ROWS; i < n && i < last; i++) {
        binarised_row(v, job->s, i, tx_view_fixed_rng(v, job->s, i), y);
        for (size_t j = 0; j < dim; j++) v->fixed[job->s][i * dim + j] = y[j] > 0;
    }
    free(y);
}

/* The published rows are draws of the same images in an order and a cut of train and valid of their own, so they
 * replace whole splits and are not matched with the grey rows. */
static tx_status take_published(tx_view *v, tx_split s, const tx_dataset *published)
{
    const tx_dataset *d = v->data;
    const size_t n = d->split[s].n;
    if (published->levels != 2 || published->dim != d->dim || published->split[s].n < n)
        return tx_fail(TX_EDATA, "%s: %s split: expected %zu rows of %zu binary values or more, found %zu of %zu",
                       d->binarised, tx_split_name(s), n, d->dim, published->split[s].n, published->dim);
    memcpy(v->fixed[s], published->split[s].level, n * d->dim);
    return TX_OK;
}

static tx_status load_published(tx_view *v)
{
    tx_data_config c;
    tx_dataset published;
    tx_options_defaults(tx_data_options, &c);
    tx_copy_text(c.path, sizeof c.path, v->data->binarised);
    TX_TRY(tx_dataset_open(&published, &c, NULL));
    tx_status status = TX_OK;
    for (int s = 0; status == TX_OK && s < TX_N_SPLIT; s++) status = take_published(v, (tx_split)s, &published);
    snprintf(
        v->note, sizeof v->note,
        "static_binarised: the published rows, those of data set '%s' (sha256 %s), in their own order, not row by row "
        "those of '%s': its labels do not apply",
        published.name, published.sha256, v->data->name);
    tx_dataset_close(&published);
    return status;
}

static tx_status static_prepare(tx_view *v)
{
    const tx_dataset *d = v->data;
    if (d->type == TX_BINARY) return TX_OK;
    for (int s = 0; s < TX_N_SPLIT; s++) v->fixed[s] = tx_alloc(d->split[s].n * d->dim, 1);
    if (d->binarised[0]) return load_published(v);
    for (int s = 0; s < TX_N_SPLIT; s++) {
        static_job job = {v, (tx_split)s};
        tx_parallel((d->split[s].n + DRAW_ROWS - 1) / DRAW_ROWS, static_tile, &job);
    }
    snprintf(v->note, sizeof v->note,
             "static_binarised: one draw from the stream of this data set, 'static_binarised' and the split");
    return TX_OK;
}

static void static_moments(const tx_view *v, double mean[], double deviation[])
{
    const uint8_t *rows = v->fixed[TX_TRAIN] ? v->fixed[TX_TRAIN] : v->data->split[TX_TRAIN].level;
    level_moments(v->data->split[TX_TRAIN].n, v->data->dim, rows, mean, deviation);
    root_all(v->data->dim, deviation);
}

static const tx_view_ops static_binarised = {
    "static_binarised", "one Bernoulli draw for ever: the published rows where there are any, else from a fixed stream",
    needs_levels,       false,
    static_row,         NULL,
    binary_space,       static_prepare,
    static_moments,
};

/* dequantised */

static double dequantised_row(const tx_view *v, tx_split s, size_t row, tx_rng r, real y[])
{
    const uint8_t *level = draw(v, s, row, r, y);
    add_level(v->space.dim, level, per_level(v), y);
    return 0;
}

static void dequantised_space(tx_view *v)
{
    lebesgue(v, 0, 1);
    v->dequantised_levels = v->data->levels;
}

static void dequantised_moments(const tx_view *v, double mean[], double deviation[])
{
    const double k = v->data->levels;
    train_moments(v, mean, deviation);
    for (size_t j = 0; j < v->data->dim; j++) {
        mean[j] = (mean[j] + 0.5) / k;
        deviation[j] = sqrt(deviation[j] + 1.0 / 12) / k;
    }
}

static const tx_view_ops dequantised = {
    "dequantised",       "(level + u)/K with u uniform in (0,1)",
    needs_grey_levels,   true,
    dequantised_row,     NULL,
    dequantised_space,   NULL,
    dequantised_moments,
};

/* logit: y = log a - log b with a = lambda + (1 - 2 lambda) x and b = 1 - a, made from 1 - x without cancellation;
 * dy/dx = (1 - 2 lambda)/(a b). */

enum { LOGIT_CHUNK = 256 };

static double logit_row(const tx_view *v, tx_split s, size_t row, tx_rng r, real y[])
{
    const size_t dim = v->space.dim;
    const uint8_t *level = draw(v, s, row, r, y);
    const real scale = per_level(v), top = (real)v->data->levels, lambda = (real)v->lambda, range = 1 - 2 * lambda;
    double sum = v->log_jacobian;
    real a[LOGIT_CHUNK], b[LOGIT_CHUNK];
    for (size_t from = 0; from < dim; from += LOGIT_CHUNK) {
        const size_t n = dim - from < LOGIT_CHUNK ? dim - from : LOGIT_CHUNK;
        for (size_t j = 0; j < n; j++) {
            const real u = y[from + j];
            a[j] = lambda + range * ((level[from + j] + u) * scale);
            b[j] = lambda + range * ((top - 1 - level[from + j] + (1 - u)) * scale);
        }
        tx_vec_log(n, a, a);
        tx_vec_log(n, b, b);
        for (size_t j = 0; j < n; j++) {
            y[from + j] = a[j] - b[j];
            sum -= (double)a[j] + (double)b[j];
        }
    }
    return sum;
}

static void logit_invert(const tx_view *v, size_t n, const real y[], real x[])
{
    const double lambda = v->lambda;
    for (size_t i = 0; i < n * v->space.dim; i++)
        x[i] = (real)((1 / (1 + exp(-(double)y[i])) - lambda) / (1 - 2 * lambda));
}

static void logit_space(tx_view *v)
{
    const double edge = log1p(-v->lambda) - log(v->lambda);
    lebesgue(v, -edge, edge);
    v->dequantised_levels = v->data->levels;
    v->log_jacobian = (double)v->data->dim * log1p(-2 * v->lambda);
}

static const tx_view_ops logit = {
    "logit",
    "logit(lambda + (1 - 2 lambda) x) of the dequantised x",
    needs_grey_levels,
    true,
    logit_row,
    logit_invert,
    logit_space,
    NULL,
    NULL,
};

/* standardised */

static const char *needs_no_binary(const tx_dataset *d)
{
    return d->type == TX_BINARY ? "needs levels or reals; these data are binary: use raw" : NULL;
}

static double standardised_row(const tx_view *v, tx_split s, size_t row, tx_rng r, real y[])
{
    const double *mean = v->moment + 2 * v->space.dim, *deviation = mean + v->space.dim;
    (v->data->levels ? dequantised_row : raw_row)(v, s, row, r, y);
    for (size_t j = 0; j < v->space.dim; j++) y[j] = (real)(((double)y[j] - mean[j]) / deviation[j]);
    return v->log_jacobian;
}

static void standardised_invert(const tx_view *v, size_t n, const real y[], real x[])
{
    const size_t dim = v->space.dim;
    const double *mean = v->moment + 2 * dim, *deviation = mean + dim;
    for (size_t i = 0; i < n * dim; i++) x[i] = (real)((double)y[i] * deviation[i % dim] + mean[i % dim]);
}

/* A coordinate without variation keeps its unit: deviation 1. */
static tx_status standardised_prepare(tx_view *v)
{
    const size_t dim = v->data->dim;
    double *mean = v->moment + 2 * dim, *deviation = mean + dim;
    size_t constant = 0;
    if (v->data->levels)
        dequantised_moments(v, mean, deviation);
    else
        tx_view_numeric_moments(v, raw_row, mean, deviation);
    for (size_t j = 0; j < dim; j++) {
        if (deviation[j] == 0) {
            deviation[j] = 1;
            constant++;
        }
        v->log_jacobian -= log(deviation[j]);
    }
    if (constant)
        snprintf(v->note, sizeof v->note,
                 "standardised: %zu of %zu coordinate%s without variation in train: deviation 1 is kept", constant, dim,
                 tx_plural((long long)dim));
    return TX_OK;
}

static void standardised_space(tx_view *v)
{
    lebesgue(v, -INFINITY, INFINITY);
    v->dequantised_levels = v->data->levels;
}

static const tx_view_ops standardised = {
    "standardised",
    "(v - mean)/deviation of reals or of the dequantised x, by the moments of the training split",
    needs_no_binary,
    true,
    standardised_row,
    standardised_invert,
    standardised_space,
    standardised_prepare,
    NULL,
};

const tx_view_ops *const tx_view_list[] = {&raw,          &binarised, &static_binarised, &dequantised, &logit,
                                           &standardised, NULL};
const char tx_view_names[] = "raw|binarised|static_binarised|dequantised|logit|standardised";
