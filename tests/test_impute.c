/* Missing data against enumeration, quadrature and closed forms. */
#include <gsl/gsl_linalg.h>
#include <stdlib.h>
#include "common/impute/impute.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

enum { MOST = 8 };
static const double TOL = sizeof(real) == 8 ? 1e-9 : 1e-5;

/* ---- a model with drawn weights, rows of its own, a question ---- */

typedef struct subject {
    tx_model *m;
    tx_space space;
    double mean[MOST], deviation[MOST];
    void *config;
} subject;

static tx_tensor weight(const subject *s, int net, const char *name)
{
    for (int k = 0; k < tx_params_count(s->m->net[net]); k++)
        if (strcmp(tx_params_name(s->m->net[net], (tx_param){k}), name) == 0)
            return tx_params_value(s->m->net[net], (tx_param){k});
    printf("no weight %s\n", name);
    abort();
}

static tx_rng stream(const char *name) { return tx_rng_named(tx_rng_root(33), name); }

static const tx_model_ops *find(const char *name)
{
    for (int k = 0; tx_model_list[k]; k++)
        if (strcmp(tx_model_list[k]->name, name) == 0) return tx_model_list[k];
    abort();
}

static void open_subject(subject *s, const char *name, bool on_reals, size_t dim, const char *text)
{
    const tx_model_ops *ops = find(name);
    *s = (subject){.config = tx_alloc(1, ops->config_size)};
    for (size_t j = 0; j < dim; j++) s->mean[j] = on_reals ? 0.3 : 0.2 + 0.07 * (double)j, s->deviation[j] = 1.2;
    s->space = (tx_space){.measure = on_reals ? TX_LEBESGUE : TX_COUNTING,
                          .levels = on_reals ? 0 : 2,
                          .dim = dim,
                          .n_train = 50,
                          .lower = on_reals ? -INFINITY : 0,
                          .upper = on_reals ? INFINITY : 1,
                          .mean = s->mean,
                          .deviation = s->deviation};
    if (strcmp(name, "pixelcnn") == 0) s->space.height = 2, s->space.width = dim / 2, s->space.channel = 1;
    CHECK_OK(tx_test_options(ops->options, s->config, text));
    CHECK_OK(tx_model_new(&s->m, ops, s->config, &s->space, 17));
    for (int k = 0; k < s->m->n_net; k++)
        for (int p = 0; p < tx_params_count(s->m->net[k]) && !tx_params_is_state(s->m->net[k]); p++) {
            tx_tensor w = tx_params_value(s->m->net[k], (tx_param){p});
            tx_rng r = tx_rng_fold(stream("weights"), (uint64_t)(16 * k + p));
            for (size_t i = 0; i < tx_len(w); i++) w.x[i] = (real)(0.8 * tx_rng_normal1(r, i));
        }
    if (strcmp(name, "gaussian") == 0)
        for (size_t i = 0; i < dim * dim; i++) {
            real *w = weight(s, 0, "whitening").x + i;
            *w = i % dim > i / dim ? 0 : i % dim == i / dim ? (real)(0.7 + fabs((double)*w)) : *w;
        }
    if (strcmp(name, "made_mog") == 0) /* not so wide that the tests' quadrature would miss a part */
        for (int k = 0; k < 2; k++) {
            tx_tensor w = weight(s, 0, k ? "w_log_sd" : "b_log_sd");
            for (size_t i = 0; i < tx_len(w); i++) w.x[i] *= (real)0.1;
        }
    if (strcmp(name, "chow_liu") == 0)
        for (size_t j = 0; j < dim; j++) weight(s, 1, "parent").x[j] = (real)(j ? (j * 5 + 2) % j : 0);
    if (strcmp(name, "chow_liu") == 0) weight(s, 0, "logit1").x[0] = weight(s, 0, "logit0").x[0];
}

static void close_subject(subject *s)
{
    tx_model_free(s->m);
    free(s->config);
}

typedef struct answer {
    tx_imputation q;
    real x[MOST * MOST];
    uint8_t missing[MOST];
} answer;

