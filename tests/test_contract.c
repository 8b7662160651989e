/* The contract battery: what every registered model owes, tested without a line of the model's own.
 * Each model runs at the toy settings that it names (tx_model_ops.toys), on every space that it supports. */
#include <gsl/gsl_cdf.h>
#include <malloc.h>
#include <stdlib.h>
#include "common/likelihood/estimator.h"
#include "common/model/energy.h"
#include "common/model/latent.h"
#include "common/model/train.h"
#include "common/store/checkpoint.h"
#include "common/store/run_file.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

static const bool is_double = sizeof(real) == sizeof(double);

/* ---- toy data: correlated rows of each kind, in memory ---- */
typedef struct toy {
    tx_dataset data;
    tx_view view;
} toy;
enum { N_TOY = 256 };

static void fill_rows(tx_dataset *d, tx_split s, tx_rng r)
{
    size_t n = 2 * d->dim > N_TOY ? 2 * d->dim : N_TOY, dim = d->dim; /* a full covariance needs n > D */
    uint8_t *level = d->type == TX_REAL ? NULL : tx_alloc(n * dim, 1);
    float *value = d->type == TX_REAL ? tx_alloc(n * dim, sizeof *value) : NULL;
    uint8_t *label = tx_alloc(n, 1);
    for (size_t i = 0; i < n; i++) {
        double shared = tx_rng_normal1(r, i * (dim + 1));
        label[i] = (uint8_t)(shared < -0.5 ? 2 : shared > 0.5);
        for (size_t j = 0; j < dim; j++) {
            double v = 0.385 + 0.8 * shared + 0.7 * tx_rng_normal1(r, i * (dim + 1) + j + 1);
            if (value) value[i * dim + j] = (float)v;
            if (level) {
                int k = (int)floor(v + 0.5 * d->levels);
                level[i * dim + j] = (uint8_t)(k < 0 ? 0 : k >= d->levels ? d->levels - 1 : k);
            }
        }
    }
    d->split[s].n = n, d->split[s].level = level, d->split[s].value = value, d->split[s].label = label;
    d->memory[s] = level ? (void *)level : (void *)value;
    d->memory[TX_N_SPLIT + s] = label;
    tx_copy_text(d->split[s].origin, sizeof d->split[s].origin, "made by the test");
}

static void toy_open(toy *t, tx_data_type type, int levels, size_t dim)
{
    *t = (toy){0};
    t->data = (tx_dataset){.type = type, .levels = levels, .dim = dim};
    tx_copy_text(t->data.name, sizeof t->data.name, "toy");
    tx_copy_text(t->data.unit, sizeof t->data.unit, "1");
    for (int s = 0; s < TX_N_SPLIT; s++)
        fill_rows(&t->data, (tx_split)s, tx_rng_fold(tx_rng_named(tx_rng_root(7), "toy"), (uint64_t)s));
    tx_sha256_of("toy", 3, t->data.sha256);
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_view_open(&t->view, &t->data, &c));
}

static void toy_close(toy *t)
{
    tx_view_close(&t->view);
    tx_dataset_close(&t->data);
}

/* ---- every model x space x toy setting ---- */
typedef struct subject {
    const tx_model_ops *ops;
    const tx_view *view;
    void *config;
    char name[TX_TEXT_MAX];
} subject;
typedef void (*check_fn)(const subject *s);
static int subjects_seen;

static void with_settings(const tx_model_ops *ops, const tx_view *view, const char *space, const tx_yaml *settings,
                          check_fn fn)
{
    subject s = {.ops = ops, .view = view, .config = tx_alloc(1, ops->config_size)};
    tx_options_defaults(ops->options, s.config);
    tx_option_set set = {ops->options, s.config};
    if (settings) CHECK_OK(tx_options_parse(&set, 1, settings, ops->name, NULL));
    json_t *json = tx_options_json(ops->options, s.config);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(s.name, sizeof s.name, "%s on %s D=%zu %s", ops->name, space, view->space.dim, text);
    free(text), json_decref(json);
    unsigned before = CU_get_number_of_failures();
    fn(&s);
    if (CU_get_number_of_failures() != before) printf("    ^ %s\n", s.name);
    subjects_seen++;
    free(s.config);
}

static void on_space(tx_data_type type, int levels, size_t dim, bool defaults, check_fn fn)
{
    static const char *const space_name[] = {"binary", "levels", "real"};
    toy t;
    toy_open(&t, type, levels, dim);
    char reason[256];
    for (int i = 0; tx_model_list[i]; i++) {
        const tx_model_ops *ops = tx_model_list[i];
        if (!tx_test_chosen("TAXON_MODELS", ops->name)) continue;
        if (tx_model_unfit(ops, &t.view.space, reason, sizeof reason)) continue;
        tx_yaml *toys = NULL;
        if (ops->toys) CHECK_OK(tx_yaml_parse(ops->toys, strlen(ops->toys), ops->name, &toys));
        for (int k = 0; toys && !defaults && k < toys->n; k++)
            with_settings(ops, &t.view, space_name[type], &toys->child[k], fn);
        if (!toys || defaults) with_settings(ops, &t.view, space_name[type], NULL, fn);
        tx_yaml_free(toys);
    }
    toy_close(&t);
}

static tx_model *make(const subject *s, uint64_t seed)
{
    tx_model *m = NULL;
    CHECK_OK(tx_model_new(&m, s->ops, s->config, &s->view->space, seed));
    if (m && s->ops->fit) CHECK_OK(s->ops->fit(m, s->view, seed));
    return m;
}

