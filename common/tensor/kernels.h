/** Loops over raw arrays: what ops, optimisers, estimators and models without a tape are made of.
 *
 *  Every kernel cuts its work into tiles that depend on the shapes only and may run them in parallel; no result depends
 *  on the thread count. Arrays may be at any address, but results are defined for given shapes whatever the address.
 *  `y` may be the same array as an input unless it says otherwise; partial overlap is not allowed.
 *  n = rows, d = columns, row-major. Sums over a row are accumulated in double in the double build and in the float
 *  build in at least 16 partial float sums (or double), so that their relative error stays near the rounding of the result.
 *
 *  The loops are compiled for x86-64, x86-64-v2, -v3 and -v4 (plain elsewhere) and chosen at start. */
#ifndef TX_TENSOR_KERNELS_H
#define TX_TENSOR_KERNELS_H
#include "common/base/base.h"

/** Name of the instruction set in use: "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", or "generic".
 *  Forced by the environment variable TAXON_ISA (an unknown or unsupported value is TX_EUSAGE from tx_kernels_start). */
const char *tx_kernels_isa(void);
tx_status   tx_kernels_start(void);                  /**< choose; implied by first use with the best supported set */

/** The kernels that OpenBLAS has chosen: "SkylakeX". */
const char *tx_blas_core(void);
/** For a processor newer than itself OpenBLAS takes its slowest kernels, a fourth of the speed. Then: the value of
 *  OPENBLAS_CORETYPE, read when the library is loaded, that serves this processor better; else NULL. */
const char *tx_blas_better_core(void);
/** Were the chosen kernels made for an older instruction set than this processor has, whoever chose them? */
bool        tx_blas_core_is_old(void);

/** C = alpha op(A) op(B) + beta C; C is [m,n], op(A) [m,k], op(B) [k,n]; row-major; C overlaps nothing. One-thread BLAS
 *  over fixed tiles of C's longer side. Sizes over INT_MAX abort. */
void tx_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, real alpha, const real *a, size_t lda,
             const real *b, size_t ldb, real beta, real *c, size_t ldc);
/** One-thread GEMM for use inside a tile of tx_parallel. */
void tx_gemm_serial(bool ta, bool tb, size_t m, size_t n, size_t k, real alpha, const real *a, size_t lda,
                    const real *b, size_t ldb, real beta, real *c, size_t ldc);

/** y[n,d] <- y (I + N)^-1 in place; of N [d,d] what lies above the diagonal counts and nothing else is read. */
void tx_solve_unit_upper(size_t n, size_t d, const real *upper, real *y);

/** Activations; grad is written in terms of the output y: dz = dy * act'(z(y)). */
typedef enum tx_act { TX_LINEAR, TX_RELU, TX_LEAKY_RELU /* slope 0.2 */, TX_TANH, TX_SIGMOID, TX_SOFTPLUS } tx_act;
/** y[n,o] = act(x[n,i] w[i,o] + b[o]); b may be NULL; bias and activation in the GEMM's tile while it is warm. */
void tx_dense_forward(size_t n, size_t i, size_t o, const real *x, const real *w, const real *b, tx_act act, real *y);
/** y[n,i] = act(alpha x[n,o] w[i,o]' + b[i]): back through the same weights; b may be NULL. */
void tx_dense_transposed(size_t n, size_t o, size_t i, real alpha, const real *x, const real *w, const real *b, tx_act act,
                         real *y);

/** Element-wise over `len` values. */
void tx_vec_act(tx_act act, size_t len, const real *x, real *y);
/** dz = dy act'(z), written in y = act(z). */
void tx_vec_act_grad(tx_act act, size_t len, const real *y, const real *dy, real *dz);
/** y = f(x); errors of a few units in the last place; y may be x. */
void tx_vec_exp(size_t len, const real *x, real *y);
void tx_vec_log(size_t len, const real *x, real *y);
void tx_vec_sqrt(size_t len, const real *x, real *y);
/** y = a op b; y may be either. */
void tx_vec_add(size_t len, const real *a, const real *b, real *y);
void tx_vec_sub(size_t len, const real *a, const real *b, real *y);
void tx_vec_mul(size_t len, const real *a, const real *b, real *y);
void tx_vec_div(size_t len, const real *a, const real *b, real *y);
void tx_vec_affine(size_t len, real scale, const real *x, real shift, real *y);  /**< y = scale x + shift */
void tx_vec_axpy(size_t len, real alpha, const real *x, real *y);                /**< y += alpha x */
/** Into [lo, hi]. */
void tx_vec_clip(size_t len, const real *x, real lo, real hi, real *y);

