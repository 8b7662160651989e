#!/bin/bash
# Drives the built command, given as $1, through what its users and its machines do to it: exit codes, messages, stops,
# kills, damaged files. Everything happens in a temporary folder whose name has a blank.
set -u
taxon=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/taxon cli XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
unset TAXON_DATA
passed=0
failed=0

fail() {
    failed=$((failed + 1))
    echo "FAILED: $1"
    sed 's/^/    /' out.txt err.txt 2>/dev/null | head -20
}

ok() { passed=$((passed + 1)); }

# check NAME CODE [MESSAGE] -- ARGUMENTS: the exit code, and a part of standard error.
check() {
    local name=$1 code=$2 message=""
    shift 2
    if [ "$1" != -- ]; then message=$1; shift; fi
    shift
    "$taxon" "$@" >out.txt 2>err.txt </dev/null
    local rc=$?
    if [ $rc -ne "$code" ]; then fail "$name: exit code $rc, expected $code"; return 1; fi
    if [ -n "$message" ] && ! grep -qF -- "$message" err.txt; then fail "$name: no '$message' on standard error"; return 1; fi
    ok
}

# holds NAME TEXT: the last command printed it.
lacks() { if grep -qF -- "$2" out.txt; then fail "$1: '$2' was printed"; else ok; fi; }
holds() { if grep -qF -- "$2" out.txt; then ok; else fail "$1: '$2' was not printed"; fi; }
same() { if cmp -s "$2" "$3"; then ok; else fail "$1: $2 and $3 differ"; fi; }
there() { if [ -e "$2" ]; then ok; else fail "$1: no $2"; fi; }
gone() { if [ ! -e "$2" ]; then ok; else fail "$1: $2 exists"; fi; }

cat >tiny.yaml <<'Y'
experiment: tiny
seeds: [0]
datasets:
  - {name: ring, n_train: 200, n_valid: 60, n_test: 60}
  - {name: bars, n_train: 200, n_valid: 60, n_test: 60}
  - {name: mixture_1d, n_train: 200, n_valid: 60, n_test: 60}
train: {epochs: 2, batch: 50}
models:
  - {model: independent}
  - {model: made, hidden: {grid: [4, 8]}}
  - {model: vae, latent: 2, hidden: [8]}
  - {model: gan, latent: 3, generator_hidden: [8], discriminator_hidden: [8]}
evaluate: {estimators: [exact, elbo, parzen], n_sample: 20}
Y
cat >long.yaml <<'Y'
seeds: [0]
datasets: [{name: bars, n_train: 1000, n_valid: 100, n_test: 100}]
train: {epochs: 100000, max_steps: 30000, batch: 10}
models: [{model: made, hidden: [32]}]
evaluate: {n_sample: 20}
Y

# Usage
check "no subcommand" 64 "subcommand is missing" --
check "unknown subcommand" 64 "did you mean 'run'" -- rnu
check "unknown flag" 64 "did you mean '--out'" -- run tiny.yaml --oot x
check "missing argument of a flag" 64 "needs an argument" -- run tiny.yaml --out
check "missing config" 64 "an argument is missing" -- run
check "bad number" 64 "from 1 to" -- run tiny.yaml --jobs 0
check "bad shard" 64 "1 <= K <= N" -- run tiny.yaml --shard 3/2
check "bad time" 64 "such as 90s" -- run tiny.yaml --max-time soon
check "bad progress" 64 "auto, bar, plain" -- run tiny.yaml --out p --progress dots
check "bad progress of a dry run" 64 "auto, bar, plain" -- run tiny.yaml --dry-run --progress dots
check "bad format" 78 "unknown key" -- run tiny.yaml --out p trian.epochs=3
check "bad override" 64 "" -- run tiny.yaml --out p epochs
check "help" 0 -- --help
check "help of a subcommand" 0 -- run --help
holds "help of a subcommand" "--max-time T"
check "version" 0 -- --version
TAXON_ISA=sse9 check "an unknown instruction set" 64 "TAXON_ISA=sse9 is unknown or not supported here; possible: " -- list models
if [ "$(uname -m)" = x86_64 ]; then
    TAXON_ISA=x86-64 check "a named instruction set" 0 -- run tiny.yaml --out isa --progress none 'datasets=[{name: bars, n_train: 50, n_valid: 10, n_test: 10}]'
    if h5dump -g /provenance isa/bars-raw/vae/seed-0/result.h5 | grep -qF '"x86-64"'; then ok; else fail "the run is not computed with it"; fi
fi

# Config
printf 'datasets: [{name: ring}]\nmodels: [{model: made, hiden: 3}]\n' >bad.yaml
check "unknown key" 78 "bad.yaml:2:24: unknown key 'hiden': did you mean 'hidden'?" -- run bad.yaml
printf 'datasets: [{name: ring}]\nmodels: [{model: mad}]\n' >bad.yaml
check "unknown model" 78 "bad.yaml:2:11: unknown model 'mad': did you mean 'made'?" -- run bad.yaml
printf 'datasets: [{name: rnig}]\nmodels: [{model: made}]\n' >bad.yaml
check "unknown data set" 78 "did you mean 'ring'" -- run bad.yaml
printf 'datasets: [{name: ring, view: binarised}]\nmodels: [{model: made}]\n' >bad.yaml
check "a view that does not fit" 78 "bad.yaml:1:12:" -- run bad.yaml
printf 'datasets: [{name: ring, view: binarized}]\nmodels: [{model: made}]\n' >bad.yaml
check "unknown view" 78 "did you mean 'binarised'" -- run bad.yaml
check "value out of range" 78 "key 'epochs'" -- run tiny.yaml train.epochs=0
check "nothing applies" 78 "no model applies" -- run tiny.yaml 'models=[{model: made}]' 'datasets=[{name: ring}]'
printf '' >bad.yaml
check "empty config" 78 "bad.yaml:1:1" -- run bad.yaml
check "a label twice on the command line" 78 "taken by the entry before it" -- run tiny.yaml \
    'models=[{model: made}, {model: made}]'
