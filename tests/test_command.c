#include "tests/support/check.h"
#include "common/store/commit.h"
#include "common/store/compare_file.h"
#include "common/store/h5.h"
#include "experiments/taxon/forecast.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/config.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/pairwise.h"
#include "experiments/taxon/plan.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/program.h"
#include "experiments/taxon/runner.h"
#include "experiments/taxon/table.h"
#include <stdlib.h>

#define DATA   "datasets: [{name: ring, n_train: 60, n_valid: 20, n_test: 20}]\n"
#define MODELS "models: [{model: independent}]\n"

static tx_status parse(tx_comparison *c, const char *text) { return tx_comparison_parse(c, text, "a.yaml", NULL, 0); }

/* The text of a comparison's resolved form, to be freed. */
static char *resolved(const tx_comparison *c)
{
    json_t *j = tx_comparison_json(c);
    char *text = tx_json_text(j);
    json_decref(j);
    return text;
}

static void test_resolved_config_is_a_config(void)
{
    static const char text[] =
        "experiment: e1\nseeds: [3, 5]\n" DATA "train: {epochs: 7, learning_rate: 0.1}\n"
        "models: [{model: made, hidden: {grid: [[5, 6], 7]}}, {model: vae, label: v}]\n"
        "evaluate: {estimators: [elbo, {estimator: parzen}], splits: [valid, test], n_sample: 3}\n";
    tx_comparison a, b;
    CHECK_OK(parse(&a, text));
    json_t *j = tx_comparison_json(&a);
    tx_text yaml = {0};
    tx_json_yaml(&yaml, j);
    json_decref(j);
    CHECK_OK(parse(&b, yaml.s));
    char *one = resolved(&a), *two = resolved(&b);
    CHECK_TEXT(one, two);
    CHECK_HAS(one, "\"experiment\":\"e1\"");
    CHECK_HAS(one, "\"hidden\":[5,6]");
    CHECK_HAS(one, "\"epochs\":7");
    CHECK_HAS(one, "\"splits\":[\"valid\",\"test\"]");
    free(one), free(two);
    tx_text_free(&yaml);
    tx_comparison_free(&a), tx_comparison_free(&b);
}

static void test_spec_round_trip(void)
{
    tx_comparison c;
    tx_spec s;
    CHECK_OK(parse(&c, DATA
                   "models: [{model: vae, latent: 3, train: {learning_rate: 0.1, optimizer: sgd, momentum: 0.3}}]\n"));
    json_t *j = tx_spec_json(&c.data[0].spec, &c.model[0].spec, &c.evaluate, 11);
    char *text = tx_json_text(j);
    CHECK_OK(tx_spec_parse(&s, text, "spec"));
    json_t *again = tx_spec_json(&s.data, &s.model, &s.evaluate, s.seed);
    CU_ASSERT(json_equal(j, again));
    CHECK_INT(s.seed, 11);
    CHECK_TEXT(s.model.label, "vae");
    json_decref(j), json_decref(again), free(text);
    tx_spec_free(&s);
    tx_comparison_free(&c);
}

static void test_named_estimates(void)
{
    static const char text[] = DATA MODELS "evaluate: {estimators: [elbo, {estimator: elbo, name: elbo_50, n_repeat: "
                                           "50}, {estimator: exact, name: exact}]}\n";
    tx_comparison c;
    CHECK_OK(parse(&c, text));
    CHECK_INT(c.evaluate.n, 3);
    CHECK_TEXT(c.evaluate.estimator[0].name, "elbo");
    CHECK_TEXT(c.evaluate.estimator[1].name, "elbo_50");
    CHECK_TRUE(c.evaluate.estimator[0].ops == c.evaluate.estimator[1].ops);
    char *json = resolved(&c);
    CHECK_HAS(json, "{\"estimator\":\"elbo\",\"n_repeat\":10}"); /* as files of before have it: they are kept */
    CHECK_HAS(json, "{\"estimator\":\"elbo\",\"name\":\"elbo_50\",\"n_repeat\":50}");
    free(json);
    tx_comparison_free(&c);
}

/* Entries that are allowed one by one, but are too many together. */
static void test_variants_are_limited(void)
{
    tx_comparison c;
    tx_text t = {0};
    tx_text_add(&t, "%smodels:\n", DATA);
    for (int i = 0; i < 20; i++) {
        tx_text_add(&t, "  - {model: vae, label: m%d, train: {batch: {grid: [1", i);
        for (int k = 2; k <= 60; k++) tx_text_add(&t, ", %d", k);
        tx_text_add(&t, "]}}}\n");
    }
    CHECK_INT(parse(&c, t.s), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "more than 1000 models, every combination of grids counted");
    tx_text_free(&t);
    tx_text_add(&t, "models: [{model: nade}]\ndatasets:\n");
    for (int i = 0; i < 1001; i++) tx_text_add(&t, "  - {name: bars, n_train: %d}\n", i + 1);
    CHECK_INT(parse(&c, t.s), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "a.yaml:1003:5: more than 1000 data sets");
    tx_text_free(&t);
}

static void test_grids_make_variants(void)
{
    static const char *const label[] = {"made-hidden=5x6-batch=10", "made-hidden=5x6-batch=20",
                                        "made-hidden=7-batch=10",   "made-hidden=7-batch=20",
                                        "m2-order=random-batch=10", "m2-order=random-batch=20"};
    tx_comparison c;
    CHECK_OK(parse(&c, DATA "train: {batch: {grid: [10, 20]}}\n"
                            "models: [{model: made, hidden: {grid: [[5, 6], 7]}}, "
                            "{model: made, label: m2, order: {grid: [random]}}]\n"));
    CHECK_INT(c.n_model, TX_LEN(label));
    for (int i = 0; i < c.n_model && i < (int)TX_LEN(label); i++) {
        CHECK_TEXT(c.model[i].spec.label, label[i]);
        CHECK_TEXT(c.model[i].spec.group, i < 4 ? "made" : "m2");
        CHECK_INT(c.model[i].spec.train.batch, i % 2 ? 20 : 10);
    }
    tx_comparison_free(&c);
}

static void test_own_train_keys_win(void)
{
    tx_comparison c;
    CHECK_OK(parse(&c, DATA "train: {epochs: 9, optimizer: adam, beta1: 0.4, batch: {grid: [10, 20]}}\n"
                            "models: [{model: independent, train: {batch: 31}}, "
                            "{model: vae, train: {optimizer: sgd, momentum: 0.7, batch: 4}}]\n"));
    CHECK_INT(c.n_model, 2);
    CHECK_INT(c.model[0].spec.train.batch, 31);
    CHECK_INT(c.model[1].spec.train.epochs, 9);
    json_t *adam = tx_train_json(&c.model[0].spec.train), *sgd = tx_train_json(&c.model[1].spec.train);
    CHECK_NEAR(json_number_value(json_object_get(adam, "beta1")), 0.4, 0);
    CHECK_NEAR(json_number_value(json_object_get(sgd, "momentum")), 0.7, 0);
    CHECK_TRUE(json_object_get(sgd, "beta1") == NULL);
    json_decref(adam), json_decref(sgd);
    tx_comparison_free(&c);
}

