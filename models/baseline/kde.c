/** Kernel density estimate: an equal mixture of kernels at training rows (Parzen 1962), or at centres of their clusters
 *  (Theis et al. 2016). With b = 1/(2 sigma^2) for a Gaussian kernel on R^D and b = log((1 - e)/e) for a row of {0,1}^D
 *  whose bits flip with probability e, both are exp(-b |x - c|^2) over a constant. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/model.h"
#include "common/tensor/distance.h"
#include "models/baseline/rows.h"

typedef struct kde_config {
    int centres, n_centre, n_iter, weights, n_bandwidth, n_valid;
    double bandwidth, sigma_min, sigma_max, flip_min, flip_max;
} kde_config;
typedef struct kde {
    tx_param mean, offset, log_weight, scale;
} kde;
enum { TRAIN, KMEANS };
enum { EQUAL, CLUSTER };

#define AT(field) offsetof(kde_config, field)
static const tx_option options[] = {
    {"centres", TX_OPT_CHOICE, AT(centres), "train", 0, 0, "train|kmeans",
     "where the kernels are: at training rows, or at the centres of clusters of them",
     "Theis et al. 2016, section 3.2"},
    {"n_centre", TX_OPT_INT, AT(n_centre), "10000", 0, 10000000, NULL,
     "kernels, at most; 0, or more than there are training rows: as many as rows", "Theis et al. 2016"},
    {"n_iter", TX_OPT_INT, AT(n_iter), "20", 0, 100000, NULL, "kmeans: Lloyd's iterations, at most", NULL},
    {"weights", TX_OPT_CHOICE, AT(weights), "equal", 0, 0, "equal|cluster",
     "kmeans: of the kernels, equal or the share of rows in each cluster", NULL},
    {"bandwidth", TX_OPT_REAL, AT(bandwidth), "0", 0, 1e6, NULL,
     "deviation of the Gaussian kernel in the view's unit, or probability that a bit flips; 0: chosen on valid", NULL},
    {"sigma_min", TX_OPT_REAL, AT(sigma_min), "0.1", 1e-6, 1e6, NULL, "smallest deviation tried",
     "Goodfellow et al. 2014"},
    {"sigma_max", TX_OPT_REAL, AT(sigma_max), "1", 1e-6, 1e6, NULL, "largest deviation tried",
     "Goodfellow et al. 2014"},
    {"flip_min", TX_OPT_REAL, AT(flip_min), "0.005", 1e-6, 0.5, NULL, "smallest probability of a flip tried", NULL},
    {"flip_max", TX_OPT_REAL, AT(flip_max), "0.5", 1e-6, 0.5, NULL, "largest probability of a flip tried", NULL},
    {"n_bandwidth", TX_OPT_INT, AT(n_bandwidth), "10", 1, 1000, NULL,
     "bandwidths tried, equally spaced in their logarithm", "Goodfellow et al. 2014"},
    {"n_valid", TX_OPT_INT, AT(n_valid), "1000", 1, 1000000, NULL, "rows of valid that choose the bandwidth",
     "Goodfellow et al. 2014"},
    {0},
};

static bool is_binary(const tx_model *m) { return m->space->measure == TX_COUNTING; }

static tx_status check(const tx_model *m)
{
    const kde_config *c = m->config;
    if (c->sigma_max < c->sigma_min)
        return tx_fail(TX_ECONFIG, "kde: sigma_max %g is less than sigma_min %g", c->sigma_max, c->sigma_min);
    if (c->flip_max < c->flip_min)
        return tx_fail(TX_ECONFIG, "kde: flip_max %g is less than flip_min %g", c->flip_max, c->flip_min);
    if (is_binary(m) && c->bandwidth > 0.5)
        return tx_fail(TX_ECONFIG,
                       "kde: bandwidth %g on binary values, where it is the probability of a flip: 0.5 at "
                       "most, 0 to choose it on valid",
                       c->bandwidth);
    return TX_OK;
}

static void build(tx_model *m)
{
    kde *s = m->state;
    size_t d = m->space->dim, n = m->space->n_train, asked = (size_t)((kde_config *)m->config)->n_centre;
    TX_REQUIRE(n > 0, "a space of unknown training rows");
    size_t k = asked && asked < n ? asked : n;
    tx_init zero = {TX_INIT_CONSTANT, 0};
    m->n_net = 1;
    m->net[0] = tx_params_new("kernels");
    s->mean = tx_params_add(m->net[0], "mean", tx_shape2(1, d), zero);
    s->offset = tx_params_add(m->net[0], "offset", tx_shape2(k, d), zero);
    s->log_weight = tx_params_add(m->net[0], "log_weight", tx_shape2(1, k),
                                  (tx_init){TX_INIT_CONSTANT, (real)-log((double)k)});
    s->scale = tx_params_add(m->net[0], "scale", tx_shape2(1, 1), (tx_init){TX_INIT_CONSTANT, 1});
}

static real *value(const tx_model *m, tx_param p) { return tx_params_value(m->net[0], p).x; }
static size_t n_kernel(const tx_model *m) { return tx_rows(tx_params_value(m->net[0], ((kde *)m->state)->offset)); }

/* Of one row's kernel: log of its largest density. */
static double log_peak(const tx_model *m, double scale)
{
    return (double)m->space->dim * (is_binary(m) ? -log1p(exp(-scale)) : 0.5 * log(scale / M_PI));
}

