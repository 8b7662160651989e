#include "experiments/taxon/runner.h"
#include "common/base/build.h"
#include "common/base/text.h"
#include "common/store/checkpoint.h"
#include "common/store/commit.h"
#include "common/store/content.h"
#include "common/store/run_file.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/references.h"
#include "experiments/taxon/samples.h"
#include "experiments/taxon/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ESTIMATES = TX_MAX_ESTIMATORS * TX_N_SPLIT, PICTURES = 100, SAMPLE_ROWS = 200 };
static const double CHECKPOINT_SECONDS = 60, TELL_SECONDS = 0.2;

typedef struct runner {
    const tx_spec *spec;
    const tx_runner_options *options;
    json_t *config;
    tx_setting *set;
    tx_trainer *trainer;
    char *identity, *result, *metrics, *picture, *checkpoint[TX_GENERATIONS];
    int lock;
    double told, saved; /* when progress was told, a checkpoint written */
    char start[32], failure[TX_TEXT_MAX];
    tx_run run;
    tx_estimate estimate[MAX_ESTIMATES];
    const char *doing; /* the estimator at work */
} runner;

/* Takes the reference. */
static void tell_line(json_t *j)
{
    char *line = j ? tx_json_text(j) : NULL;
    if (line) puts(line);
    fflush(stdout);
    free(line);
    json_decref(j);
}

static void tell(runner *r, double share, const char *text)
{
    double now = tx_now();
    if (now - r->told < TELL_SECONDS) return;
    r->told = now;
    tell_line(json_pack("{sf, ss}", "share", share, "text", text));
}

static char *path_in(const char *folder, const char *name)
{
    tx_text t = {0};
    tx_text_add(&t, "%s/%s", folder, name);
    return t.s;
}

/* One row of the curves as a JSON object; what a row has not is left out. */
static void add_row(tx_text *t, const tx_curves *c, int row)
{
    json_t *j = json_object();
    for (int i = 0; i < c->n_column; i++) {
        double v = c->value[i][row];
        bool count = strcmp(c->name[i], "epoch") == 0 || strcmp(c->name[i], "step") == 0;
        if (isfinite(v)) json_object_set_new(j, c->name[i], count ? json_integer((json_int_t)v) : json_real(v));
    }
    char *line = tx_json_text(j);
    tx_text_add(t, "%s\n", line);
    free(line);
    json_decref(j);
}

/* The epochs that the trainer knows, and nothing that a former process recorded after its last checkpoint; then that
 * this process begins. */
static tx_status rewrite_metrics(const runner *r)
{
    const tx_curves *c = tx_trainer_curves(r->trainer);
    tx_text t = {0};
    tx_text_add(&t, "%s", "");
    for (int i = 0; i < c->n_row; i++) add_row(&t, c, i);
    if (!r->options->reproducible) tx_text_add(&t, "{\"start\": \"%s\"}\n", r->start);
    tx_status s = tx_commit(r->metrics, t.s, t.len);
    tx_text_free(&t);
    return s;
}

static tx_status append_metrics(const runner *r)
{
    const tx_curves *c = tx_trainer_curves(r->trainer);
    tx_text t = {0};
    add_row(&t, c, c->n_row - 1);
    tx_status s = tx_append(r->metrics, t.s, t.len);
    tx_text_free(&t);
    return s;
}

static tx_status save(runner *r)
{
    if (rename(r->checkpoint[0], r->checkpoint[1]) != 0 && errno != ENOENT)
        return tx_fail(TX_EIO, "%s: cannot be renamed to %s: %s", r->checkpoint[0], tx_checkpoint_name[1],
                       strerror(errno));
    TX_TRY(tx_checkpoint_write(r->checkpoint[0], r->identity, r->trainer));
    r->saved = tx_now();
    return TX_OK;
}

static tx_status stop(runner *r)
{
    TX_TRY(save(r));
    tx_trainer_state s = tx_trainer_look(r->trainer);
    return tx_fail(TX_ESTOPPED, "stopped in epoch %llu of %llu with a checkpoint",
                   (unsigned long long)s.epoch + !s.finished, (unsigned long long)s.epochs);
}

