/* Where the numbers come from: data, builds, runs, their configurations, and how to run them again. */
#include "experiments/taxon/config.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_term(tx_report *r, const char *term, const char *text)
{
    if (!text || !*text) return;
    tx_text_add(&r->out, "<dt>");
    tx_html_text(&r->out, term);
    tx_text_add(&r->out, "</dt><dd>");
    tx_html_text(&r->out, text);
    tx_text_add(&r->out, "</dd>\n");
}

static void put_code(tx_report *r, const char *text)
{
    tx_text_add(&r->out, "<pre tabindex=\"0\"><code>");
    tx_html_text(&r->out, text);
    tx_text_add(&r->out, "</code></pre>\n");
}

static void put_split(tx_report *r, tx_h5 *f, tx_split s)
{
    char group[64], text[TX_TEXT_MAX + 64];
    snprintf(group, sizeof group, "/data/%s", tx_split_name(s));
    if (!tx_h5_has(f, group)) return;
    char *origin = tx_h5_get_text(f, group, "origin");
    snprintf(text, sizeof text, "%d rows%s%.900s", tx_h5_get_i32(f, group, "n_rows"), origin ? ": " : "",
             origin ? origin : "");
    put_term(r, tx_split_name(s), text);
    free(origin);
}

void tx_report_data(tx_report *r)
{
    tx_report_heading(r, 2, "data", "Data");
    for (int i = 0; i < r->n_view; i++) {
        const tx_run_info *run = r->view[i].block->run;
        char name[2 * TX_NAME_MAX + 2];
        tx_report_view_name(&r->view[i], name);
        tx_report_heading(r, 3, NULL, name);
        tx_text_add(&r->out, "<dl>\n");
        put_term(r, "measure", run->measure);
        put_term(r, "data, sha256", run->dataset_sha256);
        put_term(r, "view, sha256", run->view_sha256);
        tx_h5 *f = tx_report_open(r, run);
        for (int s = 0; f && s < TX_N_SPLIT; s++) put_split(r, f, (tx_split)s);
        tx_report_close(r, f);
        tx_text_add(&r->out, "</dl>\n");
    }
}

/* What made a run, but for its times: most runs share it. */
static const char *const facts[] = {
    "version",         "git",         "compiler",     "flags",         "build_type",      "real",
    "instruction_set", "blas_config", "blas_core",    "system",        "system_release",  "machine",
    "version_hdf5",    "version_gsl", "version_zlib", "version_glibc", "version_jansson", "version_libyaml"};

typedef struct builds {
    int n;
    char **text; /* [n] "fact\tvalue\n" ... */
} builds;

static int build_of(tx_h5 *f, builds *b)
{
    tx_text t = {0};
    for (size_t i = 0; i < TX_LEN(facts); i++) {
        char *value = tx_h5_get_text(f, "/provenance", facts[i]);
        if (value) tx_text_add(&t, "%s\t%s\n", facts[i], value);
        free(value);
    }
    if (!t.s) tx_text_add(&t, "made with --reproducible\tno provenance\n");
    for (int i = 0; i < b->n; i++)
        if (strcmp(b->text[i], t.s) == 0) {
            tx_text_free(&t);
            return i;
        }
    b->text = tx_grow(b->text, (size_t)b->n, sizeof *b->text);
    b->text[b->n] = t.s;
    return b->n++;
}

enum { RUN, STATUS, EPOCHS, START, END, THREADS, BUILD, SHA, COLUMNS };
static const tx_column columns[COLUMNS] = {
    {"run", TX_ALIGN_LEFT},    {"status", TX_ALIGN_LEFT},        {"epochs (best)", TX_ALIGN_RIGHT},
    {"start", TX_ALIGN_LEFT},  {"end", TX_ALIGN_LEFT},           {"threads", TX_ALIGN_RIGHT},
    {"build", TX_ALIGN_RIGHT}, {"content_sha256", TX_ALIGN_LEFT}};

static void put_text_attribute(tx_sheet *s, tx_sheet_line *l, int column, tx_h5 *f, const char *name)
{
    char *text = tx_h5_get_text(f, "/provenance", name);
    tx_sheet_put(s, l, column, text ? text : "");
    free(text);
}

