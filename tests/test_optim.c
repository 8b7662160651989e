/** Optimisers against their papers' formulas in scalar double arithmetic; schedules; parameters and their initial
 *  distributions; layers against naive loops. */
#include <math.h>
#include <stdlib.h>
#include "common/tensor/layers.h"
#include "common/tensor/optim.h"
#include "common/tensor/parallel.h"
#include "common/tensor/staircase.h"
#include "tests/support/check.h"

static const double eps = sizeof(real) == sizeof(double) ? 1e-12 : 2e-5;

static double uniform(uint64_t i, double lo, double hi)
{
    return lo + (hi - lo) * tx_rng_uniform1(tx_rng_root(735), i);
}

/* Weights of odd sizes, so that padding lies between them. */
static const size_t size[][2] = {{1, 1}, {7, 9}, {1, 65}, {64, 3}};
enum { N_WEIGHT = TX_LEN(size), N_ALL = 1 + 63 + 65 + 192, STEPS = 7 };

static tx_params *net(void)
{
    tx_params *p = tx_params_new("critic");
    char name[8] = "w0";
    for (size_t i = 0; i < N_WEIGHT; i++, name[1]++)
        tx_params_add(p, name, tx_shape2(size[i][0], size[i][1]), (tx_init){TX_INIT_NORMAL, (real)0.8});
    tx_params_seal(p, tx_rng_root(11));
    return p;
}

/** The net's weights as one array without padding. */
static void flat(const tx_params *p, double w[N_ALL])
{
    for (int i = 0, at = 0; i < tx_params_count(p); i++) {
        tx_tensor v = tx_params_value(p, (tx_param){i});
        for (size_t j = 0; j < tx_len(v); j++) w[at++] = (double)v.x[j];
    }
}

/** The gradient of each weight, in a tape of their own. */
static tx_tape *cut(real g[N_ALL], tx_var grad[N_WEIGHT])
{
    tx_tape *t = tx_tape_new(0);
    for (size_t i = 0; i < N_WEIGHT; i++) {
        grad[i] = tx_leaf(t, tx_matrix(g, size[i][0], size[i][1]));
        g += size[i][0] * size[i][1];
    }
    return t;
}

/** Gradient of step t: random, of very different sizes from weight to weight, sometimes 0. */
static void draw_gradient(int t, real g[N_ALL])
{
    for (int i = 0; i < N_ALL; i++) {
        uint64_t at = (uint64_t)(t * N_ALL + i);
        g[i] = (real)(i % 17 == 5 ? 0 : uniform(at, -1.7, 2.3) * pow(10, i % 5 - 3));
    }
}

/** One weight's state in double; s, m: the two slots. */
typedef struct scalar {
    double w, s, m;
} scalar;

typedef struct rule {
    const char *optimiser;
    const char *set[6]; /**< option, value, ... */
    void (*step)(scalar *x, double g, double lr, int t);
} rule;

static void sgd(scalar *x, double g, double lr, int t)
{
    (void)t;
    x->w -= lr * g;
}
static void classical(scalar *x, double g, double lr, int t)
{
    (void)t;
    x->m = 0.85 * x->m + g;
    x->w -= lr * x->m;
}
static void nesterov(scalar *x, double g, double lr, int t)
{
    (void)t;
    x->m = 0.85 * x->m + g;
    x->w -= lr * (g + 0.85 * x->m);
}
static void rmsprop(scalar *x, double g, double lr, int t)
{
    (void)t;
    x->s = 0.93 * x->s + 0.07 * g * g;
    x->m = 0.45 * x->m + g / (sqrt(x->s) + 1e-4);
    x->w -= lr * x->m;
}
static void adagrad(scalar *x, double g, double lr, int t)
{
    (void)t;
    x->s += g * g;
    x->w -= lr * g / (sqrt(x->s) + 1e-4);
}
static void adam(scalar *x, double g, double lr, int t)
{
    x->m = 0.87 * x->m + 0.13 * g;
    x->s = 0.985 * x->s + 0.015 * g * g;
    x->w -= lr * (x->m / (1 - pow(0.87, t))) / (sqrt(x->s / (1 - pow(0.985, t))) + 1e-4);
}

static const rule rules[] = {
    {"sgd", {NULL}, sgd},
    {"sgd", {"momentum", "0.85"}, classical},
    {"sgd", {"momentum", "0.85", "nesterov", "true"}, nesterov},
    {"rmsprop", {"rho", "0.93", "epsilon", "1e-4", "momentum", "0.45"}, rmsprop},
    {"adagrad", {"epsilon", "1e-4"}, adagrad},
    {"adam", {"beta1", "0.87", "beta2", "0.985", "epsilon", "1e-4"}, adam},
};

static tx_optim *make(const char *name, const char *const set[6], const tx_params *p)
{
    const tx_optim_ops *ops = tx_optim_find(name);
    CU_ASSERT_FATAL(ops != NULL);
    char text[256] = "{";
    for (int i = 0; set && i < 6 && set[i]; i += 2)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s: %s", i ? ", " : "", set[i], set[i + 1]);
    strcat(text, "}");
    void *config = tx_alloc(1, ops->config_size);
    tx_options_defaults(ops->options, config);
    tx_yaml *map = NULL;
    CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &map));
    tx_option_set options = {ops->options, config};
    CHECK_OK(tx_options_parse(&options, 1, map, "test", NULL));
    tx_optim *o = tx_optim_new(ops, config, p);
    tx_yaml_free(map);
    free(config);
    return o;
}

