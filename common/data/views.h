/** Shared by view.c and views.c only. */
#ifndef TX_DATA_VIEWS_H
#define TX_DATA_VIEWS_H
#include "common/data/view.h"
extern const char tx_view_names[]; /**< of tx_view_list, in order, with '|' between */
/** Stream of one row of the fixed realisation of a split. */
tx_rng tx_view_fixed_rng(const tx_view *v, tx_split s, size_t row);
/** Moments of the training rows that `row` makes, with the draws of seed 0, epoch 0; one pass, parallel over tiles. */
void tx_view_numeric_moments(const tx_view *v, double (*row)(const tx_view *, tx_split, size_t, tx_rng, real[]),
                             double mean[], double deviation[]);
#endif
