/** What the baselines share: rows of the training split, clusters of them, components of mixtures. */
#ifndef MODELS_BASELINE_ROWS_H
#define MODELS_BASELINE_ROWS_H
#include "common/data/view.h"

/** Rows from..from+n-1 of the training split in stored order, as epoch `epoch` of the run `seed` shows them: x[n,dim].
 */
void tx_baseline_rows(const tx_view *v, uint64_t seed, uint64_t epoch, size_t from, size_t n, real x[]);

/** Clusters of the rows x[n,d], which tx_rows_centre has centred; square[n] is its second result. */
typedef struct tx_clusters {
    size_t k;
    real *centre;      /**< [k,d] in the unit of x */
    double *square;    /**< [k] |centre|^2 */
    size_t *size;      /**< [k] rows nearest to each; may be 0 */
    uint32_t *nearest; /**< [n] index of each row's centre */
} tx_clusters;
/** At most `n_iter` of Lloyd's iterations from centres of k-means++ (Arthur & Vassilvitskii 2007), fewer where no row
 *  changes its cluster. The centres are drawn in at most 101 rounds that share their distances, one at a time up to
 *  k = 100 (rounds: Bahmani et al. 2012). A cluster without rows keeps its centre; where fewer distinct rows than
 *  centres exist, some coincide. The same bits for every number of threads. */
tx_clusters tx_clusters_find(size_t n, size_t d, const real *x, const double square[], size_t k, int n_iter, tx_rng r);
void tx_clusters_free(tx_clusters *c);

/** component[i] of samples first..first+n-1, k with probability exp(log_weight[k]) / sum, by inversion. */
void tx_draw_components(size_t k, const real log_weight[], tx_rng r, uint64_t first, size_t n, size_t component[]);
#endif
