/** A product of Laplace distributions, p(x) = prod_j exp(-|x_j - m_j| / b_j) / (2 b_j), by maximum likelihood: m_j goes to the
 *  median of the training rows, b_j to their mean distance from it. Letters: m the medians, s = log b. */
#include <math.h>
#include "common/model/model.h"

typedef struct laplace {
    tx_param m, s;
} laplace;

static void build(tx_model *m)
{
    laplace *p = m->state;
    m->n_net = 1;
    m->net[0] = tx_params_new("marginals");
    p->m = tx_params_add(m->net[0], "median", tx_shape2(1, m->space->dim), (tx_init){TX_INIT_CONSTANT, 0});
    p->s = tx_params_add(m->net[0], "log_scale", tx_shape2(1, m->space->dim), (tx_init){TX_INIT_CONSTANT, 0});
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const laplace *p = m->state;
    tx_var mid = tx_params_var(m->net[0], p->m), s = tx_params_var(m->net[0], p->s);
    tx_var z = tx_mul_row(t, tx_add_row(t, x, tx_scale(t, mid, -1)), tx_exp(t, tx_scale(t, s, -1)));
    tx_var size = tx_add(t, tx_activation(t, z, TX_RELU), tx_activation(t, tx_scale(t, z, -1), TX_RELU));
    tx_var each = tx_add_row(t, size, s);
    return tx_affine(t, tx_sum_rows(t, each), -1, (real)(-M_LN2 * (double)m->space->dim));
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    (void)t;
    const laplace *p = m->state;
    const real *mid = tx_params_value(m->net[0], p->m).x, *s = tx_params_value(m->net[0], p->s).x;
    size_t d = tx_cols(x);
    for (size_t i = 0; i < tx_len(x); i++) {
        double u = tx_rng_uniform1(r, first * d + i) - 0.5, b = exp((double)s[i % d]);
        x.x[i] = (real)((double)mid[i % d] - b * copysign(log1p(-2 * fabs(u)), u));
    }
}

const tx_model_ops model_laplace = {
    .name = "laplace",
    .summary = "product of Laplace distributions",
    .taxonomy_path = "explicit/tractable/laplace",
    .spaces = TX_ON_REAL,
    .state_size = sizeof(laplace),
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
};
