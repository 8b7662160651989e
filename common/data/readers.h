/** Readers of file formats: each gives a table of rows, or one message with file, place, expected and found.
 *  Plain and gzip files are read alike; a file's kind is told from its content, not its name. */
#ifndef TX_DATA_READERS_H
#define TX_DATA_READERS_H
#include "common/base/base.h"
/** One array as read. Owned by the caller: tx_table_free. Exactly one of u8 and f32 is set. */
typedef struct tx_table {
    size_t   n, dim;                                      /**< rows, values a row */
    size_t   height, width, channel;                      /**< of images, else 0 */
    uint8_t *u8;                                          /**< [n,dim] */
    float   *f32;                                         /**< [n,dim] */
    char     note[TX_TEXT_MAX];                           /**< what was found: "IDX u8 60000 x 28 x 28, gzip" */
} tx_table;
/** What the table holds; {0} is allowed. */
void      tx_table_free(tx_table *t);
/** A format: `probe` says whether these first bytes (decompressed) are its own. */
typedef struct tx_reader_ops {
    const char *name, *summary;
    bool      (*probe)(const unsigned char *head, size_t n, const char *path);
    tx_status (*read)(const char *path, tx_table *out);
} tx_reader_ops;
extern const tx_reader_ops *const tx_reader_list[];       /**< idx, npy, hdf5, amat, csv; the first probe that says yes */
tx_status tx_table_read(const char *path, tx_table *out); /**< TX_ENOINPUT, TX_EDATA */
/** HDF5: the data set to read is named after '#': FILE.h5#group/name; without it the file must hold exactly one numeric
 *  array of rank >= 1, or arrays named train, valid, test (tx_dataset_open reads those). */
#endif
