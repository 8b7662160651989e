/** Data sets in memory as they came: u8 levels or f32 reals, three fixed splits, labels where there are any. */
#ifndef TX_DATA_DATASET_H
#define TX_DATA_DATASET_H
#include <stdio.h>
#include "common/base/options.h"
#include "common/base/sha256.h"
#include "common/tensor/rng.h"

/** The splits of a data set, and rows that a model has drawn itself, which are evaluated like one. */
typedef enum tx_split { TX_TRAIN, TX_VALID, TX_TEST, TX_N_SPLIT, TX_SIMULATED = TX_N_SPLIT } tx_split;
const char *tx_split_name(tx_split s);                    /**< "train", "valid", "test", "simulated" */

/** What the stored numbers are. BINARY: {0,1}; LEVELS: {0..levels-1}; REAL: finite reals in the set's stated unit. */
typedef enum tx_data_type { TX_BINARY, TX_LEVELS, TX_REAL } tx_data_type;
/** Their names, in order. */
#define TX_DATA_TYPE_CHOICES "binary|levels|real"

typedef struct tx_dataset tx_dataset;

/** Known density of a built-in set: log p(x) of one row in nats on its raw measure, its entropy, and its modes. */
typedef struct tx_known {
    double (*log_prob)(const tx_dataset *d, const real x[]);
    double   entropy, entropy_error;                      /**< nats; error 0 where it is a closed form, else of quadrature or sampling */
    size_t   n_mode;                                      /**< 0 where modes mean nothing */
    double (*mode)(const tx_dataset *d, size_t k, double centre[]); /**< writes centre[dim], returns the mode's deviation */
} tx_known;

/** A data set: what tx_dataset_open fills and tx_dataset_close frees. */
struct tx_dataset {
    char         name[TX_NAME_MAX];                       /**< as the user gave it, or the file's base name: used in paths */
    const char  *citation;                                /**< key of paper/references.bib, or NULL */
    char         source[TX_TEXT_MAX];                     /**< where it was read, for people */
    char         binarised[TX_TEXT_MAX];                  /**< folder of a published binarisation of these splits, or "" */
    char         unit[TX_NAME_MAX];                       /**< "grey level, 0 = black", "1" */
    tx_data_type type;
    int          levels;                                  /**< 2 for BINARY, K for LEVELS, 0 for REAL */
    size_t       dim, height, width, channel;             /**< images: dim = height*width*channel; else height = width = channel = 0 */
    struct {
        size_t         n;                                 /**< rows, >= 1 */
        const uint8_t *level;                             /**< [n,dim] for BINARY and LEVELS, else NULL */
        const float   *value;                             /**< [n,dim] for REAL, else NULL */
        const uint8_t *label;                             /**< [n], or NULL */
        char           origin[TX_TEXT_MAX];               /**< "rows 0..49999 of train-images-idx3-ubyte.gz": stated in every file */
    } split[TX_N_SPLIT];
    char            sha256[TX_SHA256_TEXT];               /**< of type, levels, shape, and the rows and labels of all splits */
    const tx_known *known;                                /**< NULL for data of unknown density */
    void           *state;                                /**< the known density's own parameters, or NULL; owned */
    void           *memory[8];                            /**< what tx_dataset_close frees */
};

/** How a data set is asked for: the keys of a `datasets:` entry, but for its view. Exactly one of name and path. */
typedef struct tx_data_config {
    char name[TX_TEXT_MAX];                               /**< a registered name, or any folder under $TAXON_DATA */
    char path[TX_TEXT_MAX];                               /**< a file or folder; the format is told from the content */
    int  type;                                            /**< index into "auto|binary|levels|real" */
    int  levels;                                          /**< 0: infer (largest level + 1, or 256 for IDX) */
    int  split_key;                                       /**< key of the permutation that splits a single file 80/10/10 */
    int  n_train, n_valid, n_test;                        /**< 0: all rows; else the first so many of the split (for quick tries);
                                                               for built-in sets: how many to draw (defaults in their docs) */
    int  label_column;                                    /**< CSV only: -1 none, else the column that is a label */
} tx_data_config;
extern const tx_option tx_data_options[];                 /**< the table of tx_data_config */

/** Opens and checks everything: sizes, ranges, finiteness, checksums of compressed files. What was inferred or decided is
 *  written to `note` (may be NULL), one line a fact, for the user to see. Errors: TX_ECONFIG unknown name (with nearest),
 *  TX_ENOINPUT not found (with places tried, files expected, sizes and sums, publisher), TX_EDATA damaged. */
tx_status tx_dataset_open(tx_dataset *out, const tx_data_config *c, FILE *note);
void      tx_dataset_close(tx_dataset *d);

/** A registered name. Adding one is one `static const` struct and one line in sets.c. */
typedef struct tx_set_ops {
    const char *name, *summary, *citation;
    const char *files;                                    /**< what must be there, for messages; NULL for built-in sets */
    tx_status (*load)(tx_dataset *out, const tx_data_config *c, FILE *note);
} tx_set_ops;
extern const tx_set_ops *const tx_set_list[];             /**< NULL-terminated */
/** NULL if there is none. */
const tx_set_ops *tx_set_find(const char *name);
#endif
