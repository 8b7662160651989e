/* Parzen-window estimate: the density of sample + N(0, sigma^2 I), a mixture of n_sample normals at samples of the
 * model (Breuleux et al. 2011; protocol of Goodfellow et al. 2014): sigma from a logarithmic grid, chosen by the mean
 * log-likelihood of the first n_valid rows of valid. In the data's unit. A biased estimate of that smoothed density:
 * Theis et al. 2016 show how far it can mislead. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/moments.h"
#include "common/likelihood/pass.h"
#include "common/tensor/distance.h"
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"

typedef struct parzen_config {
    int n_sample, n_sigma, n_valid, kernel_at;
    double sigma_min, sigma_max;
} parzen_config;
#define AT(field) offsetof(parzen_config, field)
enum { AT_SAMPLE, AT_MEAN };
static const tx_option options[] = {
    {"n_sample", TX_OPT_INT, AT(n_sample), "10000", 2, 1000000, NULL, "samples of the model that carry a kernel",
     "Goodfellow et al. 2014"},
    {"sigma_min", TX_OPT_REAL, AT(sigma_min), "0.1", 1e-6, 1e6, NULL, "smallest bandwidth tried, in the data's unit",
     "Goodfellow et al. 2014"},
    {"sigma_max", TX_OPT_REAL, AT(sigma_max), "1", 1e-6, 1e6, NULL, "largest bandwidth tried, in the data's unit",
     "Goodfellow et al. 2014"},
    {"n_sigma", TX_OPT_INT, AT(n_sigma), "10", 1, 1000, NULL, "bandwidths tried, equally spaced in their logarithm",
     "Goodfellow et al. 2014"},
    {"kernel_at", TX_OPT_CHOICE, AT(kernel_at), "sample", 0, 0, "sample|mean",
     "what carries a kernel: samples, or their expected values where the model has them (a decoder's output without "
     "its "
     "noise)",
     "mean: Wu et al. 2017"},
    {"n_valid", TX_OPT_INT, AT(n_valid), "1000", 1, 1000000, NULL, "rows of valid that choose the bandwidth",
     "Goodfellow et al. 2014"},
    {0},
};

static const char *unfit(const tx_model_ops *m, const tx_view *v)
{
    if (!m->sample) return "cannot be sampled";
    return v->space.measure == TX_LEBESGUE ? NULL : "a normal kernel puts no mass on discrete values";
}

/* Rows whose distances are found at a time: every product reads all kernels. */
enum { ROWS = 200 };

/* Progress as a share of all rows: drawn, of valid, evaluated. */
typedef struct teller {
    void (*tell)(void *ctx, double share);
    void *ctx;
    size_t done, total;
} teller;

static void count_rows(teller *p, size_t rows)
{
    p->done += rows;
    if (p->tell) p->tell(p->ctx, (double)p->done / (double)p->total);
}

/* Samples, less about their mean: distances stay the same and keep their digits. */
typedef struct kernels {
    size_t n, dim;
    real *x;        /* [n,dim] */
    double *square; /* [n] |x|^2 */
    double *centre; /* [dim] */
} kernels;

static void to_data_unit(const tx_view *v, size_t n, real *x)
{
    if (v->ops->invert) v->ops->invert(v, n, x, x);
}

/* A mean that lies further from rows of valid than these are wide is that of a few samples far away; less it the other
 * rows would keep none of their digits. */
static void hold_near(const tx_view *v, double centre[])
{
    size_t n = v->data->split[TX_VALID].n < ROWS ? v->data->split[TX_VALID].n : ROWS, d = v->space.dim;
    real *x = tx_alloc(n * d, sizeof *x);
    tx_view_range(v, TX_VALID, 0, n, x, NULL);
    to_data_unit(v, n, x);
    double lowest = INFINITY, highest = -INFINITY;
    for (size_t i = 0; i < n * d; i++) lowest = fmin(lowest, (double)x[i]), highest = fmax(highest, (double)x[i]);
    double wide = highest - lowest;
    for (size_t j = 0; j < d; j++) centre[j] = fmin(fmax(centre[j], lowest - wide), highest + wide);
    free(x);
}

