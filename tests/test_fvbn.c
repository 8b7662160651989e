/** Mathematics of the autoregressive models: against naive loops in double that follow models/fvbn/README.md, one
 *  variable at a time. */
#include <stdlib.h>
#include "tests/support/check.h"
#include "models/fvbn/arnet.h"

enum { MOST = 48 }; /* variables of any test */

#ifdef TX_DOUBLE
static const double tight = 1e-11;
#else
static const double tight = 3e-5;
#endif

/* ---- models under test ---- */

typedef struct subject {
    tx_model *m;
    tx_tape *t;
    tx_space space;
    double mean[MOST], deviation[MOST];
    void *config;
} subject;

static const tx_model_ops *find(const char *name)
{
    for (size_t k = 0; tx_model_list[k]; k++)
        if (strcmp(tx_model_list[k]->name, name) == 0) return tx_model_list[k];
    abort();
}

/** `text` holds options as YAML; the weights (not the structure) become normals of this spread. */
static subject *open_subject(const char *name, size_t dim, const char *text, double spread)
{
    subject *s = tx_alloc(1, sizeof *s);
    const tx_model_ops *ops = find(name);
    for (size_t j = 0; j < dim; j++)
        s->mean[j] = 0.13 + 0.7 * (double)j / MOST, s->deviation[j] = 0.317 + 0.1 * (double)j;
    bool real_line = ops->spaces == TX_ON_REAL;
    s->space = (tx_space){.measure = real_line ? TX_LEBESGUE : TX_COUNTING,
                          .levels = real_line ? 0 : 2,
                          .dim = dim,
                          .lower = real_line ? -INFINITY : 0,
                          .upper = real_line ? INFINITY : 1,
                          .mean = s->mean,
                          .deviation = s->deviation};
    s->config = tx_alloc(1, ops->config_size);
    tx_options_defaults(ops->options, s->config);
    tx_yaml *y = NULL;
    CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &y));
    tx_option_set set = {ops->options, s->config};
    CHECK_OK(tx_options_parse(&set, 1, y, "test", NULL));
    tx_yaml_free(y);
    s->t = tx_tape_new(1 << 20);
    CHECK_OK(tx_model_new(&s->m, ops, s->config, &s->space, 17));
    for (int k = 0; spread > 0 && k < tx_params_count(s->m->net[0]); k++) {
        tx_tensor w = tx_params_value(s->m->net[0], (tx_param){k});
        for (size_t i = 0; i < tx_len(w); i++)
            w.x[i] = (real)(spread * tx_rng_normal1(tx_rng_fold(tx_rng_root(91), (uint64_t)k), i));
    }
    return s;
}

static void close_subject(subject *s)
{
    tx_model_free(s->m);
    tx_tape_free(s->t);
    free(s->config);
    free(s);
}

static tx_tensor weight(const subject *s, int net, const char *name)
{
    const tx_params *p = s->m->net[net];
    for (int k = 0; k < tx_params_count(p); k++)
        if (strcmp(tx_params_name(p, (tx_param){k}), name) == 0) return tx_params_value(p, (tx_param){k});
    printf("no weight %s\n", name);
    abort();
}

static bool has(const subject *s, const char *name)
{
    const tx_params *p = s->m->net[0];
    for (int k = 0; k < tx_params_count(p); k++)
        if (strcmp(tx_params_name(p, (tx_param){k}), name) == 0) return true;
    return false;
}

static double at(tx_tensor w, size_t i, size_t j) { return (double)w.x[i * tx_cols(w) + j]; }
static double sigmoid(double z) { return 1 / (1 + exp(-z)); }
static double log_bernoulli(double logit, double x) { return x > 0.5 ? -log1p(exp(-logit)) : -log1p(exp(logit)); }

static void random_bits(tx_rng r, size_t n, real x[])
{
    for (size_t i = 0; i < n; i++) x[i] = tx_rng_uniform1(r, i) < 0.37;
}

