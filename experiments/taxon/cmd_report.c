#include "common/store/commit.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/report.h"
#include "experiments/taxon/schedule.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static tx_status write_page(const char *path, const tx_text *t)
{
    if (strcmp(path, "-") != 0) return tx_commit(path, t->s, t->len);
    bool good = fwrite(t->s, 1, t->len, stdout) == t->len && fflush(stdout) == 0;
    return good ? TX_OK : tx_fail(TX_EIO, "standard output: %s", strerror(errno));
}

/* They have rows in the tables, which a reader of the page may not look for. */
static void tell_diverged(const tx_gathered *g)
{
    for (int i = 0; i < g->n; i++)
        if (!tx_run_complete(&g->run[i]))
            fprintf(stderr, "taxon: diverged: %s: %s\n", g->run[i].path, g->run[i].failure);
}

static int run(const tx_args *a)
{
    const char *path = tx_args_text(a, "output", "-");
    tx_gathered g;
    tx_text t = {0};
    if (strcmp(path, "-") != 0) TX_TRY(tx_check_commit(path));
    tx_threads_set(tx_cores());
    TX_TRY(tx_gather(a->v[0], false, &g));
    tell_diverged(&g);
    tx_tell_unfinished(&g);
    tx_status s = tx_report_make(a->v[0], &g, &t);
    if (!s) s = write_page(path, &t);
    if (!s) s = tx_gathered_status(&g);
    tx_text_free(&t);
    tx_gathered_free(&g);
    return s;
}

static const tx_flag flags[] = {{"output", 'o', "FILE", "FILE.html; - is standard output (-)"}, {0}};
const tx_command tx_command_report = {
    .name = "report",
    .summary = "All finished runs below a folder as one HTML page: tables, figures, samples, provenance",
    .usage = "DIR -o FILE.html",
    .detail = "The page needs no other file and no network. Plots need gnuplot, nearest training rows and some real "
              "rows the data\n"
              "set: without them the page says what is missing.\n\n" TX_LEFT_OUT_HELP,
    .flags = flags,
    .min = 1,
    .max = 1,
    .run = run};
