#include "models/fvbn/gated.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "common/tensor/parallel.h"
#include "models/fvbn/levels.h"
#include "models/fvbn/loops.h"

enum { LANES = TX_GATED_LANES, GATES = 4096 };

/* ---- gates: y = tanh(s_1) sigmoid(s_2), s = a [+ more], of every place ---- */

typedef struct gates {
    const real *a, *more, *dy;
    real *y;
    size_t n, f, tile;
} gates;

static gates gates_of(const tx_node *y, tx_var a, tx_var more)
{
    size_t f = y->a.n;
    return (gates){.a = a->v.x,
                   .more = more ? more->v.x : NULL,
                   .y = y->v.x,
                   .n = tx_len(a->v) / (2 * f),
                   .f = f,
                   .tile = 1 + GATES / f};
}

static void gate_tile(void *ctx, size_t i)
{
    const gates *g = ctx;
    size_t from = i * g->tile, n = g->n - from < g->tile ? g->n - from : g->tile, wide = 2 * g->f;
    const real *more = g->more ? g->more + from * wide : NULL;
    if (g->dy)
        tx_fvbn_loops_now()->gate_back(n, g->f, g->a + from * wide, more, g->dy + from * g->f, g->y + from * wide);
    else
        tx_fvbn_loops_now()->gate(n, g->f, g->a + from * wide, more, g->y + from * g->f);
}

static void gate_run(gates g) { tx_parallel((g.n + g.tile - 1) / g.tile, gate_tile, &g); }

static void gate_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    gate_run(gates_of(y, y->in[0], y->op->n_in > 1 ? y->in[1] : NULL));
}

static void slope_eval(tx_tape *t, tx_node *ds)
{
    (void)t;
    gates g = gates_of(ds, ds->in[1], ds->op->n_in > 2 ? ds->in[2] : NULL);
    g.dy = ds->in[0]->v.x;
    gate_run(g);
}

static const tx_op slope_1 = {"gate_slope", 2, slope_eval, NULL}, slope_2 = {"gate_slope", 3, slope_eval, NULL};

static void gate_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    bool two = y->op->n_in > 1;
    dx[0] = tx_apply(t, two ? &slope_2 : &slope_1, y->in[0]->v.shape, (tx_var[]){dy, y->in[0], two ? y->in[1] : NULL},
                     y->a);
    if (two) dx[1] = dx[0];
}

static const tx_op gate_1 = {"gate", 1, gate_eval, gate_vjp}, gate_2 = {"gate", 2, gate_eval, gate_vjp};

/** more may be NULL; [n, places 2f] -> [n, places f], differentiable once. */
static tx_var gate(tx_tape *t, size_t f, tx_var a, tx_var more)
{
    return tx_apply(t, more ? &gate_2 : &gate_1, tx_shape2(tx_rows(a->v), tx_cols(a->v) / 2), (tx_var[]){a, more},
                    (tx_attr){.n = f});
}

/* ---- the net ---- */

static bool has_above(const tx_gated_spec *s) { return s->height > 1; }
/** Nobody reads what the last layer passes on beside its skip connection. */
static bool has_out(const tx_gated_spec *s, size_t layer) { return !s->skip || layer < s->n_layer; }

/** Kernel of `rows` by `cols` that begins so many rows above and columns to the left. */
static tx_conv window(const tx_gated_spec *s, size_t in, size_t out, size_t rows, size_t cols, size_t top, size_t left,
                      size_t dilation)
{
    return (tx_conv){s->height, s->width, in, s->height, s->width, out, rows, cols, 1, dilation, top, left, 0};
}

static tx_conv point(const tx_gated_spec *s, size_t in, size_t out) { return window(s, in, out, 1, 1, 0, 0, 1); }

static tx_conv_layer add(tx_params *p, const char *name, size_t layer, tx_conv c, tx_act act)
{
    char full[TX_NAME_MAX];
    snprintf(full, sizeof full, "%s%zu", name, layer);
    tx_init init = {act == TX_RELU ? TX_INIT_HE : TX_INIT_GLOROT, 0};
    return tx_conv_layer_add(p, full, &c, false, act, init);
}