/* `set`: a character a variable, '?' missing. Rows: binary digits of the row's number times 37, or normals. */
static answer *ask(const subject *s, const char *set, size_t n, size_t n_sample)
{
    answer *a = tx_alloc(1, sizeof *a);
    size_t d = s->space.dim;
    for (size_t j = 0; j < MOST && set[j]; j++) a->missing[j] = set[j] == '?';
    for (size_t i = 0; i < n * d; i++)
        a->x[i] = (real)(s->space.levels ? (double)((((i / d + 1) * 37) >> (i % d)) & 1)
                                         : 0.3 + 0.9 * tx_rng_normal1(stream("rows"), i));
    a->q = (tx_imputation){.n = n, .n_sample = n_sample, .dim = d, .missing = a->missing, .x = a->x};
    a->q.sample = tx_alloc(n * n_sample * d, sizeof(real));
    a->q.log_likelihood = tx_alloc(3 * n, sizeof(double));
    a->q.std_error = a->q.log_likelihood + n, a->q.acceptance = a->q.std_error + n;
    return a;
}

static void free_answer(answer *a)
{
    free(a->q.sample), free(a->q.log_likelihood);
    free(a);
}

static void run(const subject *s, const char *method, const char *text, answer *a)
{
    const tx_impute_ops *o = tx_impute_find(method);
    char why[TX_TEXT_MAX];
    void *config = tx_alloc(1, o->config_size);
    CHECK_OK(tx_test_options(o->options, config, text));
    const char *unfit = o->unfit(s->m, a->missing, why);
    CHECK_TEXT(unfit ? unfit : "", "");
    CHECK_OK(tx_impute_run(o, config, s->m, stream("impute"), NULL, NULL, &a->q));
    free(config);
    for (size_t i = 0; i < a->q.n * a->q.n_sample; i++)
        for (size_t j = 0; j < a->q.dim; j++)
            if (!a->missing[j]) CHECK_TRUE(a->q.sample[i * a->q.dim + j] == a->x[i / a->q.n_sample * a->q.dim + j]);
}

static double log_p_of(const subject *s, real *x)
{
    double value;
    tx_tape *t = tx_tape_new(1 << 16);
    tx_model_evaluate(s->m, t, TX_SCORE_LOG_PROB, tx_rng_root(0), 0, tx_matrix(x, 1, s->space.dim), &value);
    tx_tape_free(t);
    return value;
}

static size_t state_of(const answer *a, const real x[])
{
    size_t state = 0, bit = 0;
    for (size_t j = 0; j < a->q.dim; j++)
        if (a->missing[j]) state |= (size_t)x[j] << bit++;
    return state;
}

/* p[state of x_m] of a row by enumeration of exp(log_p); returns how many there are. */
static size_t conditional_table(const subject *s, const answer *a, size_t row,
                                double (*log_p)(const subject *s, real *x), double p[])
{
    size_t n = (size_t)1 << tx_missing_count(a->q.dim, a->missing);
    double sum = 0;
    real x[MOST];
    for (size_t k = 0; k < n; k++) {
        for (size_t j = 0, bit = 0; j < a->q.dim; j++)
            x[j] = a->missing[j] ? (real)((k >> bit++) & 1) : a->x[row * a->q.dim + j];
        sum += p[k] = exp(log_p(s, x));
    }
    for (size_t k = 0; k < n; k++) p[k] /= sum;
    return n;
}

/* Frequencies of every row's samples at 5 sigma, and, where asked, the likelihood. */
static void check_binary(const subject *s, const answer *a, double (*log_p)(const subject *s, real *x), bool likelihood)
{
    double p[1 << MOST], count[1 << MOST];
    for (size_t row = 0; row < a->q.n; row++) {
        size_t n = conditional_table(s, a, row, log_p, p);
        const real *own = a->x + row * a->q.dim;
        if (likelihood) CHECK_NEAR(a->q.log_likelihood[row], log(p[state_of(a, own)]), TOL);
        memset(count, 0, sizeof count);
        for (size_t k = 0; k < a->q.n_sample; k++)
            count[state_of(a, a->q.sample + (row * a->q.n_sample + k) * a->q.dim)]++;
        double all = (double)a->q.n_sample;
        for (size_t k = 0; k < n; k++) CHECK_NEAR(count[k] / all, p[k], 5 * sqrt(p[k] * (1 - p[k]) / all) + 1 / all);
    }
}

static void check_model(const char *name, const char *text, const char *set, const char *method, const char *options,
                        bool likelihood)
{
    subject s;
    open_subject(&s, name, false, strlen(set), text);
    answer *a = ask(&s, set, 3, 4000);
    run(&s, method, options, a);
    check_binary(&s, a, log_p_of, likelihood);
    CHECK_INT(a->q.kind, likelihood ? TX_EXACT : TX_ESTIMATE);
    CHECK_TEXT(a->q.evaluated_model, "model");
    free_answer(a);
    close_subject(&s);
}

