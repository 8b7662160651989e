/** Models that know p(x_m|x_o) of the missing variables m of a row given the observed ones o, or what a Markov chain for it
 *  needs. A set is missing[dim] of 0 and 1, neither none nor all; nats in the model's space. */
#ifndef TX_MODEL_CONDITIONAL_H
#define TX_MODEL_CONDITIONAL_H
#include "common/model/model.h"

/** A const table that tx_model_ops.conditional points to. A NULL function means "cannot". */
struct tx_conditional {
    /** The exact conditional, where the set allows it; all three or none. False: `why` says why not. True: `why` is "", or says
     *  of what distribution it is the conditional where that is not log_prob's own. */
    bool   (*applies)(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX]);
    /** log p(x_m|x_o) of the rows x[n,d] into value[n]. The tape is bound by the caller; so below. */
    void   (*log_prob)(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double value[]);
    /** Draws of x_m given x_o over the missing entries of x[n,d]; row i uses noise (r, first + i) only. */
    void   (*sample)(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x);
    /** A transition of the missing entries of x[n,d] that leaves p(x_m|x_o) unchanged (block Gibbs through hidden units); noise
     *  as above. */
    void   (*move)(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x);
    /** log p(x_o|z) of a model with latent variables, [n,d], [n,k] -> [n,1]; need not be differentiable. */
    tx_var (*log_observed)(tx_model *m, tx_tape *t, const uint8_t missing[], tx_var x, tx_var z);
};

/** For `applies` where every set of missing variables will do. */
bool   tx_applies_always(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX]);
/** How many of dim variables are marked as missing. */
size_t tx_missing_count(size_t dim, const uint8_t missing[]);
/** A leaf of those columns of x[n,dim*per] that belong to the missing (else: to the observed) variables, the `per` columns of a
 *  variable adjacent: no gradient flows through it. */
tx_var tx_missing_columns(tx_tape *t, const uint8_t missing[], bool of_missing, size_t per, tx_tensor x);
void   tx_missing_copy(const uint8_t missing[], tx_tensor from, tx_tensor to); /**< those entries of [n,dim] */
#endif
