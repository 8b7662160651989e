/* Noise-contrastive estimation against brute force: its objective and gradient, what its constant recovers, the limits
 * of many noise samples and of noise that is the model itself, and its Markov chains. */
#include <gsl/gsl_cdf.h>
#include <stdlib.h>
#include "common/model/energy.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

extern const tx_model_ops tx_model_nce, tx_model_self_contrastive;
enum { MOST = 6, N = 5 };
static const bool is_double = sizeof(real) == sizeof(double);
static const double unbounded[] = {-INFINITY, INFINITY}, unit[] = {0, 1};
static const double means[MOST] = {0.31, 0.45, 0.62, 0.385, 0.5, 0.4};
static const double deviations[MOST] = {0.46, 0.5, 0.37, 0.41, 0.6, 0.7};

static tx_space space_of(bool bits, size_t dim)
{
    return (tx_space){.measure = bits ? TX_COUNTING : TX_LEBESGUE,
                      .levels = bits ? 2 : 0,
                      .dim = dim,
                      .lower = (bits ? unit : unbounded)[0],
                      .upper = (bits ? unit : unbounded)[1],
                      .mean = means,
                      .deviation = deviations};
}

static tx_model *model(const tx_model_ops *ops, const tx_space *space, const char *text)
{
    void *config = tx_alloc(1, ops->config_size);
    tx_model *m = NULL;
    CHECK_TRUE(tx_model_list[0] != NULL);
    CHECK_OK(tx_test_options(ops->options, config, text));
    CHECK_OK(tx_model_new(&m, ops, config, space, 3));
    free(config);
    CU_ASSERT_FATAL(m != NULL);
    return m;
}

static void shake(tx_model *m, double scale)
{
    tx_tensor block = tx_params_block(m->net[0]);
    for (int j = 0; j < tx_params_count(m->net[0]); j++) {
        tx_tensor w = tx_params_value(m->net[0], (tx_param){j});
        for (size_t i = 0; i < tx_len(w); i++)
            w.x[i] += (real)(scale * tx_rng_normal1(tx_rng_root(2385), (uint64_t)(w.x - block.x) + i));
    }
}

static tx_tensor weight(const tx_model *m, int net, const char *name)
{
    for (int j = 0; j < tx_params_count(m->net[net]); j++)
        if (strcmp(tx_params_name(m->net[net], (tx_param){j}), name) == 0)
            return tx_params_value(m->net[net], (tx_param){j});
    return (tx_tensor){0};
}

static void train_with(tx_model *m, const char *optimiser)
{
    const tx_optim_ops *o = tx_optim_find(optimiser);
    void *config = tx_alloc(1, o->config_size);
    tx_options_defaults(o->options, config);
    if (strcmp(optimiser, "sgd") == 0) memset(config, 0, o->config_size);
    tx_model_train_with(m, o, config);
    free(config);
}

static tx_metrics step(tx_model *m, tx_tape *t, tx_rng r, double rate, tx_tensor x)
{
    tx_step s = {.tape = t, .rng = r, .rate = rate};
    tx_metrics out = {0};
    CHECK_OK(tx_model_step(m, &s, x, &out));
    return out;
}

static double log_p_star(tx_model *m, tx_tape *t, size_t n, const real *x, double value[])
{
    tx_model_evaluate(m, t, TX_SCORE_UNNORMALISED, tx_rng_root(0), 0, tx_matrix((real *)x, n, m->space->dim), value);
    return value[0];
}

static double enumerated(tx_model *m, tx_tape *t)
{
    double log_z = NAN;
    tx_model_bind(m, t);
    CHECK_OK(m->ops->energy->enumerate(m, t, &log_z, tx_rng_root(0), 0, (tx_tensor){0}));
    return log_z;
}

static void states(size_t d, real x[])
{
    for (size_t i = 0; i < d << d; i++) x[i] = (real)(i / d >> i % d & 1);
}

static void rows_of(bool bits, size_t n, real x[])
{
    for (size_t i = 0; i < n; i++) {
        double u = tx_rng_uniform1(tx_rng_root(77), i);
        x[i] = (real)(bits ? u < 0.5 : 3 * u - 1);
    }
}

