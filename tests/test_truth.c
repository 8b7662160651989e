/* Estimators against the truth, on models whose marginal likelihood is known: a linear-Gaussian VAE, whose p(x) is
 * N(b, WW' + s^2 I), and a Bernoulli decoder of one latent, whose p(x) is an integral over the line. Letters: K
 * latents, D variables, W[K,D] and b[D] the decoder, s its deviation, k importance samples.
 *
 * Published reference code has had defects that changed conclusions. Those that could occur here, and what catches
 * them:
 *
 *   logits averaged over masks: no model           test_fvbn "probabilities add to one"; here "mixtures of masks and
 *                                                    orderings are normalised"
 *   rows of valid reported as those of test        test_likelihood "exact is the model's log-likelihood"; here
 *                                                    "bounds meet the truth ..", row by row
 *   the epoch chosen on test, or on no split       test_model "selection, patience, limits, averages"; here
 *                                                    "selection sees valid and never test"
 *   a ring of 8 modes with one of them twice       test_data "known: modes"
 *   a variance taken for a deviation in a density  test_data "known: modes"; test_zoo "vae: lower bound and log
 *                                                    weight by formula"; test_truth_training
 *   the same in a Parzen window, in ais            test_likelihood "parzen by its definition .."; here "parzen is
 *                                                    biased ..", "ais of a generator under a normal"
 *   samples of a flow from another prior           test_zoo "nice: samples come from its prior"; test_contract
 *                                                    "integrals over R and R^2 are 1 and samples follow them"
 *   halves of a flow that are not interleaved      test_zoo "nice: formula, interleaving and inverse"
 *   importance samples by the batch, not as asked  here "as many importance samples as were asked for"
 *   a decoder's deviation taken for 1              here, all of the linear model: its deviation is 0.45
 *   Adam with other constants, moments from 1      test_optim "optimisers follow their papers"; here "Adam's
 *                                                    constants"
 *   dequantised without dividing by K              test_data "dequantised cells"
 *   splits of other sizes under the same name      test_data "published sets"
 *   a checkpoint under a key that nobody reads     test_store "checkpoints"; test_contract "a resumed training ends
 *                                                    with the same bits" */
#include <stdlib.h>
#include "common/base/moments.h"
#include "common/data/measure.h"
#include "common/likelihood/estimator.h"
#include "common/model/train.h"
#include "tests/support/check.h"

enum { D = 5, K = 2, N = 400, REPEATS = 200 };
static const double log_two_pi = 1.8378770664093453;

static tx_tensor weight(const tx_params *p, const char *name)
{
    for (int j = 0; j < tx_params_count(p); j++)
        if (strcmp(tx_params_name(p, (tx_param){j}), name) == 0) return tx_params_value(p, (tx_param){j});
    CU_FAIL_FATAL("no such weight");
    return (tx_tensor){0};
}

/* ---- subjects: a model, rows, and the truth of each row ---- */
typedef struct subject {
    tx_dataset data;
    tx_view view;
    tx_model *m;
    double truth[N]; /* of the rows of test, nats */
} subject;

static void open_rows(subject *o, const tx_dataset *like, const char *view, const real *x)
{
    o->data = *like;
    for (int s = 0; s < TX_N_SPLIT; s++) {
        size_t len = N * like->dim;
        uint8_t *level = like->levels ? tx_alloc(len, 1) : NULL;
        float *value = like->levels ? NULL : tx_alloc(len, sizeof *value);
        for (size_t i = 0; i < len; i++) {
            real v = x[(size_t)s * len + i];
            if (level)
                level[i] = (uint8_t)v;
            else
                value[i] = (float)v;
        }
        o->data.split[s].n = N, o->data.split[s].level = level, o->data.split[s].value = value;
        o->data.memory[s] = level ? (void *)level : (void *)value;
    }
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    for (c.view = 0; strcmp(tx_view_list[c.view]->name, view) != 0;) c.view++;
    CHECK_OK(tx_view_open(&o->view, &o->data, &c));
}

static const tx_model_ops *find_model(const char *name)
{
    for (int i = 0; tx_model_list[i]; i++)
        if (strcmp(tx_model_list[i]->name, name) == 0) return tx_model_list[i];
    CU_FAIL_FATAL("no such model");
    return NULL;
}

static void open_model(subject *o, const char *name, const char *options)
{
    const tx_model_ops *ops = find_model(name);
    void *config = tx_alloc(1, ops->config_size);
    CHECK_OK(tx_test_options(ops->options, config, options));
    CHECK_OK(tx_model_new(&o->m, ops, config, &o->view.space, 1));
    free(config);
}

static void close_subject(subject *o)
{
    tx_model_free(o->m);
    tx_view_close(&o->view);
    tx_dataset_close(&o->data);
}

static tx_status estimate(const subject *o, const char *name, const char *settings, size_t n, uint64_t seed,
                          tx_estimate *e)
{
    const tx_estimator_ops *ops = tx_estimator_find(name);
    unsigned char config[1024];
    CU_ASSERT_PTR_NOT_NULL_FATAL(ops);
    CHECK_TRUE(ops->unfit(o->m->ops, &o->view) == NULL);
    TX_TRY(tx_test_options(ops->options, config, settings));
    return ops->run(config, o->m, &o->view, TX_TEST, n, tx_rng_root(seed), NULL, NULL, e);
}

/* ---- the linear-Gaussian VAE ---- */
typedef struct linear {
    double w[K][D], b[D], s;         /* decoder */
    double a[K][D], shift[K], lv[K]; /* encoder: mu = a x + shift */
} linear;

static const double deviation = 0.45, offset[D] = {0.2, -0.4, 1.3, 0.7, -1.1};
static const double oblique[K][D] = {{0.9, 0.7, 0.3, -0.2, 0.5}, {0.8, 0.6, 0.35, 0.2, 0.1}};
static const double orthogonal[K][D] = {{0.9, 0.7, 0.3, 0, 0}, {0, 0, 0, -0.6, 1.1}};

/* M = WW' + s^2 I: the posterior is N(M^-1 W (x - b), s^2 M^-1). */
static void posterior_of(const linear *l, double inverse[K][K])
{
    double m[K][K];
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            m[i][j] = i == j ? l->s * l->s : 0;
            for (int d = 0; d < D; d++) m[i][j] += l->w[i][d] * l->w[j][d];
        }
    double det = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    inverse[0][0] = m[1][1] / det, inverse[1][1] = m[0][0] / det;
    inverse[0][1] = inverse[1][0] = -m[0][1] / det;
}

/* The encoder has the posterior's means and marginal variances, times exp(wide), and means off by `off`: with
 * orthogonal columns and 0 it is the posterior. Weights are rounded to the model's precision first. */
