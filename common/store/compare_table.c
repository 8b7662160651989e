#include "common/store/compare_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/store/compare_file.h"
#include "common/store/variants.h"

static int by_place(const void *x, const void *y)
{
    const tx_run_info *a = *(const tx_run_info *const *)x, *b = *(const tx_run_info *const *)y;
    int order = strcmp(a->dataset, b->dataset);
    if (!order) order = strcmp(a->view, b->view);
    if (!order) order = strcmp(a->label, b->label);
    if (!order) order = (a->seed > b->seed) - (a->seed < b->seed);
    return order ? order : strcmp(a->path, b->path);
}

const tx_run_info **tx_runs_sorted(int n, const tx_run_info run[])
{
    const tx_run_info **p = tx_alloc((size_t)n, sizeof *p);
    for (int i = 0; i < n; i++) p[i] = &run[i];
    qsort(p, (size_t)n, sizeof *p, by_place);
    return p;
}

int tx_block_label(const tx_block *b, const tx_run_info *r)
{
    int first = 0, end = b->n_label; /* labels are sorted, as the runs are */
    while (first < end) {
        int middle = first + (end - first) / 2, order = strcmp(b->label[middle], r->label);
        if (order == 0) return middle;
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return -1;
}

static int seed_index(const tx_block *b, int seed)
{
    for (int i = 0; i < b->n_seed; i++)
        if (b->seed[i] == seed) return i;
    return -1;
}

static int by_value(const void *x, const void *y)
{
    int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    return (a > b) - (a < b);
}

static void choose(tx_block *b)
{
    tx_choice *choice = tx_alloc((size_t)b->n, sizeof *choice);
    tx_choose_variants(b->n, b->run, choice);
    for (int i = 0; i < b->n; i++) b->chosen[tx_block_label(b, b->run[i])] = choice[i].chosen;
    free(choice);
}

tx_status tx_block_new(tx_block *b, const tx_run_info **run, int n)
{
    *b = (tx_block){.run = run};
    while (b->n < n && strcmp(run[b->n]->dataset, run[0]->dataset) == 0 && strcmp(run[b->n]->view, run[0]->view) == 0)
        b->n++;
    for (int i = 1; i < b->n; i++)
        if (strcmp(run[i]->view_sha256, run[0]->view_sha256) != 0)
            return tx_fail(TX_EDATA, "%s and %s were scored on different rows of %s %s: not comparable, remove one",
                           run[0]->path, run[i]->path, run[0]->dataset, run[0]->view);
    b->label = tx_alloc((size_t)b->n, sizeof *b->label);
    b->seed = tx_alloc((size_t)b->n, sizeof *b->seed);
    for (int i = 0; i < b->n; i++) {
        if (tx_block_label(b, run[i]) < 0) b->label[b->n_label++] = run[i]->label;
        if (seed_index(b, run[i]->seed) < 0) b->seed[b->n_seed++] = run[i]->seed;
    }
    qsort(b->seed, (size_t)b->n_seed, sizeof *b->seed, by_value);
    b->at = tx_alloc((size_t)b->n_label * (size_t)b->n_seed, sizeof *b->at);
    for (int i = 0; i < b->n; i++) b->at[tx_block_label(b, run[i]) * b->n_seed + seed_index(b, run[i]->seed)] = run[i];
    b->chosen = tx_alloc((size_t)b->n_label, 1);
    choose(b);
    return TX_OK;
}

void tx_block_free(tx_block *b)
{
    free(b->label);
    free(b->seed);
    free(b->at);
    free(b->chosen);
}

tx_status tx_compare_write(const char *h5_path, const char *csv_path, int n, const tx_run_info run[],
                           tx_run_cache *cache)
{
    const tx_run_info **sorted = tx_runs_sorted(n, run);
    tx_block *block = tx_alloc((size_t)n, sizeof *block);
    int n_block = 0;
    tx_status s = TX_OK;
    for (int i = 0; s == TX_OK && i < n; i += block[n_block++].n) s = tx_block_new(&block[n_block], sorted + i, n - i);
    if (s == TX_OK) s = tx_compare_h5(h5_path, n_block, block, cache);
    if (s == TX_OK) s = tx_compare_csv(csv_path, n_block, block);
    for (int i = 0; i < n_block; i++) tx_block_free(&block[i]);
    free(block);
    free(sorted);
    return s;
}
