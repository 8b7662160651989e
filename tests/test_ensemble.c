/* Mixtures of orderings: normalised, averages of likelihoods and of nothing else, and what they say of themselves. */
#include <stdlib.h>
#include "common/likelihood/estimator.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

enum { DIM = 6, ALL = 1 << DIM }; /* the test split is all of {0,1}^DIM, the rows before it are not */

#ifdef TX_DOUBLE
static const double tight = 1e-11;
#else
static const double tight = 2e-5;
#endif

static tx_dataset data;
static tx_view view;
static real every[ALL * DIM];

static const tx_model_ops *find(const char *name)
{
    for (size_t k = 0; tx_model_list[k]; k++)
        if (strcmp(tx_model_list[k]->name, name) == 0) return tx_model_list[k];
    abort();
}

static void open_view(tx_view *v, const tx_dataset *d)
{
    tx_view_config c;
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_view_open(v, d, &c));
}

static void start(void)
{
    data = (tx_dataset){.name = "all", .type = TX_BINARY, .levels = 2, .dim = DIM};
    for (int s = 0; s < TX_N_SPLIT; s++) {
        uint8_t *level = tx_alloc(ALL * DIM, 1);
        for (size_t i = 0; i < ALL * DIM; i++)
            level[i] = s == TX_TEST ? (i / DIM) >> (i % DIM) & 1 : tx_rng_uniform1(tx_rng_root(3), i) < 0.385;
        data.split[s].n = ALL, data.split[s].level = level, data.memory[s] = level;
    }
    open_view(&view, &data);
    tx_view_range(&view, TX_TEST, 0, ALL, every, NULL);
}

static void parse(const tx_option *options, const char *text, void *config)
{
    tx_yaml *y = NULL;
    tx_options_defaults(options, config);
    CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &y));
    tx_option_set set = {options, config};
    CHECK_OK(tx_options_parse(&set, 1, y, "test", NULL));
    tx_yaml_free(y);
}

/* With normal weights of this spread. */
static tx_model *open_model(const char *name, const char *text, const tx_view *v, double spread)
{
    const tx_model_ops *ops = find(name);
    void *config = tx_alloc(1, ops->config_size);
    tx_model *m = NULL;
    parse(ops->options, text, config);
    CHECK_OK(tx_model_new(&m, ops, config, &v->space, 17));
    for (int k = 0; k < tx_params_count(m->net[0]); k++) {
        tx_tensor w = tx_params_value(m->net[0], (tx_param){k});
        for (size_t i = 0; i < tx_len(w); i++)
            w.x[i] = (real)(spread * tx_rng_normal1(tx_rng_fold(tx_rng_root(91), (uint64_t)k), i));
    }
    free(config);
    return m;
}

static tx_estimate run(const char *name, tx_model *m, const tx_view *v, const char *settings, size_t n)
{
    const tx_estimator_ops *o = tx_estimator_find(name);
    int config[16];
    tx_estimate e = {0};
    CHECK_TRUE(o->config_size <= sizeof config && !o->unfit(m->ops, v));
    parse(o->options, settings, config);
    CHECK_OK(o->run(config, m, v, TX_TEST, n, tx_rng_root(1), NULL, NULL, &e));
    return e;
}

/* log p of every row along one ordering. */
static void along(tx_model *m, uint64_t ordering, double value[])
{
    tx_tape *t = tx_tape_new(1 << 20);
    tx_model_bind(m, t);
    tx_var y = m->ops->log_prob_along(m, t, ordering, tx_leaf(t, tx_matrix(every, ALL, DIM)));
    for (size_t i = 0; i < ALL; i++) value[i] = (double)y->v.x[i];
    tx_tape_free(t);
}

