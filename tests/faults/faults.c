/** Preloaded into the command by test_faults.py: the n-th call of one function fails in each process.
 *  TAXON_FAULT = "CALL N ERROR MARK:FOLDER": ERROR is an errno, or "half" for a write or read of half of the bytes.
 * Counted are calls on files under FOLDER, and all of posix_memalign, malloc (with calloc and realloc), open_memstream,
 * fork, pipe2, posix_spawn and pthread_create. MARK is made when a call has failed.
 * With the CALL "clock" the time of day steps back by N seconds at each look, and nothing fails.
 * With the CALL "log" none fails, and MARK gets a line "PID FUNCTION PATH" for each that would be counted under FOLDER.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t bytes);

static char call[32], error[16], mark[4096], folder[4096];
static long fatal;
static _Thread_local char at[4096]; /* the path that was looked at last */
static atomic_long count;

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("TAXON_FAULT");
    if (!text || sscanf(text, "%31s %ld %15s %4095[^:]:%4095[^\n]", call, &fatal, error, mark, folder) != 5)
        call[0] = 0;
}

static bool under(const char *path)
{
    char whole[4096];
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole)) return false;
        path = whole;
    }
    snprintf(at, sizeof at, "%s", path);
    return strncmp(path, folder, strlen(folder)) == 0;
}

static bool is_under(int fd)
{
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    if (n < 0) return false;
    path[n] = 0;
    return under(path);
}

static void append(const char *name)
{
    char line[sizeof at + 64];
    int n = snprintf(line, sizeof line, "%ld %s %s\n", (long)getpid(), name, at);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY | O_APPEND, 0666);
    syscall(SYS_write, fd, line, (size_t)n);
    syscall(SYS_close, fd);
}

/* Is this the call that fails? errno is set then. */
static bool fails(const char *name)
{
    if (strcmp(call, "log") == 0 && *at) append(name);
    *at = 0;
    if (strcmp(name, call) != 0 || atomic_fetch_add(&count, 1) + 1 != fatal) return false;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY, 0666);
    if (fd >= 0) syscall(SYS_close, fd);
    errno = atoi(error);
    return true;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (is_under(fd) && fails("write")) {
        if (strcmp(error, "half") != 0) return -1;
        bytes = (bytes + 1) / 2;
    }
    return syscall(SYS_write, fd, data, bytes);
}

int fsync(int fd) { return is_under(fd) && fails("fsync") ? -1 : (int)syscall(SYS_fsync, fd); }

int close(int fd)
{
    bool failed = is_under(fd) && fails("close");
    int reason = errno, r = (int)syscall(SYS_close, fd);
    errno = failed ? reason : errno;
    return failed ? -1 : r;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);
    return under(path) && fails("open") ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int rename(const char *from, const char *to)
{
    return under(to) && fails("rename") ? -1 : (int)syscall(SYS_rename, from, to);
}

int mkdir(const char *path, mode_t mode)
{
    return under(path) && fails("mkdir") ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int unlink(const char *path) { return under(path) && fails("unlink") ? -1 : (int)syscall(SYS_unlink, path); }

int flock(int fd, int how) { return is_under(fd) && fails("flock") ? -1 : (int)syscall(SYS_flock, fd, how); }

ssize_t read(int fd, void *data, size_t bytes)
{
    if (is_under(fd) && fails("read")) {
        if (strcmp(error, "half") != 0) return -1;
        bytes = (bytes + 1) / 2;
    }
    return syscall(SYS_read, fd, data, bytes);
}

/* REPLACED(RESULT, FAILED, CONDITION, NAME, PARAMETERS, ARGUMENTS): what glibc does otherwise. */
#define REPLACED(result, failed, condition, name, parameters, arguments)                                               \
    result name parameters                                                                                             \
    {                                                                                                                  \
        result(*of) parameters = dlsym(RTLD_NEXT, #name);                                                              \
        return (condition) && fails(#name) ? failed : of arguments;                                                    \
    }
REPLACED(DIR *, NULL, under(path), opendir, (const char *path), (path))
REPLACED(int, -1, under(path), scandir,
         (const char *path, struct dirent ***out, int (*select)(const struct dirent *),
          int (*order)(const struct dirent **, const struct dirent **)),
         (path, out, select, order))
REPLACED(FILE *, NULL, under(path), fopen, (const char *path, const char *mode), (path, mode))
REPLACED(FILE *, NULL, true, open_memstream, (char **text, size_t *bytes), (text, bytes))
REPLACED(pid_t, -1, true, fork, (void), ())
REPLACED(int, -1, true, pipe2, (int fd[2], int flags), (fd, flags))
REPLACED(int, errno, true, posix_spawn,
         (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
          char *const argv[], char *const env[]),
         (pid, path, actions, attributes, argv, env))
REPLACED(int, errno, true, pthread_create,
         (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument),
         (thread, attributes, start, argument))

int posix_memalign(void **p, size_t alignment, size_t bytes)
{
    if (fails("posix_memalign")) return errno;
    void *(*of)(size_t, size_t) = dlsym(RTLD_NEXT, "aligned_alloc");
    *p = of(alignment, bytes);
    return *p ? 0 : errno;
}

/* What the command's own malloc, calloc and realloc call: libraries call those. */
void *__libc_malloc(size_t bytes)
{
    void *(*of)(size_t) = dlsym(RTLD_NEXT, "__libc_malloc");
    return fails("malloc") ? NULL : of(bytes);
}

void *__libc_calloc(size_t count, size_t size)
{
    void *(*of)(size_t, size_t) = dlsym(RTLD_NEXT, "__libc_calloc");
    return fails("malloc") ? NULL : of(count, size);
}

void *__libc_realloc(void *old, size_t bytes)
{
    void *(*of)(void *, size_t) = dlsym(RTLD_NEXT, "__libc_realloc");
    return bytes && fails("malloc") ? NULL : of(old, bytes);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int r = (int)syscall(SYS_clock_gettime, clock, t);
    if (clock == CLOCK_REALTIME && strcmp(call, "clock") == 0) t->tv_sec -= fatal * atomic_fetch_add(&count, 1);
    return r;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}
