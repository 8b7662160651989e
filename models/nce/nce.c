/** Noise-contrastive estimation: an unnormalised density and its constant, learnt by telling data from noise of known
 *  density. Gutmann & Hyvarinen 2010 (gutmann2010noise), 2012. Letters: x data, y noise, nu noise samples a datum, f
 * the log of the unnormalised density, c = - log Z, p_n the noise, G(u) = f(u) + c - log p_n(u). */
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/energy.h"
#include "common/model/latent.h"
#include "common/model/output.h"

enum { ENERGY, NOISE };
enum { FORM_MLP, FORM_QUADRATIC, FORM_ICA };
enum { BLOCK = 4096 }; /* states enumerated at a time */

typedef struct nce_config {
    int energy, activation, noise_ratio, sample_steps;
    double noise_scale, step_size;
    tx_ints hidden;
} nce_config;
typedef struct form form;
typedef struct nce {
    const form *form;
    tx_mlp net;
    tx_param location, scale, w, c, mean, log_variance;
} nce;

#define AT(field) offsetof(nce_config, field)
static const tx_option options[] = {
    {"energy", TX_OPT_CHOICE, AT(energy), "mlp", 0, 0, "mlp|quadratic|ica",
     "form of log p*: a perceptron (on reals inside a Gaussian envelope), quadratic, independent components of a "
     "linear "
     "map",
     "quadratic and ica: gutmann2010noise, section 3"},
    {"hidden", TX_OPT_INTS, AT(hidden), "[100]", 1, 65536, NULL, "units of each hidden layer of energy: mlp", NULL},
    {"activation", TX_OPT_CHOICE, AT(activation), "tanh", 0, 0, TX_ACT_CHOICES, "of hidden layers", NULL},
    {"noise_ratio", TX_OPT_INT, AT(noise_ratio), "10", 1, 10000, NULL, "noise samples a datum, nu",
     "gutmann2010noise, section 2.3"},
    {"noise_scale", TX_OPT_REAL, AT(noise_scale), "1", 1e-6, 1e6, NULL,
     "deviations of Gaussian noise, in those of the training split", NULL},
    {"sample_steps", TX_OPT_INT, AT(sample_steps), "10", 1, 1000000, NULL,
     "steps of a sample's chain from the noise: Gibbs sweeps on bits, Langevin steps with rejection on reals", NULL},
    {"step_size", TX_OPT_REAL, AT(step_size), "0.5", 1e-9, 1e6, NULL,
     "of a Langevin step, in deviations of the training split", NULL},
    {0},
};

static tx_var var(tx_model *m, int net, tx_param p) { return tx_params_var(m->net[net], p); }
static tx_tensor value(const tx_model *m, int net, tx_param p) { return tx_params_value(m->net[net], p); }
static bool bits(const tx_model *m) { return m->space->measure == TX_COUNTING; }
static double spread(const tx_model *m, size_t j) { return fmax(m->space->deviation[j], 1e-3); }

/* ---- forms of f; b is `location`. Each starts as the noise would be at noise_scale 1, or next to it. ---- */

struct form {
    void (*build)(tx_model *m);
    void (*init)(tx_model *m);
    tx_var (*f)(tx_model *m, tx_tape *t, tx_var x);
    /* log Z on reals; NULL: not in closed form. */
    double (*log_z)(const tx_model *m);
};

static tx_param matrix(tx_model *m, const char *name)
{
    return tx_params_add(m->net[ENERGY], name, tx_shape2(m->space->dim, m->space->dim), (tx_init){TX_INIT_CONSTANT, 0});
}

static tx_var centred(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var b = var(m, ENERGY, ((nce *)m->state)->location);
    return tx_add_row(t, x, tx_scale(t, b, -1));
}

static tx_var linear(tx_model *m, tx_tape *t, tx_var x)
{
    return tx_matmul(t, x, false, var(m, ENERGY, ((nce *)m->state)->location), true);
}

static void diagonal(tx_model *m, double scale)
{
    real *w = value(m, ENERGY, ((nce *)m->state)->w).x;
    for (size_t j = 0; j < m->space->dim; j++) w[j * (m->space->dim + 1)] = (real)(scale / spread(m, j));
}

