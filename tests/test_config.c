/* YAML trees with places, overrides, and option tables. */
#include "tests/support/check.h"
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include "common/base/options.h"

enum { LIMIT = 1 << 20 };

static tx_yaml *parse_bytes(const char *text, size_t bytes)
{
    tx_yaml *y = NULL;
    CHECK_OK(tx_yaml_parse(text, bytes, "c.yaml", &y));
    CU_ASSERT_PTR_NOT_NULL_FATAL(y);
    return y;
}

static tx_yaml *parse(const char *text) { return parse_bytes(text, strlen(text)); }

/* `text` is refused at "LINE:COLUMN", for a reason that contains `part`. */
static void refuse_bytes(const char *text, size_t bytes, const char *place, const char *part)
{
    tx_yaml *y = NULL;
    char want[64];
    snprintf(want, sizeof want, "c.yaml:%s: ", place);
    char *exact = malloc(bytes ? bytes : 1); /* so that the sanitizer sees a read behind the end */
    memcpy(exact, text, bytes);
    CHECK_INT(tx_yaml_parse(exact, bytes, "c.yaml", &y), TX_ECONFIG);
    free(exact);
    CU_ASSERT_PTR_NULL(y);
    if (strncmp(tx_last_error(), want, strlen(want)) != 0 || !strstr(tx_last_error(), part))
        printf("\n  expected \"%s...%s\", found \"%s\"\n", want, part, tx_last_error());
    CU_ASSERT(strncmp(tx_last_error(), want, strlen(want)) == 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(tx_last_error(), part));
    tx_yaml_free(y);
}

static void refuse(const char *text, const char *place, const char *part)
{
    refuse_bytes(text, strlen(text), place, part);
}

static void check_place(const tx_yaml *y, int line, int column)
{
    CHECK_INT(y->line, line);
    CHECK_INT(y->column, column);
}

static void test_tree(void)
{
    tx_yaml *y = parse("# a comparison\nseeds: [0, 1]\ntrain:\n  epochs: 20\n  note: 'true'\nmodels:\n"
                       "  - {model: made, hidden: [500]}\n  - model: vae\nempty:\n");
    CHECK_INT(y->kind, TX_YAML_MAP);
    CHECK_INT(y->n, 4);
    CU_ASSERT_PTR_NULL(y->key);
    const tx_yaml *seeds = tx_yaml_get(y, "seeds"), *train = tx_yaml_get(y, "train");
    CHECK_INT(seeds->kind, TX_YAML_LIST);
    CHECK_INT(seeds->n, 2);
    check_place(seeds, 2, 1);
    check_place(&seeds->child[1], 2, 12);
    CHECK_TEXT(seeds->child[1].text, "1");
    CHECK_TRUE(!seeds->child[1].quoted);
    check_place(tx_yaml_get(train, "epochs"), 4, 3);
    CHECK_TRUE(tx_yaml_get(train, "note")->quoted);
    const tx_yaml *models = tx_yaml_get(y, "models");
    check_place(&models->child[0], 7, 5);
    check_place(tx_yaml_get(&models->child[0], "hidden"), 7, 19);
    check_place(&tx_yaml_get(&models->child[0], "hidden")->child[0], 7, 28);
    CHECK_TEXT(tx_yaml_get(&models->child[1], "model")->text, "vae");
    CHECK_TEXT(tx_yaml_get(y, "empty")->text, "");
    CU_ASSERT_PTR_NULL(tx_yaml_get(y, "seed"));
    CU_ASSERT_PTR_NULL(tx_yaml_get(seeds, "0"));
    CU_ASSERT_PTR_NULL(tx_yaml_get(NULL, "seeds"));

    tx_yaml *copy = tx_yaml_copy(y);
    tx_yaml_free(y);
    models = tx_yaml_get(copy, "models");
    CHECK_TEXT(tx_yaml_get(&models->child[0], "hidden")->child[0].text, "500");
    check_place(tx_yaml_get(&models->child[0], "hidden"), 7, 19);
    CHECK_TRUE(tx_yaml_get(tx_yaml_get(copy, "train"), "note")->quoted);
    tx_yaml_free(copy);
    tx_yaml_free(NULL);
}

