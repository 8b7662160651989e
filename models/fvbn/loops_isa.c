/* Compiled once for each instruction set with TX_ISA = baseline, v2, v3 or v4; exports one table. Everything else is
 * static, so that no code of a higher instruction set can be shared with a lower one. */
#include "models/fvbn/loops.h"
#include <string.h>
#include "common/tensor/vmath.h"

enum { LANES = TX_ARNET_LANES, UNITS = TX_NADE_UNITS, ROWS = TX_NADE_ROWS, STRIPE = TX_NADE_STRIPE, CHUNK = 32 };

/* Columns whose sums fill half the registers. */
#if defined __AVX512F__
enum { SIDE = 1024 / (LANES * sizeof(real)) };
#elif defined __AVX__
enum { SIDE = 256 / (LANES * sizeof(real)) };
#else
enum { SIDE = 1 };
#endif

static real dot(size_t n, const real *a, const real *b)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < n; j++) sum += a[j] * b[j];
    return sum;
}

static inline real fold_stripe(const real a[STRIPE])
{
    real b[8], c[4];
#pragma omp simd
    for (int l = 0; l < 8; l++) b[l] = a[l] + a[l + 8];
#pragma omp simd
    for (int l = 0; l < 4; l++) c[l] = b[l] + b[l + 4];
    return (c[0] + c[2]) + (c[1] + c[3]);
}

/** s[k] += v max(a_k, floor), one stripe of four rows; a NaN in a stays one. */
static inline void floor_stripe(const real *const a[4], size_t j, const real *floor, const real *v, real s[4][STRIPE])
{
    const real *a0 = a[0] + j, *a1 = a[1] + j, *a2 = a[2] + j, *a3 = a[3] + j;
#pragma omp simd
    for (int l = 0; l < STRIPE; l++) {
        const real f = floor[j + l], vl = v[l];
        const real b0 = a0[l], b1 = a1[l], b2 = a2[l], b3 = a3[l];
        s[0][l] += vl * (f > b0 ? f : b0);
        s[1][l] += vl * (f > b1 ? f : b1);
        s[2][l] += vl * (f > b2 ? f : b2);
        s[3][l] += vl * (f > b3 ? f : b3);
    }
}

/** Four rows side by side: four chains of sums hide the time of an addition, and v and floor are read once. A last
 *  group that is not full repeats its first row, so that a row's bits are the same wherever it stands. */
static void floor_dots(size_t n, size_t h, const real *a, const real *floor, const real *v, real more, real out[])
{
    const size_t whole = h / STRIPE * STRIPE, stride = whole + (whole < h ? STRIPE : 0);
    real rest[STRIPE] = {0};
    memcpy(rest, v + whole, (h - whole) * sizeof *v);
    for (size_t i = 0; i < n; i += 4) {
        const real *row[4];
        real s[4][STRIPE] = {{0}};
        for (size_t k = 0; k < 4; k++) row[k] = a + (i + k < n ? i + k : i) * stride;
        for (size_t j = 0; j < whole; j += STRIPE) floor_stripe(row, j, floor, v + j, s);
        if (whole < h) floor_stripe(row, whole, floor, rest, s);
        for (size_t k = i; k < n && k < i + 4; k++) out[k] = more + fold_stripe(s[k - i]);
    }
}

static void axpy(size_t n, real alpha, const real *x, real *y)
{
#pragma omp simd
    for (size_t j = 0; j < n; j++) y[j] += alpha * x[j];
}

/** The sums of `side` columns, SIDE or 1, over n units. */
static inline __attribute__((always_inline)) void columns(size_t side, size_t n, const uint32_t *unit, const real *w,
                                                          size_t stride, const uint32_t *column, const real *h,
                                                          real *sum)
{
    real acc[SIDE][LANES];
    const real *from[SIDE];
    for (size_t c = 0; c < side; c++) {
        from[c] = w + column[c];
        memcpy(acc[c], sum + c * LANES, sizeof acc[c]);
    }
    for (size_t i = 0; i < n; i++, h += LANES) {
        const size_t at = unit[i] * stride;
        for (size_t c = 0; c < side; c++) {
            const real wi = from[c][at];
#pragma omp simd
            for (int l = 0; l < LANES; l++) acc[c][l] += wi * h[l];
        }
    }
    for (size_t c = 0; c < side; c++) memcpy(sum + c * LANES, acc[c], sizeof acc[c]);
}

