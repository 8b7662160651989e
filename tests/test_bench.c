/* The workloads of `taxon bench`: what their floors count, against counts by hand, and that each of them runs. No time
 * is judged here. */
#include <stdlib.h>
#include "common/tensor/parallel.h"
#include "experiments/bench/bench.h"
#include "tests/support/check.h"

/* Counts by hand: operations of one row, and weights. A row of an estimator is one pass through the model. */
static const struct {
    const char *name, *phase;
    double flops, parameters;
} by_hand[] = {
    /* first layer 2 products, the others 3; 784-500-40 and, with a gradient for z, 20-500-784 */
    {"vae-500-20", "train", 2 * (2 * 392000 + 3 * 20000 + 3 * 10000 + 3 * 392000), 815824},
    {"vae-500-20", "sample", 2 * (10000 + 392000), 815824},
    /* G: 2, 3, 3; D: 3 forward, 2 for weights, 3 for inputs but of the first layer 1 */
    {"gan-1200", "train", 2 * (2 * 120000 + 3 * 1440000 + 3 * 940800 + 6 * 940800 + 8 * 1440000 + 8 * 1200), 4888385},
    {"gan-1200", "sample", 2 * (120000 + 1440000 + 940800), 4888385},
    /* both maps: 4 forward, 3 for weights, for inputs 2 and 4; G's dense layer 1 and 1; D's 3, 2 and 3 */
    {"dcgan-64-128", "train", 2 * (9 * 313600 + 11 * 10035200.0 + 2 * 627200 + 8 * 6272), 1047618},
    {"dcgan-64-128", "sample", 2 * (313600 + 10035200 + 627200), 1047618},
    {"nice-4x5x1000", "train", 2 * (11 * 392000 + 12 * 4000000.0 + 12 * 392000), 19158352},
    {"nice-4x5x1000", "sample", 2 * 4 * (392000 + 4000000 + 392000), 19158352},
    /* six couplings of 392-500-500-784; all three products of every layer */
    {"realnvp-6x2x500", "train", 2 * 6 * 3 * (196000 + 250000 + 392000), 5052032},
    {"realnvp-6x2x500", "sample", 2 * 6 * (196000 + 250000 + 392000), 5052032},
    /* five nets 784-500-1568, half of it masked */
    {"maf-5x500", "train", 5 * 3 * (392000 + 784000), 5903668},
    {"maf-5x500", "sample", 5 * (392000 + 784000), 5903668},
    {"ica-784", "train", 2 * 3 * 614656, 1230880},
    {"made-500", "train", 2 * 392000 + 3 * 392000, 785284},
    {"made-500", "sample", 784 * 500 * 2, 785284},
    {"nade-500", "train", 2 * (2 * 0.13 * 392000 + 3 * 392000), 785284},
    {"nade-500", "sample", 2 * (0.13 * 392000 + 392000), 785284},
    {"fvbn-logistic", "train", 2 * 784 * 784, 615440},
    {"rbm-500-cd1", "train", 5 * 2 * 784 * 500, 393284},
    /* a pixel: 6 taps of 32 channels above to 64, 64 to 64, 2 taps of 32 to the left to 64, 32 to 32; 24 taps to 32; 32
       to 64 to 1 */
    {"pixelcnn-7x32", "train", 3 * 2 * 784 * (7 * (12288 + 4096 + 4096 + 1024) + 768 + 2048 + 64) - 2 * 784 * 768,
     154657},
    {"pixelcnn-7x32", "sample", 2 * 784 * (7 * (12288 + 4096 + 4096 + 1024) + 768 + 2048 + 64), 154657},
    {"parzen-10000", "evaluate", 2 * (100 + 39200 + 7840000), 0},
    {"iwae-50", "evaluate", 2 * (10000 + 40000 + 156800 + (156800 + 40000 + 20000) / 50.0), 0},
    {"ais-1000", "evaluate", 2 * 2 * (10000 + 40000 + 156800), 0},
};

static void test_flops(void)
{
    size_t n = 0;
    for (const tx_workload *w = tx_workloads; w->name; w++, n++) {
        CHECK_TRUE(n < TX_LEN(by_hand));
        if (n == TX_LEN(by_hand)) return;
        CHECK_TEXT(w->name, by_hand[n].name);
        CHECK_TEXT(tx_bench_phase_name(w->phase), by_hand[n].phase);
        CHECK_NEAR(tx_bench_flops(w, 1), by_hand[n].flops, 1e-6);
        CHECK_NEAR(tx_bench_flops(w, 2385), 2385 * by_hand[n].flops, 1);
    }
    CHECK_INT(n, TX_LEN(by_hand));
}

