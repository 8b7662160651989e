/** NADE, the neural autoregressive distribution estimator: Larochelle & Murray 2011, and trained for all orders at
 * once: Uria, Murray & Larochelle 2014. Letters: n rows, d variables, h hidden units; W, c lead into the hidden layer,
 * V, b out of it. */
#include "models/fvbn/arnet.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/parallel.h"

enum { UNITS = TX_NADE_UNITS };

typedef struct nade_config {
    tx_ints hidden;
    int order, order_seed;
} nade_config;

typedef struct nade {
    tx_params *net;
    tx_param w, c, v, b, deep_w[TX_ARNET_HIDDEN], deep_b[TX_ARNET_HIDDEN];
    int n_deep; /**< hidden layers after the first; only where agnostic */
    bool agnostic;
    uint32_t *order; /**< [d], the model's own; owned */
} nade;

static const tx_option options[] = {
    {"hidden", TX_OPT_INTS, offsetof(nade_config, hidden), "[500]", 1, 100000, NULL,
     "units of each hidden layer: one layer, or up to 8 where the order is agnostic",
     "Larochelle & Murray 2011: 500 on MNIST"},
    {"order", TX_OPT_CHOICE, offsetof(nade_config, order), "fixed", 0, 0, "fixed|agnostic",
     "train the density of one order by its likelihood, or a net for all orders", "Uria et al. 2014"},
    {"order_seed", TX_OPT_INT, offsetof(nade_config, order_seed), "-1", -1, 2147483647, NULL,
     "the order that is evaluated and sampled: -1 raster, else names a permutation; a net for all orders is far worse "
     "along the raster than along drawn ones",
     NULL},
    {0},
};

static tx_status check(const tx_model *m)
{
    const nade_config *c = m->config;
    int most = c->order ? TX_ARNET_HIDDEN : 1;
    if (c->hidden.n < 1 || c->hidden.n > most)
        return tx_fail(TX_ECONFIG, "nade: hidden has %d layers, %s", c->hidden.n,
                       c->order ? "1 to 8 are possible" : "one is possible where order is fixed");
    return TX_OK;
}

static void build(tx_model *m)
{
    const nade_config *k = m->config;
    nade *s = m->state;
    size_t d = m->space->dim, h = (size_t)k->hidden.v[0];
    const tx_init zero = {TX_INIT_CONSTANT, 0}, glorot = {TX_INIT_GLOROT, 0}, he = {TX_INIT_HE, 0};
    s->agnostic = k->order == 1;
    s->n_deep = k->hidden.n - 1;
    s->order = tx_alloc(d, sizeof *s->order);
    tx_order_fill(k->order_seed >= 0, k->order_seed, 0, d, s->order);
    s->net = m->net[m->n_net++] = tx_params_new("net");
    s->w = tx_params_add(s->net, "w", tx_shape2(s->agnostic ? 2 * d : d, h), s->agnostic ? he : glorot);
    s->c = tx_params_add(s->net, "c", tx_shape2(1, h), zero);
    for (int l = 0; l < s->n_deep; l++) {
        char name[TX_NAME_MAX];
        size_t in = h;
        h = (size_t)k->hidden.v[l + 1];
        snprintf(name, sizeof name, "w%d", l + 1);
        s->deep_w[l] = tx_params_add(s->net, name, tx_shape2(in, h), he);
        name[0] = 'b';
        s->deep_b[l] = tx_params_add(s->net, name, tx_shape2(1, h), zero);
    }
    s->v = tx_params_add(s->net, "v", tx_shape2(d, h), glorot);
    s->b = tx_params_add(s->net, "b", tx_shape2(1, d), zero);
    if (k->order_seed < 0) return;
    m->net[m->n_net++] = tx_params_new_state("structure");
    tx_params_add(m->net[1], "place", tx_shape2(1, d), zero);
}

static void init(tx_model *m)
{
    const nade *s = m->state;
    tx_bernoulli_bias(m->space, tx_params_value(s->net, s->b));
    if (m->n_net < 2) return;
    real *place = tx_params_value(m->net[1], (tx_param){0}).x;
    for (size_t i = 0; i < m->space->dim; i++) place[s->order[i]] = (real)(i + 1);
}

