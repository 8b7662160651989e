/** Deep Boltzmann machine of two hidden layers (Salakhutdinov & Hinton 2009): mean field for the data, persistent
 * chains for the model; p*(v) by its variational term, Z by annealed importance sampling over the first hidden layer.
 * Letters: n rows, v [d], h1 [H1], h2 [H2]; W1 [d,H1], W2 [H1,H2]; b, c1, c2 biases; mu1, mu2 means of the factorial
 * q(h1, h2 | v). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/energy.h"
#include "common/model/output.h"
#include "common/tensor/parallel.h"
#include "models/boltzmann/units.h"

enum { WEIGHTS, BIASES, CHAINS };

typedef struct dbm_config {
    tx_ints hidden;
    int k, chains, mean_field_steps, sample_steps;
    double init, weight_cost;
} dbm_config;

/* Sizes, and views of the weights that hold while the model does. */
typedef struct dbm {
    size_t d, h1, h2;
    real *base; /* [d] logits of independent pixels as they are in the data; owned */
} dbm;

#define AT(field) offsetof(dbm_config, field)
#define PAPER     "salakhutdinov2009deep"
static const tx_option options[] = {
    {"hidden", TX_OPT_INTS, AT(hidden), "[500, 1000]", 1, 1000000, NULL, "units of the two hidden layers",
     PAPER ", section 4.1"},
    {"k", TX_OPT_INT, AT(k), "5", 1, 100000, NULL, "Gibbs sweeps of the persistent chains in each step",
     PAPER ", section 4: 5"},
    {"chains", TX_OPT_INT, AT(chains), "100", 1, 1000000, NULL, "persistent chains", PAPER ", section 4: 100"},
    {"mean_field_steps", TX_OPT_INT, AT(mean_field_steps), "10", 1, 100000, NULL,
     "updates of both layers' means, in training and in the variational term", PAPER ", section 4: 10"},
    {"init", TX_OPT_REAL, AT(init), "0.01", 0, 10, NULL, "weights start normal with this deviation",
     "hinton2010practical, section 8"},
    {"weight_cost", TX_OPT_REAL, AT(weight_cost), "0", 0, 1e6, NULL,
     "decay of weights alone, times the step size (train.weight_decay is of biases too)",
     "hinton2010practical, section 10"},
    {"sample_steps", TX_OPT_INT, AT(sample_steps), "300", 1, 100000000, NULL,
     "Gibbs sweeps of a sample's chain, from first hidden units that are on with probability 1/2", NULL},
    {0},
};

static tx_status check(const tx_model *m)
{
    const dbm_config *k = m->config;
    if (k->hidden.n == 2) return TX_OK;
    return tx_fail(TX_ECONFIG, "dbm: hidden has %d layers, two are possible", k->hidden.n);
}

static void build(tx_model *m)
{
    const dbm_config *k = m->config;
    dbm *s = m->state;
    const tx_init zero = {TX_INIT_CONSTANT, 0}, small = {TX_INIT_NORMAL, (real)k->init};
    s->d = m->space->dim, s->h1 = (size_t)k->hidden.v[0], s->h2 = (size_t)k->hidden.v[1];
    s->base = tx_alloc(s->d, sizeof *s->base);
    tx_output_bias(m->space, s->base);
    m->n_net = 3;
    m->net[WEIGHTS] = tx_params_new("weights");
    m->net[BIASES] = tx_params_new("biases");
    m->net[CHAINS] = tx_params_new_state("chains");
    tx_params_add(m->net[WEIGHTS], "w1", tx_shape2(s->d, s->h1), small);
    tx_params_add(m->net[WEIGHTS], "w2", tx_shape2(s->h1, s->h2), small);
    tx_params_add(m->net[BIASES], "b", tx_shape2(1, s->d), zero);
    tx_params_add(m->net[BIASES], "c1", tx_shape2(1, s->h1), zero);
    tx_params_add(m->net[BIASES], "c2", tx_shape2(1, s->h2), zero);
    tx_params_add(m->net[CHAINS], "h1", tx_shape2((size_t)k->chains, s->h1), (tx_init){TX_INIT_UNIFORM, 1});
}