static kernels draw_kernels(tx_model *m, const tx_view *v, size_t n, bool mean, tx_rng r, teller *p)
{
    size_t d = v->space.dim;
    kernels k = {n, d, tx_alloc(n * d, sizeof(real)), tx_alloc(n, sizeof(double)), tx_alloc(d, sizeof(double))};
    tx_tape *t = tx_tape_new(1 << 20);
    for (size_t i = 0; i < n; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        tx_model_sample(m, t, r, i, rows, mean, k.x + i * d);
        count_rows(p, rows);
    }
    tx_tape_free(t);
    to_data_unit(v, n, k.x);
    tx_rows_mean(n, d, k.x, k.centre);
    hold_near(v, k.centre);
    tx_rows_centre(n, d, k.centre, k.x, k.square);
    return k;
}

static void free_kernels(kernels *k) { free(k->x), free(k->square), free(k->centre); }

/* distance[i,j] = |row from+i - sample j|^2 for `rows` rows of a split. */
static void distances(const kernels *k, const tx_view *v, tx_split s, size_t from, size_t rows, real *x, real *distance)
{
    double square[ROWS];
    tx_view_range(v, s, from, rows, x, NULL);
    to_data_unit(v, rows, x);
    tx_rows_centre(rows, k->dim, k->centre, x, square);
    tx_rows_distance(rows, k->n, k->dim, x, square, k->x, k->square, distance);
}

/* Of one bandwidth, row by row. */
typedef struct densities {
    const kernels *k;
    double sigma;
    real *distance;    /* [ROWS,n]; its rows become responsibilities where `std_error` is wanted */
    real *scratch;     /* [threads,n] */
    double *value;     /* log (1/n) sum_j N(x_i; s_j, sigma^2 I) */
    double *std_error; /* NULL: not wanted */
} densities;

/* The error of a row is first-order (infinitesimal jackknife), from the responsibilities r_j of sample j for it, which
 * sum to one: sqrt(n/(n-1) (sum_j r_j^2 - 1/n)). */
static void density_of_row(void *ctx, size_t i)
{
    const densities *q = ctx;
    size_t n = q->k->n;
    double constant = -log((double)n) - (double)q->k->dim * (log(q->sigma) + 0.5 * log(2 * M_PI));
    real lse, *distance = q->distance + i * n, *a = q->std_error ? distance : q->scratch + (size_t)tx_thread() * n;
    tx_vec_affine(n, (real)(-0.5 / (q->sigma * q->sigma)), distance, 0, a);
    tx_mat_logsumexp(1, n, a, &lse);
    q->value[i] = (double)lse + constant;
    if (!q->std_error) return;
    tx_vec_affine(n, 1, a, -lse, a);
    tx_vec_exp(n, a, a);
    double excess = tx_vec_dot(n, a, a) - 1 / (double)n;
    q->std_error[i] = excess > 0 ? sqrt(excess * (double)n / (double)(n - 1)) : 0;
}

static double sigma_at(const parzen_config *c, int i) { return tx_log_grid(c->sigma_min, c->sigma_max, c->n_sigma, i); }

static double choose_sigma(const parzen_config *c, const kernels *k, const tx_view *v, size_t n, real *x, densities *q,
                           teller *p)
{
    double *sum = tx_alloc((size_t)c->n_sigma, sizeof *sum), value[ROWS];
    q->value = value;
    for (size_t from = 0; from < n; from += ROWS) {
        size_t rows = n - from < ROWS ? n - from : ROWS;
        distances(k, v, TX_VALID, from, rows, x, q->distance);
        for (int i = 0; i < c->n_sigma; i++) {
            q->sigma = sigma_at(c, i);
            tx_parallel(rows, density_of_row, q);
            for (size_t j = 0; j < rows; j++) sum[i] += value[j];
        }
        count_rows(p, rows);
    }
    int best = 0;
    for (int i = 1; i < c->n_sigma; i++)
        if (sum[i] > sum[best]) best = i;
    free(sum);
    return sigma_at(c, best);
}

/* influence[j] = sum over rows of r_ij, of which influence_error makes the error of the mean: rows share their samples,
 * so that it is not that of independent rows. */
static void add_influence(size_t rows, size_t n, const real *responsibility, real *sum, double influence[])
{
    tx_mat_sum_cols(rows, n, responsibility, sum);
    for (size_t j = 0; j < n; j++) influence[j] += (double)sum[j];
}

