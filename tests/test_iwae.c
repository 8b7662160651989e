/* The importance weighted bound against truths: models of one or two latents whose marginals are a closed form or a sum
 * over a grid, naive weights in double from the same noise, and Jensen's inequality on the same draws. */
#include <stdlib.h>
#include "common/likelihood/estimator.h"
#include "common/model/latent.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

enum { BITS = 5, REALS = 2, ROWS = 230 };
static const tx_option none[] = {{0}};

static void build(tx_model *m)
{
    m->net[0] = tx_params_new("toy"), m->n_net = 1;
    tx_params_add(m->net[0], "unused", tx_shape2(1, 1), (tx_init){TX_INIT_CONSTANT, 0});
}

static tx_var filled(tx_tape *t, size_t rows, size_t cols, double (*f)(size_t i, size_t j))
{
    tx_tensor v = tx_tape_tensor(t, rows, cols);
    for (size_t i = 0; i < rows * cols; i++) v.x[i] = (real)f(i / cols, i % cols);
    return tx_leaf(t, v);
}

/* ---- x_j in {0,1} with logit b_j + w_j z, z in R; an encoder that is only near the posterior ---- */

static double loading(size_t i, size_t j) { return (void)i, 1.385 - 0.7 * (double)j; }
static double offset(size_t i, size_t j) { return (void)i, -0.4 + 0.31 * (double)j; }
static const double recognise[BITS] = {0.5, 0.3, -0.05, -0.3, -0.5}, encoder_mean = -0.1,
                    encoder_lv = 0.115; /* wider than any posterior */

static tx_latent one_normal(const tx_model *m) { return (void)m, (tx_latent){1, &tx_prior_normal}; }
static tx_latent one_logistic(const tx_model *m) { return (void)m, (tx_latent){1, &tx_prior_logistic}; }

static tx_var bits_logit(tx_model *m, tx_tape *t, tx_var z)
{
    (void)m;
    return tx_add_row(t, tx_matmul(t, z, false, filled(t, 1, BITS, loading), false), filled(t, 1, BITS, offset));
}

static tx_var bits_logp(tx_model *m, tx_tape *t, tx_var x, tx_var z)
{
    return tx_bernoulli_logp(t, bits_logit(m, t, z), x);
}

static double mean_of_bits(const real x[])
{
    double mu = encoder_mean;
    for (int j = 0; j < BITS; j++) mu += recognise[j] * (double)x[j];
    return mu;
}

static int posterior_calls;

static void bits_posterior(tx_model *m, tx_tape *t, tx_var x, tx_var *mu, tx_var *lv)
{
    (void)m;
    tx_tensor a = tx_tape_tensor(t, tx_rows(x->v), 1), b = tx_tape_tensor(t, tx_rows(x->v), 1);
    for (size_t i = 0; i < tx_rows(x->v); i++)
        a.x[i] = (real)mean_of_bits(x->v.x + i * BITS), b.x[i] = (real)encoder_lv;
    *mu = tx_leaf(t, a), *lv = tx_leaf(t, b);
    posterior_calls += (int)tx_rows(x->v);
}

#define TOY(n, on, ...)                                                                                                \
    {                                                                                                                  \
        .name = n, .summary = "s", .taxonomy_path = "test", .spaces = on, .options = none, .build = build, __VA_ARGS__ \
    }
static const tx_model_ops bits = TOY("bits", TX_ON_BINARY, .latent = one_normal, .generate = bits_logit,
                                     .log_observation = bits_logp, .posterior = bits_posterior),
                          generator = TOY("generator", TX_ON_BINARY | TX_ON_LEVELS | TX_ON_REAL, .latent = one_logistic,
                                          .generate = bits_logit);

/* log p(x|z) by the definition. */
static double bits_given(const real x[], double z)
{
    double sum = 0;
    for (size_t j = 0; j < BITS; j++) {
        double logit = offset(0, j) + loading(0, j) * z;
        sum += (double)x[j] > 0.5 ? -log1p(exp(-logit)) : -log1p(exp(logit));
    }
    return sum;
}

static double log_normal(double z, double mu, double variance)
{
    return -0.5 * (log(2 * M_PI * variance) + (z - mu) * (z - mu) / variance);
}