/* Weights of high entropy: initial values plus noise, so that nothing is zero or symmetric. */
static void shake_by(tx_model *m, tx_rng root, double scale)
{
    for (int i = 0; i < m->n_net && !m->ops->fit && !tx_params_is_state(m->net[i]); i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++) {
            tx_tensor w = tx_params_value(m->net[i], (tx_param){j});
            tx_rng r = tx_rng_fold(tx_rng_fold(root, (uint64_t)i), (uint64_t)j);
            for (size_t k = 0; k < tx_len(w); k++) w.x[k] += (real)(scale * tx_rng_normal1(r, k));
        }
}
static void shake(tx_model *m, double scale) { shake_by(m, tx_rng_named(tx_rng_root(2385), "shake"), scale); }

static void log_probs(tx_model *m, tx_tape *t, size_t n, const real *x, double *value)
{
    size_t d = m->space->dim;
    for (size_t i = 0; i < n; i += 500) {
        size_t rows = n - i < 500 ? n - i : 500;
        tx_model_evaluate(m, t, TX_SCORE_LOG_PROB, tx_rng_root(0), i, tx_matrix((real *)x + i * d, rows, d), value + i);
    }
}

/* ---- 1. densities are normalised; 2. samples follow them ---- */
static size_t n_states(const tx_space *s) { return (size_t)lrint(pow(s->levels, (double)s->dim)); }

static double *all_states(tx_model *m, tx_tape *t, size_t n)
{
    size_t d = m->space->dim, k = (size_t)m->space->levels;
    real *x = tx_alloc(n * d, sizeof *x);
    double *p = tx_alloc(n, sizeof *p);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0, rest = i; j < d; j++, rest /= k) x[i * d + j] = (real)(rest % k);
    log_probs(m, t, n, x, p);
    for (size_t i = 0; i < n; i++) p[i] = exp(p[i]);
    free(x);
    return p;
}

static size_t state_of(const tx_space *s, const real *x)
{
    size_t state = 0;
    for (size_t j = s->dim; j-- > 0;) state = state * (size_t)s->levels + (size_t)lrint((double)x[j]);
    return state;
}

/* Every cell within 5 sigma of its expectation, and chi-square no rarer than that; cells of tiny expectation are
 * pooled. */
static bool frequencies_agree(size_t n_cell, const double p[], const size_t count[], size_t n)
{
    double pool_p = 0, pool_n = 0, chi2 = 0, cells = 0;
    for (size_t i = 0; i <= n_cell; i++) {
        double q = i < n_cell ? p[i] : pool_p, c = i < n_cell ? (double)count[i] : pool_n, e = q * (double)n;
        if (i < n_cell && e < 20) {
            pool_p += q, pool_n += c;
            continue;
        }
        if (fabs(c - e) > 5 * sqrt(e * (q < 1 ? 1 - q : 0)) + 1) return false;
        if (e >= 20) chi2 += (c - e) * (c - e) / e, cells++;
    }
    return gsl_cdf_chisq_Q(chi2, cells) > 3e-7;
}

static void discrete_density(const subject *s)
{
    if (!s->ops->log_prob) return;
    enum { N = 100000 };
    const tx_space *space = &s->view->space;
    size_t n = n_states(space), d = space->dim;
    tx_model *m = make(s, 3);
    tx_tape *t = tx_tape_new(0);
    shake(m, 0.4);
    double *p = all_states(m, t, n), sum = 0;
    for (size_t i = 0; i < n; i++) sum += p[i];
    CHECK_NEAR(sum, 1, is_double ? 1e-10 : 1e-5);
    real *x = tx_alloc(N * d, sizeof *x);
    size_t *count = tx_alloc(n, sizeof *count), *wrong = tx_alloc(n, sizeof *wrong);
    tx_model_sample(m, t, tx_rng_named(tx_rng_root(11), "samples"), 0, N, false, x);
    for (size_t i = 0; i < N; i++) {
        count[state_of(space, x + i * d)]++;
        if (i % 10 == 0) x[i * d] = 0; /* one sample in ten spoilt: must be noticed */
        wrong[state_of(space, x + i * d)]++;
    }
    CHECK_TRUE(frequencies_agree(n, p, count, N));
    CHECK_TRUE(!frequencies_agree(n, p, wrong, N));
    free(p), free(x), free(count), free(wrong);
    tx_tape_free(t), tx_model_free(m);
}

/* x = c u/(1-u^2) maps (-1,1) to the line: the trapezoid rule in u is exact to all orders for smooth densities. */
static double map_line(double u, double *dx)
{
    double c = 2, v = 1 - u * u;
    *dx = c * (1 + u * u) / (v * v);
    return c * u / v;
}

static double integral(tx_model *m, tx_tape *t)
{
    size_t d = m->space->dim, side = d == 1 ? 40001 : 1601;
    real *x = tx_alloc(side * d, sizeof *x);
    double *p = tx_alloc(side, sizeof *p), *jac = tx_alloc(side, sizeof *jac), sum = 0, h = 2.0 / (double)(side + 1),
           dy = 1, y = 0;
    for (size_t a = 0; a < (d == 1 ? 1 : side); a++) {
        if (d == 2) y = map_line(-1 + h * (double)(a + 1), &dy), dy *= h;
        for (size_t b = 0; b < side; b++) {
            x[b * d] = (real)map_line(-1 + h * (double)(b + 1), &jac[b]);
            if (d == 2) x[b * d + 1] = (real)y;
        }
        log_probs(m, t, side, x, p);
        for (size_t b = 0; b < side; b++) sum += exp(p[b]) * jac[b] * h * dy;
    }
    free(x), free(p), free(jac);
    return sum;
}

