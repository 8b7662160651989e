/* log p*(x) - log Z of models that are known up to a constant, where log Z is summed by brute force, or is what the
 * model itself holds for it. */
#include "common/likelihood/pass.h"
#include "common/model/energy.h"

/* Every row less log Z. */
static tx_status run(const char *name, double log_z, tx_kind kind, tx_model *m, const tx_view *v, tx_split s, size_t n,
                     tx_rng r, void (*progress)(void *ctx, double share), void *ctx, double start, tx_estimate *out)
{
    tx_estimate e;
    n = tx_rows_asked(v, s, n);
    tx_estimate_init(&e, name, v, s, n, false);
    tx_status status = tx_score_rows(m, v, s, n, TX_SCORE_UNNORMALISED, r, progress, ctx, e.log_likelihood, e.settings);
    for (size_t i = 0; i < n; i++) e.log_likelihood[i] -= log_z;
    e.kind = kind;
    e.model_evaluations = (double)n;
    json_object_set_new(e.settings, "log_z", json_real(log_z));
    return tx_estimate_end(status, &e, v, start, out);
}

static const char *enumerated_unfit(const tx_model_ops *m, const tx_view *v)
{
    (void)v;
    if (!m->energy) return "has no density that is known up to a constant";
    return m->energy->enumerate ? NULL : "has no units whose states could be enumerated";
}

static tx_status enumerated_run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                                void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    (void)config;
    double start = tx_now(), log_z = 0;
    tx_tape *t = tx_tape_new(1 << 20);
    tx_model_bind(m, t);
    tx_status status = m->ops->energy->enumerate(m, t, &log_z, r, 0, (tx_tensor){0});
    tx_tape_free(t);
    TX_TRY(status);
    tx_kind kind = m->ops->energy->bound ? TX_LOWER_BOUND : TX_EXACT;
    return run("enumerated", log_z, kind, m, v, s, n, r, progress, ctx, start, out);
}

static const char *self_unfit(const tx_model_ops *m, const tx_view *v)
{
    (void)v;
    if (!m->energy) return "has no density that is known up to a constant";
    return m->energy->log_z ? NULL : "holds no log Z of its own";
}

static tx_status self_run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                          void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    (void)config;
    double start = tx_now();
    return run("self_normalised", m->ops->energy->log_z(m), TX_ESTIMATE, m, v, s, n, r, progress, ctx, start, out);
}

static const tx_option options[] = {{0}};
extern const tx_estimator_ops tx_estimator_enumerated, tx_estimator_self_normalised;
const tx_estimator_ops tx_estimator_enumerated = {
    .name = "enumerated",
    .summary = "log p*(x) - log Z, log Z summed over all states of at most 20 units",
    .options = options,
    .unfit = enumerated_unfit,
    .run = enumerated_run};
const tx_estimator_ops tx_estimator_self_normalised = {
    .name = "self_normalised",
    .summary = "log p*(x) less the log Z that the model itself has learnt",
    .citation = "gutmann2010noise",
    .options = options,
    .unfit = self_unfit,
    .run = self_run};
