/** Games of a generator and a discriminator: every row's terms in closed form, its divergence between two normals by
 * quadrature, the slopes of both players' losses by differences; packs, penalties and unrolled steps by brute force. */
#include <math.h>
#include <stdlib.h>
#include "common/model/model.h"
#include "models/gan/dcgan.h"
#include "models/gan/games.h"
#include "tests/support/check.h"

extern const tx_model_ops tx_model_gan, tx_model_flow_gan, tx_model_nice;
static const bool is_double = sizeof(real) == 8;
static const double TOL = sizeof(real) == 8 ? 1e-11 : 2e-5;

static double sigmoid(double v) { return 1 / (1 + exp(-v)); }

/* Each game written out: D's output, its cost on data and on fakes, G's cost. */
typedef double fn(double v);
static double itself(double v) { return v; }
static double minus(double v) { return -v; }
static double log_d(double v) { return -log(sigmoid(v)); }
static double log_not_d(double v) { return -log(1 - sigmoid(v)); }
static double minus_log_not_d(double v) { return log(1 - sigmoid(v)); }
static double odds(double v) { return -sigmoid(v) / (1 - sigmoid(v)); }
static double square(double v) { return v * v / 2; }
static double square_from_1(double v) { return (v - 1) * (v - 1) / 2; }
static double kl_fake(double v) { return exp(v) / M_E; }
static double kl_g(double v) { return -exp(v - 1); }
static double rkl_output(double v) { return -exp(-v); }
static double rkl_data(double v) { return exp(-v); }
static double rkl_fake(double v) { return -1 - log(exp(-v)); }
static double rkl_g(double v) { return 1 - v; }
static double js_output(double v) { return log(2) - log(1 + exp(-v)); }
static double js_data(double v) { return -js_output(v); }
static double js_fake(double v) { return -log(2 - exp(js_output(v))); }
static double js_g(double v) { return log(2 - 2 * sigmoid(v)); }
static double pearson_fake(double v) { return v * v / 4 + v; }
static double pearson_g(double v) { return -v * v / 4 - v; }
static double hellinger_output(double v) { return 1 - exp(-v); }
static double hellinger_data(double v) { return exp(-v) - 1; }
static double hellinger_fake(double v) { return hellinger_output(v) / (1 - hellinger_output(v)); }
static double hellinger_g(double v) { return 1 - exp(v); }
static double tv(double v) { return tanh(v) / 2; }
static double tv_minus(double v) { return -tanh(v) / 2; }

/* f of the divergence and the best v, both of u = p/q; NULL where it is no f-divergence of this form. */
static double kl_f(double u) { return u * log(u); }
static double rkl_f(double u) { return -log(u); }
static double jsd_f(double u) { return 0.5 * (u * log(2 * u / (1 + u)) + log(2 / (1 + u))); } /* Jensen-Shannon */
static double js_f(double u) { return u * log(u) - (u + 1) * log((u + 1) / 2); }              /* twice that */
static double pearson_f(double u) { return (u - 1) * (u - 1); }
static double hellinger_f(double u) { return pow(sqrt(u) - 1, 2); }
static double tv_f(double u) { return fabs(u - 1) / 2; }
static double cam_f(double u) { return (u - 1) * (u - 1) / (u + 1); } /* (p - q)^2/(p + q) */
static double kl_best(double u) { return 1 + log(u); }
static double pearson_best(double u) { return 2 * (u - 1); }
static double hellinger_best(double u) { return 0.5 * log(u); }
static double tv_best(double u) { return u > 1 ? 40 : -40; }
static double squares_best(double u) { return u / (1 + u); }

typedef struct row {
    const char *name;
    fn *output, *data, *fake, *generator;
    fn *divergence, *best; /**< f and v of u = p/q at which D is best */
    fn *own_f;             /**< whose conjugate the row holds */
} row;
static const row rows[] = {
    {"non_saturating", sigmoid, log_d, log_not_d, log_d, jsd_f, log, NULL},
    {"minimax", sigmoid, log_d, log_not_d, minus_log_not_d, jsd_f, log, NULL},
    {"maximum_likelihood", sigmoid, log_d, log_not_d, odds, jsd_f, log, NULL},
    {"least_squares", itself, square_from_1, square, square_from_1, cam_f, squares_best, NULL},
    {"kl", itself, minus, kl_fake, kl_g, kl_f, kl_best, kl_f},
    {"reverse_kl", rkl_output, rkl_data, rkl_fake, rkl_g, rkl_f, log, rkl_f},
    {"jensen_shannon", js_output, js_data, js_fake, js_g, jsd_f, log, js_f},
    {"pearson", itself, minus, pearson_fake, pearson_g, pearson_f, pearson_best, pearson_f},
    {"squared_hellinger", hellinger_output, hellinger_data, hellinger_fake, hellinger_g, hellinger_f, hellinger_best,
     hellinger_f},
    {"total_variation", tv, tv_minus, tv, tv_minus, tv_f, tv_best, tv_f},
    {"wasserstein", itself, minus, itself, minus, NULL, NULL, NULL},
};

static void choices(void)
{
    char all[512] = "";
    int seen = 0;
    for (int i = 0; tx_model_list[i]; i++) seen += tx_model_list[i] == &tx_model_gan;
    CHECK_INT(seen, 1);
    for (size_t i = 0; i < TX_LEN(rows); i++) {
        CHECK_TEXT(tx_games[i].name, rows[i].name);
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "|" : "", tx_games[i].name);
    }
    CHECK_TEXT(all, TX_GAME_CHOICES);
}

static double value(tx_tape *t, tx_game_term *term, double v)
{
    real x = (real)v;
    return (double)term(t, tx_leaf(t, tx_matrix(&x, 1, 1)))->v.x[0];
}

