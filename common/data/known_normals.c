/* Built-in mixtures of isotropic normals: p(x) = sum_k w_k N(x; m_k, s_k^2 I). */
#include <gsl/gsl_integration.h>
#include <math.h>
#include <stdlib.h>
#include "common/data/internal.h"

enum { MAX_COMPONENTS = 25, MAX_DIM = 2 };

typedef struct mixture {
    tx_known known;
    size_t n, dim;
    double weight[MAX_COMPONENTS], centre[MAX_COMPONENTS][MAX_DIM], deviation[MAX_COMPONENTS];
} mixture;

static double density_at(const mixture *m, const double x[])
{
    double log_term[MAX_COMPONENTS], largest = -INFINITY, sum = 0;
    for (size_t k = 0; k < m->n; k++) {
        double square = 0;
        const double s = m->deviation[k];
        for (size_t j = 0; j < m->dim; j++) square += (x[j] - m->centre[k][j]) * (x[j] - m->centre[k][j]);
        log_term[k] = log(m->weight[k]) - 0.5 * square / (s * s) - (double)m->dim * (log(s) + 0.5 * log(2 * M_PI));
        largest = fmax(largest, log_term[k]);
    }
    for (size_t k = 0; k < m->n; k++) sum += exp(log_term[k] - largest);
    return largest + log(sum);
}

static double log_prob(const tx_dataset *d, const real x[])
{
    double wide[MAX_DIM];
    for (size_t j = 0; j < d->dim; j++) wide[j] = (double)x[j];
    return density_at(d->state, wide);
}

static double mode(const tx_dataset *d, size_t k, double centre[])
{
    const mixture *m = d->state;
    for (size_t j = 0; j < m->dim; j++) centre[j] = m->centre[k][j];
    return m->deviation[k];
}

/* Element i: a component by inverse cdf, then a normal around its centre. */
static void draw(tx_dataset *d, const mixture *m, tx_split s)
{
    float *x = (float *)d->split[s].value;
    uint8_t *label = (uint8_t *)d->split[s].label;
    const tx_rng r = tx_builtin_rng(d, s), pick = tx_rng_named(r, "component"), noise = tx_rng_named(r, "noise");
    for (size_t i = 0; i < d->split[s].n; i++) {
        double u = tx_rng_uniform1(pick, i);
        size_t k = 0;
        for (; k + 1 < m->n && u >= m->weight[k]; k++) u -= m->weight[k];
        label[i] = (uint8_t)k;
        for (size_t j = 0; j < m->dim; j++)
            x[i * m->dim + j] = (float)(m->centre[k][j] + m->deviation[k] * tx_rng_normal1(noise, i * m->dim + j));
    }
}

static tx_status make(tx_dataset *d, const tx_data_config *c, const char *name, mixture *m)
{
    d->state = m;
    d->known = &m->known;
    d->type = TX_REAL;
    d->dim = m->dim;
    m->known.log_prob = log_prob;
    TX_TRY(tx_builtin_alloc(d, c, name, true));
    for (int s = 0; s < TX_N_SPLIT; s++) draw(d, m, (tx_split)s);
    return TX_OK;
}

static double surprise(double x, void *ctx)
{
    const double log_p = density_at(ctx, &x);
    return -log_p * exp(log_p);
}

/* Three overlapping normals; the entropy by adaptive quadrature over 14 deviations around every centre. */
static tx_status load_mixture_1d(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    (void)note;
    static const mixture fixed = {
        .n = 3,
        .dim = 1,
        .weight = {0.5, 0.3, 0.2},
        .centre = {{-1.5}, {0.5}, {2.25}},
        .deviation = {0.6, 1.1, 0.25},
    };
    mixture *m = tx_alloc(1, sizeof *m);
    *m = fixed;
    gsl_integration_workspace *w = gsl_integration_workspace_alloc(1000);
    gsl_function f = {surprise, m};
    gsl_integration_qag(&f, -15, 17, 0, 1e-12, 1000, GSL_INTEG_GAUSS61, w, &m->known.entropy, &m->known.entropy_error);
    gsl_integration_workspace_free(w);
    return make(d, c, tx_set_mixture_1d.name, m);
}

/* Equal weights and deviations, centres so far apart (38 deviations or more) that densities do not overlap to double
 * precision: the entropy is ln n + d/2 ln(2 pi e s^2). */
static tx_status make_modes(tx_dataset *d, const tx_data_config *c, const char *name, mixture *m, double deviation)
{
    for (size_t k = 0; k < m->n; k++) {
        m->weight[k] = 1.0 / (double)m->n;
        m->deviation[k] = deviation;
    }
    m->known.entropy = log((double)m->n) + 0.5 * (double)m->dim * log(2 * M_PI * M_E * deviation * deviation);
    m->known.n_mode = m->n;
    m->known.mode = mode;
    return make(d, c, name, m);
}

static tx_status load_ring(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    (void)note;
    mixture *m = tx_alloc(1, sizeof *m);
    m->n = 8;
    m->dim = 2;
    for (size_t k = 0; k < m->n; k++) {
        m->centre[k][0] = cos(2 * M_PI * (double)k / 8);
        m->centre[k][1] = sin(2 * M_PI * (double)k / 8);
    }
    return make_modes(d, c, tx_set_ring.name, m, 0.01);
}

static tx_status load_grid(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    (void)note;
    mixture *m = tx_alloc(1, sizeof *m);
    m->n = 25;
    m->dim = 2;
    for (size_t k = 0; k < m->n; k++) {
        m->centre[k][0] = 2 * (double)(k / 5) - 4;
        m->centre[k][1] = 2 * (double)(k % 5) - 4;
    }
    return make_modes(d, c, tx_set_grid.name, m, 0.05);
}

const tx_set_ops tx_set_mixture_1d = {
    .name = "mixture_1d",
    .summary = "three overlapping normals on the line, unequal weights; known density",
    .load = load_mixture_1d};
const tx_set_ops tx_set_ring = {
    .name = "ring",
    .summary = "8 normals of deviation 0.01 on a circle of radius 1; known density, 8 modes",
    .citation = "metz2017unrolled",
    .load = load_ring};
const tx_set_ops tx_set_grid = {
    .name = "grid",
    .summary = "25 normals of deviation 0.05 on the grid {-4,-2,0,2,4}^2; known density, 25 modes",
    .citation = "srivastava2017veegan",
    .load = load_grid};