static const struct {
    const char *name, *text;
    uint64_t orderings; /* 0: any number */
} several[] = {
    {"nade", "{hidden: [19], order: agnostic}", 0},
    {"nade", "{hidden: [64], order: agnostic, order_seed: 5}", 0},
    {"nade", "{hidden: [19, 23], order: agnostic}", 0},
    {"made", "{hidden: [19], order: random, masks: 8}", 8},
    {"made", "{hidden: [19, 13], direct: true, degrees: random, masks: 5}", 5},
};

static void test_mixture(void)
{
    enum { ASKED = 13 };
    for (size_t k = 0; k < TX_LEN(several); k++) {
        tx_model *m = open_model(several[k].name, several[k].text, &view, 1.385);
        int n = several[k].orderings ? (int)several[k].orderings : ASKED;
        double sum[ALL] = {0}, logits[ALL] = {0}, one[ALL], total = 0, apart = 0;
        CHECK_INT(m->ops->n_ordering(m), several[k].orderings);
        for (int o = 0; o < n; o++) {
            double normal = 0;
            along(m, (uint64_t)o, one);
            for (size_t i = 0; i < ALL; i++) sum[i] += exp(one[i]) / n, logits[i] += one[i] / n, normal += exp(one[i]);
            CHECK_NEAR(normal, 1, tight);
        }
        tx_estimate e = run("ensemble", m, &view, "{n_ordering: 13}", 0);
        for (size_t i = 0; i < ALL; i++) {
            CHECK_NEAR(e.log_likelihood[i], log(sum[i]), tight * fmax(1, -log(sum[i])));
            total += exp(e.log_likelihood[i]), apart += (e.log_likelihood[i] - logits[i]) / ALL;
        }
        CHECK_NEAR(total, 1, tight);
        CHECK_TRUE(apart > 0.05); /* an average of log-likelihoods is another number, and no model's */
        CHECK_TRUE(e.kind == TX_EXACT && !e.stochastic && !e.std_error);
        CHECK_NEAR(e.mc_error, 0, 0);
        CHECK_NEAR(e.model_evaluations, n * ALL, 0);
        tx_estimate_free(&e);
        tx_model_free(m);
    }
}

/* The orderings differ, the first is the model's own, and MADE's likelihood is the mixture of them all. */
static void test_own(void)
{
    static const struct {
        const char *name, *text, *settings;
    } same[] = {
        {"nade", "{hidden: [19], order: agnostic, order_seed: 3}", "{n_ordering: 1}"},
        {"nade", "{hidden: [19]}", "{n_ordering: 7}"},
        {"made", "{hidden: [19]}", "{n_ordering: 7}"},
        {"made", "{hidden: [19], order: random, masks: 6}", "{n_ordering: 6}"},
        {"made", "{hidden: [19], order: random, masks: 6}", "{n_ordering: 16}"},
    };
    for (size_t k = 0; k < TX_LEN(same); k++) {
        tx_model *m = open_model(same[k].name, same[k].text, &view, 1.385);
        tx_estimate a = run("ensemble", m, &view, same[k].settings, 0), b = run("exact", m, &view, "{}", 0);
        for (size_t i = 0; i < ALL; i++)
            CHECK_NEAR(a.log_likelihood[i], b.log_likelihood[i], tight * fmax(1, -b.log_likelihood[i]));
        tx_estimate_free(&a), tx_estimate_free(&b), tx_model_free(m);
    }
    tx_model *m = open_model("nade", "{hidden: [19], order: agnostic}", &view, 1.385);
    double value[5][ALL]; /* drawn orderings, and the raster order that the model has of its own */
    tx_estimate raster = run("exact", m, &view, "{}", 0);
    memcpy(value[4], raster.log_likelihood, sizeof value[4]);
    tx_estimate_free(&raster);
    for (uint64_t o = 0; o < 5; o++) {
        if (o < 4) along(m, o, value[o]);
        for (uint64_t p = 0; p < o; p++) CHECK_TRUE(memcmp(value[o], value[p], sizeof value[o]) != 0);
    }
    tx_model_free(m);
}

static double number(const tx_estimate *e, const char *name, size_t i)
{
    return json_number_value(json_array_get(json_object_get(e->settings, name), i));
}

