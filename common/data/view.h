/** A view is what models are trained and scored on: a data set seen through a (random) map, with its measure.
 *
 *  raw               the stored numbers: counting measure on {0..K-1}^D, or Lebesgue on R^D for real data
 *  binarised         each level a Bernoulli draw with probability level/(K-1); fresh at every visit in training
 *  static_binarised  one draw for ever: the published files for MNIST, elsewhere from a fixed, named key
 *  dequantised       x = (level + u)/K, u uniform in (0,1): Lebesgue on [0,1]^D (Theis et al. 2016)
 *  logit             y = logit(lambda + (1 - 2 lambda) x) of the dequantised x (Papamakarios et al. 2017)
 *  standardised      (v - mean)/deviation of real data, or of the dequantised x; moments of the training split
 *
 *  Training draws are a function of (run seed, epoch, example), never of the model. Valid and test have one fixed
 *  realisation per (data set, view), independent of run seed and model. */
#ifndef TX_DATA_VIEW_H
#define TX_DATA_VIEW_H
#include "common/data/dataset.h"

/** What a density is a density of. */
typedef enum tx_measure { TX_COUNTING, TX_LEBESGUE } tx_measure;
const char *tx_measure_name(tx_measure m);                /**< "counting", "lebesgue" */

/** The space that a model is a distribution over: all a model knows of the data before it sees any. */
typedef struct tx_space {
    tx_measure measure;
    int        levels;                                    /**< K of {0..K-1} on the counting measure, else 0 */
    size_t     dim, height, width, channel;               /**< as in tx_dataset */
    size_t     n_train;                                   /**< rows of the training split, which models that keep rows need */
    size_t     n_class;                                   /**< labels of the training split are below this; 0 without labels */
    double     lower, upper;                              /**< bounds of every coordinate; -INFINITY, INFINITY without */
    const double *mean, *deviation;                       /**< [dim] of the training split in this space; owned by the view */
} tx_space;

typedef struct tx_view tx_view;
/** A kind of view. */
typedef struct tx_view_ops {
    const char *name, *summary;
    /** NULL if this view of `d` makes sense, else the reason why not ("needs levels; 'ring' is real"). */
    const char *(*unfit)(const tx_dataset *d);
    bool        random;                                   /**< rows depend on noise */
    /** One row: reads stored row `row` of split `s`, noise from `r`; x[dim]; returns log |dy/dx| in nats, where y is what
     *  the model sees and x is in the data's stated unit (images: the [0,1] scale): add it to log p(y) for log p(x). */
    double    (*row)(const tx_view *v, tx_split s, size_t row, tx_rng r, real y[]);
    /** Back to the data's unit ([0,1] for dequantised levels): x[n,dim] from y[n,dim], which may be the same array; NULL:
     *  identity. For pictures and for samples in files. */
    void      (*invert)(const tx_view *v, size_t n, const real y[], real x[]);
    void      (*space)(tx_view *v);                       /**< fills v->space but for shape and moments */
    tx_status (*prepare)(tx_view *v);                     /**< what rows need: fixed draws, moments of the data; NULL: nothing */
    void      (*moments)(const tx_view *v, double mean[], double deviation[]); /**< closed form; NULL: one pass over the
                                                               training split with the draws of seed 0, epoch 0 */
} tx_view_ops;
extern const tx_view_ops *const tx_view_list[];           /**< NULL-terminated */

/** A view of one data set: tx_view_open fills it, tx_view_close frees it. */
struct tx_view {
    const tx_view_ops *ops;
    const tx_dataset  *data;                              /**< borrowed */
    tx_space           space;
    int                dequantised_levels;                /**< K where rows are dequantised levels (bits/dim exist), else 0 */
    double             lambda;                            /**< of logit */
    double            *moment;                            /**< [4,dim]: mean, deviation of the view, then of the data */
    double             log_jacobian;                      /**< the part of log |dy/dx| that is the same for every row */
    char               note[TX_TEXT_MAX];                 /**< what was decided, one line, or "": where fixed draws come from,
                                                               coordinates without variation */
    uint8_t           *fixed[TX_N_SPLIT];                 /**< static_binarised draws [n,dim], else NULL */
    char               sha256[TX_SHA256_TEXT];            /**< of valid and test as models are scored on them, as float; logit's
                                                               last bits differ where the processor fuses products and sums */
};
/** Options of a view: the `view:` key and its parameters. */
typedef struct tx_view_config { int view; double lambda; } tx_view_config;
extern const tx_option tx_view_options[];                 /**< view (choice; default raw), lambda (1e-6) */
/** Names of all views with "|" between. */
const char *tx_view_choices(void);

/** A view that does not fit the data is TX_ECONFIG with the reason. `data` must outlive the view. */
tx_status tx_view_open(tx_view *out, const tx_dataset *data, const tx_view_config *c);
void      tx_view_close(tx_view *v);
/** Rows `row[0..n)` of a split into y[n,dim]; log_jacobian[n] may be NULL. TRAIN rows draw from
 *  fold(fold(named(root(seed), "view"), epoch), row); VALID and TEST ignore seed and epoch and draw from
 *  fold(named(named(named(root(0), data->name), view), split), row): limits on rows change no noise. Parallel over rows. */
void      tx_view_rows(const tx_view *v, tx_split s, uint64_t seed, uint64_t epoch, const uint32_t row[], size_t n,
                       real y[], double log_jacobian[]);
/** Rows from..from+n-1 in stored order, the fixed realisation (for TRAIN: seed 0, epoch 0). */
void      tx_view_range(const tx_view *v, tx_split s, size_t from, size_t n, real y[], double log_jacobian[]);
/** n <= n_train training rows whose labels may be seen, row[n]: as many of each class as can be, those of a smaller n
 *  first, drawn from stream named(root(seed), "labels"). The data must have labels. */
void      tx_view_labelled(const tx_view *v, uint64_t seed, size_t n, uint32_t row[]);
/** The order in which epoch `epoch` visits the n training rows: perm[n]. */
void      tx_view_order(const tx_view *v, uint64_t seed, uint64_t epoch, uint32_t perm[]);
#endif
