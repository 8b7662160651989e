#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/commit.h"
#include "common/store/compare_table.h"

static const char header[] =
    "dataset,view,measure,split,label,group,chosen,model,taxonomy_path,seed,name,estimator,evaluated_model,"
    "kind,stochastic,quantity,value,error,unit\n";

typedef struct csv {
    FILE *out;
    const tx_run_info *run;
    bool chosen;
} csv;

/** A field and the comma after it; quoted where it must be. */
static void put_text(csv *c, const char *text)
{
    if (!strpbrk(text, ",\"\n\r")) {
        fprintf(c->out, "%s,", text);
        return;
    }
    fputc('"', c->out);
    for (const char *p = text; *p; p++) fprintf(c->out, *p == '"' ? "\"\"" : "%c", *p);
    fputs("\",", c->out);
}

/** NaN is an empty field. */
static void put_value(csv *c, double v)
{
    if (!isnan(v)) fprintf(c->out, "%.17g", v);
    fputc(',', c->out);
}

/** One number of a run; `e` is NULL where it is not about a likelihood; `kind` is the number's own. */
static void put_kind(csv *c, const tx_estimate *e, tx_kind kind, const char *quantity, double value, double error,
                     const char *unit)
{
    const tx_run_info *r = c->run;
    char number[32];
    put_text(c, r->dataset);
    put_text(c, r->view);
    put_text(c, e ? tx_measure_name(e->measure) : r->measure);
    put_text(c, e ? tx_split_name(e->split) : "");
    put_text(c, r->label);
    put_text(c, r->group);
    put_text(c, c->chosen ? "1" : "0");
    put_text(c, r->model);
    put_text(c, r->taxonomy_path);
    snprintf(number, sizeof number, "%d", r->seed);
    put_text(c, number);
    put_text(c, e ? e->name : "");
    put_text(c, e ? e->estimator : "");
    put_text(c, e ? e->evaluated_model : "");
    put_text(c, e ? tx_kind_name(kind) : "");
    put_text(c, e ? (e->stochastic ? "1" : "0") : "");
    put_text(c, quantity);
    put_value(c, value);
    put_value(c, error);
    fprintf(c->out, "%s\n", unit);
}

static void put_row(csv *c, const tx_estimate *e, const char *quantity, double value, double error, const char *unit)
{
    put_kind(c, e, e ? e->kind : TX_EXACT, quantity, value, error, unit);
}

static void put_estimate(csv *c, const tx_estimate *e)
{
    put_row(c, e, "mean_log_likelihood", e->mean, e->mean_error, "nat");
    put_row(c, e, "monte_carlo_error", e->mc_error, NAN, "nat");
    put_kind(c, e, e->bits_kind, "bits_per_dim", e->bits_per_dim, NAN, "bit/dim");
    put_row(c, e, "n_example", (double)e->n, NAN, "1");
    put_row(c, e, "model_evaluations", e->model_evaluations, NAN, "1");
    put_row(c, e, "gradient_evaluations", e->gradient_evaluations, NAN, "1");
    if (e->split != TX_SIMULATED) return;
    put_kind(c, e, TX_ESTIMATE, "gap_mean", tx_estimate_setting(e, "gap_mean"), tx_estimate_setting(e, "gap_error"),
             "nat");
    put_kind(c, e, TX_ESTIMATE, "gap_mc_error", tx_estimate_setting(e, "gap_mc_error"), NAN, "nat");
}

static void put_run(csv *c)
{
    const tx_run_info *r = c->run;
    put_row(c, NULL, "status", tx_run_complete(r) ? 0 : 1, NAN, "0=complete 1=diverged");
    put_row(c, NULL, "best_score", r->best_score, NAN, "nat");
    put_row(c, NULL, "best_epoch", r->best_epoch, NAN, "1");
    put_row(c, NULL, "epochs", r->epochs, NAN, "1");
    for (int i = 0; i < r->n_estimate; i++) {
        const tx_estimate *e = &r->estimate[i];
        if (tx_run_estimate(r, e->split, e->name) == e) put_estimate(c, e);
    }
    const tx_numbers *const part[] = {r->metrics, r->cost, r->timing};
    for (size_t k = 0; k < TX_LEN(part); k++)
        for (int i = 0; part[k] && i < part[k]->n; i++)
            put_row(c, NULL, part[k]->m[i].name, part[k]->m[i].value, part[k]->m[i].error, part[k]->m[i].unit);
}

tx_status tx_compare_csv(const char *path, int n_block, const tx_block block[])
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!out || !plain) {
        if (out) fclose(out);
        if (plain) freelocale(plain);
        free(text);
        return tx_fail(TX_ESYSTEM, "%s: no memory for a table", path);
    }
    locale_t before = uselocale(plain);
    fputs(header, out);
    for (int b = 0; b < n_block; b++)
        for (int i = 0; i < block[b].n; i++) {
            const tx_run_info *r = block[b].run[i];
            put_run(&(csv){out, r, block[b].chosen[tx_block_label(&block[b], r)] != 0});
        }
    uselocale(before);
    freelocale(plain);
    bool good = fclose(out) == 0;
    tx_status s = good ? tx_commit(path, text, bytes) : tx_fail(TX_ESYSTEM, "%s: no memory for a table", path);
    free(text);
    return s;
}
