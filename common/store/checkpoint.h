/** checkpoint.h5: a trainer's state, streamed and uncompressed, committed atomically and checksummed. */
#ifndef TX_STORE_CHECKPOINT_H
#define TX_STORE_CHECKPOINT_H
#include "common/model/train.h"
/** Two generations lie in a run's folder, the newer first; that before serves when the newer one is damaged. */
enum { TX_GENERATIONS = 2 };
/** Their names in the folder. */
extern const char *const tx_checkpoint_name[TX_GENERATIONS];
/** Path of the newest generation in this folder, the caller's to free; NULL: there is none. */
char *tx_checkpoint_newest(const char *folder);
/** `identity`: text that must be equal to continue (resolved config + data hash + version); stored whole. */
tx_status tx_checkpoint_write(const char *path, const char *identity, tx_trainer *t);
/** TX_ENOINPUT: there is none. TX_EDATA: damaged, or of another identity (the message names the first difference). */
tx_status tx_checkpoint_read(const char *path, const char *identity, tx_trainer *t);
#endif