/* Cells of a grid over the bulk of the samples, their probabilities by the midpoint rule. */
enum { CELLS = 8, FINE = 60, N_REAL = 60000 };
static void cell_probabilities(tx_model *m, tx_tape *t, const double lo[], const double hi[], double p[])
{
    size_t d = m->space->dim, side = CELLS * FINE, rows = d == 1 ? 1 : side;
    real *x = tx_alloc(side * d, sizeof *x);
    double *v = tx_alloc(side, sizeof *v), volume = 1;
    for (size_t j = 0; j < d; j++) volume *= (hi[j] - lo[j]) / (double)side;
    for (size_t a = 0; a < rows; a++) {
        for (size_t b = 0; b < side; b++) {
            x[b * d] = (real)(lo[0] + (hi[0] - lo[0]) * ((double)b + 0.5) / (double)side);
            if (d == 2) x[b * d + 1] = (real)(lo[1] + (hi[1] - lo[1]) * ((double)a + 0.5) / (double)side);
        }
        log_probs(m, t, side, x, v);
        for (size_t b = 0; b < side; b++) p[(a / FINE) * CELLS + b / FINE] += exp(v[b]) * volume;
    }
    free(x), free(v);
}

static void count_cells(size_t n, size_t d, const real *x, const double lo[], const double hi[], double shift,
                        size_t count[])
{
    for (size_t i = 0; i < n; i++) {
        size_t cell = 0;
        bool in = true;
        for (size_t j = d; j-- > 0;) {
            double u = ((double)x[i * d + j] + (j == 0 ? shift : 0) - lo[j]) / (hi[j] - lo[j]) * CELLS;
            in = in && u >= 0 && u < CELLS;
            cell = cell * CELLS + (in ? (size_t)u : 0);
        }
        if (in) count[cell]++;
    }
}

static void real_density(const subject *s)
{
    if (!s->ops->log_prob) return;
    size_t d = s->view->space.dim;
    tx_model *m = make(s, 3);
    tx_tape *t = tx_tape_new(0);
    shake(m, 0.15);
    CHECK_NEAR(integral(m, t), 1, 1e-3);
    real *x = tx_alloc(N_REAL * d, sizeof *x);
    tx_model_sample(m, t, tx_rng_named(tx_rng_root(11), "samples"), 0, N_REAL, false, x);
    double lo[2] = {0}, hi[2] = {0}, p[CELLS * CELLS] = {0}, sd0 = 0;
    for (size_t j = 0; j < d; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < N_REAL; i++) mean += (double)x[i * d + j] / N_REAL;
        for (size_t i = 0; i < N_REAL; i++) square += pow((double)x[i * d + j] - mean, 2) / N_REAL;
        lo[j] = mean - 2 * sqrt(square), hi[j] = mean + 2 * sqrt(square);
        if (j == 0) sd0 = sqrt(square);
    }
    size_t count[CELLS * CELLS] = {0}, wrong[CELLS * CELLS] = {0}, cells = d == 1 ? CELLS : CELLS * CELLS;
    cell_probabilities(m, t, lo, hi, p);
    count_cells(N_REAL, d, x, lo, hi, 0, count);
    count_cells(N_REAL, d, x, lo, hi, 0.1 * sd0, wrong); /* a sampler off by a tenth of a deviation must be noticed */
    CHECK_TRUE(frequencies_agree(cells, p, count, N_REAL));
    CHECK_TRUE(!frequencies_agree(cells, p, wrong, N_REAL));
    free(x), tx_tape_free(t), tx_model_free(m);
}

/* The sum over all states, or the integral over the line, for several draws of the weights. */
static void sums_to_one(const subject *s)
{
    if (!s->ops->log_prob) return;
    static const double scale[] = {0.1, 0.4, 0.785, 1.385};
    bool counts = s->view->space.measure == TX_COUNTING;
    size_t n = counts ? n_states(&s->view->space) : 0;
    tx_tape *t = tx_tape_new(0);
    for (uint64_t k = 0; k < (counts ? 3 : 1) * TX_LEN(scale); k++) {
        tx_model *m = make(s, 30 + k);
        shake_by(m, tx_rng_root(40 + k), scale[k % TX_LEN(scale)]);
        double *p = counts ? all_states(m, t, n) : NULL, sum = counts ? 0 : integral(m, t);
        for (size_t i = 0; i < n; i++) sum += p[i];
        CHECK_NEAR(sum, 1, is_double ? 1e-10 : 1e-5);
        free(p), tx_model_free(m);
    }
    tx_tape_free(t);
}

static void test_sums(void)
{
    static const size_t bits[] = {1, 2, 3, 6, 10}, levels[] = {1, 2, 5};
    for (size_t k = 0; k < TX_LEN(bits); k++) on_space(TX_BINARY, 2, bits[k], false, sums_to_one);
    for (size_t k = 0; k < TX_LEN(levels); k++) on_space(TX_LEVELS, 4, levels[k], false, sums_to_one);
    if (is_double) on_space(TX_REAL, 0, 1, false, sums_to_one);
}
static void test_binary_density(void) { on_space(TX_BINARY, 2, 6, false, discrete_density); }
static void test_levels_density(void) { on_space(TX_LEVELS, 4, 3, false, discrete_density); }
static void test_real_density(void)
{
    if (!is_double) {
        printf(" (skipped: in the double build)");
        return;
    }
    on_space(TX_REAL, 0, 1, false, real_density);
    on_space(TX_REAL, 0, 2, false, real_density);
}

