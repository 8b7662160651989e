#include "common/store/values.h"

#include <stdlib.h>
#include <string.h>

/** What may lie in memory: a comparison of some hundred runs reads each file once. */
static const size_t limit = (size_t)256 << 20;

/** All values of one file. */
typedef struct shelf {
    const tx_run_source *file;
    double **value; /* [file->n_estimate] */
    size_t bytes, used;
} shelf;

struct tx_values {
    int n;
    shelf *shelf; /* [n] */
    size_t bytes, clock;
};

tx_values *tx_values_new(void) { return tx_alloc(1, sizeof(tx_values)); }

static void drop(tx_values *v, int i)
{
    for (int k = 0; k < v->shelf[i].file->n_estimate; k++) free(v->shelf[i].value[k]);
    free(v->shelf[i].value);
    v->bytes -= v->shelf[i].bytes;
    v->shelf[i] = v->shelf[--v->n];
}

void tx_values_free(tx_values *v)
{
    while (v->n) drop(v, 0);
    free(v->shelf);
    free(v);
}

static int oldest(const tx_values *v)
{
    int k = 0;
    for (int i = 1; i < v->n; i++)
        if (v->shelf[i].used < v->shelf[k].used) k = i;
    return k;
}

static tx_status fetch(tx_values *v, const tx_run_info *r, const tx_run_source *file, int first)
{
    shelf s = {.file = file, .value = tx_alloc((size_t)file->n_estimate, sizeof *s.value)};
    tx_status status = tx_run_read_values(r, file, s.value);
    if (status) {
        free(s.value);
        return status;
    }
    for (int i = 0; i < file->n_estimate; i++) s.bytes += r->estimate[first + i].n * sizeof(double);
    while (v->n && v->bytes + s.bytes > limit) drop(v, oldest(v));
    v->shelf = tx_grow(v->shelf, (size_t)v->n, sizeof *v->shelf);
    v->shelf[v->n++] = s;
    v->bytes += s.bytes;
    return TX_OK;
}

bool tx_values_has(const tx_run_info *r, const tx_estimate *e) { return e->log_likelihood || tx_run_source_of(r, e); }

tx_status tx_values_get(tx_values *v, const tx_run_info *r, const tx_estimate *e, double *to)
{
    const double *from = e->log_likelihood;
    if (!from) {
        const tx_run_source *file = tx_run_source_of(r, e);
        int first = 0, at = 0;
        for (const tx_run_source *f = r->file; f < file; f++) first += f->n_estimate;
        while (at < v->n && v->shelf[at].file != file) at++;
        if (at == v->n) {
            TX_TRY(fetch(v, r, file, first));
            at = v->n - 1;
        }
        v->shelf[at].used = ++v->clock;
        from = v->shelf[at].value[e - r->estimate - first];
    }
    memcpy(to, from, e->n * sizeof *to);
    return TX_OK;
}
