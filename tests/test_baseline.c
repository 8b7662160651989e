/* Baselines against brute force, closed forms and naive sums in double precision. */
#include <stdlib.h>
#include "common/likelihood/estimator.h"
#include "common/tensor/distance.h"
#include "models/baseline/rows.h"
#include "tests/support/check.h"

extern const tx_model_ops tx_model_chow_liu, tx_model_gaussian, tx_model_independent, tx_model_kde, tx_model_mixture;

static const bool is_double = sizeof(real) == sizeof(double);
/* Relative error of a log-likelihood of a few coordinates. */
static const double TOL = sizeof(real) == 8 ? 1e-11 : 1e-5;

/* ---- data in memory, the same rows in every split ---- */
enum { MAX_ROWS = 5000, MAX_DIM = 8 };
typedef struct set {
    tx_dataset data;
    tx_view view;
    uint8_t level[MAX_ROWS * MAX_DIM];
    float value[MAX_ROWS * MAX_DIM];
} set;

static tx_status open_set(set *s, tx_data_type type, int levels, size_t n, size_t d, const char *view)
{
    s->data = (tx_dataset){.type = type, .levels = levels, .dim = d};
    tx_copy_text(s->data.name, sizeof s->data.name, "made");
    for (int k = 0; k < TX_N_SPLIT; k++) {
        s->data.split[k].n = n;
        if (type == TX_REAL)
            s->data.split[k].value = s->value;
        else
            s->data.split[k].level = s->level;
    }
    char text[64];
    snprintf(text, sizeof text, "{view: %s}", view);
    tx_yaml *y = NULL;
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &y));
    CHECK_OK(tx_options_parse(&(tx_option_set){tx_view_options, &c}, 1, y, "test", NULL));
    tx_yaml_free(y);
    return tx_view_open(&s->view, &s->data, &c);
}

static set *new_set(void) { return tx_alloc(1, sizeof(set)); }
static void free_set(set *s)
{
    tx_view_close(&s->view);
    free(s);
}

static tx_rng stream(const char *name) { return tx_rng_named(tx_rng_root(20), name); }

/* Correlated coin flips: each leans towards another one before it. */
static set *coins(size_t n, size_t d)
{
    set *s = new_set();
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) {
            size_t up = (j * 5 + 2) % (j ? j : 1);
            double p = j == 0 ? 0.37 : s->level[i * d + up] ? 0.58 + 0.04 * (double)j : 0.21;
            s->level[i * d + j] = tx_rng_uniform1(stream("coins"), i * d + j) < p;
        }
    CHECK_OK(open_set(s, TX_BINARY, 2, n, d, "raw"));
    return s;
}

/* Correlated normals of unlike scales, far from 0. */
static set *clouds(size_t n, size_t d)
{
    set *s = new_set();
    for (size_t i = 0; i < n; i++) {
        double shared = tx_rng_normal1(stream("clouds"), i * (d + 1));
        for (size_t j = 0; j < d; j++)
            s->value[i * d + j] = (float)(3.7 - (double)j + (0.4 + 0.3 * (double)j) * shared +
                                          0.6 * tx_rng_normal1(stream("clouds"), i * (d + 1) + j + 1));
    }
    CHECK_OK(open_set(s, TX_REAL, 0, n, d, "raw"));
    return s;
}

static tx_status try_model(tx_model **m, const tx_model_ops *ops, const set *s, const char *text)
{
    void *c = tx_alloc(1, ops->config_size);
    tx_yaml *y = NULL;
    tx_options_defaults(ops->options, c);
    CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &y));
    CHECK_OK(tx_options_parse(&(tx_option_set){ops->options, c}, 1, y, "test", NULL));
    tx_yaml_free(y);
    tx_status status = tx_model_new(m, ops, c, &s->view.space, 7);
    free(c);
    return status;
}

static double em(tx_model *m, const set *s, uint64_t epoch)
{
    tx_metrics metrics = {0};
    CHECK_OK(m->ops->iterate(m, &s->view, 5, epoch, &metrics));
    return metrics.m[0].value;
}

static tx_model *fitted(const tx_model_ops *ops, const set *s, const char *text)
{
    tx_model *m = NULL;
    CHECK_OK(try_model(&m, ops, s, text));
    if (ops->fit)
        CHECK_OK(ops->fit(m, &s->view, 5));
    else
        for (uint64_t epoch = 0; epoch < 40; epoch++) em(m, s, epoch);
    return m;
}

static real *weight(const tx_model *m, const char *name)
{
    for (int i = 0; i < m->n_net; i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++)
            if (strcmp(tx_params_name(m->net[i], (tx_param){j}), name) == 0)
                return tx_params_value(m->net[i], (tx_param){j}).x;
    CU_FAIL("no such weight");
    return NULL;
}

/* log p of the first n rows of test; returns their mean. */
static double log_probs(tx_model *m, const set *s, size_t n, double value[])
{
    double mean = 0;
    size_t d = s->data.dim;
    real *x = tx_alloc(n * d, sizeof *x);
    tx_tape *t = tx_tape_new(1 << 16);
    tx_view_range(&s->view, TX_TEST, 0, n, x, NULL);
    tx_model_evaluate(m, t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, n, d), value);
    for (size_t i = 0; i < n; i++) mean += value[i] / (double)n;
    tx_tape_free(t), free(x);
    return mean;
}

/* ---- distances ---- */

static void test_distances(void)
{
    enum { N = 7, M = 65, D = 33 };
    real x[N * D], y[M * D], out[N * M];
    double xs[N], ys[M], centre[D];
    for (size_t i = 0; i < N * D; i++) x[i] = (real)(1000 + tx_rng_normal1(stream("x"), i));
    for (size_t i = 0; i < M * D; i++) y[i] = (real)(1000 + tx_rng_normal1(stream("y"), i));
    memcpy(y, x, sizeof x); /* distances of 0, which rounding makes negative */
    double want[N * M];
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < M; j++) {
            want[i * M + j] = 0;
            for (size_t k = 0; k < D; k++) want[i * M + j] += pow((double)x[i * D + k] - (double)y[j * D + k], 2);
        }
    tx_rows_mean(M, D, y, centre);
    CHECK_NEAR(centre[3], 1000, 1);
    tx_rows_centre(N, D, centre, x, xs);
    tx_rows_centre(M, D, centre, y, ys);
    tx_rows_distance(N, M, D, x, xs, y, ys, out);
    for (size_t i = 0; i < N * M; i++) {
        CHECK_NEAR(out[i], want[i], (is_double ? 1e-9 : 2e-3) + TOL * want[i]); /* 1000 itself is rounded in float */
        CHECK_TRUE(out[i] >= 0);
    }
}

