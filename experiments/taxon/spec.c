#include "experiments/taxon/spec.h"
#include "common/base/text.h"
#include "experiments/taxon/catalog.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_MAX = 100, METRIC_LABEL_MAX = 60 }; /* as the TX_..._EXPECTED say */

static tx_status fail_unknown(const tx_yaml *at, const char *origin, const char *plural, const char *name)
{
    char why[TX_TEXT_MAX];
    return tx_yaml_fail(at, origin, "%s", tx_catalog_unknown(tx_catalog_find(plural), name, why, sizeof why));
}

tx_status tx_data_spec_parse(tx_data_spec *out, const tx_yaml *map, const char *origin)
{
    tx_data_spec s = {0};
    tx_options_defaults(tx_data_options, &s.data);
    tx_options_defaults(tx_view_options, &s.view);
    tx_option_set set[] = {{tx_data_options, &s.data}, {tx_view_options, &s.view}};
    TX_TRY(tx_options_parse(set, TX_LEN(set), map, origin, NULL));
    if (!*s.data.name == !*s.data.path)
        return tx_yaml_fail(map, origin, "expected exactly one of name and path; found %s",
                            *s.data.name ? "both" : "neither");
    *out = s;
    return TX_OK;
}

json_t *tx_data_spec_json(const tx_data_spec *s)
{
    json_t *j = tx_options_json(tx_data_options, &s->data), *view = tx_options_json(tx_view_options, &s->view);
    json_object_update(j, view);
    json_decref(view);
    return j;
}

