/* Annealed importance sampling and bidirectional Monte Carlo against marginal likelihoods that are known: a
 * linear-Gaussian model of this file, whose p(x) is N(b, W'W + s^2 I), and decoders of one latent, whose p(x) is an
 * integral over the line. Letters: K latents, D variables, W[K,D] and b[D] the decoder, s the observation's deviation.
 */
#include <stdlib.h>
#include "common/likelihood/anneal.h"
#include "common/likelihood/weights.h"
#include "common/model/latent.h"
#include "common/model/output.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

enum { K = 2, D = 4, N = 60 };
static const double W[K][D] = {{0.9, 0.7, -0.6, 0.2}, {0.4, -0.8, 0.3, 1.1}}, B[D] = {0.2, -0.4, 1.3, 0.7}, S = 0.35;
static const double log_two_pi = 1.8378770664093453;

/* ---- the linear-Gaussian model ---- */
static void build(tx_model *m)
{
    m->net[0] = tx_params_new("decoder"), m->n_net = 1;
    tx_params_add(m->net[0], "w", tx_shape2(K, D), (tx_init){TX_INIT_CONSTANT, 0});
    tx_params_add(m->net[0], "b", tx_shape2(1, D), (tx_init){TX_INIT_CONSTANT, 0});
}

static void init(tx_model *m)
{
    for (int j = 0; j < D; j++) {
        for (int k = 0; k < K; k++) tx_params_value(m->net[0], (tx_param){0}).x[k * D + j] = (real)W[k][j];
        tx_params_value(m->net[0], (tx_param){1}).x[j] = (real)B[j];
    }
}

static tx_latent latent(const tx_model *m)
{
    (void)m;
    return (tx_latent){K, &tx_prior_normal};
}

static tx_var generate(tx_model *m, tx_tape *t, tx_var z)
{
    return tx_dense(t, z, tx_params_var(m->net[0], (tx_param){0}), tx_params_var(m->net[0], (tx_param){1}), TX_LINEAR);
}

static tx_var constant(tx_tape *t, size_t n, size_t d, double value)
{
    tx_tensor c = tx_tape_tensor(t, n, d);
    for (size_t i = 0; i < n * d; i++) c.x[i] = (real)value;
    return tx_leaf(t, c);
}

static tx_var log_observation(tx_model *m, tx_tape *t, tx_var x, tx_var z)
{
    return tx_normal_logp(t, x, generate(m, t, z), constant(t, tx_rows(x->v), D, 2 * log(S)));
}

static void observe(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var z, tx_tensor x)
{
    tx_observation_sample(m, t, (tx_observation){TX_OBSERVE_NORMAL, S}, r, first, z, x);
}

/* Off by a deviation and too narrow, whatever x is. */
static const double poor_mu = 0.6, poor_lv = -1.2;
static void posterior(tx_model *m, tx_tape *t, tx_var x, tx_var *mu, tx_var *lv)
{
    (void)m;
    *mu = constant(t, tx_rows(x->v), K, poor_mu);
    *lv = constant(t, tx_rows(x->v), K, poor_lv);
}

static tx_var impossible(tx_model *m, tx_tape *t, tx_var x, tx_var z)
{
    return tx_affine(t, log_observation(m, t, x, z), 1, -INFINITY);
}

/* p(x|z) = 1 whatever z is: every distribution of the path is the prior. */
static tx_var indifferent(tx_model *m, tx_tape *t, tx_var x, tx_var z)
{
    (void)m, (void)x;
    return tx_scale(t, tx_sum_rows(t, z), 0);
}

static tx_latent logistic_latent(const tx_model *m)
{
    (void)m;
    return (tx_latent){K, &tx_prior_logistic};
}

static const tx_option none[] = {{0}};
#define LINEAR(NAME, ...)                                                                                              \
    {                                                                                                                  \
        .name = NAME, .summary = "s", .taxonomy_path = "test", .spaces = TX_ON_REAL, .options = none, .build = build,  \
        .init = init, .generate = generate, __VA_ARGS__                                                                \
    }
#define OWN(L) .log_observation = L, .observe = observe, .latent = latent
static const tx_model_ops linear = LINEAR("linear", OWN(log_observation));
static const tx_model_ops with_encoder = LINEAR("with_encoder", OWN(log_observation), .posterior = posterior);
static const tx_model_ops generator = LINEAR("generator", .latent = latent);
static const tx_model_ops broken = LINEAR("broken", OWN(impossible));
static const tx_model_ops flat_normal = LINEAR("flat", OWN(indifferent));
static const tx_model_ops flat_logistic = LINEAR("flat", .log_observation = indifferent, .observe = observe,
                                                 .latent = logistic_latent);
static const tx_model_ops no_latent = LINEAR("no_latent", .latent = NULL);

/* log N(x; b, W'W + s^2 I) by Cholesky's factor. */
static double marginal(const real x[], double s)
{
    double c[D][D], y[D], sum = -0.5 * D * log_two_pi;
    for (int i = 0; i < D; i++)
        for (int j = 0; j <= i; j++) {
            c[i][j] = i == j ? s * s : 0;
            for (int k = 0; k < K; k++) c[i][j] += W[k][i] * W[k][j];
            for (int k = 0; k < j; k++) c[i][j] -= c[i][k] * c[j][k];
            c[i][j] = i == j ? sqrt(c[i][i]) : c[i][j] / c[j][j];
        }
    for (int i = 0; i < D; i++) {
        y[i] = (double)x[i] - B[i];
        for (int k = 0; k < i; k++) y[i] -= c[i][k] * y[k];
        y[i] /= c[i][i];
        sum -= 0.5 * y[i] * y[i] + log(c[i][i]);
    }
    return sum;
}

