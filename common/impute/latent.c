/* Models with latent variables and an encoder. Draws: Metropolis within Gibbs (Mattei & Frellsen 2018, section 3.2),
 * which corrects the pseudo-Gibbs chain of Rezende et al. 2014 (appendix F): z' ~ q(z|x) is accepted with probability
 *     min(1, p(x|z') p(z') q(z|x) / (p(x|z) p(z) q(z'|x))),   then   x_m ~ p(x_m|z).
 * Likelihood: log p(x) - log p(x_o), both by importance sampling; latents for x_o come from a kernel estimate of
 * p(z|x_o): the equal mixture of the encoder's posteriors at the ends of the row's chains, each widened by Scott's
 * (1992) rule. Letters: k latents, w log-weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/moments.h"
#include "common/impute/chains.h"
#include "common/likelihood/weights.h"
#include "common/model/latent.h"

typedef struct latent_config {
    int steps, warm, n_importance;
} latent_config;
#define AT(field) offsetof(latent_config, field)
static const tx_option options[] = {
    {"steps", TX_OPT_INT, AT(steps), "500", 2, 10000000, NULL,
     "of each chain; its end is the sample, so that all before it are burn-in", NULL},
    {"warm", TX_OPT_INT, AT(warm), "50", 0, 10000000, NULL,
     "the first so many steps, and at least one, accept every z', so that no chain stays where it began",
     "mattei2018leveraging, section 3.3"},
    {"n_importance", TX_OPT_INT, AT(n_importance), "5000", 2, 10000000, NULL,
     "importance weights for p(x), and for p(x_o)", "burda2016importance, section 5: 5000"},
    {0},
};

/* Steps that accept every z': the first has nothing to compare with. */
static int n_warm(const latent_config *c) { return c->warm > 0 ? c->warm : 1; }

static const char *unfit(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    (void)missing, (void)why;
    const tx_model_ops *o = m->ops;
    if (!o->latent) return "the model has no latent variables";
    if (!o->posterior) return "the model has no encoder";
    return o->observe && o->log_observation && o->conditional && o->conditional->log_observed
               ? NULL
               : "the model has no p(x|z) of its own, variable by variable";
}

static tx_var leaf_of(tx_tape *t, size_t n, size_t k, const double z[])
{
    tx_tensor y = tx_tape_tensor(t, n, k);
    for (size_t i = 0; i < n * k; i++) y.x[i] = (real)z[i];
    return tx_leaf(t, y);
}

/* log N(z; mu, exp(lv)) of a row. */
static double log_normal(size_t k, const double z[], const real mu[], const real lv[])
{
    double sum = 0;
    for (size_t j = 0; j < k; j++) {
        double off = z[j] - (double)mu[j];
        sum += log(2 * M_PI) + (double)lv[j] + off * off * exp(-(double)lv[j]);
    }
    return -0.5 * sum;
}

/* log p(x|z) + log p(z) - log q(z|x), [n] */
static void log_ratio(tx_chains *c, const double z[], tx_var mu, tx_var lv, double w[])
{
    size_t k = c->m->ops->latent(c->m).dim;
    tx_var v = leaf_of(c->tape, c->n, k, z), x = tx_leaf(c->tape, c->x);
    tx_var y = tx_add(c->tape, c->m->ops->log_observation(c->m, c->tape, x, v),
                      c->m->ops->latent(c->m).prior->logp(c->tape, v));
    for (size_t i = 0; i < c->n; i++)
        w[i] = (double)y->v.x[i] - log_normal(k, z + i * k, mu->v.x + i * k, lv->v.x + i * k);
}

/* z, a chain's scratch, is whole rows of k: the tile's are one matrix [n,k]. */
static void step(tx_chains *c, int number)
{
    const latent_config *config = c->config;
    size_t k = c->m->ops->latent(c->m).dim;
    uint64_t at = (uint64_t)number;
    double now[TX_CHAIN_TILE], then[TX_CHAIN_TILE], *other = tx_alloc(c->n * k, sizeof *other);
    tx_var mu, lv;
    if (number == 0) tx_chains_start(c);
    c->m->ops->posterior(c->m, c->tape, tx_leaf(c->tape, c->x), &mu, &lv);
    tx_rng noise = tx_rng_fold(tx_rng_named(c->r, "latent"), at),
           accept = tx_rng_fold(tx_rng_named(c->r, "accept"), at);
    for (size_t i = 0; i < c->n * k; i++)
        other[i] = (double)mu->v.x[i] + exp(0.5 * (double)lv->v.x[i]) * tx_rng_normal1(noise, c->first * k + i);
    bool always = number < n_warm(config);
    if (!always) log_ratio(c, c->scratch, mu, lv, now);
    if (!always) log_ratio(c, other, mu, lv, then);
    for (size_t i = 0; i < c->n; i++) {
        double a = always || (!isfinite(now[i]) && isfinite(then[i])) ? 1 : exp(fmin(then[i] - now[i], 0));
        if (!always && !isfinite(then[i])) a = 0;
        if (!(tx_rng_uniform1(accept, c->first + i) < a)) continue;
        memcpy(c->scratch + i * k, other + i * k, k * sizeof *other);
        if (!always) c->accepted[i] += 1 / (double)(config->steps - n_warm(config));
    }
    tx_tensor y = tx_tape_tensor(c->tape, c->n, c->q->dim);
    c->m->ops->observe(c->m, c->tape, tx_rng_fold(tx_rng_named(c->r, "observe"), at), c->first,
                       leaf_of(c->tape, c->n, k, c->scratch), y);
    tx_missing_copy(c->q->missing, y, c->x);
    free(other);
}

/* ---- likelihood of a row ---- */