/** `rule` over several steps, with clipping and decay, against the optimiser; in the middle the state moves into
 * another one, as after a resume. */
static void check_rule(const rule *r, double clip, double decay)
{
    static scalar x[N_ALL];
    static double w[N_ALL];
    static real g[N_ALL];
    tx_var grad[N_WEIGHT];
    tx_params *p = net();
    tx_optim *o = make(r->optimiser, r->set, p);
    flat(p, w);
    for (int i = 0; i < N_ALL; i++) x[i] = (scalar){.w = w[i]};
    tx_tape *tape = cut(g, grad);
    for (int t = 1; t <= STEPS; t++) {
        double lr = 0.05 / t, square = 0;
        draw_gradient(t, g);
        for (int i = 0; i < N_ALL; i++) square += (double)g[i] * (double)g[i];
        double norm = sqrt(square), scale = clip > 0 && norm > clip ? clip / norm : 1;
        for (int i = 0; i < N_ALL; i++) {
            double shrink = lr * decay * x[i].w;
            r->step(&x[i], scale * (double)g[i], lr, t);
            x[i].w -= shrink;
        }
        CHECK_TRUE(tx_optim_step(o, p, tape, grad, lr, clip, decay));
        CHECK_INT(tx_optim_steps(o), t);
        if (t != 4) continue;
        tx_optim *next = make(r->optimiser, r->set, p);
        for (int s = 0; s < tx_optim_ops_of(o)->n_slots; s++) {
            tx_tensor from = tx_optim_slot(o, s), to = tx_optim_slot(next, s);
            CHECK_INT(tx_len(from), tx_len(tx_params_block(p)));
            memcpy(to.x, from.x, tx_len(from) * sizeof(real));
        }
        tx_optim_set_steps(next, tx_optim_steps(o));
        tx_optim_free(o);
        o = next;
    }
    flat(p, w);
    double worst = 0;
    for (int i = 0; i < N_ALL; i++) worst = fmax(worst, fabs(w[i] - x[i].w) / fmax(fabs(x[i].w), 1));
    if (worst > eps) printf("\n  %s, rule %d:", r->optimiser, (int)(r - rules));
    CHECK_NEAR(worst, 0, eps);
    tx_optim_free(o);
    tx_params_free(p);
    tx_tape_free(tape);
}

static void optimisers(void)
{
    for (size_t i = 0; i < TX_LEN(rules); i++) {
        check_rule(&rules[i], 0, 0);
        check_rule(&rules[i], 1e6, 0.3);
        check_rule(&rules[i], 2.25, 0.3);
    }
}

static void bad_gradients_change_nothing_where_they_are_clipped(void)
{
    static double before[N_ALL], after[N_ALL];
    static real g[N_ALL];
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    tx_var grad[N_WEIGHT];
    tx_tape *tape = cut(g, grad);
    for (int k = 0; tx_optim_list[k]; k++)
        for (size_t b = 0; b < TX_LEN(bad); b++) {
            tx_params *p = net();
            tx_optim *o = make(tx_optim_list[k]->name, NULL, p);
            draw_gradient(1, g);
            tx_optim_step(o, p, tape, grad, 0.1, 1, 0.1);
            flat(p, before);
            double state = 0, state_after = 0;
            for (int s = 0; s < tx_optim_ops_of(o)->n_slots; s++)
                for (size_t i = 0; i < tx_len(tx_optim_slot(o, s)); i++) state += (double)tx_optim_slot(o, s).x[i];
            g[100] = (real)bad[b];
            CHECK_TRUE(!tx_optim_step(o, p, tape, grad, 0.1, 1, 0.1));
            for (int s = 0; s < tx_optim_ops_of(o)->n_slots; s++)
                for (size_t i = 0; i < tx_len(tx_optim_slot(o, s)); i++)
                    state_after += (double)tx_optim_slot(o, s).x[i];
            flat(p, after);
            CHECK_TRUE(memcmp(before, after, sizeof before) == 0);
            CHECK_NEAR(state_after, state, 0);
            CHECK_INT(tx_optim_steps(o), 1);
            tx_optim_free(o);
            tx_params_free(p);
        }
    tx_tape_free(tape);
}

/* In whichever weight they stand, in that very step. */
static void bad_gradients_are_found_without_clipping(void)
{
    static real g[N_ALL];
    static const int place[] = {0, 1, 63, 64, 128, 129, N_ALL - 1};
    tx_var grad[N_WEIGHT];
    tx_tape *tape = cut(g, grad);
    for (int k = 0; tx_optim_list[k]; k++)
        for (size_t i = 0; i < TX_LEN(place); i++) {
            tx_params *p = net();
            tx_optim *o = make(tx_optim_list[k]->name, NULL, p);
            draw_gradient(1, g);
            CHECK_TRUE(tx_optim_step(o, p, tape, grad, 0.1, 0, 0.1));
            g[place[i]] = (real)(i % 2 ? NAN : -INFINITY);
            CHECK_TRUE(!tx_optim_step(o, p, tape, grad, 0.1, 0, 0.1));
            tx_optim_free(o);
            tx_params_free(p);
        }
    tx_tape_free(tape);
}

