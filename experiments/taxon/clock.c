#include "experiments/taxon/clock.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    char letter;
    double seconds;
} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};

void tx_utc(char out[32])
{
    time_t t = time(NULL);
    struct tm utc;
    gmtime_r(&t, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

tx_status tx_duration(const char *text, double *seconds)
{
    char *end = NULL;
    double v = strtod(text, &end), unit = *end ? 0 : 1;
    for (size_t i = 0; i < TX_LEN(units); i++)
        if (*end == units[i].letter && !end[1]) unit = units[i].seconds;
    if (end == text || unit == 0 || !isfinite(v) || v <= 0)
        return tx_fail(TX_EUSAGE, "expected a time such as 90s, 55m or 2h; found '%s'", text);
    *seconds = v * unit;
    return TX_OK;
}

const char *tx_duration_text(double seconds, char buf[16])
{
    if (seconds < 99.5)
        snprintf(buf, 16, "%.0f s", seconds);
    else if (seconds < 99.5 * 60)
        snprintf(buf, 16, "%.0f min", seconds / 60);
    else
        snprintf(buf, 16, "%.1f h", fmin(seconds / 3600, 99999));
    return buf;
}
