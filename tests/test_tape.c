/** Every op against a naive loop in double precision, its gradient against central differences with a random cotangent,
 *  and the gradient of its gradient where that is promised; then the tape itself. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include "common/tensor/ops.h"
#include "common/tensor/rng.h"
#include "tests/support/check.h"

enum { K = 3, O = 4, MAX_IN = 4 };

/** An op's input: letters of its rows and columns (see extent), and the range of its values. */
typedef struct input {
    const char *shape;
    double lo, hi;
} input;

typedef struct op_case {
    const char *name;
    input in[MAX_IN];
    tx_var (*make)(tx_tape *t, tx_var const in[], size_t n, size_t d);
    void (*naive)(const double *const in[], size_t n, size_t d, double y[]);
    int times; /**< how often it can be differentiated: 1 or 2 */
    bool kink; /**< differences of float precision would step over a kink */
} op_case;

static size_t extent(char c, size_t n, size_t d)
{
    return c == 'n'   ? n
           : c == 'd' ? d
           : c == 'k' ? K * d
           : c == 'o' ? O
           : c == 'e' ? (d + 1) / 2
           : c == 'f' ? d / 2
                      : 1;
}

#define EACH                                                                                                           \
    for (size_t i = 0; i < n; i++)                                                                                     \
        for (size_t j = 0; j < d; j++)
#define HERE (i * d + j)
#define MAKE(name, construct)                                                                                          \
    static tx_var name##_make(tx_tape *t, tx_var const in[], size_t n, size_t d)                                       \
    {                                                                                                                  \
        (void)n, (void)d;                                                                                              \
        return construct;                                                                                              \
    }

/* An op [n,d] -> [n,d]: its constructor, its formula in a = in[0][a_at] and b = in[1][b_at]. */
#define ELEMENTWISE(name, construct, a_at, b_at, formula)                                                              \
    MAKE(name, construct)                                                                                              \
    static void name##_naive(const double *const in[], size_t n, size_t d, double y[])                                 \
    {                                                                                                                  \
        EACH                                                                                                           \
        {                                                                                                              \
            double a = in[0][a_at], b = in[1] ? in[1][b_at] : 0;                                                       \
            (void)b;                                                                                                   \
            y[HERE] = formula;                                                                                         \
        }                                                                                                              \
    }
ELEMENTWISE(add, tx_add(t, in[0], in[1]), HERE, HERE, a + b)
ELEMENTWISE(sub, tx_sub(t, in[0], in[1]), HERE, HERE, a - b)
ELEMENTWISE(mul, tx_mul(t, in[0], in[1]), HERE, HERE, (a * b))
ELEMENTWISE(divide, tx_div(t, in[0], in[1]), HERE, HERE, a / b)
ELEMENTWISE(affine, tx_affine(t, in[0], (real)1.75, (real)-0.375), HERE, 0, 1.75 * a - 0.375)
ELEMENTWISE(scale, tx_scale(t, in[0], (real)-2.375), HERE, 0, -2.375 * a)
ELEMENTWISE(exponential, tx_exp(t, in[0]), HERE, 0, exp(a))
ELEMENTWISE(logarithm, tx_log(t, in[0]), HERE, 0, log(a))
ELEMENTWISE(root, tx_sqrt(t, in[0]), HERE, 0, sqrt(a))
ELEMENTWISE(clip, tx_clip(t, in[0], (real)-0.75, (real)1.125), HERE, 0, fmin(fmax(a, -0.75), 1.125))
ELEMENTWISE(identity, tx_activation(t, in[0], TX_LINEAR), HERE, 0, a)
ELEMENTWISE(relu, tx_activation(t, in[0], TX_RELU), HERE, 0, a > 0 ? a : 0)
ELEMENTWISE(leaky, tx_activation(t, in[0], TX_LEAKY_RELU), HERE, 0, a > 0 ? a : 0.2 * a)
ELEMENTWISE(tangent, tx_activation(t, in[0], TX_TANH), HERE, 0, tanh(a))
ELEMENTWISE(sigmoid, tx_activation(t, in[0], TX_SIGMOID), HERE, 0, 1 / (1 + exp(-a)))
ELEMENTWISE(softplus, tx_activation(t, in[0], TX_SOFTPLUS), HERE, 0, log1p(exp(a)))
ELEMENTWISE(relu_grad, tx_activation_grad(t, in[0], in[1], TX_RELU), HERE, HERE, a > 0 ? b : 0)
ELEMENTWISE(leaky_grad, tx_activation_grad(t, in[0], in[1], TX_LEAKY_RELU), HERE, HERE, a > 0 ? b : 0.2 * b)
ELEMENTWISE(tanh_grad, tx_activation_grad(t, in[0], in[1], TX_TANH), HERE, HERE, b - a * a * b)
ELEMENTWISE(sigmoid_grad, tx_activation_grad(t, in[0], in[1], TX_SIGMOID), HERE, HERE, a *b - a * a * b)
ELEMENTWISE(softplus_grad, tx_activation_grad(t, in[0], in[1], TX_SOFTPLUS), HERE, HERE, b - exp(-a) * b)
ELEMENTWISE(add_row, tx_add_row(t, in[0], in[1]), HERE, j, a + b)
ELEMENTWISE(mul_row, tx_mul_row(t, in[0], in[1]), HERE, j, (a * b))
ELEMENTWISE(mul_col, tx_mul_col(t, in[0], in[1]), HERE, i, (a * b))
ELEMENTWISE(repeat_rows, tx_repeat_rows(t, in[0], n), j, 0, a)
ELEMENTWISE(repeat_cols, tx_repeat_cols(t, in[0], d), i, 0, a)