check "missing config file" 66 "none.yaml" -- run none.yaml
gone "refused configs write nothing" results

# Data
for i in $(seq 1 60); do echo "$((i % 7)).5,$((i * i % 11)).25"; done >"good data.csv"
{ cat "good data.csv"; echo "1.5"; } >short.csv
{ cat "good data.csv"; echo "1.5,2.5,3.5"; } >long.csv
{ cat "good data.csv"; echo "1.5,nan"; } >nan.csv
{ cat "good data.csv"; echo "1.5,x2"; } >text.csv
: >empty.csv
gzip -c "good data.csv" | head -c 60 >cut.csv.gz
on_file() { printf 'datasets: [{path: "%s"}]\nmodels: [{model: independent}]\nevaluate: {n_sample: 0}\n' "$1" >file.yaml; }
on_file "good data.csv"
check "a file with a blank in its name" 0 -- run file.yaml --out "out of file"
check "data check of a file" 0 -- data check "good data.csv"
holds "data check of a file" "2 values"
for f in short long nan text empty; do
    on_file $f.csv
    check "$f.csv" 65 "$f.csv" -- run file.yaml --out broken
done
on_file cut.csv.gz
check "cut gzip" 65 "cut.csv.gz" -- run file.yaml --out broken
on_file none.csv
check "missing data file" 66 "none.csv" -- run file.yaml --out broken
check "missing data set" 66 "TAXON_DATA" -- data check mnist
check "data check of a built-in set" 0 -- data check bars n_train=100
holds "data check of a built-in set" "100 rows"
check "data without check" 64 "unknown action 'chekc'" -- data chekc
check "data check of nothing" 64 "an argument is missing" -- data check
head -9 "good data.csv" >few.csv
check "too few rows to split" 65 "few.csv: expected at least 10 rows to split 80/10/10, found 9" -- data check few.csv
printf "\223NUMPY\001\000\066\000{'descr': '<U1', 'fortran_order': False, 'shape': (2, 2), }\n1234567890123456" >text.npy
mkdir half && : >half/t10k-images-idx3-ubyte
check "half of a pair" 66 "half: expected train-images* and t10k-images*, found only the latter" -- data check half
check "text in NPY" 65 "NPY type '<U1': expected" -- data check text.npy
gone "refused data write nothing" broken

# Output
echo x >file
check "output below a file" 73 "file" -- run tiny.yaml --out file/x
check "output is a file" 73 "file" -- run tiny.yaml --out file
"$taxon" list models >/dev/full 2>err.txt
if [ $? -eq 74 ]; then ok; else fail "full standard output"; fi
# No file may grow, the run's log neither: what failed is told all the same.
(ulimit -f 0; exec "$taxon" run tiny.yaml --out full --progress none) 2>&1 | cat >err.txt
if [ "${PIPESTATUS[0]}" -eq 3 ] && grep -q 'made.*failed: exit code 74: .*cannot' err.txt; then ok; else fail "full disk"; fi
"$taxon" list models --json 2>err.txt | head -1 >out.txt
if [ -s out.txt ]; then ok; else fail "a reader that leaves early"; fi

# Plan, run, keep
check "dry run" 0 -- run tiny.yaml --out "a b" --dry-run
holds "dry run" "bars-raw/made-hidden=8/seed-0"
holds "dry run" "not applicable"
if grep -qE 'ring-raw/made-hidden=4/seed-0 +- +- +not applicable' out.txt; then ok; else fail "what does not apply has no size"; fi
gone "a dry run writes nothing" "a b"
check "run" 0 "does not apply to" -- run tiny.yaml --out "a b" --reproducible --progress plain
holds "the table" "true density"
holds "the table" "of 2 tried"
there "compare.h5" "a b/compare.h5"
there "compare.csv" "a b/compare.csv"
there "samples" "a b/ring-raw/gan/seed-0/samples.png"
gone "no checkpoint is left" "a b/bars-raw/vae/seed-0/checkpoint.h5"
gone "no log without words" "a b/bars-raw/vae/seed-0/log.txt"
touch -d '2001-01-01' "a b/bars-raw/vae/seed-0/result.h5"
check "run again keeps" 0 "0 runs to do, 11 kept" -- run tiny.yaml --out "a b" --reproducible --progress plain
if [ "$(stat -c %Y "a b/bars-raw/vae/seed-0/result.h5")" -lt 1000000000 ]; then ok; else fail "a kept file was written again"; fi
check "dry run sees kept runs" 0 -- run tiny.yaml --out "a b" --dry-run
holds "dry run sees kept runs" "kept"
check "another config" 65 "train.batch: 50 and 25" -- run tiny.yaml --out "a b" train.batch=25
check "another data set" 3 "dataset.n_train: 200 and 100" -- run tiny.yaml --out "a b" datasets.0.n_train=100
check "no progress" 0 -- run tiny.yaml --out quiet --reproducible --progress none --jobs 1 --threads 2
if [ -s err.txt ]; then fail "--progress none is not silent"; else ok; fi
check "one job" 0 -- run tiny.yaml --out other --reproducible --jobs 1 --threads 1
for run in ring-raw/gan bars-raw/vae bars-raw/made-hidden=8 mixture_1d-raw/vae; do
    same "1 and 2 threads" "other/$run/seed-0/result.h5" "quiet/$run/seed-0/result.h5"
    same "a second folder" "a b/$run/seed-0/result.h5" "quiet/$run/seed-0/result.h5"
done
check "first shard" 0 -- run tiny.yaml --out shards --reproducible --shard 1/2
gone "first shard" shards/ring-raw/vae/seed-0
holds "first shard" "Shard 1/2 has ended. 5 runs of other shards have no result yet"
gone "the first shard to end collects nothing" shards/compare.csv
check "second shard" 0 -- run tiny.yaml --out shards --reproducible --shard 2/2
same "shards make the whole" shards/compare.csv quiet/compare.csv
check "fresh" 0 "11 runs to do" -- run tiny.yaml --out shards --fresh train.epochs=1 --progress plain

