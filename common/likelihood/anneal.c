#include "common/likelihood/anneal.h"
#include "common/base/text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/likelihood/pass.h"
#include "common/likelihood/weights.h"
#include "common/model/latent.h"
#include "common/tensor/parallel.h"

/* Chains of one pass, and of each part of it that one thread moves; a chain's last bits depend on both. */
enum { CHUNK = 500, PART = 128, PARTS = (CHUNK + PART - 1) / PART };
enum { START_AUTO, START_PRIOR, START_ENCODER };
enum { SIGMOID, LINEAR };

#define AT(field) offsetof(tx_anneal_config, field)
#define WU        "wu2017quantitative, appendix"
const tx_option tx_anneal_options[] = {
    {"n_step", TX_OPT_INT, AT(n_step), "1000", 1, 10000000, NULL,
     "distributions between the start and the posterior, which is the last; 1 is importance sampling from the start",
     "wu2017quantitative: 10000"},
    {"n_chain", TX_OPT_INT, AT(n_chain), "16", 2, 1000000, NULL, "independent chains for each example",
     "wu2017quantitative"},
    {"n_leapfrog", TX_OPT_INT, AT(n_leapfrog), "10", 1, 10000, NULL, "leapfrog steps of each Hamiltonian transition",
     "wu2017quantitative"},
    {"start", TX_OPT_CHOICE, AT(start), "auto", 0, 0, "auto|prior|encoder",
     "what chains start from; auto: the encoder where the model has one, else the prior", NULL},
    {"schedule", TX_OPT_CHOICE, AT(schedule), "sigmoid", 0, 0, "sigmoid|linear",
     "of the inverse temperatures: sigmoid of -4 to 4, scaled to 0 to 1, or equal steps", "the authors' code"},
    {"acceptance", TX_OPT_REAL, AT(acceptance), "0.65", 0.05, 0.99, NULL,
     "acceptance rate at which the pilot run aims when it adapts the leapfrog step", "neal2011mcmc, section 4.4"},
    {"n_example", TX_OPT_INT, AT(n_example), "100", 0, 100000000, NULL,
     "rows evaluated at most, by bdmc rows drawn from the model; 0: all of the split", NULL},
    {"n_pilot", TX_OPT_INT, AT(n_pilot), "10", 1, CHUNK, NULL,
     "rows of valid, by bdmc rows drawn from the model, on which the pilot run adapts the leapfrog step", NULL},
    {"sigma", TX_OPT_REAL, AT(sigma), "0", 0, 1e6, NULL,
     "deviation of the normal laid over the output of a model without a p(x|z) on real values, in the unit of the "
     "view; "
     "0: chosen on valid",
     NULL},
    {"sigma_min", TX_OPT_REAL, AT(sigma_min), "0.02", 1e-6, 1e6, NULL, "smallest deviation tried", NULL},
    {"sigma_max", TX_OPT_REAL, AT(sigma_max), "1", 1e-6, 1e6, NULL, "largest deviation tried", NULL},
    {"n_sigma", TX_OPT_INT, AT(n_sigma), "12", 1, 1000, NULL, "deviations tried, equally spaced in their logarithm",
     NULL},
    {"n_valid", TX_OPT_INT, AT(n_valid), "20", 1, CHUNK, NULL, "rows of valid that choose the deviation", NULL},
    {"n_step_sigma", TX_OPT_INT, AT(n_step_sigma), "200", 1, 10000000, NULL,
     "distributions of the short runs that choose the deviation", NULL},
    {0},
};

/* Of the pilot: the first step, in the start's deviations; the gain of log step in acceptance; adaptations at
 * the first temperature, and the least over a path. Every step is drawn within this share of its table's value, so that
 * no trajectory is a whole period of a near-Gaussian target (Neal 2011, section 3.2). */
static const double FIRST_STEP = 0.5, GAIN = 0.3, JITTER = 0.2;
enum { WARM = 30, ADAPTATIONS = 100 };

