#include "models/fvbn/arnet.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/parallel.h"

enum { LANES = TX_ARNET_LANES, PANEL = TX_ARNET_PANEL, MASK_ROWS = 64 };

const tx_fvbn_loops *tx_fvbn_loops_now(void)
{
    static const struct {
        const char *isa;
        const tx_fvbn_loops *loops;
    } table[] = {
#ifdef TX_HAVE_v4
        {"x86-64-v4", &tx_fvbn_loops_v4},
#endif
#ifdef TX_HAVE_v3
        {"x86-64-v3", &tx_fvbn_loops_v3},
#endif
#ifdef TX_HAVE_v2
        {"x86-64-v2", &tx_fvbn_loops_v2},
#endif
        {NULL, &tx_fvbn_loops_baseline},
    };
    size_t k = 0;
    while (table[k].isa && strcmp(table[k].isa, tx_kernels_isa()) != 0) k++;
    return table[k].loops;
}

/* ---- structure ---- */

void tx_order_fill(bool random, int seed, uint64_t index, size_t dim, uint32_t order[])
{
    for (size_t i = 0; i < dim; i++) order[i] = (uint32_t)i;
    if (!random) return;
    tx_rng r = tx_rng_named(tx_rng_root((uint64_t)seed), "order");
    tx_rng_permutation(tx_rng_fold(r, index), dim, order);
}

static int last(const tx_arnet_spec *s) { return s->hidden.n + 1; }

static size_t width(const tx_arnet_spec *s, int level)
{
    if (level == 0) return s->dim;
    return level == last(s) ? s->dim * s->per : (size_t)s->hidden.v[level - 1];
}

/** Degrees of a hidden layer: evenly spread over 1..dim-1, or drawn from there but for those too low to see any unit
 *  below (the paper's section 4.2). */
static void hidden_degrees(const tx_arnet_spec *s, tx_rng r, const real *below, size_t n_below, size_t n, real *degree)
{
    size_t top = s->dim > 2 ? s->dim - 1 : 1, low = top;
    for (size_t i = 0; i < n_below; i++)
        if ((size_t)below[i] < low) low = (size_t)below[i];
    for (size_t j = 0; j < n; j++) {
        size_t k = j * top / n + 1;
        if (s->random_degrees) k = low + (size_t)(tx_rng_uniform1(r, j) * (double)(top - low + 1));
        degree[j] = (real)k;
    }
}

/** Counting sort of a level's units by degree. */
static void sort_units(size_t dim, size_t n, const real *degree, uint32_t *unit, uint32_t *upto)
{
    for (size_t j = 0; j < n; j++) upto[(size_t)degree[j]]++;
    for (size_t k = 1; k <= dim; k++) upto[k] += upto[k - 1];
    for (size_t j = n; j-- > 0;) unit[--upto[(size_t)degree[j]]] = (uint32_t)j;
    for (size_t k = 0, at = 0; k <= dim; k++) {
        while (at < n && (size_t)degree[unit[at]] <= k) at++;
        upto[k] = (uint32_t)at;
    }
}

static void fill_mask(const tx_arnet_spec *s, int index, tx_arnet_mask *m)
{
    int end = last(s);
    for (int l = 0; l <= end; l++) m->degree[l] = tx_alloc(width(s, l), sizeof(real));
    uint32_t *order = tx_alloc(s->dim, sizeof *order);
    tx_order_fill(s->random_order, s->seed, (uint64_t)index, s->dim, order);
    for (size_t place = 0; place < s->dim; place++) {
        m->degree[0][order[place]] = (real)(place + 1);
        for (size_t k = 0; k < s->per; k++) m->degree[end][order[place] * s->per + k] = (real)place;
    }
    free(order);
    tx_rng r = tx_rng_fold(tx_rng_named(tx_rng_root((uint64_t)s->seed), "degrees"), (uint64_t)index);
    for (int l = 1; l < end; l++)
        hidden_degrees(s, tx_rng_fold(r, (uint64_t)l), m->degree[l - 1], width(s, l - 1), width(s, l), m->degree[l]);
    for (int l = 0; l <= end; l++) {
        m->unit[l] = tx_alloc(width(s, l), sizeof *m->unit[l]);
        m->upto[l] = tx_alloc(s->dim + 1, sizeof *m->upto[l]);
        sort_units(s->dim, width(s, l), m->degree[l], m->unit[l], m->upto[l]);
    }
    for (int l = 0; l < end; l++)
        m->stairs[l] = tx_stairs_new(width(s, l), m->degree[l], width(s, l + 1), m->degree[l + 1]);
    if (s->direct) m->stairs[end] = tx_stairs_new(s->dim, m->degree[0], width(s, end), m->degree[end]);
}

