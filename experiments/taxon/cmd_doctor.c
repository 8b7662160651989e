#include "common/base/build.h"
#include "common/base/text.h"
#include "common/store/commit.h"
#include "common/store/h5.h"
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"
#include "experiments/bench/bench.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/environment.h"
#include "experiments/taxon/schedule.h"
#include <dirent.h>
#include <cblas.h>
#include <dlfcn.h>
#include <gsl/gsl_version.h>
#include <math.h>
#include <openssl/crypto.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <yaml.h>
#include <zlib.h>

enum { GEMM = 512, POINTS = 4096 };

/* Findings: a good one, one to know of, one that makes results wrong or impossible. */
typedef struct doctor {
    int warnings, faults;
} doctor;

static void good(const char *what, const char *text) { printf("ok       %-12s %s\n", what, text); }

static void warn(doctor *d, const char *what, const char *text)
{
    d->warnings++;
    printf("warning  %-12s %s\n", what, text);
}

static void fault(doctor *d, const char *what, const char *text)
{
    d->faults++;
    printf("FAULT    %-12s %s\n", what, text);
}

static void check_blas(doctor *d)
{
    Dl_info info = {0};
    char text[TX_TEXT_MAX];
    /* A function's address is an object's for dladdr; C has no other word for it. */
    union {
        void (*function)(void);
        void *object;
    } gemm = {.function = (void (*)(void))cblas_sgemm};
    bool found = dladdr(gemm.object, &info) != 0 && info.dli_fname;
    bool openblas = found && strstr(info.dli_fname, "openblas");
    snprintf(text, sizeof text, "cblas_sgemm is in %.200s; kernels for %s; %.0f GFLOP/s in one thread, %s 512x512",
             found ? info.dli_fname : "the program itself", tx_blas_core(),
             tx_bench_gemm_rate(GEMM, GEMM, GEMM, 0.02) * 1e-9, sizeof(real) == 4 ? "float" : "double");
    if (openblas)
        good("BLAS", text);
    else
        fault(d, "BLAS", text);
    if (tx_blas_is_serial())
        warn(d, "BLAS", "a serial build of OpenBLAS: every run has one thread; use --jobs, or libopenblas0-pthread");
    if (found && strstr(info.dli_fname, "gslcblas"))
        fault(d, "BLAS", "GSL's own CBLAS is linked before OpenBLAS: many times slower");
}

static void check_environment(doctor *d)
{
    char text[TX_TEXT_MAX];
    bool any = false;
    for (char **e = environ; *e; e++) {
        if (strncmp(*e, "OPENBLAS_", 9) != 0 && strncmp(*e, "TAXON_ISA=", 10) != 0) continue;
        char name[TX_NAME_MAX];
        tx_copy_text(name, sizeof name, *e);
        name[strcspn(name, "=")] = 0;
        if (tx_environment_ours(name)) {
            snprintf(text, sizeof text, "%.200s, set by taxon for this processor", *e);
            good("environment", text);
            continue;
        }
        if (strcmp(name, "OPENBLAS_NUM_THREADS") == 0) continue;
        any = true;
        snprintf(text, sizeof text, "%.200s is set: results have other last bits than without it", *e);
        warn(d, "environment", text);
    }
    if (!any) good("environment", "nothing is set that changes results");
}

static void check_data(doctor *d)
{
    char text[TX_TEXT_MAX];
    const char *folder = getenv("TAXON_DATA");
    if (!folder) {
        good("data", "$TAXON_DATA is not set: only built-in sets and the system's places are found by name");
        return;
    }
    DIR *open = opendir(folder);
    snprintf(text, sizeof text, "$TAXON_DATA is %.900s%s", folder, open ? "" : ", which is no readable folder");
    if (open)
        good("data", text);
    else
        warn(d, "data", text);
    if (open) closedir(open);
}

static void check_threads(doctor *d)
{
    char text[TX_TEXT_MAX];
    int cores = tx_cores(), online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    const char *omp = getenv("OMP_NUM_THREADS");
    snprintf(text, sizeof text, "%d of %d core%s may be used", cores, online, tx_plural(online));
    good("threads", text);
    if (omp && atoi(omp) > cores) {
        snprintf(text, sizeof text, "OMP_NUM_THREADS=%.32s is more than the %d cores; taxon sets its own number", omp,
                 cores);
        warn(d, "threads", text);
    }
}