static void add_gated(tx_gated *g, size_t l)
{
    const tx_gated_spec *s = &g->spec;
    size_t f = s->features, reach = s->reach, d = s->dilation[l - 1];
    char name[TX_NAME_MAX];
    if (has_above(s)) {
        TX_REQUIRE(d == 1, "dilation %zu of images", d);
        g->above[l] = add(g->net, "above", l, window(s, f, 2 * f, reach + 1, 2 * reach + 1, reach, reach, 1),
                          TX_LINEAR);
        snprintf(name, sizeof name, "link%zu_w", l);
        g->link_w[l] = tx_params_add(g->net, name, tx_shape2(2 * f, 2 * f), (tx_init){TX_INIT_GLOROT, 0});
    }
    g->left[l] = add(g->net, "left", l, window(s, f, 2 * f, 1, reach + 1, 0, reach * d, d), TX_LINEAR);
    if (has_out(s, l)) g->out[l] = add(g->net, "out", l, point(s, f, f), TX_LINEAR);
    if (s->skip) g->skip[l] = add(g->net, "skip", l, point(s, f, s->skip), TX_LINEAR);
}

void tx_gated_build(tx_gated *g, tx_model *m, const tx_gated_spec *spec)
{
    const tx_gated_spec *s = &g->spec;
    *g = (tx_gated){.spec = *spec};
    TX_REQUIRE(s->n_layer >= 1 && s->n_layer <= TX_GATED_LAYERS, "%zu gated layers", s->n_layer);
    m->n_net = 1;
    g->net = m->net[0] = tx_params_new("net");
    size_t f = s->features, first = s->first, top = s->skip ? s->skip : f;
    g->link = point(s, 2 * f, 2 * f);
    if (has_above(s))
        g->above[0] = add(g->net, "above", 0, window(s, 1, f, first, 2 * first + 1, first, first, 1), TX_LINEAR);
    g->left[0] = add(g->net, "left", 0, window(s, 1, f, 1, first, 0, first, 1), TX_LINEAR);
    if (s->position)
        g->position = tx_params_add(g->net, "position", tx_shape2(1, s->height * s->width * f),
                                    (tx_init){TX_INIT_NORMAL, (real)0.1});
    for (size_t l = 1; l <= s->n_layer; l++) add_gated(g, l);
    tx_conv hidden = point(s, top, s->hidden), last = point(s, s->hidden, s->per);
    g->hidden = tx_conv_layer_add(g->net, "hidden", &hidden, false, TX_RELU, (tx_init){TX_INIT_HE, 0});
    g->last = tx_conv_layer_add(g->net, "last", &last, false, TX_LINEAR, (tx_init){TX_INIT_GLOROT, 0});
}

/** The two stacks before a gated layer, and the sum of skip connections; above and sum may be NULL. */
typedef struct stacks {
    tx_var above, left, sum;
} stacks;

static void apply_gated(const tx_gated *g, tx_tape *t, size_t l, stacks *k)
{
    const tx_gated_spec *s = &g->spec;
    tx_var link = NULL;
    if (k->above) {
        tx_var a = tx_conv_layer_apply(t, g->net, &g->above[l], k->above);
        link = tx_conv_forward(t, &g->link, a, tx_params_var(g->net, g->link_w[l]));
        k->above = l < s->n_layer ? gate(t, s->features, a, NULL) : NULL;
    }
    tx_var z = gate(t, s->features, tx_conv_layer_apply(t, g->net, &g->left[l], k->left), link);
    if (s->skip) {
        tx_var skip = tx_conv_layer_apply(t, g->net, &g->skip[l], z);
        k->sum = k->sum ? tx_add(t, k->sum, skip) : skip;
    }
    if (has_out(s, l)) k->left = tx_add(t, k->left, tx_conv_layer_apply(t, g->net, &g->out[l], z));
}

