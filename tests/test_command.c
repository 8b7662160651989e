#include "tests/support/check.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/config.h"
#include "experiments/taxon/plan.h"
#include "experiments/taxon/print.h"
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
        {DATA "models: [{model: made}, {model: made}]\n", "a.yaml:2:25:", "label"},
        {DATA "models: [{model: made, hidden: {grid: []}}]\n", "a.yaml:2:24:", "grid"},
        {DATA "models: [{model: made, hidden: {grid: [1], more: 2}}]\n", "a.yaml:2:24:", "grid"},
        {DATA "models: [{model: made, train: 3}]\n", "a.yaml:2:24:", "expected a map"},
        {DATA "models: [{model: made, train: {epochs: 0}}]\n", "a.yaml:2:32:", "'epochs'"},
        {DATA MODELS "train: {optimizer: adm}\n", "a.yaml:3:9:", "did you mean 'adam'"},
        {DATA MODELS "train: {optimizer: sgd, beta1: 0.5}\n", "a.yaml:3:25:", "'beta1'"},
        {DATA MODELS "train: 3\n", "a.yaml:3:1:", "expected a map"},
        {DATA MODELS "evaluate: {estimators: [exat]}\n", "a.yaml:3:25:", "did you mean 'exact'"},
        {DATA MODELS "evaluate: {estimators: [elbo, elbo]}\n", "a.yaml:3:31:", "already"},
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
    CHECK_OK(parse(&c, "datasets: [{name: ring}, {name: ring, n_train: 10}]\n" MODELS));
    CHECK_INT(tx_plan_make(&p, &c, "out"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "a.yaml:1:26: 'ring-raw' is there twice");
    tx_comparison_free(&c);
    CHECK_OK(parse(&c, DATA "models: [{model: made}]\n"));
    CHECK_INT(tx_plan_make(&p, &c, "out"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "no model applies");
    tx_comparison_free(&c);
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
    tx_numbers_add(&r.cost, "n_parameter", "1", 1238784, "parameters");
    tx_numbers_add(&r.metrics, "coin_flip_entropy_test", "nat", 189.9, "entropy");
    if (isnan(mean)) return r;
    r.n_estimate = 1;
    r.estimate = tx_alloc(1, sizeof *r.estimate);
    *r.estimate = (tx_estimate){
        .kind = kind, .split = TX_TEST, .n = 100, .mean = mean, .mean_error = 0.618, .bits_per_dim = NAN};
    tx_copy_text(r.estimate->estimator, TX_NAME_MAX, kind == TX_EXACT ? "exact" : "elbo");
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
    for (int i = 0; i < MADE_UP; i++) free(run[i].estimate);
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

int main(void)
{
    static const tx_test tests[] = {
        {"a resolved config is a config", test_resolved_config_is_a_config},
        {"a spec survives its text", test_spec_round_trip},
        {"grids make variants", test_grids_make_variants},
        {"a model's own train keys win", test_own_train_keys_win},
        {"overrides", test_overrides},
        {"refusals name the place", test_refusals_name_the_place},
        {"labels", test_labels},
        {"small texts", test_small_texts},
        {"the plan of a comparison", test_plan},
        {"a table as text", test_text_table},
        {"tables in other formats", test_other_tables},
    };
    return tx_run_tests("command", tests, TX_LEN(tests));
}
