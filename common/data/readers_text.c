/* Numbers in columns: AMAT (blanks between) and CSV (comma, semicolon or tab between, perhaps a header line). */
#include <ctype.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "common/data/internal.h"
#include "common/base/text.h"

enum { READ_BYTES = 1 << 16, LINE_MAX_BYTES = 1 << 24, ROW_CHUNK = 256 };

typedef struct text {
    const char *path;
    tx_stream *stream;
    char *buffer; /* [capacity + 1]; content is [start, end) */
    size_t start, end, capacity;
    bool eof;
    locale_t c_locale;     /* numbers have decimal points whatever the user's locale */
    char separator;        /* ',', ';', '\t', or ' ' for any blanks */
    size_t line, row, dim; /* line and row being read, from 1; values a row, 0 before the first */
    size_t header;         /* columns of the header line, 0 without */
    tx_sink sink;
} text;

static bool is_text(const unsigned char *head, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (head[i] < 9 || (head[i] > 13 && head[i] < 32) || head[i] == 127) return false;
    return n > 0;
}

static char separator_of(const char *line, size_t n)
{
    static const char list[] = ";,\t";
    for (const char *c = list; *c; c++)
        if (memchr(line, *c, n)) return *c;
    return ' ';
}

static bool probe_csv(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return is_text(head, n);
}

static bool probe_amat(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    const unsigned char *stop = memchr(head, '\n', n);
    return is_text(head, n) && separator_of((const char *)head, stop ? (size_t)(stop - head) : n) == ' ';
}

/* The next line without its end, terminated by a zero; *line = NULL at the end of the file. */
static tx_status next_line(text *t, char **line, char **end)
{
    for (size_t seen = t->start;;) {
        char *stop = memchr(t->buffer + seen, '\n', t->end - seen);
        if (stop || (t->eof && t->end > t->start)) {
            *line = t->buffer + t->start;
            *end = stop ? stop : t->buffer + t->end;
            t->start = (size_t)(*end - t->buffer) + (stop != NULL);
            if (*end > *line && (*end)[-1] == '\r') --*end;
            **end = 0;
            t->line++;
            return TX_OK;
        }
        *line = *end = NULL;
        if (t->eof) return TX_OK;
        memmove(t->buffer, t->buffer + t->start, t->end - t->start);
        t->end -= t->start;
        t->start = 0;
        seen = t->end;
        if (t->end + READ_BYTES > t->capacity) {
            if (t->capacity >= LINE_MAX_BYTES)
                return tx_fail(TX_EDATA, "%s: line %zu: expected at most %d bytes, found more", t->path, t->line + 1,
                               LINE_MAX_BYTES);
            t->buffer = tx_realloc(t->buffer, t->capacity + 1, 2 * t->capacity + 1, 1);
            t->capacity *= 2;
        }
        size_t got;
        TX_TRY(tx_stream_read(t->stream, t->buffer + t->end, READ_BYTES, &got));
        t->end += got;
        t->eof = got < READ_BYTES;
    }
}

/* [+-] digits [. digits] [e [+-] digits]: no "nan", "inf", hexadecimal or decimal comma. */
static bool number(const text *t, char **at, double *value)
{
    const char *p = *at, *digits;
    long whole = 0;
    const bool minus = *p == '-';
    if (*p == '-' || *p == '+') p++;
    for (digits = p; isdigit((unsigned char)*p); p++)
        if (p - digits < 15) whole = 10 * whole + (*p - '0');
    ptrdiff_t n = p - digits;
    if (n > 0 && n <= 15 && *p != '.' && *p != 'e' && *p != 'E') {
        *value = (double)(minus ? -whole : whole);
        *at += p - *at;
        return true;
    }
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++) n++;
    if (n == 0) return false;
    if (*p == 'e' || *p == 'E') {
        const char *e = p + 1 + (p[1] == '-' || p[1] == '+');
        while (isdigit((unsigned char)*e)) p = ++e;
    }
    char *end;
    *value = strtod_l(*at, &end, t->c_locale);
    const bool good = end == p;
    *at = end;
    return good;
}

static char *skip_blanks(const text *t, char *p)
{
    while (*p == ' ' || (t->separator == ' ' && *p == '\t')) p++;
    return p;
}

/* Length of the field at p, without trailing blanks. */
static int field_length(const text *t, const char *p, const char *end)
{
    const char *stop = p;
    while (stop < end && *stop != t->separator && !(t->separator == ' ' && *stop == '\t')) stop++;
    while (stop > p && stop[-1] == ' ') stop--;
    return (int)(stop - p);
}

