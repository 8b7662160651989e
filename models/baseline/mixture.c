/** Mixtures of products: of Bernoullis on {0,1}^D, of Gaussians on R^D, by expectation maximisation (Dempster et al.
 *  1977), one iteration an epoch, from clusters of the training rows. Letters: K components, r responsibilities. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/conditional.h"
#include "common/tensor/distance.h"
#include "common/tensor/parallel.h"
#include "models/baseline/rows.h"

typedef struct mixture_config {
    int components, covariance, n_iter;
    double smoothing, min_sigma;
} mixture_config;
typedef struct family family;
typedef struct mixture {
    const family *of;
    tx_param log_weight, p[2];
} mixture;
enum { DIAGONAL, SPHERICAL };

/* Sums over rows, weighted by responsibilities: 1, x - about, and for Gaussians its square. */
typedef struct sums {
    size_t k, d;
    double *weight, *first, *second; /* [k], [k,d], [k,d] or NULL */
    const real *about;               /* [k,d], or NULL for 0 */
} sums;

/* What a component is on one kind of space. */
struct family {
    void (*build)(tx_model *m);
    void (*start)(tx_model *m, const tx_clusters *c, const double mean[], const double variance[]);
    tx_var (*log_density)(tx_tape *t, const tx_var p[2], tx_var x); /* [n,D] -> [n,K] */
    void (*update)(tx_model *m, const sums *s);
    void (*sample)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, const size_t of[], tx_tensor x, tx_tensor mean);
    bool squares;
};

#define AT(field) offsetof(mixture_config, field)
static const tx_option options[] = {
    {"components", TX_OPT_INT, AT(components), "10", 1, 100000, NULL, "number of components", NULL},
    {"smoothing", TX_OPT_REAL, AT(smoothing), "0.1", 1e-9, 1e9, NULL,
     "binary: pseudo-count, added in each component to the count of both values of every variable", NULL},
    {"covariance", TX_OPT_CHOICE, AT(covariance), "diagonal", 0, 0, "diagonal|spherical",
     "real: a variance a coordinate, or one for all", NULL},
    {"min_sigma", TX_OPT_REAL, AT(min_sigma), "0.001", 1e-9, 1e9, NULL,
     "real: least deviation, so that no component can shrink onto one row", NULL},
    {"n_iter", TX_OPT_INT, AT(n_iter), "10", 0, 100000, NULL, "k-means iterations that find the start, at most", NULL},
    {0},
};

static const double FEW = 1e-6; /* rows: a component with fewer stays where it is and keeps this weight */

static tx_tensor value(const tx_model *m, int i) { return tx_params_value(m->net[0], ((mixture *)m->state)->p[i]); }
static tx_var var(const tx_model *m, int i) { return tx_params_var(m->net[0], ((mixture *)m->state)->p[i]); }
static const mixture_config *config(const tx_model *m) { return m->config; }

static void declare(tx_model *m, int i, const char *name)
{
    ((mixture *)m->state)->p[i] = tx_params_add(
        m->net[0], name, tx_shape2((size_t)config(m)->components, m->space->dim), (tx_init){TX_INIT_CONSTANT, 0});
}

/* Bernoulli: logit[K,D]. */

static void bernoulli_build(tx_model *m) { declare(m, 0, "logit"); }

static double smoothed_logit(double ones, double all, double a) { return log(ones + a) - log(all - ones + a); }

static void bernoulli_start(tx_model *m, const tx_clusters *c, const double mean[], const double variance[])
{
    (void)variance;
    real *logit = value(m, 0).x;
    for (size_t i = 0, d = m->space->dim; i < c->k * d; i++) {
        double all = (double)c->size[i / d], ones = all * ((double)c->centre[i] + mean[i % d]);
        logit[i] = (real)smoothed_logit(fmin(fmax(ones, 0), all), all, fmax(config(m)->smoothing, 0.1));
    }
}

/* sum_j x_j l_kj - softplus(l_kj) */
static tx_var bernoulli_log_density(tx_tape *t, const tx_var p[2], tx_var x)
{
    tx_var logit = p[0], norm = tx_sum_rows(t, tx_activation(t, logit, TX_SOFTPLUS));
    norm = tx_reshape(t, norm, tx_shape2(1, tx_rows(logit->v)));
    return tx_add_row(t, tx_matmul(t, x, false, logit, true), tx_scale(t, norm, -1));
}

