/** Independent coordinates: the product of the training split's marginals, the least that any model must beat.
 *  Bernoulli on {0,1}^D, categorical on {0..K-1}^D, Gaussian on R^D; fitted in closed form. Letters: n training rows,
 *  c counts, a Laplace's pseudo-count. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/conditional.h"

typedef struct independent_config {
    double smoothing, min_sigma;
} independent_config;
typedef struct marginal marginal;
typedef struct independent {
    const marginal *of;
    tx_param p[2];
} independent;

/* What a coordinate's distribution is on one kind of space. */
struct marginal {
    size_t n_parameter; /* p[], each with `per` numbers a coordinate */
    void (*build)(tx_model *m);
    void (*fit)(tx_model *m, const tx_view *v);
    tx_var (*log_prob)(tx_tape *t, const tx_var p[2], tx_var x);
    void (*sample)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x);
    void (*mean)(tx_model *m, tx_tape *t, real mean[]);
};

static const tx_option options[] = {
    {"smoothing", TX_OPT_REAL, offsetof(independent_config, smoothing), "1", 1e-9, 1e9, NULL,
     "Laplace's pseudo-count, added to the count of every value", NULL},
    {"min_sigma", TX_OPT_REAL, offsetof(independent_config, min_sigma), "0.001", 1e-9, 1e9, NULL,
     "least deviation of a Gaussian marginal, so that constant coordinates have a bounded density", NULL},
    {0},
};

static tx_tensor value(tx_model *m, int i) { return tx_params_value(m->net[0], ((independent *)m->state)->p[i]); }
static tx_var var(tx_model *m, int i) { return tx_params_var(m->net[0], ((independent *)m->state)->p[i]); }

static void declare(tx_model *m, int i, const char *name, size_t rows, size_t cols)
{
    ((independent *)m->state)->p[i] = tx_params_add(m->net[0], name, tx_shape2(rows, cols),
                                                    (tx_init){TX_INIT_CONSTANT, 0});
}

/* Bernoulli: logit[1,D]. */

static void bernoulli_build(tx_model *m) { declare(m, 0, "logit", 1, m->space->dim); }

static void bernoulli_fit(tx_model *m, const tx_view *v)
{
    double a = ((const independent_config *)m->config)->smoothing, n = (double)v->data->split[TX_TRAIN].n;
    real *logit = value(m, 0).x;
    for (size_t j = 0; j < m->space->dim; j++) {
        double c = n * m->space->mean[j];
        logit[j] = (real)(log(c + a) - log(n - c + a));
    }
}

static tx_var bernoulli_log_prob(tx_tape *t, const tx_var p[2], tx_var x)
{
    return tx_bernoulli_logp(t, tx_repeat_rows(t, p[0], tx_rows(x->v)), x);
}

static void bernoulli_mean(tx_model *m, tx_tape *t, real mean[])
{
    (void)t;
    tx_vec_act(TX_SIGMOID, m->space->dim, value(m, 0).x, mean);
}

static void bernoulli_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_tensor p = tx_tape_tensor(t, 1, tx_cols(x));
    bernoulli_mean(m, t, p.x);
    for (size_t i = 0, d = tx_cols(x); i < tx_rows(x); i++) tx_rng_bernoulli(r, (first + i) * d, d, p.x, x.x + i * d);
}

/* Categorical: logit[D,K]. */

static void categorical_build(tx_model *m) { declare(m, 0, "logit", m->space->dim, (size_t)m->space->levels); }

static void categorical_fit(tx_model *m, const tx_view *v)
{
    enum { CHUNK = 256 };
    double a = ((const independent_config *)m->config)->smoothing;
    size_t n = v->data->split[TX_TRAIN].n, d = m->space->dim, K = (size_t)m->space->levels;
    double *count = tx_alloc(d * K, sizeof *count);
    real *x = tx_alloc(CHUNK * d, sizeof *x), *logit = value(m, 0).x;
    for (size_t from = 0; from < n; from += CHUNK) {
        size_t rows = n - from < CHUNK ? n - from : CHUNK;
        tx_view_range(v, TX_TRAIN, from, rows, x, NULL);
        for (size_t i = 0; i < rows * d; i++) count[i % d * K + (size_t)x[i]]++;
    }
    for (size_t i = 0; i < d * K; i++) logit[i] = (real)log((count[i] + a) / ((double)n + a * (double)K));
    free(count), free(x);
}

