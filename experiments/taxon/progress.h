/** Progress on standard error: a bar on a terminal, few plain lines elsewhere. */
#ifndef TX_TAXON_PROGRESS_H
#define TX_TAXON_PROGRESS_H
#include "experiments/taxon/forecast.h"

typedef struct tx_progress tx_progress;
/** mode: "auto", "bar", "plain" or "none"; a bar needs a terminal. TX_EUSAGE. Of one piece of work, of which shares are
 *  shown alone, until tx_progress_begin tells how many runs there are. */
tx_status tx_progress_new(tx_progress **out, const char *mode);
void tx_progress_begin(tx_progress *p, int total); /**< `total` runs, from now on */
void tx_progress_free(tx_progress *p); /**< wipes the bar; NULL is allowed */
/** A line that stays, whatever the mode but "none". */
void tx_progress_line(tx_progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The same in every mode: what must not be missed. */
void tx_progress_warn(tx_progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** `done` runs have ended; `text` tells about one of those under way. */
void tx_progress_runs(tx_progress *p, int done, const tx_forecast *f, const char *text);
/** Would it be shown now? */
bool tx_progress_due(const tx_progress *p);
/** Of one piece of work of which nothing is on disk before its end: shows the share, and ends the process (exit code 75) where the
 *  user has asked it to stop. */
void tx_progress_or_stop(tx_progress *p, double share, const char *text);
#endif
