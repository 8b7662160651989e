/* PixelCNN and WaveNet: against a naive net in double that follows models/fvbn/README.md, one pixel at a time; what
 * each output sees, by changing one pixel at a time. */
#include <stdlib.h>
#include "common/model/model.h"
#include "models/fvbn/gated.h"
#include "models/fvbn/levels.h"
#include "tests/support/check.h"

#ifdef TX_DOUBLE
static const double tight = 1e-11;
#else
static const double tight = 3e-5;
#endif

enum { MOST = 64, MOST_CHANNELS = 24, MOST_LAYERS = 5 };

/** A model's settings as options, and as the naive net takes them. */
typedef struct setting {
    const char *model, *text;
    struct {
        int height, width, levels; /* height 0: rows without a shape */
    };
    struct {
        int first, reach, features, skip, hidden;
    };
    int dilation[MOST_LAYERS]; /* 0 ends */
    bool position, covers;     /* every output sees all pixels before it */
} setting;

#define FLAT   "{features: 5, layers: 3, first_kernel: 7, hidden: 6}"
#define PLACED "{features: 8, layers: 2, first_kernel: 3, kernel: 5, hidden: 16, position: true}"
#define NARROW "{features: 4, layers: 1, first_kernel: 3, kernel: 1, hidden: 5}"
#define TALL   "{features: 4, layers: 2, first_kernel: 15, hidden: 3}"
#define ROW    "{features: 4, layers: 2, first_kernel: 5, hidden: 3}"
#define ONE    "{features: 2, layers: 1, first_kernel: 3, hidden: 3}"
#define WAVE   "{features: 4, skip: 5, layers: 3, hidden: 6}"
#define BLOCKS "{features: 6, skip: 8, layers: 2, blocks: 2, kernel: 3, hidden: 16, position: true}"
#define LONG   "{features: 3, skip: 3, layers: 4, hidden: 3}"

static const setting settings[] = {
    {"pixelcnn", FLAT, {5, 4, 2}, {3, 1, 5, 0, 6}, {1, 1, 1}, false, true},
    {"pixelcnn", PLACED, {3, 6, 2}, {1, 2, 8, 0, 16}, {1, 1}, true, true},
    {"pixelcnn", NARROW, {4, 5, 3}, {1, 0, 4, 0, 5}, {1}, false, false},
    {"pixelcnn", TALL, {7, 1, 4}, {7, 1, 4, 0, 3}, {1, 1}, false, true},
    {"pixelcnn", ROW, {0, 9, 2}, {2, 1, 4, 0, 3}, {1, 1}, false, false},
    {"pixelcnn", ONE, {1, 1, 2}, {1, 1, 2, 0, 3}, {1}, false, true},
    {"wavenet", WAVE, {0, 11, 8}, {2, 1, 4, 5, 6}, {1, 2, 4}, false, false},
    {"wavenet", BLOCKS, {3, 4, 2}, {3, 2, 6, 8, 16}, {1, 2, 1, 2}, true, true},
    {"wavenet", LONG, {0, 17, 2}, {2, 1, 3, 3, 3}, {1, 2, 4, 8}, false, true},
};

typedef struct subject {
    const setting *s;
    size_t dim;
    tx_space space;
    double mean[MOST], deviation[MOST];
    tx_model *m;
    tx_tape *t;
} subject;

static tx_space space_of(const setting *s)
{
    size_t h = (size_t)s->height, w = (size_t)s->width;
    return (tx_space){.measure = TX_COUNTING,
                      .levels = s->levels,
                      .dim = h ? h * w : w,
                      .height = h,
                      .width = h ? w : 0,
                      .channel = h ? 1 : 0,
                      .upper = s->levels - 1};
}

static const tx_model_ops *find(const char *name)
{
    for (size_t k = 0; tx_model_list[k]; k++)
        if (strcmp(tx_model_list[k]->name, name) == 0) return tx_model_list[k];
    abort();
}