/* ---- 3. gradients ---- */
/* The reported objective of a step of SGD at this rate, on noise and structure of step 1. */
static double step(tx_model *m, tx_tape *t, tx_tensor x, double rate)
{
    tx_step s = {.tape = t, .rng = tx_rng_named(tx_rng_root(5), "noise"), .number = 1, .rate = rate};
    tx_metrics out = {0};
    CHECK_OK(tx_model_step(m, &s, x, &out));
    return out.m[0].value;
}

/* sum_i c_i score(x_i), and its gradient for one net; without a score what a training step descends. */
static double objective(tx_model *m, tx_tape *t, tx_score s, tx_tensor x, const real *c, tx_tensor *grad, int net)
{
    if (s == TX_SCORE_NONE) return step(m, t, x, 0);
    tx_rng r = tx_rng_named(tx_rng_root(5), "noise");
    tx_model_bind(m, t);
    tx_var data = tx_leaf(t, x);
    tx_var y = s == TX_SCORE_LOG_PROB ? m->ops->log_prob(m, t, data)
                                      : (s == TX_SCORE_BOUND ? m->ops->bound : m->ops->elbo)(m, t, r, 0, data);
    tx_var sum = tx_matmul(t, tx_leaf(t, tx_matrix((real *)c, 1, tx_rows(x))), false, y, false);
    if (grad) tx_params_grad(m->net[net], t, sum, grad);
    return (double)sum->v.x[0];
}

/* Of every net, laid out as its block; a step of rate 1 moves weights by minus their gradient. */
static void all_gradients(tx_model *m, tx_tape *t, tx_score s, tx_tensor x, const real *c, double *g[])
{
    for (int k = 0; k < m->n_net; k++) {
        tx_tensor block = tx_params_block(m->net[k]), grad[64];
        g[k] = tx_alloc(tx_len(block), sizeof *g[k]);
        for (size_t i = 0; i < tx_len(block); i++) g[k][i] = (double)block.x[i];
        if (s == TX_SCORE_NONE) continue;
        objective(m, t, s, x, c, grad, k);
        for (int q = 0; q < tx_params_count(m->net[k]); q++)
            for (size_t i = 0; i < tx_len(grad[q]); i++)
                g[k][tx_params_value(m->net[k], (tx_param){q}).x - block.x + (ptrdiff_t)i] = (double)grad[q].x[i];
    }
    if (s == TX_SCORE_NONE) step(m, t, x, 1);
    for (int k = 0; s == TX_SCORE_NONE && k < m->n_net; k++) {
        tx_tensor block = tx_params_block(m->net[k]);
        for (size_t i = 0; i < tx_len(block); i++) {
            double old = g[k][i];
            g[k][i] -= (double)block.x[i], block.x[i] = (real)old;
        }
    }
}

static double difference(tx_model *m, tx_tape *t, tx_score s, tx_tensor x, const real *c, real *w, double h)
{
    real old = *w;
    *w = (real)((double)old + h);
    double up = objective(m, t, s, x, c, NULL, 0);
    *w = (real)((double)old - h);
    double down = objective(m, t, s, x, c, NULL, 0);
    *w = old;
    return (up - down) / (2 * h);
}

/* One weight: false where a kink of an activation lies between. */
static bool agrees(tx_model *m, tx_tape *t, tx_score s, tx_tensor x, const real *c, real *w, double g)
{
    double b = difference(m, t, s, x, c, w, 5e-6), scale = fmax(fabs(g), 1e-2);
    if (fabs(b - g) <= 1e-6 * scale) return true;
    if (fabs(difference(m, t, s, x, c, w, 1e-5) - b) > 1e-5 * scale) return false;
    CHECK_NEAR(g, b, 1e-6 * scale);
    return true;
}

/* Every entry, of a very large tensor TRIES draws; returns the largest. */
static double tensor_gradient(tx_model *m, tx_tape *t, tx_score s, tx_tensor x, const real *c, tx_tensor w,
                              const double g[], int tried[2])
{
    enum { TRIES = 1000 };
    bool all = tx_len(w) <= TRIES;
    double largest = 0;
    for (size_t i = 0; i < tx_len(w); i++) largest = fmax(largest, fabs(g[i]));
    for (uint64_t k = 0; k < (all ? tx_len(w) : TRIES); k++) {
        size_t i = all ? (size_t)k : (size_t)(tx_rng_uniform1(tx_rng_root(13), k) * (double)tx_len(w));
        tried[agrees(m, t, s, x, c, &w.x[i], g[i])]++;
    }
    return largest;
}

/* A net that plays against the others: no likelihood reads it, and it descends an objective of its own. */
static bool is_adversary(const tx_params *p) { return strcmp(tx_params_net(p), "discriminator") == 0; }

static bool has_adversary(const tx_model *m)
{
    bool any = false;
    for (int i = 0; i < m->n_net; i++) any |= is_adversary(m->net[i]);
    return any;
}

