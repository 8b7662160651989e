/* Training: selection on valid, early stopping, averages of metrics, divergence; on toy models defined here. */
#include <stdlib.h>
#include "common/model/estimate.h"
#include "common/model/train.h"
#include "tests/support/check.h"

enum { DIM = 2, N = 130 };
static tx_dataset data;
static tx_view view;

static void build(tx_model *m)
{
    m->net[0] = tx_params_new("toy"), m->n_net = 1;
    tx_params_add(m->net[0], "mu", tx_shape2(1, DIM), (tx_init){TX_INIT_CONSTANT, (real)-1.7});
}

/* N(x; mu, I) */
static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var mu = tx_repeat_rows(t, tx_params_var(m->net[0], (tx_param){0}), tx_rows(x->v));
    tx_var d = tx_sub(t, x, mu);
    return tx_affine(t, tx_sum_rows(t, tx_mul(t, d, d)), (real)-0.5, (real)(-0.5 * DIM * log(2 * M_PI)));
}

static void sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x)
{
    (void)m, (void)t;
    tx_rng_normal(r, first * DIM, tx_len(x), x.x);
}

/* A step that walks past the optimum: mu is best at step 20. It reports the rows of its batch. */
static tx_status walk(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    real *mu = tx_params_value(m->net[0], (tx_param){0}).x;
    for (int j = 0; j < DIM; j++) mu[j] = (real)(view.space.mean[j] + 0.05 * fabs((double)s->number - 19));
    out->n = 2;
    out->m[0].name = "objective", out->m[0].value = (double)s->number;
    out->m[1].name = "rows", out->m[1].value = (double)tx_rows(x);
    return TX_OK;
}

static tx_status explode(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    (void)out;
    tx_var mu = tx_params_var(m->net[0], (tx_param){0});
    tx_var loss = tx_mul(s->tape, mu, mu);
    if (s->number == 4) loss = tx_log(s->tape, tx_affine(s->tape, loss, -1, 0));
    (void)x;
    out->n = 1, out->m[0].name = "objective", out->m[0].value = 1;
    return tx_model_descend(m, s, 0, loss, "the toy loss");
}

/* A finite loss whose gradient is inf - inf at step 4. */
static tx_status crack(tx_model *m, tx_step *s, tx_tensor x, tx_metrics *out)
{
    tx_var mu = tx_params_var(m->net[0], (tx_param){0});
    tx_var loss = s->number == 4 ? tx_sqrt(s->tape, tx_sub(s->tape, mu, mu)) : tx_mul(s->tape, mu, mu);
    (void)x;
    out->n = 1, out->m[0].name = "objective", out->m[0].value = 1;
    return tx_model_descend(m, s, 0, loss, "the toy loss");
}

static size_t rows, cols;
static void build_rectangle(tx_model *m)
{
    m->net[0] = tx_params_new("toy"), m->n_net = 1;
    tx_params_add(m->net[0], "small", tx_shape2(3, 5), (tx_init){TX_INIT_CONSTANT, 1});
    tx_params_add(m->net[0], "rectangle", tx_shape2(rows, cols), (tx_init){TX_INIT_CONSTANT, 1});
}

static const tx_option none[] = {{0}};
#define TOY(n, ...)                                                                                                    \
    {                                                                                                                  \
        .name = n, .summary = "s", .taxonomy_path = "test", .spaces = TX_ON_REAL, .options = none, .build = build,     \
        .sample = sample, __VA_ARGS__                                                                                  \
    }
static const tx_model_ops plain = TOY("plain", .log_prob = log_prob),
                          walker = TOY("walker", .log_prob = log_prob, .train_step = walk),
                          implicit = TOY("implicit", .train_step = walk),
                          exploding = TOY("exploding", .train_step = explode),
                          cracking = TOY("cracking", .log_prob = log_prob, .train_step = crack);
static const tx_model_ops rectangle = {.name = "rectangle",
                                       .summary = "s",
                                       .taxonomy_path = "test",
                                       .spaces = TX_ON_REAL,
                                       .options = none,
                                       .build = build_rectangle,
                                       .sample = sample,
                                       .log_prob = log_prob};
const tx_model_ops *const tx_model_list[] = {&plain, &walker, &implicit, &exploding, &cracking, NULL};

