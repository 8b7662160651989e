/** Generative stochastic network: a Markov chain whose transition is a learned denoiser, trained by walkback. Bengio,
 *  Laufer, Alain & Yosinski 2014 (bengio2014gsn); one hidden layer without noise is the generalised denoising
 *  auto-encoder of Bengio, Yao, Alain & Vincent 2013 (bengio2013gdae). Letters: x visible, x~ its corruption, h_i
 * hidden layers (h_0 = x~), W_i between h_i and h_i+1, b_i biases, a what the visible layer is given, K hidden layers.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/latent.h"
#include "common/model/mixing.h"
#include "common/model/output.h"

enum { MAX_HIDDEN = 8 };
enum { CORRUPT_AUTO, CORRUPT_SALT_AND_PEPPER, CORRUPT_GAUSSIAN };

typedef struct gsn_config {
    int activation, corruption, walkback, burn_in, thinning, chain, mixing_steps;
    double salt_and_pepper, corruption_sigma, hidden_noise, min_sigma;
    bool noisy_first_layer, input_sampling;
    tx_ints hidden;
} gsn_config;
typedef struct gsn {
    tx_act act;
    tx_param w[MAX_HIDDEN], b[MAX_HIDDEN + 1], log_variance;
} gsn;

#define AT(field) offsetof(gsn_config, field)
static const tx_option options[] = {
    {"hidden", TX_OPT_INTS, AT(hidden), "[500, 500]", 1, 65536, NULL, "units of each hidden layer, from the visible up",
     "1500, 1500 in the authors' run_gsn.py"},
    {"activation", TX_OPT_CHOICE, AT(activation), "tanh", 0, 0, TX_ACT_CHOICES, "of hidden layers",
     "bengio2014gsn, section 5"},
    {"corruption", TX_OPT_CHOICE, AT(corruption), "auto", 0, 0, "auto|salt_and_pepper|gaussian",
     "what is done to x; auto: salt and pepper where the space is bounded, else Gaussian", "bengio2014gsn, section 5"},
    {"salt_and_pepper", TX_OPT_REAL, AT(salt_and_pepper), "0.4", 0, 1, NULL,
     "share of coordinates replaced by either bound with equal chance", "bengio2014gsn, section 5"},
    {"corruption_sigma", TX_OPT_REAL, AT(corruption_sigma), "0.5", 0, 1e6, NULL,
     "deviation of Gaussian corruption, in the data's unit as the model sees it, boxes as [0,1]", NULL},
    {"walkback", TX_OPT_INT, AT(walkback), "4", 1, 1000, NULL,
     "steps of the chain from each example, each of which must reconstruct it", "bengio2013gdae, section 3"},
    {"hidden_noise", TX_OPT_REAL, AT(hidden_noise), "2", 0, 1e6, NULL,
     "deviation of the noise that is added to hidden units before and again after their activation",
     "bengio2014gsn, section 5"},
    {"noisy_first_layer", TX_OPT_BOOL, AT(noisy_first_layer), "false", 0, 0, NULL,
     "does the lowest of several hidden layers have noise too? a single one always has", "the authors' run_gsn.py"},
    {"input_sampling", TX_OPT_BOOL, AT(input_sampling), "true", 0, 0, NULL,
     "is the next x drawn from the reconstruction, or its mean?", "bengio2014gsn, algorithm 1"},
    {"min_sigma", TX_OPT_REAL, AT(min_sigma), "0.001", 1e-6, 1e6, NULL,
     "added in squares to the deviation of a Gaussian reconstruction", NULL},
    {"burn_in", TX_OPT_INT, AT(burn_in), "20", 1, 10000000, NULL, "steps of a chain before its first sample", NULL},
    {"thinning", TX_OPT_INT, AT(thinning), "1", 1, 1000000, NULL, "steps between two samples of a chain", NULL},
    {"chain", TX_OPT_INT, AT(chain), "1", 1, 1000000, NULL, "samples taken of a chain; 1: they are independent",
     "bengio2014gsn takes all of one"},
    {"mixing_steps", TX_OPT_INT, AT(mixing_steps), "500", 0, 10000000, NULL,
     "steps of the chains whose autocorrelation is measured after training; 0: not measured", NULL},
    {0},
};

static bool bounded(const tx_model *m) { return tx_space_bounded(m->space); }
static int layers(const tx_model *m) { return ((const gsn_config *)m->config)->hidden.n; }
static tx_var var(tx_model *m, tx_param p) { return tx_params_var(m->net[0], p); }

static bool salted(const tx_model *m)
{
    const gsn_config *c = m->config;
    return c->corruption == CORRUPT_AUTO ? bounded(m) : c->corruption == CORRUPT_SALT_AND_PEPPER;
}

static tx_status check(const tx_model *m)
{
    const gsn_config *c = m->config;
    if (c->hidden.n < 1 || c->hidden.n > MAX_HIDDEN)
        return tx_fail(TX_ECONFIG, "gsn: 'hidden' needs 1 to %d layers, found %d", MAX_HIDDEN, c->hidden.n);
    if (c->corruption == CORRUPT_SALT_AND_PEPPER && !bounded(m))
        return tx_fail(TX_ECONFIG, "gsn: 'corruption: salt_and_pepper' puts coordinates at their bounds, but this view "
                                   "has none: use 'gaussian'");
    return TX_OK;
}

static void build(tx_model *m)
{
    const gsn_config *c = m->config;
    gsn *s = m->state;
    tx_params *p = m->net[0] = tx_params_new("chain");
    size_t in = m->space->dim;
    char name[TX_NAME_MAX];
    m->n_net = 1;
    s->act = tx_act_of_choice(c->activation);
    tx_init weight = {s->act == TX_TANH || s->act == TX_SIGMOID ? TX_INIT_GLOROT : TX_INIT_HE, 1}, zero = {0};
    s->b[0] = tx_params_add(p, "b0", tx_shape2(1, in), zero);
    for (int i = 0; i < c->hidden.n; i++) {
        size_t out = (size_t)c->hidden.v[i];
        snprintf(name, sizeof name, "w%d", i);
        s->w[i] = tx_params_add(p, name, tx_shape2(in, out), weight);
        snprintf(name, sizeof name, "b%d", i + 1);
        s->b[i + 1] = tx_params_add(p, name, tx_shape2(1, out), zero);
        in = out;
    }
    if (!bounded(m)) s->log_variance = tx_params_add(p, "log_variance", tx_shape2(1, m->space->dim), zero);
}

static void init(tx_model *m)
{
    const gsn *s = m->state;
    tx_output_bias(m->space, tx_params_value(m->net[0], s->b[0]).x);
    if (bounded(m)) return;
    real *lv = tx_params_value(m->net[0], s->log_variance).x;
    double least = ((const gsn_config *)m->config)->min_sigma;
    for (size_t j = 0; j < m->space->dim; j++) lv[j] = (real)(2 * log(fmax(m->space->deviation[j], least)));
}

/* ---- one step of the chain; a bounded space is seen as [0,1]^D ---- */

