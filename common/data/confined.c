#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include "common/data/internal.h"

enum { SECONDS = 5, BYTES_A_SECOND = 1 << 25 };
static const size_t memory_limit = (size_t)1 << 30;

/* Bytes of address space in use, or 0 where the system does not tell. */
static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    if (fscanf(f, "%lu", &pages) != 1) pages = 0;
    fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The soft limit alone, so that it can be raised again; never above what the user allows. */
static void set_limit(int resource, size_t value)
{
    struct rlimit l;
    if (getrlimit(resource, &l) != 0) return;
    l.rlim_cur = l.rlim_max == RLIM_INFINITY || value < l.rlim_max ? (rlim_t)value : l.rlim_max;
    setrlimit(resource, &l);
}

void tx_confined_allow(size_t bytes)
{
    const size_t used = address_space();
    size_t limit;
    if (used && !__builtin_add_overflow(used + memory_limit, bytes, &limit)) set_limit(RLIMIT_AS, limit);
    set_limit(RLIMIT_CPU, SECONDS + bytes / BYTES_A_SECOND);
}

_Noreturn static void run_task(tx_confined_fn task, const void *ctx, int to)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    /* The parent tells how the task ended; what a dying library prints would come before it. */
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
    signal(SIGABRT, SIG_DFL);
    set_limit(RLIMIT_CORE, 0);
    tx_confined_allow(0);
    _exit(task(ctx, to) ? TX_OK : TX_EDATA);
}

tx_status tx_confined_start(tx_confined *c, tx_confined_fn task, const void *ctx)
{
    int end[2];
    if (pipe2(end, O_CLOEXEC) != 0) return tx_fail(TX_ESYSTEM, "no pipe for a process that reads: %s", strerror(errno));
    c->pid = fork();
    if (c->pid == 0) run_task(task, ctx, end[1]);
    const int reason = errno;
    close(end[1]);
    c->from = end[0];
    if (c->pid > 0) return TX_OK;
    close(end[0]);
    return tx_fail(TX_ESYSTEM, "no process to read in: %s", strerror(reason));
}

bool tx_confined_read(tx_confined *c, void *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = read(c->from, (char *)to + done, bytes - done);
        if (n == 0 || (n < 0 && errno != EINTR)) return false;
        if (n > 0) done += (size_t)n;
    }
    return true;
}

tx_status tx_confined_end(tx_confined *c, const char *path)
{
    int status = 0;
    close(c->from);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return tx_fail(TX_EDATA, "%s: damaged: its size does not explain the time that reading it takes", path);
    if (WIFSIGNALED(status))
        return tx_fail(TX_EDATA, "%s: damaged: its library ended by signal %d (%s)", path, WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    if (status)
        return tx_fail(TX_EDATA,
                       "%s: its values cannot be read: damaged, written with a missing filter, or in need of more "
                       "memory than its size explains",
                       path);
    return TX_OK;
}
