/** Semi-supervised generative adversarial network: D tells K classes and fakes, G matches its features.
 *  Salimans et al. 2016 (salimans2016improved), sections 3.1 and 5. Letters: l_k(x) the K outputs of D, with that of
 * fakes held at 0, f(x) its last hidden layer, v(x) = log sum_k exp l_k(x), so that D(x) = sigmoid(v(x)). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/latent.h"
#include "common/model/output.h"
#include "models/gan/discriminator.h"

enum { GENERATOR };
#define KEEP (real)0.9 /* of the running statistics a step */
typedef struct sgan_config {
    int latent, n_label;
    double unlabelled_weight, noise_input, noise_hidden;
    tx_ints generator_hidden, discriminator_hidden;
} sgan_config;
typedef struct sgan {
    tx_mlp generator, discriminator;
    tx_batchnorm norm[TX_MLP_MAX]; /* of G's hidden layers */
    uint32_t *labelled;            /* [n_label] rows; NULL before the first step */
} sgan;

#define FIELD(f) offsetof(sgan_config, f)
static const tx_option options[] = {
    {"latent", TX_OPT_INT, FIELD(latent), "100", 1, 65536, NULL, "dimension of z ~ N(0, I)", "the authors' code"},
    {"generator_hidden", TX_OPT_INTS, FIELD(generator_hidden), "[500, 500]", 1, 65536, NULL,
     "softplus units of each hidden layer of G, with batch normalisation", "the authors' code"},
    {"discriminator_hidden", TX_OPT_INTS, FIELD(discriminator_hidden), "[1000, 500, 250, 250, 250]", 1, 65536, NULL,
     "ReLU units of each hidden layer of D", "the authors' code"},
    {"n_label", TX_OPT_INT, FIELD(n_label), "100", 2, 1000000000, NULL,
     "training rows whose labels are seen, in equal shares of each class, others for each seed", NULL},
    {"unlabelled_weight", TX_OPT_REAL, FIELD(unlabelled_weight), "1", 0, 1e6, NULL,
     "of the game in what D descends; 0: D learns from the labelled rows alone", "the authors' code"},
    {"noise_input", TX_OPT_REAL, FIELD(noise_input), "0.3", 0, 1e3, NULL,
     "deviation of the normal noise on D's input in training", "the authors' code"},
    {"noise_hidden", TX_OPT_REAL, FIELD(noise_hidden), "0.5", 0, 1e3, NULL, "the same on D's hidden layers",
     "the authors' code"},
    {0},
};

static tx_status check(const tx_model *m)
{
    const sgan_config *c = m->config;
    const tx_space *s = m->space;
    if (c->generator_hidden.n >= TX_MLP_MAX || c->discriminator_hidden.n >= TX_MLP_MAX)
        return tx_fail(TX_ECONFIG, "sgan: at most %d hidden layers are possible", TX_MLP_MAX - 1);
    if ((size_t)c->n_label < s->n_class || (size_t)c->n_label > s->n_train)
        return tx_fail(TX_ECONFIG, "sgan: 'n_label': expected %zu (one a class) to %zu (all training rows); found %d",
                       s->n_class, s->n_train, c->n_label);
    return TX_OK;
}

static void build(tx_model *m)
{
    const sgan_config *c = m->config;
    sgan *s = m->state;
    m->n_net = 3;
    m->net[GENERATOR] = tx_params_new("generator");
    m->net[TX_DISCRIMINATOR] = tx_params_new("discriminator");
    m->net[TX_STATISTICS] = tx_params_new_state("statistics");
    s->generator = tx_mlp_add(m->net[GENERATOR], "layer", (size_t)c->latent, &c->generator_hidden, m->space->dim,
                              TX_SOFTPLUS, TX_LINEAR);
    s->discriminator = tx_mlp_add(m->net[TX_DISCRIMINATOR], "layer", m->space->dim, &c->discriminator_hidden,
                                  m->space->n_class, TX_RELU, TX_LINEAR);
    for (int i = 0; i < c->generator_hidden.n; i++) {
        char name[TX_NAME_MAX];
        snprintf(name, sizeof name, "generator_layer%d", i);
        s->norm[i] = tx_batchnorm_add(m->net[TX_STATISTICS], name, (size_t)c->generator_hidden.v[i]);
    }
}

static void init(tx_model *m)
{
    const tx_mlp *g = &((sgan *)m->state)->generator;
    tx_output_bias(m->space, tx_params_value(m->net[GENERATOR], g->b[g->n - 1]).x);
}

static void destroy(tx_model *m) { free(((sgan *)m->state)->labelled); }

