#include "common/tensor/layers.h"
#include <stdio.h>

/** NAME_w and, where layers are counted, the number i. */
static tx_param add_weight(tx_params *p, const char *name, char letter, int i, size_t in, size_t out, tx_init init)
{
    char full[TX_NAME_MAX];
    int n = i < 0 ? snprintf(full, sizeof full, "%s_%c", name, letter)
                  : snprintf(full, sizeof full, "%s_%c%d", name, letter, i);
    TX_REQUIRE(n > 0 && (size_t)n < sizeof full, "the name %s is too long", name);
    return tx_params_add(p, full, tx_shape2(in, out), init);
}

static tx_mlp add(tx_params *p, const char *name, size_t in, const tx_ints *hidden, size_t out, const tx_act act[2],
                  const tx_init init[2])
{
    TX_REQUIRE(hidden->n >= 0 && hidden->n < TX_MLP_MAX, "%s: %d hidden layers, at most %d", name, hidden->n,
               TX_MLP_MAX - 1);
    tx_mlp m = {.n = hidden->n + 1, .hidden = act[0], .out = act[1]};
    for (int i = 0; i < m.n; i++) {
        bool last = i == m.n - 1;
        TX_REQUIRE(last || hidden->v[i] > 0, "%s: hidden layer %d has %d units", name, i, hidden->v[i]);
        size_t width = last ? out : (size_t)hidden->v[i];
        m.w[i] = add_weight(p, name, 'w', i, in, width, init[last]);
        m.b[i] = add_weight(p, name, 'b', i, 1, width, (tx_init){TX_INIT_CONSTANT, 0});
        in = width;
    }
    return m;
}

static tx_init usual(tx_act act)
{
    return (tx_init){act == TX_RELU || act == TX_LEAKY_RELU ? TX_INIT_HE : TX_INIT_GLOROT, 0};
}

tx_mlp tx_mlp_add(tx_params *p, const char *name, size_t in, const tx_ints *hidden, size_t out, tx_act hidden_act,
                  tx_act out_act)
{
    return add(p, name, in, hidden, out, (tx_act[]){hidden_act, out_act},
               (tx_init[]){usual(hidden_act), usual(out_act)});
}

tx_mlp tx_mlp_add_init(tx_params *p, const char *name, size_t in, const tx_ints *hidden, size_t out, tx_act hidden_act,
                       tx_act out_act, tx_init weight)
{
    return add(p, name, in, hidden, out, (tx_act[]){hidden_act, out_act}, (tx_init[]){weight, weight});
}

tx_var tx_mlp_apply(tx_tape *t, const tx_params *p, const tx_mlp *m, tx_var x)
{
    for (int i = 0; i < m->n; i++)
        x = tx_dense(t, x, tx_params_var(p, m->w[i]), tx_params_var(p, m->b[i]), i == m->n - 1 ? m->out : m->hidden);
    return x;
}

tx_conv_layer tx_conv_layer_add(tx_params *p, const char *name, const tx_conv *c, bool transposed, tx_act act,
                                tx_init weight)
{
    tx_conv_layer l = {.conv = *c, .transposed = transposed, .act = act};
    l.w = add_weight(p, name, 'w', -1, tx_conv_taps(c) * c->in, c->out, weight);
    l.b = add_weight(p, name, 'b', -1, 1, transposed ? c->in : c->out, (tx_init){TX_INIT_CONSTANT, 0});
    return l;
}

tx_var tx_conv_layer_apply(tx_tape *t, const tx_params *p, const tx_conv_layer *l, tx_var x)
{
    tx_var w = tx_params_var(p, l->w), b = tx_params_var(p, l->b);
    return (l->transposed ? tx_conv_transposed_dense : tx_conv_dense)(t, &l->conv, x, w, b, l->act);
}

