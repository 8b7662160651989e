/** Training: epochs of batches, curves, selection on valid, early stopping, and the state that a checkpoint holds. */
#ifndef TX_MODEL_TRAIN_H
#define TX_MODEL_TRAIN_H
#include "common/model/model.h"

/** How a model is trained: the keys of `train:`. */
typedef struct tx_train_config {
    int    epochs, batch, max_steps, patience, valid_every;
    int    optimizer;                                     /**< index into tx_optim_list */
    double learning_rate, final_learning_rate;
    int    schedule;                                      /**< tx_schedule */
    double clip_norm, weight_decay;
    unsigned char optim_config[256];                      /**< of the chosen optimiser, by its own table */
} tx_train_config;
extern const tx_option tx_train_options[];                /**< all but the optimiser's own */
/** Defaults, then the `train:` map (may be NULL), which may also hold keys of the chosen optimiser. */
tx_status tx_train_parse(tx_train_config *c, const tx_yaml *map, const char *origin);
json_t   *tx_train_json(const tx_train_config *c);        /**< with the optimiser's keys */

enum { TX_MAX_CURVES = 16 };
/** Columns of equal length, a row an epoch. Owned by the trainer. */
typedef struct tx_curves {
    int  n_column, n_row, cap;
    char name[TX_MAX_CURVES][TX_NAME_MAX];                /**< epoch, step, objective, valid_objective, learning_rate, gradient... */
    double *value[TX_MAX_CURVES];                         /**< [n_row]; NAN where a row has none */
} tx_curves;

/** Training that can be stopped after any step. */
typedef struct tx_trainer tx_trainer;
/** Read-only picture for progress, records and results. */
typedef struct tx_trainer_state {
    uint64_t epoch, step, batch_in_epoch, epochs, steps_an_epoch;
    bool     finished, early_stopped;
    double   best_score;                                  /**< of valid, nats in the data's unit; NAN without one */
    uint64_t best_epoch;                                  /**< whose parameters the model ends with (1-based; 0: none) */
    double   seconds;                                     /**< of training so far, wall, resumes included */
} tx_trainer_state;

/** The model gets its optimisers. All three must outlive the trainer. */
tx_status tx_trainer_new(tx_trainer **out, tx_model *m, const tx_view *v, const tx_train_config *c, uint64_t seed);
void      tx_trainer_free(tx_trainer *t);
/** One batch; at the end of an epoch also validation and a new row of curves (*epoch_done = true). After the last one the
 *  best parameters are put back and state.finished is true. TX_EDIVERGED names epoch, step and term. */
tx_status tx_trainer_advance(tx_trainer *t, bool *epoch_done);
/** TX_EDIVERGED where a weight is not finite. Steps look themselves; this is for what no step has made. */
tx_status tx_trainer_check(const tx_trainer *t);
/** How far it is. */
tx_trainer_state tx_trainer_look(const tx_trainer *t);
/** Borrowed, and good until the next step. */
const tx_curves *tx_trainer_curves(const tx_trainer *t);
size_t    tx_trainer_growths(const tx_trainer *t);        /**< system allocations of the step's memory so far */

/** Saves or overwrites data[n]; elem: 'r' = real, 'd' = double, 'u' = uint64_t. */
typedef tx_status (*tx_visit_fn)(void *ctx, const char *name, char elem, size_t n, void *data);
/** Everything that a resumed trainer needs, named, as arrays: `fn` is called for each in a fixed order. Curves are sized first by
 *  their row count. */
tx_status tx_trainer_visit(tx_trainer *t, tx_visit_fn fn, void *ctx);
#endif
