/** Bump memory for one training step: allocated in any number of pieces, freed all at once. */
#ifndef TX_TENSOR_ARENA_H
#define TX_TENSOR_ARENA_H
#include "common/base/base.h"
/** Memory that grows as it is asked for and keeps what it has. */
typedef struct tx_arena tx_arena;
/** A place in it, to which tx_arena_release goes back. */
typedef struct tx_mark { int chunk; size_t used; } tx_mark;
/** Begins with so many bytes; owned by the caller. */
tx_arena *tx_arena_new(size_t reserve_bytes);
void      tx_arena_free(tx_arena *a);                /**< NULL is allowed */
void     *tx_arena_alloc(tx_arena *a, size_t bytes); /**< 64-byte aligned, uninitialised, never NULL (exit 71) */
/** Where it is now. */
tx_mark   tx_arena_mark(const tx_arena *a);
void      tx_arena_release(tx_arena *a, tx_mark m);  /**< everything allocated since `m` is gone */
size_t    tx_arena_growths(const tx_arena *a);       /**< system allocations so far: constant after a step or two */
size_t    tx_arena_peak(const tx_arena *a);          /**< most bytes in use at one time so far */
#endif
