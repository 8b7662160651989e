#include "common/base/base.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 2048, ALIGNMENT = 64 };

static _Thread_local char message[MESSAGE_MAX];

const char *tx_status_text(tx_status s)
{
#define X(name, code, text) {code, text},
    static const struct {
        int code;
        const char *text;
    } known[] = {TX_STATUS_MAP(X)};
#undef X
    for (size_t i = 0; i < TX_LEN(known); i++)
        if (known[i].code == (int)s) return known[i].text;
    return "unknown status";
}

/* The length of the first `n` bytes of `s` without the UTF-8 character that a cut behind them would split. */
static size_t whole_characters(const char *s, size_t n)
{
    if (((unsigned char)s[n] & 0xC0) != 0x80) return n;
    while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80) n--;
    return n;
}

bool tx_copy_text(char *dst, size_t dst_size, const char *src)
{
    TX_REQUIRE(dst_size > 0, "no room even for the terminating zero");
    size_t n = strnlen(src, dst_size);
    bool fits = n < dst_size;
    if (!fits) n = whole_characters(src, dst_size - 1);
    memmove(dst, src, n);
    dst[n] = 0;
    return fits;
}

tx_status tx_fail(tx_status s, const char *fmt, ...)
{
    /* One byte more than a message shows where the cut falls; the copy lets a message quote the one before it. */
    char text[MESSAGE_MAX + 1];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tx_copy_text(message, sizeof message, text);
    /* What a file or a name brought along must neither end the line nor command the terminal. */
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = '?';
    return s;
}

const char *tx_last_error(void) { return message; }

void tx_die(const char *file, int line, const char *cond, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s:%d: requirement (%s) does not hold: ", file, line, cond);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

void tx_no_memory(const char *what)
{
    fprintf(stderr, "out of memory: %s\n", what);
    fflush(stdout);
    /* Exit handlers of libraries may need memory themselves. */
    _exit(TX_ESYSTEM);
}

/* Inlined, it makes gcc 12 believe that the result may point to `p`. */
__attribute__((noinline)) static void *allocate(size_t bytes)
{
    void *p = NULL;
    return posix_memalign(&p, ALIGNMENT, bytes ? bytes : 1) == 0 ? p : NULL;
}

void *tx_alloc(size_t count, size_t size)
{
    size_t bytes = 0;
    bool fits = !__builtin_mul_overflow(count, size, &bytes) && bytes <= PTRDIFF_MAX;
    void *p = fits ? allocate(bytes) : NULL;
    if (!p) {
        char what[96];
        snprintf(what, sizeof what, "%zu elements of %zu bytes", count, size);
        tx_no_memory(what);
    }
    return memset(p, 0, bytes);
}

void *tx_realloc(void *old, size_t old_count, size_t new_count, size_t size)
{
    void *p = tx_alloc(new_count, size);
    size_t kept = old_count < new_count ? old_count : new_count;
    if (old && kept) memcpy(p, old, kept * size);
    free(old);
    return p;
}

void *tx_grow(void *array, size_t n, size_t size)
{
    return (n & (n - 1)) == 0 ? tx_realloc(array, n, n ? 2 * n : 1, size) : array;
}

char *tx_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(tx_alloc(n, 1), s, n);
}

bool tx_write_all(int fd, const void *data, size_t bytes)
{
    for (const char *p = data; bytes > 0;) {
        const ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n, bytes -= (size_t)n;
    }
    return true;
}

double tx_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Case and the kind of dash never make two names different. */
static char fold(char c) { return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c == '-' ? '_' : c); }

static int least(int a, int b) { return a < b ? a : b; }

/* Insertions, deletions, substitutions and swaps of neighbours that make `b` of `a` (optimal string alignment). */
static int edit_distance(const char *a, int na, const char *b, int nb)
{
    int row[3][TX_NAME_MAX + 1];
    for (int j = 0; j <= nb; j++) row[0][j] = j;
    for (int i = 1; i <= na; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *twice_before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            char x = fold(a[i - 1]), y = fold(b[j - 1]);
            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && y == fold(a[i - 2]))
                now[j] = least(now[j], twice_before[j - 2] + 1);
        }
    }
    return row[na % 3][nb];
}

const char *tx_nearest(const char *word, const char *const candidate[])
{
    int n = (int)strnlen(word, TX_NAME_MAX + 1);
    if (n > TX_NAME_MAX) return NULL;
    const char *nearest = NULL;
    int limit = least(1 + n / 4, n - 1);
    for (int i = 0; candidate[i]; i++) {
        int length = (int)strnlen(candidate[i], TX_NAME_MAX + 1);
        if (length > TX_NAME_MAX) continue;
        int d = edit_distance(word, n, candidate[i], length);
        if (d > limit) continue;
        nearest = candidate[i];
        limit = d - 1;
    }
    return nearest;
}