static linear linear_of(const double w[K][D], double off, double wide)
{
    linear l = {.s = deviation};
    double inverse[K][K];
    for (int d = 0; d < D; d++) {
        l.b[d] = (double)(real)offset[d];
        for (int i = 0; i < K; i++) l.w[i][d] = (double)(real)w[i][d];
    }
    posterior_of(&l, inverse);
    for (int i = 0; i < K; i++) {
        l.lv[i] = (double)(real)(log(l.s * l.s * inverse[i][i]) + wide);
        l.shift[i] = off;
        for (int d = 0; d < D; d++) {
            l.a[i][d] = (double)(real)(inverse[i][0] * l.w[0][d] + inverse[i][1] * l.w[1][d]);
            l.shift[i] -= l.a[i][d] * l.b[d];
        }
        l.shift[i] = (double)(real)l.shift[i];
    }
    return l;
}

static void set_weights(tx_model *m, const linear *l)
{
    tx_tensor ew = weight(m->net[0], "layer_w0"), eb = weight(m->net[0], "layer_b0"),
              dw = weight(m->net[1], "layer_w0"), db = weight(m->net[1], "layer_b0");
    for (size_t d = 0; d < D; d++) {
        db.x[d] = (real)l->b[d];
        for (size_t i = 0; i < K; i++) {
            dw.x[i * D + d] = (real)l->w[i][d];
            ew.x[d * 2 * K + i] = (real)l->a[i][d];
            ew.x[d * 2 * K + K + i] = 0;
        }
    }
    for (size_t i = 0; i < K; i++) eb.x[i] = (real)l->shift[i], eb.x[K + i] = (real)l->lv[i];
}

/* log N(x; b, WW' + (s^2 + extra) I), by Cholesky's decomposition. */
static double linear_truth(const linear *l, double extra, const double x[])
{
    double c[D][D], y[D], sum = -0.5 * D * log_two_pi;
    for (int i = 0; i < D; i++)
        for (int j = 0; j <= i; j++) {
            double v = i == j ? l->s * l->s + extra : 0;
            for (int k = 0; k < K; k++) v += l->w[k][i] * l->w[k][j];
            for (int k = 0; k < j; k++) v -= c[i][k] * c[j][k];
            c[i][j] = i == j ? sqrt(v) : v / c[j][j];
        }
    for (int i = 0; i < D; i++) {
        y[i] = x[i] - l->b[i];
        for (int k = 0; k < i; k++) y[i] -= c[i][k] * y[k];
        y[i] /= c[i][i];
        sum -= 0.5 * y[i] * y[i] + log(c[i][i]);
    }
    return sum;
}

static void encode(const linear *l, const double x[], double mu[K])
{
    for (int i = 0; i < K; i++) {
        mu[i] = l->shift[i];
        for (int d = 0; d < D; d++) mu[i] += l->a[i][d] * x[d];
    }
}

/* -|x - b - zW|^2/(2 s^2) + constant */
static double observation(const linear *l, const double x[], const double z[K])
{
    double square = 0;
    for (int d = 0; d < D; d++) {
        double r = x[d] - l->b[d];
        for (int i = 0; i < K; i++) r -= z[i] * l->w[i][d];
        square += r * r;
    }
    return -0.5 * square / (l->s * l->s) - D * (log(l->s) + 0.5 * log_two_pi);
}

/* The evidence lower bound in closed form: all terms are quadratic in z. */
static double linear_elbo(const linear *l, const double x[])
{
    double mu[K], sum;
    encode(l, x, mu);
    sum = observation(l, x, mu);
    for (int i = 0; i < K; i++) {
        double v = exp(l->lv[i]), length = 0;
        for (int d = 0; d < D; d++) length += l->w[i][d] * l->w[i][d];
        sum -= 0.5 * v * length / (l->s * l->s) + 0.5 * (mu[i] * mu[i] + v - 1 - l->lv[i]);
    }
    return sum;
}

/* log p(x,z)/q(z|x) at z = mu + exp(lv/2) e */
static double linear_weight(const linear *l, const double x[], const double mu[K], const double e[K])
{
    double z[K], ratio = 0;
    for (int i = 0; i < K; i++) {
        z[i] = mu[i] + exp(0.5 * l->lv[i]) * e[i];
        ratio += 0.5 * (e[i] * e[i] + l->lv[i] - z[i] * z[i]);
    }
    return observation(l, x, z) + ratio;
}

static void row_of(const subject *o, size_t i, double x[])
{
    for (size_t j = 0; j < o->data.dim; j++)
        x[j] = o->data.levels ? o->data.split[TX_TEST].level[i * o->data.dim + j]
                              : (double)o->data.split[TX_TEST].value[i * o->data.dim + j];
}

/* Rows are the model's own, so that posteriors are as spread as the model says. */
static void open_linear_view(subject *o, const linear *l, const char *view)
{
    real *x = tx_alloc((size_t)TX_N_SPLIT * N * D, sizeof *x);
    tx_rng r = tx_rng_named(tx_rng_root(5), "linear rows");
    for (size_t i = 0; i < (size_t)TX_N_SPLIT * N; i++)
        for (size_t d = 0; d < D; d++) {
            double v = l->b[d] + l->s * tx_rng_normal1(r, i * (K + D) + K + d);
            for (size_t k = 0; k < K; k++) v += l->w[k][d] * tx_rng_normal1(r, i * (K + D) + k);
            x[i * D + d] = (real)v;
        }
    tx_dataset like = {.name = "linear", .type = TX_REAL, .dim = D};
    open_rows(o, &like, view, x);
    free(x);
    char options[100];
    snprintf(options, sizeof options, "{latent: %d, hidden: [], variance: fixed, sigma: %g}", K, l->s);
    open_model(o, "vae", options);
    set_weights(o->m, l);
    for (size_t i = 0; i < N; i++) {
        double row[D];
        row_of(o, i, row);
        o->truth[i] = linear_truth(l, 0, row);
    }
}

static void open_linear(subject *o, const linear *l) { open_linear_view(o, l, "raw"); }

static double mean_of(size_t n, const double v[])
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += v[i] / (double)n;
    return sum;
}

typedef struct moments {
    double mean, error;
} moments;
static moments moments_of(size_t n, const double v[])
{
    double mean = mean_of(n, v), square = 0;
    for (size_t i = 0; i < n; i++) square += (v[i] - mean) * (v[i] - mean);
    return (moments){mean, sqrt(square / (double)(n - 1) / (double)n)};
}

static linear skewed(void) { return linear_of(oblique, 0.08, 0.1); }

static double mean_elbo(const subject *o, const linear *l, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double x[D];
        row_of(o, i, x);
        sum += linear_elbo(l, x) / (double)n;
    }
    return sum;
}

/* ---- bounds ---- */

