/** Standard errors by random halves. Drawing with replacement puts rows beside their copies, at distance 0, which is the
 *  one thing that statistics of neighbours and pairs cannot take; a half of each side drawn without is free of them, and
 *  its spread about the whole is that of the whole about the truth where the variance is of order 1/n (Politis & Romano
 *  1994). Of a statistic that is degenerate, as MMD^2 is between equal distributions, it is too large. */
#ifndef TX_QUALITY_HALVES_H
#define TX_QUALITY_HALVES_H
#include "common/tensor/rng.h"
/** Half number `round` of 0..n-1: the first n/2 members of a permutation of them; index[n]. */
void   tx_half(tx_rng r, size_t round, size_t n, uint32_t index[]);
/** The error from the values of all rounds, value[0], value[stride], ...; NAN where one is not finite. */
double tx_halves_error(size_t n_round, size_t n, const double value[], size_t stride);
/** out[n_out] of rows a[n_a] of one side and b[n_b] of the other. */
typedef void tx_statistic(const void *ctx, size_t n_a, const uint32_t a[], size_t n_b, const uint32_t b[], double out[]);
/** value[n_out] of all rows and its error[n_out]. n_b 0: one side only. Parallel over rounds: `f` runs in one thread. */
void   tx_halves(tx_rng r, size_t n_round, size_t n_a, size_t n_b, size_t n_out, tx_statistic *f, const void *ctx, double value[],
                 double error[]);
#endif
