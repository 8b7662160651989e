#include <math.h>
#include <stdlib.h>
#include "common/base/moments.h"
#include "common/model/latent.h"
#include "common/quality/halves.h"
#include "common/quality/metric.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

const tx_model_ops *const tx_model_list[] = {NULL};

/* A data set of real rows, its raw view, and what metrics share. */
typedef struct world {
    tx_dataset data;
    tx_view view;
    tx_quality *q;
    float *x[TX_N_SPLIT];
} world;

static void world_open(world *w, const char *name, size_t dim, size_t n_train, const float *train, size_t n_test,
                       const float *test)
{
    const struct {
        size_t n;
        const float *x;
    } part[TX_N_SPLIT] = {{n_train, train}, {3, test}, {n_test, test}};
    *w = (world){.data = {.type = TX_REAL, .dim = dim, .unit = "1"}};
    tx_copy_text(w->data.name, sizeof w->data.name, name);
    for (int s = 0; s < TX_N_SPLIT; s++) {
        w->x[s] = tx_alloc(part[s].n * dim, sizeof(float));
        memcpy(w->x[s], part[s].x, part[s].n * dim * sizeof(float));
        w->data.split[s].n = part[s].n;
        w->data.split[s].value = w->x[s];
    }
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_view_open(&w->view, &w->data, &c));
    w->q = tx_quality_new(&w->view);
}

static void world_close(world *w)
{
    tx_quality_free(w->q);
    tx_view_close(&w->view);
    for (int s = 0; s < TX_N_SPLIT; s++) free(w->x[s]);
}

/* A fresh world of standard normals times 1, 2, 3, ... by coordinate. */
static void normals(world *w, size_t dim, size_t n, uint64_t seed)
{
    float *x = tx_alloc(2 * n * dim, sizeof *x);
    for (size_t i = 0; i < 2 * n * dim; i++)
        x[i] = (float)(tx_rng_normal1(tx_rng_root(seed), i) * (double)(1 + i % dim));
    world_open(w, "normals", dim, n, x, n, x + n * dim);
    free(x);
}

/* Samples of the same law, stretched by `scale` and shifted by `shift`. */
static real *samples(size_t dim, size_t n, uint64_t seed, double scale, double shift)
{
    real *x = tx_alloc(n * dim, sizeof *x);
    for (size_t i = 0; i < n * dim; i++)
        x[i] = (real)(tx_rng_normal1(tx_rng_named(tx_rng_root(seed), "model"), i) * (double)(1 + i % dim) * scale +
                      shift);
    return x;
}

static void *config_of(const char *metric, const char *text)
{
    const tx_metric_ops *m = tx_metric_find(metric);
    void *c = tx_alloc(1, m->config_size);
    CHECK_OK(tx_test_options(m->options, c, text));
    return c;
}

/* The metric's own numbers about n rows. */
static tx_numbers measure(world *w, const char *metric, const char *text, size_t n, const real *x, uint64_t seed)
{
    void *c = config_of(metric, text);
    tx_numbers out = {0};
    CHECK_OK(tx_metric_find(metric)->run(c, w->q, n, x, tx_rng_root(seed), NULL, &out));
    free(c);
    return out;
}

static double error_in(const tx_numbers *t, const char *name) { return t->m[tx_numbers_find(t, name)].error; }

static void test_rows(void)
{
    enum { N = 50 };
    float train[N], test[N];
    for (int i = 0; i < N; i++) train[i] = (float)i, test[i] = (float)(1000 + i);
    world w;
    world_open(&w, "numbers", 1, N, train, N, test);
    bool seen[N] = {false}, ordered = true;
    real *x = tx_quality_rows(w.q, TX_TEST, N), *first = tx_quality_rows(w.q, TX_TEST, 7);
    for (int i = 0; i < N; i++) {
        int k = (int)x[i] - 1000;
        CHECK_TRUE(k >= 0 && k < N && !seen[k]);
        seen[k] = true;
        ordered &= k == i;
    }
    CHECK_TRUE(!ordered); /* files may be sorted: the first rows are not all alike */
    for (int i = 0; i < 7; i++) CHECK_NEAR(first[i], x[i], 0);
    free(x), free(first);
    world_close(&w);
}

/* Rows on a plane in five dimensions: two components keep all distances, one does not. */
static void test_components(void)
{
    enum { N = 200, D = 5 };
    float x[2 * N * D];
    for (int i = 0; i < 2 * N; i++) {
        double a = 3 * tx_rng_normal1(tx_rng_root(1), (uint64_t)i), b = tx_rng_normal1(tx_rng_root(2), (uint64_t)i);
        for (int j = 0; j < D; j++) x[i * D + j] = (float)(7 + a * cos(j) + b * sin(3 * j));
    }
    world w;
    world_open(&w, "plane", D, N, x, N, x + N * D);
    double largest[2] = {0, 0}, lost = 0;
    for (int components = 2; components >= 1; components--) {
        tx_points all = tx_quality_real_points(w.q, &(tx_feature_config){TX_FEATURE_DATA, 0}, TX_TEST, 20);
        tx_points few = tx_quality_real_points(w.q, &(tx_feature_config){TX_FEATURE_PCA, components}, TX_TEST, 20);
        CHECK_INT(few.dim, components);
        real *d = tx_points_distance(&all, &all), *e = tx_points_distance(&few, &few);
        for (int i = 0; i < 400; i++) {
            if (components == 2) CHECK_NEAR(d[i], e[i], 1e-4 * (1 + (double)d[i]));
            if (components == 1) CHECK_TRUE((double)e[i] < (double)d[i] + 1e-3);
            largest[components - 1] += (double)e[i], lost += components == 1 ? (double)(d[i] - e[i]) : 0;
        }
        free(d), free(e);
        tx_points_free(&all), tx_points_free(&few);
    }
    CHECK_TRUE(lost > 0 && lost < 0.2 * largest[1]); /* what is lost is the smaller part */
    world_close(&w);
}

