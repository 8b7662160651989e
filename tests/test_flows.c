/** Flows of models/nice beside NICE, against their formulas written out in double precision. */
#include <math.h>
#include <stdlib.h>
#include "common/model/latent.h"
#include "tests/support/check.h"

enum { D = 7, N = 5 };
static const double TOL = sizeof(real) == 8 ? 1e-11 : 3e-5;
static double mean_of_data[D], deviation_of_data[D];

static tx_space space_of(size_t dim)
{
    for (size_t j = 0; j < dim; j++)
        mean_of_data[j] = 0.31 + 0.05 * (double)j, deviation_of_data[j] = 0.17 + 0.03 * (double)j;
    return (tx_space){.measure = TX_LEBESGUE,
                      .dim = dim,
                      .lower = -INFINITY,
                      .upper = INFINITY,
                      .mean = mean_of_data,
                      .deviation = deviation_of_data};
}

static tx_status try_model(tx_model **m, const char *name, const tx_space *space, const char *text)
{
    int i = 0;
    while (tx_model_list[i + 1] && strcmp(tx_model_list[i]->name, name) != 0) i++;
    const tx_model_ops *ops = tx_model_list[i];
    void *config = tx_alloc(1, ops->config_size);
    CHECK_OK(tx_test_options(ops->options, config, text));
    tx_status s = tx_model_new(m, ops, config, space, 7);
    free(config);
    return s;
}

static tx_model *model(const char *name, const tx_space *space, const char *text)
{
    tx_model *m = NULL;
    CHECK_OK(try_model(&m, name, space, text));
    CU_ASSERT_FATAL(m != NULL);
    return m;
}

/* Every weight becomes N(0, scale^2), so that nothing is hidden by zeros; a running variance stays positive. */
static void shake(tx_model *m, double scale)
{
    for (int i = 0; i < m->n_net; i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++) {
            tx_tensor w = tx_params_value(m->net[i], (tx_param){j});
            tx_rng r = tx_rng_fold(tx_rng_fold(tx_rng_root(11), (uint64_t)i), (uint64_t)j);
            tx_rng_normal(r, 0, tx_len(w), w.x);
            for (size_t k = 0; k < tx_len(w); k++)
                w.x[k] = strstr(tx_params_name(m->net[i], (tx_param){j}), "variance")
                             ? (real)(0.3 + fabs((double)w.x[k]))
                             : (real)(scale * (double)w.x[k]);
        }
}

static tx_tensor weight(const tx_model *m, const char *name)
{
    for (int i = 0; i < m->n_net; i++)
        for (int j = 0; j < tx_params_count(m->net[i]); j++)
            if (strcmp(tx_params_name(m->net[i], (tx_param){j}), name) == 0)
                return tx_params_value(m->net[i], (tx_param){j});
    printf("\n  no weight %s\n", name);
    CU_FAIL_FATAL("no such weight");
    return (tx_tensor){0};
}

static double at(tx_tensor w, size_t i, size_t j) { return (double)w.x[i * tx_cols(w) + j]; }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

/* One row: z = f(x), and returns log p(x). */
typedef double (*naive)(const tx_model *m, const real x[], double z[]);

static double diagonal(const tx_model *m, const real x[], double u[])
{
    double sum = 0;
    for (size_t j = 0; j < m->space->dim; j++) {
        double s = at(weight(m, "log_scale"), 0, j);
        u[j] = ((double)x[j] - at(weight(m, "shift"), 0, j)) * exp(s), sum += s;
    }
    return sum;
}

static void reverse(size_t d, double z[])
{
    for (size_t j = 0; j < d / 2; j++) {
        double swap = z[j];
        z[j] = z[d - 1 - j], z[d - 1 - j] = swap;
    }
}