/* On the mean and on each of the rows, whose errors are of many repeats or weights. */
static void check_bound(const subject *o, const char *name, const char *settings, tx_estimate *e)
{
    const double rounding = sizeof(real) == 8 ? 1e-10 : 1e-4;
    int above = 0;
    CHECK_OK(estimate(o, name, settings, 0, 1, e));
    CHECK_INT(e->kind, TX_LOWER_BOUND);
    CHECK_TRUE(e->stochastic && e->measure == o->view.space.measure && e->n == N);
    CHECK_TRUE(e->mean <= mean_of(N, o->truth) + 4 * e->mc_error);
    for (size_t i = 0; i < N; i++) above += !(e->log_likelihood[i] <= o->truth[i] + 5 * e->std_error[i] + rounding);
    CHECK_INT(above, 0);
}

/* a - b over the rows, in its standard errors. */
static double rise(const tx_estimate *a, const tx_estimate *b)
{
    double d[N];
    for (size_t i = 0; i < N; i++) d[i] = a->log_likelihood[i] - b->log_likelihood[i];
    moments m = moments_of(N, d);
    return m.mean / m.error;
}

/* No bound lies above the truth; a bound of one weight is the evidence lower bound; and more weights tighten it. */
static void test_bounds(void)
{
    subject o;
    linear l = skewed();
    tx_estimate elbo, one, five, fifty;
    open_linear(&o, &l);
    check_bound(&o, "elbo", "{n_repeat: 200}", &elbo);
    check_bound(&o, "iwae", "{n_importance: 1, n_repeat: 200}", &one);
    check_bound(&o, "iwae", "{n_importance: 5, n_repeat: 40}", &five);
    check_bound(&o, "iwae", "{n_importance: 50, n_repeat: 20}", &fifty);
    double closed = mean_elbo(&o, &l, N), truth = mean_of(N, o.truth);
    CHECK_TRUE(truth - closed > 0.3); /* the factorial posterior is far from the true one */
    CHECK_NEAR(elbo.mean, closed, 4 * elbo.mc_error);
    CHECK_NEAR(one.mean, closed, 4 * one.mc_error);
    CHECK_TRUE(elbo.mc_error < 0.02 && one.mc_error < 0.02);
    CHECK_TRUE(rise(&five, &one) > 5);
    CHECK_TRUE(rise(&fifty, &five) > 5);
    CHECK_TRUE(fifty.mean > truth - 0.05);
    tx_estimate_free(&elbo), tx_estimate_free(&one), tx_estimate_free(&five), tx_estimate_free(&fifty);
    close_subject(&o);
}

/* Where the encoder is the posterior every weight is p(x): no bound is below it, and importance weights do not vary. */
static void test_exact_posterior(void)
{
    static const char *const settings[] = {"{n_importance: 1, n_repeat: 2}", "{n_importance: 5}", "{n_importance: 50}"};
    subject o;
    linear l = linear_of(orthogonal, 0, 0);
    tx_estimate e;
    open_linear(&o, &l);
    CHECK_NEAR(mean_elbo(&o, &l, N), mean_of(N, o.truth), sizeof(real) == 8 ? 1e-12 : 1e-5);
    check_bound(&o, "elbo", "{n_repeat: 500}", &e);
    CHECK_NEAR(e.mean, mean_of(N, o.truth), 4 * e.mc_error);
    tx_estimate_free(&e);
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        CHECK_OK(estimate(&o, "iwae", settings[k], 0, 1, &e));
        for (size_t i = 0; i < N; i++) CHECK_NEAR(e.log_likelihood[i], o.truth[i], sizeof(real) == 8 ? 1e-10 : 1e-4);
        CHECK_TRUE(e.mc_error < 1e-4);
        tx_estimate_free(&e);
    }
    close_subject(&o);
}

/* ---- coverage ---- */

/* mean +- 1.96 mc_error covers `expected` in 90-99 % of repeats on other streams. */
static void check_coverage(const subject *o, const char *name, const char *settings, size_t n, double expected)
{
    int covered = 0;
    double mean[REPEATS], stated = 0;
    for (uint64_t r = 0; r < REPEATS; r++) {
        tx_estimate e;
        CHECK_OK(estimate(o, name, settings, n, 1000 + r, &e));
        CHECK_INT(e.n, n);
        mean[r] = e.mean, stated += e.mc_error / REPEATS;
        covered += fabs(e.mean - expected) <= 1.96 * e.mc_error;
        tx_estimate_free(&e);
    }
    moments m = moments_of(REPEATS, mean);
    bool good = covered >= 0.9 * REPEATS && covered <= 0.99 * REPEATS;
    if (!good)
        printf("\n    %s %s: covered %d of %d; error %.4g stated, %.4g seen; mean off by %.2f errors of %d repeats",
               name, settings, covered, REPEATS, stated, m.error * sqrt(REPEATS), (m.mean - expected) / m.error,
               REPEATS);
    CHECK_TRUE(good);
    CHECK_NEAR(m.mean, expected, 5 * m.error); /* 14 times sharper than one interval */
}

/* KL(q(z|x) || p(z)) in closed form against the mean of log q(z|x) - log p(z) over 10^6 draws. The decoder ignores z,
 * so that the bound is log p(x|z), the same for every z, less the divergence. */
static void test_divergence(void)
{
    enum { DRAWS = 1000000 };
    static const double off[] = {0.08, -1.3, 0.6}, wide[] = {0.1, -1.7, 1.2};
    real *noise = tx_alloc((size_t)DRAWS * K, sizeof *noise);
    subject o;
    linear l = skewed();
    open_linear(&o, &l);
    tx_rng_normal(tx_rng_named(tx_rng_root(8), "divergence"), 0, (size_t)DRAWS * K, noise);
    for (size_t c = 0; c < TX_LEN(off); c++) {
        tx_estimate e;
        tx_moments ratio = {0};
        double x[D], mu[K];
        l = linear_of(oblique, off[c], wide[c]);
        memset(l.w, 0, sizeof l.w);
        set_weights(o.m, &l);
        row_of(&o, 0, x);
        encode(&l, x, mu);
        CHECK_OK(estimate(&o, "elbo", "{n_repeat: 2}", 1, 1, &e));
        for (size_t i = 0; i < DRAWS; i++) {
            double sum = 0;
            for (int k = 0; k < K; k++) {
                double u = (double)noise[i * K + (size_t)k], z = mu[k] + exp(0.5 * l.lv[k]) * u;
                sum += 0.5 * (z * z - u * u - l.lv[k]);
            }
            tx_moments_add(&ratio, sum);
        }
        double closed = observation(&l, x, mu) - e.log_likelihood[0];
        CHECK_NEAR(closed, tx_moments_mean(&ratio), 5 * tx_moments_error(&ratio));
        CHECK_TRUE(tx_moments_error(&ratio) < 0.005 && closed > 0.1);
        tx_estimate_free(&e);
    }
    free(noise);
    close_subject(&o);
}

