/* log p*(x) - log Z with log Z by annealed importance sampling along a path of the model's own (Neal 2001;
 * Salakhutdinov & Murray 2008). With chains from the base, the mean of exp(w) is Z/Z_0, so that log Z_0 + log mean
 * exp(w) is on average below log Z, and the log-likelihood from it above the true one: a stochastic upper bound. Chains
 * back from exact draws of the model at beta = 1 have the mean Z_0/Z, and bound from the other side; where such draws
 * cannot be had, they start at what Gibbs chains from rows of data have come to, and nothing is bounded. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/likelihood/pass.h"
#include "common/likelihood/weights.h"
#include "common/model/energy.h"
#include "common/tensor/parallel.h"

enum { FORWARD, REVERSE };
enum { START_AUTO, START_EXACT, START_CHAIN };
enum { PART = 50 /* chains that one thread moves; a chain's last bits depend on it */ };

typedef struct ais_config {
    int n_step, n_chain, schedule, direction, start, n_burn;
} ais_config;

#define AT(field) offsetof(ais_config, field)
#define PAPER     "salakhutdinov2008quantitative, section 6"
static const tx_option options[] = {
    {"n_step", TX_OPT_INT, AT(n_step), "14500", 1, 100000000, NULL,
     "distributions after the base, the last of which is the model's; 1 is importance sampling from the base", PAPER},
    {"n_chain", TX_OPT_INT, AT(n_chain), "100", 2, 1000000, NULL, "independent chains", PAPER},
    {"schedule", TX_OPT_CHOICE, AT(schedule), "late", 0, 0, "late|linear",
     "inverse temperatures: late spends 1/29 of the steps up to 0.5, 8/29 up to 0.9 and 20/29 up to 1; or equal steps",
     PAPER ": 500, 4000 and 10000"},
    {"direction", TX_OPT_CHOICE, AT(direction), "forward", 0, 0, "forward|reverse",
     "chains from the base to the model, or from the model back to the base", "burda2015accurate"},
    {"start", TX_OPT_CHOICE, AT(start), "auto", 0, 0, "auto|exact|chain",
     "of reverse chains: exact draws, which only a model of at most 20 units has, or the ends of Gibbs chains from "
     "rows of the "
     "training split; auto: exact where it can be",
     NULL},
    {"n_burn", TX_OPT_INT, AT(n_burn), "1000", 0, 100000000, NULL,
     "Gibbs transitions before reverse chains that start from rows", NULL},
    {0},
};

typedef struct sampler {
    const ais_config *c;
    tx_model *m;
    const tx_energy *e;
    tx_workers *workers;
    tx_rng r;
    size_t n, width;
    double *beta; /* [n_step + 1] */
    real *state;  /* [n,width] */
    double *w;    /* [n] */
    void (*progress)(void *ctx, double share);
    void *ctx;
} sampler;

static double late(double u)
{
    static const double share[] = {0, 1.0 / 29, 9.0 / 29, 1}, beta[] = {0, 0.5, 0.9, 1};
    int i = u < share[1] ? 0 : u < share[2] ? 1 : 2;
    return beta[i] + (beta[i + 1] - beta[i]) * (u - share[i]) / (share[i + 1] - share[i]);
}

static double linear(double u) { return u; }

static double *plan(const ais_config *c)
{
    static double (*const schedules[])(double u) = {late, linear};
    double *beta = tx_alloc((size_t)c->n_step + 1, sizeof *beta);
    for (int t = 1; t < c->n_step; t++) beta[t] = schedules[c->schedule]((double)t / c->n_step);
    beta[c->n_step] = 1;
    return beta;
}

static const char *unfit(const tx_model_ops *m, const tx_view *v)
{
    (void)v;
    if (!m->energy) return "has no density that is known up to a constant";
    return m->energy->anneal ? NULL : "has no annealed path from a distribution of known Z";
}