/* Of a mean over n independent rows the error is known. */
static void mean(const void *ctx, size_t n, const uint32_t a[], size_t n_b, const uint32_t b[], double out[])
{
    (void)n_b, (void)b;
    out[0] = 0;
    for (size_t i = 0; i < n; i++) out[0] += ((const double *)ctx)[a[i]] / (double)n;
}

static void test_halves(void)
{
    static const size_t sizes[] = {400, 401};
    double x[401], value, error;
    for (int i = 0; i < 401; i++) x[i] = tx_rng_normal1(tx_rng_root(5), (uint64_t)i);
    for (size_t k = 0; k < TX_LEN(sizes); k++) {
        tx_moments m = tx_moments_of(sizes[k], x);
        tx_halves(tx_rng_root(1), 4000, sizes[k], 0, 1, mean, x, &value, &error);
        CHECK_NEAR(value, m.mean, 1e-12);
        CHECK_NEAR(error / tx_moments_error(&m), 1, 5 * sqrt(0.5 / 4000));
    }
}

/* Samples that are an affine map of the test rows have the moments that the map says. */
static void test_frechet(void)
{
    enum { N = 500, D = 2 };
    world w;
    normals(&w, D, N, 3);
    real *y = tx_quality_rows(w.q, TX_TEST, N), x[N * D];
    double m[D] = {0}, c[D][D] = {{0}};
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++) m[j] += (double)y[i * D + j] / N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++)
            for (int k = 0; k < D; k++)
                c[j][k] += ((double)y[i * D + j] - m[j]) * ((double)y[i * D + k] - m[k]) / (N - 1);
    double trace = c[0][0] + c[1][1], det = c[0][0] * c[1][1] - c[0][1] * c[0][1];
    tx_numbers same = measure(&w, "frechet", "{}", N, y, 0);
    CHECK_NEAR(same.m[0].value, 0, 1e-4);
    /* 3 y + 5: the roots commute; |2 m + 5|^2 + (3 - 1)^2 tr C. */
    for (int i = 0; i < N * D; i++) x[i] = 3 * y[i] + 5;
    tx_numbers wide = measure(&w, "frechet", "{}", N, x, 0);
    CHECK_NEAR(wide.m[0].value, pow(2 * m[0] + 5, 2) + pow(2 * m[1] + 5, 2) + 4 * trace, 1e-3);
    /* A quarter turn: they do not. With A the turned C: tr (A C)^(1/2) = sqrt(tr A C + 2 det C). */
    for (int i = 0; i < N; i++) x[i * D] = -y[i * D + 1], x[i * D + 1] = y[i * D];
    double ac = 2 * c[0][0] * c[1][1] - 2 * c[0][1] * c[0][1];
    double shift = pow(m[0] + m[1], 2) + pow(m[1] - m[0], 2);
    tx_numbers turned = measure(&w, "frechet", "{}", N, x, 0);
    CHECK_NEAR(turned.m[0].value, shift + 2 * trace - 2 * sqrt(ac + 2 * det), 1e-3);
    /* A collapsed model has no covariance: |m_x - m|^2 + tr C. */
    for (int i = 0; i < N * D; i++) x[i] = 1;
    tx_numbers one = measure(&w, "frechet", "{}", N, x, 0);
    CHECK_NEAR(one.m[0].value, pow(1 - m[0], 2) + pow(1 - m[1], 2) + trace, 1e-3);
    free(y);
    world_close(&w);
}

