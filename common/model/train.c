#include "common/model/train.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALID_ROWS = 200 }; /* rows of one validation pass */

#define AT(field) offsetof(tx_train_config, field)
const tx_option tx_train_options[] = {
    {"epochs", TX_OPT_INT, AT(epochs), "10", 1, 1000000, NULL, "passes over the training split", NULL},
    {"batch", TX_OPT_INT, AT(batch), "100", 1, 1000000, NULL, "examples a step; the last of an epoch may be short",
     NULL},
    {"max_steps", TX_OPT_INT, AT(max_steps), "0", 0, 2000000000, NULL, "stop after so many steps; 0: no limit", NULL},
    {"patience", TX_OPT_INT, AT(patience), "0", 0, 1000000, NULL,
     "stop after so many validations without a better score; 0: never", NULL},
    {"valid_every", TX_OPT_INT, AT(valid_every), "1", 1, 1000000, NULL, "epochs between validations", NULL},
    {"optimizer", TX_OPT_CHOICE, AT(optimizer), "adam", 0, 0, "sgd|rmsprop|adagrad|adam", "update rule", NULL},
    {"learning_rate", TX_OPT_REAL, AT(learning_rate), "1e-3", 0, 1e12, NULL, "step size at the start", NULL},
    {"final_learning_rate", TX_OPT_REAL, AT(final_learning_rate), "1e-5", 0, 1e12, NULL,
     "step size that a schedule ends with", NULL},
    {"schedule", TX_OPT_CHOICE, AT(schedule), "constant", 0, 0, TX_SCHEDULE_CHOICES,
     "how the step size goes from learning_rate to final_learning_rate over the run", NULL},
    {"clip_norm", TX_OPT_REAL, AT(clip_norm), "0", 0, 1e30, NULL,
     "largest Euclidean norm of a net's gradient; 0: no clipping", "Pascanu et al. 2013"},
    {"weight_decay", TX_OPT_REAL, AT(weight_decay), "0", 0, 1e6, NULL,
     "decoupled decay of every parameter, biases too, times the step size", "Loshchilov & Hutter 2019"},
    {0},
};

/* The choice's text names the optimiser; the list in optim.c holds its table. */
static const tx_optim_ops *optimizer(const tx_train_config *c)
{
    char name[TX_NAME_MAX];
    tx_option_choice(tx_options_find(tx_train_options, "optimizer"), c->optimizer, name, sizeof name);
    const tx_optim_ops *o = tx_optim_find(name);
    TX_REQUIRE(o && o->config_size <= sizeof c->optim_config,
               "optimiser '%s' is not in the list or its config is too large", name);
    return o;
}

/* The default is constant: an exponential schedule stands in the map. */
static tx_status check_schedule(const tx_train_config *c, const tx_yaml *map, const char *origin)
{
    if (c->schedule != TX_SCHEDULE_EXPONENTIAL || (c->learning_rate > 0 && c->final_learning_rate > 0)) return TX_OK;
    return tx_yaml_fail(tx_yaml_get(map, "schedule"), origin,
                        "an exponential schedule needs rates above 0, found learning_rate %g and final_learning_rate "
                        "%g: use 'linear' or 'cosine' to end at 0",
                        c->learning_rate, c->final_learning_rate);
}

tx_status tx_train_parse(tx_train_config *c, const tx_yaml *map, const char *origin)
{
    tx_train_config parsed;
    memset(&parsed, 0, sizeof parsed);
    tx_options_defaults(tx_train_options, &parsed);
    const tx_yaml *chosen = map ? tx_yaml_get(map, "optimizer") : NULL;
    if (chosen) { /* alone first: it decides which other keys there are */
        tx_yaml only = {
            .kind = TX_YAML_MAP, .line = map->line, .column = map->column, .n = 1, .child = (tx_yaml *)chosen};
        tx_option_set set[] = {{tx_train_options, &parsed}};
        TX_TRY(tx_options_parse(set, 1, &only, origin, NULL));
    }
    const tx_optim_ops *o = optimizer(&parsed);
    tx_options_defaults(o->options, parsed.optim_config);
    if (map) {
        tx_option_set set[] = {{tx_train_options, &parsed}, {o->options, parsed.optim_config}};
        TX_TRY(tx_options_parse(set, 2, map, origin, NULL));
        TX_TRY(check_schedule(&parsed, map, origin));
    }
    *c = parsed;
    return TX_OK;
}

json_t *tx_train_json(const tx_train_config *c)
{
    json_t *all = tx_options_json(tx_train_options, c), *own = tx_options_json(optimizer(c)->options, c->optim_config);
    json_object_update(all, own);
    json_decref(own);
    return all;
}

