/** A Gaussian with full covariance, by maximum likelihood in closed form. Letters: n rows counted, C their covariance,
 *  C = L L' with L lower triangular (Cholesky), W = L^-1: z = W (x - mean) is white. */
#include <gsl/gsl_blas.h>
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/conditional.h"
#include "models/baseline/rows.h"

typedef struct gaussian_config {
    double ridge;
    int n_pass;
} gaussian_config;
typedef struct gaussian {
    tx_param mean, whitening;
} gaussian;

static const tx_option options[] = {
    {"ridge", TX_OPT_REAL, offsetof(gaussian_config, ridge), "0", 0, 1e12, NULL,
     "added to every variance, in the square of the view's unit; 0: maximum likelihood", NULL},
    {"n_pass", TX_OPT_INT, offsetof(gaussian_config, n_pass), "1", 1, 10000, NULL,
     "passes over the training split to average, each with fresh draws where the view has any",
     "1: Papamakarios et al. 2017"},
    {0},
};

static void build(tx_model *m)
{
    gaussian *s = m->state;
    size_t d = m->space->dim;
    m->n_net = 1;
    m->net[0] = tx_params_new("gaussian");
    s->mean = tx_params_add(m->net[0], "mean", tx_shape2(1, d), (tx_init){TX_INIT_CONSTANT, 0});
    s->whitening = tx_params_add(m->net[0], "whitening", tx_shape2(d, d), (tx_init){TX_INIT_CONSTANT, 0});
}

static void init(tx_model *m)
{
    real *w = tx_params_value(m->net[0], ((gaussian *)m->state)->whitening).x;
    for (size_t j = 0; j < m->space->dim; j++) w[j * m->space->dim + j] = 1;
}

/* mean[D] and the lower half of c[D,D], in double about the moments that the view knows. */
static void moments(const tx_view *v, uint64_t seed, int n_pass, double mean[], gsl_matrix *c)
{
    enum { BLOCK = 1024 };
    size_t n = v->data->split[TX_TRAIN].n, d = v->space.dim;
    const double *about = v->space.mean;
    real *x = tx_alloc(BLOCK * d, sizeof *x);
    double *centred = tx_alloc(BLOCK * d, sizeof *centred), all = (double)n * n_pass;
    for (int pass = 0; pass < n_pass; pass++)
        for (size_t from = 0; from < n; from += BLOCK) {
            size_t rows = n - from < BLOCK ? n - from : BLOCK;
            tx_baseline_rows(v, seed, (uint64_t)pass, from, rows, x);
            for (size_t i = 0; i < rows * d; i++) {
                centred[i] = (double)x[i] - about[i % d];
                mean[i % d] += centred[i] / all;
            }
            gsl_matrix_const_view block = gsl_matrix_const_view_array(centred, rows, d);
            gsl_blas_dsyrk(CblasLower, CblasTrans, 1 / all, &block.matrix, 1, c);
        }
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j <= i; j++) *gsl_matrix_ptr(c, i, j) -= mean[i] * mean[j];
    for (size_t j = 0; j < d; j++) mean[j] += about[j];
    free(x), free(centred);
}

/* Cholesky in place. What is left of a variance once the coordinates before it are known must exceed the rounding. */
static tx_status factorise(gsl_matrix *c, size_t n)
{
    size_t d = c->size1;
    double *variance = tx_alloc(d, sizeof *variance);
    tx_status status = TX_OK;
    for (size_t j = 0; j < d; j++) {
        variance[j] = gsl_matrix_get(c, j, j);
        if (!(variance[j] > 0) && status == TX_OK)
            status = tx_fail(
                TX_EDIVERGED,
                "gaussian: coordinate %zu is the same in all %zu rows, so that no Gaussian has the highest "
                "likelihood: set 'ridge' above 0 or use a view with noise",
                j, n);
    }
    bool regular = status == TX_OK && gsl_linalg_cholesky_decomp1(c) == GSL_SUCCESS;
    for (size_t j = 0; j < d && regular; j++) {
        double pivot = gsl_matrix_get(c, j, j);
        regular = pivot * pivot > 4 * (double)d * 2.220446049250313e-16 * variance[j];
    }
    if (status == TX_OK && !regular)
        status = tx_fail(TX_EDIVERGED,
                         "gaussian: the covariance of %zu rows in %zu dimensions is singular, so that no Gaussian has "
                         "the highest likelihood: set 'ridge' above 0 or use more rows than dimensions",
                         n, d);
    free(variance);
    return status;
}

