/* What this machine does at best with as many threads as are set: products, copies, sigmoids. */
#include <math.h>
#include <stdlib.h>
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"
#include "experiments/bench/bench.h"

enum { LEAST = 10, COPY_TILE = 1 << 16, UNIT_TILE = 4096, UNIT_TILES = 64 };

typedef struct arrays {
    size_t m, n, k;
    real *a, *b, *c;
} arrays;

/* The best of at least LEAST calls, after one that is not timed. */
static double best(void (*call)(arrays *q), arrays *q, double seconds)
{
    double least = INFINITY, begin = tx_now();
    call(q);
    for (int i = 0; i < LEAST || tx_now() - begin < seconds; i++) {
        double start = tx_now();
        call(q);
        least = fmin(least, tx_now() - start);
    }
    return least;
}

static real *filled(size_t n, size_t period)
{
    real *x = tx_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (real)(i % period) / (real)period;
    return x;
}

static double timed(void (*call)(arrays *q), arrays q, double seconds)
{
    double t = best(call, &q, seconds);
    free(q.a), free(q.b), free(q.c);
    return t;
}

static void multiply(arrays *q) { tx_gemm(false, false, q->m, q->n, q->k, 1, q->a, q->k, q->b, q->n, 0, q->c, q->n); }

double tx_bench_gemm_rate(size_t m, size_t n, size_t k, double seconds)
{
    arrays q = {m, n, k, filled(m * k, 17), filled(k * n, 13), filled(m * n, 11)};
    return 2 * (double)m * (double)n * (double)k / timed(multiply, q, seconds);
}

/* Every number is read and written where it is, as an optimiser does; a copy elsewhere would also fetch what it
 * overwrites. */
static void copy_tile(void *ctx, size_t tile)
{
    const arrays *q = ctx;
    size_t at = tile * COPY_TILE, rest = q->n - at;
    tx_vec_affine(rest < COPY_TILE ? rest : COPY_TILE, -1, q->a + at, 0, q->a + at);
}

static void copy(arrays *q) { tx_parallel((q->n + COPY_TILE - 1) / COPY_TILE, copy_tile, q); }

double tx_bench_copy_rate(size_t bytes, double seconds)
{
    size_t n = bytes / 2 / sizeof(real) + 1;
    arrays q = {.n = n, .a = filled(n, 19)};
    return 2 * (double)n * sizeof(real) / timed(copy, q, seconds);
}

static void unit_tile(void *ctx, size_t tile)
{
    const arrays *q = ctx;
    tx_vec_act(TX_SIGMOID, UNIT_TILE, q->a + tile * UNIT_TILE, q->c + tile * UNIT_TILE);
}

static void units(arrays *q) { tx_parallel(UNIT_TILES, unit_tile, q); }

double tx_bench_unit_rate(double seconds)
{
    size_t n = (size_t)UNIT_TILE * UNIT_TILES;
    arrays q = {.n = n, .a = filled(n, 29), .c = filled(n, 31)};
    return (double)n / timed(units, q, seconds);
}
