/* Figures by gnuplot, each a picture of its own in the page: SVG, on a white card that turns dark with the page. */
#include "common/base/moments.h"
#include "experiments/taxon/program.h"
#include "experiments/taxon/report.h"
#include "experiments/taxon/table_metrics.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS = 20, POINTS = 200, FEW = 12, SERIES = 6, BINS = 40 };

/* Lines and points of several looks, so that colour is not all that tells them apart. */
static const struct {
    const char *colour;
    int dash, point;
} look[SERIES] = {{"#0072b2", 1, 7},  {"#d55e00", 2, 5},  {"#009e73", 3, 9},
                  {"#cc79a7", 4, 11}, {"#e69f00", 5, 13}, {"#56b4e9", 6, 4}};

/* A text of gnuplot's: in single quotes nothing but the quote has a meaning. */
static void quote(tx_text *t, const char *s)
{
    tx_text clean = {0};
    for (; *s; s++) tx_text_add(&clean, *s == '\'' ? "''" : "%c", (unsigned char)*s < 0x20 || *s == 0x7F ? '?' : *s);
    tx_text_add(t, "'%s'", clean.s ? clean.s : "");
    tx_text_free(&clean);
}

static void begin(tx_text *t, int width, int height)
{
    *t = (tx_text){0};
    tx_text_add(
        t,
        "set terminal svg size %d,%d font 'sans-serif,13' background rgb 'white'\nset encoding utf8\nset border 3\n"
        "set tics nomirror\nset grid ytics lc rgb '#dddddd'\nset key noenhanced\nset format '%%g'\n",
        width, height);
}

/* Takes out every stretch from one text to the next other one, or the text alone. */
static void drop(char *svg, const char *from, const char *until)
{
    char *to = svg;
    for (const char *at = svg; *at;) {
        const char *found = strstr(at, from), *end = found ? found + strlen(from) : NULL;
        if (found && until) end = strstr(end, until) ? strstr(end, until) + strlen(until) : NULL;
        size_t keep = end ? (size_t)(found - at) : strlen(at);
        memmove(to, at, keep), to += keep;
        at = end ? end : at + keep;
    }
    *to = 0;
}

/* Gnuplot writes many groups with nothing in them, says what is so anyway, and declares filters that nothing uses: a
 * picture has half of its bytes without. */
static void squeeze(char *svg, size_t *n)
{
    drop(svg, "<filter ", "</filter>\n");
    drop(svg, " stroke-linecap=\"butt\" stroke-linejoin=\"miter\"", NULL);
    drop(svg, " class=\"gridline\" ", NULL);
    char *to = svg;
    for (const char *at = svg; *at;) {
        const char *end = strchr(at, '\n');
        size_t line = end ? (size_t)(end - at) + 1 : strlen(at);
        static const char empty[] = "</g>\n";
        if (strncmp(at, "<g ", 3) == 0 && end && strncmp(end + 1, empty, sizeof empty - 1) == 0) {
            at = end + sizeof empty;
            continue;
        }
        const char *from = at + strspn(at, "\t");
        size_t left = line - (size_t)(from - at);
        if (left > 1) memmove(to, from, left), to += left;
        at += line;
    }
    *to = 0;
    *n = (size_t)(to - svg);
}

typedef struct figure {
    int width, height;
    tx_text script, alt, caption; /* freed by draw */
} figure;

static void put_figure(tx_report *r, const figure *f, const char *svg, size_t n)
{
    tx_text_add(&r->out, "<figure class=\"plot\"><img width=\"%d\" height=\"%d\" alt=\"", f->width, f->height);
    tx_html_text(&r->out, f->alt.s);
    tx_text_add(&r->out, "\" src=\"");
    tx_html_data(&r->out, "image/svg+xml", svg, n);
    tx_text_add(&r->out, "\">\n<figcaption>");
    tx_html_text(&r->out, f->caption.s);
    tx_text_add(&r->out, "</figcaption></figure>\n");
}

