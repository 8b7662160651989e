/** Generative adversarial network: a generator against a discriminator, no likelihood.
 *  Goodfellow et al. 2014 (goodfellow2014gan). Letters: z noise, G(z) generator, D(x) = sigmoid(l(x)) discriminator
 * with logits l, k discriminator steps a generator step. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "common/model/latent.h"
#include "common/model/output.h"

enum { GENERATOR, DISCRIMINATOR };
enum { MAX_PARTS = 2 }; /* batches that D sees at once */
enum { MAXOUT = 5 };    /* of TX_ACT_CHOICES "|maxout" */
typedef struct gan_config {
    int latent, prior, activation, discriminator_activation, maxout_pieces, game, discriminator_steps;
    double keep_input, keep_hidden, label_smoothing, generator_rate, discriminator_rate, generator_init,
        discriminator_init;
    tx_ints generator_hidden, discriminator_hidden;
} gan_config;
typedef struct gan {
    tx_mlp generator, discriminator;
} gan;

/* The generator descends the mean of scale softplus(sign l(G(z))). Non-saturating: - log D; minimax: log(1 - D). */
static const struct {
    real sign, scale;
} games[] = {{-1, 1}, {1, -1}};

/* Of z as the framework sees it; a uniform prior is a map of the logistic one. */
static const tx_prior *const priors[] = {&tx_prior_normal, &tx_prior_logistic};
enum { PRIOR_UNIFORM = 1 };

static const tx_option options[] = {
    {"latent", TX_OPT_INT, offsetof(gan_config, latent), "100", 1, 65536, NULL, "dimension of z", "the authors' code"},
    {"prior", TX_OPT_CHOICE, offsetof(gan_config, prior), "normal", 0, 0, "normal|uniform",
     "of each coordinate of z: N(0, 1), or uniform on (-sqrt 3, sqrt 3)", "the authors' code"},
    {"generator_hidden", TX_OPT_INTS, offsetof(gan_config, generator_hidden), "[1200, 1200]", 1, 65536, NULL,
     "units of each hidden layer of G", "the authors' code"},
    {"discriminator_hidden", TX_OPT_INTS, offsetof(gan_config, discriminator_hidden), "[1200, 1200]", 1, 65536, NULL,
     "units of each hidden layer of D", NULL},
    {"activation", TX_OPT_CHOICE, offsetof(gan_config, activation), "relu", 0, 0, TX_ACT_CHOICES,
     "of the hidden layers of G", "goodfellow2014gan, section 5"},
    {"discriminator_activation", TX_OPT_CHOICE, offsetof(gan_config, discriminator_activation), "leaky_relu", 0, 0,
     TX_ACT_CHOICES "|maxout", "of the hidden layers of D", "maxout: goodfellow2014gan, section 5"},
    {"maxout_pieces", TX_OPT_INT, offsetof(gan_config, maxout_pieces), "5", 2, 64, NULL,
     "linear pieces of each maxout unit", "the authors' code"},
    {"keep_input", TX_OPT_REAL, offsetof(gan_config, keep_input), "1", 0.01, 1, NULL,
     "probability that dropout keeps an input of D; 1 is no dropout, the authors' code has 0.8",
     "goodfellow2014gan, section 5"},
    {"keep_hidden", TX_OPT_REAL, offsetof(gan_config, keep_hidden), "1", 0.01, 1, NULL,
     "probability that dropout keeps a hidden unit of D; 1 is no dropout, the authors' code has 0.5",
     "goodfellow2014gan, section 5"},
    {"game", TX_OPT_CHOICE, offsetof(gan_config, game), "non_saturating", 0, 0, "non_saturating|minimax",
     "what G descends: - log D(G(z)), or log(1 - D(G(z)))", "goodfellow2014gan, section 3"},
    {"discriminator_steps", TX_OPT_INT, offsetof(gan_config, discriminator_steps), "1", 1, 1000, NULL,
     "steps of D before each step of G, k", "goodfellow2014gan, algorithm 1"},
    {"label_smoothing", TX_OPT_REAL, offsetof(gan_config, label_smoothing), "0", 0, 0.5, NULL,
     "D's target for data is 1 minus this", "salimans2016improved, section 3.4"},
    {"generator_rate", TX_OPT_REAL, offsetof(gan_config, generator_rate), "1", 0, 1e6, NULL,
     "G's learning rate as a multiple of train.learning_rate", NULL},
    {"discriminator_rate", TX_OPT_REAL, offsetof(gan_config, discriminator_rate), "1", 0, 1e6, NULL,
     "D's learning rate as a multiple of train.learning_rate", NULL},
    {"generator_init", TX_OPT_REAL, offsetof(gan_config, generator_init), "0", 0, 10, NULL,
     "weights of G start in U(-this, this); 0: by their layer's width", "0.05: the authors' code"},
    {"discriminator_init", TX_OPT_REAL, offsetof(gan_config, discriminator_init), "0", 0, 10, NULL,
     "weights of D start in U(-this, this); 0: by their layer's width", "0.005: the authors' code"},
    {0},
};