static void test_overrides(void)
{
    char *set[] = {"seeds=[4]", "train.epochs=3", "models.0.train.batch=17", "evaluate.n_sample=0"};
    tx_comparison c;
    CHECK_OK(tx_comparison_parse(&c, DATA MODELS, "a.yaml", set, TX_LEN(set)));
    CHECK_INT(c.seeds.v[0], 4);
    CHECK_INT(c.model[0].spec.train.epochs, 3);
    CHECK_INT(c.model[0].spec.train.batch, 17);
    CHECK_INT(c.evaluate.n_sample, 0);
    tx_comparison_free(&c);
    char *bad[] = {"train.epoch=3"};
    CHECK_INT(tx_comparison_parse(&c, DATA MODELS, "a.yaml", bad, 1), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "command line");
    CHECK_HAS(tx_last_error(), "'epoch'");
    CHECK_HAS(tx_last_error(), "'epochs'");
}

static void test_refusals_name_the_place(void)
{
    static const struct {
        const char *text, *place, *what;
    } bad[] = {
        {DATA MODELS "seed: [1]\n", "a.yaml:3:1:", "did you mean 'seeds'"},
        {DATA MODELS "seeds: []\n", "a.yaml:3:1:", "at least one"},
        {DATA MODELS "seeds: [1, 2, 1]\n", "a.yaml:3:1:", "twice"},
        {DATA MODELS "seeds: [-1]\n", "a.yaml:3:9:", "at least 0"},
        {DATA MODELS "experiment: a/b\n", "a.yaml:3:1:", "letters"},
        {MODELS, "a.yaml:1:1:", "key 'datasets' is missing"},
        {DATA, "a.yaml:1:1:", "key 'models' is missing"},
        {DATA "models: []\n", "a.yaml:2:1:", "at least one member"},
        {DATA "models: [made]\n", "a.yaml:2:10:", "{model: NAME}"},
        {DATA "models: [{model: mad}]\n", "a.yaml:2:11:", "did you mean 'made'"},
        {DATA "models: [{hidden: 3}]\n", "a.yaml:2:10:", "key 'model' is missing"},
        {DATA "models: [{model: made, hiden: 3}]\n", "a.yaml:2:24:", "did you mean 'hidden'"},
        {DATA "models: [{model: made, hidden: [0]}]\n", "a.yaml:2:33:", "'hidden'"},
        {DATA "models: [{model: made, label: a b}]\n", "a.yaml:2:24:", "letters"},
        {DATA "models: [{model: made, view: rav}]\n", "a.yaml:2:24:", "any|raw|binarised"},
        {DATA "models: [{model: made}, {model: made}]\n", "a.yaml:2:25:", "label"},
        {DATA "models: [{model: made, hidden: {grid: []}}]\n", "a.yaml:2:33:", "'grid': expected a list with a member"},
        {DATA "models: [{model: made, hidden: {grid: [1], more: 2}}]\n", "a.yaml:2:24:", "found a map of 2"},
        {DATA "models: [{model: made, train: 3}]\n", "a.yaml:2:24:", "expected a map"},
        {DATA "models: [{model: made, train: {epochs: 0}}]\n", "a.yaml:2:32:", "'epochs'"},
        {DATA MODELS "train: {optimizer: adm}\n", "a.yaml:3:9:", "did you mean 'adam'"},
        {DATA MODELS "train: {optimizer: sgd, beta1: 0.5}\n", "a.yaml:3:25:", "'beta1'"},
        {DATA MODELS "train: 3\n", "a.yaml:3:1:", "expected a map"},
        {DATA MODELS "evaluate: {estimators: [exat]}\n", "a.yaml:3:25:", "did you mean 'exact'"},
        {DATA MODELS "evaluate: {estimators: [elbo, elbo]}\n", "a.yaml:3:31:", "already"},
        {DATA MODELS "evaluate: {estimators: [{estimator: elbo, name: exact}, exact]}\n",
         "a.yaml:3:43:", "another estimator than elbo"},
        {DATA MODELS "evaluate: {estimators: [elbo, {estimator: elbo, n_repeat: 7}]}\n",
         "a.yaml:3:32:", "name: ANOTHER"},
        {DATA MODELS "evaluate: {estimators: [{estimator: elbo, name: a/b}]}\n", "a.yaml:3:43:", "letters"},
        {DATA MODELS "evaluate: {splits: [tests]}\n", "a.yaml:3:21:", "train, valid or test"},
        {DATA MODELS "evaluate: {n_samples: 3}\n", "a.yaml:3:12:", "did you mean 'n_sample'"},
        {"datasets: [{view: raw}]\n" MODELS, "a.yaml:1:12:", "name and path"},
        {"datasets: [{name: ring, path: x}]\n" MODELS, "a.yaml:1:12:", "name and path"},
        {"datasets: [{name: ring, view: rav}]\n" MODELS, "a.yaml:1:25:", "did you mean 'raw'"},
    };
    for (size_t i = 0; i < TX_LEN(bad); i++) {
        tx_comparison c;
        CHECK_INT(parse(&c, bad[i].text), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), bad[i].place);
        CHECK_HAS(tx_last_error(), bad[i].what);
    }
}

static void test_labels(void)
{
    char out[TX_NAME_MAX];
    tx_label_of("[500, 500]", out, sizeof out);
    CHECK_TEXT(out, "500x500");
    tx_label_of("a/b\xC3\xA9 c", out, sizeof out);
    CHECK_TEXT(out, "a_b__c");
    CHECK_TRUE(tx_label_fits("made-hidden=500x500_1.5e+3"));
    static const char *const bad[] = {"", ".", "..", "-a", "a b", "a/b", "\xC3\xA9"};
    for (size_t i = 0; i < TX_LEN(bad); i++) CHECK_TRUE(!tx_label_fits(bad[i]));
}

static void test_small_texts(void)
{
    char buf[32];
    CHECK_TEXT(tx_print_real(0.1, buf), "0.1");
    CHECK_TEXT(tx_print_real(3, buf), "3.0");
    CHECK_TEXT(tx_print_real(1e-300, buf), "1e-300");
    CHECK_NEAR(strtod(tx_print_real(0.1 + 0.2, buf), NULL), 0.1 + 0.2, 0);
    double s = 0;
    CHECK_OK(tx_duration("55m", &s));
    CHECK_NEAR(s, 3300, 0);
    CHECK_OK(tx_duration("2.5", &s));
    CHECK_NEAR(s, 2.5, 0);
    static const char *const bad[] = {"", "h", "-3s", "0", "3x", "3hh", "inf", "nan"};
    for (size_t i = 0; i < TX_LEN(bad); i++) CHECK_INT(tx_duration(bad[i], &s), TX_EUSAGE);
    json_t *a = json_pack("{s{si, si}, si}", "train", "epochs", 20, "batch", 5, "seed", 1);
    json_t *b = json_pack("{s{si, si}, si}", "train", "epochs", 20, "batch", 6, "seed", 1);
    char why[TX_TEXT_MAX];
    CHECK_TRUE(!tx_json_differ(a, a, why, sizeof why));
    CHECK_TRUE(tx_json_differ(a, b, why, sizeof why));
    CHECK_TEXT(why, "train.batch: 5 and 6");
    json_object_del(json_object_get(b, "train"), "batch");
    CHECK_TRUE(tx_json_differ(b, a, why, sizeof why));
    CHECK_TEXT(why, "train.batch: nothing and 5");
    json_decref(a), json_decref(b);
}