/* ---- rows ---- */
static tx_dataset real_rows, levels_rows, binary_rows;
static tx_view real_view, logit_view, binary_view;

static void open_view(tx_view *v, const tx_dataset *d, int kind)
{
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    c.view = kind;
    CHECK_OK(tx_view_open(v, d, &c));
}

static int view_named(const char *name)
{
    for (int i = 0; tx_view_list[i]; i++)
        if (strcmp(tx_view_list[i]->name, name) == 0) return i;
    CU_FAIL_FATAL("no such view");
    return -1;
}

/* Rows of the linear-Gaussian model, levels around its means, and bits. */
static void start(void)
{
    real_rows = (tx_dataset){.name = "real", .type = TX_REAL, .dim = D};
    levels_rows = (tx_dataset){.name = "levels", .type = TX_LEVELS, .levels = 256, .dim = D};
    binary_rows = (tx_dataset){.name = "binary", .type = TX_BINARY, .levels = 2, .dim = D};
    for (int s = 0; s < TX_N_SPLIT; s++) {
        tx_rng r = tx_rng_fold(tx_rng_root(5), (uint64_t)s);
        float *x = tx_alloc(N * D, sizeof *x);
        uint8_t *level = tx_alloc(N * D, 1), *bit = tx_alloc(N * D, 1);
        for (size_t i = 0; i < N * D; i++) {
            double mean = B[i % D];
            for (size_t k = 0; k < K; k++) mean += W[k][i % D] * tx_rng_normal1(tx_rng_named(r, "z"), i / D * K + k);
            x[i] = (float)(mean + S * tx_rng_normal1(tx_rng_named(r, "x"), i));
            level[i] = (uint8_t)(256 / (1 + exp(-(double)x[i])));
            bit[i] = x[i] > 0.3;
        }
        real_rows.split[s].n = levels_rows.split[s].n = binary_rows.split[s].n = N;
        real_rows.split[s].value = x, levels_rows.split[s].level = level, binary_rows.split[s].level = bit;
        real_rows.memory[s] = x, levels_rows.memory[s] = level, binary_rows.memory[s] = bit;
    }
    open_view(&real_view, &real_rows, view_named("raw"));
    open_view(&logit_view, &levels_rows, view_named("logit"));
    open_view(&binary_view, &binary_rows, view_named("raw"));
}

static void stop(void)
{
    tx_view_close(&real_view), tx_view_close(&logit_view), tx_view_close(&binary_view);
    tx_dataset_close(&real_rows), tx_dataset_close(&levels_rows), tx_dataset_close(&binary_rows);
}

/* ---- running ---- */
static const tx_model_ops *registered(const char *name)
{
    for (int i = 0; tx_model_list[i]; i++)
        if (strcmp(tx_model_list[i]->name, name) == 0) return tx_model_list[i];
    CU_FAIL_FATAL("no such model");
    return NULL;
}

static tx_model *new_model(const tx_model_ops *ops, const tx_view *v, const char *options)
{
    tx_model *m = NULL;
    void *config = tx_alloc(1, ops->config_size + 1);
    CHECK_OK(tx_test_options(ops->options, config, options));
    CHECK_OK(tx_model_new(&m, ops, config, &v->space, 3));
    free(config);
    return m;
}

static tx_status estimate(const char *name, tx_model *m, const tx_view *v, const char *settings, size_t n,
                          uint64_t seed, tx_estimate *e)
{
    const tx_estimator_ops *ops = tx_estimator_find(name);
    tx_anneal_config c;
    CHECK_TRUE(ops->unfit(m->ops, v) == NULL);
    TX_TRY(tx_test_options(ops->options, &c, settings));
    return ops->run(&c, m, v, TX_TEST, n, tx_rng_root(seed), NULL, NULL, e);
}

static double setting(const tx_estimate *e, const char *key)
{
    return json_number_value(json_object_get(e->settings, key));
}

static const real *row_of(const tx_view *v, size_t i)
{
    static real x[D];
    tx_view_range(v, TX_TEST, i, 1, x, NULL);
    return x;
}

/* ---- AIS ---- */
static void check_marginal(const tx_model_ops *ops, const char *settings, const char *from)
{
    tx_model *m = new_model(ops, &real_view, "{}");
    tx_estimate e;
    double truth = 0;
    CHECK_OK(estimate("ais", m, &real_view, settings, 0, 1, &e));
    CHECK_INT(e.n, N);
    CHECK_INT(e.kind, TX_LOWER_BOUND);
    CHECK_TRUE(e.stochastic && e.split == TX_TEST && !e.upper && !e.x);
    CHECK_TEXT(e.evaluated_model, "model");
    CHECK_TEXT(json_string_value(json_object_get(e.settings, "start")), from);
    for (size_t i = 0; i < N; i++) {
        double exact = marginal(row_of(&real_view, i), S);
        CHECK_NEAR(e.log_likelihood[i], exact, 8 * e.std_error[i] + 0.05);
        truth += exact / N;
    }
    CHECK_NEAR(e.mean, truth, 0.05);
    CHECK_NEAR(setting(&e, "mean_acceptance"), 0.65, 0.1);
    CHECK_TRUE(setting(&e, "step_min") > 0.01 && setting(&e, "step_max") < 3);
    CHECK_TRUE(!json_object_get(e.settings, "warning") && !json_object_get(e.settings, "sigma"));
    tx_estimate_free(&e);
    tx_model_free(m);
}

