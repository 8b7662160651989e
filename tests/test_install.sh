#!/usr/bin/env bash
# What is installed, as somebody meets it who has no source tree: test_install.sh TAXON CMAKE BUILD_FOLDER. The prefix has blanks.
set -u
cmake=$2 build=$3
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$source")
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon install XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
unset TAXON_DATA PKG_CONFIG_PATH CMAKE_PREFIX_PATH OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
passed=0 failed=0
none() { if [ -z "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'failed: %s\n%s\n' "$1" "$2" | head -20; fi; }
run() { # WHAT COMMAND...
    local what=$1 said
    shift
    if said=$("$@" 2>&1 </dev/null); then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'failed: %s\n%s\n' "$what" "$said" | tail -20; fi
}

# A prefix that was moved, and one below DESTDIR.
run "cmake --install" "$cmake" --install "$build" --prefix "$folder/first"
mv first "the prefix"
prefix="$folder/the prefix" taxon="$folder/the prefix/bin/taxon"
run "cmake --install below DESTDIR" env DESTDIR="$folder/dest" "$cmake" --install "$build" --prefix /opt/x
none "both are the same" "$(diff -rq dest/opt/x "$prefix" 2>&1 | grep -v taxonConfig.cmake | head -3)"
rm -rf dest
none "nothing names the source or the build folder" "$(grep -rlF -e "$root" -e "$build" -e "$folder" "$prefix" | head -5)"
none "no folder is empty" "$(find "$prefix" -type d -empty)"

# Headers stand by themselves, in C11.
find "$prefix/include/taxon" -name '*.h' | sed "s|.*/include/taxon/\(.*\)|#include \"\1\"|" | sort >all.c
read -ra flags < <(PKG_CONFIG_PATH="$prefix/lib/pkgconfig" pkg-config --cflags-only-I taxon | sed 's|-I/[^ ]*\\ [^ ]*\(\\ [^ ]*\)*||g')
while IFS= read -r line; do echo "$line" >one.c; cc -std=c11 -fopenmp -fsyntax-only -I"$prefix/include/taxon" "${flags[@]}" one.c 2>&1 || echo "$line"; done <all.c >headers.txt
none "every header compiles alone" "$(head -10 headers.txt)"

# The consumer: a product of Laplace distributions, whose likeliest parameters are medians and mean distances from them.
/usr/bin/python3 - <<'P'
import os, numpy
draw = numpy.random.default_rng(7)
os.mkdir("rows")
train, test = (draw.laplace([1, -0.5, 0], [0.5, 1, 2], (n, 3)).round(5) for n in (500, 200))
for name, rows in (("train", train), ("valid", train), ("test", test)):
    numpy.savetxt(f"rows/{name}.csv", rows, delimiter=",", fmt="%.5f")
middle = numpy.median(train, 0)
scale = abs(train - middle).mean(0)
print((-abs(test - middle) / scale - numpy.log(2 * scale)).sum(1).mean(), file=open("expected.txt", "w"))
P
run "the consumer is configured" "$cmake" -S "$source/consumer" -B consumer -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS=-Werror
run "the consumer is built" "$cmake" --build consumer
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
run "the same through pkg-config" sh -c "eval cc -O2 -Werror -o by_pkgconfig \"'$source'/consumer/*.c\" \$(pkg-config --cflags --libs taxon)"
for program in consumer/consumer ./by_pkgconfig; do
    run "$program trains its model" "$program" run "$source/consumer/laplace.yaml" --fresh --progress none
    none "$program: its likelihood is the closed form's" "$(/usr/bin/python3 - <<'P'
import csv
expected = float(open("expected.txt").read())
rows = [r for r in csv.DictReader(open("results/laplace/compare.csv")) if r["quantity"] == "mean_log_likelihood"]
found = {r["label"]: float(r["value"]) for r in rows if r["split"] == "test"}
if not abs(found.get("laplace", 0) - expected) < 2e-3:
    print(found, "expected", expected)
if not found.get("independent", 0) < expected - 0.05:
    print(found, "expected a Gaussian to be worse than", expected)
P
)"
done
run "it is listed among the others" sh -c 'consumer/consumer list models | grep -q "^laplace " && consumer/consumer list models | grep -q "^vae "'
none "a name that is taken is refused" "$(cat >twice.c <<'C'
#include "common/model/model.h"
#include "experiments/taxon/command.h"
extern const tx_model_ops tx_model_vae;
int main(int argc, char **argv) { return tx_main(argc, argv, (const tx_model_ops *const[]){&tx_model_vae, &(tx_model_ops){.name = "vae", .summary = "", .taxonomy_path = "", .build = tx_model_vae.build}, NULL}); }
C
eval "cc -o twice twice.c $(pkg-config --cflags --libs taxon)" 2>&1
./twice list models >out.txt 2>err.txt; [ $? = 70 ] && grep -q "another model 'vae'" err.txt || cat out.txt err.txt)"

# Manual pages and completions.
mkdir pages
for page in "$prefix"/share/man/man1/*.gz; do gzip -dc "$page" >"pages/$(basename "$page" .gz)"; done
command -v man >/dev/null && none "man has nothing against the pages" "$(for page in pages/*; do
    man --warnings -l "$page" 2>&1 >/dev/null; done)"
command -v mandoc >/dev/null && none "mandoc has nothing against the pages" "$(mandoc -Tlint -Wwarning pages/* 2>&1)"
none "every subcommand has a page with all of its flags" "$("$taxon" --help | sed -nE 's/^  ([a-z]+) +[^ ].*/\1/p' | while read -r name; do
    [ -e "pages/taxon-$name.1" ] || echo "$name has none"
    "$taxon" "$name" --help | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -- '--.*' | while read -r flag; do grep -qF -- "Fl \\-${flag#--}" "pages/taxon-$name.1" || echo "$name: no $flag"; done
