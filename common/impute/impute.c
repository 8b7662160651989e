#include "common/impute/impute.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

extern const tx_impute_ops tx_impute_exact, tx_impute_enumerate, tx_impute_gibbs, tx_impute_latent, tx_impute_hmc;
const tx_impute_ops *const tx_impute_list[] = {&tx_impute_exact,  &tx_impute_enumerate, &tx_impute_gibbs,
                                               &tx_impute_latent, &tx_impute_hmc,       NULL};

const tx_impute_ops *tx_impute_find(const char *name)
{
    for (int i = 0; tx_impute_list[i]; i++)
        if (strcmp(tx_impute_list[i]->name, name) == 0) return tx_impute_list[i];
    return NULL;
}

const tx_impute_ops *tx_impute_choose(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    size_t used = 0;
    *why = 0;
    for (int i = 0; tx_impute_list[i]; i++) {
        char one[TX_TEXT_MAX] = "";
        const char *reason = tx_impute_list[i]->unfit(m, missing, one);
        if (!reason) return tx_impute_list[i];
        used += (size_t)snprintf(why + used, TX_TEXT_MAX - used, "%s%s: %s", used ? "; " : "", tx_impute_list[i]->name,
                                 reason);
        if (used >= TX_TEXT_MAX) break;
    }
    return NULL;
}

tx_status tx_impute_run(const tx_impute_ops *o, const void *config, tx_model *m, tx_rng r,
                        void (*progress)(void *ctx, double share), void *ctx, tx_imputation *q)
{
    size_t missing = tx_missing_count(q->dim, q->missing);
    TX_REQUIRE(q->dim == m->space->dim && q->n && q->n_sample, "%zu rows of %zu variables", q->n, q->dim);
    TX_REQUIRE(missing > 0 && missing < q->dim, "%zu of %zu variables are missing", missing, q->dim);
    for (size_t i = 0; i < q->n; i++) q->log_likelihood[i] = q->std_error[i] = q->acceptance[i] = NAN;
    for (size_t i = 0; i < q->n * q->n_sample; i++)
        memcpy(q->sample + i * q->dim, q->x + i / q->n_sample * q->dim, q->dim * sizeof(real));
    q->kind = TX_ESTIMATE, q->chains = false;
    tx_copy_text(q->evaluated_model, sizeof q->evaluated_model, "model");
    *q->none = 0;
    TX_TRY(o->run(config, m, tx_rng_named(r, o->name), progress, ctx, q));
    for (size_t i = 0; i < q->n && !*q->none; i++)
        if (!isfinite(q->log_likelihood[i]))
            return tx_fail(TX_EDIVERGED, "%s: the conditional log-likelihood of row %zu is %g", o->name, i,
                           q->log_likelihood[i]);
    return TX_OK;
}
