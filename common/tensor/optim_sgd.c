#include "common/tensor/kernels.h"
#include "common/tensor/optim.h"

typedef struct config {
    double momentum;
    bool nesterov;
} config;

static const tx_option options[] = {
    {.name = "momentum",
     .type = TX_OPT_REAL,
     .offset = offsetof(config, momentum),
     .dflt = "0",
     .min = 0,
     .max = 0.9999,
     .doc = "share of the last step that is kept; 0 is plain gradient descent",
     .source = "Polyak 1964, Some methods of speeding up the convergence of iteration methods"},
    {.name = "nesterov",
     .type = TX_OPT_BOOL,
     .offset = offsetof(config, nesterov),
     .dflt = "false",
     .doc = "take the gradient as if it came from where momentum leads",
     .source = "Sutskever et al. 2013, On the importance of initialization and momentum in deep learning, eq. 3-4"},
    {.name = NULL},
};

static bool step(const void *c, uint64_t t, real lr, real gscale, real decay, size_t n, real w[], const real g[],
                 real *const slot[])
{
    (void)t;
    const config *o = c;
    return tx_sgd_update(n, lr, gscale, decay, (real)o->momentum, o->nesterov, g, slot[0], w);
}

const tx_optim_ops tx_optim_sgd = {
    .name = "sgd",
    .summary = "stochastic gradient descent, with classical or Nesterov momentum",
    .citation = "robbins1951stochastic",
    .n_slots = 1,
    .slot_name = {"velocity"},
    .config_size = sizeof(config),
    .options = options,
    .step = step,
};