/* Density, code and inverse of rows against `f`. */
static void check_formula(tx_model *m, naive f)
{
    size_t d = m->space->dim;
    tx_tape *t = tx_tape_new(1 << 16);
    real x[N * D];
    tx_rng_normal(tx_rng_root(5), 0, N * d, x);
    tx_model_bind(m, t);
    tx_var data = tx_leaf(t, tx_matrix(x, N, d)), code = m->ops->encode(m, t, data);
    tx_var back = m->ops->decode(m, t, code), log_p = m->ops->log_prob(m, t, data);
    for (size_t i = 0; i < N; i++) {
        double z[D], want = f(m, x + i * d, z);
        CHECK_NEAR(log_p->v.x[i], want, TOL * (fabs(want) + (double)d));
        for (size_t j = 0; j < d; j++) {
            CHECK_NEAR(code->v.x[i * d + j], z[j], TOL * (fabs(z[j]) + 4));
            CHECK_NEAR(back->v.x[i * d + j], x[i * d + j], 10 * TOL);
        }
    }
    tx_tape_free(t);
}

/* The start: a row at the data's mean has the code 0, one a deviation above it this code. */
static void check_start(const char *name, const char *text, double deviation)
{
    tx_space space = space_of(D);
    tx_model *m = model(name, &space, text);
    tx_tape *t = tx_tape_new(1 << 16);
    real x[2 * D];
    for (size_t j = 0; j < D; j++) {
        x[j] = (real)mean_of_data[j];
        x[D + j] = (real)(mean_of_data[j] + deviation_of_data[j]);
    }
    tx_model_bind(m, t);
    tx_var z = m->ops->encode(m, t, tx_leaf(t, tx_matrix(x, 2, D)));
    for (size_t j = 0; j < 2 * D; j++) CHECK_NEAR(z->v.x[j], j < D ? 0 : deviation, 0.25 * deviation);
    tx_tape_free(t), tx_model_free(m);
    double narrow[D];
    for (size_t j = 0; j < D; j++) narrow[j] = j == 1 ? 0.0007 : deviation_of_data[j];
    space.deviation = narrow;
    m = model(name, &space, text);
    CHECK_NEAR(exp(-at(weight(m, "log_scale"), 0, 1)) * deviation, 0.05 * narrow[D - 1], 1e-6);
    CHECK_NEAR(exp(-at(weight(m, "log_scale"), 0, 2)) * deviation, narrow[2], 1e-6);
    CHECK_NEAR(at(weight(m, "shift"), 0, 3), mean_of_data[3], 1e-6);
    tx_model_free(m);
}

/* ---- ica ---- */

static double logistic_logp(double z) { return -z - 2 * softplus(-z); }
static double sech_logp(double z) { return -log(M_PI * cosh(z)); }
static double student_logp(double z) { return log(3.0 / 8) - 2.5 * log(1 + z * z / 4); }

/* z = z (I + N) with N strictly above the diagonal. */
static void shear(tx_tensor n, double z[])
{
    for (size_t j = tx_cols(n); j-- > 0;)
        for (size_t i = 0; i < j; i++) z[j] += z[i] * at(n, i, j);
}

static double linear(const tx_model *m, double (*source)(double), const real x[], double z[])
{
    double sum = diagonal(m, x, z);
    if (m->space->dim > 1) shear(weight(m, "upper0"), z), reverse(m->space->dim, z), shear(weight(m, "upper1"), z);
    for (size_t j = 0; j < m->space->dim; j++) sum += source(z[j]);
    return sum;
}
static double ica_logistic(const tx_model *m, const real x[], double z[]) { return linear(m, logistic_logp, x, z); }
static double ica_sech(const tx_model *m, const real x[], double z[]) { return linear(m, sech_logp, x, z); }
static double ica_student(const tx_model *m, const real x[], double z[]) { return linear(m, student_logp, x, z); }

static void ica_formula(void)
{
    static const struct {
        const char *text;
        naive f;
    } cases[] = {
        {"{source: logistic}", ica_logistic}, {"{source: sech}", ica_sech}, {"{source: student}", ica_student}};
    static const size_t dims[] = {1, 2, D};
    for (size_t c = 0; c < TX_LEN(cases); c++)
        for (size_t k = 0; k < TX_LEN(dims); k++) {
            tx_space space = space_of(dims[k]);
            tx_model *m = model("ica", &space, cases[c].text);
            shake(m, 0.6);
            check_formula(m, cases[c].f);
            tx_model_free(m);
        }
}

static void ica_start(void)
{
    check_start("ica", "{source: logistic}", M_PI / sqrt(3));
    check_start("ica", "{source: sech}", M_PI / 2);
    check_start("ica", "{source: student}", M_SQRT2);
}

