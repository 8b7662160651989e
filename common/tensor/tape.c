#include "common/tensor/tape.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/ops.h"

enum { LINE = 64, NODE_BYTES = (sizeof(tx_node) + LINE - 1) / LINE * LINE, FIRST_NODES = 256 };

struct tx_tape {
    tx_arena *arena;
    tx_mark empty;
    tx_node **node; /**< [n] in the order of recording, so that inputs come before their uses */
    size_t n, cap, growths;
    uint64_t resets;
};

tx_tape *tx_tape_new(size_t reserve_bytes)
{
    tx_tape *t = tx_alloc(1, sizeof *t);
    t->arena = tx_arena_new(reserve_bytes);
    t->empty = tx_arena_mark(t->arena);
    return t;
}

void tx_tape_free(tx_tape *t)
{
    if (!t) return;
    tx_arena_free(t->arena);
    free(t->node);
    free(t);
}

void tx_tape_reset(tx_tape *t)
{
    tx_arena_release(t->arena, t->empty);
    t->n = 0;
    t->resets++;
}

tx_arena *tx_tape_arena(tx_tape *t) { return t->arena; }
size_t tx_tape_growths(const tx_tape *t) { return t->growths + tx_arena_growths(t->arena); }
uint64_t tx_tape_resets(const tx_tape *t) { return t->resets; }
size_t tx_tape_nodes(const tx_tape *t) { return t->n; }

static void grow(tx_tape *t)
{
    size_t cap = t->cap ? 2 * t->cap : FIRST_NODES;
    TX_REQUIRE(cap <= INT_MAX, "a tape of %zu nodes: was tx_tape_reset forgotten?", cap);
    t->node = tx_realloc(t->node, t->cap, cap, sizeof *t->node);
    t->cap = cap;
    t->growths++;
}

static size_t bytes(tx_shape s) { return tx_len((tx_tensor){NULL, s}) * sizeof(real); }

static bool alive(const tx_tape *t, tx_var v) { return v && (size_t)v->index < t->n && t->node[v->index] == v; }

static tx_node *record(tx_tape *t, const tx_op *op, tx_shape shape, tx_var const in[], tx_attr a, size_t room)
{
    for (int j = 0; j < op->n_in; j++) {
        TX_REQUIRE(alive(t, in[j]), "%s: input %d is not on this tape since its last reset", op->name, j);
        tx_compute(t, in[j]);
    }
    if (t->n == t->cap) grow(t);
    tx_node *y = tx_arena_alloc(t->arena, NODE_BYTES + room);
    *y = (tx_node){.v = {NULL, shape}, .op = op, .a = a, .index = (int)t->n};
    for (int j = 0; j < op->n_in; j++) y->in[j] = in[j];
    t->node[t->n++] = y;
    return y;
}

tx_var tx_apply(tx_tape *t, const tx_op *op, tx_shape shape, tx_var const in[], tx_attr a)
{
    tx_node *y = record(t, op, shape, in, a, op->eval ? bytes(shape) : 0);
    y->v.x = op->eval ? (real *)((char *)y + NODE_BYTES) : (real *)a.p;
    if (op->eval) op->eval(t, y);
    return y;
}

tx_var tx_postpone(tx_tape *t, const tx_op *op, tx_shape shape, tx_var const in[], tx_attr a, tx_rows_fn *rows)
{
    tx_node *y = record(t, op, shape, in, a, 0);
    y->rows = rows;
    return y;
}

void tx_compute(tx_tape *t, tx_var v)
{
    tx_node *y = t->node[v->index];
    if (y->v.x || !y->rows) return;
    y->v.x = tx_arena_alloc(t->arena, bytes(y->v.shape));
    y->op->eval(t, y);
}

static const tx_op leaf = {"leaf", 0, NULL, NULL};

tx_var tx_leaf(tx_tape *t, tx_tensor v) { return tx_apply(t, &leaf, v.shape, NULL, (tx_attr){.p = v.x}); }

tx_tensor tx_tape_tensor(tx_tape *t, size_t rows, size_t cols)
{
    tx_shape s = tx_shape2(rows, cols);
    return (tx_tensor){tx_arena_alloc(t->arena, bytes(s)), s};
}

static tx_var constant(tx_tape *t, tx_shape s, real value)
{
    tx_tensor c = {tx_arena_alloc(t->arena, bytes(s)), s};
    for (size_t i = 0, n = tx_len(c); i < n; i++) c.x[i] = value;
    return tx_leaf(t, c);
}