static const struct setting {
    const char *text;
    bool bits;
} settings[] = {{"{hidden: [4], noise_ratio: 3}", true},
                {"{hidden: [4, 3], noise_ratio: 1, noise_scale: 1.3, activation: softplus}", false},
                {"{energy: quadratic, noise_ratio: 2}", true},
                {"{energy: quadratic, noise_ratio: 4, noise_scale: 0.8}", false},
                {"{energy: ica, noise_ratio: 5}", false}};

/* ---- the objective ---- */

/* f of one row of two coordinates, written out. */
static double naive_f(const tx_model *m, const struct setting *s, const real x[2])
{
    tx_tensor b = weight(m, 0, "b"), w = weight(m, 0, "w"), scale = weight(m, 0, "log_scale");
    double e[2], sum = 0;
    for (int j = 0; j < 2; j++) e[j] = (double)x[j] - (s->bits ? 0 : (double)b.x[j]);
    for (int j = 0; s->bits && j < 2; j++) sum += (double)b.x[j] * e[j];
    if (!w.x) { /* a perceptron */
        double h[8] = {e[0] + (s->bits ? 0 : (double)b.x[0]), e[1] + (s->bits ? 0 : (double)b.x[1])}, next[8];
        for (int k = 0;; k++) {
            tx_tensor v = weight(m, 0, (char[]){'l', 'a', 'y', 'e', 'r', '_', 'w', (char)('0' + k), 0});
            tx_tensor c = weight(m, 0, (char[]){'l', 'a', 'y', 'e', 'r', '_', 'b', (char)('0' + k), 0});
            if (!v.x) break;
            for (size_t o = 0; o < tx_cols(v); o++) {
                next[o] = (double)c.x[o];
                for (size_t i = 0; i < tx_rows(v); i++) next[o] += h[i] * (double)v.x[i * tx_cols(v) + o];
                if (tx_cols(v) > 1) next[o] = strstr(s->text, "softplus") ? log1p(exp(next[o])) : tanh(next[o]);
            }
            memcpy(h, next, sizeof h);
        }
        for (int j = 0; !s->bits && j < 2; j++) sum -= 0.5 * pow(e[j] * exp((double)scale.x[j]), 2);
        return sum + h[0];
    }
    for (int k = 0; k < 2; k++) {
        double z = e[0] * (double)w.x[k] + e[1] * (double)w.x[2 + k];
        if (strstr(s->text, "ica"))
            sum += -z - 2 * log1p(exp(-z));
        else
            sum += s->bits ? z * e[k] : -0.5 * z * z;
    }
    return sum;
}

static void objective(void)
{
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        const struct setting *s = &settings[k];
        tx_space space = space_of(s->bits, 2);
        tx_model *m = model(&tx_model_nce, &space, s->text);
        tx_tape *t = tx_tape_new(1 << 16);
        real x[2 * N];
        double nu = strtod(strstr(s->text, "noise_ratio: ") + 13, NULL), loss = 0;
        const char *at = strstr(s->text, "noise_scale: ");
        double wide = at ? strtod(at + 13, NULL) : 1, own;
        train_with(m, "sgd");
        rows_of(s->bits, 2 * N, x);
        if (k >= 2 && k < 4 && wide == 1) { /* it starts as the noise: nothing to be told apart */
            tx_metrics at_start = step(m, t, tx_rng_root(5), 0, tx_matrix(x, N, 2));
            CHECK_NEAR(at_start.m[0].value, log1p(nu) + nu * log1p(1 / nu), is_double ? 1e-9 : 1e-5);
        }
        shake(m, 0.5);
        tx_rng r = tx_rng_named(tx_rng_root(5), "noise");
        for (size_t i = 0; i < N * (1 + (size_t)nu); i++) {
            real row[2] = {x[2 * (i % N)], x[2 * (i % N) + 1]}, e[2];
            double g = (double)weight(m, 0, "c").x[0];
            if (i >= N) (s->bits ? tx_rng_uniform : tx_rng_normal)(r, 2 * (i - N), 2, e);
            for (int j = 0; j < 2; j++) {
                double p = means[j], sd = wide * deviations[j];
                if (i >= N) row[j] = (real)(s->bits ? (double)e[j] < p : p + sd * (double)e[j]);
                double v = (double)row[j];
                g -= s->bits ? log(v > 0 ? p : 1 - p) : -0.5 * (log(2 * M_PI) + pow((v - p) / sd, 2)) - log(sd);
            }
            g += naive_f(m, s, row);
            loss += (i < N ? log1p(nu * exp(-g)) : log1p(exp(g) / nu)) / N;
            if (i < N) {
                CHECK_NEAR(log_p_star(m, t, 1, row, &own), naive_f(m, s, row),
                           (is_double ? 1e-10 : 1e-4) * (1 + fabs(own)));
            }
        }
        tx_metrics out = step(m, t, tx_rng_root(5), 0, tx_matrix(x, N, 2));
        CHECK_NEAR(out.m[0].value, loss, (is_double ? 1e-9 : 1e-4) * loss);
        CHECK_NEAR(m->ops->energy->log_z(m), -(double)weight(m, 0, "c").x[0], 0);
        CHECK_NEAR(out.m[3].value, -(double)weight(m, 0, "c").x[0], 0);
        tx_tape_free(t), tx_model_free(m);
    }
}

