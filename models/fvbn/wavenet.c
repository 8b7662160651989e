/** WaveNet: van den Oord et al. 2016b: causal convolutions whose dilations double, gates, residual and skip
 * connections. */
#include "models/fvbn/arnet.h"
#include "models/fvbn/gated.h"
#include "models/fvbn/levels.h"

typedef struct wavenet_config {
    int features, skip, layers, blocks, kernel, hidden;
    bool position;
} wavenet_config;

static const tx_option options[] = {
    {"features", TX_OPT_INT, offsetof(wavenet_config, features), "32", 1, 1024, NULL, "channels of the residual stack",
     NULL},
    {"skip", TX_OPT_INT, offsetof(wavenet_config, skip), "32", 1, 1024, NULL, "channels of the skip connections",
     "van den Oord et al. 2016b, section 2.4"},
    {"layers", TX_OPT_INT, offsetof(wavenet_config, layers), "6", 1, 16, NULL,
     "gated layers of a block, of dilations 1, 2, 4, ..", "van den Oord et al. 2016b, section 2.1: 10, up to 512"},
    {"blocks", TX_OPT_INT, offsetof(wavenet_config, blocks), "1", 1, TX_GATED_LAYERS, NULL, "blocks after one another",
     "van den Oord et al. 2016b, section 2.1"},
    {"kernel", TX_OPT_INT, offsetof(wavenet_config, kernel), "2", 2, 16, NULL, "taps of every causal convolution",
     "van den Oord et al. 2016b, figure 3: 2"},
    {"hidden", TX_OPT_INT, offsetof(wavenet_config, hidden), "64", 1, 4096, NULL,
     "relu units of a variable before its outputs", "van den Oord et al. 2016b, figure 4: 1x1 convolutions with relu"},
    {"position", TX_OPT_BOOL, offsetof(wavenet_config, position), "false", 0, 0, NULL,
     "also a bias for each place in the signal, so that places need not be alike", NULL},
    {0},
};

static tx_status check(const tx_model *m)
{
    const wavenet_config *c = m->config;
    if (c->layers * c->blocks > TX_GATED_LAYERS)
        return tx_fail(TX_ECONFIG, "wavenet: %d blocks of %d layers are %d layers, at most %d are possible", c->blocks,
                       c->layers, c->layers * c->blocks, TX_GATED_LAYERS);
    return TX_OK;
}

/** Whatever the shape of the data, its variables are one signal, in their order. */
static void build(tx_model *m)
{
    const wavenet_config *c = m->config;
    tx_gated_spec spec = {.height = 1, .width = m->space->dim};
    spec.first = (size_t)c->kernel, spec.reach = (size_t)c->kernel - 1;
    spec.n_layer = (size_t)(c->layers * c->blocks);
    for (size_t l = 0; l < spec.n_layer; l++) spec.dilation[l] = (size_t)1 << l % (size_t)c->layers;
    spec.features = (size_t)c->features, spec.skip = (size_t)c->skip, spec.hidden = (size_t)c->hidden;
    spec.per = tx_level_outputs(m->space);
    spec.position = c->position;
    spec.scale = 2 / (real)(m->space->levels - 1), spec.shift = -1;
    tx_gated_build(m->state, m, &spec);
}

const tx_model_ops tx_model_wavenet = {
    .name = "wavenet",
    .summary = "gated dilated causal convolutions over a signal, a Bernoulli or softmax a step",
    .citation = "vandenoord2016wavenet",
    .taxonomy_path = "explicit/tractable/fvbn",
    .spaces = TX_ON_BINARY | TX_ON_LEVELS,
    .state_size = sizeof(tx_gated),
    .config_size = sizeof(wavenet_config),
    .options = options,
    .at_once = TX_GATED_AT_ONCE,
    .toys = "[{features: 4, skip: 5, layers: 3, hidden: 5}, "
            "{features: 3, skip: 2, layers: 1, blocks: 2, kernel: 3, hidden: 4, position: true}]",
    .check = check,
    .build = build,
    .init = tx_gated_level_init,
    .log_prob = tx_gated_level_log_prob,
    .conditional = &tx_gated_level_conditional,
    .sample = tx_gated_level_sample,
    .sample_mean = tx_gated_level_sample_mean,
    .sequential_steps = tx_steps_per_variable,
};
