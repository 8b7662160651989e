/** Convolution and its two transposes: three bilinear maps, each the gradient of the others. A tile multiplies patches
 * of x, one row a pixel of y, which are gathered into memory that stays in cache. */
#include <string.h>
#include "common/tensor/ops.h"
#include "common/tensor/parallel.h"

/* Scalars of a tile's patches, the fewest and most of its rows; the parts that gradients of weights are summed from. */
enum { PATCHES = 1 << 17, LEAST = 64, MOST = 1024, PARTS = 16 };

/** Scalars that are adjacent in a patch and in the image alike. */
typedef struct span {
    size_t patch, image, len;
} span;

typedef struct work {
    const tx_conv *c;
    size_t n, pixels, depth, rows; /* examples; of y in each; columns of a patch; patches of a tile */
    size_t group, parts;           /* examples of a tile of x; sums of gradients */
    real *x, *y;
    const real *w, *b;
    tx_act act;
    real *patches, *sums;
} work;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }

/** What of the patch of pixel (i,j) lies in the image; the rest is zero. */
static size_t spans_of(const tx_conv *c, size_t i, size_t j, span s[])
{
    size_t n = 0, taps = tx_conv_taps(c);
    for (size_t a = 0; a * c->kernel_w < taps; a++) {
        size_t row = i * c->stride + a * c->dilation - c->top, here = least(taps - a * c->kernel_w, c->kernel_w);
        if (row >= c->height) continue; /* also what is above it, since unsigned */
        for (size_t b = 0; b < here; b++) {
            size_t col = j * c->stride + b * c->dilation - c->left;
            if (col >= c->width) continue;
            size_t patch = (a * c->kernel_w + b) * c->in, image = (row * c->width + col) * c->in;
            if (n && s[n - 1].patch + s[n - 1].len == patch && s[n - 1].image + s[n - 1].len == image)
                s[n - 1].len += c->in;
            else
                s[n++] = (span){patch, image, c->in};
        }
    }
    return n;
}

/** Columns of y whose patches reach over no side of the image: they differ in where they begin alone. */
static bool is_inner(const tx_conv *c, size_t j)
{
    return j * c->stride >= c->left && j * c->stride - c->left + (c->kernel_w - 1) * c->dilation < c->width;
}

/** A pixel of y is a pixel of x: x is its own patches. */
static bool is_plain(const tx_conv *c)
{
    return c->kernel_h == 1 && c->kernel_w == 1 && c->stride == 1 && !c->top && !c->left &&
           c->height == c->out_height && c->width == c->out_width;
}

typedef void move(real *patch, real *image, size_t len);

static inline void gather(real *patch, real *image, size_t len)
{
    if (len >= 16)
        memcpy(patch, image, len * sizeof *patch);
    else
        for (size_t k = 0; k < len; k++) patch[k] = image[k];
}

static inline void scatter(real *patch, real *image, size_t len)
{
    for (size_t k = 0; k < len; k++) image[k] += patch[k];
}

/** Moves between the patches of pixels [from, to) of all of y, which begin at p, and the images. */
static inline void each_span(const work *k, size_t from, size_t to, real *p, bool fill, move *how)
{
    const tx_conv *c = k->c;
    span s[TX_CONV_TAPS];
    size_t n = 0, covered = 0, j = from % c->out_width, row = from / c->out_width;
    real *image = NULL;
    for (size_t at = from; at < to; at++, p += k->depth) {
        if (at > from && j > 0 && is_inner(c, j) && is_inner(c, j - 1)) {
            image += c->stride * c->in;
        } else {
            image = k->x + row / c->out_height * c->height * c->width * c->in;
            n = spans_of(c, row % c->out_height, j, s);
            covered = 0;
            for (size_t q = 0; q < n; q++) covered += s[q].len;
        }
        if (fill && covered < k->depth) memset(p, 0, k->depth * sizeof *p);
        for (size_t q = 0; q < n; q++) how(p + s[q].patch, image + s[q].image, s[q].len);
        if (++j == c->out_width) j = 0, row++;
    }
}

