#include "common/model/estimate.h"
#include <math.h>
#include <stdlib.h>
#include "common/base/moments.h"

void tx_estimate_init(tx_estimate *e, const char *estimator, const tx_view *v, tx_split s, size_t n, bool with_error)
{
    *e = (tx_estimate){.split = s, .n = n, .dim = v->space.dim, .measure = v->space.measure, .kind = TX_EXACT};
    tx_copy_text(e->estimator, sizeof e->estimator, estimator);
    tx_copy_text(e->name, sizeof e->name, estimator);
    tx_copy_text(e->evaluated_model, sizeof e->evaluated_model, "model");
    e->log_likelihood = tx_alloc(n, sizeof *e->log_likelihood);
    if (with_error) e->std_error = tx_alloc(n, sizeof *e->std_error);
    e->settings = json_object();
}

void tx_estimate_summarise(tx_estimate *e, const tx_view *v)
{
    tx_moments rows = tx_moments_of(e->n, e->log_likelihood);
    double error = 0;
    for (size_t i = 0; e->std_error && i < e->n; i++) error += e->std_error[i] * e->std_error[i];
    e->mean = tx_moments_mean(&rows);
    e->mean_error = tx_moments_error(&rows);
    e->mc_error = sqrt(error) / (double)e->n;
    tx_bits bits = tx_bits_of(v, e->kind, e->mean);
    e->bits_per_dim = bits.value, e->bits_kind = bits.kind;
}

void tx_estimate_free(tx_estimate *e)
{
    free(e->log_likelihood);
    free(e->std_error);
    free(e->upper);
    free(e->x);
    json_decref(e->settings);
    *e = (tx_estimate){0};
}