static void start(void)
{
    data = (tx_dataset){.type = TX_REAL, .dim = DIM};
    tx_copy_text(data.name, sizeof data.name, "toy");
    for (int s = 0; s < TX_N_SPLIT; s++) {
        float *v = tx_alloc(N * DIM, sizeof *v);
        for (size_t i = 0; i < N * DIM; i++)
            v[i] = (float)(0.9 + (double)(i % 2) +
                           tx_rng_normal1(tx_rng_fold(tx_rng_named(tx_rng_root(3), "data"), (uint64_t)s), i));
        data.split[s].n = N, data.split[s].value = v, data.memory[s] = v;
    }
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_view_open(&view, &data, &c));
}

static tx_status train(const tx_model_ops *ops, const char *settings, tx_model **m, tx_trainer **t)
{
    tx_train_config c;
    tx_yaml *y = NULL;
    CHECK_OK(tx_yaml_parse(settings, strlen(settings), "test", &y));
    TX_TRY(tx_train_parse(&c, y, "test"));
    tx_yaml_free(y);
    CHECK_OK(tx_model_new(m, ops, NULL, &view.space, 1));
    CHECK_OK(tx_trainer_new(t, *m, &view, &c, 5));
    tx_status s = TX_OK;
    for (bool done; s == TX_OK && !tx_trainer_look(*t).finished;) s = tx_trainer_advance(*t, &done);
    return s;
}

static void end(tx_model *m, tx_trainer *t)
{
    tx_trainer_free(t);
    tx_model_free(m);
}

/* The same weights on two tapes at once. */
static void test_shared(void)
{
    enum { ROWS = 7 };
    tx_model *m;
    CHECK_OK(tx_model_new(&m, &plain, NULL, &view.space, 1));
    tx_model *s = tx_model_share(m);
    tx_tape *a = tx_tape_new(0), *b = tx_tape_new(0);
    real x[ROWS * DIM];
    for (size_t i = 0; i < ROWS * DIM; i++) x[i] = (real)tx_rng_normal1(tx_rng_root(8), i);
    tx_params_value(m->net[0], (tx_param){0}).x[1] = (real)2.385; /* seen by both */
    tx_model_bind(m, a);
    tx_model_bind(s, b);
    tx_var mine = log_prob(m, a, tx_leaf(a, tx_matrix(x, ROWS, DIM)));
    tx_var other = log_prob(s, b, tx_leaf(b, tx_matrix(x, ROWS, DIM)));
    for (size_t i = 0; i < ROWS; i++) {
        double square = pow((double)x[i * DIM] + 1.7, 2) + pow((double)x[i * DIM + 1] - 2.385, 2);
        CHECK_NEAR(mine->v.x[i], -0.5 * square - log(2 * M_PI), 1e-5 * (1 + square));
        CHECK_NEAR(other->v.x[i], mine->v.x[i], 0);
    }
    CHECK_INT(tx_model_size(s), DIM);
    tx_model_free(s);
    CHECK_NEAR(tx_params_value(m->net[0], (tx_param){0}).x[0], -1.7, 1e-6);
    tx_model_free(m), tx_tape_free(a), tx_tape_free(b);
}

static double curve(const tx_trainer *t, const char *name, int row)
{
    const tx_curves *c = tx_trainer_curves(t);
    for (int i = 0; i < c->n_column; i++)
        if (strcmp(c->name[i], name) == 0) return c->value[i][row];
    CU_FAIL("no such curve");
    return NAN;
}

static void test_learns(void)
{
    tx_model *m;
    tx_trainer *t;
    CHECK_OK(train(&plain, "{epochs: 60, batch: 130, optimizer: sgd, learning_rate: 0.3}", &m, &t));
    real *mu = tx_params_value(m->net[0], (tx_param){0}).x;
    /* full batches: the optimum on train is its mean; selection may stop short of it in favour of valid */
    for (int j = 0; j < DIM; j++) CHECK_NEAR(mu[j], view.space.mean[j], 0.3);
    CHECK_NEAR(curve(t, "objective", 59), curve(t, "objective", 40), 1e-4);
    CHECK_TRUE(curve(t, "objective", 59) < curve(t, "objective", 0) - 1);
    CHECK_NEAR(curve(t, "valid_objective", 3), -curve(t, "valid_log_likelihood", 3), 1e-12); /* raw view: no Jacobian */
    CHECK_INT(curve(t, "step", 59), 60);
    end(m, t);
}

