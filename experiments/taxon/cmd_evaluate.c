#include "common/base/text.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/catalog.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/runner.h"
#include "experiments/taxon/schedule.h"
#include "experiments/taxon/stored.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct request {
    const tx_estimator_ops *ops;
    void *config;
    tx_split split;
    int n_example;
} request;

static tx_status read_options(const tx_args *a, request *q)
{
    tx_yaml *map = tx_alloc(1, sizeof *map);
    map->kind = TX_YAML_MAP;
    tx_status s = TX_OK;
    for (int i = 1; !s && i < a->n; i++) s = tx_yaml_override(map, a->v[i]);
    if (!s) s = tx_estimator_config_parse(q->ops, map, "command line", NULL, &q->config);
    tx_yaml_free(map);
    return s;
}

static tx_status read_request(const tx_args *a, request *q)
{
    const char *name = tx_args_text(a, "estimator", NULL), *split = tx_args_text(a, "split", "test");
    char why[TX_TEXT_MAX];
    if (!name) return tx_fail(TX_EUSAGE, "evaluate: --estimator is missing; `taxon list estimators`");
    q->ops = tx_estimator_find(name);
    if (!q->ops)
        return tx_fail(TX_EUSAGE, "evaluate: %s",
                       tx_catalog_unknown(tx_catalog_find("estimators"), name, why, sizeof why));
    int k = 0;
    while (k < TX_N_SPLIT && strcmp(split, tx_split_name((tx_split)k)) != 0) k++;
    if (k == TX_N_SPLIT)
        return tx_fail(TX_EUSAGE, "evaluate: --split: expected train, valid or test; found '%s'", split);
    q->split = (tx_split)k;
    TX_TRY(tx_args_int(a, "examples", 1, INT_MAX, 0, &q->n_example));
    return read_options(a, q);
}

static tx_status write_file(const tx_stored *s, const request *q, const tx_estimate *e)
{
    char folder[TX_TEXT_MAX];
    tx_copy_text(folder, sizeof folder, s->path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    else
        tx_copy_text(folder, sizeof folder, ".");
    tx_text path = {0};
    tx_text_add(&path, "%s/evaluation-%s.h5", folder, q->ops->name);
    json_t *config = json_pack("{ss, ss, si, so}", "estimator", q->ops->name, "split", tx_split_name(q->split),
                               "n_example", q->n_example, "options", tx_options_json(q->ops->options, q->config));
    tx_status status = tx_evaluation_write(path.s, s->info.content_sha256, config, 1, e);
    if (!status) printf("%s\n", path.s);
    tx_text_free(&path);
    json_decref(config);
    return status;
}

static void print_estimate(const tx_stored *s, const tx_estimate *e)
{
    printf("%s on %s, %s, %s split, %zu examples: log-likelihood %s %.4f nats +- %.4f over examples", s->info.label,
           s->info.dataset, s->info.view, tx_split_name(e->split), e->n, tx_kind_sign(e->kind), e->mean, e->mean_error);
    if (e->mc_error > 0) printf(", Monte Carlo error %.4f", e->mc_error);
    if (isfinite(e->bits_per_dim)) printf(", %.4f bits/dim", e->bits_per_dim);
    printf(" (%s, %s", e->estimator, tx_kind_name(e->kind));
    if (*e->evaluated_model && strcmp(e->evaluated_model, "model") != 0)
        printf(", evaluated is %s", e->evaluated_model);
    printf(")\n");
}

static tx_status evaluate(const tx_stored *s, const request *q)
{
    const char *why = q->ops->unfit(s->set->model->ops, &s->set->view);
    if (why) return tx_fail(TX_ECONFIG, "%s does not apply to %s: %s", q->ops->name, s->path, why);
    tx_estimate e;
    TX_TRY(tx_runner_estimate(q->ops, q->config, s->set, q->split, q->n_example, s->info.seed, NULL, NULL, &e));
    tx_status status = write_file(s, q, &e);
    if (!status) print_estimate(s, &e);
    tx_estimate_free(&e);
    return status;
}

static int run(const tx_args *a)
{
    request q = {0};
    TX_TRY(read_request(a, &q));
    tx_threads_set(tx_cores());
    tx_stored *s = NULL;
    tx_status status = tx_stored_open(&s, a->v[0]);
    if (!status) status = evaluate(s, &q);
    tx_stored_close(s);
    free(q.config);
    return status;
}

static const tx_flag flags[] = {
    {"estimator", 'e', "NAME", "exact, elbo, parzen, ...: `taxon list estimators`"},
    {"split", 's', "SPLIT", "train, valid or test (test)"},
    {"examples", 'n', "N", "only the first N rows"},
    {0},
};
const tx_command tx_command_evaluate = {
    .name = "evaluate",
    .summary = "Another likelihood of a finished run, stored beside it as evaluation-NAME.h5",
    .usage = "RUN --estimator NAME [key=value ...]",
    .flags = flags,
    .min = 1,
    .max = -1,
    .run = run};
