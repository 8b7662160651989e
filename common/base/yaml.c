#include "common/base/yaml.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { TEXT_LIMIT = 1 << 20, DEPTH_LIMIT = 16, SHOWN = 80 };

typedef struct reader {
    yaml_parser_t parser;
    const char *text, *origin;
} reader;

tx_status tx_yaml_fail(const tx_yaml *at, const char *origin, const char *fmt, ...)
{
    char text[TX_TEXT_MAX + TX_NAME_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (at->line == 0) return tx_fail(TX_ECONFIG, "command line: %s", text);
    return tx_fail(TX_ECONFIG, "%s:%d:%d: %s", origin, at->line, at->column, text);
}

static tx_status fail_at(const reader *r, yaml_mark_t m, const char *problem)
{
    tx_yaml at = {.line = (int)m.line + 1, .column = (int)m.column + 1};
    return tx_yaml_fail(&at, r->origin, "%s", problem);
}

/* Line and column of a byte, in characters as libyaml counts them. */
static yaml_mark_t mark_of(const char *text, size_t offset)
{
    yaml_mark_t m = {0};
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n' || (text[i] == '\r' && (i + 1 == offset || text[i + 1] != '\n'))) {
            m.line++;
            m.column = 0;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            m.column++;
        }
    }
    return m;
}

static tx_status fail_parser(const reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) tx_no_memory("libyaml");
    /* The reader knows only the byte where it stopped at a control character or at what is not UTF-8. */
    yaml_mark_t m = p->error == YAML_READER_ERROR ? mark_of(r->text, p->problem_offset) : p->problem_mark;
    char problem[TX_NAME_MAX * 2], since[32] = "";
    if (p->context && p->context_mark.line < m.line)
        snprintf(since, sizeof since, " of line %zu", p->context_mark.line + 1);
    snprintf(problem, sizeof problem, "%s%s%s%s", p->problem, p->context ? " " : "", p->context ? p->context : "",
             since);
    return fail_at(r, m, problem);
}

static tx_status next_event(reader *r, yaml_event_t *e)
{
    return yaml_parser_parse(&r->parser, e) ? TX_OK : fail_parser(r);
}

static void clear(tx_yaml *y)
{
    for (int i = 0; i < y->n; i++) clear(&y->child[i]);
    free(y->child);
    free(y->key);
    free(y->text);
}

void tx_yaml_free(tx_yaml *y)
{
    if (y) clear(y);
    free(y);
}

/* One child more. */
static tx_yaml *add_child(tx_yaml *y)
{
    size_t n = (size_t)y->n;
    y->child = tx_grow(y->child, n, sizeof *y->child);
    return &y->child[y->n++];
}

/* Characters that an escape can put into a scalar, but that JSON writes bare and YAML refuses or folds when bare. */
static bool is_plain_text(const char *s, size_t n)
{
    static const char *const refused[] = {"\xE2\x80\xA8", "\xE2\x80\xA9", "\xEF\xBB\xBF", "\xEF\xBF\xBE",
                                          "\xEF\xBF\xBF"};
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F) return false;
        if (c == 0xC2 && (unsigned char)s[i + 1] < 0xA0) return false;
    }
    for (size_t i = 0; i < TX_LEN(refused); i++)
        if (strstr(s, refused[i])) return false;
    return true;
}

static tx_status copy_scalar(const reader *r, const yaml_event_t *e, char **text)
{
    const char *s = (const char *)e->data.scalar.value;
    if (!is_plain_text(s, e->data.scalar.length))
        return fail_at(r, e->start_mark, "a control character or line separator is not allowed in text");
    *text = tx_strdup(s);
    return TX_OK;
}

/* Scalars, lists and maps, and nothing that would make a node mean more than it says. */
static tx_status check_plain(const reader *r, const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_ALIAS_EVENT) return fail_at(r, e->start_mark, "aliases are not allowed: repeat the value");
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (anchor) return fail_at(r, e->start_mark, "anchors are not allowed: repeat the value");
    if (tag) return fail_at(r, e->start_mark, "tags are not allowed: the type follows from the key");
    return TX_OK;
}

/* By key, then by place. */
static int compare_members(const void *a, const void *b)
{
    const tx_yaml *x = *(const tx_yaml *const *)a, *y = *(const tx_yaml *const *)b;
    int c = strcmp(x->key, y->key);
    return c ? c : (x > y) - (x < y);
}

static tx_status check_unique(const reader *r, const tx_yaml *map)
{
    const tx_yaml **sorted = tx_alloc((size_t)map->n, sizeof *sorted);
    for (int i = 0; i < map->n; i++) sorted[i] = &map->child[i];
    qsort(sorted, (size_t)map->n, sizeof *sorted, compare_members);
    tx_status s = TX_OK;
    for (int i = 1; i < map->n && !s; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) != 0) continue;
        char key[SHOWN];
        tx_copy_text(key, sizeof key, sorted[i]->key);
        s = tx_yaml_fail(sorted[i], r->origin, "key '%s' was already given at line %d", key, sorted[i - 1]->line);
    }
    free(sorted);
    return s;
}