/* ---- exact ---- */

static void test_exact_binary(void)
{
    static const struct {
        const char *model, *options, *set;
    } cases[] = {
        {"fvbn", "{}", "0000???"},
        {"made", "{hidden: [7]}", "000????"},
        {"made", "{hidden: [8, 6], direct: true, activation: tanh}", "00000??"},
        {"made", "{hidden: [8, 5], degrees: random, masks: 3}", "000????"},
        {"nade", "{hidden: [6]}", "0000???"},
        {"nade", "{hidden: [6], order: agnostic}", "0000???"},
        {"wavenet", "{features: 4, skip: 5, layers: 2, hidden: 5}", "0000???"},
        {"pixelcnn", "{features: 4, layers: 2, first_kernel: 5, hidden: 5}", "0000????"},
        {"independent", "{}", "0?0??0?"},
        {"chow_liu", "{}", "0?0??0?"},
        {"chow_liu", "{}", "?00????"},
        {"mixture", "{components: 3}", "?0?00??"},
    };
    for (size_t k = 0; k < TX_LEN(cases); k++)
        check_model(cases[k].model, cases[k].options, cases[k].set, "exact", "{}", true);
}

/* The order of a "structure" net: the missing variables are its last three. */
static void test_drawn_orders(void)
{
    static const char *const options[] = {"{hidden: [7], order: random, mask_seed: 5}",
                                          "{order: random, order_seed: 3}"};
    static const char *const name[] = {"made", "fvbn"};
    for (size_t k = 0; k < TX_LEN(name); k++) {
        subject s;
        open_subject(&s, name[k], false, 7, options[k]);
        const real *place = weight(&s, 1, "place").x;
        char set[MOST] = "0000000", wrong[MOST] = "0000000";
        for (size_t j = 0; j < 7; j++) set[j] = place[j] > 4 ? '?' : '0', wrong[j] = place[j] < 4 ? '?' : '0';
        answer *a = ask(&s, set, 3, 4000), *b = ask(&s, wrong, 1, 1);
        run(&s, "exact", "{}", a);
        check_binary(&s, a, log_p_of, true);
        char why[TX_TEXT_MAX];
        CHECK_HAS(tx_impute_find("exact")->unfit(s.m, b->missing, why), "not the last ones of the model's order");
        CHECK_TEXT(tx_impute_choose(s.m, b->missing, why)->name, "enumerate");
        free_answer(a), free_answer(b);
        close_subject(&s);
    }
}

/* Several orders, of which some end with the missing variables: the mixture of those. */
enum { ORDERS = 60 };
static uint8_t usable[ORDERS];
static double log_usable(const subject *s, real *x)
{
    tx_tape *t = tx_tape_new(1 << 16);
    double sum = 0;
    for (uint64_t k = 0; k < s->m->ops->n_ordering(s->m); k++) {
        if (!usable[k]) continue;
        tx_model_bind(s->m, t);
        sum += exp((double)s->m->ops->log_prob_along(s->m, t, k, tx_leaf(t, tx_matrix(x, 1, s->space.dim)))->v.x[0]);
    }
    tx_tape_free(t);
    return log(sum);
}

static void test_some_orders(void)
{
    subject s;
    open_subject(&s, "made", false, 5, "{hidden: [9], order: random, masks: 60}");
    answer *a = ask(&s, "00???", 3, 20000);
    const real *place = weight(&s, 1, "place").x;
    size_t n = 0;
    for (size_t k = 0; k < ORDERS; k++) n += usable[k] = place[5 * k] < 3 && place[5 * k + 1] < 3;
    CHECK_TRUE(n > 1 && n < ORDERS);
    run(&s, "exact", "{}", a);
    check_binary(&s, a, log_usable, true);
    char part[64];
    snprintf(part, sizeof part, "those %zu of the model's 60 orders", n);
    CHECK_HAS(a->q.evaluated_model, part);
    free_answer(a);
    close_subject(&s);
}

/* A net for all orders, by hand: the conditional of a variable given those that are seen. */
static double naive_logit(const subject *s, const real x[], const uint8_t seen[], size_t var)
{
    tx_tensor w = weight(s, 0, "w"), v = weight(s, 0, "v");
    size_t d = s->space.dim, h = tx_cols(w);
    double sum = (double)weight(s, 0, "b").x[var];
    for (size_t k = 0; k < h; k++) {
        double z = (double)weight(s, 0, "c").x[k];
        for (size_t j = 0; j < d; j++)
            if (seen[j]) z += (double)x[j] * (double)w.x[j * h + k] + (double)w.x[(d + j) * h + k];
        sum += fmax(z, 0) * (double)v.x[var * h + k];
    }
    return sum;
}

