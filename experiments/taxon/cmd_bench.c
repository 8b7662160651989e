#include <cblas.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "common/base/build.h"
#include "common/base/text.h"
#include "common/tensor/kernels.h"
#include "common/tensor/parallel.h"
#include "experiments/bench/bench.h"
#include "experiments/taxon/clock.h"
#include "experiments/taxon/command.h"
#include "experiments/taxon/environment.h"
#include "experiments/taxon/print.h"
#include "experiments/taxon/schedule.h"
#include "experiments/taxon/signals.h"

enum { MAX_THREADS = 4096, MAX_NAMES = 64, MAX_SIZES = 32, MAX_SIZE = 100000, GEMM = 1000, COPY = 256 << 20 };

typedef struct request {
    const tx_args *a;
    bool json;
    double seconds;    /* 0: each workload's own */
    const char *phase; /* NULL: all */
    const char *axis;  /* that --vary names; NULL: workloads, not families */
    int n_size;
    size_t size[MAX_SIZES];
    json_t *rows;
} request;

/* ---- which workloads ---- */

static const tx_bench_phase *const phases[] = {&tx_bench_train, &tx_bench_sample, &tx_bench_estimate};

static int names(const request *q, const char *name[MAX_NAMES])
{
    int n = 0;
    for (const tx_workload *w = tx_workloads; !q->axis && w->name; w++)
        if (n == 0 || strcmp(name[n - 1], w->name) != 0) name[n++] = w->name;
    for (int i = 0; q->axis && tx_bench_family(i); i++) name[n++] = tx_bench_family(i);
    name[n] = NULL;
    return n;
}

static tx_status check_names(const request *q)
{
    const tx_args *a = q->a;
    const char *name[MAX_NAMES];
    int n = names(q, name);
    for (int i = 0; i < a->n; i++) {
        int k = 0;
        while (k < n && strcmp(name[k], a->v[i]) != 0) k++;
        if (k < n) continue;
        tx_text all = {0};
        for (k = 0; k < n; k++) tx_text_add(&all, "%s%s", k ? ", " : "", name[k]);
        const char *near = tx_nearest(a->v[i], name);
        tx_status s = tx_fail(TX_EUSAGE, "bench: unknown %s '%.100s'%s%s%s; there are %s",
                              q->axis ? "family" : "workload", a->v[i], near ? ": did you mean '" : "",
                              near ? near : "", near ? "'?" : "", all.s);
        tx_text_free(&all);
        return s;
    }
    return TX_OK;
}

static bool wanted(const request *q, const char *name, const char *phase)
{
    if (q->phase && strcmp(q->phase, phase) != 0) return false;
    for (int i = 0; i < q->a->n; i++)
        if (strcmp(q->a->v[i], name) == 0) return true;
    return q->a->n == 0;
}

static tx_status check_phase(request *q)
{
    q->phase = tx_args_text(q->a, "phase", NULL);
    if (!q->phase) return TX_OK;
    for (size_t i = 0; i < TX_LEN(phases); i++)
        if (strcmp(q->phase, tx_bench_phase_name(phases[i])) == 0) return TX_OK;
    return tx_fail(TX_EUSAGE, "--phase: expected train, sample or evaluate, found '%.100s'", q->phase);
}

/* Where --vary puts a size. */
static size_t *place_of(const char *axis, size_t len, tx_bench_size *s)
{
    const struct {
        const char *axis;
        size_t *place;
    } all[] = {{"hidden", &s->hidden}, {"dim", &s->dim}, {"batch", &s->batch}};
    for (size_t i = 0; i < TX_LEN(all); i++)
        if (strlen(all[i].axis) == len && strncmp(axis, all[i].axis, len) == 0) return all[i].place;
    return NULL;
}

/* hidden=N,N,... */
static tx_status check_vary(request *q)
{
    tx_bench_size s;
    const char *text = tx_args_text(q->a, "vary", NULL), *at = text ? strchr(text, '=') : NULL;
    if (!text) return TX_OK;
    if (!at || !place_of(text, (size_t)(at - text), &s))
        return tx_fail(TX_EUSAGE, "--vary: expected hidden=N,..., dim=N,... or batch=N,..., found '%.100s'", text);
    q->axis = text;
    do {
        char *end;
        long long n = strtoll(++at, &end, 10);
        if (end == at || (*end && *end != ',') || n < 1 || n > MAX_SIZE || q->n_size == MAX_SIZES)
            return tx_fail(TX_EUSAGE, "--vary: expected at most %d sizes from 1 to %d behind the '=', found '%.100s'",
                           MAX_SIZES, MAX_SIZE, text);
        q->size[q->n_size++] = (size_t)n;
        at = end;
    } while (*at);
    return TX_OK;
}

/* ---- where: processor, libraries, variables, rates ---- */

