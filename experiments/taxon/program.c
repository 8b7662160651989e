#include "experiments/taxon/program.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAIL = 300, NAP_MS = 5 };

/* Input and standard error are files in memory: neither side ever waits for the other to read. */
typedef struct program {
    const char *name;
    int in, err, out[2];
    pid_t pid;
    double deadline;
    char *data;
    size_t n, cap;
} program;

static tx_status prepare(program *p, const char *input)
{
    p->in = memfd_create("input", MFD_CLOEXEC);
    p->err = memfd_create("error", MFD_CLOEXEC);
    bool good = p->in >= 0 && p->err >= 0 && pipe2(p->out, O_CLOEXEC) == 0 &&
                tx_write_all(p->in, input, strlen(input)) && lseek(p->in, 0, SEEK_SET) == 0;
    return good ? TX_OK : tx_fail(TX_ESYSTEM, "%s: no place for its input: %s", p->name, strerror(errno));
}

/* A group of its own, so that what it starts can be ended with it; signals as programs expect them; numbers with
 * points. */
static int start(program *p, char *const argv[])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attr) != 0) tx_no_memory("posix_spawn");
    posix_spawn_file_actions_adddup2(&files, p->in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, p->out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, p->err, STDERR_FILENO);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawnp(&p->pid, argv[0], &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* What has come; false at the end, or where it is too much. */
static bool take(program *p)
{
    if (p->cap - p->n < 4096) {
        size_t cap = 2 * p->cap + 8192;
        p->data = tx_realloc(p->data, p->cap, cap, 1);
        p->cap = cap;
    }
    ssize_t k = read(p->out[0], p->data + p->n, p->cap - p->n - 1);
    if (k < 0) return errno == EINTR;
    p->n += (size_t)k;
    return k > 0 && p->n <= TX_PROGRAM_BYTES;
}

/* True when all was read in time. */
static bool listen(program *p)
{
    struct pollfd fd = {.fd = p->out[0], .events = POLLIN};
    for (double left; (left = p->deadline - tx_now()) > 0;) {
        int k = poll(&fd, 1, (int)(1000 * left) + 1);
        if (k > 0 && !take(p)) return p->n <= TX_PROGRAM_BYTES;
        if (k < 0 && errno != EINTR) return false;
    }
    return false;
}

/* Its status; killed where it does not end by itself in time. */
static int end(program *p, bool heard, bool *late)
{
    int status = 0;
    *late = !heard;
    while (!*late && waitpid(p->pid, &status, WNOHANG) == 0) {
        *late = tx_now() > p->deadline;
        poll(NULL, 0, NAP_MS);
    }
    if (!*late) return status;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR) continue;
    return status;
}

/* The last line that says something. */
static void last_words(const program *p, char out[TAIL])
{
    off_t size = lseek(p->err, 0, SEEK_END);
    off_t from = size > TAIL - 1 ? size - (TAIL - 1) : 0;
    ssize_t n = size > 0 ? pread(p->err, out, TAIL - 1, from) : 0;
    out[n > 0 ? n : 0] = 0;
    for (size_t k = strlen(out); k > 0 && strchr(" \t\r\n", out[k - 1]);) out[--k] = 0;
    char *line = strrchr(out, '\n');
    if (line) memmove(out, line + 1, strlen(line));
}

static tx_status judge(const program *p, int status, bool late, double seconds)
{
    char words[TAIL];
    last_words(p, words);
    if (p->n > TX_PROGRAM_BYTES)
        return tx_fail(TX_ESYSTEM, "%s: it printed more than %d bytes", p->name, TX_PROGRAM_BYTES);
    if (late) return tx_fail(TX_ESYSTEM, "%s: it did not end within %g s", p->name, seconds);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return TX_OK;
    if (WIFSIGNALED(status)) return tx_fail(TX_ESYSTEM, "%s: it was ended by signal %d", p->name, WTERMSIG(status));
    return tx_fail(TX_ESYSTEM, "%s: exit code %d%s%s", p->name, WEXITSTATUS(status), *words ? ": " : "", words);
}

static tx_status converse(program *p, char *const argv[], double seconds)
{
    int error = start(p, argv);
    close(p->out[1]);
    p->out[1] = -1;
    if (error == ENOENT) return tx_fail(TX_ENOINPUT, "%s: there is no such program on the PATH", p->name);
    if (error) return tx_fail(TX_ESYSTEM, "%s: it cannot be started: %s", p->name, strerror(error));
    p->deadline = tx_now() + seconds;
    bool late, heard = listen(p);
    int status = end(p, heard, &late);
    return judge(p, status, late, seconds);
}

tx_status tx_program_run(char *const argv[], const char *input, double seconds, char **out, size_t *n)
{
    program p = {.name = argv[0], .in = -1, .err = -1, .out = {-1, -1}};
    tx_status s = prepare(&p, input);
    if (!s) s = converse(&p, argv, seconds);
    int fd[] = {p.in, p.err, p.out[0], p.out[1]};
    for (size_t i = 0; i < TX_LEN(fd); i++)
        if (fd[i] >= 0) close(fd[i]);
    if (s) {
        free(p.data);
        return s;
    }
    p.data[p.n] = 0;
    *out = p.data;
    *n = p.n;
    return TX_OK;
}