/** place[j] of variable j from 1, as stored, or raster: each place once. */
static void places(const subject *s, size_t mask, size_t place[])
{
    size_t sum = 0, d = s->space.dim;
    for (size_t j = 0; j < d; j++) {
        place[j] = s->m->n_net > 1 ? (size_t)at(weight(s, 1, "place"), mask, j) : j + 1;
        if (place[j] >= 1 && place[j] <= d) sum += (size_t)1 << (place[j] - 1);
    }
    CU_ASSERT(sum == ((size_t)1 << d) - 1);
}

/* ---- the formulas ---- */

/** Outputs of head `end` of a masked net for one row. Missing hidden layers: the inputs themselves. */
static void naive_net(const subject *s, size_t mask, const char *end, const double x[], double out[])
{
    size_t d = s->space.dim, n = d, place[MOST], below[128], degree[128];
    double h[128], z[128];
    char name[32];
    places(s, mask, place);
    memcpy(below, place, sizeof place), memcpy(h, x, d * sizeof *x);
    bool stored = s->m->n_net > 1;
    for (int l = 0; snprintf(name, sizeof name, "w%d", l), has(s, name); l++) {
        tx_tensor w = weight(s, 0, name);
        name[0] = 'b';
        tx_tensor b = weight(s, 0, name);
        size_t units = tx_cols(w);
        snprintf(name, sizeof name, "degree%d", l);
        for (size_t j = 0; j < units; j++) {
            degree[j] = stored ? (size_t)at(weight(s, 1, name), mask, j) : 1 + j * (d - 1) / units;
            z[j] = at(b, 0, j);
            for (size_t i = 0; i < n; i++)
                if (below[i] <= degree[j]) z[j] += at(w, i, j) * h[i];
        }
        n = units;
        for (size_t j = 0; j < n; j++) below[j] = degree[j], h[j] = fmax(z[j], 0);
    }
    snprintf(name, sizeof name, "w%s", end);
    tx_tensor w = weight(s, 0, name);
    snprintf(name, sizeof name, "direct%s", end);
    bool direct = has(s, name);
    tx_tensor a = direct ? weight(s, 0, name) : w;
    snprintf(name, sizeof name, "b%s", end);
    tx_tensor b = weight(s, 0, name);
    size_t per = tx_cols(w) / d;
    for (size_t j = 0; j < tx_cols(w); j++) {
        out[j] = at(b, 0, j);
        for (size_t i = 0; i < n; i++)
            if (below[i] < place[j / per]) out[j] += at(w, i, j) * h[i];
        for (size_t i = 0; direct && i < d; i++)
            if (place[i] < place[j / per]) out[j] += at(a, i, j) * x[i];
    }
}

/** Logit of variable `var` given the values of the variables in seen[]. */
static double naive_nade(const subject *s, const double x[], const bool seen[], size_t var)
{
    tx_tensor w = weight(s, 0, "w"), c = weight(s, 0, "c"), v = weight(s, 0, "v"), b = weight(s, 0, "b");
    size_t d = s->space.dim, n = tx_cols(w);
    bool agnostic = tx_rows(w) == 2 * d;
    double h[128], z[128];
    for (size_t k = 0; k < n; k++) {
        double sum = at(c, 0, k);
        for (size_t i = 0; i < d; i++)
            if (seen[i]) sum += x[i] * at(w, i, k) + (agnostic ? at(w, d + i, k) : 0);
        h[k] = agnostic ? fmax(sum, 0) : sigmoid(sum);
    }
    if (has(s, "w1")) {
        tx_tensor w1 = weight(s, 0, "w1"), b1 = weight(s, 0, "b1");
        for (size_t k = 0; k < tx_cols(w1); k++) {
            z[k] = at(b1, 0, k);
            for (size_t i = 0; i < n; i++) z[k] += h[i] * at(w1, i, k);
        }
        n = tx_cols(w1);
        for (size_t k = 0; k < n; k++) h[k] = fmax(z[k], 0);
    }
    double logit = at(b, 0, var);
    for (size_t k = 0; k < n; k++) logit += at(v, var, k) * h[k];
    return logit;
}