static void tell_training(runner *r)
{
    tx_trainer_state s = tx_trainer_look(r->trainer);
    double done = (double)s.epoch + (s.steps_an_epoch ? (double)s.batch_in_epoch / (double)s.steps_an_epoch : 0);
    char text[TX_NAME_MAX], valid[48] = "";
    if (isfinite(s.best_score)) snprintf(valid, sizeof valid, ", best on valid %.2f", s.best_score);
    snprintf(text, sizeof text, "epoch %llu of %llu%s", (unsigned long long)s.epoch + !s.finished,
             (unsigned long long)s.epochs, valid);
    double share = done / (double)s.epochs, most = r->spec->model.train.max_steps;
    if (most > 0) share = fmax(share, (double)s.step / most);
    tell(r, 0.9 * share, text);
}

static tx_status train(runner *r)
{
    while (!tx_trainer_look(r->trainer).finished) {
        if (tx_stop_count() > 0) return stop(r);
        bool epoch_done = false;
        TX_TRY(tx_trainer_advance(r->trainer, &epoch_done));
        tell_training(r);
        if (!epoch_done) continue;
        TX_TRY(append_metrics(r));
        if (tx_now() - r->saved > CHECKPOINT_SECONDS) TX_TRY(save(r));
    }
    return tx_trainer_check(r->trainer);
}

/* A long estimator cannot be asked to return: the process ends here, its training saved. */
static void on_progress(void *ctx, double share)
{
    runner *r = ctx;
    tell(r, 0.9 + 0.1 * share, r->doing);
    if (tx_stop_count() == 0) return;
    tx_status s = stop(r);
    fprintf(stderr, "taxon: %s\n", tx_last_error());
    exit(s);
}

tx_rng tx_sample_stream(int seed) { return tx_rng_named(tx_rng_root((uint64_t)seed), "samples"); }

tx_status tx_runner_estimate(const tx_estimator_ops *e, const void *config, const char *name, tx_setting *s,
                             tx_split split, int n_example, int seed, void (*progress)(void *ctx, double share),
                             void *ctx, tx_estimate *out)
{
    tx_rng r = tx_rng_named(tx_rng_named(tx_rng_root((uint64_t)seed), "evaluate"), e->name);
    TX_TRY(e->run(config, s->model, &s->view, split, (size_t)n_example, tx_rng_fold(r, split), progress, ctx, out));
    TX_REQUIRE(out->split == split, "%s on '%s' gave '%s'", e->name, tx_split_name(split), tx_split_name(out->split));
    tx_copy_text(out->name, sizeof out->name, name);
    return TX_OK;
}

tx_status tx_runner_metric(const tx_metric_ops *m, const void *config, const char *name, tx_quality *q, tx_model *model,
                           const real *x, int seed, tx_numbers *out)
{
    if (m->run_model) return tx_metric_run_model(m, config, name, model, q->view, (uint64_t)seed, out);
    size_t n = tx_metric_n(m, config, q->view), dim = q->view->space.dim;
    tx_rng r = tx_rng_named(tx_rng_named(tx_rng_root((uint64_t)seed), "quality"), m->name);
    real *own = tx_alloc(n * dim, sizeof *own);
    if (q->view->ops->invert)
        q->view->ops->invert(q->view, n, x, own);
    else
        memcpy(own, x, n * dim * sizeof *x);
    tx_status s = tx_metric_run(m, config, name, q, own, r, out);
    free(own);
    return s;
}

