#include "experiments/taxon/table.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/sheet.h"
#include "experiments/taxon/table_metrics.h"
#include "experiments/taxon/table_model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = TX_SHEET_CELL, REFERENCE_DECIMALS = 2 };
enum { MODEL, LEAF, VALUE, BY, MC, EXAMPLES, BITS, PARAMETERS, STEPS, SECONDS, SEEDS, NOTE, COLUMNS };
static const tx_column columns[COLUMNS] = {
    {"model", TX_ALIGN_LEFT},      {"family", TX_ALIGN_LEFT},      {"log-likelihood, nats", TX_ALIGN_NUMBER},
    {"by", TX_ALIGN_LEFT},         {"MC error", TX_ALIGN_RIGHT},   {"examples", TX_ALIGN_RIGHT},
    {"bits/dim", TX_ALIGN_NUMBER}, {"parameters", TX_ALIGN_RIGHT}, {"steps", TX_ALIGN_RIGHT},
    {"train s", TX_ALIGN_RIGHT},   {"seeds", TX_ALIGN_RIGHT},      {"", TX_ALIGN_LEFT}};

/* What is the same for all lines of a sheet. */
typedef struct maker {
    const tx_format *f;
    tx_sheet s;
    int mean_width, bits_width;
    bool some_short; /* not all numbers are over as many examples as the heading says */
} maker;

static const char *count_text(double v, char buf[32])
{
    if (!(v >= 0))
        snprintf(buf, 32, "-");
    else if (v < 1e5)
        snprintf(buf, 32, "%.0f", v);
    else
        snprintf(buf, 32, v < 1e6 ? "%.0fk" : v < 1e8 ? "%.2fM" : "%.0fM", v < 1e6 ? v / 1e3 : v / 1e6);
    return buf;
}

/* Characters of the widest numbers, so that signs and points stand below one another. */
static void look(maker *m, const tx_board_block *b)
{
    for (int i = 0; i < b->n_row; i++)
        for (int k = 0; k < b->row[i].n_cell; k++) {
            const tx_board_cell *c = &b->row[i].cell[k];
            int mean = snprintf(NULL, 0, "%.*f", tx_error_decimals(c->error), c->mean);
            int bits = snprintf(NULL, 0, "%.3f", c->bits_per_dim);
            if (mean > m->mean_width) m->mean_width = mean;
            if (isfinite(c->bits_per_dim) && bits > m->bits_width) m->bits_width = bits;
            m->some_short |= c->n_least != b->n_example;
        }
}

static void put_cell(maker *m, tx_sheet_line *l, const tx_board_cell *c)
{
    char buf[CELL];
    tx_format_value(m->f, m->f->sign[c->kind], m->mean_width, c->mean, c->error, buf);
    tx_sheet_put(&m->s, l, VALUE, buf);
    tx_sheet_put(&m->s, l, BY, c->by);
    if (c->mc_error > 0) {
        snprintf(buf, sizeof buf, "%.*f", tx_error_decimals(c->mc_error), c->mc_error);
        tx_sheet_put(&m->s, l, MC, buf);
    }
    if (m->some_short) {
        snprintf(buf, sizeof buf, "%zu", c->n_least);
        tx_sheet_put(&m->s, l, EXAMPLES, buf);
    }
    if (isfinite(c->bits_per_dim)) {
        snprintf(buf, sizeof buf, "%s%-2s %*.3f%s", m->f->math, m->f->sign[c->bits_kind], m->bits_width,
                 c->bits_per_dim, m->f->math);
        tx_sheet_put(&m->s, l, BITS, buf);
    }
}

static void put_row(maker *m, const tx_board_row *r)
{
    char buf[CELL];
    tx_sheet *s = &m->s;
    tx_sheet_line *l = tx_sheet_add(s);
    tx_sheet_put(s, l, MODEL, r->label);
    tx_sheet_put(s, l, LEAF, r->leaf);
    tx_sheet_put(s, l, PARAMETERS, count_text(r->n_parameter, buf));
    tx_sheet_put(s, l, STEPS, count_text(r->n_step, buf));
    if (isfinite(r->train_seconds)) {
        snprintf(buf, sizeof buf, "%.*f", r->train_seconds < 9.95, r->train_seconds);
        tx_sheet_put(s, l, SECONDS, buf);
    }
    snprintf(buf, sizeof buf, "%d", r->n_seed);
    tx_sheet_put(s, l, SEEDS, buf);
    tx_text note = {0};
    tx_text_add(&note, "%s", "");
    if (r->n_tried > 1) tx_text_add(&note, "of %d tried", r->n_tried);
    if (r->n_tried > 1 && r->n_incomplete) tx_text_add(&note, ", %d incomplete", r->n_incomplete);
    if (r->n_diverged)
        tx_text_add(&note, "%s%d of %d diverged", note.len ? "; " : "", r->n_diverged, r->n_diverged + r->n_seed);
    tx_sheet_put(s, l, NOTE, note.s);
    tx_text_free(&note);
    if (r->n_cell == 0) tx_sheet_put(s, l, VALUE, r->n_seed ? "none" : "diverged");
    for (int i = 0; i < r->n_cell; i++) put_cell(m, i ? tx_sheet_add(s) : l, &r->cell[i]);
}

