/* Estimators against truths: a toy model of known density defined here, brute-force sums, and repeats. */
#include <stdlib.h>
#include "common/data/measure.h"
#include "common/likelihood/estimator.h"
#include "common/likelihood/pass.h"
#include "common/likelihood/weights.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

/* A 3-D standard normal stretched by 1.5 and moved by 0.3, with log_prob, an ELBO below it by a known noisy gap, and
 * exact samples. */
enum { DIM = 3 };
static const double centre = 0.3, spread = 1.5, gap = 0.75, noise = 0.4;

static void build(tx_model *m)
{
    m->net[0] = tx_params_new("toy"), m->n_net = 1;
    tx_params_add(m->net[0], "unused", tx_shape2(1, 1), (tx_init){TX_INIT_CONSTANT, 0});
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    (void)m;
    tx_var z = tx_affine(t, x, (real)(1 / spread), (real)(-centre / spread));
    return tx_affine(t, tx_sum_rows(t, tx_mul(t, z, z)), (real)-0.5,
                     (real)(-DIM * (log(spread) + 0.5 * log(2 * M_PI))));
}

static tx_var elbo(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var x)
{
    size_t n = tx_rows(x->v);
    tx_tensor e = tx_tape_tensor(t, n, 1);
    tx_rng_normal(r, first, n, e.x);
    return tx_add(t, log_prob(m, t, x), tx_affine(t, tx_leaf(t, e), (real)noise, (real)-gap));
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    (void)m, (void)t;
    tx_rng_normal(r, first * DIM, tx_len(x), x.x);
    for (size_t i = 0; i < tx_len(x); i++) x.x[i] = (real)(centre + spread * (double)x.x[i]);
}

static const tx_option none[] = {{0}};
static const tx_model_ops known = {.name = "known",
                                   .summary = "s",
                                   .taxonomy_path = "test",
                                   .spaces = TX_ON_REAL,
                                   .options = none,
                                   .build = build,
                                   .log_prob = log_prob,
                                   .elbo = elbo,
                                   .sample = sample};
static const tx_model_ops generator = {.name = "generator",
                                       .summary = "s",
                                       .taxonomy_path = "test",
                                       .spaces = TX_ON_REAL,
                                       .options = none,
                                       .build = build,
                                       .sample = sample};

static void sample_nan(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    sample(m, t, r, first, x);
    if (first == 200) x.x[7] = NAN;
}

static tx_var impossible(tx_model *m, tx_tape *t, tx_var x) { return tx_affine(t, log_prob(m, t, x), 1, -INFINITY); }

static tx_var impossible_elbo(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var x)
{
    return tx_affine(t, elbo(m, t, r, first, x), 1, -INFINITY);
}

static const tx_model_ops broken = {.name = "broken",
                                    .summary = "s",
                                    .taxonomy_path = "test",
                                    .spaces = TX_ON_REAL,
                                    .options = none,
                                    .build = build,
                                    .log_prob = impossible,
                                    .elbo = impossible_elbo,
                                    .sample = sample_nan};

/* No number for one row of the second pass, which is not its first. */
static int n_pass;
static tx_var hole(tx_model *m, tx_tape *t, tx_var x)
{
    bool second = n_pass++ == 1;
    tx_tensor e = tx_tape_tensor(t, tx_rows(x->v), 1);
    for (size_t i = 0; i < tx_len(e); i++) e.x[i] = second && i == 73 ? (real)NAN : 0;
    return tx_add(t, log_prob(m, t, x), tx_leaf(t, e));
}

static const tx_model_ops holed = {.name = "holed",
                                   .summary = "s",
                                   .taxonomy_path = "test",
                                   .spaces = TX_ON_REAL,
                                   .options = none,
                                   .build = build,
                                   .log_prob = hole,
                                   .sample = sample};

/* Uniform on [0,1]^D as the view `shown` gives it: by the change of variables, its density there is |dx/dy|. */
static const tx_view *shown;
static const double *deviations(void) { return shown->moment + 3 * shown->space.dim; }
static bool is_logit(void) { return strcmp(shown->ops->name, "logit") == 0; }

