/** Variational auto-encoder: amortised Gaussian posterior, Gaussian prior, Bernoulli or Gaussian decoder.
 *  Kingma & Welling 2014 (kingma2014vae); Rezende, Mohamed & Wierstra 2014. And the importance weighted auto-encoder,
 *  the same model trained by a tighter bound: Burda, Grosse & Salakhutdinov 2016 (burda2016importance). Letters: x
 * data, z latent, (mu, lv) mean and log-variance of q(z|x), e its noise, L latent samples an example (k in the second
 * paper). */
#include <math.h>
#include <string.h>
#include "common/model/conditional.h"
#include "common/model/latent.h"
#include "common/model/output.h"

enum { ENCODER, DECODER };
enum { OBSERVE_AUTO, OBSERVE_BERNOULLI, OBSERVE_GAUSSIAN };
enum { VARIANCE_LEARNED, VARIANCE_PREDICTED, VARIANCE_FIXED };

typedef struct vae_config {
    int latent, activation, observation, variance, n_sample;
    double sigma, min_sigma;
    tx_ints hidden, decoder_hidden;
} vae_config;
typedef struct vae {
    tx_mlp encoder, decoder;
    tx_param log_variance;
} vae;

/* All options but n_sample, whose default and meaning differ. */
#define NETWORK_OPTIONS                                                                                                \
    {"latent", TX_OPT_INT,       offsetof(vae_config, latent), "20", 1, 65536,                                         \
     NULL,     "dimension of z", "kingma2014vae, figure 2"},                                                           \
        {"hidden",                                                                                                     \
         TX_OPT_INTS,                                                                                                  \
         offsetof(vae_config, hidden),                                                                                 \
         "[500]",                                                                                                      \
         1,                                                                                                            \
         65536,                                                                                                        \
         NULL,                                                                                                         \
         "units of each hidden layer of the encoder; [] is a linear encoder",                                          \
         "kingma2014vae, section 5"},                                                                                  \
        {"decoder_hidden",                                                                                             \
         TX_OPT_INTS,                                                                                                  \
         offsetof(vae_config, decoder_hidden),                                                                         \
         "[]",                                                                                                         \
         1,                                                                                                            \
         65536,                                                                                                        \
         NULL,                                                                                                         \
         "units of each hidden layer of the decoder; [] mirrors the encoder",                                          \
         "kingma2014vae, section 5"},                                                                                  \
        {"activation",                                                                                                 \
         TX_OPT_CHOICE,                                                                                                \
         offsetof(vae_config, activation),                                                                             \
         "tanh",                                                                                                       \
         0,                                                                                                            \
         0,                                                                                                            \
         TX_ACT_CHOICES,                                                                                               \
         "of the hidden layers of both networks",                                                                      \
         "kingma2014vae, appendix C"},                                                                                 \
        {"observation",                                                                                                \
         TX_OPT_CHOICE,                                                                                                \
         offsetof(vae_config, observation),                                                                            \
         "auto",                                                                                                       \
         0,                                                                                                            \
         0,                                                                                                            \
         "auto|bernoulli|gaussian",                                                                                    \
         "p(x|z); auto: Bernoulli on binary data, Gaussian on real data, and nothing else is a likelihood there",      \
         "kingma2014vae, appendix C"},                                                                                 \
        {"variance",                                                                                                   \
         TX_OPT_CHOICE,                                                                                                \
         offsetof(vae_config, variance),                                                                               \
         "predicted",                                                                                                  \
         0,                                                                                                            \
         0,                                                                                                            \
         "learned|predicted|fixed",                                                                                    \
         "of the Gaussian p(x|z): one parameter a coordinate, a second output of the decoder, or sigma^2",             \
         "predicted: kingma2014vae, appendix C.2"},                                                                    \
        {"sigma",                                                                                                      \
         TX_OPT_REAL,                                                                                                  \
         offsetof(vae_config, sigma),                                                                                  \
         "0.1",                                                                                                        \
         1e-6,                                                                                                         \
         1e6,                                                                                                          \
         NULL,                                                                                                         \
         "deviation of p(x|z) with variance: fixed, in the data's unit as the model sees it",                          \
         NULL},                                                                                                        \
    {                                                                                                                  \
        "min_sigma", TX_OPT_REAL, offsetof(vae_config, min_sigma), "0.001", 1e-6, 1e6, NULL,                           \
            "added in squares to a learned or predicted deviation, so that constant coordinates have a bounded "       \
            "density",                                                                                                 \
            NULL                                                                                                       \
    }