/** PREFIX, a letter or word, then the end of a head's names or the number of a layer. */
static const char *named(char buf[TX_NAME_MAX], const tx_arnet_spec *s, const char *word, const char *end)
{
    snprintf(buf, TX_NAME_MAX, "%s%s%s", s->prefix, word, end);
    return buf;
}

static const char *layered(char buf[TX_NAME_MAX], const tx_arnet_spec *s, const char *word, int layer)
{
    char end[16];
    snprintf(end, sizeof end, "%d", layer);
    return named(buf, s, word, end);
}

static void add_structure(const tx_arnet_spec *s, tx_model *m)
{
    if (!s->random_order && !s->random_degrees) return;
    char buf[TX_NAME_MAX];
    tx_params *p = m->net[m->n_net++] = tx_params_new_state("structure");
    for (int l = 0; l < last(s); l++) {
        const char *name = l ? layered(buf, s, "degree", l - 1) : named(buf, s, "place", "");
        tx_params_add(p, name, tx_shape2((size_t)s->n_mask, width(s, l)), (tx_init){TX_INIT_CONSTANT, 0});
    }
}

void tx_arnet_build(tx_arnet *a, tx_model *m, const tx_arnet_spec *spec)
{
    *a = (tx_arnet){.spec = *spec, .net = spec->into ? spec->into : tx_params_new("net")};
    const tx_arnet_spec *s = &a->spec;
    const tx_init zero = {TX_INIT_CONSTANT, 0};
    bool relu = s->act == TX_RELU || s->act == TX_LEAKY_RELU;
    char buf[TX_NAME_MAX];
    if (!s->into) m->net[m->n_net++] = a->net;
    for (int l = 0; l < s->hidden.n; l++) {
        size_t in = width(s, l), out = width(s, l + 1);
        tx_init init = {relu ? TX_INIT_HE : TX_INIT_GLOROT, 0};
        a->w[l] = tx_params_add(a->net, layered(buf, s, "w", l), tx_shape2(in, out), init);
        a->b[l] = tx_params_add(a->net, layered(buf, s, "b", l), tx_shape2(1, out), zero);
    }
    size_t in = width(s, s->hidden.n), out = width(s, last(s));
    for (int h = 0; h < s->n_head; h++) {
        a->head_w[h] = tx_params_add(a->net, named(buf, s, "w", s->head[h]), tx_shape2(in, out), s->head_init);
        if (!s->no_bias[h])
            a->head_b[h] = tx_params_add(a->net, named(buf, s, "b", s->head[h]), tx_shape2(1, out), zero);
        if (s->direct)
            a->direct[h] = tx_params_add(a->net, named(buf, s, "direct", s->head[h]), tx_shape2(s->dim, out),
                                         s->head_init);
    }
    a->zero = tx_alloc(width(s, last(s)), sizeof *a->zero);
    a->mask = tx_alloc((size_t)s->n_mask, sizeof *a->mask);
    for (int k = 0; k < s->n_mask; k++) fill_mask(s, k, &a->mask[k]);
    add_structure(s, m);
}

void tx_arnet_init(const tx_arnet *a, tx_model *m)
{
    const tx_arnet_spec *s = &a->spec;
    if (m->n_net < 2) return;
    for (int l = 0; l < last(s); l++) {
        tx_tensor v = tx_params_value(m->net[1], (tx_param){l});
        for (int k = 0; k < s->n_mask; k++)
            memcpy(v.x + (size_t)k * width(s, l), a->mask[k].degree[l], width(s, l) * sizeof(real));
    }
}

