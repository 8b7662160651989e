/** The discriminator, or critic, D of the models in this folder, and its game against fakes: one linear output v(x) of a
 *  multilayer perceptron, whose hidden layers may be maxout and lose units by dropout, or of a convolutional net. */
#ifndef TX_MODELS_GAN_DISCRIMINATOR_H
#define TX_MODELS_GAN_DISCRIMINATOR_H
#include "common/model/model.h"
#include "models/gan/dcgan.h"
#include "models/gan/games.h"

enum { TX_DISCRIMINATOR = 1, TX_STATISTICS = 2 };        /**< nets of a model that has them */
enum { TX_ARCHITECTURE_MLP, TX_ARCHITECTURE_DCGAN };
/** Options of D and of the game. */
typedef struct tx_discriminator_config {
    int    game, steps, packing;                         /**< of tx_games; of D a step of G; rows that D sees side by side */
    int    architecture;                                 /**< TX_ARCHITECTURE_* */
    int    activation, pieces;                           /**< of a hidden layer; of a maxout unit */
    double keep_input, keep_hidden;                      /**< of dropout; 1: none */
    double init;                                         /**< weights start in U(-init, init); 0: by their layer's width */
    double label_smoothing, gradient_penalty;
    tx_ints hidden, channels;
} tx_discriminator_config;
/** D in the architecture that was chosen; the other member is unused. */
typedef struct tx_discriminator { tx_mlp mlp; tx_dcgan dcgan; } tx_discriminator;

/** Rows of a model's option table; `d` is the tx_discriminator_config in its config of this type. */
#define TX_DISCRIMINATOR_OPTIONS(type, d, usual_game, usual_steps)                                                     \
    {"architecture", TX_OPT_CHOICE, offsetof(type, d.architecture), "mlp", 0, 0, "mlp|dcgan",                          \
     "layers of D, and of G where it is no flow: dense, or convolutions that halve and double (images only)",          \
     "dcgan: radford2016unsupervised"},                                                                                \
    {"channels", TX_OPT_INTS, offsetof(type, d.channels), "[64, 128]", 1, 65536, NULL,                                 \
     "of architecture dcgan: channels behind each halving of the image", "radford2016unsupervised: [128, 256, 512, 1024]"},\
    {"discriminator_hidden", TX_OPT_INTS, offsetof(type, d.hidden), "[1200, 1200]", 1, 65536, NULL,                    \
     "units of each hidden layer of D", NULL},                                                                         \
    {"discriminator_activation", TX_OPT_CHOICE, offsetof(type, d.activation), "leaky_relu", 0, 0,                      \
     TX_ACT_CHOICES "|maxout", "of the hidden layers of D", "maxout: goodfellow2014gan, section 5"},                   \
    {"maxout_pieces", TX_OPT_INT, offsetof(type, d.pieces), "5", 2, 64, NULL,                                          \
     "linear pieces of each maxout unit", "the authors' code"},                                                        \
    {"keep_input", TX_OPT_REAL, offsetof(type, d.keep_input), "1", 0.01, 1, NULL,                                      \
     "probability that dropout keeps an input of D; 1 is no dropout, the authors' code has 0.8",                       \
     "goodfellow2014gan, section 5"},                                                                                  \
    {"keep_hidden", TX_OPT_REAL, offsetof(type, d.keep_hidden), "1", 0.01, 1, NULL,                                    \
     "probability that dropout keeps a hidden unit of D; 1 is no dropout, the authors' code has 0.5",                  \
     "goodfellow2014gan, section 5"},                                                                                  \
    {"game", TX_OPT_CHOICE, offsetof(type, d.game), usual_game, 0, 0, TX_GAME_CHOICES,                                 \
     "what D and G descend (models/gan/README.md, games)",                                                             \
     "goodfellow2014gan, goodfellow2016tutorial, mao2017least, nowozin2016fgan, gulrajani2017improved"},               \
    {"discriminator_steps", TX_OPT_INT, offsetof(type, d.steps), usual_steps, 1, 1000, NULL,                           \
     "steps of D before each step of G, k; 5 with wasserstein in its paper", "goodfellow2014gan, algorithm 1"},        \
    {"packing", TX_OPT_INT, offsetof(type, d.packing), "1", 1, 64, NULL,                                               \
     "m: D sees m rows side by side, all data or all fakes", "lin2018pacgan, section 2"},                              \
    {"label_smoothing", TX_OPT_REAL, offsetof(type, d.label_smoothing), "0", 0, 0.5, NULL,                             \
     "D's target for data is 1 minus this; of games whose D is a probability", "salimans2016improved, section 3.4"},   \
    {"gradient_penalty", TX_OPT_REAL, offsetof(type, d.gradient_penalty), "0", 0, 1e6, NULL,                           \
     "lambda of (slope of D - 1)^2, of game wasserstein only; 0: the paper's 10", "gulrajani2017improved, eq. 3"},     \
    {"discriminator_init", TX_OPT_REAL, offsetof(type, d.init), "0", 0, 10, NULL,                                      \
     "weights of D start in U(-this, this); 0: by their layer's width", "0.005: the authors' code"}

/** Too deep, or an option that does not apply to the game: TX_ECONFIG, by name. */
tx_status tx_discriminator_check(const tx_model *m, const tx_discriminator_config *c);
/** Makes net TX_DISCRIMINATOR, and takes part in TX_STATISTICS where tx_discriminator_normalised. A multilayer perceptron's
 *  weights are layer_w0, layer_b0, ...; maxout layers are `pieces` times as wide before the maximum as after it. */
tx_discriminator tx_discriminator_add(tx_model *m, const tx_discriminator_config *c);
/** A convolutional D whose rows are not examples of their own: but for a game with a penalty on each one's slope. */
bool      tx_discriminator_normalised(const tx_discriminator_config *c);

/** The rows of a batch that make whole packs: what is over is left out, too few are repeated. */
tx_tensor tx_discriminator_rows(tx_tape *t, const tx_discriminator_config *c, tx_tensor x);
/** What D sees of rows x[n,dim]: a box as [0,1]^dim, `packing` rows side by side. */
tx_var    tx_discriminator_view(tx_tape *t, const tx_discriminator_config *c, const tx_space *space, tx_var x);
/** v(u) of `parts` equal batches below one another, each with dropout noise from the stream of its purpose. */
tx_var    tx_discriminator_apply(const tx_model *m, tx_tape *t, const tx_discriminator *d, const tx_discriminator_config *c,
                                 tx_rng r, size_t parts, const char *const purpose[], tx_var u);

/** D before one batch of data and one of fakes, both as it sees them. */
typedef struct tx_meeting {
    tx_var v_data, v_fake;
    tx_var loss;                                         /**< what D descends */
    tx_var value;                                        /**< without smoothing and penalty: the divergence is a function of it */
    tx_var slope;                                        /**< of each example, where the game has a penalty, else NULL */
} tx_meeting;
/** data and fake are [n,d] of one n; everything random comes from r. */
tx_meeting tx_discriminator_meet(const tx_model *m, tx_tape *t, const tx_discriminator *d, const tx_discriminator_config *c,
                                 tx_rng r, tx_var data, tx_var fake);
/** Adds loss_generator, loss_discriminator, d_real, d_fake, divergence and slope to what a step reports. */
void      tx_meeting_report(tx_tape *t, const tx_discriminator_config *c, const tx_meeting *e, tx_var loss_generator,
                            tx_metrics *out);
#endif
