/** Generative adversarial network: a generator against a discriminator, no likelihood.
 *  Goodfellow et al. 2014 (goodfellow2014gan). Letters: z noise, G(z) generator, v(x) the output of the discriminator's
 * network, D(x) what the game makes of it, k discriminator steps a generator step. */
#include <stdlib.h>
#include <string.h>
#include "common/model/latent.h"
#include "common/model/output.h"
#include "models/gan/discriminator.h"

enum { GENERATOR };
typedef struct gan_config {
    int latent, prior, activation, unrolled_steps;
    double unrolled_rate, generator_rate, discriminator_rate, generator_init;
    tx_discriminator_config d;
    tx_ints generator_hidden;
} gan_config;
typedef struct gan {
    tx_mlp generator;
    tx_dcgan convolutional; /* the generator, of that architecture */
    tx_discriminator discriminator;
} gan;

static bool is_dcgan(const tx_model *m)
{
    return ((const gan_config *)m->config)->d.architecture == TX_ARCHITECTURE_DCGAN;
}

/* Of z as the framework sees it; a uniform prior is a map of the logistic one. */
static const tx_prior *const priors[] = {&tx_prior_normal, &tx_prior_logistic};
enum { PRIOR_UNIFORM = 1 };

static const tx_option options[] = {
    {"latent", TX_OPT_INT, offsetof(gan_config, latent), "100", 1, 65536, NULL, "dimension of z", "the authors' code"},
    {"prior", TX_OPT_CHOICE, offsetof(gan_config, prior), "normal", 0, 0, "normal|uniform",
     "of each coordinate of z: N(0, 1), or uniform on (-sqrt 3, sqrt 3)", "the authors' code"},
    {"generator_hidden", TX_OPT_INTS, offsetof(gan_config, generator_hidden), "[1200, 1200]", 1, 65536, NULL,
     "units of each hidden layer of G", "the authors' code"},
    {"activation", TX_OPT_CHOICE, offsetof(gan_config, activation), "relu", 0, 0, TX_ACT_CHOICES,
     "of the hidden layers of G", "goodfellow2014gan, section 5"},
    TX_DISCRIMINATOR_OPTIONS(gan_config, d, "non_saturating", "1"),
    {"unrolled_steps", TX_OPT_INT, offsetof(gan_config, unrolled_steps), "0", 0, 100, NULL,
     "G's loss is that of D after so many more steps, through which G's gradient flows", "metz2017unrolled, eq. 7"},
    {"unrolled_rate", TX_OPT_REAL, offsetof(gan_config, unrolled_rate), "0.1", 0, 1e6, NULL,
     "rate of those steps, each of plain gradient descent", "metz2017unrolled, eq. 7, eta"},
    {"generator_rate", TX_OPT_REAL, offsetof(gan_config, generator_rate), "1", 0, 1e6, NULL,
     "G's learning rate as a multiple of train.learning_rate", NULL},
    {"discriminator_rate", TX_OPT_REAL, offsetof(gan_config, discriminator_rate), "1", 0, 1e6, NULL,
     "D's learning rate as a multiple of train.learning_rate", NULL},
    {"generator_init", TX_OPT_REAL, offsetof(gan_config, generator_init), "0", 0, 10, NULL,
     "weights of G start in U(-this, this); 0: by their layer's width", "0.05: the authors' code"},
    {0},
};

static tx_status check(const tx_model *m)
{
    const gan_config *c = m->config;
    if (c->generator_hidden.n >= TX_MLP_MAX)
        return tx_fail(TX_ECONFIG, "gan: at most %d hidden layers are possible", TX_MLP_MAX - 1);
    if (c->generator_rate == 0 && c->discriminator_rate == 0)
        return tx_fail(TX_ECONFIG,
                       "gan: 'generator_rate' and 'discriminator_rate' are both 0: nothing would be trained");
    if ((c->unrolled_steps > 0 || c->generator_init > 0) && is_dcgan(m))
        return tx_fail(TX_ECONFIG, "gan: '%s' does not apply to architecture 'dcgan'",
                       c->unrolled_steps > 0 ? "unrolled_steps" : "generator_init");
    return tx_discriminator_check(m, &c->d);
}

