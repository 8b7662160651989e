#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/parts.h"
#include "common/tensor/parallel.h"

enum { DATA_ROWS = 64, PATH = 4 * TX_NAME_MAX };

void tx_part_config(tx_h5 *f, const json_t *config)
{
    char *text = json_dumps(config, JSON_INDENT(2) | JSON_ENCODE_ANY);
    TX_REQUIRE(text, "a config that is no JSON");
    tx_h5_put(f, &(tx_h5_array){.group = "/config",
                                .name = "json",
                                .type = TX_H5_TEXT,
                                .data = &(const char *){text},
                                .long_name = "resolved configuration, every default filled in"});
    free(text);
}

void tx_part_numbers(tx_h5 *f, const char *group, const tx_numbers *t)
{
    tx_h5_group(f, group);
    for (int i = 0; i < t->n; i++) {
        tx_h5_put_number(f, group, t->m[i].name, t->m[i].value, t->m[i].unit, t->m[i].long_name);
        char path[PATH];
        snprintf(path, sizeof path, "%s/%s", group, t->m[i].name);
        if (!isnan(t->m[i].error)) tx_h5_set_f64(f, path, "std_error", t->m[i].error);
        if (t->m[i].n_sample) tx_h5_set_i32(f, path, "n_sample", t->m[i].n_sample);
    }
}

/** The whole object as text, and each scalar under its own name where that is free. */
static void put_settings(tx_h5 *f, const char *path, const json_t *settings)
{
    char *text = json_dumps(settings, JSON_COMPACT | JSON_SORT_KEYS);
    tx_h5_set_text(f, path, "settings", text ? text : "{}");
    free(text);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)settings, key, value)
    {
        if (f->status != TX_OK || H5Aexists_by_name(f->file, path, key, H5P_DEFAULT) > 0) continue;
        if (json_is_string(value))
            tx_h5_set_text(f, path, key, json_string_value(value));
        else if (json_is_boolean(value))
            tx_h5_set_i32(f, path, key, json_is_true(value));
        else if (json_is_integer(value) && llabs(json_integer_value(value)) <= INT32_MAX)
            tx_h5_set_i32(f, path, key, (int)json_integer_value(value));
        else if (json_is_number(value))
            tx_h5_set_f64(f, path, key, json_number_value(value));
    }
}

void tx_part_timing_name(const tx_estimate *e, char name[TX_NAME_MAX])
{
    snprintf(name, TX_NAME_MAX, "evaluation_%s_%.100s", tx_split_name(e->split), e->name);
}

/** Levels as bytes, which is what they are in /data too. */
static void put_drawn_rows(tx_h5 *f, const char *group, const tx_estimate *e)
{
    bool bytes = e->measure == TX_COUNTING;
    size_t len = e->n * e->dim;
    uint8_t *level = tx_alloc(bytes ? len : 1, 1);
    for (size_t i = 0; bytes && i < len; i++) level[i] = (uint8_t)e->x[i];
    tx_h5_put(f, &(tx_h5_array){.group = group,
                                .name = "x",
                                .type = bytes ? TX_H5_U8 : TX_H5_REAL,
                                .rank = 2,
                                .dim = {{"example", e->n}, {"dim", e->dim}},
                                .data = bytes ? (const void *)level : e->x,
                                .unit = "1",
                                .long_name = "rows that the model drew, in its own space"});
    free(level);
}

static void put_estimate_arrays(tx_h5 *f, const char *group, const tx_estimate *e)
{
    bool drawn = e->split == TX_SIMULATED;
    int32_t *example = tx_alloc(e->n, sizeof *example);
    for (size_t i = 0; i < e->n; i++) example[i] = (int32_t)i;
    const struct {
        const char *name, *unit, *long_name;
        tx_h5_type type;
        const void *data;
    } array[] = {
        {"example", "1", drawn ? "row drawn from the model, from 0" : "row of the split, from 0", TX_H5_I32, example},
        {"log_likelihood", "nat", "log-likelihood of each example in the unit of the data", TX_H5_F64,
         e->log_likelihood},
        {"stderr", "nat", "Monte Carlo standard error of each log-likelihood", TX_H5_F64, e->std_error},
        {"upper_bound", "nat", "stochastic upper bound of each log-likelihood", TX_H5_F64, e->upper}};
    for (size_t i = 0; i < TX_LEN(array); i++)
        if (array[i].data)
            tx_h5_put(f, &(tx_h5_array){.group = group,
                                        .name = array[i].name,
                                        .type = array[i].type,
                                        .rank = 1,
                                        .dim = {{"example", e->n}},
                                        .data = array[i].data,
                                        .unit = array[i].unit,
                                        .long_name = array[i].long_name});
    if (e->x) put_drawn_rows(f, group, e);
    free(example);
}

