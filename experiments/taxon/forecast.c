#include "experiments/taxon/forecast.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A run tells its speed after so much of it and so long, and all of them the rest after so much of all. */
static const double LEAST_SHARE = 0.02, LEAST_SECONDS = 1;

double tx_work_size(double n_parameter, double n_step) { return fmax(n_parameter, 1) * fmax(n_step, 1); }

static size_t without_seed(const char *run)
{
    const char *slash = strrchr(run, '/');
    return slash ? (size_t)(slash - run) : 0;
}

bool tx_work_alike(const char *run, const char *other)
{
    size_t n = without_seed(run);
    return n == without_seed(other) && strncmp(run, other, n) == 0;
}

typedef struct mean {
    double sum;
    int n;
} mean;

static void add(mean *m, double x) { m->sum += x, m->n++; }

/* Seconds of the whole run by its own pace; NAN where it has not shown one. */
static double own_cost(const tx_work *w)
{
    double done = w->share - w->from;
    bool shown = w->state == TX_WORK_ENDED || (done >= LEAST_SHARE && w->seconds >= LEAST_SECONDS);
    return shown && w->state != TX_WORK_WAITS && done > 0 && isfinite(w->seconds) ? w->seconds / done : NAN;
}

typedef struct known {
    int n_like;
    mean *ended, *running; /* [n_like] */
    double cost, size;     /* of all that have shown their pace */
} known;

static known learn(int n, const tx_work w[])
{
    known k = {.n_like = 1};
    for (int i = 0; i < n; i++)
        if (w[i].like >= k.n_like) k.n_like = w[i].like + 1;
    k.ended = tx_alloc((size_t)k.n_like, sizeof *k.ended);
    k.running = tx_alloc((size_t)k.n_like, sizeof *k.running);
    for (int i = 0; i < n; i++) {
        double cost = own_cost(&w[i]);
        if (isnan(cost)) continue;
        add(w[i].state == TX_WORK_ENDED ? &k.ended[w[i].like] : &k.running[w[i].like], cost);
        k.cost += cost;
        k.size += w[i].size;
    }
    return k;
}

/* Seconds of the whole run. Another seed that has ended knows the evaluation too, at whose pace training tells nothing.
 */
static double cost_of(const known *k, const tx_work *w, bool *guessed)
{
    const mean *ended = &k->ended[w->like], *running = &k->running[w->like];
    double own = own_cost(w);
    *guessed = false;
    if (w->state == TX_WORK_ENDED && !isnan(own)) return own;
    if (ended->n) return ended->sum / ended->n;
    if (!isnan(own)) return own;
    if (running->n) return running->sum / running->n;
    *guessed = true;
    return k->size > 0 ? k->cost / k->size * w->size : NAN;
}

/* The slot that is free first. */
static int first_free(int n, const double until[])
{
    int k = 0;
    for (int i = 1; i < n; i++)
        if (until[i] < until[k]) k = i;
    return k;
}

tx_forecast tx_forecast_of(int n, const tx_work w[], int at_a_time)
{
    known k = learn(n, w);
    double *until = tx_alloc((size_t)at_a_time, sizeof *until);
    double total = 0, done = 0, seen = 0, rest = 0, rest_guessed = 0, size = 0, size_done = 0;
    for (int waiting = 0; waiting < 2; waiting++)
        for (int i = 0; i < n; i++) {
            if ((w[i].state == TX_WORK_WAITS) != (waiting == 1)) continue;
            bool guessed;
            bool ended = w[i].state == TX_WORK_ENDED;
            double cost = cost_of(&k, &w[i], &guessed), share = ended ? 1 : w[i].share, left = cost * (1 - share);
            total += cost;
            done += cost * share;
            size += w[i].size;
            size_done += w[i].size * share;
            if (ended) {
                seen += isfinite(w[i].seconds) ? w[i].seconds : 0;
                continue;
            }
            seen += w[i].state == TX_WORK_RUNS && isfinite(w[i].seconds) ? w[i].seconds : 0;
            rest += left;
            rest_guessed += guessed ? left : 0;
            until[first_free(at_a_time, until)] += left;
        }
    tx_forecast f = {.left = 0, .guessed = rest_guessed > rest / 2};
    for (int i = 0; i < at_a_time; i++) f.left = fmax(f.left, until[i]);
    bool ground = isfinite(total) && seen >= LEAST_SECONDS && seen >= LEAST_SHARE * total;
    f.part = isfinite(total) && total > 0 ? done / total : size > 0 ? size_done / size : 0;
    if (!ground) f.left = NAN;
    free(until);
    free(k.ended);
    free(k.running);
    return f;
}
