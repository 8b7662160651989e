#include "experiments/taxon/table.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/table_model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a format writes what it cannot write as it is. */
typedef struct style {
    const char *name;
    const char *plus_minus;
    const char *sign[TX_N_KIND];
    const char *math; /* around a formula */
    void (*print)(const tx_board *b, const struct style *y, tx_text *out);
} style;

enum { COLUMNS = 11, CELL = 160, REFERENCE_DECIMALS = 2 };
typedef struct line {
    char cell[COLUMNS][CELL];
    bool rule;
} line; /* rule: a line across, and no cells */
typedef struct sheet {
    int n;
    line *row;
    bool used[COLUMNS];
    int mean_width;
} sheet;

enum { MODEL, LEAF, VALUE, ESTIMATOR, MC, BITS, PARAMETERS, STEPS, SECONDS, SEEDS, NOTE };
static const struct {
    const char *head;
    bool right;
} columns[COLUMNS] = {{"model", false},     {"family", false},  {"log-likelihood, nats", false},
                      {"by", false},        {"MC error", true}, {"bits/dim", true},
                      {"parameters", true}, {"steps", true},    {"train s", true},
                      {"seeds", true},      {"", false}};

static line *add_line(sheet *s)
{
    size_t n = (size_t)s->n++;
    s->row = tx_realloc(s->row, n, n + 1, sizeof *s->row);
    return &s->row[n];
}

static void put(sheet *s, line *l, int column, const char *text)
{
    tx_copy_text(l->cell[column], CELL, text);
    if (*text) s->used[column] = true;
}

/* Digits behind the point that show two figures of the error. */
static int decimals(double error)
{
    if (!(error > 0)) return 4;
    int d = 1 - (int)floor(log10(error));
    return d < 1 ? 1 : d > 4 ? 4 : d;
}

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

/* Characters of the widest mean, so that signs and points stand below one another. */
static int mean_width(const tx_board_block *b)
{
    int most = 0;
    for (int i = 0; i < b->n_row; i++)
        for (int k = 0; k < b->row[i].n_cell; k++) {
            const tx_board_cell *c = &b->row[i].cell[k];
            int n = snprintf(NULL, 0, "%.*f", decimals(c->error), c->mean);
            if (n > most) most = n;
        }
    return most;
}

static void put_cell(sheet *s, line *l, const tx_board_cell *c, const style *y)
{
    char value[CELL], error[48] = "", buf[48];
    int d = decimals(c->error);
    if (c->error > 0) snprintf(error, sizeof error, " %s %.*f", y->plus_minus, d, c->error);
    snprintf(value, sizeof value, "%s%-2s %*.*f%s%s", y->math, y->sign[c->kind], s->mean_width, d, c->mean, error,
             y->math);
    put(s, l, VALUE, value);
    put(s, l, ESTIMATOR, c->estimator);
    if (c->mc_error > 0) {
        snprintf(buf, sizeof buf, "%.*f", decimals(c->mc_error), c->mc_error);
        put(s, l, MC, buf);
    }
    if (isfinite(c->bits_per_dim)) {
        snprintf(buf, sizeof buf, "%.3f", c->bits_per_dim);
        put(s, l, BITS, buf);
    }
}

static void put_row(sheet *s, const tx_board_row *r, const style *y)
{
    char buf[CELL];
    line *l = add_line(s);
    put(s, l, MODEL, r->label);
    put(s, l, LEAF, r->leaf);
    put(s, l, PARAMETERS, count_text(r->n_parameter, buf));
    put(s, l, STEPS, count_text(r->n_step, buf));
    if (isfinite(r->train_seconds)) {
        snprintf(buf, sizeof buf, "%.*f", r->train_seconds < 9.95, r->train_seconds);
        put(s, l, SECONDS, buf);
    }
    snprintf(buf, sizeof buf, "%d", r->n_seed);
    put(s, l, SEEDS, buf);
    tx_text note = {0};
    tx_text_add(&note, "%s", "");
    if (r->n_tried > 1) tx_text_add(&note, "of %d tried", r->n_tried);
    if (r->n_diverged)
        tx_text_add(&note, "%s%d of %d diverged", note.len ? "; " : "", r->n_diverged, r->n_diverged + r->n_seed);
    put(s, l, NOTE, note.s);
    tx_text_free(&note);
    if (r->n_cell == 0) put(s, l, VALUE, r->n_seed ? "none" : "diverged");
    for (int i = 0; i < r->n_cell; i++) put_cell(s, i ? add_line(s) : l, &r->cell[i], y);
}