/* An op [n,d] -> [n,1] that sums a formula in a, b, c, the elements of its inputs, over each row. */
#define ROWS(name, construct, formula)                                                                                 \
    MAKE(name, construct)                                                                                              \
    static void name##_naive(const double *const in[], size_t n, size_t d, double y[])                                 \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i++) y[i] = 0;                                                                       \
        EACH                                                                                                           \
        {                                                                                                              \
            double a = in[0][HERE], b = in[1] ? in[1][HERE] : 0, c = in[2] ? in[2][HERE] : 0;                          \
            (void)b, (void)c;                                                                                          \
            y[i] += formula;                                                                                           \
        }                                                                                                              \
    }
ROWS(sum_rows, tx_sum_rows(t, in[0]), a)
ROWS(bernoulli, tx_bernoulli_logp(t, in[0], in[1]), b *a - log1p(exp(a)))
ROWS(normal, tx_normal_logp(t, in[0], in[1], in[2]), -0.5 * (log(2 * acos(-1.0)) + c + (a - b) * (a - b) / exp(c)))
ROWS(logistic, tx_logistic_logp(t, in[0]), -a - 2 * log1p(exp(-a)))

MAKE(logsumexp, tx_logsumexp(t, in[0]))
static void logsumexp_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t i = 0; i < n; i++) y[i] = 0;
    EACH y[i] += exp(in[0][HERE]);
    for (size_t i = 0; i < n; i++) y[i] = log(y[i]);
}

MAKE(mog, tx_mog_logp(t, in[0], in[1], in[2], in[3], K))
static void mog_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t i = 0; i < n; i++) y[i] = 0;
    EACH
    {
        double total = 0, p = 0;
        for (size_t c = K * HERE; c < K * HERE + K; c++) {
            double z = (in[0][HERE] - in[2][c]) / exp(in[3][c]);
            total += exp(in[1][c]);
            p += exp(in[1][c] - 0.5 * z * z - in[3][c]) / sqrt(2 * acos(-1.0));
        }
        y[i] += log(p / total);
    }
}

MAKE(sum_cols, tx_sum_cols(t, in[0]))
static void sum_cols_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t j = 0; j < d; j++) y[j] = 0;
    EACH y[j] += in[0][HERE];
}

MAKE(mean, tx_mean(t, in[0]))
static void mean_naive(const double *const in[], size_t n, size_t d, double y[])
{
    y[0] = 0;
    EACH y[0] += in[0][HERE] / (double)(n * d);
}

MAKE(tile_rows, tx_tile_rows(t, in[0], K))
static void tile_rows_naive(const double *const in[], size_t n, size_t d, double y[])
{
    EACH for (size_t c = 0; c < K; c++) y[(i * K + c) * d + j] = in[0][HERE];
}

MAKE(max_groups, tx_max_groups(t, in[0], K))
static void max_groups_naive(const double *const in[], size_t n, size_t d, double y[])
{
    EACH
    {
        y[HERE] = in[0][K * HERE];
        for (size_t c = 1; c < K; c++) y[HERE] = fmax(y[HERE], in[0][K * HERE + c]);
    }
}

MAKE(slice, tx_slice_cols(t, in[0], d, 2 * d))
static void slice_naive(const double *const in[], size_t n, size_t d, double y[])
{
    EACH y[HERE] = in[0][i * K * d + d + j];
}

MAKE(stride, tx_stride_cols(t, in[0], 1, 2))
static void stride_naive(const double *const in[], size_t n, size_t d, double y[])
{
    EACH if (j % 2) y[i * (d / 2) + j / 2] = in[0][HERE];
}

MAKE(interleave, tx_interleave_cols(t, in[0], in[1]))
static void interleave_naive(const double *const in[], size_t n, size_t d, double y[])
{
    EACH y[HERE] = j % 2 ? in[1][i * (d / 2) + j / 2] : in[0][i * ((d + 1) / 2) + j / 2];
}

MAKE(concat, tx_concat_cols(t, in[0], in[1]))
static void concat_naive(const double *const in[], size_t n, size_t d, double y[])
{
    size_t e = (d + 1) / 2;
    EACH y[HERE] = j < e ? in[0][i * e + j] : in[1][i * (d / 2) + j - e];
}

MAKE(take_rows, tx_take_rows(t, in[0], d, 2 * d))
static void take_rows_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t i = 0; i < d * n; i++) y[i] = in[0][d * n + i];
}

MAKE(concat_rows, tx_concat_rows(t, in[0], in[1]))
static void concat_rows_naive(const double *const in[], size_t n, size_t d, double y[])
{
    size_t e = (d + 1) / 2;
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < n; j++) y[i * n + j] = i < e ? in[0][i * n + j] : in[1][(i - e) * n + j];
}

MAKE(reshape, tx_mul_row(t, tx_reshape(t, in[0], tx_shape2(d, n)), in[1]))
static void reshape_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t i = 0; i < n * d; i++) y[i] = in[0][i] * in[1][i % n];
}

