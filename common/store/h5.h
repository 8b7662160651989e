/** The one place where HDF5 objects are written and read, so that every file keeps the same rules (results/README.md):
 *  types f64, f32, u8, i32 and variable-length UTF-8 strings; every axis a named dimension scale of its own group, as
 *  netCDF-4 wants it; no times, links, enums, compounds or null attributes. Files are built in memory and committed
 * whole, with a trailer that is verified before HDF5 sees the bytes again.
 *
 *  Failures stick: the first one is recorded with tx_fail, later calls do nothing (reads give NULL, 0, NAN or false),
 * and tx_h5_status, tx_h5_commit and tx_h5_close report it. Paths of objects are absolute: "/likelihood/test/exact". */
#ifndef TX_STORE_H5_H
#define TX_STORE_H5_H
#include <hdf5.h>
#include "common/base/sha256.h"
#include "common/store/content.h"
#include "common/tensor/tensor.h"

/** The types of arrays that our files have. */
typedef enum tx_h5_type { TX_H5_F64, TX_H5_F32, TX_H5_U8, TX_H5_I32, TX_H5_TEXT, TX_H5_N_TYPE } tx_h5_type;
/** That of `real`. */
#define TX_H5_REAL (sizeof(real) == sizeof(double) ? TX_H5_F64 : TX_H5_F32)
/** What netCDF-4 calls a dimension that is no variable; its size in ten characters follows. */
#define TX_H5_PURE    "This is a netCDF dimension but not a netCDF variable."
#define TX_H5_TRAILER "TAXONSHA256 " /**< then 64 hexadecimal digits and a newline end every file */

/** A file of ours, being written in memory or read. */
typedef struct tx_h5 {
    hid_t file, text; /**< the file in memory; the string type */
    char *path;
    bool plain; /**< uncompressed, without a content hash */
    tx_status status;
} tx_h5;

/** A new file in memory, to be committed at `path`. */
tx_h5 *tx_h5_new(const char *path, const char *schema, bool plain);
/** Adds content_sha256 (not to plain files) and the trailer, commits, frees `f`. `sha256` may be NULL. */
tx_status tx_h5_commit(tx_h5 *f, char sha256[TX_SHA256_TEXT]);
/** Frees without writing; NULL is allowed. Returns the first failure. */
tx_status tx_h5_close(tx_h5 *f);
/** Records a failure of HDF5 with its deepest reason: "FILE: OBJECT: cannot WHAT: REASON". To be called before anything
 *  else of HDF5, which would clear its reasons. */
void tx_h5_fail(tx_h5 *f, const char *object, const char *what);

/** One array with named axes. Of rank 1 and named like its axis it is the coordinate of that axis, and must be put
 * before anything else uses the axis. Sizes are at least 1; a group's axes of one name have one size. */
typedef struct tx_h5_array {
    const char *group, *name;
    tx_h5_type type;
    int rank;
    struct {
        const char *name;
        size_t n;
    } dim[TX_MAX_RANK];
    const void *data;             /**< row-major; const char *const * for text, no empty ones; or NULL, and instead */
    void (*fill)(void *ctx, size_t first, size_t n, void *to); /**< makes rows [first, first + n) of the first axis: */
    void *ctx;                                                 /**< called in order, so that few are in memory */
    const char *unit, *long_name; /**< required of numbers */
    bool by_row;                  /**< chunks hold one run along the last axis */
} tx_h5_array;
/** An array, and a single f64 as one. A failure is kept until the commit. */
void tx_h5_put(tx_h5 *f, const tx_h5_array *a);
void tx_h5_put_number(tx_h5 *f, const char *group, const char *name, double value, const char *unit,
                      const char *long_name);
void tx_h5_group(tx_h5 *f, const char *group); /**< and its parents; put does it too */
/** Attributes. An empty or NULL text is left out. */
void tx_h5_set_text(tx_h5 *f, const char *object, const char *name, const char *text);
void tx_h5_set_f64(tx_h5 *f, const char *object, const char *name, double value);
void tx_h5_set_i32(tx_h5 *f, const char *object, const char *name, int value);
void tx_h5_set_u8(tx_h5 *f, const char *object, const char *name, size_t n, const uint8_t *value);

