#include "common/quality/quality.h"
#include <gsl/gsl_blas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/distance.h"
#include "common/tensor/kernels.h"

enum { FIT_ROWS = 10000, BLOCK = 1000 };
static const tx_classifier_config labels_net = {{2, {256, 64}}, 4, 100, 1e-3, false};

tx_quality *tx_quality_new(const tx_view *v)
{
    tx_quality *q = tx_alloc(1, sizeof *q);
    q->view = v;
    return q;
}

void tx_quality_free(tx_quality *q)
{
    if (!q) return;
    free(q->mean), free(q->component);
    tx_classifier_free(q->classifier);
    free(q);
}

/* The order of a split's rows that all metrics take. */
static uint32_t *order_of(const tx_view *v, tx_split s)
{
    size_t all = v->data->split[s].n;
    tx_rng r = tx_rng_named(tx_rng_named(tx_rng_root(0), "quality"), v->data->name);
    uint32_t *order = tx_alloc(all, sizeof *order);
    tx_rng_permutation(tx_rng_named(r, tx_split_name(s)), all, order);
    return order;
}

real *tx_quality_rows(const tx_quality *q, tx_split s, size_t n)
{
    const tx_view *v = q->view;
    size_t all = v->data->split[s].n;
    TX_REQUIRE(n <= all, "%zu rows of %zu", n, all);
    uint32_t *order = order_of(v, s);
    real *x = tx_alloc(n * v->space.dim, sizeof *x);
    tx_view_rows(v, s, 0, 0, order, n, x, NULL);
    if (v->ops->invert) v->ops->invert(v, n, x, x);
    free(order);
    return x;
}

/* Eigenvalues w[n], ascending, and vectors (rows of a, as C sees it) of a symmetric matrix: LAPACK, which is part of
 * OpenBLAS. */
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info);

static void eigen(size_t dim, double *a)
{
    int n = (int)dim, ask = -1, iwant, info;
    double want;
    double *w = tx_alloc(dim, sizeof *w);
    dsyevd_("V", "U", &n, a, &n, w, &want, &ask, &iwant, &ask, &info);
    int lwork = (int)want, liwork = iwant;
    double *work = tx_alloc((size_t)lwork, sizeof *work);
    int *iwork = tx_alloc((size_t)liwork, sizeof *iwork);
    dsyevd_("V", "U", &n, a, &n, w, work, &lwork, iwork, &liwork, &info);
    TX_REQUIRE(info == 0, "dsyevd: %d", info);
    free(w), free(work), free(iwork);
}

/* Rows from[n,dim] of a matrix in double about the mean. */
static void centred(const tx_quality *q, size_t n, const real *x, double *out)
{
    size_t dim = q->view->space.dim;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++) out[i * dim + j] = (double)x[i * dim + j] - q->mean[j];
}

/* The covariance's eigenvectors, turned round so that the largest comes first. */
static void fit_components(tx_quality *q, size_t n, const real *x)
{
    size_t dim = q->view->space.dim;
    double *block = tx_alloc(BLOCK * dim, sizeof *block), *row = tx_alloc(dim, sizeof *row);
    q->component = tx_alloc(dim * dim, sizeof *q->component);
    gsl_matrix_view c = gsl_matrix_view_array(q->component, dim, dim);
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t rows = n - i < BLOCK ? n - i : BLOCK;
        centred(q, rows, x + i * dim, block);
        gsl_matrix_view b = gsl_matrix_view_array(block, rows, dim);
        gsl_blas_dsyrk(CblasLower, CblasTrans, 1 / (double)n, &b.matrix, 1, &c.matrix);
    }
    eigen(dim, q->component);
    for (size_t i = 0; i < dim / 2; i++) {
        double *a = q->component + i * dim, *b = q->component + (dim - 1 - i) * dim;
        memcpy(row, a, dim * sizeof *row);
        memcpy(a, b, dim * sizeof *row);
        memcpy(b, row, dim * sizeof *row);
    }
    free(block), free(row);
}

static void fit(tx_quality *q, bool components)
{
    if (q->mean && (q->component || !components)) return;
    size_t all = q->view->data->split[TX_TRAIN].n, n = all < FIT_ROWS ? all : FIT_ROWS, dim = q->view->space.dim;
    real *x = tx_quality_rows(q, TX_TRAIN, n);
    if (!q->mean) {
        q->mean = tx_alloc(dim, sizeof *q->mean);
        tx_rows_mean(n, dim, x, q->mean);
    }
    if (components) fit_components(q, n, x);
    free(x);
}

/* A split with its labels in the same order, to be freed. */
static real *labelled(const tx_quality *q, tx_split s, uint8_t **label)
{
    size_t n = q->view->data->split[s].n;
    uint32_t *order = order_of(q->view, s);
    *label = tx_alloc(n, 1);
    for (size_t i = 0; i < n; i++) (*label)[i] = q->view->data->split[s].label[order[i]];
    free(order);
    return tx_quality_rows(q, s, n);
}

/* One of fixed seed for the view, whatever the model: made anew in every process, which takes seconds. The pixels of a
 * picture keep one scale, or those at its border, which hardly vary, would be magnified into the largest part of every
 * distance. */
