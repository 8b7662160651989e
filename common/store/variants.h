/** Which variant of a grid valid chooses: the one rule, for compare.h5 and for tables. */
#ifndef TX_STORE_VARIANTS_H
#define TX_STORE_VARIANTS_H
#include "common/store/run_file.h"

/** What became of a variant on a grid. */
typedef struct tx_choice {
    bool chosen;
    int n_tried;      /**< variants of the group among which valid chose; 1 where nothing did */
    int n_incomplete; /**< of these, those without a complete run for each seed of the group */
} tx_choice;

/** Of n runs of one data set and view, sorted by label: out[i] is about the variant (the label) of run[i]. Chosen of a
 *  group is the variant that is complete for the most seeds, of several the one with the best mean `best_score` over
 * its complete runs, of equals the first. A mean over the seeds that happened to end well is not that of all, and a
 * setting that may diverge is none to prefer: it is chosen only where no other lost fewer seeds. Where no run of a
 * group has a score nothing chose, and all its variants are kept. */
void tx_choose_variants(int n, const tx_run_info *const run[], tx_choice out[]);
#endif
