/* Compiled once for each instruction set with TX_ISA = baseline, v2, v3 or v4; exports one table, tx_isa_<TX_ISA>.
 * Everything else is static, so that no code of a higher instruction set can be shared with a lower one. */
#include "common/tensor/kernels_isa.h"
#include "common/tensor/vmath.h"

static const real LOG_2PI = (real)1.83787706640934548356;

/* Element-wise loops: u, v are the inputs' elements, c the constants. The output may be the same array as an input:
 * each element is read before it is written, and the simd promise covers what the compiler cannot know. */
#define LOOP1(loop, value)                                                                                             \
    static void loop_##loop(const tx_args *a, size_t from, size_t to)                                                  \
    {                                                                                                                  \
        const real *x = a->in[0], c0 = a->c[0], c1 = a->c[1];                                                          \
        real *y = a->out[0];                                                                                           \
        (void)c0, (void)c1;                                                                                            \
        _Pragma("omp simd") for (size_t i = from; i < to; i++)                                                         \
        {                                                                                                              \
            real u = x[i];                                                                                             \
            y[i] = (value);                                                                                            \
        }                                                                                                              \
    }
#define LOOP2(loop, value)                                                                                             \
    static void loop_##loop(const tx_args *a, size_t from, size_t to)                                                  \
    {                                                                                                                  \
        const real *x = a->in[0], *z = a->in[1], c0 = a->c[0];                                                         \
        real *y = a->out[0];                                                                                           \
        (void)c0;                                                                                                      \
        _Pragma("omp simd") for (size_t i = from; i < to; i++)                                                         \
        {                                                                                                              \
            real u = x[i], v = z[i];                                                                                   \
            y[i] = (value);                                                                                            \
        }                                                                                                              \
    }

static inline real act_linear(real x) { return x; }
static inline real act_relu(real x) { return x < 0 ? 0 : x; }
static inline real act_leaky_relu(real x) { return x < 0 ? (real)0.2 * x : x; }
static inline real act_tanh(real x) { return v_tanh(x); }
static inline real act_sigmoid(real x) { return v_sigmoid(x); }
static inline real act_softplus(real x) { return v_softplus(x); }

/* X(index, name, derivative by the output u times v) */
#define ACT_MAP(X)                                                                                                     \
    X(TX_LINEAR, linear, v)                                                                                            \
    X(TX_RELU, relu, u > 0 ? v : 0)                                                                                    \
    X(TX_LEAKY_RELU, leaky_relu, u > 0 ? v : (real)0.2 * v)                                                            \
    X(TX_TANH, tanh, v *(1 - u * u))                                                                                   \
    X(TX_SIGMOID, sigmoid, v *(u * (1 - u)))                                                                           \
    X(TX_SOFTPLUS, softplus, v * -v_expm1_neg(-u))