/** Weights become normals of this spread; 0: as they start. */
static subject *open_subject(const setting *s, double spread)
{
    subject *o = tx_alloc(1, sizeof *o);
    *o = (subject){.s = s, .space = space_of(s), .t = tx_tape_new(1 << 16)};
    o->dim = o->space.dim, o->space.mean = o->mean, o->space.deviation = o->deviation;
    for (size_t j = 0; j < o->dim; j++) o->mean[j] = 0.13 + 0.01 * (double)j, o->deviation[j] = 0.385;
    const tx_model_ops *ops = find(s->model);
    void *config = tx_alloc(1, ops->config_size);
    CHECK_OK(tx_test_options(ops->options, config, s->text));
    CHECK_OK(tx_model_new(&o->m, ops, config, &o->space, 17));
    free(config);
    for (int k = 0; spread > 0 && k < tx_params_count(o->m->net[0]); k++) {
        tx_tensor w = tx_params_value(o->m->net[0], (tx_param){k});
        for (size_t i = 0; i < tx_len(w); i++)
            w.x[i] = (real)(spread * tx_rng_normal1(tx_rng_fold(tx_rng_root(91), (uint64_t)k), i));
    }
    return o;
}

static void close_subject(subject *o) { tx_model_free(o->m), tx_tape_free(o->t), free(o); }

/** The weight NAME{l}END; l < 0: NAMEEND. */
static const real *weight(const subject *o, const char *name, int l, const char *end)
{
    char full[TX_NAME_MAX];
    const tx_params *p = o->m->net[0];
    l < 0 ? snprintf(full, sizeof full, "%s%s", name, end) : snprintf(full, sizeof full, "%s%d%s", name, l, end);
    for (int k = 0; k < tx_params_count(p); k++)
        if (strcmp(tx_params_name(p, (tx_param){k}), full) == 0) return tx_params_value(p, (tx_param){k}).x;
    printf("no weight %s\n", full);
    abort();
}

typedef double plane[MOST][MOST_CHANNELS]; /* values of all places */

/** y = b + the taps at rows i - rows[0] .. i + rows[1] and columns j - cols[0], .. by `dilation` .. j + cols[1]. */
static void naive_conv(const subject *o, const char *name, int l, const int rows[2], const int cols[2], int dilation,
                       int in, int out, plane x, plane y)
{
    int height = o->s->height ? o->s->height : 1, width = o->s->width, n_cols = (cols[0] + cols[1]) / dilation + 1;
    if (strcmp(o->s->model, "wavenet") == 0) width *= height, height = 1;
    const real *w = weight(o, name, l, "_w"), *b = strcmp(name, "link") == 0 ? NULL : weight(o, name, l, "_b");
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++)
            for (int q = 0; q < out; q++) {
                double sum = b ? (double)b[q] : 0;
                for (int a = -rows[0]; a <= rows[1]; a++)
                    for (int k = 0; k < n_cols; k++) {
                        int row = i + a, col = j - cols[0] + k * dilation;
                        if (row < 0 || row >= height || col < 0 || col >= width) continue;
                        for (int p = 0; p < in; p++)
                            sum += x[row * width + col][p] *
                                   (double)w[(((a + rows[0]) * n_cols + k) * in + p) * out + q];
                    }
                y[i * width + j][q] = sum;
            }
}

static void naive_point(const subject *o, const char *name, int l, int in, int out, plane x, plane y)
{
    naive_conv(o, name, l, (int[]){0, 0}, (int[]){0, 0}, 1, in, out, x, y);
}

static void naive_gate(const subject *o, int f, plane a, plane y)
{
    for (size_t j = 0; j < o->dim; j++)
        for (int k = 0; k < f; k++) y[j][k] = tanh(a[j][k]) / (1 + exp(-a[j][f + k]));
}

static void accumulate(const subject *o, int n, plane x, plane sum)
{
    for (size_t j = 0; j < o->dim; j++)
        for (int k = 0; k < n; k++) sum[j][k] += x[j][k];
}

static void rectify(const subject *o, int n, plane x)
{
    for (size_t j = 0; j < o->dim; j++)
        for (int k = 0; k < n; k++) x[j][k] = fmax(x[j][k], 0);
}