static size_t moves(const ais_config *c)
{
    return (size_t)c->n_step + (c->direction == REVERSE ? (size_t)c->n_burn : 0);
}

/* One call of the model for chains from .. from+n-1, on the tape of the thread that is here. */
static void advance(const sampler *q, size_t from, size_t n, tx_rng r, double low, double high, bool move)
{
    tx_worker here = tx_worker_here(q->workers);
    tx_model_bind(here.m, here.tape);
    q->e->anneal(here.m, here.tape, r, from, low, high, move, tx_matrix(q->state + from * q->width, n, q->width),
                 q->w + from);
}

static void run_part(void *ctx, size_t part)
{
    sampler *q = ctx;
    size_t from = part * PART, n = q->n - from < PART ? q->n - from : PART, steps = (size_t)q->c->n_step;
    bool back = q->c->direction == REVERSE;
    tx_rng r = tx_rng_named(q->r, "transition");
    for (size_t t = 1; t <= steps; t++) {
        size_t low = back ? steps + 1 - t : t - 1, high = back ? steps - t : t;
        advance(q, from, n, tx_rng_fold(r, t), q->beta[low], q->beta[high], t < steps);
        if (q->progress && part == 0) q->progress(q->ctx, (double)t / (double)steps);
    }
}

static void burn_part(void *ctx, size_t part)
{
    sampler *q = ctx;
    size_t from = part * PART, n = q->n - from < PART ? q->n - from : PART;
    tx_rng r = tx_rng_named(q->r, "burn");
    for (int t = 0; t < q->c->n_burn; t++) advance(q, from, n, tx_rng_fold(r, (uint64_t)t), 1, 1, true);
}

/* Rows of the training split, again from the first where there are fewer, then Gibbs transitions. */
static void start_from_rows(sampler *q, const tx_view *v, tx_tape *t)
{
    size_t all = v->data->split[TX_TRAIN].n, d = v->space.dim;
    real *x = tx_alloc(q->n * d, sizeof *x);
    for (size_t i = 0; i < q->n; i += all)
        tx_view_range(v, TX_TRAIN, 0, q->n - i < all ? q->n - i : all, x + i * d, NULL);
    tx_model_bind(q->m, t);
    q->e->state_of(q->m, t, tx_rng_named(q->r, "start"), 0, tx_matrix(x, q->n, d), tx_matrix(q->state, q->n, q->width));
    free(x);
    tx_parallel((q->n + PART - 1) / PART, burn_part, q);
}

/* Where the chains begin; *exact says of reverse ones whether they begin at exact draws. */
static tx_status start(sampler *q, const tx_view *v, bool *exact)
{
    const ais_config *c = q->c;
    tx_tensor state = tx_matrix(q->state, q->n, q->width);
    tx_status status = TX_OK;
    tx_tape *t = tx_tape_new(1 << 20);
    tx_model_bind(q->m, t);
    *exact = true;
    if (c->direction == FORWARD) {
        q->e->draw_base(q->m, tx_rng_named(q->r, "base"), 0, state);
    } else {
        double log_z;
        *exact = false;
        if (c->start != START_CHAIN)
            status = q->e->enumerate ? q->e->enumerate(q->m, t, &log_z, tx_rng_named(q->r, "exact"), 0, state)
                                     : tx_fail(TX_ECONFIG, "%s has no exact draws", q->m->ops->name);
        *exact = c->start != START_CHAIN && status == TX_OK;
        if (!*exact && c->start != START_EXACT) start_from_rows(q, v, t), status = TX_OK;
    }
    tx_tape_free(t);
    return status;
}

