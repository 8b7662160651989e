/* Storage: commits that leave old or new, pictures that read back, files that notice damage and keep what they were
 * given. `test_store FOLDER` only writes one file of each kind there, for tests/check_schema.py. */
#include <locale.h>
#include <png.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <dirent.h>

#include "common/store/checkpoint.h"
#include "common/store/commit.h"
#include "common/store/compare_file.h"
#include "common/store/differ.h"
#include "common/store/h5.h"
#include "common/store/paired.h"
#include "common/store/png.h"
#include "tests/support/check.h"

enum { HEIGHT = 3, WIDTH = 5, DIM = HEIGHT * WIDTH, N = 70, LEVELS = 4, HIDDEN = 7, SAMPLES = 9 };
static tx_dataset data;
static tx_view view;

/* ---- a model: N(x; b w, I), with a weight whose name is what an axis would be called ---- */

static void build(tx_model *m)
{
    tx_init normal = {TX_INIT_NORMAL, (real)0.385};
    m->net[0] = tx_params_new("toy"), m->n_net = 1;
    tx_params_add(m->net[0], "w", tx_shape2(HIDDEN, DIM), normal);
    tx_params_add(m->net[0], "b", tx_shape2(1, HIDDEN), normal);
    tx_params_add(m->net[0], "w_in", tx_shape2(1, 1), normal);
}

static void build_wide(tx_model *m)
{
    build(m);
    tx_params_add(m->net[0], "v", tx_shape2(2, 2), (tx_init){TX_INIT_CONSTANT, 1});
}

static void build_transposed(tx_model *m)
{
    tx_init one = {TX_INIT_CONSTANT, 1};
    m->net[0] = tx_params_new("toy"), m->n_net = 1;
    tx_params_add(m->net[0], "w", tx_shape2(HIDDEN, DIM), one);
    tx_params_add(m->net[0], "b", tx_shape2(HIDDEN, 1), one);
    tx_params_add(m->net[0], "w_in", tx_shape2(1, 1), one);
}

static tx_var log_prob(tx_model *m, tx_tape *t, tx_var x)
{
    tx_var w = tx_params_var(m->net[0], (tx_param){0}), b = tx_params_var(m->net[0], (tx_param){1});
    tx_var mu = tx_repeat_rows(t, tx_matmul(t, b, false, w, false), tx_rows(x->v));
    tx_var d = tx_sub(t, x, mu);
    return tx_affine(t, tx_sum_rows(t, tx_mul(t, d, d)), (real)-0.5, (real)(-0.5 * DIM * log(2 * M_PI)));
}

static const tx_option none[] = {{0}};
#define TOY(b)                                                                                                         \
    {                                                                                                                  \
        .name = "toy", .summary = "s", .citation = "someone2016", .taxonomy_path = "explicit/tractable/test",          \
        .spaces = TX_ON_REAL, .options = none, .build = b, .log_prob = log_prob                                        \
    }
static const tx_model_ops toy = TOY(build), wide = TOY(build_wide), transposed = TOY(build_transposed);
const tx_model_ops *const tx_model_list[] = {&toy, NULL};

static void open_data(void)
{
    if (data.dim) return;
    data = (tx_dataset){
        .type = TX_LEVELS, .levels = LEVELS, .dim = DIM, .height = HEIGHT, .width = WIDTH, .channel = 1};
    tx_copy_text(data.name, sizeof data.name, "small");
    tx_copy_text(data.unit, sizeof data.unit, "grey level, 0 = black");
    tx_rng r = tx_rng_named(tx_rng_root(11), "test");
    for (int s = 0; s < TX_N_SPLIT; s++) {
        uint8_t *v = tx_alloc(N * DIM, 1);
        for (size_t i = 0; i < N * DIM; i++)
            v[i] = (uint8_t)(fabs(1.7 * tx_rng_normal1(tx_rng_fold(r, (uint64_t)s), i))) % LEVELS;
        data.split[s].n = N, data.split[s].level = v, data.memory[s] = v;
        snprintf(data.split[s].origin, sizeof data.split[s].origin, "rows %d of a test", s);
    }
    tx_sha256_of(data.split[0].level, N * DIM, data.sha256);
    tx_view_config c;
    tx_yaml *y = NULL;
    const char text[] = "{view: logit, lambda: 0.0517}";
    tx_options_defaults(tx_view_options, &c);
    CHECK_OK(tx_yaml_parse(text, strlen(text), "test", &y));
    CHECK_OK(tx_options_parse(&(tx_option_set){tx_view_options, &c}, 1, y, "test", NULL));
    CHECK_OK(tx_view_open(&view, &data, &c));
    tx_yaml_free(y);
}

/* ---- a run with everything in it ---- */

typedef struct sample_run {
    tx_run run;
    tx_estimate estimate[2];
    tx_curves curves;
    real x[SAMPLES * DIM];
    double ll[SAMPLES];
} sample_run;

static void fill_estimate(tx_estimate *e, const char *name, tx_kind kind, tx_split s, size_t n, double shift)
{
    tx_estimate_init(e, name, &view, s, n, kind != TX_EXACT);
    e->kind = kind, e->stochastic = kind != TX_EXACT;
    for (size_t i = 0; i < n; i++) {
        e->log_likelihood[i] = shift - 2.385 * (double)(i % 7) + 0.01 * (double)i;
        if (e->std_error) e->std_error[i] = 0.03 + 0.001 * (double)i;
    }
    json_object_set_new(e->settings, "n_importance", json_integer(50));
    json_object_set_new(e->settings, "sigma", json_real(0.158));
    json_object_set_new(e->settings, "kind", json_string("a name that is taken"));
    json_object_set_new(e->settings, "chosen_on_valid", json_true());
    e->seconds = 1.385, e->model_evaluations = 3500, e->gradient_evaluations = 0;
    tx_estimate_summarise(e, &view);
}

static void run_new(sample_run *s, const tx_model_ops *ops, const char *label, int seed, double shift)
{
    open_data();
    *s = (sample_run){0};
    tx_model *m;
    CHECK_OK(tx_model_new(&m, ops, NULL, &view.space, (uint64_t)seed));
    fill_estimate(&s->estimate[0], "exact", TX_EXACT, TX_TEST, 53, shift);
    fill_estimate(&s->estimate[1], "iwae", TX_LOWER_BOUND, TX_TEST, 41, shift - 3.1);
    s->curves = (tx_curves){.n_column = 3, .n_row = 4, .cap = 4, .name = {"epoch", "step", "valid_objective"}};
    for (int k = 0; k < 3; k++) {
        s->curves.value[k] = tx_alloc(4, sizeof(double));
        for (int i = 0; i < 4; i++) s->curves.value[k][i] = k == 0 ? i + 1 : k == 1 ? 10 * (i + 1) : -2.385 / (i + 1);
    }
    s->curves.value[2][1] = NAN;
    for (size_t i = 0; i < SAMPLES * DIM; i++) s->x[i] = (real)(0.0173 * (double)i - 1.3);
    for (size_t i = 0; i < SAMPLES; i++) s->ll[i] = -17.25 - (double)i;
    tx_run *r = &s->run;
    *r = (tx_run){.config = json_pack("{s:s, s:{s:f}}", "model", "toy", "train", "learning_rate", 0.001),
                  .label = label,
                  .group = "toy",
                  .model = m,
                  .view = &view,
                  .seed = seed,
                  .curves = &s->curves,
                  .n_estimate = 2,
                  .estimate = s->estimate,
                  .n_sample = SAMPLES,
                  .sample = s->x,
                  .sample_mean = s->x,
                  .sample_log_likelihood = s->ll,
                  .start = "2020-01-01T00:00:00Z",
                  .end = "2020-01-01T00:01:00Z",
                  .threads = 1};
    r->training = (tx_trainer_state){.epoch = 4, .epochs = 6, .step = 40, .best_epoch = 3, .best_score = shift - 1.5};
    tx_numbers_add(&r->metrics, "mmd", "1", 0.0385, "maximum mean discrepancy");
    r->metrics.m[0].error = 0.0021;
    tx_numbers_add(&r->cost, "n_parameter", "1", (double)tx_model_size(m), "parameters");
    tx_numbers_add(&r->timing, "training", "s", 12.5 + seed, "wall time of training");
}

static void run_free(sample_run *s)
{
    for (int i = 0; i < 2; i++) tx_estimate_free(&s->estimate[i]);
    for (int k = 0; k < 3; k++) free(s->curves.value[k]);
    tx_model_free((tx_model *)s->run.model);
    json_decref((json_t *)s->run.config);
}

static const char *path_of(const char *name)
{
    static char path[16][512];
    static int turn;
    turn = (turn + 1) % 16;
    snprintf(path[turn], sizeof path[turn], "%s/%s", tx_test_folder(), name);
    return path[turn];
}

static unsigned char *bytes_of(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *b = tx_alloc(*n + 1, 1);
    CHECK_INT(fread(b, 1, *n, f), *n);
    fclose(f);
    return b;
}

static void put_bytes(const char *path, const unsigned char *b, size_t n)
{
    FILE *f = fopen(path, "wb");
    CHECK_INT(fwrite(b, 1, n, f), n);
    fclose(f);
}

static void check_file(const char *path, const char *text)
{
    size_t n = 0;
    unsigned char *b = bytes_of(path, &n);
    CHECK_TEXT((char *)b, text);
    free(b);
}

