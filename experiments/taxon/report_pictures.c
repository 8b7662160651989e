/* Samples as pictures: beside real rows, and each beside the training row that is nearest to it. */
#include "common/store/png.h"
#include "common/tensor/distance.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/report.h"
#include "experiments/taxon/samples.h"
#include "experiments/taxon/spec.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 10, MOST = 40, PAIRS = 10, SIDE = 64, DOTS = 2000, DOTS_SIDE = 320, CHUNK = 1000 };

/* What all pictures of a chapter share. */
typedef struct album {
    tx_report *r;
    tx_report_view *v;
    char name[2 * TX_NAME_MAX + 2];
    tx_setting *set;                         /* NULL: the data set is gone, which is noted */
    size_t height, width, channel, dim, cut; /* cut: pixels a side that become one */
    double top;                              /* the value that is white */
    int rows;
    size_t fewest;      /* samples of a model */
    double strip, pair; /* bytes of a picture, and of a pair, of every model */
    double lo, hi;      /* of dots */
} album;

/* Samples of one run. */
typedef struct samples {
    size_t n, dim;
    real *x, *mean;       /* [n,dim] in the data's unit; mean NULL without */
    size_t size[3], rank; /* of /samples/image without its first axis; rank 0: rows are no pictures */
} samples;

static void free_samples(samples *s) { free(s->x), free(s->mean); }

static bool read_samples(tx_report *r, const tx_run_info *run, samples *s)
{
    *s = (samples){0};
    tx_h5 *f = run ? tx_report_open(r, run) : NULL;
    if (!f) return false;
    tx_shape x = {0}, image = {0};
    if (tx_h5_has(f, "/samples/x")) s->x = tx_h5_get(f, "/samples/x", TX_H5_REAL, &x);
    if (s->x && tx_h5_has(f, "/samples/mean")) s->mean = tx_h5_get(f, "/samples/mean", TX_H5_REAL, NULL);
    if (s->x && tx_h5_has(f, "/samples/image")) free(tx_h5_get(f, "/samples/image", TX_H5_U8, &image));
    if (s->x && x.rank == 2) s->n = x.dim[0], s->dim = x.dim[1];
    s->rank = image.rank > 1 ? (size_t)image.rank - 1 : 0;
    for (size_t i = 0; i < s->rank; i++) s->size[i] = image.dim[i + 1];
    tx_report_close(r, f);
    if (s->n) return true;
    free_samples(s);
    return false;
}

/* The data set of a run, the same rows as then. */
static tx_status open_data(tx_report *r, const tx_run_info *run, tx_setting **out)
{
    tx_spec spec;
    const json_t *config = tx_report_config(r, run);
    if (!config) return tx_fail(TX_EDATA, "%s: no configuration", run->path);
    char *text = tx_json_text(config);
    tx_status s = tx_spec_parse(&spec, text, run->path);
    free(text);
    TX_TRY(s);
    s = tx_setting_open_data(out, &spec.data, NULL);
    tx_spec_free(&spec);
    TX_TRY(s);
    bool same = strcmp((*out)->data.sha256, run->dataset_sha256) == 0;
    if (same && strcmp((*out)->view.sha256, run->view_sha256) == 0) return TX_OK;
    tx_setting_close(*out);
    *out = NULL;
    return same ? tx_fail(TX_EDATA, "the view '%s' gives other rows than in the runs", run->view)
                : tx_fail(TX_EDATA, "the data set '%s' is not the one of the runs any more", run->dataset);
}

static const tx_run_info *first_run(const tx_board_block *b)
{
    for (int i = 0; i < b->n_run; i++)
        if (tx_run_complete(&b->run[i])) return &b->run[i];
    return NULL;
}

static const tx_view_ops *view_of(const char *name)
{
    for (int i = 0; tx_view_list[i]; i++)
        if (strcmp(tx_view_list[i]->name, name) == 0) return tx_view_list[i];
    return NULL;
}

