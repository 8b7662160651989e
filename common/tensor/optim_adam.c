#include <math.h>
#include "common/tensor/kernels.h"
#include "common/tensor/optim.h"

typedef struct config {
    double beta1, beta2, epsilon;
} config;

static const char algorithm[] = "Kingma and Ba 2015, Algorithm 1";

static const tx_option options[] = {
    {.name = "beta1",
     .type = TX_OPT_REAL,
     .offset = offsetof(config, beta1),
     .dflt = "0.9",
     .min = 0,
     .max = 0.999999,
     .doc = "decay of the running mean of gradients",
     .source = algorithm},
    {.name = "beta2",
     .type = TX_OPT_REAL,
     .offset = offsetof(config, beta2),
     .dflt = "0.999",
     .min = 0,
     .max = 0.999999,
     .doc = "decay of the running mean of squared gradients",
     .source = algorithm},
    {.name = "epsilon",
     .type = TX_OPT_REAL,
     .offset = offsetof(config, epsilon),
     .dflt = "1e-8",
     .min = 1e-30,
     .max = 1,
     .doc = "added to the root of the corrected second moment before the division",
     .source = algorithm},
    {.name = NULL},
};

static bool step(const void *c, uint64_t t, real lr, real gscale, real decay, size_t n, real w[], const real g[],
                 real *const slot[])
{
    const config *o = c;
    double bias1 = 1 - pow(o->beta1, (double)t), bias2 = 1 - pow(o->beta2, (double)t);
    return tx_adam_update(n, lr, gscale, decay, (real)o->beta1, (real)o->beta2, (real)o->epsilon, (real)bias1,
                          (real)bias2, g, slot[0], slot[1], w);
}

const tx_optim_ops tx_optim_adam = {
    .name = "adam",
    .summary = "running means of gradients and of their squares, corrected for their start at 0",
    .citation = "kingma2015adam",
    .n_slots = 2,
    .slot_name = {"first_moment", "second_moment"},
    .config_size = sizeof(config),
    .options = options,
    .step = step,
};
