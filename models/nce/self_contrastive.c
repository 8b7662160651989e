/** Self-contrastive estimation: noise-contrastive estimation whose noise is the model itself, a copy frozen at each
 * step; its expected gradient is that of maximum likelihood times nu/(1 + nu). Goodfellow 2014
 * (goodfellow2014distinguishability), section 4. The model has a density and can be drawn from: a chain of conditionals
 * that are linear in the variables before them, logistic on bits, Gaussian on reals. Letters: x data, y the model's
 * draws, nu draws a datum, G(u) = log p(u) - log p'(u), p' the copy. */
#include <math.h>
#include <string.h>
#include "common/model/model.h"
#include "common/model/output.h"

typedef struct sce_config {
    int noise_ratio;
} sce_config;
typedef struct sce {
    tx_param b, w, scale;
} sce;

static const tx_option options[] = {
    {"noise_ratio", TX_OPT_INT, offsetof(sce_config, noise_ratio), "1", 1, 10000, NULL,
     "draws of the model a datum, nu", "goodfellow2014distinguishability, section 4: 1"},
    {0},
};

static tx_var var(tx_model *m, tx_param p) { return tx_params_var(m->net[0], p); }
static tx_tensor value(const tx_model *m, tx_param p) { return tx_params_value(m->net[0], p); }
static bool bits(const tx_model *m) { return m->space->measure == TX_COUNTING; }

static void build(tx_model *m)
{
    sce *s = m->state;
    size_t d = m->space->dim;
    tx_init zero = {TX_INIT_CONSTANT, 0};
    m->n_net = 1;
    m->net[0] = tx_params_new("conditionals");
    s->b = tx_params_add(m->net[0], "b", tx_shape2(1, d), zero);
    s->w = tx_params_add(m->net[0], "w", tx_shape2(d, d), zero);
    if (!bits(m)) s->scale = tx_params_add(m->net[0], "log_scale", tx_shape2(1, d), zero);
}

/* The product of the training split's marginals. */
static void init(tx_model *m)
{
    const sce *s = m->state;
    tx_output_bias(m->space, value(m, s->b).x);
    for (size_t j = 0; j < m->space->dim && !bits(m); j++) {
        value(m, s->b).x[j] = (real)m->space->mean[j];
        value(m, s->scale).x[j] = (real)-log(fmax(m->space->deviation[j], 1e-3));
    }
}

/* W above its diagonal, which alone counts. */
static tx_var upper(tx_model *m, tx_tape *t)
{
    size_t d = m->space->dim;
    tx_tensor mask = tx_tape_tensor(t, d, d);
    for (size_t i = 0; i < d * d; i++) mask.x[i] = i / d < i % d;
    return tx_mul(t, var(m, ((sce *)m->state)->w), tx_leaf(t, mask));
}

/* Bits: x_j is 1 with probability sigmoid(b_j + sum_i<j x_i W_ij). Reals, e = x - b: z_j = e_j exp(scale_j) + sum_i<j
 * e_i W_ij is standard normal. */
static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const sce *s = m->state;
    tx_var b = var(m, s->b), w = upper(m, t);
    if (bits(m)) return tx_bernoulli_logp(t, tx_dense(t, x, w, b, TX_LINEAR), x);
    tx_var e = tx_add_row(t, x, tx_scale(t, b, -1)), scale = var(m, s->scale);
    tx_var z = tx_add(t, tx_matmul(t, e, false, w, false), tx_mul_row(t, e, tx_exp(t, scale)));
    tx_var log_det = tx_repeat_rows(t, tx_sum_rows(t, scale), tx_rows(x->v));
    tx_var square = tx_sum_rows(t, tx_mul(t, z, z));
    real constant = (real)(-0.5 * (double)m->space->dim * log(2 * M_PI));
    return tx_add(t, tx_affine(t, square, (real)-0.5, constant), log_det);
}

