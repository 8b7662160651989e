/* Kernels against naive loops in double, on every instruction set that runs here: values, specials, accuracy, and the
 * independence of results from place, call and thread count. */
#include <float.h>
#include <stdlib.h>
#include "common/tensor/arena.h"
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"
#include "common/tensor/rng.h"
#include "common/tensor/tensor.h"
#include "tests/support/check.h"

static const double EPS = sizeof(real) == 4 ? FLT_EPSILON : DBL_EPSILON;
static const char *const isas[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "generic"};

/* Run fn on each instruction set; some must be there. */
static void on_every_isa(void (*fn)(void))
{
    int ran = 0;
    for (size_t i = 0; i < TX_LEN(isas); i++) {
        setenv("TAXON_ISA", isas[i], 1);
        if (tx_kernels_start() != TX_OK) continue;
        CHECK_TEXT(tx_kernels_isa(), isas[i]);
        fn();
        ran++;
    }
    CHECK_TRUE(ran > 0);
    unsetenv("TAXON_ISA");
    CHECK_OK(tx_kernels_start());
}

/* Inputs: A, B, C, D normal; P positive; X in [0,1]. Outputs O, references R with the magnitudes S that their rounding
 * errors are relative to, and the lengths L that a reference sets. */
enum { MAX = 130 * 1030, K = 5, OUTS = 5 };
static real A[MAX], B[MAX * K], C[MAX * K], D[MAX * K], P[MAX], X[MAX], O[OUTS][MAX * K], was[OUTS][MAX * K];
static double R[OUTS][MAX * K], S[OUTS][MAX * K];
static size_t L[OUTS];

static void fill_inputs(void)
{
    const tx_rng r = tx_rng_root(2385);
    tx_rng_normal(tx_rng_fold(r, 0), 0, MAX, A);
    tx_rng_normal(tx_rng_fold(r, 1), 0, MAX * K, B);
    tx_rng_normal(tx_rng_fold(r, 2), 0, MAX * K, C);
    tx_rng_normal(tx_rng_fold(r, 3), 0, MAX * K, D);
    tx_rng_uniform(tx_rng_fold(r, 4), 0, MAX, P);
    tx_rng_uniform(tx_rng_fold(r, 5), 0, MAX, X);
    for (size_t i = 0; i < MAX; i++) A[i] *= (real)2.385;
    for (size_t i = 0; i < MAX; i++) P[i] = (real)0.0371 + (real)1.9 * P[i];
}

/* State that a kernel updates starts the same each time. */
static void reset_outputs(void)
{
    for (int k = 0; k < OUTS; k++)
        for (size_t i = 0; i < MAX; i++) O[k][i] = k == 0 ? D[i] : P[(i + (size_t)k * 31) % MAX];
}

static double sigmoid(double v) { return 1 / (1 + exp(-v)); }
static double softplus(double v) { return v > 0 ? v + log1p(exp(-v)) : log1p(exp(v)); }

/* Element-wise kernels: a, b, p, x are the inputs' elements, r the result's, magnitude what errors are relative to. */
#define EACH(id, call, value, magnitude)                                                                               \
    static void run_##id(size_t n, size_t d)                                                                           \
    {                                                                                                                  \
        size_t len = n * d;                                                                                            \
        real *o = O[0];                                                                                                \
        call;                                                                                                          \
    }                                                                                                                  \
    static void ref_##id(size_t n, size_t d)                                                                           \
    {                                                                                                                  \
        L[0] = n * d;                                                                                                  \
        for (size_t i = 0; i < n * d; i++) {                                                                           \
            double a = (double)A[i], b = (double)B[i], p = (double)P[i], x = (double)X[i], o = (double)D[i];           \
            (void)a, (void)b, (void)p, (void)x, (void)o;                                                               \
            double r = R[0][i] = (value);                                                                              \
            (void)r;                                                                                                   \
            S[0][i] = (magnitude);                                                                                     \
        }                                                                                                              \
    }
EACH(exp, tx_vec_exp(len, A, o), exp(a), r)
EACH(log, tx_vec_log(len, P, o), log(p), r)
EACH(sqrt, tx_vec_sqrt(len, P, o), sqrt(p), r)
EACH(add, tx_vec_add(len, A, B, o), a + b, r)
EACH(sub, tx_vec_sub(len, A, B, o), a - b, r)
EACH(mul, tx_vec_mul(len, A, B, o), a *b, r)
EACH(div, tx_vec_div(len, A, B, o), a / b, r)
EACH(affine, tx_vec_affine(len, (real)2.375, A, (real)-0.625, o), 2.375 * a - 0.625, fabs(a) * 3 + 1)
EACH(axpy, tx_vec_axpy(len, (real)-1.375, A, o), o - 1.375 * a, fabs(a) * 2 + fabs(o))
EACH(clip, tx_vec_clip(len, A, (real)-1.25, (real)0.75, o), fmin(fmax(a, -1.25), 0.75), r)
EACH(linear, tx_vec_act(TX_LINEAR, len, A, o), a, r)
EACH(relu, tx_vec_act(TX_RELU, len, A, o), fmax(a, 0), r)
EACH(leaky_relu, tx_vec_act(TX_LEAKY_RELU, len, A, o), a > 0 ? a : 0.2 * a, r)
EACH(tanh, tx_vec_act(TX_TANH, len, A, o), tanh(a), r)
EACH(sigmoid, tx_vec_act(TX_SIGMOID, len, A, o), sigmoid(a), r)
EACH(softplus, tx_vec_act(TX_SOFTPLUS, len, A, o), softplus(a), r)
EACH(linear_grad, tx_vec_act_grad(TX_LINEAR, len, A, B, o), b, r)
EACH(relu_grad, tx_vec_act_grad(TX_RELU, len, A, B, o), a > 0 ? b : 0, r)
EACH(leaky_relu_grad, tx_vec_act_grad(TX_LEAKY_RELU, len, A, B, o), a > 0 ? b : 0.2 * b, r)
EACH(tanh_grad, tx_vec_act_grad(TX_TANH, len, X, B, o), b *(1 - x * x), b)
EACH(sigmoid_grad, tx_vec_act_grad(TX_SIGMOID, len, X, B, o), b *x *(1 - x), b)
EACH(softplus_grad, tx_vec_act_grad(TX_SOFTPLUS, len, P, B, o), b * -expm1(-p), b)
EACH(add_row, (void)len; tx_mat_add_row(n, d, A, B, o), a + (double)B[i % d], r)
EACH(mul_row, (void)len; tx_mat_mul_row(n, d, A, B, o), a *(double)B[i % d], r)
EACH(mul_col, (void)len; tx_mat_mul_col(n, d, A, B, o), a *(double)B[i / d], r)