/* Of each chain: z, log f_0(z), d = log f_T(z) - log f_0(z), and the gradients of both. */
typedef struct state {
    real *z, *g_start, *g_d; /* [CHUNK,k] */
    double *start, *d;       /* [CHUNK] */
} state;

struct tx_anneal {
    const char *name;
    const tx_anneal_config *c;
    tx_model *m;
    const tx_view *v;
    tx_observation o;
    bool encoder, edge; /* edge: sigma is the least or largest tried */
    size_t width, dim;  /* of z, of x */
    size_t n_step;      /* T */
    double *beta;       /* [T+1] */
    double *step;       /* [T], from 1 */
    tx_workers *workers;
    uint64_t first;                             /* the pass: its first chain, */
    size_t n, part;                             /* how many, in each part but the last, */
    tx_tensor x, mu, lv;                        /* [CHUNK,.] what they are conditioned on, */
    state now, next;                            /* where they are and whereto they might go */
    real *momentum, *scale;                     /* [CHUNK,k]; scale: deviations of the start */
    double *step_of, *energy, *chance, *weight; /* [CHUNK] */
    double accepted, proposed, least;           /* of frozen chains; least: mean of the worst chain */
    double gradients, total;
    void (*progress)(void *ctx, double share);
    void *ctx;
};

const char *tx_anneal_unfit(const tx_model_ops *m, const tx_view *v)
{
    if (!m->latent) return "has no latent variables";
    if (m->log_observation || v->space.measure == TX_LEBESGUE || v->space.levels == 2) return NULL;
    return "has no p(x|z) on more than two levels";
}

static tx_status check(const char *name, const tx_anneal_config *c, const tx_model *m)
{
    if (c->sigma_max < c->sigma_min)
        return tx_fail(TX_ECONFIG, "%s: sigma_max %g is less than sigma_min %g", name, c->sigma_max, c->sigma_min);
    if (c->start == START_ENCODER && !m->ops->posterior)
        return tx_fail(TX_ECONFIG, "%s: start is 'encoder', but %s has none: use 'prior'", name, m->ops->name);
    return TX_OK;
}

static double schedule(int kind, double u)
{
    const double rad = 4;
    if (kind == LINEAR) return u;
    double low = 1 / (1 + exp(rad)), high = 1 / (1 + exp(-rad));
    return (1 / (1 + exp(-rad * (2 * u - 1))) - low) / (high - low);
}

