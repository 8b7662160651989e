#include "common/base/text.h"
#include "common/data/view.h"
#include "common/model/train.h"
#include "experiments/taxon/catalog.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 512 };

/* Option tables that belong to no item: keys of a config's parts. */
static const struct {
    const char *name, *summary;
    const tx_option *options;
} parts[] = {
    {"train", "keys of `train:`, and the chosen optimizer's own", tx_train_options},
    {"dataset", "keys of an entry of `datasets:`, besides the view's", tx_data_options},
    {"evaluate",
     "keys of `evaluate:`, besides `estimators` ([exact, elbo]; NAME or {estimator: NAME, name: LABEL, ...}), "
     "`metrics` "
     "([]; NAME or {metric: NAME, name: LABEL, ...}) and `splits` ([test])",
     tx_evaluate_options},
    {"view", "keys of the view in an entry of `datasets:`", tx_view_options},
};

enum { MAX_MATCHES = 8 };
typedef struct match {
    tx_item item;
    const char *noun;
} match;

/* A model and an estimator may share a name: all that have it. */
static int find(const char *name, match out[MAX_MATCHES])
{
    int n = 0;
    tx_item item;
    for (size_t i = 0; i < TX_LEN(parts); i++)
        if (strcmp(parts[i].name, name) == 0)
            out[n++] = (match){{.name = parts[i].name, .summary = parts[i].summary, .options = parts[i].options},
                               "part of a config"};
    for (const tx_catalog *c = tx_catalog_list; c->plural; c++)
        for (int i = 0; n < MAX_MATCHES && c->at(i, &item); i++)
            if (strcmp(item.name, name) == 0) out[n++] = (match){item, c->noun};
    return n;
}

static tx_status fail_unknown(const char *name)
{
    const char *known[MAX_NAMES + 1] = {NULL};
    int n = 0;
    tx_item item;
    for (size_t i = 0; i < TX_LEN(parts); i++) known[n++] = parts[i].name;
    for (const tx_catalog *c = tx_catalog_list; c->plural; c++)
        for (int i = 0; n < MAX_NAMES && c->at(i, &item); i++) known[n++] = item.name;
    const char *near = tx_nearest(name, known);
    return tx_fail(
        TX_EUSAGE,
        "show: unknown name '%s'%s%s%s; `taxon list models|datasets|views|estimators|metrics|optimizers|imputers`",
        name, near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void print_options(const tx_option *table)
{
    for (const tx_option *o = table; o && o->name; o++) {
        char range[TX_TEXT_MAX];
        printf("\n  %s: %s\n      %s\n      %s\n", o->name, *o->dflt ? o->dflt : "\"\"", o->doc,
               tx_option_range(o, range, sizeof range));
        if (o->source) printf("      %s\n", o->source);
    }
}

static json_t *options_json(const tx_option *table)
{
    json_t *list = json_array();
    for (const tx_option *o = table; o && o->name; o++) {
        char range[TX_TEXT_MAX];
        json_array_append_new(list, json_pack("{ss, ss, ss, ss, ss*}", "name", o->name, "default", o->dflt, "range",
                                              tx_option_range(o, range, sizeof range), "meaning", o->doc, "source",
                                              o->source));
    }
    return list;
}

static void print_match(const match *m)
{
    const tx_item *item = &m->item;
    printf("%s: %s\n%s\n", m->noun, item->name, item->summary);
    if (item->place) printf("%s: %s\n", strcmp(m->noun, "model") == 0 ? "taxonomy" : "files", item->place);
    if (item->citation) printf("citation: %s\n", item->citation);
    print_options(item->options);
}

static json_t *match_json(const match *m)
{
    const tx_item *item = &m->item;
    return json_pack("{ss, ss, ss, ss*, ss*, so}", "name", item->name, "kind", m->noun, "summary", item->summary,
                     "place", item->place, "citation", item->citation, "options", options_json(item->options));
}

static int run_show(const tx_args *a)
{
    match found[MAX_MATCHES];
    int n = find(a->v[0], found);
    if (n == 0) return fail_unknown(a->v[0]);
    if (tx_args_on(a, "json")) {
        json_t *all = json_array();
        for (int i = 0; i < n; i++) json_array_append_new(all, match_json(&found[i]));
        tx_print_json(all);
        return TX_OK;
    }
    for (int i = 0; i < n; i++) {
        if (i) printf("\n");
        print_match(&found[i]);
    }
    return TX_OK;
}

static const tx_flag flags[] = {{"json", 0, NULL, "print JSON: a list of what has this name"}, {0}};
const tx_command tx_command_show = {
    .name = "show",
    .summary = "Every option of a model, data set, view, estimator, metric, optimizer, imputer, `train`, "
               "`dataset`, `view` or `evaluate`: default, meaning, range, source",
    .usage = "NAME",
    .flags = flags,
    .min = 1,
    .max = 1,
    .run = run_show};