static double log_det(const tx_model *m)
{
    tx_tensor w = value(m, ENERGY, ((const nce *)m->state)->w);
    size_t d = m->space->dim;
    gsl_matrix *a = gsl_matrix_alloc(d, d);
    gsl_permutation *p = gsl_permutation_alloc(d);
    int sign;
    for (size_t i = 0; i < d * d; i++) a->data[i / d * a->tda + i % d] = (double)w.x[i];
    gsl_linalg_LU_decomp(a, p, &sign);
    double value_ = gsl_linalg_LU_lndet(a);
    gsl_matrix_free(a), gsl_permutation_free(p);
    return value_;
}

/* f = g(x) + b x' on bits, g(x) - |(x - b) exp(scale)|^2/2 on reals; g a perceptron. */
static void mlp_build(tx_model *m)
{
    const nce_config *c = m->config;
    nce *s = m->state;
    s->net = tx_mlp_add(m->net[ENERGY], "layer", m->space->dim, &c->hidden, 1, tx_act_of_choice(c->activation),
                        TX_LINEAR);
    if (!bits(m))
        s->scale = tx_params_add(m->net[ENERGY], "log_scale", tx_shape2(1, m->space->dim),
                                 (tx_init){TX_INIT_CONSTANT, 0});
}
static void mlp_init(tx_model *m)
{
    for (size_t j = 0; j < m->space->dim && !bits(m); j++)
        value(m, ENERGY, ((nce *)m->state)->scale).x[j] = (real)-log(spread(m, j));
}
static tx_var mlp_f(tx_model *m, tx_tape *t, tx_var x)
{
    nce *s = m->state;
    tx_var g = tx_mlp_apply(t, m->net[ENERGY], &s->net, x);
    if (bits(m)) return tx_add(t, g, linear(m, t, x));
    tx_var z = tx_mul_row(t, centred(m, t, x), tx_exp(t, var(m, ENERGY, s->scale)));
    return tx_sub(t, g, tx_scale(t, tx_sum_rows(t, tx_mul(t, z, z)), (real)0.5));
}

/* f = x W x' + b x' on bits, -|(x - b) W|^2/2 on reals. */
static void quadratic_build(tx_model *m) { ((nce *)m->state)->w = matrix(m, "w"); }
static void quadratic_init(tx_model *m)
{
    if (!bits(m)) diagonal(m, 1);
}
static tx_var quadratic_f(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var w = var(m, ENERGY, ((nce *)m->state)->w);
    if (bits(m)) return tx_add(t, tx_sum_rows(t, tx_mul(t, tx_matmul(t, x, false, w, false), x)), linear(m, t, x));
    tx_var z = tx_matmul(t, centred(m, t, x), false, w, false);
    return tx_scale(t, tx_sum_rows(t, tx_mul(t, z, z)), (real)-0.5);
}
static double quadratic_log_z(const tx_model *m) { return 0.5 * (double)m->space->dim * log(2 * M_PI) - log_det(m); }

/* f = sum_k log of the standard logistic density at ((x - b) W)_k. */
static void ica_init(tx_model *m) { diagonal(m, M_PI / sqrt(3)); }
static tx_var ica_f(tx_model *m, tx_tape *t, tx_var x)
{
    return tx_logistic_logp(t, tx_matmul(t, centred(m, t, x), false, var(m, ENERGY, ((nce *)m->state)->w), false));
}
static double ica_log_z(const tx_model *m) { return -log_det(m); }

static const form forms[] = {
    [FORM_MLP] = {mlp_build, mlp_init, mlp_f, NULL},
    [FORM_QUADRATIC] = {quadratic_build, quadratic_init, quadratic_f, quadratic_log_z},
    [FORM_ICA] = {quadratic_build, ica_init, ica_f, ica_log_z},
};

static tx_status check(const tx_model *m)
{
    const nce_config *c = m->config;
    if (c->energy == FORM_ICA && bits(m))
        return tx_fail(TX_ECONFIG, "nce: 'energy: ica' is a density on real values, but this view counts {0,1}: use "
                                   "'quadratic' or 'mlp'");
    if (c->energy == FORM_MLP && (c->hidden.n < 1 || c->hidden.n >= TX_MLP_MAX))
        return tx_fail(TX_ECONFIG, "nce: 'hidden' needs 1 to %d layers, found %d", TX_MLP_MAX - 1, c->hidden.n);
    return TX_OK;
}

