/** How long runs will still take, from what those under way and those that have ended have shown. */
#ifndef TX_TAXON_FORECAST_H
#define TX_TAXON_FORECAST_H
#include "common/base/base.h"

typedef enum tx_work_state { TX_WORK_WAITS, TX_WORK_RUNS, TX_WORK_ENDED } tx_work_state;
typedef struct tx_work {
    int like;    /**< works of equal numbers cost the same: one model on one data set, seed by seed */
    double size; /**< parameters times steps: what is known of its cost before it starts */
    tx_work_state state;
    double from, share; /**< of the run: what was done when this process took it up, and what is done now, also of one that waits */
    double seconds;     /**< from then till now; NAN: not known, or it failed and tells nothing */
} tx_work;

typedef struct tx_forecast {
    double left;  /**< seconds of wall time until all have ended; NAN: nothing yet to tell it from */
    double part;  /**< of all work, weighed by cost, that is done */
    bool guessed; /**< most of `left` is of models of which no run has shown its speed: parameters times steps at the others' */
} tx_forecast;
/** Parameters times steps; what is not known counts as 1. */
double tx_work_size(double n_parameter, double n_step);
/** Are two runs, by their names DATASET-VIEW/LABEL/seed-N, the same but for the seed? */
bool tx_work_alike(const char *run, const char *other);
/** In the order in which they will start, at most `at_a_time` together. */
tx_forecast tx_forecast_of(int n, const tx_work w[], int at_a_time);
#endif
