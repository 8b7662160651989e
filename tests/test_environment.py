#!/usr/bin/python3
"""What surrounds a command: streams, locale, clock, settings of OpenMP and OpenBLAS, threads, kernels of other processors, builds of
OpenBLAS: test_environment.py TAXON FAULTS.so [COUNT [PART...]]

COUNT (1) repetitions. Results have the same bytes, or where the arithmetic is another the same likelihoods to 1e-5.
TAXON_BLAS_FOLDERS, a list parted by colons, adds folders with other builds of libopenblas.so.0."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))
from taxon import MODELS, SMALL, Failures, content, h5py, np, run  # noqa: E402

CONFIG = """seeds: [0]
datasets: [{name: bars, n_train: 100, n_valid: 20, n_test: 20}]
train: {epochs: 3, batch: 50}
models: [{model: vae, latent: 2, hidden: [8]}, {model: made, hidden: [300]}]
evaluate: {estimators: [exact, elbo], n_sample: 4}
"""
# Layers that are cut into tiles, and so are worth a second thread.
WIDE = {
    "dbm": "hidden: [200, 100], sample_steps: 20",
    "gan": "latent: 10, generator_hidden: [200], discriminator_hidden: [200]",
    "gsn": "hidden: [200], burn_in: 5, mixing_steps: 20",
    "iwae": "latent: 5, hidden: [200], n_sample: 5",
    "kde": "",
    "made": "hidden: [300]",
    "made_mog": "hidden: [200], components: 3",
    "maf": "hidden: [200], blocks: 2",
    "mixture": "components: 20",
    "nade": "hidden: [200]",
    "nce": "hidden: [200], sample_steps: 2",
    "nice": "couplings: 4, hidden: [200]",
    "rbm": "hidden: 200, sample_steps: 20",
    "realnvp": "hidden: [200], couplings: 2",
    "vae": "latent: 5, hidden: [200]",
}
CORES = ["Prescott", "Sandybridge", "Haswell", "Zen", "SkylakeX"]
RELATIVE = 1e-5


class Bench:
    def __init__(self, taxon, shim, base, count):
        self.taxon, self.shim, self.base, self.count, self.failures = taxon, shim, base, count, Failures()
        self.check = self.failures.check
        (base / "config.yaml").write_text(CONFIG)
        self.out, p = self.train("truth")
        self.truth, self.printed = self.files(self.out), p.stdout
        sets = [SMALL[k].replace("75", "300") for k in ("binary", "real")]
        models = [f"{{model: {m}, {WIDE.get(m, '')}}}" for m in MODELS]
        (base / "wide.yaml").write_text(f"seeds: [0]\ndatasets: [{', '.join(sets)}]\ntrain: {{epochs: 1, batch: 100}}\nmodels:\n" +
                                        "".join(f"  - {m}\n" for m in models) +
                                        "evaluate: {estimators: [exact, elbo, {estimator: iwae, n_importance: 200}, parzen], n_sample: 300}\n")

    def arguments(self, out, config="config.yaml", threads=1):
        return ["run", self.base / config, "--out", out, "--threads", threads, "--jobs", 1, "--progress", "none", "--reproducible"]

    def train(self, name, *more, env=None, wanted=0, **options):
        out = self.base / name
        shutil.rmtree(out, ignore_errors=True)
        p = run(self.taxon, *self.arguments(out, **options), *more, env=env, timeout=300)
        self.check(p.returncode == wanted, f"{name}: exit code {p.returncode}: {p.stderr.strip()[:500]}")
        return out, p

    def files(self, folder):
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "log.txt"}

    def contents(self, folder):
        return {str(p.relative_to(folder)): content(p) for p in folder.rglob("result.h5")}


def streams(b):
    """F12: standard streams that are closed, full, or left by their reader."""
    ways = {"closed output": (">&-", 0), "closed errors": ("2>&-", 0), "all closed": ("<&- >&- 2>&-", 0), "full output": (">/dev/full", 74),
            "full errors": ("2>/dev/full", 0), "all full": (">/dev/full 2>/dev/full", 74), "a reader that leaves": ("| head -1", 0),
            "a reader that is gone": ("| sleep 0", 0)}
    run_folder = b.out / "bars-raw" / "made" / "seed-0"
    commands = {"run": None, "table": ["table", b.out], "list": ["list", "models"], "show": ["show", "vae"], "status": ["status", b.out],
                "data": ["data", "check", "bars"], "help": ["run", "--help"], "config": ["config", b.base / "config.yaml"],
                "evaluate": ["evaluate", run_folder, "-e", "exact", "--fresh", "--name", "again", "--progress", "plain"]}
    for way, (redirect, code) in ways.items():
        for name, arguments in commands.items():
            out = b.base / "streams"
            shutil.rmtree(out, ignore_errors=True)
            script = f'"$0" "$@" {redirect}; exit ${{PIPESTATUS[0]}}'
            p = run("bash", "-c", script, b.taxon, *(arguments or b.arguments(out)))
            codes = {0, 74} if "reader" in way else {code}
            b.check(p.returncode in codes, f"{name}, {way}: exit code {p.returncode}: {p.stderr.strip()[:300]}")
            b.check(p.returncode == 0 or "2>" in redirect or "standard output" in p.stderr, f"{name}, {way}: {p.stderr.strip()}")
            if name == "run":
                b.check(b.files(out) == b.truth, f"{name}, {way}: other files")
        (run_folder / "evaluation-again.h5").unlink(missing_ok=True)


def settings(b):
    """F13, F16, F31: what must not change a byte."""
    locale = b.base / "locales"
    locale.mkdir()
    made = shutil.which("localedef") and subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", locale / "de_DE.UTF-8"],
                                                        capture_output=True).returncode == 0
    comma = {"LOCPATH": str(locale), "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}
    if made:
        number = subprocess.run(["bash", "-c", "printf %.1f 1,5"], env=comma, capture_output=True, text=True).stdout
        b.check(number == "1,5", f"the locale has no decimal comma: {number}")
    else:
        print("skipped: no locale with a decimal comma can be made here")
    ways = {"nothing": {}, "a locale with a comma": comma if made else {}, "C": {"LC_ALL": "C"}, "no such locale": {"LC_ALL": "xx_YY"},
            "east": {"TZ": "Pacific/Kiritimati"}, "west": {"TZ": "America/St_Johns"}, "no time zone": {"TZ": "::"},
            "a clock that steps back": {"LD_PRELOAD": b.shim, "TAXON_FAULT": f"clock 1000 0 {b.base}/mark:{b.base}/none"},
            "dynamic threads": {"OMP_DYNAMIC": "true"}, "guided": {"OMP_SCHEDULE": "guided,7"}, "static": {"OMP_SCHEDULE": "static,1"},
            "many threads": {"OMP_NUM_THREADS": "64"}, "no number": {"OMP_NUM_THREADS": "abc"}, "nested": {"OMP_MAX_ACTIVE_LEVELS": "5", "OMP_NESTED": "true"},
            "a limit": {"OMP_THREAD_LIMIT": "1"}, "small stacks": {"OMP_STACKSIZE": "256k"}, "bound": {"OMP_PROC_BIND": "true"},
            "waiting": {"OMP_WAIT_POLICY": "active"}, "BLAS threads": {"OPENBLAS_NUM_THREADS": "5"}, "no BLAS number": {"OPENBLAS_NUM_THREADS": "x"},
            "GOTO threads": {"GOTO_NUM_THREADS": "3"}, "memory of before": {"MALLOC_PERTURB_": "165"}, "home": {"HOME": "/nonexistent", "PATH": ""}}
    for way, env in ways.items():
        for threads in (1, 2):
            out, p = b.train("settings", env=env, threads=threads)
            b.check(b.files(out) == b.truth, f"{way}, {threads} threads: other files")
            b.check(p.stdout.replace(str(out), str(b.out)) == b.printed, f"{way}: another table:\n{p.stdout}")
    _, p = b.train("settings", env={"OMP_STACKSIZE": "64k"}, threads=3, wanted=3)
    b.check("exit code 71: out of memory: a thread cannot be started" in p.stderr, f"tiny stacks: {p.stderr}")
    for way, script in {"umask": 'umask 077; exec "$0" "$@"', "another folder": 'cd /; exec "$0" "$@"', "nice": 'exec nice -n 3 "$0" "$@"'}.items():
        out = b.base / "a folder of" / way
        p = run("bash", "-c", script, b.taxon, *b.arguments(out))
        b.check(p.returncode == 0 and b.files(out) == b.truth, f"{way}: exit code {p.returncode}, or other files")
        b.check(way != "umask" or all(f.stat().st_mode & 0o077 == 0 for f in out.rglob("*")), "umask: not kept")


def threads(b):
    """F16: every model by 1, 2, 3, 4 and 8 threads, and by other builds of OpenBLAS."""
    folders = [f for f in os.environ.get("TAXON_BLAS_FOLDERS", "").split(":") if f]
    truth = None
    for _ in range(b.count):
        for folder in ["", *folders]:
            for n in (1, 2, 3, 4, 8):
                out, _ = b.train("wide", config="wide.yaml", threads=n, env={"LD_LIBRARY_PATH": folder} if folder else None)
                found = b.contents(out)
                truth = truth or found
                b.check({f.split("/")[1] for f in found} == set(MODELS) and found.keys() == truth.keys(), f"{n} threads: runs {list(found)}")
                for f in found:
                    b.check(found[f] == truth.get(f), f"{n} threads{', ' + folder if folder else ''}: {f} has another content")


def likelihoods(path):
    with h5py.File(path, "r") as f:
        found = {}
        f.visititems(lambda name, o: found.update({name: o[()]}) if name.endswith("/log_likelihood") and name.startswith("likelihood") else None)
        return found, dict(f["provenance"].attrs)


def cores(b):
    """F17: the likelihoods of the same parameters by kernels of other processors, which the file names."""
    out = b.base / "cores"
    shutil.rmtree(out, ignore_errors=True)
    p = run(b.taxon, *[a for a in b.arguments(out, "wide.yaml") if a != "--reproducible"], timeout=300)
    b.check(p.returncode == 0, f"cores: exit code {p.returncode}: {p.stderr.strip()[:300]}")
    seen = set()
    for result in sorted(out.rglob("result.h5")):
        here, made = likelihoods(result)
        for name, values in here.items():
            _, split, estimator, _ = name.split("/")
            if split != "test" or estimator == "parzen":  # drawn anew, and by the way of a bandwidth
                continue
            for core in CORES:
                options = ["n_importance=200"] if estimator == "iwae" else []
                p = run(b.taxon, "evaluate", result, "-e", estimator, "--name", "other", "--fresh", *options,
                        env={"OPENBLAS_CORETYPE": core, "TAXON_ISA": "x86-64-v2" if core in CORES[:2] else "x86-64-v3"})
                if not b.check(p.returncode == 0, f"{result}, {core}: exit code {p.returncode}: {p.stderr.strip()[:300]}"):
                    continue
                there, provenance = likelihoods(result.parent / "evaluation-other.h5")
                other = there["likelihood/test/other/log_likelihood"]
                apart = np.max(np.abs(other - values) / np.maximum(np.abs(values), 1))
                b.check(apart <= RELATIVE, f"{result.relative_to(out)}, {estimator}, {core}: {apart:.1e} apart")
                seen.add(provenance["blas_core"])
                b.check(provenance["OPENBLAS_CORETYPE"] == core, f"{core}: the file names {provenance['OPENBLAS_CORETYPE']}")
    b.check(len(seen) >= 2, f"no kernels of other processors are here: {seen}")
    print("kernels of", ", ".join(sorted(seen)))


PARTS = [streams, settings, threads, cores]


def main():
    if len(sys.argv) < 3:
        raise SystemExit("usage: test_environment.py TAXON FAULTS.so [COUNT [PART...]]")
    with tempfile.TemporaryDirectory(prefix="taxon environment ") as folder, tempfile.TemporaryDirectory(prefix="taxon-environment-") as shims:
        b = Bench(os.path.realpath(sys.argv[1]), shutil.copy(sys.argv[2], shims), pathlib.Path(folder),
                  int(sys.argv[3]) if len(sys.argv) > 3 else 1)
        for part in PARTS:
            if len(sys.argv) < 5 or part.__name__ in sys.argv[4:]:
                start, checks, found = time.time(), b.failures.checks, len(b.failures.found)
                part(b)
                print(f"{part.__name__}: {b.failures.checks - checks} checks, {len(b.failures.found) - found} failures, "
                      f"{time.time() - start:.1f} s", flush=True)
    b.failures.end()


if __name__ == "__main__":
    main()
