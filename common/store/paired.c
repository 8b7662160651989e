#include "common/store/paired.h"

#include <math.h>
#include <stdlib.h>

/** Standard error of the mean of n values; NAN with fewer than two. */
static double error_of_mean(size_t n, const double value[], double mean)
{
    double square = 0;
    for (size_t i = 0; i < n; i++) square += (value[i] - mean) * (value[i] - mean);
    return n > 1 ? sqrt(square / (double)(n - 1) / (double)n) : NAN;
}

static double mean_of(size_t n, const double value[])
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += value[i];
    return n ? sum / (double)n : NAN;
}

tx_difference tx_paired_difference(int n_seed, const tx_estimate *const a[], const tx_estimate *const b[])
{
    tx_difference d = {.n = SIZE_MAX};
    for (int k = 0; k < n_seed; k++) {
        if (!a[k] || !b[k]) continue;
        TX_REQUIRE(a[k]->split == b[k]->split, "'%s' and '%s' are of other splits", a[k]->name, b[k]->name);
        TX_REQUIRE(a[k]->log_likelihood && b[k]->log_likelihood, "'%s' or '%s' has no rows", a[k]->name, b[k]->name);
        if (a[k]->n < d.n) d.n = a[k]->n;
        if (b[k]->n < d.n) d.n = b[k]->n;
        d.n_pair++;
    }
    if (d.n_pair == 0) d.n = 0;
    double *row = tx_alloc(d.n, sizeof *row), *seed = tx_alloc((size_t)d.n_pair, sizeof *seed);
    for (int k = 0, pair = 0; k < n_seed; k++) {
        if (!a[k] || !b[k]) continue;
        for (size_t i = 0; i < d.n; i++) {
            double x = a[k]->log_likelihood[i] - b[k]->log_likelihood[i];
            row[i] += x / d.n_pair;
            seed[pair] += x / (double)d.n;
        }
        pair++;
    }
    d.mean = mean_of(d.n, row);
    d.error = error_of_mean(d.n, row, d.mean);
    d.seed_error = error_of_mean((size_t)d.n_pair, seed, mean_of((size_t)d.n_pair, seed));
    free(seed);
    free(row);
    return d;
}
