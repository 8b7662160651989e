#!/usr/bin/python3
"""A short run of each model under valgrind: valgrind.py TAXON [MODEL ...]

No read or write outside of what was allocated, no jump on a value that was never set, no file left open and no memory lost. Valgrind
emulates no AVX-512, so kernels are those of Haswell; the command is given what it would else set for itself, as then it starts
anew, outside of valgrind's sight."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import taxon as tx
from taxon import h5py

PLAIN = {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell", "GOMP_SPINCOUNT": "0", "TAXON_ISA": "x86-64-v3"}
ESTIMATORS = ("[exact, elbo, {estimator: iwae, n_importance: 3}, {estimator: parzen, n_sample: 5, n_valid: 4}, "
              "{estimator: ais, n_step: 2, n_chain: 2}, {estimator: ensemble, n_ordering: 2}, "
              "{estimator: ais_log_z, n_step: 20, n_chain: 4}, self_normalised, enumerated]")


def config(model):
    data, options = tx.MODELS[model]
    return (f"datasets: [{tx.SMALL[data]}]\ntrain: {{epochs: 2, batch: 40}}\nmodels: [{{model: {model}, {options}}}]\n"
            f"evaluate: {{estimators: {ESTIMATORS}, n_example: 4, n_sample: 5}}\n")


def main():
    if not shutil.which("valgrind"):
        print("skipped: there is no valgrind")
        sys.exit(77)
    taxon, models, failures = sys.argv[1], sys.argv[2:] or list(tx.MODELS), tx.Failures()
    with tempfile.TemporaryDirectory() as base:
        base = pathlib.Path(base)
        for model in models:
            (base / "config.yaml").write_text(config(model))
            p = tx.run(taxon, "run", base / "config.yaml", "--out", base / model, "--progress", "none")
            failures.check(p.returncode == 0, f"{model}: exit code {p.returncode}: {p.stderr}")
            with h5py.File(next((base / model).rglob("result.h5"))) as f:
                spec = f["config/json"][()]
            log = base / f"{model}.txt"
            p = subprocess.run(["valgrind", f"--log-file={log}", "--error-exitcode=99",
                                "--leak-check=full", "--errors-for-leak-kinds=definite", "--track-fds=yes",
                                taxon, "run-one", "--folder", base / "again", "--threads", "2", "--fresh"],
                               input=spec, capture_output=True, env={**os.environ, **PLAIN}, timeout=1800)
            text = log.read_text()
            open_files = re.findall(r"Open (?:AF_\w+ socket|file descriptor) \d+: (?!.*<inherited)(.*)", text)
            open_files = [f for f in open_files if not f.startswith(str(log))]
            failures.check(p.returncode == 0, f"{model}: exit code {p.returncode}: {p.stderr.decode()}\n{text}")
            print(f"{model}: {re.search('total heap usage: .*', text)[0]}; {re.search('ERROR SUMMARY: .*', text)[0]}", *open_files, flush=True)
    failures.end()


main()
