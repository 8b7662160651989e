#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/store/h5.h"

enum { SCHEMA_MAJOR = 1, DEFLATE_RATIO = 1032, SLACK = 4096 };

/** Reads `bytes` bytes; false with errno, or errno 0 at an early end. */
static bool read_all(int fd, unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = read(fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = 0;
        if (n <= 0) return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

static tx_status check_trailer(const char *path, const unsigned char *data, size_t *bytes)
{
    const size_t mark = sizeof TX_H5_TRAILER - 1, trailer = mark + TX_SHA256_TEXT;
    if (*bytes <= trailer || memcmp(data + *bytes - trailer, TX_H5_TRAILER, mark) != 0 || data[*bytes - 1] != '\n')
        return tx_fail(TX_EDATA, "%s: expected a last line '%s...', found none: cut short, or not written by taxon",
                       path, TX_H5_TRAILER);
    *bytes -= trailer;
    char sum[TX_SHA256_TEXT];
    tx_sha256_of(data, *bytes, sum);
    if (memcmp(sum, data + *bytes + mark, TX_SHA256_TEXT - 1) != 0)
        return tx_fail(TX_EDATA, "%s: damaged: its last line says %.64s, its bytes have %s", path,
                       (const char *)data + *bytes + mark, sum);
    return TX_OK;
}

tx_status tx_h5_read_image(const char *path, unsigned char **data, size_t *bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        tx_status s = tx_fail(TX_ENOINPUT, "%s: cannot be read: %s", path,
                              fd < 0 ? strerror(errno) : "not a regular file");
        if (fd >= 0) close(fd);
        return s;
    }
    unsigned char *all = tx_alloc((size_t)st.st_size, 1);
    *bytes = (size_t)st.st_size;
    tx_status s = TX_OK;
    if (!read_all(fd, all, *bytes))
        s = tx_fail(TX_EIO, "%s: cannot be read: %s", path, errno ? strerror(errno) : "it became shorter meanwhile");
    close(fd);
    if (s == TX_OK) s = check_trailer(path, all, bytes);
    if (s == TX_OK)
        *data = all;
    else
        free(all);
    return s;
}

static void check_schema(tx_h5 *f, const char *schema)
{
    char *found = tx_h5_get_text(f, "/", "schema"), *version = tx_h5_get_text(f, "/", "schema_version");
    if (f->status == TX_OK && (!found || strcmp(found, schema) != 0))
        f->status = tx_fail(TX_EDATA, "%s: expected a file of schema %s, found %s", f->path, schema,
                            found ? found : "none");
    else if (f->status == TX_OK && (!version || strtol(version, NULL, 10) != SCHEMA_MAJOR))
        f->status = tx_fail(TX_EDATA,
                            "%s: expected schema version %d.x, found %s: read it with the taxon that wrote it", f->path,
                            SCHEMA_MAJOR, version ? version : "none");
    free(found);
    free(version);
}

tx_status tx_h5_open(tx_h5 **out, const char *path, const char *schema)
{
    unsigned char *image = NULL;
    size_t bytes = 0;
    TX_TRY(tx_h5_read_image(path, &image, &bytes));
    tx_store_start();
    tx_h5 *f = tx_alloc(1, sizeof *f);
    *f = (tx_h5){.path = tx_strdup(path), .text = H5Tcopy(H5T_C_S1)};
    H5Tset_size(f->text, H5T_VARIABLE);
    H5Tset_cset(f->text, H5T_CSET_UTF8);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    bool good = H5Pset_fapl_core(access, 1 << 20, 0) >= 0 && H5Pset_file_image(access, image, bytes) >= 0;
    free(image); /* H5LTopen_file_image would not copy it, but loses memory at each call */
    char name[TX_H5_MEMORY_NAME];
    tx_h5_memory_name(f, name);
    f->file = good ? H5Fopen(name, H5F_ACC_RDONLY, access) : H5I_INVALID_HID;
    if (f->file < 0) tx_h5_fail(f, "/", "open");
    H5Pclose(access);
    if (schema) check_schema(f, schema);
    if (f->status != TX_OK) return tx_h5_close(f);
    *out = f;
    return TX_OK;
}

tx_status tx_h5_status(const tx_h5 *f) { return f->status; }

bool tx_h5_has(tx_h5 *f, const char *path)
{
    char *part = tx_strdup(path);
    bool found = f->status == TX_OK;
    for (char *end = part + 1; found && *part && end[-1];) {
        end += strcspn(end, "/");
        char kept = *end;
        *end = '\0';
        found = strcmp(part, "/") == 0 || H5Lexists(f->file, part, H5P_DEFAULT) > 0;
        *end = kept;
        if (!kept) break;
        end++;
    }
    free(part);
    return found;
}

bool tx_h5_is_pure_dimension(hid_t set)
{
    char name[TX_NAME_MAX] = "";
    if (H5Aexists(set, "NAME") <= 0) return false;
    hid_t a = H5Aopen(set, "NAME", H5P_DEFAULT), type = H5Aget_type(a);
    if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && H5Tget_size(type) < sizeof name)
        H5Aread(a, type, name);
    H5Tclose(type);
    H5Aclose(a);
    return strncmp(name, TX_H5_PURE, sizeof TX_H5_PURE - 1) == 0;
}

