/** The inner loop of this folder, compiled once for each instruction set (loops_isa.c) and chosen as the kernels are. */
#ifndef TX_BOLTZMANN_LOOPS_H
#define TX_BOLTZMANN_LOOPS_H
#include "common/base/base.h"

/** Columns that are summed side by side, in registers; lists that one call takes at most. */
enum { TX_ONES_PANEL = 256 / (int)sizeof(real), TX_ONES_LISTS = 512 };

typedef struct tx_boltzmann_loops {
    /** y[i][j] = bias[j] + sum over k in begin[i] .. begin[i+1]-1 of w[unit[k]][j], in the order of the k, for i < n and the
     *  columns j = column .. column + TX_ONES_PANEL - 1 of w[d,h] that exist; the units of a list ascend; bias may be NULL. */
    void (*sum_ones)(size_t n, size_t d, const uint32_t *begin, const uint32_t *unit, const real *w, size_t h, size_t column,
                     const real *bias, real *y);
} tx_boltzmann_loops;

extern const tx_boltzmann_loops tx_boltzmann_loops_baseline, tx_boltzmann_loops_v2, tx_boltzmann_loops_v3, tx_boltzmann_loops_v4;
#endif
