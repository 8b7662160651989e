#include "common/data/view.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/data/views.h"
#include "common/tensor/parallel.h"

enum { TILE_ROWS = 8, MOMENT_ROWS = 4096, HASH_ROWS = 256 };

const char *tx_measure_name(tx_measure m) { return m == TX_COUNTING ? "counting" : "lebesgue"; }
const char *tx_view_choices(void) { return tx_view_names; }

#define FIELD(f) offsetof(tx_view_config, f)
const tx_option tx_view_options[] = {
    {"view", TX_OPT_CHOICE, FIELD(view), "raw", 0, 0, tx_view_names,
     "what of the data models are trained and scored on", NULL},
    {"lambda", TX_OPT_REAL, FIELD(lambda), "1e-6", 1e-12, 0.49, NULL, "logit: distance that keeps 0 and 1 finite",
     "Papamakarios et al. 2017, section 4.2"},
    {0},
};

static tx_rng train_rng(uint64_t seed, uint64_t epoch)
{
    return tx_rng_fold(tx_rng_named(tx_rng_root(seed), "view"), epoch);
}

static tx_rng fixed_rng(const tx_view *v, tx_split s)
{
    const tx_rng data = tx_rng_named(tx_rng_root(0), v->data->name);
    return tx_rng_named(tx_rng_named(data, v->ops->name), tx_split_name(s));
}

tx_rng tx_view_fixed_rng(const tx_view *v, tx_split s, size_t row) { return tx_rng_fold(fixed_rng(v, s), row); }

typedef struct rows_job {
    const tx_view *v;
    tx_split s;
    tx_rng rng;
    const uint32_t *row; /* NULL: from, from + 1, ... */
    size_t from, n;
    real *y;
    double *log_jacobian;
} rows_job;

static void rows_tile(void *ctx, size_t tile)
{
    const rows_job *job = ctx;
    const tx_view *v = job->v;
    for (size_t i = tile * TILE_ROWS; i < job->n && i < (tile + 1) * TILE_ROWS; i++) {
        const size_t row = job->row ? job->row[i] : job->from + i;
        TX_REQUIRE(row < v->data->split[job->s].n, "row %zu of %zu in %s", row, v->data->split[job->s].n,
                   tx_split_name(job->s));
        const tx_rng r = v->ops->random ? tx_rng_fold(job->rng, row) : job->rng;
        const double jacobian = v->ops->row(v, job->s, row, r, job->y + i * v->space.dim);
        if (job->log_jacobian) job->log_jacobian[i] = jacobian;
    }
}

static void run_rows(rows_job job, uint64_t seed, uint64_t epoch)
{
    job.rng = job.s == TX_TRAIN ? train_rng(seed, epoch) : fixed_rng(job.v, job.s);
    tx_parallel((job.n + TILE_ROWS - 1) / TILE_ROWS, rows_tile, &job);
}

void tx_view_rows(const tx_view *v, tx_split s, uint64_t seed, uint64_t epoch, const uint32_t row[], size_t n, real y[],
                  double log_jacobian[])
{
    run_rows((rows_job){.v = v, .s = s, .row = row, .n = n, .y = y, .log_jacobian = log_jacobian}, seed, epoch);
}

void tx_view_range(const tx_view *v, tx_split s, size_t from, size_t n, real y[], double log_jacobian[])
{
    run_rows((rows_job){.v = v, .s = s, .from = from, .n = n, .y = y, .log_jacobian = log_jacobian}, 0, 0);
}

void tx_view_order(const tx_view *v, uint64_t seed, uint64_t epoch, uint32_t perm[])
{
    tx_rng_permutation(tx_rng_fold(tx_rng_named(tx_rng_root(seed), "shuffle"), epoch), v->data->split[TX_TRAIN].n,
                       perm);
}

/* In turn one row of each class, as long as it has any, in the order of a permutation. */
void tx_view_labelled(const tx_view *v, uint64_t seed, size_t n, uint32_t row[])
{
    const size_t all = v->space.n_train, n_class = v->space.n_class;
    const uint8_t *label = v->data->split[TX_TRAIN].label;
    TX_REQUIRE(n_class && n <= all, "%zu labelled rows of %zu in %zu classes", n, all, n_class);
    uint32_t *order = tx_alloc(all, sizeof *order);
    size_t *at = tx_alloc(n_class, sizeof *at), taken = 0;
    tx_rng_permutation(tx_rng_named(tx_rng_root(seed), "labels"), all, order);
    while (taken < n)
        for (size_t k = 0; k < n_class && taken < n; k++) {
            while (at[k] < all && label[order[at[k]]] != k) at[k]++;
            if (at[k] < all) row[taken++] = order[at[k]++];
        }
    free(order), free(at);
}

/* Sums about the first row, so that a large mean does not drown the deviation. */
typedef struct moment_job {
    const tx_view *v;
    double (*row)(const tx_view *, tx_split, size_t, tx_rng, real[]);
    double *about, *sum; /* [dim], [n_tile, 2, dim] */
} moment_job;