/* Variables in order: each row's sums over those that it has are kept up to date. */
static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    const sce *s = m->state;
    size_t n = tx_rows(x), d = tx_cols(x);
    const real *b = value(m, s->b).x, *w = value(m, s->w).x, *scale = bits(m) ? NULL : value(m, s->scale).x;
    real *sum = tx_tape_tensor(t, 1, d).x;
    (scale ? tx_rng_normal : tx_rng_uniform)(r, first * d, n * d, x.x);
    for (size_t i = 0; i < n; i++) {
        real *row = x.x + i * d;
        memset(sum, 0, d * sizeof *sum);
        for (size_t j = 0; j < d; j++) {
            double e = scale ? ((double)row[j] - (double)sum[j]) * exp(-(double)scale[j])
                             : (double)row[j] < 1 / (1 + exp(-(double)b[j] - (double)sum[j]));
            tx_vec_axpy(d - j - 1, (real)e, w + j * d + j + 1, sum + j + 1);
            row[j] = (real)(scale ? (double)b[j] + e : e);
        }
    }
}

/* The value of p' is that of p: sigmoid(G - log nu) = 1/(1 + nu) everywhere, and only the slope of log p is left. */
static tx_var ratio(tx_tape *t, tx_var log_p)
{
    tx_tensor frozen = tx_tape_tensor(t, tx_rows(log_p->v), 1);
    memcpy(frozen.x, log_p->v.x, tx_len(frozen) * sizeof(real));
    return tx_sub(t, log_p, tx_leaf(t, frozen));
}

static double mean(tx_var v, size_t from, size_t to)
{
    double sum = 0;
    for (size_t i = from; i < to; i++) sum += (double)v->v.x[i];
    return sum / (double)(to - from);
}

/* Descends - E log h(x) - nu E log(1 - h(y)), h = sigmoid(G - log nu). */
static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    size_t n = tx_rows(x), nu = (size_t)((const sce_config *)m->config)->noise_ratio, all = n + n * nu;
    tx_tape *t = s->tape;
    tx_tensor both = tx_tape_tensor(t, all, tx_cols(x));
    memcpy(both.x, x.x, tx_len(x) * sizeof(real));
    sample(m, t, tx_rng_named(s->rng, "noise"), 0, tx_slice_rows(both, n, all));
    tx_var log_p = log_prob(m, t, tx_leaf(t, both)), g = ratio(t, log_p);
    real log_nu = (real)log((double)nu);
    tx_var data = tx_activation(t, tx_affine(t, tx_take_rows(t, g, 0, n), -1, log_nu), TX_SOFTPLUS);
    tx_var noise = tx_activation(t, tx_affine(t, tx_take_rows(t, g, n, all), 1, -log_nu), TX_SOFTPLUS);
    tx_var loss = tx_add(t, tx_mean(t, data), tx_scale(t, tx_mean(t, noise), (real)nu));
    const tx_metrics numbers = {
        3, {{"objective", -mean(log_p, 0, n)}, {"contrast", (double)loss->v.x[0]}, {"entropy", -mean(log_p, n, all)}}};
    *out = numbers;
    return tx_model_descend(m, s, 0, loss, "the classification error");
}

static double sequential_steps(const tx_model *m) { return (double)m->space->dim; }

const tx_model_ops tx_model_self_contrastive = {
    .name = "self_contrastive",
    .summary = "linear conditionals by noise-contrastive estimation against the model itself",
    .citation = "goodfellow2014distinguishability",
    .taxonomy_path = "explicit/tractable/self_contrastive",
    .spaces = TX_ON_BINARY | TX_ON_REAL,
    .state_size = sizeof(sce),
    .config_size = sizeof(sce_config),
    .options = options,
    .toys = "[{}, {noise_ratio: 3}]",
    .surrogate = true,
    .build = build,
    .init = init,
    .log_prob = log_prob,
    .sample = sample,
    .sequential_steps = sequential_steps,
    .train_step = train_step,
};