tx_var tx_gated_apply(const tx_gated *g, tx_tape *t, tx_var x)
{
    const tx_gated_spec *s = &g->spec;
    stacks k = {NULL, NULL, NULL};
    x = tx_affine(t, x, s->scale, s->shift);
    if (has_above(s)) k.above = tx_conv_layer_apply(t, g->net, &g->above[0], x);
    k.left = tx_conv_layer_apply(t, g->net, &g->left[0], x);
    if (s->position) k.left = tx_add_row(t, k.left, tx_params_var(g->net, g->position));
    for (size_t l = 1; l <= s->n_layer; l++) apply_gated(g, t, l, &k);
    tx_var top = tx_activation(t, s->skip ? k.sum : k.left, TX_RELU);
    return tx_conv_layer_apply(t, g->net, &g->last, tx_conv_layer_apply(t, g->net, &g->hidden, top));
}

/* ---- samples ----
 * LANES of them side by side. Arrays are [place][lane][channel], so that a tap of a kernel is one product, over a row
 * of places or a single one. A row of the vertical stack is computed as a whole when the row above it is known. */

typedef struct sampler {
    const tx_gated *g;
    size_t n, kept, each; /* rows; of an image that the vertical stack looks back on; scalars of a tile */
    tx_gated_draw draw;
    const void *ctx;
    real *memory;
} sampler;

/** Of one tile with n lanes. Of `values` and `above` the last `kept` rows, each row r at r % kept. */
typedef struct tile {
    const tx_gated *g;
    size_t n, kept;
    real *values, *above[TX_GATED_LAYERS + 1]; /* [kept][width][n][1 or f] */
    real *left[TX_GATED_LAYERS + 1];           /* [width][n][f]: this row */
    real *link[TX_GATED_LAYERS + 1];           /* [width][n][2f] */
    real *wide;                                /* [width][n][2f] */
    real *z, *skip, *sum, *hidden, *out;       /* of one place: [n][f], [n][top] twice, [n][hidden], [n][per] */
} tile;

/** The next n scalars of memory, which may be NULL: then they are counted only. */
static real *cut(real *memory, size_t *used, size_t n)
{
    *used += n;
    return memory ? memory + (*used - n) : NULL;
}

/** Cuts the memory of one tile, if there is any, and says how much that is. */
static size_t carve(tile *k, real *memory)
{
    const tx_gated_spec *s = &k->g->spec;
    size_t row = s->width * LANES, f = s->features, L = s->n_layer, top = s->skip ? s->skip : f, end = 0;
    k->values = cut(memory, &end, k->kept * row);
    k->wide = cut(memory, &end, row * 2 * f);
    for (size_t l = 0; l <= L; l++) {
        k->above[l] = cut(memory, &end, has_above(s) && l < L ? k->kept * row * f : 0);
        k->link[l] = cut(memory, &end, has_above(s) && l > 0 ? row * 2 * f : 0);
        k->left[l] = cut(memory, &end, row * f);
    }
    k->z = cut(memory, &end, LANES * f);
    k->skip = cut(memory, &end, LANES * top), k->sum = cut(memory, &end, LANES * top);
    k->hidden = cut(memory, &end, LANES * s->hidden), k->out = cut(memory, &end, LANES * s->per);
    return end;
}

/** y[places j0 to j1 of row i][n][out] += the taps of a convolution over x, whose row r is at r % kept. */
static void add_taps(const tile *k, const tx_conv *c, const real *w, const real *x, size_t kept, size_t i, size_t j0,
                     size_t j1, real *y)
{
    for (size_t a = 0; a < c->kernel_h; a++) {
        if (i + a < c->top) continue;
        const real *row = x + (i + a - c->top) % kept * c->width * k->n * c->in;
        for (size_t b = 0; b < c->kernel_w; b++) {
            size_t right = b * c->dilation; /* column j reads column j + right - left */
            size_t from = right + j0 < c->left ? c->left - right : j0;
            size_t to = right > c->left && j1 + right - c->left > c->width ? c->width + c->left - right : j1;
            if (right >= c->left + c->width || from >= to) continue;
            tx_gemm_serial(
                false, false, (to - from) * k->n, c->out, c->in, 1, row + (from + right - c->left) * k->n * c->in,
                c->in, w + (a * c->kernel_w + b) * c->in * c->out, c->out, 1, y + (from - j0) * k->n * c->out, c->out);
        }
    }
}

