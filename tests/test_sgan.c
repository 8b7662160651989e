/** The semi-supervised game: its losses by loops over examples, the slopes of both players by differences, and that
 * labels of a few rows teach it the others'. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/model/model.h"
#include "tests/support/check.h"

extern const tx_model_ops tx_model_sgan;
static const bool is_double = sizeof(real) == 8;
static const double TOL = sizeof(real) == 8 ? 1e-10 : 3e-5;
enum { GENERATOR, DISCRIMINATOR, STATISTICS };
enum { D = 2, LATENT = 3, G_WIDE = 5, D_WIDE = 6, D_DEEP = 4, N = 7, LABELLED = 24 };

typedef struct scene {
    tx_dataset data;
    tx_view view;
    tx_model *m;
} scene;

static void open_scene(scene *s, const char *set, int n_train, const char *options)
{
    tx_data_config c;
    tx_view_config v;
    tx_options_defaults(tx_data_options, &c);
    tx_options_defaults(tx_view_options, &v);
    tx_copy_text(c.name, sizeof c.name, set);
    c.n_train = n_train;
    *s = (scene){0};
    CHECK_OK(tx_dataset_open(&s->data, &c, NULL));
    CHECK_OK(tx_view_open(&s->view, &s->data, &v));
    void *config = tx_alloc(1, tx_model_sgan.config_size);
    CHECK_OK(tx_test_options(tx_model_sgan.options, config, options));
    CHECK_OK(tx_model_new(&s->m, &tx_model_sgan, config, &s->view.space, 7));
    CU_ASSERT_FATAL(s->m != NULL);
    free(config);
}

static void close_scene(scene *s)
{
    tx_model_free(s->m);
    tx_view_close(&s->view);
    tx_dataset_close(&s->data);
}

static tx_status move(scene *s, double rate, const real *x, tx_metrics *out)
{
    tx_tape *t = tx_tape_new(1 << 16);
    tx_step step = {.tape = t, .rng = tx_rng_root(21), .rate = rate, .number = 4, .view = &s->view, .seed = 13};
    tx_status status = tx_model_step(s->m, &step, tx_matrix((real *)x, N, D), out);
    tx_tape_free(t);
    return status;
}

static double metric(const tx_metrics *m, const char *name)
{
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->m[i].name, name) == 0) return m->m[i].value;
    return NAN;
}

static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* x w_i + b_i of one row; returns the width. */
static size_t layer(const tx_params *p, int i, const double x[], double y[])
{
    tx_tensor w = tx_params_value(p, (tx_param){2 * i}), b = tx_params_value(p, (tx_param){2 * i + 1});
    for (size_t o = 0; o < tx_cols(w); o++) {
        y[o] = (double)b.x[o];
        for (size_t k = 0; k < tx_rows(w); k++) y[o] += x[k] * (double)w.x[k * tx_cols(w) + o];
    }
    return tx_cols(w);
}

/* Element i of a batch's noise. */
static double normal(tx_rng r, size_t i)
{
    real z[N * 3 * D_WIDE];
    tx_rng_normal(r, 0, N * 3 * D_WIDE, z);
    return (double)z[i];
}

/* Noise of deviation `sigma`, of this layer and of row `row` of the batch. */
static void disturb(tx_rng r, int i, double sigma, size_t row, size_t width, double x[])
{
    for (size_t j = 0; j < width; j++) x[j] += sigma * normal(tx_rng_fold(r, (uint64_t)i), row * width + j);
}

/* l[K] and f[D_DEEP] of row `row` of a batch. */
static size_t discriminator(const tx_params *p, tx_rng noise, size_t row, const double x[], double l[], double f[])
{
    double a[D_WIDE], in[D];
    memcpy(in, x, sizeof in);
    disturb(noise, 0, 0.3, row, D, in);
    layer(p, 0, in, a);
    for (int j = 0; j < D_WIDE; j++) a[j] = fmax(a[j], 0);
    disturb(noise, 1, 0.5, row, D_WIDE, a);
    layer(p, 1, a, f);
    double b[D_DEEP];
    for (int j = 0; j < D_DEEP; j++) b[j] = f[j] = fmax(f[j], 0);
    disturb(noise, 2, 0.5, row, D_DEEP, b);
    return layer(p, 2, b, l);
}

