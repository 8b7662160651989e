#include "experiments/taxon/environment.h"
#include "common/tensor/kernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char list[] = "TAXON_SET";

/* Set it and note that we did; true if it was not so already. */
static bool set(const char *variable, const char *value)
{
    const char *old = getenv(variable), *ours = getenv(list);
    if (old && strcmp(old, value) == 0) return false;
    char all[TX_NAME_MAX];
    snprintf(all, sizeof all, "%s%s%s", ours ? ours : "", ours ? " " : "", variable);
    return setenv(variable, value, 1) == 0 && setenv(list, all, 1) == 0;
}

void tx_environment_settle(char **argv)
{
    const char *core = getenv("OPENBLAS_CORETYPE") ? NULL : tx_blas_better_core();
    bool changed = set("OPENBLAS_NUM_THREADS", "1");
    if (core) changed |= set("OPENBLAS_CORETYPE", core);
    if (!getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT")) changed |= set("GOMP_SPINCOUNT", "5000");
    if (changed) execv("/proc/self/exe", argv); /* where that fails the program goes on, only slower */
}

bool tx_environment_ours(const char *variable)
{
    const char *ours = getenv(list);
    size_t n = strlen(variable);
    for (const char *at = ours ? strstr(ours, variable) : NULL; at; at = strstr(at + n, variable))
        if ((at == ours || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ')) return true;
    return false;
}
