/** Missing variables of autoregressive nets: where they end the order, the net's own conditionals are theirs. */
#include "common/base/moments.h"
#include "models/fvbn/arnet.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool tx_order_ends_with(size_t dim, const uint32_t order[], const uint8_t missing[])
{
    for (size_t k = 1; k < dim; k++)
        if (missing[order[k - 1]] && !missing[order[k]]) return false;
    return true;
}

void tx_bernoulli_part(const uint8_t missing[], bool of_missing, tx_tensor logit, tx_tensor x, double value[])
{
    for (size_t i = 0, d = tx_cols(x); i < tx_rows(x); i++) {
        value[i] = 0;
        for (size_t j = i * d; j < (i + 1) * d; j++) {
            double l = (double)logit.x[j];
            if (missing[j - i * d] == of_missing) value[i] += (double)x.x[j] * l - fmax(l, 0) - log1p(exp(-fabs(l)));
        }
    }
}

/** Sets of masks whose order ends with the missing variables; their number. */
static int usable(const tx_arnet *a, const uint8_t missing[], uint32_t mask[TX_ARNET_MASKS])
{
    int n = 0;
    for (int k = 0; k < a->spec.n_mask; k++)
        if (tx_order_ends_with(a->spec.dim, a->mask[k].unit[0], missing)) mask[n++] = (uint32_t)k;
    return n;
}

bool tx_arnet_applies(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    const tx_arnet *a = m->state;
    uint32_t mask[TX_ARNET_MASKS];
    int n = usable(a, missing, mask), all = a->spec.n_mask;
    *why = 0;
    if (n == 0)
        snprintf(why, TX_TEXT_MAX, "the missing variables are not the last ones of %s",
                 all > 1 ? "any of the model's orders" : "the model's order");
    else if (n < all)
        snprintf(why, TX_TEXT_MAX,
                 "the mixture of those %d of the model's %d orders that end with the missing variables", n, all);
    return n > 0;
}

/** Of every row and usable set of masks: log p_k(x_o) and, where wanted, log p_k(x_m|x_o), [masks,n] each. */
static void parts(const tx_arnet *a, tx_tape *t, const uint8_t missing[], int n_mask, const uint32_t mask[],
                  tx_tensor x, double *observed, double *rest)
{
    size_t n = tx_rows(x);
    for (int k = 0; k < n_mask; k++) {
        tx_var logit;
        tx_arnet_apply(a, t, (int)mask[k], tx_leaf(t, x), &logit);
        tx_bernoulli_part(missing, false, logit->v, x, observed + (size_t)k * n);
        if (rest) tx_bernoulli_part(missing, true, logit->v, x, rest + (size_t)k * n);
    }
}

/** log of sum_k p_k(x_o) p_k(x_m|x_o) over sum_k p_k(x_o). */
static void log_prob(tx_model *m, tx_tape *t, const uint8_t missing[], tx_tensor x, double value[])
{
    const tx_arnet *a = m->state;
    uint32_t mask[TX_ARNET_MASKS];
    int k = usable(a, missing, mask);
    size_t n = tx_rows(x), len = (size_t)k * n;
    double *observed = tx_alloc(2 * len, sizeof *observed), *rest = observed + len;
    double prior[TX_ARNET_MASKS], both[TX_ARNET_MASKS];
    parts(a, t, missing, k, mask, x, observed, rest);
    for (size_t i = 0; i < n; i++) {
        double top = observed[i];
        for (int q = 1; q < k; q++) top = fmax(top, observed[(size_t)q * n + i]);
        for (int q = 0; q < k; q++) {
            prior[q] = observed[(size_t)q * n + i] - top;
            both[q] = prior[q] + rest[(size_t)q * n + i];
        }
        value[i] = tx_log_sum_exp((size_t)k, both) - tx_log_sum_exp((size_t)k, prior);
    }
    free(observed);
}

/** Each row's set of masks, drawn in proportion to p_k(x_o). */
static void draw_masks(const tx_arnet *a, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x,
                       uint32_t of[])
{
    uint32_t mask[TX_ARNET_MASKS];
    int k = usable(a, missing, mask);
    size_t n = tx_rows(x);
    double *observed = tx_alloc((size_t)k * n, sizeof *observed), each[TX_ARNET_MASKS];
    if (k > 1) parts(a, t, missing, k, mask, x, observed, NULL);
    for (size_t i = 0; i < n; i++) {
        int q = 0;
        for (int p = 0; p < k; p++) each[p] = observed[(size_t)p * n + i];
        double all = tx_log_sum_exp((size_t)k, each), left = tx_rng_uniform1(r, first + i);
        while (q + 1 < k && left >= exp(each[q] - all)) left -= exp(each[q++] - all);
        of[i] = mask[q];
    }
    free(observed);
}

static void sample(tx_model *m, tx_tape *t, const uint8_t missing[], tx_rng r, uint64_t first, tx_tensor x)
{
    uint32_t *mask = tx_arena_alloc(tx_tape_arena(t), tx_rows(x) * sizeof *mask);
    draw_masks(m->state, t, missing, tx_rng_named(r, "mask"), first, x, mask);
    tx_arnet_sample_bernoulli(m->state, t, r, first, mask, missing, false, x);
}

const tx_conditional tx_arnet_conditional = {.applies = tx_arnet_applies, .log_prob = log_prob, .sample = sample};
