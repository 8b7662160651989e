/* Maximum mean discrepancy (Gretton et al. 2012), lemma 6: with n samples x and n real rows y
 *   MMD^2_u = 1/(n(n-1)) sum_{i != j} [k(x_i,x_j) + k(y_i,y_j)] - 2/n^2 sum_{i,j} k(x_i,y_j),
 * unbiased, so that it may be negative. k(u,v) is the mean over scales c of exp(-|u-v|^2 / (2 (c s)^2)), s the median
 * distance between training rows: all models on the data have one kernel. p: the share of permutations of the 2n rows
 * with at least this value, the identity counted: exact at every n. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/quality/halves.h"
#include "common/quality/metric.h"
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"

typedef struct mmd_config {
    tx_metric_common common;
    tx_feature_config features;
    int n_permutation;
    tx_reals scales;
} mmd_config;
static const tx_option options[] = {
    TX_METRIC_OPTIONS("1000", 5000),
    TX_FEATURE_OPTIONS(offsetof(mmd_config, features), "data"),
    {"n_permutation", TX_OPT_INT, offsetof(mmd_config, n_permutation), "500", 1, 100000, NULL,
     "random permutations behind the p-value", "Gretton et al. 2012"},
    {"scales", TX_OPT_REALS, offsetof(mmd_config, scales), "[1]", 1e-3, 1e3, NULL,
     "bandwidths as multiples of the median distance; with several the kernel is their mean", "Gretton et al. 2012"},
    {0}};

static const char *unfit(const void *config, const tx_view *v)
{
    if (((const mmd_config *)config)->scales.n == 0) return "needs a scale at least";
    return tx_feature_unfit(&((const mmd_config *)config)->features, v);
}

static int ascending(const void *a, const void *b)
{
    real x = *(const real *)a, y = *(const real *)b;
    return (x > y) - (x < y);
}

/* Squared; 1 where most rows are equal. */
static double median_distance(tx_quality *q, const mmd_config *c)
{
    enum { ROWS = 1000 };
    size_t all = q->view->data->split[TX_TRAIN].n, n = all < ROWS ? all : ROWS, m = 0;
    tx_points train = tx_quality_real_points(q, &c->features, TX_TRAIN, n);
    real *d = tx_points_distance(&train, &train);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) d[m++] = d[i * n + j];
    qsort(d, m, sizeof *d, ascending);
    double median = m % 2 ? (double)d[m / 2] : pow((sqrt((double)d[m / 2]) + sqrt((double)d[m / 2 - 1])) / 2, 2);
    tx_points_free(&train);
    free(d);
    return median > 0 ? median : 1;
}

typedef struct kernel_job {
    size_t n;
    const tx_reals *scales;
    double median;
    real *d; /* [n,n] squared distances, then the kernel, 0 on the diagonal */
} kernel_job;

static void kernel_row(void *ctx, size_t i)
{
    const kernel_job *k = ctx;
    real *d = k->d + i * k->n, *part = tx_alloc(2 * k->n, sizeof *part), *sum = part + k->n;
    for (int c = 0; c < k->scales->n; c++) {
        double s = k->scales->v[c];
        tx_vec_affine(k->n, (real)(-0.5 / (k->median * s * s)), d, 0, part);
        tx_vec_exp(k->n, part, part);
        tx_vec_axpy(k->n, (real)(1.0 / k->scales->n), part, sum);
    }
    memcpy(d, sum, k->n * sizeof *d);
    d[i] = 0;
    free(part);
}

/* Rows that a round puts on each side, as columns of zeros and ones. */
enum { ROUNDS = 64 };
typedef struct rounds {
    size_t n;          /* rows of each side; 2n in all */
    const real *k;     /* [2n,2n] */
    real *side, *sums; /* [2n,2 ROUNDS]: indicators of x and y of each round; K times them */
} rounds;

static void put_side(rounds *s, size_t round, int side, size_t m, const uint32_t index[], size_t offset)
{
    for (size_t i = 0; i < m; i++) s->side[(index[i] + offset) * 2 * ROUNDS + 2 * round + (size_t)side] = 1;
}

/* MMD^2_u of every round, m rows a side. */
static void evaluate(rounds *s, size_t n_round, size_t m, double value[])
{
    size_t all = 2 * s->n, cols = 2 * ROUNDS;
    tx_gemm(false, false, all, cols, all, 1, s->k, all, s->side, cols, 0, s->sums, cols);
    for (size_t r = 0; r < n_round; r++) {
        double xx = 0, yy = 0, xy = 0, h = (double)m;
        for (size_t i = 0; i < all; i++) {
            const real *side = s->side + i * cols + 2 * r, *sum = s->sums + i * cols + 2 * r;
            xx += (double)(side[0] * sum[0]);
            yy += (double)(side[1] * sum[1]);
            xy += (double)(side[0] * sum[1]);
        }
        value[r] = (xx + yy) / (h * (h - 1)) - 2 * xy / (h * h);
    }
    memset(s->side, 0, all * cols * sizeof *s->side);
}

