/* Errors in telling labels when few are known (Kingma et al. 2014, section 2.1, model M1; Salimans et al. 2016): from
 * what a model has made of all rows without labels, an encoder's means mu(x), by a perceptron trained on the labelled
 * rows'; or by the model's own answer, if it was trained with labels. Beside it the same perceptron on the labelled
 * rows themselves: what unlabelled rows are worth is the difference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/quality/metric.h"

typedef struct classification_config {
    int n_label, n_step;
    double learning_rate;
    tx_ints hidden;
} classification_config;
#define FIELD(f) offsetof(classification_config, f)
static const tx_option options[] = {
    {"n_label", TX_OPT_INT, FIELD(n_label), "100", 2, 1000000000, NULL,
     "training rows whose labels are known, as many a class, others for each seed; of a model trained with labels "
     "its own number only",
     NULL},
    {"hidden", TX_OPT_INTS, FIELD(hidden), "[256, 64]", 1, 65536, NULL, "hidden layers of the perceptron", NULL},
    {"n_step", TX_OPT_INT, FIELD(n_step), "1000", 1, 100000000, NULL,
     "steps of its training, in batches of 100 rows at most", NULL},
    {"learning_rate", TX_OPT_REAL, FIELD(learning_rate), "1e-3", 0, 1e6, NULL, "of Adam, falling to 0 along a cosine",
     NULL},
    {0}};

enum { ROWS = 1000, BATCH = 100 };

static const char *unfit(const void *config, const tx_view *v)
{
    const classification_config *c = config;
    if (!v->space.n_class || !v->data->split[TX_TEST].label) return "the data set has no labels";
    if ((size_t)c->n_label > v->space.n_train) return "n_label is more than there are training rows";
    return tx_classifier_unfit(&c->hidden);
}

static const char *unfit_model(const tx_model_ops *model)
{
    return model->posterior || model->classify ? NULL : "has no encoder, and was not trained with labels";
}

/* Of n rows, NULL: 0 .. n-1, as the view fixes them: mu(x) if `m` is given, else x; [n,*width], to be freed. */
static real *features(tx_model *m, const tx_view *v, tx_split s, const uint32_t row[], size_t n, size_t *width)
{
    size_t dim = v->space.dim, k = *width = m ? m->ops->latent(m).dim : dim;
    real *x = tx_alloc(n * dim, sizeof *x);
    if (row)
        tx_view_rows(v, s, 0, 0, row, n, x, NULL);
    else
        tx_view_range(v, s, 0, n, x, NULL);
    if (!m) return x;
    real *f = tx_alloc(n * k, sizeof *f);
    tx_tape *t = tx_tape_new(1 << 20);
    for (size_t i = 0; i < n; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        tx_var mu, lv;
        tx_model_bind(m, t);
        m->ops->posterior(m, t, tx_leaf(t, tx_matrix(x + i * dim, rows, dim)), &mu, &lv);
        memcpy(f + i * k, mu->v.x, rows * k * sizeof *f);
    }
    tx_tape_free(t);
    free(x);
    return f;
}

/* The share of test rows that a perceptron mistakes: of features of `m`, or of the rows themselves; NAN where it
 * diverges. */
static double perceptron(const classification_config *c, tx_model *m, const tx_view *v, uint64_t seed, size_t n_label)
{
    size_t n_test = v->data->split[TX_TEST].n, width, batch = n_label < BATCH ? n_label : BATCH;
    int epochs = (int)(((size_t)c->n_step + n_label / batch - 1) / (n_label / batch));
    tx_classifier_config of = {c->hidden, epochs, (int)batch, c->learning_rate, true};
    uint32_t *row = tx_alloc(n_label, sizeof *row);
    uint8_t *label = tx_alloc(n_label, 1);
    tx_view_labelled(v, seed, n_label, row);
    for (size_t i = 0; i < n_label; i++) label[i] = v->data->split[TX_TRAIN].label[row[i]];
    real *x = features(m, v, TX_TRAIN, row, n_label, &width), *test = features(m, v, TX_TEST, NULL, n_test, &width);
    tx_rng r = tx_rng_named(tx_rng_named(tx_rng_root(seed), "quality"), "classification");
    tx_classifier *net = tx_classifier_train(&of, width, v->space.n_class, n_label, x, label, r);
    double right = net ? tx_classifier_accuracy(net, n_test, test, v->data->split[TX_TEST].label) : NAN;
    tx_classifier_free(net);
    free(row), free(label), free(x), free(test);
    return 1 - right;
}

static double own_answer(tx_model *m, const tx_view *v)
{
    size_t n = v->data->split[TX_TEST].n, dim = v->space.dim, right = 0;
    real *x = tx_alloc(ROWS * dim, sizeof *x);
    tx_tape *t = tx_tape_new(1 << 20);
    for (size_t i = 0; i < n; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        tx_view_range(v, TX_TEST, i, rows, x, NULL);
        tx_model_bind(m, t);
        const real *l = m->ops->classify(m, t, tx_leaf(t, tx_matrix(x, rows, dim)))->v.x;
        right += tx_classifier_right(rows, v->space.n_class, l, v->data->split[TX_TEST].label + i);
    }
    tx_tape_free(t);
    free(x);
    return 1 - (double)right / (double)n;
}

static void add(tx_numbers *out, const char *name, double error, size_t n, size_t n_label, const char *by)
{
    char words[TX_NAME_MAX * 2];
    snprintf(words, sizeof words, "share of test rows misclassified %s, %zu labels", by, n_label);
    tx_numbers_add_error(out, name, "1", error, sqrt(error * (1 - error) / (double)n), words);
}

static tx_status run_model(const void *config, tx_model *m, const tx_view *v, uint64_t seed, tx_numbers *out)
{
    const classification_config *c = config;
    bool own = m->ops->classify != NULL;
    size_t n = v->data->split[TX_TEST].n, n_label = (size_t)c->n_label;
    if (own && m->ops->n_label(m) != n_label) return TX_OK;
    double error = own ? own_answer(m, v) : perceptron(c, m, v, seed, n_label);
    add(out, "error", error, n, n_label, own ? "by the model" : "by its features");
    add(out, "error_supervised", perceptron(c, NULL, v, seed, n_label), n, n_label, "without the model");
    return TX_OK;
}

extern const tx_metric_ops tx_metric_classification;
const tx_metric_ops tx_metric_classification = {
    .name = "classification",
    .summary = "errors in telling labels when few are known, with and without the model",
    .citation = "kingma2014semi",
    .config_size = sizeof(classification_config),
    .options = options,
    .unfit = unfit,
    .unfit_model = unfit_model,
    .run_model = run_model};
