#include "experiments/taxon/table_metrics.h"
#include "common/base/moments.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one sheet: model, some metrics, samples, seeds. */
enum { MODEL, FIRST, MOST = 6, SAMPLES = FIRST + MOST, SEEDS, COLUMNS };

/* One metric of one row: means over the seeds that have it. */
typedef struct quality {
    double value, error, real, real_error; /* error over seeds where there are several; of real rows over halves */
    int n_sample, n_seed;                  /* n_seed 0: the row does not have it */
} quality;

/* The mean over a row's seeds, its error over them (NAN: one seed), and that of the last one's own. */
static int mean_of(const tx_board_row *r, const char *name, double *value, double *over_seeds, double *own,
                   int *n_sample)
{
    tx_moments m = {0};
    for (int i = 0; i < r->n_run; i++) {
        int at = tx_run_complete(&r->run[i]) ? tx_numbers_find(r->run[i].metrics, name) : -1;
        if (at < 0) continue;
        tx_moments_add(&m, r->run[i].metrics->m[at].value);
        *own = r->run[i].metrics->m[at].error;
        *n_sample = r->run[i].metrics->m[at].n_sample;
    }
    *value = tx_moments_mean(&m);
    *over_seeds = m.n > 1 ? tx_moments_error(&m) : NAN;
    return (int)m.n;
}

/* Real rows are the same for all seeds: what their number would be with others is told by their halves alone. */
static quality quality_of(const tx_board_row *r, const char *name)
{
    quality q = {0};
    char real_name[TX_NAME_MAX + 8];
    double seeds, own = NAN;
    int n;
    snprintf(real_name, sizeof real_name, "%s_real", name);
    mean_of(r, real_name, &q.real, &seeds, &own, &n);
    q.real_error = own > 0 ? own : seeds;
    own = NAN;
    q.n_seed = mean_of(r, name, &q.value, &seeds, &own, &q.n_sample);
    q.error = q.n_seed > 1 ? seeds : own;
    return q;
}

double tx_metrics_value(const tx_board_row *r, const char *name, double *error)
{
    quality q = quality_of(r, name);
    *error = q.error;
    return q.n_seed ? q.value : NAN;
}

/* Names of metrics in the order of the runs, those of real rows left out; NULL-terminated, to be freed. */
static const char **names_of(const tx_board_block *b)
{
    const char **name = tx_alloc(1, sizeof *name);
    size_t n = 0;
    for (int i = 0; i < b->n_row; i++)
        for (int k = 0; k < b->row[i].n_run; k++) {
            const tx_numbers *m = b->row[i].run[k].metrics;
            for (int j = 0; m && j < m->n; j++) {
                size_t length = strlen(m->m[j].name), known = 0;
                bool of_real = length > 5 && strcmp(m->m[j].name + length - 5, "_real") == 0;
                while (known < n && strcmp(name[known], m->m[j].name) != 0) known++;
                if (known < n || of_real || !m->m[j].n_sample) continue;
                name = tx_realloc(name, n + 1, n + 2, sizeof *name);
                name[n++] = m->m[j].name;
            }
        }
    return name;
}

/* "1.2e-05", in a formula "1.2\cdot 10^{-5}". */
static void add_rounded(tx_text *t, const tx_format *f, int figures, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.*g", figures, value);
    char *e = *f->math ? strchr(text, 'e') : NULL;
    if (e) *e = 0;
    tx_text_add(t, "%s", text);
    if (e) tx_text_add(t, "\\cdot 10^{%d}", atoi(e + 1));
}

/* Metrics have no scale in common: two figures of the error however small it is, and powers of ten for the rest. */
static void put_number(tx_sheet *s, tx_sheet_line *l, int column, const tx_format *f, double value, double error)
{
    tx_text t = {0};
    if (!isfinite(value)) return;
    int d = error > 0 ? 1 - (int)floor(log10(error)) : 0, shown = d < 0 ? 0 : d;
    tx_text_add(&t, "%s", f->math);
    if (error > 0 && d <= 6 && fabs(value) < 1e6) {
        tx_text_add(&t, "%.*f %s %.*f", shown, value, f->plus_minus, shown, error);
    } else {
        add_rounded(&t, f, error > 0 ? 2 : 4, value);
        if (error > 0) tx_text_add(&t, " %s ", f->plus_minus), add_rounded(&t, f, 1, error);
    }
    tx_text_add(&t, "%s", f->math);
    tx_sheet_put(s, l, column, t.s);
    tx_text_free(&t);
}

/* Is it a setting rather than a result: without error, the same for all of several models, and nothing of real rows? */
static bool same_for_all(const tx_board_block *b, const char *name, double *value)
{
    int n = 0;
    for (int i = 0; i < b->n_row; i++) {
        quality q = quality_of(&b->row[i], name);
        if (q.n_seed == 0) continue;
        if (q.error > 0 || isfinite(q.real) || (n && fabs(q.value - *value) > 1e-9 * fabs(*value))) return false;
        *value = q.value;
        n++;
    }
    return n > 1;
}

