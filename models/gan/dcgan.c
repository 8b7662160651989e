#include "models/gan/dcgan.h"
#include <stdio.h>

enum { KERNEL = 5, STRIDE = 2 };
#define KEEP (real)0.9 /* of the running statistics a step: as in the authors' code */
static const tx_init narrow = {TX_INIT_NORMAL, (real)0.02}, one = {TX_INIT_CONSTANT, 1}, zero = {TX_INIT_CONSTANT, 0};

const char *tx_dcgan_unfit(const tx_space *space, const tx_ints *channels)
{
    if (space->height < 2 || space->width < 2) return "the data have no image shape";
    if (channels->n < 1 || channels->n > TX_DCGAN_STAGES) return "'channels' has 1 to 6 members";
    return NULL;
}

static void maps_of(tx_dcgan *net, const tx_space *space, const tx_ints *channels, size_t first)
{
    size_t height = space->height, width = space->width, in = first;
    net->n = channels->n;
    for (int i = 0; i < net->n; i++) {
        tx_conv *c = &net->map[i];
        *c = tx_conv_same(height, width, in, (size_t)channels->v[i], KERNEL, STRIDE);
        height = c->out_height, width = c->out_width, in = c->out;
    }
}

static const tx_conv *innermost(const tx_dcgan *net) { return &net->map[net->n - 1]; }

/* A layer NAME of w[rows,cols] with `width` channels; running NULL: not normalised. */
static tx_dcgan_layer add_layer(tx_params *p, tx_params *running, const char *owner, const char *name, tx_shape w,
                                size_t width)
{
    char text[TX_NAME_MAX];
    tx_dcgan_layer l = {.normalised = running != NULL};
    snprintf(text, sizeof text, "%s_w", name);
    l.w = tx_params_add(p, text, w, narrow);
    snprintf(text, sizeof text, "%s_shift", name);
    l.shift = tx_params_add(p, text, tx_shape2(1, width), zero);
    if (!running) return l;
    snprintf(text, sizeof text, "%s_gain", name);
    l.gain = tx_params_add(p, text, tx_shape2(1, width), one);
    snprintf(text, sizeof text, "%s_%s", owner, name);
    l.norm = tx_batchnorm_add(running, text, width);
    return l;
}

static tx_dcgan_layer add_map(tx_params *p, tx_params *running, const char *owner, int i, const tx_conv *c,
                              size_t width)
{
    char name[TX_NAME_MAX];
    snprintf(name, sizeof name, "map%d", i);
    return add_layer(p, running, owner, name, tx_shape2(tx_conv_taps(c) * c->in, c->out), width);
}

static size_t area(const tx_conv *c) { return c->out_height * c->out_width; }

tx_dcgan tx_dcgan_generator(tx_params *p, tx_params *running, const tx_space *space, const tx_ints *channels,
                            size_t latent)
{
    static const char owner[] = "generator";
    tx_dcgan g = {0};
    maps_of(&g, space, channels, space->channel);
    const tx_conv *last = innermost(&g);
    g.dense = add_layer(p, running, owner, "dense", tx_shape2(latent, area(last) * last->out), last->out);
    for (int i = g.n; i-- > 0;) g.stage[i] = add_map(p, i > 0 ? running : NULL, owner, i, &g.map[i], g.map[i].in);
    return g;
}

tx_dcgan tx_dcgan_discriminator(tx_params *p, tx_params *running, const tx_space *space, const tx_ints *channels,
                                size_t pack)
{
    static const char owner[] = "discriminator";
    tx_dcgan d = {.pack = pack};
    maps_of(&d, space, channels, pack * space->channel);
    for (int i = 0; i < d.n; i++) d.stage[i] = add_map(p, i > 0 ? running : NULL, owner, i, &d.map[i], d.map[i].out);
    const tx_conv *last = innermost(&d);
    d.dense = add_layer(p, NULL, owner, "dense", tx_shape2(area(last) * last->out, 1), 1);
    return d;
}

