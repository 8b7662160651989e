/* Gradients in float against gradients in double: every model at its toy settings, weights, rows and noise that a float
 * holds exactly. The double build writes what both are held to: test_gradients --write tests/gradients.txt */
#include <stdlib.h>
#include "common/model/latent.h"
#include "tests/support/check.h"

enum { ROWS = 7, MOST = 6, TEXT = 1 << 16 };
static const bool is_double = sizeof(real) == sizeof(double);
static const char *name_of_file = TX_SOURCE_DIR "/tests/gradients.txt";
static bool writing;
static FILE *file;
static char line[TEXT];
static int n_tensor, n_subject;

static real exact(double v) { return (real)(float)v; }

static void uniform(const char *what, uint64_t k, double low, double high, size_t n, real x[])
{
    tx_rng r = tx_rng_fold(tx_rng_named(tx_rng_root(2385), what), k);
    for (size_t i = 0; i < n; i++) x[i] = exact(low + (high - low) * tx_rng_uniform1(r, i));
}

/* sum_i c_i f(x_i), where f is log p(x), the log weight of given noise, or a generator's log p(x|z) at given z. A GAN's
 * discriminator is in none, and a model with neither density nor latent variables is not here: noise is drawn inside,
 * from streams that are not the same in float. */
static tx_var loss(tx_model *m, tx_tape *t, tx_var x)
{
    const tx_model_ops *o = m->ops;
    tx_tensor c = tx_tape_tensor(t, 1, ROWS);
    uniform("c", 0, -2, 2, ROWS, c.x);
    tx_var y, mu, lv;
    if (o->log_prob) {
        y = o->log_prob(m, t, x);
    } else {
        tx_tensor e = tx_tape_tensor(t, ROWS, o->latent(m).dim);
        uniform("e", 0, -1.7, 1.7, tx_len(e), e.x);
        if (o->posterior) o->posterior(m, t, x, &mu, &lv);
        y = o->posterior ? tx_log_weight(m, t, tx_observation_of(m, 0.5), x, mu, lv, tx_leaf(t, e))
                         : tx_observation_logp(m, t, tx_observation_of(m, 0.5), x, tx_leaf(t, e));
    }
    return tx_matmul(t, tx_leaf(t, c), false, y, false);
}

/* A net for all orders has no likelihood that is differentiated, but an objective: its gradient, minus what a step of
 * rate 1 moves, in place of the weights. */
static void by_step(tx_model *m, tx_tape *t, tx_tensor x)
{
    tx_tensor w = tx_params_block(m->net[0]);
    real *old = memcpy(tx_alloc(tx_len(w), sizeof *old), w.x, tx_len(w) * sizeof *old);
    tx_step s = {.tape = t, .rng = tx_rng_root(1), .rate = 1};
    tx_metrics out;
    tx_model_train_with(m, tx_optim_find("sgd"), &(double[4]){0});
    CHECK_OK(tx_model_step(m, &s, x, &out));
    tx_vec_sub(tx_len(w), old, w.x, w.x);
    free(old);
}

static void write_tensor(const char *head, tx_tensor g)
{
    fprintf(file, "%s\n", head);
    for (size_t i = 0; i < tx_len(g); i++) fprintf(file, "%.10g%c", (double)g.x[i], i + 1 < tx_len(g) ? ' ' : '\n');
}

/* The next tensor of the file is this one, and its values are g, to a share of their norm. */
static void compare(const char *head, tx_tensor g)
{
    if (!fgets(line, TEXT, file)) line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    CHECK_TEXT(line, head);
    if (strcmp(line, head) != 0) CU_FAIL_FATAL("other models or toys than those of the file: write it anew");
    if (!fgets(line, TEXT, file)) line[0] = '\0';
    double square = 0, far = 0;
    char *at = line;
    for (size_t i = 0; i < tx_len(g); i++) {
        char *from = at;
        double v = strtod(at, &at);
        CU_ASSERT_FATAL(at > from);
        square += v * v, far = fmax(far, fabs((double)g.x[i] - v));
    }
    CHECK_TRUE(*at == '\n');
    unsigned before = CU_get_number_of_failures();
    CHECK_NEAR(far, 0, (is_double ? 1e-9 : 2e-5) * sqrt(square) + 1e-12);
    if (CU_get_number_of_failures() != before) printf("    ^ %s\n", head);
}