/* Products. The four ways to write a[n,d] b[d,o], and dense layers. */
static void matmul_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t i = 0; i < n * O; i++) y[i] = 0;
    EACH for (size_t o = 0; o < O; o++) y[i * O + o] += in[0][HERE] * in[1][j * O + o];
}
static void matmul_ta_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t i = 0; i < n * O; i++) y[i] = 0;
    EACH for (size_t o = 0; o < O; o++) y[i * O + o] += in[0][j * n + i] * in[1][j * O + o];
}
static void matmul_tb_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t i = 0; i < n * O; i++) y[i] = 0;
    EACH for (size_t o = 0; o < O; o++) y[i * O + o] += in[0][HERE] * in[1][o * d + j];
}
static void matmul_tatb_naive(const double *const in[], size_t n, size_t d, double y[])
{
    for (size_t i = 0; i < n * O; i++) y[i] = 0;
    EACH for (size_t o = 0; o < O; o++) y[i * O + o] += in[0][j * n + i] * in[1][o * d + j];
}
MAKE(matmul, tx_matmul(t, in[0], false, in[1], false))
MAKE(matmul_ta, tx_matmul(t, in[0], true, in[1], false))
MAKE(matmul_tb, tx_matmul(t, in[0], false, in[1], true))
MAKE(matmul_tatb, tx_matmul(t, in[0], true, in[1], true))

#define DENSE(name, act, formula)                                                                                      \
    MAKE(name, tx_dense(t, in[0], in[1], in[2], act))                                                                  \
    static void name##_naive(const double *const in[], size_t n, size_t d, double y[])                                 \
    {                                                                                                                  \
        matmul_naive(in, n, d, y);                                                                                     \
        for (size_t i = 0; i < n * O; i++) {                                                                           \
            double a = y[i] + in[2][i % O];                                                                            \
            y[i] = formula;                                                                                            \
        }                                                                                                              \
    }
DENSE(dense_linear, TX_LINEAR, a)
DENSE(dense_relu, TX_RELU, a > 0 ? a : 0)
DENSE(dense_leaky, TX_LEAKY_RELU, a > 0 ? a : 0.2 * a)
DENSE(dense_tanh, TX_TANH, tanh(a))
DENSE(dense_sigmoid, TX_SIGMOID, 1 / (1 + exp(-a)))
DENSE(dense_softplus, TX_SOFTPLUS, log1p(exp(a)))

#define CASE(name, times, kink, ...)                                                                                   \
    {                                                                                                                  \
#name, {__VA_ARGS__ }, name##_make, name##_naive, times, kink                                                  \
    }
#define WIDE(shape)                                                                                                    \
    {                                                                                                                  \
        shape, -2.4, 2.4                                                                                               \
    }
#define POSITIVE(shape)                                                                                                \
    {                                                                                                                  \
        shape, 0.3, 2.6                                                                                                \
    }
static const op_case cases[] = {
    CASE(add, 2, false, WIDE("nd"), WIDE("nd")),
    CASE(sub, 2, false, WIDE("nd"), WIDE("nd")),
    CASE(mul, 2, false, WIDE("nd"), WIDE("nd")),
    CASE(divide, 2, false, WIDE("nd"), POSITIVE("nd")),
    CASE(affine, 2, false, WIDE("nd")),
    CASE(scale, 2, false, WIDE("nd")),
    CASE(exponential, 2, false, WIDE("nd")),
    CASE(logarithm, 2, false, POSITIVE("nd")),
    CASE(root, 2, false, POSITIVE("nd")),
    CASE(clip, 2, true, WIDE("nd")),
    CASE(identity, 2, false, WIDE("nd")),
    CASE(relu, 2, true, WIDE("nd")),
    CASE(leaky, 2, true, WIDE("nd")),
    CASE(tangent, 2, false, WIDE("nd")),
    CASE(sigmoid, 2, false, WIDE("nd")),
    CASE(softplus, 2, false, WIDE("nd")),
    CASE(relu_grad, 2, true, WIDE("nd"), WIDE("nd")),
    CASE(leaky_grad, 2, true, WIDE("nd"), WIDE("nd")),
    CASE(tanh_grad, 2, false, WIDE("nd"), WIDE("nd")),
    CASE(sigmoid_grad, 2, false, WIDE("nd"), WIDE("nd")),
    CASE(softplus_grad, 2, false, POSITIVE("nd"), WIDE("nd")),
    CASE(add_row, 2, false, WIDE("nd"), WIDE("1d")),
    CASE(mul_row, 2, false, WIDE("nd"), WIDE("1d")),
    CASE(mul_col, 2, false, WIDE("nd"), WIDE("n1")),
    CASE(repeat_rows, 2, false, WIDE("1d")),
    CASE(repeat_cols, 2, false, WIDE("n1")),
    CASE(interleave, 2, false, WIDE("ne"), WIDE("nf")),
    CASE(sum_rows, 2, false, WIDE("nd")),
    CASE(sum_cols, 2, false, WIDE("nd")),
    CASE(mean, 2, false, WIDE("nd")),
    CASE(tile_rows, 2, false, WIDE("nd")),
    CASE(max_groups, 2, true, WIDE("nk")),
    CASE(slice, 2, false, WIDE("nk")),
    CASE(stride, 2, false, WIDE("nd")),
    CASE(concat, 2, false, WIDE("ne"), WIDE("nf")),
    CASE(take_rows, 2, false, WIDE("kn")),
    CASE(concat_rows, 2, false, WIDE("en"), WIDE("fn")),
    CASE(reshape, 2, false, WIDE("nd"), WIDE("1n")),
    CASE(logsumexp, 2, false, WIDE("nd")),
    CASE(matmul, 2, false, WIDE("nd"), WIDE("do")),
    CASE(matmul_ta, 2, false, WIDE("dn"), WIDE("do")),
    CASE(matmul_tb, 2, false, WIDE("nd"), WIDE("od")),
    CASE(matmul_tatb, 2, false, WIDE("dn"), WIDE("od")),
    CASE(dense_linear, 2, false, WIDE("nd"), WIDE("do"), WIDE("1o")),
    CASE(dense_relu, 2, true, WIDE("nd"), WIDE("do"), WIDE("1o")),
    CASE(dense_leaky, 2, true, WIDE("nd"), WIDE("do"), WIDE("1o")),
    CASE(dense_tanh, 2, false, {"nd", -0.4, 0.4}, WIDE("do"), WIDE("1o")),
    CASE(dense_sigmoid, 2, false, {"nd", -0.4, 0.4}, WIDE("do"), WIDE("1o")),
    CASE(dense_softplus, 2, false, {"nd", -0.4, 0.4}, WIDE("do"), WIDE("1o")),
    CASE(bernoulli, 2, false, {"nd", -4.3, 4.3}, {"nd", 0.05, 0.95}),
    CASE(normal, 2, false, WIDE("nd"), WIDE("nd"), {"nd", -1.3, 1.1}),
    CASE(logistic, 2, false, WIDE("nd")),
    CASE(mog, 1, false, WIDE("nd"), WIDE("nk"), WIDE("nk"), {"nk", -0.7, 0.9}),
};

