/* Boltzmann machines against brute force: p* by sums written out, Z by all states or quadrature, gradients against
 * derivatives of the exact likelihood, samples against exact probabilities; and the estimators of log Z on them. */
#include <stdlib.h>
#include "common/likelihood/estimator.h"
#include "common/model/energy.h"
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"
#include "models/boltzmann/units.h"
#include "tests/support/check.h"

enum { MOST = 8, ROWS = 64 };

#ifdef TX_DOUBLE
static const double tight = 1e-10, nudge = 1e-5;
#else
static const double tight = 1e-4, nudge = 2e-2;
#endif

/* ---- data and models ---- */

static const tx_model_ops *find(const char *name)
{
    for (size_t k = 0; tx_model_list[k]; k++)
        if (strcmp(tx_model_list[k]->name, name) == 0) return tx_model_list[k];
    abort();
}

typedef struct toy {
    tx_dataset data;
    tx_view view;
    tx_model *m;
    tx_tape *t;
} toy;

static void fill(tx_dataset *d, bool real_valued, size_t dim)
{
    *d = (tx_dataset){
        .name = "toy", .type = real_valued ? TX_REAL : TX_BINARY, .levels = real_valued ? 0 : 2, .dim = dim};
    for (int s = 0; s < TX_N_SPLIT; s++) {
        uint8_t *level = real_valued ? NULL : tx_alloc(ROWS * dim, 1);
        float *value = real_valued ? tx_alloc(ROWS * dim, sizeof *value) : NULL;
        tx_rng r = tx_rng_fold(tx_rng_root(3), (uint64_t)s);
        for (size_t i = 0; i < ROWS * dim; i++) {
            double shared = tx_rng_normal1(r, 100000 + i / dim), own = tx_rng_normal1(r, i);
            if (level) level[i] = shared + own > 0.385;
            if (value) value[i] = (float)(2.385 + 0.7 * shared + 0.5 * own);
        }
        d->split[s].n = ROWS, d->split[s].level = level, d->split[s].value = value;
        d->memory[s] = level ? (void *)level : (void *)value;
    }
}

/* Every weight gets normal noise of this deviation. */
static void shake(tx_model *m, double deviation, uint64_t seed)
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++) {
            tx_tensor w = tx_params_value(m->net[i], (tx_param){j});
            tx_rng r = tx_rng_fold(tx_rng_fold(tx_rng_root(seed), (uint64_t)i), (uint64_t)j);
            for (size_t k = 0; k < tx_len(w); k++) w.x[k] += (real)(deviation * tx_rng_normal1(r, k));
        }
}

static void open_toy(toy *o, const char *model, const char *text, bool real_valued, size_t dim)
{
    tx_view_config c;
    const tx_model_ops *ops = find(model);
    void *config = tx_alloc(1, ops->config_size);
    fill(&o->data, real_valued, dim);
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_view_open(&o->view, &o->data, &c));
    CHECK_OK(tx_test_options(ops->options, config, text));
    CHECK_OK(tx_model_new(&o->m, ops, config, &o->view.space, 17));
    o->t = tx_tape_new(1 << 16);
    free(config);
}

static void close_toy(toy *o)
{
    tx_tape_free(o->t), tx_model_free(o->m), tx_view_close(&o->view), tx_dataset_close(&o->data);
}

static tx_tensor weight(const tx_model *m, int net, const char *name)
{
    for (int j = 0; j < tx_params_count(m->net[net]); j++)
        if (strcmp(tx_params_name(m->net[net], (tx_param){j}), name) == 0)
            return tx_params_value(m->net[net], (tx_param){j});
    abort();
}

static void write_state(size_t state, size_t dim, real *x)
{
    for (size_t j = 0; j < dim; j++) x[j] = (real)(state >> j & 1);
}

static void log_unnormalised(toy *o, size_t n, real *x, double *value)
{
    tx_model_evaluate(o->m, o->t, TX_SCORE_UNNORMALISED, tx_rng_root(0), 0, tx_matrix(x, n, o->data.dim), value);
}

static double enumerated(toy *o)
{
    double log_z = NAN;
    tx_model_bind(o->m, o->t);
    CHECK_OK(o->m->ops->energy->enumerate(o->m, o->t, &log_z, tx_rng_root(0), 0, (tx_tensor){0}));
    return log_z;
}

static tx_status estimate(toy *o, const char *name, const char *settings, uint64_t seed, tx_estimate *e)
{
    const tx_estimator_ops *ops = tx_estimator_find(name);
    unsigned char config[1024];
    CHECK_OK(tx_test_options(ops->options, config, settings));
    return ops->run(config, o->m, &o->view, TX_TEST, 0, tx_rng_root(seed), NULL, NULL, e);
}

static double setting(const tx_estimate *e, const char *name)
{
    return json_number_value(json_object_get(e->settings, name));
}

/* ---- the density ---- */

/* - E(v, h) = b v + c h + v W h, written out. */
static double minus_energy(const tx_model *m, size_t d, size_t h, size_t v, size_t u)
{
    tx_tensor w = weight(m, 0, "w"), b = weight(m, 1, "b"), c = weight(m, 1, "c");
    double sum = 0;
    for (size_t i = 0; i < d; i++) sum += (v >> i & 1) ? (double)b.x[i] : 0;
    for (size_t j = 0; j < h; j++) sum += (u >> j & 1) ? (double)c.x[j] : 0;
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < h; j++) sum += (v >> i & 1) && (u >> j & 1) ? (double)w.x[i * h + j] : 0;
    return sum;
}