static void terms(void)
{
    static const double v[] = {-2.385, -0.7, 0.31, 2.385};
    tx_tape *t = tx_tape_new(1 << 16);
    for (size_t i = 0; i < TX_LEN(rows); i++)
        for (size_t k = 0; k < TX_LEN(v); k++) {
            const tx_game *g = &tx_games[i];
            double x = (double)(real)v[k], scale = 1 + exp(fabs(x));
            real other = (real)0.9, own = (real)x;
            tx_var a = tx_leaf(t, tx_matrix(&own, 1, 1)), b = tx_leaf(t, tx_matrix(&other, 1, 1));
            CHECK_NEAR(value(t, g->output, x), rows[i].output(x), TOL * scale);
            CHECK_NEAR(tx_game_discriminator(t, g, a, b)->v.x[0], rows[i].data(x) + rows[i].fake((double)other),
                       TOL * scale);
            CHECK_NEAR(tx_game_discriminator(t, g, b, a)->v.x[0], rows[i].data((double)other) + rows[i].fake(x),
                       TOL * scale);
            CHECK_NEAR(tx_game_generator(t, g, a)->v.x[0], rows[i].generator(x), TOL * scale);
        }
    tx_tape_free(t);
}

/* What fakes cost is f*(T) = sup_u (u T - f(u)) at T = g_f(v), by search over log u. */
static void conjugates(void)
{
    int seen = 0;
    for (size_t i = 0; i < TX_LEN(rows); i++)
        for (double v = -1.3; rows[i].own_f && v < 1.5; v += 0.65, seen++) {
            double T = rows[i].output(v), low = -14, high = 14, golden = 0.6180339887498949;
            for (int k = 0; k < 200; k++) {
                double a = high - golden * (high - low), b = low + golden * (high - low);
                if (exp(a) * T - rows[i].own_f(exp(a)) > exp(b) * T - rows[i].own_f(exp(b)))
                    high = b;
                else
                    low = a;
            }
            double best = exp(low) * T - rows[i].own_f(exp(low));
            if (rows[i].own_f == pearson_f) best = fmax(best, -1); /* at u = 0 */
            tx_tape *t = tx_tape_new(1 << 12);
            CHECK_NEAR(value(t, tx_games[i].fake, v), best, fmax(TOL * 10, 1e-6));
            tx_tape_free(t);
        }
    CHECK_INT(seen, 6 * 5);
}

static double normal(double x, double mean, double s)
{
    return exp(-0.5 * (x - mean) * (x - mean) / (s * s)) / (s * sqrt(2 * M_PI));
}

/* offset + scale (what D descends) by the trapezoid rule, of D at v(x). */
enum { POINTS = 4001 };
static double estimate(const tx_game *g, const double p[], const double q[], const double v[], double h)
{
    tx_tape *t = tx_tape_new(1 << 20);
    real *x = tx_alloc(POINTS, sizeof *x);
    double loss = 0;
    for (int k = 0; k < POINTS; k++) x[k] = (real)v[k];
    tx_var in = tx_leaf(t, tx_matrix(x, POINTS, 1)), on_fakes = g->fake(t, in);
    tx_var on_data = g->data ? g->data(t, in) : tx_scale(t, g->output(t, in), -1);
    for (int k = 0; k < POINTS; k++) loss += h * (p[k] * (double)on_data->v.x[k] + q[k] * (double)on_fakes->v.x[k]);
    free(x), tx_tape_free(t);
    return g->offset + g->scale * loss;
}

/* Between N(0.3, 0.8^2) and N(-0.4, 1.1^2): at the best D the value is the divergence, at others it is less. */
static void divergences(void)
{
    static double p[POINTS], q[POINTS], v[POINTS], off[POINTS];
    const double low = -8, h = 16.0 / (POINTS - 1);
    for (size_t i = 0; i < TX_LEN(rows); i++) {
        const row *r = &rows[i];
        double direct = 0;
        for (int k = 0; k < POINTS; k++) {
            double x = low + h * k;
            p[k] = normal(x, 0.3, r->best ? 0.8 : 1.1), q[k] = normal(x, -0.4, 1.1);
            if (r->best) {
                direct += h * q[k] * r->divergence(p[k] / q[k]);
                v[k] = r->best(p[k] / q[k]);
            } else {
                v[k] = x; /* of slope 1: the distance of two normals of one deviation is that of their means */
            }
            off[k] = 0.8 * v[k] - 0.1 * sin(x);
        }
        if (!r->best) direct = 0.7;
        double best = estimate(&tx_games[i], p, q, v, h), worse = estimate(&tx_games[i], p, q, off, h);
        CHECK_NEAR(best, direct, is_double ? 1e-9 : 1e-5);
        CHECK_TRUE(direct > 0.02 && worse <= best + 1e-9);
        if (r->best != tv_best) CHECK_TRUE(worse < best - 1e-4);
    }
}

/* ---- whole games: networks of one hidden layer of tanh ---- */
enum { N = 7, D = 2, K = 3, WIDE = 16 };
static double mean_of_data[D] = {0.31, 0.36}, deviation_of_data[D] = {0.17, 0.2};
static const tx_space plane = {.measure = TX_LEBESGUE,
                               .dim = D,
                               .lower = -INFINITY,
                               .upper = INFINITY,
                               .mean = mean_of_data,
                               .deviation = deviation_of_data};

static tx_status try_model(tx_model **m, const tx_model_ops *ops, const char *text)
{
    void *c = tx_alloc(1, ops->config_size);
    CHECK_OK(tx_test_options(ops->options, c, text));
    tx_status s = tx_model_new(m, ops, c, &plane, 7);
    free(c);
    return s;
}
static tx_status try_game(tx_model **m, const char *text) { return try_model(m, &tx_model_gan, text); }