static double kernel(const real *a, const real *b, size_t dim, double bandwidth)
{
    double square = 0;
    for (size_t j = 0; j < dim; j++) square += pow((double)a[j] - (double)b[j], 2);
    return exp(-square / (2 * bandwidth * bandwidth));
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Lemma 6 by four loops, the bandwidth by sorting all distances of train. */
static void test_mmd_value(void)
{
    enum { N = 15, D = 3, PAIRS = N * (N - 1) / 2 };
    world w;
    normals(&w, D, N, 8);
    real *x = samples(D, N, 8, 1.4, 0.5), *y = tx_quality_rows(w.q, TX_TEST, N), *t = tx_quality_rows(w.q, TX_TRAIN, N);
    double distance[PAIRS], sum = 0;
    int pairs = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) distance[pairs++] = sqrt(-2 * log(kernel(t + i * D, t + j * D, D, 1)));
    qsort(distance, PAIRS, sizeof *distance, ascending);
    double median = PAIRS % 2 ? distance[PAIRS / 2] : (distance[PAIRS / 2] + distance[PAIRS / 2 - 1]) / 2;
    for (int scale = 1; scale <= 2; scale++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double s = scale * median / 2, part = -2 * kernel(x + i * D, y + j * D, D, s) / (N * N);
                if (i != j)
                    part += (kernel(x + i * D, x + j * D, D, s) + kernel(y + i * D, y + j * D, D, s)) / (N * (N - 1));
                sum += part / 2;
            }
    tx_numbers m = measure(&w, "mmd", "{scales: [0.5, 1]}", N, x, 0);
    CHECK_NEAR(m.m[0].value, sum, 1e-5);
    free(x), free(y), free(t);
    world_close(&w);
}

/* The share of p-values of at most 0.05 among fresh worlds. */
static double rejected(const char *metric, const char *text, size_t n, double scale, double shift, int trials)
{
    double share = 0;
    for (int k = 0; k < trials; k++) {
        world w;
        normals(&w, 2, n, 1000 + (uint64_t)k);
        real *x = samples(2, n, 1000 + (uint64_t)k, scale, shift);
        tx_numbers m = measure(&w, metric, text, n, x, (uint64_t)k);
        share += (tx_numbers_get(&m, "p_value") <= 0.05) / (double)trials;
        free(x);
        world_close(&w);
    }
    return share;
}

/* Of equal laws a share of 0.05 is rejected; of laws apart nearly all. */
static void test_mmd_level_and_power(void)
{
    enum { TRIALS = 400 };
    static const char few[] = "{n_permutation: 199, n_bootstrap: 2}";
    CHECK_NEAR(rejected("mmd", few, 40, 1, 0, TRIALS), 0.05, 4 * sqrt(0.05 * 0.95 / TRIALS));
    CHECK_TRUE(rejected("mmd", few, 40, 1, 1.2, 60) > 0.9);
    CHECK_TRUE(rejected("mmd", few, 40, 2.5, 0, 60) > 0.9);
    world w;
    normals(&w, 2, 40, 1);
    real *x = samples(2, 40, 1, 1, 100);
    tx_numbers m = measure(&w, "mmd", few, 40, x, 0);
    CHECK_NEAR(tx_numbers_get(&m, "p_value"), 1 / 200.0, 1e-12); /* the identity counts: never 0 */
    free(x);
    world_close(&w);
}

static void open_ring(world *w, const char *name)
{
    tx_data_config d;
    tx_view_config v;
    tx_options_defaults(tx_data_options, &d);
    tx_options_defaults(tx_view_options, &v);
    tx_copy_text(d.name, sizeof d.name, name);
    *w = (world){0};
    CHECK_OK(tx_dataset_open(&w->data, &d, NULL));
    CHECK_OK(tx_view_open(&w->view, &w->data, &v));
    w->q = tx_quality_new(&w->view);
}

static void close_ring(world *w)
{
    tx_quality_free(w->q);
    tx_view_close(&w->view);
    tx_dataset_close(&w->data);
}

static void no_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    (void)m, (void)t, (void)r, (void)first, (void)x;
}

/* The binomial tail is exact for a coin and no test at all for a constant: the level lies between. */
static void test_c2st_level_and_power(void)
{
    enum { TRIALS = 300 };
    static const char *const of[] = {"{epochs: 60, batch: 20, hidden: [8], learning_rate: 1e-2}", "{classifier: knn}"};
    for (size_t k = 0; k < TX_LEN(of); k++) {
        double level = rejected("c2st", of[k], 60, 1, 0, TRIALS);
        if (getenv("TAXON_SHOW")) printf("  c2st %s: level %.3f\n", of[k], level);
        CHECK_TRUE(level <= 0.05 + 4 * sqrt(0.05 * 0.95 / TRIALS) && level > 0.002);
        CHECK_TRUE(rejected("c2st", of[k], 60, 1, 1.8, 40) > 0.9);
        CHECK_TRUE(rejected("c2st", of[k], 60, 5, 0, 40) > 0.9);
    }
}

/* Laws that do not overlap are told apart for certain; two of two thirds' mass in common are with accuracy 2/3 at best.
 */
