/** Chow-Liu trees: the tree-shaped distribution on {0,1}^D of highest likelihood (Chow & Liu 1968). The likelihood of a
 *  tree is the sum of the mutual informations of its edges less the marginal entropies, so that the best tree is a
 *  maximum spanning tree. Letters: n training rows, c counts, a pseudo-count. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/moments.h"
#include "common/model/conditional.h"
#include "models/baseline/rows.h"

typedef struct chow_liu_config {
    double smoothing;
    int n_pass;
} chow_liu_config;
typedef struct chow_liu {
    tx_param parent, logit[2];
} chow_liu;

static const tx_option options[] = {
    {"smoothing", TX_OPT_REAL, offsetof(chow_liu_config, smoothing), "0.01", 1e-9, 1e9, NULL,
     "pseudo-count, added to the count of each of the four values of every pair of variables", NULL},
    {"n_pass", TX_OPT_INT, offsetof(chow_liu_config, n_pass), "1", 1, 10000, NULL,
     "passes over the training split to count, each with fresh draws where the view has any", NULL},
    {0},
};

static void build(tx_model *m)
{
    chow_liu *s = m->state;
    size_t d = m->space->dim;
    tx_init zero = {TX_INIT_CONSTANT, 0};
    TX_REQUIRE(d <= 1 << 24, "%zu variables: their numbers are stored as reals", d);
    m->n_net = 2;
    m->net[0] = tx_params_new("tree");
    s->logit[0] = tx_params_add(m->net[0], "logit0", tx_shape2(1, d), zero);
    s->logit[1] = tx_params_add(m->net[0], "logit1", tx_shape2(1, d), zero);
    m->net[1] = tx_params_new_state("structure");
    s->parent = tx_params_add(m->net[1], "parent", tx_shape2(1, d), zero);
}

/* c[i,j] = rows in which both are 1. A block's counts are below 2^24: exact in single precision. */
static double *count_pairs(const tx_view *v, uint64_t seed, int n_pass)
{
    enum { BLOCK = 4096 };
    size_t n = v->data->split[TX_TRAIN].n, d = v->space.dim;
    double *count = tx_alloc(d * d, sizeof *count);
    real *x = tx_alloc(BLOCK * d, sizeof *x), *both = tx_alloc(d * d, sizeof *both);
    for (int pass = 0; pass < n_pass; pass++)
        for (size_t from = 0; from < n; from += BLOCK) {
            size_t rows = n - from < BLOCK ? n - from : BLOCK;
            tx_baseline_rows(v, seed, (uint64_t)pass, from, rows, x);
            tx_gemm(true, false, d, d, rows, 1, x, d, x, d, 0, both, d);
            for (size_t i = 0; i < d * d; i++) count[i] += (double)both[i];
        }
    free(x), free(both);
    return count;
}

typedef struct table {
    size_t d;
    const double *count; /* [d,d] */
    double n, a;
} table;

/* Smoothed number of rows with x_i = u, x_j = v; its sums over v are those of every other pair with i: n + 4a rows in
 * which x_i = 1 in c_ii + 2a. */
static double cell(const table *t, size_t i, size_t j, int u, int v)
{
    double both = t->count[i * t->d + j], one = t->count[i * t->d + i], other = t->count[j * t->d + j];
    return t->a + (u ? v ? both : one - both : v ? other - both : t->n - one - other + both);
}
static double marginal(const table *t, size_t i, int u)
{
    double one = t->count[i * t->d + i];
    return 2 * t->a + (u ? one : t->n - one);
}

static double mutual_information(const table *t, size_t i, size_t j)
{
    double all = t->n + 4 * t->a, sum = 0;
    for (int u = 0; u < 2; u++)
        for (int v = 0; v < 2; v++) {
            double c = cell(t, i, j, u, v);
            sum += c / all * log(c * all / (marginal(t, i, u) * marginal(t, j, v)));
        }
    return sum;
}

/* Prim's algorithm from variable 0, D(D-1)/2 mutual informations in all; of equal edges the first found stays. */
static void span(const table *t, real parent[])
{
    size_t d = t->d, last = 0;
    double *best = tx_alloc(d, sizeof *best);
    bool *in = tx_alloc(d, sizeof *in);
    for (size_t j = 0; j < d; j++) best[j] = -INFINITY;
    parent[0] = 0, in[0] = true;
    for (size_t k = 1; k < d; k++) {
        size_t next = 0;
        for (size_t j = 0; j < d; j++) {
            if (in[j]) continue;
            double mi = mutual_information(t, last, j);
            if (mi > best[j]) best[j] = mi, parent[j] = (real)last;
            if (in[next] || best[j] > best[next]) next = j;
        }
        in[next] = true, last = next;
    }
    free(best), free(in);
}