/** Opens one of our files: trailer, `schema` and major version are checked. TX_ENOINPUT, TX_EDATA. */
tx_status tx_h5_open(tx_h5 **out, const char *path, const char *schema);
/** The first failure of any call with this file; its message is the last error. */
tx_status tx_h5_status(const tx_h5 *f);
/** Is there a group or array of this path? */
bool tx_h5_has(tx_h5 *f, const char *path);
/** A member's name. */
typedef char tx_h5_name[TX_NAME_MAX];
/** Names of a group's members in the order of strcmp, without dimensions that are not variables; free() it. NULL and 0
 *  where there is no such group. */
tx_h5_name *tx_h5_list(tx_h5 *f, const char *group, size_t *n);
/** An array, or NULL with a failure; free() it. f32 and f64 convert into each other. Not for text.
 * `shape` may be NULL. */
void *tx_h5_get(tx_h5 *f, const char *path, tx_h5_type type, tx_shape *shape);
/** Is there such an array? False with a failure. Its values are not read. */
bool tx_h5_shape(tx_h5 *f, const char *path, tx_h5_type type, tx_shape *shape);
char *tx_h5_get_string(tx_h5 *f, const char *path); /**< a scalar string; free() it */
/** Attributes: NULL (no failure), NAN, or 0 with a failure where absent. */
char *tx_h5_get_text(tx_h5 *f, const char *object, const char *name); /**< free() it */
double tx_h5_get_f64(tx_h5 *f, const char *object, const char *name);
int tx_h5_get_i32(tx_h5 *f, const char *object, const char *name);

/** What h5.c, h5_read.c and content.c share. */
enum { TX_H5_MEMORY_NAME = 64 };
/** What HDF5 calls the file: unique, and no path, because HDF5 looks on disk for a file of that name. */
void tx_h5_memory_name(const tx_h5 *f, char name[TX_H5_MEMORY_NAME]);
bool tx_h5_type_of(hid_t type, tx_h5_type *out);          /**< false: none of ours */
hid_t tx_h5_memory_type(const tx_h5 *f, tx_h5_type type); /**< little-endian, as in the file; borrowed */
size_t tx_h5_type_size(tx_h5_type type);                  /**< of a value in memory */
/** For messages. */
const char *tx_h5_type_name(tx_h5_type type);
bool tx_h5_is_pure_dimension(hid_t set);                 /**< a scale that is no variable */
char *tx_h5_string_attribute(tx_h5 *f, hid_t attribute); /**< any scalar string; free() it; NULL: not one */
/** Does the array's claimed size fit what is stored of it? (deflate expands at most 1032 times) */
bool tx_h5_plausible(hid_t set, size_t bytes);
hid_t tx_h5_select_rows(hid_t space, size_t first, size_t n); /**< of an array's extent; to be closed */
/** One thing that a file says. A group or array is itself, then its attributes, then (an array) its values. */
typedef struct tx_h5_item {
    const char *path, *attribute; /**< attribute: NULL where it is not of one */
    bool has_value;               /**< false: only that there is such an object; what follows is not set */
    tx_h5_type type;
    int rank; /**< 0 also of a string attribute */
    hsize_t dim[TX_MAX_RANK];
    size_t n;            /**< values */
    size_t first, count; /**< of them those in `data`: a large array comes in several items, one after the other */
    const void *data;    /**< [count], of text char *const [count]; NULL: a dimension without values */
} tx_h5_item;
/** All that `group` says, in the order of names; of "/" all that content_sha256 covers. Items are borrowed for the call. */
void tx_h5_walk(tx_h5 *f, const char *group, void (*see)(void *ctx, const tx_h5_item *item), void *ctx);
void tx_h5_content(tx_h5 *f, char sha256[TX_SHA256_TEXT]); /**< content.c: of the open file */
/** The whole file without its trailer, which is verified; free() it. TX_ENOINPUT, TX_EDATA. */
tx_status tx_h5_read_image(const char *path, unsigned char **data, size_t *bytes);
#endif
