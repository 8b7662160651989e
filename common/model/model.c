#include "common/model/model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/energy.h"

/* What tx_models_add was given: set once, at start. */
static const tx_model_ops *const *own;

const tx_model_ops *tx_model_own(int i) { return own ? own[i] : NULL; }

static const tx_model_ops *find(const tx_model_ops *const list[], const char *name)
{
    for (int i = 0; list[i]; i++)
        if (strcmp(list[i]->name, name) == 0) return list[i];
    return NULL;
}

const tx_model_ops *tx_model_find(const char *name)
{
    const tx_model_ops *m = find(tx_model_list, name);
    return m || !own ? m : find(own, name);
}

void tx_models_add(const tx_model_ops *const models[])
{
    TX_REQUIRE(!own, "models are added once");
    own = models;
    for (int i = 0; own[i]; i++) {
        TX_REQUIRE(own[i]->name && own[i]->summary && own[i]->taxonomy_path && own[i]->build,
                   "model %d: name, summary, taxonomy_path or build is missing", i);
        TX_REQUIRE(tx_model_find(own[i]->name) == own[i], "there is another model '%s'", own[i]->name);
    }
}

static unsigned space_kind(const tx_space *s)
{
    if (s->measure == TX_LEBESGUE) return TX_ON_REAL;
    return s->levels == 2 ? TX_ON_BINARY : TX_ON_LEVELS;
}

const char *tx_model_unfit(const tx_model_ops *ops, const tx_space *space, char *buf, size_t size)
{
    static const struct {
        unsigned kind;
        const char *text;
    } kinds[] = {{TX_ON_BINARY, "binary values"}, {TX_ON_LEVELS, "discrete levels"}, {TX_ON_REAL, "real values"}};
    unsigned kind = space_kind(space);
    if ((ops->spaces & TX_WITH_LABELS) && !space->n_class) {
        snprintf(buf, size, "trained with labels, which the data set does not have");
        return buf;
    }
    if (ops->spaces & kind) return NULL;
    char wants[96] = "", has[32] = "";
    for (size_t i = 0; i < TX_LEN(kinds); i++) {
        if (ops->spaces & kinds[i].kind) {
            size_t used = strlen(wants);
            snprintf(wants + used, sizeof wants - used, "%s%s", used ? " or " : "", kinds[i].text);
        }
        if (kind == kinds[i].kind) tx_copy_text(has, sizeof has, kinds[i].text);
    }
    snprintf(buf, size, "defined on %s, not on %s (%s measure)", wants, has, tx_measure_name(space->measure));
    return buf;
}

tx_status tx_model_declare(tx_model **out, const tx_model_ops *ops, const void *config, const tx_space *space)
{
    char reason[256];
    if (tx_model_unfit(ops, space, reason, sizeof reason)) return tx_fail(TX_ECONFIG, "%s: %s", ops->name, reason);
    tx_model *m = tx_alloc(1, sizeof *m);
    m->ops = ops;
    m->space = space;
    m->state = tx_alloc(1, ops->state_size);
    m->config = tx_alloc(1, ops->config_size);
    if (ops->config_size) memcpy(m->config, config, ops->config_size);
    if (ops->check) {
        tx_status s = ops->check(m);
        if (s != TX_OK) {
            free(m->state), free(m->config), free(m);
            return s;
        }
    }
    ops->build(m);
    TX_REQUIRE(m->n_net >= 1 && m->n_net <= TX_MAX_NETS, "%s builds %d nets", ops->name, m->n_net);
    char why[TX_TEXT_MAX];
    for (int i = 0; i < m->n_net; i++)
        if (!tx_params_fit(m->net[i], why)) {
            tx_model_free(m);
            return tx_fail(TX_ECONFIG, "%s: %s", ops->name, why);
        }
    *out = m;
    return TX_OK;
}

tx_status tx_model_new(tx_model **out, const tx_model_ops *ops, const void *config, const tx_space *space,
                       uint64_t seed)
{
    tx_model *m;
    TX_TRY(tx_model_declare(&m, ops, config, space));
    tx_rng init = tx_rng_named(tx_rng_root(seed), "init");
    for (int i = 0; i < m->n_net; i++) tx_params_seal(m->net[i], init);
    if (ops->init) ops->init(m);
    *out = m;
    return TX_OK;
}

tx_model *tx_model_share(const tx_model *m)
{
    tx_model *s = tx_alloc(1, sizeof *s);
    *s = *m;
    s->shared = true;
    for (int i = 0; i < m->n_net; i++) s->net[i] = tx_params_share(m->net[i]), s->optim[i] = NULL;
    return s;
}

void tx_model_free(tx_model *m)
{
    if (!m) return;
    if (m->ops->destroy && !m->shared) m->ops->destroy(m);
    for (int i = 0; i < m->n_net; i++) {
        tx_optim_free(m->optim[i]);
        tx_params_free(m->net[i]);
    }
    if (!m->shared) free(m->state), free(m->config);
    free(m);
}

void tx_model_train_with(tx_model *m, const tx_optim_ops *o, const void *config)
{
    for (int i = 0; i < m->n_net; i++) {
        tx_optim_free(m->optim[i]);
        m->optim[i] = tx_optim_new(o, config, m->net[i]);
    }
}

