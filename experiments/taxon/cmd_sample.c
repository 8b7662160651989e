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

/* The schema taxon-samples: /samples/x in the data's unit, and where it comes from. */
static tx_status write_h5(const char *path, const tx_stored *s, size_t n, int seed, bool mean, const real y[])
{
    const tx_view *v = &s->set->view;
    size_t dim = v->space.dim;
    real *x = tx_alloc(n * dim, sizeof *x);
    if (v->ops->invert) v->ops->invert(v, n, y, x);
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
                                .data = v->ops->invert ? x : y,
                                .unit = tx_sample_unit(v),
                                .long_name = mean ? "expected values of the samples given their last step"
                                                  : "samples of the model in the unit of the data"});
    free(x);
    return tx_h5_commit(f, NULL);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n > k && strcmp(s + n - k, end) == 0;
}

static tx_status draw(const tx_stored *s, int n, int seed, bool mean, const char *path)
{
    const tx_model_ops *ops = s->set->model->ops;
    if (!ops->sample) return tx_fail(TX_EUSAGE, "sample: '%s' cannot be sampled", ops->name);
    if (mean && !ops->sample_mean)
        return tx_fail(TX_EUSAGE, "sample: --mean: samples of '%s' have no other mean than themselves", ops->name);
    real *x = tx_alloc((size_t)n * s->set->view.space.dim, sizeof *x);
    tx_tape *t = tx_tape_new(1 << 20);
    tx_model_sample(s->set->model, t, tx_sample_stream(seed), 0, (size_t)n, mean, x);
    tx_tape_free(t);
    tx_status status = ends_with(path, ".png") ? tx_samples_png(path, &s->set->view, (size_t)n, x, true)
                                               : write_h5(path, s, (size_t)n, seed, mean, x);
    free(x);
    return status;
}

static int run(const tx_args *a)
{
    const char *path = tx_args_text(a, "output", NULL);
    int n = 0, seed = -1;
    TX_TRY(tx_args_int(a, "number", 1, MAX_SAMPLES, 100, &n));
    TX_TRY(tx_args_int(a, "seed", 0, INT_MAX, -1, &seed));
    if (!path || (!ends_with(path, ".png") && !ends_with(path, ".h5")))
        return tx_fail(TX_EUSAGE, "sample: -o: expected FILE.h5 or FILE.png; found %s", path ? path : "nothing");
    tx_threads_set(tx_cores());
    tx_stored *s = NULL;
    TX_TRY(tx_stored_open(&s, a->v[0]));
    tx_status status = draw(s, n, seed < 0 ? s->info.seed : seed, tx_args_on(a, "mean"), path);
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
