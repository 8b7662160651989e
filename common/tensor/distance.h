/** Squared Euclidean distances between rows, by GEMM: what kernel densities, clusters and two-sample statistics share. */
#ifndef TX_TENSOR_DISTANCE_H
#define TX_TENSOR_DISTANCE_H
#include "common/base/base.h"
/** mean[d] of the rows of x[n,d], n >= 1. */
void tx_rows_mean(size_t n, size_t d, const real *x, double mean[]);
/** x[n,d] -= centre[d] in place; square[n] = |x_i|^2 of what is left. Distances stay as they are, and keep their digits:
 *  tx_rows_distance rounds |x|^2 + |y|^2. */
void tx_rows_centre(size_t n, size_t d, const double centre[], real *x, double square[]);
/** distance[n,m] = |x_i|^2 + |y_j|^2 - 2 x_i.y_j for x[n,d] and y[m,d], from their squares; never negative. */
void tx_rows_distance(size_t n, size_t m, size_t d, const real *x, const double x_square[], const real *y,
                      const double y_square[], real *distance);
#endif
