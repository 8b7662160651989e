/** Restricted Boltzmann machine: contrastive divergence (Hinton 2002), persistent chains (Tieleman 2008); p*(v) in
 * closed form, Z by annealed importance sampling (Salakhutdinov & Murray 2008). Letters: n rows, d visible units v, h
 * hidden units, W [d,h], b, c biases of v and h; sigma_i deviations of real v given h, and y = v/sigma: y = v on
 * {0,1}^D. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/conditional.h"
#include "common/model/energy.h"
#include "common/model/output.h"
#include "common/tensor/parallel.h"
#include "models/boltzmann/units.h"

enum { WEIGHTS, BIASES, CHAINS };
enum { CD, PCD };
enum { VARIANCE_FIXED, VARIANCE_LEARNT };

typedef struct rbm_config {
    int hidden, algorithm, k, chains, variance, sample_steps;
    double init, weight_cost, deviation, min_deviation;
} rbm_config;

typedef struct rbm {
    tx_param w, b, c, log_sigma, chains;
    bool real_valued, persistent;
    real *base,
        *base_scale; /* [d] units as they are in the data, independent: logits, or means and deviations; owned */
} rbm;

#define AT(field) offsetof(rbm_config, field)
static const tx_option options[] = {
    {"hidden", TX_OPT_INT, AT(hidden), "500", 1, 1000000, NULL, "hidden units", "salakhutdinov2008quantitative: 500"},
    {"algorithm", TX_OPT_CHOICE, AT(algorithm), "cd", 0, 0, "cd|pcd",
     "chains of the negative phase: cd begins at the batch, pcd goes on from the last step",
     "hinton2002training; tieleman2008training"},
    {"k", TX_OPT_INT, AT(k), "1", 1, 100000, NULL, "Gibbs sweeps of the negative phase in each step",
     "hinton2002training: 1; salakhutdinov2008quantitative: 1, 3, 25"},
    {"chains", TX_OPT_INT, AT(chains), "100", 1, 1000000, NULL, "persistent chains", "tieleman2008training: 100"},
    {"init", TX_OPT_REAL, AT(init), "0.01", 0, 10, NULL, "W starts normal with this deviation",
     "hinton2010practical, section 8"},
    {"weight_cost", TX_OPT_REAL, AT(weight_cost), "0", 0, 1e6, NULL,
     "decay of W alone, times the step size (train.weight_decay is of biases too)", "hinton2010practical, section 10"},
    {"deviation", TX_OPT_REAL, AT(deviation), "1", 1e-6, 1e6, NULL,
     "real data: sigma, or where it starts, as a multiple of each coordinate's deviation in the training split", NULL},
    {"min_deviation", TX_OPT_REAL, AT(min_deviation), "0", 0, 1, NULL,
     "real data: a coordinate's deviation below so much of the largest is taken for that", NULL},
    {"variance", TX_OPT_CHOICE, AT(variance), "fixed", 0, 0, "fixed|learnt",
     "real data: whether sigma stays or follows its gradient, as log sigma", "cho2011improved"},
    {"sample_steps", TX_OPT_INT, AT(sample_steps), "500", 1, 100000000, NULL,
     "Gibbs sweeps of a sample's chain, from independent units with the means of the data", NULL},
    {0},
};

static bool learns_variance(const tx_model *m)
{
    const rbm_config *k = m->config;
    return m->space->measure == TX_LEBESGUE && k->variance == VARIANCE_LEARNT;
}

/* Of a coordinate of the data; one that never varies has none of its own. */
static double spread(const tx_space *s, size_t j) { return s->deviation[j] > 0 ? s->deviation[j] : 1; }

