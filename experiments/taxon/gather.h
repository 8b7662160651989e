/** Finding and reading the runs below a folder. */
#ifndef TX_TAXON_GATHER_H
#define TX_TAXON_GATHER_H
#include "common/store/run_cache.h"

/** "FOLDER/NAME"; free(). */
char *tx_path_join(const char *folder, const char *name);

typedef struct tx_found {
    int n;
    char **folder;  /**< [n] that hold files of a run, sorted by name */
    int n_left_out; /**< folders that cannot be listed: each named on standard error */
    tx_text left_out; /**< and here, a line each */
} tx_found;
/** `dir` itself or up to three levels below it; symbolic links are not followed. TX_ENOINPUT when `dir` is no folder.
 */
tx_status tx_find_runs(const char *dir, tx_found *out);
void tx_found_free(tx_found *f);
/** Does a process work on the run of this folder? Whoever does holds its lock. */
bool tx_is_running(const char *folder);

typedef struct tx_gathered {
    int n;
    tx_run_info *run; /**< [n] sorted by (dataset, view, label, seed) */
    int n_left_out;   /**< damaged files, evaluations of other runs, unreadable folders: each named on standard error */
    tx_text left_out; /**< and here, a line each */
    int n_unfinished;   /**< folders that hold files of a run but no result.h5 */
    tx_text unfinished; /**< which, a line each */
    tx_run_cache *cache;
} tx_gathered;
/** Every readable result.h5. `arrays`: with per-example log-likelihoods and config, each file read whole; else those that have
 *  not changed since they were read last are recalled. TX_ENOINPUT when there is none at all. */
tx_status tx_gather(const char *dir, bool arrays, tx_gathered *out);
void tx_gathered_free(tx_gathered *g);

/** Can DIR/compare.h5 and DIR/compare.csv be written, now or once the folder is made? TX_ECREATE. */
tx_status tx_check_collect(const char *dir);
/** Gathers, without arrays, and writes DIR/compare.h5 and DIR/compare.csv, unless they are of just these runs: one process after
 *  the other, so that the last one has seen all. Sets *written. */
tx_status tx_collect(const char *dir, tx_gathered *out, bool *written);
/** The result.h5 that a user's argument names: the file, or the run's folder. TX_ENOINPUT. */
tx_status tx_run_path(const char *arg, char path[TX_TEXT_MAX]);
#define TX_LEFT_OUT_HELP                                                                                               \
    "Exit code 0; 3 files that are damaged, or evaluate another run, and runs without a result were left out: each\n"     \
    "is named on standard error;\n"                                                                                     \
    "65 no result can be read; 66 there is none."

/** What lies beside a run and was left out, on standard error. */
void tx_tell_left_out(const tx_run_info *r);
/** Names the unfinished runs on standard error and counts them as left out: for who expects all to be finished. */
void tx_tell_unfinished(tx_gathered *g);
/** TX_EDIVERGED (exit code 3) saying how many files were left out, else TX_OK. */
tx_status tx_gathered_status(const tx_gathered *g);
#endif
