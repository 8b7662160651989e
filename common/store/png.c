#include "common/store/png.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/commit.h"

enum { FRAME = 160 };

static void append(png_structp png, png_bytep data, size_t n)
{
    tx_png *b = png_get_io_ptr(png);
    if (b->n + n > b->cap) {
        size_t cap = 2 * (b->n + n);
        b->data = tx_realloc(b->data, b->cap, cap, 1);
        b->cap = cap;
    }
    memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void nothing(png_structp png) { (void)png; }

static tx_status check_size(const char *path, size_t height, size_t width)
{
    if (height == 0 || width == 0 || height > 65535 || width > 65535)
        return tx_fail(TX_ECREATE, "%s: a picture of %zu x %zu pixels cannot be written (1 to 65535)", path, width,
                       height);
    return TX_OK;
}

/** pixel[height,width,channel] as PNG. The time of writing is left out, so that equal pictures are equal bytes. */
static tx_status encode(tx_png *to, const char *name, const uint8_t *pixel, size_t height, size_t width, size_t channel)
{
    tx_png out = {NULL, 0, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    tx_status s = TX_OK;
    if (!info || setjmp(png_jmpbuf(png))) {
        s = tx_fail(TX_EIO, "%s: libpng cannot encode %zu x %zu pixels", name, width, height);
    } else {
        png_set_write_fn(png, &out, append, nothing);
        png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8,
                     channel == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        for (size_t y = 0; y < height; y++) png_write_row(png, pixel + y * width * channel);
        png_write_end(png, info);
    }
    png_destroy_write_struct(&png, &info);
    if (s != TX_OK) free(out.data);
    if (s == TX_OK) *to = out;
    return s;
}

/** Takes the bytes over. */
static tx_status commit(const char *path, tx_png *p)
{
    tx_status s = tx_commit(path, p->data, p->n);
    free(p->data);
    return s;
}

/** Pixels of one side, n pictures enlarged to `size` and the frame between them. */
static size_t side(size_t n, size_t size) { return n * (size + 1) - 1; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

tx_status tx_png_grid_fits(const char *path, size_t n, size_t height, size_t width, size_t columns, size_t zoom)
{
    columns = least(columns, n);
    return check_size(path, side((n + columns - 1) / columns, height * zoom), side(columns, width * zoom));
}

tx_status tx_png_grid_make(tx_png *out, const char *name, const uint8_t *picture, size_t n, size_t height, size_t width,
                           size_t channel, size_t columns, size_t zoom)
{
    TX_REQUIRE(n > 0 && height > 0 && width > 0 && columns > 0 && zoom > 0, "%zu pictures of %zu x %zu", n, height,
               width);
    TX_REQUIRE(channel == 1 || channel == 3, "%zu channels", channel);
    TX_TRY(tx_png_grid_fits(name, n, height, width, columns, zoom));
    columns = least(columns, n);
    size_t h = height * zoom, w = width * zoom, grid_h = side((n + columns - 1) / columns, h),
           grid_w = side(columns, w);
    uint8_t *grid = tx_alloc(grid_h * grid_w, channel);
    memset(grid, FRAME, grid_h * grid_w * channel);
    for (size_t k = 0; k < n; k++) {
        const uint8_t *from = picture + k * height * width * channel;
        size_t top = k / columns * (h + 1), left = k % columns * (w + 1);
        for (size_t y = 0; y < h; y++)
            for (size_t x = 0; x < w; x++)
                memcpy(grid + ((top + y) * grid_w + left + x) * channel, from + (y / zoom * width + x / zoom) * channel,
                       channel);
    }
    tx_status s = encode(out, name, grid, grid_h, grid_w, channel);
    free(grid);
    return s;
}

tx_status tx_png_grid(const char *path, const uint8_t *picture, size_t n, size_t height, size_t width, size_t channel,
                      size_t columns, size_t zoom)
{
    tx_png p;
    TX_TRY(tx_png_grid_make(&p, path, picture, n, height, width, channel, columns, zoom));
    return commit(path, &p);
}

tx_status tx_png_points_make(tx_png *out, const char *name, const real *x, size_t n, double lo, double hi, size_t size)
{
    TX_REQUIRE(lo < hi && size > 0, "points over [%g, %g] in %zu pixels", lo, hi, size);
    static const struct {
        int dx, dy;
        double light;
    } dot[] = {{0, 0, 0.4}, {-1, 0, 0.7}, {1, 0, 0.7}, {0, -1, 0.7}, {0, 1, 0.7}};
    TX_TRY(check_size(name, size, size));
    uint8_t *pixel = tx_alloc(size * size, 1);
    memset(pixel, 255, size * size);
    for (size_t i = 0; i < n; i++) {
        double px = floor((x[2 * i] - lo) / (hi - lo) * (double)size),
               py = floor((hi - x[2 * i + 1]) / (hi - lo) * (double)size);
        for (size_t k = 0; k < TX_LEN(dot); k++) {
            double cx = px + dot[k].dx, cy = py + dot[k].dy;
            if (!(cx >= 0 && cx < (double)size && cy >= 0 && cy < (double)size)) continue;
            uint8_t *p = pixel + (size_t)cy * size + (size_t)cx;
            *p = (uint8_t)(*p * dot[k].light);
        }
    }
    tx_status s = encode(out, name, pixel, size, size, 1);
    free(pixel);
    return s;
}

tx_status tx_png_points(const char *path, const real *x, size_t n, double lo, double hi, size_t size)
{
    tx_png p;
    TX_TRY(tx_png_points_make(&p, path, x, n, lo, hi, size));
    return commit(path, &p);
}
