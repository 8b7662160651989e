#!/usr/bin/python3
"""System calls that fail, one at a time, in every place: test_faults.py TAXON FAULTS.so

For each call and each n the command runs with its n-th such call failing, until it has fewer calls. Whatever happens: an exit code
that is documented, a message that names the file, no signal, nothing half-written under a final name, no .part left; and the same
command without the fault ends with the same bytes as one that never met it."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CONFIG = """seeds: [0]
datasets: [{name: bars, n_train: 100, n_valid: 20, n_test: 20}]
train: {epochs: 3, batch: 50}
models: [{model: vae, latent: 2, hidden: [8]}]
evaluate: {estimators: [elbo], n_sample: 4}
"""
ENOENT, EINTR, EIO, ENOMEM, EACCES, ENOSPC, EMFILE, EROFS = 2, 4, 5, 12, 13, 28, 24, 30
SYSTEM = [("write", ENOSPC), ("write", EIO), ("fsync", EIO), ("close", EIO), ("open", EACCES), ("open", EMFILE), ("rename", EIO),
          ("mkdir", EROFS), ("unlink", EIO)]
HARMLESS = [("write", "half"), ("write", EINTR)]
MEMORY = [("posix_memalign", ENOMEM)]
CODES = {3, 65, 71, 73, 74}
RUN = "bars-raw/vae/seed-0"
failures = []


def whole(path):
    """Does a file end with the sum of what stands before?"""
    data, end = path.read_bytes(), 77
    return data[-end:] == b"TAXONSHA256 " + hashlib.sha256(data[:-end]).hexdigest().encode() + b"\n"


class Case:
    """A command on a folder that `prepare` makes."""

    def __init__(self, name, taxon, shim, folder, prepare, arguments, without=()):
        self.name, self.taxon, self.shim, self.folder, self.prepare, self.arguments = name, taxon, shim, folder, prepare, arguments
        self.mark, self.count, self.without = folder.parent / "mark", 0, without
        self.fresh()
        self.run()
        self.truth = self.results()

    def fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.prepare(self.folder)

    def run(self, fault=None):
        env = dict(os.environ)
        if fault:
            env.update(LD_PRELOAD=str(self.shim), TAXON_FAULT=f"{fault[0]} {fault[1]} {fault[2]} {self.mark}:{self.folder}")
        return subprocess.run([self.taxon, *self.arguments], env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def results(self):
        return {p.relative_to(self.folder): p.read_bytes() for p in self.folder.rglob("*.h5")}

    def check(self, fault, codes):
        """Whether the fault was met."""
        self.fresh()
        self.mark.unlink(missing_ok=True)
        p = self.run(fault)
        if not self.mark.exists():
            return False
        self.count += 1
        wrong = []
        if p.returncode not in codes:
            wrong.append(f"exit code {p.returncode}")
        if p.returncode and not p.stderr.strip():
            wrong.append("no message")
        if p.returncode == 71 and p.stderr.count("\n") != 1:
            wrong.append("more than a line")
        wrong += [f"{f} is left" for f in self.folder.rglob("*.part") if fault[0] != "unlink"]
        wrong += [f"{f} is not whole" for f in self.folder.rglob("*.h5") if not whole(f)]
        again = self.run()
        if again.returncode:
            wrong.append(f"without the fault: exit code {again.returncode}: {again.stderr.strip()}")
        elif self.results() != self.truth:
            wrong.append("without the fault: other files than of a run that never met it")
        for w in wrong:
            failures.append(f"{self.name}, {' '.join(map(str, fault))}: {w}\n    {p.stderr.strip()[:400]}")
        return True

    def sweep(self, calls, codes, step=1.0):
        for call, error in calls:
            n = 1
            while self.check((call, n, error), codes):
                n = max(n + 1, int(n * step))
            if n == 1 and call not in self.without:
                failures.append(f"{self.name}: no {call} was made to fail")


def main(taxon, shim):
    # The list of what is preloaded is parted by blanks; results lie in a folder with one.
    with tempfile.TemporaryDirectory(prefix="taxon-faults-") as shims, tempfile.TemporaryDirectory(prefix="taxon faults ") as base:
        base = pathlib.Path(base)
        shim = shutil.copy(shim, shims)
        (base / "config.yaml").write_text(CONFIG)
        common = ["--threads", "1", "--progress", "none"]
        made = base / "made"
        run = ["run", str(base / "config.yaml"), "--reproducible", *common]
        subprocess.run([taxon, *run, "--out", str(made)], check=True, capture_output=True)

        def copy(folder):
            shutil.copytree(made, folder)
            (folder / "compare.h5").unlink(missing_ok=True)

        cases = [
            Case("run", taxon, shim, base / "out", lambda folder: None, [*run, "--out", str(base / "out")]),
            Case("collect", taxon, shim, base / "collected", copy, ["collect", str(base / "collected")], without=["mkdir"]),
        ]
        for case in cases:
            case.sweep(SYSTEM, CODES | {0})
            case.sweep(HARMLESS, {0})
            case.sweep(MEMORY, CODES | {0}, 1.3)
            print(f"{case.name}: {case.count} faults")
    print(*failures, sep="\n")
    print(f"{len(failures)} failures")
    return bool(failures)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: test_faults.py TAXON FAULTS.so")
    sys.exit(main(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])))