bool tx_label_fits(const char *label)
{
    size_t n = strlen(label);
    if (n == 0 || n > LABEL_MAX || *label == '.' || *label == '-') return false;
    for (const char *s = label; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._=+-", *s)) return false;
    return true;
}

bool tx_metric_label_fits(const tx_metric_ops *m, const char *label)
{
    size_t n = strlen(m->name);
    if (strcmp(label, m->name) == 0) return true;
    return tx_label_fits(label) && strlen(label) <= METRIC_LABEL_MAX && strncmp(label, m->name, n) == 0 &&
           label[n] == '-' && label[n + 1] && !strchr(label, '_');
}

void tx_label_of(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (const char *s = text; *s && n + 1 < size; s++) {
        if (strchr("[] ", *s)) continue;
        bool plain = (unsigned char)*s < 0x80 && (isalnum((unsigned char)*s) || strchr("._=+-", *s));
        out[n++] = plain ? *s : *s == ',' ? 'x' : '_';
    }
    out[n] = 0;
}

/* A short text of the map that is no option of a model or estimator: name, label or group. */
static tx_status take_text(const tx_yaml *map, const char *key, const char *otherwise, const char *origin,
                           char out[TX_NAME_MAX])
{
    const tx_yaml *y = tx_yaml_get(map, key);
    if (y && (y->kind != TX_YAML_SCALAR || !tx_label_fits(y->text)))
        return tx_options_fail(y, origin, TX_LABEL_EXPECTED);
    tx_copy_text(out, TX_NAME_MAX, y ? y->text : otherwise);
    return TX_OK;
}

static tx_status take_view(const tx_yaml *map, const char *origin, char out[TX_NAME_MAX])
{
    const tx_yaml *y = tx_yaml_get(map, "view");
    char expected[TX_TEXT_MAX];
    bool known = !y || (y->kind == TX_YAML_SCALAR && strcmp(y->text, "any") == 0);
    for (int i = 0; !known && y->kind == TX_YAML_SCALAR && tx_view_list[i]; i++)
        known = strcmp(tx_view_list[i]->name, y->text) == 0;
    if (!known) {
        snprintf(expected, sizeof expected, "the one view that the model is run on, any|%s", tx_view_choices());
        return tx_options_fail(y, origin, expected);
    }
    tx_copy_text(out, TX_NAME_MAX, y ? y->text : "any");
    return TX_OK;
}

tx_status tx_model_spec_parse(tx_model_spec *out, const tx_yaml *map, const char *name_key, const char *origin)
{
    const char *const skip[] = {name_key, "label", "group", "view", "train", NULL};
    if (map->kind != TX_YAML_MAP) return tx_options_fail(map, origin, "a map such as {model: NAME}");
    const tx_yaml *name = tx_yaml_get(map, name_key);
    if (!name) return tx_yaml_fail(map, origin, "key '%s' is missing", name_key);
    if (name->kind != TX_YAML_SCALAR) return tx_options_fail(name, origin, "a model's name");
    tx_model_spec s = {.ops = tx_model_find(name->text)};
    if (!s.ops) return fail_unknown(name, origin, "models", name->text);
    TX_TRY(take_text(map, "label", s.ops->name, origin, s.label));
    TX_TRY(take_text(map, "group", s.label, origin, s.group));
    TX_TRY(take_view(map, origin, s.view));
    s.config = tx_alloc(1, s.ops->config_size);
    tx_options_defaults(s.ops->options, s.config);
    tx_option_set set[] = {{s.ops->options, s.config}};
    tx_status status = tx_options_parse(set, TX_LEN(set), map, origin, skip);
    if (status)
        free(s.config);
    else
        *out = s;
    return status;
}

void tx_model_spec_free(tx_model_spec *s)
{
    free(s->config);
    s->config = NULL;
}

json_t *tx_model_spec_json(const tx_model_spec *s, const char *name_key)
{
    json_t *j = json_pack("{ss, ss, ss}", name_key, s->ops->name, "label", s->label, "group", s->group);
    json_t *options = tx_options_json(s->ops->options, s->config);
    if (!j || json_object_update_missing(j, options) != 0) tx_no_memory("jansson");
    json_decref(options);
    return j;
}

typedef struct evaluate_config {
    int n_sample, n_example;
} evaluate_config;
const tx_option tx_evaluate_options[] = {
    {"n_sample", TX_OPT_INT, offsetof(evaluate_config, n_sample), "1000", 0, 1000000, NULL, "samples that are stored",
     NULL},
    {"n_example", TX_OPT_INT, offsetof(evaluate_config, n_example), "0", 0, INT_MAX, NULL,
     "rows of each split that are evaluated, from the first; 0: all", NULL},
    {0},
};

static tx_status parse_config(size_t size, const tx_option *options, const tx_yaml *map, const char *origin,
                              const char *const skip[], void **config)
{
    void *c = tx_alloc(1, size);
    tx_options_defaults(options, c);
    tx_option_set set[] = {{options, c}};
    tx_status s = map ? tx_options_parse(set, 1, map, origin, skip) : TX_OK;
    if (s)
        free(c);
    else
        *config = c;
    return s;
}

tx_status tx_estimator_config_parse(const tx_estimator_ops *e, const tx_yaml *map, const char *origin,
                                    const char *const skip[], void **config)
{
    return parse_config(e->config_size, e->options, map, origin, skip, config);
}

tx_status tx_metric_config_parse(const tx_metric_ops *m, const tx_yaml *map, const char *origin,
                                 const char *const skip[], void **config)
{
    return parse_config(m->config_size, m->options, map, origin, skip, config);
}

static tx_status add_estimator(tx_evaluate_spec *s, const tx_yaml *y, const char *origin)
{
    static const char *const skip[] = {"estimator", "name", NULL};
    const tx_yaml *name = y->kind == TX_YAML_SCALAR ? y : tx_yaml_get(y, "estimator");
    if (!name || name->kind != TX_YAML_SCALAR)
        return tx_options_fail(y, origin, "an estimator's name or {estimator: NAME, ...}");
    const tx_estimator_ops *e = tx_estimator_find(name->text);
    if (!e) return fail_unknown(name, origin, "estimators", name->text);
    char own[TX_NAME_MAX];
    TX_TRY(take_text(y, "name", e->name, origin, own));
    if (tx_estimator_find(own) && tx_estimator_find(own) != e)
        return tx_yaml_fail(tx_yaml_get(y, "name"), origin, "'%s' is the name of another estimator than %s", own,
                            e->name);
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->estimator[i].name, own) == 0)
            return tx_yaml_fail(name, origin,
                                "an estimate of the name '%s' was already given: {estimator: %s, name: ANOTHER, ...}",
                                own, e->name);
    if (s->n == TX_MAX_ESTIMATORS) return tx_yaml_fail(y, origin, "more than %d estimators", TX_MAX_ESTIMATORS);
    void *config = NULL;
    TX_TRY(tx_estimator_config_parse(e, y->kind == TX_YAML_MAP ? y : NULL, origin, skip, &config));
    s->estimator[s->n].ops = e;
    tx_copy_text(s->estimator[s->n].name, TX_NAME_MAX, own);
    s->estimator[s->n++].config = config;
    return TX_OK;
}