static tx_status bad_field(const text *t, const char *p, const char *end, size_t column)
{
    char shown[33];
    const int n = field_length(t, p, end);
    if (n == 0)
        return tx_fail(TX_EDATA, "%s: line %zu (row %zu), column %zu: expected a number, found an empty field", t->path,
                       t->line, t->row, column);
    const char *hint = *p == '"' || *p == '\''                            ? " (fields in quotes are not read)"
                       : t->separator != ',' && memchr(p, ',', (size_t)n) ? " (numbers need a decimal point)"
                                                                          : "";
    snprintf(shown, sizeof shown, "%.*s", n, p);
    for (char *c = shown; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = '?';
    return tx_fail(TX_EDATA, "%s: line %zu (row %zu), column %zu: expected a number, found '%s'%s", t->path, t->line,
                   t->row, column, shown, hint);
}

static tx_status parse_row(text *t, char *p, const char *end)
{
    double v[ROW_CHUNK];
    size_t column = 0, held = 0;
    for (p = skip_blanks(t, p);;) {
        char *field = p;
        if (!number(t, &p, &v[held])) return bad_field(t, field, end, column + 1);
        column++;
        if (++held == ROW_CHUNK) {
            tx_sink_put(&t->sink, v, held);
            held = 0;
        }
        char *after = skip_blanks(t, p);
        if (after == end) break;
        if (t->separator == ' ' ? after == p : *after != t->separator) return bad_field(t, field, end, column);
        p = t->separator == ' ' ? after : skip_blanks(t, after + 1);
    }
    tx_sink_put(&t->sink, v, held);
    if (t->dim == 0) t->dim = column;
    if (column != t->dim)
        return tx_fail(TX_EDATA, "%s: line %zu (row %zu): expected %zu column%s as in row 1, found %zu", t->path,
                       t->line, t->row, t->dim, tx_plural((long long)t->dim), column);
    return TX_OK;
}

/* A first line of words only is a header. A word that stands for a missing number is data, and refused as such. */
static size_t header_columns(const text *t, char *p, const char *end)
{
    static const char *const missing[] = {"nan", "na", "inf", "-inf", "infinity", "null", "?"};
    size_t columns = 0;
    for (;; p++) {
        p = skip_blanks(t, p);
        const char *word = p;
        if (columns > 0 && t->separator == ' ' && p == end) return columns;
        bool quoted = false;
        double ignored;
        for (; p < end && (quoted || (*p != t->separator && !(t->separator == ' ' && *p == '\t'))); p++)
            if (*p == '"') quoted = !quoted;
        const size_t n = (size_t)(p - word);
        char *probe = (char *)word;
        if (n == 0 || number(t, &probe, &ignored)) return 0;
        for (size_t i = 0; i < TX_LEN(missing); i++)
            if (strlen(missing[i]) == n && strncasecmp(word, missing[i], n) == 0) return 0;
        columns++;
        if (p == end) return columns;
    }
}

/* `blank` is the last empty line, 0 if none since the last row: allowed before the first row and after the last. */
static tx_status take_line(text *t, char *line, char *end, size_t *blank)
{
    const bool first = t->row == 0 && t->header == 0;
    if (t->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0) line += 3;
    if (line + strspn(line, " \t") == end) {
        *blank = t->line;
        return TX_OK;
    }
    if (*blank && !first)
        return tx_fail(TX_EDATA, "%s: line %zu (row %zu): expected a row, found an empty line", t->path, *blank,
                       t->row + 1);
    *blank = 0;
    if (first) {
        t->separator = separator_of(line, (size_t)(end - line));
        t->header = header_columns(t, line, end);
        if (t->header) return TX_OK;
    }
    t->row++;
    return parse_row(t, line, end);
}

static tx_status read_lines(text *t)
{
    char *line, *end;
    size_t blank = 0;
    for (;;) {
        TX_TRY(next_line(t, &line, &end));
        if (!line) break;
        TX_TRY(take_line(t, line, end, &blank));
    }
    if (t->row == 0)
        return tx_fail(TX_EDATA, "%s: no rows: expected numbers in columns, found %zu line%s without any", t->path,
                       t->line, tx_plural((long long)t->line));
    if (t->header && t->header != t->dim)
        return tx_fail(TX_EDATA, "%s: the header line has %zu column%s, the rows have %zu", t->path, t->header,
                       tx_plural((long long)t->header), t->dim);
    return TX_OK;
}

static const char *separator_name(char c)
{
    return c == ',' ? "comma" : c == ';' ? "semicolon" : c == '\t' ? "tab" : "blank";
}

static tx_status read_text(const char *path, tx_table *out)
{
    text t = {.path = path, .capacity = 4 * READ_BYTES};
    TX_TRY(tx_stream_open(path, &t.stream));
    t.buffer = tx_alloc(t.capacity + 1, 1);
    t.c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    tx_status status = read_lines(&t);
    if (status == TX_OK) {
        *out = (tx_table){.n = t.row, .dim = t.dim};
        tx_sink_table(&t.sink, out);
        snprintf(out->note, sizeof out->note, "text, %zu row%s x %zu column%s, %s separated, %s%s", t.row,
                 tx_plural((long long)t.row), t.dim, tx_plural((long long)t.dim), separator_name(t.separator),
                 t.header ? "with a header line" : "no header line", tx_stream_gzip(t.stream) ? ", gzip" : "");
    }
    freelocale(t.c_locale);
    free(t.buffer);
    tx_sink_free(&t.sink);
    tx_stream_close(t.stream);
    return status;
}

const tx_reader_ops tx_reader_amat = {"amat", "text, blanks between numbers", probe_amat, read_text};
const tx_reader_ops tx_reader_csv = {"csv", "text, comma, semicolon or tab between numbers", probe_csv, read_text};