static tx_var flat_log_prob(tx_model *m, tx_tape *t, tx_var y)
{
    (void)m;
    double constant = 0;
    for (int j = 0; j < DIM; j++) constant += is_logit() ? -log1p(-2 * shown->lambda) : log(deviations()[j]);
    tx_var each = is_logit() ? tx_logistic_logp(t, y) : tx_sum_rows(t, tx_scale(t, y, 0));
    return tx_affine(t, each, 1, (real)constant);
}

static void flat_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor y)
{
    (void)m, (void)t;
    tx_rng_uniform(r, first * DIM, tx_len(y), y.x);
    for (size_t i = 0; i < tx_len(y); i++) {
        double x = (double)y.x[i], a = shown->lambda + (1 - 2 * shown->lambda) * x;
        y.x[i] = (real)(is_logit() ? log(a / (1 - a)) : (x - shown->moment[2 * DIM + i % DIM]) / deviations()[i % DIM]);
    }
}

static const tx_model_ops flat = {.name = "flat",
                                  .summary = "s",
                                  .taxonomy_path = "test",
                                  .spaces = TX_ON_REAL,
                                  .options = none,
                                  .build = build,
                                  .log_prob = flat_log_prob,
                                  .sample = flat_sample};
const tx_model_ops *const tx_model_list[] = {&known, &generator, &broken, &holed, &flat, NULL};

enum { N = 400 };
static tx_dataset data;
static tx_view view;
static tx_model *model, *implicit;

static void start(void)
{
    data = (tx_dataset){.type = TX_REAL, .dim = DIM};
    tx_copy_text(data.name, sizeof data.name, "known");
    for (int s = 0; s < TX_N_SPLIT; s++) {
        float *v = tx_alloc(N * DIM, sizeof *v);
        for (size_t i = 0; i < N * DIM; i++)
            v[i] = (float)(centre +
                           spread * tx_rng_normal1(tx_rng_fold(tx_rng_named(tx_rng_root(3), "data"), (uint64_t)s), i));
        data.split[s].n = N, data.split[s].value = v, data.memory[s] = v;
    }
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_view_open(&view, &data, &c));
    CHECK_OK(tx_model_new(&model, &known, NULL, &view.space, 1));
    CHECK_OK(tx_model_new(&implicit, &generator, NULL, &view.space, 1));
}

static double truth(tx_split s, size_t i)
{
    double sum = -DIM * (log(spread) + 0.5 * log(2 * M_PI));
    for (int j = 0; j < DIM; j++)
        sum -= 0.5 * pow(((double)data.split[s].value[i * DIM + (size_t)j] - centre) / spread, 2);
    return sum;
}

static tx_status run_on(const tx_view *v, const char *name, tx_model *m, const char *settings, tx_split s, size_t n,
                        uint64_t seed, tx_estimate *e)
{
    const tx_estimator_ops *o = tx_estimator_find(name);
    unsigned char config[1024];
    tx_options_defaults(o->options, config);
    tx_yaml *y = NULL;
    CHECK_OK(tx_yaml_parse(settings, strlen(settings), "test", &y));
    tx_option_set set = {o->options, config};
    CHECK_OK(tx_options_parse(&set, 1, y, "test", NULL));
    tx_yaml_free(y);
    return o->run(config, m, v, s, n, tx_rng_root(seed), NULL, NULL, e);
}

static tx_status run(const char *name, tx_model *m, const char *settings, tx_split s, size_t n, uint64_t seed,
                     tx_estimate *e)
{
    return run_on(&view, name, m, settings, s, n, seed, e);
}