static void build(tx_model *m)
{
    const rbm_config *k = m->config;
    rbm *s = m->state;
    size_t d = m->space->dim, h = (size_t)k->hidden;
    const tx_init zero = {TX_INIT_CONSTANT, 0};
    s->real_valued = m->space->measure == TX_LEBESGUE;
    s->persistent = k->algorithm == PCD;
    s->base = tx_alloc(d, sizeof *s->base), s->base_scale = tx_alloc(d, sizeof *s->base_scale);
    for (size_t j = 0; j < d; j++) s->base[j] = (real)m->space->mean[j], s->base_scale[j] = (real)spread(m->space, j);
    if (!s->real_valued) tx_output_bias(m->space, s->base);
    m->n_net = s->persistent ? 3 : 2;
    m->net[WEIGHTS] = tx_params_new("weights");
    m->net[BIASES] = tx_params_new("biases");
    s->w = tx_params_add(m->net[WEIGHTS], "w", tx_shape2(d, h), (tx_init){TX_INIT_NORMAL, (real)k->init});
    s->b = tx_params_add(m->net[BIASES], "b", tx_shape2(1, d), zero);
    s->c = tx_params_add(m->net[BIASES], "c", tx_shape2(1, h), zero);
    if (s->real_valued) s->log_sigma = tx_params_add(m->net[BIASES], "log_sigma", tx_shape2(1, d), zero);
    if (!s->persistent) return;
    m->net[CHAINS] = tx_params_new_state("chains");
    s->chains = tx_params_add(
        m->net[CHAINS], "y", tx_shape2((size_t)k->chains, d),
        (tx_init){s->real_valued ? TX_INIT_NORMAL : TX_INIT_UNIFORM, (real)(s->real_valued ? 1 : 0.5)});
}

static real *weights(const tx_model *m) { return tx_params_value(m->net[WEIGHTS], ((const rbm *)m->state)->w).x; }
static real *bias_v(const tx_model *m) { return tx_params_value(m->net[BIASES], ((const rbm *)m->state)->b).x; }
static real *bias_h(const tx_model *m) { return tx_params_value(m->net[BIASES], ((const rbm *)m->state)->c).x; }
static real *log_sigma(const tx_model *m)
{
    return tx_params_value(m->net[BIASES], ((const rbm *)m->state)->log_sigma).x;
}
static size_t n_hidden(const tx_model *m) { return (size_t)((const rbm_config *)m->config)->hidden; }

static void init(tx_model *m)
{
    const rbm_config *k = m->config;
    const rbm *s = m->state;
    const tx_space *v = m->space;
    double widest = 0;
    memcpy(bias_v(m), s->base, v->dim * sizeof(real));
    for (size_t j = 0; j < v->dim; j++) widest = fmax(widest, spread(v, j));
    for (size_t j = 0; s->real_valued && j < v->dim; j++)
        log_sigma(m)[j] = (real)log(k->deviation * fmax(spread(v, j), k->min_deviation * widest));
    if (!s->persistent) return;
    tx_tensor y = tx_params_value(m->net[CHAINS], s->chains);
    for (size_t i = 0; i < tx_len(y); i++) {
        size_t j = i % v->dim;
        if (s->real_valued)
            y.x[i] = (real)((v->mean[j] + spread(v, j) * (double)y.x[i]) / exp((double)log_sigma(m)[j]));
        else
            y.x[i] = (double)y.x[i] + 0.5 < v->mean[j];
    }
}

static void destroy(tx_model *m) { free(((rbm *)m->state)->base), free(((rbm *)m->state)->base_scale); }

static real *take(tx_tape *t, size_t n) { return tx_arena_alloc(tx_tape_arena(t), n * sizeof(real)); }

/* ---- conditionals: hidden units given y, y given hidden units ---- */

static uint32_t *room_of_ones(const tx_model *m, tx_tape *t, size_t n)
{
    if (((const rbm *)m->state)->real_valued) return NULL;
    return tx_arena_alloc(tx_tape_arena(t), tx_ones_room(n, m->space->dim) * sizeof(uint32_t));
}

/* p(h_j = 1 | y) = sigmoid(c + y W)_j; returns the ones of y, or none where y is real. */
static tx_ones hidden_means(const tx_model *m, size_t n, const real *y, uint32_t *memory, real *p)
{
    size_t d = m->space->dim, h = n_hidden(m);
    tx_ones o = memory ? tx_ones_of(n, d, y, memory) : (tx_ones){0};
    if (tx_ones_pay(&o, d, h)) {
        tx_ones_sum(&o, weights(m), d, h, bias_h(m), p);
        tx_vec_act(TX_SIGMOID, n * h, p, p);
    } else {
        tx_dense_forward(n, d, h, y, weights(m), bias_h(m), TX_SIGMOID, p);
    }
    return o;
}

