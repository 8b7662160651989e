/** The op set. Shapes: n = batch rows, d = columns. Shape errors abort (TX_REQUIRE). Every op is differentiable, twice
 *  too unless it says "once". */
#ifndef TX_TENSOR_OPS_H
#define TX_TENSOR_OPS_H
#include "common/tensor/kernels.h"
#include "common/tensor/tape.h"
tx_var tx_matmul(tx_tape *t, tx_var a, bool ta, tx_var b, bool tb);
tx_var tx_add(tx_tape *t, tx_var a, tx_var b);            /**< same shape; likewise sub, mul, div */
tx_var tx_sub(tx_tape *t, tx_var a, tx_var b);
tx_var tx_mul(tx_tape *t, tx_var a, tx_var b);
tx_var tx_div(tx_tape *t, tx_var a, tx_var b);
tx_var tx_affine(tx_tape *t, tx_var x, real scale, real shift); /**< scale x + shift */
tx_var tx_scale(tx_tape *t, tx_var x, real s);
tx_var tx_exp(tx_tape *t, tx_var x);
tx_var tx_log(tx_tape *t, tx_var x);
tx_var tx_sqrt(tx_tape *t, tx_var x);
tx_var tx_activation(tx_tape *t, tx_var x, tx_act act);
/** dy * act'(z) written in the output y = act(z): for backward rules that hold an activation's output. */
tx_var tx_activation_grad(tx_tape *t, tx_var y, tx_var dy, tx_act act);
tx_var tx_clip(tx_tape *t, tx_var x, real lo, real hi);   /**< gradient 0 outside */
tx_var tx_sum_rows(tx_tape *t, tx_var x);                 /**< [n,d] -> [n,1] */
tx_var tx_sum_cols(tx_tape *t, tx_var x);                 /**< [n,d] -> [1,d] */
tx_var tx_mean(tx_tape *t, tx_var x);                     /**< any -> [1,1], mean over all elements */
tx_var tx_repeat_rows(tx_tape *t, tx_var x, size_t n);    /**< [1,d] -> [n,d] */
tx_var tx_repeat_cols(tx_tape *t, tx_var x, size_t d);    /**< [n,1] -> [n,d] */
tx_var tx_tile_rows(tx_tape *t, tx_var x, size_t times);  /**< [n,d] -> [n*times,d]: row i at i*times .. i*times+times-1 */
tx_var tx_logsumexp(tx_tape *t, tx_var x);                /**< [n,d] -> [n,1] */
tx_var tx_slice_cols(tx_tape *t, tx_var x, size_t from, size_t to);
tx_var tx_concat_cols(tx_tape *t, tx_var a, tx_var b);
tx_var tx_take_rows(tx_tape *t, tx_var x, size_t from, size_t to);
tx_var tx_concat_rows(tx_tape *t, tx_var a, tx_var b);    /**< b below a */
/** [n,d] -> [n,count]: columns from, from+stride, ... (the interleaved split of NICE), and its inverse scatter:
 *  interleave takes even columns from a [n, ceil(d/2)] and odd columns from b [n, floor(d/2)]. */
tx_var tx_stride_cols(tx_tape *t, tx_var x, size_t from, size_t stride);
tx_var tx_interleave_cols(tx_tape *t, tx_var a, tx_var b);
tx_var tx_reshape(tx_tape *t, tx_var x, tx_shape s);      /**< same memory, other shape */
tx_var tx_add_row(tx_tape *t, tx_var x, tx_var row);      /**< x[n,d] + row[1,d] */
tx_var tx_mul_row(tx_tape *t, tx_var x, tx_var row);      /**< x[n,d] * row[1,d] */
tx_var tx_mul_col(tx_tape *t, tx_var x, tx_var col);      /**< x[n,d] * col[n,1] */
tx_var tx_max_groups(tx_tape *t, tx_var x, size_t k);     /**< [n,d*k] -> [n,d]: maximum of k adjacent (maxout) */
/* fused: one pass each, vectorised */
tx_var tx_dense(tx_tape *t, tx_var x, tx_var w, tx_var b, tx_act act); /**< act(x[n,i] w[i,o] + b[1,o]) */
tx_var tx_bernoulli_logp(tx_tape *t, tx_var logit, tx_var x);          /**< [n,d],[n,d] -> [n,1], nats */
tx_var tx_normal_logp(tx_tape *t, tx_var x, tx_var mu, tx_var logvar); /**< [n,d] x3 -> [n,1], nats */
tx_var tx_logistic_logp(tx_tape *t, tx_var z);                         /**< standard logistic, [n,d] -> [n,1], nats */
/** d mixtures of k normals: x[n,d], logit, mean, logsd [n,d*k] (components of a variable adjacent) -> [n,1]; once */
tx_var tx_mog_logp(tx_tape *t, tx_var x, tx_var logit, tx_var mean, tx_var logsd, size_t k);
#endif
