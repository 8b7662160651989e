#include "experiments/taxon/table_model.h"
#include "common/base/text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs first..end-1 of the sorted list are of one data set and view, or of one label in it. */
typedef struct span {
    const tx_run_info *run;
    int n;
} span;

static bool same_data(const tx_run_info *a, const tx_run_info *b)
{
    return strcmp(a->dataset, b->dataset) == 0 && strcmp(a->view, b->view) == 0 &&
           strcmp(a->dataset_sha256, b->dataset_sha256) == 0 && strcmp(a->view_sha256, b->view_sha256) == 0;
}

static bool complete(const tx_run_info *r) { return strcmp(r->status, "complete") == 0; }

/* An evaluation made later stands behind the run's own and takes its place. */
static const tx_estimate *find_estimate(const tx_run_info *r, tx_split s, const char *estimator)
{
    for (int i = r->n_estimate - 1; i >= 0; i--)
        if (r->estimate[i].split == s && strcmp(r->estimate[i].estimator, estimator) == 0) return &r->estimate[i];
    return NULL;
}

static double mean_number(span v, const tx_numbers *(*part)(const tx_run_info *r), const char *name)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < v.n; i++) {
        double x = tx_numbers_get(part(&v.run[i]), name);
        if (isnan(x)) continue;
        sum += x;
        n++;
    }
    return n ? sum / n : NAN;
}

static const tx_numbers *cost_of(const tx_run_info *r) { return &r->cost; }
static const tx_numbers *timing_of(const tx_run_info *r) { return &r->timing; }

static tx_board_cell make_cell(span v, tx_split s, const char *estimator)
{
    tx_board_cell c = {.bits_per_dim = NAN};
    double sum = 0, squares = 0, bits = 0, mc = 0, over_examples = 0;
    tx_copy_text(c.estimator, sizeof c.estimator, estimator);
    for (int i = 0; i < v.n; i++) {
        const tx_estimate *e = complete(&v.run[i]) ? find_estimate(&v.run[i], s, estimator) : NULL;
        if (!e) continue;
        if (c.n_seed == 0) tx_copy_text(c.evaluated_model, sizeof c.evaluated_model, e->evaluated_model);
        c.varies |= strcmp(c.evaluated_model, e->evaluated_model) != 0;
        c.kind = e->kind;
        sum += e->mean;
        squares += e->mean * e->mean;
        bits += e->bits_per_dim;
        mc += e->mc_error * e->mc_error;
        over_examples = e->mean_error;
        if (c.n_seed == 0 || e->n < c.n_least) c.n_least = e->n;
        c.n_seed++;
    }
    if (c.n_seed == 0) return c;
    double n = c.n_seed;
    c.mean = sum / n;
    c.bits_per_dim = bits / n;
    c.mc_error = sqrt(mc) / n;
    c.over_seeds = c.n_seed > 1;
    c.error = c.over_seeds ? sqrt(fmax(squares / n - c.mean * c.mean, 0) / (n - 1)) : over_examples;
    return c;
}

static int compare_cells(const void *a, const void *b)
{
    const tx_board_cell *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : (y->mean > x->mean) - (y->mean < x->mean);
}

static void add_cells(tx_board_row *r, span v, tx_split s)
{
    for (int i = 0; i < v.n; i++)
        for (int k = 0; k < v.run[i].n_estimate; k++) {
            const tx_estimate *e = &v.run[i].estimate[k];
            bool there = e->split != s || r->n_cell == TX_BOARD_CELLS;
            for (int c = 0; c < r->n_cell; c++) there |= strcmp(r->cell[c].estimator, e->estimator) == 0;
            if (there) continue;
            tx_board_cell cell = make_cell(v, s, e->estimator);
            if (cell.n_seed) r->cell[r->n_cell++] = cell;
        }
    qsort(r->cell, (size_t)r->n_cell, sizeof *r->cell, compare_cells);
}