static void test_marginal(void)
{
    check_marginal(&linear, "{n_step: 300, n_chain: 32, n_leapfrog: 1}", "prior");
    check_marginal(&linear, "{n_step: 300, n_chain: 32, n_leapfrog: 1, schedule: linear, acceptance: 0.6}", "prior");
    check_marginal(&with_encoder, "{n_step: 300, n_chain: 32, n_leapfrog: 1}", "encoder");
    check_marginal(&with_encoder, "{n_step: 300, n_chain: 32, n_leapfrog: 1, start: prior}", "prior");
}

/* Few steps, few chains: far below the truth and never above it. */
static void test_lower_bound(void)
{
    static const char *const settings[] = {"{n_step: 2, n_chain: 2, n_leapfrog: 2}",
                                           "{n_step: 8, n_chain: 2, n_leapfrog: 2}",
                                           "{n_step: 150, n_chain: 4, n_leapfrog: 1}"};
    tx_model *m = new_model(&with_encoder, &real_view, "{}");
    double before = -INFINITY;
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        enum { REPEATS = 10 };
        double mean = 0, square = 0, n = REPEATS * N;
        for (uint64_t seed = 0; seed < REPEATS; seed++) {
            tx_estimate e;
            CHECK_OK(estimate("ais", m, &real_view, settings[k], 0, 10 + seed, &e));
            for (size_t i = 0; i < N; i++) {
                double d = e.log_likelihood[i] - marginal(row_of(&real_view, i), S);
                mean += d / n, square += d * d / n;
            }
            tx_estimate_free(&e);
        }
        CHECK_TRUE(mean <= 4 * sqrt((square - mean * mean) / n));
        CHECK_TRUE(mean > before);
        before = mean;
    }
    CHECK_TRUE(before > -0.15);
    tx_model_free(m);
}

static tx_anneal *new_chains(tx_anneal_config *c, tx_model *m, const tx_view *v, const char *settings)
{
    tx_anneal *a = NULL;
    CHECK_OK(tx_test_options(tx_anneal_options, c, settings));
    CHECK_OK(tx_anneal_new(&a, "test", c, m, v, 1, NULL, NULL));
    return a;
}

/* Of exp(sign (w - truth)), whose mean is 1: how many standard errors it is off. */
static double deviations_from_one(size_t n, const double w[], double truth, double sign)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        double v = exp(sign * (w[i] - truth));
        mean += v / (double)n, square += v * v / (double)n;
    }
    return (mean - 1) / sqrt((square - mean * mean) / (double)n);
}

/* E exp(w) = p(x) forward and E exp(-w) = 1/p(x) back from exact draws, which holds for any number of steps if every
 * transition leaves its distribution unchanged, and for no other schedule or sign than the right one. */
static void check_unbiased(const tx_model_ops *ops, const char *settings)
{
    enum { ROWS = 2000, CHAINS = 2 };
    tx_model *m = new_model(ops, &real_view, "{}");
    tx_anneal_config c;
    tx_anneal *a = new_chains(&c, m, &real_view, settings);
    tx_rng r = tx_rng_root(8);
    real *z = tx_alloc(ROWS * K, sizeof *z), *x = tx_alloc(ROWS * D, sizeof *x), one[D];
    double *w = tx_alloc(ROWS * CHAINS, sizeof *w), *from_truth = tx_alloc(ROWS, sizeof *w);
    tx_anneal_simulate(a, r, ROWS, z, x);
    tx_anneal_pilot(a, r, ROWS, x);
    tx_anneal_run(a, tx_rng_named(r, "back"), ROWS, x, z, w, NULL);
    for (size_t i = 0; i < ROWS; i++) from_truth[i] = w[i * CHAINS] - marginal(x + i * D, S);
    CHECK_TRUE(fabs(deviations_from_one(ROWS, from_truth, 0, -1)) < 5);
    memcpy(one, x, sizeof one);
    for (size_t i = 0; i < ROWS; i++) memcpy(x + i * D, one, sizeof one);
    tx_anneal_run(a, tx_rng_named(r, "forward"), ROWS, x, NULL, w, NULL);
    CHECK_TRUE(fabs(deviations_from_one(ROWS * CHAINS, w, marginal(one, S), 1)) < 5);
    free(z), free(x), free(w), free(from_truth);
    tx_anneal_free(a);
    tx_model_free(m);
}

static void test_unbiased(void)
{
    check_unbiased(&linear, "{n_step: 120, n_chain: 2, n_leapfrog: 1, acceptance: 0.5}");
    check_unbiased(&with_encoder, "{n_step: 120, n_chain: 2, n_leapfrog: 1, acceptance: 0.5}");
    check_unbiased(&with_encoder, "{n_step: 120, n_chain: 2, n_leapfrog: 1, acceptance: 0.3, schedule: linear}");
}

/* With one step the weights are p(x,z)/start(z) at draws from the start. */
static void check_importance(const tx_model_ops *ops, const char *settings, bool encoder)
{
    enum { CHAINS = 25 };
    tx_model *m = new_model(ops, &real_view, "{}");
    tx_estimate e;
    real z[N * CHAINS * K];
    CHECK_OK(estimate("ais", m, &real_view, settings, 0, 4, &e));
    tx_rng_normal(tx_rng_named(tx_rng_named(tx_rng_root(4), "ais"), "start"), 0, TX_LEN(z), z);
    for (size_t i = 0; i < N; i++) {
        const real *x = row_of(&real_view, i);
        double w[CHAINS], error;
        for (size_t c = 0; c < CHAINS; c++) {
            double mean[D];
            memcpy(mean, B, sizeof mean);
            w[c] = -D * (log(S) + 0.5 * log_two_pi);
            for (size_t k = 0; k < K; k++) {
                double e_k = (double)z[(i * CHAINS + c) * K + k],
                       z_k = encoder ? poor_mu + exp(poor_lv / 2) * e_k : e_k;
                for (size_t j = 0; j < D; j++) mean[j] += W[k][j] * z_k;
                w[c] -= 0.5 * z_k * z_k - 0.5 * e_k * e_k - (encoder ? poor_lv / 2 : 0);
            }
            for (size_t j = 0; j < D; j++) w[c] -= 0.5 * pow(((double)x[j] - mean[j]) / S, 2);
        }
        CHECK_NEAR(e.log_likelihood[i], tx_log_mean_exp(CHAINS, w, &error), 1e-4 * fabs(e.log_likelihood[i]) + 1e-5);
        CHECK_NEAR(e.std_error[i], error, 1e-3);
    }
    CHECK_NEAR(e.gradient_evaluations, N * CHAINS, 0);
    tx_estimate_free(&e);
    tx_model_free(m);
}

