/** What Boltzmann machines share: the statistics of a gradient, sums over all states of binary units, factors that summed out
 *  units leave on an annealed path. */
#ifndef TX_BOLTZMANN_UNITS_H
#define TX_BOLTZMANN_UNITS_H
#include "common/model/energy.h"

/** The gradient x' p [i,o] of weights, x[n,i] and p[n,o], made and used up by the optimiser a few rows at a time. */
tx_var tx_statistics(tx_tape *t, tx_var x, tx_var p);
/** Which entries of a 0/1 matrix are 1, row by row: unit[begin[i]] .. unit[begin[i+1] - 1] of row i. Where few are, sums of
 *  rows of weights cost less than a product. */
typedef struct tx_ones { size_t n; uint32_t *begin, *unit; } tx_ones;
size_t  tx_ones_room(size_t n, size_t d);                 /**< numbers of memory that the list of x[n,d] takes at most */
tx_ones tx_ones_of(size_t n, size_t d, const real *x, uint32_t *memory);
/** Few enough, and wide enough rows [h] of weights, for tx_ones_sum to beat a product: by shape and content alone. */
bool    tx_ones_pay(const tx_ones *o, size_t d, size_t h);
/** y[n,h] = x w[d,h] + bias; bias may be NULL. */
void    tx_ones_sum(const tx_ones *o, const real *w, size_t d, size_t h, const real *bias, real *y);
/** tx_statistics(x, p) of the matrices a above b, x = [a; b] of d columns. */
tx_var  tx_ones_statistics(tx_tape *t, const tx_ones *a, const tx_ones *b, size_t d, tx_var p);
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
