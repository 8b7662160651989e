#include "experiments/taxon/command.h"
#include "experiments/taxon/gather.h"
#include "common/store/commit.h"
#include <stdio.h>

static int run(const tx_args *a)
{
    const char *dir = a->v[0];
    tx_gathered g;
    TX_TRY(tx_check_writable(dir));
    bool written;
    tx_status s = tx_collect(dir, &g, &written);
    if (!s)
        printf("%s/compare.h5 and %s/compare.csv: %d run%s%s\n", dir, dir, g.n, tx_plural(g.n),
               written ? "" : ", as they were");
    if (!s) tx_tell_unfinished(&g);
    if (!s) s = tx_gathered_status(&g);
    tx_gathered_free(&g);
    return s;
}

const tx_command tx_command_collect = {.name = "collect",
                                       .summary = "compare.h5 and compare.csv from all finished runs below a folder",
                                       .usage = "DIR",
                                       .detail = TX_LEFT_OUT_HELP,
                                       .min = 1,
                                       .max = 1,
                                       .run = run};