/* log p*(v) of a deep machine, its second layer summed in closed form and its first by all states. */
static double dbm_by_first_layer(const tx_model *m, size_t d, size_t v)
{
    tx_tensor w1 = weight(m, 0, "w1"), w2 = weight(m, 0, "w2");
    const real *b = weight(m, 1, "b").x, *c1 = weight(m, 1, "c1").x, *c2 = weight(m, 1, "c2").x;
    size_t h1 = tx_cols(w1), h2 = tx_cols(w2);
    double total = 0;
    for (size_t u = 0; u < (size_t)1 << h1; u++) {
        double sum = 0;
        for (size_t i = 0; i < d; i++) sum += (v >> i & 1) ? (double)b[i] : 0;
        for (size_t j = 0; j < h1; j++) {
            if (!(u >> j & 1)) continue;
            sum += (double)c1[j];
            for (size_t i = 0; i < d; i++) sum += (v >> i & 1) ? (double)w1.x[i * h1 + j] : 0;
        }
        for (size_t k = 0; k < h2; k++) {
            double a = (double)c2[k];
            for (size_t j = 0; j < h1; j++) a += (u >> j & 1) ? (double)w2.x[j * h2 + k] : 0;
            sum += log1p(exp(a));
        }
        total += exp(sum);
    }
    return log(total);
}

/* 8 + 8 hidden units: Z is the sum over all v, and the variational term is below log p* and near to it. */
static void dbm_by_sums(void)
{
    enum { D = 8, ALL = 1 << D };
    toy o;
    tx_estimate e;
    double z = 0, gap = 0, log_z, value[ALL], exact[ALL];
    real *x = tx_alloc(ALL * D, sizeof *x);
    open_toy(&o, "dbm", "{hidden: [8, 8]}", false, D);
    shake(o.m, 0.5, 101);
    for (size_t v = 0; v < ALL; v++) {
        write_state(v, D, x + v * D);
        exact[v] = dbm_by_first_layer(o.m, D, v);
        z += exp(exact[v]);
    }
    log_z = log(z);
    CHECK_NEAR(enumerated(&o), log_z, 10 * tight);
    log_unnormalised(&o, ALL, x, value);
    for (size_t v = 0; v < ALL; v++) {
        CHECK_TRUE(value[v] <= exact[v] + 10 * tight);
        gap += (exact[v] - value[v]) * exp(exact[v] - log_z);
    }
    CHECK_TRUE(gap > 0.01 && gap < 0.5);
    for (size_t i = 0; i < 64; i++) weight(o.m, 0, "w2").x[i] = 0; /* the posterior is factorial, the term exact */
    log_unnormalised(&o, ALL, x, value);
    for (size_t v = 0; v < ALL; v++) CHECK_NEAR(value[v], dbm_by_first_layer(o.m, D, v), 10 * tight);
    CHECK_OK(estimate(&o, "enumerated", "{}", 1, &e));
    CHECK_TRUE(e.kind == TX_LOWER_BOUND && !e.stochastic);
    tx_estimate_free(&e);
    CHECK_OK(estimate(&o, "ais_log_z", "{n_step: 20, n_chain: 20}", 1, &e));
    CHECK_TRUE(e.kind == TX_ESTIMATE && e.stochastic); /* a lower bound less a lower bound */
    tx_estimate_free(&e);
    CHECK_OK(estimate(&o, "ais_log_z", "{n_step: 20, n_chain: 20, direction: reverse}", 1, &e));
    CHECK_TRUE(e.kind == TX_LOWER_BOUND && e.stochastic);
    tx_estimate_free(&e);
    free(x), close_toy(&o);
}

static void rbm_by_sums(void)
{
    static const struct {
        size_t d, h;
    } sizes[] = {{4, 3}, {3, 5}, {5, 1}};
    for (size_t k = 0; k < TX_LEN(sizes); k++) {
        size_t d = sizes[k].d, h = sizes[k].h;
        char text[64];
        toy o;
        double z = 0;
        snprintf(text, sizeof text, "{hidden: %zu}", h);
        open_toy(&o, "rbm", text, false, d);
        shake(o.m, 0.8, 5 + k);
        for (size_t v = 0; v < (size_t)1 << d; v++) {
            real x[MOST];
            double sum = 0, value;
            for (size_t u = 0; u < (size_t)1 << h; u++) sum += exp(minus_energy(o.m, d, h, v, u));
            write_state(v, d, x);
            log_unnormalised(&o, 1, x, &value);
            CHECK_NEAR(value, log(sum), tight);
            z += sum;
        }
        CHECK_NEAR(enumerated(&o), log(z), tight); /* of units of v or of h, whichever are fewer */
        close_toy(&o);
    }
}

/* p*(v) = sum_h exp(-|v - b|^2/(2 sigma^2) + c h + (v/sigma) W h) by hand for one hidden unit. */
static void rbm_by_hand(void)
{
    toy o;
    double value;
    real x[2] = {(real)2.385, (real)-0.5};
    open_toy(&o, "rbm", "{hidden: 1}", true, 2);
    const real w[] = {(real)0.6, (real)-1.1}, b[] = {2, (real)0.25}, log_sigma[] = {(real)log(0.5), (real)log(2)};
    memcpy(weight(o.m, 0, "w").x, w, sizeof w), memcpy(weight(o.m, 1, "b").x, b, sizeof b);
    memcpy(weight(o.m, 1, "log_sigma").x, log_sigma, sizeof log_sigma);
    weight(o.m, 1, "c").x[0] = (real)0.3;
    log_unnormalised(&o, 1, x, &value);
    CHECK_NEAR(value, -0.5 * (0.77 * 0.77 + 0.375 * 0.375) + log1p(exp(0.3 + 4.77 * 0.6 + 0.25 * 1.1)), tight);
    close_toy(&o);
}

