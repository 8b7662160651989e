#include "common/tensor/kernels.h"
#include <cblas.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif
#include "common/tensor/kernels_isa.h"
#include "common/tensor/parallel.h"

/* OpenBLAS beyond cblas.h. */
void openblas_set_num_threads(int n);
char *openblas_get_corename(void);

static bool always(void) { return true; }
/* Clang before 18 does not know the levels by name: then by what tells each from the one below. */
#if defined __clang__ && __clang_major__ < 18
#define HAS_V2 (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
#define HAS_V3                                                                                                         \
    (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&               \
     __builtin_cpu_supports("bmi2"))
#define HAS_V4                                                                                                         \
    (HAS_V3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&                              \
     __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#else
#define HAS_V2 __builtin_cpu_supports("x86-64-v2")
#define HAS_V3 __builtin_cpu_supports("x86-64-v3")
#define HAS_V4 __builtin_cpu_supports("x86-64-v4")
#endif
#ifdef TX_HAVE_v2
static bool has_v2(void) { return HAS_V2; }
#endif
#ifdef TX_HAVE_v3
static bool has_v3(void) { return HAS_V3; }
#endif
#ifdef TX_HAVE_v4
static bool has_v4(void) { return HAS_V4; }
#endif

typedef struct choice {
    const char *name;
    const char *blas_core; /* OpenBLAS kernels that this set runs; NULL for what OpenBLAS falls back to */
    const char *blas_fits; /* all of its kernels that need no less than this set; NULL: any do */
    const tx_isa *isa;
    bool (*supported)(void);
} choice;

/* Best first. */
static const choice choices[] = {
#ifdef TX_HAVE_v4
    {"x86-64-v4", "SkylakeX", "SkylakeX Cooperlake SapphireRapids", &tx_isa_v4, has_v4},
#endif
#ifdef TX_HAVE_v3
    {"x86-64-v3", "Haswell", "Haswell Zen Excavator", &tx_isa_v3, has_v3},
#endif
#ifdef TX_HAVE_v2
    {"x86-64-v2", NULL, NULL, &tx_isa_v2, has_v2},
    {"x86-64", NULL, NULL, &tx_isa_baseline, always},
#else
    {"generic", NULL, NULL, &tx_isa_baseline, always},
#endif
};

static _Atomic(const choice *) chosen;

static const choice *pick(const char *name)
{
    for (size_t i = 0; i < TX_LEN(choices); i++)
        if (choices[i].supported() && (!name || strcmp(name, choices[i].name) == 0)) return &choices[i];
    return NULL;
}

const char *tx_blas_core(void) { return openblas_get_corename(); }

const char *tx_blas_better_core(void) { return strcmp(tx_blas_core(), "Prescott") == 0 ? pick(NULL)->blas_core : NULL; }

bool tx_blas_core_is_old(void)
{
    const char *fits = pick(NULL)->blas_fits;
    return fits && !strstr(fits, tx_blas_core());
}

static void choose(const choice *c)
{
    openblas_set_num_threads(1);
    atomic_store(&chosen, c);
}

static const choice *now(void)
{
    const choice *c = atomic_load_explicit(&chosen, memory_order_acquire);
    if (c) return c;
    choose(pick(NULL));
    return atomic_load(&chosen);
}

const tx_isa *tx_isa_now(void) { return now()->isa; }
const char *tx_kernels_isa(void) { return now()->name; }

tx_status tx_kernels_start(void)
{
    const char *name = getenv("TAXON_ISA");
    const choice *c = pick(name && *name ? name : NULL);
    if (!c) {
        char list[256] = "";
        for (size_t i = 0, at = 0; i < TX_LEN(choices); i++)
            if (choices[i].supported())
                at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", choices[i].name);
        return tx_fail(TX_EUSAGE, "environment: TAXON_ISA=%s is unknown or not supported here; possible: %s", name,
                       list);
    }
    choose(c);
    return TX_OK;
}

/* Element and row loops: below SMALL elements one tile, else tiles of at least TILE, at most TILES of them. */
enum { SMALL = 16384, TILE = 8192, TILES = 64, UNIT = 64 };

static size_t divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }

