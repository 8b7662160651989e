#include "common/base/text.h"
#include "common/store/commit.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/catalog.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/evaluate_metric.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/progress.h"
#include "experiments/taxon/runner.h"
#include "experiments/taxon/schedule.h"
#include "experiments/taxon/signals.h"
#include "experiments/taxon/stored.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 4096 };

typedef struct request {
    const tx_estimator_ops *ops;
    void *config;
    const char *name;
    tx_split split;
    int n_example, threads;
    tx_progress *progress;
    bool fresh;
    char folder[TX_TEXT_MAX], doing[TX_TEXT_MAX];
    tx_text path;
    json_t *stored; /* the file's config */
} request;

static tx_status read_options(const tx_args *a, request *q)
{
    tx_yaml *map = tx_alloc(1, sizeof *map);
    map->kind = TX_YAML_MAP;
    tx_status s = TX_OK;
    for (int i = 1; !s && i < a->n; i++) s = tx_yaml_override(map, a->v[i]);
    if (!s && q->n_example && tx_options_find(q->ops->options, "n_example") && !tx_yaml_get(map, "n_example")) {
        char asked[48]; /* the estimator's own, smaller default does not stand against the flag */
        snprintf(asked, sizeof asked, "n_example=%d", q->n_example);
        s = tx_yaml_override(map, asked);
    }
    if (!s) s = tx_estimator_config_parse(q->ops, map, "command line", NULL, &q->config);
    tx_yaml_free(map);
    return s;
}

static tx_status read_split(const tx_args *a, request *q)
{
    const char *split = tx_args_text(a, "split", NULL);
    if (split && q->ops->simulates)
        return tx_fail(TX_EUSAGE,
                       "evaluate: --split: %s is of rows that it draws from the model itself, not of a split",
                       q->ops->name);
    q->split = q->ops->simulates ? TX_SIMULATED : TX_TEST;
    if (!split) return TX_OK;
    for (int k = 0; k < TX_N_SPLIT; k++)
        if (strcmp(split, tx_split_name((tx_split)k)) == 0) {
            q->split = (tx_split)k;
            return TX_OK;
        }
    return tx_fail(TX_EUSAGE, "evaluate: --split: expected train, valid or test; found '%s'", split);
}

/* evaluation-LABEL-valid.h5 is the file of LABEL on valid, and of no other label. */
static tx_status refuse_split(const char *label)
{
    const char *end = strrchr(label, '-');
    for (int k = 0; end && k < TX_N_SPLIT; k++)
        if (strcmp(end + 1, tx_split_name((tx_split)k)) == 0)
            return tx_fail(TX_EUSAGE,
                           "evaluate: --name: '%s' ends in a split's name, which --split %s says: leave '%s' out",
                           label, end + 1, end);
    return TX_OK;
}

static tx_status read_request(const tx_args *a, request *q)
{
    const char *estimator = tx_args_text(a, "estimator", NULL);
    char why[TX_TEXT_MAX];
    if (!estimator)
        return tx_fail(TX_EUSAGE,
                       "evaluate: --estimator is missing, or --metric; `taxon list estimators`, `taxon list metrics`");
    q->ops = tx_estimator_find(estimator);
    if (!q->ops)
        return tx_fail(TX_EUSAGE, "evaluate: %s",
                       tx_catalog_unknown(tx_catalog_find("estimators"), estimator, why, sizeof why));
    q->name = tx_args_text(a, "name", q->ops->name);
    if (!tx_label_fits(q->name))
        return tx_fail(TX_EUSAGE,
                       "evaluate: --name: expected 1 to 100 letters, digits or . _ = + -, not starting with "
                       ". or -; found '%.100s'",
                       q->name);
    if (tx_estimator_find(q->name) && tx_estimator_find(q->name) != q->ops)
        return tx_fail(TX_EUSAGE,
                       "evaluate: --name: '%s' is the name of another estimator than %s: choose one of your own",
                       q->name, q->ops->name);
    TX_TRY(refuse_split(q->name));
    if (strncmp(q->name, "metric-", 7) == 0)
        return tx_fail(TX_EUSAGE, "evaluate: --name: files of metrics begin with 'metric-'; found '%.100s'", q->name);
    q->fresh = tx_args_on(a, "fresh");
    TX_TRY(read_split(a, q));
    TX_TRY(tx_args_int(a, "examples", 1, INT_MAX, 0, &q->n_example));
    TX_TRY(tx_args_int(a, "threads", 1, MAX_THREADS, tx_cores(), &q->threads));
    TX_TRY(tx_progress_new(&q->progress, tx_args_text(a, "progress", "auto")));
    return read_options(a, q);
}

