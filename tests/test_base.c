/* Statuses, memory, growing text, nearest names and SHA-256. */
#include "tests/support/check.h"
#include <stdlib.h>
#include "common/base/moments.h"
#include "common/base/sha256.h"
#include "common/base/text.h"

static tx_status pass_up(tx_status s)
{
    TX_TRY(s);
    return TX_EUSAGE;
}

static void test_status(void)
{
    CHECK_TEXT(tx_status_text(TX_OK), "success");
    CHECK_TEXT(tx_status_text(TX_ECONFIG), "bad configuration key or value");
    CHECK_TEXT(tx_status_text((tx_status)17), "unknown status");
    CHECK_INT(TX_ECONFIG, 78);
    CHECK_INT(pass_up(TX_EIO), TX_EIO);
    CHECK_INT(pass_up(TX_OK), TX_EUSAGE);
    CHECK_INT(tx_fail(TX_EDATA, "%s: row %d", "a.csv", 7), TX_EDATA);
    CHECK_TEXT(tx_last_error(), "a.csv: row 7");
    tx_fail(TX_EDATA, "again: %s", tx_last_error());
    CHECK_TEXT(tx_last_error(), "again: a.csv: row 7");
    /* Bytes of a file neither end the line nor command the terminal. */
    tx_fail(TX_EDATA, "key '%s': found '%s'", "a\nb\tc", "\x1b[2J\x7f\xC3\xA9");
    CHECK_TEXT(tx_last_error(), "key 'a?b?c': found '?[2J?\xC3\xA9'");
}

static void test_long_message(void)
{
    char text[5001];
    memset(text, 'x', 5000);
    text[5000] = 0;
    tx_fail(TX_EIO, "%s", text);
    CHECK_INT(strlen(tx_last_error()), 2047);
    memcpy(text + 2046, "\xE2\x82\xAC", 3); /* the euro sign lies across the end */
    tx_fail(TX_EIO, "%s", text);
    CHECK_INT(strlen(tx_last_error()), 2046);
    text[2047] = 0;
    text[2046] = 'y';
    tx_fail(TX_EIO, "%s", text);
    CHECK_TEXT(tx_last_error(), text);
}

static void test_copy_text(void)
{
    char buf[6];
    CHECK_TRUE(tx_copy_text(buf, sizeof buf, "hello"));
    CHECK_TEXT(buf, "hello");
    CHECK_TRUE(!tx_copy_text(buf, sizeof buf, "hellos"));
    CHECK_TEXT(buf, "hello");
    CHECK_TRUE(tx_copy_text(buf, sizeof buf, "abc\xC3\xA9"));
    CHECK_TEXT(buf, "abc\xC3\xA9");
    CHECK_TRUE(!tx_copy_text(buf, sizeof buf, "abcd\xC3\xA9"));
    CHECK_TEXT(buf, "abcd");
    CHECK_TRUE(!tx_copy_text(buf, 1, "abc"));
    CHECK_TEXT(buf, "");
    CHECK_TRUE(tx_copy_text(buf, 1, ""));
}

static void require_false(void) { TX_REQUIRE(1 > 2, "one of %d", 3); }
static void require_true(void) { TX_REQUIRE(2 > 1, "one of %d", 3); }
static void alloc_overflow(void) { tx_alloc(SIZE_MAX / 2, 3); }
static void alloc_too_much(void) { tx_alloc(SIZE_MAX / 3, 2); }
static void realloc_overflow(void) { tx_realloc(NULL, 0, SIZE_MAX / 8 + 2, 8); }
static void alloc_exhausted(void) { tx_alloc((size_t)1 << 44, 16); }

static void test_ends(void)
{
    CHECK_TRUE(tx_dies(require_false, -1));
    CHECK_TRUE(tx_dies(require_true, 98)); /* came back */
    CHECK_TRUE(tx_dies(alloc_overflow, 71));
    CHECK_TRUE(tx_dies(alloc_too_much, 71));
    CHECK_TRUE(tx_dies(realloc_overflow, 71));
#ifndef __SANITIZE_ADDRESS__ /* whose allocator ends the process itself */
    CHECK_TRUE(tx_dies(alloc_exhausted, 71));
#else
    (void)alloc_exhausted;
#endif
}

static bool all_are(const unsigned char *p, size_t n, int value)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != value) return false;
    return true;
}