/* States of the chains first, first + 1, ..., a row each: h[0] = x, h[i] NULL where it is still 0. Row i's noise of
 * step `at` is that of chain first + i. */
typedef struct chain {
    tx_var h[MAX_HIDDEN + 1];
    uint64_t first, at;
} chain;

static tx_var noise(tx_tape *t, void (*fill)(tx_rng, uint64_t, size_t, real *), tx_rng r, const chain *c, tx_var like)
{
    return tx_latent_noise(t, fill, r, c->first, tx_rows(like->v), tx_cols(like->v));
}

/* u < p/2: the lower bound; < p: the upper; else x. */
static tx_var salt_and_pepper(tx_tape *t, tx_rng r, const chain *c, real p, tx_var x)
{
    size_t n = tx_rows(x->v), d = tx_cols(x->v);
    const real *u = noise(t, tx_rng_uniform, r, c, x)->v.x;
    tx_tensor keep = tx_tape_tensor(t, n, d), salt = tx_tape_tensor(t, n, d);
    for (size_t i = 0; i < n * d; i++) {
        keep.x[i] = u[i] < p ? 0 : 1;
        salt.x[i] = u[i] < p && u[i] >= p / 2 ? 1 : 0;
    }
    return tx_add(t, tx_mul(t, x, tx_leaf(t, keep)), tx_leaf(t, salt));
}

