/** Gated PixelCNN: van den Oord et al. 2016c, after 2016a: two stacks of masked convolutions without a blind spot. */
#include "models/fvbn/arnet.h"
#include "models/fvbn/gated.h"
#include "models/fvbn/levels.h"

typedef struct pixelcnn_config {
    int features, layers, first_kernel, kernel, hidden;
    bool position;
} pixelcnn_config;

static const tx_option options[] = {
    {"features", TX_OPT_INT, offsetof(pixelcnn_config, features), "32", 1, 1024, NULL,
     "channels of the vertical and of the horizontal stack",
     "van den Oord et al. 2016a: 16 and more on MNIST, 128 on CIFAR"},
    {"layers", TX_OPT_INT, offsetof(pixelcnn_config, layers), "7", 1, TX_GATED_LAYERS, NULL,
     "gated layers behind the first one", "van den Oord et al. 2016a, table 4: 7 on MNIST"},
    {"first_kernel", TX_OPT_INT, offsetof(pixelcnn_config, first_kernel), "7", 3, 15, NULL,
     "side of the first layer's kernel, odd; it sees less than half of it",
     "van den Oord et al. 2016a, table 1: 7 with mask A"},
    {"kernel", TX_OPT_INT, offsetof(pixelcnn_config, kernel), "3", 1, 15, NULL,
     "side of the other layers' kernels, odd", "van den Oord et al. 2016a, table 1: 3 with mask B"},
    {"hidden", TX_OPT_INT, offsetof(pixelcnn_config, hidden), "64", 1, 4096, NULL,
     "relu units of a pixel before its outputs", "van den Oord et al. 2016a, table 1: 1x1 convolutions with relu"},
    {"position", TX_OPT_BOOL, offsetof(pixelcnn_config, position), "false", 0, 0, NULL,
     "also a bias for each pixel, so that pixels need not be alike", NULL},
    {0},
};

static tx_status check(const tx_model *m)
{
    const pixelcnn_config *c = m->config;
    if (m->space->channel > 1)
        return tx_fail(TX_ECONFIG, "pixelcnn: the images have %zu channels, only one is possible", m->space->channel);
    if (c->first_kernel % 2 == 0 || c->kernel % 2 == 0)
        return tx_fail(TX_ECONFIG, "pixelcnn: first_kernel is %d and kernel %d: both must be odd", c->first_kernel,
                       c->kernel);
    return TX_OK;
}

/** Rows without the shape of an image are images of one row. */
static void build(tx_model *m)
{
    const pixelcnn_config *c = m->config;
    const tx_space *s = m->space;
    tx_gated_spec spec = {.height = s->height ? s->height : 1, .width = s->height ? s->width : s->dim};
    spec.first = (size_t)c->first_kernel / 2, spec.reach = (size_t)c->kernel / 2;
    spec.n_layer = (size_t)c->layers;
    for (size_t l = 0; l < spec.n_layer; l++) spec.dilation[l] = 1;
    spec.features = (size_t)c->features, spec.hidden = (size_t)c->hidden, spec.per = tx_level_outputs(s);
    spec.position = c->position;
    spec.scale = 2 / (real)(s->levels - 1), spec.shift = -1;
    tx_gated_build(m->state, m, &spec);
}

const tx_model_ops tx_model_pixelcnn = {
    .name = "pixelcnn",
    .summary = "gated masked convolutions over images, a Bernoulli or softmax a pixel",
    .citation = "vandenoord2016conditional",
    .taxonomy_path = "explicit/tractable/fvbn",
    .spaces = TX_ON_BINARY | TX_ON_LEVELS,
    .state_size = sizeof(tx_gated),
    .config_size = sizeof(pixelcnn_config),
    .options = options,
    .at_once = TX_GATED_AT_ONCE,
    .toys = "[{features: 4, layers: 2, first_kernel: 5, hidden: 5}, "
            "{features: 3, layers: 1, first_kernel: 3, kernel: 5, hidden: 4, position: true}]",
    .check = check,
    .build = build,
    .init = tx_gated_level_init,
    .log_prob = tx_gated_level_log_prob,
    .conditional = &tx_gated_level_conditional,
    .sample = tx_gated_level_sample,
    .sample_mean = tx_gated_level_sample_mean,
    .sequential_steps = tx_steps_per_variable,
};