# Looking at results
check "status" 0 -- status "a b"
holds "status" "done"
check "table as md" 0 -- table "a b" --format md
holds "table as md" "| model |"
check "table as tex" 0 -- table "a b" --format tex
if sed -n '/end{tabular}/,/begin{tabular}/p' out.txt | grep -vE '^(%|$|.(begin|end)\{tabular)' >err.txt; then
    fail "table as tex: text outside of its tables"
else
    ok
fi
check "table as csv" 0 -- table "a b" --format csv
holds "table as csv" "dataset,view,measure,split"
check "table as json" 0 -- table "a b" -f json
check "table of another format" 64 "text, md" -- table "a b" --format xls
check "table of no folder" 66 "none" -- table none
mkdir empty && check "nothing to collect" 66 "no finished run" -- collect empty
check "list" 0 -- list models --json
holds "list" '"name": "vae"'
for kind in datasets views estimators metrics optimizers; do check "list $kind" 0 -- list $kind; done
check "list of an unknown kind" 64 "did you mean 'models'" -- list model
for name in vae ring binarised parzen knn adam train view dataset evaluate; do check "show $name" 0 -- show $name; done
check "show of a name that a model and an estimator have" 0 -- show iwae && { holds "its model" "model: iwae"; holds "its estimator" "estimator: iwae"; }
check "show of an unknown name" 64 "did you mean 'vae'" -- show vea
check "config" 0 -- config tiny.yaml
cp out.txt resolved.yaml
check "the resolved config is a config" 0 "11 kept" -- run resolved.yaml --out "a b" --reproducible --progress plain
check "doctor" 0 -- doctor
holds "doctor" "cblas_sgemm"
if TAXON_DATA=$folder/none "$taxon" doctor 2>err.txt | grep -q '^warning .*no readable folder'; then ok; else fail "doctor of a missing folder of data"; fi

# A finished run used again
run="a b/bars-raw/vae/seed-0"
check "reproduce" 0 -- reproduce "$run" --progress none
holds "reproduce" "identical: $run/result.h5, content_sha256 "
check "reproduce into a folder" 0 -- reproduce "$run/result.h5" --threads 2 --out again
there "reproduce into a folder" again/result.h5
check "reproduce another run there" 65 "differs from this one in dataset.name" -- reproduce "a b/ring-raw/vae/seed-0" --out again
TAXON_ISA=x86-64 OPENBLAS_CORETYPE=Prescott check "reproduce on another processor" 3 "not reproduced: /train/" -- reproduce again
holds "reproduce tells what differs" "/parameters/decoder/layer_w0["
holds "reproduce tells what it amounts to" "elbo on test: >= -"
holds "reproduce tells why" '/provenance@instruction_set: "'
check "reproduce another run over it" 0 -- reproduce "a b/ring-raw/vae/seed-0" --out again --fresh
check "reproduce nothing" 66 "nowhere" -- reproduce nowhere
check "reproduce where nothing can be written" 73 "" -- reproduce "$run" --out /proc/no
TMPDIR=$folder/none check "reproduce without room" 73 "none/taxon-reproduce-" -- reproduce "$run"
check "sample to h5" 0 -- sample "$run" -n 7 -o s1.h5
check "sample from the file" 0 -- sample "$run/result.h5" -n 7 -o s2.h5
same "samples are repeatable" s1.h5 s2.h5
check "sample to png" 0 -- sample "$run" -n 9 -o s.png --mean --seed 5
check "sample to something else" 64 "FILE.png" -- sample "$run" -o s.txt
check "no picture of one dimension" 65 ".h5" -- sample "a b/mixture_1d-raw/vae/seed-0" -o s.png
check "sample of nothing" 66 "" -- sample nowhere -o s.h5

# Missing variables: what is chosen, the same bytes whatever the threads, and every refusal.
made="a b/bars-raw/made-hidden=4/seed-0"
[ -d "$made" ] || made=$(ls -d "a b"/bars-raw/made*/seed-0 | head -1)
check "impute a suffix" 0 -- impute "$made" --mask half -n 5 -k 3 -o i1.h5 --threads 1
holds "impute a suffix" "by exact:"
holds "impute a suffix" "samples are exact draws"
for n in 2 4; do
    check "impute on $n threads" 0 -- impute "$made" -m half -n 5 -k 3 -o i2.h5 -t $n
    same "impute on $n threads" i1.h5 i2.h5
