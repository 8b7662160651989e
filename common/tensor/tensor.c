#include "common/tensor/tensor.h"

tx_shape tx_shape2(size_t rows, size_t cols) { return (tx_shape){.rank = 2, .dim = {rows, cols}}; }

bool tx_shape_equal(tx_shape a, tx_shape b)
{
    bool same = a.rank == b.rank;
    for (int i = 0; same && i < a.rank; i++) same = a.dim[i] == b.dim[i];
    return same;
}

static size_t product(tx_shape s, int from)
{
    size_t len = 1;
    for (int i = from; i < s.rank; i++) len *= s.dim[i];
    return len;
}

size_t tx_len(tx_tensor t) { return product(t.shape, 0); }
size_t tx_rows(tx_tensor t) { return t.shape.dim[0]; }
size_t tx_cols(tx_tensor t) { return product(t.shape, 1); }

tx_tensor tx_slice_rows(tx_tensor t, size_t from, size_t to)
{
    TX_REQUIRE(from <= to && to <= tx_rows(t), "rows [%zu, %zu) of %zu", from, to, tx_rows(t));
    if (t.x) t.x += from * tx_cols(t);
    t.shape.dim[0] = to - from;
    return t;
}

tx_tensor tx_matrix(real *x, size_t rows, size_t cols) { return (tx_tensor){.x = x, .shape = tx_shape2(rows, cols)}; }
