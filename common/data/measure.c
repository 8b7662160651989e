#include "common/data/measure.h"
#include <math.h>

double tx_bits_per_dim(const tx_view *v, double nats)
{
    const double dim = (double)v->space.dim;
    if (v->space.measure == TX_COUNTING) return -nats / (dim * M_LN2);
    if (v->dequantised_levels) return (dim * log(v->dequantised_levels) - nats) / (dim * M_LN2);
    return NAN;
}