done
check "impute with another seed" 0 -- impute "$made" -m half -n 5 -k 3 -o i2.h5 --seed 7
if cmp -s i1.h5 i2.h5; then fail "impute with another seed: the same file"; else ok; fi
check "impute a picture" 0 -- impute "$made" --mask rows=1..2 -n 4 -k 5 -o i.png --split valid
check "impute what is no suffix" 0 -- impute "$made" --mask columns=0..1 -n 2 -k 2 -o i.h5
holds "impute what is no suffix" "by enumerate:"
check "impute by a method of one's own" 0 -- impute "$made" --mask columns=1 -n 2 -k 2 -o i.h5 --method gibbs steps=3
holds "impute by a method of one's own" "no conditional log-likelihood: Gibbs"
check "impute through latents" 0 -- impute "$run" --mask random=0.4 -n 2 -k 4 -o i.h5 --progress none steps=60 n_importance=40
holds "impute through latents" "by latent {"
holds "impute through latents" "estimates"
if [ -s err.txt ]; then fail "impute --progress none is not silent"; else ok; fi
check "impute one real coordinate" 0 -- impute "a b/ring-raw/vae/seed-0" -m variables=1 -n 2 -k 2 -o i.h5 n_importance=40
dim=$("$taxon" sample "$made" -n 1 -o s.h5 && h5dump -H -d /samples/x s.h5 2>/dev/null | sed -nE 's/.*SIMPLE \{ \( 1, ([0-9]+) \).*/\1/p')
mask() { local i; for ((i = 1; i < $1; i++)); do printf '%s,' "$2"; done; printf '%s\n' "$3"; }
mask "${dim:-16}" 0 1 >mask.csv
check "impute by a file" 0 -- impute "$made" --mask mask.csv -n 2 -k 2 -o i.h5
holds "impute by a file" "1 of ${dim:-16} variables missing (mask.csv)"
mask $((${dim:-16} - 1)) 0 1 >mask.csv
check "impute: a mask of another length" 65 "mask.csv: expected one row of ${dim:-16} values" -- impute "$made" --mask mask.csv -o i.h5
mask "${dim:-16}" 0 2 >mask.csv
check "impute: a mask of other values" 65 "mask.csv: value ${dim:-16}: expected 0 (observed) or 1 (missing); found 2" -- impute "$made" --mask mask.csv -o i.h5
mask "${dim:-16}" 0 0 >mask.csv
check "impute: nothing is missing" 64 "found 0 of ${dim:-16} missing" -- impute "$made" --mask mask.csv -o i.h5
mask "${dim:-16}" 1 1 >mask.csv
check "impute: all is missing" 64 "found ${dim:-16} of ${dim:-16} missing" -- impute "$made" --mask mask.csv -o i.h5
check "impute without a mask" 64 "--mask is missing" -- impute "$made" -o i.h5
check "impute with no such mask" 66 "expected half, rows=A..B" -- impute "$made" --mask hlaf -o i.h5
check "impute with a wrong range" 64 "expected A..B with 0 <= A <= B <= " -- impute "$made" --mask rows=2..1 -o i.h5
check "impute with a range of nothing" 64 "expected A..B" -- impute "$made" --mask rows= -o i.h5
check "impute with a share of all" 64 "a share between 0 and 1; found '1'" -- impute "$made" --mask random=1 -o i.h5
check "impute rows of what is no picture" 64 "no width and height" -- impute "a b/ring-raw/vae/seed-0" --mask rows=0 -o i.h5
check "impute to something else" 64 "FILE.h5 or FILE.png" -- impute "$made" --mask half -o i.txt
check "impute no picture" 65 "no pictures" -- impute "a b/ring-raw/vae/seed-0" --mask half -o i.png
check "impute by what does not apply" 78 \
    "with --mask columns=0: the missing variables are not the last ones of the model's order; that can: enumerate" \
    -- impute "$made" --mask columns=0 -o i.h5 --method exact
check "impute by nothing" 64 "unknown imputer 'exat': did you mean 'exact'" -- impute "$made" --mask half -o i.h5 --method exat
check "impute with an unknown key" 78 "unknown key 'step'" -- impute "$made" --mask half -o i.h5 --method gibbs step=3
check "impute a model without densities" 78 "nothing applies to gan" -- impute "a b/ring-raw/gan/seed-0" --mask half -o i.h5
check "impute the only variable" 64 "found 1 of 1 missing" -- impute "a b/mixture_1d-raw/vae/seed-0" --mask half -o i.h5
check "impute into no folder is refused before the work" 73 "nowhere/i.h5: cannot create a file in this folder" \
    -- impute "$made" --mask columns=0 -o nowhere/i.h5 --method gibbs steps=10000000
check "impute too wide a picture is refused before the work" 73 "pixels cannot be written (1 to 65535)" \
    -- impute "$made" --mask columns=0 -o i.png -k 10000 --method gibbs steps=10000000
check "impute nothing" 66 "nowhere" -- impute nowhere --mask half -o i.h5
check "evaluate" 0 -- evaluate "$run" --estimator elbo --split valid
holds "evaluate" "log-likelihood >="
there "evaluate" "$run/evaluation-elbo-valid.h5"
gone "evaluate on valid leaves test's file alone" "$run/evaluation-elbo.h5"
check "evaluate: more rows than an estimator's default" 0 -- evaluate "$run" --estimator ais -n 60 n_step=2 n_chain=2 --name many
holds "evaluate: more rows than an estimator's default" "60 examples"
rm "$run/evaluation-many.h5"
holds "evaluate says what its number is" "a lower bound: the model's log-likelihood is at least this, on average over its noise"
holds "evaluate gives bits with their own sign" "bits/dim <= "
check "evaluate with what does not apply" 78 \
    "exact does not apply to vae on bars, raw: has no tractable density; that can: elbo" -- evaluate "$run" --estimator exact
check "evaluate without an estimator" 64 "--estimator is missing" -- evaluate "$run"
check "evaluate a metric" 0 -- evaluate "a b/ring-raw/vae/seed-0" --metric mode n_sample=50
holds "evaluate a metric" "KL of the samples' shares of modes from equal ones, n = 50"
check "evaluate a metric again" 0 -- evaluate "a b/ring-raw/vae/seed-0" --metric mode n_sample=50
holds "evaluate a metric again" "kept, made with the same settings: a b/ring-raw/vae/seed-0/evaluation-metric-mode.h5"
check "evaluate a metric with other settings" 0 -- evaluate "a b/ring-raw/vae/seed-0" --metric mode n_sample=40
holds "evaluate a metric with other settings" "n = 40"
check "evaluate a metric with a wrong word" 64 "expected auto, bar, plain or none; found 'foo'" \
    -- evaluate "a b/ring-raw/vae/seed-0" --metric mode n_sample=40 --progress foo
check "evaluate a metric through no layer" 78 "needs 1 to 15 hidden layers" \
    -- evaluate "a b/ring-raw/vae/seed-0" --metric classification hidden=[]
check "a metric of samples" 0 -- evaluate "$run" --metric knn --name knn-3 k=3 --threads 1
check "a metric in features" 0 -- evaluate "a b/ring-raw/vae/seed-0" --metric frechet --name frechet-classifier features=classifier
holds "a metric in features" "share of test rows whose label the features tell"
check "a metric in features that there are not" 78 "the data set has no labels to train a classifier on; that can: mmd, c2st" \
    -- evaluate "$run" --metric frechet features=classifier