/** Outputs of all places for one row. */
static void naive_net(const subject *o, const double row[], plane out)
{
    static plane x, above, left, a, link, z, sum, hidden;
    const setting *s = o->s;
    int f = s->features, r = s->reach, first = s->first, top = s->skip ? s->skip : f;
    bool two = s->height > 1 && strcmp(s->model, "pixelcnn") == 0;
    for (size_t j = 0; j < o->dim; j++) x[j][0] = 2 * row[j] / (s->levels - 1) - 1;
    if (two) naive_conv(o, "above", 0, (int[]){first, -1}, (int[]){first, first}, 1, 1, f, x, above);
    naive_conv(o, "left", 0, (int[]){0, 0}, (int[]){first, -1}, 1, 1, f, x, left);
    for (size_t j = 0; s->position && j < o->dim; j++)
        for (int k = 0; k < f; k++) left[j][k] += (double)weight(o, "position", -1, "")[j * (size_t)f + (size_t)k];
    memset(sum, 0, sizeof sum);
    for (int l = 1; l <= MOST_LAYERS && s->dilation[l - 1]; l++) {
        int d = s->dilation[l - 1];
        if (two) {
            naive_conv(o, "above", l, (int[]){r, 0}, (int[]){r, r}, 1, f, 2 * f, above, a);
            naive_point(o, "link", l, 2 * f, 2 * f, a, link);
            naive_gate(o, f, a, above);
        }
        naive_conv(o, "left", l, (int[]){0, 0}, (int[]){r * d, 0}, d, f, 2 * f, left, a);
        if (two) accumulate(o, 2 * f, link, a);
        naive_gate(o, f, a, z);
        if (s->skip) naive_point(o, "skip", l, f, s->skip, z, a), accumulate(o, s->skip, a, sum);
        if (!s->skip || s->dilation[l]) naive_point(o, "out", l, f, f, z, a), accumulate(o, f, a, left);
    }
    if (!s->skip) memcpy(sum, left, sizeof sum);
    rectify(o, top, sum);
    naive_point(o, "hidden", -1, top, s->hidden, sum, hidden);
    rectify(o, s->hidden, hidden);
    naive_point(o, "last", -1, s->hidden, s->levels > 2 ? s->levels : 1, hidden, out);
}

/** Probabilities of the values of a variable from its outputs. */
static void naive_levels(const subject *o, const double out[], double p[])
{
    int K = o->s->levels;
    double sum = 0;
    if (K == 2) {
        p[1] = 1 / (1 + exp(-out[0])), p[0] = 1 - p[1];
        return;
    }
    for (int k = 0; k < K; k++) sum += exp(out[k]);
    for (int k = 0; k < K; k++) p[k] = exp(out[k]) / sum;
}

static void random_levels(const subject *o, size_t n, real x[])
{
    for (size_t i = 0; i < n * o->dim; i++) x[i] = (real)(int)(o->s->levels * tx_rng_uniform1(tx_rng_root(5), i));
}

static void test_log_prob(void)
{
    enum { N = 37 };
    static real x[N * MOST];
    static double value[N];
    static plane out;
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        subject *o = open_subject(&settings[k], 0.485);
        random_levels(o, N, x);
        tx_model_evaluate(o->m, o->t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, N, o->dim), value);
        for (size_t i = 0; i < N; i++) {
            double row[MOST], p[MOST_CHANNELS], expected = 0;
            for (size_t j = 0; j < o->dim; j++) row[j] = (double)x[i * o->dim + j];
            naive_net(o, row, out);
            for (size_t j = 0; j < o->dim; j++) naive_levels(o, out[j], p), expected += log(p[(int)row[j]]);
            CHECK_NEAR(value[i], expected, tight * fmax(1, fabs(expected)));
        }
        close_subject(o);
    }
}

