#include "experiments/taxon/references.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nats of one flip with probability k/(levels-1). */
static double flip_entropy(int k, int levels)
{
    double p = (double)k / (levels - 1);
    return p > 0 && p < 1 ? -p * log(p) - (1 - p) * log1p(-p) : 0;
}

static double coin_flips(const tx_dataset *d, tx_split s, size_t n)
{
    double of_level[256], sum = 0;
    size_t count[256] = {0};
    for (size_t i = 0; i < n * d->dim; i++) count[d->split[s].level[i]]++;
    for (int k = 0; k < d->levels; k++) {
        of_level[k] = flip_entropy(k, d->levels);
        sum += of_level[k] * (double)count[k];
    }
    return sum / (double)n;
}

/* Is the known density a density on the view's measure? Draws of other numbers than the stored ones have another. */
static bool is_known(const tx_view *v)
{
    const tx_dataset *d = v->data;
    if (!d->known) return false;
    return d->type == TX_REAL ? v->space.measure == TX_LEBESGUE
                              : v->space.measure == TX_COUNTING && v->space.levels == d->levels;
}

static double true_mean(const tx_dataset *d, tx_split s, size_t n)
{
    real *x = tx_alloc(d->dim, sizeof *x);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d->dim; j++) {
            size_t at = i * d->dim + j;
            x[j] = d->split[s].level ? (real)d->split[s].level[at] : (real)d->split[s].value[at];
        }
        sum += d->known->log_prob(d, x);
    }
    free(x);
    return sum / (double)n;
}

void tx_references_add(tx_numbers *metrics, const tx_view *v, tx_split s, size_t n)
{
    const tx_dataset *d = v->data;
    char name[TX_NAME_MAX];
    bool flipped = d->type == TX_LEVELS && v->space.measure == TX_COUNTING && v->space.levels == 2;
    if (flipped) {
        snprintf(name, sizeof name, "coin_flip_entropy_%s", tx_split_name(s));
        tx_numbers_add(metrics, name, "nat", coin_flips(d, s, n),
                       "entropy of the coin flips that binarise a row, given its grey levels");
    }
    if (is_known(v)) {
        snprintf(name, sizeof name, "true_log_likelihood_%s", tx_split_name(s));
        tx_numbers_add(metrics, name, "nat", true_mean(d, s, n), "mean log-likelihood of the true density");
    }
}

void tx_references_add_entropy(tx_numbers *metrics, const tx_view *v)
{
    if (!is_known(v)) return;
    tx_numbers_add(metrics, "entropy", "nat", v->data->known->entropy, "entropy of the true density");
    if (v->data->known->entropy_error > 0) metrics->m[metrics->n - 1].error = v->data->known->entropy_error;
}
