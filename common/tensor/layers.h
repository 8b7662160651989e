/** Layers are plain structs of weight handles: X_add declares weights, X_apply emits ops. No vtable: the tape
 *  differentiates. */
#ifndef TX_TENSOR_LAYERS_H
#define TX_TENSOR_LAYERS_H
#include "common/base/options.h"
#include "common/tensor/ops.h"
#include "common/tensor/params.h"
enum { TX_MLP_MAX = 16 };                                /**< weight layers */
/** A perceptron: n weight layers, act(... act(x w[0] + b[0]) ... w[n-1] + b[n-1]). */
typedef struct tx_mlp { int n; tx_act hidden, out; tx_param w[TX_MLP_MAX], b[TX_MLP_MAX]; } tx_mlp;
/** in -> hidden.v[0] -> ... -> out; weights NAME_w0, NAME_b0, ...; hidden lists from options go in as they are.
 *  Initialised he for ReLU kinds, else glorot; biases 0. More than TX_MLP_MAX - 1 hidden layers abort. */
tx_mlp tx_mlp_add(tx_params *p, const char *name, size_t in, const tx_ints *hidden, size_t out, tx_act hidden_act, tx_act out_act);
/** The same, with weights from `weight`. */
tx_mlp tx_mlp_add_init(tx_params *p, const char *name, size_t in, const tx_ints *hidden, size_t out, tx_act hidden_act,
                       tx_act out_act, tx_init weight);
tx_var tx_mlp_apply(tx_tape *t, const tx_params *p, const tx_mlp *m, tx_var x); /**< [n,in] -> [n,out] */
/** A convolution, or one transposed, with bias and activation; weights NAME_w [taps in, out], NAME_b. It stays where it is
 *  while the tape lives, as part of a model's state does. */
typedef struct tx_conv_layer { tx_conv conv; bool transposed; tx_act act; tx_param w, b; } tx_conv_layer;
/** Declares its weights; biases are 0. */
tx_conv_layer tx_conv_layer_add(tx_params *p, const char *name, const tx_conv *c, bool transposed, tx_act act, tx_init weight);
/** Of images below one another, [n, height width in] -> [n, out_height out_width out]; transposed: back. */
tx_var tx_conv_layer_apply(tx_tape *t, const tx_params *p, const tx_conv_layer *l, tx_var x);
/** Inverted dropout (Srivastava et al. 2014): keeps with probability `keep` and divides by it. r[] names the step's noise:
 *  the rows are `parts` batches of equal size below one another, each with noise of its own, as if it were alone. */
tx_var tx_dropout(tx_tape *t, tx_var x, real keep, size_t parts, const tx_rng r[]);
/** Batch normalisation of columns (Ioffe & Szegedy 2015, algorithm 1) without its gain and shift, which are a model's own:
 *  y = (x - mean) / sqrt(variance + eps), eps = 1e-5, [n,width] -> [n,width]. Training takes the batch's mean and (biased)
 *  variance; evaluation takes running ones, weights of a net of state, so that a row's result is its own. The channels of a
 *  convolution are columns of [n height width, channels]. */
typedef struct tx_batchnorm { tx_param mean, variance; } tx_batchnorm;
/** NAME_mean = 0 and NAME_variance = 1 in `running`, each [1,width]. */
tx_batchnorm tx_batchnorm_add(tx_params *running, const char *name, size_t width);
/** By the batch, through which gradients go too; the running statistics move at once to keep running + (1 - keep) batch.
 *  A single row has no variance: it is taken as in evaluation, and moves nothing (running bound to the tape).
 *  In both *log_deviation (may be NULL) is log sqrt(variance + eps), [1,width]: a flow's log |dy/dx| is minus its sum. */
tx_var tx_batchnorm_train(tx_tape *t, tx_params *running, const tx_batchnorm *b, tx_var x, real keep, tx_var *log_deviation);
tx_var tx_batchnorm_apply(tx_tape *t, const tx_params *running, const tx_batchnorm *b, tx_var x, tx_var *log_deviation);
tx_var tx_batchnorm_invert(tx_tape *t, const tx_params *running, const tx_batchnorm *b, tx_var y); /**< of apply: y -> x */
/** The choices of an option that names an activation. */
#define TX_ACT_CHOICES "relu|leaky_relu|tanh|sigmoid|softplus"
/** The activation of such a choice (index from 0). */
tx_act tx_act_of_choice(int index);
#endif
