/* Convolution, its transposes and layers of them: against loops over every index, by the identity that defines a
 * transpose, and by differences. */
#include <stdlib.h>
#include "common/tensor/layers.h"
#include "common/tensor/parallel.h"
#include "tests/support/check.h"

static const bool is_double = sizeof(real) == sizeof(double);
static uint64_t drawn;

static tx_tensor draw(size_t rows, size_t cols)
{
    tx_tensor v = tx_matrix(tx_alloc(rows * cols, sizeof(real)), rows, cols);
    for (size_t i = 0; i < rows * cols; i++)
        v.x[i] = (real)(2.385 * (tx_rng_uniform1(tx_rng_root(385), drawn++) - 0.4));
    return v;
}

/* height width in, out_height out_width out, kernel, stride dilation, top left, taps */
static const tx_conv shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0},   {5, 7, 2, 5, 7, 3, 3, 3, 1, 1, 1, 1, 0},
    {5, 7, 3, 3, 4, 2, 3, 5, 2, 1, 1, 2, 0},   {6, 6, 2, 3, 3, 5, 4, 4, 2, 1, 1, 1, 0},
    {7, 9, 2, 7, 9, 2, 3, 3, 1, 2, 2, 2, 0},   {5, 5, 2, 5, 5, 3, 5, 5, 1, 1, 2, 2, 12},
    {5, 5, 2, 5, 5, 3, 5, 5, 1, 1, 2, 2, 13},  {1, 13, 3, 1, 13, 2, 1, 2, 1, 4, 0, 4, 0},
    {1, 13, 2, 1, 13, 3, 1, 3, 1, 1, 0, 3, 2}, {4, 3, 5, 4, 3, 6, 1, 1, 1, 1, 0, 0, 0},
    {4, 3, 2, 2, 2, 3, 1, 1, 2, 1, 0, 0, 0},   {8, 8, 1, 4, 4, 3, 3, 3, 3, 2, 2, 1, 0},
    {3, 2, 2, 6, 5, 2, 2, 2, 1, 1, 1, 1, 3},   {2, 9, 4, 2, 9, 3, 2, 3, 1, 1, 2, 1, 5},
};

static size_t size_x(const tx_conv *c) { return c->height * c->width * c->in; }
static size_t size_y(const tx_conv *c) { return c->out_height * c->out_width * c->out; }
static size_t rows_w(const tx_conv *c) { return tx_conv_taps(c) * c->in; }

/** For each product of the sum that defines the convolution: what x, w and y have there. */
typedef void term(void *ctx, size_t x, size_t w, size_t y);

static void each_term(const tx_conv *c, size_t n, term *f, void *ctx)
{
    long taps = (long)tx_conv_taps(c), width = (long)c->width, height = (long)c->height;
    for (long e = 0; e < (long)n; e++)
        for (long i = 0; i < (long)c->out_height; i++)
            for (long j = 0; j < (long)c->out_width; j++)
                for (long tap = 0; tap < taps; tap++) {
                    long a = tap / (long)c->kernel_w, b = tap % (long)c->kernel_w;
                    long row = i * (long)c->stride + a * (long)c->dilation - (long)c->top;
                    long col = j * (long)c->stride + b * (long)c->dilation - (long)c->left;
                    if (row < 0 || row >= height || col < 0 || col >= width) continue;
                    for (size_t p = 0; p < c->in; p++)
                        for (size_t q = 0; q < c->out; q++)
                            f(ctx, ((size_t)((e * height + row) * width + col)) * c->in + p,
                              ((size_t)tap * c->in + p) * c->out + q,
                              (size_t)((e * (long)c->out_height + i) * (long)c->out_width + j) * c->out + q);
                }
}

typedef struct naive {
    const real *x, *w, *y;
    double *sum_x, *sum_w, *sum_y;
} naive;

static void add_term(void *ctx, size_t x, size_t w, size_t y)
{
    naive *k = ctx;
    k->sum_x[x] += (double)k->w[w] * (double)k->y[y];
    k->sum_w[w] += (double)k->x[x] * (double)k->y[y];
    k->sum_y[y] += (double)k->x[x] * (double)k->w[w];
}

static double furthest(tx_tensor a, const double b[])
{
    double worst = 0;
    for (size_t i = 0; i < tx_len(a); i++) {
        double d = fabs((double)a.x[i] - b[i]) / fmax(1, fabs(b[i]));
        worst = d <= worst ? worst : d;
    }
    return worst;
}