static tx_status fill_node(reader *r, const yaml_event_t *e, int depth, tx_yaml *y);

static tx_status fill_key(const reader *r, const yaml_event_t *e, tx_yaml *y)
{
    TX_TRY(check_plain(r, e));
    if (e->type != YAML_SCALAR_EVENT) return fail_at(r, e->start_mark, "a key must be text, not a list or map");
    if (e->data.scalar.length == 0) return fail_at(r, e->start_mark, "a key must not be empty");
    return copy_scalar(r, e, &y->key);
}

static tx_status fill_children(reader *r, int depth, tx_yaml *y)
{
    for (;;) {
        yaml_event_t e;
        TX_TRY(next_event(r, &e));
        if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&e);
            return y->kind == TX_YAML_MAP ? check_unique(r, y) : TX_OK;
        }
        tx_yaml *child = add_child(y);
        yaml_mark_t m = e.start_mark;
        tx_status s = TX_OK;
        if (y->kind == TX_YAML_MAP) {
            s = fill_key(r, &e, child);
            yaml_event_delete(&e);
            if (!s) s = next_event(r, &e);
            TX_TRY(s);
        }
        s = fill_node(r, &e, depth, child);
        yaml_event_delete(&e);
        child->line = (int)m.line + 1;
        child->column = (int)m.column + 1;
        TX_TRY(s);
    }
}

/* Make `y`, which is zero but for its key, the node that starts with event `e`, inside `depth` lists and maps. */
static tx_status fill_node(reader *r, const yaml_event_t *e, int depth, tx_yaml *y)
{
    TX_TRY(check_plain(r, e));
    y->line = (int)e->start_mark.line + 1;
    y->column = (int)e->start_mark.column + 1;
    if (e->type == YAML_SCALAR_EVENT) {
        y->kind = TX_YAML_SCALAR;
        y->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        return copy_scalar(r, e, &y->text);
    }
    if (depth == DEPTH_LIMIT) return fail_at(r, e->start_mark, "lists and maps are nested more than 16 deep");
    y->kind = e->type == YAML_SEQUENCE_START_EVENT ? TX_YAML_LIST : TX_YAML_MAP;
    return fill_children(r, depth + 1, y);
}

/* The next event must be of this type. */
static tx_status expect(reader *r, yaml_event_type_t type, const char *otherwise)
{
    yaml_event_t e;
    TX_TRY(next_event(r, &e));
    tx_status s = e.type == type ? TX_OK : fail_at(r, e.start_mark, otherwise);
    if (!s && type == YAML_DOCUMENT_START_EVENT && e.data.document_start.tag_directives.start)
        s = fail_at(r, e.start_mark, "tags are not allowed: the type follows from the key");
    yaml_event_delete(&e);
    return s;
}

static tx_status read_document(reader *r, tx_yaml *root)
{
    TX_TRY(expect(r, YAML_STREAM_START_EVENT, "not a YAML stream"));
    TX_TRY(expect(r, YAML_DOCUMENT_START_EVENT, "the text is empty"));
    yaml_event_t e;
    TX_TRY(next_event(r, &e));
    tx_status s = fill_node(r, &e, 0, root);
    yaml_event_delete(&e);
    TX_TRY(s);
    TX_TRY(expect(r, YAML_DOCUMENT_END_EVENT, "the document does not end"));
    return expect(r, YAML_STREAM_END_EVENT, "a second document is not allowed");
}

tx_status tx_yaml_parse(const char *text, size_t bytes, const char *origin, tx_yaml **out)
{
    if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    reader r = {.text = text, .origin = origin};
    if (bytes > TEXT_LIMIT) return fail_at(&r, mark_of(text, TEXT_LIMIT), "the text is longer than 1 MiB");
    if (!yaml_parser_initialize(&r.parser)) tx_no_memory("libyaml");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
    tx_yaml *root = tx_alloc(1, sizeof *root);
    tx_status s = read_document(&r, root);
    yaml_parser_delete(&r.parser);
    if (s)
        tx_yaml_free(root);
    else
        *out = root;
    return s;
}

tx_status tx_yaml_read(const char *path, tx_yaml **out)
{
    /* One byte more than is allowed, and a byte order mark, tell a text that is too long. */
    enum { ROOM = TEXT_LIMIT + 4 };
    FILE *f = fopen(path, "rb");
    if (!f) return tx_fail(TX_ENOINPUT, "%s: cannot be opened: %s", path, strerror(errno));
    char *text = tx_alloc(ROOM, 1);
    size_t n = fread(text, 1, ROOM, f);
    tx_status s = TX_OK;
    if (ferror(f)) s = tx_fail(TX_ENOINPUT, "%s: cannot be read: %s", path, strerror(errno));
    fclose(f);
    if (!s) s = tx_yaml_parse(text, n, path, out);
    free(text);
    return s;
}