static void build(tx_model *m)
{
    nce *s = m->state;
    tx_shape row = tx_shape2(1, m->space->dim);
    tx_init zero = {TX_INIT_CONSTANT, 0};
    s->form = &forms[((const nce_config *)m->config)->energy];
    m->n_net = 2;
    m->net[ENERGY] = tx_params_new("energy");
    m->net[NOISE] = tx_params_new_state("noise");
    s->location = tx_params_add(m->net[ENERGY], "b", row, zero);
    s->form->build(m);
    s->c = tx_params_add(m->net[ENERGY], "c", tx_shape2(1, 1), zero);
    s->mean = tx_params_add(m->net[NOISE], bits(m) ? "logit" : "mean", row, zero);
    if (!bits(m)) s->log_variance = tx_params_add(m->net[NOISE], "log_variance", row, zero);
}

/* Independent noise with the training split's means and deviations; c of a model that is that noise. */
static void init(tx_model *m)
{
    nce *s = m->state;
    size_t d = m->space->dim;
    real *b = value(m, ENERGY, s->location).x, *mean = value(m, NOISE, s->mean).x;
    double scale = ((const nce_config *)m->config)->noise_scale, c = 0;
    if (bits(m)) tx_output_bias(m->space, mean);
    for (size_t j = 0; j < d; j++) {
        if (!bits(m)) {
            mean[j] = (real)m->space->mean[j];
            value(m, NOISE, s->log_variance).x[j] = (real)(2 * log(scale * spread(m, j)));
        }
        b[j] = mean[j];
        c -= bits(m) ? fmax((double)b[j], 0) + log1p(exp(-fabs((double)b[j])))
                     : 0.5 * log(2 * M_PI) + log(spread(m, j));
    }
    s->form->init(m);
    value(m, ENERGY, s->c).x[0] = (real)(s->form == &forms[FORM_ICA] ? -s->form->log_z(m) : c);
}

/* ---- noise ---- */

static tx_var log_noise(tx_model *m, tx_tape *t, tx_var x)
{
    const nce *s = m->state;
    size_t n = tx_rows(x->v);
    tx_var mean = tx_repeat_rows(t, var(m, NOISE, s->mean), n);
    if (bits(m)) return tx_bernoulli_logp(t, mean, x);
    return tx_normal_logp(t, x, mean, tx_repeat_rows(t, var(m, NOISE, s->log_variance), n));
}

static void draw_noise(const tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    const nce *s = m->state;
    size_t n = tx_rows(x), d = tx_cols(x);
    const real *mean = value(m, NOISE, s->mean).x;
    real *share = tx_tape_tensor(t, 1, d).x; /* probabilities, or deviations */
    if (bits(m)) {
        tx_vec_act(TX_SIGMOID, d, mean, share);
        for (size_t i = 0; i < n; i++) tx_rng_bernoulli(r, (first + i) * d, d, share, x.x + i * d);
        return;
    }
    tx_vec_affine(d, (real)0.5, value(m, NOISE, s->log_variance).x, 0, share);
    tx_vec_exp(d, share, share);
    tx_rng_normal(r, first * d, n * d, x.x);
    tx_mat_mul_row(n, d, x.x, share, x.x);
    tx_mat_add_row(n, d, x.x, mean, x.x);
}

/* ---- training ---- */

static tx_var f(tx_model *m, tx_tape *t, tx_var x) { return ((nce *)m->state)->form->f(m, t, x); }

/* Mean of softplus(sign (G - log nu)) of rows from .. to, the log-loss of the classifier there. */
static tx_var loss_of(tx_tape *t, tx_var g, size_t from, size_t to, double sign, double log_nu, double *right)
{
    tx_var l = tx_affine(t, tx_take_rows(t, g, from, to), (real)sign, (real)(-sign * log_nu));
    *right = 0;
    for (size_t i = 0; i < to - from; i++) *right += l->v.x[i] < 0;
    *right /= (double)(to - from);
    return tx_mean(t, tx_activation(t, l, TX_SOFTPLUS));
}