/** Logit of `var` when the variables before `rank` in the order are known; the others hold what must not matter. */
static double naive_logit(const subject *s, size_t mask, const double x[], const size_t place[], size_t var)
{
    double out[MOST];
    bool seen[MOST];
    if (strcmp(s->m->ops->name, "nade") == 0) {
        for (size_t i = 0; i < s->space.dim; i++) seen[i] = place[i] < place[var];
        return naive_nade(s, x, seen, var);
    }
    naive_net(s, mask, strcmp(s->m->ops->name, "made") == 0 ? "_out" : "", x, out);
    return out[var];
}

static double naive_log_prob(const subject *s, size_t mask, const real row[])
{
    double x[MOST], sum = 0;
    size_t place[MOST];
    places(s, mask, place);
    for (size_t j = 0; j < s->space.dim; j++) x[j] = (double)row[j];
    for (size_t j = 0; j < s->space.dim; j++) sum += log_bernoulli(naive_logit(s, mask, x, place, j), x[j]);
    return sum;
}

static int n_mask(const subject *s) { return s->m->n_net > 1 ? (int)tx_rows(weight(s, 1, "place")) : 1; }

static double naive_mixture(const subject *s, const real row[])
{
    double sum = 0;
    for (int k = 0; k < n_mask(s); k++) sum += exp(naive_log_prob(s, (size_t)k, row)) / n_mask(s);
    return log(sum);
}

/** Sums are begun for TX_ARNET_PANEL units at a time: less than one such panel, and several with a rest. */
static const struct {
    const char *name, *text;
    size_t dim;
} binary[] = {
    {"fvbn", "{}", 13},
    {"fvbn", "{order: random, order_seed: 5}", 13},
    {"fvbn", "{}", 1},
    {"made", "{hidden: [29]}", 13},
    {"made", "{hidden: [7], direct: true}", 13},
    {"made", "{hidden: [19, 31], direct: true, order: random, degrees: random, mask_seed: 3}", 13},
    {"made", "{hidden: [19, 31], direct: true, order: random, degrees: random, masks: 3}", 13},
    {"made", "{hidden: [], order: random, masks: 2}", 7},
    {"made", "{hidden: [5]}", 1},
    {"made", "{hidden: [5], activation: relu}", 2},
    {"fvbn", "{}", 37},
    {"fvbn", "{order: random, order_seed: 5}", 37},
    {"made", "{hidden: [71]}", 45},
    {"made", "{hidden: [71, 17], direct: true, order: random, degrees: random, masks: 2}", 37},
    {"nade", "{hidden: [1]}", 13},
    {"nade", "{hidden: [71]}", 13},
    {"nade", "{hidden: [71], order_seed: 2}", 13},
    {"nade", "{hidden: [33], order: agnostic}", 13},
    {"nade", "{hidden: [33, 17], order: agnostic, order_seed: 4}", 13},
    {"nade", "{hidden: [5]}", 1},
};

static void test_log_prob(void)
{
    enum { N = 131 };
    static real x[N * MOST];
    static double value[N];
    for (size_t k = 0; k < TX_LEN(binary); k++) {
        size_t d = binary[k].dim;
        subject *s = open_subject(binary[k].name, d, binary[k].text, 0.785);
        random_bits(tx_rng_root(k), N * d, x);
        tx_model_evaluate(s->m, s->t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, N, d), value);
        for (size_t i = 0; i < N; i++) {
            double expected = naive_mixture(s, x + i * d);
            CHECK_NEAR(value[i], expected, tight * fmax(1, fabs(expected)));
        }
        close_subject(s);
    }
}

