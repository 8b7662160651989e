/* The generative stochastic network: its steps by formula, its noise by law, its samples by index, and what cannot be
 * had of a model without a likelihood otherwise: the stationary distribution of a trained chain against the truth. */
#include <gsl/gsl_cdf.h>
#include <stdlib.h>
#include "common/model/mixing.h"
#include "common/model/model.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

extern const tx_model_ops tx_model_gsn;
enum { D = 3, N = 4, WIDEST = 8 };
static const bool is_double = sizeof(real) == sizeof(double);
static const double unit[] = {0, 1}, unbounded[] = {-INFINITY, INFINITY};
static const double means[] = {0.31, 0.45, 0.62, 0.385}, deviations[] = {0.46, 0.5, 0.37, 0.41};

static tx_space space_of(int levels, size_t dim, const double bound[2])
{
    return (tx_space){.measure = levels ? TX_COUNTING : TX_LEBESGUE,
                      .levels = levels,
                      .dim = dim,
                      .lower = bound[0],
                      .upper = bound[1],
                      .mean = means,
                      .deviation = deviations};
}

static tx_model *model(const tx_space *space, const char *text)
{
    void *config = tx_alloc(1, tx_model_gsn.config_size);
    tx_model *m = NULL;
    CHECK_TRUE(tx_model_list[0] != NULL);
    CHECK_OK(tx_test_options(tx_model_gsn.options, config, text));
    CHECK_OK(tx_model_new(&m, &tx_model_gsn, config, space, 3));
    free(config);
    CU_ASSERT_FATAL(m != NULL);
    return m;
}