static const uint8_t *naive_missing;
static double log_observed_first(const subject *s, real *x)
{
    uint8_t seen[MOST];
    double sum = 0;
    for (size_t j = 0; j < s->space.dim; j++) seen[j] = !naive_missing[j];
    for (size_t j = 0; j < s->space.dim; j++) {
        if (!naive_missing[j]) continue;
        double l = naive_logit(s, x, seen, j);
        sum -= log1p(exp(x[j] > 0 ? -l : l));
        seen[j] = 1;
    }
    return sum;
}

static void test_agnostic(void)
{
    subject s;
    open_subject(&s, "nade", false, 7, "{hidden: [9], order: agnostic}");
    answer *a = ask(&s, "?0?00?0", 3, 4000);
    naive_missing = a->missing;
    run(&s, "exact", "{}", a);
    check_binary(&s, a, log_observed_first, true);
    CHECK_HAS(a->q.evaluated_model, "observed variables first");
    free_answer(a);
    close_subject(&s);
}

static void test_enumerate(void)
{
    check_model("made", "{hidden: [7]}", "?0?0??0", "enumerate", "{}", true);
    check_model("made", "{hidden: [7], order: random, masks: 3}", "?0?0??0", "enumerate", "{}", true);
}

/* ---- real values ---- */

/* Share of the conditional of the one missing coordinate below `at`, and log p of the row in it, by the midpoint rule.
 */
static double share_below(const subject *s, const answer *a, size_t row, double at, double *log_own)
{
    enum { N = 4000 };
    double below = 0, all = 0, h = 30.0 / N;
    real x[MOST];
    size_t d = a->q.dim, q = 0;
    while (!a->missing[q]) q++;
    memcpy(x, a->x + row * d, d * sizeof *x);
    double own = log_p_of(s, x);
    for (int k = 0; k < N; k++) {
        double v = -15 + h * (k + 0.5);
        x[q] = (real)v;
        double p = exp(log_p_of(s, x)) * h;
        all += p;
        if (v < at) below += p;
    }
    *log_own = own - log(all);
    return below / all;
}

/* One missing coordinate: the likelihood to `tol`, the share of samples below three points at 5 sigma. */
static void check_one_real(const subject *s, const char *set, const char *method, const char *options, double tol)
{
    answer *a = ask(s, set, 2, 2000);
    size_t d = a->q.dim, q = (size_t)(strchr(set, '?') - set);
    run(s, method, options, a);
    for (size_t row = 0; row < a->q.n; row++)
        for (int k = -1; k <= 1; k++) {
            double at = 0.4 + 0.8 * k, own, p = share_below(s, a, row, at, &own), below = 0, n = (double)a->q.n_sample;
            for (size_t i = row * a->q.n_sample; i < (row + 1) * a->q.n_sample; i++)
                below += (double)a->q.sample[i * d + q] < at;
            CHECK_NEAR(below / n, p, 5 * sqrt(p * (1 - p) / n) + 2e-3);
            CHECK_NEAR(a->q.log_likelihood[row], own, tol);
        }
    free_answer(a);
}

static void test_one_real(void)
{
    static const struct {
        const char *model, *options, *set;
    } cases[] = {
        {"gaussian", "{}", "0?0"},
        {"independent", "{}", "?00"},
        {"mixture", "{components: 3}", "0?0"},
        {"made_mog", "{hidden: [6], components: 2}", "00?"},
    };
    double tol = sizeof(real) == 8 ? 1e-6 : 3e-5;
    for (size_t k = 0; k < TX_LEN(cases); k++) {
        subject s;
        open_subject(&s, cases[k].model, true, 3, cases[k].options);
        check_one_real(&s, cases[k].set, "exact", "{}", tol);
        if (k != 1) check_one_real(&s, cases[k].set, "hmc", "{steps: 60, leapfrog: 12}", 100 * tol);
        close_subject(&s);
    }
}

static void test_flow(void)
{
    subject s;
    open_subject(&s, "nice", true, 4, "{hidden: [6], couplings: 4}");
    check_one_real(&s, "00?0", "hmc", "{steps: 60, leapfrog: 12}", 1e-3);
    close_subject(&s);
}

