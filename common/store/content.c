#include "common/store/content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/h5.h"

enum { PIECE = 1 << 24 }; /* bytes of an array that are in memory at a time */

/** A walk over a file in the order of names: the same for every order of writing. */
typedef struct walk {
    tx_h5 *file;
    void (*see)(void *ctx, const tx_h5_item *item);
    void *ctx;
} walk;

/** Type and extent; false with a failure where the type is none of ours. */
static bool find_form(walk *w, hid_t type, hid_t space, tx_h5_item *item)
{
    item->rank = H5Sget_simple_extent_ndims(space);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    if (item->rank < 0 || item->rank > TX_MAX_RANK || n <= 0 || !tx_h5_type_of(type, &item->type)) {
        if (w->file->status == TX_OK)
            w->file->status = tx_fail(TX_EDATA, "%s: %s: of a type that files of taxon do not have", w->file->path,
                                      item->attribute ? item->attribute : item->path);
        return false;
    }
    H5Sget_simple_extent_dims(space, item->dim, NULL);
    item->n = item->count = (size_t)n;
    return true;
}

/** What HDF5 and netCDF keep for themselves, and the sum. */
static bool skipped(const char *name)
{
    static const char *const whole[] = {"DIMENSION_LIST", "REFERENCE_LIST", "content_sha256"};
    for (size_t i = 0; i < TX_LEN(whole); i++)
        if (strcmp(name, whole[i]) == 0) return true;
    return strncmp(name, "_Netcdf4", 8) == 0;
}

static void see_numbers(walk *w, hid_t attribute, tx_h5_item *item)
{
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    bool ours = find_form(w, type, space, item);
    if (ours && item->type == TX_H5_TEXT) {
        w->file->status = tx_fail(TX_EDATA, "%s: attribute %s: expected one string", w->file->path, item->attribute);
    } else if (ours) {
        void *data = tx_alloc(item->n, tx_h5_type_size(item->type));
        if (H5Aread(attribute, tx_h5_memory_type(w->file, item->type), data) < 0)
            tx_h5_fail(w->file, item->attribute, "read the attribute");
        item->data = data;
        w->see(w->ctx, item);
        free(data);
    }
    H5Tclose(type);
    H5Sclose(space);
}

typedef struct owner {
    walk *walk;
    const char *path;
} owner;

static herr_t see_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    (void)info;
    const owner *o = context;
    walk *w = o->walk;
    if (skipped(name) || w->file->status != TX_OK) return 0;
    tx_h5_item item = {.path = o->path, .attribute = name, .has_value = true};
    hid_t a = H5Aopen(object, name, H5P_DEFAULT);
    char *text = tx_h5_string_attribute(w->file, a);
    if (text) {
        item.type = TX_H5_TEXT;
        item.n = item.count = 1;
        item.data = &text;
        w->see(w->ctx, &item);
        free(text);
    } else {
        see_numbers(w, a, &item);
    }
    H5Aclose(a);
    return 0;
}

static void see_values(walk *w, hid_t set, hid_t space, tx_h5_item *item)
{
    size_t bytes = 0, size = tx_h5_type_size(item->type);
    if (__builtin_mul_overflow(item->n, size, &bytes) || !tx_h5_plausible(set, bytes)) {
        w->file->status = tx_fail(TX_EDATA, "%s: %s: claims more values than it stores", w->file->path, item->path);
        return;
    }
    const hid_t memory = tx_h5_memory_type(w->file, item->type);
    const size_t rows = item->rank ? (size_t)item->dim[0] : 1, row = item->n / rows;
    size_t most = PIECE / (row * size);
    most = most < 1 ? 1 : most < rows ? most : rows;
    void *data = tx_alloc(most * row, size);
    item->data = data;
    for (size_t from = 0; from < rows && w->file->status == TX_OK; from += most) {
        const size_t n = rows - from < most ? rows - from : most;
        item->first = from * row, item->count = n * row;
        const hid_t here = tx_h5_select_rows(space, from, n),
                    there = H5Screate_simple(1, &(hsize_t){item->count}, NULL);
        if (here < 0 || H5Dread(set, memory, there, here, H5P_DEFAULT, data) < 0)
            tx_h5_fail(w->file, item->path, "read");
        else
            w->see(w->ctx, item);
        if (item->type == TX_H5_TEXT) H5Dvlen_reclaim(memory, there, H5P_DEFAULT, data);
        H5Sclose(here);
        H5Sclose(there);
    }
    free(data);
}

static void see_set(walk *w, hid_t set, const char *path)
{
    tx_h5_item item = {.path = path, .has_value = true};
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    bool ours = find_form(w, type, space, &item);
    if (ours && tx_h5_is_pure_dimension(set))
        w->see(w->ctx, &item);
    else if (ours)
        see_values(w, set, space, &item);
    H5Tclose(type);
    H5Sclose(space);
}

/** Groups of ours are at most six deep; the limit keeps a crafted file from exhausting the stack. */
static void see_object(walk *w, hid_t object, const char *path, int depth)
{
    tx_h5 *f = w->file;
    if (f->status != TX_OK) return;
    w->see(w->ctx, &(tx_h5_item){.path = path});
    if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, see_attribute, &(owner){w, path}) < 0)
        tx_h5_fail(f, path, "list attributes");
    if (H5Iget_type(object) == H5I_DATASET) {
        see_set(w, object, path);
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
            see_object(w, member, below, depth + 1);
        if (member >= 0) H5Oclose(member);
    }
}

void tx_h5_walk(tx_h5 *f, const char *group, void (*see)(void *ctx, const tx_h5_item *item), void *ctx)
{
    if (f->status != TX_OK) return;
    walk w = {f, see, ctx};
    hid_t top = H5Oopen(f->file, group, H5P_DEFAULT);
    if (top < 0)
        tx_h5_fail(f, group, "open");
    else
        see_object(&w, top, group, 0);
    if (top >= 0) H5Oclose(top);
}

static void add_size(tx_sha256 *sum, size_t n)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", n);
    tx_sha256_add_text(sum, text);
}

static void add_data(tx_sha256 *sum, const tx_h5_item *item)
{
    if (item->type != TX_H5_TEXT) tx_sha256_add(sum, item->data, item->count * tx_h5_type_size(item->type));
    for (size_t i = 0; item->type == TX_H5_TEXT && i < item->count; i++) {
        const char *text = ((char *const *)item->data)[i];
        tx_sha256_add_text(sum, text ? text : "");
    }
}

/** A string attribute is "text" and the text; other values are their type, rank and sizes before themselves. */
static void add_item(void *ctx, const tx_h5_item *item)
{
    tx_sha256 *sum = ctx;
    if (item->first > 0) {
        add_data(sum, item);
        return;
    }
    if (!item->has_value || item->attribute) tx_sha256_add_text(sum, item->attribute ? item->attribute : item->path);
    if (!item->has_value) return;
    if (item->attribute && item->type == TX_H5_TEXT) {
        tx_sha256_add_text(sum, "text");
    } else {
        tx_sha256_add_text(sum, tx_h5_type_name(item->type));
        add_size(sum, (size_t)item->rank);
        for (int i = 0; i < item->rank; i++) add_size(sum, item->dim[i]);
    }
    if (item->data) add_data(sum, item);
}

void tx_h5_content(tx_h5 *f, char sha256[TX_SHA256_TEXT])
{
    if (f->status != TX_OK) return;
    tx_sha256 *sum = tx_sha256_new();
    tx_h5_walk(f, "/", add_item, sum);
    tx_sha256_end(sum, sha256);
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