/* Postponed gradients: the step is the one that the computed gradients make. */

enum { WIDE = 640, TALL = 417, BATCH = 3 };

/** A net with two weights that are large enough to be stepped tile by tile, one of them under a mask. */
static tx_params *wide_net(void)
{
    const tx_init init = {TX_INIT_NORMAL, (real)0.05};
    tx_params *p = tx_params_new("wide");
    tx_params_add(p, "w0", tx_shape2(WIDE, TALL), init);
    tx_params_add(p, "b0", tx_shape2(1, TALL), init);
    tx_params_add(p, "w1", tx_shape2(TALL, WIDE), init);
    tx_params_add(p, "b1", tx_shape2(1, WIDE), init);
    tx_params_seal(p, tx_rng_root(31));
    return p;
}

static tx_stairs *wide_stairs(void)
{
    real from[TALL], to[WIDE];
    for (int i = 0; i < TALL; i++) from[i] = (real)(i / 3);
    for (int j = 0; j < WIDE; j++) to[j] = (real)(j / 4 - 7);
    return tx_stairs_new(TALL, from, WIDE, to);
}

/** Three steps into w[]; `bad`: a NaN in the input of the second. Returns the steps that went well. */
static int wide_steps(bool postponed, int threads, double clip, bool bad, tx_params *p)
{
    static real data[BATCH * WIDE];
    tx_threads_set(threads);
    tx_tape *t = tx_tape_new(0);
    tx_stairs *s = wide_stairs();
    tx_optim *o = make("adam", NULL, p);
    int done = 0;
    for (int step = 0; step < 3; step++) {
        tx_tape_reset(t);
        tx_params_bind(p, t);
        tx_rng_normal(tx_rng_root((uint64_t)step), 0, BATCH * WIDE, data);
        if (bad && step == 1) data[WIDE + 300] = NAN;
        tx_var w[4], g[4], x = tx_leaf(t, tx_matrix(data, BATCH, WIDE));
        for (int i = 0; i < 4; i++) w[i] = tx_params_var(p, (tx_param){i});
        tx_var y = tx_stairs_dense(t, s, tx_dense(t, x, w[0], w[1], TX_TANH), w[2], w[3], TX_SIGMOID);
        (postponed ? tx_grad_postponed : tx_grad)(t, tx_mul(t, y, y), w, 4, g);
        if (postponed) CU_ASSERT(!g[0]->v.x && !g[2]->v.x && g[1]->v.x);
        if (!tx_optim_step(o, p, t, g, 0.01, clip, 0.1)) break;
        if (postponed) CU_ASSERT((g[0]->v.x != NULL) == (clip > 0));
        done++;
    }
    tx_optim_free(o);
    tx_stairs_free(s);
    tx_tape_free(t);
    tx_threads_set(1);
    return done;
}

static void postponed_gradients_make_the_same_steps(void)
{
    static const double clip[] = {0, 0.5};
    for (size_t k = 0; k < TX_LEN(clip); k++) {
        tx_params *a = wide_net(), *start = wide_net();
        CHECK_INT(wide_steps(false, 1, clip[k], false, a), 3);
        for (int threads = 1; threads <= 3; threads++) {
            tx_params *b = wide_net();
            static real first[2 * WIDE * TALL + 4096];
            size_t n = tx_len(tx_params_block(b));
            CHECK_INT(wide_steps(true, threads, clip[k], false, b), 3);
            double worst = 0, moved = 0;
            for (size_t i = 0; i < n; i++) {
                worst = fmax(worst, fabs((double)(tx_params_block(a).x[i] - tx_params_block(b).x[i])));
                moved = fmax(moved, fabs((double)(tx_params_block(a).x[i] - tx_params_block(start).x[i])));
            }
            CHECK_TRUE(moved > 0.02);
            CHECK_NEAR(worst, 0, sizeof(real) == 4 ? 2e-3 * moved : 1e-9);
            if (threads == 1) memcpy(first, tx_params_block(b).x, n * sizeof(real));
            CHECK_TRUE(memcmp(first, tx_params_block(b).x, n * sizeof(real)) == 0);
            tx_params_free(b);
        }
        tx_params_free(a), tx_params_free(start);
    }
}

static void bad_postponed_gradients_are_found(void)
{
    for (int threads = 1; threads <= 2; threads++) {
        tx_params *p = wide_net();
        CHECK_INT(wide_steps(true, threads, 0, true, p), 1);
        tx_params_free(p);
    }
}

/** d sum (P W)^2 for P and W, P of this very step: not what it becomes when W's or P's step is done first. */
static void a_weight_that_multiplies_a_weight_is_not_postponed(void)
{
    const tx_init init = {TX_INIT_NORMAL, (real)0.05};
    tx_params *p = tx_params_new("product");
    tx_params_add(p, "p", tx_shape2(BATCH, WIDE), init);
    tx_params_add(p, "w", tx_shape2(WIDE, TALL), init);
    tx_params_add(p, "b", tx_shape2(1, TALL), init);
    tx_params_seal(p, tx_rng_root(3));
    tx_tape *t = tx_tape_new(0);
    tx_params_bind(p, t);
    tx_var w[3], g[3];
    for (int i = 0; i < 3; i++) w[i] = tx_params_var(p, (tx_param){i});
    tx_grad_postponed(t, tx_dense(t, w[0], w[1], w[2], TX_TANH), w, 3, g);
    CHECK_TRUE(g[0]->v.x && g[1]->v.x && g[2]->v.x);
    tx_grad_postponed(t, tx_dense(t, tx_reshape(t, w[0], tx_shape2(BATCH, WIDE)), w[1], w[2], TX_TANH), w, 3, g);
    CHECK_TRUE(g[1]->v.x != NULL);
    tx_tape_free(t);
    tx_params_free(p);
}

