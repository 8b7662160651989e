/** `taxon report`: a comparison as one page that needs nothing else. report.c puts it together; the other report_*.c make its parts. */
#ifndef TX_TAXON_REPORT_H
#define TX_TAXON_REPORT_H
#include "common/store/h5.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/html.h"
#include "experiments/taxon/table_tree.h"

/** So that a page of 3 MB holds a comparison: what is more is left out, and said. */
enum { TX_REPORT_ROWS = 40,                               /**< models of a data set and view that have curves and pictures */
       TX_REPORT_RUNS = 300,                              /**< runs with their provenance and configuration */
       TX_REPORT_PLOT_BYTES = 1450000, TX_REPORT_PICTURE_BYTES = 1000000, TX_REPORT_CONFIG_BYTES = 200000 };

/** A data set and view: a chapter. */
typedef struct tx_report_view {
    char id[24];
    int n_block;                                          /**< splits that have a table */
    const tx_board_block *block, *main;                   /**< main: of the test split, or the first; borrowed */
    size_t plot_bytes, picture_bytes;                     /**< what is left of its share */
} tx_report_view;

typedef struct tx_report {
    const char *dir;                                      /**< as given */
    const tx_gathered *g;
    const tx_board *board;
    const tx_format *html;
    int n_view;
    tx_report_view *view;
    tx_text out;
    tx_text note;                                         /**< what is missing and why, a line each */
    json_t **config;                                      /**< [g->n] as far as they were asked for; owned */
    bool no_plots;                                        /**< gnuplot cannot be used: noted */
} tx_report;

/** The whole page of what was gathered below `dir`, appended to `out`. TX_EDATA where files change meanwhile. */
tx_status tx_report_make(const char *dir, const tx_gathered *g, tx_text *out);

/** A line among the notes. */
void tx_report_note(tx_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tx_report_heading(tx_report *r, int level, const char *id, const char *text); /**< id: NULL without */
/** "fashion_mnist, binarised" */
void tx_report_view_name(const tx_report_view *v, char out[2 * TX_NAME_MAX + 2]);
/** The path of a run below the folder. */
const char *tx_report_path(const tx_report *r, const char *path);
/** The first complete run of a row, which stands for it in figures; NULL: none. */
const tx_run_info *tx_report_run(const tx_board_row *row);
/** The rows that have figures. */
int tx_report_rows(const tx_board_block *b);
/** Its file, open; NULL where it cannot be read: noted. */
tx_h5 *tx_report_open(tx_report *r, const tx_run_info *run);
/** What it was run from; NULL where that cannot be read: noted. */
const json_t *tx_report_config(tx_report *r, const tx_run_info *run);
void tx_report_close(tx_report *r, tx_h5 *f);             /**< failures are noted */

extern const char *const tx_report_style[];               /**< CSS; NULL-terminated */
void tx_report_tree(tx_report *r);                        /**< the taxonomy with results */
void tx_report_curves(tx_report *r, tx_report_view *v);
void tx_report_histograms(tx_report *r, tx_report_view *v);
void tx_report_costs(tx_report *r, tx_report_view *v);    /**< of a sample, against likelihood and a metric */
void tx_report_pictures(tx_report *r, tx_report_view *v); /**< samples beside data and beside their nearest training rows */
void tx_report_data(tx_report *r);
void tx_report_runs(tx_report *r);                        /**< provenance, configurations, commands */
#endif
