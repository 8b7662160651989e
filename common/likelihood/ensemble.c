/* Mixtures of a model's orderings: log (1/n) sum_o p_o(x), the average of likelihoods along n orderings of the
 * variables (EoNADE of Uria, Murray & Larochelle 2014; MADE's sets of masks, Germain et al. 2015). Each p_o is
 * normalised and so is their mixture: its log-likelihood is exact. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/base/moments.h"
#include "common/base/text.h"
#include "common/likelihood/pass.h"

enum { ROWS = 500, CURVE = 32 /* most points: 1, 2, 4, .. */ };

typedef struct ensemble_config {
    int n_ordering;
} ensemble_config;
static const tx_option options[] = {
    {"n_ordering", TX_OPT_INT, offsetof(ensemble_config, n_ordering), "16", 1, 1000000, NULL,
     "orderings whose likelihoods are averaged; where the model has fewer, all of them", "uria2014deep: 1 to 128"},
    {0},
};

static const char *unfit(const tx_model_ops *m, const tx_view *v)
{
    (void)v;
    return m->log_prob_along ? NULL : "has no densities along several orderings";
}

/* Over the rows so far, of the mixture of the first n[i] orderings. */
typedef struct curve {
    int points;
    double n[CURVE];
    tx_moments at[CURVE];
} curve;

static curve new_curve(uint64_t orderings)
{
    curve c = {0};
    for (uint64_t n = 1; n < orderings; n *= 2) c.n[c.points++] = (double)n;
    c.n[c.points++] = (double)orderings;
    return c;
}

static double log_add(double a, double b)
{
    double top = a > b ? a : b, less = a > b ? b : a; /* NAN in either is NAN */
    return less == -INFINITY ? top : top + log1p(exp(less - top));
}

typedef struct teller {
    void (*tell)(void *ctx, double share);
    void *ctx;
    double n, orderings; /* rows and orderings in all */
} teller;

/* value[rows] = log of the mean likelihood along orderings 0 .. n-1, of rows after the `seen` first. */
static void mix(tx_model *m, tx_tape *t, uint64_t n, tx_tensor x, size_t seen, const double jacobian[], curve *c,
                const teller *p, double value[])
{
    size_t rows = tx_rows(x);
    for (size_t i = 0; i < rows; i++) value[i] = -INFINITY;
    for (uint64_t o = 0, point = 0; o < n; o++) {
        tx_model_bind(m, t);
        tx_var each = m->ops->log_prob_along(m, t, o, tx_leaf(t, x));
        for (size_t i = 0; i < rows; i++) value[i] = log_add(value[i], (double)each->v.x[i]);
        if (p->tell) p->tell(p->ctx, ((double)seen + (double)rows * (double)(o + 1) / p->orderings) / p->n);
        if ((double)(o + 1) != c->n[point]) continue;
        for (size_t i = 0; i < rows; i++) tx_moments_add(&c->at[point], value[i] - log((double)(o + 1)) + jacobian[i]);
        point++;
    }
    for (size_t i = 0; i < rows; i++) value[i] += jacobian[i] - log((double)n);
}

static void describe(const ensemble_config *c, uint64_t n, const curve *k, tx_estimate *e)
{
    json_t *points = json_array(), *mean = json_array(), *error = json_array();
    char count[TX_NAME_MAX] = "one ordering";
    bool all = n < (uint64_t)c->n_ordering;
    if (n > 1) snprintf(count, sizeof count, "mixture of %llu orderings", (unsigned long long)n);
    snprintf(e->evaluated_model, sizeof e->evaluated_model, "%s%s", count, all ? ", all that the model has" : "");
    char brief[48];
    snprintf(brief, sizeof brief, "%llu ordering%s", (unsigned long long)n, tx_plural((long long)n));
    json_object_set_new(e->settings, "brief", json_string(brief));
    json_object_set_new(e->settings, "n_ordering", json_integer((json_int_t)n));
    if (all) json_object_set_new(e->settings, "n_ordering_asked", json_integer(c->n_ordering));
    for (int i = 0; i < k->points; i++) {
        json_array_append_new(points, json_integer((json_int_t)k->n[i]));
        json_array_append_new(mean, json_real(k->at[i].mean));
        if (e->n > 1) json_array_append_new(error, json_real(tx_moments_error(&k->at[i])));
    }
    json_object_set_new(e->settings, "curve_n", points);
    json_object_set_new(e->settings, "curve_mean", mean);
    if (e->n > 1) json_object_set(e->settings, "curve_std_error", error);
    json_decref(error);
}

static tx_status check_rows(tx_split s, size_t first, size_t n, const double value[])
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(value[i]))
            return tx_fail(TX_EDIVERGED, "ensemble: the log-likelihood of %s row %zu is %g", tx_split_name(s),
                           first + i, value[i]);
    return TX_OK;
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    (void)r;
    const ensemble_config *c = config;
    double start = tx_now(), jacobian[ROWS], sum = 0;
    uint64_t has = m->ops->n_ordering(m), orderings = (uint64_t)c->n_ordering;
    if (has && has < orderings) orderings = has;
    tx_estimate e;
    n = tx_rows_asked(v, s, n);
    tx_estimate_init(&e, "ensemble", v, s, n, false);
    curve k = new_curve(orderings);
    teller p = {progress, ctx, (double)n, (double)orderings};
    tx_tape *tape = tx_tape_new(1 << 20);
    real *x = tx_alloc(ROWS * v->space.dim, sizeof *x);
    tx_status status = TX_OK;
    for (size_t i = 0; i < n && status == TX_OK; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        tx_view_range(v, s, i, rows, x, jacobian);
        for (size_t j = 0; j < rows; j++) sum += jacobian[j];
        mix(m, tape, orderings, tx_matrix(x, rows, v->space.dim), i, jacobian, &k, &p, e.log_likelihood + i);
        status = check_rows(s, i, rows, e.log_likelihood + i);
    }
    tx_tape_free(tape), free(x);
    describe(c, orderings, &k, &e);
    tx_note_jacobian(e.settings, sum, n);
    e.model_evaluations = (double)n * (double)orderings;
    return tx_estimate_end(status, &e, v, start, out);
}

extern const tx_estimator_ops tx_estimator_ensemble;
const tx_estimator_ops tx_estimator_ensemble = {
    .name = "ensemble",
    .summary = "mixture of the densities along several orderings of the variables",
    .citation = "uria2014deep",
    .config_size = sizeof(ensemble_config),
    .options = options,
    .unfit = unfit,
    .run = run};
