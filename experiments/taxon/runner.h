/** One run in this process: data, model, training with checkpoints, evaluation, samples, result.h5. */
#ifndef TX_TAXON_RUNNER_H
#define TX_TAXON_RUNNER_H
#include "common/model/estimate.h"
#include "experiments/taxon/spec.h"

typedef struct tx_runner_options {
    const char *folder; /**< of the run; made if need be */
    bool fresh;         /**< remove what a former run left in the folder */
    bool reproducible;  /**< no times and no provenance in result.h5 */
} tx_runner_options;

/** Progress goes to standard output, a JSON object a line: {"share": 0.25, "text": "epoch 5 of 20"}; also
 * {"note": "..."} of a damaged result.h5 or checkpoint.h5, which is set aside; notes of the data go to standard error.
 * Leaves result.h5 (also when training diverges: TX_EDIVERGED), or checkpoint.h5 after a stop signal (TX_ESTOPPED). One
 * process a folder: a second one is TX_ESTOPPED. */
tx_status tx_runner_run(const tx_spec *spec, const tx_runner_options *o);

/** Removes what the process that completed a run was killed before removing: its checkpoints, a log without words. */
void tx_runner_tidy(const char *folder);

/** The stream that the samples of a run with this seed come from. */
tx_rng tx_sample_stream(int seed);
/** One estimator on one split (TX_SIMULATED if it simulates), stored as `name`, with the noise that this seed,
 * estimator and split have in every program. n_example 0: all rows, or as many as the estimator draws by default. */
tx_status tx_runner_estimate(const tx_estimator_ops *e, const void *config, const char *name, tx_setting *s,
                             tx_split split, int n_example, int seed, void (*progress)(void *ctx, double share),
                             void *ctx, tx_estimate *out);
/** One metric of a model, or of its samples x[n,dim] in its own space, n >= tx_metric_n(m, config, q->view): its numbers
 * are added to `out` under `name`, with the noise that this seed and metric have in every program. */
tx_status tx_runner_metric(const tx_metric_ops *m, const void *config, const char *name, tx_quality *q, tx_model *model,
                           const real *x, int seed, tx_numbers *out);
#endif