static const tx_option options[] = {
    NETWORK_OPTIONS,
    {"n_sample", TX_OPT_INT, offsetof(vae_config, n_sample), "1", 1, 10000, NULL,
     "latent samples an example in the evidence lower bound, L", "kingma2014vae, section 2.3"},
    {0},
};
static const tx_option iwae_options[] = {
    NETWORK_OPTIONS,
    {"n_sample", TX_OPT_INT, offsetof(vae_config, n_sample), "50", 1, 10000, NULL,
     "importance samples an example in the training bound, k; 1 is the VAE with a sampled divergence",
     "burda2016importance, section 5: 1, 5, 50"},
    {0},
};

static bool gaussian(const tx_model *m) { return m->space->measure == TX_LEBESGUE; }

static const tx_ints *decoder_hidden(const vae_config *c)
{
    return c->decoder_hidden.n ? &c->decoder_hidden : &c->hidden;
}

static tx_status check(const tx_model *m)
{
    const vae_config *c = m->config;
    if (c->observation == OBSERVE_BERNOULLI && gaussian(m))
        return tx_fail(TX_ECONFIG, "vae: 'observation: bernoulli' gives probabilities of {0,1}, but this view has a "
                                   "density on real values: use 'gaussian', or a binarised view");
    if (c->observation == OBSERVE_GAUSSIAN && !gaussian(m))
        return tx_fail(TX_ECONFIG, "vae: 'observation: gaussian' is a density on real values, but this view counts "
                                   "{0,1}: use 'bernoulli', or a dequantised view");
    if (c->hidden.n >= TX_MLP_MAX || c->decoder_hidden.n >= TX_MLP_MAX)
        return tx_fail(TX_ECONFIG, "vae: at most %d hidden layers are possible", TX_MLP_MAX - 1);
    return TX_OK;
}

static void build(tx_model *m)
{
    const vae_config *c = m->config;
    vae *s = m->state;
    size_t d = m->space->dim, k = (size_t)c->latent;
    tx_act act = tx_act_of_choice(c->activation);
    bool two = gaussian(m) && c->variance == VARIANCE_PREDICTED;
    tx_ints mirror = *decoder_hidden(c);
    if (!c->decoder_hidden.n)
        for (int i = 0; i < mirror.n; i++) mirror.v[i] = c->hidden.v[mirror.n - 1 - i];

    m->n_net = 2;
    m->net[ENCODER] = tx_params_new("encoder");
    m->net[DECODER] = tx_params_new("decoder");
    s->encoder = tx_mlp_add(m->net[ENCODER], "layer", d, &c->hidden, 2 * k, act, TX_LINEAR);
    s->decoder = tx_mlp_add(m->net[DECODER], "layer", k, &mirror, two ? 2 * d : d, act, TX_LINEAR);
    if (gaussian(m) && c->variance == VARIANCE_LEARNED)
        s->log_variance = tx_params_add(m->net[DECODER], "log_variance", tx_shape2(1, d),
                                        (tx_init){TX_INIT_CONSTANT, 0});
}

/* The decoder starts at the marginals of the training data. */
static void init(tx_model *m)
{
    const vae_config *c = m->config;
    vae *s = m->state;
    size_t d = m->space->dim;
    tx_tensor bias = tx_params_value(m->net[DECODER], s->decoder.b[s->decoder.n - 1]);
    tx_output_bias(m->space, bias.x);
    if (!gaussian(m) || c->variance == VARIANCE_FIXED) return;
    real *lv = c->variance == VARIANCE_LEARNED ? tx_params_value(m->net[DECODER], s->log_variance).x : bias.x + d;
    for (size_t j = 0; j < d; j++) lv[j] = (real)(2 * log(fmax(m->space->deviation[j], c->min_sigma)));
}

/* log(min_sigma^2 + exp(lv)), which exp would overflow for. */
static tx_var with_floor(const vae_config *c, tx_tape *t, tx_var lv)
{
    real low = (real)(2 * log(c->min_sigma));
    return tx_affine(t, tx_activation(t, tx_affine(t, lv, 1, -low), TX_SOFTPLUS), 1, low);
}