static void test_exact(void)
{
    tx_estimate e;
    CHECK_OK(run("exact", model, "{}", TX_TEST, 0, 1, &e));
    CHECK_INT(e.n, N);
    CHECK_INT(e.kind, TX_EXACT);
    CHECK_TRUE(!e.stochastic && !e.std_error && e.measure == TX_LEBESGUE);
    double mean = 0, square = 0;
    for (size_t i = 0; i < N; i++) {
        CHECK_NEAR(e.log_likelihood[i], truth(TX_TEST, i), 1e-5 * fabs(truth(TX_TEST, i)));
        mean += e.log_likelihood[i] / N;
    }
    for (size_t i = 0; i < N; i++) square += pow(e.log_likelihood[i] - mean, 2);
    CHECK_NEAR(e.mean, mean, 1e-12);
    CHECK_NEAR(e.mean_error, sqrt(square / (N - 1) / N), 1e-12);
    CHECK_NEAR(e.mc_error, 0, 0);
    CHECK_TRUE(isnan(e.bits_per_dim)); /* real data that are not dequantised levels have none */
    tx_estimate_free(&e);
    CHECK_OK(run("exact", model, "{}", TX_VALID, 37, 1, &e));
    CHECK_INT(e.n, 37);
    CHECK_NEAR(e.log_likelihood[36], truth(TX_VALID, 36), 1e-4);
    tx_estimate_free(&e);
}

static void test_elbo(void)
{
    tx_estimate e;
    double inside = 0;
    CHECK_OK(run("elbo", model, "{n_repeat: 25}", TX_TEST, 0, 1, &e));
    CHECK_INT(e.kind, TX_LOWER_BOUND);
    CHECK_TRUE(e.stochastic);
    for (size_t i = 0; i < N; i++) {
        inside += fabs(e.log_likelihood[i] - (truth(TX_TEST, i) - gap)) < 5 * noise / 5;
        CHECK_TRUE(e.std_error[i] > 0.4 * noise / 5 && e.std_error[i] < 2 * noise / 5);
    }
    CHECK_NEAR(inside, N, 1);
    CHECK_NEAR(e.mc_error, noise / sqrt(25.0 * N), 0.1 * noise / sqrt(25.0 * N));
    CHECK_NEAR(e.model_evaluations, 25.0 * N, 0);
    tx_estimate_free(&e);
    int covered = 0; /* mean +- 1.96 mc_error covers the expectation in 95 % of repeats: 200 repeats, 90-99 % */
    double expected = 0;
    for (size_t i = 0; i < N; i++) expected += (truth(TX_TEST, i) - gap) / N;
    for (uint64_t k = 0; k < 200; k++) {
        CHECK_OK(run("elbo", model, "{n_repeat: 8}", TX_TEST, 0, 100 + k, &e));
        covered += fabs(e.mean - expected) <= 1.96 * e.mc_error;
        tx_estimate_free(&e);
    }
    CHECK_TRUE(covered >= 180 && covered <= 198);
}

/* log mean_j N(x; s_j, sigma^2 I) by the definition, in double. */
static double naive_parzen(const real *x, const real *s, size_t n, double sigma)
{
    double largest = -INFINITY, sum = 0, *a = tx_alloc(n, sizeof *a);
    for (size_t j = 0; j < n; j++) {
        for (int k = 0; k < DIM; k++) a[j] -= 0.5 * pow(((double)x[k] - (double)s[j * DIM + (size_t)k]) / sigma, 2);
        largest = fmax(largest, a[j]);
    }
    for (size_t j = 0; j < n; j++) sum += exp(a[j] - largest);
    free(a);
    return largest + log(sum) - log((double)n) - DIM * (log(sigma) + 0.5 * log(2 * M_PI));
}

static void row_of(tx_split s, size_t i, real row[])
{
    for (int j = 0; j < DIM; j++) row[j] = (real)data.split[s].value[i * DIM + (size_t)j];
}