static void describe(const sampler *q, bool exact, double log_z, double error, tx_estimate *e)
{
    static const char *const directions[] = {"forward", "reverse"}, *const schedules[] = {"late", "linear"};
    const ais_config *c = q->c;
    bool back = c->direction == REVERSE;
    char brief[96];
    snprintf(brief, sizeof brief, "%d chains of %d steps%s%s", c->n_chain, c->n_step, back ? ", reverse" : "",
             back ? exact ? " from exact draws" : " from Gibbs chains" : "");
    e->stochastic = true;
    e->kind = back && exact ? TX_LOWER_BOUND : !back && !q->e->bound ? TX_UPPER_BOUND : TX_ESTIMATE;
    json_object_set_new(e->settings, "brief", json_string(brief));
    json_object_set_new(e->settings, "log_z", json_real(log_z));
    json_object_set_new(e->settings, "log_z_error", json_real(error));
    json_object_set_new(e->settings, "log_z_base", json_real(q->e->log_base(q->m)));
    json_object_set_new(e->settings, "n_step", json_integer(c->n_step));
    json_object_set_new(e->settings, "n_chain", json_integer(c->n_chain));
    json_object_set_new(e->settings, "schedule", json_string(schedules[c->schedule]));
    json_object_set_new(e->settings, "direction", json_string(directions[c->direction]));
    if (back) json_object_set_new(e->settings, "start", json_string(exact ? "exact" : "chain"));
    if (back && !exact) json_object_set_new(e->settings, "n_burn", json_integer(c->n_burn));
}

static tx_status estimate_log_z(sampler *q, const tx_view *v, double *log_z, double *error, bool *exact)
{
    double sign = q->c->direction == REVERSE ? -1 : 1;
    TX_TRY(start(q, v, exact));
    for (size_t i = 0; i < q->n; i++) q->w[i] = 0;
    tx_parallel((q->n + PART - 1) / PART, run_part, q);
    for (size_t i = 0; i < q->n; i++)
        if (!isfinite(q->w[i]))
            return tx_fail(TX_EDIVERGED, "ais_log_z: the log-weight of chain %zu is %g", i,
                           isnan(q->w[i]) ? NAN : q->w[i]); /* a NaN's sign means nothing */
    *log_z = q->e->log_base(q->m) + sign * tx_log_mean_exp(q->n, q->w, error);
    return TX_OK;
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    const ais_config *c = config;
    double begun = tx_now(), log_z = 0, error = 0;
    bool exact = false;
    tx_estimate e;
    sampler q = {
        .c = c, .m = m, .e = m->ops->energy, .r = r, .n = (size_t)c->n_chain, .progress = progress, .ctx = ctx};
    q.width = q.e->width(m);
    q.beta = plan(c);
    q.state = tx_alloc(q.n * q.width, sizeof *q.state), q.w = tx_alloc(q.n, sizeof *q.w);
    q.workers = tx_workers_new(m);
    n = tx_rows_asked(v, s, n);
    tx_estimate_init(&e, "ais_log_z", v, s, n, false);
    tx_status status = estimate_log_z(&q, v, &log_z, &error, &exact);
    if (status == TX_OK)
        status = tx_score_rows(m, v, s, n, TX_SCORE_UNNORMALISED, r, NULL, NULL, e.log_likelihood, e.settings);
    for (size_t i = 0; i < n; i++) e.log_likelihood[i] -= log_z;
    describe(&q, exact, log_z, error, &e);
    e.model_evaluations = (double)n + (double)q.n * (double)moves(c);
    tx_workers_free(q.workers), free(q.beta), free(q.state), free(q.w);
    status = tx_estimate_end(status, &e, v, begun, out);
    if (status == TX_OK) out->mc_error = error; /* of log Z, which all rows share */
    return status;
}

extern const tx_estimator_ops tx_estimator_ais_log_z;
const tx_estimator_ops tx_estimator_ais_log_z = {.name = "ais_log_z",
                                                 .summary = "log p*(x) - log Z, log Z by annealed importance sampling",
                                                 .citation = "salakhutdinov2008quantitative",
                                                 .config_size = sizeof(ais_config),
                                                 .options = options,
                                                 .unfit = unfit,
                                                 .run = run};