static tx_var corrupt(tx_model *m, tx_tape *t, tx_rng r, const chain *c, tx_var x)
{
    const gsn_config *o = m->config;
    r = tx_rng_named(r, "corruption");
    if (salted(m)) return salt_and_pepper(t, r, c, (real)o->salt_and_pepper, x);
    return tx_add(t, x, tx_scale(t, noise(t, tx_rng_normal, r, c, x), (real)o->corruption_sigma));
}

static tx_var zeros(tx_tape *t, size_t n, size_t d)
{
    tx_tensor z = tx_tape_tensor(t, n, d);
    memset(z.x, 0, tx_len(z) * sizeof(real));
    return tx_leaf(t, z);
}

/* h_i = act(h_i-1 W_i-1 + h_i+1 W_i' + b_i + noise) + noise */
static tx_var hidden(tx_model *m, tx_tape *t, tx_rng r, const chain *c, int i)
{
    const gsn_config *o = m->config;
    const gsn *s = m->state;
    bool noisy = o->hidden_noise > 0 && (i > 1 || layers(m) == 1 || o->noisy_first_layer);
    tx_var above = i < layers(m) ? c->h[i + 1] : NULL, w = var(m, s->w[i - 1]), b = var(m, s->b[i]);
    tx_var below = c->h[i - 1] ? c->h[i - 1] : zeros(t, tx_rows(c->h[0]->v), tx_rows(w->v));
    if (!above && !noisy) return tx_dense(t, below, w, b, s->act);
    tx_var a = tx_dense(t, below, w, b, TX_LINEAR);
    if (above) a = tx_add(t, a, tx_matmul(t, above, false, var(m, s->w[i]), true));
    if (!noisy) return tx_activation(t, a, s->act);
    tx_rng own = tx_rng_fold(tx_rng_named(r, "hidden"), (uint64_t)i);
    real sigma = (real)o->hidden_noise;
    a = tx_add(t, a, tx_scale(t, noise(t, tx_rng_normal, tx_rng_named(own, "before"), c, a), sigma));
    a = tx_activation(t, a, s->act);
    return tx_add(t, a, tx_scale(t, noise(t, tx_rng_normal, tx_rng_named(own, "after"), c, a), sigma));
}

/* log(min_sigma^2 + exp(log_variance)) of a Gaussian reconstruction, n rows of it. */
static tx_var log_variance(tx_model *m, tx_tape *t, size_t n)
{
    real low = (real)(2 * log(((const gsn_config *)m->config)->min_sigma));
    tx_var lv = tx_affine(t, var(m, ((gsn *)m->state)->log_variance), 1, -low);
    return tx_repeat_rows(t, tx_affine(t, tx_activation(t, lv, TX_SOFTPLUS), 1, low), n);
}

/* x ~ p(x|h): Bernoulli of mean sigmoid(a), without a gradient, or N(a, exp(lv)), with one. */
static tx_var draw(tx_model *m, tx_tape *t, tx_rng r, const chain *c, tx_var a)
{
    r = tx_rng_named(r, "input");
    if (!bounded(m)) return tx_reparametrise(t, a, log_variance(m, t, tx_rows(a->v)), noise(t, tx_rng_normal, r, c, a));
    tx_tensor x = tx_tape_tensor(t, tx_rows(a->v), tx_cols(a->v));
    tx_rng_bernoulli(r, c->first * tx_cols(x), tx_len(x), tx_activation(t, a, TX_SIGMOID)->v.x, x.x);
    return tx_leaf(t, x);
}

/* Algorithm 1 in the layered form of the paper's figure 3: corrupt x, then odd layers, then even ones, the visible
 * among them, each from its neighbours. Returns a; the next x is in c->h[0]. */
static tx_var step(tx_model *m, tx_tape *t, tx_rng r, chain *c)
{
    const gsn_config *o = m->config;
    const gsn *s = m->state;
    r = tx_rng_fold(r, c->at++);
    c->h[0] = corrupt(m, t, r, c, c->h[0]);
    for (int i = 1; i <= layers(m); i += 2) c->h[i] = hidden(m, t, r, c, i);
    for (int i = 2; i <= layers(m); i += 2) c->h[i] = hidden(m, t, r, c, i);
    tx_var a = tx_matmul(t, c->h[1], false, var(m, s->w[0]), true);
    a = tx_add_row(t, a, var(m, s->b[0]));
    c->h[0] = o->input_sampling ? draw(m, t, r, c, a) : bounded(m) ? tx_activation(t, a, TX_SIGMOID) : a;
    return a;
}

