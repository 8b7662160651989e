/** Where two files of ours say different things. */
#ifndef TX_STORE_DIFFER_H
#define TX_STORE_DIFFER_H
#include "common/base/text.h"

/** Compares what `group` says in both; of "/" that is all that content_sha256 covers. A group that is in neither file says nothing. Appends one line for each object or attribute that differs, causes before their
 *  effects (/config, /data, /train, what the root says, /parameters, /samples, the rest), and counts them in *n:
 *  "/train/objective[3]: -95.25 and -95.5; 4 of 10 values differ, by at most 0.25". TX_ENOINPUT, TX_EDATA. */
tx_status tx_differ(const char *a, const char *b, const char *group, tx_text *out, int *n);
#endif