check "collect a metric" 0 -- collect "a b"
if grep -q ',knn-3_precision,' "a b/compare.csv"; then ok; else fail "collect a metric"; fi
check "table of metrics" 0 -- table "a b"
holds "table of metrics" "ring, raw: sample quality"
holds "table of metrics" "mode_kl"
check "table of metrics as json" 0 -- table "a b" -f json
holds "table of metrics as json" '"metric": "mode_kl"'
check "table of metrics alone" 0 -- table "a b" --quality
holds "table of metrics alone" "real rows"
lacks "table of metrics alone" "log-likelihood"
check "table of metrics as csv" 0 -- table "a b" --quality --format csv
holds "table of metrics as csv" "dataset,view,label,model,metric,n_sample,n_seed,value,error,real,real_error"
holds "table of metrics as csv" "ring,raw,vae,vae,mode_kl,40,1,"
check "two tables at once" 64 "--tree and --quality exclude one another" -- table "a b" --quality --tree
rm "a b/ring-raw/vae/seed-0/"evaluation-metric-*.h5 "$run/evaluation-metric-knn-3.h5"
check "a metric that does not apply" 78 \
    "mode does not apply to vae on bars, raw: the data set has no known modes; that can: mmd, " -- evaluate "$run" --metric mode
check "an unknown metric" 64 "did you mean 'frechet'" -- evaluate "$run" --metric frechett
check "a metric and an estimator" 64 "exclude one another" -- evaluate "$run" --metric knn --estimator elbo
check "a metric on a split" 64 "a metric is of samples" -- evaluate "$run" --metric knn --split valid
check "a metric under another's name" 64 "the metric's name with an ending" -- evaluate "$run" --metric knn --name mmd
check "a metric out of range" 78 "key 'k': expected integer, 1 to 1000; found '0'" -- evaluate "$run" --metric knn k=0
check "an estimator under a metric's file" 64 "files of metrics begin with 'metric-'" -- evaluate "$run" --estimator elbo --name metric-knn
check "metrics of a comparison" 0 "mode does not apply to vae: the data set has no known modes" -- run tiny.yaml --out measured --progress plain \
    'datasets=[{name: bars, n_train: 200, n_valid: 60, n_test: 60}]' 'models=[{model: vae, latent: 2, hidden: [8]}]' 'evaluate.metrics=[mode, knn]'
holds "metrics of a comparison" "knn_recall"
check "metrics again" 0 -- reproduce measured/bars-raw/vae/seed-0 --threads 2 --progress none
check "evaluate on an unknown split" 64 "train, valid or test" -- evaluate "$run" --estimator elbo --split tset
check "evaluate out of range" 78 "key 'n_repeat': expected integer, 2 to 100000; found '1'" -- evaluate "$run" --estimator elbo n_repeat=1
check "evaluate under a name that is no file's" 64 "expected 1 to 100 letters" -- evaluate "$run" --estimator elbo --name a/b
check "evaluate under the name of another estimator" 64 "'exact' is the name of another estimator than elbo" -- evaluate "$run" --estimator elbo --name exact
check "evaluate under a name that ends in a split's" 64 "'own-valid' ends in a split's name" -- evaluate "$run" --estimator elbo --name own-valid
check "evaluate with no threads" 64 "from 1 to" -- evaluate "$run" --estimator elbo --threads 0
check "evaluate with another progress" 64 "auto, bar, plain" -- evaluate "$run" --estimator elbo --progress dots
check "evaluate nothing" 66 "nowhere" -- evaluate nowhere --estimator elbo
check "evaluate under a name" 0 -- evaluate "$run" --estimator elbo --name elbo_33 --threads 2 --progress none n_repeat=33
if [ -s err.txt ]; then fail "evaluate --progress none is not silent"; else ok; fi
there "evaluate under a name" "$run/evaluation-elbo_33.h5"
mv "$run/evaluation-elbo_33.h5" two-threads.h5
check "evaluate on one thread" 0 -- evaluate "$run" --estimator elbo --name elbo_33 --threads 1 n_repeat=33
content() { h5dump -a content_sha256 "$1" | grep '(0)'; }
if [ "$(content two-threads.h5)" = "$(content "$run/evaluation-elbo_33.h5")" ]; then ok; else fail "evaluations of 1 and 2 threads differ"; fi
touch -d '2001-01-01' "$run/evaluation-elbo_33.h5"
cp out.txt made.txt
check "evaluate again" 0 -- evaluate "$run" --estimator elbo --name elbo_33 n_repeat=33
holds "evaluate again" "kept, made with the same settings: $run/evaluation-elbo_33.h5"
if [ "$(head -n -1 out.txt)" = "$(head -n -1 made.txt)" ]; then ok; else fail "what is kept is told as when it was made"; fi
old() { [ "$(stat -c %Y "$1")" -lt 1000000000 ]; }
if old "$run/evaluation-elbo_33.h5"; then ok; else fail "an evaluation with the same settings is kept"; fi
check "evaluate again, afresh" 0 -- evaluate "$run" --estimator elbo --name elbo_33 --fresh n_repeat=33
if old "$run/evaluation-elbo_33.h5"; then fail "--fresh evaluates again"; else ok; fi
for change in "n_repeat=34" "n_repeat=33 -n 50"; do
    touch -d '2001-01-01' "$run/evaluation-elbo_33.h5"
    check "evaluate with $change" 0 -- evaluate "$run" --estimator elbo --name elbo_33 $change
    if old "$run/evaluation-elbo_33.h5"; then fail "other settings replace an evaluation: $change"; else ok; fi
