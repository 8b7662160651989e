/** Averages of weights that are known by their logarithms. */
#ifndef TX_LIKELIHOOD_WEIGHTS_H
#define TX_LIKELIHOOD_WEIGHTS_H
#include "common/base/base.h"
/** log (1/n) sum_i exp(w_i), n >= 1; -INFINITY where all are, NAN where one is NAN. *error (may be NULL) = its jackknife
 *  standard error, sqrt((n-1)/n sum_i (t_i - mean t)^2) with t_i the value without w_i: NAN for n = 1 and where the value is
 *  not finite, INFINITY where one weight alone is not 0. The jackknife sees the weights that were drawn, not the larger
 *  ones that were not: it is too small where few of the weights carry the sum. */
double tx_log_mean_exp(size_t n, const double w[], double *error);
#endif
