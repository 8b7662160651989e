/** The table of a comparison: what each model's likelihood is, of which kind, with its error and its cost. */
#ifndef TX_TAXON_TABLE_H
#define TX_TAXON_TABLE_H
#include "common/base/text.h"
#include "common/store/run_file.h"

/** Appends the table of `n` runs, sorted by (dataset, view, label, seed), in a format of tx_format_find. One block
 *  for each data set, view and split. Within a block rows are sorted by log-likelihood inside a kind, and kinds are kept
 *  apart. Variants of a grid (equal group) are one row: the one that valid prefers. TX_EUSAGE. */
tx_status tx_results_table(int n, const tx_run_info run[], const char *format, tx_text *out);
/** The sample quality of the same rows alone, models by metrics; in formats of records an object a (metric, model). TX_EUSAGE. */
tx_status tx_results_quality(int n, const tx_run_info run[], const char *format, tx_text *out);
/** The table as a tree, a line a model below its taxonomy_path, a column a data set and view (five at most; the test split, or the
 *  first that there is), in a format of sheets. TX_EUSAGE. */
tx_status tx_results_tree(int n, const tx_run_info run[], const char *format, tx_text *out);
#endif
