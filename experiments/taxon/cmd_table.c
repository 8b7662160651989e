#include "experiments/taxon/command.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/pairwise.h"
#include "experiments/taxon/table.h"
#include <stdio.h>

/* Tables other than the one of likelihoods, by their options. */
static const struct {
    const char *flag;
    tx_status (*table)(int n, const tx_run_info run[], const char *format, tx_text *out);
} other[] = {{"pairwise", tx_pairwise_table}, {"tree", tx_results_tree}, {"quality", tx_results_quality}};

static int run(const tx_args *a)
{
    tx_status (*table)(int, const tx_run_info[], const char *, tx_text *) = tx_results_table;
    const char *chosen = NULL;
    for (size_t i = 0; i < TX_LEN(other); i++) {
        if (!tx_args_on(a, other[i].flag)) continue;
        if (chosen) return tx_fail(TX_EUSAGE, "--%s and --%s exclude one another", chosen, other[i].flag);
        chosen = other[i].flag;
        table = other[i].table;
    }
    tx_gathered g;
    tx_text t = {0};
    TX_TRY(tx_gather(a->v[0], false, &g));
    tx_status s = table(g.n, g.run, tx_args_text(a, "format", "text"), &t);
    if (!s) {
        fputs(t.s, stdout);
        tx_tell_unfinished(&g);
        s = tx_gathered_status(&g);
    }
    tx_text_free(&t);
    tx_gathered_free(&g);
    return s;
}

static const tx_flag flags[] = {
    {"format", 'f', "text|md|tex|html|csv|json", "how it is printed (text)"},
    {"pairwise", 'p', NULL, "differences between models over the same examples"},
    {"quality", 'q', NULL, "sample quality alone: models by metrics; as csv and json metric by metric"},
    {"tree", 0, NULL, "model by model below the branches of the taxonomy: text, md, tex or html"},
    {0}};
const tx_command tx_command_table = {.name = "table",
                                     .summary = "The table of all finished runs below a folder",
                                     .usage = "DIR",
                                     .detail = TX_LEFT_OUT_HELP,
                                     .flags = flags,
                                     .min = 1,
                                     .max = 1,
                                     .run = run};
