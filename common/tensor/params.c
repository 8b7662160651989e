#include "common/tensor/params.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/kernels.h"

typedef struct weight {
    char *name;
    tx_shape shape;
    tx_init init;
    size_t at; /**< first scalar in the block */
} weight;

struct tx_params {
    char *net;
    weight *weight;
    int n, cap;
    real *block; /**< NULL until sealed */
    size_t size, padded;
    int too_large;       /**< first weight that no block can hold, plus one; 0: none */
    tx_var *leaf, *grad; /**< [n] leaves on `tape`, and room for tx_grad's answer */
    tx_tape *tape;
    uint64_t resets; /**< of the tape when bound */
    bool shared;     /**< names, shapes and block are another's */
    bool state;      /**< no optimiser steps it */
};

tx_params *tx_params_new(const char *net)
{
    tx_params *p = tx_alloc(1, sizeof *p);
    p->net = tx_strdup(net);
    return p;
}

tx_params *tx_params_new_state(const char *net)
{
    tx_params *p = tx_params_new(net);
    p->state = true;
    return p;
}

bool tx_params_is_state(const tx_params *p) { return p->state; }

void tx_params_free(tx_params *p)
{
    if (!p) return;
    for (int i = 0; i < p->n && !p->shared; i++) free(p->weight[i].name);
    if (!p->shared) free(p->weight), free(p->net), free(p->block);
    free(p->leaf);
    free(p->grad);
    free(p);
}

/** One more weight in *padded and *size; false, and nothing changed, where its rows or columns are more than the BLAS
 * counts or the block more than memory can be. */
static bool reserve(tx_shape s, size_t *size, size_t *padded)
{
    const size_t line = 64 / sizeof(real);
    size_t n = 1, end = 0, bytes = 0;
    for (int i = 0; i < s.rank; i++)
        if (s.dim[i] > INT_MAX || __builtin_mul_overflow(n, s.dim[i], &n)) return false;
    if (n > SIZE_MAX - line || __builtin_add_overflow(*padded, (n + line - 1) / line * line, &end) ||
        __builtin_mul_overflow(end, sizeof(real), &bytes) || bytes > PTRDIFF_MAX)
        return false;
    *size += n, *padded = end;
    return true;
}

tx_param tx_params_add(tx_params *p, const char *name, tx_shape s, tx_init init)
{
    TX_REQUIRE(!p->block, "%s: weight %s is added after the seal", p->net, name);
    for (int i = 0; i < p->n; i++) TX_REQUIRE(strcmp(p->weight[i].name, name), "%s: two weights %s", p->net, name);
    if (p->n == p->cap) {
        int cap = p->cap ? 2 * p->cap : 16;
        p->weight = tx_realloc(p->weight, (size_t)p->cap, (size_t)cap, sizeof *p->weight);
        p->cap = cap;
    }
    p->weight[p->n] = (weight){tx_strdup(name), s, init, p->padded};
    if (!reserve(s, &p->size, &p->padded) && !p->too_large) p->too_large = p->n + 1;
    return (tx_param){p->n++};
}

/** How a weight [in,out] is drawn: a standard draw times its spread. */
typedef struct law {
    void (*draw)(tx_rng r, uint64_t first, size_t n, real x[]);
    double (*spread)(double in, double out, double scale);
} law;

static double glorot(double in, double out, double scale) { return (void)scale, sqrt(6 / (in + out)); }
static double he(double in, double out, double scale) { return (void)out, (void)scale, sqrt(2 / in); }
static double given(double in, double out, double scale) { return (void)in, (void)out, scale; }

static void draw_symmetric(tx_rng r, uint64_t first, size_t n, real x[])
{
    tx_rng_uniform(r, first, n, x);
    tx_vec_affine(n, 2, x, -1, x);
}

static void draw_one(tx_rng r, uint64_t first, size_t n, real x[])
{
    (void)r, (void)first;
    for (size_t i = 0; i < n; i++) x[i] = 1;
}

static const law laws[] = {
    [TX_INIT_CONSTANT] = {draw_one, given},      [TX_INIT_GLOROT] = {draw_symmetric, glorot},
    [TX_INIT_HE] = {tx_rng_normal, he},          [TX_INIT_NORMAL] = {tx_rng_normal, given},
    [TX_INIT_UNIFORM] = {draw_symmetric, given},
};