static tx_yaml *find_member(const tx_yaml *map, const char *key, size_t length)
{
    for (int i = 0; map && map->kind == TX_YAML_MAP && i < map->n; i++)
        if (strncmp(map->child[i].key, key, length) == 0 && !map->child[i].key[length]) return &map->child[i];
    return NULL;
}

const tx_yaml *tx_yaml_get(const tx_yaml *map, const char *key) { return find_member(map, key, strlen(key)); }

static void copy_node(tx_yaml *to, const tx_yaml *from)
{
    *to = *from;
    if (from->key) to->key = tx_strdup(from->key);
    if (from->text) to->text = tx_strdup(from->text);
    to->child = NULL;
    to->n = 0;
    for (int i = 0; i < from->n; i++) copy_node(add_child(to), &from->child[i]);
}

tx_yaml *tx_yaml_copy(const tx_yaml *y)
{
    tx_yaml *copy = tx_alloc(1, sizeof *copy);
    copy_node(copy, y);
    return copy;
}

/* Lists and maps inside one another, at most. */
static int depth_of(const tx_yaml *y)
{
    int deepest = 0;
    for (int i = 0; i < y->n; i++) {
        int d = depth_of(&y->child[i]);
        if (d > deepest) deepest = d;
    }
    return deepest + (y->kind != TX_YAML_SCALAR);
}

static void forget_places(tx_yaml *y)
{
    y->line = y->column = 0;
    for (int i = 0; i < y->n; i++) forget_places(&y->child[i]);
}

static tx_status parse_value(const char *text, tx_yaml **out)
{
    if (*text) {
        TX_TRY(tx_yaml_parse(text, strlen(text), "value", out));
    } else {
        *out = tx_alloc(1, sizeof **out);
        (*out)->text = tx_strdup("");
    }
    forget_places(*out);
    return TX_OK;
}

/* What is wrong with the path before '=', or NULL. */
static const char *path_problem(const char *assignment, int *length)
{
    size_t end = strcspn(assignment, "=");
    *length = 1;
    if (!assignment[end]) return "expected key=value; found no '='";
    for (size_t i = 0, start = 0; i <= end; i++) {
        if (i < end && assignment[i] != '.') continue;
        if (i == start) return "expected key=value with keys joined by '.'; found an empty key";
        *length += i < end;
        start = i + 1;
    }
    return NULL;
}

static int shown_length(size_t length) { return length < SHOWN ? (int)length : SHOWN; }

/* Step from `y` to the member or list member called by the first `length` bytes of `name`; a map gets it if it has not.
 */
static tx_status step(tx_yaml **y, const char *name, size_t length, const char *shown)
{
    tx_yaml *in = *y;
    if (in->kind == TX_YAML_SCALAR)
        return tx_fail(TX_EUSAGE, "'%s': what '%.*s' should be set in is neither a map nor a list", shown,
                       shown_length(length), name);
    if (in->kind == TX_YAML_LIST) {
        bool number = strspn(name, "0123456789") == length && length < 8;
        int i = number ? atoi(name) : -1;
        if (i < 0 || i >= in->n)
            return tx_fail(TX_EUSAGE, "'%s': expected a member of a list of %d, numbered from 0; found '%.*s'", shown,
                           in->n, shown_length(length), name);
        *y = &in->child[i];
        return TX_OK;
    }
    *y = find_member(in, name, length);
    if (*y) return TX_OK;
    *y = add_child(in);
    **y = (tx_yaml){.kind = TX_YAML_MAP, .key = tx_alloc(length + 1, 1)};
    memcpy((*y)->key, name, length);
    return TX_OK;
}

static tx_status put(tx_yaml *root, const char *assignment, const char *shown, const tx_yaml *value)
{
    tx_yaml *y = root;
    for (const char *name = assignment;;) {
        size_t length = strcspn(name, ".=");
        TX_TRY(step(&y, name, length, shown));
        name += length + 1;
        if (name[-1] == '=') break;
    }
    tx_yaml fresh;
    copy_node(&fresh, value);
    fresh.key = y->key;
    y->key = NULL;
    clear(y);
    *y = fresh;
    return TX_OK;
}

tx_status tx_yaml_override(tx_yaml *root, const char *assignment)
{
    int length = 0;
    const char *problem = path_problem(assignment, &length);
    char shown[SHOWN + 4];
    if (!tx_copy_text(shown, SHOWN, assignment)) strcat(shown, "...");
    if (problem) return tx_fail(TX_EUSAGE, "'%s': %s", shown, problem);
    tx_yaml *value = NULL;
    if (parse_value(strchr(assignment, '=') + 1, &value) != TX_OK)
        return tx_fail(TX_EUSAGE, "'%s': %s", shown, tx_last_error());
    tx_status s = TX_OK;
    if (length + depth_of(value) > DEPTH_LIMIT)
        s = tx_fail(TX_EUSAGE, "'%s': lists and maps would be nested more than %d deep", shown, DEPTH_LIMIT);
    if (!s) s = put(root, assignment, shown, value);
    tx_yaml_free(value);
    return s;
}
