/** Fully visible belief network with logistic conditionals: Neal 1992; Frey 1998. One logistic regression a variable on
 *  the variables before it: the masked net without hidden layers. */
#include "models/fvbn/arnet.h"

typedef struct fvbn_config {
    int order, order_seed;
} fvbn_config;

static const tx_option options[] = {
    {"order", TX_OPT_CHOICE, offsetof(fvbn_config, order), "natural", 0, 0, "natural|random",
     "order of the variables: as they are stored (raster), or a permutation", "Frey 1998"},
    {"order_seed", TX_OPT_INT, offsetof(fvbn_config, order_seed), "0", 0, 2147483647, NULL,
     "which permutation, where the order is random", NULL},
    {0},
};

static void build(tx_model *m)
{
    const fvbn_config *c = m->config;
    tx_arnet_spec spec = {.dim = m->space->dim, .per = 1, .n_head = 1, .head = {""}, .n_mask = 1};
    spec.head_init = (tx_init){TX_INIT_NORMAL, (real)0.01};
    spec.random_order = c->order == 1;
    spec.seed = c->order_seed;
    tx_arnet_build(m->state, m, &spec);
}

static void init(tx_model *m)
{
    const tx_arnet *a = m->state;
    tx_bernoulli_bias(m->space, tx_params_value(a->net, a->head_b[0]));
    tx_arnet_init(a, m);
}

static void destroy(tx_model *m) { tx_arnet_free(m->state); }

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var logit;
    tx_arnet_apply(m->state, t, 0, x, &logit);
    return tx_bernoulli_logp(t, logit, x);
}

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    return tx_ascend_first(m, s, log_prob(m, s->tape, tx_leaf(s->tape, x)), out);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_arnet_sample_bernoulli(m->state, t, r, first, NULL, NULL, false, x);
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_arnet_sample_bernoulli(m->state, t, r, first, NULL, NULL, true, x);
}

const tx_model_ops tx_model_fvbn = {
    .name = "fvbn",
    .summary = "fully visible belief network: a logistic regression a variable",
    .citation = "neal1992connectionist",
    .taxonomy_path = "explicit/tractable/fvbn",
    .spaces = TX_ON_BINARY,
    .state_size = sizeof(tx_arnet),
    .config_size = sizeof(fvbn_config),
    .options = options,
    .toys = "[{}, {order: random, order_seed: 3}]",
    .build = build,
    .init = init,
    .destroy = destroy,
    .log_prob = log_prob,
    .conditional = &tx_arnet_conditional,
    .sample = sample,
    .sample_mean = sample_mean,
    .sequential_steps = tx_steps_per_variable,
    .train_step = train_step,
};
