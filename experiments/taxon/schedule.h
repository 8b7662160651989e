/** Runs as processes of their own: some at a time, each told what it is through its standard input. */
#ifndef TX_TAXON_SCHEDULE_H
#define TX_TAXON_SCHEDULE_H
#include "experiments/taxon/plan.h"
#include "experiments/taxon/progress.h"

int tx_cores(void); /**< that this process may use: affinity and the control group's limit */

typedef struct tx_schedule_options {
    int jobs, threads; /**< processes at once, threads each */
    bool fresh;        /**< children forget what lies in their folders */
    bool reproducible;
    double max_seconds; /**< stop with checkpoints after so long; 0: never */
} tx_schedule_options;

/** Runs every job that is new or resumes, and sets its state and `why`. TX_ESTOPPED after a stop signal or the time
 *  limit; *interrupted after a second signal, when the children were killed. TX_ECREATE, TX_ESYSTEM. */
tx_status tx_schedule_runs(tx_plan *p, const tx_schedule_options *o, tx_progress *progress, bool *interrupted);
#endif