#define X(index, f, derivative)                                                                                        \
    LOOP1(act_##f, act_##f(u))                                                                                         \
    LOOP2(bias_##f, act_##f(u + v))                                                                                    \
    LOOP2(grad_##f, ((void)u, derivative))
ACT_MAP(X)
#undef X

LOOP1(exp, v_exp(u))
LOOP1(log, v_log(u))
LOOP1(sqrt, v_sqrt(u))
LOOP2(add, u + v)
LOOP2(sub, u - v)
LOOP2(mul, (u * v))
LOOP2(div, u / v)
LOOP1(affine, (c0 * u + c1))
LOOP2(axpy, (c0 * u + v))
LOOP1(clip, u < c0 ? c0 : (u > c1 ? c1 : u))

/* Rows [from, to) of in[0][.,d] with in[1] = row[d] or col[n]. */
static void loop_add_row(const tx_args *a, size_t from, size_t to)
{
    for (size_t r = from; r < to; r++) {
        const real *x = a->in[0] + r * a->d, *row = a->in[1];
        real *y = a->out[0] + r * a->d;
#pragma omp simd
        for (size_t j = 0; j < a->d; j++) y[j] = x[j] + row[j];
    }
}

static void loop_mul_row(const tx_args *a, size_t from, size_t to)
{
    for (size_t r = from; r < to; r++) {
        const real *x = a->in[0] + r * a->d, *row = a->in[1];
        real *y = a->out[0] + r * a->d;
#pragma omp simd
        for (size_t j = 0; j < a->d; j++) y[j] = x[j] * row[j];
    }
}

static void loop_mul_col(const tx_args *a, size_t from, size_t to)
{
    for (size_t r = from; r < to; r++) {
        const real *x = a->in[0] + r * a->d, c = a->in[1][r];
        real *y = a->out[0] + r * a->d;
#pragma omp simd
        for (size_t j = 0; j < a->d; j++) y[j] = x[j] * c;
    }
}

static inline double sum(const real *x, size_t n)
{
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t j = 0; j < n; j++) s += (double)x[j];
    return s;
}

static double fold_sum(const tx_args *a, size_t from, size_t to) { return sum(a->in[0] + from, to - from); }

static double fold_dot(const tx_args *a, size_t from, size_t to)
{
    const real *x = a->in[0], *y = a->in[1];
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t i = from; i < to; i++) s += (double)x[i] * (double)y[i];
    return s;
}

/* 0 for the finite, NaN for the others: so is a sum of them. */
static inline real nonfinite(real x) { return x - x; }

static double fold_nonfinite(const tx_args *a, size_t from, size_t to)
{
    const real *x = a->in[0];
    real bad = 0;
#pragma omp simd reduction(+ : bad)
    for (size_t i = from; i < to; i++) bad += nonfinite(x[i]);
    return bad == 0 ? 0 : 1;
}

static void loop_sum_rows(const tx_args *a, size_t from, size_t to)
{
    for (size_t r = from; r < to; r++) a->out[0][r] = (real)sum(a->in[0] + r * a->d, a->d);
}

/* Columns [from, to) of in[0][n,d], four rows at a time: their sums are taken in the order of the rows. */
static void loop_sum_cols(const tx_args *a, size_t from, size_t to)
{
    enum { WIDTH = 1024 };
    for (size_t c = from; c < to; c += WIDTH) {
        size_t w = to - c < WIDTH ? to - c : WIDTH, d = a->d, r = 0;
        double s[WIDTH];
        for (size_t j = 0; j < w; j++) s[j] = 0;
        for (; r + 4 <= a->n; r += 4) {
            const real *x = a->in[0] + r * d + c;
#pragma omp simd
            for (size_t j = 0; j < w; j++)
                s[j] = (((s[j] + (double)x[j]) + (double)x[d + j]) + (double)x[2 * d + j]) + (double)x[3 * d + j];
        }
        for (; r < a->n; r++) {
            const real *x = a->in[0] + r * d + c;
#pragma omp simd
            for (size_t j = 0; j < w; j++) s[j] += (double)x[j];
        }
        for (size_t j = 0; j < w; j++) a->out[0][c + j] = (real)s[j];
    }
}

static void loop_logsumexp(const tx_args *a, size_t from, size_t to)
{
    for (size_t r = from; r < to; r++) {
        const real *x = a->in[0] + r * a->d;
        real top = -INFINITY;
#pragma omp simd reduction(max : top)
        for (size_t j = 0; j < a->d; j++) top = x[j] > top ? x[j] : top;
        if (v_abs(top) == INFINITY) top = 0; /* then the exponentials below are 0, inf or NaN as they should be */
        double s = 0;
#pragma omp simd reduction(+ : s)
        for (size_t j = 0; j < a->d; j++) s += (double)v_exp(x[j] - top);
        a->out[0][r] = (real)((double)top + log(s));
    }
}

static inline void bernoulli(const tx_args *a, size_t from, size_t to, bool grad)
{
    for (size_t r = from; r < to; r++) {
        const real *l = a->in[0] + r * a->d, *x = a->in[1] + r * a->d;
        real *g = grad ? a->out[1] + r * a->d : NULL;
        double s = 0;
#pragma omp simd reduction(+ : s)
        for (size_t j = 0; j < a->d; j++) {
            real u = v_exp(-v_abs(l[j])), target = x[j], logit = l[j];
            if (grad) g[j] = target - v_sigmoid_of(logit, u);
            s += (double)(target * logit - v_softplus_of(logit, u));
        }
        a->out[0][r] = (real)s;
    }
}

static void loop_bernoulli(const tx_args *a, size_t from, size_t to)
{
    a->out[1] ? bernoulli(a, from, to, true) : bernoulli(a, from, to, false);
}

static inline void normal(const tx_args *a, size_t from, size_t to, bool want_mu, bool want_lv)
{
    for (size_t r = from; r < to; r++) {
        const real *x = a->in[0] + r * a->d, *mu = a->in[1] + r * a->d, *lv = a->in[2] + r * a->d;
        real *gmu = want_mu ? a->out[1] + r * a->d : NULL, *glv = want_lv ? a->out[2] + r * a->d : NULL;
        double s = 0;
#pragma omp simd reduction(+ : s)
        for (size_t j = 0; j < a->d; j++) {
            real logvar = lv[j], e = x[j] - mu[j], w = e * v_exp(-logvar), q = e * w;
            if (want_mu) gmu[j] = w;
            if (want_lv) glv[j] = (real)0.5 * (q - 1);
            s += (double)(LOG_2PI + logvar + q);
        }
        a->out[0][r] = (real)(-0.5 * s);
    }
}

static void loop_normal(const tx_args *a, size_t from, size_t to)
{
    if (a->out[1])
        a->out[2] ? normal(a, from, to, true, true) : normal(a, from, to, true, false);
    else
        a->out[2] ? normal(a, from, to, false, true) : normal(a, from, to, false, false);
}

static inline void logistic(const tx_args *a, size_t from, size_t to, bool grad)
{
    for (size_t r = from; r < to; r++) {
        const real *z = a->in[0] + r * a->d;
        real *g = grad ? a->out[1] + r * a->d : NULL;
        double s = 0;
#pragma omp simd reduction(+ : s)
        for (size_t j = 0; j < a->d; j++) {
            real x = z[j], t = v_expm1_neg(-v_abs(x)), half = t / (2 + t); /* half = -tanh(|x|/2) */
            if (grad) g[j] = x < 0 ? -half : half;
            s += (double)(-v_abs(x) - 2 * v_log1p_unit(1 + t));
        }
        a->out[0][r] = (real)s;
    }
}

static void loop_logistic(const tx_args *a, size_t from, size_t to)
{
    a->out[1] ? logistic(a, from, to, true) : logistic(a, from, to, false);
}

/* Scratch of a run of variables (of one or several rows), component-major so that loops over the variables vectorise.
 */
enum { MOG_SIZE = 2 * TX_MOG_MAX, MOG_VARS = 128 };
typedef struct mixture {
    real prior[MOG_SIZE], joint[MOG_SIZE], z[MOG_SIZE], inv[MOG_SIZE]; /* [k, vars] */
    real top_prior[MOG_VARS], top_joint[MOG_VARS], sum_prior[MOG_VARS], sum_joint[MOG_VARS];
} mixture;

/* prior, joint := exp(logit - max), exp(logit + log N - max), and their sums over the components. */
static inline void mog_weights(mixture *m, size_t vars, size_t k, const real *x, const real *logit, const real *mean,
                               const real *logsd)
{
    for (size_t j = 0; j < vars; j++) m->top_prior[j] = m->top_joint[j] = -INFINITY;
    for (size_t j = 0; j < vars; j++) m->sum_prior[j] = m->sum_joint[j] = 0;
    for (size_t c = 0; c < k; c++) {
        real *prior = m->prior + c * vars, *joint = m->joint + c * vars, *z = m->z + c * vars, *inv = m->inv + c * vars;
#pragma omp simd
        for (size_t j = 0; j < vars; j++) {
            real l = logit[j * k + c], s = logsd[j * k + c], w = v_exp(-s), e = (x[j] - mean[j * k + c]) * w;
            real t = l - s - (real)0.5 * (e * e);
            prior[j] = l;
            joint[j] = t;
            z[j] = e;
            inv[j] = w;
            m->top_prior[j] = l > m->top_prior[j] ? l : m->top_prior[j];
            m->top_joint[j] = t > m->top_joint[j] ? t : m->top_joint[j];
        }
    }
    for (size_t c = 0; c < k; c++) {
        real *prior = m->prior + c * vars, *joint = m->joint + c * vars;
#pragma omp simd
        for (size_t j = 0; j < vars; j++) {
            m->sum_prior[j] += prior[j] = v_exp(prior[j] - m->top_prior[j]);
            m->sum_joint[j] += joint[j] = v_exp(joint[j] - m->top_joint[j]);
        }
    }
}

static inline void mog_grad(const mixture *m, size_t vars, size_t k, real *glogit, real *gmean, real *glogsd, real *gx)
{
    for (size_t j = 0; j < vars; j++) gx[j] = 0;
    for (size_t c = 0; c < k; c++) {
        const real *prior = m->prior + c * vars, *joint = m->joint + c * vars;
        const real *z = m->z + c * vars, *inv = m->inv + c * vars;
#pragma omp simd
        for (size_t j = 0; j < vars; j++) {
            real post = joint[j] / m->sum_joint[j], g = post * z[j] * inv[j];
            glogit[j * k + c] = post - prior[j] / m->sum_prior[j];
            gmean[j * k + c] = g;
            glogsd[j * k + c] = post * (z[j] * z[j] - 1);
            gx[j] -= g;
        }
    }
}

static void loop_mog(const tx_args *a, size_t from, size_t to)
{
    mixture m;
    size_t d = a->d, k = a->k, step = MOG_SIZE / k < MOG_VARS ? MOG_SIZE / k : MOG_VARS;
    double s = 0;
    for (size_t v = from * d; v < to * d; v += step) {
        size_t vars = to * d - v < step ? to * d - v : step, at = v * k;
        mog_weights(&m, vars, k, a->in[0] + v, a->in[1] + at, a->in[2] + at, a->in[3] + at);
        if (a->out[1]) mog_grad(&m, vars, k, a->out[1] + at, a->out[2] + at, a->out[3] + at, a->out[4] + v);
        real value[MOG_VARS];
#pragma omp simd
        for (size_t j = 0; j < vars; j++)
            value[j] = m.top_joint[j] - m.top_prior[j] - (real)0.5 * LOG_2PI + v_log(m.sum_joint[j]) -
                       v_log(m.sum_prior[j]);
        for (size_t j = 0; j < vars; j++) {
            s += (double)value[j];
            if ((v + j + 1) % d) continue;
            a->out[0][(v + j) / d] = (real)s;
            s = 0;
        }
    }
    for (size_t r = from; d == 0 && r < to; r++) a->out[0][r] = 0;
}

/* Optimisers: in[0] = gradient, out[0] = weights, out[1..] = state; the value is 0 if all gradients and
 * all new weights are finite. */
static double fold_sgd(const tx_args *a, size_t from, size_t to)
{
    const real *grad = a->in[0], lr = a->c[0], gscale = a->c[1], decay = a->c[0] * a->c[2], momentum = a->c[3];
    const real keep_v = a->c[4] != 0 ? momentum : 1, keep_g = a->c[4] != 0 ? 1 : 0;
    real *w = a->out[0], *velocity = a->out[1];
    real bad = 0;
#pragma omp simd reduction(+ : bad)
    for (size_t i = from; i < to; i++) {
        bad += nonfinite(grad[i]);
        real g = gscale * grad[i], v = momentum * velocity[i] + g;
        velocity[i] = v;
        w[i] -= decay * w[i] + lr * (keep_v * v + keep_g * g);
        bad += nonfinite(w[i]);
    }
    return bad == 0 ? 0 : 1;
}

/* Without momentum; a velocity is left alone. */
static double fold_descent(const tx_args *a, size_t from, size_t to)
{
    const real *grad = a->in[0], lr = a->c[0], gscale = a->c[1], decay = a->c[0] * a->c[2];
    real *w = a->out[0];
    real bad = 0;
#pragma omp simd reduction(+ : bad)
    for (size_t i = from; i < to; i++) {
        bad += nonfinite(grad[i]);
        w[i] -= decay * w[i] + lr * (gscale * grad[i]);
        bad += nonfinite(w[i]);
    }
    return bad == 0 ? 0 : 1;
}

static double fold_rmsprop(const tx_args *a, size_t from, size_t to)
{
    const real *grad = a->in[0], lr = a->c[0], gscale = a->c[1], decay = a->c[0] * a->c[2];
    const real rho = a->c[3], eps = a->c[4], momentum = a->c[5];
    real *w = a->out[0], *square = a->out[1], *velocity = a->out[2];
    real bad = 0;
#pragma omp simd reduction(+ : bad)
    for (size_t i = from; i < to; i++) {
        bad += nonfinite(grad[i]);
        real g = gscale * grad[i], s = rho * square[i] + (1 - rho) * (g * g);
        real v = momentum * velocity[i] + g / (v_sqrt(s) + eps);
        square[i] = s;
        velocity[i] = v;
        w[i] -= decay * w[i] + lr * v;
        bad += nonfinite(w[i]);
    }
    return bad == 0 ? 0 : 1;
}

static double fold_adagrad(const tx_args *a, size_t from, size_t to)
{
    const real *grad = a->in[0], lr = a->c[0], gscale = a->c[1], decay = a->c[0] * a->c[2], eps = a->c[3];
    real *w = a->out[0], *square = a->out[1];
    real bad = 0;
#pragma omp simd reduction(+ : bad)
    for (size_t i = from; i < to; i++) {
        bad += nonfinite(grad[i]);
        real g = gscale * grad[i], s = square[i] + g * g;
        square[i] = s;
        w[i] -= decay * w[i] + lr * (g / (v_sqrt(s) + eps));
        bad += nonfinite(w[i]);
    }
    return bad == 0 ? 0 : 1;
}

static double fold_adam(const tx_args *a, size_t from, size_t to)
{
    const real *grad = a->in[0], gscale = a->c[1], decay = a->c[0] * a->c[2], beta1 = a->c[3], beta2 = a->c[4];
    const real eps = a->c[5], lr1 = a->c[0] / a->c[6], unbias2 = 1 / a->c[7];
    real *w = a->out[0], *m = a->out[1], *v = a->out[2];
    real bad = 0;
#pragma omp simd reduction(+ : bad)
    for (size_t i = from; i < to; i++) {
        bad += nonfinite(grad[i]);
        real g = gscale * grad[i];
        real mi = beta1 * m[i] + (1 - beta1) * g, vi = beta2 * v[i] + (1 - beta2) * (g * g);
        m[i] = mi;
        v[i] = vi;
        w[i] -= decay * w[i] + lr1 * mi / (v_sqrt(vi * unbias2) + eps);
        bad += nonfinite(w[i]);
    }
    return bad == 0 ? 0 : 1;
}

/* Vectors of 64-bit lanes, and the product of the lanes' low halves, for which plain C gets no single instruction. */
#if defined __AVX512F__
#include <immintrin.h>
typedef uint64_t lanes __attribute__((vector_size(64)));
#define MULTIPLY(a, b) ((lanes)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#elif defined __AVX2__
#include <immintrin.h>
typedef uint64_t lanes __attribute__((vector_size(32)));
#define MULTIPLY(a, b) ((lanes)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#elif defined __SSE2__
#include <immintrin.h>
typedef uint64_t lanes __attribute__((vector_size(16)));
#define MULTIPLY(a, b) ((lanes)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#else
typedef uint64_t lanes __attribute__((vector_size(16)));
#define MULTIPLY(a, b) (((a)&UINT32_MAX) * (b))
#endif
enum { LANES = sizeof(lanes) / sizeof(uint64_t) };
typedef uint32_t halves __attribute__((vector_size(sizeof(lanes) / 2)));

typedef struct words {
    uint32_t w[4][TX_RNG_BLOCKS];
} words;

/* Philox4x32-10 (Salmon et al. 2011) on n consecutive blocks, rounded up to LANES. A word is the low half of a lane;
 * the high half of c1 and c3, and from them of c0 and c2, is noise that no product and no result sees. */
static void philox(tx_rng rng, uint64_t block, size_t n, words *out)
{
    const lanes zero = {0}, m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u;
    lanes index = zero + block;
    for (size_t j = 0; j < LANES; j++) index[j] += j;
    for (size_t i = 0; i < n; i += LANES, index += LANES) {
        lanes c0 = zero + rng.path, c1 = c0 >> 32, c2 = index, c3 = index >> 32;
        uint32_t k0 = (uint32_t)rng.key, k1 = (uint32_t)(rng.key >> 32);
        for (int round = 0; round < 10; round++) {
            lanes p0 = MULTIPLY(c0, m0), p1 = MULTIPLY(c2, m1);
            c0 = (p1 >> 32) ^ c1 ^ k0;
            c1 = p1;
            c2 = (p0 >> 32) ^ c3 ^ k1;
            c3 = p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        const lanes c[4] = {c0, c1, c2, c3};
        for (int j = 0; j < 4; j++) {
            halves h = __builtin_convertvector(c[j], halves);
            memcpy(&out->w[j][i], &h, sizeof h);
        }
    }
}

/* Values a block gives: a word each in float, two in double. A draw writes value j of block i to t[j][i]. */
enum { VALUES = sizeof(real) == 4 ? 4 : 2 };
typedef real values[VALUES][TX_RNG_BLOCKS];

static inline void draw_uniform(const words *x, size_t n, values t)
{
    for (int j = 0; j < VALUES; j++)
#pragma omp simd
        for (size_t i = 0; i < n; i++)
#ifdef TX_DOUBLE
            t[j][i] = v_uniform52(x->w[2 * j][i], x->w[2 * j + 1][i]);
#else
            t[j][i] = v_uniform23(x->w[j][i]);
#endif
}

/* log u - log(1-u); both logarithms' arguments are exact. */
static inline void draw_logistic(const words *x, size_t n, values t)
{
    draw_uniform(x, n, t);
    for (int j = 0; j < VALUES; j++)
#pragma omp simd
        for (size_t i = 0; i < n; i++) t[j][i] = v_log(t[j][i]) - v_log(1 - t[j][i]);
}

/* Box and Muller (1958): radius from one uniform, direction from another. */
static inline void draw_normal(const words *x, size_t n, values t)
{
#ifdef TX_DOUBLE
    for (size_t i = 0; i < n; i++) {
        double radius = sqrt(-2 * log(v_uniform52(x->w[0][i], x->w[1][i])));
        double angle = 6.28318530717958647693 * v_uniform52(x->w[2][i], x->w[3][i]);
        t[0][i] = radius * cos(angle);
        t[1][i] = radius * sin(angle);
    }
#else
    for (int j = 0; j < VALUES; j += 2)
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            float u = ((float)x->w[j][i] + 0.5f) * 0x1p-32f, radius = v_sqrt(-2 * v_log(u)), s, c;
            v_sincos_turn(x->w[j + 1][i], &s, &c);
            t[j][i] = radius * c;
            t[j + 1][i] = radius * s;
        }
#endif
}

/* Elements [from, to) of a fill; element e is value (first + e) % VALUES of block (first + e) / VALUES. */
static inline void fill(const tx_args *a, size_t from, size_t to, void (*draw)(const words *, size_t, values),
                        const real *p)
{
    words w;
    values t;
    real flat[VALUES * TX_RNG_BLOCKS];
    for (size_t e = from; e < to;) {
        uint64_t at = a->first + e;
        size_t skip = at % VALUES, want = to - e, room = sizeof flat / sizeof *flat - skip;
        size_t n = want < room ? want : room, blocks = (skip + n + VALUES - 1) / VALUES;
        philox(a->rng, at / VALUES, blocks, &w);
        draw(&w, blocks, t);
        for (size_t i = 0; i < blocks; i++)
            for (int j = 0; j < VALUES; j++) flat[VALUES * i + j] = t[j][i];
        real *x = a->out[0] + e;
        if (p)
            for (size_t i = 0; i < n; i++) x[i] = flat[skip + i] < p[e + i] ? 1 : 0;
        else
            memcpy(x, flat + skip, n * sizeof *x);
        e += n;
    }
}

static void loop_rng_uniform(const tx_args *a, size_t from, size_t to) { fill(a, from, to, draw_uniform, NULL); }
static void loop_rng_normal(const tx_args *a, size_t from, size_t to) { fill(a, from, to, draw_normal, NULL); }
static void loop_rng_logistic(const tx_args *a, size_t from, size_t to) { fill(a, from, to, draw_logistic, NULL); }
static void loop_rng_bernoulli(const tx_args *a, size_t from, size_t to) { fill(a, from, to, draw_uniform, a->in[0]); }

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
/* clang-format off */
const tx_isa JOIN(tx_isa_, TX_ISA) = {
#define X(index, f, derivative)                                                                                        \
    .act[index] = loop_act_##f, .bias_act[index] = loop_bias_##f, .act_grad[index] = loop_grad_##f,
    ACT_MAP(X)
#undef X
#define X(loop) .loop = loop_##loop,
    TX_LOOP_MAP(X)
#undef X
#define X(fold) .fold = fold_##fold,
    TX_FOLD_MAP(X)
#undef X
};
/* clang-format on */