/* Codes of samples are independent draws of the source: 16 bins of equal probability by the source's distribution
 * function, within 5 standard errors, whatever W. */
static double logistic_cdf(double z) { return 1 / (1 + exp(-z)); }
static double sech_cdf(double z) { return 2 / M_PI * atan(exp(z)); }
static double student_cdf(double z)
{
    double s = sqrt(1 + z * z / 4);
    return 0.5 + 0.375 * (z / s) * (1 - z * z / (12 * s * s));
}
static void ica_samples(void)
{
    enum { ROWS = 4000, BINS = 16 };
    static const struct {
        const char *text;
        double (*cdf)(double);
    } cases[] = {
        {"{source: logistic}", logistic_cdf}, {"{source: sech}", sech_cdf}, {"{source: student}", student_cdf}};
    real *x = tx_alloc(ROWS * D, sizeof *x);
    for (size_t c = 0; c < TX_LEN(cases); c++) {
        double count[BINS] = {0};
        tx_space space = space_of(D);
        tx_model *m = model("ica", &space, cases[c].text);
        tx_tape *t = tx_tape_new(1 << 20);
        shake(m, 0.4);
        tx_model_sample(m, t, tx_rng_root(5), 0, ROWS, false, x);
        tx_model_bind(m, t);
        tx_var z = m->ops->encode(m, t, tx_leaf(t, tx_matrix(x, ROWS, D)));
        for (size_t i = 0; i < ROWS * D; i++) count[(int)(BINS * cases[c].cdf((double)z->v.x[i]))]++;
        for (int b = 0; b < BINS; b++)
            CHECK_NEAR(count[b], ROWS * D / (double)BINS, 5 * sqrt(ROWS * D / (double)BINS * (1 - 1.0 / BINS)));
        tx_tape_free(t), tx_model_free(m);
    }
    free(x);
}

/* One source as it is drawn: the quantile of its uniform. */
static void ica_quantiles(void)
{
    static const struct {
        const char *text;
        double (*cdf)(double);
    } cases[] = {{"{source: sech, data_init: false}", sech_cdf}, {"{source: student, data_init: false}", student_cdf}};
    real x[40];
    for (size_t c = 0; c < TX_LEN(cases); c++) {
        tx_space space = space_of(1);
        tx_model *m = model("ica", &space, cases[c].text);
        tx_tape *t = tx_tape_new(1 << 16);
        tx_model_sample(m, t, tx_rng_root(6), 0, TX_LEN(x), false, x);
        for (size_t i = 0; i < TX_LEN(x); i++)
            CHECK_NEAR(cases[c].cdf((double)x[i]), tx_rng_uniform1(tx_rng_root(6), i), TOL);
        tx_tape_free(t), tx_model_free(m);
    }
}

/* ---- batch normalisation by running statistics ---- */

static double standard_logp(double z) { return -0.5 * (1.8378770664093453 + z * z); }

static tx_tensor part(const tx_model *m, const char *name, int k, const char *what)
{
    char full[TX_NAME_MAX];
    snprintf(full, sizeof full, "%s%d_%s", name, k, what);
    return weight(m, full);
}

static double normalise(const tx_model *m, const char *name, int k, size_t d, double z[])
{
    double sum = 0;
    for (size_t j = 0; j < d; j++) {
        double g = at(part(m, name, k, "log_gain"), 0, j), v = at(part(m, name, k, "variance"), 0, j) + 1e-5;
        z[j] = (z[j] - at(part(m, name, k, "mean"), 0, j)) * exp(g) / sqrt(v) + at(part(m, name, k, "bias"), 0, j);
        sum += g - 0.5 * log(v);
    }
    return sum;
}

/* ---- maf ---- */

/* Degrees of a hidden layer of n units over D variables. */
static size_t degree(size_t j, size_t n, size_t d) { return j * (d > 2 ? d - 1 : 1) / n + 1; }

