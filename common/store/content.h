/** What a file of ours contains, as a hash: everything but /timing, /provenance and the hash itself. */
#ifndef TX_STORE_CONTENT_H
#define TX_STORE_CONTENT_H
#include "common/base/sha256.h"
/** Verify the trailer (SHA-256 of all bytes before it) of one of our HDF5 files. TX_EDATA if absent or different. */
tx_status tx_content_verify(const char *path);
/** Recompute content_sha256 of a file and compare with the stored attribute. */
tx_status tx_content_sha256(const char *path, char sha256[TX_SHA256_TEXT]);
/** Startup of HDF5 as this project uses it: no error stack printed, no exit handler surprises. Idempotent. */
void      tx_store_start(void);
#endif