done
printf x >>"$run/evaluation-elbo_33.h5"
check "evaluate over what is damaged" 0 "replaced: $run/evaluation-elbo_33.h5: " -- evaluate "$run" --estimator elbo --name elbo_33 n_repeat=33
if [ "$(content two-threads.h5)" = "$(content "$run/evaluation-elbo_33.h5")" ]; then ok; else fail "an evaluation made again differs"; fi
check "evaluate with an unknown estimator" 64 "did you mean 'elbo'" -- evaluate "$run" --estimator elbow
check "evaluate with an unknown key" 78 "command line" -- evaluate "$run" --estimator elbo n_smaple=3
check "table with later evaluations" 0 -- table "a b"
holds "table with later evaluations" "valid split"
check "evaluate the first rows" 0 -- evaluate "$run" --estimator elbo -n 5
check "table of fewer rows" 0 -- table "a b"
holds "table of fewer rows" "elbo of vae on bars, raw is over the first 5 examples only."

cp "$run/evaluation-elbo.h5" "a b/bars-raw/gan/seed-0/evaluation-foreign.h5"
echo rubbish >"a b/bars-raw/gan/seed-0/evaluation-rubbish.h5"
check "a damaged evaluation" 3 "evaluation-rubbish.h5: expected a last line" -- collect "a b"
cp "a b/compare.csv" with-rubbish.csv
for command in table collect; do
    check "$command tells what it leaves out" 3 "gan/seed-0/evaluation-foreign.h5: evaluates another run" -- $command "a b"
    if grep -qF "2 files left out" err.txt; then ok; else fail "$command counts what it leaves out"; fi
done
check "run tells what it leaves out" 3 "2 files left out" -- run tiny.yaml --out "a b" --reproducible --progress none
holds "what is left out spoils no other row" "true density"
rm "a b/bars-raw/gan/seed-0/"evaluation-*.h5
check "collect without what was left out" 0 -- collect "a b"
same "what is left out has no influence" "a b/compare.csv" with-rubbish.csv
if grep -q ',elbo_33,elbo,model,lower_bound,' "a b/compare.csv"; then ok; else fail "collect takes in what has a name"; fi
check "table of what has a name" 0 -- table "a b"
holds "table of what has a name" "elbo_33 (elbo)"

check "evaluate rows that the model draws" 0 -- evaluate "$run" --estimator bdmc -n 5 n_step=20 n_chain=2
holds "evaluate rows that the model draws" "5 rows that the model drew itself, by bdmc"
holds "evaluate rows that the model draws" "the gap between the two"
check "such rows are of no split" 64 "rows that it draws from the model itself" -- evaluate "$run" --estimator bdmc --split test
check "table of drawn rows" 0 -- table "a b"
holds "table of drawn rows" "on 5 rows drawn from the model itself"
if grep -q '^bars, raw.*simulated' out.txt; then fail "drawn rows are ranked"; else ok; fi
check "collect drawn rows" 0 -- collect "a b"
if grep -q ',simulated,vae,.*,gap_mean,' "a b/compare.csv"; then ok; else fail "collect drawn rows"; fi

check "a view with a map of its own" 0 -- run tiny.yaml --out mapped --progress none \
    'datasets=[{name: ring, view: standardised, n_train: 200, n_valid: 60, n_test: 60}]' 'models=[{model: vae, latent: 2, hidden: [8]}]'
for split in "--estimator ais" "--estimator bdmc"; do
    check "evaluate $split there" 0 -- evaluate mapped/ring-standardised/vae/seed-0 $split -n 5 n_step=20 n_chain=2
    if [ "$(grep -c 'nats in the unit of the view' out.txt)" = "$(grep -c 'drew itself' out.txt)" ]; then ok; else fail "$split: the unit"; fi
done
check "table of it" 0 -- table mapped
holds "table of it" " in the unit of the view: a gap of"

# Paired differences
check "pairwise" 0 -- table "a b" --pairwise
holds "pairwise" "bars, raw: counting measure, test split, 60 examples"
holds "pairwise" "exact - elbo_33 (elbo)"
holds "pairwise" "test split, the first 5 examples"
holds "pairwise" "<= the true difference is at most this."
for format in md tex json; do check "pairwise as $format" 0 -- table "a b" --pairwise --format $format; done
check "pairwise in another format" 64 "text, md" -- table "a b" --pairwise --format xls
check "pairwise as csv" 0 -- table "a b" --pairwise --format csv
cp out.txt pairs.csv
/usr/bin/python3 - >err.txt 2>&1 <<'P'
"""Each difference again, from the files."""
import csv, glob, h5py, numpy as np
def rows(of, split, label, name):
    for path in glob.glob(f"a b/{of}/*/seed-0/*.h5"):
        with h5py.File(path.rsplit("/", 1)[0] + "/result.h5") as f: own = f.attrs.get("label")
        with h5py.File(path) as f:
            if own == label and f"likelihood/{split}/{name}" in f and not ("result" in path and glob.glob(
                    path.replace("result", "evaluation-" + name))):
                return f[f"likelihood/{split}/{name}/log_likelihood"][:]
found = 0
for r in csv.DictReader(open("pairs.csv")):
    a, b = (rows(r["dataset"] + "-" + r["view"], r["split"], r["label_" + k], r["name_" + k]) for k in "ab")
    d = (a[:int(r["n_example"])] - b[:int(r["n_example"])])
    assert len(d) == int(r["n_example"]), r
    assert np.isclose(float(r["difference"]), d.mean(), rtol=1e-12, atol=1e-12), r
    assert np.isclose(float(r["error"]), d.std(ddof=1) / len(d) ** 0.5, rtol=1e-9, atol=1e-12), r
    assert r["relation"] == {"exactexact": "exact", "exactlower_bound": "upper_bound", "lower_boundexact": "lower_bound",
                             "lower_boundlower_bound": "none"}.get(r["kind_a"] + r["kind_b"], "estimate"), r
    found += 1
assert found > 10, found
P
if [ $? -eq 0 ]; then ok; else fail "paired differences are not those of the files"; fi

