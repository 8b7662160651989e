/** The rows of a board by the tutorial's tree. */
#ifndef TX_TAXON_TABLE_TREE_H
#define TX_TAXON_TABLE_TREE_H
#include "experiments/taxon/table_model.h"

/** A model of one path. */
typedef struct tx_tree_line {
    const char *path, *label; /**< borrowed from the board */
    size_t branch, place;     /**< branch: from left to right; place: where it was met first */
    const tx_board_row **row; /**< [n_block] NULL: it is not on that data set and view */
} tx_tree_line;

/** Lines in the order of the tree's leaves. Borrows from the board; owned: tx_tree_free. */
typedef struct tx_tree {
    int n_block, n_line;
    const tx_board_block **block; /**< [n_block] one a data set and view: the test split, or the first that there is */
    tx_tree_line *line;
} tx_tree;
/** Of the first `most` data sets and views. */
tx_tree tx_tree_new(const tx_board *b, int most);
void tx_tree_free(tx_tree *t);
#endif