/** One case at one size: its inputs, then a cotangent c of its output, and a direction for each of them. */
typedef struct trial {
    const op_case *op;
    size_t n, d;
    int n_in;
    tx_tensor value[MAX_IN + 1], direction[MAX_IN + 1];
    tx_tape *t;
} trial;

static const bool is_double = sizeof(real) == sizeof(double);
static uint64_t drawn;

static tx_tensor draw(size_t rows, size_t cols, double lo, double hi)
{
    tx_tensor v = tx_matrix(tx_alloc(rows * cols, sizeof(real)), rows, cols);
    for (size_t i = 0; i < rows * cols; i++)
        v.x[i] = (real)(lo + (hi - lo) * tx_rng_uniform1(tx_rng_root(2385), drawn++));
    return v;
}

static tx_var record(trial *r, tx_var in[])
{
    tx_tape_reset(r->t);
    for (int j = 0; j < r->n_in; j++) in[j] = tx_leaf(r->t, r->value[j]);
    return r->op->make(r->t, in, r->n, r->d);
}

static trial prepare(const op_case *c, size_t n, size_t d)
{
    trial r = {.op = c, .n = n, .d = d, .t = tx_tape_new(1 << 16)};
    for (; r.n_in < MAX_IN && c->in[r.n_in].shape; r.n_in++) {
        input i = c->in[r.n_in];
        r.value[r.n_in] = draw(extent(i.shape[0], n, d), extent(i.shape[1], n, d), i.lo, i.hi);
    }
    tx_var in[MAX_IN], y = record(&r, in);
    r.value[r.n_in] = draw(tx_rows(y->v), tx_cols(y->v), -1.7, 1.9);
    for (int j = 0; j <= r.n_in; j++) r.direction[j] = draw(tx_rows(r.value[j]), tx_cols(r.value[j]), -1.3, 1.6);
    return r;
}

static void finish(trial *r)
{
    for (int j = 0; j <= r->n_in; j++) free(r->value[j].x), free(r->direction[j].x);
    tx_tape_free(r->t);
}

static double dot(tx_tensor a, tx_tensor b)
{
    double s = 0;
    for (size_t i = 0; i < tx_len(a); i++) s += (double)a.x[i] * (double)b.x[i];
    return s;
}

/** f_1 = c . y; f_2 = sum_j direction_j . df_1/d in_j. */
static double objective(trial *r, int order)
{
    tx_var in[MAX_IN + 1], g[MAX_IN], y = record(r, in);
    if (order == 1) return dot(r->value[r->n_in], y->v);
    double s = 0;
    tx_vjp(r->t, y, tx_leaf(r->t, r->value[r->n_in]), in, r->n_in, g);
    for (int j = 0; j < r->n_in; j++) s += dot(r->direction[j], g[j]->v);
    return s;
}

/** Gradient of f_order with respect to every input and c, by the tape. */
static void by_tape(trial *r, int order, tx_tensor out[])
{
    tx_var in[MAX_IN + 1], g[MAX_IN + 1], second[MAX_IN + 1], y = record(r, in);
    in[r->n_in] = tx_leaf(r->t, r->value[r->n_in]);
    tx_vjp(r->t, y, in[r->n_in], in, r->n_in, g);
    if (order == 1) {
        g[r->n_in] = y;
        for (int j = 0; j <= r->n_in; j++) out[j] = g[j]->v;
        return;
    }
    tx_var sum = NULL;
    for (int j = 0; j < r->n_in; j++) {
        tx_var s = tx_sum_cols(r->t, tx_sum_rows(r->t, tx_mul(r->t, g[j], tx_leaf(r->t, r->direction[j]))));
        sum = sum ? tx_add(r->t, sum, s) : s;
    }
    tx_grad(r->t, sum, in, r->n_in + 1, second);
    for (int j = 0; j <= r->n_in; j++) out[j] = second[j]->v;
}

static void check_value(const op_case *c, size_t n, size_t d)
{
    trial r = prepare(c, n, d);
    double *in[MAX_IN] = {NULL};
    for (int j = 0; j < r.n_in; j++) {
        in[j] = tx_alloc(tx_len(r.value[j]), sizeof(double));
        for (size_t i = 0; i < tx_len(r.value[j]); i++) in[j][i] = r.value[j].x[i];
    }
    tx_var var[MAX_IN], y = record(&r, var);
    double *want = tx_alloc(tx_len(y->v), sizeof *want);
    c->naive((const double *const *)in, n, d, want);
    size_t wrong = 0;
    for (size_t i = 0; i < tx_len(y->v); i++)
        wrong += !(fabs((double)y->v.x[i] - want[i]) <=
                   (is_double ? 1e-12 : 1e-5) * fmax(fabs(want[i]), 1 + (double)d));
    if (wrong) printf("\n  %s at [%zu,%zu]: %zu wrong values", c->name, n, d, wrong);
    CU_ASSERT(wrong == 0);
    for (int j = 0; j < r.n_in; j++) free(in[j]);
    free(want);
    finish(&r);
}

