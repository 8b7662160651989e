/** Sums over rows, columns or everything, the repetitions that are their gradients, and maxima. */
#include <stdint.h>
#include <string.h>
#include "common/tensor/ops.h"

static void sum_rows_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor x = y->in[0]->v;
    tx_mat_sum_rows(tx_rows(x), tx_cols(x), x.x, y->v.x);
}

static void sum_rows_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_repeat_cols(t, dy, tx_cols(y->in[0]->v));
}

static const tx_op sum_rows = {"sum_rows", 1, sum_rows_eval, sum_rows_vjp};

tx_var tx_sum_rows(tx_tape *t, tx_var x)
{
    return tx_apply(t, &sum_rows, tx_shape2(tx_rows(x->v), 1), (tx_var[]){x}, (tx_attr){0});
}

static void sum_cols_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor x = y->in[0]->v;
    tx_mat_sum_cols(tx_rows(x), tx_cols(x), x.x, y->v.x);
}

static void sum_cols_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_repeat_rows(t, dy, tx_rows(y->in[0]->v));
}

static const tx_op sum_cols = {"sum_cols", 1, sum_cols_eval, sum_cols_vjp};

tx_var tx_sum_cols(tx_tape *t, tx_var x)
{
    return tx_apply(t, &sum_cols, tx_shape2(1, tx_cols(x->v)), (tx_var[]){x}, (tx_attr){0});
}

static void mean_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor x = y->in[0]->v;
    y->v.x[0] = (real)(tx_vec_sum(tx_len(x), x.x) / (double)tx_len(x));
}

static void mean_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    tx_tensor x = y->in[0]->v;
    tx_var each = tx_repeat_cols(t, tx_scale(t, dy, (real)(1.0 / (double)tx_len(x))), tx_len(x));
    dx[0] = tx_reshape(t, each, x.shape);
}

static const tx_op mean = {"mean", 1, mean_eval, mean_vjp};

tx_var tx_mean(tx_tape *t, tx_var x)
{
    TX_REQUIRE(tx_len(x->v) > 0, "mean of nothing");
    return tx_apply(t, &mean, tx_shape2(1, 1), (tx_var[]){x}, (tx_attr){0});
}

static void repeat_rows_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    size_t n = tx_rows(y->v), d = tx_cols(y->in[0]->v);
    for (size_t i = 0; i < n; i++) memcpy(y->v.x + i * d, y->in[0]->v.x, d * sizeof(real));
}

static void repeat_rows_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)y, (void)want;
    dx[0] = tx_sum_cols(t, dy);
}

static const tx_op repeat_rows = {"repeat_rows", 1, repeat_rows_eval, repeat_rows_vjp};

tx_var tx_repeat_rows(tx_tape *t, tx_var x, size_t n)
{
    TX_REQUIRE(tx_rows(x->v) == 1, "repeat_rows: x[%zu,%zu] is not one row", tx_rows(x->v), tx_cols(x->v));
    return tx_apply(t, &repeat_rows, tx_shape2(n, tx_cols(x->v)), (tx_var[]){x}, (tx_attr){0});
}

static void repeat_cols_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    const real *x = y->in[0]->v.x;
    size_t n = tx_rows(y->v), d = tx_cols(y->v);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) y->v.x[i * d + j] = x[i];
}

static void repeat_cols_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)y, (void)want;
    dx[0] = tx_sum_rows(t, dy);
}

static const tx_op repeat_cols = {"repeat_cols", 1, repeat_cols_eval, repeat_cols_vjp};

tx_var tx_repeat_cols(tx_tape *t, tx_var x, size_t d)
{
    TX_REQUIRE(tx_cols(x->v) == 1, "repeat_cols: x[%zu,%zu] is not one column", tx_rows(x->v), tx_cols(x->v));
    return tx_apply(t, &repeat_cols, tx_shape2(tx_rows(x->v), d), (tx_var[]){x}, (tx_attr){0});
}

static tx_var sum_groups(tx_tape *t, tx_var x, size_t times);

static void tile_rows_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    size_t n = tx_rows(y->v), d = tx_cols(y->v), times = y->a.n;
    for (size_t i = 0; i < n; i++) memcpy(y->v.x + i * d, y->in[0]->v.x + i / times * d, d * sizeof(real));
}

static void tile_rows_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = sum_groups(t, dy, y->a.n);
}

static const tx_op tile_rows = {"tile_rows", 1, tile_rows_eval, tile_rows_vjp};

