/** What can be chosen by name, as one kind of list: models, data sets, views, estimators, metrics, optimisers, imputers. */
#ifndef TX_TAXON_CATALOG_H
#define TX_TAXON_CATALOG_H
#include "common/base/options.h"

typedef struct tx_item {
    const char *name, *summary;
    const char *citation;     /**< key of paper/references.bib, or NULL */
    const char *place;        /**< a model's place in the taxonomy, a data set's files; NULL where there is none */
    const tx_option *options; /**< NULL: none */
} tx_item;

typedef struct tx_catalog {
    const char *plural, *noun;
    bool (*at)(int i, tx_item *out); /**< false past the last */
} tx_catalog;
extern const tx_catalog tx_catalog_list[]; /**< ends with plural == NULL */

const tx_catalog *tx_catalog_find(const char *plural); /**< NULL if there is none */
/** "unknown model 'mad': did you mean 'made'?", or with all that there are; in `buf`. */
const char *tx_catalog_unknown(const tx_catalog *c, const char *name, char *buf, size_t size);
#endif
