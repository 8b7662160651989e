#include "common/tensor/parallel.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/runner.h"
#include "experiments/taxon/schedule.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum { SPEC_LIMIT = 1 << 20, MAX_THREADS = 4096 };

static tx_status read_spec(tx_spec *spec)
{
    char *text = tx_alloc(SPEC_LIMIT + 2, 1);
    size_t n = fread(text, 1, SPEC_LIMIT + 1, stdin);
    tx_status s = TX_OK;
    if (ferror(stdin)) s = tx_fail(TX_EIO, "standard input: %s", strerror(errno));
    if (!s && (n > SPEC_LIMIT || strlen(text) != n))
        s = tx_fail(TX_ECONFIG, "standard input: not the text of a run's spec");
    if (!s) s = tx_spec_parse(spec, text, "standard input");
    free(text);
    return s;
}

/* To the comparison: standard error is a file in the run's folder, and may be what cannot be written. */
static void tell_why(void)
{
    json_t *j = json_pack("{ss}", "why", tx_last_error());
    char *line = j ? tx_json_text(j) : NULL;
    if (line) puts(line);
    fflush(stdout);
    free(line);
    json_decref(j);
}

static int run_one(const tx_args *a)
{
    int threads = 1;
    TX_TRY(tx_args_int(a, "threads", 1, MAX_THREADS, tx_cores(), &threads));
    /* A run must not outlive the comparison that would wait for it. */
    if (tx_args_on(a, "child")) prctl(PR_SET_PDEATHSIG, SIGTERM);
    tx_runner_options o = {.folder = tx_args_text(a, "folder", NULL),
                           .fresh = tx_args_on(a, "fresh"),
                           .reproducible = tx_args_on(a, "reproducible")};
    if (!o.folder) return tx_fail(TX_EUSAGE, "run-one: --folder is missing");
    tx_spec spec;
    TX_TRY(read_spec(&spec));
    tx_threads_set(threads);
    tx_status s = tx_runner_run(&spec, &o);
    if (s && tx_args_on(a, "child")) tell_why();
    tx_spec_free(&spec);
    return s;
}

static const tx_flag flags[] = {
    {"folder", 0, "DIR", "the run's folder"},
    {"threads", 0, "N", "threads"},
    {"fresh", 0, NULL, "forget what lies in the folder"},
    {"reproducible", 0, NULL, "no times and no provenance in result.h5"},
    {"child", 0, NULL, "stop when the parent process ends"},
    {0},
};
const tx_command tx_command_run_one = {
    .name = "run-one",
    .summary = "One run, whose spec (as at /config/json of a result) is read from standard input",
    .usage = "--folder DIR < SPEC.json",
    .flags = flags,
    .run = run_one,
    .hidden = true};