static void moment_tile(void *ctx, size_t tile)
{
    const moment_job *job = ctx;
    const size_t dim = job->v->data->dim, n = job->v->data->split[TX_TRAIN].n;
    double *sum = job->sum + tile * 2 * dim, *square = sum + dim;
    real *y = tx_alloc(dim, sizeof *y);
    for (size_t i = tile * MOMENT_ROWS; i < n && i < (tile + 1) * MOMENT_ROWS; i++) {
        job->row(job->v, TX_TRAIN, i, tx_rng_fold(train_rng(0, 0), i), y);
        for (size_t j = 0; j < dim; j++) {
            const double x = (double)y[j] - job->about[j];
            sum[j] += x;
            square[j] += x * x;
        }
    }
    free(y);
}

void tx_view_numeric_moments(const tx_view *v, double (*row)(const tx_view *, tx_split, size_t, tx_rng, real[]),
                             double mean[], double deviation[])
{
    const size_t dim = v->data->dim, n = v->data->split[TX_TRAIN].n, tiles = (n + MOMENT_ROWS - 1) / MOMENT_ROWS;
    real *first = tx_alloc(dim, sizeof *first);
    moment_job job = {v, row, tx_alloc(dim, sizeof(double)), tx_alloc(tiles * 2 * dim, sizeof(double))};
    row(v, TX_TRAIN, 0, tx_rng_fold(train_rng(0, 0), 0), first);
    for (size_t j = 0; j < dim; j++) job.about[j] = (double)first[j];
    tx_parallel(tiles, moment_tile, &job);
    for (size_t j = 0; j < dim; j++) {
        double sum = 0, square = 0;
        for (size_t t = 0; t < tiles; t++) {
            sum += job.sum[t * 2 * dim + j];
            square += job.sum[t * 2 * dim + dim + j];
        }
        sum /= (double)n;
        mean[j] = job.about[j] + sum;
        deviation[j] = sqrt(fmax(0, square / (double)n - sum * sum));
    }
    free(first);
    free(job.about);
    free(job.sum);
}

/* Rows as 32-bit floats, the type that files store. */
static void hash_split(const tx_view *v, tx_split s, tx_sha256 *h)
{
    const size_t dim = v->space.dim, n = v->data->split[s].n;
    real *y = tx_alloc(HASH_ROWS * dim, sizeof *y);
    float *narrow = tx_alloc(HASH_ROWS * dim, sizeof *narrow);
    tx_sha256_add_text(h, tx_split_name(s));
    for (size_t from = 0; from < n; from += HASH_ROWS) {
        const size_t rows = n - from < HASH_ROWS ? n - from : HASH_ROWS;
        tx_view_range(v, s, from, rows, y, NULL);
        for (size_t i = 0; i < rows * dim; i++) narrow[i] = (float)y[i];
        tx_sha256_add(h, narrow, rows * dim * sizeof *narrow);
    }
    free(narrow);
    free(y);
}

static size_t classes_of(const tx_dataset *d)
{
    size_t n_class = 0;
    for (size_t i = 0; d->split[TX_TRAIN].label && i < d->split[TX_TRAIN].n; i++)
        if (d->split[TX_TRAIN].label[i] >= n_class) n_class = (size_t)d->split[TX_TRAIN].label[i] + 1;
    return n_class;
}

static tx_status start(tx_view *v)
{
    const tx_dataset *d = v->data;
    v->space = (tx_space){.dim = d->dim,
                          .height = d->height,
                          .width = d->width,
                          .channel = d->channel,
                          .n_train = d->split[TX_TRAIN].n,
                          .n_class = classes_of(d)};
    v->moment = tx_alloc(4 * d->dim, sizeof *v->moment);
    v->space.mean = v->moment;
    v->space.deviation = v->moment + d->dim;
    v->ops->space(v);
    if (v->ops->prepare) TX_TRY(v->ops->prepare(v));
    if (v->ops->moments)
        v->ops->moments(v, v->moment, v->moment + d->dim);
    else
        tx_view_numeric_moments(v, v->ops->row, v->moment, v->moment + d->dim);
    tx_sha256 *h = tx_sha256_new();
    hash_split(v, TX_VALID, h);
    hash_split(v, TX_TEST, h);
    tx_sha256_end(h, v->sha256);
    return TX_OK;
}

tx_status tx_view_open(tx_view *out, const tx_dataset *data, const tx_view_config *c)
{
    tx_view v = {.ops = tx_view_list[c->view], .data = data, .lambda = c->lambda};
    const char *reason = v.ops->unfit(data);
    if (reason) return tx_fail(TX_ECONFIG, "view '%s' of data set '%s': %s", v.ops->name, data->name, reason);
    tx_status status = start(&v);
    if (status == TX_OK)
        *out = v;
    else
        tx_view_close(&v);
    return status;
}

void tx_view_close(tx_view *v)
{
    free(v->moment);
    for (int s = 0; s < TX_N_SPLIT; s++) free(v->fixed[s]);
    *v = (tx_view){0};
}