/* Units of `width` elements in a tile; a multiple of UNIT where units are single elements. */
static size_t tile_of(size_t n, size_t width)
{
    if (n <= SMALL / width) return n;
    size_t least = divide_up(TILE, width), most = divide_up(n, TILES), tile = least > most ? least : most;
    return width == 1 ? divide_up(tile, UNIT) * UNIT : tile;
}

typedef struct pass {
    tx_loop *loop;
    tx_fold *fold;
    const tx_args *args;
    size_t n, tile;
    double *part;
} pass;

static void pass_tile(void *ctx, size_t i)
{
    const pass *p = ctx;
    size_t from = i * p->tile, to = p->n - from < p->tile ? p->n : from + p->tile;
    if (p->loop)
        p->loop(p->args, from, to);
    else
        p->part[i] = p->fold(p->args, from, to);
}

void tx_isa_run(tx_loop *loop, const tx_args *a, size_t n, size_t width)
{
    if (!n || !width) return;
    pass p = {.loop = loop, .args = a, .n = n, .tile = tile_of(n, width)};
    tx_parallel(divide_up(n, p.tile), pass_tile, &p);
}

/* The sum of what `f` says of each tile, in their order. */
static double fold_by(void (*tile)(void *, size_t), tx_fold *f, const tx_args *a, size_t n)
{
    double part[TILES] = {0}, s = 0;
    if (!n) return 0;
    pass p = {.fold = f, .args = a, .n = n, .tile = tile_of(n, 1), .part = part};
    size_t tiles = divide_up(n, p.tile);
    tx_parallel(tiles, tile, &p);
    for (size_t i = 0; i < tiles; i++) s += part[i];
    return s;
}

static double fold(tx_fold *f, const tx_args *a, size_t n) { return fold_by(pass_tile, f, a, n); }

/* An optimiser's running means of a weight that sees no gradient any more, as of a pixel that is never on, shrink until
 * they are subnormal, where x86 takes a hundred cycles for each product: there they are 0. */
static void update_tile(void *ctx, size_t i)
{
#ifdef __SSE2__
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON);
    pass_tile(ctx, i);
    _mm_setcsr(mode);
#else
    pass_tile(ctx, i);
#endif
}

/* True if all gradients and new weights are finite. */
static bool update(tx_fold *f, const tx_args *a, size_t n) { return fold_by(update_tile, f, a, n) == 0; }

/* C is cut along its longer side, since each part packs the other operand again: into 2 parts of at least GEMM_COLS
 * columns or GEMM_ROWS rows, into 4 from 16 times that (a layer of 1000 x 1000 in quarters costs two threads a tenth
 * more than in halves). */
enum { GEMM_COLS = 96, GEMM_ROWS = 64, GEMM_UNIT = 16, GEMM_SMALL = 1 << 19 };

typedef struct gemm {
    bool ta, tb;
    size_t m, n, k;
    real alpha;
    const real *a;
    size_t lda;
    const real *b;
    size_t ldb;
    real beta;
    real *c;
    size_t ldc;
    bool by_cols;
    size_t tiles;
    const real *bias; /* of a dense layer */
    tx_loop *after;   /* on each row of a finished tile; NULL if there is none */
} gemm;

static void scale(size_t m, size_t n, real beta, real *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
}

