#include "common/likelihood/pass.h"
#include <math.h>
#include <stdlib.h>
#include "common/tensor/parallel.h"

enum { ROWS = 200 };

size_t tx_rows_asked(const tx_view *v, tx_split s, size_t n)
{
    size_t all = v->data->split[s].n;
    return n == 0 || n > all ? all : n;
}

void tx_note_jacobian(json_t *settings, double sum, size_t n)
{
    if (sum != 0) json_object_set_new(settings, "mean_log_jacobian", json_real(sum / (double)n));
}

tx_status tx_score_rows(tx_model *m, const tx_view *v, tx_split s, size_t n, tx_score score, tx_rng r,
                        void (*progress)(void *ctx, double share), void *ctx, double value[], json_t *settings)
{
    size_t dim = v->space.dim;
    tx_tape *tape = tx_tape_new(1 << 20);
    real *x = tx_alloc(ROWS * dim, sizeof *x);
    double *jacobian = tx_alloc(ROWS, sizeof *jacobian);
    double sum = 0;
    tx_status status = TX_OK;
    for (size_t i = 0; i < n && status == TX_OK; i += ROWS) {
        size_t rows = n - i < ROWS ? n - i : ROWS;
        tx_view_range(v, s, i, rows, x, jacobian);
        tx_model_evaluate(m, tape, score, r, i, tx_matrix(x, rows, dim), value + i);
        for (size_t j = 0; j < rows && status == TX_OK; j++) {
            value[i + j] += jacobian[j];
            sum += jacobian[j];
            if (!isfinite(value[i + j]))
                status = tx_fail(TX_EDIVERGED, "the log-likelihood of %s row %zu is %g", tx_split_name(s), i + j,
                                 value[i + j]);
        }
        if (progress) progress(ctx, (double)(i + rows) / (double)n);
    }
    tx_note_jacobian(settings, sum, n);
    tx_tape_free(tape), free(x), free(jacobian);
    return status;
}

struct tx_workers {
    int n;
    tx_worker each[];
};

tx_workers *tx_workers_new(tx_model *m)
{
    int n = tx_threads();
    tx_workers *w = tx_alloc(1, sizeof *w + (size_t)n * sizeof w->each[0]);
    w->n = n;
    for (int i = 0; i < n; i++) w->each[i] = (tx_worker){i == 0 ? m : tx_model_share(m), tx_tape_new(1 << 20)};
    return w;
}

void tx_workers_free(tx_workers *w)
{
    for (int i = 0; i < w->n; i++) {
        tx_tape_free(w->each[i].tape);
        if (i > 0) tx_model_free(w->each[i].m);
    }
    free(w);
}

tx_worker tx_worker_here(const tx_workers *w) { return w->each[tx_thread()]; }

double tx_log_grid(double low, double high, int n, int i)
{
    return i == 0 ? low : i == n - 1 ? high : low * pow(high / low, (double)i / (n - 1));
}

static tx_status check_rows(const tx_estimate *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (!isfinite(e->log_likelihood[i]))
            return tx_fail(TX_EDIVERGED, "%s: the log-likelihood of %s row %zu is %g", e->name, tx_split_name(e->split),
                           i, e->log_likelihood[i]);
    return TX_OK;
}

tx_status tx_estimate_end(tx_status status, tx_estimate *e, const tx_view *v, double start, tx_estimate *out)
{
    if (status == TX_OK) status = check_rows(e);
    if (status != TX_OK) {
        tx_estimate_free(e);
        return status;
    }
    tx_estimate_summarise(e, v);
    e->seconds = tx_now() - start;
    *out = *e;
    return TX_OK;
}