/* b/sigma, the mean of y where no hidden unit is on. */
static const real *resting(const tx_model *m, tx_tape *t)
{
    if (!((const rbm *)m->state)->real_valued) return bias_v(m);
    size_t d = m->space->dim;
    real *rest = take(t, d);
    tx_vec_affine(d, -1, log_sigma(m), 0, rest);
    tx_vec_exp(d, rest, rest);
    tx_vec_mul(d, rest, bias_v(m), rest);
    return rest;
}

/* E[y | h] = sigmoid(b + h W') or b/sigma + h W'. */
static void visible_means(const tx_model *m, size_t n, const real *h, const real *rest, real *mean)
{
    tx_act act = ((const rbm *)m->state)->real_valued ? TX_LINEAR : TX_SIGMOID;
    tx_dense_transposed(n, n_hidden(m), m->space->dim, 1, h, weights(m), rest, act, mean);
}

/* y of rows first .. first + n - 1; `mean` may be y. */
static void draw_visible(const tx_model *m, tx_rng r, uint64_t first, size_t n, const real *mean, real *y)
{
    enum { PIECE = 1024 };
    size_t d = m->space->dim, len = n * d;
    real noise[PIECE];
    if (!((const rbm *)m->state)->real_valued) {
        tx_rng_bernoulli(r, first * d, len, mean, y);
        return;
    }
    for (size_t i = 0; i < len; i += PIECE) {
        size_t piece = len - i < PIECE ? len - i : PIECE;
        tx_rng_normal(r, first * d + i, piece, noise);
        tx_vec_add(piece, mean + i, noise, y + i);
    }
}

static void draw_hidden(const tx_model *m, tx_rng r, uint64_t first, size_t n, const real *p, real *h)
{
    tx_rng_bernoulli(r, first * n_hidden(m), n * n_hidden(m), p, h);
}

/* v = sigma y, and back. */
static void scale_rows(const tx_model *m, tx_tape *t, real sign, size_t n, const real *from, real *to)
{
    size_t d = m->space->dim;
    if (!((const rbm *)m->state)->real_valued) {
        if (from != to) memcpy(to, from, n * d * sizeof *to);
        return;
    }
    real *scale = take(t, d);
    tx_vec_affine(d, sign, log_sigma(m), 0, scale);
    tx_vec_exp(d, scale, scale);
    tx_mat_mul_row(n, d, from, scale, to);
}

/* ---- training ---- */

/* Both phases below one another: rows 0 .. n-1 are the batch, the others the chains. */
typedef struct phases {
    size_t n, m;
    real *y, *p; /* [n+m,d]; [n+m,h], p(h | y) */
    const real *rest;
    tx_ones ones[2];       /* of batch and chains */
    double reconstruction; /* squared error of the batch's first sweep, a row */
} phases;

/* k Gibbs sweeps from p(h | y) in the rows `from` of p: the chains end in y, p. The first from the batch measures the
 * reconstruction. */
static void negative_phase(tx_model *m, tx_step *s, int k, size_t from, phases *q)
{
    size_t d = m->space->dim, h = n_hidden(m);
    uint32_t *room = room_of_ones(m, s->tape, q->m);
    real *unit = take(s->tape, q->m * h), *y = q->y + q->n * d, *p = q->p + q->n * h;
    const real *start = q->p + from * h;
    for (int i = 0; i < k; i++) {
        tx_rng r = tx_rng_fold(s->rng, (uint64_t)i);
        draw_hidden(m, tx_rng_named(r, "hidden"), 0, q->m, i ? p : start, unit);
        visible_means(m, q->m, unit, q->rest, y);
        if (i == 0 && from == 0) q->reconstruction = tx_squared_error(s->tape, q->m * d, y, q->y) / (double)q->m;
        draw_visible(m, tx_rng_named(r, "visible"), 0, q->m, y, y);
        q->ones[1] = hidden_means(m, q->m, y, room, p);
    }
}

/* p *= -1/n for the batch, 1/m for the chains: then y' p is the gradient that is descended. */
static void weigh(const phases *q, size_t h)
{
    tx_vec_affine(q->n * h, (real)(-1 / (double)q->n), q->p, 0, q->p);
    tx_vec_affine(q->m * h, (real)(1 / (double)q->m), q->p + q->n * h, 0, q->p + q->n * h);
}

