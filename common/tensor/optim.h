/** Optimisers minimise. Their state lies beside the weights, one array a slot (Adam: 2). */
#ifndef TX_TENSOR_OPTIM_H
#define TX_TENSOR_OPTIM_H
#include "common/base/options.h"
#include "common/tensor/params.h"
enum { TX_OPTIM_MAX_SLOTS = 3 };
/** An update rule. */
typedef struct tx_optim_ops {
    const char *name, *summary, *citation;
    int         n_slots;
    const char *slot_name[TX_OPTIM_MAX_SLOTS];            /**< "velocity", "second_moment": names in checkpoints */
    size_t      config_size;
    const tx_option *options;                             /**< momentum, beta1, ...; not the learning rate */
    /** One step t = 1, 2, ... over `n` weights; see kernels.h for lr, gscale, decay and the result. */
    bool (*step)(const void *config, uint64_t t, real lr, real gscale, real decay, size_t n, real w[], const real g[],
                 real *const slot[]);
} tx_optim_ops;
extern const tx_optim_ops *const tx_optim_list[];         /**< NULL-terminated: sgd, rmsprop, adagrad, adam */
const tx_optim_ops *tx_optim_find(const char *name);      /**< NULL if there is none */

/** How the learning rate goes over a run. */
typedef enum tx_schedule { TX_SCHEDULE_CONSTANT, TX_SCHEDULE_LINEAR, TX_SCHEDULE_EXPONENTIAL, TX_SCHEDULE_COSINE } tx_schedule;
/** Their names, in order. */
#define TX_SCHEDULE_CHOICES "constant|linear|exponential|cosine"
/** Learning rate of step t = 0 .. total-1: from `initial` to `final` over the run (exponential: geometrically;
 *  cosine: half a period; constant: `initial`). */
double tx_schedule_rate(tx_schedule s, double initial, double final, uint64_t t, uint64_t total);

/** An update rule with its state for one net. */
typedef struct tx_optim tx_optim;
/** `config` of ops->config_size is copied. */
tx_optim *tx_optim_new(const tx_optim_ops *ops, const void *config, const tx_params *p);
void      tx_optim_free(tx_optim *o);                     /**< NULL is allowed */
/** One step down grad[], one for each weight in order, computed or postponed (tx_grad_postponed). clip_norm > 0 rescales the whole net's gradient to at most that
 *  Euclidean norm (Pascanu et al. 2013); decay is decoupled weight decay. False if a gradient or a new weight is not
 *  finite. With clipping a gradient that is not changes nothing. Otherwise that is found while weights are written, which
 *  saves a pass over the gradients: weights and state are spoilt, so the caller must end there and keep neither as a
 *  checkpoint nor as the best so far. */
bool      tx_optim_step(tx_optim *o, tx_params *p, tx_tape *t, tx_var const grad[], double lr, double clip_norm, double decay);
/** Steps so far. */
uint64_t  tx_optim_steps(const tx_optim *o);
void      tx_optim_set_steps(tx_optim *o, uint64_t t);    /**< for resuming */
/** Its rule. */
const tx_optim_ops *tx_optim_ops_of(const tx_optim *o);
tx_tensor tx_optim_slot(const tx_optim *o, int slot);     /**< [1, block length of the params]: for checkpoints */
#endif
