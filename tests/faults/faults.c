/** Preloaded into the command by test_faults.py: the n-th call of one function fails in each process.
 *  TAXON_FAULT = "CALL N ERROR MARK:FOLDER": ERROR is an errno, or "half" for a write that takes half of its bytes.
 * Counted are calls on files under FOLDER, and of posix_memalign and malloc all. MARK is made when a call has failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);

static char call[32], error[16], mark[4096], folder[4096];
static long fatal;
static atomic_long count;
static atomic_bool
    begun; /* a file under FOLDER was touched: allocations before are of the loader and of libraries' starts */

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
    bool is = strncmp(path, folder, strlen(folder)) == 0;
    if (is) atomic_store(&begun, true);
    return is;
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

/* Is this the call that fails? errno is set then. */
static bool fails(const char *name)
{
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

int posix_memalign(void **p, size_t alignment, size_t bytes)
{
    if (begun && fails("posix_memalign")) return errno;
    void *(*of)(size_t, size_t) = dlsym(RTLD_NEXT, "aligned_alloc");
    *p = of(alignment, bytes);
    return *p ? 0 : errno;
}

void *malloc(size_t bytes) { return begun && fails("malloc") ? NULL : __libc_malloc(bytes); }