done)"
none "every exit code of README.md is on the main page" "$(sed -n '/^## Exit codes/,$p' "$root/README.md" | grep -oE '(^|; )[0-9]+' | grep -oE '[0-9]+' | while read -r code; do
    grep -qx ".It $code" pages/taxon.1 || echo "$code"; done)"
for shell in bash zsh fish; do
    "$taxon" completion $shell >"$shell" && if command -v $shell >/dev/null; then run "completion of $shell has no syntax error" $shell -n "$shell"; fi
done
none "the completions are installed" "$(for f in bash-completion/completions/taxon zsh/site-functions/_taxon fish/vendor_completions.d/taxon.fish; do cmp "${f%%-*}" "$prefix/share/$f" 2>/dev/null || cmp "${f%%/*}" "$prefix/share/$f"; done 2>&1)"

# The C interface in HTML.
if command -v doxygen >/dev/null; then
    none "doxygen has nothing against the headers" "$(cd "$build/experiments/packaging" && doxygen Doxyfile 2>&1 || echo failed)"
    none "it has a page for each module and function" "$(for word in group__tensor group__model; do [ -e "$build/experiments/packaging/doc/html/$word.html" ] || echo "no $word"; done
        grep -q tx_matmul "$build/experiments/packaging/doc/html/group__tensor.html" || echo "no tx_matmul")"
fi

# On any x86-64: no instruction newer than the baseline outside of the objects that are chosen at start.
if [ "$(uname -m)" = x86_64 ]; then
    find "$build" -name '*.o' -path '*/common/*' -o -name '*.o' -path '*/models/*' -o -name '*.o' -path '*/experiments/*' | grep -vE '_isa_c_v[234]\.dir/|/tests/' >objects
    none "newer instructions lie only in objects for them" "$(tr '\n' '\0' <objects | xargs -0 objdump -d --no-show-raw-insn |
        awk '/file format/ {file = $1} /^ *[0-9a-f]+:\t/ && ($2 ~ /^v[a-z]/ && $2 !~ /^ver[rw]/ || /%[yz]mm|%k[1-7]/ || $2 ~ /^(pshufb|popcnt|pmulld|pextrq|ptest|pblend|blendv|round[sp]|insertps|crc32|haddp|movddup|lzcnt|tzcnt|mulx|andn$|sarx|shlx|shrx)/) {print file, $0}' | head -5)"
    none "there are objects for them" "$(find "$build" -name '*.o' -path '*_isa_c_v3.dir/*' | grep -q . || echo "no object for v3")"
    if command -v qemu-x86_64 >/dev/null; then
        # It would start itself again on the processor at hand if its settings were not there, and so would `run` its runs.
        export TAXON_SET="OPENBLAS_NUM_THREADS GOMP_SPINCOUNT" OPENBLAS_NUM_THREADS=1 GOMP_SPINCOUNT=5000
        cat >tiny.yaml <<'Y'
experiment: tiny
seeds: [0]
datasets: [{name: bars, n_train: 100, n_valid: 50, n_test: 50}]
train: {epochs: 1, batch: 50}
models: [{model: made, hidden: [8]}]
evaluate: {estimators: [exact], n_sample: 5}
Y
        run "a run at home" "$taxon" run tiny.yaml --progress none
        run "its spec" /usr/bin/python3 -c 'import h5py; open("spec.json", "w").write(h5py.File("results/tiny/bars-raw/made/seed-0/result.h5")["config/json"][()].decode())'
        run "the same on a processor of 2006" sh -c 'qemu-x86_64 -cpu core2duo "$1" run-one --folder old <spec.json' - "$taxon"
        run "its likelihood is the same but for last bits" /usr/bin/python3 -c '
import h5py
a, b = (h5py.File(f"{f}/result.h5")["likelihood/test/exact/log_likelihood"][:] for f in ("old", "results/tiny/bars-raw/made/seed-0"))
assert abs(a - b).max() < 1e-4, abs(a - b).max()'
        none "it takes that processor's kernels" "$(qemu-x86_64 -cpu core2duo "$taxon" doctor >out.txt 2>&1; grep -q 'kernels for Core2' out.txt && grep -q 'instruction set x86-64;' out.txt || cat out.txt)"
    fi
fi

# The Debian packages, where the tools are.
if command -v cpack >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
    run "cpack" sh -c 'cd "$1" && cpack -G DEB -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip -B "$2/deb"' - "$build" "$folder"
    none "taxon needs OpenBLAS and HDF5" "$(dpkg-deb -f deb/taxon_*.deb Depends >out.txt; grep -q libopenblas0 out.txt && grep -q libhdf5 out.txt || cat out.txt)"
    # Of pkg-config: only a build with the prefix /usr (preset debian) has the folder that Debian wants.
    command -v lintian >/dev/null && none "lintian" "$(lintian --allow-root --suppress-tags pkg-config-unavailable-for-cross-compilation deb/*.deb 2>&1)"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 15 ]