/* After a failure gnuplot is not asked again: what it cannot draw once it would fail at, or wait for, every time. */
static void draw(tx_report *r, tx_report_view *v, figure *f)
{
    static char *const argv[] = {"gnuplot", "-d", NULL};
    char *svg = NULL;
    size_t n = 0;
    if (!r->no_plots && v->plot_bytes && tx_program_run(argv, f->script.s, SECONDS, &svg, &n) != TX_OK) {
        r->no_plots = true;
        tx_report_note(r, "Plots (learning curves, histograms, costs of a sample) are missing from here on: %s.",
                       tx_last_error());
    }
    if (svg) squeeze(svg, &n);
    if (svg && n / 3 * 4 > v->plot_bytes) {
        char name[2 * TX_NAME_MAX + 2];
        tx_report_view_name(v, name);
        if (v->plot_bytes) tx_report_note(r, "%s: further plots are left out: the page would be too large.", name);
        v->plot_bytes = 0;
    } else if (svg) {
        v->plot_bytes -= n / 3 * 4;
        put_figure(r, f, svg, n);
    }
    free(svg);
    tx_text_free(&f->script), tx_text_free(&f->alt), tx_text_free(&f->caption);
}

static void open_group(tx_report *r, const char *title, const char *words)
{
    tx_report_heading(r, 3, NULL, title);
    tx_text_add(&r->out, "<p>");
    tx_html_text(&r->out, words);
    tx_text_add(&r->out, "</p>\n<div class=\"grid\">\n");
}

/* Nothing stays of a group without figures. */
static void close_group(tx_report *r, size_t before, size_t begun)
{
    if (r->out.len == begun)
        r->out.s[r->out.len = before] = 0;
    else
        tx_text_add(&r->out, "</div>\n");
}

/* Curves. */

/* A panel each: likelihoods, for which more is better; objectives, for which less is; and the rest. -1: none of these.
 */
enum { PANELS = 3, PANEL_HEIGHT = 200 };
static int panel_of(const char *name)
{
    static const char *const other[] = {"epoch", "step", "learning_rate"};
    for (size_t i = 0; i < TX_LEN(other); i++)
        if (strcmp(name, other[i]) == 0) return -1;
    return strstr(name, "log_likelihood") ? 0 : strstr(name, "objective") ? 1 : 2;
}

typedef struct curves {
    size_t n, n_in[PANELS]; /* epochs; curves that are drawn */
    int32_t *step;          /* or epochs, of models whose epochs are no steps */
    const char *axis;
    double low[PANELS], high[PANELS];
    tx_text data, plot[PANELS], alt;
} curves;

/* Adds a curve, thinned to what can be seen, where it has two points at least. */
static void add_curve(curves *c, const char *name, const double value[])
{
    size_t shown = 0, stride = (c->n + POINTS - 1) / POINTS;
    int panel = panel_of(name);
    size_t *k = &c->n_in[panel];
    double first = 0, last = 0;
    tx_text points = {0};
    for (size_t i = 0; i < c->n; i++) {
        if ((i % stride && i + 1 < c->n) || !isfinite(value[i])) continue;
        tx_text_add(&points, "%d %.9g\n", c->step[i], value[i]);
        if (shown++ == 0) first = value[i];
        last = value[i];
        if (!*k && shown == 1) c->low[panel] = c->high[panel] = last;
        c->low[panel] = fmin(c->low[panel], last), c->high[panel] = fmax(c->high[panel], last);
    }
    if (shown > 1 && *k < SERIES) {
        tx_text_add(&c->data, "$p%d_%zu << E\n%sE\n", panel, *k, points.s);
        tx_text_add(&c->plot[panel], "%s$p%d_%zu with %s lw 2 dt %d pt %d ps 0.5 lc rgb '%s' title ",
                    *k ? ", " : "plot ", panel, *k, shown > FEW ? "lines" : "linespoints", look[*k].dash,
                    look[*k].point, look[*k].colour);
        quote(&c->plot[panel], name);
        tx_text_add(&c->alt, "%s%s from %.4g to %.4g", c->alt.len ? "; " : "", name, first, last);
        ++*k;
    }
    tx_text_free(&points);
}

