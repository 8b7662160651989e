/* Random streams: known answers, independence of how a fill is cut, and distributions at 5 sigma. */
#include <Random123/philox.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <float.h>
#include <stdlib.h>
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"
#include "common/tensor/rng.h"
#include "tests/support/check.h"

enum { N = 200000 };
static real x[N], y[N], p[N];
static const double SIGMA5 = 2.8665157e-7; /* one tail of a normal beyond 5 */

static const char *const isas[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};

static bool use_isa(size_t i)
{
    setenv("TAXON_ISA", isas[i], 1);
    bool good = tx_kernels_start() == TX_OK;
    unsetenv("TAXON_ISA");
    return good;
}

/* Random123's kat_vectors for philox4x32 with 10 rounds. */
static void test_known_answers(void)
{
    static const struct {
        uint32_t c[4], k[2], want[4];
    } kat[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < TX_LEN(kat); i++) {
        tx_rng r = {.key = (uint64_t)kat[i].k[1] << 32 | kat[i].k[0],
                    .path = (uint64_t)kat[i].c[1] << 32 | kat[i].c[0]};
        uint32_t w[4];
        tx_rng_block(r, (uint64_t)kat[i].c[3] << 32 | kat[i].c[2], w);
        for (int j = 0; j < 4; j++) CHECK_INT(w[j], kat[i].want[j]);
    }
}

/* How seeds, numbers and names become streams: as common/tensor/rng.c says, by a Philox written anew in Python. Every
 * stored result goes back to these streams. */
static void test_derivation(void)
{
    const uint64_t seed = 0xfedcba9876543210u;
    const tx_rng a = tx_rng_root(seed), b = tx_rng_root(2385);
    const struct {
        tx_rng r;
        uint64_t key, path, first; /* 64 bits of block 0 */
    } kat[] = {
        {tx_rng_root(0), 0, 0, 0xe169c58d6627e8d5u},
        {a, seed, 0, 0x0559bf7fba4b834cu},
        {tx_rng_fold(a, 7), seed, 0x70ba21858fb2c21eu, 0x11989f5e070cb9b6u},
        {tx_rng_fold(a, ((uint64_t)1 << 40) + 5), seed, 0xeb3ff708aa8f68acu, 0xf0606bce3bb26594u},
        {tx_rng_named(a, ""), seed, 0x1c84c6631356f34au, 0xa2101c389c322a24u},
        {tx_rng_named(a, "shuffle"), seed, 0xbfefb1b72f1e30ccu, 0x8c8eb6ad06895699u},
        {tx_rng_named(b, "eight888"), 2385, 0xaa21a38c462a7ef8u, 0xc078f0c27eddb04eu},
        {tx_rng_named(b, "linear rows"), 2385, 0xabebc9eda2e29ae4u, 0xf86aff60e50c417eu},
        {tx_rng_named(b, "\xc3\xa9"), 2385, 0xddb1fc75ca2c6f4fu, 0xce682421d3a7797du},
        {tx_rng_fold(tx_rng_named(b, "init"), 3), 2385, 0x3a4070a7921ae2dcu, 0x639a8d77cd0309cbu},
        {tx_rng_named(tx_rng_fold(b, 3), "init"), 2385, 0x5bcb2d1452370505u, 0x4617438902e6bda0u},
    };
    for (size_t i = 0; i < TX_LEN(kat); i++) {
        uint32_t w[4];
        tx_rng_block(kat[i].r, 0, w);
        CHECK_TRUE(kat[i].r.key == kat[i].key && kat[i].r.path == kat[i].path);
        CHECK_TRUE(((uint64_t)w[1] << 32 | w[0]) == kat[i].first);
    }
}

/* The vectorised fills use Random123's words, in order, also where the block number's halves carry. */
static void test_fill_is_philox(void)
{
    const tx_rng r = tx_rng_fold(tx_rng_root(0x123456789abcdef0u), 77);
    const uint64_t start[] = {0, 5, ((uint64_t)1 << 34) - 9, ((uint64_t)1 << 33) - 3};
    for (size_t s = 0; s < TX_LEN(start) * TX_LEN(isas); s++) {
        if (!use_isa(s / TX_LEN(start))) continue;
        uint64_t first = start[s % TX_LEN(start)];
        tx_rng_uniform(r, first, 1001, x);
        int bad = 0;
        for (size_t i = 0; i < 1001; i++) {
            uint64_t e = first + i;
            philox4x32_key_t key = {{(uint32_t)r.key, (uint32_t)(r.key >> 32)}};
#ifdef TX_DOUBLE
            uint64_t block = e / 2;
#else
            uint64_t block = e / 4;
#endif
            philox4x32_ctr_t ctr = {
                {(uint32_t)r.path, (uint32_t)(r.path >> 32), (uint32_t)block, (uint32_t)(block >> 32)}};
            ctr = philox4x32(ctr, key);
#ifdef TX_DOUBLE
            uint64_t w = (uint64_t)ctr.v[2 * (e % 2) + 1] << 32 | ctr.v[2 * (e % 2)];
            bad += x[i] != ((double)(w >> 12) + 0.5) / 4503599627370496.0 || x[i] != tx_rng_uniform1(r, e);
#else
            bad += x[i] != ((float)(ctr.v[e % 4] >> 9) + 0.5f) / 8388608.0f;
#endif
        }
        CHECK_INT(bad, 0);
    }
    CHECK_OK(tx_kernels_start());
}