static void test_importance(void)
{
    check_importance(&linear, "{n_step: 1, n_chain: 25}", false);
    check_importance(&with_encoder, "{n_step: 1, n_chain: 25}", true);
    check_importance(&with_encoder, "{n_step: 1, n_chain: 25, start: prior}", false);
}

/* Chains that start at their stationary distribution stay there: even moments of every coordinate, odd ones 0. */
static void check_stationary(const tx_model_ops *ops, double second, double fourth, double eighth)
{
    enum { CHAINS = 100, ALL = N * CHAINS * K };
    tx_model *m = new_model(ops, &real_view, "{}");
    tx_anneal_config c;
    tx_anneal *a = new_chains(&c, m, &real_view, "{n_step: 15, n_chain: 100, n_leapfrog: 4, acceptance: 0.5}");
    real *x = tx_alloc(N * D, sizeof *x), *z = tx_alloc(ALL, sizeof *z);
    double *w = tx_alloc(N * CHAINS, sizeof *w), moment[4] = {0};
    tx_view_range(&real_view, TX_TEST, 0, N, x, NULL);
    tx_anneal_pilot(a, tx_rng_root(2), N, x);
    tx_anneal_run(a, tx_rng_root(3), N, x, NULL, w, z);
    for (size_t i = 0; i < ALL; i++)
        for (int k = 0; k < 4; k++) moment[k] += pow((double)z[i], k + 1) / ALL;
    CHECK_NEAR(moment[0], 0, 5 * sqrt(second / ALL));
    CHECK_NEAR(moment[1], second, 5 * sqrt((fourth - second * second) / ALL));
    CHECK_NEAR(moment[2], 0, 5 * sqrt(eighth / ALL));
    CHECK_NEAR(moment[3], fourth, 5 * sqrt((eighth - fourth * fourth) / ALL));
    for (size_t i = 0; i < N * CHAINS; i++) CHECK_NEAR(w[i], 0, 1e-6);
    free(x), free(z), free(w);
    tx_anneal_free(a);
    tx_model_free(m);
}

static void test_stationary(void)
{
    double p2 = M_PI * M_PI;
    check_stationary(&flat_normal, 1, 3, 105);
    check_stationary(&flat_logistic, p2 / 3, 7 * p2 * p2 / 15, 127 * p2 * p2 * p2 * p2 / 15);
}

/* The jackknife over chains against the spread over repeats. */
static void test_error(void)
{
    enum { REPEATS = 60, ROWS = 10 };
    tx_model *m = new_model(&linear, &real_view, "{}");
    double mean[ROWS] = {0}, square[ROWS] = {0}, stated = 0, seen = 0, of_mean = 0, mean_of = 0, mean_square = 0;
    for (uint64_t k = 0; k < REPEATS; k++) {
        tx_estimate e;
        CHECK_OK(
            estimate("ais", m, &real_view, "{n_step: 20, n_chain: 24, n_leapfrog: 2, n_pilot: 2}", ROWS, 50 + k, &e));
        for (size_t i = 0; i < ROWS; i++) {
            mean[i] += e.log_likelihood[i] / REPEATS, square[i] += pow(e.log_likelihood[i], 2) / REPEATS;
            stated += e.std_error[i] / REPEATS;
        }
        mean_of += e.mean / REPEATS, mean_square += e.mean * e.mean / REPEATS, of_mean += e.mc_error / REPEATS;
        tx_estimate_free(&e);
    }
    for (size_t i = 0; i < ROWS; i++) seen += sqrt(square[i] - mean[i] * mean[i]);
    CHECK_NEAR(stated / seen, 1, 0.2);
    CHECK_NEAR(of_mean / sqrt(mean_square - mean_of * mean_of), 1, 0.45);
    tx_model_free(m);
}

/* ---- BDMC ---- */
static void check_bdmc(const tx_model_ops *ops, const char *settings, double least, double most)
{
    tx_model *m = new_model(ops, &real_view, "{}");
    tx_estimate e;
    double n = 50, below = 0, above = 0, gap = 0, square = 0, below2 = 0, above2 = 0;
    CHECK_OK(estimate("bdmc", m, &real_view, settings, 0, 6, &e));
    CHECK_INT(e.n, 50);
    CHECK_TRUE(e.split == TX_SIMULATED && e.kind == TX_LOWER_BOUND && e.stochastic && e.x && e.upper);
    for (size_t i = 0; i < e.n; i++) {
        double truth = marginal(e.x + i * D, S), low = e.log_likelihood[i] - truth, high = e.upper[i] - truth;
        below += low / n, above += high / n, below2 += low * low / n, above2 += high * high / n;
        gap += (high - low) / n, square += (high - low) * (high - low) / n;
    }
    CHECK_TRUE(below <= 4 * sqrt((below2 - below * below) / n));
    CHECK_TRUE(above >= -4 * sqrt((above2 - above * above) / n));
    CHECK_TRUE(gap > least && gap < most);
    CHECK_NEAR(setting(&e, "gap_mean"), gap, 1e-6);
    CHECK_NEAR(setting(&e, "gap_error"), sqrt((square - gap * gap) / (n - 1)), 1e-6);
    CHECK_TRUE(setting(&e, "gap_mc_error") > e.mc_error);
    CHECK_TEXT(json_string_value(json_object_get(e.settings, "unit")), "the data's");
    tx_estimate_free(&e);
    tx_model_free(m);
}