static const real *value(const tile *k, tx_param p) { return tx_params_value(k->g->net, p).x; }

static void fill(size_t n, size_t width, const real *row, real *y)
{
    for (size_t i = 0; i < n; i++) memcpy(y + i * width, row, width * sizeof *y);
}

/** One layer with bias at places j0 to j1 of row i. */
static void convolve(const tile *k, const tx_conv_layer *l, const real *x, size_t kept, size_t i, size_t j0, size_t j1,
                     real *y)
{
    fill((j1 - j0) * k->n, l->conv.out, value(k, l->b), y);
    add_taps(k, &l->conv, value(k, l->w), x, kept, i, j0, j1, y);
}

/** A layer of one place, x[n][in] -> y[n][out]. */
static void dense(const tile *k, const tx_conv_layer *l, const real *x, real *y)
{
    tx_dense_forward(k->n, l->conv.in, l->conv.out, x, value(k, l->w), value(k, l->b), l->act, y);
}

static void row_above(const tile *k, size_t i)
{
    const tx_gated *g = k->g;
    const tx_gated_spec *s = &g->spec;
    size_t f = s->features, places = s->width * k->n, slot = i % k->kept * places * f;
    convolve(k, &g->above[0], k->values, k->kept, i, 0, s->width, k->above[0] + slot);
    for (size_t l = 1; l <= s->n_layer; l++) {
        convolve(k, &g->above[l], k->above[l - 1], k->kept, i, 0, s->width, k->wide);
        tx_gemm_serial(false, false, places, 2 * f, 2 * f, 1, k->wide, 2 * f, value(k, g->link_w[l]), 2 * f, 0,
                       k->link[l], 2 * f);
        if (l < s->n_layer) tx_fvbn_loops_now()->gate(places, f, k->wide, NULL, k->above[l] + slot);
    }
}

/** The outputs of place j of row i. */
static void outputs(const tile *k, size_t i, size_t j)
{
    const tx_gated *g = k->g;
    const tx_gated_spec *s = &g->spec;
    size_t n = k->n, f = s->features, at = j * n * f, top = s->skip ? s->skip : f;
    convolve(k, &g->left[0], k->values + i % k->kept * s->width * n, 1, 0, j, j + 1, k->left[0] + at);
    if (s->position)
        for (size_t r = 0; r < n; r++)
            tx_vec_add(f, k->left[0] + at + r * f, value(k, g->position) + (i * s->width + j) * f,
                       k->left[0] + at + r * f);
    for (size_t q = 0; q < n * top; q++) k->sum[q] = 0;
    for (size_t l = 1; l <= s->n_layer; l++) {
        convolve(k, &g->left[l], k->left[l - 1], 1, 0, j, j + 1, k->wide);
        tx_fvbn_loops_now()->gate(n, f, k->wide, has_above(s) ? k->link[l] + 2 * at : NULL, k->z);
        if (s->skip) {
            dense(k, &g->skip[l], k->z, k->skip);
            tx_vec_add(n * top, k->sum, k->skip, k->sum);
        }
        if (has_out(s, l)) {
            dense(k, &g->out[l], k->z, k->left[l] + at);
            tx_vec_add(n * f, k->left[l] + at, k->left[l - 1] + at, k->left[l] + at);
        }
    }
    tx_vec_act(TX_RELU, n * top, s->skip ? k->sum : k->left[s->n_layer] + at, k->sum);
    dense(k, &g->hidden, k->sum, k->hidden);
    dense(k, &g->last, k->hidden, k->out);
}

static void draw_tile(void *ctx, size_t index)
{
    const sampler *q = ctx;
    const tx_gated_spec *s = &q->g->spec;
    size_t row = index * LANES;
    tile k = {.g = q->g, .n = q->n - row < LANES ? q->n - row : LANES, .kept = q->kept};
    carve(&k, q->memory + (size_t)tx_thread() * q->each);
    for (size_t i = 0; i < s->height; i++) {
        if (has_above(s)) row_above(&k, i);
        for (size_t j = 0; j < s->width; j++) {
            real *x = k.values + (i % k.kept * s->width + j) * k.n;
            outputs(&k, i, j);
            q->draw(q->ctx, i * s->width + j, row, k.n, k.out, x);
            tx_vec_affine(k.n, s->scale, x, s->shift, x);
        }
    }
}