tx_var tx_tile_rows(tx_tape *t, tx_var x, size_t times)
{
    TX_REQUIRE(times > 0, "tile_rows: 0 times");
    return tx_apply(t, &tile_rows, tx_shape2(tx_rows(x->v) * times, tx_cols(x->v)), (tx_var[]){x},
                    (tx_attr){.n = times});
}

static void sum_groups_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    size_t n = tx_rows(y->v), d = tx_cols(y->v), times = y->a.n;
    for (size_t i = 0; i < n; i++) tx_mat_sum_cols(times, d, y->in[0]->v.x + i * times * d, y->v.x + i * d);
}

static void sum_groups_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_tile_rows(t, dy, y->a.n);
}

static const tx_op sum_groups_op = {"sum_groups", 1, sum_groups_eval, sum_groups_vjp};

/** [n*times,d] -> [n,d]: sums of `times` adjacent rows. */
static tx_var sum_groups(tx_tape *t, tx_var x, size_t times)
{
    return tx_apply(t, &sum_groups_op, tx_shape2(tx_rows(x->v) / times, tx_cols(x->v)), (tx_var[]){x},
                    (tx_attr){.n = times});
}

/* softmax(x) = exp(x - logsumexp(x)): a function of both, so that its own gradient needs no rule of its own. */
static void exp_minus_col_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    const real *x = y->in[0]->v.x, *c = y->in[1]->v.x;
    size_t n = tx_rows(y->v), d = tx_cols(y->v);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) y->v.x[i * d + j] = x[i * d + j] - c[i];
    tx_vec_exp(n * d, y->v.x, y->v.x);
}

static void exp_minus_col_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    tx_var g = tx_mul(t, dy, y);
    dx[0] = g;
    if (want[1]) dx[1] = tx_scale(t, tx_sum_rows(t, g), -1);
}

static const tx_op exp_minus_col = {"exp_minus_col", 2, exp_minus_col_eval, exp_minus_col_vjp};

static void logsumexp_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor x = y->in[0]->v;
    tx_mat_logsumexp(tx_rows(x), tx_cols(x), x.x, y->v.x);
}

static void logsumexp_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    tx_var x = y->in[0], softmax = tx_apply(t, &exp_minus_col, x->v.shape, (tx_var[]){x, y}, (tx_attr){0});
    dx[0] = tx_mul_col(t, softmax, dy);
}

static const tx_op logsumexp = {"logsumexp", 1, logsumexp_eval, logsumexp_vjp};

tx_var tx_logsumexp(tx_tape *t, tx_var x)
{
    return tx_apply(t, &logsumexp, tx_shape2(tx_rows(x->v), 1), (tx_var[]){x}, (tx_attr){0});
}

/* Maxima of groups: a.n = group size, a.p = index of each group's winner in the flat input. */
static const tx_op gather_winners, scatter_winners;

static void gather_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    const size_t *winner = y->a.p;
    for (size_t i = 0, n = tx_len(y->v); i < n; i++) y->v.x[i] = y->in[0]->v.x[winner[i]];
}

static void gather_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_apply(t, &scatter_winners, y->in[0]->v.shape, (tx_var[]){dy}, y->a);
}

static void scatter_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    const size_t *winner = y->a.p;
    memset(y->v.x, 0, tx_len(y->v) * sizeof(real));
    for (size_t i = 0, n = tx_len(y->in[0]->v); i < n; i++) y->v.x[winner[i]] = y->in[0]->v.x[i];
}

static void scatter_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_apply(t, &gather_winners, y->in[0]->v.shape, (tx_var[]){dy}, y->a);
}

static const tx_op gather_winners = {"max_groups", 1, gather_eval, gather_vjp};
static const tx_op scatter_winners = {"max_groups_grad", 1, scatter_eval, scatter_vjp};

tx_var tx_max_groups(tx_tape *t, tx_var x, size_t k)
{
    size_t n = tx_rows(x->v), d = tx_cols(x->v);
    TX_REQUIRE(k > 0 && d % k == 0, "max_groups: %zu columns in groups of %zu", d, k);
    size_t *winner = tx_arena_alloc(tx_tape_arena(t), n * d / k * sizeof *winner);
    for (size_t g = 0; g < n * d / k; g++) {
        size_t best = g * k;
        for (size_t i = best + 1; i < (g + 1) * k; i++)
            if (x->v.x[i] > x->v.x[best]) best = i;
        winner[g] = best;
    }
    return tx_apply(t, &gather_winners, tx_shape2(n, d / k), (tx_var[]){x}, (tx_attr){.p = winner});
}
