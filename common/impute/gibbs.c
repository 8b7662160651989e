/* Gibbs sampling: the model's own transition of the missing variables (a Boltzmann machine's, through its hidden
 * units), else one binary variable after the other from its conditional given all others (Geman & Geman 1984). */
#include <math.h>
#include <stdio.h>
#include "common/impute/chains.h"

typedef struct gibbs_config {
    int steps;
} gibbs_config;
static const tx_option options[] = {
    {"steps", TX_OPT_INT, offsetof(gibbs_config, steps), "100", 1, 10000000, NULL,
     "sweeps of each chain; its end is the sample, so that all before it are burn-in", NULL},
    {0},
};

static bool has_move(const tx_model *m) { return m->ops->conditional && m->ops->conditional->move; }

static const char *unfit(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX])
{
    (void)missing, (void)why;
    if (has_move(m)) return NULL;
    if (tx_chains_score(m->ops) == TX_SCORE_NONE) return "the model has no density, nor one up to a constant";
    return m->space->levels == 2 ? NULL : "values are not binary";
}

static void move(tx_chains *c, int number)
{
    if (number == 0) tx_chains_start(c);
    tx_rng r = tx_rng_fold(tx_rng_named(c->r, "move"), (uint64_t)number);
    c->m->ops->conditional->move(c->m, c->tape, c->q->missing, r, c->first, c->x);
    for (size_t i = 0; i < c->n; i++) c->accepted[i] = 1;
}

/* Of every row; resets the tape. */
static void log_density(tx_chains *c, double value[])
{
    tx_model_evaluate(c->m, c->tape, tx_chains_score(c->m->ops), c->r, 0, c->x, value);
}

/* A variable is flipped with the probability p(flipped) / (p(flipped) + p(as it is)). */
static void sweep(tx_chains *c, int number)
{
    double *now = c->scratch, flipped[TX_CHAIN_TILE], share = 1 / (double)((const gibbs_config *)c->config)->steps;
    size_t d = c->q->dim, missing = tx_missing_count(d, c->q->missing);
    tx_rng r = tx_rng_fold(tx_rng_named(c->r, "sweep"), (uint64_t)number);
    if (number == 0) tx_chains_start(c), log_density(c, now);
    for (size_t j = 0; j < d; j++) {
        if (!c->q->missing[j]) continue;
        for (size_t i = 0; i < c->n; i++) c->x.x[i * d + j] = 1 - c->x.x[i * d + j];
        log_density(c, flipped);
        for (size_t i = 0; i < c->n; i++) {
            bool flips = tx_rng_uniform1(r, (c->first + i) * d + j) < 1 / (1 + exp(now[i] - flipped[i]));
            if (flips)
                now[i] = flipped[i], c->accepted[i] += share / (double)missing;
            else
                c->x.x[i * d + j] = 1 - c->x.x[i * d + j];
        }
    }
}

static tx_status run(const void *config, tx_model *m, tx_rng r, void (*progress)(void *ctx, double share), void *ctx,
                     tx_imputation *q)
{
    tx_copy_text(q->none, sizeof q->none, "Gibbs sampling gives draws, no likelihood");
    return tx_chains_run(q, m, config, r, ((const gibbs_config *)config)->steps, 1, has_move(m) ? move : sweep,
                         progress, ctx);
}

extern const tx_impute_ops tx_impute_gibbs;
const tx_impute_ops tx_impute_gibbs = {
    .name = "gibbs",
    .summary =
        "Gibbs sampling of binary variables: samples, no likelihood; acceptance is the share of variables that changed",
    .config_size = sizeof(gibbs_config),
    .options = options,
    .unfit = unfit,
    .run = run};