static void plan(tx_anneal *a, size_t n_step)
{
    free(a->beta), free(a->step);
    a->n_step = n_step;
    a->beta = tx_alloc(n_step + 1, sizeof *a->beta);
    a->step = tx_alloc(n_step, sizeof *a->step);
    for (size_t t = 1; t < n_step; t++) a->beta[t] = schedule(a->c->schedule, (double)t / (double)n_step);
    a->beta[n_step] = 1;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Chains a row of an adapting run, which is one pass. */
static size_t pilot_chains(const tx_anneal *a, size_t rows)
{
    return smaller((size_t)a->c->n_chain, rows < CHUNK ? CHUNK / rows : 1);
}

/* Transitions at temperature t of an adapting run. */
static size_t adaptations(size_t n_step, size_t t) { return t == 1 ? WARM : 1 + ADAPTATIONS / n_step; }

static double gradients_of(const tx_anneal *a, double rows, bool adapt, size_t n_step)
{
    double moves = (double)(n_step - 1), chains = adapt ? (double)pilot_chains(a, (size_t)rows) : a->c->n_chain;
    if (adapt && n_step > 1) moves = WARM + (moves - 1) * (double)adaptations(n_step, 2);
    return rows * chains * (1 + moves * a->c->n_leapfrog);
}

static bool chooses(const tx_anneal *a) { return a->o.kind == TX_OBSERVE_NORMAL && a->c->sigma == 0; }

static double gradients_in_all(const tx_anneal *a, size_t n_frozen)
{
    const tx_anneal_config *c = a->c;
    double choice = 0, pilot = 0, valid = (double)tx_rows_asked(a->v, TX_VALID, (size_t)c->n_valid);
    if (chooses(a)) choice = c->n_sigma * gradients_of(a, valid, true, (size_t)c->n_step_sigma);
    if (c->n_step > 1) pilot = gradients_of(a, c->n_pilot, true, (size_t)c->n_step);
    return choice + pilot + gradients_of(a, (double)n_frozen, false, (size_t)c->n_step);
}

static state new_state(size_t width)
{
    size_t len = CHUNK * width;
    return (state){tx_alloc(len, sizeof(real)), tx_alloc(len, sizeof(real)), tx_alloc(len, sizeof(real)),
                   tx_alloc(CHUNK, sizeof(double)), tx_alloc(CHUNK, sizeof(double))};
}

static void free_state(state *q) { free(q->z), free(q->g_start), free(q->g_d), free(q->start), free(q->d); }

static tx_tensor new_matrix(size_t cols) { return tx_matrix(tx_alloc(CHUNK * cols, sizeof(real)), CHUNK, cols); }

tx_status tx_anneal_new(tx_anneal **out, const char *name, const tx_anneal_config *c, tx_model *m, const tx_view *v,
                        size_t n_frozen, void (*progress)(void *ctx, double share), void *ctx)
{
    TX_TRY(check(name, c, m));
    tx_anneal *a = tx_alloc(1, sizeof *a);
    a->name = name, a->c = c, a->m = m, a->v = v, a->progress = progress, a->ctx = ctx;
    a->o = tx_observation_of(m, c->sigma);
    a->encoder = m->ops->posterior && c->start != START_PRIOR;
    a->width = m->ops->latent(m).dim, a->dim = m->space->dim;
    a->workers = tx_workers_new(m);
    a->x = new_matrix(a->dim), a->mu = new_matrix(a->width), a->lv = new_matrix(a->width);
    a->now = new_state(a->width), a->next = new_state(a->width);
    a->momentum = tx_alloc(CHUNK * a->width, sizeof(real)), a->scale = tx_alloc(CHUNK * a->width, sizeof(real));
    a->step_of = tx_alloc(CHUNK, sizeof(double)), a->energy = tx_alloc(CHUNK, sizeof(double));
    a->chance = tx_alloc(CHUNK, sizeof(double)), a->weight = tx_alloc(CHUNK, sizeof(double));
    a->least = 1;
    a->total = gradients_in_all(a, n_frozen);
    plan(a, (size_t)c->n_step);
    *out = a;
    return TX_OK;
}

void tx_anneal_free(tx_anneal *a)
{
    tx_workers_free(a->workers);
    free(a->beta), free(a->step), free(a->x.x), free(a->mu.x), free(a->lv.x);
    free_state(&a->now), free_state(&a->next);
    free(a->momentum), free(a->scale), free(a->step_of), free(a->energy), free(a->chance), free(a->weight);
    free(a);
}

static const tx_prior *prior_of(const tx_anneal *a) { return a->m->ops->latent(a->m).prior; }

static void take_gradient(tx_tape *t, tx_var y, tx_var z, real *to)
{
    tx_var g;
    tx_grad(t, y, &z, 1, &g);
    memcpy(to, g->v.x, tx_len(g->v) * sizeof *to);
}

/* Of chains from .. to-1. One pass through the decoder and back serves every temperature: f_t is a mixture of the two
 * that are kept. */
static void evaluate(tx_anneal *a, state *q, size_t from, size_t to)
{
    tx_worker w = tx_worker_here(a->workers);
    tx_tape *t = w.tape;
    size_t k = a->width;
    tx_model_bind(w.m, t);
    tx_var z = tx_leaf(t, tx_matrix(q->z + from * k, to - from, k)), x = tx_leaf(t, tx_slice_rows(a->x, from, to));
    tx_var start = prior_of(a)->logp(t, z), d = tx_observation_logp(w.m, t, a->o, x, z);
    if (a->encoder) {
        tx_var p = start, mu = tx_leaf(t, tx_slice_rows(a->mu, from, to));
        start = tx_normal_logp(t, z, mu, tx_leaf(t, tx_slice_rows(a->lv, from, to)));
        d = tx_add(t, d, tx_sub(t, p, start));
    }
    take_gradient(t, start, z, q->g_start + from * k);
    take_gradient(t, d, z, q->g_d + from * k);
    for (size_t i = from; i < to; i++) {
        q->start[i] = (double)start->v.x[i - from];
        q->d[i] = (double)d->v.x[i - from];
    }
}

static void evaluate_part(void *ctx, size_t i)
{
    tx_anneal *a = ctx;
    evaluate(a, &a->now, i * a->part, smaller((i + 1) * a->part, a->n));
}

/* momentum += share step scale grad log f_beta: the transition is that of N(0, I) momenta in units of the start's
 * deviations, which is a diagonal mass matrix (Neal 2011, section 4.1) and depends on x alone. */
static void kick(tx_anneal *a, const state *q, double beta, double share, size_t from, size_t to)
{
    size_t k = a->width;
    for (size_t i = from; i < to; i++) {
        real h = (real)(share * a->step_of[i]), b = (real)beta, *p = a->momentum + i * k;
        const real *g = q->g_start + i * k, *gd = q->g_d + i * k, *scale = a->scale + i * k;
        for (size_t j = 0; j < k; j++) p[j] += h * scale[j] * (g[j] + b * gd[j]);
    }
}

static void drift(tx_anneal *a, size_t from, size_t to)
{
    size_t k = a->width;
    for (size_t i = from; i < to; i++) {
        real h = (real)a->step_of[i], *z = a->next.z + i * k;
        const real *p = a->momentum + i * k, *scale = a->scale + i * k;
        for (size_t j = 0; j < k; j++) z[j] += h * scale[j] * p[j];
    }
}

/* - log f_beta(z) + |momentum|^2/2 */
static double energy(const tx_anneal *a, const state *q, double beta, size_t i)
{
    double square = 0;
    const real *p = a->momentum + i * a->width;
    for (size_t j = 0; j < a->width; j++) square += (double)p[j] * (double)p[j];
    return 0.5 * square - q->start[i] - beta * q->d[i];
}

static void copy_chain(const tx_anneal *a, state *to, const state *from, size_t i)
{
    size_t k = a->width, bytes = k * sizeof(real);
    memcpy(to->z + i * k, from->z + i * k, bytes);
    memcpy(to->g_start + i * k, from->g_start + i * k, bytes);
    memcpy(to->g_d + i * k, from->g_d + i * k, bytes);
    to->start[i] = from->start[i], to->d[i] = from->d[i];
}

/* Metropolis: what is not finite is no place to go; from such a place every finite one is. Returns the sum of chances.
 */
static double accept(tx_anneal *a, double beta, tx_rng choice, size_t from, size_t to)
{
    double sum = 0;
    for (size_t i = from; i < to; i++) {
        double h = energy(a, &a->next, beta, i), change = a->energy[i] - h;
        double p = !isfinite(h) ? 0 : change < 0 ? exp(change) : 1;
        if (tx_rng_uniform1(choice, 2 * (a->first + i) + 1) < p) copy_chain(a, &a->now, &a->next, i);
        a->chance[i] += p;
        sum += p;
    }
    return sum;
}

typedef struct move {
    tx_anneal *a;
    double beta, step;
    tx_rng momentum, choice;
    double chance[PARTS]; /* its sum over each part */
} move;

static void move_part(void *ctx, size_t part)
{
    move *q = ctx;
    tx_anneal *a = q->a;
    size_t k = a->width, from = part * a->part, to = smaller(from + a->part, a->n);
    tx_rng_normal(q->momentum, (a->first + from) * k, (to - from) * k, a->momentum + from * k);
    memcpy(a->next.z + from * k, a->now.z + from * k, (to - from) * k * sizeof(real));
    for (size_t i = from; i < to; i++) {
        a->step_of[i] = q->step * (1 + JITTER * (2 * tx_rng_uniform1(q->choice, 2 * (a->first + i)) - 1));
        a->energy[i] = energy(a, &a->now, q->beta, i);
    }
    kick(a, &a->now, q->beta, 0.5, from, to);
    for (int l = 1; l <= a->c->n_leapfrog; l++) {
        drift(a, from, to);
        evaluate(a, &a->next, from, to);
        kick(a, &a->next, q->beta, l < a->c->n_leapfrog ? 1 : 0.5, from, to);
    }
    q->chance[part] = accept(a, q->beta, q->choice, from, to);
}

static size_t parts(const tx_anneal *a) { return (a->n + a->part - 1) / a->part; }

/* One Hamiltonian transition of every chain, which leaves f_beta unchanged. The gradient at its start is known. Returns
 * the mean chance of acceptance. */
static double transition(tx_anneal *a, double beta, double step, tx_rng r)
{
    double sum = 0;
    move q = {a, beta, step, tx_rng_named(r, "momentum"), tx_rng_named(r, "choice"), {0}};
    tx_parallel(parts(a), move_part, &q);
    a->gradients += (double)a->n * a->c->n_leapfrog;
    if (a->progress) a->progress(a->ctx, fmin(1, a->gradients / a->total));
    for (size_t i = 0; i < parts(a); i++) sum += q.chance[i];
    return sum / (double)a->n;
}

/* q(z|x) of the pass's rows, or the prior: what the start's draws and the transitions need of it. */
static void set_start(tx_anneal *a)
{
    size_t len = a->n * a->width;
    for (size_t i = 0; i < len && !a->encoder; i++) a->scale[i] = (real)prior_of(a)->deviation;
    if (!a->encoder) return;
    tx_var mu, lv;
    tx_tape *t = tx_worker_here(a->workers).tape;
    tx_model_bind(a->m, t);
    a->m->ops->posterior(a->m, t, tx_leaf(t, tx_slice_rows(a->x, 0, a->n)), &mu, &lv);
    memcpy(a->mu.x, mu->v.x, len * sizeof(real));
    memcpy(a->lv.x, lv->v.x, len * sizeof(real));
    for (size_t i = 0; i < len; i++) a->scale[i] = (real)exp((double)a->lv.x[i] / 2);
}

static void draw_start(tx_anneal *a, tx_rng r)
{
    size_t k = a->width, len = a->n * k;
    (a->encoder ? tx_rng_normal : prior_of(a)->fill)(r, a->first * k, len, a->now.z);
    for (size_t i = 0; i < len && a->encoder; i++) a->now.z[i] = a->mu.x[i] + a->scale[i] * a->now.z[i];
}

/* A pass of chains first.. of rows x, `chains` a row: to their places, the start's own or the rows' exact draws. */
static void begin(tx_anneal *a, tx_rng r, size_t first, size_t n, size_t chains, const real x[], const real exact[])
{
    size_t k = a->width, halves = (n + 2 * PART - 1) / (2 * PART) * 2; /* even, for two threads */
    a->first = first, a->n = n, a->part = n <= PART ? n : (n + halves - 1) / halves;
    for (size_t i = 0; i < n; i++) memcpy(a->x.x + i * a->dim, x + (first + i) / chains * a->dim, a->dim * sizeof *x);
    set_start(a);
    if (exact)
        for (size_t i = 0; i < n; i++) memcpy(a->now.z + i * k, exact + (first + i) / chains * k, k * sizeof *x);
    else
        draw_start(a, r);
    tx_parallel(parts(a), evaluate_part, a);
    a->gradients += (double)n;
    memset(a->chance, 0, n * sizeof *a->chance);
    memset(a->weight, 0, n * sizeof *a->weight);
}

/* weight = sum_t (beta_t - beta_t-1) d(z_t-1), with a transition at t between z_t-1 and z_t (Neal 2001, eq. 11); `back`
 * meets the same terms from the other end (Grosse et al. 2015, section 3). */
static void walk(tx_anneal *a, tx_rng r, bool back, bool adapt)
{
    uint64_t number = 0;
    for (size_t k = 0; k < a->n_step; k++) {
        size_t t = back ? a->n_step - k : k + 1, at = back ? t - 1 : t;
        for (size_t i = 0; i < a->n; i++) a->weight[i] += (a->beta[t] - a->beta[t - 1]) * a->now.d[i];
        if (k + 1 == a->n_step) break;
        if (adapt) a->step[at] = at == 1 ? FIRST_STEP : a->step[at - 1];
        for (size_t moves = adapt ? adaptations(a->n_step, at) : 1; moves > 0; moves--) {
            double rate = transition(a, a->beta[at], a->step[at], tx_rng_fold(r, number++));
            if (adapt) a->step[at] *= exp(GAIN * (rate - a->c->acceptance));
        }
    }
}

/* An adapting run on n rows; the mean over them of the log-likelihood it estimates. */
static double adapt_on(tx_anneal *a, tx_rng r, size_t n, const real x[])
{
    size_t chains = pilot_chains(a, n);
    double sum = 0;
    begin(a, tx_rng_named(r, "start"), 0, n * chains, chains, x, NULL);
    walk(a, tx_rng_named(r, "chain"), false, true);
    for (size_t i = 0; i < n; i++) sum += tx_log_mean_exp(chains, a->weight + i * chains, NULL);
    return sum / (double)n;
}

void tx_anneal_choose_sigma(tx_anneal *a)
{
    const tx_anneal_config *c = a->c;
    const tx_rng r = tx_rng_named(tx_rng_root(0), "choice of sigma");
    if (!chooses(a)) return;
    size_t n = tx_rows_asked(a->v, TX_VALID, (size_t)c->n_valid);
    real *x = tx_alloc(n * a->dim, sizeof *x);
    double best = -INFINITY;
    int chosen = 0;
    tx_view_range(a->v, TX_VALID, 0, n, x, NULL);
    plan(a, (size_t)c->n_step_sigma);
    for (int i = 0; i < c->n_sigma; i++) {
        a->o.sigma = tx_log_grid(c->sigma_min, c->sigma_max, c->n_sigma, i);
        double value = adapt_on(a, r, n, x);
        if (value > best) best = value, chosen = i;
    }
    free(x);
    a->o.sigma = tx_log_grid(c->sigma_min, c->sigma_max, c->n_sigma, chosen);
    a->edge = c->n_sigma > 1 && (chosen == 0 || chosen == c->n_sigma - 1);
    plan(a, (size_t)c->n_step);
}

void tx_anneal_simulate(tx_anneal *a, tx_rng r, size_t n, real z[], real x[])
{
    prior_of(a)->fill(tx_rng_named(r, "latent"), 0, n * a->width, z);
    tx_tape *t = tx_worker_here(a->workers).tape;
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t rows = smaller(n - i, CHUNK);
        tx_model_bind(a->m, t);
        tx_observation_sample(a->m, t, a->o, tx_rng_named(r, "observation"), i,
                              tx_leaf(t, tx_matrix(z + i * a->width, rows, a->width)),
                              tx_matrix(x + i * a->dim, rows, a->dim));
    }
}

