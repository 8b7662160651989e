/* The table as the tree of Goodfellow's tutorial (figure 9), leaf by leaf: a line a model, a column a data set and
 * view. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "experiments/taxon/sheet.h"
#include "experiments/taxon/table.h"
#include "experiments/taxon/table_tree.h"

enum { PER_BLOCK = 2, MAX_BLOCKS = (TX_SHEET_COLUMNS - 1) / PER_BLOCK };

/* Branches as figure 9 has them from left to right; what is in none comes last. */
static const char *const branches[] = {"explicit/tractable/fvbn",
                                       "explicit/tractable/change_of_variables",
                                       "explicit/tractable",
                                       "explicit/approximate/variational",
                                       "explicit/approximate/markov_chain",
                                       "explicit/approximate",
                                       "implicit/markov_chain",
                                       "implicit/direct"};

static size_t branch_of(const char *path)
{
    size_t i = 0;
    while (i < TX_LEN(branches) && strncmp(path, branches[i], strlen(branches[i])) != 0) i++;
    return i;
}

static int by_branch(const void *one, const void *other)
{
    const tx_tree_line *a = one, *b = other;
    if (a->branch != b->branch) return a->branch < b->branch ? -1 : 1;
    int order = strcmp(a->path, b->path);
    return order ? order : a->place < b->place ? -1 : 1;
}

static tx_tree_line *line_of(tx_tree *t, const tx_board_row *r)
{
    for (int i = 0; i < t->n_line; i++)
        if (strcmp(t->line[i].label, r->label) == 0 && strcmp(t->line[i].path, r->taxonomy_path) == 0)
            return &t->line[i];
    t->line = tx_grow(t->line, (size_t)t->n_line, sizeof *t->line);
    tx_tree_line *l = &t->line[t->n_line];
    *l = (tx_tree_line){.path = r->taxonomy_path,
                        .label = r->label,
                        .branch = branch_of(r->taxonomy_path),
                        .place = (size_t)t->n_line,
                        .row = tx_alloc((size_t)t->n_block, sizeof *l->row)};
    t->n_line++;
    return l;
}

/* Of a data set and view the test split, or the first that there is. */
static void choose_blocks(tx_tree *t, const tx_board *b, int most)
{
    t->block = tx_alloc((size_t)b->n_block, sizeof *t->block);
    for (int i = 0; i < b->n_block; i++) {
        const tx_board_block *new = &b->block[i];
        if (new->split == TX_SIMULATED) continue;
        int k = 0;
        while (k < t->n_block && t->block[k]->run != new->run) k++;
        if (k < t->n_block && new->split == TX_TEST) t->block[k] = new;
        if (k == t->n_block && k < most) t->block[t->n_block++] = new;
    }
}

tx_tree tx_tree_new(const tx_board *b, int most)
{
    tx_tree t = {0};
    choose_blocks(&t, b, most);
    for (int k = 0; k < t.n_block; k++)
        for (int i = 0; i < t.block[k]->n_row; i++) line_of(&t, &t.block[k]->row[i])->row[k] = &t.block[k]->row[i];
    qsort(t.line, (size_t)t.n_line, sizeof *t.line, by_branch);
    return t;
}

void tx_tree_free(tx_tree *t)
{
    for (int i = 0; i < t->n_line; i++) free(t->line[i].row);
    free(t->line);
    free(t->block);
}

static int width_of(const tx_board_block *b)
{
    int most = 0;
    for (int i = 0; i < b->n_row; i++)
        for (int k = 0; k < b->row[i].n_cell; k++) {
            const tx_board_cell *c = &b->row[i].cell[k];
            int width = snprintf(NULL, 0, "%.*f", tx_error_decimals(c->error), c->mean);
            most = width > most ? width : most;
        }
    return most;
}

/* All estimates of a model, its first one on its own line and the others below. */
static void put_line(const tx_tree *t, const tx_tree_line *l, const tx_format *f, tx_sheet *s)
{
    char buf[TX_SHEET_CELL];
    int deepest = 1;
    for (int k = 0; k < t->n_block; k++)
        if (l->row[k] && l->row[k]->n_cell > deepest) deepest = l->row[k]->n_cell;
    for (int i = 0; i < deepest; i++) {
        tx_sheet_line *to = tx_sheet_add(s);
        if (i == 0) tx_sheet_put(s, to, 0, l->label);
        for (int k = 0; k < t->n_block; k++) {
            const tx_board_row *r = l->row[k];
            int at = 1 + PER_BLOCK * k;
            if (i == 0 && !r) tx_sheet_put(s, to, at, "-");
            if (i == 0 && r && r->n_cell == 0) tx_sheet_put(s, to, at, r->n_seed ? "none" : "diverged");
            if (!r || i >= r->n_cell) continue;
            const tx_board_cell *c = &r->cell[i];
            tx_format_value(f, f->sign[c->kind], width_of(t->block[k]), c->mean, c->error, buf);
            tx_sheet_put(s, to, at, buf);
            tx_sheet_put(s, to, at + 1, c->by);
        }
    }
}

static void print(const tx_tree *t, const tx_format *f, tx_text *out)
{
    char head[MAX_BLOCKS][2 * TX_NAME_MAX + 2];
    tx_column column[1 + PER_BLOCK * MAX_BLOCKS] = {{"model", TX_ALIGN_LEFT}};
    for (int k = 0; k < t->n_block; k++) {
        const tx_board_block *b = t->block[k];
        snprintf(head[k], sizeof head[k], "%s, %s", b->dataset, b->view);
        column[1 + PER_BLOCK * k] = (tx_column){head[k], TX_ALIGN_NUMBER};
        column[2 + PER_BLOCK * k] = (tx_column){"by", TX_ALIGN_LEFT};
    }
    tx_sheet s = {.n_column = 1 + PER_BLOCK * t->n_block, .column = column};
    for (int i = 0; i < t->n_line; i++) {
        if (i == 0 || strcmp(t->line[i].path, t->line[i - 1].path) != 0) {
            if (i) tx_sheet_add(&s)->rule = true;
            tx_sheet_put(&s, tx_sheet_add(&s), 0, t->line[i].path);
        }
        put_line(t, &t->line[i], f, &s);
    }
    f->sheet("log-likelihood, nats, by the tree of models", &s, out);
    tx_sheet_free(&s);
}

tx_status tx_results_tree(int n, const tx_run_info run[], const char *format, tx_text *out)
{
    const tx_format *f = NULL;
    TX_TRY(tx_format_find(format, &f));
    if (!f->sheet)
        return tx_fail(TX_EUSAGE,
                       "the tree is for people: text, md, tex or html, not %s, whose rows have their taxonomy_path",
                       format);
    tx_board *b = tx_board_new(n, run);
    tx_tree t = tx_tree_new(b, MAX_BLOCKS);
    tx_text measures = {0};
    print(&t, f, out);
    for (int k = 0; k < t.n_block; k++)
        tx_text_add(&measures, "%s, %s: %s measure, %s split, %zu examples.\n", t.block[k]->dataset, t.block[k]->view,
                    t.block[k]->measure, tx_split_name(t.block[k]->split), t.block[k]->n_example);
    tx_text_add(&measures, "-: not run on that view, or not defined there.\n");
    f->notes(measures.s, out);
    tx_board_notes(b, f, false, out);
    tx_text_free(&measures);
    tx_tree_free(&t);
    tx_board_free(b);
    return TX_OK;
}