static void fill(tx_init init, tx_rng r, tx_tensor w)
{
    TX_REQUIRE((size_t)init.kind < TX_LEN(laws), "initial distribution %d", (int)init.kind);
    const law *l = &laws[init.kind];
    double spread = l->spread((double)tx_rows(w), (double)tx_cols(w), (double)init.scale);
    l->draw(r, 0, tx_len(w), w.x);
    tx_vec_affine(tx_len(w), (real)spread, w.x, 0, w.x);
}

static void make_room(tx_params *p)
{
    p->leaf = tx_alloc((size_t)p->n, sizeof *p->leaf);
    p->grad = tx_alloc((size_t)p->n, sizeof *p->grad);
}

bool tx_params_fit(const tx_params *p, char why[TX_TEXT_MAX])
{
    if (!p->too_large) return true;
    const weight *w = &p->weight[p->too_large - 1];
    snprintf(why, TX_TEXT_MAX,
             "the weight %s of %s would be %zu x %zu: a size is at most %d, and all of a net %td bytes", w->name,
             p->net, w->shape.dim[0], w->shape.rank > 1 ? w->shape.dim[1] : 1, INT_MAX, PTRDIFF_MAX);
    return false;
}

void tx_params_seal(tx_params *p, tx_rng r)
{
    TX_REQUIRE(!p->block, "%s: sealed twice", p->net);
    TX_REQUIRE(!p->too_large, "%s: the weight %s is too large", p->net, p->weight[p->too_large - 1].name);
    p->block = tx_alloc(p->padded, sizeof *p->block);
    make_room(p);
    tx_rng of_net = tx_rng_named(r, p->net);
    for (int i = 0; i < p->n; i++)
        fill(p->weight[i].init, tx_rng_named(of_net, p->weight[i].name), tx_params_value(p, (tx_param){i}));
}

tx_params *tx_params_share(const tx_params *p)
{
    TX_REQUIRE(p->block, "%s is not sealed", p->net);
    tx_params *q = tx_alloc(1, sizeof *q);
    *q = *p;
    q->tape = NULL, q->shared = true;
    make_room(q);
    return q;
}

static const weight *at(const tx_params *p, tx_param q)
{
    TX_REQUIRE(q.id >= 0 && q.id < p->n, "%s: weight %d of %d", p->net, q.id, p->n);
    return &p->weight[q.id];
}

const char *tx_params_net(const tx_params *p) { return p->net; }
int tx_params_count(const tx_params *p) { return p->n; }
size_t tx_params_size(const tx_params *p) { return p->size; }
const char *tx_params_name(const tx_params *p, tx_param q) { return at(p, q)->name; }

tx_tensor tx_params_value(const tx_params *p, tx_param q)
{
    const weight *w = at(p, q);
    TX_REQUIRE(p->block, "%s is not sealed", p->net);
    return (tx_tensor){p->block + w->at, w->shape};
}

tx_tensor tx_params_block(const tx_params *p)
{
    TX_REQUIRE(p->block, "%s is not sealed", p->net);
    return tx_matrix(p->block, 1, p->padded);
}

void tx_params_bind(tx_params *p, tx_tape *t)
{
    for (int i = 0; i < p->n; i++) p->leaf[i] = tx_leaf(t, tx_params_value(p, (tx_param){i}));
    p->tape = t;
    p->resets = tx_tape_resets(t);
}

static bool bound(const tx_params *p) { return p->tape && tx_tape_resets(p->tape) == p->resets; }

tx_var tx_params_var(const tx_params *p, tx_param q)
{
    TX_REQUIRE(bound(p), "%s: %s is not bound to the tape since its last reset", p->net, at(p, q)->name);
    return p->leaf[q.id];
}

void tx_params_use(tx_params *p, tx_tape *t, tx_var const with[])
{
    TX_REQUIRE(bound(p) && p->tape == t, "%s is not bound to this tape since its last reset", p->net);
    for (int i = 0; i < p->n; i++) {
        TX_REQUIRE(tx_shape_equal(with[i]->v.shape, p->weight[i].shape), "%s: [%zu,%zu] in place of %s", p->net,
                   tx_rows(with[i]->v), tx_cols(with[i]->v), p->weight[i].name);
        p->leaf[i] = with[i];
    }
}

void tx_params_grad(tx_params *p, tx_tape *t, tx_var loss, tx_tensor grad[])
{
    TX_REQUIRE(bound(p) && p->tape == t, "%s is not bound to this tape since its last reset", p->net);
    tx_grad(t, loss, p->leaf, p->n, p->grad);
    for (int i = 0; i < p->n; i++) grad[i] = p->grad[i]->v;
}