/* Mean and log-variance of the Gaussian p(x|z) from the decoder's output y. */
static void moments(tx_model *m, tx_tape *t, tx_var y, tx_var *mean, tx_var *logvar)
{
    const vae_config *c = m->config;
    const vae *s = m->state;
    size_t n = tx_rows(y->v), d = m->space->dim;
    if (c->variance == VARIANCE_PREDICTED) {
        *logvar = with_floor(c, t, tx_slice_cols(t, y, d, 2 * d));
        y = tx_slice_cols(t, y, 0, d);
    } else if (c->variance == VARIANCE_LEARNED) {
        *logvar = tx_repeat_rows(t, with_floor(c, t, tx_params_var(m->net[DECODER], s->log_variance)), n);
    } else {
        tx_tensor fixed = tx_tape_tensor(t, n, d);
        for (size_t i = 0; i < n * d; i++) fixed.x[i] = (real)(2 * log(c->sigma));
        *logvar = tx_leaf(t, fixed);
    }
    *mean = tx_output(t, m->space, y);
}

static tx_var decoder(tx_model *m, tx_tape *t, tx_var z)
{
    return tx_mlp_apply(t, m->net[DECODER], &((vae *)m->state)->decoder, z);
}

/* log p(x|z), [n,1] */
static tx_var log_observation(tx_model *m, tx_tape *t, tx_var x, tx_var z)
{
    tx_var y = decoder(m, t, z), mean, logvar;
    if (!gaussian(m)) return tx_bernoulli_logp(t, y, x);
    moments(m, t, y, &mean, &logvar);
    return tx_normal_logp(t, x, mean, logvar);
}

/* log p(x_o|z): the observed factors of the product. */
static tx_var log_observed(tx_model *m, tx_tape *t, const uint8_t missing[], tx_var x, tx_var z)
{
    tx_var y = decoder(m, t, z), seen = tx_missing_columns(t, missing, false, 1, x->v), logvar;
    if (!gaussian(m)) return tx_bernoulli_logp(t, tx_missing_columns(t, missing, false, 1, y->v), seen);
    moments(m, t, y, &y, &logvar);
    return tx_normal_logp(t, seen, tx_missing_columns(t, missing, false, 1, y->v),
                          tx_missing_columns(t, missing, false, 1, logvar->v));
}

static const tx_conditional conditional = {.log_observed = log_observed};

static void posterior(tx_model *m, tx_tape *t, tx_var x, tx_var *mu, tx_var *lv)
{
    size_t k = (size_t)((const vae_config *)m->config)->latent;
    tx_var h = tx_mlp_apply(t, m->net[ENCODER], &((vae *)m->state)->encoder, x);
    *mu = tx_slice_cols(t, h, 0, k);
    *lv = tx_slice_cols(t, h, k, 2 * k);
}

/* KL(q(z|x) || p(z)) = 1/2 sum mu^2 + exp(lv) - lv - 1, [n,1]: appendix B of the paper. */
static tx_var divergence(tx_tape *t, tx_var mu, tx_var lv)
{
    tx_var each = tx_sub(t, tx_add(t, tx_mul(t, mu, mu), tx_exp(t, lv)), lv);
    return tx_affine(t, tx_sum_rows(t, each), (real)0.5, (real)(-0.5 * (double)tx_cols(mu->v)));
}

/* Equation 10 of the paper: - KL + 1/L sum_l log p(x|z_l). */
static tx_var elbo(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var x)
{
    const vae_config *c = m->config;
    size_t n = tx_rows(x->v), k = (size_t)c->latent, L = (size_t)c->n_sample;
    tx_var mu, lv;
    posterior(m, t, x, &mu, &lv);
    tx_var kl = divergence(t, mu, lv), e = tx_latent_noise(t, tx_rng_normal, r, first, n, L * k);
    if (L == 1) return tx_sub(t, log_observation(m, t, x, tx_reparametrise(t, mu, lv, e)), kl);
    e = tx_reshape(t, e, tx_shape2(n * L, k));
    tx_var z = tx_reparametrise(t, tx_tile_rows(t, mu, L), tx_tile_rows(t, lv, L), e);
    tx_var each = tx_reshape(t, log_observation(m, t, tx_tile_rows(t, x, L), z), tx_shape2(n, L));
    return tx_sub(t, tx_scale(t, tx_sum_rows(t, each), (real)1 / (real)L), kl);
}