/* log of the integral over z, by the trapezoid rule on a range where the prior has all but 1e-17 of its mass. */
static double marginal(const real x[], bool logistic)
{
    double sum = 0, h = 0.01;
    for (double z = -45; z < 45; z += h) {
        double prior = logistic ? -fabs(z) - 2 * log1p(exp(-fabs(z))) : log_normal(z, 0, 1);
        sum += h * exp(prior + bits_given(x, z));
    }
    return log(sum);
}

/* ---- x_j ~ N(c_j + a_j z_j, s_j^2), z ~ N(0, I): everything in closed form; an encoder at a known distance ---- */

static const double gain[REALS] = {1.7, -0.6}, centre[REALS] = {0.3, -1.2}, spread[REALS] = {0.385, 0.9};
static double shift, widen; /* of the encoder: in posterior deviations; of its log-variance */

static tx_latent two_normal(const tx_model *m) { return (void)m, (tx_latent){REALS, &tx_prior_normal}; }
static double gains(size_t i, size_t j) { return (void)i, gain[j]; }
static double centres(size_t i, size_t j) { return (void)i, centre[j]; }
static double spreads(size_t i, size_t j) { return (void)i, 2 * log(spread[j]); }

static tx_var real_mean(tx_model *m, tx_tape *t, tx_var z)
{
    (void)m;
    return tx_add_row(t, tx_mul_row(t, z, filled(t, 1, REALS, gains)), filled(t, 1, REALS, centres));
}

static tx_var real_logp(tx_model *m, tx_tape *t, tx_var x, tx_var z)
{
    return tx_normal_logp(t, x, real_mean(m, t, z), filled(t, tx_rows(x->v), REALS, spreads));
}

static double posterior_variance(size_t j) { return 1 / (1 + pow(gain[j] / spread[j], 2)); }

static void real_posterior(tx_model *m, tx_tape *t, tx_var x, tx_var *mu, tx_var *lv)
{
    (void)m;
    tx_tensor a = tx_tape_tensor(t, tx_rows(x->v), REALS), b = tx_tape_tensor(t, tx_rows(x->v), REALS);
    for (size_t i = 0; i < tx_len(a); i++) {
        size_t j = i % REALS;
        double v = posterior_variance(j), mean = v * gain[j] * ((double)x->v.x[i] - centre[j]) / pow(spread[j], 2);
        a.x[i] = (real)(mean + shift * sqrt(v)), b.x[i] = (real)(log(v) + widen);
    }
    *mu = tx_leaf(t, a), *lv = tx_leaf(t, b);
}

static const tx_model_ops reals = TOY("reals", TX_ON_REAL, .latent = two_normal, .generate = real_mean,
                                      .log_observation = real_logp, .posterior = real_posterior);

/* A decoder that fails on the rows that begin with three ones. */
static tx_var broken_logp(tx_model *m, tx_tape *t, tx_var x, tx_var z)
{
    tx_var y = bits_logp(m, t, x, z);
    tx_tensor v = tx_tape_tensor(t, tx_rows(y->v), 1);
    for (size_t i = 0; i < tx_rows(y->v); i++) {
        const real *row = x->v.x + i * BITS;
        v.x[i] = row[0] + row[1] + row[2] == 3 ? NAN : y->v.x[i];
    }
    return tx_leaf(t, v);
}

static const tx_model_ops broken = TOY("broken", TX_ON_BINARY, .latent = one_normal, .generate = bits_logit,
                                       .log_observation = broken_logp, .posterior = bits_posterior);

/* ---- data and runs ---- */

static const tx_model_ops *registered(const char *name)
{
    for (size_t k = 0; tx_model_list[k]; k++)
        if (strcmp(tx_model_list[k]->name, name) == 0) return tx_model_list[k];
    abort();
}

static tx_dataset bit_data, real_data, level_data;
static tx_view bit_view, real_view, scaled, logit; /* of logit the Jacobian differs from row to row */
static tx_model *of_bits, *of_generator, *of_reals, *of_scaled;
static real bit_rows[ROWS * BITS];

static void open_view(tx_view *v, const tx_dataset *d, const char *name)
{
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    for (c.view = 0; strcmp(tx_view_list[c.view]->name, name) != 0;) c.view++;
    CHECK_OK(tx_view_open(v, d, &c));
}

