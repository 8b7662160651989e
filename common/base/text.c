#include "common/base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void tx_text_add(tx_text *t, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    TX_REQUIRE(n >= 0, "format \"%s\" cannot be printed", fmt);
    size_t need = t->len + (size_t)n + 1;
    if (need > t->cap) {
        size_t cap = need < 128 ? 256 : 2 * need;
        t->s = tx_realloc(t->s, t->cap, cap, 1);
        t->cap = cap;
    }
    vsnprintf(t->s + t->len, (size_t)n + 1, fmt, again);
    va_end(again);
    t->len += (size_t)n;
}

const char *tx_plural(long long n) { return n == 1 ? "" : "s"; }

void tx_text_free(tx_text *t)
{
    free(t->s);
    *t = (tx_text){0};
}
