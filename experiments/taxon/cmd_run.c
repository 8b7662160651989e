#include "common/store/commit.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/runner.h"
#include "experiments/taxon/schedule.h"
#include "experiments/taxon/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_JOBS = 256, MAX_THREADS = 4096, MAX_SHARDS = 100000 };

typedef struct request {
    tx_comparison comparison;
    tx_plan plan;
    tx_schedule_options schedule;
    tx_progress *progress; /* until the table is printed */
    char out[TX_TEXT_MAX];
    int shard, shards;
} request;

static tx_status read_shard(const char *text, request *q)
{
    char end = 0;
    if (!text) return TX_OK;
    if (sscanf(text, "%d/%d%c", &q->shard, &q->shards, &end) != 2 || q->shards < 1 || q->shards > MAX_SHARDS ||
        q->shard < 1 || q->shard > q->shards)
        return tx_fail(TX_EUSAGE, "run: --shard: expected K/N with 1 <= K <= N; found '%s'", text);
    return TX_OK;
}

static tx_status read_flags(const tx_args *a, request *q)
{
    const char *max_time = tx_args_text(a, "max-time", NULL);
    TX_TRY(tx_args_int(a, "jobs", 1, MAX_JOBS, 0, &q->schedule.jobs));
    TX_TRY(tx_args_int(a, "threads", 1, MAX_THREADS, 0, &q->schedule.threads));
    if (max_time) TX_TRY(tx_duration(max_time, &q->schedule.max_seconds));
    q->schedule.fresh = tx_args_on(a, "fresh");
    q->schedule.reproducible = tx_args_on(a, "reproducible");
    return read_shard(tx_args_text(a, "shard", NULL), q);
}

static int count(const tx_plan *p, tx_job_state s)
{
    int n = 0;
    for (int i = 0; i < p->n; i++) n += p->job[i].state == s;
    return n;
}

/* Many small runs use many cores better than one run does. */
static void share_cores(request *q)
{
    tx_schedule_options *o = &q->schedule;
    int cores = tx_cores(), work = count(&q->plan, TX_JOB_NEW) + count(&q->plan, TX_JOB_RESUME);
    if (!o->jobs) o->jobs = o->threads ? cores / o->threads : work < cores ? work : cores;
    if (o->jobs < 1) o->jobs = 1;
    if (o->jobs > MAX_JOBS) o->jobs = MAX_JOBS;
    if (!o->threads) o->threads = cores > o->jobs ? cores / o->jobs : 1;
}

static void print_plan(const tx_plan *p)
{
    int width = 3;
    for (int i = 0; i < p->n; i++)
        if ((int)strlen(p->job[i].name) > width) width = (int)strlen(p->job[i].name);
    printf("%-*s  %12s  %9s  state\n", width, "run", "parameters", "steps");
    for (int i = 0; i < p->n; i++) {
        const tx_job *j = &p->job[i];
        if (j->state == TX_JOB_UNFIT)
            printf("%-*s  %12s  %9s  ", width, j->name, "-", "-");
        else
            printf("%-*s  %12.0f  %9.0f  ", width, j->name, j->n_parameter, j->n_step);
        printf("%s%s%s\n", tx_job_state_name(j->state), *j->why ? ": " : "", j->why);
    }
}

static void tell_notes(const request *q)
{
    char *note = tx_strdup(q->plan.note.s ? q->plan.note.s : "");
    for (char *line = note, *rest = NULL; (line = strtok_r(line, "\n", &rest)); line = NULL)
        tx_progress_line(q->progress, "%s", line);
    free(note);
    int n = count(&q->plan, TX_JOB_NEW) + count(&q->plan, TX_JOB_RESUME);
    int refused = count(&q->plan, TX_JOB_REFUSED);
    char told[32] = "";
    if (refused) snprintf(told, sizeof told, ", %d refused", refused);
    tx_progress_line(q->progress, "results in %s: %d run%s to do, %d kept%s; %d at a time, %d thread%s each", q->out, n,
                     tx_plural(n), count(&q->plan, TX_JOB_KEPT) + count(&q->plan, TX_JOB_KEPT_DIVERGED), told,
                     q->schedule.jobs, q->schedule.threads, tx_plural(q->schedule.threads));
}

