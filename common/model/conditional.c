#include "common/model/conditional.h"
#include <math.h>
#include <string.h>

bool tx_applies_always(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    (void)m, (void)missing;
    *why = 0;
    return true;
}

size_t tx_missing_count(size_t dim, const uint8_t missing[])
{
    size_t n = 0;
    for (size_t j = 0; j < dim; j++) n += missing[j];
    return n;
}

tx_var tx_missing_columns(tx_tape *t, const uint8_t missing[], bool of_missing, size_t per, tx_tensor x)
{
    size_t n = tx_rows(x), d = tx_cols(x) / per, known = tx_missing_count(d, missing);
    tx_tensor y = tx_tape_tensor(t, n, (of_missing ? known : d - known) * per);
    real *to = y.x;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            if (missing[j] == of_missing) memcpy(to, x.x + (i * d + j) * per, per * sizeof *to), to += per;
    return tx_leaf(t, y);
}

void tx_missing_copy(const uint8_t missing[], tx_tensor from, tx_tensor to)
{
    for (size_t i = 0, d = tx_cols(to); i < tx_len(to); i++)
        if (missing[i % d]) to.x[i] = from.x[i];
}