static void score_gradient(const subject *s, tx_model *m, tx_score score)
{
    enum { ROWS = 5 };
    static const char *const name[] = {"a step", "log_prob", "elbo", "bound"};
    size_t d = s->view->space.dim;
    real rows[ROWS * 8], c[ROWS] = {(real)1.37, (real)-0.83, (real)0.61, (real)2.385, (real)-1.19};
    tx_tape *t = tx_tape_new(0);
    tx_tensor x = tx_matrix(rows, ROWS, d);
    int tried[2] = {0};
    double *g[TX_MAX_NETS], most = 0;
    tx_view_range(s->view, TX_TRAIN, 3, ROWS, rows, NULL);
    all_gradients(m, t, score, x, c, g);
    for (int net = 0; net < m->n_net; net++) {
        const tx_params *p = m->net[net];
        /* Orders and degrees are neither differentiated nor moved by a step; running statistics and chains are. */
        for (size_t i = 0; strcmp(tx_params_net(p), "structure") == 0 && i < tx_len(tx_params_block(p)); i++)
            CU_ASSERT(g[net][i] == 0);
        for (int q = 0; q < tx_params_count(p) && !tx_params_is_state(p); q++) {
            tx_tensor w = tx_params_value(p, (tx_param){q});
            unsigned before = CU_get_number_of_failures();
            double largest = tensor_gradient(m, t, score, x, c, w, g[net] + (w.x - tx_params_block(p).x), tried);
            CHECK_TRUE(is_adversary(p) ? largest == 0 : largest > 1e-4 || s->ops->iterate);
            if (CU_get_number_of_failures() != before)
                printf("    ^ %s of %s\n", name[score], tx_params_name(p, (tx_param){q}));
            most = fmax(most, largest);
        }
        free(g[net]);
    }
    CHECK_TRUE(tried[0] * 10 <= tried[1]);
    CHECK_TRUE(most > 0.05);
    tx_tape_free(t);
}

/* All scores and, where there are steps of one objective, that of one. A net for all orders has a likelihood along
 * each, but no gradient of it: only its objective has. */
static void gradients(const subject *s)
{
    const tx_model_ops *o = s->ops;
    if (o->fit) return;
    tx_model *m = make(s, 3);
    double plain[4] = {0};
    shake(m, 0.3);
    tx_model_train_with(m, tx_optim_find("sgd"), plain);
    if (o->log_prob && !(o->n_ordering && o->n_ordering(m) == 0)) score_gradient(s, m, TX_SCORE_LOG_PROB);
    if (o->elbo) score_gradient(s, m, TX_SCORE_ELBO);
    if (o->bound) score_gradient(s, m, TX_SCORE_BOUND);
    if (!o->iterate && !o->surrogate && tx_model_score(o) != TX_SCORE_NONE && !has_adversary(m))
        score_gradient(s, m, TX_SCORE_NONE);
    tx_model_free(m);
}

static void test_gradients(void)
{
    if (!is_double) {
        printf(" (skipped: in the double build)");
        return;
    }
    on_space(TX_BINARY, 2, 6, false, gradients);
    on_space(TX_REAL, 0, 2, false, gradients);
    on_space(TX_REAL, 0, 5, false, gradients);
}

/* ---- 4. bijections ---- */
static double log_det(size_t n, double *a)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        size_t best = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
        for (size_t j = 0; j < n && best != k; j++) {
            double swap = a[k * n + j];
            a[k * n + j] = a[best * n + j], a[best * n + j] = swap;
        }
        sum += log(fabs(a[k * n + k]));
        for (size_t i = k + 1; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            for (size_t j = k; j < n; j++) a[i * n + j] -= f * a[k * n + j];
        }
    }
    return sum;
}

static void bijection(const subject *s)
{
    if (!s->ops->encode) return;
    enum { ROWS = 1200 };
    size_t d = s->view->space.dim;
    real x[ROWS * 8], moved[8];
    tx_model *m = make(s, 3);
    tx_tape *t = tx_tape_new(0);
    shake(m, 0.3);
    tx_rng_normal(tx_rng_root(19), 0, ROWS * d, x);
    tx_vec_affine(ROWS * d, (real)1.7, x, (real)0.385, x);
    tx_model_bind(m, t);
    tx_var in = tx_leaf(t, tx_matrix(x, ROWS, d)), z = s->ops->encode(m, t, in), back = s->ops->decode(m, t, z);
    tx_var again = s->ops->encode(m, t, s->ops->decode(m, t, in));
    for (size_t i = 0; i < ROWS * d; i++) {
        CHECK_NEAR(back->v.x[i], x[i], is_double ? 1e-10 : 1e-4);
        CHECK_NEAR(again->v.x[i], x[i], is_double ? 1e-10 : 1e-4);
    }
    if (is_double) { /* log p(x) - log |det dz/dx| depends on z alone: the same z from another map has the same prior */
        double jacobian[64], value[2], h = 1e-5;
        for (size_t j = 0; j < d; j++)
            for (int side = 0; side < 2; side++) {
                memcpy(moved, x, d * sizeof *moved);
                moved[j] += (real)(side ? -h : h);
                tx_model_bind(m, t);
                tx_var y = s->ops->encode(m, t, tx_leaf(t, tx_matrix(moved, 1, d)));
                for (size_t i = 0; i < d; i++)
                    jacobian[i * d + j] = (side ? jacobian[i * d + j] : 0) +
                                          (side ? -1 : 1) * (double)y->v.x[i] / (2 * h);
            }
        tx_model_evaluate(m, t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, 1, d), value);
        /* A second model whose weights differ has the same prior: compare at its own point with that z. */
        tx_model *other = make(s, 4);
        shake(other, 0.2);
        tx_model_bind(m, t);
        tx_var zm = s->ops->encode(m, t, tx_leaf(t, tx_matrix(x, 1, d)));
        real zc[8], xo[8];
        memcpy(zc, zm->v.x, d * sizeof *zc);
        tx_model_bind(other, t);
        tx_var xv = s->ops->decode(other, t, tx_leaf(t, tx_matrix(zc, 1, d)));
        memcpy(xo, xv->v.x, d * sizeof *xo);
        tx_model_evaluate(other, t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(xo, 1, d), value + 1);
        double jo[64];
        for (size_t j = 0; j < d; j++)
            for (int side = 0; side < 2; side++) {
                memcpy(moved, xo, d * sizeof *moved);
                moved[j] += (real)(side ? -h : h);
                tx_model_bind(other, t);
                tx_var y = s->ops->encode(other, t, tx_leaf(t, tx_matrix(moved, 1, d)));
                for (size_t i = 0; i < d; i++)
                    jo[i * d + j] = (side ? jo[i * d + j] : 0) + (side ? -1 : 1) * (double)y->v.x[i] / (2 * h);
            }
        double det = log_det(d, jacobian), det_other = log_det(d, jo);
        CHECK_NEAR(value[0] - det, value[1] - det_other, 1e-6);
        CHECK_TRUE(fabs(det) > 1e-3 && fabs(det - det_other) > 1e-3);
        tx_model_free(other);
    }
    tx_tape_free(t), tx_model_free(m);
}