static tx_latent latent(const tx_model *m)
{
    return (tx_latent){(size_t)((const sgan_config *)m->config)->latent, &tx_prior_normal};
}

/* Normalised by the batch in training, else by the running statistics. */
static tx_var last_layer(tx_model *m, tx_tape *t, tx_var z, bool training)
{
    const sgan *s = m->state;
    const tx_mlp *g = &s->generator;
    tx_params *p = m->net[GENERATOR], *running = m->net[TX_STATISTICS];
    tx_var x = z;
    for (int i = 0; i < g->n - 1; i++) {
        x = tx_matmul(t, x, false, tx_params_var(p, g->w[i]), false);
        x = training ? tx_batchnorm_train(t, running, &s->norm[i], x, KEEP, NULL)
                     : tx_batchnorm_apply(t, running, &s->norm[i], x, NULL);
        x = tx_activation(t, tx_add_row(t, x, tx_params_var(p, g->b[i])), g->hidden);
    }
    return tx_dense(t, x, tx_params_var(p, g->w[g->n - 1]), tx_params_var(p, g->b[g->n - 1]), TX_LINEAR);
}

static tx_var generate(tx_model *m, tx_tape *t, tx_var z) { return last_layer(m, t, z, false); }

static tx_var fakes(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n, bool training)
{
    tx_latent z = latent(m);
    tx_var noise = tx_latent_noise(t, z.prior->fill, tx_rng_named(r, "latent"), first, n, z.dim);
    return tx_output(t, m->space, last_layer(m, t, noise, training));
}

/* l(x) [n,K], and f(x) in *feature; `noise`: of training, NULL: none. */
static tx_var discriminate(const tx_model *m, tx_tape *t, tx_var x, const tx_rng *noise, tx_var *feature)
{
    static const tx_discriminator_config alone = {.packing = 1};
    const sgan_config *c = m->config;
    const tx_mlp *d = &((const sgan *)m->state)->discriminator;
    const tx_params *p = m->net[TX_DISCRIMINATOR];
    x = tx_discriminator_view(t, &alone, m->space, x);
    for (int i = 0; i < d->n; i++) {
        double sigma = i ? c->noise_hidden : c->noise_input;
        if (i == d->n - 1) *feature = x;
        if (noise && sigma > 0) {
            tx_rng r = tx_rng_fold(*noise, (uint64_t)i);
            tx_var e = tx_latent_noise(t, tx_prior_normal.fill, r, 0, tx_rows(x->v), tx_cols(x->v));
            x = tx_add(t, x, tx_scale(t, e, (real)sigma));
        }
        x = tx_dense(t, x, tx_params_var(p, d->w[i]), tx_params_var(p, d->b[i]), i < d->n - 1 ? d->hidden : d->out);
    }
    return x;
}

static tx_var classify(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var f;
    return discriminate(m, t, x, NULL, &f);
}

static size_t n_label(const tx_model *m) { return (size_t)((const sgan_config *)m->config)->n_label; }

/* n labelled rows, drawn with replacement, and their labels one in K. */
static tx_var labelled_rows(tx_model *m, const tx_step *step, size_t n, tx_var *one)
{
    sgan *s = m->state;
    tx_tape *t = step->tape;
    size_t k = m->space->n_class;
    TX_REQUIRE(step->view, "a step of sgan without a view");
    const uint8_t *label = step->view->data->split[TX_TRAIN].label;
    if (!s->labelled) {
        s->labelled = tx_alloc(n_label(m), sizeof *s->labelled);
        tx_view_labelled(step->view, step->seed, n_label(m), s->labelled);
    }
    tx_tensor x = tx_tape_tensor(t, n, m->space->dim), y = tx_tape_tensor(t, n, k);
    uint32_t *row = tx_arena_alloc(tx_tape_arena(t), n * sizeof *row);
    tx_rng r = tx_rng_named(step->rng, "labelled");
    memset(y.x, 0, n * k * sizeof *y.x);
    for (size_t i = 0; i < n; i++) {
        row[i] = s->labelled[(size_t)(tx_rng_uniform1(r, i) * (double)n_label(m))];
        y.x[i * k + label[row[i]]] = 1;
    }
    tx_view_rows(step->view, TX_TRAIN, step->seed, step->number, row, n, x.x, NULL);
    *one = tx_leaf(t, y);
    return tx_leaf(t, x);
}

static tx_var softplus_mean(tx_tape *t, tx_var v, real sign)
{
    return tx_mean(t, tx_activation(t, tx_scale(t, v, sign), TX_SOFTPLUS));
}