static tx_status check(const tx_model *m)
{
    const gan_config *c = m->config;
    if (c->generator_hidden.n >= TX_MLP_MAX || c->discriminator_hidden.n >= TX_MLP_MAX)
        return tx_fail(TX_ECONFIG, "gan: at most %d hidden layers are possible", TX_MLP_MAX - 1);
    if (c->generator_rate == 0 && c->discriminator_rate == 0)
        return tx_fail(TX_ECONFIG,
                       "gan: 'generator_rate' and 'discriminator_rate' are both 0: nothing would be trained");
    return TX_OK;
}

static bool maxout(const gan_config *c) { return c->discriminator_activation == MAXOUT; }

/* D by hand: maxout layers are `pieces` times as wide before the maximum as after it. */
static tx_mlp add_discriminator(tx_params *p, const gan_config *c, size_t in)
{
    size_t pieces = maxout(c) ? (size_t)c->maxout_pieces : 1;
    tx_act act = maxout(c) ? TX_LINEAR : tx_act_of_choice(c->discriminator_activation);
    tx_mlp d = {.n = c->discriminator_hidden.n + 1, .hidden = act, .out = TX_LINEAR};
    for (int i = 0; i < d.n; i++) {
        bool last = i == d.n - 1;
        size_t width = last ? 1 : (size_t)c->discriminator_hidden.v[i], wide = last ? 1 : width * pieces;
        tx_init init = {last || act == TX_TANH || act == TX_SIGMOID ? TX_INIT_GLOROT : TX_INIT_HE, 1};
        char w[TX_NAME_MAX], b[TX_NAME_MAX];
        if (c->discriminator_init > 0) init = (tx_init){TX_INIT_UNIFORM, (real)c->discriminator_init};
        snprintf(w, sizeof w, "layer_w%d", i);
        snprintf(b, sizeof b, "layer_b%d", i);
        d.w[i] = tx_params_add(p, w, tx_shape2(in, wide), init);
        d.b[i] = tx_params_add(p, b, tx_shape2(1, wide), (tx_init){TX_INIT_CONSTANT, 0});
        in = width;
    }
    return d;
}

static void build(tx_model *m)
{
    const gan_config *c = m->config;
    gan *s = m->state;
    size_t d = m->space->dim, k = (size_t)c->latent;
    tx_act act = tx_act_of_choice(c->activation);
    tx_init init = {TX_INIT_UNIFORM, (real)c->generator_init};

    m->n_net = 2;
    m->net[GENERATOR] = tx_params_new("generator");
    m->net[DISCRIMINATOR] = tx_params_new("discriminator");
    s->generator = c->generator_init > 0
                       ? tx_mlp_add_init(m->net[GENERATOR], "layer", k, &c->generator_hidden, d, act, TX_LINEAR, init)
                       : tx_mlp_add(m->net[GENERATOR], "layer", k, &c->generator_hidden, d, act, TX_LINEAR);
    s->discriminator = add_discriminator(m->net[DISCRIMINATOR], c, d);
}

static void init(tx_model *m)
{
    gan *s = m->state;
    tx_output_bias(m->space, tx_params_value(m->net[GENERATOR], s->generator.b[s->generator.n - 1]).x);
}

static tx_latent latent(const tx_model *m)
{
    const gan_config *c = m->config;
    return (tx_latent){(size_t)c->latent, priors[c->prior]};
}

/* The uniform prior on (-sqrt 3, sqrt 3), of variance 1 as the normal one has, is sqrt 3 tanh(z/2) of a logistic z. */
static tx_var generate(tx_model *m, tx_tape *t, tx_var z)
{
    if (((const gan_config *)m->config)->prior == PRIOR_UNIFORM)
        z = tx_scale(t, tx_activation(t, tx_scale(t, z, (real)0.5), TX_TANH), (real)1.7320508075688772);
    return tx_mlp_apply(t, m->net[GENERATOR], &((gan *)m->state)->generator, z);
}

/* G(z) of the noise rows first, first + 1, ... of stream r, in the space's units. */
static tx_var fakes(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n)
{
    tx_latent z = latent(m);
    return tx_output(t, m->space, generate(m, t, tx_latent_noise(t, z.prior->fill, r, first, n, z.dim)));
}

/* Logits l(x) of D, [n,1]; `parts` equal batches below one another have dropout noise from streams of that purpose. A
 * box is seen as [0,1]^D. */
static tx_var discriminate(tx_model *m, tx_tape *t, tx_rng r, size_t parts, const char *const purpose[], tx_var x)
{
    const gan_config *c = m->config;
    const tx_space *b = m->space;
    const tx_mlp *d = &((gan *)m->state)->discriminator;
    const tx_params *p = m->net[DISCRIMINATOR];
    if (tx_space_bounded(b) && !(b->lower == 0 && b->upper == 1))
        x = tx_affine(t, x, (real)(1 / (b->upper - b->lower)), (real)(-b->lower / (b->upper - b->lower)));
    for (int i = 0; i < d->n; i++) {
        double keep = i == 0 ? c->keep_input : c->keep_hidden;
        bool last = i == d->n - 1;
        tx_rng noise[MAX_PARTS];
        for (size_t k = 0; k < parts; k++) noise[k] = tx_rng_fold(tx_rng_named(r, purpose[k]), (uint64_t)i);
        if (keep < 1) x = tx_dropout(t, x, (real)keep, parts, noise);
        x = tx_dense(t, x, tx_params_var(p, d->w[i]), tx_params_var(p, d->b[i]), last ? d->out : d->hidden);
        if (!last && maxout(c)) x = tx_max_groups(t, x, (size_t)c->maxout_pieces);
    }
    return x;
}