/* ---- clusters ---- */

static double naive_distance(size_t d, const real *a, const real *b)
{
    double sum = 0;
    for (size_t j = 0; j < d; j++) sum += pow((double)a[j] - (double)b[j], 2);
    return sum;
}

static void test_clusters(void)
{
    enum { N = 600, D = 3, K = 130 };
    set *s = clouds(N, D);
    real *x = tx_alloc(N * D, sizeof *x);
    double *square = tx_alloc(N, sizeof *square), last = INFINITY;
    tx_view_range(&s->view, TX_TRAIN, 0, N, x, NULL);
    tx_rows_centre(N, D, s->view.space.mean, x, square);
    for (int n_iter = 0; n_iter < 6; n_iter++) { /* 130 centres: rounds of 2 */
        tx_clusters c = tx_clusters_find(N, D, x, square, K, n_iter, stream("clusters"));
        double sum = 0;
        size_t total = 0;
        for (size_t i = 0; i < N; i++) {
            double own = naive_distance(D, x + i * D, c.centre + c.nearest[i] * D), best = INFINITY;
            for (size_t k = 0; k < K; k++) best = fmin(best, naive_distance(D, x + i * D, c.centre + k * D));
            CHECK_NEAR(own, best, 1e-5);
            sum += own;
        }
        for (size_t k = 0; k < K; k++) total += c.size[k];
        CHECK_INT(total, N);
        CHECK_TRUE(sum < last);
        if (n_iter == 0) { /* seeds are distinct rows */
            for (size_t k = 0; k < K; k++) CHECK_TRUE(c.size[k] >= 1);
        }
        last = sum;
        tx_clusters_free(&c);
    }
    free(x), free(square), free_set(s);
}

/* k-means++ draws the second centre with probability proportional to the squared distance: 1, 4 and 9 of 14. */
static void test_seeding(void)
{
    enum { N = 4, REPEATS = 20000 };
    const real x[N] = {0, 1, 2, 3};
    const double square[N] = {0, 1, 4, 9};
    double count[N] = {0}, from_first = 0;
    for (uint64_t i = 0; i < REPEATS; i++) {
        tx_clusters c = tx_clusters_find(N, 1, x, square, 2, 0, tx_rng_fold(stream("seeding"), i));
        if (c.centre[0] == 0) count[(int)c.centre[1]]++, from_first++;
        tx_clusters_free(&c);
    }
    CHECK_NEAR(from_first / REPEATS, 0.25, 5 * sqrt(0.25 * 0.75 / REPEATS));
    for (int k = 1; k < N; k++) {
        double p = k * k / 14.0;
        CHECK_NEAR(count[k] / from_first, p, 5 * sqrt(p * (1 - p) / from_first));
    }
    CHECK_INT(count[0], 0);
}

static void test_components(void)
{
    enum { N = 40000, K = 5 };
    const real log_weight[K] = {(real)-0.3, (real)-50, (real)0.9, (real)-1.7, (real)-0.2};
    static size_t at[N], again[1];
    double count[K] = {0}, sum = 0;
    tx_draw_components(K, log_weight, stream("components"), 0, N, at);
    tx_draw_components(K, log_weight, stream("components"), 1234, 1, again);
    CHECK_INT(again[0], at[1234]);
    for (size_t i = 0; i < N; i++) count[at[i]]++;
    for (size_t k = 0; k < K; k++) sum += exp((double)log_weight[k]);
    for (size_t k = 0; k < K; k++) {
        double p = exp((double)log_weight[k]) / sum;
        CHECK_NEAR(count[k] / N, p, 5 * sqrt(p * (1 - p) / N));
    }
}

/* ---- Chow-Liu ---- */

static double pair_count(const set *s, size_t n, size_t i, size_t j, int u, int v)
{
    double count = 0;
    for (size_t k = 0; k < n; k++) count += s->level[k * s->data.dim + i] == u && s->level[k * s->data.dim + j] == v;
    return count;
}

/* log p of one row under the tree `parent` (parent[j] = j: root), from counts with pseudo-count a. */
static double tree_log_prob(const set *s, size_t n, const size_t parent[], double a, const uint8_t *x)
{
    double sum = 0;
    for (size_t j = 0; j < s->data.dim; j++) {
        size_t i = parent[j];
        double own[2] = {pair_count(s, n, j, j, 0, 0) + 2 * a, pair_count(s, n, j, j, 1, 1) + 2 * a};
        if (i != j)
            for (int v = 0; v < 2; v++) own[v] = pair_count(s, n, i, j, x[i], v) + a;
        sum += log(own[x[j]] / (own[0] + own[1]));
    }
    return sum;
}

/* Every parent vector without a cycle and with one root: all 16 trees on 4 variables, from each root. */
static double best_tree(const set *s, size_t n, double a, size_t best[4])
{
    double most = -INFINITY;
    int n_tree = 0;
    for (int code = 0; code < 256; code++) {
        size_t parent[4], roots = 0, lost = 0;
        for (int j = 0; j < 4; j++) parent[j] = (size_t)(code >> (2 * j)) & 3, roots += parent[j] == (size_t)j;
        for (size_t j = 0; j < 4; j++) {
            size_t i = j;
            for (int k = 0; k < 4; k++) i = parent[i];
            lost += parent[i] != i;
        }
        if (roots != 1 || lost) continue;
        n_tree++;
        double sum = 0;
        for (size_t k = 0; k < n; k++) sum += tree_log_prob(s, n, parent, a, s->level + k * 4);
        if (sum > most) most = sum, memcpy(best, parent, sizeof parent);
    }
    CHECK_INT(n_tree, 64);
    return most / (double)n;
}

