/** What a likelihood is: a number with its kind, measure, unit, errors and settings. */
#ifndef TX_MODEL_ESTIMATE_H
#define TX_MODEL_ESTIMATE_H
#include "common/data/measure.h"

/** Log-likelihoods of one split. Arrays are owned: tx_estimate_free. */
typedef struct tx_estimate {
    char       estimator[TX_NAME_MAX];                    /**< its registered name */
    char       name[TX_NAME_MAX];                         /**< under which it is stored and shown: the estimator's, unless the user
                                                               tells two settings of it apart ("iwae_5000") */
    char       evaluated_model[TX_TEXT_MAX];              /**< what was evaluated: "model", "G(z) + N(0, 0.158^2 I)" */
    tx_kind    kind;
    bool       stochastic;                                /**< a bound that holds in expectation, or a noisy estimate */
    tx_measure measure;
    tx_split   split;
    size_t     n;                                         /**< examples: rows 0..n-1 of the split */
    size_t     dim;                                       /**< of the model's space: columns of x */
    double    *log_likelihood;                            /**< [n] nats, in the data's unit */
    double    *std_error;                                 /**< [n] Monte Carlo error of each, nats; NULL if exact */
    double    *upper;                                     /**< [n] stochastic upper bounds of the same rows, nats, where rows were
                                                               drawn from the model (TX_SIMULATED); else NULL */
    real      *x;                                         /**< [n,dim] those rows in the model's space; else NULL */
    double     mean;                                      /**< of log_likelihood */
    double     mean_error;                                /**< standard error of the mean over examples */
    double     mc_error;                                  /**< Monte Carlo standard error of the mean; 0 if exact */
    double     bits_per_dim;                              /**< NAN where there are none */
    tx_kind    bits_kind;                                 /**< of bits_per_dim as a code length: a lower bound of the likelihood
                                                               is an upper bound of it; see tx_bits_of */
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
