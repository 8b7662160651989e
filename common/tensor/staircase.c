#include "common/tensor/staircase.h"
#include <stdlib.h>
#include <string.h>
#include "common/tensor/kernels_isa.h"
#include "common/tensor/ops.h"
#include "common/tensor/parallel.h"

tx_stairs *tx_stairs_new(size_t in, const real *from, size_t out, const real *to)
{
    for (size_t i = 1; i < in; i++)
        if (from[i] < from[i - 1]) return NULL;
    for (size_t c = 1; c < out; c++)
        if (to[c] < to[c - 1]) return NULL;
    tx_stairs *s = tx_alloc(1, sizeof *s);
    *s = (tx_stairs){in, out, tx_alloc(out, sizeof *s->seen), tx_alloc(in, sizeof *s->first)};
    for (size_t c = 0, i = 0; c < out; c++) {
        for (; i < in && from[i] <= to[c]; i++) s->first[i] = (uint32_t)c;
        s->seen[c] = (uint32_t)i;
    }
    for (size_t i = out ? s->seen[out - 1] : 0; i < in; i++) s->first[i] = (uint32_t)out;
    return s;
}

void tx_stairs_free(tx_stairs *s)
{
    if (!s) return;
    free(s->seen), free(s->first), free(s);
}

/** One product cut into panels of its columns; a panel is a whole block and one that a step runs through. */
typedef struct product {
    const tx_stairs *s;
    size_t n, side, panel, n_panel;
    const real *x, *w, *g; /* [n,in], [in,out], [n,out] */
    const real *bias;
    tx_loop *after;  /* on each finished row of a panel; may be NULL */
    real *y, *block; /* block: [n_panel] scratch matrices of `room` elements */
    size_t room;
} product;

enum { PANELS = 4, PANEL = 96 };

static void cut(product *p, size_t side)
{
    p->side = side;
    size_t most = side / PANEL;
    p->n_panel = most >= PANELS ? PANELS : (most ? most : 1);
    p->panel = (side + p->n_panel - 1) / p->n_panel;
    p->n_panel = p->panel ? (side + p->panel - 1) / p->panel : 0;
}

/** The longest panels first, so that threads end together: the last outputs see most inputs. */
static size_t panel_at(const product *p, size_t tile) { return p->n_panel - 1 - tile; }

static void ends(const product *p, size_t panel, size_t *from, size_t *to)
{
    *from = panel * p->panel;
    *to = *from + p->panel < p->side ? *from + p->panel : p->side;
}

/** Rows [r0,r1) and columns [c0,c1) of w under the mask. */
static void masked_block(const product *p, size_t r0, size_t r1, size_t c0, size_t c1, real *block)
{
    for (size_t i = r0; i < r1; i++, block += c1 - c0) {
        size_t from = p->s->first[i] < c0 ? c0 : (p->s->first[i] < c1 ? p->s->first[i] : c1);
        memset(block, 0, (from - c0) * sizeof *block);
        memcpy(block + (from - c0), p->w + i * p->s->out + from, (c1 - from) * sizeof *block);
    }
}

/** y[n,out] = x (w * mask), bias, activation: output columns [c0,c1) see the first r0 inputs, and some up to r1. */
static void forward_panel(void *ctx, size_t tile)
{
    const product *p = ctx;
    size_t k = panel_at(p, tile), in = p->s->in, out = p->s->out, c0, c1;
    ends(p, k, &c0, &c1);
    size_t r0 = p->s->seen[c0], r1 = p->s->seen[c1 - 1], width = c1 - c0;
    real *y = p->y + c0, *block = p->block + k * p->room;
    tx_gemm_serial(false, false, p->n, width, r0, 1, p->x, in, p->w + c0, out, 0, y, out);
    if (r1 > r0) {
        masked_block(p, r0, r1, c0, c1, block);
        tx_gemm_serial(false, false, p->n, width, r1 - r0, 1, p->x + r0, in, block, width, 1, y, out);
    }
    for (size_t r = 0; p->after && r < p->n; r++, y += out)
        p->after(&(tx_args){.in = {y, p->bias + c0}, .out = {y}}, 0, width);
}