static tx_status fit(tx_model *m, const tx_view *v, uint64_t seed)
{
    const gaussian_config *config = m->config;
    const gaussian *s = m->state;
    size_t d = v->space.dim;
    gsl_error_handler_t *old = gsl_set_error_handler_off();
    gsl_matrix *c = gsl_matrix_calloc(d, d);
    if (!c) tx_no_memory("the covariance");
    double *mean = tx_alloc(d, sizeof *mean);
    moments(v, seed, config->n_pass, mean, c);
    for (size_t j = 0; j < d; j++) *gsl_matrix_ptr(c, j, j) += config->ridge;
    tx_status status = factorise(c, v->data->split[TX_TRAIN].n * (size_t)config->n_pass);
    if (status == TX_OK) {
        gsl_linalg_tri_invert(CblasLower, CblasNonUnit, c);
        real *mu = tx_params_value(m->net[0], s->mean).x, *w = tx_params_value(m->net[0], s->whitening).x;
        for (size_t i = 0; i < d; i++) {
            mu[i] = (real)mean[i];
            for (size_t j = 0; j < d; j++) w[i * d + j] = j <= i ? (real)gsl_matrix_get(c, i, j) : 0;
        }
    }
    gsl_matrix_free(c), free(mean);
    gsl_set_error_handler(old);
    return status;
}

/* log p(x) = -1/2 |W (x - mean)|^2 + sum_j log W_jj - D/2 log 2 pi */
static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const gaussian *s = m->state;
    size_t d = m->space->dim;
    tx_var w = tx_params_var(m->net[0], s->whitening), mean = tx_params_var(m->net[0], s->mean);
    double constant = -0.5 * (double)d * log(2 * M_PI);
    for (size_t j = 0; j < d; j++) constant += log((double)w->v.x[j * d + j]);
    tx_var z = tx_matmul(t, tx_add_row(t, x, tx_scale(t, mean, -1)), false, w, true);
    return tx_affine(t, tx_sum_rows(t, tx_mul(t, z, z)), (real)-0.5, (real)constant);
}

/* x = mean + W^-1 z by forward substitution. */
static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    (void)t;
    const gaussian *s = m->state;
    size_t d = tx_cols(x);
    const real *mean = tx_params_value(m->net[0], s->mean).x, *w = tx_params_value(m->net[0], s->whitening).x;
    tx_rng_normal(r, first * d, tx_len(x), x.x);
    for (size_t i = 0; i < tx_rows(x); i++) {
        real *row = x.x + i * d;
        for (size_t j = 0; j < d; j++)
            row[j] = (real)(((double)row[j] - tx_vec_dot(j, w + j * d, row)) / (double)w[j * d + j]);
        tx_vec_add(d, row, mean, row);
    }
}

/* Missing coordinates m. The precision W'W has the block P = W_m'W_m = C C' (Cholesky), so that x_m given the others is
 * normal with precision P about mean_m + y, P y = -W_m'W_o (x_o - mean_o). */
typedef struct missing_block {
    size_t n;
    gsl_matrix *w, *c; /* W_m [D,n]; C [n,n] */
} missing_block;

static missing_block block_of(tx_model *m, const uint8_t missing[])
{
    size_t d = m->space->dim, n = tx_missing_count(d, missing);
    const real *w = tx_params_value(m->net[0], ((gaussian *)m->state)->whitening).x;
    missing_block b = {n, gsl_matrix_alloc(d, n), gsl_matrix_alloc(n, n)};
    if (!b.w || !b.c) tx_no_memory("the precision of the missing coordinates");
    for (size_t j = 0, q = 0; j < d; q += missing[j++])
        for (size_t i = 0; missing[j] && i < d; i++) gsl_matrix_set(b.w, i, q, i < j ? 0 : (double)w[i * d + j]);
    gsl_blas_dsyrk(CblasLower, CblasTrans, 1, b.w, 0, b.c);
    gsl_linalg_cholesky_decomp1(b.c);
    return b;
}

