/* Families at any size. A letter H in a family's options stands for the width of its hidden layers. */
#include <stdio.h>
#include <string.h>
#include "common/base/text.h"
#include "experiments/bench/bench.h"

enum { ROWS = 1000 };

static const char adam[] = "{optimizer: adam, learning_rate: 1e-4}";

static const struct {
    const char *name, *options;
    const tx_bench_data *data;
} families[] = {
    {"fvbn", "{}", &tx_bench_binary},
    {"nade", "{hidden: [H]}", &tx_bench_binary},
    {"made", "{hidden: [H]}", &tx_bench_binary},
    {"nice", "{couplings: 4, hidden: [H, H]}", &tx_bench_levels},
    {"vae", "{latent: 20, hidden: [H], activation: tanh}", &tx_bench_binary},
    {"gan", "{latent: 100, generator_hidden: [H, H], discriminator_hidden: [H, H]}", &tx_bench_binary},
};

const tx_bench_size tx_bench_middle = {.hidden = 500, .dim = 784, .batch = 100};

const char *tx_bench_family(int i) { return i < (int)TX_LEN(families) ? families[i].name : NULL; }

bool tx_bench_family_has_hidden(int i) { return strchr(families[i].options, 'H') != NULL; }

static void put_width(const char *options, size_t width, char *out, size_t size)
{
    tx_text t = {0};
    for (const char *c = options; *c; c++) *c == 'H' ? tx_text_add(&t, "%zu", width) : tx_text_add(&t, "%c", *c);
    tx_copy_text(out, size, t.s);
    tx_text_free(&t);
}

void tx_bench_scale(int i, const tx_bench_phase *phase, tx_bench_size size, tx_bench_scaled *out)
{
    TX_REQUIRE(i >= 0 && i < (int)TX_LEN(families), "family %d of %zu", i, TX_LEN(families));
    put_width(families[i].options, size.hidden, out->options, sizeof out->options);
    out->data = *families[i].data;
    out->data.dim = size.dim;
    out->data.n_train = 2 * (size.batch > ROWS ? size.batch : ROWS);
    out->data.n_test = 1;
    out->workload = (tx_workload){.name = families[i].name,
                                  .phase = phase,
                                  .model = families[i].name,
                                  .options = out->options,
                                  .settings = adam,
                                  .data = &out->data,
                                  .batch = size.batch,
                                  .seconds = 1};
}