static void start(void)
{
    bit_data = (tx_dataset){.name = "bits", .type = TX_BINARY, .levels = 2, .dim = BITS};
    real_data = (tx_dataset){.name = "reals", .type = TX_REAL, .dim = REALS};
    level_data = (tx_dataset){.name = "levels", .type = TX_LEVELS, .levels = 256, .dim = REALS};
    for (int s = 0; s < TX_N_SPLIT; s++) {
        tx_rng r = tx_rng_fold(tx_rng_root(5), (uint64_t)s);
        uint8_t *level = tx_alloc(ROWS * BITS, 1), *grey = tx_alloc(ROWS * REALS, 1);
        float *value = tx_alloc(ROWS * REALS, sizeof *value);
        for (size_t i = 0; i < ROWS * BITS; i++) level[i] = tx_rng_uniform1(r, i) < 0.385;
        for (size_t i = 0; i < ROWS * REALS; i++) grey[i] = (uint8_t)(256 * tx_rng_uniform1(tx_rng_fold(r, 1), i));
        for (size_t i = 0; i < ROWS * REALS; i++) value[i] = (float)(0.2 + 1.7 * tx_rng_normal1(r, i));
        bit_data.split[s].n = real_data.split[s].n = level_data.split[s].n = ROWS;
        level_data.split[s].level = grey, level_data.memory[s] = grey;
        bit_data.split[s].level = level, bit_data.memory[s] = level;
        real_data.split[s].value = value, real_data.memory[s] = value;
    }
    open_view(&bit_view, &bit_data, "raw");
    open_view(&real_view, &real_data, "raw");
    open_view(&scaled, &real_data, "standardised");
    open_view(&logit, &level_data, "logit");
    tx_view_range(&bit_view, TX_TEST, 0, ROWS, bit_rows, NULL);
    CHECK_OK(tx_model_new(&of_bits, &bits, NULL, &bit_view.space, 1));
    CHECK_OK(tx_model_new(&of_generator, &generator, NULL, &bit_view.space, 1));
    CHECK_OK(tx_model_new(&of_reals, &reals, NULL, &real_view.space, 1));
    CHECK_OK(tx_model_new(&of_scaled, &reals, NULL, &scaled.space, 1));
}

static tx_status run(const tx_view *v, tx_model *m, const char *settings, size_t n, uint64_t seed, tx_estimate *e)
{
    const tx_estimator_ops *o = tx_estimator_find("iwae");
    int config[16];
    CHECK_TRUE(o->config_size <= sizeof config && !o->unfit(m->ops, v));
    tx_options_defaults(o->options, config);
    tx_yaml *y = NULL;
    CHECK_OK(tx_yaml_parse(settings, strlen(settings), "test", &y));
    tx_option_set set = {o->options, config};
    CHECK_OK(tx_options_parse(&set, 1, y, "test", NULL));
    tx_yaml_free(y);
    return o->run(config, m, v, TX_TEST, n, tx_rng_root(seed), NULL, NULL, e);
}

/* log N(x; c, a^2 + s^2) */
static double real_truth(const real x[])
{
    double sum = 0;
    for (int j = 0; j < REALS; j++) sum += log_normal((double)x[j], centre[j], pow(gain[j], 2) + pow(spread[j], 2));
    return sum;
}

/* ---- tests ---- */

/* The noise of draw j of a row is values j .. of the row's own stream: naive weights from it, at sizes where a pass
 * holds many rows, a part of one, and the end of one with the beginning of the next. */
