/** Options as tables: they parse configs, print `show` and `--help`, and are written into every results file. */
#ifndef TX_BASE_OPTIONS_H
#define TX_BASE_OPTIONS_H
#include <jansson.h>
#include "common/base/base.h"
#include "common/base/yaml.h"

enum { TX_LIST_MAX = 64 };
/** Values of a list option: v[0..n). */
typedef struct tx_ints  { int n; int v[TX_LIST_MAX]; } tx_ints;
/** The same of reals. */
typedef struct tx_reals { int n; double v[TX_LIST_MAX]; } tx_reals;

/** C type of the field behind each option type: int, double, bool, int (index into choices), char[TX_TEXT_MAX],
 *  tx_ints, tx_reals. min and max apply to every member of a list. */
typedef enum tx_option_type {
    TX_OPT_INT, TX_OPT_REAL, TX_OPT_BOOL, TX_OPT_CHOICE, TX_OPT_STRING, TX_OPT_INTS, TX_OPT_REALS
} tx_option_type;

/** A row of a table of options. */
typedef struct tx_option {
    const char    *name;     /**< key, lower_snake_case; NULL ends the table */
    tx_option_type type;
    size_t         offset;   /**< offsetof in the config struct */
    const char    *dflt;     /**< default as YAML text, parsed like user input; lists "[500, 500]"; "" = empty string */
    double         min, max; /**< inclusive range of numbers; min == max means no range. List length is 0..TX_LIST_MAX.
                                  An infinite value is accepted only where min or max is infinite, NaN never */
    const char    *choices;  /**< "sgd|adam" for TX_OPT_CHOICE, else NULL */
    const char    *doc;      /**< one line: meaning, unit */
    const char    *source;   /**< paper and equation or section where it comes from; NULL if none */
} tx_option;

/** A table (NULL: no options) and the struct that it fills; several may share one YAML map (train keys + the optimiser's). */
typedef struct tx_option_set { const tx_option *table; void *config; } tx_option_set;

void      tx_options_defaults(const tx_option table[], void *config); /**< a bad default aborts (the programmer's) */
/** Set fields from the members of `map`, in every table that knows the name; after a failure the fields of earlier members
 *  are set. A number stands for a list of one. A member that no table knows and that `skip` (NULL-terminated names, may be
 *  NULL) does not list is TX_ECONFIG: "ORIGIN:LINE:COLUMN: unknown key 'hiden' ...: did you mean 'hidden'?". */
tx_status tx_options_parse(const tx_option_set set[], int n_set, const tx_yaml *map, const char *origin,
                           const char *const skip[]);
/** TX_ECONFIG with "key 'KEY': expected EXPECTED; found ..." at a node, where it is no matter of a table's. */
tx_status tx_options_fail(const tx_yaml *found, const char *origin, const char *expected);
/** Members as a JSON object, every default filled in, in table order (new reference). tx_options_parse of its
 *  text gives the same config; JSON has no infinity, so that one is the string "inf" or "-inf". */
json_t   *tx_options_json(const tx_option table[], const void *config);
const tx_option *tx_options_find(const tx_option table[], const char *name); /**< NULL if absent */
const char *tx_option_choice(const tx_option *o, int index, char *buf, size_t size); /**< text of a choice */
/** "integer, 1 to 4096", "one of sgd, adam": for messages and `taxon show`. */
const char *tx_option_range(const tx_option *o, char *buf, size_t size);
#endif
