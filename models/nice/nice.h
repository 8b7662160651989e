/** NICE for models that train it otherwise. Everything here is of a model whose config begins with a tx_nice_config, whose
 *  state begins with a tx_nice, and whose net 0 is the flow. */
#ifndef TX_MODELS_NICE_H
#define TX_MODELS_NICE_H
#include "common/model/latent.h"

enum { TX_NICE_COUPLINGS = 32 };
/** Options of NICE (Dinh et al. 2014). */
typedef struct tx_nice_config {
    int    couplings, activation, prior, init;
    bool   data_init;
    double min_deviation;
    tx_ints hidden;
} tx_nice_config;
/** Coupling networks and log scales; part of a model's state. */
typedef struct tx_nice { tx_mlp m[TX_NICE_COUPLINGS]; tx_param s; } tx_nice;

/** Rows of the model's option table. */
#define TX_NICE_OPTIONS(usual_hidden)                                                                                  \
    {"couplings", TX_OPT_INT, offsetof(tx_nice_config, couplings), "4", 0, TX_NICE_COUPLINGS, NULL,                    \
     "additive coupling layers; 3 or more let every coordinate depend on every other; 0 is the scaling alone",         \
     "dinh2014nice, section 5.1"},                                                                                     \
    {"hidden", TX_OPT_INTS, offsetof(tx_nice_config, hidden), usual_hidden, 1, 65536, NULL,                            \
     "units of each hidden layer of a coupling network", "dinh2014nice, section 5.1"},                                 \
    {"activation", TX_OPT_CHOICE, offsetof(tx_nice_config, activation), "relu", 0, 0, TX_ACT_CHOICES,                  \
     "of the hidden layers", "dinh2014nice, section 5.1"},                                                             \
    {"prior", TX_OPT_CHOICE, offsetof(tx_nice_config, prior), "logistic", 0, 0, "logistic|normal",                     \
     "standard factorial prior of z, in the density and in samples", "dinh2014nice, section 3.4"},                     \
    {"init", TX_OPT_CHOICE, offsetof(tx_nice_config, init), "scaled", 0, 0, "scaled|uniform",                          \
     "scaled: weights by their layer's width, last layers 0, so that couplings start as shifts; uniform: U(-0.01, "    \
     "0.01)", "uniform: the authors' code"},                                                                           \
    {"data_init", TX_OPT_BOOL, offsetof(tx_nice_config, data_init), "true", 0, 0, NULL,                                \
     "start shifts and scales where z has the prior's mean and deviation on the training data, else at 0", NULL},      \
    {"min_deviation", TX_OPT_REAL, offsetof(tx_nice_config, min_deviation), "0.5", 1e-6, 1, NULL,                      \
     "of data_init: a deviation below this much of the largest is taken for that; what is narrower is left to training", NULL}

/** As the function of that name in tx_model_ops. */
tx_status tx_nice_check(const tx_model *m);
void      tx_nice_build(tx_model *m);                    /**< makes net 0, "flow", and sets n_net to 1 */
/** As the function of that name in tx_model_ops. */
void      tx_nice_init(tx_model *m);
tx_var    tx_nice_encode(tx_model *m, tx_tape *t, tx_var x);
tx_var    tx_nice_decode(tx_model *m, tx_tape *t, tx_var z);
tx_var    tx_nice_log_prob(tx_model *m, tx_tape *t, tx_var x);
/** x[n,d] of noise rows first .. of r, [n,d]. */
tx_var    tx_nice_draw(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, size_t n);
void      tx_nice_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x);
#endif
