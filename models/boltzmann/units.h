/** What Boltzmann machines share: the statistics of a gradient, sums over all states of binary units, factors that summed out
 *  units leave on an annealed path. */
#ifndef TX_BOLTZMANN_UNITS_H
#define TX_BOLTZMANN_UNITS_H
#include "common/model/energy.h"

/** The gradient x' p [i,o] of weights, x[n,i] and p[n,o], made and used up by the optimiser a few rows at a time. */
tx_var tx_statistics(tx_tape *t, tx_var x, tx_var p);
/** log sum over all states of `units` binary ones of exp(weight), at most TX_ENUMERATE_UNITS: weight_of puts the log-weights of
 *  n states unit[n,units] into value[n]. Where n_draw > 0, drawn[n_draw,units] are exact draws, row i of noise (r, first + i). */
double tx_sum_states(tx_tape *t, size_t units, void (*weight_of)(void *ctx, size_t n, const real *unit, double value[]), void *ctx,
                     tx_rng r, uint64_t first, size_t n_draw, real *drawn);
/** gain[n] = sum_j softplus(offset_j + to a_j) - softplus(offset_j + from a_j) of rows a[n,h]: units with these logits that are
 *  summed out at two temperatures. offset[h] may be NULL. */
void tx_softplus_gain(tx_tape *t, size_t n, size_t h, const real *a, const real *offset, double from, double to, double gain[]);
/** |a - b|^2 over n values. */
double tx_squared_error(tx_tape *t, size_t n, const real *a, const real *b);
#endif