static void gradients(void)
{
    if (!is_double) {
        printf(" (skipped: in the double build)");
        return;
    }
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        tx_space space = space_of(settings[k].bits, 3);
        tx_model *m = model(&tx_model_nce, &space, settings[k].text);
        tx_tape *t = tx_tape_new(1 << 16);
        real x[3 * N];
        train_with(m, "sgd");
        shake(m, 0.4);
        rows_of(settings[k].bits, 3 * N, x);
        tx_tensor block = tx_params_block(m->net[0]), data = tx_matrix(x, N, 3);
        real *old = memcpy(tx_alloc(tx_len(block), sizeof *old), block.x, tx_len(block) * sizeof *old);
        double *g = tx_alloc(tx_len(block), sizeof *g);
        step(m, t, tx_rng_root(5), 1, data);
        for (size_t i = 0; i < tx_len(block); i++) g[i] = (double)(old[i] - block.x[i]), block.x[i] = old[i];
        for (int q = 0; q < tx_params_count(m->net[0]); q++) {
            tx_tensor w = tx_params_value(m->net[0], (tx_param){q});
            double largest = 0;
            for (size_t i = 0; i < tx_len(w); i++) {
                const double h = 1e-6;
                real kept = w.x[i];
                w.x[i] = (real)((double)kept + h);
                double up = step(m, t, tx_rng_root(5), 0, data).m[0].value;
                w.x[i] = (real)((double)kept - h);
                double slope = (up - step(m, t, tx_rng_root(5), 0, data).m[0].value) / (2 * h);
                w.x[i] = kept;
                largest = fmax(largest, fabs(slope));
                CHECK_NEAR(g[w.x - block.x + (ptrdiff_t)i], slope, 1e-6 * fmax(1, fabs(slope)));
            }
            CHECK_TRUE(largest > 1e-3);
        }
        free(old), free(g), tx_tape_free(t), tx_model_free(m);
    }
}

/* ---- log Z ---- */

