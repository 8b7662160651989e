#include "experiments/taxon/signals.h"
#include "experiments/taxon/command.h"
#include <signal.h>
#include <unistd.h>

/* A handler can tell the program nothing otherwise. */
static volatile sig_atomic_t stops, interrupts, exits_at_second;

static void on_stop(int number)
{
    stops++;
    if (number == SIGINT && ++interrupts >= 2 && exits_at_second) _exit(TX_EXIT_INTERRUPT);
}

void tx_stop_watch(bool second_exits)
{
    static const int number[] = {SIGINT, SIGTERM, SIGUSR1};
    struct sigaction a = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    sigemptyset(&a.sa_mask);
    exits_at_second = second_exits;
    for (size_t i = 0; i < TX_LEN(number); i++) sigaction(number[i], &a, NULL);
}

int tx_stop_count(void) { return (int)stops; }