static real *mine(const work *k) { return k->patches + (size_t)tx_thread() * k->rows * k->depth; }

static const real *patches(const work *k, size_t from, size_t to)
{
    if (!k->patches) return k->x + from * k->depth;
    real *p = mine(k);
    each_span(k, from, to, p, true, gather);
    return p;
}

static void forward_tile(void *ctx, size_t i)
{
    const work *k = ctx;
    size_t from = i * k->rows, to = least(from + k->rows, k->n * k->pixels), out = k->c->out;
    tx_dense_forward(to - from, k->depth, out, patches(k, from, to), k->w, k->b, k->act, k->y + from * out);
}

/** Images [first, last) of x: the patches that y and w make, added up where they overlap. */
static void transposed_tile(void *ctx, size_t i)
{
    const work *k = ctx;
    const tx_conv *c = k->c;
    size_t first = i * k->group, last = least(first + k->group, k->n), image = c->height * c->width * c->in;
    real *x = k->x + first * image;
    if (k->patches) memset(x, 0, (last - first) * image * sizeof *x);
    for (size_t from = first * k->pixels, to; from < last * k->pixels; from = to) {
        to = least(from + k->rows, last * k->pixels);
        real *p = k->patches ? mine(k) : k->x + from * k->depth;
        tx_gemm_serial(false, true, to - from, k->depth, c->out, 1, k->y + from * c->out, c->out, k->w, c->out, 0, p,
                       k->depth);
        if (k->patches) each_span(k, from, to, p, false, scatter);
    }
    if (k->b) tx_mat_add_row((last - first) * c->height * c->width, c->in, x, k->b, x);
    if (k->act != TX_LINEAR) tx_vec_act(k->act, (last - first) * image, x, x);
}

static void weights_part(void *ctx, size_t i)
{
    const work *k = ctx;
    size_t tiles = divide_up(k->n * k->pixels, k->rows), out = k->c->out, end = tiles * (i + 1) / k->parts;
    for (size_t tile = tiles * i / k->parts, first = tile; tile < end; tile++) {
        size_t from = tile * k->rows, to = least(from + k->rows, k->n * k->pixels);
        tx_gemm_serial(true, false, k->depth, out, to - from, 1, patches(k, from, to), k->depth, k->y + from * out, out,
                       tile > first, k->sums + i * k->depth * out, out);
    }
}

/** The work on n examples, with memory of the arena, which the caller releases. */
static work begin(tx_tape *t, const tx_node *y, size_t n)
{
    work k = {.c = y->a.p, .n = n, .act = (tx_act)y->a.n};
    k.pixels = k.c->out_height * k.c->out_width;
    k.depth = tx_conv_taps(k.c) * k.c->in;
    size_t rows = PATCHES / k.depth;
    k.rows = rows < LEAST ? LEAST : least(rows, MOST);
    k.group = k.rows / k.pixels + !(k.rows / k.pixels);
    k.parts = least(PARTS, divide_up(n * k.pixels, k.rows));
    k.b = y->op->n_in == 3 ? y->in[2]->v.x : NULL;
    if (!is_plain(k.c))
        k.patches = tx_arena_alloc(tx_tape_arena(t), (size_t)tx_threads() * k.rows * k.depth * sizeof(real));
    return k;
}

static void forward_eval(tx_tape *t, tx_node *y)
{
    tx_mark mark = tx_arena_mark(tx_tape_arena(t));
    work k = begin(t, y, tx_rows(y->v));
    k.x = y->in[0]->v.x, k.w = y->in[1]->v.x, k.y = y->v.x;
    tx_parallel(divide_up(k.n * k.pixels, k.rows), forward_tile, &k);
    tx_arena_release(tx_tape_arena(t), mark);
}