/* Centres less `mean`, which stays 0 on {0,1}^D: whole numbers are exact as they are. */
static void place_rows(tx_model *m, const tx_view *v, uint64_t seed)
{
    const kde *s = m->state;
    size_t k = n_kernel(m), d = m->space->dim, n = m->space->n_train;
    uint32_t *order = tx_alloc(n, sizeof *order);
    double *mean = tx_alloc(d, sizeof *mean), *square = tx_alloc(k, sizeof *square);
    real *x = value(m, s->offset);
    tx_view_order(v, seed, 0, order);
    tx_view_rows(v, TX_TRAIN, seed, 0, order, k, x, NULL);
    if (!is_binary(m)) {
        tx_rows_mean(k, d, x, mean);
        for (size_t j = 0; j < d; j++) value(m, s->mean)[j] = (real)mean[j], mean[j] = (double)value(m, s->mean)[j];
        tx_rows_centre(k, d, mean, x, square);
    }
    free(order), free(mean), free(square);
}

static void place_clusters(tx_model *m, const tx_view *v, uint64_t seed)
{
    const kde_config *c = m->config;
    const kde *s = m->state;
    size_t k = n_kernel(m), d = m->space->dim, n = m->space->n_train;
    real *x = tx_alloc(n * d, sizeof *x), *offset = value(m, s->offset), *mean = value(m, s->mean);
    double *centre = tx_alloc(d, sizeof *centre), *square = tx_alloc(n, sizeof *square);
    tx_baseline_rows(v, seed, 0, 0, n, x);
    tx_rows_mean(n, d, x, centre);
    for (size_t j = 0; j < d; j++) centre[j] = (double)(real)centre[j];
    tx_rows_centre(n, d, centre, x, square);
    tx_clusters found = tx_clusters_find(n, d, x, square, k, c->n_iter, tx_rng_named(tx_rng_root(seed), "clusters"));
    for (size_t i = 0; i < k * d; i++)
        offset[i] = is_binary(m) ? (double)found.centre[i] + centre[i % d] > 0.5 : found.centre[i];
    for (size_t j = 0; j < d && !is_binary(m); j++) mean[j] = (real)centre[j];
    for (size_t i = 0; i < k && c->weights == CLUSTER; i++) /* one without rows: no minus infinity in files */
        value(m, s->log_weight)[i] = (real)log(fmax((double)found.size[i], 1e-30) / (double)n);
    tx_clusters_free(&found);
    free(x), free(centre), free(square);
}

/* Bandwidth i of the grid, and b of a bandwidth. */
static double bandwidth_at(const tx_model *m, int i)
{
    const kde_config *c = m->config;
    double low = is_binary(m) ? c->flip_min : c->sigma_min, high = is_binary(m) ? c->flip_max : c->sigma_max;
    return low * pow(high / low, c->n_bandwidth > 1 ? (double)i / (c->n_bandwidth - 1) : 0);
}
static double scale_of(const tx_model *m, double h) { return is_binary(m) ? log1p(-h) - log(h) : 0.5 / (h * h); }