/* Mean [2] and covariance [4] of the two missing coordinates of N(mean, S) given the others of a row. */
static void schur(const gsl_matrix *S, const double mean[], const answer *a, size_t row, double m[2], double c[4])
{
    size_t d = a->q.dim, miss[2], seen[MOST], n = 0, k = 0;
    for (size_t j = 0; j < d; j++)
        if (a->missing[j])
            miss[k++] = j;
        else
            seen[n++] = j;
    gsl_matrix *o = gsl_matrix_alloc(n, n);
    for (size_t i = 0; i < n * n; i++) o->data[i] = gsl_matrix_get(S, seen[i / n], seen[i % n]);
    gsl_linalg_cholesky_decomp1(o);
    gsl_vector *b = gsl_vector_alloc(n), *y = gsl_vector_alloc(n);
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < n; j++) gsl_vector_set(b, j, gsl_matrix_get(S, seen[j], miss[i]));
        gsl_linalg_cholesky_solve(o, b, y);
        m[i] = mean[miss[i]];
        for (size_t j = 0; j < n; j++) m[i] += gsl_vector_get(y, j) * ((double)a->x[row * d + seen[j]] - mean[seen[j]]);
        for (size_t l = 0; l < 2; l++) {
            c[2 * i + l] = gsl_matrix_get(S, miss[i], miss[l]);
            for (size_t j = 0; j < n; j++) c[2 * i + l] -= gsl_vector_get(y, j) * gsl_matrix_get(S, seen[j], miss[l]);
        }
    }
    gsl_matrix_free(o), gsl_vector_free(b), gsl_vector_free(y);
}

static void check_two_normals(const answer *a, const gsl_matrix *S, const double mean[], bool exact)
{
    size_t d = a->q.dim, miss[2], k = 0;
    for (size_t j = 0; j < d; j++)
        if (a->missing[j]) miss[k++] = j;
    for (size_t row = 0; row < a->q.n; row++) {
        double m[2], c[4], got[2] = {0}, second[4] = {0}, n = (double)a->q.n_sample;
        schur(S, mean, a, row, m, c);
        for (size_t i = row * a->q.n_sample; i < (row + 1) * a->q.n_sample; i++)
            for (size_t p = 0; p < 2; p++) {
                double off = (double)a->q.sample[i * d + miss[p]] - m[p];
                got[p] += off / n;
                for (size_t l = 0; l < 2; l++)
                    second[2 * p + l] += off * ((double)a->q.sample[i * d + miss[l]] - m[l]) / n;
            }
        for (size_t p = 0; p < 2; p++) {
            CHECK_NEAR(got[p], 0, 5 * sqrt(c[3 * p] / n));
            for (size_t l = 0; l < 2; l++)
                CHECK_NEAR(second[2 * p + l], c[2 * p + l], 5 * sqrt((c[3 * p] * c[3 * l] + c[1] * c[1]) / n));
        }
        double det = c[0] * c[3] - c[1] * c[2], u = (double)a->x[row * d + miss[0]] - m[0];
        double v = (double)a->x[row * d + miss[1]] - m[1];
        double log_p = -log(2 * M_PI) - 0.5 * log(det) - 0.5 * (c[3] * u * u - 2 * c[1] * u * v + c[0] * v * v) / det;
        if (exact) CHECK_NEAR(a->q.log_likelihood[row], log_p, 10 * TOL);
        if (!exact && isfinite(a->q.std_error[row])) {
            CHECK_NEAR(a->q.log_likelihood[row], log_p, 5 * a->q.std_error[row]);
            CHECK_TRUE(a->q.std_error[row] < 0.1);
        }
    }
}

/* (W'W)^-1 */
static gsl_matrix *covariance_of(const subject *s)
{
    size_t d = s->space.dim;
    gsl_matrix *S = gsl_matrix_calloc(d, d);
    const real *w = weight(s, 0, "whitening").x;
    for (size_t i = 0; i < d * d * d; i++)
        *gsl_matrix_ptr(S, i / d / d, i / d % d) += (double)w[i % d * d + i / d / d] * (double)w[i % d * d + i / d % d];
    gsl_linalg_cholesky_decomp1(S);
    gsl_linalg_cholesky_invert(S);
    return S;
}

