/** Text that grows: for tables, reports and everything whose length is known only at its end. */
#ifndef TX_BASE_TEXT_H
#define TX_BASE_TEXT_H
#include "common/base/base.h"

/** Starts as `tx_text t = {0}`. After the first add `s` is never NULL and always terminated. */
typedef struct tx_text {
    char *s;    /**< owned */
    size_t len; /**< bytes before the terminating zero */
    size_t cap; /**< bytes allocated */
} tx_text;

/** As printf, behind what is there. */
void tx_text_add(tx_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tx_text_free(tx_text *t); /**< back to {0} */

/** Ends the word behind a number: printf("%d run%s", n, tx_plural(n)). "" for one, else "s". */
const char *tx_plural(long long n);
#endif
