#include "experiments/taxon/command.h"
#include "experiments/taxon/gather.h"
#include "common/base/text.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { TAIL = 8192 };

static bool has(const char *folder, const char *name)
{
    tx_text t = {0};
    tx_text_add(&t, "%s/%s", folder, name);
    bool there = access(t.s, F_OK) == 0;
    tx_text_free(&t);
    return there;
}

/* Whoever works on a run holds its lock. */
static bool is_running(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return held;
}

/* The last lines of metrics.jsonl as one object: the last epoch's numbers and how it ended. Cut lines are skipped. */
static json_t *last_metrics(const char *folder)
{
    tx_text path = {0};
    tx_text_add(&path, "%s/metrics.jsonl", folder);
    FILE *f = fopen(path.s, "re");
    char *text = tx_alloc(TAIL + 1, 1);
    json_t *all = json_object();
    if (f && (fseek(f, -TAIL, SEEK_END) == 0 || fseek(f, 0, SEEK_SET) == 0) && fread(text, 1, TAIL, f) > 0)
        for (char *line = text, *rest = NULL; (line = strtok_r(line, "\n", &rest)); line = NULL) {
            json_t *j = json_loads(line, 0, NULL);
            if (json_is_object(j)) json_object_update(all, j);
            json_decref(j);
        }
    if (f) fclose(f);
    free(text);
    tx_text_free(&path);
    return all;
}

static void print_run(const char *folder)
{
    json_t *m = last_metrics(folder);
    const char *end = json_string_value(json_object_get(m, "end")), *why = json_string_value(json_object_get(m, "why"));
    const char *state = is_running(folder)             ? "running"
                        : end                          ? end
                        : has(folder, "result.h5")     ? "done"
                        : has(folder, "checkpoint.h5") ? "checkpointed"
                                                       : "missing";
    const json_t *epoch = json_object_get(m, "epoch"), *score = json_object_get(m, "valid_log_likelihood");
    printf("%-12s  %s", state, folder);
    if (epoch) printf("  epoch %d", (int)json_integer_value(epoch));
    if (score) printf("  valid %.2f", json_number_value(score));
    if (why && *why) printf("  %s", why);
    printf("\n");
    json_decref(m);
}

static int run(const tx_args *a)
{
    tx_found f;
    TX_TRY(tx_find_runs(a->v[0], &f));
    for (int i = 0; i < f.n; i++) print_run(f.folder[i]);
    tx_status s = f.n ? TX_OK : tx_fail(TX_ENOINPUT, "%s: holds no runs", a->v[0]);
    tx_found_free(&f);
    return s;
}

const tx_command tx_command_status = {
    .name = "status",
    .summary = "One line a run below a folder: done, running, checkpointed, diverged, failed or missing",
    .usage = "DIR",
    .min = 1,
    .max = 1,
    .run = run};
