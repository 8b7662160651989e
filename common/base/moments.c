#include "common/base/moments.h"
#include <math.h>

void tx_moments_add(tx_moments *m, double value)
{
    double from = value - m->mean;
    m->mean += from / (double)++m->n;
    m->square += from * (value - m->mean);
}

double tx_moments_mean(const tx_moments *m) { return m->n ? m->mean : NAN; }

double tx_moments_error(const tx_moments *m)
{
    return m->n > 1 ? sqrt(m->square / (double)(m->n - 1) / (double)m->n) : NAN;
}

tx_moments tx_moments_of(size_t n, const double value[])
{
    tx_moments m = {0};
    for (size_t i = 0; i < n; i++) tx_moments_add(&m, value[i]);
    return m;
}

void tx_log_sum_add(tx_log_sum *s, double w)
{
    if (w > s->largest) {
        s->scaled = s->scaled * exp(s->largest - w) + 1;
        s->largest = w;
    } else if (w > s->largest - 40) {
        s->scaled += exp(w - s->largest);
    }
}

double tx_log_sum_value(const tx_log_sum *s) { return s->largest + log(s->scaled); }

double tx_log_sum_exp(size_t n, const double a[])
{
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) top = fmax(top, a[i]);
    if (top == -INFINITY) return top;
    for (size_t i = 0; i < n; i++) sum += exp(a[i] - top);
    return top + log(sum);
}
