#include "experiments/taxon/html.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 character at s that may stand in a page; 0: it may not. */
static int character(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80) return s[0] == '\t' || s[0] == '\n' || (s[0] >= 0x20 && s[0] != 0x7F);
    int n = s[0] >= 0xF0 && s[0] < 0xF8 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC0 || s[0] >= 0xF8) return 0;
    uint32_t c = s[0] & (0xFFU >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3F);
    }
    bool control = c < 0xA0, none = (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF);
    return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) || control || none ? 0 : n;
}

static const char *entity(char c)
{
    static const struct {
        char c;
        const char *name;
    } known[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (size_t i = 0; i < TX_LEN(known); i++)
        if (known[i].c == c) return known[i].name;
    return NULL;
}

void tx_html_text(tx_text *t, const char *s)
{
    while (*s) {
        size_t plain = 0;
        int n;
        while ((n = character((const unsigned char *)s + plain)) > 0 && !entity(s[plain])) plain += (size_t)n;
        tx_text_add(t, "%.*s", (int)plain, s);
        s += plain;
        if (!*s) break;
        tx_text_add(t, "%s", n ? entity(*s) : "\uFFFD");
        s++;
    }
}

void tx_html_add(tx_text *t, const char *fmt, ...)
{
    va_list args;
    char *s = NULL;
    va_start(args, fmt);
    if (vasprintf(&s, fmt, args) < 0) tx_no_memory("vasprintf");
    va_end(args);
    tx_html_text(t, s);
    free(s);
}

void tx_html_data(tx_text *t, const char *type, const void *data, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = data;
    char *text = tx_alloc(n / 3 * 4 + 5, 1), *to = text;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (left > 2 ? b[i + 2] : 0);
        *to++ = digit[v >> 18];
        *to++ = digit[v >> 12 & 63];
        *to++ = left > 1 ? digit[v >> 6 & 63] : '=';
        *to++ = left > 2 ? digit[v & 63] : '=';
    }
    tx_text_add(t, "data:%s;base64,%s", type, text);
    free(text);
}