/** The sampler is the naive one, given the same uniforms; each sample stands for itself. */
static void test_sample(void)
{
    enum { N = 71, FIRST = 5 };
    static real u[N * MOST], x[N * MOST], mean[N * MOST], again[N * MOST];
    static plane out;
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        subject *o = open_subject(&settings[k], 0.485);
        size_t d = o->dim;
        tx_rng r = tx_rng_root(1000 + k);
        tx_rng_uniform(r, FIRST * d, N * d, u);
        tx_model_sample(o->m, o->t, r, FIRST, N, false, x);
        tx_model_sample(o->m, o->t, r, FIRST, N, true, mean);
        tx_model_sample(o->m, o->t, r, FIRST + 33, N - 33, false, again);
        CU_ASSERT(memcmp(again, x + 33 * d, (N - 33) * d * sizeof *x) == 0);
        for (size_t i = 0; i < N; i++) {
            double row[MOST] = {0}, p[MOST_CHANNELS];
            for (size_t j = 0; j < d; j++) row[j] = (double)x[i * d + j];
            naive_net(o, row, out);
            for (size_t j = 0; j < d; j++) {
                naive_levels(o, out[j], p);
                double part = 0, expected = 0, at = (double)u[i * d + j];
                int level = 0;
                if (o->s->levels == 2)
                    level = at < p[1], expected = p[1];
                else
                    for (; level + 1 < o->s->levels && (part += p[level]) <= at;) level++;
                for (int q = 1; o->s->levels > 2 && q < o->s->levels; q++) expected += q * p[q];
                CHECK_NEAR(row[j], level, 0);
                CHECK_NEAR(mean[i * d + j], expected, tight * fmax(1, expected));
            }
        }
        close_subject(o);
    }
}

/** Outputs of the model for one row. */
static void outputs(subject *o, const real row[], real out[])
{
    tx_model_bind(o->m, o->t);
    tx_tensor x = tx_tape_tensor(o->t, 1, o->dim);
    memcpy(x.x, row, o->dim * sizeof *row);
    tx_var y = tx_gated_apply(o->m->state, o->t, tx_leaf(o->t, x));
    memcpy(out, y->v.x, tx_len(y->v) * sizeof *out);
}

/** Changing a pixel changes no bit of the outputs of itself and of those before it, and some of all behind it as far as
 * the net sees: no blind spot. */
static void test_sees_what_comes_before(void)
{
    static real out[2][MOST * MOST_CHANNELS];
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        subject *o = open_subject(&settings[k], 0.785);
        size_t d = o->dim, per = o->s->levels > 2 ? (size_t)o->s->levels : 1, blind = 0;
        real row[MOST];
        for (size_t j = 0; j < d; j++) row[j] = j % 3 == 1;
        outputs(o, row, out[0]);
        for (size_t j = 0; j < d; j++) {
            row[j] = 1 - row[j];
            outputs(o, row, out[1]);
            row[j] = 1 - row[j];
            for (size_t i = 0; i < d; i++) {
                bool same = memcmp(out[0] + i * per, out[1] + i * per, per * sizeof(real)) == 0;
                if (i <= j) CU_ASSERT(same);
                blind += i > j && same;
            }
        }
        if (o->s->covers != (blind == 0)) printf("\n  %s %s: %zu unseen", o->s->model, o->s->text, blind);
        CU_ASSERT(o->s->covers == (blind == 0));
        close_subject(o);
    }
}

/** All images of 3 x 3 of two levels and of 2 x 3 of four, and signals of 5 steps and 4 levels. */
static void test_normalised(void)
{
    static const setting small[] = {
        {.model = "pixelcnn",
         .text = "{features: 4, layers: 2, first_kernel: 3, hidden: 5}",
         .height = 3,
         .width = 3,
         .levels = 2},
        {.model = "pixelcnn",
         .text = "{features: 4, layers: 2, first_kernel: 5, hidden: 5}",
         .height = 2,
         .width = 3,
         .levels = 4},
        {.model = "wavenet", .text = "{features: 4, skip: 3, layers: 2, hidden: 5}", .width = 5, .levels = 4},
    };
    static real x[4096 * 9];
    static double value[4096];
    for (size_t k = 0; k < 2 * TX_LEN(small); k++) {
        subject *o = open_subject(&small[k / 2], k % 2 ? 0.385 : 1.385);
        size_t n = 1, d = o->dim, K = (size_t)o->s->levels;
        for (size_t j = 0; j < d; j++) n *= K;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0, rest = i; j < d; j++, rest /= K) x[i * d + j] = (real)(rest % K);
        tx_model_evaluate(o->m, o->t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, n, d), value);
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += exp(value[i]);
        CHECK_NEAR(sum, 1, tight);
        close_subject(o);
    }
}

