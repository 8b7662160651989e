/** Products of matrices. */
#include "common/tensor/ops.h"

static void matmul_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor a = y->in[0]->v, b = y->in[1]->v;
    bool ta = y->a.n, tb = y->a.n2;
    tx_gemm(ta, tb, tx_rows(y->v), tx_cols(y->v), ta ? tx_rows(a) : tx_cols(a), 1, a.x, tx_cols(a), b.x, tx_cols(b), 0,
            y->v.x, tx_cols(y->v));
}

static void matmul_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    tx_var a = y->in[0], b = y->in[1];
    bool ta = y->a.n, tb = y->a.n2;
    if (want[0]) dx[0] = ta ? tx_matmul(t, b, tb, dy, true) : tx_matmul(t, dy, false, b, !tb);
    if (want[1]) dx[1] = tb ? tx_matmul(t, dy, true, a, ta) : tx_matmul(t, a, !ta, dy, false);
}

static const tx_op matmul = {"matmul", 2, matmul_eval, matmul_vjp};

tx_var tx_matmul(tx_tape *t, tx_var a, bool ta, tx_var b, bool tb)
{
    size_t m = ta ? tx_cols(a->v) : tx_rows(a->v), k = ta ? tx_rows(a->v) : tx_cols(a->v);
    size_t n = tb ? tx_rows(b->v) : tx_cols(b->v), kb = tb ? tx_cols(b->v) : tx_rows(b->v);
    TX_REQUIRE(k == kb, "matmul: [%zu,%zu] by [%zu,%zu]", m, k, kb, n);
    return tx_apply(t, &matmul, tx_shape2(m, n), (tx_var[]){a, b}, (tx_attr){.n = ta, .n2 = tb});
}

/** Rows of a' b. */
static void weight_rows(tx_var y, size_t from, size_t to, real *out)
{
    tx_tensor a = y->in[0]->v, b = y->in[1]->v;
    size_t in = tx_cols(a), width = tx_cols(b);
    tx_gemm_serial(true, false, to - from, width, tx_rows(a), 1, a.x + from, in, b.x, width, 0, out, width);
}

/** The gradient x' dz of a weight is large and is used once, by an optimiser; but not postponed where x is itself a
 *  parameter that the same step changes. */
static tx_var weight_gradient(tx_tape *t, tx_var x, bool x_wanted, tx_var dz)
{
    if (x_wanted && !x->op->eval) return tx_matmul(t, x, true, dz, false);
    return tx_postpone(t, &matmul, tx_shape2(tx_cols(x->v), tx_cols(dz->v)), (tx_var[]){x, dz}, (tx_attr){.n = true},
                       weight_rows);
}

static void dense_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor x = y->in[0]->v;
    tx_dense_forward(tx_rows(x), tx_cols(x), tx_cols(y->v), x.x, y->in[1]->v.x, y->in[2]->v.x, (tx_act)y->a.n, y->v.x);
}

static void dense_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    tx_act act = (tx_act)y->a.n;
    tx_var dz = act == TX_LINEAR ? dy : tx_activation_grad(t, y, dy, act);
    if (want[0]) dx[0] = tx_matmul(t, dz, false, y->in[1], true);
    if (want[1]) dx[1] = weight_gradient(t, y->in[0], want[0], dz);
    if (want[2]) dx[2] = tx_sum_cols(t, dz);
}

static const tx_op dense = {"dense", 3, dense_eval, dense_vjp};

tx_var tx_dense(tx_tape *t, tx_var x, tx_var w, tx_var b, tx_act act)
{
    size_t n = tx_rows(x->v), in = tx_cols(x->v), out = tx_cols(w->v);
    TX_REQUIRE(tx_rows(w->v) == in, "dense: x[%zu,%zu] w[%zu,%zu]", n, in, tx_rows(w->v), out);
    TX_REQUIRE(tx_rows(b->v) == 1 && tx_cols(b->v) == out, "dense: w[%zu,%zu] b[%zu,%zu]", in, out, tx_rows(b->v),
               tx_cols(b->v));
    return tx_apply(t, &dense, tx_shape2(n, out), (tx_var[]){x, w, b}, (tx_attr){.n = act});
}
