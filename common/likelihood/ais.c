/* Annealed importance sampling of log p(x) in the latents of a decoder: log mean exp of the weights of n_chain chains
 * (Neal 2001; Wu et al. 2017). The mean of exp(w) is p(x), so that its logarithm is on average below: a stochastic
 * lower bound, of which short chains make a loose one. */
#include <stdlib.h>
#include "common/likelihood/anneal.h"
#include "common/likelihood/pass.h"

static void pilot(tx_anneal *a, const tx_anneal_config *c, const tx_view *v, tx_rng r)
{
    size_t n = tx_rows_asked(v, TX_VALID, (size_t)c->n_pilot);
    real *x = tx_alloc(n * v->space.dim, sizeof *x);
    tx_view_range(v, TX_VALID, 0, n, x, NULL);
    tx_anneal_pilot(a, r, n, x);
    free(x);
}

static tx_status evaluate(tx_anneal *a, const tx_anneal_config *c, const tx_view *v, tx_rng r, tx_estimate *e)
{
    size_t n = e->n;
    real *x = tx_alloc(n * v->space.dim, sizeof *x);
    double *w = tx_alloc(n * (size_t)c->n_chain, sizeof *w), *jacobian = tx_alloc(n, sizeof *jacobian), sum = 0;
    tx_view_range(v, e->split, 0, n, x, jacobian);
    tx_anneal_choose_sigma(a);
    pilot(a, c, v, tx_rng_named(r, "pilot"));
    tx_anneal_run(a, tx_rng_named(r, "ais"), n, x, NULL, w, NULL);
    tx_status status = tx_anneal_average(a, e->split, n, w, 1, e->log_likelihood, e->std_error);
    for (size_t i = 0; i < n; i++) e->log_likelihood[i] += jacobian[i], sum += jacobian[i];
    tx_note_jacobian(e->settings, sum, n);
    tx_anneal_describe(a, e);
    free(x), free(w), free(jacobian);
    return status;
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    const tx_anneal_config *c = config;
    double start = tx_now();
    tx_anneal *a;
    tx_estimate e;
    n = tx_rows_asked(v, s, n);
    if (c->n_example && (size_t)c->n_example < n) n = (size_t)c->n_example;
    TX_TRY(tx_anneal_new(&a, "ais", c, m, v, n, progress, ctx));
    tx_estimate_init(&e, "ais", v, s, n, true);
    tx_status status = evaluate(a, c, v, r, &e);
    tx_anneal_free(a);
    return tx_estimate_end(status, &e, v, start, out);
}

extern const tx_estimator_ops tx_estimator_ais;
const tx_estimator_ops tx_estimator_ais = {.name = "ais",
                                           .summary = "annealed importance sampling from the prior or the encoder",
                                           .citation = "wu2017quantitative",
                                           .config_size = sizeof(tx_anneal_config),
                                           .options = tx_anneal_options,
                                           .unfit = tx_anneal_unfit,
                                           .run = run};
