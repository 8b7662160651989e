/* The taxonomy as a tree of lists: it is read in order, breaks on a narrow page and needs no picture. */
#include "experiments/taxon/report.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *part, *words;
} known[] = {{"explicit", "explicit density"},           {"implicit", "implicit density"},
             {"tractable", "tractable density"},         {"approximate", "approximate density"},
             {"markov_chain", "Markov chain"},           {"fvbn", "fully visible belief networks"},
             {"gan", "generative adversarial networks"}, {"gsn", "generative stochastic networks"}};

/* The first part of a path, in words. */
static void put_part(tx_text *t, const char *path)
{
    char part[TX_NAME_MAX];
    snprintf(part, sizeof part, "%.*s", (int)strcspn(path, "/"), path);
    for (size_t i = 0; i < TX_LEN(known); i++)
        if (strcmp(known[i].part, part) == 0) tx_copy_text(part, sizeof part, known[i].words);
    for (char *c = part; *c; c++)
        if (*c == '_') *c = ' ';
    tx_html_text(t, part);
}

static void put_result(tx_report *r, const tx_tree *t, int k, const tx_board_row *row)
{
    char buf[TX_SHEET_CELL];
    const tx_board_block *b = t->block[k];
    tx_text_add(&r->out, "<li>");
    if (t->n_block > 1) tx_html_add(&r->out, "%s, %s: ", b->dataset, b->view);
    if (row->n_cell == 0) {
        tx_text_add(&r->out, row->n_seed ? "no likelihood" : "diverged");
    } else {
        tx_format_value(r->html, r->html->sign[row->cell->kind], 0, row->cell->mean, row->cell->error, buf);
        tx_text_add(&r->out, "<span class=\"v\">");
        tx_html_text(&r->out, buf);
        tx_html_add(&r->out, " nats");
        tx_text_add(&r->out, "</span> <small>");
        bool exact = strcmp(row->cell->name, "exact") == 0;
        tx_html_add(&r->out, "%s%s%s; %s", tx_kind_plain(row->cell->kind), exact ? "" : " by ",
                    exact ? "" : row->cell->name,
                    !row->cell->over_seeds ? "error over examples"
                    : row->cell->error > 0 ? "error over seeds"
                                           : "the same for all seeds");
        tx_text_add(&r->out, "</small>");
    }
    tx_text_add(&r->out, "</li>");
}

static void put_leaf(tx_report *r, const tx_tree *t, const tx_tree_line *l)
{
    tx_text_add(&r->out, "<li><b>");
    tx_html_text(&r->out, l->label);
    tx_text_add(&r->out, "</b><ul class=\"results\">");
    for (int k = 0; k < t->n_block; k++)
        if (l->row[k]) put_result(r, t, k, l->row[k]);
    tx_text_add(&r->out, "</ul></li>\n");
}

/* Lines from..to-1, whose paths are equal up to byte `at`. */
static void put_branch(tx_report *r, const tx_tree *t, int from, int to, size_t at)
{
    for (int i = from; i < to;) {
        const char *path = t->line[i].path + at;
        size_t n = strcspn(path, "/");
        if (n == 0) {
            put_leaf(r, t, &t->line[i++]);
            continue;
        }
        int end = i + 1;
        while (end < to && strncmp(t->line[end].path + at, path, n) == 0 && strchr("/", t->line[end].path[at + n]))
            end++;
        tx_text_add(&r->out, "<li><span>");
        put_part(&r->out, path);
        tx_text_add(&r->out, "</span>\n<ul>\n");
        put_branch(r, t, i, end, at + n + (path[n] == '/'));
        tx_text_add(&r->out, "</ul></li>\n");
        i = end;
    }
}

void tx_report_tree(tx_report *r)
{
    tx_tree t = tx_tree_new(r->board, r->board->n_block);
    tx_report_heading(r, 2, "taxonomy", "Taxonomy");
    tx_text_add(&r->out, "<figure class=\"tree\">\n<ul>\n<li><span>deep generative models</span>\n<ul>\n");
    put_branch(r, &t, 0, t.n_line, 0);
    tx_text_add(
        &r->out,
        "</ul></li>\n</ul>\n<figcaption>The models of this comparison in the taxonomy of Goodfellow's NIPS 2016 "
        "tutorial, by how they treat the likelihood. Beside each leaf the best known of its mean log-likelihoods "
        "with its kind and its standard error; the tables below have all of them.</figcaption>\n</figure>\n");
    tx_tree_free(&t);
}
