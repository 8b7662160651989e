/** Which variables of a row are missing, as a command line says it. */
#ifndef TX_TAXON_MASK_H
#define TX_TAXON_MASK_H
#include "common/data/view.h"
/** `text`: half, rows=A..B, columns=A..B, variables=A..B (from 0, the last one too), random=SHARE, or a file that the data
 *  readers know with a 0 or 1 for each variable, 1 = missing. missing[dim] of 0 and 1, neither none nor all. `seed` names the
 *  draw of `random`. TX_EUSAGE, TX_ENOINPUT, TX_EDATA. */
tx_status tx_mask_read(const char *text, const tx_space *space, int seed, uint8_t missing[]);
#endif