static void test_plan(void)
{
    tx_comparison c;
    tx_plan p;
    CHECK_OK(parse(&c, "seeds: [0, 7]\n" DATA
                       "train: {epochs: 3, batch: 7}\nmodels: [{model: made}, {model: nice, hidden: [4]}]\n"
                       "evaluate: {estimators: [elbo]}\n"));
    CHECK_OK(tx_plan_make(&p, &c, "out"));
    CHECK_INT(p.n, 4);
    CHECK_TEXT(p.job[3].name, "ring-raw/nice/seed-7");
    CHECK_TEXT(p.job[3].folder, "out/ring-raw/nice/seed-7");
    CHECK_INT(p.job[0].state, TX_JOB_UNFIT);
    CHECK_INT(p.job[3].state, TX_JOB_NEW);
    CHECK_NEAR(p.job[3].n_step, 3 * 9, 0);
    CHECK_TRUE(p.job[3].n_parameter > 0);
    CHECK_HAS(p.note.s, "elbo does not apply to nice");
    tx_plan_shard(&p, 2, 2);
    CHECK_INT(p.job[2].state, TX_JOB_OTHER_SHARD);
    CHECK_INT(p.job[3].state, TX_JOB_NEW);
    tx_plan_free(&p);
    tx_comparison_free(&c);
    CHECK_OK(parse(
        &c, "datasets: [{name: ring, n_train: 60}, {name: ring, n_train: 60, view: standardised}]\n"
            "models: [{model: nice, hidden: [4]}, {model: nice, label: there, hidden: [4], view: standardised}]\n"));
    json_t *all = tx_comparison_json(&c), *models = json_object_get(all, "models");
    CHECK_TEXT(json_string_value(json_object_get(json_array_get(models, 0), "view")), "any");
    CHECK_TEXT(json_string_value(json_object_get(json_array_get(models, 1), "view")), "standardised");
    json_decref(all);
    CHECK_OK(tx_plan_make(&p, &c, "out"));
    CHECK_INT(p.n, 4);
    CHECK_INT(p.job[0].state, TX_JOB_NEW);
    CHECK_INT(p.job[1].state, TX_JOB_UNFIT);
    CHECK_TEXT(p.job[1].why, "the config has it on view standardised only");
    CHECK_INT(p.job[3].state, TX_JOB_NEW);
    CHECK_TRUE(!json_object_get(json_object_get(p.job[3].config, "model"), "view"));
    tx_plan_free(&p);
    tx_comparison_free(&c);
    CHECK_OK(parse(&c, "datasets: [{name: ring}, {name: ring, n_train: 10}]\n" MODELS));
    CHECK_INT(tx_plan_make(&p, &c, "out"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "a.yaml:1:26: 'ring-raw' is there twice");
    tx_comparison_free(&c);
    CHECK_OK(parse(&c, DATA "models: [{model: made}]\n"));
    CHECK_INT(tx_plan_make(&p, &c, "out"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "no model applies");
    tx_comparison_free(&c);
}

/* What runs have shown, and no more. */
static void test_forecast(void)
{
    const tx_work wait = {.like = 0, .size = 100, .state = TX_WORK_WAITS};
    tx_work w[3] = {wait, wait, wait};
    tx_forecast f = tx_forecast_of(3, w, 1);
    CHECK_TRUE(isnan(f.left));
    CHECK_NEAR(f.part, 0, 0);
    /* Half of a run in 10 s: one after the other 10 + 20 + 20, two at a time 10 + 20. */
    w[0] = (tx_work){.size = 100, .state = TX_WORK_RUNS, .share = 0.5, .seconds = 10};
    f = tx_forecast_of(3, w, 1);
    CHECK_NEAR(f.left, 50, 1e-9);
    CHECK_NEAR(f.part, 0.5 / 3, 1e-9);
    CHECK_TRUE(!f.guessed);
    CHECK_NEAR(tx_forecast_of(3, w, 2).left, 30, 1e-9);
    /* Too little to tell: a hundredth of the run, or a moment. */
    w[0].share = 0.01;
    CHECK_TRUE(isnan(tx_forecast_of(3, w, 1).left));
    w[0].share = 0.5, w[0].seconds = 0.1;
    CHECK_TRUE(isnan(tx_forecast_of(3, w, 1).left));
    /* One that goes on from a checkpoint: a quarter in 10 s, of which a quarter is left. */
    w[0] = (tx_work){.size = 100, .state = TX_WORK_RUNS, .from = 0.5, .share = 0.75, .seconds = 10};
    CHECK_NEAR(tx_forecast_of(1, w, 1).left, 10, 1e-9);
    /* Of another model, ten times as large: ten times as long, which is a guess, and the bar says a small part. */
    w[0] = (tx_work){.size = 100, .state = TX_WORK_ENDED, .share = 1, .seconds = 10};
    w[1] = (tx_work){.like = 1, .size = 1000, .state = TX_WORK_WAITS};
    f = tx_forecast_of(2, w, 1);
    CHECK_NEAR(f.left, 100, 1e-9);
    CHECK_NEAR(f.part, 10.0 / 110, 1e-9);
    CHECK_TRUE(f.guessed);
    /* Of one a thousand times as large too little has been seen. */
    w[1].size = 100000;
    CHECK_TRUE(isnan(tx_forecast_of(2, w, 1).left));
    /* A run that failed has ended, and tells nothing. */
    w[1] = (tx_work){.size = 100, .state = TX_WORK_ENDED, .share = 1, .seconds = NAN};
    w[2] = wait;
    f = tx_forecast_of(3, w, 1);
    CHECK_NEAR(f.left, 10, 1e-9);
    CHECK_NEAR(f.part, 2.0 / 3, 1e-9);
    /* One that was stopped waits to go on from a quarter. */
    w[1] = (tx_work){.size = 100, .state = TX_WORK_WAITS, .share = 0.25};
    f = tx_forecast_of(2, w, 1);
    CHECK_NEAR(f.left, 7.5, 1e-9);
    CHECK_NEAR(f.part, 12.5 / 20, 1e-9);
    /* What one seed took in all is known better than what another's training promises. */
    w[1] = (tx_work){.size = 100, .state = TX_WORK_RUNS, .share = 0.8, .seconds = 1};
    CHECK_NEAR(tx_forecast_of(2, w, 1).left, 2, 1e-9);
}

enum { MADE_UP = 9 };

/* One made-up run; a NAN mean: no estimate. */
static tx_run_info made_up(const char *label, const char *group, int seed, tx_kind kind, double mean, double score)
{
    tx_run_info r = {.seed = seed, .best_score = score};
    tx_copy_text(r.label, sizeof r.label, label);
    tx_copy_text(r.group, sizeof r.group, group);
    tx_copy_text(r.model, sizeof r.model, group);
    tx_copy_text(r.taxonomy_path, sizeof r.taxonomy_path, "explicit/tractable/leaf");
    tx_copy_text(r.dataset, sizeof r.dataset, "digits_1");
    tx_copy_text(r.view, sizeof r.view, "binarised");
    tx_copy_text(r.measure, sizeof r.measure, "counting");
    tx_copy_text(r.status, sizeof r.status, "complete");
    tx_numbers cost = {0}, metrics = {0};
    tx_numbers_add(&cost, "n_parameter", "1", 1238784, "parameters");
    tx_numbers_add(&metrics, "coin_flip_entropy_test", "nat", 189.9, "entropy");
    r.cost = tx_numbers_copy(&cost), r.metrics = tx_numbers_copy(&metrics);
    if (isnan(mean)) return r;
    r.n_estimate = 1;
    r.estimate = tx_alloc(1, sizeof *r.estimate);
    *r.estimate = (tx_estimate){
        .kind = kind, .split = TX_TEST, .n = 100, .mean = mean, .mean_error = 0.618, .bits_per_dim = NAN};
    tx_copy_text(r.estimate->estimator, TX_NAME_MAX, kind == TX_EXACT ? "exact" : "elbo");
    tx_copy_text(r.estimate->name, TX_NAME_MAX, r.estimate->estimator);
    tx_copy_text(r.estimate->evaluated_model, TX_TEXT_MAX, "model");
    return r;
}

static char *table(const char *format)
{
    tx_run_info run[MADE_UP] = {
        made_up("a", "a", 0, TX_EXACT, -285.3149, -280),    made_up("b-h=1", "b", 0, TX_EXACT, -100.385, -300),
        made_up("b-h=2", "b", 0, TX_EXACT, -200.385, -250), made_up("c", "c", 0, TX_LOWER_BOUND, -90.25, -90),
        made_up("c", "c", 1, TX_LOWER_BOUND, -92.75, -92),  made_up("d", "d", 0, TX_EXACT, NAN, NAN),
        made_up("e-x=1", "e", 0, TX_EXACT, NAN, NAN),       made_up("e-x=2", "e", 0, TX_EXACT, NAN, NAN),
        made_up("f", "f", 0, TX_EXACT, NAN, NAN),
    };
    tx_copy_text(run[MADE_UP - 1].status, sizeof run[0].status, "diverged");
    tx_text t = {0};
    CHECK_OK(tx_results_table(MADE_UP, run, format, &t));
    for (int i = 0; i < MADE_UP; i++) tx_run_info_free(&run[i]);
    return t.s;
}

/* `part` stands in the text, and the second comes after the first. */
static void check_order(const char *text, const char *first, const char *second)
{
    const char *a = strstr(text, first), *b = strstr(text, second);
    if (!a || !b || a >= b) printf("\n  '%s' before '%s' in:\n%s\n", first, second, text);
    CU_ASSERT(a && b && a < b);
}

static void test_text_table(void)
{
    char *t = table("text");
    CHECK_HAS(t, "digits_1, binarised: counting measure, test split, 100 examples");
    CHECK_HAS(t, "=  -285.31 +- 0.62");
    CHECK_HAS(t, ">=   -91.5 +- 1.2");
    CHECK_HAS(t, "of 2 tried");
    CHECK_HAS(t, "1.24M");
    CHECK_HAS(t, "-189.90");
    CHECK_HAS(t, "not a model");
    CHECK_HAS(t, "over seeds, over examples where there is one seed");
    CHECK_TRUE(strstr(t, "b-h=1") == NULL);
    check_order(t, "b-h=2", "a  ");
    check_order(t, "-285.31", "-91.5");
    check_order(t, "-91.5", "none");
    check_order(t, "e-x=1", "e-x=2");
    check_order(t, "e-x=2", "1 of 1 diverged");
    for (char *line = strtok(t, "\n"); line; line = strtok(NULL, "\n")) CHECK_TRUE(strlen(line) <= 120);
    free(t);
}

static void test_other_tables(void)
{
    char *t = table("md");
    CHECK_HAS(t, "| = -285.31 ± 0.62 |");
    CHECK_HAS(t, "| ≥ -91.5 ± 1.2 |");
    free(t);
    t = table("tex");
    CHECK_HAS(t, "$= -285.31 \\pm 0.62$");
    CHECK_HAS(t, "\\begin{tabular}");
    free(t);
    t = table("json");
    json_t *j = json_loads(t, 0, NULL), *row = json_array_get(json_object_get(j, "rows"), 0);
    CHECK_TEXT(json_string_value(json_object_get(row, "label")), "b-h=2");
    CHECK_NEAR(json_number_value(json_object_get(row, "log_likelihood")), -200.385, 0);
    CHECK_INT(json_integer_value(json_object_get(row, "n_tried")), 2);
    CHECK_TRUE(json_is_null(json_object_get(row, "bits_per_dim")));
    json_decref(j), free(t);
    t = table("csv");
    CHECK_HAS(t, "\ndigits_1,binarised,counting,test,100,b-h=2,b,");
    CHECK_HAS(t, ",-200.385,0.618,");
    free(t);
    tx_text out = {0};
    CHECK_INT(tx_results_table(0, NULL, "xls", &out), TX_EUSAGE);
}

/* The two sums that a variance can be made of agree in all their digits here. */
static void test_error_of_near_means(void)
{
    tx_run_info run[3];
    for (int i = 0; i < 3; i++) run[i] = made_up("a", "a", i, TX_EXACT, -3e8 - 0.1 * i, -1);
    tx_text t = {0};
    CHECK_OK(tx_results_table(3, run, "json", &t));
    json_t *j = json_loads(t.s, 0, NULL), *row = json_array_get(json_object_get(j, "rows"), 0);
    CHECK_NEAR(json_number_value(json_object_get(row, "error")), 0.1 / sqrt(3), 1e-6);
    for (int i = 0; i < 3; i++) tx_run_info_free(&run[i]);
    json_decref(j), tx_text_free(&t);
}

static const json_t *row_of(const json_t *rows, const char *label)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i,
                       row) if (strcmp(json_string_value(json_object_get(row, "label")), label) == 0) return row;
    return NULL;
}