void tx_model_bind(tx_model *m, tx_tape *t)
{
    tx_tape_reset(t);
    for (int i = 0; i < m->n_net; i++) tx_params_bind(m->net[i], t);
}

size_t tx_model_size(const tx_model *m)
{
    size_t n = 0;
    for (int i = 0; i < m->n_net; i++) n += tx_params_size(m->net[i]);
    return n;
}

/** One step of the nets first .. first+n-1 down `loss`: they share one backward pass. */
static tx_status descend(tx_model *m, tx_step *s, int first, int n, tx_var loss, const char *what)
{
    int count[TX_MAX_NETS], total = 0;
    for (int i = 0; i < n; i++) total += count[i] = tx_params_count(m->net[first + i]);
    tx_var *wrt = tx_arena_alloc(tx_tape_arena(s->tape), 2 * (size_t)total * sizeof *wrt), *grad = wrt + total;
    for (int i = 0, k = 0; i < n; i++)
        for (int j = 0; j < count[i]; j++) wrt[k++] = tx_params_var(m->net[first + i], (tx_param){j});
    tx_grad_postponed(s->tape, loss, wrt, total, grad);
    for (int i = 0; i < n; grad += count[i], i++)
        if (!tx_optim_step(m->optim[first + i], m->net[first + i], s->tape, grad, s->rate, s->clip_norm,
                           s->weight_decay))
            return tx_fail(TX_EDIVERGED, "step %llu: the gradient of %s (%s) is not finite, or a weight after it",
                           (unsigned long long)s->number + 1, what, tx_params_net(m->net[first + i]));
    return TX_OK;
}

tx_status tx_model_descend(tx_model *m, tx_step *s, int net, tx_var loss, const char *what)
{
    if (!tx_vec_finite(tx_len(loss->v), loss->v.x))
        return tx_fail(TX_EDIVERGED, "step %llu: %s is not finite", (unsigned long long)s->number + 1, what);
    return descend(m, s, net, 1, loss, what);
}

static tx_var score(tx_model *m, tx_tape *t, tx_score s, tx_rng r, uint64_t first, tx_var x)
{
    if (s == TX_SCORE_LOG_PROB) return m->ops->log_prob(m, t, x);
    if (s == TX_SCORE_UNNORMALISED) return m->ops->energy->log_unnormalised(m, t, x);
    return (s == TX_SCORE_BOUND ? m->ops->bound : m->ops->elbo)(m, t, r, first, x);
}

static tx_status ascend_likelihood(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    tx_tape *t = s->tape;
    tx_var each = score(m, t, tx_model_score(m->ops), s->rng, 0, tx_leaf(t, x));
    tx_var loss = tx_affine(t, tx_mean(t, each), -1, 0);
    double value = (double)loss->v.x[0];
    out->n = 1;
    out->m[0].name = "objective", out->m[0].value = value;
    if (!isfinite(value))
        return tx_fail(TX_EDIVERGED, "step %llu: the %s is not finite", (unsigned long long)s->number + 1,
                       m->ops->log_prob ? "log-likelihood" : "lower bound");
    int n = 0;
    while (n < m->n_net && !tx_params_is_state(m->net[n])) n++;
    return descend(m, s, 0, n, loss, "the objective");
}

tx_status tx_model_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    tx_model_bind(m, s->tape);
    out->n = 0;
    return m->ops->train_step ? m->ops->train_step(m, s, x, out) : ascend_likelihood(m, s, x, out);
}

void tx_model_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n, bool mean, real x[])
{
    TX_REQUIRE(m->ops->sample, "%s cannot be sampled", m->ops->name);
    size_t d = m->space->dim;
    for (size_t i = 0; i < n; i += TX_SAMPLE_CHUNK) {
        size_t rows = n - i < TX_SAMPLE_CHUNK ? n - i : TX_SAMPLE_CHUNK;
        tx_tensor out = tx_matrix(x + i * d, rows, d);
        tx_model_bind(m, t);
        (mean && m->ops->sample_mean ? m->ops->sample_mean : m->ops->sample)(m, t, r, first + i, out);
    }
}

tx_score tx_model_score(const tx_model_ops *ops)
{
    return ops->log_prob ? TX_SCORE_LOG_PROB : ops->bound ? TX_SCORE_BOUND : ops->elbo ? TX_SCORE_ELBO : TX_SCORE_NONE;
}

const char *tx_score_name(tx_score s)
{
    static const char *const name[] = {"none", "exact", "elbo", "bound", "unnormalised"};
    return name[s];
}

void tx_model_evaluate(tx_model *m, tx_tape *t, tx_score s, tx_rng r, uint64_t first, tx_tensor x, double value[])
{
    TX_REQUIRE(s != TX_SCORE_NONE, "%s has no score to evaluate", m->ops->name);
    size_t n = tx_rows(x), most = m->ops->at_once ? 1 + m->ops->at_once / tx_cols(x) : n;
    for (size_t from = 0, to; from < n; from = to) {
        to = n - from < most ? n : from + most;
        tx_model_bind(m, t);
        tx_var y = score(m, t, s, r, first + from, tx_leaf(t, tx_slice_rows(x, from, to)));
        for (size_t i = from; i < to; i++) value[i] = (double)y->v.x[i - from];
    }
}