static void shake(tx_model *m)
{
    for (int i = 0; i < m->n_net; i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++) {
            tx_tensor w = tx_params_value(m->net[i], (tx_param){j});
            tx_rng_normal(tx_rng_fold(tx_rng_fold(tx_rng_root(11), (uint64_t)i), (uint64_t)j), 0, tx_len(w), w.x);
            tx_vec_affine(tx_len(w), (real)0.6, w.x, 0, w.x);
        }
}

static tx_model *game(const char *name, const char *more)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "{latent: %d, generator_hidden: [5], activation: tanh, discriminator_hidden: [4], discriminator_activation: "
        "tanh, game: %s%s}",
        K, name, more);
    tx_model *m = NULL;
    CHECK_OK(try_game(&m, text));
    CU_ASSERT_FATAL(m != NULL);
    shake(m);
    tx_model_train_with(m, tx_optim_find("sgd"), (double[4]){0});
    return m;
}

static void rows_of_data(real x[]) { tx_rng_uniform(tx_rng_named(tx_rng_root(4), "x"), 0, N * D, x); }

static tx_status move(tx_model *m, double rate, tx_metrics *out)
{
    tx_tape *t = tx_tape_new(1 << 16);
    tx_step s = {.tape = t, .rng = tx_rng_root(21), .rate = rate};
    real x[N * D];
    rows_of_data(x);
    tx_status status = tx_model_step(m, &s, tx_matrix(x, N, D), out);
    tx_tape_free(t);
    return status;
}

static double metric(const tx_metrics *m, const char *name)
{
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->m[i].name, name) == 0) return m->m[i].value;
    return NAN;
}

/* y = tanh(x w0 + b0) w1 + b1, and of one output its slope dy/dx. */
static void network(const tx_params *p, const double x[], double y[], double slope[])
{
    tx_tensor w0 = tx_params_value(p, (tx_param){0}), b0 = tx_params_value(p, (tx_param){1});
    tx_tensor w1 = tx_params_value(p, (tx_param){2}), b1 = tx_params_value(p, (tx_param){3});
    size_t in = tx_rows(w0), wide = tx_cols(w0), out = tx_cols(w1);
    for (size_t o = 0; o < out; o++) y[o] = (double)b1.x[o];
    for (size_t j = 0; slope && j < in; j++) slope[j] = 0;
    for (size_t k = 0; k < wide; k++) {
        double a = (double)b0.x[k];
        for (size_t j = 0; j < in; j++) a += x[j] * (double)w0.x[j * wide + k];
        double h = tanh(a);
        for (size_t o = 0; o < out; o++) y[o] += h * (double)w1.x[k * out + o];
        for (size_t j = 0; slope && j < in; j++) slope[j] += (1 - h * h) * (double)w1.x[k] * (double)w0.x[j * wide + k];
    }
}

/* What one step means, by loops over packs. */
typedef struct said {
    double loss[2], d_real, d_fake, divergence, slope;
} said;

static said written_out(const tx_model *m, size_t i, size_t pack, double lambda)
{
    said s = {0};
    tx_rng r = tx_rng_fold(tx_rng_root(21), 0), latent = tx_rng_named(r, "latent"),
           between = tx_rng_named(r, "between");
    size_t packs = N / pack, wide = pack * D;
    double n = (double)packs;
    real x[N * D];
    rows_of_data(x);
    for (size_t k = 0; k < packs; k++) {
        double data[WIDE], fake[WIDE], mixed[WIDE], slope[WIDE], v[2], square = 0;
        real place;
        tx_rng_uniform(between, k, 1, &place);
        for (size_t j = 0; j < pack; j++) {
            double z[K];
            real noise[K];
            tx_rng_normal(latent, (k * pack + j) * K, K, noise);
            for (int l = 0; l < K; l++) z[l] = (double)noise[l];
            network(m->net[0], z, fake + j * D, NULL);
        }
        for (size_t j = 0; j < wide; j++) {
            data[j] = (double)x[k * wide + j];
            mixed[j] = fake[j] + (double)place * (data[j] - fake[j]);
        }
        network(m->net[1], data, &v[0], NULL);
        network(m->net[1], fake, &v[1], NULL);
        s.loss[1] += (rows[i].data(v[0]) + rows[i].fake(v[1])) / n;
        s.loss[0] += rows[i].generator(v[1]) / n;
        s.d_real += rows[i].output(v[0]) / n, s.d_fake += rows[i].output(v[1]) / n;
        network(m->net[1], mixed, v, slope);
        for (size_t j = 0; j < wide; j++) square += slope[j] * slope[j];
        s.slope += sqrt(square) / n;
        s.divergence += lambda * pow(sqrt(square) - 1, 2) / n;
    }
    double plain = s.loss[1];
    s.loss[1] += s.divergence;
    s.divergence = tx_games[i].offset + tx_games[i].scale * plain;
    return s;
}