static void test_normalised(void)
{
    static const size_t dims[] = {1, 2, 3, 6, 10};
    static const double spread[] = {0.385, 1.385};
    enum { MOST_D = 10 };
    static real x[MOST_D << MOST_D];
    static double value[1 << MOST_D];
    for (size_t k = 0; k < TX_LEN(binary) * TX_LEN(dims) * TX_LEN(spread); k++) {
        size_t d = dims[k % TX_LEN(dims)], n = (size_t)1 << d, of = k / TX_LEN(dims);
        subject *s = open_subject(binary[of / 2].name, d, binary[of / 2].text, spread[of % 2]);
        for (size_t i = 0; i < n * d; i++) x[i] = (i / d) >> (i % d) & 1;
        tx_model_evaluate(s->m, s->t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, n, d), value);
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += exp(value[i]);
        CHECK_NEAR(sum, 1, tight);
        close_subject(s);
    }
}

/** The sampler is the naive one: variable by variable, given the same uniforms; and every row stands for itself. */
static void test_sample(void)
{
    enum { N = 71, FIRST = 5 };
    static real u[N * MOST], x[N * MOST], mean[N * MOST], again[N * MOST];
    for (size_t k = 0; k < TX_LEN(binary); k++) {
        size_t d = binary[k].dim, place[MOST];
        subject *s = open_subject(binary[k].name, d, binary[k].text, 0.785);
        tx_rng r = tx_rng_root(1000 + k);
        tx_rng_uniform(r, FIRST * d, N * d, u);
        tx_model_sample(s->m, s->t, r, FIRST, N, false, x);
        tx_model_sample(s->m, s->t, r, FIRST, N, true, mean);
        tx_model_sample(s->m, s->t, r, FIRST + 33, N - 33, false, again);
        CU_ASSERT(memcmp(again, x + 33 * d, (N - 33) * d * sizeof *x) == 0);
        for (size_t i = 0; i < N; i++) {
            size_t mask = (size_t)(tx_rng_uniform1(tx_rng_named(r, "mask"), FIRST + i) * n_mask(s));
            places(s, mask, place);
            double row[MOST];
            for (size_t j = 0; j < d; j++) row[j] = 1;
            for (size_t p = 1; p <= d; p++)
                for (size_t j = 0; j < d; j++) {
                    if (place[j] != p) continue;
                    double q = sigmoid(naive_logit(s, mask, row, place, j));
                    CHECK_NEAR(mean[i * d + j], q, tight);
                    row[j] = (double)u[i * d + j] < q;
                    CHECK_NEAR(x[i * d + j], row[j], 0);
                }
        }
        close_subject(s);
    }
}

/* ---- masks ---- */

static void jacobian_of(const subject *s, double seen[4][4])
{
    const tx_arnet *a = s->m->state;
    size_t place[MOST];
    places(s, 0, place);
    tx_model_bind(s->m, s->t);
    tx_tensor x = tx_tape_tensor(s->t, 1, 4), c = tx_tape_tensor(s->t, 1, 4);
    for (size_t j = 0; j < 4; j++) x.x[j] = (real)(0.9 + 0.385 * (double)j);
    tx_var in = tx_leaf(s->t, x), out, dx;
    tx_arnet_apply(a, s->t, 0, in, &out);
    for (size_t j = 0; j < 4; j++) {
        c = tx_tape_tensor(s->t, 1, 4);
        for (size_t i = 0; i < 4; i++) c.x[i] = i == j;
        tx_vjp(s->t, out, tx_leaf(s->t, c), &in, 1, &dx);
        for (size_t i = 0; i < 4; i++) {
            if (place[i] >= place[j]) CU_ASSERT(dx->v.x[i] == 0);
            seen[place[j] - 1][place[i] - 1] += fabs((double)dx->v.x[i]);
        }
    }
}