static void brute_force(void)
{
    tx_space bits = space_of(true, 6), reals = space_of(false, 2), long_row = space_of(true, 21);
    tx_tape *t = tx_tape_new(1 << 16);
    static const char *const on_bits[] = {"{hidden: [5]}", "{energy: quadratic}"};
    for (size_t k = 0; k < 2; k++) {
        tx_model *m = model(&tx_model_nce, &bits, on_bits[k]);
        real x[64 * 6];
        double value[64], sum = 0;
        shake(m, 0.7);
        states(6, x);
        log_p_star(m, t, 64, x, value);
        for (int i = 0; i < 64; i++) sum += exp(value[i]);
        CHECK_NEAR(enumerated(m, t), log(sum), is_double ? 1e-12 : 1e-5);
        tx_model_free(m);
    }
    static const char *const on_reals[] = {"{energy: quadratic}", "{energy: ica}"};
    for (size_t k = 0; k < 2; k++) { /* midpoint rule on a square that holds all but 1e-9 */
        enum { SIDE = 600 };
        tx_model *m = model(&tx_model_nce, &reals, on_reals[k]);
        real *x = tx_alloc(2 * SIDE, sizeof *x);
        double value[SIDE], sum = 0, edge = 12, h = 2 * edge / SIDE;
        shake(m, 0.2);
        for (int a = 0; a < SIDE; a++) {
            for (int b = 0; b < SIDE; b++)
                x[2 * b] = (real)(-edge + h * (a + 0.5)), x[2 * b + 1] = (real)(-edge + h * (b + 0.5));
            log_p_star(m, t, SIDE, x, value);
            for (int b = 0; b < SIDE; b++) sum += exp(value[b]) * h * h;
        }
        CHECK_NEAR(enumerated(m, t), log(sum), is_double ? 1e-7 : 1e-5);
        free(x), tx_model_free(m);
    }
    double log_z;
    tx_model *m = model(&tx_model_nce, &reals, "{}");
    CHECK_INT(m->ops->energy->enumerate(m, t, &log_z, tx_rng_root(0), 0, (tx_tensor){0}), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "no closed form");
    tx_model_free(m);
    double more[21];
    for (int j = 0; j < 21; j++) more[j] = 0.4;
    long_row.mean = long_row.deviation = more;
    m = model(&tx_model_nce, &long_row, "{}");
    CHECK_INT(m->ops->energy->enumerate(m, t, &log_z, tx_rng_root(0), 0, (tx_tensor){0}), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "21 bits are too many to be enumerated, at most 20");
    tx_model_free(m), tx_tape_free(t);
}

/* ---- what is learnt ---- */

/* A Boltzmann machine of four visible units. */
enum { BITS = 4, STATES = 16 };
static double truth(size_t s)
{
    static double p[STATES];
    if (p[0] == 0) {
        static const double w[BITS][BITS] = {
            {0.3, 1.2, -0.8, 0.5}, {0, -0.6, 0.9, -1.1}, {0, 0, 0.2, 0.7}, {0, 0, 0, -0.4}};
        double sum = 0;
        for (size_t k = 0; k < STATES; k++) {
            double a = 0;
            for (size_t i = 0; i < BITS; i++)
                for (size_t j = i; j < BITS; j++) a += (k >> i & 1) && (k >> j & 1) ? w[i][j] : 0;
            sum += p[k] = exp(a);
        }
        for (size_t k = 0; k < STATES; k++) p[k] /= sum;
    }
    return p[s];
}
static void bit_rows(uint64_t first, size_t n, real x[])
{
    for (size_t i = 0; i < n; i++) {
        double u = tx_rng_uniform1(tx_rng_root(61), first + i);
        size_t s = 0;
        while (s + 1 < STATES && u >= truth(s)) u -= truth(s++);
        for (size_t j = 0; j < BITS; j++) x[i * BITS + j] = (real)(s >> j & 1);
    }
}
static void bit_moments(double mean[BITS])
{
    for (size_t j = 0; j < BITS; j++) mean[j] = 0;
    for (size_t s = 0; s < STATES; s++)
        for (size_t j = 0; j < BITS; j++) mean[j] += s >> j & 1 ? truth(s) : 0;
}

/* N(mean, A A') of three coordinates. */
static const double normal_mean[3] = {0.7, -1.2, 2.385},
                    normal_a[3][3] = {{0.8, 0, 0}, {0.5, 0.6, 0}, {-0.4, 0.3, 1.1}};
static void normal_rows(uint64_t first, size_t n, real x[])
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < 3; j++) {
            double v = normal_mean[j];
            for (size_t k = 0; k <= j; k++) v += normal_a[j][k] * tx_rng_normal1(tx_rng_root(62), 3 * (first + i) + k);
            x[i * 3 + j] = (real)v;
        }
}