/* Every game, alone and in packs: what a step reports, and how it moves both players, against the loops above. */
static void steps(void)
{
    static const char *const still[] = {", discriminator_rate: 0", ", generator_rate: 0"};
    static const size_t packs[] = {1, 2, 3};
    const double h = is_double ? 1e-5 : 1e-3, tol = is_double ? 1e-6 : 3e-4;
    for (size_t k = 0; k < 2 * TX_LEN(packs) * TX_LEN(rows); k++) {
        size_t i = k / (2 * TX_LEN(packs)), pack = packs[k / 2 % TX_LEN(packs)];
        int player = k % 2;
        bool penalised = strcmp(rows[i].name, "wasserstein") == 0;
        double lambda = penalised ? pack == 2 ? 10 : 1.7 : 0; /* 10: of the paper, where the option is 0 */
        char more[128];
        snprintf(more, sizeof more, "%s, packing: %zu, gradient_penalty: %g", still[player], pack,
                 lambda == 10 ? 0 : lambda);
        tx_model *m = game(rows[i].name, more);
        tx_metrics out;
        tx_tensor block = tx_params_block(m->net[player]);
        real *old = memcpy(tx_alloc(tx_len(block), sizeof *old), block.x, tx_len(block) * sizeof *old);
        said s = written_out(m, i, pack, lambda);
        unsigned before = CU_get_number_of_failures();
        CHECK_OK(move(m, 1, &out));
        double *g = tx_alloc(tx_len(block), sizeof *g);
        for (size_t j = 0; j < tx_len(block); j++) g[j] = (double)old[j] - (double)block.x[j], block.x[j] = old[j];
        CHECK_NEAR(metric(&out, "objective"), s.loss[1], 20 * TOL);
        CHECK_NEAR(metric(&out, "d_real"), s.d_real, 20 * TOL);
        CHECK_NEAR(metric(&out, "d_fake"), s.d_fake, 20 * TOL);
        CHECK_NEAR(metric(&out, "divergence"), s.divergence, 100 * TOL);
        if (player == 0) CHECK_NEAR(metric(&out, "loss_generator"), s.loss[0], 20 * TOL);
        if (penalised) CHECK_NEAR(metric(&out, "slope"), s.slope, 20 * TOL);
        for (int q = 0; q < 4; q++) {
            tx_tensor w = tx_params_value(m->net[player], (tx_param){q});
            for (size_t j = 0; j < tx_len(w); j++) {
                real kept = w.x[j], up = (real)((double)kept + h), down = (real)((double)kept - h);
                w.x[j] = up;
                double slope = written_out(m, i, pack, lambda).loss[player];
                w.x[j] = down;
                slope = (slope - written_out(m, i, pack, lambda).loss[player]) / ((double)up - (double)down);
                w.x[j] = kept;
                CHECK_NEAR(g[w.x - block.x + (ptrdiff_t)j], slope, tol * fmax(fabs(slope), 3e-2));
            }
        }
        if (CU_get_number_of_failures() != before) printf("    ^ %s%s\n", rows[i].name, more);
        free(old), free(g), tx_model_free(m);
    }
}

/* ---- unrolled steps ---- */
static void copy_weights(tx_model *to, const tx_model *from)
{
    for (int i = 0; i < 2; i++) {
        tx_tensor a = tx_params_block(to->net[i]), b = tx_params_block(from->net[i]);
        memcpy(a.x, b.x, tx_len(a) * sizeof(real));
    }
}

/* G's loss after D has gone k steps of gradient descent with this G, which are real ones here. */
static double after_steps(tx_model *plain, const tx_model *m, int k, double rate)
{
    tx_metrics out;
    copy_weights(plain, m);
    for (int i = 0; i < k; i++) CHECK_OK(move(plain, rate, &out));
    CHECK_OK(move(plain, 0, &out));
    return metric(&out, "loss_generator");
}

static void unrolled(void)
{
    static const struct {
        const char *game, *more;
    } cases[] = {{"non_saturating", ""},
                 {"minimax", ", packing: 2"},
                 {"pearson", ""},
                 {"wasserstein", ", gradient_penalty: 1.3, packing: 2"}};
    const double rate = 0.37, h = 1e-5;
    for (size_t c = 0; c < TX_LEN(cases); c++)
        for (int k = 1; k <= 3; k++) {
            char text[160];
            snprintf(text, sizeof text, ", discriminator_rate: 0, unrolled_steps: %d, unrolled_rate: %g%s", k, rate,
                     cases[c].more);
            tx_model *m = game(cases[c].game, text);
            snprintf(text, sizeof text, ", generator_rate: 0%s", cases[c].more);
            tx_model *plain = game(cases[c].game, text), *kept = game(cases[c].game, cases[c].more);
            tx_metrics out;
            copy_weights(kept, m);
            CHECK_OK(move(m, 1, &out));
            CHECK_NEAR(metric(&out, "loss_generator"), after_steps(plain, kept, k, rate), 100 * TOL);
            CHECK_TRUE(fabs(after_steps(plain, kept, k, rate) - after_steps(plain, kept, k - 1, rate)) > 1e-3);
            tx_tensor a = tx_params_block(kept->net[1]), b = tx_params_block(m->net[1]);
            CHECK_TRUE(memcmp(a.x, b.x, tx_len(a) * sizeof(real)) == 0);
            tx_tensor block = tx_params_block(kept->net[0]), moved = tx_params_block(m->net[0]);
            for (size_t j = 0; is_double && j < tx_len(block); j++) {
                real was = block.x[j];
                double g = (double)(was - moved.x[j]);
                block.x[j] = (real)((double)was + h);
                double slope = after_steps(plain, kept, k, rate);
                block.x[j] = (real)((double)was - h);
                slope = (slope - after_steps(plain, kept, k, rate)) / (2 * h);
                block.x[j] = was;
                CHECK_NEAR(g, slope, 1e-6 * fmax(fabs(slope), 3e-2));
            }
            tx_model_free(m), tx_model_free(plain), tx_model_free(kept);
        }
}

/* Steps that go nowhere change no bit of either player. */
static void unrolled_by_nothing(void)
{
    tx_model *m[3] = {game("non_saturating", ""), game("non_saturating", ", unrolled_steps: 3, unrolled_rate: 0"),
                      game("non_saturating", ", unrolled_steps: 3")};
    for (int i = 0; i < 3; i++) {
        tx_metrics out;
        CHECK_OK(move(m[i], 0.5, &out));
        for (int k = 0; i > 0 && k < 2; k++) {
            tx_tensor a = tx_params_block(m[0]->net[k]), b = tx_params_block(m[i]->net[k]);
            bool same = memcmp(a.x, b.x, tx_len(a) * sizeof(real)) == 0;
            CHECK_TRUE(same == (i == 1 || k == 1));
        }
    }
    for (int i = 0; i < 3; i++) tx_model_free(m[i]);
}