static void read_curves(tx_h5 *file, curves *c)
{
    size_t n_name;
    tx_shape shape = {0};
    char path[TX_NAME_MAX + 16];
    c->step = tx_h5_has(file, "/train/step") ? tx_h5_get(file, "/train/step", TX_H5_I32, &shape) : NULL;
    c->n = c->step ? shape.dim[0] : 0;
    c->axis = "step";
    if (c->n && c->step[0] == c->step[c->n - 1]) {
        free(c->step);
        c->step = tx_h5_get(file, "/train/epoch", TX_H5_I32, &shape);
        c->n = c->step && shape.dim[0] == c->n ? c->n : 0;
        c->axis = "epoch";
    }
    tx_h5_name *name = tx_h5_list(file, "/train", &n_name);
    for (size_t i = 0; c->n && i < n_name; i++) {
        if (panel_of(name[i]) < 0) continue;
        snprintf(path, sizeof path, "/train/%s", name[i]);
        double *value = tx_h5_get(file, path, TX_H5_F64, &shape);
        if (value && shape.rank == 1 && shape.dim[0] == c->n) add_curve(c, name[i], value);
        free(value);
    }
    free(name);
}

/* The round number that cuts a range into five pieces at most. */
static double tic(double range)
{
    static const double round[] = {1, 2, 5, 10};
    double power = pow(10, floor(log10(range / 5)));
    size_t k = 0;
    while (k + 1 < TX_LEN(round) && range / (round[k] * power) > 5) k++;
    return range > 0 ? round[k] * power : 1;
}

/* Every curve of a run against its steps; false: it has none. */
static bool make_curves(tx_h5 *file, const char *label, figure *f)
{
    curves c = {0};
    int panels = 0, done = 0;
    read_curves(file, &c);
    for (int k = 0; k < PANELS; k++) panels += c.n_in[k] > 0;
    *f = (figure){.width = 420, .height = PANEL_HEIGHT * panels + 20};
    if (panels) {
        begin(&f->script, f->width, f->height);
        tx_text_add(
            &f->script,
            "%sset key above left vertical maxrows 3 samplen 1.5 font ',11'\nset xtics %.3g font ',11'\nset lmargin 8\n"
            "set rmargin 2\nset multiplot layout %d,1\n",
            c.data.s, tic(c.step[c.n - 1] - c.step[0]), panels);
        tx_text_add(&f->alt, "Learning curves of %s: %s, over %d %ss.", label, c.alt.s, c.step[c.n - 1], c.axis);
    }
    for (int k = 0; k < PANELS; k++) {
        if (!c.plot[k].len) continue;
        if (++done == panels) tx_text_add(&f->script, "set xlabel '%s' offset 0,0.6\n", c.axis);
        double range = c.high[k] - c.low[k]; /* of hardly any width gnuplot makes a wider one */
        if (range > 1e-4 * fmax(fabs(c.low[k]), fabs(c.high[k])))
            tx_text_add(&f->script, "set ytics %.3g\n", tic(range));
        else
            tx_text_add(&f->script, "set ytics autofreq\n");
        tx_text_add(&f->script, "%s\n", c.plot[k].s);
        tx_text_free(&c.plot[k]);
    }
    free(c.step);
    tx_text_free(&c.data), tx_text_free(&c.alt);
    return panels > 0;
}