static tx_status refuse(const tx_stored *s, const request *q, const char *why)
{
    tx_text can = {0};
    for (int i = 0; tx_estimator_list[i]; i++)
        if (!tx_estimator_list[i]->unfit(s->set->model->ops, &s->set->view))
            tx_text_add(&can, "%s%s", can.len ? ", " : "", tx_estimator_list[i]->name);
    tx_status status = tx_fail(TX_ECONFIG, "%s does not apply to %s on %s, %s: %s; that can: %s", q->ops->name,
                               s->info.label, s->info.dataset, s->info.view, why, can.len ? can.s : "none");
    tx_text_free(&can);
    return status;
}

/* What can be refused is refused before the long work. */
static tx_status check(const tx_stored *s, request *q)
{
    tx_copy_text(q->folder, sizeof q->folder, s->path);
    char *slash = strrchr(q->folder, '/');
    if (slash)
        *slash = 0;
    else
        tx_copy_text(q->folder, sizeof q->folder, ".");
    if (!tx_run_complete(&s->info))
        return tx_fail(TX_EDATA, "%s: the run diverged, so its parameters are not worth evaluating: %.300s", s->path,
                       s->info.failure);
    const char *why = q->ops->unfit(s->set->model->ops, &s->set->view);
    if (why) return refuse(s, q, why);
    if (tx_stop_count() > 0) return tx_fail(TX_ESTOPPED, "stopped before the evaluation began: nothing was written");
    return tx_check_writable(q->folder);
}

static void on_progress(void *ctx, double share)
{
    const request *q = ctx;
    tx_progress_or_stop(q->progress, share, q->doing);
}

static void print_estimate(const tx_stored *s, const tx_estimate *e)
{
    bool drawn = e->split == TX_SIMULATED;
    const char *brief = tx_estimate_text(e, "brief");
    double gap = tx_estimate_setting(e, "gap_mean"), gap_error = tx_estimate_setting(e, "gap_error");
    printf("%s on %s, %s, %s%s%zu %s%s%s, by %s%s%s:\n", s->info.label, s->info.dataset, s->info.view,
           drawn ? "" : tx_split_name(e->split), drawn ? "" : " split, ", e->n, drawn ? "row" : "example",
           tx_plural((long long)e->n), drawn ? " that the model drew itself" : "", e->estimator, *brief ? ", " : "",
           brief);
    printf("  log-likelihood %s %.4f nats%s", tx_kind_sign(e->kind), e->mean, tx_unit_words(e));
    if (isfinite(e->mean_error)) printf(", standard error %.4f over %s", e->mean_error, drawn ? "rows" : "examples");
    if (e->mc_error > 0) printf(", Monte Carlo error %.4f", e->mc_error);
    printf("\n  %s%s\n", tx_kind_words(e->kind), e->stochastic ? tx_noise_words(e->kind) : "");
    if (isfinite(e->bits_per_dim) && !drawn)
        printf("  bits/dim %s %.4f\n", tx_kind_sign(e->bits_kind), e->bits_per_dim);
    if (isfinite(gap))
        printf("  an upper bound of the same rows: %.4f nats; the gap between the two: %.4f", e->mean + gap, gap);
    if (isfinite(gap) && isfinite(gap_error)) printf(", standard error %.4f", gap_error);
    if (isfinite(gap)) printf("\n  this speaks of the estimator, not of the data\n");
    if (*e->evaluated_model && strcmp(e->evaluated_model, "model") != 0)
        printf("  evaluated is not the model itself but %s\n", e->evaluated_model);
}

/* Where it goes and with what it is made. */
static void name_file(request *q)
{
    bool other = !q->ops->simulates && q->split != TX_TEST; /* beside the test split's, not over it */
    tx_text_add(&q->path, "%s/evaluation-%s%s%s.h5", q->folder, q->name, other ? "-" : "",
                other ? tx_split_name(q->split) : "");
    q->stored = json_pack("{ss, ss, ss, si, so}", "estimator", q->ops->name, "name", q->name, "split",
                          tx_split_name(q->split), "n_example", q->n_example, "options",
                          tx_options_json(q->ops->options, q->config));
}

