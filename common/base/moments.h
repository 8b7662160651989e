/** The mean of numbers that come one by one, and its standard error. */
#ifndef TX_BASE_MOMENTS_H
#define TX_BASE_MOMENTS_H
#include "common/base/base.h"

/** Starts as {0}. A running mean and sum of squares about it (Welford 1962): no difference of large sums. */
typedef struct tx_moments {
    size_t n;
    double mean, square; /**< 0 where n is 0; sum of (value - mean)^2 */
} tx_moments;

void tx_moments_add(tx_moments *m, double value);
double tx_moments_mean(const tx_moments *m);  /**< NAN where n is 0 */
double tx_moments_error(const tx_moments *m); /**< standard error of the mean: NAN where n is less than 2 */
/** Of an array. */
tx_moments tx_moments_of(size_t n, const double value[]);
#endif
