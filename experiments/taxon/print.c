#include "experiments/taxon/print.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_FORM = JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY };

static char *dump(const json_t *j, size_t form)
{
    char *s = json_dumps(j, JSON_FORM | form);
    if (!s) tx_no_memory("jansson");
    return s;
}

void tx_print_json(json_t *j)
{
    char *s = dump(j, JSON_INDENT(2));
    puts(s);
    free(s);
    json_decref(j);
}

char *tx_json_text(const json_t *j) { return dump(j, JSON_COMPACT); }

const char *tx_print_real(double v, char buf[32])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, v);
        if (strtod(buf, NULL) == v) break;
    }
    /* With neither point nor exponent it would read back as an integer. */
    if (!strpbrk(buf, ".en")) strcat(buf, ".0");
    return buf;
}

static const struct {
    const char *meaning, *noise;
} kinds[TX_N_KIND] = {
    [TX_EXACT] = {"exact: the model's own log-likelihood", ""},
    [TX_LOWER_BOUND] = {"a lower bound: the model's log-likelihood is at least this", ", on average over its noise"},
    [TX_UPPER_BOUND] = {"an upper bound: the model's log-likelihood is at most this", ", on average over its noise"},
    [TX_ESTIMATE] = {"an estimate: the truth may lie on either side, and further off than the errors say", ""}};

const char *tx_kind_words(tx_kind k) { return kinds[k].meaning; }
const char *tx_noise_words(tx_kind k) { return kinds[k].noise; }

const char *tx_unit_words(const tx_estimate *e)
{
    return strcmp(tx_estimate_text(e, "unit"), "the view's") == 0 ? " in the unit of the view" : "";
}

static bool is_plain(const char *s)
{
    static const char *const reserved[] = {"true", "false", "null", "yes", "no", "on", "off", "inf", "nan"};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (size_t i = 0; i < TX_LEN(reserved); i++)
        if (strcmp(s, reserved[i]) == 0) return false;
    return *s && strchr(letters, *s) &&
           s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=.+-")] == 0;
}

static void add_scalar(tx_text *t, const json_t *j)
{
    char buf[32];
    if (json_is_real(j)) {
        tx_text_add(t, "%s", tx_print_real(json_real_value(j), buf));
    } else if (json_is_string(j) && is_plain(json_string_value(j))) {
        tx_text_add(t, "%s", json_string_value(j));
    } else {
        char *s = dump(j, 0);
        tx_text_add(t, "%s", s);
        free(s);
    }
}

static bool is_flow(const json_t *j)
{
    size_t i;
    json_t *member;
    json_array_foreach(j, i, member) if (json_is_object(member) || json_is_array(member)) return false;
    return !json_is_object(j) || json_object_size(j) == 0;
}

static void add_flow(tx_text *t, const json_t *j)
{
    if (json_is_object(j)) {
        tx_text_add(t, "{}");
    } else if (json_is_array(j)) {
        size_t i;
        json_t *member;
        tx_text_add(t, "[");
        json_array_foreach(j, i, member)
        {
            tx_text_add(t, "%s", i ? ", " : "");
            add_scalar(t, member);
        }
        tx_text_add(t, "]");
    } else {
        add_scalar(t, j);
    }
}

/* Members on lines of their own, each `indent` deep; the first one goes on where the text stands. */
static void add_block(tx_text *t, const json_t *j, int indent)
{
    const char *key;
    json_t *member;
    size_t i;
    bool first = true;
    json_object_foreach((json_t *)j, key, member)
    {
        tx_text_add(t, "%*s%s:%s", first ? 0 : indent, "", key, is_flow(member) ? " " : "\n");
        first = false;
        if (is_flow(member)) {
            add_flow(t, member);
            tx_text_add(t, "\n");
        } else {
            tx_text_add(t, "%*s", indent + 2, "");
            add_block(t, member, indent + 2);
        }
    }
    json_array_foreach(j, i, member)
    {
        tx_text_add(t, "%*s- ", i ? indent : 0, "");
        if (is_flow(member)) {
            add_flow(t, member);
            tx_text_add(t, "\n");
        } else {
            add_block(t, member, indent + 2);
        }
    }
}

void tx_json_yaml(tx_text *t, const json_t *j) { add_block(t, j, 0); }

static void describe(const json_t *j, char *buf, size_t size)
{
    char *s = j ? dump(j, JSON_COMPACT) : tx_strdup("nothing");
    tx_copy_text(buf, size, s);
    free(s);
}

static bool differ(const json_t *a, const json_t *b, char *path, size_t length, char *buf, size_t size)
{
    if (!json_is_object(a) || !json_is_object(b)) {
        if (a && b && json_equal(a, b)) return false;
        char left[TX_NAME_MAX], right[TX_NAME_MAX];
        describe(a, left, sizeof left);
        describe(b, right, sizeof right);
        snprintf(buf, size, "%s: %s and %s", path, left, right);
        return true;
    }
    const char *key;
    json_t *member;
    for (int side = 0; side < 2; side++) json_object_foreach((json_t *)(side ? b : a), key, member)
        {
            snprintf(path + length, TX_TEXT_MAX - length, "%s%s", length ? "." : "", key);
            if (differ(json_object_get(a, key), json_object_get(b, key), path, strlen(path), buf, size)) return true;
        }
    return false;
}

bool tx_json_differ(const json_t *a, const json_t *b, char *buf, size_t size)
{
    char path[TX_TEXT_MAX] = "";
    return differ(a, b, path, 0, buf, size);
}
