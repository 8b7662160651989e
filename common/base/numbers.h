/** Named numbers with units, as files and tables carry them. */
#ifndef TX_BASE_NUMBERS_H
#define TX_BASE_NUMBERS_H
#include "common/base/base.h"
enum { TX_MAX_NUMBERS = 128 };
/** Numbers with names: metrics, costs, times. */
typedef struct tx_numbers {
    int n;
    struct {
        char name[TX_NAME_MAX], unit[16], long_name[TX_NAME_MAX];
        double value, error; /**< error NAN: none */
        int n_sample;        /**< samples that it was found from, a metric of sample quality; 0: it is none */
    } m[TX_MAX_NUMBERS];
} tx_numbers;
/** Texts are copied and cut to their room; more than TX_MAX_NUMBERS abort. Without an error it is NAN. */
void   tx_numbers_add(tx_numbers *t, const char *name, const char *unit, double value, const char *long_name);
void   tx_numbers_add_error(tx_numbers *t, const char *name, const char *unit, double value, double error, const char *long_name);
int    tx_numbers_find(const tx_numbers *t, const char *name); /**< -1 if absent; t may be NULL */
double tx_numbers_get(const tx_numbers *t, const char *name);  /**< NAN if absent */
/** Where many are kept: n numbers, and no room for more; free() it. */
tx_numbers *tx_numbers_room(int n);
tx_numbers *tx_numbers_copy(const tx_numbers *t);              /**< in such room */
#endif