static void test_encodings(void)
{
    tx_yaml *y = parse("\xEF\xBB\xBF"
                       "a: 1\r\nb:\r\n  - 2\r\n  - |\r\n    x\r\n    y\r\n");
    check_place(tx_yaml_get(y, "a"), 1, 1);
    CHECK_TEXT(tx_yaml_get(y, "a")->text, "1");
    check_place(tx_yaml_get(y, "b"), 2, 1);
    check_place(&tx_yaml_get(y, "b")->child[0], 3, 5);
    CHECK_TEXT(tx_yaml_get(y, "b")->child[1].text, "x\ny\n");
    CHECK_TRUE(tx_yaml_get(y, "b")->child[1].quoted);
    tx_yaml_free(y);
    y = parse("{name: caf\xC3\xA9 \xF0\x9F\x8E\xB2, n: 3}"); /* columns count characters */
    CHECK_TEXT(tx_yaml_get(y, "name")->text, "caf\xC3\xA9 \xF0\x9F\x8E\xB2");
    check_place(tx_yaml_get(y, "n"), 1, 16);
    tx_yaml_free(y);
    y = parse("{\"a\": [1, 2.5e-3], \"b\": {\"c\": \"x\\/\\n\\u00e9\"},\"d\":true}"); /* JSON */
    CHECK_TEXT(tx_yaml_get(tx_yaml_get(y, "b"), "c")->text, "x/\n\xC3\xA9");
    CHECK_TEXT(tx_yaml_get(y, "d")->text, "true");
    tx_yaml_free(y);
    y = parse("---\na: 1\n...\n");
    CHECK_INT(y->n, 1);
    tx_yaml_free(y);
}

static void test_refused_features(void)
{
    refuse("a: 1\nb: &x 2\n", "2:4", "anchors");
    refuse("b: &x [2]\n", "1:4", "anchors");
    refuse("b: &x {c: 2}\n", "1:4", "anchors");
    refuse("&x b: 1\n", "1:1", "anchors");
    refuse("a: 1\nb: [3, *x]\n", "2:8", "aliases");
    refuse("*x : 1\n", "1:1", "aliases");
    refuse("a: !!str 5\n", "1:4", "tags");
    refuse("a: ! 5\n", "1:4", "tags");
    refuse("a: !map {b: 1}\n", "1:4", "tags");
    refuse("a: !!seq [1]\n", "1:4", "tags");
    refuse("%TAG !e! tag:example.org,2000:\n---\na: 1\n", "1:1", "tags");
    refuse("a: 1\nb: 2\na: 3\n", "3:1", "key 'a' was already given at line 1");
    refuse("x:\n  - {b: 1, c: 2, 'b': 3}\n", "2:18", "key 'b' was already given at line 2");
    refuse("a: 1\n---\nb: 2\n", "2:1", "second document");
    refuse("a: 1\n...\n---\nb: 2\n", "3:1", "second document");
    refuse("? [a, b]\n: 1\n", "1:3", "a key must be text");
    refuse("{{a: 1}: 2}\n", "1:2", "a key must be text");
    refuse("'': 1\n", "1:1", "empty");
    refuse("", "1:1", "the text is empty");
    refuse("\xEF\xBB\xBF", "1:1", "the text is empty");
    refuse("# nothing\n\n", "3:1", "the text is empty");
    refuse("a: [1, 2\nb: 3\n", "2:2", "flow sequence");
    refuse("a: 1\n\tb: 2\n", "2:1", "found a tab character");
    refuse("a: 'x\n", "2:1", "quoted scalar");
    refuse("a: 1\n]", "2:1", "did not find expected key");
}

static void test_refused_bytes(void)
{
    refuse("a: 1\nb: \xFF\n", "2:4", "UTF-8");
    refuse("a: 1\r\nb: \xC3(\n", "2:5", "UTF-8");
    refuse("a: 1\rb: \xE9", "2:4", "UTF-8");
    refuse("\xC3\xA9: \xC0\xAF\n", "1:4", "UTF-8"); /* overlong */
    refuse("\xEF\xBB\xBF"
           "a: \xED\xA0\x80\n",
           "1:4", "Unicode");                          /* surrogate */
    refuse("a: \xF4\x90\x80\x80\n", "1:4", "Unicode"); /* over U+10FFFF */
    refuse("a: \xE2\x82", "1:4", "UTF-8");             /* cut off */
    refuse_bytes("\xFF\xFE"
                 "a\0:\0 \0"
                 "1\0",
                 10, "1:1", "UTF-8"); /* UTF-16 */
    refuse_bytes("a: 1\nb: x\0y\n", 12, "2:5", "control");
    refuse_bytes("a: 1\n# \0\n", 9, "2:3", "control");
    refuse("a: \x1B[2J\n", "1:4", "control");
    refuse("a: 1\nb: \"x\\0y\"\n", "2:4", "control");
    refuse("\"x\\0y\": 1\n", "1:1", "control");
    refuse("a: \"\\e[2J\"\n", "1:4", "control");
}

