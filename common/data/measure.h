/** Conversions of likelihoods between units and measures: the one place that knows them (Theis et al. 2016, section 3.1). */
#ifndef TX_DATA_MEASURE_H
#define TX_DATA_MEASURE_H
#include "common/data/view.h"
/** Bits per dimension of `nats` on this view, or NAN where none exist: counting: -nats/(D ln 2); dequantised levels (also
 *  seen through logit or standardisation, nats being in the [0,1] unit): (D ln K - nats)/(D ln 2). */
double tx_bits_per_dim(const tx_view *v, double nats);
#endif
