/** Runs of a folder as they stand, from metrics.jsonl, plan.jsonl and locks: read on from where the last look ended. */
#ifndef TX_TAXON_WATCH_H
#define TX_TAXON_WATCH_H
#include <sys/types.h>
#include "common/base/text.h"
#include "experiments/taxon/forecast.h"

enum { TX_CURVE = 128 };
typedef enum tx_watched_state {
    TX_WATCH_RUNNING,
    TX_WATCH_FAILED,
    TX_WATCH_DIVERGED,
    TX_WATCH_STOPPED,
    TX_WATCH_FINISHED,
    TX_WATCH_WAITING,
    TX_N_WATCH
} tx_watched_state;
const char *tx_watched_state_name(tx_watched_state s);

typedef struct tx_watched {
    char *name, *folder; /**< DATASET-VIEW/LABEL/seed-N; owned */
    double n_parameter, n_step; /**< of the plan; 0: not known, or without steps */
    tx_watched_state state;
    ino_t inode; /**< of metrics.jsonl, and the byte up to which its lines were read */
    off_t at;
    bool grew;           /**< since the first look: also where locks are not seen, somebody works on it */
    double score;        /**< the last value of its curve, NAN: none */
    int n, stride;       /**< points of the curve; each so many epochs from the next */
    long epochs;
    float curve[TX_CURVE];
    double step, from_step, start, last; /**< now, and when the process began; times of that and of the last line, s since 1970 */
    char end[16];
} tx_watched;

typedef struct tx_watch {
    char *dir;
    int n;
    tx_watched *run; /**< [n] by name */
    int count[TX_N_WATCH];
} tx_watch;
/** TX_ENOINPUT: there is no such folder, or no run in it or its plan. */
tx_status tx_watch_open(tx_watch *w, const char *dir);
void tx_watch_close(tx_watch *w);
/** What has come since; `anew`: also runs that were not there before. */
void tx_watch_look(tx_watch *w, bool anew);
tx_forecast tx_watch_forecast(const tx_watch *w);
/** A frame of at most `rows` lines (0: one for each run) of `columns` cells. */
void tx_watch_frame(const tx_watch *w, int columns, int rows, bool utf8, tx_text *out);
#endif
