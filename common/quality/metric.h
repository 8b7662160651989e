/** Metrics of sample quality. Adding one: a file with one `static const` struct and one line in metric.c. */
#ifndef TX_QUALITY_METRIC_H
#define TX_QUALITY_METRIC_H
#include "common/base/numbers.h"
#include "common/model/model.h"
#include "common/quality/quality.h"

enum { TX_METRIC_NUMBERS = 12,                            /**< at most that a metric makes, the real ones with them */
       TX_METRIC_ROWS = 10 };                             /**< at least of train and of test */

/** A metric of samples, or of a model itself. */
typedef struct tx_metric_ops {
    const char *name, *summary, *citation;
    size_t      config_size;
    const tx_option *options;                             /**< of samples: with TX_METRIC_OPTIONS */
    /** The real rows that take the samples' place in the numbers that end in _real: of another split than those that samples
     *  are held against. */
    tx_split    stand_in;
    /** NULL if it applies to this view, else the reason; what holds for all metrics is asked by tx_metric_unfit. */
    const char *(*unfit)(const void *config, const tx_view *v);
    /** Numbers about x[n,dim] in the data's unit: `name` is the quantity, "" where there is one only. The same rows of
     *  real data for whatever x; random numbers from `r` only. `real`: the numbers of the stand-in, NULL while x is it.
     *  Same bits for every thread count. */
    tx_status (*run)(const void *config, tx_quality *q, size_t n, const real *x, tx_rng r, const tx_numbers *real, tx_numbers *out);
    /** In place of run, of the model itself: NULL if there is such a number of these models, else the reason; numbers of a model
     *  trained from `seed`, all of the test split's rows; none where its settings and the model's do not meet. Nothing of samples is asked then, nor are there options for them. */
    const char *(*unfit_model)(const tx_model_ops *model);
    tx_status (*run_model)(const void *config, tx_model *m, const tx_view *v, uint64_t seed, tx_numbers *out);
} tx_metric_ops;
extern const tx_metric_ops *const tx_metric_list[];       /**< NULL-terminated */
/** NULL if there is none. */
const tx_metric_ops *tx_metric_find(const char *name);

/** What every config of a metric of samples begins with, and its rows of the table of options. */
typedef struct tx_metric_common { int n_sample, n_bootstrap; } tx_metric_common;
/** Those rows: default and largest value of n_sample. */
#define TX_METRIC_OPTIONS(n, most)                                                                                              \
    {"n_sample", TX_OPT_INT, offsetof(tx_metric_common, n_sample), n, 10, most, NULL,                                           \
     "samples of the model, and real rows of each side; fewer where test or train have fewer", NULL},                           \
    {"n_bootstrap", TX_OPT_INT, offsetof(tx_metric_common, n_bootstrap), "100", 2, 100000, NULL,                                \
     "random halves whose spread is the standard error", "Politis & Romano 1994"}

/** The samples that a config asks for, as far as the data go; 0 of a metric of the model itself. */
size_t    tx_metric_n(const tx_metric_ops *m, const void *config, const tx_view *v);
/** NULL if the metric applies to samples of such models on this view, else the reason. */
const char *tx_metric_unfit(const tx_metric_ops *m, const void *config, const tx_model_ops *model, const tx_view *v);
/** The metric of samples x[n,dim] in the data's unit, n = tx_metric_n(m, config, view), and the same of the stand-in: added to
 *  `out` as NAME_QUANTITY and NAME_QUANTITY_real (NAME alone where the quantity is ""), each with its n. TX_EDIVERGED where
 *  a sample is not finite. */
tx_status tx_metric_run(const tx_metric_ops *m, const void *config, const char *name, tx_quality *q, const real *x, tx_rng r,
                        tx_numbers *out);
/** The same of a metric of the model itself. */
tx_status tx_metric_run_model(const tx_metric_ops *m, const void *config, const char *name, tx_model *model, const tx_view *v,
                              uint64_t seed, tx_numbers *out);
#endif