static tx_status fit(tx_model *m, const tx_view *v, uint64_t seed)
{
    const chow_liu_config *c = m->config;
    const chow_liu *s = m->state;
    double *count = count_pairs(v, seed, c->n_pass);
    table t = {v->space.dim, count, (double)v->data->split[TX_TRAIN].n * c->n_pass, c->smoothing};
    real *parent = tx_params_value(m->net[1], s->parent).x;
    span(&t, parent);
    for (int u = 0; u < 2; u++) {
        real *logit = tx_params_value(m->net[0], s->logit[u]).x;
        for (size_t j = 0; j < t.d; j++) {
            size_t i = (size_t)parent[j];
            logit[j] = (real)(i == j ? log(marginal(&t, j, 1) / marginal(&t, j, 0))
                                     : log(cell(&t, i, j, u, 1) / cell(&t, i, j, u, 0)));
        }
    }
    free(count);
    return TX_OK;
}

/* of_parent: y[i,j] = x[i, parent_j]; to_parent: its transpose. */
static const tx_op of_parent, to_parent;

static void of_parent_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    const real *x = y->in[0]->v.x, *parent = y->in[1]->v.x;
    for (size_t i = 0, d = tx_cols(y->v); i < tx_rows(y->v); i++)
        for (size_t j = 0; j < d; j++) y->v.x[i * d + j] = x[i * d + (size_t)parent[j]];
}

static void to_parent_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    const real *x = y->in[0]->v.x, *parent = y->in[1]->v.x;
    memset(y->v.x, 0, tx_len(y->v) * sizeof(real));
    for (size_t i = 0, d = tx_cols(y->v); i < tx_rows(y->v); i++)
        for (size_t j = 0; j < d; j++) y->v.x[i * d + (size_t)parent[j]] += x[i * d + j];
}

static void of_parent_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_apply(t, &to_parent, y->v.shape, (tx_var[]){dy, y->in[1]}, y->a);
}
static void to_parent_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_apply(t, &of_parent, y->v.shape, (tx_var[]){dy, y->in[1]}, y->a);
}

static const tx_op of_parent = {"of_parent", 2, of_parent_eval, of_parent_vjp};
static const tx_op to_parent = {"to_parent", 2, to_parent_eval, to_parent_vjp};

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const chow_liu *s = m->state;
    tx_var parent = tx_params_var(m->net[1], s->parent);
    tx_var off = tx_params_var(m->net[0], s->logit[0]), on = tx_params_var(m->net[0], s->logit[1]);
    tx_var value = tx_apply(t, &of_parent, x->v.shape, (tx_var[]){x, parent}, (tx_attr){0});
    return tx_bernoulli_logp(t, tx_add_row(t, tx_mul_row(t, value, tx_sub(t, on, off)), off), x);
}

/* Edges between the root and each variable; returns the largest number. */
static size_t depths(size_t d, const real parent[], size_t depth[])
{
    size_t deepest = 0;
    for (size_t j = 0; j < d; j++) {
        depth[j] = 0;
        for (size_t i = j; (size_t)parent[i] != i; i = (size_t)parent[i]) {
            depth[j]++;
            TX_REQUIRE(depth[j] < d, "variable %zu is its own ancestor", i);
        }
        if (depth[j] > deepest) deepest = depth[j];
    }
    return deepest;
}

static double sequential_steps(const tx_model *m)
{
    size_t d = m->space->dim, *depth = tx_alloc(d, sizeof *depth);
    size_t deepest = depths(d, tx_params_value(m->net[1], ((chow_liu *)m->state)->parent).x, depth);
    free(depth);
    return (double)deepest + 1;
}

/* Parents before their children. */
static size_t *breadth_first(tx_tape *t, size_t d, const real parent[])
{
    size_t *depth = tx_arena_alloc(tx_tape_arena(t), d * sizeof *depth);
    size_t *order = tx_arena_alloc(tx_tape_arena(t), d * sizeof *order);
    size_t deepest = depths(d, parent, depth), n = 0;
    for (size_t level = 0; level <= deepest; level++)
        for (size_t j = 0; j < d; j++)
            if (depth[j] == level) order[n++] = j;
    return order;
}