static real *value_of(const tx_model *m, int net, int id) { return tx_params_value(m->net[net], (tx_param){id}).x; }
static real *w1(const tx_model *m) { return value_of(m, WEIGHTS, 0); }
static real *w2(const tx_model *m) { return value_of(m, WEIGHTS, 1); }
static real *bias(const tx_model *m) { return value_of(m, BIASES, 0); }
static real *c1(const tx_model *m) { return value_of(m, BIASES, 1); }
static real *c2(const tx_model *m) { return value_of(m, BIASES, 2); }

static void init(tx_model *m)
{
    const dbm *s = m->state;
    tx_tensor chain = tx_params_value(m->net[CHAINS], (tx_param){0});
    memcpy(bias(m), s->base, s->d * sizeof(real));
    for (size_t i = 0; i < tx_len(chain); i++) chain.x[i] = chain.x[i] > 0;
}

static void destroy(tx_model *m) { free(((dbm *)m->state)->base); }

static real *take(tx_tape *t, size_t n) { return tx_arena_alloc(tx_tape_arena(t), n * sizeof(real)); }

/* ---- the variational term ---- */

/* up [n,H1] = c1 + v W1, which every update of mu1 needs. */
static void bottom_up(const tx_model *m, size_t n, const real *v, real *up)
{
    const dbm *s = m->state;
    tx_dense_forward(n, s->d, s->h1, v, w1(m), c1(m), TX_LINEAR, up);
}

/* a1 = up + mu2 W2', mu1 = sigmoid(a1), mu2 = sigmoid(c2 + mu1 W2), from the bottom up with what comes from below
 * doubled. */
static void mean_field(const tx_model *m, size_t n, const real *up, real *a1, real *mu1, real *mu2)
{
    const dbm *s = m->state;
    int steps = ((const dbm_config *)m->config)->mean_field_steps;
    tx_vec_affine(n * s->h1, 2, up, 0, a1);
    for (int i = 0; i <= steps; i++) {
        if (i > 0) {
            tx_dense_transposed(n, s->h2, s->h1, 1, mu2, w2(m), NULL, TX_LINEAR, a1);
            tx_vec_add(n * s->h1, a1, up, a1);
        }
        tx_vec_act(TX_SIGMOID, n * s->h1, a1, mu1);
        tx_dense_forward(n, s->h1, s->h2, mu1, w2(m), c2(m), TX_SIGMOID, mu2);
    }
}

/* E_q(-E) + H(q) after the last update of mu2: with H(mu1) = softplus(a1) - mu1 a1,
 *
 *      b v + sum_j mu1 (up - a1) + softplus(a1) + sum_k softplus(c2 + mu1 W2)                       <= log p*(v) */
static tx_var log_unnormalised(tx_model *m, tx_tape *t, tx_var x)
{
    const dbm *s = m->state;
    size_t n = tx_rows(x->v);
    tx_tensor value = tx_tape_tensor(t, n, 1);
    real *up = take(t, n * s->h1), *a1 = take(t, n * s->h1), *mu1 = take(t, n * s->h1), *mu2 = take(t, n * s->h2);
    real *sum = take(t, n);
    bottom_up(m, n, x->v.x, up);
    mean_field(m, n, up, a1, mu1, mu2);
    tx_vec_sub(n * s->h1, up, a1, up);
    tx_vec_act(TX_SOFTPLUS, n * s->h1, a1, a1);
    tx_mat_sum_rows(n, s->h1, a1, sum);
    tx_dense_forward(n, s->h1, s->h2, mu1, w2(m), c2(m), TX_SOFTPLUS, mu2);
    tx_mat_sum_rows(n, s->h2, mu2, value.x);
    for (size_t i = 0; i < n; i++)
        value.x[i] = (real)((double)value.x[i] + (double)sum[i] + tx_vec_dot(s->h1, mu1 + i * s->h1, up + i * s->h1) +
                            tx_vec_dot(s->d, x->v.x + i * s->d, bias(m)));
    return tx_leaf(t, value);
}