static void test_tree_is_best(void)
{
    enum { N = 211 };
    for (size_t shift = 0; shift < 3; shift++) {
        set *s = coins(N + 40 * shift, 4);
        size_t n = N + 40 * shift, best[4];
        double value[N + 80], most = best_tree(s, n, 1e-3, best);
        tx_model *m = fitted(&tx_model_chow_liu, s, "{smoothing: 1e-3}");
        tx_model *alone = fitted(&tx_model_independent, s, "{smoothing: 2e-3}");
        CHECK_NEAR(log_probs(m, s, n, value), most, TOL * 10);
        for (size_t i = 0; i < n; i += 13)
            CHECK_NEAR(value[i], tree_log_prob(s, n, best, 1e-3, s->level + i * 4), TOL * 30);
        CHECK_TRUE(most > log_probs(alone, s, n, value) + 0.05);
        tx_model_free(m), tx_model_free(alone), free_set(s);
    }
}

/* A chain of 6 copies with errors, in shuffled order, is found; the depth is that from variable 0. Rows are counted in
 * blocks, of which the last is not full. */
static void test_tree_is_found(void)
{
    enum { N = 5000, D = 6 };
    static const size_t chain[D] = {3, 0, 5, 1, 4, 2};
    set *s = new_set();
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < D; k++) {
            uint8_t flip = tx_rng_uniform1(stream("chain"), i * D + k) < (k ? 0.2 : 0.5);
            s->level[i * D + chain[k]] = k ? s->level[i * D + chain[k - 1]] ^ flip : flip;
        }
    CHECK_OK(open_set(s, TX_BINARY, 2, N, D, "raw"));
    tx_model *m = fitted(&tx_model_chow_liu, s, "{smoothing: 0.5}");
    const real *parent = weight(m, "parent"), *on = weight(m, "logit1");
    for (size_t k = 1; k < D; k++) {
        size_t a = chain[k - 1], b = chain[k], i = (size_t)parent[k];
        CHECK_TRUE((size_t)parent[a] == b || (size_t)parent[b] == a);
        CHECK_NEAR(on[k], log((pair_count(s, N, i, k, 1, 1) + 0.5) / (pair_count(s, N, i, k, 1, 0) + 0.5)), TOL);
    }
    CHECK_INT(parent[0], 0);
    CHECK_NEAR(m->ops->sequential_steps(m), 5, 0); /* 0 is second: the other end is 4 edges away */
    tx_model_free(m), free_set(s);
}

/* Pseudo-counts: never seen is not impossible, and the prior is uniform for large ones. */
static void test_tree_smoothing(void)
{
    enum { N = 9, D = 3 };
    set *s = new_set();
    for (size_t i = 0; i < N; i++) s->level[i * D] = i < 4, s->level[i * D + 1] = i < 4, s->level[i * D + 2] = 1;
    CHECK_OK(open_set(s, TX_BINARY, 2, N, D, "raw"));
    tx_model *m = fitted(&tx_model_chow_liu, s, "{smoothing: 0.5}");
    const real *parent = weight(m, "parent"), *on = weight(m, "logit1"), *off = weight(m, "logit0");
    CHECK_NEAR(on[0], log(5 / 6.0), TOL); /* root: (4 + 2a) to (5 + 2a) */
    CHECK_INT(parent[1], 0);
    CHECK_NEAR(on[1], log(4.5 / 0.5), TOL);
    CHECK_NEAR(off[1], log(0.5 / 5.5), TOL);
    CHECK_NEAR(off[2] + on[2], log(5.5 / 0.5) + log(4.5 / 0.5), TOL * 10); /* constant, after either of the two */
    tx_model_free(m);
    m = fitted(&tx_model_chow_liu, s, "{smoothing: 1e9}");
    double value[N];
    CHECK_NEAR(log_probs(m, s, N, value), -D * log(2), 1e-5);
    tx_model_free(m), free_set(s);
}

/* Passes over a random view count its draws: their expectation in the limit. */
static void test_tree_of_random_rows(void)
{
    enum { N = 60, D = 3 };
    set *s = new_set();
    for (size_t i = 0; i < N * D; i++) s->level[i] = (uint8_t)(i * i % 7 % 5);
    CHECK_OK(open_set(s, TX_LEVELS, 5, N, D, "binarised"));
    tx_model *m = fitted(&tx_model_chow_liu, s, "{n_pass: 400}");
    double one = 0, both = 0, first = 0, passes = 400;
    const real *parent = weight(m, "parent");
    size_t j = 2, i = (size_t)parent[j];
    for (size_t k = 0; k < N; k++) {
        double p = s->level[k * D + i] / 4.0, q = s->level[k * D + j] / 4.0;
        first += p, both += p * q, one += q;
    }
    CHECK_TRUE(i != j);
    double p = both / first, spread = 1 / sqrt(passes * first * p * (1 - p));
    CHECK_NEAR(weight(m, "logit1")[j], log(p / (1 - p)), 5 * spread);
    p = (one - both) / (N - first), spread = 1 / sqrt(passes * (N - first) * p * (1 - p));
    CHECK_NEAR(weight(m, "logit0")[j], log(p / (1 - p)), 5 * spread);
    tx_model_free(m), free_set(s);
}

/* ---- Gaussian ---- */

/* log N(x; mean, c) by elimination. */
static double dense_normal(size_t d, const double mean[], const double c[], const double x[])
{
    double a[MAX_DIM * MAX_DIM], b[MAX_DIM], log_det = 0, square = 0;
    memcpy(a, c, d * d * sizeof *a);
    for (size_t j = 0; j < d; j++) b[j] = x[j] - mean[j];
    for (size_t k = 0; k < d;
         k++) { /* pivots of a positive matrix need no order; b' c^-1 b is the sum of b_k^2 / pivot */
        log_det += log(a[k * d + k]);
        square += b[k] * b[k] / a[k * d + k];
        for (size_t i = k + 1; i < d; i++) {
            double f = a[i * d + k] / a[k * d + k];
            b[i] -= f * b[k];
            for (size_t j = k; j < d; j++) a[i * d + j] -= f * a[k * d + j];
        }
    }
    return -0.5 * ((double)d * log(2 * M_PI) + log_det + square);
}