# Damage
cp -r "a b" damaged
printf 'x' | dd of=damaged/ring-raw/vae/seed-0/result.h5 bs=1 seek=3000 conv=notrunc 2>/dev/null
check "damaged result: collect" 3 "ring-raw/vae/seed-0/result.h5" -- collect damaged
check "damaged result: table" 3 "ring-raw/vae/seed-0/result.h5" -- table damaged
check "damaged result: status" 3 "1 damaged file" -- status damaged
if grep -q '^damaged .* damaged/ring-raw/vae/seed-0 .*seed-0/result.h5: damaged' out.txt; then ok; else fail "status names the damaged"; fi
holds "damaged result: status of the others" "done  "
check "damaged result: sample" 65 "result.h5" -- sample damaged/ring-raw/vae/seed-0 -o s.h5
check "damaged result: evaluate" 65 "result.h5: damaged" -- evaluate damaged/ring-raw/vae/seed-0 --estimator elbo

check "damaged result: dry run" 0 -- run tiny.yaml --out damaged --dry-run
if grep -q '^ring-raw/vae/seed-0 .* new: .*result.h5: damaged' out.txt; then ok; else fail "a dry run tells of damage"; fi
for again in "" -2; do
    cp damaged/ring-raw/vae/seed-0/result.h5 broken.h5
    check "damaged result: run" 0 "set aside as damaged/ring-raw/vae/seed-0/result.h5.damaged$again" -- \
        run tiny.yaml --out damaged --reproducible --progress none
    same "it is made again" damaged/ring-raw/vae/seed-0/result.h5 "a b/ring-raw/vae/seed-0/result.h5"
    same "what was there is not lost" damaged/ring-raw/vae/seed-0/result.h5.damaged$again broken.h5
    : >damaged/ring-raw/vae/seed-0/result.h5
done
check "an empty result" 0 "11 runs to do" -- run tiny.yaml --out damaged --fresh --progress plain train.epochs=1
there "fresh leaves what was set aside" damaged/ring-raw/vae/seed-0/result.h5.damaged
rm damaged/bars-raw/vae/seed-0/result.h5
check "results of another config are refused, the others go on" 3 \
    "bars-raw/gan/seed-0: refused: damaged/bars-raw/gan/seed-0/result.h5: a finished run differs from this one in train.epochs: 1 and 2" \
    -- run tiny.yaml --out damaged --progress plain
if grep -qF "results in damaged: 1 run to do, 0 kept, 10 refused" err.txt; then ok; else fail "refused runs are counted"; fi
there "the others go on" damaged/bars-raw/vae/seed-0/result.h5

# forge NAME PYTHON: a copy of a run, changed, and whole again for all that its last line says.
forge() {
    rm -rf forged && cp -r "$run" forged
    /usr/bin/python3 - "$2" <<'P'
import hashlib, os, sys, h5py
path = "forged/result.h5"
os.truncate(path, os.path.getsize(path) - 77)
with h5py.File(path, "r+") as f:
    exec(sys.argv[1])
with open(path, "rb+") as f:
    f.write(b"TAXONSHA256 " + hashlib.sha256(f.read()).hexdigest().encode() + b"\n")
P
}
forge "another version" 'f.attrs["schema_version"] = "2.0"'
check "a run of another version" 65 "expected schema version 1.x, found 2.0" -- evaluate forged --estimator elbo
forge "other data" 'f.attrs["dataset_sha256"] = "0" * 64'
check "a run of other data" 65 "the data set 'bars' is not the one of the run: sha256 000000000000..." -- evaluate forged --estimator elbo
forge "other rows" 'f.attrs["view_sha256"] = "0" * 64'
check "a run of other rows" 65 "the view 'raw' gives other rows than in the run" -- evaluate forged --estimator elbo
forge "a key of the future" 'c = f["config/json"][()].decode(); del f["config/json"]; f["config/json"] = c.replace("\"latent\"", "\"latents\"")'
check "a run of another configuration" 65 "unknown key 'latents'" -- evaluate forged --estimator elbo
check "a run of another configuration" 65 "this taxon does not understand the configuration" -- evaluate forged --estimator elbo
forge "a weight of another size" 'g = list(f["parameters"].values())[0]; del g[next(n for n in g if g[n].ndim == 2)]'
check "a run without a weight" 65 "/parameters/" -- evaluate forged --estimator elbo

check "a learning rate that diverges" 3 "diverged" -- run tiny.yaml --out div --progress none train.learning_rate=1e12 \
    train.optimizer=sgd 'models=[{model: nice, hidden: [8]}, {model: independent}]' 'datasets=[{name: ring, n_train: 200}]'
check "a diverged run is kept" 3 "diverged" -- run tiny.yaml --out div --progress none train.learning_rate=1e12 \
    train.optimizer=sgd 'models=[{model: nice, hidden: [8]}, {model: independent}]' 'datasets=[{name: ring, n_train: 200}]'

check "a diverged run has nothing to evaluate" 65 "the run diverged" -- evaluate div/ring-raw/nice/seed-0 --estimator exact

# Stops and kills
for signal in TERM INT; do
    "$taxon" evaluate "$run" --estimator elbo --name stopped --progress none n_repeat=100000 >out.txt 2>err.txt &
    pid=$!
    # A shell's background process ignores SIGINT until it has a handler of its own.
    for _ in $(seq 1 1000); do
        [ $((0x$(sed -n 's/^SigCgt:\s*//p' /proc/$pid/status) & 0x4002)) -eq $((0x4002)) ] && break
        sleep 0.01
    done
    sleep 0.2
    kill -$signal $pid
    wait $pid
    if [ $? -eq 75 ]; then ok; else fail "evaluate: SIG$signal"; fi
    if grep -qF "nothing was written" err.txt; then ok; else fail "evaluate tells that it was stopped"; fi
    if ls "$run" | grep -q stopped; then fail "a stopped evaluation leaves files"; else ok; fi
