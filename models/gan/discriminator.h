/** The discriminator, or critic, D of the models in this folder: a multilayer perceptron with one linear output v(x), whose
 *  hidden layers may be maxout and lose units by dropout. */
#ifndef TX_MODELS_GAN_DISCRIMINATOR_H
#define TX_MODELS_GAN_DISCRIMINATOR_H
#include "common/tensor/layers.h"

#define TX_DISCRIMINATOR_ACTIVATIONS TX_ACT_CHOICES "|maxout"
enum { TX_DISCRIMINATOR_PARTS = 2 };                     /**< batches that D sees at once, at most */
typedef struct tx_discriminator_config {
    int    activation, pieces;                           /**< of TX_DISCRIMINATOR_ACTIVATIONS; of a maxout unit */
    double keep_input, keep_hidden;                      /**< of dropout; 1: none */
    double init;                                         /**< weights start in U(-init, init); 0: by their layer's width */
    tx_ints hidden;
} tx_discriminator_config;

/** Weights layer_w0, layer_b0, ...; maxout layers are `pieces` times as wide before the maximum as after it. */
tx_mlp tx_discriminator_add(tx_params *p, const tx_discriminator_config *c, size_t in);
/** v(x), [n,in] -> [n,1]; `parts` equal batches below one another have dropout noise from streams of that purpose. */
tx_var tx_discriminator_apply(tx_tape *t, const tx_params *p, const tx_mlp *d, const tx_discriminator_config *c, tx_rng r,
                              size_t parts, const char *const purpose[], tx_var x);
#endif
