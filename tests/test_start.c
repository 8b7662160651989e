/** Initial weights of every network follow the law its README states: their root mean square at 5 sigma, their largest,
 * and that another seed draws others. */
#include <math.h>
#include <stdlib.h>
#include "common/model/model.h"
#include "tests/support/check.h"

enum { D = 24, NORMAL, UNIFORM, HE, GLOROT };

typedef struct start_case {
    const char *model, *text;
    bool real_line;
    const char *weight;
    size_t in, out;
    int law;
    double scale; /**< of NORMAL its deviation, of UNIFORM its largest */
} start_case;

static const start_case cases[] = {
    {"fvbn", "{}", false, "w", D, D, NORMAL, 0.01},
    {"made", "{hidden: [40, 30]}", false, "w0", D, 40, HE, 0},
    {"made", "{hidden: [40, 30]}", false, "w1", 40, 30, HE, 0},
    {"made", "{hidden: [40, 30], activation: tanh}", false, "w1", 40, 30, GLOROT, 0},
    {"made", "{hidden: [40]}", false, "w_out", 40, D, GLOROT, 0},
    {"made_mog", "{hidden: [40], components: 5}", true, "w0", D, 40, HE, 0},
    {"made_mog", "{hidden: [40], components: 5}", true, "w_logit", 40, 5 * D, NORMAL, 0.01},
    {"made_mog", "{hidden: [40], components: 5}", true, "w_log_sd", 40, 5 * D, NORMAL, 0.01},
    {"nade", "{hidden: [40]}", false, "w", D, 40, GLOROT, 0},
    {"nade", "{hidden: [40]}", false, "v", D, 40, GLOROT, 0},
    {"nade", "{hidden: [40, 30], order: agnostic}", false, "w", 2 * D, 40, HE, 0},
    {"nade", "{hidden: [40, 30], order: agnostic}", false, "w1", 40, 30, HE, 0},
    {"nade", "{hidden: [40, 30], order: agnostic}", false, "v", D, 30, GLOROT, 0},
    {"dbm", "{hidden: [40, 30]}", false, "w1", D, 40, NORMAL, 0.01},
    {"dbm", "{hidden: [40, 30], init: 0.1}", false, "w2", 40, 30, NORMAL, 0.1},
    {"rbm", "{hidden: 40}", false, "w", D, 40, NORMAL, 0.01},
    {"rbm", "{hidden: 30, init: 0.05}", true, "weights/w", D, 30, NORMAL, 0.05},
    {"realnvp", "{hidden: [40, 30]}", true, "coupling0_w0", D / 2, 40, HE, 0},
    {"realnvp", "{hidden: [40, 30], activation: tanh}", true, "coupling5_w1", 40, 30, GLOROT, 0},
    {"vae", "{hidden: [40, 30], latent: 6, activation: relu}", false, "layer_w1", 40, 30, HE, 0},
    {"vae", "{hidden: [40], latent: 6, activation: tanh}", false, "layer_w0", D, 40, GLOROT, 0},
    {"gan", "{discriminator_hidden: [40], generator_init: 0.07}", true, "generator/layer_w0", 0, 0, UNIFORM, 0.07},
    {"gan", "{discriminator_hidden: [40], discriminator_init: 0.006}", true, "discriminator/layer_w0", D, 0, UNIFORM,
     0.006},
    {"gan", "{discriminator_hidden: [40, 30], discriminator_activation: leaky_relu}", true, "discriminator/layer_w1",
     40, 30, HE, 0},
    {"gan", "{discriminator_hidden: [40, 30], discriminator_activation: tanh}", true, "discriminator/layer_w1", 40, 30,
     GLOROT, 0},
    {"gan", "{discriminator_hidden: [40, 30], discriminator_activation: maxout, maxout_pieces: 3}", true,
     "discriminator/layer_w1", 40, 90, HE, 0},
    {"sgan", "{generator_hidden: [40, 30], discriminator_hidden: [35], n_label: 10}", true, "generator/layer_w1", 40,
     30, GLOROT, 0},
    {"sgan", "{generator_hidden: [40], discriminator_hidden: [35, 30], n_label: 10}", true, "discriminator/layer_w1",
     35, 30, HE, 0},
    {"gsn", "{hidden: [40, 30]}", false, "w0", D, 40, GLOROT, 0},
    {"gsn", "{hidden: [40, 30], activation: relu}", true, "w1", 40, 30, HE, 0},
    {"ica", "{}", true, "upper0", D, D, NORMAL, 0.01},
    {"ica", "{}", true, "upper1", D, D, NORMAL, 0.01},
    {"flow_gan", "{hidden: [40, 30], discriminator_hidden: [35]}", true, "flow/coupling1_w1", 40, 30, HE, 0},
    {"flow_gan", "{hidden: [40], discriminator_hidden: [35, 30]}", true, "discriminator/layer_w1", 35, 30, HE, 0},
    {"maf", "{hidden: [40, 30]}", true, "block0_w0", D, 40, HE, 0},
    {"maf", "{hidden: [40, 30]}", true, "block4_w1", 40, 30, HE, 0},
    {"maf", "{hidden: [40, 30]}", true, "block1_w_log_scale", 30, D, NORMAL, 0.01},
    {"nce", "{hidden: [40, 30]}", true, "layer_w0", D, 40, GLOROT, 0},
    {"nce", "{hidden: [40, 30], activation: relu}", false, "layer_w1", 40, 30, HE, 0},
    {"nice", "{hidden: [40, 30], init: uniform}", true, "coupling0_w1", 40, 30, UNIFORM, 0.01},
    {"nice", "{hidden: [40, 30], init: uniform}", true, "coupling3_w2", 30, D / 2, UNIFORM, 0.01},
    {"nice", "{hidden: [40, 30]}", true, "coupling1_w1", 40, 30, HE, 0},
    {"pixelcnn", "{features: 20, layers: 2, hidden: 30}", false, "left1_w", 40, 40, GLOROT, 0},
    {"pixelcnn", "{features: 20, layers: 2, hidden: 30}", false, "hidden_w", 20, 30, HE, 0},
    {"wavenet", "{features: 20, skip: 25, hidden: 30, position: true}", false, "position", 1, 20 * D, NORMAL, 0.1},
    {"wavenet", "{features: 20, skip: 25, hidden: 30}", false, "skip3_w", 20, 25, GLOROT, 0},
    {"wavenet", "{features: 20, skip: 25, hidden: 30}", false, "last_w", 30, 1, GLOROT, 0},
};

