#include "common/store/h5.h"
#include "common/tensor/parallel.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/runner.h"
#include "experiments/taxon/samples.h"
#include "experiments/taxon/schedule.h"
#include "experiments/taxon/stored.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SAMPLES = 10000000 };

/* Draws as tx_model_sample does for all of them at once, a block after the other. */
enum { BLOCK = TX_SAMPLE_CHUNK };
typedef struct sampler {
    const tx_stored *s;
    tx_tape *tape;
    int seed;
    bool mean;
    size_t n, first, rows; /* of all samples, and those in y and x */
    real *y, *x;           /* [BLOCK, dim], in the view's unit and in the data's */
} sampler;

static void next_block(sampler *q)
{
    const tx_view *v = &q->s->set->view;
    q->first += q->rows;
    q->rows = q->n - q->first < BLOCK ? q->n - q->first : BLOCK;
    tx_model_sample(q->s->set->model, q->tape, tx_sample_stream(q->seed), q->first, q->rows, q->mean, q->y);
    if (v->ops->invert)
        v->ops->invert(v, q->rows, q->y, q->x);
    else
        memcpy(q->x, q->y, q->rows * v->space.dim * sizeof *q->x);
}

static void fill(void *ctx, size_t first, size_t n, void *to)
{
    sampler *q = ctx;
    size_t dim = q->s->set->view.space.dim, end = first + n;
    for (real *x = to; first < end;) {
        if (first == q->first + q->rows) next_block(q);
        size_t at = first - q->first, rows = q->rows - at < end - first ? q->rows - at : end - first;
        memcpy(x, q->x + at * dim, rows * dim * sizeof *x);
        x += rows * dim, first += rows;
    }
}

/* The schema taxon-samples: /samples/x in the data's unit, and where it comes from. */
static tx_status write_h5(const char *path, const tx_stored *s, size_t n, int seed, bool mean)
{
    const tx_view *v = &s->set->view;
    size_t dim = v->space.dim;
    real *block = tx_alloc(2 * BLOCK * dim, sizeof *block);
    sampler q = {s, tx_tape_new(1 << 20), seed, mean, n, 0, 0, block, block + BLOCK * dim};
    tx_h5 *f = tx_h5_new(path, "taxon-samples", false);
    tx_h5_set_text(f, "/", "run_sha256", s->info.content_sha256);
    tx_h5_set_text(f, "/", "model", s->info.model);
    tx_h5_set_text(f, "/", "dataset", s->info.dataset);
    tx_h5_set_text(f, "/", "view", s->info.view);
    tx_h5_set_i32(f, "/", "seed", seed);
    tx_h5_put(f, &(tx_h5_array){.group = "/samples",
                                .name = mean ? "mean" : "x",
                                .type = TX_H5_REAL,
                                .rank = 2,
                                .dim = {{"sample", n}, {"dim", dim}},
                                .fill = fill,
                                .ctx = &q,
                                .unit = tx_sample_unit(v),
                                .long_name = mean ? "expected values of the samples given their last step"
                                                  : "samples of the model in the unit of the data"});
    tx_tape_free(q.tape);
    free(block);
    return tx_h5_commit(f, NULL);
}

static tx_status write_png(const char *path, const tx_stored *s, size_t n, int seed, bool mean)
{
    real *y = tx_alloc(n * s->set->view.space.dim, sizeof *y);
    tx_tape *t = tx_tape_new(1 << 20);
    tx_model_sample(s->set->model, t, tx_sample_stream(seed), 0, n, mean, y);
    tx_tape_free(t);
    tx_status status = tx_samples_png(path, &s->set->view, n, y, true);
    free(y);
    return status;
}

static tx_status draw(const tx_stored *s, int n, int seed, bool mean, const char *path, bool png)
{
    const tx_model_ops *ops = s->set->model->ops;
    if (!ops->sample) return tx_fail(TX_EUSAGE, "sample: '%s' cannot be sampled", ops->name);
    if (mean && !ops->sample_mean)
        return tx_fail(TX_EUSAGE, "sample: --mean: samples of '%s' have no other mean than themselves", ops->name);
    return (png ? write_png : write_h5)(path, s, (size_t)n, seed, mean);
}

static int run(const tx_args *a)
{
    const char *path;
    bool png;
    int n = 0, seed = -1;
    TX_TRY(tx_args_int(a, "number", 1, MAX_SAMPLES, 100, &n));
    TX_TRY(tx_args_int(a, "seed", 0, INT_MAX, -1, &seed));
    TX_TRY(tx_samples_output(a, &path, &png));
    tx_threads_set(tx_cores());
    tx_stored *s = NULL;
    TX_TRY(tx_stored_open(&s, a->v[0]));
    tx_status status = draw(s, n, seed < 0 ? s->info.seed : seed, tx_args_on(a, "mean"), path, png);
    tx_stored_close(s);
    return status;
}

static const tx_flag flags[] = {
    {"number", 'n', "N", "how many samples (100)"},
    {"output", 'o', "FILE", "FILE.h5 or FILE.png"},
    {"seed", 0, "S", "of the samples (the run's: its file holds the same ones)"},
    {"mean", 0, NULL, "expected values instead of draws, where the model has them"},
    {0},
};
const tx_command tx_command_sample = {.name = "sample",
                                      .summary = "Samples of a finished run's model",
                                      .usage = "RUN -n N -o FILE.h5|FILE.png",
                                      .flags = flags,
                                      .min = 1,
                                      .max = 1,
                                      .run = run};