static tx_tensor weight(const tx_model *m, const char *name)
{
    for (int j = 0; j < tx_params_count(m->net[0]); j++)
        if (strcmp(tx_params_name(m->net[0], (tx_param){j}), name) == 0)
            return tx_params_value(m->net[0], (tx_param){j});
    return (tx_tensor){0};
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

/* ---- a step by formula ---- */
typedef struct setting {
    const char *text;
    const double *bound;
    int levels, K;
    double (*act)(double);
    double salt, sigma, noise;
    bool noisy_first, drawn;
} setting;
static double relu(double x) { return fmax(x, 0); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static const setting settings[] = {
    {"{hidden: [4], hidden_noise: 0.8, walkback: W}", unit, 2, 1, tanh, 0.4, 0, 0.8, true, true},
    {"{hidden: [4, 5], hidden_noise: 0.8, walkback: W, salt_and_pepper: 0.3, activation: sigmoid}", unit, 2, 2, sigmoid,
     0.3, 0, 0.8, false, true},
    {"{hidden: [4, 5, 6], hidden_noise: 0.7, noisy_first_layer: true, walkback: W, input_sampling: false}", unit, 0, 3,
     tanh, 0.4, 0, 0.7, true, false},
    {"{hidden: [4, 5, 6], hidden_noise: 0.5, walkback: W, activation: relu, min_sigma: 0.3}", unbounded, 0, 3, relu, 0,
     0.5, 0.5, false, true},
    {"{hidden: [5], hidden_noise: 0, walkback: W, corruption: gaussian, corruption_sigma: 0.2}", unit, 0, 1, tanh, 0,
     0.2, 0, true, true},
    {"{hidden: [5, 4], hidden_noise: 0, walkback: W, input_sampling: false}", unbounded, 0, 2, tanh, 0, 0.5, 0, false,
     false},
};

typedef struct naive {
    double h[WIDEST][N][WIDEST];
    size_t width[WIDEST];
} naive;

static real filled(void (*fill)(tx_rng, uint64_t, size_t, real *), tx_rng r, uint64_t i)
{
    real x;
    fill(r, i, 1, &x);
    return x;
}

static void naive_hidden(const setting *c, const tx_model *m, tx_rng r, naive *s, int i)
{
    char name[16];
    bool noisy = i > 1 || c->noisy_first || c->K == 1;
    tx_rng own = tx_rng_fold(tx_rng_named(r, "hidden"), (uint64_t)i);
    snprintf(name, sizeof name, "b%d", i);
    tx_tensor b = weight(m, name);
    snprintf(name, sizeof name, "w%d", i - 1);
    tx_tensor below = weight(m, name);
    snprintf(name, sizeof name, "w%d", i);
    tx_tensor above = weight(m, name);
    for (size_t n = 0; n < N; n++)
        for (size_t u = 0; u < s->width[i]; u++) {
            double a = (double)b.x[u];
            uint64_t at = n * s->width[i] + u;
            for (size_t k = 0; k < s->width[i - 1]; k++) a += s->h[i - 1][n][k] * (double)below.x[k * s->width[i] + u];
            for (size_t k = 0; i < c->K && k < s->width[i + 1]; k++)
                a += s->h[i + 1][n][k] * (double)above.x[u * s->width[i + 1] + k];
            if (noisy) a += c->noise * (double)filled(tx_rng_normal, tx_rng_named(own, "before"), at);
            a = c->act(a);
            if (noisy) a += c->noise * (double)filled(tx_rng_normal, tx_rng_named(own, "after"), at);
            s->h[i][n][u] = a;
        }
}

static double naive_variance(const setting *c, const tx_model *m, size_t j)
{
    double least = strstr(c->text, "min_sigma") ? 0.3 : 0.001;
    return least * least + exp((double)weight(m, "log_variance").x[j]);
}

/* One step of N chains from s->h[0]; returns - mean log p(x|h). */
static double naive_step(const setting *c, const tx_model *m, tx_rng r, naive *s, const real x[])
{
    bool box = isfinite(c->bound[0]);
    double sum = 0;
    for (size_t i = 0; i < N * D; i++) {
        double *v = &s->h[0][i / D][i % D];
        double u = (double)filled(tx_rng_uniform, tx_rng_named(r, "corruption"), i);
        if (u < c->salt) *v = u < c->salt / 2 ? 0 : 1;
        if (c->sigma > 0) *v += c->sigma * (double)filled(tx_rng_normal, tx_rng_named(r, "corruption"), i);
    }
    for (int i = 1; i <= c->K; i += 2) naive_hidden(c, m, r, s, i);
    for (int i = 2; i <= c->K; i += 2) naive_hidden(c, m, r, s, i);
    for (size_t n = 0; n < N; n++)
        for (size_t j = 0; j < D; j++) {
            double a = (double)weight(m, "b0").x[j], v = (double)x[n * D + j], *next = &s->h[0][n][j];
            for (size_t k = 0; k < s->width[1]; k++)
                a += s->h[1][n][k] * (double)weight(m, "w0").x[j * s->width[1] + k];
            if (box) {
                sum -= v * log(sigmoid(a)) + (1 - v) * log(1 - sigmoid(a));
                double u = (double)filled(tx_rng_uniform, tx_rng_named(r, "input"), n * D + j);
                *next = c->drawn ? u < sigmoid(a) : sigmoid(a);
            } else {
                double q = naive_variance(c, m, j),
                       e = (double)filled(tx_rng_normal, tx_rng_named(r, "input"), n * D + j);
                sum += 0.5 * (log(2 * M_PI * q) + (v - a) * (v - a) / q);
                *next = c->drawn ? a + sqrt(q) * e : a;
            }
        }
    return sum / N;
}

static void data_of(const setting *c, real x[N * D])
{
    for (size_t i = 0; i < N * D; i++) {
        double u = tx_rng_uniform1(tx_rng_root(77), i);
        x[i] = (real)(c->levels == 2 ? u < 0.5 : isfinite(c->bound[0]) ? u : 3 * u - 1);
    }
}

static tx_model *model_of(const setting *c, tx_space *space, int walkback)
{
    char text[256];
    const char *w = strchr(c->text, 'W');
    snprintf(text, sizeof text, "%.*s%d%s", (int)(w - c->text), c->text, walkback, w + 1);
    *space = space_of(c->levels, D, c->bound);
    tx_model *m = model(space, text);
    shake(m, 0.6);
    return m;
}

static double objective(tx_model *m, const real x[], double rate, tx_metrics *out)
{
    tx_tape *t = tx_tape_new(1 << 16);
    tx_step s = {.tape = t, .rng = tx_rng_root(41), .rate = rate};
    CHECK_OK(tx_model_step(m, &s, tx_matrix((real *)x, N, D), out));
    tx_tape_free(t);
    return out->m[0].value;
}

static tx_model *with_sgd(tx_model *m)
{
    double plain[4] = {0};
    tx_model_train_with(m, tx_optim_find("sgd"), plain);
    return m;
}

/* The objective is the sum of as many terms as there are steps, each that of the formula. */
static void walkback(void)
{
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        const setting *c = &settings[k];
        real x[N * D];
        double sum = 0, first = 0, last = 0;
        data_of(c, x);
        for (int W = 1; W <= 4; W++) {
            tx_space space;
            tx_model *m = with_sgd(model_of(c, &space, W));
            naive s = {.width = {D, tx_cols(weight(m, "w0"))}};
            for (int i = 2; i <= c->K; i++) s.width[i] = tx_cols(weight(m, (char[]){'w', (char)('0' + i - 1), 0}));
            for (size_t i = 0; i < N * D; i++) s.h[0][i / D][i % D] = (double)x[i];
            sum = 0;
            for (int i = 0; i < W; i++) {
                last = naive_step(c, m, tx_rng_fold(tx_rng_root(41), (uint64_t)i), &s, x);
                if (i == 0) first = last;
                sum += last;
            }
            tx_metrics out;
            CHECK_NEAR(objective(m, x, 0, &out), sum, (is_double ? 1e-9 : 2e-4) * sum);
            CHECK_NEAR(out.m[1].value, first, (is_double ? 1e-9 : 2e-4) * fabs(first));
            CHECK_NEAR(out.m[2].value, last, (is_double ? 1e-9 : 2e-4) * fabs(last));
            tx_model_free(m);
        }
    }
}

/* A step of rate 1 moves every weight by minus the slope of the objective, through all steps of the chain. */
static void gradients(void)
{
    if (!is_double) {
        printf(" (skipped: in the double build)");
        return;
    }
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        tx_space space;
        tx_model *m = with_sgd(model_of(&settings[k], &space, 3));
        tx_tensor block = tx_params_block(m->net[0]);
        real x[N * D], *old = memcpy(tx_alloc(tx_len(block), sizeof *old), block.x, tx_len(block) * sizeof *old);
        double *g = tx_alloc(tx_len(block), sizeof *g);
        tx_metrics out;
        int misses = 0;
        data_of(&settings[k], x);
        objective(m, x, 1, &out);
        for (size_t i = 0; i < tx_len(block); i++) g[i] = (double)(old[i] - block.x[i]), block.x[i] = old[i];
        for (int q = 0; q < tx_params_count(m->net[0]); q++) {
            tx_tensor w = tx_params_value(m->net[0], (tx_param){q});
            double largest = 0;
            for (size_t i = 0; i < tx_len(w); i++) {
                const double h = 1e-6;
                real kept = w.x[i];
                w.x[i] = (real)((double)kept + h);
                double up = objective(m, x, 0, &out);
                w.x[i] = (real)((double)kept - h);
                double slope = (up - objective(m, x, 0, &out)) / (2 * h), ours = g[w.x - block.x + (ptrdiff_t)i];
                w.x[i] = kept;
                largest = fmax(largest, fabs(slope));
                misses += fabs(ours - slope) >
                          1e-5 * fmax(1, fabs(slope)) + 1e-15 * fabs(up) / h; /* a drawn bit flipped */
            }
            CHECK_TRUE(largest > 1e-3);
        }
        CHECK_TRUE(misses <= 1);
        free(old), free(g), tx_model_free(m);
    }
}