/** Rows and columns of [n,d]. */
void tx_mat_add_row(size_t n, size_t d, const real *x, const real *row, real *y);   /**< y = x + row[d] */
void tx_mat_mul_row(size_t n, size_t d, const real *x, const real *row, real *y);   /**< y = x * row[d] */
void tx_mat_mul_col(size_t n, size_t d, const real *x, const real *col, real *y);   /**< y = x * col[n] */
void tx_mat_sum_rows(size_t n, size_t d, const real *x, real *y);                   /**< y[n]: sum over columns of each row */
void tx_mat_sum_cols(size_t n, size_t d, const real *x, real *y);                   /**< y[d]: sum over rows of each column */
void tx_mat_logsumexp(size_t n, size_t d, const real *x, real *y);                  /**< y[n]; -inf and large values handled */
double tx_vec_sum(size_t len, const real *x);                                       /**< fixed order, double */
double tx_vec_dot(size_t len, const real *x, const real *y);                        /**< fixed order, double */
bool   tx_vec_finite(size_t len, const real *x);

/** Fused densities: value per row in nats, and in the same pass what the gradients need.
 *  bernoulli: sum_j x l - softplus(l) with logits l; g[n,d] = x - sigmoid(l) if g is not NULL. x may be in [0,1]. */
void tx_bernoulli_rows(size_t n, size_t d, const real *logit, const real *x, real *y, real *g);
/** normal: sum_j -0.5 (log 2 pi + lv + (x - mu)^2 exp(-lv)); gmu = (x-mu) exp(-lv), glv = 0.5 ((x-mu)^2 exp(-lv) - 1);
 *  gmu, glv may be NULL (the gradient for x is -gmu). */
void tx_normal_rows(size_t n, size_t d, const real *x, const real *mu, const real *logvar, real *y, real *gmu, real *glv);
/** standard logistic: sum_j -z - 2 softplus(-z) (symmetric form); g = -tanh(z/2), may be NULL. */
void tx_logistic_rows(size_t n, size_t d, const real *z, real *y, real *g);
/** mixture of k normals for each of d variables; logit, mean, logsd are [n, d*k] with the k components of a variable
 *  adjacent; y[n] = sum_j log sum_c softmax(logit)_c N(x_j; mean, exp(logsd)); gradient arrays [n, d*k] (gx: [n,d])
 *  may be NULL together. 1 <= k <= 1024. */
void tx_mog_rows(size_t n, size_t d, size_t k, const real *x, const real *logit, const real *mean, const real *logsd,
                 real *y, real *glogit, real *gmean, real *glogsd, real *gx);

/** One fused pass of an optimiser over `len` weights; lr is the step size of this step, decay the decoupled weight decay
 *  (w -= lr decay w), gscale multiplies every gradient first (clipping). False if a gradient or a new weight is not
 *  finite: weights and state are then spoilt where it stood. Subnormal numbers are 0 to it, on x86. */
bool tx_sgd_update(size_t len, real lr, real gscale, real decay, real momentum, bool nesterov,
                   const real *g, real *velocity, real *w);
bool tx_rmsprop_update(size_t len, real lr, real gscale, real decay, real rho, real eps, real momentum,
                       const real *g, real *square, real *velocity, real *w);
bool tx_adagrad_update(size_t len, real lr, real gscale, real decay, real eps, const real *g, real *square, real *w);
/** bias1 = 1 - beta1^t, bias2 = 1 - beta2^t. */
bool tx_adam_update(size_t len, real lr, real gscale, real decay, real beta1, real beta2, real eps,
                    real bias1, real bias2, const real *g, real *m, real *v, real *w);
#endif