static void test_bdmc(void)
{
    check_bdmc(&linear, "{n_step: 3, n_chain: 4, n_leapfrog: 3, n_example: 50}", 0.8, 100);
    check_bdmc(&linear, "{n_step: 800, n_chain: 8, n_leapfrog: 1, n_example: 50}", -0.07, 0.09);
    check_bdmc(&with_encoder, "{n_step: 3, n_chain: 4, n_leapfrog: 3, n_example: 50}", 0.8, 100);
    check_bdmc(&with_encoder, "{n_step: 800, n_chain: 8, n_leapfrog: 1, n_example: 50}", -0.07, 0.09);
}

/* The upper bound of each row is - log mean exp(-w) of its chains back from the z that it came from. */
static void test_upper(void)
{
    enum { ROWS = 30, CHAINS = 3, PILOT = 10 };
    const char *settings = "{n_step: 4, n_chain: 3, n_leapfrog: 2, n_example: 30}";
    tx_model *m = new_model(&linear, &real_view, "{}");
    tx_anneal_config c;
    tx_anneal *a = new_chains(&c, m, &real_view, settings);
    tx_rng r = tx_rng_root(6), pilot = tx_rng_named(r, "pilot");
    tx_estimate e;
    real z[ROWS * K], x[ROWS * D];
    double w[ROWS * CHAINS];
    CHECK_OK(estimate("bdmc", m, &real_view, settings, 0, 6, &e));
    tx_anneal_simulate(a, tx_rng_named(pilot, "rows"), PILOT, z, x);
    tx_anneal_pilot(a, pilot, PILOT, x);
    tx_anneal_simulate(a, tx_rng_named(r, "rows"), ROWS, z, x);
    tx_anneal_run(a, tx_rng_named(r, "backward"), ROWS, x, z, w, NULL);
    for (size_t i = 0; i < ROWS; i++) {
        double *of_row = w + i * CHAINS, sum = 0;
        for (size_t j = 0; j < CHAINS; j++) sum += exp(-of_row[j]) / CHAINS;
        CHECK_NEAR(e.upper[i], -log(sum), 1e-9);
        CHECK_TRUE(memcmp(e.x + i * D, x + i * D, D * sizeof *x) == 0);
    }
    tx_estimate_free(&e);
    tx_anneal_free(a);
    tx_model_free(m);
}

/* The rows are the model's: moments of a linear function of them; the model's own map leaves a unit of its own. */
static void test_simulated(void)
{
    enum { ROWS = 4000 };
    tx_model *m = new_model(&linear, &real_view, "{}"), *of_logit = new_model(&linear, &logit_view, "{}");
    tx_estimate e;
    double mean[D] = {0}, square[D] = {0};
    CHECK_OK(estimate("bdmc", m, &real_view, "{n_step: 1, n_chain: 2, n_example: 4000}", 0, 9, &e));
    for (size_t i = 0; i < ROWS * D; i++) mean[i % D] += (double)e.x[i] / ROWS;
    for (size_t i = 0; i < ROWS * D; i++) square[i % D] += pow((double)e.x[i] - mean[i % D], 2) / ROWS;
    for (size_t j = 0; j < D; j++) {
        double variance = S * S + W[0][j] * W[0][j] + W[1][j] * W[1][j];
        CHECK_NEAR(mean[j], B[j], 5 * sqrt(variance / ROWS));
        CHECK_NEAR(square[j], variance, 5 * variance * sqrt(2.0 / ROWS));
    }
    tx_estimate_free(&e);
    CHECK_OK(estimate("bdmc", of_logit, &logit_view, "{n_step: 1, n_chain: 2, n_example: 9}", 7, 9, &e));
    CHECK_INT(e.n, 7);
    CHECK_TEXT(json_string_value(json_object_get(e.settings, "unit")), "the view's");
    CHECK_TRUE(isnan(e.bits_per_dim));
    tx_estimate_free(&e);
    tx_model_free(m), tx_model_free(of_logit);
}

/* ---- observations and priors ---- */

/* log of the integral of p(z) p(x|z) over the line, a Riemann sum: u = (i + 1/2)/GRID of the logistic's distribution
 * function, or z on [-9, 9] under the normal. */
static double integral(tx_model *m, tx_observation o, const real x[], bool logistic)
{
    enum { GRID = 4000 };
    static double w[GRID];
    tx_tape *t = tx_tape_new(0);
    tx_model_bind(m, t);
    tx_tensor z = tx_tape_tensor(t, GRID, 1), rows = tx_tape_tensor(t, GRID, D);
    for (size_t i = 0; i < GRID; i++) {
        double u = ((double)i + 0.5) / GRID;
        z.x[i] = (real)(logistic ? log(u) - log1p(-u) : 18 * u - 9);
        memcpy(rows.x + i * D, x, D * sizeof *x);
    }
    tx_var y = tx_observation_logp(m, t, o, tx_leaf(t, rows), tx_leaf(t, z));
    for (size_t i = 0; i < GRID; i++) {
        double z_i = (double)z.x[i];
        w[i] = (double)y->v.x[i] + (logistic ? 0 : log(18) - 0.5 * z_i * z_i - 0.5 * log_two_pi);
    }
    tx_tape_free(t);
    return tx_log_mean_exp(GRID, w, NULL);
}