/* ---- laws of the noise ---- */
enum { CHAINS = 40000 };

/* Weights [c I, -c I] and relu give h W' = c^2 x~ back: what a step shows is the corrupted start, the mean. */
static real *corrupted(const tx_space *space, const char *text)
{
    tx_model *m = model(space, text);
    tx_tensor w = weight(m, "w0");
    memset(tx_params_block(m->net[0]).x, 0, tx_len(tx_params_block(m->net[0])) * sizeof(real));
    for (size_t j = 0; j < D; j++) w.x[j * 2 * D + j] = 1, w.x[j * 2 * D + D + j] = -1;
    tx_tape *t = tx_tape_new(1 << 16);
    real *x = tx_alloc(CHAINS * D, sizeof *x);
    tx_model_sample(m, t, tx_rng_root(51), 0, CHAINS, true, x);
    tx_tape_free(t), tx_model_free(m);
    return x;
}

static bool five_sigma(double count, double n, double p) { return fabs(count - n * p) <= 5 * sqrt(n * p * (1 - p)); }

static void corruption(void)
{
    tx_space box = space_of(0, D, unit), line = space_of(0, D, unbounded);
    const double n = CHAINS * D, p = 0.385;
    double low = 0, high = 0, kept = 0, pairs = 0, mean = 0, square = 0;
    real *x = corrupted(&box, "{hidden: [6], activation: relu, hidden_noise: 0, salt_and_pepper: 0.385, burn_in: 1}");
    for (size_t i = 0; i < CHAINS * D; i++) {
        double a = log((double)x[i]) - log1p(-(double)x[i]);
        bool l = fabs(a) < 1e-3, h = fabs(a - 1) < 1e-3;
        low += l, high += h, kept += fabs(a - means[i % D]) < 1e-3;
        if (i % D == 0) { /* coordinates are independent */
            double next = log((double)x[i + 1]) - log1p(-(double)x[i + 1]);
            pairs += l && fabs(next) < 1e-3;
        }
    }
    CHECK_NEAR(low + high + kept, n, 0);
    CHECK_TRUE(five_sigma(low, n, p / 2) && five_sigma(high, n, p / 2) && five_sigma(kept, n, 1 - p));
    CHECK_TRUE(
        !five_sigma(kept, n, 1 - p / 2)); /* a coordinate that keeps its value by chance does not count as corrupted */
    CHECK_TRUE(five_sigma(pairs, CHAINS, p * p / 4));
    free(x);
    x = corrupted(&line, "{hidden: [6], activation: relu, hidden_noise: 0, corruption_sigma: 0.7, burn_in: 1}");
    for (size_t i = 0; i < CHAINS * D; i++) {
        double e = ((double)x[i] - means[i % D]) / 0.7;
        mean += e / n, square += e * e / n;
    }
    CHECK_NEAR(mean, 0, 5 / sqrt(n));
    CHECK_NEAR(square, 1, 5 * sqrt(2 / n));
    free(x);
}

