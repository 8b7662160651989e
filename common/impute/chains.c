#include "common/impute/chains.h"
#include <math.h>
#include <stdlib.h>
#include "common/model/energy.h"

tx_status tx_chains_run(tx_imputation *q, tx_model *m, const void *config, tx_rng r, int steps, size_t scratch,
                        void (*step)(tx_chains *c, int number), void (*progress)(void *ctx, double share), void *ctx)
{
    size_t n = q->n * q->n_sample;
    tx_tape *t = tx_tape_new(1 << 20);
    double *accepted = tx_alloc(n, sizeof *accepted), *kept = tx_alloc(TX_CHAIN_TILE * scratch, sizeof *kept);
    for (size_t i = 0; i < n; i += TX_CHAIN_TILE) {
        tx_chains c = {q, m, t, config, r, .first = i, .accepted = accepted + i, .scratch = kept};
        c.n = n - i < TX_CHAIN_TILE ? n - i : TX_CHAIN_TILE;
        c.x = tx_matrix(q->sample + i * q->dim, c.n, q->dim);
        for (int k = 0; k < steps; k++) {
            tx_model_bind(m, t);
            step(&c, k);
            if (progress) progress(ctx, ((double)i + (double)c.n * (k + 1) / steps) / (double)n);
        }
    }
    for (size_t i = 0; i < q->n; i++) {
        q->acceptance[i] = 0;
        for (size_t s = 0; s < q->n_sample; s++)
            q->acceptance[i] += accepted[i * q->n_sample + s] / (double)q->n_sample;
    }
    q->chains = true;
    tx_tape_free(t), free(accepted), free(kept);
    for (size_t i = 0; i < n * q->dim; i++)
        if (!isfinite((double)q->sample[i]))
            return tx_fail(TX_EDIVERGED, "a chain's value of variable %zu is %g in sample %zu of row %zu", i % q->dim,
                           (double)q->sample[i], i / q->dim % q->n_sample, i / q->dim / q->n_sample);
    return TX_OK;
}

tx_score tx_chains_score(const tx_model_ops *ops)
{
    if (ops->log_prob) return TX_SCORE_LOG_PROB;
    return ops->energy && ops->energy->log_unnormalised && !ops->energy->bound ? TX_SCORE_UNNORMALISED : TX_SCORE_NONE;
}

tx_var tx_chains_log_density(tx_model *m, tx_tape *t, tx_var x)
{
    return (m->ops->log_prob ? m->ops->log_prob : m->ops->energy->log_unnormalised)(m, t, x);
}

void tx_chains_start(tx_chains *c)
{
    const tx_space *s = c->m->space;
    size_t d = s->dim;
    tx_rng r = tx_rng_named(c->r, "start");
    for (size_t i = 0; i < c->n * d; i++) {
        size_t j = i % d;
        if (!c->q->missing[j]) continue;
        uint64_t at = c->first * d + i;
        double x = s->measure == TX_COUNTING ? tx_rng_uniform1(r, at) < s->mean[j]
                                             : s->mean[j] + s->deviation[j] * tx_rng_normal1(r, at);
        c->x.x[i] = (real)fmin(fmax(x, s->lower), s->upper);
    }
}