/* ---- chains: h1, from which v and h2 are drawn, and from them h1 anew; at beta = 1 the model's own ---- */

/* Room for n chains. */
typedef struct sweep {
    real *v, *h2, *h1, *p1; /* [n,d], [n,H2], [n,H1]: drawn, and p(h1 | v, h2) */
} sweep;

static sweep begin_sweep(const dbm *s, tx_tape *t, size_t n)
{
    return (sweep){take(t, n * s->d), take(t, n * s->h2), take(t, n * s->h1), take(t, n * s->h1)};
}

/* p1 = sigmoid(beta (c1 + v W1 + h2 W2')), which is a logit [n,H1] before. */
static void means_of_first(const tx_model *m, size_t n, double beta, const real *v, const real *h2, real *scratch,
                           real *p1)
{
    const dbm *s = m->state;
    bottom_up(m, n, v, p1);
    tx_dense_transposed(n, s->h2, s->h1, 1, h2, w2(m), NULL, TX_LINEAR, scratch);
    tx_vec_add(n * s->h1, p1, scratch, p1);
    if (beta != 1) tx_vec_affine(n * s->h1, (real)beta, p1, 0, p1);
    tx_vec_act(TX_SIGMOID, n * s->h1, p1, p1);
}

/* v and h2 given h1, then h1; row i of noise (r, first + i). `means`: v is left at its means. */
static void move(const tx_model *m, tx_rng r, uint64_t first, size_t n, real *h1, const sweep *q, bool means)
{
    const dbm *s = m->state;
    tx_dense_transposed(n, s->h1, s->d, 1, h1, w1(m), bias(m), TX_SIGMOID, q->v);
    if (means) return;
    tx_rng_bernoulli(tx_rng_named(r, "visible"), first * s->d, n * s->d, q->v, q->v);
    tx_dense_forward(n, s->h1, s->h2, h1, w2(m), c2(m), TX_SIGMOID, q->h2);
    tx_rng_bernoulli(tx_rng_named(r, "second"), first * s->h2, n * s->h2, q->h2, q->h2);
    means_of_first(m, n, 1, q->v, q->h2, q->h1, q->p1);
    tx_rng_bernoulli(tx_rng_named(r, "first"), first * s->h1, n * s->h1, q->p1, h1);
}

/* ---- training ---- */

/* Both phases below one another, rows 0 .. n-1 the batch, the others the chains: v, means or draws of h1 and h2. */
typedef struct phases {
    size_t n, m;
    real *v, *x1, *x2;
} phases;

/* x *= -1/n for the batch, 1/m for the chains, into y. */
static void weigh(const phases *q, size_t cols, const real *x, real *y)
{
    size_t first = q->n * cols;
    tx_vec_affine(first, (real)(-1 / (double)q->n), x, 0, y);
    tx_vec_affine(q->m * cols, (real)(1 / (double)q->m), x + first, 0, y + first);
}

