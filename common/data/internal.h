/** Shared by the files of common/data only: the byte source, what readers are made of, and how tables become a data
 * set. */
#ifndef TX_DATA_INTERNAL_H
#define TX_DATA_INTERNAL_H
#include <sys/types.h>
#include "common/data/dataset.h"
#include "common/data/readers.h"

/** A file's content, plain or gzip. Only regular files are opened: a folder, FIFO or device is TX_EDATA. */
typedef struct tx_stream tx_stream;
tx_status tx_stream_open(const char *path, tx_stream **out);
void tx_stream_close(tx_stream *s); /**< NULL is allowed */
const char *tx_stream_path(const tx_stream *s);
bool tx_stream_gzip(const tx_stream *s);
/** *got < want only at the end of the content. TX_EDATA where a gzip file is cut or its check sum is wrong. */
tx_status tx_stream_read(tx_stream *s, void *to, size_t want, size_t *got);
/** Before memory is taken for `bytes` of values after `header` bytes: can the file hold them? */
tx_status tx_stream_expect(const tx_stream *s, size_t header, size_t bytes);
/** Nothing may be left; reading to the end is also what verifies the check sum of a gzip file. */
tx_status tx_stream_end(tx_stream *s, size_t expected);

/** Values as they are read: bytes as long as all are integers in 0..255, floats from the first that is not. Memory
 * grows with what has really been read. Zeroed to start; owns its arrays until tx_sink_table moves them. */
typedef struct tx_sink {
    uint8_t *u8;
    float *f32;
    size_t n, capacity;
} tx_sink;
void tx_sink_put(tx_sink *k, const double v[], size_t n);
void tx_sink_free(tx_sink *k);
/** Check rank (1 to 4) and product of a shape [n], [n,dim], [n,height,width] or [n,height,width,channel] and set it in
 *  `t`; *count = number of values. TX_EDATA on no rows, a zero or an overflow. */
tx_status tx_table_shape(tx_table *t, const char *path, int rank, const size_t shape[], size_t *count);
void tx_sink_table(tx_sink *k, tx_table *t); /**< moves the arrays */

/** Element of a binary array: kind 'u', 'i' or 'f' (size 4 or 8), bytes, byte order. */
typedef struct tx_element {
    char kind;
    size_t size;
    bool big;
} tx_element;
/** The rest of IDX and NPY files once their header of `header` bytes is understood: checks sizes, reads, converts. */
tx_status tx_array_read(tx_stream *s, const char *format, tx_element e, size_t header, int rank, const size_t shape[],
                        tx_table *out);

/** A task in a process of its own, with bounded memory and processor time, for a library that a damaged file can crash
 * or hang. It is forked, not started from a program, so that it works in every program that uses these readers; it must
 *  use one thread (of the others the fork copies none) and no output but `to`, and what it leaves open ends with it.
 *  False from a task: what it had announced cannot be had. */
typedef bool (*tx_confined_fn)(const void *ctx, int to);
typedef struct tx_confined {
    pid_t pid;
    int from;
} tx_confined;
tx_status tx_confined_start(tx_confined *c, tx_confined_fn task, const void *ctx); /**< TX_ESYSTEM */
bool tx_confined_read(tx_confined *c, void *to, size_t bytes); /**< false where the task ended before */
/** Always after tx_confined_start. TX_EDATA, naming `path`, where the task crashed, took too long or was false. */
tx_status tx_confined_end(tx_confined *c, const char *path);
/** Within a task: `bytes` of content justify that much memory more than 1 GiB, and time more than five seconds. */
void tx_confined_allow(size_t bytes);

extern const tx_reader_ops tx_reader_idx, tx_reader_npy, tx_reader_hdf5, tx_reader_amat, tx_reader_csv;
/** FILE#inner: writes the file's part, returns what follows '#', or NULL when the whole path is a file's. */
const char *tx_path_split(const char *path, char file[TX_TEXT_MAX]);
/** Whether this is a HDF5 file with arrays train, valid and test in its root. */
tx_status tx_hdf5_has_splits(const char *path, bool *yes);

/** One file of a data set, before types are decided. */
typedef struct tx_source {
    char path[TX_TEXT_MAX];
    tx_table table;
    uint8_t *label; /**< [n] or NULL; owned */
} tx_source;
/** Rows of a source that make a split. */
typedef struct tx_cut {
    int source;
    size_t from, n;
} tx_cut;
/** Labels, types, conversion, permutation (of a single source, by c->split_key) and cuts. Takes what it uses out of
 *  `src`; tx_sources_free frees the rest. */
tx_status tx_dataset_build(tx_dataset *d, const tx_data_config *c, tx_source src[], int n_source,
                           const tx_cut cut[TX_N_SPLIT], FILE *note);
void tx_sources_free(tx_source src[], int n);

void tx_note(FILE *note, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
tx_status tx_load_path(tx_dataset *d, const char *path, const tx_data_config *c, FILE *note); /**< a file or folder */
tx_status tx_load_named(tx_dataset *d, const tx_data_config *c, FILE *note);                  /**< a folder by name */
tx_status tx_load_mnist(tx_dataset *d, const tx_data_config *c, FILE *note);
tx_status tx_load_binarized_mnist(tx_dataset *d, const tx_data_config *c, FILE *note);

/** Built-in sets: rows of each split, from c or by default, allocated; row i of split s is for the caller to draw from
 *  tx_builtin_rng(d, s). TX_ECONFIG where c asks for another type. Set type, levels and shape before. */
tx_status tx_builtin_alloc(tx_dataset *d, const tx_data_config *c, const char *name, bool labels);
tx_rng tx_builtin_rng(const tx_dataset *d, tx_split s);

extern const tx_set_ops tx_set_mixture_1d, tx_set_ring, tx_set_grid, tx_set_bars, tx_set_bernoulli_mixture, tx_set_echo;
#endif