static void test_c2st_value(void)
{
    enum { N = 3000 };
    static const char *const of[] = {"{hidden: [16], learning_rate: 1e-2}", "{classifier: knn}"};
    float real_ones[2 * N];
    real half[N], apart[N];
    for (int i = 0; i < 2 * N; i++) real_ones[i] = (float)tx_rng_uniform1(tx_rng_root(3), (uint64_t)i);
    for (int i = 0; i < N; i++) { /* U(0,1) against U(1/3,4/3) */
        half[i] = (real)(tx_rng_uniform1(tx_rng_root(4), (uint64_t)i) + 1 / 3.0);
        apart[i] = half[i] + 3;
    }
    world w;
    world_open(&w, "uniform", 1, N, real_ones, N, real_ones + N);
    for (size_t k = 0; k < TX_LEN(of); k++) {
        tx_numbers m = measure(&w, "c2st", of[k], N, apart, 0), common = measure(&w, "c2st", of[k], N, half, 0);
        CHECK_NEAR(m.m[0].value, 1, 0);
        CHECK_TRUE(tx_numbers_get(&m, "p_value") < 1e-100);
        CHECK_NEAR(common.m[0].value, 2 / 3.0, 0.05);
        CHECK_TRUE(common.m[0].value < 2 / 3.0 + 4 * common.m[0].error);
        CHECK_NEAR(common.m[0].error, sqrt(2 / 9.0 / N), 2e-3);
    }
    tx_numbers lost = measure(
        &w, "c2st", "{learning_rate: 1e12, hidden: [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]}", N, apart, 0);
    if (sizeof(real) == 4) /* doubles hold it */
        CHECK_TRUE(isnan(lost.m[0].value) && isnan(lost.m[0].error) && isnan(tx_numbers_get(&lost, "p_value")));
    world_close(&w);
}

/* The ring's component is told by where a row is; features of another model's rows are those of the same net. */
static void test_classifier(void)
{
    world w;
    open_ring(&w, "ring");
    tx_feature_config c = {TX_FEATURE_CLASSIFIER, 0};
    real *x = tx_quality_rows(w.q, TX_TEST, 100);
    tx_points a = tx_quality_points(w.q, &c, 100, x), again = tx_quality_real_points(w.q, &c, TX_TEST, 100);
    CHECK_INT(a.dim, 64);
    CHECK_TRUE(memcmp(a.x, again.x, 100 * 64 * sizeof(real)) == 0);
    CHECK_TRUE(w.q->accuracy > 0.999);
    void *frechet = config_of("frechet", "{features: classifier, n_sample: 100, n_bootstrap: 4}");
    tx_numbers out = {0};
    CHECK_OK(tx_metric_run(tx_metric_find("frechet"), frechet, "f", w.q, x, tx_rng_root(0), &out));
    CHECK_NEAR(tx_numbers_get(&out, "f_classifier_accuracy"), w.q->accuracy, 0);
    CHECK_NEAR(tx_numbers_get(&out, "f"), 0, 1e-3 * tx_numbers_get(&out, "f_real")); /* the test rows themselves */
    CHECK_TRUE(tx_numbers_get(&out, "f_real") > 0);
    w.data.split[TX_TEST].label = NULL;
    for (int i = 0; tx_metric_list[i]; i++) {
        static const tx_model_ops speaks = {.name = "speaks", .sample = no_sample};
        if (!tx_options_find(tx_metric_list[i]->options, "features")) continue;
        void *of = config_of(tx_metric_list[i]->name, "{features: classifier}");
        CHECK_HAS(tx_metric_unfit(tx_metric_list[i], of, &speaks, &w.view), "no labels");
        free(of);
    }
    free(x), free(frechet);
    tx_points_free(&a), tx_points_free(&again);
    close_ring(&w);
}

/* A dull pixel ten times louder in the samples than in the data: nearly nothing in a picture, all there is among plain
 * variables. */
static void test_classifier_of_pictures(void)
{
    enum { N = 400, DIM = 4 };
    static const double amplitude[DIM] = {0.05, 0.05, 0.05, 0.002};
    float rows[2][N * DIM];
    uint8_t label[2][N];
    real louder[N * DIM];
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < DIM; j++) {
                double u = 2 * tx_rng_uniform1(tx_rng_root((uint64_t)s), i * DIM + j) - 1,
                       at = 0.25 + (i % 2 && j < 3 ? 0.5 : 0);
                label[s][i] = i % 2;
                rows[s][i * DIM + j] = (float)(at + amplitude[j] * u);
                louder[i * DIM + j] = (real)(at + amplitude[j] * u * (j == 3 ? 10 : 1));
            }
    double distance[2];
    for (size_t picture = 0; picture < 2; picture++) {
        world w;
        world_open(&w, "pixels", DIM, N, rows[0], N, rows[1]);
        w.data.split[TX_TRAIN].label = label[0], w.data.split[TX_TEST].label = label[1];
        w.view.space.n_class = 2;
        w.view.space.height = w.view.space.width = picture ? 2 : 0;
        tx_numbers out = measure(&w, "frechet", "{features: classifier, n_sample: 400, n_bootstrap: 4}", N, louder, 0);
        CHECK_TRUE(w.q->accuracy > 0.999);
        distance[picture] = out.m[0].value;
        world_close(&w);
    }
    if (getenv("TAXON_SHOW")) printf("  louder pixel: %g, as a picture %g\n", distance[0], distance[1]);
    CHECK_TRUE(distance[1] < 0.01 * distance[0]);
}

/* On the line, k = 1. Real 0, 1, 3, 7, -50 have radii 1, 1, 2, 4, 50; samples 0.5, 2.5, 5.5, 100, 101 have 2, 2, 3,
 * 1, 1. 0.5 is in the balls of 0 and 1; 2.5 in that of 3; 5.5 in that of 7. */