static double mean[D], deviation[D];

static tx_model *model_of(const tx_model_ops *ops, const start_case *c, uint64_t seed)
{
    for (size_t j = 0; j < D; j++) mean[j] = 0.31 + 0.01 * (double)j, deviation[j] = 0.17 + 0.02 * (double)j;
    tx_space space = {.measure = c->real_line ? TX_LEBESGUE : TX_COUNTING,
                      .levels = c->real_line ? 0 : 2,
                      .dim = D,
                      .n_train = 100,
                      .n_class = 3,
                      .lower = c->real_line ? -INFINITY : 0,
                      .upper = c->real_line ? INFINITY : 1,
                      .mean = mean,
                      .deviation = deviation};
    void *config = tx_alloc(1, ops->config_size);
    tx_model *m = NULL;
    CHECK_OK(tx_test_options(ops->options, config, c->text));
    CHECK_OK(tx_model_new(&m, ops, config, &space, seed));
    free(config);
    CU_ASSERT_FATAL(m != NULL);
    return m;
}

/** The weight NAME or NET/NAME. */
static tx_tensor find(const tx_model *m, const char *name)
{
    for (int i = 0; i < m->n_net; i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++) {
            char full[TX_TEXT_MAX];
            const char *own = tx_params_name(m->net[i], (tx_param){j});
            snprintf(full, sizeof full, "%s/%s", tx_params_net(m->net[i]), own);
            if (strcmp(strchr(name, '/') ? full : own, name) == 0) return tx_params_value(m->net[i], (tx_param){j});
        }
    printf("\n  no weight %s\n", name);
    CU_FAIL_FATAL("no such weight");
    return (tx_tensor){0};
}

/** Of n draws: E x^2 = v, deviation of x^2 is v sqrt(2) (normal) or v sqrt(4/5) (uniform). */
static void check_law(const start_case *c, tx_tensor w)
{
    double n = (double)tx_len(w), square = 0, largest = 0, sum = 0;
    bool normal = c->law == NORMAL || c->law == HE;
    double in = (double)tx_rows(w), out = (double)tx_cols(w);
    double bound = c->law == GLOROT ? sqrt(6 / (in + out)) : c->scale, v = c->law == HE       ? 2 / in
                                                                           : c->law == NORMAL ? c->scale * c->scale
                                                                                              : bound * bound / 3;
    for (size_t i = 0; i < tx_len(w); i++) {
        double x = (double)w.x[i];
        sum += x / n, square += x * x / n, largest = fmax(largest, fabs(x));
    }
    if (c->in) CHECK_INT(tx_rows(w), c->in);
    if (c->out) CHECK_INT(tx_cols(w), c->out);
    CHECK_NEAR(sum, 0, 5 * sqrt(v / n));
    CHECK_NEAR(square, v, 5 * v * sqrt((normal ? 2 : 0.8) / n));
    if (normal)
        CHECK_TRUE(largest > 2.3 * sqrt(v)); /* a uniform law ends at 1.73 */
    else
        CHECK_TRUE(largest <= bound * 1.000001 && largest > 0.97 * bound);
}

static void check_start(const tx_model_ops *ops, const start_case *c)
{
    unsigned before = CU_get_number_of_failures();
    tx_model *m[2] = {model_of(ops, c, 5), model_of(ops, c, 6)};
    tx_tensor a = find(m[0], c->weight), b = find(m[1], c->weight);
    check_law(c, a);
    size_t same = 0;
    for (size_t i = 0; i < tx_len(a); i++) same += a.x[i] == b.x[i];
    CHECK_TRUE(same < 2 + tx_len(a) / 1000);
    tx_model_free(m[0]), tx_model_free(m[1]);
    if (CU_get_number_of_failures() > before) printf("  %s %s: %s\n", c->model, c->text, c->weight);
}

static void weights_follow_their_law(void)
{
    size_t seen = 0;
    for (int i = 0; tx_model_list[i]; i++)
        for (size_t k = 0; k < TX_LEN(cases); k++)
            if (strcmp(cases[k].model, tx_model_list[i]->name) == 0) seen++, check_start(tx_model_list[i], &cases[k]);
    CHECK_INT(seen, TX_LEN(cases));
}

int main(void)
{
    static const tx_test tests[] = {{"weights follow their law", weights_follow_their_law}};
    return tx_run_tests("start", tests, TX_LEN(tests));
}