/* Z against a grid of equal steps, which is exact to rounding for sums of normals. */
static void gaussian_rbm_by_quadrature(void)
{
    enum { POINTS = 400 };
    for (size_t dim = 1; dim <= 2; dim++) {
        toy o;
        double low = -14, step = 34.0 / POINTS, sum = 0, value[POINTS];
        real *x = tx_alloc(POINTS * dim, sizeof *x);
        open_toy(&o, "rbm", "{hidden: 4, deviation: 0.8}", true, dim);
        shake(o.m, 0.5, 11);
        for (size_t i = 0; i < (dim == 1 ? 1 : POINTS); i++) {
            for (size_t j = 0; j < POINTS; j++) {
                x[j * dim] = (real)(low + step * (double)j);
                if (dim == 2) x[j * dim + 1] = (real)(low + step * (double)i);
            }
            log_unnormalised(&o, POINTS, x, value);
            for (size_t j = 0; j < POINTS; j++) sum += exp(value[j]) * pow(step, (double)dim);
        }
        CHECK_NEAR(enumerated(&o), log(sum), 10 * tight);
        free(x), close_toy(&o);
    }
}

/* ---- gradients ---- */

/* Mean of log p*(x) - log Z over the training rows. */
static double log_likelihood(toy *o, real *x)
{
    double value[ROWS], sum = 0;
    log_unnormalised(o, ROWS, x, value);
    for (size_t i = 0; i < ROWS; i++) sum += value[i] / ROWS;
    return sum - enumerated(o);
}

/* The steps that plain gradient descent at rate 1 makes from the same weights, averaged over `repeats` of them. */
typedef struct step_moments {
    size_t n;
    double *mean, *square; /* over weights of nets 0 and 1 */
} step_moments;

static step_moments average_steps(toy *o, const real *x, int repeats)
{
    tx_tensor block[2] = {tx_params_block(o->m->net[0]), tx_params_block(o->m->net[1])};
    size_t n = tx_len(block[0]) + tx_len(block[1]);
    step_moments q = {n, tx_alloc(n, sizeof(double)), tx_alloc(n, sizeof(double))};
    real *kept = tx_alloc(n, sizeof *kept);
    unsigned char config[256];
    const tx_optim_ops *sgd = tx_optim_find("sgd");
    tx_options_defaults(sgd->options, config);
    tx_model_train_with(o->m, sgd, config);
    memcpy(kept, block[0].x, tx_len(block[0]) * sizeof *kept);
    memcpy(kept + tx_len(block[0]), block[1].x, tx_len(block[1]) * sizeof *kept);
    for (int k = 0; k < repeats; k++) {
        tx_step s = {.tape = o->t, .rng = tx_rng_fold(tx_rng_root(23), (uint64_t)k), .number = (uint64_t)k, .rate = 1};
        tx_metrics out;
        CHECK_OK(tx_model_step(o->m, &s, tx_matrix((real *)x, ROWS, o->data.dim), &out));
        for (size_t i = 0; i < n; i++) {
            real *w = i < tx_len(block[0]) ? block[0].x + i : block[1].x + (i - tx_len(block[0]));
            double step = (double)*w - (double)kept[i];
            q.mean[i] += step / repeats, q.square[i] += step * step / repeats;
            *w = kept[i];
        }
    }
    free(kept);
    return q;
}

static void free_steps(step_moments *q) { free(q->mean), free(q->square); }

/* Chains of many sweeps forget where they began: the mean step is the gradient of the exact log-likelihood. */
static void check_gradient(const char *model, const char *text, bool real_valued, size_t dim, double spread,
                           int repeats)
{
    toy o;
    real x[ROWS * MOST];
    open_toy(&o, model, text, real_valued, dim);
    tx_view_range(&o.view, TX_TRAIN, 0, ROWS, x, NULL);
    shake(o.m, spread, 31);
    step_moments q = average_steps(&o, x, repeats);
    size_t first = tx_len(tx_params_block(o.m->net[0]));
    double worst = 0;
    for (size_t i = 0; i < q.n; i++) {
        real *w = i < first ? tx_params_block(o.m->net[0]).x + i : tx_params_block(o.m->net[1]).x + (i - first);
        double kept = (double)*w, high, low, error = sqrt(fmax(0, q.square[i] - q.mean[i] * q.mean[i]) / repeats);
        *w = (real)(kept + nudge), high = log_likelihood(&o, x);
        double up = (double)*w;
        *w = (real)(kept - nudge), low = log_likelihood(&o, x);
        double gradient = (high - low) / (up - (double)*w);
        *w = (real)kept;
        if (error == 0) continue; /* padding, or what is not learnt */
        CHECK_NEAR(q.mean[i], gradient, 5 * error + 30 * tight);
        CHECK_TRUE(error < 0.05);
        worst = fmax(worst, fabs(gradient));
    }
    CHECK_TRUE(worst > 0.05);
    free_steps(&q), close_toy(&o);
}

static void cd_gradients(void)
{
    check_gradient("rbm", "{hidden: 3, k: 40}", false, 4, 0.6, 400);
    check_gradient("rbm", "{hidden: 6, k: 40}", false, 3, 0.6, 400);
    check_gradient("rbm", "{hidden: 3, k: 40, variance: learnt, deviation: 0.7}", true, 2, 0.3, 400);
    check_gradient("rbm", "{hidden: 4, k: 2, algorithm: pcd, chains: 50}", false, 4, 0.4, 4000);
    /* converged means: the derivative of the variational term is that at fixed means */
    check_gradient("dbm", "{hidden: [3, 4], k: 15, chains: 64, mean_field_steps: 100}", false, 4, 0.5, 1000);
}

