/* Bars and stripes (MacKay 2003, chapter 43): uniform over the 2^4 + 2^4 - 2 = 30 images of 4 x 4 whose rows, or whose
 * columns, are each of one colour. */
#include <math.h>
#include <stdlib.h>
#include "common/data/internal.h"

enum { SIDE = 4, N_PATTERN = 30 };

static double log_prob(const tx_dataset *d, const real x[])
{
    (void)d;
    bool rows = true, columns = true;
    for (int i = 0; i < SIDE * SIDE; i++) {
        if (x[i] != 0 && x[i] != 1) return -INFINITY;
        rows = rows && x[i] == x[i / SIDE * SIDE];
        columns = columns && x[i] == x[i % SIDE];
    }
    return rows || columns ? -log(N_PATTERN) : -INFINITY;
}

/* Pattern 0..15: row y is bit y; 16..29: column x is bit x of 1..14 (0 and 15 would repeat the plain images). */
static void paint(int pattern, uint8_t x[])
{
    const bool rows = pattern < 1 << SIDE;
    const int bits = rows ? pattern : pattern - (1 << SIDE) + 1;
    for (int i = 0; i < SIDE * SIDE; i++) x[i] = bits >> (rows ? i / SIDE : i % SIDE) & 1;
}

static tx_status load(tx_dataset *d, const tx_data_config *c, FILE *note)
{
    (void)note;
    static const tx_known known = {.log_prob = log_prob, .entropy = 3.4011973816621555 /* ln 30 */};
    d->known = &known;
    d->type = TX_BINARY;
    d->levels = 2;
    d->dim = SIDE * SIDE;
    d->height = d->width = SIDE;
    d->channel = 1;
    TX_TRY(tx_builtin_alloc(d, c, tx_set_bars.name, false));
    for (int s = 0; s < TX_N_SPLIT; s++) {
        const tx_rng r = tx_builtin_rng(d, (tx_split)s);
        for (size_t i = 0; i < d->split[s].n; i++)
            paint((int)(N_PATTERN * tx_rng_uniform1(r, i)), (uint8_t *)d->split[s].level + i * d->dim);
    }
    return TX_OK;
}

const tx_set_ops tx_set_bars = {.name = "bars",
                                .summary = "bars and stripes of 4 x 4, uniform over 30 images; known distribution",
                                .citation = "mackay2003information",
                                .load = load};
