#include "experiments/taxon/signals.h"
#include "experiments/taxon/command.h"
#include <signal.h>
#include <unistd.h>

/* A handler can tell the program nothing otherwise. */
static struct {
    volatile sig_atomic_t signals, interrupts, second_exits, suspends;
} stop;

static void on_stop(int number)
{
    stop.signals++;
    if (number == SIGINT && ++stop.interrupts >= 2 && stop.second_exits) _exit(TX_EXIT_INTERRUPT);
}

void tx_stop_watch(bool second_exits)
{
    static const int number[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    struct sigaction a = {.sa_handler = on_stop, .sa_flags = SA_RESTART}, before;
    sigemptyset(&a.sa_mask);
    stop.second_exits = second_exits;
    sigaction(SIGHUP, NULL, &before);
    for (size_t i = 0; i < TX_LEN(number); i++)
        if (number[i] != SIGHUP || before.sa_handler != SIG_IGN)
            sigaction(number[i], &a, NULL); /* nohup stays in force */
}

int tx_stop_count(void) { return (int)stop.signals; }

static void on_terminal(int number) { stop.suspends += number == SIGTSTP; }

void tx_terminal_watch(void)
{
    struct sigaction a = {.sa_handler = on_terminal};
    sigemptyset(&a.sa_mask);
    sigaction(SIGWINCH, &a, NULL);
    sigaction(SIGTSTP, &a, NULL);
}

bool tx_suspend_asked(void)
{
    bool asked = stop.suspends > 0;
    stop.suspends = 0;
    return asked;
}