/* Mean of scale softplus(sign l). */
static tx_var penalty(tx_tape *t, tx_var l, real sign, real scale)
{
    if (sign < 0) l = tx_scale(t, l, -1);
    tx_var each = tx_mean(t, tx_activation(t, l, TX_SOFTPLUS));
    return scale == 1 ? each : tx_scale(t, each, scale);
}

/* - E log D(x) - E log(1 - D(G(z))); a target of 1 - eps for data adds eps E l(x). */
static tx_var discriminator_loss(const gan_config *c, tx_tape *t, tx_var real_logit, tx_var fake_logit)
{
    tx_var loss = tx_add(t, penalty(t, real_logit, -1, 1), penalty(t, fake_logit, 1, 1));
    if (c->label_smoothing == 0) return loss;
    return tx_add(t, loss, tx_scale(t, tx_mean(t, real_logit), (real)c->label_smoothing));
}

static double mean_probability(tx_tape *t, tx_var logit)
{
    return (double)tx_mean(t, tx_activation(t, logit, TX_SIGMOID))->v.x[0];
}

static void report(tx_metrics *out, double loss_g, double loss_d, double d_real, double d_fake)
{
    const tx_metrics all = {5,
                            {{"objective", loss_d},
                             {"loss_generator", loss_g},
                             {"loss_discriminator", loss_d},
                             {"d_real", d_real},
                             {"d_fake", d_fake}}};
    *out = all;
}

/* Algorithm 1 of the paper: k steps of D, each with noise of its own, then one of G through the updated D. D sees data
 * and fakes as one batch: half as many products of twice the rows. G is shown the last batch of fakes again, which is
 * still on the tape. */
static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    static const char *const purposes[MAX_PARTS] = {"dropout of data", "dropout of fakes"};
    static const char *const purpose_g[] = {"dropout of the generator"};
    const gan_config *c = m->config;
    tx_tape *t = s->tape;
    tx_step turn = *s;
    size_t n = tx_rows(x);
    tx_var fake = NULL, real_logit = NULL, fake_logit = NULL, loss_d = NULL;

    turn.rate = s->rate * c->discriminator_rate;
    for (int k = 0; k < c->discriminator_steps; k++) {
        if (k > 0) tx_model_bind(m, t);
        tx_rng r = tx_rng_fold(s->rng, (uint64_t)k);
        fake = fakes(m, t, tx_rng_named(r, "latent"), 0, n);
        tx_var logit = discriminate(m, t, r, 2, purposes, tx_concat_rows(t, tx_leaf(t, x), fake));
        real_logit = tx_take_rows(t, logit, 0, n);
        fake_logit = tx_take_rows(t, logit, n, 2 * n);
        loss_d = discriminator_loss(c, t, real_logit, fake_logit);
        TX_TRY(tx_model_descend(m, &turn, DISCRIMINATOR, loss_d, "the discriminator's loss"));
    }
    turn.rate = s->rate * c->generator_rate;
    tx_var new_logit = discriminate(m, t, s->rng, 1, purpose_g, fake);
    tx_var loss_g = penalty(t, new_logit, games[c->game].sign, games[c->game].scale);
    TX_TRY(tx_model_descend(m, &turn, GENERATOR, loss_g, "the generator's loss"));
    report(out, (double)loss_g->v.x[0], (double)loss_d->v.x[0], mean_probability(t, real_logit),
           mean_probability(t, fake_logit));
    return TX_OK;
}

static tx_var draw(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n)
{
    return fakes(m, t, tx_rng_named(r, "latent"), first, n);
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    memcpy(x.x, draw(m, t, r, first, tx_rows(x))->v.x, tx_len(x) * sizeof(real));
}

/* On {0,1}^D a draw from Bernoullis with means G(z), on levels the nearest level, elsewhere G(z). */
static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    const tx_space *b = m->space;
    tx_var g = draw(m, t, r, first, tx_rows(x));
    size_t n = tx_len(x);
    if (b->measure == TX_COUNTING && b->levels == 2)
        tx_rng_bernoulli(tx_rng_named(r, "observation"), first * b->dim, n, g->v.x, x.x);
    else
        for (size_t i = 0; i < n; i++) x.x[i] = b->measure == TX_COUNTING ? (real)rint((double)g->v.x[i]) : g->v.x[i];
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
            "uniform}]",
    .check = check,
    .build = build,
    .init = init,
    .latent = latent,
    .generate = generate,
    .sample = sample,
    .sample_mean = sample_mean,
    .train_step = train_step,
};