static void test_bijections(void)
{
    on_space(TX_REAL, 0, 1, false, bijection);
    on_space(TX_REAL, 0, 2, false, bijection);
    on_space(TX_REAL, 0, 7, false, bijection);
}

/* ---- 5. bounds: below the truth, which importance weights give without bias ---- */
static void bounds(const subject *s)
{
    if (!s->ops->elbo || !s->ops->posterior) return;
    enum { REPEATS = 20000 };
    const tx_space *space = &s->view->space;
    size_t d = space->dim, n = space->measure == TX_COUNTING ? n_states(space) : 4;
    tx_model *m = make(s, 3);
    tx_tape *t = tx_tape_new(0);
    shake(m, 0.2);
    real *x = tx_alloc(REPEATS * d, sizeof *x), row[16];
    double total = 0, total_var = 0;
    for (size_t i = 0; i < n; i++) {
        if (space->measure == TX_COUNTING)
            for (size_t j = 0, rest = i; j < d; j++, rest /= (size_t)space->levels)
                row[j] = (real)(rest % (size_t)space->levels);
        else
            tx_view_range(s->view, TX_TEST, i, 1, row, NULL);
        for (size_t k = 0; k < REPEATS; k++) memcpy(x + k * d, row, d * sizeof *x);
        tx_rng r = tx_rng_fold(tx_rng_named(tx_rng_root(17), "bounds"), i);
        tx_model_bind(m, t);
        tx_var data = tx_leaf(t, tx_matrix(x, REPEATS, d)), mu, lv;
        s->ops->posterior(m, t, data, &mu, &lv);
        tx_var e = tx_latent_noise(t, tx_rng_normal, r, 0, REPEATS, s->ops->latent(m).dim);
        tx_var lw = tx_log_weight(m, t, tx_observation_of(m, 0), data, mu, lv, e);
        double w = 0, w2 = 0, b = 0, b2 = 0, a = 0, a2 = 0;
        for (size_t k = 0; k < REPEATS; k++) {
            double l = (double)lw->v.x[k], share = exp(l) / REPEATS;
            w += share, w2 += share * exp(l), a += l / REPEATS, a2 += l * l / REPEATS;
        }
        tx_model_bind(m, t);
        tx_var el = s->ops->elbo(m, t, tx_rng_named(r, "other"), 0, tx_leaf(t, tx_matrix(x, REPEATS, d)));
        for (size_t k = 0; k < REPEATS; k++)
            b += (double)el->v.x[k] / REPEATS, b2 += pow((double)el->v.x[k], 2) / REPEATS;
        double we = sqrt((w2 - w * w) / REPEATS), be = sqrt((b2 - b * b) / REPEATS), ae = sqrt((a2 - a * a) / REPEATS);
        CHECK_TRUE(b <= log(w) + 4 * (be + we / w));            /* the bound is one */
        CHECK_TRUE(fabs(a - b) <= 5 * sqrt(ae * ae + be * be)); /* E log weight = ELBO */
        CHECK_TRUE(b < log(w));
        total += w, total_var += we * we;
    }
    if (space->measure == TX_COUNTING) CHECK_NEAR(total, 1, 5 * sqrt(total_var)); /* the implied p(x) is normalised */
    free(x), tx_tape_free(t), tx_model_free(m);
}

static void test_bounds(void)
{
    on_space(TX_BINARY, 2, 4, false, bounds);
    on_space(TX_REAL, 0, 2, false, bounds);
}

/* ---- 6. bits: save and load, resume, threads, batches ---- */
static tx_train_config short_training(void)
{
    tx_train_config c;
    CHECK_OK(tx_train_parse(&c, NULL, "test"));
    c.epochs = 3, c.batch = 48;
    return c;
}

static tx_trainer *trainer(const subject *s, tx_model *m)
{
    tx_train_config c = short_training();
    tx_trainer *t = NULL;
    CHECK_OK(tx_trainer_new(&t, m, s->view, &c, 23));
    return t;
}

static void advance(tx_trainer *t, int steps)
{
    bool done;
    for (int i = 0; i < steps && !tx_trainer_look(t).finished; i++) CHECK_OK(tx_trainer_advance(t, &done));
}

