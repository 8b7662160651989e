/** Reverse-mode differentiation by a tape that runs as it records.
 *  A backward rule *emits ops on the same tape*, so gradients can be differentiated again. Values live in the tape's
 *  arena until tx_tape_reset. */
#ifndef TX_TENSOR_TAPE_H
#define TX_TENSOR_TAPE_H
#include "common/tensor/arena.h"
#include "common/tensor/tensor.h"
enum { TX_MAX_IN = 6 };
/** Nodes in the order in which they were made, with the memory of their values. */
typedef struct tx_tape tx_tape;
typedef struct tx_node tx_node;
typedef const tx_node *tx_var;                            /**< handle; dies at tx_tape_reset */

/** Constants of an op, with a meaning of its own; but an op without eval has its value at p. */
typedef struct tx_attr { real f, f2; size_t n, n2; const void *p; } tx_attr;

/** One differentiable operation. Adding one = one static const struct, anywhere, even inside a model's folder. */
typedef struct tx_op {
    const char *name;
    int         n_in;
    /** Compute y from in[]; y->v.x is uninitialised arena memory of the right shape. A fused op may leave what its
     *  gradient needs in arena memory at y->saved. NULL: nothing to compute, the value is already at y->a.p (a view of
     *  an input, or what another op saved). */
    void (*eval)(tx_tape *t, tx_node *y);
    /** Given dy (shape of y), store in dx[j] the gradient for input j by emitting ops. On entry dx[j] is NULL; want[j]
     *  says whether it is needed (what is stored for an unwanted one is ignored); a wanted one left NULL is zero. A
     *  gradient of another shape but the right length is reshaped. A NULL rule: not differentiable (asking aborts). */
    void (*vjp)(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[]);
} tx_op;

/** Rows [from,to) of the matrix y into out, by the calling thread alone: for values that need never exist as a whole. */
typedef void tx_rows_fn(tx_var y, size_t from, size_t to, real *out);
/** v.x is NULL while a postponed value has not been computed. */
struct tx_node { tx_tensor v; const tx_op *op; tx_var in[TX_MAX_IN]; tx_attr a; void *saved; int index; tx_rows_fn *rows; };

/** Its arena begins with so many bytes; owned by the caller, NULL may be freed. */
tx_tape  *tx_tape_new(size_t reserve_bytes);
void      tx_tape_free(tx_tape *t);
void      tx_tape_reset(tx_tape *t);                      /**< forget all nodes; keeps the memory */
/** Memory that lives until the next reset. */
tx_arena *tx_tape_arena(tx_tape *t);
size_t    tx_tape_growths(const tx_tape *t);              /**< system allocations of the tape and its arena so far */
uint64_t  tx_tape_resets(const tx_tape *t);               /**< so far: variables made before the last one are dead */
size_t    tx_tape_nodes(const tx_tape *t);                /**< since the last reset */
tx_var    tx_leaf(tx_tape *t, tx_tensor v);               /**< borrow caller memory, which outlives the tape's step */
tx_tensor tx_tape_tensor(tx_tape *t, size_t rows, size_t cols); /**< uninitialised arena memory, to fill and make a leaf of */
/** A node: op of in[op->n_in], evaluated at once, its value of that shape in the arena. */
tx_var    tx_apply(tx_tape *t, const tx_op *op, tx_shape shape, tx_var const in[], tx_attr a);
/** The same, but the value is not computed before an op takes it, or tx_compute, or a gradient is asked for by tx_grad. */
tx_var    tx_postpone(tx_tape *t, const tx_op *op, tx_shape shape, tx_var const in[], tx_attr a, tx_rows_fn *rows);
void      tx_compute(tx_tape *t, tx_var y);               /**< nothing to do unless y is postponed */

/** out[k] = d(sum y)/d wrt[k], same shape as wrt[k]; zeros where y does not depend on it. Work is done only on paths
 *  from y to wrt: no requires-grad flags, no detach, no zero-grad. */
void      tx_grad(tx_tape *t, tx_var y, tx_var const wrt[], int n, tx_var out[]);
/** The same, but gradients that can be had row by row may come postponed: for an optimiser, which uses them up as they
 *  come. They are of the inputs' present values: compute them before anything but wrt changes. */
void      tx_grad_postponed(tx_tape *t, tx_var y, tx_var const wrt[], int n, tx_var out[]);
/** The same with a given cotangent: out[k] = sum_i c_i d y_i / d wrt[k]; c has the shape of y. */
void      tx_vjp(tx_tape *t, tx_var y, tx_var c, tx_var const wrt[], int n, tx_var out[]);
#endif
