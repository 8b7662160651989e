/** Linear independent components by maximum likelihood: x = A s + b with independent, non-Gaussian sources.
 *  Bell & Sejnowski 1995 (bell1995information), as maximum likelihood by Cardoso 1997. Letters: x data, z the sources,
 *  W = A^-1. Sources are exchangeable and symmetric, so that W is known up to order and sign of its rows: W = L U with
 * a positive diagonal holds every density that W does, for some order of the rows of any invertible W has such factors,
 *  and its determinant costs D sums. */
#include <math.h>
#include <string.h>
#include "common/tensor/kernels.h"
#include "common/tensor/staircase.h"
#include "models/nice/flow.h"

typedef struct ica_config {
    int source;
    bool data_init;
    double min_deviation;
} ica_config;
typedef struct ica {
    tx_diagonal diagonal;
    tx_param n, m;
    tx_stairs *above; /* the mask of both: weight [i,j] counts where i < j; NULL for one coordinate */
    tx_shuffle reverse;
} ica;

/* ---- sources ---- */

/* 1 / (pi cosh z): log 2/pi + z - softplus(2 z). */
static tx_var sech_logp(tx_tape *t, tx_var z)
{
    tx_var each = tx_sub(t, z, tx_activation(t, tx_scale(t, z, 2), TX_SOFTPLUS));
    return tx_affine(t, tx_sum_rows(t, each), 1, (real)((double)tx_cols(z->v) * log(2 / M_PI)));
}

static void sech_fill(tx_rng r, uint64_t first, size_t n, real z[])
{
    for (size_t i = 0; i < n; i++) z[i] = (real)log(tan(M_PI / 2 * tx_rng_uniform1(r, first + i)));
}

/* Student's t with 4 degrees of freedom: 3/8 (1 + z^2/4)^(-5/2), and its quantiles in closed form. */
static tx_var student_logp(tx_tape *t, tx_var z)
{
    tx_var each = tx_log(t, tx_affine(t, tx_mul(t, z, z), (real)0.25, 1));
    return tx_affine(t, tx_sum_rows(t, each), (real)-2.5, (real)((double)tx_cols(z->v) * log(0.375)));
}

static void student_fill(tx_rng r, uint64_t first, size_t n, real z[])
{
    for (size_t i = 0; i < n; i++) {
        double u = tx_rng_uniform1(r, first + i), a = sqrt(4 * u * (1 - u));
        double size = 2 * sqrt(fmax(0, cos(acos(fmin(a, 1)) / 3) / a - 1));
        z[i] = (real)(u < 0.5 ? -size : size);
    }
}

static const tx_prior sech = {"sech", sech_logp, sech_fill, M_PI / 2};
static const tx_prior student = {"student", student_logp, student_fill, M_SQRT2};
static const tx_prior *const sources[] = {&tx_prior_logistic, &sech, &student};

static const tx_option options[] = {
    {"source", TX_OPT_CHOICE, offsetof(ica_config, source), "logistic", 0, 0, "logistic|sech|student",
     "density of a source: standard logistic; 1/(pi cosh z), of heavier tails for its deviation; Student's t with 4 "
     "degrees of freedom, of heavier still",
     "logistic: Bell & Sejnowski 1995"},
    {"data_init", TX_OPT_BOOL, offsetof(ica_config, data_init), "true", 0, 0, NULL,
     "start where z has mean 0 and the source's deviation on the training data, coordinate by coordinate", NULL},
    {"min_deviation", TX_OPT_REAL, offsetof(ica_config, min_deviation), "0.05", 1e-6, 1, NULL,
     "of data_init: a deviation below this much of the largest is taken for that; what is narrower is left to training",
     NULL},
    {0},
};