static int files_in(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* ---- commit ---- */

static void test_commit(void)
{
    const char *folder = path_of("commit"), *file = path_of("commit/f.txt");
    CHECK_OK(tx_make_folders(folder));
    CHECK_OK(tx_commit(file, "old", 3));
    check_file(file, "old");
    CHECK_OK(tx_commit(file, "new one", 7));
    check_file(file, "new one");

    CHECK_INT(tx_commit(folder, "x", 1), TX_ECREATE);
    CHECK_HAS(tx_last_error(), "found a folder");
    CHECK_INT(tx_commit(path_of("commit/none/f.txt"), "x", 1), TX_ECREATE);
    CHECK_HAS(tx_last_error(), "commit/none/f.txt");
    CHECK_INT(tx_commit("/proc/taxon-cannot", "x", 1), TX_ECREATE);

    /* a write that fails half-way: the old file stays, nothing else does */
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before, small.rlim_cur = 1000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    char *large = tx_alloc(5000, 1);
    tx_status s = tx_commit(file, large, 5000);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    free(large);
    CHECK_INT(s, TX_EIO);
    check_file(file, "new one");
    CHECK_INT(files_in(folder), 1);
}

static void test_set_aside(void)
{
    char file[TX_TEXT_MAX], aside[TX_TEXT_MAX], gone[TX_TEXT_MAX];
    tx_copy_text(file, sizeof file, path_of("aside.h5"));
    for (int i = 0; i < 3; i++) {
        static const char *const text[] = {"one", "two and", "three"}, *const end[] = {"", "-2", "-3"};
        CHECK_OK(tx_commit(file, text[i], strlen(text[i])));
        CHECK_OK(tx_set_aside(file, aside));
        snprintf(gone, sizeof gone, "%.500s.damaged%s", file, end[i]);
        CHECK_TEXT(aside, gone);
        CHECK_INT(access(file, F_OK), -1);
        for (int k = 0; k <= i; k++) {
            snprintf(gone, sizeof gone, "%.500s.damaged%s", file, end[k]);
            check_file(gone, text[k]);
        }
    }
    CHECK_INT(tx_set_aside(file, aside), TX_EIO);
    CHECK_HAS(tx_last_error(), "aside.h5: cannot be set aside");
}

static void test_folders(void)
{
    const char *file = path_of("plain");
    CHECK_OK(tx_make_folders(path_of("a/b//c d/")));
    CHECK_OK(tx_make_folders(path_of("a/b/c d")));
    struct stat st;
    CHECK_TRUE(stat(path_of("a/b/c d"), &st) == 0 && S_ISDIR(st.st_mode));
    CHECK_OK(tx_commit(file, "x", 1));
    CHECK_INT(tx_make_folders(path_of("plain/below")), TX_ECREATE);
    CHECK_HAS(tx_last_error(), "plain");

    CHECK_OK(tx_check_commit(file));
    CHECK_OK(tx_check_commit(path_of("a/new")));
    CHECK_INT(tx_check_commit(path_of("none/new")), TX_ECREATE);
    CHECK_HAS(tx_last_error(), "cannot create a file in this folder");
    CHECK_OK(tx_check_writable(path_of("a")));
    CHECK_OK(tx_check_writable(path_of("a/yet/to/be/made")));
    CHECK_INT(files_in(path_of("a")), 1);
    CHECK_INT(tx_check_writable(file), TX_ECREATE);
    CHECK_INT(tx_check_writable(path_of("plain/below")), TX_ECREATE);
    CHECK_INT(tx_check_writable("/proc/none/below"), TX_ECREATE);
    char name[400];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    CHECK_INT(tx_check_writable(path_of(name)), TX_ECREATE);
}

/* ---- pictures ---- */

static uint8_t *read_png(const char *path, int format, unsigned *width, unsigned *height)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    CHECK_TRUE(png_image_begin_read_from_file(&image, path) != 0);
    image.format = (png_uint_32)format;
    uint8_t *pixel = tx_alloc(PNG_IMAGE_SIZE(image), 1);
    CHECK_TRUE(png_image_finish_read(&image, NULL, pixel, 0, NULL) != 0);
    *width = image.width, *height = image.height;
    return pixel;
}

static void test_png_grid(void)
{
    enum { H = 3, W = 2, C = 3, COUNT = 5, COLUMNS = 2, ZOOM = 4 };
    uint8_t picture[COUNT * H * W * C];
    for (size_t i = 0; i < sizeof picture; i++) picture[i] = (uint8_t)(37 * i + 11);
    for (size_t channel = 1; channel <= C; channel += 2) {
        CHECK_OK(tx_png_grid(path_of("grid.png"), picture, COUNT, H, W, channel, COLUMNS, ZOOM));
        unsigned width, height;
        uint8_t *p = read_png(path_of("grid.png"), channel == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY, &width, &height);
        CHECK_INT(width, COLUMNS * W * ZOOM + COLUMNS - 1);
        CHECK_INT(height, 3 * H * ZOOM + 2);
        size_t wrong = 0;
        for (size_t k = 0; k < COUNT; k++)
            for (size_t y = 0; y < H * ZOOM; y++)
                for (size_t x = 0; x < W * ZOOM; x++)
                    for (size_t c = 0; c < channel; c++) {
                        size_t row = k / COLUMNS * (H * ZOOM + 1) + y, column = k % COLUMNS * (W * ZOOM + 1) + x;
                        wrong += p[(row * width + column) * channel + c] !=
                                 picture[((k * H + y / ZOOM) * W + x / ZOOM) * channel + c];
                    }
        CHECK_INT(wrong, 0);
        CHECK_INT(p[W * ZOOM * channel], 160);
        free(p);
    }
    CHECK_INT(tx_png_grid(path_of("none/grid.png"), picture, 1, H, W, 1, 1, 1), TX_ECREATE);
}

static void test_png_points(void)
{
    const real x[] = {(real)-0.85, (real)0.85, (real)0.55, (real)-0.35, (real)NAN, 0, 5, 5};
    CHECK_OK(tx_png_points(path_of("points.png"), x, 4, -1, 1, 20));
    unsigned width, height;
    uint8_t *p = read_png(path_of("points.png"), PNG_FORMAT_GRAY, &width, &height);
    CHECK_INT(width, 20);
    CHECK_INT(height, 20);
    CHECK_INT(p[1 * 20 + 1], 102); /* upper left: y points up */
    CHECK_INT(p[13 * 20 + 15], 102);
    int dark = 0;
    for (int i = 0; i < 400; i++) dark += p[i] < 255;
    CHECK_INT(dark, 10);
    free(p);
}

/* ---- run files ---- */

static char sum[TX_SHA256_TEXT];

static const char *write_run(const char *name, bool reproducible)
{
    sample_run s;
    run_new(&s, &toy, "toy-a", 3, -20.5);
    CHECK_OK(tx_run_write(&s.run, path_of(name), reproducible, sum));
    run_free(&s);
    return path_of(name);
}

static void test_round_trip(void)
{
    tx_run_info r;
    sample_run s;
    run_new(&s, &toy, "toy-a", 3, -20.5);
    s.run.outcome = TX_EDIVERGED, s.run.failure = "epoch 3: objective is not finite";
    CHECK_OK(tx_make_folders(path_of("run")));
    CHECK_OK(tx_run_write(&s.run, path_of("run/result.h5"), false, sum));
    CHECK_OK(tx_run_read(path_of("run/result.h5"), true, &r));
    CHECK_TEXT(r.label, "toy-a");
    CHECK_TEXT(r.group, "toy");
    CHECK_TEXT(r.model, "toy");
    CHECK_TEXT(r.taxonomy_path, "explicit/tractable/test");
    CHECK_TEXT(r.dataset, "small");
    CHECK_TEXT(r.view, "logit");
    CHECK_TEXT(r.measure, "lebesgue");
    CHECK_TEXT(r.status, "diverged");
    CHECK_TEXT(r.failure, s.run.failure);
    CHECK_TEXT(r.content_sha256, sum);
    CHECK_TEXT(r.dataset_sha256, data.sha256);
    CHECK_TEXT(r.view_sha256, view.sha256);
    CHECK_TEXT(r.score, "exact");
    CHECK_INT(r.seed, 3);
    CHECK_INT(r.best_epoch, 3);
    CHECK_INT(r.epochs, 4);
    CHECK_NEAR(r.best_score, -22, 0);
    CHECK_TRUE(json_equal(r.config, s.run.config));
    CHECK_INT(r.n_estimate, 2);
    for (int i = 0; i < 2; i++) {
        const tx_estimate *a = &s.estimate[i], *b = &r.estimate[i];
        CHECK_TEXT(b->estimator, a->estimator);
        CHECK_TEXT(b->evaluated_model, a->evaluated_model);
        CHECK_INT(b->kind, a->kind);
        CHECK_INT(b->stochastic, a->stochastic);
        CHECK_INT(b->measure, a->measure);
        CHECK_INT(b->split, a->split);
        CHECK_INT(b->n, a->n);
        CHECK_TRUE(memcmp(b->log_likelihood, a->log_likelihood, a->n * sizeof(double)) == 0);
        CHECK_TRUE(!a->std_error == !b->std_error);
        if (a->std_error) CHECK_TRUE(memcmp(b->std_error, a->std_error, a->n * sizeof(double)) == 0);
        CHECK_TRUE(a->mean == b->mean && a->mean_error == b->mean_error && a->mc_error == b->mc_error);
        CHECK_NEAR(b->bits_per_dim, a->bits_per_dim, 0);
        CHECK_TRUE(json_equal(a->settings, b->settings));
        CHECK_NEAR(b->seconds, 1.385, 0);
        CHECK_NEAR(b->model_evaluations, 3500, 0);
    }
    CHECK_NEAR(tx_numbers_get(r.metrics, "mmd"), 0.0385, 0);
    CHECK_NEAR(r.metrics->m[0].error, 0.0021, 0);
    CHECK_TEXT(r.metrics->m[0].long_name, "maximum mean discrepancy");
    CHECK_NEAR(tx_numbers_get(r.cost, "n_parameter"), HIDDEN * DIM + HIDDEN + 1, 0);
    CHECK_NEAR(tx_numbers_get(r.timing, "training"), 15.5, 0);
    CHECK_TRUE(isnan(tx_numbers_get(r.timing, "absent")));
    tx_run_info_free(&r);

    CHECK_OK(tx_run_read(path_of("run/result.h5"), false, &r));
    CHECK_TRUE(r.estimate[0].log_likelihood == NULL && r.estimate[0].n == 53);
    tx_run_info_free(&r);
    run_free(&s);
}

