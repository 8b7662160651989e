#include "common/base/text.h"
#include "common/store/commit.h"
#include "common/store/content.h"
#include "common/store/differ.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/schedule.h"
#include "experiments/taxon/stored.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_THREADS = 4096, SHOWN = 12 };

typedef struct request {
    char folder[TX_TEXT_MAX]; /* of the new run */
    bool temporary;
    tx_schedule_options schedule;
    tx_progress *progress;
    tx_plan plan; /* of one job */
} request;

static tx_status choose_folder(const tx_args *a, request *q)
{
    const char *out = tx_args_text(a, "out", NULL), *tmp = getenv("TMPDIR");
    if (out) {
        tx_copy_text(q->folder, sizeof q->folder, out);
        return tx_check_writable(q->folder);
    }
    snprintf(q->folder, sizeof q->folder, "%s/taxon-reproduce-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(q->folder)) return tx_fail(TX_ECREATE, "%s: cannot be made: %s", q->folder, strerror(errno));
    q->temporary = true;
    return TX_OK;
}

static void remove_folder(const char *folder)
{
    char all[TX_TEXT_MAX + 1];
    snprintf(all, sizeof all, "%s/", folder);
    tx_sweep(all, "");
    rmdir(folder);
}

/* Options that came after the file was written have their defaults now: the numbers may be the same, the content is
 * not. */
static void tell_config(const tx_stored *s, const json_t *config)
{
    char why[TX_TEXT_MAX];
    if (tx_json_differ(s->info.config, config, why, sizeof why))
        fprintf(stderr,
                "taxon: %s: its configuration is not all that this taxon stores (%s): the content will differ\n",
                s->path, why);
}

static void make_plan(request *q, const tx_stored *s)
{
    q->plan = (tx_plan){.n = 1, .job = tx_alloc(1, sizeof *q->plan.job)};
    tx_job *j = q->plan.job;
    snprintf(j->name, sizeof j->name, "%s", s->info.label);
    j->folder = tx_strdup(q->folder);
    j->config = tx_spec_json(&s->spec.data, &s->spec.model, &s->spec.evaluate, s->spec.seed);
    tx_copy_text(j->dataset_sha256, sizeof j->dataset_sha256, s->info.dataset_sha256);
    tx_copy_text(j->view_sha256, sizeof j->view_sha256, s->info.view_sha256);
    tell_config(s, j->config);
}

/* Trained in a process of its own, as by `taxon run`. */
static int train(request *q)
{
    bool interrupted = false;
    if (!q->schedule.fresh) TX_TRY(tx_plan_look(&q->plan));
    tx_status s = tx_schedule_runs(&q->plan, &q->schedule, q->progress, &interrupted);
    if (s == TX_ESTOPPED)
        tx_fail(s, q->temporary ? "stopped; with --out DIR the same command would go on"
                                : "stopped; the same command goes on");
    if (interrupted) return TX_EXIT_INTERRUPT;
    TX_TRY(s);
    const tx_job *j = q->plan.job;
    return j->state == TX_JOB_FAILED ? tx_fail(TX_EDIVERGED, "%s: failed: %s", j->name, j->why) : TX_OK;
}

static void print_lines(const char *title, const char *lines)
{
    static const char *const harmless[] = {"/provenance@start", "/provenance@end", "/provenance@threads"};
    int n = 0;
    for (const char *line = lines; *line; line = strchr(line, '\n') + 1) {
        bool told = true;
        for (size_t i = 0; i < TX_LEN(harmless); i++) told &= strncmp(line, harmless[i], strlen(harmless[i])) != 0;
        if (told && n == 0) printf("%s\n", title);
        if (told && n++ < SHOWN) printf("  %.*s\n", (int)strcspn(line, "\n"), line);
    }
    if (n > SHOWN) printf("  and %d more\n", n - SHOWN);
}

/* What may be the reason; a file made with --reproducible does not say. */
static void print_origin(const char *was, const char *is)
{
    tx_text t = {0};
    int n = 0;
    tx_status s = tx_differ(was, is, "/provenance", &t, &n);
    if (s == TX_OK && n > 0 && strncmp(t.s, "/provenance:", 12) != 0) print_lines("made otherwise:", t.s);
    tx_text_free(&t);
}

/* What the difference amounts to. */
static void print_likelihoods(const tx_run_info *was, const char *path)
{
    tx_run_info is;
    if (tx_run_read(path, false, &is) != TX_OK) return;
    for (int i = 0; i < was->n_estimate; i++) {
        const tx_estimate *e = &was->estimate[i], *again = tx_run_estimate(&is, e->split, e->name);
        if (!again) continue;
        printf("%s on %s: %s %.4f and %.4f nats, difference %.2g; standard error over examples %.2g\n", e->name,
               tx_split_name(e->split), tx_kind_sign(e->kind), e->mean, again->mean, again->mean - e->mean,
               e->mean_error);
    }
    tx_run_info_free(&is);
}

static tx_status compare(const tx_stored *s, const request *q)
{
    char was[TX_SHA256_TEXT], is[TX_SHA256_TEXT];
    tx_text path = {0}, difference = {0};
    int n = 0;
    tx_text_add(&path, "%s/result.h5", q->folder);
    tx_status status = tx_content_sha256(s->path, was);
    if (!status) status = tx_content_sha256(path.s, is);
    if (!status && strcmp(was, is) == 0) {
        printf("identical: %s, content_sha256 %s\n", s->path, was);
    } else if (!status && !(status = tx_differ(s->path, path.s, "/", &difference, &n))) {
        print_lines("different, in the file and in the run made again:", difference.s);
        print_likelihoods(&s->info, path.s);
        print_origin(s->path, path.s);
        status = tx_fail(TX_EDIVERGED, "%s: not reproduced: %.*s", s->path, (int)strcspn(difference.s, "\n"),
                         difference.s);
    }
    tx_text_free(&path);
    tx_text_free(&difference);
    return status;
}

static int reproduce(const tx_args *a, tx_stored *s, request *q)
{
    TX_TRY(choose_folder(a, q));
    make_plan(q, s);
    tx_setting_close(s->set); /* the new run reads its own */
    s->set = NULL;
    int code = train(q);
    return code ? code : (int)compare(s, q);
}

static int run(const tx_args *a)
{
    request q = {.schedule = {.jobs = 1}};
    tx_stored *s = NULL;
    TX_TRY(tx_args_int(a, "threads", 1, MAX_THREADS, tx_cores(), &q.schedule.threads));
    q.schedule.fresh = tx_args_on(a, "fresh");
    TX_TRY(tx_progress_new(&q.progress, tx_args_text(a, "progress", "auto")));
    tx_progress_begin(q.progress, 1);
    tx_threads_set(1);
    int code = tx_stored_open(&s, a->v[0]);
    if (!code) code = reproduce(a, s, &q);
    tx_progress_free(q.progress);
    if (q.temporary) remove_folder(q.folder);
    tx_plan_free(&q.plan);
    tx_stored_close(s);
    return code;
}

static const tx_flag flags[] = {
    {"out", 'o', "DIR", "folder of the new run, which is kept and goes on after a stop (a temporary one)"},
    {"fresh", 0, NULL, "replace what DIR has"},
    {"threads", 't', "N", "threads (one a core); the content is the same for every number"},
    {"progress", 0, "auto|bar|plain|none", "on standard error (auto)"},
    {0},
};
const tx_command tx_command_reproduce = {
    .name = "reproduce",
    .summary = "Runs a finished run again from what its file stores, and says whether the content is identical",
    .usage = "RUN",
    .detail = "Compared is all but the times and the provenance. Where something differs, every place is told with its "
              "size,\n"
              "causes before effects, and what of processor, libraries and version is another.\n"
              "Exit code 0 identical; 3 different, or the run failed; 75 or 130 stopped; 65, 66 run or data.",
    .flags = flags,
    .min = 1,
    .max = 1,
    .run = run};
