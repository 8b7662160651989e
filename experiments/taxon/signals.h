/** Being asked to stop: SIGINT, SIGTERM, SIGUSR1. */
#ifndef TX_TAXON_SIGNALS_H
#define TX_TAXON_SIGNALS_H
#include "common/base/base.h"
/** Count stop signals from now on. second_exits: a second SIGINT ends the process at once with 130. */
void tx_stop_watch(bool second_exits);
int tx_stop_count(void); /**< stop signals so far */
/** For who draws on the terminal: a change of its size ends a sleep, and a suspension waits until it is asked for. */
void tx_terminal_watch(void);
bool tx_suspend_asked(void); /**< since the last call */
#endif
