/* log p(x) = log int p(z) p(x|z) dz over one or two latents by the trapezoidal rule on an equally spaced grid, which
 * for smooth integrands that vanish at its ends errs less than any power of the spacing (Trefethen & Weideman 2014).
 * The error told is the difference from the grid of every other node: far above the true one where both resolve the
 * posterior, and of the size of the sum where they do not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/moments.h"
#include "common/likelihood/pass.h"
#include "common/model/latent.h"
#include "common/tensor/parallel.h"

enum { CHUNK = 1000 }; /* nodes of one pass: part of what last bits depend on */
enum { MAX_LATENT = 2 };

typedef struct quadrature_config {
    int n_node, n_example;
    double range;
} quadrature_config;
static const tx_option options[] = {
    {"n_node", TX_OPT_INT, offsetof(quadrature_config, n_node), "401", 5, 10001, NULL,
     "nodes along each latent; odd, so that every other one is a grid of the same ends", NULL},
    {"range", TX_OPT_REAL, offsetof(quadrature_config, range), "6", 1, 40, NULL,
     "the grid's ends, in deviations of the prior", NULL},
    {"n_example", TX_OPT_INT, offsetof(quadrature_config, n_example), "1000", 0, 100000000, NULL,
     "rows evaluated at most; 0: all of the split", NULL},
    {0},
};

static const char *unfit(const tx_model_ops *m, const tx_view *v)
{
    (void)v;
    if (!m->latent) return "has no latent variables";
    return m->log_observation ? NULL
                              : "has no p(x|z) of its own, and so no density to integrate: ais and parzen lay a "
                                "normal over its output";
}

static tx_status check(const quadrature_config *c, const tx_model *m)
{
    size_t k = m->ops->latent(m).dim;
    if (k > MAX_LATENT)
        return tx_fail(TX_ECONFIG, "quadrature: %s has %zu latents, a grid serves at most %d: use iwae or ais",
                       m->ops->name, k, MAX_LATENT);
    if (c->n_node % 2 == 0)
        return tx_fail(TX_ECONFIG, "quadrature: n_node is %d: it must be odd, so that every other node is a grid too",
                       c->n_node);
    return TX_OK;
}

typedef struct grid {
    tx_workers *workers;
    tx_observation o;
    const tx_prior *prior;
    size_t dim, width, side, nodes;
    double end, step; /* of a coordinate: -end .. end */
    const real *x;    /* [rows,dim] */
    double *value, *error;
} grid;

/* Nodes from .. from+n-1 into z[n,width]; true in `coarse` for those of every other. */
static void nodes(const grid *g, size_t from, size_t n, real z[], bool coarse[])
{
    for (size_t i = 0; i < n; i++) {
        coarse[i] = true;
        for (size_t j = 0, rest = from + i; j < g->width; j++, rest /= g->side) {
            size_t at = rest % g->side;
            z[i * g->width + j] = (real)(g->step * (double)at - g->end);
            coarse[i] = coarse[i] && at % 2 == 0;
        }
    }
}

static void integrate(void *ctx, size_t row)
{
    const grid *g = ctx;
    tx_worker here = tx_worker_here(g->workers);
    bool coarse[CHUNK];
    tx_log_sum fine = TX_LOG_SUM, every_other = TX_LOG_SUM;
    for (size_t from = 0; from < g->nodes; from += CHUNK) {
        size_t n = g->nodes - from < CHUNK ? g->nodes - from : CHUNK;
        tx_model_bind(here.m, here.tape);
        tx_tensor x = tx_tape_tensor(here.tape, n, g->dim), z = tx_tape_tensor(here.tape, n, g->width);
        for (size_t i = 0; i < n; i++) memcpy(x.x + i * g->dim, g->x + row * g->dim, g->dim * sizeof(real));
        nodes(g, from, n, z.x, coarse);
        tx_var at = tx_leaf(here.tape, z), prior = g->prior->logp(here.tape, at);
        tx_var y = tx_observation_logp(here.m, here.tape, g->o, tx_leaf(here.tape, x), at);
        for (size_t i = 0; i < n; i++) {
            double w = (double)prior->v.x[i] + (double)y->v.x[i];
            tx_log_sum_add(&fine, w);
            if (coarse[i]) tx_log_sum_add(&every_other, w);
        }
    }
    double cell = (double)g->width * log(g->step), coarse_cell = cell + (double)g->width * log(2);
    g->value[row] = tx_log_sum_value(&fine) + cell;
    g->error[row] = fabs(g->value[row] - (tx_log_sum_value(&every_other) + coarse_cell));
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    enum { ROWS = 64 }; /* between two reports */
    const quadrature_config *c = config;
    const tx_latent z = m->ops->latent(m);
    double start = tx_now(), jacobian[ROWS], all = 0, worst = 0;
    (void)r;
    TX_TRY(check(c, m));
    n = tx_rows_asked(v, s, n);
    if (c->n_example && n > (size_t)c->n_example) n = (size_t)c->n_example;
    tx_estimate e;
    tx_estimate_init(&e, "quadrature", v, s, n, true);
    real *x = tx_alloc(ROWS * v->space.dim, sizeof *x);
    grid g = {.workers = tx_workers_new(m),
              .o = tx_observation_of(m, 0),
              .prior = z.prior,
              .dim = v->space.dim,
              .width = z.dim};
    g.side = (size_t)c->n_node, g.nodes = z.dim == 1 ? g.side : g.side * g.side, g.x = x;
    g.end = c->range * z.prior->deviation, g.step = 2 * g.end / (double)(g.side - 1);
    for (size_t i = 0; i < n; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        tx_view_range(v, s, i, rows, x, jacobian);
        g.value = e.log_likelihood + i, g.error = e.std_error + i;
        tx_parallel(rows, integrate, &g);
        for (size_t j = 0; j < rows; j++) {
            g.value[j] += jacobian[j], all += jacobian[j];
            worst = fmax(worst, g.error[j]);
        }
        if (progress) progress(ctx, (double)(i + rows) / (double)n);
    }
    e.kind = TX_ESTIMATE, e.stochastic = false;
    char brief[64];
    snprintf(brief, sizeof brief, z.dim == 1 ? "%d nodes" : "%d x %d nodes", c->n_node, c->n_node);
    json_object_set_new(e.settings, "brief", json_string(brief));
    json_object_set_new(e.settings, "n_node", json_integer(c->n_node));
    json_object_set_new(e.settings, "range", json_real(c->range));
    json_object_set_new(e.settings, "largest_error", json_real(worst));
    tx_note_jacobian(e.settings, all, n);
    e.model_evaluations = (double)n * (double)g.nodes;
    tx_workers_free(g.workers), free(x);
    return tx_estimate_end(TX_OK, &e, v, start, out);
}

extern const tx_estimator_ops tx_estimator_quadrature;
const tx_estimator_ops tx_estimator_quadrature = {.name = "quadrature",
                                                  .summary = "the integral over one or two latents on a grid",
                                                  .citation = "trefethen2014trapezoidal",
                                                  .config_size = sizeof(quadrature_config),
                                                  .options = options,
                                                  .unfit = unfit,
                                                  .run = run};
