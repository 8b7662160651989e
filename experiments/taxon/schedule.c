#include "experiments/taxon/schedule.h"
#include "common/store/commit.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE = 4096, MAX_CHILDREN = 256, POLL_MS = 200 };

typedef struct child {
    pid_t pid;
    int fd; /* where it tells its progress; -1: free slot */
    tx_job *job;
    tx_work *work;
    double start;
    size_t n;
    char line[LINE], text[TX_TEXT_MAX], why[TX_TEXT_MAX];
} child;

typedef struct state {
    tx_plan *plan;
    const tx_schedule_options *options;
    tx_progress *progress;
    child *slot;   /* [options->jobs] */
    tx_work *work; /* [total], in the order in which they start */
    int started;
    int next, done, total, told; /* told: stop signals passed on */
    double deadline;
} state;

/* cpu.max of the control group: "QUOTA PERIOD" or "max PERIOD". */
static int group_cores(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    double quota = 0, period = 0;
    int read = f ? fscanf(f, "%lf %lf", &quota, &period) : 0;
    if (f) fclose(f);
    if (read != 2 || period <= 0) return 0;
    return quota < period ? 1 : (int)(quota / period);
}

int tx_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int limit = group_cores();
    return limit > 0 && limit < n ? limit : n < 1 ? 1 : n;
}

static bool waits(const tx_job *j) { return j->state == TX_JOB_NEW || j->state == TX_JOB_RESUME; }

typedef struct pipes {
    int in[2], out[2];
} pipes;