static tx_board_row make_row(span v, tx_split s, int n_tried)
{
    tx_board_row r = {.n_tried = n_tried};
    tx_copy_text(r.label, sizeof r.label, v.run->label);
    tx_copy_text(r.group, sizeof r.group, v.run->group);
    tx_copy_text(r.model, sizeof r.model, v.run->model);
    tx_copy_text(r.taxonomy_path, sizeof r.taxonomy_path, v.run->taxonomy_path);
    const char *slash = strrchr(v.run->taxonomy_path, '/');
    r.leaf = slash ? slash + 1 : v.run->taxonomy_path;
    for (int i = 0; i < v.n; i++) *(complete(&v.run[i]) ? &r.n_seed : &r.n_diverged) += 1;
    r.n_parameter = mean_number(v, cost_of, "n_parameter");
    r.n_step = mean_number(v, cost_of, "n_step");
    r.sequential_steps = mean_number(v, cost_of, "sequential_steps_per_sample");
    r.train_seconds = mean_number(v, timing_of, "train_seconds");
    add_cells(&r, v, s);
    return r;
}

/* Mean selection score on valid over the seeds of a variant; NAN where one has none or diverged. */
static double variant_score(span v)
{
    double sum = 0;
    for (int i = 0; i < v.n; i++) sum += complete(&v.run[i]) ? v.run[i].best_score : NAN;
    return sum / v.n;
}

static span variant_at(span block, int i)
{
    span v = {&block.run[i], 1};
    while (i + v.n < block.n && strcmp(block.run[i + v.n].label, v.run->label) == 0) v.n++;
    return v;
}

/* Is there a variant of the same group that valid prefers? *tried counts those that it could choose among. */
static bool is_beaten(span block, span v, int *tried)
{
    double own = variant_score(v);
    bool beaten = false;
    *tried = 0;
    for (int i = 0; i < block.n;) {
        span w = variant_at(block, i);
        i += w.n;
        if (strcmp(w.run->group, v.run->group) != 0) continue;
        double score = variant_score(w);
        ++*tried;
        if (w.run != v.run && !isnan(score) && (!(own >= score) || (own == score && w.run < v.run))) beaten = true;
    }
    /* Where nothing was scored every variant keeps its row. */
    if (isnan(own) && !beaten) *tried = 1;
    return beaten;
}

int tx_board_rank(const tx_board_row *r) { return r->n_cell ? (int)r->cell[0].kind : TX_N_KIND + (r->n_seed == 0); }

static int compare_rows(const void *a, const void *b)
{
    const tx_board_row *x = a, *y = b;
    int d = tx_board_rank(x) - tx_board_rank(y);
    if (d || x->n_cell == 0) return d ? d : strcmp(x->label, y->label);
    return x->cell[0].mean != y->cell[0].mean
               ? (y->cell[0].mean > x->cell[0].mean) - (y->cell[0].mean < x->cell[0].mean)
               : strcmp(x->label, y->label);
}

static void add_references(tx_board_block *b, span v, tx_split s)
{
    static const struct {
        const char *metric, *name;
        double sign;
        bool of_split;
    } known[] = {
        {"coin_flip_entropy", "coin flips alone", -1, true},
        {"true_log_likelihood", "true density", 1, true},
        {"entropy", "minus its entropy", -1, false},
    };
    for (size_t k = 0; k < TX_LEN(known); k++) {
        char name[TX_NAME_MAX];
        double value = NAN;
        snprintf(name, sizeof name, "%s%s%s", known[k].metric, known[k].of_split ? "_" : "",
                 known[k].of_split ? tx_split_name(s) : "");
        for (int i = 0; i < v.n && isnan(value); i++) value = tx_numbers_get(&v.run[i].metrics, name);
        if (isnan(value)) continue;
        tx_copy_text(b->reference[b->n_reference].name, TX_NAME_MAX, known[k].name);
        b->reference[b->n_reference].value = known[k].sign * value;
        b->n_reference++;
    }
}

static tx_board_block make_block(span v, tx_split s)
{
    tx_board_block b = {.row = tx_alloc((size_t)v.n, sizeof *b.row)};
    tx_copy_text(b.dataset, sizeof b.dataset, v.run->dataset);
    tx_copy_text(b.view, sizeof b.view, v.run->view);
    tx_copy_text(b.measure, sizeof b.measure, v.run->measure);
    tx_copy_text(b.split, sizeof b.split, tx_split_name(s));
    for (int i = 0; i < v.n; i++)
        for (int k = 0; k < v.run[i].n_estimate; k++)
            if (v.run[i].estimate[k].split == s && v.run[i].estimate[k].n > b.n_example)
                b.n_example = v.run[i].estimate[k].n;
    for (int i = 0; i < v.n;) {
        span w = variant_at(v, i);
        int tried = 0;
        if (!is_beaten(v, w, &tried)) b.row[b.n_row++] = make_row(w, s, tried);
        i += w.n;
    }
    qsort(b.row, (size_t)b.n_row, sizeof *b.row, compare_rows);
    add_references(&b, v, s);
    return b;
}

