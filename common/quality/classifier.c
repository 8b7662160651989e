#include "common/quality/classifier.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/optim.h"

enum { ROWS = 1000 }; /* of one pass without training */

struct tx_classifier {
    size_t dim, n_class, width;
    real *mean,
        *scale; /* [dim] of the rows it was trained on: 1 / deviation, 0 where there is none, or none in `real` */
    tx_params *net;
    tx_mlp body, head;
    tx_tape *tape;
};

static void standardise(tx_classifier *c, size_t n, const real *x, bool one_scale)
{
    double sum = 0;
    for (size_t j = 0; j < c->dim; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < n; i++) mean += (double)x[i * c->dim + j] / (double)n;
        for (size_t i = 0; i < n; i++) square += pow((double)x[i * c->dim + j] - mean, 2) / (double)n;
        bool varies = square > 1e-12 * (1 + mean * mean) && isfinite((real)square);
        c->mean[j] = varies ? (real)mean : 0;
        c->scale[j] = varies ? (real)(1 / sqrt(square)) : 0;
        sum += varies ? square : 0;
    }
    for (size_t j = 0; one_scale && j < c->dim; j++)
        if (c->scale[j] > 0) c->scale[j] = (real)sqrt((double)c->dim / sum);
}

const char *tx_classifier_unfit(const tx_ints *hidden)
{
    return hidden->n == 0 || hidden->n >= TX_MLP_MAX ? "needs 1 to 15 hidden layers" : NULL;
}

static void build(tx_classifier *c, const tx_ints *hidden, tx_rng r)
{
    static const tx_ints none = {0};
    tx_ints before = *hidden;
    before.n--;
    c->width = (size_t)hidden->v[before.n];
    c->net = tx_params_new("classifier");
    c->body = tx_mlp_add(c->net, "body", c->dim, &before, c->width, TX_RELU, TX_RELU);
    c->head = tx_mlp_add(c->net, "head", c->width, &none, c->n_class, TX_RELU, TX_LINEAR);
    tx_params_seal(c->net, r);
}

/* A tape begun anew, with rows row[0..n) (NULL: 0..n-1) of x, standardised. */
static tx_var begin(tx_classifier *c, size_t n, const real *x, const uint32_t row[])
{
    tx_tape_reset(c->tape);
    tx_params_bind(c->net, c->tape);
    tx_tensor in = tx_tape_tensor(c->tape, n, c->dim);
    for (size_t i = 0; i < n; i++) {
        const real *from = x + (row ? row[i] : i) * c->dim;
        for (size_t j = 0; j < c->dim; j++) in.x[i * c->dim + j] = (from[j] - c->mean[j]) * c->scale[j];
    }
    return tx_mlp_apply(c->tape, c->net, &c->body, tx_leaf(c->tape, in));
}

/* Mean of log sum_k exp l_k - l_label. */
static tx_var loss(tx_classifier *c, size_t n, tx_var feature, const uint8_t label[], const uint32_t row[])
{
    tx_tape *t = c->tape;
    tx_var l = tx_mlp_apply(t, c->net, &c->head, feature);
    tx_tensor one = tx_tape_tensor(t, n, c->n_class);
    memset(one.x, 0, n * c->n_class * sizeof *one.x);
    for (size_t i = 0; i < n; i++) one.x[i * c->n_class + label[row[i]]] = 1;
    return tx_mean(t, tx_sub(t, tx_logsumexp(t, l), tx_sum_rows(t, tx_mul(t, l, tx_leaf(t, one)))));
}

static bool train(tx_classifier *c, const tx_classifier_config *config, size_t n, const real *x, const uint8_t label[],
                  tx_rng r)
{
    const tx_optim_ops *adam = tx_optim_find("adam");
    void *settings = tx_alloc(1, adam->config_size);
    tx_options_defaults(adam->options, settings);
    tx_optim *optim = tx_optim_new(adam, settings, c->net);
    size_t batch = (size_t)config->batch < n ? (size_t)config->batch : n, steps = n / batch;
    uint32_t *order = tx_alloc(n, sizeof *order);
    int count = tx_params_count(c->net);
    tx_var *weight = tx_alloc((size_t)count, sizeof *weight), *grad = tx_alloc((size_t)count, sizeof *grad);
    bool good = true;
    for (uint64_t k = 0; good && k < (uint64_t)config->epochs * steps; k++) {
        if (k % steps == 0) tx_rng_permutation(tx_rng_fold(r, k / steps), n, order);
        const uint32_t *row = order + k % steps * batch;
        tx_var y = loss(c, batch, begin(c, batch, x, row), label, row);
        for (int i = 0; i < count; i++) weight[i] = tx_params_var(c->net, (tx_param){i});
        tx_grad_postponed(c->tape, y, weight, count, grad);
        double rate = tx_schedule_rate(TX_SCHEDULE_COSINE, config->learning_rate, 0, k,
                                       (uint64_t)config->epochs * steps);
        good = tx_optim_step(optim, c->net, c->tape, grad, rate, 0, 0);
    }
    free(order), free(weight), free(grad), free(settings);
    tx_optim_free(optim);
    return good;
}

tx_classifier *tx_classifier_train(const tx_classifier_config *config, size_t dim, size_t n_class, size_t n,
                                   const real *x, const uint8_t label[], tx_rng r)
{
    tx_classifier *c = tx_alloc(1, sizeof *c);
    c->dim = dim, c->n_class = n_class;
    c->mean = tx_alloc(dim, sizeof *c->mean), c->scale = tx_alloc(dim, sizeof *c->scale);
    c->tape = tx_tape_new(1 << 20);
    standardise(c, n, x, config->one_scale);
    build(c, &config->hidden, tx_rng_named(r, "init"));
    if (train(c, config, n, x, label, tx_rng_named(r, "order"))) return c;
    tx_classifier_free(c);
    return NULL;
}

void tx_classifier_free(tx_classifier *c)
{
    if (!c) return;
    free(c->mean), free(c->scale);
    tx_params_free(c->net);
    tx_tape_free(c->tape);
    free(c);
}

size_t tx_classifier_width(const tx_classifier *c) { return c->width; }

void tx_classifier_features(tx_classifier *c, size_t n, const real *x, real *out)
{
    for (size_t i = 0; i < n; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        tx_var f = begin(c, rows, x + i * c->dim, NULL);
        memcpy(out + i * c->width, f->v.x, rows * c->width * sizeof *out);
    }
}

size_t tx_classifier_right(size_t n, size_t n_class, const real *l, const uint8_t label[])
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++, l += n_class) {
        size_t best = 0;
        for (size_t j = 1; j < n_class; j++)
            if (l[j] > l[best]) best = j;
        right += best == label[i];
    }
    return right;
}

double tx_classifier_accuracy(tx_classifier *c, size_t n, const real *x, const uint8_t label[])
{
    size_t right = 0;
    for (size_t i = 0; i < n; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        const real *l = tx_mlp_apply(c->tape, c->net, &c->head, begin(c, rows, x + i * c->dim, NULL))->v.x;
        right += tx_classifier_right(rows, c->n_class, l, label + i);
    }
    return (double)right / (double)n;
}
