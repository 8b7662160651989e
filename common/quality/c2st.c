/* Classifier two-sample test (Lopez-Paz & Oquab 2017): of n samples and n real rows a random half of each trains a
 * classifier to tell them apart, and its accuracy on the 2m rows of the other halves is held against 1/2. Between equal
 * laws the number of right answers is, for whatever classifier, at most as variable as a binomial with p = 1/2, whose
 * tail is the p-value. */
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/quality/classifier.h"
#include "common/quality/metric.h"

enum { MLP, KNN };
typedef struct c2st_config {
    tx_metric_common common;
    tx_feature_config features;
    int classifier;
    tx_classifier_config net;
} c2st_config;
#define AT(field) offsetof(c2st_config, field)
static const tx_option options[] = {
    {"n_sample", TX_OPT_INT, AT(common.n_sample), "1000", 10, 20000, NULL,
     "samples of the model, and real rows; fewer where test or train have fewer", NULL},
    TX_FEATURE_OPTIONS(AT(features), "pca"),
    {"classifier", TX_OPT_CHOICE, AT(classifier), "mlp", 0, 0, "mlp|knn",
     "a perceptron, or the vote of the nearest rows, as many as the root of the training rows",
     "Lopez-Paz & Oquab 2017"},
    {"hidden", TX_OPT_INTS, AT(net.hidden), "[64]", 1, 4096, NULL, "units of each hidden layer of the perceptron",
     "20: Lopez-Paz & Oquab 2017"},
    {"epochs", TX_OPT_INT, AT(net.epochs), "50", 1, 100000, NULL, "passes over the rows that train the perceptron",
     "100: Lopez-Paz & Oquab 2017"},
    {"batch", TX_OPT_INT, AT(net.batch), "100", 1, 100000, NULL, "rows a step", NULL},
    {"learning_rate", TX_OPT_REAL, AT(net.learning_rate), "1e-3", 0, 1e12, NULL,
     "step size of Adam at the start; it falls to 0 along a cosine", NULL},
    {0}};

static const char *unfit(const void *config, const tx_view *v)
{
    const c2st_config *c = config;
    const char *why = tx_classifier_unfit(&c->net.hidden);
    return why ? why : tx_feature_unfit(&c->features, v);
}

/* Rows of both sides in an order that mixes them: the first halves of each side, then the others. */
typedef struct rows {
    size_t n[2]; /* that train; that are told apart */
    tx_points of[2];
    uint8_t *label[2];
} rows;

static void split(rows *s, const tx_points side[2], tx_rng r)
{
    size_t n = side[0].n, dim = side[0].dim, half = n / 2;
    uint32_t *order = tx_alloc(n, sizeof *order);
    for (int part = 0; part < 2; part++) {
        s->n[part] = 2 * (part ? n - half : half);
        s->of[part] = (tx_points){s->n[part], dim, tx_alloc(s->n[part] * dim, sizeof(real)),
                                  tx_alloc(s->n[part], sizeof(double))};
        s->label[part] = tx_alloc(s->n[part], 1);
    }
    for (int k = 0; k < 2; k++) {
        tx_rng_permutation(tx_rng_fold(r, (uint64_t)k), n, order);
        for (size_t i = 0; i < n; i++) {
            int part = i >= half;
            size_t from = order[i], to = (part ? i - half : i) * 2 + (size_t)k;
            memcpy(s->of[part].x + to * dim, side[k].x + from * dim, dim * sizeof(real));
            s->of[part].square[to] = side[k].square[from];
            s->label[part][to] = (uint8_t)k;
        }
    }
    free(order);
}

/* NAN where a weight of the perceptron is no longer finite. */
static double by_net(const c2st_config *c, const rows *s, tx_rng r)
{
    tx_classifier *net = tx_classifier_train(&c->net, s->of[0].dim, 2, s->n[0], s->of[0].x, s->label[0], r);
    if (!net) return NAN;
    double share = tx_classifier_accuracy(net, s->n[1], s->of[1].x, s->label[1]);
    tx_classifier_free(net);
    return share;
}

typedef struct neighbour {
    real distance;
    uint32_t row;
} neighbour;

static int nearer(const void *a, const void *b)
{
    const neighbour *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static double by_neighbours(const c2st_config *c, const rows *s, tx_rng r)
{
    (void)c, (void)r;
    size_t n = s->n[0], k = (size_t)sqrt((double)n) | 1, right = 0; /* odd: no ties */
    real *d = tx_points_distance(&s->of[1], &s->of[0]);
    neighbour *all = tx_alloc(n, sizeof *all);
    for (size_t i = 0; i < s->n[1]; i++) {
        size_t ones = 0;
        for (size_t j = 0; j < n; j++) all[j] = (neighbour){d[i * n + j], (uint32_t)j};
        qsort(all, n, sizeof *all, nearer);
        for (size_t j = 0; j < k; j++) ones += s->label[0][all[j].row];
        right += (ones > k / 2) == s->label[1][i];
    }
    free(d), free(all);
    return (double)right / (double)s->n[1];
}

/* P(Bin(m, 1/2) >= right). */
static double tail(double right, double m)
{
    if (isnan(right)) return NAN;
    return right > 0 ? gsl_cdf_binomial_Q((unsigned)right - 1, 0.5, (unsigned)m) : 1;
}

static tx_status run(const void *config, tx_quality *q, size_t n, const real *x, tx_rng r, const tx_numbers *real_ones,
                     tx_numbers *out)
{
    static double (*const classify[])(const c2st_config *c, const rows *s,
                                      tx_rng r) = {[MLP] = by_net, [KNN] = by_neighbours};
    const c2st_config *c = config;
    tx_points side[2] = {tx_quality_points(q, &c->features, n, x), tx_quality_real_points(q, &c->features, TX_TEST, n)};
    rows s;
    split(&s, side, tx_rng_named(r, "halves"));
    double share = classify[c->classifier](c, &s, tx_rng_named(r, "classifier")), m = (double)s.n[1];
    for (int k = 0; k < 2; k++) tx_points_free(&side[k]), tx_points_free(&s.of[k]), free(s.label[k]);
    double right = round(share * m);
    char where[TX_NAME_MAX], words[TX_NAME_MAX + 64];
    snprintf(words, sizeof words, "accuracy of a classifier of samples and test rows, %s",
             tx_feature_words(q, &c->features, where));
    tx_numbers_add_error(out, "", "1", share, sqrt(share * (1 - share) / m), words);
    tx_numbers_add(out, "p_value", "1", tail(right, m), "chance of so many right answers by coin flips");
    tx_feature_note(q, &c->features, real_ones, out);
    return TX_OK;
}

extern const tx_metric_ops tx_metric_c2st;
const tx_metric_ops tx_metric_c2st = {
    .name = "c2st",
    .summary = "accuracy of a classifier that tells samples from test rows, and the p-value of its being more than 1/2",
    .citation = "lopezpaz2017revisiting",
    .config_size = sizeof(c2st_config),
    .options = options,
    .stand_in = TX_TRAIN,
    .unfit = unfit,
    .run = run};
