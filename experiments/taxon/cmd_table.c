#include "experiments/taxon/command.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/pairwise.h"
#include "experiments/taxon/table.h"
#include <stdio.h>

static int run(const tx_args *a)
{
    const char *format = tx_args_text(a, "format", "text");
    tx_gathered g;
    tx_text t = {0};
    TX_TRY(tx_gather(a->v[0], false, &g));
    tx_status s = (tx_args_on(a, "pairwise") ? tx_pairwise_table
                   : tx_args_on(a, "tree")   ? tx_results_tree
                                             : tx_results_table)(g.n, g.run, format, &t);
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
