/** Per-example values of many runs, few of them in memory. Private to this folder. */
#ifndef TX_STORE_VALUES_H
#define TX_STORE_VALUES_H
#include "common/store/run_file.h"

typedef struct tx_values tx_values;
tx_values *tx_values_new(void);
void tx_values_free(tx_values *v);
/** Does the run tell its examples' log-likelihoods of this estimate, in memory or in its files? */
bool tx_values_has(const tx_run_info *r, const tx_estimate *e);
/** Copies all e->n of them. */
tx_status tx_values_get(tx_values *v, const tx_run_info *r, const tx_estimate *e, double *to);
#endif
