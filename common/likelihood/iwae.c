/* The importance weighted bound log 1/k sum_i p(x,z_i)/q(z_i), z_1..z_k ~ q (Burda, Grosse & Salakhutdinov 2016, eq.
 * 8), where q is the model's encoder or its prior. Its expectation is below log p(x) and rises with k. Letters: k
 * weights a repeat of the bound; `draws` weights of a row in all its repeats. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/moments.h"
#include "common/likelihood/pass.h"
#include "common/likelihood/weights.h"
#include "common/model/latent.h"
#include "common/tensor/parallel.h"

/* Rows whose posterior is computed in one pass; decoder rows of one, which a thread has to itself: both are part of
 * what last bits depend on. And decoder rows between two reports of progress. */
enum { ROWS = 200, CHUNK = 250, ROUND = 16 * CHUNK };
enum { PROPOSAL_AUTO, PROPOSAL_ENCODER, PROPOSAL_PRIOR };

typedef struct iwae_config {
    int n_importance, n_repeat, proposal;
} iwae_config;
static const tx_option options[] = {
    {"n_importance", TX_OPT_INT, offsetof(iwae_config, n_importance), "5000", 1, 10000000, NULL,
     "importance weights in each bound, k", "burda2016importance, section 5: 5000"},
    {"n_repeat", TX_OPT_INT, offsetof(iwae_config, n_repeat), "1", 1, 1000000, NULL,
     "independent bounds of k weights for each example, averaged; from 2 on the Monte Carlo error comes from their "
     "spread, with 1 from a jackknife over the weights",
     NULL},
    {"proposal", TX_OPT_CHOICE, offsetof(iwae_config, proposal), "auto", 0, 0, "auto|encoder|prior",
     "what latents are drawn from; auto: the encoder where the model has one, else the prior", NULL},
    {0},
};

static const char *unfit(const tx_model_ops *m, const tx_view *v)
{
    if (!m->latent) return "has no latent variables";
    if (m->log_observation) return NULL;
    if (v->space.measure == TX_LEBESGUE)
        return "has no p(x|z) on real values, and so no importance weights: ais and parzen lay a normal over its "
               "output";
    return v->space.levels == 2 ? NULL : "has no p(x|z) on more than two levels";
}

static tx_status check(const iwae_config *c, const tx_model *m)
{
    if (c->proposal == PROPOSAL_ENCODER && !m->ops->posterior)
        return tx_fail(TX_ECONFIG, "iwae: proposal is 'encoder', but %s has none: use 'prior'", m->ops->name);
    if (c->n_importance == 1 && c->n_repeat == 1)
        return tx_fail(TX_ECONFIG, "iwae: one weight tells nothing of its error: raise n_importance, or n_repeat");
    return TX_OK;
}

/* A decoder's slots: row row[i] of the batch stands in slot i, with its x, mu and lv; only where that changes are they
 * copied again. */
typedef struct slots {
    size_t row[CHUNK];
    tx_tensor x, mu, lv; /* [CHUNK,.] */
} slots;

typedef struct sampler {
    tx_model *m;
    tx_observation o;
    tx_rng r;
    bool encoder;
    size_t dim, width; /* of x, of z */
    tx_workers *workers;
    size_t first, draws; /* first row of the batch */
    tx_tensor x, mu, lv; /* of the batch: [ROWS,dim], [ROWS,width] x2 */
    int n_slots;
    slots *slots; /* of each thread */
    double *w;    /* [ROUND] log-weights from .. from+count-1 of the batch */
    size_t from, count;
} sampler;

static tx_tensor new_matrix(size_t rows, size_t cols)
{
    return tx_matrix(tx_alloc(rows * cols, sizeof(real)), rows, cols);
}

