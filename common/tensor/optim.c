#include "common/tensor/optim.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/kernels.h"

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

static double norm(const tx_params *p, const tx_tensor grad[])
{
    double sum = 0;
    for (int i = 0; i < tx_params_count(p); i++) sum += tx_vec_dot(tx_len(grad[i]), grad[i].x, grad[i].x);
    return sqrt(sum);
}

bool tx_optim_step(tx_optim *o, tx_params *p, const tx_tensor grad[], double lr, double clip_norm, double decay)
{
    tx_tensor block = tx_params_block(p);
    TX_REQUIRE(tx_len(block) == o->len, "%s is not the net of this optimiser", tx_params_net(p));
    double size = clip_norm > 0 ? norm(p, grad) : 0, gscale = size > clip_norm ? clip_norm / size : 1;
    bool finite = true;
    if (!isfinite(size)) return false;
    o->t++;
    for (int i = 0; i < tx_params_count(p); i++) {
        tx_tensor w = tx_params_value(p, (tx_param){i});
        TX_REQUIRE(tx_len(grad[i]) == tx_len(w), "%s: gradient of %zu values for %zu weights",
                   tx_params_name(p, (tx_param){i}), tx_len(grad[i]), tx_len(w));
        real *slot[TX_OPTIM_MAX_SLOTS] = {NULL};
        for (int s = 0; s < o->ops->n_slots; s++) slot[s] = o->slot[s] + (w.x - block.x);
        finite &= o->ops->step(o->config, o->t, (real)lr, (real)gscale, (real)decay, tx_len(w), w.x, grad[i].x, slot);
    }
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