static void test_elbo_coverage(void)
{
    subject o;
    linear l = skewed();
    open_linear(&o, &l);
    check_coverage(&o, "elbo", "{n_repeat: 20}", 16, mean_elbo(&o, &l, 16));
    close_subject(&o);
}

/* Mean over n rows of E log 1/k sum_i w_i / p(x), by `repeats` of k weights of its own, and what it would be without
 * the logarithm's curvature, which is 0: with w_i / p(x) = 1 + d, E log(1 + d) = E (log(1 + d) - d), whose variance is
 * that of d^2/2, not of d. */
static moments log_bias(const subject *o, const linear *l, size_t k, size_t n, size_t repeats)
{
    double *value = tx_alloc(n * repeats, sizeof *value), e[K];
    real *noise = tx_alloc(k * K, sizeof *noise);
    for (size_t i = 0; i < n; i++) {
        double x[D], mu[K];
        row_of(o, i, x);
        encode(l, x, mu);
        for (size_t r = 0; r < repeats; r++) {
            double d = 0;
            tx_rng_normal(tx_rng_fold(tx_rng_named(tx_rng_root(77), "reference"), i), r * k * K, k * K, noise);
            for (size_t j = 0; j < k; j++) {
                for (size_t m = 0; m < K; m++) e[m] = (double)noise[j * K + m];
                d += expm1(linear_weight(l, x, mu, e) - o->truth[i]) / (double)k;
            }
            value[i * repeats + r] = log1p(d) - d;
        }
    }
    moments m = moments_of(n * repeats, value);
    free(value), free(noise);
    return m;
}

/* Its own expectation at k = 5, from 100000 repeats; and at k = 2000 the truth, whose log-bias is under a tenth of the
 * error. */
static void test_iwae_coverage(void)
{
    subject o;
    linear l = skewed();
    tx_estimate e;
    open_linear(&o, &l);
    moments five = log_bias(&o, &l, 5, 8, 100000), many = log_bias(&o, &l, 2000, 4, 2000);
    check_coverage(&o, "iwae", "{n_importance: 5, n_repeat: 20}", 8, mean_of(8, o.truth) + five.mean);
    check_coverage(&o, "iwae", "{n_importance: 2000}", 4, mean_of(4, o.truth));
    CHECK_OK(estimate(&o, "iwae", "{n_importance: 2000}", 4, 1, &e));
    CHECK_TRUE(many.mean < 0 && -many.mean + 5 * many.error < 0.1 * e.mc_error);
    tx_estimate_free(&e);
    CHECK_OK(estimate(&o, "iwae", "{n_importance: 5, n_repeat: 20}", 8, 1, &e));
    CHECK_TRUE(five.mean < -0.03 && five.error < 0.1 * e.mc_error);
    tx_estimate_free(&e);
    close_subject(&o);
}

/* ---- a Bernoulli decoder of one latent: p(x) by the trapezoidal rule, exact to rounding for a smooth integrand ----
 */

static const double slope[D] = {2.385, -1.7, 0.9, 1.3, -0.6}, level[D] = {0.3, -0.8, 1.1, -0.2, 0.05};

static double softplus(double a) { return fmax(a, 0) + log1p(exp(-fabs(a))); }

static double bernoulli_truth(const double x[])
{
    enum { STEPS = 4000 };
    double sum = 0, low = -10, step = -2 * low / STEPS;
    for (int i = 0; i <= STEPS; i++) {
        double z = low + step * i, log_p = -0.5 * (z * z + log_two_pi);
        for (int d = 0; d < D; d++) {
            double a = (double)(real)slope[d] * z + (double)(real)level[d];
            log_p += x[d] * a - softplus(a);
        }
        sum += step * exp(log_p);
    }
    return log(sum);
}

static void open_bernoulli(subject *o)
{
    real *x = tx_alloc((size_t)TX_N_SPLIT * N * D, sizeof *x);
    tx_rng r = tx_rng_named(tx_rng_root(6), "Bernoulli rows");
    for (size_t i = 0; i < (size_t)TX_N_SPLIT * N; i++) {
        double z = tx_rng_normal1(tx_rng_named(r, "latent"), i);
        for (size_t d = 0; d < D; d++)
            x[i * D + d] = tx_rng_uniform1(r, i * D + d) < 1 / (1 + exp(-slope[d] * z - level[d]));
    }
    tx_dataset like = {.name = "bernoulli", .type = TX_BINARY, .levels = 2, .dim = D};
    open_rows(o, &like, "raw", x);
    free(x);
    open_model(o, "vae", "{latent: 1, hidden: []}");
    tx_tensor ew = weight(o->m->net[0], "layer_w0"), eb = weight(o->m->net[0], "layer_b0"),
              dw = weight(o->m->net[1], "layer_w0"), db = weight(o->m->net[1], "layer_b0");
    for (size_t d = 0; d < D; d++) {
        dw.x[d] = (real)slope[d], db.x[d] = (real)level[d];
        ew.x[2 * d] = (real)(0.3 * slope[d]), ew.x[2 * d + 1] = (real)(0.02 * slope[d]);
    }
    eb.x[0] = (real)0.4, eb.x[1] = (real)0.5;
    for (size_t i = 0; i < N; i++) {
        double row[D];
        row_of(o, i, row);
        o->truth[i] = bernoulli_truth(row);
    }
}

static void test_bernoulli_bounds(void)
{
    subject o;
    tx_estimate elbo, five, fifty;
    open_bernoulli(&o);
    check_bound(&o, "elbo", "{n_repeat: 50}", &elbo);
    check_bound(&o, "iwae", "{n_importance: 5, n_repeat: 40}", &five);
    check_bound(&o, "iwae", "{n_importance: 500}", &fifty);
    CHECK_TRUE(rise(&five, &elbo) > 5);
    CHECK_TRUE(rise(&fifty, &five) > 5);
    CHECK_NEAR(fifty.mean, mean_of(N, o.truth), 4 * fifty.mc_error + 2e-3);
    CHECK_TRUE(fifty.mc_error < 5e-3);
    tx_estimate_free(&elbo), tx_estimate_free(&five), tx_estimate_free(&fifty);
    close_subject(&o);
}

/* E exp(estimate) = p(x): averages of weights are unbiased at any k, from the encoder and from the prior. A bound that
 * is too low, as by a second log k, passes for a bound; this it does not pass. */
static void check_unbiased(const subject *o, const char *name, const char *settings, int repeats, double least)
{
    double *ratio = tx_alloc((size_t)repeats * N, sizeof *ratio);
    for (int r = 0; r < repeats; r++) {
        tx_estimate e;
        CHECK_OK(estimate(o, name, settings, 0, 500 + (uint64_t)r, &e));
        for (size_t i = 0; i < N; i++) ratio[(size_t)r * N + i] = exp(e.log_likelihood[i] - o->truth[i]);
        tx_estimate_free(&e);
    }
    moments m = moments_of((size_t)repeats * N, ratio);
    CHECK_NEAR(m.mean, 1, 4 * m.error);
    CHECK_TRUE(m.error < least);
    free(ratio);
}

