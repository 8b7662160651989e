#include "common/base/sha256.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct tx_sha256 {
    EVP_MD_CTX *md;
};

tx_sha256 *tx_sha256_new(void)
{
    tx_sha256 *s = tx_alloc(1, sizeof *s);
    s->md = EVP_MD_CTX_new();
    if (!s->md || EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) != 1) tx_no_memory("state of SHA-256");
    return s;
}

void tx_sha256_add(tx_sha256 *s, const void *data, size_t bytes)
{
    if (bytes == 0) return;
    TX_REQUIRE(EVP_DigestUpdate(s->md, data, bytes) == 1, "libcrypto refused %zu bytes", bytes);
}

void tx_sha256_add_text(tx_sha256 *s, const char *text) { tx_sha256_add(s, text, strlen(text) + 1); }

void tx_sha256_end(tx_sha256 *s, char text[TX_SHA256_TEXT])
{
    static const char digit[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    TX_REQUIRE(EVP_DigestFinal_ex(s->md, sum, &n) == 1 && 2 * n + 1 == TX_SHA256_TEXT, "%u bytes of SHA-256", n);
    for (unsigned i = 0; i < n; i++) {
        text[2 * i] = digit[sum[i] >> 4];
        text[2 * i + 1] = digit[sum[i] & 15];
    }
    text[2 * n] = 0;
    EVP_MD_CTX_free(s->md);
    free(s);
}

void tx_sha256_of(const void *data, size_t bytes, char text[TX_SHA256_TEXT])
{
    tx_sha256 *s = tx_sha256_new();
    tx_sha256_add(s, data, bytes);
    tx_sha256_end(s, text);
}