struct tx_trainer {
    tx_model *m;
    const tx_view *v;
    tx_train_config c;
    uint64_t seed;
    tx_score score;
    tx_rng noise; /* of the training steps */
    tx_tape *tape;
    tx_curves curves;
    tx_trainer_state state;
    uint64_t total_steps, bad_validations;
    size_t n, rows_in_epoch;
    uint32_t *order;          /* [n] of the current epoch */
    uint64_t ordered_epoch;   /* whose order it is, plus one; 0: none */
    real *x;                  /* [batch,dim] */
    double *value, *jacobian; /* [VALID_ROWS] */
    tx_metrics sum;           /* of this epoch, weighted by rows */
    real *best[TX_MAX_NETS];  /* copies of the nets' blocks, from the first epoch that is the best */
};

tx_status tx_trainer_new(tx_trainer **out, tx_model *m, const tx_view *v, const tx_train_config *c, uint64_t seed)
{
    tx_trainer *t = tx_alloc(1, sizeof *t);
    t->m = m, t->v = v, t->c = *c, t->seed = seed;
    t->score = tx_model_score(m->ops);
    t->noise = tx_rng_named(tx_rng_root(seed), "train");
    t->tape = tx_tape_new(1 << 20);
    t->n = v->data->split[TX_TRAIN].n;
    size_t batch = (size_t)c->batch < t->n ? (size_t)c->batch : t->n, dim = v->space.dim;
    t->state.steps_an_epoch = m->ops->fit || m->ops->iterate ? 0 : (t->n + batch - 1) / batch;
    t->state.epochs = m->ops->fit ? 1 : (uint64_t)c->epochs;
    t->total_steps = t->state.epochs * t->state.steps_an_epoch;
    if (c->max_steps && (uint64_t)c->max_steps < t->total_steps) t->total_steps = (uint64_t)c->max_steps;
    t->state.best_score = NAN;
    t->order = tx_alloc(t->n, sizeof *t->order);
    t->x = tx_alloc((batch > VALID_ROWS ? batch : VALID_ROWS) * dim, sizeof *t->x);
    t->value = tx_alloc(VALID_ROWS, sizeof *t->value);
    t->jacobian = tx_alloc(VALID_ROWS, sizeof *t->jacobian);
    tx_model_train_with(m, optimizer(c), t->c.optim_config);
    *out = t;
    return TX_OK;
}

void tx_trainer_free(tx_trainer *t)
{
    if (!t) return;
    for (int i = 0; i < TX_MAX_NETS; i++) free(t->best[i]);
    for (int i = 0; i < t->curves.n_column; i++) free(t->curves.value[i]);
    tx_tape_free(t->tape);
    free(t->order), free(t->x), free(t->value), free(t->jacobian), free(t);
}

static tx_status add_to_epoch(tx_trainer *t, const tx_metrics *m, size_t rows)
{
    if (t->rows_in_epoch == 0) {
        t->sum = *m;
        for (int i = 0; i < m->n; i++) t->sum.m[i].value = 0;
    }
    if (m->n != t->sum.n)
        return tx_fail(TX_EDATA, "%s reports %d numbers a step, the sums of this epoch are of %d", t->m->ops->name,
                       m->n, t->sum.n);
    for (int i = 0; i < m->n; i++) {
        t->sum.m[i].name = m->m[i].name; /* a resumed epoch has its sums but not their names */
        t->sum.m[i].value += m->m[i].value * (double)rows;
    }
    t->rows_in_epoch += rows;
    return TX_OK;
}

static tx_status in_epoch(const tx_trainer *t, tx_status status)
{
    char why[TX_TEXT_MAX];
    if (status == TX_OK) return status;
    tx_copy_text(why, sizeof why, tx_last_error());
    return tx_fail(status, "epoch %llu: %s", (unsigned long long)t->state.epoch + 1, why);
}

tx_status tx_trainer_check(const tx_trainer *t)
{
    for (int i = 0; i < t->m->n_net; i++) {
        tx_tensor block = tx_params_block(t->m->net[i]);
        if (!tx_vec_finite(tx_len(block), block.x))
            return tx_fail(TX_EDIVERGED, "a weight (%s) is not finite", tx_params_net(t->m->net[i]));
    }
    return TX_OK;
}

static tx_status one_iteration(tx_trainer *t)
{
    tx_metrics metrics = {0};
    TX_TRY(in_epoch(t, t->m->ops->iterate(t->m, t->v, t->seed, t->state.epoch, &metrics)));
    TX_TRY(in_epoch(t, tx_trainer_check(t)));
    return in_epoch(t, add_to_epoch(t, &metrics, t->n));
}

