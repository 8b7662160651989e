#include "common/tensor/arena.h"
#include <stdlib.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* Sizes are in units of ALIGN bytes. Chunks at least double, so their number is small and old ones are never moved. */
enum { ALIGN = 64, CHUNK_MAX = 60, UNITS_MIN = 1024 };

typedef struct chunk {
    char *base;
    size_t size, used;
} chunk;

struct tx_arena {
    chunk chunk[CHUNK_MAX];
    int n, now;
    size_t before, peak; /* before: units used in the chunks below `now` */
};

static void grow(tx_arena *a, size_t units)
{
    TX_REQUIRE(a->n < CHUNK_MAX, "%d chunks", a->n);
    size_t last = a->n ? a->chunk[a->n - 1].size : UNITS_MIN / 2;
    size_t size = units > 2 * last ? units : 2 * last;
    a->chunk[a->n++] = (chunk){.base = tx_alloc(size, ALIGN), .size = size};
    ASAN_POISON_MEMORY_REGION(a->chunk[a->n - 1].base, size * ALIGN);
}

tx_arena *tx_arena_new(size_t reserve_bytes)
{
    tx_arena *a = tx_alloc(1, sizeof *a);
    grow(a, reserve_bytes / ALIGN + 1);
    return a;
}

void tx_arena_free(tx_arena *a)
{
    if (!a) return;
    for (int i = 0; i < a->n; i++) {
        ASAN_UNPOISON_MEMORY_REGION(a->chunk[i].base, a->chunk[i].size * ALIGN);
        free(a->chunk[i].base);
    }
    free(a);
}

void *tx_arena_alloc(tx_arena *a, size_t bytes)
{
    size_t units = bytes / ALIGN + (bytes % ALIGN || !bytes);
    while (a->chunk[a->now].size - a->chunk[a->now].used < units) {
        a->before += a->chunk[a->now].used;
        if (++a->now == a->n) grow(a, units);
        a->chunk[a->now].used = 0;
    }
    chunk *c = &a->chunk[a->now];
    char *p = c->base + c->used * ALIGN;
    c->used += units;
    if (a->before + c->used > a->peak) a->peak = a->before + c->used;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
}

tx_mark tx_arena_mark(const tx_arena *a) { return (tx_mark){.chunk = a->now, .used = a->chunk[a->now].used}; }

void tx_arena_release(tx_arena *a, tx_mark m)
{
    TX_REQUIRE(m.chunk < a->now || (m.chunk == a->now && m.used <= a->chunk[a->now].used),
               "mark (%d, %zu) is not in the past", m.chunk, m.used);
    for (int i = a->now; i > m.chunk; i--) {
        ASAN_POISON_MEMORY_REGION(a->chunk[i].base, a->chunk[i].size * ALIGN);
        a->before -= a->chunk[i - 1].used;
    }
    chunk *c = &a->chunk[m.chunk];
    ASAN_POISON_MEMORY_REGION(c->base + m.used * ALIGN, (c->size - m.used) * ALIGN);
    c->used = m.used;
    a->now = m.chunk;
}

size_t tx_arena_growths(const tx_arena *a) { return (size_t)a->n; }
size_t tx_arena_peak(const tx_arena *a) { return a->peak * ALIGN; }
