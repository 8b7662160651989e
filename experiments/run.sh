#!/usr/bin/env bash
# Sets everything up and runs a comparison: experiments/run.sh [CONFIG.yaml [KEY=VALUE or option of `taxon run` ...]]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/experiments/setup.sh"
config="$root/experiments/configs/quick.yaml"
if [ $# -gt 0 ]; then
  [ -r "$1" ] || { echo "$1: no such config; usage: $0 [CONFIG.yaml [KEY=VALUE ...]]" >&2; exit 66; }
  config=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
  shift
fi
need "${build_packages[@]}"
build release taxon
cd "$root" # results land in results/NAME of this tree
exec "$root/build/release/taxon" run "$config" "$@"
