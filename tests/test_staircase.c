/** Dense layers under a staircase mask against the same layer with its weights multiplied by the mask: value, gradients
 * and gradients of gradients, for degrees with ties, with inputs that nothing sees and outputs that see nothing. */
#include <math.h>
#include <stdlib.h>
#include "common/tensor/ops.h"
#include "common/tensor/parallel.h"
#include "common/tensor/rng.h"
#include "common/tensor/staircase.h"
#include "tests/support/check.h"

/** Degrees: from[i] = a + floor(i b), to[c] = e + floor(c f). */
typedef struct layer_case {
    size_t n, in, out;
    double a, b, e, f;
} layer_case;

static const layer_case cases[] = {
    {1, 1, 1, 1, 1, 1, 1},         {3, 1, 1, 1, 1, 0, 1},
    {7, 5, 9, 1, 1, 0, 1},         {2, 64, 65, 1, 1, 0, 1},
    {5, 390, 390, 1, 1, 0, 1},     {4, 784, 130, 1, 1, 1, 6.03},
    {6, 97, 401, 1, 4.1, 0, 1},    {3, 200, 500, 1, 0.3, -9.4, 0.11},
    {7, 385, 391, 50, 1, 0, 0.52}, {2, 96, 193, -200, 1, 3, 1},
    {9, 33, 480, 1, 0, 1, 0},      {3, 400, 400, 500, 1, 0, 1},
};

static tx_var fresh(tx_tape *t, const char *name, size_t rows, size_t cols)
{
    tx_tensor v = tx_tape_tensor(t, rows, cols);
    tx_rng_normal(tx_rng_named(tx_rng_root(2385), name), 0, rows * cols, v.x);
    return tx_leaf(t, v);
}

static tx_stairs *stairs_of(const layer_case *k, tx_tensor mask)
{
    real *from = tx_alloc(k->in, sizeof *from), *to = tx_alloc(k->out, sizeof *to);
    for (size_t i = 0; i < k->in; i++) from[i] = (real)(k->a + floor((double)i * k->b));
    for (size_t c = 0; c < k->out; c++) to[c] = (real)(k->e + floor((double)c * k->f));
    for (size_t i = 0; i < k->in; i++)
        for (size_t c = 0; c < k->out; c++) mask.x[i * k->out + c] = from[i] <= to[c];
    tx_stairs *s = tx_stairs_new(k->in, from, k->out, to);
    free(from), free(to);
    return s;
}

static void same(tx_var a, tx_var b, const char *what)
{
    CU_ASSERT_FATAL(tx_shape_equal(a->v.shape, b->v.shape));
    double worst = 0, scale = 1e-30;
    for (size_t i = 0; i < tx_len(a->v); i++) {
        scale = fmax(scale, fabs((double)b->v.x[i]));
        worst = fmax(worst, fabs((double)a->v.x[i] - (double)b->v.x[i]));
        if (isnan((double)a->v.x[i])) worst = INFINITY;
    }
    if (worst > (sizeof(real) == 4 ? 3e-6 : 1e-13) * scale) {
        printf("\n  %s: off by %.3g of %.3g\n", what, worst, scale);
        CU_FAIL("the staircase differs");
    }
}

/** The value y, its gradients for x, w and b under a random cotangent, and the gradients of a sum of squares of these.
 */
enum { RESULTS = 7 };
static void results(tx_tape *t, tx_var y, tx_var const in[3], tx_var r[RESULTS])
{
    tx_var d[3], sum = NULL;
    r[0] = y;
    tx_vjp(t, y, fresh(t, "cotangent", tx_rows(y->v), tx_cols(y->v)), in, 3, d);
    for (int j = 0; j < 3; j++) {
        tx_var square = tx_mean(t, tx_mul(t, d[j], d[j]));
        sum = sum ? tx_add(t, sum, square) : square;
        r[1 + j] = d[j];
    }
    tx_grad(t, sum, in, 3, r + 4);
}

static void test_dense(void)
{
    static const char *const name[RESULTS] = {"y", "dx", "dw", "db", "ddx", "ddw", "ddb"};
    for (size_t k = 0; k < TX_LEN(cases); k++)
        for (int linear = 0; linear < 2; linear++) {
            const layer_case *c = &cases[k];
            tx_act act = linear ? TX_LINEAR : TX_TANH;
            tx_tape *t = tx_tape_new(1 << 16);
            tx_tensor mask = tx_tape_tensor(t, c->in, c->out);
            tx_stairs *s = stairs_of(c, mask);
            CU_ASSERT_FATAL(s != NULL);
            tx_var in[3] = {fresh(t, "x", c->n, c->in), tx_scale(t, fresh(t, "w", c->in, c->out), (real)0.08),
                            fresh(t, "b", 1, c->out)};
            tx_var ours[RESULTS], theirs[RESULTS];
            results(t, tx_stairs_dense(t, s, in[0], in[1], in[2], act), in, ours);
            results(t, tx_dense(t, in[0], tx_mul(t, in[1], tx_leaf(t, mask)), in[2], act), in, theirs);
            for (int j = 0; j < RESULTS; j++) same(ours[j], theirs[j], name[j]);
            tx_var bare = tx_stairs_dense(t, s, in[0], in[1], NULL, TX_LINEAR);
            same(tx_activation(t, tx_add_row(t, bare, in[2]), act), theirs[0], "without a bias");
            tx_stairs_free(s);
            tx_tape_free(t);
        }
}

