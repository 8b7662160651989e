#include "models/boltzmann/units.h"
#include <math.h>
#include <stdlib.h>

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
