/** Models whose density is known up to a constant, p(x) = p*(x)/Z, and what estimators of log Z need of them: `enumerated`,
 *  `ais_log_z` and `self_normalised` of common/likelihood. Nats in the model's space throughout. */
#ifndef TX_MODEL_ENERGY_H
#define TX_MODEL_ENERGY_H
#include "common/model/model.h"

enum { TX_ENUMERATE_UNITS = 20 };                         /**< most binary units that are summed out by brute force */

/** A const table that tx_model_ops.energy points to. A NULL function means "cannot". */
struct tx_energy {
    /** log p*(x), [n,d] -> [n,1]; row i depends on x_i alone. `bound`: a lower bound of it (a variational term). */
    tx_var    (*log_unnormalised)(tx_model *m, tx_tape *t, tx_var x);
    bool        bound;
    /** What the model itself holds as its log Z (the learnt constant of noise-contrastive estimation); NULL: nothing. */
    double    (*log_z)(tx_model *m);
    /** log Z by brute force or quadrature: exact up to rounding. TX_ECONFIG says what is too large ("25 hidden units, at
     *  most 20"). Where the model has the annealed path and `state` has rows, they become exact draws of the chain's state
     *  at beta = 1; row i uses noise (r, first + i) only. The tape is reset by the caller. */
    tx_status (*enumerate)(tx_model *m, tx_tape *t, double *log_z, tx_rng r, uint64_t first, tx_tensor state);

    /** The annealed path: functions f_beta of a chain's state s, a row of `width` reals, with sum_s f_1(s) = Z and a base
     *  f_0 whose sum is known and which can be drawn from (Salakhutdinov & Murray 2008). All or none. */
    size_t    (*width)(const tx_model *m);
    double    (*log_base)(tx_model *m);                   /**< log sum_s f_0(s) */
    void      (*draw_base)(tx_model *m, tx_rng r, uint64_t first, tx_tensor state);
    /** w[i] += log f_to(s_i) - log f_from(s_i); then, if `move`, a transition of every s_i that leaves f_to unchanged and is
     *  reversible (so that the chain run backwards has the same transitions). Row i uses noise (r, first + i) only. Serial:
     *  called on tiles of rows by several threads, each with a tape of its own, which it may use and leaves unreset. */
    void      (*anneal)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, double from, double to, bool move,
                        tx_tensor state, double w[]);
    /** States for rows x[n,d], from which chains at beta = 1 are begun where no exact draws are to be had. */
    void      (*state_of)(tx_model *m, tx_tape *t, tx_rng r, uint64_t first, tx_tensor x, tx_tensor state);
};
#endif