/* Parts of pixels x[rows,channels], each normalised by itself; 0 parts: by the running statistics. */
static tx_var normalise(tx_tape *t, tx_params *running, const tx_batchnorm *b, size_t parts, tx_var x)
{
    if (parts == 0) return tx_batchnorm_apply(t, running, b, x, NULL);
    size_t each = tx_rows(x->v) / parts;
    tx_var all = NULL;
    for (size_t k = 0; k < parts; k++) {
        tx_var part = parts == 1 ? x : tx_take_rows(t, x, k * each, (k + 1) * each);
        part = tx_batchnorm_train(t, running, b, part, KEEP, NULL);
        all = all ? tx_concat_rows(t, all, part) : part;
    }
    return all;
}

/* Normalisation, gain, shift and activation of what a layer's weights made, channel by channel. */
static tx_var finish(tx_tape *t, const tx_params *p, tx_params *running, const tx_dcgan_layer *l, size_t parts,
                     tx_var x, tx_act act)
{
    tx_shape whole = x->v.shape;
    tx_var shift = tx_params_var(p, l->shift);
    size_t width = tx_cols(shift->v);
    x = tx_reshape(t, x, tx_shape2(tx_len(x->v) / width, width));
    if (l->normalised) x = tx_mul_row(t, normalise(t, running, &l->norm, parts, x), tx_params_var(p, l->gain));
    x = tx_add_row(t, x, shift);
    if (act != TX_LINEAR) x = tx_activation(t, x, act);
    return tx_reshape(t, x, whole);
}

tx_var tx_dcgan_generate(tx_tape *t, const tx_params *p, tx_params *running, const tx_dcgan *g, tx_var z, bool training)
{
    size_t parts = training ? 1 : 0;
    tx_var x = finish(t, p, running, &g->dense, parts, tx_matmul(t, z, false, tx_params_var(p, g->dense.w), false),
                      TX_RELU);
    for (int i = g->n; i-- > 0;) {
        const tx_dcgan_layer *l = &g->stage[i];
        tx_var w = tx_params_var(p, l->w);
        x = finish(t, p, running, l, parts, tx_conv_transposed(t, &g->map[i], x, w), i > 0 ? TX_RELU : TX_LINEAR);
    }
    return tx_reshape(t, x, tx_shape2(tx_rows(x->v), tx_cols(x->v)));
}

/* Rows side by side become channels: pixel by pixel those of the first, then those of the second. */
static tx_var as_channels(tx_tape *t, const tx_dcgan *d, tx_var x)
{
    size_t n = tx_rows(x->v), pixels = d->map[0].height * d->map[0].width, width = tx_cols(x->v) / d->pack;
    tx_var all = NULL;
    if (d->pack == 1) return x;
    for (size_t k = 0; k < d->pack; k++) {
        tx_var image = tx_slice_cols(t, x, k * width, (k + 1) * width);
        image = tx_reshape(t, image, tx_shape2(n * pixels, width / pixels));
        all = all ? tx_concat_cols(t, all, image) : image;
    }
    return tx_reshape(t, all, tx_shape2(n, d->pack * width));
}

tx_var tx_dcgan_discriminate(tx_tape *t, const tx_params *p, tx_params *running, const tx_dcgan *d, size_t parts,
                             tx_var x)
{
    x = as_channels(t, d, x);
    for (int i = 0; i < d->n; i++) {
        const tx_dcgan_layer *l = &d->stage[i];
        x = finish(t, p, running, l, parts, tx_conv_forward(t, &d->map[i], x, tx_params_var(p, l->w)), TX_LEAKY_RELU);
    }
    x = tx_reshape(t, x, tx_shape2(tx_rows(x->v), tx_cols(x->v)));
    return tx_add_row(t, tx_matmul(t, x, false, tx_params_var(p, d->dense.w), false), tx_params_var(p, d->dense.shift));
}