/* pick: sum over j of table[j, x_j], [D,K] and levels [n,D] -> [n,1]. */
static const tx_op pick, tally;

static void pick_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor table = y->in[0]->v, x = y->in[1]->v;
    for (size_t i = 0, d = tx_cols(x), K = tx_cols(table); i < tx_rows(x); i++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++) {
            real level = x.x[i * d + j];
            TX_REQUIRE(level >= 0 && level < (real)K, "level %g of %zu", (double)level, K);
            sum += (double)table.x[j * K + (size_t)level];
        }
        y->v.x[i] = (real)sum;
    }
}

static void pick_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_apply(t, &tally, y->in[0]->v.shape, (tx_var[]){dy, y->in[1]}, y->a);
}

/* tally: its transpose, weights [n,1] and levels [n,D] -> [D,K]. */
static void tally_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    tx_tensor weight = y->in[0]->v, x = y->in[1]->v;
    memset(y->v.x, 0, tx_len(y->v) * sizeof(real));
    for (size_t i = 0, d = tx_cols(x), K = tx_cols(y->v); i < tx_rows(x); i++)
        for (size_t j = 0; j < d; j++) y->v.x[j * K + (size_t)x.x[i * d + j]] += weight.x[i];
}

static void tally_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_apply(t, &pick, y->in[0]->v.shape, (tx_var[]){dy, y->in[1]}, y->a);
}

static const tx_op pick = {"pick", 2, pick_eval, pick_vjp};
static const tx_op tally = {"tally", 2, tally_eval, tally_vjp};

static tx_var categorical_log_prob(tx_tape *t, const tx_var p[2], tx_var x)
{
    size_t n = tx_rows(x->v);
    tx_var logit = p[0], log_p = tx_sub(t, logit, tx_repeat_cols(t, tx_logsumexp(t, logit), tx_cols(logit->v)));
    return tx_apply(t, &pick, tx_shape2(n, 1), (tx_var[]){log_p, x}, (tx_attr){0});
}

/* Row j of p[D,K]: the probabilities of coordinate j. */
static real *probabilities(tx_model *m, tx_tape *t)
{
    tx_tensor logit = value(m, 0), p = tx_tape_tensor(t, tx_rows(logit), tx_cols(logit));
    size_t K = tx_cols(logit);
    for (size_t j = 0; j < tx_rows(logit); j++) {
        real log_sum;
        tx_mat_logsumexp(1, K, logit.x + j * K, &log_sum);
        tx_vec_affine(K, 1, logit.x + j * K, -log_sum, p.x + j * K);
    }
    tx_vec_exp(tx_len(p), p.x, p.x);
    return p.x;
}

static void categorical_mean(tx_model *m, tx_tape *t, real mean[])
{
    const real *p = probabilities(m, t);
    for (size_t j = 0, K = (size_t)m->space->levels; j < m->space->dim; j++) {
        double sum = 0;
        for (size_t k = 0; k < K; k++) sum += (double)k * (double)p[j * K + k];
        mean[j] = (real)sum;
    }
}

/* By inversion: the first level whose cumulative probability exceeds a uniform draw. */
static void categorical_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    const real *p = probabilities(m, t);
    size_t d = tx_cols(x), K = (size_t)m->space->levels;
    tx_rng_uniform(r, first * d, tx_len(x), x.x);
    for (size_t i = 0; i < tx_len(x); i++) {
        const real *of = p + i % d * K;
        double left = (double)x.x[i];
        size_t k = 0;
        while (k + 1 < K && left >= (double)of[k]) left -= (double)of[k++];
        x.x[i] = (real)k;
    }
}

/* Gaussian: mean[1,D], log_variance[1,D]. */

static void normal_build(tx_model *m)
{
    declare(m, 0, "mean", 1, m->space->dim);
    declare(m, 1, "log_variance", 1, m->space->dim);
}

static void normal_fit(tx_model *m, const tx_view *v)
{
    (void)v;
    double least = ((const independent_config *)m->config)->min_sigma;
    for (size_t j = 0; j < m->space->dim; j++) {
        value(m, 0).x[j] = (real)m->space->mean[j];
        value(m, 1).x[j] = (real)(2 * log(fmax(m->space->deviation[j], least)));
    }
}