/* ---- training ---- */

/* - mean log p(x|h) of a batch: cross-entropy or Gaussian */
static tx_var surprise(tx_model *m, tx_tape *t, tx_var x, tx_var a)
{
    tx_var each = bounded(m) ? tx_bernoulli_logp(t, a, x) : tx_normal_logp(t, x, a, log_variance(m, t, tx_rows(a->v)));
    return tx_scale(t, tx_mean(t, each), -1);
}

/* Walkback: the sum over the steps of the chain from x of - log p(x|h). */
static tx_status train_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    const gsn_config *c = m->config;
    const tx_space *b = m->space;
    tx_tape *t = s->tape;
    tx_var data = tx_leaf(t, x), loss = NULL, each = NULL;
    double first = 0, scale = b->upper - b->lower;
    if (bounded(m) && !(b->lower == 0 && b->upper == 1))
        data = tx_affine(t, data, (real)(1 / scale), (real)(-b->lower / scale));
    chain walk = {.h = {data}};
    for (int k = 0; k < c->walkback; k++) {
        each = surprise(m, t, data, step(m, t, s->rng, &walk));
        if (k == 0) first = (double)each->v.x[0];
        loss = loss ? tx_add(t, loss, each) : each;
    }
    const tx_metrics all = {3,
                            {{"objective", (double)loss->v.x[0]},
                             {"reconstruction_first", first},
                             {"reconstruction_last", (double)each->v.x[0]}}};
    *out = all;
    return tx_model_descend(m, s, 0, loss, "the reconstruction error");
}

/* ---- sampling ---- */

/* n chains between steps, each of which has the tape to itself. */
typedef struct walk {
    size_t n;
    chain at;
    real *h[MAX_HIDDEN + 1];
    tx_var a; /* of the last step */
} walk;

static size_t width(const tx_model *m, int i)
{
    return i == 0 ? m->space->dim : (size_t)((const gsn_config *)m->config)->hidden.v[i - 1];
}

/* Chains first .. first+n-1 at their start: the training mean, hidden units 0. */
static walk begin(const tx_model *m, uint64_t first, size_t n)
{
    const tx_space *s = m->space;
    walk w = {.n = n, .at = {.first = first}};
    double low = bounded(m) ? s->lower : 0, unit = bounded(m) ? 1 / (s->upper - s->lower) : 1;
    for (int i = 0; i <= layers(m); i++) w.h[i] = tx_alloc(n * width(m, i), sizeof(real));
    for (size_t i = 0; i < n * s->dim; i++) w.h[0][i] = (real)((s->mean[i % s->dim] - low) * unit);
    return w;
}

static void go(tx_model *m, tx_tape *t, tx_rng r, walk *w, int steps)
{
    for (; steps > 0; steps--) {
        tx_model_bind(m, t);
        for (int i = 0; i <= layers(m); i++)
            w->at.h[i] = i > 0 && w->at.at == 0 ? NULL : tx_leaf(t, tx_matrix(w->h[i], w->n, width(m, i)));
        w->a = step(m, t, r, &w->at);
        for (int i = 0; i <= layers(m); i++) memcpy(w->h[i], w->at.h[i]->v.x, w->n * width(m, i) * sizeof(real));
    }
}

static void end(const tx_model *m, walk *w)
{
    for (int i = 0; i <= layers(m); i++) free(w->h[i]);
}

/* What a state shows, [n,d]: E[x|h] in the space's units; or a draw from p(x|h) on {0,1}^D and without bounds (the one
 * that the chain goes on from, if it does), the nearest level to E[x|h] on levels, and E[x|h] itself in a box of reals.
 */
typedef tx_var show_fn(tx_model *m, tx_tape *t, tx_rng r, const walk *w);

static tx_var show_mean(tx_model *m, tx_tape *t, tx_rng r, const walk *w)
{
    (void)r;
    return tx_output(t, m->space, w->a);
}