static void registry(void)
{
    static const char *const name[] = {"sgd", "rmsprop", "adagrad", "adam"};
    for (size_t i = 0; i < TX_LEN(name); i++) {
        const tx_optim_ops *ops = tx_optim_list[i];
        CHECK_TEXT(ops->name, name[i]);
        CHECK_TRUE(tx_optim_find(name[i]) == ops);
        CHECK_TRUE(ops->summary && ops->citation && ops->n_slots > 0 && ops->n_slots <= TX_OPTIM_MAX_SLOTS);
        for (int s = 0; s < ops->n_slots; s++) CHECK_TRUE(ops->slot_name[s] != NULL);
        for (const tx_option *o = ops->options; o->name; o++)
            CHECK_TRUE(o->doc && o->dflt && o->offset < ops->config_size);
    }
    CHECK_TRUE(!tx_optim_list[TX_LEN(name)]);
    CHECK_TRUE(!tx_optim_find("adma"));
}

static void schedules(void)
{
    const double a = 2.385e-3, b = 7.1e-5;
    for (int s = TX_SCHEDULE_CONSTANT; s <= TX_SCHEDULE_COSINE; s++) {
        double end = s == TX_SCHEDULE_CONSTANT ? a : b;
        CHECK_NEAR(tx_schedule_rate((tx_schedule)s, a, b, 0, 101), a, 1e-18);
        CHECK_NEAR(tx_schedule_rate((tx_schedule)s, a, b, 100, 101), end, 1e-16);
        CHECK_NEAR(tx_schedule_rate((tx_schedule)s, a, b, 500, 101), end, 1e-16);
        CHECK_NEAR(tx_schedule_rate((tx_schedule)s, a, b, 0, 1), a, 1e-18);
    }
    CHECK_NEAR(tx_schedule_rate(TX_SCHEDULE_CONSTANT, a, b, 50, 101), a, 1e-16);
    CHECK_NEAR(tx_schedule_rate(TX_SCHEDULE_LINEAR, a, b, 50, 101), (a + b) / 2, 1e-16);
    CHECK_NEAR(tx_schedule_rate(TX_SCHEDULE_LINEAR, a, b, 25, 101), 0.75 * a + 0.25 * b, 1e-16);
    CHECK_NEAR(tx_schedule_rate(TX_SCHEDULE_EXPONENTIAL, a, b, 50, 101), sqrt(a * b), 1e-16);
    CHECK_NEAR(tx_schedule_rate(TX_SCHEDULE_COSINE, a, b, 50, 101), (a + b) / 2, 1e-16);
    CHECK_NEAR(tx_schedule_rate(TX_SCHEDULE_COSINE, a, b, 25, 101), b + (a - b) * (2 + sqrt(2)) / 4, 1e-16);
}

/* Parameters. */

static void names_and_places(void)
{
    tx_params *p = net();
    CHECK_TEXT(tx_params_net(p), "critic");
    CHECK_INT(tx_params_count(p), N_WEIGHT);
    CHECK_INT(tx_params_size(p), N_ALL);
    CHECK_TEXT(tx_params_name(p, (tx_param){2}), "w2");
    tx_tensor block = tx_params_block(p);
    const real *end = block.x;
    for (int i = 0; i < N_WEIGHT; i++) {
        tx_tensor w = tx_params_value(p, (tx_param){i});
        CHECK_INT((uintptr_t)w.x % 64, 0);
        CHECK_TRUE(tx_shape_equal(w.shape, tx_shape2(size[i][0], size[i][1])));
        CHECK_TRUE(w.x >= end && w.x - end < (ptrdiff_t)(64 / sizeof(real)));
        for (; end < w.x; end++) CHECK_NEAR(*end, 0, 0);
        end = w.x + tx_len(w);
    }
    CHECK_TRUE(end <= block.x + tx_len(block));
    tx_params_free(p);
}

/** Mean and variance of [in,out] weights against `variance`, at 5 sigma; `kurtosis` is E x^4 / variance^2. */
static void check_init(tx_init init, size_t in, size_t out, double variance, double kurtosis, double bound)
{
    tx_params *p = tx_params_new("net");
    tx_param q = tx_params_add(p, "w", tx_shape2(in, out), init);
    tx_params_seal(p, tx_rng_root(5));
    tx_tensor w = tx_params_value(p, q);
    double n = (double)tx_len(w), sum = 0, square = 0, largest = 0;
    for (size_t i = 0; i < tx_len(w); i++) {
        double x = (double)w.x[i];
        sum += x;
        square += x * x;
        largest = fmax(largest, fabs(x));
    }
    CHECK_NEAR(sum / n, 0, 5 * sqrt(variance / n));
    CHECK_NEAR(square / n, variance, 5 * variance * sqrt((kurtosis - 1) / n));
    CHECK_TRUE(largest <= bound * (1 + 1e-6));
    CHECK_TRUE(largest > sqrt(variance));
    tx_params_free(p);
}