/* Of `a` the best score is of a variant that lost a seed, of `b` every variant lost one, `c` lost a run without a
 * trace. */
static void test_choice_among_variants(void)
{
    enum { N = 14 };
    static const struct {
        const char *label;
        int seed;
        double score;
        bool diverged;
    } plan[N] = {{"a-h=1", 0, -10, false}, {"a-h=1", 1, 900, true},  {"a-h=2", 0, -50, false}, {"a-h=2", 1, -52, false},
                 {"a-h=3", 0, -50, false}, {"a-h=3", 1, -53, false}, {"b-h=1", 0, -30, false}, {"b-h=1", 1, NAN, true},
                 {"b-h=2", 0, NAN, true},  {"b-h=2", 1, -20, false}, {"b-h=3", 0, NAN, true},  {"b-h=3", 1, NAN, true},
                 {"c-h=1", 1, -5, false},  {"c-h=2", 0, -80, false}};
    tx_run_info run[N + 1];
    for (int i = 0; i < N; i++) {
        char group[2] = {plan[i].label[0], 0};
        run[i] = made_up(plan[i].label, group, plan[i].seed, TX_EXACT, plan[i].diverged ? NAN : -60, plan[i].score);
        if (plan[i].diverged) tx_copy_text(run[i].status, sizeof run[i].status, "diverged");
    }
    run[N] = made_up("c-h=2", "c", 1, TX_EXACT, -60, -90);
    tx_text t = {0};
    CHECK_OK(tx_results_table(N + 1, run, "json", &t));
    json_t *j = json_loads(t.s, 0, NULL), *rows = json_object_get(j, "rows");
    static const char *const winner[] = {"a-h=2", "b-h=2", "c-h=2"};
    static const int tried[] = {3, 3, 2}, incomplete[] = {1, 3, 1};
    CHECK_INT(json_array_size(rows), 3);
    for (size_t i = 0; i < TX_LEN(winner); i++) {
        const json_t *row = row_of(rows, winner[i]);
        CHECK_TRUE(row != NULL);
        CHECK_INT(json_integer_value(json_object_get(row, "n_tried")), tried[i]);
        CHECK_INT(json_integer_value(json_object_get(row, "n_incomplete")), incomplete[i]);
    }
    json_decref(j), tx_text_free(&t);
    CHECK_OK(tx_results_table(N + 1, run, "text", &t));
    CHECK_HAS(t.s, "of 3 tried, 1 incomplete");
    CHECK_HAS(t.s, "of 3 tried, 3 incomplete; 1 of 2 diverged");
    tx_text_free(&t);

    char h5[TX_TEXT_MAX], csv[TX_TEXT_MAX];
    tx_h5 *f;
    snprintf(h5, sizeof h5, "%s/choice.h5", tx_test_folder());
    snprintf(csv, sizeof csv, "%s/choice.csv", tx_test_folder());
    CHECK_OK(tx_compare_write(h5, csv, N + 1, run, NULL));
    CHECK_OK(tx_h5_open(&f, h5, "taxon-compare"));
    uint8_t *chosen = tx_h5_get(f, "/digits_1-binarised/test/chosen", TX_H5_U8, NULL);
    CHECK_TRUE(chosen && memcmp(chosen, "\0\1\0\0\1\0\0\1", 8) == 0);
    free(chosen);
    CHECK_OK(tx_h5_close(f));
    for (int i = 0; i < N + 1; i++) tx_run_info_free(&run[i]);
}