static tx_status add_metric(tx_evaluate_spec *s, const tx_yaml *y, const char *origin)
{
    static const char *const skip[] = {"metric", "name", NULL};
    const tx_yaml *name = y->kind == TX_YAML_SCALAR ? y : tx_yaml_get(y, "metric");
    if (!name || name->kind != TX_YAML_SCALAR)
        return tx_options_fail(y, origin, "a metric's name or {metric: NAME, ...}");
    const tx_metric_ops *m = tx_metric_find(name->text);
    if (!m) return fail_unknown(name, origin, "metrics", name->text);
    char own[TX_NAME_MAX];
    TX_TRY(take_text(y, "name", m->name, origin, own));
    if (!tx_metric_label_fits(m, own)) return tx_options_fail(tx_yaml_get(y, "name"), origin, TX_METRIC_LABEL_EXPECTED);
    for (int i = 0; i < s->n_metric; i++)
        if (strcmp(s->metric[i].name, own) == 0)
            return tx_yaml_fail(name, origin,
                                "a metric of the name '%s' was already given: {metric: %s, name: ANOTHER, ...}", own,
                                m->name);
    if (s->n_metric == TX_MAX_ASKED) return tx_yaml_fail(y, origin, "more than %d metrics", TX_MAX_ASKED);
    void *config = NULL;
    TX_TRY(tx_metric_config_parse(m, y->kind == TX_YAML_MAP ? y : NULL, origin, skip, &config));
    s->metric[s->n_metric].ops = m;
    tx_copy_text(s->metric[s->n_metric].name, TX_NAME_MAX, own);
    s->metric[s->n_metric++].config = config;
    return TX_OK;
}

static tx_status add_split(tx_evaluate_spec *s, const tx_yaml *y, const char *origin)
{
    for (int k = 0; y->kind == TX_YAML_SCALAR && k < TX_N_SPLIT; k++) {
        if (strcmp(y->text, tx_split_name((tx_split)k)) != 0) continue;
        s->split[k] = true;
        return TX_OK;
    }
    return tx_options_fail(y, origin, "a split: train, valid or test");
}

typedef tx_status (*add_fn)(tx_evaluate_spec *s, const tx_yaml *y, const char *origin);

/* The members of a list, or of a list of one that was written without brackets. */
static tx_status add_all(tx_evaluate_spec *s, const tx_yaml *list, const char *origin, add_fn add)
{
    if (list->kind != TX_YAML_LIST) return add(s, list, origin);
    for (int i = 0; i < list->n; i++) TX_TRY(add(s, &list->child[i], origin));
    return TX_OK;
}

static tx_status parse_evaluate(tx_evaluate_spec *s, const tx_yaml *map, const char *origin)
{
    static const char *const skip[] = {"estimators", "metrics", "splits", NULL};
    static const char *const usual[] = {"exact", "elbo"};
    evaluate_config c = {0};
    tx_options_defaults(tx_evaluate_options, &c);
    tx_option_set set[] = {{tx_evaluate_options, &c}};
    if (map) TX_TRY(tx_options_parse(set, 1, map, origin, skip));
    s->n_sample = c.n_sample;
    s->n_example = c.n_example;
    const tx_yaml *estimators = tx_yaml_get(map, "estimators"), *splits = tx_yaml_get(map, "splits");
    const tx_yaml *metrics = tx_yaml_get(map, "metrics");
    for (size_t i = 0; !estimators && i < TX_LEN(usual); i++) {
        tx_yaml name = {.kind = TX_YAML_SCALAR, .text = (char *)usual[i]};
        TX_TRY(add_estimator(s, &name, origin));
    }
    if (estimators) TX_TRY(add_all(s, estimators, origin, add_estimator));
    if (metrics) TX_TRY(add_all(s, metrics, origin, add_metric));
    s->split[TX_TEST] = !splits;
    return splits ? add_all(s, splits, origin, add_split) : TX_OK;
}

tx_status tx_evaluate_spec_parse(tx_evaluate_spec *out, const tx_yaml *map, const char *origin)
{
    tx_evaluate_spec s = {0};
    tx_status status = parse_evaluate(&s, map, origin);
    if (status)
        tx_evaluate_spec_free(&s);
    else
        *out = s;
    return status;
}

void tx_evaluate_spec_free(tx_evaluate_spec *s)
{
    for (int i = 0; i < s->n; i++) free(s->estimator[i].config);
    for (int i = 0; i < s->n_metric; i++) free(s->metric[i].config);
    s->n = s->n_metric = 0;
}

/* {KIND: NAME, name: LABEL where it is another, every option}. */
static json_t *asked_json(const char *kind, const char *of, const char *name, const tx_option *table,
                          const void *config)
{
    json_t *j = json_pack("{ss}", kind, of), *options = tx_options_json(table, config);
    if (strcmp(name, of) != 0) json_object_set_new(j, "name", json_string(name));
    json_object_update(j, options);
    json_decref(options);
    return j;
}