static void test_memory(void)
{
    static const size_t size[] = {0, 1, 7, 64, 65, 1000, 300000};
    for (size_t i = 0; i < TX_LEN(size); i++)
        for (int again = 0; again < 3; again++) { /* memory that was used before must be zeroed too */
            unsigned char *p = tx_alloc(size[i], 3);
            CHECK_INT((uintptr_t)p % 64, 0);
            CHECK_TRUE(all_are(p, 3 * size[i], 0));
            memset(p, 0xA7, 3 * size[i]);
            free(p);
        }
    unsigned char *p = tx_realloc(NULL, 0, 7, 3);
    CHECK_TRUE(all_are(p, 21, 0));
    memset(p, 0xA7, 21);
    p = tx_realloc(p, 7, 130, 3);
    CHECK_INT((uintptr_t)p % 64, 0);
    CHECK_TRUE(all_are(p, 21, 0xA7) && all_are(p + 21, 369, 0));
    p = tx_realloc(p, 130, 5, 3);
    CHECK_TRUE(all_are(p, 15, 0xA7));
    p = tx_realloc(p, 5, 0, 3);
    CU_ASSERT_PTR_NOT_NULL(p);
    free(p);
    char *s = tx_strdup("taxonomy");
    CHECK_TEXT(s, "taxonomy");
    free(s);
}

static void test_text(void)
{
    tx_text t = {0};
    tx_text_add(&t, "%s", "");
    CHECK_TEXT(t.s, "");
    CHECK_INT(t.len, 0);
    char want[8192] = "";
    for (int i = 0; i < 500; i++) {
        tx_text_add(&t, "%d,%c", i * 7919, 'a' + i % 26);
        snprintf(want + strlen(want), sizeof want - strlen(want), "%d,%c", i * 7919, 'a' + i % 26);
    }
    CHECK_TEXT(t.s, want);
    CHECK_INT(t.len, strlen(want));
    tx_text_add(&t, "%5000d", 3);
    CHECK_INT(t.len, strlen(want) + 5000);
    CHECK_INT(strlen(t.s), t.len);
    tx_text_free(&t);
    CHECK_TRUE(!t.s && t.len == 0 && t.cap == 0);
}

static const char *const keys[] = {"epochs",   "batch",        "optimizer", "learning_rate", "patience",
                                   "hidden",   "latent",       "momentum",  "weight_decay",  "activation",
                                   "seeds",    "model",        "datasets",  "evaluate",      "train",
                                   "n_sample", "n_importance", "view",      "name",          NULL};

static int wrong;
static int tried;

static void count_typo(const char *typo, const char *meant)
{
    for (int i = 0; keys[i]; i++)
        if (strcmp(keys[i], typo) == 0) return;
    const char *found = tx_nearest(typo, keys);
    tried++;
    wrong += !found || strcmp(found, meant) != 0;
}

static void count_typos_of(const char *key)
{
    char typo[64];
    size_t n = strlen(key);
    for (size_t i = 0; i <= n; i++) {
        for (char c = 'a'; c <= 'z'; c++) {
            snprintf(typo, sizeof typo, "%.*s%c%s", (int)i, key, c, key + i);
            count_typo(typo, key);
            if (i == n || c == key[i]) continue;
            snprintf(typo, sizeof typo, "%.*s%c%s", (int)i, key, c, key + i + 1);
            count_typo(typo, key);
        }
        if (i == n) continue;
        snprintf(typo, sizeof typo, "%.*s%s", (int)i, key, key + i + 1);
        count_typo(typo, key);
        if (i + 1 == n || key[i] == key[i + 1]) continue;
        snprintf(typo, sizeof typo, "%.*s%c%c%s", (int)i, key, key[i + 1], key[i], key + i + 2);
        count_typo(typo, key);
    }
}

