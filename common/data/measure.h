/** Conversions of likelihoods between units and measures: the one place that knows them (Theis et al. 2016, section 3.1). */
#ifndef TX_DATA_MEASURE_H
#define TX_DATA_MEASURE_H
#include "common/data/view.h"
/** What a number is to the true log-likelihood. */
typedef enum tx_kind { TX_EXACT, TX_LOWER_BOUND, TX_UPPER_BOUND, TX_ESTIMATE, TX_N_KIND } tx_kind;
const char *tx_kind_name(tx_kind k);                      /**< "exact", "lower_bound", "upper_bound", "estimate" */
const char *tx_kind_sign(tx_kind k);                      /**< "=", ">=", "<=", "~": the log-likelihood is SIGN the number */
bool        tx_kind_of_name(const char *name, tx_kind *k);

/** A number of bits per dimension and what it says of the code length of the discrete data. */
typedef struct tx_bits { double value; tx_kind kind; } tx_bits; /**< value NAN: none exist */
/** Bits per dimension of a log-likelihood of `nats` of this kind on this view. Counting: -nats/(D ln 2), the kind with its
 *  sign turned. Dequantised levels (also seen through logit or standardisation, nats being in the [0,1] unit):
 *  (D ln K - nats)/(D ln 2), which bounds the code length from above where the density is exact or a lower bound, stays an
 *  estimate where it is one, and is refused where it is an upper bound. Other Lebesgue data: none. */
tx_bits tx_bits_of(const tx_view *v, tx_kind kind, double nats);
#endif
