/** NICE, VAE, GAN and the independent baseline against their formulas, written out in double precision. */
#include <math.h>
#include <stdlib.h>
#include "common/model/latent.h"
#include "tests/support/check.h"

extern const tx_model_ops tx_model_nice, tx_model_vae, tx_model_iwae, tx_model_gan, tx_model_independent;

enum { MAX_WIDTH = 64 };
static const double log_two_pi = 1.8378770664093453;
static const double unbounded[2] = {-INFINITY, INFINITY}, unit[2] = {0, 1};
/* Relative error of a value that a float network computes; the double build is held to its own rounding. */
static const double TOL = sizeof(real) == 8 ? 1e-11 : 2e-5;

static double mean_of_data[MAX_WIDTH], deviation_of_data[MAX_WIDTH];

static tx_space space_of(int levels, size_t dim, const double bound[2])
{
    for (size_t j = 0; j < dim; j++) {
        mean_of_data[j] = 0.31 + 0.05 * (double)j;
        deviation_of_data[j] = 0.17 + 0.03 * (double)j;
    }
    return (tx_space){.measure = levels ? TX_COUNTING : TX_LEBESGUE,
                      .levels = levels,
                      .dim = dim,
                      .lower = bound[0],
                      .upper = bound[1],
                      .mean = mean_of_data,
                      .deviation = deviation_of_data};
}

static void *options_of(const tx_option table[], size_t size, const char *text)
{
    void *c = tx_alloc(1, size);
    tx_yaml *y = NULL;
    tx_options_defaults(table, c);
    CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &y));
    CHECK_OK(tx_options_parse(&(tx_option_set){table, c}, 1, y, "test", NULL));
    tx_yaml_free(y);
    return c;
}

static tx_status try_model(tx_model **m, const tx_model_ops *ops, const tx_space *space, const char *text)
{
    void *c = options_of(ops->options, ops->config_size, text);
    tx_status s = tx_model_new(m, ops, c, space, 7);
    free(c);
    return s;
}

static tx_model *model(const tx_model_ops *ops, const tx_space *space, const char *text)
{
    tx_model *m = NULL;
    CHECK_OK(try_model(&m, ops, space, text));
    return m;
}

/* Every weight becomes N(0, scale^2), so that nothing is hidden by zeros. */
static void shake(tx_model *m, double scale)
{
    for (int i = 0; i < m->n_net; i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++) {
            tx_tensor w = tx_params_value(m->net[i], (tx_param){j});
            tx_rng r = tx_rng_fold(tx_rng_fold(tx_rng_root(11), (uint64_t)i), (uint64_t)j);
            tx_rng_normal(r, 0, tx_len(w), w.x);
            tx_vec_affine(tx_len(w), (real)scale, w.x, 0, w.x);
        }
}

static tx_tensor weight(const tx_params *p, const char *name)
{
    for (int j = 0; j < tx_params_count(p); j++)
        if (strcmp(tx_params_name(p, (tx_param){j}), name) == 0) return tx_params_value(p, (tx_param){j});
    return (tx_tensor){0};
}

static double relu(double x) { return x > 0 ? x : 0; }
static double leaky(double x) { return x > 0 ? x : 0.2 * x; }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

/* y = x w_i + b_i; returns the width, 0 where there is no layer i. */
static size_t layer(const tx_params *p, const char *name, int i, const double x[], double y[])
{
    char w_name[TX_NAME_MAX], b_name[TX_NAME_MAX];
    snprintf(w_name, sizeof w_name, "%s_w%d", name, i);
    snprintf(b_name, sizeof b_name, "%s_b%d", name, i);
    tx_tensor w = weight(p, w_name), b = weight(p, b_name);
    if (!w.x) return 0;
    for (size_t o = 0; o < tx_cols(w); o++) {
        y[o] = (double)b.x[o];
        for (size_t k = 0; k < tx_rows(w); k++) y[o] += x[k] * (double)w.x[k * tx_cols(w) + o];
    }
    return tx_cols(w);
}

static void network(const tx_params *p, const char *name, double (*act)(double), size_t n_in, const double x[],
                    double y[])
{
    double a[MAX_WIDTH], b[MAX_WIDTH];
    size_t width = n_in;
    memcpy(a, x, n_in * sizeof *a);
    for (int i = 0;; i++) {
        size_t next = layer(p, name, i, a, b);
        if (!next) break;
        width = next;
        memcpy(y, b, width * sizeof *y);
        for (size_t o = 0; o < width; o++) a[o] = act(b[o]);
    }
}

static void fill(uint64_t seed, size_t n, real x[]) { tx_rng_uniform(tx_rng_named(tx_rng_root(seed), "x"), 0, n, x); }

static double logistic_logp(double z) { return -z - 2 * softplus(-z); }
static double normal_logp(double x, double mean, double variance)
{
    return -0.5 * (log_two_pi + log(variance) + (x - mean) * (x - mean) / variance);
}
static double standard_logp(double z) { return normal_logp(z, 0, 1); }

/* NICE */

/* Interleaving written out: coupling k reads the coordinates of its parity and moves the others. */
static double nice_naive(const tx_model *m, int couplings, double (*prior)(double), const real x[], double z[])
{
    size_t d = m->space->dim;
    double sum = 0;
    for (size_t j = 0; j < d; j++) z[j] = (double)x[j];
    for (int k = 0; k < couplings; k++) {
        double in[MAX_WIDTH], shift[MAX_WIDTH];
        char name[TX_NAME_MAX];
        size_t n = 0;
        snprintf(name, sizeof name, "coupling%d", k);
        for (size_t j = 0; j < d; j++)
            if (j % 2 == (size_t)k % 2) in[n++] = z[j];
        network(m->net[0], name, relu, n, in, shift);
        n = 0;
        for (size_t j = 0; j < d; j++)
            if (j % 2 != (size_t)k % 2) z[j] += shift[n++];
    }
    for (size_t j = 0; j < d; j++) {
        double s = (double)weight(m->net[0], "log_scale").x[j];
        z[j] *= exp(s);
        sum += prior(z[j]) + s;
    }
    return sum;
}

static void nice_formula(void)
{
    static const struct {
        const char *text;
        int couplings;
        double (*prior)(double);
        size_t dim;
    } cases[] = {{"{couplings: 3, hidden: [5, 4]}", 3, logistic_logp, 7},
                 {"{couplings: 4, hidden: [6]}", 4, logistic_logp, 8},
                 {"{couplings: 1, hidden: [], prior: normal}", 1, standard_logp, 2},
                 {"{couplings: 0}", 0, standard_logp, 3}};
    for (size_t c = 0; c < TX_LEN(cases); c++) {
        enum { N = 5 };
        size_t d = cases[c].dim;
        tx_space space = space_of(0, d, unbounded);
        tx_model *m = model(&tx_model_nice, &space,
                            cases[c].couplings ? cases[c].text : "{couplings: 0, prior: normal}");
        tx_tape *t = tx_tape_new(1 << 16);
        real x[N * 8];
        fill(c, N * d, x);
        shake(m, 0.6);
        tx_model_bind(m, t);
        tx_var data = tx_leaf(t, tx_matrix(x, N, d)), code = tx_model_nice.encode(m, t, data);
        tx_var back = tx_model_nice.decode(m, t, code), log_p = tx_model_nice.log_prob(m, t, data);
        for (size_t i = 0; i < N; i++) {
            double z[MAX_WIDTH], want = nice_naive(m, cases[c].couplings, cases[c].prior, x + i * d, z);
            CHECK_NEAR(log_p->v.x[i], want, TOL * (fabs(want) + (double)d));
            for (size_t j = 0; j < d; j++) {
                CHECK_NEAR(code->v.x[i * d + j], z[j], TOL * (fabs(z[j]) + 4));
                CHECK_NEAR(back->v.x[i * d + j], x[i * d + j], TOL * 8);
            }
        }
        tx_tape_free(t);
        tx_model_free(m);
    }
}