static bool descend(tx_model *m, tx_step *s, const phases *q)
{
    const dbm *k = m->state;
    tx_tape *t = s->tape;
    size_t rows = q->n + q->m;
    double decay = s->weight_decay + ((const dbm_config *)m->config)->weight_cost;
    tx_tensor v = tx_tape_tensor(t, rows, k->d), p1 = tx_tape_tensor(t, rows, k->h1),
              p2 = tx_tape_tensor(t, rows, k->h2);
    tx_tensor gb = tx_tape_tensor(t, 1, k->d), g1 = tx_tape_tensor(t, 1, k->h1), g2 = tx_tape_tensor(t, 1, k->h2);
    weigh(q, k->d, q->v, v.x), weigh(q, k->h1, q->x1, p1.x), weigh(q, k->h2, q->x2, p2.x);
    tx_mat_sum_cols(rows, k->d, v.x, gb.x), tx_mat_sum_cols(rows, k->h1, p1.x, g1.x),
        tx_mat_sum_cols(rows, k->h2, p2.x, g2.x);
    tx_var gw[] = {tx_statistics(t, tx_leaf(t, tx_matrix(q->v, rows, k->d)), tx_leaf(t, p1)),
                   tx_statistics(t, tx_leaf(t, tx_matrix(q->x1, rows, k->h1)), tx_leaf(t, p2))};
    tx_var gc[] = {tx_leaf(t, gb), tx_leaf(t, g1), tx_leaf(t, g2)};
    bool fine = tx_optim_step(m->optim[BIASES], m->net[BIASES], t, gc, s->rate, s->clip_norm, s->weight_decay);
    return tx_optim_step(m->optim[WEIGHTS], m->net[WEIGHTS], t, gw, s->rate, s->clip_norm, decay) && fine;
}

static double reconstruction(const tx_model *m, tx_tape *t, size_t n, const real *v, const real *mu1)
{
    const dbm *s = m->state;
    real *mean = take(t, n * s->d);
    tx_dense_transposed(n, s->h1, s->d, 1, mu1, w1(m), bias(m), TX_SIGMOID, mean);
    return tx_squared_error(t, n * s->d, mean, v) / (double)n;
}

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    const dbm *k = m->state;
    tx_tape *t = s->tape;
    tx_tensor chain = tx_params_value(m->net[CHAINS], (tx_param){0});
    phases q = {.n = tx_rows(x), .m = tx_rows(chain)};
    size_t rows = q.n + q.m;
    q.v = take(t, rows * k->d), q.x1 = take(t, rows * k->h1), q.x2 = take(t, rows * k->h2);
    if (!tx_vec_finite(tx_len(chain), chain.x))
        return tx_fail(TX_EDIVERGED, "step %llu: a chain's sample is not finite", (unsigned long long)s->number + 1);
    real *up = take(t, q.n * k->h1), *a1 = take(t, q.n * k->h1), *scratch = take(t, q.m * k->h1);
    memcpy(q.v, x.x, q.n * k->d * sizeof *q.v);
    bottom_up(m, q.n, q.v, up);
    mean_field(m, q.n, up, a1, q.x1, q.x2);
    out->n = 1;
    out->m[0].name = "objective", out->m[0].value = reconstruction(m, t, q.n, q.v, q.x1);
    if (!isfinite(out->m[0].value))
        return tx_fail(TX_EDIVERGED, "step %llu: the objective (reconstruction error) is not finite",
                       (unsigned long long)s->number + 1);
    const sweep w = {q.v + q.n * k->d, q.x2 + q.n * k->h2, scratch, q.x1 + q.n * k->h1};
    for (int i = 0; i < ((const dbm_config *)m->config)->k; i++)
        move(m, tx_rng_fold(s->rng, (uint64_t)i), 0, q.m, chain.x, &w, false);
    if (!descend(m, s, &q))
        return tx_fail(TX_EDIVERGED, "step %llu: a gradient is not finite, or a weight after it",
                       (unsigned long long)s->number + 1);
    return TX_OK;
}

/* ---- Z ---- */

typedef struct over_first {
    tx_model *m;
    tx_tape *t;
} over_first;