static void test_definition(void)
{
    static const struct {
        size_t k, repeats, n;
    } size[] = {{1, 2, ROWS}, {7, 1, ROWS}, {7, 3, 31}, {333, 5, 3}, {1301, 1, 3}, {2001, 2, 2}};
    tx_estimate e;
    for (size_t c = 0; c < TX_LEN(size); c++) {
        char text[80];
        size_t k = size[c].k, repeats = size[c].repeats;
        snprintf(text, sizeof text, "{n_importance: %zu, n_repeat: %zu}", k, repeats);
        CHECK_OK(run(&bit_view, of_bits, text, size[c].n, 31, &e));
        CHECK_INT(e.n, size[c].n);
        CHECK_NEAR(e.model_evaluations, k * repeats * e.n, 0);
        real *noise = tx_alloc(k * repeats, sizeof *noise);
        for (size_t i = 0; i < e.n; i++) {
            const real *x = bit_rows + i * BITS;
            tx_rng_normal(tx_rng_fold(tx_rng_named(tx_rng_root(31), "iwae"), i), 0, k * repeats, noise);
            double mean = 0, mu = mean_of_bits(x), deviation = exp(encoder_lv / 2);
            for (size_t r = 0; r < repeats; r++) {
                double sum = 0;
                for (size_t j = r * k; j < (r + 1) * k; j++) {
                    double z = mu + deviation * (double)noise[j];
                    sum += exp(bits_given(x, z) + log_normal(z, 0, 1) - log_normal(z, mu, exp(encoder_lv)));
                }
                mean += log(sum / (double)k) / (double)repeats;
            }
            CHECK_NEAR(e.log_likelihood[i], mean, 1e-5 * fmax(1, fabs(mean)));
        }
        free(noise);
        tx_estimate_free(&e);
    }
}

static void test_exact_posterior(void)
{
    static const char *const settings[] = {"{n_importance: 3}", "{n_importance: 1, n_repeat: 2}",
                                           "{n_importance: 1007}"};
    real x[ROWS * REALS];
    double jacobian[ROWS];
    tx_estimate e;
    shift = widen = 0;
    const tx_view *const views[] = {&real_view, &scaled, &logit};
    for (size_t c = 0; c < TX_LEN(settings); c++)
        for (size_t k = 0; k < TX_LEN(views); k++) {
            double sum = 0;
            tx_view_range(views[k], TX_TEST, 0, ROWS, x, jacobian);
            CHECK_OK(run(views[k], k ? of_scaled : of_reals, settings[c], 21, 2, &e));
            for (size_t i = 0; i < e.n; i++) {
                double truth = real_truth(x + i * REALS) + jacobian[i];
                CHECK_NEAR(e.log_likelihood[i], truth, 5e-5 * fmax(1, fabs(truth)));
                CHECK_NEAR(e.std_error[i], 0, 5e-5);
                sum += jacobian[i];
            }
            const json_t *mean = json_object_get(e.settings, "mean_log_jacobian");
            if (k)
                CHECK_NEAR(json_number_value(mean), sum / (double)e.n, 1e-9);
            else
                CHECK_TRUE(!mean && isnan(e.bits_per_dim));
            tx_estimate_free(&e);
        }
    CHECK_TRUE(fabs(jacobian[0] - jacobian[1]) > 0.3);
}

/* k = 1: the expectation is log p(x) - KL(q || posterior), with KL of two normals. */
static void test_one_weight(void)
{
    real x[ROWS * REALS];
    tx_estimate e;
    shift = 0.385, widen = 0.4;
    double gap = REALS * 0.5 * (exp(widen) + shift * shift - 1 - widen), expected = 0, inside = 0;
    tx_view_range(&real_view, TX_TEST, 0, ROWS, x, NULL);
    CHECK_OK(run(&real_view, of_reals, "{n_importance: 1, n_repeat: 400}", 0, 3, &e));
    for (size_t i = 0; i < ROWS; i++) {
        double truth = real_truth(x + i * REALS) - gap;
        inside += fabs(e.log_likelihood[i] - truth) < 5 * e.std_error[i];
        expected += truth / ROWS;
    }
    CHECK_NEAR(inside, ROWS, 1);
    CHECK_NEAR(e.mean, expected, 5 * e.mc_error);
    CHECK_TRUE(5 * e.mc_error < 0.1 * gap);
    CHECK_INT(e.kind, TX_LOWER_BOUND);
    CHECK_TRUE(e.stochastic);
    tx_estimate_free(&e);
}