static double dot(tx_tensor a, tx_tensor b)
{
    double s = 0;
    for (size_t i = 0; i < tx_len(a); i++) s += (double)a.x[i] * (double)b.x[i];
    return s;
}

static void check_values(const tx_conv *c, size_t n)
{
    tx_tensor x = draw(n, size_x(c)), w = draw(rows_w(c), c->out), y = draw(n, size_y(c));
    naive k = {x.x,
               w.x,
               y.x,
               tx_alloc(tx_len(x), sizeof(double)),
               tx_alloc(tx_len(w), sizeof(double)),
               tx_alloc(tx_len(y), sizeof(double))};
    tx_tape *t = tx_tape_new(0);
    tx_var vx = tx_leaf(t, x), vw = tx_leaf(t, w), vy = tx_leaf(t, y);
    tx_var gx = tx_conv_transposed(t, c, vy, vw), gw = tx_conv_weights(t, c, vx, vy),
           gy = tx_conv_forward(t, c, vx, vw);
    double tol = is_double ? 1e-12 : 1e-4;
    each_term(c, n, add_term, &k);
    CHECK_NEAR(furthest(gx->v, k.sum_x), 0, tol);
    CHECK_NEAR(furthest(gw->v, k.sum_w), 0, tol);
    CHECK_NEAR(furthest(gy->v, k.sum_y), 0, tol);
    double all = dot(gy->v, y), scale = tol * fmax(1, fabs(all)) * 10;
    CHECK_NEAR(dot(gx->v, x), all, scale);
    CHECK_NEAR(dot(gw->v, w), all, scale);
    free(x.x), free(w.x), free(y.x), free(k.sum_x), free(k.sum_w), free(k.sum_y);
    tx_tape_free(t);
}

static void values(void)
{
    for (size_t s = 0; s < TX_LEN(shapes); s++)
        for (size_t n = 1; n < 40; n = 3 * n + 2) check_values(&shapes[s], n);
    check_values(&(tx_conv){30, 31, 3, 15, 16, 7, 5, 5, 2, 1, 2, 2, 0}, 9); /* several tiles and parts */
    check_values(&(tx_conv){19, 23, 40, 19, 23, 5, 5, 5, 1, 1, 2, 2, 12}, 3);
}

/** A layer is its map with a bias and an activation behind it. */
static void layers(void)
{
    static const tx_act act[] = {TX_LINEAR, TX_RELU, TX_TANH};
    for (size_t s = 0; s < TX_LEN(shapes); s++)
        for (int transposed = 0; transposed < 2; transposed++) {
            const tx_conv *c = &shapes[s];
            tx_act f = act[s % TX_LEN(act)];
            tx_params *p = tx_params_new("net");
            tx_conv_layer l = tx_conv_layer_add(p, "layer", c, transposed, f, (tx_init){TX_INIT_NORMAL, (real)0.385});
            tx_params_seal(p, tx_rng_root(s));
            tx_tensor b = tx_params_value(p, l.b), in = draw(4, transposed ? size_y(c) : size_x(c));
            size_t width = transposed ? c->in : c->out;
            CHECK_TEXT(tx_params_name(p, l.w), "layer_w");
            CHECK_TEXT(tx_params_name(p, l.b), "layer_b");
            CHECK_INT(tx_len(b), width);
            for (size_t k = 0; k < width; k++) b.x[k] = (real)(0.1 * (double)k - 0.2385);
            tx_tape *t = tx_tape_new(0);
            tx_params_bind(p, t);
            tx_var v = tx_leaf(t, in), w = tx_params_var(p, l.w), y = tx_conv_layer_apply(t, p, &l, v);
            tx_var z = transposed ? tx_conv_transposed(t, c, v, w) : tx_conv_forward(t, c, v, w);
            z = tx_reshape(t, z, tx_shape2(tx_len(z->v) / width, width));
            z = tx_activation(t, tx_add_row(t, z, tx_params_var(p, l.b)), f);
            CHECK_INT(tx_rows(y->v), 4);
            double worst = 0;
            for (size_t i = 0; i < tx_len(y->v); i++) worst = fmax(worst, fabs((double)y->v.x[i] - (double)z->v.x[i]));
            CHECK_NEAR(worst, 0, is_double ? 1e-13 : 1e-5);
            tx_tape_free(t), tx_params_free(p), free(in.x);
        }
}

enum { X, W, B, V, A, N_VAR };

