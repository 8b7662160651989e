#!/usr/bin/env bash
# The rules of the tree that a compiler does not check: test_layout.sh BUILD_FOLDER
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$1
cd "$root" || exit 1
passed=0 failed=0
# none WHAT OUTPUT: passes when the output is empty.
none() {
  if [ -z "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'failed: %s\n%s\n' "$1" "$2"; fi
}

# Includes point one way.
order=(common/base common/tensor common/data common/model "common/likelihood common/quality common/store" common/impute models experiments)
allowed=""
for level in "${order[@]}"; do
  for folder in $level; do
    [ -d "$folder" ] || continue
    wrong=$(grep -rnE --include='*.[ch]' '#include "' "$folder" | while IFS= read -r line; do
      target=$(sed -E 's/.*#include "([^"]+)".*/\1/' <<<"$line")
      from=$(dirname "${line%%:*}")
      ok=
      for f in $allowed $folder; do [[ $target == "$f"/* ]] && ok=1; done
      [ -e "$from/$target" ] && ok=1
      [ -n "$ok" ] || echo "$line"
    done)
    none "$folder includes only itself and what lies before it" "$wrong"
  done
  allowed="$allowed $level"
done

# Nothing in common/ knows a model's name. An estimator may share one: its own file says it of itself.
names=$(sed -nE 's/^TX_MODEL\(([a-z0-9_]+)\).*/\1/p' models/models.def | paste -sd'|')
none "common/ names no model" "$(grep -rnE --include='*.[ch]' "\"($names)\"|tx_model_($names)\b" common |
  grep -vE '^common/likelihood/(.*)\.c:[^"]*"\1"[^"]*$')"

# A model is registered once, documented in its folder and cited.
for name in ${names//|/ }; do
  file=$(grep -lE "tx_model_$name = \{" models/*/*.c)
  none "model $name has one definition" "$([ "$(wc -w <<<"$file")" = 1 ] || echo "found: $file")"
  none "model $name is described in its README" "$(grep -q "$name" "$(dirname "${file:-x/y}")/README.md" 2>/dev/null || echo "no mention in $(dirname "$file")/README.md")"
done
keys=$(grep -rhoE --include='*.c' '\.citation *= *"[^"]+"' common models | sed -E 's/.*"([^"]+)"/\1/' | sort -u)
for key in $keys; do
  none "citation $key is in paper/references.bib" "$(grep -qE "^@[a-z]+\{$key," paper/references.bib 2>/dev/null || echo missing)"
done
none "every key of references.bib is there once" "$(sed -nE 's/^@[a-z]+\{([^,]+),.*/\1/p' paper/references.bib 2>/dev/null | sort | uniq -d)"

# The C interface.
public=$(ls common/*/*.h models/*/*.h experiments/taxon/command.h | grep -vE '/(internal|parts|views|values|vmath|loops|[a-z]+_isa)\.h$')
none "every function and type of a public header has a comment" "$(for header in $public; do awk -v check=1 -f experiments/packaging/doxygen.awk "$header"; done)"

# Flags and calls.
none "no flag that breaks NaN checks" "$(grep -nE -- '-ffast-math|-Ofast|-funsafe-math|-ffinite-math' "$build/compile_commands.json" | head -3)"
none "no generator but the named streams" "$(grep -rnE --include='*.[ch]' '\b(rand|srand|drand48|random|arc4random)\(' common models experiments)"
none "no clock but for durations and dates" "$(grep -rnE --include='*.[ch]' '\btime\(' common models)"
none "no marks of unfinished work" "$(grep -rnE --include='*.[ch]' --include='*.sh' --include='*.py' '\b(TODO|FIXME|XXX)\b' common models experiments tests | grep -v test_layout.sh)"
none "GSL's CBLAS is not linked by name" "$(grep -nE 'gslcblas|GSL::gsl' CMakeLists.txt | grep -v '#')"

# No mutable file-scope data, but for what is listed with its reason.
#   message   this thread's last failure        chosen, threads   kernels and number of threads, set at start
#   stop      set by the signal handler         ready             a library was started
#   own       models of a program, given at start
allow='message|chosen|threads|stop|ready|own'
libraries=$(find "$build" -maxdepth 1 -name 'libtx_*.a')
none "no mutable file-scope data" "$(objdump -t $libraries 2>/dev/null | awk '/file format/{file=$1} NF>=4 && $(NF-2)~/^\.(data|bss|tdata|tbss)$/ && $NF!~/^\./ {print file, $NF}' |
  grep -vE " ($allow)(\.[0-9]+)?:?$" | grep -vE '__asan|__odr|ubsan|__gcov')"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 20 ]
