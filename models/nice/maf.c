/** Masked autoregressive flow, Papamakarios et al. 2017: affine maps of each variable by those before it, all at once
 * in the direction of the density, variable by variable in that of samples. Letters: x data, u the output of a block, m
 *  its means, a its log-scales (alpha), z the last u. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "models/fvbn/arnet.h"
#include "models/nice/flow.h"

enum { MAX_BLOCKS = 16, MEAN = 0, LOG_SCALE, N_HEAD, LANES = TX_ARNET_LANES };

typedef struct maf_config {
    int blocks, activation;
    tx_ints hidden;
    bool batch_norm, data_init;
    double keep, max_log_scale, min_deviation;
} maf_config;
typedef struct maf {
    tx_diagonal diagonal;
    tx_arnet block[MAX_BLOCKS];
    tx_normaliser norm[MAX_BLOCKS];
    tx_shuffle reverse;
} maf;

static const tx_option options[] = {
    {"blocks", TX_OPT_INT, offsetof(maf_config, blocks), "5", 1, MAX_BLOCKS, NULL,
     "autoregressive maps, each in the reverse order of the one before", "Papamakarios et al. 2017, section 4: 5, 10"},
    {"hidden", TX_OPT_INTS, offsetof(maf_config, hidden), "[500]", 1, 100000, NULL,
     "units of each hidden layer of a block, 1 to 8 layers", "Papamakarios et al. 2017: MNIST one of 1024"},
    {"activation", TX_OPT_CHOICE, offsetof(maf_config, activation), "relu", 0, 0, TX_ACT_CHOICES, "of the hidden units",
     "Papamakarios et al. 2017, section 4: relu or tanh"},
    {"batch_norm", TX_OPT_BOOL, offsetof(maf_config, batch_norm), "true", 0, 0, NULL,
     "batch normalisation after every block", "Papamakarios et al. 2017, section 4"},
    {"keep", TX_OPT_REAL, offsetof(maf_config, keep), "0.99", 0, 0.99999, NULL,
     "of batch_norm: how much of the running statistics a step keeps", NULL},
    {"max_log_scale", TX_OPT_REAL, offsetof(maf_config, max_log_scale), "5", 0, 100, NULL,
     "a block's log-scales are this times tanh of their share of it, so that they stay inside; 0: no bound",
     "Papamakarios et al. 2017: no bound"},
    {"data_init", TX_OPT_BOOL, offsetof(maf_config, data_init), "true", 0, 0, NULL,
     "start where z has about mean 0 and deviation 1 on the training data", NULL},
    {"min_deviation", TX_OPT_REAL, offsetof(maf_config, min_deviation), "0.05", 1e-6, 1, NULL,
     "of data_init: a deviation below this much of the largest is taken for that; what is narrower is left to training",
     NULL},
    {0},
};

static tx_status check(const tx_model *m)
{
    const maf_config *c = m->config;
    if (c->hidden.n < 1 || c->hidden.n > TX_ARNET_HIDDEN)
        return tx_fail(TX_ECONFIG, "maf: hidden has %d layers, 1 to %d are possible", c->hidden.n, TX_ARNET_HIDDEN);
    return TX_OK;
}

static void build(tx_model *m)
{
    const maf_config *c = m->config;
    maf *s = m->state;
    size_t d = m->space->dim;
    m->n_net = c->batch_norm ? 2 : 1;
    m->net[0] = tx_params_new("flow");
    if (c->batch_norm) m->net[1] = tx_params_new_state("running");
    s->diagonal = tx_diagonal_add(m->net[0], d);
    s->reverse = tx_shuffle_reverse(d);
    tx_arnet_spec spec = {.dim = d, .per = 1, .hidden = c->hidden, .n_mask = 1, .n_head = N_HEAD, .into = m->net[0]};
    spec.act = tx_act_of_choice(c->activation);
    spec.head[MEAN] = "_mean", spec.head[LOG_SCALE] = "_log_scale";
    spec.no_bias[LOG_SCALE] = c->batch_norm; /* a factor for a whole column */
    spec.head_init = (tx_init){TX_INIT_NORMAL, (real)0.01};
    for (int k = 0; k < c->blocks; k++) {
        char name[TX_NAME_MAX];
        snprintf(spec.prefix, sizeof spec.prefix, "block%d_", k);
        tx_arnet_build(&s->block[k], m, &spec);
        snprintf(name, sizeof name, "block%d", k);
        if (c->batch_norm) s->norm[k] = tx_normaliser_add(m->net[0], m->net[1], name, d);
    }
}

static void init(tx_model *m)
{
    const maf_config *c = m->config;
    const maf *s = m->state;
    if (c->data_init) tx_diagonal_start(m->net[0], s->diagonal, m->space, 1, c->min_deviation);
}

static void destroy(tx_model *m)
{
    maf *s = m->state;
    for (int k = 0; k < ((const maf_config *)m->config)->blocks; k++) tx_arnet_free(&s->block[k]);
    tx_shuffle_free(&s->reverse);
}

/* a = c tanh(a/c). */
static tx_var bounded(tx_tape *t, tx_var a, real c)
{
    return c > 0 ? tx_scale(t, tx_activation(t, tx_scale(t, a, 1 / c), TX_TANH), c) : a;
}

