#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/data/internal.h"

const tx_reader_ops *const tx_reader_list[] = {
    &tx_reader_idx, &tx_reader_npy, &tx_reader_hdf5, &tx_reader_amat, &tx_reader_csv, NULL,
};

void tx_table_free(tx_table *t)
{
    free(t->u8);
    free(t->f32);
    *t = (tx_table){0};
}

void tx_sink_free(tx_sink *k)
{
    free(k->u8);
    free(k->f32);
    *k = (tx_sink){0};
}

static void grow(tx_sink *k, size_t need)
{
    size_t to = k->capacity ? k->capacity : 1 << 16;
    while (to < need) TX_REQUIRE(!__builtin_mul_overflow(to, 2, &to), "%zu values", need);
    if (to == k->capacity && (k->u8 || k->f32)) return;
    if (k->f32)
        k->f32 = tx_realloc(k->f32, k->capacity, to, sizeof *k->f32);
    else
        k->u8 = tx_realloc(k->u8, k->capacity, to, sizeof *k->u8);
    k->capacity = to;
}

static void promote(tx_sink *k)
{
    k->f32 = tx_alloc(k->capacity, sizeof *k->f32);
    for (size_t i = 0; i < k->n; i++) k->f32[i] = k->u8[i];
    free(k->u8);
    k->u8 = NULL;
}

void tx_sink_put(tx_sink *k, const double v[], size_t n)
{
    grow(k, k->n + n);
    size_t i = 0;
    for (; !k->f32 && i < n; i++) {
        if (!(v[i] >= 0 && v[i] <= 255 && v[i] == (int)v[i])) {
            promote(k);
            break;
        }
        k->u8[k->n++] = (uint8_t)v[i];
    }
    for (; i < n; i++) k->f32[k->n++] = (float)v[i];
}

/* Bytes are what the sink keeps anyway: no way through double. */
static void put_bytes(tx_sink *k, const unsigned char b[], size_t n)
{
    grow(k, k->n + n);
    memcpy(k->u8 + k->n, b, n);
    k->n += n;
}

void tx_sink_table(tx_sink *k, tx_table *t)
{
    t->u8 = k->u8;
    t->f32 = k->f32;
    *k = (tx_sink){0};
}

tx_status tx_table_shape(tx_table *t, const char *path, int rank, const size_t shape[], size_t *count)
{
    if (rank < 1 || rank > 4)
        return tx_fail(TX_EDATA, "%s: expected an array of 1 to 4 dimensions, found %d", path, rank);
    *count = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] == 0) return tx_fail(TX_EDATA, "%s: dimension %d of the array is 0: no values", path, i);
        if (__builtin_mul_overflow(*count, shape[i], count))
            return tx_fail(TX_EDATA, "%s: the array declares more values than can be counted (dimension %d is %zu)",
                           path, i, shape[i]);
    }
    t->n = shape[0];
    t->dim = *count / shape[0];
    t->height = rank >= 3 ? shape[1] : 0;
    t->width = rank >= 3 ? shape[2] : 0;
    t->channel = rank == 4 ? shape[3] : rank == 3;
    return TX_OK;
}

static double decode(const unsigned char *p, tx_element e)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < e.size; i++) bits |= (uint64_t)p[e.big ? e.size - 1 - i : i] << 8 * i;
    if (e.kind == 'u') return (double)bits;
    if (e.kind == 'i') {
        const uint64_t sign = UINT64_C(1) << (8 * e.size - 1);
        return bits & sign ? -(double)((sign - 1 - (bits & (sign - 1))) + 1) : (double)bits;
    }
    double v;
    if (e.size == sizeof v) {
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    const uint32_t half = (uint32_t)bits;
    float f;
    memcpy(&f, &half, sizeof f);
    return f;
}

static tx_status read_values(tx_stream *s, tx_element e, size_t header, size_t count, tx_sink *k)
{
    enum { CHUNK = 4096 };
    unsigned char raw[CHUNK * sizeof(double)];
    double v[CHUNK];
    const bool bytes = e.kind == 'u' && e.size == 1;
    for (size_t done = 0; done < count;) {
        const size_t n = count - done < CHUNK ? count - done : CHUNK;
        size_t got;
        TX_TRY(tx_stream_read(s, raw, n * e.size, &got));
        if (got < n * e.size)
            return tx_fail(TX_EDATA, "%s: expected %zu bytes of content, found %zu", tx_stream_path(s),
                           header + count * e.size, header + done * e.size + got);
        if (bytes) {
            put_bytes(k, raw, n);
        } else {
            for (size_t i = 0; i < n; i++) v[i] = decode(raw + i * e.size, e);
            tx_sink_put(k, v, n);
        }
        done += n;
    }
    return tx_stream_end(s, header + count * e.size);
}