static void test_nearest(void)
{
    CHECK_TEXT(tx_nearest("hiden", keys), "hidden");
    CHECK_TEXT(tx_nearest("hidden", keys), "hidden");
    CHECK_TEXT(tx_nearest("Learning-Rate", keys), "learning_rate");
    CHECK_TEXT(tx_nearest("EPOCH", keys), "epochs");
    CU_ASSERT_PTR_NULL(tx_nearest("qwzx", keys));
    CU_ASSERT_PTR_NULL(tx_nearest("", keys));
    CU_ASSERT_PTR_NULL(tx_nearest("x", keys));
    const char *const swapped[] = {"xy", "lr", NULL};
    CHECK_TEXT(tx_nearest("rl", swapped), "lr");
    const char *const none[] = {NULL};
    CU_ASSERT_PTR_NULL(tx_nearest("hidden", none));
    for (int i = 0; keys[i]; i++) count_typos_of(keys[i]);
    printf(" [%d of %d single-letter typos answered wrongly] ", wrong, tried);
    CHECK_TRUE(tried > 5000);
    CHECK_TRUE(wrong * 1000 <= tried);

    /* The longest names that are compared, and longer ones that are not. */
    char word[TX_NAME_MAX + 2], other[TX_NAME_MAX + 2];
    memset(word, 'a', sizeof word);
    memset(other, 'a', sizeof other);
    word[TX_NAME_MAX + 1] = other[TX_NAME_MAX + 1] = 0;
    const char *const one[] = {other, NULL};
    CU_ASSERT_PTR_NULL(tx_nearest(word, one));
    word[TX_NAME_MAX] = 0;
    CU_ASSERT_PTR_NULL(tx_nearest(word, one));
    other[TX_NAME_MAX] = 0;
    word[0] = 'b';
    CHECK_TEXT(tx_nearest(word, one), other);
}

/* Vectors of FIPS 180-2 and of the NIST long-message test. */
static void test_sha256(void)
{
    char sum[TX_SHA256_TEXT];
    tx_sha256_of("abc", 3, sum);
    CHECK_TEXT(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    tx_sha256_of(NULL, 0, sum);
    CHECK_TEXT(sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    tx_sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, sum);
    CHECK_TEXT(sum, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    tx_sha256 *s = tx_sha256_new();
    char a[997];
    memset(a, 'a', sizeof a);
    for (int i = 0; i < 1003; i++) tx_sha256_add(s, a, sizeof a);
    tx_sha256_add(s, a, 9);
    tx_sha256_end(s, sum);
    CHECK_TEXT(sum, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void sum_of_fields(const char *first, const char *second, char sum[TX_SHA256_TEXT])
{
    tx_sha256 *s = tx_sha256_new();
    tx_sha256_add_text(s, first);
    tx_sha256_add_text(s, second);
    tx_sha256_end(s, sum);
}

static void test_sha256_fields(void)
{
    char one[TX_SHA256_TEXT], two[TX_SHA256_TEXT];
    sum_of_fields("ab", "c", one);
    sum_of_fields("a", "bc", two);
    CHECK_TRUE(strcmp(one, two) != 0);
    tx_sha256_of("a\0bc", 5, one);
    CHECK_TEXT(one, two);
}

static void test_plural(void)
{
    CHECK_TEXT(tx_plural(0), "s");
    CHECK_TEXT(tx_plural(1), "");
    CHECK_TEXT(tx_plural(2), "s");
    CHECK_TEXT(tx_plural(1LL << 32), "s");
}

static void test_moments(void)
{
    static const double near[] = {-2.385, 1.75, 0.5, -7.125, 3.0625};
    for (double shift = 0; shift < 2e12; shift = shift * 1e6 + 1e6) { /* what a difference of sums would lose */
        tx_moments m = {0};
        for (size_t i = 0; i < TX_LEN(near); i++) tx_moments_add(&m, shift + near[i]);
        CHECK_INT(m.n, 5);
        CHECK_NEAR(tx_moments_mean(&m), shift - 0.8395, 1e-15 * (1 + shift));
        CHECK_NEAR(tx_moments_error(&m), 1.8113731670, 1e-9 + 1e-15 * shift);
    }
    tx_moments one = tx_moments_of(1, near), none = tx_moments_of(0, NULL);
    CHECK_NEAR(tx_moments_mean(&one), -2.385, 0);
    CHECK_TRUE(isnan(tx_moments_error(&one)) && isnan(tx_moments_mean(&none)) && isnan(tx_moments_error(&none)));
}

int main(void)
{
    static const tx_test test[] = {
        {"status and message", test_status},
        {"long message", test_long_message},
        {"copy text", test_copy_text},
        {"ends of the process", test_ends},
        {"memory", test_memory},
        {"growing text", test_text},
        {"nearest name", test_nearest},
        {"plural", test_plural},
        {"mean and error of numbers with a large mean", test_moments},
        {"sha256", test_sha256},
        {"sha256 of fields", test_sha256_fields},
    };
    return tx_run_tests("base", test, TX_LEN(test));
}
