#include "experiments/taxon/catalog.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/print.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *catalog_json(const tx_catalog *c)
{
    json_t *list = json_array();
    tx_item item;
    for (int i = 0; c->at(i, &item); i++)
        json_array_append_new(list, json_pack("{ss, ss*, ss*, ss*}", "name", item.name, "summary", item.summary,
                                              "place", item.place, "citation", item.citation));
    return list;
}

static void print_catalog(const tx_catalog *c)
{
    tx_item item;
    int width = 0, place = 0;
    for (int i = 0; c->at(i, &item); i++) {
        int n = (int)strlen(item.name), p = item.place && !strchr(item.place, '\n') ? (int)strlen(item.place) : 0;
        if (n > width) width = n;
        if (p > place) place = p;
    }
    /* Places that are long texts are for `show`. */
    if (place > 40) place = 0;
    for (int i = 0; c->at(i, &item); i++)
        printf("%-*s  %-*.*s%s%s\n", width, item.name, place, place, item.place ? item.place : "", place ? "  " : "",
               item.summary);
}

static int run_list(const tx_args *a)
{
    const tx_catalog *c = tx_catalog_find(a->v[0]);
    if (!c) {
        const char *name[16] = {NULL};
        for (int i = 0; tx_catalog_list[i].plural; i++) name[i] = tx_catalog_list[i].plural;
        const char *near = tx_nearest(a->v[0], name);
        return tx_fail(TX_EUSAGE, "list: unknown kind '%s'%s%s%s; expected one of %s", a->v[0],
                       near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", a->command->usage);
    }
    if (tx_args_on(a, "json"))
        tx_print_json(catalog_json(c));
    else
        print_catalog(c);
    return TX_OK;
}

static const tx_flag flags[] = {{"json", 0, NULL, "print JSON"}, {0}};
const tx_command tx_command_list = {.name = "list",
                                    .summary = "What can be chosen by name",
                                    .usage = "models|datasets|views|estimators|metrics|optimizers|imputers",
                                    .flags = flags,
                                    .min = 1,
                                    .max = 1,
                                    .run = run_list};