/* CD-1 in expectation: v p(h|v) of the data less v' p(h|v') over h ~ p(h|v), v' ~ p(v'|h). */
static void cd1_statistics(void)
{
    enum { D = 4, H = 3, REPEATS = 3000 };
    toy o;
    real x[ROWS * D];
    double expected[D * H] = {0}, p_v[1 << D] = {0}, on[1 << D][H];
    open_toy(&o, "rbm", "{hidden: 3}", false, D);
    tx_view_range(&o.view, TX_TRAIN, 0, ROWS, x, NULL);
    shake(o.m, 1, 41);
    for (size_t v = 0; v < 1 << D; v++) /* p(h_j = 1 | v) from the energies */
        for (size_t j = 0; j < H; j++) {
            double off = minus_energy(o.m, D, H, v, 0);
            on[v][j] = 1 / (1 + exp(off - minus_energy(o.m, D, H, v, (size_t)1 << j)));
        }
    for (size_t r = 0; r < ROWS; r++) {
        size_t v = 0;
        for (size_t i = 0; i < D; i++) v |= (size_t)(x[r * D + i] > 0) << i;
        for (size_t i = 0; i < D * H; i++) expected[i] += (double)x[r * D + i / H] * on[v][i % H] / ROWS;
        for (size_t u = 0; u < 1 << H; u++) {
            double p = 1.0 / ROWS, total = 0;
            for (size_t j = 0; j < H; j++) p *= (u >> j & 1) ? on[v][j] : 1 - on[v][j];
            for (size_t v2 = 0; v2 < 1 << D; v2++) total += exp(minus_energy(o.m, D, H, v2, u));
            for (size_t v2 = 0; v2 < 1 << D; v2++) p_v[v2] += p * exp(minus_energy(o.m, D, H, v2, u)) / total;
        }
    }
    for (size_t v2 = 0; v2 < 1 << D; v2++)
        for (size_t i = 0; i < D * H; i++) expected[i] -= p_v[v2] * (double)(v2 >> i / H & 1) * on[v2][i % H];
    step_moments q = average_steps(&o, x, REPEATS);
    for (size_t i = 0; i < D * H; i++) {
        double error = sqrt((q.square[i] - q.mean[i] * q.mean[i]) / REPEATS);
        CHECK_NEAR(q.mean[i], expected[i], 5 * error + tight);
        CHECK_TRUE(error < 0.003);
    }
    free_steps(&q), close_toy(&o);
}

/* Sums over the ones of a matrix are its product, on every instruction set with the same bits; also where the last
 * panel of columns and block of rows are not whole, and for rows and columns without a one. */
