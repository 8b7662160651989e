/* A comparison as a user gives it: a file, and after a line "%%" the overrides of the command line, one a line. What is
 * accepted is written and read again; both must say the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "experiments/taxon/config.h"
#include "experiments/taxon/print.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_OVERRIDES = 16, MAX_PAIRS = 2, TEXT_LIMIT = 1 << 20 };
static const char mark[] = "\n%%\n";

static void check_same(json_t *found, json_t *expected, const char *text)
{
    TX_REQUIRE(json_equal(found, expected), "read again it says otherwise:\n%s", text);
    json_decref(found);
}

static void read_again(const char *text, json_t *expected)
{
    tx_comparison c;
    if (strlen(text) > TEXT_LIMIT) return;
    tx_status s = tx_comparison_parse(&c, text, "again", NULL, 0);
    TX_REQUIRE(s == TX_OK, "%s:\n%s", tx_last_error(), text);
    check_same(tx_comparison_json(&c), expected, text);
    tx_comparison_free(&c);
}

static void check_spec(const tx_comparison *c, int data, int model)
{
    tx_spec spec;
    json_t *j = tx_spec_json(&c->data[data].spec, &c->model[model].spec, &c->evaluate, c->seeds.v[0]);
    char *text = tx_json_text(j);
    tx_status s = tx_spec_parse(&spec, text, "spec");
    TX_REQUIRE(s == TX_OK, "%s:\n%s", tx_last_error(), text);
    check_same(tx_spec_json(&spec.data, &spec.model, &spec.evaluate, spec.seed), j, text);
    tx_spec_free(&spec);
    free(text);
    json_decref(j);
}

static void check_accepted(const tx_comparison *c)
{
    json_t *j = tx_comparison_json(c);
    char *text = tx_json_text(j);
    tx_text yaml = {0};
    tx_json_yaml(&yaml, j);
    read_again(text, j);
    read_again(yaml.s, j);
    for (int d = 0; d < c->n_data && d < MAX_PAIRS; d++)
        for (int m = 0; m < c->n_model && m < MAX_PAIRS; m++) check_spec(c, d, m);
    tx_text_free(&yaml);
    free(text);
    json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *override[MAX_OVERRIDES], *copy = NULL;
    int n = 0;
    const uint8_t *end = memmem(data, size, mark, sizeof mark - 1);
    const size_t file = end ? (size_t)(end - data) + 1 : size;
    if (end) {
        const size_t rest = size - file - (sizeof mark - 2);
        copy = tx_alloc(rest + 1, 1);
        memcpy(copy, end + sizeof mark - 1, rest);
        char *next = copy;
        while (n < MAX_OVERRIDES && next && *next) override[n++] = strsep(&next, "\n");
    }
    const char *path = fuzz_file(data, file);
    tx_comparison c;
    tx_status s = tx_comparison_read(&c, path, override, n);
    if (s == TX_OK) {
        check_accepted(&c);
        tx_comparison_free(&c);
    } else {
        fuzz_refused(s, TX_ECONFIG, TX_EUSAGE, n ? "" : path);
    }
    free(copy);
    return 0;
}