/* log sum over v, h2 of exp(-E) = c1 h1 + sum softplus(b + h1 W1') + sum softplus(c2 + h1 W2) */
static void weight_of_first(void *ctx, size_t n, const real *h1, double value[])
{
    const over_first *q = ctx;
    const dbm *s = q->m->state;
    tx_mark mark = tx_arena_mark(tx_tape_arena(q->t));
    real *a = take(q->t, n * s->d), *b = take(q->t, n * s->h2), *sum = take(q->t, 2 * n);
    tx_dense_transposed(n, s->h1, s->d, 1, h1, w1(q->m), bias(q->m), TX_SOFTPLUS, a);
    tx_dense_forward(n, s->h1, s->h2, h1, w2(q->m), c2(q->m), TX_SOFTPLUS, b);
    tx_mat_sum_rows(n, s->d, a, sum), tx_mat_sum_rows(n, s->h2, b, sum + n);
    for (size_t i = 0; i < n; i++)
        value[i] = (double)sum[i] + (double)sum[n + i] + tx_vec_dot(s->h1, h1 + i * s->h1, c1(q->m));
    tx_arena_release(tx_tape_arena(q->t), mark);
}

static tx_status enumerate(tx_model *m, tx_tape *t, double *log_z, tx_rng r, uint64_t first, tx_tensor state)
{
    const dbm *s = m->state;
    over_first q = {m, t};
    if (s->h1 > TX_ENUMERATE_UNITS)
        return tx_fail(TX_ECONFIG, "dbm: %zu units of the first hidden layer are too many to be enumerated, at most %d",
                       s->h1, TX_ENUMERATE_UNITS);
    *log_z = tx_sum_states(t, s->h1, weight_of_first, &q, r, first, state.shape.rank ? tx_rows(state) : 0, state.x);
    return TX_OK;
}

/* The annealed path, over h1, v and h2 summed out:
 *
 *      f_beta(h1) = exp(beta c1 h1) prod_i (1 + exp((1 - beta) base + beta (b + h1 W1'))_i) prod_k (1 + exp(beta (c2 +
 * h1 W2))_k)
 */
static size_t width(const tx_model *m) { return ((const dbm *)m->state)->h1; }

static double log_base(tx_model *m)
{
    const dbm *s = m->state;
    double sum = (double)(s->h1 + s->h2) * log(2);
    for (size_t j = 0; j < s->d; j++) sum += fmax((double)s->base[j], 0) + log1p(exp(-fabs((double)s->base[j])));
    return sum;
}

static void draw_base(tx_model *m, tx_rng r, uint64_t first, tx_tensor state)
{
    (void)m;
    tx_rng_uniform(r, first * tx_cols(state), tx_len(state), state.x);
    for (size_t i = 0; i < tx_len(state); i++) state.x[i] = state.x[i] < (real)0.5;
}

static void anneal(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, double from, double to, bool moves,
                   tx_tensor state, double w[])
{
    const dbm *s = m->state;
    size_t n = tx_rows(state);
    sweep q = begin_sweep(s, t, n);
    double *gain = tx_arena_alloc(tx_tape_arena(t), 2 * n * sizeof *gain);
    real *pull = take(t, s->d);
    tx_vec_sub(s->d, bias(m), s->base, pull);
    tx_dense_transposed(n, s->h1, s->d, 1, state.x, w1(m), pull, TX_LINEAR, q.v);
    tx_dense_forward(n, s->h1, s->h2, state.x, w2(m), c2(m), TX_LINEAR, q.h2);
    tx_softplus_gain(t, n, s->d, q.v, s->base, from, to, gain);
    tx_softplus_gain(t, n, s->h2, q.h2, NULL, from, to, gain + n);
    for (size_t i = 0; i < n; i++)
        w[i] += gain[i] + gain[n + i] + (to - from) * tx_vec_dot(s->h1, state.x + i * s->h1, c1(m));
    if (!moves) return;
    tx_vec_affine(n * s->d, (real)to, q.v, 0, q.v);
    tx_mat_add_row(n, s->d, q.v, s->base, q.v);
    tx_vec_act(TX_SIGMOID, n * s->d, q.v, q.v);
    tx_rng_bernoulli(tx_rng_named(r, "visible"), first * s->d, n * s->d, q.v, q.v);
    tx_vec_affine(n * s->h2, (real)to, q.h2, 0, q.h2);
    tx_vec_act(TX_SIGMOID, n * s->h2, q.h2, q.h2);
    tx_rng_bernoulli(tx_rng_named(r, "second"), first * s->h2, n * s->h2, q.h2, q.h2);
    means_of_first(m, n, to, q.v, q.h2, q.h1, q.p1);
    tx_rng_bernoulli(tx_rng_named(r, "first"), first * s->h1, n * s->h1, q.p1, state.x);
}

