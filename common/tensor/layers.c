#include "common/tensor/layers.h"
#include <stdio.h>

static tx_param add_weight(tx_params *p, const char *name, char letter, int i, size_t in, size_t out, tx_init init)
{
    char full[TX_NAME_MAX];
    int n = snprintf(full, sizeof full, "%s_%c%d", name, letter, i);
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

tx_act tx_act_of_choice(int index)
{
    static const tx_act act[] = {TX_RELU, TX_LEAKY_RELU, TX_TANH, TX_SIGMOID, TX_SOFTPLUS};
    TX_REQUIRE(index >= 0 && (size_t)index < TX_LEN(act), "activation %d of " TX_ACT_CHOICES, index);
    return act[index];
}
