#include "models/gan/discriminator.h"
#include <stdio.h>

enum { MAXOUT = 5 }; /* of TX_DISCRIMINATOR_ACTIVATIONS */

static bool maxout(const tx_discriminator_config *c) { return c->activation == MAXOUT; }

tx_mlp tx_discriminator_add(tx_params *p, const tx_discriminator_config *c, size_t in)
{
    size_t pieces = maxout(c) ? (size_t)c->pieces : 1;
    tx_act act = maxout(c) ? TX_LINEAR : tx_act_of_choice(c->activation);
    tx_mlp d = {.n = c->hidden.n + 1, .hidden = act, .out = TX_LINEAR};
    for (int i = 0; i < d.n; i++) {
        bool last = i == d.n - 1;
        size_t width = last ? 1 : (size_t)c->hidden.v[i], wide = last ? 1 : width * pieces;
        tx_init init = {last || act == TX_TANH || act == TX_SIGMOID ? TX_INIT_GLOROT : TX_INIT_HE, 1};
        char w[TX_NAME_MAX], b[TX_NAME_MAX];
        if (c->init > 0) init = (tx_init){TX_INIT_UNIFORM, (real)c->init};
        snprintf(w, sizeof w, "layer_w%d", i);
        snprintf(b, sizeof b, "layer_b%d", i);
        d.w[i] = tx_params_add(p, w, tx_shape2(in, wide), init);
        d.b[i] = tx_params_add(p, b, tx_shape2(1, wide), (tx_init){TX_INIT_CONSTANT, 0});
        in = width;
    }
    return d;
}

tx_var tx_discriminator_apply(tx_tape *t, const tx_params *p, const tx_mlp *d, const tx_discriminator_config *c,
                              tx_rng r, size_t parts, const char *const purpose[], tx_var x)
{
    TX_REQUIRE(parts <= TX_DISCRIMINATOR_PARTS, "%zu batches at once", parts);
    for (int i = 0; i < d->n; i++) {
        double keep = i == 0 ? c->keep_input : c->keep_hidden;
        bool last = i == d->n - 1;
        tx_rng noise[TX_DISCRIMINATOR_PARTS];
        for (size_t k = 0; k < parts; k++) noise[k] = tx_rng_fold(tx_rng_named(r, purpose[k]), (uint64_t)i);
        if (keep < 1) x = tx_dropout(t, x, (real)keep, parts, noise);
        x = tx_dense(t, x, tx_params_var(p, d->w[i]), tx_params_var(p, d->b[i]), last ? d->out : d->hidden);
        if (!last && maxout(c)) x = tx_max_groups(t, x, (size_t)c->pieces);
    }
    return x;
}
