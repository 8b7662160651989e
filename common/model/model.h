/** The interface of every model. Adding one: a folder models/FAMILY/ with NAME.c that defines `const tx_model_ops
 *  tx_model_NAME`, a README.md, and one line in models/models.def. */
#ifndef TX_MODEL_MODEL_H
#define TX_MODEL_MODEL_H
#include "common/data/view.h"
#include "common/tensor/layers.h"
#include "common/tensor/optim.h"

enum { TX_MAX_NETS = 4, TX_MAX_METRICS = 8 };
typedef struct tx_model tx_model;
typedef struct tx_prior tx_prior;                         /**< common/model/latent.h */
typedef struct tx_energy tx_energy;                       /**< common/model/energy.h */
typedef struct tx_conditional tx_conditional;             /**< common/model/conditional.h */
/** Latent variables z of a model: how many, and p(z). */
typedef struct tx_latent { size_t dim; const tx_prior *prior; } tx_latent;

/** Spaces a model can be a distribution over: an OR of these. */
enum { TX_ON_BINARY = 1 /* {0,1}^D */, TX_ON_LEVELS = 2 /* {0..K-1}^D, K > 2 */, TX_ON_REAL = 4 /* R^D or a box in it */,
       TX_WITH_LABELS = 8 /* only where rows have labels */ };

/** What a custom training step may use. Everything random in it comes from `rng`, already folded with the step. */
typedef struct tx_step {
    tx_tape *tape;                                        /**< reset by the caller before the step; the model may reset it again */
    tx_rng   rng;
    uint64_t number;                                      /**< optimiser steps before this one, from 0 */
    double   rate;                                        /**< scheduled learning rate of this step */
    double   clip_norm, weight_decay;                     /**< as tx_optim_step takes them */
    const tx_view *view;                                  /**< of the training rows, with the run's seed: for models TX_WITH_LABELS; else
                                                               NULL is allowed */
    uint64_t seed;
} tx_step;
/** What a step reports; averaged over an epoch and stored as a curve of that name. The first is the objective. */
typedef struct tx_metrics { int n; struct { const char *name; double value; } m[TX_MAX_METRICS]; } tx_metrics;

