#include <math.h>
#include <string.h>

#include "common/store/run_file.h"

static int find(const tx_numbers *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->m[i].name, name) == 0) return i;
    return -1;
}

void tx_numbers_add(tx_numbers *t, const char *name, const char *unit, double value, const char *long_name)
{
    TX_REQUIRE(t->n < TX_MAX_NUMBERS, "no room for '%s'", name);
    TX_REQUIRE(find(t, name) < 0, "'%s' was added before", name);
    int i = t->n++;
    bool fits = tx_copy_text(t->m[i].name, sizeof t->m[i].name, name) &&
                tx_copy_text(t->m[i].unit, sizeof t->m[i].unit, unit);
    TX_REQUIRE(fits, "name '%s' or unit '%s' is too long", name, unit);
    tx_copy_text(t->m[i].long_name, sizeof t->m[i].long_name, long_name);
    t->m[i].value = value;
    t->m[i].error = NAN;
}

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

double tx_numbers_get(const tx_numbers *t, const char *name)
{
    int i = find(t, name);
    return i < 0 ? NAN : t->m[i].value;
}

bool tx_same_method(const tx_estimate *a, const tx_estimate *b)
{
    return a->kind == b->kind && strcmp(a->estimator, b->estimator) == 0 &&
           strcmp(tx_estimate_text(a, "brief"), tx_estimate_text(b, "brief")) == 0;
}