/* A short batch fills one pack by repetition. */
static void short_batch(void)
{
    tx_model *m[2] = {game("least_squares", ", packing: 3, generator_rate: 0"),
                      game("least_squares", ", packing: 3, generator_rate: 0")};
    real one[D] = {(real)0.3, (real)-0.8}, thrice[3 * D];
    for (int k = 0; k < 3 * D; k++) thrice[k] = one[k % D];
    tx_tape *t = tx_tape_new(1 << 16);
    tx_step s = {.tape = t, .rng = tx_rng_root(2), .rate = 0.1};
    tx_metrics a, b;
    CHECK_OK(tx_model_step(m[0], &s, tx_matrix(one, 1, D), &a));
    CHECK_OK(tx_model_step(m[1], &s, tx_matrix(thrice, 3, D), &b));
    CHECK_TRUE(metric(&a, "objective") == metric(&b, "objective") && isfinite(metric(&a, "objective")));
    tx_tape_free(t), tx_model_free(m[0]), tx_model_free(m[1]);
}

static void refusals(void)
{
    static const char *const smoothed[] = {"least_squares",   "kl",         "reverse_kl",
                                           "jensen_shannon",  "pearson",    "squared_hellinger",
                                           "total_variation", "wasserstein"};
    char text[160], want[160];
    tx_model *m = NULL;
    for (size_t i = 0; i < TX_LEN(smoothed); i++) {
        snprintf(text, sizeof text, "{game: %s, label_smoothing: 0.1}", smoothed[i]);
        snprintf(want, sizeof want, "'label_smoothing' does not apply to game '%s'", smoothed[i]);
        CHECK_INT(try_game(&m, text), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), want);
    }
    for (size_t i = 0; i + 1 < TX_LEN(rows); i++) {
        snprintf(text, sizeof text, "{game: %s, gradient_penalty: 10}", rows[i].name);
        snprintf(want, sizeof want, "'gradient_penalty' does not apply to game '%s', only to 'wasserstein'",
                 rows[i].name);
        CHECK_INT(try_game(&m, text), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), want);
    }
}

/* ---- flow_gan ---- */
static tx_model *flow(const tx_model_ops *ops, const char *text)
{
    tx_model *m = NULL;
    CHECK_OK(try_model(&m, ops, text));
    CU_ASSERT_FATAL(m != NULL);
    shake(m);
    tx_model_train_with(m, tx_optim_find("sgd"), (double[4]){0});
    return m;
}

/* Both players move by minus the slopes of what the step reports of them; the likelihood in it is that of log_prob. */
static void flow_slopes(void)
{
    static const char *const cases[] = {
        "{hidden: [5], couplings: 2, activation: tanh, discriminator_hidden: [4], discriminator_activation: tanh, "
        "discriminator_steps: 1, lambda: 0.3%s}",
        "{hidden: [5], couplings: 2, activation: tanh, discriminator_hidden: [4], discriminator_activation: tanh, "
        "discriminator_steps: 1, objective: adversarial, game: squared_hellinger, packing: 2%s}"};
    static const char *const said_of[] = {"objective", "loss_discriminator"};
    const double h = 1e-5;
    for (int k = 0; is_double && k < 4; k++) {
        int player = k % 2;
        char text[300];
        snprintf(text, sizeof text, cases[k / 2], player ? "" : ", discriminator_rate: 0");
        tx_model *m = flow(&tx_model_flow_gan, text), *at = flow(&tx_model_flow_gan, text);
        tx_metrics out;
        CHECK_OK(move(m, 1, &out));
        tx_tensor moved = tx_params_block(m->net[player]), block = tx_params_block(at->net[player]);
        for (size_t j = 0; j < tx_len(block); j++) {
            real was = block.x[j];
            block.x[j] = was + (real)h;
            CHECK_OK(move(at, 0, &out));
            double slope = metric(&out, said_of[player]);
            block.x[j] = was - (real)h;
            CHECK_OK(move(at, 0, &out));
            slope = (slope - metric(&out, said_of[player])) / (2 * h);
            block.x[j] = was;
            CHECK_NEAR((double)(was - moved.x[j]), slope, 1e-6 * fmax(fabs(slope), 3e-2));
        }
        CHECK_OK(move(at, 0, &out));
        if (k < 2) {
            real x[N * D];
            double value[N], sum = 0;
            tx_tape *t = tx_tape_new(1 << 16);
            rows_of_data(x);
            tx_model_evaluate(at, t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, N, D), value);
            for (int i = 0; i < N; i++) sum += value[i] / N;
            CHECK_NEAR(metric(&out, "log_likelihood"), sum, TOL);
            CHECK_NEAR(metric(&out, "objective"), metric(&out, "loss_generator") - 0.3 * sum, TOL);
            tx_tape_free(t);
        }
        tx_model_free(m), tx_model_free(at);
    }
}

