/** What the fuzz targets share. A target is fuzz_NAME.c with LLVMFuzzerTestOneInput: it aborts where a promise is
 * broken and returns 0 otherwise. tests/fuzz/run.sh runs them; the suite replays corpus/NAME with replay.c. */
#ifndef TX_TESTS_FUZZ_FUZZ_H
#define TX_TESTS_FUZZ_FUZZ_H
#include "common/base/base.h"
#include "common/model/train.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Path of a file in memory that has this content until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);
/** Aborts unless the last failure was one line of text that names `origin`, and `s` is one of the two. */
void fuzz_refused(tx_status s, tx_status expected, tx_status other, const char *origin);

/** Reads a file of this content as a table and as a data set. HDF5 files are left alone: their reader runs elsewhere.
 */
void fuzz_table(const uint8_t *data, size_t size);

/** A model that has not been trained, and its trainer, on a small data set that is opened once. */
typedef struct fuzz_training {
    tx_model *model;
    tx_trainer *trainer;
} fuzz_training;
#define FUZZ_SPEC                                                                                                      \
    "{dataset: {name: bars, n_train: 20, n_valid: 10, n_test: 10, view: raw},"                                         \
    " model: {name: vae, latent: 2, hidden: [3]}, train: {epochs: 3, batch: 8, optimizer: adam},"                      \
    " evaluate: {estimators: [elbo, iwae], n_sample: 3}, seed: 7}"
#define FUZZ_IDENTITY "model: vae\nlearning_rate: 0.01\nversion: 1\n"
fuzz_training fuzz_training_new(void);
void fuzz_training_free(fuzz_training *t);
/** A batch or two of training, which may diverge, but not crash. */
void fuzz_training_go_on(fuzz_training *t);
#endif
