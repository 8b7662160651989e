/* Modes of sets whose modes are known, all of one weight: of M centres with deviation s a sample belongs to the
 * nearest, and is of high quality within 3 s of it (Srivastava et al. 2017). q_k: the share of samples that belong to
 * mode k. */
#include <math.h>
#include <stdlib.h>
#include "common/quality/halves.h"
#include "common/quality/metric.h"

typedef struct mode_config {
    tx_metric_common common;
} mode_config;
static const tx_option options[] = {TX_METRIC_OPTIONS("2500", 1000000), {0}};

static const char *unfit(const void *config, const tx_view *v)
{
    (void)config;
    return v->data->known && v->data->known->n_mode ? NULL : "the data set has no known modes";
}

typedef struct modes {
    size_t n_mode;
    const uint32_t *nearest; /* [n] */
    const bool *good;        /* [n] */
} modes;

enum { COUNT, GOOD, KL, N_OUT };

/* KL(q || uniform) = sum_k q_k log(q_k M) = log M - H(q). */
static void statistic(const void *ctx, size_t n, const uint32_t a[], size_t n_b, const uint32_t b[], double out[])
{
    (void)n_b, (void)b;
    const modes *m = ctx;
    size_t *all = tx_alloc(m->n_mode, sizeof *all), *found = tx_alloc(m->n_mode, sizeof *found);
    out[COUNT] = out[GOOD] = out[KL] = 0;
    for (size_t i = 0; i < n; i++) {
        all[m->nearest[a[i]]]++;
        if (m->good[a[i]]) found[m->nearest[a[i]]]++;
    }
    for (size_t k = 0; k < m->n_mode; k++) {
        double q = (double)all[k] / (double)n;
        out[COUNT] += found[k] > 0;
        out[GOOD] += (double)found[k] / (double)n;
        if (all[k]) out[KL] += q * log(q * (double)m->n_mode);
    }
    free(all), free(found);
}

static void assign(const tx_dataset *d, size_t n, const real *x, uint32_t *nearest, bool *good)
{
    double *centre = tx_alloc(d->dim, sizeof *centre), *least = tx_alloc(n, sizeof *least);
    for (size_t k = 0; k < d->known->n_mode; k++) {
        double deviation = d->known->mode(d, k, centre);
        for (size_t i = 0; i < n; i++) {
            double square = 0;
            for (size_t j = 0; j < d->dim; j++) square += pow((double)x[i * d->dim + j] - centre[j], 2);
            if (k > 0 && square >= least[i]) continue;
            least[i] = square;
            nearest[i] = (uint32_t)k;
            good[i] = square <= 9 * deviation * deviation;
        }
    }
    free(centre), free(least);
}

static tx_status run(const void *config, tx_quality *q, size_t n, const real *x, tx_rng r, const tx_numbers *real_ones,
                     tx_numbers *out)
{
    (void)real_ones;
    const mode_config *c = config;
    uint32_t *nearest = tx_alloc(n, sizeof *nearest);
    bool *good = tx_alloc(n, sizeof *good);
    double value[N_OUT], error[N_OUT];
    assign(q->view->data, n, x, nearest, good);
    modes m = {q->view->data->known->n_mode, nearest, good};
    tx_halves(r, (size_t)c->common.n_bootstrap, n, 0, N_OUT, statistic, &m, value, error);
    tx_numbers_add_error(out, "count", "1", value[COUNT], error[COUNT], "modes with a sample within 3 deviations");
    tx_numbers_add_error(out, "high_quality", "1", value[GOOD], error[GOOD], "share of samples within 3 deviations");
    tx_numbers_add_error(out, "kl", "nat", value[KL], error[KL], "KL of the samples' shares of modes from equal ones");
    free(nearest), free(good);
    return TX_OK;
}

extern const tx_metric_ops tx_metric_mode;
const tx_metric_ops tx_metric_mode = {
    .name = "mode",
    .summary = "modes found, share of samples near one, and KL over mode counts, where the modes are known",
    .citation = "srivastava2017veegan",
    .config_size = sizeof(mode_config),
    .options = options,
    .stand_in = TX_TEST,
    .unfit = unfit,
    .run = run};