/* By likelihood it is NICE, to the bit; its last parameters are kept only against a critic alone. */
static void flow_is_nice(void)
{
    static const char *const objectives[] = {"likelihood", "adversarial", "hybrid"};
    tx_model *m[2] = {flow(&tx_model_nice, "{hidden: [5], couplings: 3}"),
                      flow(&tx_model_flow_gan, "{hidden: [5], couplings: 3, objective: likelihood}")};
    tx_metrics out[2];
    for (int i = 0; i < 2; i++) CHECK_OK(move(m[i], 0.01, &out[i]));
    CHECK_TRUE(out[0].m[0].value == out[1].m[0].value);
    tx_tensor a = tx_params_block(m[0]->net[0]), b = tx_params_block(m[1]->net[0]);
    CHECK_TRUE(memcmp(a.x, b.x, tx_len(a) * sizeof(real)) == 0);
    for (int i = 0; i < 2; i++) tx_model_free(m[i]);
    for (size_t k = 0; k < TX_LEN(objectives); k++) {
        char text[80];
        snprintf(text, sizeof text, "{hidden: [5], objective: %s}", objectives[k]);
        tx_model *one = flow(&tx_model_flow_gan, text);
        CHECK_INT(one->n_net, k == 0 ? 1 : 2);
        CHECK_TRUE(tx_model_flow_gan.keeps_last(one) == (k == 1));
        tx_model_free(one);
    }
    tx_model *none = NULL;
    CHECK_INT(try_model(&none, &tx_model_flow_gan, "{game: kl, gradient_penalty: 1}"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "flow_gan: 'gradient_penalty' does not apply to game 'kl'");
}

/* ---- dcgan ---- */
enum { IMAGES = 6, HEIGHT = 5, WIDTH = 4, CHANNELS = 2, IMAGE = HEIGHT * WIDTH * CHANNELS };
static const double grey[IMAGE] = {0}, spread[IMAGE] = {0};
static const tx_space picture = {.measure = TX_LEBESGUE,
                                 .dim = IMAGE,
                                 .height = HEIGHT,
                                 .width = WIDTH,
                                 .channel = CHANNELS,
                                 .lower = -1,
                                 .upper = 1,
                                 .mean = grey,
                                 .deviation = spread};

static tx_model *convolutional(const tx_model_ops *ops, const char *more)
{
    char text[300];
    void *c = tx_alloc(1, ops->config_size);
    tx_model *m = NULL;
    snprintf(text, sizeof text, "{architecture: dcgan, channels: [3, 4]%s}", more);
    CHECK_OK(tx_test_options(ops->options, c, text));
    CHECK_OK(tx_model_new(&m, ops, c, &picture, 7));
    free(c);
    CU_ASSERT_FATAL(m != NULL);
    tx_model_train_with(m, tx_optim_find("sgd"), (double[4]){0});
    for (int i = 0; i < 2; i++) { /* weights that are not small */
        tx_tensor w = tx_params_block(m->net[i]);
        tx_rng_normal(tx_rng_fold(tx_rng_root(5), (uint64_t)i), 0, tx_len(w), w.x);
        tx_vec_affine(tx_len(w), (real)0.5, w.x, 0, w.x);
    }
    return m;
}

static tx_metrics paint(tx_model *m, tx_tape *t, double rate)
{
    real x[IMAGES * IMAGE];
    tx_metrics out;
    tx_step s = {.tape = t, .rng = tx_rng_root(21), .rate = rate};
    tx_rng_uniform(tx_rng_root(4), 0, IMAGES * IMAGE, x);
    CHECK_OK(tx_model_step(m, &s, tx_matrix(x, IMAGES, IMAGE), &out));
    return out;
}

/* Both players move by minus the slopes of their losses; few weights lie at a kink of an activation. */
static void convolutional_slopes(void)
{
    static const struct {
        const tx_model_ops *ops;
        const char *more, *said[2];
    } cases[] = {
        {&tx_model_gan, ", latent: 3, game: least_squares", {"loss_generator", "loss_discriminator"}},
        {&tx_model_gan, ", latent: 3, game: minimax, packing: 2", {"loss_generator", "loss_discriminator"}},
        {&tx_model_gan, ", latent: 3, game: wasserstein, packing: 3", {"loss_generator", "loss_discriminator"}},
        {&tx_model_flow_gan,
         ", hidden: [3], couplings: 2, game: pearson, discriminator_steps: 1",
         {"objective", "loss_discriminator"}}};
    const double h = 1e-6;
    tx_tape *t = tx_tape_new(1 << 20);
    for (size_t k = 0; is_double && k < 2 * TX_LEN(cases); k++) {
        int player = k % 2, tried[2] = {0};
        char more[200];
        snprintf(more, sizeof more, "%s%s", cases[k / 2].more,
                 player == 0                         ? ", discriminator_rate: 0"
                 : cases[k / 2].ops == &tx_model_gan ? ", generator_rate: 0"
                                                     : "");
        tx_model *m = convolutional(cases[k / 2].ops, more), *at = convolutional(cases[k / 2].ops, more);
        tx_metrics out = paint(m, t, 1);
        tx_tensor moved = tx_params_block(m->net[player]), block = tx_params_block(at->net[player]);
        double largest = 0;
        for (size_t j = 0; j < tx_len(block); j += 3) {
            real was = block.x[j];
            block.x[j] = was + (real)h;
            out = paint(at, t, 0);
            double slope = metric(&out, cases[k / 2].said[player]);
            block.x[j] = was - (real)h;
            out = paint(at, t, 0);
            slope = (slope - metric(&out, cases[k / 2].said[player])) / (2 * h);
            block.x[j] = was;
            tried[fabs((double)(was - moved.x[j]) - slope) <= 1e-5 * fmax(fabs(slope), 0.1)]++;
            largest = fmax(largest, fabs(slope));
        }
        if (tried[0] * 20 > tried[1]) printf("\n  %s: %d of %d differ\n", more, tried[0], tried[0] + tried[1]);
        CHECK_TRUE(tried[0] * 20 <= tried[1] && largest > 0.01);
        tx_model_free(m), tx_model_free(at);
    }
    tx_tape_free(t);
}

/* Training moves the running statistics; a sample is by them, so that it is the same alone and moves them no more. No
 * step after the third takes memory. */
static void running_statistics(void)
{
    enum { N_DRAWN = 5 };
    tx_tape *t = tx_tape_new(1 << 20);
    tx_model *m = convolutional(&tx_model_gan, ", latent: 3");
    tx_tensor statistics = tx_params_block(m->net[2]);
    CHECK_TRUE(tx_params_is_state(m->net[2]) && m->n_net == 3);
    real *old = memcpy(tx_alloc(tx_len(statistics), sizeof *old), statistics.x, tx_len(statistics) * sizeof *old);
    for (int i = 0; i < 3; i++) paint(m, t, 0);
    size_t growths = tx_tape_growths(t);
    for (int i = 0; i < 300; i++) paint(m, t, 0);
    CHECK_INT(tx_tape_growths(t), growths);
    CHECK_TRUE(memcmp(old, statistics.x, tx_len(statistics) * sizeof *old) != 0);
    memcpy(old, statistics.x, tx_len(statistics) * sizeof *old);
    real all[N_DRAWN * IMAGE], one[IMAGE];
    tx_model_sample(m, t, tx_rng_root(8), 0, N_DRAWN, false, all);
    tx_model_sample(m, t, tx_rng_root(8), 3, 1, false, one);
    for (int j = 0; j < IMAGE; j++) CHECK_NEAR(one[j], all[3 * IMAGE + j], 10 * TOL);
    CHECK_TRUE(memcmp(old, statistics.x, tx_len(statistics) * sizeof *old) == 0);
    free(old), tx_tape_free(t), tx_model_free(m);
}

/* After many steps on one batch of noise they are its mean and variance, over rows and pixels: of G's dense layer by
 * hand. */
static void running_statistics_of_noise(void)
{
    enum { LATENT = 3, PIXELS = 2, LAST = 4 };
    tx_tape *t = tx_tape_new(1 << 20);
    tx_model *m = convolutional(&tx_model_gan, ", latent: 3");
    for (int i = 0; i < 300; i++) paint(m, t, 0);
    tx_tensor w = tx_params_value(m->net[0], (tx_param){0}), mean = tx_params_value(m->net[2], (tx_param){0}),
              variance = tx_params_value(m->net[2], (tx_param){1});
    CHECK_TEXT(tx_params_name(m->net[0], (tx_param){0}), "dense_w");
    CHECK_TEXT(tx_params_name(m->net[2], (tx_param){0}), "generator_dense_mean");
    CHECK_INT(tx_cols(w), PIXELS * LAST);
    real z[IMAGES * LATENT];
    tx_rng_normal(tx_rng_named(tx_rng_fold(tx_rng_root(21), 0), "latent"), 0, IMAGES * LATENT, z);
    for (int c = 0; c < LAST; c++) {
        double sum = 0, square = 0, n = IMAGES * PIXELS;
        for (int i = 0; i < IMAGES * PIXELS; i++) {
            double a = 0;
            for (int k = 0; k < LATENT; k++)
                a += (double)z[i / PIXELS * LATENT + k] * (double)w.x[k * PIXELS * LAST + i % PIXELS * LAST + c];
            sum += a / n, square += a * a / n;
        }
        CHECK_NEAR(mean.x[c], sum, 20 * TOL);
        CHECK_NEAR(variance.x[c], square - sum * sum, 20 * TOL);
    }
    tx_tape_free(t), tx_model_free(m);
}

typedef struct lone {
    tx_params *p, *running;
    tx_dcgan d;
} lone;

/* A discriminator by itself, of images with so many channels, `pack` of them at once; its weights do not depend on how
 * the channels come. */
static lone discriminator(size_t channels, size_t pack)
{
    lone n = {tx_params_new("discriminator"), tx_params_new_state("statistics"), {0}};
    tx_space space = picture;
    tx_ints maps = {2, {3, 4}};
    space.channel = channels, space.dim = HEIGHT * WIDTH * channels;
    n.d = tx_dcgan_discriminator(n.p, n.running, &space, &maps, pack);
    tx_params_seal(n.p, tx_rng_root(3)), tx_params_seal(n.running, tx_rng_root(3));
    tx_tensor w = tx_params_block(n.p);
    tx_rng_normal(tx_rng_root(9), 0, tx_len(w), w.x);
    return n;
}

static void verdicts(lone *n, tx_tape *t, size_t parts, size_t n_row, real *x, real v[])
{
    tx_tape_reset(t), tx_params_bind(n->p, t), tx_params_bind(n->running, t);
    tx_var in = tx_leaf(t, tx_matrix(x, n_row, HEIGHT * WIDTH * n->d.map[0].in));
    memcpy(v, tx_dcgan_discriminate(t, n->p, n->running, &n->d, parts, in)->v.x, n_row * sizeof *v);
}

/* Data and fakes below one another are what each is alone; two images side by side are one of twice the channels. */
static void parts_and_packs(void)
{
    enum { PIXELS = HEIGHT * WIDTH };
    lone two = discriminator(2, 1), four = discriminator(4, 1), pair = discriminator(2, 2);
    tx_tape *t = tx_tape_new(1 << 18);
    real x[IMAGES * IMAGE], y[IMAGES * IMAGE], v[IMAGES], w[IMAGES];
    tx_rng_normal(tx_rng_root(2), 0, IMAGES * IMAGE, x);
    verdicts(&two, t, 2, IMAGES, x, v);
    verdicts(&two, t, 1, IMAGES / 2, x, w);
    verdicts(&two, t, 1, IMAGES / 2, x + IMAGES / 2 * IMAGE, w + IMAGES / 2);
    for (int i = 0; i < IMAGES; i++) CHECK_NEAR(v[i], w[i], 100 * TOL);
    for (int i = 0; i < IMAGES / 2; i++)
        for (int q = 0; q < PIXELS; q++)
            for (int c = 0; c < 4; c++) y[i * 2 * IMAGE + q * 4 + c] = x[(2 * i + c / 2) * IMAGE + q * 2 + c % 2];
    verdicts(&pair, t, 1, IMAGES / 2, x, v);
    verdicts(&four, t, 1, IMAGES / 2, y, w);
    for (int i = 0; i < IMAGES / 2; i++) CHECK_NEAR(v[i], w[i], 100 * TOL);
    CHECK_TRUE(fabs((double)(v[0] - v[1])) > 0.01);
    lone *all[] = {&two, &four, &pair};
    for (int i = 0; i < 3; i++) tx_params_free(all[i]->p), tx_params_free(all[i]->running);
    tx_tape_free(t);
}

static void convolutional_refusals(void)
{
    static const struct {
        const char *text, *want;
    } cases[] = {{"{architecture: dcgan}", "gan: architecture 'dcgan' does not apply: the data have no image shape"}};
    tx_model *m = NULL;
    for (size_t i = 0; i < TX_LEN(cases); i++) {
        CHECK_INT(try_game(&m, cases[i].text), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), cases[i].want);
    }
    static const struct {
        const char *text, *want;
    } shaped[] = {{"{architecture: dcgan, channels: []}", "'channels' has 1 to 6 members"},
                  {"{architecture: dcgan, keep_hidden: 0.5}", "'keep_input' and 'keep_hidden' do not apply"},
                  {"{architecture: dcgan, discriminator_activation: maxout}", "maxout' does not apply"},
                  {"{architecture: dcgan, generator_init: 0.1}", "'generator_init' does not apply to architecture"},
                  {"{architecture: dcgan, discriminator_init: 0.1}", "'discriminator_init' does not apply to arch"},
                  {"{architecture: dcgan, unrolled_steps: 1}", "'unrolled_steps' does not apply to architecture"}};
    for (size_t i = 0; i < TX_LEN(shaped); i++) {
        void *c = tx_alloc(1, tx_model_gan.config_size);
        CHECK_OK(tx_test_options(tx_model_gan.options, c, shaped[i].text));
        CHECK_INT(tx_model_new(&m, &tx_model_gan, c, &picture, 7), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), shaped[i].want);
        free(c);
    }
}