void tx_gemm_serial(bool ta, bool tb, size_t m, size_t n, size_t k, real alpha, const real *a, size_t lda,
                    const real *b, size_t ldb, real beta, real *c, size_t ldc)
{
    TX_REQUIRE(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX,
               "BLAS counts in int: m %zu n %zu k %zu lda %zu ldb %zu ldc %zu", m, n, k, lda, ldb, ldc);
    TX_REQUIRE(lda >= (ta ? m : k) && ldb >= (tb ? k : n) && ldc >= n, "m %zu n %zu k %zu lda %zu ldb %zu ldc %zu", m,
               n, k, lda, ldb, ldc);
    (void)now();
    if (!m || !n) return;
    if (!k) {
        scale(m, n, beta, c, ldc);
        return;
    }
    CBLAS_TRANSPOSE opa = ta ? CblasTrans : CblasNoTrans, opb = tb ? CblasTrans : CblasNoTrans;
#ifdef TX_DOUBLE
    cblas_dgemm(CblasRowMajor, opa, opb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#else
    cblas_sgemm(CblasRowMajor, opa, opb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#endif
}

/* Where tile i begins: all are equal up to GEMM_UNIT. */
static size_t cut(const gemm *g, size_t i)
{
    size_t side = g->by_cols ? g->n : g->m;
    return i == g->tiles ? side : side * i / g->tiles / GEMM_UNIT * GEMM_UNIT;
}

static void gemm_tile(void *ctx, size_t i)
{
    const gemm *g = ctx;
    size_t from = cut(g, i), size = cut(g, i + 1) - from;
    size_t row = g->by_cols ? 0 : from, col = g->by_cols ? from : 0;
    size_t m = g->by_cols ? g->m : size, n = g->by_cols ? size : g->n;
    const real *a = g->a + row * (g->ta ? 1 : g->lda), *b = g->b + col * (g->tb ? g->ldb : 1);
    real *c = g->c + row * g->ldc + col;
    tx_gemm_serial(g->ta, g->tb, m, n, g->k, g->alpha, a, g->lda, b, g->ldb, g->beta, c, g->ldc);
    for (size_t r = 0; g->after && r < m; r++) {
        real *y = c + r * g->ldc;
        g->after(&(tx_args){.in = {y, g->bias ? g->bias + col : NULL}, .out = {y}}, 0, n);
    }
}

static void gemm_run(gemm *g)
{
    if (!g->m || !g->n) return;
    g->by_cols = g->n >= g->m;
    size_t side = g->by_cols ? g->n : g->m, parts = side / (g->by_cols ? GEMM_COLS : GEMM_ROWS);
    bool small = parts < 2 || (double)g->m * (double)g->n * (double)g->k < GEMM_SMALL;
    g->tiles = small ? 1 : (parts < 16 ? 2 : 4);
    tx_parallel(g->tiles, gemm_tile, g);
}

void tx_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, real alpha, const real *a, size_t lda, const real *b,
             size_t ldb, real beta, real *c, size_t ldc)
{
    gemm_run(&(gemm){.ta = ta,
                     .tb = tb,
                     .m = m,
                     .n = n,
                     .k = k,
                     .alpha = alpha,
                     .a = a,
                     .lda = lda,
                     .b = b,
                     .ldb = ldb,
                     .beta = beta,
                     .c = c,
                     .ldc = ldc});
}

enum { SOLVE_ROWS = 64 };
typedef struct unit_upper {
    size_t n, d;
    const real *upper;
    real *y;
} unit_upper;

static void solve_tile(void *ctx, size_t tile)
{
    const unit_upper *u = ctx;
    size_t from = tile * SOLVE_ROWS, rows = u->n - from < SOLVE_ROWS ? u->n - from : SOLVE_ROWS;
    real *y = u->y + from * u->d;
    int m = (int)rows, d = (int)u->d;
#ifdef TX_DOUBLE
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasUnit, m, d, 1, u->upper, d, y, d);
#else
    cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasUnit, m, d, 1, u->upper, d, y, d);
#endif
}

void tx_solve_unit_upper(size_t n, size_t d, const real *upper, real *y)
{
    TX_REQUIRE(d <= INT_MAX, "BLAS counts in int: %zu columns", d);
    (void)now();
    tx_parallel(divide_up(n, SOLVE_ROWS), solve_tile, &(unit_upper){n, d, upper, y});
}

static tx_loop *after_product(tx_act act, const real *b)
{
    const tx_isa *isa = tx_isa_now();
    return b ? isa->bias_act[act] : (act == TX_LINEAR ? NULL : isa->act[act]);
}