static void test_curve(void)
{
    static const int at[] = {1, 2, 4, 8, 11};
    tx_model *m = open_model("nade", "{hidden: [19], order: agnostic}", &view, 0.785);
    tx_estimate e = run("ensemble", m, &view, "{n_ordering: 11}", 50);
    CHECK_INT(json_array_size(json_object_get(e.settings, "curve_n")), TX_LEN(at));
    CHECK_TEXT(e.evaluated_model, "mixture of 11 orderings");
    CHECK_TRUE(!json_object_get(e.settings, "n_ordering_asked"));
    for (size_t k = 0; k < TX_LEN(at); k++) {
        char text[40];
        snprintf(text, sizeof text, "{n_ordering: %d}", at[k]);
        tx_estimate one = run("ensemble", m, &view, text, 50);
        CHECK_NEAR(number(&e, "curve_n", k), at[k], 0);
        CHECK_NEAR(number(&e, "curve_mean", k), one.mean, 1e-12);
        CHECK_NEAR(number(&e, "curve_std_error", k), one.mean_error, 1e-12);
        tx_estimate_free(&one);
    }
    CHECK_NEAR(number(&e, "curve_mean", TX_LEN(at) - 1), e.mean, 1e-12);
    CHECK_NEAR(number(&e, "curve_std_error", TX_LEN(at) - 1), e.mean_error, 1e-12);
    tx_estimate_free(&e);
    e = run("ensemble", m, &view, "{n_ordering: 2}", 1);
    CHECK_TRUE(!json_object_get(e.settings, "curve_std_error")); /* one row has none */
    tx_estimate_free(&e);
    tx_model_free(m);
}

static void test_fewer(void)
{
    tx_model *m = open_model("made", "{hidden: [19], order: random, masks: 3}", &view, 0.785);
    tx_estimate e = run("ensemble", m, &view, "{}", 0);
    CHECK_TEXT(e.evaluated_model, "mixture of 3 orderings, all that the model has");
    CHECK_INT(json_integer_value(json_object_get(e.settings, "n_ordering")), 3);
    CHECK_INT(json_integer_value(json_object_get(e.settings, "n_ordering_asked")), 16);
    CHECK_NEAR(number(&e, "curve_n", 2), 3, 0);
    tx_estimate_free(&e);
    tx_model_free(m);
    CHECK_HAS(tx_estimator_find("ensemble")->unfit(find("vae"), &view), "no densities along several orderings");
}

static double last_share;
static void note_share(void *ctx, double share)
{
    (void)ctx;
    CHECK_TRUE(share > last_share && share <= 1 + 1e-12);
    last_share = share;
}

/* A model of three orderings, NaN along the second in the last row. */
static void toy_build(tx_model *m)
{
    m->net[0] = tx_params_new("toy"), m->n_net = 1;
    tx_params_add(m->net[0], "unused", tx_shape2(1, 1), (tx_init){TX_INIT_CONSTANT, 0});
}

static uint64_t toy_orderings(const tx_model *m) { return (void)m, 3; }

static tx_var toy_along(tx_model *m, tx_tape *t, uint64_t ordering, tx_var x)
{
    (void)m;
    tx_tensor y = tx_tape_tensor(t, tx_rows(x->v), 1);
    for (size_t i = 0; i < tx_len(y); i++) y.x[i] = ordering == 1 && i == ALL - 1 ? NAN : (real)-2.385;
    return tx_leaf(t, y);
}