/* Of log p*: d/db = (y - b/sigma)/sigma, d/dlog sigma = (y - b/sigma)^2 - y (h W'), with weighed p. */
static void real_gradients(tx_model *m, tx_tape *t, const phases *q, real *gb, real *gs)
{
    size_t d = m->space->dim, h = n_hidden(m), rows = q->n + q->m;
    bool learnt = learns_variance(m);
    real *back = take(t, rows * d);
    if (learnt) tx_gemm(false, true, rows, d, h, 1, q->p, h, weights(m), h, 0, back, d);
    for (size_t j = 0; j < d; j++) {
        double sum = 0, scale = exp(-(double)log_sigma(m)[j]);
        for (size_t i = 0; learnt && i < rows; i++) {
            double share = i < q->n ? -1 / (double)q->n : 1 / (double)q->m, y = (double)q->y[i * d + j];
            double e = y - (double)q->rest[j];
            sum += share * e * e - y * (double)back[i * d + j];
        }
        gs[j] = (real)sum;
        gb[j] = (real)((double)gb[j] * scale);
    }
}

static bool descend(tx_model *m, tx_step *s, const phases *q)
{
    const rbm *k = m->state;
    const rbm_config *c = m->config;
    tx_tape *t = s->tape;
    size_t d = m->space->dim, h = n_hidden(m), rows = q->n + q->m;
    tx_tensor gb = tx_tape_tensor(t, 1, d), gc = tx_tape_tensor(t, 1, h), gs = tx_tape_tensor(t, 1, d);
    real *share = take(t, rows);
    for (size_t i = 0; i < rows; i++) share[i] = (real)(i < q->n ? -1 / (double)q->n : 1 / (double)q->m);
    tx_gemm(false, false, 1, d, rows, 1, share, rows, q->y, d, 0, gb.x, d);
    tx_mat_sum_cols(rows, h, q->p, gc.x);
    if (k->real_valued) real_gradients(m, t, q, gb.x, gs.x);
    tx_var p = tx_leaf(t, tx_matrix(q->p, rows, h)), gw;
    if (tx_ones_pay(&q->ones[0], d, h) && tx_ones_pay(&q->ones[1], d, h))
        gw = tx_ones_statistics(t, &q->ones[0], &q->ones[1], d, p);
    else
        gw = tx_statistics(t, tx_leaf(t, tx_matrix(q->y, rows, d)), p);
    tx_var of_biases[] = {tx_leaf(t, gb), tx_leaf(t, gc), k->real_valued ? tx_leaf(t, gs) : NULL};
    real *sigma = k->real_valued && !learns_variance(m) ? memcpy(take(t, d), log_sigma(m), d * sizeof *sigma) : NULL;
    bool fine = tx_optim_step(m->optim[BIASES], m->net[BIASES], t, of_biases, s->rate, s->clip_norm, s->weight_decay);
    if (sigma) memcpy(log_sigma(m), sigma, d * sizeof *sigma); /* a decay of biases is none of it */
    return tx_optim_step(m->optim[WEIGHTS], m->net[WEIGHTS], t, &gw, s->rate, s->clip_norm,
                         s->weight_decay + c->weight_cost) &&
           fine;
}

/* log p*(v) of rows, from y. */
static void log_unnormalised_rows(const tx_model *m, tx_tape *t, const real *rest, size_t n, const real *y,
                                  double value[])
{
    const rbm *s = m->state;
    size_t d = m->space->dim, h = n_hidden(m);
    tx_mark mark = tx_arena_mark(tx_tape_arena(t));
    real *a = take(t, n * h), *sum = take(t, n);
    tx_dense_forward(n, d, h, y, weights(m), bias_h(m), TX_SOFTPLUS, a);
    tx_mat_sum_rows(n, h, a, sum);
    for (size_t i = 0; i < n; i++) {
        const real *row = y + i * d;
        value[i] = (double)sum[i] +
                   (s->real_valued ? -0.5 * tx_squared_error(t, d, row, rest) : tx_vec_dot(d, row, rest));
    }
    tx_arena_release(tx_tape_arena(t), mark);
}