/* Children have a process group of their own: a terminal's Ctrl-C reaches them once, through this process. */
static int spawn(const state *s, const tx_job *j, const char *log, const pipes *p, pid_t *pid)
{
    char threads[16];
    snprintf(threads, sizeof threads, "%d", s->options->threads);
    char *argv[] = {"taxon", "run-one", "--child", "--folder", j->folder, "--threads", threads, NULL, NULL, NULL};
    int n = 7;
    if (s->options->fresh) argv[n++] = "--fresh";
    if (s->options->reproducible) argv[n++] = "--reproducible";
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attr) != 0) tx_no_memory("posix_spawn");
    posix_spawn_file_actions_adddup2(&files, p->in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, p->out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawn(pid, "/proc/self/exe", &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static void close_pipes(pipes *p)
{
    int fd[] = {p->in[0], p->in[1], p->out[0], p->out[1]};
    for (size_t i = 0; i < TX_LEN(fd); i++)
        if (fd[i] >= 0) close(fd[i]);
}

static void give(int fd, const json_t *config)
{
    char *text = tx_json_text(config);
    tx_write_all(fd, text, strlen(text)); /* a child that is gone is noticed by its end */
    free(text);
}

static tx_status start(state *s, child *c, tx_job *j)
{
    TX_TRY(tx_make_folders(j->folder));
    pipes p = {{-1, -1}, {-1, -1}};
    if (pipe2(p.in, O_CLOEXEC) != 0 || pipe2(p.out, O_CLOEXEC) != 0) {
        int reason = errno;
        close_pipes(&p);
        return tx_fail(TX_ESYSTEM, "%s: no pipe for its process: %s", j->name, strerror(reason));
    }
    tx_text log = {0};
    tx_text_add(&log, "%s/log.txt", j->folder);
    if (!tx_is_running(j->folder)) unlink(log.s); /* else it is another process's */
    *c = (child){.job = j, .work = &s->work[s->started++], .start = tx_now()};
    int error = spawn(s, j, log.s, &p, &c->pid);
    tx_text_free(&log);
    if (error) {
        close_pipes(&p);
        c->fd = -1;
        return tx_fail(error == ENOENT || error == EACCES || error == EROFS ? TX_ECREATE : TX_ESYSTEM,
                       "%s: its process cannot be started: %s", j->name, strerror(error));
    }
    give(p.in[1], j->config);
    c->fd = p.out[0];
    p.out[0] = -1;
    close_pipes(&p);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->work->state = TX_WORK_RUNS;
    return TX_OK;
}

/* Where a run that resumes takes up, it says with its first word. */
static void hear_share(child *c, double share)
{
    if (isnan(c->work->from)) c->work->from = share;
    c->work->share = share;
}

/* {"share": 0.25, "text": "epoch 5 of 20"}, {"note": "what users should know"}, at last {"why": "what failed"} */
static void hear(state *s, child *c, const char *line)
{
    json_t *j = json_loads(line, 0, NULL), *share = json_object_get(j, "share");
    const char *why = json_string_value(json_object_get(j, "why"));
    const char *text = json_string_value(json_object_get(j, "text")),
               *note = json_string_value(json_object_get(j, "note"));
    if (note) tx_progress_warn(s->progress, "%s: %s", c->job->name, note);
    if (share) hear_share(c, json_number_value(share));
    if (why) tx_copy_text(c->why, sizeof c->why, why);
    if (text) snprintf(c->text, sizeof c->text, "%s: %s", c->job->name, text);
    json_decref(j);
}

/* False at the end of what the child says. */
static bool listen_to(state *s, child *c)
{
    ssize_t n = read(c->fd, c->line + c->n, sizeof c->line - 1 - c->n);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    c->n += (size_t)n;
    c->line[c->n] = 0;
    char *from = c->line;
    for (char *end; (end = strchr(from, '\n')); from = end + 1) {
        *end = 0;
        hear(s, c, from);
    }
    c->n = strlen(from);
    memmove(c->line, from, c->n + 1);
    if (c->n == sizeof c->line - 1) c->n = 0;
    return true;
}

/* The last line of the child's log without "taxon: ", or "". An empty log is removed. */
static void last_words(const tx_job *j, char *out, size_t size)
{
    tx_text path = {0};
    tx_text_add(&path, "%s/log.txt", j->folder);
    FILE *f = fopen(path.s, "re");
    char line[LINE];
    *out = 0;
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (*line) tx_copy_text(out, size, strncmp(line, "taxon: ", 7) == 0 ? line + 7 : line);
    }
    if (f) fclose(f);
    if (f && !*out) unlink(path.s);
    tx_text_free(&path);
}

static void append_end(const tx_job *j)
{
    json_t *end = json_pack("{ss, ss}", "end", tx_job_state_name(j->state), "why", j->why);
    char *text = tx_json_text(end);
    tx_text path = {0}, line = {0};
    tx_text_add(&path, "%s/metrics.jsonl", j->folder);
    tx_text_add(&line, "%s\n", text);
    int fd = open(path.s, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    /* The same is told on the terminal: where the record cannot be written the run is still listed there. */
    if (fd >= 0 && write(fd, line.s, line.len) < 0) unlink(path.s);
    if (fd >= 0) close(fd);
    tx_text_free(&path);
    tx_text_free(&line);
    free(text);
    json_decref(end);
}

/* told: this process had asked it to stop; it may not have been ready to hear that. */
static void judge(tx_job *j, const char *why, int status, bool told)
{
    static const struct {
        int code;
        tx_job_state state;
    } known[] = {{TX_OK, TX_JOB_DONE}, {TX_EDIVERGED, TX_JOB_DIVERGED}, {TX_ESTOPPED, TX_JOB_STOPPED}};
    char words[TX_TEXT_MAX];
    last_words(j, words, sizeof words);
    if (*why) tx_copy_text(words, sizeof words, why);
    j->state = TX_JOB_FAILED;
    for (size_t i = 0; WIFEXITED(status) && i < TX_LEN(known); i++)
        if (WEXITSTATUS(status) == known[i].code) j->state = known[i].state;
    if (WIFSIGNALED(status) && told) j->state = TX_JOB_STOPPED;
    if (WIFSIGNALED(status))
        snprintf(j->why, sizeof j->why, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (j->state == TX_JOB_FAILED)
        snprintf(j->why, sizeof j->why, "exit code %d%s%.900s", WEXITSTATUS(status), *words ? ": " : "", words);
    else
        tx_copy_text(j->why, sizeof j->why, j->state == TX_JOB_DONE ? "" : words);
}

static void end(state *s, child *c)
{
    int status = 0;
    close(c->fd);
    c->fd = -1;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
    judge(c->job, c->why, status, s->told > 0);
    s->done++;
    c->work->state = TX_WORK_ENDED;
    c->work->share = 1;
    c->work->seconds = c->job->state == TX_JOB_DONE ? tx_now() - c->start : NAN;
    if (c->job->state != TX_JOB_STOPPED) append_end(c->job);
    char took[16];
    tx_progress_line(s->progress, "[%d/%d] %s: %s after %s%s%s", s->done, s->total, c->job->name,
                     tx_job_state_name(c->job->state), tx_duration_text(tx_now() - c->start, took),
                     *c->job->why ? ": " : "", c->job->why);
}

static bool stopping(const state *s) { return tx_stop_count() > 0 || (s->deadline > 0 && tx_now() > s->deadline); }

/* Stop signals and the time limit reach the children once each. */
static void pass_on(state *s)
{
    int wanted = tx_stop_count();
    if (wanted == 0 && stopping(s)) wanted = 1;
    if (wanted > 2) wanted = 2;
    for (; s->told < wanted; s->told++)
        for (int i = 0; i < s->options->jobs; i++)
            if (s->slot[i].fd >= 0) kill(s->slot[i].pid, s->told == 0 ? SIGTERM : SIGKILL);
}

static void show(const state *s)
{
    const char *text = "";
    if (!tx_progress_due(s->progress)) return;
    for (int i = 0; i < s->options->jobs; i++) {
        const child *c = &s->slot[i];
        if (c->fd < 0) continue;
        c->work->seconds = tx_now() - c->start;
        if (!*text) text = c->text;
    }
    tx_forecast f = tx_forecast_of(s->total, s->work, s->options->jobs);
    tx_progress_runs(s->progress, s->done, &f, text);
}

static tx_status fill_slots(state *s)
{
    for (int i = 0; i < s->options->jobs && !stopping(s); i++) {
        if (s->slot[i].fd >= 0) continue;
        while (s->next < s->plan->n && !waits(&s->plan->job[s->next])) s->next++;
        if (s->next == s->plan->n) break;
        tx_job *j = &s->plan->job[s->next++];
        tx_status status = start(s, &s->slot[i], j);
        if (status) {
            j->state = TX_JOB_FAILED;
            tx_copy_text(j->why, sizeof j->why, tx_last_error());
            return status;
        }
    }
    return TX_OK;
}

/* Milliseconds, no more than until the time limit. */
static int moment(const state *s)
{
    double left = s->deadline > 0 ? 1000 * (s->deadline - tx_now()) : POLL_MS;
    return left > 0 && left < POLL_MS ? (int)left + 1 : POLL_MS;
}

/* Wait a moment for any child to say something; the number of children. */
static int attend(state *s)
{
    struct pollfd fd[MAX_CHILDREN];
    child *who[MAX_CHILDREN];
    nfds_t n = 0;
    for (int i = 0; i < s->options->jobs; i++)
        if (s->slot[i].fd >= 0) {
            who[n] = &s->slot[i];
            fd[n++] = (struct pollfd){.fd = s->slot[i].fd, .events = POLLIN};
        }
    if (n == 0) return 0;
    if (poll(fd, n, moment(s)) > 0)
        for (nfds_t i = 0; i < n; i++)
            if (fd[i].revents && !listen_to(s, who[i])) end(s, who[i]);
    return (int)n;
}

/* All that is to do, as far as it can be told before it starts. */
static void measure_work(state *s)
{
    const char *before = NULL;
    int n = 0, like = -1;
    s->work = tx_alloc((size_t)s->total, sizeof *s->work);
    for (int i = 0; i < s->plan->n; i++) {
        const tx_job *j = &s->plan->job[i];
        if (!waits(j)) continue;
        like += !before || !tx_work_alike(before, j->name);
        before = j->name;
        s->work[n++] = (tx_work){
            .like = like, .size = tx_work_size(j->n_parameter, j->n_step), .from = j->state == TX_JOB_RESUME ? NAN : 0};
    }
}

tx_status tx_schedule_runs(tx_plan *p, const tx_schedule_options *o, tx_progress *progress, bool *interrupted)
{
    TX_REQUIRE(o->jobs >= 1 && o->jobs <= MAX_CHILDREN, "%d jobs", o->jobs);
    state s = {.plan = p, .options = o, .progress = progress, .slot = tx_alloc((size_t)o->jobs, sizeof *s.slot)};
    s.deadline = o->max_seconds > 0 ? tx_now() + o->max_seconds : 0;
    for (int i = 0; i < o->jobs; i++) s.slot[i].fd = -1;
    for (int i = 0; i < p->n; i++) s.total += waits(&p->job[i]);
    measure_work(&s);
    tx_stop_watch(false);
    tx_status status = TX_OK;
    for (bool more = true; more;) {
        if (!status) status = fill_slots(&s);
        pass_on(&s);
        more = attend(&s) > 0;
        show(&s);
    }
    free(s.slot);
    free(s.work);
    *interrupted = s.told >= 2;
    int open = 0;
    const char *why = ""; /* where nobody asked */
    for (int i = 0; i < p->n; i++) {
        open += p->job[i].state == TX_JOB_STOPPED || waits(&p->job[i]);
        if (p->job[i].state == TX_JOB_STOPPED && s.told == 0) why = p->job[i].why;
    }
    if (!status && open)
        return tx_fail(TX_ESTOPPED, "stopped: %d of %d run%s ended; run the same command again to go on%s%s",
                       s.total - open, s.total, tx_plural(s.total), *why ? ": " : "", why);
    return status;
}