static tx_sheet make_sheet(const tx_board_block *b, const tx_format *f)
{
    maker m = {.f = f, .s = {.n_column = COLUMNS, .column = columns}};
    char buf[CELL];
    look(&m, b);
    for (int i = 0; i < b->n_row; i++) {
        if (i && !tx_board_same_rank(&b->row[i], &b->row[i - 1])) tx_sheet_add(&m.s)->rule = true;
        put_row(&m, &b->row[i]);
    }
    for (int i = 0; i < b->n_reference; i++) {
        if (i == 0) tx_sheet_add(&m.s)->rule = true;
        tx_sheet_line *l = tx_sheet_add(&m.s);
        tx_sheet_put(&m.s, l, MODEL, b->reference[i].name);
        tx_sheet_put(&m.s, l, LEAF, "not a model");
        snprintf(buf, sizeof buf, "%s   %*.*f%s", f->math, m.mean_width, REFERENCE_DECIMALS, b->reference[i].value,
                 f->math);
        tx_sheet_put(&m.s, l, VALUE, buf);
    }
    return m.s;
}

void tx_board_sheet(const tx_board_block *b, const tx_format *f, tx_text *out)
{
    tx_text head = {0};
    tx_text_add(&head, "%s, %s: %s measure, %s split", b->dataset, b->view, b->measure, tx_split_name(b->split));
    if (b->n_example) tx_text_add(&head, ", %zu example%s", b->n_example, tx_plural((long long)b->n_example));
    tx_sheet s = make_sheet(b, f);
    f->sheet(head.s, &s, out);
    tx_sheet_free(&s);
    tx_text_free(&head);
}

/* What occurs in the sheets and has to be explained below them. */
typedef struct occurs {
    bool kind[TX_N_KIND], noisy[TX_N_KIND], bounded_bits, mc, none, several, several_upper, some_short;
    bool over_seeds, over_examples, agreed, tried, incomplete;
} occurs;

static void add_occurs(occurs *o, const tx_board_block *b, const tx_board_row *r)
{
    int bounds = 0, upper = 0;
    o->tried |= r->n_tried > 1;
    o->incomplete |= r->n_tried > 1 && r->n_incomplete > 0;
    o->none |= r->n_cell == 0 && r->n_seed > 0;
    for (int c = 0; c < r->n_cell; c++) {
        const tx_board_cell *cell = &r->cell[c];
        o->kind[cell->kind] = true;
        o->noisy[cell->kind] |= cell->stochastic;
        o->bounded_bits |= isfinite(cell->bits_per_dim) && cell->bits_kind == TX_UPPER_BOUND;
        o->mc |= cell->mc_error > 0;
        o->some_short |= cell->n_least != b->n_example;
        *(cell->over_seeds ? &o->over_seeds : &o->over_examples) = true;
        o->agreed |= cell->over_seeds && !(cell->error > 0);
        bounds += cell->kind == TX_LOWER_BOUND;
        upper += cell->kind == TX_UPPER_BOUND;
    }
    o->several |= bounds > 1;
    o->several_upper |= upper > 1;
}

static void explain_kinds(const occurs *o, const tx_format *f, tx_text *t)
{
    for (int k = 0; k < TX_N_KIND; k++)
        if (o->kind[k])
            tx_text_add(t, "%s%s%s %s%s.\n", f->math, f->sign[k], f->math, tx_kind_words((tx_kind)k),
                        o->noisy[k] ? tx_noise_words((tx_kind)k) : "");
    if (o->none) tx_text_add(t, "none: the model has no likelihood that was asked for.\n");
    if (o->several)
        tx_text_add(t,
                    "Several bounds of one model hold at once, and the highest tells most: with more samples or steps "
                    "a bound is\n  tighter, and the model is the same.\n");
    if (o->several_upper) tx_text_add(t, "Of several upper bounds of one model the lowest tells most.\n");
    if (o->bounded_bits)
        tx_text_add(t,
                    "bits/dim is the length of a code, the fewer the better: at most (%s%s%s) this many where the "
                    "likelihood is a bound\n  from below, or a density of dequantised levels.\n",
                    f->math, f->sign[TX_UPPER_BOUND], f->math);
}

