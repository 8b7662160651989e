/* NPY, versions 1 to 3: "\x93NUMPY", version, length of a header that is a Python dictionary, values. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/internal.h"

enum { HEADER_MAX = 1 << 16 };

static bool probe(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return n >= 6 && memcmp(head, "\x93NUMPY", 6) == 0;
}

/* What follows 'KEY': in the dictionary, blanks skipped, or NULL. */
static const char *entry(const char *text, const char *key)
{
    for (const char *p = text; (p = strstr(p, key)); p++) {
        const char *q = p + strlen(key);
        if (p == text || (p[-1] != '\'' && p[-1] != '"') || *q != p[-1]) continue;
        q++;
        while (*q == ' ') q++;
        if (*q++ != ':') continue;
        while (*q == ' ') q++;
        return q;
    }
    return NULL;
}

static tx_status parse_type(const char *path, const char *d, tx_element *e)
{
    if (d && (*d == '\'' || *d == '"') && d[1] && d[2] && isdigit((unsigned char)d[3]) && d[4] == *d) {
        *e = (tx_element){d[2], (size_t)(d[3] - '0'), d[1] == '>'};
        const bool order = strchr("<>|=", d[1]) && (e->size == 1 || d[1] == '<' || d[1] == '>');
        const bool integer = strchr("ui", e->kind) && (e->size == 1 || e->size == 2 || e->size == 4 || e->size == 8);
        const bool boolean = e->kind == 'b' && e->size == 1;
        if (boolean) e->kind = 'u';
        if (order && (integer || boolean || (e->kind == 'f' && (e->size == 4 || e->size == 8)))) return TX_OK;
    }
    const char *end = d && (*d == '\'' || *d == '"') ? strchr(d + 1, *d) : NULL;
    int shown = end && end - d < 20 ? (int)(end - d) + 1 : 12;
    return tx_fail(
        TX_EDATA,
        "%s: NPY type %.*s: expected b1, u1 to u8, i1 to i8, f4 or f8 with a byte order (no objects, no records)", path,
        shown, d ? d : "missing");
}

static tx_status parse_shape(const char *path, const char *p, int *rank, size_t shape[4])
{
    *rank = 0;
    const char *start = p;
    if (p && *p++ == '(') {
        for (;;) {
            while (*p == ' ') p++;
            if (*p == ')' && *rank > 0) return TX_OK;
            if (!isdigit((unsigned char)*p) || *rank == 4) break;
            char *end;
            errno = 0;
            unsigned long long n = strtoull(p, &end, 10);
            if (errno || n > SIZE_MAX) break;
            shape[(*rank)++] = (size_t)n;
            for (p = end; *p == ' '; p++) continue;
            if (*p == ',')
                p++;
            else if (*p != ')')
                break;
        }
    }
    return tx_fail(TX_EDATA, "%s: NPY shape %.40s: expected 1 to 4 dimensions", path, start ? start : "missing");
}

static tx_status parse_header(const char *path, const char *text, tx_element *e, int *rank, size_t shape[4])
{
    const char *order = entry(text, "fortran_order");
    if (!order || strncmp(order, "False", 5) != 0)
        return tx_fail(TX_EDATA,
                       "%s: NPY fortran_order: expected False, found %.5s: save numpy.ascontiguousarray of the array",
                       path, order ? order : "none");
    TX_TRY(parse_type(path, entry(text, "descr"), e));
    return parse_shape(path, entry(text, "shape"), rank, shape);
}

static tx_status read_header(tx_stream *s, tx_element *e, int *rank, size_t shape[4], size_t *header)
{
    unsigned char head[12];
    char text[HEADER_MAX + 1];
    const char *path = tx_stream_path(s);
    size_t got, want;
    TX_TRY(tx_stream_read(s, head, 8, &got));
    if (got < 8 || head[6] < 1 || head[6] > 3)
        return tx_fail(TX_EDATA, "%s: NPY version: expected 1 to 3, found %d", path, got < 8 ? 0 : head[6]);
    const size_t width = head[6] == 1 ? 2 : 4;
    TX_TRY(tx_stream_read(s, head + 8, width, &got));
    if (got < width)
        return tx_fail(TX_EDATA, "%s: NPY header: expected %zu bytes, found %zu", path, 8 + width, 8 + got);
    want = head[8] | (size_t)head[9] << 8;
    if (width == 4) want |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    if (want > HEADER_MAX)
        return tx_fail(TX_EDATA, "%s: NPY header: expected at most %d bytes, found %zu declared", path, HEADER_MAX,
                       want);
    TX_TRY(tx_stream_read(s, text, want, &got));
    if (got < want)
        return tx_fail(TX_EDATA, "%s: NPY header: expected %zu bytes, found %zu", path, 8 + width + want,
                       8 + width + got);
    text[want] = 0;
    *header = 8 + width + want;
    return parse_header(path, text, e, rank, shape);
}

static tx_status read_npy(const char *path, tx_table *out)
{
    tx_stream *s;
    tx_element e;
    int rank;
    size_t shape[4], header;
    TX_TRY(tx_stream_open(path, &s));
    tx_status status = read_header(s, &e, &rank, shape, &header);
    if (status == TX_OK) status = tx_array_read(s, "NPY", e, header, rank, shape, out);
    tx_stream_close(s);
    return status;
}

const tx_reader_ops tx_reader_npy = {"npy", "arrays as numpy.save writes them", probe, read_npy};
