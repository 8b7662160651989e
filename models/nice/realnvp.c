/** Real NVP, Dinh et al. 2017, on vectors: affine couplings of two halves. Letters: x data, a and b the halves, s
 *  log-scales and t shifts of a coupling (equations 4 and 7), r its rescaling of s, z the code. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "models/fvbn/arnet.h"
#include "models/nice/flow.h"

enum { MAX_COUPLINGS = 32, SPLIT_INTERLEAVED = 0, SPLIT_CHECKERBOARD };

typedef struct nvp_config {
    int couplings, activation, split;
    tx_ints hidden;
    bool batch_norm, data_init;
    double keep, min_deviation;
} nvp_config;
typedef struct nvp {
    tx_diagonal diagonal;
    tx_mlp net[MAX_COUPLINGS]; /* half to s and t of the other, side by side */
    tx_param r[MAX_COUPLINGS];
    tx_normaliser norm[MAX_COUPLINGS];
    tx_shuffle halves; /* one half's columns, then the other's */
    size_t first;      /* columns of the one */
} nvp;

static const tx_option options[] = {
    {"couplings", TX_OPT_INT, offsetof(nvp_config, couplings), "6", 0, MAX_COUPLINGS, NULL,
     "affine couplings; 0 is a scaling alone", "Papamakarios et al. 2017: 5, 10 pairs"},
    {"hidden", TX_OPT_INTS, offsetof(nvp_config, hidden), "[500, 500]", 1, 65536, NULL,
     "units of each hidden layer of a coupling's network", "Papamakarios et al. 2017: 1 or 2 layers"},
    {"activation", TX_OPT_CHOICE, offsetof(nvp_config, activation), "relu", 0, 0, TX_ACT_CHOICES,
     "of the hidden layers", "Dinh et al. 2017: relu"},
    {"split", TX_OPT_CHOICE, offsetof(nvp_config, split), "interleaved", 0, 0, "interleaved|checkerboard",
     "halves: even and odd coordinates, or the two colours of an image's checkerboard",
     "Dinh et al. 2017, section 3.4: checkerboard"},
    {"batch_norm", TX_OPT_BOOL, offsetof(nvp_config, batch_norm), "true", 0, 0, NULL,
     "batch normalisation of the half that a coupling has moved", "Dinh et al. 2017, section 3.7"},
    {"keep", TX_OPT_REAL, offsetof(nvp_config, keep), "0.99", 0, 0.99999, NULL,
     "of batch_norm: how much of the running statistics a step keeps", NULL},
    {"data_init", TX_OPT_BOOL, offsetof(nvp_config, data_init), "true", 0, 0, NULL,
     "start where z has mean 0 and deviation 1 on the training data", NULL},
    {"min_deviation", TX_OPT_REAL, offsetof(nvp_config, min_deviation), "0.05", 1e-6, 1, NULL,
     "of data_init: a deviation below this much of the largest is taken for that; what is narrower is left to training",
     NULL},
    {0},
};

static int n_couplings(const tx_model *m) { return m->space->dim < 2 ? 0 : ((const nvp_config *)m->config)->couplings; }

static bool normalises(const tx_model *m) { return ((const nvp_config *)m->config)->batch_norm && n_couplings(m) > 0; }

static tx_status check(const tx_model *m)
{
    const nvp_config *c = m->config;
    if (c->hidden.n >= TX_MLP_MAX)
        return tx_fail(TX_ECONFIG, "realnvp: 'hidden' has %d layers, at most %d are possible", c->hidden.n,
                       TX_MLP_MAX - 1);
    if (c->split == SPLIT_CHECKERBOARD && m->space->height < 2)
        return tx_fail(TX_ECONFIG, "realnvp: split is checkerboard, but the data are no images");
    return TX_OK;
}

/* Which half coordinate j is in: of an image all channels of a pixel are in one. */
static bool second_half(const tx_model *m, size_t j)
{
    const tx_space *x = m->space;
    if (((const nvp_config *)m->config)->split == SPLIT_INTERLEAVED) return j % 2;
    size_t pixel = j / x->channel;
    return (pixel / x->width + pixel % x->width) % 2;
}

static void split(const tx_model *m, nvp *s)
{
    size_t d = m->space->dim, n = 0;
    uint32_t *from = tx_alloc(d, sizeof *from);
    for (int half = 0; half < 2; half++)
        for (size_t j = 0; j < d; j++)
            if (second_half(m, j) == (half == 1)) from[n++] = (uint32_t)j, s->first += half == 0;
    s->halves = tx_shuffle_new(d, from);
}

static void build(tx_model *m)
{
    const nvp_config *c = m->config;
    nvp *s = m->state;
    size_t d = m->space->dim;
    split(m, s);
    m->n_net = normalises(m) ? 2 : 1;
    m->net[0] = tx_params_new("flow");
    if (normalises(m)) m->net[1] = tx_params_new_state("running");
    s->diagonal = tx_diagonal_add(m->net[0], d);
    for (int k = 0; k < n_couplings(m); k++) {
        char name[TX_NAME_MAX], rescale[TX_NAME_MAX];
        snprintf(name, sizeof name, "coupling%d", k);
        snprintf(rescale, sizeof rescale, "coupling%d_rescale", k);
        size_t in = k % 2 ? d - s->first : s->first, out = d - in;
        s->net[k] = tx_mlp_add(m->net[0], name, in, &c->hidden, 2 * out, tx_act_of_choice(c->activation), TX_LINEAR);
        s->r[k] = tx_params_add(m->net[0], rescale, tx_shape2(1, out), (tx_init){TX_INIT_CONSTANT, 1});
        if (normalises(m)) s->norm[k] = tx_normaliser_add(m->net[0], m->net[1], name, out);
    }
}

