#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "common/data/internal.h"

enum { IN_BYTES = 1 << 16, GZIP_MAX_RATIO = 1032 /* of deflate: 258 bytes from 2 bits */ };

struct tx_stream {
    char path[TX_TEXT_MAX];
    int fd;
    size_t size, taken; /* bytes of the file, bytes of content handed out */
    bool gzip, between; /* between: a member has ended and the next has not begun */
    z_stream z;         /* next_in and avail_in serve plain files as well */
    unsigned char in[IN_BYTES];
};

static tx_status fill(tx_stream *s)
{
    ssize_t n;
    do n = read(s->fd, s->in, sizeof s->in);
    while (n < 0 && errno == EINTR);
    if (n < 0) return tx_fail(TX_EIO, "%s: cannot be read: %s", s->path, strerror(errno));
    s->z.next_in = s->in;
    s->z.avail_in = (uInt)n;
    return TX_OK;
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a FIFO" : S_ISSOCK(mode) ? "a socket" : "a device";
}

static tx_status start(tx_stream *s)
{
    struct stat st;
    /* Without O_NONBLOCK the opening of a FIFO would wait for a writer. */
    s->fd = open(s->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (s->fd < 0) return tx_fail(TX_ENOINPUT, "%s: cannot be opened: %s", s->path, strerror(errno));
    if (fstat(s->fd, &st) != 0) return tx_fail(TX_EIO, "%s: %s", s->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return tx_fail(TX_EDATA, "%s: expected a regular file, found %s", s->path, kind_of(st.st_mode));
    s->size = (size_t)st.st_size;
    TX_TRY(fill(s));
    s->gzip = s->z.avail_in >= 2 && s->in[0] == 0x1f && s->in[1] == 0x8b;
    if (s->gzip && inflateInit2(&s->z, 15 + 16) != Z_OK) return tx_fail(TX_ESYSTEM, "%s: zlib cannot start", s->path);
    return TX_OK;
}

tx_status tx_stream_open(const char *path, tx_stream **out)
{
    tx_stream *s = tx_alloc(1, sizeof *s);
    s->fd = -1;
    tx_status status = tx_copy_text(s->path, sizeof s->path, path)
                           ? start(s)
                           : tx_fail(TX_ENOINPUT, "a path of over %d bytes: %.60s...", TX_TEXT_MAX - 1, path);
    if (status == TX_OK)
        *out = s;
    else
        tx_stream_close(s);
    return status;
}

void tx_stream_close(tx_stream *s)
{
    if (!s) return;
    if (s->gzip) inflateEnd(&s->z);
    if (s->fd >= 0) close(s->fd);
    free(s);
}

const char *tx_stream_path(const tx_stream *s) { return s->path; }
bool tx_stream_gzip(const tx_stream *s) { return s->gzip; }

static tx_status read_plain(tx_stream *s, unsigned char *to, size_t want, size_t *got)
{
    while (*got < want) {
        if (s->z.avail_in == 0) TX_TRY(fill(s));
        if (s->z.avail_in == 0) break;
        size_t n = want - *got < s->z.avail_in ? want - *got : s->z.avail_in;
        memcpy(to + *got, s->z.next_in, n);
        s->z.next_in += n;
        s->z.avail_in -= (uInt)n;
        *got += n;
    }
    return TX_OK;
}

static tx_status read_gzip(tx_stream *s, unsigned char *to, size_t want, size_t *got)
{
    while (*got < want) {
        if (s->z.avail_in == 0) TX_TRY(fill(s));
        if (s->z.avail_in == 0) {
            if (s->between) break;
            return tx_fail(TX_EDATA, "%s: the gzip file is cut: its %zu bytes end after %zu bytes of content", s->path,
                           s->size, s->taken + *got);
        }
        if (s->between) inflateReset(&s->z);
        s->between = false;
        size_t room = want - *got < (1u << 30) ? want - *got : (1u << 30);
        s->z.next_out = to + *got;
        s->z.avail_out = (uInt)room;
        int z = inflate(&s->z, Z_NO_FLUSH);
        *got += room - s->z.avail_out;
        s->between = z == Z_STREAM_END;
        if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
            return tx_fail(TX_EDATA, "%s: the gzip file is damaged after %zu bytes of content: %s", s->path,
                           s->taken + *got, s->z.msg ? s->z.msg : "unknown cause");
    }
    return TX_OK;
}

tx_status tx_stream_read(tx_stream *s, void *to, size_t want, size_t *got)
{
    *got = 0;
    TX_TRY((s->gzip ? read_gzip : read_plain)(s, to, want, got));
    s->taken += *got;
    return TX_OK;
}

tx_status tx_stream_expect(const tx_stream *s, size_t header, size_t bytes)
{
    size_t all;
    bool fits = !__builtin_add_overflow(header, bytes, &all);
    if (s->gzip) {
        if (!fits || all / GZIP_MAX_RATIO > s->size)
            return tx_fail(TX_EDATA,
                           "%s: its header declares %zu bytes of values, more than %zu compressed bytes can hold",
                           s->path, bytes, s->size);
    } else if (!fits || all != s->size) {
        return tx_fail(TX_EDATA, "%s: expected %zu bytes (%zu of header and %zu of values, by its header), found %zu",
                       s->path, fits ? all : SIZE_MAX, header, bytes, s->size);
    }
    return TX_OK;
}

tx_status tx_stream_end(tx_stream *s, size_t expected)
{
    unsigned char more[4096];
    size_t got;
    TX_TRY(tx_stream_read(s, more, sizeof more, &got));
    if (got)
        return tx_fail(TX_EDATA, "%s: expected %zu bytes of content, found %s%zu", s->path, expected,
                       got == sizeof more ? "at least " : "", s->taken);
    return TX_OK;
}
