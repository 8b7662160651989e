/** The mean of numbers that come one by one, and its standard error. */
#ifndef TX_BASE_MOMENTS_H
#define TX_BASE_MOMENTS_H
#include <math.h>
#include "common/base/base.h"

/** Starts as {0}. A running mean and sum of squares about it (Welford 1962): no difference of large sums. */
typedef struct tx_moments {
    size_t n;
    double mean, square; /**< 0 where n is 0; sum of (value - mean)^2 */
} tx_moments;

/** One value more. */
void tx_moments_add(tx_moments *m, double value);
double tx_moments_mean(const tx_moments *m);  /**< NAN where n is 0 */
double tx_moments_error(const tx_moments *m); /**< standard error of the mean: NAN where n is less than 2 */
/** Of an array. */
tx_moments tx_moments_of(size_t n, const double value[]);
/** log sum_i exp(a[i]); -INFINITY of nothing but that. */
double tx_log_sum_exp(size_t n, const double a[]);
/** A running log sum exp, begun as TX_LOG_SUM; its value is largest + log(scaled). What is e^-40 of the largest is left out. */
typedef struct tx_log_sum { double largest, scaled; } tx_log_sum;
/** That of nothing: log 0. */
#define TX_LOG_SUM ((tx_log_sum){-INFINITY, 0})
/** exp(w) more, and the log of all; -INFINITY of nothing. */
void   tx_log_sum_add(tx_log_sum *s, double w);
double tx_log_sum_value(const tx_log_sum *s);
#endif