static void test_limits(void)
{
    char text[64], close[64];
    for (int depth = 15; depth <= 17; depth++) {
        memset(text, '[', (size_t)depth);
        memset(close, ']', (size_t)depth);
        snprintf(text + depth, sizeof text - (size_t)depth, "7%.*s", depth, close);
        if (depth > 16)
            refuse(text, "1:17", "16 deep");
        else
            tx_yaml_free(parse(text));
    }
    refuse("a: {b: [[[[[[[[[[[[[[[7]]]]]]]]]]]]]]]}", "1:22", "16 deep");
    tx_yaml_free(parse("a: {b: [[[[[[[[[[[[[[7]]]]]]]]]]]]]]}"));

    char *big = malloc(LIMIT + 8);
    memset(big, '#', LIMIT + 8);
    memcpy(big, "a: 1\n", 5);
    tx_yaml_free(parse_bytes(big, LIMIT));
    refuse_bytes(big, LIMIT + 1, "2:1048572", "1 MiB");
    memset(big, '[', LIMIT);
    refuse_bytes(big, LIMIT, "1:17", "16 deep");
    for (int i = 0; i < LIMIT; i += 2) memcpy(big + i, "- ", 2);
    refuse_bytes(big, LIMIT, "1:33", "16 deep");
    memset(big, ' ', LIMIT); /* as many members as fit */
    int n = LIMIT / 8;
    for (int i = 0; i < n; i++) {
        char member[16];
        snprintf(member, sizeof member, "%c%06d,", i ? ' ' : '{', (int)(i * 7919LL % 999983));
        memcpy(big + 8 * i, member, 8);
    }
    big[LIMIT - 1] = '}';
    tx_yaml *y = parse_bytes(big, LIMIT);
    CHECK_INT(y->n, n);
    tx_yaml_free(y);
    memcpy(big + LIMIT - 7, "000000", 6);
    refuse_bytes(big, LIMIT, "1:1048570", "already given at line 1");
    free(big);
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CHECK_INT(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void test_file(void)
{
    char path[512], want[600];
    snprintf(path, sizeof path, "%s/quick.yaml", tx_test_folder());
    tx_yaml *y = NULL;
    CHECK_INT(tx_yaml_read(path, &y), TX_ENOINPUT);
    CHECK_HAS(tx_last_error(), "quick.yaml: cannot be opened: No such file");
    CHECK_INT(tx_yaml_read(tx_test_folder(), &y), TX_ENOINPUT);
    CHECK_HAS(tx_last_error(), "directory");
    CU_ASSERT_PTR_NULL(y);
    write_file(path, "a: 1\na: 2\n", 10);
    CHECK_INT(tx_yaml_read(path, &y), TX_ECONFIG);
    snprintf(want, sizeof want, "%s:2:1: key 'a'", path);
    CHECK_HAS(tx_last_error(), want);
    char *big = malloc(LIMIT + 4);
    memset(big, '#', LIMIT + 4);
    memcpy(big,
           "\xEF\xBB\xBF"
           "a: 1\n",
           8);
    write_file(path, big, LIMIT + 4);
    CHECK_INT(tx_yaml_read(path, &y), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "1 MiB");
    write_file(path, big, LIMIT + 3);
    CHECK_OK(tx_yaml_read(path, &y));
    CHECK_INT(y ? y->n : 0, 1);
    tx_yaml_free(y);
    free(big);
}

static void test_override(void)
{
    tx_yaml *y = parse("train: {epochs: 20}\nseeds: 3\nmodels:\n  - {model: made}\n  - {model: vae, hidden: 7}\n");
    CHECK_OK(tx_yaml_override(y, "train.epochs=5"));
    CHECK_OK(tx_yaml_override(y, "train.note=a=b"));
    CHECK_OK(tx_yaml_override(y, "models.1.hidden=[500, 250]"));
    CHECK_OK(tx_yaml_override(y, "models.0={model: nice, scale: {grid: [1, 2]}}"));
    CHECK_OK(tx_yaml_override(y, "evaluate.iwae.n=500"));
    CHECK_OK(tx_yaml_override(y, "seeds="));
    CHECK_INT(y->n, 4);
    const tx_yaml *train = tx_yaml_get(y, "train"), *models = tx_yaml_get(y, "models");
    CHECK_TEXT(tx_yaml_get(train, "epochs")->text, "5");
    CHECK_INT(tx_yaml_get(train, "epochs")->line, 0);
    CHECK_TEXT(tx_yaml_get(train, "note")->text, "a=b");
    CHECK_INT(tx_yaml_get(&models->child[1], "hidden")->n, 2);
    CHECK_TEXT(tx_yaml_get(&models->child[1], "hidden")->child[1].text, "250");
    CHECK_INT(tx_yaml_get(&models->child[1], "hidden")->child[1].line, 0);
    CHECK_TEXT(tx_yaml_get(&models->child[0], "model")->text, "nice");
    CHECK_TEXT(tx_yaml_get(tx_yaml_get(tx_yaml_get(y, "evaluate"), "iwae"), "n")->text, "500");
    CHECK_TEXT(tx_yaml_get(y, "seeds")->text, "");
    check_place(models, 3, 1);
    tx_yaml_free(y);
}

static void test_override_refused(void)
{
    static const struct {
        const char *assignment, *part;
    } bad[] = {
        {"train.epochs", "'train.epochs': expected key=value; found no '='"},
        {"=5", "empty key"},
        {"train..epochs=5", "empty key"},
        {".train=5", "empty key"},
        {"train.=5", "empty key"},
        {"seeds.a=5", "'seeds.a=5': what 'a' should be set in is neither a map nor a list"},
        {"models.2.hidden=5", "expected a member of a list of 2, numbered from 0; found '2'"},
        {"models.x=5", "found 'x'"},
        {"models.-1=5", "found '-1'"},
        {"models.99999999999999999999=5", "found '99999999999999999999'"},
        {"train.epochs=[1,", "'train.epochs=[1,': value:"},
        {"train.epochs=*x", "aliases"},
        {"train.epochs=&x 1", "anchors"},
        {"train.epochs=\xFF", "UTF-8"},
        {"train.epochs={a: 1, a: 2}", "already given"},
        {"train.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p=1", "16 deep"},
        {"train.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o=[1]", "16 deep"},
    };
    tx_yaml *y = parse("train: {epochs: 20}\nseeds: 3\nmodels:\n  - {model: made}\n  - {model: vae}\n");
    for (size_t i = 0; i < TX_LEN(bad); i++) {
        CHECK_INT(tx_yaml_override(y, bad[i].assignment), TX_EUSAGE);
        CHECK_HAS(tx_last_error(), bad[i].part);
        CHECK_HAS(tx_last_error(), bad[i].assignment);
    }
    CHECK_INT(y->n, 3);
    CHECK_INT(tx_yaml_get(y, "train")->n, 1);
    CHECK_TEXT(tx_yaml_get(tx_yaml_get(y, "train"), "epochs")->text, "20");
    CHECK_INT(tx_yaml_get(y, "models")->child[1].n, 1);
    CHECK_OK(tx_yaml_override(y, "train.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o=1"));
    tx_yaml_free(y);
    y = parse("5");
    CHECK_INT(tx_yaml_override(y, "a=1"), TX_EUSAGE);
    tx_yaml_free(y);
}

typedef struct config {
    int hidden;
    double rate, slope;
    bool bias;
    int optimizer;
    char path[TX_TEXT_MAX];
    tx_ints layers;
    tx_reals betas;
    int offset;
    double any;
} config;

static const tx_option table[] = {
    {"hidden", TX_OPT_INT, offsetof(config, hidden), "200", 1, 4096, NULL, "units", NULL},
    {"rate", TX_OPT_REAL, offsetof(config, rate), "1e-3", 0, 1, NULL, "step size", NULL},
    {"slope", TX_OPT_REAL, offsetof(config, slope), "-.inf", -INFINITY, 5, NULL, "slope", NULL},
    {"bias", TX_OPT_BOOL, offsetof(config, bias), "true", 0, 0, NULL, "whether there is one", NULL},
    {"optimizer", TX_OPT_CHOICE, offsetof(config, optimizer), "adam", 0, 0, "sgd|rmsprop|adam", "rule", NULL},
    {"path", TX_OPT_STRING, offsetof(config, path), "", 0, 0, NULL, "file", NULL},
    {"layers", TX_OPT_INTS, offsetof(config, layers), "[500, 250]", 1, INT_MAX, NULL, "units a layer", NULL},
    {"betas", TX_OPT_REALS, offsetof(config, betas), "[0.9, 0.999]", 0, DBL_MAX, NULL, "decays", NULL},
    {"offset", TX_OPT_INT, offsetof(config, offset), "-3", 0, 0, NULL, "any integer", NULL},
    {"any", TX_OPT_REAL, offsetof(config, any), "2.385", 0, 0, NULL, "any number", NULL},
    {NULL, TX_OPT_INT, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static tx_status set_options(config *c, const char *text)
{
    tx_yaml *y = parse(text);
    tx_status s = tx_options_parse(&(tx_option_set){table, c}, 1, y, "c.yaml", NULL);
    tx_yaml_free(y);
    return s;
}

static void check_same(const config *a, const config *b)
{
    CHECK_INT(a->hidden, b->hidden);
    CHECK_TRUE(a->rate == b->rate);
    CHECK_TRUE(a->slope == b->slope);
    CHECK_INT(a->bias, b->bias);
    CHECK_INT(a->optimizer, b->optimizer);
    CHECK_TEXT(a->path, b->path);
    CHECK_INT(a->layers.n, b->layers.n);
    for (int i = 0; i < a->layers.n; i++) CHECK_INT(a->layers.v[i], b->layers.v[i]);
    CHECK_INT(a->betas.n, b->betas.n);
    for (int i = 0; i < a->betas.n; i++) CHECK_TRUE(a->betas.v[i] == b->betas.v[i]);
    CHECK_INT(a->offset, b->offset);
    CHECK_TRUE(a->any == b->any);
}

static void test_defaults(void)
{
    config c;
    memset(&c, 0xA7, sizeof c);
    tx_options_defaults(table, &c);
    check_same(&c, &(config){200, 1e-3, -INFINITY, true, 2, "", {2, {500, 250}}, {2, {0.9, 0.999}}, -3, 2.385});
    CHECK_TEXT(tx_options_find(table, "bias")->name, "bias");
    CU_ASSERT_PTR_NULL(tx_options_find(table, "bia"));
}

static void bad_default(const char *dflt)
{
    const tx_option bad[] = {{"hidden", TX_OPT_INT, 0, dflt, 1, 4096, NULL, "units", NULL}, {.name = NULL}};
    tx_options_defaults(bad, &(config){0});
}

static void default_out_of_range(void) { bad_default("0"); }
static void default_not_yaml(void) { bad_default("[1"); }
static void default_empty(void) { bad_default(""); }
static void default_missing(void) { bad_default(NULL); }
static void choice_out_of_range(void) { tx_option_choice(tx_options_find(table, "optimizer"), 3, (char[8]){0}, 8); }

static void test_duties(void)
{
    CHECK_TRUE(tx_dies(default_out_of_range, -1));
    CHECK_TRUE(tx_dies(default_not_yaml, -1));
    CHECK_TRUE(tx_dies(default_empty, -1));
    CHECK_TRUE(tx_dies(default_missing, -1));
    CHECK_TRUE(tx_dies(choice_out_of_range, -1));
}

static void test_values(void)
{
    config c;
    tx_options_defaults(table, &c);
    CHECK_OK(set_options(&c, "hidden: 4096\nrate: .25\nslope: -2.5E+2\nbias: false\noptimizer: \"rmsprop\"\n"
                             "path: 'true'\nlayers: 7\nbetas: []\noffset: +2147483647\nany: -1.e3\n"));
    check_same(&c, &(config){4096, 0.25, -250, false, 1, "true", {1, {7}}, {0, {0}}, INT_MAX, -1000});
    CHECK_OK(set_options(&c, "{hidden: 1, rate: 0, slope: 5, path: 12, betas: 1e-3, offset: -2147483648, any: 1e308}"));
    check_same(&c, &(config){1, 0, 5, false, 1, "12", {1, {7}}, {1, {1e-3}}, INT_MIN, 1e308});
    CHECK_OK(set_options(&c, "{hidden: 64, rate: 1, slope: -inf, layers: [1, 65, 3], any: 4.9e-324, path: }"));
    check_same(&c, &(config){64, 1, -INFINITY, false, 1, "", {3, {1, 65, 3}}, {1, {1e-3}}, INT_MIN, 4.9e-324});
    CHECK_OK(set_options(&c, "{}"));
}

static void test_value_messages(void)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"hidden: 0", "c.yaml:1:1: key 'hidden': expected integer, 1 to 4096; found '0'"},
        {"rate: 1\nhidden: 4097", "c.yaml:2:1: key 'hidden': expected integer, 1 to 4096; found '4097'"},
        {"hidden: 1.5", "found '1.5'"},
        {"hidden: 1e3", "found '1e3'"},
        {"hidden: 1e999", "found '1e999'"},
        {"hidden: 99999999999999999999", "found '99999999999999999999'"},
        {"hidden: 4294967297", "found '4294967297'"},
        {"offset: 2147483648", "key 'offset': expected integer; found '2147483648'"},
        {"offset: -2147483649", "found '-2147483649'"},
        {"offset: 1e999", "found '1e999'"},
        {"offset: 010", "found '010'"},
        {"offset: 0x10", "found '0x10'"},
        {"offset: 1_000", "found '1_000'"},
        {"offset: '5'", "found the text \"5\""},
        {"offset:", "found nothing"},
        {"offset: true", "found 'true'"},
        {"offset: + 5", "found '+ 5'"},
        {"hidden: [5]", "found a list of 1"},
        {"hidden: {a: 5}", "found a map"},
        {"rate: 1.0000001", "c.yaml:1:1: key 'rate': expected real number, 0 to 1; found '1.0000001'"},
        {"rate: -1e-300", "found '-1e-300'"},
        {"rate: nan", "found 'nan'"},
        {"rate: .nan", "found '.nan'"},
        {"rate: inf", "found 'inf'"},
        {"any: .inf", "key 'any': expected real number; found '.inf'"},
        {"any: nan", "found 'nan'"},
        {"any: 1e999", "found '1e999'"},
        {"any: 1e", "found '1e'"},
        {"any: .", "found '.'"},
        {"any: 1,5", "found '1,5'"},
        {"any: 1.5x", "found '1.5x'"},
        {"any: 0x1p3", "found '0x1p3'"},
        {"any: infinity", "found 'infinity'"},
        {"any: '1.5'", "found the text \"1.5\""},
        {"slope: inf", "key 'slope': expected real number, -inf to 5; found 'inf'"},
        {"slope: -1e999", "found '-1e999'"},
        {"slope: nan", "found 'nan'"},
        {"bias: yes", "key 'bias': expected true or false; found 'yes'"},
        {"bias: True", "found 'True'"},
        {"bias: 1", "found '1'"},
        {"bias: 'true'", "found the text \"true\""},
        {"bias: [true]", "found a list of 1"},
        {"optimizer: adm", "key 'optimizer': expected one of sgd, rmsprop, adam; found 'adm': did you mean 'adam'?"},
        {"optimizer: lbfgs", "expected one of sgd, rmsprop, adam; found 'lbfgs'"},
        {"optimizer: sgd|adam", "found 'sgd|adam'"},
        {"optimizer:", "found nothing"},
        {"optimizer: [sgd]", "found a list of 1"},
        {"path: [a]", "key 'path': expected text of at most 1023 bytes; found a list of 1"},
        {"layers: [5, 0]",
         "c.yaml:1:13: key 'layers': expected list of at most 64 integers, each at least 1; found '0'"},
        {"layers: [5, [6]]", "c.yaml:1:13: key 'layers'"},
        {"layers: 2.5", "found '2.5'"},
        {"layers: {a: 1}", "found a map"},
        {"betas:\n  - 0.5\n  - x\n",
         "c.yaml:3:5: key 'betas': expected list of at most 64 real numbers, each at least 0; found 'x'"},
        {"betas: .inf", "found '.inf'"},
        {"hidden: \"a\\nb\"", "found the text \"a...\""},
        {"[1, 2]", "c.yaml:1:1: expected a map of options; found a list of 2"},
        {"5", "found '5'"},
    };
    config c, before;
    memset(&c, 0, sizeof c);
    tx_options_defaults(table, &c);
    before = c;
    for (size_t i = 0; i < TX_LEN(bad); i++) {
        CHECK_INT(set_options(&c, bad[i].text), TX_ECONFIG);
        CHECK_HAS(tx_last_error(), bad[i].message);
        if (!strstr(bad[i].text, "rate: 1\n")) check_same(&c, &before);
        c = before;
    }
}

static void test_long_values(void)
{
    config c;
    tx_options_defaults(table, &c);
    char text[4000] = "layers: [";
    for (int i = 0; i < 63; i++) strcat(text, "3, ");
    strcat(text, "3]");
    CHECK_OK(set_options(&c, text));
    CHECK_INT(c.layers.n, 64);
    text[strlen(text) - 1] = 0;
    strcat(text, ", 3]");
    CHECK_INT(set_options(&c, text), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "found a list of 65");
    for (int n = 1023; n <= 1024; n++) {
        snprintf(text, sizeof text, "path: %d%0*d", n - 1022, n - 1, 0);
        CHECK_INT(set_options(&c, text), n == 1023 ? TX_OK : TX_ECONFIG);
        CHECK_INT(strlen(c.path), 1023);
        CHECK_INT(c.path[0], '1'); /* what is refused leaves the field alone */
    }
    CHECK_HAS(tx_last_error(), "found '20000");
    CHECK_HAS(tx_last_error(), "0...'");
}

static void test_unknown_keys(void)
{
    config c;
    tx_options_defaults(table, &c);
    CHECK_INT(set_options(&c, "rate: 0.5\nhiden: 3"), TX_ECONFIG);
    CHECK_TEXT(tx_last_error(), "c.yaml:2:1: unknown key 'hiden': did you mean 'hidden'?");
    CHECK_INT(set_options(&c, "zzzzz: 3"), TX_ECONFIG);
    CHECK_TEXT(tx_last_error(), "c.yaml:1:1: unknown key 'zzzzz': known here: hidden, rate, slope, bias, optimizer, "
                                "path, layers, betas, offset, any");
    char text[2000];
    memset(text, 'z', sizeof text);
    snprintf(text + 1000, 8, ": 3");
    CHECK_INT(set_options(&c, text), TX_ECONFIG); /* a key this long is already no YAML key or an unknown one */
}

typedef struct rule {
    double rate, momentum;
} rule;

static const tx_option rule_table[] = {
    {"rate", TX_OPT_REAL, offsetof(rule, rate), "0.5", 0, 1, NULL, "step size", NULL},
    {"momentum", TX_OPT_REAL, offsetof(rule, momentum), "0.9", 0, 1, NULL, "decay", NULL},
    {.name = NULL},
};

static void test_shared_map(void)
{
    config c;
    rule r;
    tx_options_defaults(table, &c);
    tx_options_defaults(rule_table, &r);
    const tx_option_set set[] = {{table, &c}, {rule_table, &r}};
    const char *const skip[] = {"model", "train", NULL};
    tx_yaml *y = parse("model: vae\nhidden: 65\nmomentum: 0.75\nrate: 0.125\ntrain: {epochs: 3}\n");
    CHECK_OK(tx_options_parse(set, 2, y, "c.yaml", skip));
    CHECK_INT(c.hidden, 65);
    CHECK_TRUE(r.momentum == 0.75 && r.rate == 0.125 && c.rate == 0.125);
    CHECK_INT(tx_options_parse(set, 2, y, "c.yaml", NULL), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "c.yaml:1:1: unknown key 'model': known here: hidden");
    CHECK_OK(tx_yaml_override(y, "momentm=0.5"));
    CHECK_INT(tx_options_parse(set, 2, y, "c.yaml", skip), TX_ECONFIG);
    CHECK_TEXT(tx_last_error(), "command line: unknown key 'momentm': did you mean 'momentum'?");
    tx_yaml_free(y);
    y = parse("trian: 5");
    CHECK_INT(tx_options_parse(set, 2, y, "c.yaml", skip), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "did you mean 'train'?");
    CHECK_INT(tx_options_parse(set, 0, y, "c.yaml", NULL), TX_ECONFIG);
    CHECK_HAS(tx_last_error(), "known here: none");
    tx_yaml_free(y);
    y = parse("momentum: 0.5");
    CHECK_OK(tx_yaml_override(y, "momentum=1.5"));
    CHECK_INT(tx_options_parse(set, 2, y, "c.yaml", skip), TX_ECONFIG);
    CHECK_TEXT(tx_last_error(), "command line: key 'momentum': expected real number, 0 to 1; found '1.5'");
    tx_yaml_free(y);
}

static void test_range_texts(void)
{
    char buf[TX_TEXT_MAX];
    const tx_option at_most = {.name = "a", .type = TX_OPT_INT, .min = INT_MIN, .max = -2};
    const tx_option small = {.name = "b", .type = TX_OPT_REALS, .min = 1e-12, .max = 0.95};
    const tx_option free_int = {.name = "c", .type = TX_OPT_INT, .min = INT_MIN, .max = INT_MAX};
    const tx_option above = {.name = "d", .type = TX_OPT_INT, .min = 0, .max = INFINITY};
    CHECK_TEXT(tx_option_range(&at_most, buf, sizeof buf), "integer, at most -2");
    CHECK_TEXT(tx_option_range(&small, buf, sizeof buf), "list of at most 64 real numbers, each 1e-12 to 0.95");
    CHECK_TEXT(tx_option_range(&free_int, buf, sizeof buf), "integer");
    CHECK_TEXT(tx_option_range(&above, buf, sizeof buf), "integer, at least 0");
    CHECK_TEXT(tx_option_range(tx_options_find(table, "layers"), buf, 12), "list of at ");
    CHECK_TEXT(tx_option_choice(tx_options_find(table, "optimizer"), 1, buf, sizeof buf), "rmsprop");
}

static void check_round_trip(const config *c)
{
    static const size_t flags[] = {0, JSON_COMPACT, JSON_INDENT(2), JSON_SORT_KEYS};
    for (size_t i = 0; i < TX_LEN(flags); i++) {
        json_t *j = tx_options_json(table, c);
        char *text = json_dumps(j, flags[i]);
        json_decref(j);
        config back;
        tx_options_defaults(table, &back);
        CHECK_OK(set_options(&back, text));
        check_same(&back, c);
        free(text);
    }
}

static void test_json(void)
{
    config c;
    tx_options_defaults(table, &c);
    c.rate = 0.1;
    json_t *j = tx_options_json(table, &c);
    char *text = json_dumps(j, JSON_COMPACT);
    CHECK_TEXT(text,
               "{\"hidden\":200,\"rate\":0.10000000000000001,\"slope\":\"-inf\",\"bias\":true,\"optimizer\":\"adam\","
               "\"path\":\"\",\"layers\":[500,250],\"betas\":[0.90000000000000002,0.999],\"offset\":-3,"
               "\"any\":2.3849999999999998}");
    free(text);
    json_decref(j);
    check_round_trip(&c);
    check_round_trip(&(config){1,
                               1.0 / 3,
                               -1e-320,
                               false,
                               0,
                               "a: [b] #c\t\"d\"\\\n'e' \xF0\x9F\x8E\xB2 \xC3\xA9",
                               {0, {0}},
                               {4, {5e-324, 0.1 + 0.2, 1.7976931348623157e308, 3}},
                               INT_MIN,
                               12345678.9e-30});
}

static void encode(unsigned cp, char s[5])
{
    memset(s, 0, 5);
    if (cp < 0x80) {
        s[0] = (char)cp;
    } else if (cp < 0x800) {
        s[0] = (char)(0xC0 | cp >> 6);
        s[1] = (char)(0x80 | (cp & 63));
    } else {
        s[0] = (char)(0xE0 | cp >> 12);
        s[1] = (char)(0x80 | (cp >> 6 & 63));
        s[2] = (char)(0x80 | (cp & 63));
    }
}

/* Every character that an escape can bring in is refused at once or survives JSON. */
static void test_json_characters(void)
{
    static const tx_option one[] = {{"s", TX_OPT_STRING, 0, "", 0, 0, NULL, "", NULL}, {.name = NULL}};
    int accepted = 0;
    for (unsigned cp = 0; cp < 0x10000; cp += cp == 0x2FFF ? 0xB001 : 1) {
        char text[32], s[TX_TEXT_MAX], back[TX_TEXT_MAX], want[8], ch[5];
        snprintf(text, sizeof text, "s: \"x\\u%04Xy\"", cp);
        encode(cp, ch);
        snprintf(want, sizeof want, "x%sy", ch);
        tx_yaml *y = NULL;
        if (tx_yaml_parse(text, strlen(text), "c.yaml", &y)) continue;
        accepted++;
        CHECK_OK(tx_options_parse(&(tx_option_set){one, s}, 1, y, "c.yaml", NULL));
        tx_yaml_free(y);
        CHECK_TEXT(s, want);
        json_t *j = tx_options_json(one, s);
        char *dump = json_dumps(j, 0);
        json_decref(j);
        y = parse(dump);
        free(dump);
        CHECK_OK(tx_options_parse(&(tx_option_set){one, back}, 1, y, "c.yaml", NULL));
        tx_yaml_free(y);
        CHECK_TEXT(back, want);
    }
    /* All but the control characters (tab and newline are none here), two separators, the mark and two non-characters.
     */
    CHECK_INT(accepted, 0x3000 - 30 - 33 - 2 + 0x2000 - 3);
}

/* Numbers keep their point where the program's locale has a comma. */
static void test_locale(void)
{
    static const char *const comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "sv_SE.UTF-8", "pt_BR.UTF-8"};
    bool set = false;
    for (size_t i = 0; i < TX_LEN(comma) && !set; i++) set = setlocale(LC_NUMERIC, comma[i]) != NULL;
    printf(set ? " [with a comma] " : " [no locale with a comma here] ");
    config c;
    char buf[TX_TEXT_MAX];
    const tx_option o = {.name = "b", .type = TX_OPT_REAL, .min = 0.5, .max = 0.95};
    tx_options_defaults(table, &c);
    CHECK_TRUE(c.any == 2.385);
    CHECK_OK(set_options(&c, "any: 1.25"));
    CHECK_TRUE(c.any == 1.25);
    CHECK_INT(set_options(&c, "any: 1,25"), TX_ECONFIG);
    CHECK_TEXT(tx_option_range(&o, buf, sizeof buf), "real number, 0.5 to 0.95");
    check_round_trip(&c);
    setlocale(LC_NUMERIC, "C");
}

int main(void)
{
    static const tx_test test[] = {
        {"tree", test_tree},
        {"encodings", test_encodings},
        {"refused features", test_refused_features},
        {"refused bytes", test_refused_bytes},
        {"limits", test_limits},
        {"file", test_file},
        {"override", test_override},
        {"override refused", test_override_refused},
        {"defaults", test_defaults},
        {"duties", test_duties},
        {"values", test_values},
        {"value messages", test_value_messages},
        {"long values", test_long_values},
        {"unknown keys", test_unknown_keys},
        {"shared map", test_shared_map},
        {"range texts", test_range_texts},
        {"json", test_json},
        {"json characters", test_json_characters},
        {"locale", test_locale},
    };
    return tx_run_tests("config", test, TX_LEN(test));
}
