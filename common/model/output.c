#include "common/model/output.h"
#include <math.h>

bool tx_space_bounded(const tx_space *s) { return isfinite(s->lower) && isfinite(s->upper); }

tx_var tx_output(tx_tape *t, const tx_space *s, tx_var a)
{
    if (!tx_space_bounded(s)) return a;
    tx_var u = tx_activation(t, a, TX_SIGMOID);
    if (s->lower == 0 && s->upper == 1) return u;
    return tx_affine(t, u, (real)(s->upper - s->lower), (real)s->lower);
}

void tx_output_bias(const tx_space *s, real bias[])
{
    const double wall = 1e-3;
    for (size_t j = 0; j < s->dim; j++) {
        if (tx_space_bounded(s)) {
            double u = (s->mean[j] - s->lower) / (s->upper - s->lower);
            u = fmin(fmax(u, wall), 1 - wall);
            bias[j] = (real)(log(u) - log1p(-u));
        } else {
            bias[j] = (real)s->mean[j];
        }
    }
}

void tx_output_sample(const tx_space *s, tx_rng r, uint64_t first, size_t n, const real g[], real x[])
{
    size_t len = n * s->dim;
    if (s->measure == TX_COUNTING && s->levels == 2)
        tx_rng_bernoulli(tx_rng_named(r, "observation"), first * s->dim, len, g, x);
    else
        for (size_t i = 0; i < len; i++) x[i] = s->measure == TX_COUNTING ? (real)rint((double)g[i]) : g[i];
}
