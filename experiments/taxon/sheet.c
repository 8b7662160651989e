#include "experiments/taxon/sheet.h"
#include "experiments/taxon/html.h"
#include "experiments/taxon/print.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tx_sheet_line *tx_sheet_add(tx_sheet *s)
{
    size_t n = (size_t)s->n++;
    s->line = tx_grow(s->line, n, sizeof *s->line);
    s->line[n] = (tx_sheet_line){0};
    return &s->line[n];
}

void tx_sheet_put(tx_sheet *s, tx_sheet_line *l, int column, const char *text)
{
    TX_REQUIRE(column < s->n_column && s->n_column <= TX_SHEET_COLUMNS, "column %d of %d", column, s->n_column);
    tx_copy_text(l->cell[column], TX_SHEET_CELL, text);
    if (*text) s->used[column] = true;
}

void tx_sheet_free(tx_sheet *s)
{
    free(s->line);
    s->line = NULL;
}

int tx_error_decimals(double error)
{
    if (!(error > 0)) return 4;
    int d = 1 - (int)floor(log10(error));
    return d < 1 ? 1 : d > 4 ? 4 : d;
}

void tx_format_value(const tx_format *f, const char *sign, int width, double value, double error,
                     char out[TX_SHEET_CELL])
{
    char after[48] = "";
    int d = tx_error_decimals(error);
    if (error > 0) snprintf(after, sizeof after, " %s %.*f", f->plus_minus, d, error);
    snprintf(out, TX_SHEET_CELL, "%s%-2s %*.*f%s%s", f->math, sign, width, d, value, after, f->math);
}

const char *tx_kind_plain(tx_kind k)
{
    static const char *const words[TX_N_KIND] = {[TX_EXACT] = "exact",
                                                 [TX_LOWER_BOUND] = "lower bound",
                                                 [TX_UPPER_BOUND] = "upper bound",
                                                 [TX_ESTIMATE] = "estimate"};
    return words[k];
}

json_t *tx_json_number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

