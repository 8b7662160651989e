/* Distance to the nearest of all training rows: of samples, and of test rows, which never saw them. A model that
 * remembers rows is nearer than test rows are: a ratio below 1. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/quality/halves.h"
#include "common/quality/metric.h"
#include "common/tensor/distance.h"

typedef struct nearest_config {
    tx_metric_common common;
    tx_feature_config features;
    int n_train;
} nearest_config;
static const tx_option options[] = {TX_METRIC_OPTIONS("1000", 1000000),
                                    TX_FEATURE_OPTIONS(offsetof(nearest_config, features), "data"),
                                    {"n_train", TX_OPT_INT, offsetof(nearest_config, n_train), "0", 0, 1000000000, NULL,
                                     "training rows that are searched, chosen at random; 0: all", NULL},
                                    {0}};

static const char *unfit(const void *config, const tx_view *v)
{
    return tx_feature_unfit(&((const nearest_config *)config)->features, v);
}

enum { TILE = 200 }; /* rows at a time: each tile's distances to all training rows are in memory */

/* least[i]: Euclidean distance of row i to the nearest of train. */
static void search(const tx_points *x, const tx_points *train, double least[])
{
    real *d = tx_alloc(TILE * train->n, sizeof *d);
    for (size_t from = 0; from < x->n; from += TILE) {
        size_t rows = x->n - from < TILE ? x->n - from : TILE;
        tx_rows_distance(rows, train->n, x->dim, x->x + from * x->dim, x->square + from, train->x, train->square, d);
        for (size_t i = 0; i < rows; i++) {
            real best = d[i * train->n];
            for (size_t j = 1; j < train->n; j++) best = d[i * train->n + j] < best ? d[i * train->n + j] : best;
            least[from + i] = sqrt((double)best);
        }
    }
    free(d);
}

static void mean(const void *ctx, size_t n, const uint32_t a[], size_t n_b, const uint32_t b[], double out[])
{
    (void)n_b, (void)b;
    const double *least = ctx;
    out[0] = 0;
    for (size_t i = 0; i < n; i++) out[0] += least[a[i]] / (double)n;
}

static tx_status run(const void *config, tx_quality *q, size_t n, const real *x, tx_rng r, const tx_numbers *real_ones,
                     tx_numbers *out)
{
    const nearest_config *c = config;
    size_t all = q->view->data->split[TX_TRAIN].n, n_train = c->n_train ? (size_t)c->n_train : all;
    tx_points train = tx_quality_real_points(q, &c->features, TX_TRAIN, n_train < all ? n_train : all);
    tx_points own = tx_quality_points(q, &c->features, n, x);
    double *least = tx_alloc(n, sizeof *least), value, error;
    char where[TX_NAME_MAX], words[TX_NAME_MAX + 64];
    search(&own, &train, least);
    tx_halves(r, (size_t)c->common.n_bootstrap, n, 0, 1, mean, least, &value, &error);
    snprintf(words, sizeof words, "mean distance to the nearest training row, %s",
             tx_feature_words(q, &c->features, where));
    tx_numbers_add_error(out, "", "1", value, error, words);
    if (real_ones) { /* both parts vary on their own; none where all test rows are rows of train */
        double test = real_ones->m[0].value, ratio = test > 0 ? value / test : NAN;
        tx_numbers_add_error(out, "ratio", "1", ratio, hypot(error, ratio * real_ones->m[0].error) / test,
                             "that distance over that of test rows");
    }
    tx_feature_note(q, &c->features, real_ones, out);
    tx_points_free(&own), tx_points_free(&train);
    free(least);
    return TX_OK;
}

extern const tx_metric_ops tx_metric_nearest;
const tx_metric_ops tx_metric_nearest = {
    .name = "nearest",
    .summary = "distance of samples to the nearest training row, over that of test rows: does the model copy?",
    .config_size = sizeof(nearest_config),
    .options = options,
    .stand_in = TX_TEST,
    .unfit = unfit,
    .run = run};