/** No output moves with its own or a later variable, in any of the 24 orders; and nothing else is cut. */
static void test_autoregressive(void)
{
    bool met[256] = {false};
    int orders = 0;
    double seen[4][4] = {{0}};
    for (int seed = 0; seed < 300 && orders < 24; seed++) {
        char text[160];
        snprintf(text, sizeof text,
                 "{hidden: [9, 7], direct: %s, order: random, degrees: random, activation: tanh, mask_seed: %d}",
                 seed % 2 ? "true" : "false", seed);
        subject *s = open_subject("made", 4, text, 0.785);
        size_t place[MOST];
        places(s, 0, place);
        size_t code = (place[0] - 1) * 64 + (place[1] - 1) * 16 + (place[2] - 1) * 4 + place[3] - 1;
        if (!met[code]) {
            met[code] = true;
            orders++;
            jacobian_of(s, seen);
        }
        close_subject(s);
    }
    CHECK_INT(orders, 24);
    for (size_t j = 0; j < 4; j++)
        for (size_t i = 0; i < j; i++) CU_ASSERT(seen[j][i] > 0.1);
}

/** Drawn degrees stay where every unit sees something and is seen; sets differ; a step leaves the structure alone. */
static void test_structure(void)
{
    subject *s = open_subject("made", 13, "{hidden: [3, 50], order: random, degrees: random, masks: 2}", 0.2);
    tx_tensor first = weight(s, 1, "degree0"), second = weight(s, 1, "degree1");
    for (size_t k = 0; k < 2; k++) {
        double least = 99;
        for (size_t j = 0; j < 3; j++) {
            CU_ASSERT(at(first, k, j) >= 1 && at(first, k, j) <= 12);
            least = fmin(least, at(first, k, j));
        }
        for (size_t j = 0; j < 50; j++) CU_ASSERT(at(second, k, j) >= least && at(second, k, j) <= 12);
    }
    CU_ASSERT(memcmp(first.x, first.x + 3, 3 * sizeof *first.x) != 0);
    tx_tensor block = tx_params_block(s->m->net[1]);
    size_t bytes = tx_len(block) * sizeof(real);
    real *before = tx_alloc(1, bytes);
    memcpy(before, block.x, bytes);
    static real x[9 * 13];
    random_bits(tx_rng_root(3), 9 * 13, x);
    tx_model_train_with(s->m, tx_optim_find("sgd"), &(double[4]){0});
    tx_step step = {.tape = s->t, .rng = tx_rng_root(1), .number = 1, .rate = 0.1, .weight_decay = 0.1};
    tx_metrics out;
    double expected = 0;
    for (size_t i = 0; i < 9; i++) expected -= naive_log_prob(s, 1, x + i * 13) / 9;
    CHECK_OK(tx_model_step(s->m, &step, tx_matrix(x, 9, 13), &out));
    CHECK_NEAR(out.m[0].value, expected, tight * fabs(expected));
    CU_ASSERT(memcmp(before, block.x, bytes) == 0);
    free(before);
    close_subject(s);
}

/* ---- gradients ---- */

static double weighted(const subject *s, tx_tensor x, const real c[])
{
    tx_model_bind(s->m, s->t);
    tx_var y = s->m->ops->log_prob(s->m, s->t, tx_leaf(s->t, x));
    double sum = 0;
    for (size_t i = 0; i < tx_rows(x); i++) sum += (double)c[i] * (double)y->v.x[i];
    return sum;
}

/** All weights of net 0 against central differences of sum c_i log p(x_i). */
static void check_gradient(const subject *s, tx_tensor x)
{
    const double eps = sizeof(real) == 8 ? 1e-5 : 1e-2, tol = sizeof(real) == 8 ? 1e-6 : 5e-2;
    int n = tx_params_count(s->m->net[0]);
    real c[140];
    tx_rng_normal(tx_rng_root(41), 0, tx_rows(x), c);
    tx_model_bind(s->m, s->t);
    tx_var wrt[16], grad[16], y = s->m->ops->log_prob(s->m, s->t, tx_leaf(s->t, x));
    for (int k = 0; k < n; k++) wrt[k] = tx_params_var(s->m->net[0], (tx_param){k});
    tx_vjp(s->t, y, tx_leaf(s->t, tx_matrix(c, tx_rows(x), 1)), wrt, n, grad);
    double *g[16];
    for (int k = 0; k < n; k++) {
        g[k] = tx_alloc(tx_len(grad[k]->v), sizeof **g);
        for (size_t i = 0; i < tx_len(grad[k]->v); i++) g[k][i] = (double)grad[k]->v.x[i];
    }
    for (int k = 0; k < n; k++) {
        tx_tensor w = tx_params_value(s->m->net[0], (tx_param){k});
        for (size_t i = 0; i < tx_len(w); i++) {
            real kept = w.x[i];
            w.x[i] = kept + (real)eps;
            double up = weighted(s, x, c);
            w.x[i] = kept - (real)eps;
            double slope = (up - weighted(s, x, c)) / (2 * eps);
            w.x[i] = kept;
            CHECK_NEAR(g[k][i], slope, tol * fmax(1, fabs(slope)));
        }
        free(g[k]);
    }
}

