#include "common/store/differ.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/h5.h"

enum { SHOWN = 40 }; /* bytes of a text */

/** What a file says, kept. */
typedef struct kept {
    int order;
    char *name; /* PATH or PATH@ATTRIBUTE, and a mark that tells an array from its values */
    tx_h5_item item;
    void *data;
} kept;

typedef struct collection {
    size_t n;
    kept *v;
} collection;

/** Causes before their effects. */
static int order_of(const char *path)
{
    static const char *const first[] = {"/config", "/data", "/train", "/", "/parameters", "/samples"};
    size_t k = 0;
    for (; k < TX_LEN(first); k++) {
        size_t n = strlen(first[k]);
        if (strncmp(path, first[k], n) == 0 && (!path[n] || (n > 1 && path[n] == '/'))) break;
    }
    return (int)k;
}

static void copy_values(const tx_h5_item *item, void *data)
{
    if (item->type != TX_H5_TEXT) {
        size_t size = tx_h5_type_size(item->type);
        memcpy((char *)data + item->first * size, item->data, item->count * size);
    }
    for (size_t i = 0; item->type == TX_H5_TEXT && i < item->count; i++) {
        const char *text = ((char *const *)item->data)[i];
        ((char **)data)[item->first + i] = tx_strdup(text ? text : "");
    }
}

/** Not what tells of a dimension: arrays of other sizes differ themselves. */
static void keep(void *ctx, const tx_h5_item *item)
{
    collection *c = ctx;
    bool of_dimension = item->attribute &&
                        (strcmp(item->attribute, "NAME") == 0 || strcmp(item->attribute, "CLASS") == 0);
    if (of_dimension || (item->has_value && !item->data)) return;
    if (item->first > 0) {
        copy_values(item, c->v[c->n - 1].data);
        return;
    }
    c->v = tx_grow(c->v, c->n, sizeof *c->v);
    tx_text name = {0};
    tx_text_add(&name, "%s%s%s", item->path, item->attribute ? "@" : "", item->attribute ? item->attribute : "");
    kept *k = &c->v[c->n++];
    *k = (kept){order_of(item->path), name.s, *item, NULL};
    if (item->data) copy_values(item, k->data = tx_alloc(item->n, tx_h5_type_size(item->type)));
}

static int by_order(const void *a, const void *b)
{
    const kept *x = a, *y = b;
    int name = strcmp(x->name, y->name);
    return x->order != y->order ? x->order - y->order : name ? name : (int)x->item.has_value - (int)y->item.has_value;
}

static tx_status collect(const char *path, const char *group, collection *c)
{
    tx_h5 *f;
    TX_TRY(tx_h5_open(&f, path, NULL));
    if (tx_h5_has(f, group)) tx_h5_walk(f, group, keep, c);
    if (c->n) qsort(c->v, c->n, sizeof *c->v, by_order);
    return tx_h5_close(f);
}

static void release(collection *c)
{
    for (size_t i = 0; i < c->n; i++) {
        char **text = c->v[i].item.type == TX_H5_TEXT ? c->v[i].data : NULL;
        for (size_t k = 0; text && k < c->v[i].item.n; k++) free(text[k]);
        free(c->v[i].data);
        free(c->v[i].name);
    }
    free(c->v);
}

static void add_form(tx_text *out, const tx_h5_item *item)
{
    tx_text_add(out, "%s", tx_h5_type_name(item->type));
    for (int i = 0; i < item->rank; i++) tx_text_add(out, "%s%zu", i ? "x" : " ", (size_t)item->dim[i]);
}

static bool same_form(const tx_h5_item *a, const tx_h5_item *b)
{
    bool same = a->type == b->type && a->rank == b->rank && !a->data == !b->data;
    for (int i = 0; same && i < a->rank; i++) same = a->dim[i] == b->dim[i];
    return same;
}

static double number(const kept *k, size_t i)
{
    switch (k->item.type) {
    case TX_H5_F64: return ((const double *)k->data)[i];
    case TX_H5_F32: return (double)((const float *)k->data)[i];
    case TX_H5_U8: return ((const uint8_t *)k->data)[i];
    default: return ((const int32_t *)k->data)[i];
    }
}