static void destroy(tx_model *m) { free(((nade *)m->state)->order); }

/* ---- the recursion over the variables, for training: logits [n,d] of one order and their gradient (loops.h) ---- */

static size_t tiles(size_t n, size_t each) { return (n + each - 1) / each; }

static void transpose(size_t n, size_t d, const real *x, real *y)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) y[j * n + i] = x[i * d + j];
}

static void *take(tx_tape *t, size_t count, size_t size) { return tx_arena_alloc(tx_tape_arena(t), count * size); }

/** What both directions share; y is a "nade" node. */
static tx_nade_scan begin(tx_tape *t, tx_var y)
{
    tx_tensor x = y->in[0]->v;
    tx_nade_scan q = {.n = tx_rows(x), .d = tx_cols(x), .h = tx_cols(y->in[1]->v), .order = y->a.p, .a_end = y->saved};
    real *xt = take(t, q.n * q.d, sizeof *xt);
    transpose(q.n, q.d, x.x, xt);
    q.x = xt, q.w = y->in[1]->v.x, q.c = y->in[2]->v.x, q.v = y->in[3]->v.x;
    q.work = take(t, tiles(q.h, UNITS), sizeof *q.work);
    return q;
}

static void scan_eval(tx_tape *t, tx_node *y)
{
    size_t n_tile = tiles(tx_cols(y->in[1]->v), UNITS), len = tx_len(y->v);
    y->saved = take(t, n_tile * tx_rows(y->v) * UNITS, sizeof(real));
    tx_nade_scan q = begin(t, y);
    q.part = take(t, n_tile * len, sizeof(real));
    tx_parallel(n_tile, tx_fvbn_loops_now()->nade_forward, &q);
    for (size_t k = 1; k < n_tile; k++) tx_vec_add(len, q.part, q.part + k * len, q.part);
    transpose(q.d, q.n, q.part, y->v.x);
}

/** Packed gradients [dw | dv | dc] of (logits, their gradient). */
static void scan_grad_eval(tx_tape *t, tx_node *g)
{
    tx_var y = g->in[0];
    tx_nade_scan q = begin(t, y);
    real *dl = take(t, q.n * q.d, sizeof *dl);
    transpose(q.n, q.d, g->in[1]->v.x, dl);
    q.dl = dl, q.dw = g->v.x, q.dv = q.dw + q.d * q.h, q.dc = q.dv + q.d * q.h;
    tx_parallel(tiles(q.h, UNITS), tx_fvbn_loops_now()->nade_backward, &q);
}

static const tx_op scan_grad = {"nade_grad", 2, scan_grad_eval, NULL};
static const tx_op scan_view = {"nade_grad_view", 1, NULL, NULL};

static tx_var part_of(tx_tape *t, tx_var packed, size_t from, tx_var like)
{
    return tx_apply(t, &scan_view, like->v.shape, &packed, (tx_attr){.p = packed->v.x + from});
}

static void scan_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    TX_REQUIRE(!want[0], "nade: no gradient for binary x");
    size_t len = tx_len(y->in[1]->v), h = tx_cols(y->in[1]->v);
    tx_var g = tx_apply(t, &scan_grad, tx_shape2(1, 2 * len + h), (tx_var[]){y, dy}, (tx_attr){0});
    dx[1] = part_of(t, g, 0, y->in[1]);
    dx[2] = part_of(t, g, 2 * len, y->in[2]);
    dx[3] = part_of(t, g, len, y->in[3]);
}

/** x [n,d], w [d,h], c [1,h], v [d,h] -> [n,d]: v_j . sigmoid(c + sum of x_i w_i over the i before j in the order a.p);
 *  differentiable once, in all but x. */
static const tx_op scan_op = {"nade", 4, scan_eval, scan_vjp};

/* ---- the walk along an order, a few rows at a time: sampling, and the densities of a net for all orders ---- */

enum { WALK_ROWS = 64 /* most rows of a tile */ };