json_t *tx_evaluate_spec_json(const tx_evaluate_spec *s)
{
    json_t *estimators = json_array(), *metrics = s->n_metric ? json_array() : NULL, *splits = json_array();
    for (int i = 0; i < s->n; i++)
        json_array_append_new(estimators, asked_json("estimator", s->estimator[i].ops->name, s->estimator[i].name,
                                                     s->estimator[i].ops->options, s->estimator[i].config));
    for (int i = 0; i < s->n_metric; i++)
        json_array_append_new(metrics, asked_json("metric", s->metric[i].ops->name, s->metric[i].name,
                                                  s->metric[i].ops->options, s->metric[i].config));
    for (int k = 0; k < TX_N_SPLIT; k++)
        if (s->split[k]) json_array_append_new(splits, json_string(tx_split_name((tx_split)k)));
    json_t *j = json_pack("{so, so*, so, si, si}", "estimators", estimators, "metrics", metrics, "splits", splits,
                          "n_sample", s->n_sample, "n_example", s->n_example);
    if (!j) tx_no_memory("jansson");
    return j;
}

json_t *tx_spec_json(const tx_data_spec *d, const tx_model_spec *m, const tx_evaluate_spec *e, int seed)
{
    json_t *j = json_pack("{so, so, so, so, si}", "dataset", tx_data_spec_json(d), "model",
                          tx_model_spec_json(m, "name"), "train", tx_train_json(&m->train), "evaluate",
                          tx_evaluate_spec_json(e), "seed", seed);
    if (!j) tx_no_memory("jansson");
    return j;
}

static const tx_option seed_options[] = {
    {"seed", TX_OPT_INT, offsetof(tx_spec, seed), "0", 0, INT_MAX, NULL, "names every random stream of the run", NULL},
    {0},
};

static tx_status parse_spec(tx_spec *s, const tx_yaml *root, const char *origin)
{
    static const char *const part[] = {"dataset", "model", "train", "evaluate", NULL};
    tx_option_set set[] = {{seed_options, s}};
    TX_TRY(tx_options_parse(set, 1, root, origin, part));
    for (int i = 0; part[i]; i++)
        if (!tx_yaml_get(root, part[i])) return tx_yaml_fail(root, origin, "key '%s' is missing", part[i]);
    TX_TRY(tx_data_spec_parse(&s->data, tx_yaml_get(root, "dataset"), origin));
    TX_TRY(tx_model_spec_parse(&s->model, tx_yaml_get(root, "model"), "name", origin));
    TX_TRY(tx_train_parse(&s->model.train, tx_yaml_get(root, "train"), origin));
    return tx_evaluate_spec_parse(&s->evaluate, tx_yaml_get(root, "evaluate"), origin);
}

tx_status tx_spec_parse(tx_spec *out, const char *text, const char *origin)
{
    tx_yaml *root = NULL;
    tx_spec s = {0};
    TX_TRY(tx_yaml_parse(text, strlen(text), origin, &root));
    tx_status status = parse_spec(&s, root, origin);
    tx_yaml_free(root);
    if (status)
        tx_spec_free(&s);
    else
        *out = s;
    return status;
}

void tx_spec_free(tx_spec *s)
{
    tx_model_spec_free(&s->model);
    tx_evaluate_spec_free(&s->evaluate);
}

tx_status tx_setting_open_data(tx_setting **out, const tx_data_spec *s, FILE *note)
{
    tx_setting *t = tx_alloc(1, sizeof *t);
    tx_status status = tx_dataset_open(&t->data, &s->data, note);
    if (status) {
        free(t);
        return status;
    }
    status = tx_view_open(&t->view, &t->data, &s->view);
    if (status) {
        tx_dataset_close(&t->data);
        free(t);
        return status;
    }
    *out = t;
    return TX_OK;
}

tx_status tx_setting_open(tx_setting **out, const tx_spec *s, FILE *note)
{
    tx_setting *t = NULL;
    TX_TRY(tx_setting_open_data(&t, &s->data, note));
    tx_status status = tx_model_new(&t->model, s->model.ops, s->model.config, &t->view.space, (uint64_t)s->seed);
    if (status)
        tx_setting_close(t);
    else
        *out = t;
    return status;
}

void tx_setting_close(tx_setting *s)
{
    if (!s) return;
    tx_model_free(s->model);
    tx_view_close(&s->view);
    tx_dataset_close(&s->data);
    free(s);
}