/** What the mask cuts is never read into a result, not even where it is no number. */
static void test_cut_weights(void)
{
    const layer_case *c = &cases[4];
    tx_tape *t = tx_tape_new(1 << 24);
    tx_tensor junk = tx_tape_tensor(t, 1000, 1000);
    for (size_t i = 0; i < tx_len(junk); i++) junk.x[i] = NAN;
    tx_tape_reset(t);
    tx_tensor mask = tx_tape_tensor(t, c->in, c->out);
    tx_stairs *s = stairs_of(c, mask);
    tx_var x = fresh(t, "x", c->n, c->in), w = fresh(t, "w", c->in, c->out), dx[2];
    tx_var masked = tx_mul(t, w, tx_leaf(t, mask));
    for (size_t i = 0; i < tx_len(mask); i++)
        if (mask.x[i] == 0) w->v.x[i] = NAN;
    tx_var y = tx_stairs_dense(t, s, x, w, NULL, TX_LINEAR), g = fresh(t, "g", c->n, c->out);
    same(y, tx_matmul(t, x, false, masked, false), "y");
    tx_vjp(t, y, g, (tx_var[]){x, w}, 2, dx);
    same(dx[0], tx_matmul(t, g, false, masked, true), "dx");
    for (size_t i = 0; i < tx_len(mask); i++)
        if (mask.x[i] == 0 && dx[1]->v.x[i] != 0) {
            CU_FAIL("a cut weight has a gradient");
            break;
        }
    tx_stairs_free(s);
    tx_tape_free(t);
}

/** Each panel has scratch of its own: large ones side by side, several times. */
static void test_threads(void)
{
    enum { TIMES = 4 };
    static const layer_case wide = {60, 784, 700, 1, 1, 1, 1.1};
    real *first[4] = {NULL};
    for (int threads = 1; threads <= 4; threads++)
        for (int times = 0; times < (threads > 1 ? TIMES : 1); times++) {
            tx_threads_set(threads);
            tx_tape *t = tx_tape_new(1 << 16);
            tx_stairs *s = stairs_of(&wide, tx_tape_tensor(t, wide.in, wide.out));
            tx_var in[3] = {fresh(t, "x", wide.n, wide.in), fresh(t, "w", wide.in, wide.out),
                            fresh(t, "b", 1, wide.out)};
            tx_var y = tx_stairs_dense(t, s, in[0], in[1], in[2], TX_SIGMOID), r[4] = {y};
            tx_vjp(t, y, fresh(t, "cotangent", wide.n, wide.out), in, 3, r + 1);
            for (int j = 0; j < 4; j++) {
                size_t bytes = tx_len(r[j]->v) * sizeof(real);
                if (!first[j]) first[j] = memcpy(tx_alloc(bytes, 1), r[j]->v.x, bytes);
                CU_ASSERT(memcmp(first[j], r[j]->v.x, bytes) == 0);
            }
            tx_stairs_free(s);
            tx_tape_free(t);
        }
    for (int j = 0; j < 4; j++) free(first[j]);
    tx_threads_set(1);
}

static void test_no_staircase(void)
{
    const real rising[] = {1, 2, 2, 5}, falling[] = {1, 3, 2, 5};
    CU_ASSERT_PTR_NULL(tx_stairs_new(4, falling, 4, rising));
    CU_ASSERT_PTR_NULL(tx_stairs_new(4, rising, 4, falling));
    tx_stairs *s = tx_stairs_new(4, rising, 3, (const real[]){0, 2, 2});
    CU_ASSERT_FATAL(s != NULL);
    CHECK_INT(s->seen[0], 0);
    CHECK_INT(s->seen[1], 3);
    CHECK_INT(s->first[0], 1);
    CHECK_INT(s->first[3], 3);
    tx_stairs_free(s);
    tx_stairs_free(NULL);
}

int main(void)
{
    static const tx_test tests[] = {
        {"value, gradients and their gradients as of the masked dense layer", test_dense},
        {"what is cut is not read and has no gradient", test_cut_weights},
        {"same bits for every thread count", test_threads},
        {"degrees that fall are refused", test_no_staircase},
    };
    return tx_run_tests("staircase", tests, TX_LEN(tests));
}
