/** Fused log-densities. Each evaluates its gradients in the same pass and keeps them in y->saved; the backward rule
 *  makes variables of them (without a copy), whose own rules give the second derivatives. */
#include "common/tensor/ops.h"

/** `count` arrays of `len` values each, kept with y. */
static real *keep(tx_tape *t, tx_node *y, size_t count, size_t len)
{
    return y->saved = tx_arena_alloc(tx_tape_arena(t), count * len * sizeof(real));
}

/** A variable of the shape of in[0] whose value is at `x`. */
static tx_var kept(tx_tape *t, const tx_op *op, const real *x, tx_var const in[])
{
    return tx_apply(t, op, in[0]->v.shape, in, (tx_attr){.p = x});
}

static void require_same(const char *name, tx_var a, tx_var b)
{
    TX_REQUIRE(tx_shape_equal(a->v.shape, b->v.shape), "%s: [%zu,%zu] and [%zu,%zu]", name, tx_rows(a->v),
               tx_cols(a->v), tx_rows(b->v), tx_cols(b->v));
}

/* g = x - sigmoid(l), of (l, x). */
static void bernoulli_grad_vjp(tx_tape *t, tx_var g, tx_var dg, const bool want[], tx_var dx[])
{
    if (want[0]) {
        tx_var s = tx_activation(t, g->in[0], TX_SIGMOID);
        dx[0] = tx_scale(t, tx_activation_grad(t, s, dg, TX_SIGMOID), -1);
    }
    dx[1] = dg;
}

static const tx_op bernoulli_grad = {"bernoulli_grad", 2, NULL, bernoulli_grad_vjp};

static void bernoulli_eval(tx_tape *t, tx_node *y)
{
    tx_tensor l = y->in[0]->v;
    tx_bernoulli_rows(tx_rows(l), tx_cols(l), l.x, y->in[1]->v.x, y->v.x, keep(t, y, 1, tx_len(l)));
}

static void bernoulli_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_mul_col(t, kept(t, &bernoulli_grad, y->saved, y->in), dy);
    if (want[1]) dx[1] = tx_mul_col(t, y->in[0], dy);
}

static const tx_op bernoulli = {"bernoulli_logp", 2, bernoulli_eval, bernoulli_vjp};

tx_var tx_bernoulli_logp(tx_tape *t, tx_var logit, tx_var x)
{
    require_same("bernoulli_logp", logit, x);
    return tx_apply(t, &bernoulli, tx_shape2(tx_rows(x->v), 1), (tx_var[]){logit, x}, (tx_attr){0});
}

/* gmu = (x - mu) exp(-lv), of (x, mu, lv). */
static void normal_gmu_vjp(tx_tape *t, tx_var g, tx_var dg, const bool want[], tx_var dx[])
{
    if (want[0] || want[1]) dx[0] = tx_mul(t, dg, tx_exp(t, tx_scale(t, g->in[2], -1)));
    if (want[1]) dx[1] = tx_scale(t, dx[0], -1);
    if (want[2]) dx[2] = tx_scale(t, tx_mul(t, dg, g), -1);
}

static const tx_op normal_gmu = {"normal_gmu", 3, NULL, normal_gmu_vjp};

/* glv = 0.5 ((x - mu) gmu - 1), of (x, mu, gmu). */
static void normal_glv_vjp(tx_tape *t, tx_var g, tx_var dg, const bool want[], tx_var dx[])
{
    tx_var half = tx_scale(t, dg, (real)0.5);
    if (want[0] || want[1]) dx[0] = tx_mul(t, half, g->in[2]);
    if (want[1]) dx[1] = tx_scale(t, dx[0], -1);
    if (want[2]) dx[2] = tx_mul(t, half, tx_sub(t, g->in[0], g->in[1]));
}

static const tx_op normal_glv = {"normal_glv", 3, NULL, normal_glv_vjp};

static void normal_eval(tx_tape *t, tx_node *y)
{
    tx_tensor x = y->in[0]->v;
    real *gmu = keep(t, y, 2, tx_len(x)), *glv = gmu + tx_len(x);
    tx_normal_rows(tx_rows(x), tx_cols(x), x.x, y->in[1]->v.x, y->in[2]->v.x, y->v.x, gmu, glv);
}

