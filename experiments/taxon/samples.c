#include "experiments/taxon/samples.h"
#include "common/base/text.h"
#include "common/store/png.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID_COLUMNS = 10, PICTURE_PIXELS = 56, PLOT_PIXELS = 400 };

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n > k && strcmp(s + n - k, end) == 0;
}

real *tx_samples_in_data_unit(const tx_view *v, size_t n, const real y[])
{
    real *x = tx_alloc(n * v->space.dim, sizeof *x);
    if (v->ops->invert)
        v->ops->invert(v, n, y, x);
    else
        memcpy(x, y, n * v->space.dim * sizeof *x);
    return x;
}

tx_status tx_samples_output(const tx_args *a, const char **path, bool *png)
{
    *path = tx_args_text(a, "output", NULL);
    *png = *path && ends_with(*path, ".png");
    if (*png || (*path && ends_with(*path, ".h5"))) return TX_OK;
    return tx_fail(TX_EUSAGE, "%s: -o: expected FILE.h5 or FILE.png; found %s", a->command->name,
                   *path ? *path : "nothing");
}

static void range_of(const real x[], size_t len, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (size_t i = 0; i < len; i++) {
        *lo = fmin(*lo, (double)x[i]);
        *hi = fmax(*hi, (double)x[i]);
    }
}

/* The values that are black and white: those of the unit, else the smallest and largest that were drawn. */
static void shades(const tx_view *v, const real x[], size_t len, double *lo, double *hi)
{
    *lo = 0;
    *hi = v->space.measure == TX_COUNTING ? v->space.levels - 1 : 1;
    if (v->space.measure == TX_LEBESGUE && v->dequantised_levels == 0) range_of(x, len, lo, hi);
    if (!(*hi > *lo)) *hi = *lo + 1;
}

/* x[len] as grey levels. */
static uint8_t *levels_of(const tx_view *v, size_t len, const real x[])
{
    uint8_t *level = tx_alloc(len, 1);
    double lo, hi;
    shades(v, x, len, &lo, &hi);
    for (size_t i = 0; i < len; i++) {
        double p = ((double)x[i] - lo) / (hi - lo);
        level[i] = (uint8_t)(p > 0 ? lround(255 * fmin(p, 1)) : 0);
    }
    return level;
}

static size_t zoom_of(const tx_view *v)
{
    return v->space.height < PICTURE_PIXELS ? PICTURE_PIXELS / v->space.height : 1;
}

static tx_status put_grid(const char *path, const tx_view *v, size_t n, const uint8_t level[], size_t columns)
{
    const tx_space *s = &v->space;
    return tx_png_grid(path, level, n, s->height, s->width, s->channel, columns, zoom_of(v));
}

static tx_status grid(const char *path, const tx_view *v, size_t n, const real x[])
{
    uint8_t *level = levels_of(v, n * v->space.dim, x);
    tx_status s = put_grid(path, v, n, level, GRID_COLUMNS);
    free(level);
    return s;
}

/* Dots over the range of the valid split, a tenth wider on each side: the same frame for every model. */
static tx_status dots(const char *path, const tx_view *v, size_t n, const real x[])
{
    size_t rows = v->data->split[TX_VALID].n;
    real *y = tx_alloc(rows * 2, sizeof *y);
    tx_view_range(v, TX_VALID, 0, rows, y, NULL);
    real *valid = tx_samples_in_data_unit(v, rows, y);
    double lo, hi;
    range_of(valid, rows * 2, &lo, &hi);
    double margin = hi > lo ? 0.1 * (hi - lo) : 1;
    free(valid);
    free(y);
    return tx_png_points(path, x, n, lo - margin, hi + margin, PLOT_PIXELS);
}

static bool are_pictures(const tx_view *v)
{
    return v->space.height > 0 && (v->space.channel == 1 || v->space.channel == 3);
}

tx_status tx_samples_imputed_fit(const char *path, const tx_view *v, size_t n, size_t k)
{
    if (!are_pictures(v))
        return tx_fail(TX_EDATA, "%s: rows of '%s' are no pictures: write an .h5 file instead", path, v->data->name);
    return tx_png_grid_fits(path, n * (k + 2), v->space.height, v->space.width, k + 2, zoom_of(v));
}

tx_status tx_samples_imputed_png(const char *path, const tx_view *v, size_t n, size_t k, const uint8_t missing[],
                                 const real x[], const real sample[])
{
    enum { GREY = 110 };
    size_t d = v->space.dim, columns = k + 2;
    TX_TRY(tx_samples_imputed_fit(path, v, n, k));
    real *y = tx_alloc(n * columns * d, sizeof *y);
    for (size_t i = 0; i < n; i++) {
        real *row = y + i * columns * d;
        for (int twice = 0; twice < 2; twice++) memcpy(row + (size_t)twice * d, x + i * d, d * sizeof *y);
        memcpy(row + 2 * d, sample + i * k * d, k * d * sizeof *y);
    }
    real *unit = tx_samples_in_data_unit(v, n * columns, y);
    uint8_t *level = levels_of(v, n * columns * d, unit);
    for (size_t i = 0; i < n * d; i++)
        if (missing[i % d]) level[(i / d * columns + 1) * d + i % d] = GREY;
    tx_status s = put_grid(path, v, n * columns, level, columns);
    free(y), free(unit), free(level);
    return s;
}

tx_status tx_samples_png(const char *path, const tx_view *v, size_t n, const real y[], bool required)
{
    bool pictures = are_pictures(v);
    bool plane = v->space.dim == 2 && v->space.measure == TX_LEBESGUE;
    if (!pictures && !plane)
        return required ? tx_fail(TX_EDATA,
                                  "%s: samples of '%s' have %zu dimension%s and no width and height: write an .h5 "
                                  "file instead",
                                  path, v->data->name, v->space.dim, tx_plural((long long)v->space.dim))
                        : TX_OK;
    if (n == 0) return TX_OK;
    real *x = tx_samples_in_data_unit(v, n, y);
    tx_status s = pictures ? grid(path, v, n, x) : dots(path, v, n, x);
    free(x);
    return s;
}
