/** Parts that several files of ours share. Private to this folder. */
#ifndef TX_STORE_PARTS_H
#define TX_STORE_PARTS_H
#include "common/store/h5.h"
#include "common/store/run_file.h"
#define TX_SCHEMA_RUN        "taxon-run"
#define TX_SCHEMA_EVALUATION "taxon-evaluation"
#define TX_SCHEMA_COMPARE    "taxon-compare"
#define TX_SCHEMA_CHECKPOINT "taxon-checkpoint"

void tx_part_config(tx_h5 *f, const json_t *config);
/** /likelihood/SPLIT/NAME of each; their seconds go to `timing`. */
void tx_part_estimates(tx_h5 *f, int n, const tx_estimate e[], tx_numbers *timing);
void tx_part_numbers(tx_h5 *f, const char *group, const tx_numbers *t);
/** Attributes of /provenance; start and end may be NULL. */
void tx_part_provenance(tx_h5 *f, const char *start, const char *end, int threads);
/** The name of an estimate's entry in /timing. */
void tx_part_timing_name(const tx_estimate *e, char name[TX_NAME_MAX]);
#endif
