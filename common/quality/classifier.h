/** A small classifier: a perceptron of ReLU layers with a softmax, trained by Adam on rows with labels. */
#ifndef TX_QUALITY_CLASSIFIER_H
#define TX_QUALITY_CLASSIFIER_H
#include "common/tensor/layers.h"
/** How a classifier is made. */
typedef struct tx_classifier_config {
    tx_ints hidden;
    int     epochs, batch;
    double  learning_rate;
    bool    one_scale;                                    /**< all coordinates over one deviation: of pictures, or where rows are few */
} tx_classifier_config;
/** A perceptron that tells labels, owned by the caller. */
typedef struct tx_classifier tx_classifier;
/** NULL if there may be such hidden layers, else the reason. */
const char    *tx_classifier_unfit(const tx_ints *hidden);
/** Rows x[n,dim], each coordinate less its mean and over its deviation (or the root mean square of all deviations), with labels below n_class. Weights and order from `r`;
 *  the rate falls to 0 along a cosine. NULL where a weight is no longer finite. */
tx_classifier *tx_classifier_train(const tx_classifier_config *c, size_t dim, size_t n_class, size_t n, const real *x,
                                   const uint8_t label[], tx_rng r);
void           tx_classifier_free(tx_classifier *c);      /**< NULL is allowed */
size_t         tx_classifier_width(const tx_classifier *c); /**< of its last hidden layer */
/** The last hidden layer of n rows, [n,width]. */
void           tx_classifier_features(tx_classifier *c, size_t n, const real *x, real *out);
/** How many of n rows have their label's output, of outputs[n,n_class], as the largest. */
size_t         tx_classifier_right(size_t n, size_t n_class, const real *outputs, const uint8_t label[]);
/** The share of rows whose label has the largest output. */
double         tx_classifier_accuracy(tx_classifier *c, size_t n, const real *x, const uint8_t label[]);
#endif