static void test_selection(void)
{
    tx_model *m;
    tx_trainer *t;
    CHECK_OK(train(&walker, "{epochs: 16, batch: 33}", &m, &t)); /* 4 steps an epoch: best after step 20 = epoch 5 */
    tx_trainer_state s = tx_trainer_look(t);
    double at_end = (double)tx_params_value(m->net[0], (tx_param){0}).x[0] - view.space.mean[0];
    CHECK_INT(s.best_epoch, 5);
    CHECK_INT(s.epoch, 16);
    CHECK_NEAR(at_end, 0, 1e-6); /* the best parameters were put back */
    CHECK_NEAR(curve(t, "rows", 0), (33.0 * 33 * 3 + 31 * 31) / 130,
               1e-12); /* averages weigh rows; the last batch is short */
    CHECK_NEAR(curve(t, "valid_log_likelihood", 4), s.best_score, 0);
    end(m, t);
    CHECK_OK(train(&walker, "{epochs: 16, batch: 33, patience: 3}", &m, &t));
    s = tx_trainer_look(t);
    CHECK_TRUE(s.early_stopped);
    CHECK_INT(s.epoch, 8);
    CHECK_INT(s.best_epoch, 5);
    end(m, t);
    CHECK_OK(train(&walker, "{epochs: 16, batch: 33, valid_every: 4}", &m, &t));
    CHECK_INT(tx_trainer_look(t).best_epoch, 4);
    CHECK_TRUE(isnan(curve(t, "valid_log_likelihood", 4)));
    end(m, t);
    CHECK_OK(train(&walker, "{epochs: 16, batch: 33, max_steps: 10}", &m, &t));
    CHECK_INT(tx_trainer_look(t).step, 10);
    end(m, t);
    CHECK_OK(train(&implicit, "{epochs: 16, batch: 33}", &m, &t)); /* no score: last parameters */
    CHECK_INT(tx_trainer_look(t).best_epoch, 0);
    CHECK_NEAR((double)tx_params_value(m->net[0], (tx_param){0}).x[0] - view.space.mean[0], 0.05 * 44, 1e-6);
    end(m, t);
}

static void test_divergence(void)
{
    tx_model *m;
    tx_trainer *t;
    CHECK_INT(train(&exploding, "{epochs: 3, batch: 65}", &m, &t), TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), "epoch 3: step 5: the toy loss is not finite");
    end(m, t);
    CHECK_INT(train(&plain, "{epochs: 9, batch: 65, optimizer: sgd, learning_rate: 1e11}", &m, &t), TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), "epoch ");
    CHECK_HAS(tx_last_error(), "step ");
    end(m, t);
}

static tx_status check_best(void *ctx, const char *name, char kind, size_t n, void *values)
{
    if (strcmp(name, "best_toy") != 0) return TX_OK;
    (void)kind;
    ++*(int *)ctx;
    CHECK_TRUE(tx_vec_finite(n, values));
    return TX_OK;
}

/* A gradient that is not finite ends training in its step, and the best parameters so far stay what they were. */
static void test_broken_gradient(void)
{
    static const char *const settings[] = {"{epochs: 3, batch: 65}", "{epochs: 3, batch: 65, clip_norm: 1}"};
    for (size_t i = 0; i < TX_LEN(settings); i++) {
        tx_model *m;
        tx_trainer *t;
        int seen = 0;
        CHECK_INT(train(&cracking, settings[i], &m, &t), TX_EDIVERGED);
        CHECK_HAS(tx_last_error(),
                  "epoch 3: step 5: the gradient of the toy loss (toy) is not finite, or a weight after it");
        CHECK_INT(tx_trainer_look(t).step, 4);
        CHECK_INT(tx_trainer_look(t).best_epoch, 2);
        CHECK_OK(tx_trainer_visit(t, check_best, &seen));
        CHECK_INT(seen, 1);
        end(m, t);
    }
}

