/* Completions of shells, from the same tables as --help. What an argument is called says what it can be: lower-case
 * words stand for themselves, ESTIMATOR for the names in that catalog, FILE, DIR and RUN for files. */
#include "common/base/text.h"
#include "experiments/bench/bench.h"
#include "experiments/taxon/catalog.h"
#include "experiments/taxon/command.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct choice {
    tx_text words; /* with blanks between */
    bool files;
} choice;

static void add_word(tx_text *t, const char *word, size_t n)
{
    for (const char *at = t->s; at && (at = strstr(at, word)); at++) /* several catalogs share a name */
        if ((at == t->s || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ') && strlen(word) == n) return;
    tx_text_add(t, "%s%.*s", t->len ? " " : "", (int)n, word);
}

static void add_catalog(tx_text *t, const tx_catalog *c)
{
    tx_item item;
    for (int i = 0; c->at(i, &item); i++) add_word(t, item.name, strlen(item.name));
}

/* "DATASET" and "data set". */
static bool is_noun(const char *part, size_t n, const char *noun)
{
    size_t i = 0;
    for (; *noun; noun++)
        if (*noun != ' ' && (i >= n || tolower((unsigned char)part[i++]) != *noun)) return false;
    return i == n;
}

static bool is(const char *part, size_t n, const char *word) { return strlen(word) == n && memcmp(part, word, n) == 0; }

static void add_part(choice *c, const char *part, size_t n)
{
    static const char *const of_files[] = {"FILE", "DIR", "RUN", "CONFIG", "MASK"};
    if (strspn(part, "abcdefghijklmnopqrstuvwxyz_") >= n) {
        char word[TX_NAME_MAX];
        snprintf(word, sizeof word, "%.*s", (int)n, part);
        add_word(&c->words, word, n);
        return;
    }
    for (size_t i = 0; i < TX_LEN(of_files); i++) {
        size_t len = strlen(of_files[i]);
        if (len <= n && memcmp(part, of_files[i], len) == 0 && (len == n || part[len] == '.')) c->files = true;
    }
    for (const tx_catalog *k = tx_catalog_list; k->plural; k++)
        if (is(part, n, "NAME") || is_noun(part, n, k->noun)) add_catalog(&c->words, k);
    for (const tx_workload *w = tx_workloads; is(part, n, "WORKLOAD") && w->name; w++)
        add_word(&c->words, w->name, strlen(w->name));
    for (int i = 0; is(part, n, "FAMILY") && tx_bench_family(i); i++)
        add_word(&c->words, tx_bench_family(i), strlen(tx_bench_family(i)));
}

/* Of "DIR|FILE|DATASET", or of a usage behind its verb: flags in it, and their arguments, are told elsewhere. */
static choice choice_of(const char *text)
{
    static const char between[] = " |[]";
    choice c = {0};
    bool argument = false;
    for (size_t n; text && *(text += strspn(text, between)); text += n) {
        n = strcspn(text, between);
        if (*text == '-')
            argument = true;
        else if (argument)
            argument = false;
        else
            add_part(&c, text, n);
    }
    return c;
}

static void choice_free(choice *c) { tx_text_free(&c->words); }
static const char *words_of(const choice *c) { return c->words.s ? c->words.s : ""; }

/* "check" of "check DIR|FILE": its length, 0 of a usage without one. */
static size_t verb(const tx_command *c)
{
    size_t n = strspn(c->usage, "abcdefghijklmnopqrstuvwxyz");
    return c->usage[n] == ' ' ? n : 0;
}

static const tx_flag help = {"help", 'h', NULL, "print this"};

/* The flags of a command, and --help behind the last; NULL past it. */
static const tx_flag *flag_at(const tx_command *c, int i)
{
    for (int k = 0; c->flags && c->flags[k].name; k++, i--)
        if (i == 0) return &c->flags[k];
    return i == 0 ? &help : NULL;
}

/* Inside single quotes: `special` gets a backslash, a quote becomes `quote`. */
static void put(tx_text *t, const char *s, const char *special, const char *quote)
{
    for (; *s; s++) {
        if (*s == '\'')
            tx_text_add(t, "%s", quote);
        else
            tx_text_add(t, "%s%c", strchr(special, *s) ? "\\" : "", *s);
    }
}

static const tx_command *visible(int *i)
{
    while (tx_subcommands[*i] && tx_subcommands[*i]->hidden) ++*i;
    return tx_subcommands[*i] ? tx_subcommands[(*i)++] : NULL;
}

static void add_commands(tx_text *t)
{
    const tx_command *c;
    for (int i = 0; (c = visible(&i));) tx_text_add(t, "%s%s", t->len ? " " : "", c->name);
}

/* ---- bash ---- */

static void bash_flag_arguments(tx_text *t, const tx_command *c)
{
    const tx_flag *f;
    for (int i = 0; (f = flag_at(c, i)); i++) {
        if (!f->arg) continue;
        choice k = choice_of(f->arg);
        tx_text_add(t, "        '%s --%s'", c->name, f->name);
        if (f->letter) tx_text_add(t, " | '%s -%c'", c->name, f->letter);
        tx_text_add(t, ") words='%s' files=%s ;;\n", words_of(&k), k.files ? "1" : "");
        choice_free(&k);
    }
}

static void bash_arguments(tx_text *t, const tx_command *c)
{
    const tx_flag *f;
    choice k = choice_of(c->usage + verb(c));
    tx_text_add(t, "                '%s -'*) words='", c->name);
    for (int i = 0; (f = flag_at(c, i)); i++) tx_text_add(t, "%s--%s", i ? " " : "", f->name);
    tx_text_add(t, "' ;;\n");
    if (verb(c))
        tx_text_add(
            t, "                '%s '*) if [[ $COMP_CWORD == 2 ]]; then words=%.*s; else words='%s' files=%s; fi ;;\n",
            c->name, (int)verb(c), c->usage, words_of(&k), k.files ? "1" : "");
    else
        tx_text_add(t, "                '%s '*) words='%s' files=%s ;;\n", c->name, words_of(&k), k.files ? "1" : "");
    choice_free(&k);
}

static void bash(tx_text *t)
{
    const tx_command *c;
    tx_text commands = {0};
    add_commands(&commands);
    tx_text_add(t,
                "# Completion of taxon in bash: source it, or keep it as bash-completion/completions/taxon.\n"
                "_taxon() {\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='' files=''\n"
                "    if [[ $word == = ]]; then\n"
                "        word=''\n"
                "    elif [[ $before == = ]]; then\n"
                "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
                "    fi\n"
                "    if [[ $COMP_CWORD == 1 ]]; then\n"
                "        before=taxon\n"
                "    fi\n"
                "    case \"${COMP_WORDS[1]} $before\" in\n"
                "        *' taxon' | 'help help') words='%s help --help --version' ;;\n",
                commands.s);
    for (int i = 0; (c = visible(&i));) bash_flag_arguments(t, c);
    tx_text_add(t, "        *)\n            case \"${COMP_WORDS[1]} $word\" in\n");
    for (int i = 0; (c = visible(&i));) bash_arguments(t, c);
    tx_text_add(t, "            esac ;;\n"
                   "    esac\n"
                   "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                   "    if [[ $files ]]; then\n"
                   "        compopt -o default\n"
                   "    fi\n"
                   "}\n"
                   "complete -F _taxon taxon\n");
    tx_text_free(&commands);
}

/* ---- zsh ---- */

static const char zsh_special[] = "[]:\\", zsh_quote[] = "'\\''";

static void zsh_action(tx_text *t, const choice *k)
{
    if (k->words.len && k->files)
        tx_text_add(t, "{compadd - %s; _files}", k->words.s);
    else if (k->words.len)
        tx_text_add(t, "(%s)", k->words.s);
    else
        tx_text_add(t, "%s", k->files ? "_files" : " ");
}

static void zsh_flag(tx_text *t, const tx_flag *f)
{
    if (f->letter)
        tx_text_add(t, " \\\n            '(-%c --%s)'{-%c%s,--%s%s}'[", f->letter, f->name, f->letter,
                    f->arg ? "+" : "", f->name, f->arg ? "=" : "");
    else
        tx_text_add(t, " \\\n            '--%s%s[", f->name, f->arg ? "=" : "");
    put(t, f->doc, zsh_special, zsh_quote);
    tx_text_add(t, "]");
    if (f->arg) {
        choice k = choice_of(f->arg);
        tx_text_add(t, ":");
        put(t, f->arg, zsh_special, zsh_quote);
        tx_text_add(t, ":");
        zsh_action(t, &k);
        choice_free(&k);
    }
    tx_text_add(t, "'");
}

static void zsh_command(tx_text *t, const tx_command *c)
{
    const tx_flag *f;
    choice k = choice_of(c->usage + verb(c));
    tx_text_add(t, "        %s) _arguments -s", c->name);
    for (int i = 0; (f = flag_at(c, i)); i++) zsh_flag(t, f);
    if (verb(c)) tx_text_add(t, " \\\n            '1: :(%.*s)'", (int)verb(c), c->usage);
    tx_text_add(t, " \\\n            '%s:", c->max == 1 && !verb(c) ? "1" : "*");
    put(t, c->usage, zsh_special, zsh_quote);
    tx_text_add(t, ":");
    zsh_action(t, &k);
    tx_text_add(t, "' ;;\n");
    choice_free(&k);
}

static void zsh(tx_text *t)
{
    const tx_command *c;
    tx_text_add(t, "#compdef taxon\n"
                   "# Completion of taxon in zsh: keep it as _taxon in a folder of $fpath, or source it.\n"
                   "_taxon() {\n"
                   "    local -a commands=(\n");
    for (int i = 0; (c = visible(&i));) {
        tx_text_add(t, "        '%s:", c->name);
        put(t, c->summary, ":\\", zsh_quote);
        tx_text_add(t, "'\n");
    }
    tx_text_add(t, "    )\n"
                   "    if (( CURRENT == 2 )) || [[ $words[2] == help ]]; then\n"
                   "        _describe -t commands subcommand commands\n"
                   "        return\n"
                   "    fi\n"
                   "    shift words\n"
                   "    (( CURRENT-- ))\n"
                   "    case $words[1] in\n");
    for (int i = 0; (c = visible(&i));) zsh_command(t, c);
    tx_text_add(t, "    esac\n"
                   "}\n"
                   "if [[ $funcstack[1] == _taxon ]]; then _taxon \"$@\"; else compdef _taxon taxon; fi\n");
}

/* ---- fish ---- */

static const char fish_special[] = "\\", fish_quote[] = "\\'";

static void fish_choice(tx_text *t, const choice *k)
{
    if (k->files) tx_text_add(t, " -F");
    if (k->words.len) tx_text_add(t, " -a '%s'", k->words.s);
}

static void fish_flag(tx_text *t, const tx_command *c, const tx_flag *f)
{
    tx_text_add(t, "complete -c taxon -n '__taxon_in %s' -l %s", c->name, f->name);
    if (f->letter) tx_text_add(t, " -s %c", f->letter);
    if (f->arg) {
        choice k = choice_of(f->arg);
        tx_text_add(t, k.files ? " -r" : " -x");
        fish_choice(t, &k);
        choice_free(&k);
    }
    tx_text_add(t, " -d '");
    put(t, f->doc, fish_special, fish_quote);
    tx_text_add(t, "'\n");
}

static void fish_command(tx_text *t, const tx_command *c)
{
    const tx_flag *f;
    choice k = choice_of(c->usage + verb(c));
    tx_text_add(t, "complete -c taxon -n '__taxon_at 1' -a %s -d '", c->name);
    put(t, c->summary, fish_special, fish_quote);
    tx_text_add(t, "'\n");
    for (int i = 0; (f = flag_at(c, i)); i++) fish_flag(t, c, f);
    if (verb(c))
        tx_text_add(t, "complete -c taxon -n '__taxon_in %s; and __taxon_at 2' -a %.*s\n", c->name, (int)verb(c),
                    c->usage);
    if (k.words.len || k.files) {
        tx_text_add(t, "complete -c taxon -n '__taxon_in %s%s'", c->name, verb(c) ? "; and not __taxon_at 2" : "");
        fish_choice(t, &k);
        tx_text_add(t, "\n");
    }
    choice_free(&k);
}

static void fish(tx_text *t)
{
    const tx_command *c;
    tx_text_add(t, "# Completion of taxon in fish: keep it as taxon.fish in fish/vendor_completions.d, or source it.\n"
                   "function __taxon_at\n    test (count (commandline -opc)) -eq $argv[1]\nend\n"
                   "function __taxon_in\n    set -l words (commandline -opc)\n"
                   "    test (count $words) -gt 1; and test $words[2] = $argv[1]\nend\n"
                   "complete -c taxon -f\n"
                   "complete -c taxon -n '__taxon_at 1' -l version\n"
                   "complete -c taxon -n '__taxon_at 1' -l help\n");
    for (int i = 0; (c = visible(&i));) fish_command(t, c);
}

static const struct shell {
    const char *name;
    void (*write)(tx_text *t);
} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

static int run(const tx_args *a)
{
    for (size_t i = 0; i < TX_LEN(shells); i++) {
        if (strcmp(shells[i].name, a->v[0]) != 0) continue;
        tx_text t = {0};
        shells[i].write(&t);
        fputs(t.s, stdout);
        tx_text_free(&t);
        return TX_OK;
    }
    return tx_fail(TX_EUSAGE, "completion: unknown shell '%.80s'; expected one of %s", a->v[0], a->command->usage);
}

const tx_command tx_command_completion = {.name = "completion",
                                          .summary = "The completion of a shell, made from the same tables as --help",
                                          .usage = "bash|zsh|fish",
                                          .detail = "An installation has them in place. Elsewhere: source <(taxon "
                                                    "completion bash); taxon completion fish | source.",
                                          .min = 1,
                                          .max = 1,
                                          .run = run};