static void test_gaussian(void)
{
    subject s;
    open_subject(&s, "gaussian", true, 5, "{}");
    double mean[MOST];
    for (size_t j = 0; j < 5; j++) mean[j] = (double)weight(&s, 0, "mean").x[j];
    gsl_matrix *S = covariance_of(&s);
    answer *a = ask(&s, "??000", 3, 20000), *b = ask(&s, "0?0?0", 2, 2000);
    run(&s, "exact", "{}", a);
    check_two_normals(a, S, mean, true);
    run(&s, "hmc", "{steps: 100, leapfrog: 12}", b);
    check_two_normals(b, S, mean, false);
    CHECK_TRUE(isnan(b->q.log_likelihood[0]) && b->q.chains);
    CHECK_HAS(b->q.none, "2 missing coordinates");
    CHECK_TRUE(b->q.acceptance[0] > 0.5 && b->q.acceptance[0] <= 1);
    gsl_matrix_free(S), free_answer(a), free_answer(b);
    close_subject(&s);
}

/* A linear decoder with fixed noise: x ~ N(b, A'A + sigma^2 I). The encoder's mean and variance are those of the
 * posterior, N(V A (x - b) / sigma^2, V) with V = (I + A A' / sigma^2)^-1, but for an error that only the Metropolis
 * step makes good. */
static void test_linear_vae(void)
{
    subject s;
    open_subject(&s, "vae", true, 5, "{latent: 2, hidden: [], variance: fixed, sigma: 0.7}");
    const real *A = tx_params_value(s.m->net[1], (tx_param){0}).x, *b = tx_params_value(s.m->net[1], (tx_param){1}).x;
    real *w = tx_params_value(s.m->net[0], (tx_param){0}).x, *c = tx_params_value(s.m->net[0], (tx_param){1}).x;
    gsl_matrix *S = gsl_matrix_calloc(5, 5);
    double mean[MOST], noise = 0.49, P[3] = {1, 0, 1};
    for (size_t i = 0; i < 25; i++)
        S->data[i] = (i / 5 == i % 5 ? noise : 0) + (double)(A[i / 5] * A[i % 5] + A[5 + i / 5] * A[5 + i % 5]);
    for (size_t j = 0; j < 5; j++) {
        double u = (double)A[j], v = (double)A[5 + j];
        mean[j] = (double)b[j], P[0] += u * u / noise, P[1] += u * v / noise, P[2] += v * v / noise;
    }
    double det = P[0] * P[2] - P[1] * P[1], V[4] = {P[2] / det, -P[1] / det, -P[1] / det, P[0] / det};
    for (size_t k = 0; k < 4; k++) c[k] = k < 2 ? 0 : (real)(log(V[3 * (k - 2)]) + 0.7);
    for (size_t j = 0; j < 5; j++)
        for (size_t k = 0; k < 4; k++) {
            double gain = k < 2 ? (V[2 * k] * (double)A[j] + V[2 * k + 1] * (double)A[5 + j]) / noise : 0;
            w[4 * j + k] = (real)(0.9 * gain), c[k] -= (real)(gain * mean[j]);
        }
    answer *a = ask(&s, "?0?00", 3, 2000);
    run(&s, "latent", "{steps: 200, warm: 20, n_importance: 20000}", a);
    check_two_normals(a, S, mean, false);
    CHECK_TRUE(a->q.acceptance[0] > 0.05 && a->q.acceptance[0] < 0.95);
    gsl_matrix_free(S), free_answer(a);
    close_subject(&s);
}

/* ---- chains on binary values ---- */

static void test_gibbs(void)
{
    check_model("made", "{hidden: [7]}", "?0?0??0", "gibbs", "{steps: 30}", false);
    check_model("nade", "{hidden: [6]}", "?00??00", "gibbs", "{steps: 30}", false);
}

/* p(v) of a restricted Boltzmann machine, up to a constant. */
static double log_rbm(const subject *s, real *x)
{
    double value;
    tx_tape *t = tx_tape_new(1 << 16);
    tx_model_evaluate(s->m, t, TX_SCORE_UNNORMALISED, tx_rng_root(0), 0, tx_matrix(x, 1, s->space.dim), &value);
    tx_tape_free(t);
    return value;
}

