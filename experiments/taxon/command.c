#include "experiments/taxon/command.h"
#include "common/base/build.h"
#include "common/tensor/kernels.h"
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const tx_command tx_command_run, tx_command_list, tx_command_show, tx_command_config, tx_command_status,
    tx_command_watch, tx_command_collect, tx_command_table, tx_command_sample, tx_command_evaluate, tx_command_doctor,
    tx_command_data, tx_command_bench, tx_command_reproduce, tx_command_impute, tx_command_completion,
    tx_command_manual, tx_command_report, tx_command_run_one;

const tx_command *const tx_subcommands[] = {
    &tx_command_run,      &tx_command_list,       &tx_command_show,   &tx_command_config,  &tx_command_status,
    &tx_command_watch,    &tx_command_collect,    &tx_command_table,  &tx_command_report,  &tx_command_sample,
    &tx_command_evaluate, &tx_command_doctor,     &tx_command_bench,  &tx_command_data,    &tx_command_reproduce,
    &tx_command_impute,   &tx_command_completion, &tx_command_manual, &tx_command_run_one, NULL,
};

enum { FIRST_FLAG = 256, HELP = 'h', MAX_COMMANDS = 64 };

static int flag_count(const tx_command *c)
{
    int n = 0;
    while (c->flags && c->flags[n].name) n++;
    TX_REQUIRE(n < TX_MAX_FLAGS, "'%s' has %d flags", c->name, n);
    return n;
}

static void print_flag(const tx_flag *f)
{
    enum { LEFT = 26 };
    char left[128];
    char letter[4] = {'-', f->letter, ',', 0};
    snprintf(left, sizeof left, "%3s --%s%s%s", f->letter ? letter : "", f->name, f->arg ? " " : "",
             f->arg ? f->arg : "");
    printf("  %-*s", LEFT, left);
    if (strlen(left) > LEFT) printf("\n  %*s", LEFT, "");
    printf(" %s\n", f->doc);
}

static void print_help(const tx_command *c)
{
    static const tx_flag help = {"help", HELP, NULL, "print this"};
    printf("taxon %s %s\n\n%s.\n\n", c->name, c->usage, c->summary);
    for (int i = 0; i < flag_count(c); i++) print_flag(&c->flags[i]);
    print_flag(&help);
    if (c->detail) printf("\n%s\n", c->detail);
}

static void print_commands(FILE *to)
{
    fprintf(to, "taxon SUBCOMMAND ...: " TX_SUMMARY "\n\n");
    for (int i = 0; tx_subcommands[i]; i++)
        if (!tx_subcommands[i]->hidden)
            fprintf(to, "  %-10s %s\n", tx_subcommands[i]->name, tx_subcommands[i]->summary);
    fprintf(to, "\n`taxon SUBCOMMAND --help` prints its flags; `taxon --version` what was built.\n");
}

static tx_status fail_flag(const tx_command *c, const char *text)
{
    const char *name[TX_MAX_FLAGS + 1] = {"help"};
    for (int i = 0; i < flag_count(c); i++) name[i + 1] = c->flags[i].name;
    name[flag_count(c) + 1] = NULL;
    char word[TX_NAME_MAX];
    tx_copy_text(word, sizeof word, text + strspn(text, "-"));
    word[strcspn(word, "=")] = 0;
    const char *near = tx_nearest(word, name);
    return tx_fail(TX_EUSAGE, "%s: unknown flag '%s'%s%s%s; `taxon %s --help` lists them", c->name, text,
                   near ? ": did you mean '--" : "", near ? near : "", near ? "'?" : "", c->name);
}

/* Index of the flag that getopt returned, -1 for the help. */
static int flag_of(const tx_command *c, int k)
{
    if (k == HELP) return -1;
    if (k >= FIRST_FLAG) return k - FIRST_FLAG;
    int i = 0;
    while (c->flags[i].letter != k) i++;
    return i;
}