static sheet make_sheet(const tx_board_block *b, const style *y)
{
    sheet s = {.mean_width = mean_width(b)};
    char buf[CELL];
    for (int i = 0; i < b->n_row; i++) {
        if (i && tx_board_rank(&b->row[i]) != tx_board_rank(&b->row[i - 1])) add_line(&s)->rule = true;
        put_row(&s, &b->row[i], y);
    }
    for (int i = 0; i < b->n_reference; i++) {
        if (i == 0) add_line(&s)->rule = true;
        line *l = add_line(&s);
        put(&s, l, MODEL, b->reference[i].name);
        put(&s, l, LEAF, "not a model");
        snprintf(buf, sizeof buf, "%s   %*.*f%s", y->math, s.mean_width, REFERENCE_DECIMALS, b->reference[i].value,
                 y->math);
        put(&s, l, VALUE, buf);
    }
    return s;
}

static void heading(const tx_board_block *b, tx_text *t)
{
    tx_text_add(t, "%s, %s: %s measure, %s split", b->dataset, b->view, b->measure, b->split);
    if (b->n_example) tx_text_add(t, ", %zu examples", b->n_example);
}

/* What the signs and the errors mean: only those that are there. */
static void footer(const tx_board *b, const style *y, tx_text *t, const char *end)
{
    static const char *const meaning[] = {"exact", "lower bound", "upper bound", "estimate"};
    bool kind[TX_N_KIND] = {false}, none = false, over_seeds = false, over_examples = false, tried = false;
    for (int i = 0; i < b->n_block; i++)
        for (int k = 0; k < b->block[i].n_row; k++) {
            tried |= b->block[i].row[k].n_tried > 1;
            none |= b->block[i].row[k].n_cell == 0 && b->block[i].row[k].n_seed > 0;
            for (int c = 0; c < b->block[i].row[k].n_cell; c++) {
                const tx_board_cell *cell = &b->block[i].row[k].cell[c];
                kind[cell->kind] = true;
                *(cell->over_seeds ? &over_seeds : &over_examples) = true;
            }
        }
    const char *between = "";
    for (int k = 0; k < TX_N_KIND; k++) {
        if (!kind[k]) continue;
        tx_text_add(t, "%s%s%s%s %s", between, y->math, y->sign[k], y->math, meaning[k]);
        between = "; ";
    }
    if (none) tx_text_add(t, "%snone: the model has no likelihood that was asked for", between);
    if (none || *between) tx_text_add(t, ".%s", end);
    if (over_seeds)
        tx_text_add(t, "%s%s%s is the standard error of the mean over seeds%s.%s", y->math, y->plus_minus, y->math,
                    over_examples ? ", over examples where there is one seed" : "", end);
    else if (over_examples)
        tx_text_add(t, "%s%s%s is the standard error of the mean over examples (one seed).%s", y->math, y->plus_minus,
                    y->math, end);
    if (tried) tx_text_add(t, "Of variants tried on a grid the one is shown that the valid split prefers.%s", end);
    tx_text_add(t, "Rows are sorted inside a kind only: numbers of different kinds or measures have no order.%s", end);
    for (int i = 0; i < b->n_remark; i++) tx_text_add(t, "%s%s", b->remark[i], end);
}

