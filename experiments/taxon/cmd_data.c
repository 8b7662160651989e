#include "common/data/view.h"
#include "common/base/text.h"
#include "experiments/taxon/command.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static tx_status read_config(const tx_args *a, tx_data_config *c)
{
    tx_yaml *map = tx_alloc(1, sizeof *map);
    map->kind = TX_YAML_MAP;
    tx_options_defaults(tx_data_options, c);
    tx_option_set set[] = {{tx_data_options, c}};
    tx_status s = TX_OK;
    for (int i = 2; !s && i < a->n; i++) s = tx_yaml_override(map, a->v[i]);
    if (!s) s = tx_options_parse(set, 1, map, "command line", NULL);
    tx_yaml_free(map);
    TX_TRY(s);
    struct stat st;
    char file[TX_TEXT_MAX];
    tx_copy_text(file, sizeof file, a->v[1]);
    file[strcspn(file, "#")] = 0;
    bool path = strchr(file, '/') || stat(file, &st) == 0;
    if (!tx_copy_text(path ? c->path : c->name, TX_TEXT_MAX, a->v[1]))
        return tx_fail(TX_EUSAGE, "data check: the name is longer than %d bytes", TX_TEXT_MAX - 1);
    return TX_OK;
}

static void print_dataset(const tx_dataset *d)
{
    static const char *const type[] = {"binary", "levels", "real"};
    printf("data set  %s\nread from %s\nunit      %s\ntype      %s", d->name, d->source, d->unit, type[d->type]);
    if (d->levels) printf(", %d levels", d->levels);
    printf("\nshape     %zu value%s", d->dim, tx_plural((long long)d->dim));
    if (d->height) printf(": %zu x %zu x %zu", d->height, d->width, d->channel);
    printf("\n");
    for (int s = 0; s < TX_N_SPLIT; s++)
        printf("%-9s %zu row%s%s: %s\n", tx_split_name((tx_split)s), d->split[s].n, tx_plural((long long)d->split[s].n),
               d->split[s].label ? ", labelled" : "", d->split[s].origin);
    printf("sha256    %s\n", d->sha256);
    if (d->known) printf("entropy   %.4f nats: the density is known\n", d->known->entropy);
    printf("views    ");
    for (int i = 0; tx_view_list[i]; i++)
        if (!tx_view_list[i]->unfit(d)) printf(" %s", tx_view_list[i]->name);
    printf("\n");
}

static int run(const tx_args *a)
{
    if (strcmp(a->v[0], "check") != 0) return tx_fail(TX_EUSAGE, "data: unknown action '%s': expected check", a->v[0]);
    if (a->n < 2)
        return tx_fail(TX_EUSAGE,
                       "data: an argument is missing; usage: taxon data check DIR|FILE|DATASET [key=value ...]");
    tx_data_config c = {0};
    tx_dataset d;
    TX_TRY(read_config(a, &c));
    TX_TRY(tx_dataset_open(&d, &c, stdout));
    print_dataset(&d);
    tx_dataset_close(&d);
    return TX_OK;
}

const tx_command tx_command_data = {
    .name = "data",
    .summary = "`data check`: opens a data set, checks it and says what it is",
    .usage = "check DIR|FILE|NAME [key=value ...]",
    .detail = "Keys are those of `taxon show dataset`: type=real, label_column=0, split_key=1, ...",
    .min = 1,
    .max = -1,
    .run = run};
