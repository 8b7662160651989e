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

/** Batch normalisation as a layer of a flow (Dinh et al. 2017, section 3.7): y = (x - mean) exp(g) / sqrt(variance + eps) + c,
 *  log-determinant sum_j g_j - log sqrt(variance_j + eps). */
typedef struct tx_normaliser { tx_batchnorm b; tx_param log_gain, bias; } tx_normaliser;
/** NAME_log_gain and NAME_bias, both 0, in p; NAME_mean and NAME_variance in `running`, a net of state. */
tx_normaliser tx_normaliser_add(tx_params *p, tx_params *running, const char *name, size_t width);
/** Adds the log-determinant to *log_det [n,1]. keep >= 0: by the batch's statistics, which the running ones follow at this
 *  rate; else by the running ones. */
tx_var tx_normaliser_encode(tx_tape *t, const tx_params *p, tx_params *running, const tx_normaliser *b, tx_var x, double keep,
                            tx_var *log_det);
tx_var tx_normaliser_decode(tx_tape *t, const tx_params *p, const tx_params *running, const tx_normaliser *b, tx_var y);

/** `sample` of a model that decodes: x = f^-1(z), z from this prior. */
void       tx_flow_sample(tx_model *m, tx_tape *t, const tx_prior *prior, tx_rng r, uint64_t first, tx_tensor x);
#endif
