/* The model's own p(x_m|x_o): ancestral where the missing variables end its order, or in closed form. */
#include "common/impute/impute.h"

static const char *unfit(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    const tx_conditional *c = m->ops->conditional;
    if (!c || !c->applies) return "the model has no conditionals of its own";
    return c->applies(m, missing, why) ? NULL : why;
}

static size_t at_most(size_t n, size_t most) { return n < most ? n : most; }

static tx_status run(const void *config, tx_model *m, tx_rng r, void (*progress)(void *ctx, double share), void *ctx,
                     tx_imputation *q)
{
    (void)config;
    enum { ROWS = 200 };
    const tx_conditional *c = m->ops->conditional;
    size_t all = q->n * q->n_sample, d = q->dim, rows = m->ops->at_once ? 1 + m->ops->at_once / d : ROWS;
    tx_tape *t = tx_tape_new(1 << 20);
    char why[TX_TEXT_MAX];
    for (size_t i = 0, n; i < q->n; i += n) {
        n = at_most(q->n - i, rows);
        tx_model_bind(m, t);
        c->log_prob(m, t, q->missing, tx_matrix((real *)q->x + i * d, n, d), q->log_likelihood + i);
    }
    for (size_t i = 0, n; i < all; i += n) {
        n = at_most(all - i, TX_SAMPLE_CHUNK);
        tx_model_bind(m, t);
        c->sample(m, t, q->missing, r, i, tx_matrix(q->sample + i * d, n, d));
        if (progress) progress(ctx, (double)(i + n) / (double)all);
    }
    for (size_t i = 0; i < q->n; i++) q->std_error[i] = 0;
    q->kind = TX_EXACT;
    if (c->applies(m, q->missing, why) && *why) tx_copy_text(q->evaluated_model, sizeof q->evaluated_model, why);
    tx_tape_free(t);
    return TX_OK;
}

static const tx_option options[] = {{0}};
extern const tx_impute_ops tx_impute_exact;
const tx_impute_ops tx_impute_exact = {.name = "exact",
                                       .summary = "the model's own conditionals: ancestral, or in closed form",
                                       .options = options,
                                       .unfit = unfit,
                                       .run = run};
