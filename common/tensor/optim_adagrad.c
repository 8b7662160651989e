#include "common/tensor/kernels.h"
#include "common/tensor/optim.h"

typedef struct config {
    double epsilon;
} config;

static const tx_option options[] = {
    {.name = "epsilon",
     .type = TX_OPT_REAL,
     .offset = offsetof(config, epsilon),
     .dflt = "1e-8",
     .min = 1e-30,
     .max = 1,
     .doc = "added to the root of the sum of squares before the division",
     .source = "Duchi, Hazan and Singer 2011, section 1.1 (their delta)"},
    {.name = NULL},
};

static bool step(const void *c, uint64_t t, real lr, real gscale, real decay, size_t n, real w[], const real g[],
                 real *const slot[])
{
    (void)t;
    const config *o = c;
    return tx_adagrad_update(n, lr, gscale, decay, (real)o->epsilon, g, slot[0], w);
}

const tx_optim_ops tx_optim_adagrad = {
    .name = "adagrad",
    .summary = "gradients divided by the root of the sum of all squares so far",
    .citation = "duchi2011adaptive",
    .n_slots = 1,
    .slot_name = {"sum_of_squares"},
    .config_size = sizeof(config),
    .options = options,
    .step = step,
};
