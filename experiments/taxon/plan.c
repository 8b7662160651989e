#include "experiments/taxon/plan.h"
#include "common/store/checkpoint.h"
#include "common/store/commit.h"
#include "common/store/content.h"
#include "common/store/run_file.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/print.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *tx_job_state_name(tx_job_state s)
{
    static const char *const name[] = {
        [TX_JOB_NEW] = "new",
        [TX_JOB_RESUME] = "resumes",
        [TX_JOB_KEPT] = "kept",
        [TX_JOB_KEPT_DIVERGED] = "kept, diverged",
        [TX_JOB_REFUSED] = "refused",
        [TX_JOB_UNFIT] = "not applicable",
        [TX_JOB_OTHER_SHARD] = "of another shard",
        [TX_JOB_DONE] = "done",
        [TX_JOB_DIVERGED] = "diverged",
        [TX_JOB_FAILED] = "failed",
        [TX_JOB_STOPPED] = "stopped",
    };
    return name[s];
}

/* Facts about one data set seen by all models. */
typedef struct scene {
    const tx_comparison *c;
    int data;
    const tx_setting *set;
    char name[2 * TX_NAME_MAX]; /* DATASET-VIEW */
} scene;

static double steps_of(const tx_model_spec *m, const tx_setting *s)
{
    if (m->ops->fit || m->ops->iterate) return 0;
    size_t n = s->data.split[TX_TRAIN].n, batch = (size_t)m->train.batch;
    double steps = (double)m->train.epochs * (double)((n + batch - 1) / batch);
    return m->train.max_steps && m->train.max_steps < steps ? m->train.max_steps : steps;
}

/* The model without values: its size, and what of its settings cannot work on this space. One that is too large for
 * this machine fails alone, in its own process. */
static tx_status try_model(const scene *e, int k, double *n_parameter)
{
    const tx_model_spec *m = &e->c->model[k].spec;
    tx_model *model = NULL;
    tx_status s = tx_model_declare(&model, m->ops, m->config, &e->set->view.space);
    if (s == TX_ECONFIG) {
        char why[TX_TEXT_MAX];
        tx_copy_text(why, sizeof why, tx_last_error());
        return tx_yaml_fail(e->c->model[k].at, e->c->origin, "%s on %s: %s", m->label, e->name, why);
    }
    TX_TRY(s);
    *n_parameter = (double)tx_model_size(model);
    tx_model_free(model);
    return TX_OK;
}

/* Why model k is not run on this data set and view; NULL if it is. */
static const char *unfit_model(const scene *e, int k, char *buf, size_t size)
{
    const tx_model_spec *m = &e->c->model[k].spec;
    if (strcmp(m->view, "any") == 0 || strcmp(m->view, e->set->view.ops->name) == 0)
        return tx_model_unfit(m->ops, &e->set->view.space, buf, size);
    snprintf(buf, size, "the config has it on view %s only", m->view);
    return buf;
}

/* What is asked of models: by an estimator, or by a metric with its config, or (name NULL) that they apply themselves.
 */
typedef struct asked {
    const char *name;
    const tx_estimator_ops *estimator;
    const tx_metric_ops *metric;
    const void *config;
} asked;

/* Why model k's family, or with it what is asked, does not apply; NULL if it does. */
static const char *reason_of(const scene *e, const asked *a, int k, char *buf, size_t size)
{
    const tx_model_ops *ops = e->c->model[k].spec.ops;
    const char *unfit = unfit_model(e, k, buf, size);
    if (!a->name) return unfit;
    if (unfit) return NULL;
    return a->metric ? tx_metric_unfit(a->metric, a->config, ops, &e->set->view)
                     : a->estimator->unfit(ops, &e->set->view);
}

/* One line a reason: "ring-raw: exact does not apply to vae, gan: ...". */
static void note_unfit(tx_plan *p, const scene *e, const asked *a)
{
    int n = e->c->n_model;
    bool *told = tx_alloc((size_t)n, sizeof *told);
    for (int i = 0; i < n; i++) {
        char first[TX_TEXT_MAX], other[TX_TEXT_MAX];
        const char *why = told[i] ? NULL : reason_of(e, a, i, first, sizeof first), *again;
        if (!why) continue;
        tx_text_add(&p->note, "%s: %s%s", e->name, a->name ? a->name : "not applicable",
                    a->name ? " does not apply to " : ": ");
        for (int k = i; k < n; k++) {
            if (told[k] || !(again = reason_of(e, a, k, other, sizeof other)) || strcmp(why, again) != 0) continue;
            tx_text_add(&p->note, "%s%s", k > i ? ", " : "", e->c->model[k].spec.label);
            told[k] = true;
        }
        tx_text_add(&p->note, ": %s\n", why);
    }
    free(told);
}

