/** Layers are plain structs of weight handles: X_add declares weights, X_apply emits ops. No vtable: the tape
 *  differentiates. */
#ifndef TX_TENSOR_LAYERS_H
#define TX_TENSOR_LAYERS_H
#include "common/base/options.h"
#include "common/tensor/ops.h"
#include "common/tensor/params.h"
enum { TX_MLP_MAX = 16 };                                /**< weight layers */
typedef struct tx_mlp { int n; tx_act hidden, out; tx_param w[TX_MLP_MAX], b[TX_MLP_MAX]; } tx_mlp;
/** in -> hidden.v[0] -> ... -> out; weights NAME_w0, NAME_b0, ...; hidden lists from options go in as they are.
 *  Initialised he for ReLU kinds, else glorot; biases 0. More than TX_MLP_MAX - 1 hidden layers abort. */
tx_mlp tx_mlp_add(tx_params *p, const char *name, size_t in, const tx_ints *hidden, size_t out, tx_act hidden_act, tx_act out_act);
tx_mlp tx_mlp_add_init(tx_params *p, const char *name, size_t in, const tx_ints *hidden, size_t out, tx_act hidden_act,
                       tx_act out_act, tx_init weight);
tx_var tx_mlp_apply(tx_tape *t, const tx_params *p, const tx_mlp *m, tx_var x); /**< [n,in] -> [n,out] */
/** Inverted dropout (Srivastava et al. 2014): keeps with probability `keep` and divides by it. r[] names the step's noise:
 *  the rows are `parts` batches of equal size below one another, each with noise of its own, as if it were alone. */
tx_var tx_dropout(tx_tape *t, tx_var x, real keep, size_t parts, const tx_rng r[]);
/** The activation named by a choice option "relu|leaky_relu|tanh|sigmoid|softplus" (index from 0). */
#define TX_ACT_CHOICES "relu|leaky_relu|tanh|sigmoid|softplus"
tx_act tx_act_of_choice(int index);
#endif