/* The first coupling leaves the even coordinates alone, and every initialisation of it is finite. */
static void nice_start(void)
{
    enum { D = 5 };
    static const struct {
        const char *text;
        double deviation;
    } priors[] = {{"{hidden: [9], couplings: 4}", 1.8137993642342178},
                  {"{hidden: [9], couplings: 3, prior: normal}", 1}};
    for (size_t c = 0; c < TX_LEN(priors); c++) {
        tx_space space = space_of(0, D, unbounded);
        tx_model *m = model(&tx_model_nice, &space, priors[c].text);
        tx_tape *t = tx_tape_new(1 << 16);
        real x[2 * D];
        for (size_t j = 0; j < D; j++) {
            x[j] = (real)mean_of_data[j];
            x[D + j] = (real)(mean_of_data[j] + deviation_of_data[j]);
        }
        tx_model_bind(m, t);
        tx_var z = tx_model_nice.encode(m, t, tx_leaf(t, tx_matrix(x, 2, D)));
        for (size_t j = 0; j < D; j++) {
            CHECK_NEAR(z->v.x[j], 0, 1e-5);
            CHECK_NEAR(z->v.x[D + j], priors[c].deviation, 1e-4);
        }
        tx_tape_free(t);
        tx_model_free(m);
    }
    /* A narrow coordinate starts as if it were a quarter as wide as the widest. */
    tx_space space = space_of(0, D, unbounded);
    double narrow[D];
    for (size_t j = 0; j < D; j++) narrow[j] = j == 1 ? 0.0007 : deviation_of_data[j];
    space.deviation = narrow;
    tx_model *m = model(&tx_model_nice, &space, "{hidden: [9], min_deviation: 0.25}");
    CHECK_NEAR(exp(-(double)weight(m->net[0], "log_scale").x[1]) * 1.8137993642342178, 0.25 * narrow[D - 1], 1e-6);
    CHECK_NEAR(exp(-(double)weight(m->net[0], "log_scale").x[2]) * 1.8137993642342178, narrow[2], 1e-6);
    tx_model_free(m);
    space = space_of(0, D, unbounded);
    m = model(&tx_model_nice, &space, "{hidden: [9], init: uniform, data_init: false}");
    tx_tensor w = weight(m->net[0], "coupling0_w1");
    double largest = 0;
    for (size_t i = 0; i < tx_len(w); i++) largest = fmax(largest, fabs((double)w.x[i]));
    CHECK_TRUE(largest > 0.005 && largest <= 0.01);
    CHECK_NEAR(weight(m->net[0], "log_scale").x[2], 0, 0);
    tx_model_free(m);
}

static void nice_one_coordinate(void)
{
    tx_space space = space_of(0, 1, unbounded);
    tx_model *m = model(&tx_model_nice, &space, "{}");
    tx_tape *t = tx_tape_new(1 << 16);
    real x = (real)2.385, s = (real)-0.71, drawn[3];
    CHECK_INT(tx_model_size(m), 1);
    weight(m->net[0], "log_scale").x[0] = s;
    tx_model_bind(m, t);
    tx_var log_p = tx_model_nice.log_prob(m, t, tx_leaf(t, tx_matrix(&x, 1, 1)));
    CHECK_NEAR(log_p->v.x[0], logistic_logp((double)x * exp((double)s)) + (double)s, 10 * TOL);
    tx_model_sample(m, t, tx_rng_root(3), 0, 3, false, drawn);
    for (int i = 0; i < 3; i++) CHECK_TRUE(isfinite((double)drawn[i]) && drawn[i] != 0);
    tx_tape_free(t);
    tx_model_free(m);
}

/* Codes of samples have the variance of the prior that log_prob uses: pi^2/3 or 1, within 5 standard errors. */
static void nice_samples_from_its_prior(void)
{
    enum { D = 6, N = 5000 };
    static const struct {
        const char *text;
        double variance, kurtosis;
    } priors[] = {{"{hidden: [8]}", 3.289868133696453, 4.2}, {"{hidden: [8], prior: normal}", 1, 3}};
    real *x = tx_alloc(N * D, sizeof *x);
    for (size_t c = 0; c < TX_LEN(priors); c++) {
        tx_space space = space_of(0, D, unbounded);
        tx_model *m = model(&tx_model_nice, &space, priors[c].text);
        tx_tape *t = tx_tape_new(1 << 20);
        shake(m, 0.4);
        tx_model_sample(m, t, tx_rng_root(5), 0, N, false, x);
        tx_model_bind(m, t);
        tx_var z = tx_model_nice.encode(m, t, tx_leaf(t, tx_matrix(x, N, D)));
        double square = tx_vec_dot(N * D, z->v.x, z->v.x) / (N * D), v = priors[c].variance;
        CHECK_NEAR(square, v, 5 * v * sqrt((priors[c].kurtosis - 1) / (N * D)));
        tx_tape_free(t);
        tx_model_free(m);
    }
    free(x);
}

/* VAE */

typedef struct vae_case {
    const char *text;
    int levels;
    const double *bound;
    double (*act)(double);
    double (*variance)(const tx_model *m, const double out[], size_t j);
} vae_case;

static double floored(double lv) { return 0.02 * 0.02 + exp(lv); }
static double learned(const tx_model *m, const double out[], size_t j)
{
    (void)out;
    return floored((double)weight(m->net[1], "log_variance").x[j]);
}
static double predicted(const tx_model *m, const double out[], size_t j) { return floored(out[m->space->dim + j]); }
static double fixed(const tx_model *m, const double out[], size_t j)
{
    return (void)m, (void)out, (void)j, 0.35 * 0.35;
}

static const vae_case vaes[] = {
    {"{latent: 3, hidden: [6, 5], activation: tanh", 2, unit, tanh, NULL},
    {"{latent: 2, hidden: [4], decoder_hidden: [7, 3], activation: softplus, observation: bernoulli", 2, unit, softplus,
     NULL},
    {"{latent: 3, hidden: [6], activation: sigmoid, variance: learned, min_sigma: 0.02", 0, unit, sigmoid, learned},
    {"{latent: 2, hidden: [5], activation: relu, min_sigma: 0.02", 0, unbounded, relu, predicted},
    {"{latent: 1, hidden: [], variance: fixed, sigma: 0.35", 0, unbounded, tanh, fixed}};