static void naive_moments(const set *s, size_t n, int n_pass, double ridge, double mean[], double c[])
{
    size_t d = s->data.dim;
    real x[MAX_DIM];
    double all = (double)n * n_pass;
    memset(mean, 0, d * sizeof *mean), memset(c, 0, d * d * sizeof *c);
    for (int part = 0; part < 2; part++)
        for (int pass = 0; pass < n_pass; pass++)
            for (uint32_t i = 0; i < n; i++) {
                tx_view_rows(&s->view, TX_TRAIN, 5, (uint64_t)pass, &i, 1, x, NULL);
                for (size_t j = 0; j < d && !part; j++) mean[j] += (double)x[j] / all;
                for (size_t j = 0; j < d && part; j++)
                    for (size_t k = 0; k < d; k++)
                        c[j * d + k] += ((double)x[j] - mean[j]) * ((double)x[k] - mean[k]) / all;
            }
    for (size_t j = 0; j < d; j++) c[j * d + j] += ridge;
}

static void gaussian_by_formula(const set *s, size_t n, int n_pass, double ridge)
{
    size_t d = s->data.dim;
    char text[64];
    snprintf(text, sizeof text, "{n_pass: %d, ridge: %.17g}", n_pass, ridge);
    tx_model *m = fitted(&tx_model_gaussian, s, text);
    double mean[MAX_DIM], c[MAX_DIM * MAX_DIM], value[40];
    naive_moments(s, n, n_pass, ridge, mean, c);
    log_probs(m, s, 40, value);
    for (size_t i = 0; i < 40; i++) {
        real row[MAX_DIM];
        double x[MAX_DIM];
        tx_view_range(&s->view, TX_TEST, i, 1, row, NULL);
        for (size_t j = 0; j < d; j++) x[j] = (double)row[j];
        CHECK_NEAR(value[i], dense_normal(d, mean, c, x), TOL * 20 * (1 + fabs(value[i])));
    }
    tx_model_free(m);
}

static void test_gaussian(void)
{
    static const size_t dims[] = {1, 2, 7};
    for (size_t k = 0; k < TX_LEN(dims); k++) {
        set *s = clouds(1500, dims[k]); /* more than a block of rows */
        gaussian_by_formula(s, 1500, 1, 0);
        gaussian_by_formula(s, 1500, 1, 0.385);
        free_set(s);
    }
    set *s = new_set();
    for (size_t i = 0; i < 300; i++) s->level[i] = (uint8_t)(i * i % 11 % 4);
    CHECK_OK(open_set(s, TX_LEVELS, 4, 100, 3, "dequantised"));
    gaussian_by_formula(s, 100, 1, 0);
    gaussian_by_formula(s, 100, 3, 0);
    free_set(s);
}

/* Of seven coordinates, beyond the contract's grids: means and covariances of samples within 5 sigma. */
static void test_gaussian_samples(void)
{
    enum { N = 20000, D = 7 };
    set *s = clouds(400, D);
    tx_model *m = fitted(&tx_model_gaussian, s, "{ridge: 0.1}");
    double mean[D], c[D * D], found[D] = {0}, product[D * D] = {0};
    naive_moments(s, 400, 1, 0.1, mean, c);
    real *x = tx_alloc(N * D, sizeof *x);
    tx_tape *t = tx_tape_new(1 << 16);
    tx_model_sample(m, t, tx_rng_root(2), 0, N, false, x);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++) {
            found[j] += (double)x[i * D + j] / N;
            for (size_t k = 0; k < D; k++)
                product[j * D + k] += ((double)x[i * D + j] - mean[j]) * ((double)x[i * D + k] - mean[k]) / N;
        }
    for (size_t j = 0; j < D; j++) {
        CHECK_NEAR(found[j], mean[j], 5 * sqrt(c[j * D + j] / N));
        for (size_t k = 0; k < D; k++)
            CHECK_NEAR(product[j * D + k], c[j * D + k],
                       5 * sqrt((c[j * D + j] * c[k * D + k] + c[j * D + k] * c[j * D + k]) / N));
    }
    tx_tape_free(t), free(x), tx_model_free(m), free_set(s);
}

static void refused(const set *s, const char *text, const char *why)
{
    tx_model *m = NULL;
    CHECK_OK(try_model(&m, &tx_model_gaussian, s, text));
    CHECK_INT(m->ops->fit(m, &s->view, 1), TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), why);
    CHECK_HAS(tx_last_error(), "ridge");
    tx_model_free(m);
}

static void test_gaussian_refuses(void)
{
    set *s = clouds(6, 6);
    refused(s, "{}", "6 rows in 6 dimensions is singular");
    tx_model_free(fitted(&tx_model_gaussian, s, "{ridge: 1e-3}"));
    free_set(s);
    s = clouds(50, 4);
    for (size_t i = 0; i < 50; i++) s->value[i * 4 + 2] = 0.7f;
    refused(s, "{}", "coordinate 2 is the same in all 50 rows");
    for (size_t i = 0; i < 50; i++) s->value[i * 4 + 2] = s->value[i * 4] - 2 * s->value[i * 4 + 1];
    refused(s, "{}", "singular");
    free_set(s);
    s = clouds(1, 1);
    refused(s, "{}", "coordinate 0 is the same in all 1 rows");
    free_set(s);
}

/* exact less mean_log_jacobian is the mean in the view's own unit. */
static void test_unit_of_the_view(void)
{
    enum { N = 90, D = 2 };
    set *s = new_set();
    for (size_t i = 0; i < N * D; i++) s->level[i] = (uint8_t)(i * 7 % 13 % 8);
    CHECK_OK(open_set(s, TX_LEVELS, 8, N, D, "logit"));
    tx_model *m = fitted(&tx_model_gaussian, s, "{}");
    double value[N], mean = log_probs(m, s, N, value);
    tx_estimate e;
    CHECK_OK(tx_estimator_find("exact")->run(NULL, m, &s->view, TX_TEST, 0, tx_rng_root(0), NULL, NULL, &e));
    json_t *jacobian = json_object_get(e.settings, "mean_log_jacobian");
    CHECK_TRUE(fabs(json_real_value(jacobian)) > 1);
    CHECK_NEAR(e.mean - json_real_value(jacobian), mean, 1e-9);
    tx_estimate_free(&e), tx_model_free(m), free_set(s);
    s = clouds(N, D);
    m = fitted(&tx_model_gaussian, s, "{}");
    CHECK_OK(tx_estimator_find("exact")->run(NULL, m, &s->view, TX_TEST, 0, tx_rng_root(0), NULL, NULL, &e));
    CHECK_TRUE(!json_object_get(e.settings, "mean_log_jacobian"));
    tx_estimate_free(&e), tx_model_free(m), free_set(s);
}