void tx_report_curves(tx_report *r, tx_report_view *v)
{
    tx_text without = {0};
    size_t before = r->out.len;
    open_group(r, "Learning curves",
               "What each model's training reported after every epoch, of its first seed. Curves named valid_ are of "
               "rows that are not "
               "trained on. Of log-likelihoods higher is better. Objectives are what is made small: each model has its "
               "own, and those of "
               "two models need not be the same quantity.");
    size_t begun = r->out.len;
    for (int i = 0; i < tx_report_rows(v->main) && !r->no_plots; i++) {
        const tx_run_info *run = tx_report_run(&v->main->row[i]);
        tx_h5 *file = run ? tx_report_open(r, run) : NULL;
        figure f;
        if (!file) continue;
        bool any = make_curves(file, run->label, &f);
        tx_report_close(r, file);
        if (!any) {
            tx_text_add(&without, "%s%s", without.len ? ", " : "", run->label);
            continue;
        }
        tx_text_add(&f.caption, "%s, seed %d", run->label, run->seed);
        draw(r, v, &f);
    }
    bool any = r->out.len != begun;
    close_group(r, before, begun);
    if (any && without.len) {
        tx_text_add(&r->out, "<p class=\"dim\">");
        tx_html_add(&r->out, "Without curves, since their training has one epoch at most: %s.", without.s);
        tx_text_add(&r->out, "</p>\n");
    }
    tx_text_free(&without);
}

/* Histograms. */

typedef struct sample {
    const tx_run_info *run;
    const tx_board_cell *cell;
    size_t n;
    double *x; /* [n] sorted, owned */
} sample;

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool load(tx_report *r, const tx_board_row *row, sample *s)
{
    tx_run_info now;
    int first = 0; /* of the runs that have this estimate */
    *s = (sample){.cell = row->cell};
    if (!row->n_cell) return false;
    while (first < row->n_run && !tx_board_estimate(&row->run[first], row->cell->first)) first++;
    if (first == row->n_run) return false;
    const tx_run_info *run = s->run = &row->run[first];
    if (tx_run_read(run->path, true, &now) != TX_OK) {
        tx_report_note(r, "%s", tx_last_error());
        return false;
    }
    const tx_estimate *e = tx_board_estimate(&now, row->cell->first);
    if (e) {
        s->x = tx_alloc(e->n, sizeof *s->x);
        for (size_t i = 0; i < e->n; i++)
            if (isfinite(e->log_likelihood[i])) s->x[s->n++] = e->log_likelihood[i];
        qsort(s->x, s->n, sizeof *s->x, rising);
    }
    tx_run_info_free(&now);
    return s->n > 1;
}

static double quantile(const sample *s, double q) { return s->x[(size_t)(q * (double)(s->n - 1))]; }

/* One frame for all models: from the lowest of their 1 % quantiles to the highest of their 99 %, but no more than eight
 * times as wide as the best model's own, so that one that is far off does not squeeze the others. */
static void frame_of(int n, const sample s[], double *lo, double *hi)
{
    double width = 0;
    *lo = INFINITY, *hi = -INFINITY;
    for (int i = 0; i < n; i++) {
        double a = quantile(&s[i], 0.01), b = quantile(&s[i], 0.99);
        if (b > *hi) width = b - a;
        *hi = fmax(*hi, b);
        *lo = fmin(*lo, a);
    }
    if (width > 0) *lo = fmax(*lo, *hi - 8 * width);
    if (!(*hi > *lo)) *lo -= 0.5, *hi += 0.5;
}

static void make_histogram(const sample *s, double lo, double hi, figure *f)
{
    bool exact = strcmp(s->cell->by, "exact") == 0;
    size_t count[BINS] = {0}, below = 0, above = 0;
    tx_moments m = {0};
    double bin = (hi - lo) / BINS;
    for (size_t i = 0; i < s->n; i++) {
        double at = floor((s->x[i] - lo) / bin);
        below += at < 0, above += at >= BINS;
        count[at < 0 ? 0 : at >= BINS ? BINS - 1 : (size_t)at]++;
        tx_moments_add(&m, s->x[i]);
    }
    *f = (figure){.width = 420, .height = 240};
    begin(&f->script, f->width, f->height);
    tx_text_add(&f->script,
                "unset key\nset xlabel 'log-likelihood of an example, nats'\nset ylabel 'examples'\n"
                "set style fill solid 0.6 border\nset boxwidth %.9g\nset yrange [0:*]\n$d << E\n",
                bin);
    for (size_t k = 0; k < BINS; k++) tx_text_add(&f->script, "%.9g %zu\n", lo + ((double)k + 0.5) * bin, count[k]);
    tx_text_add(&f->script, "E\nset xrange [%.9g:%.9g]\nplot $d with boxes lc rgb '#0072b2'\n", lo, hi);
    tx_text_add(&f->alt, "Histogram of %zu log-likelihoods of %s: mean %.4g, median %.4g, from %.4g to %.4g nats.",
                s->n, s->run->label, m.mean, quantile(s, 0.5), s->x[0], s->x[s->n - 1]);
    tx_text_add(&f->caption, "%s, seed %d, %s%s%s: median %.4g, middle half %.4g to %.4g", s->run->label, s->run->seed,
                tx_kind_plain(s->cell->kind), exact ? "" : " by ", exact ? "" : s->cell->by, quantile(s, 0.5),
                quantile(s, 0.25), quantile(s, 0.75));
    if (below) tx_text_add(&f->caption, "; %zu example%s below the frame", below, tx_plural((long long)below));
    if (above) tx_text_add(&f->caption, "; %zu above%s", above, below ? " it" : " the frame");
}

