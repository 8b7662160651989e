/** A finished run made alive again: its file, its data, its model with the stored weights. */
#ifndef TX_TAXON_STORED_H
#define TX_TAXON_STORED_H
#include "common/store/run_file.h"
#include "experiments/taxon/spec.h"

typedef struct tx_stored {
    char path[TX_TEXT_MAX];
    tx_run_info info;
    tx_spec spec;
    tx_setting *set;
} tx_stored;
/** `arg`: result.h5 or its folder. The data set is needed: TX_ENOINPUT where it is gone, TX_EDATA where it has changed,
 * where the file is damaged, or of a version or configuration that is not understood: the message says which. */
tx_status tx_stored_open(tx_stored **out, const char *arg);
void tx_stored_close(tx_stored *s); /**< NULL is allowed */
#endif
