#include "common/base/options.h"
#include "common/base/text.h"
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES_MAX = 64, SHOWN = 80 };

/* Numbers have a point whatever the locale of the program that uses the library. */
static locale_t enter_c_locale(void)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) tx_no_memory("locale");
    return uselocale(c);
}

static void leave_c_locale(locale_t before) { freelocale(uselocale(before)); }

static bool in_range(const tx_option *o, double v)
{
    if (o->min == o->max) return isfinite(v);
    return v >= o->min && v <= o->max;
}

static const char *digits(const char *s) { return s + strspn(s, "0123456789"); }

static const char *after_sign(const char *s) { return s + (*s == '+' || *s == '-'); }

static bool is_integer(const char *s)
{
    s = after_sign(s);
    /* A leading zero means octal to some readers of YAML and nothing to others. */
    return *s && !*digits(s) && (s[0] != '0' || !s[1]);
}

static bool is_real(const char *s)
{
    s = after_sign(s);
    const char *end = digits(s);
    ptrdiff_t n = end - s;
    if (*end == '.') {
        s = end + 1;
        end = digits(s);
        n += end - s;
    }
    if (n == 0) return false;
    if (*end != 'e' && *end != 'E') return !*end;
    s = after_sign(end + 1);
    return *s && !*digits(s);
}

static bool to_infinity(const char *s, double *v)
{
    const char *name = after_sign(s);
    *v = *s == '-' ? -INFINITY : INFINITY;
    return strcmp(name, "inf") == 0 || strcmp(name, ".inf") == 0;
}

/* Conversions of a scalar to a member of a list or to a field of its own. */
typedef bool (*convert_fn)(const tx_option *o, const tx_yaml *y, void *out);

static bool to_int(const tx_option *o, const tx_yaml *y, void *out)
{
    if (y->kind != TX_YAML_SCALAR || y->quoted || !is_integer(y->text)) return false;
    errno = 0;
    long v = strtol(y->text, NULL, 10);
    if (errno || v < INT_MIN || v > INT_MAX || !in_range(o, (double)v)) return false;
    *(int *)out = (int)v;
    return true;
}

static bool to_real(const tx_option *o, const tx_yaml *y, void *out)
{
    double v = 0;
    if (y->kind != TX_YAML_SCALAR) return false;
    if (!to_infinity(y->text, &v)) {
        if (y->quoted || !is_real(y->text)) return false;
        locale_t before = enter_c_locale();
        v = strtod(y->text, NULL);
        leave_c_locale(before);
        if (isinf(v)) return false;
    }
    if (!in_range(o, v)) return false;
    *(double *)out = v;
    return true;
}

static bool to_bool(const tx_option *o, const tx_yaml *y, void *out)
{
    (void)o;
    if (y->kind != TX_YAML_SCALAR || y->quoted) return false;
    bool yes = strcmp(y->text, "true") == 0;
    if (!yes && strcmp(y->text, "false") != 0) return false;
    *(bool *)out = yes;
    return true;
}

/* The choices of `o`, NULL-terminated, cut out of `buf`. */
static void split_choices(const tx_option *o, char buf[TX_TEXT_MAX], const char *item[CHOICES_MAX])
{
    TX_REQUIRE(o->choices && tx_copy_text(buf, TX_TEXT_MAX, o->choices), "choices of option '%s'", o->name);
    int n = 0;
    for (char *s = buf; s; n++) {
        TX_REQUIRE(n + 1 < CHOICES_MAX, "option '%s' has more than %d choices", o->name, CHOICES_MAX - 1);
        item[n] = s;
        s = strchr(s, '|');
        if (s) *s++ = 0;
    }
    item[n] = NULL;
}

static bool to_choice(const tx_option *o, const tx_yaml *y, void *out)
{
    char buf[TX_TEXT_MAX];
    const char *item[CHOICES_MAX];
    split_choices(o, buf, item);
    for (int i = 0; y->kind == TX_YAML_SCALAR && item[i]; i++) {
        if (strcmp(item[i], y->text) != 0) continue;
        *(int *)out = i;
        return true;
    }
    return false;
}

