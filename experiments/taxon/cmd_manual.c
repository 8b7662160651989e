/* Manual pages in mdoc, from the same tables as --help. */
#include "common/base/build.h"
#include "common/base/text.h"
#include "experiments/taxon/command.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 76 };

typedef struct entry {
    const char *name, *text;
} entry;

static const entry environment[] = {
    {"TAXON_DATA", "Folder of the data sets that are asked for by name: NAME/ or density/NAME/ in it."},
    {"TAXON_ISA", "Instruction set of the numerical loops, in place of the best that the processor has: x86-64, "
                  "x86-64-v2, x86-64-v3 or x86-64-v4. Results have other last bits with each."},
    {"OPENBLAS_CORETYPE", "Processor whose kernels OpenBLAS takes, in place of this one's. Other last bits as well."},
    {"OMP_WAIT_POLICY", "How threads wait for work; unless it or GOMP_SPINCOUNT is set, they spin for a short while."},
    {"HDF5_USE_FILE_LOCKING", "FALSE where a network file system cannot lock files: no file is changed in place."},
    {"TMPDIR", "Folder of temporary files, in place of /tmp."},
    {"COLUMNS", "Width of the progress bar, in place of the terminal's."},
    {NULL, NULL},
};

static const entry files[] = {
    {"results/EXPERIMENT/", "What `taxon run` makes, in the current folder unless --out names another one."},
    {"results/EXPERIMENT/compare.h5, compare.csv", "What is compared, copied from the runs."},
    {"results/EXPERIMENT/DATASET-VIEW/MODEL/seed-N/result.h5",
     "One finished run: config, curves, log-likelihoods, samples, parameters, costs, provenance."},
    {"results/EXPERIMENT/DATASET-VIEW/MODEL/seed-N/checkpoint.h5", "One that is not finished, to be resumed."},
    {"/usr/share/datasets/NAME/", "Where a data set is looked for after TAXON_DATA, as Debian's packages have them."},
    {NULL, NULL},
};

static const struct status {
    int code;
    const char *text;
} statuses[] = {
#define X(name, code, text) {code, text},
    TX_STATUS_MAP(X)
#undef X
        {TX_EXIT_BUG, "an error of the program, or of the installation"},
    {TX_EXIT_INTERRUPT, "interrupted a second time"},
};

/* Characters that roff would take for something else; flags keep their dashes. */
static void escape(tx_text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool dash = s[i] == '-' && (i == 0 || !isalnum((unsigned char)s[i - 1]));
        const char *other = s[i] == '\\'                   ? "\\e"
                            : s[i] == '`'                  ? "\\(ga"
                            : s[i] == '"'                  ? "\\(dq"
                            : s[i] == '~'                  ? "\\(ti"
                            : s[i] == '^'                  ? "\\(ha"
                            : dash                         ? "\\-"
                            : i == 0 && strchr(".'", s[0]) ? (s[0] == '.' ? "\\&." : "\\&'")
                                                           : NULL;
        if (other)
            tx_text_add(t, "%s", other);
        else
            tx_text_add(t, "%c", s[i]);
    }
}

/* Filled text: a line of at most WIDTH a line of input, a new one for each sentence. */
static void fill(tx_text *t, const char *s, size_t n)
{
    size_t start = t->len;
    for (size_t i = 0, len; i < n; i += len) {
        i += strspn(s + i, " \n");
        if (i >= n) break;
        len = strcspn(s + i, " \n");
        if (len > n - i) len = n - i;
        if (t->len > start) tx_text_add(t, t->len - start + len >= WIDTH ? "\n" : " ");
        if (t->s[t->len - 1] == '\n') start = t->len;
        escape(t, s + i, len);
        if (s[i + len - 1] == '.') tx_text_add(t, "\n"), start = t->len;
    }
    if (t->len > start) tx_text_add(t, "\n");
}

/* One argument of a macro. */
static void quoted(tx_text *t, const char *s)
{
    tx_text_add(t, " \"");
    escape(t, s, strlen(s));
    tx_text_add(t, "\"");
}

static void head(tx_text *t, const char *page, const char *summary)
{
    tx_text_add(t, ".Dd %s\n.Dt ", TX_DATE);
    for (const char *c = page; *c; c++) tx_text_add(t, "%c", toupper((unsigned char)*c));
    tx_text_add(t, " 1\n.Os taxon %s\n.Sh NAME\n.Nm %s\n.Nd", TX_VERSION, page);
    quoted(t, summary);
    tx_text_add(t, "\n.Sh SYNOPSIS\n");
}

static void list(tx_text *t, const char *title, const char *macro, const entry *e)
{
    tx_text_add(t, ".Sh %s\n.Bl -tag -width Ds\n", title);
    for (; e->name; e++) {
        tx_text_add(t, ".It %s %s\n", macro, e->name);
        fill(t, e->text, strlen(e->text));
    }
    tx_text_add(t, ".El\n");
}

static void flag(tx_text *t, const tx_flag *f)
{
    tx_text_add(t, ".It");
    if (f->letter) tx_text_add(t, " Fl %c ,", f->letter);
    tx_text_add(t, " Fl \\-%s", f->name);
    if (f->arg) {
        tx_text_add(t, " Ar");
        quoted(t, f->arg);
    }
    tx_text_add(t, "\n");
    fill(t, f->doc, strlen(f->doc));
}