void tx_dense_forward(size_t n, size_t i, size_t o, const real *x, const real *w, const real *b, tx_act act, real *y)
{
    gemm_run(&(gemm){.m = n,
                     .n = o,
                     .k = i,
                     .alpha = 1,
                     .a = x,
                     .lda = i,
                     .b = w,
                     .ldb = o,
                     .c = y,
                     .ldc = o,
                     .bias = b,
                     .after = after_product(act, b)});
}

void tx_dense_transposed(size_t n, size_t o, size_t i, real alpha, const real *x, const real *w, const real *b,
                         tx_act act, real *y)
{
    gemm_run(&(gemm){.tb = true,
                     .m = n,
                     .n = i,
                     .k = o,
                     .alpha = alpha,
                     .a = x,
                     .lda = o,
                     .b = w,
                     .ldb = o,
                     .c = y,
                     .ldc = i,
                     .bias = b,
                     .after = after_product(act, b)});
}

void tx_vec_act(tx_act act, size_t len, const real *x, real *y)
{
    tx_isa_run(tx_isa_now()->act[act], &(tx_args){.in = {x}, .out = {y}}, len, 1);
}

void tx_vec_act_grad(tx_act act, size_t len, const real *y, const real *dy, real *dz)
{
    tx_isa_run(tx_isa_now()->act_grad[act], &(tx_args){.in = {y, dy}, .out = {dz}}, len, 1);
}

#define UNARY(op)                                                                                                      \
    void tx_vec_##op(size_t len, const real *x, real *y)                                                               \
    {                                                                                                                  \
        tx_isa_run(tx_isa_now()->op, &(tx_args){.in = {x}, .out = {y}}, len, 1);                                       \
    }
#define BINARY(op)                                                                                                     \
    void tx_vec_##op(size_t len, const real *a, const real *b, real *y)                                                \
    {                                                                                                                  \
        tx_isa_run(tx_isa_now()->op, &(tx_args){.in = {a, b}, .out = {y}}, len, 1);                                    \
    }
UNARY(exp)
UNARY(log)
UNARY(sqrt)
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)

void tx_vec_affine(size_t len, real scale_x, const real *x, real shift, real *y)
{
    tx_isa_run(tx_isa_now()->affine, &(tx_args){.in = {x}, .out = {y}, .c = {scale_x, shift}}, len, 1);
}

void tx_vec_axpy(size_t len, real alpha, const real *x, real *y)
{
    tx_isa_run(tx_isa_now()->axpy, &(tx_args){.in = {x, y}, .out = {y}, .c = {alpha}}, len, 1);
}

void tx_vec_clip(size_t len, const real *x, real lo, real hi, real *y)
{
    tx_isa_run(tx_isa_now()->clip, &(tx_args){.in = {x}, .out = {y}, .c = {lo, hi}}, len, 1);
}

#define ROW_BINARY(op)                                                                                                 \
    void tx_mat_##op(size_t n, size_t d, const real *x, const real *vec, real *y)                                      \
    {                                                                                                                  \
        tx_isa_run(tx_isa_now()->op, &(tx_args){.d = d, .in = {x, vec}, .out = {y}}, n, d);                            \
    }
ROW_BINARY(add_row)
ROW_BINARY(mul_row)
ROW_BINARY(mul_col)

/* Rows of no columns still have a value, hence the width of at least 1. */
static void rows(tx_loop *loop, const tx_args *a, size_t n, size_t width) { tx_isa_run(loop, a, n, width + !width); }

void tx_mat_sum_rows(size_t n, size_t d, const real *x, real *y)
{
    rows(tx_isa_now()->sum_rows, &(tx_args){.d = d, .in = {x}, .out = {y}}, n, d);
}

/* Cut into few panels: rows are read in runs of whole cache lines. */
void tx_mat_sum_cols(size_t n, size_t d, const real *x, real *y)
{
    enum { PANELS = 4, PANEL = 96 };
    if (!d) return;
    size_t most = divide_up(divide_up(d, PANELS), UNIT / 4) * (UNIT / 4), tile = most > PANEL ? most : PANEL;
    pass p = {.loop = tx_isa_now()->sum_cols,
              .args = &(tx_args){.n = n, .d = d, .in = {x}, .out = {y}},
              .n = d,
              .tile = n <= SMALL / d ? d : tile};
    tx_parallel(divide_up(d, p.tile), pass_tile, &p);
}