static void build(tx_model *m)
{
    const gan_config *c = m->config;
    gan *s = m->state;
    size_t d = m->space->dim, k = (size_t)c->latent;
    tx_act act = tx_act_of_choice(c->activation);
    tx_init init = {TX_INIT_UNIFORM, (real)c->generator_init};

    m->n_net = is_dcgan(m) ? 3 : 2;
    m->net[GENERATOR] = tx_params_new("generator");
    if (is_dcgan(m)) m->net[TX_STATISTICS] = tx_params_new_state("statistics");
    if (is_dcgan(m))
        s->convolutional = tx_dcgan_generator(m->net[GENERATOR], m->net[TX_STATISTICS], m->space, &c->d.channels, k);
    else
        s->generator = c->generator_init > 0
                           ? tx_mlp_add_init(m->net[GENERATOR], "layer", k, &c->generator_hidden, d, act, TX_LINEAR,
                                             init)
                           : tx_mlp_add(m->net[GENERATOR], "layer", k, &c->generator_hidden, d, act, TX_LINEAR);
    s->discriminator = tx_discriminator_add(m, &c->d);
}

/* Last biases at the training mean; a convolutional G has one a channel: the mean over pixels. */
static void init(tx_model *m)
{
    gan *s = m->state;
    size_t d = m->space->dim, channels = m->space->channel;
    real *bias = tx_alloc(d, sizeof *bias);
    tx_output_bias(m->space, bias);
    tx_param at = is_dcgan(m) ? s->convolutional.stage[0].shift : s->generator.b[s->generator.n - 1];
    real *to = tx_params_value(m->net[GENERATOR], at).x;
    if (is_dcgan(m))
        for (size_t j = 0; j < d; j++) to[j % channels] += bias[j] * (real)channels / (real)d;
    else
        memcpy(to, bias, d * sizeof *bias);
    free(bias);
}

static tx_latent latent(const tx_model *m)
{
    const gan_config *c = m->config;
    return (tx_latent){(size_t)c->latent, priors[c->prior]};
}

/* The uniform prior on (-sqrt 3, sqrt 3), of variance 1 as the normal one has, is sqrt 3 tanh(z/2) of a logistic z. */
static tx_var last_layer(tx_model *m, tx_tape *t, tx_var z, bool training)
{
    const gan *s = m->state;
    if (((const gan_config *)m->config)->prior == PRIOR_UNIFORM)
        z = tx_scale(t, tx_activation(t, tx_scale(t, z, (real)0.5), TX_TANH), (real)1.7320508075688772);
    if (is_dcgan(m))
        return tx_dcgan_generate(t, m->net[GENERATOR], m->net[TX_STATISTICS], &s->convolutional, z, training);
    return tx_mlp_apply(t, m->net[GENERATOR], &s->generator, z);
}

static tx_var generate(tx_model *m, tx_tape *t, tx_var z) { return last_layer(m, t, z, false); }

/* G(z) of the noise rows first, first + 1, ... of stream r, in the space's units. */
static tx_var fakes(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n, bool training)
{
    tx_latent z = latent(m);
    return tx_output(t, m->space, last_layer(m, t, tx_latent_noise(t, z.prior->fill, r, first, n, z.dim), training));
}

/* Metz et al. 2017, eq. 7: theta <- theta - eta d loss/d theta, each time on the same data, fakes and noise, as ops of
 * the tape; D's own weights stay. Until the next bind D is then what has become of it. */
static void unroll(tx_model *m, tx_tape *t, tx_rng r, tx_var data, tx_var fake)
{
    const gan_config *c = m->config;
    const tx_discriminator *d = &((const gan *)m->state)->discriminator;
    tx_params *p = m->net[TX_DISCRIMINATOR];
    size_t n = (size_t)tx_params_count(p);
    tx_var *theta = tx_arena_alloc(tx_tape_arena(t), 2 * n * sizeof *theta), *grad = theta + n;
    for (int k = 0; k < c->unrolled_steps; k++) {
        for (size_t i = 0; i < n; i++) theta[i] = tx_params_var(p, (tx_param){(int)i});
        tx_grad(t, tx_discriminator_meet(m, t, d, &c->d, r, data, fake).loss, theta, (int)n, grad);
        for (size_t i = 0; i < n; i++) theta[i] = tx_sub(t, theta[i], tx_scale(t, grad[i], (real)c->unrolled_rate));
        tx_params_use(p, t, theta);
    }
}

