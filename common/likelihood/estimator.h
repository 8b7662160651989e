/** Estimators of log-likelihood. Adding one: a file with one `static const` struct and one line in estimator.c. */
#ifndef TX_LIKELIHOOD_ESTIMATOR_H
#define TX_LIKELIHOOD_ESTIMATOR_H
#include "common/model/estimate.h"
#include "common/model/model.h"
/** An estimator of log-likelihoods. */
typedef struct tx_estimator_ops {
    const char *name, *summary, *citation;
    size_t      config_size;
    const tx_option *options;
    /** NULL if it applies, else the reason. */
    const char *(*unfit)(const tx_model_ops *m, const tx_view *v);
    bool        simulates;                                /**< draws its own rows from the model (TX_SIMULATED): run once, `s` is
                                                               ignored and n = 0 means the option's default */
    /** Evaluate rows 0..n-1 of the split (n = 0: all). Random numbers from `r` only. `progress` (may be NULL) is told the
     *  share done. Same bits for every thread count. */
    tx_status (*run)(const void *config, tx_model *m, const tx_view *v, tx_split s, size_t n, tx_rng r,
                     void (*progress)(void *ctx, double share), void *ctx, tx_estimate *out);
} tx_estimator_ops;
extern const tx_estimator_ops *const tx_estimator_list[]; /**< NULL-terminated */
/** NULL if there is none. */
const tx_estimator_ops *tx_estimator_find(const char *name);
#endif