static void put_estimate(tx_h5 *f, const tx_estimate *e)
{
    char group[PATH], path[PATH + 32];
    snprintf(group, sizeof group, "/likelihood/%s/%s", tx_split_name(e->split), e->name);
    snprintf(path, sizeof path, "%s/log_likelihood", group);
    put_estimate_arrays(f, group, e);
    const struct {
        const char *name, *text;
    } text[] = {{"kind", tx_kind_name(e->kind)},
                {"estimator", e->estimator},
                {"evaluated_model", e->evaluated_model},
                {"measure", tx_measure_name(e->measure)},
                {"bits_kind", isfinite(e->bits_per_dim) ? tx_kind_name(e->bits_kind) : ""}};
    const struct {
        const char *name;
        double value;
    } number[] = {{"mean", e->mean},
                  {"std_error", e->mean_error},
                  {"mc_error", e->mc_error},
                  {"bits_per_dim", e->bits_per_dim},
                  {"gradient_evaluations", e->gradient_evaluations},
                  {"model_evaluations", e->model_evaluations}};
    for (size_t i = 0; i < TX_LEN(text); i++) tx_h5_set_text(f, path, text[i].name, text[i].text);
    tx_h5_set_i32(f, path, "stochastic", e->stochastic);
    tx_h5_set_i32(f, path, "n_example", (int)e->n);
    for (size_t i = 0; i < TX_LEN(number); i++) tx_h5_set_f64(f, path, number[i].name, number[i].value);
    put_settings(f, path, e->settings);
}

void tx_part_estimates(tx_h5 *f, int n, const tx_estimate e[], tx_numbers *timing)
{
    tx_h5_group(f, "/likelihood");
    for (int i = 0; i < n; i++) {
        char name[TX_NAME_MAX];
        put_estimate(f, &e[i]);
        tx_part_timing_name(&e[i], name);
        tx_numbers_add(timing, name, "s", e[i].seconds, "wall time of this evaluation");
    }
}

static void put_root(tx_h5 *f, const tx_run *r)
{
    const tx_model_ops *ops = r->model->ops;
    const tx_dataset *d = r->view->data;
    const struct {
        const char *name, *text;
    } text[] = {{"status", r->outcome == TX_OK ? "complete" : "diverged"},
                {"failure", r->failure},
                {"model", ops->name},
                {"label", r->label},
                {"group", r->group},
                {"taxonomy_path", ops->taxonomy_path},
                {"citation", ops->citation},
                {"dataset", d->name},
                {"dataset_citation", d->citation},
                {"view", r->view->ops->name},
                {"measure", tx_measure_name(r->view->space.measure)},
                {"dataset_sha256", d->sha256},
                {"view_sha256", r->view->sha256},
                {"score", tx_score_name(tx_model_score(ops))}};
    for (size_t i = 0; i < TX_LEN(text); i++) tx_h5_set_text(f, "/", text[i].name, text[i].text);
    tx_h5_set_i32(f, "/", "levels", d->levels);
    tx_h5_set_i32(f, "/", "seed", r->seed);
    tx_h5_set_f64(f, "/", "best_score", r->training.best_score);
    tx_h5_set_i32(f, "/", "best_epoch", (int)r->training.best_epoch);
    tx_h5_set_i32(f, "/", "epochs", (int)r->training.epoch);
}

/** "valid_objective" as "valid objective". */
static void words_of(const char *name, char *out, size_t size)
{
    tx_copy_text(out, size, name);
    for (char *p = out; *p; p++)
        if (*p == '_') *p = ' ';
}

/** Curves of likelihoods are in nats; what else a model reports is its own affair. */
static const char *curve_unit(const char *name)
{
    static const char *const nats[] = {"objective", "log_likelihood", "elbo"};
    for (size_t i = 0; i < TX_LEN(nats); i++) {
        size_t n = strlen(name), end = strlen(nats[i]);
        if (n >= end && strcmp(name + n - end, nats[i]) == 0) return "nat";
    }
    return "1";
}

static void put_curves(tx_h5 *f, const tx_curves *c)
{
    tx_h5_group(f, "/train");
    if (!c || c->n_row == 0) return;
    size_t n = (size_t)c->n_row;
    int32_t *whole = tx_alloc(n, sizeof *whole);
    for (int k = 0; k < c->n_column; k++) {
        const char *name = c->name[k];
        TX_REQUIRE(k > 0 || strcmp(name, "epoch") == 0, "the first curve is '%s', not 'epoch'", name);
        bool count = strcmp(name, "epoch") == 0 || strcmp(name, "step") == 0;
        char words[TX_NAME_MAX];
        words_of(name, words, sizeof words);
        for (size_t i = 0; count && i < n; i++) whole[i] = (int32_t)c->value[k][i];
        tx_h5_put(f, &(tx_h5_array){.group = "/train",
                                    .name = name,
                                    .type = count ? TX_H5_I32 : TX_H5_F64,
                                    .rank = 1,
                                    .dim = {{"epoch", n}},
                                    .data = count ? (const void *)whole : c->value[k],
                                    .unit = curve_unit(name),
                                    .long_name = words});
    }
    free(whole);
}

