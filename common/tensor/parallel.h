/** Work shared by threads over *fixed* tiles: how work is cut depends on shapes alone, never on the number of threads,
 *  so that every result has the same bits for every thread count. */
#ifndef TX_TENSOR_PARALLEL_H
#define TX_TENSOR_PARALLEL_H
#include "common/base/base.h"
/** 1 or more; call once at start (OpenMP and BLAS are told). With a serial build of OpenBLAS it stays 1: called from two
 *  threads at a time, such a build gives wrong products without a word. */
void tx_threads_set(int n);
bool tx_blas_is_serial(void);
int  tx_threads(void);
int  tx_thread(void);                                     /**< of tx_parallel that runs here, 0 .. tx_threads() - 1: for scratch memory */
/** fn(ctx, i) for i in [0, n_tile), in any order and on any thread; nested calls run serially. */
void tx_parallel(size_t n_tile, void (*fn)(void *ctx, size_t tile), void *ctx);
#endif