static void test_knn_by_hand(void)
{
    static const float y[] = {0, 1, 3, 7, -50};
    static const real x[] = {0.5, 2.5, 5.5, 100, 101};
    world w;
    world_open(&w, "line", 1, 5, y, 5, y);
    tx_numbers m = measure(&w, "knn", "{k: 1}", 5, x, 0);
    CHECK_NEAR(tx_numbers_get(&m, "precision"), 3 / 5.0, 1e-12);
    CHECK_NEAR(tx_numbers_get(&m, "density"), 4 / 5.0, 1e-12);
    CHECK_NEAR(tx_numbers_get(&m, "coverage"), 4 / 5.0, 1e-12); /* all but -50 */
    CHECK_NEAR(tx_numbers_get(&m, "recall"), 4 / 5.0, 1e-12);   /* all but -50 */
    /* k = 2: radii of real 3, 2, 3, 6, 51: 0.5 in those of 0, 1, 3, -50; 2.5 in 0, 1, 3, 7; 5.5 in 3, 7. */
    m = measure(&w, "knn", "{k: 2, n_bootstrap: 2}", 5, x, 0);
    CHECK_NEAR(tx_numbers_get(&m, "density"), 10 / 10.0, 1e-12);
    world_close(&w);
}

/* What the words mean: precision is about samples, recall about data (torch-fidelity once had them the other way
 * round). */
static void test_knn_convention(void)
{
    enum { N = 300 };
    static const char settings[] = "{k: 3, n_bootstrap: 2}";
    world w;
    normals(&w, 2, N, 21);
    real *same = tx_quality_rows(w.q, TX_TEST, N), *collapsed = samples(2, N, 4, 0.05, 0),
         *wide = samples(2, N, 4, 20, 0);
    tx_numbers m = measure(&w, "knn", settings, N, same, 0);
    CHECK_NEAR(tx_numbers_get(&m, "precision"), 1, 0);
    CHECK_NEAR(tx_numbers_get(&m, "recall"), 1, 0);
    CHECK_NEAR(tx_numbers_get(&m, "coverage"), 1, 0);
    CHECK_TRUE(tx_numbers_get(&m, "density") > 1);
    m = measure(&w, "knn", settings, N, collapsed, 0);
    CHECK_TRUE(tx_numbers_get(&m, "precision") > 0.95);
    CHECK_TRUE(tx_numbers_get(&m, "recall") < 0.1);
    CHECK_TRUE(tx_numbers_get(&m, "coverage") < 0.1);
    m = measure(&w, "knn", settings, N, wide, 0);
    CHECK_TRUE(tx_numbers_get(&m, "precision") < 0.1);
    CHECK_TRUE(tx_numbers_get(&m, "recall") > 0.95);
    CHECK_TRUE(tx_numbers_get(&m, "density") < 0.1);
    free(same), free(collapsed), free(wide);
    world_close(&w);
}

static void test_nearest(void)
{
    enum { N = 40 };
    float train[N], test[N];
    for (int i = 0; i < N; i++) train[i] = (float)(10 * i), test[i] = (float)(10 * i) + (i % 2 ? 1 : -3);
    world w;
    world_open(&w, "line", 1, N, train, N, test);
    void *c = config_of("nearest", "{}");
    real *copy = tx_quality_rows(w.q, TX_TRAIN, N), *new = tx_quality_rows(w.q, TX_TEST, N), away[N];
    for (int i = 0; i < N; i++) away[i] = copy[i] + 4;
    const struct {
        const real *x;
        double distance;
    } of[] = {{copy, 0}, {new, 2}, {away, 4}};
    for (size_t k = 0; k < TX_LEN(of); k++) {
        tx_numbers out = {0};
        CHECK_OK(tx_metric_run(tx_metric_find("nearest"), c, "near", w.q, of[k].x, tx_rng_root(0), &out));
        CHECK_NEAR(tx_numbers_get(&out, "near"), of[k].distance, 1e-3);
        CHECK_NEAR(tx_numbers_get(&out, "near_real"), 2, 1e-3);
        CHECK_NEAR(tx_numbers_get(&out, "near_ratio"), of[k].distance / 2, 1e-3);
        CHECK_INT(out.m[0].n_sample, N);
    }
    free(copy), free(new), free(c);
    world_close(&w);
}

/* Samples about some modes of the ring, at so many deviations from them. */
static tx_numbers around(world *w, size_t n, size_t n_mode, double deviations)
{
    real *x = tx_alloc(2 * n, sizeof *x);
    for (size_t i = 0; i < n; i++) {
        double centre[2], s = w->data.known->mode(&w->data, i % n_mode, centre), angle = (double)i;
        for (int j = 0; j < 2; j++)
            x[2 * i + (size_t)j] = (real)(centre[j] + s * deviations * (j ? sin(angle) : cos(angle)));
    }
    tx_numbers m = measure(w, "mode", "{}", n, x, 0);
    free(x);
    return m;
}