static void test_gradient(void)
{
    static const struct {
        const char *name, *text;
        size_t dim, n;
    } subjects[] = {
        {"fvbn", "{order: random}", 7, 5},
        {"made", "{hidden: [9, 6], direct: true, activation: tanh, order: random, degrees: random, masks: 2}", 5, 4},
        {"nade", "{hidden: [71], order_seed: 1}", 5, 131},
        {"nade", "{hidden: [2]}", 6, 3},
        {"made_mog", "{hidden: [7], components: 3, activation: tanh, min_log_sd: -1.2}", 3, 5},
    };
    for (size_t k = 0; k < TX_LEN(subjects); k++) {
        size_t n = subjects[k].n, d = subjects[k].dim;
        subject *s = open_subject(subjects[k].name, d, subjects[k].text, 0.785);
        real x[140 * 7];
        if (s->space.measure == TX_LEBESGUE)
            tx_rng_normal(tx_rng_root(8), 0, n * d, x);
        else
            random_bits(tx_rng_root(8), n * d, x);
        check_gradient(s, tx_matrix(x, n, d));
        close_subject(s);
    }
}

/* ---- NADE for all orders ---- */

static double over_orders(const subject *s, const double x[], bool seen[], size_t left)
{
    if (left == 0) return 0;
    double sum = 0;
    for (size_t j = 0; j < s->space.dim; j++) {
        if (seen[j]) continue;
        sum += log_bernoulli(naive_nade(s, x, seen, j), x[j]);
        seen[j] = true;
        sum += over_orders(s, x, seen, left - 1);
        seen[j] = false;
    }
    return sum / (double)left;
}

/** The expectation of the objective is the mean of -log p over the 24 orders. */
static void test_agnostic(void)
{
    enum { D = 4, N = 500, STEPS = 40 };
    static real x[N * D];
    subject *s = open_subject("nade", D, "{hidden: [11, 6], order: agnostic}", 0.785);
    double row[D] = {1, 0, 0, 1}, sum = 0, square = 0;
    for (size_t i = 0; i < N * D; i++) x[i] = (real)row[i % D];
    tx_model_train_with(s->m, tx_optim_find("sgd"), &(double[4]){0});
    for (uint64_t k = 0; k < STEPS; k++) {
        tx_step step = {.tape = s->t, .rng = tx_rng_root(k), .number = k};
        tx_metrics out;
        CHECK_OK(tx_model_step(s->m, &step, tx_matrix(x, N, D), &out));
        sum += out.m[0].value / STEPS, square += out.m[0].value * out.m[0].value / STEPS;
    }
    double error = sqrt((square - sum * sum) / (STEPS - 1)), expected = -over_orders(s, row, (bool[D]){false}, D);
    CHECK_TRUE(error < 0.02 * fabs(expected));
    CHECK_NEAR(sum, expected, 5 * error);
    close_subject(s);
}

/* ---- mixtures of Gaussians ---- */

enum { K = 3 };
static double floored(double raw, double low) { return low + log1p(exp(raw - low)); }

