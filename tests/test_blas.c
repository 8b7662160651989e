/* The BLAS that runs is the one meant: GSL's own would serve the same symbols, many times slower. */
#include <cblas.h>
#include <dlfcn.h>
#include <stdlib.h>
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

int openblas_get_num_threads(void);
char *openblas_get_corename(void);

static void from_openblas(void *symbol)
{
    Dl_info info = {0};
    CHECK_TRUE(dladdr(symbol, &info) != 0);
    CHECK_HAS(info.dli_fname, "openblas");
}

static void test_symbols(void)
{
    void *symbol[2];
    void (*sgemm)(CBLAS_ORDER, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, blasint, blasint, blasint, float, const float *,
                  blasint, const float *, blasint, float, float *, blasint) = cblas_sgemm;
    void (*dgemm)(CBLAS_ORDER, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, blasint, blasint, blasint, double, const double *,
                  blasint, const double *, blasint, double, double *, blasint) = cblas_dgemm;
    memcpy(&symbol[0], &sgemm, sizeof symbol[0]);
    memcpy(&symbol[1], &dgemm, sizeof symbol[1]);
    for (int i = 0; i < 2; i++) from_openblas(symbol[i]);
}

static void test_one_thread(void)
{
    tx_threads_set(2);
    CHECK_INT(tx_threads(), openblas_get_parallel() == 0 ? 1 : 2); /* a serial build bears only one caller */
    CHECK_INT(openblas_get_num_threads(), 1);
    tx_threads_set(1);
}

/* Row-major [2,3] times [3,1]. */
static void test_row_major(void)
{
    const float a[6] = {1.5f, -2.25f, 0.5f, 3, 0.125f, -1}, x[3] = {2, 4.5f, -8};
    const double da[6] = {1.5, -2.25, 0.5, 3, 0.125, -1}, dx[3] = {2, 4.5, -8};
    float y[2] = {NAN, NAN};
    double dy[2] = {NAN, NAN};
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 1, 3, 1, a, 3, x, 1, 0, y, 1);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 1, 3, 1, da, 3, dx, 1, 0, dy, 1);
    const double want[2] = {1.5 * 2 - 2.25 * 4.5 - 0.5 * 8, 3 * 2 + 0.125 * 4.5 + 8};
    for (int i = 0; i < 2; i++) {
        CHECK_NEAR(y[i], want[i], 0);
        CHECK_NEAR(dy[i], want[i], 0);
    }
}

/* Where OpenBLAS falls back to the kernels of SSE times, better ones are named for a processor that has them; and only
 * there. */
static void test_core(void)
{
    const char *better = tx_blas_better_core();
    CHECK_TEXT(tx_blas_core(), openblas_get_corename());
    bool slow = strcmp(tx_blas_core(), "Prescott") == 0;
#ifdef __x86_64__
    if (slow && __builtin_cpu_supports("avx512vl"))
        CHECK_TEXT(better, "SkylakeX");
    else if (slow && __builtin_cpu_supports("avx2"))
        CHECK_TEXT(better, "Haswell");
#endif
    if (!slow) CHECK_TRUE(better == NULL);
}

int main(void)
{
    static const tx_test tests[] = {
        {"gemm is OpenBLAS's", test_symbols},
        {"BLAS has one thread", test_one_thread},
        {"row-major results", test_row_major},
        {"kernels fit the processor", test_core},
    };
    return tx_run_tests("blas", tests, (int)TX_LEN(tests));
}