/* Fakes of one batch: the hidden layer is normalised by it. */
static void generator(const tx_params *p, tx_rng r, double fake[N][D])
{
    tx_tensor w0 = tx_params_value(p, (tx_param){0}), b0 = tx_params_value(p, (tx_param){1});
    double a[N][G_WIDE] = {{0}};
    for (size_t i = 0; i < N; i++)
        for (size_t o = 0; o < G_WIDE; o++)
            for (size_t k = 0; k < LATENT; k++)
                a[i][o] += normal(tx_rng_named(r, "latent"), i * LATENT + k) * (double)w0.x[k * G_WIDE + o];
    for (size_t o = 0; o < G_WIDE; o++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < N; i++) mean += a[i][o] / N;
        for (size_t i = 0; i < N; i++) square += pow(a[i][o] - mean, 2) / N;
        for (size_t i = 0; i < N; i++) a[i][o] = softplus((a[i][o] - mean) / sqrt(square + 1e-5) + (double)b0.x[o]);
    }
    for (size_t i = 0; i < N; i++) layer(p, 1, a[i], fake[i]);
}

static double log_sum(size_t n, const double l[])
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += exp(l[k]);
    return log(sum);
}

static const char small[] =
    "{latent: 3, generator_hidden: [5], discriminator_hidden: [6, 4], n_label: 24, unlabelled_weight: 0.7}";

/* Large weights, so that nothing is hidden by zeros. */
static void shake(tx_model *m)
{
    for (int i = 0; i < STATISTICS; i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++) {
            tx_tensor w = tx_params_value(m->net[i], (tx_param){j});
            for (size_t k = 0; k < tx_len(w); k++)
                w.x[k] += (real)(0.6 * tx_rng_normal1(tx_rng_root((uint64_t)(10 * i + j)), k));
        }
    tx_model_train_with(m, tx_optim_find("sgd"), (double[4]){0});
}

static void losses(void)
{
    scene s;
    real x[N * D], drawn[D];
    tx_metrics out = {0};
    open_scene(&s, "ring", 400, small);
    shake(s.m);
    tx_view_range(&s.view, TX_TRAIN, 31, N, x, NULL);
    CHECK_OK(move(&s, 0, x, &out));
    tx_rng r = tx_rng_root(21), noise = tx_rng_named(r, "noise of D");
    uint32_t labelled[LABELLED];
    const uint8_t *label = s.data.split[TX_TRAIN].label;
    size_t n_class = s.view.space.n_class;
    double labels = 0, game = 0, d_real = 0, d_fake = 0, l[16], f[D_DEEP], fake[N][D], gap[D_DEEP] = {0}, loss = 0;
    CHECK_INT(n_class, 8);
    tx_view_labelled(&s.view, 13, LABELLED, labelled);
    generator(s.m->net[GENERATOR], r, fake);
    for (size_t i = 0; i < 3 * N; i++) {
        double row[D];
        uint32_t which = labelled[(size_t)(tx_rng_uniform1(tx_rng_named(r, "labelled"), i) * LABELLED)];
        tx_view_rows(&s.view, TX_TRAIN, 13, 4, &which, 1, drawn, NULL);
        for (size_t j = 0; j < D; j++)
            row[j] = i < N ? (double)drawn[j] : i < 2 * N ? (double)x[(i - N) * D + j] : fake[i - 2 * N][j];
        CHECK_INT(discriminator(s.m->net[DISCRIMINATOR], noise, i, row, l, f), n_class);
        double v = log_sum(n_class, l);
        if (i < N)
            labels -= (l[label[which]] - v) / N;
        else if (i < 2 * N)
            game += softplus(-v) / (2 * N), d_real += sigmoid(v) / N;
        else
            game += softplus(v) / (2 * N), d_fake += sigmoid(v) / N;
    }
    for (size_t i = 0; i < 2 * N; i++) {
        double row[D];
        for (size_t j = 0; j < D; j++) row[j] = i < N ? (double)x[i * D + j] : fake[i - N][j];
        discriminator(s.m->net[DISCRIMINATOR], tx_rng_named(r, "noise of G's step"), i, row, l, f);
        for (size_t j = 0; j < D_DEEP; j++) gap[j] += (i < N ? f[j] : -f[j]) / N;
    }
    for (size_t j = 0; j < D_DEEP; j++) loss += gap[j] * gap[j] / D_DEEP;
    CHECK_NEAR(metric(&out, "loss_labelled"), labels, TOL * 10);
    CHECK_NEAR(metric(&out, "loss_unlabelled"), game, TOL * 10);
    CHECK_NEAR(metric(&out, "objective"), labels + 0.7 * game, TOL * 10);
    CHECK_NEAR(metric(&out, "d_real"), d_real, TOL);
    CHECK_NEAR(metric(&out, "d_fake"), d_fake, TOL);
    CHECK_NEAR(metric(&out, "loss_generator"), loss, TOL * 10);
    CHECK_TRUE(loss > 0.01 && game > 0.1 && labels > 0.1);
    close_scene(&s);
}

