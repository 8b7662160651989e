#include <math.h>
#include <string.h>

#include "common/store/run_file.h"

double tx_estimate_setting(const tx_estimate *e, const char *key)
{
    const json_t *value = json_object_get(e->settings, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *tx_estimate_text(const tx_estimate *e, const char *key)
{
    const char *text = json_string_value(json_object_get(e->settings, key));
    return text ? text : "";
}

bool tx_same_method(const tx_estimate *a, const tx_estimate *b)
{
    return a->kind == b->kind && strcmp(a->estimator, b->estimator) == 0 &&
           strcmp(tx_estimate_text(a, "brief"), tx_estimate_text(b, "brief")) == 0;
}