/* Free energy of the chains less that of the batch, which the gradient closes. */
static double gap(const tx_model *m, tx_tape *t, const phases *q)
{
    size_t rows = q->n + q->m;
    double *value = tx_arena_alloc(tx_tape_arena(t), rows * sizeof *value), sum = 0;
    log_unnormalised_rows(m, t, q->rest, rows, q->y, value);
    for (size_t i = 0; i < rows; i++) sum += i < q->n ? value[i] / (double)q->n : -value[i] / (double)q->m;
    return sum;
}

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    const rbm_config *c = m->config;
    const rbm *k = m->state;
    tx_tape *t = s->tape;
    size_t d = m->space->dim, h = n_hidden(m), n = tx_rows(x);
    tx_tensor chain = k->persistent ? tx_params_value(m->net[CHAINS], k->chains) : tx_matrix(NULL, 0, d);
    if (!tx_vec_finite(tx_len(chain), chain.x))
        return tx_fail(TX_EDIVERGED, "step %llu: a chain's sample is not finite", (unsigned long long)s->number + 1);
    phases q = {.n = n, .m = k->persistent ? tx_rows(chain) : n, .rest = resting(m, t)};
    q.y = take(t, (q.n + q.m) * d), q.p = take(t, (q.n + q.m) * h);
    scale_rows(m, t, -1, n, x.x, q.y);
    q.ones[0] = hidden_means(m, n, q.y, room_of_ones(m, t, n), q.p);
    if (k->persistent) hidden_means(m, q.m, chain.x, room_of_ones(m, t, q.m), q.p + n * h);
    negative_phase(m, s, c->k, k->persistent ? n : 0, &q);
    if (k->persistent) memcpy(chain.x, q.y + n * d, q.m * d * sizeof *q.y);
    out->n = 1;
    out->m[0].name = "objective";
    out->m[0].value = k->persistent ? gap(m, t, &q) : q.reconstruction;
    if (!isfinite(out->m[0].value))
        return tx_fail(TX_EDIVERGED, "step %llu: the objective (%s) is not finite", (unsigned long long)s->number + 1,
                       k->persistent ? "free energy of chains less the batch's" : "reconstruction error");
    weigh(&q, h);
    if (!descend(m, s, &q))
        return tx_fail(TX_EDIVERGED, "step %llu: a gradient is not finite, or a weight after it",
                       (unsigned long long)s->number + 1);
    return TX_OK;
}

/* ---- the density up to Z ---- */

/* log p*(v) = b v + sum_j softplus(c + v W)_j, or - |y - b/sigma|^2/2 + sum_j softplus(c + y W)_j */
static tx_var log_unnormalised(tx_model *m, tx_tape *t, tx_var x)
{
    const rbm *s = m->state;
    tx_var b = tx_params_var(m->net[BIASES], s->b), c = tx_params_var(m->net[BIASES], s->c);
    tx_var w = tx_params_var(m->net[WEIGHTS], s->w), y = x, own;
    if (s->real_valued) {
        size_t n = tx_rows(x->v);
        tx_var scale = tx_exp(t, tx_scale(t, tx_params_var(m->net[BIASES], s->log_sigma), -1));
        y = tx_mul(t, x, tx_repeat_rows(t, scale, n));
        tx_var e = tx_sub(t, y, tx_repeat_rows(t, tx_mul(t, scale, b), n));
        own = tx_scale(t, tx_sum_rows(t, tx_mul(t, e, e)), (real)-0.5);
    } else {
        own = tx_matmul(t, x, false, b, true);
    }
    return tx_add(t, own, tx_sum_rows(t, tx_dense(t, y, w, c, TX_SOFTPLUS)));
}

static double log_volume(const tx_model *m) /* of dv/dy */
{
    double sum = 0;
    for (size_t j = 0; ((const rbm *)m->state)->real_valued && j < m->space->dim; j++) sum += (double)log_sigma(m)[j];
    return sum;
}

/* log sum over v of exp(-E(v, h)): with a = h W', c h + sum_i softplus(b + a)_i, or c h + (b/sigma) a + |a|^2/2 + (d/2)
 * log 2 pi. */
typedef struct over_hidden {
    tx_model *m;
    tx_tape *t;
    const real *rest;
} over_hidden;

