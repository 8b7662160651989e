/* numbers between blanks, plain and gzip: they share the source of bytes and differ by dictionary and corpus. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_table(data, size);
    return 0;
}