static tx_status one_batch(tx_trainer *t)
{
    tx_trainer_state *s = &t->state;
    if (t->ordered_epoch != s->epoch + 1) {
        tx_view_order(t->v, t->seed, s->epoch, t->order);
        t->ordered_epoch = s->epoch + 1;
    }
    size_t from = s->batch_in_epoch * (size_t)t->c.batch;
    size_t rows = t->n - from < (size_t)t->c.batch ? t->n - from : (size_t)t->c.batch;
    tx_view_rows(t->v, TX_TRAIN, t->seed, s->epoch, t->order + from, rows, t->x, NULL);
    tx_step step = {.tape = t->tape,
                    .rng = tx_rng_fold(t->noise, s->step),
                    .number = s->step,
                    .rate = tx_schedule_rate((tx_schedule)t->c.schedule, t->c.learning_rate, t->c.final_learning_rate,
                                             s->step, t->total_steps),
                    .clip_norm = t->c.clip_norm,
                    .weight_decay = t->c.weight_decay,
                    .view = t->v,
                    .seed = t->seed};
    tx_metrics metrics = {0};
    TX_TRY(in_epoch(t, tx_model_step(t->m, &step, tx_matrix(t->x, rows, t->v->space.dim), &metrics)));
    TX_TRY(in_epoch(t, add_to_epoch(t, &metrics, rows)));
    s->step++, s->batch_in_epoch++;
    return TX_OK;
}

/* Mean score of the whole valid split: in the model's space and in the data's unit. */
static void validate(tx_trainer *t, double *objective, double *log_likelihood)
{
    size_t n = t->v->data->split[TX_VALID].n, dim = t->v->space.dim;
    tx_rng fixed = tx_rng_named(tx_rng_root(0), "selection"); /* the same noise for every model, seed and epoch */
    double sum = 0, jacobian = 0;
    for (size_t i = 0; i < n; i += VALID_ROWS) {
        size_t rows = n - i < VALID_ROWS ? n - i : VALID_ROWS;
        tx_view_range(t->v, TX_VALID, i, rows, t->x, t->jacobian);
        tx_model_evaluate(t->m, t->tape, t->score, fixed, i, tx_matrix(t->x, rows, dim), t->value);
        for (size_t j = 0; j < rows; j++) sum += t->value[j], jacobian += t->jacobian[j];
    }
    *objective = -sum / (double)n;
    *log_likelihood = (sum + jacobian) / (double)n;
}

static real *best_of(tx_trainer *t, int i)
{
    if (!t->best[i]) t->best[i] = tx_alloc(tx_len(tx_params_block(t->m->net[i])), sizeof(real));
    return t->best[i];
}

static void keep_best(tx_trainer *t, bool put_back)
{
    for (int i = 0; i < t->m->n_net; i++) {
        tx_tensor block = tx_params_block(t->m->net[i]);
        real *best = best_of(t, i);
        memcpy(put_back ? block.x : best, put_back ? best : block.x, tx_len(block) * sizeof(real));
    }
}

static void reserve_rows(tx_curves *c, int rows)
{
    if (rows <= c->cap) return;
    int cap = c->cap ? c->cap : 16;
    while (cap < rows) cap *= 2;
    for (int i = 0; i < c->n_column; i++)
        c->value[i] = tx_realloc(c->value[i], (size_t)c->cap, (size_t)cap, sizeof(double));
    c->cap = cap;
}

static void put_curve(tx_curves *c, const char *name, double value)
{
    int i = 0;
    while (i < c->n_column && strcmp(c->name[i], name) != 0) i++;
    if (i == c->n_column) {
        TX_REQUIRE(i < TX_MAX_CURVES, "more than %d curves: '%s'", TX_MAX_CURVES, name);
        tx_copy_text(c->name[i], sizeof c->name[i], name);
        c->value[i] = tx_alloc((size_t)c->cap, sizeof(double));
        for (int k = 0; k < c->n_row; k++) c->value[i][k] = NAN;
        c->n_column++;
    }
    c->value[i][c->n_row] = value;
}