/* The hidden layers of a block, of these widths; returns the last layer's width and leaves its units in h. */
static size_t hidden(const tx_model *m, int k, int layers, const double x[], double (*act)(double), double h[],
                     size_t at_degree[])
{
    size_t d = m->space->dim, n = d;
    for (size_t j = 0; j < d; j++) h[j] = x[j], at_degree[j] = j + 1;
    for (int l = 0; l < layers; l++) {
        char w_name[16], b_name[16];
        snprintf(w_name, sizeof w_name, "w%d", l), snprintf(b_name, sizeof b_name, "b%d", l);
        tx_tensor w = part(m, "block", k, w_name), b = part(m, "block", k, b_name);
        double y[16];
        for (size_t j = 0; j < tx_cols(w); j++) {
            y[j] = at(b, 0, j);
            for (size_t i = 0; i < n; i++) y[j] += at_degree[i] <= degree(j, tx_cols(w), d) ? h[i] * at(w, i, j) : 0;
        }
        n = tx_cols(w);
        for (size_t j = 0; j < n; j++) h[j] = act(y[j]), at_degree[j] = degree(j, n, d);
    }
    return n;
}

typedef struct maf_case {
    const char *text;
    int blocks, layers;
    double (*act)(double), bound;
    bool norm;
} maf_case;
static double relu(double x) { return x > 0 ? x : 0; }
static const maf_case mafs[] = {
    {"{blocks: 1, hidden: [9], batch_norm: false, max_log_scale: 0}", 1, 1, relu, 0, false},
    {"{blocks: 3, hidden: [8, 6], activation: tanh, batch_norm: false, max_log_scale: 0.7}", 3, 2, tanh, 0.7, false},
    {"{blocks: 2, hidden: [10], activation: tanh, max_log_scale: 1.3}", 2, 1, tanh, 1.3, true}};
static const maf_case *this_maf;

static double maf_naive(const tx_model *m, const real x[], double z[])
{
    const maf_case *c = this_maf;
    size_t d = m->space->dim;
    double sum = diagonal(m, x, z);
    for (int k = 0; k < c->blocks; k++) {
        double h[16], u[D];
        size_t of[16];
        if (k > 0) reverse(d, z);
        size_t n = hidden(m, k, c->layers, z, c->act, h, of);
        tx_tensor w = part(m, "block", k, "w_mean"), v = part(m, "block", k, "w_log_scale");
        for (size_t j = 0; j < d; j++) {
            double mean = at(part(m, "block", k, "b_mean"), 0, j);
            double a = c->norm ? 0 : at(part(m, "block", k, "b_log_scale"), 0, j);
            for (size_t i = 0; i < n; i++)
                if (of[i] <= j) mean += h[i] * at(w, i, j), a += h[i] * at(v, i, j);
            if (c->bound > 0) a = c->bound * tanh(a / c->bound);
            u[j] = (z[j] - mean) * exp(-a), sum -= a;
        }
        memcpy(z, u, d * sizeof *z);
        if (c->norm) sum += normalise(m, "block", k, d, z);
    }
    for (size_t j = 0; j < d; j++) sum += standard_logp(z[j]);
    return sum;
}

static void maf_formula(void)
{
    static const size_t dims[] = {1, 2, D};
    for (size_t c = 0; c < TX_LEN(mafs); c++)
        for (size_t k = 0; k < TX_LEN(dims); k++) {
            tx_space space = space_of(dims[k]);
            tx_model *m = model("maf", &space, mafs[c].text);
            shake(m, 0.35);
            this_maf = &mafs[c];
            check_formula(m, maf_naive);
            CHECK_NEAR(m->ops->sequential_steps(m), (double)dims[k] * mafs[c].blocks, 0);
            tx_model_free(m);
        }
}

static void maf_start(void)
{
    check_start("maf", "{hidden: [9]}", 1);
    check_start("maf", "{hidden: [9], batch_norm: false}", 1);
}

/* A step's objective is the log-likelihood by the batch's own statistics: of rows whose last coordinate a normaliser
 * alone maps, beside the start, that of a normal with the batch's moments. The running ones have moved by 1 - keep =
 * 1/4. */
