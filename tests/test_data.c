#include <gsl/gsl_errno.h>
#include <gsl/gsl_integration.h>
#include <hdf5.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "common/data/internal.h"
#include "common/data/measure.h"
#include "common/data/readers.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

enum { PATH = 512 };

static void put(const char *name, const void *data, size_t n, char path[PATH])
{
    snprintf(path, PATH, "%s/%s", tx_test_folder(), name);
    FILE *f = fopen(path, "wb");
    CHECK_TRUE(f && fwrite(data, 1, n, f) == n);
    if (f) fclose(f);
}

static size_t gzipped(const void *data, size_t n, unsigned char out[], size_t room)
{
    z_stream z = {0};
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t size = room - z.avail_out;
    deflateEnd(&z);
    return size;
}

/* Reads a file with this content; returns the table (empty when refused). */
static tx_table read_bytes(const char *name, const void *data, size_t n)
{
    char path[PATH];
    tx_table t = {0};
    put(name, data, n, path);
    CHECK_OK(tx_table_read(path, &t));
    return t;
}

/* A file with this content is refused as damaged, by a message that has its name and these parts. */
static void refuse_bytes(const char *name, const void *data, size_t n, const char *part1, const char *part2)
{
    char path[PATH];
    tx_table t = {0};
    put(name, data, n, path);
    CHECK_INT(tx_table_read(path, &t), TX_EDATA);
    CHECK_HAS(tx_last_error(), name);
    CHECK_HAS(tx_last_error(), part1);
    CHECK_HAS(tx_last_error(), part2);
    CHECK_TRUE(!t.u8 && !t.f32);
    tx_table_free(&t);
}

static double value(const tx_table *t, size_t i) { return t->u8 ? t->u8[i] : (double)t->f32[i]; }

static tx_data_config config_of(const char *name, const char *path)
{
    tx_data_config c;
    tx_options_defaults(tx_data_options, &c);
    tx_copy_text(c.name, sizeof c.name, name);
    tx_copy_text(c.path, sizeof c.path, path);
    return c;
}

static const unsigned char idx_images[] = {0, 0, 8, 3, 0,   0, 0, 2, 0, 0,  0, 2, 0,  0,
                                           0, 3, 0, 7, 255, 3, 4, 5, 6, 17, 8, 9, 10, 11};

static void test_idx(void)
{
    tx_table t = read_bytes("a.idx", idx_images, sizeof idx_images);
    CHECK_INT(t.n, 2);
    CHECK_INT(t.dim, 6);
    CHECK_INT(t.height, 2);
    CHECK_INT(t.width, 3);
    CHECK_INT(t.channel, 1);
    CHECK_TRUE(t.u8 && t.u8[2] == 255 && t.u8[7] == 17);
    tx_table_free(&t);
    /* Big-endian 16-bit integers and floats. */
    const unsigned char i16[] = {0, 0, 0x0b, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0x01, 0x02, 0xff, 0xfe, 0x80, 0x00};
    t = read_bytes("i16.idx", i16, sizeof i16);
    CHECK_TRUE(t.f32 && t.f32[0] == 258 && t.f32[1] == -2 && t.f32[2] == -32768);
    tx_table_free(&t);
    const unsigned char f32[] = {0, 0, 0x0d, 1, 0, 0, 0, 1, 0xc0, 0x18, 0x00, 0x00};
    t = read_bytes("f32.idx", f32, sizeof f32);
    CHECK_TRUE(t.f32 && t.f32[0] == -2.375f && t.n == 1 && t.dim == 1);
    tx_table_free(&t);

    unsigned char bad[64];
    memcpy(bad, idx_images, sizeof idx_images);
    refuse_bytes("short.idx", bad, sizeof idx_images - 1, "expected 28 bytes", "found 27");
    refuse_bytes("long.idx", bad, sizeof idx_images + 1, "expected 28 bytes", "found 29");
    refuse_bytes("header.idx", bad, 9, "expected 16 bytes", "found 9");
    bad[3] = 5;
    refuse_bytes("rank.idx", bad, sizeof idx_images, "1 to 4 dimensions", "found 08 and 5");
    bad[3] = 3;
    bad[7] = 0;
    refuse_bytes("zero.idx", bad, sizeof idx_images, "dimension 0", "is 0");
    memset(bad + 4, 0xff, 12);
    refuse_bytes("huge.idx", bad, sizeof idx_images, "dimension 2 is 4294967295", "more values than can be counted");
    bad[3] = 2;
    refuse_bytes("large.idx", bad, 20, "expected 18446744065119617037 bytes", "found 20");
    bad[2] = 0x0e;
    refuse_bytes("large64.idx", bad, 20, "8 bytes", "more than can be addressed");
    refuse_bytes("empty", bad, 0, "no rows", "0 bytes");
    refuse_bytes("binary",
                 "\x7f"
                 "ELF\1\2\3",
                 7, "no known format", "7f 45 4c 46");
}

static void test_gzip(void)
{
    unsigned char z[2048], two[2048];
    size_t n = gzipped(idx_images, sizeof idx_images, z, sizeof z);
    tx_table t = read_bytes("a.idx.gz", z, n);
    CHECK_TRUE(t.u8 && t.u8[11] == 11);
    CHECK_HAS(t.note, "gzip");
    tx_table_free(&t);
    refuse_bytes("cut.gz", z, n - 9, "gzip file is cut", "bytes");
    refuse_bytes("trailer.gz", z, n - 3, "gzip file is cut", "28 bytes of content");
    z[n - 6] ^= 0x40;
    refuse_bytes("crc.gz", z, n, "damaged", "incorrect data check");
    z[n - 6] ^= 0x40;
    memcpy(two, z, n);
    memset(two + n, 'x', 20);
    refuse_bytes("garbage.gz", two, n + 20, "damaged", "after 28 bytes");
    unsigned char half[14];
    memcpy(half, idx_images, sizeof half);
    size_t a = gzipped(half, sizeof half, two, sizeof two);
    a += gzipped(idx_images + sizeof half, sizeof idx_images - sizeof half, two + a, sizeof two - a);
    t = read_bytes("members.gz", two, a);
    CHECK_TRUE(t.u8 && t.u8[7] == 17);
    tx_table_free(&t);
    unsigned char huge[32];
    memcpy(huge, idx_images, sizeof idx_images);
    memset(huge + 6, 0x7f, 2);
    n = gzipped(huge, sizeof idx_images, z, sizeof z);
    refuse_bytes("huge.gz", z, n, "declares 195834 bytes", "compressed bytes can hold");
    n = gzipped(idx_images, sizeof idx_images - 1, z, sizeof z);
    refuse_bytes("short.gz", z, n, "expected 28 bytes", "found 27");
    memcpy(huge, idx_images, sizeof idx_images);
    n = gzipped(huge, sizeof idx_images + 3, z, sizeof z);
    refuse_bytes("long.gz", z, n, "expected 28 bytes", "found 31");
}

/* A NPY file of this version: header text, then values. */
static size_t npy(unsigned char out[], int version, const char *dict, const void *values, size_t n)
{
    const size_t len = strlen(dict), width = version == 1 ? 2 : 4;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)version;
    out[7] = 0;
    for (size_t i = 0; i < width; i++) out[8 + i] = (unsigned char)(len >> 8 * i);
    memcpy(out + 8 + width, dict, len);
    memcpy(out + 8 + width + len, values, n);
    return 8 + width + len + n;
}

static void check_npy(int version, const char *dict, const void *values, size_t n, double first, double last, bool u8)
{
    unsigned char file[512];
    tx_table t = read_bytes("a.npy", file, npy(file, version, dict, values, n));
    CHECK_TRUE((t.u8 != NULL) == u8);
    if (t.u8 || t.f32) {
        CHECK_NEAR(value(&t, 0), first, 1e-6 * fabs(first));
        CHECK_NEAR(value(&t, t.n * t.dim - 1), last, 1e-6 * fabs(last));
    }
    tx_table_free(&t);
}

static void refuse_npy(const char *dict, size_t n, const char *part1, const char *part2)
{
    unsigned char file[512], zero[64] = {0};
    refuse_bytes("bad.npy", file, npy(file, 1, dict, zero, n), part1, part2);
}