/* The same 256 draws in bounds of 1, 4, 16, 64, 256: the logarithm is concave. */
static void test_rises(void)
{
    double before[ROWS], mean = -INFINITY;
    for (size_t i = 0; i < ROWS; i++) before[i] = -INFINITY;
    for (int k = 1; k <= 256; k *= 4) {
        char text[80];
        tx_estimate e;
        snprintf(text, sizeof text, "{n_importance: %d, n_repeat: %d}", k, 256 / k);
        CHECK_OK(run(&bit_view, of_bits, text, 0, 4, &e));
        for (size_t i = 0; i < ROWS; i++) {
            CHECK_TRUE(e.log_likelihood[i] > before[i] - 1e-12);
            before[i] = e.log_likelihood[i];
        }
        CHECK_TRUE(e.mean > mean + 1e-4);
        mean = e.mean;
        tx_estimate_free(&e);
    }
}

static void check_quadrature(tx_model *m, const char *settings, bool logistic)
{
    enum { N = 40 };
    tx_estimate e;
    double expected = 0;
    CHECK_OK(run(&bit_view, m, settings, N, 6, &e));
    for (size_t i = 0; i < N; i++) {
        double truth = marginal(bit_rows + i * BITS, logistic);
        CHECK_TRUE(e.std_error[i] > 0 && e.std_error[i] < 0.03);
        CHECK_NEAR(e.log_likelihood[i], truth, 5 * e.std_error[i]);
        expected += truth / N;
    }
    CHECK_NEAR(e.mean, expected, 5 * e.mc_error);
    CHECK_TRUE(e.mc_error < 0.003);
    tx_estimate_free(&e);
}

static void test_quadrature(void)
{
    check_quadrature(of_bits, "{n_importance: 6001}", false);
    check_quadrature(of_bits, "{n_importance: 6001, proposal: prior}", false);
    check_quadrature(of_bits, "{n_importance: 997, n_repeat: 7, proposal: encoder}", false);
    check_quadrature(of_generator, "{n_importance: 6001}", true);
}

/* What is stated is what repeats show: by the jackknife, and by the spread of bounds. */
static void test_errors(void)
{
    static const char *const settings[] = {"{n_importance: 40}", "{n_importance: 10, n_repeat: 2}"};
    enum { REPEATS = 200, N = 7 };
    for (size_t c = 0; c < TX_LEN(settings); c++) {
        double mean = 0, square = 0, stated = 0, row_mean = 0, row_square = 0, row_stated = 0;
        for (uint64_t k = 0; k < REPEATS; k++) {
            tx_estimate e;
            CHECK_OK(run(&bit_view, of_bits, settings[c], N, 1000 + k, &e));
            mean += e.mean / REPEATS, square += e.mean * e.mean / REPEATS, stated += pow(e.mc_error, 2) / REPEATS;
            row_mean += e.log_likelihood[3] / REPEATS, row_square += pow(e.log_likelihood[3], 2) / REPEATS;
            row_stated += pow(e.std_error[3], 2) / REPEATS;
            tx_estimate_free(&e);
        }
        CHECK_NEAR(sqrt(stated / (square - mean * mean)), 1, 0.25);
        CHECK_NEAR(sqrt(row_stated / (row_square - row_mean * row_mean)), 1, 0.25);
    }
}

static double last_share;
static void note_share(void *ctx, double share)
{
    ++*(int *)ctx;
    CHECK_TRUE(share > last_share && share <= 1 + 1e-12);
    last_share = share;
}

static void test_what_is_told(void)
{
    tx_estimate e;
    int told = 0, config[] = {50, 1, 0};
    last_share = 0, posterior_calls = 0;
    CHECK_OK(
        tx_estimator_find("iwae")->run(config, of_bits, &bit_view, TX_TEST, 0, tx_rng_root(1), note_share, &told, &e));
    CHECK_TRUE(told > 2);
    CHECK_NEAR(last_share, 1, 1e-12);
    CHECK_INT(posterior_calls, ROWS); /* once a row, not once a weight */
    CHECK_TEXT(e.evaluated_model, "model");
    CHECK_TEXT(json_string_value(json_object_get(e.settings, "proposal")), "encoder");
    CHECK_INT(json_integer_value(json_object_get(e.settings, "n_importance")), 50);
    tx_estimate_free(&e);
    CHECK_OK(run(&bit_view, of_generator, "{n_importance: 50}", 3, 1, &e));
    CHECK_HAS(e.evaluated_model, "G(z)");
    CHECK_TEXT(json_string_value(json_object_get(e.settings, "proposal")), "prior");
    tx_estimate_free(&e);
}