/* ---- a variational model by several estimates beside an exact one ---- */

static tx_estimate *add(tx_run_info *r, tx_split split, const char *estimator, const char *name, tx_kind kind,
                        double mean, size_t n)
{
    r->estimate = tx_realloc(r->estimate, (size_t)r->n_estimate, (size_t)r->n_estimate + 1, sizeof *r->estimate);
    tx_estimate *e = &r->estimate[r->n_estimate++];
    *e = (tx_estimate){.kind = kind, .split = split, .n = n, .mean = mean, .mean_error = 0.618, .stochastic = true};
    e->mc_error = 0.0385, e->settings = json_object();
    e->bits_per_dim = -mean / 144, e->bits_kind = kind == TX_LOWER_BOUND ? TX_UPPER_BOUND : kind;
    tx_copy_text(e->estimator, TX_NAME_MAX, estimator);
    tx_copy_text(e->name, TX_NAME_MAX, name);
    tx_copy_text(e->evaluated_model, TX_TEXT_MAX, "model");
    return e;
}

static void brief(tx_estimate *e, const char *text) { json_object_set_new(e->settings, "brief", json_string(text)); }

/* One name for other settings, estimators or kinds in other seeds: no mean over what is not one number. */
static void test_other_settings(void)
{
    tx_run_info run[4];
    for (int i = 0; i < 4; i++) run[i] = made_up("vae", "vae", i, TX_EXACT, NAN, -90);
    brief(add(&run[0], TX_TEST, "iwae", "mine", TX_LOWER_BOUND, -90.25, 100), "k = 5000");
    brief(add(&run[1], TX_TEST, "iwae", "mine", TX_LOWER_BOUND, -93.5, 100), "k = 50");
    brief(add(&run[2], TX_TEST, "iwae", "mine", TX_LOWER_BOUND, -90.75, 100), "k = 5000");
    add(&run[3], TX_TEST, "parzen", "mine", TX_ESTIMATE, -42.385, 100);
    add(&run[3], TX_TEST, "elbo", "elbo", TX_LOWER_BOUND, -99.125, 100);
    brief(add(&run[3], TX_TEST, "iwae", "elbo", TX_LOWER_BOUND, -98.375, 100), "k = 7"); /* takes the former's place */
    tx_text t = {0};
    CHECK_OK(tx_results_table(TX_LEN(run), run, "text", &t));
    CHECK_HAS(t.s, "-90.50 +- 0.25     mine (iwae, k = 5000)");
    CHECK_HAS(t.s, "-93.50 +- 0.62     mine (iwae, k = 50)");
    CHECK_HAS(t.s, "-42.38 +- 0.62     mine (parzen)");
    CHECK_HAS(t.s, "-98.38 +- 0.62     elbo (iwae, k = 7)");
    CHECK_TRUE(strstr(t.s, "99.1") == NULL);
    CHECK_HAS(t.s, "mine (iwae, k = 5000) of vae on digits_1, binarised is of 2 of 4 seeds only.");
    tx_text_free(&t);
    CHECK_OK(tx_results_table(TX_LEN(run), run, "csv", &t));
    CHECK_HAS(t.s, ",explicit/tractable/leaf,2,0,1,0,100,mine,iwae,\"mine (iwae, k = 5000)\",lower_bound,");
    tx_text_free(&t);
    for (size_t i = 0; i < TX_LEN(run); i++) tx_run_info_free(&run[i]);
}

/* Branches in the order of the tutorial's figure, whatever they are sorted by elsewhere; a gap where a model has no
 * run. */
static void test_tree(void)
{
    static const char *const path[] = {"implicit/direct/gan",     "explicit/approximate/variational",
                                       "explicit/tractable/tree", "explicit/tractable/change_of_variables",
                                       "explicit/tractable/fvbn", "other"};
    static const char *const order[] = {"explicit/tractable/fvbn\n",
                                        "m4 ",
                                        "-84.5",
                                        "explicit/tractable/change_of_variables",
                                        "m3 ",
                                        "explicit/tractable/tree\n",
                                        "m2 ",
                                        "explicit/approximate/variational\n",
                                        "m1 ",
                                        "implicit/direct/gan\n",
                                        "m0 ",
                                        "other\n",
                                        "m5 "};
    tx_run_info run[TX_LEN(path)];
    for (int i = 0; i < (int)TX_LEN(path); i++) {
        char label[16];
        snprintf(label, sizeof label, "m%d", i);
        run[i] = made_up(label, label, 0, TX_EXACT, -80.5 - i, -90);
        tx_copy_text(run[i].taxonomy_path, TX_NAME_MAX, path[i]);
    }
    tx_copy_text(run[5].view, TX_NAME_MAX, "dequantised");
    tx_text t = {0};
    CHECK_OK(tx_results_tree(TX_LEN(run), run, "text", &t));
    const char *at = t.s;
    for (size_t i = 0; at && i < TX_LEN(order); i++) {
        const char *found = strstr(at, order[i]);
        if (!found) printf("\n  '%s' is not below what stands before it:\n%s", order[i], t.s);
        CHECK_TRUE(found != NULL);
        at = found;
    }
    CHECK_HAS(t.s, "digits_1, binarised");
    CHECK_HAS(t.s, "digits_1, dequantised");
    CHECK_HAS(t.s, "m5                                      -"); /* no run on the first view */
    tx_text_free(&t);
    CHECK_INT(tx_results_tree(TX_LEN(run), run, "csv", &t), TX_EUSAGE);
    CHECK_HAS(tx_last_error(), "text, md, tex or html, not csv");
    tx_copy_text(run[3].label, TX_NAME_MAX, "a<b>&\"c\"\x01\xFF");
    CHECK_OK(tx_results_tree(TX_LEN(run), run, "html", &t));
    CHECK_HAS(t.s, "<th scope=\"rowgroup\" colspan=\"5\">explicit/tractable/fvbn</th>");
    CHECK_HAS(t.s, "<th scope=\"row\">a&lt;b&gt;&amp;&quot;c&quot;\uFFFD\uFFFD</th>");
    CHECK_HAS(t.s, "<td class=\"n\">= -84.50 ± 0.62 <small>exact</small></td>");
    tx_text_free(&t);
    for (size_t i = 0; i < TX_LEN(run); i++) tx_run_info_free(&run[i]);
}

