/* log p(x_m|x_o) = log p(x) - log sum over all x_m of p(x_m, x_o), on discrete values, where those are few. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/moments.h"
#include "common/impute/chains.h"

enum { MOST = 4096 /* values of x_m together */, CHUNK = 256 };

/* 0 where there are more than MOST. */
static size_t count_states(const tx_model *m, const uint8_t missing[])
{
    size_t n = 1;
    for (size_t j = 0; j < m->space->dim; j++)
        if (missing[j] && (n *= (size_t)m->space->levels) > MOST) return 0;
    return n;
}

static const char *unfit(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    if (m->space->measure != TX_COUNTING) return "values are real, not to be enumerated";
    if (tx_chains_score(m->ops) == TX_SCORE_NONE) return "the model has no density, nor one up to a constant";
    if (count_states(m, missing)) return NULL;
    snprintf(why, TX_TEXT_MAX, "%zu missing variables have more than %d values together",
             tx_missing_count(m->space->dim, missing), MOST);
    return why;
}

/* The missing variables are the digits of `state`, the first the least. */
static void write_state(const tx_imputation *q, size_t levels, size_t state, real x[])
{
    for (size_t j = 0; j < q->dim; j++)
        if (q->missing[j]) x[j] = (real)(state % levels), state /= levels;
}

static size_t state_of(const tx_imputation *q, size_t levels, const real x[])
{
    size_t state = 0;
    for (size_t j = q->dim; j-- > 0;)
        if (q->missing[j]) state = state * levels + (size_t)x[j];
    return state;
}

static void do_row(tx_imputation *q, tx_model *m, tx_tape *t, tx_rng r, size_t n_state, size_t row)
{
    size_t d = q->dim, levels = (size_t)m->space->levels;
    double *log_p = tx_alloc(n_state, sizeof *log_p);
    real *x = tx_alloc(CHUNK * d, sizeof *x);
    for (size_t from = 0; from < n_state; from += CHUNK) {
        size_t n = n_state - from < CHUNK ? n_state - from : CHUNK;
        for (size_t i = 0; i < n; i++) {
            memcpy(x + i * d, q->x + row * d, d * sizeof *x);
            write_state(q, levels, from + i, x + i * d);
        }
        tx_model_evaluate(m, t, tx_chains_score(m->ops), r, 0, tx_matrix(x, n, d), log_p + from);
    }
    double all = tx_log_sum_exp(n_state, log_p);
    q->log_likelihood[row] = log_p[state_of(q, levels, q->x + row * d)] - all;
    q->std_error[row] = 0;
    for (size_t s = row * q->n_sample; s < (row + 1) * q->n_sample; s++) {
        double left = tx_rng_uniform1(r, s);
        size_t state = 0;
        while (state + 1 < n_state && left >= exp(log_p[state] - all)) left -= exp(log_p[state++] - all);
        write_state(q, levels, state, q->sample + s * d);
    }
    free(log_p), free(x);
}

static tx_status run(const void *config, tx_model *m, tx_rng r, void (*progress)(void *ctx, double share), void *ctx,
                     tx_imputation *q)
{
    (void)config;
    tx_tape *t = tx_tape_new(1 << 20);
    for (size_t i = 0; i < q->n; i++) {
        do_row(q, m, t, r, count_states(m, q->missing), i);
        if (progress) progress(ctx, (double)(i + 1) / (double)q->n);
    }
    tx_tape_free(t);
    q->kind = TX_EXACT;
    return TX_OK;
}

static const tx_option options[] = {{0}};
extern const tx_impute_ops tx_impute_enumerate;
const tx_impute_ops tx_impute_enumerate = {
    .name = "enumerate",
    .summary = "all values of the missing variables, where they are few and discrete",
    .options = options,
    .unfit = unfit,
    .run = run};