/** y[n,in] = g (w * mask)': inputs [i0,i1) are seen by all outputs from c1 on, and by some from c0 on; the first by
 * most. */
static void backward_panel(void *ctx, size_t k)
{
    const product *p = ctx;
    size_t in = p->s->in, out = p->s->out, i0, i1;
    ends(p, k, &i0, &i1);
    size_t c0 = p->s->first[i0], c1 = p->s->first[i1 - 1], width = i1 - i0;
    real *y = p->y + i0, *block = p->block + k * p->room;
    tx_gemm_serial(false, true, p->n, width, out - c1, 1, p->g + c1, out, p->w + i0 * out + c1, out, 0, y, in);
    if (c1 == c0) return;
    masked_block(p, i0, i1, c0, c1, block);
    tx_gemm_serial(false, true, p->n, width, c1 - c0, 1, p->g + c0, out, block, c1 - c0, 1, y, in);
}

/** y[in,out] = x' g under the mask. */
static void outer_panel(void *ctx, size_t tile)
{
    const product *p = ctx;
    size_t in = p->s->in, out = p->s->out, c0, c1;
    ends(p, panel_at(p, tile), &c0, &c1);
    size_t r0 = p->s->seen[c0], r1 = p->s->seen[c1 - 1];
    tx_gemm_serial(true, false, r1, c1 - c0, p->n, 1, p->x, in, p->g + c0, out, 0, p->y + c0, out);
    for (size_t i = r0; i < in; i++) {
        size_t zeros = i < r1 ? p->s->first[i] - c0 : c1 - c0;
        memset(p->y + i * out + c0, 0, zeros * sizeof *p->y);
    }
}

static void run(tx_tape *t, product *p, size_t side, size_t height, void (*panel)(void *, size_t))
{
    cut(p, side);
    if (!p->n_panel) return;
    p->room = p->panel * height;
    p->block = height ? tx_arena_alloc(tx_tape_arena(t), p->n_panel * p->room * sizeof *p->block) : NULL;
    tx_parallel(p->n_panel, panel, p);
}

/** The most rows of inputs (outputs) that a step runs through in one panel. */
static size_t most_between(const uint32_t *edge, size_t side)
{
    product p = {0};
    size_t most = 0;
    cut(&p, side);
    for (size_t k = 0, a, b; k < p.n_panel; k++) {
        ends(&p, k, &a, &b);
        if (edge[b - 1] - edge[a] > most) most = edge[b - 1] - edge[a];
    }
    return most;
}

static void dense_eval(tx_tape *t, tx_node *y)
{
    const tx_stairs *s = y->a.p;
    const tx_isa *isa = tx_isa_now();
    bool biased = y->op->n_in == 3;
    product p = {.s = s, .n = tx_rows(y->v), .x = y->in[0]->v.x, .w = y->in[1]->v.x, .y = y->v.x};
    if (biased) p.bias = y->in[2]->v.x, p.after = isa->bias_act[y->a.n];
    run(t, &p, s->out, most_between(s->seen, s->out), forward_panel);
}

static void backward_eval(tx_tape *t, tx_node *y)
{
    const tx_stairs *s = y->a.p;
    product p = {.s = s, .n = tx_rows(y->v), .g = y->in[0]->v.x, .w = y->in[1]->v.x, .y = y->v.x};
    run(t, &p, s->in, most_between(s->first, s->in), backward_panel);
}

static void outer_eval(tx_tape *t, tx_node *y)
{
    const tx_stairs *s = y->a.p;
    tx_tensor x = y->in[0]->v;
    product p = {.s = s, .n = tx_rows(x), .x = x.x, .g = y->in[1]->v.x, .y = y->v.x};
    run(t, &p, s->out, 0, outer_panel);
}

/* Each of the three products is linear in both of its inputs, and the other two are its derivatives. */
static void dense_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[]);
static void linear_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[]);
static void backward_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[]);
static void outer_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[]);
static const tx_op dense = {"stairs_dense", 3, dense_eval, dense_vjp};
static const tx_op linear = {"stairs_linear", 2, dense_eval, linear_vjp};
static const tx_op backward = {"stairs_backward", 2, backward_eval, backward_vjp};
static const tx_op outer = {"stairs_outer", 2, outer_eval, outer_vjp};