static void processor_name(char out[TX_NAME_MAX])
{
    char line[TX_TEXT_MAX];
    FILE *f = fopen("/proc/cpuinfo", "r");
    tx_copy_text(out, TX_NAME_MAX, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *at = strchr(line, ':');
        if (!at || strncmp(line, "model name", 10) != 0) continue;
        line[strcspn(line, "\n")] = 0;
        tx_copy_text(out, TX_NAME_MAX, at + 1 + strspn(at + 1, " "));
        break;
    }
    if (f) fclose(f);
}

/* Variables that OpenBLAS and OpenMP obey, as {name: value}. */
static json_t *environment(void)
{
    static const char *const prefix[] = {"OPENBLAS_", "OMP_", "GOMP_", "TAXON_ISA="};
    json_t *all = json_object();
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < TX_LEN(prefix); i++) {
            char name[TX_NAME_MAX];
            size_t n = strcspn(*e, "=");
            if (strncmp(*e, prefix[i], strlen(prefix[i])) != 0 || n >= sizeof name) continue;
            tx_copy_text(name, n + 1, *e);
            json_object_set_new(all, name, json_string((*e)[n] ? *e + n + 1 : ""));
        }
    return all;
}

static json_t *warnings(void)
{
    char text[TX_TEXT_MAX];
    json_t *all = json_array();
    if (tx_blas_core_is_old()) {
        snprintf(text, sizeof text,
                 "OpenBLAS uses kernels for %s, older than this processor: unset OPENBLAS_CORETYPE for faster ones",
                 tx_blas_core());
        json_array_append_new(all, json_string(text));
    }
    if (tx_blas_is_serial())
        json_array_append_new(all, json_string("a serial build of OpenBLAS: there is one thread only"));
    return all;
}

static json_t *place(double seconds)
{
    char processor[TX_NAME_MAX];
    double each = seconds > 0 ? fmin(0.5, seconds / 10) : 0.5;
    processor_name(processor);
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:f, s:f, s:o, s:o}", "version", TX_VERSION,
                     "build", TX_BUILD_TYPE, "real", sizeof(real) == 4 ? "float" : "double", "processor", processor,
                     "cores", tx_cores(), "threads", tx_threads(), "instruction_set", tx_kernels_isa(), "blas_core",
                     tx_blas_core(), "blas_config", openblas_get_config(), "gemm_gflops",
                     tx_bench_gemm_rate(GEMM, GEMM, GEMM, each) * 1e-9, "copy_gbytes",
                     tx_bench_copy_rate(COPY, each) * 1e-9, "environment", environment(), "warnings", warnings());
}

static const char *text_of(const json_t *j, const char *key) { return json_string_value(json_object_get(j, key)); }
static double number_of(const json_t *j, const char *key) { return json_number_value(json_object_get(j, key)); }

static void print_place(const json_t *p)
{
    const char *key;
    json_t *value;
    size_t i;
    printf("%s; %.0f cores may be used, %.0f threads are\n", text_of(p, "processor"), number_of(p, "cores"),
           number_of(p, "threads"));
    printf("taxon %s, %s, %s, instruction set %s\n", text_of(p, "version"), text_of(p, "build"), text_of(p, "real"),
           text_of(p, "instruction_set"));
    printf("%s, kernels for %s\n", text_of(p, "blas_config"), text_of(p, "blas_core"));
    json_object_foreach(json_object_get(p, "environment"), key, value)
        printf("%s=%s%s\n", key, json_string_value(value), tx_environment_ours(key) ? ", set by taxon" : "");
    printf("GEMM %.0f GFLOP/s at %d x %d x %d, copy %.1f GB/s at %d MB\n", number_of(p, "gemm_gflops"), GEMM, GEMM,
           GEMM, number_of(p, "copy_gbytes"), COPY >> 20);
    json_array_foreach(json_object_get(p, "warnings"), i, value) printf("warning: %s\n", json_string_value(value));
    printf("\n");
}

/* ---- one workload after the other ---- */

/* Neither an estimator nor a step can be asked to return; there is nothing to leave in order. */
static void watch(void *ctx, double share)
{
    const request *q = ctx;
    (void)share;
    if (tx_stop_count() == 0) return;
    fflush(stdout);
    fprintf(stderr, "taxon: bench: stopped%s\n", q->json ? ": nothing was printed" : "");
    exit(TX_ESTOPPED);
}

static json_t *row(const tx_workload *w, const tx_bench_result *r)
{
    return json_pack("{s:s, s:s, s:i, s:f, s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i}", "name",
                     w->name, "phase", tx_bench_phase_name(w->phase), "batch", (int)w->batch, "median_ms",
                     r->median * 1e3, "images_per_second", (double)w->batch / r->median, "n", (int)r->n, "floor_ms",
                     r->floor * 1e3, "share", r->floor / r->median, "gflop", r->flops * 1e-9, "gbyte", r->bytes * 1e-9,
                     "gunit", r->units * 1e-9, "gemm_gflops", r->gemm_rate * 1e-9, "copy_gbytes", r->copy_rate * 1e-9,
                     "unit_gunits", r->unit_rate * 1e-9, "parameters", r->parameters, "growths", (int)r->growths);
}

