#include "experiments/taxon/command.h"
#include "experiments/taxon/signals.h"
#include "experiments/taxon/watch.h"
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { TICK_MS = 1000, ANEW = 10, PATIENCE = 5, PLAIN_COLUMNS = 120 };

/* What is on the screen comes back when the other one is left. */
static void enter(void) { tx_write_all(STDOUT_FILENO, "\033[?1049h\033[?25l", 14); }
static void leave(void) { tx_write_all(STDOUT_FILENO, "\033[?25h\033[?1049l", 14); }

static void size_of_terminal(int *columns, int *rows)
{
    struct winsize w = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0;
    *columns = known ? w.ws_col : 80;
    *rows = known ? w.ws_row : 24;
}

/* At most `columns` cells of each line: what is cut would wrap. A character of several bytes is one cell. */
static void add_cut(tx_text *out, const char *frame, int columns)
{
    tx_text_add(out, "\033[H");
    for (const char *p = frame; *p;) {
        int cells = 0;
        const char *start = p, *end;
        for (; *p && *p != '\n' && (cells < columns || ((unsigned char)*p & 0xC0) == 0x80); p++)
            cells += ((unsigned char)*p & 0xC0) != 0x80;
        end = p;
        p += strcspn(p, "\n");
        tx_text_add(out, "%.*s\033[K%s", (int)(end - start), start, *p && p[1] ? "\r\n" : "");
        p += *p == '\n';
    }
    tx_text_add(out, "\033[J");
}

static bool draw(const tx_watch *w, bool utf8)
{
    int columns, rows;
    tx_text frame = {0}, all = {0};
    size_of_terminal(&columns, &rows);
    tx_watch_frame(w, columns, rows, utf8, &frame);
    add_cut(&all, frame.s, columns);
    bool good = tx_write_all(STDOUT_FILENO, all.s, all.len); /* at once: nothing flickers */
    tx_text_free(&frame);
    tx_text_free(&all);
    return good;
}

static void print(const tx_watch *w, int columns, bool utf8)
{
    tx_text t = {0};
    tx_watch_frame(w, columns, 0, utf8, &t);
    fputs(t.s, stdout);
    tx_text_free(&t);
}

static void follow(tx_watch *w, bool utf8)
{
    tx_stop_watch(false);
    tx_terminal_watch();
    enter();
    for (int tick = 0, idle = 0; tx_stop_count() == 0 && idle <= PATIENCE; tick++) {
        tx_watch_look(w, tick % ANEW == 0);
        idle = w->count[TX_WATCH_RUNNING] ? 0 : idle + 1;
        if (!draw(w, utf8)) break;
        poll(NULL, 0, TICK_MS); /* until then, or a signal */
        if (!tx_suspend_asked()) continue;
        leave();
        raise(SIGSTOP);
        enter();
    }
    leave();
}

static int run(const tx_args *a)
{
    tx_watch w;
    TX_TRY(tx_watch_open(&w, a->v[0]));
    setlocale(LC_CTYPE, "");
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0, terminal = isatty(STDOUT_FILENO) == 1;
    int columns = PLAIN_COLUMNS, rows;
    if (terminal && !tx_args_on(a, "once")) follow(&w, utf8);
    if (terminal) size_of_terminal(&columns, &rows);
    tx_watch_look(&w, true);
    print(&w, columns, utf8);
    tx_watch_close(&w);
    return TX_OK;
}

static const tx_flag flags[] = {{"once", 0, NULL, "print how it stands, and end"}, {0}};
const tx_command tx_command_watch = {
    .name = "watch",
    .summary = "How the runs below a folder get on: states, scores, curves, remaining time",
    .usage = "DIR",
    .detail = "On a terminal until nothing has run for some seconds, or an interrupt; elsewhere once. The curve is the "
              "score on\n"
              "valid, or the objective, epoch by epoch. Exit code 0; 66 no runs.",
    .flags = flags,
    .min = 1,
    .max = 1,
    .run = run};