static void check_gradient(const op_case *c, size_t n, size_t d, int order)
{
    if (c->kink && !is_double) return;
    trial r = prepare(c, n, d);
    tx_tensor tape[MAX_IN + 1];
    by_tape(&r, order, tape);
    double *g[MAX_IN + 1], h = is_double ? 1e-5 : 1e-2, rel = is_double ? 1e-6 : 3e-2, abs = is_double ? 3e-9 : 1e-2;
    for (int j = 0; j <= r.n_in; j++) {
        CU_ASSERT(tx_shape_equal(tape[j].shape, r.value[j].shape));
        g[j] = tx_alloc(tx_len(tape[j]), sizeof(double));
        for (size_t i = 0; i < tx_len(tape[j]); i++) g[j][i] = tape[j].x[i];
    }
    for (int j = 0; j <= r.n_in; j++)
        for (size_t i = 0; i < tx_len(r.value[j]); i++) {
            real *x = &r.value[j].x[i], old = *x;
            double up = (double)(*x = (real)(old + h)), f = objective(&r, order);
            double down = (double)(*x = (real)(old - h)), slope = (f - objective(&r, order)) / (up - down);
            *x = old;
            bool good = fabs(slope - g[j][i]) <= abs + rel * fmax(fabs(slope), fabs(g[j][i]));
            if (!good)
                printf("\n  %s at [%zu,%zu], order %d, input %d, element %zu: tape %.12g, differences %.12g", c->name,
                       n, d, order, j, i, g[j][i], slope);
            CU_ASSERT(good);
        }
    for (int j = 0; j <= r.n_in; j++) free(g[j]);
    finish(&r);
}

/** A gradient that is wanted alone is that of all together. */
static void check_alone(const op_case *c, size_t n, size_t d)
{
    trial r = prepare(c, n, d);
    tx_var in[MAX_IN], all[MAX_IN], one, y = record(&r, in), dy = tx_leaf(r.t, r.value[r.n_in]);
    tx_vjp(r.t, y, dy, in, r.n_in, all);
    for (int j = 0; j < r.n_in; j++) {
        tx_vjp(r.t, y, dy, &in[j], 1, &one);
        bool same = tx_shape_equal(one->v.shape, all[j]->v.shape) &&
                    memcmp(one->v.x, all[j]->v.x, tx_len(one->v) * sizeof(real)) == 0;
        if (!same) printf("\n  %s at [%zu,%zu]: input %d alone differs", c->name, n, d, j);
        CU_ASSERT(same);
    }
    finish(&r);
}

static void values(void)
{
    static const size_t size[][2] = {{1, 1}, {1, 7}, {7, 1}, {7, 5}, {64, 65}, {65, 64}};
    for (size_t i = 0; i < TX_LEN(cases); i++)
        for (size_t s = 0; s < TX_LEN(size); s++) check_value(&cases[i], size[s][0], size[s][1]);
}

static void gradients(int order)
{
    static const size_t size[][2] = {{1, 1}, {3, 5}, {5, 4}};
    for (size_t i = 0; i < TX_LEN(cases); i++)
        for (size_t s = 0; s < TX_LEN(size) && order <= cases[i].times; s++)
            check_gradient(&cases[i], size[s][0], size[s][1], order);
}

static void gradients_alone(void)
{
    for (size_t i = 0; i < TX_LEN(cases); i++) check_alone(&cases[i], 3, 5);
}

static void first_gradients(void) { gradients(1); }
static void second_gradients(void) { gradients(2); }

/* The tape. */

static tx_var scalar(tx_tape *t, double x)
{
    tx_tensor v = tx_tape_tensor(t, 1, 1);
    v.x[0] = (real)x;
    return tx_leaf(t, v);
}

static double first(tx_var v) { return (double)v->v.x[0]; }

static const double eps = sizeof(real) == sizeof(double) ? 1e-13 : 1e-5;

static void independent_is_zero(void)
{
    tx_tape *t = tx_tape_new(0);
    tx_var x = scalar(t, 2.385), y = tx_exp(t, x), late = scalar(t, 0.7), out[2];
    tx_tensor image = {tx_tape_tensor(t, 2, 12).x, {4, {2, 3, 2, 2}}};
    tx_var other = tx_leaf(t, image);
    tx_grad(t, y, (tx_var[]){other, late}, 2, out);
    CHECK_TRUE(tx_shape_equal(out[0]->v.shape, image.shape));
    for (int i = 0; i < 24; i++) CHECK_NEAR(out[0]->v.x[i], 0, 0);
    CHECK_NEAR(first(out[1]), 0, 0);
    tx_var g, gg;
    tx_grad(t, tx_activation(t, x, TX_RELU), &x, 1, &g);
    tx_grad(t, g, &x, 1, &gg);
    CHECK_NEAR(first(gg), 0, 0);
    tx_tape_free(t);
}