void tx_gated_sample(const tx_gated *g, tx_tape *t, size_t n, tx_gated_draw draw, const void *ctx)
{
    const tx_gated_spec *s = &g->spec;
    sampler q = {.g = g, .n = n, .kept = 1 + (s->first > s->reach ? s->first : s->reach), .draw = draw, .ctx = ctx};
    if (!has_above(s)) q.kept = 1;
    q.each = carve(&(tile){.g = g, .kept = q.kept}, NULL);
    q.memory = tx_arena_alloc(tx_tape_arena(t), (size_t)tx_threads() * q.each * sizeof(real));
    tx_parallel((n + LANES - 1) / LANES, draw_tile, &q);
}

/* ---- levels ---- */

/** Every variable begins at the mean of all, pulled towards 1/2 where there are two levels; other levels alike. */
void tx_gated_level_init(tx_model *m)
{
    const tx_gated *g = m->state;
    double mean = 0;
    for (size_t j = 0; j < m->space->dim; j++) mean += (1e-3 + (1 - 2e-3) * m->space->mean[j]) / (double)m->space->dim;
    if (m->space->levels == 2) tx_params_value(g->net, g->last.b).x[0] = (real)(log(mean) - log1p(-mean));
}

tx_var tx_gated_level_log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    return tx_level_logp(t, m->space, tx_gated_apply(m->state, t, x), x);
}

typedef struct drawing {
    const tx_space *space;
    real *x; /* uniforms, or what is given; receives the values */
    bool mean;
    const uint8_t *missing; /* NULL: all */
} drawing;

static void draw_levels(const void *ctx, size_t var, size_t row, size_t n, const real *out, real x[])
{
    const drawing *d = ctx;
    size_t per = tx_level_outputs(d->space);
    for (size_t r = 0; r < n; r++) {
        real *to = d->x + (row + r) * d->space->dim + var;
        x[r] = d->missing && !d->missing[var] ? *to : tx_level_draw(d->space, out + r * per, (double)*to);
        *to = d->mean ? tx_level_mean(d->space, out + r * per) : x[r];
    }
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, bool mean, tx_tensor x)
{
    drawing d = {m->space, x.x, mean, NULL};
    tx_rng_uniform(r, first * tx_cols(x), tx_len(x), x.x);
    tx_gated_sample(m->state, t, tx_rows(x), draw_levels, &d);
}

void tx_gated_level_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    sample(m, t, r, first, false, x);
}

void tx_gated_level_sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    sample(m, t, r, first, true, x);
}

/* ---- missing variables ---- */

static bool applies(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    bool suffix = true;
    for (size_t j = 1; j < m->space->dim; j++) suffix = suffix && missing[j] >= missing[j - 1];
    tx_copy_text(why, TX_TEXT_MAX, suffix ? "" : "the missing variables are not the last ones of the model's order");
    return suffix;
}

static void log_prob_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double value[])
{
    tx_var logit = tx_gated_apply(m->state, t, tx_leaf(t, x));
    logit = tx_missing_columns(t, missing, true, tx_level_outputs(m->space), logit->v);
    tx_var y = tx_level_logp(t, m->space, logit, tx_missing_columns(t, missing, true, 1, x));
    for (size_t i = 0; i < tx_rows(x); i++) value[i] = (double)y->v.x[i];
}

static void sample_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    tx_tensor u = tx_tape_tensor(t, tx_rows(x), tx_cols(x));
    tx_rng_uniform(r, first * tx_cols(x), tx_len(x), u.x);
    tx_missing_copy(missing, u, x);
    drawing d = {m->space, x.x, false, missing};
    tx_gated_sample(m->state, t, tx_rows(x), draw_levels, &d);
}

const tx_conditional tx_gated_level_conditional = {
    .applies = applies, .log_prob = log_prob_missing, .sample = sample_missing};