static void test_npy(void)
{
    const float f[] = {2.385f, -1e-3f, 7, 1e9f};
    const double d[] = {2.385, -1e-3};
    const unsigned char big[] = {0x40, 0x03, 0x14, 0x7a, 0xe1, 0x47, 0xae, 0x14, 0xc0, 0x59, 0, 0, 0, 0, 0, 0};
    const int64_t i64[] = {3, -5}, small[] = {250, 0};
    const unsigned char u8[] = {1, 0, 1, 1};
    check_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", f, sizeof f, 2.385, 1e9, false);
    check_npy(2, "{'shape': (2, 1), 'fortran_order': False, 'descr': '<f8'}", d, sizeof d, 2.385, -1e-3, false);
    check_npy(3, "{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }", big, sizeof big, 2.385, -100, false);
    check_npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }", i64, sizeof i64, 3, -5, false);
    check_npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }", small, sizeof small, 250, 0, true);
    check_npy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (1, 2, 2), }", u8, sizeof u8, 1, 1, true);
    check_npy(1, "{\"descr\": \"|u1\", \"fortran_order\": False, \"shape\": (4, 1, 1, 1)}", u8, sizeof u8, 1, 1, true);
    refuse_npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16, "fortran_order", "ascontiguousarray");
    refuse_npy("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }", 16, "'|O'", "no objects");
    refuse_npy("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2), }", 32, "'<c8'", "f4 or f8");
    refuse_npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8, "NPY type", "no records");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 15, "16 of values", "found ");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 17, "16 of values", "found ");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, "shape", "1 to 4 dimensions");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1), }", 4, "shape", "1 to 4 dimensions");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", 0, "dimension 0", "is 0");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", 8, "dimension 1 is",
               "counted");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -2), }", 16, "shape", "(2, -2)");
    refuse_npy("{'fortran_order': False, 'shape': (2, 2), }", 16, "type missing", "expected");
    unsigned char file[512] = "\x93NUMPY\1\0\xff\xff{}";
    refuse_bytes("cut.npy", file, 12, "expected 65545 bytes", "found 12");
    memcpy(file + 6, "\2\0\xff\xff\xff\x7f", 6);
    refuse_bytes("header.npy", file, 20, "at most 65536 bytes", "2147483647");
    file[6] = 9;
    refuse_bytes("version.npy", file, 20, "expected 1 to 3", "found 9");
    const float nan[] = {1, NAN};
    refuse_bytes("nan.npy", file, npy(file, 1, "{'descr': '<f4','fortran_order': False,'shape': (1,2)}", nan, 8),
                 "row 1, column 2", "nan");
}

static void check_text(const char *text, size_t n, size_t dim, double first, double last, const char *note)
{
    tx_table t = read_bytes("a.csv", text, strlen(text));
    CHECK_INT(t.n, n);
    CHECK_INT(t.dim, dim);
    CHECK_HAS(t.note, note);
    if (t.n) {
        CHECK_NEAR(value(&t, 0), first, 1e-6 * fabs(first));
        CHECK_NEAR(value(&t, t.n * t.dim - 1), last, 1e-6 * fabs(last));
    }
    tx_table_free(&t);
}

static void refuse_text(const char *text, const char *part1, const char *part2)
{
    refuse_bytes("bad.csv", text, strlen(text), part1, part2);
}

static void test_text(void)
{
    check_text("0 1 1\n1 0 0\n", 2, 3, 0, 0, "blank separated, no header");
    check_text("0.5\t 1\t-2e3\n1\t0 \t7.25", 2, 3, 0.5, 7.25, "tab separated");
    refuse_text("1 2\t3\n", "line 1 (row 1), column 1", "found '1 2'");
    check_text("  0.5   1 -2e3 \n 1 \t0 7.25  \n\n \n", 2, 3, 0.5, 7.25, "blank separated");
    check_text("1,2\r\n3,4\r\n", 2, 2, 1, 4, "comma separated");
    check_text("\xef\xbb\xbf"
               "1;2.5\n3;1e-3\n",
               2, 2, 1, 1e-3, "semicolon separated");
    check_text("\xef\xbb\xbf"
               "a,\"b,c\",d\n1,2,3\n",
               1, 3, 1, 3, "with a header line");
    check_text("size\n12\n13.5\n", 2, 1, 12, 13.5, "header line");
    check_text("\n\n-.5,+3.\n", 1, 2, -.5, 3, "comma");
    check_text("123456789012345678,1E2\n", 1, 2, 123456789012345678.0, 100, "comma");
    refuse_text("1,2\n3,4,5\n", "line 2 (row 2)", "expected 2 columns as in row 1, found 3");
    refuse_text("x,y\n1,2\n3\n", "line 3 (row 2)", "expected 2 columns as in row 1, found 1");
    refuse_text("1,2\n3,\n", "line 2 (row 2), column 2", "empty field");
    refuse_text("1,,2\n", "line 1 (row 1), column 2", "empty field");
    refuse_text("1,2\n3,nan\n", "line 2 (row 2), column 2", "found 'nan'");
    refuse_text("nan,nan\n", "line 1 (row 1), column 1", "found 'nan'");
    refuse_text("1,2\n0x10,4\n", "column 1", "found '0x10'");
    refuse_text("1,2\ninf,4\n", "column 1", "found 'inf'");
    refuse_text("1;2\n3;4,5\n", "line 2 (row 2), column 2", "decimal point");
    refuse_text("1,2\n\"3\",4\n", "line 2 (row 2), column 1", "quotes");
    refuse_text("1 2\n3 4,5\n", "line 2 (row 2), column 2", "found '4,5'");
    refuse_text("1,2\n3,4x\n", "column 2", "found '4x'");
    refuse_text("1,2\n3,1e\n", "column 2", "found '1e'");
    refuse_text("1,2\n3,1e400\n", "row 2, column 2", "finite 32-bit number");
    refuse_text("1,2\n\n3,4\n", "line 2 (row 2)", "empty line");
    refuse_text("a,b,c\n1,2\n", "header line has 3 columns", "rows have 2");
    refuse_text("a,b\n", "no rows", "found 1 line without");
    refuse_text("\n\n", "no rows", "2 lines");
    refuse_bytes("nul.csv", "1,2\n3,\0", 7, "no known format", "31 2c 32 0a");
}

/* Long lines over the buffer's borders, gzip, and a locale with a decimal comma. */
static void test_text_large(void)
{
    enum { ROWS = 7, DIM = 90001 };
    char *text = malloc(ROWS * DIM * 6), *p = text;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < DIM; j++) p += sprintf(p, "%d%c", (i * 31 + j * 7) % 251, j == DIM - 1 ? '\n' : ' ');
    const size_t n = (size_t)(p - text);
    unsigned char *z = malloc(n);
    const char *old = setlocale(LC_NUMERIC, NULL);
    setlocale(LC_NUMERIC, "de_DE.UTF-8");
    tx_table t = read_bytes("large.amat.gz", z, gzipped(text, n, z, n));
    setlocale(LC_NUMERIC, old);
    CHECK_INT(t.n, ROWS);
    CHECK_INT(t.dim, DIM);
    size_t wrong = 0;
    for (int i = 0; t.u8 && i < ROWS; i++)
        for (int j = 0; j < DIM; j++) wrong += t.u8[i * DIM + j] != (i * 31 + j * 7) % 251;
    CHECK_TRUE(t.u8 && wrong == 0);
    tx_table_free(&t);
    free(z);
    free(text);
}