typedef struct walk {
    const nade *s;
    const uint32_t *order;
    tx_tensor x;            /**< [n,d]: given values, or uniforms that become the values */
    tx_tensor out;          /**< [n,d]: logits, or probabilities; may be x's memory */
    bool draw;              /**< decide the values; else they are given and out receives logits */
    bool keep;              /**< drawing: out receives probabilities */
    const uint8_t *missing; /**< drawing: only these, the others' values are given; NULL: all */
    size_t rows;            /**< of a tile */
    size_t units;           /**< hidden units of all layers, those of the first as a row of a has room for */
    real **memory;          /**< [threads] */
} walk;

/** A tile on its way. The first layer's activation of row i is a[i] - floor: `floor` is minus what no value enters in a
 *  net for all orders, c and the weights of the masks, so that its ReLU is max(a, floor) - floor; else 0. */
typedef struct walker {
    size_t n, h, stride;         /**< rows; hidden units, and those that a row of a and floor has room for */
    real *x;                     /**< [d,n] as the walk's x, then its out */
    real *a, *floor, *y;         /**< y: hidden units where they are stored, as a, then [n,.] of the layers above */
    uint32_t changed[WALK_ROWS]; /**< rows whose a - floor is new */
    size_t n_changed;
} walker;

/** Hidden layers above the first; returns the last. */
static const real *climb(const nade *s, const walker *k)
{
    real *y = k->y;
    for (int l = 0; l < s->n_deep; l++) {
        tx_tensor w = tx_params_value(s->net, s->deep_w[l]);
        real *z = y + k->n * tx_rows(w);
        tx_dense_forward(k->n, tx_rows(w), tx_cols(w), y, w.x, tx_params_value(s->net, s->deep_b[l]).x, TX_RELU, z);
        y = z;
    }
    return y;
}

/** Hidden units of the changed rows. */
static void activate(const nade *s, const walker *k)
{
    size_t h = s->n_deep ? k->h : k->stride;
    for (size_t i = 0; i < k->n_changed; i++) {
        const real *a = k->a + k->changed[i] * k->stride;
        real *y = k->y + k->changed[i] * h;
        if (s->agnostic) tx_vec_sub(h, a, k->floor, y);
        tx_vec_act(s->agnostic ? TX_RELU : TX_SIGMOID, h, s->agnostic ? y : a, y);
    }
}

/** Logits of `var` in the rows of a tile. A single layer of ReLUs is never stored; no floor of 0 changes a sigmoid. */
static void logits(const nade *s, const walker *k, size_t var, real logit[])
{
    const tx_fvbn_loops *loops = tx_fvbn_loops_now();
    tx_tensor v = tx_params_value(s->net, s->v);
    size_t top = tx_cols(v);
    const real *row = v.x + var * top, bias = tx_params_value(s->net, s->b).x[var];
    if (s->agnostic && !s->n_deep) {
        loops->floor_dots(k->n, top, k->a, k->floor, row, bias - loops->dot(top, row, k->floor), logit);
        return;
    }
    activate(s, k);
    const real *y = climb(s, k);
    if (!s->n_deep) loops->floor_dots(k->n, top, y, k->floor, row, bias, logit);
    for (size_t i = 0; s->n_deep && i < k->n; i++) logit[i] = bias + loops->dot(top, row, y + i * top);
}

/** Values of a variable in n rows given its logits: v[n], given values or uniforms, receives what the walk puts out;
 *  x[n] the values. */
static void settle(const walk *q, size_t var, size_t n, const real logit[], real v[], real x[])
{
    real p[WALK_ROWS];
    bool drawn = q->draw && (!q->missing || q->missing[var]);
    if (q->draw) tx_vec_act(TX_SIGMOID, n, logit, p);
    for (size_t i = 0; i < n; i++) {
        x[i] = drawn ? (real)(v[i] < p[i]) : v[i];
        v[i] = !q->draw ? logit[i] : q->keep ? p[i] : x[i];
    }
}

