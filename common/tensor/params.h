/** All weights of one network: one contiguous block plus names. The common ground between models that differentiate by
 *  tape and models that compute gradients by hand. */
#ifndef TX_TENSOR_PARAMS_H
#define TX_TENSOR_PARAMS_H
#include "common/tensor/rng.h"
#include "common/tensor/tape.h"
/** The weights of a net, from tx_params_new to tx_params_free. */
typedef struct tx_params tx_params;
/** One of them, by its place in the order of declaration. */
typedef struct tx_param { int id; } tx_param;
/** Initial distributions: glorot U(+-sqrt(6/(in+out))) (Glorot & Bengio 2010), he N(0, 2/in) (He et al. 2015),
 *  normal N(0, scale^2), uniform U(-scale, scale), constant = scale. */
typedef enum tx_init_kind { TX_INIT_CONSTANT, TX_INIT_GLOROT, TX_INIT_HE, TX_INIT_NORMAL, TX_INIT_UNIFORM } tx_init_kind;
/** A distribution with its scale; glorot and he take none. */
typedef struct tx_init { tx_init_kind kind; real scale; } tx_init;
tx_params *tx_params_new(const char *net);               /**< "encoder", "generator": copied; the group name in files */
/** The same for what no optimiser steps but belongs to a model all the same, and is saved with it: orders of variables, running
 *  statistics, persistent chains. A model's nets of this kind come after its others. */
tx_params *tx_params_new_state(const char *net);
/** Of tx_params_new_state? */
bool       tx_params_is_state(const tx_params *p);
void       tx_params_free(tx_params *p);                 /**< NULL is allowed */
/** Declare one weight; its name is copied and unique in the net. Weights are matrices [in,out], biases [1,out]. */
tx_param   tx_params_add(tx_params *p, const char *name, tx_shape s, tx_init init);
/** False, with the reason, if a weight's rows or columns are more than the BLAS counts or the block more than memory can be. */
bool       tx_params_fit(const tx_params *p, char why[TX_TEXT_MAX]);
void       tx_params_seal(tx_params *p, tx_rng r);       /**< allocate the block and fill it; no add after this */
/** The same weights, to be bound to another tape: several threads read them, each through its own. Freed before p. */
tx_params *tx_params_share(const tx_params *p);
/** Its name. */
const char *tx_params_net(const tx_params *p);
/** How many weights are declared. */
int        tx_params_count(const tx_params *p);
size_t     tx_params_size(const tx_params *p);           /**< scalars in all */
/** The name of one. */
const char *tx_params_name(const tx_params *p, tx_param q);
tx_tensor  tx_params_value(const tx_params *p, tx_param q); /**< view into the block, for hand-written models and I/O */
tx_tensor  tx_params_block(const tx_params *p);          /**< the whole block [1,size]; between weights there is padding of
                                                              zeros to 64 bytes, which counts in this tensor's length only */
void       tx_params_bind(tx_params *p, tx_tape *t);     /**< one leaf a weight on this tape; call after every reset */
tx_var     tx_params_var(const tx_params *p, tx_param q);/**< the leaf; aborts if not bound to the live tape */
/** Layers read with[i], a variable of the bound tape and of weight i's shape, in place of weight i until the next bind, and
 *  tx_params_var and tx_params_grad mean with[i]: a net at w - rate g, say, for gradients through its own update. */
void       tx_params_use(tx_params *p, tx_tape *t, tx_var const with[]);
/** grad[i] = d(sum loss)/d weight i, tape memory; tx_params_count() entries. */
void       tx_params_grad(tx_params *p, tx_tape *t, tx_var loss, tx_tensor grad[]);
#endif