static void sums_of_ones(void)
{
    enum { N = 9, D = 437, H = 2 * 128 + 45 };
    static const char *const sets[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
    static real x[N * D], w[D * H], bias[H], y[N * H], product[N * H], first[N * H], g[D * H], gp[D * H];
    tx_tape *t = tx_tape_new(1 << 16);
    uint32_t *memory = tx_alloc(tx_ones_room(N, D), sizeof *memory);
    for (size_t i = 0; i < N * D; i++) x[i] = i / D != 3 && i % D != 5 && tx_rng_uniform1(tx_rng_root(7), i) < 0.2;
    tx_rng_normal(tx_rng_root(8), 0, D * H, w), tx_rng_normal(tx_rng_root(9), 0, H, bias);
    tx_ones o = tx_ones_of(N, D, x, memory), part[2] = {o, o};
    tx_dense_forward(N, D, H, x, w, bias, TX_LINEAR, product);
    for (size_t k = 0; k < TX_LEN(sets); k++) {
        setenv("TAXON_ISA", sets[k], 1);
        if (tx_kernels_start() != TX_OK) continue;
        for (size_t i = 0; i < N * H; i++) y[i] = NAN;
        tx_ones_sum(&o, w, D, H, bias, y);
        if (k == 0) memcpy(first, y, sizeof first);
        CHECK_TRUE(memcmp(first, y, sizeof y) == 0);
        for (size_t i = 0; i < N * H; i++) CHECK_NEAR(y[i], product[i], tight);
    }
    unsetenv("TAXON_ISA");
    CHECK_OK(tx_kernels_start());
    /* [x; x]' [p; -2 p] = - x' p; the second list's rows come after the first's */
    static real p[2 * N * H];
    for (size_t i = 0; i < N * H; i++) p[i] = product[i], p[N * H + i] = -2 * product[i];
    tx_var sum = tx_ones_statistics(t, &part[0], &part[1], D, tx_leaf(t, tx_matrix(p, 2 * N, H)));
    tx_compute(t, sum);
    memcpy(g, sum->v.x, sizeof g);
    tx_gemm(true, false, D, H, N, -1, x, D, product, H, 0, gp, H);
    for (size_t i = 0; i < D * H; i++) CHECK_NEAR(g[i], gp[i], 10 * tight);
    sum->rows(sum, 11, 20, y);
    CHECK_TRUE(memcmp(y, g + 11 * H, 9 * H * sizeof *g) == 0);
    CHECK_TRUE(tx_ones_pay(&o, D, H) && !tx_ones_pay(&o, D, 20) && !tx_ones_pay(&(tx_ones){0}, D, H));
    free(memory), tx_tape_free(t);
}

/* The decay of weight_cost is of W alone. */
static void weight_cost(void)
{
    toy with, without;
    real x[ROWS * 4];
    open_toy(&with, "rbm", "{hidden: 3, weight_cost: 0.1}", false, 4);
    open_toy(&without, "rbm", "{hidden: 3}", false, 4);
    tx_view_range(&with.view, TX_TRAIN, 0, ROWS, x, NULL);
    shake(with.m, 0.5, 43), shake(without.m, 0.5, 43);
    step_moments a = average_steps(&with, x, 1), b = average_steps(&without, x, 1);
    tx_tensor w = tx_params_block(with.m->net[0]);
    for (size_t i = 0; i < a.n; i++)
        CHECK_NEAR(a.mean[i], b.mean[i] - (i < tx_len(w) ? 0.1 * (double)w.x[i] : 0), 1e-6);
    free_steps(&a), free_steps(&b), close_toy(&with), close_toy(&without);
}

/* Training raises the log-likelihood, exactly known at 8 + 8 units, and not by its bound alone. */
static void dbm_learns(void)
{
    enum { D = 8, STEPS = 1500 };
    toy o;
    real x[ROWS * D];
    double before = 0, after = 0;
    unsigned char config[256];
    const tx_optim_ops *sgd = tx_optim_find("sgd");
    open_toy(&o, "dbm", "{hidden: [8, 8], init: 0.1}", false, D);
    tx_view_range(&o.view, TX_TRAIN, 0, ROWS, x, NULL);
    tx_options_defaults(sgd->options, config);
    tx_model_train_with(o.m, sgd, config);
    for (uint64_t k = 0; k <= STEPS; k++) {
        double sum = 0;
        for (size_t i = 0; (k == 0 || k == STEPS) && i < ROWS; i++) {
            size_t v = 0;
            for (size_t j = 0; j < D; j++) v |= (size_t)(x[i * D + j] > 0) << j;
            sum += dbm_by_first_layer(o.m, D, v) / ROWS;
        }
        if (k == 0) before = sum - enumerated(&o);
        if (k == STEPS) after = sum - enumerated(&o);
        tx_step s = {.tape = o.t, .rng = tx_rng_fold(tx_rng_root(29), k), .number = k, .rate = 0.1};
        tx_metrics out;
        CHECK_OK(tx_model_step(o.m, &s, tx_matrix(x, ROWS, D), &out));
    }
    CHECK_TRUE(after > before + 0.4);
    close_toy(&o);
}

/* ---- samples ---- */

static void check_frequencies(const char *what, toy *o, size_t n, real *x)
{
    size_t d = o->data.dim, states = (size_t)1 << d;
    double log_z = enumerated(o), value;
    size_t *count = tx_alloc(states, sizeof *count);
    for (size_t i = 0; i < n; i++) {
        size_t v = 0;
        for (size_t j = 0; j < d; j++) v |= (size_t)(x[i * d + j] > 0) << j;
        count[v]++;
    }
    for (size_t v = 0; v < states; v++) {
        real row[MOST];
        write_state(v, d, row);
        log_unnormalised(o, 1, row, &value);
        if (o->m->ops->energy->bound) value = dbm_by_first_layer(o->m, d, v);
        double p = exp(value - log_z);
        CHECK_NEAR((double)count[v] / (double)n, p, 5 * sqrt(p * (1 - p) / (double)n) + 1e-9);
        if (fabs((double)count[v] / (double)n - p) > 5 * sqrt(p * (1 - p) / (double)n)) printf("    ^ %s\n", what);
    }
    free(count);
}

static void samples_follow(void)
{
    enum { N = 40000 };
    static const struct {
        const char *model, *text;
    } cases[] = {{"rbm", "{hidden: 3, sample_steps: 60}"},
                 {"rbm", "{hidden: 6, sample_steps: 60}"},
                 {"dbm", "{hidden: [3, 4], sample_steps: 60}"}};
    for (size_t k = 0; k < TX_LEN(cases); k++) {
        toy o;
        double log_z;
        open_toy(&o, cases[k].model, cases[k].text, false, 4);
        shake(o.m, 0.8, 51);
        real *x = tx_alloc(N * 4, sizeof *x);
        tx_model_sample(o.m, o.t, tx_rng_root(5), 0, N, false, x);
        check_frequencies("Gibbs chains", &o, N, x);
        tx_model_bind(o.m, o.t);
        if (!o.m->ops->energy->bound) { /* a state is y */
            CHECK_OK(o.m->ops->energy->enumerate(o.m, o.t, &log_z, tx_rng_root(6), 0, tx_matrix(x, N, 4)));
            check_frequencies("exact draws", &o, N, x);
        }
        free(x), close_toy(&o);
    }
}

/* First and second moments of a Gaussian machine's samples and exact draws against those of its grid. */
static void real_samples_follow(void)
{
    enum { N = 40000, POINTS = 2000 };
    toy o;
    double value[POINTS], total = 0, mean = 0, square = 0, log_z;
    real grid[POINTS], *x = tx_alloc(N, sizeof *x);
    open_toy(&o, "rbm", "{hidden: 3, sample_steps: 60, deviation: 0.8}", true, 1);
    shake(o.m, 0.7, 53);
    double sigma = exp((double)weight(o.m, 1, "log_sigma").x[0]);
    for (size_t i = 0; i < POINTS; i++) grid[i] = (real)(-15 + 0.018 * (double)i);
    log_unnormalised(&o, POINTS, grid, value);
    for (size_t i = 0; i < POINTS; i++) {
        double p = exp(value[i]), v = (double)grid[i];
        total += p, mean += p * v, square += p * v * v;
    }
    mean /= total, square = square / total - mean * mean;
    for (int exact = 0; exact < 2; exact++) {
        double m1 = 0, m2 = 0;
        if (!exact) tx_model_sample(o.m, o.t, tx_rng_root(5), 0, N, false, x);
        if (exact) {
            tx_model_bind(o.m, o.t);
            CHECK_OK(o.m->ops->energy->enumerate(o.m, o.t, &log_z, tx_rng_root(6), 0, tx_matrix(x, N, 1)));
            for (size_t i = 0; i < N; i++) x[i] *= (real)sigma; /* a state is v/sigma */
        }
        for (size_t i = 0; i < N; i++) m1 += (double)x[i] / N;
        for (size_t i = 0; i < N; i++) m2 += pow((double)x[i] - m1, 2) / N;
        CHECK_NEAR(m1, mean, 5 * sqrt(square / N));
        CHECK_NEAR(m2, square, 5 * square * sqrt(3.0 / N));
    }
    free(x), close_toy(&o);
}

/* ---- log Z ---- */

typedef struct ais_case {
    const char *model, *text;
    bool real_valued;
    size_t dim;
    double spread;
} ais_case;

static const ais_case ais_cases[] = {
    {"rbm", "{hidden: 20}", false, 8, 0.7},
    {"rbm", "{hidden: 6}", false, 8, 1},
    {"rbm", "{hidden: 5, deviation: 0.6}", true, 3, 0.6},
    {"dbm", "{hidden: [8, 8]}", false, 8, 0.7},
};

/* Both directions lie within 5 errors of brute force, and the intervals of many seeds hold it as often as they say. */
static void ais_agrees(void)
{
    enum { SEEDS = 40 };
    static const char *const settings[] = {
        "{n_step: 150, n_chain: 60}", "{n_step: 200, n_chain: 60, schedule: linear, direction: reverse, start: exact}",
        "{n_step: 150, n_chain: 60, schedule: linear, direction: reverse, start: chain, n_burn: 100}"};
    for (size_t k = 0; k < TX_LEN(ais_cases); k++)
        for (size_t way = 0; way < TX_LEN(settings); way++) {
            const ais_case *c = &ais_cases[k];
            toy o;
            int inside = 0;
            double mean = 0, square = 0, stated = 0;
            open_toy(&o, c->model, c->text, c->real_valued, c->dim);
            shake(o.m, c->spread, 61 + k);
            double truth = enumerated(&o);
            for (uint64_t seed = 0; seed < SEEDS; seed++) {
                tx_estimate e;
                CHECK_OK(estimate(&o, "ais_log_z", settings[way], seed, &e));
                double off = setting(&e, "log_z") - truth;
                CHECK_NEAR(off, 0, 5 * e.mc_error + 1e-6);
                inside += fabs(off) < 1.96 * e.mc_error;
                mean += off / SEEDS, square += off * off / SEEDS, stated += e.mc_error * e.mc_error / SEEDS;
                tx_estimate_free(&e);
            }
            CHECK_TRUE(inside >= 31); /* 38 expected of 40; 5 deviations of the count */
            CHECK_NEAR(mean, 0, 5 * sqrt(square / SEEDS));
            CHECK_TRUE(stated > 0.5 * square && stated < 2 * square && stated < 0.05);
            close_toy(&o);
        }
}

/* Chains that stay at one temperature come to f_beta, whose ratio to the base is the weight of a step without a move.
 */
static void transitions_keep(void)
{
    enum { N = 40000, STEPS = 25, WIDTH = 4, STATES = 1 << WIDTH };
    static const char *const models[][2] = {{"rbm", "{hidden: 3}"}, {"dbm", "{hidden: [4, 5]}"}};
    const double beta = 0.4;
    for (size_t k = 0; k < TX_LEN(models); k++) {
        toy o;
        open_toy(&o, models[k][0], models[k][1], false, WIDTH);
        shake(o.m, 1.5, 111);
        const tx_energy *e = o.m->ops->energy;
        real *x = tx_alloc(N * WIDTH, sizeof *x), all[STATES * WIDTH];
        double *w = tx_alloc(N, sizeof *w), p[STATES] = {0}, total = 0, count[STATES] = {0};
        for (size_t v = 0; v < STATES; v++) write_state(v, WIDTH, all + v * WIDTH);
        tx_model_bind(o.m, o.t);
        e->anneal(o.m, o.t, tx_rng_root(0), 0, 0, beta, false, tx_matrix(all, STATES, WIDTH), p);
        for (size_t v = 0; v < STATES; v++) {
            for (size_t j = 0; k == 0 && j < WIDTH; j++) { /* of the rbm: pixels; of the dbm uniform */
                double mean = o.view.space.mean[j];
                p[v] += all[v * WIDTH + j] > 0 ? log(mean) - log1p(-mean) : 0;
            }
            total += p[v] = exp(p[v]);
        }
        e->draw_base(o.m, tx_rng_root(1), 0, tx_matrix(x, N, WIDTH));
        for (uint64_t t = 0; t < STEPS; t++) {
            tx_model_bind(o.m, o.t);
            e->anneal(o.m, o.t, tx_rng_fold(tx_rng_root(2), t), 0, beta, beta, true, tx_matrix(x, N, WIDTH), w);
        }
        for (size_t i = 0; i < N; i++) {
            size_t v = 0;
            for (size_t j = 0; j < WIDTH; j++) v |= (size_t)(x[i * WIDTH + j] > 0) << j;
            count[v] += 1.0 / N;
            CHECK_TRUE(w[i] == 0);
        }
        for (size_t v = 0; v < STATES; v++) {
            double share = p[v] / total;
            CHECK_NEAR(count[v], share, 5 * sqrt(share * (1 - share) / N) + 1e-9);
        }
        free(x), free(w), close_toy(&o);
    }
}

/* Few steps: chains from the base fall short of log Z on average, chains from exact draws exceed it. */
static void ais_bounds(void)
{
    enum { SEEDS = 40 };
    toy o;
    double forward = 0, reverse = 0;
    open_toy(&o, "rbm", "{hidden: 10}", false, 8);
    shake(o.m, 1.5, 71);
    double truth = enumerated(&o);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tx_estimate e;
        CHECK_OK(estimate(&o, "ais_log_z", "{n_step: 3, n_chain: 4}", seed, &e));
        CHECK_TRUE(e.kind == TX_UPPER_BOUND && e.stochastic && !e.std_error);
        forward += (setting(&e, "log_z") - truth) / SEEDS;
        tx_estimate_free(&e);
        CHECK_OK(estimate(&o, "ais_log_z", "{n_step: 3, n_chain: 4, direction: reverse}", seed, &e));
        CHECK_TRUE(e.kind == TX_LOWER_BOUND && e.stochastic);
        reverse += (setting(&e, "log_z") - truth) / SEEDS;
        tx_estimate_free(&e);
    }
    CHECK_TRUE(forward < -0.1);
    CHECK_TRUE(reverse > 0.1);
    close_toy(&o);
}