static void weight_of_hidden(void *ctx, size_t n, const real *unit, double value[])
{
    const over_hidden *q = ctx;
    tx_model *m = q->m;
    size_t d = m->space->dim, h = n_hidden(m);
    bool real_valued = ((const rbm *)m->state)->real_valued;
    tx_mark mark = tx_arena_mark(tx_tape_arena(q->t));
    real *a = take(q->t, n * d), *sum = take(q->t, n);
    tx_dense_transposed(n, h, d, 1, unit, weights(m), real_valued ? NULL : q->rest,
                        real_valued ? TX_LINEAR : TX_SOFTPLUS, a);
    tx_mat_sum_rows(n, d, a, sum);
    for (size_t i = 0; i < n; i++) {
        const real *row = a + i * d;
        value[i] = tx_vec_dot(h, unit + i * h, bias_h(m));
        value[i] += real_valued
                        ? tx_vec_dot(d, row, q->rest) + 0.5 * tx_vec_dot(d, row, row) + (double)d * 0.5 * log(2 * M_PI)
                        : (double)sum[i];
    }
    tx_arena_release(tx_tape_arena(q->t), mark);
}

static void weight_of_visible(void *ctx, size_t n, const real *unit, double value[])
{
    const over_hidden *q = ctx;
    log_unnormalised_rows(q->m, q->t, q->rest, n, unit, value);
}

static tx_status enumerate(tx_model *m, tx_tape *t, double *log_z, tx_rng r, uint64_t first, tx_tensor state)
{
    size_t d = m->space->dim, h = n_hidden(m), n = state.shape.rank ? tx_rows(state) : 0;
    bool by_visible = !((const rbm *)m->state)->real_valued && d < h;
    over_hidden q = {m, t, resting(m, t)};
    size_t units = by_visible ? d : h;
    if (units > TX_ENUMERATE_UNITS)
        return tx_fail(TX_ECONFIG, "rbm: %zu %s units are too many to be enumerated, at most %d", units,
                       by_visible ? "visible" : "hidden", TX_ENUMERATE_UNITS);
    real *drawn = by_visible ? state.x : take(t, n * h);
    *log_z = tx_sum_states(t, units, by_visible ? weight_of_visible : weight_of_hidden, &q, tx_rng_named(r, "states"),
                           first, n, drawn);
    *log_z += log_volume(m);
    if (n == 0 || by_visible) return TX_OK;
    visible_means(m, n, drawn, q.rest, state.x);
    draw_visible(m, tx_rng_named(r, "visible"), first, n, state.x, state.x);
    return TX_OK;
}

/* ---- the annealed path, over y:
 *
 *      f_beta(y) = base(y)^(1 - beta) own(y)^beta prod_j (1 + exp(beta (c + y W)_j))
 *
 * where own(y) = exp(b v) or exp(-|y - b/sigma|^2/2), and base(y) is the same with the data's means and deviations. One
 * transition draws h and then y: leaving h out, it is reversible. ---- */

static size_t width(const tx_model *m) { return m->space->dim; }

/* 2^h times the sum over v of the base. */
static double log_base(tx_model *m)
{
    const rbm *s = m->state;
    double sum = (double)n_hidden(m) * log(2);
    for (size_t j = 0; j < m->space->dim; j++) {
        double a = (double)s->base[j];
        sum += s->real_valued ? 0.5 * log(2 * M_PI) + log((double)s->base_scale[j]) : fmax(a, 0) + log1p(exp(-fabs(a)));
    }
    return sum;
}

/* Of one coordinate, in y. */
typedef struct base {
    double mean, precision;
} base;

static base base_of(const tx_model *m, size_t j)
{
    const rbm *s = m->state;
    if (!s->real_valued) return (base){(double)s->base[j], 1};
    double sigma = exp((double)log_sigma(m)[j]);
    return (base){(double)s->base[j] / sigma, pow(sigma / (double)s->base_scale[j], 2)};
}

static void draw_base(tx_model *m, tx_rng r, uint64_t first, tx_tensor state)
{
    const rbm *s = m->state;
    size_t d = m->space->dim, n = tx_rows(state);
    real *mean = tx_alloc(2 * d, sizeof *mean), *scale = mean + d;
    for (size_t j = 0; j < d; j++) {
        base q = base_of(m, j);
        mean[j] = (real)q.mean, scale[j] = (real)pow(q.precision, -0.5);
    }
    if (s->real_valued) {
        tx_rng_normal(r, first * d, n * d, state.x);
        tx_mat_mul_row(n, d, state.x, scale, state.x);
        tx_mat_add_row(n, d, state.x, mean, state.x);
    } else {
        tx_vec_act(TX_SIGMOID, d, mean, mean);
        for (size_t i = 0; i < n; i++) tx_rng_bernoulli(r, (first + i) * d, d, mean, state.x + i * d);
    }
    free(mean);
}