/* KL of equal shares of m modes from equal shares of M: log M - H = log(M / m). */
static void test_modes(void)
{
    world w;
    open_ring(&w, "ring");
    for (size_t m = 1; m <= 8; m *= 2) {
        tx_numbers out = around(&w, 800, m, 1);
        CHECK_NEAR(tx_numbers_get(&out, "count"), (double)m, 0);
        CHECK_NEAR(tx_numbers_get(&out, "kl"), log(8.0 / (double)m), 1e-9);
        CHECK_NEAR(tx_numbers_get(&out, "high_quality"), 1, 1e-9);
    }
    tx_numbers inside = around(&w, 800, 8, 2.99), outside = around(&w, 800, 8, 3.01);
    CHECK_NEAR(tx_numbers_get(&inside, "high_quality"), 1, 1e-9);
    CHECK_NEAR(tx_numbers_get(&outside, "high_quality"), 0, 0);
    CHECK_NEAR(tx_numbers_get(&outside, "count"), 0, 0);
    CHECK_NEAR(tx_numbers_get(&outside, "kl"), 0, 1e-9);
    close_ring(&w);
    open_ring(&w, "grid"); /* real rows: a share 1 - exp(-9/2) lies within 3 deviations of a normal in the plane */
    real *x = tx_quality_rows(w.q, TX_TEST, 2500);
    tx_numbers real_ones = measure(&w, "mode", "{}", 2500, x, 0);
    CHECK_NEAR(tx_numbers_get(&real_ones, "count"), 25, 0);
    CHECK_NEAR(tx_numbers_get(&real_ones, "high_quality"), 1 - exp(-4.5), 5 * error_in(&real_ones, "high_quality"));
    CHECK_NEAR(tx_numbers_get(&real_ones, "kl"), 24 / (2 * 2500.0), 6 * 24 / (2 * 2500.0)); /* chi^2_24 / 2n */
    free(x);
    close_ring(&w);
}

/* Samples about some modes of the ring, normal, `stretch` as wide as the modes and off by `shift` of the smoothed
 * deviation: modes are far apart, and the divergences of two normals in the plane of variances v = 1 and w = v' / v in
 * units of the smoothed one are KL(p' || g') = (1 + shift^2) / w - 1 + log w to the halves, and the mirror image. */
static void check_smoothed(size_t n_mode, double stretch, double shift)
{
    enum { N = 10000 };
    const double sigma = 1.5, whole = 1 + sigma * sigma, w = (stretch * stretch + sigma * sigma) / whole;
    world ring;
    open_ring(&ring, "ring");
    real *x = tx_alloc(2 * N, sizeof *x);
    for (size_t i = 0; i < N; i++) {
        double centre[2], s = ring.data.known->mode(&ring.data, i % n_mode, centre);
        for (size_t j = 0; j < 2; j++)
            x[2 * i + j] = (real)(centre[j] + s * (stretch * tx_rng_normal1(tx_rng_root(77), 2 * i + j) +
                                                   (j ? 0 : shift * sqrt(whole))));
    }
    tx_numbers m = measure(&ring, "smoothed", "{sigma: 1.5}", N, x, 5);
    const double few = log(8.0 / (double)n_mode), bias = 0.01; /* of so many kernels */
    if (n_mode == 8)
        CHECK_NEAR(tx_numbers_get(&m, "kl"), 1 / w - 1 + log(w) + shift * shift / (2 * w),
                   5 * error_in(&m, "kl") + bias);
    else
        CHECK_TRUE(tx_numbers_get(&m, "kl") > 10);
    CHECK_NEAR(tx_numbers_get(&m, "reverse_kl"), few + w - 1 - log(w) + shift * shift / 2,
               5 * error_in(&m, "reverse_kl") + bias);
    CHECK_TRUE(error_in(&m, "reverse_kl") < 0.03);
    CHECK_NEAR(tx_numbers_get(&m, "sigma"), 0.015, 1e-9);
    free(x);
    close_ring(&ring);
}

static void test_smoothed(void)
{
    check_smoothed(8, 1, 0);
    check_smoothed(8, 1.785, 0);
    check_smoothed(8, 1, 0.6);
    check_smoothed(4, 1, 0);
    check_smoothed(1, 0.5, 0.3);
}

/* Is the stated error the spread over worlds? Both sides fresh each time. */
static void check_error(const char *metric, const char *text, const char *quantity, size_t n, double scale,
                        double shift, double low, double high)
{
    enum { WORLDS = 100 };
    tx_moments value = {0}, error = {0};
    for (uint64_t k = 0; k < WORLDS; k++) {
        world w;
        normals(&w, 2, n, 5000 + k);
        real *x = samples(2, n, 5000 + k, scale, shift);
        tx_numbers m = measure(&w, metric, text, n, x, k);
        tx_moments_add(&value, tx_numbers_get(&m, quantity));
        tx_moments_add(&error, error_in(&m, quantity));
        free(x);
        world_close(&w);
    }
    double spread = sqrt(value.square / (WORLDS - 1)), ratio = error.mean / spread;
    if (getenv("TAXON_SHOW"))
        printf("  %s %s: error %.4g, spread %.4g, ratio %.3f\n", metric, quantity, error.mean, spread, ratio);
    if (!(ratio >= low && ratio <= high)) printf("\n  %s %s: error over spread %.3f\n", metric, quantity, ratio);
    CHECK_TRUE(ratio >= low && ratio <= high);
}

