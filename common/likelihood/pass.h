/** A pass over the rows of a split in fixed batches, and what every estimator of rows shares. */
#ifndef TX_LIKELIHOOD_PASS_H
#define TX_LIKELIHOOD_PASS_H
#include "common/likelihood/estimator.h"
/** value[i] = score of row i in the data's unit (log-Jacobians added), rows 0..n-1; noise of row i is (r, i).
 * TX_EDIVERGED names the first row whose value is not finite. */
tx_status tx_score_rows(tx_model *m, const tx_view *v, tx_split s, size_t n, tx_score score, tx_rng r,
                        void (*progress)(void *ctx, double share), void *ctx, double value[], json_t *settings);
/** A model and a tape for each thread of tx_parallel; they bind and reset as they like. Thread 0, which is also what calls
 *  from outside of it, has m itself, the others share its weights. The number of threads stays while they live. */
typedef struct tx_worker { tx_model *m; tx_tape *tape; } tx_worker;
/** A worker for each thread. */
typedef struct tx_workers tx_workers;
/** Owned by the caller (tx_workers_free), and freed before m. */
tx_workers *tx_workers_new(tx_model *m);
void        tx_workers_free(tx_workers *w);
tx_worker   tx_worker_here(const tx_workers *w);          /**< of the thread that asks */
/** Where the view changes the unit, `settings` gets mean_log_jacobian, nats, from the sum over n rows: the mean of value
 * less it is the mean in the unit of the view, in which some papers report. */
void tx_note_jacobian(json_t *settings, double sum, size_t n);
/** n = 0 means the whole split; more than it has is cut to it. */
size_t tx_rows_asked(const tx_view *v, tx_split s, size_t n);
/** Value i of n that are equally spaced in their logarithm, from low to high; low where n is 1. */
double tx_log_grid(double low, double high, int n, int i);
/** What every estimator ends with, begun at `start` (tx_now): after a failure the estimate is freed and the status passed
 *  on, else it is summarised, timed and moved to *out. */
tx_status tx_estimate_end(tx_status status, tx_estimate *e, const tx_view *v, double start, tx_estimate *out);
#endif
