#include "common/tensor/parallel.h"
#include <omp.h>

void openblas_set_num_threads(int n);
int openblas_get_parallel(void); /* 0: a build without threads, and without the locks that calls from several need */

static int threads = 1;

bool tx_blas_is_serial(void) { return openblas_get_parallel() == 0; }

void tx_threads_set(int n)
{
    TX_REQUIRE(n >= 1, "%d threads", n);
    threads = tx_blas_is_serial() ? 1 : n;
    omp_set_dynamic(0);
    omp_set_num_threads(threads);
    openblas_set_num_threads(1);
}

int tx_threads(void) { return threads; }
int tx_thread(void) { return omp_get_thread_num(); }

void tx_parallel(size_t n_tile, void (*fn)(void *ctx, size_t tile), void *ctx)
{
    if (threads == 1 || n_tile < 2 || omp_in_parallel()) {
        for (size_t i = 0; i < n_tile; i++) fn(ctx, i);
        return;
    }
    /* Whichever thread is free takes the next tile: one that the system holds up does not keep the others waiting. */
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < n_tile; i++) fn(ctx, i);
}
