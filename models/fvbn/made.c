/** MADE: masked autoencoder for distribution estimation, Germain et al. 2015. With several sets of masks the model is
 * the uniform mixture of one density a set: likelihoods are averaged, never logits. */
#include "models/fvbn/arnet.h"
#include <math.h>

typedef struct made_config {
    tx_ints hidden;
    int activation, order, degrees, masks, mask_seed;
    bool direct;
} made_config;

static const tx_option options[] = {
    {"hidden", TX_OPT_INTS, offsetof(made_config, hidden), "[500]", 1, 100000, NULL,
     "units of each hidden layer, at most 8 layers; none at all is a fully visible belief network",
     "Germain et al. 2015: 500 units, and 8000 for their best"},
    {"activation", TX_OPT_CHOICE, offsetof(made_config, activation), "relu", 0, 0, TX_ACT_CHOICES,
     "of the hidden units", "Germain et al. 2015: relu on MNIST"},
    {"direct", TX_OPT_BOOL, offsetof(made_config, direct), "false", 0, 0, NULL,
     "also masked weights from the inputs to the outputs", "Germain et al. 2015, section 4"},
    {"order", TX_OPT_CHOICE, offsetof(made_config, order), "natural", 0, 0, "natural|random",
     "order of the variables: raster, or a permutation for each set of masks", "Germain et al. 2015, section 4.3"},
    {"degrees", TX_OPT_CHOICE, offsetof(made_config, degrees), "even", 0, 0, "even|random",
     "how many variables a hidden unit may see: spread evenly, or drawn for each set of masks",
     "Germain et al. 2015, section 4.2: drawn"},
    {"masks", TX_OPT_INT, offsetof(made_config, masks), "1", 1, TX_ARNET_MASKS, NULL,
     "sets of masks: training goes round them step by step, the likelihood is the mean of theirs",
     "Germain et al. 2015, section 4.4"},
    {"mask_seed", TX_OPT_INT, offsetof(made_config, mask_seed), "0", 0, 2147483647, NULL,
     "names the permutations and drawn degrees", NULL},
    {0},
};

static tx_status check(const tx_model *m)
{
    const made_config *c = m->config;
    if (c->hidden.n > TX_ARNET_HIDDEN)
        return tx_fail(TX_ECONFIG, "made: hidden has %d layers, at most %d are possible", c->hidden.n, TX_ARNET_HIDDEN);
    if (c->masks > 1 && !c->order && !(c->degrees && c->hidden.n))
        return tx_fail(TX_ECONFIG, "made: masks is %d, but all sets would be the same: set order or degrees to random",
                       c->masks);
    if (c->direct && !c->hidden.n)
        return tx_fail(TX_ECONFIG, "made: direct adds nothing to a net without hidden layers");
    return TX_OK;
}

static void build(tx_model *m)
{
    const made_config *c = m->config;
    tx_arnet_spec spec = {.dim = m->space->dim, .per = 1, .n_head = 1, .head = {"_out"}, .hidden = c->hidden};
    spec.act = tx_act_of_choice(c->activation);
    spec.direct = c->direct;
    spec.head_init = (tx_init){TX_INIT_GLOROT, 0};
    spec.n_mask = c->masks;
    spec.random_order = c->order == 1;
    spec.random_degrees = c->degrees == 1;
    spec.seed = c->mask_seed;
    tx_arnet_build(m->state, m, &spec);
}

static void init(tx_model *m)
{
    const tx_arnet *a = m->state;
    tx_bernoulli_bias(m->space, tx_params_value(a->net, a->head_b[0]));
    tx_arnet_init(a, m);
}

static void destroy(tx_model *m) { tx_arnet_free(m->state); }

static uint64_t n_ordering(const tx_model *m) { return (uint64_t)((const made_config *)m->config)->masks; }

static tx_var log_prob_along(tx_model *m, tx_tape *t, uint64_t mask, tx_var x)
{
    tx_var logit;
    TX_REQUIRE(mask < n_ordering(m), "made: set of masks %llu", (unsigned long long)mask);
    tx_arnet_apply(m->state, t, (int)mask, x, &logit);
    return tx_bernoulli_logp(t, logit, x);
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    uint64_t masks = n_ordering(m);
    tx_var all = log_prob_along(m, t, 0, x);
    if (masks == 1) return all;
    for (uint64_t k = 1; k < masks; k++) all = tx_concat_cols(t, all, log_prob_along(m, t, k, x));
    return tx_affine(t, tx_logsumexp(t, all), 1, (real)-log((double)masks));
}

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    uint64_t mask = s->number % n_ordering(m);
    return tx_ascend_first(m, s, log_prob_along(m, s->tape, mask, tx_leaf(s->tape, x)), out);
}

static void draw(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, bool mean, tx_tensor x)
{
    int masks = ((const made_config *)m->config)->masks;
    uint32_t *mask = tx_arena_alloc(tx_tape_arena(t), tx_rows(x) * sizeof *mask);
    tx_rng of_mask = tx_rng_named(r, "mask");
    for (size_t i = 0; i < tx_rows(x); i++) mask[i] = (uint32_t)(tx_rng_uniform1(of_mask, first + i) * masks);
    tx_arnet_sample_bernoulli(m->state, t, r, first, mask, NULL, mean, x);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x) { draw(m, t, r, first, false, x); }

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    draw(m, t, r, first, true, x);
}

const tx_model_ops tx_model_made = {
    .name = "made",
    .summary = "masked autoencoder with Bernoulli conditionals",
    .citation = "germain2015made",
    .taxonomy_path = "explicit/tractable/fvbn",
    .spaces = TX_ON_BINARY,
    .state_size = sizeof(tx_arnet),
    .config_size = sizeof(made_config),
    .options = options,
    .toys =
        "[{hidden: [7]}, {hidden: [9, 6], direct: true, activation: tanh, order: random, degrees: random, masks: 3}, "
        "{hidden: [], order: random, masks: 2}, {hidden: [8, 5], degrees: random, mask_seed: 4}]",
    .check = check,
    .build = build,
    .init = init,
    .destroy = destroy,
    .log_prob = log_prob,
    .n_ordering = n_ordering,
    .log_prob_along = log_prob_along,
    .conditional = &tx_arnet_conditional,
    .sample = sample,
    .sample_mean = sample_mean,
    .sequential_steps = tx_steps_per_variable,
    .train_step = train_step,
};