/* The first-order errors of rows and of their mean, from responsibilities r_ij = N(x_i; s_j) / sum_k N(x_i; s_k). */
static void check_parzen_errors(const tx_estimate *e, const real *s, size_t n, double sigma)
{
    double *influence = tx_alloc(n, sizeof *influence), mean = (double)N / (double)n, sum = 0;
    for (size_t i = 0; i < N; i++) {
        real row[DIM];
        row_of(TX_TEST, i, row);
        double square = 0, whole = naive_parzen(row, s, n, sigma) + log((double)n);
        for (size_t j = 0; j < n; j++) {
            double r = exp(naive_parzen(row, s + j * DIM, 1, sigma) - whole);
            influence[j] += r;
            square += r * r;
        }
        CHECK_NEAR(e->std_error[i], sqrt((double)n / (double)(n - 1) * (square - 1 / (double)n)),
                   2e-4 * e->std_error[i] + 1e-6);
    }
    for (size_t j = 0; j < n; j++) sum += pow(influence[j] - mean, 2);
    CHECK_NEAR(e->mc_error, sqrt(sum / (double)(n - 1) / (double)n) * (double)n / N, 2e-4 * e->mc_error);
    free(influence);
}

static void test_parzen(void)
{
    enum { SAMPLES = 1500 };
    tx_estimate e;
    const char *settings = "{n_sample: 1500, sigma_min: 0.1, sigma_max: 2, n_sigma: 9, n_valid: 150}";
    CHECK_OK(run("parzen", model, settings, TX_TEST, 0, 7, &e));
    CHECK_INT(e.kind, TX_ESTIMATE);
    real *s = tx_alloc(SAMPLES * DIM, sizeof *s);
    tx_tape *t = tx_tape_new(0);
    tx_model_sample(model, t, tx_rng_named(tx_rng_root(7), "parzen"), 0, SAMPLES, false, s);
    double best = -INFINITY, chosen = 0;
    for (int k = 0; k < 9; k++) { /* the bandwidth is the best of the grid on the first 150 rows of valid */
        double sigma = 0.1 * pow(20, k / 8.0), sum = 0;
        for (size_t i = 0; i < 150; i++) {
            real row[DIM];
            row_of(TX_VALID, i, row);
            sum += naive_parzen(row, s, SAMPLES, sigma);
        }
        if (sum > best) best = sum, chosen = sigma;
    }
    CHECK_NEAR(json_real_value(json_object_get(e.settings, "sigma")), chosen, 1e-12);
    CHECK_TRUE(chosen > 0.1 && chosen < 2);
    for (size_t i = 0; i < N; i++) {
        real row[DIM];
        row_of(TX_TEST, i, row);
        CHECK_NEAR(e.log_likelihood[i], naive_parzen(row, s, SAMPLES, chosen), 2e-4);
    }
    check_parzen_errors(&e, s, SAMPLES, chosen);
    for (int threads = 2; threads <= 4; threads += 2) {
        tx_estimate more;
        tx_threads_set(threads);
        CHECK_OK(run("parzen", model, settings, TX_TEST, 0, 7, &more));
        tx_threads_set(1);
        CHECK_TRUE(memcmp(e.log_likelihood, more.log_likelihood, N * sizeof(double)) == 0);
        CHECK_TRUE(memcmp(e.std_error, more.std_error, N * sizeof(double)) == 0);
        CHECK_NEAR(e.mc_error, more.mc_error, 0);
        tx_estimate_free(&more);
    }
    CHECK_HAS(e.evaluated_model, "sample + N(0, ");
    CHECK_TRUE(!strstr(e.evaluated_model, "edge"));
    tx_estimate_free(&e);
    CHECK_OK(run("parzen", model, "{n_sample: 200, sigma_min: 5, sigma_max: 9, n_sigma: 3, n_valid: 50}", TX_TEST, 40,
                 7, &e));
    CHECK_TEXT(e.evaluated_model, "sample + N(0, 5^2 I) (at the edge of the bandwidths tried)");
    tx_estimate_free(&e);
    free(s), tx_tape_free(t);
}

/* It is biased, by the divergence of the smoothed density from the true one: N(c, s^2 + sigma^2) against N(c, s^2). */
static int told;
static double share_told, first_told;
static void hear(void *ctx, double share)
{
    CHECK_TRUE(ctx == &told && share > share_told && share <= 1);
    share_told = share;
    if (told++ == 0) first_told = share;
}