static void absorb(const nade *s, walker *k, size_t var, const real x[])
{
    const tx_fvbn_loops *loops = tx_fvbn_loops_now();
    tx_tensor w = tx_params_value(s->net, s->w);
    size_t d = tx_rows(tx_params_value(s->net, s->v));
    if (s->agnostic) loops->axpy(k->h, -1, w.x + (d + var) * k->h, k->floor);
    k->n_changed = 0;
    for (size_t i = 0; i < k->n; i++) {
        if (x[i] != 0) loops->axpy(k->h, x[i], w.x + var * k->h, k->a + i * k->stride);
        if (s->agnostic || x[i] != 0) k->changed[k->n_changed++] = (uint32_t)i;
    }
}

static size_t padded(size_t h) { return tiles(h, TX_NADE_STRIPE) * TX_NADE_STRIPE; }

/** Cuts a thread's memory into the walker's arrays and enters the first activation. */
static void start(const walk *q, real *memory, walker *k)
{
    tx_tensor c = tx_params_value(q->s->net, q->s->c);
    k->h = tx_cols(c), k->stride = padded(k->h);
    k->a = memory, k->floor = k->a + k->n * k->stride, k->y = k->floor + k->stride;
    k->x = k->y + k->n * q->units;
    memset(memory, 0, (size_t)(k->x - memory) * sizeof *memory);
    if (q->s->agnostic) tx_vec_affine(k->h, -1, c.x, 0, k->floor);
    for (size_t i = 0; i < k->n; i++) {
        if (!q->s->agnostic) memcpy(k->a + i * k->stride, c.x, k->h * sizeof *c.x);
        k->changed[k->n_changed++] = (uint32_t)i;
    }
}

static void walk_tile(void *ctx, size_t tile)
{
    const walk *q = ctx;
    size_t d = tx_cols(q->x), first = tile * q->rows, rest = tx_rows(q->x) - first;
    walker k = {.n = rest < q->rows ? rest : q->rows};
    real logit[WALK_ROWS], x[WALK_ROWS];
    start(q, q->memory[tx_thread()], &k);
    transpose(k.n, d, q->x.x + first * d, k.x);
    for (size_t place = 0; place < d; place++) {
        size_t var = q->order[place];
        logits(q->s, &k, var, logit);
        settle(q, var, k.n, logit, k.x + var * k.n, x);
        absorb(q->s, &k, var, x);
    }
    transpose(d, k.n, k.x, q->out.x + first * d);
}

/** A tile reads all weights: the more rows, the less often, while their activations stay in a core's cache. An even
 *  number of equal tiles keeps two threads busy to the end. */
static size_t rows_of_tile(const nade *s, size_t n, size_t stride)
{
    size_t most = (96 << 10) / (stride * sizeof(real)) / 4 * 4;
    most = s->n_deep || most > WALK_ROWS ? WALK_ROWS : most < 4 ? 4 : most;
    return n <= most ? n : tiles(n, 2 * tiles(n, 2 * most));
}

static void walk_all(const nade *s, tx_tape *t, walk *q)
{
    size_t h = tx_cols(tx_params_value(s->net, s->w)), stride = padded(h), n = tx_rows(q->x);
    q->s = s;
    q->units = stride;
    for (int l = 0; l < s->n_deep; l++) q->units += tx_cols(tx_params_value(s->net, s->deep_w[l]));
    q->rows = rows_of_tile(s, n, stride);
    q->memory = take(t, (size_t)tx_threads(), sizeof *q->memory);
    for (int k = 0; k < tx_threads(); k++)
        q->memory[k] = take(t, stride + q->rows * (stride + tx_cols(q->x) + q->units), sizeof(real));
    tx_parallel(tiles(n, q->rows), walk_tile, q);
}

/* ---- densities ---- */

/** A net and the order that it is to be walked along. */
typedef struct path {
    const nade *s;
    const uint32_t *order;
} path;

static void walk_eval(tx_tape *t, tx_node *y)
{
    const path *p = y->a.p;
    walk q = {.order = p->order, .x = y->in[0]->v, .out = y->v};
    walk_all(p->s, t, &q);
}

/** Logits of a net for all orders along one; of (x, w, v). Not differentiable: such a net has an objective of its own.
 */
