/* Compiled once for each instruction set with TX_ISA = baseline, v2, v3 or v4; exports one table. Only additions, in a
 * fixed order: the bits are the same for every set. */
#include "models/boltzmann/loops.h"
#include <string.h>

/* BLOCK rows of a panel are copied to where they are aligned and stay in the first cache. */
enum { WIDE = 64 / (int)sizeof(real), PARTS = TX_ONES_PANEL / WIDE, BLOCK = 200 };
typedef real wide __attribute__((vector_size(64)));
typedef wide panel[PARTS];

/* Copies of a whole panel are inlined. */
static inline void copy(void *to, const void *from, size_t columns)
{
    if (columns == TX_ONES_PANEL)
        memcpy(to, from, sizeof(panel));
    else
        memcpy(to, from, columns * sizeof(real));
}

static void sum_ones(size_t n, size_t d, const uint32_t *begin, const uint32_t *unit, const real *w, size_t h,
                     size_t column, const real *bias, real *y)
{
    size_t columns = h - column < TX_ONES_PANEL ? h - column : TX_ONES_PANEL;
    panel block[BLOCK];
    uint32_t at[TX_ONES_LISTS];
    memcpy(at, begin, n * sizeof *at);
    if (columns < TX_ONES_PANEL) memset(block, 0, sizeof block);
    for (size_t from = 0; from < d; from += BLOCK) {
        size_t to = d - from < BLOCK ? d : from + BLOCK;
        for (size_t r = from; r < to; r++) copy(block[r - from], w + r * h + column, columns);
        for (size_t i = 0; i < n; i++) {
            real *out = y + i * h + column;
            panel s = {{0}};
            if (from)
                copy(s, out, columns);
            else if (bias)
                copy(s, bias + column, columns);
            uint32_t k = at[i];
            for (; k < begin[i + 1] && unit[k] < to; k++)
                for (int p = 0; p < PARTS; p++) s[p] += block[unit[k] - from][p];
            at[i] = k;
            copy(out, s, columns);
        }
    }
}

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
const tx_boltzmann_loops JOIN(tx_boltzmann_loops_, TX_ISA) = {sum_ones};