static void normal_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    tx_var x = y->in[0], mu = y->in[1];
    const real *gmu = y->saved, *glv = gmu + tx_len(x->v);
    tx_var g = kept(t, &normal_gmu, gmu, y->in);
    if (want[0] || want[1]) dx[1] = tx_mul_col(t, g, dy);
    if (want[0]) dx[0] = tx_scale(t, dx[1], -1);
    if (want[2]) dx[2] = tx_mul_col(t, kept(t, &normal_glv, glv, (tx_var[]){x, mu, g}), dy);
}

static const tx_op normal = {"normal_logp", 3, normal_eval, normal_vjp};

tx_var tx_normal_logp(tx_tape *t, tx_var x, tx_var mu, tx_var logvar)
{
    require_same("normal_logp", x, mu);
    require_same("normal_logp", x, logvar);
    return tx_apply(t, &normal, tx_shape2(tx_rows(x->v), 1), (tx_var[]){x, mu, logvar}, (tx_attr){0});
}

/* g = -tanh(z/2), so that dg/dz = -(1 - g^2)/2. */
static void logistic_grad_vjp(tx_tape *t, tx_var g, tx_var dg, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_scale(t, tx_activation_grad(t, g, dg, TX_TANH), (real)-0.5);
}

static const tx_op logistic_grad = {"logistic_grad", 1, NULL, logistic_grad_vjp};

static void logistic_eval(tx_tape *t, tx_node *y)
{
    tx_tensor z = y->in[0]->v;
    tx_logistic_rows(tx_rows(z), tx_cols(z), z.x, y->v.x, keep(t, y, 1, tx_len(z)));
}

static void logistic_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_mul_col(t, kept(t, &logistic_grad, y->saved, y->in), dy);
}

static const tx_op logistic = {"logistic_logp", 1, logistic_eval, logistic_vjp};

tx_var tx_logistic_logp(tx_tape *t, tx_var z)
{
    return tx_apply(t, &logistic, tx_shape2(tx_rows(z->v), 1), (tx_var[]){z}, (tx_attr){0});
}

static const tx_op mog_grad = {"mog_grad", 4, NULL, NULL};

/** The saved gradients in the order of the inputs: x [n,d], then logit, mean, logsd [n,d*k]. */
static const real *mog_kept(tx_var y, int j)
{
    const real *g = y->saved;
    return j == 0 ? g : g + tx_len(y->in[0]->v) + (size_t)(j - 1) * tx_len(y->in[1]->v);
}

static void mog_eval(tx_tape *t, tx_node *y)
{
    tx_tensor x = y->in[0]->v;
    size_t n = tx_rows(x), d = tx_cols(x), k = y->a.n;
    real *gx = keep(t, y, 1 + 3 * k, n * d), *gl = gx + n * d, *gm = gl + n * d * k, *gs = gm + n * d * k;
    tx_mog_rows(n, d, k, x.x, y->in[1]->v.x, y->in[2]->v.x, y->in[3]->v.x, y->v.x, gl, gm, gs, gx);
}

static void mog_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    for (int j = 0; j < 4; j++) {
        if (!want[j]) continue;
        tx_var g = tx_apply(t, &mog_grad, y->in[j]->v.shape, y->in, (tx_attr){.p = mog_kept(y, j)});
        dx[j] = tx_mul_col(t, g, dy);
    }
}

static const tx_op mog = {"mog_logp", 4, mog_eval, mog_vjp};

tx_var tx_mog_logp(tx_tape *t, tx_var x, tx_var logit, tx_var mean, tx_var logsd, size_t k)
{
    size_t n = tx_rows(x->v), d = tx_cols(x->v);
    TX_REQUIRE(k > 0 && tx_rows(logit->v) == n && tx_cols(logit->v) == d * k, "mog_logp: x[%zu,%zu] logit[%zu,%zu]", n,
               d, tx_rows(logit->v), tx_cols(logit->v));
    require_same("mog_logp", logit, mean);
    require_same("mog_logp", logit, logsd);
    return tx_apply(t, &mog, tx_shape2(n, 1), (tx_var[]){x, logit, mean, logsd}, (tx_attr){.n = k});
}
