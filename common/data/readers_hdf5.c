/* Numeric arrays of HDF5 files. The library trusts what a file says of itself, so that a damaged one can crash or hang
 * it: it sees foreign files only in a process of its own. */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/internal.h"
#include "common/base/text.h"

enum { CHUNK_VALUES = 1 << 16, FILTER_MAX_RATIO = 1032 /* of deflate */, CACHE_SLOTS = 12421, CACHE_BYTES = 1 << 28 };

static bool probe(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return n >= 8 && memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0;
}

/* Whether the content is a HDF5 file's and not compressed as a whole; what is no regular file is refused. */
static tx_status is_hdf5(const char *path, bool *plain)
{
    unsigned char head[8];
    size_t n;
    tx_stream *s;
    TX_TRY(tx_stream_open(path, &s));
    tx_status status = tx_stream_read(s, head, sizeof head, &n);
    *plain = status == TX_OK && !tx_stream_gzip(s) && probe(head, n, path);
    tx_stream_close(s);
    return status;
}

/* The file's array, by name, within the task. */
typedef struct request {
    const char *path, *file, *inner; /* inner: NULL where the only array is meant */
} request;

/* What the task finds: the array's shape, whose values follow as doubles, or why there is none. */
typedef struct answer {
    int good;
    int rank;
    size_t shape[4];
    char why[TX_TEXT_MAX + TX_NAME_MAX];
} answer;

static herr_t refuse_link(const char *from, const char *group, const char *file, const char *object, unsigned *flags,
                          hid_t access, void *ctx)
{
    (void)from, (void)group, (void)file, (void)object, (void)flags, (void)access, (void)ctx;
    return -1;
}

static hid_t open_file(const char *file)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    /* Rows are read in order: without room for the chunks beside one another each would be unpacked many times. */
    H5Pset_cache(access, 0, CACHE_SLOTS, CACHE_BYTES, 1);
    return H5Fopen(file, H5F_ACC_RDONLY, access);
}

/* Other files stay shut: a link could lead to one that never ends. */
static hid_t open_set(hid_t file, const char *name)
{
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_elink_cb(access, refuse_link, NULL);
    return H5Dopen2(file, name, access);
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

static bool send_rows(hid_t set, const answer *a, size_t count, int to)
{
    const size_t dim = count / a->shape[0], per = CHUNK_VALUES / dim ? CHUNK_VALUES / dim : 1;
    const hid_t space = H5Dget_space(set);
    double *v = tx_alloc(per * dim, sizeof *v);
    bool good = true;
    for (size_t row = 0; good && row < a->shape[0]; row += per) {
        const size_t n = a->shape[0] - row < per ? a->shape[0] - row : per;
        const hsize_t from[4] = {row}, extent[4] = {n, a->shape[1], a->shape[2], a->shape[3]};
        const hid_t memory = H5Screate_simple(a->rank, extent, NULL);
        good = H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, extent, NULL) >= 0 &&
               H5Dread(set, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, v) >= 0 &&
               tx_write_all(to, v, n * dim * sizeof *v);
        H5Sclose(memory);
    }
    free(v);
    return good;
}

static tx_status find_set(const request *q, hid_t file, answer *a, hid_t *out, size_t *count)
{
    char name[TX_TEXT_MAX];
    tx_table ignored;
    hsize_t dims[H5S_MAX_RANK] = {0};
    if (file < 0)
        return tx_fail(TX_EDATA,
                       "%s: HDF5 cannot open it: cut, damaged, being written, or on a disk without locks (then set "
                       "HDF5_USE_FILE_LOCKING=FALSE)",
                       q->file);
    if (q->inner)
        tx_copy_text(name, sizeof name, q->inner);
    else
        TX_TRY(find_only(file, q->path, name));
    const hid_t set = *out = open_set(file, name);
    if (set < 0)
        return tx_fail(TX_EDATA, "%s: no array named '%s' in the file (links to other files are not followed)", q->file,
                       name);
    if (!numeric(set)) return tx_fail(TX_EDATA, "%s: expected integers or floats of rank 1 or more", q->path);
    const hid_t space = H5Dget_space(set);
    a->rank = H5Sget_simple_extent_ndims(space);
    H5Sget_simple_extent_dims(space, dims, NULL);
    for (int i = 0; i < a->rank && i < 4; i++) a->shape[i] = dims[i];
    TX_TRY(tx_table_shape(&ignored, q->path, a->rank, a->shape, count));
    return check_storage(q->path, set, H5Dget_type(set), *count);
}