static void test_refused(void)
{
    const tx_estimator_ops *o = tx_estimator_find("iwae");
    tx_estimate e = {0};
    tx_view grey = bit_view;
    grey.space.levels = 7;
    CHECK_INT(run(&bit_view, of_bits, "{n_importance: 1}", 2, 1, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "raise n_importance, or n_repeat");
    CHECK_INT(run(&bit_view, of_generator, "{proposal: encoder}", 2, 1, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "generator has none");
    CHECK_TRUE(!o->unfit(&bits, &bit_view) && !o->unfit(&generator, &bit_view) && !o->unfit(&reals, &real_view));
    CHECK_HAS(o->unfit(&generator, &real_view), "ais and parzen");
    CHECK_HAS(o->unfit(&generator, &grey), "more than two levels");
    CHECK_HAS(o->unfit(registered("made"), &bit_view), "no latent variables");
}

static void test_not_finite(void)
{
    tx_model *m;
    tx_estimate e = {0};
    size_t bad = 0;
    char says[80];
    while (bit_rows[bad * BITS] + bit_rows[bad * BITS + 1] + bit_rows[bad * BITS + 2] != 3) bad++;
    snprintf(says, sizeof says, "test row %zu is nan", bad);
    CHECK_OK(tx_model_new(&m, &broken, NULL, &bit_view.space, 1));
    CHECK_INT(run(&bit_view, m, "{n_importance: 11}", 0, 1, &e), TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), says);
    tx_model_free(m);
}

static void test_threads(void)
{
    tx_dataset wide = {.name = "wide", .type = TX_BINARY, .levels = 2, .dim = 300};
    tx_view v;
    tx_model *m;
    tx_estimate e[3];
    const tx_model_ops *vae = registered("vae");
    unsigned char config[4096];
    for (int s = 0; s < TX_N_SPLIT; s++) {
        uint8_t *level = tx_alloc(9 * wide.dim, 1);
        for (size_t i = 0; i < 9 * wide.dim; i++) level[i] = tx_rng_uniform1(tx_rng_root(7), i) < 0.3;
        wide.split[s].n = 9, wide.split[s].level = level, wide.memory[s] = level;
    }
    open_view(&v, &wide, "raw");
    CHECK_TRUE(vae->config_size <= sizeof config);
    tx_options_defaults(vae->options, config);
    CHECK_OK(tx_model_new(&m, vae, config, &v.space, 1));
    for (int k = 0; k < 3; k++) {
        tx_threads_set(1 << k);
        CHECK_OK(run(&v, m, "{n_importance: 701}", 0, 8, &e[k]));
        CHECK_TRUE(memcmp(e[k].log_likelihood, e[0].log_likelihood, 9 * sizeof(double)) == 0);
        CHECK_TRUE(memcmp(e[k].std_error, e[0].std_error, 9 * sizeof(double)) == 0);
    }
    tx_threads_set(1);
    for (int k = 0; k < 3; k++) tx_estimate_free(&e[k]);
    tx_model_free(m), tx_view_close(&v), tx_dataset_close(&wide);
}

static void finish(void)
{
    tx_model_free(of_bits), tx_model_free(of_generator), tx_model_free(of_reals), tx_model_free(of_scaled);
    tx_view_close(&bit_view), tx_view_close(&real_view), tx_view_close(&scaled), tx_view_close(&logit);
    tx_dataset_close(&bit_data), tx_dataset_close(&real_data), tx_dataset_close(&level_data);
}

int main(void)
{
    static const tx_test tests[] = {
        {"set up", start},
        {"the definition, wherever passes begin", test_definition},
        {"an exact posterior gives log p(x), in the data's unit", test_exact_posterior},
        {"one weight is the evidence lower bound", test_one_weight},
        {"rises with k", test_rises},
        {"the marginal by quadrature", test_quadrature},
        {"errors are those of repeats", test_errors},
        {"what is told", test_what_is_told},
        {"what is refused", test_refused},
        {"what is not finite", test_not_finite},
        {"the same bits for every thread count", test_threads},
        {"clean up", finish},
    };
    return tx_run_tests("iwae", tests, (int)TX_LEN(tests));
}
