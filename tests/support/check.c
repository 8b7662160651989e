#include "tests/support/check.h"
#include <ftw.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

bool tx_test_chosen(const char *variable, const char *name)
{
    const char *words = getenv(variable);
    if (!words || !*words) return true;
    for (; *words; words += strcspn(words, ",") + (words[strcspn(words, ",")] == ',')) {
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(words, ","), words);
        if (strstr(name, word)) return true;
    }
    return false;
}

int tx_run_tests(const char *suite, const tx_test test[], int n)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return 1;
    CU_pSuite s = CU_add_suite(suite, NULL, NULL);
    int chosen = 0;
    for (int i = 0; s && i < n; i++) {
        bool frame = strcmp(test[i].name, "set up") == 0 || strcmp(test[i].name, "clean up") == 0;
        if (!frame && !tx_test_chosen("TAXON_TESTS", test[i].name)) continue;
        if (!CU_add_test(s, test[i].name, test[i].fn)) s = NULL;
        chosen++;
    }
    if (!s) {
        fprintf(stderr, "%s: %s\n", suite, CU_get_error_msg());
        CU_cleanup_registry();
        return 1;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    bool good = CU_get_number_of_failures() == 0 && CU_get_number_of_tests_run() == (unsigned)chosen && chosen > 0;
    CU_cleanup_registry();
    return good ? 0 : 1;
}

bool tx_dies(void (*fn)(void), int code)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(99);
        fn();
        _exit(98);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return false;
    return code < 0 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT
                    : WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static char folder[256];
static pid_t owner;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    if (getpid() == owner) nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *tx_test_folder(void)
{
    if (!folder[0]) {
        const char *tmp = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/taxon-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
        if (!mkdtemp(folder)) {
            perror(folder);
            exit(1);
        }
        owner = getpid();
        atexit(remove_folder);
    }
    return folder;
}

tx_status tx_test_options(const tx_option *options, void *config, const char *text)
{
    tx_yaml *y = NULL;
    tx_options_defaults(options, config);
    TX_TRY(tx_yaml_parse(text, strlen(text), "test", &y));
    tx_status s = tx_options_parse(&(tx_option_set){options, config}, 1, y, "test", NULL);
    tx_yaml_free(y);
    return s;
}