void tx_anneal_pilot(tx_anneal *a, tx_rng r, size_t n, const real x[])
{
    if (a->n_step > 1) adapt_on(a, r, smaller(n, (size_t)a->c->n_pilot), x);
}

void tx_anneal_run(tx_anneal *a, tx_rng r, size_t n, const real x[], const real exact[], double w[], real last[])
{
    size_t chains = (size_t)a->c->n_chain, all = n * chains, moves = a->n_step - 1;
    for (size_t first = 0; first < all; first += CHUNK) {
        size_t count = smaller(all - first, CHUNK);
        begin(a, tx_rng_named(r, "start"), first, count, chains, x, exact);
        walk(a, tx_rng_named(r, "chain"), exact != NULL, false);
        memcpy(w + first, a->weight, count * sizeof *w);
        if (last) memcpy(last + first * a->width, a->now.z, count * a->width * sizeof *last);
        for (size_t i = 0; i < count && moves > 0; i++) {
            a->accepted += a->chance[i];
            a->proposed += (double)moves;
            a->least = fmin(a->least, a->chance[i] / (double)moves);
        }
    }
}

static void put(tx_estimate *e, const char *key, double value)
{
    json_object_set_new(e->settings, key, json_real(value));
}

static void describe_steps(const tx_anneal *a, tx_estimate *e)
{
    double low = INFINITY, high = 0, rate = a->accepted / a->proposed;
    for (size_t t = 1; t < a->n_step; t++) low = fmin(low, a->step[t]), high = fmax(high, a->step[t]);
    put(e, "mean_acceptance", rate);
    put(e, "least_acceptance_of_a_chain", a->least);
    put(e, "step_min", low);
    put(e, "step_max", high);
    if (rate < 0.2)
        json_object_set_new(e->settings, "warning",
                            json_string("fewer than 20 % of the proposals were accepted: the bounds are loose"));
}

