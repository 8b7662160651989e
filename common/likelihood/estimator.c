#include "common/likelihood/estimator.h"
#include <string.h>

extern const tx_estimator_ops tx_estimator_exact, tx_estimator_elbo, tx_estimator_ensemble, tx_estimator_iwae,
    tx_estimator_ais, tx_estimator_bdmc, tx_estimator_parzen, tx_estimator_enumerated, tx_estimator_ais_log_z,
    tx_estimator_self_normalised, tx_estimator_quadrature;

const tx_estimator_ops *const tx_estimator_list[] = {&tx_estimator_exact,
                                                     &tx_estimator_elbo,
                                                     &tx_estimator_ensemble,
                                                     &tx_estimator_iwae,
                                                     &tx_estimator_ais,
                                                     &tx_estimator_bdmc,
                                                     &tx_estimator_parzen,
                                                     &tx_estimator_enumerated,
                                                     &tx_estimator_ais_log_z,
                                                     &tx_estimator_self_normalised,
                                                     &tx_estimator_quadrature,
                                                     NULL};

const tx_estimator_ops *tx_estimator_find(const char *name)
{
    for (int i = 0; tx_estimator_list[i]; i++)
        if (strcmp(tx_estimator_list[i]->name, name) == 0) return tx_estimator_list[i];
    return NULL;
}