static void build(tx_model *m)
{
    ica *s = m->state;
    size_t d = m->space->dim;
    const tx_init small = {TX_INIT_NORMAL, (real)0.01};
    m->n_net = 1;
    m->net[0] = tx_params_new("flow");
    s->diagonal = tx_diagonal_add(m->net[0], d);
    if (d < 2) return;
    s->n = tx_params_add(m->net[0], "upper0", tx_shape2(d, d), small);
    s->m = tx_params_add(m->net[0], "upper1", tx_shape2(d, d), small);
    real *place = tx_alloc(2 * d, sizeof *place);
    for (size_t j = 0; j < d; j++) place[j] = (real)j, place[d + j] = (real)j - 1;
    s->above = tx_stairs_new(d, place, d, place + d);
    free(place);
    s->reverse = tx_shuffle_reverse(d);
}

static void init(tx_model *m)
{
    const ica_config *c = m->config;
    const ica *s = m->state;
    if (c->data_init)
        tx_diagonal_start(m->net[0], s->diagonal, m->space, sources[c->source]->deviation, c->min_deviation);
}

static void destroy(tx_model *m)
{
    ica *s = m->state;
    tx_stairs_free(s->above);
    tx_shuffle_free(&s->reverse);
}

/* y = x (I + N), N strictly above its diagonal. */
static tx_var shear(tx_model *m, tx_tape *t, tx_param n, tx_var x)
{
    const ica *s = m->state;
    return tx_add(t, x, tx_stairs_dense(t, s->above, x, tx_params_var(m->net[0], n), NULL, TX_LINEAR));
}

static void solve_eval(tx_tape *t, tx_node *y)
{
    (void)t;
    memcpy(y->v.x, y->in[0]->v.x, tx_len(y->v) * sizeof(real));
    tx_solve_unit_upper(tx_rows(y->v), tx_cols(y->v), y->in[1]->v.x, y->v.x);
}

/* No rule: samples and codes are not differentiated. */
static const tx_op solve_op = {"solve_unit_upper", 2, solve_eval, NULL};

/* x of y = x (I + N). */
static tx_var solve(tx_model *m, tx_tape *t, tx_param n, tx_var y)
{
    return tx_apply(t, &solve_op, y->v.shape, (tx_var[]){y, tx_params_var(m->net[0], n)}, (tx_attr){0});
}

static tx_var encode(tx_model *m, tx_tape *t, tx_var x)
{
    const ica *s = m->state;
    tx_var u = tx_diagonal_encode(t, m->net[0], s->diagonal, x);
    if (!s->above) return u;
    return shear(m, t, s->m, tx_shuffle_cols(t, &s->reverse, false, shear(m, t, s->n, u)));
}

static tx_var decode(tx_model *m, tx_tape *t, tx_var z)
{
    const ica *s = m->state;
    if (s->above) z = solve(m, t, s->n, tx_shuffle_cols(t, &s->reverse, true, solve(m, t, s->m, z)));
    return tx_diagonal_decode(t, m->net[0], s->diagonal, z);
}

/* log p(x) = sum_j log p_s(z_j) + log |det W|. */
static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    const ica_config *c = m->config;
    const ica *s = m->state;
    tx_var log_det = tx_diagonal_log_det(t, m->net[0], s->diagonal, tx_rows(x->v));
    return tx_add(t, sources[c->source]->logp(t, encode(m, t, x)), log_det);
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    tx_flow_sample(m, t, sources[((const ica_config *)m->config)->source], r, first, x);
}

const tx_model_ops tx_model_ica = {
    .name = "ica",
    .summary = "linear independent components by maximum likelihood",
    .citation = "bell1995information",
    .taxonomy_path = "explicit/tractable/change_of_variables",
    .spaces = TX_ON_REAL,
    .state_size = sizeof(ica),
    .config_size = sizeof(ica_config),
    .options = options,
    .toys = "[{}, {source: sech, data_init: false}, {source: student}]",
    .build = build,
    .init = init,
    .destroy = destroy,
    .log_prob = log_prob,
    .sample = sample,
    .encode = encode,
    .decode = decode,
};