done
epochs() { cat "$1/bars-raw/made/seed-0/metrics.jsonl" 2>/dev/null | wc -l; }
# start DIR EPOCHS [key=value ...]: a run in the background that has got so far; its pid in $pid, its child's in $child.
start() {
    local dir=$1 least=$2
    shift 2
    "$taxon" run long.yaml --out "$dir" --reproducible --progress none "$@" >out.txt 2>err.txt &
    pid=$!
    child=
    for _ in $(seq 1 500); do
        child=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
        child=${child%% *}
        [ -n "$child" ] && [ "$(epochs "$dir")" -ge "$least" ] && break
        sleep 0.01
    done
}
ended() { wait "$pid"; local rc=$?; if [ $rc -eq "$2" ]; then ok; else fail "$1: exit code $rc, expected $2"; fi; }
result=bars-raw/made/seed-0/result.h5

check "uninterrupted" 0 -- run long.yaml --out whole --reproducible --progress none
start stop 50
kill -TERM "$pid"
ended "SIGTERM" 75
if grep -qF "stopped: 0 of 1 run ended" err.txt; then ok; else fail "a stopped run has not ended"; fi
there "SIGTERM" stop/bars-raw/made/seed-0/checkpoint.h5
for signal in INT USR1 HUP; do
    start "stop $signal" 3
    kill -$signal "$pid"
    ended "SIG$signal" 75
    check "resumed after SIG$signal" 0 -- run long.yaml --out "stop $signal" --reproducible --progress none
    same "a run that SIG$signal stopped ends alike" "stop $signal/$result" "whole/$result"
done
# A child that does not answer: the second signal ends all at once, and leaves what a kill leaves.
start twice 3
kill -STOP "$child"
kill -INT "$pid"
sleep 0.3
kill -INT "$pid"
ended "a second SIGINT" 130
if [ -d "/proc/$child" ]; then fail "a second SIGINT leaves a run behind"; kill -KILL "$child"; else ok; fi
check "resumed after a second SIGINT" 0 -- run long.yaml --out twice --reproducible --progress none
same "a run that two SIGINTs ended ends alike" "twice/$result" "whole/$result"
cp -r stop cut && truncate -s -1 cut/bars-raw/made/seed-0/checkpoint.h5
check "status of a damaged checkpoint" 3 "1 damaged file" -- status cut
holds "status of a damaged checkpoint" "cut/bars-raw/made/seed-0/checkpoint.h5: expected a last line"
check "status of a stopped run" 0 -- status stop
holds "status of a stopped run" "checkpointed"
before=$(epochs stop)
metrics=stop/bars-raw/made/seed-0/metrics.jsonl
inode=$(stat -c %i $metrics)
start stop 1
# A resuming run replaces this file by what its checkpoint holds.
for _ in $(seq 1 500); do [ "$(stat -c %i $metrics)" != "$inode" ] && break; sleep 0.01; done
after=$(epochs stop)
kill -INT "$pid"
ended "SIGINT after resuming" 75
there "the checkpoint before is kept" stop/bars-raw/made/seed-0/checkpoint.prev.h5
rm -rf older && cp -r stop older && truncate -s -7 older/bars-raw/made/seed-0/checkpoint.h5
check "the newest checkpoint is damaged" 0 "checkpoint.prev.h5: goes on from here" -- run long.yaml --out older --reproducible --progress none
same "a run from the checkpoint before ends alike" "older/$result" "whole/$result"
gone "no checkpoint is left" older/bars-raw/made/seed-0/checkpoint.prev.h5
if [ "$after" -ge "$before" ]; then ok; else fail "the run did not go on from its checkpoint"; fi
start stop $(($(epochs stop) + 2))
"$taxon" status stop >out.txt
holds "status of a run under way" "running"
"$taxon" run long.yaml --out stop --reproducible --progress none >/dev/null 2>err.txt
if [ $? -eq 75 ]; then ok; else fail "a second process in the same folder"; fi
kill -KILL "$child"
ended "kill -9 of a run" 3
check "resumed to the end" 0 -- run long.yaml --out stop --reproducible --progress none
same "stopped and killed runs end alike" "stop/$result" "whole/$result"
start killed 3
kill -KILL "$pid" "$child"
{ wait "$pid"; } 2>/dev/null
folder_of_run=killed/bars-raw/made/seed-0
for name in result.h5.1-0.part metrics.jsonl.1-0.part mine.part; do echo x >$folder_of_run/$name; done
check "after kill -9 of all" 0 -- run long.yaml --out killed --reproducible --progress none
same "killed comparisons end alike" "killed/$result" "whole/$result"
gone "what a kill left is swept" $folder_of_run/result.h5.1-0.part
gone "what a kill left is swept" $folder_of_run/metrics.jsonl.1-0.part
there "another's file is not swept" $folder_of_run/mine.part
start orphan 3 train.max_steps=0
kill -KILL "$pid"
{ wait "$pid"; } 2>/dev/null
for _ in $(seq 1 500); do [ -d "/proc/$child" ] || break; sleep 0.01; done
if [ -d "/proc/$child" ]; then fail "a run outlives its comparison"; kill -KILL "$child"; else ok; fi
check "time limit" 75 "run the same command again" -- run long.yaml --out limit --max-time 0.5s train.max_steps=0
printf 'x' | dd of=limit/bars-raw/made/seed-0/checkpoint.h5 bs=1 seek=2000 conv=notrunc 2>/dev/null
cp limit/bars-raw/made/seed-0/checkpoint.h5 broken.h5
check "damaged checkpoint" 0 "checkpoint.h5: damaged" -- run long.yaml --out limit --reproducible --progress none
same "what is left of it is not lost" limit/bars-raw/made/seed-0/checkpoint.h5.damaged broken.h5
same "a run made anew ends alike" "limit/$result" "whole/$result"
check "checkpoint of another config" 3 "--fresh" -- run long.yaml --out orphan --progress none
check "fresh after a checkpoint of another config" 0 -- run long.yaml --out orphan --reproducible --progress none --fresh
same "fresh ends alike" "orphan/$result" "whole/$result"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
