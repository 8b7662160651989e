/** Inner loops of this folder, compiled once for each instruction set (loops_isa.c) and chosen as the kernels are. */
#ifndef TX_MODELS_LOOPS_H
#define TX_MODELS_LOOPS_H
#include "common/tensor/kernels.h"

/** Samples drawn side by side; units whose sums are begun together; tiles of NADE's recursion: hidden units, rows;
 * partial sums of floor_dots. */
enum { TX_ARNET_LANES = 32, TX_ARNET_PANEL = 16, TX_NADE_UNITS = 64, TX_NADE_ROWS = 128, TX_NADE_STRIPE = 16 };

/** Memory of one tile of NADE's recursion: activations, hidden units, gradients that wait for the next change of h,
 *  gradients of the activations. */
typedef struct tx_nade_block {
    real a[TX_NADE_ROWS][TX_NADE_UNITS], h[TX_NADE_ROWS][TX_NADE_UNITS], s[TX_NADE_ROWS][TX_NADE_UNITS];
    real da[TX_NADE_ROWS][TX_NADE_UNITS], pack[TX_NADE_ROWS * TX_NADE_UNITS];
} tx_nade_block;

/** NADE's recursion over the variables for n rows of d variables and h hidden units. A hidden unit meets the others
 * only in the logits, so that each tile of units runs the whole recursion for all rows, and its gradients are its own.
 *  A row's activation changes only after a variable that is not 0. */
typedef struct tx_nade_scan {
    size_t n, d, h;
    const uint32_t *order;
    const real *x, *w, *c, *v; /**< x transposed [d,n]; w [d,h], c [h], v [d,h] */
    real *a_end;         /**< [tiles,n,UNITS] activations after the last variable: forward writes, backward reads */
    real *part;          /**< forward: [tiles,d,n] a tile's share of the logits */
    const real *dl;      /**< backward: gradient of the logits, transposed [d,n] */
    real *dw, *dc, *dv;  /**< backward: gradients of w, c, v */
    tx_nade_block *work; /**< [tiles] */
} tx_nade_scan;

typedef struct tx_fvbn_loops {
    real (*dot)(size_t n, const real *a, const real *b);
    void (*axpy)(size_t n, real alpha, const real *x, real *y); /**< y += alpha x */
    /** out[i] = more + sum over j < h of v[j] max(a[i][j], floor[j]), for n rows; a row of a and floor has room for h
     * rounded up to whole stripes, and something finite there. */
    void (*floor_dots)(size_t n, size_t h, const real *a, const real *floor, const real *v, real more, real out[]);
    /** sum[c][lane] += sum over i < n of w[unit[i] * stride + column[c]] h[i][lane] for the c < m, each in the order of
     * the i: the bits are those of one call or of several, whatever m. */
    void (*gather)(size_t n, const uint32_t *unit, const real *w, size_t stride, size_t m, const uint32_t *column,
                   const real *h, real *sum);
    /** y[j] = degree <= to[j] ? w[j] : 0 */
    void (*mask)(size_t n, real degree, const real *to, const real *w, real *y);
    /** y[i][k] = tanh(s[i][k]) sigmoid(s[i][f + k]) for n rows of s = a + more, 2f wide; more may be NULL. */
    void (*gate)(size_t n, size_t f, const real *a, const real *more, real *y);
    /** ds[i][.] from dy[i][k], for the same s. */
    void (*gate_back)(size_t n, size_t f, const real *a, const real *more, const real *dy, real *ds);
    void (*nade_forward)(void *scan, size_t tile);
    void (*nade_backward)(void *scan, size_t tile);
} tx_fvbn_loops;

extern const tx_fvbn_loops tx_fvbn_loops_baseline, tx_fvbn_loops_v2, tx_fvbn_loops_v3, tx_fvbn_loops_v4;
const tx_fvbn_loops *tx_fvbn_loops_now(void); /**< those of tx_kernels_isa() */
#endif