/* Last layers at 0: couplings start as the identity. */
static void init(tx_model *m)
{
    const nvp_config *c = m->config;
    const nvp *s = m->state;
    for (int k = 0; k < n_couplings(m); k++) {
        tx_tensor last = tx_params_value(m->net[0], s->net[k].w[s->net[k].n - 1]);
        memset(last.x, 0, tx_len(last) * sizeof(real));
    }
    if (c->data_init) tx_diagonal_start(m->net[0], s->diagonal, m->space, 1, c->min_deviation);
}

static void destroy(tx_model *m)
{
    nvp *s = m->state;
    tx_shuffle_free(&s->halves);
}

/* s = r tanh(.) and t of coupling k from the half that it leaves alone. */
static void coupling(tx_model *m, tx_tape *t, int k, tx_var from, tx_var *log_scale, tx_var *shift)
{
    const nvp *s = m->state;
    tx_var out = tx_mlp_apply(t, m->net[0], &s->net[k], from), r = tx_params_var(m->net[0], s->r[k]);
    size_t n = tx_cols(out->v) / 2;
    *log_scale = tx_mul_row(t, tx_activation(t, tx_slice_cols(t, out, 0, n), TX_TANH), r);
    *shift = tx_slice_cols(t, out, n, 2 * n);
}

static void take_apart(tx_model *m, tx_tape *t, tx_var x, tx_var half[2])
{
    const nvp *s = m->state;
    x = tx_shuffle_cols(t, &s->halves, false, x);
    half[0] = tx_slice_cols(t, x, 0, s->first);
    half[1] = tx_slice_cols(t, x, s->first, m->space->dim);
}

static tx_var put_together(tx_model *m, tx_tape *t, tx_var const half[2])
{
    const nvp *s = m->state;
    return tx_shuffle_cols(t, &s->halves, true, tx_concat_cols(t, half[0], half[1]));
}

/* z, and log |det dz/dx| in *log_det; keep as tx_normaliser_encode takes it. Even k move the second half. */
static tx_var forward(tx_model *m, tx_tape *t, tx_var x, double keep, tx_var *log_det)
{
    const nvp *s = m->state;
    int n = n_couplings(m);
    tx_var half[2], log_scale, shift;
    *log_det = tx_diagonal_log_det(t, m->net[0], s->diagonal, tx_rows(x->v));
    x = tx_diagonal_encode(t, m->net[0], s->diagonal, x);
    if (n == 0) return x;
    take_apart(m, t, x, half);
    for (int k = 0; k < n; k++) {
        tx_var *b = &half[1 - k % 2];
        coupling(m, t, k, half[k % 2], &log_scale, &shift);
        *b = tx_add(t, tx_mul(t, *b, tx_exp(t, log_scale)), shift);
        *log_det = tx_add(t, *log_det, tx_sum_rows(t, log_scale));
        if (normalises(m)) *b = tx_normaliser_encode(t, m->net[0], m->net[1], &s->norm[k], *b, keep, log_det);
    }
    return put_together(m, t, half);
}

static tx_var encode(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var log_det;
    return forward(m, t, x, -1, &log_det);
}

static tx_var decode(tx_model *m, tx_tape *t, tx_var z)
{
    const nvp *s = m->state;
    int n = n_couplings(m);
    tx_var half[2], log_scale, shift;
    if (n == 0) return tx_diagonal_decode(t, m->net[0], s->diagonal, z);
    take_apart(m, t, z, half);
    for (int k = n; k-- > 0;) {
        tx_var *b = &half[1 - k % 2];
        if (normalises(m)) *b = tx_normaliser_decode(t, m->net[0], m->net[1], &s->norm[k], *b);
        coupling(m, t, k, half[k % 2], &log_scale, &shift);
        *b = tx_mul(t, tx_sub(t, *b, shift), tx_exp(t, tx_scale(t, log_scale, -1)));
    }
    return tx_diagonal_decode(t, m->net[0], s->diagonal, put_together(m, t, half));
}

static tx_var log_prob_by(tx_model *m, tx_tape *t, tx_var x, double keep)
{
    tx_var log_det, z = forward(m, t, x, keep, &log_det);
    return tx_add(t, tx_prior_normal.logp(t, z), log_det);
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x) { return log_prob_by(m, t, x, -1); }

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    tx_var logp = log_prob_by(m, s->tape, tx_leaf(s->tape, x), ((const nvp_config *)m->config)->keep);
    return tx_ascend_first(m, s, logp, out);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_flow_sample(m, t, &tx_prior_normal, r, first, x);
}

const tx_model_ops tx_model_realnvp = {
    .name = "realnvp",
    .summary = "affine coupling flow",
    .citation = "dinh2017density",
    .taxonomy_path = "explicit/tractable/change_of_variables",
    .spaces = TX_ON_REAL,
    .state_size = sizeof(nvp),
    .config_size = sizeof(nvp_config),
    .options = options,
    .toys = "[{hidden: [7], couplings: 3, batch_norm: false}, {hidden: [5, 4], couplings: 2, activation: tanh}, "
            "{hidden: [6], couplings: 4, data_init: false, activation: tanh}]",
    .check = check,
    .build = build,
    .init = init,
    .destroy = destroy,
    .log_prob = log_prob,
    .sample = sample,
    .encode = encode,
    .decode = decode,
    .train_step = train_step,
};