/* y[n] and gradients [n,d] of row kernels: the reference's term t of element i adds to its row. */
static void start_rows(size_t n, size_t d, int grads)
{
    L[0] = n;
    for (int k = 1; k <= grads; k++) L[k] = n * d;
    for (size_t r = 0; r < n; r++) R[0][r] = S[0][r] = 0;
}

static void add_term(size_t row, double t)
{
    R[0][row] += t;
    S[0][row] += fabs(t);
}

static void set_grad(int k, size_t i, double g, double magnitude)
{
    R[k][i] = g;
    S[k][i] = fabs(magnitude);
}

static void run_sum_rows(size_t n, size_t d) { tx_mat_sum_rows(n, d, A, O[0]); }
static void ref_sum_rows(size_t n, size_t d)
{
    start_rows(n, d, 0);
    for (size_t i = 0; i < n * d; i++) add_term(i / d, (double)A[i]);
}

static void run_sum_cols(size_t n, size_t d) { tx_mat_sum_cols(n, d, A, O[0]); }
static void ref_sum_cols(size_t n, size_t d)
{
    start_rows(d, n, 0);
    for (size_t i = 0; i < n * d; i++) add_term(i % d, (double)A[i]);
}

static void run_logsumexp(size_t n, size_t d) { tx_mat_logsumexp(n, d, A, O[0]); }
static void ref_logsumexp(size_t n, size_t d)
{
    start_rows(n, d, 0);
    for (size_t i = 0; i < n * d; i++) add_term(i / d, exp((double)A[i]));
    for (size_t r = 0; r < n; r++) {
        R[0][r] = log(R[0][r]);
        S[0][r] = fabs(R[0][r]) + 1;
    }
}

static void run_bernoulli(size_t n, size_t d) { tx_bernoulli_rows(n, d, A, X, O[0], O[1]); }
static void ref_bernoulli(size_t n, size_t d)
{
    start_rows(n, d, 1);
    for (size_t i = 0; i < n * d; i++) {
        double l = (double)A[i], x = (double)X[i];
        add_term(i / d, x * l - softplus(l));
        S[0][i / d] += fabs(x * l);
        set_grad(1, i, x - sigmoid(l), 1);
    }
}

static void run_normal(size_t n, size_t d) { tx_normal_rows(n, d, A, B, C, O[0], O[1], O[2]); }
static void ref_normal(size_t n, size_t d)
{
    start_rows(n, d, 2);
    for (size_t i = 0; i < n * d; i++) {
        double x = (double)A[i], mu = (double)B[i], lv = (double)C[i], w = exp(-lv), e = x - mu;
        add_term(i / d, -0.5 * (log(2 * M_PI) + lv + e * e * w));
        S[0][i / d] += 2 + fabs(lv);
        set_grad(1, i, e * w, e * w);
        set_grad(2, i, 0.5 * (e * e * w - 1), e * e * w + 1);
    }
}

static void run_logistic(size_t n, size_t d) { tx_logistic_rows(n, d, A, O[0], O[1]); }
static void ref_logistic(size_t n, size_t d)
{
    start_rows(n, d, 1);
    for (size_t i = 0; i < n * d; i++) {
        double z = (double)A[i];
        add_term(i / d, -z - 2 * softplus(-z));
        S[0][i / d] += fabs(z);
        set_grad(1, i, -tanh(z / 2), tanh(z / 2));
    }
}

static void run_mog(size_t n, size_t d) { tx_mog_rows(n, d, K, A, B, C, D, O[0], O[1], O[2], O[3], O[4]); }
static void ref_mog(size_t n, size_t d)
{
    start_rows(n, d, 0);
    for (int k = 1; k < 4; k++) L[k] = n * d * K;
    L[4] = n * d;
    for (size_t i = 0; i < n * d; i++) {
        double joint[K], z[K], sum_joint = 0, sum_prior = 0, gx = 0, gx_size = 0;
        for (size_t c = i * K; c < (i + 1) * K; c++) {
            double *t = &joint[c - i * K], *e = &z[c - i * K];
            *e = ((double)A[i] - (double)C[c]) / exp((double)D[c]);
            *t = exp((double)B[c] - (double)D[c] - 0.5 * *e * *e) / sqrt(2 * M_PI);
            sum_joint += *t;
            sum_prior += exp((double)B[c]);
        }
        add_term(i / d, log(sum_joint) - log(sum_prior));
        for (size_t c = i * K; c < (i + 1) * K; c++) {
            /* the relative error of a component's weight grows with its exponent */
            double e = z[c - i * K], post = joint[c - i * K] / sum_joint, g = post * e / exp((double)D[c]);
            double size = 4 + fabs(log(post)) + e * e;
            set_grad(1, c, post - exp((double)B[c]) / sum_prior, 4 + post * size);
            set_grad(2, c, g, 1e-30 + fabs(g) * size);
            set_grad(3, c, post * (e * e - 1), 1e-30 + post * (e * e + 1) * size);
            gx -= g;
            gx_size += fabs(g) * size;
            S[0][i / d] += post * size;
        }
        set_grad(4, i, gx, gx_size);
    }
}

/* Optimisers with lr 0.0271, gradients scaled by 0.731, decay 0.173; one step from the reset outputs. */
static void start_optim(size_t len, int state)
{
    for (int k = 0; k <= state; k++) L[k] = len;
}

static void set_state(int k, size_t i, double value) { set_grad(k, i, value, 2 * fabs(value) + 1); }

static double state_of(int k, size_t i) { return (double)(k == 0 ? D[i] : P[(i + (size_t)k * 31) % MAX]); }

static void step_to(size_t i, double step) { set_state(0, i, state_of(0, i) * (1 - 0.0271 * 0.173) - 0.0271 * step); }

static const real LR = (real)0.0271, GSCALE = (real)0.731, DECAY = (real)0.173;

/* One step along `g`; are all of its elements finite? */
static bool sgd_along(size_t len, const real *g)
{
    return tx_sgd_update(len, LR, GSCALE, DECAY, (real)0.9, false, g, O[1], O[0]);
}
static bool descent_along(size_t len, const real *g)
{
    return tx_sgd_update(len, LR, GSCALE, DECAY, 0, false, g, NULL, O[0]);
}
static bool nesterov_along(size_t len, const real *g)
{
    return tx_sgd_update(len, LR, GSCALE, DECAY, (real)0.9, true, g, O[1], O[0]);
}
static bool rmsprop_along(size_t len, const real *g)
{
    return tx_rmsprop_update(len, LR, GSCALE, DECAY, (real)0.99, (real)1e-3, (real)0.5, g, O[1], O[2], O[0]);
}
static bool adagrad_along(size_t len, const real *g)
{
    return tx_adagrad_update(len, LR, GSCALE, DECAY, (real)1e-3, g, O[1], O[0]);
}
static bool adam_along(size_t len, const real *g)
{
    return tx_adam_update(len, LR, GSCALE, DECAY, (real)0.9, (real)0.99, (real)1e-3, (real)0.271, (real)0.0297, g, O[1],
                          O[2], O[0]);
}