#ifndef TX_DOUBLE
/* Float normals are Box-Muller's of their words; of the uniforms only the rounding to float is taken as given. */
static void box_muller(void)
{
    const tx_rng r = tx_rng_root(12);
    double worst = 0;
    tx_rng_normal(r, 0, 40000, x);
    for (uint64_t b = 0; b < 10000; b++) {
        uint32_t w[4];
        tx_rng_block(r, b, w);
        for (int j = 0; j < 4; j++) {
            double radius = sqrt(-2 * log((double)(((float)w[j & 2] + 0.5f) / 4294967296.0f)));
            double angle = 2 * M_PI * ((double)w[j | 1] + 0.5) / 4294967296.0;
            double error = fabs((double)x[4 * b + (uint64_t)j] - radius * (j & 1 ? sin(angle) : cos(angle)));
            worst = fmax(worst, error / (radius + 1e-30));
        }
    }
    CHECK_NEAR(worst, 0, 2 * FLT_EPSILON);
}
#else
static void box_muller(void)
{
    tx_rng_normal(tx_rng_root(12), 0, 1000, x);
    for (uint64_t i = 0; i < 1000; i++) CHECK_NEAR(x[i], tx_rng_normal1(tx_rng_root(12), i), 1e-15);
}
#endif
static void test_box_muller(void)
{
    for (size_t i = 0; i < TX_LEN(isas); i++)
        if (use_isa(i)) box_muller();
    CHECK_OK(tx_kernels_start());
}

typedef void filler(tx_rng r, uint64_t first, size_t n, real out[]);
static void bernoulli(tx_rng r, uint64_t first, size_t n, real out[]) { tx_rng_bernoulli(r, first, n, p + first, out); }
static filler *const fills[] = {tx_rng_uniform, tx_rng_normal, tx_rng_logistic, bernoulli};

/* Bits of an element depend on its place in the stream only: not on the call, the ISA's vectors or the threads. */
static void test_pieces(void)
{
    const tx_rng r = tx_rng_named(tx_rng_root(9), "pieces");
    const size_t n = 40000;
    for (size_t i = 0; i < n; i++) p[i] = (real)((double)(i % 97) / 96.0);
    for (size_t k = 0; k < TX_LEN(isas) * TX_LEN(fills); k++) {
        filler *fill = fills[k % TX_LEN(fills)];
        if (!use_isa(k / TX_LEN(fills))) continue;
        tx_threads_set(1 + (int)(k % 3));
        fill(r, 0, n, x);
        tx_threads_set(1);
        for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 1021) {
            size_t m = n - at < step ? n - at : step;
            fill(r, at, m, y + at);
        }
        CHECK_INT(memcmp(x, y, n * sizeof *x), 0);
    }
    CHECK_OK(tx_kernels_start());
}

/* Pearson's statistic over `cells` equally probable cells; cell numbers by the caller's cdf. */
static double chi_square(size_t n, const double u[], size_t cells)
{
    double *count = tx_alloc(cells, sizeof *count), s = 0, want = (double)n / (double)cells;
    for (size_t i = 0; i < n; i++) count[(size_t)(u[i] * (double)cells)]++;
    for (size_t c = 0; c < cells; c++) s += (count[c] - want) * (count[c] - want) / want;
    free(count);
    return s;
}

static double cdf_uniform(double v) { return v; }
static double cdf_normal(double v) { return gsl_cdf_ugaussian_P(v); }
static double cdf_logistic(double v) { return gsl_cdf_logistic_P(v, 1); }