/* All estimators that are of this split: those that draw their own rows are of `simulated` alone. */
static tx_status evaluate_split(runner *r, tx_split split, int n_example)
{
    const tx_evaluate_spec *v = &r->spec->evaluate;
    for (int i = 0; i < v->n; i++) {
        const tx_estimator_ops *e = v->estimator[i].ops;
        if (e->simulates != (split == TX_SIMULATED) || e->unfit(r->set->model->ops, &r->set->view)) continue;
        r->doing = v->estimator[i].name;
        TX_TRY(tx_runner_estimate(e, v->estimator[i].config, v->estimator[i].name, r->set, split, n_example,
                                  r->spec->seed, on_progress, r, &r->estimate[r->run.n_estimate]));
        r->run.n_estimate++;
        on_progress(r, 1);
    }
    return TX_OK;
}

static tx_status evaluate(runner *r)
{
    const tx_evaluate_spec *v = &r->spec->evaluate;
    for (int k = 0; k < TX_N_SPLIT; k++) {
        size_t n = r->set->data.split[k].n;
        if (!v->split[k]) continue;
        if (v->n_example && (size_t)v->n_example < n) n = (size_t)v->n_example;
        tx_references_add(&r->run.metrics, &r->set->view, (tx_split)k, n);
        TX_TRY(evaluate_split(r, (tx_split)k, v->n_example));
    }
    TX_TRY(evaluate_split(r, TX_SIMULATED, 0));
    tx_references_add_entropy(&r->run.metrics, &r->set->view);
    return TX_OK;
}

/* Exact log-likelihoods of the samples in the data's unit: known where the view changes no unit. */
static double *score_samples(runner *r, tx_tape *t, size_t n, real *x)
{
    size_t dim = r->set->view.space.dim;
    if (!r->set->model->ops->log_prob || r->set->view.ops->invert) return NULL;
    double *value = tx_alloc(n, sizeof *value);
    for (size_t i = 0; i < n; i += SAMPLE_ROWS) {
        size_t rows = n - i < SAMPLE_ROWS ? n - i : SAMPLE_ROWS;
        tx_model_evaluate(r->set->model, t, TX_SCORE_LOG_PROB, tx_sample_stream(r->spec->seed), i,
                          tx_matrix(x + i * dim, rows, dim), value + i);
    }
    return value;
}

/* Is metric i asked of this model? */
static bool metric_applies(const runner *r, int i)
{
    const tx_evaluate_spec *v = &r->spec->evaluate;
    return !tx_metric_unfit(v->metric[i].ops, v->metric[i].config, r->set->model->ops, &r->set->view);
}

/* Samples that are stored, or that a metric needs: of one stream, so that the first are the same. */
static size_t samples_needed(const runner *r)
{
    const tx_evaluate_spec *v = &r->spec->evaluate;
    size_t n = (size_t)v->n_sample;
    for (int i = 0; i < v->n_metric; i++) {
        size_t own = metric_applies(r, i) ? tx_metric_n(v->metric[i].ops, v->metric[i].config, &r->set->view) : 0;
        if (own > n) n = own;
    }
    return n;
}

static tx_status measure(runner *r)
{
    const tx_evaluate_spec *v = &r->spec->evaluate;
    tx_quality *q = tx_quality_new(&r->set->view);
    tx_status s = TX_OK;
    for (int i = 0; !s && i < v->n_metric; i++) {
        if (!metric_applies(r, i)) continue;
        double start = tx_now();
        char name[TX_NAME_MAX];
        r->doing = v->metric[i].name;
        on_progress(r, 1);
        s = tx_runner_metric(v->metric[i].ops, v->metric[i].config, v->metric[i].name, q, r->set->model, r->run.sample,
                             r->spec->seed, &r->run.metrics);
        snprintf(name, sizeof name, "metric_%s", v->metric[i].name);
        tx_numbers_add(&r->run.timing, name, "s", tx_now() - start, "wall time of this metric");
    }
    tx_quality_free(q);
    return s;
}

static void measure_mixing(runner *r, double tau)
{
    if (!isfinite(tau)) return;
    tx_numbers_add(&r->run.cost, "autocorrelation_time", "1", tau,
                   "steps of the Markov chain that tell as much as one independent draw");
    tx_numbers_add(&r->run.cost, "effective_samples_per_step", "1", 1 / tau, "its inverse");
}

