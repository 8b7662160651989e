/* Hamiltonian Monte Carlo over the missing coordinates (Duane et al. 1987; Neal 2011), in units of the training split's
 * deviations. Each chain finds its own step e in the first half of its steps and keeps it in the second. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/moments.h"
#include "common/impute/chains.h"

typedef struct hmc_config {
    int steps, leapfrog, n_grid;
    double target;
} hmc_config;
#define AT(field) offsetof(hmc_config, field)
static const tx_option options[] = {
    {"steps", TX_OPT_INT, AT(steps), "200", 2, 10000000, NULL,
     "trajectories of each chain, of which the first half find its step; the end is the sample", NULL},
    {"leapfrog", TX_OPT_INT, AT(leapfrog), "10", 1, 100000, NULL, "leapfrog steps of a trajectory, L",
     "neal2011mcmc, section 5.3"},
    {"target", TX_OPT_REAL, AT(target), "0.8", 0.05, 0.99, NULL,
     "share of trajectories to be accepted, by the choice of e",
     "neal2011mcmc, section 5.4.4: 0.65 is best for many dimensions"},
    {"n_grid", TX_OPT_INT, AT(n_grid), "2000", 16, 10000000, NULL,
     "one missing coordinate: intervals of the quadrature of its conditional", NULL},
    {0},
};

static const char *unfit(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    (void)missing, (void)why;
    if (m->space->measure != TX_LEBESGUE) return "values are not real";
    return tx_chains_score(m->ops) == TX_SCORE_NONE ? "the model has no density, nor one up to a constant" : NULL;
}

/* Deviations below a thousandth of the largest are taken for that. */
static double unit_of(const tx_space *s, size_t j)
{
    double widest = 0;
    for (size_t k = 0; k < s->dim; k++) widest = fmax(widest, s->deviation[k]);
    return widest > 0 ? fmax(s->deviation[j], 1e-3 * widest) : 1;
}

/* log p and its gradient, which stays on the tape until the next call. */
static const real *gradient(tx_chains *c, double log_p[])
{
    tx_model_bind(c->m, c->tape);
    tx_var x = tx_leaf(c->tape, c->x), y = tx_chains_log_density(c->m, c->tape, x), g;
    tx_grad(c->tape, y, &x, 1, &g);
    for (size_t i = 0; i < c->n; i++) log_p[i] = (double)y->v.x[i];
    return g->v.x;
}

/* Momenta p of the missing coordinates and what the trajectory began with: scratch of a chain is [e, p[D], x[D]]. */
enum { STEP = 0, SCRATCH = 1 };

static void kick(const tx_chains *c, const double unit[], double share, const double e[], const real *g)
{
    size_t d = c->q->dim, width = SCRATCH + 2 * d;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < d; j++)
            if (c->q->missing[j]) c->scratch[i * width + SCRATCH + j] += share * e[i] * unit[j] * (double)g[i * d + j];
}

static void drift(const tx_chains *c, const double unit[], const double e[])
{
    size_t d = c->q->dim, width = SCRATCH + 2 * d;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < d; j++)
            if (c->q->missing[j]) c->x.x[i * d + j] += (real)(e[i] * unit[j] * c->scratch[i * width + SCRATCH + j]);
}

/* Draws the momenta and keeps the state; returns the kinetic energies. */
static void begin(tx_chains *c, int number, double e[], double kinetic[])
{
    size_t d = c->q->dim, width = SCRATCH + 2 * d;
    tx_rng r = tx_rng_fold(tx_rng_named(c->r, "momentum"), (uint64_t)number);
    tx_rng of_step = tx_rng_fold(tx_rng_named(c->r, "step"), (uint64_t)number);
    for (size_t i = 0; i < c->n; i++) {
        double *own = c->scratch + i * width;
        if (number == 0) own[STEP] = 0.1;
        e[i] = own[STEP] * (0.8 + 0.4 * tx_rng_uniform1(of_step, c->first + i)); /* against trajectories that close */
        kinetic[i] = 0;
        for (size_t j = 0; j < d; j++) {
            own[SCRATCH + d + j] = (double)c->x.x[i * d + j];
            if (!c->q->missing[j]) continue;
            own[SCRATCH + j] = tx_rng_normal1(r, (c->first + i) * d + j);
            kinetic[i] += 0.5 * own[SCRATCH + j] * own[SCRATCH + j];
        }
    }
}

/* Metropolis' choice between the two ends; the step follows the acceptance in the first half, ever more slowly. */
static void choose(tx_chains *c, int number, const double energy[], const double log_p[])
{
    const hmc_config *k = c->config;
    size_t d = c->q->dim, width = SCRATCH + 2 * d;
    tx_rng r = tx_rng_fold(tx_rng_named(c->r, "accept"), (uint64_t)number);
    int half = k->steps / 2;
    for (size_t i = 0; i < c->n; i++) {
        double *own = c->scratch + i * width, end = log_p[i];
        for (size_t j = 0; j < d; j++)
            if (c->q->missing[j]) end -= 0.5 * own[SCRATCH + j] * own[SCRATCH + j];
        double a = end - energy[i] >= 0 ? 1 : exp(end - energy[i]);
        if (!(a >= 0)) a = 0; /* not a number: outside of where the density is one */
        if (!(tx_rng_uniform1(r, c->first + i) < a))
            for (size_t j = 0; j < d; j++) c->x.x[i * d + j] = (real)own[SCRATCH + d + j];
        if (number < half)
            own[STEP] *= exp((a - k->target) / pow(1 + number, 0.6));
        else
            c->accepted[i] += a / (double)(k->steps - half);
    }
}

