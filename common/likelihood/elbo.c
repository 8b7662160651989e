/* The evidence lower bound E_q[log p(x,z) - log q(z|x)], by an average over several draws of each example's latent
 * noise (Kingma & Welling 2014, eq. 3). Its expectation is below log p(x): a stochastic lower bound. */
#include <math.h>
#include <stdlib.h>
#include "common/base/moments.h"
#include "common/likelihood/pass.h"

typedef struct elbo_config {
    int n_repeat;
} elbo_config;
static const tx_option options[] = {
    {"n_repeat", TX_OPT_INT, offsetof(elbo_config, n_repeat), "10", 2, 100000, NULL,
     "independent draws of the bound for each example; the Monte Carlo error comes from their spread", NULL},
    {0},
};

static const char *unfit(const tx_model_ops *m, const tx_view *v)
{
    (void)v;
    return m->elbo ? NULL : "has no evidence lower bound";
}

typedef struct part {
    void (*tell)(void *ctx, double share);
    void *ctx;
    double from, width;
} part;
static void tell_part(void *ctx, double share)
{
    part *p = ctx;
    if (p->tell) p->tell(p->ctx, p->from + p->width * share);
}

static tx_status run(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    const elbo_config *c = config;
    double start = tx_now(), repeats = c->n_repeat;
    tx_estimate e;
    n = tx_rows_asked(v, s, n);
    tx_estimate_init(&e, "elbo", v, s, n, true);
    e.kind = TX_LOWER_BOUND, e.stochastic = true;
    json_object_set_new(e.settings, "n_repeat", json_integer(c->n_repeat));
    double *value = tx_alloc(n, sizeof *value);
    tx_moments *row = tx_alloc(n, sizeof *row);
    tx_status status = TX_OK;
    for (int k = 0; k < c->n_repeat && status == TX_OK; k++) {
        part p = {progress, ctx, k / repeats, 1 / repeats};
        status = tx_score_rows(m, v, s, n, TX_SCORE_ELBO, tx_rng_fold(r, (uint64_t)k), tell_part, &p, value,
                               e.settings);
        for (size_t i = 0; i < n && status == TX_OK; i++) tx_moments_add(&row[i], value[i]);
    }
    for (size_t i = 0; i < n; i++) e.log_likelihood[i] = row[i].mean, e.std_error[i] = tx_moments_error(&row[i]);
    free(value), free(row);
    e.model_evaluations = (double)n * repeats;
    return tx_estimate_end(status, &e, v, start, out);
}

extern const tx_estimator_ops tx_estimator_elbo;
const tx_estimator_ops tx_estimator_elbo = {.name = "elbo",
                                            .summary = "evidence lower bound, averaged over draws of the latent noise",
                                            .citation = "kingma2014vae",
                                            .config_size = sizeof(elbo_config),
                                            .options = options,
                                            .unfit = unfit,
                                            .run = run};
