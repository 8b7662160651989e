#include "common/tensor/optim.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"

enum { TILE = 1 << 18, TILE_ROWS = 64, TILES = 64 }; /* of a postponed gradient: a tile of it stays in the cache */

#define OPTIMISERS(X) X(sgd) X(rmsprop) X(adagrad) X(adam)
#define X(name)       extern const tx_optim_ops tx_optim_##name;
OPTIMISERS(X)
#undef X

const tx_optim_ops *const tx_optim_list[] = {
#define X(name) &tx_optim_##name,
    OPTIMISERS(X)
#undef X
        NULL};

const tx_optim_ops *tx_optim_find(const char *name)
{
    for (int i = 0; tx_optim_list[i]; i++)
        if (strcmp(tx_optim_list[i]->name, name) == 0) return tx_optim_list[i];
    return NULL;
}

static double constant(double a, double b, double f) { return (void)b, (void)f, a; }
static double linear(double a, double b, double f) { return a + (b - a) * f; }
static double exponential(double a, double b, double f) { return a * pow(b / a, f); }
static double cosine(double a, double b, double f) { return b + (a - b) * 0.5 * (1 + cos(acos(-1.0) * f)); }
static double (*const schedule[])(double a, double b, double f) = {
    [TX_SCHEDULE_CONSTANT] = constant,
    [TX_SCHEDULE_LINEAR] = linear,
    [TX_SCHEDULE_EXPONENTIAL] = exponential,
    [TX_SCHEDULE_COSINE] = cosine,
};

double tx_schedule_rate(tx_schedule s, double initial, double final, uint64_t t, uint64_t total)
{
    TX_REQUIRE((size_t)s < TX_LEN(schedule), "schedule %d of " TX_SCHEDULE_CHOICES, (int)s);
    TX_REQUIRE(s != TX_SCHEDULE_EXPONENTIAL || (initial > 0 && final > 0), "a geometric schedule from %g to %g",
               initial, final);
    if (total <= 1 || t == 0) return initial;
    return schedule[s](initial, final, t < total ? (double)t / (double)(total - 1) : 1);
}

struct tx_optim {
    const tx_optim_ops *ops;
    void *config;
    uint64_t t;
    size_t len;
    real *slot[TX_OPTIM_MAX_SLOTS];
};

tx_optim *tx_optim_new(const tx_optim_ops *ops, const void *config, const tx_params *p)
{
    TX_REQUIRE(ops->n_slots <= TX_OPTIM_MAX_SLOTS, "%s: %d slots", ops->name, ops->n_slots);
    tx_optim *o = tx_alloc(1, sizeof *o);
    o->ops = ops;
    o->config = tx_alloc(1, ops->config_size);
    memcpy(o->config, config, ops->config_size);
    o->len = tx_len(tx_params_block(p));
    for (int s = 0; s < ops->n_slots; s++) o->slot[s] = tx_alloc(o->len, sizeof(real));
    return o;
}

void tx_optim_free(tx_optim *o)
{
    if (!o) return;
    for (int s = 0; s < TX_OPTIM_MAX_SLOTS; s++) free(o->slot[s]);
    free(o->config);
    free(o);
}

static double norm(int n, tx_var const grad[])
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += tx_vec_dot(tx_len(grad[i]->v), grad[i]->v.x, grad[i]->v.x);
    return sqrt(sum);
}

/** One weight's step. A large gradient that is still postponed is made a few rows at a time and used up while it is in
 *  the cache; it never exists as a whole. */
typedef struct update {
    const tx_optim *o;
    real lr, gscale, decay;
    tx_var grad;
    real *w, *slot[TX_OPTIM_MAX_SLOTS], *scratch; /* scratch: a tile for each thread */
    size_t rows, cols, tile;
    bool bad[TILES];
} update;

static bool step_rows(const update *u, size_t from, size_t to, const real *g)
{
    real *slot[TX_OPTIM_MAX_SLOTS] = {NULL};
    for (int s = 0; s < u->o->ops->n_slots; s++) slot[s] = u->slot[s] + from * u->cols;
    return u->o->ops->step(u->o->config, u->o->t, u->lr, u->gscale, u->decay, (to - from) * u->cols,
                           u->w + from * u->cols, g, slot);
}

