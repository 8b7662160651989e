#include "models/nice/flow.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/parallel.h"

tx_diagonal tx_diagonal_add(tx_params *p, size_t dim)
{
    const tx_init zero = {TX_INIT_CONSTANT, 0};
    tx_param b = tx_params_add(p, "shift", tx_shape2(1, dim), zero);
    return (tx_diagonal){b, tx_params_add(p, "log_scale", tx_shape2(1, dim), zero)};
}

void tx_diagonal_start(tx_params *p, tx_diagonal d, const tx_space *space, double deviation, double min_deviation)
{
    real *b = tx_params_value(p, d.b).x, *s = tx_params_value(p, d.s).x;
    double widest = 0;
    for (size_t j = 0; j < space->dim; j++) widest = fmax(widest, space->deviation[j]);
    if (widest == 0) widest = 1;
    for (size_t j = 0; j < space->dim; j++) {
        b[j] = (real)space->mean[j];
        s[j] = (real)log(deviation / fmax(space->deviation[j], min_deviation * widest));
    }
}

tx_var tx_diagonal_encode(tx_tape *t, const tx_params *p, tx_diagonal d, tx_var x)
{
    tx_var centred = tx_add_row(t, x, tx_scale(t, tx_params_var(p, d.b), -1));
    return tx_mul_row(t, centred, tx_exp(t, tx_params_var(p, d.s)));
}

tx_var tx_diagonal_decode(tx_tape *t, const tx_params *p, tx_diagonal d, tx_var u)
{
    tx_var centred = tx_mul_row(t, u, tx_exp(t, tx_scale(t, tx_params_var(p, d.s), -1)));
    return tx_add_row(t, centred, tx_params_var(p, d.b));
}

tx_var tx_diagonal_log_det(tx_tape *t, const tx_params *p, tx_diagonal d, size_t n)
{
    return tx_repeat_rows(t, tx_sum_rows(t, tx_params_var(p, d.s)), n);
}

tx_shuffle tx_shuffle_new(size_t n, uint32_t *from)
{
    tx_shuffle s = {n, from, tx_alloc(n, sizeof *s.to)};
    for (size_t j = 0; j < n; j++) s.to[from[j]] = (uint32_t)j;
    return s;
}

tx_shuffle tx_shuffle_reverse(size_t n)
{
    uint32_t *from = tx_alloc(n, sizeof *from);
    for (size_t j = 0; j < n; j++) from[j] = (uint32_t)(n - 1 - j);
    return tx_shuffle_new(n, from);
}

void tx_shuffle_free(tx_shuffle *s) { free(s->from), free(s->to); }

enum { ROWS = 16 };
typedef struct columns {
    const uint32_t *from;
    const real *x;
    real *y;
    size_t n, d;
} columns;

static void shuffle_rows(void *ctx, size_t tile)
{
    const columns *c = ctx;
    size_t end = (tile + 1) * ROWS < c->n ? (tile + 1) * ROWS : c->n;
    for (size_t i = tile * ROWS; i < end; i++)
        for (size_t j = 0; j < c->d; j++) c->y[i * c->d + j] = c->x[i * c->d + c->from[j]];
}

static void shuffle_eval(tx_tape *t, tx_node *y)
{
    const tx_shuffle *s = y->a.p;
    columns c = {y->a.n ? s->to : s->from, y->in[0]->v.x, y->v.x, tx_rows(y->v), tx_cols(y->v)};
    (void)t;
    tx_parallel((c.n + ROWS - 1) / ROWS, shuffle_rows, &c);
}

static void shuffle_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    (void)want;
    dx[0] = tx_shuffle_cols(t, y->a.p, !y->a.n, dy);
}

static const tx_op shuffle = {"shuffle_cols", 1, shuffle_eval, shuffle_vjp};

tx_var tx_shuffle_cols(tx_tape *t, const tx_shuffle *s, bool back, tx_var x)
{
    TX_REQUIRE(tx_cols(x->v) == s->n, "shuffle: %zu columns of %zu", tx_cols(x->v), s->n);
    return tx_apply(t, &shuffle, x->v.shape, (tx_var[]){x}, (tx_attr){.p = s, .n = back});
}

static tx_param add_row(tx_params *p, const char *name, const char *end, size_t width)
{
    char full[TX_NAME_MAX];
    snprintf(full, sizeof full, "%s_%s", name, end);
    return tx_params_add(p, full, tx_shape2(1, width), (tx_init){TX_INIT_CONSTANT, 0});
}

tx_normaliser tx_normaliser_add(tx_params *p, tx_params *running, const char *name, size_t width)
{
    return (tx_normaliser){tx_batchnorm_add(running, name, width), add_row(p, name, "log_gain", width),
                           add_row(p, name, "bias", width)};
}

tx_var tx_normaliser_encode(tx_tape *t, const tx_params *p, tx_params *running, const tx_normaliser *b, tx_var x,
                            double keep, tx_var *log_det)
{
    tx_var log_deviation, log_gain = tx_params_var(p, b->log_gain);
    tx_var y = keep >= 0 ? tx_batchnorm_train(t, running, &b->b, x, (real)keep, &log_deviation)
                         : tx_batchnorm_apply(t, running, &b->b, x, &log_deviation);
    tx_var sum = tx_sum_rows(t, tx_sub(t, log_gain, log_deviation));
    *log_det = tx_add(t, *log_det, tx_repeat_rows(t, sum, tx_rows(x->v)));
    return tx_add_row(t, tx_mul_row(t, y, tx_exp(t, log_gain)), tx_params_var(p, b->bias));
}

tx_var tx_normaliser_decode(tx_tape *t, const tx_params *p, const tx_params *running, const tx_normaliser *b, tx_var y)
{
    tx_var centred = tx_add_row(t, y, tx_scale(t, tx_params_var(p, b->bias), -1));
    tx_var gain = tx_exp(t, tx_scale(t, tx_params_var(p, b->log_gain), -1));
    return tx_batchnorm_invert(t, running, &b->b, tx_mul_row(t, centred, gain));
}

void tx_flow_sample(tx_model *m, tx_tape *t, const tx_prior *prior, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_tensor z = tx_tape_tensor(t, tx_rows(x), tx_cols(x));
    prior->fill(r, first * m->space->dim, tx_len(z), z.x);
    memcpy(x.x, m->ops->decode(m, t, tx_leaf(t, z))->v.x, tx_len(x) * sizeof(real));
}
