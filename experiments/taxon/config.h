/** A comparison as its YAML file says it: data sets x models x seeds. An example: experiments/configs/quick.yaml. */
#ifndef TX_TAXON_CONFIG_H
#define TX_TAXON_CONFIG_H
#include "experiments/taxon/spec.h"

typedef struct tx_comparison {
    char experiment[TX_NAME_MAX];
    char origin[TX_TEXT_MAX]; /**< the file, for messages */
    tx_yaml *root;
    tx_ints seeds;
    int n_data, n_model;
    struct {
        tx_data_spec spec;
        const tx_yaml *at;
    } * data; /**< [n_data]; `at` is its place in `root` */
    struct {
        tx_model_spec spec;
        const tx_yaml *at;
    } * model; /**< [n_model]: every variant of every grid */
    tx_evaluate_spec evaluate;
} tx_comparison;

/** Read `path`, apply the `n` assignments KEY=VALUE, parse everything. TX_ENOINPUT, TX_ECONFIG, TX_EUSAGE. */
tx_status tx_comparison_read(tx_comparison *out, const char *path, char *const assignment[], int n);
/** The same from a text. */
tx_status tx_comparison_parse(tx_comparison *out, const char *text, const char *origin, char *const assignment[],
                              int n);
void tx_comparison_free(tx_comparison *c);
/** With every default filled in and every grid written out: a config that gives the same runs. */
json_t *tx_comparison_json(const tx_comparison *c);
#endif