static void step_tile(void *ctx, size_t i)
{
    update *u = ctx;
    size_t from = i * u->tile, to = from + u->tile < u->rows ? from + u->tile : u->rows;
    real *g = u->scratch + (size_t)tx_thread() * u->tile * u->cols;
    u->grad->rows(u->grad, from, to, g);
    u->bad[i] = !step_rows(u, from, to, g);
}

static bool step_postponed(update *u, tx_tape *t, size_t tiles)
{
    bool finite = true;
    u->tile = (u->rows + tiles - 1) / tiles;
    tiles = (u->rows + u->tile - 1) / u->tile;
    u->scratch = tx_arena_alloc(tx_tape_arena(t), (size_t)tx_threads() * u->tile * u->cols * sizeof(real));
    tx_parallel(tiles, step_tile, u);
    for (size_t i = 0; i < tiles; i++) finite &= !u->bad[i];
    return finite;
}

/** Tiles for a postponed gradient, by its shape alone: about TILE values each, but at least TILE_ROWS rows, so that
 * they cost the BLAS no more than the whole would; 0 for one that is too small to be cut. Four at least of twice as
 * many rows: masked ones are not equally long. An odd one out would leave half of two threads idle. */
static size_t tiles_of(size_t rows, size_t cols)
{
    size_t most = rows / TILE_ROWS, tiles = rows * cols / TILE;
    if (tiles < 2 && rows * cols >= TILE / 2) tiles = 2;
    if (tiles == 2 && most >= 8) tiles = 4;
    tiles += tiles % 2;
    if (tiles > most) tiles = most;
    if (tiles > TILES) tiles = TILES;
    return tiles < 2 ? 0 : tiles;
}

static bool step_weight(const tx_optim *o, tx_params *p, int i, tx_tape *t, tx_var grad, update u)
{
    tx_tensor w = tx_params_value(p, (tx_param){i}), block = tx_params_block(p);
    TX_REQUIRE(tx_len(grad->v) == tx_len(w), "%s: gradient of %zu values for %zu weights",
               tx_params_name(p, (tx_param){i}), tx_len(grad->v), tx_len(w));
    u.o = o, u.grad = grad, u.w = w.x, u.rows = tx_rows(w), u.cols = tx_cols(w);
    for (int s = 0; s < o->ops->n_slots; s++) u.slot[s] = o->slot[s] + (w.x - block.x);
    size_t tiles = grad->v.x ? 0 : tiles_of(u.rows, u.cols);
    if (tiles) return step_postponed(&u, t, tiles);
    tx_compute(t, grad);
    return step_rows(&u, 0, u.rows, grad->v.x);
}

bool tx_optim_step(tx_optim *o, tx_params *p, tx_tape *t, tx_var const grad[], double lr, double clip_norm,
                   double decay)
{
    int n = tx_params_count(p);
    TX_REQUIRE(tx_len(tx_params_block(p)) == o->len, "%s is not the net of this optimiser", tx_params_net(p));
    for (int i = 0; i < n && clip_norm > 0; i++) tx_compute(t, grad[i]);
    double size = clip_norm > 0 ? norm(n, grad) : 0, gscale = size > clip_norm ? clip_norm / size : 1;
    bool finite = true;
    if (!isfinite(size)) return false;
    o->t++;
    const update u = {.lr = (real)lr, .gscale = (real)gscale, .decay = (real)decay};
    for (int i = 0; i < n; i++) finite &= step_weight(o, p, i, t, grad[i], u);
    return finite;
}

uint64_t tx_optim_steps(const tx_optim *o) { return o->t; }
void tx_optim_set_steps(tx_optim *o, uint64_t t) { o->t = t; }
const tx_optim_ops *tx_optim_ops_of(const tx_optim *o) { return o->ops; }

tx_tensor tx_optim_slot(const tx_optim *o, int slot)
{
    TX_REQUIRE(slot >= 0 && slot < o->ops->n_slots, "%s: slot %d of %d", o->ops->name, slot, o->ops->n_slots);
    return tx_matrix(o->slot[slot], 1, o->len);
}