/** All columns for a few units at a time, so that what a cache line of w holds is used while it is there; the rows of
 * the next units, too far apart for the processor to foresee, are fetched meanwhile. */
static void gather(size_t n, const uint32_t *unit, const real *w, size_t stride, size_t m, const uint32_t *column,
                   const real *h, real *sum)
{
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t k = n - i < CHUNK ? n - i : CHUNK, c = 0;
        for (size_t next = i + CHUNK; next < n && next < i + 2 * CHUNK; next++) {
            __builtin_prefetch(w + unit[next] * stride + column[0]);
            __builtin_prefetch(w + unit[next] * stride + column[m - 1]);
        }
        for (; c + SIDE <= m; c += SIDE)
            columns(SIDE, k, unit + i, w, stride, column + c, h + i * LANES, sum + c * LANES);
        for (; c < m; c++) columns(1, k, unit + i, w, stride, column + c, h + i * LANES, sum + c * LANES);
    }
}

static void gate(size_t n, size_t f, const real *a, const real *more, real *y)
{
    for (size_t i = 0; i < n; i++, a += 2 * f, y += f) {
        const real *b = more ? more + i * 2 * f : NULL;
        if (b) {
#pragma omp simd
            for (size_t k = 0; k < f; k++) y[k] = v_tanh(a[k] + b[k]) * v_sigmoid(a[f + k] + b[f + k]);
        } else {
#pragma omp simd
            for (size_t k = 0; k < f; k++) y[k] = v_tanh(a[k]) * v_sigmoid(a[f + k]);
        }
    }
}

static void gate_back(size_t n, size_t f, const real *a, const real *more, const real *dy, real *ds)
{
    for (size_t i = 0; i < n; i++, a += 2 * f, dy += f, ds += 2 * f) {
        const real *b = more ? more + i * 2 * f : NULL;
#pragma omp simd
        for (size_t k = 0; k < f; k++) {
            const real u = v_tanh(b ? a[k] + b[k] : a[k]), s = v_sigmoid(b ? a[f + k] + b[f + k] : a[f + k]);
            ds[k] = dy[k] * s * (1 - u * u);
            ds[f + k] = dy[k] * u * s * (1 - s);
        }
    }
}

static void mask(size_t n, real degree, const real *to, const real *w, real *y)
{
#pragma omp simd
    for (size_t j = 0; j < n; j++) {
        const real v = w[j];
        y[j] = degree <= to[j] ? v : 0;
    }
}

/** UNITS values from a row of [.,h], zero beyond it. */
static void load(const real *row, size_t h, size_t tile, real y[])
{
    size_t from = tile * UNITS, n = h - from < UNITS ? h - from : UNITS;
    memset(y, 0, UNITS * sizeof *y);
    memcpy(y, row + from, n * sizeof *y);
}

static void add_to(real *row, size_t h, size_t tile, const real y[])
{
    size_t from = tile * UNITS, n = h - from < UNITS ? h - from : UNITS;
    for (size_t j = 0; j < n; j++) row[from + j] += y[j];
}

/** h = sigmoid(a) in the listed rows (NULL: the first n), side by side in one kernel call. */
static void activate(tx_nade_block *k, const uint32_t row[], size_t n)
{
    for (size_t i = 0; i < n; i++) memcpy(k->pack + i * UNITS, k->a[row ? row[i] : i], sizeof k->a[0]);
    tx_vec_act(TX_SIGMOID, n * UNITS, k->pack, k->pack);
    for (size_t i = 0; i < n; i++) memcpy(k->h[row ? row[i] : i], k->pack + i * UNITS, sizeof k->a[0]);
}