static double vae_likelihood(const tx_model *m, const vae_case *c, size_t k, const double z[], const real x[])
{
    double out[MAX_WIDTH], sum = 0;
    network(m->net[1], "layer", c->act, k, z, out);
    for (size_t j = 0; j < m->space->dim; j++) {
        double v = (double)x[j];
        if (c->levels)
            sum += v * out[j] - softplus(out[j]);
        else
            sum += normal_logp(v, c->bound == unit ? sigmoid(out[j]) : out[j], c->variance(m, out, j));
    }
    return sum;
}

/* Lower bound with L samples, and the log of the mean of the L importance weights of the same noise, which is row `row`
 * of the noise. */
static double vae_naive(const tx_model *m, const vae_case *c, tx_rng r, uint64_t row, size_t L, const real x[],
                        double *weighed)
{
    double in[MAX_WIDTH], h[MAX_WIDTH], z[MAX_WIDTH], sum = 0, kl = 0, weight_sum = 0;
    size_t k = tx_cols(weight(m->net[0], m->net[0] && weight(m->net[0], "layer_b1").x ? "layer_b1" : "layer_b0")) / 2;
    if (weight(m->net[0], "layer_b2").x) k = tx_cols(weight(m->net[0], "layer_b2")) / 2;
    for (size_t j = 0; j < m->space->dim; j++) in[j] = (double)x[j];
    network(m->net[0], "layer", c->act, m->space->dim, in, h);
    for (size_t l = 0; l < L; l++) {
        double ratio = 0;
        for (size_t i = 0; i < k; i++) {
            real e;
            tx_rng_normal(r, (row * L + l) * k + i, 1, &e);
            double mu = h[i], sd = exp(0.5 * h[k + i]);
            z[i] = mu + sd * (double)e;
            ratio += standard_logp(z[i]) - normal_logp(z[i], mu, sd * sd);
            if (l == 0) kl += 0.5 * (mu * mu + sd * sd - 1 - h[k + i]);
        }
        double given = vae_likelihood(m, c, k, z, x);
        sum += given;
        weight_sum += exp(given + ratio);
    }
    *weighed = log(weight_sum / (double)L);
    return sum / (double)L - kl;
}

/* Of one draw of the encoder an example. */
static tx_var vae_log_weight(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var x)
{
    tx_var mu, lv;
    tx_model_vae.posterior(m, t, x, &mu, &lv);
    tx_var e = tx_latent_noise(t, tx_rng_normal, r, first, tx_rows(x->v), tx_cols(mu->v));
    return tx_log_weight(m, t, tx_observation_of(m, 0), x, mu, lv, e);
}

/* Both bounds; of an iwae the second is what training ascends. */
static void vae_formula(void)
{
    enum { N = 4, D = 7, FIRST = 13 };
    for (size_t i = 0; i < TX_LEN(vaes); i++)
        for (size_t k = 0; k < 4; k++) {
            const vae_case *c = &vaes[i];
            const tx_model_ops *ops = k < 2 ? &tx_model_vae : &tx_model_iwae;
            size_t L = k % 2 ? 3 : 1;
            tx_space space = space_of(c->levels, D, c->bound);
            char text[256];
            snprintf(text, sizeof text, "%s, n_sample: %zu}", c->text, L);
            tx_model *m = model(ops, &space, text);
            tx_tape *t = tx_tape_new(1 << 16);
            tx_rng r = tx_rng_root(99);
            real x[N * D];
            fill(i, N * D, x);
            for (size_t j = 0; c->levels && j < N * D; j++) x[j] = x[j] > (real)0.4;
            shake(m, 0.5);
            tx_model_bind(m, t);
            tx_var data = tx_leaf(t, tx_matrix(x, N, D));
            tx_var bound = ops->elbo(m, t, r, FIRST, data);
            tx_var w = ops->bound ? ops->bound(m, t, r, FIRST, data) : vae_log_weight(m, t, r, FIRST, data);
            for (size_t row = 0; row < N; row++) {
                double weighed, want = vae_naive(m, c, r, FIRST + row, L, x + row * D, &weighed);
                CHECK_NEAR(bound->v.x[row], want, 4 * TOL * (fabs(want) + D));
                if (L == 1 || ops->bound) CHECK_NEAR(w->v.x[row], weighed, 4 * TOL * (fabs(weighed) + D));
            }
            tx_tape_free(t);
            tx_model_free(m);
        }
}

/* elbo - log_weight of the same noise is the divergence by Monte Carlo minus the closed form: 0 on average. */
static void vae_divergence(void)
{
    enum { N = 4000, D = 7 };
    const vae_case *c = &vaes[0];
    tx_space space = space_of(2, D, unit);
    tx_model *m = model(&tx_model_vae, &space, "{latent: 3, hidden: [6, 5]}");
    tx_tape *t = tx_tape_new(1 << 20);
    real *x = tx_alloc(N * D, sizeof *x);
    (void)c;
    for (size_t i = 0; i < N * D; i++) x[i] = (i % D) % 3 == 0;
    shake(m, 0.8);
    tx_model_bind(m, t);
    tx_var data = tx_leaf(t, tx_matrix(x, N, D)), bound = tx_model_vae.elbo(m, t, tx_rng_root(1), 0, data);
    tx_var w = vae_log_weight(m, t, tx_rng_root(1), 0, data);
    double sum = 0, square = 0;
    for (size_t i = 0; i < N; i++) {
        double d = (double)bound->v.x[i] - (double)w->v.x[i];
        sum += d / N, square += d * d / N;
    }
    CHECK_TRUE(square > 1e-3);
    CHECK_NEAR(sum, 0, 5 * sqrt(square / N));
    free(x);
    tx_tape_free(t);
    tx_model_free(m);
}

/* exp(lv) overflows in single precision above 88. */
static void vae_wide_variance(void)
{
    enum { D = 3 };
    tx_space space = space_of(0, D, unit);
    tx_model *m = model(&tx_model_vae, &space, "{latent: 2, hidden: [4], variance: learned}");
    tx_tape *t = tx_tape_new(1 << 16);
    real x[D] = {(real)0.1, (real)0.7, (real)0.4};
    tx_tensor lv = weight(m->net[1], "log_variance");
    for (size_t j = 0; j < D; j++) lv.x[j] = (real)120.5;
    tx_model_bind(m, t);
    tx_var z = tx_latent_noise(t, tx_rng_normal, tx_rng_root(3), 0, 1, 2);
    tx_var logp = tx_model_vae.log_observation(m, t, tx_leaf(t, tx_matrix(x, 1, D)), z);
    CHECK_NEAR(logp->v.x[0], -0.5 * D * (log_two_pi + 120.5), 1e-3);
    tx_tape_free(t);
    tx_model_free(m);
}

/* A linear decoder with orthogonal columns is probabilistic PCA (Tipping & Bishop 1999), whose posterior is diagonal.
 */
enum { PCA_D = 6, PCA_K = 2 };
static const double pca_sigma = 0.45, pca_w[PCA_K][PCA_D] = {{0.9, 0.7, 0.3, 0, 0, 0}, {0, 0, 0, -0.6, 1.1, 0.4}},
                    pca_b[PCA_D] = {0.2, -0.4, 1.3, 0.7, -1.1, 0.05};

