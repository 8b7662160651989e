/* Memory and threads of the command, for all libraries in it: without them some go on with a NULL until they crash,
 * some take it for a file that is not there, others end the process by a code or signal of their own. Here it says what
 * is wanting and ends. glibc lets a program define these functions and keeps its own beside them; elsewhere libraries
 * are left to themselves. */
#include "common/base/base.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t bytes);

/* More than an address space is a wrong argument, which is for the caller to learn. */
static void *check(void *p, size_t bytes)
{
    if (p || bytes > PTRDIFF_MAX) return p;
    char what[48];
    snprintf(what, sizeof what, "%zu bytes", bytes);
    tx_no_memory(what);
}

void *malloc(size_t bytes) { return check(__libc_malloc(bytes), bytes); }

void *calloc(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
    return check(__libc_calloc(count, size), bytes);
}

/* A size of zero frees, and gives NULL. */
void *realloc(void *old, size_t bytes)
{
    void *p = __libc_realloc(old, bytes);
    return bytes ? check(p, bytes) : p;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    int (*of)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
    *(void **)&of = dlsym(RTLD_NEXT, "pthread_create"); /* a cast of the result itself is none of ISO C */
    int reason = of(thread, attributes, start, argument);
    char what[TX_NAME_MAX];
    if (!reason) return 0;
    snprintf(what, sizeof what, "a thread cannot be started: %s", strerror(reason));
    tx_no_memory(what);
}
#endif
