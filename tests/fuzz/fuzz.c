#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "experiments/taxon/spec.h"

const char *fuzz_file(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    TX_REQUIRE(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size, "%zu bytes in memory", size);
    return path;
}

void fuzz_refused(tx_status s, tx_status expected, tx_status other, const char *origin)
{
    const char *message = tx_last_error();
    TX_REQUIRE(s == expected || s == other, "status %d: %s", (int)s, message);
    TX_REQUIRE(strstr(message, origin), "no '%s' in: %s", origin, message);
    for (const char *c = message; *c; c++)
        TX_REQUIRE((unsigned char)*c >= 32 && *c != 127, "byte %02x in: %s", (unsigned)*c, message);
}

static tx_spec spec;
static tx_setting *setting;

fuzz_training fuzz_training_new(void)
{
    fuzz_training t;
    if (!setting) {
        TX_REQUIRE(tx_spec_parse(&spec, FUZZ_SPEC, "spec") == TX_OK, "%s", tx_last_error());
        TX_REQUIRE(tx_setting_open_data(&setting, &spec.data, NULL) == TX_OK, "%s", tx_last_error());
    }
    tx_status s = tx_model_new(&t.model, spec.model.ops, spec.model.config, &setting->view.space, (uint64_t)spec.seed);
    if (s == TX_OK) s = tx_trainer_new(&t.trainer, t.model, &setting->view, &spec.model.train, (uint64_t)spec.seed);
    TX_REQUIRE(s == TX_OK, "%s", tx_last_error());
    return t;
}

void fuzz_training_free(fuzz_training *t)
{
    tx_trainer_free(t->trainer);
    tx_model_free(t->model);
}

void fuzz_training_go_on(fuzz_training *t)
{
    bool done;
    for (int i = 0; i < 2 && !tx_trainer_look(t->trainer).finished; i++)
        if (tx_trainer_advance(t->trainer, &done) != TX_OK) return;
}