/* A step so small that neither player sees the other's moves each weight by its slope; G's loss is read at a D that
 * stands. */
static void slopes(void)
{
    if (!is_double) {
        printf(" (skipped: in the double build)");
        return;
    }
    static const char *const loss[] = {"loss_generator", "objective"};
    const double rate = 1e-7, h = 1e-5;
    scene s;
    real x[N * D];
    tx_metrics out = {0};
    open_scene(&s, "ring", 400, small);
    shake(s.m);
    tx_view_range(&s.view, TX_TRAIN, 31, N, x, NULL);
    for (int net = GENERATOR; net <= DISCRIMINATOR; net++) {
        tx_tensor w = tx_params_block(s.m->net[net]), other = tx_params_block(s.m->net[1 - net]);
        size_t n = tx_len(w), rough = 0;
        real *old = memcpy(tx_alloc(n, sizeof *old), w.x, n * sizeof *old);
        real *stood = memcpy(tx_alloc(tx_len(other), sizeof *stood), other.x, tx_len(other) * sizeof *stood);
        double *slope = tx_alloc(n, sizeof *slope), most = 0;
        CHECK_OK(move(&s, rate, x, &out));
        for (size_t i = 0; i < n; i++) slope[i] = (double)(old[i] - w.x[i]) / rate;
        memcpy(w.x, old, n * sizeof *old), memcpy(other.x, stood, tx_len(other) * sizeof *stood);
        for (size_t i = 0; i < n; i++) {
            double up, down;
            w.x[i] = old[i] + h;
            CHECK_OK(move(&s, 0, x, &out));
            up = metric(&out, loss[net]);
            w.x[i] = old[i] - h;
            CHECK_OK(move(&s, 0, x, &out));
            down = metric(&out, loss[net]);
            w.x[i] = old[i];
            rough += fabs(slope[i] - (up - down) / (2 * h)) > 1e-5; /* a kink of a ReLU may lie between */
            most = fmax(most, fabs(slope[i]));
        }
        CHECK_TRUE(rough <= n / 20);
        CHECK_TRUE(most > 0.05);
        free(old), free(stood), free(slope);
    }
    close_scene(&s);
}

