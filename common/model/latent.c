#include "common/model/latent.h"
#include <math.h>
#include "common/model/output.h"

static tx_var normal_logp(tx_tape *t, tx_var z)
{
    return tx_affine(t, tx_sum_rows(t, tx_mul(t, z, z)), (real)-0.5,
                     (real)(-0.5 * log(2 * M_PI) * (double)tx_cols(z->v)));
}

const tx_prior tx_prior_normal = {"normal", normal_logp, tx_rng_normal, 1};
const tx_prior tx_prior_logistic = {"logistic", tx_logistic_logp, tx_rng_logistic,
                                    1.8137993642342178 /* pi / sqrt 3 */};

tx_observation tx_observation_of(const tx_model *m, double sigma)
{
    if (m->ops->log_observation) return (tx_observation){TX_OBSERVE_MODEL, 0};
    if (m->space->measure == TX_LEBESGUE) return (tx_observation){TX_OBSERVE_NORMAL, sigma};
    TX_REQUIRE(m->space->levels == 2, "%s: no observation on %d levels", m->ops->name, m->space->levels);
    return (tx_observation){TX_OBSERVE_BERNOULLI, 0};
}

/* sum_j log N(x_j; mean_j, sigma^2) */
static tx_var normal_around(tx_tape *t, tx_var x, tx_var mean, double sigma)
{
    tx_var d = tx_sub(t, x, mean);
    return tx_affine(t, tx_sum_rows(t, tx_mul(t, d, d)), (real)(-0.5 / (sigma * sigma)),
                     (real)(-(log(sigma) + 0.5 * log(2 * M_PI)) * (double)tx_cols(x->v)));
}

tx_var tx_observation_logp(tx_model *m, tx_tape *t, tx_observation o, tx_var x, tx_var z)
{
    if (o.kind == TX_OBSERVE_MODEL) return m->ops->log_observation(m, t, x, z);
    tx_var a = m->ops->generate(m, t, z);
    if (o.kind == TX_OBSERVE_BERNOULLI) return tx_bernoulli_logp(t, a, x);
    return normal_around(t, x, tx_output(t, m->space, a), o.sigma);
}

void tx_observation_sample(tx_model *m, tx_tape *t, tx_observation o, tx_rng r, uint64_t first, tx_var z, tx_tensor x)
{
    if (o.kind == TX_OBSERVE_MODEL) {
        m->ops->observe(m, t, r, first, z, x);
        return;
    }
    size_t len = tx_len(x), from = (size_t)first * tx_cols(x);
    tx_var mean = tx_output(t, m->space, m->ops->generate(m, t, z));
    if (o.kind == TX_OBSERVE_BERNOULLI) {
        tx_rng_bernoulli(r, from, len, mean->v.x, x.x);
        return;
    }
    tx_rng_normal(r, from, len, x.x);
    tx_vec_affine(len, (real)o.sigma, x.x, 0, x.x);
    tx_vec_add(len, x.x, mean->v.x, x.x);
}

tx_var tx_latent_noise(tx_tape *t, void (*fill)(tx_rng r, uint64_t first, size_t n, real z[]), tx_rng r, uint64_t first,
                       size_t n, size_t width)
{
    tx_tensor e = tx_tape_tensor(t, n, width);
    fill(r, first * width, n * width, e.x);
    return tx_leaf(t, e);
}

tx_var tx_reparametrise(tx_tape *t, tx_var mu, tx_var lv, tx_var e)
{
    return tx_add(t, mu, tx_mul(t, e, tx_exp(t, tx_scale(t, lv, (real)0.5))));
}

/* - log N(z; mu, exp(lv)) = 1/2 sum_j e_j^2 + lv_j + log 2 pi */
tx_var tx_log_weight(tx_model *m, tx_tape *t, tx_observation o, tx_var x, tx_var mu, tx_var lv, tx_var e)
{
    tx_var z = tx_reparametrise(t, mu, lv, e);
    tx_var minus_log_q = tx_affine(t, tx_sum_rows(t, tx_add(t, tx_mul(t, e, e), lv)), (real)0.5,
                                   (real)(0.5 * log(2 * M_PI) * (double)tx_cols(e->v)));
    tx_var joint = tx_add(t, tx_observation_logp(m, t, o, x, z), m->ops->latent(m).prior->logp(t, z));
    return tx_add(t, joint, minus_log_q);
}
