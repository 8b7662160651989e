#include "common/store/content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/h5.h"

/** A walk over a file in the order of names: the same for every order of writing. */
typedef struct walk {
    tx_h5 *file;
    tx_sha256 *sum;
} walk;

static void add_size(walk *w, size_t n)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", n);
    tx_sha256_add_text(w->sum, text);
}

/** Type and extent; returns the number of values, 0 with a failure where the type is none of ours. */
static size_t add_form(walk *w, const char *path, hid_t type, hid_t space, tx_h5_type *found)
{
    hsize_t dim[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_dims(space, dim, NULL);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    if (rank < 0 || n <= 0 || !tx_h5_type_of(type, found)) {
        if (w->file->status == TX_OK)
            w->file->status = tx_fail(TX_EDATA, "%s: %s: of a type that files of taxon do not have", w->file->path,
                                      path);
        return 0;
    }
    tx_sha256_add_text(w->sum, tx_h5_type_name(*found));
    add_size(w, (size_t)rank);
    for (int i = 0; i < rank; i++) add_size(w, dim[i]);
    return (size_t)n;
}

static void add_values(walk *w, tx_h5_type type, size_t n, const void *data)
{
    if (type == TX_H5_TEXT)
        for (size_t i = 0; i < n; i++) {
            const char *text = ((char *const *)data)[i];
            tx_sha256_add_text(w->sum, text ? text : "");
        }
    else
        tx_sha256_add(w->sum, data, n * tx_h5_type_size(type));
}

/** What HDF5 and netCDF keep for themselves, and the sum. */
static bool skipped(const char *name)
{
    static const char *const whole[] = {"DIMENSION_LIST", "REFERENCE_LIST", "content_sha256"};
    for (size_t i = 0; i < TX_LEN(whole); i++)
        if (strcmp(name, whole[i]) == 0) return true;
    return strncmp(name, "_Netcdf4", 8) == 0;
}

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    (void)info;
    walk *w = context;
    if (skipped(name) || w->file->status != TX_OK) return 0;
    tx_sha256_add_text(w->sum, name);
    hid_t a = H5Aopen(object, name, H5P_DEFAULT);
    char *text = tx_h5_string_attribute(w->file, a);
    if (text) {
        tx_sha256_add_text(w->sum, "text");
        tx_sha256_add_text(w->sum, text);
        free(text);
    } else {
        hid_t type = H5Aget_type(a), space = H5Aget_space(a);
        tx_h5_type found;
        size_t n = add_form(w, name, type, space, &found);
        if (n > 0 && found == TX_H5_TEXT)
            w->file->status = tx_fail(TX_EDATA, "%s: attribute %s: expected one string", w->file->path, name);
        else if (n > 0) {
            void *data = tx_alloc(n, tx_h5_type_size(found));
            if (H5Aread(a, tx_h5_memory_type(w->file, found), data) < 0)
                tx_h5_fail(w->file, name, "read the attribute");
            add_values(w, found, n, data);
            free(data);
        }
        H5Tclose(type);
        H5Sclose(space);
    }
    H5Aclose(a);
    return 0;
}

static void add_set(walk *w, hid_t set, const char *path)
{
    tx_h5_type found;
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    size_t n = add_form(w, path, type, space, &found), bytes = 0;
    if (n > 0 && !tx_h5_is_pure_dimension(set)) {
        if (__builtin_mul_overflow(n, tx_h5_type_size(found), &bytes) || !tx_h5_plausible(set, bytes)) {
            w->file->status = tx_fail(TX_EDATA, "%s: %s: claims more values than it stores", w->file->path, path);
        } else {
            void *data = tx_alloc(bytes, 1);
            if (H5Dread(set, tx_h5_memory_type(w->file, found), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
                tx_h5_fail(w->file, path, "read");
            else
                add_values(w, found, n, data);
            if (found == TX_H5_TEXT) H5Dvlen_reclaim(tx_h5_memory_type(w->file, found), space, H5P_DEFAULT, data);
            free(data);
        }
    }
    H5Tclose(type);
    H5Sclose(space);
}

/** Groups of ours are at most six deep; the limit keeps a crafted file from exhausting the stack. */
static void add_object(walk *w, hid_t object, const char *path, int depth)
{
    tx_h5 *f = w->file;
    if (f->status != TX_OK) return;
    tx_sha256_add_text(w->sum, path);
    if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, add_attribute, w) < 0)
        tx_h5_fail(f, path, "list attributes");
    if (H5Iget_type(object) == H5I_DATASET) {
        add_set(w, object, path);
        return;
    }
    H5G_info_t info;
    if (depth > 16 || H5Gget_info(object, &info) < 0) {
        tx_h5_fail(f, path, "list the group");
        return;
    }
    for (hsize_t i = 0; i < info.nlinks && f->status == TX_OK; i++) {
        char name[TX_NAME_MAX], below[TX_TEXT_MAX + TX_NAME_MAX];
        ssize_t n = H5Lget_name_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        if (n <= 0 || n >= (ssize_t)sizeof name || strlen(path) >= TX_TEXT_MAX) {
            tx_h5_fail(f, path, "name a member of the group");
            return;
        }
        snprintf(below, sizeof below, "%s/%s", path[1] ? path : "", name);
        if (strcmp(below, "/timing") == 0 || strcmp(below, "/provenance") == 0) continue;
        hid_t member = H5Oopen(object, name, H5P_DEFAULT);
        if (member < 0)
            tx_h5_fail(f, below, "open");
        else
            add_object(w, member, below, depth + 1);
        if (member >= 0) H5Oclose(member);
    }
}

void tx_h5_content(tx_h5 *f, char sha256[TX_SHA256_TEXT])
{
    if (f->status != TX_OK) return;
    walk w = {f, tx_sha256_new()};
    hid_t root = H5Oopen(f->file, "/", H5P_DEFAULT);
    add_object(&w, root, "/", 0);
    H5Oclose(root);
    tx_sha256_end(w.sum, sha256);
}

tx_status tx_content_verify(const char *path)
{
    unsigned char *image;
    size_t bytes;
    TX_TRY(tx_h5_read_image(path, &image, &bytes));
    free(image);
    return TX_OK;
}

tx_status tx_content_sha256(const char *path, char sha256[TX_SHA256_TEXT])
{
    tx_h5 *f;
    TX_TRY(tx_h5_open(&f, path, NULL));
    tx_h5_content(f, sha256);
    char *stored = tx_h5_get_text(f, "/", "content_sha256");
    if (f->status == TX_OK && (!stored || strcmp(stored, sha256) != 0))
        f->status = tx_fail(TX_EDATA, "%s: content_sha256 is %s, its content has %s", path, stored ? stored : "absent",
                            sha256);
    free(stored);
    return tx_h5_close(f);
}