static double naive_mog(const subject *s, const double x[], double low, double logit[], double mean[], double log_sd[])
{
    double sum = 0;
    naive_net(s, 0, "_logit", x, logit), naive_net(s, 0, "_mean", x, mean), naive_net(s, 0, "_log_sd", x, log_sd);
    for (size_t j = 0; j < s->space.dim; j++) {
        double total = 0, p = 0;
        for (size_t k = j * K; k < j * K + K; k++) total += exp(logit[k]);
        for (size_t k = j * K; k < j * K + K; k++) {
            log_sd[k] = floored(log_sd[k], low);
            double z = (x[j] - mean[k]) / exp(log_sd[k]);
            p += exp(logit[k] - 0.5 * z * z - log_sd[k]) / total / sqrt(2 * 3.14159265358979323846);
        }
        sum += log(p);
    }
    return sum;
}

static void test_mog(void)
{
    enum { N = 37, D = 13 };
    const double low = -0.7;
    subject *s = open_subject("made_mog", D, "{hidden: [13, 8], components: 3, min_log_sd: -0.7, order: random}",
                              0.485);
    static real x[N * D], u[N * D], z[N * D];
    static double value[N], logit[D * K], mean[D * K], log_sd[D * K];
    tx_rng_normal(tx_rng_root(5), 0, N * D, x);
    tx_model_evaluate(s->m, s->t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, N, D), value);
    size_t place[MOST];
    places(s, 0, place);
    for (size_t i = 0; i < N; i++) {
        double row[D];
        for (size_t j = 0; j < D; j++) row[j] = (double)x[i * D + j];
        double expected = naive_mog(s, row, low, logit, mean, log_sd);
        CHECK_NEAR(value[i], expected, tight * fmax(1, fabs(expected)));
    }
    tx_rng r = tx_rng_root(6);
    tx_rng_uniform(tx_rng_named(r, "component"), 2 * D, N * D, u);
    tx_rng_normal(tx_rng_named(r, "normal"), 2 * D, N * D, z);
    tx_model_sample(s->m, s->t, r, 2, N, false, x);
    for (size_t i = 0; i < N; i++) {
        double row[D];
        for (size_t j = 0; j < D; j++) row[j] = 9;
        for (size_t at_place = 1; at_place <= D; at_place++)
            for (size_t j = 0; j < D; j++) {
                if (place[j] != at_place) continue;
                naive_mog(s, row, low, logit, mean, log_sd);
                double total = 0, part = 0;
                for (size_t k = 0; k < K; k++) total += exp(logit[j * K + k]);
                size_t k = 0;
                while (k + 1 < K && (part += exp(logit[j * K + k])) <= (double)u[i * D + j] * total) k++;
                row[j] = mean[j * K + k] + exp(log_sd[j * K + k]) * (double)z[i * D + j];
                CHECK_NEAR(x[i * D + j], row[j], tight * fmax(1, fabs(row[j])));
            }
    }
    close_subject(s);
}

/** Untrained, a conditional has nearly its variable's mean and deviation. */
static void test_mog_start(void)
{
    enum { D = 4, N = 4000 };
    static real x[N * D];
    subject *s = open_subject("made_mog", D, "{hidden: [20], components: 7}", 0);
    tx_model_sample(s->m, s->t, tx_rng_root(2), 0, N, false, x);
    for (size_t j = 0; j < D; j++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < N; i++) sum += (double)x[i * D + j] / N, square += pow((double)x[i * D + j], 2) / N;
        CHECK_NEAR((sum - s->mean[j]) / s->deviation[j], 0, 0.15);
        CHECK_NEAR(sqrt(square - sum * sum) / s->deviation[j], 1, 0.1);
    }
    close_subject(s);
}

/* ---- start, training, configuration ---- */

static void test_start(void)
{
    static const char *const name[] = {"fvbn", "made", "nade"};
    static const char *const bias[] = {"b", "b_out", "b"};
    for (size_t k = 0; k < TX_LEN(name); k++) {
        subject *s = open_subject(name[k], 7, "{}", 0);
        for (size_t j = 0; j < 7; j++)
            CHECK_NEAR(sigmoid(at(weight(s, 0, bias[k]), 0, j)), 0.001 + 0.998 * s->mean[j], 1e-6);
        CHECK_NEAR(s->m->ops->sequential_steps(s->m), 7, 0);
        close_subject(s);
    }
}

