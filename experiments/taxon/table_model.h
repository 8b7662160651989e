/** What a table says, before it is formatted. */
#ifndef TX_TAXON_TABLE_MODEL_H
#define TX_TAXON_TABLE_MODEL_H
#include "common/store/run_file.h"
#include "experiments/taxon/sheet.h"

enum { TX_BOARD_REFERENCES = 4 };

/** One estimate of one row: the mean over the seeds that have it by one estimator, kind and settings in brief. */
typedef struct tx_board_cell {
    const tx_estimate *first; /**< the first seed's; borrowed from its run */
    char name[TX_NAME_MAX], estimator[TX_NAME_MAX], evaluated_model[TX_TEXT_MAX];
    char by[TX_TEXT_MAX]; /**< name, estimator and what went into it, in few words: "iwae, k = 5000" */
    tx_kind kind, bits_kind;
    bool stochastic;
    double mean, error; /**< nats; error over seeds where there are several, else over examples */
    bool over_seeds;
    bool varies;            /**< seeds differ in evaluated_model: that of the first is told */
    double mc_error;        /**< of the mean, nats; 0 if exact */
    double bits_per_dim;    /**< NAN without */
    int n_seed;             /**< of the row's, those that have it */
    size_t n_least, n_most; /**< examples of the seeds that have the fewest and the most */
    double gap, gap_error,
        gap_mc_error; /**< of rows that the model drew: upper minus lower bound, nats; NAN elsewhere */
} tx_board_cell;

typedef struct tx_board_row {
    char label[TX_NAME_MAX], group[TX_NAME_MAX], model[TX_NAME_MAX], taxonomy_path[TX_NAME_MAX];
    const char *leaf;       /**< the path's last part */
    const tx_run_info *run; /**< [n_run] its runs, by seed; borrowed */
    int n_run;
    int n_seed, n_diverged;                                      /**< n_seed: that ended well */
    int n_tried, n_incomplete;                                   /**< as tx_choice */
    double n_parameter, n_step, sequential_steps, train_seconds; /**< means over seeds, NAN without */
    int n_cell;
    tx_board_cell *cell; /**< [n_cell] best known first: exact, bounds, estimates; of a kind the most examples first,
                            then the tightest bound, the highest estimate */
} tx_board_row;

typedef struct tx_board_block {
    char dataset[TX_NAME_MAX]; /**< with the first digits of a sum where other rows have the same name */
    char view[TX_NAME_MAX], measure[16];
    tx_split
        split; /**< TX_SIMULATED: rows that each model drew itself, evidence about estimators and never a ranking */
    size_t n_example; /**< of the longest estimate */
    const tx_run_info *run; /**< [n_run] all of the data set and view, variants that are not shown too; borrowed */
    int n_run;
    int n_row, n_reference;
    tx_board_row *row;
    struct {
        char name[TX_NAME_MAX];
        double value;
    } reference[TX_BOARD_REFERENCES];
} tx_board_block;

typedef struct tx_board {
    int n_block, n_remark;
    tx_board_block *block;
    char **remark; /**< lines for below the table */
} tx_board;

tx_board *tx_board_new(int n, const tx_run_info run[]);
void tx_board_free(tx_board *b);
/** The run's estimate of the split, name, estimator, kind and brief settings of another; NULL without, or if it
 * diverged. */
const tx_estimate *tx_board_estimate(const tx_run_info *r, const tx_estimate *like);
/** The block's table. */
void tx_board_sheet(const tx_board_block *b, const tx_format *f, tx_text *out);
/** What the signs and errors of a table mean, and what was evaluated; `metrics`: of sample quality
 * too. The lines below it. */
void tx_board_notes(const tx_board *b, const tx_format *f, bool metrics, tx_text *out);
/** Are two rows of a block in one order: first cells of one kind over as many examples, or both without any? */
bool tx_board_same_rank(const tx_board_row *a, const tx_board_row *b);
#endif