/* Characters, not bytes. */
static int width_of(const char *s)
{
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void widths(const tx_sheet *s, int w[TX_SHEET_COLUMNS])
{
    for (int c = 0; c < s->n_column; c++) {
        w[c] = s->used[c] ? width_of(s->column[c].head) : 0;
        for (int i = 0; i < s->n; i++) {
            int n = width_of(s->line[i].cell[c]);
            if (n > w[c]) w[c] = n;
        }
    }
}

static void text_line(tx_text *t, const tx_sheet *s, const int w[TX_SHEET_COLUMNS], const tx_sheet_line *l)
{
    size_t start = t->len;
    for (int c = 0; c < s->n_column; c++) {
        if (!s->used[c]) continue;
        const char *text = l ? l->cell[c] : s->column[c].head;
        int pad = w[c] - width_of(text);
        bool right = s->column[c].align == TX_ALIGN_RIGHT;
        tx_text_add(t, "%*s%s%*s  ", right ? pad : 0, "", text, right ? 0 : pad, "");
    }
    while (t->len > start && t->s[t->len - 1] == ' ') t->s[--t->len] = 0;
    tx_text_add(t, "\n");
}

static void rule(tx_text *t, int n)
{
    for (int i = 0; i < n; i++) tx_text_add(t, "-");
    tx_text_add(t, "\n");
}

static void sheet_text(const char *heading, const tx_sheet *s, tx_text *t)
{
    int w[TX_SHEET_COLUMNS] = {0}, total = -2;
    widths(s, w);
    for (int c = 0; c < s->n_column; c++) total += s->used[c] ? w[c] + 2 : 0;
    tx_text_add(t, "%s\n\n", heading);
    text_line(t, s, w, NULL);
    rule(t, total);
    for (int k = 0; k < s->n; k++) s->line[k].rule ? rule(t, total) : text_line(t, s, w, &s->line[k]);
    tx_text_add(t, "\n");
}

static void notes_plain(const char *lines, tx_text *t) { tx_text_add(t, "%s", lines); }

/* Without the blanks that align signs in a plain text. */
static void squeeze(const char *from, char out[TX_SHEET_CELL])
{
    size_t n = 0;
    for (const char *s = from; *s; s++) {
        bool needless = n == 0 || out[n - 1] == '$' || !s[1] || s[1] == ' ';
        if (*s != ' ' || !needless) out[n++] = *s;
    }
    out[n] = 0;
}

static void md_line(tx_text *t, const tx_sheet *s, const tx_sheet_line *l)
{
    char cell[TX_SHEET_CELL];
    tx_text_add(t, "|");
    for (int c = 0; c < s->n_column; c++) {
        squeeze(l ? l->cell[c] : s->column[c].head, cell);
        if (s->used[c]) tx_text_add(t, " %s |", cell);
    }
    tx_text_add(t, "\n");
}

static void sheet_md(const char *heading, const tx_sheet *s, tx_text *t)
{
    tx_text_add(t, "**%s**\n\n", heading);
    md_line(t, s, NULL);
    tx_text_add(t, "|");
    for (int c = 0; c < s->n_column; c++)
        if (s->used[c]) tx_text_add(t, " %s |", s->column[c].align == TX_ALIGN_LEFT ? "---" : "--:");
    tx_text_add(t, "\n");
    for (int k = 0; k < s->n; k++)
        if (!s->line[k].rule) md_line(t, s, &s->line[k]);
    tx_text_add(t, "\n");
}

static void add_tex(tx_text *t, const char *s)
{
    bool math = false;
    for (; *s; s++) {
        if (*s == '$') math = !math;
        tx_text_add(t, "%s%c", !math && strchr("_%&#", *s) ? "\\" : "", *s);
    }
}

static void tex_line(tx_text *t, const tx_sheet *s, const tx_sheet_line *l)
{
    bool first = true;
    for (int c = 0; c < s->n_column; c++) {
        if (!s->used[c]) continue;
        char cell[TX_SHEET_CELL];
        squeeze(l ? l->cell[c] : s->column[c].head, cell);
        if (!first) tx_text_add(t, " & ");
        add_tex(t, cell);
        first = false;
    }
    tx_text_add(t, " \\\\\n");
}

static void sheet_tex(const char *heading, const tx_sheet *s, tx_text *t)
{
    tx_text_add(t, "%% %s; needs booktabs\n\\begin{tabular}{", heading);
    for (int c = 0; c < s->n_column; c++)
        if (s->used[c]) tx_text_add(t, "%c", s->column[c].align == TX_ALIGN_LEFT ? 'l' : 'r');
    tx_text_add(t, "}\n\\toprule\n");
    tex_line(t, s, NULL);
    tx_text_add(t, "\\midrule\n");
    for (int k = 0; k < s->n; k++)
        if (s->line[k].rule)
            tx_text_add(t, "\\midrule\n");
        else
            tex_line(t, s, &s->line[k]);
    tx_text_add(t, "\\bottomrule\n\\end{tabular}\n\n");
}

/* Comments: they are for the author of the paper. */
static void notes_tex(const char *lines, tx_text *t)
{
    char *copy = tx_strdup(lines);
    for (char *rest = NULL, *text = strtok_r(copy, "\n", &rest); text; text = strtok_r(NULL, "\n", &rest))
        tx_text_add(t, "%% %s\n", text);
    free(copy);
}

#define SIGNS                                                                                                          \
    {                                                                                                                  \
        "=", "≥", "≤", "~"                                                                                             \
    }
static const char *const sign_of_kind[TX_N_KIND] = SIGNS;

/* The kind stands below a number in words: a sign alone is easily overlooked, or read out as something else. */
static void html_cell(tx_text *t, const char *text, bool number)
{
    char cell[TX_SHEET_CELL];
    squeeze(text, cell);
    tx_text_add(t, "<td%s>", number ? " class=\"n\"" : "");
    tx_html_text(t, cell);
    for (int k = 0; number && k < TX_N_KIND; k++) {
        size_t n = strlen(sign_of_kind[k]);
        if (strncmp(cell, sign_of_kind[k], n) == 0 && cell[n] == ' ')
            tx_text_add(t, " <small>%s</small>", tx_kind_plain((tx_kind)k));
    }
    tx_text_add(t, "</td>");
}

/* Lines below this one that go on with it: their first cell is empty. */
static int html_span(const tx_sheet *s, int k)
{
    int n = 1;
    while (k + n < s->n && !s->line[k + n].rule && !*s->line[k + n].cell[0]) n++;
    return n;
}

static void html_line(tx_text *t, const tx_sheet *s, int k)
{
    const tx_sheet_line *l = &s->line[k];
    int n_used = 0, n_filled = 0;
    for (int c = 0; c < s->n_column; c++) n_used += s->used[c], n_filled += *l->cell[c] != 0;
    tx_text_add(t, "<tr>");
    if (*l->cell[0] && n_filled == 1 && n_used > 1) {
        tx_text_add(t, "<th scope=\"rowgroup\" colspan=\"%d\">", n_used);
    } else if (*l->cell[0]) {
        int span = html_span(s, k);
        tx_text_add(t, "<th scope=\"row\"");
        if (span > 1) tx_text_add(t, " rowspan=\"%d\"", span);
        tx_text_add(t, ">");
    }
    if (*l->cell[0]) tx_html_text(t, l->cell[0]), tx_text_add(t, "</th>");
    for (int c = 1; c < s->n_column && !(*l->cell[0] && n_filled == 1 && n_used > 1); c++)
        if (s->used[c]) html_cell(t, l->cell[c], s->column[c].align != TX_ALIGN_LEFT);
    tx_text_add(t, "</tr>\n");
}

/* A box of its own, so that a wide table is moved in it and not the page; a long one in both ways. */
enum { LONG = 80 };
static void sheet_html(const char *heading, const tx_sheet *s, tx_text *t)
{
    tx_text_add(t, "<div class=\"scroll%s\" role=\"group\" tabindex=\"0\" aria-label=\"", s->n > LONG ? " long" : "");
    tx_html_text(t, heading);
    tx_text_add(t, "\">\n<table>\n<caption>");
    tx_html_text(t, heading);
    tx_text_add(t, "</caption>\n<thead><tr>");
    for (int c = 0; c < s->n_column; c++) {
        if (!s->used[c]) continue;
        tx_text_add(t, "<th scope=\"col\"%s>", s->column[c].align == TX_ALIGN_LEFT ? "" : " class=\"n\"");
        tx_html_text(t, *s->column[c].head ? s->column[c].head : "remark");
        tx_text_add(t, "</th>");
    }
    tx_text_add(t, "</tr></thead>\n<tbody>\n");
    for (int k = 0; k < s->n; k++)
        if (s->line[k].rule)
            tx_text_add(t, "</tbody>\n<tbody>\n");
        else
            html_line(t, s, k);
    tx_text_add(t, "</tbody>\n</table>\n</div>\n");
}

/* A line that begins with blanks goes on with the one above. */
static void notes_html(const char *lines, tx_text *t)
{
    char *copy = tx_strdup(lines);
    bool open = false;
    tx_text_add(t, "<ul class=\"notes\">");
    for (char *rest = NULL, *text = strtok_r(copy, "\n", &rest); text; text = strtok_r(NULL, "\n", &rest)) {
        bool more = *text == ' ' && open;
        tx_text_add(t, more ? " " : open ? "</li>\n<li>" : "\n<li>");
        tx_html_text(t, text + strspn(text, " "));
        open = true;
    }
    tx_text_add(t, "%s\n</ul>\n", open ? "</li>" : "");
    free(copy);
}

static void records_json(const json_t *all, tx_text *t)
{
    char *s = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (!s) tx_no_memory("jansson");
    tx_text_add(t, "%s\n", s);
    free(s);
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

static void records_csv(const json_t *all, tx_text *t)
{
    json_t *rows = json_object_get(all, "rows"), *row, *value;
    const char *key;
    char buf[32];
    size_t i;
    bool first = true;
    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        tx_text_add(t, "%s%s", first ? "" : ",", key);
        first = false;
    }
    json_array_foreach(rows, i, row)
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
}

static const tx_format formats[] = {
    {"text", "+-", {"=", ">=", "<=", "~"}, "", sheet_text, notes_plain, NULL},
    {"md", "±", SIGNS, "", sheet_md, notes_plain, NULL},
    {"tex", "\\pm", {"=", "\\ge", "\\le", "\\sim"}, "$", sheet_tex, notes_tex, NULL},
    {"html", "±", SIGNS, "", sheet_html, notes_html, NULL},
    {"csv", "", {"", "", "", ""}, "", NULL, NULL, records_csv},
    {"json", "", {"", "", "", ""}, "", NULL, NULL, records_json},
};

tx_status tx_format_find(const char *name, const tx_format **out)
{
    for (size_t i = 0; i < TX_LEN(formats); i++)
        if (strcmp(formats[i].name, name) == 0) {
            *out = &formats[i];
            return TX_OK;
        }
    return tx_fail(TX_EUSAGE, "expected a format text, md, tex, html, csv or json; found '%s'", name);
}
