/* Files of ours that say something odd with a right check sum: the input is a list of edits of a checkpoint or of a
 * result. They are made through HDF5 itself, so that its own structures stay whole. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/text.h"
#include "common/store/checkpoint.h"
#include "common/store/h5.h"
#include "common/store/run_file.h"
#include "experiments/taxon/runner.h"
#include "experiments/taxon/stored.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/check.h"

enum { CHECKPOINT, RESULT, N_KIND, MAX_OBJECTS = 256, ROOM = 1 << 20, EDIT = 5 };

/* A whole file without its last line, and the paths of its objects. */
typedef struct base {
    unsigned char *image;
    size_t bytes;
    int n;
    char object[MAX_OBJECTS][TX_NAME_MAX];
} base;
static base bases[N_KIND];

static herr_t add_object(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    (void)root, (void)info;
    base *b = context;
    TX_REQUIRE(b->n < MAX_OBJECTS, "more objects");
    snprintf(b->object[b->n++], TX_NAME_MAX, "%s", name);
    return 0;
}

static hid_t open_image(const base *b)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    H5Pset_file_image(access, b->image, b->bytes);
    hid_t file = H5Fopen("fuzz-layout-in-memory", H5F_ACC_RDWR, access);
    H5Pclose(access);
    TX_REQUIRE(file >= 0, "the base does not open");
    return file;
}

static void take_base(int kind, const char *path)
{
    base *b = &bases[kind];
    TX_REQUIRE(tx_h5_read_image(path, &b->image, &b->bytes) == TX_OK, "%s", tx_last_error());
    hid_t file = open_image(b);
    H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, add_object, b, H5O_INFO_BASIC);
    H5Fclose(file);
}

/* Before main: the time of an input does not count it. */
__attribute__((constructor)) static void make_bases(void)
{
    char path[TX_TEXT_MAX];
    tx_spec spec;
    tx_store_start();
    snprintf(path, sizeof path, "%s/checkpoint.h5", tx_test_folder());
    fuzz_training t = fuzz_training_new();
    fuzz_training_go_on(&t);
    fuzz_training_go_on(&t);
    TX_REQUIRE(tx_checkpoint_write(path, FUZZ_IDENTITY, t.trainer) == TX_OK, "%s", tx_last_error());
    fuzz_training_free(&t);
    take_base(CHECKPOINT, path);
    const tx_runner_options o = {.folder = tx_test_folder(), .fresh = true, .reproducible = true};
    TX_REQUIRE(tx_spec_parse(&spec, FUZZ_SPEC, "spec") == TX_OK, "%s", tx_last_error());
    TX_REQUIRE(tx_runner_run(&spec, &o) == TX_OK, "%s", tx_last_error());
    tx_spec_free(&spec);
    snprintf(path, sizeof path, "%s/result.h5", tx_test_folder());
    take_base(RESULT, path);
}

/* ---- edits: an object, what to do, and two numbers ---- */

typedef struct edit {
    hid_t file;
    const base *b;
    const char *object;
    uint8_t x, y;
} edit;

static const char *const texts[] = {
    "",     "x",           "taxon-run", "taxon-checkpoint", "1.1",      "2",   "complete", "-1",
    "{}",   "[]",          "{\"a\":",   "lower_bound",      "lebesgue", "raw", "vae",      "model: vae\n",
    "\xff", "a\nb\x1b[2J", "../../etc", "%s%n%d",           "inf",      "null"};
static const double numbers[] = {0,    1,          -1,     2,   0.5, NAN, INFINITY, -INFINITY, 1e308, 2147483647.0,
                                 -2e9, 4294967296, 1.8e19, 127, 255, 1e9};
static const hsize_t sizes[] = {0, 1, 2, 3, 7, 8, 16, 20, 64, 127, 1000, 70000, 1u << 31, (hsize_t)1 << 40, UINT64_MAX};

static hid_t type_of(uint8_t x)
{
    const hid_t id[] = {H5T_IEEE_F64LE, H5T_IEEE_F32LE, H5T_STD_U8LE,    H5T_STD_I32LE,
                        H5T_STD_I64LE,  H5T_IEEE_F64BE, H5T_STD_REF_OBJ, H5T_C_S1};
    hid_t t = H5Tcopy(id[x % TX_LEN(id)]);
    if (x % TX_LEN(id) == 7 && x & 8) H5Tset_size(t, H5T_VARIABLE);
    if (x % TX_LEN(id) == 7 && x & 16) H5Tset_cset(t, H5T_CSET_UTF8);
    if (x % TX_LEN(id) == 7 && !(x & 8)) H5Tset_size(t, 1 + (x >> 4));
    return t;
}