/* Lines that start with a blank are shown as they are. */
static void prose(tx_text *t, const char *s, size_t n)
{
    for (size_t i = 0, len; i < n; i += len + (i + len < n)) {
        len = strcspn(s + i, "\n");
        if (len > n - i) len = n - i;
        if (s[i] == ' ') {
            size_t blanks = strspn(s + i, " ");
            tx_text_add(t, ".Dl ");
            escape(t, s + i + blanks, len - blanks);
            tx_text_add(t, "\n");
            continue;
        }
        while (i + len < n && s[i + len + 1] != ' ' && i + len + 1 < n) {
            size_t more = strcspn(s + i + len + 1, "\n");
            len += 1 + (more < n - i - len - 1 ? more : n - i - len - 1);
        }
        fill(t, s + i, len);
    }
}

static void command_page(tx_text *t, const tx_command *c)
{
    static const char codes[] = "Exit code ";
    static const tx_flag help = {"help", 'h', NULL, "print a summary of this page"};
    char page[TX_NAME_MAX];
    snprintf(page, sizeof page, "taxon-%s", c->name);
    head(t, page, c->summary);
    tx_text_add(t, ".Nm taxon %s\n%s", c->name, c->flags ? ".Op Ar flags\n" : "");
    fill(t, c->usage, strlen(c->usage));
    tx_text_add(t, ".Sh DESCRIPTION\n");
    fill(t, c->summary, strlen(c->summary));
    t->s[--t->len] = 0;
    tx_text_add(t, ".\n");
    const char *exits = c->detail ? strstr(c->detail, codes) : NULL;
    size_t n = !c->detail ? 0 : exits ? (size_t)(exits - c->detail) : strlen(c->detail);
    if (n) tx_text_add(t, ".Pp\n");
    if (n) prose(t, c->detail, n);
    tx_text_add(t, ".Sh OPTIONS\n.Bl -tag -width Ds\n");
    for (const tx_flag *f = c->flags; f && f->name; f++) flag(t, f);
    flag(t, &help);
    tx_text_add(t, ".El\n.Sh EXIT STATUS\n");
    if (exits) fill(t, exits, strlen(exits));
    tx_text_add(t, "%s.Xr taxon 1\nlists all codes.\n.Sh SEE ALSO\n.Xr taxon 1\n", exits ? ".Pp\n" : "");
}

static void main_page(tx_text *t)
{
    head(t, "taxon", TX_SUMMARY);
    tx_text_add(t, ".Nm\n.Ar subcommand\n.Op Ar argument ...\n.Nm\n.Fl \\-help | Fl \\-version\n.Sh DESCRIPTION\n");
    tx_text_add(t, "Each subcommand has a page of its own:\n.Bl -tag -width taxon-completion(1)\n");
    for (int i = 0; tx_subcommands[i]; i++) {
        if (tx_subcommands[i]->hidden) continue;
        tx_text_add(t, ".It Xr taxon-%s 1\n", tx_subcommands[i]->name);
        fill(t, tx_subcommands[i]->summary, strlen(tx_subcommands[i]->summary));
    }
    tx_text_add(t, ".El\n");
    list(t, "ENVIRONMENT", "Ev", environment);
    list(t, "FILES", "Pa", files);
    tx_text_add(t, ".Sh EXIT STATUS\n.Bl -tag -width 130\n");
    for (size_t k = 0; k < TX_LEN(statuses) << 8; k++) { /* in the order of codes */
        size_t i = k % TX_LEN(statuses);
        if (statuses[i].code != (int)(k / TX_LEN(statuses))) continue;
        tx_text_add(t, ".It %d\n", statuses[i].code);
        fill(t, statuses[i].text, strlen(statuses[i].text));
    }
    tx_text_add(t, ".El\n");
}

static tx_status write_page(const char *folder, const char *page, tx_text *t)
{
    char path[TX_TEXT_MAX];
    snprintf(path, sizeof path, "%.800s/%.100s.1", folder, page);
    FILE *f = fopen(path, "we");
    bool written = f && fwrite(t->s, 1, t->len, f) == t->len;
    tx_text_free(t);
    if (f && fclose(f) != 0) written = false;
    return written ? TX_OK : tx_fail(TX_ECREATE, "%s: %s", path, strerror(errno));
}

static int run(const tx_args *a)
{
    char page[TX_NAME_MAX];
    tx_text t = {0};
    main_page(&t);
    TX_TRY(write_page(a->v[0], "taxon", &t));
    for (int i = 0; tx_subcommands[i]; i++) {
        if (tx_subcommands[i]->hidden) continue;
        command_page(&t, tx_subcommands[i]);
        snprintf(page, sizeof page, "taxon-%s", tx_subcommands[i]->name);
        TX_TRY(write_page(a->v[0], page, &t));
    }
    return TX_OK;
}

const tx_command tx_command_manual = {.name = "manual",
                                      .summary = "The manual pages, into a folder",
                                      .usage = "DIR",
                                      .min = 1,
                                      .max = 1,
                                      .hidden = true,
                                      .run = run};
