#include "experiments/taxon/stored.h"
#include "experiments/taxon/gather.h"
#include "experiments/taxon/print.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tx_status check_data(const tx_stored *s)
{
    if (strcmp(s->set->data.sha256, s->info.dataset_sha256) != 0)
        return tx_fail(TX_EDATA, "%s: the data set '%s' is not the one of the run: sha256 %.12s..., now %.12s...",
                       s->path, s->info.dataset, s->info.dataset_sha256, s->set->data.sha256);
    if (strcmp(s->set->view.sha256, s->info.view_sha256) != 0)
        return tx_fail(TX_EDATA, "%s: the view '%s' gives other rows than in the run", s->path, s->info.view);
    return TX_OK;
}

static tx_status fill(tx_stored *s, const char *arg)
{
    TX_TRY(tx_run_path(arg, s->path));
    TX_TRY(tx_run_read(s->path, false, &s->info));
    char origin[TX_TEXT_MAX + 16];
    snprintf(origin, sizeof origin, "%s#config/json", s->path);
    char *text = tx_json_text(s->info.config);
    tx_status status = tx_spec_parse(&s->spec, text, origin);
    free(text);
    if (status) {
        char why[TX_TEXT_MAX];
        tx_copy_text(why, sizeof why, tx_last_error());
        return tx_fail(TX_EDATA,
                       "%s; this taxon does not understand the configuration: use the one that wrote the file", why);
    }
    status = tx_setting_open(&s->set, &s->spec, NULL);
    if (status == TX_ENOINPUT) {
        char why[TX_TEXT_MAX];
        tx_copy_text(why, sizeof why, tx_last_error());
        return tx_fail(
            status,
            "%s: its data set is not where the run found it (a relative path starts from the folder in which "
            "the command runs): %s",
            s->path, why);
    }
    TX_TRY(status);
    TX_TRY(check_data(s));
    return tx_run_load_parameters(s->path, s->set->model);
}

tx_status tx_stored_open(tx_stored **out, const char *arg)
{
    tx_stored *s = tx_alloc(1, sizeof *s);
    tx_status status = fill(s, arg);
    if (status)
        tx_stored_close(s);
    else
        *out = s;
    return status;
}

void tx_stored_close(tx_stored *s)
{
    if (!s) return;
    tx_setting_close(s->set);
    tx_spec_free(&s->spec);
    tx_run_info_free(&s->info);
    free(s);
}
