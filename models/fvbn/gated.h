/** Stacks of gated causal convolutions (van den Oord et al. 2016b, 2016c): what pixelcnn and wavenet share.
 *
 *  Variables are the pixels of an image of one channel in raster order; a signal is an image of one row. Where there is
 *  more than one row, a vertical stack sees the rows above a pixel, all columns of them, and feeds the horizontal stack,
 *  which sees the pixels to the left: together all that come before, without a blind spot. */
#ifndef TX_MODELS_GATED_H
#define TX_MODELS_GATED_H
#include "common/model/conditional.h"

enum { TX_GATED_LAYERS = 32, TX_GATED_LANES = 32 /**< samples drawn side by side */, TX_GATED_AT_ONCE = 1 << 14 };

/** What a net of gated convolutions looks like. */
typedef struct tx_gated_spec {
    size_t height, width;
    size_t first;    /**< pixels to the left, rows above and, there, columns to each side that the first layer sees */
    size_t reach;    /**< the same of all others, which see their own place, too */
    size_t n_layer;  /**< gated ones, behind the first, which is linear */
    size_t dilation[TX_GATED_LAYERS]; /**< of the horizontal stack; 1 where there is more than one row */
    size_t features, skip, hidden;    /**< channels of the stacks, of skip connections (0: none), of the layer before the last */
    size_t per;      /**< outputs of a variable */
    bool position;   /**< a bias for each place, too */
    real scale, shift; /**< the net sees scale x + shift */
} tx_gated_spec;

/** Layer 0 is the first; the others are gated. NAME{l}_w, NAME{l}_b of the convolutions above, left, out, skip; link{l}_w. */
typedef struct tx_gated {
    tx_gated_spec spec;
    tx_params *net; /**< borrowed from the model */
    tx_conv_layer above[TX_GATED_LAYERS + 1], left[TX_GATED_LAYERS + 1], out[TX_GATED_LAYERS + 1], skip[TX_GATED_LAYERS + 1];
    tx_conv_layer hidden, last;
    tx_conv link;   /**< of every layer, from 2 features to 2 features of one place */
    tx_param link_w[TX_GATED_LAYERS + 1], position;
} tx_gated;

/** As build: makes m->net[0] "net". g is part of m->state and does not move. */
void tx_gated_build(tx_gated *g, tx_model *m, const tx_gated_spec *spec);
tx_var tx_gated_apply(const tx_gated *g, tx_tape *t, tx_var x); /**< [n,D] -> [n, D per], those of a variable adjacent */

/** Draws variable `var` of rows row .. row+n-1: out[n][per] -> x[n]. */
typedef void (*tx_gated_draw)(const void *ctx, size_t var, size_t row, size_t n, const real *out, real x[]);
/** Draws n rows, variable by variable: every unit is computed once, so that a sample costs one forward pass. */
void tx_gated_sample(const tx_gated *g, tx_tape *t, size_t n, tx_gated_draw draw, const void *ctx);

/** What a model whose state begins with a tx_gated, and whose variables have levels, does: as in tx_model_ops. */
void tx_gated_level_init(tx_model *m);
tx_var tx_gated_level_log_prob(tx_model *m, tx_tape *t, tx_var x);
void tx_gated_level_sample(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x);
void tx_gated_level_sample_mean(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x);
extern const tx_conditional tx_gated_level_conditional; /**< where the missing variables are the last ones */
#endif