static void describe(tx_table *t, const char *format, tx_element e, int rank, const size_t shape[], bool gzip)
{
    size_t used = (size_t)snprintf(t->note, sizeof t->note, "%s %c%zu%s ", format, e.kind, 8 * e.size,
                                   e.size == 1 ? ""
                                   : e.big     ? " big-endian"
                                               : " little-endian");
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(t->note + used, sizeof t->note - used, "%s%zu", i ? " x " : "", shape[i]);
    if (gzip) snprintf(t->note + used, sizeof t->note - used, ", gzip");
}

tx_status tx_array_read(tx_stream *s, const char *format, tx_element e, size_t header, int rank, const size_t shape[],
                        tx_table *out)
{
    tx_table t = {0};
    size_t count, bytes;
    TX_TRY(tx_table_shape(&t, tx_stream_path(s), rank, shape, &count));
    if (__builtin_mul_overflow(count, e.size, &bytes))
        return tx_fail(TX_EDATA, "%s: declares %zu values of %zu bytes, more than can be addressed", tx_stream_path(s),
                       count, e.size);
    TX_TRY(tx_stream_expect(s, header, bytes));
    tx_sink k = {0};
    tx_status status = read_values(s, e, header, count, &k);
    if (status != TX_OK) {
        tx_sink_free(&k);
        return status;
    }
    tx_sink_table(&k, &t);
    describe(&t, format, e, rank, shape, tx_stream_gzip(s));
    *out = t;
    return TX_OK;
}

const char *tx_path_split(const char *path, char file[TX_TEXT_MAX])
{
    tx_copy_text(file, TX_TEXT_MAX, path);
    char *hash = strrchr(file, '#');
    if (!hash || access(path, F_OK) == 0) return NULL;
    *hash = 0;
    return path + (hash - file) + 1;
}

static tx_status head_of(const char *file, unsigned char head[], size_t size, size_t *n)
{
    tx_stream *s;
    TX_TRY(tx_stream_open(file, &s));
    tx_status status = tx_stream_read(s, head, size, n);
    tx_stream_close(s);
    return status;
}

static tx_status check_finite(const char *path, const tx_table *t)
{
    for (size_t i = 0; t->f32 && i < t->n * t->dim; i++)
        if (!isfinite(t->f32[i]))
            return tx_fail(TX_EDATA, "%s: row %zu, column %zu: expected a finite 32-bit number, found %g", path,
                           i / t->dim + 1, i % t->dim + 1, t->f32[i]);
    return TX_OK;
}

static tx_status check_inner(const char *path, const char *inner, const tx_reader_ops *r)
{
    if (inner && r != &tx_reader_hdf5)
        return tx_fail(TX_EDATA, "%s: '#' names an array of a HDF5 file, but the file is of format %s", path, r->name);
    return TX_OK;
}

tx_status tx_table_read(const char *path, tx_table *out)
{
    char file[TX_TEXT_MAX];
    unsigned char head[4096] = {0};
    size_t n;
    const char *inner = tx_path_split(path, file);
    TX_TRY(head_of(file, head, sizeof head, &n));
    if (n == 0) return tx_fail(TX_EDATA, "%s: no rows: the file has 0 bytes of content", path);
    for (int i = 0; tx_reader_list[i]; i++) {
        const tx_reader_ops *r = tx_reader_list[i];
        if (!r->probe(head, n, file)) continue;
        tx_table t = {0};
        TX_TRY(check_inner(path, inner, r));
        TX_TRY(r->read(path, &t));
        tx_status status = check_finite(path, &t);
        if (status == TX_OK)
            *out = t;
        else
            tx_table_free(&t);
        return status;
    }
    return tx_fail(
        TX_EDATA,
        "%s: of no known format (IDX, NPY, HDF5, or text in columns); it begins with bytes %02x %02x %02x %02x", path,
        head[0], head[1], head[2], head[3]);
}
