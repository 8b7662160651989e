/* Frechet distance between the normals of equal moments: |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the
 * covariances (Dowson & Landau 1982); Heusel et al. 2017 call it FID in the features of the Inception net, which these
 * are not. It is too large by an amount that falls with n: n is fixed, and the value of real rows beside it. */
#include <gsl/gsl_eigen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/quality/halves.h"
#include "common/quality/metric.h"

typedef struct frechet_config {
    tx_metric_common common;
    tx_feature_config features;
} frechet_config;
static const tx_option options[] = {
    TX_METRIC_OPTIONS("1000", 1000000), TX_FEATURE_OPTIONS(offsetof(frechet_config, features), "pca"), {0}};

static const char *unfit(const void *config, const tx_view *v)
{
    return tx_feature_unfit(&((const frechet_config *)config)->features, v);
}

/* mean[p] and covariance [p,p] with 1/(n - 1) of rows index[n]. */
static void moments(const tx_points *x, size_t n, const uint32_t index[], double mean[], double c[])
{
    size_t p = x->dim;
    double *row = tx_alloc(p, sizeof *row);
    for (size_t j = 0; j < p; j++) mean[j] = 0;
    for (size_t j = 0; j < p * p; j++) c[j] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < p; j++) mean[j] += (double)x->x[index[i] * p + j] / (double)n;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < p; j++) row[j] = (double)x->x[index[i] * p + j] - mean[j];
        for (size_t j = 0; j < p; j++)
            for (size_t k = 0; k <= j; k++) c[j * p + k] += row[j] * row[k];
    }
    for (size_t j = 0; j < p; j++)
        for (size_t k = 0; k <= j; k++) c[j * p + k] = c[k * p + j] = c[j * p + k] / (double)(n - 1);
    free(row);
}

/* tr (A B)^(1/2) = sum of the roots of the eigenvalues of B^(1/2) A B^(1/2); both are lost. */
static double root_trace(size_t p, double *a, double *b)
{
    gsl_matrix_view am = gsl_matrix_view_array(a, p, p), bm = gsl_matrix_view_array(b, p, p);
    gsl_vector *value = gsl_vector_alloc(p);
    gsl_matrix *vector = gsl_matrix_alloc(p, p);
    gsl_eigen_symmv_workspace *w = gsl_eigen_symmv_alloc(p);
    gsl_eigen_symm_workspace *w2 = gsl_eigen_symm_alloc(p);
    gsl_eigen_symmv(&bm.matrix, value, vector, w);
    double trace = 0, *half = tx_alloc(p * p, sizeof *half);
    for (size_t i = 0; i < p; i++) /* half = A V */
        for (size_t k = 0; k < p; k++)
            for (size_t j = 0; j < p; j++) half[i * p + j] += a[i * p + k] * gsl_matrix_get(vector, k, j);
    for (size_t i = 0; i < p * p; i++) a[i] = 0;
    for (size_t k = 0; k < p; k++) /* V' A V, then a root of an eigenvalue on each side */
        for (size_t i = 0; i < p; i++)
            for (size_t j = 0; j < p; j++) a[i * p + j] += gsl_matrix_get(vector, k, i) * half[k * p + j];
    for (size_t i = 0; i < p; i++)
        for (size_t j = 0; j < p; j++)
            a[i * p + j] *= sqrt(fmax(gsl_vector_get(value, i), 0)) * sqrt(fmax(gsl_vector_get(value, j), 0));
    gsl_eigen_symm(&am.matrix, value, w2);
    for (size_t i = 0; i < p; i++) trace += sqrt(fmax(gsl_vector_get(value, i), 0));
    gsl_eigen_symmv_free(w), gsl_eigen_symm_free(w2), gsl_vector_free(value), gsl_matrix_free(vector);
    free(half);
    return trace;
}

static void statistic(const void *ctx, size_t n_a, const uint32_t a[], size_t n_b, const uint32_t b[], double out[])
{
    const tx_points *const *side = ctx;
    size_t p = side[0]->dim;
    double *m = tx_alloc(2 * p, sizeof *m), *c = tx_alloc(2 * p * p, sizeof *c), sum = 0;
    moments(side[0], n_a, a, m, c);
    moments(side[1], n_b, b, m + p, c + p * p);
    for (size_t j = 0; j < p; j++) sum += (m[j] - m[p + j]) * (m[j] - m[p + j]) + c[j * p + j] + c[p * p + j * p + j];
    out[0] = fmax(sum - 2 * root_trace(p, c, c + p * p), 0);
    free(m), free(c);
}

static tx_status run(const void *config, tx_quality *q, size_t n, const real *x, tx_rng r, const tx_numbers *real_ones,
                     tx_numbers *out)
{
    const frechet_config *c = config;
    tx_points a = tx_quality_points(q, &c->features, n, x);
    tx_points b = tx_quality_real_points(q, &c->features, TX_TEST, n);
    double value, error;
    char where[TX_NAME_MAX], words[TX_NAME_MAX + 32];
    snprintf(words, sizeof words, "Frechet distance %s", tx_feature_words(q, &c->features, where));
    tx_halves(r, (size_t)c->common.n_bootstrap, n, n, 1, statistic, (const tx_points *const[]){&a, &b}, &value, &error);
    tx_numbers_add_error(out, "", "1", value, error, words);
    tx_feature_note(q, &c->features, real_ones, out);
    tx_points_free(&a), tx_points_free(&b);
    return TX_OK;
}

extern const tx_metric_ops tx_metric_frechet;
const tx_metric_ops tx_metric_frechet = {
    .name = "frechet",
    .summary = "Frechet distance between normals with the moments of samples and of test rows",
    .citation = "heusel2017ttur",
    .config_size = sizeof(frechet_config),
    .options = options,
    .stand_in = TX_TRAIN,
    .unfit = unfit,
    .run = run};
