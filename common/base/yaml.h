/** YAML documents as plain trees with places. A subset on purpose: anchors, aliases, tags, duplicate keys, several
 *  documents, non-UTF-8, depth over 16 and text over 1 MiB are refused with line and column (libyaml underneath).
 *  JSON texts are accepted, being YAML. Scalars hold no control characters but tab and newline, no Unicode line
 *  separators, byte order marks or non-characters, so that what was read can be written as JSON and read again. */
#ifndef TX_BASE_YAML_H
#define TX_BASE_YAML_H
#include "common/base/base.h"
/** What a node is. */
typedef enum tx_yaml_kind { TX_YAML_SCALAR, TX_YAML_LIST, TX_YAML_MAP } tx_yaml_kind;
/** A node with all below it, owned by its parent, the root by the caller (tx_yaml_free). */
typedef struct tx_yaml {
    tx_yaml_kind    kind;
    char           *key;          /**< of a map's member, else NULL */
    char           *text;         /**< of a scalar, else NULL */
    bool            quoted;       /**< the scalar stood in quotes: it is a string whatever it looks like */
    int             line, column; /**< from 1; of the key for a map's member; 0 where an override set it */
    int             n;            /**< children of a list or map */
    struct tx_yaml *child;        /**< [n] */
} tx_yaml;
/** `origin` names the text in messages ("quick.yaml", "command line"). On failure *out is untouched (TX_ECONFIG). */
tx_status tx_yaml_parse(const char *text, size_t bytes, const char *origin, tx_yaml **out);
tx_status tx_yaml_read(const char *path, tx_yaml **out);   /**< TX_ENOINPUT where the file is not readable */
void      tx_yaml_free(tx_yaml *y);                        /**< NULL is allowed */
const tx_yaml *tx_yaml_get(const tx_yaml *map, const char *key); /**< member or NULL (also when `map` is no map) */
tx_yaml  *tx_yaml_copy(const tx_yaml *y);
/** TX_ECONFIG with "ORIGIN:LINE:COLUMN: ...", or "command line: ..." for a node that an override set. */
tx_status tx_yaml_fail(const tx_yaml *at, const char *origin, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Set `a.b.c=value` in a map, making maps on the way; list members are addressed by number (`models.0.hidden`).
 *  The value is YAML ("[500, 500]"); none at all is the empty text. TX_EUSAGE, with `root` as it was, on a path through
 *  a scalar or a missing list member, on a bad value, and where the tree would become deeper than a text may be. */
tx_status tx_yaml_override(tx_yaml *root, const char *assignment);
#endif