enum { REMARK_WIDTH = 100 };

/* Takes the text over. */
static void keep_remark(tx_board *b, const tx_text *t)
{
    size_t n = (size_t)b->n_remark++;
    b->remark = tx_realloc(b->remark, n, n + 1, sizeof *b->remark);
    b->remark[n] = t->s;
}

/* Where an estimator evaluated something other than the model itself, say what: one remark for each block and
 * estimator. */
static void add_remark(tx_board *b, const tx_board_block *block, const char *estimator)
{
    tx_text t = {0};
    size_t line = 0;
    bool varies = false;
    for (int k = 0; k < block->n_row; k++)
        for (int c = 0; c < block->row[k].n_cell; c++) {
            const tx_board_cell *cell = &block->row[k].cell[c];
            if (strcmp(cell->estimator, estimator) != 0 || !*cell->evaluated_model ||
                strcmp(cell->evaluated_model, "model") == 0)
                continue;
            varies |= cell->varies;
            if (!t.len)
                tx_text_add(&t, "%s on %s, %s evaluates not the model itself but", estimator, block->dataset,
                            block->view);
            else
                tx_text_add(&t, ";");
            bool full = t.len - line + strlen(block->row[k].label) + strlen(cell->evaluated_model) > REMARK_WIDTH;
            if (full) line = t.len;
            tx_text_add(&t, "%s%s: %s", full ? "\n  " : " ", block->row[k].label, cell->evaluated_model);
        }
    if (!t.len) return;
    tx_text_add(&t, varies ? ".\n  These are of the first seed; others differ." : ".");
    keep_remark(b, &t);
}

/* The heading counts the examples of the longest estimate: say which are of fewer. */
static void add_short_remark(tx_board *b, const tx_board_block *block, const tx_board_row *r, const tx_board_cell *c)
{
    tx_text t = {0};
    if (c->n_least == block->n_example) return;
    tx_text_add(&t, "%s of %s on %s, %s is over the first %zu examples only%s.", c->estimator, r->label, block->dataset,
                block->view, c->n_least, c->n_seed > 1 ? " in at least one seed" : "");
    keep_remark(b, &t);
}

static void add_remarks(tx_board *b)
{
    for (int i = 0; i < b->n_block; i++) {
        const tx_board_block *block = &b->block[i];
        for (int k = 0; k < block->n_row; k++)
            for (int c = 0; c < block->row[k].n_cell; c++) {
                const char *name = block->row[k].cell[c].estimator;
                bool first = true; /* in the block: so that each estimator is remarked on once */
                for (int q = 0; q <= k; q++)
                    for (int r = 0; r < (q < k ? block->row[q].n_cell : c); r++)
                        first &= strcmp(block->row[q].cell[r].estimator, name) != 0;
                if (first) add_remark(b, block, name);
                add_short_remark(b, block, &block->row[k], &block->row[k].cell[c]);
            }
    }
}

static void add_block(tx_board *b, span v, tx_split s)
{
    size_t n = (size_t)b->n_block++;
    b->block = tx_realloc(b->block, n, n + 1, sizeof *b->block);
    b->block[n] = make_block(v, s);
}

tx_board *tx_board_new(int n, const tx_run_info run[])
{
    tx_board *b = tx_alloc(1, sizeof *b);
    for (int i = 0; i < n;) {
        span v = {&run[i], 1};
        while (i + v.n < n && same_data(v.run, &run[i + v.n])) v.n++;
        bool split[TX_N_SPLIT] = {false}, any = false;
        for (int k = 0; k < v.n; k++)
            for (int e = 0; e < v.run[k].n_estimate; e++) split[v.run[k].estimate[e].split] = any = true;
        split[TX_TEST] |= !any;
        for (int s = 0; s < TX_N_SPLIT; s++)
            if (split[s]) add_block(b, v, (tx_split)s);
        i += v.n;
    }
    add_remarks(b);
    return b;
}

void tx_board_free(tx_board *b)
{
    for (int i = 0; i < b->n_block; i++) free(b->block[i].row);
    for (int i = 0; i < b->n_remark; i++) free(b->remark[i]);
    free(b->block);
    free(b->remark);
    free(b);
}
