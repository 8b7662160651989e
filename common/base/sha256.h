/** SHA-256 of files, data sets and results (libcrypto underneath). */
#ifndef TX_BASE_SHA256_H
#define TX_BASE_SHA256_H
#include "common/base/base.h"
enum { TX_SHA256_TEXT = 65 };                                  /**< 64 lower-case hexadecimal digits and the end */
/** A hash in the making, from tx_sha256_new to tx_sha256_end. */
typedef struct tx_sha256 tx_sha256;
/** Of nothing yet. */
tx_sha256 *tx_sha256_new(void);
/** These bytes more. */
void       tx_sha256_add(tx_sha256 *s, const void *data, size_t bytes);
void       tx_sha256_add_text(tx_sha256 *s, const char *text); /**< with its terminating zero, so that fields cannot run together */
void       tx_sha256_end(tx_sha256 *s, char text[TX_SHA256_TEXT]); /**< frees `s` */
/** Of an array in one call. */
void       tx_sha256_of(const void *data, size_t bytes, char text[TX_SHA256_TEXT]);
#endif