/* What estimates say of themselves, row by row: log p*(x) less log Z, whose error all rows share. */
static void estimates(void)
{
    toy o;
    tx_estimate a, b, c;
    real x[ROWS * 8];
    double value[ROWS];
    open_toy(&o, "rbm", "{hidden: 5}", false, 8);
    shake(o.m, 0.7, 81);
    tx_view_range(&o.view, TX_TEST, 0, ROWS, x, NULL);
    log_unnormalised(&o, ROWS, x, value);
    CHECK_OK(estimate(&o, "enumerated", "{}", 1, &a));
    CHECK_OK(estimate(&o, "ais_log_z", "{n_step: 50, n_chain: 20}", 1, &b));
    CHECK_OK(estimate(&o, "ais_log_z", "{n_step: 50, n_chain: 20, direction: reverse, start: chain}", 1, &c));
    CHECK_TRUE(a.kind == TX_EXACT && !a.stochastic && a.mc_error == 0 && c.kind == TX_ESTIMATE);
    for (size_t i = 0; i < ROWS; i++) {
        CHECK_NEAR(a.log_likelihood[i], value[i] - enumerated(&o), tight);
        CHECK_NEAR(b.log_likelihood[i], value[i] - setting(&b, "log_z"), tight);
    }
    CHECK_NEAR(b.mc_error, setting(&b, "log_z_error"), 0);
    CHECK_TRUE(b.mc_error > 0 && b.mean_error > 0);
    CHECK_NEAR(setting(&b, "log_z_base"), o.m->ops->energy->log_base(o.m), 0);
    tx_estimate_free(&a), tx_estimate_free(&b), tx_estimate_free(&c), close_toy(&o);
}