static void batch_statistics(const char *name, const char *text, const char *layer, size_t dim)
{
    enum { ROWS = 6 };
    tx_space space = space_of(dim);
    tx_model *m = model(name, &space, text);
    tx_tape *t = tx_tape_new(1 << 16);
    real x[ROWS * D];
    double sgd[4] = {0}, mean = 0, variance = 0, want = 0, u[ROWS][D];
    tx_rng_normal(tx_rng_root(8), 0, ROWS * dim, x);
    for (size_t i = 0; i < ROWS; i++) want -= diagonal(m, x + i * dim, u[i]) / ROWS;
    for (size_t i = 0; i < ROWS; i++) mean += u[i][dim - 1] / ROWS;
    for (size_t i = 0; i < ROWS; i++) variance += pow(u[i][dim - 1] - mean, 2) / ROWS;
    for (size_t i = 0; i < ROWS; i++) {
        u[i][dim - 1] = (u[i][dim - 1] - mean) / sqrt(variance + 1e-5);
        for (size_t j = 0; j < dim; j++) want -= standard_logp(u[i][j]) / ROWS;
    }
    want += 0.5 * log(variance + 1e-5);
    tx_model_train_with(m, tx_optim_find("sgd"), sgd);
    tx_step step = {.tape = t, .rng = tx_rng_root(1), .rate = 0};
    tx_metrics out = {0};
    CHECK_OK(tx_model_step(m, &step, tx_matrix(x, ROWS, dim), &out));
    CHECK_NEAR(out.m[0].value, want, 10 * TOL * (1 + fabs(want)));
    CHECK_NEAR(part(m, layer, 0, "mean").x[0], 0.25 * mean, 10 * TOL * (1 + fabs(mean)));
    CHECK_NEAR(part(m, layer, 0, "variance").x[0], 0.75 + 0.25 * variance, 10 * TOL * (1 + variance));
    tx_tape_free(t), tx_model_free(m);
}

static void maf_batches(void) { batch_statistics("maf", "{hidden: [3], blocks: 1, keep: 0.75}", "block", 1); }