tx_h5_name *tx_h5_list(tx_h5 *f, const char *group, size_t *n)
{
    *n = 0;
    if (!tx_h5_has(f, group)) return NULL;
    hid_t g = H5Gopen2(f->file, group, H5P_DEFAULT);
    H5G_info_t info;
    if (g < 0 || H5Gget_info(g, &info) < 0) {
        tx_h5_fail(f, group, "list the group");
        if (g >= 0) H5Gclose(g);
        return NULL;
    }
    tx_h5_name *name = tx_alloc((size_t)info.nlinks, sizeof *name);
    for (hsize_t i = 0; i < info.nlinks && f->status == TX_OK; i++) {
        ssize_t length = H5Lget_name_by_idx(g, ".", H5_INDEX_NAME, H5_ITER_INC, i, name[*n], sizeof *name, H5P_DEFAULT);
        hid_t object = length > 0 && length < (ssize_t)sizeof *name ? H5Oopen(g, name[*n], H5P_DEFAULT)
                                                                    : H5I_INVALID_HID;
        if (object < 0) tx_h5_fail(f, group, "open a member of the group");
        *n += object >= 0 && !(H5Iget_type(object) == H5I_DATASET && tx_h5_is_pure_dimension(object));
        if (object >= 0) H5Oclose(object);
    }
    H5Gclose(g);
    return name;
}

bool tx_h5_type_of(hid_t type, tx_h5_type *out)
{
    const hid_t id[] = {[TX_H5_F64] = H5T_IEEE_F64LE,
                        [TX_H5_F32] = H5T_IEEE_F32LE,
                        [TX_H5_U8] = H5T_STD_U8LE,
                        [TX_H5_I32] = H5T_STD_I32LE};
    for (size_t i = 0; i < TX_LEN(id); i++)
        if (H5Tequal(type, id[i]) > 0) {
            *out = (tx_h5_type)i;
            return true;
        }
    *out = TX_H5_TEXT;
    return H5Tis_variable_str(type) > 0 && H5Tget_cset(type) == H5T_CSET_UTF8;
}

bool tx_h5_plausible(hid_t set, size_t bytes) { return bytes / DEFLATE_RATIO <= H5Dget_storage_size(set) + SLACK; }

/** Shape of a set and the bytes of its values; false: a rank or size that no file of ours has. */
static bool shape_of(hid_t set, size_t item, tx_shape *shape, size_t *bytes)
{
    hsize_t dim[H5S_MAX_RANK];
    hid_t space = H5Dget_space(set);
    shape->rank = H5Sget_simple_extent_ndims(space);
    bool good = shape->rank >= 0 && shape->rank <= TX_MAX_RANK && H5Sget_simple_extent_dims(space, dim, NULL) >= 0;
    H5Sclose(space);
    *bytes = item;
    for (int i = 0; good && i < shape->rank; i++) {
        shape->dim[i] = dim[i];
        good = !__builtin_mul_overflow(*bytes, (size_t)dim[i], bytes);
    }
    return good && *bytes <= PTRDIFF_MAX && tx_h5_plausible(set, *bytes);
}

static bool is_float(tx_h5_type t) { return t == TX_H5_F64 || t == TX_H5_F32; }

/** An array of this type, whose values are stored; below 0 with a failure. */
static hid_t open_array(tx_h5 *f, const char *path, tx_h5_type type, tx_shape *shape, size_t *bytes)
{
    if (f->status != TX_OK) return H5I_INVALID_HID;
    hid_t set = H5Dopen2(f->file, path, H5P_DEFAULT);
    if (set < 0) {
        f->status = tx_fail(TX_EDATA, "%s: %s: expected an array, found none", f->path, path);
        return H5I_INVALID_HID;
    }
    hid_t stored = H5Dget_type(set);
    tx_h5_type found;
    bool ours = tx_h5_type_of(stored, &found);
    H5Tclose(stored);
    if (!ours || (found != type && !(is_float(found) && is_float(type))))
        f->status = tx_fail(TX_EDATA, "%s: %s: expected type %s, found %s", f->path, path, tx_h5_type_name(type),
                            ours ? tx_h5_type_name(found) : "another");
    else if (!shape_of(set, tx_h5_type_size(type), shape, bytes))
        f->status = tx_fail(TX_EDATA, "%s: %s: claims more values than it stores", f->path, path);
    if (f->status == TX_OK) return set;
    H5Dclose(set);
    return H5I_INVALID_HID;
}

