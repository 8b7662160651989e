/** Dense layers under a staircase mask: autoregressive nets whose units stand in the order of their degrees. Output c sees
 *  the inputs 0 .. seen[c]-1, so that most of a product over all of them is zeros; only the blocks that the steps run
 *  through are masked, and what lies above them is not computed. */
#ifndef TX_TENSOR_STAIRCASE_H
#define TX_TENSOR_STAIRCASE_H
#include "common/tensor/kernels.h"
#include "common/tensor/tape.h"

/** A mask whose rows and columns are staircases. */
typedef struct tx_stairs {
    size_t    in, out;
    uint32_t *seen;                                       /**< [out]: inputs that output c sees; never falls; owned */
    uint32_t *first;                                      /**< [in]: first output that sees input i, out if none does; owned */
} tx_stairs;

/** A weight from input i to output c counts where from[i] <= to[c]. NULL where that is no staircase: where `from` or `to`
 *  falls somewhere. */
tx_stairs *tx_stairs_new(size_t in, const real *from, size_t out, const real *to);
void       tx_stairs_free(tx_stairs *s);                  /**< NULL is allowed */
/** act(x[n,in] (w[in,out] * mask) + b[1,out]); b may be NULL where act is TX_LINEAR. `s` must outlive the tape's use of it. */
tx_var     tx_stairs_dense(tx_tape *t, const tx_stairs *s, tx_var x, tx_var w, tx_var b, tx_act act);
#endif
