#include "common/model/model.h"

#define TX_MODEL(name) extern const tx_model_ops tx_model_##name;
#include "models/models.def"
#undef TX_MODEL

const tx_model_ops *const tx_model_list[] = {
#define TX_MODEL(name) &tx_model_##name,
#include "models/models.def"
#undef TX_MODEL
    NULL,
};
