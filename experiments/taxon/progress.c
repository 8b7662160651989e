#include "experiments/taxon/progress.h"
#include "common/base/text.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/signals.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 20 };
static const double BAR_SECONDS = 0.2, PLAIN_SECONDS = 10, PLAIN_LINES = 20;

struct tx_progress {
    bool bar, plain, drawn;
    int total;
    double start, last;
};

tx_status tx_progress_new(tx_progress **out, const char *mode)
{
    static const char *const known[] = {"auto", "bar", "plain", "none", NULL};
    int k = 0;
    while (known[k] && strcmp(known[k], mode) != 0) k++;
    if (!known[k]) return tx_fail(TX_EUSAGE, "--progress: expected auto, bar, plain or none; found '%s'", mode);
    bool terminal = isatty(STDERR_FILENO) == 1;
    tx_progress *p = tx_alloc(1, sizeof *p);
    p->bar = terminal && (k == 0 || k == 1);
    p->plain = !p->bar && k != 3;
    tx_progress_begin(p, 0);
    *out = p;
    return TX_OK;
}

void tx_progress_begin(tx_progress *p, int total)
{
    p->total = total;
    p->start = p->last = tx_now();
}

static void wipe(tx_progress *p)
{
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = false;
}

void tx_progress_free(tx_progress *p)
{
    if (p) wipe(p);
    free(p);
}

static void put_line(tx_progress *p, const char *before, const char *fmt, va_list args)
{
    wipe(p);
    fputs(before, stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

void tx_progress_line(tx_progress *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (p->bar || p->plain) put_line(p, "", fmt, args);
    va_end(args);
}

void tx_progress_warn(tx_progress *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    put_line(p, "taxon: ", fmt, args);
    va_end(args);
}

static size_t columns(void)
{
    struct winsize w = {0};
    const char *given = getenv("COLUMNS");
    int n = given ? atoi(given) : ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
    return n > 20 && n < 1000 ? (size_t)n : 80;
}

/* A line an hour into the work says no more than one a minute into it: the interval grows with the time. */
static double interval(const tx_progress *p, double now)
{
    double grown = (now - p->start) / PLAIN_LINES;
    return p->bar ? BAR_SECONDS : grown > PLAIN_SECONDS ? grown : PLAIN_SECONDS;
}

bool tx_progress_due(const tx_progress *p)
{
    double now = tx_now();
    return (p->bar || p->plain) && now - p->last >= interval(p, now);
}

static void draw_bar(tx_progress *p, double part, const char *counted, const char *left, const char *text)
{
    char bar[BAR_CELLS + 1], line[1024], shown[1024];
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < part * BAR_CELLS ? '=' : ' ';
    bar[BAR_CELLS] = 0;
    snprintf(line, sizeof line, "[%s] %s%3.0f %%  %s%s%s", bar, counted, 100 * part, left, *left ? "  " : "", text);
    size_t width = columns();
    tx_copy_text(shown, width < sizeof shown ? width : sizeof shown, line);
    fprintf(stderr, "\r\033[K%s", shown);
    fflush(stderr);
    p->drawn = true;
}

void tx_progress_runs(tx_progress *p, int done, const tx_forecast *f, const char *text)
{
    if (!tx_progress_due(p)) return;
    p->last = tx_now();
    char left[48] = "", time[16], counted[48] = "";
    if (isfinite(f->left))
        snprintf(left, sizeof left, "%s %s left", f->guessed ? "perhaps" : "about", tx_duration_text(f->left, time));
    if (p->bar) {
        if (p->total) snprintf(counted, sizeof counted, "%d/%d ", done, p->total);
        draw_bar(p, f->part, counted, left, text);
        return;
    }
    if (p->total) snprintf(counted, sizeof counted, "%d of %d run%s, ", done, p->total, tx_plural(p->total));
    fprintf(stderr, "%s%.0f %%%s%s%s%s\n", counted, 100 * f->part, *left ? ", " : "", left, *text ? ": " : "", text);
}

/* What does the work cannot be asked to return. Nothing of it is on disk yet, so the process may end here. */
void tx_progress_or_stop(tx_progress *p, double share, const char *text)
{
    tx_work own = {.size = 1, .state = TX_WORK_RUNS, .share = share, .seconds = tx_now() - p->start};
    tx_forecast f = tx_forecast_of(1, &own, 1);
    tx_progress_runs(p, 0, &f, text);
    if (tx_stop_count() == 0) return;
    tx_progress_free(p);
    fprintf(stderr, "taxon: stopped at %.0f %%: nothing was written; the same command starts anew\n", 100 * share);
    exit(TX_ESTOPPED);
}