static bool same_weights(const tx_model *a, const tx_model *b)
{
    for (int i = 0; i < a->n_net; i++) {
        tx_tensor x = tx_params_block(a->net[i]), y = tx_params_block(b->net[i]);
        if (tx_len(x) != tx_len(y) || memcmp(x.x, y.x, tx_len(x) * sizeof(real)) != 0) return false;
    }
    return true;
}

static void resume(const subject *s)
{
    char path[512];
    snprintf(path, sizeof path, "%s/checkpoint.h5", tx_test_folder());
    tx_model *a = NULL, *b = NULL, *c = NULL;
    CHECK_OK(tx_model_new(&a, s->ops, s->config, &s->view->space, 3));
    CHECK_OK(tx_model_new(&b, s->ops, s->config, &s->view->space, 3));
    CHECK_OK(tx_model_new(&c, s->ops, s->config, &s->view->space,
                          99)); /* other initial weights: all must come from the file */
    tx_trainer *ta = trainer(s, a), *tb = trainer(s, b), *tc = trainer(s, c);
    advance(ta, 1000);
    advance(tb, s->ops->fit ? 0 : s->ops->iterate ? 1 : 9); /* inside the second epoch, or before it */
    CHECK_OK(tx_checkpoint_write(path, "same", tb));
    CHECK_INT(tx_checkpoint_read(path, "other", tc), TX_EDATA);
    CHECK_OK(tx_checkpoint_read(path, "same", tc));
    advance(tc, 1000);
    CHECK_TRUE(same_weights(a, c));
    const tx_curves *x = tx_trainer_curves(ta), *y = tx_trainer_curves(tc);
    CHECK_INT(x->n_column, y->n_column);
    CHECK_INT(x->n_row, y->n_row);
    for (int i = 0; i < x->n_column && x->n_row == y->n_row; i++) {
        CHECK_TEXT(x->name[i], y->name[i]);
        CHECK_TRUE(memcmp(x->value[i], y->value[i], (size_t)x->n_row * sizeof(double)) == 0);
    }
    if (!s->ops->fit && !s->ops->iterate) CHECK_TRUE(!same_weights(a, b)); /* EM may be best after one epoch */
    tx_trainer_free(ta), tx_trainer_free(tb), tx_trainer_free(tc);
    tx_model_free(a), tx_model_free(b), tx_model_free(c);
}

static void test_resume(void)
{
    on_space(TX_BINARY, 2, 6, false, resume);
    on_space(TX_REAL, 0, 5, false, resume);
    on_space(TX_LEVELS, 4, 3, false, resume);
}

static void save_and_load(const subject *s)
{
    char path[512];
    snprintf(path, sizeof path, "%s/result.h5", tx_test_folder());
    tx_model *a = make(s, 3), *b = NULL;
    CHECK_OK(tx_model_new(&b, s->ops, s->config, &s->view->space, 99));
    shake(a, 0.3);
    json_t *config = json_pack("{s:s}", "model", s->ops->name);
    tx_run run = {.config = config,
                  .label = s->ops->name,
                  .group = s->ops->name,
                  .model = a,
                  .view = s->view,
                  .start = "2000-01-01T00:00:00Z",
                  .end = "2000-01-01T00:00:00Z",
                  .threads = 1};
    run.training.best_score = NAN;
    CHECK_OK(tx_run_write(&run, path, false, NULL));
    CHECK_OK(tx_run_load_parameters(path, b));
    CHECK_TRUE(same_weights(a, b));
    json_decref(config), tx_model_free(a), tx_model_free(b);
}

static void test_save_and_load(void)
{
    on_space(TX_BINARY, 2, 6, false, save_and_load);
    on_space(TX_REAL, 0, 5, false, save_and_load);
    on_space(TX_LEVELS, 4, 3, false, save_and_load);
}

/* The default, full-width model: large enough for every kernel to be cut in tiles. */
static void threads(const subject *s)
{
    enum { N = 60 };
    size_t d = s->view->space.dim;
    tx_model *first = NULL;
    real *x[2] = {tx_alloc(N * d, sizeof(real)), tx_alloc(N * d, sizeof(real))};
    double value[2][N];
    const int counts[] = {1, 2, 4};
    for (size_t k = 0; k < TX_LEN(counts); k++) {
        tx_threads_set(counts[k]);
        tx_model *m = NULL;
        CHECK_OK(tx_model_new(&m, s->ops, s->config, &s->view->space, 3));
        tx_trainer *t = trainer(s, m);
        advance(t, 2);
        tx_tape *tape = tx_tape_new(0);
        int to = k > 0;
        tx_model_sample(m, tape, tx_rng_root(1), 0, N, false, x[to]);
        tx_score score = tx_model_score(s->ops);
        real *rows = tx_alloc(N * d, sizeof *rows);
        tx_view_range(s->view, TX_TEST, 0, N, rows, NULL);
        if (score != TX_SCORE_NONE)
            tx_model_evaluate(m, tape, score, tx_rng_root(1), 0, tx_matrix(rows, N, d), value[to]);
        if (k > 0) {
            CHECK_TRUE(same_weights(first, m));
            CHECK_TRUE(memcmp(x[0], x[1], N * d * sizeof(real)) == 0);
            CHECK_TRUE(score == TX_SCORE_NONE || memcmp(value[0], value[1], sizeof value[0]) == 0);
        }
        free(rows), tx_tape_free(tape), tx_trainer_free(t);
        if (k == 0)
            first = m;
        else
            tx_model_free(m);
    }
    tx_threads_set(1);
    free(x[0]), free(x[1]), tx_model_free(first);
}

