#include "common/store/checkpoint.h"
#include "common/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/store/parts.h"

const char *const tx_checkpoint_name[TX_GENERATIONS] = {"checkpoint.h5", "checkpoint.prev.h5"};

char *tx_checkpoint_newest(const char *folder)
{
    for (int g = 0; g < TX_GENERATIONS; g++) {
        tx_text path = {0};
        tx_text_add(&path, "%s/%s", folder, tx_checkpoint_name[g]);
        if (access(path.s, F_OK) == 0) return path.s;
        tx_text_free(&path);
    }
    return NULL;
}

/** Kinds of trainer state and how they are stored: whole numbers of 64 bits as eight little-endian bytes each. */
typedef struct element {
    char code;
    tx_h5_type type;
    size_t size, columns;
} element;

static const element elements[] = {{'r', sizeof(real) == sizeof(double) ? TX_H5_F64 : TX_H5_F32, sizeof(real), 1},
                                   {'d', TX_H5_F64, sizeof(double), 1},
                                   {'u', TX_H5_U8, sizeof(uint64_t), 8}};

static const element *element_of(char code)
{
    for (size_t i = 0; i < TX_LEN(elements); i++)
        if (elements[i].code == code) return &elements[i];
    tx_die(__FILE__, __LINE__, "element_of", "kind of state '%c'", code);
}

/** "/state/a/b" of "a/b": the group is cut off at *leaf. */
static void split_path(const char *name, char group[TX_TEXT_MAX], const char **leaf)
{
    snprintf(group, TX_TEXT_MAX, "/state/%s", name);
    char *slash = strrchr(group, '/');
    *leaf = name + strlen(name) - strlen(slash + 1);
    *slash = '\0';
}

static void pack(const uint64_t *from, size_t n, uint8_t *to)
{
    for (size_t i = 0; i < 8 * n; i++) to[i] = (uint8_t)(from[i / 8] >> (i % 8 * 8));
}

static void unpack(const uint8_t *from, size_t n, uint64_t *to)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = 0;
        for (size_t b = 0; b < 8; b++) to[i] |= (uint64_t)from[8 * i + b] << (8 * b);
    }
}

/** Arrays without values are not stored: their size comes from another of the trainer's numbers. */
static tx_status save(void *ctx, const char *name, char elem, size_t n, void *data)
{
    tx_h5 *f = ctx;
    if (n == 0) return TX_OK;
    const element *e = element_of(elem);
    char group[TX_TEXT_MAX], length[TX_NAME_MAX + 8];
    const char *leaf;
    split_path(name, group, &leaf);
    snprintf(length, sizeof length, "%s_n", leaf);
    uint8_t *bytes = e->columns == 8 ? tx_alloc(n, 8) : NULL;
    if (bytes) pack(data, n, bytes);
    tx_h5_put(f, &(tx_h5_array){.group = group,
                                .name = leaf,
                                .type = e->type,
                                .rank = e->columns > 1 ? 2 : 1,
                                .dim = {{length, n}, {"byte", 8}},
                                .data = bytes ? bytes : data,
                                .unit = "1",
                                .long_name = "state of training"});
    free(bytes);
    return f->status;
}

static tx_status load(void *ctx, const char *name, char elem, size_t n, void *data)
{
    tx_h5 *f = ctx;
    if (n == 0) return TX_OK;
    const element *e = element_of(elem);
    char path[TX_TEXT_MAX];
    snprintf(path, sizeof path, "/state/%s", name);
    tx_shape shape;
    void *stored = tx_h5_get(f, path, e->type, &shape);
    int rank = e->columns > 1 ? 2 : 1;
    if (stored && (shape.rank != rank || shape.dim[0] != n || (rank == 2 && shape.dim[1] != 8)))
        f->status = tx_fail(TX_EDATA, "%s: %s: expected %zu value%s, found %zu", f->path, path, n,
                            tx_plural((long long)n), shape.rank ? shape.dim[0] : 1);
    else if (stored && rank == 2)
        unpack(stored, n, data);
    else if (stored)
        memcpy(data, stored, n * e->size);
    free(stored);
    return f->status;
}

tx_status tx_checkpoint_write(const char *path, const char *identity, tx_trainer *t)
{
    tx_h5 *f = tx_h5_new(path, TX_SCHEMA_CHECKPOINT, true);
    tx_h5_put(f, &(tx_h5_array){.group = "/identity",
                                .name = "text",
                                .type = TX_H5_TEXT,
                                .data = &identity,
                                .long_name = "what must be equal to continue"});
    tx_status s = tx_trainer_visit(t, save, f);
    if (s == TX_OK) return tx_h5_commit(f, NULL);
    tx_h5_close(f);
    return s;
}

/** The surroundings of the first difference, from the start of its line on. */
static tx_status compare_identity(const char *path, const char *stored, const char *identity)
{
    size_t same = 0;
    while (stored[same] && stored[same] == identity[same]) same++;
    if (stored[same] == identity[same]) return TX_OK;
    size_t line = same;
    while (line > 0 && identity[line - 1] != '\n' && same - line < 60) line--;
    return tx_fail(TX_EDATA, "%s: is of another run: it has '%.*s', this one '%.*s'; remove it to start anew", path,
                   (int)strcspn(stored + line, "\n") < 120 ? (int)strcspn(stored + line, "\n") : 120, stored + line,
                   (int)strcspn(identity + line, "\n") < 120 ? (int)strcspn(identity + line, "\n") : 120,
                   identity + line);
}

/** What the trainer itself refuses is the fault of this file, too. */
static tx_status restore(tx_h5 *f, tx_trainer *t)
{
    tx_status s = tx_trainer_visit(t, load, f);
    return s == TX_OK || f->status != TX_OK ? s : tx_fail(s, "%s: %s", f->path, tx_last_error());
}

tx_status tx_checkpoint_read(const char *path, const char *identity, tx_trainer *t)
{
    tx_h5 *f;
    TX_TRY(tx_h5_open(&f, path, TX_SCHEMA_CHECKPOINT));
    char *stored = tx_h5_get_string(f, "/identity/text");
    tx_status s = stored ? compare_identity(path, stored, identity) : f->status;
    free(stored);
    if (s == TX_OK) s = restore(f, t);
    tx_status closed = tx_h5_close(f);
    return s == TX_OK ? closed : s;
}