/* compare.h5, compare.csv and the table of all that lies in the folder of results. */
static tx_status report(const request *q)
{
    tx_gathered g;
    bool written;
    tx_status s = tx_collect(q->out, &g, &written);
    tx_text t = {0};
    if (!s) s = tx_results_table(g.n, g.run, "text", &t);
    if (!s) fputs(t.s, stdout);
    if (!s && g.n)
        printf(
            "\nIn %s: compare.h5 and compare.csv hold what is compared; each DATASET-VIEW/MODEL/seed-N/ has result.h5\n"
            "(likelihoods, samples, parameters), samples.png and metrics.jsonl. results/README.md says how to read "
            "them.\n",
            q->out);
    if (!s) s = tx_gathered_status(&g);
    tx_text_free(&t);
    tx_gathered_free(&g);
    return s;
}

/* `left_out`: of compare.h5 and the table, "" where nothing was. */
static tx_status judge(const request *q, const char *left_out)
{
    static const tx_job_state bad[] = {TX_JOB_DIVERGED, TX_JOB_KEPT_DIVERGED, TX_JOB_FAILED, TX_JOB_REFUSED};
    int diverged = count(&q->plan, TX_JOB_DIVERGED) + count(&q->plan, TX_JOB_KEPT_DIVERGED);
    int failed = count(&q->plan, TX_JOB_FAILED), refused = count(&q->plan, TX_JOB_REFUSED);
    if (diverged + failed + refused == 0) return *left_out ? tx_fail(TX_EDIVERGED, "%s", left_out) : TX_OK;
    for (int i = 0; i < q->plan.n; i++)
        for (size_t k = 0; k < TX_LEN(bad); k++)
            if (q->plan.job[i].state == bad[k])
                fprintf(stderr, "taxon: %s: %s: %s\n", q->plan.job[i].name, tx_job_state_name(bad[k]),
                        q->plan.job[i].why);
    return tx_fail(TX_EDIVERGED, "%d diverged, %d failed and %d refused of %d run%s%s%s%s", diverged, failed, refused,
                   q->plan.n, tx_plural(q->plan.n),
                   refused ? "; what was there of refused runs is untouched, and in the table" : "",
                   *left_out ? "; " : "", left_out);
}

/* Runs of other shards that have no result. */
static int open_elsewhere(const tx_plan *p)
{
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        tx_text result = {0};
        tx_text_add(&result, "%s/result.h5", p->job[i].folder);
        n += p->job[i].state == TX_JOB_OTHER_SHARD && access(result.s, F_OK) != 0;
        tx_text_free(&result);
    }
    return n;
}

static int train_all(request *q)
{
    bool interrupted = false;
    share_cores(q);
    for (int i = 0; i < q->plan.n; i++)
        if (q->plan.job[i].state == TX_JOB_KEPT) tx_runner_tidy(q->plan.job[i].folder);
    tx_progress_begin(q->progress, count(&q->plan, TX_JOB_NEW) + count(&q->plan, TX_JOB_RESUME));
    tell_notes(q);
    tx_plan_write(&q->plan, q->out);
    tx_status s = tx_schedule_runs(&q->plan, &q->schedule, q->progress, &interrupted);
    tx_progress_free(q->progress);
    q->progress = NULL;
    if (interrupted) {
        tx_fail(TX_ESTOPPED, "interrupted; run the same command again to go on");
        return TX_EXIT_INTERRUPT;
    }
    if (s) return s;
    int open = open_elsewhere(&q->plan);
    if (open)
        printf("Shard %d/%d has ended. %d run%s of other shards %s no result yet: the shard that ends last writes "
               "compare.h5,\ncompare.csv and the table; `taxon collect %s` does at any time.\n",
               q->shard, q->shards, open, tx_plural(open), open == 1 ? "has" : "have", q->out);
    else if (count(&q->plan, TX_JOB_DONE) + count(&q->plan, TX_JOB_DIVERGED) + count(&q->plan, TX_JOB_KEPT) +
                 count(&q->plan, TX_JOB_KEPT_DIVERGED) >
             0)
        s = report(q);
    if (s && s != TX_EDIVERGED) return s;
    char left_out[TX_TEXT_MAX];
    tx_copy_text(left_out, sizeof left_out, s ? tx_last_error() : "");
    return judge(q, left_out);
}