static tx_var show_draw(tx_model *m, tx_tape *t, tx_rng r, const walk *w)
{
    bool counts = m->space->measure == TX_COUNTING;
    if (counts ? m->space->levels == 2 : !bounded(m)) return draw(m, t, tx_rng_fold(r, w->at.at - 1), &w->at, w->a);
    tx_var mean = tx_output(t, m->space, w->a);
    if (!counts) return mean;
    tx_tensor level = tx_tape_tensor(t, w->n, m->space->dim);
    for (size_t i = 0, len = tx_len(level); i < len; i++) level.x[i] = (real)rint((double)mean->v.x[i]);
    return tx_leaf(t, level);
}

/* Sample i is state i mod L of chain i / L, L = `chain`: that of step burn_in + (i mod L) thinning. */
static void sample_by(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, show_fn *show)
{
    const gsn_config *c = m->config;
    uint64_t L = (uint64_t)c->chain, from = first / L, past = first + tx_rows(x);
    size_t d = m->space->dim;
    walk w = begin(m, from, (size_t)((past - 1) / L + 1 - from));
    r = tx_rng_named(r, "chain");
    for (uint64_t k = 0; k < L; k++) {
        go(m, t, r, &w, k == 0 ? c->burn_in : c->thinning);
        const real *shown = show(m, t, r, &w)->v.x;
        for (size_t i = 0; i < w.n; i++) {
            uint64_t at = (from + i) * L + k;
            if (at >= first && at < past) memcpy(x.x + (at - first) * d, shown + i * d, d * sizeof(real));
        }
    }
    end(m, &w);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    sample_by(m, t, r, first, x, show_draw);
}

static void sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    sample_by(m, t, r, first, x, show_mean);
}

static double sequential_steps(const tx_model *m)
{
    const gsn_config *c = m->config;
    return (c->burn_in + (c->chain - 1.0) * c->thinning) / c->chain;
}

/* The slowest of PROJECTIONS random directions of E[x|h], over CHAINS chains after burn_in. */
static double autocorrelation_time(tx_model *m, tx_tape *t, tx_rng r)
{
    enum { CHAINS = 64, PROJECTIONS = 8 };
    const gsn_config *c = m->config;
    size_t d = m->space->dim, steps = (size_t)c->mixing_steps;
    if (steps == 0) return NAN;
    real *direction = tx_alloc(PROJECTIONS * d, sizeof *direction), along[CHAINS * PROJECTIONS];
    double *f = tx_alloc(PROJECTIONS * CHAINS * steps, sizeof *f), slowest = 0;
    walk w = begin(m, 0, CHAINS);
    tx_rng_normal(tx_rng_named(r, "directions"), 0, PROJECTIONS * d, direction);
    r = tx_rng_named(r, "chain");
    for (size_t k = 0; k < steps; k++) {
        go(m, t, r, &w, k == 0 ? c->burn_in : 1);
        const real *mean = show_mean(m, t, r, &w)->v.x;
        tx_gemm(false, true, PROJECTIONS, CHAINS, d, 1, direction, d, mean, d, 0, along, CHAINS);
        for (size_t i = 0; i < CHAINS * PROJECTIONS; i++) f[i * steps + k] = (double)along[i];
    }
    for (size_t p = 0; p < PROJECTIONS; p++)
        slowest = fmax(slowest, tx_autocorrelation_time(CHAINS, steps, f + p * CHAINS * steps));
    end(m, &w);
    free(direction), free(f);
    return slowest;
}

const tx_model_ops tx_model_gsn = {
    .name = "gsn",
    .summary = "generative stochastic network: the Markov chain of a denoiser, trained by walkback",
    .citation = "bengio2014gsn",
    .taxonomy_path = "implicit/markov_chain/gsn",
    .spaces = TX_ON_BINARY | TX_ON_LEVELS | TX_ON_REAL,
    .state_size = sizeof(gsn),
    .config_size = sizeof(gsn_config),
    .options = options,
    .toys = "[{hidden: [7], burn_in: 5, mixing_steps: 20}, {hidden: [6, 5, 4], hidden_noise: 0.7, noisy_first_layer: "
            "true, burn_in: 4, chain: 3, thinning: 2}, {hidden: [5, 6], corruption: gaussian, input_sampling: false, "
            "walkback: 2, activation: relu, burn_in: 3}]",
    .check = check,
    .build = build,
    .init = init,
    .sample = sample,
    .sample_mean = sample_mean,
    .sequential_steps = sequential_steps,
    .autocorrelation_time = autocorrelation_time,
    .train_step = train_step,
};
