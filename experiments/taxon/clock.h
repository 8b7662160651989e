/** Time, for people and for deadlines: never a source of randomness. */
#ifndef TX_TAXON_CLOCK_H
#define TX_TAXON_CLOCK_H
#include "common/base/base.h"
void tx_utc(char out[32]); /**< "2026-01-31T12:00:00Z" */
/** "90", "90s", "55m", "2h", "1d" as seconds > 0; TX_EUSAGE. */
tx_status tx_duration(const char *text, double *seconds);
const char *tx_duration_text(double seconds, char buf[16]); /**< "42 s", "3 min", "2.5 h" */
#endif
