/** Paired differences of log-likelihoods: two models over the same rows, seed by seed. What rows have in common (some
 * are harder than others) cancels, so the error is that of the difference and not that of either mean. */
#ifndef TX_STORE_PAIRED_H
#define TX_STORE_PAIRED_H
#include "common/model/estimate.h"

/** The difference of two models over the same examples. */
typedef struct tx_difference {
    size_t n;          /**< rows: the first n, which all estimates have; 0: nothing was paired */
    int n_pair;        /**< seeds that both sides have */
    double mean;       /**< over rows and seeds, nats; NAN where nothing was paired */
    double error;      /**< standard error over rows of the difference averaged over seeds; NAN with one row */
    double seed_error; /**< standard error over seeds of the mean over rows; NAN with one seed */
} tx_difference;

/** a minus b, where a[k] and b[k] are of one seed and split, k < n_seed; NULL where a side has none. All have their
 *  log_likelihood. */
tx_difference tx_paired_difference(int n_seed, const tx_estimate *const a[], const tx_estimate *const b[]);
#endif
