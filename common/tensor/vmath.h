/** Elementary functions for the bodies of vectorised loops: no branches, no calls, no tables in the float build, so
 * that a compiler turns a loop over them into vector code, and an element has the same bits in a vector and in a loop's
 * tail.
 *
 *  Float: at most 2 ulp, polynomials by interpolation at Chebyshev points. Double: the C library's, at most 1 ulp.
 *  Of the two: softplus at most 2 ulp, tanh and sigmoid 3. NaN gives NaN, overflow gives inf, and tanh's zeros keep
 *  their sign. In float exp, and with it sigmoid and softplus, goes to 0 below FLT_MIN; the others keep subnormals, as
 *  do all in double. */
#ifndef TX_TENSOR_VMATH_H
#define TX_TENSOR_VMATH_H
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "common/base/base.h"

#ifdef TX_DOUBLE

static inline real v_sqrt(real x) { return sqrt(x); }
static inline real v_abs(real x) { return fabs(x); }
/** |y| with the sign of x. */
static inline real v_sign_of(real x, real y) { return copysign(y, x); }
static inline real v_exp(real x) { return exp(x); }
static inline real v_log(real x) { return log(x); }
/** exp(x) - 1 for x <= 0. */
static inline real v_expm1_neg(real x) { return expm1(x); }
/** log(1 + u) for u in [0,1]. */
static inline real v_log1p_unit(real u) { return log1p(u); }

#else

static inline float v_sqrt(float x) { return sqrtf(x); }
static inline float v_abs(float x) { return fabsf(x); }
static inline float v_sign_of(float x, float y) { return copysignf(y, x); }

static inline uint32_t v_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float v_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/** 2^n for n in [-126, 127], n in two's complement. */
static inline float v_pow2(uint32_t n) { return v_float((n + 127u) << 23); }

/* No intermediate below may be subnormal where the result is not: on many processors such a product costs a hundred
 * times another one. Hence t * r + r and the like instead of powers, and exp that goes to 0 below FLT_MIN. */

/** x = n log 2 + r with |r| <= log(2)/2; returns exp(r) - 1. Adding and subtracting 1.5 2^23 rounds to an integer,
 * which then lies in the low bits of the sum; *n has at least its low 9 bits. */
static inline float v_exp_reduce(float x, uint32_t *n)
{
    const float magic = 12582912.0f;
    float shifted = x * 1.44269504f + magic, whole = shifted - magic;
    *n = v_bits(shifted);
    float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float q = 0.00139262034f;
    q = q * r + 0.00836319488f;
    q = q * r + 0.0416665545f;
    q = q * r + 0.166665769f;
    q = q * r + 0.5f;
    q = q * r;
    return q * r + r;
}

static inline float v_exp(float x)
{
    uint32_t n;
    float p = 1.0f + v_exp_reduce(x, &n);
    float y = v_float(v_bits(p) + (n << 23)); /* p 2^n: the exponents add */
    y = x < -87.3365402f ? 0.0f : y; /* the least float above log FLT_MIN, the greatest below log FLT_MAX: */
    y = x > 88.7228317f ? INFINITY : y; /* a result outside has no exponent that adds */
    return x == x ? y : x;
}

/** exp(x) - 1 for x <= 0. */
static inline float v_expm1_neg(float x)
{
    uint32_t n;
    x = x < -80.0f ? -80.0f : x;
    float p = v_exp_reduce(x, &n), s = v_pow2(n);
    return s * p + (s - 1.0f);
}

/** log(1 + f) + e log 2 for 1 + f in [sqrt(1/2), sqrt(2)]. */
static inline float v_log_near(float f, float e)
{
    float p = 0.0697161147f;
    p = p * f - 0.114797338f;
    p = p * f + 0.116854199f;
    p = p * f - 0.124256873f;
    p = p * f + 0.142490576f;
    p = p * f - 0.166678023f;
    p = p * f + 0.200007157f;
    p = p * f - 0.24999997f;
    p = p * f + 0.333333312f;
    p = p * f - 0.5f;
    p = p * f;
    p = p * f + f;
    return (p - e * 2.12194440e-4f) + e * 0.693359375f;
}

static inline float v_log(float x)
{
    bool tiny = x < FLT_MIN;
    uint32_t u = v_bits(tiny ? x * 8388608.0f : x);
    int32_t e = (int32_t)(u - 0x3f3504f3u) >> 23;
    float f = v_float(u - ((uint32_t)e << 23)) - 1.0f;
    float y = v_log_near(f, (float)e - (tiny ? 23.0f : 0.0f));
    y = x > 0.0f ? y : (x == 0.0f ? -INFINITY : NAN);
    return x == INFINITY ? x : y;
}

/** log(1 + u) for u in [0,1]. */
static inline float v_log1p_unit(float u)
{
    bool big = u > 0.41421356f;
    return v_log_near(big ? 0.5f * (u - 1.0f) : u, big ? 1.0f : 0.0f);
}

#endif

/** Functions of x by way of u = exp(-|x|), which is then shared. */
static inline real v_softplus_of(real x, real u) { return (x > 0 ? x : 0) + v_log1p_unit(u); }
static inline real v_sigmoid_of(real x, real u) { return (x >= 0 ? (real)1 : u) / (1 + u); }
static inline real v_softplus(real x) { return v_softplus_of(x, v_exp(-v_abs(x))); }
static inline real v_sigmoid(real x) { return v_sigmoid_of(x, v_exp(-v_abs(x))); }

static inline real v_tanh(real x)
{
    real t = v_expm1_neg(-2 * v_abs(x)), y = t / (2 + t);
    return v_sign_of(x, y);
}

/** Uniforms in (0,1) from random words: midpoints of 2^23 or 2^52 equal cells, so that 1 - u is exact too. */
static inline double v_uniform52(uint32_t lo, uint32_t hi)
{
    uint64_t w = (uint64_t)hi << 32 | lo;
    return ((double)(int64_t)(w >> 12) + 0.5) * 0x1p-52;
}

static inline float v_uniform23(uint32_t w) { return ((float)(int32_t)(w >> 9) + 0.5f) * 0x1p-23f; }

#ifndef TX_DOUBLE
/** Sine and cosine of 2 pi (w + 1/2) / 2^32: the quadrant is exact, so there is no range reduction error. */
static inline void v_sincos_turn(uint32_t w, float *s, float *c)
{
    uint32_t q = (w + 0x20000000u) >> 30;
    int32_t rest = (int32_t)(w - (q << 30));
    float t = (float)(2 * rest + 1) * (3.14159265f * 0x1p-32f), z = t * t;
    float a = (-0.000195878909f * z + 0.00833274827f) * z - 0.166666647f;
    float b = (2.45479421e-05f * z - 0.0013888303f) * z + 0.0416666647f;
    a = a * (z * t) + t;
    b = b * (z * z) + (1.0f - 0.5f * z);
    *s = v_float(v_bits(q & 1 ? b : a) ^ (q & 2) << 30);
    *c = v_float(v_bits(q & 1 ? a : b) ^ ((q + 1) & 2) << 30);
}
#endif
#endif
