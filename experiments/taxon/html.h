/** Text and bytes as parts of an HTML page. */
#ifndef TX_TAXON_HTML_H
#define TX_TAXON_HTML_H
#include "common/base/text.h"

/** `s` as text or the value of an attribute: what has a meaning in HTML is escaped; control characters and bytes that are no
 *  UTF-8 become U+FFFD. Lines and tabs are kept. */
void tx_html_text(tx_text *t, const char *s);
/** The same of a printf format. */
void tx_html_add(tx_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** data:TYPE;base64,... */
void tx_html_data(tx_text *t, const char *type, const void *data, size_t n);
#endif
