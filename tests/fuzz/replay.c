/* fuzz_NAME FOLDER...: gives every file of the folders to the target, in the order of names, and holds each to a time.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "common/base/text.h"
#include "tests/fuzz/fuzz.h"

#ifdef __SANITIZE_ADDRESS__
static const double limit = 10;
#else
static const double limit = 1;
#endif

static double replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    TX_REQUIRE(f && fseek(f, 0, SEEK_END) == 0, "%s cannot be read", path);
    const size_t n = (size_t)ftell(f);
    uint8_t *data = malloc(n ? n : 1); /* not a byte more, so that reading beyond the end is seen */
    rewind(f);
    TX_REQUIRE(data && fread(data, 1, n, f) == n, "%s cannot be read", path);
    fclose(f);
    const clock_t start = clock();
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

int main(int argc, char *argv[])
{
    int files = 0, slow = 0;
    double slowest = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **found = NULL;
        const int n = scandir(argv[i], &found, NULL, alphasort);
        for (int k = 0; k < n; k++) {
            tx_text path = {0};
            tx_text_add(&path, "%s/%s", argv[i], found[k]->d_name);
            if (found[k]->d_name[0] != '.') {
                fprintf(stderr, "%s\n", path.s);
                const double seconds = replay(path.s);
                if (seconds > limit) printf("%s: %.2f s, expected at most %g\n", path.s, seconds, limit);
                slow += seconds > limit;
                slowest = seconds > slowest ? seconds : slowest;
                files++;
            }
            tx_text_free(&path);
            free(found[k]);
        }
        free(found);
    }
    printf("%d file%s, the slowest in %.3f s\n", files, tx_plural(files), slowest);
    return files == 0 || slow > 0;
}