/* ---- samples by index ---- */
static void indices(void)
{
    static const double four[] = {0, 4};
    tx_space spaces[] = {space_of(2, D, unit), space_of(5, D, four), space_of(0, D, unit), space_of(0, D, unbounded)};
    for (size_t k = 0; k < TX_LEN(spaces); k++) {
        tx_tape *t = tx_tape_new(1 << 16);
        real all[12 * D], part[5 * D], own[2 * D];
        bool inside = true, vary = false;
        tx_model *m = model(&spaces[k], "{hidden: [6, 5], hidden_noise: 0.7, burn_in: 5, chain: 3, thinning: 2}");
        tx_model *later = model(&spaces[k], "{hidden: [6, 5], hidden_noise: 0.7, burn_in: 7}");
        shake(m, 0.5), shake(later, 0.5);
        tx_model_sample(m, t, tx_rng_root(8), 0, 12, false, all);
        tx_model_sample(m, t, tx_rng_root(8), 4, 5, false, part);
        tx_model_sample(later, t, tx_rng_root(8), 1, 2, false, own);
        for (size_t i = 0; i < 5 * D; i++) CHECK_NEAR(part[i], all[4 * D + i], is_double ? 1e-10 : 1e-4);
        for (size_t j = 0; j < D; j++) { /* the second samples of chains 1 and 2 */
            CHECK_NEAR(own[j], all[4 * D + j], is_double ? 1e-10 : 1e-4);
            CHECK_NEAR(own[D + j], all[7 * D + j], is_double ? 1e-10 : 1e-4);
        }
        for (size_t i = 0; i < 12 * D; i++) {
            double v = (double)all[i];
            inside = inside && v >= spaces[k].lower && v <= spaces[k].upper && (!spaces[k].levels || v == rint(v));
            vary = vary || (i >= D && v != (double)all[i % D]);
        }
        CHECK_TRUE(inside && vary);
        CHECK_NEAR(m->ops->sequential_steps(m), 3, 1e-12); /* 5 + 2 + 2 steps for 3 samples */
        CHECK_NEAR(later->ops->sequential_steps(later), 7, 1e-12);
        tx_model_free(m), tx_model_free(later), tx_tape_free(t);
    }
}

/* ---- what a trained chain goes to ---- */
static void train(tx_model *m, uint64_t steps, size_t batch, double rate,
                  void (*rows)(uint64_t first, size_t n, real x[]))
{
    const tx_optim_ops *adam = tx_optim_find("adam");
    void *config = tx_alloc(1, adam->config_size);
    tx_options_defaults(adam->options, config);
    tx_model_train_with(m, adam, config);
    free(config);
    tx_tape *t = tx_tape_new(1 << 20);
    real *x = tx_alloc(batch * m->space->dim, sizeof *x);
    for (uint64_t i = 0; i < steps; i++) {
        tx_step s = {.tape = t,
                     .rng = tx_rng_fold(tx_rng_root(31), i),
                     .number = i,
                     .rate = rate * (1 - (double)i / (double)steps)};
        tx_metrics out;
        rows(i * batch, batch, x);
        CHECK_OK(tx_model_step(m, &s, tx_matrix(x, batch, m->space->dim), &out));
    }
    free(x), tx_tape_free(t);
}