/* The bandwidth of the grid under which the first n_valid rows of valid are likeliest. */
static double choose(const tx_model *m, const tx_view *v)
{
    enum { ROWS = 100 };
    const kde_config *c = m->config;
    const kde *s = m->state;
    size_t k = n_kernel(m), d = m->space->dim, n = v->data->split[TX_VALID].n;
    if ((size_t)c->n_valid < n) n = (size_t)c->n_valid;
    double *sum = tx_alloc((size_t)c->n_bandwidth, sizeof *sum), *none = tx_alloc(d, sizeof *none);
    double *mean = tx_alloc(d, sizeof *mean), *square = tx_alloc(k, sizeof *square), row_square[ROWS];
    real *x = tx_alloc(ROWS * d, sizeof *x), *distance = tx_alloc(ROWS * k, sizeof *distance);
    real *scaled = tx_alloc(ROWS * k, sizeof *scaled), lse[ROWS];
    tx_rows_centre(k, d, none, value(m, s->offset), square);
    for (size_t j = 0; j < d; j++) mean[j] = (double)value(m, s->mean)[j];
    for (size_t from = 0; from < n; from += ROWS) {
        size_t rows = n - from < ROWS ? n - from : ROWS;
        tx_view_range(v, TX_VALID, from, rows, x, NULL);
        tx_rows_centre(rows, d, mean, x, row_square);
        tx_rows_distance(rows, k, d, x, row_square, value(m, s->offset), square, distance);
        for (int i = 0; i < c->n_bandwidth; i++) {
            double scale = scale_of(m, bandwidth_at(m, i));
            tx_vec_affine(rows * k, (real)-scale, distance, 0, scaled);
            for (size_t a = 0; a < rows; a++) tx_vec_add(k, scaled + a * k, value(m, s->log_weight), scaled + a * k);
            tx_mat_logsumexp(rows, k, scaled, lse);
            for (size_t a = 0; a < rows; a++) sum[i] += (double)lse[a] + log_peak(m, scale);
        }
    }
    int best = 0;
    for (int i = 1; i < c->n_bandwidth; i++)
        if (sum[i] > sum[best]) best = i;
    free(sum), free(none), free(mean), free(square), free(x), free(distance), free(scaled);
    return bandwidth_at(m, best);
}

static tx_status fit(tx_model *m, const tx_view *v, uint64_t seed)
{
    const kde_config *c = m->config;
    (c->centres == KMEANS ? place_clusters : place_rows)(m, v, seed);
    value(m, ((kde *)m->state)->scale)[0] = (real)scale_of(m, c->bandwidth > 0 ? c->bandwidth : choose(m, v));
    return TX_OK;
}

/* log sum_k exp(log w_k - b |x - c_k|^2) + log_peak, with y = x - mean and o = c - mean:
 * -b |x - c|^2 = 2 b y.o - b |o|^2 - b |y|^2. */
static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const kde *s = m->state;
    size_t k = n_kernel(m), d = m->space->dim;
    double b = (double)value(m, s->scale)[0];
    const real *o = value(m, s->offset), *log_weight = value(m, s->log_weight);
    tx_tensor bias = tx_tape_tensor(t, 1, k);
    for (size_t i = 0; i < k; i++) bias.x[i] = (real)((double)log_weight[i] - b * tx_vec_dot(d, o + i * d, o + i * d));
    tx_var y = tx_add_row(t, x, tx_scale(t, tx_params_var(m->net[0], s->mean), -1));
    tx_var cross = tx_matmul(t, tx_scale(t, y, (real)(2 * b)), false, tx_params_var(m->net[0], s->offset), true);
    tx_var near = tx_logsumexp(t, tx_add_row(t, cross, tx_leaf(t, bias)));
    tx_var square = tx_affine(t, tx_sum_rows(t, tx_mul(t, y, y)), (real)-b, (real)log_peak(m, b));
    return tx_add(t, near, square);
}

static void draw(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, tx_tensor mean)
{
    const kde *s = m->state;
    size_t n = tx_rows(x), d = tx_cols(x), *at = tx_arena_alloc(tx_tape_arena(t), n * sizeof *at);
    double b = (double)value(m, s->scale)[0], flip = 1 / (1 + exp(b));
    tx_draw_components(n_kernel(m), value(m, s->log_weight), tx_rng_named(r, "kernel"), first, n, at);
    for (size_t i = 0; i < n; i++) tx_vec_add(d, value(m, s->offset) + at[i] * d, value(m, s->mean), mean.x + i * d);
    if (is_binary(m)) {
        tx_vec_affine(tx_len(x), (real)(1 - 2 * flip), mean.x, (real)flip, mean.x);
        tx_rng_bernoulli(r, first * d, tx_len(x), mean.x, x.x);
    } else {
        tx_rng_normal(r, first * d, tx_len(x), x.x);
        tx_vec_affine(tx_len(x), (real)sqrt(0.5 / b), x.x, 0, x.x);
        tx_vec_add(tx_len(x), x.x, mean.x, x.x);
    }
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    draw(m, t, r, first, x, tx_tape_tensor(t, tx_rows(x), tx_cols(x)));
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    draw(m, t, r, first, tx_tape_tensor(t, tx_rows(x), tx_cols(x)), x);
}

const tx_model_ops tx_model_kde = {
    .name = "kde",
    .summary = "kernels at training rows or at centres of their clusters",
    .citation = "parzen1962estimation",
    .taxonomy_path = "explicit/tractable/kernel",
    .spaces = TX_ON_BINARY | TX_ON_REAL,
    .state_size = sizeof(kde),
    .config_size = sizeof(kde_config),
    .options = options,
    .toys = "[{n_centre: 30}, {n_centre: 7, bandwidth: 0.3}, {centres: kmeans, n_centre: 9, weights: cluster}]",
    .check = check,
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
    .sample_mean = sample_mean,
    .fit = fit,
};
