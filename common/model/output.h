/** The last layer of decoders and generators: from the reals into the space's box. */
#ifndef TX_MODEL_OUTPUT_H
#define TX_MODEL_OUTPUT_H
#include "common/data/view.h"
#include "common/tensor/ops.h"

bool tx_space_bounded(const tx_space *s); /**< both bounds are finite */
/** lower + (upper - lower) sigmoid(a) on a bounded space, else a; any shape. */
tx_var tx_output(tx_tape *t, const tx_space *s, tx_var a);
/** bias[dim] at which tx_output gives the training mean; in a box the mean is first kept 1/1000 of it from the walls.
 */
void tx_output_bias(const tx_space *s, real bias[]);
#endif