/* Share of test rows whose label it mistakes. */
static double mistakes(const scene *s)
{
    size_t n = s->data.split[TX_TEST].n;
    real *x = tx_alloc(n * D, sizeof *x);
    tx_tape *t = tx_tape_new(1 << 20);
    tx_view_range(&s->view, TX_TEST, 0, n, x, NULL);
    tx_model_bind(s->m, t);
    const real *l = tx_model_sgan.classify(s->m, t, tx_leaf(t, tx_matrix(x, n, D)))->v.x;
    const uint8_t *label = s->data.split[TX_TEST].label;
    size_t n_class = s->view.space.n_class, wrong = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_class; k++)
            if (l[i * n_class + k] > l[i * n_class + label[i]]) {
                wrong++;
                break;
            }
    tx_tape_free(t);
    free(x);
    return (double)wrong / (double)n;
}

/* One labelled row a mode is enough to tell the ring's eight; where labels are shuffled there is nothing to learn. */
static void learns(void)
{
    enum { STEPS = 500, BATCH = 50 };
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        scene s;
        tx_metrics out;
        open_scene(&s, "ring", 2000,
                   "{latent: 2, generator_hidden: [16], discriminator_hidden: [32, 32], n_label: 8, noise_input: 0.05, "
                   "noise_hidden: 0.1}");
        uint8_t *label = (uint8_t *)s.data.split[TX_TRAIN].label;
        for (size_t i = 0; shuffled && i < s.data.split[TX_TRAIN].n; i++)
            label[i] = (uint8_t)((label[i] * 3 + i % 8) % 8);
        void *adam = tx_alloc(1, tx_optim_find("adam")->config_size);
        CHECK_OK(tx_test_options(tx_optim_find("adam")->options, adam, "{beta1: 0.5}"));
        tx_model_train_with(s.m, tx_optim_find("adam"), adam);
        tx_tape *t = tx_tape_new(1 << 20);
        real x[BATCH * D];
        for (uint64_t i = 0; i < STEPS; i++) {
            tx_step step = {
                .tape = t, .rng = tx_rng_fold(tx_rng_root(31), i), .number = i, .rate = 3e-3, .view = &s.view};
            tx_view_range(&s.view, TX_TRAIN, i * BATCH % 2000, BATCH, x, NULL);
            CHECK_OK(tx_model_step(s.m, &step, tx_matrix(x, BATCH, D), &out));
        }
        double wrong = mistakes(&s);
        CHECK_TRUE(shuffled ? wrong > 0.5 : wrong < 0.02);
        free(adam), tx_tape_free(t), close_scene(&s);
    }
}

static void refusals(void)
{
    static const struct {
        const char *options, *why;
    } bad[] = {{"{n_label: 7}", "expected 8 (one a class) to 400"},
               {"{n_label: 401}", "found 401"},
               {"{discriminator_hidden: [3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3]}", "hidden layers"}};
    scene s;
    char why[256];
    CHECK_TRUE(tx_model_find("sgan") == &tx_model_sgan);
    CHECK_TRUE(tx_model_list[0] != NULL);
    open_scene(&s, "ring", 400, small);
    void *c = tx_alloc(1, tx_model_sgan.config_size);
    for (size_t k = 0; k < TX_LEN(bad); k++) {
        tx_model *m = NULL;
        CHECK_OK(tx_test_options(tx_model_sgan.options, c, bad[k].options));
        CHECK_INT(tx_model_new(&m, &tx_model_sgan, c, &s.view.space, 7), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), bad[k].why);
    }
    tx_space bare = s.view.space;
    bare.n_class = 0;
    CHECK_HAS(tx_model_unfit(&tx_model_sgan, &bare, why, sizeof why), "labels, which the data set does not have");
    free(c);
    close_scene(&s);
}

int main(void)
{
    static const tx_test tests[] = {{"losses by loops", losses},
                                    {"slopes by differences", slopes},
                                    {"learns from one row a mode", learns},
                                    {"what is refused", refusals}};
    return tx_run_tests("sgan", tests, TX_LEN(tests));
}
