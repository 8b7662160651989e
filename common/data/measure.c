#include "common/data/measure.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *name, *sign;
    tx_kind turned; /* of the number with its sign turned */
} kinds[TX_N_KIND] = {[TX_EXACT] = {"exact", "=", TX_EXACT},
                      [TX_LOWER_BOUND] = {"lower_bound", ">=", TX_UPPER_BOUND},
                      [TX_UPPER_BOUND] = {"upper_bound", "<=", TX_LOWER_BOUND},
                      [TX_ESTIMATE] = {"estimate", "~", TX_ESTIMATE}};

const char *tx_kind_name(tx_kind k) { return kinds[k].name; }
const char *tx_kind_sign(tx_kind k) { return kinds[k].sign; }

bool tx_kind_of_name(const char *name, tx_kind *k)
{
    for (int i = 0; i < TX_N_KIND; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *k = (tx_kind)i;
            return true;
        }
    return false;
}

tx_bits tx_bits_of(const tx_view *v, tx_kind kind, double nats)
{
    const double dim = (double)v->space.dim;
    if (v->space.measure == TX_COUNTING) return (tx_bits){-nats / (dim * M_LN2), kinds[kind].turned};
    tx_kind bound = kind == TX_ESTIMATE ? TX_ESTIMATE : TX_UPPER_BOUND;
    if (!v->dequantised_levels || kind == TX_UPPER_BOUND) return (tx_bits){NAN, bound};
    return (tx_bits){(dim * log(v->dequantised_levels) - nats) / (dim * M_LN2), bound};
}
