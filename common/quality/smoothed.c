/* KL between the data and samples, both with N(0, sigma^2 I) laid over them (Sonderby et al. 2017), where the modes are
 * known: p' is then M normals of deviation sqrt(s^2 + sigma^2), and g' is estimated by kernels at samples. Kernels are
 * too few where the real rows in their place are far from 0. */
#include <math.h>
#include <stdlib.h>
#include "common/base/moments.h"
#include "common/quality/metric.h"
#include "common/tensor/parallel.h"

typedef struct smoothed_config {
    tx_metric_common common;
    double sigma;
} smoothed_config;
static const tx_option options[] = {
    {"n_sample", TX_OPT_INT, offsetof(tx_metric_common, n_sample), "10000", 10, 1000000, NULL,
     "samples of the model, and rows of test; fewer where test or train have fewer", NULL},
    {"sigma", TX_OPT_REAL, offsetof(smoothed_config, sigma), "2", 0.01, 1e6, NULL,
     "deviation of the noise over both, in deviations of a mode", NULL},
    {0},
};

static const char *unfit(const void *config, const tx_view *v)
{
    (void)config;
    return v->data->known && v->data->known->n_mode ? NULL : "the data set has no known modes";
}

/* log of the mean of n normals of one deviation at centres c[n,dim]. */
typedef struct normals {
    size_t n, dim;
    const double *c;
    double deviation;
} normals;

static double log_density(const normals *m, const double *x)
{
    const double scale = -0.5 / (m->deviation * m->deviation);
    tx_log_sum sum = TX_LOG_SUM;
    for (size_t k = 0; k < m->n; k++) {
        double square = 0;
        for (size_t j = 0; j < m->dim; j++) square += (x[j] - m->c[k * m->dim + j]) * (x[j] - m->c[k * m->dim + j]);
        tx_log_sum_add(&sum, scale * square);
    }
    return tx_log_sum_value(&sum) - log((double)m->n) - (double)m->dim * (log(m->deviation) + 0.5 * log(2 * M_PI));
}

typedef struct ratio {
    const normals *p, *g;
    const double *x;
    double *value;
} ratio;

static void log_ratio(void *ctx, size_t i)
{
    const ratio *r = ctx;
    r->value[i] = log_density(r->p, r->x + i * r->p->dim) - log_density(r->g, r->x + i * r->p->dim);
}

/* E_p' log p'/g' at n points, and its standard error over them. */
static double divergence(const normals *p, const normals *g, size_t n, const double *x, double *error)
{
    double *value = tx_alloc(n, sizeof *value);
    tx_moments m = {0};
    tx_parallel(n, log_ratio, &(ratio){p, g, x, value});
    for (size_t i = 0; i < n; i++) tx_moments_add(&m, value[i]);
    free(value);
    *error = tx_moments_error(&m);
    return m.mean;
}

static double *noisy(tx_rng r, size_t n, size_t dim, const real *x, double sigma)
{
    double *y = tx_alloc(n * dim, sizeof *y);
    for (size_t i = 0; i < n * dim; i++) y[i] = (double)x[i] + sigma * tx_rng_normal1(r, i);
    return y;
}

static double *as_double(size_t n, const real *x)
{
    double *y = tx_alloc(n, sizeof *y);
    for (size_t i = 0; i < n; i++) y[i] = (double)x[i];
    return y;
}

/* The reverse divergence takes its points from one half of the samples and its kernels from the other. */
static tx_status run(const void *config, tx_quality *q, size_t n, const real *x, tx_rng r, const tx_numbers *real_ones,
                     tx_numbers *out)
{
    (void)real_ones;
    const smoothed_config *c = config;
    const tx_dataset *d = q->view->data;
    size_t dim = d->dim, M = d->known->n_mode, half = n / 2;
    double *centre = tx_alloc(M * dim, sizeof *centre), s = 0, error;
    for (size_t k = 0; k < M; k++) s = d->known->mode(d, k, centre + k * dim);
    double sigma = c->sigma * s, *kernel = as_double(n * dim, x);
    real *test = tx_quality_rows(q, TX_TEST, n);
    double *real_points = noisy(tx_rng_named(r, "noise of data"), n, dim, test, sigma);
    double *points = noisy(tx_rng_named(r, "noise of samples"), half, dim, x, sigma);
    const normals p = {M, dim, centre, sqrt(s * s + sigma * sigma)}, g = {n, dim, kernel, sigma};
    const normals rest = {n - half, dim, kernel + half * dim, sigma};

    double forward = divergence(&p, &g, n, real_points, &error);
    tx_numbers_add_error(out, "kl", "nat", forward, error, "KL(data || samples) under noise");
    double reverse = divergence(&rest, &p, half, points, &error);
    tx_numbers_add_error(out, "reverse_kl", "nat", reverse, error, "KL(samples || data) under noise");
    tx_numbers_add(out, "sigma", "1", sigma, "deviation of the noise");
    free(centre), free(kernel), free(test), free(real_points), free(points);
    return TX_OK;
}

extern const tx_metric_ops tx_metric_smoothed;
const tx_metric_ops tx_metric_smoothed = {
    .name = "smoothed",
    .summary = "KL between data and samples under the same noise, where the modes are known",
    .citation = "sonderby2017amortised",
    .config_size = sizeof(smoothed_config),
    .options = options,
    .stand_in = TX_TRAIN,
    .unfit = unfit,
    .run = run};
