#include "common/store/h5.h"

#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/commit.h"

enum { CHUNK_FROM = 4096, CHUNK_MAX = 1 << 20, DEFLATE = 4, GROWTH = 1 << 20 };

void tx_store_start(void)
{
    H5dont_atexit();
    H5open();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static const struct {
    const char *name;
    size_t size;
} types[TX_H5_N_TYPE] = {[TX_H5_F64] = {"f64", 8},
                         [TX_H5_F32] = {"f32", 4},
                         [TX_H5_U8] = {"u8", 1},
                         [TX_H5_I32] = {"i32", 4},
                         [TX_H5_TEXT] = {"text", sizeof(char *)}};

size_t tx_h5_type_size(tx_h5_type type) { return types[type].size; }
const char *tx_h5_type_name(tx_h5_type type) { return types[type].name; }

hid_t tx_h5_memory_type(const tx_h5 *f, tx_h5_type type)
{
    const hid_t id[TX_H5_N_TYPE] = {[TX_H5_F64] = H5T_IEEE_F64LE,
                                    [TX_H5_F32] = H5T_IEEE_F32LE,
                                    [TX_H5_U8] = H5T_STD_U8LE,
                                    [TX_H5_I32] = H5T_STD_I32LE,
                                    [TX_H5_TEXT] = f->text};
    return id[type];
}

void tx_h5_memory_name(const tx_h5 *f, char name[TX_H5_MEMORY_NAME])
{
    snprintf(name, TX_H5_MEMORY_NAME, "taxon-in-memory-%p", (const void *)f);
}

static herr_t keep_first(unsigned n, const H5E_error2_t *e, void *reason)
{
    if (n == 0) tx_copy_text(reason, TX_TEXT_MAX, e->desc);
    return 0;
}

void tx_h5_fail(tx_h5 *f, const char *object, const char *what)
{
    if (f->status != TX_OK) return;
    char reason[TX_TEXT_MAX] = "HDF5 gives no reason";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, reason);
    f->status = tx_fail(TX_EIO, "%s: %s: cannot %s: %s", f->path, object, what, reason);
}

/** Names that every reader takes: no spaces, slashes or quotes. */
static bool good_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < TX_NAME_MAX && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}

/** The same rules for a file's and a group's creation: members in order of creation, no times. */
static bool set_order(hid_t list)
{
    return H5Pset_obj_track_times(list, 0) >= 0 &&
           H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0 &&
           H5Pset_attr_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0;
}

tx_h5 *tx_h5_new(const char *path, const char *schema, bool plain)
{
    tx_store_start();
    tx_h5 *f = tx_alloc(1, sizeof *f);
    *f = (tx_h5){.path = tx_strdup(path), .plain = plain};
    hid_t create = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    /* A lower bound above EARLIEST makes HDF5 1.10 write images with a wrong superblock checksum. */
    bool good = set_order(create) && H5Pset_fapl_core(access, GROWTH, 0) >= 0 &&
                H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) >= 0;
    f->text = H5Tcopy(H5T_C_S1);
    good = good && H5Tset_size(f->text, H5T_VARIABLE) >= 0 && H5Tset_cset(f->text, H5T_CSET_UTF8) >= 0;
    char name[TX_H5_MEMORY_NAME];
    tx_h5_memory_name(f, name);
    f->file = good ? H5Fcreate(name, H5F_ACC_TRUNC, create, access) : H5I_INVALID_HID;
    if (f->file < 0) tx_h5_fail(f, "/", "start a file in memory");
    H5Pclose(create);
    H5Pclose(access);
    tx_h5_set_text(f, "/", "schema", schema);
    tx_h5_set_text(f, "/", "schema_version", "1.1");
    return f;
}

tx_status tx_h5_close(tx_h5 *f)
{
    if (!f) return TX_OK;
    if (f->file >= 0 && H5Fclose(f->file) < 0) tx_h5_fail(f, "/", "close");
    if (f->text >= 0) H5Tclose(f->text);
    tx_status s = f->status;
    free(f->path);
    free(f);
    return s;
}