static void delete (const edit *e) { H5Ldelete(e->file, e->object, H5P_DEFAULT); }

static void rename_to(const edit *e)
{
    const char *to = e->b->object[e->x % e->b->n];
    if (strcmp(to, e->object) == 0) return;
    H5Ldelete(e->file, to, H5P_DEFAULT);
    H5Lmove(e->file, e->object, e->file, to, H5P_DEFAULT, H5P_DEFAULT);
}

/* Another type, rank and size, chunked and without values where it is large. */
static void replace(const edit *e)
{
    hsize_t dim[4] = {1, 1, 1, 1};
    const int rank = (e->x >> 5) % 5;
    for (int i = 0; i < rank; i++) dim[i] = sizes[(size_t)(e->y + 3 * i) % TX_LEN(sizes)];
    hid_t type = type_of(e->x), space = rank ? H5Screate_simple(rank, dim, NULL) : H5Screate(H5S_SCALAR);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[4] = {1, 1, 1, 1};
    if (rank) H5Pset_chunk(create, rank, chunk);
    H5Ldelete(e->file, e->object, H5P_DEFAULT);
    hid_t set = H5Dcreate2(e->file, e->object, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (set >= 0) H5Dclose(set);
    H5Pclose(create);
    H5Sclose(space);
    H5Tclose(type);
}

/* One value of an array, or all. */
static void poke(const edit *e)
{
    hid_t set = H5Dopen2(e->file, e->object, H5P_DEFAULT);
    if (set < 0) return;
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0 && n == 1) {
        const char *text = texts[e->y % TX_LEN(texts)];
        H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text);
    } else if (H5Tget_class(type) != H5T_STRING && n > 0 && n < ROOM) {
        double *v = tx_alloc((size_t)n, sizeof *v);
        H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
        for (hssize_t i = 0; i < n; i++)
            if (i == e->x % n || e->x == 255) v[i] = numbers[e->y % TX_LEN(numbers)];
        H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
        free(v);
    }
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
}

/* The counters of a checkpoint are rows of eight bytes: one of them becomes 2^y, or all ones. */
static void poke_counter(const edit *e)
{
    hid_t set = H5Dopen2(e->file, e->object, H5P_DEFAULT);
    uint8_t v[64][8];
    if (set < 0) return;
    if (H5Dget_storage_size(set) <= sizeof v && H5Dread(set, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) >= 0) {
        uint8_t *c = v[e->x % 16];
        for (int i = 0; i < 8; i++) c[i] = e->y & 128 ? 255 : (e->y & 63) / 8 == i ? (uint8_t)(1 << e->y % 8) : 0;
        H5Dwrite(set, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
    }
    H5Dclose(set);
}

/* The x-th attribute of the object, or of the root; its name goes to `name`. */
static hid_t open_object(const edit *e, char name[TX_NAME_MAX])
{
    hid_t object = H5Oopen(e->file, e->x & 128 ? "/" : e->object, H5P_DEFAULT);
    H5O_info_t info;
    *name = 0;
    if (object >= 0 && H5Oget_info2(object, &info, H5O_INFO_NUM_ATTRS) >= 0 && info.num_attrs > 0)
        H5Aget_name_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, (e->x & 127) % info.num_attrs, name, TX_NAME_MAX,
                           H5P_DEFAULT);
    return object;
}

static void delete_attribute(const edit *e)
{
    char name[TX_NAME_MAX];
    hid_t object = open_object(e, name);
    if (*name) H5Adelete(object, name);
    if (object >= 0) H5Oclose(object);
}

static void set_attribute(const edit *e, hid_t type, hid_t space, const void *value)
{
    char name[TX_NAME_MAX];
    hid_t object = open_object(e, name);
    if (*name) H5Adelete(object, name);
    hid_t a = *name ? H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT) : H5I_INVALID_HID;
    if (a >= 0 && value) H5Awrite(a, type, value);
    if (a >= 0) H5Aclose(a);
    if (object >= 0) H5Oclose(object);
}

static void set_text(const edit *e)
{
    const char *text = texts[e->y % TX_LEN(texts)];
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    set_attribute(e, type, space, &text);
    H5Sclose(space);
    H5Tclose(type);
}

static void set_number(const edit *e)
{
    const double v = numbers[e->y % TX_LEN(numbers)];
    const int32_t whole = v > -2e9 && v < 2e9 ? (int32_t)v : e->y & 64 ? INT32_MIN : INT32_MAX;
    hid_t space = H5Screate(H5S_SCALAR);
    if (e->y & 128)
        set_attribute(e, H5T_STD_I32LE, space, &whole);
    else
        set_attribute(e, H5T_IEEE_F64LE, space, &v);
    H5Sclose(space);
}