static bool same_value(const kept *a, const kept *b, size_t i)
{
    if (a->item.type == TX_H5_TEXT) return strcmp(((char **)a->data)[i], ((char **)b->data)[i]) == 0;
    size_t bytes = tx_h5_type_size(a->item.type);
    return memcmp((const char *)a->data + i * bytes, (const char *)b->data + i * bytes, bytes) == 0;
}

/** Around the first byte in which two texts differ. */
static void add_texts(tx_text *out, const char *a, const char *b)
{
    size_t at = 0;
    while (a[at] && a[at] == b[at]) at++;
    size_t from = at > SHOWN / 2 ? at - SHOWN / 2 : 0;
    const char *text[] = {a, b};
    for (int i = 0; i < 2; i++) {
        bool long_one = strlen(text[i] + from) > SHOWN;
        tx_text_add(out, "%s\"%s%.*s%s\"", i ? " and " : "", from ? "..." : "", SHOWN, text[i] + from,
                    long_one ? "..." : "");
    }
}

static void add_place(tx_text *out, const tx_h5_item *item, size_t i)
{
    size_t rest = item->n;
    for (int k = 0; k < item->rank; k++) {
        rest /= (size_t)item->dim[k];
        tx_text_add(out, "%s%zu", k ? "," : "[", i / rest % (size_t)item->dim[k]);
    }
    if (item->rank > 0) tx_text_add(out, "]");
}

/** Of two arrays of one form; false where they are equal. */
static bool add_values(tx_text *out, const kept *a, const kept *b)
{
    size_t n = 0, first = 0;
    double most = 0;
    for (size_t i = 0; a->data && i < a->item.n; i++) {
        if (same_value(a, b, i)) continue;
        if (n++ == 0) first = i;
        double by = a->item.type == TX_H5_TEXT ? 0 : fabs(number(a, i) - number(b, i));
        if (by > most || isnan(by)) most = by;
    }
    if (n == 0) return false;
    tx_text_add(out, "%s", a->name);
    add_place(out, &a->item, first);
    tx_text_add(out, ": ");
    int digits = a->item.type == TX_H5_F64 ? 17 : 9;
    if (a->item.type == TX_H5_TEXT)
        add_texts(out, ((char **)a->data)[first], ((char **)b->data)[first]);
    else
        tx_text_add(out, "%.*g and %.*g", digits, number(a, first), digits, number(b, first));
    if (a->item.n > 1) tx_text_add(out, "; %zu of %zu values differ", n, a->item.n);
    if (a->item.n > 1 && a->item.type != TX_H5_TEXT) tx_text_add(out, ", by at most %.3g", most);
    tx_text_add(out, "\n");
    return true;
}

static bool add_pair(tx_text *out, const kept *a, const kept *b)
{
    if (!a->item.has_value) return false;
    if (same_form(&a->item, &b->item)) return add_values(out, a, b);
    tx_text_add(out, "%s: ", a->name);
    add_form(out, &a->item);
    tx_text_add(out, " and ");
    add_form(out, &b->item);
    tx_text_add(out, "\n");
    return true;
}

tx_status tx_differ(const char *a, const char *b, const char *group, tx_text *out, int *n)
{
    collection x = {0}, y = {0};
    tx_status s = collect(a, group, &x);
    if (!s) s = collect(b, group, &y);
    *n = 0;
    for (size_t i = 0, k = 0; !s && (i < x.n || k < y.n);) {
        int side = i == x.n ? 1 : k == y.n ? -1 : by_order(&x.v[i], &y.v[k]);
        const kept *only = side < 0 ? &x.v[i] : &y.v[k];
        if (side == 0)
            *n += add_pair(out, &x.v[i], &y.v[k]);
        else if (!only->item.has_value || only->item.attribute) { /* an object's values go with it */
            tx_text_add(out, "%s: only in %s\n", only->name, side < 0 ? a : b);
            (*n)++;
        }
        i += side <= 0;
        k += side >= 0;
    }
    release(&x);
    release(&y);
    return s;
}