/** Training lowers the loss and takes no memory after the second step. */
static void test_training(void)
{
    static const struct {
        const char *name, *text;
    } subjects[] = {
        {"fvbn", "{}"},
        {"made", "{hidden: [30, 20], order: random, masks: 2}"},
        {"nade", "{hidden: [40]}"},
        {"nade", "{hidden: [40, 20], order: agnostic}"},
        {"made_mog", "{hidden: [30], components: 4}"},
    };
    enum { N = 50, D = 9 };
    static real x[N * D];
    for (size_t k = 0; k < TX_LEN(subjects); k++) {
        subject *s = open_subject(subjects[k].name, D, subjects[k].text, 0);
        for (size_t i = 0; i < N * D; i++) x[i] = tx_rng_uniform1(tx_rng_root(12), i / D) < (i % D < 5 ? 0.3 : 0.7);
        if (s->space.measure == TX_LEBESGUE)
            for (size_t i = 0; i < N * D; i++) x[i] += (real)(0.1 * tx_rng_normal1(tx_rng_root(13), i));
        const tx_optim_ops *adam = tx_optim_find("adam");
        void *config = tx_alloc(1, adam->config_size);
        tx_options_defaults(adam->options, config);
        tx_model_train_with(s->m, adam, config);
        tx_metrics out;
        double early = 0, late = 0;
        size_t growths = 0;
        for (uint64_t i = 0; i < 200; i++) {
            tx_step step = {.tape = s->t, .rng = tx_rng_fold(tx_rng_root(4), i), .number = i, .rate = 0.01};
            CHECK_OK(tx_model_step(s->m, &step, tx_matrix(x, N, D), &out));
            if (i < 20) early += out.m[0].value / 20;
            if (i >= 180) late += out.m[0].value / 20;
            if (i == 1) growths = tx_tape_growths(s->t);
        }
        CHECK_INT(tx_tape_growths(s->t), growths);
        CHECK_TRUE(late < early - 1);
        free(config);
        close_subject(s);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *name, *text, *part;
    } bad[] = {
        {"made", "{masks: 3}", "random"},
        {"made", "{hidden: [], masks: 3, degrees: random}", "random"},
        {"made", "{hidden: [], direct: true}", "direct"},
        {"made", "{hidden: [1, 1, 1, 1, 1, 1, 1, 1, 1]}", "9 layers"},
        {"nade", "{hidden: [3, 4]}", "2 layers"},
        {"nade", "{hidden: []}", "0 layers"},
        {"made_mog", "{hidden: []}", "0 layers"},
    };
    for (size_t k = 0; k < TX_LEN(bad); k++) {
        subject *s = open_subject(bad[k].name, 3, "{}", 0);
        tx_yaml *y = NULL;
        CHECK_OK(tx_yaml_parse(bad[k].text, strlen(bad[k].text), "test", &y));
        tx_option_set set = {s->m->ops->options, s->config};
        CHECK_OK(tx_options_parse(&set, 1, y, "test", NULL));
        tx_yaml_free(y);
        tx_model *m = NULL;
        CHECK_INT(tx_model_new(&m, s->m->ops, s->config, &s->space, 1), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), bad[k].part);
        close_subject(s);
    }
}

int main(void)
{
    static const tx_test test[] = {
        {"log_prob is the formula", test_log_prob},
        {"probabilities add to one", test_normalised},
        {"samples are the naive sampler's", test_sample},
        {"no output sees its own or a later variable", test_autoregressive},
        {"masks and structure", test_structure},
        {"gradients", test_gradient},
        {"objective for all orders", test_agnostic},
        {"mixtures of Gaussians", test_mog},
        {"mixtures start at the marginals", test_mog_start},
        {"biases start at the marginals", test_start},
        {"training", test_training},
        {"refused settings", test_refused},
    };
    return tx_run_tests("fvbn", test, TX_LEN(test));
}
