#include "experiments/taxon/command.h"
#include "experiments/taxon/config.h"
#include "experiments/taxon/print.h"
#include <stdio.h>

static int run_config(const tx_args *a)
{
    tx_comparison c;
    TX_TRY(tx_comparison_read(&c, a->v[0], a->v + 1, a->n - 1));
    json_t *j = tx_comparison_json(&c);
    if (tx_args_on(a, "json")) {
        tx_print_json(j);
    } else {
        tx_text t = {0};
        tx_json_yaml(&t, j);
        fputs(t.s, stdout);
        tx_text_free(&t);
        json_decref(j);
    }
    tx_comparison_free(&c);
    return TX_OK;
}

static const tx_flag flags[] = {{"json", 0, NULL, "print JSON instead of YAML"}, {0}};
const tx_command tx_command_config = {
    .name = "config",
    .summary = "The resolved comparison: every default filled in, every grid written out",
    .usage = "CONFIG.yaml [key=value ...]",
    .flags = flags,
    .min = 1,
    .max = -1,
    .run = run_config};
