#include "common/quality/halves.h"
#include <math.h>
#include <stdlib.h>
#include "common/base/moments.h"
#include "common/tensor/parallel.h"

void tx_half(tx_rng r, size_t round, size_t n, uint32_t index[])
{
    tx_rng_permutation(tx_rng_fold(r, round), n, index);
}

double tx_halves_error(size_t n_round, size_t n, const double value[], size_t stride)
{
    tx_moments m = {0};
    for (size_t k = 0; k < n_round; k++) tx_moments_add(&m, value[k * stride]);
    size_t half = n / 2;
    return sqrt(m.square / (double)(n_round - 1) * (double)half / (double)(n - half));
}

typedef struct job {
    tx_rng r;
    size_t n_a, n_b, n_out;
    tx_statistic *f;
    const void *ctx;
    double *value; /* [n_round + 1,n_out]: first that of all rows */
} job;

static void one_round(void *ctx, size_t k)
{
    const job *j = ctx;
    uint32_t *a = tx_alloc(j->n_a, sizeof *a), *b = tx_alloc(j->n_b, sizeof *b);
    for (size_t i = 0; i < j->n_a; i++) a[i] = (uint32_t)i;
    for (size_t i = 0; i < j->n_b; i++) b[i] = (uint32_t)i;
    if (k > 0) tx_half(tx_rng_named(j->r, "a"), k, j->n_a, a);
    if (k > 0 && j->n_b) tx_half(tx_rng_named(j->r, "b"), k, j->n_b, b);
    size_t part = k > 0 ? 2 : 1;
    j->f(j->ctx, j->n_a / part, a, j->n_b / part, b, j->value + k * j->n_out);
    free(a), free(b);
}

void tx_halves(tx_rng r, size_t n_round, size_t n_a, size_t n_b, size_t n_out, tx_statistic *f, const void *ctx,
               double value[], double error[])
{
    job j = {r, n_a, n_b, n_out, f, ctx, tx_alloc((n_round + 1) * n_out, sizeof(double))};
    tx_parallel(n_round + 1, one_round, &j);
    for (size_t k = 0; k < n_out; k++) {
        value[k] = j.value[k];
        error[k] = tx_halves_error(n_round, n_a, j.value + n_out + k, n_out);
    }
    free(j.value);
}
