#include <cblas.h>
#include <gnu/libc-version.h>
#include <gsl/gsl_version.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <yaml.h>
#include <zlib.h>

#include "common/base/build.h"
#include "common/store/parts.h"
#include "common/tensor/kernels.h"

static const char group[] = "/provenance";

static void put_libraries(tx_h5 *f)
{
    char hdf5[64];
    unsigned major, minor, release;
    H5get_libversion(&major, &minor, &release);
    snprintf(hdf5, sizeof hdf5, "%u.%u.%u", major, minor, release);
    const struct {
        const char *name, *text;
    } library[] = {{"hdf5", hdf5},
                   {"gsl", gsl_version},
                   {"zlib", zlibVersion()},
                   {"glibc", gnu_get_libc_version()},
                   {"jansson", JANSSON_VERSION},
                   {"libyaml", yaml_get_version_string()}};
    for (size_t i = 0; i < TX_LEN(library); i++) {
        char name[64];
        snprintf(name, sizeof name, "version_%s", library[i].name);
        tx_h5_set_text(f, group, name, library[i].text);
    }
}

/** The variables that change what OpenBLAS and OpenMP do. */
static void put_environment(tx_h5 *f)
{
    static const char *const prefix[] = {"OPENBLAS_", "OMP_", "GOMP_", "TAXON_"};
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < TX_LEN(prefix); i++) {
            char name[TX_NAME_MAX];
            size_t n = strcspn(*e, "=");
            if (strncmp(*e, prefix[i], strlen(prefix[i])) != 0 || n >= sizeof name || (*e)[n] != '=') continue;
            memcpy(name, *e, n);
            name[n] = '\0';
            tx_h5_set_text(f, group, name, *e + n + 1);
        }
}

void tx_part_provenance(tx_h5 *f, const char *start, const char *end, int threads)
{
    struct utsname host;
    bool known = uname(&host) == 0;
    const struct {
        const char *name, *text;
    } fact[] = {{"version", TX_VERSION},
                {"git", TX_GIT},
                {"compiler", TX_COMPILER},
                {"flags", TX_CFLAGS},
                {"build_type", TX_BUILD_TYPE},
                {"real", sizeof(real) == sizeof(double) ? "float64" : "float32"},
                {"instruction_set", tx_kernels_isa()},
                {"blas_config", openblas_get_config()},
                {"blas_core", tx_blas_core()},
                {"system", known ? host.sysname : "unknown"},
                {"system_release", known ? host.release : "unknown"},
                {"machine", known ? host.machine : "unknown"},
                {"start", start},
                {"end", end}};
    tx_h5_group(f, group);
    for (size_t i = 0; i < TX_LEN(fact); i++)
        if (fact[i].text) tx_h5_set_text(f, group, fact[i].name, fact[i].text);
    tx_h5_set_i32(f, group, "threads", threads);
    put_libraries(f);
    put_environment(f);
}