/* With W = 0 and the biases of the base every f_beta is the same function of v but for 2^h: one step is exact. */
static void ais_of_the_base(void)
{
    toy o;
    tx_estimate e;
    open_toy(&o, "rbm", "{hidden: 7, init: 0}", false, 6);
    CHECK_OK(estimate(&o, "ais_log_z", "{n_step: 1, n_chain: 5}", 1, &e));
    CHECK_NEAR(setting(&e, "log_z"), enumerated(&o), 10 * tight);
    CHECK_NEAR(e.mc_error, 0, tight);
    tx_estimate_free(&e), close_toy(&o);
}

/* 120 chains are cut in tiles. */
static void same_bits(void)
{
    static const char *const models[][2] = {{"rbm", "{hidden: 9}"}, {"dbm", "{hidden: [9, 7]}"}};
    static const char *const settings[] = {"{n_step: 20, n_chain: 120}",
                                           "{n_step: 20, n_chain: 120, direction: reverse}"};
    for (size_t k = 0; k < 2 * TX_LEN(settings); k++) {
        double first = 0;
        for (int n = 1; n <= 4; n *= 2) {
            toy o;
            tx_estimate e;
            tx_threads_set(n);
            open_toy(&o, models[k / 2][0], models[k / 2][1], false, 8);
            shake(o.m, 0.7, 91);
            CHECK_OK(estimate(&o, "ais_log_z", settings[k % 2], 1, &e));
            if (n == 1) first = e.mean;
            CHECK_TRUE(e.mean == first);
            tx_estimate_free(&e), close_toy(&o);
        }
    }
    tx_threads_set(1);
}

static void refused(void)
{
    toy o;
    tx_estimate e;
    open_toy(&o, "rbm", "{hidden: 21}", true, 3);
    CHECK_INT(estimate(&o, "enumerated", "{}", 1, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "21 hidden units are too many to be enumerated, at most 20");
    CHECK_INT(estimate(&o, "ais_log_z", "{direction: reverse, start: exact, n_step: 2}", 1, &e), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "21 hidden units");
    CHECK_OK(estimate(&o, "ais_log_z", "{direction: reverse, n_step: 2, n_burn: 1}", 1, &e));
    CHECK_INT(e.kind, TX_ESTIMATE);
    tx_estimate_free(&e);
    weight(o.m, 0, "w").x[0] = NAN;
    CHECK_INT(estimate(&o, "ais_log_z", "{n_step: 2}", 1, &e), TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), "ais_log_z: the log-weight of chain 0 is nan");
    CHECK_HAS(tx_estimator_find("self_normalised")->unfit(o.m->ops, &o.view), "holds no log Z of its own");
    static const char *const names[] = {"enumerated", "ais_log_z", "self_normalised"};
    for (size_t k = 0; k < TX_LEN(names); k++)
        CHECK_HAS(tx_estimator_find(names[k])->unfit(find("vae"), &o.view), "known up to a constant");
    close_toy(&o);
}