static void initial_distributions(void)
{
    check_init((tx_init){TX_INIT_GLOROT, 0}, 70, 230, 2.0 / 300, 1.8, sqrt(6.0 / 300));
    check_init((tx_init){TX_INIT_HE, 0}, 70, 230, 2.0 / 70, 3, INFINITY);
    check_init((tx_init){TX_INIT_NORMAL, (real)0.375}, 70, 230, 0.375 * 0.375, 3, INFINITY);
    check_init((tx_init){TX_INIT_UNIFORM, (real)0.375}, 70, 230, 0.375 * 0.375 / 3, 1.8, 0.375);
    tx_params *p = tx_params_new("net");
    tx_param q = tx_params_add(p, "b", tx_shape2(1, 9), (tx_init){TX_INIT_CONSTANT, (real)-0.625});
    tx_params_seal(p, tx_rng_root(5));
    for (int i = 0; i < 9; i++) CHECK_NEAR(tx_params_value(p, q).x[i], -0.625, 0);
    tx_params_free(p);
}

static void weights_do_not_depend_on_others(void)
{
    tx_init normal = {TX_INIT_NORMAL, 1};
    tx_params *a = tx_params_new("net"), *b = tx_params_new("net"), *c = tx_params_new("other");
    tx_param wa = tx_params_add(a, "w", tx_shape2(7, 5), normal);
    tx_param vb = tx_params_add(b, "v", tx_shape2(3, 5), normal);
    tx_param wb = tx_params_add(b, "w", tx_shape2(7, 5), normal);
    tx_param wc = tx_params_add(c, "w", tx_shape2(7, 5), normal);
    tx_params *all[] = {a, b, c};
    for (int i = 0; i < 3; i++) tx_params_seal(all[i], tx_rng_root(5));
    tx_tensor w = tx_params_value(a, wa);
    CHECK_TRUE(memcmp(w.x, tx_params_value(b, wb).x, 35 * sizeof(real)) == 0);
    CHECK_TRUE(w.x[0] != tx_params_value(b, vb).x[0]);
    CHECK_TRUE(w.x[0] != tx_params_value(c, wc).x[0]);
    for (int i = 0; i < 3; i++) tx_params_free(all[i]);
}

static void gradients_of_weights(void)
{
    tx_params *p = tx_params_new("net");
    tx_tape *t = tx_tape_new(0);
    tx_tensor g[2];
    tx_param w = tx_params_add(p, "w", tx_shape2(2, 3), (tx_init){TX_INIT_NORMAL, 1});
    tx_param v = tx_params_add(p, "unused", tx_shape2(1, 5), (tx_init){TX_INIT_NORMAL, 1});
    tx_params_seal(p, tx_rng_root(5));
    for (int step = 0; step < 2; step++) {
        tx_tape_reset(t);
        tx_params_bind(p, t);
        tx_var x = tx_params_var(p, w);
        CHECK_TRUE(x->v.x == tx_params_value(p, w).x);
        tx_params_grad(p, t, tx_mul(t, x, x), g);
        for (int i = 0; i < 6; i++) CHECK_NEAR(g[w.id].x[i], 2 * x->v.x[i], 0);
        for (int i = 0; i < 5; i++) CHECK_NEAR(g[v.id].x[i], 0, 0);
    }
    tx_tape_free(t);
    tx_params_free(p);
}

/* Layers. */

static tx_tensor matrix(size_t rows, size_t cols, uint64_t from)
{
    tx_tensor v = tx_matrix(tx_alloc(rows * cols, sizeof(real)), rows, cols);
    for (size_t i = 0; i < rows * cols; i++) v.x[i] = (real)uniform(from + i, -1.3, 1.7);
    return v;
}

static void multilayer_perceptron(void)
{
    static const char *const name[] = {"f_w0", "f_b0", "f_w1", "f_b1", "f_w2", "f_b2"};
    tx_params *p = tx_params_new("net");
    tx_ints hidden = {2, {7, 65}};
    tx_mlp m = tx_mlp_add(p, "f", 5, &hidden, 3, TX_RELU, TX_SIGMOID);
    tx_params_seal(p, tx_rng_root(5));
    CHECK_INT(m.n, 3);
    CHECK_INT(tx_params_count(p), 6);
    for (int i = 0; i < 6; i++) CHECK_TEXT(tx_params_name(p, (tx_param){i}), name[i]);
    for (int i = 0; i < 65; i++) CHECK_NEAR(tx_params_value(p, m.b[1]).x[i], 0, 0);
    for (int i = 0; i < 65; i++) tx_params_value(p, m.b[1]).x[i] = (real)uniform((uint64_t)i, -1, 1);
    tx_tape *t = tx_tape_new(0);
    tx_tensor x = matrix(4, 5, 1000);
    tx_params_bind(p, t);
    tx_var y = tx_mlp_apply(t, p, &m, tx_leaf(t, x));
    CHECK_TRUE(tx_shape_equal(y->v.shape, tx_shape2(4, 3)));
    for (size_t r = 0; r < 4; r++) {
        double v[2][65] = {{0}};
        for (int i = 0; i < 5; i++) v[0][i] = (double)x.x[r * 5 + (size_t)i];
        for (int l = 0; l < 3; l++) {
            tx_tensor w = tx_params_value(p, m.w[l]), b = tx_params_value(p, m.b[l]);
            double *in = v[l % 2], *out = v[(l + 1) % 2];
            for (size_t o = 0; o < tx_cols(w); o++) {
                double z = (double)b.x[o];
                for (size_t i = 0; i < tx_rows(w); i++) z += in[i] * (double)w.x[i * tx_cols(w) + o];
                out[o] = l < 2 ? fmax(z, 0) : 1 / (1 + exp(-z));
            }
        }
        for (size_t o = 0; o < 3; o++) CHECK_NEAR(y->v.x[r * 3 + o], v[1][o], eps);
    }
    free(x.x);
    tx_tape_free(t);
    tx_params_free(p);
}

