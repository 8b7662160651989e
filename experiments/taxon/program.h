/** Another program as a filter: text in, bytes out, within a time. */
#ifndef TX_TAXON_PROGRAM_H
#define TX_TAXON_PROGRAM_H
#include "common/base/text.h"

enum { TX_PROGRAM_BYTES = 16 << 20 }; /**< more than this is refused */

/** Runs argv[0], found on PATH, with `input` as its standard input; *out receives what it prints, to be freed, ended by a zero
 *  beyond `n`. After `seconds` it is killed, with all that it started. TX_ENOINPUT: there is no such program; TX_ESYSTEM: it
 *  cannot be started, does not end in time, prints too much, or ends with a failure: the message has its last line on standard error. */
tx_status tx_program_run(char *const argv[], const char *input, double seconds, char **out, size_t *n);
#endif
