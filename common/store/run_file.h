/** result.h5: everything about one finished run, written once, whole. Layout: results/README.md. */
#ifndef TX_STORE_RUN_FILE_H
#define TX_STORE_RUN_FILE_H
#include "common/base/numbers.h"
#include "common/base/text.h"
#include "common/model/estimate.h"
#include "common/model/train.h"

/** A number among an estimate's settings; NAN if absent. */
double tx_estimate_setting(const tx_estimate *e, const char *key);
/** A text among them: "brief" says in few words how much went into it ("k = 5000"); "" if absent. */
const char *tx_estimate_text(const tx_estimate *e, const char *key);
/** Runs that were evaluated one by one may have other settings under one name: those are not one number. Same estimator,
 *  kind and "brief". */
bool tx_same_method(const tx_estimate *a, const tx_estimate *b);

/** What a run gives to its file. Everything is borrowed. */
typedef struct tx_run {
    const json_t    *config;                              /**< the resolved config of this run, every default filled in */
    const char      *label;                               /**< model name, or the label that tells two entries apart */
    const char      *group;                               /**< label without its grid values: variants compete in it on valid */
    const tx_model  *model;
    const tx_view   *view;
    int              seed;
    tx_status        outcome;                             /**< TX_OK: complete; TX_EDIVERGED */
    const char      *failure;                             /**< the message when diverged, else NULL */
    const tx_curves *curves;                              /**< NULL for models without epochs */
    tx_trainer_state training;
    int              n_estimate;
    const tx_estimate *estimate;                          /**< at most one for each (split, name) */
    size_t           n_sample;
    const real      *sample;                              /**< [n_sample,dim] in the model's space */
    const real      *sample_mean;                         /**< same shape, or NULL */
    const double    *sample_log_likelihood;               /**< [n_sample] nats in the data's unit, or NULL */
    tx_numbers       metrics, cost, timing;
    const char      *start, *end;                         /**< ISO 8601 UTC */
    int              threads;
} tx_run;
/** Builds the file in memory and commits it. `reproducible` leaves /timing and /provenance out. `sha256` receives
 *  content_sha256 (may be NULL). */
tx_status tx_run_write(const tx_run *r, const char *path, bool reproducible, char sha256[TX_SHA256_TEXT]);

/** The unit of samples that were taken back through a view: the data's, or "1" where the view leaves the stored levels. */
const char *tx_sample_unit(const tx_view *v);

/** evaluation-NAME.h5: estimates or metrics made later of a finished run, beside it. `run_sha256`: content of the run it
 *  evaluates. */
tx_status tx_evaluation_write(const char *path, const char *run_sha256, const json_t *config, int n, const tx_estimate e[]);
tx_status tx_evaluation_write_metrics(const char *path, const char *run_sha256, const json_t *config, const tx_numbers *metrics,
                                      const tx_numbers *timing);

/** With what such a file was made: what was given to tx_evaluation_write, to be released by the caller. TX_ENOINPUT: there
 *  is none; TX_EDATA: it is damaged, or evaluates another run. */
tx_status tx_evaluation_config(const char *path, const char *run_sha256, json_t **config);

/** A file that a run was read from. */
typedef struct tx_run_source {
    char name[2 * TX_NAME_MAX];                           /**< without its folder */
    char content_sha256[TX_SHA256_TEXT];
    int  n_estimate;                                      /**< the run's estimates are those of its files, one after the other */
} tx_run_source;

/** What is read back of a run file: checked by its trailer before it is opened. Owned: tx_run_info_free. */
typedef struct tx_run_info {
    char    path[TX_TEXT_MAX];
    char    label[TX_NAME_MAX], group[TX_NAME_MAX], model[TX_NAME_MAX], taxonomy_path[TX_NAME_MAX];
    char    dataset[TX_NAME_MAX], view[TX_NAME_MAX], measure[16], status[16], failure[TX_TEXT_MAX];
    char    content_sha256[TX_SHA256_TEXT], dataset_sha256[TX_SHA256_TEXT], view_sha256[TX_SHA256_TEXT];
    int     seed;
    json_t *config;
    int     n_estimate;
    tx_estimate *estimate;                                /**< those of evaluation-*.h5 beside the run are appended, in the
                                                               order of file names, if their run_sha256 is this run's */
    const tx_numbers *metrics, *cost, *timing;            /**< metrics of evaluations beside the run in place of its own of that name */
    int n_file;                                           /**< result.h5, then the evaluations that were taken, by name */
    tx_run_source *file;                                  /**< [n_file] */
    double  best_score;                                   /**< selection score on valid, NAN without */
    char    score[16];                                    /**< "exact", "elbo", "none" */
    int     best_epoch, epochs;
    int     n_left_out;                                   /**< evaluations beside the run that are damaged, or of another run, or that cannot be listed */
    tx_text note;                                         /**< why, a line each */
} tx_run_info;
/** TX_EDATA where the file is damaged, foreign or of another major schema; TX_ENOINPUT. arrays: read the per-example ones. */
tx_status tx_run_read(const char *path, bool arrays, tx_run_info *out);
void      tx_run_info_free(tx_run_info *r);
bool      tx_run_complete(const tx_run_info *r);          /**< NULL is allowed: false */
/** The estimate of this split and name: the last one, where an evaluation beside the run made it again. NULL: none. */
const tx_estimate *tx_run_estimate(const tx_run_info *r, tx_split s, const char *name);
/** The file that holds estimate `e` of the run, NULL where the run was not read from files. */
const tx_run_source *tx_run_source_of(const tx_run_info *r, const tx_estimate *e);
/** Per-example log-likelihoods of the estimates of one of the run's files, read whole: value[i] is [n] of its i-th, to be freed by
 *  the caller. TX_EDATA: damaged, or no longer what it was when the run was read. */
tx_status tx_run_read_values(const tx_run_info *r, const tx_run_source *file, double *value[]);
/** Fill a model's weights from /parameters: names and shapes must agree (TX_EDATA names the first that does not; the
 *  weights are then as they were). */
tx_status tx_run_load_parameters(const char *path, tx_model *m);
#endif