static void put_run(tx_report *r, tx_sheet *s, const tx_run_info *run, builds *b)
{
    char path[TX_TEXT_MAX], buf[TX_SHEET_CELL];
    tx_sheet_line *l = tx_sheet_add(s);
    tx_copy_text(path, sizeof path, tx_report_path(r, run->path));
    size_t n = strlen(path), k = strlen("/result.h5");
    if (n > k && strcmp(path + n - k, "/result.h5") == 0) path[n - k] = 0;
    tx_sheet_put(s, l, RUN, path);
    tx_sheet_put(s, l, STATUS, run->status);
    snprintf(buf, sizeof buf, "%d (%d)", run->epochs, run->best_epoch);
    tx_sheet_put(s, l, EPOCHS, run->epochs ? buf : "0");
    tx_sheet_put(s, l, SHA, run->content_sha256);
    tx_h5 *f = tx_report_open(r, run);
    if (!f) return;
    snprintf(buf, sizeof buf, "%d", build_of(f, b) + 1);
    tx_sheet_put(s, l, BUILD, buf);
    put_text_attribute(s, l, START, f, "start");
    put_text_attribute(s, l, END, f, "end");
    if (*l->cell[START]) {
        snprintf(buf, sizeof buf, "%d", tx_h5_get_i32(f, "/provenance", "threads"));
        tx_sheet_put(s, l, THREADS, buf);
    }
    tx_report_close(r, f);
}