static tx_status end_epoch(tx_trainer *t)
{
    tx_trainer_state *s = &t->state;
    tx_curves *c = &t->curves;
    s->epoch++, s->batch_in_epoch = 0;
    bool last = s->epoch >= s->epochs || (s->steps_an_epoch && s->step >= t->total_steps);
    reserve_rows(c, c->n_row + 1);
    for (int i = 0; i < c->n_column; i++) c->value[i][c->n_row] = NAN;
    put_curve(c, "epoch", (double)s->epoch);
    put_curve(c, "step", (double)s->step);
    for (int i = 0; i < t->sum.n; i++) put_curve(c, t->sum.m[i].name, t->sum.m[i].value / (double)t->rows_in_epoch);
    put_curve(c, "learning_rate",
              s->step ? tx_schedule_rate((tx_schedule)t->c.schedule, t->c.learning_rate, t->c.final_learning_rate,
                                         s->step - 1, t->total_steps)
                      : NAN);
    t->rows_in_epoch = 0;
    if (t->score != TX_SCORE_NONE && (last || s->epoch % (uint64_t)t->c.valid_every == 0)) {
        double objective, log_likelihood;
        validate(t, &objective, &log_likelihood);
        put_curve(c, "valid_objective", objective);
        put_curve(c, "valid_log_likelihood", log_likelihood);
        if (!isfinite(log_likelihood))
            return tx_fail(TX_EDIVERGED, "epoch %llu, step %llu: the log-likelihood of valid is not finite",
                           (unsigned long long)s->epoch, (unsigned long long)s->step);
        bool keeps_last = t->m->ops->keeps_last && t->m->ops->keeps_last(t->m);
        if (keeps_last || !(log_likelihood <= s->best_score)) {
            s->best_score = log_likelihood, s->best_epoch = s->epoch;
            t->bad_validations = 0;
            keep_best(t, false);
        } else if (t->c.patience && ++t->bad_validations >= (uint64_t)t->c.patience) {
            s->early_stopped = !last;
            last = true;
        }
    }
    c->n_row++;
    if (last && s->best_epoch && s->best_epoch != s->epoch) keep_best(t, true);
    s->finished = last;
    return TX_OK;
}

tx_status tx_trainer_advance(tx_trainer *t, bool *epoch_done)
{
    TX_REQUIRE(!t->state.finished, "training has finished at epoch %llu", (unsigned long long)t->state.epoch);
    double start = tx_now();
    *epoch_done = false;
    if (t->m->ops->fit)
        TX_TRY(t->m->ops->fit(t->m, t->v, t->seed));
    else if (t->m->ops->iterate)
        TX_TRY(one_iteration(t));
    else
        TX_TRY(one_batch(t));
    if (t->state.batch_in_epoch >= t->state.steps_an_epoch || t->state.step >= t->total_steps) {
        TX_TRY(end_epoch(t));
        *epoch_done = true;
    }
    t->state.seconds += tx_now() - start;
    return TX_OK;
}

tx_trainer_state tx_trainer_look(const tx_trainer *t) { return t->state; }
const tx_curves *tx_trainer_curves(const tx_trainer *t) { return &t->curves; }
size_t tx_trainer_growths(const tx_trainer *t) { return tx_tape_growths(t->tape); }

/* Counters go as one array, so that a reader has the sizes of everything after it. */
enum {
    EPOCH,
    STEP,
    BATCH,
    BEST,
    BAD,
    FINISHED,
    EARLY,
    ROWS_DONE,
    N_METRIC,
    N_COLUMN,
    N_ROW,
    OPTIM,
    N_COUNTER = OPTIM + TX_MAX_NETS
};

static void counters(tx_trainer *t, uint64_t c[N_COUNTER], bool load)
{
    tx_trainer_state *s = &t->state;
    if (!load) {
        uint64_t now_[OPTIM] = {s->epoch,
                                s->step,
                                s->batch_in_epoch,
                                s->best_epoch,
                                t->bad_validations,
                                s->finished,
                                s->early_stopped,
                                t->rows_in_epoch,
                                (uint64_t)t->sum.n,
                                (uint64_t)t->curves.n_column,
                                (uint64_t)t->curves.n_row};
        memcpy(c, now_, sizeof now_);
        for (int i = 0; i < t->m->n_net; i++) c[OPTIM + i] = tx_optim_steps(t->m->optim[i]);
        return;
    }
    s->epoch = c[EPOCH], s->step = c[STEP], s->batch_in_epoch = c[BATCH], s->best_epoch = c[BEST];
    t->bad_validations = c[BAD], s->finished = c[FINISHED] != 0, s->early_stopped = c[EARLY] != 0;
    t->rows_in_epoch = c[ROWS_DONE];
    t->ordered_epoch = 0;
    for (int i = 0; i < t->m->n_net; i++) tx_optim_set_steps(t->m->optim[i], c[OPTIM + i]);
}

