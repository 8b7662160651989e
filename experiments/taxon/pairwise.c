#include "experiments/taxon/pairwise.h"
#include "common/store/paired.h"
#include "experiments/taxon/sheet.h"
#include "experiments/taxon/table_model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row's estimate with the arrays of its complete runs. */
typedef struct side {
    const tx_board_row *row;
    const tx_board_cell *cell;
    bool fresh;          /* its estimate is not that of the sheet before */
    tx_estimate **value; /* [n_seed] owned; NULL where there is none */
} side;

/* One sheet: pairs over the first n examples. */
typedef struct sheet {
    const tx_board_block *block;
    size_t n;
    int n_side, n_seed;
    side *side;
    int *seed;
} sheet;

typedef struct pair {
    const side *a, *b;
    tx_difference d;
    tx_kind kind;
    bool known; /* kind says what the difference is */
} pair;

enum { PAIR, VALUE, SEED_ERROR, SEEDS, BY, COLUMNS };
static const tx_column columns[COLUMNS] = {{"models", TX_ALIGN_LEFT},
                                           {"difference, nats", TX_ALIGN_NUMBER},
                                           {"error over seeds", TX_ALIGN_RIGHT},
                                           {"seeds", TX_ALIGN_RIGHT},
                                           {"by", TX_ALIGN_LEFT}};

/* Where the truth lies beside a number: +1 above, -1 below, 0 there. */
static int side_of_truth(tx_kind k) { return k == TX_LOWER_BOUND ? 1 : k == TX_UPPER_BOUND ? -1 : 0; }

bool tx_difference_kind(tx_kind a, tx_kind b, tx_kind *out)
{
    int x = side_of_truth(a), y = -side_of_truth(b);
    *out = TX_ESTIMATE;
    if (a == TX_ESTIMATE || b == TX_ESTIMATE) return true;
    *out = x + y > 0 ? TX_LOWER_BOUND : x + y < 0 ? TX_UPPER_BOUND : TX_EXACT;
    return x + y != 0 || x == 0;
}

/* The best-known estimate over the first n examples: of the best kind, what was made for the fewest of at least n
 * examples (more work went into each), of those the first of the row. -1: none. */
static int choose(const tx_board_row *r, size_t n)
{
    int best = -1;
    for (int c = 0; c < r->n_cell; c++) {
        const tx_board_cell *x = &r->cell[c], *y = best < 0 ? NULL : &r->cell[best];
        if (x->n_least >= n && (!y || (x->kind == y->kind && x->n_least < y->n_least))) best = c;
    }
    return best;
}

/* The next smaller number of examples that some estimate has; 0: none. */
static size_t next_size(const tx_board_block *b, size_t below)
{
    size_t most = 0;
    for (int i = 0; i < b->n_row; i++)
        for (int c = 0; c < b->row[i].n_cell; c++) {
            size_t n = b->row[i].cell[c].n_least;
            if (n < below && n > most) most = n;
        }
    return most;
}

static sheet make_sheet(const tx_board_block *b, size_t n, const int before[])
{
    sheet s = {.block = b, .n = n, .side = tx_alloc((size_t)b->n_row, sizeof *s.side)};
    for (int i = 0; i < b->n_row; i++) {
        int c = choose(&b->row[i], n);
        if (c >= 0) s.side[s.n_side++] = (side){&b->row[i], &b->row[i].cell[c], c != before[i], NULL};
        for (int k = 0; c >= 0 && k < b->row[i].n_run; k++) {
            int seed = b->row[i].run[k].seed, q = 0;
            while (q < s.n_seed && s.seed[q] != seed) q++;
            if (q < s.n_seed) continue;
            s.seed = tx_realloc(s.seed, (size_t)s.n_seed, (size_t)s.n_seed + 1, sizeof *s.seed);
            s.seed[s.n_seed++] = seed;
        }
    }
    return s;
}

static void free_sheet(sheet *s)
{
    for (int i = 0; i < s->n_side; i++) {
        for (int k = 0; s->side[i].value && k < s->n_seed; k++) {
            if (s->side[i].value[k]) tx_estimate_free(s->side[i].value[k]);
            free(s->side[i].value[k]);
        }
        free(s->side[i].value);
    }
    free(s->side);
    free(s->seed);
}

/* The first n values of one run's estimate, read again with its arrays; NULL where the run has none. */
static tx_status load_run(const sheet *s, const side *a, const tx_run_info *known, tx_estimate **out)
{
    const tx_estimate *e = tx_board_estimate(known, a->cell->first);
    if (!e) return TX_OK;
    tx_run_info r;
    TX_TRY(tx_run_read(known->path, true, &r));
    tx_estimate *now = (tx_estimate *)tx_board_estimate(&r, e);
    tx_status status = TX_OK;
    if (!now || now->n != e->n || now->mean != e->mean || strcmp(r.content_sha256, known->content_sha256) != 0) {
        status = tx_fail(TX_EDATA, "%s: it or its evaluations changed meanwhile: try again", known->path);
    } else {
        *out = tx_alloc(1, sizeof **out);
        **out = (tx_estimate){.split = now->split, .n = s->n, .measure = now->measure};
        (*out)->log_likelihood = tx_realloc(now->log_likelihood, now->n, s->n, sizeof *now->log_likelihood);
        now->log_likelihood = NULL;
    }
    tx_run_info_free(&r);
    return status;
}