static void test_boltzmann(void)
{
    subject s;
    open_subject(&s, "rbm", false, 7, "{hidden: 5}");
    answer *a = ask(&s, "?0?0??0", 3, 4000), *b = ask(&s, "?0?0??0", 3, 4000);
    run(&s, "gibbs", "{steps: 40}", a);
    check_binary(&s, a, log_rbm, false);
    CHECK_NEAR(a->q.acceptance[0], 1, 1e-12);
    run(&s, "enumerate", "{}", b);
    check_binary(&s, b, log_rbm, true);
    free_answer(a), free_answer(b);
    close_subject(&s);
}

/* Of real units, v given h is normal: moments against Hamiltonian chains of the same density. */
static void test_real_boltzmann(void)
{
    subject s;
    open_subject(&s, "rbm", true, 4, "{hidden: 5}");
    answer *a = ask(&s, "0?0?", 1, 4000), *b = ask(&s, "0?0?", 1, 4000);
    run(&s, "gibbs", "{steps: 60}", a);
    run(&s, "hmc", "{steps: 80, leapfrog: 12}", b);
    for (size_t j = 1; j < 4; j += 2)
        for (double at = -1; at < 2; at++) {
            double below[2] = {0};
            for (size_t i = 0; i < 4000; i++) {
                below[0] += (double)a->q.sample[4 * i + j] < at;
                below[1] += (double)b->q.sample[4 * i + j] < at;
            }
            double p = (below[0] + below[1]) / 8000;
            CHECK_NEAR(below[0] / 4000, below[1] / 4000, 5 * sqrt(2 * p * (1 - p) / 4000) + 1e-3);
        }
    free_answer(a), free_answer(b);
    close_subject(&s);
}

/* p(x) of a VAE with one latent by the midpoint rule. */
static double log_vae(const subject *s, real *x)
{
    enum { N = 400 };
    tx_tape *t = tx_tape_new(1 << 16);
    tx_model_bind(s->m, t);
    tx_tensor z = tx_tape_tensor(t, N, 1);
    for (int k = 0; k < N; k++) z.x[k] = (real)(-8 + 16 * (k + 0.5) / N);
    tx_var row = tx_tile_rows(t, tx_leaf(t, tx_matrix(x, 1, s->space.dim)), N);
    tx_var y = s->m->ops->log_observation(s->m, t, row, tx_leaf(t, z));
    double sum = 0;
    for (int k = 0; k < N; k++) sum += exp((double)y->v.x[k] - 0.5 * pow((double)z.x[k], 2));
    tx_tape_free(t);
    return log(sum);
}

static void test_binary_vae(void)
{
    subject s;
    open_subject(&s, "vae", false, 6, "{latent: 1, hidden: [5]}");
    real *encoder = tx_params_block(s.m->net[0]).x;
    for (size_t i = 0; i < tx_len(tx_params_block(s.m->net[0])); i++) encoder[i] *= (real)0.5;
    answer *a = ask(&s, "?0??00", 3, 4000);
    run(&s, "latent", "{steps: 100, warm: 10, n_importance: 20000}", a);
    check_binary(&s, a, log_vae, false);
    double p[1 << MOST];
    for (size_t row = 0; row < a->q.n; row++) {
        conditional_table(&s, a, row, log_vae, p);
        CHECK_NEAR(a->q.log_likelihood[row], log(p[state_of(a, a->x + row * 6)]), 5 * a->q.std_error[row]);
        CHECK_TRUE(a->q.std_error[row] < 0.1);
    }
    free_answer(a);
    close_subject(&s);
}

/* ---- the same for every number of threads, and whatever else is asked ---- */

static void test_threads(void)
{
    static const struct {
        const char *model, *options, *set, *method, *of_method;
        bool on_reals;
    } cases[] = {
        {"made", "{hidden: [8, 5], degrees: random, masks: 3}", "000????", "exact", "{}", false},
        {"nade", "{hidden: [6], order: agnostic}", "?0?0??0", "exact", "{}", false},
        {"gaussian", "{}", "0?0??", "exact", "{}", true},
        {"made", "{hidden: [7]}", "?0?0??0", "enumerate", "{}", false},
        {"made", "{hidden: [7]}", "?0?0??0", "gibbs", "{steps: 3}", false},
        {"nice", "{hidden: [6], couplings: 4}", "0?00", "hmc", "{steps: 4, n_grid: 50}", true},
        {"vae", "{latent: 2, hidden: [5]}", "0?0??", "latent", "{steps: 4, warm: 1, n_importance: 600}", true},
    };
    int before = tx_threads();
    for (size_t k = 0; k < TX_LEN(cases); k++) {
        subject s;
        open_subject(&s, cases[k].model, cases[k].on_reals, strlen(cases[k].set), cases[k].options);
        answer *one = ask(&s, cases[k].set, 5, 70);
        tx_threads_set(1);
        run(&s, cases[k].method, cases[k].of_method, one);
        for (int n = 2; n <= 4; n += 2) {
            answer *many = ask(&s, cases[k].set, 5, 70);
            tx_threads_set(n);
            run(&s, cases[k].method, cases[k].of_method, many);
            CHECK_INT(memcmp(one->q.sample, many->q.sample, 5 * 70 * one->q.dim * sizeof(real)), 0);
            CHECK_INT(memcmp(one->q.log_likelihood, many->q.log_likelihood, 15 * sizeof(double)), 0);
            free_answer(many);
        }
        free_answer(one);
        close_subject(&s);
    }
    tx_threads_set(before);
}