static char *mixed_table(const char *format)
{
    enum { VAE = 1, SHORT = 3 };
    tx_run_info run[] = {made_up("made", "made", 0, TX_EXACT, -88.4, -88), made_up("vae", "vae", 0, TX_EXACT, NAN, -90),
                         made_up("vae", "vae", 1, TX_EXACT, NAN, -90), made_up("xae", "xae", 0, TX_EXACT, NAN, -90)};
    run[0].estimate->bits_per_dim = 0.16265, run[0].estimate->bits_kind = TX_EXACT;
    for (int i = VAE; i < SHORT; i++) {
        double shift = 0.0386 * i;
        add(&run[i], TX_TEST, "elbo", "elbo", TX_LOWER_BOUND, -92.385 - shift, 100);
        brief(add(&run[i], TX_TEST, "iwae", "iwae_5000", TX_LOWER_BOUND, -89.25 - shift, 100), "k = 5000");
        brief(add(&run[i], TX_TEST, "ais", "ais", TX_LOWER_BOUND, -80.125 - shift, 10), "1000 steps x 16 chains");
        tx_estimate *e = add(&run[i], TX_SIMULATED, "bdmc", "bdmc", TX_LOWER_BOUND, -88.1 - shift, 50);
        brief(e, "1000 steps x 16 chains");
        json_object_set_new(e->settings, "gap_mean", json_real(i == VAE ? 0.0625 : 0.1025));
        json_object_set_new(e->settings, "gap_error", json_real(0.0125));
        json_object_set_new(e->settings, "gap_mc_error", json_real(0.002));
    }
    add(&run[SHORT], TX_TEST, "ais", "ais", TX_LOWER_BOUND, -79.5, 10);
    tx_text t = {0};
    CHECK_OK(tx_results_table(TX_LEN(run), run, format, &t));
    for (size_t i = 0; i < TX_LEN(run); i++) tx_run_info_free(&run[i]);
    return t.s;
}

static void test_mixed_table(void)
{
    char *t = mixed_table("text");
    check_order(t, "=   -88.40 +- 0.62 ", ">= -89.308 +- 0.019   iwae_5000 (iwae, k = 5000)");
    check_order(t, "iwae_5000 (iwae, k = 5000)", ">= -92.443");
    check_order(t, ">= -92.443", ">= -80.183"); /* the highest mean is over other examples: it leads nothing, */
    check_order(t, ">= -80.183", "\nxae ");     /* and what has no other is ranked below */
    int rules = 0; /* below the heads, before another kind, before other examples, before what is no model */
    for (const char *at = t; (at = strstr(at, "\n--------")); at++) rules++;
    CHECK_INT(rules, 4);
    CHECK_HAS(t, "ais, 1000 steps x 16 chains  ");
    CHECK_HAS(t, "=  0.163");
    CHECK_HAS(t, "<= 0.620");
    CHECK_HAS(t, "  examples  ");
    CHECK_HAS(t, "ais of vae on digits_1, binarised is over the first 10 examples only.");
    CHECK_HAS(t, ">= a lower bound: the model's log-likelihood is at least this, on average over its noise.");
    CHECK_HAS(t, "= exact: the model's own log-likelihood.");
    CHECK_HAS(t, "Several bounds of one model hold at once");
    CHECK_HAS(t, "--pairwise");
    CHECK_HAS(
        t, "vae on digits_1, binarised by bdmc, 1000 steps x 16 chains: on 50 rows drawn from the model itself by each "
           "of 2 seeds\n  the lower bound is -88.1579 and the upper bound -88.0754: a gap of 0.0825 +- 0.0088 nats");
    CHECK_TRUE(strstr(t, "simulated split") == NULL);
    CHECK_TRUE(strstr(t, "<= an upper") == NULL && strstr(t, "~ an estimate") == NULL);
    free(t);
    t = mixed_table("md");
    CHECK_HAS(t, "| ≤ 0.620 |");
    CHECK_HAS(t, "a gap of 0.0825 ± 0.0088 nats");
    free(t);
    t = mixed_table("tex");
    CHECK_HAS(t, "$\\le 0.620$");
    free(t);
}

/* Another program as a filter: it must not be waited for for ever, nor take all memory. */
static void test_program(void)
{
    char *out = NULL, tall[70000];
    size_t n = 0;
    memset(tall, 'a', sizeof tall);
    tall[sizeof tall - 1] = 0;
    CHECK_OK(tx_program_run((char *[]){"cat", NULL}, tall, 30, &out, &n));
    CHECK_TRUE(n == sizeof tall - 1 && strcmp(out, tall) == 0);
    free(out);
    CHECK_INT(tx_program_run((char *[]){"no-such-program", NULL}, "", 30, &out, &n), TX_ENOINPUT);
    CHECK_HAS(tx_last_error(), "no-such-program: there is no such program on the PATH");
    CHECK_INT(tx_program_run((char *[]){"sh", NULL}, "echo first >&2\necho ' at last' >&2\nexit 7\n", 30, &out, &n),
              TX_ESYSTEM);
    CHECK_HAS(tx_last_error(), "sh: exit code 7:  at last");
    CHECK_INT(tx_program_run((char *[]){"sh", NULL}, "kill -9 $$\n", 30, &out, &n), TX_ESYSTEM);
    CHECK_HAS(tx_last_error(), "ended by signal 9");
    CHECK_INT(tx_program_run((char *[]){"sh", NULL}, "sleep 1000 & sleep 1000\n", 0.1, &out, &n), TX_ESYSTEM);
    CHECK_HAS(tx_last_error(), "did not end within 0.1 s");
    CHECK_INT(tx_program_run((char *[]){"sh", NULL}, "exec >&-; sleep 1000\n", 0.1, &out, &n), TX_ESYSTEM);
    CHECK_INT(tx_program_run((char *[]){"yes", NULL}, "", 60, &out, &n), TX_ESYSTEM);
    CHECK_HAS(tx_last_error(), "printed more than");
}