/* ---- mixtures ---- */

/* n log-likelihood of train + a sum (log p + log (1-p)): what EM with pseudo-counts raises (the prior is Beta(1+a,
 * 1+a)). */
static double penalty(const tx_model *m, size_t k, size_t d, double a)
{
    double sum = 0;
    const real *logit = weight(m, "logit");
    for (size_t i = 0; i < k * d; i++) {
        double l = fabs((double)logit[i]);
        sum -= a * (l + 2 * log1p(exp(-l)));
    }
    return sum;
}

static void rises(const set *s, size_t n, size_t k, double a, const char *text)
{
    tx_model *m = NULL;
    CHECK_OK(try_model(&m, &tx_model_mixture, s, text));
    bool binary = s->view.space.measure == TX_COUNTING;
    double *value = tx_alloc(n, sizeof *value), last = -INFINITY, likelihood = 0, begin = 0;
    for (uint64_t epoch = 0; epoch < 60; epoch++) {
        double reported = -em(m, s, epoch) * (double)n;
        if (epoch > 0) CHECK_NEAR(reported, likelihood, (is_double ? 1e-11 : 1e-5) * fabs(likelihood)); /* before it */
        likelihood = log_probs(m, s, n, value) * (double)n;
        double now = likelihood + (binary ? penalty(m, k, s->data.dim, a) : 0);
        CHECK_TRUE(now >= last - (is_double ? 1e-11 : 2e-6) * fabs(now));
        if (epoch == 0) begin = now;
        last = now;
    }
    CHECK_TRUE(last > begin + 1e-3 * fabs(begin));
    free(value), tx_model_free(m);
}

static void test_em_rises(void)
{
    set *s = coins(500, 8);
    rises(s, 500, 6, 1e-9, "{components: 6, smoothing: 1e-9}");
    rises(s, 500, 6, 1.7, "{components: 6, smoothing: 1.7, n_iter: 0}");
    free_set(s);
    s = clouds(500, 3);
    rises(s, 500, 4, 0, "{components: 4}");
    rises(s, 500, 4, 0, "{components: 4, covariance: spherical}");
    rises(s, 500, 9, 0, "{components: 9, min_sigma: 0.4}");
    free_set(s);
}

/* One iteration from the parameters of the one before, in double; a component too far from every row stays. */
static void test_em_by_definition(void)
{
    enum { N = 200, D = 3, K = 4 };
    set *s = clouds(N, D);
    tx_model *m = NULL;
    CHECK_OK(try_model(&m, &tx_model_mixture, s, "{components: 4}"));
    em(m, s, 0);
    real *mean = weight(m, "mean"), *lv = weight(m, "log_variance"), *w = weight(m, "log_weight");
    mean[2 * D] = 1000;
    double old[K][D], sum[K] = {0}, first[K][D] = {{0}}, second[K][D] = {{0}}, kept = (double)lv[2 * D + 1];
    for (size_t i = 0; i < K * D; i++) old[i / D][i % D] = (double)mean[i];
    for (size_t i = 0; i < N; i++) {
        double p[K], all = 0;
        const float *x = s->value + i * D;
        for (size_t k = 0; k < K; k++) {
            double log_p = (double)w[k];
            for (size_t j = 0; j < D; j++) {
                double v = (double)lv[k * D + j];
                log_p -= 0.5 * (v + pow((double)x[j] - old[k][j], 2) * exp(-v));
            }
            all += p[k] = exp(log_p);
        }
        for (size_t k = 0; k < K; k++)
            for (size_t j = 0; j < D; j++) {
                sum[k] += j ? 0 : p[k] / all;
                first[k][j] += p[k] / all * (double)x[j], second[k][j] += p[k] / all * pow((double)x[j], 2);
            }
    }
    em(m, s, 1);
    for (size_t k = 0; k < K; k++)
        for (size_t j = 0; j < D; j++) {
            double mu = first[k][j] / sum[k], v = second[k][j] / sum[k] - mu * mu;
            if (k == 2) {
                CHECK_NEAR(mean[k * D + j], old[k][j], 0);
                continue;
            }
            CHECK_NEAR(mean[k * D + j], mu, TOL * 30);
            CHECK_NEAR(lv[k * D + j], log(v), TOL * 100);
            CHECK_NEAR(w[k], log(sum[k] / N), TOL * 30 + 2e-8);
        }
    CHECK_NEAR(lv[2 * D + 1], kept, 0);
    CHECK_NEAR(w[2], log(1e-6 / N), 1e-5);
    tx_model_free(m), free_set(s);
}

static void test_one_component(void)
{
    enum { N = 300 };
    double a[N], b[N];
    set *s = coins(N, 6);
    tx_model *m = fitted(&tx_model_mixture, s, "{components: 1, smoothing: 0.7}");
    tx_model *alone = fitted(&tx_model_independent, s, "{smoothing: 0.7}");
    log_probs(m, s, N, a), log_probs(alone, s, N, b);
    for (size_t i = 0; i < N; i++) CHECK_NEAR(a[i], b[i], TOL * 30);
    tx_model_free(m), tx_model_free(alone), free_set(s);
    s = clouds(N, 4);
    m = fitted(&tx_model_mixture, s, "{components: 1}"), alone = fitted(&tx_model_independent, s, "{}");
    log_probs(m, s, N, a), log_probs(alone, s, N, b);
    for (size_t i = 0; i < N; i++) CHECK_NEAR(a[i], b[i], TOL * 30 * (1 + fabs(b[i])));
    tx_model_free(m), tx_model_free(alone);
    m = fitted(&tx_model_mixture, s, "{components: 1, covariance: spherical}");
    double mean[4], c[16], average = 0;
    naive_moments(s, N, 1, 0, mean, c);
    for (size_t j = 0; j < 4; j++) average += c[j * 4 + j] / 4;
    for (size_t j = 0; j < 4; j++) {
        CHECK_NEAR(weight(m, "mean")[j], mean[j], TOL * 10);
        CHECK_NEAR(weight(m, "log_variance")[j], log(average), TOL * 10);
    }
    tx_model_free(m), free_set(s);
}