/* Samples come back in the data's unit; pictures are 255 times them; a taken name of a setting keeps its first meaning.
 */
static void test_layout(void)
{
    tx_h5 *f;
    tx_shape shape;
    CHECK_OK(tx_h5_open(&f, write_run("layout.h5", true), "taxon-run"));
    sample_run s;
    run_new(&s, &toy, "toy-a", 3, -20.5);
    real back[SAMPLES * DIM];
    view.ops->invert(&view, SAMPLES, s.x, back);
    float *x = tx_h5_get(f, "/samples/x", TX_H5_F32, &shape);
    CHECK_TRUE(shape.rank == 2 && shape.dim[0] == SAMPLES && shape.dim[1] == DIM);
    uint8_t *image = tx_h5_get(f, "/samples/image", TX_H5_U8, &shape);
    CHECK_TRUE(shape.rank == 3 && shape.dim[0] == SAMPLES && shape.dim[1] == HEIGHT && shape.dim[2] == WIDTH);
    for (int i = 0; i < SAMPLES * DIM; i++) {
        CHECK_NEAR(x[i], back[i], 1e-7);
        CHECK_NEAR(image[i], 255 * fmin(fmax(back[i], 0), 1), 0.51);
    }
    real *rows = tx_h5_get(f, "/data/test/x", TX_H5_REAL, &shape), own[64 * DIM];
    CHECK_TRUE(shape.dim[0] == 64 && shape.dim[1] == DIM);
    double jacobian[64], *stored = tx_h5_get(f, "/data/test/log_jacobian", TX_H5_F64, &shape);
    tx_view_range(&view, TX_TEST, 0, 64, own, jacobian);
    CHECK_TRUE(memcmp(rows, own, sizeof own) == 0 && memcmp(stored, jacobian, sizeof jacobian) == 0);
    CHECK_INT(tx_h5_get_i32(f, "/data/test", "n_rows"), N);
    CHECK_INT(tx_h5_get_i32(f, "/likelihood/test/iwae/log_likelihood", "n_importance"), 50);
    CHECK_INT(tx_h5_get_i32(f, "/likelihood/test/iwae/log_likelihood", "chosen_on_valid"), 1);
    CHECK_NEAR(tx_h5_get_f64(f, "/likelihood/test/iwae/log_likelihood", "sigma"), 0.158, 0);
    char *kind = tx_h5_get_text(f, "/likelihood/test/iwae/log_likelihood", "kind");
    CHECK_TEXT(kind, "lower_bound");
    double *curve = tx_h5_get(f, "/train/valid_objective", TX_H5_F64, &shape);
    CHECK_TRUE(shape.dim[0] == 4 && isnan(curve[1]) && curve[3] == -2.385 / 4);
    CHECK_TRUE(!tx_h5_has(f, "/timing") && !tx_h5_has(f, "/provenance"));
    void *memory[] = {x, image, rows, stored, kind, curve};
    for (size_t i = 0; i < TX_LEN(memory); i++) free(memory[i]);
    CHECK_OK(tx_h5_close(f));
    run_free(&s);
}

static void test_reproducible(void)
{
    size_t n, m;
    unsigned char *a = bytes_of(write_run("one.h5", true), &n);
    char first[TX_SHA256_TEXT];
    tx_copy_text(first, sizeof first, sum);
    usleep(1100000); /* times in files, if there were any, have seconds */
    unsigned char *b = bytes_of(write_run("two.h5", true), &m);
    CHECK_TRUE(n == m && memcmp(a, b, n) == 0);
    CHECK_TEXT(sum, first);
    write_run("three.h5", false);
    CHECK_TEXT(sum, first);
    char again[TX_SHA256_TEXT];
    CHECK_OK(tx_content_sha256(path_of("three.h5"), again));
    CHECK_TEXT(again, first);
    free(a);
    free(b);
}

static void test_trailer(void)
{
    size_t n;
    const char *damaged = path_of("damaged.h5");
    unsigned char *b = bytes_of(write_run("whole.h5", false), &n);
    CHECK_OK(tx_content_verify(path_of("whole.h5")));
    tx_rng r = tx_rng_named(tx_rng_root(5), "flips");
    int refused = 0, from_end = 0;
    for (uint64_t k = 0; k < 200; k++) {
        double u = 0.5 * erfc(-tx_rng_normal1(r, k) / sqrt(2)); /* uniform */
        size_t at = k < 77 ? n - 1 - k : (size_t)(u * (double)(n - 1));
        b[at] ^= (unsigned char)(1u << (k % 8));
        put_bytes(damaged, b, n);
        b[at] ^= (unsigned char)(1u << (k % 8));
        tx_run_info info;
        refused += tx_content_verify(damaged) == TX_EDATA && tx_run_read(damaged, true, &info) == TX_EDATA;
        from_end += k < 77;
    }
    CHECK_INT(refused, 200);
    CHECK_INT(from_end, 77);
    for (size_t cut = 1; cut < 200; cut += 13) {
        put_bytes(damaged, b, n - cut);
        CHECK_INT(tx_content_verify(damaged), TX_EDATA);
    }
    put_bytes(damaged, b, 0);
    CHECK_INT(tx_content_verify(damaged), TX_EDATA);
    CHECK_INT(tx_content_verify(path_of("absent.h5")), TX_ENOINPUT);
    CHECK_INT(tx_content_verify(tx_test_folder()), TX_ENOINPUT);
    free(b);
}

/* Large arrays are cut into chunks of at most 1 MiB and come back as they were; rows keep to themselves where asked. */
static void test_chunks(void)
{
    enum { ROWS = 3, COLUMNS = 150001 };
    static const struct {
        const char *name;
        bool by_row, small;
        tx_h5_type type;
        int filters;
    } plan_of[] = {{"whole", false, false, TX_H5_F64, 3},
                   {"rows", true, false, TX_H5_F64, 3},
                   {"bytes", false, false, TX_H5_U8, 2},
                   {"few", false, true, TX_H5_F64, 0}};
    double *x = tx_alloc(ROWS * COLUMNS, sizeof *x);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) x[i] = 2.385 * (double)i;
    tx_h5 *f = tx_h5_new(path_of("chunks.h5"), "taxon-run", false);
    for (size_t k = 0; k < TX_LEN(plan_of); k++)
        tx_h5_put(f,
                  &(tx_h5_array){.group = "/a/b",
                                 .name = plan_of[k].name,
                                 .type = plan_of[k].type,
                                 .rank = 2,
                                 .dim = {{"row", ROWS},
                                         {plan_of[k].small ? "few_column" : "column", plan_of[k].small ? 11 : COLUMNS}},
                                 .data = x,
                                 .unit = "1",
                                 .long_name = "a test",
                                 .by_row = plan_of[k].by_row});
    CHECK_OK(tx_h5_commit(f, NULL));
    CHECK_OK(tx_h5_open(&f, path_of("chunks.h5"), "taxon-run"));
    for (size_t k = 0; k < TX_LEN(plan_of); k++) {
        char path[64];
        tx_shape shape;
        hsize_t chunk[2] = {0, 0};
        snprintf(path, sizeof path, "/a/b/%s", plan_of[k].name);
        hid_t set = H5Dopen2(f->file, path, H5P_DEFAULT), list = H5Dget_create_plist(set);
        CHECK_INT(H5Pget_nfilters(list), plan_of[k].filters);
        if (plan_of[k].filters) H5Pget_chunk(list, 2, chunk);
        CHECK_TRUE(chunk[0] * chunk[1] * tx_h5_type_size(plan_of[k].type) <= 1 << 20);
        if (plan_of[k].by_row) CHECK_INT(chunk[0], 1);
        H5Pclose(list);
        H5Dclose(set);
        void *back = tx_h5_get(f, path, plan_of[k].type, &shape);
        CHECK_TRUE(back && memcmp(back, x, shape.dim[0] * shape.dim[1] * tx_h5_type_size(plan_of[k].type)) == 0);
        free(back);
    }
    size_t n;
    free(tx_h5_list(f, "/a/b", &n));
    CHECK_INT(n, 4);
    tx_shape shape;
    CHECK_TRUE(tx_h5_get(f, "/a/b/few", TX_H5_I32, &shape) == NULL);
    CHECK_HAS(tx_last_error(), "expected type i32, found f64");
    CHECK_INT(tx_h5_close(f), TX_EDATA);
    free(x);
}

/* What HDF5 refuses becomes one line with the file, the object and a reason. */
static void test_failure(void)
{
    tx_h5 *f = tx_h5_new(path_of("failure.h5"), "taxon-run", false);
    tx_h5_put_number(f, "/metrics", "mmd", 2.385, "1", "a test");
    tx_h5_put_number(f, "/metrics", "mmd", 2.385, "1", "a test");
    tx_h5_put_number(f, "/metrics", "after", 2.385, "1", "a test");
    CHECK_INT(tx_h5_commit(f, NULL), TX_EIO);
    CHECK_HAS(tx_last_error(), "failure.h5: mmd: cannot write: ");
    CHECK_HAS(tx_last_error(), "exists");
    CHECK_TRUE(access(path_of("failure.h5"), F_OK) != 0);
}

