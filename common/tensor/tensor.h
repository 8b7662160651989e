/** A tensor is a view: a pointer and a shape. It owns nothing and is passed by value.
 *  Layout: contiguous, row-major; dim[0] is the batch. No strides: transposition is a GEMM flag. */
#ifndef TX_TENSOR_TENSOR_H
#define TX_TENSOR_TENSOR_H
#include "common/base/base.h"
enum { TX_MAX_RANK = 4 };
/** dim[0..rank). */
typedef struct tx_shape { int rank; size_t dim[TX_MAX_RANK]; } tx_shape;
/** x[product of dims], row-major. */
typedef struct tx_tensor { real *x; tx_shape shape; } tx_tensor;
/** Of a matrix. */
tx_shape  tx_shape2(size_t rows, size_t cols);
/** Same rank, same dims. */
bool      tx_shape_equal(tx_shape a, tx_shape b);
size_t    tx_len(tx_tensor t);                       /**< product of dims */
size_t    tx_rows(tx_tensor t);                      /**< dim[0] */
size_t    tx_cols(tx_tensor t);                      /**< len / rows: an image batch is a matrix for free */
tx_tensor tx_slice_rows(tx_tensor t, size_t from, size_t to); /**< view of rows [from, to) */
tx_tensor tx_matrix(real *x, size_t rows, size_t cols);       /**< view of the caller's memory */
#endif