static void test_config(void)
{
    tx_train_config c;
    tx_yaml *y = NULL;
    const char *text = "{optimizer: sgd, beta1: 0.5}", *good = "{optimizer: adam, beta1: 0.5, epochs: 7}";
    CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &y));
    CHECK_INT(tx_train_parse(&c, y, "test"), TX_ECONFIG); /* a key of another optimiser */
    CHECK_HAS(tx_last_error(), "beta1");
    tx_yaml_free(y);
    static const char *const geometric[] = {"{schedule: exponential, final_learning_rate: 0}",
                                            "{learning_rate: 0, schedule: exponential}"};
    for (size_t i = 0; i < TX_LEN(geometric); i++) { /* a geometric way to or from 0 does not exist */
        CHECK_OK(tx_yaml_parse(geometric[i], strlen(geometric[i]), "test", &y));
        CHECK_INT(tx_train_parse(&c, y, "test"), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), "rates above 0");
        tx_yaml_free(y);
    }
    CHECK_OK(tx_yaml_parse(good, strlen(good), "test", &y));
    CHECK_OK(tx_train_parse(&c, y, "test"));
    tx_yaml_free(y);
    json_t *j = tx_train_json(&c);
    CHECK_NEAR(json_number_value(json_object_get(j, "beta1")), 0.5, 0);
    CHECK_INT(json_integer_value(json_object_get(j, "epochs")), 7);
    CHECK_TRUE(json_object_get(j, "beta2") != NULL);
    json_decref(j);
}

static void test_default_is_the_list(void)
{
    for (int i = 0; tx_optim_list[i]; i++) { /* every listed optimiser can be chosen by name */
        char text[64];
        snprintf(text, sizeof text, "{optimizer: %s}", tx_optim_list[i]->name);
        tx_yaml *y = NULL;
        tx_train_config c;
        CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &y));
        CHECK_OK(tx_train_parse(&c, y, "test"));
        tx_yaml_free(y);
    }
}

static void test_unfit(void)
{
    char reason[256];
    tx_space counting = view.space;
    counting.measure = TX_COUNTING, counting.levels = 2;
    CHECK_TRUE(!tx_model_unfit(&plain, &view.space, reason, sizeof reason));
    CHECK_HAS(tx_model_unfit(&plain, &counting, reason, sizeof reason),
              "defined on real values, not on binary values (counting measure)");
    tx_model *m = NULL;
    CHECK_INT(tx_model_new(&m, &plain, NULL, &counting, 1), TX_ECONFIG);
    CHECK_TRUE(m == NULL);
}

/* A weight that training leaves alone is looked at all the same. */
static void test_check(void)
{
    tx_model *m;
    tx_trainer *t;
    CHECK_OK(train(&walker, "{epochs: 1}", &m, &t));
    CHECK_OK(tx_trainer_check(t));
    tx_params_value(m->net[0], (tx_param){0}).x[1] = (real)-INFINITY;
    CHECK_INT(tx_trainer_check(t), TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), "a weight (toy) is not finite");
    end(m, t);
}

/* Sizes that overflow are refused by name; one that is merely large is counted without memory for it. */
static void test_too_large(void)
{
    const size_t most = 2147483647,
                 huge[][2] = {{most + 1, 1}, {1, most + 1}, {most, most}, {SIZE_MAX / 2, 4}, {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < TX_LEN(huge); i++) {
        tx_model *m = NULL;
        rows = huge[i][0], cols = huge[i][1];
        CHECK_INT(tx_model_declare(&m, &rectangle, NULL, &view.space), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), "rectangle: the weight rectangle of toy would be ");
        CHECK_INT(tx_model_new(&m, &rectangle, NULL, &view.space, 0), TX_ECONFIG);
        CHECK_TRUE(m == NULL);
    }
    tx_model *m = NULL;
    rows = most, cols = 1000000000 / sizeof(real);
    CHECK_OK(tx_model_declare(&m, &rectangle, NULL, &view.space));
    CHECK_TRUE(tx_model_size(m) == 15 + rows * cols);
    tx_model_free(m);
}

static void finish(void)
{
    tx_view_close(&view);
    tx_dataset_close(&data);
}

int main(void)
{
    static const tx_test tests[] = {
        {"set up", start},
        {"training descends to the optimum", test_learns},
        {"a shared model", test_shared},
        {"selection, patience, limits, averages", test_selection},
        {"divergence names epoch, step and term", test_divergence},
        {"a gradient that is not finite ends training", test_broken_gradient},
        {"train options", test_config},
        {"every optimiser can be chosen", test_default_is_the_list},
        {"spaces that do not fit are refused", test_unfit},
        {"weights that are not finite", test_check},
        {"sizes that overflow", test_too_large},
        {"clean up", finish},
    };
    return tx_run_tests("model", tests, (int)TX_LEN(tests));
}