static void bernoulli_update(tx_model *m, const sums *s)
{
    real *logit = value(m, 0).x;
    for (size_t i = 0; i < s->k * s->d; i++)
        if (s->weight[i / s->d] >= FEW) {
            double all = s->weight[i / s->d];
            logit[i] = (real)smoothed_logit(fmin(s->first[i], all), all, config(m)->smoothing);
        }
}

static void bernoulli_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, const size_t of[], tx_tensor x,
                             tx_tensor mean)
{
    (void)t;
    size_t d = tx_cols(x);
    for (size_t i = 0; i < tx_rows(x); i++) tx_vec_act(TX_SIGMOID, d, value(m, 0).x + of[i] * d, mean.x + i * d);
    tx_rng_bernoulli(r, first * d, tx_len(x), mean.x, x.x);
}

/* Gaussian: mean[K,D], log_variance[K,D]. */

static void normal_build(tx_model *m)
{
    declare(m, 0, "mean");
    declare(m, 1, "log_variance");
}

static double log_floor(const tx_model *m, double variance)
{
    return log(fmax(variance, config(m)->min_sigma * config(m)->min_sigma));
}

/* Variances are those within clusters, over all of them: a cluster of one row has none of its own. */
static void normal_start(tx_model *m, const tx_clusters *c, const double mean[], const double variance[])
{
    double average = 0;
    size_t d = m->space->dim;
    for (size_t j = 0; j < d; j++) average += variance[j] / (double)d;
    for (size_t i = 0; i < c->k * d; i++) {
        value(m, 0).x[i] = (real)((double)c->centre[i] + mean[i % d]);
        value(m, 1).x[i] = (real)log_floor(m, config(m)->covariance == SPHERICAL ? average : variance[i % d]);
    }
}

/* square_distances: sum_j (x_ij - m_kj)^2 p_kj of x[n,D], m[K,D], p[K,D] -> [n,K]. Differences first: as a GEMM of
 * squares the digits of narrow components would be lost. */
enum { TILE_ROWS = 16 };
typedef struct distance_job {
    tx_tensor x, mean, precision, y;
    real *scratch; /* [tiles, 2, D] */
} distance_job;

static void distance_tile(void *ctx, size_t tile)
{
    const distance_job *job = ctx;
    size_t n = tx_rows(job->x), d = tx_cols(job->x), k = tx_rows(job->mean);
    real *difference = job->scratch + tile * 2 * d, *scaled = difference + d;
    for (size_t i = tile * TILE_ROWS; i < n && i < (tile + 1) * TILE_ROWS; i++)
        for (size_t c = 0; c < k; c++) {
            tx_vec_sub(d, job->x.x + i * d, job->mean.x + c * d, difference);
            tx_vec_mul(d, difference, job->precision.x + c * d, scaled);
            job->y.x[i * k + c] = (real)tx_vec_dot(d, difference, scaled);
        }
}

static void square_distances_eval(tx_tape *t, tx_node *y)
{
    size_t tiles = (tx_rows(y->in[0]->v) + TILE_ROWS - 1) / TILE_ROWS;
    tx_tensor scratch = tx_tape_tensor(t, tiles, 2 * tx_cols(y->in[0]->v));
    distance_job job = {y->in[0]->v, y->in[1]->v, y->in[2]->v, y->v, scratch.x};
    tx_parallel(tiles, distance_tile, &job);
}

/* With g = dy: dx = 2 (x * g p - g (m p)), dm = 2 p (m sum_i g - g' x), dp = g' x^2 - 2 m g' x + m^2 sum_i g. */
static void square_distances_vjp(tx_tape *t, tx_var y, tx_var g, const bool want[], tx_var dx[])
{
    tx_var x = y->in[0], m = y->in[1], p = y->in[2];
    if (want[0]) {
        tx_var towards = tx_matmul(t, g, false, tx_mul(t, m, p), false);
        dx[0] = tx_scale(t, tx_sub(t, tx_mul(t, x, tx_matmul(t, g, false, p, false)), towards), 2);
    }
    if (!want[1] && !want[2]) return;
    size_t d = tx_cols(x->v);
    tx_var all = tx_repeat_cols(t, tx_reshape(t, tx_sum_cols(t, g), tx_shape2(tx_rows(m->v), 1)), d);
    tx_var first = tx_matmul(t, g, true, x, false), scaled = tx_mul(t, m, all);
    if (want[1]) dx[1] = tx_scale(t, tx_mul(t, p, tx_sub(t, scaled, first)), 2);
    if (want[2]) {
        tx_var second = tx_matmul(t, g, true, tx_mul(t, x, x), false);
        dx[2] = tx_add(t, second, tx_mul(t, m, tx_sub(t, scaled, tx_scale(t, first, 2))));
    }
}

