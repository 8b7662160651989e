#include "common/quality/metric.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/kernels.h"

extern const tx_metric_ops tx_metric_mmd, tx_metric_c2st, tx_metric_knn, tx_metric_frechet, tx_metric_nearest,
    tx_metric_mode, tx_metric_smoothed, tx_metric_classification;

const tx_metric_ops *const tx_metric_list[] = {&tx_metric_mmd,      &tx_metric_c2st,           &tx_metric_knn,
                                               &tx_metric_frechet,  &tx_metric_nearest,        &tx_metric_mode,
                                               &tx_metric_smoothed, &tx_metric_classification, NULL};

const tx_metric_ops *tx_metric_find(const char *name)
{
    for (int i = 0; tx_metric_list[i]; i++)
        if (strcmp(tx_metric_list[i]->name, name) == 0) return tx_metric_list[i];
    return NULL;
}

size_t tx_metric_n(const tx_metric_ops *m, const void *config, const tx_view *v)
{
    if (m->run_model) return 0;
    size_t n = (size_t)((const tx_metric_common *)config)->n_sample;
    for (int s = TX_TRAIN; s < TX_N_SPLIT; s++)
        if (s != TX_VALID && v->data->split[s].n < n) n = v->data->split[s].n;
    return n;
}

const char *tx_metric_unfit(const tx_metric_ops *m, const void *config, const tx_model_ops *model, const tx_view *v)
{
    if (m->run_model) {
        const char *why = m->unfit_model(model);
        return why ? why : m->unfit(config, v);
    }
    if (!model->sample) return "cannot be sampled";
    if (tx_metric_n(m, config, v) < TX_METRIC_ROWS) return "train or test has fewer than 10 rows";
    return m->unfit(config, v);
}

static void add(tx_numbers *out, const tx_numbers *from, const char *name, const char *end, size_t n)
{
    for (int i = 0; i < from->n; i++) {
        char full[3 * TX_NAME_MAX], words[2 * TX_NAME_MAX];
        const char *quantity = from->m[i].name;
        snprintf(full, sizeof full, "%s%s%s%s", name, *quantity ? "_" : "", quantity, end);
        snprintf(words, sizeof words, "%s%s", from->m[i].long_name, *end ? ", of real rows" : "");
        tx_numbers_add_error(out, full, from->m[i].unit, from->m[i].value, from->m[i].error, words);
        out->m[out->n - 1].n_sample = (int)n;
    }
}

static tx_status run_both(const tx_metric_ops *m, const void *config, tx_quality *q, size_t n, const real *x, tx_rng r,
                          tx_numbers *own, tx_numbers *real_ones)
{
    real *stand_in = tx_quality_rows(q, m->stand_in, n);
    tx_status s = m->run(config, q, n, stand_in, tx_rng_named(r, "real"), NULL, real_ones);
    free(stand_in);
    return s ? s : m->run(config, q, n, x, tx_rng_named(r, "samples"), real_ones, own);
}

tx_status tx_metric_run(const tx_metric_ops *m, const void *config, const char *name, tx_quality *q, const real *x,
                        tx_rng r, tx_numbers *out)
{
    size_t n = tx_metric_n(m, config, q->view);
    TX_REQUIRE(n >= TX_METRIC_ROWS, "%s of %zu rows", name, n);
    if (!tx_vec_finite(n * q->view->space.dim, x))
        return tx_fail(TX_EDIVERGED, "%s: a sample of the model is not finite", name);
    tx_numbers *part = tx_alloc(2, sizeof *part);
    tx_status s = run_both(m, config, q, n, x, r, &part[0], &part[1]);
    TX_REQUIRE(part[0].n + part[1].n <= TX_METRIC_NUMBERS, "%s makes %d numbers", m->name, part[0].n + part[1].n);
    if (!s) add(out, &part[0], name, "", n);
    if (!s) add(out, &part[1], name, "_real", n);
    free(part);
    return s;
}

tx_status tx_metric_run_model(const tx_metric_ops *m, const void *config, const char *name, tx_model *model,
                              const tx_view *v, uint64_t seed, tx_numbers *out)
{
    tx_numbers *part = tx_alloc(1, sizeof *part);
    tx_status s = m->run_model(config, model, v, seed, part);
    if (!s) add(out, part, name, "", v->data->split[TX_TEST].n);
    free(part);
    return s;
}
