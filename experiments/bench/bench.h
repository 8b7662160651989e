/** What `taxon bench` times: training steps, sampling and estimators at fixed sizes, each beside its floor, the least time
 *  that its arithmetic and its traffic take at rates measured in the same call. A workload is a line of a table. */
#ifndef TX_BENCH_BENCH_H
#define TX_BENCH_BENCH_H
#include "common/likelihood/estimator.h"

enum { TX_BENCH_WIDTHS = 8, TX_BENCH_PASSES = 6, TX_BENCH_WARM = 3 };

/** Dense layers width[0] -> width[1] -> ... and how many times one row goes through their products: for the activations, for
 *  the gradient of the weights, for that of the inputs of all layers but the first, and for that of the first's. A share of
 *  one stands for products of which no more is needed: masked weights, inputs of 0. */
typedef struct tx_bench_pass {
    size_t width[TX_BENCH_WIDTHS]; /**< 0 ends */
    double forward, weight, input, first;
} tx_bench_pass;

/** In-memory rows of two values, drawn once. */
typedef struct tx_bench_data {
    const char *name, *view;
    tx_data_type type;
    int levels;
    size_t dim, n_train, n_test;
    double share; /**< probability of the higher value */
    size_t side;  /**< rows are images of side x side where that is dim */
} tx_bench_data;
extern const tx_bench_data tx_bench_binary, tx_bench_levels;

typedef struct tx_bench_phase tx_bench_phase;
extern const tx_bench_phase tx_bench_train, tx_bench_sample, tx_bench_estimate;

/** Results carry name and phase; several workloads share a name. */
typedef struct tx_workload {
    const char *name;
    const tx_bench_phase *phase;
    const char *model, *options; /**< YAML map of the model's options */
    const char *settings;        /**< YAML map: of `train:` without the batch, or of the estimator's options */
    const char *estimator;       /**< NULL unless the phase is tx_bench_estimate */
    const tx_bench_data *data;
    size_t batch;   /**< rows of a step, samples, or evaluated examples */
    bool mean;      /**< sampling: expected values in place of draws */
    double seconds; /**< how long it is repeated */
    double units;   /**< transcendental functions a row, where they are as many as products; else 0 */
    tx_bench_pass pass[TX_BENCH_PASSES]; /**< none: no floor is looked for */
} tx_workload;
extern const tx_workload tx_workloads[]; /**< ends with name == NULL */

typedef struct tx_bench_result {
    size_t n;                               /**< repetitions */
    double median;                          /**< seconds */
    double rows;                            /**< batch, or rows that the estimator passed through the model */
    double parameters;
    double flops, bytes, units;             /**< of one repetition */
    double gemm_rate, copy_rate, unit_rate; /**< a second; unit_rate 0 where no units are counted */
    double floor;                           /**< seconds: the sum of flops, bytes and units over their rates */
    size_t growths;                         /**< system allocations of the tape while it was timed */
} tx_bench_result;

const char *tx_bench_phase_name(const tx_bench_phase *p); /**< "train", "sample", "evaluate" */
/** Floating-point operations of the products that `rows` rows need, two a multiply-add. */
double tx_bench_flops(const tx_workload *w, double rows);
/** Repeats the workload for `seconds` (0: its own), after warming up, at the number of threads that is set. `watch` is called
 *  between repetitions and by estimators while they run; it may end the process. TX_EDIVERGED, or the options' failures. */
tx_status tx_bench_run(const tx_workload *w, double seconds, void (*watch)(void *ctx, double share), void *ctx,
                       tx_bench_result *out);

/** What times are measured against: width of the hidden layers, dimension of the data, rows of a step or samples. */
typedef struct tx_bench_size {
    size_t hidden, dim, batch;
} tx_bench_size;
extern const tx_bench_size tx_bench_middle; /**< of which one is varied */

/** A workload of a family at a size: points into itself. */
typedef struct tx_bench_scaled {
    tx_workload workload;
    tx_bench_data data;
    char options[TX_NAME_MAX * 2];
} tx_bench_scaled;

const char *tx_bench_family(int i);     /**< from 0; NULL behind the last */
bool tx_bench_family_has_hidden(int i); /**< layers whose width can vary */
/** Training steps or samples of family i at that size, without passes. */
void tx_bench_scale(int i, const tx_bench_phase *phase, tx_bench_size size, tx_bench_scaled *out);

/** Rates at the number of threads that is set: the best of several within `seconds`, of 2 m n k operations, bytes read and
 *  written in place (so many in one pass), sigmoids. */
double tx_bench_gemm_rate(size_t m, size_t n, size_t k, double seconds);
double tx_bench_copy_rate(size_t bytes, double seconds);
double tx_bench_unit_rate(double seconds);
#endif
