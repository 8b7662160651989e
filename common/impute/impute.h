/** Missing data: draws of x_m and log p(x_m|x_o) of rows whose variables o are observed. Adding a method: a file with one
 *  `static const` struct and one line in impute.c. */
#ifndef TX_IMPUTE_IMPUTE_H
#define TX_IMPUTE_IMPUTE_H
#include "common/data/measure.h"
#include "common/model/conditional.h"

/** What is asked, and what a method finds; all arrays are the caller's, nats in the model's space. */
typedef struct tx_imputation {
    size_t         n, n_sample, dim;
    const uint8_t *missing;                               /**< [dim], the same for every row */
    const real    *x;                                     /**< [n,dim] the complete rows */
    real          *sample;                                /**< [n,n_sample,dim] the rows with x_m drawn */
    double        *log_likelihood;                        /**< [n] log p(x_m|x_o) of the rows as they are; NAN: none */
    double        *std_error;                             /**< [n] its Monte Carlo error; 0 where exact, NAN where there is none */
    double        *acceptance;                            /**< [n] mean over a row's chains, as the method says; NAN without chains */
    tx_kind        kind;                                  /**< of log_likelihood: exact or estimate */
    bool           chains;                                /**< samples are the ends of Markov chains, not exact draws */
    char           evaluated_model[TX_TEXT_MAX];          /**< of what distribution this is the conditional: "model" */
    char           none[TX_TEXT_MAX];                     /**< why there is no log_likelihood, or "" */
} tx_imputation;

/** A way to fill in missing variables. */
typedef struct tx_impute_ops {
    const char *name, *summary, *citation;
    size_t      config_size;
    const tx_option *options;
    /** NULL if it applies to this model and set, else the reason, in `why` where need be. */
    const char *(*unfit)(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX]);
    /** Fills q's arrays and texts, which have the values of "nothing found" on entry. Sample s of row i uses noise i n_sample + s
     *  of `r` alone. `progress` (may be NULL) is told the share done. Same bits for every thread count. TX_EDIVERGED. */
    tx_status (*run)(const void *config, tx_model *m, tx_rng r, void (*progress)(void *ctx, double share), void *ctx,
                     tx_imputation *q);
} tx_impute_ops;
/** NULL-terminated; of those that apply the first is the best. */
extern const tx_impute_ops *const tx_impute_list[];
const tx_impute_ops *tx_impute_find(const char *name);    /**< NULL if there is none */
/** The first that applies; NULL: none, and `why` has every method's reason. */
const tx_impute_ops *tx_impute_choose(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX]);
/** Checks q, sets its arrays to "nothing found", copies the observed values into the samples and runs. */
tx_status tx_impute_run(const tx_impute_ops *o, const void *config, tx_model *m, tx_rng r,
                        void (*progress)(void *ctx, double share), void *ctx, tx_imputation *q);
#endif