static const tx_op square_distances = {"square_distances", 3, square_distances_eval, square_distances_vjp};

/* -1/2 sum_j (log 2 pi + v_kj + (x_j - m_kj)^2 exp(-v_kj)) */
static tx_var normal_log_density(tx_tape *t, const tx_var p[2], tx_var x)
{
    tx_var mean = p[0], lv = p[1], precision = tx_exp(t, tx_scale(t, lv, -1));
    size_t k = tx_rows(mean->v);
    tx_var norm = tx_reshape(t, tx_sum_rows(t, lv), tx_shape2(1, k));
    norm = tx_affine(t, norm, (real)-0.5, (real)(-0.5 * (double)tx_cols(x->v) * log(2 * M_PI)));
    tx_var in[] = {x, mean, precision},
           square = tx_apply(t, &square_distances, tx_shape2(tx_rows(x->v), k), in, (tx_attr){0});
    return tx_add_row(t, tx_scale(t, square, (real)-0.5), norm);
}

/* Of the rounded mean, so that no variance is below the mean square about what is stored. */
static void normal_update(tx_model *m, const sums *s)
{
    real *mean = value(m, 0).x, *lv = value(m, 1).x;
    for (size_t k = 0; k < s->k; k++) {
        double w = s->weight[k], average = 0;
        if (w < FEW) continue;
        for (size_t j = 0, i = k * s->d; j < s->d; j++, i++) {
            double about = (double)mean[i], shift = s->first[i] / w;
            mean[i] = (real)(about + shift);
            double off = about + shift - (double)mean[i], variance = s->second[i] / w - shift * shift + off * off;
            lv[i] = (real)log_floor(m, variance);
            average += variance / (double)s->d;
        }
        for (size_t j = 0; j < s->d && config(m)->covariance == SPHERICAL; j++)
            lv[k * s->d + j] = (real)log_floor(m, average);
    }
}

static void normal_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, const size_t of[], tx_tensor x,
                          tx_tensor mean)
{
    size_t d = tx_cols(x);
    tx_tensor deviation = tx_tape_tensor(t, 1, d);
    tx_rng_normal(r, first * d, tx_len(x), x.x);
    for (size_t i = 0; i < tx_rows(x); i++) {
        memcpy(mean.x + i * d, value(m, 0).x + of[i] * d, d * sizeof(real));
        tx_vec_affine(d, (real)0.5, value(m, 1).x + of[i] * d, 0, deviation.x);
        tx_vec_exp(d, deviation.x, deviation.x);
        tx_vec_mul(d, x.x + i * d, deviation.x, x.x + i * d);
        tx_vec_add(d, x.x + i * d, mean.x + i * d, x.x + i * d);
    }
}

static const family bernoulli = {bernoulli_build,  bernoulli_start,  bernoulli_log_density,
                                 bernoulli_update, bernoulli_sample, false};
static const family normal = {normal_build, normal_start, normal_log_density, normal_update, normal_sample, true};

static void build(tx_model *m)
{
    mixture *s = m->state;
    s->of = m->space->measure == TX_LEBESGUE ? &normal : &bernoulli;
    m->n_net = 1;
    m->net[0] = tx_params_new("mixture");
    s->log_weight = tx_params_add(m->net[0], "log_weight", tx_shape2(1, (size_t)config(m)->components),
                                  (tx_init){TX_INIT_CONSTANT, 0});
    s->of->build(m);
}

/* log w_k + log p(x|k), [n,K]; the weights are normalised here. */
static tx_var joint(tx_model *m, tx_tape *t, tx_var x)
{
    const mixture *s = m->state;
    tx_var w = tx_params_var(m->net[0], s->log_weight), p[2] = {var(m, 0), s->of->squares ? var(m, 1) : NULL};
    w = tx_sub(t, w, tx_repeat_cols(t, tx_logsumexp(t, w), tx_cols(w->v)));
    return tx_add_row(t, s->of->log_density(t, p, x), w);
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x) { return tx_logsumexp(t, joint(m, t, x)); }