/* What is narrower than half of the widest coordinate has half of its deviation; by default each has its own. */
static void narrow_coordinates(void)
{
    static const struct {
        const char *options;
        double factor[3];
    } of[] = {{"{hidden: 2, deviation: 0.8}", {0.8, 0.8, 0.8}},
              {"{hidden: 2, deviation: 0.8, min_deviation: 0.5}", {0.8, 0.8, 0}}};
    for (size_t k = 0; k < TX_LEN(of); k++) {
        toy o;
        double deviation[3] = {1.3, 0.7, 0.2}, mean[3] = {0};
        open_toy(&o, "rbm", "{hidden: 2}", true, 3);
        tx_space space = *o.m->space;
        space.deviation = deviation, space.mean = mean;
        void *c = tx_alloc(1, o.m->ops->config_size);
        tx_model *m = NULL;
        CHECK_OK(tx_test_options(o.m->ops->options, c, of[k].options));
        CHECK_OK(tx_model_new(&m, o.m->ops, c, &space, 3));
        tx_tensor s = tx_params_value(m->net[1], (tx_param){2});
        CHECK_TEXT(tx_params_name(m->net[1], (tx_param){2}), "log_sigma");
        for (size_t j = 0; j < 3; j++)
            CHECK_NEAR(exp((double)s.x[j]), of[k].factor[j] > 0 ? of[k].factor[j] * deviation[j] : 0.8 * 0.5 * 1.3,
                       1e-6);
        free(c), tx_model_free(m), close_toy(&o);
    }
}

/* A fixed sigma stays where it is under a decay of all weights; a learnt one does not. */
static void sigma_stays(void)
{
    static const char *const options[] = {"{hidden: 3, deviation: 0.6}",
                                          "{hidden: 3, deviation: 0.6, variance: learnt}"};
    for (size_t k = 0; k < TX_LEN(options); k++) {
        toy o;
        real x[ROWS * 3], before[3];
        unsigned char config[256];
        tx_metrics out;
        const tx_optim_ops *adam = tx_optim_find("adam");
        open_toy(&o, "rbm", options[k], true, 3);
        tx_view_range(&o.view, TX_TRAIN, 0, ROWS, x, NULL);
        tx_options_defaults(adam->options, config);
        tx_model_train_with(o.m, adam, config);
        const real *sigma = weight(o.m, 1, "log_sigma").x, *c = weight(o.m, 1, "c").x;
        memcpy(before, sigma, sizeof before);
        tx_step s = {.tape = o.t, .rng = tx_rng_root(29), .rate = 0.1, .weight_decay = 0.5};
        CHECK_OK(tx_model_step(o.m, &s, tx_matrix(x, ROWS, 3), &out));
        CHECK_TRUE(c[0] != 0 && (memcmp(before, sigma, sizeof before) == 0) == (k == 0));
        close_toy(&o);
    }
}

/* The weight of a step from base to model, W = 0, for means thousands of deviations from 0. */
static void far_means(void)
{
    enum { N = 20, D = 3 };
    toy o;
    double mean[D] = {3000, -1500.5, 0.25}, deviation[D] = {0.5, 1.25, 2}, w[N] = {0};
    open_toy(&o, "rbm", "{hidden: 2}", true, D);
    tx_space space = *o.m->space;
    space.deviation = deviation, space.mean = mean;
    void *c = tx_alloc(1, o.m->ops->config_size);
    tx_model *m = NULL;
    CHECK_OK(tx_test_options(o.m->ops->options, c, "{hidden: 2, init: 0, deviation: 0.8}"));
    CHECK_OK(tx_model_new(&m, o.m->ops, c, &space, 3));
    real y[N * D];
    m->ops->energy->draw_base(m, tx_rng_root(1), 0, tx_matrix(y, N, D));
    tx_model_bind(m, o.t);
    m->ops->energy->anneal(m, o.t, tx_rng_root(0), 0, 0, 1, false, tx_matrix(y, N, D), w);
    for (size_t i = 0; i < N; i++) { /* mean = b/sigma: (sigma^2/deviation^2 - 1) |y - b/sigma|^2/2 */
        double sum = 0;
        for (size_t j = 0; j < D; j++)
            sum += 0.5 * (0.8 * 0.8 - 1) * pow((double)y[i * D + j] - mean[j] / (0.8 * deviation[j]), 2);
        CHECK_NEAR(w[i], sum, 1e-2);
    }
    free(c), tx_model_free(m), close_toy(&o);
}

int main(void)
{
    tx_threads_set(1);
    static const tx_test tests[] = {
        {"rbm: p* and Z are sums over all states", rbm_by_sums},
        {"rbm: p* of real values by hand", rbm_by_hand},
        {"rbm: Z of real values by quadrature", gaussian_rbm_by_quadrature},
        {"dbm: Z and the variational term against all states of 8 + 8 units", dbm_by_sums},
        {"dbm: training raises the exact log-likelihood", dbm_learns},
        {"steps of long chains follow the exact gradient", cd_gradients},
        {"rbm: the mean step of CD-1", cd1_statistics},
        {"sums over ones are products", sums_of_ones},
        {"rbm: weight_cost decays W alone", weight_cost},
        {"rbm: narrow coordinates", narrow_coordinates},
        {"rbm: a fixed sigma stays", sigma_stays},
        {"rbm: AIS of data far from 0", far_means},
        {"samples follow enumerated probabilities", samples_follow},
        {"samples follow densities on the line", real_samples_follow},
        {"AIS agrees with brute force, its intervals cover", ais_agrees},
        {"transitions leave every temperature's distribution unchanged", transitions_keep},
        {"AIS bounds log Z from below, from exact draws from above", ais_bounds},
        {"estimates say what they are", estimates},
        {"AIS of the base is exact", ais_of_the_base},
        {"1, 2 and 4 threads give the same bits", same_bits},
        {"what does not apply is refused by name", refused},
    };
    return tx_run_tests("boltzmann", tests, (int)TX_LEN(tests));
}