/* Characters, not bytes. */
static int width_of(const char *s)
{
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void widths(const sheet *s, int w[COLUMNS])
{
    for (int c = 0; c < COLUMNS; c++) {
        w[c] = s->used[c] ? width_of(columns[c].head) : 0;
        for (int i = 0; i < s->n; i++) {
            int n = width_of(s->row[i].cell[c]);
            if (n > w[c]) w[c] = n;
        }
    }
}

static void text_line(tx_text *t, const sheet *s, const int w[COLUMNS], const line *l)
{
    size_t start = t->len;
    for (int c = 0; c < COLUMNS; c++) {
        if (!s->used[c]) continue;
        const char *text = l ? l->cell[c] : columns[c].head;
        int pad = w[c] - width_of(text);
        tx_text_add(t, "%*s%s%*s  ", columns[c].right ? pad : 0, "", text, columns[c].right ? 0 : pad, "");
    }
    while (t->len > start && t->s[t->len - 1] == ' ') t->s[--t->len] = 0;
    tx_text_add(t, "\n");
}

static void rule(tx_text *t, int n)
{
    for (int i = 0; i < n; i++) tx_text_add(t, "-");
    tx_text_add(t, "\n");
}

static void print_text(const tx_board *b, const style *y, tx_text *t)
{
    for (int i = 0; i < b->n_block; i++) {
        sheet s = make_sheet(&b->block[i], y);
        int w[COLUMNS], total = -2;
        widths(&s, w);
        for (int c = 0; c < COLUMNS; c++) total += s.used[c] ? w[c] + 2 : 0;
        heading(&b->block[i], t);
        tx_text_add(t, "\n\n");
        text_line(t, &s, w, NULL);
        rule(t, total);
        for (int k = 0; k < s.n; k++) s.row[k].rule ? rule(t, total) : text_line(t, &s, w, &s.row[k]);
        tx_text_add(t, "\n");
        free(s.row);
    }
    footer(b, y, t, "\n");
}

/* Without the blanks that align signs in a plain text. */
static void squeeze(const char *from, char out[CELL])
{
    size_t n = 0;
    for (const char *s = from; *s; s++) {
        bool needless = n == 0 || out[n - 1] == '$' || !s[1] || s[1] == ' ';
        if (*s != ' ' || !needless) out[n++] = *s;
    }
    out[n] = 0;
}

static void print_md(const tx_board *b, const style *y, tx_text *t)
{
    for (int i = 0; i < b->n_block; i++) {
        sheet s = make_sheet(&b->block[i], y);
        tx_text_add(t, "**");
        heading(&b->block[i], t);
        tx_text_add(t, "**\n\n|");
        for (int c = 0; c < COLUMNS; c++)
            if (s.used[c]) tx_text_add(t, " %s |", columns[c].head);
        tx_text_add(t, "\n|");
        for (int c = 0; c < COLUMNS; c++)
            if (s.used[c]) tx_text_add(t, " %s |", columns[c].right || c == VALUE ? "--:" : "---");
        for (int k = 0; k < s.n; k++) {
            if (s.row[k].rule) continue;
            tx_text_add(t, "\n|");
            for (int c = 0; c < COLUMNS; c++) {
                char cell[CELL];
                squeeze(s.row[k].cell[c], cell);
                if (s.used[c]) tx_text_add(t, " %s |", cell);
            }
        }
        tx_text_add(t, "\n\n");
        free(s.row);
    }
    footer(b, y, t, "\n");
}

static void add_tex(tx_text *t, const char *s)
{
    bool math = false;
    for (; *s; s++) {
        if (*s == '$') math = !math;
        tx_text_add(t, "%s%c", !math && strchr("_%&#", *s) ? "\\" : "", *s);
    }
}

static void tex_line(tx_text *t, const sheet *s, const line *l)
{
    bool first = true;
    for (int c = 0; c < COLUMNS; c++) {
        if (!s->used[c]) continue;
        char cell[CELL];
        squeeze(l ? l->cell[c] : columns[c].head, cell);
        if (!first) tx_text_add(t, " & ");
        add_tex(t, cell);
        first = false;
    }
    tx_text_add(t, " \\\\\n");
}

static void print_tex(const tx_board *b, const style *y, tx_text *t)
{
    for (int i = 0; i < b->n_block; i++) {
        sheet s = make_sheet(&b->block[i], y);
        tx_text head = {0};
        heading(&b->block[i], &head);
        tx_text_add(t, "%% %s; needs booktabs\n\\begin{tabular}{", head.s);
        for (int c = 0; c < COLUMNS; c++)
            if (s.used[c]) tx_text_add(t, "%c", columns[c].right || c == VALUE ? 'r' : 'l');
        tx_text_add(t, "}\n\\toprule\n");
        tex_line(t, &s, NULL);
        tx_text_add(t, "\\midrule\n");
        for (int k = 0; k < s.n; k++)
            if (s.row[k].rule)
                tx_text_add(t, "\\midrule\n");
            else
                tex_line(t, &s, &s.row[k]);
        tx_text_add(t, "\\bottomrule\n\\end{tabular}\n\n");
        tx_text_free(&head);
        free(s.row);
    }
    tx_text below = {0};
    footer(b, y, &below, "\n");
    for (char *rest = NULL, *text = strtok_r(below.s, "\n", &rest); text; text = strtok_r(NULL, "\n", &rest))
        tx_text_add(t, "%% %s\n", text);
    tx_text_free(&below);
}

/* What csv and json print of a row and one of its cells (NULL: none): names, then values as JSON. */
static json_t *record(const tx_board_block *b, const tx_board_row *r, const tx_board_cell *c)
{
    json_t *j = json_pack("{ss, ss, ss, ss, si, ss, ss, ss, ss, si, si, si}", "dataset", b->dataset, "view", b->view,
                          "measure", b->measure, "split", b->split, "n_example", (int)b->n_example, "label", r->label,
                          "group", r->group, "model", r->model, "taxonomy_path", r->taxonomy_path, "n_seed", r->n_seed,
                          "n_diverged", r->n_diverged, "n_tried", r->n_tried);
    const struct {
        const char *name, *text;
    } text[] = {
        {"estimator", c ? c->estimator : "none"},
        {"kind", c ? tx_kind_name(c->kind) : "none"},
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
        {"n_parameter", r->n_parameter},
        {"n_step", r->n_step},
        {"sequential_steps_per_sample", r->sequential_steps},
        {"train_seconds", r->train_seconds},
    };
    for (size_t i = 0; i < TX_LEN(text); i++) json_object_set_new(j, text[i].name, json_string(text[i].text));
    for (size_t i = 0; i < TX_LEN(number); i++)
        json_object_set_new(j, number[i].name, isfinite(number[i].value) ? json_real(number[i].value) : json_null());
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

static void print_json(const tx_board *b, const style *y, tx_text *t)
{
    (void)y;
    json_t *references = json_array(), *all;
    for (int i = 0; i < b->n_block; i++)
        for (int k = 0; k < b->block[i].n_reference; k++)
            json_array_append_new(references, json_pack("{ss, ss, ss, ss, sf}", "dataset", b->block[i].dataset, "view",
                                                        b->block[i].view, "split", b->block[i].split, "name",
                                                        b->block[i].reference[k].name, "log_likelihood",
                                                        b->block[i].reference[k].value));
    all = json_pack("{so, so}", "rows", records(b), "references", references);
    char *s = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (!s) tx_no_memory("jansson");
    tx_text_add(t, "%s\n", s);
    free(s);
    json_decref(all);
}

static void csv_text(tx_text *t, const char *s)
{
    if (!strpbrk(s, ",\"\n")) {
        tx_text_add(t, "%s", s);
        return;
    }
    tx_text_add(t, "\"");
    for (; *s; s++) tx_text_add(t, *s == '"' ? "\"\"" : "%c", *s);
    tx_text_add(t, "\"");
}

static void print_csv(const tx_board *b, const style *y, tx_text *t)
{
    (void)y;
    json_t *all = records(b), *row, *value;
    const char *key;
    char buf[32];
    size_t i;
    bool first = true;
    json_object_foreach(json_array_get(all, 0), key, value)
    {
        tx_text_add(t, "%s%s", first ? "" : ",", key);
        first = false;
    }
    json_array_foreach(all, i, row)
    {
        first = true;
        json_object_foreach(row, key, value)
        {
            tx_text_add(t, "%s", first ? "\n" : ",");
            first = false;
            if (json_is_string(value)) csv_text(t, json_string_value(value));
            if (json_is_integer(value)) tx_text_add(t, "%d", (int)json_integer_value(value));
            if (json_is_real(value)) tx_text_add(t, "%s", tx_print_real(json_real_value(value), buf));
        }
    }
    tx_text_add(t, "\n");
    json_decref(all);
}

static const style styles[] = {
    {"text", "+-", {"=", ">=", "<=", "~"}, "", print_text},
    {"md", "±", {"=", "≥", "≤", "~"}, "", print_md},
    {"tex", "\\pm", {"=", "\\ge", "\\le", "\\sim"}, "$", print_tex},
    {"csv", "", {"", "", "", ""}, "", print_csv},
    {"json", "", {"", "", "", ""}, "", print_json},
};

tx_status tx_results_table(int n, const tx_run_info run[], const char *format, tx_text *out)
{
    for (size_t i = 0; i < TX_LEN(styles); i++) {
        if (strcmp(styles[i].name, format) != 0) continue;
        tx_board *b = tx_board_new(n, run);
        styles[i].print(b, &styles[i], out);
        tx_board_free(b);
        return TX_OK;
    }
    return tx_fail(TX_EUSAGE, "expected a format text, md, tex, csv or json; found '%s'", format);
}
