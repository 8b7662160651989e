/** What one run is: data set and view, model, training, evaluation, seed. As a JSON object with every default filled in
 * it is what a results file holds at /config/json and what `run-one` reads, so any stored run can be run again. */
#ifndef TX_TAXON_SPEC_H
#define TX_TAXON_SPEC_H
#include "common/likelihood/estimator.h"
#include "common/model/train.h"
#include "common/quality/metric.h"

typedef struct tx_data_spec {
    tx_data_config data;
    tx_view_config view;
} tx_data_spec;

typedef struct tx_model_spec {
    const tx_model_ops *ops;
    void *config;            /**< [ops->config_size], owned */
    char label[TX_NAME_MAX]; /**< of the run: a folder's name */
    char group[TX_NAME_MAX]; /**< label without grid values */
    char view[TX_NAME_MAX];  /**< of a comparison: its runs are on data sets of this view only; "any" */
    tx_train_config train;
} tx_model_spec;

enum { TX_MAX_ESTIMATORS = 16, TX_MAX_ASKED = 9 /* metrics: all their numbers fit into /metrics */ };
typedef struct tx_evaluate_spec {
    int n;
    struct {
        const tx_estimator_ops *ops;
        void *config;
        char name[TX_NAME_MAX]; /**< under which its results are stored; the estimator's unless two settings are told
                                   apart */
    } estimator[TX_MAX_ESTIMATORS]; /**< configs owned */
    int n_metric;
    struct {
        const tx_metric_ops *ops;
        void *config;
        char name[TX_NAME_MAX]; /**< before its numbers' names */
    } metric[TX_MAX_ASKED];     /**< configs owned */
    int n_sample, n_example;    /**< n_example 0: all rows of the split */
    bool split[TX_N_SPLIT];
} tx_evaluate_spec;

typedef struct tx_spec {
    tx_data_spec data;
    tx_model_spec model;
    tx_evaluate_spec evaluate;
    int seed;
} tx_spec;

/** Parsers of parts. Maps are those of a config or of a spec; errors are TX_ECONFIG with place and nearest key. */
tx_status tx_data_spec_parse(tx_data_spec *out, const tx_yaml *map, const char *origin);
/** `name_key`: under which the model's name stands ("model" in a config, "name" in a spec). Without `label` the label
 * is the model's name, without `group` the group is the label, without `view` the view is "any". `train` is not looked at. On failure *out owns nothing.
 */
tx_status tx_model_spec_parse(tx_model_spec *out, const tx_yaml *map, const char *name_key, const char *origin);
extern const tx_option tx_evaluate_options[]; /**< numbers of `evaluate:`; its lists are read beside them */
tx_status tx_evaluate_spec_parse(tx_evaluate_spec *out, const tx_yaml *map,
                                 const char *origin); /**< map NULL: defaults */
tx_status tx_estimator_config_parse(const tx_estimator_ops *e, const tx_yaml *map, const char *origin,
                                    const char *const skip[], void **config); /**< map may be NULL; *config is owned */
tx_status tx_metric_config_parse(const tx_metric_ops *m, const tx_yaml *map, const char *origin,
                                 const char *const skip[], void **config); /**< likewise */
void tx_model_spec_free(tx_model_spec *s);
void tx_evaluate_spec_free(tx_evaluate_spec *s);

json_t *tx_data_spec_json(const tx_data_spec *s);
json_t *tx_model_spec_json(const tx_model_spec *s, const char *name_key); /**< without train */
json_t *tx_evaluate_spec_json(const tx_evaluate_spec *s);
json_t *tx_spec_json(const tx_data_spec *d, const tx_model_spec *m, const tx_evaluate_spec *e, int seed);

/** The other way: from the text of a spec. */
tx_status tx_spec_parse(tx_spec *out, const char *text, const char *origin);
void tx_spec_free(tx_spec *s);

/** Letters, digits and . _ = + - only, no leading dot or dash, 1 to 100 bytes: fit for a folder's name. */
#define TX_LABEL_EXPECTED "1 to 100 letters, digits or . _ = + -, not starting with . or -"
bool tx_label_fits(const char *label);
/** Of a metric: its name, or that with an ending. `_` begins a quantity, so that no two names of numbers are equal. */
#define TX_METRIC_LABEL_EXPECTED "the metric's name with an ending such as mmd-wide: no '_', at most 60 bytes"
bool tx_metric_label_fits(const tx_metric_ops *m, const char *label);
/** The same made of any text: lists "[500, 500]" become "500x500", other characters '_'. */
void tx_label_of(const char *text, char *out, size_t size);

/** A model on its data, opened and built. Its parts point at one another: it stays where it is. */
typedef struct tx_setting {
    tx_dataset data;
    tx_view view;
    tx_model *model; /**< NULL from tx_setting_open_data */
} tx_setting;
tx_status tx_setting_open_data(tx_setting **out, const tx_data_spec *s, FILE *note);
tx_status tx_setting_open(tx_setting **out, const tx_spec *s, FILE *note);
void tx_setting_close(tx_setting *s); /**< NULL is allowed */
#endif