static const tx_op walk_op = {"nade_agnostic", 3, walk_eval, NULL};

static uint64_t n_ordering(const tx_model *m) { return ((const nade *)m->state)->agnostic ? 0 : 1; }

/** Logits of all variables along an order: of a net for all orders any, else its own. */
static tx_var logits_along(const nade *s, tx_tape *t, const uint32_t *order, tx_var x)
{
    tx_var w = tx_params_var(s->net, s->w), c = tx_params_var(s->net, s->c), v = tx_params_var(s->net, s->v);
    if (s->agnostic) {
        path *p = take(t, 1, sizeof *p);
        *p = (path){s, order};
        return tx_apply(t, &walk_op, x->v.shape, (tx_var[]){x, w, v}, (tx_attr){.p = p});
    }
    tx_var l = tx_apply(t, &scan_op, x->v.shape, (tx_var[]){x, w, c, v}, (tx_attr){.p = order});
    return tx_add_row(t, l, tx_params_var(s->net, s->b));
}

static tx_var along(const nade *s, tx_tape *t, const uint32_t *order, tx_var x)
{
    return tx_bernoulli_logp(t, logits_along(s, t, order, x), x);
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const nade *s = m->state;
    return along(s, t, s->order, x);
}

/** Permutations that no option moves, after the model's own order if that was drawn too. The raster order is not among
 *  them: subsets of seen pixels as it makes them hardly ever occur in training. */
static tx_var log_prob_along(tx_model *m, tx_tape *t, uint64_t ordering, tx_var x)
{
    const nade *s = m->state;
    bool own = !s->agnostic || ((const nade_config *)m->config)->order_seed >= 0;
    TX_REQUIRE(s->agnostic || ordering == 0, "nade: ordering %llu of the one it has", (unsigned long long)ordering);
    if (own && ordering == 0) return log_prob(m, t, x);
    uint32_t *order = take(t, tx_cols(x->v), sizeof *order);
    tx_order_fill(true, 0, ordering + !own, tx_cols(x->v), order);
    return along(s, t, order, x);
}

/** A row's random subset of seen variables: seen[i] its mask, hidden[i] = 1 - mask. */
typedef struct subsets {
    tx_rng r;
    size_t d;
    const real *x;
    real *in, *hidden, *weight, *rest;
    uint32_t *perm;
} subsets;

/** How many are seen is uniform over 0..d-1, which ones uniform given that: the places before a uniform place of a
 *  uniform order. */
static void draw_subset(void *ctx, size_t i)
{
    const subsets *q = ctx;
    size_t d = q->d, seen = (size_t)(tx_rng_uniform1(tx_rng_named(q->r, "place"), i) * (double)d);
    uint32_t *perm = q->perm + i * d;
    real *in = q->in + 2 * i * d, *hidden = q->hidden + i * d;
    tx_rng_permutation(tx_rng_fold(tx_rng_named(q->r, "order"), i), d, perm);
    for (size_t k = 0; k < d; k++) {
        real mask = k < seen;
        in[perm[k]] = mask * q->x[i * d + perm[k]];
        in[d + perm[k]] = mask;
        hidden[perm[k]] = 1 - mask;
    }
    q->weight[i] = (real)((double)d / (double)(d - seen));
    q->rest[i] = (real)((double)seen * log(2));
}

/** Unbiased for the mean over all orders of log p(x) (Uria et al. 2014), [n,d] -> [n,1]. A seen variable
 * enters the Bernoulli sum with logit 0, that is as -log 2, which is given back. */