/* ---- learning ---- */
enum { STEPS = 4000, BATCH = 128, DRAWN = 20000 };
static void learn(const char *options, double rate, double share)
{
    const double mean = -1.7, deviation = 0.6;
    tx_space line = {.measure = TX_LEBESGUE,
                     .dim = 1,
                     .lower = -INFINITY,
                     .upper = INFINITY,
                     .mean = mean_of_data,
                     .deviation = deviation_of_data};
    void *c = tx_alloc(1, tx_model_gan.config_size), *adam = tx_alloc(1, tx_optim_find("adam")->config_size);
    tx_model *m = NULL;
    tx_metrics out;
    CHECK_OK(tx_test_options(tx_model_gan.options, c, options));
    CHECK_OK(tx_test_options(tx_optim_find("adam")->options, adam, "{beta1: 0.5}"));
    CHECK_OK(tx_model_new(&m, &tx_model_gan, c, &line, 7));
    tx_model_train_with(m, tx_optim_find("adam"), adam);
    tx_tape *t = tx_tape_new(1 << 20);
    real x[BATCH], *drawn = tx_alloc(DRAWN, sizeof *drawn);
    for (uint64_t i = 0; i < STEPS; i++) {
        double left = 1 - (double)i / STEPS;
        tx_step s = {.tape = t, .rng = tx_rng_fold(tx_rng_root(31), i), .number = i, .rate = rate * left};
        tx_rng_normal(tx_rng_root(32), i * BATCH, BATCH, x);
        tx_vec_affine(BATCH, (real)deviation, x, (real)mean, x);
        CHECK_OK(tx_model_step(m, &s, tx_matrix(x, BATCH, 1), &out));
    }
    tx_model_sample(m, t, tx_rng_root(33), 0, DRAWN, false, drawn);
    double sum = 0, square = 0;
    for (size_t i = 0; i < DRAWN; i++) sum += (double)drawn[i] / DRAWN, square += pow((double)drawn[i], 2) / DRAWN;
    unsigned before = CU_get_number_of_failures();
    CHECK_NEAR(sum, mean, share * deviation);
    CHECK_NEAR(sqrt(square - sum * sum), deviation, share * deviation);
    if (CU_get_number_of_failures() != before) printf("    ^ %s: divergence %g\n", options, metric(&out, "divergence"));
    free(c), free(adam), free(drawn), tx_tape_free(t), tx_model_free(m);
}