/** Levels 0..255 of values that lie in [0,1] after division by `top`; what is not a number is black. */
static void put_images(tx_h5 *f, const tx_run *r, const float *x)
{
    const tx_dataset *d = r->view->data;
    double top = r->view->space.measure == TX_COUNTING ? r->view->space.levels - 1 : 1;
    size_t len = r->n_sample * d->dim;
    uint8_t *level = tx_alloc(len, 1);
    for (size_t i = 0; i < len; i++) {
        double v = x[i] / top;
        level[i] = (uint8_t)(v > 0 ? lround(255 * fmin(v, 1)) : 0);
    }
    tx_h5_put(f,
              &(tx_h5_array){
                  .group = "/samples",
                  .name = "image",
                  .type = TX_H5_U8,
                  .rank = d->channel > 1 ? 4 : 3,
                  .dim = {{"sample", r->n_sample}, {"height", d->height}, {"width", d->width}, {"channel", d->channel}},
                  .data = level,
                  .unit = "1",
                  .long_name = "samples as pictures, 0 black to 255 white"});
    free(level);
}

/** Samples of the model's space [n_sample,dim] in the data's unit, as f32. */
static float *in_data_unit(const tx_run *r, const real *y)
{
    size_t len = r->n_sample * r->view->space.dim;
    real *x = tx_alloc(len, sizeof *x);
    float *out = tx_alloc(len, sizeof *out);
    if (r->view->ops->invert) r->view->ops->invert(r->view, r->n_sample, y, x);
    for (size_t i = 0; i < len; i++) out[i] = (float)(r->view->ops->invert ? x[i] : y[i]);
    free(x);
    return out;
}

const char *tx_sample_unit(const tx_view *v)
{
    bool changed = v->dequantised_levels || (v->space.measure == TX_COUNTING && v->space.levels != v->data->levels);
    return changed || !v->data->unit[0] ? "1" : v->data->unit;
}

static void put_samples(tx_h5 *f, const tx_run *r)
{
    tx_h5_group(f, "/samples");
    if (r->n_sample == 0) return;
    const struct {
        const char *name, *long_name;
        const real *y;
    } part[] = {{"x", "samples of the model in the unit of the data", r->sample},
                {"mean", "expected values of the same samples given their last step", r->sample_mean}};
    for (size_t k = 0; k < TX_LEN(part); k++) {
        if (!part[k].y) continue;
        float *x = in_data_unit(r, part[k].y);
        tx_h5_put(f, &(tx_h5_array){.group = "/samples",
                                    .name = part[k].name,
                                    .type = TX_H5_F32,
                                    .rank = 2,
                                    .dim = {{"sample", r->n_sample}, {"dim", r->view->space.dim}},
                                    .data = x,
                                    .unit = tx_sample_unit(r->view),
                                    .long_name = part[k].long_name});
        if (k == 0 && r->view->data->height > 0) put_images(f, r, x);
        free(x);
    }
    if (r->sample_log_likelihood)
        tx_h5_put(f, &(tx_h5_array){.group = "/samples",
                                    .name = "log_likelihood",
                                    .type = TX_H5_F64,
                                    .rank = 1,
                                    .dim = {{"sample", r->n_sample}},
                                    .data = r->sample_log_likelihood,
                                    .unit = "nat",
                                    .long_name = "exact log-likelihood of each sample in the unit of the data"});
}

/** The first rows of a split as models are scored on them, so that a program elsewhere need not make our noise. */
static void put_rows(tx_h5 *f, const tx_view *v, tx_split s)
{
    size_t all = v->data->split[s].n, n = all < DATA_ROWS ? all : DATA_ROWS, len = n * v->space.dim;
    real *x = tx_alloc(len, sizeof *x);
    uint8_t *level = tx_alloc(len, 1);
    double *jacobian = tx_alloc(n, sizeof *jacobian);
    bool counting = v->space.measure == TX_COUNTING, has_jacobian = false;
    tx_view_range(v, s, 0, n, x, jacobian);
    for (size_t i = 0; counting && i < len; i++) level[i] = (uint8_t)x[i];
    for (size_t i = 0; i < n; i++) has_jacobian |= jacobian[i] != 0;
    char group[PATH];
    snprintf(group, sizeof group, "/data/%s", tx_split_name(s));
    tx_h5_put(f, &(tx_h5_array){.group = group,
                                .name = "x",
                                .type = counting ? TX_H5_U8 : TX_H5_REAL,
                                .rank = 2,
                                .dim = {{"row", n}, {"dim", v->space.dim}},
                                .data = counting ? (const void *)level : x,
                                .unit = "1",
                                .long_name = "first rows of the split as the model saw them"});
    if (has_jacobian)
        tx_h5_put(
            f, &(tx_h5_array){.group = group,
                              .name = "log_jacobian",
                              .type = TX_H5_F64,
                              .rank = 1,
                              .dim = {{"row", n}},
                              .data = jacobian,
                              .unit = "nat",
                              .long_name = "log |dy/dx|: added to log p(y) of the view it gives log p(x) of the data"});
    tx_h5_set_text(f, group, "origin", v->data->split[s].origin);
    tx_h5_set_i32(f, group, "n_rows", (int)all);
    free(jacobian);
    free(level);
    free(x);
}

