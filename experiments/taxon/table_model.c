#include "experiments/taxon/table_model.h"
#include "common/base/moments.h"
#include "common/base/text.h"
#include "common/store/variants.h"
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

static const tx_numbers *cost_of(const tx_run_info *r) { return r->cost; }
static const tx_numbers *timing_of(const tx_run_info *r) { return r->timing; }

/* "ais, 1000 steps x 16 chains"; where the name is not the estimator's: "longest (ais, 1000 steps x 16 chains)". */
static void describe(tx_board_cell *c, const tx_estimate *e)
{
    const char *brief = tx_estimate_text(e, "brief");
    bool own = strcmp(e->name, e->estimator) == 0;
    tx_copy_text(c->name, sizeof c->name, e->name);
    tx_copy_text(c->estimator, sizeof c->estimator, e->estimator);
    tx_copy_text(c->evaluated_model, sizeof c->evaluated_model, e->evaluated_model);
    c->kind = e->kind;
    c->bits_kind = e->bits_kind;
    c->stochastic = e->stochastic;
    snprintf(c->by, sizeof c->by, "%s%s%s%s%.400s%s", e->name, own ? "" : " (", own ? "" : e->estimator,
             *brief ? ", " : "", brief, own ? "" : ")");
}

const tx_estimate *tx_board_estimate(const tx_run_info *r, const tx_estimate *like)
{
    const tx_estimate *e = tx_run_complete(r) ? tx_run_estimate(r, like->split, like->name) : NULL;
    return e && tx_same_method(e, like) ? e : NULL;
}

/* What the model's own rows say: means over seeds, whose errors are independent. */
static void add_gap(tx_board_cell *c, span v)
{
    double sum = 0, square = 0, mc = 0;
    for (int i = 0; i < v.n; i++) {
        const tx_estimate *e = tx_board_estimate(&v.run[i], c->first);
        if (!e) continue;
        sum += tx_estimate_setting(e, "gap_mean");
        square += pow(tx_estimate_setting(e, "gap_error"), 2);
        mc += pow(tx_estimate_setting(e, "gap_mc_error"), 2);
    }
    c->gap = sum / c->n_seed;
    c->gap_error = sqrt(square) / c->n_seed;
    c->gap_mc_error = sqrt(mc) / c->n_seed;
}

/* `first` is of a complete run of v. */
static tx_board_cell make_cell(span v, const tx_estimate *first)
{
    tx_board_cell c = {.first = first, .bits_per_dim = NAN, .gap = NAN, .gap_error = NAN, .gap_mc_error = NAN};
    double bits = 0, mc = 0, over_examples = 0;
    tx_moments seeds = {0};
    describe(&c, first);
    for (int i = 0; i < v.n; i++) {
        const tx_estimate *e = tx_board_estimate(&v.run[i], first);
        if (!e) continue;
        c.varies |= strcmp(c.evaluated_model, e->evaluated_model) != 0;
        tx_moments_add(&seeds, e->mean);
        bits += e->bits_per_dim;
        mc += e->mc_error * e->mc_error;
        over_examples = e->mean_error;
        if (seeds.n == 1 || e->n < c.n_least) c.n_least = e->n;
        if (e->n > c.n_most) c.n_most = e->n;
    }
    c.n_seed = (int)seeds.n;
    double n = c.n_seed;
    c.mean = seeds.mean;
    c.bits_per_dim = bits / n;
    c.mc_error = sqrt(mc) / n;
    c.over_seeds = c.n_seed > 1;
    if (first->split == TX_SIMULATED) add_gap(&c, v);
    c.error = c.over_seeds ? tx_moments_error(&seeds) : over_examples;
    return c;
}

static int compare_cells(const void *a, const void *b)
{
    const tx_board_cell *x = a, *y = b;
    if (x->kind != y->kind) return (int)x->kind - (int)y->kind;
    if (x->n_least != y->n_least) return y->n_least > x->n_least ? 1 : -1;
    return (y->mean > x->mean) - (y->mean < x->mean);
}

/* Of one model: of several upper bounds the lowest tells most. */
static int compare_own_cells(const void *a, const void *b)
{
    const tx_board_cell *x = a, *y = b;
    bool upper = x->kind == TX_UPPER_BOUND && y->kind == TX_UPPER_BOUND && x->n_least == y->n_least;
    return upper ? compare_cells(b, a) : compare_cells(a, b);
}