bool tx_h5_shape(tx_h5 *f, const char *path, tx_h5_type type, tx_shape *shape)
{
    size_t bytes;
    hid_t set = open_array(f, path, type, shape, &bytes);
    if (set >= 0) H5Dclose(set);
    return set >= 0;
}

void *tx_h5_get(tx_h5 *f, const char *path, tx_h5_type type, tx_shape *shape)
{
    tx_shape unasked;
    size_t bytes;
    hid_t set = open_array(f, path, type, shape ? shape : &unasked, &bytes);
    if (set < 0) return NULL;
    void *data = tx_alloc(bytes, 1);
    if (H5Dread(set, tx_h5_memory_type(f, type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        tx_h5_fail(f, path, "read");
        free(data);
        data = NULL;
    }
    H5Dclose(set);
    return data;
}

char *tx_h5_get_string(tx_h5 *f, const char *path)
{
    if (f->status != TX_OK) return NULL;
    hid_t set = H5Dopen2(f->file, path, H5P_DEFAULT);
    hid_t type = set < 0 ? set : H5Dget_type(set), space = set < 0 ? set : H5Dget_space(set);
    char *read = NULL, *text = NULL;
    if (set < 0 || H5Tis_variable_str(type) <= 0 || H5Sget_simple_extent_npoints(space) != 1)
        f->status = tx_fail(TX_EDATA, "%s: %s: expected one string, found none", f->path, path);
    else if (H5Dread(set, f->text, H5S_ALL, H5S_ALL, H5P_DEFAULT, &read) < 0)
        tx_h5_fail(f, path, "read");
    else
        text = tx_strdup(read ? read : "");
    if (read) H5free_memory(read);
    if (set >= 0) {
        H5Sclose(space);
        H5Tclose(type);
        H5Dclose(set);
    }
    return text;
}

char *tx_h5_string_attribute(tx_h5 *f, hid_t a)
{
    hid_t type = H5Aget_type(a), space = H5Aget_space(a);
    char *text = NULL;
    if (H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
        if (H5Tis_variable_str(type) > 0) {
            char *read = NULL;
            if (H5Aread(a, f->text, &read) >= 0) text = tx_strdup(read ? read : "");
            if (read) H5free_memory(read);
        } else {
            text = tx_alloc(H5Tget_size(type) + 1, 1);
            if (H5Aread(a, type, text) < 0) {
                free(text);
                text = NULL;
            }
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    return text;
}

/** An attribute, or a negative id where it is absent. */
static hid_t open_attribute(tx_h5 *f, const char *object, const char *name)
{
    if (f->status != TX_OK) return H5I_INVALID_HID;
    return H5Aopen_by_name(f->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
}

char *tx_h5_get_text(tx_h5 *f, const char *object, const char *name)
{
    hid_t a = open_attribute(f, object, name);
    if (a < 0) return NULL;
    char *text = tx_h5_string_attribute(f, a);
    H5Aclose(a);
    return text;
}

/** A scalar number of this type; false where there is none. */
static bool get_scalar(tx_h5 *f, const char *object, const char *name, tx_h5_type type, void *value)
{
    hid_t a = open_attribute(f, object, name);
    if (a < 0) return false;
    hid_t space = H5Aget_space(a), stored = H5Aget_type(a);
    tx_h5_type found;
    bool good = H5Sget_simple_extent_npoints(space) == 1 && tx_h5_type_of(stored, &found) && found == type &&
                H5Aread(a, tx_h5_memory_type(f, type), value) >= 0;
    H5Sclose(space);
    H5Tclose(stored);
    H5Aclose(a);
    return good;
}

double tx_h5_get_f64(tx_h5 *f, const char *object, const char *name)
{
    double value;
    return get_scalar(f, object, name, TX_H5_F64, &value) ? value : NAN;
}

int tx_h5_get_i32(tx_h5 *f, const char *object, const char *name)
{
    int32_t value = 0;
    if (!get_scalar(f, object, name, TX_H5_I32, &value) && f->status == TX_OK)
        f->status = tx_fail(TX_EDATA, "%s: %s: expected a whole number as attribute '%s', found none", f->path, object,
                            name);
    return value;
}
