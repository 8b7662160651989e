#include "common/tensor/kernels.h"
#include "common/tensor/optim.h"

typedef struct config {
    double rho, epsilon, momentum;
} config;

static const char lecture[] = "Tieleman and Hinton 2012, Lecture 6.5 of Neural Networks for Machine Learning";

static const tx_option options[] = {
    {.name = "rho",
     .type = TX_OPT_REAL,
     .offset = offsetof(config, rho),
     .dflt = "0.9",
     .min = 0,
     .max = 0.999999,
     .doc = "decay of the running mean of squared gradients",
     .source = lecture},
    {.name = "epsilon",
     .type = TX_OPT_REAL,
     .offset = offsetof(config, epsilon),
     .dflt = "1e-8",
     .min = 1e-30,
     .max = 1,
     .doc = "added to the root mean square before the division"},
    {.name = "momentum",
     .type = TX_OPT_REAL,
     .offset = offsetof(config, momentum),
     .dflt = "0",
     .min = 0,
     .max = 0.9999,
     .doc = "share of the last step that is kept",
     .source = lecture},
    {.name = NULL},
};

static bool step(const void *c, uint64_t t, real lr, real gscale, real decay, size_t n, real w[], const real g[],
                 real *const slot[])
{
    (void)t;
    const config *o = c;
    return tx_rmsprop_update(n, lr, gscale, decay, (real)o->rho, (real)o->epsilon, (real)o->momentum, g, slot[0],
                             slot[1], w);
}

const tx_optim_ops tx_optim_rmsprop = {
    .name = "rmsprop",
    .summary = "gradients divided by a running root mean square, with momentum",
    .citation = "tieleman2012rmsprop",
    .n_slots = 2,
    .slot_name = {"second_moment", "velocity"},
    .config_size = sizeof(config),
    .options = options,
    .step = step,
};