/** Bytes of the finished file with its trailer; NULL with a failure. */
static unsigned char *image_of(tx_h5 *f, size_t *bytes)
{
    if (f->status != TX_OK) return NULL;
    ssize_t n = H5Fflush(f->file, H5F_SCOPE_GLOBAL) >= 0 ? H5Fget_file_image(f->file, NULL, 0) : -1;
    if (n < 0) {
        tx_h5_fail(f, "/", "flush");
        return NULL;
    }
    enum { TRAILER = sizeof TX_H5_TRAILER - 1 + TX_SHA256_TEXT };
    unsigned char *image = tx_alloc((size_t)n + TRAILER + 1, 1);
    if (H5Fget_file_image(f->file, image, (size_t)n) != n) {
        tx_h5_fail(f, "/", "copy out of memory");
        free(image);
        return NULL;
    }
    char sum[TX_SHA256_TEXT];
    tx_sha256_of(image, (size_t)n, sum);
    snprintf((char *)image + n, TRAILER + 1, "%s%s\n", TX_H5_TRAILER, sum);
    *bytes = (size_t)n + TRAILER;
    return image;
}

tx_status tx_h5_commit(tx_h5 *f, char sha256[TX_SHA256_TEXT])
{
    if (!f->plain) {
        char sum[TX_SHA256_TEXT] = "";
        tx_h5_content(f, sum);
        tx_h5_set_text(f, "/", "content_sha256", sum);
        if (sha256) tx_copy_text(sha256, TX_SHA256_TEXT, sum);
    }
    size_t bytes = 0;
    unsigned char *image = image_of(f, &bytes);
    char *path = tx_strdup(f->path);
    tx_status s = tx_h5_close(f);
    if (s == TX_OK) s = tx_commit(path, image, bytes);
    free(path);
    free(image);
    return s;
}

/** Opens a group, making it and its parents where they are missing. */
static hid_t open_group(tx_h5 *f, const char *path)
{
    TX_REQUIRE(path[0] == '/', "group '%s'", path);
    hid_t list = H5Pcreate(H5P_GROUP_CREATE), at = H5Gopen2(f->file, "/", H5P_DEFAULT);
    bool good = at >= 0 && set_order(list);
    if (!good) tx_h5_fail(f, path, "make the group");
    for (const char *p = path + 1; good && *p;) {
        char name[TX_NAME_MAX];
        size_t n = strcspn(p, "/");
        TX_REQUIRE(n < sizeof name, "group '%s'", path);
        memcpy(name, p, n);
        name[n] = '\0';
        TX_REQUIRE(good_name(name), "group '%s' of '%s'", name, path);
        hid_t next = H5Lexists(at, name, H5P_DEFAULT) > 0 ? H5Gopen2(at, name, H5P_DEFAULT)
                                                          : H5Gcreate2(at, name, H5P_DEFAULT, list, H5P_DEFAULT);
        good = next >= 0;
        if (!good) tx_h5_fail(f, path, "make the group");
        H5Gclose(at);
        at = next;
        p += n + (p[n] == '/');
    }
    H5Pclose(list);
    return at;
}

void tx_h5_group(tx_h5 *f, const char *group)
{
    if (f->status != TX_OK) return;
    hid_t g = open_group(f, group);
    if (g >= 0) H5Gclose(g);
}

/** Creation list of an array: contiguous when small, else chunks of at most CHUNK_MAX bytes with filters. */
static hid_t array_list(const tx_h5 *f, const tx_h5_array *a)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(list, 0);
    H5Pset_attr_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    hsize_t chunk[TX_MAX_RANK];
    size_t item = types[a->type].size, all = item, bytes = item;
    for (int i = 0; i < a->rank; i++) {
        all *= a->dim[i].n;
        chunk[i] = a->by_row && i < a->rank - 1 ? 1 : a->dim[i].n;
        bytes *= chunk[i];
    }
    if (f->plain || a->type == TX_H5_TEXT || all <= CHUNK_FROM) return list;
    for (int i = 0; i < a->rank && bytes > CHUNK_MAX; i += chunk[i] == 1) {
        bytes /= chunk[i];
        chunk[i] = (chunk[i] + 1) / 2;
        bytes *= chunk[i];
    }
    H5Pset_chunk(list, a->rank, chunk);
    if (item > 1) H5Pset_shuffle(list);
    H5Pset_deflate(list, DEFLATE);
    H5Pset_fletcher32(list);
    return list;
}