static void print_row(const json_t *r)
{
    printf("%-20s %-8s batch %5.0f %10.3f ms %10.0f img/s  (n=%.0f)  ", text_of(r, "name"), text_of(r, "phase"),
           number_of(r, "batch"), number_of(r, "median_ms"), number_of(r, "images_per_second"), number_of(r, "n"));
    if (number_of(r, "floor_ms") > 0)
        printf("floor %9.3f ms, share %3.0f %%\n", number_of(r, "floor_ms"), 100 * number_of(r, "share"));
    else
        printf("hidden %4.0f, dim %4.0f\n", number_of(r, "hidden"), number_of(r, "dim"));
    fflush(stdout);
}

/* With `size` the row of a family. */
static tx_status run_row(request *q, const tx_workload *w, const tx_bench_size *size)
{
    tx_bench_result r;
    TX_TRY(tx_bench_run(w, q->seconds, watch, q, &r));
    json_t *j = row(w, &r);
    if (size) json_object_set_new(j, "hidden", json_integer((json_int_t)size->hidden));
    if (size) json_object_set_new(j, "dim", json_integer((json_int_t)size->dim));
    json_array_append_new(q->rows, j);
    if (!q->json) print_row(j);
    return TX_OK;
}

static tx_status run_workloads(request *q)
{
    for (const tx_workload *w = tx_workloads; w->name; w++)
        if (wanted(q, w->name, tx_bench_phase_name(w->phase))) TX_TRY(run_row(q, w, NULL));
    return TX_OK;
}

static tx_status run_family(request *q, int family, const tx_bench_phase *phase)
{
    for (int k = 0; k < q->n_size; k++) {
        tx_bench_scaled scaled;
        tx_bench_size size = tx_bench_middle;
        size_t *varied = place_of(q->axis, strcspn(q->axis, "="), &size);
        if (varied == &size.hidden && !tx_bench_family_has_hidden(family)) continue;
        *varied = q->size[k];
        tx_bench_scale(family, phase, size, &scaled);
        TX_TRY(run_row(q, &scaled.workload, &size));
    }
    return TX_OK;
}

static tx_status run_families(request *q)
{
    static const tx_bench_phase *const both[] = {&tx_bench_train, &tx_bench_sample};
    for (int i = 0; tx_bench_family(i); i++)
        for (size_t p = 0; p < TX_LEN(both); p++)
            if (wanted(q, tx_bench_family(i), tx_bench_phase_name(both[p]))) TX_TRY(run_family(q, i, both[p]));
    return TX_OK;
}

static double peak_memory(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (double)u.ru_maxrss / 1024 : NAN;
}

static int run(const tx_args *a)
{
    request q = {.a = a, .json = tx_args_on(a, "json")};
    int threads;
    const char *seconds = tx_args_text(a, "seconds", NULL);
    TX_TRY(check_phase(&q));
    TX_TRY(check_vary(&q));
    TX_TRY(check_names(&q));
    TX_TRY(tx_args_int(a, "threads", 1, MAX_THREADS, tx_cores(), &threads));
    if (seconds) TX_TRY(tx_duration(seconds, &q.seconds));
    tx_stop_watch(true);
    tx_threads_set(threads);
    json_t *all = place(q.seconds);
    q.rows = json_array();
    if (!q.json) print_place(all);
    tx_status s = q.axis ? run_families(&q) : run_workloads(&q);
    if (!s && json_array_size(q.rows) == 0) s = tx_fail(TX_EUSAGE, "bench: none of these has what is asked for");
    json_object_set_new(all, "rows", q.rows);
    json_object_set_new(all, "peak_memory_mb", json_real(peak_memory()));
    if (!s && q.json)
        tx_print_json(all);
    else {
        if (!s) printf("\npeak memory %.0f MB\n", number_of(all, "peak_memory_mb"));
        json_decref(all);
    }
    return s;
}

static const tx_flag flags[] = {
    {"threads", 't', "N", "threads (one a core)"},
    {"seconds", 's', "S", "how long each workload is repeated (3 to 6, as its table says), at least five times"},
    {"phase", 'p', "train|sample|evaluate", "this alone"},
    {"vary", 0, "AXIS=N,N,...", "families at these sizes of hidden (layers' width), dim (of data) or batch"},
    {"json", 0, NULL, "one JSON document in place of lines"},
    {0},
};
const tx_command tx_command_bench = {
    .name = "bench",
    .summary = "How fast training, sampling and estimators are, and how near to what the machine can do",
    .usage = "[WORKLOAD ... | --vary AXIS=N,N,... [FAMILY ...]]",
    .detail =
        "A line a workload: the median time, and the floor: the time of its products at a GEMM rate, of its\n"
        "traffic at a copy rate and, for NADE, of its sigmoids, all measured in the same call at as many threads.\n"
        "With --vary: training steps and samples of each family with hidden 500, dim 784, batch 100 but for what "
        "varies.\n"
        "Exit code 0; 75 or 130 stopped; 64 an unknown workload.",
    .flags = flags,
    .min = 0,
    .max = -1,
    .run = run};