static void set_form(const edit *e)
{
    const hsize_t n = sizes[(e->y >> 4) % 9];
    hid_t type = type_of(e->y), space = e->y & 1 ? H5Screate(H5S_NULL) : H5Screate_simple(1, &n, NULL);
    set_attribute(e, type, space, NULL);
    H5Sclose(space);
    H5Tclose(type);
}

static void link_elsewhere(const edit *e)
{
    const char *to = e->b->object[e->y % e->b->n];
    if (e->x % 4 != 3) H5Ldelete(e->file, e->object, H5P_DEFAULT);
    if (e->x % 4 == 0) H5Lcreate_soft(e->x & 4 ? "/none" : e->object, e->file, e->object, H5P_DEFAULT, H5P_DEFAULT);
    if (e->x % 4 == 1) H5Lcreate_external("/dev/null", to, e->file, e->object, H5P_DEFAULT, H5P_DEFAULT);
    if (e->x % 4 == 2) H5Lcreate_hard(e->file, e->x & 4 ? "/" : to, e->file, e->object, H5P_DEFAULT, H5P_DEFAULT);
    if (e->x % 4 == 3) {
        hid_t g = H5Gopen2(e->file, e->object, H5P_DEFAULT);
        if (g < 0) return;
        H5Lcreate_hard(e->file, e->x & 4 ? "/" : to, g, "again", H5P_DEFAULT, H5P_DEFAULT);
        H5Gclose(g);
    }
}

static void (*const edits[])(const edit *e) = {delete,   rename_to,        replace,  poke,       poke_counter,
                                               set_text, delete_attribute, set_form, set_number, link_elsewhere};

/* The edited file's bytes with a right last line. */
static unsigned char *edited(const base *b, const uint8_t *data, size_t size, size_t *bytes)
{
    enum { TRAILER = sizeof TX_H5_TRAILER - 1 + TX_SHA256_TEXT };
    edit e = {.file = open_image(b), .b = b};
    for (; size >= EDIT; data += EDIT, size -= EDIT) {
        e.object = b->object[(data[0] | data[1] << 8) % b->n];
        if (strcmp(e.object, ".") == 0) continue;
        e.x = data[3], e.y = data[4];
        edits[data[2] % TX_LEN(edits)](&e);
    }
    H5Fflush(e.file, H5F_SCOPE_GLOBAL);
    ssize_t n = H5Fget_file_image(e.file, NULL, 0);
    TX_REQUIRE(n > 0, "no image");
    unsigned char *image = tx_alloc((size_t)n + TRAILER + 1, 1);
    H5Fget_file_image(e.file, image, (size_t)n);
    H5Fclose(e.file);
    char sum[TX_SHA256_TEXT];
    tx_sha256_of(image, (size_t)n, sum);
    snprintf((char *)image + n, TRAILER + 1, "%s%s\n", TX_H5_TRAILER, sum);
    *bytes = (size_t)n + TRAILER;
    return image;
}

static void read_checkpoint(const char *path)
{
    fuzz_training t = fuzz_training_new();
    tx_status s = tx_checkpoint_read(path, FUZZ_IDENTITY, t.trainer);
    if (s == TX_OK)
        fuzz_training_go_on(&t);
    else
        fuzz_refused(s, TX_EDATA, TX_EIO, path);
    fuzz_training_free(&t);
}

static void read_result(const char *path)
{
    tx_run_info info;
    tx_stored *stored;
    char sum[TX_SHA256_TEXT];
    tx_status s = tx_run_read(path, true, &info);
    if (s == TX_OK)
        tx_run_info_free(&info);
    else
        fuzz_refused(s, TX_EDATA, TX_EIO, path);
    s = tx_content_sha256(path, sum);
    if (s != TX_OK) fuzz_refused(s, TX_EDATA, TX_EIO, path);
    s = tx_stored_open(&stored, path); /* loads the parameters, too */
    if (s == TX_OK)
        tx_stored_close(stored);
    else
        fuzz_refused(s, TX_EDATA, TX_EIO, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    const int kind = data[0] % N_KIND;
    size_t bytes;
    unsigned char *image = edited(&bases[kind], data + 1, size - 1, &bytes);
    const char *path = fuzz_file(image, bytes);
    free(image);
    if (kind == CHECKPOINT)
        read_checkpoint(path);
    else
        read_result(path);
    return 0;
}