static tx_status load(sheet *s)
{
    for (int i = 0; i < s->n_side; i++) {
        side *a = &s->side[i];
        a->value = tx_alloc((size_t)s->n_seed, sizeof *a->value);
        for (int k = 0; k < a->row->n_run; k++) {
            int q = 0;
            while (s->seed[q] != a->row->run[k].seed) q++;
            if (!a->value[q]) TX_TRY(load_run(s, a, &a->row->run[k], &a->value[q]));
        }
    }
    return TX_OK;
}

/* Pairs in the order of rows, where the sheet before had not the same. */
static pair *make_pairs(const sheet *s, int *n)
{
    pair *p = tx_alloc((size_t)s->n_side * (size_t)s->n_side, sizeof *p);
    *n = 0;
    for (int i = 0; i < s->n_side; i++)
        for (int k = i + 1; k < s->n_side; k++) {
            pair q = {.a = &s->side[i], .b = &s->side[k]};
            if (!q.a->fresh && !q.b->fresh) continue;
            q.d = tx_paired_difference(s->n_seed, (const tx_estimate *const *)q.a->value,
                                       (const tx_estimate *const *)q.b->value);
            q.known = tx_difference_kind(q.a->cell->kind, q.b->cell->kind, &q.kind);
            if (q.d.n_pair) p[(*n)++] = q;
        }
    return p;
}

static const char *relation(const pair *p) { return p->known ? tx_kind_name(p->kind) : "none"; }

static void print_sheet(const sheet *s, int n, const pair p[], const tx_format *f, tx_text *out)
{
    const tx_board_block *b = s->block;
    tx_sheet t = {.n_column = COLUMNS, .column = columns};
    char buf[TX_SHEET_CELL];
    int width = 0;
    bool seeds = false;
    for (int i = 0; i < n; i++) {
        int w = snprintf(NULL, 0, "%.*f", tx_error_decimals(p[i].d.error), p[i].d.mean);
        if (w > width) width = w;
        seeds |= p[i].d.n_pair > 1;
    }
    for (int i = 0; i < n; i++) {
        tx_sheet_line *l = tx_sheet_add(&t);
        snprintf(buf, sizeof buf, "%.70s - %.70s", p[i].a->row->label, p[i].b->row->label);
        tx_sheet_put(&t, l, PAIR, buf);
        tx_format_value(f, p[i].known ? f->sign[p[i].kind] : "?", width, p[i].d.mean, p[i].d.error, buf);
        tx_sheet_put(&t, l, VALUE, buf);
        snprintf(buf, sizeof buf, "%.70s - %.70s", p[i].a->cell->by, p[i].b->cell->by);
        tx_sheet_put(&t, l, BY, buf);
        if (!seeds) continue;
        snprintf(buf, sizeof buf, "%.*f", tx_error_decimals(p[i].d.seed_error), p[i].d.seed_error);
        tx_sheet_put(&t, l, SEED_ERROR, p[i].d.n_pair > 1 ? buf : "-");
        snprintf(buf, sizeof buf, "%d", p[i].d.n_pair);
        tx_sheet_put(&t, l, SEEDS, buf);
    }
    tx_text head = {0};
    tx_text_add(&head, "%s, %s: %s measure, %s split, %s%zu example%s", b->dataset, b->view, b->measure,
                tx_split_name(b->split), s->n == b->n_example ? "" : "the first ", s->n, tx_plural((long long)s->n));
    f->sheet(head.s, &t, out);
    tx_text_free(&head);
    tx_sheet_free(&t);
}

static void add_records(const sheet *s, int n, const pair p[], json_t *rows)
{
    static const char *const end[] = {"_a", "_b"};
    const tx_board_block *b = s->block;
    for (int i = 0; i < n; i++) {
        const side *both[] = {p[i].a, p[i].b};
        json_t *j = json_pack("{ss, ss, ss, ss, si}", "dataset", b->dataset, "view", b->view, "measure", b->measure,
                              "split", tx_split_name(b->split), "n_example", (int)s->n);
        for (int k = 0; k < 2; k++) {
            const struct {
                const char *name, *text;
            } text[] = {{"label", both[k]->row->label},
                        {"name", both[k]->cell->name},
                        {"estimator", both[k]->cell->estimator},
                        {"kind", tx_kind_name(both[k]->cell->kind)},
                        {"evaluated_model", both[k]->cell->evaluated_model}};
            for (size_t q = 0; q < TX_LEN(text); q++) {
                char key[32];
                snprintf(key, sizeof key, "%s%s", text[q].name, end[k]);
                json_object_set_new(j, key, json_string(text[q].text));
            }
        }
        json_object_set_new(j, "relation", json_string(relation(&p[i])));
        json_object_set_new(j, "difference", tx_json_number(p[i].d.mean));
        json_object_set_new(j, "error", tx_json_number(p[i].d.error));
        json_object_set_new(j, "seed_error", tx_json_number(p[i].d.seed_error));
        json_object_set_new(j, "n_seed", json_integer(p[i].d.n_pair));
        json_array_append_new(rows, j);
    }
}

