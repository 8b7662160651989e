#include "models/baseline/rows.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/tensor/distance.h"

enum { BLOCK = 256, ROUNDS = 100 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

void tx_baseline_rows(const tx_view *v, uint64_t seed, uint64_t epoch, size_t from, size_t n, real x[])
{
    uint32_t row[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t rows = least(n - i, BLOCK);
        for (size_t j = 0; j < rows; j++) row[j] = (uint32_t)(from + i + j);
        tx_view_rows(v, TX_TRAIN, seed, epoch, row, rows, x + i * v->space.dim, NULL);
    }
}

/* Row with probability near[i] / sum; where every row lies on a centre, row `c` of a fixed order. */
static size_t draw_row(size_t n, const double near[], tx_rng r, size_t c)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += near[i];
    if (!(sum > 0)) return c % n;
    double left = tx_rng_uniform1(r, c) * sum;
    size_t i = 0, last = 0;
    for (; i < n; i++) {
        if (near[i] > 0) last = i;
        if (left < near[i]) break;
        left -= near[i];
    }
    return i < n ? i : last;
}

typedef struct points {
    size_t n, d;
    const real *x;
    const double *square;
} points;

static void set_centre(tx_clusters *c, size_t k, const points *p, size_t row)
{
    memcpy(c->centre + k * p->d, p->x + row * p->d, p->d * sizeof(real));
    c->square[k] = p->square[row];
}

/* near[i] = squared distance of row i to the nearest of all centres, of which from..to-1 are new. */
static void come_nearer(const tx_clusters *c, const points *p, size_t from, size_t to, double near[], real *distance)
{
    size_t m = to - from;
    for (size_t i = 0; i < p->n; i += BLOCK) {
        size_t rows = least(p->n - i, BLOCK);
        tx_rows_distance(rows, m, p->d, p->x + i * p->d, p->square + i, c->centre + from * p->d, c->square + from,
                         distance);
        for (size_t a = 0; a < rows; a++)
            for (size_t b = 0; b < m; b++) near[i + a] = fmin(near[i + a], (double)distance[a * m + b]);
    }
}

/* A drawn row has weight 0 for the rest of its round, and afterwards the distance 0. */
static void seed_centres(tx_clusters *c, const points *p, tx_rng r, real *distance)
{
    double *near = tx_alloc(p->n, sizeof *near);
    size_t round = (c->k + ROUNDS - 1) / ROUNDS;
    for (size_t i = 0; i < p->n; i++) near[i] = INFINITY;
    set_centre(c, 0, p, (size_t)(tx_rng_uniform1(r, 0) * (double)p->n));
    come_nearer(c, p, 0, 1, near, distance);
    for (size_t from = 1; from < c->k; from += round) {
        size_t to = least(from + round, c->k);
        for (size_t k = from; k < to; k++) {
            size_t row = draw_row(p->n, near, r, k);
            set_centre(c, k, p, row);
            near[row] = 0;
        }
        come_nearer(c, p, from, to, near, distance);
    }
    free(near);
}

/* Whether some row has changed its cluster. */
static bool assign(tx_clusters *c, const points *p, real *distance)
{
    bool changed = false;
    memset(c->size, 0, c->k * sizeof *c->size);
    for (size_t i = 0; i < p->n; i += BLOCK) {
        size_t rows = least(p->n - i, BLOCK);
        tx_rows_distance(rows, c->k, p->d, p->x + i * p->d, p->square + i, c->centre, c->square, distance);
        for (size_t a = 0; a < rows; a++) {
            const real *row = distance + a * c->k;
            size_t best = 0;
            for (size_t k = 1; k < c->k; k++)
                if (row[k] < row[best]) best = k;
            changed = changed || c->nearest[i + a] != best;
            c->nearest[i + a] = (uint32_t)best;
            c->size[best]++;
        }
    }
    return changed;
}

static void move_centres(tx_clusters *c, const points *p, double *sum)
{
    memset(sum, 0, c->k * p->d * sizeof *sum);
    for (size_t i = 0; i < p->n; i++) {
        double *to = sum + c->nearest[i] * p->d;
        for (size_t j = 0; j < p->d; j++) to[j] += (double)p->x[i * p->d + j];
    }
    for (size_t k = 0; k < c->k; k++) {
        if (c->size[k] == 0) continue;
        c->square[k] = 0;
        for (size_t j = 0; j < p->d; j++) {
            real mean = (real)(sum[k * p->d + j] / (double)c->size[k]);
            c->centre[k * p->d + j] = mean;
            c->square[k] += (double)mean * (double)mean;
        }
    }
}

tx_clusters tx_clusters_find(size_t n, size_t d, const real *x, const double square[], size_t k, int n_iter, tx_rng r)
{
    TX_REQUIRE(n >= 1 && k >= 1, "%zu clusters of %zu rows", k, n);
    points p = {n, d, x, square};
    tx_clusters c = {k, tx_alloc(k * d, sizeof(real)), tx_alloc(k, sizeof(double)), tx_alloc(k, sizeof(size_t)),
                     tx_alloc(n, sizeof(uint32_t))};
    real *distance = tx_alloc(BLOCK * k, sizeof *distance);
    double *sum = tx_alloc(k * d, sizeof *sum);
    seed_centres(&c, &p, r, distance);
    assign(&c, &p, distance);
    for (int i = 0; i < n_iter; i++) {
        move_centres(&c, &p, sum);
        if (!assign(&c, &p, distance)) break;
    }
    free(distance), free(sum);
    return c;
}

void tx_clusters_free(tx_clusters *c) { free(c->centre), free(c->square), free(c->size), free(c->nearest); }

void tx_draw_components(size_t k, const real log_weight[], tx_rng r, uint64_t first, size_t n, size_t component[])
{
    double *below = tx_alloc(k, sizeof *below), top = (double)log_weight[0], sum = 0;
    for (size_t i = 1; i < k; i++) top = fmax(top, (double)log_weight[i]);
    for (size_t i = 0; i < k; i++) below[i] = sum += exp((double)log_weight[i] - top);
    for (size_t i = 0; i < n; i++) { /* the first component whose cumulative weight exceeds a uniform draw */
        double u = tx_rng_uniform1(r, first + i) * sum;
        size_t low = 0, high = k - 1;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (below[middle] > u)
                high = middle;
            else
                low = middle + 1;
        }
        component[i] = low;
    }
    free(below);
}
