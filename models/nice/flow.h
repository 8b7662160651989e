/** What the flows ica, maf and realnvp share: a diagonal start at the data's moments, and columns in another order. */
#ifndef TX_MODELS_FLOW_H
#define TX_MODELS_FLOW_H
#include "common/model/latent.h"

/** u = (x - b) exp(s), coordinate by coordinate, with log-determinant sum_j s_j. */
typedef struct tx_diagonal { tx_param b, s; } tx_diagonal;
tx_diagonal tx_diagonal_add(tx_params *p, size_t dim);    /**< "shift" b and "log_scale" s, [1,dim], both 0 */
/** u gets mean 0 and this deviation on the training split; what is narrower than min_deviation times the widest coordinate
 *  is taken for that wide. */
void   tx_diagonal_start(tx_params *p, tx_diagonal d, const tx_space *space, double deviation, double min_deviation);
tx_var tx_diagonal_encode(tx_tape *t, const tx_params *p, tx_diagonal d, tx_var x);
tx_var tx_diagonal_decode(tx_tape *t, const tx_params *p, tx_diagonal d, tx_var u);
/** [n,1] for n rows. */
tx_var tx_diagonal_log_det(tx_tape *t, const tx_params *p, tx_diagonal d, size_t n);

/** A permutation of columns and its inverse. */
typedef struct tx_shuffle { size_t n; uint32_t *from, *to; } tx_shuffle;
tx_shuffle tx_shuffle_new(size_t n, uint32_t *from);      /**< takes `from`, memory of tx_alloc */
tx_shuffle tx_shuffle_reverse(size_t n);
void       tx_shuffle_free(tx_shuffle *s);
/** y[:,j] = x[:,from[j]], or back. */
tx_var     tx_shuffle_cols(tx_tape *t, const tx_shuffle *s, bool back, tx_var x);

/** `sample` of a model that decodes: x = f^-1(z), z from this prior. */
void       tx_flow_sample(tx_model *m, tx_tape *t, const tx_prior *prior, tx_rng r, uint64_t first, tx_tensor x);
#endif