/* The first n and the last n, in their own order (round 0) or permuted. */
static void permute(rounds *s, tx_rng r, size_t n_round, double value[])
{
    uint32_t *order = tx_alloc(2 * s->n, sizeof *order);
    for (size_t from = 0; from < n_round; from += ROUNDS) {
        size_t count = n_round - from < ROUNDS ? n_round - from : ROUNDS;
        for (size_t k = 0; k < count; k++) {
            for (size_t i = 0; i < 2 * s->n; i++) order[i] = (uint32_t)i;
            if (from + k) tx_rng_permutation(tx_rng_fold(r, from + k), 2 * s->n, order);
            put_side(s, k, 0, s->n, order, 0);
            put_side(s, k, 1, s->n, order + s->n, 0);
        }
        evaluate(s, count, s->n, value + from);
    }
    free(order);
}

static double error_of(rounds *s, tx_rng r, size_t n_round)
{
    uint32_t *half = tx_alloc(s->n, sizeof *half);
    double *value = tx_alloc(n_round, sizeof *value);
    for (size_t from = 0; from < n_round; from += ROUNDS) {
        size_t count = n_round - from < ROUNDS ? n_round - from : ROUNDS;
        for (size_t k = 0; k < count; k++)
            for (int side = 0; side < 2; side++) {
                tx_half(tx_rng_named(r, side ? "y" : "x"), from + k, s->n, half);
                put_side(s, k, side, s->n / 2, half, side ? s->n : 0);
            }
        evaluate(s, count, s->n / 2, value + from);
    }
    double error = tx_halves_error(n_round, s->n, value, 1);
    free(half), free(value);
    return error;
}

/* Of x[n] and y[n] side by side. */
static real *kernel_of(tx_quality *q, const mmd_config *c, double median, size_t n, const real *x)
{
    size_t dim = q->view->space.dim;
    real *y = tx_quality_rows(q, TX_TEST, n), *both = tx_alloc(2 * n * dim, sizeof *both);
    memcpy(both, x, n * dim * sizeof *x);
    memcpy(both + n * dim, y, n * dim * sizeof *y);
    tx_points z = tx_quality_points(q, &c->features, 2 * n, both);
    kernel_job k = {2 * n, &c->scales, median, tx_points_distance(&z, &z)};
    tx_parallel(2 * n, kernel_row, &k);
    tx_points_free(&z);
    free(y), free(both);
    return k.d;
}

static tx_status run(const void *config, tx_quality *q, size_t n, const real *x, tx_rng r, const tx_numbers *real_ones,
                     tx_numbers *out)
{
    const mmd_config *c = config;
    double median = median_distance(q, c);
    real *k = kernel_of(q, c, median, n, x);
    rounds s = {n, k, tx_alloc(4 * n * ROUNDS, sizeof(real)), tx_alloc(4 * n * ROUNDS, sizeof(real))};
    size_t n_value = (size_t)c->n_permutation + 1, as_large = 0;
    double *value = tx_alloc(n_value, sizeof *value);
    permute(&s, tx_rng_named(r, "permutation"), n_value, value);
    for (size_t i = 0; i < n_value; i++) as_large += value[i] >= value[0];
    char where[TX_NAME_MAX], words[TX_NAME_MAX + 64];
    snprintf(words, sizeof words, "squared maximum mean discrepancy, unbiased, %s",
             tx_feature_words(q, &c->features, where));
    tx_numbers_add_error(out, "", "1", value[0], error_of(&s, tx_rng_named(r, "halves"), (size_t)c->common.n_bootstrap),
                         words);
    tx_numbers_add(out, "p_value", "1", (double)as_large / (double)n_value, "share of permutations with at least this");
    if (real_ones) tx_numbers_add(out, "bandwidth", "1", sqrt(median), "median distance between training rows");
    tx_feature_note(q, &c->features, real_ones, out);
    free(value), free(s.side), free(s.sums), free(k);
    return TX_OK;
}

extern const tx_metric_ops tx_metric_mmd;
const tx_metric_ops tx_metric_mmd = {
    .name = "mmd",
    .summary = "squared maximum mean discrepancy from test rows, with the p-value of a permutation test",
    .citation = "gretton2012kernel",
    .config_size = sizeof(mmd_config),
    .options = options,
    .stand_in = TX_TRAIN,
    .unfit = unfit,
    .run = run};