static void test_distributions(void)
{
    static double u[N];
    double (*const cdf[])(double) = {cdf_uniform, cdf_normal, cdf_logistic};
    const double mean[] = {0.5, 0, 0}, var[] = {1 / 12.0, 1, 3.28986813369645};
    const double kurtosis[] = {1.8, 3, 4.2}; /* fourth central moment over var^2 */
    for (size_t k = 0; k < TX_LEN(cdf); k++) {
        fills[k](tx_rng_fold(tx_rng_root(2016), k), 0, N, x);
        double s1 = 0, s2 = 0, lag = 0;
        for (int i = 0; i < N; i++) {
            double e = (double)x[i] - mean[k];
            s1 += e;
            s2 += e * e;
            if (i) lag += e * ((double)x[i - 1] - mean[k]);
            u[i] = cdf[k]((double)x[i]);
        }
        CHECK_NEAR(s1 / N, 0, 5 * sqrt(var[k] / N));
        CHECK_NEAR(s2 / N, var[k], 5 * var[k] * sqrt((kurtosis[k] - 1) / N));
        CHECK_NEAR(lag / N, 0, 5 * var[k] / sqrt(N));
        double q = gsl_cdf_chisq_Q(chi_square(N, u, 256), 255);
        CHECK_TRUE(q > SIGMA5 && q < 1 - SIGMA5);
        for (int i = 0; i < N / 2; i++)
            u[i] = ((int)(u[2 * i] * 16) + u[2 * i + 1]) / 16; /* neighbours are independent */
        q = gsl_cdf_chisq_Q(chi_square(N / 2, u, 256), 255);
        CHECK_TRUE(q > SIGMA5 && q < 1 - SIGMA5);
    }
}

static void test_bernoulli(void)
{
    for (int i = 0; i < N; i++) p[i] = (real)(i % 5) / 4;
    tx_rng_bernoulli(tx_rng_root(4), 0, N, p, x);
    double s[5] = {0};
    int other = 0;
    for (int i = 0; i < N; i++) {
        s[i % 5] += (double)x[i];
        other += x[i] != 0 && x[i] != 1;
    }
    CHECK_INT(other, 0);
    for (int c = 0; c < 5; c++) CHECK_NEAR(s[c] / (N / 5), c / 4.0, 5 * sqrt(c / 4.0 * (1 - c / 4.0) / (N / 5)));
    memcpy(y, p, sizeof y);
    tx_rng_bernoulli(tx_rng_root(4), 0, N, y, y);
    CHECK_INT(memcmp(x, y, sizeof x), 0);
}

/* 20 million uniforms in pieces: the extremes of 2^23 cells are met and are neither 0 nor 1. */
static void test_open_interval(void)
{
    double lo = 1, hi = 0;
    for (uint64_t b = 0; b < 100; b++) {
        tx_rng_uniform(tx_rng_root(1), b * N, N, x);
        for (int i = 0; i < N; i++) {
            lo = (double)x[i] < lo ? (double)x[i] : lo;
            hi = (double)x[i] > hi ? (double)x[i] : hi;
        }
    }
    CHECK_TRUE(lo > 0 && lo < 1e-6);
    CHECK_TRUE(hi < 1 && hi > 1 - 1e-6);
}

static void test_scalars(void)
{
    double s1 = 0, s2 = 0, u1 = 0;
    const tx_rng r = tx_rng_root(11);
    for (uint64_t i = 0; i < N; i++) {
        double v = tx_rng_normal1(r, i);
        s1 += v;
        s2 += v * v;
        u1 += tx_rng_uniform1(r, i);
    }
    CHECK_NEAR(s1 / N, 0, 5 / sqrt(N));
    CHECK_NEAR(s2 / N, 1, 5 * sqrt(2.0 / N));
    CHECK_NEAR(u1 / N, 0.5, 5 * sqrt(1 / 12.0 / N));
}

static int by_value(const void *a, const void *b)
{
    const uint64_t u = *(const uint64_t *)a, v = *(const uint64_t *)b;
    return (u > v) - (u < v);
}

/* 64-bit beginnings of 10^6 streams: of numbers, names, numbers below a number, and seeds. A repetition has probability
 * 3e-8. */
static void test_streams_differ(void)
{
    enum { STREAMS = 1000000 };
    uint64_t *first = tx_alloc(STREAMS, sizeof *first);
    const tx_rng root = tx_rng_root(3);
    for (size_t i = 0; i < STREAMS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu", i / 4);
        tx_rng r = i % 4 == 0   ? tx_rng_fold(root, i / 4)
                   : i % 4 == 1 ? tx_rng_named(root, name)
                   : i % 4 == 2 ? tx_rng_fold(tx_rng_fold(root, 1), i / 4)
                                : tx_rng_root(i / 4);
        uint32_t w[4];
        tx_rng_block(r, 0, w);
        first[i] = (uint64_t)w[1] << 32 | w[0];
    }
    qsort(first, STREAMS, sizeof *first, by_value);
    int same = 0;
    for (size_t i = 1; i < STREAMS; i++) same += first[i] == first[i - 1];
    CHECK_INT(same, 0);
    free(first);
}

static bool same(tx_rng a, tx_rng b) { return a.key == b.key && a.path == b.path; }