/* Descends - J of section 2.3: - E log h(x) - nu E log(1 - h(y)), h = sigmoid(G - log nu). */
static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    size_t n = tx_rows(x), nu = (size_t)((const nce_config *)m->config)->noise_ratio;
    tx_tape *t = s->tape;
    tx_tensor both = tx_tape_tensor(t, n + n * nu, tx_cols(x));
    memcpy(both.x, x.x, tx_len(x) * sizeof(real));
    draw_noise(m, t, tx_rng_named(s->rng, "noise"), 0, tx_slice_rows(both, n, n + n * nu));
    tx_var u = tx_leaf(t, both), c = var(m, ENERGY, ((nce *)m->state)->c);
    tx_var g = tx_add_row(t, tx_sub(t, f(m, t, u), log_noise(m, t, u)), c);
    double data, noise, log_nu = log((double)nu);
    tx_var loss = loss_of(t, g, 0, n, -1, log_nu, &data), of_noise = loss_of(t, g, n, n + n * nu, 1, log_nu, &noise);
    loss = tx_add(t, loss, tx_scale(t, of_noise, (real)nu));
    const tx_metrics all = {4,
                            {{"objective", (double)loss->v.x[0]},
                             {"data_recognised", data},
                             {"noise_recognised", noise},
                             {"log_z", -(double)c->v.x[0]}}};
    *out = all;
    return tx_model_descend(m, s, ENERGY, loss, "the classification error");
}

/* ---- log Z: the model's own, and the truth where it can be had ---- */

static double own_log_z(tx_model *m) { return -(double)value(m, ENERGY, ((nce *)m->state)->c).x[0]; }

static tx_status enumerate(tx_model *m, tx_tape *t, double *log_z, tx_rng r, uint64_t first, tx_tensor state)
{
    (void)r, (void)first, (void)state;
    size_t d = m->space->dim;
    double sum = 0, most = -INFINITY;
    if (!bits(m)) {
        double (*of)(const tx_model *) = ((nce *)m->state)->form->log_z;
        if (!of) return tx_fail(TX_ECONFIG, "nce: log Z of 'energy: mlp' on real values has no closed form");
        *log_z = of(m);
        return TX_OK;
    }
    if (d > TX_ENUMERATE_UNITS)
        return tx_fail(TX_ECONFIG, "nce: %zu bits are too many to be enumerated, at most %d", d, TX_ENUMERATE_UNITS);
    for (size_t from = 0; from < (size_t)1 << d; from += BLOCK) {
        size_t n = ((size_t)1 << d) - from < BLOCK ? ((size_t)1 << d) - from : BLOCK;
        tx_model_bind(m, t);
        tx_tensor x = tx_tape_tensor(t, n, d);
        for (size_t i = 0; i < n * d; i++) x.x[i] = (real)((from + i / d) >> i % d & 1);
        tx_var each = f(m, t, tx_leaf(t, x));
        for (size_t i = 0; i < n; i++) {
            double v = (double)each->v.x[i];
            if (v > most) sum *= exp(most - v), most = v;
            sum += exp(v - most);
        }
    }
    *log_z = most + log(sum);
    return TX_OK;
}

static const tx_energy energy = {.log_unnormalised = f, .log_z = own_log_z, .enumerate = enumerate};

/* ---- sampling: a chain a sample, from the noise ---- */

static double uniform(tx_rng r, uint64_t i) { return tx_rng_uniform1(r, i); }

/* f of rows into now[], and, if asked for, its gradient. */
static void look(tx_model *m, tx_tape *t, tx_tensor x, double now[], real *gradient)
{
    tx_model_bind(m, t);
    tx_var u = tx_leaf(t, x), each = f(m, t, u), g;
    for (size_t i = 0; i < tx_rows(x); i++) now[i] = (double)each->v.x[i];
    if (!gradient) return;
    tx_grad(t, each, &u, 1, &g);
    memcpy(gradient, g->v.x, tx_len(x) * sizeof(real));
}

