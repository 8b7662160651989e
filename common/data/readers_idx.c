/* IDX, the format of MNIST: 0, 0, type, rank, rank big-endian sizes of 32 bits, values. */
#include <string.h>
#include "common/data/internal.h"

static const struct {
    unsigned char code;
    tx_element element;
} type_list[] = {
    {0x08, {'u', 1, true}}, {0x09, {'i', 1, true}}, {0x0b, {'i', 2, true}},
    {0x0c, {'i', 4, true}}, {0x0d, {'f', 4, true}}, {0x0e, {'f', 8, true}},
};

static bool probe(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return n >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= 0x08 && head[2] <= 0x0e;
}

static tx_status read_header(tx_stream *s, tx_element *e, int *rank, size_t shape[4])
{
    unsigned char head[4], size[16];
    size_t got;
    TX_TRY(tx_stream_read(s, head, sizeof head, &got));
    *rank = head[3];
    e->size = 0;
    for (size_t i = 0; i < TX_LEN(type_list); i++)
        if (type_list[i].code == head[2]) *e = type_list[i].element;
    if (e->size == 0 || *rank < 1 || *rank > 4)
        return tx_fail(TX_EDATA,
                       "%s: IDX header: expected a type of 08, 09, 0b to 0e and 1 to 4 dimensions, found %02x and %d",
                       tx_stream_path(s), head[2], *rank);
    const size_t want = 4 * (size_t)*rank;
    TX_TRY(tx_stream_read(s, size, want, &got));
    if (got < want)
        return tx_fail(TX_EDATA, "%s: IDX header: expected %zu bytes, found %zu", tx_stream_path(s), 4 + want, 4 + got);
    for (int i = 0; i < *rank; i++)
        shape[i] = (size_t)size[4 * i] << 24 | (size_t)size[4 * i + 1] << 16 | (size_t)size[4 * i + 2] << 8 |
                   size[4 * i + 3];
    return TX_OK;
}

static tx_status read_idx(const char *path, tx_table *out)
{
    tx_stream *s;
    tx_element e;
    int rank;
    size_t shape[4];
    TX_TRY(tx_stream_open(path, &s));
    tx_status status = read_header(s, &e, &rank, shape);
    if (status == TX_OK) status = tx_array_read(s, "IDX", e, 4 + 4 * (size_t)rank, rank, shape, out);
    tx_stream_close(s);
    return status;
}

const tx_reader_ops tx_reader_idx = {"idx", "arrays as MNIST publishes them", probe, read_idx};
