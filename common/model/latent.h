/** Models with latent variables, z ~ p(z) and x ~ p(x|z): what their importance weights and Markov chains are made of.
 *  Includes nothing of any estimator: a model's own bound may use it too. */
#ifndef TX_MODEL_LATENT_H
#define TX_MODEL_LATENT_H
#include "common/model/model.h"

/** Factorial standard priors on R^k: density and sampler side by side, so that samples come from the density that is
 *  evaluated. Bounded priors are a map of the logistic one inside the model: u = sigmoid(z) is uniform. */
struct tx_prior {
    const char *name;
    tx_var (*logp)(tx_tape *t, tx_var z);                                     /**< [n,k] -> [n,1], nats */
    void   (*fill)(tx_rng r, uint64_t first, size_t n, real z[]);             /**< as tx_rng_normal */
    double deviation;
};
/** N(0, I); the other is a product of standard logistic distributions. */
extern const tx_prior tx_prior_normal;
extern const tx_prior tx_prior_logistic; /**< that product */

/** The p(x|z) under which a latent-variable model is evaluated. A generator has none of its own: on {0,1}^D its output is
 *  read as the means of Bernoullis; on real values N(0, sigma^2 I) is laid over it, and the model evaluated is then
 *  G(z) + noise, not G(z), which has no density where k < D (Wu et al. 2017, section 2). */
typedef enum tx_observation_kind { TX_OBSERVE_MODEL, TX_OBSERVE_BERNOULLI, TX_OBSERVE_NORMAL } tx_observation_kind;
/** One of these, with its parameter. */
typedef struct tx_observation {
    tx_observation_kind kind;
    double sigma;                                                             /**< of TX_OBSERVE_NORMAL, in the space's unit */
} tx_observation;
/** The model's own where it has one, else Bernoulli on {0,1}^D, else normal with this sigma. */
tx_observation tx_observation_of(const tx_model *m, double sigma);
/** log p(x|z), [n,d], [n,k] -> [n,1], nats in the model's space. */
tx_var tx_observation_logp(tx_model *m, tx_tape *t, tx_observation o, tx_var x, tx_var z);
/** x[n,d] ~ p(x|z); row i uses noise (r, first + i) only. */
void   tx_observation_sample(tx_model *m, tx_tape *t, tx_observation o, tx_rng r, uint64_t first, tx_var z, tx_tensor x);

/** Noise of rows first.. of stream r, element (first + row) width + j: a leaf [n,width] filled by `fill`. */
tx_var tx_latent_noise(tx_tape *t, void (*fill)(tx_rng r, uint64_t first, size_t n, real z[]), tx_rng r, uint64_t first,
                       size_t n, size_t width);
/** mu + e exp(lv/2), all [n,k]. */
tx_var tx_reparametrise(tx_tape *t, tx_var mu, tx_var lv, tx_var e);
/** log p(x|z) + log p(z) - log N(z; mu, exp(lv)) at z = mu + e exp(lv/2), [n,1]: the importance weights of x[n,d] under
 *  the encoder's proposal (Burda et al. 2016, eq. 8). Differentiable in everything. */
tx_var tx_log_weight(tx_model *m, tx_tape *t, tx_observation o, tx_var x, tx_var mu, tx_var lv, tx_var e);
#endif
