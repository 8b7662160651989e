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
     "keys of `evaluate:`, besides `estimators` ([exact, elbo]; NAME or {estimator: NAME, name: LABEL, ...}) and `splits` ([test])",
     tx_evaluate_options},
    {"view", "keys of the view in an entry of `datasets:`", tx_view_options},
};

static bool find(const char *name, tx_item *out, const char **noun)
{
    for (size_t i = 0; i < TX_LEN(parts); i++) {
        if (strcmp(parts[i].name, name) != 0) continue;
        *out = (tx_item){.name = parts[i].name, .summary = parts[i].summary, .options = parts[i].options};
        *noun = "part of a config";
        return true;
    }
    for (const tx_catalog *c = tx_catalog_list; c->plural; c++)
        for (int i = 0; c->at(i, out); i++) {
            *noun = c->noun;
            if (strcmp(out->name, name) == 0) return true;
        }
    return false;
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
    return tx_fail(TX_EUSAGE, "show: unknown name '%s'%s%s%s; `taxon list models|datasets|views|estimators|optimizers`",
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

static int run_show(const tx_args *a)
{
    tx_item item;
    const char *noun = NULL;
    if (!find(a->v[0], &item, &noun)) return fail_unknown(a->v[0]);
    if (tx_args_on(a, "json")) {
        tx_print_json(json_pack("{ss, ss, ss, ss*, ss*, so}", "name", item.name, "kind", noun, "summary", item.summary,
                                "place", item.place, "citation", item.citation, "options", options_json(item.options)));
        return TX_OK;
    }
    printf("%s: %s\n%s\n", noun, item.name, item.summary);
    if (item.place) printf("%s: %s\n", strcmp(noun, "model") == 0 ? "taxonomy" : "files", item.place);
    if (item.citation) printf("citation: %s\n", item.citation);
    print_options(item.options);
    return TX_OK;
}

static const tx_flag flags[] = {{"json", 0, NULL, "print JSON"}, {0}};
const tx_command tx_command_show = {
    .name = "show",
    .summary = "Every option of a model, data set, view, estimator, optimizer, `train`, "
               "`dataset`, `view` or `evaluate`: default, meaning, range, source",
    .usage = "NAME",
    .flags = flags,
    .min = 1,
    .max = 1,
    .run = run_show};