static void forward_rows(const tx_nade_scan *q, size_t tile, size_t first, size_t n)
{
    tx_nade_block *k = &q->work[tile];
    real *part = q->part + tile * q->d * q->n + first, v[UNITS], w[UNITS];
    uint32_t changed[ROWS];
    load(q->c, q->h, tile, w);
    for (size_t i = 0; i < n; i++) memcpy(k->a[i], w, sizeof w);
    activate(k, NULL, n);
    for (size_t s = 0; s < q->d; s++) {
        size_t var = q->order[s], n_changed = 0;
        const real *x = q->x + var * q->n + first;
        load(q->v + var * q->h, q->h, tile, v);
        load(q->w + var * q->h, q->h, tile, w);
        for (size_t i = 0; i < n; i++) part[var * q->n + i] = dot(UNITS, v, k->h[i]);
        for (size_t i = 0; i < n; i++) {
            if (x[i] == 0) continue;
            for (size_t j = 0; j < UNITS; j++) k->a[i][j] += x[i] * w[j];
            changed[n_changed++] = (uint32_t)i;
        }
        activate(k, changed, n_changed);
    }
    memcpy(q->a_end + (tile * q->n + first) * UNITS, k->a, n * sizeof k->a[0]);
}

static void forward_tile(void *ctx, size_t tile)
{
    const tx_nade_scan *q = ctx;
    for (size_t i = 0; i < q->n; i += ROWS) forward_rows(q, tile, i, q->n - i < ROWS ? q->n - i : ROWS);
}

/** What the variables since the last change of row i, summed in s, say of its activation. */
static void fold(tx_nade_block *k, size_t i)
{
    for (size_t j = 0; j < UNITS; j++) {
        k->da[i][j] += k->s[i][j] * k->h[i][j] * (1 - k->h[i][j]);
        k->s[i][j] = 0;
    }
}

static void backward_rows(const tx_nade_scan *q, size_t tile, size_t first, size_t n)
{
    tx_nade_block *k = &q->work[tile];
    uint32_t changed[ROWS];
    memcpy(k->a, q->a_end + (tile * q->n + first) * UNITS, n * sizeof k->a[0]);
    memset(k->s, 0, sizeof k->s);
    memset(k->da, 0, sizeof k->da);
    activate(k, NULL, n);
    for (size_t s = q->d; s-- > 0;) {
        size_t var = q->order[s], n_changed = 0;
        const real *x = q->x + var * q->n + first, *dl = q->dl + var * q->n + first;
        real v[UNITS], w[UNITS], dv[UNITS] = {0}, dw[UNITS] = {0};
        load(q->v + var * q->h, q->h, tile, v);
        load(q->w + var * q->h, q->h, tile, w);
        for (size_t i = 0; i < n; i++) {
            if (x[i] == 0) continue;
            fold(k, i);
            for (size_t j = 0; j < UNITS; j++) dw[j] += x[i] * k->da[i][j], k->a[i][j] -= x[i] * w[j];
            changed[n_changed++] = (uint32_t)i;
        }
        activate(k, changed, n_changed);
        for (size_t i = 0; i < n; i++) {
            const real g = dl[i];
#pragma omp simd
            for (size_t j = 0; j < UNITS; j++) k->s[i][j] += g * v[j], dv[j] += g * k->h[i][j];
        }
        add_to(q->dw + var * q->h, q->h, tile, dw);
        add_to(q->dv + var * q->h, q->h, tile, dv);
    }
    for (size_t i = 0; i < n; i++) {
        fold(k, i);
        add_to(q->dc, q->h, tile, k->da[i]);
    }
}

static void backward_tile(void *ctx, size_t tile)
{
    const tx_nade_scan *q = ctx;
    real zero[UNITS] = {0};
    size_t from = tile * UNITS, n = q->h - from < UNITS ? q->h - from : UNITS;
    for (size_t j = 0; j < q->d; j++) {
        memcpy(q->dw + j * q->h + from, zero, n * sizeof *zero);
        memcpy(q->dv + j * q->h + from, zero, n * sizeof *zero);
    }
    memcpy(q->dc + from, zero, n * sizeof *zero);
    for (size_t i = 0; i < q->n; i += ROWS) backward_rows(q, tile, i, q->n - i < ROWS ? q->n - i : ROWS);
}

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
const tx_fvbn_loops JOIN(tx_fvbn_loops_, TX_ISA) = {dot,  axpy,      floor_dots,   gather,       mask,
                                                    gate, gate_back, forward_tile, backward_tile};
