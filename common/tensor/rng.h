/** Counter-based randomness: Philox4x32-10 (Salmon et al. 2011; Random123).
 *
 *  A tx_rng is the *name* of a stream, not a state: it is passed by value and nothing advances. Element i of a fill is a
 *  function of (stream, i) alone, so results do not depend on order, batch boundaries, thread count or resume point.
 *  Key = the seed; counter = (64-bit path, 64-bit block number); a path is made by hashing names and numbers. */
#ifndef TX_TENSOR_RNG_H
#define TX_TENSOR_RNG_H
#include <gsl/gsl_rng.h>
#include "common/base/base.h"
/** A stream: key and path are its name. */
typedef struct tx_rng { uint64_t key, path; } tx_rng;
/** The stream that all others of a seed descend from. */
tx_rng tx_rng_root(uint64_t seed);
tx_rng tx_rng_fold(tx_rng r, uint64_t id);               /**< child stream by number: epoch, step, example */
tx_rng tx_rng_named(tx_rng r, const char *purpose);      /**< child stream by name: "init", "shuffle" */
void   tx_rng_block(tx_rng r, uint64_t block, uint32_t word[4]); /**< four raw words */

/** Fills: x[i] = f(stream, first + i), i in [0, n); a fixed number of words a value; parallel over fixed tiles. */
void   tx_rng_uniform(tx_rng r, uint64_t first, size_t n, real x[]);   /**< in (0,1), never 0 or 1 */
void   tx_rng_normal(tx_rng r, uint64_t first, size_t n, real x[]);    /**< Box-Muller */
void   tx_rng_logistic(tx_rng r, uint64_t first, size_t n, real x[]);  /**< log u - log(1-u) */
void   tx_rng_bernoulli(tx_rng r, uint64_t first, size_t n, const real p[], real x[]); /**< 1 with probability p[i] else 0 */
double tx_rng_uniform1(tx_rng r, uint64_t i);            /**< one value in (0,1) with 52 bits, for scalar code */
double tx_rng_normal1(tx_rng r, uint64_t i);             /**< one value, for scalar code */
void   tx_rng_permutation(tx_rng r, size_t n, uint32_t perm[]);        /**< uniform over permutations of 0..n-1 */

/** Streams as GSL's generators; gsl_rng_set(seed) names the stream root(seed). */
extern const gsl_rng_type *const tx_rng_gsl_type;
/** The same stream as a GSL generator, for GSL's samplers: state starts at block 0. Free with gsl_rng_free. */
gsl_rng *tx_rng_gsl(tx_rng r);
#endif
