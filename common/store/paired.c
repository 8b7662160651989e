#include "common/store/paired.h"

#include <stdlib.h>

#include "common/base/moments.h"

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
    tx_moments rows = tx_moments_of(d.n, row), seeds = tx_moments_of((size_t)d.n_pair, seed);
    d.mean = tx_moments_mean(&rows);
    d.error = tx_moments_error(&rows);
    d.seed_error = tx_moments_error(&seeds);
    free(seed);
    free(row);
    return d;
}