static sampler *new_sampler(const iwae_config *c, tx_model *m, tx_rng r)
{
    sampler *q = tx_alloc(1, sizeof *q);
    q->m = m, q->o = tx_observation_of(m, 0), q->r = tx_rng_named(r, "iwae");
    q->encoder = m->ops->posterior && c->proposal != PROPOSAL_PRIOR;
    q->dim = m->space->dim, q->width = m->ops->latent(m).dim;
    q->draws = (size_t)c->n_importance * (size_t)c->n_repeat;
    q->workers = tx_workers_new(m);
    q->x = new_matrix(ROWS, q->dim), q->mu = new_matrix(ROWS, q->width), q->lv = new_matrix(ROWS, q->width);
    q->n_slots = tx_threads();
    q->slots = tx_alloc((size_t)q->n_slots, sizeof *q->slots);
    for (slots *s = q->slots; s < q->slots + q->n_slots; s++)
        s->x = new_matrix(CHUNK, q->dim), s->mu = new_matrix(CHUNK, q->width), s->lv = new_matrix(CHUNK, q->width);
    q->w = tx_alloc(ROUND, sizeof *q->w);
    return q;
}

static void free_sampler(sampler *q)
{
    tx_workers_free(q->workers);
    for (slots *s = q->slots; s < q->slots + q->n_slots; s++) free(s->x.x), free(s->mu.x), free(s->lv.x);
    free(q->x.x), free(q->mu.x), free(q->lv.x), free(q->slots), free(q->w);
    free(q);
}

static void begin_batch(sampler *q, const tx_view *v, tx_split s, size_t first, size_t rows, double jacobian[])
{
    tx_var mu, lv;
    q->first = first;
    tx_view_range(v, s, first, rows, q->x.x, jacobian);
    for (slots *t = q->slots; t < q->slots + q->n_slots; t++)
        for (size_t i = 0; i < CHUNK; i++) t->row[i] = SIZE_MAX;
    if (!q->encoder) return;
    tx_tape *t = tx_worker_here(q->workers).tape;
    tx_model_bind(q->m, t);
    q->m->ops->posterior(q->m, t, tx_leaf(t, tx_slice_rows(q->x, 0, rows)), &mu, &lv);
    memcpy(q->mu.x, mu->v.x, rows * q->width * sizeof(real));
    memcpy(q->lv.x, lv->v.x, rows * q->width * sizeof(real));
}

static void put(tx_tensor to, size_t slot, tx_tensor from, size_t row)
{
    memcpy(to.x + slot * tx_cols(to), from.x + row * tx_cols(to), tx_cols(to) * sizeof(real));
}

static void fill_slot(const sampler *q, slots *s, size_t slot, size_t row)
{
    if (s->row[slot] == row) return;
    s->row[slot] = row;
    put(s->x, slot, q->x, row);
    put(s->mu, slot, q->mu, row);
    put(s->lv, slot, q->lv, row);
}

/* Those of a row stand side by side. Draw j of a row takes values j width .. of the row's own stream: k = 100 are the
 * first of k = 5000, wherever passes begin. */
static void log_weights(void *ctx, size_t chunk)
{
    const sampler *q = ctx;
    size_t at = chunk * CHUNK, from = q->from + at, n = q->count - at < CHUNK ? q->count - at : CHUNK;
    slots *s = &q->slots[tx_thread()];
    tx_worker here = tx_worker_here(q->workers);
    tx_tape *t = here.tape;
    const tx_prior *prior = q->m->ops->latent(q->m).prior;
    tx_model_bind(here.m, t);
    tx_tensor e = tx_tape_tensor(t, n, q->width);
    for (size_t i = 0, count; i < n; i += count) {
        size_t row = (from + i) / q->draws, draw = (from + i) % q->draws;
        count = q->draws - draw < n - i ? q->draws - draw : n - i;
        (q->encoder ? tx_rng_normal : prior->fill)(tx_rng_fold(q->r, q->first + row), draw * q->width, count * q->width,
                                                   e.x + i * q->width);
        for (size_t j = i; j < i + count; j++) fill_slot(q, s, j, row);
    }
    tx_var x = tx_leaf(t, tx_slice_rows(s->x, 0, n)), noise = tx_leaf(t, e), y;
    if (q->encoder)
        y = tx_log_weight(here.m, t, q->o, x, tx_leaf(t, tx_slice_rows(s->mu, 0, n)),
                          tx_leaf(t, tx_slice_rows(s->lv, 0, n)), noise);
    else
        y = tx_observation_logp(here.m, t, q->o, x, noise);
    for (size_t i = 0; i < n; i++) q->w[at + i] = (double)y->v.x[i];
}