static int work(const tx_args *a, request *q)
{
    const char *out = tx_args_text(a, "out", NULL);
    int n = snprintf(q->out, sizeof q->out, "%s%s", out ? out : "results/", out ? "" : q->comparison.experiment);
    if (n >= (int)sizeof q->out || n == 0)
        return tx_fail(TX_EUSAGE, "run: --out: expected a folder, whose path has 1 to %d bytes; found one of %d",
                       TX_TEXT_MAX - 1, n);
    bool dry = tx_args_on(a, "dry-run");
    if (!dry) TX_TRY(tx_check_collect(q->out));
    /* Children come later: no thread may be running here then. */
    tx_threads_set(1);
    TX_TRY(tx_plan_make(&q->plan, &q->comparison, q->out));
    tx_plan_shard(&q->plan, q->shard, q->shards);
    if (!q->schedule.fresh) TX_TRY(tx_plan_look(&q->plan));
    if (!dry) return train_all(q);
    print_plan(&q->plan);
    return TX_OK;
}

static int run(const tx_args *a)
{
    request q = {.shard = 1, .shards = 1};
    TX_TRY(read_flags(a, &q));
    TX_TRY(tx_comparison_read(&q.comparison, a->v[0], a->v + 1, a->n - 1));
    int code = tx_progress_new(&q.progress, tx_args_text(a, "progress", "auto"));
    if (!code) code = work(a, &q);
    tx_progress_free(q.progress);
    tx_plan_free(&q.plan);
    tx_comparison_free(&q.comparison);
    return code;
}

static const tx_flag flags[] = {
    {"out", 'o', "DIR", "folder of results (results/EXPERIMENT)"},
    {"jobs", 'j', "N", "runs at a time (one a core)"},
    {"threads", 't', "N", "threads of each run (cores / jobs)"},
    {"dry-run", 'n', NULL, "list the runs and what of them exists; write nothing"},
    {"fresh", 0, NULL, "replace finished runs and checkpoints"},
    {"max-time", 0, "T", "stop with checkpoints after T: 90s, 55m, 2h"},
    {"shard", 0, "K/N", "only every N-th run, from the K-th: for job arrays"},
    {"reproducible", 0, NULL, "no times and no provenance in results: the same bytes every time"},
    {"progress", 0, "auto|bar|plain|none", "on standard error (auto)"},
    {0},
};
const tx_command tx_command_run = {
    .name = "run",
    .summary = "Every (data set x model x seed) of a comparison, then its table",
    .usage = "CONFIG.yaml [key=value ...]",
    .detail =
        "key=value replaces a value of the config: seeds=[0,1], train.epochs=3, models.0.hidden=[200].\n"
        "Finished runs are kept, stopped ones go on where they were: give the same command again. A damaged result or\n"
        "checkpoint is set aside as FILE.damaged and its run made again; one of another config is refused, and the\n"
        "others go on.\n"
        "Exit code 0; 3 some runs diverged, failed or were refused, or damaged files were left out; 75 stopped, run\n"
        "again; 78 config; 65, 66 data; 73 output.",
    .flags = flags,
    .min = 1,
    .max = -1,
    .run = run};