static void describe_observation(const tx_anneal *a, tx_estimate *e)
{
    static const char *const of_sigma[] = {"sigma", "sigma_min", "sigma_max", "n_sigma", "n_valid", "n_step_sigma"};
    if (a->o.kind == TX_OBSERVE_NORMAL) {
        put(e, "sigma", a->o.sigma);
        snprintf(e->evaluated_model, sizeof e->evaluated_model, "G(z) + N(0, %.4g^2 I)%s", a->o.sigma,
                 a->edge ? " (at the edge of the deviations tried)" : "");
    }
    if (a->o.kind == TX_OBSERVE_BERNOULLI)
        tx_copy_text(e->evaluated_model, sizeof e->evaluated_model, "Bernoullis with means G(z)");
    for (size_t i = chooses(a) ? TX_LEN(of_sigma) : a->o.kind == TX_OBSERVE_NORMAL; i < TX_LEN(of_sigma); i++)
        json_object_del(e->settings, of_sigma[i]);
}

void tx_anneal_describe(const tx_anneal *a, tx_estimate *e)
{
    char brief[96];
    json_t *options = tx_options_json(tx_anneal_options, a->c);
    e->kind = TX_LOWER_BOUND, e->stochastic = true;
    json_object_update(e->settings, options);
    json_decref(options);
    json_object_set_new(e->settings, "start", json_string(a->encoder ? "encoder" : "prior"));
    json_object_set_new(e->settings, "n_example", json_integer((json_int_t)e->n));
    snprintf(brief, sizeof brief, "%zu step%s x %d chains", a->n_step, tx_plural((long long)a->n_step), a->c->n_chain);
    json_object_set_new(e->settings, "brief", json_string(brief));
    describe_observation(a, e);
    if (a->proposed > 0) describe_steps(a, e);
    e->gradient_evaluations = a->gradients;
}

tx_status tx_anneal_average(const tx_anneal *a, tx_split s, size_t n, const double w[], double sign, double value[],
                            double error[])
{
    size_t chains = (size_t)a->c->n_chain;
    double *signed_w = tx_alloc(chains, sizeof *signed_w);
    tx_status status = TX_OK;
    for (size_t i = 0; i < n && status == TX_OK; i++) {
        for (size_t j = 0; j < chains && status == TX_OK; j++) {
            signed_w[j] = sign * w[i * chains + j];
            if (!isfinite(signed_w[j]))
                status = tx_fail(TX_EDIVERGED, "%s: a log-weight of %s row %zu is %g", a->name, tx_split_name(s), i,
                                 w[i * chains + j]);
        }
        if (status == TX_OK) value[i] = sign * tx_log_mean_exp(chains, signed_w, error + i);
    }
    free(signed_w);
    return status;
}