/* Three normals far apart, of unlike sizes and widths: every parameter within 5 of its standard errors. */
static void test_recovers_normals(void)
{
    enum { N = 3000, D = 2, K = 3 };
    static const double centre[K][D] = {{-6, 2}, {5, 4}, {0, -7}}, sd[K][D] = {{0.5, 1.2}, {1, 0.3}, {0.8, 0.8}};
    static const double share[K] = {0.5, 0.3, 0.2};
    set *s = new_set();
    for (size_t i = 0; i < N; i++) {
        double u = tx_rng_uniform1(stream("which"), i);
        int k = u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
        for (size_t j = 0; j < D; j++)
            s->value[i * D + j] = (float)(centre[k][j] + sd[k][j] * tx_rng_normal1(stream("normals"), i * D + j));
    }
    CHECK_OK(open_set(s, TX_REAL, 0, N, D, "raw"));
    tx_model *m = fitted(&tx_model_mixture, s, "{components: 3}");
    const real *mean = weight(m, "mean"), *lv = weight(m, "log_variance"), *w = weight(m, "log_weight");
    for (int k = 0; k < K; k++) {
        int at = 0;
        for (int c = 1; c < K; c++)
            if (fabs((double)mean[c * D] - centre[k][0]) < fabs((double)mean[at * D] - centre[k][0])) at = c;
        CHECK_NEAR(exp((double)w[at]), share[k], 5 * sqrt(share[k] * (1 - share[k]) / N));
        for (int j = 0; j < D; j++) {
            CHECK_NEAR(mean[at * D + j], centre[k][j], 5 * sd[k][j] / sqrt(N * share[k]));
            CHECK_NEAR(0.5 * (double)lv[at * D + j], log(sd[k][j]), 5 / sqrt(2 * N * share[k]));
        }
    }
    tx_model_free(m), free_set(s);
}

static void test_recovers_bernoullis(void)
{
    enum { N = 2000, D = 8 };
    set *s = new_set();
    for (size_t i = 0; i < N; i++) {
        bool k = tx_rng_uniform1(stream("which"), i) < 0.35;
        for (size_t j = 0; j < D; j++)
            s->level[i * D + j] = tx_rng_uniform1(stream("bits"), i * D + j) < (k == (j % 2 == 0) ? 0.93 : 0.08);
    }
    CHECK_OK(open_set(s, TX_BINARY, 2, N, D, "raw"));
    tx_model *m = fitted(&tx_model_mixture, s, "{components: 2, smoothing: 1e-6}");
    const real *logit = weight(m, "logit"), *w = weight(m, "log_weight");
    int a = logit[0] > 0 ? 0 : 1; /* the component of even bits */
    CHECK_NEAR(exp((double)w[a]), 0.35, 5 * sqrt(0.35 * 0.65 / N));
    for (int c = 0; c < 2; c++)
        for (int j = 0; j < D; j++) {
            double want = (c == a) == (j % 2 == 0) ? 0.93 : 0.08, n = N * (c == a ? 0.35 : 0.65);
            CHECK_NEAR(1 / (1 + exp(-(double)logit[c * D + j])), want, 5 * sqrt(want * (1 - want) / n) + 0.005);
        }
    tx_model_free(m), free_set(s);
}

/* ---- kernels ---- */

static double log_kernel(const set *s, double h, const real *x, const real *c)
{
    double d = (double)s->data.dim, square = naive_distance(s->data.dim, x, c);
    if (s->view.space.measure == TX_COUNTING) return square * log(h) + (d - square) * log(1 - h);
    return -0.5 * square / (h * h) - d * (log(h) + 0.5 * log(2 * M_PI));
}

static double naive_kde(const set *s, const tx_model *m, size_t k, double h, const real *x)
{
    double sum = 0;
    size_t d = s->data.dim;
    for (size_t i = 0; i < k; i++) {
        real c[MAX_DIM];
        for (size_t j = 0; j < d; j++)
            c[j] = (real)((double)weight(m, "offset")[i * d + j] + (double)weight(m, "mean")[j]);
        sum += exp((double)weight(m, "log_weight")[i] + log_kernel(s, h, x, c));
    }
    return log(sum);
}

static void kde_by_definition(const set *s, size_t n, size_t k, const char *text, double h)
{
    size_t d = s->data.dim;
    tx_model *m = fitted(&tx_model_kde, s, text);
    double value[100];
    real x[100 * MAX_DIM], *train = tx_alloc(n * d, sizeof *train);
    CHECK_INT(tx_cols(tx_params_value(m->net[0], (tx_param){2})), k);
    tx_view_range(&s->view, TX_TEST, 0, 100, x, NULL);
    log_probs(m, s, 100, value);
    for (size_t i = 0; i < 100; i++)
        CHECK_NEAR(value[i], naive_kde(s, m, k, h, x + i * d), TOL * 30 * (1 + fabs(value[i])));
    tx_baseline_rows(&s->view, 5, 0, 0, n, train);
    size_t rows_found = 0;
    for (size_t i = 0; i < k; i++) /* every centre is a row */
        for (size_t a = 0; a < n; a++) {
            bool same = true;
            for (size_t j = 0; j < d; j++)
                same = same && fabs((double)weight(m, "offset")[i * d + j] + (double)weight(m, "mean")[j] -
                                    (double)train[a * d + j]) < 1e-5;
            if (same) {
                rows_found++;
                break;
            }
        }
    CHECK_INT(rows_found, k);
    tx_model_free(m), free(train);
}

static void test_kde(void)
{
    set *s = clouds(150, 3);
    kde_by_definition(s, 150, 150, "{bandwidth: 0.385}", 0.385);
    kde_by_definition(s, 150, 150, "{bandwidth: 0.385, n_centre: 0}", 0.385);
    kde_by_definition(s, 150, 41, "{bandwidth: 0.71, n_centre: 41}", 0.71);
    free_set(s);
    s = coins(150, 7);
    kde_by_definition(s, 150, 150, "{bandwidth: 0.13}", 0.13);
    free_set(s);
}

