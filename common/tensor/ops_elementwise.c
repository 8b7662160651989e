/** Ops whose every output element depends on the input elements at its place; rows and columns are spread out. */
#include "common/tensor/ops.h"

static tx_var binary(tx_tape *t, const tx_op *op, tx_var a, tx_var b)
{
    TX_REQUIRE(tx_shape_equal(a->v.shape, b->v.shape), "%s: [%zu,%zu] and [%zu,%zu]", op->name, tx_rows(a->v),
               tx_cols(a->v), tx_rows(b->v), tx_cols(b->v));
    return tx_apply(t, op, a->v.shape, (tx_var[]){a, b}, (tx_attr){0});
}

static tx_var unary(tx_tape *t, const tx_op *op, tx_var x, tx_attr a)
{
    return tx_apply(t, op, x->v.shape, (tx_var[]){x}, a);
}

static void add_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_add(tx_len(y->v), y->in[0]->v.x, y->in[1]->v.x, y->v.x);
}

static void add_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)t, (void)y, (void)want;
    dx[0] = dx[1] = dy;
}

static const tx_op add = {"add", 2, add_eval, add_vjp};

tx_var tx_add(tx_tape *t, tx_var a, tx_var b) { return binary(t, &add, a, b); }

static void sub_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_sub(tx_len(y->v), y->in[0]->v.x, y->in[1]->v.x, y->v.x);
}

static void sub_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)y;
    dx[0] = dy;
    if (want[1]) dx[1] = tx_scale(t, dy, -1);
}

static const tx_op sub = {"sub", 2, sub_eval, sub_vjp};

tx_var tx_sub(tx_tape *t, tx_var a, tx_var b) { return binary(t, &sub, a, b); }

static void mul_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_mul(tx_len(y->v), y->in[0]->v.x, y->in[1]->v.x, y->v.x);
}

static void mul_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_mul(t, dy, y->in[1]);
    if (want[1]) dx[1] = tx_mul(t, dy, y->in[0]);
}

static const tx_op mul = {"mul", 2, mul_eval, mul_vjp};

tx_var tx_mul(tx_tape *t, tx_var a, tx_var b) { return binary(t, &mul, a, b); }

static void div_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_div(tx_len(y->v), y->in[0]->v.x, y->in[1]->v.x, y->v.x);
}

static void div_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    tx_var q = tx_div(t, dy, y->in[1]);
    dx[0] = q;
    if (want[1]) dx[1] = tx_scale(t, tx_mul(t, q, y), -1);
}

static const tx_op divide = {"div", 2, div_eval, div_vjp};

tx_var tx_div(tx_tape *t, tx_var a, tx_var b) { return binary(t, &divide, a, b); }

static void affine_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_affine(tx_len(y->v), y->a.f, y->in[0]->v.x, y->a.f2, y->v.x);
}

static void affine_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_scale(t, dy, y->a.f);
}

static const tx_op affine = {"affine", 1, affine_eval, affine_vjp};

tx_var tx_affine(tx_tape *t, tx_var x, real scale, real shift)
{
    return unary(t, &affine, x, (tx_attr){.f = scale, .f2 = shift});
}

tx_var tx_scale(tx_tape *t, tx_var x, real s) { return tx_affine(t, x, s, 0); }

static void exp_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_exp(tx_len(y->v), y->in[0]->v.x, y->v.x);
}

static void exp_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_mul(t, dy, y);
}

static const tx_op exponential = {"exp", 1, exp_eval, exp_vjp};

tx_var tx_exp(tx_tape *t, tx_var x) { return unary(t, &exponential, x, (tx_attr){0}); }

static void log_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_log(tx_len(y->v), y->in[0]->v.x, y->v.x);
}

static void log_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_div(t, dy, y->in[0]);
}

static const tx_op logarithm = {"log", 1, log_eval, log_vjp};

tx_var tx_log(tx_tape *t, tx_var x) { return unary(t, &logarithm, x, (tx_attr){0}); }

static void sqrt_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_sqrt(tx_len(y->v), y->in[0]->v.x, y->v.x);
}

static void sqrt_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_scale(t, tx_div(t, dy, y), (real)0.5);
}

static const tx_op root = {"sqrt", 1, sqrt_eval, sqrt_vjp};

tx_var tx_sqrt(tx_tape *t, tx_var x) { return unary(t, &root, x, (tx_attr){0}); }

static void clip_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_clip(tx_len(y->v), y->in[0]->v.x, y->a.f, y->a.f2, y->v.x);
}

static void clip_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    const real *x = y->in[0]->v.x, lo = y->a.f, hi = y->a.f2;
    tx_tensor inside = tx_tape_tensor(t, tx_rows(y->v), tx_cols(y->v));
    inside.shape = y->v.shape;
    for (size_t i = 0, n = tx_len(y->v); i < n; i++) inside.x[i] = x[i] >= lo && x[i] <= hi;
    dx[0] = tx_mul(t, dy, tx_leaf(t, inside));
}

static const tx_op clip = {"clip", 1, clip_eval, clip_vjp};