static tx_model *pca_model(const tx_space *space)
{
    tx_model *m = model(&tx_model_vae, space, "{latent: 2, hidden: [], variance: fixed, sigma: 0.45}");
    tx_tensor ew = weight(m->net[0], "layer_w0"), eb = weight(m->net[0], "layer_b0"),
              dw = weight(m->net[1], "layer_w0");
    for (size_t j = 0; j < PCA_D; j++) weight(m->net[1], "layer_b0").x[j] = (real)pca_b[j];
    for (size_t k = 0; k < PCA_K; k++) {
        double square = pca_sigma * pca_sigma, shift = 0;
        for (size_t j = 0; j < PCA_D; j++) square += pca_w[k][j] * pca_w[k][j];
        for (size_t j = 0; j < PCA_D; j++) {
            dw.x[k * PCA_D + j] = (real)pca_w[k][j];
            ew.x[j * 2 * PCA_K + k] = (real)(pca_w[k][j] / square);
            ew.x[j * 2 * PCA_K + PCA_K + k] = 0;
            shift += pca_w[k][j] * pca_b[j] / square;
        }
        eb.x[k] = (real)-shift;
        eb.x[PCA_K + k] = (real)log(pca_sigma * pca_sigma / square);
    }
    return m;
}

/* N(b, W W' + sigma^2 I) in the basis of W's columns, where it is diagonal. */
static double pca_log_prob(const real x[])
{
    double rest = 0, v = pca_sigma * pca_sigma, log_p = -0.5 * (PCA_D - PCA_K) * (log_two_pi + log(v));
    for (size_t j = 0; j < PCA_D; j++) rest += ((double)x[j] - pca_b[j]) * ((double)x[j] - pca_b[j]);
    for (size_t k = 0; k < PCA_K; k++) {
        double along = 0, square = 0;
        for (size_t j = 0; j < PCA_D; j++) {
            along += ((double)x[j] - pca_b[j]) * pca_w[k][j];
            square += pca_w[k][j] * pca_w[k][j];
        }
        log_p += normal_logp(along / sqrt(square), 0, square + v);
        rest -= along * along / square;
    }
    return log_p - 0.5 * rest / v;
}

typedef struct moments {
    double mean, error;
} moments;

static moments moments_of(size_t n, const double v[])
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) sum += v[i] / (double)n;
    for (size_t i = 0; i < n; i++) square += (v[i] - sum) * (v[i] - sum);
    return (moments){sum, sqrt(square / (double)(n - 1) / (double)n)};
}

static void vae_is_probabilistic_pca(void)
{
    enum { N = 4000 };
    tx_space space = space_of(0, PCA_D, unbounded);
    tx_model *m = pca_model(&space);
    tx_tape *t = tx_tape_new(1 << 20);
    real x[PCA_D] = {(real)0.61, (real)-1.3, (real)0.9, (real)1.7, (real)-0.2, (real)0.33},
         *rows = tx_alloc(N * PCA_D, sizeof *rows);
    double *bound = tx_alloc(N, sizeof *bound), *weighed = tx_alloc(N, sizeof *weighed), log_p = pca_log_prob(x);
    for (size_t i = 0; i < N * PCA_D; i++) rows[i] = x[i % PCA_D];

    for (int exact = 1; exact >= 0; exact--) {
        if (!exact) { /* a posterior that is shifted and too wide */
            tx_tensor eb = weight(m->net[0], "layer_b0");
            eb.x[0] += (real)0.13, eb.x[1] -= (real)0.2, eb.x[2] += (real)0.5, eb.x[3] += (real)0.3;
        }
        tx_model_bind(m, t);
        tx_var data = tx_leaf(t, tx_matrix(rows, N, PCA_D));
        tx_var b = tx_model_vae.elbo(m, t, tx_rng_root(2), 0, data), w = vae_log_weight(m, t, tx_rng_root(2), 0, data);
        for (size_t i = 0; i < N; i++) {
            bound[i] = (double)b->v.x[i];
            weighed[i] = exp((double)w->v.x[i] - log_p);
            if (exact) CHECK_NEAR(w->v.x[i], log_p, 50 * TOL * fabs(log_p));
        }
        moments mb = moments_of(N, bound), mw = moments_of(N, weighed);
        CHECK_NEAR(mw.mean, 1, exact ? 100 * TOL : 4 * mw.error);
        if (exact)
            CHECK_NEAR(mb.mean, log_p, 5 * mb.error);
        else
            CHECK_TRUE(mb.mean + 5 * mb.error < log_p);
    }
    free(rows), free(bound), free(weighed);
    tx_tape_free(t);
    tx_model_free(m);
}

/* Samples of the linear model have its mean and variance; the mean alone has the variance without sigma^2. */
static void vae_samples(void)
{
    enum { N = 20000 };
    tx_space space = space_of(0, PCA_D, unbounded);
    tx_model *m = pca_model(&space);
    tx_tape *t = tx_tape_new(1 << 20);
    real *x = tx_alloc(N * PCA_D, sizeof *x);
    for (int mean = 0; mean < 2; mean++) {
        tx_model_sample(m, t, tx_rng_root(4), 0, N, mean, x);
        for (size_t j = 0; j < PCA_D; j++) {
            double v = mean ? 0 : pca_sigma * pca_sigma, sum = 0, square = 0;
            for (size_t k = 0; k < PCA_K; k++) v += pca_w[k][j] * pca_w[k][j];
            for (size_t i = 0; i < N; i++) {
                double d = (double)x[i * PCA_D + j] - pca_b[j];
                sum += d / N, square += d * d / N;
            }
            CHECK_NEAR(sum, 0, 5 * sqrt(v / N));
            CHECK_NEAR(square, v, 5 * v * sqrt(2.0 / N));
        }
    }
    free(x);
    tx_tape_free(t);
    tx_model_free(m);
}

/* models.def lists them, and its names are in order. */
static void registered(void)
{
    const tx_model_ops *const mine[] = {&tx_model_gan, &tx_model_independent, &tx_model_nice, &tx_model_vae};
    for (size_t i = 0; i < TX_LEN(mine); i++) CHECK_TRUE(tx_model_find(mine[i]->name) == mine[i]);
    for (int i = 1; tx_model_list[i]; i++) CHECK_TRUE(strcmp(tx_model_list[i - 1]->name, tx_model_list[i]->name) < 0);
}