void tx_report_histograms(tx_report *r, tx_report_view *v)
{
    int n = 0, rows = tx_report_rows(v->main);
    sample *s = tx_alloc((size_t)rows, sizeof *s);
    double lo, hi;
    for (int i = 0; i < rows && !r->no_plots; i++) {
        if (load(r, &v->main->row[i], &s[n]))
            n++;
        else
            free(s[n].x);
    }
    size_t before = r->out.len;
    open_group(r, "Log-likelihoods of single examples",
               "How the best known log-likelihood of each model is spread over the examples, of the first seed that "
               "has it. All "
               "have the same "
               "horizontal axis; examples outside it are counted at its ends.");
    size_t begun = r->out.len;
    if (n) frame_of(n, s, &lo, &hi);
    for (int i = 0; i < n; i++) {
        figure f;
        make_histogram(&s[i], lo, hi, &f);
        draw(r, v, &f);
        free(s[i].x);
    }
    close_group(r, before, begun);
    free(s);
}

/* Costs of a sample. */

typedef struct point {
    const char *label;
    double x, y;
    tx_kind kind;
    double height, place; /* of the point and of its label, 0 below to 1 above */
} point;

enum { MAX_POINTS = TX_REPORT_ROWS };

static int falling(const void *a, const void *b)
{
    const point *x = a, *y = b;
    if (x->y != y->y) return x->y < y->y ? 1 : -1;
    return strcmp(x->label, y->label);
}

/* Labels stand to the right of the frame in the order of their points, each as near to its height as the others let it:
 * half way between those pushed down from above and those pushed up from below, and inside the frame. */
static void place_labels(int n, point p[], double lo, double hi, bool decades, double gap)
{
    double down = INFINITY, up = -INFINITY, most = 1, least = 0;
    qsort(p, (size_t)n, sizeof *p, falling);
    for (int i = 0; i < n; i++) {
        p[i].height = decades ? log(p[i].y / lo) / log(hi / lo) : (p[i].y - lo) / (hi - lo);
        p[i].place = down = fmin(p[i].height, down - gap);
    }
    for (int i = n - 1; i >= 0; i--) {
        up = fmax(p[i].height, up + gap);
        p[i].place = (p[i].place + up) / 2;
    }
    for (int i = 0; i < n; i++, most = p[i - 1].place - gap) p[i].place = fmin(p[i].place, most);
    for (int i = n - 1; i >= 0; i--, least += gap) p[i].place = fmax(p[i].place, least);
}

/* The kinds by shape: filled circle, triangle up, triangle down, open circle. */
static const int shape_of[TX_N_KIND] = {[TX_EXACT] = 7, [TX_LOWER_BOUND] = 9, [TX_UPPER_BOUND] = 11, [TX_ESTIMATE] = 6};