static void put_builds(tx_report *r, builds *b)
{
    for (int i = 0; i < b->n; i++) {
        char title[64];
        snprintf(title, sizeof title, "Build %d", i + 1);
        tx_report_heading(r, 3, NULL, title);
        tx_text_add(&r->out, "<dl>\n");
        for (char *rest = NULL, *line = strtok_r(b->text[i], "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
            char *tab = strchr(line, '\t');
            if (!tab) continue;
            *tab = 0;
            put_term(r, line, tab + 1);
        }
        tx_text_add(&r->out, "</dl>\n");
        free(b->text[i]);
    }
    free(b->text);
}

/* A word of a shell. */
static void shell_word(tx_text *t, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=.+-/:,@%";
    if (*s && s[strspn(s, plain)] == 0) {
        tx_text_add(t, "%s", s);
        return;
    }
    tx_text_add(t, "'");
    for (; *s; s++) tx_text_add(t, *s == '\'' ? "'\\''" : "%c", *s);
    tx_text_add(t, "'");
}

/* The configuration without its seed; null where it cannot be read. */
static json_t *seedless(tx_report *r, const tx_run_info *run)
{
    json_t *j = json_deep_copy(tx_report_config(r, run));
    if (!j) return json_null();
    json_object_del(j, "seed");
    return j;
}

/* Runs that follow `run` and differ from it by their seeds alone, itself counted. */
static int same_but_seed(tx_report *r, const tx_run_info *run, int left)
{
    int n = 1;
    json_t *own = seedless(r, run);
    for (bool same = true; same && n < left; n += same) {
        json_t *other = seedless(r, &run[n]);
        same = json_equal(own, other) && strcmp(run->label, run[n].label) == 0;
        json_decref(other);
    }
    json_decref(own);
    return n;
}

static void put_config(tx_report *r, const tx_run_info *run, int n)
{
    tx_text yaml = {0}, command = {0}, title = {0};
    tx_text_add(&title, "%s, %s: %s, seed%s", run->dataset, run->view, run->label, tx_plural(n));
    for (int i = 0; i < n; i++) {
        tx_text_add(&title, "%s %d", i ? "," : "", run[i].seed);
        tx_text_add(&command, "taxon reproduce ");
        shell_word(&command, run[i].path);
        tx_text_add(&command, "\n");
    }
    json_t *config = seedless(r, run);
    if (json_is_object(config)) json_object_set_new(config, "seed", json_integer(run->seed));
    tx_json_yaml(&yaml, config);
    json_decref(config);
    tx_text_add(&r->out, "<details><summary>");
    tx_html_text(&r->out, title.s);
    tx_text_add(&r->out, "</summary>\n");
    put_code(r, yaml.s);
    tx_text_add(&r->out, "<p>To run again, and see whether the content is identical:</p>\n");
    put_code(r, command.s);
    tx_text_add(&r->out, "</details>\n");
    tx_text_free(&yaml), tx_text_free(&command), tx_text_free(&title);
}

static void put_configs(tx_report *r)
{
    size_t before = r->out.len;
    tx_report_heading(r, 3, NULL, "Configurations");
    tx_text_add(
        &r->out,
        "<p>Every option with its value, defaults filled in. A data set's relative path starts from the folder in "
        "which the command runs.</p>\n");
    int shown = r->g->n < TX_REPORT_RUNS ? r->g->n : TX_REPORT_RUNS;
    for (int i = 0; i < shown;) {
        int n = same_but_seed(r, &r->g->run[i], shown - i);
        if (r->out.len - before > TX_REPORT_CONFIG_BYTES) {
            tx_report_note(
                r,
                "Configurations from %s on are left out: the page would be too large. Every result.h5 has its own in "
                "/config/json.",
                tx_report_path(r, r->g->run[i].path));
            return;
        }
        if (tx_report_config(r, &r->g->run[i])) put_config(r, &r->g->run[i], n);
        i += n;
    }
}

static bool has_seed(const json_t *seeds, int seed)
{
    size_t i;
    json_t *one;
    json_array_foreach(seeds, i, one) if (json_integer_value(one) == seed) return true;
    return false;
}

/* A comparison whose runs are those of a data set and view: NULL where they cannot be of one, because they were
 * evaluated otherwise, or because one label has several configurations. */
static json_t *comparison_of(tx_report *r, const tx_board_block *b)
{
    const json_t *config = b->n_run <= TX_REPORT_RUNS ? tx_report_config(r, b->run) : NULL;
    if (!config) return NULL;
    json_t *seeds = json_array(), *models = json_array(), *first = json_object_get(config, "evaluate");
    bool one = true;
    for (int i = 0; i < b->n_run && one;) {
        const tx_run_info *run = &b->run[i];
        int n = same_but_seed(r, run, b->n_run - i);
        json_t *m = json_object(), *model;
        const json_t *own = tx_report_config(r, run);
        model = json_object_get(own, "model");
        one = (i == 0 || strcmp(run[-1].label, run->label) != 0) &&
              json_equal(first, json_object_get(own, "evaluate")) && model;
        json_object_set(m, "model", json_object_get(model, "name"));
        json_object_update_missing(m, model);
        json_object_del(m, "name");
        json_object_set(m, "train", json_object_get(own, "train"));
        json_array_append_new(models, m);
        for (int k = 0; k < n; k++)
            if (!has_seed(seeds, run[k].seed)) json_array_append_new(seeds, json_integer(run[k].seed));
        i += n;
    }
    json_t *j = json_pack("{so, s[O], so, sO}", "seeds", seeds, "datasets", json_object_get(config, "dataset"),
                          "models", models, "evaluate", first);
    if (j && one) return j;
    json_decref(j);
    return NULL;
}

static void put_comparison(tx_report *r, const tx_report_view *v)
{
    char name[2 * TX_NAME_MAX + 2], file[2 * TX_NAME_MAX + 8];
    tx_report_view_name(v, name);
    snprintf(file, sizeof file, "%s-%s.yaml", v->block->dataset, v->block->view);
    json_t *j = comparison_of(r, v->block);
    tx_text yaml = {0}, command = {0};
    tx_comparison c;
    if (j) tx_json_yaml(&yaml, j);
    json_decref(j);
    bool good = yaml.s && tx_comparison_parse(&c, yaml.s, file, NULL, 0) == TX_OK;
    if (good) tx_comparison_free(&c);
    if (good && yaml.len < TX_REPORT_CONFIG_BYTES / (size_t)r->n_view) {
        tx_text_add(&command, "taxon run ");
        shell_word(&command, file);
        tx_text_add(&r->out, "<details><summary>");
        tx_html_add(&r->out, "%s as one configuration", name);
        tx_text_add(&r->out, "</summary>\n<p>");
        tx_html_add(&r->out, "Saved as %s, all of its runs come from", file);
        tx_text_add(&r->out, "</p>\n");
        put_code(r, command.s);
        put_code(r, yaml.s);
        tx_text_add(&r->out, "</details>\n");
    } else {
        tx_report_note(r,
                       "%s: its runs are no one configuration of `taxon run`, or it is too long to print: reproduce "
                       "them one by one.",
                       name);
    }
    tx_text_free(&yaml), tx_text_free(&command);
}

static void put_commands(tx_report *r)
{
    tx_text t = {0};
    tx_report_heading(r, 3, NULL, "The whole comparison again");
    tx_text_add(&t, "find ");
    shell_word(&t, r->dir);
    tx_text_add(&t, " -name result.h5 -exec taxon reproduce {} ';'\n");
    tx_text_add(&r->out, "<p>Run by run, each compared with its stored content:</p>\n");
    put_code(r, t.s);
    tx_text_free(&t);
    tx_text_add(&t, "taxon report ");
    shell_word(&t, r->dir);
    tx_text_add(&t, " -o report.html\n");
    tx_text_add(&r->out, "<p>This page:</p>\n");
    put_code(r, t.s);
    tx_text_free(&t);
    for (int i = 0; i < r->n_view; i++) put_comparison(r, &r->view[i]);
}

void tx_report_runs(tx_report *r)
{
    tx_sheet s = {.n_column = COLUMNS, .column = columns};
    builds b = {0};
    int n = r->g->n < TX_REPORT_RUNS ? r->g->n : TX_REPORT_RUNS;
    tx_report_heading(r, 2, "runs", "Runs, configurations, commands");
    if (n < r->g->n) tx_report_note(r, "Runs and configurations are those of the first %d of %d runs.", n, r->g->n);
    for (int i = 0; i < n; i++) put_run(r, &s, &r->g->run[i], &b);
    r->html->sheet("the runs, sorted by data set, view, label and seed", &s, &r->out);
    tx_sheet_free(&s);
    put_builds(r, &b);
    put_commands(r);
    put_configs(r);
}
