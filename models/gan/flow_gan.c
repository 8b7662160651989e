/** Flow-GAN: NICE as a generator, so that an adversary's samples have a likelihood.
 *  Grover, Dhar & Ermon 2018 (grover2018flow). Letters: G = f^-1 of NICE, D the critic, lambda the weight of the
 * likelihood (their eq. 6). */
#include <string.h>
#include "models/gan/discriminator.h"
#include "models/nice/nice.h"

enum { FLOW };
enum { LIKELIHOOD, ADVERSARIAL, HYBRID };
typedef struct flow_gan_config {
    tx_nice_config nice;
    tx_discriminator_config d;
    int objective;
    double lambda, discriminator_rate;
} flow_gan_config;
typedef struct flow_gan {
    tx_nice nice;
    tx_discriminator d;
} flow_gan;

static const tx_option options[] = {
    TX_NICE_OPTIONS("[400, 400]"),
    {"objective", TX_OPT_CHOICE, offsetof(flow_gan_config, objective), "hybrid", 0, 0, "likelihood|adversarial|hybrid",
     "what the flow ascends or descends: log p, its cost in the game, or the cost minus lambda log p",
     "grover2018flow, section 3"},
    {"lambda", TX_OPT_REAL, offsetof(flow_gan_config, lambda), "1", 0, 1e6, NULL,
     "of objective hybrid: weight of the log-likelihood, in nats an example", "grover2018flow, eq. 6"},
    {"discriminator_rate", TX_OPT_REAL, offsetof(flow_gan_config, discriminator_rate), "1", 0, 1e6, NULL,
     "D's learning rate as a multiple of train.learning_rate", NULL},
    TX_DISCRIMINATOR_OPTIONS(flow_gan_config, d, "wasserstein", "5"),
    {0},
};

static tx_status check(const tx_model *m)
{
    TX_TRY(tx_nice_check(m));
    return tx_discriminator_check(m, &((const flow_gan_config *)m->config)->d);
}

static void build(tx_model *m)
{
    const flow_gan_config *c = m->config;
    tx_nice_build(m);
    if (c->objective == LIKELIHOOD) return;
    m->n_net = tx_discriminator_normalised(&c->d) ? 3 : 2;
    if (m->n_net == 3) m->net[TX_STATISTICS] = tx_params_new_state("statistics");
    ((flow_gan *)m->state)->d = tx_discriminator_add(m, &c->d);
}

static bool keeps_last(const tx_model *m) { return ((const flow_gan_config *)m->config)->objective == ADVERSARIAL; }

static tx_var minus_log_prob(tx_model *m, tx_tape *t, tx_tensor x)
{
    return tx_scale(t, tx_mean(t, tx_nice_log_prob(m, t, tx_leaf(t, x))), -1);
}

/* k steps of D on this batch, each against fakes of its own; *fake: what D saw of the last ones. */
static tx_status teach(tx_model *m, tx_step *s, tx_tensor x, tx_meeting *e, tx_var *fake)
{
    const flow_gan_config *c = m->config;
    tx_tape *t = s->tape;
    tx_step turn = *s;
    turn.rate = s->rate * c->discriminator_rate;
    for (int k = 0; k < c->d.steps; k++) {
        if (k > 0) tx_model_bind(m, t);
        tx_rng r = tx_rng_fold(s->rng, (uint64_t)k);
        tx_tensor rows = tx_discriminator_rows(t, &c->d, x);
        tx_var drawn = tx_nice_draw(m, t, tx_rng_named(r, "latent"), 0, tx_rows(rows));
        tx_var data = tx_discriminator_view(t, &c->d, m->space, tx_leaf(t, rows));
        *fake = tx_discriminator_view(t, &c->d, m->space, drawn);
        *e = tx_discriminator_meet(m, t, &((flow_gan *)m->state)->d, &c->d, r, data, *fake);
        TX_TRY(tx_model_descend(m, &turn, TX_DISCRIMINATOR, e->loss, "the discriminator's loss"));
    }
    return TX_OK;
}

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    static const char *const purpose[] = {"dropout of the generator"};
    const flow_gan_config *c = m->config;
    tx_tape *t = s->tape;
    tx_meeting e = {0};
    tx_var fake = NULL, cost = NULL, loss = NULL, nll = NULL;
    if (c->objective != LIKELIHOOD) {
        TX_TRY(teach(m, s, x, &e, &fake));
        tx_var v = tx_discriminator_apply(m, t, &((flow_gan *)m->state)->d, &c->d, s->rng, 1, purpose, fake);
        loss = cost = tx_game_generator(t, &tx_games[c->d.game], v);
    }
    if (c->objective != ADVERSARIAL) nll = minus_log_prob(m, t, x);
    if (c->objective == HYBRID) loss = tx_add(t, cost, tx_scale(t, nll, (real)c->lambda));
    if (c->objective == LIKELIHOOD) loss = nll;
    TX_TRY(tx_model_descend(m, s, FLOW, loss, "the flow's objective"));
    *out = (tx_metrics){1, {{"objective", (double)loss->v.x[0]}}};
    if (cost) tx_meeting_report(t, &c->d, &e, cost, out);
    if (c->objective == HYBRID)
        out->m[out->n++].name = "log_likelihood", out->m[out->n - 1].value = -(double)nll->v.x[0];
    return TX_OK;
}

const tx_model_ops tx_model_flow_gan = {
    .name = "flow_gan",
    .summary = "NICE trained by likelihood, against a discriminator, or both",
    .citation = "grover2018flow",
    .taxonomy_path = "explicit/tractable/change_of_variables",
    .spaces = TX_ON_REAL,
    .state_size = sizeof(flow_gan),
    .config_size = sizeof(flow_gan_config),
    .options = options,
    .toys =
        "[{hidden: [7, 5], couplings: 3, discriminator_hidden: [6], discriminator_steps: 2},"
        " {hidden: [6], couplings: 2, objective: adversarial, game: minimax, discriminator_hidden: [5], packing: 2, "
        "prior: normal}]",
    .check = check,
    .build = build,
    .init = tx_nice_init,
    .log_prob = tx_nice_log_prob,
    .sample = tx_nice_sample,
    .encode = tx_nice_encode,
    .decode = tx_nice_decode,
    .keeps_last = keeps_last,
    .train_step = train_step,
};
