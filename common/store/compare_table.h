/** What compare.h5 and compare.csv have in common: runs of one data set and view in a table. Private to this folder. */
#ifndef TX_STORE_COMPARE_TABLE_H
#define TX_STORE_COMPARE_TABLE_H
#include "common/store/run_cache.h"

/** Runs of one (data set, view) by label and seed. Borrows from the runs. */
typedef struct tx_block {
    int n, n_label, n_seed;
    const tx_run_info **run; /**< [n] in the order of (label, seed) */
    const char **label;      /**< [n_label] */
    int32_t *seed;           /**< [n_seed], rising */
    const tx_run_info **at;  /**< [n_label,n_seed]; NULL where there is no run */
    uint8_t *chosen;         /**< [n_label]: the variant of its group that valid chose */
} tx_block;

/** Runs sorted by (data set, view, label, seed); free() it. */
const tx_run_info **tx_runs_sorted(int n, const tx_run_info run[]);
/** The block that starts at run[0]; its n tells where the next one starts. Runs that were scored on different rows are
 *  TX_EDATA. */
tx_status tx_block_new(tx_block *b, const tx_run_info **run, int n);
void tx_block_free(tx_block *b);
int tx_block_label(const tx_block *b, const tx_run_info *r);
tx_status tx_compare_csv(const char *path, int n_block, const tx_block block[]);
tx_status tx_compare_h5(const char *path, int n_block, const tx_block block[], tx_run_cache *cache);
#endif