/* h1 drawn from the mean field of each row. */
static void state_of(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, tx_tensor state)
{
    const dbm *s = m->state;
    size_t n = tx_rows(x);
    real *up = take(t, n * s->h1), *a1 = take(t, n * s->h1), *mu2 = take(t, n * s->h2);
    bottom_up(m, n, x.x, up);
    mean_field(m, n, up, a1, state.x, mu2);
    tx_rng_bernoulli(r, first * s->h1, n * s->h1, state.x, state.x);
}

/* ---- samples ---- */

enum { PART = 50 /* chains that one thread moves */ };

typedef struct chains {
    tx_model *m;
    tx_rng r;
    uint64_t first;
    bool mean;
    tx_tensor h1, x;
    sweep q; /* q.v is x */
} chains;

static void run_part(void *ctx, size_t part)
{
    const chains *c = ctx;
    const dbm *s = c->m->state;
    size_t from = part * PART, n = tx_rows(c->x) - from;
    int steps = ((const dbm_config *)c->m->config)->sample_steps;
    const sweep q = {c->q.v + from * s->d, c->q.h2 + from * s->h2, c->q.h1 + from * s->h1, c->q.p1 + from * s->h1};
    if (n > PART) n = PART;
    for (int i = 0; i < steps; i++)
        move(c->m, tx_rng_fold(c->r, (uint64_t)i), c->first + from, n, c->h1.x + from * s->h1, &q,
             c->mean && i + 1 == steps);
}

static void run_chains(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, bool mean, tx_tensor x)
{
    const dbm *s = m->state;
    size_t n = tx_rows(x);
    chains c = {m, r, first, mean, tx_tape_tensor(t, n, s->h1), x, begin_sweep(s, t, n)};
    c.q.v = x.x;
    draw_base(m, tx_rng_named(r, "base"), first, c.h1);
    tx_parallel((n + PART - 1) / PART, run_part, &c);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    run_chains(m, t, r, first, false, x);
}
static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    run_chains(m, t, r, first, true, x);
}
static double sequential_steps(const tx_model *m) { return ((const dbm_config *)m->config)->sample_steps; }

static const tx_energy energy = {
    .log_unnormalised = log_unnormalised,
    .bound = true,
    .enumerate = enumerate,
    .width = width,
    .log_base = log_base,
    .draw_base = draw_base,
    .anneal = anneal,
    .state_of = state_of,
};

const tx_model_ops tx_model_dbm = {
    .name = "dbm",
    .summary = "deep Boltzmann machine of two hidden layers, by mean field and persistent chains",
    .citation = "salakhutdinov2009deep",
    .taxonomy_path = "explicit/approximate/markov_chain",
    .spaces = TX_ON_BINARY,
    .state_size = sizeof(dbm),
    .config_size = sizeof(dbm_config),
    .options = options,
    .toys = "[{hidden: [4, 3], chains: 7, sample_steps: 50}, {hidden: [3, 5], chains: 5, k: 2, mean_field_steps: 3, "
            "weight_cost: 0.01, sample_steps: 50}]",
    .check = check,
    .build = build,
    .init = init,
    .destroy = destroy,
    .energy = &energy,
    .sample = sample,
    .sample_mean = sample_mean,
    .sequential_steps = sequential_steps,
    .train_step = train_step,
};