tx_var tx_clip(tx_tape *t, tx_var x, real lo, real hi)
{
    TX_REQUIRE(lo <= hi, "clip to [%g, %g]", (double)lo, (double)hi);
    return unary(t, &clip, x, (tx_attr){.f = lo, .f2 = hi});
}

static void activation_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_vec_act((tx_act)y->a.n, tx_len(y->v), y->in[0]->v.x, y->v.x);
}

static void activation_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_activation_grad(t, y, dy, (tx_act)y->a.n);
}

static const tx_op activation = {"activation", 1, activation_eval, activation_vjp};

tx_var tx_activation(tx_tape *t, tx_var x, tx_act act) { return unary(t, &activation, x, (tx_attr){.n = act}); }

/* With act'(z) = s(y) written in the output y: ds/dy. NULL where s is constant in pieces. */
static tx_var tanh_curve(tx_tape *t, tx_var y) { return tx_scale(t, y, -2); }
static tx_var sigmoid_curve(tx_tape *t, tx_var y) { return tx_affine(t, y, -2, 1); }
static tx_var softplus_curve(tx_tape *t, tx_var y) { return tx_exp(t, tx_scale(t, y, -1)); }
static tx_var (*const curve[])(tx_tape *, tx_var) = {
    [TX_TANH] = tanh_curve, [TX_SIGMOID] = sigmoid_curve, [TX_SOFTPLUS] = softplus_curve};

static void activation_grad_eval(tx_tape *t, tx_node *g)
{
    (void)t;
    tx_vec_act_grad((tx_act)g->a.n, tx_len(g->v), g->in[0]->v.x, g->in[1]->v.x, g->v.x);
}

static void activation_grad_vjp(tx_tape *t, tx_var g, tx_var dg, const bool want[], tx_var dx[])
{
    tx_act act = (tx_act)g->a.n;
    if (want[0] && curve[act]) dx[0] = tx_mul(t, tx_mul(t, dg, g->in[1]), curve[act](t, g->in[0]));
    if (want[1]) dx[1] = tx_activation_grad(t, g->in[0], dg, act);
}

static const tx_op activation_grad = {"activation_grad", 2, activation_grad_eval, activation_grad_vjp};

tx_var tx_activation_grad(tx_tape *t, tx_var y, tx_var dy, tx_act act)
{
    TX_REQUIRE(tx_len(y->v) == tx_len(dy->v), "activation_grad: %zu and %zu values", tx_len(y->v), tx_len(dy->v));
    return tx_apply(t, &activation_grad, y->v.shape, (tx_var[]){y, dy}, (tx_attr){.n = act});
}

static void add_row_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_mat_add_row(tx_rows(y->v), tx_cols(y->v), y->in[0]->v.x, y->in[1]->v.x, y->v.x);
}

static void add_row_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)y;
    dx[0] = dy;
    if (want[1]) dx[1] = tx_sum_cols(t, dy);
}

static const tx_op add_row = {"add_row", 2, add_row_eval, add_row_vjp};

static tx_var with_row(tx_tape *t, const tx_op *op, tx_var x, tx_var row)
{
    TX_REQUIRE(tx_rows(row->v) == 1 && tx_cols(row->v) == tx_cols(x->v), "%s: x[%zu,%zu] row[%zu,%zu]", op->name,
               tx_rows(x->v), tx_cols(x->v), tx_rows(row->v), tx_cols(row->v));
    return tx_apply(t, op, x->v.shape, (tx_var[]){x, row}, (tx_attr){0});
}

tx_var tx_add_row(tx_tape *t, tx_var x, tx_var row) { return with_row(t, &add_row, x, row); }

static void mul_row_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_mat_mul_row(tx_rows(y->v), tx_cols(y->v), y->in[0]->v.x, y->in[1]->v.x, y->v.x);
}

static void mul_row_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_mul_row(t, dy, y->in[1]);
    if (want[1]) dx[1] = tx_sum_cols(t, tx_mul(t, dy, y->in[0]));
}

static const tx_op mul_row = {"mul_row", 2, mul_row_eval, mul_row_vjp};

tx_var tx_mul_row(tx_tape *t, tx_var x, tx_var row) { return with_row(t, &mul_row, x, row); }

static void mul_col_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_mat_mul_col(tx_rows(y->v), tx_cols(y->v), y->in[0]->v.x, y->in[1]->v.x, y->v.x);
}

static void mul_col_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_mul_col(t, dy, y->in[1]);
    if (want[1]) dx[1] = tx_sum_rows(t, tx_mul(t, dy, y->in[0]));
}

static const tx_op mul_col = {"mul_col", 2, mul_col_eval, mul_col_vjp};

tx_var tx_mul_col(tx_tape *t, tx_var x, tx_var col)
{
    TX_REQUIRE(tx_rows(col->v) == tx_rows(x->v) && tx_cols(col->v) == 1, "mul_col: x[%zu,%zu] col[%zu,%zu]",
               tx_rows(x->v), tx_cols(x->v), tx_rows(col->v), tx_cols(col->v));
    return tx_apply(t, &mul_col, x->v.shape, (tx_var[]){x, col}, (tx_attr){0});
}