static void test_threads(void)
{
    on_space(TX_BINARY, 2, 400, true, threads);
    on_space(TX_REAL, 0, 400, true, threads);
}

static void batches(const subject *s)
{
    tx_score score = tx_model_score(s->ops);
    if (score == TX_SCORE_NONE) return;
    enum { N = 7 };
    size_t d = s->view->space.dim;
    real x[N * 8];
    double together[N], alone;
    tx_model *m = make(s, 3);
    tx_tape *t = tx_tape_new(0);
    shake(m, 0.3);
    tx_view_range(s->view, TX_TEST, 0, N, x, NULL);
    tx_model_evaluate(m, t, score, tx_rng_root(9), 40, tx_matrix(x, N, d), together);
    for (size_t i = 0; i < N; i++) {
        tx_model_evaluate(m, t, score, tx_rng_root(9), 40 + i, tx_matrix(x + i * d, 1, d), &alone);
        CHECK_NEAR(alone, together[i], (is_double ? 1e-12 : 2e-5) * (1 + fabs(alone)));
    }
    if (s->ops->sample) { /* sample i is a function of (stream, i) */
        real all[N * 8], one[8];
        tx_model_sample(m, t, tx_rng_root(9), 40, N, false, all);
        tx_model_sample(m, t, tx_rng_root(9), 43, 1, false, one);
        for (size_t j = 0; j < d; j++)
            CHECK_NEAR(one[j], all[3 * d + j], (is_double ? 1e-10 : 1e-4) * (1 + fabs((double)one[j])));
    }
    tx_tape_free(t), tx_model_free(m);
}

static void test_batches(void)
{
    on_space(TX_BINARY, 2, 6, false, batches);
    on_space(TX_REAL, 0, 5, false, batches);
    on_space(TX_LEVELS, 4, 3, false, batches);
}

/* ---- 7. memory ---- */
static void memory(const subject *s)
{
    if (s->ops->fit) return;
    tx_model *m = NULL;
    CHECK_OK(tx_model_new(&m, s->ops, s->config, &s->view->space, 3));
    tx_trainer *t = trainer(s, m);
    advance(t, 2);
    size_t growths = tx_trainer_growths(t), heap = mallinfo2().uordblks, n = 3;
    advance(t, (int)n); /* still inside the first epoch: 256 rows in batches of 48 */
    CHECK_INT(tx_trainer_growths(t), growths);
    CHECK_INT(mallinfo2().uordblks, heap);
    tx_trainer_free(t), tx_model_free(m);
}

static void test_memory(void)
{
    on_space(TX_BINARY, 2, 6, false, memory);
    on_space(TX_REAL, 0, 5, false, memory);
    on_space(TX_LEVELS, 4, 3, false, memory);
}

/* ---- 8. the whole table was seen, and every model says what it is ---- */
static void test_registry(void)
{
    int n = 0, chosen = 0;
    for (; tx_model_list[n]; n++) {
        const tx_model_ops *m = tx_model_list[n];
        chosen += tx_test_chosen("TAXON_MODELS", m->name);
        CHECK_TRUE(tx_model_find(m->name) == m);
        CHECK_TRUE(m->summary && m->taxonomy_path && m->spaces && m->options && m->build && m->sample);
        CHECK_TRUE(m->citation || strstr(m->taxonomy_path, "independent"));
        CHECK_TRUE(!m->encode == !m->decode && (!m->elbo || m->posterior));
        CHECK_TRUE(!m->latent == !m->generate && !m->log_observation == !m->observe);
        CHECK_TRUE(!m->n_ordering == !m->log_prob_along && (!m->posterior || m->log_observation));
        CHECK_TRUE(m->log_prob || m->elbo || m->train_step || m->fit);
        const tx_energy *e = m->energy;
        CHECK_TRUE(!e || (e->log_unnormalised && (e->log_z || e->enumerate || e->anneal)));
        CHECK_TRUE(!e || (!e->width == !e->anneal && !e->log_base == !e->anneal && !e->draw_base == !e->anneal &&
                          !e->state_of == !e->anneal));
        CHECK_TRUE(!m->train_step + !m->fit + !m->iterate >= 2);
        for (int k = 0; k < n; k++) CHECK_TRUE(strcmp(tx_model_list[k]->name, m->name) != 0);
    }
    CHECK_TRUE(n > 0 && subjects_seen > chosen);
}

int main(void)
{
    tx_threads_set(1);
    static const tx_test tests[] = {
        {"sums over {0,1}^D and {0..3}^D and integrals over R are 1, whatever the weights", test_sums},
        {"sums over {0,1}^6 are 1 and samples follow them", test_binary_density},
        {"sums over {0..3}^3 are 1 and samples follow them", test_levels_density},
        {"integrals over R and R^2 are 1 and samples follow them", test_real_density},
        {"gradients agree with central differences", test_gradients},
        {"bijections invert; their log-determinant is the Jacobian's", test_bijections},
        {"bounds lie below the truth; importance weights are unbiased", test_bounds},
        {"a resumed training ends with the same bits", test_resume},
        {"saved and loaded weights have the same bits", test_save_and_load},
        {"1, 2 and 4 threads give the same bits", test_threads},
        {"a row's value does not depend on its batch", test_batches},
        {"no memory is allocated after the second step", test_memory},
        {"the registry is complete", test_registry},
    };
    return tx_run_tests("contract", tests, (int)TX_LEN(tests));
}