static void free_block(missing_block *b) { gsl_matrix_free(b->w), gsl_matrix_free(b->c); }

/* The conditional means of the rows x[n,D], [n,missing]. */
static gsl_matrix *conditional_mean(tx_model *m, const missing_block *b, const uint8_t missing[], tx_tensor x)
{
    const gaussian *s = m->state;
    size_t n = tx_rows(x), d = tx_cols(x);
    const real *mean = tx_params_value(m->net[0], s->mean).x, *w = tx_params_value(m->net[0], s->whitening).x;
    gsl_matrix *z = gsl_matrix_alloc(n, d), *y = gsl_matrix_alloc(n, b->n);
    if (!z || !y) tx_no_memory("conditional means");
    double *off = tx_alloc(d, sizeof *off);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d; j++) off[j] = missing[j] ? 0 : (double)x.x[i * d + j] - (double)mean[j];
        for (size_t j = 0; j < d; j++) {
            double sum = 0;
            for (size_t k = 0; k <= j; k++) sum += (double)w[j * d + k] * off[k];
            gsl_matrix_set(z, i, j, sum);
        }
    }
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, -1, z, b->w, 0, y);
    gsl_blas_dtrsm(CblasRight, CblasLower, CblasTrans, CblasNonUnit, 1, b->c, y);
    gsl_blas_dtrsm(CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, 1, b->c, y);
    for (size_t j = 0, q = 0; j < d; q += missing[j++])
        for (size_t i = 0; missing[j] && i < n; i++) *gsl_matrix_ptr(y, i, q) += (double)mean[j];
    gsl_matrix_free(z), free(off);
    return y;
}

static void log_prob_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double value[])
{
    (void)t;
    size_t n = tx_rows(x), d = tx_cols(x);
    missing_block b = block_of(m, missing);
    gsl_matrix *off = conditional_mean(m, &b, missing, x);
    for (size_t j = 0, q = 0; j < d; q += missing[j++])
        for (size_t i = 0; missing[j] && i < n; i++)
            gsl_matrix_set(off, i, q, (double)x.x[i * d + j] - gsl_matrix_get(off, i, q));
    gsl_blas_dtrmm(CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, 1, b.c, off);
    double constant = -0.5 * (double)b.n * log(2 * M_PI);
    for (size_t q = 0; q < b.n; q++) constant += log(gsl_matrix_get(b.c, q, q));
    for (size_t i = 0; i < n; i++) {
        value[i] = constant;
        for (size_t q = 0; q < b.n; q++) value[i] -= 0.5 * pow(gsl_matrix_get(off, i, q), 2);
    }
    gsl_matrix_free(off), free_block(&b);
}

static void sample_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    (void)t;
    size_t n = tx_rows(x), d = tx_cols(x);
    missing_block b = block_of(m, missing);
    gsl_matrix *mean = conditional_mean(m, &b, missing, x), *e = gsl_matrix_alloc(n, b.n);
    if (!e) tx_no_memory("conditional samples");
    for (size_t i = 0; i < n * b.n; i++) e->data[i] = tx_rng_normal1(r, first * b.n + i);
    gsl_blas_dtrsm(CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, 1, b.c, e);
    for (size_t j = 0, q = 0; j < d; q += missing[j++])
        for (size_t i = 0; missing[j] && i < n; i++)
            x.x[i * d + j] = (real)(gsl_matrix_get(mean, i, q) + gsl_matrix_get(e, i, q));
    gsl_matrix_free(mean), gsl_matrix_free(e), free_block(&b);
}

static const tx_conditional conditional = {
    .applies = tx_applies_always, .log_prob = log_prob_missing, .sample = sample_missing};

const tx_model_ops tx_model_gaussian = {
    .name = "gaussian",
    .summary = "Gaussian with full covariance",
    .citation = "bishop2006prml",
    .taxonomy_path = "explicit/tractable/gaussian",
    .spaces = TX_ON_REAL,
    .state_size = sizeof(gaussian),
    .config_size = sizeof(gaussian_config),
    .options = options,
    .toys = "[{}, {ridge: 0.3, n_pass: 2}]",
    .build = build,
    .init = init,
    .log_prob = log_prob,
    .conditional = &conditional,
    .sample = sample,
    .fit = fit,
};
