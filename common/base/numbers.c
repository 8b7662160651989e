#include "common/base/numbers.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

int tx_numbers_find(const tx_numbers *t, const char *name)
{
    for (int i = 0; t && i < t->n; i++)
        if (strcmp(t->m[i].name, name) == 0) return i;
    return -1;
}

void tx_numbers_add_error(tx_numbers *t, const char *name, const char *unit, double value, double error,
                          const char *long_name)
{
    TX_REQUIRE(t->n < TX_MAX_NUMBERS, "no room for '%s'", name);
    TX_REQUIRE(tx_numbers_find(t, name) < 0, "'%s' was added before", name);
    int i = t->n++;
    bool fits = tx_copy_text(t->m[i].name, sizeof t->m[i].name, name) &&
                tx_copy_text(t->m[i].unit, sizeof t->m[i].unit, unit);
    TX_REQUIRE(fits, "name '%s' or unit '%s' is too long", name, unit);
    tx_copy_text(t->m[i].long_name, sizeof t->m[i].long_name, long_name);
    t->m[i].value = value;
    t->m[i].error = error;
    t->m[i].n_sample = 0;
}

void tx_numbers_add(tx_numbers *t, const char *name, const char *unit, double value, const char *long_name)
{
    tx_numbers_add_error(t, name, unit, value, NAN, long_name);
}

double tx_numbers_get(const tx_numbers *t, const char *name)
{
    int i = tx_numbers_find(t, name);
    return i < 0 ? NAN : t->m[i].value;
}

static size_t bytes_of(int n) { return offsetof(tx_numbers, m) + (size_t)n * sizeof(((tx_numbers *)0)->m[0]); }

tx_numbers *tx_numbers_room(int n)
{
    tx_numbers *t = tx_alloc(bytes_of(n), 1);
    t->n = n;
    return t;
}

tx_numbers *tx_numbers_copy(const tx_numbers *t) { return memcpy(tx_numbers_room(t->n), t, bytes_of(t->n)); }
