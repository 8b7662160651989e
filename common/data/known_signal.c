/* A signal of levels with an echo: with u = x - (K-1)/2 and values before the start taken as u = 0,
 *     p(x_t = k | before) = exp(-(u_k - m_t)^2 / (2 S^2)) / sum over k, m_t = A u_{t-1} + B u_{t-LAG}:
 * softmax of logits that are linear in m_t, so that a causal net can attain it; one that does not look LAG steps back
 * cannot. */
#include <math.h>
#include <stdlib.h>
#include "common/data/internal.h"

enum { LEVELS = 8, DIM = 32, LAG = 12, N_ENTROPY = 20000 };
static const double A = 0.5, B = 0.45, S = 0.8;

static double centred(double level) { return level - (LEVELS - 1) / 2.0; }

/* The probabilities of x_t; x holds what comes before. */
static void conditional(const uint8_t x[], int t, double p[LEVELS])
{
    double m = (t > 0 ? A * centred(x[t - 1]) : 0) + (t >= LAG ? B * centred(x[t - LAG]) : 0), sum = 0;
    for (int k = 0; k < LEVELS; k++) sum += p[k] = exp(-(centred(k) - m) * (centred(k) - m) / (2 * S * S));
    for (int k = 0; k < LEVELS; k++) p[k] /= sum;
}

static double log_prob(const tx_dataset *d, const real x[])
{
    (void)d;
    uint8_t level[DIM];
    double p[LEVELS], sum = 0;
    for (int t = 0; t < DIM; t++) {
        if (!(x[t] >= 0 && x[t] < LEVELS) || x[t] != (real)(uint8_t)x[t]) return -INFINITY;
        level[t] = (uint8_t)x[t];
        conditional(level, t, p);
        sum += log(p[level[t]]);
    }
    return sum;
}

/* One signal; returns the sum of the entropies of its conditionals, whose mean over signals is the entropy of them all.
 */
static double draw(tx_rng r, uint64_t i, uint8_t x[])
{
    double entropy = 0;
    for (int t = 0; t < DIM; t++) {
        double p[LEVELS], u = tx_rng_uniform1(r, i * DIM + (uint64_t)t);
        conditional(x, t, p);
        int k = 0;
        for (; k + 1 < LEVELS && u >= p[k]; k++) u -= p[k];
        x[t] = (uint8_t)k;
        for (int q = 0; q < LEVELS; q++) entropy -= p[q] * log(p[q]);
    }
    return entropy;
}

static tx_known *make(void)
{
    tx_known *known = tx_alloc(1, sizeof *known);
    const tx_rng r = tx_rng_named(tx_rng_named(tx_rng_root(0), "dataset"), "echo entropy");
    double sum = 0, square = 0, n = N_ENTROPY;
    for (int i = 0; i < N_ENTROPY; i++) {
        uint8_t x[DIM];
        double h = draw(r, (uint64_t)i, x);
        sum += h, square += h * h;
    }
    known->log_prob = log_prob;
    known->entropy = sum / n;
    known->entropy_error = sqrt((square - sum * sum / n) / (n - 1) / n);
    return known;
}

static tx_status load(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    (void)note;
    d->known = d->state = make();
    d->type = TX_LEVELS;
    d->levels = LEVELS;
    d->dim = DIM;
    TX_TRY(tx_builtin_alloc(d, c, tx_set_echo.name, false));
    for (int s = 0; s < TX_N_SPLIT; s++)
        for (size_t i = 0; i < d->split[s].n; i++)
            (void)draw(tx_builtin_rng(d, (tx_split)s), i, (uint8_t *)d->split[s].level + i * DIM);
    return TX_OK;
}

const tx_set_ops tx_set_echo = {
    .name = "echo",
    .summary = "signals of 32 steps and 8 levels, each step near its last and the one 12 before; known distribution",
    .load = load};
