/** Private to kernels.c, rng.c and kernels_isa.c: the inner loops as a table of functions, one table an instruction
 * set. A loop works on part [from, to) of its range in one thread; cutting ranges into tiles is the caller's business.
 */
#ifndef TX_TENSOR_KERNELS_ISA_H
#define TX_TENSOR_KERNELS_ISA_H
#include "common/tensor/kernels.h"
#include "common/tensor/rng.h"

enum { TX_ACTS = TX_SOFTPLUS + 1, TX_MOG_MAX = 1024, TX_RNG_BLOCKS = 64 };

/** Arguments of every loop; kernels.c says with each call what stands where. */
typedef struct tx_args {
    size_t n, d, k; /**< shape, where it is not the range */
    const real *in[4];
    real *out[5];
    real c[8]; /**< constants */
    tx_rng rng;
    uint64_t first; /**< stream position of element 0 */
} tx_args;

typedef void tx_loop(const tx_args *a, size_t from, size_t to);
typedef double tx_fold(const tx_args *a, size_t from, size_t to);

#define TX_LOOP_MAP(X)                                                                                                 \
    X(exp)                                                                                                             \
    X(log)                                                                                                             \
    X(sqrt)                                                                                                            \
    X(add) X(sub) X(mul) X(div) X(affine) X(axpy) X(clip) X(add_row) X(mul_row) X(mul_col) X(sum_rows) X(sum_cols)     \
        X(logsumexp) X(bernoulli) X(normal) X(logistic) X(mog) X(rng_uniform) X(rng_normal) X(rng_logistic)            \
            X(rng_bernoulli)
#define TX_FOLD_MAP(X) X(sum) X(dot) X(nonfinite) X(descent) X(sgd) X(rmsprop) X(adagrad) X(adam)

typedef struct tx_isa {
    tx_loop *act[TX_ACTS], *act_grad[TX_ACTS];
    tx_loop *bias_act[TX_ACTS]; /**< out[0] = act(in[0] + in[1]) */
#define X(loop) tx_loop *loop;
    TX_LOOP_MAP(X)
#undef X
#define X(fold) tx_fold *fold;
    TX_FOLD_MAP(X)
#undef X
} tx_isa;

extern const tx_isa tx_isa_baseline, tx_isa_v2, tx_isa_v3, tx_isa_v4;

const tx_isa *tx_isa_now(void); /**< the table in use */
/** The loop over units 0 .. n-1 of `width` elements each, in tiles that depend on n and width only. */
void tx_isa_run(tx_loop *loop, const tx_args *a, size_t n, size_t width);
#endif
