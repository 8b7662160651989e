/** Tables as people and programs read them: lines of cells, notes below, records; one list of formats for all tables.
 */
#ifndef TX_TAXON_SHEET_H
#define TX_TAXON_SHEET_H
#include <jansson.h>
#include "common/base/text.h"
#include "common/data/measure.h"

enum { TX_SHEET_COLUMNS = 12, TX_SHEET_CELL = 160 };

/** A number column is aligned by blanks of its own in plain text, and to the right elsewhere. */
typedef enum tx_align { TX_ALIGN_LEFT, TX_ALIGN_RIGHT, TX_ALIGN_NUMBER } tx_align;
typedef struct tx_column {
    const char *head;
    tx_align align;
} tx_column;

typedef struct tx_sheet_line {
    char cell[TX_SHEET_COLUMNS][TX_SHEET_CELL];
    bool rule; /**< a line across, and no cells */
} tx_sheet_line;

/** Starts as {.n_column = N, .column = TABLE}. Columns that stay empty are not printed. */
typedef struct tx_sheet {
    int n_column, n;
    const tx_column *column;
    tx_sheet_line *line; /**< [n] owned: tx_sheet_free */
    bool used[TX_SHEET_COLUMNS];
} tx_sheet;

/** The new last line; the pointer holds until the next one is added. */
tx_sheet_line *tx_sheet_add(tx_sheet *s);
void tx_sheet_put(tx_sheet *s, tx_sheet_line *l, int column, const char *text);
void tx_sheet_free(tx_sheet *s);

/** How a format writes what it cannot write as it is. */
typedef struct tx_format {
    const char *name, *plus_minus;
    const char *sign[TX_N_KIND];
    const char *math;                                                    /**< around a formula */
    void (*sheet)(const char *heading, const tx_sheet *s, tx_text *out); /**< NULL: a format of records */
    void (*notes)(const char *lines, tx_text *out);                      /**< what stands below all sheets */
    /** `all`: an object whose "rows" are objects of equal keys. NULL: a format of sheets. */
    void (*records)(const json_t *all, tx_text *out);
} tx_format;
/** "text", "md", "tex", "html" (a fragment of a page), "csv" or "json"; TX_EUSAGE. */
tx_status tx_format_find(const char *name, const tx_format **out);

/** Digits behind the point that show two figures of an error; 4 without one. */
int tx_error_decimals(double error);
/** "SIGN  VALUE +- ERROR", the value `width` wide; without an error where it is NAN or 0. */
void tx_format_value(const tx_format *f, const char *sign, int width, double value, double error,
                     char out[TX_SHEET_CELL]);
/** "lower bound" */
const char *tx_kind_plain(tx_kind k);
/** A number, null where it is not finite. */
json_t *tx_json_number(double v);
#endif