static bool to_string(const tx_option *o, const tx_yaml *y, void *out)
{
    (void)o;
    return y->kind == TX_YAML_SCALAR && strlen(y->text) < TX_TEXT_MAX && tx_copy_text(out, TX_TEXT_MAX, y->text);
}

static json_t *sure(json_t *j)
{
    if (!j) tx_no_memory("jansson");
    return j;
}

static json_t *int_json(const tx_option *o, const void *field)
{
    (void)o;
    return sure(json_integer(*(const int *)field));
}

static json_t *real_json(const tx_option *o, const void *field)
{
    double v = *(const double *)field;
    TX_REQUIRE(!isnan(v), "option '%s' is not a number", o->name);
    return sure(isinf(v) ? json_string(v < 0 ? "-inf" : "inf") : json_real(v));
}

static json_t *bool_json(const tx_option *o, const void *field)
{
    (void)o;
    return json_boolean(*(const bool *)field);
}

static json_t *choice_json(const tx_option *o, const void *field)
{
    char buf[TX_TEXT_MAX];
    return sure(json_string(tx_option_choice(o, *(const int *)field, buf, sizeof buf)));
}

static json_t *string_json(const tx_option *o, const void *field)
{
    json_t *j = json_string(field);
    TX_REQUIRE(j, "option '%s' is not UTF-8: %s", o->name, (const char *)field);
    return j;
}

/* One row a type. A list is a count and TX_LIST_MAX members of `size` bytes that begin at `members`. */
static const struct {
    const char *noun;
    convert_fn convert;
    json_t *(*json)(const tx_option *o, const void *field);
    size_t members, size;
} types[] = {
    [TX_OPT_INT] = {"integer", to_int, int_json, 0, 0},
    [TX_OPT_REAL] = {"real number", to_real, real_json, 0, 0},
    [TX_OPT_BOOL] = {"true or false", to_bool, bool_json, 0, 0},
    [TX_OPT_CHOICE] = {"one of ", to_choice, choice_json, 0, 0},
    [TX_OPT_STRING] = {"text of at most 1023 bytes", to_string, string_json, 0, 0},
    [TX_OPT_INTS] = {"list of at most 64 integers", to_int, int_json, offsetof(tx_ints, v), sizeof(int)},
    [TX_OPT_REALS] = {"list of at most 64 real numbers", to_real, real_json, offsetof(tx_reals, v), sizeof(double)},
};
_Static_assert(TX_LIST_MAX == 64 && TX_TEXT_MAX == 1024, "the nouns above name these limits");

/* Set a field; NULL, or the node that cannot be its value. A field that fails stays as it was. */
static const tx_yaml *set_field(const tx_option *o, const tx_yaml *y, void *config)
{
    char *field = (char *)config + o->offset;
    size_t members = types[o->type].members, size = types[o->type].size;
    if (size == 0) return types[o->type].convert(o, y, field) ? NULL : y;
    int n = y->kind == TX_YAML_LIST ? y->n : 1;
    const tx_yaml *member = y->kind == TX_YAML_LIST ? y->child : y;
    if (n > TX_LIST_MAX) return y;
    union {
        int n;
        tx_ints ints;
        tx_reals reals;
    } list = {0};
    list.n = n;
    for (int i = 0; i < n; i++)
        if (!types[o->type].convert(o, &member[i], (char *)&list + members + (size_t)i * size)) return &member[i];
    memcpy(field, &list, members + TX_LIST_MAX * size);
    return NULL;
}