static void test_unbiased(void)
{
    subject gaussian, binary;
    linear l = skewed();
    open_linear(&gaussian, &l);
    open_bernoulli(&binary);
    check_unbiased(&gaussian, "iwae", "{n_importance: 5}", 20, 0.02);
    check_unbiased(&gaussian, "iwae", "{n_importance: 200, proposal: prior}", 5, 0.05);
    check_unbiased(&binary, "iwae", "{n_importance: 5}", 10, 0.02);
    check_unbiased(&binary, "iwae", "{n_importance: 20, proposal: prior}", 10, 0.02);
    close_subject(&gaussian), close_subject(&binary);
}

/* Values are in the data's unit: of what is standardised to y, log p(y) less the sum of the logarithms of the
 * deviations. Where the encoder is the posterior, importance weights and whole paths of annealing are p(y), row by row.
 */
static void test_unit_of_data(void)
{
    static const char *const run[][2] = {
        {"elbo", "{n_repeat: 50}"},
        {"iwae", "{n_importance: 5}"},
        {"iwae", "{n_importance: 2, n_repeat: 3}"},
        {"ais", "{n_step: 5, n_chain: 2, n_leapfrog: 2, n_example: 0}"},
    };
    subject o;
    linear l = linear_of(orthogonal, 0, 0);
    double mean[D] = {0}, square[D] = {0}, jacobian = 0;
    open_linear_view(&o, &l, "standardised");
    const float *train = o.data.split[TX_TRAIN].value;
    for (size_t i = 0; i < N * D; i++) mean[i % D] += (double)train[i] / N;
    for (size_t i = 0; i < N * D; i++) square[i % D] += pow((double)train[i] - mean[i % D], 2) / N;
    for (size_t d = 0; d < D; d++) jacobian -= 0.5 * log(square[d]);
    CHECK_TRUE(fabs(jacobian) > 0.3);
    for (size_t i = 0; i < N; i++) {
        double y[D];
        row_of(&o, i, y);
        for (size_t d = 0; d < D; d++) y[d] = (y[d] - mean[d]) / sqrt(square[d]);
        o.truth[i] = linear_truth(&l, 0, y) + jacobian;
    }
    for (size_t k = 0; k < TX_LEN(run); k++) {
        tx_estimate e;
        CHECK_OK(estimate(&o, run[k][0], run[k][1], 0, 1, &e));
        CHECK_NEAR(e.mean, mean_of(N, o.truth), 4 * e.mc_error + 1e-4);
        for (size_t i = 0; k > 0 && i < N; i++)
            CHECK_NEAR(e.log_likelihood[i], o.truth[i], sizeof(real) == 8 ? 1e-9 : 1e-3);
        tx_estimate_free(&e);
    }
    close_subject(&o);
}

/* ---- the Parzen window ---- */

/* Its expectation lies below the smoothed density's truth (Jensen's inequality over the samples), which on average lies
 * below the model's own (the divergence of one from the other), each by many errors of repeats. */
static void test_parzen(void)
{
    static const char settings[] = "{n_sample: 300, sigma_min: 0.3, sigma_max: 0.3, n_sigma: 1}";
    enum { SOME = 40 };
    subject o;
    linear l = skewed();
    tx_estimate many;
    double mean[SOME], smooth = 0, stated = 0;
    open_linear(&o, &l);
    for (size_t i = 0; i < N; i++) {
        double x[D];
        row_of(&o, i, x);
        smooth += linear_truth(&l, 0.3 * 0.3, x) / N;
    }
    for (uint64_t r = 0; r < SOME; r++) {
        tx_estimate e;
        CHECK_OK(estimate(&o, "parzen", settings, 0, 300 + r, &e));
        CHECK_INT(e.kind, TX_ESTIMATE);
        CHECK_TEXT(tx_kind_sign(e.kind), "~");
        CHECK_HAS(e.evaluated_model, "sample + N(0, 0.3^2 I)");
        mean[r] = e.mean, stated += e.mc_error / SOME;
        tx_estimate_free(&e);
    }
    moments m = moments_of(SOME, mean);
    CHECK_TRUE(m.mean < smooth - 20 * m.error);
    CHECK_TRUE(smooth - m.mean > 3 * stated); /* an interval of its own error does not tell */
    CHECK_TRUE(smooth < mean_of(N, o.truth) - 5 * m.error);
    CHECK_OK(estimate(&o, "parzen", "{n_sample: 30000, sigma_min: 0.3, sigma_max: 0.3, n_sigma: 1}", 0, 1, &many));
    CHECK_NEAR(many.mean, smooth, 0.02); /* with samples enough it is the smoothed density's */
    tx_estimate_free(&many);
    close_subject(&o);
}

/* ---- kinds and units ---- */

/* Code lengths in bits per dimension: every kind on every kind of view. */
static void test_conversions(void)
{
    static const tx_view counting = {.space = {.measure = TX_COUNTING, .levels = 2, .dim = 784}},
                         bytes = {.space = {.measure = TX_COUNTING, .levels = 256, .dim = 784}},
                         dequantised = {.space = {.measure = TX_LEBESGUE, .dim = 784}, .dequantised_levels = 256},
                         reals = {.space = {.measure = TX_LEBESGUE, .dim = 784}};
    enum { NONE = TX_N_KIND };
    static const struct {
        const tx_view *view;
        double nats, bits;
        int kind[TX_N_KIND]; /* of a code length, by the kind of the likelihood: exact, lower, upper, estimate */
    } cases[] = {{&counting, -88.33, 88.33 / 784 / M_LN2, {TX_EXACT, TX_UPPER_BOUND, TX_LOWER_BOUND, TX_ESTIMATE}},
                 {&bytes, -2000.5, 2000.5 / 784 / M_LN2, {TX_EXACT, TX_UPPER_BOUND, TX_LOWER_BOUND, TX_ESTIMATE}},
                 {&dequantised, 1980.5, 8 - 1980.5 / 784 / M_LN2, {TX_UPPER_BOUND, TX_UPPER_BOUND, NONE, TX_ESTIMATE}},
                 {&reals, 1980.5, NAN, {NONE, NONE, NONE, NONE}}};
    for (size_t c = 0; c < TX_LEN(cases); c++)
        for (int k = 0; k < TX_N_KIND; k++) {
            tx_bits b = tx_bits_of(cases[c].view, (tx_kind)k, cases[c].nats);
            if (cases[c].kind[k] == NONE) {
                CHECK_TRUE(isnan(b.value));
            } else {
                CHECK_NEAR(b.value, cases[c].bits, 1e-12);
                CHECK_INT(b.kind, cases[c].kind[k]);
            }
        }
}

