/** The convolutional networks of Radford et al. 2016 (radford2016unsupervised): halving and doubling maps of 5 x 5 in place of
 *  pooling and of hidden dense layers, batch normalisation, ReLU in G and leaky ReLU in D. Sizes are the data's: D's map i goes
 *  from height_i x width_i x channels_i to half the height and width, rounded up, and G's are its transposes. */
#ifndef TX_MODELS_GAN_DCGAN_H
#define TX_MODELS_GAN_DCGAN_H
#include "common/data/view.h"
#include "common/tensor/layers.h"

enum { TX_DCGAN_STAGES = 6 };
/** A map or a dense layer with its shift [1,out], and behind a normalised one a gain. */
typedef struct tx_dcgan_layer { tx_param w, gain, shift; tx_batchnorm norm; bool normalised; } tx_dcgan_layer;
/** Convolutional G and D (Radford et al. 2016). */
typedef struct tx_dcgan {
    int            n;                                    /**< maps */
    size_t         pack;                                 /**< images that D sees at once */
    tx_conv        map[TX_DCGAN_STAGES];                 /**< of D, from the image inwards; G's are these, transposed */
    tx_dcgan_layer stage[TX_DCGAN_STAGES], dense;        /**< dense: G's first layer, D's last */
} tx_dcgan;

/** NULL if the space has an image for that many maps, else the reason. */
const char *tx_dcgan_unfit(const tx_space *space, const tx_ints *channels);
/** z[n,latent] -> [n,dim]; all layers but the last are normalised, with statistics in `running`. Weights dense_w, dense_gain,
 *  dense_shift, map{i}_w, map{i}_gain, map{i}_shift; statistics of those names after "generator_". All start in N(0, 0.02^2),
 *  gains at 1, shifts at 0. */
tx_dcgan tx_dcgan_generator(tx_params *p, tx_params *running, const tx_space *space, const tx_ints *channels, size_t latent);
/** [n,pack dim] -> [n,1]: rows side by side are channels. All maps but the first are normalised, with statistics after
 *  "discriminator_"; none if running is NULL. */
tx_dcgan tx_dcgan_discriminator(tx_params *p, tx_params *running, const tx_space *space, const tx_ints *channels, size_t pack);
/** training: by the batch's statistics, which the running ones follow; else by those, so that a row's result is its own. */
tx_var   tx_dcgan_generate(tx_tape *t, const tx_params *p, tx_params *running, const tx_dcgan *g, tx_var z, bool training);
/** In training only: each of `parts` equal batches below one another is normalised by itself. */
tx_var   tx_dcgan_discriminate(tx_tape *t, const tx_params *p, tx_params *running, const tx_dcgan *d, size_t parts, tx_var x);
#endif