static tx_job *add_job(tx_plan *p)
{
    size_t n = (size_t)p->n++;
    p->job = tx_grow(p->job, n, sizeof *p->job);
    return &p->job[n];
}

static tx_status add_model(tx_plan *p, const scene *e, int k, const char *out)
{
    const tx_model_spec *m = &e->c->model[k].spec;
    char reason[TX_TEXT_MAX];
    const char *unfit = unfit_model(e, k, reason, sizeof reason);
    double n_parameter = 0;
    if (!unfit) TX_TRY(try_model(e, k, &n_parameter));
    for (int i = 0; i < e->c->seeds.n; i++) {
        tx_job *j = add_job(p);
        int seed = e->c->seeds.v[i];
        snprintf(j->name, sizeof j->name, "%s/%s/seed-%d", e->name, m->label, seed);
        j->folder = tx_path_join(out, j->name);
        j->config = tx_spec_json(&e->c->data[e->data].spec, m, &e->c->evaluate, seed);
        tx_copy_text(j->dataset_sha256, sizeof j->dataset_sha256, e->set->data.sha256);
        tx_copy_text(j->view_sha256, sizeof j->view_sha256, e->set->view.sha256);
        j->n_parameter = n_parameter;
        j->n_step = unfit ? 0 : steps_of(m, e->set);
        j->state = unfit ? TX_JOB_UNFIT : TX_JOB_NEW;
        if (unfit) tx_copy_text(j->why, sizeof j->why, unfit);
    }
    return TX_OK;
}

/* What a data set's reader had to say, each line once: several views read the same files. */
static void add_note(tx_plan *p, char *note)
{
    for (char *line = note, *rest = NULL; (line = strtok_r(line, "\n", &rest)); line = NULL)
        if (!p->note.s || !strstr(p->note.s, line)) tx_text_add(&p->note, "%s\n", line);
}

static tx_status open_scene(tx_plan *p, const tx_comparison *c, int k, tx_setting **out)
{
    char *note = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&note, &bytes);
    if (!f) tx_no_memory("notes");
    tx_status s = tx_setting_open_data(out, &c->data[k].spec, f);
    if (fclose(f) != 0) tx_no_memory("notes");
    if (!s) add_note(p, note);
    free(note);
    if (s != TX_ECONFIG) return s;
    char why[TX_TEXT_MAX];
    tx_copy_text(why, sizeof why, tx_last_error());
    return tx_yaml_fail(c->data[k].at, c->origin, "%s", why);
}

static tx_status check_unique(const tx_plan *p, const scene *e, const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; i < p->n; i++)
        if (strncmp(p->job[i].name, name, n) == 0 && p->job[i].name[n] == '/')
            return tx_yaml_fail(e->c->data[e->data].at, e->c->origin,
                                "'%s' is there twice: the runs of a comparison have one folder a data set and view",
                                name);
    return TX_OK;
}

static tx_status add_scene(tx_plan *p, const tx_comparison *c, int k, const char *out)
{
    tx_setting *set = NULL;
    TX_TRY(open_scene(p, c, k, &set));
    scene e = {.c = c, .data = k, .set = set};
    char name[TX_NAME_MAX];
    tx_label_of(set->data.name, name, sizeof name);
    snprintf(e.name, sizeof e.name, "%s-%s", name, set->view.ops->name);
    tx_status s = check_unique(p, &e, e.name);
    for (int i = 0; !s && i < c->n_model; i++) s = add_model(p, &e, i, out);
    if (!s) note_unfit(p, &e, &(asked){0});
    for (int i = 0; !s && i < c->evaluate.n; i++) {
        bool told = false; /* of another entry of the same estimator */
        for (int j = 0; j < i; j++) told |= c->evaluate.estimator[j].ops == c->evaluate.estimator[i].ops;
        const tx_estimator_ops *ops = c->evaluate.estimator[i].ops;
        if (!told) note_unfit(p, &e, &(asked){.name = ops->name, .estimator = ops});
    }
    for (int i = 0; !s && i < c->evaluate.n_metric; i++)
        note_unfit(p, &e,
                   &(asked){.name = c->evaluate.metric[i].name,
                            .metric = c->evaluate.metric[i].ops,
                            .config = c->evaluate.metric[i].config});
    tx_setting_close(set);
    return s;
}