/* N(-1.7, 0.6^2), from a start three deviations away: mean and deviation within a twentieth of the deviation. */
static void learns(void)
{
    learn("{latent: 2, generator_hidden: [16], discriminator_hidden: [32, 32], discriminator_activation: tanh, "
          "discriminator_rate: 2}",
          2e-3, 0.05);
}

int main(void)
{
    static const tx_test tests[] = {
        {"choices are the rows", choices},
        {"terms in closed form", terms},
        {"conjugates by search", conjugates},
        {"divergences of two normals by quadrature", divergences},
        {"games, packs and penalties by loops, slopes by differences", steps},
        {"unrolled steps against real ones", unrolled},
        {"unrolled steps of rate 0 are none", unrolled_by_nothing},
        {"a batch shorter than a pack", short_batch},
        {"what does not apply is refused", refusals},
        {"flow_gan: slopes of both players by differences", flow_slopes},
        {"flow_gan: by likelihood it is nice", flow_is_nice},
        {"dcgan: slopes of both players by differences", convolutional_slopes},
        {"dcgan: parts and packs", parts_and_packs},
        {"dcgan: running statistics", running_statistics},
        {"dcgan: running statistics are those of the noise", running_statistics_of_noise},
        {"dcgan: what does not apply is refused", convolutional_refusals},
        {"a normal distribution is learnt", learns},
    };
    return tx_run_tests("gan", tests, TX_LEN(tests));
}