static void put_points(tx_text *t, int n, const point p[], bool kinds)
{
    tx_text plot = {0};
    for (int k = 0; k < TX_N_KIND; k++) {
        int found = 0;
        for (int i = 0; i < n; i++) {
            if (p[i].kind != (tx_kind)k) continue;
            if (found++ == 0) tx_text_add(t, "$k%d << E\n", k);
            tx_text_add(t, "%.6g %.9g\n", p[i].x, p[i].y);
        }
        if (!found) continue;
        tx_text_add(t, "E\n");
        tx_text_add(&plot, "%s$k%d with points pt %d ps 1 lw 2 lc rgb '%s' title '%s'", plot.len ? ", " : "plot ", k,
                    shape_of[k], look[k].colour, kinds ? tx_kind_plain((tx_kind)k) : "");
    }
    tx_text_add(t, "%s\n", plot.s);
    tx_text_free(&plot);
}

typedef struct axes {
    const char *x, *y, *caption;
    bool kinds; /* points are likelihoods of several kinds */
} axes;

static void draw_scatter(tx_report *r, tx_report_view *v, const axes *a, int n, point p[])
{
    figure f = {.width = 560, .height = n > 14 ? 100 + 19 * n : 360};
    double lo = INFINITY, hi = -INFINITY, left = INFINITY, right = 0;
    for (int i = 0; i < n; i++) {
        lo = fmin(lo, p[i].y), hi = fmax(hi, p[i].y);
        left = fmin(left, p[i].x), right = fmax(right, p[i].x);
    }
    bool decades = lo > 0 && hi > 30 * lo;
    double margin = hi > lo ? 0.05 * (hi - lo) : 1;
    if (decades)
        lo /= 1.5, hi *= 1.5;
    else
        lo -= margin, hi += margin;
    place_labels(n, p, lo, hi, decades, 1.0 / (n > 14 ? n : 14));
    begin(&f.script, f.width, f.height);
    tx_text_add(&f.script, "set rmargin 20\nset logscale x%s\nset format x '10^{%%L}'\n%sset xlabel '%s'\nset ylabel ",
                decades ? "y" : "", decades ? "set format y '10^{%L}'\n" : "", a->x);
    quote(&f.script, a->y);
    tx_text_add(&f.script,
                " noenhanced\nset xrange [%.6g:%.6g]\nset yrange [%.9g:%.9g]\nset key above left horizontal\n",
                left / 2, right * 2, lo, hi);
    tx_text_add(&f.alt, "%s against %s: ", a->y, a->x);
    for (int i = 0; i < n; i++) {
        char label[32];
        snprintf(label, sizeof label, "%.24s%s", p[i].label, strlen(p[i].label) > 24 ? "..." : "");
        tx_text_add(&f.script, "set label ");
        quote(&f.script, label);
        tx_text_add(&f.script,
                    " at graph 1.05, graph %.4f noenhanced font ',11'\n"
                    "set arrow from %.6g,%.9g to graph 1.04, graph %.4f nohead lc rgb '#aaaaaa' lw 0.7 back\n",
                    p[i].place, p[i].x, p[i].y, p[i].place);
        tx_text_add(&f.alt, "%s%s %.3g, %.5g", i ? "; " : "", p[i].label, p[i].x, p[i].y);
    }
    put_points(&f.script, n, p, a->kinds);
    tx_text_add(&f.caption, "%s", a->caption);
    draw(r, v, &f);
}

static double mean_timing(const tx_board_row *row, const char *name)
{
    tx_moments m = {0};
    for (int i = 0; i < row->n_run; i++) {
        double x = tx_numbers_get(row->run[i].timing, name);
        if (tx_run_complete(&row->run[i]) && !isnan(x)) tx_moments_add(&m, x);
    }
    return tx_moments_mean(&m);
}

/* Of a block's rows those that have both numbers; metric NULL: the likelihood. */
static int collect(const tx_board_block *b, bool seconds, const char *metric, point p[MAX_POINTS])
{
    int n = 0;
    for (int i = 0; i < tx_report_rows(b); i++) {
        const tx_board_row *row = &b->row[i];
        point q = {.label = row->label};
        double error;
        q.x = seconds ? mean_timing(row, "sample_seconds_per_1000") / 1000 : row->sequential_steps;
        if (metric)
            q.y = tx_metrics_value(row, metric, &error);
        else
            q.y = row->n_cell ? row->cell->mean : NAN;
        if (!metric && row->n_cell) q.kind = row->cell->kind;
        if (q.x > 0 && isfinite(q.x) && isfinite(q.y)) p[n++] = q;
    }
    return n;
}