/* What all sheets need below them. */
typedef struct work {
    const tx_format *f;
    tx_text *out, other; /* other: lines about evaluated models */
    json_t *rows;
    bool kind[TX_N_KIND], unknown, seeds;
    int n_pair;
} work;

static void remember(work *w, const sheet *s, int n, const pair p[])
{
    for (int i = 0; i < n; i++) {
        *(p[i].known ? &w->kind[p[i].kind] : &w->unknown) = true;
        w->seeds |= p[i].d.n_pair > 1;
    }
    for (int i = 0; i < s->n_side; i++) {
        const tx_board_cell *c = s->side[i].cell;
        if (s->side[i].fresh && *c->evaluated_model && strcmp(c->evaluated_model, "model") != 0)
            tx_text_add(&w->other, "%s of %s on %s, %s evaluates not the model itself but %s.\n", c->name,
                        s->side[i].row->label, s->block->dataset, s->block->view, c->evaluated_model);
    }
    w->n_pair += n;
}

static tx_status do_sheet(work *w, sheet *s)
{
    TX_TRY(load(s));
    int n = 0;
    pair *p = make_pairs(s, &n);
    if (w->f->records)
        add_records(s, n, p, w->rows);
    else if (n)
        print_sheet(s, n, p, w->f, w->out);
    if (n) remember(w, s, n, p);
    free(p);
    return TX_OK;
}

static tx_status do_block(work *w, const tx_board_block *b)
{
    int *before = tx_alloc((size_t)b->n_row, sizeof *before);
    for (int i = 0; i < b->n_row; i++) before[i] = -1;
    tx_status status = TX_OK;
    for (size_t n = next_size(b, SIZE_MAX); n && !status; n = next_size(b, n)) {
        sheet s = make_sheet(b, n, before);
        status = s.n_side > 1 ? do_sheet(w, &s) : TX_OK;
        for (int i = 0; i < b->n_row; i++) before[i] = choose(&b->row[i], n);
        free_sheet(&s);
    }
    free(before);
    return status;
}

static void print_notes(const work *w)
{
    static const char *const meaning[TX_N_KIND] = {
        [TX_EXACT] = "both sides are exact",
        [TX_LOWER_BOUND] = "the true difference is at least this",
        [TX_UPPER_BOUND] = "the true difference is at most this",
        [TX_ESTIMATE] = "a side is an estimate: the truth may lie on either side of this"};
    const tx_format *f = w->f;
    tx_text t = {0};
    tx_text_add(&t, "A positive difference: the first model gives the same examples the higher log-likelihood.\n");
    for (int k = 0; k < TX_N_KIND; k++)
        if (w->kind[k]) tx_text_add(&t, "%s%s%s %s.\n", f->math, f->sign[k], f->math, meaning[k]);
    if (w->unknown)
        tx_text_add(&t, "? two bounds: the difference is of bounds, and of the models nothing follows from it.\n");
    tx_text_add(&t, "%s%s%s is the standard error over examples of the paired difference%s.\n", f->math, f->plus_minus,
                f->math, w->seeds ? ", averaged over the seeds that both completed" : "");
    tx_text_add(
        &t,
        "Each model is there with the best known of its estimates: exact, else a lower bound, an upper bound, "
        "an estimate;\n  of several of one kind the one made for the fewest examples that still cover these.\n%s",
        w->other.s ? w->other.s : "");
    f->notes(t.s, w->out);
    tx_text_free(&t);
}

tx_status tx_pairwise_table(int n, const tx_run_info run[], const char *format, tx_text *out)
{
    work w = {.out = out, .rows = json_array()};
    tx_status status = tx_format_find(format, &w.f);
    tx_board *b = status ? NULL : tx_board_new(n, run);
    for (int i = 0; b && !status && i < b->n_block; i++)
        if (b->block[i].split != TX_SIMULATED) status = do_block(&w, &b->block[i]);
    if (!status && w.n_pair == 0)
        status = tx_fail(TX_ENOINPUT, "nothing to pair: no two models have likelihoods of the same examples");
    json_t *all = json_pack("{sO}", "rows", w.rows);
    if (!status && w.f->records) w.f->records(all, out);
    if (!status && !w.f->records) print_notes(&w);
    json_decref(all);
    json_decref(w.rows);
    tx_text_free(&w.other);
    if (b) tx_board_free(b);
    return status;
}

tx_status tx_pairwise_block(const tx_board_block *b, int most, const tx_format *f, tx_text *out, int *n_pair)
{
    work w = {.f = f, .out = out};
    tx_board_block first = *b;
    if (first.n_row > most) first.n_row = most;
    tx_status status = do_block(&w, &first);
    if (!status && w.n_pair) print_notes(&w);
    *n_pair = w.n_pair;
    tx_text_free(&w.other);
    return status;
}