/* What an estimator says of itself reaches the summary: a bound from below is a code length's bound from above. */
static void test_kinds(void)
{
    subject gaussian, binary;
    linear l = skewed();
    tx_estimate e;
    open_linear(&gaussian, &l), open_bernoulli(&binary);
    CHECK_OK(estimate(&binary, "iwae", "{n_importance: 5}", 0, 1, &e));
    CHECK_NEAR(e.bits_per_dim, -e.mean / (D * M_LN2), 1e-12);
    CHECK_INT(e.bits_kind, TX_UPPER_BOUND);
    tx_estimate_free(&e);
    CHECK_OK(estimate(&gaussian, "iwae", "{n_importance: 5}", 0, 1, &e));
    CHECK_TRUE(isnan(e.bits_per_dim));
    tx_estimate_free(&e);
    CHECK_TRUE(tx_estimator_find("exact")->unfit(gaussian.m->ops, &gaussian.view) != NULL);
    CHECK_TRUE(tx_estimator_find("parzen")->unfit(binary.m->ops, &binary.view) != NULL);
    close_subject(&gaussian), close_subject(&binary);
}

/* ---- quadrature ---- */

/* On a grid that resolves the posterior the truth, row by row; on one that does not, an error that says so. */
static void check_quadrature(const subject *o, const char *settings, double most)
{
    tx_estimate e;
    double off = 0, told = 0;
    CHECK_OK(estimate(o, "quadrature", settings, 0, 1, &e));
    CHECK_INT(e.kind, TX_ESTIMATE);
    CHECK_INT(e.n, 60);
    CHECK_TRUE(!e.stochastic);
    for (size_t i = 0; i < e.n; i++) {
        off = fmax(off, fabs(e.log_likelihood[i] - o->truth[i]));
        told = fmax(told, e.std_error[i]);
    }
    if (most > 0) {
        CHECK_TRUE(off < most);
        CHECK_TRUE(told < most);
    } else {
        CHECK_TRUE(off > 0.01 && told > off / 2);
    }
    CHECK_NEAR(json_real_value(json_object_get(e.settings, "largest_error")), told, 1e-12);
    tx_estimate_free(&e);
}