static void add_cells(tx_board_row *r, span v, tx_split s)
{
    for (int i = 0; i < v.n; i++)
        for (int k = 0; k < v.run[i].n_estimate; k++) {
            const tx_estimate *e = &v.run[i].estimate[k];
            bool there = e->split != s || tx_board_estimate(&v.run[i], e) != e;
            for (int c = 0; c < r->n_cell; c++) there |= tx_board_estimate(&v.run[i], r->cell[c].first) == e;
            if (there) continue;
            size_t n = (size_t)r->n_cell++;
            r->cell = tx_realloc(r->cell, n, n + 1, sizeof *r->cell);
            r->cell[n] = make_cell(v, e);
        }
    if (r->n_cell) qsort(r->cell, (size_t)r->n_cell, sizeof *r->cell, compare_own_cells);
}

static tx_board_row make_row(span v, tx_split s, tx_choice choice)
{
    tx_board_row r = {.n_tried = choice.n_tried, .n_incomplete = choice.n_incomplete, .run = v.run, .n_run = v.n};
    tx_copy_text(r.label, sizeof r.label, v.run->label);
    tx_copy_text(r.group, sizeof r.group, v.run->group);
    tx_copy_text(r.model, sizeof r.model, v.run->model);
    tx_copy_text(r.taxonomy_path, sizeof r.taxonomy_path, v.run->taxonomy_path);
    const char *slash = strrchr(v.run->taxonomy_path, '/');
    r.leaf = slash ? slash + 1 : v.run->taxonomy_path;
    for (int i = 0; i < v.n; i++) *(tx_run_complete(&v.run[i]) ? &r.n_seed : &r.n_diverged) += 1;
    r.n_parameter = mean_number(v, cost_of, "n_parameter");
    r.n_step = mean_number(v, cost_of, "n_step");
    r.sequential_steps = mean_number(v, cost_of, "sequential_steps_per_sample");
    r.train_seconds = mean_number(v, timing_of, "train_seconds");
    add_cells(&r, v, s);
    return r;
}

/* The runs of one label, from run i on. */
static span variant_at(span block, int i)
{
    span v = {&block.run[i], 1};
    while (i + v.n < block.n && strcmp(block.run[i + v.n].label, v.run->label) == 0) v.n++;
    return v;
}

static int rank_of(const tx_board_row *r) { return r->n_cell ? (int)r->cell->kind : TX_N_KIND + (r->n_seed == 0); }

bool tx_board_same_rank(const tx_board_row *a, const tx_board_row *b)
{
    return rank_of(a) == rank_of(b) && (a->n_cell == 0 || a->cell->n_least == b->cell->n_least);
}

static int compare_rows(const void *a, const void *b)
{
    const tx_board_row *x = a, *y = b;
    int d = rank_of(x) - rank_of(y);
    if (!d && x->n_cell) d = compare_cells(x->cell, y->cell);
    return d ? d : strcmp(x->label, y->label);
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
        for (int i = 0; i < v.n && isnan(value); i++) value = tx_numbers_get(v.run[i].metrics, name);
        if (isnan(value)) continue;
        tx_copy_text(b->reference[b->n_reference].name, TX_NAME_MAX, known[k].name);
        b->reference[b->n_reference].value = known[k].sign * value;
        b->n_reference++;
    }
}

