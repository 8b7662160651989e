/** Subcommands as tables: they parse the command line and print the help. */
#ifndef TX_TAXON_COMMAND_H
#define TX_TAXON_COMMAND_H
#include "common/base/base.h"

/** What the command is, in a line. */
#define TX_SUMMARY "deep generative models compared on the same data"
enum { TX_MAX_FLAGS = 16, TX_EXIT_BUG = 70, TX_EXIT_INTERRUPT = 130 };

/** A row of a table of flags. */
typedef struct tx_flag {
    const char *name; /**< without the dashes; NULL ends a table */
    char letter;      /**< 0: none */
    const char *arg;  /**< what the argument is called in the help; NULL: a switch */
    const char *doc;
} tx_flag;

typedef struct tx_command tx_command;
/** A parsed command line. Texts are borrowed from argv. */
typedef struct tx_args {
    const tx_command *command;
    const char *value[TX_MAX_FLAGS]; /**< in the order of the table; NULL: not given; "" for a switch */
    int n;
    char **v; /**< [n] arguments that are no flags */
} tx_args;

/** A subcommand. */
struct tx_command {
    const char *name, *summary;
    const char *usage;            /**< what follows "taxon NAME" */
    const char *detail;           /**< lines under the flags, or NULL */
    const tx_flag *flags;         /**< NULL: none */
    int min, max;                 /**< how many arguments that are no flags; max -1: any number */
    bool hidden;                  /**< not in the list of subcommands */
    int (*run)(const tx_args *a); /**< exit code; the message of a failure is tx_last_error() */
};
extern const tx_command *const tx_subcommands[]; /**< NULL-terminated */

struct tx_model_ops;
/** The command, with models of a program's own (NULL-terminated, never freed; NULL: none) beside those of the library: its main is
 *  `return tx_main(argc, argv, own)`. Runs are processes of their own: they start this program again, with other arguments. The
 *  exit code is the command's; README.md lists them. */
int tx_main(int argc, char **argv, const struct tx_model_ops *const own[]);
/** What tx_main does after start-up: find the subcommand, parse, run; prints the message of a failure once. */
int tx_command_main(int argc, char **argv);

/** Was the switch given? A flag that the command does not have aborts, here and below. */
bool tx_args_on(const tx_args *a, const char *flag);
/** Its argument, or `otherwise` when it is absent. */
const char *tx_args_text(const tx_args *a, const char *flag, const char *otherwise);
/** An integer from min to max; TX_EUSAGE. *out is `otherwise` when the flag is absent. */
tx_status tx_args_int(const tx_args *a, const char *flag, int min, int max, int otherwise, int *out);
#endif