static double influence_error(size_t n, const double influence[], size_t rows)
{
    tx_moments m = tx_moments_of(n, influence);
    return tx_moments_error(&m) * (double)n / (double)rows;
}

static void describe(const tx_model *m, double sigma, const parzen_config *c, size_t n_valid, tx_estimate *e)
{
    bool edge = c->n_sigma > 1 && (sigma == c->sigma_min || sigma == c->sigma_max);
    snprintf(e->evaluated_model, sizeof e->evaluated_model, "%s + N(0, %.4g^2 I)%s",
             !m->ops->log_prob && !m->ops->elbo && m->ops->generate ? "G(z)"
             : c->kernel_at == AT_MEAN                              ? "mean of x"
                                                                    : "sample",
             sigma, edge ? " (at the edge of the bandwidths tried)" : "");
    json_object_set_new(e->settings, "kernel_at", json_string(c->kernel_at == AT_MEAN ? "mean" : "sample"));
    if (c->kernel_at == AT_MEAN) json_object_set_new(e->settings, "brief", json_string("kernels at means"));
    json_object_set_new(e->settings, "sigma", json_real(sigma));
    json_object_set_new(e->settings, "sigma_min", json_real(c->sigma_min));
    json_object_set_new(e->settings, "sigma_max", json_real(c->sigma_max));
    json_object_set_new(e->settings, "n_sigma", json_integer(c->n_sigma));
    json_object_set_new(e->settings, "n_sample", json_integer(c->n_sample));
    json_object_set_new(e->settings, "n_valid", json_integer((json_int_t)n_valid));
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    const parzen_config *c = config;
    double start = tx_now();
    if (c->sigma_max < c->sigma_min)
        return tx_fail(TX_ECONFIG, "parzen: sigma_max %g is less than sigma_min %g", c->sigma_max, c->sigma_min);
    if (c->kernel_at == AT_MEAN && !m->ops->sample_mean)
        return tx_fail(TX_ECONFIG, "parzen: kernel_at is 'mean', but %s has no expected values of its samples",
                       m->ops->name);
    n = tx_rows_asked(v, s, n);
    size_t n_valid = tx_rows_asked(v, TX_VALID, (size_t)c->n_valid);
    teller p = {progress, ctx, 0, (size_t)c->n_sample + n_valid + n};
    kernels k = draw_kernels(m, v, (size_t)c->n_sample, c->kernel_at == AT_MEAN, tx_rng_named(r, "parzen"), &p);
    if (!tx_vec_finite(k.n * k.dim, k.x)) {
        free_kernels(&k);
        return tx_fail(TX_EDIVERGED, "parzen: the model's samples are not all finite");
    }
    densities q = {.k = &k, .distance = tx_alloc(ROWS * k.n, sizeof(real))};
    q.scratch = tx_alloc((size_t)tx_threads() * k.n, sizeof *q.scratch);
    real *x = tx_alloc(ROWS * k.dim, sizeof *x);
    double *influence = tx_alloc(k.n, sizeof *influence);
    q.sigma = choose_sigma(c, &k, v, n_valid, x, &q, &p);
    tx_estimate e;
    tx_estimate_init(&e, "parzen", v, s, n, true);
    for (size_t i = 0; i < n; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        distances(&k, v, s, i, rows, x, q.distance);
        q.value = e.log_likelihood + i, q.std_error = e.std_error + i;
        tx_parallel(rows, density_of_row, &q);
        add_influence(rows, k.n, q.distance, q.scratch, influence);
        count_rows(&p, rows);
    }
    e.kind = TX_ESTIMATE, e.stochastic = true;
    describe(m, q.sigma, c, n_valid, &e);
    e.model_evaluations = (double)k.n;
    tx_status status = tx_estimate_end(TX_OK, &e, v, start, out);
    if (status == TX_OK) out->mc_error = influence_error(k.n, influence, n);
    free(x), free(q.distance), free(q.scratch), free(influence), free_kernels(&k);
    return status;
}

extern const tx_estimator_ops tx_estimator_parzen;
const tx_estimator_ops tx_estimator_parzen = {
    .name = "parzen",
    .summary = "density of samples with a normal kernel, bandwidth chosen on valid",
    .citation = "goodfellow2014gan",
    .config_size = sizeof(parzen_config),
    .options = options,
    .unfit = unfit,
    .run = run};
