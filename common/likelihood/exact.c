/* The log-likelihood itself, for models whose density is tractable. */
#include "common/likelihood/pass.h"

static const char *unfit(const tx_model_ops *m, const tx_view *v)
{
    (void)v;
    return m->log_prob ? NULL : "has no tractable density";
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    (void)config;
    double start = tx_now();
    tx_estimate e;
    n = tx_rows_asked(v, s, n);
    tx_estimate_init(&e, "exact", v, s, n, false);
    tx_status status = tx_score_rows(m, v, s, n, TX_SCORE_LOG_PROB, r, progress, ctx, e.log_likelihood, e.settings);
    e.model_evaluations = (double)n;
    return tx_estimate_end(status, &e, v, start, out);
}

static const tx_option options[] = {{0}};
extern const tx_estimator_ops tx_estimator_exact;
const tx_estimator_ops tx_estimator_exact = {
    .name = "exact", .summary = "the model's own log-likelihood", .options = options, .unfit = unfit, .run = run};