void tx_mat_logsumexp(size_t n, size_t d, const real *x, real *y)
{
    rows(tx_isa_now()->logsumexp, &(tx_args){.d = d, .in = {x}, .out = {y}}, n, d);
}

double tx_vec_sum(size_t len, const real *x) { return fold(tx_isa_now()->sum, &(tx_args){.in = {x}}, len); }
double tx_vec_dot(size_t len, const real *x, const real *y)
{
    return fold(tx_isa_now()->dot, &(tx_args){.in = {x, y}}, len);
}
bool tx_vec_finite(size_t len, const real *x) { return fold(tx_isa_now()->nonfinite, &(tx_args){.in = {x}}, len) == 0; }

void tx_bernoulli_rows(size_t n, size_t d, const real *logit, const real *x, real *y, real *g)
{
    rows(tx_isa_now()->bernoulli, &(tx_args){.d = d, .in = {logit, x}, .out = {y, g}}, n, d);
}

void tx_normal_rows(size_t n, size_t d, const real *x, const real *mu, const real *logvar, real *y, real *gmu,
                    real *glv)
{
    rows(tx_isa_now()->normal, &(tx_args){.d = d, .in = {x, mu, logvar}, .out = {y, gmu, glv}}, n, d);
}

void tx_logistic_rows(size_t n, size_t d, const real *z, real *y, real *g)
{
    rows(tx_isa_now()->logistic, &(tx_args){.d = d, .in = {z}, .out = {y, g}}, n, d);
}

void tx_mog_rows(size_t n, size_t d, size_t k, const real *x, const real *logit, const real *mean, const real *logsd,
                 real *y, real *glogit, real *gmean, real *glogsd, real *gx)
{
    TX_REQUIRE(k >= 1 && k <= TX_MOG_MAX, "%zu components, not 1 to %d", k, TX_MOG_MAX);
    TX_REQUIRE(!glogit == !gmean && !glogit == !glogsd && !glogit == !gx,
               "gradients are wanted together or not at all");
    rows(tx_isa_now()->mog,
         &(tx_args){.d = d, .k = k, .in = {x, logit, mean, logsd}, .out = {y, glogit, gmean, glogsd, gx}}, n, d * k);
}

bool tx_sgd_update(size_t len, real lr, real gscale, real decay, real momentum, bool nesterov, const real *g,
                   real *velocity, real *w)
{
    const tx_args a = {.in = {g}, .out = {w, velocity}, .c = {lr, gscale, decay, momentum, nesterov}};
    return update(momentum != 0 ? tx_isa_now()->sgd : tx_isa_now()->descent, &a, len);
}

bool tx_rmsprop_update(size_t len, real lr, real gscale, real decay, real rho, real eps, real momentum, const real *g,
                       real *square, real *velocity, real *w)
{
    const tx_args a = {.in = {g}, .out = {w, square, velocity}, .c = {lr, gscale, decay, rho, eps, momentum}};
    return update(tx_isa_now()->rmsprop, &a, len);
}

bool tx_adagrad_update(size_t len, real lr, real gscale, real decay, real eps, const real *g, real *square, real *w)
{
    const tx_args a = {.in = {g}, .out = {w, square}, .c = {lr, gscale, decay, eps}};
    return update(tx_isa_now()->adagrad, &a, len);
}

bool tx_adam_update(size_t len, real lr, real gscale, real decay, real beta1, real beta2, real eps, real bias1,
                    real bias2, const real *g, real *m, real *v, real *w)
{
    const tx_args a = {.in = {g}, .out = {w, m, v}, .c = {lr, gscale, decay, beta1, beta2, eps, bias1, bias2}};
    return update(tx_isa_now()->adam, &a, len);
}