static tx_status parse(const tx_command *c, int argc, char **argv, tx_args *a, bool *help)
{
    struct option option[TX_MAX_FLAGS + 1] = {{"help", no_argument, NULL, HELP}};
    char letters[2 * TX_MAX_FLAGS + 4] = ":h";
    int n = flag_count(c);
    size_t k = strlen(letters);
    for (int i = 0; i < n; i++) {
        const tx_flag *f = &c->flags[i];
        option[i + 1] = (struct option){f->name, f->arg ? required_argument : no_argument, NULL, FIRST_FLAG + i};
        if (!f->letter) continue;
        letters[k++] = f->letter;
        if (f->arg) letters[k++] = ':';
    }
    opterr = 0;
    optind = 0;
    for (int found; (found = getopt_long(argc, argv, letters, option, NULL)) != -1;) {
        if (found == ':') return tx_fail(TX_EUSAGE, "%s: '%s' needs an argument", c->name, argv[optind - 1]);
        if (found == '?') return fail_flag(c, argv[optind - 1]);
        int i = flag_of(c, found);
        if (i < 0)
            *help = true;
        else
            a->value[i] = optarg ? optarg : "";
    }
    a->command = c;
    a->n = argc - optind;
    a->v = argv + optind;
    if (!*help && (a->n < c->min || (c->max >= 0 && a->n > c->max)))
        return tx_fail(TX_EUSAGE, "%s: %s; usage: taxon %s %s", c->name,
                       a->n < c->min ? "an argument is missing" : "too many arguments", c->name, c->usage);
    return TX_OK;
}

static const tx_command *find(const char *name)
{
    for (int i = 0; tx_subcommands[i]; i++)
        if (strcmp(tx_subcommands[i]->name, name) == 0) return tx_subcommands[i];
    return NULL;
}

static tx_status fail_command(const char *word)
{
    const char *name[MAX_COMMANDS] = {NULL};
    int n = 0;
    for (int i = 0; tx_subcommands[i]; i++)
        if (!tx_subcommands[i]->hidden) name[n++] = tx_subcommands[i]->name;
    const char *near = tx_nearest(word, name);
    return tx_fail(TX_EUSAGE, "unknown subcommand '%s'%s%s%s; `taxon --help` lists them", word,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int dispatch(int argc, char **argv)
{
    TX_TRY(tx_kernels_start()); /* TAXON_ISA is obeyed, or refused, whatever follows */
    const char *word = argc > 1 ? argv[1] : "";
    if (!*word) {
        print_commands(stderr);
        return tx_fail(TX_EUSAGE, "a subcommand is missing");
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        const tx_command *c = argc > 2 ? find(argv[2]) : NULL;
        if (argc > 2 && !c) return fail_command(argv[2]);
        if (c)
            print_help(c);
        else
            print_commands(stdout);
        return TX_OK;
    }
    if (strcmp(word, "--version") == 0) {
        printf("taxon %s (%s, %s, %s, %s)\n", TX_VERSION, TX_GIT, TX_BUILD_TYPE, sizeof(real) == 4 ? "float" : "double",
               TX_COMPILER);
        return TX_OK;
    }
    const tx_command *c = find(word);
    if (!c) return fail_command(word);
    tx_args a = {0};
    bool help = false;
    TX_TRY(parse(c, argc - 1, argv + 1, &a, &help));
    if (!help) return c->run(&a);
    print_help(c);
    return TX_OK;
}

int tx_command_main(int argc, char **argv)
{
    int code = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        int reason = errno;
        if (code == TX_OK) code = tx_fail(TX_EIO, "standard output: %s", strerror(reason));
    }
    if (code != TX_OK && *tx_last_error()) fprintf(stderr, "taxon: %s\n", tx_last_error());
    return code;
}

static const char *value_of(const tx_args *a, const char *flag)
{
    for (int i = 0; a->command->flags && a->command->flags[i].name; i++)
        if (strcmp(a->command->flags[i].name, flag) == 0) return a->value[i];
    tx_die(__FILE__, __LINE__, flag, "'%s' has no such flag", a->command->name);
}

bool tx_args_on(const tx_args *a, const char *flag) { return value_of(a, flag) != NULL; }

const char *tx_args_text(const tx_args *a, const char *flag, const char *otherwise)
{
    const char *v = value_of(a, flag);
    return v ? v : otherwise;
}

tx_status tx_args_int(const tx_args *a, const char *flag, int min, int max, int otherwise, int *out)
{
    const char *text = value_of(a, flag);
    *out = otherwise;
    if (!text) return TX_OK;
    char *end = NULL;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < min || v > max)
        return tx_fail(TX_EUSAGE, "%s: --%s: expected an integer from %d to %d; found '%s'", a->command->name, flag,
                       min, max, text);
    *out = (int)v;
    return TX_OK;
}
