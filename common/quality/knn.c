/* Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020). The manifold of a set is
 * the union of the balls about its rows that reach to their k-th nearest other row, r_k. N real rows x_i, M samples
 * y_j: precision = 1/M sum_j 1[y_j in the real manifold]     density  = 1/(k M) sum_j sum_i 1[|y_j - x_i| <= r_k(x_i)]
 *   recall    = 1/N sum_i 1[x_i in the samples' manifold] coverage = 1/N sum_i 1[some |y_j - x_i| <= r_k(x_i)]
 * A model that makes a few rows well has high precision and low recall. */
#include <stdlib.h>
#include "common/quality/halves.h"
#include "common/quality/metric.h"

typedef struct knn_config {
    tx_metric_common common;
    tx_feature_config features;
    int k;
} knn_config;
static const tx_option options[] = {TX_METRIC_OPTIONS("1000", 20000),
                                    TX_FEATURE_OPTIONS(offsetof(knn_config, features), "pca"),
                                    {"k", TX_OPT_INT, offsetof(knn_config, k), "5", 1, 1000, NULL,
                                     "neighbours: a ball reaches to the k-th nearest row",
                                     "5: Naeem et al. 2020; 3: Kynkaanniemi et al. 2019"},
                                    {0}};

extern const tx_metric_ops tx_metric_knn;
static const char *unfit(const void *config, const tx_view *v)
{
    const knn_config *c = config;
    if ((size_t)c->k >= tx_metric_n(&tx_metric_knn, c, v) / 2) return "half of the rows are no more than k";
    return tx_feature_unfit(&c->features, v);
}

typedef struct sets {
    size_t n, k;
    const real *own[2]; /* [n,n] squared distances inside the samples (0) and the real rows (1) */
    const real *across; /* [n,n] of sample j (row) and real row i (column) */
} sets;

/* The k-th smallest (k from 0) of v[n], whose order is lost: Hoare's selection. */
static real select_kth(size_t n, real v[], size_t k)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        real pivot = v[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i >= j) break;
            real swap = v[i];
            v[i++] = v[j], v[j--] = swap;
        }
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
    return v[k];
}

/* radius[i]: squared distance of row index[i] to the k-th nearest other row of the same half. */
static void radii(const sets *s, int side, size_t n, const uint32_t index[], real radius[])
{
    real *row = tx_alloc(n, sizeof *row);
    for (size_t i = 0; i < n; i++) {
        const real *d = s->own[side] + index[i] * s->n;
        size_t m = 0;
        for (size_t j = 0; j < n; j++)
            if (j != i) row[m++] = d[index[j]];
        radius[i] = select_kth(m, row, s->k - 1);
    }
    free(row);
}

enum { PRECISION, RECALL, DENSITY, COVERAGE, N_OUT };

static void statistic(const void *ctx, size_t m, const uint32_t a[], size_t n, const uint32_t b[], double out[])
{
    const sets *s = ctx;
    real *fake = tx_alloc(m, sizeof *fake), *true_one = tx_alloc(n, sizeof *true_one);
    bool *recalled = tx_alloc(n, 1), *covered = tx_alloc(n, 1);
    double precise = 0, balls = 0, recall = 0, coverage = 0;
    radii(s, 0, m, a, fake);
    radii(s, 1, n, b, true_one);
    for (size_t j = 0; j < m; j++) {
        const real *d = s->across + a[j] * s->n;
        size_t inside = 0;
        for (size_t i = 0; i < n; i++) {
            inside += d[b[i]] <= true_one[i];
            covered[i] |= d[b[i]] <= true_one[i];
            recalled[i] |= d[b[i]] <= fake[j];
        }
        precise += inside > 0;
        balls += (double)inside;
    }
    for (size_t i = 0; i < n; i++) recall += recalled[i], coverage += covered[i];
    out[PRECISION] = precise / (double)m, out[RECALL] = recall / (double)n;
    out[DENSITY] = balls / ((double)s->k * (double)m), out[COVERAGE] = coverage / (double)n;
    free(fake), free(true_one), free(recalled), free(covered);
}

static tx_status run(const void *config, tx_quality *q, size_t n, const real *x, tx_rng r, const tx_numbers *real_ones,
                     tx_numbers *out)
{
    static const struct {
        const char *name, *long_name;
    } number[N_OUT] = {[PRECISION] = {"precision", "share of samples in the manifold of test rows"},
                       [RECALL] = {"recall", "share of test rows in the manifold of samples"},
                       [DENSITY] = {"density", "balls of test rows that a sample is in, over k"},
                       [COVERAGE] = {"coverage", "share of test rows with a sample in their ball"}};
    const knn_config *c = config;
    tx_points a = tx_quality_points(q, &c->features, n, x);
    tx_points b = tx_quality_real_points(q, &c->features, TX_TEST, n);
    real *aa = tx_points_distance(&a, &a), *bb = tx_points_distance(&b, &b), *ab = tx_points_distance(&a, &b);
    double value[N_OUT], error[N_OUT];
    sets s = {n, (size_t)c->k, {aa, bb}, ab};
    tx_halves(r, (size_t)c->common.n_bootstrap, n, n, N_OUT, statistic, &s, value, error);
    for (int k = 0; k < N_OUT; k++)
        tx_numbers_add_error(out, number[k].name, "1", value[k], error[k], number[k].long_name);
    tx_feature_note(q, &c->features, real_ones, out);
    tx_points_free(&a), tx_points_free(&b);
    free(aa), free(bb), free(ab);
    return TX_OK;
}

const tx_metric_ops tx_metric_knn = {.name = "knn",
                                     .summary = "precision, recall, density and coverage by nearest neighbours",
                                     .citation = "naeem2020reliable",
                                     .config_size = sizeof(knn_config),
                                     .options = options,
                                     .stand_in = TX_TRAIN,
                                     .unfit = unfit,
                                     .run = run};