/* Rows of a split in the data's unit. */
static real *set_rows(const tx_setting *set, tx_split s, size_t from, size_t n)
{
    const tx_view *v = &set->view;
    real *y = tx_alloc(n * v->space.dim, sizeof *y);
    tx_view_range(v, s, from, n, y, NULL);
    real *x = tx_samples_in_data_unit(v, n, y);
    free(y);
    return x;
}

/* Of the test split: from the data set, or those 64 that every run keeps, where they are in the data's unit. */
static real *test_rows(const album *a, size_t *n)
{
    if (a->set) {
        size_t all = a->set->data.split[TX_TEST].n;
        if (*n > all) *n = all;
        return set_rows(a->set, TX_TEST, 0, *n);
    }
    const tx_view_ops *ops = view_of(a->v->block->view);
    tx_h5 *f = ops && !ops->invert ? tx_report_open(a->r, first_run(a->v->block)) : NULL;
    bool bytes = strcmp(a->v->block->measure, tx_measure_name(TX_COUNTING)) == 0;
    tx_shape shape = {0};
    void *stored = f && tx_h5_has(f, "/data/test/x")
                       ? tx_h5_get(f, "/data/test/x", bytes ? TX_H5_U8 : TX_H5_REAL, &shape)
                       : NULL;
    tx_report_close(a->r, f);
    if (!stored || shape.rank != 2 || shape.dim[1] != a->dim) {
        free(stored);
        return NULL;
    }
    if (*n > shape.dim[0]) *n = shape.dim[0];
    real *x = tx_alloc(*n * a->dim, sizeof *x);
    for (size_t i = 0; i < *n * a->dim; i++) x[i] = bytes ? (real)((uint8_t *)stored)[i] : ((real *)stored)[i];
    free(stored);
    return x;
}

/* Rows x[n,dim] as grey levels or colours, large pictures made smaller by means over squares. */
static uint8_t *levels_of(const album *a, size_t n, const real x[])
{
    size_t h = a->height / a->cut, w = a->width / a->cut, c = a->channel;
    uint8_t *level = tx_alloc(n * h * w * c, 1), *to = level;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < h * w * c; k++) {
            double sum = 0;
            for (size_t q = 0; q < a->cut * a->cut; q++) {
                size_t row = k / c / w * a->cut + q / a->cut, column = k / c % w * a->cut + q % a->cut;
                sum += (double)x[i * a->dim + (row * a->width + column) * c + k % c];
            }
            double p = sum / (double)(a->cut * a->cut) / a->top;
            *to++ = (uint8_t)(p > 0 ? lround(255 * fmin(p, 1)) : 0);
        }
    return level;
}

/* An <img>, its share of the chapter's bytes taken off; `scale` enlarges it on the page alone. */
static void put_png(album *a, const tx_png *p, size_t width, size_t height, const char *alt)
{
    size_t bytes = p->n / 3 * 4;
    a->v->picture_bytes -= bytes < a->v->picture_bytes ? bytes : a->v->picture_bytes;
    tx_text_add(&a->r->out, "<img width=\"%zu\" height=\"%zu\" alt=\"", width, height);
    tx_html_text(&a->r->out, alt);
    tx_text_add(&a->r->out, "\" src=\"");
    tx_html_data(&a->r->out, "image/png", p->data, p->n);
    tx_text_add(&a->r->out, "\">\n");
}

static void put_grid(album *a, size_t n, const real x[], size_t columns, const char *alt)
{
    size_t h = a->height / a->cut, w = a->width / a->cut;
    uint8_t *level = levels_of(a, n, x);
    tx_png p;
    if (columns > n) columns = n;
    if (tx_png_grid_make(&p, a->name, level, n, h, w, a->channel, columns, 1) == TX_OK) {
        put_png(a, &p, columns * (w + 1) - 1, (n + columns - 1) / columns * (h + 1) - 1, alt);
        free(p.data);
    } else {
        tx_report_note(a->r, "%s", tx_last_error());
    }
    free(level);
}

