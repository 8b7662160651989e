/** Markov chains of missing variables, one for every sample: q->sample is their state. */
#ifndef TX_IMPUTE_CHAINS_H
#define TX_IMPUTE_CHAINS_H
#include "common/impute/impute.h"

enum { TX_CHAIN_TILE = 200 };                             /**< chains moved side by side: part of what last bits depend on */

/** A tile of chains: states x[n,dim], which are sample rows first .. first+n-1 of the imputation. */
typedef struct tx_chains {
    const tx_imputation *q;
    tx_model  *m;
    tx_tape   *tape;
    const void *config;
    tx_rng     r;
    uint64_t   first;
    size_t     n;
    tx_tensor  x;
    double    *accepted;                                  /**< [n] to be written: the share of each chain's moves */
    double    *scratch;                                   /**< [n * scratch], kept from step to step */
} tx_chains;
/** Calls `step` with number 0 .. steps-1 for every tile, the tape reset and bound each time. scratch: doubles that a chain
 *  keeps. Fills q->acceptance with the means of `accepted`. */
tx_status tx_chains_run(tx_imputation *q, tx_model *m, const void *config, tx_rng r, int steps, size_t scratch,
                        void (*step)(tx_chains *c, int number), void (*progress)(void *ctx, double share), void *ctx);
/** What the log-density of states is: the model's own, or known up to a constant; NONE where neither is to be had. */
tx_score  tx_chains_score(const tx_model_ops *ops);
/** Its value of every row of x, whose tape is bound. */
tx_var    tx_chains_log_density(tx_model *m, tx_tape *t, tx_var x);
/** Missing entries of states from the training split's marginals: Bernoullis of its means, or normals of its moments. */
void      tx_chains_start(tx_chains *c);
#endif