static void vae_refuses(void)
{
    tx_space binary = space_of(2, 4, unit), density = space_of(0, 4, unit), levels = space_of(5, 4, (double[]){0, 4});
    tx_model *m = NULL;
    CHECK_INT(try_model(&m, &tx_model_vae, &density, "{observation: bernoulli}"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "density");
    CHECK_INT(try_model(&m, &tx_model_vae, &binary, "{observation: gaussian}"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "bernoulli");
    CHECK_INT(try_model(&m, &tx_model_vae, &levels, "{}"), TX_ECONFIG);
    CHECK_INT(try_model(&m, &tx_model_nice, &binary, "{}"), TX_ECONFIG);
    CHECK_INT(try_model(&m, &tx_model_gan, &binary, "{generator_rate: 0, discriminator_rate: 0}"), TX_ECONFIG);
    CHECK_TRUE(m == NULL);
}

/* The decoder starts at the marginals: with its weights at 0 its mean is the data's. */
static void vae_start(void)
{
    enum { D = 6 };
    static const char *const variance[] = {"learned", "predicted"};
    tx_space spaces[] = {space_of(2, D, unit), space_of(0, D, unit), space_of(0, D, unbounded)};
    for (size_t c = 0; c < 2 * TX_LEN(spaces); c++) {
        const tx_space *space = &spaces[c / 2];
        char text[128];
        snprintf(text, sizeof text, "{latent: 2, hidden: [3, 7], min_sigma: 0.2, variance: %s}", variance[c % 2]);
        tx_model *m = model(&tx_model_vae, space, text);
        tx_tape *t = tx_tape_new(1 << 16);
        real x[D];
        CHECK_INT(tx_cols(weight(m->net[1], "layer_w0")), 7);
        CHECK_INT(tx_cols(weight(m->net[1], "layer_w1")), 3);
        tx_tensor w = weight(m->net[1], "layer_w2");
        memset(w.x, 0, tx_len(w) * sizeof(real));
        tx_model_sample(m, t, tx_rng_root(4), 0, 1, true, x);
        real z[2 * 2] = {(real)0.3, (real)-1.2, (real)0.7, (real)0.1};
        tx_model_bind(m, t);
        tx_var y = tx_model_vae.generate(m, t, tx_leaf(t, tx_matrix(z, 2, 2)));
        CU_ASSERT_FATAL(tx_rows(y->v) == 2 && tx_cols(y->v) == D);
        for (size_t i = 0; i < 2 * D; i++) {
            double v = (double)y->v.x[i];
            CHECK_NEAR(space->levels || space->upper == 1 ? 1 / (1 + exp(-v)) : v, mean_of_data[i % D], 1e-5);
        }
        const real *lv = c % 2 ? weight(m->net[1], "layer_b2").x + D : weight(m->net[1], "log_variance").x;
        for (size_t j = 0; j < D; j++) {
            CHECK_NEAR(x[j], mean_of_data[j], 1e-5);
            if (space->measure == TX_LEBESGUE)
                CHECK_NEAR(exp((double)lv[j] / 2), fmax(deviation_of_data[j], 0.2), 1e-5);
        }
        tx_tape_free(t);
        tx_model_free(m);
    }
}

/* GAN */

enum { GAN_N = 6, GAN_D = 5, GAN_K = 3 };

static void gan_naive_generate(const tx_model *m, const real z[], double g[])
{
    double in[GAN_K];
    for (size_t k = 0; k < GAN_K; k++) in[k] = (double)z[k];
    network(m->net[0], "layer", relu, GAN_K, in, g);
    for (size_t j = 0; j < m->space->dim; j++)
        if (isfinite(m->space->upper)) g[j] = m->space->lower + (m->space->upper - m->space->lower) * sigmoid(g[j]);
}

/* Logit of row `row` of a batch; keep[2] of input and hidden units; `pieces` 1 is leaky ReLU. */
static double gan_naive_logit(const tx_model *m, tx_rng r, size_t row, const double keep[2], size_t pieces,
                              const double x[])
{
    double a[MAX_WIDTH], b[MAX_WIDTH];
    size_t width = m->space->dim;
    for (size_t j = 0; j < width; j++)
        a[j] = isfinite(m->space->upper) ? (x[j] - m->space->lower) / (m->space->upper - m->space->lower) : x[j];
    for (int i = 0;; i++) {
        double p = keep[i > 0];
        for (size_t j = 0; p < 1 && j < width; j++) {
            real u;
            tx_rng_uniform(tx_rng_fold(r, (uint64_t)i), row * width + j, 1, &u);
            a[j] = u < (real)p ? a[j] / p : 0;
        }
        size_t wide = layer(m->net[1], "layer", i, a, b);
        if (wide == 1) return b[0];
        width = wide / pieces;
        for (size_t o = 0; o < width; o++) {
            a[o] = pieces > 1 ? b[o * pieces] : leaky(b[o]);
            for (size_t k = 1; k < pieces; k++) a[o] = fmax(a[o], b[o * pieces + k]);
        }
    }
}

typedef struct gan_case {
    const char *text;
    double keep[2], eps, sign, scale;
    size_t pieces;
    bool uniform;
} gan_case;

static const gan_case gans[] = {
    {"{latent: 3, generator_hidden: [8], discriminator_hidden: [9, 4]", {1, 1}, 0, -1, 1, 1, false},
    {"{latent: 3, generator_hidden: [4, 6], discriminator_hidden: [5], game: minimax, label_smoothing: 0.13, prior: "
     "uniform",
     {1, 1},
     0.13,
     1,
     -1,
     1,
     true},
    {"{latent: 3, generator_hidden: [4], discriminator_hidden: [4, 3], discriminator_activation: maxout, "
     "maxout_pieces: 3, "
     "keep_input: 0.8, keep_hidden: 0.5",
     {0.8, 0.5},
     0,
     -1,
     1,
     3,
     false}};

static void gan_fakes(const tx_model *m, const gan_case *c, tx_rng step, int k, double g[][MAX_WIDTH])
{
    tx_rng r = tx_rng_named(tx_rng_fold(step, (uint64_t)k), "latent");
    for (size_t i = 0; i < GAN_N; i++) {
        real z[GAN_K];
        if (c->uniform) {
            tx_rng_uniform(r, i * GAN_K, GAN_K, z);
            for (int j = 0; j < GAN_K; j++) z[j] = (real)(sqrt(3) * (2 * (double)z[j] - 1));
        } else {
            tx_rng_normal(r, i * GAN_K, GAN_K, z);
        }
        gan_naive_generate(m, z, g[i]);
    }
}

static double gan_mean_softplus(const tx_model *m, const gan_case *c, tx_rng r, double x[][MAX_WIDTH], double sign,
                                double *mean_logit, double *mean_d)
{
    double sum = 0;
    *mean_logit = *mean_d = 0;
    for (size_t i = 0; i < GAN_N; i++) {
        double l = gan_naive_logit(m, r, i, c->keep, c->pieces, x[i]);
        sum += softplus(sign * l) / GAN_N;
        *mean_logit += l / GAN_N;
        *mean_d += sigmoid(l) / GAN_N;
    }
    return sum;
}

static double metric(const tx_metrics *m, const char *name)
{
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->m[i].name, name) == 0) return m->m[i].value;
    return NAN;
}

static tx_model *gan_trained_by(const tx_space *space, const char *text, const char *more)
{
    char all[512];
    snprintf(all, sizeof all, "%s%s}", text, more);
    tx_model *m = model(&tx_model_gan, space, all);
    const tx_optim_ops *sgd = tx_optim_find("sgd");
    void *config = options_of(sgd->options, sgd->config_size, "{}");
    tx_model_train_with(m, sgd, config);
    free(config);
    return m;
}