/* The bandwidth of the grid that is likeliest on the first n_valid rows of valid, which are other rows here. */
static void chosen(set *s, const char *text, double low, double high, int n_grid, size_t n_valid)
{
    tx_model *m = fitted(&tx_model_kde, s, text);
    size_t k = tx_cols(tx_params_value(m->net[0], (tx_param){2}));
    double best = 0, most = -INFINITY;
    for (int i = 0; i < n_grid; i++) {
        double h = low * pow(high / low, (double)i / (n_grid - 1)), sum = 0;
        for (size_t a = 0; a < n_valid; a++) {
            real x[MAX_DIM];
            tx_view_range(&s->view, TX_VALID, a, 1, x, NULL);
            sum += naive_kde(s, m, k, h, x);
        }
        if (sum > most) most = sum, best = h;
    }
    double scale = (double)weight(m, "scale")[0];
    double h = s->view.space.measure == TX_COUNTING ? 1 / (1 + exp(scale)) : sqrt(0.5 / scale);
    CHECK_NEAR(h, best, 1e-5 * best);
    CHECK_TRUE(h > low * 1.01 && h < high * 0.99);
    tx_model_free(m);
}

static void test_bandwidth(void)
{
    set *s = clouds(400, 2);
    s->data.split[TX_TRAIN].n = 120, s->data.split[TX_VALID].n = 250;
    s->data.split[TX_VALID].value = s->value + 120 * 2;
    tx_view_close(&s->view);
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_view_open(&s->view, &s->data, &c));
    chosen(s, "{}", 0.1, 1, 10, 250);
    chosen(s, "{n_bandwidth: 7, sigma_min: 0.02, sigma_max: 3, n_valid: 130}", 0.02, 3, 7, 130);
    tx_model *m = fitted(&tx_model_kde, s, "{n_bandwidth: 1, sigma_min: 0.385, sigma_max: 3}");
    CHECK_NEAR(weight(m, "scale")[0], 0.5 / (0.385 * 0.385), TOL);
    tx_model_free(m);
    free_set(s);
    s = coins(400, 6);
    tx_view_close(&s->view);
    s->data.split[TX_TRAIN].n = 120, s->data.split[TX_VALID].n = 250;
    s->data.split[TX_VALID].level = s->level + 120 * 6;
    CHECK_OK(tx_view_open(&s->view, &s->data, &c));
    chosen(s, "{}", 0.005, 0.5, 10, 250);
    CHECK_INT(try_model(&m, &tx_model_kde, s, "{bandwidth: 0.7}"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "0.5 at most");
    CHECK_INT(try_model(&m, &tx_model_kde, s, "{flip_min: 0.2, flip_max: 0.1}"), TX_ECONFIG);
    CHECK_INT(try_model(&m, &tx_model_kde, s, "{sigma_min: 0.2, sigma_max: 0.1}"), TX_ECONFIG);
    CHECK_OK(try_model(&m, &tx_model_kde, s, "{sigma_min: 0.2, sigma_max: 0.2, flip_min: 0.1, flip_max: 0.1}"));
    tx_model_free(m);
    free_set(s);
}

/* Centres of clusters: means of their rows, majorities on {0,1}^D; weights are shares of rows. */
static void test_kde_of_clusters(void)
{
    enum { N = 90, D = 2 };
    set *s = new_set();
    for (size_t i = 0; i < N; i++) {
        double at = i < 60 ? -4 : 5;
        for (size_t j = 0; j < D; j++)
            s->value[i * D + j] = (float)(at + 0.1 * tx_rng_normal1(stream("two"), i * D + j));
    }
    CHECK_OK(open_set(s, TX_REAL, 0, N, D, "raw"));
    tx_model *m = fitted(&tx_model_kde, s, "{centres: kmeans, n_centre: 2, weights: cluster, bandwidth: 0.5}");
    size_t big = weight(m, "log_weight")[0] > weight(m, "log_weight")[1] ? 0 : 1;
    CHECK_NEAR(weight(m, "log_weight")[big], log(2 / 3.0), TOL);
    double mean = 0;
    for (size_t i = 0; i < 60; i++) mean += (double)s->value[i * D] / 60;
    CHECK_NEAR((double)weight(m, "offset")[big * D] + (double)weight(m, "mean")[0], mean, TOL * 10);
    tx_model_free(m);
    m = fitted(&tx_model_kde, s, "{centres: kmeans, n_centre: 2, bandwidth: 0.5}");
    CHECK_NEAR(weight(m, "log_weight")[0], -log(2), TOL);
    tx_model_free(m), free_set(s);
    s = coins(N, 5);
    m = fitted(&tx_model_kde, s, "{centres: kmeans, n_centre: 1}");
    for (size_t j = 0; j < 5; j++) CHECK_INT(weight(m, "offset")[j], s->view.space.mean[j] > 0.5);
    tx_model_free(m);
    m = fitted(&tx_model_kde, s, "{centres: kmeans, n_centre: 6, weights: cluster, bandwidth: 0.2}");
    double value[N];
    log_probs(m, s, N, value);
    for (size_t i = 0; i < N; i++) {
        real x[5];
        tx_view_range(&s->view, TX_TEST, i, 1, x, NULL);
        CHECK_NEAR(value[i], naive_kde(s, m, 6, 0.2, x), TOL * 30);
    }
    for (size_t i = 0; i < 30; i++) {
        double c = (double)weight(m, "offset")[i];
        CHECK_TRUE(c == 0 || c == 1);
    }
    CHECK_TRUE(weight(m, "mean")[1] == 0);
    tx_model_free(m), free_set(s);
}

/* ---- all of them ---- */

static void test_registered(void)
{
    const tx_model_ops *const mine[] = {&tx_model_chow_liu, &tx_model_gaussian, &tx_model_kde, &tx_model_mixture};
    for (size_t k = 0; k < TX_LEN(mine); k++) {
        bool found = false;
        for (int i = 0; tx_model_list[i]; i++) found = found || tx_model_list[i] == mine[k];
        CHECK_TRUE(found);
    }
}