static void run_sgd(size_t n, size_t d) { CU_ASSERT(sgd_along(n * d, A)); }
static void run_descent(size_t n, size_t d) { CU_ASSERT(descent_along(n * d, A)); }
static void ref_descent(size_t n, size_t d)
{
    start_optim(n * d, 0);
    for (size_t i = 0; i < n * d; i++) step_to(i, 0.731 * (double)A[i]);
}
static void run_nesterov(size_t n, size_t d) { CU_ASSERT(nesterov_along(n * d, A)); }
static void sgd(size_t len, bool nesterov)
{
    start_optim(len, 1);
    for (size_t i = 0; i < len; i++) {
        double g = 0.731 * (double)A[i], v = 0.9 * state_of(1, i) + g;
        set_state(1, i, v);
        step_to(i, nesterov ? g + 0.9 * v : v);
    }
}
static void ref_sgd(size_t n, size_t d) { sgd(n * d, false); }
static void ref_nesterov(size_t n, size_t d) { sgd(n * d, true); }

static void run_rmsprop(size_t n, size_t d) { CU_ASSERT(rmsprop_along(n * d, A)); }
static void ref_rmsprop(size_t n, size_t d)
{
    start_optim(n * d, 2);
    for (size_t i = 0; i < n * d; i++) {
        double g = 0.731 * (double)A[i], s = 0.99 * state_of(1, i) + 0.01 * g * g;
        double v = 0.5 * state_of(2, i) + g / (sqrt(s) + 1e-3);
        set_state(1, i, s);
        set_state(2, i, v);
        step_to(i, v);
    }
}

static void run_adagrad(size_t n, size_t d) { CU_ASSERT(adagrad_along(n * d, A)); }
static void ref_adagrad(size_t n, size_t d)
{
    start_optim(n * d, 1);
    for (size_t i = 0; i < n * d; i++) {
        double g = 0.731 * (double)A[i], s = state_of(1, i) + g * g;
        set_state(1, i, s);
        step_to(i, g / (sqrt(s) + 1e-3));
    }
}

static void run_adam(size_t n, size_t d) { CU_ASSERT(adam_along(n * d, A)); }
static void ref_adam(size_t n, size_t d)
{
    start_optim(n * d, 2);
    for (size_t i = 0; i < n * d; i++) {
        double g = 0.731 * (double)A[i], m = 0.9 * state_of(1, i) + 0.1 * g, v = 0.99 * state_of(2, i) + 0.01 * g * g;
        set_state(1, i, m);
        set_state(2, i, v);
        step_to(i, m / 0.271 / (sqrt(v / 0.0297) + 1e-3));
    }
}

typedef struct kernel {
    const char *name;
    void (*run)(size_t n, size_t d), (*ref)(size_t n, size_t d);
} kernel;
#define ONE(id)                                                                                                        \
    {                                                                                                                  \
#id, run_##id, ref_##id                                                                                        \
    }
static const kernel kernels[] = {
    ONE(exp),
    ONE(log),
    ONE(sqrt),
    ONE(add),
    ONE(sub),
    ONE(mul),
    ONE(div),
    ONE(affine),
    ONE(axpy),
    ONE(clip),
    ONE(linear),
    ONE(relu),
    ONE(leaky_relu),
    ONE(tanh),
    ONE(sigmoid),
    ONE(softplus),
    ONE(linear_grad),
    ONE(relu_grad),
    ONE(leaky_relu_grad),
    ONE(tanh_grad),
    ONE(sigmoid_grad),
    ONE(softplus_grad),
    ONE(add_row),
    ONE(mul_row),
    ONE(mul_col),
    ONE(sgd),
    ONE(nesterov),
    ONE(descent),
    ONE(rmsprop),
    ONE(adagrad),
    ONE(adam),
    ONE(sum_cols),
    ONE(sum_rows),
    ONE(logsumexp),
    ONE(bernoulli),
    ONE(normal),
    ONE(logistic),
    ONE(mog),
};

static void against_naive(void)
{
    static const size_t shape[][2] = {{1, 1}, {7, 1}, {1, 7}, {64, 65}, {65, 64}, {7, 513}, {70, 515}};
    for (size_t k = 0; k < TX_LEN(kernels); k++) {
        double worst = 0;
        for (size_t s = 0; s < TX_LEN(shape); s++) {
            reset_outputs();
            memset(L, 0, sizeof L);
            kernels[k].run(shape[s][0], shape[s][1]);
            kernels[k].ref(shape[s][0], shape[s][1]);
            for (int o = 0; o < OUTS; o++)
                for (size_t i = 0; i < L[o]; i++) {
                    double error = fabs((double)O[o][i] - R[o][i]) / (fabs(S[o][i]) + DBL_MIN);
                    worst = error <= worst ? worst : error; /* takes NaN */
                }
        }
        double limit = sizeof(real) == 8 ? 6 * EPS
                                         : 4 * EPS; /* in double the reference is rounded as often as the kernel */
        if (!(worst < limit)) printf("\n  %s on %s: %.2f eps\n", kernels[k].name, tx_kernels_isa(), worst / EPS);
        CU_ASSERT(worst < limit);
    }
}
static void test_naive(void) { on_every_isa(against_naive); }

static void test_threads(void)
{
    for (size_t k = 0; k < TX_LEN(kernels); k++)
        for (int t = 1; t <= 4; t++) {
            tx_threads_set(t);
            reset_outputs();
            kernels[k].run(130, 1030);
            if (t == 1) memcpy(was, O, sizeof was);
            if (memcmp(was, O, sizeof was) != 0) printf("\n  %s differs with %d threads\n", kernels[k].name, t);
            CU_ASSERT(memcmp(was, O, sizeof was) == 0);
        }
    tx_threads_set(1);
}

/* Wherever one stands, in vectors, tails and tiles, and also where two cancel; large finite numbers, whose squares are
 * finite too, are none. A weight that is not finite after the step is found as well. */