static void test_not_finite(void)
{
    static const tx_option none[] = {{0}};
    static const tx_model_ops toy = {.name = "toy",
                                     .spaces = TX_ON_BINARY,
                                     .options = none,
                                     .build = toy_build,
                                     .n_ordering = toy_orderings,
                                     .log_prob_along = toy_along};
    tx_model *m;
    tx_estimate e = {0};
    int config = 3;
    CHECK_OK(tx_model_new(&m, &toy, NULL, &view.space, 1));
    CHECK_INT(tx_estimator_find("ensemble")->run(&config, m, &view, TX_TEST, 0, tx_rng_root(1), NULL, NULL, &e),
              TX_EDIVERGED);
    CHECK_HAS(tx_last_error(), "test row 63 is nan");
    e = run("ensemble", m, &view, "{}", ALL - 1);
    CHECK_NEAR(e.mean, -2.385, 1e-6);
    tx_estimate_free(&e);
    tx_model_free(m);
}

/* Many rows and batches of them; and rows whose density is NaN are named. */
static void test_threads(void)
{
    enum { N = 611, D = 33 };
    tx_dataset wide = {.name = "wide", .type = TX_BINARY, .levels = 2, .dim = D};
    tx_view v;
    for (int s = 0; s < TX_N_SPLIT; s++) {
        uint8_t *level = tx_alloc(N * D, 1);
        for (size_t i = 0; i < N * D; i++) level[i] = tx_rng_uniform1(tx_rng_root(7), i) < 0.3;
        wide.split[s].n = N, wide.split[s].level = level, wide.memory[s] = level;
    }
    open_view(&v, &wide);
    for (size_t k = 0; k < TX_LEN(several); k++) {
        tx_model *m = open_model(several[k].name, several[k].text, &v, 0.385);
        tx_estimate e[3];
        for (int j = 0; j < 3; j++) {
            tx_threads_set(1 << j);
            e[j] = run("ensemble", m, &v, "{n_ordering: 3}", 0);
            CHECK_TRUE(memcmp(e[j].log_likelihood, e[0].log_likelihood, N * sizeof(double)) == 0);
            CHECK_NEAR(number(&e[j], "curve_mean", 2), e[j].mean, 1e-12 * fabs(e[j].mean));
            CHECK_NEAR(number(&e[j], "curve_std_error", 2), e[j].mean_error, 1e-12);
        }
        tx_threads_set(1);
        tx_estimate exact = run("ensemble", m, &v, "{n_ordering: 3}",
                                17); /* a row's value does not hang on the others */
        for (size_t i = 0; i < 17; i++)
            CHECK_NEAR(exact.log_likelihood[i], e[0].log_likelihood[i], tight * fabs(e[0].log_likelihood[i]));
        tx_estimate_free(&exact);
        for (int j = 0; j < 3; j++) tx_estimate_free(&e[j]);
        int config = 3;
        last_share = 0;
        CHECK_OK(
            tx_estimator_find("ensemble")->run(&config, m, &v, TX_TEST, 0, tx_rng_root(1), note_share, NULL, &e[0]));
        CHECK_NEAR(last_share, 1, 1e-12);
        tx_estimate_free(&e[0]);
        tx_tensor w = tx_params_value(m->net[0], (tx_param){0});
        for (size_t i = 0; i < 2 * tx_cols(w); i++) w.x[i] = NAN; /* of two values, not of masks */
        CHECK_INT(tx_estimator_find("ensemble")->run(&config, m, &v, TX_TEST, 0, tx_rng_root(1), NULL, NULL, &e[0]),
                  TX_EDIVERGED);
        CHECK_HAS(tx_last_error(), "test row ");
        tx_model_free(m);
    }
    tx_view_close(&v), tx_dataset_close(&wide);
}

static void finish(void) { tx_view_close(&view), tx_dataset_close(&data); }

int main(void)
{
    static const tx_test tests[] = {
        {"set up", start},
        {"the mixture of likelihoods, which adds to one", test_mixture},
        {"one ordering is the model, all of MADE's too", test_own},
        {"the curve is that of nested ensembles", test_curve},
        {"fewer orderings than asked for", test_fewer},
        {"what is not finite along one ordering", test_not_finite},
        {"the same bits for every thread count; what is not finite", test_threads},
        {"clean up", finish},
    };
    return tx_run_tests("ensemble", tests, (int)TX_LEN(tests));
}
