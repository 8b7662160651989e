/** The op set. Shapes: n = batch rows, d = columns. Shape errors abort (TX_REQUIRE). Every op is differentiable, twice
 *  too unless it says "once". */
#ifndef TX_TENSOR_OPS_H
#define TX_TENSOR_OPS_H
#include "common/tensor/kernels.h"
#include "common/tensor/tape.h"
/** a b, each transposed first where ta or tb says so: [n,k] [k,m] -> [n,m]. */
tx_var tx_matmul(tx_tape *t, tx_var a, bool ta, tx_var b, bool tb);
tx_var tx_add(tx_tape *t, tx_var a, tx_var b);            /**< same shape; likewise sub, mul, div */
tx_var tx_sub(tx_tape *t, tx_var a, tx_var b);
tx_var tx_mul(tx_tape *t, tx_var a, tx_var b);
tx_var tx_div(tx_tape *t, tx_var a, tx_var b);
tx_var tx_affine(tx_tape *t, tx_var x, real scale, real shift); /**< scale x + shift */
/** s x. */
tx_var tx_scale(tx_tape *t, tx_var x, real s);
/** Element-wise, any shape. */
tx_var tx_exp(tx_tape *t, tx_var x);
tx_var tx_log(tx_tape *t, tx_var x);
tx_var tx_sqrt(tx_tape *t, tx_var x);
/** act(x), any shape. */
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
/** Columns [from, to). */
tx_var tx_slice_cols(tx_tape *t, tx_var x, size_t from, size_t to);
/** b to the right of a: [n,d], [n,e] -> [n,d+e]. */
tx_var tx_concat_cols(tx_tape *t, tx_var a, tx_var b);
/** Rows [from, to). */
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

/** A convolution: rows of x are images [height][width][in], rows of y [out_height][out_width][out], channels last, and
 *      y[i,j,o] = sum_{a,b,c} x[i stride + a dilation - top, j stride + b dilation - left, c] w[(a kernel_w + b) in + c, o]
 *  with zeros around the images. Of the kernel's taps (a,b), in raster order, the first `taps` count (0: all), so that a
 *  masked kernel has w[taps in, out] and costs no more than what it sees. What lies to the right and below follows from the
 *  size of y. A transposed convolution, as generators use it, is described by the one that it transposes: from y to x.
 *  Constants of ops: in memory that outlives the tape's step. Measured, one core, 28 x 28 x 64 by 3 x 3: each map takes 1.5 to
 *  1.6 times its arithmetic at the speed of a large GEMM (1.2 at that of a GEMM 64 wide); 2 with 32 channels, 3 from one. */
enum { TX_CONV_TAPS = 256 };                              /**< at most */
/** Sizes of images and kernel, in the letters above: x[height,width,in], y[out_height,out_width,out]. */
typedef struct tx_conv {
    size_t height, width, in, out_height, out_width, out;
    size_t kernel_h, kernel_w, stride, dilation, top, left, taps;
} tx_conv;
size_t  tx_conv_taps(const tx_conv *c);                   /**< that count */
/** Square kernel, (kernel - 1)/2 zeros above and to the left, y of ceil(size / stride). */
tx_conv tx_conv_same(size_t height, size_t width, size_t in, size_t out, size_t kernel, size_t stride);
tx_var tx_conv_forward(tx_tape *t, const tx_conv *c, tx_var x, tx_var w);    /**< -> y */
tx_var tx_conv_transposed(tx_tape *t, const tx_conv *c, tx_var y, tx_var w); /**< -> x: <x, transposed(y,w)> = <forward(x,w), y> */
tx_var tx_conv_weights(tx_tape *t, const tx_conv *c, tx_var x, tx_var y);    /**< -> w: <weights(x,y), w> = <forward(x,w), y> */
/** Fused with bias [1,out] (transposed: [1,in]) and activation. */
tx_var tx_conv_dense(tx_tape *t, const tx_conv *c, tx_var x, tx_var w, tx_var b, tx_act act);
tx_var tx_conv_transposed_dense(tx_tape *t, const tx_conv *c, tx_var y, tx_var w, tx_var b, tx_act act);
#endif