static void find_bad_gradients(void)
{
    enum { LONG = 70001 };
    static bool (*const along[])(size_t len, const real *g) = {sgd_along,     nesterov_along, descent_along,
                                                               rmsprop_along, adagrad_along,  adam_along};
    static const size_t len[] = {1, 7, 65, LONG}, place[] = {0, 6, 64, 8191, 40009, LONG - 1};
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    static real g[LONG];
    const real large = (real)sqrt(sizeof(real) == sizeof(double) ? DBL_MAX : (double)FLT_MAX) / 4;
    for (size_t k = 0; k < TX_LEN(along); k++)
        for (size_t l = 0; l < TX_LEN(len); l++) {
            for (size_t i = 0; i < len[l]; i++) g[i] = (real)(i % 2 ? 1 : -1) * (i % 3 ? large : D[i]);
            reset_outputs();
            CU_ASSERT(along[k](len[l], g));
            for (size_t p = 0; p < TX_LEN(place) && place[p] < len[l]; p++)
                for (size_t b = 0; b < TX_LEN(bad); b++) {
                    real was_finite = g[place[p]];
                    g[place[p]] = (real)bad[b];
                    CU_ASSERT(!along[k](len[l], g));
                    g[place[p]] = was_finite;
                    reset_outputs();
                    O[0][place[p]] = (real)bad[b];
                    CU_ASSERT(!along[k](len[l], g));
                    reset_outputs();
                    CU_ASSERT(along[k](len[l], g));
                }
        }
    for (size_t i = 0; i < 65; i++) g[i] = i % 2 ? -(real)INFINITY : (real)INFINITY;
    CU_ASSERT(!adam_along(65, g));
}
static void test_bad_gradients(void) { on_every_isa(find_bad_gradients); }

/* What is left of a running mean after many steps without a gradient is 0 to an optimiser on x86, on every thread, and
 * subnormal as before to whoever comes after it. */
static void drop_subnormals(void)
{
#ifdef __SSE2__
    enum { LONG = 70001 };
    static bool (*const along[])(size_t len, const real *g) = {sgd_along, rmsprop_along, adam_along};
    static const int mean[] = {1, 2, 1};
    static real g[LONG];
    const real least = sizeof(real) == sizeof(double) ? (real)DBL_MIN : (real)FLT_MIN;
    for (size_t k = 0; k < TX_LEN(along); k++)
        for (int t = 1; t <= 2; t++) {
            tx_threads_set(t);
            reset_outputs();
            for (size_t i = 0; i < LONG; i++) O[mean[k]][i] = (i % 2 ? 1 : (real)1.1) * least;
            CU_ASSERT(along[k](LONG, g) && along[k](LONG, g));
            size_t left = 0;
            for (size_t i = 0; i < LONG; i++) left += O[mean[k]][i] != 0;
            if (left) printf("\n  %zu running means are left in case %zu\n", left, k);
            CU_ASSERT(left == 0);
            volatile real small = least;
            CU_ASSERT(small / 2 > 0);
        }
    tx_threads_set(1);
#endif
}
static void test_subnormals(void) { on_every_isa(drop_subnormals); }

/* An element's bits are the same alone, in vectors and in tails; a row's the same alone and in a batch. */
static void compare_places(void)
{
    enum { N = 67, W = 23 };
    static real x[N], y[N], one[N];
    for (size_t i = 0; i < N; i++) x[i] = P[i] * (i % 2 ? 1 : (real)3.7);
    for (tx_act f = TX_LINEAR; f <= TX_SOFTPLUS; f++) {
        tx_vec_act(f, N, x, y);
        for (size_t i = 0; i < N; i++) tx_vec_act(f, 1, x + i, one + i);
        CHECK_INT(memcmp(y, one, sizeof y), 0);
        tx_vec_act_grad(f, N, x, B, y);
        for (size_t i = 0; i < N; i++) tx_vec_act_grad(f, 1, x + i, B + i, one + i);
        CHECK_INT(memcmp(y, one, sizeof y), 0);
    }
    void (*const unary[])(size_t, const real *, real *) = {tx_vec_exp, tx_vec_log, tx_vec_sqrt};
    for (size_t f = 0; f < TX_LEN(unary); f++) {
        unary[f](N, x, y);
        for (size_t i = 0; i < N; i++) unary[f](1, x + i, one + i);
        CHECK_INT(memcmp(y, one, sizeof y), 0);
        unary[f](N, x, x);
        CHECK_INT(memcmp(y, x, sizeof y), 0);
    }
    static real row[K * W], grad[4][K * W];
    tx_mog_rows(N, W, K, A, B, C, D, O[0], O[1], O[2], O[3], O[4]);
    for (size_t r = 0; r < N; r++) {
        size_t at = r * W, atk = at * K;
        tx_mog_rows(1, W, K, A + at, B + atk, C + atk, D + atk, row, grad[0], grad[1], grad[2], grad[3]);
        CHECK_INT(memcmp(row, O[0] + r, sizeof *row), 0);
        for (int k = 0; k < 3; k++) CHECK_INT(memcmp(grad[k], O[k + 1] + atk, sizeof grad[k]), 0);
        CHECK_INT(memcmp(grad[3], O[4] + at, W * sizeof **grad), 0);
    }
    tx_bernoulli_rows(N, W, A, X, O[0], O[1]);
    for (size_t r = 0; r < N; r++) {
        tx_bernoulli_rows(1, W, A + r * W, X + r * W, row, NULL);
        CHECK_INT(memcmp(row, O[0] + r, sizeof *row), 0);
    }
}
static void test_places(void) { on_every_isa(compare_places); }

/* Gradients that are not wanted change nothing. */
static void test_null_gradients(void)
{
    enum { N = 7, W = 65 };
    static real y[N], g[N * W];
    tx_normal_rows(N, W, A, B, C, O[0], O[1], O[2]);
    tx_normal_rows(N, W, A, B, C, y, NULL, g);
    CHECK_INT(memcmp(y, O[0], sizeof y) | memcmp(g, O[2], sizeof g), 0);
    tx_normal_rows(N, W, A, B, C, y, g, NULL);
    CHECK_INT(memcmp(y, O[0], sizeof y) | memcmp(g, O[1], sizeof g), 0);
    tx_normal_rows(N, W, A, B, C, y, NULL, NULL);
    CHECK_INT(memcmp(y, O[0], sizeof y), 0);
    tx_logistic_rows(N, W, A, O[0], O[1]);
    tx_logistic_rows(N, W, A, y, NULL);
    CHECK_INT(memcmp(y, O[0], sizeof y), 0);
    tx_mog_rows(N, W, K, A, B, C, D, O[0], O[1], O[2], O[3], O[4]);
    tx_mog_rows(N, W, K, A, B, C, D, y, NULL, NULL, NULL, NULL);
    CHECK_INT(memcmp(y, O[0], sizeof y), 0);
}

