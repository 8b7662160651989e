#include "common/tensor/distance.h"
#include <math.h>
#include <string.h>
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"

enum { TILE_ROWS = 16 };

void tx_rows_mean(size_t n, size_t d, const real *x, double mean[])
{
    memset(mean, 0, d * sizeof *mean);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) mean[j] += (double)x[i * d + j] / (double)n;
}

typedef struct centre_job {
    size_t n, d;
    const double *centre;
    real *x;
    double *square;
} centre_job;

static void centre_rows(void *ctx, size_t tile)
{
    const centre_job *job = ctx;
    for (size_t i = tile * TILE_ROWS; i < job->n && i < (tile + 1) * TILE_ROWS; i++) {
        real *x = job->x + i * job->d;
        double square = 0;
        for (size_t j = 0; j < job->d; j++) {
            x[j] = (real)((double)x[j] - job->centre[j]);
            square += (double)x[j] * (double)x[j];
        }
        job->square[i] = square;
    }
}

static size_t tiles_of(size_t rows) { return (rows + TILE_ROWS - 1) / TILE_ROWS; }

void tx_rows_centre(size_t n, size_t d, const double centre[], real *x, double square[])
{
    tx_parallel(tiles_of(n), centre_rows, &(centre_job){n, d, centre, x, square});
}

typedef struct add_job {
    size_t n, m;
    const double *x_square, *y_square;
    real *distance;
} add_job;

static void add_squares(void *ctx, size_t tile)
{
    const add_job *job = ctx;
    for (size_t i = tile * TILE_ROWS; i < job->n && i < (tile + 1) * TILE_ROWS; i++) {
        real *row = job->distance + i * job->m;
        for (size_t j = 0; j < job->m; j++) {
            real d = (real)((double)row[j] + job->x_square[i] + job->y_square[j]);
            row[j] = !isfinite(row[j]) ? (real)INFINITY : d < 0 ? 0 : d; /* a product too large is far away */
        }
    }
}

void tx_rows_distance(size_t n, size_t m, size_t d, const real *x, const double x_square[], const real *y,
                      const double y_square[], real *distance)
{
    tx_gemm(false, true, n, m, d, -2, x, d, y, d, 0, distance, m);
    tx_parallel(tiles_of(n), add_squares, &(add_job){n, m, x_square, y_square, distance});
}
