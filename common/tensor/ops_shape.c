/** Ops that move values and compute nothing. */
#include <string.h>
#include "common/tensor/ops.h"

static void reshape_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_reshape(t, dy, y->in[0]->v.shape);
}

static const tx_op reshape = {"reshape", 1, NULL, reshape_vjp};

tx_var tx_reshape(tx_tape *t, tx_var x, tx_shape s)
{
    size_t len = tx_len((tx_tensor){NULL, s});
    TX_REQUIRE(len == tx_len(x->v), "reshape: %zu values to %zu", tx_len(x->v), len);
    return tx_apply(t, &reshape, s, (tx_var[]){x}, (tx_attr){.p = x->v.x});
}

/* Columns a.n, a.n + a.n2, ... of a wide matrix: take reads them, spread writes them between zeros. */
static const tx_op take_cols, spread_cols;

static void take_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    size_t n = tx_rows(y->v), count = tx_cols(y->v), d = tx_cols(y->in[0]->v), from = y->a.n, stride = y->a.n2;
    for (size_t i = 0; i < n; i++) {
        const real *x = y->in[0]->v.x + i * d + from;
        if (stride == 1)
            memcpy(y->v.x + i * count, x, count * sizeof(real));
        else
            for (size_t j = 0; j < count; j++) y->v.x[i * count + j] = x[j * stride];
    }
}

static void take_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_apply(t, &spread_cols, tx_shape2(tx_rows(y->v), tx_cols(y->in[0]->v)), (tx_var[]){dy}, y->a);
}

static void spread_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    size_t n = tx_rows(y->v), count = tx_cols(y->in[0]->v), d = tx_cols(y->v), from = y->a.n, stride = y->a.n2;
    memset(y->v.x, 0, n * d * sizeof(real));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < count; j++) y->v.x[i * d + from + j * stride] = y->in[0]->v.x[i * count + j];
}

static void spread_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_apply(t, &take_cols, y->in[0]->v.shape, (tx_var[]){dy}, y->a);
}

static const tx_op take_cols = {"take_cols", 1, take_eval, take_vjp};
static const tx_op spread_cols = {"spread_cols", 1, spread_eval, spread_vjp};

static tx_var take(tx_tape *t, tx_var x, size_t from, size_t stride, size_t count)
{
    return tx_apply(t, &take_cols, tx_shape2(tx_rows(x->v), count), (tx_var[]){x}, (tx_attr){.n = from, .n2 = stride});
}

tx_var tx_slice_cols(tx_tape *t, tx_var x, size_t from, size_t to)
{
    TX_REQUIRE(from <= to && to <= tx_cols(x->v), "slice_cols: %zu to %zu of %zu", from, to, tx_cols(x->v));
    return take(t, x, from, 1, to - from);
}

tx_var tx_stride_cols(tx_tape *t, tx_var x, size_t from, size_t stride)
{
    size_t d = tx_cols(x->v);
    TX_REQUIRE(from <= d && stride > 0, "stride_cols: from %zu by %zu of %zu", from, stride, d);
    return take(t, x, from, stride, (d - from + stride - 1) / stride);
}

static void concat_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor a = y->in[0]->v, b = y->in[1]->v;
    size_t n = tx_rows(y->v), da = tx_cols(a), db = tx_cols(b);
    for (size_t i = 0; i < n; i++) {
        memcpy(y->v.x + i * (da + db), a.x + i * da, da * sizeof(real));
        memcpy(y->v.x + i * (da + db) + da, b.x + i * db, db * sizeof(real));
    }
}

static void concat_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    size_t da = tx_cols(y->in[0]->v);
    if (want[0]) dx[0] = tx_slice_cols(t, dy, 0, da);
    if (want[1]) dx[1] = tx_slice_cols(t, dy, da, tx_cols(y->v));
}

static const tx_op concat_cols = {"concat_cols", 2, concat_eval, concat_vjp};

static tx_var side_by_side(tx_tape *t, const tx_op *op, tx_var a, tx_var b)
{
    TX_REQUIRE(tx_rows(a->v) == tx_rows(b->v), "%s: %zu and %zu rows", op->name, tx_rows(a->v), tx_rows(b->v));
    return tx_apply(t, op, tx_shape2(tx_rows(a->v), tx_cols(a->v) + tx_cols(b->v)), (tx_var[]){a, b}, (tx_attr){0});
}

tx_var tx_concat_cols(tx_tape *t, tx_var a, tx_var b) { return side_by_side(t, &concat_cols, a, b); }

static void interleave_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor a = y->in[0]->v, b = y->in[1]->v;
    size_t n = tx_rows(y->v), d = tx_cols(y->v), da = tx_cols(a), db = tx_cols(b);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < da; j++) y->v.x[i * d + 2 * j] = a.x[i * da + j];
        for (size_t j = 0; j < db; j++) y->v.x[i * d + 2 * j + 1] = b.x[i * db + j];
    }
}

static void interleave_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)y;
    if (want[0]) dx[0] = tx_stride_cols(t, dy, 0, 2);
    if (want[1]) dx[1] = tx_stride_cols(t, dy, 1, 2);
}

static const tx_op interleave_cols = {"interleave_cols", 2, interleave_eval, interleave_vjp};

tx_var tx_interleave_cols(tx_tape *t, tx_var a, tx_var b)
{
    size_t da = tx_cols(a->v), db = tx_cols(b->v);
    TX_REQUIRE(da == db || da == db + 1, "interleave_cols: %zu even and %zu odd columns", da, db);
    return side_by_side(t, &interleave_cols, a, b);
}

/* Rows are adjacent, so that those of a matrix are columns of its memory taken as one row. */
static tx_var in_one_row(tx_tape *t, tx_var x) { return tx_reshape(t, x, tx_shape2(1, tx_len(x->v))); }

tx_var tx_take_rows(tx_tape *t, tx_var x, size_t from, size_t to)
{
    size_t n = tx_rows(x->v), d = tx_cols(x->v);
    TX_REQUIRE(from <= to && to <= n, "take_rows: %zu to %zu of %zu", from, to, n);
    return tx_reshape(t, tx_slice_cols(t, in_one_row(t, x), from * d, to * d), tx_shape2(to - from, d));
}

tx_var tx_concat_rows(tx_tape *t, tx_var a, tx_var b)
{
    size_t d = tx_cols(a->v);
    TX_REQUIRE(tx_cols(b->v) == d, "concat_rows: %zu and %zu columns", d, tx_cols(b->v));
    tx_var row = tx_concat_cols(t, in_one_row(t, a), in_one_row(t, b));
    return tx_reshape(t, row, tx_shape2(tx_rows(a->v) + tx_rows(b->v), d));
}