/* Equation 8 of Burda et al.: log 1/L sum_l p(x,z_l)/q(z_l|x). */
static tx_var importance_bound(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var x)
{
    const vae_config *c = m->config;
    const tx_observation own = {TX_OBSERVE_MODEL, 0};
    size_t n = tx_rows(x->v), k = (size_t)c->latent, L = (size_t)c->n_sample;
    tx_var mu, lv, e = tx_reshape(t, tx_latent_noise(t, tx_rng_normal, r, first, n, L * k), tx_shape2(n * L, k));
    posterior(m, t, x, &mu, &lv);
    tx_var w = tx_log_weight(m, t, own, tx_tile_rows(t, x, L), tx_tile_rows(t, mu, L), tx_tile_rows(t, lv, L), e);
    return tx_affine(t, tx_logsumexp(t, tx_reshape(t, w, tx_shape2(n, L))), 1, (real)-log((double)L));
}

static tx_latent latent(const tx_model *m)
{
    return (tx_latent){(size_t)((const vae_config *)m->config)->latent, &tx_prior_normal};
}

static tx_var generate(tx_model *m, tx_tape *t, tx_var z)
{
    tx_var y = decoder(m, t, z);
    return tx_cols(y->v) == m->space->dim ? y : tx_slice_cols(t, y, 0, m->space->dim);
}

static void observe(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var z, tx_tensor x)
{
    size_t n = tx_rows(x), d = tx_cols(x);
    tx_var y = decoder(m, t, z), logvar;
    if (gaussian(m)) {
        moments(m, t, y, &y, &logvar);
        tx_var v = tx_reparametrise(t, y, logvar, tx_latent_noise(t, tx_rng_normal, r, first, n, d));
        memcpy(x.x, v->v.x, n * d * sizeof(real));
    } else {
        tx_rng_bernoulli(r, first * d, n * d, tx_activation(t, y, TX_SIGMOID)->v.x, x.x);
    }
}

static tx_var draw_latent(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n)
{
    return tx_latent_noise(t, tx_rng_normal, tx_rng_named(r, "latent"), first, n, latent(m).dim);
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_var a = generate(m, t, draw_latent(m, t, r, first, tx_rows(x)));
    memcpy(x.x, tx_output(t, m->space, a)->v.x, tx_len(x) * sizeof(real));
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    observe(m, t, tx_rng_named(r, "observation"), first, draw_latent(m, t, r, first, tx_rows(x)), x);
}

#define SHARED_OPS                                                                                                     \
    .taxonomy_path = "explicit/approximate/variational", .spaces = TX_ON_BINARY | TX_ON_REAL,                          \
    .state_size = sizeof(vae), .config_size = sizeof(vae_config), .check = check, .build = build, .init = init,        \
    .elbo = elbo, .latent = latent, .generate = generate, .log_observation = log_observation, .observe = observe,      \
    .posterior = posterior, .conditional = &conditional, .sample = sample, .sample_mean = sample_mean

const tx_model_ops tx_model_vae = {
    .name = "vae",
    .summary = "variational auto-encoder with Gaussian latents",
    .citation = "kingma2014vae",
    .options = options,
    .toys =
        "[{latent: 2, hidden: [7]}, {latent: 3, hidden: [6, 5], decoder_hidden: [4], variance: predicted, n_sample: 2},"
        " {latent: 1, hidden: [5], variance: fixed, sigma: 0.7, activation: softplus}]",
    SHARED_OPS,
};

const tx_model_ops tx_model_iwae = {
    .name = "iwae",
    .summary = "importance weighted auto-encoder: a VAE trained by the bound of k importance samples",
    .citation = "burda2016importance",
    .options = iwae_options,
    .toys = "[{latent: 2, hidden: [7], n_sample: 3}, {latent: 3, hidden: [6, 5], variance: learned, n_sample: 5}]",
    .bound = importance_bound,
    SHARED_OPS,
};
