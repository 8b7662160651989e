/** The games of a generator G and a discriminator D as data: one row each. D is a network with one linear output v(x); what
 *  a game makes of v is in its row. Every function takes v [n,1] and gives a term for each row, [n,1]. */
#ifndef TX_MODELS_GAN_GAMES_H
#define TX_MODELS_GAN_GAMES_H
#include "common/tensor/ops.h"
#include "common/tensor/rng.h"

enum { TX_GAME_SMOOTHING = 1 /* D's targets may be smoothed */, TX_GAME_PENALTY = 2 /* D's slope is held at 1 */ };
/** A term of a game, of D's last layer v, element-wise. */
typedef tx_var tx_game_term(tx_tape *t, tx_var v);
/** What D and G descend. */
typedef struct tx_game {
    const char   *name;
    tx_game_term *output;                                /**< D's output: a probability, or T = g_f(v) of an f-divergence */
    tx_game_term *data, *fake;                           /**< D descends E_data data(v) + E_fakes fake(v); NULL data: - output(v) */
    tx_game_term *generator;                             /**< G descends E_fakes of it; NULL: - fake(v), a zero-sum game */
    double        offset, scale;                         /**< divergence = offset + scale (what D descends), at the best D */
    unsigned      takes;                                 /**< OR of TX_GAME_* */
} tx_game;
/** Names of tx_games, in order. */
#define TX_GAME_CHOICES                                                                                                \
    "non_saturating|minimax|maximum_likelihood|least_squares|kl|reverse_kl|jensen_shannon|pearson|squared_hellinger|"  \
    "total_variation|wasserstein"
extern const tx_game tx_games[];                         /**< in the order of the choices */

tx_var tx_game_discriminator(tx_tape *t, const tx_game *g, tx_var v_data, tx_var v_fake); /**< [1,1] */
tx_var tx_game_generator(tx_tape *t, const tx_game *g, tx_var v_fake);                    /**< [1,1] */
/** |dv_i/dx_i| of each row i, [n,d] -> [n,1], where row i of v depends on row i of x alone; differentiable. */
tx_var tx_game_slope(tx_tape *t, tx_var v, tx_var x);
/** Points between rows of data and of fakes, each at a uniform place of its own from stream r (Gulrajani et al. 2017,
 *  algorithm 1); all [n,d]. */
tx_var tx_game_between(tx_tape *t, tx_rng r, tx_var data, tx_var fake);
/** Mean of (slope - 1)^2 (eq. 3 there). */
tx_var tx_game_penalty(tx_tape *t, tx_var slope);
#endif