/* z, and log |det dz/dx| in *log_det; keep as tx_normaliser_encode takes it. */
static tx_var forward(tx_model *m, tx_tape *t, tx_var x, double keep, tx_var *log_det)
{
    const maf_config *c = m->config;
    const maf *s = m->state;
    *log_det = tx_diagonal_log_det(t, m->net[0], s->diagonal, tx_rows(x->v));
    x = tx_diagonal_encode(t, m->net[0], s->diagonal, x);
    for (int k = 0; k < c->blocks; k++) {
        tx_var out[N_HEAD];
        if (k > 0) x = tx_shuffle_cols(t, &s->reverse, false, x);
        tx_arnet_apply(&s->block[k], t, 0, x, out);
        tx_var a = bounded(t, out[LOG_SCALE], (real)c->max_log_scale);
        x = tx_mul(t, tx_sub(t, x, out[MEAN]), tx_exp(t, tx_scale(t, a, -1)));
        *log_det = tx_sub(t, *log_det, tx_sum_rows(t, a));
        if (c->batch_norm) x = tx_normaliser_encode(t, m->net[0], m->net[1], &s->norm[k], x, keep, log_det);
    }
    return x;
}

static tx_var encode(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var log_det;
    return forward(m, t, x, -1, &log_det);
}

static tx_var log_prob_by(tx_model *m, tx_tape *t, tx_var x, double keep)
{
    tx_var log_det, z = forward(m, t, x, keep, &log_det);
    return tx_add(t, tx_prior_normal.logp(t, z), log_det);
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x) { return log_prob_by(m, t, x, -1); }

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    tx_var logp = log_prob_by(m, s->tape, tx_leaf(s->tape, x), ((const maf_config *)m->config)->keep);
    return tx_ascend_first(m, s, logp, out);
}

typedef struct inverse {
    real *x, bound;
    size_t dim;
} inverse;

/* inverse->x holds u and receives x = u exp(a) + m. */
static void draw(const void *ctx, size_t var, const uint32_t row[], size_t n, real *const out[], real x[])
{
    const inverse *v = ctx;
    real *a = out[LOG_SCALE];
    if (v->bound > 0) {
        tx_vec_affine(LANES, 1 / v->bound, a, 0, a);
        tx_vec_act(TX_TANH, LANES, a, a);
        tx_vec_affine(LANES, v->bound, a, 0, a);
    }
    tx_vec_exp(LANES, a, a);
    for (size_t l = 0; l < LANES; l++) x[l] = 0;
    for (size_t l = 0; l < n; l++) {
        real *at = &v->x[row[l] * v->dim + var];
        x[l] = *at = *at * a[l] + out[MEAN][l];
    }
}

static void invert_eval(tx_tape *t, tx_node *y)
{
    inverse v = {y->v.x, y->a.f, tx_cols(y->v)};
    memcpy(y->v.x, y->in[0]->v.x, tx_len(y->v) * sizeof(real));
    tx_arnet_sample(y->a.p, t, NULL, tx_rows(y->v), draw, &v);
}

/* No rule: a gradient of the inverse would again go variable by variable. */
static const tx_op invert = {"invert_block", 1, invert_eval, NULL};

static tx_var decode(tx_model *m, tx_tape *t, tx_var z)
{
    const maf_config *c = m->config;
    const maf *s = m->state;
    for (int k = c->blocks; k-- > 0;) {
        if (c->batch_norm) z = tx_normaliser_decode(t, m->net[0], m->net[1], &s->norm[k], z);
        tx_attr block = {.p = &s->block[k], .f = (real)c->max_log_scale};
        z = tx_apply(t, &invert, z->v.shape, (tx_var[]){z}, block);
        if (k > 0) z = tx_shuffle_cols(t, &s->reverse, true, z);
    }
    return tx_diagonal_decode(t, m->net[0], s->diagonal, z);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_flow_sample(m, t, &tx_prior_normal, r, first, x);
}

static double sequential_steps(const tx_model *m)
{
    return (double)m->space->dim * ((const maf_config *)m->config)->blocks;
}

const tx_model_ops tx_model_maf = {
    .name = "maf",
    .summary = "masked autoregressive flow: affine maps by masked autoencoders",
    .citation = "papamakarios2017masked",
    .taxonomy_path = "explicit/tractable/change_of_variables",
    .spaces = TX_ON_REAL,
    .state_size = sizeof(maf),
    .config_size = sizeof(maf_config),
    .options = options,
    .toys = "[{hidden: [7], blocks: 2, batch_norm: false, max_log_scale: 0.8}, "
            "{hidden: [6, 5], blocks: 3, activation: tanh, max_log_scale: 0.4}, "
            "{hidden: [5], blocks: 1, data_init: false, activation: tanh, max_log_scale: 0}]",
    .check = check,
    .build = build,
    .init = init,
    .destroy = destroy,
    .log_prob = log_prob,
    .sample = sample,
    .sequential_steps = sequential_steps,
    .encode = encode,
    .decode = decode,
    .train_step = train_step,
};
