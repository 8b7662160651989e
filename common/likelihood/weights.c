#include "common/likelihood/weights.h"
#include <math.h>
#include "common/base/moments.h"

static bool has_nan(size_t n, const double w[])
{
    for (size_t i = 0; i < n; i++)
        if (isnan(w[i])) return true;
    return false;
}

/* With S = sum_i exp(w_i): t_i - value = log(1 - exp(w_i)/S) - log(1 - 1/n); `first` is that of the largest weight. */
static double jackknife(size_t n, const double w[], size_t top, double log_sum, double first)
{
    double full = log1p(-1 / (double)n);
    tx_moments t = {0};
    tx_moments_add(&t, first);
    for (size_t i = 0; i < n; i++)
        if (i != top) tx_moments_add(&t, log1p(-exp(w[i] - log_sum)) - full);
    return tx_moments_error(&t) * (double)(n - 1);
}

/* The sum is that of all weights but the largest, in units of the second largest: leaving out the largest then takes no
 * difference of nearly equal numbers, however much it dominates. */
double tx_log_mean_exp(size_t n, const double w[], double *error)
{
    size_t top = 0;
    double second = -INFINITY, rest = 0;
    TX_REQUIRE(n > 0, "an average of nothing");
    for (size_t i = 1; i < n; i++)
        if (w[i] > w[top]) top = i;
    for (size_t i = 0; i < n; i++)
        if (i != top && w[i] > second) second = w[i];
    if (error) *error = NAN;
    if (has_nan(n, w)) return NAN;
    if (!isfinite(w[top])) return w[top];
    bool alone = second == -INFINITY;
    for (size_t i = 0; i < n && !alone; i++)
        if (i != top) rest += exp(w[i] - second);
    double below = second - w[top], more = log1p(exp(below) * rest); /* log S - w[top] */
    if (error && n > 1)
        *error = alone ? INFINITY
                       : jackknife(n, w, top, w[top] + more, below + log(rest) - log1p(-1 / (double)n) - more);
    return w[top] + more - log((double)n);
}