/* Training. */

enum { BLOCK = 200 };

static size_t rows_at(size_t n, size_t from) { return n - from < BLOCK ? n - from : BLOCK; }

/* Clusters of the rows that the first epoch shows. */
static void start(tx_model *m, const tx_view *v, uint64_t seed)
{
    const mixture *s = m->state;
    size_t n = v->data->split[TX_TRAIN].n, d = v->space.dim, k = (size_t)config(m)->components;
    real *x = tx_alloc(n * d, sizeof *x), *log_weight = tx_params_value(m->net[0], s->log_weight).x;
    double *mean = tx_alloc(d, sizeof *mean), *variance = tx_alloc(d, sizeof *variance);
    double *square = tx_alloc(n, sizeof *square);
    tx_baseline_rows(v, seed, 0, 0, n, x);
    tx_rows_mean(n, d, x, mean);
    tx_rows_centre(n, d, mean, x, square);
    tx_clusters c = tx_clusters_find(n, d, x, square, k, config(m)->n_iter,
                                     tx_rng_named(tx_rng_root(seed), "clusters"));
    for (size_t i = 0; i < n * d; i++) {
        double off = (double)x[i] - (double)c.centre[c.nearest[i / d] * d + i % d];
        variance[i % d] += off * off / (double)n;
    }
    for (size_t i = 0; i < k; i++) log_weight[i] = (real)log(fmax((double)c.size[i], FEW) / (double)n);
    s->of->start(m, &c, mean, variance);
    tx_clusters_free(&c);
    free(x), free(mean), free(variance), free(square);
}

/* Responsibilities in place of log w_k + log p(x|k); returns the sum of log p(x). */
static double responsibilities(size_t n, size_t k, real *a)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++, a += k) {
        double top = (double)a[0], total = 0;
        for (size_t c = 1; c < k; c++) top = fmax(top, (double)a[c]);
        for (size_t c = 0; c < k; c++) total += exp((double)a[c] - top);
        double log_p = top + log(total);
        for (size_t c = 0; c < k; c++) a[c] = (real)exp((double)a[c] - log_p);
        sum += log_p;
    }
    return sum;
}

typedef struct gather_job {
    sums *to;
    size_t n;
    const real *x, *r;
} gather_job;

/* One component's sums over a block; responsibilities below 1e-12 are left out. */
static void gather_tile(void *ctx, size_t k)
{
    const gather_job *job = ctx;
    const sums *s = job->to;
    double *first = s->first + k * s->d, *second = s->second ? s->second + k * s->d : NULL;
    const real *about = s->about ? s->about + k * s->d : NULL;
    for (size_t i = 0; i < job->n; i++) {
        double r = (double)job->r[i * s->k + k];
        const real *x = job->x + i * s->d;
        if (r < 1e-12) continue;
        s->weight[k] += r;
        for (size_t j = 0; j < s->d; j++) {
            double off = (double)x[j] - (about ? (double)about[j] : 0);
            first[j] += r * off;
            if (second) second[j] += r * off * off;
        }
    }
}

static void reweight(tx_model *m, const sums *s)
{
    real *log_weight = tx_params_value(m->net[0], ((mixture *)m->state)->log_weight).x;
    double all = 0;
    for (size_t k = 0; k < s->k; k++) all += fmax(s->weight[k], FEW);
    for (size_t k = 0; k < s->k; k++) log_weight[k] = (real)log(fmax(s->weight[k], FEW) / all);
}

