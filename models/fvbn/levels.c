#include "models/fvbn/levels.h"
#include <math.h>
#include "common/tensor/parallel.h"

enum { ROWS = 4 };

size_t tx_level_outputs(const tx_space *s) { return s->levels > 2 ? (size_t)s->levels : 1; }

/** log softmax(logit)_x of each variable, summed over a row. What its gradient needs: log-sums of all variables. */
static void pick_eval(tx_tape *t, tx_node *y)
{
    tx_tensor logit = y->in[0]->v, x = y->in[1]->v;
    size_t d = tx_cols(x), K = y->a.n;
    real *sum = y->saved = tx_arena_alloc(tx_tape_arena(t), tx_len(x) * sizeof *sum);
    tx_mat_logsumexp(tx_len(x), K, logit.x, sum);
    for (size_t i = 0; i < tx_rows(x); i++) {
        double s = 0;
        for (size_t at = i * d; at < (i + 1) * d; at++) {
            TX_REQUIRE(x.x[at] >= 0 && x.x[at] < (real)K, "level %g of %zu", (double)x.x[at], K);
            s += (double)logit.x[at * K + (size_t)x.x[at]] - (double)sum[at];
        }
        y->v.x[i] = (real)s;
    }
}

typedef struct slope {
    const real *logit, *x, *dy, *sum;
    real *g;
    size_t n, d, K;
} slope;

/** dy (1[k = x] - softmax(logit)_k) */
static void slope_rows(void *ctx, size_t tile)
{
    const slope *s = ctx;
    size_t K = s->K, end = tile * ROWS + ROWS < s->n ? tile * ROWS + ROWS : s->n;
    size_t first = tile * ROWS * s->d, last = end * s->d;
    for (size_t at = first; at < last; at++)
        for (size_t k = 0; k < K; k++) s->g[at * K + k] = s->logit[at * K + k] - s->sum[at];
    tx_vec_exp((last - first) * K, s->g + first * K, s->g + first * K);
    for (size_t at = first; at < last; at++) {
        real dy = s->dy[at / s->d];
        for (size_t k = 0; k < K; k++) s->g[at * K + k] *= -dy;
        s->g[at * K + (size_t)s->x[at]] += dy;
    }
}

static void slope_eval(tx_tape *t, tx_node *g)
{
    (void)t;
    tx_tensor x = g->in[1]->v;
    slope s = {g->in[0]->v.x, x.x, g->in[2]->v.x, g->a.p, g->v.x, tx_rows(x), tx_cols(x), g->a.n};
    tx_parallel((s.n + ROWS - 1) / ROWS, slope_rows, &s);
}

static const tx_op pick_slope = {"levels_slope", 3, slope_eval, NULL};

static void pick_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    TX_REQUIRE(!want[1], "the probability of a level has no gradient in the level");
    dx[0] = tx_apply(t, &pick_slope, y->in[0]->v.shape, (tx_var[]){y->in[0], y->in[1], dy},
                     (tx_attr){.n = y->a.n, .p = y->saved});
}

static const tx_op pick = {"levels", 2, pick_eval, pick_vjp};

tx_var tx_level_logp(tx_tape *t, const tx_space *s, tx_var logit, tx_var x)
{
    size_t K = tx_level_outputs(s);
    TX_REQUIRE(tx_cols(logit->v) == K * tx_cols(x->v), "%zu logits of %zu variables", tx_cols(logit->v), tx_cols(x->v));
    if (K == 1) return tx_bernoulli_logp(t, logit, x);
    return tx_apply(t, &pick, tx_shape2(tx_rows(x->v), 1), (tx_var[]){logit, x}, (tx_attr){.n = K});
}

/** The largest logit, and the sum over k of exp(logit_k - it). */
static double top_of(size_t K, const real logit[], double *sum)
{
    double top = (double)logit[0];
    for (size_t k = 1; k < K; k++) top = fmax(top, (double)logit[k]);
    *sum = 0;
    for (size_t k = 0; k < K; k++) *sum += exp((double)logit[k] - top);
    return top;
}

static double on(real logit) { return 1 / (1 + exp(-(double)logit)); }

real tx_level_draw(const tx_space *s, const real logit[], double u)
{
    size_t K = tx_level_outputs(s), k = 0;
    if (K == 1) return u < on(logit[0]);
    double sum, top = top_of(K, logit, &sum), part = exp((double)logit[0] - top);
    for (; k + 1 < K && part <= u * sum; part += exp((double)logit[k] - top)) k++;
    return (real)k;
}

real tx_level_mean(const tx_space *s, const real logit[])
{
    size_t K = tx_level_outputs(s);
    if (K == 1) return (real)on(logit[0]);
    double sum, top = top_of(K, logit, &sum), mean = 0;
    for (size_t k = 1; k < K; k++) mean += (double)k * exp((double)logit[k] - top) / sum;
    return (real)mean;
}
