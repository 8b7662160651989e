/** Base of everything: the scalar type, contracts, statuses with their messages, memory that never fails silently. */
#ifndef TX_BASE_BASE_H
#define TX_BASE_BASE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Scalar of all tensors: float for experiments, double (-DTX_DOUBLE=ON) for checks of the same sources. */
#ifdef TX_DOUBLE
typedef double real;
#else
typedef float real;
#endif

/** Every status: name, value, what its exit code says. */
#define TX_STATUS_MAP(X)                                               \
    X(OK, 0, "success")                                                \
    X(EDIVERGED, 3, "finished, but something diverged, failed, or was left out") \
    X(EUSAGE, 64, "wrong usage")                                       \
    X(EDATA, 65, "content is not what was expected")                   \
    X(ENOINPUT, 66, "input not found or not readable")                 \
    X(ESYSTEM, 71, "out of memory or another system limit")            \
    X(ECREATE, 73, "output cannot be created")                         \
    X(EIO, 74, "input or output error")                                \
    X(ESTOPPED, 75, "stopped with a checkpoint: run the same command again") \
    X(ECONFIG, 78, "bad configuration key or value")
/** Outcome of a call that can fail because of the world or the numbers, never because of the code.
 *  The value of a status is the exit code of the command that ends with it. */
typedef enum tx_status {
#define X(name, code, text) TX_##name = code,
    TX_STATUS_MAP(X)
#undef X
} tx_status;

/** What the exit code of that status says, a line of `man taxon`; "unknown status" of any other number. */
const char *tx_status_text(tx_status s);

/** Record a message for this thread and return `s`: `return tx_fail(TX_EIO, "%s: ...", path)`. Messages carry
 *  file, place, what was expected, what was found and, where it is not obvious, what to do. At most 2047 bytes;
 *  control characters become '?', so that a message is one line. */
tx_status tx_fail(tx_status s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *tx_last_error(void); /**< message of this thread's last tx_fail; valid until the next; "" if none */

/** Pass a failure up. The only control-flow macro of the code base. */
#define TX_TRY(call)                            \
    do {                                        \
        tx_status tx_s_ = (call);               \
        if (tx_s_ != TX_OK) return tx_s_;       \
    } while (0)

/** A caller's duty (shape, NULL, range). Always on: prints place, expression and message, then abort(). */
#define TX_REQUIRE(cond, ...) ((cond) ? (void)0 : tx_die(__FILE__, __LINE__, #cond, __VA_ARGS__))
/** What TX_REQUIRE does where the condition is false. */
_Noreturn void tx_die(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** `count * size` bytes, zeroed, 64-byte aligned, released with free(). Never NULL: on overflow or when memory is
 *  out it prints one line and ends the process with exit code 71. count = 0 gives a valid pointer. */
void *tx_alloc(size_t count, size_t size);
void *tx_realloc(void *old, size_t old_count, size_t new_count, size_t size); /**< same promises; new tail zeroed */
/** Room for one member more after `n`, for arrays that grow member by member: doubles at powers of two. Same promises. */
void *tx_grow(void *array, size_t n, size_t size);
char *tx_strdup(const char *s);                                              /**< same promises */

/** What tx_alloc does when memory is out, for libraries that tell it by NULL: one line with `what`, exit code 71. */
_Noreturn void tx_no_memory(const char *what);

/** Copy with truncation (between UTF-8 characters); always terminated. Returns true when all of `src` fitted. */
bool tx_copy_text(char *dst, size_t dst_size, const char *src);
/** The candidate nearest to `word` by edit distance (NULL-terminated list), or NULL when none is near. A swap of
 *  neighbours counts as one edit, case and '-' for '_' as none; the first of equals wins. */
const char *tx_nearest(const char *word, const char *const candidate[]);

/** write() of all bytes, through interruptions; false with errno. */
bool tx_write_all(int fd, const void *data, size_t bytes);

double tx_now(void); /**< seconds of a clock that never steps back: for durations and deadlines */

/** Members of an array (not of a pointer). */
#define TX_LEN(array) (sizeof(array) / sizeof *(array))
enum { TX_NAME_MAX = 128, TX_TEXT_MAX = 1024 };
#endif
