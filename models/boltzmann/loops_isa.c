/* Compiled once for each instruction set with TX_ISA = baseline, v2, v3 or v4; exports one table. Only additions, in a
 * fixed order: the bits are the same for every set. */
#include "models/boltzmann/loops.h"
#include <string.h>

enum { WIDE = 64 / (int)sizeof(real), PARTS = TX_ONES_PANEL / WIDE };
typedef real wide __attribute__((vector_size(64)));

static void sum_ones(size_t n, const uint32_t *begin, const uint32_t *unit, const real *w, size_t h, size_t column,
                     size_t skip, const real *bias, real *y)
{
    const wide zero = {0};
    for (size_t i = 0; i < n; i++) {
        wide s[PARTS];
        for (int p = 0; p < PARTS; p++) s[p] = zero;
        if (bias) memcpy(s, bias + column, sizeof s);
        for (uint32_t k = begin[i]; k < begin[i + 1]; k++) {
            const real *row = w + (size_t)unit[k] * h + column;
            for (int p = 0; p < PARTS; p++) {
                wide x;
                memcpy(&x, row + p * WIDE, sizeof x);
                s[p] += x;
            }
        }
        if (skip) {
            real out[TX_ONES_PANEL];
            memcpy(out, s, sizeof out);
            memcpy(y + i * h + column + skip, out + skip, (TX_ONES_PANEL - skip) * sizeof *out);
        } else {
            memcpy(y + i * h + column, s, sizeof s);
        }
    }
}

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
const tx_boltzmann_loops JOIN(tx_boltzmann_loops_, TX_ISA) = {sum_ones};