static tx_var normal_log_prob(tx_tape *t, const tx_var p[2], tx_var x)
{
    size_t n = tx_rows(x->v);
    return tx_normal_logp(t, x, tx_repeat_rows(t, p[0], n), tx_repeat_rows(t, p[1], n));
}

static void normal_mean(tx_model *m, tx_tape *t, real mean[])
{
    (void)t;
    memcpy(mean, value(m, 0).x, m->space->dim * sizeof(real));
}

static void normal_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    (void)t;
    size_t d = tx_cols(x);
    const real *mean = value(m, 0).x, *lv = value(m, 1).x;
    tx_rng_normal(r, first * d, tx_len(x), x.x);
    for (size_t i = 0; i < tx_len(x); i++) x.x[i] = mean[i % d] + (real)exp(0.5 * (double)lv[i % d]) * x.x[i];
}

static const marginal bernoulli = {
    1, bernoulli_build, bernoulli_fit, bernoulli_log_prob, bernoulli_sample, bernoulli_mean};
static const marginal categorical = {
    1, categorical_build, categorical_fit, categorical_log_prob, categorical_sample, categorical_mean};
static const marginal normal = {2, normal_build, normal_fit, normal_log_prob, normal_sample, normal_mean};

static void build(tx_model *m)
{
    independent *s = m->state;
    s->of = m->space->measure == TX_LEBESGUE ? &normal : m->space->levels == 2 ? &bernoulli : &categorical;
    m->n_net = 1;
    m->net[0] = tx_params_new("marginals");
    s->of->build(m);
}

static tx_status fit(tx_model *m, const tx_view *v, uint64_t seed)
{
    (void)seed;
    ((independent *)m->state)->of->fit(m, v);
    return TX_OK;
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const marginal *of = ((independent *)m->state)->of;
    return of->log_prob(t, (tx_var[]){var(m, 0), of->n_parameter > 1 ? var(m, 1) : NULL}, x);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    ((independent *)m->state)->of->sample(m, t, r, first, x);
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    (void)r, (void)first;
    tx_tensor row = tx_tape_tensor(t, 1, tx_cols(x));
    ((independent *)m->state)->of->mean(m, t, row.x);
    for (size_t i = 0; i < tx_rows(x); i++) memcpy(x.x + i * tx_cols(x), row.x, tx_cols(x) * sizeof(real));
}

/* Of a product the missing factors are the conditional. */

static void log_prob_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double log_p[])
{
    const marginal *of = ((independent *)m->state)->of;
    size_t d = tx_cols(x), n = tx_missing_count(d, missing);
    tx_var p[2] = {NULL, NULL};
    for (size_t i = 0; i < of->n_parameter; i++) {
        tx_tensor v = value(m, (int)i);
        size_t rows = tx_rows(v), per = tx_len(v) / d; /* [1,D], or [D,K] */
        p[i] = tx_missing_columns(t, missing, true, per, tx_matrix(v.x, 1, d * per));
        if (rows > 1) p[i] = tx_reshape(t, p[i], tx_shape2(n, per));
    }
    tx_var y = of->log_prob(t, p, tx_missing_columns(t, missing, true, 1, x));
    for (size_t i = 0; i < tx_rows(x); i++) log_p[i] = (double)y->v.x[i];
}

static void sample_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    tx_tensor y = tx_tape_tensor(t, tx_rows(x), tx_cols(x));
    sample(m, t, r, first, y);
    tx_missing_copy(missing, y, x);
}

static const tx_conditional conditional = {
    .applies = tx_applies_always, .log_prob = log_prob_missing, .sample = sample_missing};

const tx_model_ops tx_model_independent = {
    .name = "independent",
    .summary = "product of the training data's marginals",
    .citation = "bishop2006prml",
    .taxonomy_path = "explicit/tractable/independent",
    .spaces = TX_ON_BINARY | TX_ON_LEVELS | TX_ON_REAL,
    .state_size = sizeof(independent),
    .config_size = sizeof(independent_config),
    .options = options,
    .toys = "[{}, {smoothing: 2.5, min_sigma: 1.3}]",
    .build = build,
    .log_prob = log_prob,
    .conditional = &conditional,
    .sample = sample,
    .sample_mean = sample_mean,
    .fit = fit,
};