/* D's step: - E log p(label | x, x is data) of labelled rows, and - 1/2 E log D(x) - 1/2 E log(1 - D(G(z))). */
static tx_status teach(tx_model *m, tx_step *s, tx_var data, tx_var fake, tx_metrics *out)
{
    const sgan_config *c = m->config;
    tx_tape *t = s->tape;
    size_t n = tx_rows(data->v);
    tx_rng noise = tx_rng_named(s->rng, "noise of D");
    tx_var one, f, x = labelled_rows(m, s, n, &one);
    tx_var l = discriminate(m, t, tx_concat_rows(t, tx_concat_rows(t, x, data), fake), &noise, &f);
    tx_var v = tx_logsumexp(t, l), v_data = tx_take_rows(t, v, n, 2 * n), v_fake = tx_take_rows(t, v, 2 * n, 3 * n);
    tx_var right = tx_sum_rows(t, tx_mul(t, tx_take_rows(t, l, 0, n), one));
    tx_var labels = tx_mean(t, tx_sub(t, tx_take_rows(t, v, 0, n), right));
    tx_var game = tx_scale(t, tx_add(t, softplus_mean(t, v_data, -1), softplus_mean(t, v_fake, 1)), (real)0.5);
    tx_var loss = tx_add(t, labels, tx_scale(t, game, (real)c->unlabelled_weight));
    TX_TRY(tx_model_descend(m, s, TX_DISCRIMINATOR, loss, "the discriminator's loss"));
    tx_var d_data = tx_mean(t, tx_activation(t, v_data, TX_SIGMOID));
    tx_var d_fake = tx_mean(t, tx_activation(t, v_fake, TX_SIGMOID));
    *out = (tx_metrics){5,
                        {{"objective", (double)loss->v.x[0]},
                         {"loss_labelled", (double)labels->v.x[0]},
                         {"loss_unlabelled", (double)game->v.x[0]},
                         {"d_real", (double)d_data->v.x[0]},
                         {"d_fake", (double)d_fake->v.x[0]}}};
    return TX_OK;
}

/* G's step through the updated D: the mean over features of (E f(x) - E f(G(z)))^2. */
static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    tx_tape *t = s->tape;
    size_t n = tx_rows(x);
    tx_rng noise = tx_rng_named(s->rng, "noise of G's step");
    tx_var data = tx_leaf(t, x), fake = fakes(m, t, s->rng, 0, n, true), f;
    TX_TRY(teach(m, s, data, fake, out));
    discriminate(m, t, tx_concat_rows(t, data, fake), &noise, &f);
    tx_var of_data = tx_sum_cols(t, tx_take_rows(t, f, 0, n)), of_fakes = tx_sum_cols(t, tx_take_rows(t, f, n, 2 * n));
    tx_var gap = tx_scale(t, tx_sub(t, of_data, of_fakes), (real)(1 / (double)n));
    tx_var loss = tx_mean(t, tx_mul(t, gap, gap));
    TX_TRY(tx_model_descend(m, s, GENERATOR, loss, "the generator's loss"));
    out->m[out->n].name = "loss_generator", out->m[out->n++].value = (double)loss->v.x[0];
    return TX_OK;
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    memcpy(x.x, fakes(m, t, r, first, tx_rows(x), false)->v.x, tx_len(x) * sizeof(real));
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_output_sample(m->space, r, first, tx_rows(x), fakes(m, t, r, first, tx_rows(x), false)->v.x, x.x);
}

const tx_model_ops tx_model_sgan = {
    .name = "sgan",
    .summary = "semi-supervised generative adversarial network: D tells classes and fakes, G matches its features",
    .citation = "salimans2016improved",
    .taxonomy_path = "implicit/direct/gan",
    .spaces = TX_ON_BINARY | TX_ON_LEVELS | TX_ON_REAL | TX_WITH_LABELS,
    .state_size = sizeof(sgan),
    .config_size = sizeof(sgan_config),
    .options = options,
    .toys = "[{latent: 3, generator_hidden: [6], discriminator_hidden: [7, 5], n_label: 12},"
            " {latent: 2, generator_hidden: [5, 4], discriminator_hidden: [6], n_label: 20, noise_input: 0, "
            "noise_hidden: 0,"
            " unlabelled_weight: 0.7}]",
    .check = check,
    .build = build,
    .init = init,
    .destroy = destroy,
    .latent = latent,
    .generate = generate,
    .classify = classify,
    .n_label = n_label,
    .sample = sample,
    .sample_mean = sample_mean,
    .train_step = train_step,
};
