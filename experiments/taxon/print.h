/** Small ways of printing that several subcommands share. */
#ifndef TX_TAXON_PRINT_H
#define TX_TAXON_PRINT_H
#include <jansson.h>
#include "common/base/options.h"
#include "common/base/text.h"
#include "common/store/run_file.h"

/** JSON with two blanks of indentation to standard output; takes the reference. */
void tx_print_json(json_t *j);
/** One line a JSON value, as it is stored and compared; free(). */
char *tx_json_text(const json_t *j);
/** `j` as block YAML that tx_yaml_parse reads back to the same values. */
void tx_json_yaml(tx_text *t, const json_t *j);
/** The shortest decimal that reads back as `v`. */
const char *tx_print_real(double v, char buf[32]);
/** "a lower bound: the model's log-likelihood is at least this", and what noise adds: ", on average over its noise". */
const char *tx_kind_words(tx_kind k);
const char *tx_noise_words(tx_kind k);
/** " in the unit of the view" of an estimate over drawn rows where that is not the data's, else "". */
const char *tx_unit_words(const tx_estimate *e);
/** The first difference of two JSON values as "train.epochs: 20 and 30" in `buf`; false when they are equal. */
bool tx_json_differ(const json_t *a, const json_t *b, char *buf, size_t size);
#endif