static void mog_one(size_t k)
{
    real x = (real)0.731, y, far = (real)1e4;
    double top = -INFINITY, s = 0, p = 0;
    tx_mog_rows(1, 1, k, &x, B, C, D, &y, NULL, NULL, NULL, NULL);
    for (size_t c = 0; c < k; c++) {
        double z = ((double)x - (double)C[c]) / exp((double)D[c]), t = (double)B[c] - (double)D[c] - 0.5 * z * z;
        s = s * exp(fmin(0, top - t)) + exp(fmin(0, t - top));
        top = fmax(top, t);
        p += exp((double)B[c]);
    }
    double want = top + log(s) - log(p) - 0.5 * log(2 * M_PI);
    CHECK_NEAR(y, want, 4 * EPS * (4 + fabs(want)) * (1 + sqrt((double)k) / 8));
    tx_mog_rows(1, 1, k, &far, B, C, D, &y, NULL, NULL, NULL, NULL);
    CHECK_TRUE(isfinite(y) && y < -1);
}

static void test_mog_sizes(void)
{
    const size_t k[] = {1, 2, 64, 100, 1024};
    for (size_t i = 0; i < TX_LEN(k); i++) mog_one(k[i]);
}

static void test_folds(void)
{
    const size_t len[] = {0, 1, 7, 64, 65, 100001, MAX};
    for (size_t k = 0; k < TX_LEN(len); k++) {
        double s = 0, size = 0, dot = 0, dot_size = 0;
        for (size_t i = 0; i < len[k]; i++) {
            s += (double)A[i];
            size += fabs((double)A[i]);
            dot += (double)A[i] * (double)B[i];
            dot_size += fabs((double)A[i] * (double)B[i]);
        }
        CHECK_NEAR(tx_vec_sum(len[k], A), s, 1e-13 * size);
        CHECK_NEAR(tx_vec_dot(len[k], A, B), dot, 1e-13 * dot_size);
        CHECK_TRUE(tx_vec_finite(len[k], A));
        double first = tx_vec_sum(len[k], A), first_dot = tx_vec_dot(len[k], A, B);
        for (int t = 2; t <= 4; t++) {
            tx_threads_set(t);
            CHECK_TRUE(tx_vec_sum(len[k], A) == first && tx_vec_dot(len[k], A, B) == first_dot);
        }
        tx_threads_set(1);
    }
    enum { LONG = (1 << 21) + 7 }; /* more than as many tiles of the least size as there may be */
    real *x = tx_alloc(LONG, sizeof *x);
    for (size_t i = 0; i < LONG; i++) x[i] = (real)0.25 * (real)(i % 8);
    CHECK_NEAR(tx_vec_sum(LONG, x), 7.0 * (LONG - 7) / 8 + 5.25, 0);
    free(x);
    const real bad[] = {(real)NAN, (real)INFINITY, -(real)INFINITY};
    for (size_t i = 0; i < 3 * 70; i++) {
        real keep = A[i / 3];
        A[i / 3] = bad[i % 3];
        CHECK_TRUE(!tx_vec_finite(70, A));
        A[i / 3] = keep;
    }
}

/* ---- accuracy and special values ---- */

/* Bit patterns, the least exponent and the neighbours of reals. */
#ifdef TX_DOUBLE
typedef uint64_t pattern;
enum { MANTISSA = 52, EXPONENTS = 2047, LEAST = DBL_MIN_EXP };
static real next(real x, real to) { return nextafter(x, to); }
#else
typedef uint32_t pattern;
enum { MANTISSA = 23, EXPONENTS = 255, LEAST = FLT_MIN_EXP };
static real next(real x, real to) { return nextafterf(x, to); }
#endif
enum { STRATA = 500000 / EXPONENTS, GRID = 100000, NEAR = 500, POINTS = 2 * EXPONENTS * STRATA + GRID + 2 * NEAR + 4 };

static long double sigmoid_l(long double x) { return 1 / (1 + expl(-x)); }
static long double softplus_l(long double x) { return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x)); }
static long double rise_l(long double x) { return -expm1l(-x); }
static void vec_tanh(size_t n, const real *x, real *y) { tx_vec_act(TX_TANH, n, x, y); }
static void vec_sigmoid(size_t n, const real *x, real *y) { tx_vec_act(TX_SIGMOID, n, x, y); }
static void vec_softplus(size_t n, const real *x, real *y) { tx_vec_act(TX_SOFTPLUS, n, x, y); }
static void vec_rise(size_t n, const real *x, real *y) /* softplus' derivative by its value: 1 - exp(-x) */
{
    for (size_t i = 0; i < n; i++) y[i] = 1;
    tx_vec_act_grad(TX_SOFTPLUS, n, x, y, y);
}

/* [lo, hi]: where a grid is laid besides. Limits in ulp of float and of double, as common/tensor/vmath.h has them. */
typedef struct function {
    const char *name;
    void (*fn)(size_t, const real *, real *);
    long double (*exact)(long double);
    double lo, hi, limit[2];
    bool positive, by_exp; /* defined for x > 0 only; in float 0 where exp underflows */
} function;
static const double LOWEST = sizeof(real) == 4 ? -87.336545 : -708.4, HIGHEST = sizeof(real) == 4 ? 88.72284 : 709.783;

static const function *measured;
static size_t points;
static real point[POINTS], got[POINTS];
static long double exact[POINTS];
static double unit[POINTS]; /* in the last place of `exact` */

static void add_point(real x)
{
    if (!measured->positive || x > 0) point[points++] = x;
}

/* Of every exponent and either sign the power of two and a mantissa from each of STRATA intervals; subnormals and zeros
 * are exponent 0. */
static void make_points(void)
{
    const double ends[] = {measured->lo, measured->hi};
    points = 0;
    for (pattern sign = 0; sign < 2; sign++)
        for (pattern e = 0; e < EXPONENTS; e++)
            for (pattern m = 0; m < STRATA; m++) {
                double within = tx_rng_uniform1(tx_rng_root(17), (sign * EXPONENTS + e) * STRATA + m);
                pattern mantissa = m == 0 ? 0 : (pattern)(((double)m + within) / STRATA * exp2(MANTISSA));
                pattern all = sign << (8 * sizeof(pattern) - 1) | e << MANTISSA | mantissa;
                real x;
                memcpy(&x, &all, sizeof x);
                add_point(x);
            }
    for (size_t i = 0; i < GRID; i++) add_point((real)(ends[0] + (ends[1] - ends[0]) * (double)i / (GRID - 1)));
    for (size_t end = 0; end < 2; end++) {
        real x = (real)ends[end];
        for (int i = 0; i < NEAR / 2; i++) x = next(x, -(real)INFINITY);
        for (int i = 0; i < NEAR; i++, x = next(x, (real)INFINITY)) add_point(x);
    }
    add_point((real)INFINITY), add_point(-(real)INFINITY), add_point((real)NAN);
    for (size_t i = 0; i < points; i++) {
        int e;
        exact[i] = measured->exact((long double)point[i]);
        if (sizeof(real) == 4 && measured->by_exp && fabsl(exact[i]) < (long double)FLT_MIN) exact[i] = 0;
        frexpl(exact[i], &e);
        unit[i] = ldexp(EPS, (e > LEAST ? e : LEAST) - 1);
    }
}

