#include "models/boltzmann/units.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/parallel.h"
#include "models/boltzmann/loops.h"

static real *take(tx_tape *t, size_t n) { return tx_arena_alloc(tx_tape_arena(t), n * sizeof(real)); }

/* ---- statistics ---- */

static void statistics_rows(tx_var y, size_t from, size_t to, real *out)
{
    tx_tensor x = y->in[0]->v, p = y->in[1]->v;
    size_t in = tx_cols(x), width = tx_cols(p);
    tx_gemm_serial(true, false, to - from, width, tx_rows(x), 1, x.x + from, in, p.x, width, 0, out, width);
}

static void statistics_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor x = y->in[0]->v, p = y->in[1]->v;
    size_t in = tx_cols(x), width = tx_cols(p);
    tx_gemm(true, false, in, width, tx_rows(x), 1, x.x, in, p.x, width, 0, y->v.x, width);
}

static const tx_op statistics = {"boltzmann_statistics", 2, statistics_eval, NULL};

tx_var tx_statistics(tx_tape *t, tx_var x, tx_var p)
{
    return tx_postpone(t, &statistics, tx_shape2(tx_cols(x->v), tx_cols(p->v)), (tx_var[]){x, p}, (tx_attr){0},
                       statistics_rows);
}

/* ---- sums over the ones of a matrix ---- */

static const tx_boltzmann_loops *loops_now(void)
{
    static const struct {
        const char *isa;
        const tx_boltzmann_loops *loops;
    } table[] = {
#ifdef TX_HAVE_v4
        {"x86-64-v4", &tx_boltzmann_loops_v4},
#endif
#ifdef TX_HAVE_v3
        {"x86-64-v3", &tx_boltzmann_loops_v3},
#endif
#ifdef TX_HAVE_v2
        {"x86-64-v2", &tx_boltzmann_loops_v2},
#endif
        {NULL, &tx_boltzmann_loops_baseline},
    };
    size_t k = 0;
    while (table[k].isa && strcmp(table[k].isa, tx_kernels_isa()) != 0) k++;
    return table[k].loops;
}

size_t tx_ones_room(size_t n, size_t d) { return n * d + n + 1; }

tx_ones tx_ones_of(size_t n, size_t d, const real *x, uint32_t *memory)
{
    TX_REQUIRE(n * d < UINT32_MAX, "%zu x %zu entries", n, d);
    tx_ones o = {n, memory, memory + n + 1};
    uint32_t k = 0;
    for (size_t i = 0; i < n; i++) {
        o.begin[i] = k;
        for (size_t j = 0; j < d; j++) { /* without a branch: the place behind the last is written in vain */
            o.unit[k] = (uint32_t)j;
            k += x[i * d + j] != 0;
        }
    }
    o.begin[n] = k;
    return o;
}

bool tx_ones_pay(const tx_ones *o, size_t d, size_t h)
{
    const double most = 0.3; /* share of ones at which both cost the same, measured */
    return o->begin && h >= 2 * TX_ONES_PANEL && (double)o->begin[o->n] < most * (double)o->n * (double)d;
}

/* Rows from .. to - 1 and panel `tile` of the columns of w[d,h]. */
typedef struct sums {
    const tx_ones *o;
    const real *w, *bias;
    size_t d, h, from, to;
    real *y;
} sums;

static void sum_tile(void *ctx, size_t tile)
{
    const sums *q = ctx;
    for (size_t i = q->from; i < q->to; i += TX_ONES_LISTS) {
        size_t n = q->to - i < TX_ONES_LISTS ? q->to - i : TX_ONES_LISTS;
        loops_now()->sum_ones(n, q->d, q->o->begin + i, q->o->unit, q->w, q->h, tile * TX_ONES_PANEL, q->bias,
                              q->y + (i - q->from) * q->h);
    }
}

static size_t panels(size_t h) { return (h + TX_ONES_PANEL - 1) / TX_ONES_PANEL; }

void tx_ones_sum(const tx_ones *o, const real *w, size_t d, size_t h, const real *bias, real *y)
{
    tx_parallel(panels(h), sum_tile, &(sums){o, w, bias, d, h, 0, o->n, y});
}