static void describe(const tx_yaml *y, tx_text *t)
{
    char shown[SHOWN] = "";
    bool whole = y->kind != TX_YAML_SCALAR || tx_copy_text(shown, sizeof shown, y->text);
    char *end = strchr(shown, '\n');
    if (end) *end = 0;
    const char *more = whole && !end ? "" : "...";
    if (y->kind == TX_YAML_LIST && y->n == 0)
        tx_text_add(t, "an empty list");
    else if (y->kind == TX_YAML_LIST)
        tx_text_add(t, "a list of %d", y->n);
    else if (y->kind == TX_YAML_MAP)
        tx_text_add(t, "a map of %d", y->n);
    else if (y->quoted)
        tx_text_add(t, "the text \"%s%s\"", shown, more);
    else if (*y->text)
        tx_text_add(t, "'%s%s'", shown, more);
    else
        tx_text_add(t, "nothing");
}

tx_status tx_options_fail(const tx_yaml *found, const char *origin, const char *expected)
{
    tx_text t = {0};
    if (found->key) tx_text_add(&t, "key '%s': ", found->key);
    tx_text_add(&t, "expected %s; found ", expected);
    describe(found, &t);
    tx_status s = tx_yaml_fail(found, origin, "%s", t.s);
    tx_text_free(&t);
    return s;
}

static tx_status fail_value(const tx_option *o, const tx_yaml *found, const char *origin)
{
    char range[TX_TEXT_MAX], buf[TX_TEXT_MAX];
    const char *item[CHOICES_MAX] = {NULL}, *near = NULL;
    if (o->type == TX_OPT_CHOICE) split_choices(o, buf, item);
    if (found->kind == TX_YAML_SCALAR) near = tx_nearest(found->text, item);
    tx_text t = {0};
    describe(found, &t);
    if (near) tx_text_add(&t, ": did you mean '%s'?", near);
    tx_status s = tx_yaml_fail(found, origin, "key '%s': expected %s; found %s", o->name,
                               tx_option_range(o, range, sizeof range), t.s);
    tx_text_free(&t);
    return s;
}

void tx_options_defaults(const tx_option table[], void *config)
{
    for (const tx_option *o = table; o && o->name; o++) {
        TX_REQUIRE(o->dflt, "option '%s' has no default", o->name);
        tx_yaml *y = NULL;
        if (*o->dflt) {
            tx_status s = tx_yaml_parse(o->dflt, strlen(o->dflt), "default", &y);
            TX_REQUIRE(s == TX_OK, "option '%s': %s", o->name, tx_last_error());
        } else {
            y = tx_alloc(1, sizeof *y);
            y->text = tx_strdup("");
        }
        const tx_yaml *bad = set_field(o, y, config);
        TX_REQUIRE(!bad || fail_value(o, bad, "default") == TX_OK, "%s", tx_last_error());
        tx_yaml_free(y);
    }
}

const tx_option *tx_options_find(const tx_option table[], const char *name)
{
    for (const tx_option *o = table; o && o->name; o++)
        if (strcmp(o->name, name) == 0) return o;
    return NULL;
}

/* The names that a map may have, NULL-terminated, to be freed. */
static const char **known_names(const tx_option_set set[], int n_set, const char *const skip[])
{
    size_t n = 0;
    const char **name = tx_alloc(1, sizeof *name);
    for (int i = 0; i < n_set; i++)
        for (const tx_option *o = set[i].table; o && o->name; o++, n++) {
            name = tx_realloc(name, n + 1, n + 2, sizeof *name);
            name[n] = o->name;
        }
    for (int i = 0; skip && skip[i]; i++, n++) {
        name = tx_realloc(name, n + 1, n + 2, sizeof *name);
        name[n] = skip[i];
    }
    return name;
}

static tx_status fail_unknown(const tx_yaml *member, const char *origin, const char *const known[])
{
    char key[SHOWN];
    tx_copy_text(key, sizeof key, member->key);
    const char *near = tx_nearest(member->key, known);
    if (near) return tx_yaml_fail(member, origin, "unknown key '%s': did you mean '%s'?", key, near);
    tx_text t = {0};
    for (int i = 0; known[i]; i++) tx_text_add(&t, "%s%s", i ? ", " : "", known[i]);
    tx_status s = tx_yaml_fail(member, origin, "unknown key '%s': known here: %s", key, t.s ? t.s : "none");
    tx_text_free(&t);
    return s;
}

