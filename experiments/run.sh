#!/usr/bin/env bash
# Sets everything up and runs a comparison: experiments/run.sh [CONFIG.yaml [KEY=VALUE or option of `taxon run` ...]]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/experiments/setup.sh"
quick=$root/experiments/configs/quick.yaml config=$quick
if [ $# -gt 0 ]; then
  [ -r "$1" ] || { echo "$1: no such config; usage: $0 [CONFIG.yaml [KEY=VALUE ...]]" >&2; exit 66; }
  config=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
  shift
fi
taxon=$root/build/release/taxon
cd "$root" # results land in results/NAME of this tree
if [ "$config" != "$quick" ] || [ $# -gt 0 ]; then
  need "${build_packages[@]}"
  build release taxon
  exec "$taxon" run "$config" "$@"
fi
need "${build_packages[@]}" gnuplot-nox # whose plots are in the report
build release taxon
code=0
"$taxon" run "$config" || code=$?
[ $code -eq 0 ] || [ $code -eq 3 ] || exit $code # 3: some runs diverged, and the others are there
"$taxon" report results/quick -o results/quick/report.html || code=$?
[ ! -e results/quick/report.html ] || echo "results/quick/report.html shows all of it"
exit $code
