/** compare.cache: what finished runs said when they were last read whole, so that those that have not changed since are not read
 *  again. It is never the only place of anything: damaged, of another version, or gone, it is made again from the runs. */
#ifndef TX_STORE_RUN_CACHE_H
#define TX_STORE_RUN_CACHE_H
#include "common/store/paired.h"
#include "common/store/run_file.h"
/** In the folder of results. */
#define TX_RUN_CACHE_NAME "compare.cache"

/** What is known of the runs of a folder. */
typedef struct tx_run_cache tx_run_cache;
/** Of the runs below `dir`. Never fails: without a file that can be used it is empty. */
tx_run_cache *tx_run_cache_open(const char *dir);
/** As tx_run_read of `folder`/result.h5 without arrays and without config. Not read but recalled is a run whose folder, result and
 *  evaluations have the inodes, sizes, and times of change (in ns, both of contents and of the inode) that they had when all of
 *  them were read and found whole, more than two seconds after the last of these changes. */
tx_status tx_run_cache_read(tx_run_cache *c, const char *folder, tx_run_info *out);
/** Results that do not depend on anything but a key, a SHA-256 of all that they were computed from. NULL: not known. */
const tx_difference *tx_run_cache_difference(tx_run_cache *c, const char key[TX_SHA256_TEXT]);
void tx_run_cache_keep(tx_run_cache *c, const char key[TX_SHA256_TEXT], const tx_difference *d);
/** Were these files, which lie in the folder, made from runs that said just this, and not touched since? */
bool tx_run_cache_is_current(tx_run_cache *c, int n_file, const char *const file[]);
void tx_run_cache_made(tx_run_cache *c, int n_file, const char *const file[]);
/** Forgets runs that were not asked for, and writes the file where so much was learnt that it is worth it. A folder that cannot be
 *  written is left as it is. Frees `c`. */
void tx_run_cache_close(tx_run_cache *c);
#endif