/* The objective is that of the parameters before the update. */
static tx_status iterate(tx_model *m, const tx_view *v, uint64_t seed, uint64_t epoch, tx_metrics *out)
{
    const mixture *s = m->state;
    size_t n = v->data->split[TX_TRAIN].n, d = v->space.dim, k = (size_t)config(m)->components;
    if (epoch == 0) start(m, v, seed);
    sums to = {k,
               d,
               tx_alloc(k, sizeof(double)),
               tx_alloc(k * d, sizeof(double)),
               s->of->squares ? tx_alloc(k * d, sizeof(double)) : NULL,
               s->of->squares ? value(m, 0).x : NULL};
    real *x = tx_alloc(BLOCK * d, sizeof *x);
    tx_tape *t = tx_tape_new(1 << 20);
    double sum = 0;
    for (size_t from = 0; from < n; from += BLOCK) {
        size_t rows = rows_at(n, from);
        tx_baseline_rows(v, seed, epoch, from, rows, x);
        tx_model_bind(m, t);
        tx_var a = joint(m, t, tx_leaf(t, tx_matrix(x, rows, d)));
        sum += responsibilities(rows, k, a->v.x);
        gather_job job = {&to, rows, x, a->v.x};
        tx_parallel(k, gather_tile, &job);
    }
    if (isfinite(sum)) s->of->update(m, &to), reweight(m, &to);
    out->n = 1;
    out->m[0].name = "objective", out->m[0].value = -sum / (double)n;
    tx_tape_free(t), free(x), free(to.weight), free(to.first), free(to.second);
    return isfinite(sum) ? TX_OK : tx_fail(TX_EDIVERGED, "the log-likelihood of train is not finite");
}

static void draw(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, tx_tensor mean)
{
    const mixture *s = m->state;
    size_t n = tx_rows(x), *of = tx_arena_alloc(tx_tape_arena(t), n * sizeof *of);
    tx_draw_components((size_t)config(m)->components, tx_params_value(m->net[0], s->log_weight).x,
                       tx_rng_named(r, "component"), first, n, of);
    s->of->sample(m, t, r, first, of, x, mean);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    draw(m, t, r, first, x, tx_tape_tensor(t, tx_rows(x), tx_cols(x)));
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    draw(m, t, r, first, tx_tape_tensor(t, tx_rows(x), tx_cols(x)), x);
}

/* Missing variables: those of a component are independent of the observed ones, which weigh the components. */

/* log p(x|k) over a part of the variables, [n,K]. */
static tx_var part(tx_model *m, tx_tape *t, const uint8_t missing[], bool of_missing, tx_tensor x)
{
    const family *of = ((mixture *)m->state)->of;
    tx_var p[2] = {NULL, NULL};
    for (int i = 0; i < (of->squares ? 2 : 1); i++) p[i] = tx_missing_columns(t, missing, of_missing, 1, value(m, i));
    return of->log_density(t, p, tx_missing_columns(t, missing, of_missing, 1, x));
}

/* log p(k|x_o), [n,K] */
static tx_var weights(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x)
{
    tx_var w = tx_params_var(m->net[0], ((mixture *)m->state)->log_weight);
    w = tx_add_row(t, part(m, t, missing, false, x), w);
    return tx_sub(t, w, tx_repeat_cols(t, tx_logsumexp(t, w), tx_cols(w->v)));
}

static void log_prob_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double log_p[])
{
    tx_var y = tx_logsumexp(t, tx_add(t, weights(m, t, missing, x), part(m, t, missing, true, x)));
    for (size_t i = 0; i < tx_rows(x); i++) log_p[i] = (double)y->v.x[i];
}

static void sample_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    const mixture *s = m->state;
    size_t n = tx_rows(x), d = tx_cols(x), k = (size_t)config(m)->components;
    size_t *of = tx_arena_alloc(tx_tape_arena(t), n * sizeof *of);
    const real *w = weights(m, t, missing, x)->v.x;
    for (size_t i = 0; i < n; i++) tx_draw_components(k, w + i * k, tx_rng_named(r, "component"), first + i, 1, of + i);
    tx_tensor y = tx_tape_tensor(t, n, d);
    s->of->sample(m, t, r, first, of, y, tx_tape_tensor(t, n, d));
    tx_missing_copy(missing, y, x);
}

static const tx_conditional conditional = {
    .applies = tx_applies_always, .log_prob = log_prob_missing, .sample = sample_missing};

const tx_model_ops tx_model_mixture = {
    .name = "mixture",
    .summary = "mixture of Bernoulli products or of Gaussians, by EM",
    .citation = "dempster1977maximum",
    .taxonomy_path = "explicit/tractable/mixture",
    .spaces = TX_ON_BINARY | TX_ON_REAL,
    .state_size = sizeof(mixture),
    .config_size = sizeof(mixture_config),
    .options = options,
    .toys = "[{components: 3}, {components: 2, covariance: spherical, smoothing: 1.7}, {components: 1}]",
    .build = build,
    .log_prob = log_prob,
    .conditional = &conditional,
    .sample = sample,
    .sample_mean = sample_mean,
    .iterate = iterate,
};