static void test_errors(void)
{
    static const char n60[] = "{n_bootstrap: 60}", mmd[] = "{n_bootstrap: 60, n_permutation: 1}";
    check_error("mmd", mmd, "", 80, 1.5, 1, 0.75, 1.35);
    check_error("mmd", mmd, "", 80, 1, 0, 1, 2.2); /* degenerate: too large, by about sqrt(3) */
    check_error("frechet", n60, "", 80, 1.5, 1, 0.75, 1.35);
    check_error("nearest", n60, "", 80, 1.5, 1, 0.6, 1.3);
    check_error("knn", n60, "precision", 80, 1.5, 1, 0.75, 1.5);
    check_error("knn", n60, "recall", 80, 1.5, 1, 0.75, 2.2); /* near 1 of all rows, further from it of halves */
    check_error("knn", n60, "density", 80, 1.5, 1, 0.75, 1.5);
    check_error("knn", n60, "coverage", 80, 1.5, 1, 0.75, 1.5);
}

static void test_threads(void)
{
    static const int threads[] = {1, 2, 4};
    world w;
    open_ring(&w, "ring");
    real *x = samples(2, 300, 2, 0.3, 0);
    for (int i = 0; tx_metric_list[i]; i++) {
        if (tx_metric_list[i]->run_model) continue;
        void *c = config_of(tx_metric_list[i]->name, "{n_sample: 300}");
        tx_numbers out[TX_LEN(threads)] = {{0}};
        for (size_t k = 0; k < TX_LEN(threads); k++) {
            tx_threads_set(threads[k]);
            CHECK_OK(tx_metric_run(tx_metric_list[i], c, "m", w.q, x, tx_rng_root(0), &out[k]));
            CHECK_INT(out[k].n, out[0].n);
            for (int j = 0; j < out[0].n; j++) {
                CHECK_NEAR(out[k].m[j].value, out[0].m[j].value, 0);
                if (isfinite(out[0].m[j].error)) CHECK_NEAR(out[k].m[j].error, out[0].m[j].error, 0);
                CHECK_INT(out[k].m[j].n_sample, 300);
            }
        }
        free(c);
    }
    tx_threads_set(1);
    free(x);
    close_ring(&w);
}

/* A model whose encoder tells the ring's component, or says nothing, beside one that answers by itself. */
static tx_latent one_latent(const tx_model *m)
{
    (void)m;
    return (tx_latent){1, NULL};
}
static void encode_angle(tx_model *m, tx_tape *t, tx_var x, tx_var *mu, tx_var *lv)
{
    (void)m;
    tx_tensor z = tx_tape_tensor(t, tx_rows(x->v), 1);
    for (size_t i = 0; i < tx_rows(z); i++)
        z.x[i] = (real)rint(4 * atan2((double)x->v.x[2 * i + 1], (double)x->v.x[2 * i]) / M_PI);
    for (size_t i = 0; i < tx_rows(z); i++) z.x[i] = z.x[i] == -4 ? 4 : z.x[i];
    *mu = *lv = tx_leaf(t, z);
}
static void encode_nothing(tx_model *m, tx_tape *t, tx_var x, tx_var *mu, tx_var *lv)
{
    (void)m;
    tx_tensor z = tx_tape_tensor(t, tx_rows(x->v), 1);
    for (size_t i = 0; i < tx_rows(z); i++) z.x[i] = 1;
    *mu = *lv = tx_leaf(t, z);
}
/* Class 0 where x > 0, else class 4: right of a quarter of the ring's eight. */
static tx_var answer(tx_model *m, tx_tape *t, tx_var x)
{
    (void)m;
    tx_tensor l = tx_tape_tensor(t, tx_rows(x->v), 8);
    for (size_t i = 0; i < tx_rows(l); i++)
        for (size_t k = 0; k < 8; k++) l.x[i * 8 + k] = k == (x->v.x[2 * i] > 0 ? 0u : 4u);
    return tx_leaf(t, l);
}
static size_t seen_labels(const tx_model *m)
{
    (void)m;
    return 80;
}

