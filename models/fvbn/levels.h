/** Conditionals of variables that take K values, on the counting measure: a Bernoulli's logit each where K = 2, else K
 *  logits, the values' log-probabilities but for a constant. */
#ifndef TX_MODELS_LEVELS_H
#define TX_MODELS_LEVELS_H
#include "common/data/view.h"
#include "common/tensor/ops.h"

size_t tx_level_outputs(const tx_space *s); /**< of a variable */
/** logit[n, d outputs], those of a variable adjacent, x[n,d] -> [n,1], nats; for K > 2 differentiable once, in the logits. */
tx_var tx_level_logp(tx_tape *t, const tx_space *s, tx_var logit, tx_var x);
/** The value that u in (0,1) falls on, and the expected one. */
real   tx_level_draw(const tx_space *s, const real logit[], double u);
real   tx_level_mean(const tx_space *s, const real logit[]);
#endif