static void put_dots(album *a, size_t n, const real x[], const char *alt)
{
    tx_png p;
    if (tx_png_points_make(&p, a->name, x, n < DOTS ? n : DOTS, a->lo, a->hi, DOTS_SIDE) != TX_OK) {
        tx_report_note(a->r, "%s", tx_last_error());
        return;
    }
    put_png(a, &p, DOTS_SIDE, DOTS_SIDE, alt);
    free(p.data);
}

static void open_figure(album *a) { tx_text_add(&a->r->out, "<figure class=\"pixels\">\n"); }

static void close_figure(album *a, const char *caption)
{
    tx_text_add(&a->r->out, "<figcaption>");
    tx_html_text(&a->r->out, caption);
    tx_text_add(&a->r->out, "</figcaption></figure>\n");
}

/* What is drawn of n rows: a grid, or dots. */
static void put_rows(album *a, size_t n, const real x[], const char *what)
{
    char alt[2 * TX_TEXT_MAX];
    if (a->height)
        snprintf(alt, sizeof alt, "%zu pictures of %zu by %zu pixels in rows of %zu: %s", n, a->width, a->height,
                 n < COLUMNS ? n : (size_t)COLUMNS, what);
    else
        snprintf(alt, sizeof alt, "%zu points in the plane, both axes from %.3g to %.3g: %s",
                 n < DOTS ? n : (size_t)DOTS, a->lo, a->hi, what);
    if (a->height)
        put_grid(a, n, x, COLUMNS, alt);
    else
        put_dots(a, n, x, alt);
}

static void put_real(album *a, size_t n)
{
    char what[4 * TX_NAME_MAX];
    real *x = test_rows(a, &n);
    if (!x) {
        tx_report_note(a->r, "%s: real rows are not shown: without the data set they are not there in its unit.",
                       a->name);
        return;
    }
    snprintf(what, sizeof what, "the first %zu rows of the test split of %s", n, a->name);
    open_figure(a);
    put_rows(a, n, x, what);
    close_figure(a, "real data, test split");
    free(x);
}

static void put_samples(album *a, const tx_run_info *run, size_t n)
{
    samples s;
    char what[4 * TX_NAME_MAX], caption[4 * TX_NAME_MAX];
    if (!read_samples(a->r, run, &s)) return;
    if (s.dim == a->dim) {
        if (n > s.n) n = s.n;
        snprintf(what, sizeof what, "samples of %s, seed %d", run->label, run->seed);
        snprintf(caption, sizeof caption, "%s, seed %d%s", run->label, run->seed,
                 s.mean && a->height ? ": samples; below, their means" : "");
        open_figure(a);
        put_rows(a, n, s.x, what);
        snprintf(what, sizeof what, "expected values of the same samples of %s", run->label);
        if (s.mean && a->height) put_rows(a, n, s.mean, what);
        close_figure(a, caption);
    }
    free_samples(&s);
}

/* Samples of all models and the nearest training rows of each. */
typedef struct neighbours {
    size_t n, per; /* n rows in all, `per` of each model */
    real *x;       /* [n,dim] */
    const tx_run_info **run;
    double *square;
    uint32_t *which;
} neighbours;