/** A model family. A NULL function means "cannot": capabilities are read off the table, never declared twice. */
typedef struct tx_model_ops {
    const char *name, *summary, *citation;                /**< citation: key of paper/references.bib */
    const char *taxonomy_path;                            /**< "explicit/tractable/fvbn" */
    unsigned    spaces;                                   /**< OR of TX_ON_* */
    size_t      state_size, config_size;                  /**< allocated and zeroed by the framework */
    const tx_option *options;                             /**< NULL: none */
    size_t      at_once;                                  /**< numbers of x[n,d] that one pass of tx_model_evaluate takes, about; 0: all:
                                                               for models whose layers are many times as wide as the data */
    /** Settings at toy size for the contract battery (tests/test_contract.c), a YAML list of maps of options, each tried:
     *  "[{hidden: [7]}, {hidden: [5, 6], masks: 3}]"; NULL: the defaults only. */
    const char *toys;
    /** Optional: settings that cannot work together or on this space are TX_ECONFIG with a message; m->config and
     *  m->space are set. */
    tx_status (*check)(const tx_model *m);
    /** Make m->net[] (tx_params_new) in order, m->n_net, and declare weights; the framework seals them from the run's seed. */
    void      (*build)(tx_model *m);
    /** Optional: after sealing, e.g. output biases from m->space->mean. */
    void      (*init)(tx_model *m);
    void      (*destroy)(tx_model *m);                    /**< NULL unless the state owns memory */

    /** Per-example log p(x), nats on m->space, [n,d] -> [n,1]. Exact: *the* definition of a model that has it. */
    tx_var    (*log_prob)(tx_model *m, tx_tape *t, tx_var x);
    /** Per-example evidence lower bound with its own noise, [n,d] -> [n,1]; row i uses noise (r, first + i) only. */
    tx_var    (*elbo)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var x);
    /** Another lower bound that training ascends and valid selects by in place of `elbo`; arguments as there. */
    tx_var    (*bound)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var x);
    /** A model that holds densities along several orderings of the variables: how many (0: any number), and log p(x) along
     *  ordering k, [n,d] -> [n,1]. Both or neither. */
    uint64_t  (*n_ordering)(const tx_model *m);
    tx_var    (*log_prob_along)(tx_model *m, tx_tape *t, uint64_t ordering, tx_var x);
    /** A density that is known up to a constant, p(x) = p*(x)/Z (common/model/energy.h); NULL: none. */
    const tx_energy *energy;
    /** What is known of p(missing variables | observed ones) (common/model/conditional.h); NULL: nothing. */
    const tx_conditional *conditional;
    /** Latent variables, z ~ p(z), x ~ p(x|z) (common/model/latent.h): their dimension and prior, and the last layer a of
     *  the decoder or generator, [n,k] -> [n,d], of which tx_output(t, space, a) is G(z) = E[x|z]. Both or neither. */
    tx_latent (*latent)(const tx_model *m);
    tx_var    (*generate)(tx_model *m, tx_tape *t, tx_var z);
    /** The model's own p(x|z), [n,d], [n,k] -> [n,1], and x[n,d] drawn from it (row i uses noise (r, first + i) only); both
     *  NULL for a generator without one. */
    tx_var    (*log_observation)(tx_model *m, tx_tape *t, tx_var x, tx_var z);
    void      (*observe)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_var z, tx_tensor x);
    /** q(z|x) = N(mu, diag exp(lv)), each [n,k]; NULL without an encoder. */
    void      (*posterior)(tx_model *m, tx_tape *t, tx_var x, tx_var *mu, tx_var *lv);
    /** A model that has been trained with labels: l_k(x), [n,d] -> [n,n_class], of which the largest is its answer, and how many
     *  rows' labels it has seen (tx_view_labelled). Both or neither. */
    tx_var    (*classify)(tx_model *m, tx_tape *t, tx_var x);
    size_t    (*n_label)(const tx_model *m);
    /** Samples first..first+n-1 into x[n,d]; sample i is a function of (r, i). The tape is reset by the caller. */
    void      (*sample)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x);
    /** Expected pixel values of the same samples (a picture of a Bernoulli's mean), optional; same contract as sample. */
    void      (*sample_mean)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x);
    double    (*sequential_steps)(const tx_model *m);     /**< of one sample: D for autoregressive models; NULL means 1 */
    /** Steps of the model's Markov chain between draws that are as good as independent (common/model/mixing.h), measured in
     *  chains of stream r, after training; NAN: not measured; NULL: no chain. */
    double    (*autocorrelation_time)(tx_model *m, tx_tape *t, tx_rng r);
    /** Bijections: x -> z and back, same shape. */
    tx_var    (*encode)(tx_model *m, tx_tape *t, tx_var x);
    tx_var    (*decode)(tx_model *m, tx_tape *t, tx_var z);
    /** Training. Default (all NULL): ascend the batch mean of log_prob, else of bound, else of elbo, over all nets at once.
     *  train_step: one step on the batch x[n,d]; TX_EDIVERGED with the term's name on a non-finite value.
     *  fit: closed form, in place of epochs of steps.
     *  iterate: one update from the whole training split as epoch `epoch` shows it (EM), in place of an epoch of steps;
     *  all that the next one needs is in the parameters. */
    tx_status (*train_step)(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out);
    bool      (*keeps_last)(const tx_model *m);           /**< optional: true where training does not ascend the score that it has,
                                                               so that the last parameters are kept, not the best on valid */
    bool        surrogate;                                /**< the objective that train_step reports is not what it descends */
    tx_status (*fit)(tx_model *m, const tx_view *v, uint64_t seed);
    tx_status (*iterate)(tx_model *m, const tx_view *v, uint64_t seed, uint64_t epoch, tx_metrics *out);
} tx_model_ops;

