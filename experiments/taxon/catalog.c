#include "experiments/taxon/catalog.h"
#include "common/base/text.h"
#include "common/data/view.h"
#include "common/impute/impute.h"
#include "common/likelihood/estimator.h"
#include "common/model/train.h"
#include "common/quality/metric.h"
#include <string.h>

enum { MAX_ITEMS = 256 };

static bool model_at(int i, tx_item *out)
{
    int n = 0;
    while (n < i && tx_model_list[n]) n++;
    const tx_model_ops *m = tx_model_list[n] ? tx_model_list[n] : tx_model_own(i - n);
    if (m) *out = (tx_item){m->name, m->summary, m->citation, m->taxonomy_path, m->options};
    return m != NULL;
}

static bool dataset_at(int i, tx_item *out)
{
    const tx_set_ops *s = tx_set_list[i];
    if (s) *out = (tx_item){s->name, s->summary, s->citation, s->files ? s->files : "built in", NULL};
    return s != NULL;
}

static bool view_at(int i, tx_item *out)
{
    const tx_view_ops *v = tx_view_list[i];
    if (v) *out = (tx_item){v->name, v->summary, NULL, NULL, NULL};
    return v != NULL;
}

static bool estimator_at(int i, tx_item *out)
{
    const tx_estimator_ops *e = tx_estimator_list[i];
    if (e) *out = (tx_item){e->name, e->summary, e->citation, NULL, e->options};
    return e != NULL;
}

static bool metric_at(int i, tx_item *out)
{
    const tx_metric_ops *m = tx_metric_list[i];
    if (m) *out = (tx_item){m->name, m->summary, m->citation, NULL, m->options};
    return m != NULL;
}

static bool optimizer_at(int i, tx_item *out)
{
    const tx_optim_ops *o = tx_optim_list[i];
    if (o) *out = (tx_item){o->name, o->summary, o->citation, NULL, o->options};
    return o != NULL;
}

static bool imputer_at(int i, tx_item *out)
{
    const tx_impute_ops *o = tx_impute_list[i];
    if (o) *out = (tx_item){o->name, o->summary, o->citation, NULL, o->options};
    return o != NULL;
}

const tx_catalog tx_catalog_list[] = {
    {"models", "model", model_at},       {"datasets", "data set", dataset_at},
    {"views", "view", view_at},          {"estimators", "estimator", estimator_at},
    {"metrics", "metric", metric_at},    {"optimizers", "optimizer", optimizer_at},
    {"imputers", "imputer", imputer_at}, {NULL, NULL, NULL},
};

const tx_catalog *tx_catalog_find(const char *plural)
{
    for (const tx_catalog *c = tx_catalog_list; c->plural; c++)
        if (strcmp(c->plural, plural) == 0) return c;
    return NULL;
}

const char *tx_catalog_unknown(const tx_catalog *c, const char *name, char *buf, size_t size)
{
    const char *known[MAX_ITEMS + 1];
    int n = 0;
    for (tx_item item; n < MAX_ITEMS && c->at(n, &item); n++) known[n] = item.name;
    known[n] = NULL;
    const char *near = tx_nearest(name, known);
    tx_text t = {0};
    tx_text_add(&t, "unknown %s '%.80s'", c->noun, name);
    if (near) tx_text_add(&t, ": did you mean '%s'?", near);
    for (int i = 0; !near && i < n; i++) tx_text_add(&t, "%s%s", i ? ", " : "; there are: ", known[i]);
    tx_copy_text(buf, size, t.s);
    tx_text_free(&t);
    return buf;
}