/** A name for an axis of a weight that no weight of the net has. */
static void axis_name(const tx_params *p, const char *weight, int rank, int axis, char name[2 * TX_NAME_MAX])
{
    static const char *const suffix[2][TX_MAX_RANK] = {{"0", "1", "2", "3"}, {"in", "out", "", ""}};
    snprintf(name, 2 * TX_NAME_MAX, "%s_%s", weight, suffix[rank == 2][axis]);
    for (int i = 0; i < tx_params_count(p); i++)
        if (strcmp(tx_params_name(p, (tx_param){i}), name) == 0) {
            strcat(name, "_");
            i = -1;
        }
}

static void put_parameters(tx_h5 *f, const tx_model *m)
{
    tx_h5_group(f, "/parameters");
    for (int k = 0; k < m->n_net; k++) {
        const tx_params *p = m->net[k];
        char group[PATH], words[PATH];
        snprintf(group, sizeof group, "/parameters/%s", tx_params_net(p));
        tx_h5_group(f, group);
        for (int i = 0; i < tx_params_count(p); i++) {
            const char *name = tx_params_name(p, (tx_param){i});
            tx_tensor w = tx_params_value(p, (tx_param){i});
            char axis[TX_MAX_RANK][2 * TX_NAME_MAX];
            tx_h5_array a = {.group = group,
                             .name = name,
                             .type = TX_H5_REAL,
                             .rank = w.shape.rank,
                             .data = w.x,
                             .unit = "1",
                             .long_name = words};
            for (int d = 0; d < w.shape.rank; d++) {
                axis_name(p, name, w.shape.rank, d, axis[d]);
                a.dim[d].name = axis[d];
                a.dim[d].n = w.shape.dim[d];
            }
            snprintf(words, sizeof words, "weight %s of %s", name, tx_params_net(p));
            tx_h5_put(f, &a);
        }
    }
}

tx_status tx_run_write(const tx_run *r, const char *path, bool reproducible, char sha256[TX_SHA256_TEXT])
{
    tx_h5 *f = tx_h5_new(path, TX_SCHEMA_RUN, false);
    tx_numbers timing = r->timing;
    put_root(f, r);
    tx_part_config(f, r->config);
    put_curves(f, r->curves);
    tx_part_estimates(f, r->n_estimate, r->estimate, &timing);
    put_samples(f, r);
    tx_part_numbers(f, "/metrics", &r->metrics);
    for (int s = 0; s < TX_N_SPLIT; s++) put_rows(f, r->view, (tx_split)s);
    tx_part_numbers(f, "/cost", &r->cost);
    put_parameters(f, r->model);
    if (!reproducible) {
        tx_part_numbers(f, "/timing", &timing);
        tx_part_provenance(f, r->start, r->end, r->threads);
    }
    return tx_h5_commit(f, sha256);
}

/** What an evaluation has but its numbers. */
static tx_h5 *begin_evaluation(const char *path, const char *run_sha256, const json_t *config)
{
    tx_h5 *f = tx_h5_new(path, TX_SCHEMA_EVALUATION, false);
    tx_h5_set_text(f, "/", "run_sha256", run_sha256);
    tx_part_config(f, config);
    tx_part_provenance(f, NULL, NULL, tx_threads());
    return f;
}

tx_status tx_evaluation_write(const char *path, const char *run_sha256, const json_t *config, int n,
                              const tx_estimate e[])
{
    tx_h5 *f = begin_evaluation(path, run_sha256, config);
    tx_numbers timing = {0};
    tx_part_estimates(f, n, e, &timing);
    tx_part_numbers(f, "/timing", &timing);
    return tx_h5_commit(f, NULL);
}

tx_status tx_evaluation_write_metrics(const char *path, const char *run_sha256, const json_t *config,
                                      const tx_numbers *metrics, const tx_numbers *timing)
{
    tx_h5 *f = begin_evaluation(path, run_sha256, config);
    tx_part_numbers(f, "/metrics", metrics);
    tx_part_numbers(f, "/timing", timing);
    return tx_h5_commit(f, NULL);
}