void tx_arnet_free(tx_arnet *a)
{
    for (int k = 0; k < a->spec.n_mask; k++)
        for (int l = 0; l <= last(&a->spec); l++) {
            free(a->mask[k].degree[l]), free(a->mask[k].unit[l]), free(a->mask[k].upto[l]);
            tx_stairs_free(a->mask[k].stairs[l]);
        }
    free(a->mask), free(a->zero);
}

/* ---- density ---- */

typedef struct masking {
    const real *from, *to, *w;
    real *y;
    size_t in, out;
} masking;

static void mask_rows(void *ctx, size_t tile)
{
    const masking *k = ctx;
    size_t end = (tile + 1) * MASK_ROWS < k->in ? (tile + 1) * MASK_ROWS : k->in;
    for (size_t i = tile * MASK_ROWS; i < end; i++)
        tx_fvbn_loops_now()->mask(k->out, k->from[i], k->to, k->w + i * k->out, k->y + i * k->out);
}

static void mask_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    const tx_arnet_mask *m = y->a.p;
    masking k = {m->degree[y->a.n], m->degree[y->a.n2], y->in[0]->v.x, y->v.x, tx_rows(y->v), tx_cols(y->v)};
    tx_parallel((k.in + MASK_ROWS - 1) / MASK_ROWS, mask_rows, &k);
}

/** Linear and its own transpose. */
static void mask_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_apply(t, y->op, y->v.shape, &dy, y->a);
}

static const tx_op mask_op = {"degree_mask", 1, mask_eval, mask_vjp};

static tx_var masked(const tx_arnet *a, tx_tape *t, int mask, tx_var w, int from, int to)
{
    tx_attr attr = {.p = &a->mask[mask], .n = (size_t)from, .n2 = (size_t)to};
    return tx_apply(t, &mask_op, w->v.shape, &w, attr);
}

/** act(x (w * mask) + b) from one level to another. */
static tx_var layer(const tx_arnet *a, tx_tape *t, int mask, tx_var x, tx_param w, tx_param b, int from, int to,
                    tx_act act)
{
    const tx_stairs *s = a->mask[mask].stairs[from];
    tx_var weight = tx_params_var(a->net, w), bias = tx_params_var(a->net, b);
    return s ? tx_stairs_dense(t, s, x, weight, bias, act)
             : tx_dense(t, x, masked(a, t, mask, weight, from, to), bias, act);
}

/** x (w * mask): from level `from`, or for weights beside the hidden layers from the inputs, to the outputs. */
static tx_var product(const tx_arnet *a, tx_tape *t, int mask, tx_var x, tx_param w, int from, const tx_stairs *s)
{
    tx_var weight = tx_params_var(a->net, w);
    return s ? tx_stairs_dense(t, s, x, weight, NULL, TX_LINEAR)
             : tx_matmul(t, x, false, masked(a, t, mask, weight, from, last(&a->spec)), false);
}

static tx_var head(const tx_arnet *a, tx_tape *t, int mask, tx_var h, int k)
{
    int top = a->spec.hidden.n;
    if (a->spec.no_bias[k]) return product(a, t, mask, h, a->head_w[k], top, a->mask[mask].stairs[top]);
    return layer(a, t, mask, h, a->head_w[k], a->head_b[k], top, last(&a->spec), TX_LINEAR);
}

void tx_arnet_apply(const tx_arnet *a, tx_tape *t, int mask, tx_var x, tx_var out[])
{
    const tx_arnet_spec *s = &a->spec;
    tx_var h = x;
    for (int l = 0; l < s->hidden.n; l++) h = layer(a, t, mask, h, a->w[l], a->b[l], l, l + 1, s->act);
    for (int k = 0; k < s->n_head; k++) {
        out[k] = head(a, t, mask, h, k);
        if (s->direct)
            out[k] = tx_add(t, out[k], product(a, t, mask, x, a->direct[k], 0, a->mask[mask].stairs[last(s)]));
    }
}

