#!/usr/bin/env bash
# Sets everything up and runs all tests, in the float and the double build: tests/run.sh [ctest arguments]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/experiments/setup.sh"
need "${build_packages[@]}" "${test_packages[@]}"
build release
build double
failed=0
for preset in release double; do
  echo "== $preset build"
  (cd "$root" && ctest --preset "$preset" "$@") || failed=1
done
exit $failed