/* Zeros with their sign, infinities and NaN are exact. */
static double ulps(size_t i)
{
    const real nearest = (real)exact[i];
    if (isnan(nearest)) return isnan(got[i]) ? 0 : INFINITY;
    if (nearest == 0 || isinf(nearest))
        return got[i] == nearest && !signbit(got[i]) == !signbit(nearest) ? 0 : INFINITY;
    return (double)fabsl((long double)got[i] - exact[i]) / unit[i];
}

static void measure_ulp(void)
{
    double worst = 0, limit = measured->limit[sizeof(real) == 8];
    size_t where = 0;
    measured->fn(points, point, got);
    for (size_t i = 0; i < points; i++) {
        double error = ulps(i);
        if (!(error <= worst)) worst = error, where = i;
    }
    if (!(worst <= limit))
        printf("\n  %s(%a) on %s: %a, not %La: %.3f ulp\n", measured->name, (double)point[where], tx_kernels_isa(),
               (double)got[where], exact[where], worst);
    CU_ASSERT(worst <= limit);
}

static void test_ulp(void)
{
    const function functions[] = {
        {"exp", tx_vec_exp, expl, LOWEST, HIGHEST, {2, 1}, false, true},
        {"log", tx_vec_log, logl, 0.4, 2.7, {2, 1}, false, false},
        {"sqrt", tx_vec_sqrt, sqrtl, 0.4, 2.7, {0.5, 0.5}, false, false},
        {"tanh", vec_tanh, tanhl, -12, 12, {3, 3}, false, false},
        {"sigmoid", vec_sigmoid, sigmoid_l, LOWEST, 40, {3, 3}, false, true},
        {"softplus", vec_softplus, softplus_l, LOWEST, 40, {2, 2}, false, true},
        {"1 - exp(-x)", vec_rise, rise_l, 0, 90, {2, 1}, true, false},
    };
    for (size_t i = 0; i < TX_LEN(functions); i++) {
        measured = &functions[i];
        make_points();
        CHECK_TRUE(points > 500000);
        on_every_isa(measure_ulp);
    }
}

static bool same(real a, double b) { return isnan(b) ? isnan(a) : (double)a == b; }

/* Each special value stands in a vector and in a tail. */
static void check_special(void (*fn)(size_t, const real *, real *), double x, double want)
{
    real in[19], out[19];
    for (int i = 0; i < 19; i++) in[i] = i == 3 || i == 18 ? (real)x : (real)0.5;
    fn(19, in, out);
    if (!same(out[3], want) || !same(out[18], want)) printf("\n  f(%g) = %g, not %g\n", x, (double)out[3], want);
    CU_ASSERT(same(out[3], want) && same(out[18], want) && isfinite(out[4]));
}

static void specials(void)
{
    static const struct {
        void (*fn)(size_t, const real *, real *);
        double x, want;
    } s[] = {
        {tx_vec_exp, NAN, NAN},
        {tx_vec_exp, INFINITY, INFINITY},
        {tx_vec_exp, -INFINITY, 0},
        {tx_vec_exp, 0, 1},
        {tx_vec_exp, 1e4, INFINITY},
        {tx_vec_exp, -1e4, 0},
        {tx_vec_log, NAN, NAN},
        {tx_vec_log, INFINITY, INFINITY},
        {tx_vec_log, -INFINITY, NAN},
        {tx_vec_log, 0, -INFINITY},
        {tx_vec_log, -0.0, -INFINITY},
        {tx_vec_log, -1.5, NAN},
        {tx_vec_log, 1, 0},
        {vec_tanh, NAN, NAN},
        {vec_tanh, INFINITY, 1},
        {vec_tanh, -INFINITY, -1},
        {vec_tanh, 0, 0},
        {vec_tanh, 1e4, 1},
        {vec_sigmoid, NAN, NAN},
        {vec_sigmoid, INFINITY, 1},
        {vec_sigmoid, -INFINITY, 0},
        {vec_sigmoid, 0, 0.5},
        {vec_softplus, NAN, NAN},
        {vec_softplus, INFINITY, INFINITY},
        {vec_softplus, -INFINITY, 0},
        {vec_softplus, 1e6, 1e6},
        {tx_vec_sqrt, -1, NAN},
    };
    for (size_t i = 0; i < TX_LEN(s); i++) check_special(s[i].fn, s[i].x, s[i].want);
#ifndef TX_DOUBLE
    const uint32_t payload[] = {0x7f800001u, 0x7fc00001u, 0xffc00155u, 0xffffffffu};
    for (size_t i = 0; i < TX_LEN(payload); i++) {
        float x, y;
        memcpy(&x, &payload[i], sizeof x);
        tx_vec_exp(1, &x, &y);
        CHECK_TRUE(isnan(y));
    }
    const float tiny = 0x1.8p-140f;
    float y;
    tx_vec_log(1, &tiny, &y);
    CHECK_NEAR(y, log((double)tiny), 2 * EPS * 64);
#endif
    real x[3] = {(real)NAN, -2, 5};
    tx_vec_clip(3, x, -1, 1, x);
    CHECK_TRUE(isnan(x[0]) && x[1] == -1 && x[2] == 1);
    x[0] = (real)NAN;
    tx_vec_act(TX_RELU, 1, x, x);
    CHECK_TRUE(isnan(x[0]));
    const real inf = (real)INFINITY, rows[6][3] = {{-inf, -inf, -inf}, {1, inf, 2},         {(real)NAN, 1, 2},
                                                   {-inf, 3, -inf},    {1000, 1000, -1000}, {-1000, -1000, -1000}};
    const double want[6] = {-INFINITY, INFINITY, NAN, 3, 1000 + log(2), -1000 + log(3)};
    real lse[6];
    tx_mat_logsumexp(6, 3, &rows[0][0], lse);
    for (int i = 0; i < 6; i++) CHECK_TRUE(same(lse[i], want[i]) || fabs((double)lse[i] - want[i]) < 1e3 * EPS);
}

