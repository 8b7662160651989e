/** Autoregressive feed-forward nets by masked weights (Germain et al. 2015, section 4): what fvbn, made, made_mog and
 * maf share.
 *
 *  Every unit carries a degree: an input its place 1..D in the order of the variables, a hidden unit a number in
 *  1..D-1, an output its variable's place minus one. A weight from unit i to unit j counts where degree(i) <=
 * degree(j), so an output sees only variables that come before its own. Without hidden layers the outputs read the
 * inputs. */
#ifndef TX_MODELS_ARNET_H
#define TX_MODELS_ARNET_H
#include "common/model/conditional.h"
#include "common/tensor/staircase.h"
#include "models/fvbn/loops.h"

enum { TX_ARNET_HIDDEN = 8, TX_ARNET_LEVELS = TX_ARNET_HIDDEN + 2, TX_ARNET_HEADS = 3, TX_ARNET_MASKS = 256 };

/** What to build. A head is one output array [n, dim*per], the `per` numbers of a variable adjacent. */
typedef struct tx_arnet_spec {
    size_t dim, per;
    tx_ints hidden;
    tx_act act;
    bool direct; /**< also weights from the inputs to the outputs */
    int n_head;
    const char *head[TX_ARNET_HEADS]; /**< ends of the weights' names: "_out" makes w_out and b_out */
    tx_init head_init;
    bool no_bias[TX_ARNET_HEADS]; /**< heads whose weights alone are declared: what follows them takes a bias out again */
    int n_mask;
    bool random_order,
        random_degrees; /**< of every mask, from (seed, mask); else raster order, evenly spread degrees */
    int seed;
    tx_params *into;  /**< the net that its weights join, of which a model may hold several; NULL: a net of its own */
    char prefix[24];  /**< of the weights' names: "block0_" */
} tx_arnet_spec;

/** One set of masks. Levels: 0 inputs, 1.. hidden layers, the last one outputs. */
typedef struct tx_arnet_mask {
    real *degree[TX_ARNET_LEVELS];      /**< of each unit */
    uint32_t *unit[TX_ARNET_LEVELS];    /**< units by rising degree */
    uint32_t *upto[TX_ARNET_LEVELS];    /**< [dim+1]: how many units have at most this degree */
    tx_stairs *stairs[TX_ARNET_LEVELS]; /**< from each level to the next, and at the last one from inputs to outputs;
                                           NULL where degrees do not rise with the units */
} tx_arnet_mask;

/** A masked net: made by tx_arnet_build as part of a model's state. */
typedef struct tx_arnet {
    tx_arnet_spec spec;
    tx_params *net; /**< borrowed from the model */
    tx_param w[TX_ARNET_HIDDEN], b[TX_ARNET_HIDDEN];
    tx_param head_w[TX_ARNET_HEADS], head_b[TX_ARNET_HEADS], direct[TX_ARNET_HEADS];
    tx_arnet_mask *mask; /**< [n_mask], owned with all it points to */
    real *zero;          /**< [dim*per], owned: the bias of heads without one */
} tx_arnet;

/** As build: makes m->net[0] "net", unless its weights join another, and, where order or degrees are random, m->net[1]
 * "structure", which no step changes. */
void tx_arnet_build(tx_arnet *a, tx_model *m, const tx_arnet_spec *spec);
/** As init: writes "structure". */
void tx_arnet_init(const tx_arnet *a, tx_model *m);
void tx_arnet_free(tx_arnet *a);
/** [n,dim] -> out[head] [n,dim*per] by the masks of one set. */
void tx_arnet_apply(const tx_arnet *a, tx_tape *t, int mask, tx_var x, tx_var out[]);

/** Draws variable `var` of rows row[0..n): out[head] [per][LANES] are its outputs (free to overwrite), x[LANES]
 * receives the values; lanes from n on are padding, whose x must be finite. */
typedef void (*tx_arnet_draw)(const void *ctx, size_t var, const uint32_t row[], size_t n, real *const out[], real x[]);
/** Draws n rows variable by variable; every unit is computed once, when the last variable it sees is known.
 *  mask[n]: the set of masks of each row, NULL: the first. */
void tx_arnet_sample(const tx_arnet *a, tx_tape *t, const uint32_t mask[], size_t n, tx_arnet_draw draw,
                     const void *ctx);
/** The same for one Bernoulli logit a variable: variable j of sample i is 1 where element (first + i) dim + j of the
 *  uniforms of r is below its probability. mean: x receives the probabilities along the sampled path instead.
 *  missing: the others keep the value that x holds; NULL: all are drawn. */
void tx_arnet_sample_bernoulli(const tx_arnet *a, tx_tape *t, tx_rng r, uint64_t first, const uint32_t mask[],
                               const uint8_t missing[], bool mean, tx_tensor x);

/** order[place] = variable: raster order, or a permutation from (seed, index). */
void tx_order_fill(bool random, int seed, uint64_t index, size_t dim, uint32_t order[]);
/** The missing variables are the last ones of the order. */
bool tx_order_ends_with(size_t dim, const uint32_t order[], const uint8_t missing[]);
/** Sums over the missing (else: the observed) variables of their conditionals' log-probabilities, value[n]. */
void tx_bernoulli_part(const uint8_t missing[], bool of_missing, tx_tensor logit, tx_tensor x, double value[]);
/** Of a model whose state is a tx_arnet with one Bernoulli logit a variable: where the missing variables end the order.
 *  Several sets of masks are the mixture of those in which they do. */
bool tx_arnet_applies(const tx_model *m, const uint8_t missing[], char why[TX_TEXT_MAX]);
/** What such a model knows of missing variables. */
extern const tx_conditional tx_arnet_conditional;
/** Output biases: logits of the training means, pulled towards 1/2 so that a constant variable stays finite. */
void tx_bernoulli_bias(const tx_space *s, tx_tensor bias);
/** One step up the batch mean of logp [n,1] with the weights of net[0] alone. */
tx_status tx_ascend_first(tx_model *m, tx_step *s, tx_var logp, tx_metrics *out);
/** sequential_steps of every model here. */
double tx_steps_per_variable(const tx_model *m);
#endif
