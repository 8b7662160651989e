#include "experiments/taxon/table_metrics.h"
#include "common/base/moments.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METRIC, MODEL, VALUE, REAL, SAMPLES, SEEDS, COLUMNS };
static const tx_column columns[COLUMNS] = {{"metric", TX_ALIGN_LEFT},   {"model", TX_ALIGN_LEFT},
                                           {"value", TX_ALIGN_NUMBER},  {"of real rows", TX_ALIGN_NUMBER},
                                           {"samples", TX_ALIGN_RIGHT}, {"seeds", TX_ALIGN_RIGHT}};

/* One metric of one row: means over the seeds that have it. */
typedef struct quality {
    double value, error, real, real_error; /* error over seeds where there are several */
    int n_sample, n_seed;
} quality;

static void mean_of(const tx_board_row *r, const char *name, double *value, double *error, int *n_sample, int *n_seed)
{
    tx_moments m = {0};
    double own = NAN;
    for (int i = 0; i < r->n_run; i++) {
        int at = tx_run_complete(&r->run[i]) ? tx_numbers_find(r->run[i].metrics, name) : -1;
        if (at < 0) continue;
        tx_moments_add(&m, r->run[i].metrics->m[at].value);
        own = r->run[i].metrics->m[at].error;
        *n_sample = r->run[i].metrics->m[at].n_sample;
    }
    *n_seed = (int)m.n;
    *value = tx_moments_mean(&m);
    *error = m.n > 1 ? tx_moments_error(&m) : own;
}

static quality quality_of(const tx_board_row *r, const char *name)
{
    quality q;
    char real_name[TX_NAME_MAX + 8];
    int n, k;
    snprintf(real_name, sizeof real_name, "%s_real", name);
    mean_of(r, real_name, &q.real, &q.real_error, &n, &k);
    mean_of(r, name, &q.value, &q.error, &q.n_sample, &q.n_seed);
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

/* Metrics have no scale in common: two figures of the error however small it is. */
static int decimals(double error)
{
    int d = error > 0 ? 1 - (int)floor(log10(error)) : 0;
    return d < 0 ? 0 : d > 9 ? 9 : d;
}

static void put_number(tx_sheet *s, tx_sheet_line *l, int column, const tx_format *f, double value, double error)
{
    char text[TX_SHEET_CELL];
    int d = decimals(error);
    if (!isfinite(value)) return;
    if (error > 0)
        snprintf(text, sizeof text, "%s%.*f %s %.*f%s", f->math, d, value, f->plus_minus, d, error, f->math);
    else
        snprintf(text, sizeof text, "%s%.4g%s", f->math, value, f->math);
    tx_sheet_put(s, l, column, text);
}

static void put_metric(tx_sheet *s, const tx_board_block *b, const char *name, const tx_format *f)
{
    bool first = true;
    char buf[32];
    for (int i = 0; i < b->n_row; i++) {
        quality q = quality_of(&b->row[i], name);
        if (q.n_seed == 0) continue;
        tx_sheet_line *l = tx_sheet_add(s);
        tx_sheet_put(s, l, METRIC, first ? name : "");
        tx_sheet_put(s, l, MODEL, b->row[i].label);
        put_number(s, l, VALUE, f, q.value, q.error);
        put_number(s, l, REAL, f, q.real, q.real_error);
        snprintf(buf, sizeof buf, "%d", q.n_sample);
        tx_sheet_put(s, l, SAMPLES, buf);
        snprintf(buf, sizeof buf, "%d", q.n_seed);
        tx_sheet_put(s, l, SEEDS, buf);
        first = false;
    }
}

bool tx_metrics_sheet(const tx_board_block *b, const tx_format *f, tx_text *out)
{
    const char **name = names_of(b);
    tx_sheet s = {.n_column = COLUMNS, .column = columns};
    char head[4 * TX_NAME_MAX];
    for (int i = 0; name[i]; i++) {
        if (s.n) tx_sheet_add(&s)->rule = true;
        put_metric(&s, b, name[i], f);
    }
    bool any = s.n > 0;
    snprintf(head, sizeof head, "%s, %s: sample quality", b->dataset, b->view);
    if (any) f->sheet(head, &s, out);
    tx_sheet_free(&s);
    free(name);
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