static void test_quadrature(void)
{
    subject gaussian, binary;
    linear l = skewed();
    tx_estimate e;
    const double most = sizeof(real) == sizeof(double) ? 1e-8 : 2e-4;
    open_linear(&gaussian, &l), open_bernoulli(&binary);
    check_quadrature(&gaussian, "{n_node: 121, n_example: 60, range: 7}", most);
    check_quadrature(&gaussian, "{n_node: 11, n_example: 60}", 0);
    check_quadrature(&binary, "{n_node: 101, n_example: 60}", most);
    CHECK_INT(estimate(&gaussian, "quadrature", "{n_node: 40}", 0, 1, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "n_node is 40: it must be odd");
    close_subject(&gaussian), close_subject(&binary);
}

/* ---- annealed importance sampling ---- */

/* The rows that are evaluated: all of test, unless n_example says fewer. */
static void check_ais(const subject *o, const char *settings, double off)
{
    tx_estimate e;
    CHECK_OK(estimate(o, "ais", settings, 0, 1, &e));
    double truth = mean_of(e.n, o->truth);
    CHECK_INT(e.kind, TX_LOWER_BOUND);
    CHECK_TRUE(e.stochastic && e.split == TX_TEST);
    CHECK_TRUE(e.mean <= truth + 4 * e.mc_error);
    if (off > 0) {
        CHECK_NEAR(e.mean, truth, off);
        CHECK_TRUE(e.mc_error < off / 3);
    }
    tx_estimate_free(&e);
}

static void test_ais(void)
{
    subject gaussian, binary;
    linear l = skewed();
    open_linear(&gaussian, &l), open_bernoulli(&binary);
    check_ais(&gaussian, "{n_step: 3, n_chain: 2, n_example: 0, start: prior}", 0);
    check_ais(&gaussian, "{n_step: 3, n_chain: 2, n_example: 0}", 0);
    check_ais(&binary, "{n_step: 2, n_chain: 2, n_example: 0}", 0);
    check_ais(&gaussian, "{n_step: 200, n_chain: 16, n_leapfrog: 5, n_example: 60, start: prior}", 0.05);
    check_ais(&gaussian, "{n_step: 150, n_chain: 8, n_leapfrog: 5, n_example: 60, schedule: linear}", 0.05);
    check_ais(&binary, "{n_step: 150, n_chain: 8, n_leapfrog: 5, n_example: 60}", 0.05);
    check_unbiased(&gaussian, "ais", "{n_step: 4, n_chain: 2, n_leapfrog: 3, n_example: 0}", 20, 0.01);
    check_unbiased(&gaussian, "ais", "{n_step: 6, n_chain: 10, n_leapfrog: 3, n_example: 0, start: prior}", 8, 0.02);
    check_unbiased(&binary, "ais", "{n_step: 4, n_chain: 2, n_leapfrog: 3, n_example: 0}", 20, 0.01);
    close_subject(&gaussian), close_subject(&binary);
}

/* The truth, where the log-bias is under a tenth of the error: as for iwae, E log(1 + d) = E (log(1 + d) - d). */
static void test_ais_coverage(void)
{
    static const char settings[] = "{n_step: 20, n_chain: 64, n_leapfrog: 2, n_pilot: 1}";
    enum { ROWS = 4 };
    subject o;
    linear l = skewed();
    double bias[REPEATS * ROWS], error = 0;
    open_linear(&o, &l);
    check_coverage(&o, "ais", settings, ROWS, mean_of(ROWS, o.truth));
    for (size_t r = 0; r < REPEATS; r++) {
        tx_estimate e;
        CHECK_OK(estimate(&o, "ais", settings, ROWS, 5000 + r, &e));
        for (size_t i = 0; i < ROWS; i++) {
            double d = expm1(e.log_likelihood[i] - o.truth[i]);
            bias[r * ROWS + i] = log1p(d) - d;
        }
        error += e.mc_error / REPEATS;
        tx_estimate_free(&e);
    }
    moments m = moments_of(REPEATS * ROWS, bias);
    CHECK_TRUE(m.mean < 0 && -m.mean + 5 * m.error < 0.1 * error);
    close_subject(&o);
}

/* ---- bidirectional Monte Carlo ---- */

static double setting(const tx_estimate *e, const char *name)
{
    return json_number_value(json_object_get(e->settings, name));
}

/* On rows of the model's own, which are stored: chains forward bound their truth from below, chains back from above.
 * Both averages of weights are unbiased: exp(lower) of p(x), exp(-upper) of 1/p(x). */
static void check_gap(const subject *o, double (*truth_of)(const double x[]), const char *settings, bool closed)
{
    tx_estimate e;
    CHECK_OK(estimate(o, "bdmc", settings, 0, 1, &e));
    CU_ASSERT_FATAL(e.x && e.upper && e.n > 100);
    CHECK_INT(e.split, TX_SIMULATED);
    double low = 0, high = 0, gap = setting(&e, "gap_mean"), error = setting(&e, "gap_mc_error");
    double *under = tx_alloc(e.n, sizeof *under), *over = tx_alloc(e.n, sizeof *over);
    for (size_t i = 0; i < e.n; i++) {
        double x[D];
        for (size_t d = 0; d < D; d++) x[d] = (double)e.x[i * D + d];
        double truth = truth_of(x);
        low += (e.log_likelihood[i] - truth) / (double)e.n, high += (e.upper[i] - truth) / (double)e.n;
        under[i] = exp(e.log_likelihood[i] - truth), over[i] = exp(truth - e.upper[i]);
    }
    moments u = moments_of(e.n, under), v = moments_of(e.n, over);
    CHECK_TRUE(low <= 4 * e.mc_error && high >= -4 * error);
    CHECK_NEAR(gap, high - low, 1e-9);
    CHECK_TRUE(gap >= -4 * error);
    CHECK_NEAR(u.mean, 1, 4 * u.error);
    if (closed) {
        CHECK_NEAR(v.mean, 1, 4 * v.error); /* of short chains exp(-upper) has too heavy a tail for its error */
        CHECK_TRUE(gap < 0.05 && low > -0.05 && high < 0.05);
    } else { /* the gap of short chains is seen */
        CHECK_TRUE(low < -4 * e.mc_error && high > 4 * error && gap > 0.1);
    }
    free(under), free(over);
    tx_estimate_free(&e);
}

static linear shown;
static double shown_truth(const double x[]) { return linear_truth(&shown, 0, x); }

static void test_bdmc(void)
{
    subject gaussian, binary;
    shown = skewed();
    open_linear(&gaussian, &shown), open_bernoulli(&binary);
    check_gap(&gaussian, shown_truth, "{n_step: 4, n_chain: 2, n_leapfrog: 3, n_example: 1000}", false);
    check_gap(&gaussian, shown_truth, "{n_step: 100, n_chain: 8, n_leapfrog: 3, n_example: 200}", true);
    check_gap(&binary, bernoulli_truth, "{n_step: 2, n_chain: 2, n_leapfrog: 3, n_example: 1000}", false);
    check_gap(&binary, bernoulli_truth, "{n_step: 100, n_chain: 8, n_leapfrog: 3, n_example: 200}", true);
    close_subject(&gaussian), close_subject(&binary);
}

/* ---- a generator without a p(x|z): a linear one under N(0, sigma^2 I), sigma a deviation ---- */
static void test_generator(void)
{
    subject o;
    tx_estimate e;
    linear l = skewed();
    open_linear(&o, &l);
    tx_model_free(o.m);
    open_model(&o, "gan", "{latent: 2, generator_hidden: [], discriminator_hidden: [3]}");
    tx_tensor w = weight(o.m->net[0], "layer_w0"), b = weight(o.m->net[0], "layer_b0");
    for (size_t d = 0; d < D; d++) {
        b.x[d] = (real)l.b[d];
        for (size_t i = 0; i < K; i++) w.x[i * D + d] = (real)l.w[i][d];
    }
    check_ais(&o, "{sigma: 0.45, n_step: 200, n_chain: 16, n_leapfrog: 5, n_example: 60}", 0.05);
    CHECK_OK(estimate(&o, "ais", "{sigma: 0.45, n_step: 2, n_chain: 2, n_example: 5}", 0, 1, &e));
    CHECK_TEXT(e.evaluated_model, "G(z) + N(0, 0.45^2 I)");
    tx_estimate_free(&e);
    /* chosen on valid: the deviation of the grid that is next to the rows' own, in its logarithm */
    CHECK_OK(estimate(&o, "ais",
                      "{sigma_min: 0.1125, sigma_max: 1.8, n_sigma: 5, n_valid: 100, n_step: 2, n_chain: 4, "
                      "n_step_sigma: 60, n_example: 5}",
                      0, 1, &e));
    CHECK_NEAR(setting(&e, "sigma"), 0.45, 1e-9);
    tx_estimate_free(&e);
    close_subject(&o);
}

/* ---- what was asked for is what is done ---- */

static tx_var (*decode)(tx_model *m, tx_tape *t, tx_var x, tx_var z);
static size_t decoded;
static tx_var count_rows(tx_model *m, tx_tape *t, tx_var x, tx_var z)
{
    decoded += tx_rows(z->v);
    return decode(m, t, x, z);
}

/* Every importance sample that was asked for is decoded, and no other, whatever passes they are made in. */
static void test_number_of_samples(void)
{
    static const int k[] = {2, 7, 50, 499, 500, 501, 1203};
    subject o;
    linear l = skewed();
    open_linear(&o, &l);
    tx_model_ops counting = *o.m->ops;
    decode = counting.log_observation, counting.log_observation = count_rows;
    o.m->ops = &counting;
    for (size_t i = 0; i < TX_LEN(k); i++)
        for (int repeats = 1; repeats <= 3; repeats += 2) {
            char settings[100];
            tx_estimate e;
            snprintf(settings, sizeof settings, "{n_importance: %d, n_repeat: %d}", k[i], repeats);
            decoded = 0;
            CHECK_OK(estimate(&o, "iwae", settings, 13, 1, &e));
            CHECK_INT(decoded, 13 * k[i] * repeats);
            CHECK_NEAR(e.model_evaluations, 13.0 * k[i] * repeats, 0);
            CHECK_NEAR(setting(&e, "n_importance"), k[i], 0);
            tx_estimate_free(&e);
        }
    close_subject(&o);
}

/* Adam as published: 0.9, 0.999, 1e-8, and moments that start at 0, corrected for that. */
static void test_adam(void)
{
    static const double g[] = {0.385, -1.7, 0.02};
    const tx_optim_ops *adam = tx_optim_find("adam");
    tx_params *p = tx_params_new("net");
    tx_param q = tx_params_add(p, "w", tx_shape2(1, 1), (tx_init){TX_INIT_CONSTANT, (real)0.5});
    tx_params_seal(p, tx_rng_root(1));
    unsigned char config[256];
    CHECK_OK(tx_test_options(adam->options, config, "{}"));
    tx_optim *o = tx_optim_new(adam, config, p);
    tx_tape *tape = tx_tape_new(0);
    double w = 0.5, first = 0, second = 0;
    for (int t = 1; t <= (int)TX_LEN(g); t++) {
        real value = (real)g[t - 1];
        tx_tensor grad = tx_matrix(&value, 1, 1);
        tx_optim_step(o, p, tape, (tx_var[]){tx_leaf(tape, grad)}, 0.03, 0, 0);
        first = 0.9 * first + 0.1 * g[t - 1], second = 0.999 * second + 0.001 * g[t - 1] * g[t - 1];
        w -= 0.03 * (first / (1 - pow(0.9, t))) / (sqrt(second / (1 - pow(0.999, t))) + 1e-8);
        CHECK_NEAR(tx_params_value(p, q).x[0], w, sizeof(real) == 8 ? 1e-12 : 1e-6);
    }
    tx_tape_free(tape);
    tx_optim_free(o);
    tx_params_free(p);
}

/* Trains on what `o` holds; the model's parameters, and by `best` the epoch that was chosen. */
static real *trained(const tx_view *v, size_t *n, uint64_t *best)
{
    tx_model *m;
    tx_trainer *t;
    tx_train_config c;
    tx_yaml *y = NULL;
    const tx_model_ops *vae = find_model("vae");
    static const char train[] = "{epochs: 12, batch: 20, learning_rate: 0.03}";
    void *config = tx_alloc(1, vae->config_size);
    CHECK_OK(tx_test_options(vae->options, config, "{latent: 2, hidden: [8]}"));
    CHECK_OK(tx_yaml_parse(train, strlen(train), "test", &y));
    CHECK_OK(tx_train_parse(&c, y, "test"));
    tx_yaml_free(y);
    CHECK_OK(tx_model_new(&m, vae, config, &v->space, 1));
    free(config);
    CHECK_OK(tx_trainer_new(&t, m, v, &c, 1));
    for (bool done; !tx_trainer_look(t).finished;) CHECK_OK(tx_trainer_advance(t, &done));
    *best = tx_trainer_look(t).best_epoch;
    tx_tensor block = tx_params_block(m->net[1]);
    *n = tx_len(block);
    real *copy = memcpy(tx_alloc(*n, sizeof *copy), block.x, *n * sizeof *copy);
    tx_trainer_free(t);
    tx_model_free(m);
    return copy;
}

/* Other rows of test leave training as it was, to the last bit; other rows of valid choose another epoch. */
static void test_selection(void)
{
    subject o;
    linear l = skewed();
    size_t n;
    uint64_t best[3];
    real *w[3];
    open_linear(&o, &l);
    w[0] = trained(&o.view, &n, &best[0]);
    for (int s = TX_TEST; s >= TX_VALID; s--) { /* now rows that are all the first one of train */
        float *x = o.data.memory[s];
        for (size_t i = 0; i < N; i++) memcpy(x + i * D, o.data.split[TX_TRAIN].value, D * sizeof *x);
        w[3 - s] = trained(&o.view, &n, &best[3 - s]);
    }
    CHECK_INT(best[1], best[0]);
    CHECK_TRUE(memcmp(w[0], w[1], n * sizeof *w[0]) == 0);
    CHECK_TRUE(best[2] != best[0] && memcmp(w[0], w[2], n * sizeof *w[0]) != 0);
    for (int i = 0; i < 3; i++) free(w[i]);
    close_subject(&o);
}

/* Mixtures over masks or orderings sum to one over {0,1}^6; averages of logits, or of log-likelihoods, do not. */
static void test_mixtures(void)
{
    enum { BITS = 6, STATES = 64 };
    static const struct {
        const char *model, *options, *estimator, *settings;
        double parts;
    } cases[] = {
        {"made", "{hidden: [9], order: random, masks: 4}", "exact", "{}", 0},
        {"made", "{hidden: [9], order: random, masks: 4}", "ensemble", "{n_ordering: 4}", 4},
        {"nade", "{hidden: [9], order: agnostic}", "ensemble", "{n_ordering: 3}", 3},
    };
    subject o;
    real *x = tx_alloc((size_t)TX_N_SPLIT * N * BITS, sizeof *x);
    for (size_t i = 0; i < (size_t)TX_N_SPLIT * N * BITS; i++) x[i] = i / BITS % N % STATES >> i % BITS & 1;
    tx_dataset like = {.name = "states", .type = TX_BINARY, .levels = 2, .dim = BITS};
    open_rows(&o, &like, "raw", x);
    free(x);
    for (size_t c = 0; c < TX_LEN(cases); c++) {
        tx_estimate e;
        double sum = 0;
        open_model(&o, cases[c].model, cases[c].options);
        for (int i = 0; i < tx_params_count(o.m->net[0]); i++) {
            tx_tensor w = tx_params_value(o.m->net[0], (tx_param){i});
            tx_rng_normal(tx_rng_fold(tx_rng_root(9), (uint64_t)i), 0, tx_len(w), w.x);
        }
        CHECK_OK(estimate(&o, cases[c].estimator, cases[c].settings, STATES, 1, &e));
        CHECK_INT(e.kind, TX_EXACT);
        for (size_t i = 0; i < STATES; i++) sum += exp(e.log_likelihood[i]);
        CHECK_NEAR(sum, 1, sizeof(real) == 8 ? 1e-12 : 1e-5);
        if (cases[c].parts > 0) CHECK_NEAR(e.model_evaluations, STATES * cases[c].parts, 0);
        tx_estimate_free(&e);
        tx_model_free(o.m);
    }
    o.m = NULL;
    close_subject(&o);
}

int main(void)
{
    static const tx_test tests[] = {
        {"bounds lie below the truth and rise with k", test_bounds},
        {"bounds meet the truth where the encoder is the posterior", test_exact_posterior},
        {"the divergence in closed form is that of 10^6 draws", test_divergence},
        {"elbo: coverage of the closed form", test_elbo_coverage},
        {"iwae: coverage of its expectation, and of the truth", test_iwae_coverage},
        {"bounds of a Bernoulli decoder lie below the truth and reach it", test_bernoulli_bounds},
        {"importance weights average to the likelihood", test_unbiased},
        {"values are in the data's unit", test_unit_of_data},
        {"parzen is biased, and says that it is an estimate", test_parzen},
        {"ais lies below the truth and reaches it", test_ais},
        {"ais: coverage of the truth", test_ais_coverage},
        {"bdmc's gap holds the truth of its simulated rows", test_bdmc},
        {"ais of a generator under a normal", test_generator},
        {"quadrature is the truth where it resolves it", test_quadrature},
        {"code lengths of every kind", test_conversions},
        {"what estimators say they are", test_kinds},
        {"as many importance samples as were asked for", test_number_of_samples},
        {"Adam's constants", test_adam},
        {"selection sees valid and never test", test_selection},
        {"mixtures of masks and orderings are normalised", test_mixtures},
    };
    return tx_run_tests("truth", tests, (int)TX_LEN(tests));
}
