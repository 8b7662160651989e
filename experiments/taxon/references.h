/** What a likelihood can be held against: numbers of the data alone, no model in them. */
#ifndef TX_TAXON_REFERENCES_H
#define TX_TAXON_REFERENCES_H
#include "common/store/run_file.h"

/** Adds to `metrics`, for a split and its first n rows, where it exists on this view:
 *  coin_flip_entropy_SPLIT   binarised grey levels: the mean over rows of the entropy of their coin flips, nats. Given
 * the grey levels themselves nobody could assign the draws a higher log-likelihood than its negative.
 *  true_log_likelihood_SPLIT sets of known density: the mean of log p of the true density, nats. */
void tx_references_add(tx_numbers *metrics, const tx_view *v, tx_split s, size_t n);
/** entropy: of the known density, nats; nothing where it is not known on this view. */
void tx_references_add_entropy(tx_numbers *metrics, const tx_view *v);
#endif
