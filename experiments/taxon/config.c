#include "experiments/taxon/config.h"
#include "common/base/text.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GRIDS = 16, MAX_VARIANTS = 1000 };

/* Options inside one entry that are grids, in the order of the text. */
typedef struct grids {
    int n;
    tx_yaml *node[MAX_GRIDS];
} grids;

static bool is_grid(const tx_yaml *y) { return y->kind == TX_YAML_MAP && tx_yaml_get(y, "grid"); }

static tx_status find_grids(tx_yaml *map, const char *origin, grids *g)
{
    for (int i = 0; map->kind == TX_YAML_MAP && i < map->n; i++) {
        tx_yaml *y = &map->child[i];
        if (strcmp(y->key, "train") == 0) TX_TRY(find_grids(y, origin, g));
        if (!is_grid(y)) continue;
        const tx_yaml *list = tx_yaml_get(y, "grid");
        if (y->n != 1 || list->kind != TX_YAML_LIST || list->n == 0)
            return tx_options_fail(y->n == 1 ? list : y, origin,
                                   "a list with a member, alone in its map: {grid: [VALUE, ...]}");
        if (g->n == MAX_GRIDS) return tx_yaml_fail(y, origin, "more than %d grids in one entry", MAX_GRIDS);
        g->node[g->n++] = y;
    }
    return TX_OK;
}

static void node_text(const tx_yaml *y, tx_text *t)
{
    tx_text_add(t, "%s", y->kind == TX_YAML_SCALAR ? y->text : "");
    for (int i = 0; i < y->n; i++) {
        tx_text_add(t, "%s", i ? "," : "");
        node_text(&y->child[i], t);
    }
}

/* The node {grid: [...]} becomes its k-th value. */
static void choose(tx_yaml *node, int k)
{
    tx_yaml *value = tx_yaml_copy(&node->child[0].child[k]), *old = tx_alloc(1, sizeof *old);
    *old = *node;
    *node = *value;
    node->key = old->key;
    old->key = NULL;
    tx_yaml_free(old);
    free(value);
}

/* How many combinations the grids of an entry have; 0 with a failure where they are too many. */
static int combinations(const grids *g, const tx_yaml *at, const char *origin)
{
    int n = 1;
    for (int i = 0; i < g->n; i++) {
        if (g->node[i]->child[0].n > MAX_VARIANTS / n) {
            tx_yaml_fail(at, origin, "the grids of this entry have more than %d combinations", MAX_VARIANTS);
            return 0;
        }
        n *= g->node[i]->child[0].n;
    }
    return n;
}

/* Combination `c` of an entry: a copy without grids, and "-key=value" for each in `suffix`. The last grid turns
 * fastest. */
static tx_status pick(const tx_yaml *entry, const char *origin, int c, tx_text *suffix, tx_yaml **out)
{
    tx_yaml *copy = tx_yaml_copy(entry);
    grids g = {0};
    tx_status s = find_grids(copy, origin, &g);
    int digit[MAX_GRIDS] = {0};
    for (int i = g.n - 1; !s && i >= 0; i--) {
        digit[i] = c % g.node[i]->child[0].n;
        c /= g.node[i]->child[0].n;
    }
    for (int i = 0; !s && i < g.n; i++) {
        tx_text text = {0};
        char value[TX_NAME_MAX];
        choose(g.node[i], digit[i]);
        node_text(g.node[i], &text);
        tx_label_of(text.s, value, sizeof value);
        tx_text_add(suffix, "-%s=%s", g.node[i]->key, value);
        tx_text_free(&text);
    }
    if (s)
        tx_yaml_free(copy);
    else
        *out = copy;
    return s;
}

/* Calls `use` on every combination of an entry. */
typedef tx_status (*use_fn)(tx_comparison *c, const tx_yaml *entry, const tx_yaml *at, const char *suffix, void *ctx);

static tx_status expand(tx_comparison *c, const tx_yaml *entry, const tx_yaml *at, const char *before, use_fn use,
                        void *ctx)
{
    grids g = {0};
    TX_TRY(find_grids((tx_yaml *)entry, c->origin, &g));
    int n = combinations(&g, entry, c->origin);
    if (n == 0) return TX_ECONFIG;
    for (int i = 0; i < n; i++) {
        tx_text suffix = {0};
        tx_yaml *picked = NULL;
        tx_text_add(&suffix, "%s", before);
        tx_status s = pick(entry, c->origin, i, &suffix, &picked);
        if (!s) s = use(c, picked, at, suffix.s, ctx);
        tx_yaml_free(picked);
        tx_text_free(&suffix);
        TX_TRY(s);
    }
    return TX_OK;
}

static tx_status use_data(tx_comparison *c, const tx_yaml *entry, const tx_yaml *at, const char *suffix, void *ctx)
{
    (void)suffix, (void)ctx;
    tx_data_spec spec;
    TX_TRY(tx_data_spec_parse(&spec, entry, c->origin));
    if (c->n_data == MAX_VARIANTS) return tx_yaml_fail(at, c->origin, "more than %d data sets", MAX_VARIANTS);
    size_t n = (size_t)c->n_data++;
    c->data = tx_grow(c->data, n, sizeof *c->data);
    c->data[n].spec = spec;
    c->data[n].at = at;
    return TX_OK;
}