/* One step, its losses and D's outputs by formula; G's loss is that of the updated D. */
static void gan_formula(void)
{
    for (size_t i = 0; i < 2 * TX_LEN(gans); i++) {
        const gan_case *c = &gans[i / 2];
        tx_space space = i % 2 ? space_of(5, GAN_D, (double[]){0, 4}) : space_of(0, GAN_D, unbounded);
        tx_model *m = gan_trained_by(&space, c->text,
                                     ", generator_rate: 0, discriminator_steps: 2, discriminator_rate: 0.5");
        tx_tape *t = tx_tape_new(1 << 16);
        tx_step s = {.tape = t, .rng = tx_rng_root(21), .rate = 0.3};
        tx_rng r = tx_rng_fold(s.rng, 1);
        tx_metrics out;
        real x[GAN_N * GAN_D];
        double data[GAN_N][MAX_WIDTH], fake[GAN_N][MAX_WIDTH], logit, d_real, d_fake, unused;
        fill(i, GAN_N * GAN_D, x);
        for (size_t k = 0; k < GAN_N * GAN_D; k++) data[k / GAN_D][k % GAN_D] = (double)x[k];
        shake(m, 0.5);
        gan_fakes(m, c, s.rng, 1, fake);

        s.rate = 0;
        CHECK_OK(tx_model_step(m, &s, tx_matrix(x, GAN_N, GAN_D), &out));
        double loss = gan_mean_softplus(m, c, tx_rng_named(r, "dropout of data"), data, -1, &logit, &d_real) +
                      c->eps * logit;
        loss += gan_mean_softplus(m, c, tx_rng_named(r, "dropout of fakes"), fake, 1, &logit, &d_fake);
        CHECK_NEAR(metric(&out, "objective"), loss, 10 * TOL);
        CHECK_NEAR(metric(&out, "loss_discriminator"), loss, 10 * TOL);
        CHECK_NEAR(metric(&out, "d_real"), d_real, 10 * TOL);
        CHECK_NEAR(metric(&out, "d_fake"), d_fake, 10 * TOL);
        for (int twice = 0; twice < 2; twice++) {
            tx_rng g = tx_rng_named(s.rng, "dropout of the generator");
            double want = c->scale * gan_mean_softplus(m, c, g, fake, c->sign, &unused, &unused);
            CHECK_NEAR(metric(&out, "loss_generator"), want, 10 * TOL);
            s.rate = 0.3;
            if (!twice) CHECK_OK(tx_model_step(m, &s, tx_matrix(x, GAN_N, GAN_D), &out));
        }
        CHECK_INT(tx_optim_steps(m->optim[0]), 2);
        CHECK_INT(tx_optim_steps(m->optim[1]), 4);
        tx_tape_free(t);
        tx_model_free(m);
    }
}

/* D's logits of one batch alone, by ops. */
static tx_var gan_logit(const tx_model *m, tx_tape *t, const gan_case *c, tx_rng r, double x[][MAX_WIDTH])
{
    size_t d = m->space->dim;
    tx_tensor in = tx_tape_tensor(t, GAN_N, d);
    for (size_t i = 0; i < GAN_N; i++)
        for (size_t j = 0; j < d; j++) in.x[i * d + j] = (real)x[i][j];
    tx_var l = tx_leaf(t, in);
    for (int i = 0; i < tx_params_count(m->net[1]) / 2; i++) {
        bool last = i == tx_params_count(m->net[1]) / 2 - 1;
        tx_var w = tx_params_var(m->net[1], (tx_param){2 * i}), b = tx_params_var(m->net[1], (tx_param){2 * i + 1});
        tx_rng noise = tx_rng_fold(r, (uint64_t)i);
        l = tx_dropout(t, l, (real)c->keep[i > 0], 1, &noise);
        l = tx_dense(t, l, w, b, last || c->pieces > 1 ? TX_LINEAR : TX_LEAKY_RELU);
        if (!last && c->pieces > 1) l = tx_max_groups(t, l, c->pieces);
    }
    return l;
}

static tx_var gan_softplus(tx_tape *t, tx_var l, real sign)
{
    return tx_mean(t, tx_activation(t, tx_scale(t, l, sign), TX_SOFTPLUS));
}

/* D is moved by the gradient of two passes, one on data and one on fakes. */
static void gan_gradient(void)
{
    for (size_t k = 0; k < TX_LEN(gans); k++) {
        const gan_case *c = &gans[k];
        tx_space space = space_of(0, GAN_D, unbounded);
        tx_model *m = gan_trained_by(&space, c->text, ", generator_rate: 0");
        tx_tape *t = tx_tape_new(1 << 16);
        tx_step s = {.tape = t, .rng = tx_rng_root(21), .rate = 1};
        tx_rng r = tx_rng_fold(s.rng, 0);
        tx_metrics out;
        real x[GAN_N * GAN_D];
        double data[GAN_N][MAX_WIDTH], fake[GAN_N][MAX_WIDTH];
        fill(k, GAN_N * GAN_D, x);
        for (size_t i = 0; i < GAN_N * GAN_D; i++) data[i / GAN_D][i % GAN_D] = (double)x[i];
        shake(m, 0.5);
        gan_fakes(m, c, s.rng, 0, fake);
        tx_model_bind(m, t);
        tx_var l = gan_logit(m, t, c, tx_rng_named(r, "dropout of data"), data);
        tx_var l_fake = gan_logit(m, t, c, tx_rng_named(r, "dropout of fakes"), fake);
        tx_var loss = tx_add(t, gan_softplus(t, l, -1), gan_softplus(t, l_fake, 1));
        loss = tx_add(t, loss, tx_scale(t, tx_mean(t, l), (real)c->eps));
        tx_tensor grad[8], block = tx_params_block(m->net[1]);
        real *want = memcpy(tx_alloc(tx_len(block), sizeof *want), block.x, tx_len(block) * sizeof *want);
        tx_params_grad(m->net[1], t, loss, grad);
        for (int i = 0; i < tx_params_count(m->net[1]); i++)
            tx_vec_axpy(tx_len(grad[i]), -1, grad[i].x, want + (tx_params_value(m->net[1], (tx_param){i}).x - block.x));
        CHECK_OK(tx_model_step(m, &s, tx_matrix(x, GAN_N, GAN_D), &out));
        for (size_t i = 0; i < tx_len(block); i++)
            CHECK_NEAR(block.x[i], want[i], (sizeof(real) == 8 ? 1e-12 : 1e-5) * (1 + fabs((double)want[i])));
        free(want);
        tx_tape_free(t);
        tx_model_free(m);
    }
}

/* What a player descends, by formula. */
static double gan_loss(const tx_model *m, const gan_case *c, int player, tx_rng step, double data[][MAX_WIDTH])
{
    tx_rng r = tx_rng_fold(step, 0), g = tx_rng_named(step, "dropout of the generator");
    double fake[GAN_N][MAX_WIDTH], logit, unused, loss;
    gan_fakes(m, c, step, 0, fake);
    if (player == 0) return c->scale * gan_mean_softplus(m, c, g, fake, c->sign, &unused, &unused);
    loss = gan_mean_softplus(m, c, tx_rng_named(r, "dropout of data"), data, -1, &logit, &unused) + c->eps * logit;
    return loss + gan_mean_softplus(m, c, tx_rng_named(r, "dropout of fakes"), fake, 1, &logit, &unused);
}