static void test_mixed_records(void)
{
    char *t = mixed_table("json");
    json_t *all = json_loads(t, 0, NULL), *rows = json_object_get(all, "rows"), *row;
    size_t i;
    int drawn = 0, ais = 0;
    json_array_foreach(rows, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        bool simulated = strcmp(json_string_value(json_object_get(row, "split")), "simulated") == 0;
        CHECK_TRUE(simulated == !json_is_null(json_object_get(row, "gap")));
        if (simulated) {
            drawn++;
            CHECK_TEXT(name, "bdmc");
            CHECK_NEAR(json_number_value(json_object_get(row, "gap")), 0.0825, 1e-12);
            CHECK_NEAR(json_number_value(json_object_get(row, "gap_error")), 0.0125 / sqrt(2), 1e-12);
            CHECK_NEAR(json_number_value(json_object_get(row, "gap_mc_error")), 0.002 / sqrt(2), 1e-12);
        }
        if (strcmp(name, "ais") == 0) {
            ais++;
            CHECK_INT(json_integer_value(json_object_get(row, "n_evaluated")), 10);
            CHECK_INT(json_integer_value(json_object_get(row, "n_example")), 100);
            CHECK_TEXT(json_string_value(json_object_get(row, "bits_kind")), "upper_bound");
        }
        if (strcmp(name, "iwae_5000") == 0) {
            CHECK_TEXT(json_string_value(json_object_get(row, "estimator")), "iwae");
            CHECK_TEXT(json_string_value(json_object_get(row, "by")), "iwae_5000 (iwae, k = 5000)");
        }
    }
    CHECK_INT(json_array_size(rows), 6);
    CHECK_TRUE(drawn == 1 && ais == 2);
    json_decref(all), free(t);
}

/* ---- runs on disk, among them rows that the model drew ---- */

static const tx_option no_options[] = {{0}};
static const char *fits(const tx_model_ops *m, const tx_view *v)
{
    (void)m, (void)v;
    return NULL;
}
static int times_run;
static tx_status draw(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                      void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out)
{
    (void)config, (void)m, (void)r, (void)progress, (void)ctx;
    CHECK_INT(s, TX_SIMULATED);
    times_run++;
    tx_estimate_init(out, "drawer", v, TX_SIMULATED, n ? n : 6, false);
    for (size_t i = 0; i < out->n; i++) out->log_likelihood[i] = -2.385 - (double)i;
    out->upper = tx_alloc(out->n, sizeof *out->upper);
    out->x = tx_alloc(out->n * out->dim, sizeof *out->x);
    out->x[7] = 1;
    tx_estimate_summarise(out, v);
    return TX_OK;
}
static const tx_estimator_ops drawer = {
    .name = "drawer", .summary = "s", .options = no_options, .unfit = fits, .simulates = true, .run = draw};

/* One run in FOLDER/LABEL-SEED. */
static void run_one(const char *label, const char *models, int seed, bool draws)
{
    char folder[512], text[700];
    tx_comparison c;
    snprintf(folder, sizeof folder, "%s/%s-%d", tx_test_folder(), label, seed);
    snprintf(text, sizeof text,
             "datasets: [{name: bars, n_train: 60, n_valid: 20, n_test: 47}]\n"
             "train: {epochs: 2, batch: 20}\nmodels: [{%s, label: %s}]\n"
             "evaluate: {estimators: [exact, elbo], splits: [valid, test], n_sample: 0, n_example: 45}\n",
             models, label);
    CHECK_OK(parse(&c, text));
    if (draws) {
        c.evaluate.estimator[c.evaluate.n].ops = &drawer;
        c.evaluate.estimator[c.evaluate.n].config = tx_alloc(1, 1);
        tx_copy_text(c.evaluate.estimator[c.evaluate.n++].name, TX_NAME_MAX, "drawer_6");
    }
    tx_spec s = {.data = c.data[0].spec, .model = c.model[0].spec, .evaluate = c.evaluate, .seed = seed};
    CHECK_OK(tx_runner_run(&s, &(tx_runner_options){.folder = folder, .reproducible = true}));
    tx_comparison_free(&c);
}

static void test_drawn_rows_of_a_run(void)
{
    char path[512];
    tx_run_info r;
    run_one("drawn", "model: independent", 3, true);
    CHECK_INT(times_run, 1); /* though there are two splits */
    snprintf(path, sizeof path, "%s/drawn-3/result.h5", tx_test_folder());
    CHECK_OK(tx_run_read(path, true, &r));
    const tx_estimate *e = tx_run_estimate(&r, TX_SIMULATED, "drawer_6");
    CHECK_TRUE(e && e->n == 6 && e->dim == 16 && e->x && e->x[7] == 1 && e->x[8] == 0);
    if (e) CHECK_TEXT(e->estimator, "drawer");
    CHECK_TRUE(tx_run_estimate(&r, TX_TEST, "exact") && tx_run_estimate(&r, TX_VALID, "exact"));
    CHECK_INT(r.n_estimate, 3);
    tx_run_info_free(&r);
}

static void test_kinds_of_differences(void)
{
    static const struct {
        tx_kind a, b;
        const char *expected;
    } is[] = {
        {TX_EXACT, TX_EXACT, "exact"},
        {TX_LOWER_BOUND, TX_EXACT, "lower_bound"},
        {TX_EXACT, TX_LOWER_BOUND, "upper_bound"},
        {TX_UPPER_BOUND, TX_EXACT, "upper_bound"},
        {TX_EXACT, TX_UPPER_BOUND, "lower_bound"},
        {TX_LOWER_BOUND, TX_UPPER_BOUND, "lower_bound"},
        {TX_UPPER_BOUND, TX_LOWER_BOUND, "upper_bound"},
        {TX_LOWER_BOUND, TX_LOWER_BOUND, "none"},
        {TX_UPPER_BOUND, TX_UPPER_BOUND, "none"},
        {TX_ESTIMATE, TX_EXACT, "estimate"},
        {TX_LOWER_BOUND, TX_ESTIMATE, "estimate"},
        {TX_ESTIMATE, TX_ESTIMATE, "estimate"},
        {TX_UPPER_BOUND, TX_ESTIMATE, "estimate"},
    };
    for (size_t i = 0; i < TX_LEN(is); i++) {
        tx_kind k;
        bool known = tx_difference_kind(is[i].a, is[i].b, &k);
        CHECK_TEXT(known ? tx_kind_name(k) : "none", is[i].expected);
    }
}

static const json_t *pair_of(const json_t *rows, const char *a, const char *b, int n)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        if (strcmp(json_string_value(json_object_get(r, "label_a")), a) == 0 &&
            strcmp(json_string_value(json_object_get(r, "label_b")), b) == 0 &&
            strcmp(json_string_value(json_object_get(r, "split")), "test") == 0 &&
            json_integer_value(json_object_get(r, "n_example")) == n)
            return r;
    }
    return NULL;
}