static void trajectory(tx_chains *c, int number)
{
    const hmc_config *k = c->config;
    double e[TX_CHAIN_TILE], kinetic[TX_CHAIN_TILE], log_p[TX_CHAIN_TILE], energy[TX_CHAIN_TILE];
    double *unit = tx_alloc(c->q->dim, sizeof *unit);
    for (size_t j = 0; j < c->q->dim; j++) unit[j] = unit_of(c->m->space, j);
    if (number == 0) tx_chains_start(c);
    begin(c, number, e, kinetic);
    const real *g = gradient(c, log_p);
    for (size_t i = 0; i < c->n; i++) energy[i] = log_p[i] - kinetic[i];
    for (int l = 0; l < k->leapfrog; l++) {
        kick(c, unit, l == 0 ? 0.5 : 1, e, g);
        drift(c, unit, e);
        g = gradient(c, log_p);
    }
    kick(c, unit, 0.5, e, g);
    choose(c, number, energy, log_p);
    free(unit);
}

/* ---- one missing coordinate: log p(x) - log of the integral over it, by the trapezoidal rule ---- */

typedef struct quadrature {
    tx_imputation *q;
    tx_model *m;
    tx_tape *tape;
    size_t missing, n; /* coordinate; intervals, even */
    double low, high;
} quadrature;

/* The rule with all points, and with every second one, whose difference is the error; and what would lie beyond the
 * ends if the density stayed what it is there for as long as the range. */
static void integrate(const quadrature *k, size_t row)
{
    enum { CHUNK = 200 };
    tx_imputation *q = k->q;
    size_t d = q->dim, n = k->n + 1;
    tx_score score = tx_chains_score(k->m->ops);
    double *log_p = tx_alloc(n + n / 2 + 2, sizeof *log_p), *half = log_p + n, own,
           h = (k->high - k->low) / (double)k->n;
    real *x = tx_alloc(CHUNK * d, sizeof *x);
    for (size_t from = 0; from < n; from += CHUNK) {
        size_t rows = n - from < CHUNK ? n - from : CHUNK;
        for (size_t i = 0; i < rows; i++) {
            memcpy(x + i * d, q->x + row * d, d * sizeof *x);
            x[i * d + k->missing] = (real)(k->low + h * (double)(from + i));
        }
        tx_model_evaluate(k->m, k->tape, score, tx_rng_root(0), 0, tx_matrix(x, rows, d), log_p + from);
    }
    tx_model_evaluate(k->m, k->tape, score, tx_rng_root(0), 0, tx_matrix((real *)q->x + row * d, 1, d), &own);
    log_p[0] -= log(2), log_p[k->n] -= log(2);
    for (size_t i = 0; i < n; i++) log_p[i] = isnan(log_p[i]) ? -INFINITY : log_p[i];
    for (size_t i = 0; i < n; i += 2) half[i / 2] = log_p[i];
    double fine = tx_log_sum_exp(n, log_p) + log(h), coarse = tx_log_sum_exp(n / 2 + 1, half) + log(2 * h);
    q->log_likelihood[row] = own - fine;
    q->std_error[row] = fabs(fine - coarse) + exp(fmax(log_p[0], log_p[k->n]) + log(2 * (k->high - k->low)) - fine);
    free(log_p), free(x);
}

/* Over the box, else twelve deviations to both sides of the training mean. */
static void quadrature_of(tx_imputation *q, tx_model *m, const hmc_config *c)
{
    const tx_space *s = m->space;
    quadrature k = {.q = q, .m = m, .n = (size_t)c->n_grid / 2 * 2};
    while (!q->missing[k.missing]) k.missing++;
    double reach = 12 * unit_of(s, k.missing);
    k.low = isfinite(s->lower) ? s->lower : s->mean[k.missing] - reach;
    k.high = isfinite(s->upper) ? s->upper : s->mean[k.missing] + reach;
    k.tape = tx_tape_new(1 << 20);
    for (size_t i = 0; i < q->n; i++) integrate(&k, i);
    tx_tape_free(k.tape);
}

static tx_status run(const void *config, tx_model *m, tx_rng r, void (*progress)(void *ctx, double share), void *ctx,
                     tx_imputation *q)
{
    const hmc_config *c = config;
    size_t missing = tx_missing_count(q->dim, q->missing);
    TX_TRY(tx_chains_run(q, m, c, r, c->steps, SCRATCH + 2 * q->dim, trajectory, progress, ctx));
    if (missing == 1)
        quadrature_of(q, m, c);
    else
        snprintf(q->none, sizeof q->none, "no integral over %zu missing coordinates: quadrature is over one", missing);
    return TX_OK;
}

extern const tx_impute_ops tx_impute_hmc;
const tx_impute_ops tx_impute_hmc = {
    .name = "hmc",
    .summary =
        "Hamiltonian Monte Carlo over missing real coordinates; a likelihood, by quadrature, where one is missing",
    .citation = "neal2011mcmc",
    .config_size = sizeof(hmc_config),
    .options = options,
    .unfit = unfit,
    .run = run};
