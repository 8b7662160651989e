/* A checkpoint or result that was damaged: whatever its bytes, it is refused unless its last line has their sum. Files
 * that have it hold what was written, and are the target "layout". */
#include <string.h>
#include "common/store/checkpoint.h"
#include "common/store/h5.h"
#include "common/store/run_file.h"
#include "tests/fuzz/fuzz.h"

static bool is_whole(const uint8_t *data, size_t size)
{
    const size_t mark = sizeof TX_H5_TRAILER - 1, trailer = mark + TX_SHA256_TEXT;
    char sum[TX_SHA256_TEXT];
    if (size <= trailer || memcmp(data + size - trailer, TX_H5_TRAILER, mark) != 0 || data[size - 1] != '\n')
        return false;
    tx_sha256_of(data, size - trailer, sum);
    return memcmp(data + size - TX_SHA256_TEXT, sum, TX_SHA256_TEXT - 1) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (is_whole(data, size)) return 0;
    const char *path = fuzz_file(data, size);
    fuzz_training t = fuzz_training_new();
    tx_run_info info;
    char sum[TX_SHA256_TEXT];
    fuzz_refused(tx_checkpoint_read(path, FUZZ_IDENTITY, t.trainer), TX_EDATA, TX_EDATA, path);
    fuzz_refused(tx_run_read(path, true, &info), TX_EDATA, TX_EDATA, path);
    fuzz_refused(tx_run_load_parameters(path, t.model), TX_EDATA, TX_EDATA, path);
    fuzz_refused(tx_content_sha256(path, sum), TX_EDATA, TX_EDATA, path);
    fuzz_training_free(&t);
    return 0;
}