static void write_hdf5(hid_t f, const char *name, int rank, const hsize_t dims[], const double *x, hid_t stored)
{
    hid_t space = H5Screate_simple(rank, dims, NULL),
          set = H5Dcreate2(f, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CHECK_TRUE(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void refuse_path(const char *path, tx_status status, const char *part1, const char *part2)
{
    tx_table t = {0};
    CHECK_INT(tx_table_read(path, &t), status);
    CHECK_HAS(tx_last_error(), part1);
    CHECK_HAS(tx_last_error(), part2);
}

static void test_hdf5(void)
{
    char path[PATH], inner[PATH + 16];
    const double x[] = {0, 1.5, 2, 3, 4, -5};
    snprintf(path, sizeof path, "%s/a.h5", tx_test_folder());
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t g = H5Gcreate2(f, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    write_hdf5(g, "x", 2, (hsize_t[]){3, 2}, x, H5T_IEEE_F64BE);
    H5Gclose(g);
    H5Fclose(f);
    tx_table t = {0};
    CHECK_OK(tx_table_read(path, &t));
    CHECK_TRUE(t.n == 3 && t.dim == 2 && t.f32 && t.f32[1] == 1.5f && t.f32[5] == -5);
    tx_table_free(&t);
    f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    write_hdf5(f, "y", 3, (hsize_t[]){1, 2, 2}, (double[]){7, 8, 9, 255}, H5T_STD_I16BE);
    hid_t space = H5Screate_simple(2, (hsize_t[]){1000000, 1000000}, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(plist, 2, (hsize_t[]){100, 100});
    hid_t sparse = H5Dcreate2(f, "sparse", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    hid_t one = H5Screate_simple(2, (hsize_t[]){1, 1}, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, (hsize_t[]){0, 0}, NULL, (hsize_t[]){1, 1}, NULL);
    H5Dwrite(sparse, H5T_NATIVE_DOUBLE, one, space, H5P_DEFAULT, x);
    H5Sclose(one);
    H5Dclose(sparse);
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Dclose(H5Dcreate2(f, "text", text, space, H5P_DEFAULT, plist, H5P_DEFAULT));
    H5Tclose(text);
    H5Pclose(plist);
    H5Sclose(space);
    H5Fclose(f);
    refuse_path(path, TX_EDATA, "exactly one numeric array, found 3", "#");
    snprintf(inner, sizeof inner, "%s#y", path);
    CHECK_OK(tx_table_read(inner, &t));
    CHECK_TRUE(t.u8 && t.height == 2 && t.width == 2 && t.u8[3] == 255);
    tx_table_free(&t);
    snprintf(inner, sizeof inner, "%s#group/x", path);
    CHECK_OK(tx_table_read(inner, &t));
    tx_table_free(&t);
    snprintf(inner, sizeof inner, "%s#none", path);
    refuse_path(inner, TX_EDATA, "no array named 'none'", path);
    snprintf(inner, sizeof inner, "%s#sparse", path);
    refuse_path(inner, TX_EDATA, "declares 1000000000000 values", "40000 stored bytes");
    snprintf(inner, sizeof inner, "%s#text", path);
    refuse_path(inner, TX_EDATA, "expected integers or floats", "#text");
    CHECK_INT(truncate(path, 700), 0);
    refuse_path(path, TX_EDATA, "HDF5 cannot open it", path);
}

static bool crash(const void *ctx, int to)
{
    (void)ctx, (void)to;
    return raise(SIGKILL) == 0;
}

static bool hang(const void *ctx, int to)
{
    struct rlimit l;
    (void)ctx, (void)to;
    if (getrlimit(RLIMIT_CPU, &l) != 0 || l.rlim_cur != 5) return true;
    l.rlim_cur = 1; /* sooner, to save time */
    setrlimit(RLIMIT_CPU, &l);
    for (volatile unsigned i = 0;; i++) continue;
}

/* Whether so many GiB can be had when the content justifies two. */
static bool swell(const void *ctx, int to)
{
    (void)to;
    tx_confined_allow((size_t)2 << 30);
    void *p = malloc((size_t) * (const int *)ctx << 30);
    const bool had = p != NULL;
    free(p);
    return had;
}

static bool speak(const void *ctx, int to) { return tx_write_all(to, ctx, 6) && crash(ctx, to); }

static void test_confined(void)
{
    static const struct {
        tx_confined_fn task;
        int gib;
        const char *why; /* NULL: it ends well */
    } list[] = {
        {crash, 0, "signal 9"}, {hang, 0, "does not explain the time"}, {swell, 4, "more memory"}, {swell, 2, NULL}};
    for (size_t i = 0; i < TX_LEN(list); i++) {
        tx_confined c;
        char byte;
        CHECK_OK(tx_confined_start(&c, list[i].task, &list[i].gib));
        CHECK_TRUE(!tx_confined_read(&c, &byte, 1));
        CHECK_INT(tx_confined_end(&c, "a.h5"), list[i].why ? TX_EDATA : TX_OK);
        if (list[i].why) CHECK_HAS(tx_last_error(), "a.h5: ");
        if (list[i].why) CHECK_HAS(tx_last_error(), list[i].why);
    }
    tx_confined c;
    char said[7] = "";
    CHECK_OK(tx_confined_start(&c, speak, "before"));
    CHECK_TRUE(tx_confined_read(&c, said, 6) && !tx_confined_read(&c, said + 6, 1));
    CHECK_TEXT(said, "before");
    CHECK_INT(tx_confined_end(&c, "a.h5"), TX_EDATA);
}

/* A link into another file is not followed: it could be one that never ends. */
static void test_hdf5_links(void)
{
    char path[PATH], fifo[PATH], inner[PATH + 8];
    snprintf(path, sizeof path, "%s/links.h5", tx_test_folder());
    snprintf(fifo, sizeof fifo, "%s/links.fifo", tx_test_folder());
    snprintf(inner, sizeof inner, "%s#x", path);
    CHECK_INT(mkfifo(fifo, 0600), 0);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    CHECK_TRUE(H5Lcreate_external(fifo, "/x", f, "x", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(f);
    refuse_path(inner, TX_EDATA, "no array named 'x'", "links to other files are not followed");
}

static void test_not_files(void)
{
    char path[PATH];
    refuse_path("/dev/zero", TX_EDATA, "/dev/zero", "a device");
    refuse_path(tx_test_folder(), TX_EDATA, "regular file", "a folder");
    snprintf(path, sizeof path, "%s/fifo", tx_test_folder());
    CHECK_INT(mkfifo(path, 0600), 0);
    refuse_path(path, TX_EDATA, path, "a FIFO");
    snprintf(path, sizeof path, "%s/nothing", tx_test_folder());
    refuse_path(path, TX_ENOINPUT, path, "No such file");
    put("a#b.csv", "1,2\n", 4, path);
    tx_table t = {0};
    CHECK_OK(tx_table_read(path, &t));
    tx_table_free(&t);
    put("plain.csv", "1,2\n", 4, path);
    strcat(path, "#x");
    refuse_path(path, TX_EDATA, "names an array of a HDF5 file", "csv");
}

static void refuse_set(tx_data_config c, tx_status status, const char *part1, const char *part2)
{
    tx_dataset d = {0};
    CHECK_INT(tx_dataset_open(&d, &c, NULL), status);
    CHECK_HAS(tx_last_error(), part1);
    CHECK_HAS(tx_last_error(), part2);
}

/* 103 rows whose first column is their number: every row is in exactly one split, whatever the key. */
static void test_split_single(void)
{
    char text[4096], *p = text, path[PATH], sha[2][TX_SHA256_TEXT];
    for (int i = 0; i < 103; i++) p += sprintf(p, "%d,%d.5,%d\n", i, i, i % 7);
    put("numbers.csv", text, (size_t)(p - text), path);
    for (int key = 0; key < 2; key++) {
        tx_data_config c = config_of("", path);
        tx_dataset d;
        int seen[103] = {0};
        c.split_key = key;
        c.label_column = 2;
        CHECK_OK(tx_dataset_open(&d, &c, NULL));
        CHECK_INT(d.split[TX_TRAIN].n, 83);
        CHECK_INT(d.split[TX_VALID].n, 10);
        CHECK_INT(d.split[TX_TEST].n, 10);
        CHECK_TRUE(d.type == TX_REAL && d.dim == 2 && d.levels == 0);
        CHECK_TEXT(d.name, "numbers");
        CHECK_HAS(d.split[TX_VALID].origin, "places 83..92 of the permutation");
        for (int s = 0; s < TX_N_SPLIT; s++)
            for (size_t i = 0; i < d.split[s].n; i++) {
                const float *row = d.split[s].value + 2 * i;
                seen[(int)row[0]]++;
                CHECK_TRUE(row[1] == row[0] + 0.5f && d.split[s].label[i] == (int)row[0] % 7);
            }
        for (int i = 0; i < 103; i++) CHECK_INT(seen[i], 1);
        memcpy(sha[key], d.sha256, sizeof sha[key]);
        tx_dataset_close(&d);
    }
    CHECK_TRUE(strcmp(sha[0], sha[1]) != 0);
    tx_data_config c = config_of("", path);
    c.label_column = 1;
    refuse_set(c, TX_EDATA, "row 1, column 2: expected a label", "found 0.5");
    c.label_column = 3;
    refuse_set(c, TX_ECONFIG, "label_column 3", "from 0 to 2");
    put("few.csv", "1,2\n3,4\n", 8, path);
    refuse_set(config_of("", path), TX_EDATA, "at least 10 rows", "found 2");
}

static void open_three(const char *folder, const char *train, const char *valid, const char *test, char path[PATH])
{
    char name[PATH];
    snprintf(path, PATH, "%s/%s", tx_test_folder(), folder);
    mkdir(path, 0700);
    const char *const text[] = {train, valid, test};
    for (int s = 0; s < TX_N_SPLIT; s++) {
        char ignored[PATH];
        snprintf(name, sizeof name, "%s/%s.%s.data", folder, folder, tx_split_name((tx_split)s));
        put(name, text[s], strlen(text[s]), ignored);
    }
}

static void test_types(void)
{
    char path[PATH];
    tx_dataset d;
    open_three("bits", "0,1\n1,1\n0,0\n", "1,1\n", "0,1\n1,0\n", path);
    tx_data_config c = config_of("", path);
    char *note = NULL;
    size_t size;
    FILE *f = open_memstream(&note, &size);
    CHECK_OK(tx_dataset_open(&d, &c, f));
    fclose(f);
    CHECK_HAS(note, "bits: type binary, 2 levels (inferred)");
    CHECK_HAS(note, "bits: test = rows 0..1 of bits.test.data");
    free(note);
    CHECK_TRUE(d.type == TX_BINARY && d.levels == 2 && d.split[TX_TRAIN].n == 3 && d.split[TX_TEST].level[1] == 1);
    char sha[TX_SHA256_TEXT];
    memcpy(sha, d.sha256, sizeof sha);
    tx_dataset_close(&d);
    c.n_train = 2;
    CHECK_OK(tx_dataset_open(&d, &c, NULL));
    CHECK_INT(d.split[TX_TRAIN].n, 2);
    CHECK_TRUE(strcmp(sha, d.sha256) != 0);
    tx_dataset_close(&d);
    c.type = 3;
    CHECK_OK(tx_dataset_open(&d, &c, NULL));
    CHECK_TRUE(d.type == TX_REAL && d.split[TX_TEST].value[1] == 1);
    tx_dataset_close(&d);

    open_three("greys", "0,3\n1,1\n", "6,2\n", "0,1\n", path);
    c = config_of("", path);
    CHECK_OK(tx_dataset_open(&d, &c, NULL));
    CHECK_TRUE(d.type == TX_LEVELS && d.levels == 7);
    tx_dataset_close(&d);
    c.type = 1;
    refuse_set(c, TX_EDATA, "greys.train.data: row 1, column 2", "0..1 (type binary), found 3");
    c.type = 2;
    c.levels = 5;
    refuse_set(c, TX_EDATA, "greys.valid.data: row 1, column 1", "0..4 (type levels), found 6");
    c.levels = 16;
    CHECK_OK(tx_dataset_open(&d, &c, NULL));
    CHECK_INT(d.levels, 16);
    tx_dataset_close(&d);
    c.type = 3;
    refuse_set(c, TX_ECONFIG, "levels: 16", "real");
    c.type = 0;
    c.levels = 1;
    refuse_set(c, TX_ECONFIG, "levels: 1", "inferred");
    open_three("ragged", "0,3\n1,1\n", "6,2,1\n", "0,1\n", path);
    refuse_set(config_of("", path), TX_EDATA, "ragged.valid.data: expected rows of 2 values", "found 3");
    open_three("real", "0,3\n1,256\n", "6,2\n", "0,1\n", path);
    c = config_of("", path);
    c.type = 2;
    refuse_set(c, TX_EDATA, "real.train.data: row 2, column 2", "found 256");
}

static void test_places(void)
{
    char path[PATH], name[2 * PATH];
    refuse_set(config_of("", ""), TX_ECONFIG, "exactly one of name and path", "''");
    refuse_set(config_of("ring", "x.csv"), TX_ECONFIG, "exactly one of name and path", "x.csv");
    const char *data = getenv("TAXON_DATA");
    char *kept = data ? tx_strdup(data) : NULL;
    setenv("TAXON_DATA", tx_test_folder(), 1);
    refuse_set(config_of("nltc", ""), TX_ECONFIG, "nltc", "did you mean 'nltcs'");
    refuse_set(config_of("../bits", ""), TX_ECONFIG, "plain name", "path");
    refuse_set(config_of("mnist", ""), TX_ENOINPUT, "/mnist, ", "47040016 bytes");
    open_three("own", "0,1\n1,1\n", "1,0\n", "0,1\n", path);
    tx_dataset d;
    tx_data_config c = config_of("own", "");
    CHECK_OK(tx_dataset_open(&d, &c, NULL));
    CHECK_TEXT(d.name, "own");
    tx_dataset_close(&d);
    put("own/train.csv", "1,1\n", 4, name);
    refuse_set(c, TX_EDATA, "'train'", "train.csv");
    CHECK_INT(unlink(name), 0);
    snprintf(name, sizeof name, "%s/own.valid.data", path);
    CHECK_INT(unlink(name), 0);
    refuse_set(c, TX_ENOINPUT, "no file of the valid split", path);
    unsetenv("TAXON_DATA");
    refuse_set(config_of("nltcs", ""), TX_ENOINPUT, "TAXON_DATA is not set", "517792 bytes");
    if (kept) setenv("TAXON_DATA", kept, 1);
    free(kept);
}

/* A folder as MNIST's: the last sixth of train is valid. */
static void test_image_folder(void)
{
    char path[PATH], folder[PATH];
    snprintf(folder, sizeof folder, "%s/pair", tx_test_folder());
    mkdir(folder, 0700);
    unsigned char images[16 + 12 * 4] = {0, 0, 8, 3, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 2},
                                   labels[8 + 12] = {0, 0, 8, 1, 0, 0, 0, 12};
    for (int i = 0; i < 12; i++) {
        labels[8 + i] = (unsigned char)(i % 10);
        for (int j = 0; j < 4; j++) images[16 + 4 * i + j] = (unsigned char)(10 * i + j);
    }
    put("pair/train-images-idx3-ubyte", images, sizeof images, path);
    put("pair/train-labels-idx1-ubyte", labels, sizeof labels, path);
    images[7] = labels[7] = 3;
    put("pair/t10k-images-idx3-ubyte", images, 16 + 3 * 4, path);
    put("pair/t10k-labels-idx1-ubyte", labels, 8 + 3, path);
    tx_dataset d;
    tx_data_config c = config_of("", folder);
    CHECK_OK(tx_dataset_open(&d, &c, NULL));
    CHECK_TRUE(d.levels == 256 && d.height == 2 && d.width == 2 && d.channel == 1 && d.dim == 4);
    CHECK_TRUE(d.split[TX_TRAIN].n == 10 && d.split[TX_VALID].n == 2 && d.split[TX_TEST].n == 3);
    CHECK_TRUE(d.split[TX_VALID].level[0] == 100 && d.split[TX_VALID].label[1] == 1 && d.split[TX_TEST].label[2] == 2);
    CHECK_TEXT(d.split[TX_VALID].origin, "rows 10..11 of train-images-idx3-ubyte");
    tx_dataset_close(&d);
    labels[7] = 2;
    put("pair/t10k-labels-idx1-ubyte", labels, 8 + 2, path);
    refuse_set(c, TX_EDATA, "t10k-labels-idx1-ubyte: expected 3 labels", "found 2 x 1");
}

static void test_hdf5_splits(void)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/splits.h5", tx_test_folder());
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    for (int s = 0; s < TX_N_SPLIT; s++)
        write_hdf5(f, tx_split_name((tx_split)s), 2, (hsize_t[]){(hsize_t)s + 1, 2}, (double[]){s + 0.5, 1, 2, 3, 4, 5},
                   H5T_IEEE_F32LE);
    H5Fclose(f);
    tx_dataset d;
    tx_data_config c = config_of("", path);
    CHECK_OK(tx_dataset_open(&d, &c, NULL));
    for (int s = 0; s < TX_N_SPLIT; s++) CHECK_TRUE(d.split[s].n == (size_t)s + 1 && d.split[s].value[0] == s + 0.5f);
    CHECK_TEXT(d.name, "splits");
    tx_dataset_close(&d);
}

/* A data set of grey levels made in place: column j has level base[j] in every row, but the last column alternates. */
enum { GREYS = 9, GREY_ROWS = 40000 };
static const uint8_t grey_base[GREYS] = {0, 1, 17, 100, 128, 200, 254, 255, 0};

static tx_dataset greys(void)
{
    tx_dataset d = {.name = "greys", .type = TX_LEVELS, .levels = 256, .dim = GREYS};
    uint8_t *x = tx_alloc(GREY_ROWS * GREYS, 1);
    for (size_t i = 0; i < GREY_ROWS; i++)
        for (size_t j = 0; j < GREYS; j++) x[i * GREYS + j] = j == GREYS - 1 ? (uint8_t)(i % 2 * 51 + 3) : grey_base[j];
    d.memory[0] = x;
    for (int s = 0; s < TX_N_SPLIT; s++) {
        d.split[s].n = s == TX_TRAIN ? GREY_ROWS : 1000;
        d.split[s].level = x;
    }
    tx_copy_text(d.sha256, sizeof d.sha256, "greys");
    return d;
}

static tx_view view_of(const tx_dataset *d, const char *name, double lambda)
{
    tx_view v = {0};
    for (int k = 0; tx_view_list[k]; k++)
        if (strcmp(tx_view_list[k]->name, name) == 0) CHECK_OK(tx_view_open(&v, d, &(tx_view_config){k, lambda}));
    CHECK_TRUE(v.ops != NULL);
    return v;
}

static const char *const grey_views[] = {"raw",         "binarised", "static_binarised",
                                         "dequantised", "logit",     "standardised"};

static void test_view_list(void)
{
    char all[256] = "", text[64];
    for (int k = 0; tx_view_list[k]; k++) {
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", k ? "|" : "", tx_view_list[k]->name);
        tx_option_choice(&tx_view_options[0], k, text, sizeof text);
        CHECK_TEXT(text, tx_view_list[k]->name);
    }
    CHECK_TEXT(all, tx_view_choices());
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    CHECK_INT(c.view, 0);
    CHECK_NEAR(c.lambda, 1e-6, 1e-20);
    tx_view v;
    tx_dataset real_set = {.name = "r", .type = TX_REAL, .dim = 1},
               bits = {.name = "b", .type = TX_BINARY, .levels = 2, .dim = 1};
    const char *const real_unfit[] = {"binarised", "static_binarised", "dequantised", "logit"};
    const char *const bits_unfit[] = {"binarised", "dequantised", "logit", "standardised"};
    for (int k = 0; tx_view_list[k]; k++)
        for (size_t i = 0; i < 4; i++) {
            if (strcmp(tx_view_list[k]->name, real_unfit[i]) == 0) {
                CHECK_INT(tx_view_open(&v, &real_set, &(tx_view_config){k, 1e-6}), TX_ECONFIG);
                CHECK_HAS(tx_last_error(), "data are real");
            }
            if (strcmp(tx_view_list[k]->name, bits_unfit[i]) == 0) {
                CHECK_INT(tx_view_open(&v, &bits, &(tx_view_config){k, 1e-6}), TX_ECONFIG);
                CHECK_HAS(tx_last_error(), "binary: use raw");
            }
        }
}

/* Moments of the training draws at 5 sigma, and against the view's own claim. */
static void check_moments(const tx_view *v, const double mean[], const double deviation[], const double fourth[])
{
    const size_t n = GREY_ROWS;
    real *y = tx_alloc(n * GREYS, sizeof *y);
    uint32_t *row = tx_alloc(n, sizeof *row);
    for (size_t i = 0; i < n; i++) row[i] = (uint32_t)i;
    tx_view_rows(v, TX_TRAIN, 17, 3, row, n, y, NULL);
    for (size_t j = 0; j < GREYS; j++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < n; i++) {
            const double x = (double)y[i * GREYS + j];
            sum += x - mean[j];
            square += (x - mean[j]) * (x - mean[j]);
            CHECK_TRUE(x >= v->space.lower && x <= v->space.upper);
        }
        const double var = deviation[j] * deviation[j];
        CHECK_NEAR(sum / (double)n, 0, 5 * deviation[j] / sqrt((double)n) + 1e-6);
        CHECK_NEAR(square / (double)n, var, 5 * sqrt(fmax(0, fourth[j] - var * var) / (double)n) + 1e-6);
        CHECK_NEAR(v->space.mean[j], mean[j], 1e-9);
        CHECK_NEAR(v->space.deviation[j], deviation[j], 1e-9);
    }
    free(row);
    free(y);
}

static void test_view_moments(void)
{
    tx_dataset d = greys();
    double level[GREYS], var[GREYS], mean[GREYS], deviation[GREYS], fourth[GREYS];
    for (int j = 0; j < GREYS; j++) {
        level[j] = j == GREYS - 1 ? 28.5 : grey_base[j];
        var[j] = j == GREYS - 1 ? 25.5 * 25.5 : 0;
        deviation[j] = sqrt(var[j]);
        fourth[j] = var[j] * var[j];
    }
    tx_view v = view_of(&d, "raw", 0);
    CHECK_TRUE(v.space.measure == TX_COUNTING && v.space.levels == 256);
    check_moments(&v, level, deviation, fourth);
    tx_view_close(&v);
    for (int j = 0; j < GREYS; j++) {
        const double p = mean[j] = level[j] / 255;
        deviation[j] = sqrt(p * (1 - p));
        fourth[j] = p * (1 - p) * (1 - 3 * p + 3 * p * p);
    }
    v = view_of(&d, "binarised", 0);
    CHECK_TRUE(v.space.measure == TX_COUNTING && v.space.levels == 2);
    check_moments(&v, mean, deviation, fourth);
    tx_view_close(&v);
    for (int j = 0; j < GREYS; j++) {
        mean[j] = (level[j] + 0.5) / 256;
        deviation[j] = sqrt(var[j] + 1.0 / 12) / 256;
        fourth[j] = (var[j] * var[j] + 6 * var[j] / 12 + 1.0 / 80) / pow(256, 4);
    }
    v = view_of(&d, "dequantised", 0);
    CHECK_TRUE(v.space.measure == TX_LEBESGUE && v.space.levels == 0 && v.dequantised_levels == 256);
    check_moments(&v, mean, deviation, fourth);
    tx_view_close(&v);
    tx_dataset_close(&d);
}

/* Every dequantised value lies strictly within its level's cell, also the ones that rounding would push out. */
static void test_dequantised_cells(void)
{
    tx_dataset d = greys();
    tx_view v = view_of(&d, "dequantised", 0);
    uint32_t row[1000];
    real y[1000 * GREYS];
    size_t wrong = 0;
    for (uint32_t i = 0; i < 1000; i++) row[i] = i;
    for (uint64_t epoch = 0; epoch < 300; epoch++) {
        tx_view_rows(&v, TX_TRAIN, 1, epoch, row, 1000, y, NULL);
        for (size_t i = 0; i < 1000 * GREYS; i++) {
            const double x = (double)y[i] * 256;
            wrong += floor(x) != d.split[TX_TRAIN].level[i] || x <= 0 || x >= 256;
        }
    }
    CHECK_INT(wrong, 0);
    tx_view_close(&v);
    tx_dataset_close(&d);
}

/* The same bits in any grouping and order, by any number of threads; noise of train depends on seed and epoch, that of
 * valid and test on the split alone. */
static void check_determinism(const tx_view *v)
{
    enum { N = 65 };
    real a[N * GREYS], b[N * GREYS];
    double ja[N], jb[N];
    uint32_t row[N];
    for (uint32_t i = 0; i < N; i++) row[i] = (i * 37) % 1000;
    for (int s = 0; s < TX_N_SPLIT; s++) {
        tx_view_rows(v, (tx_split)s, 5, 2, row, N, a, ja);
        tx_threads_set(2);
        tx_view_rows(v, (tx_split)s, 5, 2, row, N, b, jb);
        tx_threads_set(1);
        CHECK_TRUE(memcmp(a, b, sizeof a) == 0 && memcmp(ja, jb, sizeof ja) == 0);
        for (int i = N - 1; i >= 0; i--) tx_view_rows(v, (tx_split)s, 5, 2, row + i, 1, b + i * GREYS, jb + i);
        CHECK_TRUE(memcmp(a, b, sizeof a) == 0 && memcmp(ja, jb, sizeof ja) == 0);
        const bool varies = s == TX_TRAIN && v->ops->random;
        tx_view_rows(v, (tx_split)s, 6, 2, row, N, b, NULL);
        CHECK_TRUE((memcmp(a, b, sizeof a) != 0) == varies);
        tx_view_rows(v, (tx_split)s, 5, 3, row, N, b, NULL);
        CHECK_TRUE((memcmp(a, b, sizeof a) != 0) == varies);
    }
    tx_view_range(v, TX_TEST, 11, 3, a, NULL);
    tx_view_rows(v, TX_TEST, 9, 9, (uint32_t[]){11, 12, 13}, 3, b, NULL);
    CHECK_TRUE(memcmp(a, b, 3 * GREYS * sizeof *a) == 0);
    tx_view_range(v, TX_TRAIN, 11, 3, a, NULL);
    tx_view_rows(v, TX_TRAIN, 0, 0, (uint32_t[]){11, 12, 13}, 3, b, NULL);
    CHECK_TRUE(memcmp(a, b, 3 * GREYS * sizeof *a) == 0);
    /* valid and test hold the same levels here: only noise can tell them apart. */
    tx_view_range(v, TX_VALID, 0, N, a, NULL);
    tx_view_range(v, TX_TEST, 0, N, b, NULL);
    const bool noisy = v->ops->random || v->fixed[TX_TEST];
    CHECK_TRUE((memcmp(a, b, sizeof a) != 0) == noisy);
}

static void test_determinism(void)
{
    for (size_t k = 0; k < TX_LEN(grey_views); k++) {
        tx_dataset d = greys();
        tx_view v = view_of(&d, grey_views[k], 1e-6), w = view_of(&d, grey_views[k], 1e-6);
        check_determinism(&v);
        CHECK_TEXT(v.sha256, w.sha256);
        tx_view_close(&w);
        tx_copy_text(d.name, sizeof d.name, "another");
        w = view_of(&d, grey_views[k], 1e-6);
        CHECK_TRUE((strcmp(v.sha256, w.sha256) != 0) == (v.ops->random || v.fixed[TX_TEST]));
        tx_view_close(&w);
        tx_view_close(&v);
        tx_dataset_close(&d);
    }
    tx_dataset d = greys();
    tx_view v = view_of(&d, "raw", 0);
    uint32_t *perm = tx_alloc(3 * GREY_ROWS, sizeof *perm);
    uint8_t *seen = tx_alloc(GREY_ROWS, 1);
    tx_view_order(&v, 1, 0, perm);
    tx_view_order(&v, 1, 1, perm + GREY_ROWS);
    tx_view_order(&v, 2, 0, perm + 2 * GREY_ROWS);
    size_t missing = 0;
    for (size_t i = 0; i < GREY_ROWS; i++) seen[perm[i]] = 1;
    for (size_t i = 0; i < GREY_ROWS; i++) missing += !seen[i];
    CHECK_INT(missing, 0);
    CHECK_TRUE(memcmp(perm, perm + GREY_ROWS, GREY_ROWS * sizeof *perm) != 0);
    CHECK_TRUE(memcmp(perm, perm + 2 * GREY_ROWS, GREY_ROWS * sizeof *perm) != 0);
    free(seen);
    free(perm);
    tx_view_close(&v);
    tx_dataset_close(&d);
}

/* Equal shares as long as a class has rows, each once; the first of more are those of fewer. */
static void test_labelled_rows(void)
{
    enum { ROWS = 40, SCARCE = 3 };
    static const uint8_t of[] = {0, 2, 2, 0, 2, 0, 2}; /* class 1: rows 7, 17 and 27 */
    tx_dataset d = {.type = TX_REAL, .dim = 1, .unit = "1"};
    float x[ROWS] = {0};
    uint8_t label[ROWS];
    for (size_t i = 0; i < ROWS; i++) x[i] = (float)i, label[i] = i % 10 == 7 && i < 30 ? 1 : of[i % TX_LEN(of)];
    for (int s = 0; s < TX_N_SPLIT; s++) d.split[s].n = ROWS, d.split[s].value = x, d.split[s].label = label;
    tx_copy_text(d.name, sizeof d.name, "labels");
    tx_view v = view_of(&d, "raw", 0);
    CHECK_INT(v.space.n_class, 3);
    uint32_t few[12], all[ROWS], other[12];
    size_t count[3] = {0}, seen[ROWS] = {0}, same = 0;
    tx_view_labelled(&v, 5, 12, few);
    tx_view_labelled(&v, 5, ROWS, all);
    tx_view_labelled(&v, 6, 12, other);
    CHECK_TRUE(memcmp(few, all, sizeof few) == 0);
    for (size_t i = 0; i < 12; i++) count[label[few[i]]]++, same += few[i] == other[i];
    CHECK_INT(count[1], SCARCE);
    CHECK_TRUE(count[0] >= 4 && count[2] >= 4);
    CHECK_TRUE(same < 12);
    for (size_t i = 0; i < ROWS; i++) CHECK_INT(seen[all[i]]++, 0);
    tx_view_close(&v);
    for (int s = 0; s < TX_N_SPLIT; s++) d.split[s].label = NULL;
    v = view_of(&d, "raw", 0);
    CHECK_INT(v.space.n_class, 0);
    tx_view_close(&v);
}

/* The Jacobian against the numeric derivative of the inverse: log |dy/dx| = -sum log |dx/dy|; and the inverse gives
 * back a point in the level's cell (or the real number). */
static void check_inverse(const tx_view *v, double tolerance)
{
    enum { N = 7 };
    real y[N * GREYS], x[N * GREYS], up[N * GREYS], down[N * GREYS];
    double jacobian[N];
    const size_t dim = v->space.dim;
    tx_view_range(v, TX_TEST, 0, N, y, jacobian);
    v->ops->invert(v, N, y, x);
    const double h = sizeof(real) == 8 ? 1e-5 : 2e-2;
    for (size_t i = 0; i < N * dim; i++) {
        up[i] = (real)(y[i] + h);
        down[i] = (real)(y[i] - h);
    }
    real xu[N * GREYS], xd[N * GREYS];
    v->ops->invert(v, N, up, xu);
    v->ops->invert(v, N, down, xd);
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        for (size_t j = 0; j < dim; j++) {
            const size_t at = i * dim + j;
            sum -= log((double)(xu[at] - xd[at]) / (double)(up[at] - down[at]));
            if (v->data->levels)
                CHECK_NEAR((double)x[at] * v->data->levels, v->data->split[TX_TEST].level[at] + 0.5, 0.5001);
            else
                CHECK_NEAR(x[at], v->data->split[TX_TEST].value[at], 1e-5 * fabs((double)x[at]) + 1e-6);
        }
        CHECK_NEAR(jacobian[i], sum, tolerance);
    }
}

static void test_jacobians(void)
{
    tx_dataset d = greys();
    const bool wide = sizeof(real) == 8;
    tx_view v = view_of(&d, "logit", 0.05);
    check_inverse(&v, wide ? 1e-6 : 5e-3);
    CHECK_NEAR(v.space.upper, log(0.95 / 0.05), 1e-12);
    CHECK_INT(v.dequantised_levels, 256);
    tx_view_close(&v);
    v = view_of(&d, "standardised", 0);
    check_inverse(&v, wide ? 1e-6 : 5e-3);
    for (int j = 0; j < GREYS; j++) {
        CHECK_NEAR(v.space.mean[j], 0, 5 / sqrt(GREY_ROWS));
        CHECK_NEAR(v.space.deviation[j], 1, 5 / sqrt(GREY_ROWS));
    }
    tx_view_close(&v);
    /* With a small lambda the edges stay accurate: y of level 255 from 1 - x without cancellation. */
    v = view_of(&d, "logit", 1e-6);
    real y[GREYS * 100];
    double jacobian[100];
    tx_view_range(&v, TX_TEST, 0, 100, y, jacobian);
    for (int i = 0; i < 100; i++) {
        double sum = GREYS * log1p(-2e-6);
        for (int j = 0; j < GREYS; j++) {
            const double t = (double)y[i * GREYS + j];
            sum += 2 * log1p(exp(-fabs(t))) + fabs(t); /* -log a - log(1-a) */
        }
        CHECK_NEAR(jacobian[i], sum, wide ? 1e-10 : 2e-5);
    }
    tx_view_close(&v);
    tx_dataset_close(&d);
}

static void test_standardised_reals(void)
{
    float x[3 * 50];
    for (int i = 0; i < 50; i++) {
        x[3 * i] = (float)(2.385 + 0.5 * i);
        x[3 * i + 1] = 4.25f;
        x[3 * i + 2] = 16 + (float)(i % 2);
    }
    tx_dataset d = {.name = "r", .type = TX_REAL, .dim = 3};
    for (int s = 0; s < TX_N_SPLIT; s++) {
        d.split[s].n = s == TX_TRAIN ? 50 : 7;
        d.split[s].value = x;
    }
    tx_view v = view_of(&d, "standardised", 0);
    CHECK_HAS(v.note, "1 of 3 coordinates");
    check_inverse(&v, 5e-3);
    const double deviation = 0.5 * sqrt((50.0 * 50 - 1) / 12);
    double jacobian;
    real y[3];
    tx_view_range(&v, TX_TEST, 1, 1, y, &jacobian);
    CHECK_NEAR(jacobian, -log(deviation) - log(0.5), 1e-6);
    CHECK_NEAR(y[0], (0.5 - 0.5 * 24.5) / deviation, 1e-5);
    CHECK_NEAR(y[1], 0, 1e-6);
    CHECK_NEAR(y[2], 1, 1e-6);
    tx_view_close(&v);
    v = view_of(&d, "raw", 0);
    CHECK_NEAR(v.space.deviation[0], deviation, 1e-6);
    CHECK_NEAR(v.space.mean[2], 16.5, 1e-9);
    CHECK_TRUE(isnan(tx_bits_of(&v, TX_EXACT, 1.0).value));
    tx_view_close(&v);
}

static void test_measure(void)
{
    tx_view v = {.space = {.measure = TX_LEBESGUE, .dim = 784}, .dequantised_levels = 256};
    CHECK_NEAR(tx_bits_of(&v, TX_EXACT, 1980.50).value, 4.356, 1e-3);
    CHECK_NEAR(tx_bits_of(&v, TX_EXACT, 784 * log(256)).value, 0, 1e-12);
    v = (tx_view){.space = {.measure = TX_COUNTING, .levels = 2, .dim = 784}};
    CHECK_NEAR(tx_bits_of(&v, TX_EXACT, -84.55).value, 0.155587, 1e-6);
    CHECK_NEAR(tx_bits_of(&v, TX_EXACT, -784 * log(2)).value, 1, 1e-12);
}

/* Every kind on every measure: code lengths turn bounds round; a density of dequantised levels only bounds the code
 * length of the levels, from above, and an upper bound of it says nothing of them. */
static void test_bits(void)
{
    const double nats = -23.85, dim = 17, per = dim * log(2), none = NAN;
    static const tx_view view[] = {
        {.space = {.measure = TX_COUNTING, .levels = 2, .dim = 17}},
        {.space = {.measure = TX_COUNTING, .levels = 7, .dim = 17}},
        {.space = {.measure = TX_LEBESGUE, .dim = 17}, .dequantised_levels = 7},
        {.space = {.measure = TX_LEBESGUE, .dim = 17}},
    };
    const double counted = -nats / per, dequantised = (dim * log(7) - nats) / per;
    const struct {
        tx_kind kind;
        double value[4];
        tx_kind of_counts, of_density;
    } row[] = {
        {TX_EXACT, {counted, counted, dequantised, none}, TX_EXACT, TX_UPPER_BOUND},
        {TX_LOWER_BOUND, {counted, counted, dequantised, none}, TX_UPPER_BOUND, TX_UPPER_BOUND},
        {TX_UPPER_BOUND, {counted, counted, none, none}, TX_LOWER_BOUND, TX_N_KIND},
        {TX_ESTIMATE, {counted, counted, dequantised, none}, TX_ESTIMATE, TX_ESTIMATE},
    };
    CHECK_INT(TX_LEN(row), TX_N_KIND);
    for (size_t k = 0; k < TX_LEN(row); k++)
        for (size_t i = 0; i < TX_LEN(view); i++) {
            tx_bits b = tx_bits_of(&view[i], row[k].kind, nats);
            CHECK_TRUE(isnan(b.value) == isnan(row[k].value[i]));
            if (isnan(row[k].value[i])) continue;
            CHECK_NEAR(b.value, row[k].value[i], 1e-14 * row[k].value[i]);
            CHECK_INT(b.kind, view[i].space.measure == TX_COUNTING ? row[k].of_counts : row[k].of_density);
        }
}

static tx_dataset builtin(const char *name, int n_train)
{
    tx_dataset d = {0};
    tx_data_config c = config_of(name, "");
    c.n_train = n_train;
    CHECK_OK(tx_dataset_open(&d, &c, NULL));
    CHECK_TRUE(d.known != NULL);
    return d;
}

/* The mean of -log p over test is the entropy within 5 standard errors, and the quadrature's error is small. */
static void check_entropy(const tx_dataset *d)
{
    const size_t n = d->split[TX_TEST].n;
    double sum = 0, square = 0;
    real x[16];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < d->dim; j++)
            x[j] = (real)(d->levels ? d->split[TX_TEST].level[i * d->dim + j]
                                    : d->split[TX_TEST].value[i * d->dim + j]);
        const double s = -d->known->log_prob(d, x);
        sum += s;
        square += s * s;
    }
    const double mean = sum / (double)n, error = sqrt(fmax(0, square / (double)n - mean * mean) / (double)n);
    CHECK_NEAR(mean, d->known->entropy, 5 * error + 1e-12);
    CHECK_TRUE(d->known->entropy_error <= 1e-8);
}

static double density_1d(double x, void *ctx)
{
    const real at = (real)x;
    const tx_dataset *d = ctx;
    return exp(d->known->log_prob(d, &at));
}

static void test_known_mixture(void)
{
    tx_dataset d = builtin("mixture_1d", 7);
    CHECK_INT(d.split[TX_TRAIN].n, 7);
    CHECK_INT(d.split[TX_TEST].n, 10000);
    check_entropy(&d);
    gsl_integration_workspace *w = gsl_integration_workspace_alloc(1000);
    gsl_function f = {density_1d, &d};
    double mass, error;
    gsl_error_handler_t *old = gsl_set_error_handler_off(); /* floats as arguments make the integrand rough */
    gsl_integration_qag(&f, -15, 17, 1e-7, 1e-7, 1000, GSL_INTEG_GAUSS61, w, &mass, &error);
    gsl_set_error_handler(old);
    gsl_integration_workspace_free(w);
    CHECK_NEAR(mass, 1, 1e-6);
    const real at = 0.5;
    const double p = 0.5 / 0.6 * exp(-0.5 * pow(2 / 0.6, 2)) + 0.3 / 1.1 + 0.2 / 0.25 * exp(-0.5 * 49);
    CHECK_NEAR(d.known->log_prob(&d, &at), log(p / sqrt(2 * M_PI)), 1e-6);
    tx_dataset_close(&d);
}

static void check_modes(const char *name, size_t n_mode, double deviation)
{
    tx_dataset d = builtin(name, 0);
    check_entropy(&d);
    CHECK_INT(d.known->n_mode, n_mode);
    CHECK_INT(d.split[TX_TRAIN].n, 50000);
    double centre[25][2];
    size_t count[25] = {0}, stray = 0;
    for (size_t k = 0; k < n_mode; k++) {
        CHECK_NEAR(d.known->mode(&d, k, centre[k]), deviation, 1e-15);
        for (size_t other = 0; other < k; other++)
            CHECK_TRUE(hypot(centre[k][0] - centre[other][0], centre[k][1] - centre[other][1]) > 20 * deviation);
    }
    for (size_t i = 0; i < d.split[TX_TRAIN].n; i++) {
        size_t in = 0;
        for (size_t k = 0; k < n_mode; k++) {
            const float *x = d.split[TX_TRAIN].value + 2 * i;
            if (hypot(x[0] - centre[k][0], x[1] - centre[k][1]) > 6 * deviation) continue;
            count[k]++;
            in++;
            CHECK_TRUE(d.split[TX_TRAIN].label[i] == k);
        }
        stray += in != 1;
    }
    CHECK_INT(stray, 0);
    const double p = 1.0 / (double)n_mode, n = (double)d.split[TX_TRAIN].n;
    for (size_t k = 0; k < n_mode; k++) CHECK_NEAR((double)count[k], n * p, 5 * sqrt(n * p * (1 - p)));
    /* Mass of one mode by the trapezium rule, which is exact to rounding for a normal at this step. */
    double mass = 0;
    const double h = deviation / 2;
    for (int a = -16; a <= 16; a++)
        for (int b = -16; b <= 16; b++)
            mass += h * h *
                    exp(d.known->log_prob(&d, (real[]){(real)(centre[3][0] + a * h), (real)(centre[3][1] + b * h)}));
    CHECK_NEAR(mass * (double)n_mode, 1, sizeof(real) == 8 ? 1e-9 : 1e-3);
    tx_dataset_close(&d);
}

static void test_known_modes(void)
{
    check_modes("ring", 8, 0.01);
    check_modes("grid", 25, 0.05);
    tx_data_config c = config_of("ring", "");
    c.levels = 4;
    refuse_set(c, TX_ECONFIG, "ring", "fixed");
}

static void check_mass(const char *name)
{
    tx_dataset d = builtin(name, 10);
    double mass = 0, entropy = 0;
    check_entropy(&d);
    for (uint32_t bits = 0; bits < 1u << 16; bits++) {
        real x[16];
        for (int j = 0; j < 16; j++) x[j] = bits >> j & 1;
        const double log_p = d.known->log_prob(&d, x);
        mass += exp(log_p);
        if (log_p > -INFINITY) entropy -= exp(log_p) * log_p;
    }
    CHECK_NEAR(mass, 1, 1e-12);
    CHECK_NEAR(entropy, d.known->entropy, 1e-11);
    tx_dataset_close(&d);
}

static void test_known_binary(void)
{
    check_mass("bars");
    check_mass("bernoulli_mixture");
    tx_dataset d = builtin("bars", 30000);
    size_t count[1 << 16] = {0}, patterns = 0;
    for (size_t i = 0; i < 30000; i++) {
        uint32_t bits = 0;
        for (int j = 0; j < 16; j++) bits |= (uint32_t)d.split[TX_TRAIN].level[16 * i + (size_t)j] << j;
        count[bits]++;
    }
    for (size_t b = 0; b < TX_LEN(count); b++) {
        if (!count[b]) continue;
        patterns++;
        CHECK_NEAR((double)count[b], 1000, 5 * sqrt(1000 * 29 / 30.0));
    }
    CHECK_INT(patterns, 30);
    tx_dataset_close(&d);
    tx_dataset a = builtin("bernoulli_mixture", 100), b = builtin("bernoulli_mixture", 50);
    CHECK_TRUE(memcmp(a.split[TX_TRAIN].level, b.split[TX_TRAIN].level, 50 * 16) == 0);
    CHECK_TRUE(memcmp(a.split[TX_VALID].level, a.split[TX_TEST].level, 50 * 16) != 0);
    tx_dataset_close(&a);
    tx_dataset_close(&b);
}

/** The last step of a signal: ratios of its probabilities are those of a normal around 0.5 and 0.45 of what it follows.
 */
static void test_known_signal(void)
{
    enum { T = 32 };
    tx_dataset d = builtin("echo", 100), few = builtin("echo", 50);
    const size_t n = d.split[TX_TEST].n;
    real x[T];
    double sum = 0, square = 0;
    CHECK_INT(d.dim, T);
    CHECK_INT(d.levels, 8);
    CHECK_TRUE(memcmp(d.split[TX_TRAIN].level, few.split[TX_TRAIN].level, 50 * T) == 0);
    for (size_t i = 0; i < n; i++) {
        for (size_t t = 0; t < T; t++) x[t] = d.split[TX_TEST].level[i * T + t];
        const double s = -d.known->log_prob(&d, x), m = 0.5 * ((double)x[30] - 3.5) + 0.45 * ((double)x[19] - 3.5);
        sum += s, square += s * s;
        for (int k = 0; i < 20 && k < 8; k++) {
            x[T - 1] = 2;
            const double base = d.known->log_prob(&d, x) + (-1.5 - m) * (-1.5 - m) / 1.28;
            x[T - 1] = (real)k;
            CHECK_NEAR(d.known->log_prob(&d, x) + (k - 3.5 - m) * (k - 3.5 - m) / 1.28, base, 1e-12);
        }
    }
    const double mean = sum / (double)n, error = sqrt((square / (double)n - mean * mean) / (double)n);
    CHECK_TRUE(d.known->entropy_error > 0 && d.known->entropy_error < 0.02);
    CHECK_NEAR(mean, d.known->entropy, 5 * hypot(error, d.known->entropy_error));
    x[3] = 8;
    CHECK_TRUE(d.known->log_prob(&d, x) == -INFINITY);
    x[3] = (real)2.385;
    CHECK_TRUE(d.known->log_prob(&d, x) == -INFINITY);
    tx_dataset_close(&d), tx_dataset_close(&few);
}

/* Published sets, where they are installed. */
static bool present(tx_dataset *d, const char *name, int n)
{
    tx_data_config c = config_of(name, "");
    c.n_train = c.n_valid = c.n_test = n;
    tx_status status = tx_dataset_open(d, &c, NULL);
    if (status == TX_ENOINPUT) printf("\n  SKIP %s: not installed ", name);
    CHECK_TRUE(status == TX_OK || status == TX_ENOINPUT);
    return status == TX_OK;
}

static void test_published(void)
{
    static const struct {
        const char *name;
        size_t n[TX_N_SPLIT], dim;
        int label;
        const char *sha;
    } list[] = {
        {"fashion_mnist",
         {50000, 10000, 10000},
         784,
         9,
         "45d94c9edb8aa4bba70a4cf04b917e1e4e7a944de3c15f1ee0c8df102f502ba9"},
        {"mnist", {50000, 10000, 10000}, 784, 5, "226e3f534ccd96dd0afc8894eb1996add7330934622b199e0ff6e452819bcee1"},
        {"nltcs", {16181, 2157, 3236}, 16, -1, "efbede097efe30b54a1a71a4096fa9079b7e01f66082ebf45a60c97d93fe3b8c"},
        {"plants", {17412, 2321, 3482}, 69, -1, NULL},
        {"baudio", {15000, 2000, 3000}, 100, -1, NULL},
        {"mushrooms", {2000, 500, 5624}, 112, -1, NULL},
        {"dna", {1600, 400, 1186}, 180, -1, NULL},
    };
    for (size_t k = 0; k < TX_LEN(list); k++) {
        tx_dataset d;
        if (!present(&d, list[k].name, 0)) continue;
        for (int s = 0; s < TX_N_SPLIT; s++) CHECK_INT(d.split[s].n, list[k].n[s]);
        CHECK_INT(d.dim, list[k].dim);
        CHECK_INT(d.levels, list[k].label >= 0 ? 256 : 2);
        if (list[k].label >= 0) CHECK_INT(d.split[TX_TRAIN].label[0], list[k].label);
        if (list[k].sha) CHECK_TEXT(d.sha256, list[k].sha);
        tx_dataset_close(&d);
    }
}

/* Published rows of another width are refused. */
static void test_published_of_another_width(void)
{
    char folder[TX_TEXT_MAX], path[TX_TEXT_MAX + 16];
    snprintf(folder, sizeof folder, "%s/published", tx_test_folder());
    CHECK_INT(mkdir(folder, 0777), 0);
    for (int s = 0; s < TX_N_SPLIT; s++) {
        snprintf(path, sizeof path, "%s/%s.csv", folder, tx_split_name((tx_split)s));
        FILE *f = fopen(path, "w");
        for (int i = 0; i < 5; i++) fprintf(f, "%d,1,0\n", i % 2);
        fclose(f);
    }
    tx_dataset d = greys();
    tx_copy_text(d.binarised, sizeof d.binarised, folder);
    for (int k = 0; tx_view_list[k]; k++) {
        tx_view v = {0};
        if (strcmp(tx_view_list[k]->name, "static_binarised") != 0) continue;
        CHECK_INT(tx_view_open(&v, &d, &(tx_view_config){k, 0}), TX_EDATA);
        CHECK_HAS(tx_last_error(), folder);
        CHECK_HAS(tx_last_error(), "expected 40000 rows of 9 binary values or more, found 5 of 3");
    }
    tx_dataset_close(&d);
}

static void test_published_binarisation(void)
{
    tx_dataset d, b;
    if (!present(&d, "mnist", 100)) return;
    if (present(&b, "binarized_mnist", 100)) {
        CHECK_TRUE(b.height == 28 && b.width == 28 && b.levels == 2);
        tx_view v = view_of(&d, "static_binarised", 0), w = view_of(&b, "static_binarised", 0),
                raw = view_of(&b, "raw", 0);
        CHECK_TEXT(v.sha256, w.sha256);
        CHECK_TEXT(v.sha256, raw.sha256);
        CHECK_HAS(v.note, "published");
        tx_view_close(&v);
        tx_view_close(&w);
        tx_view_close(&raw);
        tx_dataset_close(&b);
    }
    tx_dataset_close(&d);
}

int main(void)
{
    static const tx_test test[] = {
        {"IDX", test_idx},
        {"gzip", test_gzip},
        {"NPY", test_npy},
        {"text", test_text},
        {"text: long lines, locale", test_text_large},
        {"HDF5", test_hdf5},
        {"HDF5: links to other files", test_hdf5_links},
        {"a process for a library", test_confined},
        {"what is no file", test_not_files},
        {"single file split", test_split_single},
        {"types", test_types},
        {"names and places", test_places},
        {"image folder", test_image_folder},
        {"HDF5 splits", test_hdf5_splits},
        {"list of views", test_view_list},
        {"moments of draws", test_view_moments},
        {"dequantised cells", test_dequantised_cells},
        {"determinism", test_determinism},
        {"labelled rows", test_labelled_rows},
        {"Jacobians", test_jacobians},
        {"standardised reals", test_standardised_reals},
        {"measure", test_measure},
        {"bits per dimension of every kind", test_bits},
        {"known: mixture", test_known_mixture},
        {"known: modes", test_known_modes},
        {"known: binary", test_known_binary},
        {"known: signal", test_known_signal},
        {"published rows of another width", test_published_of_another_width},
        {"published sets", test_published},
        {"published binarisation", test_published_binarisation},
    };
    if (!getenv("TAXON_DATA") && access(TX_SOURCE_DIR "/../shared/data", R_OK) == 0)
        setenv("TAXON_DATA", TX_SOURCE_DIR "/../shared/data", 1);
    tx_threads_set(1);
    return tx_run_tests("data", test, (int)TX_LEN(test));
}