/* Coordinate j of sample i is 1 where uniform i D + j is below its probability given its parent. */
static void ancestral(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, tx_tensor mean)
{
    const chow_liu *s = m->state;
    size_t d = tx_cols(x);
    const real *parent = tx_params_value(m->net[1], s->parent).x;
    const size_t *order = breadth_first(t, d, parent);
    tx_tensor p = tx_tape_tensor(t, 2, d);
    for (int u = 0; u < 2; u++)
        tx_vec_act(TX_SIGMOID, d, tx_params_value(m->net[0], s->logit[u]).x, p.x + (size_t)u * d);
    tx_rng_uniform(r, first * d, tx_len(x), x.x);
    for (size_t i = 0; i < tx_rows(x); i++)
        for (size_t k = 0; k < d; k++) {
            size_t j = order[k], up = (size_t)parent[j];
            real of = p.x[(up != j && x.x[i * d + up] > 0 ? d : 0) + j];
            x.x[i * d + j] = x.x[i * d + j] < of;
            mean.x[i * d + j] = of;
        }
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    ancestral(m, t, r, first, x, tx_tape_tensor(t, tx_rows(x), tx_cols(x)));
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    ancestral(m, t, r, first, tx_tape_tensor(t, tx_rows(x), tx_cols(x)), x);
}

/* Missing variables, by messages: b_j(v) = prod over children c of sum_w p(x_c = w|v) b_c(w), times [x_j = v] where j
 * is observed, is the probability of what is observed below j. Then p(x_j = v | x_parent, x_o) ~ p(v|x_parent) b_j(v).
 */

/* b[j][v] in logarithms, of one row. */
static void collect(size_t d, const real parent[], const size_t order[], const real *const logit[2],
                    const uint8_t missing[], const real x[], double (*b)[2])
{
    memset(b, 0, d * sizeof *b);
    for (size_t k = d; k-- > 0;) {
        size_t j = order[k], up = (size_t)parent[j];
        if (!missing[j]) b[j][x[j] > 0 ? 0 : 1] = -INFINITY;
        for (int u = 0; u < 2 && up != j; u++) {
            double l = (double)logit[u][j], off = fmax(l, 0) + log1p(exp(-fabs(l))); /* p(1|u) = exp(l - off) */
            b[up][u] += tx_log_sum_exp(2, (double[]){b[j][0] - off, b[j][1] + l - off});
        }
    }
}

/* Root first: draws the missing variables of a row where `u` has uniforms, else scores what is there. */
static double distribute(size_t d, const real parent[], const size_t order[], const real *const logit[2],
                         const uint8_t missing[], double (*b)[2], const real u[], real x[])
{
    double sum = 0;
    for (size_t k = 0; k < d; k++) {
        size_t j = order[k], up = (size_t)parent[j];
        if (!missing[j]) continue;
        double l = (double)logit[up != j && x[up] > 0][j] + b[j][1] - b[j][0];
        if (u) x[j] = (double)u[j] < 1 / (1 + exp(-l));
        sum -= log1p(exp(x[j] > 0 ? -l : l));
    }
    return sum;
}

static void pass(tx_model *m, tx_tape *t, const uint8_t missing[], const real *u, tx_tensor x, double value[])
{
    const chow_liu *s = m->state;
    size_t d = tx_cols(x);
    const real *parent = tx_params_value(m->net[1], s->parent).x;
    const real *logit[2] = {tx_params_value(m->net[0], s->logit[0]).x, tx_params_value(m->net[0], s->logit[1]).x};
    const size_t *order = breadth_first(t, d, parent);
    double(*b)[2] = tx_arena_alloc(tx_tape_arena(t), d * sizeof *b);
    for (size_t i = 0; i < tx_rows(x); i++) {
        real *row = x.x + i * d;
        collect(d, parent, order, logit, missing, row, b);
        double sum = distribute(d, parent, order, logit, missing, b, u ? u + i * d : NULL, row);
        if (value) value[i] = sum;
    }
}

static void log_prob_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double value[])
{
    pass(m, t, missing, NULL, x, value);
}

static void sample_missing(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    tx_tensor u = tx_tape_tensor(t, tx_rows(x), tx_cols(x));
    tx_rng_uniform(r, first * tx_cols(x), tx_len(x), u.x);
    pass(m, t, missing, u.x, x, NULL);
}

static const tx_conditional conditional = {
    .applies = tx_applies_always, .log_prob = log_prob_missing, .sample = sample_missing};

const tx_model_ops tx_model_chow_liu = {
    .name = "chow_liu",
    .summary = "tree of highest likelihood over binary variables",
    .citation = "chow1968approximating",
    .taxonomy_path = "explicit/tractable/tree",
    .spaces = TX_ON_BINARY,
    .state_size = sizeof(chow_liu),
    .config_size = sizeof(chow_liu_config),
    .options = options,
    .toys = "[{}, {smoothing: 2.5}]",
    .build = build,
    .log_prob = log_prob,
    .conditional = &conditional,
    .sample = sample,
    .sample_mean = sample_mean,
    .sequential_steps = sequential_steps,
    .fit = fit,
};