/* Rows of equal elements at +-1e4, in vectors and in tails: the sum is their number times one's, and nothing more. */
static void extremes(void)
{
    enum { W = 19 };
    const double log_width = log(W);
    for (int side = 0; side < 4; side++) {
        bool up = side & 1, one = side & 2;
        double far = up ? 1e4 : -1e4;
        real l[W], x[W], g[W], y;
        for (int i = 0; i < W; i++) l[i] = (real)far, x[i] = one;
        tx_bernoulli_rows(1, W, l, x, &y, NULL);
        CHECK_NEAR(y, up == one ? 0 : -1e4 * W, 0);
        tx_bernoulli_rows(1, W, l, x, &y, g);
        CHECK_NEAR(y, up == one ? 0 : -1e4 * W, 0);
        for (int i = 0; i < W; i++) CHECK_NEAR(g[i], (int)one - (int)up, 0);
        tx_logistic_rows(1, W, l, &y, g);
        CHECK_NEAR(y, -1e4 * W, 0);
        for (int i = 0; i < W; i++) CHECK_NEAR(g[i], up ? -1 : 1, 0);
        tx_mat_logsumexp(1, W, l, &y);
        CHECK_NEAR(y, far + log_width, 1e4 * EPS);
        for (int i = 0; i < W; i++) l[i] = i == 17 ? (real)far : -(real)INFINITY;
        tx_mat_logsumexp(1, W, l, &y);
        CHECK_NEAR(y, far, 0);
    }
}

static void specials_and_extremes(void)
{
    specials();
    extremes();
}
static void test_specials(void) { on_every_isa(specials_and_extremes); }

static void naive_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const real *a, size_t lda,
                       const real *b, size_t ldb, double beta, const real *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double s = 0, size = 0;
            for (size_t l = 0; l < k; l++) {
                double t = (double)(ta ? a[l * lda + i] : a[i * lda + l]) *
                           (double)(tb ? b[j * ldb + l] : b[l * ldb + j]);
                s += t;
                size += fabs(t);
            }
            double old = beta == 0 ? 0 : beta * (double)c[i * ldc + j];
            R[0][i * n + j] = alpha * s + old;
            S[0][i * n + j] = fabs(alpha) * size + fabs(old) + 1;
        }
}

static void check_gemm(size_t m, size_t n, size_t k)
{
    for (int flags = 0; flags < 16; flags++) {
        bool ta = flags & 1, tb = flags & 2;
        double alpha = flags & 4 ? 1 : -2.385, beta = flags & 8 ? 0 : 0.731;
        size_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 1, ldc = n + 2;
        real *c = O[0];
        for (size_t i = 0; i < m * ldc; i++) c[i] = beta == 0 ? (real)NAN : D[i];
        tx_gemm(ta, tb, m, n, k, (real)alpha, B, lda, C, ldb, (real)beta, c, ldc);
        naive_gemm(ta, tb, m, n, k, alpha, B, lda, C, ldb, beta, D, ldc);
        double worst = 0;
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double error = fabs((double)c[i * ldc + j] - R[0][i * n + j]) / S[0][i * n + j];
                worst = error <= worst ? worst : error;
            }
        if (!(worst < 8 * EPS)) printf("\n  gemm %zu %zu %zu flags %d: %.2f eps\n", m, n, k, flags, worst / EPS);
        CU_ASSERT(worst < 8 * EPS);
        for (size_t i = 0; i < m; i++) CHECK_TRUE(beta == 0 ? isnan(c[i * ldc + n]) : c[i * ldc + n] == D[i * ldc + n]);
    }
}

static void test_gemm(void)
{
    static const size_t shape[][3] = {{1, 1, 1},     {7, 65, 64},   {64, 7, 1},    {65, 1, 7}, {1, 65, 65},  {7, 3, 0},
                                      {50, 410, 65}, {300, 65, 64}, {33, 801, 20}, {0, 5, 3},  {130, 97, 64}};
    for (size_t s = 0; s < TX_LEN(shape); s++) check_gemm(shape[s][0], shape[s][1], shape[s][2]);
}

static void test_gemm_threads(void)
{
    enum { N = 100, I = 357, O_ = 291 };
    const bool t[3][2] = {{false}, {false, true}, {true}};
    const size_t size[3][3] = {{N, O_, I}, {N, I, O_}, {I, O_, N}};
    for (int p = 0; p < 3; p++) {
        size_t m = size[p][0], n = size[p][1], k = size[p][2];
        for (int threads = 1; threads <= 4; threads++) {
            tx_threads_set(threads);
            tx_gemm(t[p][0], t[p][1], m, n, k, 1, B, t[p][0] ? m : k, C, t[p][1] ? k : n, 0, O[0], n);
            if (threads == 1) memcpy(was[0], O[0], m * n * sizeof(real));
            CHECK_INT(memcmp(was[0], O[0], m * n * sizeof(real)), 0);
        }
    }
    tx_threads_set(1);
}

static void check_dense(size_t n, size_t i, size_t o, const real *bias, bool transposed)
{
    static double (*const f[])(double) = {NULL, NULL, NULL, tanh, sigmoid, softplus};
    const double alpha = transposed ? 0.5 : 1;
    naive_gemm(false, transposed, n, o, i, (real)alpha, A, i, X, transposed ? i : o, 0, NULL, 0);
    for (tx_act act = TX_LINEAR; act <= TX_SOFTPLUS; act++) {
        for (int threads = 1; threads <= 3; threads += 2) {
            tx_threads_set(threads);
            if (transposed)
                tx_dense_transposed(n, i, o, (real)alpha, A, X, bias, act, O[threads]);
            else
                tx_dense_forward(n, i, o, A, X, bias, act, O[threads]);
        }
        CHECK_INT(memcmp(O[1], O[3], n * o * sizeof(real)), 0);
        double worst = 0;
        for (size_t e = 0; e < n * o; e++) {
            double z = R[0][e] + (bias ? (double)bias[e % o] : 0);
            double y = f[act] ? f[act](z) : act == TX_LINEAR || z > 0 ? z : act == TX_RELU ? 0 : 0.2 * z;
            double error = fabs((double)O[1][e] - y) / (S[0][e] + 1);
            worst = error <= worst ? worst : error;
        }
        CHECK_NEAR(worst, 0, 8 * EPS);
    }
    tx_threads_set(1);
}

static void dense(void)
{
    static const size_t shape[][3] = {{1, 1, 1}, {7, 65, 64}, {65, 7, 1}, {40, 64, 401}, {200, 65, 66}};
    for (size_t s = 0; s < TX_LEN(shape); s++)
        for (int b = 0; b < 4; b++) check_dense(shape[s][0], shape[s][1], shape[s][2], b % 2 ? B : NULL, b > 1);
}
static void test_dense(void) { on_every_isa(dense); }

static void test_empty(void)
{
    real y[3] = {9, 9, 9};
    tx_vec_exp(0, NULL, NULL);
    tx_mat_sum_rows(3, 0, NULL, y);
    for (int i = 0; i < 3; i++) CHECK_NEAR(y[i], 0, 0);
    y[0] = 9;
    tx_mat_sum_cols(0, 3, NULL, y);
    CHECK_NEAR(y[0], 0, 0);
    tx_mat_logsumexp(1, 0, NULL, y);
    CHECK_TRUE(y[0] == -(real)INFINITY);
    tx_mog_rows(3, 0, 2, NULL, NULL, NULL, NULL, y, NULL, NULL, NULL, NULL);
    CHECK_NEAR(y[0], 0, 0);
    tx_mat_add_row(5, 0, NULL, NULL, NULL);
    tx_gemm(false, false, 0, 4, 3, 1, NULL, 3, NULL, 4, 0, NULL, 4);
}

