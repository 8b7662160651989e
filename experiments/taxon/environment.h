/** Variables that libraries read only while they are loaded. */
#ifndef TX_TAXON_ENVIRONMENT_H
#define TX_TAXON_ENVIRONMENT_H
#include "common/base/base.h"
/** Set what is missing and, if anything was, execute this program again with the same arguments; else return. First thing
 *  in main. TAXON_SET names what was set here rather than by the user:
 *    OPENBLAS_NUM_THREADS  1: the threads are ours (always)
 *    OPENBLAS_CORETYPE     where OpenBLAS does not know the processor and falls back to its slowest kernels
 *    GOMP_SPINCOUNT        a thread that waits for another soon sleeps: on busy cores it would spin its own share away */
void tx_environment_settle(char **argv);
/** Was `variable` ("OPENBLAS_CORETYPE") set by tx_environment_settle? */
bool tx_environment_ours(const char *variable);
#endif