static void test_schema(void)
{
    tx_run_info info;
    tx_h5 *f = tx_h5_new(path_of("foreign.h5"), "taxon-other", false);
    CHECK_OK(tx_h5_commit(f, NULL));
    CHECK_INT(tx_run_read(path_of("foreign.h5"), true, &info), TX_EDATA);
    CHECK_HAS(tx_last_error(), "taxon-other");
    f = tx_h5_new(path_of("newer.h5"), "taxon-run", false);
    H5Adelete(f->file, "schema_version");
    tx_h5_set_text(f, "/", "schema_version", "2.0");
    CHECK_OK(tx_h5_commit(f, NULL));
    CHECK_INT(tx_run_read(path_of("newer.h5"), true, &info), TX_EDATA);
    CHECK_HAS(tx_last_error(), "2.0");
    f = tx_h5_new(path_of("empty.h5"), "taxon-run", false);
    CHECK_OK(tx_h5_commit(f, NULL));
    CHECK_INT(tx_run_read(path_of("empty.h5"), true, &info), TX_EDATA);
    CHECK_HAS(tx_last_error(), "label");
}

/* ---- what the content hash covers ---- */

static tx_h5 edit_open(const char *path)
{
    static int opened;
    char name[32];
    size_t n;
    unsigned char *b = bytes_of(path, &n);
    tx_h5 f = {.text = H5Tcopy(H5T_C_S1), .path = (char *)"edited"};
    H5Tset_size(f.text, H5T_VARIABLE);
    H5Tset_cset(f.text, H5T_CSET_UTF8);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    H5Pset_file_image(access, b, n - 77);
    snprintf(name, sizeof name, "edited-%d", opened++);
    f.file = H5Fopen(name, H5F_ACC_RDWR, access);
    CHECK_TRUE(f.file >= 0);
    H5Pclose(access);
    free(b);
    return f;
}

static void edit_close(tx_h5 *f)
{
    H5Fclose(f->file);
    H5Tclose(f->text);
}