/** A model of one space: tx_model_new makes it, tx_model_free frees it with its nets. */
struct tx_model {
    const tx_model_ops *ops;
    void           *state, *config;                       /**< the model's own structs */
    const tx_space *space;                                /**< borrowed from the view */
    int             n_net;
    tx_params      *net[TX_MAX_NETS];
    tx_optim       *optim[TX_MAX_NETS];                   /**< NULL until tx_model_train_with */
    bool            shared;                               /**< of tx_model_share */
};

/** models/registry.c expands models.def; common/ sees it through this list. NULL-terminated. */
extern const tx_model_ops *const tx_model_list[];
/** Models of a program's own, beside those of the library: NULL-terminated and never freed; a name that is taken aborts. Once, and
 *  before anything else of models: tx_main does it. */
void      tx_models_add(const tx_model_ops *const models[]);
const tx_model_ops *tx_model_own(int i);                  /**< of those; NULL past the last */
const tx_model_ops *tx_model_find(const char *name);      /**< NULL if there is none */

/** NULL if the model can be trained on this space, else the reason: "defined on real values, not on binary values (counting measure)". */
const char *tx_model_unfit(const tx_model_ops *ops, const tx_space *space, char *buf, size_t size);
/** Weights are declared but have no values, so that no memory of their size is taken: to be asked for tx_model_size only.
 *  TX_ECONFIG from ops->check, or where a weight is too large for any machine; *out untouched then. `config`
 *  (ops->config_size) is copied; `space` must outlive the model. */
tx_status tx_model_declare(tx_model **out, const tx_model_ops *ops, const void *config, const tx_space *space);
/** Declare, and initialise from stream named(root(seed), "init"). */
tx_status tx_model_new(tx_model **out, const tx_model_ops *ops, const void *config, const tx_space *space, uint64_t seed);
/** The same model to be bound to another tape, so that threads evaluate it side by side, each through its own: no op but
 *  those of training may change m->state. Not trained; freed by tx_model_free before m. */
tx_model *tx_model_share(const tx_model *m);
void      tx_model_free(tx_model *m);                     /**< NULL is allowed */
void      tx_model_train_with(tx_model *m, const tx_optim_ops *o, const void *config); /**< one optimiser a net */
void      tx_model_bind(tx_model *m, tx_tape *t);         /**< tx_tape_reset and bind every net */
size_t    tx_model_size(const tx_model *m);               /**< parameters in all */
/** One step: ops->train_step or the default. */
tx_status tx_model_step(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out);
/** Descend `loss` [any shape, summed] for one net with its optimiser: for custom steps. TX_EDIVERGED naming `what`. */
tx_status tx_model_descend(tx_model *m, tx_step *s, int net, tx_var loss, const char *what);
enum { TX_SAMPLE_CHUNK = 1000 };
/** Samples first..first+n-1 in chunks of a fixed size, which is part of what a sample's last bits depend on; resets the tape.
 *  mean: use sample_mean where the model has it. */
void      tx_model_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n, bool mean, real x[]);
/** Selection on valid: which score, if any. */
typedef enum tx_score { TX_SCORE_NONE, TX_SCORE_LOG_PROB, TX_SCORE_ELBO, TX_SCORE_BOUND, TX_SCORE_UNNORMALISED } tx_score;
tx_score    tx_model_score(const tx_model_ops *ops);      /**< never TX_SCORE_UNNORMALISED: without Z it compares nothing */
const char *tx_score_name(tx_score s);                    /**< "none", "exact", "elbo", "bound", "unnormalised" */
/** log_prob, elbo, bound or log p* of rows x[n,d] into value[n] (nats in the model's space); binds the tape, for each pass of
 *  at_once anew. */
void      tx_model_evaluate(tx_model *m, tx_tape *t, tx_score s, tx_rng r, uint64_t first, tx_tensor x, double value[]);
#endif