/* Four bits: two equal pairs, 1001 and 0110 eight times as likely as 1111 and 0000; a twentieth of all is uniform. */
enum { BITS = 4, STATES = 16 };
static double truth(size_t state)
{
    static const double heavy[STATES] = {[0] = 1, [6] = 8, [9] = 8, [15] = 1};
    return 0.95 * heavy[state] / 18 + 0.05 / STATES;
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
static void distribution(double (*of)(size_t), double p[STATES])
{
    for (size_t i = 0; i < STATES; i++) p[i] = of(i);
}

/* x~ given x: every bit flips with half the share that salt and pepper replace. */
static double corruption_of(double share, size_t x, size_t corrupted_)
{
    double p = 1;
    for (size_t j = 0; j < BITS; j++) p *= (x ^ corrupted_) >> j & 1 ? share / 2 : 1 - share / 2;
    return p;
}

/* Means of the reconstruction of x~: of a net with one layer of tanh units without noise, or E[x|x~] of the truth. */
static void reconstruct(const tx_model *m, double share, size_t seen, double mean[BITS])
{
    double total = 0;
    memset(mean, 0, BITS * sizeof *mean);
    for (size_t x = 0; !m && x < STATES; x++) {
        double p = truth(x) * corruption_of(share, x, seen);
        total += p;
        for (size_t j = 0; j < BITS; j++) mean[j] += x >> j & 1 ? p : 0;
    }
    for (size_t j = 0; !m && j < BITS; j++) mean[j] /= total;
    if (!m) return;
    tx_tensor w = weight(m, "w0"), b = weight(m, "b1");
    for (size_t u = 0; u < tx_cols(w); u++) {
        double a = (double)b.x[u];
        for (size_t j = 0; j < BITS; j++) a += seen >> j & 1 ? (double)w.x[j * tx_cols(w) + u] : 0;
        for (size_t j = 0; j < BITS; j++) mean[j] += tanh(a) * (double)w.x[j * tx_cols(w) + u];
    }
    for (size_t j = 0; j < BITS; j++) mean[j] = sigmoid(mean[j] + (double)weight(m, "b0").x[j]);
}

/* p after `steps` steps of the chain. */
static void evolve(const tx_model *m, double share, int steps, double p[STATES])
{
    double move[STATES][STATES] = {0}, next[STATES];
    for (size_t seen = 0; seen < STATES; seen++) {
        double mean[BITS];
        reconstruct(m, share, seen, mean);
        for (size_t to = 0; to < STATES; to++) {
            double q = 1;
            for (size_t j = 0; j < BITS; j++) q *= to >> j & 1 ? mean[j] : 1 - mean[j];
            for (size_t x = 0; x < STATES; x++) move[x][to] += corruption_of(share, x, seen) * q;
        }
    }
    for (; steps > 0; steps--) {
        memset(next, 0, sizeof next);
        for (size_t x = 0; x < STATES; x++)
            for (size_t to = 0; to < STATES; to++) next[to] += p[x] * move[x][to];
        memcpy(p, next, sizeof next);
    }
}

static double total_variation(const double a[STATES], const double b[STATES])
{
    double sum = 0;
    for (size_t i = 0; i < STATES; i++) sum += fabs(a[i] - b[i]) / 2;
    return sum;
}

/* Draws of the chain after burn_in against the law that its weights make, from a start of all bits at 1/2. */
static bool samples_follow(tx_model *m, const double p[STATES])
{
    enum { DRAWS = 20000 };
    double count[STATES] = {0}, chi2 = 0;
    tx_tape *t = tx_tape_new(1 << 16);
    real *x = tx_alloc(DRAWS * BITS, sizeof *x);
    tx_model_sample(m, t, tx_rng_root(62), 0, DRAWS, false, x);
    for (size_t i = 0; i < DRAWS; i++) {
        size_t s = 0;
        for (size_t j = 0; j < BITS; j++) s += x[i * BITS + j] > 0 ? (size_t)1 << j : 0;
        count[s]++;
    }
    for (size_t s = 0; s < STATES; s++) chi2 += pow(count[s] - DRAWS * p[s], 2) / (DRAWS * p[s]);
    free(x), tx_tape_free(t);
    return gsl_cdf_chisq_Q(chi2, STATES - 1) > 3e-7;
}

/* The stationary distribution, computed from the weights: near the truth where corruption is small, and, small or not,
 * near that of the best denoiser whose bits are independent given x~ (0.06 and 0.34 from the truth); both leave the
 * product of the marginals 0.73 behind, and an untrained net is no nearer than that. */
static void stationary(void)
{
    static const double half[] = {0.5, 0.5, 0.5, 0.5}, share[] = {0.1, 0.4}, bound[] = {0.09, 0.38};
    for (size_t k = 0; k < TX_LEN(share); k++) {
        char text[128];
        tx_space space = space_of(2, BITS, unit);
        space.mean = space.deviation = half;
        snprintf(text, sizeof text, "{hidden: [32], hidden_noise: 0, salt_and_pepper: %g, walkback: 1, burn_in: 15}",
                 share[k]);
        tx_model *m = model(&space, text);
        double p[STATES], ideal[STATES], untrained[STATES], start[STATES];
        distribution(truth, p), distribution(truth, ideal), distribution(truth, untrained);
        evolve(NULL, share[k], 2000, ideal);
        evolve(m, share[k], 2000, untrained);
        train(m, 2500, 100, 1e-2, bit_rows);
        distribution(truth, start);
        evolve(m, share[k], 2000, start);
        CHECK_TRUE(total_variation(untrained, p) > 0.6);
        CHECK_TRUE(total_variation(start, p) < bound[k]);
        CHECK_TRUE(total_variation(start, ideal) < 0.05);
        /* The sampler starts with every bit at the mean: 0, 1 or 1/2 after corruption, so that its first step is not
         * one of the matrix; fifteen and sixteen steps differ little at the larger share. */
        if (share[k] > 0.2) CHECK_TRUE(samples_follow(m, start));
        tx_model_free(m);
    }
}

/* Two modes on the line, 0.7 N(-1, 0.3^2) + 0.3 N(1.5, 0.3^2): shares of the modes, and moments about them. */
static void line_rows(uint64_t first, size_t n, real x[])
{
    for (size_t i = 0; i < n; i++) {
        double z = tx_rng_normal1(tx_rng_root(71), first + i);
        x[i] = (real)(tx_rng_uniform1(tx_rng_root(72), first + i) < 0.7 ? -1 + 0.3 * z : 1.5 + 0.3 * z);
    }
}
static double distance_on_line(tx_model *m)
{
    enum { DRAWS = 4000, CELLS = 40 };
    double count[CELLS] = {0}, sum = 0;
    tx_tape *t = tx_tape_new(1 << 16);
    real x[DRAWS];
    tx_model_sample(m, t, tx_rng_root(73), 0, DRAWS, false, x);
    for (size_t i = 0; i < DRAWS; i++) {
        double cell = ((double)x[i] + 4) / 0.2;
        if (cell >= 0 && cell < CELLS) count[(size_t)cell] += 1.0 / DRAWS;
    }
    for (size_t k = 0; k < CELLS; k++) {
        double a = -4 + 0.2 * (double)k, b = a + 0.2;
        double p = 0.7 * (gsl_cdf_gaussian_P(b + 1, 0.3) - gsl_cdf_gaussian_P(a + 1, 0.3)) +
                   0.3 * (gsl_cdf_gaussian_P(b - 1.5, 0.3) - gsl_cdf_gaussian_P(a - 1.5, 0.3));
        sum += fabs(count[k] - p) / 2;
    }
    tx_tape_free(t);
    return sum;
}
static void stationary_line(void)
{
    static const double mean[] = {-0.25}, deviation[] = {1.184};
    tx_space space = space_of(0, 1, unbounded);
    space.mean = mean, space.deviation = deviation;
    tx_model *m = model(&space, "{hidden: [24], hidden_noise: 0, corruption_sigma: 0.3, walkback: 1, burn_in: 100}");
    double before = distance_on_line(m);
    train(m, 3000, 100, 1e-2, line_rows);
    double after = distance_on_line(m);
    CHECK_TRUE(before > 0.4 && after < 0.15);
    tx_model_free(m);
}

/* ---- mixing ---- */

/* x' = rho x + noise has an autocorrelation time of (1 + rho)/(1 - rho). */
static void autocorrelation(void)
{
    enum { M = 50, T = 2000 };
    static const double rho[] = {0, 0.5, 0.9};
    double *f = tx_alloc(M * T, sizeof *f), stuck = 0;
    for (size_t k = 0; k < TX_LEN(rho); k++) {
        for (size_t i = 0; i < M * T; i++) {
            double e = tx_rng_normal1(tx_rng_fold(tx_rng_root(81), k), i);
            f[i] = i % T == 0 ? e : rho[k] * f[i - 1] + sqrt(1 - rho[k] * rho[k]) * e;
        }
        double tau = (1 + rho[k]) / (1 - rho[k]);
        CHECK_NEAR(tx_autocorrelation_time(M, T, f), tau, 0.1 * tau);
    }
    for (size_t i = 0; i < M * T; i++) f[i] += i / T % 2 ? 3 : -3; /* chains that stay on their own sides */
    stuck = tx_autocorrelation_time(M, T, f);
    CHECK_TRUE(stuck > T / 10);
    for (size_t i = 0; i < M * T; i++) f[i] = 2.385;
    CHECK_NEAR(tx_autocorrelation_time(M, T, f), 1, 0);
    free(f);
}

/* A net without weights forgets at once; a small share of corruption makes a slow chain, a large one a fast one. */
static void mixing(void)
{
    static const double half[] = {0.5, 0.5, 0.5, 0.5};
    tx_space space = space_of(2, BITS, unit);
    space.mean = space.deviation = half;
    static const char *const text[] = {
        "{hidden: [32], hidden_noise: 0, walkback: 1, mixing_steps: 300, salt_and_pepper: 0.1}",
        "{hidden: [32], hidden_noise: 0, walkback: 1, mixing_steps: 300, salt_and_pepper: 0.5}"};
    double tau[2];
    for (size_t k = 0; k < 2; k++) {
        tx_tape *t = tx_tape_new(1 << 16);
        tx_model *m = model(&space, text[k]);
        train(m, 1000, 100, 1e-2, bit_rows);
        tau[k] = m->ops->autocorrelation_time(m, t, tx_rng_root(63));
        memset(tx_params_block(m->net[0]).x, 0, tx_len(tx_params_block(m->net[0])) * sizeof(real));
        CHECK_NEAR(m->ops->autocorrelation_time(m, t, tx_rng_root(63)), 1, 0.1);
        tx_tape_free(t), tx_model_free(m);
    }
    CHECK_TRUE(tau[0] > 15 && tau[1] < 6);
    tx_model *m = model(&space, "{hidden: [3], mixing_steps: 0}");
    CHECK_TRUE(isnan(m->ops->autocorrelation_time(m, NULL, tx_rng_root(63))));
    tx_model_free(m);
}

static void refusals(void)
{
    static const struct {
        const char *text, *says;
    } bad[] = {{"{hidden: []}", "gsn: 'hidden' needs 1 to 8 layers, found 0"},
               {"{hidden: [1, 2, 3, 4, 5, 6, 7, 8, 9]}", "found 9"},
               {"{corruption: salt_and_pepper}", "this view has none: use 'gaussian'"}};
    tx_space space = space_of(0, D, unbounded);
    for (size_t k = 0; k < TX_LEN(bad); k++) {
        tx_model *m = NULL;
        void *config = tx_alloc(1, tx_model_gsn.config_size);
        CHECK_OK(tx_test_options(tx_model_gsn.options, config, bad[k].text));
        CHECK_INT(tx_model_new(&m, &tx_model_gsn, config, &space, 3), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), bad[k].says);
        free(config);
    }
}

int main(void)
{
    tx_threads_set(1);
    static const tx_test tests[] = {
        {"a training step is the sum of the walkback's terms, by formula", walkback},
        {"its gradient is the slope, through all steps", gradients},
        {"corruption follows its law", corruption},
        {"sample i is a function of its number; chains and thinning", indices},
        {"the chain of a trained net goes to the truth: bits", stationary},
        {"the chain of a trained net goes to the truth: the line", stationary_line},
        {"autocorrelation times of known chains", autocorrelation},
        {"autocorrelation times of nets", mixing},
        {"what cannot work is refused", refusals},
    };
    return tx_run_tests("gsn", tests, (int)TX_LEN(tests));
}