/** Untrained, without its other weights, every pixel has the mean of all. */
static void test_start(void)
{
    for (size_t k = 0; k < TX_LEN(settings); k++) {
        subject *o = open_subject(&settings[k], 0);
        double mean = 0;
        for (size_t j = 0; j < o->dim; j++) mean += o->mean[j] / (double)o->dim;
        CHECK_NEAR(weight(o, "last", -1, "_b")[0],
                   o->s->levels > 2 ? 0 : log((0.001 + 0.998 * mean) / (0.999 - 0.998 * mean)), 1e-5);
        CHECK_NEAR(o->m->ops->sequential_steps(o->m), (double)o->dim, 0);
        close_subject(o);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *model, *text;
        size_t channel;
        const char *part;
    } bad[] = {{"pixelcnn", "{}", 3, "3 channels"},
               {"pixelcnn", "{kernel: 4}", 1, "odd"},
               {"pixelcnn", "{first_kernel: 6}", 1, "odd"},
               {"wavenet", "{layers: 11, blocks: 3}", 1, "33 layers"}};
    for (size_t k = 0; k < TX_LEN(bad); k++) {
        double mean[12] = {0}, deviation[12] = {0};
        tx_space space = {.measure = TX_COUNTING,
                          .levels = 2,
                          .dim = 12,
                          .height = 2,
                          .width = 6 / bad[k].channel,
                          .channel = bad[k].channel,
                          .upper = 1,
                          .mean = mean,
                          .deviation = deviation};
        const tx_model_ops *ops = find(bad[k].model);
        void *config = tx_alloc(1, ops->config_size);
        tx_model *m = NULL;
        CHECK_OK(tx_test_options(ops->options, config, bad[k].text));
        CHECK_INT(tx_model_new(&m, ops, config, &space, 1), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), bad[k].part);
        free(config);
    }
}

/** Probabilities of levels and their gradient, against the formula. */
static void test_levels(void)
{
    enum { N = 5, D = 3, K = 4 };
    tx_space space = {.measure = TX_COUNTING, .levels = K, .dim = D};
    real logit[N * D * K], x[N * D], c[N];
    tx_rng_normal(tx_rng_root(3), 0, N * D * K, logit);
    tx_rng_normal(tx_rng_root(4), 0, N, c);
    for (size_t i = 0; i < N * D; i++) x[i] = (real)(i * 7 % K);
    tx_tape *t = tx_tape_new(0);
    tx_var l = tx_leaf(t, tx_matrix(logit, N, D * K)), g;
    tx_var y = tx_level_logp(t, &space, l, tx_leaf(t, tx_matrix(x, N, D)));
    tx_vjp(t, y, tx_leaf(t, tx_matrix(c, N, 1)), &l, 1, &g);
    for (size_t i = 0; i < N; i++) {
        double total = 0;
        for (size_t at = i * D; at < (i + 1) * D; at++) {
            double sum = 0;
            for (size_t k = 0; k < K; k++) sum += exp((double)logit[at * K + k]);
            total += (double)logit[at * K + (size_t)x[at]] - log(sum);
            for (size_t k = 0; k < K; k++)
                CHECK_NEAR(g->v.x[at * K + k],
                           (double)c[i] * ((k == (size_t)x[at]) - exp((double)logit[at * K + k]) / sum), tight);
        }
        CHECK_NEAR(y->v.x[i], total, tight);
    }
    tx_tape_free(t);
}

int main(void)
{
    static const tx_test tests[] = {
        {"log_prob is the formula", test_log_prob},
        {"samples are the naive sampler's", test_sample},
        {"an output sees all that comes before, and no more", test_sees_what_comes_before},
        {"probabilities add to one", test_normalised},
        {"levels", test_levels},
        {"start", test_start},
        {"settings that are refused", test_refused},
    };
    return tx_run_tests("gated convolutions", tests, TX_LEN(tests));
}
