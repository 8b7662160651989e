#include "experiments/taxon/command.h"
#include "experiments/taxon/gather.h"
#include "common/store/checkpoint.h"
#include "common/store/content.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TAIL = 8192 };

/* The last lines of metrics.jsonl as one object: the last epoch's numbers and how it ended. Cut lines are skipped. A
 * file that is there and cannot be opened is told, and counted. */
static json_t *last_metrics(const char *folder, int *bad)
{
    tx_text path = {0};
    tx_text_add(&path, "%s/metrics.jsonl", folder);
    FILE *f = fopen(path.s, "re");
    if (!f && errno != ENOENT) {
        fprintf(stderr, "taxon: left out: %s: %s\n", path.s, strerror(errno));
        ++*bad;
    }
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

/* Files of the folder that are damaged or of another run; of a result or checkpoint that is, the reason in `why`. A
 * result tells itself how the run ended. */
static int look(tx_run_cache *cache, const char *folder, const char **state, char why[TX_TEXT_MAX])
{
    tx_text result = {0};
    char *checkpoint = tx_checkpoint_newest(folder);
    tx_run_info r = {0};
    int bad = 0;
    tx_text_add(&result, "%s/result.h5", folder);
    bool ended = access(result.s, F_OK) == 0;
    *state = ended ? "damaged" : "checkpointed";
    if (!ended && !checkpoint) {
        *state = NULL;
    } else if ((ended ? tx_run_cache_read(cache, folder, &r) : tx_content_verify(checkpoint)) != TX_OK) {
        *state = "damaged";
        tx_copy_text(why, TX_TEXT_MAX, tx_last_error());
        bad = 1;
    } else if (ended) {
        *state = tx_run_complete(&r) ? "done" : "diverged";
        tx_copy_text(why, TX_TEXT_MAX, r.failure);
        tx_tell_left_out(&r);
        bad = r.n_left_out;
    }
    tx_run_info_free(&r);
    tx_text_free(&result), free(checkpoint);
    return bad;
}

/* Returns how many files it told of that are damaged or cannot be read. */
static int print_run(tx_run_cache *cache, const char *folder)
{
    int bad = 0;
    json_t *m = last_metrics(folder, &bad);
    const char *end = json_string_value(json_object_get(m, "end")),
               *said = json_string_value(json_object_get(m, "why"));
    const char *state = NULL;
    char why[TX_TEXT_MAX] = "";
    if (tx_is_running(folder))
        state = "running";
    else
        bad += look(cache, folder, &state, why);
    /* Without a result only what did not reach one is worth telling. */
    bool failed = end && strcmp(end, "failed") == 0;
    if (failed && (!state || strcmp(state, "checkpointed") == 0)) {
        state = end;
        tx_copy_text(why, sizeof why, said ? said : "");
    }
    const json_t *epoch = json_object_get(m, "epoch"), *score = json_object_get(m, "valid_log_likelihood");
    printf("%-12s  %s", state ? state : "missing", folder);
    if (epoch) printf("  epoch %d", (int)json_integer_value(epoch));
    if (score) printf("  valid %.2f", json_number_value(score));
    if (*why) printf("  %s", why);
    printf("\n");
    json_decref(m);
    return bad;
}

static int run(const tx_args *a)
{
    tx_found f;
    TX_TRY(tx_find_runs(a->v[0], &f));
    int bad = f.n_left_out;
    tx_run_cache *cache = tx_run_cache_open(a->v[0]);
    for (int i = 0; i < f.n; i++) bad += print_run(cache, f.folder[i]);
    tx_run_cache_close(cache);
    tx_status s = f.n ? TX_OK : tx_fail(TX_ENOINPUT, "%s: holds no runs", a->v[0]);
    if (bad) s = tx_fail(TX_EDIVERGED, "%d damaged file%s, or unreadable", bad, tx_plural(bad));
    tx_found_free(&f);
    return s;
}

const tx_command tx_command_status = {
    .name = "status",
    .summary = "One line a run below a folder: done, running, checkpointed, diverged, failed, damaged or missing",
    .usage = "DIR",
    .detail = "Exit code 0; 3 some results, checkpoints or evaluations are damaged, unreadable, or evaluate another "
              "run; 66 no\n"
              "runs.",
    .min = 1,
    .max = 1,
    .run = run};
