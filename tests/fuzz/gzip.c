/* A mutator that sees through gzip: without it a change hardly ever passes the check sum of a compressed file. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "tests/fuzz/fuzz.h"

enum { ROOM = 1 << 16 };
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

/* 0 where `from` is no gzip stream, or too long a one. */
static size_t inflated(uint8_t *to, const uint8_t *from, size_t n)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from, .avail_in = (uInt)n, .next_out = to, .avail_out = ROOM};
    if (inflateInit2(&z, 15 + 16) != Z_OK) return 0;
    int end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return end == Z_STREAM_END ? ROOM - z.avail_out : 0;
}

/* 0 where it does not fit. */
static size_t deflated(uint8_t *to, size_t max, uint8_t *from, size_t n)
{
    z_stream z = {.next_in = from, .avail_in = (uInt)n, .next_out = to, .avail_out = (uInt)max};
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
    int end = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return end == Z_STREAM_END ? max - z.avail_out : 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    uint8_t content[ROOM], packed[ROOM];
    const bool gzip = size > 2 && data[0] == 0x1f && data[1] == 0x8b;
    size_t n = 0, made = 0;
    if (gzip && seed % 8) n = inflated(content, data, size);
    if (n) n = LLVMFuzzerMutate(content, n, ROOM);
    if (!gzip && seed % 64 == 0 && size <= ROOM) memcpy(content, data, n = size);
    if (n) made = deflated(packed, max < ROOM ? max : ROOM, content, n);
    if (!made) return LLVMFuzzerMutate(data, size, max);
    memcpy(data, packed, made);
    return made;
}