/* What one temperature makes of the base and the own factor of y. */
typedef struct mix {
    real *tilt;        /* [d] binary y: log own(y) - log base(y) = tilt y; else NULL */
    const real *rest;  /* [d] */
    real *mean, *root; /* [d] real y: of the base, in y, and of its precision; else NULL */
    real *drive;       /* [d] what is added to beta (h W') */
    real *deviation;   /* [d] of y given h where it is real, else NULL */
} mix;

static mix begin_mix(tx_model *m, tx_tape *t, double beta)
{
    size_t d = m->space->dim;
    bool real_valued = ((const rbm *)m->state)->real_valued;
    mix q = {.rest = resting(m, t), .drive = take(t, d)};
    if (real_valued)
        q.mean = take(t, d), q.root = take(t, d), q.deviation = take(t, d);
    else
        q.tilt = take(t, d);
    for (size_t j = 0; j < d; j++) {
        base b = base_of(m, j);
        double own = (double)q.rest[j], pull = b.precision * b.mean;
        q.drive[j] = (real)((1 - beta) * pull + beta * own);
        if (!real_valued) {
            q.tilt[j] = (real)(own - pull);
            continue;
        }
        q.mean[j] = (real)b.mean, q.root[j] = (real)sqrt(b.precision);
        q.deviation[j] = (real)(1 / sqrt((1 - beta) * b.precision + beta));
    }
    return q;
}

/* log own(y) - log base(y); `scratch` [d]. Squares of differences: as a polynomial in y it would lose means that are
 * many deviations from 0. */
static double own_less_base(tx_tape *t, size_t d, const mix *q, const real *y, real *scratch)
{
    if (q->tilt) return tx_vec_dot(d, y, q->tilt);
    tx_vec_sub(d, y, q->mean, scratch);
    tx_vec_mul(d, scratch, q->root, scratch);
    return 0.5 * (tx_vec_dot(d, scratch, scratch) - tx_squared_error(t, d, y, q->rest));
}

/* y | h = N(deviation^2 (drive + beta h W'), deviation^2), or Bernoullis with these logits. */
static void draw_tempered(tx_model *m, tx_rng r, uint64_t first, double beta, const mix *q, size_t n, const real *unit,
                          real *y)
{
    size_t d = m->space->dim;
    tx_dense_transposed(n, n_hidden(m), d, (real)beta, unit, weights(m), q->drive,
                        q->deviation ? TX_LINEAR : TX_SIGMOID, y);
    if (q->deviation) tx_mat_mul_row(n, d, y, q->deviation, y);
    draw_visible(m, r, first, n, y, y);
    if (q->deviation) tx_mat_mul_row(n, d, y, q->deviation, y);
}

static void anneal(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, double from, double to, bool move,
                   tx_tensor state, double w[])
{
    size_t n = tx_rows(state), d = m->space->dim, h = n_hidden(m);
    mix q = begin_mix(m, t, to);
    real *a = take(t, n * h), *unit = take(t, n * h), *scratch = take(t, d);
    double *gain = tx_arena_alloc(tx_tape_arena(t), n * sizeof *gain);
    tx_dense_forward(n, d, h, state.x, weights(m), bias_h(m), TX_LINEAR, a);
    tx_softplus_gain(t, n, h, a, NULL, from, to, gain);
    for (size_t i = 0; i < n; i++) w[i] += gain[i] + (to - from) * own_less_base(t, d, &q, state.x + i * d, scratch);
    if (!move) return;
    tx_vec_affine(n * h, (real)to, a, 0, a);
    tx_vec_act(TX_SIGMOID, n * h, a, a);
    draw_hidden(m, tx_rng_named(r, "hidden"), first, n, a, unit);
    draw_tempered(m, tx_rng_named(r, "visible"), first, to, &q, n, unit, state.x);
}

