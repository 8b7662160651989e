/** MADE with mixtures of Gaussians as conditionals: Papamakarios et al. 2017 (MADE MoG), after RNADE, Uria et al. 2013.
 */
#include "models/fvbn/arnet.h"
#include <gsl/gsl_cdf.h>
#include <math.h>

enum { LOGIT, MEAN, LOG_SD, N_HEAD, LANES = TX_ARNET_LANES };

typedef struct mog_config {
    tx_ints hidden;
    int activation, components, order, order_seed;
    double min_log_sd;
} mog_config;

static const tx_option options[] = {
    {"hidden", TX_OPT_INTS, offsetof(mog_config, hidden), "[500]", 1, 100000, NULL,
     "units of each hidden layer, 1 to 8 layers", "Papamakarios et al. 2017, section 4: 1 or 2 layers"},
    {"activation", TX_OPT_CHOICE, offsetof(mog_config, activation), "relu", 0, 0, TX_ACT_CHOICES, "of the hidden units",
     "Papamakarios et al. 2017, section 4: relu or tanh"},
    {"components", TX_OPT_INT, offsetof(mog_config, components), "10", 1, 256, NULL, "Gaussians in each conditional",
     "Papamakarios et al. 2017, section 4"},
    {"min_log_sd", TX_OPT_REAL, offsetof(mog_config, min_log_sd), "-7", -20, 5, NULL,
     "log standard deviations stay above this, smoothly, so that no component collapses on a point", NULL},
    {"order", TX_OPT_CHOICE, offsetof(mog_config, order), "natural", 0, 0, "natural|random",
     "order of the variables: as they are stored, or a permutation", "Papamakarios et al. 2017, section 4: natural"},
    {"order_seed", TX_OPT_INT, offsetof(mog_config, order_seed), "0", 0, 2147483647, NULL,
     "which permutation, where the order is random", NULL},
    {0},
};

static tx_status check(const tx_model *m)
{
    const mog_config *c = m->config;
    if (c->hidden.n < 1 || c->hidden.n > TX_ARNET_HIDDEN)
        return tx_fail(TX_ECONFIG, "made_mog: hidden has %d layers, 1 to %d are possible", c->hidden.n,
                       TX_ARNET_HIDDEN);
    return TX_OK;
}

static void build(tx_model *m)
{
    const mog_config *c = m->config;
    tx_arnet_spec spec = {.dim = m->space->dim, .per = (size_t)c->components, .hidden = c->hidden, .n_mask = 1};
    spec.act = tx_act_of_choice(c->activation);
    spec.n_head = N_HEAD;
    spec.head[LOGIT] = "_logit", spec.head[MEAN] = "_mean", spec.head[LOG_SD] = "_log_sd";
    spec.head_init = (tx_init){TX_INIT_NORMAL, (real)0.01};
    spec.random_order = c->order == 1;
    spec.seed = c->order_seed;
    tx_arnet_build(m->state, m, &spec);
}

/** r with floor + softplus(r - floor) = log_sd; where the floor leaves no room, a little above it. */
static double raw_log_sd(double log_sd, double floor_)
{
    double above = fmax(log_sd - floor_, 0.05);
    return floor_ + above + log(-expm1(-above));
}

/** Before training every conditional is about its variable's marginal normal: equally likely components at the
 * midpoints of equal shares of it, whose spread makes up for the variance that the midpoints leave out. */
static void init(tx_model *m)
{
    const mog_config *c = m->config;
    const tx_arnet *a = m->state;
    size_t k = a->spec.per, rows = tx_rows(tx_params_value(a->net, a->head_w[MEAN]));
    real *w = tx_params_value(a->net, a->head_w[MEAN]).x, *mean = tx_params_value(a->net, a->head_b[MEAN]).x;
    real *raw = tx_params_value(a->net, a->head_b[LOG_SD]).x;
    double between = 0;
    for (size_t q = 0; q < k; q++) between += pow(gsl_cdf_ugaussian_Pinv(((double)q + 0.5) / (double)k), 2) / (double)k;
    for (size_t j = 0; j < m->space->dim; j++) {
        double deviation = fmax(m->space->deviation[j], exp(c->min_log_sd));
        for (size_t q = 0; q < k; q++) {
            double z = gsl_cdf_ugaussian_Pinv(((double)q + 0.5) / (double)k);
            mean[j * k + q] = (real)(m->space->mean[j] + deviation * z);
            raw[j * k + q] = (real)raw_log_sd(log(deviation) + 0.5 * log1p(-between), c->min_log_sd);
            for (size_t i = 0; i < rows; i++) w[(i * m->space->dim + j) * k + q] *= (real)deviation;
        }
    }
    tx_arnet_init(a, m);
}

