/** Preloaded into a run to end it at a known place: a signal at the n-th of some calls.
 *  TAXON_STOP = "SIGNAL CALL N". CALL is clock, a look at the clock, of which every batch has three; or write (half of
 * it is done), fsync or rename of a checkpoint. TAXON_CLOCK = "SECONDS": each look moves the clock by so many, so that
 * checkpoints come after a known number of batches. Only the process of one run is meant, not the comparison that waits
 * for it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char call[32];
static int number;
static long wanted;
static double seconds;
static atomic_long count, looks;

__attribute__((constructor)) static void start(int argc, char **argv)
{
    const char *stop = getenv("TAXON_STOP"), *clock = getenv("TAXON_CLOCK");
    if (argc < 2 || strcmp(argv[1], "run-one") != 0) return;
    if (stop && sscanf(stop, "%d %31s %ld", &number, call, &wanted) != 3) abort();
    if (clock) seconds = atof(clock);
}

static bool now(const char *name) { return strcmp(name, call) == 0 && atomic_fetch_add(&count, 1) + 1 == wanted; }

static bool is_checkpoint(int fd)
{
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = 0;
    return strstr(path, "checkpoint") != NULL;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (is_checkpoint(fd) && now("write")) {
        syscall(SYS_write, fd, data, bytes / 2);
        raise(number);
        data = (const char *)data + bytes / 2, bytes -= bytes / 2;
    }
    return syscall(SYS_write, fd, data, bytes);
}

int fsync(int fd)
{
    if (is_checkpoint(fd) && now("fsync")) raise(number);
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    if (strstr(to, "checkpoint") && now("rename")) raise(number);
    return (int)syscall(SYS_rename, from, to);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int r = (int)syscall(SYS_clock_gettime, id, t);
    if (id != CLOCK_MONOTONIC) return r;
    if (now("clock")) raise(number);
    t->tv_sec += (time_t)(seconds * (double)atomic_fetch_add(&looks, 1));
    return r;
}