static void transposed_eval(tx_tape *t, tx_node *x)
{
    tx_mark mark = tx_arena_mark(tx_tape_arena(t));
    work k = begin(t, x, tx_rows(x->v));
    k.y = x->in[0]->v.x, k.w = x->in[1]->v.x, k.x = x->v.x;
    tx_parallel(divide_up(k.n, k.group), transposed_tile, &k);
    tx_arena_release(tx_tape_arena(t), mark);
}

static void weights_eval(tx_tape *t, tx_node *w)
{
    tx_mark mark = tx_arena_mark(tx_tape_arena(t));
    work k = begin(t, w, tx_rows(w->in[0]->v));
    size_t len = tx_len(w->v);
    k.x = w->in[0]->v.x, k.y = w->in[1]->v.x;
    k.sums = tx_arena_alloc(tx_tape_arena(t), k.parts * len * sizeof(real));
    tx_parallel(k.parts, weights_part, &k);
    memcpy(w->v.x, k.sums, len * sizeof(real));
    for (size_t i = 1; i < k.parts; i++) tx_vec_add(len, w->v.x, k.sums + i * len, w->v.x);
    tx_arena_release(tx_tape_arena(t), mark);
}

/** The gradient of a layer's activation, and from it that of its bias: a sum over pixels. */
static tx_var before_act(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    tx_act act = (tx_act)y->a.n;
    tx_var dz = act == TX_LINEAR ? dy : tx_activation_grad(t, y, dy, act);
    if (y->op->n_in < 3 || !want[2]) return dz;
    size_t channels = tx_cols(y->in[2]->v);
    dx[2] = tx_sum_cols(t, tx_reshape(t, dz, tx_shape2(tx_len(dz->v) / channels, channels)));
    return dz;
}

static void forward_vjp(tx_tape *t, tx_var y, tx_var dy, const bool want[], tx_var dx[])
{
    tx_var dz = before_act(t, y, dy, want, dx);
    if (want[0]) dx[0] = tx_conv_transposed(t, y->a.p, dz, y->in[1]);
    if (want[1]) dx[1] = tx_conv_weights(t, y->a.p, y->in[0], dz);
}

static void transposed_vjp(tx_tape *t, tx_var x, tx_var dx, const bool want[], tx_var dy[])
{
    tx_var dz = before_act(t, x, dx, want, dy);
    if (want[0]) dy[0] = tx_conv_forward(t, x->a.p, dz, x->in[1]);
    if (want[1]) dy[1] = tx_conv_weights(t, x->a.p, dz, x->in[0]);
}

static void weights_vjp(tx_tape *t, tx_var w, tx_var dw, const bool want[], tx_var dx[])
{
    if (want[0]) dx[0] = tx_conv_transposed(t, w->a.p, w->in[1], dw);
    if (want[1]) dx[1] = tx_conv_forward(t, w->a.p, w->in[0], dw);
}

static const tx_op forward = {"conv", 2, forward_eval, forward_vjp};
static const tx_op transposed = {"conv_transposed", 2, transposed_eval, transposed_vjp};
static const tx_op weights = {"conv_weights", 2, weights_eval, weights_vjp};
static const tx_op dense = {"conv_dense", 3, forward_eval, forward_vjp};
static const tx_op dense_transposed = {"conv_transposed_dense", 3, transposed_eval, transposed_vjp};

size_t tx_conv_taps(const tx_conv *c) { return c->taps ? c->taps : c->kernel_h * c->kernel_w; }

tx_conv tx_conv_same(size_t height, size_t width, size_t in, size_t out, size_t kernel, size_t stride)
{
    TX_REQUIRE(kernel > 0 && stride > 0, "kernel %zu, stride %zu", kernel, stride);
    return (tx_conv){.height = height,
                     .width = width,
                     .in = in,
                     .out_height = divide_up(height, stride),
                     .out_width = divide_up(width, stride),
                     .out = out,
                     .kernel_h = kernel,
                     .kernel_w = kernel,
                     .stride = stride,
                     .dilation = 1,
                     .top = (kernel - 1) / 2,
                     .left = (kernel - 1) / 2};
}