static void train(tx_model *m, uint64_t steps, size_t batch, double rate, void (*rows)(uint64_t, size_t, real *))
{
    tx_tape *t = tx_tape_new(1 << 20);
    real *x = tx_alloc(batch * m->space->dim, sizeof *x);
    train_with(m, "adam");
    for (uint64_t i = 0; i < steps; i++) {
        rows(i * batch, batch, x);
        step(m, t, tx_rng_fold(tx_rng_root(31), i), rate * (1 - (double)i / (double)steps),
             tx_matrix(x, batch, m->space->dim));
    }
    free(x), tx_tape_free(t);
}

/* sum p log(p/q), q by the model's own constant. */
static double divergence(tx_model *m)
{
    tx_tape *t = tx_tape_new(1 << 16);
    real x[STATES * BITS];
    double value[STATES], sum = 0;
    states(BITS, x);
    log_p_star(m, t, STATES, x, value);
    for (size_t s = 0; s < STATES; s++) sum += truth(s) * (log(truth(s)) - value[s] + m->ops->energy->log_z(m));
    tx_tape_free(t);
    return sum;
}

static void recovers(void)
{
    static const char *const text[] = {"{energy: quadratic, noise_ratio: 10}", "{hidden: [16], noise_ratio: 10}"};
    double mean[BITS];
    tx_space bits = space_of(true, BITS), reals = space_of(false, 3);
    tx_tape *t = tx_tape_new(1 << 16);
    bit_moments(mean);
    bits.mean = mean;
    for (size_t k = 0; k < 2; k++) {
        tx_model *m = model(&tx_model_nce, &bits, text[k]);
        double before = divergence(m), away = fabs(m->ops->energy->log_z(m) - enumerated(m, t));
        train(m, 1500, 100, 0.03, bit_rows);
        CHECK_TRUE(k == 1 || before > 0.05);
        CHECK_NEAR(divergence(m), 0, 0.02);
        CHECK_NEAR(m->ops->energy->log_z(m), enumerated(m, t), 0.03);
        CHECK_TRUE(k == 1 || away < 1e-4); /* the quadratic form starts as the noise, normalised */
        tx_model_free(m);
    }
    double deviation[3] = {0};
    for (int j = 0; j < 3; j++) {
        for (int k = 0; k < 3; k++) deviation[j] += normal_a[j][k] * normal_a[j][k];
        deviation[j] = sqrt(deviation[j]);
    }
    reals.mean = normal_mean, reals.deviation = deviation;
    tx_model *m = model(&tx_model_nce, &reals, "{energy: quadratic, noise_ratio: 10}");
    train(m, 2000, 100, 0.03, normal_rows);
    CHECK_NEAR(m->ops->energy->log_z(m), enumerated(m, t), 0.05);
    CHECK_NEAR(enumerated(m, t), 1.5 * log(2 * M_PI) + log(0.8 * 0.6 * 1.1), 0.05);
    for (int j = 0; j < 3; j++) CHECK_NEAR(weight(m, 0, "b").x[j], normal_mean[j], 0.06);
    tx_model_free(m), tx_tape_free(t);
}

/* ---- limits ---- */

/* d/d weight of sum_s p(s) log p(s) and of sum_s p_data(s) log p(s), at every weight of a net over bits. */
static void likelihood_gradient(tx_model *m, tx_score score, double log_z, const double share[], double g[])
{
    tx_tape *t = tx_tape_new(1 << 16);
    real x[STATES * BITS];
    double value[STATES];
    tx_tensor block = tx_params_block(m->net[0]), grad[16], c;
    states(BITS, x);
    tx_model_evaluate(m, t, score, tx_rng_root(0), 0, tx_matrix(x, STATES, BITS), value);
    tx_model_bind(m, t);
    c = tx_tape_tensor(t, 1, STATES);
    for (size_t s = 0; s < STATES; s++) c.x[s] = (real)(share[s] - exp(value[s] - log_z));
    tx_var u = tx_leaf(t, tx_matrix(x, STATES, BITS));
    tx_var y = score == TX_SCORE_LOG_PROB ? m->ops->log_prob(m, t, u) : m->ops->energy->log_unnormalised(m, t, u);
    tx_params_grad(m->net[0], t, tx_matmul(t, tx_leaf(t, c), false, y, false), grad);
    for (int q = 0; q < tx_params_count(m->net[0]); q++)
        for (size_t i = 0; i < tx_len(grad[q]); i++)
            g[tx_params_value(m->net[0], (tx_param){q}).x - block.x + (ptrdiff_t)i] = (double)grad[q].x[i];
    tx_tape_free(t);
}

