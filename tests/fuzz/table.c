#include <math.h>
#include <string.h>
#include "common/data/dataset.h"
#include "common/data/readers.h"
#include "tests/fuzz/fuzz.h"

static void check_table(const tx_table *t)
{
    TX_REQUIRE(!t->u8 != !t->f32 && t->n > 0 && t->dim > 0 && t->note[0], "an empty table");
    TX_REQUIRE(!t->height || t->height * t->width * t->channel == t->dim, "%zu values an image", t->dim);
    unsigned sum = 0;
    for (size_t i = 0; i < t->n * t->dim; i++) {
        TX_REQUIRE(!t->f32 || isfinite(t->f32[i]), "value %zu", i);
        sum += t->u8 ? t->u8[i] : 0u;
    }
    TX_REQUIRE(sum <= 255 * t->n * t->dim, "%u", sum);
}

static void check_dataset(const tx_dataset *d)
{
    for (int s = 0; s < TX_N_SPLIT; s++) {
        TX_REQUIRE(d->split[s].n > 0 && !d->split[s].level != !d->split[s].value, "split %d", s);
        for (size_t i = 0; d->split[s].level && i < d->split[s].n * d->dim; i++)
            TX_REQUIRE(d->split[s].level[i] < d->levels, "level %d of %d", d->split[s].level[i], d->levels);
        for (size_t i = 0; d->split[s].value && i < d->split[s].n * d->dim; i++)
            TX_REQUIRE(isfinite(d->split[s].value[i]), "value %zu", i);
    }
}

void fuzz_table(const uint8_t *data, size_t size)
{
    if (memmem(data, size, "\x89HDF\r\n\x1a\n", 8)) return;
    const char *path = fuzz_file(data, size);
    tx_table t = {0};
    tx_status status = tx_table_read(path, &t);
    if (status == TX_OK)
        check_table(&t);
    else
        fuzz_refused(status, TX_EDATA, TX_EDATA, path);
    TX_REQUIRE(status == TX_OK || (!t.u8 && !t.f32), "a table of a refused file");
    tx_table_free(&t);

    tx_data_config c;
    tx_dataset d;
    tx_options_defaults(tx_data_options, &c);
    tx_copy_text(c.path, sizeof c.path, path);
    c.label_column = (int)(size % 4) - 1;
    c.levels = size % 5 == 1 ? 2 : 0;
    const tx_status opened = tx_dataset_open(&d, &c, NULL);
    TX_REQUIRE(status == TX_OK || opened != TX_OK, "a data set of a refused file");
    if (opened != TX_OK) {
        fuzz_refused(opened, TX_EDATA, TX_ECONFIG, path);
        return;
    }
    check_dataset(&d);
    tx_dataset_close(&d);
}