/** f: x through a layer and back through another one, transposed; then how steep f is in x and in both weights, so that
 * the gradient of this needs second derivatives of every map. */
static tx_var steepness(tx_tape *t, const tx_conv *c, tx_var const in[])
{
    tx_var g[3];
    tx_var y = tx_conv_dense(t, c, in[X], in[W], in[B], TX_TANH);
    tx_var f = tx_conv_transposed_dense(t, c, y, in[V], in[A], TX_SOFTPLUS);
    tx_grad(t, tx_mul(t, f, f), (tx_var[]){in[X], in[W], in[V]}, 3, g);
    tx_var sum = tx_mean(t, f);
    for (int k = 0; k < 3; k++) sum = tx_add(t, sum, tx_mean(t, tx_mul(t, g[k], g[k])));
    return sum;
}

static tx_var steepness_of(tx_tape *t, const tx_conv *c, const tx_tensor value[], tx_var in[])
{
    tx_tape_reset(t);
    for (int k = 0; k < N_VAR; k++) in[k] = tx_leaf(t, value[k]);
    return steepness(t, c, in);
}

static void second_derivatives(void)
{
    if (!is_double) return;
    for (size_t s = 0; s < TX_LEN(shapes); s++) {
        const tx_conv *c = &shapes[s];
        tx_tensor v[N_VAR] = {draw(2, size_x(c)), draw(rows_w(c), c->out), draw(1, c->out), draw(rows_w(c), c->out),
                              draw(1, c->in)};
        tx_tape *t = tx_tape_new(0);
        tx_var in[N_VAR], g[N_VAR];
        tx_grad(t, steepness_of(t, c, v, in), in, N_VAR, g);
        double *tape[N_VAR], worst = 0, h = 1e-5;
        for (int k = 0; k < N_VAR; k++) {
            tape[k] = tx_alloc(tx_len(v[k]), sizeof(double));
            for (size_t i = 0; i < tx_len(v[k]); i++) tape[k][i] = (double)g[k]->v.x[i];
        }
        for (int k = 0; k < N_VAR; k++)
            for (size_t i = 0; i < tx_len(v[k]); i++) {
                real *x = &v[k].x[i], old = *x;
                *x = (real)(old + h);
                double up = (double)steepness_of(t, c, v, in)->v.x[0];
                *x = (real)(old - h);
                double slope = (up - (double)steepness_of(t, c, v, in)->v.x[0]) / (2 * h);
                *x = old;
                worst = fmax(worst, fabs(slope - tape[k][i]) / fmax(fabs(slope), 0.1));
            }
        CHECK_NEAR(worst, 0, 2e-6);
        for (int k = 0; k < N_VAR; k++) free(v[k].x), free(tape[k]);
        tx_tape_free(t);
    }
}

/** A kernel of which the first taps count is the whole one with zeros. */
static void masked_is_zero(void)
{
    const tx_conv *masked = &shapes[5];
    tx_conv whole = *masked;
    whole.taps = 0;
    tx_tensor x = draw(3, size_x(masked)), w = draw(rows_w(&whole), whole.out);
    memset(w.x + rows_w(masked) * whole.out, 0, (rows_w(&whole) - rows_w(masked)) * whole.out * sizeof(real));
    tx_tape *t = tx_tape_new(0);
    tx_var v = tx_leaf(t, x), first = tx_leaf(t, tx_matrix(w.x, rows_w(masked), whole.out));
    tx_var a = tx_conv_forward(t, masked, v, first), b = tx_conv_forward(t, &whole, v, tx_leaf(t, w));
    double worst = 0;
    for (size_t i = 0; i < tx_len(a->v); i++) worst = fmax(worst, fabs((double)a->v.x[i] - (double)b->v.x[i]));
    CHECK_NEAR(worst, 0, is_double ? 1e-13 : 1e-5);
    free(x.x), free(w.x), tx_tape_free(t);
}

static void same_keeps_size(void)
{
    for (size_t size = 1; size < 30; size++)
        for (size_t stride = 1; stride < 4; stride++)
            for (size_t kernel = stride; kernel < 6; kernel++) {
                tx_conv c = tx_conv_same(size, 2 * size, 1, 2, kernel, stride);
                CHECK_INT(c.out_height, (size + stride - 1) / stride);
                CHECK_INT(c.out_width, (2 * size + stride - 1) / stride);
                CHECK_TRUE(c.top < kernel && (c.out_height - 1) * stride + kernel > c.top);
                CHECK_INT(tx_conv_taps(&c), kernel * kernel);
            }
}