static tx_var objective(const nade *s, tx_tape *t, tx_rng r, tx_var x)
{
    size_t n = tx_rows(x->v), d = tx_cols(x->v);
    tx_tensor in = tx_tape_tensor(t, n, 2 * d), hidden = tx_tape_tensor(t, n, d);
    tx_tensor weight = tx_tape_tensor(t, n, 1), rest = tx_tape_tensor(t, n, 1);
    subsets q = {r, d, x->v.x, in.x, hidden.x, weight.x, rest.x, take(t, n * d, sizeof *q.perm)};
    tx_parallel(n, draw_subset, &q);
    const tx_params *p = s->net;
    tx_var y = tx_dense(t, tx_leaf(t, in), tx_params_var(p, s->w), tx_params_var(p, s->c), TX_RELU);
    for (int l = 0; l < s->n_deep; l++)
        y = tx_dense(t, y, tx_params_var(p, s->deep_w[l]), tx_params_var(p, s->deep_b[l]), TX_RELU);
    tx_var logit = tx_add_row(t, tx_matmul(t, y, false, tx_params_var(p, s->v), true), tx_params_var(p, s->b));
    tx_var sum = tx_bernoulli_logp(t, tx_mul(t, logit, tx_leaf(t, hidden)), x);
    return tx_mul(t, tx_add(t, sum, tx_leaf(t, rest)), tx_leaf(t, weight));
}

static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    const nade *k = m->state;
    tx_var data = tx_leaf(s->tape, x);
    return tx_ascend_first(m, s, k->agnostic ? objective(k, s->tape, s->rng, data) : log_prob(m, s->tape, data), out);
}

static void draw(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, bool mean, tx_tensor x)
{
    tx_rng_uniform(r, first * tx_cols(x), tx_len(x), x.x);
    const nade *s = m->state;
    walk q = {.order = s->order, .x = x, .out = x, .draw = true, .keep = mean};
    walk_all(s, t, &q);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x) { draw(m, t, r, first, false, x); }

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    draw(m, t, r, first, true, x);
}

/** The observed variables first, then the missing ones, both as in the model's own order. */
static uint32_t *observed_first(const nade *s, tx_tape *t, size_t d, const uint8_t missing[])
{
    uint32_t *order = take(t, d, sizeof *order);
    size_t n = 0;
    for (uint8_t last = 0; last < 2; last++)
        for (size_t k = 0; k < d; k++)
            if (missing[s->order[k]] == last) order[n++] = s->order[k];
    return order;
}

static bool applies(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    const nade *s = m->state;
    bool suffix = tx_order_ends_with(m->space->dim, s->order, missing);
    tx_copy_text(why, TX_TEXT_MAX,
                 suffix        ? ""
                 : s->agnostic ? "the net's density along the order that has the observed variables first"
                               : "the missing variables are not the last ones of the model's order");
    return suffix || s->agnostic;
}

static void log_prob_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double value[])
{
    const nade *s = m->state;
    tx_var logit = logits_along(s, t, observed_first(s, t, tx_cols(x), missing), tx_leaf(t, x));
    tx_bernoulli_part(missing, true, logit->v, x, value);
}

static void sample_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    const nade *s = m->state;
    tx_tensor u = tx_tape_tensor(t, tx_rows(x), tx_cols(x));
    tx_rng_uniform(r, first * tx_cols(x), tx_len(x), u.x);
    tx_missing_copy(missing, u, x);
    walk q = {.order = observed_first(s, t, tx_cols(x), missing), .x = x, .out = x, .draw = true, .missing = missing};
    walk_all(s, t, &q);
}

static const tx_conditional conditional = {.applies = applies, .log_prob = log_prob_missing, .sample = sample_missing};

const tx_model_ops tx_model_nade = {
    .name = "nade",
    .summary = "neural autoregressive distribution estimator, for one order or trained for all",
    .citation = "larochelle2011neural",
    .taxonomy_path = "explicit/tractable/fvbn",
    .spaces = TX_ON_BINARY,
    .state_size = sizeof(nade),
    .config_size = sizeof(nade_config),
    .options = options,
    .toys = "[{hidden: [7]}, {hidden: [33], order_seed: 1}, {hidden: [9], order: agnostic}, "
            "{hidden: [8, 6], order: agnostic, order_seed: 2}]",
    .check = check,
    .build = build,
    .init = init,
    .destroy = destroy,
    .log_prob = log_prob,
    .n_ordering = n_ordering,
    .log_prob_along = log_prob_along,
    .conditional = &conditional,
    .sample = sample,
    .sample_mean = sample_mean,
    .sequential_steps = tx_steps_per_variable,
    .train_step = train_step,
};