/* A step of rate 1 moves every weight of a player by minus the slope of its loss, by central differences. */
static void gan_slopes(void)
{
    static const char *const still[] = {", discriminator_rate: 0", ", generator_rate: 0"};
    const double h = sizeof(real) == 8 ? 1e-5 : 1e-3, tol = sizeof(real) == 8 ? 1e-6 : 1e-4;
    for (size_t i = 0; i < 4 * TX_LEN(gans); i++) {
        const gan_case *c = &gans[i / 4];
        int player = i % 2;
        tx_space space = i & 2 ? space_of(5, GAN_D, (double[]){0, 4}) : space_of(0, GAN_D, unbounded);
        tx_model *m = gan_trained_by(&space, c->text, still[player]);
        tx_tape *t = tx_tape_new(1 << 16);
        tx_step s = {.tape = t, .rng = tx_rng_root(21), .rate = 1};
        tx_metrics out;
        real x[GAN_N * GAN_D];
        double data[GAN_N][MAX_WIDTH], *g;
        fill(i, GAN_N * GAN_D, x);
        for (size_t k = 0; k < GAN_N * GAN_D; k++) data[k / GAN_D][k % GAN_D] = (double)x[k];
        shake(m, 0.5);
        tx_tensor block = tx_params_block(m->net[player]);
        real *old = memcpy(tx_alloc(tx_len(block), sizeof *old), block.x, tx_len(block) * sizeof *old);
        CHECK_OK(tx_model_step(m, &s, tx_matrix(x, GAN_N, GAN_D), &out));
        g = tx_alloc(tx_len(block), sizeof *g);
        for (size_t k = 0; k < tx_len(block); k++) g[k] = (double)old[k] - (double)block.x[k], block.x[k] = old[k];
        for (int q = 0; q < tx_params_count(m->net[player]); q++) {
            tx_tensor w = tx_params_value(m->net[player], (tx_param){q});
            double largest = 0;
            for (size_t k = 0; k < tx_len(w); k++) {
                real kept = w.x[k], up = (real)((double)kept + h), down = (real)((double)kept - h);
                w.x[k] = up;
                double slope = gan_loss(m, c, player, s.rng, data);
                w.x[k] = down;
                slope = (slope - gan_loss(m, c, player, s.rng, data)) / ((double)up - (double)down);
                w.x[k] = kept;
                CHECK_NEAR(g[w.x - block.x + (ptrdiff_t)k], slope, tol * fmax(fabs(slope), 1e-2));
                largest = fmax(largest, fabs(slope));
            }
            CHECK_TRUE(largest > 1e-3);
        }
        free(old), free(g);
        tx_tape_free(t);
        tx_model_free(m);
    }
}

/* Each player moves its own weights only, and downhill. */
static void gan_turns(void)
{
    static const char *const still[] = {", generator_rate: 0", ", discriminator_rate: 0"};
    static const char *const loss[] = {"loss_discriminator", "loss_generator"};
    for (int i = 0; i < 2; i++) {
        tx_space space = space_of(2, GAN_D, unit);
        tx_model *m = gan_trained_by(&space, gans[0].text, still[i]);
        tx_tape *t = tx_tape_new(1 << 16);
        tx_step s = {.tape = t, .rng = tx_rng_root(21), .rate = 0.05};
        tx_metrics before, after;
        real x[GAN_N * GAN_D];
        fill(1, GAN_N * GAN_D, x);
        shake(m, 0.5);
        size_t bytes[2];
        real *old[2];
        for (int k = 0; k < 2; k++) {
            bytes[k] = tx_len(tx_params_block(m->net[k])) * sizeof(real);
            old[k] = memcpy(tx_alloc(1, bytes[k]), tx_params_block(m->net[k]).x, bytes[k]);
        }
        CHECK_OK(tx_model_step(m, &s, tx_matrix(x, GAN_N, GAN_D), &before));
        CHECK_TRUE(memcmp(old[i], tx_params_block(m->net[i]).x, bytes[i]) == 0);
        CHECK_TRUE(memcmp(old[1 - i], tx_params_block(m->net[1 - i]).x, bytes[1 - i]) != 0);
        CHECK_OK(tx_model_step(m, &s, tx_matrix(x, GAN_N, GAN_D), &after));
        CHECK_TRUE(metric(&after, loss[i]) < metric(&before, loss[i]));
        for (int k = 0; k < 2; k++) free(old[k]);
        tx_tape_free(t);
        tx_model_free(m);
    }
}

/* A short game on N(-1.7, 0.6^2), from a generator that starts at another place: mean and deviation within a tenth. */
static void gan_learns(void)
{
    enum { STEPS = 3000, BATCH = 128, N = 10000 };
    const double mean = -1.7, deviation = 0.6, rate = 2e-3;
    tx_space space = space_of(0, 1, unbounded);
    tx_model *m = model(
        &tx_model_gan, &space,
        "{latent: 2, generator_hidden: [16], discriminator_hidden: [32, 32], discriminator_activation: tanh}");
    const tx_optim_ops *adam = tx_optim_find("adam");
    void *config = options_of(adam->options, adam->config_size, "{beta1: 0.5}");
    tx_model_train_with(m, adam, config);
    free(config);

    tx_tape *t = tx_tape_new(1 << 20);
    real x[BATCH], *drawn = tx_alloc(N, sizeof *drawn);
    double *value = tx_alloc(N, sizeof *value);
    tx_metrics out;
    for (uint64_t i = 0; i < STEPS; i++) {
        tx_step s = {
            .tape = t, .rng = tx_rng_fold(tx_rng_root(31), i), .number = i, .rate = rate * (1 - (double)i / STEPS)};
        tx_rng_normal(tx_rng_root(32), i * BATCH, BATCH, x);
        tx_vec_affine(BATCH, (real)deviation, x, (real)mean, x);
        CHECK_OK(tx_model_step(m, &s, tx_matrix(x, BATCH, 1), &out));
    }
    tx_model_sample(m, t, tx_rng_root(33), 0, N, false, drawn);
    for (size_t i = 0; i < N; i++) value[i] = (double)drawn[i];
    moments g = moments_of(N, value);
    CHECK_NEAR(g.mean, mean, 0.1 * deviation);
    CHECK_NEAR(g.error * sqrt(N), deviation, 0.1 * deviation);
    CHECK_NEAR(metric(&out, "objective"), 2 * log(2), 0.1);
    free(drawn), free(value);
    tx_tape_free(t);
    tx_model_free(m);
}

/* On {0,1} samples are Bernoulli draws with means G(z), on levels the nearest level; noise of a row depends on its
 * number. */
static void gan_samples(void)
{
    enum { N = 3000 };
    tx_space spaces[] = {space_of(2, GAN_D, unit), space_of(5, GAN_D, (double[]){0, 4}), space_of(0, GAN_D, unbounded)};
    real *x = tx_alloc(N * GAN_D, sizeof *x), *g = tx_alloc(N * GAN_D, sizeof *g);
    for (size_t c = 0; c < TX_LEN(spaces); c++) {
        tx_model *m = model(&tx_model_gan, &spaces[c], "{latent: 3, generator_hidden: [7]}");
        tx_tape *t = tx_tape_new(1 << 16);
        shake(m, 0.7);
        tx_model_sample(m, t, tx_rng_root(8), 0, N, false, x);
        tx_model_sample(m, t, tx_rng_root(8), 0, N, true, g);
        double sum = 0, variance = 0;
        for (size_t i = 0; i < N * GAN_D; i++) {
            double mean = (double)g[i], v = (double)x[i];
            sum += v - mean, variance += mean * (1 - mean);
            if (c == 0) CHECK_TRUE(v == 0 || v == 1);
            if (c == 1) CHECK_TRUE(v == rint(v) && fabs(v - mean) <= 0.5 && v >= 0 && v <= 4);
            if (c == 2) CHECK_TRUE(v == mean);
        }
        if (c == 0) CHECK_NEAR(sum, 0, 5 * sqrt(variance));
        real one[GAN_D];
        tx_model_sample(m, t, tx_rng_root(8), 123, 1, true, one);
        for (size_t j = 0; j < GAN_D; j++) CHECK_NEAR(one[j], g[123 * GAN_D + j], 1e-5);
        tx_tape_free(t);
        tx_model_free(m);
    }
    free(x), free(g);
}

