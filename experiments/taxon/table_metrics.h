/** Sample quality in the table of a comparison: models by metrics, and real rows below them. */
#ifndef TX_TAXON_TABLE_METRICS_H
#define TX_TAXON_TABLE_METRICS_H
#include "experiments/taxon/sheet.h"
#include "experiments/taxon/table_model.h"

/** A row's number and its error as the sheet has them; NAN without. */
double tx_metrics_value(const tx_board_row *r, const char *name, double *error);
/** Sheets for the data set and view of a block, if any of its rows has metrics; returns whether. */
bool tx_metrics_sheet(const tx_board_block *b, const tx_format *f, tx_text *out);
/** Appends an object a (metric, row): dataset, view, label, metric, value, error, real, real_error, n_sample, n_seed.
 */
void tx_metrics_records(const tx_board_block *b, json_t *all);
#endif