static void explain_errors(const occurs *o, const tx_format *f, tx_text *t)
{
    if (o->over_seeds)
        tx_text_add(t, "%s%s%s is the standard error of the mean over seeds%s.\n", f->math, f->plus_minus, f->math,
                    o->over_examples ? ", over examples where there is one seed" : "");
    else if (o->over_examples)
        tx_text_add(t, "%s%s%s is the standard error of the mean over examples (one seed).\n", f->math, f->plus_minus,
                    f->math);
    if (o->agreed) tx_text_add(t, "Numbers of several seeds without an error are the same for all of them.\n");
    if (o->mc) tx_text_add(t, "MC error is what the estimator's own noise adds to that of the mean.\n");
    if (o->tried) tx_text_add(t, "Of variants tried on a grid the one is shown that the valid split prefers.\n");
    if (o->incomplete)
        tx_text_add(
            t, "Incomplete are variants that diverged, or have no result, for some seed: they are shown only where "
               "no other\n  lost fewer seeds.\n");
    tx_text_add(t, "Rows are sorted inside a kind only: numbers of different kinds or measures have no order.\n");
    if (o->some_short)
        tx_text_add(t, "Nor have means over different examples: `taxon table DIR --pairwise` compares models on the "
                       "same ones.\n");
}

/* Rows that a model drew itself have a truth that can be bounded from both sides. */
static void tell_evidence(const tx_board_block *b, const tx_format *f, tx_text *t)
{
    for (int i = 0; i < b->n_row; i++)
        for (int k = 0; k < b->row[i].n_cell; k++) {
            const tx_board_cell *c = &b->row[i].cell[k];
            int d = tx_error_decimals(c->gap_error);
            tx_text_add(t, "%s on %s, %s by %s: on %zu row%s drawn from the model itself", b->row[i].label, b->dataset,
                        b->view, c->by, c->n_least, tx_plural((long long)c->n_least));
            if (c->n_seed > 1) tx_text_add(t, " by each of %d seeds", c->n_seed);
            if (isfinite(c->gap)) {
                tx_text_add(t, "\n  the lower bound is %.*f and the upper bound %.*f%s: a gap of %.*f", d, c->mean, d,
                            c->mean + c->gap, tx_unit_words(c->first), d, c->gap);
                if (c->gap_error > 0) tx_text_add(t, " %s%s%s %.*f", f->math, f->plus_minus, f->math, d, c->gap_error);
                tx_text_add(t, " nats; it speaks\n  of the estimator, not of the data.\n");
            } else {
                tx_text_add(t,
                            "\n  the log-likelihood is %s%s%s %.*f nats%s; it speaks of the estimator, not of the "
                            "data.\n",
                            f->math, f->sign[c->kind], f->math, tx_error_decimals(c->error), c->mean,
                            tx_unit_words(c->first));
            }
        }
}

/* Is this the first block of its data set and view? Metrics are of those, not of a split, and of split `simulated` only
 * models that were evaluated on it have rows. */
static bool begins_view(const tx_board *b, int i) { return i == 0 || b->block[i - 1].run != b->block[i].run; }

static bool print_metrics(const tx_board *b, const tx_format *f, tx_text *out)
{
    bool any = false;
    for (int i = 0; i < b->n_block; i++)
        if (begins_view(b, i)) any |= tx_metrics_sheet(&b->block[i], f, out);
    return any;
}

static const char quality_notes[] =
    "Sample quality: the error is that over seeds where there are several, else (and of real rows) over random halves "
    "of the rows.\n  Real rows: what rows of train get in place of samples (of `nearest` and `mode` rows of test): the "
    "most that a model can\n  be asked for. No metric is a likelihood, and none but `nearest` sees a model that copies "
    "its training rows.\n";

void tx_board_notes(const tx_board *b, const tx_format *f, bool metrics, tx_text *out)
{
    occurs o = {0};
    tx_text t = {0};
    for (int i = 0; i < b->n_block; i++)
        for (int k = 0; b->block[i].split != TX_SIMULATED && k < b->block[i].n_row; k++)
            add_occurs(&o, &b->block[i], &b->block[i].row[k]);
    explain_kinds(&o, f, &t);
    explain_errors(&o, f, &t);
    if (metrics) tx_text_add(&t, "%s", quality_notes);
    for (int i = 0; i < b->n_remark; i++) tx_text_add(&t, "%s\n", b->remark[i]);
    for (int i = 0; i < b->n_block; i++)
        if (b->block[i].split == TX_SIMULATED) tell_evidence(&b->block[i], f, &t);
    f->notes(t.s, out);
    tx_text_free(&t);
}

