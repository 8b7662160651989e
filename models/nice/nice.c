/** NICE: additive couplings over interleaved halves and a diagonal scaling; exact density and inverse.
 *  Dinh, Krueger & Bengio 2014 (dinh2014nice). Letters: x data, z = f(x) its code, m_k coupling network k, s
 * log-scales, a and b the even and odd coordinates. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "models/nice/nice.h"

static const tx_prior *const priors[] = {&tx_prior_logistic, &tx_prior_normal};

enum { INIT_SCALED, INIT_UNIFORM };

static const tx_option options[] = {
    TX_NICE_OPTIONS("[1000, 1000, 1000, 1000, 1000]"),
    {0},
};

/* One coordinate leaves nothing to couple with. */
static int n_couplings(const tx_model *m)
{
    return m->space->dim < 2 ? 0 : ((const tx_nice_config *)m->config)->couplings;
}

tx_status tx_nice_check(const tx_model *m)
{
    const tx_nice_config *c = m->config;
    if (c->hidden.n >= TX_MLP_MAX)
        return tx_fail(TX_ECONFIG, "%s: 'hidden' has %d layers, at most %d are possible", m->ops->name, c->hidden.n,
                       TX_MLP_MAX - 1);
    return TX_OK;
}

void tx_nice_build(tx_model *m)
{
    const tx_nice_config *c = m->config;
    tx_nice *s = m->state;
    size_t d = m->space->dim, odd = d / 2, even = d - odd;
    tx_act act = tx_act_of_choice(c->activation);
    tx_init narrow = {TX_INIT_UNIFORM, (real)0.01};

    m->n_net = 1;
    m->net[0] = tx_params_new("flow");
    for (int k = 0; k < n_couplings(m); k++) {
        char name[TX_NAME_MAX];
        snprintf(name, sizeof name, "coupling%d", k);
        size_t in = k % 2 ? odd : even, out = d - in;
        s->m[k] = c->init == INIT_SCALED
                      ? tx_mlp_add(m->net[0], name, in, &c->hidden, out, act, TX_LINEAR)
                      : tx_mlp_add_init(m->net[0], name, in, &c->hidden, out, act, TX_LINEAR, narrow);
    }
    s->s = tx_params_add(m->net[0], "log_scale", tx_shape2(1, d), (tx_init){TX_INIT_CONSTANT, 0});
}

/* The first two couplings move the odd and the even coordinates to mean 0, the scaling gives them the prior's
 * deviation. */
static void match_moments(tx_model *m)
{
    const tx_nice_config *c = m->config;
    const tx_space *x = m->space;
    tx_nice *s = m->state;
    double widest = 0;
    for (size_t j = 0; j < x->dim; j++) widest = fmax(widest, x->deviation[j]);
    if (widest == 0) widest = 1;

    real *log_scale = tx_params_value(m->net[0], s->s).x;
    for (size_t j = 0; j < x->dim; j++)
        log_scale[j] = (real)log(priors[c->prior]->deviation / fmax(x->deviation[j], c->min_deviation * widest));
    for (int k = 0; k < 2 && k < n_couplings(m); k++) {
        tx_tensor shift = tx_params_value(m->net[0], s->m[k].b[s->m[k].n - 1]);
        for (size_t j = 0; j < tx_cols(shift); j++) shift.x[j] = (real)-x->mean[2 * j + (k % 2 ? 0 : 1)];
    }
}

void tx_nice_init(tx_model *m)
{
    const tx_nice_config *c = m->config;
    tx_nice *s = m->state;
    for (int k = 0; c->init == INIT_SCALED && k < n_couplings(m); k++) {
        tx_tensor last = tx_params_value(m->net[0], s->m[k].w[s->m[k].n - 1]);
        memset(last.x, 0, tx_len(last) * sizeof(real));
    }
    if (c->data_init) match_moments(m);
}

/* Coupling k adds m_k of one half to the other: even k change the odd coordinates, odd k the even ones. */
static void couple(tx_model *m, tx_tape *t, int k, real sign, tx_var half[2])
{
    const tx_nice *s = m->state;
    int from = k % 2, to = 1 - from;
    tx_var shift = tx_mlp_apply(t, m->net[0], &s->m[k], half[from]);
    half[to] = sign > 0 ? tx_add(t, half[to], shift) : tx_sub(t, half[to], shift);
}

tx_var tx_nice_encode(tx_model *m, tx_tape *t, tx_var x)
{
    const tx_nice *s = m->state;
    int n = n_couplings(m);
    if (n > 0) {
        tx_var half[2] = {tx_stride_cols(t, x, 0, 2), tx_stride_cols(t, x, 1, 2)};
        for (int k = 0; k < n; k++) couple(m, t, k, 1, half);
        x = tx_interleave_cols(t, half[0], half[1]);
    }
    return tx_mul_row(t, x, tx_exp(t, tx_params_var(m->net[0], s->s)));
}

tx_var tx_nice_decode(tx_model *m, tx_tape *t, tx_var z)
{
    const tx_nice *s = m->state;
    int n = n_couplings(m);
    tx_var x = tx_mul_row(t, z, tx_exp(t, tx_scale(t, tx_params_var(m->net[0], s->s), -1)));
    if (n == 0) return x;
    tx_var half[2] = {tx_stride_cols(t, x, 0, 2), tx_stride_cols(t, x, 1, 2)};
    for (int k = n; k-- > 0;) couple(m, t, k, -1, half);
    return tx_interleave_cols(t, half[0], half[1]);
}

/* Section 3.3 of the paper: log p(x) = log p(f(x)) + sum_j s_j, for couplings have determinant 1. */
tx_var tx_nice_log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const tx_nice_config *c = m->config;
    const tx_nice *s = m->state;
    tx_var log_det = tx_sum_rows(t, tx_params_var(m->net[0], s->s));
    return tx_add(t, priors[c->prior]->logp(t, tx_nice_encode(m, t, x)), tx_repeat_rows(t, log_det, tx_rows(x->v)));
}

tx_var tx_nice_draw(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n)
{
    const tx_nice_config *c = m->config;
    return tx_nice_decode(m, t, tx_latent_noise(t, priors[c->prior]->fill, r, first, n, m->space->dim));
}

void tx_nice_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    memcpy(x.x, tx_nice_draw(m, t, r, first, tx_rows(x))->v.x, tx_len(x) * sizeof(real));
}

const tx_model_ops tx_model_nice = {
    .name = "nice",
    .summary = "additive coupling flow with a diagonal scaling",
    .citation = "dinh2014nice",
    .taxonomy_path = "explicit/tractable/change_of_variables",
    .spaces = TX_ON_REAL,
    .state_size = sizeof(tx_nice),
    .config_size = sizeof(tx_nice_config),
    .options = options,
    .toys =
        "[{hidden: [9, 8], couplings: 3}, {hidden: [7], couplings: 4, prior: normal, activation: tanh, init: uniform},"
        " {hidden: [6], couplings: 2, data_init: false}]",
    .check = tx_nice_check,
    .build = tx_nice_build,
    .init = tx_nice_init,
    .log_prob = tx_nice_log_prob,
    .sample = tx_nice_sample,
    .encode = tx_nice_encode,
    .decode = tx_nice_decode,
};