static void reuse_adds_up(void)
{
    tx_tape *t = tx_tape_new(0);
    double v = 1.385;
    tx_var x = scalar(t, v), g, gg, ggg;
    tx_var y = tx_add(t, tx_mul(t, tx_mul(t, x, x), x), x);
    tx_grad(t, y, &x, 1, &g);
    tx_grad(t, g, &x, 1, &gg);
    tx_grad(t, gg, &x, 1, &ggg);
    CHECK_NEAR(first(g), 3 * v * v + 1, 10 * eps);
    CHECK_NEAR(first(gg), 6 * v, 10 * eps);
    CHECK_NEAR(first(ggg), 6, 10 * eps);
    tx_tape_free(t);
}

static void inner_variables(void)
{
    tx_tape *t = tx_tape_new(0);
    double v = 0.735, e = exp(v);
    tx_var x = scalar(t, v), h = tx_exp(t, x), y = tx_mul(t, tx_mul(t, h, h), x), g[4];
    tx_grad(t, y, (tx_var[]){h, x, y, h}, 4, g);
    CHECK_NEAR(first(g[0]), 2 * e * v, 10 * eps);
    CHECK_NEAR(first(g[1]), e * e + 2 * e * e * v, 20 * eps);
    CHECK_NEAR(first(g[2]), 1, 0);
    CHECK_TRUE(g[3] == g[0]);
    tx_tape_free(t);
}

static void images_keep_their_shape(void)
{
    tx_tape *t = tx_tape_new(0);
    tx_tensor image = draw(2, 12, -1, 1), weight = draw(12, 3, -1, 1);
    tx_shape shape = {4, {2, 3, 2, 2}};
    tx_var x = tx_leaf(t, (tx_tensor){image.x, shape}), w = tx_leaf(t, weight), g;
    tx_grad(t, tx_matmul(t, x, false, w, false), &x, 1, &g);
    CHECK_TRUE(tx_shape_equal(g->v.shape, shape));
    for (size_t i = 0; i < 24; i++) {
        const real *row = weight.x + i % 12 * 3;
        CHECK_NEAR(g->v.x[i], row[0] + row[1] + row[2], 10 * eps);
    }
    free(image.x), free(weight.x);
    tx_tape_free(t);
}

/** Gulrajani et al. 2017: mean_i (|d D(x_i) / d x_i| - 1)^2 of a critic with two hidden layers. */
static tx_var penalty(tx_tape *t, tx_var const w[6], tx_var x, tx_act act)
{
    tx_var h = tx_dense(t, tx_dense(t, x, w[0], w[1], act), w[2], w[3], act), g;
    tx_grad(t, tx_dense(t, h, w[4], w[5], TX_LINEAR), &x, 1, &g);
    tx_var excess = tx_affine(t, tx_sqrt(t, tx_sum_rows(t, tx_mul(t, g, g))), 1, -1);
    return tx_mean(t, tx_mul(t, excess, excess));
}

static tx_var penalty_of(tx_tape *t, const tx_tensor value[7], tx_act act, tx_var var[7])
{
    tx_tape_reset(t);
    for (int i = 0; i < 7; i++) var[i] = tx_leaf(t, value[i]);
    return penalty(t, var, var[6], act);
}

static void gradient_penalty(void)
{
    if (!is_double) return;
    static const tx_act act[] = {TX_LEAKY_RELU, TX_TANH, TX_SOFTPLUS};
    tx_tensor v[7] = {draw(5, 7, -1, 1), draw(1, 7, -1, 1), draw(7, 6, -1, 1), draw(1, 6, -1, 1),
                      draw(6, 1, -1, 1), draw(1, 1, -1, 1), draw(4, 5, -1, 1)};
    tx_tape *t = tx_tape_new(0);
    for (size_t a = 0; a < TX_LEN(act); a++) {
        tx_var var[7], g[7], scratch[7];
        tx_grad(t, penalty_of(t, v, act[a], var), var, 7, g);
        double *tape[7], worst = 0;
        for (int k = 0; k < 7; k++) {
            tape[k] = tx_alloc(tx_len(v[k]), sizeof(double));
            for (size_t i = 0; i < tx_len(v[k]); i++) tape[k][i] = g[k]->v.x[i];
        }
        for (int k = 0; k < 7; k++)
            for (size_t i = 0; i < tx_len(v[k]); i++) {
                real *x = &v[k].x[i], old = *x, h = (real)1e-5;
                *x = old + h;
                double up = first(penalty_of(t, v, act[a], scratch));
                *x = old - h;
                double slope = (up - first(penalty_of(t, v, act[a], scratch))) / (2 * (double)h);
                *x = old;
                worst = fmax(worst, fabs(slope - tape[k][i]) / fmax(fabs(slope), 1e-3));
            }
        CHECK_NEAR(worst, 0, 1e-6);
        for (int k = 0; k < 7; k++) free(tape[k]);
    }
    for (int k = 0; k < 7; k++) free(v[k].x);
    tx_tape_free(t);
}

static void memory_is_kept(void)
{
    tx_tensor v[7] = {draw(5, 70, -1, 1), draw(1, 70, -1, 1), draw(70, 60, -1, 1), draw(1, 60, -1, 1),
                      draw(60, 1, -1, 1), draw(1, 1, -1, 1),  draw(40, 5, -1, 1)};
    tx_tape *t = tx_tape_new(0);
    size_t after_two = 0, nodes = 0;
    for (int step = 0; step < 12; step++) {
        tx_var var[7], g[7], y = penalty_of(t, v, TX_TANH, var);
        for (int i = 0; i < 200; i++) y = tx_scale(t, y, (real)1.001);
        tx_grad(t, y, var, 6, g);
        if (step == 1) after_two = tx_tape_growths(t), nodes = tx_tape_nodes(t);
    }
    CHECK_INT(tx_tape_growths(t), after_two);
    CHECK_INT(tx_tape_nodes(t), nodes);
    CHECK_INT(tx_tape_resets(t), 12);
    CHECK_TRUE(nodes > 400 && after_two > 1);
    tx_tape_tensor(t, 1000, 1000); /* no node, but memory */
    CHECK_INT(tx_tape_growths(t), after_two + 1);
    for (int k = 0; k < 7; k++) free(v[k].x);
    tx_tape_free(t);
}