static tx_board_block make_block(span v, tx_split s)
{
    tx_board_block b = {.row = tx_alloc((size_t)v.n, sizeof *b.row), .run = v.run, .n_run = v.n};
    tx_copy_text(b.dataset, sizeof b.dataset, v.run->dataset);
    tx_copy_text(b.view, sizeof b.view, v.run->view);
    tx_copy_text(b.measure, sizeof b.measure, v.run->measure);
    b.split = s;
    for (int i = 0; i < v.n; i++)
        for (int k = 0; k < v.run[i].n_estimate; k++)
            if (v.run[i].estimate[k].split == s && v.run[i].estimate[k].n > b.n_example)
                b.n_example = v.run[i].estimate[k].n;
    const tx_run_info **run = tx_alloc((size_t)v.n, sizeof *run);
    tx_choice *choice = tx_alloc((size_t)v.n, sizeof *choice);
    for (int i = 0; i < v.n; i++) run[i] = &v.run[i];
    tx_choose_variants(v.n, run, choice);
    for (int i = 0; i < v.n;) {
        span w = variant_at(v, i);
        tx_board_row r = choice[i].chosen ? make_row(w, s, choice[i]) : (tx_board_row){0};
        if (r.run && (r.n_cell || s != TX_SIMULATED)) b.row[b.n_row++] = r;
        i += w.n;
    }
    free(run), free(choice);
    qsort(b.row, (size_t)b.n_row, sizeof *b.row, compare_rows);
    if (s != TX_SIMULATED) add_references(&b, v, s);
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

/* Where an estimate is of something other than the model itself, say of what: one remark for each block and name. */
static void add_remark(tx_board *b, const tx_board_block *block, const char *name)
{
    tx_text t = {0};
    size_t line = 0;
    bool varies = false;
    for (int k = 0; k < block->n_row; k++)
        for (int c = 0; c < block->row[k].n_cell; c++) {
            const tx_board_cell *cell = &block->row[k].cell[c];
            if (strcmp(cell->name, name) != 0 || !*cell->evaluated_model || strcmp(cell->evaluated_model, "model") == 0)
                continue;
            varies |= cell->varies;
            if (!t.len)
                tx_text_add(&t, "%s on %s, %s evaluates not the model itself but", name, block->dataset, block->view);
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
    tx_text_add(&t, "%s of %s on %s, %s is over the first %zu example%s only%s.", c->name, r->label, block->dataset,
                block->view, c->n_least, tx_plural((long long)c->n_least),
                c->n_most > c->n_least ? " in at least one seed" : "");
    keep_remark(b, &t);
}

/* Nor does the column of seeds, which is of the runs, say which numbers are of fewer. */
static void add_seeds_remark(tx_board *b, const tx_board_block *block, const tx_board_row *r, const tx_board_cell *c)
{
    tx_text t = {0};
    if (c->n_seed == r->n_seed) return;
    tx_text_add(&t, "%s of %s on %s, %s is of %d of %d seeds only.", c->by, r->label, block->dataset, block->view,
                c->n_seed, r->n_seed);
    keep_remark(b, &t);
}

static void add_remarks(tx_board *b)
{
    for (int i = 0; i < b->n_block; i++) {
        const tx_board_block *block = &b->block[i];
        for (int k = 0; k < block->n_row; k++)
            for (int c = 0; c < block->row[k].n_cell; c++) {
                const char *name = block->row[k].cell[c].name;
                bool first = true; /* in the block: so that each estimator is remarked on once */
                for (int q = 0; q <= k; q++)
                    for (int r = 0; r < (q < k ? block->row[q].n_cell : c); r++)
                        first &= strcmp(block->row[q].cell[r].name, name) != 0;
                if (first) add_remark(b, block, name);
                if (block->split == TX_SIMULATED) continue;
                add_short_remark(b, block, &block->row[k], &block->row[k].cell[c]);
                add_seeds_remark(b, block, &block->row[k], &block->row[k].cell[c]);
            }
    }
}

static void add_block(tx_board *b, span v, tx_split s)
{
    size_t n = (size_t)b->n_block++;
    b->block = tx_realloc(b->block, n, n + 1, sizeof *b->block);
    b->block[n] = make_block(v, s);
}

/* Other rows under one name are told apart by their sums. */
static void name_twins(tx_board *b)
{
    for (int i = 0; i < b->n_block; i++) {
        const tx_run_info *own = b->block[i].run;
        bool other_data = false, other_rows = false;
        for (int k = 0; k < b->n_block; k++) {
            const tx_run_info *run = b->block[k].run;
            if (run == own || strcmp(run->dataset, own->dataset) != 0 || strcmp(run->view, own->view) != 0) continue;
            other_data |= strcmp(run->dataset_sha256, own->dataset_sha256) != 0;
            other_rows = true;
        }
        if (other_rows)
            snprintf(b->block[i].dataset, TX_NAME_MAX, "%.*s (%.8s)", TX_NAME_MAX - 12, own->dataset,
                     other_data ? own->dataset_sha256 : own->view_sha256);
    }
}

tx_board *tx_board_new(int n, const tx_run_info run[])
{
    tx_board *b = tx_alloc(1, sizeof *b);
    for (int i = 0; i < n;) {
        span v = {&run[i], 1};
        while (i + v.n < n && same_data(v.run, &run[i + v.n])) v.n++;
        bool split[TX_SIMULATED + 1] = {false};
        for (int k = 0; k < v.n; k++)
            for (int e = 0; e < v.run[k].n_estimate; e++) split[v.run[k].estimate[e].split] = true;
        split[TX_TEST] |= !split[TX_TRAIN] && !split[TX_VALID];
        for (int s = 0; s <= TX_SIMULATED; s++)
            if (split[s]) add_block(b, v, (tx_split)s);
        i += v.n;
    }
    name_twins(b);
    add_remarks(b);
    return b;
}

void tx_board_free(tx_board *b)
{
    for (int i = 0; i < b->n_block; i++) {
        for (int k = 0; k < b->block[i].n_row; k++) free(b->block[i].row[k].cell);
        free(b->block[i].row);
    }
    for (int i = 0; i < b->n_remark; i++) free(b->remark[i]);
    free(b->block);
    free(b->remark);
    free(b);
}
