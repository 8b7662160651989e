/** What every CUnit program uses: checks that print both sides, a start and an end that fails by exit code. */
#ifndef TX_TESTS_SUPPORT_CHECK_H
#define TX_TESTS_SUPPORT_CHECK_H
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "common/base/options.h"

/** |a - b| <= tol; NaN on either side fails. */
#define CHECK_NEAR(a, b, tol)                                                                                          \
    do {                                                                                                               \
        double ca_ = (double)(a), cb_ = (double)(b), ct_ = (double)(tol);                                              \
        bool ok_ = fabs(ca_ - cb_) <= ct_;                                                                             \
        if (!ok_) printf("\n  %s:%d: %s = %.12g, %s = %.12g, differ by %.3g > %.3g\n", __FILE__, __LINE__, #a, ca_, #b, cb_, ca_ - cb_, ct_); \
        CU_ASSERT(ok_);                                                                                                \
    } while (0)
#define CHECK_INT(a, b)                                                                                                \
    do {                                                                                                               \
        long long ca_ = (long long)(a), cb_ = (long long)(b);                                                          \
        if (ca_ != cb_) printf("\n  %s:%d: %s = %lld, %s = %lld\n", __FILE__, __LINE__, #a, ca_, #b, cb_);             \
        CU_ASSERT(ca_ == cb_);                                                                                         \
    } while (0)
#define CHECK_TEXT(a, b)                                                                                               \
    do {                                                                                                               \
        const char *ca_ = (a), *cb_ = (b);                                                                             \
        bool ok_ = ca_ && cb_ && strcmp(ca_, cb_) == 0;                                                                \
        if (!ok_) printf("\n  %s:%d: %s = \"%s\", %s = \"%s\"\n", __FILE__, __LINE__, #a, ca_ ? ca_ : "NULL", #b, cb_ ? cb_ : "NULL"); \
        CU_ASSERT(ok_);                                                                                                \
    } while (0)
/** `text` contains `part`: for error messages. */
#define CHECK_HAS(text, part)                                                                                          \
    do {                                                                                                               \
        const char *ca_ = (text), *cb_ = (part);                                                                       \
        bool ok_ = ca_ && cb_ && strstr(ca_, cb_) != NULL;                                                             \
        if (!ok_) printf("\n  %s:%d: \"%s\" does not contain \"%s\"\n", __FILE__, __LINE__, ca_ ? ca_ : "NULL", cb_ ? cb_ : "NULL"); \
        CU_ASSERT(ok_);                                                                                                \
    } while (0)
#define CHECK_TRUE(cond)                                                                                               \
    do {                                                                                                               \
        bool ok_ = (cond);                                                                                             \
        if (!ok_) printf("\n  %s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                                      \
        CU_ASSERT(ok_);                                                                                                \
    } while (0)
/** The call returns TX_OK; otherwise its message is printed. */
#define CHECK_OK(call)                                                                                                 \
    do {                                                                                                               \
        tx_status cs_ = (call);                                                                                        \
        if (cs_ != TX_OK) printf("\n  %s:%d: %s: status %d: %s\n", __FILE__, __LINE__, #call, (int)cs_, tx_last_error()); \
        CU_ASSERT(cs_ == TX_OK);                                                                                       \
    } while (0)

typedef struct tx_test { const char *name; void (*fn)(void); } tx_test;
/** Whether `name` contains one of the words, separated by commas, of an environment variable; it does if that is not set.
 *  TAXON_TESTS chooses the tests of every program (and "set up" and "clean up" with them), TAXON_MODELS models of the contract. */
bool tx_test_chosen(const char *variable, const char *name);
/** Run one suite: prints CUnit's summary, returns what main returns (0 only if all passed and some ran). */
int tx_run_tests(const char *suite, const tx_test test[], int n);
/** The child that runs fn must die by abort() or exit with `code` (abort = -1); returns whether it did. */
bool tx_dies(void (*fn)(void), int code);
/** A new empty folder for this test's files (under $TMPDIR or /tmp), static storage; removed at exit. */
const char *tx_test_folder(void);
/** The defaults of a table, then the YAML map `text`. */
tx_status tx_test_options(const tx_option *options, void *config, const char *text);
#endif