/* May two metrics share a line's numbers of samples and seeds? */
static bool fit(const tx_board_block *b, const char *one, const char *other)
{
    for (int i = 0; i < b->n_row; i++) {
        quality p = quality_of(&b->row[i], one), q = quality_of(&b->row[i], other);
        if (p.n_seed && q.n_seed && (p.n_sample != q.n_sample || p.n_seed != q.n_seed)) return false;
    }
    return true;
}

static void put_row(tx_sheet *s, const tx_board_row *r, int n, const tx_column column[], const tx_format *f)
{
    tx_sheet_line *l = NULL;
    char buf[32];
    for (int k = FIRST; k < FIRST + n; k++) {
        quality q = quality_of(r, column[k].head);
        if (q.n_seed == 0) continue;
        if (!l) {
            l = tx_sheet_add(s);
            tx_sheet_put(s, l, MODEL, r->label);
            snprintf(buf, sizeof buf, "%d", q.n_sample);
            tx_sheet_put(s, l, SAMPLES, buf);
            snprintf(buf, sizeof buf, "%d", q.n_seed);
            tx_sheet_put(s, l, SEEDS, buf);
        }
        put_number(s, l, k, f, q.value, q.error);
    }
}

/* As the model has them that has the most seeds. */
static void put_real(tx_sheet *s, const tx_board_block *b, int n, const tx_column column[], const tx_format *f)
{
    tx_sheet_line *l = NULL;
    for (int k = FIRST; k < FIRST + n; k++) {
        quality best = {0};
        for (int i = 0; i < b->n_row; i++) {
            quality q = quality_of(&b->row[i], column[k].head);
            if (q.n_seed > best.n_seed && isfinite(q.real)) best = q;
        }
        if (!best.n_seed) continue;
        if (!l) {
            tx_sheet_add(s)->rule = true;
            l = tx_sheet_add(s);
            tx_sheet_put(s, l, MODEL, "real rows");
        }
        put_number(s, l, k, f, best.real, best.real_error);
    }
}

/* The next metrics as a sheet of models by metrics; returns the first name that is not in it. */
static const char **put_part(const tx_board_block *b, const char **name, const tx_format *f, tx_text *out)
{
    tx_column column[COLUMNS] = {[MODEL] = {"model", TX_ALIGN_LEFT},
                                 [SAMPLES] = {"samples", TX_ALIGN_RIGHT},
                                 [SEEDS] = {"seeds", TX_ALIGN_RIGHT}};
    tx_sheet s = {.n_column = COLUMNS, .column = column};
    tx_text head = {0};
    int n = 0;
    tx_text_add(&head, "%s, %s: sample quality", b->dataset, b->view);
    for (; *name; name++) {
        double value;
        if (same_for_all(b, *name, &value)) {
            tx_text_add(&head, "; %s %.4g", *name, value);
            continue;
        }
        if (n == MOST || (n && !fit(b, column[FIRST].head, *name))) break;
        column[FIRST + n++] = (tx_column){*name, TX_ALIGN_RIGHT};
    }
    for (int k = n; k < MOST; k++) column[FIRST + k] = (tx_column){"", TX_ALIGN_RIGHT};
    for (int i = 0; i < b->n_row; i++) put_row(&s, &b->row[i], n, column, f);
    put_real(&s, b, n, column, f);
    if (s.n) f->sheet(head.s, &s, out);
    tx_sheet_free(&s);
    tx_text_free(&head);
    return name;
}

bool tx_metrics_sheet(const tx_board_block *b, const tx_format *f, tx_text *out)
{
    const char **all = names_of(b), **name = all;
    while (*name) name = put_part(b, name, f, out);
    bool any = name > all;
    free(all);
    return any;
}

void tx_metrics_records(const tx_board_block *b, json_t *all)
{
    const char **name = names_of(b);
    for (int i = 0; name[i]; i++)
        for (int k = 0; k < b->n_row; k++) {
            quality q = quality_of(&b->row[k], name[i]);
            if (q.n_seed == 0) continue;
            json_t *j = json_pack("{ss, ss, ss, ss, ss, si, si}", "dataset", b->dataset, "view", b->view, "label",
                                  b->row[k].label, "model", b->row[k].model, "metric", name[i], "n_sample", q.n_sample,
                                  "n_seed", q.n_seed);
            const struct {
                const char *key;
                double value;
            } number[] = {{"value", q.value}, {"error", q.error}, {"real", q.real}, {"real_error", q.real_error}};
            for (size_t n = 0; n < TX_LEN(number); n++)
                json_object_set_new(j, number[n].key, tx_json_number(number[n].value));
            json_array_append_new(all, j);
        }
    free(name);
}
