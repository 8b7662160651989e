#include "common/tensor/rng.h"
#include <Random123/philox.h>
#include <math.h>
#include <string.h>
#include "common/tensor/kernels_isa.h"
#include "common/tensor/vmath.h"

/* A child's path is the first 64 bits of philox(counter = {path, id}, key = a constant that says what the id is). The
 * key constants are the first 64 bits of the fractions of sqrt(2) and sqrt(3), which no seed is expected to be. */
static const uint64_t KEY_FOLD = 0x6a09e667f3bcc908u, KEY_NAME = 0xbb67ae8584caa73bu;

static void philox(uint64_t key, uint64_t path, uint64_t block, uint32_t word[4])
{
    philox4x32_ctr_t c = {{(uint32_t)path, (uint32_t)(path >> 32), (uint32_t)block, (uint32_t)(block >> 32)}};
    philox4x32_key_t k = {{(uint32_t)key, (uint32_t)(key >> 32)}};
    memcpy(word, philox4x32(c, k).v, 4 * sizeof *word);
}

static uint64_t child(uint64_t key, uint64_t path, uint64_t id)
{
    uint32_t w[4];
    philox(key, path, id, w);
    return (uint64_t)w[1] << 32 | w[0];
}

tx_rng tx_rng_root(uint64_t seed) { return (tx_rng){.key = seed}; }
tx_rng tx_rng_fold(tx_rng r, uint64_t id) { return (tx_rng){.key = r.key, .path = child(KEY_FOLD, r.path, id)}; }

/* Eight bytes a step, the first in the lowest bits, and at last the length, so that no name is another's beginning. */
tx_rng tx_rng_named(tx_rng r, const char *purpose)
{
    size_t len = strlen(purpose);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t id = 0;
        for (size_t j = i; j < len && j < i + 8; j++) id |= (uint64_t)(unsigned char)purpose[j] << 8 * (j - i);
        r.path = child(KEY_NAME, r.path, id);
    }
    r.path = child(KEY_NAME, r.path, len);
    return r;
}

void tx_rng_block(tx_rng r, uint64_t block, uint32_t word[4]) { philox(r.key, r.path, block, word); }

static void run(tx_loop *loop, tx_rng r, uint64_t first, size_t n, const real *p, real *x)
{
    tx_isa_run(loop, &(tx_args){.in = {p}, .out = {x}, .rng = r, .first = first}, n, 1);
}

void tx_rng_uniform(tx_rng r, uint64_t first, size_t n, real x[])
{
    run(tx_isa_now()->rng_uniform, r, first, n, NULL, x);
}
void tx_rng_normal(tx_rng r, uint64_t first, size_t n, real x[])
{
    run(tx_isa_now()->rng_normal, r, first, n, NULL, x);
}

void tx_rng_logistic(tx_rng r, uint64_t first, size_t n, real x[])
{
    run(tx_isa_now()->rng_logistic, r, first, n, NULL, x);
}

void tx_rng_bernoulli(tx_rng r, uint64_t first, size_t n, const real p[], real x[])
{
    run(tx_isa_now()->rng_bernoulli, r, first, n, p, x);
}

/* Two words a value, as the fills of the double build. */
double tx_rng_uniform1(tx_rng r, uint64_t i)
{
    uint32_t w[4];
    tx_rng_block(r, i / 2, w);
    return v_uniform52(w[2 * (i % 2)], w[2 * (i % 2) + 1]);
}

double tx_rng_normal1(tx_rng r, uint64_t i)
{
    uint32_t w[4];
    tx_rng_block(r, i / 2, w);
    double radius = sqrt(-2 * log(v_uniform52(w[0], w[1]))), angle = 2 * M_PI * v_uniform52(w[2], w[3]);
    return radius * (i % 2 ? sin(angle) : cos(angle));
}

/* Fisher and Yates; position i takes part i of the stream's 64-bit words, mapped to 0..i by a product's high half. */
void tx_rng_permutation(tx_rng r, size_t n, uint32_t perm[])
{
    __extension__ typedef unsigned __int128 wide;
    uint32_t w[4];
    TX_REQUIRE(n <= UINT32_MAX, "%zu elements", n);
    for (size_t i = 0; i < n; i++) perm[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        if (i % 2 || i + 1 == n) tx_rng_block(r, i / 2, w); /* of which an odd i leaves the rest to the next */
        uint64_t u = (uint64_t)w[2 * (i % 2) + 1] << 32 | w[2 * (i % 2)];
        size_t j = (size_t)((wide)u * (i + 1) >> 64);
        uint32_t t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
}

typedef struct gsl_state {
    tx_rng rng;
    uint64_t next; /* word */
    uint32_t word[4];
} gsl_state;

static void gsl_set(void *state, unsigned long seed) { *(gsl_state *)state = (gsl_state){.rng = tx_rng_root(seed)}; }

static unsigned long gsl_get(void *state)
{
    gsl_state *s = state;
    if (s->next % 4 == 0) tx_rng_block(s->rng, s->next / 4, s->word);
    return s->word[s->next++ % 4];
}

static double gsl_get_double(void *state) { return (double)gsl_get(state) * 0x1p-32; }

static const gsl_rng_type gsl_type = {
    .name = "taxon-philox4x32-10",
    .max = UINT32_MAX,
    .min = 0,
    .size = sizeof(gsl_state),
    .set = gsl_set,
    .get = gsl_get,
    .get_double = gsl_get_double,
};
const gsl_rng_type *const tx_rng_gsl_type = &gsl_type;

gsl_rng *tx_rng_gsl(tx_rng r)
{
    gsl_rng *g = gsl_rng_alloc(tx_rng_gsl_type);
    TX_REQUIRE(g, "no memory for a generator's state");
    *(gsl_state *)g->state = (gsl_state){.rng = r};
    return g;
}
