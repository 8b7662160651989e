/** Samples as pictures. */
#ifndef TX_TAXON_SAMPLES_H
#define TX_TAXON_SAMPLES_H
#include "common/data/view.h"
#include "experiments/taxon/command.h"
/** Where --output is to go, borrowed: a picture, or FILE.h5. TX_EUSAGE. */
tx_status tx_samples_output(const tx_args *a, const char **path, bool *png);
/** Rows y[n,dim] of the view's space in the data's unit; free(). */
real *tx_samples_in_data_unit(const tx_view *v, size_t n, const real y[]);
/** A PNG of the samples y[n,dim] of the view's space: a grid of pictures, or dots for data of two dimensions. Data of
 *  neither kind are TX_EDATA when `required`, else nothing is written. */
tx_status tx_samples_png(const char *path, const tx_view *v, size_t n, const real y[], bool required);
/** A row of pictures for each of the rows x[n,dim] of the view's space: as it is, with the missing variables grey, and its
 *  samples[n,k,dim]. */
tx_status tx_samples_imputed_png(const char *path, const tx_view *v, size_t n, size_t k, const uint8_t missing[],
                                 const real x[], const real sample[]);
/** Can that be: TX_EDATA, naming `path`, where rows of this view are no pictures of 1 or 3 channels, TX_ECREATE where the whole
 *  is too large for a picture. */
tx_status tx_samples_imputed_fit(const char *path, const tx_view *v, size_t n, size_t k);
#endif