/** Nodes that a gradient of a dense layer records. */
static size_t cost(int n_wrt)
{
    tx_tape *t = tx_tape_new(0);
    tx_var x = tx_leaf(t, tx_tape_tensor(t, 3, 4)), w = tx_leaf(t, tx_tape_tensor(t, 4, 2)), b = scalar(t, 1), g[3];
    for (int i = 0; i < 12; i++) x->v.x[i] = (real)(i - 5.5);
    for (int i = 0; i < 8; i++) w->v.x[i] = (real)(i - 3.5);
    b = tx_repeat_cols(t, b, 2);
    tx_var h = tx_activation(t, x, TX_TANH), y = tx_dense(t, h, w, b, TX_LINEAR);
    size_t before = tx_tape_nodes(t);
    tx_grad(t, y, (tx_var[]){b, w, x}, n_wrt, g);
    size_t n = tx_tape_nodes(t) - before;
    tx_tape_free(t);
    return n;
}

static void unwanted_costs_nothing(void)
{
    CHECK_INT(cost(1), 2); /* ones, sum_cols */
    CHECK_INT(cost(2), 3); /* and one product */
    CHECK_INT(cost(3), 5); /* and another, and the activation's gradient */
}

MAKE(log_sigmoid, tx_scale(t, tx_activation(t, tx_scale(t, in[0], -1), TX_SOFTPLUS), -1))

typedef struct extreme {
    const char *name;
    tx_var (*make)(tx_tape *t, tx_var const in[], size_t n, size_t d);
    int n_in, times;
    real in[MAX_IN][3];
    double y[3], g[MAX_IN][3], loose;
} extreme;

/* Of a value from what is wanted, in roundings of 1 + |wanted|; NaN is furthest. */
static double furthest(double worst, tx_var v, const double want[], double loose)
{
    const double unit = sizeof(real) == sizeof(double) ? DBL_EPSILON : (double)FLT_EPSILON;
    for (size_t i = 0; i < tx_len(v->v); i++) {
        double error = fabs((double)v->v.x[i] - want[i]) / ((1 + fabs(want[i])) * unit * loose);
        if (!(error <= worst)) worst = error;
    }
    return worst;
}

/* Rows of logits at +-1e4 and -inf, on the right side and on the wrong one: values, gradients, and finite gradients of
 * these. The gradient of logsumexp goes by its rounded value: `loose` times the error of the others. */
static void extremes(void)
{
    const real far = (real)1e4, none = -(real)INFINITY, big = (real)1000.5;
    const double log_2 = log(2), third = 1.0 / 3, p = 1 / (1 + exp(-1.25)), one_sd = -0.5 * log(2 * acos(-1.0)) - 4.5;
    const extreme table[] = {
        {"softplus", softplus_make, 1, 2, {{-far, far, 0}}, {0, 1e4, log_2}, {{0, 1, 0.5}}, 1},
        {"log sigmoid", log_sigmoid_make, 1, 2, {{-far, far, 0}}, {-1e4, 0, -log_2}, {{1, 0, 0.5}}, 1},
        {"sigmoid", sigmoid_make, 1, 2, {{-far, far, 0}}, {0, 1, 0.5}, {{0, 0, 0.25}}, 1},
        {"tanh", tangent_make, 1, 2, {{-far, far, 0}}, {-1, 1, 0}, {{0, 0, 1}}, 1},
        {"logistic", logistic_make, 1, 2, {{-far, far, 0}}, {-2e4 - 2 * log_2}, {{1, -1, 0}}, 1},
        {"right", bernoulli_make, 2, 2, {{far, -far, 0}, {1, 0, 0}}, {-log_2}, {{0, 0, -0.5}, {1e4, -1e4, 0}}, 1},
        {"wrong", bernoulli_make, 2, 2, {{far, -far, 0}, {0, 1, 1}}, {-2e4 - log_2}, {{-1, 1, 0.5}, {1e4, -1e4, 0}}, 1},
        {"equal", logsumexp_make, 1, 2, {{far, far, far}}, {1e4 + log(3)}, {{third, third, third}}, 1e4},
        {"equal", logsumexp_make, 1, 2, {{-far, -far, -far}}, {-1e4 + log(3)}, {{third, third, third}}, 1e4},
        {"alone", logsumexp_make, 1, 2, {{-far, far, none}}, {1e4}, {{0, 1, 0}}, 1},
        {"one finite", logsumexp_make, 1, 2, {{none, -far, none}}, {-1e4}, {{0, 1, 0}}, 1},
        {"two", logsumexp_make, 1, 2, {{big, none, big - (real)1.25}}, {1000.5 - log(p)}, {{p, 0, 1 - p}}, 1e3},
        {"far", mog_make, 4, 1, {{3}, {far, -far, 0}, {0, 3, 3}}, {one_sd}, {{-3}, {0}, {3, 0, 0}, {8, 0, 0}}, 1},
    };
    tx_tape *t = tx_tape_new(0);
    for (size_t c = 0; c < TX_LEN(table); c++) {
        const extreme *e = &table[c];
        tx_var x[MAX_IN], g[MAX_IN], second;
        double worst = 0;
        tx_tape_reset(t);
        for (int k = 0; k < e->n_in; k++) {
            tx_tensor v = tx_tape_tensor(t, 1, e->n_in == MAX_IN && k == 0 ? 1 : 3);
            for (size_t i = 0; i < tx_len(v); i++) v.x[i] = e->in[k][i];
            x[k] = tx_leaf(t, v);
        }
        tx_var y = e->make(t, x, 1, tx_len(x[0]->v));
        tx_grad(t, y, x, e->n_in, g);
        worst = furthest(worst, y, e->y, 1);
        for (int k = 0; k < e->n_in; k++) worst = furthest(worst, g[k], e->g[k], e->loose);
        for (int k = 0; k < e->n_in && e->times == 2; k++) {
            tx_grad(t, g[k], x, 1, &second);
            CU_ASSERT(tx_vec_finite(tx_len(second->v), second->v.x));
        }
        if (!(worst < 4)) printf("\n  %s (%zu): off by %.3g units\n", e->name, c, worst);
        CU_ASSERT(worst < 4);
    }
    tx_tape_free(t);
}