/** A walk back from y: what is known of the nodes first .. y->index. */
typedef struct walk {
    tx_tape *t;
    size_t first, n;
    tx_var *d; /**< [n] cotangent of each node so far, NULL where nothing has arrived */
    bool *on;  /**< [n] whether the node is, or depends on, one of wrt */
} walk;

static bool wanted(const walk *w, tx_var v)
{
    return (size_t)v->index >= w->first && (size_t)v->index - w->first < w->n && w->on[(size_t)v->index - w->first];
}

static walk start(tx_tape *t, tx_var y, tx_var const wrt[], int n)
{
    walk w = {.t = t, .first = (size_t)y->index + 1};
    size_t end = w.first;
    for (int k = 0; k < n; k++) {
        TX_REQUIRE(alive(t, wrt[k]), "wrt[%d] is not on this tape since its last reset", k);
        if ((size_t)wrt[k]->index < w.first) w.first = (size_t)wrt[k]->index;
    }
    w.n = end - w.first;
    w.d = tx_arena_alloc(t->arena, w.n * (sizeof *w.d + sizeof *w.on));
    w.on = (bool *)(w.d + w.n);
    memset(w.d, 0, w.n * (sizeof *w.d + sizeof *w.on));
    for (int k = 0; k < n; k++)
        if ((size_t)wrt[k]->index < end) w.on[(size_t)wrt[k]->index - w.first] = true;
    for (size_t i = 0; i < w.n; i++) {
        const tx_node *v = t->node[w.first + i];
        for (int j = 0; j < v->op->n_in && !w.on[i]; j++) w.on[i] = wanted(&w, v->in[j]);
    }
    return w;
}

static void arrive(walk *w, tx_var v, tx_var d)
{
    if (!tx_shape_equal(d->v.shape, v->v.shape)) d = tx_reshape(w->t, d, v->v.shape);
    tx_var *sum = &w->d[(size_t)v->index - w->first];
    *sum = *sum ? tx_add(w->t, *sum, d) : d;
}

static void back(walk *w, size_t i)
{
    tx_var v = w->t->node[w->first + i], dx[TX_MAX_IN] = {NULL};
    bool want[TX_MAX_IN] = {false}, any = false;
    for (int j = 0; j < v->op->n_in; j++) any |= want[j] = wanted(w, v->in[j]);
    if (!any) return;
    TX_REQUIRE(v->op->vjp, "%s cannot be differentiated", v->op->name);
    v->op->vjp(w->t, v, w->d[i], want, dx);
    for (int j = 0; j < v->op->n_in; j++)
        if (want[j] && dx[j]) arrive(w, v->in[j], dx[j]);
}

static void pull(tx_tape *t, tx_var y, tx_var c, tx_var const wrt[], int n, tx_var out[])
{
    TX_REQUIRE(alive(t, y) && alive(t, c), "not on this tape since its last reset");
    TX_REQUIRE(tx_shape_equal(y->v.shape, c->v.shape), "the cotangent of %s has another shape", y->op->name);
    walk w = start(t, y, wrt, n);
    if (w.n > 0 && w.on[w.n - 1]) {
        arrive(&w, y, c);
        for (size_t i = w.n; i-- > 0;)
            if (w.d[i]) back(&w, i);
    }
    for (int k = 0; k < n; k++) {
        tx_var d = wanted(&w, wrt[k]) ? w.d[(size_t)wrt[k]->index - w.first] : NULL;
        out[k] = d ? d : constant(t, wrt[k]->v.shape, 0);
    }
}

void tx_vjp(tx_tape *t, tx_var y, tx_var c, tx_var const wrt[], int n, tx_var out[])
{
    pull(t, y, c, wrt, n, out);
    for (int k = 0; k < n; k++) tx_compute(t, out[k]);
}

void tx_grad_postponed(tx_tape *t, tx_var y, tx_var const wrt[], int n, tx_var out[])
{
    TX_REQUIRE(alive(t, y), "not on this tape since its last reset");
    pull(t, y, constant(t, y->v.shape, 1), wrt, n, out);
}

void tx_grad(tx_tape *t, tx_var y, tx_var const wrt[], int n, tx_var out[])
{
    tx_grad_postponed(t, y, wrt, n, out);
    for (int k = 0; k < n; k++) tx_compute(t, out[k]);
}