static void subject(const tx_model_ops *ops, int toy, const tx_space *space, const void *config)
{
    real rows[ROWS * MOST];
    char head[TX_TEXT_MAX];
    tx_model *m = NULL;
    CHECK_OK(tx_model_new(&m, ops, config, space, 3));
    bool any_order = ops->n_ordering && ops->n_ordering(m) == 0;
    tx_tensor x = tx_matrix(rows, ROWS, space->dim);
    bool bits = space->measure == TX_COUNTING;
    uniform("x", 0, bits ? -0.6 : -1.5, bits ? 0.4 : 2.5, ROWS * space->dim, rows);
    for (size_t i = 0; bits && i < ROWS * space->dim; i++) rows[i] = rows[i] > 0;
    for (int k = 0; k < m->n_net && !tx_params_is_state(m->net[k]); k++)
        for (int q = 0; q < tx_params_count(m->net[k]); q++) {
            tx_tensor w = tx_params_value(m->net[k], (tx_param){q});
            uniform("w", (uint64_t)(100 * k + q), -0.7, 0.7, tx_len(w), w.x);
        }
    tx_tape *t = tx_tape_new(0);
    for (int k = 0; k < (ops->log_prob || ops->posterior ? m->n_net : 1); k++) {
        tx_tensor grad[64];
        if (tx_params_is_state(m->net[k])) continue;
        if (any_order) {
            by_step(m, t, x);
            for (int q = 0; q < tx_params_count(m->net[k]); q++) grad[q] = tx_params_value(m->net[k], (tx_param){q});
        } else {
            tx_model_bind(m, t);
            tx_params_grad(m->net[k], t, loss(m, t, tx_leaf(t, x)), grad);
        }
        for (int q = 0; q < tx_params_count(m->net[k]); q++, n_tensor++) {
            snprintf(head, sizeof head, "%s, toy %d, D=%zu: %s/%s", ops->name, toy, space->dim,
                     tx_params_net(m->net[k]), tx_params_name(m->net[k], (tx_param){q}));
            (writing ? write_tensor : compare)(head, grad[q]);
        }
    }
    n_subject++;
    tx_tape_free(t), tx_model_free(m);
}

static void on(const tx_space *space)
{
    char why[TX_TEXT_MAX];
    for (int i = 0; tx_model_list[i]; i++) {
        const tx_model_ops *ops = tx_model_list[i];
        tx_yaml *toys = NULL;
        if (ops->fit || !ops->toys || tx_model_unfit(ops, space, why, sizeof why)) continue;
        if (!ops->log_prob && !ops->latent) continue;
        CHECK_OK(tx_yaml_parse(ops->toys, strlen(ops->toys), ops->name, &toys));
        for (int k = 0; k < toys->n; k++) {
            void *config = tx_alloc(1, ops->config_size);
            tx_options_defaults(ops->options, config);
            tx_option_set set = {ops->options, config};
            CHECK_OK(tx_options_parse(&set, 1, &toys->child[k], ops->name, NULL));
            subject(ops, k, space, config);
            free(config);
        }
        tx_yaml_free(toys);
    }
}

static void every_model(void)
{
    double mean[MOST] = {0.5, 0.25, 0.375, 0.625, 0.75, 0.5}, deviation[MOST] = {1, 0.5, 0.75, 1.25, 1.5, 1};
    file = fopen(name_of_file, writing ? "w" : "r");
    CU_ASSERT_FATAL(file != NULL);
    on(&(tx_space){TX_COUNTING, .levels = 2, .dim = 6, .n_train = 30, .n_class = 3, .lower = 0, .upper = 1,
                   .mean = mean, .deviation = deviation});
    on(&(tx_space){TX_LEBESGUE, .dim = 5, .n_train = 30, .n_class = 3, .lower = -INFINITY, .upper = INFINITY,
                   .mean = mean, .deviation = deviation});
    if (!writing) CHECK_TRUE(!fgets(line, TEXT, file)); /* nothing is left */
    CHECK_TRUE(n_subject > 20 && n_tensor > 100);
    CU_ASSERT(fclose(file) == 0);
}

int main(int argc, char **argv)
{
    writing = argc == 3 && strcmp(argv[1], "--write") == 0;
    if (argc > 1 && (!writing || !is_double)) {
        fprintf(stderr, "usage, in the double build: test_gradients [--write FILE]\n");
        return 2;
    }
    if (writing) name_of_file = argv[2];
    static const tx_test tests[] = {{"the gradients that the double build has written", every_model}};
    return tx_run_tests("gradients", tests, (int)TX_LEN(tests));
}