static bool is_listed(const char *const name[], const char *key)
{
    for (int i = 0; name && name[i]; i++)
        if (strcmp(name[i], key) == 0) return true;
    return false;
}

tx_status tx_options_parse(const tx_option_set set[], int n_set, const tx_yaml *map, const char *origin,
                           const char *const skip[])
{
    if (map->kind != TX_YAML_MAP) return tx_options_fail(map, origin, "a map of options");
    for (int i = 0; i < map->n; i++) {
        const tx_yaml *member = &map->child[i];
        bool known = is_listed(skip, member->key);
        for (int k = 0; k < n_set; k++) {
            const tx_option *o = tx_options_find(set[k].table, member->key);
            const tx_yaml *bad = o ? set_field(o, member, set[k].config) : NULL;
            if (bad) return fail_value(o, bad, origin);
            known |= o != NULL;
        }
        if (known) continue;
        const char **name = known_names(set, n_set, skip);
        tx_status s = fail_unknown(member, origin, name);
        free(name);
        return s;
    }
    return TX_OK;
}

static json_t *field_json(const tx_option *o, const void *config)
{
    const char *field = (const char *)config + o->offset;
    size_t size = types[o->type].size;
    if (size == 0) return types[o->type].json(o, field);
    int n;
    memcpy(&n, field, sizeof n);
    json_t *list = sure(json_array());
    for (int i = 0; i < n; i++) {
        json_t *member = types[o->type].json(o, field + types[o->type].members + (size_t)i * size);
        if (json_array_append_new(list, member) != 0) tx_no_memory("jansson");
    }
    return list;
}

json_t *tx_options_json(const tx_option table[], const void *config)
{
    json_t *object = sure(json_object());
    for (const tx_option *o = table; o && o->name; o++)
        if (json_object_set_new(object, o->name, field_json(o, config)) != 0) tx_no_memory("jansson");
    return object;
}

const char *tx_option_choice(const tx_option *o, int index, char *buf, size_t size)
{
    char all[TX_TEXT_MAX];
    const char *item[CHOICES_MAX];
    split_choices(o, all, item);
    int n = 0;
    while (item[n]) n++;
    TX_REQUIRE(index >= 0 && index < n, "option '%s': choice %d of %d", o->name, index, n);
    tx_copy_text(buf, size, item[index]);
    return buf;
}

static void add_limits(const tx_option *o, tx_text *t)
{
    bool integer = o->type == TX_OPT_INT || o->type == TX_OPT_INTS;
    bool low = integer ? o->min > INT_MIN : o->min > -DBL_MAX || isinf(o->min);
    bool high = integer ? o->max < INT_MAX : o->max < DBL_MAX || isinf(o->max);
    if (o->min == o->max || (!low && !high)) return;
    tx_text_add(t, types[o->type].size ? ", each " : ", ");
    if (low && high)
        tx_text_add(t, "%.10g to %.10g", o->min, o->max);
    else
        tx_text_add(t, "at %s %.10g", low ? "least" : "most", low ? o->min : o->max);
}

const char *tx_option_range(const tx_option *o, char *buf, size_t size)
{
    tx_text t = {0};
    tx_text_add(&t, "%s", types[o->type].noun);
    if (o->type == TX_OPT_CHOICE) {
        char all[TX_TEXT_MAX];
        const char *item[CHOICES_MAX];
        split_choices(o, all, item);
        for (int i = 0; item[i]; i++) tx_text_add(&t, "%s%s", i ? ", " : "", item[i]);
    } else if (o->type != TX_OPT_BOOL && o->type != TX_OPT_STRING) {
        locale_t before = enter_c_locale();
        add_limits(o, &t);
        leave_c_locale(before);
    }
    tx_copy_text(buf, size, t.s);
    tx_text_free(&t);
    return buf;
}