/* What csv and json print of a row and one of its cells (NULL: none): names, then values as JSON. */
static json_t *record(const tx_board_block *b, const tx_board_row *r, const tx_board_cell *c)
{
    json_t *j = json_pack("{ss, ss, ss, ss, si, ss, ss, ss, ss, si, si, si, si}", "dataset", b->dataset, "view",
                          b->view, "measure", b->measure, "split", tx_split_name(b->split), "n_example",
                          (int)b->n_example, "label", r->label, "group", r->group, "model", r->model, "taxonomy_path",
                          r->taxonomy_path, "n_seed", c ? c->n_seed : r->n_seed, "n_diverged", r->n_diverged, "n_tried",
                          r->n_tried, "n_incomplete", r->n_incomplete);
    const struct {
        const char *name, *text;
    } text[] = {
        {"name", c ? c->name : "none"},
        {"estimator", c ? c->estimator : "none"},
        {"by", c ? c->by : "none"},
        {"kind", c ? tx_kind_name(c->kind) : "none"},
        {"bits_kind", c && isfinite(c->bits_per_dim) ? tx_kind_name(c->bits_kind) : "none"},
        {"evaluated_model", c ? c->evaluated_model : ""},
        {"error_over", !c              ? ""
                       : c->over_seeds ? "seeds"
                                       : "examples"},
    };
    const struct {
        const char *name;
        double value;
    } number[] = {
        {"log_likelihood", c ? c->mean : NAN},
        {"error", c ? c->error : NAN},
        {"mc_error", c ? c->mc_error : NAN},
        {"bits_per_dim", c ? c->bits_per_dim : NAN},
        {"gap", c ? c->gap : NAN},
        {"gap_error", c ? c->gap_error : NAN},
        {"gap_mc_error", c ? c->gap_mc_error : NAN},
        {"n_parameter", r->n_parameter},
        {"n_step", r->n_step},
        {"sequential_steps_per_sample", r->sequential_steps},
        {"train_seconds", r->train_seconds},
    };
    json_object_set_new(j, "n_evaluated", c ? json_integer((json_int_t)c->n_least) : json_null());
    for (size_t i = 0; i < TX_LEN(text); i++) json_object_set_new(j, text[i].name, json_string(text[i].text));
    for (size_t i = 0; i < TX_LEN(number); i++) json_object_set_new(j, number[i].name, tx_json_number(number[i].value));
    return j;
}

static json_t *records(const tx_board *b)
{
    json_t *all = json_array();
    for (int i = 0; i < b->n_block; i++)
        for (int k = 0; k < b->block[i].n_row; k++) {
            const tx_board_row *r = &b->block[i].row[k];
            for (int c = 0; c < r->n_cell || (c == 0 && r->n_cell == 0); c++)
                json_array_append_new(all, record(&b->block[i], r, r->n_cell ? &r->cell[c] : NULL));
        }
    return all;
}

static json_t *references(const tx_board *b)
{
    json_t *all = json_array();
    for (int i = 0; i < b->n_block; i++)
        for (int k = 0; k < b->block[i].n_reference; k++)
            json_array_append_new(all, json_pack("{ss, ss, ss, ss, sf}", "dataset", b->block[i].dataset, "view",
                                                 b->block[i].view, "split", tx_split_name(b->block[i].split), "name",
                                                 b->block[i].reference[k].name, "log_likelihood",
                                                 b->block[i].reference[k].value));
    return all;
}

static json_t *metrics_records(const tx_board *b)
{
    json_t *all = json_array();
    for (int i = 0; i < b->n_block; i++)
        if (begins_view(b, i)) tx_metrics_records(&b->block[i], all);
    return all;
}

tx_status tx_results_table(int n, const tx_run_info run[], const char *format, tx_text *out)
{
    const tx_format *f = NULL;
    TX_TRY(tx_format_find(format, &f));
    tx_board *b = tx_board_new(n, run);
    if (f->records) {
        json_t *all = json_pack("{so, so}", "rows", records(b), "references", references(b));
        json_t *metrics = metrics_records(b);
        if (json_array_size(metrics)) json_object_set(all, "metrics", metrics);
        json_decref(metrics);
        f->records(all, out);
        json_decref(all);
    } else {
        for (int i = 0; i < b->n_block; i++)
            if (b->block[i].split != TX_SIMULATED) tx_board_sheet(&b->block[i], f, out);
        tx_board_notes(b, f, print_metrics(b, f, out), out);
    }
    tx_board_free(b);
    return TX_OK;
}

tx_status tx_results_quality(int n, const tx_run_info run[], const char *format, tx_text *out)
{
    const tx_format *f = NULL;
    TX_TRY(tx_format_find(format, &f));
    tx_board *b = tx_board_new(n, run);
    if (f->records) {
        json_t *all = json_pack("{so}", "rows", metrics_records(b));
        f->records(all, out);
        json_decref(all);
    } else {
        f->notes(print_metrics(b, f, out) ? quality_notes
                                          : "No run has a metric of sample quality: see `taxon list metrics`.\n",
                 out);
    }
    tx_board_free(b);
    return TX_OK;
}
