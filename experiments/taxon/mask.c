#include "experiments/taxon/mask.h"
#include "common/base/text.h"
#include "common/data/readers.h"
#include "common/tensor/rng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMS "half, rows=A..B, columns=A..B, variables=A..B, random=SHARE or a file"

/* A..B of n, the ends included; A alone is A..A. */
static tx_status range(const char *text, const char *value, size_t n, size_t *low, size_t *high)
{
    char *end;
    bool digit = *value >= '0' && *value <= '9';
    unsigned long long a = strtoull(value, &end, 10), b = a;
    if (digit && strncmp(end, "..", 2) == 0) {
        digit = end[2] >= '0' && end[2] <= '9';
        b = strtoull(end + 2, &end, 10);
    }
    if (!digit || *end || a > b || b >= n)
        return tx_fail(TX_EUSAGE, "impute: --mask %s: expected A..B with 0 <= A <= B <= %zu; found '%s'", text, n - 1,
                       value);
    *low = (size_t)a, *high = (size_t)b;
    return TX_OK;
}

/* Pixels whose row (column) is from low to high, in all channels. */
static tx_status part_of_image(const char *text, const char *value, const tx_space *s, bool columns, uint8_t missing[])
{
    size_t low, high, row = s->width * s->channel;
    if (s->height == 0)
        return tx_fail(TX_EUSAGE,
                       "impute: --mask %s: the data have %zu variable%s and no width and height: use variables=A..B",
                       text, s->dim, tx_plural((long long)s->dim));
    TX_TRY(range(text, value, columns ? s->width : s->height, &low, &high));
    for (size_t j = 0; j < s->dim; j++) {
        size_t at = columns ? j % row / s->channel : j / row;
        missing[j] = at >= low && at <= high;
    }
    return TX_OK;
}

static tx_status drawn(const char *text, const char *value, const tx_space *s, int seed, uint8_t missing[])
{
    char *end;
    double share = strtod(value, &end);
    if (end == value || *end || !(share > 0 && share < 1))
        return tx_fail(TX_EUSAGE, "impute: --mask %s: expected a share between 0 and 1; found '%s'", text, value);
    size_t n = (size_t)lround(share * (double)s->dim);
    uint32_t *perm = tx_alloc(s->dim, sizeof *perm);
    tx_rng_permutation(tx_rng_named(tx_rng_root((uint64_t)seed), "mask"), s->dim, perm);
    for (size_t k = 0; k < n; k++) missing[perm[k]] = 1;
    free(perm);
    return TX_OK;
}

static tx_status from_file(const char *path, const tx_space *s, uint8_t missing[])
{
    tx_table t = {0};
    TX_TRY(tx_table_read(path, &t));
    tx_status status = TX_OK;
    if (t.n * t.dim != s->dim)
        status = tx_fail(TX_EDATA, "%s: expected one row of %zu values, 0 or 1, one for each variable; found %zu x %zu",
                         path, s->dim, t.n, t.dim);
    for (size_t j = 0; j < s->dim && !status; j++) {
        double v = t.u8 ? t.u8[j] : (double)t.f32[j];
        if (v != 0 && v != 1)
            status = tx_fail(TX_EDATA, "%s: value %zu: expected 0 (observed) or 1 (missing); found %g", path, j + 1, v);
        missing[j] = v == 1;
    }
    tx_table_free(&t);
    return status;
}

static tx_status fill(const char *text, const tx_space *s, int seed, uint8_t missing[])
{
    const char *value = strchr(text, '=');
    size_t key = value ? (size_t)(value - text) : strlen(text), low, high;
    if (strcmp(text, "half") == 0) {
        for (size_t j = 0; j < s->dim; j++)
            missing[j] = s->height ? j / (s->width * s->channel) >= s->height / 2 : j >= s->dim / 2;
        return TX_OK;
    }
    if (value && strncmp(text, "rows", key) == 0 && key == 4) return part_of_image(text, value + 1, s, false, missing);
    if (value && strncmp(text, "columns", key) == 0 && key == 7)
        return part_of_image(text, value + 1, s, true, missing);
    if (value && strncmp(text, "random", key) == 0 && key == 6) return drawn(text, value + 1, s, seed, missing);
    if (value && strncmp(text, "variables", key) == 0 && key == 9) {
        TX_TRY(range(text, value + 1, s->dim, &low, &high));
        for (size_t j = low; j <= high; j++) missing[j] = 1;
        return TX_OK;
    }
    tx_status status = from_file(text, s, missing);
    if (status != TX_ENOINPUT) return status;
    char why[TX_TEXT_MAX];
    tx_copy_text(why, sizeof why, tx_last_error());
    return tx_fail(status, "impute: --mask: expected " FORMS "; as a file: %s", why);
}

tx_status tx_mask_read(const char *text, const tx_space *s, int seed, uint8_t missing[])
{
    size_t n = 0;
    memset(missing, 0, s->dim);
    TX_TRY(fill(text, s, seed, missing));
    for (size_t j = 0; j < s->dim; j++) n += missing[j];
    if (n == 0 || n == s->dim)
        return tx_fail(TX_EUSAGE,
                       "impute: --mask %s: expected some variables missing and some observed; found %zu of %zu missing",
                       text, n, s->dim);
    return TX_OK;
}