static double variance(tx_tensor w)
{
    double s = 0;
    for (size_t i = 0; i < tx_len(w); i++) s += (double)w.x[i] * (double)w.x[i];
    return s / (double)tx_len(w);
}

static void initial_weights_suit_the_activation(void)
{
    static const struct {
        tx_act hidden, out;
        double v0, v1; /**< variances for [90,130] and [130,80] */
    } want[] = {{TX_RELU, TX_LINEAR, 2.0 / 90, 2.0 / 210},
                {TX_LEAKY_RELU, TX_RELU, 2.0 / 90, 2.0 / 130},
                {TX_TANH, TX_SIGMOID, 2.0 / 220, 2.0 / 210}};
    tx_ints hidden = {1, {130}};
    for (size_t i = 0; i < TX_LEN(want); i++) {
        tx_params *p = tx_params_new("net");
        tx_mlp m = tx_mlp_add(p, "f", 90, &hidden, 80, want[i].hidden, want[i].out);
        tx_params_seal(p, tx_rng_root(5));
        CHECK_NEAR(variance(tx_params_value(p, m.w[0])) / want[i].v0, 1, 5 * sqrt(2.0 / 11700));
        CHECK_NEAR(variance(tx_params_value(p, m.w[1])) / want[i].v1, 1, 5 * sqrt(2.0 / 10400));
        tx_params_free(p);
    }
    tx_params *p = tx_params_new("net");
    tx_mlp m = tx_mlp_add_init(p, "f", 90, &hidden, 80, TX_RELU, TX_LINEAR, (tx_init){TX_INIT_NORMAL, (real)0.02});
    tx_params_seal(p, tx_rng_root(5));
    CHECK_NEAR(variance(tx_params_value(p, m.w[1])) / 4e-4, 1, 5 * sqrt(2.0 / 10400));
    tx_params_free(p);
}

static void dropout(void)
{
    enum { ROWS = 200, COLS = 65 };
    const double keep = 0.7, n = ROWS * COLS;
    tx_tape *t = tx_tape_new(0);
    tx_tensor x = matrix(ROWS, COLS, 0);
    tx_rng r = tx_rng_named(tx_rng_root(3), "dropout");
    const tx_rng both[] = {tx_rng_fold(r, 1), r};
    tx_var v = tx_leaf(t, x), y = tx_dropout(t, v, (real)keep, 1, &r), again = tx_dropout(t, v, (real)keep, 1, &r), g;
    tx_var other = tx_dropout(t, v, (real)keep, 1, both);
    tx_var pair = tx_dropout(t, tx_concat_rows(t, v, v), (real)keep, 2, both);
    size_t kept = 0, same = 0;
    tx_grad(t, y, &v, 1, &g);
    for (size_t i = 0; i < ROWS * COLS; i++) {
        bool on = y->v.x[i] != 0;
        kept += on;
        same += on == (other->v.x[i] != 0);
        if (on) CU_ASSERT(fabs((double)y->v.x[i] * keep - (double)x.x[i]) <= eps);
        CU_ASSERT(fabs((double)g->v.x[i] - (on ? 1 / keep : 0)) <= eps);
    }
    CHECK_NEAR((double)kept / n, keep, 5 * sqrt(keep * (1 - keep) / n));
    double agree = keep * keep + (1 - keep) * (1 - keep);
    CHECK_NEAR((double)same / n, agree, 5 * sqrt(agree * (1 - agree) / n));
    CHECK_TRUE(memcmp(y->v.x, again->v.x, ROWS * COLS * sizeof(real)) == 0);
    CHECK_TRUE(memcmp(pair->v.x, other->v.x, ROWS * COLS * sizeof(real)) == 0);
    CHECK_TRUE(memcmp(pair->v.x + ROWS * COLS, y->v.x, ROWS * COLS * sizeof(real)) == 0);
    free(x.x);
    tx_tape_free(t);
}

/* The objective of training-mode normalisation with cotangents c, and its gradient by differences through the batch's
 * own statistics; then what it leaves behind. */
static double normalised_sum(tx_params *running, const tx_batchnorm *b, tx_tensor x, tx_tensor c, real keep,
                             tx_tensor *g, real y[])
{
    tx_tape *t = tx_tape_new(0);
    tx_var v = tx_leaf(t, x), log_sd, grad;
    tx_var out = tx_batchnorm_train(t, running, b, v, keep, &log_sd);
    tx_var sum = tx_add(t, tx_mean(t, tx_mul(t, out, tx_leaf(t, c))), tx_scale(t, tx_mean(t, log_sd), (real)2.385));
    double value = (double)sum->v.x[0];
    if (g) {
        tx_grad(t, sum, &v, 1, &grad);
        memcpy(g->x, grad->v.x, tx_len(x) * sizeof(real));
    }
    if (y) memcpy(y, out->v.x, tx_len(x) * sizeof(real));
    tx_tape_free(t);
    return value;
}