/* ---- samples ---- */

typedef struct lanes {
    const tx_arnet_mask *mask;
    uint32_t row[LANES];
    size_t n;
} lanes;

/** Units by rising degree, [width][LANES] each; the heads' outputs by the places of their variables. */
typedef struct levels {
    real *unit[TX_ARNET_LEVELS], *out[TX_ARNET_HEADS];
} levels;

typedef struct sampler {
    const tx_arnet *a;
    tx_arnet_draw draw;
    const void *ctx;
    lanes *tile;
    levels *of_thread;
} sampler;

static void fill_lanes(real value, real sum[])
{
    for (int l = 0; l < LANES; l++) sum[l] = value;
}

/** Completes the sums z of a level's units of this degree by what `below`, known up to this degree, sends them. Where a
 *  panel of units begins, so do its sums: from what the first of them sees, since a row of w holds PANEL weights side
 * by side. bias: NULL where z has it. */
static void receive(const tx_arnet_mask *m, int below, const real *h, int level, size_t degree, tx_tensor w,
                    const real *bias, real *z)
{
    const tx_fvbn_loops *loops = tx_fvbn_loops_now();
    const uint32_t *unit = m->unit[level], *source = m->unit[below], *upto = m->upto[below];
    size_t width = tx_cols(w), to = m->upto[level][degree], end;
    for (size_t i = degree ? m->upto[level][degree - 1] : 0; i < to; i = end) {
        size_t start = i / PANEL * PANEL, stop = start + PANEL < width ? start + PANEL : width;
        size_t known = upto[(size_t)m->degree[level][unit[start]]];
        end = stop < to ? stop : to;
        if (i == start) {
            for (size_t k = start; bias && k < stop; k++) fill_lanes(bias[unit[k]], z + k * LANES);
            loops->gather(known, source, w.x, width, stop - start, unit + start, h, z + start * LANES);
        }
        loops->gather(upto[degree] - known, source + known, w.x, width, end - i, unit + i, h + known * LANES,
                      z + i * LANES);
    }
}

/** The outputs of the variable at `place` (from 0): all they see is known. */
static void outputs(const sampler *s, const tx_arnet_mask *m, const levels *q, size_t place, real *out[])
{
    const tx_arnet *a = s->a;
    int top = a->spec.hidden.n, end = last(&a->spec);
    for (int h = 0; h < a->spec.n_head; h++) {
        const real *bias = a->spec.no_bias[h] ? a->zero : tx_params_value(a->net, a->head_b[h]).x;
        receive(m, top, q->unit[top], end, place, tx_params_value(a->net, a->head_w[h]), bias, q->out[h]);
        if (a->spec.direct)
            receive(m, 0, q->unit[0], end, place, tx_params_value(a->net, a->direct[h]), NULL, q->out[h]);
        out[h] = q->out[h] + place * a->spec.per * LANES;
    }
}

/** The hidden units of this degree: those of one layer lie side by side. */
static void hidden(const sampler *s, const tx_arnet_mask *m, const levels *q, size_t degree)
{
    const tx_arnet *a = s->a;
    for (int l = 0; l < a->spec.hidden.n; l++) {
        size_t from = m->upto[l + 1][degree - 1], to = m->upto[l + 1][degree];
        real *z = q->unit[l + 1], *h = z + from * LANES;
        receive(m, l, q->unit[l], l + 1, degree, tx_params_value(a->net, a->w[l]), tx_params_value(a->net, a->b[l]).x,
                z);
        tx_vec_act(a->spec.act, (to - from) * LANES, h, h);
    }
}

static void sample_tile(void *ctx, size_t tile)
{
    const sampler *s = ctx;
    const lanes *k = &s->tile[tile];
    const levels *q = &s->of_thread[tx_thread()];
    real *out[TX_ARNET_HEADS];
    for (size_t place = 0; place < s->a->spec.dim; place++) {
        outputs(s, k->mask, q, place, out);
        s->draw(s->ctx, k->mask->unit[0][place], k->row, k->n, out, q->unit[0] + place * LANES);
        hidden(s, k->mask, q, place + 1);
    }
}