static tx_status tell(const tx_stored *s, const request *q, const tx_estimate *e, const char *what)
{
    print_estimate(s, e);
    printf("%s %s\n", what, q->path.s);
    return TX_OK;
}

/* What is there of the same run, made with the same settings; NULL where it would be another number. */
static const tx_estimate *find_same(const tx_stored *s, const request *q)
{
    json_t *config = NULL;
    char difference[TX_TEXT_MAX];
    tx_status status = tx_evaluation_config(q->path.s, s->info.content_sha256, &config);
    bool same = !status && !tx_json_differ(config, q->stored, difference, sizeof difference);
    if (status && status != TX_ENOINPUT) fprintf(stderr, "taxon: replaced: %s\n", tx_last_error());
    json_decref(config);
    return same ? tx_run_estimate(&s->info, q->split, q->name) : NULL;
}

static tx_status evaluate(const tx_stored *s, request *q)
{
    TX_TRY(check(s, q));
    name_file(q);
    const tx_estimate *same = q->fresh ? NULL : find_same(s, q);
    if (same) return tell(s, q, same, "kept, made with the same settings:");
    snprintf(q->doing, sizeof q->doing, "%s of %s", q->name, s->info.label);
    tx_estimate e;
    tx_status status = tx_runner_estimate(q->ops, q->config, q->name, s->set, q->split, q->n_example, s->info.seed,
                                          on_progress, q, &e);
    if (status == TX_EDIVERGED) {
        char why[TX_TEXT_MAX];
        tx_copy_text(why, sizeof why, tx_last_error());
        return tx_fail(status, "%s: %s", s->path, why);
    }
    TX_TRY(status);
    tx_progress_free(q->progress);
    q->progress = NULL;
    tx_stop_watch(false); /* what is left takes no time: it is finished, whatever comes */
    status = tx_evaluation_write(q->path.s, s->info.content_sha256, q->stored, 1, &e);
    if (!status) status = tell(s, q, &e, "stored in");
    tx_estimate_free(&e);
    return status;
}

static int run(const tx_args *a)
{
    if (tx_args_text(a, "metric", NULL)) return tx_evaluate_metric(a);
    request q = {0};
    tx_stored *s = NULL;
    tx_stop_watch(true);
    tx_status status = read_request(a, &q);
    if (!status) {
        tx_threads_set(q.threads);
        status = tx_stored_open(&s, a->v[0]);
    }
    if (!status) status = evaluate(s, &q);
    tx_stored_close(s);
    tx_progress_free(q.progress);
    tx_text_free(&q.path);
    json_decref(q.stored);
    free(q.config);
    return status;
}

static const tx_flag flags[] = {
    {"estimator", 'e', "ESTIMATOR", "exact, elbo, iwae, ...: `taxon list estimators`"},
    {"metric", 'm', "METRIC", "mmd, knn, frechet, ... in place of an estimator: `taxon list metrics`"},
    {"name", 0, "LABEL", "under which it is stored and shown (the estimator's or metric's name)"},
    {"split", 's', "train|valid|test", "its rows (test)"},
    {"examples", 'n', "N", "only the first N rows; of rows that an estimator draws itself: how many"},
    {"fresh", 0, NULL, "evaluate again where a file made with the same settings is there"},
    {"threads", 't', "N", "threads (one a core)"},
    {"progress", 0, "auto|bar|plain|none", "on standard error (auto)"},
    {0},
};
const tx_command tx_command_evaluate = {
    .name = "evaluate",
    .summary = "Another likelihood or metric of a finished run, stored beside it as evaluation-LABEL[-SPLIT].h5, or "
               "evaluation-metric-LABEL.h5",
    .usage = "RUN --estimator ESTIMATOR|--metric METRIC [key=value ...]",
    .detail =
        "key=value sets an option of the estimator or metric: `taxon show NAME` lists them. The same label again, on\n"
        "the same split, keeps a file that was made with the same settings and replaces any other; two settings of\n"
        "one estimator have two labels: --name iwae_5000 n_importance=5000.\n"
        "Exit code 0; 75 or 130 stopped, nothing written; 64 usage; 65, 66 run or data; 78 does not apply.",
    .flags = flags,
    .min = 1,
    .max = -1,
    .run = run};