/* Each bit in turn from its conditional: flipped with probability sigmoid(f(flipped) - f). */
static void gibbs_sweep(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, double now[], double then[])
{
    size_t n = tx_rows(x), d = tx_cols(x);
    for (size_t j = 0; j < d; j++) {
        tx_rng own = tx_rng_fold(r, j);
        for (size_t i = 0; i < n; i++) x.x[i * d + j] = 1 - x.x[i * d + j];
        look(m, t, x, then, NULL);
        for (size_t i = 0; i < n; i++)
            if (uniform(own, first + i) < 1 / (1 + exp(now[i] - then[i])))
                now[i] = then[i];
            else
                x.x[i * d + j] = 1 - x.x[i * d + j];
    }
}

/* log of the proposal's density at `to`, less what does not depend on the points: x + e^2 s^2/2 grad f + e s normal. */
static double proposal(const tx_model *m, double e, const real *from, const real *gradient, const real *to)
{
    double sum = 0;
    for (size_t j = 0; j < m->space->dim; j++) {
        double s = e * spread(m, j), z = ((double)to[j] - (double)from[j]) / s - 0.5 * s * (double)gradient[j];
        sum -= 0.5 * z * z;
    }
    return sum;
}

/* One Langevin step with rejection. Of a row: x, its gradient and f; y, the same where it may go. */
typedef struct langevin {
    real *y, *gx, *gy;
    double *now, *then;
} langevin;

static void langevin_step(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, langevin *q)
{
    size_t n = tx_rows(x), d = tx_cols(x);
    double e = ((const nce_config *)m->config)->step_size;
    tx_rng_normal(tx_rng_named(r, "proposal"), first * d, n * d, q->y);
    for (size_t i = 0; i < n * d; i++) {
        double s = e * spread(m, i % d);
        q->y[i] = (real)((double)x.x[i] + 0.5 * s * s * (double)q->gx[i] + s * (double)q->y[i]);
    }
    look(m, t, tx_matrix(q->y, n, d), q->then, q->gy);
    for (size_t i = 0; i < n; i++) {
        size_t at = i * d;
        double ratio = q->then[i] - q->now[i] + proposal(m, e, q->y + at, q->gy + at, x.x + at) -
                       proposal(m, e, x.x + at, q->gx + at, q->y + at);
        if (!(log(uniform(tx_rng_named(r, "accept"), first + i)) < ratio)) continue;
        memcpy(x.x + at, q->y + at, d * sizeof(real));
        memcpy(q->gx + at, q->gy + at, d * sizeof(real));
        q->now[i] = q->then[i];
    }
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    size_t n = tx_rows(x), len = tx_len(x);
    uint64_t steps = (uint64_t)((const nce_config *)m->config)->sample_steps;
    langevin q = {.now = tx_alloc(2 * n, sizeof(double)), .y = bits(m) ? NULL : tx_alloc(3 * len, sizeof(real))};
    q.then = q.now + n;
    if (q.y) q.gx = q.y + len, q.gy = q.gx + len;
    draw_noise(m, t, tx_rng_named(r, "start"), first, x);
    look(m, t, x, q.now, q.gx);
    for (uint64_t k = 0; k < steps; k++) {
        tx_rng own = tx_rng_fold(tx_rng_named(r, "chain"), k);
        if (bits(m))
            gibbs_sweep(m, t, own, first, x, q.now, q.then);
        else
            langevin_step(m, t, own, first, x, &q);
    }
    free(q.now), free(q.y);
}

static double sequential_steps(const tx_model *m)
{
    return (double)((const nce_config *)m->config)->sample_steps * (bits(m) ? (double)m->space->dim : 1);
}

const tx_model_ops tx_model_nce = {
    .name = "nce",
    .summary = "unnormalised density and its constant by noise-contrastive estimation",
    .citation = "gutmann2010noise",
    .taxonomy_path = "explicit/approximate/noise_contrastive",
    .spaces = TX_ON_BINARY | TX_ON_REAL,
    .state_size = sizeof(nce),
    .config_size = sizeof(nce_config),
    .options = options,
    .toys = "[{hidden: [7], noise_ratio: 2}, {energy: quadratic, noise_ratio: 3, sample_steps: 4, noise_scale: 1.5}]",
    .check = check,
    .build = build,
    .init = init,
    .energy = &energy,
    .sample = sample,
    .sequential_steps = sequential_steps,
    .train_step = train_step,
};
