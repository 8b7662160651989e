/** Pictures of samples: grids as PNG (libpng). */
#ifndef TX_STORE_PNG_H
#define TX_STORE_PNG_H
#include "common/base/base.h"
/** `n` pictures [n,height,width,channel] of u8 (channel 1 or 3) in rows of `columns`, a one-pixel frame between, each pixel
 *  enlarged `zoom` times; committed at `path`. */
tx_status tx_png_grid(const char *path, const uint8_t *picture, size_t n, size_t height, size_t width, size_t channel,
                      size_t columns, size_t zoom);
/** TX_ECREATE, naming `path`, where such a grid is too large for a picture: asked before long work. */
tx_status tx_png_grid_fits(const char *path, size_t n, size_t height, size_t width, size_t columns, size_t zoom);
/** Data of two dimensions: points x[n,2] as dots in a square picture over [lo,hi]^2. */
tx_status tx_png_points(const char *path, const real *x, size_t n, double lo, double hi, size_t size);

/** A picture in memory: bytes to be freed. */
typedef struct tx_png {
    unsigned char *data;
    size_t n, cap;
} tx_png;
/** As tx_png_grid and tx_png_points, in memory; `name` stands for the file in messages. */
tx_status tx_png_grid_make(tx_png *out, const char *name, const uint8_t *picture, size_t n, size_t height, size_t width,
                           size_t channel, size_t columns, size_t zoom);
tx_status tx_png_points_make(tx_png *out, const char *name, const real *x, size_t n, double lo, double hi, size_t size);
#endif
