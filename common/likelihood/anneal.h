/** Annealed chains in the latents of a model, which `ais` runs from its start to the posterior and `bdmc` back again
 *  (Neal 2001; Wu et al. 2017; Grosse et al. 2015). The path is
 *
 *      f_t(z) = start(z)^(1 - beta_t) (p(z) p(x|z))^beta_t,   0 = beta_0 < ... < beta_T = 1,
 *
 *  from the prior or the encoder's q(z|x). Each f_t is left unchanged by a Hamiltonian transition (Neal 2011) whose step,
 *  in units of the start's deviations, belongs to t. A pilot run finds the steps; then they are frozen, so that the weights
 *  are those of a fixed chain.
 *
 *  The encoder is the better start where there is one: on 20 test rows of a VAE (static MNIST, 50 latents, 16 chains) 100
 *  steps from it reached -96.10 +- 0.05 nats, from the prior -98.8 +- 0.3, and 1000 from the prior -96.20 +- 0.07; with 300
 *  steps the gap of bdmc was 0.06 from the encoder and 0.5 from the prior. Either start bounds the same p(x), and the prior
 *  does so without the encoder. */
#ifndef TX_LIKELIHOOD_ANNEAL_H
#define TX_LIKELIHOOD_ANNEAL_H
#include "common/likelihood/estimator.h"

/** Options of ais and bdmc. */
typedef struct tx_anneal_config {
    int start, n_step, n_chain, n_leapfrog, schedule, n_example, n_pilot, n_sigma, n_valid, n_step_sigma;
    double acceptance, sigma, sigma_min, sigma_max;
} tx_anneal_config;
/** The table of tx_anneal_config. */
extern const tx_option tx_anneal_options[];
/** As tx_estimator_ops.unfit. */
const char *tx_anneal_unfit(const tx_model_ops *m, const tx_view *v);

/** Annealing that was set up for one model and view: schedule and, of a generator, sigma are chosen. */
typedef struct tx_anneal tx_anneal;
/** `name` is the estimator's, for messages; the pointers must outlive it. Progress is a share of the choice of sigma, of
 *  the pilot, and of n_frozen rows run after it. Options that contradict each other or the model are TX_ECONFIG. */
tx_status tx_anneal_new(tx_anneal **out, const char *name, const tx_anneal_config *c, tx_model *m, const tx_view *v,
                        size_t n_frozen, void (*progress)(void *ctx, double share), void *ctx);
void      tx_anneal_free(tx_anneal *a);
/** The deviation of N(G(z), sigma^2 I), where the model has no p(x|z) on real values: the option's, or the best on rows of
 *  valid; call it before the rest. Short adapting runs, which bound the likelihood of a small sigma less tightly: what they
 *  choose errs, if at all, on the wide side, and the bound holds for what was chosen. Their noise is the same in every
 *  call, so that ais on any split and bdmc evaluate the same model. */
void      tx_anneal_choose_sigma(tx_anneal *a);
/** n rows z ~ p(z), x ~ p(x|z): z[n,k], x[n,dim]. */
void      tx_anneal_simulate(tx_anneal *a, tx_rng r, size_t n, real z[], real x[]);
/** Finds and freezes the steps on the first rows x[n,dim], n_pilot of them at most. */
void      tx_anneal_pilot(tx_anneal *a, tx_rng r, size_t n, const real x[]);
/** Frozen chains, n_chain for each of n rows x[n,dim]; chain c of row i has its log-weight at w[i n_chain + c], and its last
 *  state at last[i n_chain + c] if `last` [n n_chain,k] is not NULL. Without `exact` they run from the start to the
 *  posterior, and E exp(w) = p(x). With exact[n,k], a draw from the posterior of each row, they start there and run back,
 *  transitions in reverse order, and E exp(-w) = 1/p(x). w is in the model's space. */
void      tx_anneal_run(tx_anneal *a, tx_rng r, size_t n, const real x[], const real exact[], double w[], real last[]);
/** Kind, what was evaluated, settings with all that was chosen, and cost so far. */
void      tx_anneal_describe(const tx_anneal *a, tx_estimate *e);
/** log mean exp of the weights of each row and its jackknife error (NAN for one chain); sign -1 gives - log mean exp(-w).
 *  TX_EDIVERGED names the first row with a weight that is not finite. */
tx_status tx_anneal_average(const tx_anneal *a, tx_split s, size_t n, const double w[], double sign, double value[],
                            double error[]);
#endif
