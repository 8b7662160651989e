#include "experiments/taxon/evaluate_metric.h"
#include "common/base/text.h"
#include "common/store/commit.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/catalog.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/progress.h"
#include "experiments/taxon/runner.h"
#include "experiments/taxon/schedule.h"
#include "experiments/taxon/sheet.h"
#include "experiments/taxon/stored.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 4096 };

typedef struct request {
    const tx_metric_ops *ops;
    void *config;
    const char *name;
    int threads;
    char folder[TX_TEXT_MAX];
    tx_text path;
    json_t *stored; /* the file's config */
} request;

static tx_status read_options(const tx_args *a, request *q)
{
    tx_yaml *map = tx_alloc(1, sizeof *map);
    map->kind = TX_YAML_MAP;
    tx_status s = TX_OK;
    for (int i = 1; !s && i < a->n; i++) s = tx_yaml_override(map, a->v[i]);
    if (!s) s = tx_metric_config_parse(q->ops, map, "command line", NULL, &q->config);
    tx_yaml_free(map);
    return s;
}

static tx_status read_request(const tx_args *a, request *q)
{
    static const char *const other[] = {"estimator", "split", "examples"};
    const char *metric = tx_args_text(a, "metric", NULL);
    char why[TX_TEXT_MAX];
    for (size_t i = 0; i < TX_LEN(other); i++)
        if (tx_args_text(a, other[i], NULL))
            return tx_fail(TX_EUSAGE, "evaluate: --metric and --%s exclude one another%s", other[i],
                           i ? ": a metric is of samples, n_sample=N says how many" : "");
    q->ops = tx_metric_find(metric);
    if (!q->ops)
        return tx_fail(TX_EUSAGE, "evaluate: %s",
                       tx_catalog_unknown(tx_catalog_find("metrics"), metric, why, sizeof why));
    q->name = tx_args_text(a, "name", q->ops->name);
    if (!tx_metric_label_fits(q->ops, q->name))
        return tx_fail(TX_EUSAGE, "evaluate: --name: expected %s; found '%.100s'", TX_METRIC_LABEL_EXPECTED, q->name);
    TX_TRY(tx_args_int(a, "threads", 1, MAX_THREADS, tx_cores(), &q->threads));
    tx_progress *none; /* a metric shows no progress, but a wrong word is one here too */
    TX_TRY(tx_progress_new(&none, tx_args_text(a, "progress", "none")));
    tx_progress_free(none);
    return read_options(a, q);
}

static tx_status refuse(const tx_stored *s, const request *q, const char *why)
{
    tx_text can = {0};
    for (int i = 0; tx_metric_list[i]; i++) {
        void *config = NULL;
        TX_TRY(tx_metric_config_parse(tx_metric_list[i], NULL, "", NULL, &config));
        if (!tx_metric_unfit(tx_metric_list[i], config, s->set->model->ops, &s->set->view))
            tx_text_add(&can, "%s%s", can.len ? ", " : "", tx_metric_list[i]->name);
        free(config);
    }
    tx_status status = tx_fail(TX_ECONFIG, "%s does not apply to %s on %s, %s: %s; that can: %s", q->ops->name,
                               s->info.label, s->info.dataset, s->info.view, why, can.len ? can.s : "none");
    tx_text_free(&can);
    return status;
}

static tx_status check(const tx_stored *s, request *q)
{
    const char *slash = strrchr(s->path, '/');
    tx_copy_text(q->folder, sizeof q->folder, slash ? s->path : ".");
    if (slash) q->folder[slash - s->path] = 0;
    if (!tx_run_complete(&s->info))
        return tx_fail(TX_EDATA, "%s: the run diverged, so its samples are not worth a metric: %.300s", s->path,
                       s->info.failure);
    const char *why = tx_metric_unfit(q->ops, q->config, s->set->model->ops, &s->set->view);
    if (why) return refuse(s, q, why);
    tx_text_add(&q->path, "%s/evaluation-metric-%s.h5", q->folder, q->name);
    q->stored = json_pack("{ss, ss, so}", "metric", q->ops->name, "name", q->name, "options",
                          tx_options_json(q->ops->options, q->config));
    return tx_check_writable(q->folder);
}