/* The independent baseline */

enum { ROWS = 37, IND_D = 4 };

static double laplace(double count, double n, double levels) { return log((count + 0.5) / (n + 0.5 * levels)); }

static void independent_counts(void)
{
    uint8_t level[ROWS * IND_D];
    for (int levels = 2; levels <= 5; levels += 3) {
        for (size_t i = 0; i < ROWS * IND_D; i++)
            level[i] = (uint8_t)(i % IND_D == 3 ? 0 : (i * i / 3 + i / 7) % (size_t)levels);
        tx_dataset data = {.type = levels == 2 ? TX_BINARY : TX_LEVELS, .levels = levels, .dim = IND_D};
        for (int s = 0; s < TX_N_SPLIT; s++) data.split[s].n = ROWS, data.split[s].level = level;
        tx_view_config raw;
        tx_options_defaults(tx_view_options, &raw);
        tx_view v;
        CHECK_OK(tx_view_open(&v, &data, &raw));
        tx_model *m = model(&tx_model_independent, &v.space, "{smoothing: 0.5}");
        CHECK_OK(tx_model_independent.fit(m, &v, 1));

        tx_tape *t = tx_tape_new(1 << 16);
        real x[ROWS * IND_D];
        for (size_t i = 0; i < ROWS * IND_D; i++) x[i] = (real)level[i];
        tx_tensor logit = weight(m->net[0], "logit");
        if (levels > 2) CHECK_NEAR(logit.x[IND_D * (size_t)levels - 1], laplace(0, ROWS, levels), TOL * 10);
        for (size_t i = 0; levels > 2 && i < tx_len(logit); i++) logit.x[i] += (real)0.7; /* normalised by log_prob */
        tx_model_bind(m, t);
        tx_var log_p = tx_model_independent.log_prob(m, t, tx_leaf(t, tx_matrix(x, ROWS, IND_D)));
        for (size_t i = 0; i < ROWS; i++) {
            double want = 0;
            for (size_t j = 0; j < IND_D; j++) {
                double count = 0;
                for (size_t k = 0; k < ROWS; k++) count += level[k * IND_D + j] == level[i * IND_D + j];
                want += laplace(count, ROWS, levels);
            }
            CHECK_NEAR(log_p->v.x[i], want, TOL * 10);
        }
        tx_tape_free(t);
        tx_model_free(m);
        tx_view_close(&v);
    }
}

/* Samples follow exp(log_prob), on every kind of space; the mean is that of the samples. */
static void independent_samples(void)
{
    enum { N = 20000 };
    tx_space spaces[] = {space_of(2, IND_D, unit), space_of(5, IND_D, (double[]){0, 4}), space_of(0, IND_D, unbounded)};
    real *x = tx_alloc(N * IND_D, sizeof *x), mean[IND_D];
    for (size_t c = 0; c < TX_LEN(spaces); c++) {
        tx_model *m = model(&tx_model_independent, &spaces[c], "{}");
        tx_tape *t = tx_tape_new(1 << 20);
        shake(m, 0.9);
        tx_model_sample(m, t, tx_rng_root(6), 0, N, false, x);
        tx_model_sample(m, t, tx_rng_root(6), 0, 1, true, mean);
        for (size_t j = 0; j < IND_D; j++) {
            double count[5] = {0}, sum = 0, square = 0;
            for (size_t i = 0; i < N; i++) {
                double v = (double)x[i * IND_D + j];
                sum += v / N, square += v * v / N;
                if (c < 2) count[(int)v]++;
            }
            CHECK_NEAR(sum, mean[j], 5 * sqrt((square - sum * sum) / N));
            tx_tensor logit = weight(m->net[0], "logit");
            double all = 0;
            for (int k = 0; c == 1 && k < 5; k++) all += exp((double)logit.x[j * 5 + (size_t)k]);
            for (int k = 0; c == 1 && k < 5; k++) {
                double p = exp((double)logit.x[j * 5 + (size_t)k]) / all;
                CHECK_NEAR(count[k] / N, p, 5 * sqrt(p * (1 - p) / N));
            }
            if (c == 2) {
                double v = exp((double)weight(m->net[0], "log_variance").x[j]);
                CHECK_NEAR(square - sum * sum, v, 5 * v * sqrt(2.0 / N));
            }
        }
        tx_tape_free(t);
        tx_model_free(m);
    }
    free(x);
}

static void independent_normal(void)
{
    tx_space space = space_of(0, IND_D, unbounded);
    tx_model *m = model(&tx_model_independent, &space, "{min_sigma: 0.2}");
    tx_tape *t = tx_tape_new(1 << 16);
    real x[IND_D];
    double want = 0;
    CHECK_OK(tx_model_independent.fit(m, NULL, 1));
    fill(3, IND_D, x);
    for (size_t j = 0; j < IND_D; j++) {
        double sigma = fmax(deviation_of_data[j], 0.2);
        want += normal_logp((double)x[j], mean_of_data[j], sigma * sigma);
    }
    tx_model_bind(m, t);
    CHECK_NEAR(tx_model_independent.log_prob(m, t, tx_leaf(t, tx_matrix(x, 1, IND_D)))->v.x[0], want, TOL * 10);
    tx_tape_free(t);
    tx_model_free(m);
}

int main(void)
{
    const tx_test all[] = {{"registered", registered},
                           {"nice: formula, interleaving and inverse", nice_formula},
                           {"nice: starts at the data's moments", nice_start},
                           {"nice: one coordinate", nice_one_coordinate},
                           {"nice: samples come from its prior", nice_samples_from_its_prior},
                           {"vae, iwae: lower bounds and log weight by formula", vae_formula},
                           {"vae: a variance beyond exp", vae_wide_variance},
                           {"vae: closed-form divergence against Monte Carlo", vae_divergence},
                           {"vae: a linear one is probabilistic PCA", vae_is_probabilistic_pca},
                           {"vae: samples of a linear one", vae_samples},
                           {"vae, nice, gan: what cannot work is refused", vae_refuses},
                           {"vae: starts at the marginals", vae_start},
                           {"gan: losses by formula", gan_formula},
                           {"gan: D's gradient is that of two passes", gan_gradient},
                           {"gan: both players' gradients are slopes of the formula", gan_slopes},
                           {"gan: each player moves itself", gan_turns},
                           {"gan: samples", gan_samples},
                           {"gan: learns a normal distribution", gan_learns},
                           {"independent: counts", independent_counts},
                           {"independent: samples", independent_samples},
                           {"independent: normal", independent_normal}};
    return tx_run_tests("zoo", all, TX_LEN(all));
}
