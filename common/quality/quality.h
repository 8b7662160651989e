/** What all metrics of one view share: real rows, and features fitted to the training split. */
#ifndef TX_QUALITY_QUALITY_H
#define TX_QUALITY_QUALITY_H
#include "common/base/numbers.h"
#include "common/base/options.h"
#include "common/data/view.h"
#include "common/quality/classifier.h"

/** What metrics of one view share: each part is made when it is first asked for. */
typedef struct tx_quality {
    const tx_view *view;                                  /**< borrowed */
    double *mean;                                         /**< [dim] of the rows below in the data's unit; NULL: not yet asked for */
    double *component;                                    /**< [dim,dim] rows: principal components, largest variance first; NULL likewise */
    tx_classifier *classifier;                            /**< of the labels, in the data's unit; NULL likewise */
    double accuracy;                                      /**< its share of right answers on test */
} tx_quality;
/** Owned by the caller; v must outlive it. */
tx_quality *tx_quality_new(const tx_view *v);
void        tx_quality_free(tx_quality *q);               /**< NULL is allowed */

/** n rows of a split in the data's unit, [n,dim], to be freed: the first ones of an order that is a function of the data
 *  set's name and the split alone, in their fixed realisation. */
real       *tx_quality_rows(const tx_quality *q, tx_split s, size_t n);

/** Where distances are measured. */
typedef enum tx_feature { TX_FEATURE_DATA, TX_FEATURE_PCA, TX_FEATURE_CLASSIFIER } tx_feature;
/** Which features, and how many components of TX_FEATURE_PCA. */
typedef struct tx_feature_config { int kind, n_component; } tx_feature_config;
/** Rows of an option table for a tx_feature_config at that offset of its config. */
#define TX_FEATURE_OPTIONS(at, dflt)                                                                                            \
    {"features", TX_OPT_CHOICE, (at) + offsetof(tx_feature_config, kind), dflt, 0, 0, "data|pca|classifier",                    \
     "where distances are measured: the data themselves, their principal components, or the last hidden layer of a "            \
     "perceptron (256 and 64 units, 4 epochs over train) that tells their labels", NULL},                                       \
    {"n_component", TX_OPT_INT, (at) + offsetof(tx_feature_config, n_component), "64", 1, 4096, NULL,                           \
     "principal components of (at most 10000 rows of) train, all where the data have no more variables", NULL}

/** Features of n rows with their squares, for tx_rows_distance. Owned: tx_points_free. */
typedef struct tx_points { size_t n, dim; real *x; double *square; } tx_points;
/** Of x[n,dim] in the unit of the data. */
tx_points   tx_quality_points(tx_quality *q, const tx_feature_config *c, size_t n, const real *x);
/** Those of tx_quality_rows. */
tx_points   tx_quality_real_points(tx_quality *q, const tx_feature_config *c, tx_split s, size_t n);
void        tx_points_free(tx_points *p);
/** [a->n,b->n] squared distances, to be freed. */
real       *tx_points_distance(const tx_points *a, const tx_points *b);
/** NULL if the view has such features, else the reason. */
const char *tx_feature_unfit(const tx_feature_config *c, const tx_view *v);
/** How well the classifier does, as the number "classifier_accuracy"; nothing of other features, or while `real` is NULL. */
void        tx_feature_note(tx_quality *q, const tx_feature_config *c, const tx_numbers *real, tx_numbers *out);
/** "in 64 principal components". */
const char *tx_feature_words(const tx_quality *q, const tx_feature_config *c, char buf[TX_NAME_MAX]);
#endif