static tx_var of_two(tx_tape *t, const tx_op *op, const tx_stairs *s, size_t rows, size_t cols, tx_var a, tx_var b)
{
    return tx_apply(t, op, tx_shape2(rows, cols), (tx_var[]){a, b}, (tx_attr){.p = s});
}

static tx_var product_of(tx_tape *t, const tx_stairs *s, tx_var x, tx_var w)
{
    return of_two(t, &linear, s, tx_rows(x->v), s->out, x, w);
}

static tx_var back_through(tx_tape *t, const tx_stairs *s, tx_var g, tx_var w)
{
    return of_two(t, &backward, s, tx_rows(g->v), s->in, g, w);
}

static tx_var outer_of(tx_tape *t, const tx_stairs *s, tx_var x, tx_var g)
{
    return of_two(t, &outer, s, s->in, s->out, x, g);
}

/** Rows [from,to) of x' g under the mask: no output before c0 sees any of them. */
static void outer_rows(tx_var y, size_t from, size_t to, real *out_rows)
{
    const tx_stairs *s = y->a.p;
    size_t in = s->in, out = s->out, c0 = s->first[from], n = tx_rows(y->in[0]->v);
    const real *x = y->in[0]->v.x + from, *g = y->in[1]->v.x + c0;
    tx_gemm_serial(true, false, to - from, out - c0, n, 1, x, in, g, out, 0, out_rows + c0, out);
    for (size_t i = from; i < to; i++) memset(out_rows + (i - from) * out, 0, s->first[i] * sizeof *out_rows);
}

/** As for dense layers, the gradient of a weight is made when it is used. */
static tx_var weight_gradient(tx_tape *t, const tx_stairs *s, tx_var x, bool x_wanted, tx_var dz)
{
    if (x_wanted && !x->op->eval) return outer_of(t, s, x, dz);
    return tx_postpone(t, &outer, tx_shape2(s->in, s->out), (tx_var[]){x, dz}, (tx_attr){.p = s}, outer_rows);
}

static void dense_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    tx_act act = (tx_act)y->a.n;
    tx_var dz = act == TX_LINEAR ? dy : tx_activation_grad(t, y, dy, act);
    linear_vjp(t, y, dz, want, dx);
    if (want[2]) dx[2] = tx_sum_cols(t, dz);
}

static void linear_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    const tx_stairs *s = y->a.p;
    if (want[0]) dx[0] = back_through(t, s, dy, y->in[1]);
    if (want[1]) dx[1] = weight_gradient(t, s, y->in[0], want[0], dy);
}

static void backward_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    const tx_stairs *s = y->a.p;
    if (want[0]) dx[0] = product_of(t, s, dy, y->in[1]);
    if (want[1]) dx[1] = outer_of(t, s, dy, y->in[0]);
}

static void outer_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    const tx_stairs *s = y->a.p;
    if (want[0]) dx[0] = back_through(t, s, y->in[1], dy);
    if (want[1]) dx[1] = product_of(t, s, y->in[0], dy);
}

tx_var tx_stairs_dense(tx_tape *t, const tx_stairs *s, tx_var x, tx_var w, tx_var b, tx_act act)
{
    TX_REQUIRE(tx_cols(x->v) == s->in && tx_rows(w->v) == s->in && tx_cols(w->v) == s->out,
               "stairs of %zu by %zu: x has %zu columns, w[%zu,%zu]", s->in, s->out, tx_cols(x->v), tx_rows(w->v),
               tx_cols(w->v));
    TX_REQUIRE(b || act == TX_LINEAR, "an activation without a bias");
    if (!b) return product_of(t, s, x, w);
    TX_REQUIRE(tx_rows(b->v) == 1 && tx_cols(b->v) == s->out, "stairs of %zu by %zu: b[%zu,%zu]", s->in, s->out,
               tx_rows(b->v), tx_cols(b->v));
    return tx_apply(t, &dense, tx_shape2(tx_rows(x->v), s->out), (tx_var[]){x, w, b},
                    (tx_attr){.p = s, .n = (size_t)act});
}
