#!/usr/bin/env bash
# Which lines, and which failures, the suite reaches: tests/coverage.sh [ctest arguments]
# Builds build/coverage, runs the suite there and prints a line a folder; build/coverage/failures.txt lists every `tx_fail`
# and `tx_yaml_fail` that no test came by, build/coverage/lines.txt every line of common/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/experiments/setup.sh"
need "${build_packages[@]}" "${test_packages[@]}"
folder="$root/build/coverage"
mkdir -p "$folder"
cc -c "$root/tests/coverage.c" -o "$folder/exit.o"
cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS="--coverage -O1 -fprofile-update=atomic" \
    -DCMAKE_EXE_LINKER_FLAGS="-Wl,--wrap=_exit \"$folder/exit.o\"" >/dev/null
cmake --build "$folder" >/dev/null
find "$folder" -name '*.gcda' -delete
ctest --test-dir "$folder" --output-on-failure "$@" || echo "tests failed: what follows is of the others" >&2
/usr/bin/python3 "$root/tests/coverage.py" "$root" "$folder"