static tx_status draw(runner *r)
{
    tx_model *m = r->set->model;
    size_t n = m->ops->sample ? samples_needed(r) : 0, dim = r->set->view.space.dim;
    size_t n_stored = (size_t)r->spec->evaluate.n_sample;
    if (n == 0) return TX_OK;
    tx_tape *t = tx_tape_new(1 << 20);
    tx_rng stream = tx_sample_stream(r->spec->seed);
    real *x = tx_alloc(n * dim, sizeof *x),
         *mean = m->ops->sample_mean && n_stored ? tx_alloc(n_stored * dim, sizeof *mean) : NULL;
    double start = tx_now();
    tx_model_sample(m, t, stream, 0, n, false, x);
    bool finite = tx_vec_finite(n * dim, x);
    tx_numbers_add(&r->run.timing, "sample_seconds_per_1000", "s", (tx_now() - start) * 1000 / (double)n,
                   "wall time of 1000 samples");
    if (mean) tx_model_sample(m, t, stream, 0, n_stored, true, mean);
    if (finite && m->ops->autocorrelation_time)
        measure_mixing(r, m->ops->autocorrelation_time(m, t, tx_rng_named(stream, "mixing")));
    r->run.n_sample = n_stored;
    r->run.sample = x;
    r->run.sample_mean = mean;
    r->run.sample_log_likelihood = n_stored ? score_samples(r, t, n_stored, x) : NULL;
    tx_tape_free(t);
    if (!finite) return tx_fail(TX_EDIVERGED, "a sample of the model is not finite");
    size_t shown = n_stored < PICTURES || dim == 2 ? n_stored : PICTURES;
    return shown == 0 ? TX_OK : tx_samples_png(r->picture, &r->set->view, shown, mean ? mean : x, false);
}

static void count_cost(runner *r)
{
    tx_trainer_state s = r->run.training;
    const tx_model *m = r->set->model;
    double n = (double)r->set->data.split[TX_TRAIN].n, batch = fmin(r->spec->model.train.batch, n);
    double epochs = s.steps_an_epoch ? floor((double)s.step / (double)s.steps_an_epoch) : (double)s.epoch;
    double rest = s.steps_an_epoch ? (double)(s.step % s.steps_an_epoch) : 0;
    tx_numbers *c = &r->run.cost, *t = &r->run.timing;
    tx_numbers_add(c, "n_parameter", "1", (double)tx_model_size(m), "parameters of all networks");
    tx_numbers_add(c, "n_step", "1", (double)s.step, "optimiser steps taken");
    tx_numbers_add(c, "n_example_seen", "1", epochs * n + rest * batch, "training examples seen, repetitions counted");
    tx_numbers_add(c, "sequential_steps_per_sample", "1", m->ops->sequential_steps ? m->ops->sequential_steps(m) : 1,
                   "passes through the model, one after another, that one sample takes");
    tx_numbers_add(t, "train_seconds", "s", s.seconds, "wall time of training with validation");
    tx_numbers_add(t, "seconds_per_epoch", "s", s.seconds / fmax((double)s.epoch, 1), "wall time of an epoch");
}

/* What training and evaluation found, whether or not the numbers stayed finite. */
static tx_status write_result(runner *r, tx_status outcome)
{
    char end[32];
    tx_utc(end);
    tx_run *run = &r->run;
    run->config = r->config;
    run->label = r->spec->model.label;
    run->group = r->spec->model.group;
    run->model = r->set->model;
    run->view = &r->set->view;
    run->seed = r->spec->seed;
    run->outcome = outcome;
    run->failure = outcome ? r->failure : NULL;
    run->curves = tx_trainer_curves(r->trainer);
    run->training = tx_trainer_look(r->trainer);
    run->estimate = r->estimate;
    run->start = r->start;
    run->end = end;
    run->threads = tx_threads();
    count_cost(r);
    TX_TRY(tx_run_write(run, r->result, r->options->reproducible, NULL));
    /* What was still good of a run that diverged is kept. */
    for (int g = 0; g < TX_GENERATIONS && outcome == TX_OK; g++)
        if (unlink(r->checkpoint[g]) != 0 && errno != ENOENT)
            return tx_fail(TX_EIO, "%s: cannot be removed: %s", r->checkpoint[g], strerror(errno));
    return outcome == TX_OK ? TX_OK : tx_fail(outcome, "%s", r->failure);
}

