/* Bidirectional Monte Carlo (Grosse, Ghahramani & Adams 2015): on rows x that the model has drawn, with the z they came
 * from, which is an exact draw from p(z|x). Chains from the start bound log p(x) from below on average, chains back
 * from z from above, and the gap between them bounds the error of both: evidence about ais with these settings on this
 * model, and nothing about data.
 *
 * gap_mc_error is conditional on the pairs (z, x) that were drawn: it is the noise of the chains, from the jackknife
 * errors of both sides as though they were independent given each pair. It does not hold what other z, which the chains
 * back start from, or other x would give; gap_error, over rows, has all three. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/moments.h"
#include "common/likelihood/anneal.h"
#include "common/likelihood/pass.h"

static void pilot(tx_anneal *a, const tx_anneal_config *c, size_t width, size_t dim, tx_rng r)
{
    size_t n = (size_t)c->n_pilot;
    real *z = tx_alloc(n * width, sizeof *z), *x = tx_alloc(n * dim, sizeof *x);
    tx_anneal_simulate(a, tx_rng_named(r, "rows"), n, z, x);
    tx_anneal_pilot(a, r, n, x);
    free(z), free(x);
}

static void describe_gap(tx_estimate *e, const double upper_error[])
{
    double mc = 0;
    tx_moments gap = {0};
    for (size_t i = 0; i < e->n; i++) {
        tx_moments_add(&gap, e->upper[i] - e->log_likelihood[i]);
        mc += e->std_error[i] * e->std_error[i] + upper_error[i] * upper_error[i];
    }
    json_object_set_new(e->settings, "gap_mean", json_real(gap.mean));
    json_object_set_new(e->settings, "gap_error", e->n > 1 ? json_real(tx_moments_error(&gap)) : json_null());
    json_object_set_new(e->settings, "gap_mc_error", json_real(sqrt(mc) / (double)e->n));
}

static tx_status evaluate(tx_anneal *a, const tx_anneal_config *c, size_t width, size_t dim, tx_rng r, tx_estimate *e)
{
    size_t n = e->n;
    real *z = tx_alloc(n * width, sizeof *z);
    double *w = tx_alloc(n * (size_t)c->n_chain, sizeof *w), *upper_error = tx_alloc(n, sizeof *upper_error);
    e->x = tx_alloc(n * dim, sizeof *e->x);
    e->upper = tx_alloc(n, sizeof *e->upper);
    tx_anneal_choose_sigma(a);
    pilot(a, c, width, dim, tx_rng_named(r, "pilot"));
    tx_anneal_simulate(a, tx_rng_named(r, "rows"), n, z, e->x);
    tx_anneal_run(a, tx_rng_named(r, "forward"), n, e->x, NULL, w, NULL);
    tx_status status = tx_anneal_average(a, e->split, n, w, 1, e->log_likelihood, e->std_error);
    if (status == TX_OK) {
        tx_anneal_run(a, tx_rng_named(r, "backward"), n, e->x, z, w, NULL);
        status = tx_anneal_average(a, e->split, n, w, -1, e->upper, upper_error);
    }
    tx_anneal_describe(a, e);
    describe_gap(e, upper_error);
    free(z), free(w), free(upper_error);
    return status;
}

/* Where the view has a map of its own, simulated rows have no stored row and so no Jacobian. */
static void describe_unit(const tx_view *v, tx_estimate *e)
{
    bool mapped = v->ops->invert != NULL;
    json_object_set_new(e->settings, "unit", json_string(mapped ? "the view's" : "the data's"));
    if (mapped) e->bits_per_dim = NAN;
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    const tx_anneal_config *c = config;
    double start = tx_now();
    tx_anneal *a;
    tx_estimate e;
    (void)s;
    if (c->n_example == 0) return tx_fail(TX_ECONFIG, "bdmc: n_example is 0: how many rows shall the model draw?");
    if (n == 0 || n > (size_t)c->n_example) n = (size_t)c->n_example;
    TX_TRY(tx_anneal_new(&a, "bdmc", c, m, v, 2 * n, progress, ctx));
    tx_estimate_init(&e, "bdmc", v, TX_SIMULATED, n, true);
    tx_status status = evaluate(a, c, m->ops->latent(m).dim, m->space->dim, r, &e);
    tx_anneal_free(a);
    status = tx_estimate_end(status, &e, v, start, out);
    if (status == TX_OK) describe_unit(v, out);
    return status;
}

extern const tx_estimator_ops tx_estimator_bdmc;
const tx_estimator_ops tx_estimator_bdmc = {
    .name = "bdmc",
    .summary = "bidirectional Monte Carlo: how far ais can be off, on rows that "
               "the model draws",
    .citation = "grosse2015sandwiching",
    .config_size = sizeof(tx_anneal_config),
    .options = tx_anneal_options,
    .unfit = tx_anneal_unfit,
    .simulates = true,
    .run = run};