/* Changes the last value of a set and writes it back. */
static void change(tx_h5 *f, const char *path)
{
    hid_t set = H5Dopen2(f->file, path, H5P_DEFAULT), type = H5Dget_type(set), space = H5Dget_space(set);
    size_t n = (size_t)H5Sget_simple_extent_npoints(space);
    tx_h5_type found;
    CHECK_TRUE(tx_h5_type_of(type, &found));
    size_t size = tx_h5_type_size(found);
    unsigned char *v = tx_alloc(n, size);
    const char *other = "other";
    H5Dread(set, tx_h5_memory_type(f, found), H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
    if (found == TX_H5_TEXT) {
        H5Dvlen_reclaim(f->text, space, H5P_DEFAULT, v);
        memcpy(v + (n - 1) * size, &other, size);
    } else {
        v[n * size - size] ^= 1;
    }
    CHECK_TRUE(H5Dwrite(set, tx_h5_memory_type(f, found), H5S_ALL, H5S_ALL, H5P_DEFAULT, v) >= 0);
    free(v);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(set);
}

static void check_sets(const char *file, const char *in, const char *whole, int *n_hashed, int *n_free)
{
    tx_h5 f = edit_open(file);
    size_t n;
    tx_h5_name *name = tx_h5_list(&f, in, &n);
    for (size_t i = 0; i < n; i++) {
        char path[512], changed[TX_SHA256_TEXT];
        snprintf(path, sizeof path, "%s/%s", in[1] ? in : "", name[i]);
        hid_t object = H5Oopen(f.file, path, H5P_DEFAULT);
        bool is_set = H5Iget_type(object) == H5I_DATASET;
        H5Oclose(object);
        if (!is_set) {
            check_sets(file, path, whole, n_hashed, n_free);
            continue;
        }
        tx_h5 e = edit_open(file);
        change(&e, path);
        tx_h5_content(&e, changed);
        bool outside = strncmp(path, "/timing/", 8) == 0 || strncmp(path, "/provenance/", 12) == 0;
        bool same = strcmp(changed, whole) == 0;
        if (same != outside) printf("\n  %s: %s\n", path, same ? "is not covered" : "is covered");
        CU_ASSERT(same == outside);
        *(outside ? n_free : n_hashed) += 1;
        edit_close(&e);
    }
    free(name);
    edit_close(&f);
}

static void test_content(void)
{
    const char *file = write_run("content.h5", false);
    int n_hashed = 0, n_free = 0;
    char whole[TX_SHA256_TEXT];
    tx_copy_text(whole, sizeof whole, sum);
    check_sets(file, "/", whole, &n_hashed, &n_free);
    CHECK_INT(n_hashed,
              1 + 3 + 2 + 3 + 4 + 1 + 6 + 1 + 3); /* config train exact iwae samples metrics data cost parameters */
    CHECK_INT(n_free, 3);
    static const struct {
        const char *object, *name;
        bool covered;
    } edit[] = {{"/", "seed", true},
                {"/likelihood/test/iwae/log_likelihood", "n_example", true},
                {"/provenance", "threads", false},
                {"/data/test", "n_rows", true}};
    for (size_t i = 0; i < TX_LEN(edit); i++) {
        char changed[TX_SHA256_TEXT];
        tx_h5 f = edit_open(file);
        H5Adelete_by_name(f.file, edit[i].object, edit[i].name, H5P_DEFAULT);
        tx_h5_set_i32(&f, edit[i].object, edit[i].name, 4711);
        tx_h5_content(&f, changed);
        CHECK_INT(strcmp(changed, whole) != 0, edit[i].covered);
        edit_close(&f);
    }
}

/* A name is content, and so is a shape. */
static void test_content_form(void)
{
    static const struct {
        const char *name;
        size_t rows, columns;
    } form[] = {{"x", 2, 3}, {"x", 3, 2}, {"y", 2, 3}};
    const double x[6] = {2.385, 1, -4, 0.25, 7, 11};
    char content[TX_LEN(form)][TX_SHA256_TEXT];
    for (size_t k = 0; k < TX_LEN(form); k++) {
        tx_h5 *f = tx_h5_new(path_of("form.h5"), "taxon-run", false);
        tx_h5_put(f, &(tx_h5_array){.group = "/a",
                                    .name = form[k].name,
                                    .type = TX_H5_F64,
                                    .rank = 2,
                                    .dim = {{"row", form[k].rows}, {"column", form[k].columns}},
                                    .data = x,
                                    .unit = "1",
                                    .long_name = "a test"});
        CHECK_OK(tx_h5_commit(f, content[k]));
        for (size_t i = 0; i < k; i++) CHECK_TRUE(strcmp(content[i], content[k]) != 0);
    }
}

/* A file of one array of each type, an attribute and an array more or less. */
static const char *write_values(const char *name, const double x[6], const char *text, bool more)
{
    static const uint8_t byte[] = {1, 2, 3};
    tx_h5 *f = tx_h5_new(path_of(name), "taxon-run", false);
    tx_h5_array a = {.group = "/train",
                     .name = "objective",
                     .type = TX_H5_F64,
                     .rank = 2,
                     .dim = {{"row", 2}, {"column", 3}},
                     .data = x,
                     .unit = "1",
                     .long_name = "a test"};
    tx_h5_put(f, &a);
    a = (tx_h5_array){.group = "/parameters", .name = "w", .type = TX_H5_U8, .rank = 1, .data = byte, .unit = "1"};
    a.dim[0].name = "w_in";
    a.dim[0].n = more ? 3 : 2;
    a.long_name = "bytes";
    tx_h5_put(f, &a);
    a = (tx_h5_array){.group = "/config", .name = "json", .type = TX_H5_TEXT, .data = &text};
    tx_h5_put(f, &a);
    if (more) tx_h5_set_i32(f, "/train", "n_row", 2);
    CHECK_OK(tx_h5_commit(f, NULL));
    return tx_strdup(path_of(name));
}

/* An array that is made, hashed and compared in pieces: the same file as of one that is given whole. */
enum { LARGE = 5000, ROW = 1000 };

static void make_rows(void *ctx, size_t first, size_t n, void *to)
{
    size_t *next = ctx;
    CHECK_INT(first, *next);
    *next += n;
    for (size_t i = first; i < first + n; i++)
        for (size_t j = 0; j < ROW; j++) ((float *)to)[(i - first) * ROW + j] = (float)(i / 7 + j / 50);
}

static void put_large(const char *name, const float *whole, char hash[TX_SHA256_TEXT])
{
    size_t next = 0;
    tx_h5 *f = tx_h5_new(path_of(name), "taxon-large", false);
    tx_h5_put(f, &(tx_h5_array){.group = "/large",
                                .name = "x",
                                .type = TX_H5_F32,
                                .rank = 2,
                                .dim = {{"row", LARGE}, {"column", ROW}},
                                .data = whole,
                                .fill = whole ? NULL : make_rows,
                                .ctx = &next,
                                .unit = "1",
                                .long_name = "numbers"});
    CHECK_INT(next, whole ? 0 : LARGE);
    CHECK_OK(tx_h5_commit(f, hash));
}

static void test_pieces(void)
{
    float *whole = tx_alloc((size_t)LARGE * ROW, sizeof *whole);
    size_t next = 0, na = 0, nb = 0;
    char made[TX_SHA256_TEXT], given[TX_SHA256_TEXT], changed[TX_SHA256_TEXT];
    make_rows(&next, 0, LARGE, whole);
    put_large("made.h5", NULL, made);
    put_large("given.h5", whole, given);
    CHECK_TEXT(made, given);
    unsigned char *a = bytes_of(path_of("made.h5"), &na), *b = bytes_of(path_of("given.h5"), &nb);
    CHECK_TRUE(na == nb && memcmp(a, b, na) == 0);
    free(a), free(b);
    whole[4999 * ROW + 17] += 0.25f;
    put_large("changed.h5", whole, changed);
    CHECK_TRUE(strcmp(changed, given) != 0);
    CHECK_OK(tx_content_sha256(path_of("made.h5"), made));
    CHECK_TEXT(made, given);
    tx_text out = {0};
    int n = 0;
    CHECK_OK(tx_differ(path_of("given.h5"), path_of("changed.h5"), "/large", &out, &n));
    CHECK_INT(n, 1);
    CHECK_TEXT(out.s, "/large/x[4999,17]: 714 and 714.25; 1 of 5000000 values differ, by at most 0.25\n");
    tx_text_free(&out);
    free(whole);
}

static void test_differ(void)
{
    const double x[6] = {2.385, 1, -4, 0.25, 7, 11}, y[6] = {2.385, 1, -4, 0.25, 7.5, 11.25};
    const char *a = write_values("differ_a.h5", x,
                                 "{\"epochs\":20,\"batch\":100,\"optimizer\":\"adam\",\"clip_norm\":0}", true);
    const char *b = write_values("differ_b.h5", y,
                                 "{\"epochs\":20,\"batch\":100,\"optimizer\":\"sgd\",\"clip_norm\":0}", false);
    tx_text out = {0};
    int n = -1;
    CHECK_OK(tx_differ(a, a, "/", &out, &n));
    CHECK_INT(n, 0);
    CHECK_OK(tx_differ(a, b, "/", &out, &n));
    char expected[2048];
    snprintf(expected, sizeof expected,
             "/config/json: \"...h\":100,\"optimizer\":\"adam\",\"clip_norm\":0}\" and "
             "\"...h\":100,\"optimizer\":\"sgd\",\"clip_norm\":0}\"\n"
             "/train/objective[1,1]: 7 and 7.5; 2 of 6 values differ, by at most 0.5\n"
             "/train@n_row: only in %s\n"
             "/parameters/w: u8 3 and u8 2\n",
             a);
    CHECK_INT(n, 4);
    CHECK_TEXT(out.s, expected);
    tx_text_free(&out);
    CHECK_OK(tx_differ(a, b, "/provenance", &out, &n));
    CHECK_INT(n, 0);
    CHECK_INT(tx_differ(a, path_of("absent.h5"), "/", &out, &n), TX_ENOINPUT);
    tx_text_free(&out);
    free((void *)a);
    free((void *)b);
}

/* ---- parameters, evaluations, checkpoints ---- */

static void test_parameters(void)
{
    const char *file = write_run("parameters.h5", true);
    tx_model *a, *b, *other;
    CHECK_OK(tx_model_new(&a, &toy, NULL, &view.space, 3));
    CHECK_OK(tx_model_new(&b, &toy, NULL, &view.space, 4));
    tx_tensor x = tx_params_block(a->net[0]), y = tx_params_block(b->net[0]);
    CHECK_TRUE(memcmp(x.x, y.x, tx_len(x) * sizeof(real)) != 0);
    CHECK_OK(tx_run_load_parameters(file, b));
    CHECK_TRUE(memcmp(x.x, y.x, tx_len(x) * sizeof(real)) == 0);
    CHECK_OK(tx_model_new(&other, &wide, NULL, &view.space, 4));
    CHECK_INT(tx_run_load_parameters(file, other), TX_EDATA);
    CHECK_HAS(tx_last_error(), "expected 4 members, found 3");
    tx_model_free(other);
    CHECK_OK(tx_model_new(&other, &transposed, NULL, &view.space, 4));
    CHECK_INT(tx_run_load_parameters(file, other), TX_EDATA);
    CHECK_HAS(tx_last_error(), "/parameters/toy/b: expected 7 x 1, found 1 x 7");
    CHECK_NEAR(tx_params_value(other->net[0], (tx_param){0}).x[0], 1, 0);
    tx_model_free(other);
    tx_model_free(a);
    tx_model_free(b);
}

static void test_evaluations(void)
{
    CHECK_OK(tx_make_folders(path_of("beside")));
    char file[TX_TEXT_MAX];
    tx_estimate e;
    tx_run_info r;
    tx_copy_text(file, sizeof file, write_run("beside/result.h5", false));
    fill_estimate(&e, "ais", TX_ESTIMATE, TX_VALID, 19, -30);
    json_t *config = json_pack("{s:i}", "n_chain", 100);
    CHECK_OK(tx_evaluation_write(path_of("beside/evaluation-ais.h5"), sum, config, 1, &e));
    CHECK_OK(tx_run_read(file, true, &r));
    CHECK_INT(r.n_estimate, 3);
    CHECK_INT(r.n_left_out, 0);
    CHECK_TEXT(r.estimate[2].estimator, "ais");
    CHECK_NEAR(r.estimate[2].log_likelihood[18], e.log_likelihood[18], 0);
    CHECK_NEAR(r.estimate[2].seconds, 1.385, 0);
    tx_run_info_free(&r);
    CHECK_OK(tx_evaluation_write(path_of("beside/evaluation-other.h5"), view.sha256, config, 1, &e));
    CHECK_OK(tx_commit(path_of("beside/evaluation-rubbish.h5"), "rubbish", 7));
    CHECK_OK(tx_run_read(file, true, &r));
    CHECK_INT(r.n_estimate, 3);
    CHECK_INT(r.n_left_out, 2);
    CHECK_HAS(r.note.s, "evaluation-rubbish.h5");
    tx_run_info_free(&r);
    CHECK_INT(unlink(path_of("beside/evaluation-rubbish.h5")), 0);
    CHECK_OK(tx_run_read(file, false, &r));
    CHECK_INT(r.n_left_out, 1);
    CHECK_HAS(r.note.s, "evaluates another run");
    tx_run_info_free(&r);
    for (int i = 0; i < 30; i++) {
        char name[64];
        snprintf(name, sizeof name, "beside/evaluation-rubbish-%d.h5", i);
        CHECK_OK(tx_commit(path_of(name), "rubbish", 7));
    }
    CHECK_OK(tx_run_read(file, false, &r));
    CHECK_INT(r.n_left_out, 31);
    CHECK_HAS(r.note.s, "evaluation-rubbish-0.h5");
    CHECK_HAS(r.note.s, "evaluation-rubbish-29.h5");
    tx_run_info_free(&r);
    tx_estimate_free(&e);
    json_decref(config);
}

/* Rows that a model drew itself: values, upper bounds and rows, of levels or of reals. */
static void fill_drawn(tx_estimate *e, const char *name, tx_measure measure, size_t n)
{
    fill_estimate(e, "bdmc", TX_LOWER_BOUND, TX_SIMULATED, n, -88.1);
    tx_copy_text(e->name, sizeof e->name, name);
    e->measure = measure;
    e->upper = tx_alloc(n, sizeof *e->upper);
    e->x = tx_alloc(n * DIM, sizeof *e->x);
    for (size_t i = 0; i < n; i++) e->upper[i] = e->log_likelihood[i] + 0.08 + 0.001 * (double)(i % 5);
    for (size_t i = 0; i < n * DIM; i++)
        e->x[i] = measure == TX_COUNTING ? (real)(i % LEVELS) : (real)(2.385 * (double)i - 300);
    json_object_set_new(e->settings, "gap_mean", json_real(0.0823));
    json_object_set_new(e->settings, "gap_error", json_real(0.0125));
    json_object_set_new(e->settings, "gap_mc_error", json_real(0.0031));
    json_object_set_new(e->settings, "brief", json_string("1000 steps x 16 chains"));
}

static void test_simulated(void)
{
    CHECK_OK(tx_make_folders(path_of("drawn")));
    const char *file = write_run("drawn/result.h5", false);
    tx_estimate e[2];
    tx_run_info r;
    json_t *config = json_pack("{s:i}", "n_chain", 16);
    fill_drawn(&e[0], "bdmc", TX_LEBESGUE, 7);
    fill_drawn(&e[1], "bdmc_of_levels", TX_COUNTING, 9);
    CHECK_OK(tx_evaluation_write(path_of("drawn/evaluation-bdmc.h5"), sum, config, 2, e));
    CHECK_OK(tx_run_read(file, true, &r));
    CHECK_INT(r.n_left_out, 0);
    CHECK_INT(r.n_estimate, 4);
    for (int k = 0; k < 2; k++) {
        const tx_estimate *back = tx_run_estimate(&r, TX_SIMULATED, e[k].name);
        CHECK_TRUE(back && back->upper && back->x && back->std_error);
        if (!back || !back->upper || !back->x) continue;
        CHECK_TEXT(back->estimator, "bdmc");
        CHECK_INT(back->n, e[k].n);
        CHECK_INT(back->dim, DIM);
        CHECK_TRUE(memcmp(back->upper, e[k].upper, e[k].n * sizeof *back->upper) == 0);
        CHECK_TRUE(memcmp(back->x, e[k].x, e[k].n * DIM * sizeof *back->x) == 0);
        CHECK_NEAR(tx_estimate_setting(back, "gap_mean"), 0.0823, 0);
        CHECK_TEXT(tx_estimate_text(back, "brief"), "1000 steps x 16 chains");
    }
    CHECK_TRUE(isnan(tx_estimate_setting(&r.estimate[2], "brief")));
    CHECK_TEXT(tx_estimate_text(&r.estimate[2], "gap_mean"), "");
    CHECK_TRUE(tx_run_estimate(&r, TX_TEST, "bdmc") == NULL);
    tx_run_info_free(&r);
    CHECK_OK(tx_run_read(file, false, &r));
    CHECK_TRUE(r.estimate[3].x == NULL && r.estimate[3].upper == NULL);
    tx_run_info_free(&r);
    json_decref(config);
    for (int k = 0; k < 2; k++) tx_estimate_free(&e[k]);
}

/* Two settings of one estimator lie side by side; a name of the greatest length leaves room for all that contains it.
 */
static void test_names(void)
{
    char longest[2][101];
    for (int k = 0; k < 2; k++) memset(longest[k], 'n', 100), longest[k][99] = (char)('a' + k), longest[k][100] = 0;
    CHECK_OK(tx_make_folders(path_of("names")));
    const char *file = write_run("names/result.h5", false);
    tx_estimate e[2];
    tx_run_info r;
    json_t *config = json_object();
    for (int k = 0; k < 2; k++) {
        fill_estimate(&e[k], "iwae", TX_LOWER_BOUND, TX_TEST, 17, -30.25 - k);
        tx_copy_text(e[k].name, sizeof e[k].name, longest[k]);
        e[k].seconds = 2.385 + k;
    }
    CHECK_OK(tx_evaluation_write(path_of("names/evaluation-two.h5"), sum, config, 2, e));
    CHECK_OK(tx_run_read(file, true, &r));
    CHECK_INT(r.n_estimate, 4);
    for (int k = 0; k < 2; k++) {
        const tx_estimate *back = tx_run_estimate(&r, TX_TEST, longest[k]);
        CHECK_TRUE(back != NULL);
        if (!back) continue;
        CHECK_TEXT(back->estimator, "iwae");
        CHECK_NEAR(back->mean, e[k].mean, 0);
        CHECK_NEAR(back->seconds, 2.385 + k, 0);
    }
    CHECK_NEAR(tx_run_estimate(&r, TX_TEST, "iwae")->mean, r.estimate[1].mean, 0);
    CHECK_INT(tx_run_estimate(&r, TX_TEST, "iwae")->n, 41);
    tx_run_info_free(&r);
    json_decref(config);
    for (int k = 0; k < 2; k++) tx_estimate_free(&e[k]);
}

/* What bits per dimension are: as written, and as files of schema 1.0 meant them. */
static void test_bits_kind(void)
{
    static const struct {
        tx_kind kind, bits;
        tx_measure measure;
    } is[] = {{TX_EXACT, TX_EXACT, TX_COUNTING},
              {TX_LOWER_BOUND, TX_UPPER_BOUND, TX_COUNTING},
              {TX_UPPER_BOUND, TX_LOWER_BOUND, TX_COUNTING},
              {TX_ESTIMATE, TX_ESTIMATE, TX_COUNTING},
              {TX_EXACT, TX_UPPER_BOUND, TX_LEBESGUE},
              {TX_LOWER_BOUND, TX_UPPER_BOUND, TX_LEBESGUE},
              {TX_ESTIMATE, TX_ESTIMATE, TX_LEBESGUE}};
    CHECK_OK(tx_make_folders(path_of("bits")));
    const char *file = write_run("bits/result.h5", false), *evaluation = path_of("bits/evaluation-bits.h5");
    tx_estimate e[TX_LEN(is)];
    tx_run_info r;
    json_t *config = json_object();
    for (size_t k = 0; k < TX_LEN(is); k++) {
        fill_estimate(&e[k], "iwae", is[k].kind, TX_VALID, 5, -30);
        snprintf(e[k].name, sizeof e[k].name, "iwae_%zu", k);
        e[k].bits_per_dim = 2.385, e[k].bits_kind = TX_EXACT, e[k].measure = is[k].measure;
    }
    e[1].bits_kind = TX_UPPER_BOUND;
    for (int old = 0; old < 2; old++) {
        CHECK_OK(tx_evaluation_write(evaluation, sum, config, (int)TX_LEN(is), e));
        tx_h5 f = edit_open(evaluation);
        for (size_t k = 0; old && k < TX_LEN(is); k++) {
            char path[128];
            snprintf(path, sizeof path, "/likelihood/valid/iwae_%zu/log_likelihood", k);
            CHECK_TRUE(H5Adelete_by_name(f.file, path, "bits_kind", H5P_DEFAULT) >= 0);
        }
        H5Fflush(f.file, H5F_SCOPE_GLOBAL);
        ssize_t bytes = H5Fget_file_image(f.file, NULL, 0);
        char *image = tx_alloc((size_t)bytes + 77, 1), digits[TX_SHA256_TEXT];
        CHECK_TRUE(H5Fget_file_image(f.file, image, (size_t)bytes) == bytes);
        tx_sha256_of(image, (size_t)bytes, digits);
        memcpy(image + bytes, TX_H5_TRAILER, 12);
        memcpy(image + bytes + 12, digits, 64);
        image[bytes + 76] = '\n';
        CHECK_OK(tx_commit(evaluation, image, (size_t)bytes + 77));
        free(image);
        edit_close(&f);
        CHECK_OK(tx_run_read(file, false, &r));
        CHECK_INT(r.n_left_out, 0);
        CHECK_INT(r.n_estimate, 2 + (int)TX_LEN(is));
        for (size_t k = 0; k < TX_LEN(is) && r.n_estimate == 2 + (int)TX_LEN(is); k++)
            CHECK_INT(r.estimate[2 + k].bits_kind, old ? is[k].bits : k == 1 ? TX_UPPER_BOUND : TX_EXACT);
        tx_run_info_free(&r);
    }
    json_decref(config);
    for (size_t k = 0; k < TX_LEN(is); k++) tx_estimate_free(&e[k]);
}

/* Against sums over (seed, row) written out, with a seed missing on either side and unequal numbers of rows. */
static void test_paired(void)
{
    enum { SEEDS = 4 };
    static const size_t rows[2][SEEDS] = {{53, 41, 7, 64}, {41, 53, 64, 50}};
    tx_estimate e[2][SEEDS];
    const tx_estimate *a[SEEDS], *b[SEEDS];
    open_data();
    tx_rng r = tx_rng_named(tx_rng_root(23), "paired");
    for (int k = 0; k < 2; k++)
        for (int s = 0; s < SEEDS; s++) {
            fill_estimate(&e[k][s], "exact", TX_EXACT, TX_TEST, rows[k][s], -20.5 - 3.25 * k - 0.385 * s * (k + 1));
            for (size_t i = 0; i < rows[k][s]; i++)
                e[k][s].log_likelihood[i] += tx_rng_normal1(tx_rng_fold(r, (uint64_t)(2 * s + k)), i);
            *(k ? &b[s] : &a[s]) = &e[k][s];
        }
    a[2] = NULL, b[1] = NULL;
    tx_difference d = tx_paired_difference(SEEDS, a, b);
    double row[41] = {0}, seed[2] = {0}, mean = 0, square = 0;
    for (size_t i = 0; i < 41; i++)
        for (int k = 0; k < 2; k++) {
            double x = e[0][3 * k].log_likelihood[i] - e[1][3 * k].log_likelihood[i];
            row[i] += x / 2, seed[k] += x / 41, mean += x / 82;
        }
    for (size_t i = 0; i < 41; i++) square += (row[i] - mean) * (row[i] - mean);
    CHECK_INT(d.n, 41);
    CHECK_INT(d.n_pair, 2);
    CHECK_NEAR(d.mean, mean, 1e-12);
    CHECK_NEAR(d.error, sqrt(square / 40 / 41), 1e-12);
    CHECK_NEAR(d.seed_error, fabs(seed[0] - seed[1]) / 2, 1e-12);
    a[3] = NULL;
    d = tx_paired_difference(SEEDS, a, b);
    CHECK_INT(d.n_pair, 1);
    CHECK_NEAR(d.mean, seed[0], 1e-12);
    CHECK_TRUE(isnan(d.seed_error) && d.error > 0);
    a[0] = NULL;
    d = tx_paired_difference(SEEDS, a, b);
    CHECK_TRUE(d.n == 0 && d.n_pair == 0 && isnan(d.mean) && isnan(d.error) && isnan(d.seed_error));
    for (int k = 0; k < 2; k++)
        for (int s = 0; s < SEEDS; s++) tx_estimate_free(&e[k][s]);
}

static tx_trainer *trainer_with(const char *settings, tx_model **m)
{
    tx_train_config c;
    tx_yaml *y = NULL;
    tx_trainer *t = NULL;
    open_data();
    CHECK_OK(tx_yaml_parse(settings, strlen(settings), "test", &y));
    CHECK_OK(tx_train_parse(&c, y, "test"));
    CHECK_OK(tx_model_new(m, &toy, NULL, &view.space, 8));
    CHECK_OK(tx_trainer_new(&t, *m, &view, &c, 8));
    tx_yaml_free(y);
    return t;
}

static tx_trainer *trainer_of(tx_model **m)
{
    return trainer_with("{epochs: 3, batch: 16, optimizer: adam, learning_rate: 0.01}", m);
}

static void advance(tx_trainer *t, int steps)
{
    bool done;
    for (int i = 0; i < steps && !tx_trainer_look(t).finished; i++) CHECK_OK(tx_trainer_advance(t, &done));
}

static void test_checkpoint(void)
{
    const char *file = path_of("checkpoint.h5"), *identity = "model: toy\nlearning_rate: 0.01\nversion: 1\n";
    tx_model *a, *b;
    tx_trainer *t = trainer_of(&a), *u = trainer_of(&b);
    CHECK_INT(tx_checkpoint_read(file, identity, u), TX_ENOINPUT);
    CHECK_OK(tx_checkpoint_write(file, identity, t)); /* before the first step: curves are empty */
    CHECK_OK(tx_checkpoint_read(file, identity, u));
    advance(t, 8);
    CHECK_OK(tx_checkpoint_write(file, identity, t));
    advance(t, 1000);
    CHECK_INT(tx_checkpoint_read(file, "model: toy\nlearning_rate: 0.02\nversion: 1\n", u), TX_EDATA);
    CHECK_HAS(tx_last_error(), "learning_rate: 0.01");
    CHECK_HAS(tx_last_error(), "learning_rate: 0.02");
    CHECK_INT(tx_checkpoint_read(file, "model: toy\n", u), TX_EDATA);
    CHECK_INT(tx_trainer_look(u).step, 0);
    CHECK_OK(tx_checkpoint_read(file, identity, u));
    CHECK_INT(tx_trainer_look(u).step, 8);
    advance(u, 1000);
    CHECK_INT(tx_trainer_look(u).step, tx_trainer_look(t).step);
    CHECK_NEAR(tx_trainer_look(u).best_score, tx_trainer_look(t).best_score, 0);
    tx_tensor x = tx_params_block(a->net[0]), y = tx_params_block(b->net[0]);
    CHECK_TRUE(memcmp(x.x, y.x, tx_len(x) * sizeof(real)) == 0);
    const tx_curves *c = tx_trainer_curves(t), *d = tx_trainer_curves(u);
    CHECK_INT(c->n_row, d->n_row);
    CHECK_INT(c->n_column, d->n_column);
    for (int i = 0; i < c->n_column; i++)
        CHECK_TRUE(memcmp(c->value[i], d->value[i], (size_t)c->n_row * sizeof(double)) == 0);

    /* whole, but of no state that this training passes: eight steps where there are five in all */
    tx_model *other;
    tx_trainer *shorter = trainer_with("{epochs: 1, batch: 16, optimizer: adam, learning_rate: 0.01}", &other);
    CHECK_INT(tx_checkpoint_read(file, identity, shorter), TX_EDATA);
    CHECK_HAS(tx_last_error(), file);
    CHECK_HAS(tx_last_error(), "step 8 of 5, batch 3 with 48 rows before it");
    CHECK_INT(tx_trainer_look(shorter).step, 0);
    tx_trainer_free(shorter);
    tx_model_free(other);

    size_t n;
    unsigned char *bytes = bytes_of(file, &n);
    bytes[n / 2] ^= 4;
    put_bytes(file, bytes, n);
    CHECK_INT(tx_checkpoint_read(file, identity, u), TX_EDATA);
    CHECK_HAS(tx_last_error(), "damaged");
    free(bytes);
    tx_trainer_free(t);
    tx_trainer_free(u);
    tx_model_free(a);
    tx_model_free(b);
}

/* ---- comparisons ---- */

enum { RUNS = 7 };
/* Two variants of a group, of which valid prefers the one that test does not, and another model, which has one run more
 * and one that diverged. */
static const struct {
    const char *label;
    int seed;
    double shift, score, wiggle;
    tx_status outcome;
} plan[RUNS] = {{"b", 2, -40.25, -41, 0.31, TX_OK},   {"a,1", 1, -20.5, -22, 0, TX_OK},
                {"a,1", 2, -21.75, -21, 0, TX_OK},    {"a,2\"", 1, -22.0, -23, 0, TX_OK},
                {"a,2\"", 2, -18.125, -24, 0, TX_OK}, {"a,2\"", 3, 100, 500, 0, TX_EDIVERGED},
                {"b", 3, -41.25, -41, 0.31, TX_OK}};

static void write_compare(const char *folder)
{
    tx_run_info run[RUNS];
    char path[600], csv[600];
    for (int i = 0; i < RUNS; i++) {
        sample_run s;
        run_new(&s, &toy, plan[i].label, plan[i].seed, plan[i].shift);
        for (int k = 0; k < 2; k++) {
            for (size_t j = 0; j < s.estimate[k].n; j++)
                s.estimate[k].log_likelihood[j] += plan[i].wiggle * (double)(j % 3);
            tx_estimate_summarise(&s.estimate[k], &view);
        }
        s.run.group = plan[i].label[0] == 'a' ? "a" : "b";
        s.run.training.best_score = plan[i].score;
        s.run.outcome = plan[i].outcome;
        snprintf(path, sizeof path, "%s/compare-%d.h5", folder, i);
        CHECK_OK(tx_run_write(&s.run, path, false, NULL));
        CHECK_OK(tx_run_read(path, true, &run[i]));
        unlink(path);
        run_free(&s);
    }
    snprintf(path, sizeof path, "%s/compare.h5", folder);
    snprintf(csv, sizeof csv, "%s/compare.csv", folder);
    CHECK_OK(tx_compare_write(path, csv, RUNS, run, NULL));
    run[1].view_sha256[0] ^= 1;
    CHECK_INT(tx_compare_write(path, csv, RUNS, run, NULL), TX_EDATA);
    for (int i = 0; i < RUNS; i++) tx_run_info_free(&run[i]);
}

static double ll_of(double shift, size_t i) { return shift - 2.385 * (double)(i % 7) + 0.01 * (double)i; }

static const char group[] = "/small-logit/test";

static void check_examples(tx_h5 *f)
{
    /* labels a,1 a,2" b; estimators exact, iwae; seeds 1, 2, 3 */
    static const double shift[3][3] = {{-20.5, -21.75, NAN}, {-22.0, -18.125, 100}, {NAN, -40.25, -41.25}};
    tx_shape shape;
    double *ll = tx_h5_get(f, "/small-logit/test/log_likelihood", TX_H5_F64, &shape);
    CHECK_TRUE(shape.rank == 4 && shape.dim[0] == 3 && shape.dim[1] == 2 && shape.dim[2] == 3 && shape.dim[3] == 53);
    size_t wrong = 0;
    for (size_t m = 0; m < 3; m++)
        for (size_t e = 0; e < 2; e++)
            for (size_t s = 0; s < 3; s++)
                for (size_t i = 0; i < 53; i++) {
                    double v = ll[((m * 2 + e) * 3 + s) * 53 + i];
                    double expected = ll_of(shift[m][s] - (e ? 3.1 : 0), i) + (m == 2 ? 0.31 * (double)(i % 3) : 0);
                    bool absent = isnan(shift[m][s]) || (e == 1 && i >= 41);
                    wrong += absent ? !isnan(v) : v != expected;
                }
    CHECK_INT(wrong, 0);
    free(ll);
}

/* An array of the summary, to be freed. */
static void *summary_of(tx_h5 *f, const char *name, tx_h5_type type)
{
    char path[256];
    tx_shape shape;
    snprintf(path, sizeof path, "%s/summary/%s", group, name);
    return tx_h5_get(f, path, type, &shape);
}

static void test_compare_h5(void)
{
    write_compare(tx_test_folder());
    tx_h5 *f;
    CHECK_OK(tx_h5_open(&f, path_of("compare.h5"), "taxon-compare"));
    check_examples(f);
    uint8_t *status = summary_of(f, "status", TX_H5_U8), *chosen = summary_of(f, "chosen", TX_H5_U8);
    int32_t *complete = summary_of(f, "n_complete", TX_H5_I32);
    double *mean = summary_of(f, "seed_mean", TX_H5_F64), *error = summary_of(f, "seed_error", TX_H5_F64);
    double *difference = summary_of(f, "difference", TX_H5_F64), *paired = summary_of(f, "difference_error", TX_H5_F64);
    double *between = summary_of(f, "difference_seed_error", TX_H5_F64);
    int32_t *pairs = summary_of(f, "n_paired", TX_H5_I32);
    double *training = summary_of(f, "timing_training", TX_H5_F64);
    CHECK_OK(tx_h5_status(f));
    CHECK_TRUE(memcmp(status, "\0\0\2\0\0\1\2\0\0", 9) == 0);
    CHECK_TRUE(memcmp(chosen, "\1\0\1", 3) == 0);
    CHECK_TRUE(complete[0] == 2 && complete[2] == 2 && complete[4] == 2);

    double base = 0, third = 0, square = 0; /* third: the mean of i % 3 over the examples */
    for (size_t i = 0; i < 53; i++) base += ll_of(0, i) / 53, third += (double)(i % 3) / 53;
    for (size_t i = 0; i < 53; i++) square += pow((double)(i % 3) - third, 2);
    CHECK_NEAR(mean[0], base - 21.125, 1e-12);
    CHECK_NEAR(mean[4], base - 40.75 + 0.31 * third, 1e-12);
    CHECK_NEAR(error[0], 1.25 / 2, 1e-12); /* of two values a, b: |a-b|/2 */
    CHECK_NEAR(error[2], 3.875 / 2, 1e-12);
    CHECK_NEAR(difference[0], 0, 0);
    CHECK_NEAR(difference[2], -20.0625 + 21.125, 1e-12);
    CHECK_NEAR(difference[4], -40.25 + 21.75 + 0.31 * third, 1e-12); /* seed 2 alone is of both */
    CHECK_TRUE(pairs[0] == 2 && pairs[2] == 2 && pairs[4] == 1);
    CHECK_NEAR(between[2], fabs(-22.0 + 20.5 - (-18.125 + 21.75)) / 2, 1e-12);
    CHECK_TRUE(isnan(between[4]));
    CHECK_NEAR(paired[2], 0, 1e-12); /* these two differ by a constant */
    CHECK_NEAR(paired[4], 0.31 * sqrt(square / 52 / 53), 1e-12);
    CHECK_TRUE(isnan(training[2]) && training[7] == 14.5);
    void *memory[] = {status, chosen, complete, mean, error, difference, paired, training, between, pairs};
    for (size_t i = 0; i < TX_LEN(memory); i++) free(memory[i]);
    CHECK_OK(tx_h5_close(f));
    CHECK_OK(tx_content_sha256(path_of("compare.h5"), sum));
}

static void test_compare_csv(void)
{
    const char *locale = setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is installed, it writes a decimal comma */
    write_compare(tx_test_folder());
    if (locale) setlocale(LC_ALL, "C");
    size_t n;
    char *text = (char *)bytes_of(path_of("compare.csv"), &n), expected[400];
    int lines = 0;
    for (char *p = text; *p; p++) lines += *p == '\n';
    CHECK_INT(lines, 1 + RUNS * (4 + 2 * 6 + 1 + 1 + 3));
    static const char header[] =
        "dataset,view,measure,split,label,group,chosen,model,taxonomy_path,seed,name,estimator,"
        "evaluated_model,kind,stochastic,quantity,value,error,unit\n";
    CHECK_TRUE(strncmp(text, header, sizeof header - 1) == 0);
    CHECK_HAS(
        text,
        "small,logit,lebesgue,,\"a,1\",a,1,toy,explicit/tractable/test,1,,,,,,mmd,0.0385,0.0020999999999999999,1\n");
    CHECK_HAS(text, ",\"a,2\"\"\",a,0,toy,explicit/tractable/test,3,,,,,,status,1,,0=complete 1=diverged\n");
    tx_estimate e;
    fill_estimate(&e, "iwae", TX_LOWER_BOUND, TX_TEST, 41, -18.125 - 3.1);
    snprintf(expected, sizeof expected,
             "small,logit,lebesgue,test,\"a,2\"\"\",a,0,toy,explicit/tractable/test,2,iwae,iwae,model,lower_bound,1,"
             "mean_log_likelihood,%.17g,%.17g,nat\n",
             e.mean, e.mean_error);
    CHECK_HAS(text, expected);
    snprintf(expected, sizeof expected, ",2,iwae,iwae,model,upper_bound,1,bits_per_dim,%.17g,,bit/dim\n",
             e.bits_per_dim);
    CHECK_HAS(text, expected);
    tx_estimate_free(&e);
    free(text);
}

/* Evaluations of one model that came later: a second setting of iwae over fewer rows than another model's, and rows
 * that the model drew, which are compared with nobody's. */
static void test_compare_names(void)
{
    tx_run_info run[2];
    json_t *config = json_object();
    for (int i = 0; i < 2; i++) {
        sample_run s;
        tx_estimate e[2];
        char path[600], beside[700];
        snprintf(path, sizeof path, "%s/named-%d", tx_test_folder(), i);
        CHECK_OK(tx_make_folders(path));
        snprintf(beside, sizeof beside, "%s/evaluation-two.h5", path);
        strcat(path, "/result.h5");
        run_new(&s, &toy, i ? "b" : "a", 1, -20.5 - i);
        s.run.group = s.run.label;
        CHECK_OK(tx_run_write(&s.run, path, false, sum));
        fill_estimate(&e[0], "iwae", TX_LOWER_BOUND, TX_TEST, i ? 11 : 13, -21 - i);
        tx_copy_text(e[0].name, sizeof e[0].name, "iwae_5000");
        fill_drawn(&e[1], "bdmc", TX_LEBESGUE, 7);
        CHECK_OK(tx_evaluation_write(beside, sum, config, 2, e));
        CHECK_OK(tx_run_read(path, true, &run[i]));
        tx_estimate_free(&e[0]), tx_estimate_free(&e[1]);
        run_free(&s);
    }
    CHECK_OK(tx_compare_write(path_of("named.h5"), path_of("named.csv"), 2, run, NULL));
    tx_h5 *f;
    CHECK_OK(tx_h5_open(&f, path_of("named.h5"), "taxon-compare"));
    double *mean = summary_of(f, "mean", TX_H5_F64), *difference = summary_of(f, "difference", TX_H5_F64);
    CHECK_TRUE(mean && difference); /* (a, b) x (exact, iwae, iwae_5000) */
    CHECK_NEAR(mean[5], run[1].estimate[2].mean, 0);
    CHECK_NEAR(difference[3], -1, 1e-12);
    CHECK_NEAR(difference[4], -1, 1e-12);
    CHECK_NEAR(difference[5], 0, 0); /* 11 rows are not set against 13 */
    free(mean), free(difference);
    double *gap = tx_h5_get(f, "/small-logit/simulated/summary/gap_error", TX_H5_F64, NULL);
    CHECK_TRUE(gap && gap[0] == 0.0125 && gap[1] == 0.0125);
    free(gap);
    CHECK_TRUE(!tx_h5_has(f, "/small-logit/simulated/log_likelihood"));
    CHECK_TRUE(!tx_h5_has(f, "/small-logit/simulated/summary/difference"));
    CHECK_TRUE(tx_h5_has(f, "/small-logit/test/method") && tx_h5_has(f, "/small-logit/test/bits_kind"));
    CHECK_OK(tx_h5_close(f));
    size_t n;
    char *text = (char *)bytes_of(path_of("named.csv"), &n);
    CHECK_HAS(text, ",1,iwae_5000,iwae,model,lower_bound,1,n_example,13,,1\n");
    CHECK_HAS(text, "small,logit,lebesgue,simulated,b,b,");
    CHECK_HAS(text, ",1,bdmc,bdmc,model,estimate,1,gap_mean,0.082299999999999998,0.012500000000000001,nat\n");
    free(text);
    json_decref(config);
    tx_run_info other = run[1]; /* a second seed of the first model, evaluated otherwise under the same name */
    tx_copy_text(run[1].label, sizeof run[1].label, "a"), tx_copy_text(run[1].group, sizeof run[1].group, "a");
    run[1].seed = 2;
    for (int same = 0; same < 2; same++) {
        tx_copy_text(run[1].estimate[2].estimator, TX_NAME_MAX, same ? "iwae" : "elbo");
        CHECK_OK(tx_compare_write(path_of("named.h5"), path_of("named.csv"), 2, run, NULL));
        CHECK_OK(tx_h5_open(&f, path_of("named.h5"), "taxon-compare"));
        double *over_seeds = summary_of(f, "seed_mean", TX_H5_F64);
        double first = run[0].estimate[2].mean, second = run[1].estimate[2].mean;
        CHECK_TRUE(over_seeds && first != second);
        CHECK_NEAR(over_seeds[2], same ? (first + second) / 2 : first, 1e-12);
        free(over_seeds);
        CHECK_OK(tx_h5_close(f));
    }
    run[1] = other;
    for (int i = 0; i < 2; i++) { /* drawn rows alone are no likelihood of data: these models have none */
        tx_estimate first = run[i].estimate[0];
        run[i].estimate[0] = run[i].estimate[3], run[i].estimate[3] = first;
        CHECK_INT(run[i].n_estimate, 4);
        run[i].n_estimate = 1;
    }
    CHECK_OK(tx_compare_write(path_of("named.h5"), path_of("named.csv"), 2, run, NULL));
    CHECK_OK(tx_h5_open(&f, path_of("named.h5"), "taxon-compare"));
    CHECK_TRUE(tx_h5_has(f, "/small-logit/test/summary/model") && tx_h5_has(f, "/small-logit/simulated/summary/mean"));
    CHECK_OK(tx_h5_close(f));
    for (int i = 0; i < 2; i++) {
        run[i].n_estimate = 4;
        tx_run_info_free(&run[i]);
    }
}

static void write_samples(const char *folder)
{
    char path[600];
    sample_run s;
    CHECK_OK(tx_make_folders(folder));
    run_new(&s, &toy, "toy-a", 3, -20.5);
    snprintf(path, sizeof path, "%s/result.h5", folder);
    CHECK_OK(tx_run_write(&s.run, path, false, sum));
    snprintf(path, sizeof path, "%s/evaluation-again.h5", folder);
    CHECK_OK(tx_evaluation_write(path, sum, s.run.config, 2, s.estimate));
    tx_estimate e[2];
    fill_drawn(&e[0], "bdmc", TX_LEBESGUE, 7);
    fill_drawn(&e[1], "of_levels", TX_COUNTING, 9);
    snprintf(path, sizeof path, "%s/evaluation-drawn.h5", folder);
    CHECK_OK(tx_evaluation_write(path, sum, s.run.config, 2, e));
    tx_estimate_free(&e[0]), tx_estimate_free(&e[1]);
    run_free(&s);
    write_compare(folder);
    tx_model *m;
    tx_trainer *t = trainer_of(&m);
    advance(t, 8);
    snprintf(path, sizeof path, "%s/checkpoint.h5", folder);
    CHECK_OK(tx_checkpoint_write(path, "identity", t));
    tx_trainer_free(t);
    tx_model_free(m);
}

static const char *sample_folder;
static void test_samples(void) { write_samples(sample_folder); }

int main(int argc, char **argv)
{
    static const tx_test test[] = {{"a commit leaves old or new", test_commit},
                                   {"what is set aside", test_set_aside},
                                   {"folders", test_folders},
                                   {"grids of pictures", test_png_grid},
                                   {"points", test_png_points},
                                   {"run files keep what they were given", test_round_trip},
                                   {"samples and rows in the data's unit", test_layout},
                                   {"same run, same bytes", test_reproducible},
                                   {"every flipped bit is noticed", test_trailer},
                                   {"other schemas are refused", test_schema},
                                   {"chunks and filters", test_chunks},
                                   {"failures of HDF5", test_failure},
                                   {"what the content hash covers", test_content},
                                   {"names and shapes are content", test_content_form},
                                   {"where two files differ", test_differ},
                                   {"large arrays in pieces", test_pieces},
                                   {"parameters", test_parameters},
                                   {"evaluations beside a run", test_evaluations},
                                   {"rows that a model drew", test_simulated},
                                   {"two settings of one estimator", test_names},
                                   {"kinds of bits per dimension", test_bits_kind},
                                   {"paired differences", test_paired},
                                   {"comparisons of named estimates", test_compare_names},
                                   {"checkpoints", test_checkpoint},
                                   {"compare.h5", test_compare_h5},
                                   {"compare.csv", test_compare_csv}};
    static const tx_test samples[] = {{"one file of each kind", test_samples}};
    sample_folder = argc > 1 ? argv[1] : NULL;
    int status = argc > 1 ? tx_run_tests("store samples", samples, 1) : tx_run_tests("store", test, (int)TX_LEN(test));
    tx_view_close(&view);
    tx_dataset_close(&data);
    return status;
}