/** The scale of an axis; a dimension without coordinates is made as netCDF-4 makes it. */
static hid_t open_scale(tx_h5 *f, hid_t group, const tx_h5_array *a, int axis)
{
    const char *name = a->dim[axis].name;
    hsize_t n = a->dim[axis].n, found = 0;
    if (H5Lexists(group, name, H5P_DEFAULT) > 0) {
        hid_t scale = H5Dopen2(group, name, H5P_DEFAULT), space = H5Dget_space(scale);
        TX_REQUIRE(H5DSis_scale(scale) > 0 && H5Sget_simple_extent_ndims(space) == 1, "%s/%s: axis '%s' is an array",
                   a->group, a->name, name);
        H5Sget_simple_extent_dims(space, &found, NULL);
        TX_REQUIRE(found == n, "%s/%s: axis '%s' has %zu, not %zu", a->group, a->name, name, (size_t)found, (size_t)n);
        H5Sclose(space);
        return scale;
    }
    TX_REQUIRE(good_name(name), "axis '%s' of %s/%s", name, a->group, a->name);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &n, NULL);
    H5Pset_obj_track_times(list, 0);
    H5Pset_attr_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    hid_t scale = H5Dcreate2(group, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    char text[TX_NAME_MAX];
    snprintf(text, sizeof text, "%s %10d", TX_H5_PURE, (int)n);
    if (scale < 0 || H5DSset_scale(scale, text) < 0) tx_h5_fail(f, name, "make the dimension");
    H5Sclose(space);
    H5Pclose(list);
    return scale;
}

static bool is_coordinate(const tx_h5_array *a) { return a->rank == 1 && strcmp(a->name, a->dim[0].name) == 0; }

hid_t tx_h5_select_rows(hid_t space, size_t first, size_t n)
{
    hid_t rows = H5Scopy(space);
    hsize_t from[TX_MAX_RANK] = {first}, count[TX_MAX_RANK];
    if (H5Sget_simple_extent_ndims(rows) < 1) return rows;
    H5Sget_simple_extent_dims(rows, count, NULL);
    count[0] = n;
    if (H5Sselect_hyperslab(rows, H5S_SELECT_SET, from, NULL, count, NULL) >= 0) return rows;
    H5Sclose(rows);
    return H5I_INVALID_HID;
}

/** Whole chunks at a time, so that none is compressed twice. */
static bool write_filled(const tx_h5_array *a, hid_t set, hid_t type, hid_t space, hid_t list)
{
    hsize_t chunk[TX_MAX_RANK] = {a->dim[0].n};
    if (H5Pget_layout(list) == H5D_CHUNKED) H5Pget_chunk(list, a->rank, chunk);
    size_t row = 1, rows = a->dim[0].n;
    for (int i = 1; i < a->rank; i++) row *= a->dim[i].n;
    void *data = tx_alloc(chunk[0] * row, types[a->type].size);
    bool good = true;
    for (size_t first = 0; good && first < rows; first += chunk[0]) {
        size_t n = rows - first < chunk[0] ? rows - first : chunk[0];
        a->fill(a->ctx, first, n, data);
        hid_t here = tx_h5_select_rows(space, first, n), there = H5Screate_simple(1, &(hsize_t){n * row}, NULL);
        good = here >= 0 && H5Dwrite(set, type, there, here, H5P_DEFAULT, data) >= 0;
        H5Sclose(here);
        H5Sclose(there);
    }
    free(data);
    return good;
}

