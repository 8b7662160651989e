/** The last layer of decoders and generators: from the reals into the space's box. */
#ifndef TX_MODEL_OUTPUT_H
#define TX_MODEL_OUTPUT_H
#include "common/data/view.h"
#include "common/tensor/ops.h"
#include "common/tensor/rng.h"

bool tx_space_bounded(const tx_space *s); /**< both bounds are finite */
/** lower + (upper - lower) sigmoid(a) on a bounded space, else a; any shape. */
tx_var tx_output(tx_tape *t, const tx_space *s, tx_var a);
/** bias[dim] at which tx_output gives the training mean; in a box the mean is first kept 1/1000 of it from the walls.
 */
void tx_output_bias(const tx_space *s, real bias[]);
/** A generator's rows first .. first + n - 1 as samples x[n,dim] of its space: on {0,1}^D a draw from Bernoullis with means
 *  g[n,dim], on levels the nearest level, elsewhere g; x may be g. */
void tx_output_sample(const tx_space *s, tx_rng r, uint64_t first, size_t n, const real g[], real x[]);
#endif