/* The model that is timed is the one whose layers are counted. */
static void test_parameters(void)
{
    enum { DIM = 784 };
    double mean[DIM], deviation[DIM];
    for (int j = 0; j < DIM; j++) mean[j] = 0.2385, deviation[j] = 0.385;
    for (size_t k = 0; tx_workloads[k].name; k++) {
        const tx_workload *w = &tx_workloads[k];
        int i = 0;
        while (tx_model_list[i] && strcmp(tx_model_list[i]->name, w->model) != 0) i++;
        CHECK_TRUE(tx_model_list[i] != NULL);
        if (!tx_model_list[i] || by_hand[k].parameters == 0) continue;
        if (k > 0 && strcmp(w->name, w[-1].name) == 0) { /* the same model again */
            CHECK_TEXT(w->options, w[-1].options);
            continue;
        }
        bool reals = w->data->type != TX_BINARY;
        tx_space space = {.measure = reals ? TX_LEBESGUE : TX_COUNTING,
                          .levels = reals ? 0 : 2,
                          .dim = DIM,
                          .height = 28,
                          .width = 28,
                          .channel = 1,
                          .lower = 0,
                          .upper = 1,
                          .mean = mean,
                          .deviation = deviation};
        void *config = tx_alloc(1, tx_model_list[i]->config_size);
        tx_model *m = NULL;
        CHECK_OK(tx_test_options(tx_model_list[i]->options, config, w->options));
        CHECK_OK(tx_model_new(&m, tx_model_list[i], config, &space, 1));
        CHECK_INT(tx_model_size(m), by_hand[k].parameters);
        tx_model_free(m), free(config);
    }
}

static int watched;
static void watch(void *ctx, double share)
{
    (void)ctx, (void)share;
    watched++;
}

/* The same work on fewer rows, and of the largest nets with fewer units. */
static tx_workload smaller(const tx_workload *w, tx_bench_data *data)
{
    static const struct {
        const char *estimator, *settings;
    } few[] = {{"parzen", "{n_sample: 150, n_sigma: 1, n_valid: 1}"},
               {"iwae", "{n_importance: 3}"},
               {"ais", "{n_step: 5, n_chain: 2, n_leapfrog: 2, n_pilot: 1}"}};
    tx_workload s = *w;
    *data = *w->data;
    data->n_test = 60, data->n_train = 100;
    s.data = data, s.batch = 17;
    if (strcmp(w->name, "nice-4x5x1000") == 0) s.options = "{couplings: 4, hidden: [9, 8]}";
    if (strcmp(w->name, "gan-1200") == 0) s.options = "{generator_hidden: [9], discriminator_hidden: [8]}";
    if (strcmp(w->name, "dcgan-64-128") == 0) s.options = "{architecture: dcgan, channels: [3, 2], latent: 4}";
    if (strcmp(w->name, "pixelcnn-7x32") == 0) s.options = "{features: 3, layers: 2, hidden: 4}";
    for (size_t i = 0; i < TX_LEN(few); i++)
        if (w->estimator && strcmp(w->estimator, few[i].estimator) == 0) s.settings = few[i].settings;
    return s;
}

static void check_result(const tx_workload *w, size_t k, const tx_bench_result *r)
{
    bool estimates = w->estimator != NULL, trains = strcmp(tx_bench_phase_name(w->phase), "train") == 0;
    CHECK_TRUE(r->n >= (estimates ? 1 : 5));
    CHECK_INT(r->growths, 0);
    CHECK_TRUE(r->median > 0 && r->floor > 0 && r->gemm_rate > 0 && r->copy_rate > 0);
    CHECK_TRUE((r->units > 0) == (r->unit_rate > 0));
    CHECK_NEAR(r->flops, r->rows * by_hand[k].flops, 1e-6 * r->flops);
    CHECK_NEAR(r->floor,
               r->flops / r->gemm_rate + r->bytes / r->copy_rate + (r->units > 0 ? r->units / r->unit_rate : 0),
               1e-9 * r->floor);
    if (estimates) return;
    CHECK_TRUE(r->rows == 17 && r->parameters > 0);
    bool adam = strstr(w->settings ? w->settings : "", "adam") != NULL;
    if (trains) /* Adam reads three numbers a weight and writes them, descent two; a pixel is read as a byte and written
                   as a number */
        CHECK_NEAR(r->bytes, (adam ? 6 : 4) * sizeof(real) * r->parameters + 17 * 784 * (sizeof(real) + 1), 0.5);
    else
        CHECK_NEAR(r->bytes, sizeof(real) * (r->parameters + 17 * 784), 0.5);
}