/* A metric that says by one number how far samples are from the data. */
static const char *metric_of(const tx_board_block *b)
{
    static const char *const known[] = {"frechet", "mmd", "smoothed_kl", "c2st"};
    double error;
    for (size_t k = 0; k < TX_LEN(known); k++)
        for (int i = 0; i < b->n_row; i++)
            if (isfinite(tx_metrics_value(&b->row[i], known[k], &error))) return known[k];
    return NULL;
}

/* In figures for who has none. */
static void put_cost_table(tx_report *r, const tx_board_block *b)
{
    static const tx_column columns[] = {{"model", TX_ALIGN_LEFT},
                                        {"sequential steps per sample", TX_ALIGN_RIGHT},
                                        {"seconds per sample", TX_ALIGN_RIGHT},
                                        {"log-likelihood, nats", TX_ALIGN_NUMBER}};
    tx_sheet s = {.n_column = TX_LEN(columns), .column = columns};
    char buf[TX_SHEET_CELL], head[4 * TX_NAME_MAX];
    for (int i = 0; i < b->n_row; i++) {
        const tx_board_row *row = &b->row[i];
        double seconds = mean_timing(row, "sample_seconds_per_1000") / 1000;
        if (!isfinite(row->sequential_steps) || !row->n_seed) continue;
        tx_sheet_line *l = tx_sheet_add(&s);
        tx_sheet_put(&s, l, 0, row->label);
        snprintf(buf, sizeof buf, "%.0f", row->sequential_steps);
        tx_sheet_put(&s, l, 1, buf);
        snprintf(buf, sizeof buf, "%.2g", seconds);
        if (isfinite(seconds)) tx_sheet_put(&s, l, 2, buf);
        if (row->n_cell)
            tx_format_value(r->html, r->html->sign[row->cell->kind], 0, row->cell->mean, row->cell->error, buf);
        tx_sheet_put(&s, l, 3, row->n_cell ? buf : "none");
    }
    snprintf(head, sizeof head, "%s, %s: cost of a sample, means over seeds", b->dataset, b->view);
    if (s.n) r->html->sheet(head, &s, &r->out);
    tx_sheet_free(&s);
}

void tx_report_costs(tx_report *r, tx_report_view *v)
{
    const char *metric = metric_of(v->main);
    const axes all[] = {
        {"seconds per sample", "log-likelihood, nats", "Measured time of a sample and log-likelihood", true},
        {"sequential steps per sample", "log-likelihood, nats",
         "Steps of a sample that wait for one another, and log-likelihood", true},
        {"seconds per sample", metric, "Measured time of a sample and a metric of sample quality", false},
        {"sequential steps per sample", metric,
         "Steps of a sample that wait for one another, and a metric of sample quality", false}};
    tx_report_heading(r, 3, NULL, "Cost of a sample");
    tx_text_add(
        &r->out,
        "<p>Left is cheap. Models that draw variable by variable, or by a Markov chain, need many steps one after the "
        "other. Likelihoods of different kinds, told apart by the shape of their points, have no order; of metrics "
        "lower is better.</p>\n");
    put_cost_table(r, v->main);
    size_t before = r->out.len;
    tx_text_add(&r->out, "<div class=\"grid wide\">\n");
    size_t begun = r->out.len;
    for (size_t k = 0; k < TX_LEN(all) && !r->no_plots; k++) {
        point p[MAX_POINTS];
        if (!all[k].y) continue;
        int n = collect(v->main, k % 2 == 0, k < 2 ? NULL : metric, p);
        if (n > 1) draw_scatter(r, v, &all[k], n, p);
    }
    close_group(r, before, begun);
}