static void batch_normalisation(void)
{
    enum { ROWS = 7, COLS = 5 };
    const double keep = 0.85;
    tx_params *running = tx_params_new_state("running");
    tx_batchnorm b = tx_batchnorm_add(running, "bn", COLS);
    tx_params_seal(running, tx_rng_root(5));
    tx_tensor x = matrix(ROWS, COLS, 1), c = matrix(ROWS, COLS, 2), g = matrix(ROWS, COLS, 3);
    real y[ROWS * COLS];
    for (size_t i = 0; i < ROWS * COLS; i++) x.x[i] = (real)(3 * (double)x.x[i] + 1.385);
    normalised_sum(running, &b, x, c, (real)keep, &g, y);
    for (size_t j = 0; j < COLS; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < ROWS; i++) mean += (double)x.x[i * COLS + j] / ROWS;
        for (size_t i = 0; i < ROWS; i++) square += pow((double)x.x[i * COLS + j] - mean, 2) / ROWS;
        for (size_t i = 0; i < ROWS; i++)
            CHECK_NEAR(y[i * COLS + j], ((double)x.x[i * COLS + j] - mean) / sqrt(square + 1e-5), 50 * eps);
        CHECK_NEAR(tx_params_value(running, b.mean).x[j], (1 - keep) * mean, 20 * eps);
        CHECK_NEAR(tx_params_value(running, b.variance).x[j], keep + (1 - keep) * square, 50 * eps);
    }
    for (size_t i = 0; i < ROWS * COLS && sizeof(real) == sizeof(double); i++) {
        const double h = 1e-5, old = (double)x.x[i];
        x.x[i] = (real)(old + h);
        double up = normalised_sum(running, &b, x, c, 1, NULL, NULL);
        x.x[i] = (real)(old - h);
        double down = normalised_sum(running, &b, x, c, 1, NULL, NULL);
        x.x[i] = (real)old;
        CHECK_NEAR(g.x[i], (up - down) / (2 * h), 1e-8);
    }
    /* Evaluation: by the running statistics, a row alone as among others, and back. */
    tx_tape *t = tx_tape_new(0);
    tx_params_bind(running, t);
    tx_var log_sd, all = tx_batchnorm_apply(t, running, &b, tx_leaf(t, x), &log_sd);
    tx_var one = tx_batchnorm_apply(t, running, &b, tx_leaf(t, tx_slice_rows(x, 3, 4)), NULL);
    tx_var back = tx_batchnorm_invert(t, running, &b, all);
    /* A row alone has no variance: also in training it is normalised by the running ones, which stay. */
    real kept[2 * COLS];
    memcpy(kept, tx_params_value(running, b.mean).x, COLS * sizeof(real));
    memcpy(kept + COLS, tx_params_value(running, b.variance).x, COLS * sizeof(real));
    tx_var single = tx_batchnorm_train(t, running, &b, tx_leaf(t, tx_slice_rows(x, 3, 4)), 0, NULL);
    CHECK_TRUE(memcmp(single->v.x, one->v.x, COLS * sizeof(real)) == 0);
    CHECK_TRUE(memcmp(kept, tx_params_value(running, b.mean).x, COLS * sizeof(real)) == 0);
    CHECK_TRUE(memcmp(kept + COLS, tx_params_value(running, b.variance).x, COLS * sizeof(real)) == 0);
    CHECK_TRUE(memcmp(one->v.x, all->v.x + 3 * COLS, COLS * sizeof(real)) == 0);
    for (size_t i = 0; i < ROWS * COLS; i++) {
        double mean = (double)tx_params_value(running, b.mean).x[i % COLS],
               variance = (double)tx_params_value(running, b.variance).x[i % COLS];
        CHECK_NEAR(all->v.x[i], ((double)x.x[i] - mean) / sqrt(variance + 1e-5), 50 * eps);
        CHECK_NEAR(log_sd->v.x[i % COLS], 0.5 * log(variance + 1e-5), 20 * eps);
        CHECK_NEAR(back->v.x[i], x.x[i], 50 * eps);
    }
    tx_tape_free(t), tx_params_free(running);
    free(x.x), free(c.x), free(g.x);
}

static void activation_choices(void)
{
    static const tx_act want[] = {TX_RELU, TX_LEAKY_RELU, TX_TANH, TX_SIGMOID, TX_SOFTPLUS};
    for (int i = 0; i < (int)TX_LEN(want); i++) CHECK_INT(tx_act_of_choice(i), want[i]);
}

/* What a caller must not do. */

