/** What a likelihood is: a number with its kind, measure, unit, errors and settings. */
#ifndef TX_MODEL_ESTIMATE_H
#define TX_MODEL_ESTIMATE_H
#include "common/data/view.h"
typedef enum tx_kind { TX_EXACT, TX_LOWER_BOUND, TX_UPPER_BOUND, TX_ESTIMATE, TX_N_KIND } tx_kind;
const char *tx_kind_name(tx_kind k);                      /**< "exact", "lower_bound", "upper_bound", "estimate" */
const char *tx_kind_sign(tx_kind k);                      /**< "=", ">=", "<=", "~": the log-likelihood is SIGN the number */
bool        tx_kind_of_name(const char *name, tx_kind *k);

/** Log-likelihoods of one split. Arrays are owned: tx_estimate_free. */
typedef struct tx_estimate {
    char       estimator[TX_NAME_MAX];                    /**< its registered name */
    char       evaluated_model[TX_TEXT_MAX];              /**< what was evaluated: "model", "G(z) + N(0, 0.158^2 I)" */
    tx_kind    kind;
    bool       stochastic;                                /**< a bound that holds in expectation, or a noisy estimate */
    tx_measure measure;
    tx_split   split;
    size_t     n;                                         /**< examples: rows 0..n-1 of the split */
    double    *log_likelihood;                            /**< [n] nats, in the data's unit */
    double    *std_error;                                 /**< [n] Monte Carlo error of each, nats; NULL if exact */
    double     mean;                                      /**< of log_likelihood */
    double     mean_error;                                /**< standard error of the mean over examples */
    double     mc_error;                                  /**< Monte Carlo standard error of the mean; 0 if exact */
    double     bits_per_dim;                              /**< NAN where there are none */
    json_t    *settings;                                  /**< object: the estimator's options, and what it chose (sigma); owned */
    double     seconds;                                   /**< wall time */
    double     gradient_evaluations, model_evaluations;   /**< rows passed through the model: cost that machines share */
} tx_estimate;
/** Allocates the arrays for `n` rows of split `s` (std_error only if `with_error`) and fills in the view's measure. */
void tx_estimate_init(tx_estimate *e, const char *estimator, const tx_view *v, tx_split s, size_t n, bool with_error);
/** mean, mean_error, mc_error (independent errors of examples) and bits_per_dim from the arrays. */
void tx_estimate_summarise(tx_estimate *e, const tx_view *v);
void tx_estimate_free(tx_estimate *e);
#endif
