/** Paired differences between the models of a comparison: how much better one is, over the same examples. */
#ifndef TX_TAXON_PAIRWISE_H
#define TX_TAXON_PAIRWISE_H
#include "common/base/text.h"
#include "experiments/taxon/table_model.h"

/** Appends the differences of `n` runs, sorted by (dataset, view, label, seed), in a format of tx_format_find. One
 * sheet for each data set, view, split and number of examples; rows and their order are those of the table of results.
 * The runs need no arrays: those of a sheet are read from the files, and freed after it. TX_EUSAGE; TX_ENOINPUT where
 * there is no pair; TX_EDATA where a file has changed or cannot be read. */
tx_status tx_pairwise_table(int n, const tx_run_info run[], const char *format, tx_text *out);
/** The same between the first `most` rows of one block, in a format of sheets; *n_pair: how many pairs that are, nothing is added
 *  for 0. TX_EDATA. */
tx_status tx_pairwise_block(const tx_board_block *b, int most, const tx_format *f, tx_text *out, int *n_pair);

/** What a number x of kind `a` minus one of kind `b` is of the true difference; false: two bounds on one side, of which
 *  the difference says nothing. */
bool tx_difference_kind(tx_kind a, tx_kind b, tx_kind *out);
#endif
