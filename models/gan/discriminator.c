#include "models/gan/discriminator.h"
#include <stdio.h>

#include "common/model/output.h"

enum { MAXOUT = 5 };    /* of TX_ACT_CHOICES "|maxout" */
enum { MAX_PARTS = 2 }; /* batches that D sees at once */

static bool maxout(const tx_discriminator_config *c) { return c->activation == MAXOUT; }

static tx_status check_dcgan(const tx_model *m, const tx_discriminator_config *c)
{
    const char *model = m->ops->name, *why = tx_dcgan_unfit(m->space, &c->channels);
    if (why) return tx_fail(TX_ECONFIG, "%s: architecture 'dcgan' does not apply: %s", model, why);
    if (c->keep_input < 1 || c->keep_hidden < 1)
        return tx_fail(TX_ECONFIG, "%s: 'keep_input' and 'keep_hidden' do not apply to architecture 'dcgan'", model);
    if (maxout(c) || c->init > 0)
        return tx_fail(TX_ECONFIG, "%s: '%s' does not apply to architecture 'dcgan'", model,
                       maxout(c) ? "discriminator_activation: maxout" : "discriminator_init");
    return TX_OK;
}

tx_status tx_discriminator_check(const tx_model *m, const tx_discriminator_config *c)
{
    const char *model = m->ops->name;
    const tx_game *g = &tx_games[c->game];
    if (c->hidden.n >= TX_MLP_MAX)
        return tx_fail(TX_ECONFIG, "%s: at most %d hidden layers are possible", model, TX_MLP_MAX - 1);
    if (c->label_smoothing > 0 && !(g->takes & TX_GAME_SMOOTHING))
        return tx_fail(TX_ECONFIG, "%s: 'label_smoothing' does not apply to game '%s': its D is no probability", model,
                       g->name);
    if (c->gradient_penalty > 0 && !(g->takes & TX_GAME_PENALTY))
        return tx_fail(TX_ECONFIG, "%s: 'gradient_penalty' does not apply to game '%s', only to 'wasserstein'", model,
                       g->name);
    return c->architecture == TX_ARCHITECTURE_DCGAN ? check_dcgan(m, c) : TX_OK;
}

bool tx_discriminator_normalised(const tx_discriminator_config *c)
{
    return c->architecture == TX_ARCHITECTURE_DCGAN && !(tx_games[c->game].takes & TX_GAME_PENALTY);
}

static tx_mlp add_mlp(tx_params *p, const tx_discriminator_config *c, size_t in)
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

tx_discriminator tx_discriminator_add(tx_model *m, const tx_discriminator_config *c)
{
    tx_params *p = m->net[TX_DISCRIMINATOR] = tx_params_new("discriminator");
    size_t pack = (size_t)c->packing;
    if (c->architecture == TX_ARCHITECTURE_MLP) return (tx_discriminator){.mlp = add_mlp(p, c, pack * m->space->dim)};
    bool normalised = tx_discriminator_normalised(c);
    return (tx_discriminator){
        .dcgan = tx_dcgan_discriminator(p, normalised ? m->net[TX_STATISTICS] : NULL, m->space, &c->channels, pack)};
}

static tx_var apply_mlp(tx_tape *t, const tx_params *p, const tx_mlp *d, const tx_discriminator_config *c, tx_rng r,
                        size_t parts, const char *const purpose[], tx_var x)
{
    TX_REQUIRE(parts <= MAX_PARTS, "%zu batches at once", parts);
    for (int i = 0; i < d->n; i++) {
        double keep = i == 0 ? c->keep_input : c->keep_hidden;
        bool last = i == d->n - 1;
        tx_rng noise[MAX_PARTS];
        for (size_t k = 0; k < parts; k++) noise[k] = tx_rng_fold(tx_rng_named(r, purpose[k]), (uint64_t)i);
        if (keep < 1) x = tx_dropout(t, x, (real)keep, parts, noise);
        x = tx_dense(t, x, tx_params_var(p, d->w[i]), tx_params_var(p, d->b[i]), last ? d->out : d->hidden);
        if (!last && maxout(c)) x = tx_max_groups(t, x, (size_t)c->pieces);
    }
    return x;
}

