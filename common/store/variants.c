#include "common/store/variants.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/moments.h"

typedef struct variant {
    int first, n; /* its runs */
    tx_moments score;
} variant;

/** The variant that starts at run[first]. */
static variant variant_at(int n, const tx_run_info *const run[], int first)
{
    variant v = {.first = first};
    for (int i = first; i < n && strcmp(run[i]->label, run[first]->label) == 0; i++, v.n++)
        if (tx_run_complete(run[i]) && !isnan(run[i]->best_score)) tx_moments_add(&v.score, run[i]->best_score);
    return v;
}

static bool same_group(const tx_run_info *a, const tx_run_info *b) { return strcmp(a->group, b->group) == 0; }

/** Different seeds among the runs of a group. */
static size_t seeds_of(int n, const tx_run_info *const run[], const tx_run_info *like)
{
    size_t seeds = 0;
    for (int i = 0; i < n; i++) {
        bool known = !same_group(run[i], like);
        for (int k = 0; k < i && !known; k++) known = same_group(run[k], like) && run[k]->seed == run[i]->seed;
        seeds += !known;
    }
    return seeds;
}

/** Is `a` preferred to `b`? */
static bool beats(const variant *a, const variant *b)
{
    if (a->score.n != b->score.n) return a->score.n > b->score.n;
    if (a->score.n == 0 || a->score.mean < b->score.mean) return false;
    return a->score.mean > b->score.mean || a->first < b->first;
}

void tx_choose_variants(int n, const tx_run_info *const run[], tx_choice out[])
{
    int n_variant = 0;
    variant *all = tx_alloc((size_t)n, sizeof *all);
    for (int i = 0; i < n; i += all[n_variant++].n) all[n_variant] = variant_at(n, run, i);
    for (int i = 0; i < n_variant; i++) {
        const tx_run_info *own = run[all[i].first];
        size_t seeds = seeds_of(n, run, own);
        tx_choice c = {.chosen = true};
        bool scored = false;
        for (int k = 0; k < n_variant; k++) {
            if (!same_group(run[all[k].first], own)) continue;
            c.n_tried++;
            c.n_incomplete += all[k].score.n < seeds;
            c.chosen &= !beats(&all[k], &all[i]);
            scored |= all[k].score.n > 0;
        }
        if (!scored) c = (tx_choice){.chosen = true, .n_tried = 1};
        for (int k = 0; k < all[i].n; k++) out[all[i].first + k] = c;
    }
    free(all);
}
