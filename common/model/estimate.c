#include "common/model/estimate.h"
#include <math.h>
#include <stdlib.h>

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
    double sum = 0, square = 0, error = 0, n = (double)e->n;
    for (size_t i = 0; i < e->n; i++) sum += e->log_likelihood[i];
    e->mean = sum / n;
    for (size_t i = 0; i < e->n; i++) {
        double d = e->log_likelihood[i] - e->mean;
        square += d * d;
        if (e->std_error) error += e->std_error[i] * e->std_error[i];
    }
    e->mean_error = e->n > 1 ? sqrt(square / (n - 1) / n) : NAN;
    e->mc_error = sqrt(error) / n;
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