static size_t length_in(const tx_conv *c) { return c->height * c->width * c->in; }
static size_t length_out(const tx_conv *c) { return c->out_height * c->out_width * c->out; }

static void require(const tx_op *op, const tx_conv *c, tx_var x, tx_var y, tx_var w)
{
    size_t taps = tx_conv_taps(c);
    TX_REQUIRE(length_in(c) && length_out(c) && c->stride && c->dilation && taps && taps <= TX_CONV_TAPS &&
                   taps <= c->kernel_h * c->kernel_w,
               "%s: [%zu,%zu,%zu] to [%zu,%zu,%zu], kernel [%zu,%zu], stride %zu, dilation %zu, %zu taps", op->name,
               c->height, c->width, c->in, c->out_height, c->out_width, c->out, c->kernel_h, c->kernel_w, c->stride,
               c->dilation, taps);
    TX_REQUIRE(!x || tx_cols(x->v) == length_in(c), "%s: %zu columns of x, not %zu", op->name, tx_cols(x->v),
               length_in(c));
    TX_REQUIRE(!y || tx_cols(y->v) == length_out(c), "%s: %zu columns of y, not %zu", op->name, tx_cols(y->v),
               length_out(c));
    TX_REQUIRE(!w || (tx_rows(w->v) == taps * c->in && tx_cols(w->v) == c->out), "%s: w[%zu,%zu], not [%zu,%zu]",
               op->name, tx_rows(w->v), tx_cols(w->v), taps * c->in, c->out);
}

tx_var tx_conv_forward(tx_tape *t, const tx_conv *c, tx_var x, tx_var w)
{
    require(&forward, c, x, NULL, w);
    return tx_apply(t, &forward, tx_shape2(tx_rows(x->v), length_out(c)), (tx_var[]){x, w}, (tx_attr){.p = c});
}

tx_var tx_conv_transposed(tx_tape *t, const tx_conv *c, tx_var y, tx_var w)
{
    require(&transposed, c, NULL, y, w);
    return tx_apply(t, &transposed, tx_shape2(tx_rows(y->v), length_in(c)), (tx_var[]){y, w}, (tx_attr){.p = c});
}

tx_var tx_conv_weights(tx_tape *t, const tx_conv *c, tx_var x, tx_var y)
{
    require(&weights, c, x, y, NULL);
    TX_REQUIRE(tx_rows(x->v) == tx_rows(y->v), "conv_weights: %zu and %zu rows", tx_rows(x->v), tx_rows(y->v));
    return tx_apply(t, &weights, tx_shape2(tx_conv_taps(c) * c->in, c->out), (tx_var[]){x, y}, (tx_attr){.p = c});
}

tx_var tx_conv_dense(tx_tape *t, const tx_conv *c, tx_var x, tx_var w, tx_var b, tx_act act)
{
    require(&dense, c, x, NULL, w);
    TX_REQUIRE(tx_len(b->v) == c->out, "conv_dense: %zu biases of %zu channels", tx_len(b->v), c->out);
    return tx_apply(t, &dense, tx_shape2(tx_rows(x->v), length_out(c)), (tx_var[]){x, w, b},
                    (tx_attr){.p = c, .n = act});
}

tx_var tx_conv_transposed_dense(tx_tape *t, const tx_conv *c, tx_var y, tx_var w, tx_var b, tx_act act)
{
    require(&dense_transposed, c, NULL, y, w);
    TX_REQUIRE(tx_len(b->v) == c->in, "conv_transposed_dense: %zu biases of %zu channels", tx_len(b->v), c->in);
    return tx_apply(t, &dense_transposed, tx_shape2(tx_rows(y->v), length_in(c)), (tx_var[]){y, w, b},
                    (tx_attr){.p = c, .n = act});
}