static void two_of_a_name(void)
{
    tx_params *p = tx_params_new("net");
    for (int i = 0; i < 2; i++) tx_params_add(p, "w", tx_shape2(1, 1), (tx_init){TX_INIT_CONSTANT, 0});
}
static void add_after_seal(void) { tx_params_add(net(), "late", tx_shape2(1, 1), (tx_init){TX_INIT_CONSTANT, 0}); }
static void not_bound(void) { tx_params_var(net(), (tx_param){0}); }
static void bound_before_reset(void)
{
    tx_params *p = net();
    tx_tape *t = tx_tape_new(0);
    tx_params_bind(p, t);
    tx_tape_reset(t);
    tx_params_var(p, (tx_param){0});
}
static void too_deep(void)
{
    tx_ints hidden = {TX_MLP_MAX, {0}};
    for (int i = 0; i < TX_MLP_MAX; i++) hidden.v[i] = 2;
    tx_mlp_add(tx_params_new("net"), "f", 2, &hidden, 2, TX_RELU, TX_LINEAR);
}
static void no_geometric_zero(void) { tx_schedule_rate(TX_SCHEDULE_EXPONENTIAL, 1e-3, 0, 1, 10); }
static void no_such_activation(void) { tx_act_of_choice(5); }

static void misuse_aborts(void)
{
    static void (*const bad[])(void) = {two_of_a_name, add_after_seal,    not_bound,         bound_before_reset,
                                        too_deep,      no_geometric_zero, no_such_activation};
    for (size_t i = 0; i < TX_LEN(bad); i++) {
        bool died = tx_dies(bad[i], -1);
        if (!died) printf("\n  misuse %zu went unnoticed", i);
        CU_ASSERT(died);
    }
}

/* A net at w - rate g, and how what it says there depends on w: d/dw of sum (w - rate g)^3 for a loss of sum w^2 x/2,
 * with g = w x. The next bind reads the weights again. */
static void weights_in_place_of_others(void)
{
    const double rate = 0.3, tol = sizeof(real) == 8 ? 1e-12 : 1e-5;
    tx_params *p = tx_params_new("product");
    tx_param w = tx_params_add(p, "w", tx_shape2(2, 3), (tx_init){TX_INIT_NORMAL, 1});
    tx_params_seal(p, tx_rng_root(3));
    tx_tape *t = tx_tape_new(1 << 12);
    real x[6];
    tx_rng_normal(tx_rng_root(4), 0, 6, x);
    tx_params_bind(p, t);
    tx_var leaf = tx_params_var(p, w), data = tx_leaf(t, tx_matrix(x, 2, 3)), grad;
    tx_grad(t, tx_scale(t, tx_mul(t, tx_mul(t, leaf, leaf), data), (real)0.5), &leaf, 1, &grad);
    tx_var moved = tx_sub(t, leaf, tx_scale(t, grad, (real)rate));
    tx_params_use(p, t, &moved);
    tx_var there = tx_params_var(p, w), cube = tx_mul(t, there, tx_mul(t, there, there)), slope;
    tx_tensor own;
    CHECK_TRUE(there == moved);
    tx_grad(t, cube, &leaf, 1, &slope);
    tx_params_grad(p, t, cube, &own);
    for (size_t i = 0; i < 6; i++) {
        double v = (double)leaf->v.x[i], factor = 1 - rate * (double)x[i], at = v * factor;
        CHECK_NEAR(there->v.x[i], at, tol);
        CHECK_NEAR(own.x[i], 3 * at * at, 10 * tol);
        CHECK_NEAR(slope->v.x[i], 3 * at * at * factor, 10 * tol);
    }
    tx_params_bind(p, t);
    CHECK_TRUE(tx_params_var(p, w)->v.x == tx_params_value(p, w).x);
    tx_tape_free(t), tx_params_free(p);
}

static void use_another_shape(void)
{
    tx_params *p = tx_params_new("product");
    tx_params_add(p, "w", tx_shape2(2, 3), (tx_init){TX_INIT_NORMAL, 1});
    tx_params_seal(p, tx_rng_root(3));
    tx_tape *t = tx_tape_new(1 << 12);
    real x[6] = {0};
    tx_params_bind(p, t);
    tx_var turned = tx_leaf(t, tx_matrix(x, 3, 2));
    tx_params_use(p, t, &turned);
}
static void weights_of_another_shape(void) { CHECK_TRUE(tx_dies(use_another_shape, -1)); }

int main(void)
{
    static const tx_test tests[] = {
        {"optimisers follow their papers", optimisers},
        {"gradients that are not finite, clipped", bad_gradients_change_nothing_where_they_are_clipped},
        {"gradients that are not finite, not clipped", bad_gradients_are_found_without_clipping},
        {"postponed gradients make the same steps on every number of threads", postponed_gradients_make_the_same_steps},
        {"postponed gradients that are not finite", bad_postponed_gradients_are_found},
        {"weights that multiply weights are not postponed", a_weight_that_multiplies_a_weight_is_not_postponed},
        {"list of optimisers", registry},
        {"schedules", schedules},
        {"names and places of weights", names_and_places},
        {"initial distributions", initial_distributions},
        {"weights do not depend on others", weights_do_not_depend_on_others},
        {"gradients of weights", gradients_of_weights},
        {"weights in place of others", weights_in_place_of_others},
        {"weights of another shape", weights_of_another_shape},
        {"multilayer perceptron", multilayer_perceptron},
        {"initial weights suit the activation", initial_weights_suit_the_activation},
        {"dropout", dropout},
        {"batch normalisation", batch_normalisation},
        {"activation choices", activation_choices},
        {"misuse aborts", misuse_aborts},
    };
    return tx_run_tests("optim", tests, TX_LEN(tests));
}