static levels *reserve(const tx_arnet_spec *s, tx_arena *arena)
{
    levels *all = tx_arena_alloc(arena, (size_t)tx_threads() * sizeof *all);
    for (int k = 0; k < tx_threads(); k++) {
        for (int l = 0; l < last(s); l++) all[k].unit[l] = tx_arena_alloc(arena, width(s, l) * LANES * sizeof(real));
        for (int h = 0; h < s->n_head; h++)
            all[k].out[h] = tx_arena_alloc(arena, width(s, last(s)) * LANES * sizeof(real));
    }
    return all;
}

void tx_arnet_sample(const tx_arnet *a, tx_tape *t, const uint32_t mask[], size_t n, tx_arnet_draw draw,
                     const void *ctx)
{
    tx_arena *arena = tx_tape_arena(t);
    size_t n_tile = 0, most = n / LANES + (size_t)a->spec.n_mask + 1;
    sampler s = {a, draw, ctx, tx_arena_alloc(arena, most * sizeof *s.tile), reserve(&a->spec, arena)};
    for (int k = 0; k < a->spec.n_mask; k++) {
        lanes *q = NULL;
        for (size_t i = 0; i < n; i++) {
            if ((mask ? mask[i] : 0) != (uint32_t)k) continue;
            if (!q || q->n == LANES) {
                q = &s.tile[n_tile++];
                *q = (lanes){.mask = &a->mask[k]};
            }
            q->row[q->n++] = (uint32_t)i;
        }
    }
    tx_parallel(n_tile, sample_tile, &s);
}

typedef struct bernoulli {
    real *x;
    size_t dim;
    bool mean;
    const uint8_t *missing;
} bernoulli;

/** x holds the uniforms, or what is given, and receives the values. */
static void draw_bernoulli(const void *ctx, size_t var, const uint32_t row[], size_t n, real *const out[], real x[])
{
    const bernoulli *b = ctx;
    real *p = out[0];
    tx_vec_act(TX_SIGMOID, LANES, p, p);
    fill_lanes(0, x);
    for (size_t l = 0; l < n; l++) {
        real *at = b->x + row[l] * b->dim + var;
        x[l] = b->missing && !b->missing[var] ? *at : *at < p[l];
        *at = b->mean ? p[l] : x[l];
    }
}

void tx_arnet_sample_bernoulli(const tx_arnet *a, tx_tape *t, tx_rng r, uint64_t first, const uint32_t mask[],
                               const uint8_t missing[], bool mean, tx_tensor x)
{
    bernoulli b = {x.x, tx_cols(x), mean, missing};
    tx_tensor u = missing ? tx_tape_tensor(t, tx_rows(x), tx_cols(x)) : x;
    tx_rng_uniform(r, first * tx_cols(x), tx_len(x), u.x);
    if (missing) tx_missing_copy(missing, u, x);
    tx_arnet_sample(a, t, mask, tx_rows(x), draw_bernoulli, &b);
}

/* ---- what every model of this folder does ---- */

void tx_bernoulli_bias(const tx_space *s, tx_tensor bias)
{
    const double pull = 1e-3;
    for (size_t j = 0; j < s->dim; j++) {
        double p = pull + (1 - 2 * pull) * s->mean[j];
        bias.x[j] = (real)(log(p) - log1p(-p));
    }
}

tx_status tx_ascend_first(tx_model *m, tx_step *s, tx_var logp, tx_metrics *out)
{
    tx_var loss = tx_scale(s->tape, tx_mean(s->tape, logp), -1);
    out->n = 1;
    out->m[0].name = "objective", out->m[0].value = (double)loss->v.x[0];
    return tx_model_descend(m, s, 0, loss, "the log-likelihood");
}

double tx_steps_per_variable(const tx_model *m) { return (double)m->space->dim; }