tx_status tx_plan_make(tx_plan *p, const tx_comparison *c, const char *out)
{
    tx_plan plan = {0};
    tx_status s = TX_OK;
    int fit = 0;
    for (int i = 0; !s && i < c->n_data; i++) s = add_scene(&plan, c, i, out);
    for (int i = 0; i < plan.n; i++) fit += plan.job[i].state != TX_JOB_UNFIT;
    if (!s && fit == 0)
        s = tx_yaml_fail(c->model[0].at, c->origin, "no model applies to any data set: %s: %s", plan.job[0].name,
                         plan.job[0].why);
    if (s)
        tx_plan_free(&plan);
    else
        *p = plan;
    return s;
}

void tx_plan_free(tx_plan *p)
{
    for (int i = 0; i < p->n; i++) {
        free(p->job[i].folder);
        json_decref(p->job[i].config);
    }
    free(p->job);
    tx_text_free(&p->note);
    *p = (tx_plan){0};
}

static const char *difference(const tx_job *j, const tx_run_info *r, char *buf, size_t size)
{
    if (tx_json_differ(r->config, j->config, buf, size)) return buf;
    if (strcmp(r->dataset_sha256, j->dataset_sha256) != 0) return "the data: their hashes differ";
    if (strcmp(r->view_sha256, j->view_sha256) != 0) return "the data as scored: their hashes differ";
    return NULL;
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void refuse(tx_job *j, const char *why)
{
    j->state = TX_JOB_REFUSED;
    snprintf(j->why, sizeof j->why, "%.800s: choose another --out, or --fresh to replace it", why);
}

static void look_at_result(tx_job *j, const char *path, const tx_run_info *r)
{
    char buf[TX_TEXT_MAX], why[3 * TX_TEXT_MAX];
    const char *what = difference(j, r, buf, sizeof buf);
    j->state = tx_run_complete(r) ? TX_JOB_KEPT : TX_JOB_KEPT_DIVERGED;
    tx_copy_text(j->why, sizeof j->why, j->state == TX_JOB_KEPT ? "" : r->failure);
    if (!what) return;
    snprintf(why, sizeof why, "%s: a finished run differs from this one in %s", path, what);
    refuse(j, why);
}

static void look(tx_job *j)
{
    char *path = tx_path_join(j->folder, "result.h5"), *checkpoint = tx_checkpoint_newest(j->folder), why[TX_TEXT_MAX];
    tx_run_info r = {0};
    if (!exists(path)) {
        j->state = checkpoint ? TX_JOB_RESUME : TX_JOB_NEW;
    } else if (tx_run_read(path, false, &r) == TX_OK) {
        look_at_result(j, path, &r);
        tx_run_info_free(&r);
    } else {
        tx_copy_text(why, sizeof why, tx_last_error());
        if (tx_content_verify(path) == TX_EDATA)
            tx_copy_text(j->why, sizeof j->why, why);
        else
            refuse(j, why);
    }
    free(path);
    free(checkpoint);
}

tx_status tx_plan_look(tx_plan *p)
{
    const tx_job *refused = NULL;
    int left = 0;
    for (int i = 0; i < p->n; i++) {
        if (p->job[i].state == TX_JOB_NEW) look(&p->job[i]);
        left += p->job[i].state != TX_JOB_REFUSED && p->job[i].state != TX_JOB_UNFIT;
        if (!refused && p->job[i].state == TX_JOB_REFUSED) refused = &p->job[i];
    }
    return refused && !left ? tx_fail(TX_EDATA, "%s", refused->why) : TX_OK;
}

void tx_plan_shard(tx_plan *p, int k, int n)
{
    int count = 0;
    for (int i = 0; i < p->n; i++)
        if (p->job[i].state != TX_JOB_UNFIT && count++ % n != k - 1) p->job[i].state = TX_JOB_OTHER_SHARD;
}

void tx_plan_write(const tx_plan *p, const char *out)
{
    char *path = tx_path_join(out, TX_PLAN_FILE);
    tx_text t = {0};
    for (int i = 0; i < p->n; i++) {
        const tx_job *j = &p->job[i];
        if (j->state == TX_JOB_UNFIT) continue;
        json_t *line = json_pack("{ss, sf, sf}", "run", j->name, "n_parameter", j->n_parameter, "n_step", j->n_step);
        char *text = tx_json_text(line);
        tx_text_add(&t, "%s\n", text);
        free(text);
        json_decref(line);
    }
    if (tx_make_folders(out) == TX_OK) tx_commit(path, t.s, t.len);
    tx_text_free(&t);
    free(path);
}