/* Common keys of `train` that hold for a model: those that it does not set itself, and, where it chooses another
 * optimiser, none of the common optimiser's own. */
static tx_yaml *common_train(const tx_yaml *common, const tx_yaml *own)
{
    const tx_yaml *chosen = tx_yaml_get(own, "optimizer");
    tx_yaml *kept = tx_alloc(1, sizeof *kept);
    kept->kind = TX_YAML_MAP;
    kept->line = common ? common->line : 0;
    kept->column = common ? common->column : 0;
    size_t room = (size_t)(common ? common->n : 0) + (size_t)(own ? own->n : 0);
    kept->child = tx_alloc(room, sizeof *kept->child);
    for (int i = 0; common && i < common->n; i++) {
        const tx_yaml *y = &common->child[i];
        if (tx_yaml_get(own, y->key) || (chosen && !tx_options_find(tx_train_options, y->key))) continue;
        tx_yaml *copy = tx_yaml_copy(y);
        kept->child[kept->n++] = *copy;
        free(copy);
    }
    return kept;
}

typedef struct variant {
    tx_model_spec spec;
    const tx_yaml *own; /* its own `train` map, or NULL */
} variant;

static tx_status fail_label(const tx_comparison *c, const tx_yaml *at, const char *label)
{
    for (int i = 0; i < c->n_model; i++) {
        if (strcmp(c->model[i].spec.label, label) != 0) continue;
        char line[32] = "";
        if (c->model[i].at->line) snprintf(line, sizeof line, " at line %d", c->model[i].at->line);
        return tx_yaml_fail(at, c->origin, "the label '%s' is taken by the entry%s: give each a `label:`", label,
                            *line ? line : " before it");
    }
    return tx_label_fits(label)
               ? TX_OK
               : tx_yaml_fail(at, c->origin, "the label '%.120s' is too long: give a shorter `label:`", label);
}

/* One complete variant: its model options and a `train` map without grids. */
static tx_status use_train(tx_comparison *c, const tx_yaml *train, const tx_yaml *at, const char *suffix, void *ctx)
{
    const variant *v = ctx;
    if (c->n_model == MAX_VARIANTS)
        return tx_yaml_fail(at, c->origin, "more than %d models, every combination of grids counted", MAX_VARIANTS);
    tx_yaml merged = *train;
    merged.child = tx_alloc((size_t)train->n + (size_t)(v->own ? v->own->n : 0), sizeof *merged.child);
    for (int i = 0; i < train->n; i++) merged.child[i] = train->child[i];
    for (int i = 0; v->own && i < v->own->n; i++) merged.child[merged.n++] = v->own->child[i];
    tx_model_spec spec = v->spec;
    tx_status s = tx_train_parse(&spec.train, &merged, c->origin);
    free(merged.child);
    TX_TRY(s);
    char label[TX_NAME_MAX];
    snprintf(label, sizeof label, "%s%s", v->spec.label, suffix);
    TX_TRY(fail_label(c, at, label));
    tx_copy_text(spec.label, sizeof spec.label, label);
    spec.config = tx_alloc(1, spec.ops->config_size);
    if (spec.ops->config_size) memcpy(spec.config, v->spec.config, spec.ops->config_size);
    size_t n = (size_t)c->n_model++;
    c->model = tx_grow(c->model, n, sizeof *c->model);
    c->model[n].spec = spec;
    c->model[n].at = at;
    return TX_OK;
}

static tx_status use_model(tx_comparison *c, const tx_yaml *entry, const tx_yaml *at, const char *suffix, void *ctx)
{
    (void)ctx;
    variant v = {.own = tx_yaml_get(entry, "train")};
    if (v.own && v.own->kind != TX_YAML_MAP) return tx_options_fail(v.own, c->origin, "a map of options");
    TX_TRY(tx_model_spec_parse(&v.spec, entry, "model", c->origin));
    tx_yaml *common = common_train(tx_yaml_get(c->root, "train"), v.own);
    tx_status s = expand(c, common, at, suffix, use_train, &v);
    tx_yaml_free(common);
    tx_model_spec_free(&v.spec);
    return s;
}

static tx_status check_train(tx_comparison *c, const tx_yaml *train, const tx_yaml *at, const char *suffix, void *ctx)
{
    (void)at, (void)suffix, (void)ctx;
    tx_train_config config;
    return tx_train_parse(&config, train, c->origin);
}

/* Every entry of the list under `key`. */
static tx_status each(tx_comparison *c, const char *key, use_fn use)
{
    const tx_yaml *list = tx_yaml_get(c->root, key);
    if (!list) return tx_yaml_fail(c->root, c->origin, "key '%s' is missing", key);
    if (list->kind != TX_YAML_LIST || list->n == 0)
        return tx_options_fail(list, c->origin, "a list of maps with at least one member");
    for (int i = 0; i < list->n; i++) TX_TRY(expand(c, &list->child[i], &list->child[i], "", use, NULL));
    return TX_OK;
}

