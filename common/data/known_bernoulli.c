/* A mixture of 5 products of 16 Bernoullis: P(x) = sum_k w_k prod_j p_kj^x_j (1 - p_kj)^(1 - x_j). */
#include <math.h>
#include <stdlib.h>
#include "common/data/internal.h"

enum { N_COMPONENT = 5, DIM = 16 };

typedef struct mixture {
    tx_known known;
    double weight[N_COMPONENT], p[N_COMPONENT][DIM];
} mixture;

static double prob(const mixture *m, uint32_t bits)
{
    double sum = 0;
    for (int k = 0; k < N_COMPONENT; k++) {
        double term = m->weight[k];
        for (int j = 0; j < DIM; j++) term *= bits >> j & 1 ? m->p[k][j] : 1 - m->p[k][j];
        sum += term;
    }
    return sum;
}

static double log_prob(const tx_dataset *d, const real x[])
{
    uint32_t bits = 0;
    for (int j = 0; j < DIM; j++) {
        if (x[j] != 0 && x[j] != 1) return -INFINITY;
        bits |= (uint32_t)x[j] << j;
    }
    return log(prob(d->state, bits));
}

/* Weights 1/15 .. 5/15; probabilities sin^2(pi u / 2), mostly near 0 or 1, kept in [0.05, 0.95]. */
static mixture *make(void)
{
    mixture *m = tx_alloc(1, sizeof *m);
    const tx_rng r = tx_rng_named(tx_rng_named(tx_rng_root(0), "dataset"), "bernoulli_mixture parameters");
    for (int k = 0; k < N_COMPONENT; k++) {
        m->weight[k] = (k + 1) / 15.0;
        for (int j = 0; j < DIM; j++) {
            const double s = sin(M_PI / 2 * tx_rng_uniform1(r, (uint64_t)(k * DIM + j)));
            m->p[k][j] = fmin(fmax(s * s, 0.05), 0.95);
        }
    }
    m->known.log_prob = log_prob;
    for (uint32_t bits = 0; bits < 1u << DIM; bits++) m->known.entropy -= prob(m, bits) * log(prob(m, bits));
    return m;
}

static void draw(tx_dataset *d, const mixture *m, tx_split s)
{
    uint8_t *x = (uint8_t *)d->split[s].level, *label = (uint8_t *)d->split[s].label;
    const tx_rng r = tx_builtin_rng(d, s), pick = tx_rng_named(r, "component"), bit = tx_rng_named(r, "bit");
    for (size_t i = 0; i < d->split[s].n; i++) {
        double u = tx_rng_uniform1(pick, i);
        int k = 0;
        for (; k + 1 < N_COMPONENT && u >= m->weight[k]; k++) u -= m->weight[k];
        label[i] = (uint8_t)k;
        for (size_t j = 0; j < DIM; j++) x[i * DIM + j] = tx_rng_uniform1(bit, i * DIM + j) < m->p[k][j];
    }
}

static tx_status load(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    (void)note;
    mixture *m = make();
    d->state = m;
    d->known = &m->known;
    d->type = TX_BINARY;
    d->levels = 2;
    d->dim = DIM;
    TX_TRY(tx_builtin_alloc(d, c, tx_set_bernoulli_mixture.name, true));
    for (int s = 0; s < TX_N_SPLIT; s++) draw(d, m, (tx_split)s);
    return TX_OK;
}

const tx_set_ops tx_set_bernoulli_mixture = {
    .name = "bernoulli_mixture",
    .summary = "5 products of 16 Bernoullis, unequal weights; known distribution",
    .load = load};
