/** Goodfellow et al. 2014, Goodfellow 2016 (section 3.2), Mao et al. 2017, Nowozin et al. 2016 (tables 1, 2 and 6),
 * Gulrajani et al. 2017. Letters: v the network's output, T = g_f(v), f* the conjugate of f, sigma the logistic
 * function. */
#include "models/gan/games.h"

#define LOG_2 0.69314718055994531

static tx_var softplus(tx_tape *t, tx_var v) { return tx_activation(t, v, TX_SOFTPLUS); }
static tx_var square(tx_tape *t, tx_var v) { return tx_mul(t, v, v); }
static tx_var exp_minus(tx_tape *t, tx_var v) { return tx_exp(t, tx_scale(t, v, -1)); }

static tx_var itself(tx_tape *t, tx_var v) { return (void)t, v; }

/* - log sigma(v) and - log(1 - sigma(v)). */
static tx_var probability(tx_tape *t, tx_var v) { return tx_activation(t, v, TX_SIGMOID); }
static tx_var says_fake(tx_tape *t, tx_var v) { return softplus(t, tx_scale(t, v, -1)); }

/* - sigma^-1-exponential: G's cost of which the gradient is that of the likelihood, at the best D (Goodfellow 2016, eq.
 * 13). */
static tx_var minus_odds(tx_tape *t, tx_var v) { return tx_scale(t, tx_exp(t, v), -1); }

/* Mao et al., eq. 9: targets 1 of data and of what G wants, 0 of fakes. */
static tx_var half_square_from_1(tx_tape *t, tx_var v)
{
    return tx_scale(t, square(t, tx_affine(t, v, 1, -1)), (real)0.5);
}
static tx_var half_square(tx_tape *t, tx_var v) { return tx_scale(t, square(t, v), (real)0.5); }

/* f(u) = u log u: g_f = v, f*(T) = exp(T - 1). */
static tx_var kl_fake(tx_tape *t, tx_var v) { return tx_exp(t, tx_affine(t, v, 1, -1)); }

/* f(u) = - log u: g_f = - exp(-v), f*(T) = - 1 - log(-T). */
static tx_var reverse_kl_output(tx_tape *t, tx_var v) { return tx_scale(t, exp_minus(t, v), -1); }
static tx_var reverse_kl_fake(tx_tape *t, tx_var v) { return tx_affine(t, v, 1, -1); }

/* f(u) = u log u - (u + 1) log((u + 1)/2): g_f = log 2 - log(1 + exp(-v)), f*(T) = - log(2 - exp T). */
static tx_var js_output(tx_tape *t, tx_var v) { return tx_affine(t, says_fake(t, v), -1, (real)LOG_2); }
static tx_var js_fake(tx_tape *t, tx_var v) { return tx_affine(t, softplus(t, v), 1, (real)-LOG_2); }

/* f(u) = (u - 1)^2: g_f = v, f*(T) = T^2/4 + T. */
static tx_var pearson_fake(tx_tape *t, tx_var v) { return tx_add(t, tx_scale(t, square(t, v), (real)0.25), v); }

/* f(u) = (sqrt u - 1)^2: g_f = 1 - exp(-v), f*(T) = T/(1 - T). */
static tx_var hellinger_output(tx_tape *t, tx_var v) { return tx_affine(t, exp_minus(t, v), -1, 1); }
static tx_var hellinger_fake(tx_tape *t, tx_var v) { return tx_affine(t, tx_exp(t, v), 1, -1); }

/* f(u) = |u - 1|/2: g_f = tanh(v)/2, f*(T) = T. */
static tx_var half_tanh(tx_tape *t, tx_var v) { return tx_scale(t, tx_activation(t, v, TX_TANH), (real)0.5); }

#define CROSS_ENTROPY probability, says_fake, softplus
#define HALF_GAME     LOG_2, -0.5
const tx_game tx_games[] = {
    {"non_saturating", CROSS_ENTROPY, says_fake, HALF_GAME, TX_GAME_SMOOTHING},
    {"minimax", CROSS_ENTROPY, NULL, HALF_GAME, TX_GAME_SMOOTHING},
    {"maximum_likelihood", CROSS_ENTROPY, minus_odds, HALF_GAME, TX_GAME_SMOOTHING},
    {"least_squares", itself, half_square_from_1, half_square, half_square_from_1, 2, -8, 0},
    {"kl", itself, NULL, kl_fake, NULL, 0, -1, 0},
    {"reverse_kl", reverse_kl_output, NULL, reverse_kl_fake, NULL, 0, -1, 0},
    {"jensen_shannon", js_output, NULL, js_fake, NULL, 0, -0.5, 0},
    {"pearson", itself, NULL, pearson_fake, NULL, 0, -1, 0},
    {"squared_hellinger", hellinger_output, NULL, hellinger_fake, NULL, 0, -1, 0},
    {"total_variation", half_tanh, NULL, half_tanh, NULL, 0, -1, 0},
    {"wasserstein", itself, NULL, itself, NULL, 0, -1, TX_GAME_PENALTY},
};

static tx_var mean_of(tx_tape *t, tx_game_term *term, tx_var v) { return tx_mean(t, term(t, v)); }
static tx_var minus_mean_of(tx_tape *t, tx_game_term *term, tx_var v) { return tx_scale(t, mean_of(t, term, v), -1); }

tx_var tx_game_discriminator(tx_tape *t, const tx_game *g, tx_var v_data, tx_var v_fake)
{
    tx_var on_data = g->data ? mean_of(t, g->data, v_data) : minus_mean_of(t, g->output, v_data);
    return tx_add(t, on_data, mean_of(t, g->fake, v_fake));
}

tx_var tx_game_generator(tx_tape *t, const tx_game *g, tx_var v_fake)
{
    return g->generator ? mean_of(t, g->generator, v_fake) : minus_mean_of(t, g->fake, v_fake);
}

/* 1e-12 keeps the root's own slope finite where D is flat. */
tx_var tx_game_slope(tx_tape *t, tx_var v, tx_var x)
{
    tx_var g;
    tx_grad(t, v, &x, 1, &g);
    return tx_sqrt(t, tx_affine(t, tx_sum_rows(t, square(t, g)), 1, (real)1e-12));
}

tx_var tx_game_between(tx_tape *t, tx_rng r, tx_var data, tx_var fake)
{
    tx_tensor place = tx_tape_tensor(t, tx_rows(data->v), 1);
    tx_rng_uniform(r, 0, tx_len(place), place.x);
    return tx_add(t, fake, tx_mul_col(t, tx_sub(t, data, fake), tx_leaf(t, place)));
}

tx_var tx_game_penalty(tx_tape *t, tx_var slope) { return tx_mean(t, square(t, tx_affine(t, slope, 1, -1))); }
