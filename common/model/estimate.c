#include "common/model/estimate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/measure.h"

static const struct {
    const char *name, *sign;
} kinds[TX_N_KIND] = {[TX_EXACT] = {"exact", "="},
                      [TX_LOWER_BOUND] = {"lower_bound", ">="},
                      [TX_UPPER_BOUND] = {"upper_bound", "<="},
                      [TX_ESTIMATE] = {"estimate", "~"}};

const char *tx_kind_name(tx_kind k) { return kinds[k].name; }
const char *tx_kind_sign(tx_kind k) { return kinds[k].sign; }

bool tx_kind_of_name(const char *name, tx_kind *k)
{
    for (int i = 0; i < TX_N_KIND; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *k = (tx_kind)i;
            return true;
        }
    return false;
}

void tx_estimate_init(tx_estimate *e, const char *estimator, const tx_view *v, tx_split s, size_t n, bool with_error)
{
    *e = (tx_estimate){.split = s, .n = n, .measure = v->space.measure, .kind = TX_EXACT};
    tx_copy_text(e->estimator, sizeof e->estimator, estimator);
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
    e->bits_per_dim = tx_bits_per_dim(v, e->mean);
}

void tx_estimate_free(tx_estimate *e)
{
    free(e->log_likelihood);
    free(e->std_error);
    json_decref(e->settings);
    *e = (tx_estimate){0};
}