/* A batch whose rows are the states, each in its share of the rows. */
enum { ROWS = 100 };
static void batch_of(real x[ROWS * BITS], double share[STATES])
{
    bit_rows(0, ROWS, x);
    memset(share, 0, STATES * sizeof *share);
    for (size_t i = 0; i < ROWS; i++) {
        size_t s = 0;
        for (size_t j = 0; j < BITS; j++) s += x[i * BITS + j] > 0 ? (size_t)1 << j : 0;
        share[s] += 1.0 / ROWS;
    }
}

/* The largest deviation of mean steps of rate 1 from scale g, in standard errors, and without the noise of the mean the
 * cosine between the two. */
static double compare(tx_model *m, int repeats, const real x[], double scale, const double g[], double *cosine)
{
    tx_tape *t = tx_tape_new(1 << 20);
    tx_tensor block = tx_params_block(m->net[0]);
    size_t n = tx_len(block);
    real *old = memcpy(tx_alloc(n, sizeof *old), block.x, n * sizeof *old);
    double *sum = tx_alloc(n, sizeof *sum), *square = tx_alloc(n, sizeof *square), worst = 0, ab = 0, aa = 0, bb = 0;
    train_with(m, "sgd");
    for (int k = 0; k < repeats; k++) {
        step(m, t, tx_rng_fold(tx_rng_root(91), (uint64_t)k), 1, tx_matrix((real *)x, ROWS, BITS));
        for (size_t i = 0; i < n; i++) {
            double moved = (double)block.x[i] - (double)old[i];
            sum[i] += moved / repeats, square[i] += moved * moved / repeats, block.x[i] = old[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        double error = sqrt(fmax(square[i] - sum[i] * sum[i], 0) / (repeats - 1));
        if (error > 1e-9) worst = fmax(worst, fabs(sum[i] - scale * g[i]) / error);
        ab += sum[i] * g[i], aa += sum[i] * sum[i], bb += g[i] * g[i];
    }
    *cosine = ab / sqrt(aa * bb);
    free(old), free(sum), free(square), tx_tape_free(t);
    return worst;
}

/* With c = - log Z the expected gradient in f's weights tends to that of maximum likelihood as nu grows. */
static void many_noise_samples(void)
{
    static const char *const text[] = {"{energy: quadratic, noise_ratio: 1}", "{energy: quadratic, noise_ratio: 1000}"};
    double mean[BITS], share[STATES], off[2];
    real x[ROWS * BITS];
    tx_space bits = space_of(true, BITS);
    tx_tape *t = tx_tape_new(1 << 16);
    bit_moments(mean);
    bits.mean = mean;
    batch_of(x, share);
    for (size_t k = 0; k < 2; k++) {
        tx_model *m = model(&tx_model_nce, &bits, text[k]);
        tx_tensor block = tx_params_block(m->net[0]);
        double *g = tx_alloc(tx_len(block), sizeof *g), cosine;
        shake(m, 1);
        double log_z = enumerated(m, t);
        weight(m, 0, "c").x[0] = (real)-log_z;
        likelihood_gradient(m, TX_SCORE_UNNORMALISED, log_z, share, g);
        compare(m, k == 0 ? 1000 : 2, x, 1, g, &cosine);
        off[k] = 1 - cosine;
        free(g), tx_model_free(m);
    }
    CHECK_TRUE(off[0] > 0.02);
    CHECK_TRUE(off[1] < 0.003);
    tx_tape_free(t);
}

/* Goodfellow 2014, section 4: nu/(1 + nu) times the gradient of maximum likelihood, at 5 sigma, and noticed if it were
 * not. */
static void self_contrast(void)
{
    static const char *const text[] = {"{}", "{noise_ratio: 3}"};
    double mean[BITS], share[STATES];
    real x[ROWS * BITS];
    tx_space bits = space_of(true, BITS);
    bit_moments(mean);
    bits.mean = mean;
    batch_of(x, share);
    for (size_t k = 0; k < 2; k++) {
        tx_model *m = model(&tx_model_self_contrastive, &bits, text[k]);
        tx_tensor block = tx_params_block(m->net[0]);
        double *g = tx_alloc(tx_len(block), sizeof *g), cosine, nu = k == 0 ? 1 : 3;
        shake(m, 0.7);
        likelihood_gradient(m, TX_SCORE_LOG_PROB, 0, share, g);
        tx_tape *t = tx_tape_new(1 << 16);
        train_with(m, "sgd");
        CHECK_NEAR(step(m, t, tx_rng_root(3), 0, tx_matrix(x, ROWS, BITS)).m[1].value, log1p(nu) + nu * log1p(1 / nu),
                   is_double ? 1e-12 : 1e-5);
        tx_tape_free(t);
        CHECK_TRUE(compare(m, 3000, x, nu / (1 + nu), g, &cosine) < 5);
        CHECK_TRUE(cosine > 0.99);
        CHECK_TRUE(compare(m, 3000, x, 1.1 * nu / (1 + nu), g, &cosine) > 5);
        free(g), tx_model_free(m);
    }
}

/* The discriminator stays at 1/(1 + nu), so that the contrast is a constant; yet a Gaussian is learnt. */
static void self_contrast_learns(void)
{
    static const double there[3] = {0, 0, 0}, one[3] = {1, 1, 1};
    tx_space reals = space_of(false, 3);
    reals.mean = there, reals.deviation = one;
    tx_model *m = model(&tx_model_self_contrastive, &reals, "{}");
    tx_tape *t = tx_tape_new(1 << 16);
    real x[300];
    train(m, 3000, 100, 0.03, normal_rows);
    normal_rows(1 << 20, 100, x);
    train_with(m, "sgd");
    CHECK_NEAR(step(m, t, tx_rng_root(3), 0, tx_matrix(x, 100, 3)).m[1].value, 2 * log(2), is_double ? 1e-12 : 1e-5);
    enum { DRAWS = 20000 };
    real *rows = tx_alloc(3 * DRAWS, sizeof *rows);
    double *value = tx_alloc(DRAWS, sizeof *value), entropy = 0;
    normal_rows(1 << 21, DRAWS, rows);
    tx_model_evaluate(m, t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(rows, DRAWS, 3), value);
    for (int i = 0; i < DRAWS; i++) entropy -= value[i] / DRAWS;
    CHECK_NEAR(entropy, 1.5 * (1 + log(2 * M_PI)) + log(0.8 * 0.6 * 1.1), 0.04);
    free(rows), free(value), tx_tape_free(t), tx_model_free(m);
}

/* ---- Markov chains ---- */
static void gibbs(void)
{
    enum { DRAWS = 20000 };
    tx_space bits = space_of(true, BITS);
    static const char *const text[] = {"{energy: quadratic, sample_steps: 20}", "{hidden: [5], sample_steps: 20}"};
    for (size_t k = 0; k < 2; k++) {
        tx_model *m = model(&tx_model_nce, &bits, text[k]);
        tx_tape *t = tx_tape_new(1 << 16);
        real states_[STATES * BITS], *x = tx_alloc(DRAWS * BITS, sizeof *x), one[BITS];
        double value[STATES], count[STATES] = {0}, chi2 = 0, start = 0;
        shake(m, 0.8);
        double log_z = enumerated(m, t);
        states(BITS, states_);
        log_p_star(m, t, STATES, states_, value);
        tx_model_sample(m, t, tx_rng_root(8), 0, DRAWS, false, x);
        for (size_t i = 0; i < DRAWS; i++) {
            size_t s = 0;
            for (size_t j = 0; j < BITS; j++) s += x[i * BITS + j] > 0 ? (size_t)1 << j : 0;
            count[s]++;
        }
        for (size_t s = 0; s < STATES; s++) {
            double p = exp(value[s] - log_z), q = 1;
            for (size_t j = 0; j < BITS; j++) q *= s >> j & 1 ? means[j] : 1 - means[j];
            chi2 += pow(count[s] - DRAWS * p, 2) / (DRAWS * p), start += DRAWS * (q - p) * (q - p) / p;
        }
        CHECK_TRUE(gsl_cdf_chisq_Q(chi2, STATES - 1) > 3e-7);
        CHECK_TRUE(gsl_cdf_chisq_Q(start, STATES - 1) < 1e-12); /* what the chain starts from would be noticed */
        tx_model_sample(m, t, tx_rng_root(8), 1234, 1, false, one);
        for (size_t j = 0; j < BITS; j++) CHECK_NEAR(one[j], x[1234 * BITS + j], 0);
        free(x), tx_tape_free(t), tx_model_free(m);
    }
}

/* Langevin steps with rejection on a correlated Gaussian: means and covariance at 5 sigma. */
static void langevin(void)
{
    enum { DRAWS = 20000 };
    tx_space reals = space_of(false, 2);
    tx_model *m = model(&tx_model_nce, &reals, "{energy: quadratic, sample_steps: 60, step_size: 0.9}");
    tx_tape *t = tx_tape_new(1 << 16);
    real *x = tx_alloc(2 * DRAWS, sizeof *x);
    static const double w[4] = {1.6, 0.7, -0.5, 1.9}, b[2] = {0.9, -0.2};
    for (int i = 0; i < 4; i++) weight(m, 0, "w").x[i] = (real)w[i];
    for (int i = 0; i < 2; i++) weight(m, 0, "b").x[i] = (real)b[i];
    tx_model_sample(m, t, tx_rng_root(8), 0, DRAWS, false, x);
    double z[5] = {0}; /* (x - b) W is standard normal */
    for (size_t i = 0; i < DRAWS; i++) {
        double e[2] = {(double)x[2 * i] - b[0], (double)x[2 * i + 1] - b[1]};
        double u = e[0] * w[0] + e[1] * w[2], v = e[0] * w[1] + e[1] * w[3];
        z[0] += u / DRAWS, z[1] += v / DRAWS, z[2] += u * u / DRAWS, z[3] += v * v / DRAWS, z[4] += u * v / DRAWS;
    }
    const double s = 5 / sqrt(DRAWS);
    CHECK_NEAR(z[0], 0, s);
    CHECK_NEAR(z[1], 0, s);
    CHECK_NEAR(z[2], 1, s * sqrt(2));
    CHECK_NEAR(z[3], 1, s * sqrt(2));
    CHECK_NEAR(z[4], 0, s);
    CHECK_NEAR(m->ops->sequential_steps(m), 60, 0);
    free(x), tx_tape_free(t), tx_model_free(m);
}

static void refusals(void)
{
    static const struct {
        const char *text, *says;
        bool bits;
    } bad[] = {{"{energy: ica}", "nce: 'energy: ica' is a density on real values", true},
               {"{hidden: []}", "nce: 'hidden' needs 1 to 15 layers, found 0", false}};
    for (size_t k = 0; k < TX_LEN(bad); k++) {
        tx_space space = space_of(bad[k].bits, 3);
        tx_model *m = NULL;
        void *config = tx_alloc(1, tx_model_nce.config_size);
        CHECK_OK(tx_test_options(tx_model_nce.options, config, bad[k].text));
        CHECK_INT(tx_model_new(&m, &tx_model_nce, config, &space, 3), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), bad[k].says);
        free(config);
    }
}

int main(void)
{
    tx_threads_set(1);
    static const tx_test tests[] = {
        {"nce: the objective by formula, for every form", objective},
        {"nce: its gradient is the slope", gradients},
        {"nce: log Z by brute force, quadrature and closed form", brute_force},
        {"nce: c recovers log Z, and p the truth", recovers},
        {"nce: many noise samples give the gradient of maximum likelihood", many_noise_samples},
        {"nce: Gibbs chains follow p", gibbs},
        {"nce: Langevin chains follow p", langevin},
        {"nce: what cannot work is refused", refusals},
        {"self_contrastive: the expected gradient is that of maximum likelihood", self_contrast},
        {"self_contrastive: learns, although nothing is ever told apart", self_contrast_learns},
    };
    return tx_run_tests("nce", tests, (int)TX_LEN(tests));
}
