/** compare.h5 and compare.csv: what is compared, copied from the runs. Layout: results/README.md. */
#ifndef TX_STORE_COMPARE_FILE_H
#define TX_STORE_COMPARE_FILE_H
#include "common/store/run_cache.h"
/** Both files from `n` runs, sorted by (dataset, view, label, seed). Per-example values of runs that were read without them are
 *  read as they are needed, few at a time. They are left out of compare.h5 when all would exceed 1 GB. `cache` (NULL is allowed)
 *  knows differences of earlier comparisons and learns those of this one. */
tx_status tx_compare_write(const char *h5_path, const char *csv_path, int n, const tx_run_info run[], tx_run_cache *cache);
#endif