/* Algorithm 1 of the paper: k steps of D, each with noise of its own, then one of G through the updated D. G is shown
 * the last batch of fakes again, which is still on the tape. */
static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    static const char *const purpose_g[] = {"dropout of the generator"};
    const gan_config *c = m->config;
    const tx_discriminator *d = &((const gan *)m->state)->discriminator;
    tx_tape *t = s->tape;
    tx_step turn = *s;
    tx_var data = NULL, fake = NULL;
    tx_rng r = s->rng;
    tx_meeting e = {0};

    turn.rate = s->rate * c->discriminator_rate;
    for (int k = 0; k < c->d.steps; k++) {
        if (k > 0) tx_model_bind(m, t);
        r = tx_rng_fold(s->rng, (uint64_t)k);
        tx_tensor rows = tx_discriminator_rows(t, &c->d, x);
        data = tx_discriminator_view(t, &c->d, m->space, tx_leaf(t, rows));
        fake = fakes(m, t, tx_rng_named(r, "latent"), 0, tx_rows(rows), true);
        fake = tx_discriminator_view(t, &c->d, m->space, fake);
        e = tx_discriminator_meet(m, t, d, &c->d, r, data, fake);
        TX_TRY(tx_model_descend(m, &turn, TX_DISCRIMINATOR, e.loss, "the discriminator's loss"));
    }
    turn.rate = s->rate * c->generator_rate;
    unroll(m, t, r, data, fake);
    tx_var v = tx_discriminator_apply(m, t, d, &c->d, s->rng, 1, purpose_g, fake);
    tx_var loss = tx_game_generator(t, &tx_games[c->d.game], v);
    TX_TRY(tx_model_descend(m, &turn, GENERATOR, loss, "the generator's loss"));
    out->m[0].name = "objective", out->m[0].value = (double)e.loss->v.x[0], out->n = 1;
    tx_meeting_report(t, &c->d, &e, loss, out);
    return TX_OK;
}

static tx_var draw(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n)
{
    return fakes(m, t, tx_rng_named(r, "latent"), first, n, false);
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    memcpy(x.x, draw(m, t, r, first, tx_rows(x))->v.x, tx_len(x) * sizeof(real));
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_output_sample(m->space, r, first, tx_rows(x), draw(m, t, r, first, tx_rows(x))->v.x, x.x);
}

const tx_model_ops tx_model_gan = {
    .name = "gan",
    .summary = "generative adversarial network of two multilayer perceptrons",
    .citation = "goodfellow2014gan",
    .taxonomy_path = "implicit/direct/gan",
    .spaces = TX_ON_BINARY | TX_ON_LEVELS | TX_ON_REAL,
    .state_size = sizeof(gan),
    .config_size = sizeof(gan_config),
    .options = options,
    .toys = "[{latent: 3, generator_hidden: [6], discriminator_hidden: [7]},"
            " {latent: 2, generator_hidden: [5, 4], discriminator_hidden: [6, 5], discriminator_activation: maxout, "
            "maxout_pieces: 3,"
            " keep_input: 0.8, keep_hidden: 0.5, game: minimax, discriminator_steps: 2, label_smoothing: 0.1, prior: "
            "uniform},"
            " {latent: 2, generator_hidden: [5], discriminator_hidden: [6], discriminator_activation: tanh, game: "
            "wasserstein, packing: 3, gradient_penalty: 2},"
            " {latent: 3, generator_hidden: [4], discriminator_hidden: [5], game: pearson, unrolled_steps: 2}]",
    .check = check,
    .build = build,
    .init = init,
    .latent = latent,
    .generate = generate,
    .sample = sample,
    .sample_mean = sample_mean,
    .train_step = train_step,
};