static tx_status work(runner *r)
{
    tx_status s = train(r);
    if (!s) s = evaluate(r);
    if (!s) s = draw(r);
    if (!s) s = measure(r);
    if (s && s != TX_EDIVERGED) return s;
    tx_copy_text(r->failure, sizeof r->failure, s ? tx_last_error() : "");
    return write_result(r, s);
}

/* Removes what a killed process had not yet committed; with `all` everything that a former run left. */
static void sweep(const char *folder, bool all)
{
    static const char *const known[] = {"result.h5", "checkpoint.h5", "checkpoint.prev.h5", "samples.png",
                                        "metrics.jsonl"};
    for (size_t i = 0; i < TX_LEN(known); i++) {
        char *path = path_in(folder, known[i]);
        tx_text parts = {0};
        tx_text_add(&parts, "%s.", path);
        tx_sweep(parts.s, ".part");
        if (all) unlink(path);
        tx_text_free(&parts);
        free(path);
    }
    char *evaluations = path_in(folder, "evaluation-");
    tx_sweep(evaluations, all ? "" : ".part");
    free(evaluations);
}

/* The process that has the lock of this folder, 0 where the system does not tell. */
static long holder_of(int folder)
{
    FILE *f = fopen("/proc/locks", "re");
    struct stat st;
    char line[256];
    long pid, found = 0;
    unsigned major, minor;
    unsigned long inode;
    while (f && !found && fstat(folder, &st) == 0 && fgets(line, sizeof line, f))
        if (sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &pid, &major, &minor, &inode) == 4 && inode == st.st_ino &&
            makedev(major, minor) == st.st_dev)
            found = pid;
    if (f) fclose(f);
    return found;
}

/* The kernel forgets the lock with the process: nothing is left to clean up after a kill. */
static tx_status lock(runner *r)
{
    TX_TRY(tx_make_folders(r->options->folder));
    r->lock = open(r->options->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->lock < 0) return tx_fail(TX_ECREATE, "%s: cannot be opened: %s", r->options->folder, strerror(errno));
    bool held = flock(r->lock, LOCK_EX | LOCK_NB) != 0; /* by who works; or shared, for a moment, by who only looks */
    for (int tries = 0; held && errno == EWOULDBLOCK && tries < 50; tries++) {
        if (flock(r->lock, LOCK_SH | LOCK_NB) != 0) break;
        flock(r->lock, LOCK_UN);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        held = flock(r->lock, LOCK_EX | LOCK_NB) != 0;
    }
    if (!held) return TX_OK;
    if (errno == EWOULDBLOCK) {
        char who[48] = "another process";
        long pid = holder_of(r->lock);
        if (pid > 0) snprintf(who, sizeof who, "process %ld", pid);
        return tx_fail(TX_ESTOPPED, "%s: %s works on this run; run the command again when it has ended",
                       r->options->folder, who);
    }
    return TX_OK; /* a file system without locks */
}

/* All that must be equal to go on from a checkpoint. */
static char *identity_of(const runner *r)
{
    tx_text t = {0};
    char *config = tx_json_text(r->config);
    tx_text_add(&t, "config %s\ndataset %s\nview %s\nversion %s\nreal %zu bytes\n", config, r->set->data.sha256,
                r->set->view.sha256, TX_VERSION, sizeof(real));
    free(config);
    return t.s;
}

/* To the log and to the user. */
static void note(json_t *text)
{
    fprintf(stderr, "taxon: %s\n", json_string_value(text));
    tell_line(json_pack("{so}", "note", text));
}

/* A file of a former run whose bytes are not those that were written is neither used nor lost, and no reason to stop.
 */