tx_var tx_dropout(tx_tape *t, tx_var x, real keep, size_t parts, const tx_rng r[])
{
    size_t rows = tx_rows(x->v), each = tx_len(x->v) / parts;
    TX_REQUIRE(keep > 0 && keep <= 1, "dropout keeps with probability %g", (double)keep);
    TX_REQUIRE(rows % parts == 0, "dropout: %zu rows in %zu equal parts", rows, parts);
    tx_tensor mask = tx_tape_tensor(t, rows, tx_cols(x->v));
    mask.shape = x->v.shape;
    for (size_t k = 0; k < parts; k++) tx_rng_uniform(r[k], 0, each, mask.x + k * each);
    for (size_t i = 0, n = tx_len(mask); i < n; i++) mask.x[i] = mask.x[i] < keep ? 1 / keep : 0;
    return tx_mul(t, x, tx_leaf(t, mask));
}

tx_batchnorm tx_batchnorm_add(tx_params *running, const char *name, size_t width)
{
    TX_REQUIRE(tx_params_is_state(running), "%s: running statistics belong in a net of state", name);
    char mean[TX_NAME_MAX], variance[TX_NAME_MAX];
    snprintf(mean, sizeof mean, "%s_mean", name);
    snprintf(variance, sizeof variance, "%s_variance", name);
    return (tx_batchnorm){tx_params_add(running, mean, tx_shape2(1, width), (tx_init){TX_INIT_CONSTANT, 0}),
                          tx_params_add(running, variance, tx_shape2(1, width), (tx_init){TX_INIT_CONSTANT, 1})};
}

static tx_var log_deviation_of(tx_tape *t, tx_var variance)
{
    return tx_scale(t, tx_log(t, tx_affine(t, variance, 1, (real)1e-5)), (real)0.5);
}

/* Centred columns over their deviation. */
static tx_var normalised(tx_tape *t, tx_var centred, tx_var variance, tx_var *log_deviation)
{
    tx_var log_sd = log_deviation_of(t, variance);
    if (log_deviation) *log_deviation = log_sd;
    return tx_mul_row(t, centred, tx_exp(t, tx_scale(t, log_sd, -1)));
}

static void move(tx_tensor running, tx_tensor batch, real keep)
{
    for (size_t j = 0; j < tx_len(running); j++) running.x[j] = keep * running.x[j] + (1 - keep) * batch.x[j];
}

tx_var tx_batchnorm_train(tx_tape *t, tx_params *running, const tx_batchnorm *b, tx_var x, real keep,
                          tx_var *log_deviation)
{
    if (tx_rows(x->v) == 1) return tx_batchnorm_apply(t, running, b, x, log_deviation);
    real per_row = 1 / (real)tx_rows(x->v);
    tx_var mean = tx_scale(t, tx_sum_cols(t, x), per_row), centred = tx_add_row(t, x, tx_scale(t, mean, -1));
    tx_var variance = tx_scale(t, tx_sum_cols(t, tx_mul(t, centred, centred)), per_row);
    move(tx_params_value(running, b->mean), mean->v, keep);
    move(tx_params_value(running, b->variance), variance->v, keep);
    return normalised(t, centred, variance, log_deviation);
}

tx_var tx_batchnorm_apply(tx_tape *t, const tx_params *running, const tx_batchnorm *b, tx_var x, tx_var *log_deviation)
{
    tx_var centred = tx_add_row(t, x, tx_scale(t, tx_params_var(running, b->mean), -1));
    return normalised(t, centred, tx_params_var(running, b->variance), log_deviation);
}

tx_var tx_batchnorm_invert(tx_tape *t, const tx_params *running, const tx_batchnorm *b, tx_var y)
{
    tx_var deviation = tx_exp(t, log_deviation_of(t, tx_params_var(running, b->variance)));
    return tx_add_row(t, tx_mul_row(t, y, deviation), tx_params_var(running, b->mean));
}

tx_act tx_act_of_choice(int index)
{
    static const tx_act act[] = {TX_RELU, TX_LEAKY_RELU, TX_TANH, TX_SIGMOID, TX_SOFTPLUS};
    TX_REQUIRE(index >= 0 && (size_t)index < TX_LEN(act), "activation %d of " TX_ACT_CHOICES, index);
    return act[index];
}