/* |x - t|^2 = |x|^2 - 2 x.t + |t|^2 loses digits where rows are far from 0: everything is centred first. */
static void search(const album *a, neighbours *q)
{
    size_t all = a->set->data.split[TX_TRAIN].n, dim = a->dim;
    double *centre = tx_alloc(dim, sizeof *centre), *x_square = tx_alloc(q->n, sizeof *x_square);
    double *t_square = tx_alloc(CHUNK, sizeof *t_square);
    real *x = tx_alloc(q->n * dim, sizeof *x), *d = tx_alloc(q->n * CHUNK, sizeof *d);
    tx_rows_mean(q->n, dim, q->x, centre);
    memcpy(x, q->x, q->n * dim * sizeof *x);
    tx_rows_centre(q->n, dim, centre, x, x_square);
    for (size_t i = 0; i < q->n; i++) q->square[i] = INFINITY;
    for (size_t from = 0; from < all; from += CHUNK) {
        size_t m = all - from < CHUNK ? all - from : CHUNK;
        real *t = set_rows(a->set, TX_TRAIN, from, m);
        tx_rows_centre(m, dim, centre, t, t_square);
        tx_rows_distance(q->n, m, dim, x, x_square, t, t_square, d);
        for (size_t i = 0; i < q->n * m; i++)
            if ((double)d[i] < q->square[i / m])
                q->square[i / m] = (double)d[i], q->which[i / m] = (uint32_t)(from + i % m);
        free(t);
    }
    free(centre), free(x_square), free(t_square), free(x), free(d);
}

static bool all_finite(size_t n, const real x[])
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* Test rows first, as what is to be expected of rows that were not copied; then each model's first samples. */
static neighbours gather_rows(album *a, size_t per)
{
    size_t n_test = per < a->fewest ? per : a->fewest;
    real *test = test_rows(a, &n_test);
    per = n_test;
    size_t room = ((size_t)a->rows + 1) * per;
    neighbours q = {
        .per = per, .x = tx_alloc(room * a->dim, sizeof *q.x), .run = tx_alloc((size_t)a->rows + 1, sizeof *q.run)};
    memcpy(q.x, test, per * a->dim * sizeof *q.x);
    q.n = per;
    free(test);
    for (int i = 0; i < a->rows; i++) {
        samples s;
        const tx_run_info *run = tx_report_run(&a->v->main->row[i]);
        if (!read_samples(a->r, run, &s)) continue;
        if (s.dim == a->dim && all_finite(per * a->dim, s.x)) {
            q.run[q.n / per] = run;
            memcpy(q.x + q.n * a->dim, s.x, per * a->dim * sizeof *q.x);
            q.n += per;
        } else {
            tx_report_note(a->r, "%s: samples of %s are not finite: their nearest training rows are left out.", a->name,
                           run->label);
        }
        free_samples(&s);
    }
    q.square = tx_alloc(q.n, sizeof *q.square);
    q.which = tx_alloc(q.n, sizeof *q.which);
    return q;
}

/* Above the rows, below what is nearest to each. */
static void put_pairs(album *a, const neighbours *q, size_t k)
{
    tx_text caption = {0}, alt = {0};
    const tx_run_info *run = q->run[k];
    real *x = tx_alloc(2 * q->per * a->dim, sizeof *x);
    double sum = 0, *distance = tx_alloc(q->per, sizeof *distance);
    memcpy(x, q->x + k * q->per * a->dim, q->per * a->dim * sizeof *x);
    if (run)
        tx_text_add(&caption, "%s, seed %d: distances", run->label, run->seed);
    else
        tx_text_add(&caption, "test rows, for comparison: distances");
    for (size_t i = 0; i < q->per; i++) {
        real *t = set_rows(a->set, TX_TRAIN, q->which[k * q->per + i], 1);
        memcpy(x + (q->per + i) * a->dim, t, a->dim * sizeof *x);
        for (size_t j = 0; j < a->dim; j++) distance[i] += pow((double)x[i * a->dim + j] - (double)t[j], 2);
        free(t);
        distance[i] = sqrt(distance[i]); /* that of a copy is 0, which the search's need not be */
        tx_text_add(&caption, "%s %.3g", i ? "," : "", distance[i]);
        sum += distance[i];
    }
    free(distance);
    tx_text_add(&caption, "; mean %.3g", sum / (double)q->per);
    tx_text_add(&alt, "Above %zu %s%s, below each the training row nearest to it, at a distance of %.3g on average",
                q->per, run ? "samples of " : "test rows", run ? run->label : "", sum / (double)q->per);
    open_figure(a);
    put_grid(a, 2 * q->per, x, q->per, alt.s);
    close_figure(a, caption.s);
    tx_text_free(&caption), tx_text_free(&alt);
    free(x);
}