/* d log p / dx against central differences. */
static void gradient_in_x(const tx_model_ops *ops, const set *s, const char *text)
{
    enum { N = 4 };
    size_t d = s->data.dim;
    real x[N * MAX_DIM], c[N] = {(real)1.37, (real)-0.83, (real)0.61, (real)2.385};
    tx_model *m = fitted(ops, s, text);
    tx_tape *t = tx_tape_new(1 << 16), *other = tx_tape_new(1 << 16);
    tx_view_range(&s->view, TX_TEST, 3, N, x, NULL);
    for (size_t i = 0; i < N * d; i++) x[i] += (real)(0.1 * tx_rng_uniform1(stream("off"), i));
    tx_model_bind(m, t);
    tx_var leaf = tx_leaf(t, tx_matrix(x, N, d)), dx;
    tx_vjp(t, m->ops->log_prob(m, t, leaf), tx_leaf(t, tx_matrix(c, N, 1)), &leaf, 1, &dx);
    for (size_t i = 0; i < N * d; i++) {
        double value[2][N], h = is_double ? 1e-5 : 5e-3, difference = 0;
        real old = x[i];
        for (int side = 0; side < 2; side++) {
            x[i] = (real)((double)old + (side ? h : -h));
            tx_model_evaluate(m, other, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, N, d), value[side]);
        }
        x[i] = old;
        for (size_t k = 0; k < N; k++) difference += (double)c[k] * (value[1][k] - value[0][k]) / (2 * h);
        CHECK_NEAR(dx->v.x[i], difference, (is_double ? 1e-6 : 1e-2) * (1 + fabs(difference)));
    }
    tx_tape_free(t), tx_tape_free(other), tx_model_free(m);
}

static void test_gradients(void)
{
    set *s = coins(200, 6);
    gradient_in_x(&tx_model_chow_liu, s, "{}");
    gradient_in_x(&tx_model_mixture, s, "{components: 3, smoothing: 1}");
    gradient_in_x(&tx_model_kde, s, "{bandwidth: 0.2}");
    free_set(s);
    s = clouds(200, 3);
    gradient_in_x(&tx_model_gaussian, s, "{}");
    gradient_in_x(&tx_model_mixture, s, "{components: 3}");
    gradient_in_x(&tx_model_kde, s, "{bandwidth: 0.6}");
    free_set(s);
}

static void finite_on(const tx_model_ops *ops, const set *s, const char *text)
{
    tx_model *m = fitted(ops, s, text);
    double value[8];
    log_probs(m, s, s->data.split[TX_TEST].n < 8 ? s->data.split[TX_TEST].n : 8, value);
    for (size_t i = 0; i < s->data.split[TX_TEST].n && i < 8; i++) CHECK_TRUE(isfinite(value[i]));
    tx_tape *t = tx_tape_new(1 << 16);
    real x[20 * MAX_DIM];
    tx_model_sample(m, t, tx_rng_root(1), 0, 20, false, x);
    CHECK_TRUE(tx_vec_finite(20 * s->data.dim, x));
    tx_tape_free(t), tx_model_free(m);
}

static void test_degenerate(void)
{
    static const size_t rows[] = {1, 2, 40};
    for (size_t k = 0; k < TX_LEN(rows); k++)
        for (int same = 0; same < 2; same++) { /* all rows alike, or as they come */
            set *s = new_set();
            for (size_t i = 0; i < rows[k] * 3; i++) s->level[i] = same ? i % 3 == 1 : (i * i + i / 2) % 3 == 1;
            CHECK_OK(open_set(s, TX_BINARY, 2, rows[k], 3, "raw"));
            finite_on(&tx_model_chow_liu, s, "{}");
            finite_on(&tx_model_mixture, s, "{components: 7}");
            finite_on(&tx_model_kde, s, "{}");
            finite_on(&tx_model_kde, s, "{centres: kmeans, n_centre: 20, weights: cluster}");
            free_set(s);
            s = new_set();
            for (size_t i = 0; i < rows[k] * 3; i++) s->value[i] = same ? 0.7f : (float)(i * i % 5) - 0.3f;
            CHECK_OK(open_set(s, TX_REAL, 0, rows[k], 3, "raw"));
            finite_on(&tx_model_gaussian, s, "{ridge: 1e-4}");
            finite_on(&tx_model_mixture, s, "{components: 7}");
            finite_on(&tx_model_kde, s, "{}");
            finite_on(&tx_model_kde, s, "{centres: kmeans, n_centre: 20, weights: cluster}");
            free_set(s);
        }
    set *s = new_set(); /* one variable */
    for (size_t i = 0; i < 10; i++) s->level[i] = i < 3;
    CHECK_OK(open_set(s, TX_BINARY, 2, 10, 1, "raw"));
    finite_on(&tx_model_chow_liu, s, "{}");
    free_set(s);
}

int main(void)
{
    static const tx_test tests[] = {
        {"registered", test_registered},
        {"squared distances against a naive loop", test_distances},
        {"clusters: nearest centres, falling distances", test_clusters},
        {"clusters: seeds by squared distance", test_seeding},
        {"components by their weights", test_components},
        {"chow_liu: best of all trees on 4 variables", test_tree_is_best},
        {"chow_liu: a chain is found", test_tree_is_found},
        {"chow_liu: pseudo-counts", test_tree_smoothing},
        {"chow_liu: random rows", test_tree_of_random_rows},
        {"gaussian: maximum likelihood by the dense formula", test_gaussian},
        {"gaussian: samples of seven coordinates", test_gaussian_samples},
        {"gaussian: singular covariances are refused", test_gaussian_refuses},
        {"exact: the mean in the view's own unit", test_unit_of_the_view},
        {"mixture: the likelihood rises", test_em_rises},
        {"mixture: an iteration by definition", test_em_by_definition},
        {"mixture: one component is the closed form", test_one_component},
        {"mixture: normals far apart are recovered", test_recovers_normals},
        {"mixture: Bernoullis far apart are recovered", test_recovers_bernoullis},
        {"kde: by definition", test_kde},
        {"kde: bandwidth of highest likelihood on valid", test_bandwidth},
        {"kde: centres of clusters", test_kde_of_clusters},
        {"gradients in x", test_gradients},
        {"one row, equal rows, more centres than rows", test_degenerate},
    };
    return tx_run_tests("baseline", tests, (int)TX_LEN(tests));
}