static void stretch(tx_model *m, int net, double by)
{
    tx_tensor block = tx_params_block(m->net[net]);
    for (size_t i = 0; i < tx_len(block); i++) block.x[i] *= (real)by;
}

static void check_integral(const tx_model_ops *ops, const tx_view *v, const char *options, int net,
                           const char *settings, tx_observation o, const char *evaluated)
{
    enum { ROWS = 12 };
    tx_model *m = new_model(ops, v, options);
    bool logistic = ops->latent(m).prior == &tx_prior_logistic;
    tx_estimate e;
    double off = 0, range = 0, first = 0;
    stretch(m, net, 2.5); /* posteriors that differ from the prior and likelihoods that differ */
    CHECK_OK(estimate("ais", m, v, settings, ROWS, 2, &e));
    CHECK_TEXT(e.evaluated_model, evaluated);
    for (size_t i = 0; i < ROWS; i++) {
        double truth = integral(m, o, row_of(v, i), logistic);
        CHECK_NEAR(e.log_likelihood[i], truth, 8 * e.std_error[i] + 0.05);
        off += (e.log_likelihood[i] - truth) / ROWS;
        if (i == 0) first = truth;
        range = fmax(range, fabs(truth - first));
    }
    CHECK_NEAR(off, 0, 5 * e.mc_error + 0.01);
    CHECK_TRUE(e.mc_error < 0.05);
    CHECK_TRUE(range > 0.3);
    tx_estimate_free(&e);
    tx_model_free(m);
}

#define STEPS "n_step: 300, n_chain: 16, n_leapfrog: 1"
#define GAN   "{latent: 1, generator_hidden: [6], discriminator_hidden: [3], activation: tanh, prior: "
static void test_observations(void)
{
    const tx_model_ops *gan = registered("gan"), *vae = registered("vae");
    const tx_observation normal = {TX_OBSERVE_NORMAL, 0.8}, bernoulli = {TX_OBSERVE_BERNOULLI, 0},
                         own = {TX_OBSERVE_MODEL, 0};
    check_integral(gan, &real_view, GAN "uniform}", 0, "{" STEPS ", sigma: 0.8}", normal, "G(z) + N(0, 0.8^2 I)");
    check_integral(gan, &real_view, GAN "normal}", 0, "{" STEPS ", sigma: 0.8}", normal, "G(z) + N(0, 0.8^2 I)");
    check_integral(gan, &binary_view, GAN "uniform}", 0, "{" STEPS "}", bernoulli, "Bernoullis with means G(z)");
    check_integral(vae, &binary_view, "{latent: 1, hidden: [5]}", 1, "{" STEPS "}", own, "model");
    check_integral(vae, &real_view, "{latent: 1, hidden: [5], variance: learned}", 1, "{" STEPS ", start: prior}", own,
                   "model");
}

/* The deviation is the best of the grid on valid, by the closed form; at its edge that is said. */
static void test_sigma(void)
{
    const char *settings = "{n_step: 200, n_chain: 16, n_leapfrog: 1, sigma_min: 0.1, sigma_max: 1.6, n_sigma: 5, "
                           "n_valid: 40, n_step_sigma: 60}";
    tx_model *m = new_model(&generator, &real_view, "{}");
    tx_estimate e;
    double best = -INFINITY, chosen = 0, off = 0;
    for (int k = 0; k < 5; k++) {
        double sigma = 0.1 * pow(2, k), sum = 0;
        for (size_t i = 0; i < 40; i++) {
            real x[D];
            tx_view_range(&real_view, TX_VALID, i, 1, x, NULL);
            sum += marginal(x, sigma);
        }
        if (sum > best) best = sum, chosen = sigma;
    }
    CHECK_NEAR(chosen, 0.4, 1e-9);
    CHECK_OK(estimate("ais", m, &real_view, settings, 0, 2, &e));
    CHECK_NEAR(setting(&e, "sigma"), chosen, 1e-9);
    CHECK_TEXT(e.evaluated_model, "G(z) + N(0, 0.4^2 I)");
    for (size_t i = 0; i < N; i++) off += (e.log_likelihood[i] - marginal(row_of(&real_view, i), chosen)) / N;
    CHECK_NEAR(off, 0, 5 * e.mc_error + 0.01);
    CHECK_TRUE(e.mc_error < 0.05);
    tx_estimate_free(&e);
    CHECK_OK(estimate("bdmc", m, &real_view,
                      "{n_step: 5, n_chain: 2, sigma_min: 0.8, sigma_max: 1.6, n_sigma: 3, n_step_sigma: 30}", 3, 2,
                      &e));
    CHECK_TEXT(e.evaluated_model, "G(z) + N(0, 0.8^2 I) (at the edge of the deviations tried)");
    tx_estimate_free(&e);
    CHECK_OK(estimate("ais", m, &real_view,
                      "{n_step: 2, n_chain: 3, sigma_min: 0.1, sigma_max: 0.2, n_sigma: 3, n_step_sigma: 30}", 3, 2,
                      &e));
    CHECK_TEXT(e.evaluated_model, "G(z) + N(0, 0.2^2 I) (at the edge of the deviations tried)");
    CHECK_NEAR(setting(&e, "step_min"), setting(&e, "step_max"), 0); /* the only transition's */
    CHECK_TRUE(setting(&e, "step_min") > 0);
    tx_estimate_free(&e);
    double same = 0; /* noisy choices from a fine grid: one model for all seeds and for both estimators */
    for (int k = 0; k < 4; k++) {
        CHECK_OK(
            estimate(k < 3 ? "ais" : "bdmc", m, &real_view,
                     "{n_step: 3, n_chain: 2, n_example: 2, sigma_min: 0.3, sigma_max: 0.5, n_sigma: 40, n_valid: 2, "
                     "n_step_sigma: 3}",
                     2, (uint64_t)(7 + k), &e));
        if (k == 0) same = setting(&e, "sigma");
        CHECK_NEAR(setting(&e, "sigma"), same, 0);
        tx_estimate_free(&e);
    }
    tx_model_free(m);
}