/** The same bits for every number of threads, and no memory after two steps. */
static void threads_and_memory(void)
{
    tx_conv c = {28, 28, 16, 14, 14, 24, 5, 5, 2, 1, 2, 2, 0};
    tx_tensor v[N_VAR] = {draw(20, size_x(&c)), draw(rows_w(&c), c.out), draw(1, c.out), draw(rows_w(&c), c.out),
                          draw(1, c.in)};
    tx_tensor keep[N_VAR] = {{0}};
    static const int threads[] = {1, 2, 4};
    for (size_t k = 0; k < TX_LEN(threads); k++) {
        tx_threads_set(threads[k]);
        tx_tape *t = tx_tape_new(0);
        tx_var in[N_VAR], g[N_VAR];
        size_t growths = 0;
        for (int step = 0; step < 4; step++) {
            tx_grad(t, steepness_of(t, &c, v, in), in, N_VAR, g);
            if (step == 1) growths = tx_tape_growths(t);
        }
        CHECK_INT(tx_tape_growths(t), growths);
        for (int q = 0; q < N_VAR; q++) {
            size_t bytes = tx_len(g[q]->v) * sizeof(real);
            if (!k) keep[q].x = memcpy(tx_alloc(tx_len(g[q]->v), sizeof(real)), g[q]->v.x, bytes);
            CHECK_TRUE(memcmp(keep[q].x, g[q]->v.x, bytes) == 0);
        }
        tx_tape_free(t);
    }
    tx_threads_set(1);
    for (int q = 0; q < N_VAR; q++) free(v[q].x), free(keep[q].x);
}

static const tx_conv three = {3, 3, 1, 3, 3, 2, 3, 3, 1, 1, 1, 1, 0}, many = {3, 3, 1, 3, 3, 2, 3, 3, 1, 1, 1, 1, 10},
                     still = {3, 3, 1, 3, 3, 2, 3, 3, 0, 1, 1, 1, 0};

static tx_var matrix(tx_tape *t, size_t rows, size_t cols)
{
    tx_tensor v = tx_tape_tensor(t, rows, cols);
    memset(v.x, 0, rows * cols * sizeof(real));
    return tx_leaf(t, v);
}

#define DIES(name, statement)                                                                                          \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        tx_tape *t = tx_tape_new(0);                                                                                   \
        tx_var x = matrix(t, 2, 9), y = matrix(t, 2, 18), w = matrix(t, 9, 2);                                         \
        (void)x, (void)y, (void)w;                                                                                     \
        statement;                                                                                                     \
    }
DIES(wrong_x, tx_conv_forward(t, &three, y, w))
DIES(wrong_y, tx_conv_transposed(t, &three, x, w))
DIES(wrong_w, tx_conv_forward(t, &three, x, x))
DIES(wrong_rows, tx_conv_weights(t, &three, x, matrix(t, 3, 18)))
DIES(wrong_bias, tx_conv_dense(t, &three, x, w, matrix(t, 1, 3), TX_LINEAR))
DIES(wrong_bias_back, tx_conv_transposed_dense(t, &three, y, w, matrix(t, 1, 2), TX_LINEAR))
DIES(too_many_taps, tx_conv_forward(t, &many, x, w))
DIES(no_stride, tx_conv_forward(t, &still, x, w))
DIES(not_a_death, tx_conv_weights(t, &three, x, y))

static void misuse_aborts(void)
{
    static void (*const bad[])(void) = {wrong_x,    wrong_y,         wrong_w,       wrong_rows,
                                        wrong_bias, wrong_bias_back, too_many_taps, no_stride};
    for (size_t i = 0; i < TX_LEN(bad); i++) {
        bool died = tx_dies(bad[i], -1);
        if (!died) printf("\n  misuse %zu went unnoticed", i);
        CU_ASSERT(died);
    }
    CHECK_TRUE(tx_dies(not_a_death, 98));
}

int main(void)
{
    static const tx_test tests[] = {
        {"three maps against loops", values},
        {"layers", layers},
        {"gradients of gradients", second_derivatives},
        {"a masked kernel", masked_is_zero},
        {"sizes", same_keeps_size},
        {"threads and memory", threads_and_memory},
        {"misuse aborts", misuse_aborts},
    };
    return tx_run_tests("conv", tests, TX_LEN(tests));
}
