#include "experiments/taxon/command.h"
#include "experiments/taxon/environment.h"
#include "common/model/model.h"
#include "common/store/content.h"
#include <fcntl.h>
#include <gsl/gsl_errno.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

static void on_abort(int signal_number)
{
    (void)signal_number;
    _exit(TX_EXIT_BUG);
}

/* A file opened in the place of a closed standard stream would receive what is printed. */
static bool open_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd) return false;
    return true;
}

int tx_main(int argc, char **argv, const struct tx_model_ops *const own[])
{
    if (!open_standard_streams()) return TX_ESYSTEM;
    tx_environment_settle(argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGABRT, on_abort);
    setlocale(LC_NUMERIC, "C");
    gsl_set_error_handler_off();
    tx_store_start();
    if (own) tx_models_add(own);
    return tx_command_main(argc, argv);
}