static void create_array(tx_h5 *f, hid_t group, const tx_h5_array *a, const hid_t scale[])
{
    hsize_t n[TX_MAX_RANK];
    for (int i = 0; i < a->rank; i++) n[i] = a->dim[i].n;
    hid_t type = tx_h5_memory_type(f, a->type), list = array_list(f, a);
    hid_t space = a->rank ? H5Screate_simple(a->rank, n, NULL) : H5Screate(H5S_SCALAR);
    hid_t set = H5Dcreate2(group, a->name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (set < 0 || (a->data ? H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, a->data) < 0
                            : !write_filled(a, set, type, space, list)))
        tx_h5_fail(f, a->name, "write");
    if (f->status == TX_OK && is_coordinate(a) && H5DSset_scale(set, a->name) < 0)
        tx_h5_fail(f, a->name, "make a coordinate");
    for (int i = 0; i < a->rank && !is_coordinate(a); i++)
        if (f->status == TX_OK && H5DSattach_scale(set, scale[i], (unsigned)i) < 0)
            tx_h5_fail(f, a->name, "name an axis");
    H5Pclose(list);
    H5Sclose(space);
    if (set >= 0) H5Dclose(set);
}

void tx_h5_put(tx_h5 *f, const tx_h5_array *a)
{
    if (f->status != TX_OK) return;
    TX_REQUIRE(good_name(a->name) && a->rank >= 0 && a->rank <= TX_MAX_RANK, "%s/%s", a->group, a->name);
    TX_REQUIRE(a->type == TX_H5_TEXT || (a->unit && a->unit[0] && a->long_name && a->long_name[0]),
               "%s/%s has no unit or no long name", a->group, a->name);
    for (int i = 0; i < a->rank; i++)
        TX_REQUIRE(a->dim[i].n > 0 && a->dim[i].n <= INT32_MAX, "%s/%s: axis %d of %zu", a->group, a->name, i,
                   a->dim[i].n);
    hid_t group = open_group(f, a->group), scale[TX_MAX_RANK] = {-1, -1, -1, -1};
    if (group < 0) return;
    for (int i = 0; i < a->rank && !is_coordinate(a); i++) scale[i] = open_scale(f, group, a, i);
    if (f->status == TX_OK) create_array(f, group, a, scale);
    for (int i = 0; i < a->rank; i++)
        if (scale[i] >= 0) H5Dclose(scale[i]);
    H5Gclose(group);
    char path[TX_TEXT_MAX];
    snprintf(path, sizeof path, "%s/%s", a->group, a->name);
    tx_h5_set_text(f, path, "units", a->unit);
    tx_h5_set_text(f, path, "long_name", a->long_name);
}

void tx_h5_put_number(tx_h5 *f, const char *group, const char *name, double value, const char *unit,
                      const char *long_name)
{
    tx_h5_put(
        f, &(tx_h5_array){
               .group = group, .name = name, .type = TX_H5_F64, .data = &value, .unit = unit, .long_name = long_name});
}

/** n = 0: a scalar. */
static void set_attribute(tx_h5 *f, const char *object, const char *name, tx_h5_type type, size_t n, const void *data)
{
    if (f->status != TX_OK) return;
    hsize_t size = n;
    hid_t space = n ? H5Screate_simple(1, &size, NULL) : H5Screate(H5S_SCALAR);
    hid_t at = H5Oopen(f->file, object, H5P_DEFAULT);
    hid_t a = at < 0 ? at : H5Acreate2(at, name, tx_h5_memory_type(f, type), space, H5P_DEFAULT, H5P_DEFAULT);
    if (a < 0 || H5Awrite(a, tx_h5_memory_type(f, type), data) < 0) {
        char what[TX_NAME_MAX + 32];
        snprintf(what, sizeof what, "set the attribute '%s'", name);
        tx_h5_fail(f, object, what);
    }
    if (a >= 0) H5Aclose(a);
    if (at >= 0) H5Oclose(at);
    H5Sclose(space);
}

void tx_h5_set_text(tx_h5 *f, const char *object, const char *name, const char *text)
{
    if (text && text[0]) set_attribute(f, object, name, TX_H5_TEXT, 0, &text);
}

void tx_h5_set_f64(tx_h5 *f, const char *object, const char *name, double value)
{
    set_attribute(f, object, name, TX_H5_F64, 0, &value);
}

void tx_h5_set_i32(tx_h5 *f, const char *object, const char *name, int value)
{
    int32_t v = value;
    set_attribute(f, object, name, TX_H5_I32, 0, &v);
}

void tx_h5_set_u8(tx_h5 *f, const char *object, const char *name, size_t n, const uint8_t *value)
{
    set_attribute(f, object, name, TX_H5_U8, n, value);
}
