/** The one way in which a file gets its final name: whole, or not at all.
 *  O_EXCL temporary beside the target -> write -> fsync -> close -> rename -> fsync of the folder. */
#ifndef TX_STORE_COMMIT_H
#define TX_STORE_COMMIT_H
#include "common/base/base.h"
/** Errors: TX_ECREATE when the temporary cannot be made, TX_EIO when writing fails; then nothing is left behind and an
 *  old file at `path` is untouched. */
tx_status tx_commit(const char *path, const void *data, size_t bytes);
/** Is there a file at `path`, or nothing? TX_ECREATE if there is a folder: asked before long work. */
tx_status tx_check_place(const char *path);
/** Can tx_commit make a file at `path` now? TX_ECREATE if not: likewise. */
tx_status tx_check_commit(const char *path);
/** Adds to the end of a file, which is made where there is none. TX_EIO; what was there before stays. */
tx_status tx_append(const char *path, const void *data, size_t bytes);
/** Removes the files whose paths start with `prefix` and end with `end`: "DIR/NAME." and ".part" are what processes
 * that were killed had not yet committed as NAME. The caller holds a lock that all who write NAME take. */
void tx_sweep(const char *prefix, const char *end);
/** Gives a damaged file another name, `aside`: PATH.damaged, or PATH.damaged-2 ... where that is taken. TX_EIO. */
tx_status tx_set_aside(const char *path, char aside[TX_TEXT_MAX]);
/** Make a folder and its parents. TX_ECREATE naming the part that cannot be made. */
tx_status tx_make_folders(const char *path);
/** Can files be made in this (existing or yet to be made) folder? TX_ECREATE if not: asked before training starts. */
tx_status tx_check_writable(const char *folder);
#endif