/* Rows that estimators pass through the model: 150 kernels; 17 x 3 weights; chains 17 x 2 of 1 + 4 x 2 gradients, and
 * those of the pilot on one row. */
static void check_estimator_rows(const tx_workload *w, const tx_bench_result *r)
{
    if (strcmp(w->estimator, "parzen") == 0) CHECK_INT(r->rows, 150);
    if (strcmp(w->estimator, "iwae") == 0) CHECK_INT(r->rows, 51);
    if (strcmp(w->estimator, "ais") == 0) CHECK_TRUE(r->rows > 17 * 2 * 9 && r->rows < 17 * 2 * 9 + 2 * 2 * 200);
}

static void test_runs(void)
{
    tx_threads_set(2);
    for (size_t k = 0; tx_workloads[k].name; k++) {
        tx_bench_data data;
        tx_bench_result r;
        tx_workload w = smaller(&tx_workloads[k], &data);
        watched = 0;
        CHECK_OK(tx_bench_run(&w, 1e-3, watch, NULL, &r));
        CHECK_TRUE(watched >= (int)r.n);
        check_result(&w, k, &r);
        if (w.estimator) check_estimator_rows(&w, &r);
    }
    tx_threads_set(1);
}

/* Weights of each family by hand, h wide and of dimension d. */
static double family_parameters(const char *name, double h, double d)
{
    if (strcmp(name, "fvbn") == 0) return d * d + d;
    if (strcmp(name, "nade") == 0 || strcmp(name, "made") == 0) return 2 * d * h + h + d;
    if (strcmp(name, "vae") == 0) return d * h + h + 2 * (20 * h + 20) + 20 * h + h + d * h + d;
    if (strcmp(name, "gan") == 0) return 100 * h + h + 2 * (h * h + h) + h * d + d + d * h + h + h + 1;
    double half = d / 2; /* NICE, d even */
    return 4 * (half * h + h + h * h + h + h * half + half) + d;
}

static void test_families(void)
{
    static const tx_bench_size sizes[] = {{7, 12, 5}, {16, 6, 1}};
    static const tx_bench_phase *const phases[] = {&tx_bench_train, &tx_bench_sample};
    int i = 0;
    for (; tx_bench_family(i); i++)
        for (size_t k = 0; k < TX_LEN(sizes); k++)
            for (size_t p = 0; p < TX_LEN(phases); p++) {
                tx_bench_scaled s;
                tx_bench_result r;
                tx_bench_scale(i, phases[p], sizes[k], &s);
                CHECK_OK(tx_bench_run(&s.workload, 1e-3, watch, NULL, &r));
                CHECK_INT(r.rows, sizes[k].batch);
                CHECK_INT(r.parameters,
                          family_parameters(tx_bench_family(i), (double)sizes[k].hidden, (double)sizes[k].dim));
                CHECK_TRUE(r.n >= 5 && r.median > 0 && r.floor == 0);
                CHECK_INT(tx_bench_family_has_hidden(i), strcmp(tx_bench_family(i), "fvbn") != 0);
            }
    CHECK_INT(i, 6);
}

static void test_failures_pass(void)
{
    tx_bench_result r;
    tx_bench_data data;
    tx_workload w = smaller(&tx_workloads[0], &data);
    w.settings = "{optimizer: sgd, learning_rate: 1e12}";
    CHECK_INT(tx_bench_run(&w, 1, watch, NULL, &r), TX_EDIVERGED);
    w.settings = "{learning_rat: 1}";
    CHECK_INT(tx_bench_run(&w, 1, watch, NULL, &r), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "did you mean 'learning_rate'");
    w.options = "{latent: 0}";
    CHECK_INT(tx_bench_run(&w, 1, watch, NULL, &r), TX_ECONFIG);
}

static void test_rates(void)
{
    CHECK_TRUE(tx_bench_gemm_rate(65, 7, 64, 0) > 0);
    CHECK_TRUE(tx_bench_copy_rate(1, 0) > 0 && tx_bench_copy_rate(1000001, 0) > 0);
    CHECK_TRUE(tx_bench_unit_rate(0) > 0);
}

int main(void)
{
    static const tx_test tests[] = {
        {"operations as counted by hand", test_flops},
        {"parameters as counted by hand", test_parameters},
        {"every workload runs", test_runs},
        {"families at any size", test_families},
        {"failures pass", test_failures_pass},
        {"rates", test_rates},
    };
    return tx_run_tests("bench", tests, TX_LEN(tests));
}