static void check_progress(const char *name, const char *settings, size_t n, int times, double first)
{
    tx_estimate e;
    const tx_estimator_ops *o = tx_estimator_find(name);
    void *config = tx_alloc(1, o->config_size + 1);
    CHECK_OK(tx_test_options(o->options, config, settings));
    told = 0, share_told = 0, first_told = 0;
    double start = tx_now();
    CHECK_OK(o->run(config, model, &view, TX_TEST, n, tx_rng_root(7), hear, &told, &e));
    double seconds = tx_now() - start;
    CHECK_INT(told, times);
    CHECK_NEAR(first_told, first, 1e-15);
    CHECK_NEAR(share_told, 1, 1e-15);
    CHECK_TRUE(e.seconds > 0 && e.seconds <= seconds);
    tx_estimate_free(&e);
    free(config);
}

/* A progress that is told may end the process: while samples are drawn and while the bandwidth is chosen, too. */
static void test_progress(void)
{
    check_progress("parzen", "{n_sample: 1234, n_valid: 150}", 99, 7 + 1 + 1, 200.0 / (1234 + 150 + 99));
    check_progress("exact", "{}", 0, 2, 200.0 / N);
    check_progress("elbo", "{n_repeat: 4}", 250, 8, 200.0 / 250 / 4);
}

/* A few samples far from the data, one so far that its square is no float, take nothing from the others. */
static void sample_wild(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    sample(m, t, r, first, x);
    for (size_t i = 0; i < tx_rows(x); i++)
        if ((first + i) % 100 < 2) x.x[i * DIM] = (real)((first + i) % 100 == 1 ? 3e38 : -1e13);
}
static void test_parzen_wild(void)
{
    enum { SAMPLES = 1500 };
    tx_model_ops ops = generator;
    tx_model *m = NULL;
    tx_estimate e;
    ops.sample = sample_wild;
    CHECK_OK(tx_model_new(&m, &ops, NULL, &view.space, 0));
    CHECK_OK(run("parzen", m, "{n_sample: 1500, sigma_min: 0.5, sigma_max: 0.5, n_sigma: 1, n_valid: 50}", TX_TEST, 0,
                 7, &e));
    real *s = tx_alloc(SAMPLES * DIM, sizeof *s);
    tx_tape *t = tx_tape_new(0);
    tx_model_sample(m, t, tx_rng_named(tx_rng_root(7), "parzen"), 0, SAMPLES, false, s);
    for (size_t i = 0; i < N; i++) {
        real row[DIM];
        row_of(TX_TEST, i, row);
        CHECK_NEAR(e.log_likelihood[i], naive_parzen(row, s, SAMPLES, 0.5), 2e-4);
    }
    tx_estimate_free(&e);
    free(s), tx_tape_free(t), tx_model_free(m);
}

static void test_parzen_bias(void)
{
    tx_estimate e;
    double bias = 0, ratio = 1 + 4 / (spread * spread);
    CHECK_OK(run("parzen", model, "{n_sample: 20000, sigma_min: 2, sigma_max: 2, n_sigma: 1}", TX_TEST, 0, 7, &e));
    for (size_t i = 0; i < N; i++) bias += (e.log_likelihood[i] - truth(TX_TEST, i)) / N;
    CHECK_NEAR(bias, -0.5 * DIM * (log(ratio) + 1 / ratio - 1), 0.12);
    tx_estimate_free(&e);
}

/* The stated error of the mean is that of repeats with other samples, at a fixed bandwidth. */
static void test_parzen_error(void)
{
    enum { REPEATS = 60 };
    const char *settings = "{n_sample: 800, sigma_min: 0.5, sigma_max: 0.5, n_sigma: 1, n_valid: 10}";
    double mean = 0, square = 0, stated = 0, row_mean = 0, row_square = 0, row_stated = 0;
    for (int k = 0; k < REPEATS; k++) {
        tx_estimate e;
        CHECK_OK(run("parzen", implicit, settings, TX_TEST, 0, 1000 + (uint64_t)k, &e));
        mean += e.mean / REPEATS, square += e.mean * e.mean / REPEATS, stated += e.mc_error / REPEATS;
        row_mean += e.log_likelihood[5] / REPEATS, row_square += pow(e.log_likelihood[5], 2) / REPEATS,
            row_stated += e.std_error[5] / REPEATS;
        CHECK_HAS(e.evaluated_model, "sample + N(0, 0.5^2 I)");
        tx_estimate_free(&e);
    }
    double seen = sqrt(square - mean * mean), row_seen = sqrt(row_square - row_mean * row_mean);
    CHECK_NEAR(stated / seen, 1, 0.3);
    CHECK_NEAR(row_stated / row_seen, 1, 0.4);
}