/* The list of the transposed matrix, in the order of rows. */
static tx_ones *transposed(tx_tape *t, const tx_ones *const part[2], size_t d)
{
    uint32_t n = part[0]->begin[part[0]->n] + part[1]->begin[part[1]->n], row = 0;
    tx_ones *o = tx_arena_alloc(tx_tape_arena(t), sizeof *o);
    *o = (tx_ones){d, tx_arena_alloc(tx_tape_arena(t), (d + 2) * sizeof *o->begin),
                   tx_arena_alloc(tx_tape_arena(t), (n + 1) * sizeof *o->unit)};
    memset(o->begin, 0, (d + 2) * sizeof *o->begin);
    for (int p = 0; p < 2; p++)
        for (uint32_t k = 0; k < part[p]->begin[part[p]->n]; k++) o->begin[part[p]->unit[k] + 2]++;
    for (size_t j = 2; j < d + 2; j++) o->begin[j] += o->begin[j - 1];
    for (int p = 0; p < 2;
         p++) /* begin[j + 1] is where the next one of column j goes, and at last where the column ends */
        for (size_t i = 0; i < part[p]->n; i++, row++)
            for (uint32_t k = part[p]->begin[i]; k < part[p]->begin[i + 1]; k++)
                o->unit[o->begin[part[p]->unit[k] + 1]++] = row;
    return o;
}

static void ones_rows(tx_var y, size_t from, size_t to, real *out)
{
    const tx_tensor p = y->in[0]->v;
    sums q = {y->a.p, p.x, NULL, tx_rows(p), tx_cols(p), from, to, out};
    for (size_t k = 0; k < panels(q.h); k++) sum_tile(&q, k);
}

static void ones_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    ones_rows(y, 0, tx_rows(y->v), y->v.x);
}

static const tx_op ones_statistics = {"boltzmann_ones", 1, ones_eval, NULL};

tx_var tx_ones_statistics(tx_tape *t, const tx_ones *a, const tx_ones *b, size_t d, tx_var p)
{
    const tx_ones *const part[2] = {a, b};
    return tx_postpone(t, &ones_statistics, tx_shape2(d, tx_cols(p->v)), &p, (tx_attr){.p = transposed(t, part, d)},
                       ones_rows);
}

/* ---- all states ---- */

enum { CHUNK = 1024 };

static void write_state(size_t state, size_t units, real *unit)
{
    for (size_t j = 0; j < units; j++) unit[j] = (real)(state >> j & 1);
}

/* The first state whose cumulative probability is above u; the last one takes what rounding leaves. */
static size_t find_state(size_t n, const double cumulative[], double u)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cumulative[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

double tx_sum_states(tx_tape *t, size_t units, void (*weight_of)(void *ctx, size_t n, const real *unit, double value[]),
                     void *ctx, tx_rng r, uint64_t first, size_t n_draw, real *drawn)
{
    TX_REQUIRE(units <= TX_ENUMERATE_UNITS, "%zu units", units);
    size_t n = (size_t)1 << units;
    double *value = tx_alloc(n, sizeof *value), top = -INFINITY, sum = 0;
    real *unit = take(t, CHUNK * units);
    for (size_t from = 0; from < n; from += CHUNK) {
        size_t rows = n - from < CHUNK ? n - from : CHUNK;
        for (size_t i = 0; i < rows; i++) write_state(from + i, units, unit + i * units);
        weight_of(ctx, rows, unit, value + from);
    }
    for (size_t i = 0; i < n; i++) top = fmax(top, value[i]);
    for (size_t i = 0; i < n; i++) value[i] = sum += exp(value[i] - top);
    for (size_t i = 0; i < n_draw; i++)
        write_state(find_state(n, value, sum * tx_rng_uniform1(r, first + i)), units, drawn + i * units);
    free(value);
    return top + log(sum);
}

/* ---- summed out units ---- */

static void softplus_at(size_t n, size_t h, const real *a, const real *offset, double beta, real *y)
{
    tx_vec_affine(n * h, (real)beta, a, 0, y);
    if (offset) tx_mat_add_row(n, h, y, offset, y);
    tx_vec_act(TX_SOFTPLUS, n * h, y, y);
}

void tx_softplus_gain(tx_tape *t, size_t n, size_t h, const real *a, const real *offset, double from, double to,
                      double gain[])
{
    tx_mark mark = tx_arena_mark(tx_tape_arena(t));
    real *high = take(t, n * h), *low = take(t, n * h), *sum = take(t, n);
    softplus_at(n, h, a, offset, to, high);
    softplus_at(n, h, a, offset, from, low);
    tx_vec_sub(n * h, high, low, high);
    tx_mat_sum_rows(n, h, high, sum);
    for (size_t i = 0; i < n; i++) gain[i] = (double)sum[i];
    tx_arena_release(tx_tape_arena(t), mark);
}

double tx_squared_error(tx_tape *t, size_t n, const real *a, const real *b)
{
    tx_mark mark = tx_arena_mark(tx_tape_arena(t));
    real *e = take(t, n);
    tx_vec_sub(n, a, b, e);
    double sum = tx_vec_dot(n, e, e);
    tx_arena_release(tx_tape_arena(t), mark);
    return sum;
}