tx_var tx_discriminator_apply(const tx_model *m, tx_tape *t, const tx_discriminator *d,
                              const tx_discriminator_config *c, tx_rng r, size_t parts, const char *const purpose[],
                              tx_var u)
{
    const tx_params *p = m->net[TX_DISCRIMINATOR];
    if (c->architecture == TX_ARCHITECTURE_MLP) return apply_mlp(t, p, &d->mlp, c, r, parts, purpose, u);
    return tx_dcgan_discriminate(t, p, m->net[TX_STATISTICS], &d->dcgan, parts, u);
}

tx_tensor tx_discriminator_rows(tx_tape *t, const tx_discriminator_config *c, tx_tensor x)
{
    size_t n = tx_rows(x), pack = (size_t)c->packing;
    if (n >= pack) return tx_slice_rows(x, 0, n - n % pack);
    tx_tensor y = tx_tape_tensor(t, pack, tx_cols(x));
    for (size_t i = 0; i < tx_len(y); i++) y.x[i] = x.x[i % tx_len(x)];
    return y;
}

tx_var tx_discriminator_view(tx_tape *t, const tx_discriminator_config *c, const tx_space *b, tx_var x)
{
    size_t pack = (size_t)c->packing;
    if (tx_space_bounded(b) && !(b->lower == 0 && b->upper == 1))
        x = tx_affine(t, x, (real)(1 / (b->upper - b->lower)), (real)(-b->lower / (b->upper - b->lower)));
    return pack == 1 ? x : tx_reshape(t, x, tx_shape2(tx_rows(x->v) / pack, pack * tx_cols(x->v)));
}

/* A target of 1 - eps for data adds eps E v(x). D sees data and fakes as one batch: half as many products of twice the
 * rows. */
tx_meeting tx_discriminator_meet(const tx_model *m, tx_tape *t, const tx_discriminator *d,
                                 const tx_discriminator_config *c, tx_rng r, tx_var data, tx_var fake)
{
    static const char *const purposes[] = {"dropout of data", "dropout of fakes"}, *const between[] = {
                                                                                       "dropout between"};
    const tx_game *g = &tx_games[c->game];
    size_t n = tx_rows(data->v);
    tx_var v = tx_discriminator_apply(m, t, d, c, r, 2, purposes, tx_concat_rows(t, data, fake));
    tx_meeting e = {.v_data = tx_take_rows(t, v, 0, n), .v_fake = tx_take_rows(t, v, n, 2 * n)};
    e.loss = e.value = tx_game_discriminator(t, g, e.v_data, e.v_fake);
    if (c->label_smoothing > 0) e.loss = tx_add(t, e.loss, tx_scale(t, tx_mean(t, e.v_data), (real)c->label_smoothing));
    if (g->takes & TX_GAME_PENALTY) {
        double lambda = c->gradient_penalty > 0 ? c->gradient_penalty : 10;
        tx_var u = tx_game_between(t, tx_rng_named(r, "between"), data, fake);
        e.slope = tx_game_slope(t, tx_discriminator_apply(m, t, d, c, r, 1, between, u), u);
        e.loss = tx_add(t, e.loss, tx_scale(t, tx_game_penalty(t, e.slope), (real)lambda));
    }
    return e;
}

static void add(tx_metrics *out, const char *name, double value)
{
    TX_REQUIRE(out->n < TX_MAX_METRICS, "no room for %s", name);
    out->m[out->n].name = name, out->m[out->n++].value = value;
}

static double mean(tx_tape *t, tx_var x) { return (double)tx_mean(t, x)->v.x[0]; }

void tx_meeting_report(tx_tape *t, const tx_discriminator_config *c, const tx_meeting *e, tx_var loss_generator,
                       tx_metrics *out)
{
    const tx_game *g = &tx_games[c->game];
    add(out, "loss_generator", (double)loss_generator->v.x[0]);
    add(out, "loss_discriminator", (double)e->loss->v.x[0]);
    add(out, "d_real", mean(t, g->output(t, e->v_data)));
    add(out, "d_fake", mean(t, g->output(t, e->v_fake)));
    add(out, "divergence", g->offset + g->scale * (double)e->value->v.x[0]);
    if (e->slope) add(out, "slope", mean(t, e->slope));
}
