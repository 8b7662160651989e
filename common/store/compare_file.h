/** compare.h5 and compare.csv: what is compared, copied from the runs. Layout: results/README.md. */
#ifndef TX_STORE_COMPARE_FILE_H
#define TX_STORE_COMPARE_FILE_H
#include "common/store/run_file.h"
/** Both files from `n` runs as read (with arrays), sorted by (dataset, view, label, seed). Per-example arrays are left out
 *  of compare.h5 when they would exceed 1 GB. */
tx_status tx_compare_write(const char *h5_path, const char *csv_path, int n, const tx_run_info run[]);
#endif