/* The task that gives a table. Nothing is closed: damage makes that, too, a danger, and the process ends anyway. */
static bool send_table(const void *ctx, int to)
{
    const request *q = ctx;
    answer a = {0};
    hid_t set = H5I_INVALID_HID;
    size_t count = 0;
    a.good = find_set(q, open_file(q->file), &a, &set, &count) == TX_OK;
    if (!a.good) tx_copy_text(a.why, sizeof a.why, tx_last_error());
    if (!tx_write_all(to, &a, sizeof a)) return false;
    if (!a.good) return true;
    tx_confined_allow(count * sizeof(double));
    return send_rows(set, &a, count, to);
}

static bool send_splits(const void *ctx, int to)
{
    const hid_t f = open_file(ctx);
    unsigned char yes = f >= 0;
    for (int s = 0; s < TX_N_SPLIT; s++) yes = yes && H5Lexists(f, tx_split_name((tx_split)s), H5P_DEFAULT) > 0;
    return tx_write_all(to, &yes, sizeof yes);
}

/* What comes from the task is believed no more than a file. */
static tx_status take_table(tx_confined *c, const char *path, tx_table *t, tx_sink *k)
{
    answer a;
    size_t count = 0;
    double v[CHUNK_VALUES / 16];
    bool whole = tx_confined_read(c, &a, sizeof a);
    a.why[sizeof a.why - 1] = 0;
    if (whole && !a.good) return tx_fail(TX_EDATA, "%s", a.why);
    if (whole) TX_TRY(tx_table_shape(t, path, a.rank, a.shape, &count));
    while (whole && k->n < count) {
        const size_t n = count - k->n < TX_LEN(v) ? count - k->n : TX_LEN(v);
        whole = tx_confined_read(c, v, n * sizeof *v);
        if (whole) tx_sink_put(k, v, n);
    }
    return whole ? TX_OK : tx_fail(TX_EDATA, "%s: damaged: its values end early", path);
}

static tx_status read_hdf5(const char *path, tx_table *out)
{
    char file[TX_TEXT_MAX];
    const char *inner = tx_path_split(path, file);
    tx_confined c;
    tx_table t = {0};
    tx_sink k = {0};
    bool plain;
    TX_TRY(is_hdf5(file, &plain));
    if (!plain) return tx_fail(TX_EDATA, "%s: HDF5 within gzip: decompress it first", file);
    TX_TRY(tx_confined_start(&c, send_table, &(request){path, file, inner}));
    tx_status status = take_table(&c, path, &t, &k);
    /* How the task ended says more than that it did. */
    if (tx_confined_end(&c, path) != TX_OK) status = TX_EDATA;
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

tx_status tx_hdf5_has_splits(const char *path, bool *yes)
{
    tx_confined c;
    unsigned char answered = 0;
    *yes = false;
    TX_TRY(is_hdf5(path, yes));
    if (!*yes) return TX_OK;
    TX_TRY(tx_confined_start(&c, send_splits, path));
    *yes = tx_confined_read(&c, &answered, 1) && answered == 1;
    return tx_confined_end(&c, path);
}

const tx_reader_ops tx_reader_hdf5 = {"hdf5", "one numeric array of a HDF5 file: FILE.h5#group/name", probe, read_hdf5};