static tx_status set_aside_damaged(const char *path)
{
    char why[TX_TEXT_MAX], aside[TX_TEXT_MAX];
    if (access(path, F_OK) != 0 || tx_content_verify(path) != TX_EDATA) return TX_OK;
    tx_copy_text(why, sizeof why, tx_last_error());
    TX_TRY(tx_set_aside(path, aside));
    note(json_sprintf("%s; set aside as %s", why, aside));
    return TX_OK;
}

/* From the newest generation that is whole; TX_ENOINPUT where there is none. */
static tx_status resume(runner *r)
{
    tx_status s = tx_checkpoint_read(r->checkpoint[0], r->identity, r->trainer);
    if (s != TX_ENOINPUT) return s;
    TX_TRY(tx_checkpoint_read(r->checkpoint[1], r->identity, r->trainer));
    note(json_sprintf("%s: goes on from here, the checkpoint before the last", r->checkpoint[1]));
    return TX_OK;
}

static tx_status prepare(runner *r)
{
    const char *folder = r->options->folder;
    TX_TRY(lock(r));
    sweep(folder, r->options->fresh);
    r->result = path_in(folder, "result.h5");
    for (int g = 0; g < TX_GENERATIONS; g++) r->checkpoint[g] = path_in(folder, tx_checkpoint_name[g]);
    r->metrics = path_in(folder, "metrics.jsonl");
    r->picture = path_in(folder, "samples.png");
    TX_TRY(tx_check_place(r->picture));
    TX_TRY(set_aside_damaged(r->result));
    if (access(r->result, F_OK) == 0)
        return tx_fail(TX_ESTOPPED, "%s: another process has ended this run; run the command again", r->result);
    for (int g = 0; g < TX_GENERATIONS; g++) TX_TRY(set_aside_damaged(r->checkpoint[g]));
    TX_TRY(tx_setting_open(&r->set, r->spec, stderr));
    r->identity = identity_of(r);
    TX_TRY(tx_trainer_new(&r->trainer, r->set->model, &r->set->view, &r->spec->model.train, (uint64_t)r->spec->seed));
    tx_status s = resume(r);
    if (s && s != TX_ENOINPUT) {
        char why[TX_TEXT_MAX];
        tx_copy_text(why, sizeof why, tx_last_error());
        return tx_fail(s, "%s: choose another --out, or --fresh to start this run anew", why);
    }
    r->saved = tx_now();
    return rewrite_metrics(r);
}

static void clear(runner *r)
{
    for (int i = 0; i < r->run.n_estimate; i++) tx_estimate_free(&r->estimate[i]);
    free((void *)r->run.sample);
    free((void *)r->run.sample_mean);
    free((void *)r->run.sample_log_likelihood);
    tx_trainer_free(r->trainer);
    tx_setting_close(r->set);
    json_decref(r->config);
    char *text[] = {r->identity, r->result, r->metrics, r->picture, r->checkpoint[0], r->checkpoint[1]};
    for (size_t i = 0; i < TX_LEN(text); i++) free(text[i]);
    if (r->lock >= 0) close(r->lock);
}

void tx_runner_tidy(const char *folder)
{
    struct stat st;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *log = path_in(folder, "log.txt");
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        for (int g = 0; g < TX_GENERATIONS; g++) {
            char *path = path_in(folder, tx_checkpoint_name[g]);
            unlink(path);
            free(path);
        }
        if (stat(log, &st) == 0 && st.st_size == 0) unlink(log);
    }
    if (fd >= 0) close(fd);
    free(log);
}

tx_status tx_runner_run(const tx_spec *spec, const tx_runner_options *o)
{
    runner *r = tx_alloc(1, sizeof *r);
    r->spec = spec;
    r->options = o;
    r->lock = -1;
    r->config = tx_spec_json(&spec->data, &spec->model, &spec->evaluate, spec->seed);
    tx_utc(r->start);
    tx_stop_watch(true);
    tx_status s = prepare(r);
    if (!s) s = work(r);
    clear(r);
    free(r);
    return s;
}
