/** Samples as pictures. */
#ifndef TX_TAXON_SAMPLES_H
#define TX_TAXON_SAMPLES_H
#include "common/data/view.h"
/** A PNG of the samples y[n,dim] of the view's space: a grid of pictures, or dots for data of two dimensions. Data of
 *  neither kind are TX_EDATA when `required`, else nothing is written. */
tx_status tx_samples_png(const char *path, const tx_view *v, size_t n, const real y[], bool required);
#endif