/* Against the arrays of the files: mean over rows and seeds, errors of both. */
static void check_pair(const tx_gathered *g, const json_t *r, int n_seed)
{
    double mean = 0, square = 0, seed[2] = {0}, row[47] = {0};
    const char *side[2] = {"a", "b"};
    size_t n = (size_t)json_integer_value(json_object_get(r, "n_example"));
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < g->n; i++) {
            char label[16] = "label_", name[16] = "name_";
            strcat(label, side[k]), strcat(name, side[k]);
            if (strcmp(g->run[i].label, json_string_value(json_object_get(r, label))) != 0) continue;
            if (g->run[i].seed >= n_seed) continue;
            const tx_estimate *e = tx_run_estimate(&g->run[i], TX_TEST, json_string_value(json_object_get(r, name)));
            for (size_t j = 0; j < n; j++) {
                double v = (k ? -1 : 1) * e->log_likelihood[j];
                row[j] += v / n_seed, seed[g->run[i].seed] += v / (double)n, mean += v / (double)n / n_seed;
            }
        }
    for (size_t j = 0; j < n; j++) square += (row[j] - mean) * (row[j] - mean);
    CHECK_NEAR(json_number_value(json_object_get(r, "difference")), mean, 1e-12);
    CHECK_NEAR(json_number_value(json_object_get(r, "error")), sqrt(square / (double)(n - 1) / (double)n), 1e-12);
    CHECK_INT(json_integer_value(json_object_get(r, "n_seed")), n_seed);
    if (n_seed > 1) CHECK_NEAR(json_number_value(json_object_get(r, "seed_error")), fabs(seed[0] - seed[1]) / 2, 1e-12);
}

/* A bound over fewer examples, made later. */
static void evaluate_later(const char *label, int seed)
{
    char path[512], to[512];
    tx_run_info r;
    snprintf(path, sizeof path, "%s/%s-%d/result.h5", tx_test_folder(), label, seed);
    snprintf(to, sizeof to, "%s/%s-%d/evaluation-ais.h5", tx_test_folder(), label, seed);
    CHECK_OK(tx_run_read(path, true, &r));
    tx_estimate e = *tx_run_estimate(&r, TX_TEST, "elbo");
    tx_copy_text(e.estimator, sizeof e.estimator, "ais");
    tx_copy_text(e.name, sizeof e.name, "ais");
    e.n = 11, e.std_error = NULL;
    for (size_t i = 0; i < e.n; i++) e.log_likelihood[i] += 0.385 * (double)(i % 3);
    CHECK_OK(tx_evaluation_write(to, r.content_sha256, r.config, 1, &e));
    tx_run_info_free(&r);
}

static void test_pairwise(void)
{
    tx_gathered g;
    tx_text t = {0};
    for (int seed = 0; seed < 2; seed++) {
        run_one("ind", "model: independent", seed, false);
        run_one("made", "model: made, hidden: [7]", seed, false);
        run_one("vae", "model: vae, latent: 2, hidden: [7]", seed, false);
        evaluate_later("vae", seed);
    }
    run_one("wae", "model: vae, latent: 3, hidden: [7]", 0, false);
    CHECK_OK(tx_gather(tx_test_folder(), true, &g));
    CHECK_OK(tx_pairwise_table(g.n, g.run, "json", &t));
    json_t *all = json_loads(t.s, 0, NULL), *rows = json_object_get(all, "rows");
    const struct {
        const char *a, *b, *by_b, *relation;
        int n, n_seed;
    } is[] = {{"ind", "made", "exact", "exact", 45, 2},      {"ind", "vae", "elbo", "upper_bound", 45, 2},
              {"made", "vae", "elbo", "upper_bound", 45, 2}, {"vae", "wae", "elbo", "none", 45, 1},
              {"made", "vae", "ais", "upper_bound", 11, 2},  {"vae", "wae", "elbo", "none", 11, 1}};
    for (size_t i = 0; i < TX_LEN(is); i++) {
        const json_t *r = pair_of(rows, is[i].a, is[i].b, is[i].n);
        bool turned = !r; /* rows are in the order of the table */
        if (turned) r = pair_of(rows, is[i].b, is[i].a, is[i].n);
        CHECK_TRUE(r != NULL);
        if (!r) continue;
        if (!turned) CHECK_TEXT(json_string_value(json_object_get(r, "name_b")), is[i].by_b);
        CHECK_TEXT(json_string_value(json_object_get(r, "relation")), is[i].relation);
        check_pair(&g, r, is[i].n_seed);
    }
    CHECK_TRUE(!pair_of(rows, "made", "ind", 11) && !pair_of(rows, "ind", "made", 11)); /* nothing new */
    json_decref(all);
    tx_text_free(&t);
    CHECK_OK(tx_pairwise_table(g.n, g.run, "text", &t));
    CHECK_HAS(t.s, "bars, raw: counting measure, test split, 45 examples");
    CHECK_HAS(t.s, "test split, the first 11 examples");
    CHECK_HAS(t.s, "exact - ais");
    CHECK_HAS(t.s, "? two bounds");
    CHECK_HAS(t.s, "<= the true difference is at most this.");
    CHECK_TRUE(strstr(t.s, ">= the true") == NULL);
    tx_text_free(&t);
    CHECK_INT(tx_pairwise_table(g.n, g.run, "xls", &t), TX_EUSAGE);
    CHECK_INT(tx_pairwise_table(1, g.run, "text", &t), TX_ENOINPUT);
    CHECK_HAS(tx_last_error(), "nothing to pair");
    for (int i = 0; i < g.n; i++) /* as if another evaluation of the same name had replaced the one that is read */
        if (strcmp(g.run[i].label, "vae") == 0 && g.run[i].seed == 1) {
            tx_estimate *e = (tx_estimate *)tx_run_estimate(&g.run[i], TX_TEST, "ais");
            e->mean += 0.385;
            CHECK_INT(tx_pairwise_table(g.n, g.run, "text", &t), TX_EDATA);
            CHECK_HAS(tx_last_error(), "changed meanwhile");
            e->mean -= 0.385;
        }
    char path[512]; /* a file that is another one by the time its arrays are read */
    snprintf(path, sizeof path, "%s/vae-1/evaluation-ais.h5", tx_test_folder());
    CHECK_OK(tx_commit(path, "rubbish", 7));
    CHECK_INT(tx_pairwise_table(g.n, g.run, "text", &t), TX_EDATA);
    CHECK_HAS(tx_last_error(), "vae-1/result.h5");
    tx_text_free(&t);
    tx_gathered_free(&g);
}

int main(void)
{
    static const tx_test tests[] = {
        {"a resolved config is a config", test_resolved_config_is_a_config},
        {"a spec survives its text", test_spec_round_trip},
        {"two settings of one estimator", test_named_estimates},
        {"grids make variants", test_grids_make_variants},
        {"variants are limited", test_variants_are_limited},
        {"a model's own train keys win", test_own_train_keys_win},
        {"overrides", test_overrides},
        {"refusals name the place", test_refusals_name_the_place},
        {"labels", test_labels},
        {"small texts", test_small_texts},
        {"the plan of a comparison", test_plan},
        {"how long it will take", test_forecast},
        {"a table as text", test_text_table},
        {"tables in other formats", test_other_tables},
        {"the error of means that are close together", test_error_of_near_means},
        {"what valid chooses among variants", test_choice_among_variants},
        {"one name for other settings in other seeds", test_other_settings},
        {"the table as a tree", test_tree},
        {"one model by several estimates", test_mixed_table},
        {"records of them", test_mixed_records},
        {"another program", test_program},
        {"rows that a model drew are evaluated once", test_drawn_rows_of_a_run},
        {"kinds of differences", test_kinds_of_differences},
        {"paired differences of runs", test_pairwise},
    };
    return tx_run_tests("command", tests, TX_LEN(tests));
}