typedef struct weighing {
    const latent_config *config;
    tx_imputation *q;
    tx_model *m;
    tx_tape *tape;
    tx_rng r;
} weighing;

/* Log-weights of draws first .. first+n-1 under the equal mixture of `parts` normals, draw i from part i mod parts:
 * of p(x) where `observed` is false, else of p(x_o). */
static void weigh(const weighing *g, size_t row, bool observed, size_t parts, const real *mu, const real *lv,
                  size_t first, size_t n, double w[])
{
    tx_imputation *q = g->q;
    const tx_model_ops *o = g->m->ops;
    size_t k = o->latent(g->m).dim;
    double *z = tx_alloc(n * k + parts, sizeof *z), *each = z + n * k;
    tx_rng r = tx_rng_fold(tx_rng_named(g->r, observed ? "weights of the observed" : "weights"), row);
    tx_model_bind(g->m, g->tape);
    for (size_t i = 0; i < n * k; i++) {
        size_t p = (first + i / k) % parts * k + i % k;
        z[i] = (double)mu[p] + exp(0.5 * (double)lv[p]) * tx_rng_normal1(r, first * k + i);
    }
    tx_var v = leaf_of(g->tape, n, k, z);
    tx_var x = tx_tile_rows(g->tape, tx_leaf(g->tape, tx_matrix((real *)q->x + row * q->dim, 1, q->dim)), n);
    tx_var y = observed ? o->conditional->log_observed(g->m, g->tape, q->missing, x, v)
                        : o->log_observation(g->m, g->tape, x, v);
    y = tx_add(g->tape, y, o->latent(g->m).prior->logp(g->tape, v));
    for (size_t i = 0; i < n; i++) {
        for (size_t p = 0; p < parts; p++) each[p] = log_normal(k, z + i * k, mu + p * k, lv + p * k);
        w[i] = (double)y->v.x[i] - tx_log_sum_exp(parts, each) + log((double)parts);
    }
    free(z);
}

/* The encoder's posteriors at n rows: [n,k] each, on the heap in one block. */
static real *posteriors(const weighing *g, tx_tensor x)
{
    tx_var mu, lv;
    tx_model_bind(g->m, g->tape);
    g->m->ops->posterior(g->m, g->tape, tx_leaf(g->tape, x), &mu, &lv);
    size_t len = tx_len(mu->v);
    real *out = tx_alloc(2 * len, sizeof *out);
    memcpy(out, mu->v.x, len * sizeof *out), memcpy(out + len, lv->v.x, len * sizeof *out);
    return out;
}

/* Variances exp(lv) of the `parts` kernels become exp(lv) + h^2 var(mu), h = parts^(-1/(k+4)). */
static void widen(size_t parts, size_t k, const real mu[], real lv[])
{
    double h = pow((double)parts, -1 / ((double)k + 4));
    for (size_t j = 0; j < k && parts > 1; j++) {
        tx_moments of = {0};
        for (size_t p = 0; p < parts; p++) tx_moments_add(&of, (double)mu[p * k + j]);
        double between = pow(tx_moments_error(&of), 2) * (double)parts;
        for (size_t p = 0; p < parts; p++) lv[p * k + j] = (real)log(exp((double)lv[p * k + j]) + h * h * between);
    }
}

static double importance(const weighing *g, size_t row, bool observed, double *error)
{
    enum { CHUNK = 250, MOST_PARTS = 100 };
    const tx_imputation *q = g->q;
    size_t parts = !observed ? 1 : q->n_sample < MOST_PARTS ? q->n_sample : MOST_PARTS, d = q->dim;
    size_t n = ((size_t)g->config->n_importance + parts - 1) / parts * parts, k = g->m->ops->latent(g->m).dim;
    const real *x = observed ? q->sample + row * q->n_sample * d : q->x + row * d;
    real *mu = posteriors(g, tx_matrix((real *)x, parts, d)), *lv = mu + parts * k;
    double *w = tx_alloc(n, sizeof *w);
    widen(parts, k, mu, lv);
    for (size_t i = 0; i < n; i += CHUNK)
        weigh(g, row, observed, parts, mu, lv, i, n - i < CHUNK ? n - i : CHUNK, w + i);
    double value = tx_log_mean_exp(n, w, error);
    free(mu), free(w);
    return value;
}

static void do_row(const weighing *g, size_t row)
{
    double all_error, seen_error, all = importance(g, row, false, &all_error);
    g->q->log_likelihood[row] = all - importance(g, row, true, &seen_error);
    g->q->std_error[row] = hypot(all_error, seen_error);
}

static tx_status run(const void *config, tx_model *m, tx_rng r, void (*progress)(void *ctx, double share), void *ctx,
                     tx_imputation *q)
{
    const latent_config *c = config;
    if (n_warm(c) >= c->steps)
        return tx_fail(TX_ECONFIG,
                       "latent: warm is %d of %d steps, the first always among them: some must be left for chains that "
                       "reject",
                       n_warm(c), c->steps);
    TX_TRY(tx_chains_run(q, m, c, r, c->steps, m->ops->latent(m).dim, step, progress, ctx));
    weighing g = {c, q, m, tx_tape_new(1 << 20), r};
    for (size_t i = 0; i < q->n; i++) do_row(&g, i);
    tx_tape_free(g.tape);
    return TX_OK;
}

extern const tx_impute_ops tx_impute_latent;
const tx_impute_ops tx_impute_latent = {
    .name = "latent",
    .summary =
        "Metropolis within Gibbs through the latents of a model with an encoder; its likelihood by importance sampling",
    .citation = "mattei2018leveraging",
    .config_size = sizeof(latent_config),
    .options = options,
    .unfit = unfit,
    .run = run};