static void maf_refuses(void)
{
    tx_space space = space_of(D);
    tx_model *m = NULL;
    CHECK_INT(try_model(&m, "maf", &space, "{hidden: []}"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "0 layers");
    CHECK_TRUE(m == NULL);
}

/* ---- realnvp ---- */

typedef struct nvp_case {
    const char *text;
    int couplings, layers;
    double (*act)(double);
    bool norm, image;
} nvp_case;
static const nvp_case nvps[] = {
    {"{couplings: 3, hidden: [6, 5], batch_norm: false}", 3, 3, relu, false, false},
    {"{couplings: 2, hidden: [9], activation: tanh}", 2, 2, tanh, true, false},
    {"{couplings: 4, hidden: [4], batch_norm: false, split: checkerboard}", 4, 2, relu, false, true},
    {"{couplings: 1, hidden: [], split: checkerboard}", 1, 1, relu, true, true},
    {"{couplings: 0}", 0, 0, relu, false, false}};
static const nvp_case *this_nvp;

/* Of an image of 3 x 2 pixels the colours are 0 1 / 1 0 / 0 1. */
static int half_of(const tx_model *m, size_t j)
{
    static const int colour[] = {0, 1, 1, 0, 0, 1};
    return this_nvp->image ? colour[j / m->space->channel] : (int)(j % 2);
}

/* The network of coupling k from the coordinates of its half, in their order. */
static void couple(const tx_model *m, int k, const double z[], double out[])
{
    double h[16];
    size_t n = 0;
    for (size_t j = 0; j < m->space->dim; j++)
        if (half_of(m, j) == k % 2) h[n++] = z[j];
    for (int l = 0; l < this_nvp->layers; l++) {
        char w_name[16], b_name[16];
        snprintf(w_name, sizeof w_name, "w%d", l), snprintf(b_name, sizeof b_name, "b%d", l);
        tx_tensor w = part(m, "coupling", k, w_name), b = part(m, "coupling", k, b_name);
        for (size_t j = 0; j < tx_cols(w); j++) {
            out[j] = at(b, 0, j);
            for (size_t i = 0; i < n; i++) out[j] += h[i] * at(w, i, j);
        }
        n = tx_cols(w);
        for (size_t j = 0; j < n; j++) h[j] = this_nvp->act(out[j]);
    }
}

static double nvp_naive(const tx_model *m, const real x[], double z[])
{
    size_t d = m->space->dim;
    double sum = diagonal(m, x, z);
    for (int k = 0; k < (d > 1 ? this_nvp->couplings : 0); k++) {
        double out[16], b[D];
        size_t n = 0, i = 0;
        couple(m, k, z, out);
        for (size_t j = 0; j < d; j++) n += half_of(m, j) != k % 2;
        for (size_t j = 0; j < d; j++) {
            if (half_of(m, j) == k % 2) continue;
            double s = at(part(m, "coupling", k, "rescale"), 0, i) * tanh(out[i]);
            b[i] = z[j] * exp(s) + out[n + i], sum += s, i++;
        }
        if (this_nvp->norm) sum += normalise(m, "coupling", k, n, b);
        for (size_t j = i = 0; j < d; j++)
            if (half_of(m, j) != k % 2) z[j] = b[i++];
    }
    for (size_t j = 0; j < d; j++) sum += standard_logp(z[j]);
    return sum;
}

static void nvp_formula(void)
{
    static const size_t dims[] = {1, 2, D};
    for (size_t c = 0; c < TX_LEN(nvps); c++)
        for (size_t k = 0; k < TX_LEN(dims); k++) {
            tx_space space = space_of(nvps[c].image ? 6 : dims[k]);
            if (nvps[c].image) space.height = 3, space.width = 2, space.channel = 1;
            tx_model *m = model("realnvp", &space, nvps[c].text);
            shake(m, 0.35);
            this_nvp = &nvps[c];
            check_formula(m, nvp_naive);
            tx_model_free(m);
        }
}

static void nvp_start(void)
{
    check_start("realnvp", "{hidden: [9]}", 1);
    check_start("realnvp", "{hidden: [9], batch_norm: false}", 1);
}

static void nvp_batches(void) { batch_statistics("realnvp", "{hidden: [3], couplings: 1, keep: 0.75}", "coupling", 2); }

static void nvp_refuses(void)
{
    tx_space space = space_of(D);
    tx_model *m = NULL;
    CHECK_INT(try_model(&m, "realnvp", &space, "{split: checkerboard}"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "no images");
    CHECK_INT(try_model(&m, "realnvp", &space, "{hidden: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}"), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "16 layers");
    CHECK_TRUE(m == NULL);
}

/* y (I + N)^-1 against substitution; the rest of the matrix is never read. */
static void solves(void)
{
    static const size_t sizes[][2] = {{1, 1}, {3, 2}, {65, 7}, {130, 61}};
    for (size_t k = 0; k < TX_LEN(sizes); k++) {
        size_t n = sizes[k][0], d = sizes[k][1];
        real *upper = tx_alloc(d * d, sizeof *upper), *y = tx_alloc(n * d, sizeof *y);
        double *x = tx_alloc(n * d, sizeof *x);
        tx_rng_normal(tx_rng_root(3), 0, d * d, upper);
        tx_rng_normal(tx_rng_root(4), 0, n * d, y);
        for (size_t i = 0; i < d; i++)
            for (size_t j = 0; j < d; j++) upper[i * d + j] = j > i ? upper[i * d + j] / (real)d : (real)NAN;
        for (size_t i = 0; i < n * d; i++) {
            size_t row = i / d * d, j = i % d;
            x[i] = (double)y[i];
            for (size_t l = 0; l < j; l++) x[i] -= x[row + l] * (double)upper[l * d + j];
        }
        tx_solve_unit_upper(n, d, upper, y);
        for (size_t i = 0; i < n * d; i++) CHECK_NEAR(y[i], x[i], TOL * (1 + fabs(x[i])));
        free(upper), free(y), free(x);
    }
}

int main(void)
{
    static const tx_test tests[] = {
        {"triangles are solved", solves},
        {"ica: formula and inverse", ica_formula},
        {"ica: starts at the data's moments", ica_start},
        {"ica: codes of samples are draws of the source", ica_samples},
        {"ica: a source is its uniform's quantile", ica_quantiles},
        {"maf: formula and inverse", maf_formula},
        {"maf: starts at the data's moments", maf_start},
        {"maf: training normalises by the batch", maf_batches},
        {"maf: what cannot work is refused", maf_refuses},
        {"realnvp: formula, halves and inverse", nvp_formula},
        {"realnvp: starts at the data's moments", nvp_start},
        {"realnvp: training normalises by the batch", nvp_batches},
        {"realnvp: what cannot work is refused", nvp_refuses},
    };
    return tx_run_tests("flows", tests, TX_LEN(tests));
}
