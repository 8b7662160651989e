#include "common/model/mixing.h"
#include <math.h>

static double covariance(size_t chains, size_t steps, const double f[], double mean, size_t lag)
{
    double sum = 0;
    for (size_t i = 0; i < chains; i++)
        for (size_t k = 0; k + lag < steps; k++) sum += (f[i * steps + k] - mean) * (f[i * steps + k + lag] - mean);
    return sum / (double)(chains * (steps - lag));
}

double tx_autocorrelation_time(size_t chains, size_t steps, const double f[])
{
    double mean = 0, tau = 1;
    for (size_t i = 0; i < chains * steps; i++) mean += f[i] / (double)(chains * steps);
    double variance = covariance(chains, steps, f, mean, 0);
    if (!(variance > 1e-20 * mean * mean)) return 1; /* constant, but for rounding */
    for (size_t k = 1; k < steps && (double)k < 5 * tau; k++)
        tau += 2 * covariance(chains, steps, f, mean, k) / variance;
    return fmax(tau, 1);
}