/* All samples of this model have one mean, so that a kernel there is a normal. */
static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    (void)m, (void)t, (void)r, (void)first;
    for (size_t i = 0; i < tx_len(x); i++) x.x[i] = (real)centre;
}

static void test_parzen_means(void)
{
    tx_model_ops ops = generator;
    tx_model *m;
    tx_estimate e;
    const char *settings = "{n_sample: 300, sigma_min: 0.7, sigma_max: 0.7, n_sigma: 1, n_valid: 10, kernel_at: mean}";
    CHECK_INT(run("parzen", implicit, settings, TX_TEST, 0, 3, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "no expected values");
    ops.sample_mean = sample_mean;
    CHECK_OK(tx_model_new(&m, &ops, NULL, &view.space, 0));
    CHECK_OK(run("parzen", m, settings, TX_TEST, 0, 3, &e));
    for (size_t i = 0; i < e.n; i++) {
        real x[DIM];
        double want = -DIM * (log(0.7) + 0.5 * log(2 * M_PI));
        tx_view_range(&view, TX_TEST, i, 1, x, NULL);
        for (int j = 0; j < DIM; j++) want -= 0.5 * pow(((double)x[j] - centre) / 0.7, 2);
        CHECK_NEAR(e.log_likelihood[i], want, 1e-4 * (1 + fabs(want)));
    }
    tx_estimate_free(&e), tx_model_free(m);
}

static void test_applicability(void)
{
    tx_view counting = view;
    counting.space.measure = TX_COUNTING;
    CHECK_TRUE(!tx_estimator_find("exact")->unfit(&known, &view));
    CHECK_TRUE(tx_estimator_find("exact")->unfit(&generator, &view) != NULL);
    CHECK_TRUE(tx_estimator_find("elbo")->unfit(&generator, &view) != NULL);
    CHECK_TRUE(!tx_estimator_find("parzen")->unfit(&generator, &view));
    CHECK_TRUE(tx_estimator_find("parzen")->unfit(&generator, &counting) != NULL);
    CHECK_TRUE(tx_estimator_find("nothing") == NULL);
    tx_estimate e;
    CHECK_INT(run("parzen", model, "{sigma_min: 2, sigma_max: 1}", TX_TEST, 0, 1, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "sigma_max 1 is less than sigma_min 2");
}

/* What is not finite is refused: a clipped distance of NaN would be the best of all, and averages hide the row. */
static void test_not_finite(void)
{
    static const char *const name[] = {"exact", "elbo", "parzen"};
    static const char *const says[] = {"test row 0 is -inf", "test row 0 is -inf", "samples are not all finite"};
    tx_model *m;
    CHECK_OK(tx_model_new(&m, &broken, NULL, &view.space, 1));
    for (size_t i = 0; i < TX_LEN(name); i++) {
        tx_estimate e = {0};
        CHECK_INT(run(name[i], m, "{}", TX_TEST, 0, 1, &e), TX_EDIVERGED);
        CHECK_HAS(tx_last_error(), says[i]);
        tx_estimate_free(&e);
    }
    tx_model_free(m);
    double value[N];
    CHECK_OK(tx_model_new(&m, &holed, NULL, &view.space, 1));
    CHECK_INT(tx_score_rows(m, &view, TX_TEST, N, TX_SCORE_LOG_PROB, tx_rng_root(1), NULL, NULL, value, NULL),
              TX_EDIVERGED);
    CHECK_TRUE(strncmp(tx_last_error(), "the log-likelihood of test row 273", 34) == 0);
    tx_model_free(m);
}

/* Rows as [0,1] data against the model's samples as such: no number depends on the view's own unit. */
static void check_units(const tx_view *v, tx_model *m)
{
    enum { SAMPLES = 300 };
    tx_estimate e;
    real *s = tx_alloc(SAMPLES * DIM, sizeof *s), *x = tx_alloc(N * DIM, sizeof *x);
    CHECK_OK(run_on(v, "exact", m, "{}", TX_TEST, 0, 1, &e));
    for (size_t i = 0; i < N; i++) CHECK_NEAR(e.log_likelihood[i], 0, 2e-4);
    CHECK_NEAR(e.bits_per_dim, 8, 1e-4);
    tx_estimate_free(&e);
    CHECK_OK(run_on(v, "parzen", m, "{n_sample: 300, sigma_min: 0.1, sigma_max: 0.1, n_sigma: 1}", TX_TEST, 0, 3, &e));
    tx_rng_uniform(tx_rng_named(tx_rng_root(3), "parzen"), 0, SAMPLES * DIM, s);
    tx_view_range(v, TX_TEST, 0, N, x, NULL);
    v->ops->invert(v, N, x, x);
    for (size_t i = 0; i < N; i++) CHECK_NEAR(e.log_likelihood[i], naive_parzen(x + i * DIM, s, SAMPLES, 0.1), 1e-3);
    tx_estimate_free(&e);
    free(s), free(x);
}

static void test_units(void)
{
    static const char *const name[] = {"logit", "standardised"};
    tx_dataset grey = {.name = "grey", .type = TX_LEVELS, .levels = 256, .dim = DIM};
    for (int s = 0; s < TX_N_SPLIT; s++) {
        uint8_t *level = tx_alloc(N * DIM, 1);
        for (size_t i = 0; i < N * DIM; i++)
            level[i] = (uint8_t)(256 * tx_rng_uniform1(tx_rng_fold(tx_rng_root(4), (uint64_t)s), i));
        grey.split[s].n = N, grey.split[s].level = level, grey.memory[s] = level;
    }
    for (size_t k = 0; k < TX_LEN(name); k++) {
        tx_view_config c = {.lambda = 0.01};
        tx_view v;
        tx_model *m;
        while (strcmp(tx_view_list[c.view]->name, name[k]) != 0) c.view++;
        CHECK_OK(tx_view_open(&v, &grey, &c));
        shown = &v;
        CHECK_OK(tx_model_new(&m, &flat, NULL, &v.space, 1));
        check_units(&v, m);
        tx_model_free(m);
        tx_view_close(&v);
    }
    tx_dataset_close(&grey);
}

static void test_kinds(void)
{
    for (int k = 0; k < TX_N_KIND; k++) {
        tx_kind back;
        CHECK_TRUE(tx_kind_of_name(tx_kind_name((tx_kind)k), &back) && (int)back == k);
    }
    CHECK_TEXT(tx_kind_sign(TX_LOWER_BOUND), ">=");
    CHECK_TEXT(tx_kind_sign(TX_UPPER_BOUND), "<=");
    tx_kind k;
    CHECK_TRUE(!tx_kind_of_name("guess", &k));
}

/* By the definition, the jackknife by leaving each out in turn; in long double, less a shift that keeps it in range. */
static double naive_log_mean(size_t n, const double w[], double shift, double *error)
{
    long double all = 0, mean = 0, square = 0, *without = tx_alloc(n, sizeof *without);
    for (size_t i = 0; i < n; i++) {
        all += expl((long double)w[i] - shift);
        for (size_t j = 0; j < n; j++) without[i] += j == i ? 0 : expl((long double)w[j] - shift);
        without[i] = logl(without[i] / (long double)(n - 1));
        mean += without[i] / (long double)n;
    }
    for (size_t i = 0; i < n; i++) square += (without[i] - mean) * (without[i] - mean);
    *error = (double)sqrtl(square * (long double)(n - 1) / (long double)n);
    free(without);
    return (double)(logl(all / (long double)n) + shift);
}

static void test_log_mean_exp(void)
{
    static const size_t size[] = {2, 7, 64, 65, 1001};
    static const double at[] = {0, -2385.5, 9387.25}, width[] = {0, 0.01, 1.37, 30};
    static double w[1001];
    double error, expected, naive;
    for (size_t k = 0; k < TX_LEN(size) * TX_LEN(at) * TX_LEN(width); k++) {
        size_t n = size[k / (TX_LEN(at) * TX_LEN(width))];
        double shift = at[k / TX_LEN(width) % TX_LEN(at)], spread_of = width[k % TX_LEN(width)];
        for (size_t i = 0; i < n; i++)
            w[i] = i % 13 == 12 ? -INFINITY : shift + spread_of * tx_rng_normal1(tx_rng_root(k), i);
        naive = naive_log_mean(n, w, shift, &expected);
        CHECK_NEAR(tx_log_mean_exp(n, w, &error), naive, 1e-14 * fabs(naive) + 1e-14 * (double)n);
        CHECK_NEAR(error, expected, 1e-10 * expected + 1e-13);
        CHECK_NEAR(tx_log_mean_exp(n, w, NULL), naive, 1e-14 * fabs(naive) + 1e-14 * (double)n);
    }
    for (size_t i = 0; i < 500; i++) w[i] = 0.05 * tx_rng_normal1(tx_rng_root(9), i);
    tx_log_mean_exp(500, w, &error); /* of a mean of weights near 1: deviation / sqrt n */
    CHECK_NEAR(error, 0.05 / sqrt(500), 0.1 * 0.05 / sqrt(500));
}

static void test_log_mean_exp_limits(void)
{
    double error;
    CHECK_NEAR(tx_log_mean_exp(1, (double[]){-2385.25}, &error), -2385.25, 0);
    CHECK_TRUE(isnan(error));
    CHECK_TRUE(tx_log_mean_exp(3, (double[]){-INFINITY, -INFINITY, -INFINITY}, &error) == -INFINITY && isnan(error));
    CHECK_TRUE(tx_log_mean_exp(2, (double[]){INFINITY, 3}, &error) == INFINITY && isnan(error));
    CHECK_TRUE(isnan(tx_log_mean_exp(3, (double[]){1, NAN, INFINITY}, &error)) && isnan(error));
    CHECK_NEAR(tx_log_mean_exp(2, (double[]){-INFINITY, 7.25}, &error), 7.25 - log(2), 1e-15 * 7.25);
    CHECK_TRUE(error == INFINITY);
    /* One weight carries the sum: without it the mean is e^-2000, without another 1/2. */
    CHECK_NEAR(tx_log_mean_exp(3, (double[]){-2000, 0, -2000}, &error), -log(3), 1e-15);
    CHECK_NEAR(error, 2 * (2000 - log(2)) / 3, 1e-9);
}

static void finish(void)
{
    tx_model_free(model), tx_model_free(implicit);
    tx_view_close(&view), tx_dataset_close(&data);
}

int main(void)
{
    static const tx_test tests[] = {
        {"set up", start},
        {"exact is the model's log-likelihood", test_exact},
        {"elbo: expectation, errors, coverage", test_elbo},
        {"parzen by its definition, bandwidth from valid", test_parzen},
        {"progress is told", test_progress},
        {"parzen: samples far away", test_parzen_wild},
        {"parzen is biased by its smoothing", test_parzen_bias},
        {"parzen's errors are those of repeats", test_parzen_error},
        {"Parzen kernels at means", test_parzen_means},
        {"what applies to what", test_applicability},
        {"what is not finite", test_not_finite},
        {"the data's unit through logit and standardised", test_units},
        {"kinds and signs", test_kinds},
        {"log of a mean of weights, with its jackknife", test_log_mean_exp},
        {"weights that are not finite, or alone", test_log_mean_exp_limits},
        {"clean up", finish},
    };
    return tx_run_tests("likelihood", tests, (int)TX_LEN(tests));
}