/* Weights as they come, k kept at a time, and the repeats of the row. */
typedef struct tally {
    size_t k, n, repeats; /* n: weights kept */
    double *w, jackknife;
    tx_moments row;
    double jacobian; /* sum over rows */
} tally;

/* True when the row is complete: then its value and error are told. */
static bool count_weight(tally *c, double w, double *value, double *error)
{
    c->w[c->n++] = w;
    if (c->n < c->k) return false;
    tx_moments_add(&c->row, tx_log_mean_exp(c->k, c->w, c->repeats == 1 ? &c->jackknife : NULL));
    c->n = 0;
    if (c->row.n < c->repeats) return false;
    *value = c->row.mean;
    *error = c->repeats == 1 ? c->jackknife : tx_moments_error(&c->row);
    c->row = (tx_moments){0};
    return true;
}

static tx_status run_batch(sampler *q, tally *c, const tx_view *v, size_t first, size_t rows, size_t n,
                           void (*progress)(void *ctx, double share), void *ctx, tx_estimate *e)
{
    double jacobian[ROWS];
    size_t row = first, total = rows * q->draws;
    begin_batch(q, v, e->split, first, rows, jacobian);
    for (size_t from = 0; from < total; from += ROUND) {
        size_t count = total - from < ROUND ? total - from : ROUND;
        q->from = from, q->count = count;
        tx_parallel((count + CHUNK - 1) / CHUNK, log_weights, q);
        for (size_t i = 0; i < count; i++) {
            if (!count_weight(c, q->w[i], &e->log_likelihood[row], &e->std_error[row])) continue;
            e->log_likelihood[row] += jacobian[row - first];
            c->jacobian += jacobian[row - first];
            if (!isfinite(e->log_likelihood[row]))
                return tx_fail(TX_EDIVERGED, "iwae: the bound of %s row %zu is %g", tx_split_name(e->split), row,
                               e->log_likelihood[row]);
            row++;
        }
        if (progress) progress(ctx, ((double)first + (double)(from + count) / (double)q->draws) / (double)n);
    }
    return TX_OK;
}

static void describe(const iwae_config *c, const sampler *q, tx_estimate *e)
{
    e->kind = TX_LOWER_BOUND, e->stochastic = true;
    if (q->o.kind == TX_OBSERVE_BERNOULLI)
        tx_copy_text(e->evaluated_model, sizeof e->evaluated_model, "Bernoullis with means G(z)");
    char brief[64];
    snprintf(brief, sizeof brief, c->n_repeat > 1 ? "k = %d, %d times" : "k = %d", c->n_importance, c->n_repeat);
    json_object_set_new(e->settings, "brief", json_string(brief));
    json_object_set_new(e->settings, "n_importance", json_integer(c->n_importance));
    json_object_set_new(e->settings, "n_repeat", json_integer(c->n_repeat));
    json_object_set_new(e->settings, "proposal", json_string(q->encoder ? "encoder" : "prior"));
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    const iwae_config *c = config;
    double start = tx_now();
    tx_estimate e;
    tx_status status = check(c, m);
    if (status != TX_OK) return status;
    n = tx_rows_asked(v, s, n);
    tx_estimate_init(&e, "iwae", v, s, n, true);
    sampler *q = new_sampler(c, m, r);
    tally count = {.k = (size_t)c->n_importance, .repeats = (size_t)c->n_repeat};
    count.w = tx_alloc(count.k, sizeof *count.w);
    for (size_t i = 0; i < n && status == TX_OK; i += ROWS)
        status = run_batch(q, &count, v, i, n - i < ROWS ? n - i : ROWS, n, progress, ctx, &e);
    describe(c, q, &e);
    tx_note_jacobian(e.settings, count.jacobian, n);
    free_sampler(q), free(count.w);
    e.model_evaluations = (double)n * c->n_importance * c->n_repeat;
    return tx_estimate_end(status, &e, v, start, out);
}

extern const tx_estimator_ops tx_estimator_iwae;
const tx_estimator_ops tx_estimator_iwae = {
    .name = "iwae",
    .summary = "importance weighted bound, from the encoder's or the prior's samples",
    .citation = "burda2016importance",
    .config_size = sizeof(iwae_config),
    .options = options,
    .unfit = unfit,
    .run = run};
