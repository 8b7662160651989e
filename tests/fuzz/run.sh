#!/usr/bin/env bash
# Runs the fuzz targets: tests/fuzz/run.sh [SECONDS [TARGET...]]; 60 seconds each, all targets. What they find lies in
# build/fuzz/findings/TARGET, what they learnt in build/fuzz/learnt/TARGET (to go on from there), their output in
# build/fuzz/TARGET.log. TX_FUZZ_BUILD: another folder than build/fuzz, already built.
# TX_FUZZ_TIMEOUT: seconds of the clock that an input may take (5; more where other work fills the processors).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/experiments/setup.sh"
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(config idx npy amat csv checkpoint layout)
build="${TX_FUZZ_BUILD:-$root/build/fuzz}"
if [ -z "${TX_FUZZ_BUILD:-}" ]; then
  need "${build_packages[@]}" clang-14 libclang-rt-14-dev libomp-14-dev
  for target in "${targets[@]}"; do build fuzz "fuzz_$target"; done
fi
export TMPDIR
TMPDIR=$(mktemp -d /dev/shm/taxon-fuzz-XXXXXX)
trap 'rm -rf "$TMPDIR"' EXIT
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 ASAN_OPTIONS="quarantine_size_mb=4:${ASAN_OPTIONS:-}"
failed=0
for target in "${targets[@]}"; do
  findings="$build/findings/$target" learnt="$build/learnt/$target" log="$build/$target.log"
  corpus="$root/tests/fuzz/corpus/$target"
  mkdir -p "$findings" "$learnt"
  options=(-max_total_time="$seconds" -timeout="${TX_FUZZ_TIMEOUT:-5}" -rss_limit_mb=1024 -malloc_limit_mb=64 -max_len=4096
    -print_final_stats=1 -artifact_prefix="$findings/")
  [ -f "$root/tests/fuzz/$target.dict" ] && options+=(-dict="$root/tests/fuzz/$target.dict")
  "$build/tests/fuzz_$target" "${options[@]}" "$learnt" "$corpus" >"$log" 2>&1 || true
  count=$(find "$findings" -type f | wc -l)
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(grep -oE 'cov: [0-9]+' "$log" | tail -1)
  ran=$(sed -nE 's/^Done [0-9]+ runs in ([0-9]+) second.*/\1/p' "$log")
  echo "$target: ${runs:-no} executions, ${ran:-stopped early} seconds, ${covered:-cov: none}, $count findings"
  # A run that ended early without a finding did not start.
  [ "$count" -eq 0 ] && [ -n "$ran" ] || failed=1
done
exit $failed