/* ---- refusals ---- */

static void test_unfit(void)
{
    static const struct {
        const char *model, *options, *set, *method, *why;
        bool on_reals;
    } cases[] = {
        {"made", "{hidden: [7]}", "?0?0??0", "exact", "not the last ones of the model's order", false},
        {"made", "{hidden: [7], order: random, masks: 3}", "?0??0", "exact", "not the last ones of any", false},
        {"vae", "{hidden: [7]}", "?0?0??0", "exact", "no conditionals of its own", false},
        {"vae", "{hidden: [7]}", "?0?0??0", "enumerate", "no density", false},
        {"vae", "{hidden: [7]}", "?0?0??0", "gibbs", "no density", false},
        {"made", "{hidden: [7]}", "?0?0??0", "hmc", "not real", false},
        {"made", "{hidden: [7]}", "?0?0??0", "latent", "no latent variables", false},
        {"gan", "{}", "0?0", "latent", "no encoder", true},
        {"gaussian", "{}", "0?0", "enumerate", "real, not to be enumerated", true},
        {"gaussian", "{}", "0?0", "gibbs", "not binary", true},
        {"gan", "{}", "0?0", "hmc", "no density", true},
    };
    for (size_t k = 0; k < TX_LEN(cases); k++) {
        subject s;
        char why[TX_TEXT_MAX];
        open_subject(&s, cases[k].model, cases[k].on_reals, strlen(cases[k].set), cases[k].options);
        answer *a = ask(&s, cases[k].set, 1, 1);
        CHECK_HAS(tx_impute_find(cases[k].method)->unfit(s.m, a->missing, why), cases[k].why);
        free_answer(a);
        close_subject(&s);
    }
    subject s;
    open_subject(&s, "gan", true, 3, "{}");
    answer *a = ask(&s, "0?0", 1, 1);
    char why[TX_TEXT_MAX];
    CHECK_TRUE(tx_impute_choose(s.m, a->missing, why) == NULL);
    CHECK_HAS(why, "hmc: the model has no density");
    free_answer(a);
    close_subject(&s);
    open_subject(&s, "vae", true, 3, "{}");
    a = ask(&s, "0?0", 1, 1);
    int config[3] = {10, 10, 100};
    CHECK_INT(tx_impute_run(tx_impute_find("latent"), config, s.m, stream("impute"), NULL, NULL, &a->q), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "warm is 10 of 10 steps");
    config[0] = 1, config[1] = 0;
    CHECK_INT(tx_impute_run(tx_impute_find("latent"), config, s.m, stream("impute"), NULL, NULL, &a->q), TX_ECONFIG);
    free_answer(a);
    close_subject(&s);
}

int main(void)
{
    static const tx_test tests[] = {
        {"exact against enumeration", test_exact_binary},
        {"drawn orders", test_drawn_orders},
        {"several orders, of which some can", test_some_orders},
        {"a net for all orders, observed first", test_agnostic},
        {"enumeration against enumeration", test_enumerate},
        {"one real coordinate against quadrature", test_one_real},
        {"a flow against quadrature", test_flow},
        {"a Gaussian against Schur's complement", test_gaussian},
        {"a linear VAE against Schur's complement", test_linear_vae},
        {"Gibbs sampling against enumeration", test_gibbs},
        {"a Boltzmann machine against enumeration", test_boltzmann},
        {"a Boltzmann machine of real units, two ways", test_real_boltzmann},
        {"a VAE against enumeration and quadrature", test_binary_vae},
        {"threads", test_threads},
        {"what does not apply", test_unfit},
    };
    return tx_run_tests("impute", tests, (int)TX_LEN(tests));
}