typedef struct top_config {
    char experiment[TX_TEXT_MAX];
    tx_ints seeds;
} top_config;
static const tx_option top_options[] = {
    {"experiment", TX_OPT_STRING, offsetof(top_config, experiment), "", 0, 0, NULL,
     "name of the comparison and of its folder of results; empty: the file's name", NULL},
    {"seeds", TX_OPT_INTS, offsetof(top_config, seeds), "[0]", 0, INT_MAX, NULL, "one run for each", NULL},
    {0},
};

/* The file's name without folders and ending. */
static void name_of_file(const char *path, char out[TX_NAME_MAX])
{
    const char *base = strrchr(path, '/');
    tx_label_of(base ? base + 1 : path, out, TX_NAME_MAX);
    char *dot = strrchr(out, '.');
    if (dot && dot != out) *dot = 0;
}

static tx_status parse_top(tx_comparison *c)
{
    static const char *const part[] = {"datasets", "train", "models", "evaluate", NULL};
    top_config top = {0};
    tx_options_defaults(top_options, &top);
    tx_option_set set[] = {{top_options, &top}};
    TX_TRY(tx_options_parse(set, 1, c->root, c->origin, part));
    const tx_yaml *seeds = tx_yaml_get(c->root, "seeds"), *name = tx_yaml_get(c->root, "experiment");
    if (top.seeds.n == 0) return tx_options_fail(seeds, c->origin, "at least one integer");
    for (int i = 0; i < top.seeds.n; i++)
        for (int k = 0; k < i; k++)
            if (top.seeds.v[i] == top.seeds.v[k])
                return tx_yaml_fail(seeds, c->origin, "key 'seeds': %d is there twice", top.seeds.v[i]);
    c->seeds = top.seeds;
    name_of_file(c->origin, c->experiment);
    if (!*top.experiment) return TX_OK;
    if (!tx_label_fits(top.experiment)) return tx_options_fail(name, c->origin, TX_LABEL_EXPECTED);
    tx_copy_text(c->experiment, sizeof c->experiment, top.experiment);
    return TX_OK;
}

static tx_status parse_all(tx_comparison *c)
{
    TX_TRY(parse_top(c));
    const tx_yaml *train = tx_yaml_get(c->root, "train");
    if (train && train->kind != TX_YAML_MAP) return tx_options_fail(train, c->origin, "a map of options");
    if (train) TX_TRY(expand(c, train, train, "", check_train, NULL));
    TX_TRY(tx_evaluate_spec_parse(&c->evaluate, tx_yaml_get(c->root, "evaluate"), c->origin));
    TX_TRY(each(c, "datasets", use_data));
    return each(c, "models", use_model);
}

static tx_status finish(tx_comparison *out, tx_yaml *root, const char *origin, char *const assignment[], int n)
{
    tx_comparison c = {.root = root};
    tx_copy_text(c.origin, sizeof c.origin, origin);
    tx_status s = TX_OK;
    for (int i = 0; !s && i < n; i++) s = tx_yaml_override(root, assignment[i]);
    if (!s) s = parse_all(&c);
    if (s)
        tx_comparison_free(&c);
    else
        *out = c;
    return s;
}

tx_status tx_comparison_read(tx_comparison *out, const char *path, char *const assignment[], int n)
{
    tx_yaml *root = NULL;
    TX_TRY(tx_yaml_read(path, &root));
    return finish(out, root, path, assignment, n);
}

tx_status tx_comparison_parse(tx_comparison *out, const char *text, const char *origin, char *const assignment[], int n)
{
    tx_yaml *root = NULL;
    TX_TRY(tx_yaml_parse(text, strlen(text), origin, &root));
    return finish(out, root, origin, assignment, n);
}

void tx_comparison_free(tx_comparison *c)
{
    for (int i = 0; i < c->n_model; i++) tx_model_spec_free(&c->model[i].spec);
    free(c->model);
    free(c->data);
    tx_evaluate_spec_free(&c->evaluate);
    tx_yaml_free(c->root);
    *c = (tx_comparison){0};
}

json_t *tx_comparison_json(const tx_comparison *c)
{
    json_t *seeds = json_array(), *datasets = json_array(), *models = json_array();
    for (int i = 0; i < c->seeds.n; i++) json_array_append_new(seeds, json_integer(c->seeds.v[i]));
    for (int i = 0; i < c->n_data; i++) json_array_append_new(datasets, tx_data_spec_json(&c->data[i].spec));
    for (int i = 0; i < c->n_model; i++) {
        json_t *m = tx_model_spec_json(&c->model[i].spec, "model");
        json_object_set_new(m, "view", json_string(c->model[i].spec.view));
        json_object_set_new(m, "train", tx_train_json(&c->model[i].spec.train));
        json_array_append_new(models, m);
    }
    json_t *j = json_pack("{ss, so, so, so, so}", "experiment", c->experiment, "seeds", seeds, "datasets", datasets,
                          "models", models, "evaluate", tx_evaluate_spec_json(&c->evaluate));
    if (!j) tx_no_memory("jansson");
    return j;
}