static void destroy(tx_model *m) { tx_arnet_free(m->state); }

static void conditionals(tx_model *m, tx_tape *t, tx_var x, tx_var out[N_HEAD])
{
    real low = (real)((const mog_config *)m->config)->min_log_sd;
    tx_arnet_apply(m->state, t, 0, x, out);
    out[LOG_SD] = tx_affine(t, tx_activation(t, tx_affine(t, out[LOG_SD], 1, -low), TX_SOFTPLUS), 1, low);
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var out[N_HEAD];
    conditionals(m, t, x, out);
    return tx_mog_logp(t, x, out[LOGIT], out[MEAN], out[LOG_SD], (size_t)((const mog_config *)m->config)->components);
}

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    return tx_ascend_first(m, s, log_prob(m, s->tape, tx_leaf(s->tape, x)), out);
}

typedef struct noise {
    const real *u;
    real *x;
    size_t dim, k;
    double low;
    const uint8_t *missing;
} noise;

/** The component that u falls into when [0,1) is cut by the softmax of the logits, LANES apart. */
static size_t component(const real *logit, size_t k, double u)
{
    double top = (double)logit[0], sum = 0, part = 0;
    for (size_t q = 1; q < k; q++) top = fmax(top, (double)logit[q * LANES]);
    for (size_t q = 0; q < k; q++) sum += exp((double)logit[q * LANES] - top);
    for (size_t q = 0; q + 1 < k; q++) {
        part += exp((double)logit[q * LANES] - top);
        if (u * sum < part) return q;
    }
    return k - 1;
}

/** z->x holds standard normals, or what is given, and receives the values. */
static void draw(const void *ctx, size_t var, const uint32_t row[], size_t n, real *const out[], real x[])
{
    const noise *z = ctx;
    for (size_t l = 0; l < LANES; l++) x[l] = 0;
    for (size_t l = 0; l < n; l++) {
        size_t at = row[l] * z->dim + var, q = component(out[LOGIT] + l, z->k, (double)z->u[at]);
        x[l] = z->x[at];
        if (z->missing && !z->missing[var]) continue;
        double mean = (double)out[MEAN][q * LANES + l], raw = (double)out[LOG_SD][q * LANES + l] - z->low;
        double log_sd = z->low + fmax(raw, 0) + log1p(exp(-fabs(raw)));
        x[l] = z->x[at] = (real)(mean + exp(log_sd) * (double)z->x[at]);
    }
}

static void sample_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    const mog_config *c = m->config;
    size_t d = m->space->dim, n = tx_len(x);
    tx_tensor u = tx_tape_tensor(t, tx_rows(x), d), normal = missing ? tx_tape_tensor(t, tx_rows(x), d) : x;
    tx_rng_uniform(tx_rng_named(r, "component"), first * d, n, u.x);
    tx_rng_normal(tx_rng_named(r, "normal"), first * d, n, normal.x);
    if (missing) tx_missing_copy(missing, normal, x);
    noise z = {u.x, x.x, d, (size_t)c->components, c->min_log_sd, missing};
    tx_arnet_sample(m->state, t, NULL, tx_rows(x), draw, &z);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    sample_missing(m, t, NULL, r, first, x);
}

static void log_prob_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double value[])
{
    size_t k = (size_t)((const mog_config *)m->config)->components;
    tx_var out[N_HEAD];
    conditionals(m, t, tx_leaf(t, x), out);
    for (int h = 0; h < N_HEAD; h++) out[h] = tx_missing_columns(t, missing, true, k, out[h]->v);
    tx_var y = tx_mog_logp(t, tx_missing_columns(t, missing, true, 1, x), out[LOGIT], out[MEAN], out[LOG_SD], k);
    for (size_t i = 0; i < tx_rows(x); i++) value[i] = (double)y->v.x[i];
}

static const tx_conditional conditional = {
    .applies = tx_arnet_applies, .log_prob = log_prob_missing, .sample = sample_missing};

const tx_model_ops tx_model_made_mog = {
    .name = "made_mog",
    .summary = "masked autoencoder with mixtures of Gaussians as conditionals",
    .citation = "papamakarios2017masked",
    .taxonomy_path = "explicit/tractable/fvbn",
    .spaces = TX_ON_REAL,
    .state_size = sizeof(tx_arnet),
    .config_size = sizeof(mog_config),
    .options = options,
    .toys = "[{hidden: [7], components: 3}, "
            "{hidden: [6, 5], components: 2, activation: tanh, min_log_sd: -1.2, order: random}]",
    .check = check,
    .build = build,
    .init = init,
    .destroy = destroy,
    .log_prob = log_prob,
    .conditional = &conditional,
    .sample = sample,
    .sequential_steps = tx_steps_per_variable,
    .train_step = train_step,
};
