/** The runs of a comparison: what each is, where it goes, whether it applies, and what of it exists. */
#ifndef TX_TAXON_PLAN_H
#define TX_TAXON_PLAN_H
#include "common/base/text.h"
#include "experiments/taxon/config.h"

typedef enum tx_job_state {
    TX_JOB_NEW,
    TX_JOB_RESUME,
    TX_JOB_KEPT,
    TX_JOB_KEPT_DIVERGED,
    TX_JOB_REFUSED,
    TX_JOB_UNFIT,
    TX_JOB_OTHER_SHARD, /* before */
    TX_JOB_DONE,
    TX_JOB_DIVERGED,
    TX_JOB_FAILED,
    TX_JOB_STOPPED /* after */
} tx_job_state;
const char *tx_job_state_name(tx_job_state s); /**< "new", "resumes", "kept", ... */

typedef struct tx_job {
    char name[4 * TX_NAME_MAX]; /**< DATASET-VIEW/LABEL/seed-N */
    char *folder;               /**< OUT/name */
    json_t *config;             /**< the run's spec */
    char dataset_sha256[TX_SHA256_TEXT], view_sha256[TX_SHA256_TEXT];
    double n_parameter, n_step; /**< n_step 0: closed form */
    tx_job_state state;
    char why[TX_TEXT_MAX]; /**< not applicable, refused, failed, or new though there is a result: the reason; else "" */
} tx_job;

typedef struct tx_plan {
    int n;
    tx_job *job;
    tx_text note; /**< what was inferred of the data, a line a fact; estimators that do not apply */
} tx_plan;

/** Opens every data set and view once and builds every model once: anything wrong is found here, before training.
 *  TX_ECONFIG also where no pair applies. Writes nothing. `out` is the folder of results. */
tx_status tx_plan_make(tx_plan *p, const tx_comparison *c, const char *out);
void tx_plan_free(tx_plan *p);
/** Sets states from what lies in the folders. Refused is a run whose result is of another config, data or version, or
 * cannot be read; a damaged one is new: the run sets the file aside. TX_EDATA where runs were refused and no other one
 * is left, with the first reason. */
tx_status tx_plan_look(tx_plan *p);
/** DIR/plan.jsonl: a line a run that applies, whatever its state, for those who watch. Nobody depends on it. */
void tx_plan_write(const tx_plan *p, const char *out);
#define TX_PLAN_FILE "plan.jsonl"
/** Leaves to others all but every n-th applicable run, counting from k = 1..n. */
void tx_plan_shard(tx_plan *p, int k, int n);
#endif