static void too_large(void) { tx_gemm(false, false, 1, 1, (size_t)1 << 31, 1, A, (size_t)1 << 31, A, 1, 0, O[0], 1); }
static void narrow_rows(void) { tx_gemm(false, false, 2, 2, 2, 1, A, 1, A, 2, 0, O[0], 2); }
static void many_components(void) { tx_mog_rows(1, 1, 1025, A, B, C, D, O[0], NULL, NULL, NULL, NULL); }
static void no_threads(void) { tx_threads_set(0); }
static void bad_slice(void) { (void)tx_slice_rows(tx_matrix(A, 3, 2), 1, 4); }

static void test_contracts(void)
{
    CHECK_TRUE(tx_dies(too_large, -1));
    CHECK_TRUE(tx_dies(narrow_rows, -1));
    CHECK_TRUE(tx_dies(many_components, -1));
    CHECK_TRUE(tx_dies(no_threads, -1));
    CHECK_TRUE(tx_dies(bad_slice, -1));
}

static void test_choice(void)
{
    setenv("TAXON_ISA", "x86-64-v9", 1);
    CHECK_INT(tx_kernels_start(), TX_EUSAGE);
    CHECK_HAS(tx_last_error(), "x86-64-v9");
    CHECK_HAS(tx_last_error(), tx_kernels_isa());
    setenv("TAXON_ISA", "", 1);
    CHECK_OK(tx_kernels_start());
    unsetenv("TAXON_ISA");
}

static void count_tile(void *ctx, size_t i) { ((int *)ctx)[i]++; }
static void nested(void *ctx, size_t i)
{
    tx_parallel(10, count_tile, (int *)ctx + 10 * i);
    tx_vec_exp(MAX / 4, A + i * (MAX / 4), O[0] + i * (MAX / 4));
}

static void test_parallel(void)
{
    for (int t = 1; t <= 4; t++) {
        int met[40] = {0};
        tx_threads_set(t);
        tx_parallel(4, nested, met);
        for (int i = 0; i < 40; i++) CHECK_INT(met[i], 1);
        tx_parallel(0, count_tile, NULL);
    }
    tx_threads_set(1);
    tx_vec_exp(MAX / 4 * 4, A, O[1]);
    CHECK_INT(memcmp(O[0], O[1], MAX / 4 * 4 * sizeof(real)), 0);
}

static void arena_step(tx_arena *a)
{
    const tx_mark m = tx_arena_mark(a);
    char *last = NULL;
    for (size_t i = 0; i < 300; i++) {
        size_t bytes = i * 7919 % 100003;
        char *p = tx_arena_alloc(a, bytes);
        CU_ASSERT((uintptr_t)p % 64 == 0);
        memset(p, (int)i, bytes);
        if (last) CU_ASSERT(*last == (char)(i - 1));
        last = bytes ? p : NULL;
    }
    tx_arena_release(a, m);
}

static void arena_too_much(void)
{
    tx_arena *a = tx_arena_new(0);
    tx_arena_alloc(a, SIZE_MAX - 5);
}

static void arena_future(void)
{
    tx_arena *a = tx_arena_new(1000);
    tx_arena_alloc(a, 640);
    const tx_mark m = tx_arena_mark(a);
    tx_arena_release(a, (tx_mark){0, 0});
    tx_arena_release(a, m);
}

static void test_arena(void)
{
    tx_arena *a = tx_arena_new(1 << 16);
    CHECK_INT(tx_arena_growths(a), 1);
    arena_step(a);
    size_t growths = tx_arena_growths(a), peak = tx_arena_peak(a);
    CHECK_TRUE(growths > 1);
    for (int i = 0; i < 5; i++) arena_step(a);
    CHECK_INT(tx_arena_growths(a), growths);
    CHECK_INT(tx_arena_peak(a), peak);
    char *p = tx_arena_alloc(a, 100);
    const tx_mark m = tx_arena_mark(a);
    char *q = tx_arena_alloc(a, 100);
    CHECK_TRUE(q != p);
    tx_arena_release(a, m);
    CHECK_TRUE(tx_arena_alloc(a, 1) == q);
    tx_arena_free(a);
    tx_arena_free(NULL);
    a = tx_arena_new(0);
    tx_arena_alloc(a, 1000);
    tx_arena_alloc(a, 0);
    CHECK_INT(tx_arena_peak(a), 1024 + 64);
    tx_arena_free(a);
    CHECK_TRUE(tx_dies(arena_too_much, 71));
    CHECK_TRUE(tx_dies(arena_future, -1));
}

static void test_tensor(void)
{
    tx_tensor t = {.x = A, .shape = {.rank = 3, .dim = {5, 4, 3}}}, s = tx_slice_rows(t, 2, 4);
    CHECK_INT(tx_len(t), 60);
    CHECK_INT(tx_rows(t), 5);
    CHECK_INT(tx_cols(t), 12);
    CHECK_TRUE(s.x == A + 24 && tx_rows(s) == 2 && tx_cols(s) == 12 && s.shape.rank == 3);
    CHECK_TRUE(tx_shape_equal(tx_shape2(5, 12), tx_matrix(A, 5, 12).shape));
    CHECK_TRUE(!tx_shape_equal(tx_shape2(5, 12), t.shape));
    CHECK_TRUE(!tx_shape_equal(tx_shape2(5, 12), tx_shape2(5, 11)));
    CHECK_INT(tx_cols(tx_matrix(NULL, 0, 7)), 7);
}

int main(void)
{
    static const tx_test tests[] = {
        {"contracts", test_contracts},
        {"every kernel against a naive loop", test_naive},
        {"1 to 4 threads, same bits", test_threads},
        {"updates find gradients that are not finite", test_bad_gradients},
        {"running means that have died out", test_subnormals},
        {"same bits at every place", test_places},
        {"optional gradients", test_null_gradients},
        {"mixtures of 1 to 1024 components", test_mog_sizes},
        {"sums", test_folds},
        {"accuracy in ulp", test_ulp},
        {"special values", test_specials},
        {"gemm", test_gemm},
        {"gemm with threads", test_gemm_threads},
        {"dense layer", test_dense},
        {"empty shapes", test_empty},
        {"choice of instruction set", test_choice},
        {"parallel tiles", test_parallel},
        {"arena", test_arena},
        {"tensor views", test_tensor},
    };
    fill_inputs();
    return tx_run_tests("kernels", tests, (int)TX_LEN(tests));
}