/* Bytes on the page of one row of x, found from the first few. */
static double bytes_of(const album *a, size_t n, const real x[])
{
    size_t h = a->height / a->cut, w = a->width / a->cut;
    tx_png p;
    if (n > COLUMNS) n = COLUMNS;
    uint8_t *level = levels_of(a, n, x);
    bool good = n && tx_png_grid_make(&p, a->name, level, n, h, w, a->channel, n, 1) == TX_OK;
    double bytes = good ? 4.0 / 3 * (double)p.n / (double)n : 0;
    if (good) free(p.data);
    free(level);
    return bytes;
}

/* What one more picture of every model takes, with their means and the real row; and one more pair of every model. */
static void weigh(album *a)
{
    size_t n = COLUMNS;
    real *test = test_rows(a, &n);
    double real_row = test ? bytes_of(a, n, test) : 0;
    free(test);
    a->fewest = MOST;
    a->strip = real_row;
    a->pair = 2 * real_row;
    for (int i = 0; i < a->rows; i++) {
        samples s;
        if (!read_samples(a->r, tx_report_run(&a->v->main->row[i]), &s)) continue;
        if (s.n < a->fewest) a->fewest = s.n;
        if (s.dim == a->dim) {
            double drawn = bytes_of(a, s.n, s.x);
            a->strip += drawn + (s.mean ? bytes_of(a, s.n, s.mean) : 0);
            a->pair += drawn + real_row;
        }
        free_samples(&s);
    }
}

/* How many a share of bytes has room for: as many as wanted, else full rows of ten, at least one. */
static size_t fitting(size_t share, double bytes, size_t most)
{
    double room = bytes > 0 ? floor((double)share / bytes) : (double)most;
    size_t n = room < (double)most ? (size_t)room : most;
    return n > COLUMNS ? n / COLUMNS * COLUMNS : n ? n : 1;
}

static void put_nearest(album *a, size_t share)
{
    tx_report_heading(a->r, 3, NULL, "Nearest training rows");
    if (!a->set) {
        tx_text_add(&a->r->out,
                    "<p>They need the data set, which is not there: see <a href=\"#about\">below</a>.</p>\n");
        return;
    }
    neighbours q = gather_rows(a, fitting(share, a->pair, PAIRS));
    tx_text_add(&a->r->out,
                "<p>Does a model copy? Above its first samples, below each the nearest of all training rows, by the "
                "Euclidean distance in the data's unit");
    tx_html_add(&a->r->out, " (%s). ", a->top > 1 ? "levels" : a->height ? "pixels from 0 to 1" : "as stored");
    tx_text_add(&a->r->out,
                "Samples that are much nearer than test rows are would be copies.</p>\n<div class=\"grid\">\n");
    search(a, &q);
    for (size_t k = 0; k * q.per < q.n; k++) put_pairs(a, &q, k);
    tx_text_add(&a->r->out, "</div>\n");
    free(q.x), free(q.run), free(q.square), free(q.which);
}

static void widen(album *a, size_t n, const real x[])
{
    for (size_t i = 0; i < 2 * n; i++)
        if (isfinite(x[i])) a->lo = fmin(a->lo, (double)x[i]), a->hi = fmax(a->hi, (double)x[i]);
}

/* The frame of all dots: that of the test rows, or of all samples where there are none, a tenth wider on each side. */
static void frame_dots(album *a)
{
    size_t n = DOTS;
    real *x = test_rows(a, &n);
    a->lo = INFINITY, a->hi = -INFINITY;
    if (x) widen(a, n, x);
    for (int i = 0; !x && i < a->rows; i++) {
        samples s;
        if (!read_samples(a->r, tx_report_run(&a->v->main->row[i]), &s)) continue;
        if (s.dim == a->dim) widen(a, s.n < DOTS ? s.n : DOTS, s.x);
        free_samples(&s);
    }
    if (!(a->lo <= a->hi)) a->lo = 0, a->hi = 0;
    double margin = a->hi > a->lo ? 0.1 * (a->hi - a->lo) : 1;
    a->lo -= margin, a->hi += margin;
    free(x);
}