static void test_classification(void)
{
    static const tx_model_ops angle = {.name = "angle", .latent = one_latent, .posterior = encode_angle},
                              nothing = {.name = "nothing", .latent = one_latent, .posterior = encode_nothing},
                              own = {.name = "own", .classify = answer, .n_label = seen_labels},
                              bare = {.name = "bare"};
    static const struct {
        const tx_model_ops *ops;
        double error, most;
        const char *words;
    } of[] = {{&angle, 0, 0.02, "by its features, 80 labels"},
              {&nothing, 7 / 8.0, 0.02, "by its features, 80 labels"},
              {&own, 3 / 4.0, 0.02, "by the model, 80 labels"}};
    const tx_metric_ops *m = tx_metric_find("classification");
    world w;
    open_ring(&w, "ring");
    void *c = config_of("classification", "{n_label: 80, n_step: 1500, hidden: [40], learning_rate: 1e-2}");
    double n = (double)w.data.split[TX_TEST].n;
    CHECK_INT(tx_metric_n(m, c, &w.view), 0);
    for (size_t k = 0; k < TX_LEN(of); k++) {
        tx_model model = {.ops = of[k].ops, .space = &w.view.space};
        tx_numbers out = {0};
        CHECK_TRUE(!tx_metric_unfit(m, c, of[k].ops, &w.view));
        CHECK_OK(tx_metric_run_model(m, c, "labels", &model, &w.view, 3, &out));
        CHECK_INT(out.n, 2);
        CHECK_TEXT(out.m[0].name, "labels_error");
        CHECK_TEXT(out.m[1].name, "labels_error_supervised");
        CHECK_HAS(out.m[0].long_name, of[k].words);
        double e = out.m[0].value;
        CHECK_NEAR(e, of[k].error, of[k].most);
        CHECK_NEAR(out.m[0].error, sqrt(e * (1 - e) / n), 1e-12);
        CHECK_INT(out.m[0].n_sample, n);
        CHECK_TRUE(out.m[1].value < 0.05); /* the rows themselves tell */
    }
    void *fewer = config_of("classification", "{n_label: 16}");
    tx_numbers none = {0};
    CHECK_OK(
        tx_metric_run_model(m, fewer, "labels", &(tx_model){.ops = &own, .space = &w.view.space}, &w.view, 3, &none));
    CHECK_INT(none.n, 0);
    CHECK_HAS(tx_metric_unfit(m, c, &bare, &w.view), "no encoder");
    void *flat = config_of("classification", "{n_label: 16, hidden: []}");
    CHECK_HAS(tx_metric_unfit(m, flat, &angle, &w.view), "1 to 15 hidden layers");
    free(flat);
    w.view.space.n_train = 79;
    CHECK_HAS(tx_metric_unfit(m, c, &angle, &w.view), "more than there are training rows");
    w.view.space.n_class = 0;
    CHECK_HAS(tx_metric_unfit(m, c, &angle, &w.view), "no labels");
    free(c), free(fewer);
    close_ring(&w);
}

static void test_what_applies(void)
{
    static const tx_model_ops mute = {.name = "mute"}, speaks = {.name = "speaks", .sample = no_sample};
    world w, ring;
    normals(&w, 2, 12, 1);
    open_ring(&ring, "ring");
    for (int i = 0; tx_metric_list[i]; i++) {
        const tx_metric_ops *m = tx_metric_list[i];
        if (m->run_model) continue;
        void *c = config_of(m->name, "{}");
        bool needs_modes = strcmp(m->name, "mode") == 0 || strcmp(m->name, "smoothed") == 0;
        CHECK_TRUE(tx_metric_find(m->name) == m);
        CHECK_HAS(tx_metric_unfit(m, c, &mute, &ring.view), "sample");
        CHECK_TRUE(!tx_metric_unfit(m, c, &speaks, &ring.view));
        CHECK_TRUE(!tx_metric_unfit(m, c, &speaks, &w.view) == !needs_modes);
        CHECK_INT(tx_metric_n(m, c, &w.view), 12); /* no more than there are rows */
        real x[24] = {0};
        tx_numbers out = {0};
        if (!needs_modes) CHECK_OK(tx_metric_run(m, c, "m", w.q, x, tx_rng_root(0), &out));
        x[23] = (real)NAN;
        CHECK_INT(tx_metric_run(m, c, "m", w.q, x, tx_rng_root(0), &out), TX_EDIVERGED);
        CHECK_HAS(tx_last_error(), "not finite");
        free(c);
    }
    void *c = config_of("knn", "{k: 6}");
    CHECK_HAS(tx_metric_unfit(tx_metric_find("knn"), c, &speaks, &w.view), "no more than k");
    CHECK_TRUE(!tx_metric_find("kn"));
    free(c);
    c = config_of("mode", "{}");
    ring.data.split[TX_TRAIN].n = 9;
    CHECK_HAS(tx_metric_unfit(tx_metric_find("mode"), c, &speaks, &ring.view), "fewer than 10 rows");
    free(c);
    world_close(&w);
    close_ring(&ring);
}

int main(void)
{
    static const tx_test tests[] = {{"rows", test_rows},
                                    {"principal components", test_components},
                                    {"halves", test_halves},
                                    {"frechet", test_frechet},
                                    {"mmd: value", test_mmd_value},
                                    {"mmd: level and power", test_mmd_level_and_power},
                                    {"c2st: level and power", test_c2st_level_and_power},
                                    {"classifier of pictures", test_classifier_of_pictures},
                                    {"c2st: value", test_c2st_value},
                                    {"classifier", test_classifier},
                                    {"classification", test_classification},
                                    {"knn: by hand", test_knn_by_hand},
                                    {"knn: convention", test_knn_convention},
                                    {"nearest", test_nearest},
                                    {"modes", test_modes},
                                    {"smoothed", test_smoothed},
                                    {"errors", test_errors},
                                    {"threads", test_threads},
                                    {"what applies", test_what_applies}};
    return tx_run_tests("quality", tests, TX_LEN(tests));
}