/* What is chosen does not depend on the rows that are evaluated. */
static void test_choices(void)
{
    const char *settings = "{n_step: 12, n_chain: 3, n_leapfrog: 2, n_sigma: 4, n_step_sigma: 9}";
    static const char *const key[] = {"sigma", "step_min", "step_max"};
    tx_model *m = new_model(&generator, &real_view, "{}");
    tx_dataset other = real_rows;
    tx_view of_other = real_view;
    tx_estimate one, two;
    other.split[TX_TEST].value = real_rows.split[TX_TRAIN].value;
    of_other.data = &other;
    CHECK_OK(estimate("ais", m, &real_view, settings, 0, 2, &one));
    CHECK_OK(estimate("ais", m, &of_other, settings, 0, 2, &two));
    CHECK_TRUE(one.mean != two.mean);
    for (size_t i = 0; i < TX_LEN(key); i++) CHECK_NEAR(setting(&one, key[i]), setting(&two, key[i]), 0);
    tx_estimate_free(&one), tx_estimate_free(&two);
    tx_model_free(m);
}

/* The value is in the data's unit: that of the view less the Jacobian of its map. */
static void test_jacobian(void)
{
    tx_model *m = new_model(&linear, &logit_view, "{}");
    tx_estimate e;
    double x_jacobian, off = 0, mean = 0;
    real x[D];
    CHECK_OK(estimate("ais", m, &logit_view, "{n_step: 300, n_chain: 32, n_leapfrog: 1}", 0, 2, &e));
    for (size_t i = 0; i < N; i++) {
        tx_view_range(&logit_view, TX_TEST, i, 1, x, &x_jacobian);
        off += (e.log_likelihood[i] - marginal(x, S) - x_jacobian) / N;
        mean += x_jacobian / N;
    }
    CHECK_TRUE(mean > 1);
    CHECK_NEAR(off, 0, 5 * e.mc_error + 0.01);
    CHECK_TRUE(e.mc_error < 0.05);
    CHECK_NEAR(setting(&e, "mean_log_jacobian"), mean, 1e-9);
    tx_estimate_free(&e);
    tx_model_free(m);
}

/* ---- threads, cost, progress, errors ---- */
static void run_with_threads(int threads, const char *name, tx_model *m, tx_estimate *e)
{
    tx_threads_set(threads);
    CHECK_OK(estimate(name, m, &binary_view, "{n_step: 2, n_chain: 30, n_leapfrog: 1, n_example: 20}", 0, 2, e));
    tx_threads_set(1);
}

static void test_threads(void)
{
    static const char *const name[] = {"ais", "bdmc"};
    tx_model *m = new_model(registered("vae"), &binary_view, "{latent: 5, hidden: [200, 130]}");
    for (size_t k = 0; k < TX_LEN(name); k++) {
        tx_estimate one, more;
        run_with_threads(1, name[k], m, &one);
        for (int threads = 2; threads <= 4; threads += 2) {
            run_with_threads(threads, name[k], m, &more);
            CHECK_TRUE(memcmp(one.log_likelihood, more.log_likelihood, one.n * sizeof(double)) == 0);
            CHECK_TRUE(memcmp(one.std_error, more.std_error, one.n * sizeof(double)) == 0);
            if (one.upper) CHECK_TRUE(memcmp(one.upper, more.upper, one.n * sizeof(double)) == 0);
            if (one.x) CHECK_TRUE(memcmp(one.x, more.x, one.n * D * sizeof(real)) == 0);
            CHECK_TRUE(json_equal(one.settings, more.settings));
            tx_estimate_free(&more);
        }
        tx_estimate_free(&one);
    }
    tx_model_free(m);
}

/* A chain is a function of its number and its row: of 120 chains, which are one part, and of 300, which are four. */
static void test_parts(void)
{
    tx_estimate few, many;
    tx_model *m = new_model(registered("vae"), &binary_view, "{latent: 5, hidden: [20, 13]}");
    CHECK_OK(estimate("ais", m, &binary_view, "{n_step: 3, n_chain: 30, n_leapfrog: 2, n_example: 4}", 0, 2, &few));
    CHECK_OK(estimate("ais", m, &binary_view, "{n_step: 3, n_chain: 30, n_leapfrog: 2, n_example: 10}", 0, 2, &many));
    for (size_t i = 0; i < few.n; i++) {
        CHECK_NEAR(few.log_likelihood[i], many.log_likelihood[i], 1e-5 * fabs(few.log_likelihood[i]));
        CHECK_NEAR(few.std_error[i], many.std_error[i], 1e-3 * few.std_error[i]);
    }
    tx_estimate_free(&few), tx_estimate_free(&many);
    tx_model_free(m);
}

static double last_share;
static int told;
static void tell(void *ctx, double share)
{
    CHECK_TRUE(ctx == &told && share >= last_share && share <= 1);
    last_share = share;
    told++;
}