/* Sizes and places follow from the counters: are they those of a state that this trainer can be in? */
static tx_status check_counters(const tx_trainer *t, const uint64_t c[N_COUNTER])
{
    const uint64_t batches = t->state.steps_an_epoch ? t->state.steps_an_epoch : 1;
    if (c[EPOCH] <= t->state.epochs && c[STEP] <= t->total_steps && c[BATCH] < batches && c[BEST] <= c[EPOCH] &&
        c[ROWS_DONE] == c[BATCH] * (uint64_t)t->c.batch && c[N_METRIC] <= TX_MAX_METRICS &&
        c[N_COLUMN] <= TX_MAX_CURVES && c[N_ROW] <= c[EPOCH])
        return TX_OK;
    return tx_fail(TX_EDATA,
                   "epoch %llu of %llu, step %llu of %llu, batch %llu with %llu rows before it, best epoch %llu, "
                   "%llu curves of %llu rows: no state of this training",
                   (unsigned long long)c[EPOCH], (unsigned long long)t->state.epochs, (unsigned long long)c[STEP],
                   (unsigned long long)t->total_steps, (unsigned long long)c[BATCH], (unsigned long long)c[ROWS_DONE],
                   (unsigned long long)c[BEST], (unsigned long long)c[N_COLUMN], (unsigned long long)c[N_ROW]);
}

static tx_status visit_nets(tx_trainer *t, tx_visit_fn fn, void *ctx)
{
    char name[2 * TX_NAME_MAX];
    for (int i = 0; i < t->m->n_net; i++) {
        const char *net = tx_params_net(t->m->net[i]);
        tx_tensor block = tx_params_block(t->m->net[i]);
        const tx_optim_ops *o = tx_optim_ops_of(t->m->optim[i]);
        snprintf(name, sizeof name, "parameters_%s", net);
        TX_TRY(fn(ctx, name, 'r', tx_len(block), block.x));
        snprintf(name, sizeof name, "best_%s", net);
        if (t->state.best_epoch) TX_TRY(fn(ctx, name, 'r', tx_len(block), best_of(t, i)));
        for (int k = 0; k < o->n_slots; k++) {
            tx_tensor slot = tx_optim_slot(t->m->optim[i], k);
            snprintf(name, sizeof name, "%s_%s", o->slot_name[k], net);
            TX_TRY(fn(ctx, name, 'r', tx_len(slot), slot.x));
        }
    }
    return TX_OK;
}

/* Names travel as numbers: a metric's name in a trainer that has not yet stepped is known from the file alone. */
enum { NAME_WORDS = TX_NAME_MAX / 8 };
static tx_status visit_curves(tx_trainer *t, uint64_t n_column, uint64_t n_row, tx_visit_fn fn, void *ctx)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    tx_curves *c = &t->curves;
    while ((uint64_t)c->n_column < n_column) c->value[c->n_column++] = tx_alloc((size_t)c->cap, sizeof(double));
    reserve_rows(c, (int)n_row);
    c->n_row = (int)n_row;
    for (int i = 0; i < c->n_column; i++) {
        uint64_t word[NAME_WORDS];
        char name[32];
        memcpy(word, c->name[i], sizeof word);
        snprintf(name, sizeof name, "curve_%d_name", i);
        TX_TRY(fn(ctx, name, 'u', NAME_WORDS, word));
        memcpy(c->name[i], word, sizeof word);
        c->name[i][TX_NAME_MAX - 1] = 0;
        if (!c->name[i][0] || c->name[i][strspn(c->name[i], letters)])
            return tx_fail(TX_EDATA, "curve %d: expected a name of letters and digits, found '%s'", i, c->name[i]);
        snprintf(name, sizeof name, "curve_%d", i);
        if (n_row) TX_TRY(fn(ctx, name, 'd', (size_t)n_row, c->value[i]));
    }
    return TX_OK;
}

tx_status tx_trainer_visit(tx_trainer *t, tx_visit_fn fn, void *ctx)
{
    uint64_t count[N_COUNTER] = {0};
    double number[2 + TX_MAX_METRICS] = {t->state.best_score, t->state.seconds};
    counters(t, count, false);
    for (int i = 0; i < t->sum.n; i++) number[2 + i] = t->sum.m[i].value;
    TX_TRY(fn(ctx, "counters", 'u', N_COUNTER, count));
    TX_TRY(fn(ctx, "numbers", 'd', TX_LEN(number), number));
    TX_TRY(check_counters(t, count));
    counters(t, count, true);
    t->state.best_score = number[0], t->state.seconds = number[1];
    t->sum.n = (int)count[N_METRIC];
    for (int i = 0; i < t->sum.n; i++) t->sum.m[i].value = number[2 + i];
    TX_TRY(visit_curves(t, count[N_COLUMN], count[N_ROW], fn, ctx));
    return visit_nets(t, fn, ctx);
}