static void test_names(void)
{
    const tx_rng r = tx_rng_root(8);
    CHECK_TRUE(same(tx_rng_named(r, "shuffle"), tx_rng_named(r, "shuffle")));
    CHECK_TRUE(!same(tx_rng_named(r, "1"), tx_rng_fold(r, 1)));
    CHECK_TRUE(!same(tx_rng_named(r, "1"), tx_rng_fold(r, '1')));
    CHECK_TRUE(!same(tx_rng_named(r, "1"), tx_rng_fold(tx_rng_fold(r, '1'), 1)));
    CHECK_TRUE(!same(tx_rng_named(r, ""), r));
    CHECK_TRUE(!same(tx_rng_named(r, "abcdefgh"), tx_rng_named(tx_rng_named(r, "abcd"), "efgh")));
    CHECK_TRUE(!same(tx_rng_named(r, "abcdefgh1"), tx_rng_named(r, "abcdefgh2")));
    CHECK_TRUE(!same(tx_rng_fold(tx_rng_fold(r, 1), 2), tx_rng_fold(tx_rng_fold(r, 2), 1)));
    CHECK_TRUE(!same(tx_rng_root(8), tx_rng_root(9)));
}

static void test_permutation(void)
{
    enum { ROUNDS = 24000 };
    double count[256] = {0}, chi = 0;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint32_t q[4];
        tx_rng_permutation(tx_rng_fold(tx_rng_root(6), i), 4, q);
        count[q[0] * 64 + q[1] * 16 + q[2] * 4 + q[3]]++;
    }
    int seen = 0;
    for (int c = 0; c < 256; c++) {
        seen += count[c] > 0;
        if (count[c] > 0) chi += (count[c] - ROUNDS / 24.0) * (count[c] - ROUNDS / 24.0) / (ROUNDS / 24.0);
    }
    CHECK_INT(seen, 24);
    double q = gsl_cdf_chisq_Q(chi, 23);
    CHECK_TRUE(q > SIGMA5 && q < 1 - SIGMA5);

    enum { MANY = 10007 };
    static uint32_t perm[MANY];
    static bool met[MANY];
    tx_rng_permutation(tx_rng_root(6), MANY, perm);
    int missing = MANY;
    for (int i = 0; i < MANY; i++)
        if (perm[i] < MANY && !met[perm[i]]) missing--, met[perm[i]] = true;
    CHECK_INT(missing, 0);
    tx_rng_permutation(tx_rng_root(6), 0, NULL);
}

static void test_gsl(void)
{
    const tx_rng r = tx_rng_named(tx_rng_root(5), "gsl");
    gsl_rng *g = tx_rng_gsl(r), *h = gsl_rng_clone(g);
    for (uint64_t i = 0; i < 9; i++) {
        uint32_t w[4];
        tx_rng_block(r, i / 4, w);
        CHECK_INT(gsl_rng_get(g), w[i % 4]);
    }
    CHECK_INT(gsl_rng_min(g), 0);
    CHECK_INT(gsl_rng_max(g), UINT32_MAX);
    double s1 = 0, s2 = 0;
    for (int i = 0; i < N; i++) {
        double v = gsl_ran_gaussian(h, 2.385);
        s1 += v;
        s2 += v * v;
    }
    CHECK_NEAR(s1 / N, 0, 5 * 2.385 / sqrt(N));
    CHECK_NEAR(s2 / N, 2.385 * 2.385, 5 * 2.385 * 2.385 * sqrt(2.0 / N));
    double lo = 1, hi = 0;
    for (int i = 0; i < N; i++) {
        double u = gsl_rng_uniform(h);
        lo = u < lo ? u : lo;
        hi = u > hi ? u : hi;
    }
    CHECK_TRUE(lo >= 0 && hi < 1 && lo < 1e-3 && hi > 0.999);
    gsl_rng_set(g, 31);
    uint32_t w[4];
    tx_rng_block(tx_rng_root(31), 0, w);
    CHECK_INT(gsl_rng_get(g), w[0]);
    gsl_rng_free(g);
    gsl_rng_free(h);
}

int main(void)
{
    static const tx_test tests[] = {
        {"known answers", test_known_answers},
        {"known streams of seeds, numbers and names", test_derivation},
        {"fills are Philox's words", test_fill_is_philox},
        {"normals from words", test_box_muller},
        {"fills in pieces", test_pieces},
        {"moments, chi-square and neighbours", test_distributions},
        {"Bernoulli", test_bernoulli},
        {"open interval", test_open_interval},
        {"scalar draws", test_scalars},
        {"streams differ", test_streams_differ},
        {"names and numbers", test_names},
        {"permutations", test_permutation},
        {"GSL generator", test_gsl},
    };
    return tx_run_tests("rng", tests, (int)TX_LEN(tests));
}