/* Of the run's numbers those that this metric has made: NAME, NAME_..., with the real ones beside. */
static tx_status tell(const tx_stored *s, const request *q, const tx_numbers *n, const char *what)
{
    size_t length = strlen(q->name);
    printf("%s on %s, %s, by %s:\n", s->info.label, s->info.dataset, s->info.view, q->name);
    for (int i = 0; i < n->n; i++) {
        const char *name = n->m[i].name;
        if (strncmp(name, q->name, length) != 0 || (name[length] && name[length] != '_')) continue;
        double error = n->m[i].error;
        int d = tx_error_decimals(error);
        printf("  %-28s ", name);
        error > 0 ? printf("%.*f +- %.*f", d, n->m[i].value, d, error) : printf("%.4g", n->m[i].value);
        printf("  (%s, n = %d)\n", n->m[i].long_name, n->m[i].n_sample);
    }
    printf("%s %s\n", what, q->path.s);
    return TX_OK;
}

static bool is_kept(const tx_stored *s, const request *q)
{
    json_t *config = NULL;
    char difference[TX_TEXT_MAX];
    tx_status status = tx_evaluation_config(q->path.s, s->info.content_sha256, &config);
    bool same = !status && !tx_json_differ(config, q->stored, difference, sizeof difference);
    if (status && status != TX_ENOINPUT) fprintf(stderr, "taxon: replaced: %s\n", tx_last_error());
    json_decref(config);
    return same;
}

static tx_status measure(const tx_stored *s, const request *q, tx_numbers *out, tx_numbers *timing)
{
    const tx_view *v = &s->set->view;
    size_t n = tx_metric_n(q->ops, q->config, v);
    real *x = tx_alloc(n * v->space.dim, sizeof *x);
    char name[TX_NAME_MAX];
    double start = tx_now();
    tx_tape *t = tx_tape_new(1 << 20);
    if (n) tx_model_sample(s->set->model, t, tx_sample_stream(s->info.seed), 0, n, false, x);
    tx_tape_free(t);
    tx_quality *quality = tx_quality_new(v);
    tx_status status = tx_runner_metric(q->ops, q->config, q->name, quality, s->set->model, x, s->info.seed, out);
    tx_quality_free(quality);
    snprintf(name, sizeof name, "metric_%s", q->name);
    tx_numbers_add(timing, name, "s", tx_now() - start, "wall time of this metric and its samples");
    free(x);
    return status;
}

static tx_status evaluate(const tx_stored *s, request *q, bool fresh)
{
    TX_TRY(check(s, q));
    if (!fresh && is_kept(s, q)) return tell(s, q, s->info.metrics, "kept, made with the same settings:");
    tx_numbers *n = tx_alloc(2, sizeof *n);
    tx_status status = measure(s, q, &n[0], &n[1]);
    if (!status && n[0].n == 0)
        status = tx_fail(TX_ECONFIG, "%s: nothing to measure on %s at these settings: `taxon show %s`", q->name,
                         s->info.label, q->ops->name);
    if (!status) status = tx_evaluation_write_metrics(q->path.s, s->info.content_sha256, q->stored, &n[0], &n[1]);
    if (!status) status = tell(s, q, &n[0], "stored in");
    free(n);
    return status;
}

tx_status tx_evaluate_metric(const tx_args *a)
{
    request q = {0};
    tx_stored *s = NULL;
    tx_status status = read_request(a, &q);
    if (!status) {
        tx_threads_set(q.threads);
        status = tx_stored_open(&s, a->v[0]);
    }
    if (!status) status = evaluate(s, &q, tx_args_on(a, "fresh"));
    tx_stored_close(s);
    tx_text_free(&q.path);
    json_decref(q.stored);
    free(q.config);
    return status;
}