/* What the rows are, told by the first run that has samples; false: nothing that can be drawn. */
static bool look_at_rows(album *a)
{
    bool plane = false, any = false;
    for (int i = 0; i < a->v->main->n_row && !any; i++) {
        samples s;
        const tx_run_info *run = tx_report_run(&a->v->main->row[i]);
        if (!read_samples(a->r, run, &s)) continue;
        any = true;
        a->dim = s.dim;
        if (s.rank) a->height = s.size[0], a->width = s.size[1], a->channel = s.rank > 2 ? s.size[2] : 1;
        plane = s.dim == 2 && strcmp(a->v->block->measure, tx_measure_name(TX_LEBESGUE)) == 0;
        tx_h5 *f = tx_report_open(a->r, run);
        bool raw = strcmp(a->v->block->view, "raw") == 0 &&
                   strcmp(a->v->block->measure, tx_measure_name(TX_COUNTING)) == 0;
        int levels = f && raw ? tx_h5_get_i32(f, "/", "levels") : 2;
        a->top = levels > 2 ? levels - 1 : 1;
        tx_report_close(a->r, f);
        free_samples(&s);
    }
    if (a->height && a->channel != 1 && a->channel != 3) a->height = 0, any = plane = false;
    size_t side = a->height > a->width ? a->height : a->width;
    a->cut = side > SIDE ? (side + SIDE - 1) / SIDE : 1;
    if (a->height < a->cut || a->width < a->cut) a->height = 0;
    return any && (a->height || plane);
}

static void put_all(album *a)
{
    size_t share = a->v->picture_bytes, n; /* a quarter is for the pairs */
    if (a->height) weigh(a);
    n = fitting(share / 4 * 3, a->strip, MOST);
    if (!a->height) {
        n = DOTS;
        frame_dots(a);
    } else if (n < MOST) {
        tx_report_note(a->r, "%s: %zu pictures of each model, not %d: the page would be too large.", a->name, n, MOST);
    }
    tx_report_heading(a->r, 3, NULL, "Samples");
    tx_text_add(
        &a->r->out,
        "<p>The first samples of each model's first seed, as they came: none is chosen.%s</p>\n<div class=\"grid\">\n",
        a->cut > 1 ? " Pictures are shown smaller than they are." : "");
    put_real(a, n);
    for (int i = 0; i < a->rows; i++) {
        if (!a->height && !a->v->picture_bytes) {
            tx_report_note(a->r, "%s: samples of the first %d models only: the page would be too large.", a->name, i);
            break;
        }
        put_samples(a, tx_report_run(&a->v->main->row[i]), n);
    }
    tx_text_add(&a->r->out, "</div>\n");
    if (a->height) put_nearest(a, share / 4);
}

void tx_report_pictures(tx_report *r, tx_report_view *v)
{
    album a = {.r = r, .v = v, .rows = tx_report_rows(v->main), .top = 1, .channel = 1};
    tx_report_view_name(v, a.name);
    if (v->main->n_row > a.rows)
        tx_report_note(r, "%s: figures are of the first %d of %d models of the table.", a.name, a.rows, v->main->n_row);
    if (!look_at_rows(&a)) {
        tx_report_note(r, "%s: its samples are no pictures, nor points of a plane: they are not drawn.", a.name);
        return;
    }
    const tx_run_info *run = first_run(v->block);
    if (open_data(r, run, &a.set) != TX_OK)
        tx_report_note(r, "%s: nearest training rows are missing: %s", a.name, tx_last_error());
    put_all(&a);
    tx_setting_close(a.set);
}