static void check_progress(const char *name, tx_model *m)
{
    const tx_estimator_ops *ops = tx_estimator_find(name);
    tx_anneal_config c;
    tx_estimate e;
    CHECK_OK(tx_test_options(ops->options, &c,
                             "{n_step: 10, n_chain: 4, n_leapfrog: 2, n_sigma: 3, n_step_sigma: 7, n_valid: 5}"));
    last_share = 0, told = 0;
    CHECK_OK(ops->run(&c, m, &real_view, TX_TEST, 0, tx_rng_root(1), tell, &told, &e));
    CHECK_NEAR(last_share, 1, 1e-9);
    CHECK_TRUE(told > 100);
    tx_estimate_free(&e);
}

static void test_progress(void)
{
    tx_model *m = new_model(&generator, &real_view, "{}"), *own = new_model(&linear, &real_view, "{}");
    check_progress("ais", m), check_progress("bdmc", m), check_progress("ais", own);
    tx_model_free(m), tx_model_free(own);
}

static void test_errors(void)
{
    static const struct {
        const char *settings, *says;
    } wrong[] = {{"{n_step: 0}", "n_step"},         {"{n_chain: 1}", "n_chain"}, {"{n_leapfrog: 0}", "n_leapfrog"},
                 {"{acceptance: 1}", "acceptance"}, {"{n_pilot: 0}", "n_pilot"}, {"{sigma: -1}", "sigma"},
                 {"{start: nowhere}", "start"},     {"{n_sigma: 0}", "n_sigma"}, {"{n_example: -1}", "n_example"}};
    tx_model *m = new_model(&linear, &real_view, "{}"), *bad = new_model(&broken, &real_view, "{}");
    tx_estimate e = {0};
    for (size_t i = 0; i < TX_LEN(wrong); i++) {
        CHECK_INT(estimate("ais", m, &real_view, wrong[i].settings, 0, 1, &e), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), wrong[i].says);
    }
    CHECK_INT(estimate("ais", m, &real_view, "{sigma_min: 2}", 0, 1, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "ais: sigma_max 1 is less than sigma_min 2");
    CHECK_INT(estimate("bdmc", m, &real_view, "{start: encoder}", 0, 1, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "start is 'encoder', but linear has none");
    CHECK_INT(estimate("bdmc", m, &real_view, "{n_example: 0}", 0, 1, &e), TX_ECONFIG);
    CHECK_INT(estimate("ais", bad, &real_view, "{n_step: 3, n_chain: 2}", 0, 1, &e), TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), "a log-weight of test row 0 is -inf");
    CHECK_INT(estimate("bdmc", bad, &real_view, "{n_step: 3, n_chain: 2}", 0, 1, &e), TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), "simulated row 0");
    CHECK_HAS(tx_anneal_unfit(&no_latent, &real_view), "no latent variables");
    tx_view many = binary_view;
    many.space.levels = 256;
    CHECK_HAS(tx_anneal_unfit(&generator, &many), "more than two levels");
    CHECK_TRUE(!tx_anneal_unfit(&generator, &binary_view) && tx_estimator_find("bdmc")->simulates);
    tx_model_free(m), tx_model_free(bad);
}

/* The acceptance is that of the moves, of which two steps have one, and one step none. */
static void test_acceptance(void)
{
    tx_model *m = new_model(&linear, &real_view, "{}");
    tx_estimate e;
    CHECK_OK(estimate("ais", m, &real_view, "{n_step: 2, n_chain: 200, n_leapfrog: 1, acceptance: 0.9}", 0, 1, &e));
    CHECK_TRUE(setting(&e, "mean_acceptance") > 0.85);
    tx_estimate_free(&e);
    CHECK_OK(estimate("ais", m, &real_view, "{n_step: 1, n_chain: 20}", 0, 1, &e));
    CHECK_TRUE(!json_object_get(e.settings, "mean_acceptance"));
    tx_estimate_free(&e);
    tx_model_free(m);
}

/* A leapfrog step that is accepted too seldom is said. */
static void test_warning(void)
{
    tx_model *m = new_model(&linear, &real_view, "{}");
    tx_estimate e;
    CHECK_OK(estimate("ais", m, &real_view, "{n_step: 30, n_chain: 4, n_leapfrog: 3, acceptance: 0.05}", 0, 1, &e));
    CHECK_TRUE(setting(&e, "mean_acceptance") < 0.2);
    CHECK_HAS(json_string_value(json_object_get(e.settings, "warning")), "fewer than 20 %");
    CHECK_TEXT(json_string_value(json_object_get(e.settings, "brief")), "30 steps x 4 chains");
    tx_estimate_free(&e);
    tx_model_free(m);
}

int main(void)
{
    static const tx_test test[] = {
        {"set up", start},
        {"the exact marginal, from the prior and from a poor encoder", test_marginal},
        {"never above the truth on average", test_lower_bound},
        {"unbiased weights, forward and back", test_unbiased},
        {"one step is importance sampling", test_importance},
        {"transitions leave their distribution unchanged", test_stationary},
        {"jackknife error against repeats", test_error},
        {"bidirectional bounds enclose the truth", test_bdmc},
        {"the upper bound of a row", test_upper},
        {"simulated rows", test_simulated},
        {"observations and priors against integrals", test_observations},
        {"the deviation is chosen on valid", test_sigma},
        {"choices are made without the evaluated rows", test_choices},
        {"the Jacobian of the view", test_jacobian},
        {"same bits for every thread count", test_threads},
        {"the same chains in any parts", test_parts},
        {"progress is monotone and complete", test_progress},
        {"what is refused", test_errors},
        {"acceptance of the moves", test_acceptance},
        {"seldom accepted", test_warning},
    };
    int failed = tx_run_tests("ais", test, TX_LEN(test));
    stop();
    return failed;
}