static void fit_classifier(tx_quality *q)
{
    if (q->classifier) return;
    tx_classifier_config net = labels_net;
    net.one_scale = q->view->space.height > 0;
    const tx_dataset *d = q->view->data;
    uint8_t *label, *test_label;
    real *x = labelled(q, TX_TRAIN, &label), *test = labelled(q, TX_TEST, &test_label);
    tx_rng r = tx_rng_named(tx_rng_named(tx_rng_root(0), "quality"), "classifier");
    size_t n_class = q->view->space.n_class < 2 ? 2 : q->view->space.n_class;
    q->classifier = tx_classifier_train(&net, d->dim, n_class, d->split[TX_TRAIN].n, x, label, r);
    TX_REQUIRE(q->classifier, "a classifier of finite rows diverged");
    q->accuracy = tx_classifier_accuracy(q->classifier, d->split[TX_TEST].n, test, test_label);
    free(x), free(label), free(test), free(test_label);
}

const char *tx_feature_unfit(const tx_feature_config *c, const tx_view *v)
{
    bool labels = v->data->split[TX_TRAIN].label && v->data->split[TX_TEST].label;
    return c->kind == TX_FEATURE_CLASSIFIER && !labels ? "the data set has no labels to train a classifier on" : NULL;
}

void tx_feature_note(tx_quality *q, const tx_feature_config *c, const tx_numbers *real_ones, tx_numbers *out)
{
    if (c->kind == TX_FEATURE_CLASSIFIER && real_ones)
        tx_numbers_add(out, "classifier_accuracy", "1", q->accuracy,
                       "share of test rows whose label the features tell");
}

static bool uses_components(const tx_quality *q, const tx_feature_config *c)
{
    return c->kind == TX_FEATURE_PCA && (size_t)c->n_component < q->view->space.dim;
}

static void project(const tx_quality *q, const tx_feature_config *c, size_t n, const real *x, tx_points *p)
{
    size_t dim = q->view->space.dim;
    double *block = tx_alloc(BLOCK * dim, sizeof *block), *image = tx_alloc(BLOCK * p->dim, sizeof *image);
    gsl_matrix_const_view components = gsl_matrix_const_view_array(q->component, (size_t)c->n_component, dim);
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t rows = n - i < BLOCK ? n - i : BLOCK;
        centred(q, rows, x + i * dim, block);
        gsl_matrix_view b = gsl_matrix_view_array(block, rows, dim), z = gsl_matrix_view_array(image, rows, p->dim);
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &b.matrix, &components.matrix, 0, &z.matrix);
        for (size_t k = 0; k < rows * p->dim; k++) p->x[i * p->dim + k] = (real)image[k];
    }
    free(block), free(image);
}

/* Levels are not centred: their distances are whole numbers, which floats hold, and ties stay ties. */
static tx_points plain_points(tx_quality *q, const tx_feature_config *c, size_t n, const real *x)
{
    bool components = uses_components(q, c), levels = q->view->space.measure == TX_COUNTING;
    size_t dim = components ? (size_t)c->n_component : q->view->space.dim;
    tx_points p = {n, dim, tx_alloc(n * dim, sizeof *p.x), tx_alloc(n, sizeof *p.square)};
    double *zero = tx_alloc(dim, sizeof *zero);
    fit(q, components);
    if (components)
        project(q, c, n, x, &p);
    else
        memcpy(p.x, x, n * dim * sizeof *x);
    tx_rows_centre(n, dim, components || levels ? zero : q->mean, p.x, p.square);
    free(zero);
    return p;
}

static tx_points classifier_points(tx_quality *q, size_t n, const real *x)
{
    fit_classifier(q);
    size_t dim = tx_classifier_width(q->classifier);
    tx_points p = {n, dim, tx_alloc(n * dim, sizeof *p.x), tx_alloc(n, sizeof *p.square)};
    double *zero = tx_alloc(dim, sizeof *zero);
    tx_classifier_features(q->classifier, n, x, p.x);
    tx_rows_centre(n, dim, zero, p.x, p.square);
    free(zero);
    return p;
}

tx_points tx_quality_points(tx_quality *q, const tx_feature_config *c, size_t n, const real *x)
{
    return c->kind == TX_FEATURE_CLASSIFIER ? classifier_points(q, n, x) : plain_points(q, c, n, x);
}

tx_points tx_quality_real_points(tx_quality *q, const tx_feature_config *c, tx_split s, size_t n)
{
    real *x = tx_quality_rows(q, s, n);
    tx_points p = tx_quality_points(q, c, n, x);
    free(x);
    return p;
}

void tx_points_free(tx_points *p) { free(p->x), free(p->square); }

real *tx_points_distance(const tx_points *a, const tx_points *b)
{
    real *d = tx_alloc(a->n * b->n, sizeof *d);
    tx_rows_distance(a->n, b->n, a->dim, a->x, a->square, b->x, b->square, d);
    return d;
}

const char *tx_feature_words(const tx_quality *q, const tx_feature_config *c, char buf[TX_NAME_MAX])
{
    if (c->kind == TX_FEATURE_CLASSIFIER)
        snprintf(buf, TX_NAME_MAX, "in features of a classifier of the labels");
    else if (uses_components(q, c))
        snprintf(buf, TX_NAME_MAX, "in %d principal components", c->n_component);
    else
        snprintf(buf, TX_NAME_MAX, "in the data's unit");
    return buf;
}