static void state_of(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, tx_tensor state)
{
    (void)r, (void)first;
    scale_rows(m, t, -1, tx_rows(x), x.x, state.x);
}

/* ---- samples ---- */

typedef struct chains {
    tx_model *m;
    tx_rng r;
    uint64_t first;
    bool mean; /* of the last y given its h, in place of a draw */
    tx_tensor x;
    const real *rest;
    real *p, *unit; /* [n,h] */
    uint32_t *room; /* for the ones of each part, or NULL */
} chains;

enum { PART = 50 /* chains that one thread moves */ };

static void run_part(void *ctx, size_t part)
{
    const chains *q = ctx;
    tx_model *m = q->m;
    size_t d = m->space->dim, h = n_hidden(m), from = part * PART, n = tx_rows(q->x) - from;
    int steps = ((const rbm_config *)m->config)->sample_steps;
    uint64_t first = q->first + from;
    real *y = q->x.x + from * d, *p = q->p + from * h, *unit = q->unit + from * h;
    uint32_t *room = q->room ? q->room + part * tx_ones_room(PART, d) : NULL;
    if (n > PART) n = PART;
    for (int i = 0; i < steps; i++) {
        tx_rng r = tx_rng_fold(q->r, (uint64_t)i);
        hidden_means(m, n, y, room, p);
        draw_hidden(m, tx_rng_named(r, "hidden"), first, n, p, unit);
        visible_means(m, n, unit, q->rest, y);
        if (!q->mean || i + 1 < steps) draw_visible(m, tx_rng_named(r, "visible"), first, n, y, y);
    }
}

static void run_chains(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, bool mean, tx_tensor x)
{
    size_t n = tx_rows(x), h = n_hidden(m);
    chains q = {m, r, first, mean, x, resting(m, t), take(t, n * h), take(t, n * h), NULL};
    q.room = room_of_ones(m, t, (n + PART - 1) / PART * (PART + 1));
    draw_base(m, tx_rng_named(r, "base"), first, x);
    tx_parallel((n + PART - 1) / PART, run_part, &q);
    scale_rows(m, t, 1, n, x.x, x.x);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    run_chains(m, t, r, first, false, x);
}
static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    run_chains(m, t, r, first, true, x);
}
static double sequential_steps(const tx_model *m) { return ((const rbm_config *)m->config)->sample_steps; }

static const tx_energy energy = {
    .log_unnormalised = log_unnormalised,
    .enumerate = enumerate,
    .width = width,
    .log_base = log_base,
    .draw_base = draw_base,
    .anneal = anneal,
    .state_of = state_of,
};

/* ---- missing units: h given all visible ones, then the missing ones given h ---- */

static void move_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    size_t n = tx_rows(x), d = tx_cols(x), h = n_hidden(m);
    real *y = take(t, n * d), *unit = take(t, n * h);
    scale_rows(m, t, -1, n, x.x, y);
    hidden_means(m, n, y, NULL, unit);
    draw_hidden(m, tx_rng_named(r, "hidden"), first, n, unit, unit);
    visible_means(m, n, unit, resting(m, t), y);
    draw_visible(m, tx_rng_named(r, "visible"), first, n, y, y);
    scale_rows(m, t, 1, n, y, y);
    tx_missing_copy(missing, tx_matrix(y, n, d), x);
}

static const tx_conditional conditional = {.move = move_missing};

const tx_model_ops tx_model_rbm = {
    .name = "rbm",
    .summary = "restricted Boltzmann machine by contrastive divergence or persistent chains",
    .citation = "hinton2002training",
    .taxonomy_path = "explicit/approximate/markov_chain",
    .spaces = TX_ON_BINARY | TX_ON_REAL,
    .state_size = sizeof(rbm),
    .config_size = sizeof(rbm_config),
    .options = options,
    .toys = "[{hidden: 4, sample_steps: 50}, {hidden: 5, algorithm: pcd, chains: 7, k: 2, weight_cost: 0.01, variance: "
            "learnt, "
            "deviation: 0.5, sample_steps: 50}]",
    .build = build,
    .init = init,
    .destroy = destroy,
    .energy = &energy,
    .conditional = &conditional,
    .sample = sample,
    .sample_mean = sample_mean,
    .sequential_steps = sequential_steps,
    .train_step = train_step,
};