/* What a caller must not do. Each runs in a child of its own with variables a [2,3] and b [3,2]. */

static void opaque_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    y->v.x[0] = 0;
}
static const tx_op opaque = {"opaque", 1, opaque_eval, NULL};

static tx_var matrix(tx_tape *t, size_t rows, size_t cols)
{
    tx_tensor v = tx_tape_tensor(t, rows, cols);
    for (size_t i = 0; i < rows * cols; i++) v.x[i] = (real)0.385 * (real)(1 + i);
    return tx_leaf(t, v);
}

#define DIES(name, statement)                                                                                          \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        tx_tape *t = tx_tape_new(0);                                                                                   \
        tx_var a = matrix(t, 2, 3), b = matrix(t, 3, 2), g = NULL;                                                     \
        (void)a, (void)b, (void)g;                                                                                     \
        statement;                                                                                                     \
    }
DIES(no_rule, tx_grad(t, tx_apply(t, &opaque, tx_shape2(1, 1), &a, (tx_attr){0}), &a, 1, &g))
DIES(no_second_rule, {
    tx_grad(t, tx_mog_logp(t, a, a, a, a, 1), &a, 1, &g);
    tx_grad(t, g, &a, 1, &g);
})
DIES(add_shapes, tx_add(t, a, b))
DIES(matmul_shapes, tx_matmul(t, a, false, b, true))
DIES(dense_input, tx_dense(t, a, a, tx_sum_cols(t, a), TX_LINEAR))
DIES(dense_bias, tx_dense(t, a, b, tx_sum_cols(t, a), TX_LINEAR))
DIES(row_shapes, tx_add_row(t, a, tx_sum_cols(t, b)))
DIES(col_shapes, tx_mul_col(t, a, tx_sum_rows(t, b)))
DIES(slice_range, tx_slice_cols(t, a, 2, 4))
DIES(concat_heights, tx_concat_cols(t, a, b))
DIES(take_rows_range, tx_take_rows(t, a, 1, 3))
DIES(concat_widths, tx_concat_rows(t, a, b))
DIES(interleave_counts, tx_interleave_cols(t, tx_slice_cols(t, a, 0, 1), a))
DIES(reshape_length, tx_reshape(t, a, tx_shape2(7, 1)))
DIES(max_groups_size, tx_max_groups(t, a, 2))
DIES(density_shapes, tx_bernoulli_logp(t, a, b))
DIES(mog_shapes, tx_mog_logp(t, a, a, a, a, 2))
DIES(repeat_shape, tx_repeat_rows(t, a, 2))
DIES(cotangent_shape, tx_vjp(t, a, b, &a, 1, &g))
DIES(dead_input, {
    tx_tape_reset(t);
    tx_exp(t, a);
})
DIES(dead_wrt, {
    tx_var late = tx_exp(t, tx_exp(t, b));
    tx_tape_reset(t);
    tx_grad(t, matrix(t, 1, 1), &late, 1, &g);
})
DIES(not_a_death, tx_add(t, a, a))

static void misuse_aborts(void)
{
    static void (*const bad[])(void) = {
        no_rule,           no_second_rule, add_shapes,      matmul_shapes,  dense_input,     dense_bias,
        row_shapes,        col_shapes,     slice_range,     concat_heights, take_rows_range, concat_widths,
        interleave_counts, reshape_length, max_groups_size, density_shapes, mog_shapes,      repeat_shape,
        cotangent_shape,   dead_input,     dead_wrt};
    for (size_t i = 0; i < TX_LEN(bad); i++) {
        bool died = tx_dies(bad[i], -1) || tx_dies(bad[i], 1); /* 1: an address sanitizer saw it first */
        if (!died) printf("\n  misuse %zu went unnoticed", i);
        CU_ASSERT(died);
    }
    CHECK_TRUE(tx_dies(not_a_death, 98));
}

int main(void)
{
    static const tx_test tests[] = {
        {"values of all ops", values},
        {"gradients of all ops", first_gradients},
        {"gradients of gradients", second_gradients},
        {"gradients wanted alone", gradients_alone},
        {"zero where independent", independent_is_zero},
        {"a value used twice", reuse_adds_up},
        {"gradients for inner variables", inner_variables},
        {"gradients have their variable's shape", images_keep_their_shape},
        {"gradient penalty", gradient_penalty},
        {"no allocation after two steps", memory_is_kept},
        {"unwanted gradients cost nothing", unwanted_costs_nothing},
        {"extremes", extremes},
        {"misuse aborts", misuse_aborts},
    };
    return tx_run_tests("tape", tests, TX_LEN(tests));
}
