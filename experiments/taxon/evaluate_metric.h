/** `taxon evaluate RUN --metric NAME`: a metric of sample quality of a finished run. */
#ifndef TX_TAXON_EVALUATE_METRIC_H
#define TX_TAXON_EVALUATE_METRIC_H
#include "experiments/taxon/command.h"
tx_status tx_evaluate_metric(const tx_args *a);
#endif
