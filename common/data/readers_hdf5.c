/* Numeric arrays of HDF5 files. */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/internal.h"
#include "common/base/text.h"

enum { CHUNK_VALUES = 1 << 16, FILTER_MAX_RATIO = 1032 /* of deflate */ };

static bool probe(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return n >= 8 && memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0;
}

static tx_status open_file(const char *file, hid_t *out)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    tx_stream *s; /* refuses what is no regular file before HDF5 touches it */
    TX_TRY(tx_stream_open(file, &s));
    const bool gzip = tx_stream_gzip(s);
    tx_stream_close(s);
    if (gzip) return tx_fail(TX_EDATA, "%s: HDF5 within gzip: decompress it first", file);
    *out = H5Fopen(file, H5F_ACC_RDONLY, H5P_DEFAULT);
    return *out >= 0 ? TX_OK : tx_fail(TX_EDATA, "%s: HDF5 cannot open it: cut, damaged, or being written", file);
}

static bool numeric(hid_t set)
{
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    H5T_class_t class = H5Tget_class(type);
    bool yes = (class == H5T_INTEGER || class == H5T_FLOAT) && H5Sget_simple_extent_ndims(space) >= 1;
    H5Sclose(space);
    H5Tclose(type);
    return yes;
}

typedef struct search {
    int n;
    char name[TX_TEXT_MAX];
} search;

static herr_t visit(hid_t object, const char *name, const H5O_info_t *info, void *ctx)
{
    search *found = ctx;
    if (info->type != H5O_TYPE_DATASET) return 0;
    hid_t set = H5Dopen2(object, name, H5P_DEFAULT);
    if (set < 0) return 0;
    /* Dimension scales are coordinates of other arrays, not data. */
    const bool scale = H5Aexists(set, "CLASS") > 0 && H5Aexists(set, "NAME") > 0;
    if (!scale && numeric(set) && found->n++ == 0) tx_copy_text(found->name, sizeof found->name, name);
    H5Dclose(set);
    return 0;
}

static tx_status find_only(hid_t file, const char *path, char name[TX_TEXT_MAX])
{
    search found = {0};
    H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, &found, H5O_INFO_BASIC);
    if (found.n != 1)
        return tx_fail(TX_EDATA, "%s: expected exactly one numeric array, found %d: name it, as in FILE.h5#group/name",
                       path, found.n);
    tx_copy_text(name, TX_TEXT_MAX, found.name);
    return TX_OK;
}

/* Memory is taken only for what the stored bytes can hold: also a chunk, which the library keeps whole. */
static tx_status check_storage(const char *path, hid_t set, hid_t type, size_t count)
{
    const hsize_t stored = H5Dget_storage_size(set);
    hid_t plist = H5Dget_create_plist(set);
    hsize_t chunk[H5S_MAX_RANK];
    double chunk_values = 1;
    const int rank = H5Pget_layout(plist) == H5D_CHUNKED ? H5Pget_chunk(plist, H5S_MAX_RANK, chunk) : 0;
    const int external = H5Pget_external_count(plist);
    for (int i = 0; i < rank; i++) chunk_values *= (double)chunk[i];
    H5Pclose(plist);
    const double limit = (double)stored * FILTER_MAX_RATIO, size = (double)H5Tget_size(type);
    if (external > 0)
        return tx_fail(TX_EDATA, "%s: its values are in %d other files: expected them in this one", path, external);
    if ((double)count * size > limit || chunk_values * size > limit)
        return tx_fail(TX_EDATA, "%s: declares %zu values of %zu bytes, more than its %llu stored bytes can hold", path,
                       count, H5Tget_size(type), (unsigned long long)stored);
    return TX_OK;
}

static tx_status read_rows(const char *path, hid_t set, hid_t space, int rank, const hsize_t dims[4], size_t dim,
                           tx_sink *k)
{
    size_t per = CHUNK_VALUES / dim ? CHUNK_VALUES / dim : 1;
    double *v = tx_alloc(per * dim, sizeof *v);
    herr_t e = 0;
    for (hsize_t row = 0; e >= 0 && row < dims[0]; row += per) {
        hsize_t from[4] = {row}, extent[4] = {dims[0] - row < per ? dims[0] - row : per, dims[1], dims[2], dims[3]};
        hid_t memory = H5Screate_simple(rank, extent, NULL);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, extent, NULL);
        e = H5Dread(set, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, v);
        H5Sclose(memory);
        if (e >= 0) tx_sink_put(k, v, extent[0] * dim);
    }
    free(v);
    return e >= 0
               ? TX_OK
               : tx_fail(TX_EDATA, "%s: HDF5 cannot read its values: damaged, or written with a missing filter", path);
}

static tx_status read_set(const char *path, hid_t set, tx_table *out)
{
    if (!numeric(set)) return tx_fail(TX_EDATA, "%s: expected integers or floats of rank 1 or more", path);
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    int rank = H5Sget_simple_extent_ndims(space);
    hsize_t dims[H5S_MAX_RANK] = {0};
    size_t shape[4] = {0}, count;
    tx_table t = {0};
    tx_sink k = {0};
    H5Sget_simple_extent_dims(space, dims, NULL);
    for (int i = 0; i < rank && i < 4; i++) shape[i] = dims[i];
    tx_status status = tx_table_shape(&t, path, rank, shape, &count);
    if (status == TX_OK) status = check_storage(path, set, type, count);
    if (status == TX_OK) status = read_rows(path, set, space, rank, dims, t.dim, &k);
    H5Tclose(type);
    H5Sclose(space);
    if (status != TX_OK) {
        tx_sink_free(&k);
        return status;
    }
    tx_sink_table(&k, &t);
    snprintf(t.note, sizeof t.note, "HDF5 %zu row%s x %zu value%s", t.n, tx_plural((long long)t.n), t.dim,
             tx_plural((long long)t.dim));
    *out = t;
    return TX_OK;
}

static tx_status read_hdf5(const char *path, tx_table *out)
{
    char file[TX_TEXT_MAX], name[TX_TEXT_MAX] = "";
    const char *inner = tx_path_split(path, file);
    hid_t f = H5I_INVALID_HID;
    TX_TRY(open_file(file, &f));
    tx_status status = inner ? (tx_copy_text(name, sizeof name, inner), TX_OK) : find_only(f, path, name);
    if (status == TX_OK) {
        hid_t set = H5Dopen2(f, name, H5P_DEFAULT);
        status = set >= 0 ? read_set(path, set, out)
                          : tx_fail(TX_EDATA, "%s: no array named '%s' in the file", file, name);
        if (set >= 0) H5Dclose(set);
    }
    H5Fclose(f);
    return status;
}

bool tx_hdf5_has_splits(const char *path)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (H5Fis_hdf5(path) <= 0) return false;
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (f < 0) return false;
    bool yes = true;
    for (int s = 0; s < TX_N_SPLIT; s++) yes = yes && H5Lexists(f, tx_split_name((tx_split)s), H5P_DEFAULT) > 0;
    H5Fclose(f);
    return yes;
}

const tx_reader_ops tx_reader_hdf5 = {"hdf5", "one numeric array of a HDF5 file: FILE.h5#group/name", probe, read_hdf5};