static void check_folder(doctor *d)
{
    char text[TX_TEXT_MAX];
    struct statvfs v;
    if (statvfs(".", &v) == 0) {
        double gib = (double)v.f_bavail * (double)v.f_frsize / (1 << 30);
        snprintf(text, sizeof text, "%.1f GiB free in the current folder", gib);
        if (gib < 1)
            warn(d, "space", text);
        else
            good("space", text);
    }
    if (tx_check_writable(".") != TX_OK)
        warn(d, "folder", tx_last_error());
    else
        good("folder", "the current folder is writable");
}

/* A file through the same door as every result: built in memory, committed, verified, read. */
static tx_status store_and_read(const char *path)
{
    double value = 2.385;
    tx_h5 *f = tx_h5_new(path, "taxon-doctor", false);
    tx_h5_put_number(f, "/check", "value", value, "1", "a number");
    TX_TRY(tx_h5_commit(f, NULL));
    TX_TRY(tx_h5_open(&f, path, "taxon-doctor"));
    tx_shape shape;
    double *back = tx_h5_get(f, "/check/value", TX_H5_F64, &shape);
    bool same = back && *back == value;
    free(back);
    TX_TRY(tx_h5_close(f));
    return same ? TX_OK : tx_fail(TX_EDATA, "%s: another number was read than was written", path);
}

static void check_store(doctor *d)
{
    char folder[TX_TEXT_MAX], path[TX_TEXT_MAX + 16], text[TX_TEXT_MAX];
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.900s/taxon-doctor-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        fault(d, "store", "no folder for a temporary file can be made");
        return;
    }
    snprintf(path, sizeof path, "%s/check.h5", folder);
    tx_status s = store_and_read(path);
    unsigned major, minor, release;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "a file was written, verified and read with HDF5 %u.%u.%u", major, minor, release);
    if (s)
        fault(d, "store", tx_last_error());
    else
        good("store", text);
    unlink(path);
    rmdir(folder);
}

/* Largest relative error of a vectorised function against the library's, in double. */
static double worst(void (*fn)(size_t, const real *, real *), double (*truth)(double), double lo, double hi)
{
    real x[POINTS], y[POINTS];
    double most = 0;
    for (int i = 0; i < POINTS; i++) x[i] = (real)(lo + (hi - lo) * i / (POINTS - 1));
    fn(POINTS, x, y);
    for (int i = 0; i < POINTS; i++) {
        double t = truth((double)x[i]), e = fabs((double)y[i] - t) / fmax(fabs(t), 1e-2);
        if (!(e <= most)) most = e;
    }
    return most;
}

static void check_kernels(doctor *d)
{
    char text[TX_TEXT_MAX];
    double limit = sizeof(real) == 4 ? 1e-6 : 1e-13;
    double of_exp = worst(tx_vec_exp, exp, -20, 20), of_log = worst(tx_vec_log, log, 1e-3, 100);
    snprintf(text, sizeof text, "instruction set %s; relative errors of exp %.1e, of log %.1e", tx_kernels_isa(),
             of_exp, of_log);
    if (of_exp <= limit && of_log <= limit)
        good("kernels", text);
    else
        fault(d, "kernels", text);
}

static void print_versions(void)
{
    char text[TX_TEXT_MAX];
    snprintf(text, sizeof text, "taxon %s (%s), %s, %s", TX_VERSION, TX_GIT, TX_COMPILER, TX_BUILD_TYPE);
    good("build", text);
    snprintf(text, sizeof text, "GSL %s, libyaml %s, jansson %s, zlib %s, libpng %s, %s", gsl_version,
             yaml_get_version_string(), JANSSON_VERSION, zlibVersion(), png_get_libpng_ver(NULL),
             OpenSSL_version(OPENSSL_VERSION));
    good("libraries", text);
}

static int run(const tx_args *a)
{
    (void)a;
    doctor d = {0};
    tx_threads_set(1);
    print_versions();
    check_blas(&d);
    check_kernels(&d);
    check_environment(&d);
    check_data(&d);
    check_threads(&d);
    check_folder(&d);
    check_store(&d);
    if (d.faults == 0) {
        printf("\nno faults, %d warning%s\n", d.warnings, tx_plural(d.warnings));
        return TX_OK;
    }
    tx_fail(TX_EIO, "%d fault%s: results of this installation cannot be relied on", d.faults, tx_plural(d.faults));
    return TX_EXIT_BUG;
}

const tx_command tx_command_doctor = {
    .name = "doctor", .summary = "Whether this installation works as it should, and how fast", .usage = "", .run = run};
