#!/usr/bin/python3
"""System calls that fail, one at a time, in every place: test_faults.py TAXON FAULTS.so [STEP]

For each call and each n the command runs with its n-th such call failing, until it has fewer calls. Whatever happens: an exit code
that is documented, a message, no signal, nothing half-written under a final name, no .part left; success only with the output of a
command that met no fault; and the same command without the fault ends with the same files. Allocations, of which there are
thousands, fail by steps that grow by the factor STEP (1.5); with 1 each one of them fails."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))
from taxon import whole  # noqa: E402

CONFIG = """seeds: [0]
datasets: [{name: bars, n_train: 100, n_valid: 20, n_test: 20}]
train: {epochs: 3, batch: 50}
models: [{model: vae, latent: 2, hidden: [8]}]
evaluate: {estimators: [elbo], n_sample: 4}
"""
ENOENT, EINTR, EIO, EAGAIN, ENOMEM, EACCES, ENOSPC, EMFILE, EROFS, ENOLCK = 2, 4, 5, 11, 12, 13, 28, 24, 30, 37
WRITES = [("write", ENOSPC), ("write", EIO), ("fsync", EIO), ("close", EIO), ("open", EACCES), ("open", EMFILE), ("rename", EIO),
          ("mkdir", EROFS), ("unlink", EIO)]
READS = [("read", EIO), ("open", EMFILE), ("close", EIO), ("opendir", EMFILE), ("scandir", EACCES), ("fopen", EMFILE)]
PROCESSES = [("pipe2", EMFILE), ("posix_spawn", EAGAIN)]
TEXTS = [("open_memstream", ENOMEM)]
READER = [("pipe2", EMFILE), ("fork", EAGAIN), ("flock", ENOLCK)]
HARMLESS = [("write", "half"), ("write", EINTR), ("read", "half"), ("read", EINTR), ("flock", ENOLCK)]
MEMORY = [("posix_memalign", ENOMEM), ("malloc", ENOMEM)]
CODES = {0, 3, 65, 66, 71, 73, 74}
RUN = "bars-raw/vae/seed-0"
failures = []


class Case:
    """A command on a folder that `prepare` makes. `bytes_differ`: its files hold times."""

    def __init__(self, name, taxon, shim, folder, prepare, arguments, same_output=True, bytes_differ=False):
        self.name, self.taxon, self.shim, self.folder, self.prepare, self.arguments = name, taxon, shim, folder, prepare, arguments
        self.mark, self.count, self.same_output, self.bytes_differ = folder.parent / f"{name}.mark", 0, same_output, bytes_differ
        self.fresh()
        self.before = self.results()
        self.output = self.run().stdout
        self.truth = self.results()
        self.writes = self.truth != self.before

    def fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.prepare(self.folder)

    def run(self, fault=None):
        env = dict(os.environ)
        if fault:
            env.update(LD_PRELOAD=str(self.shim), TAXON_FAULT=f"{fault[0]} {fault[1]} {fault[2]} {self.mark}:{self.folder}")
        return subprocess.run([self.taxon, *self.arguments], env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def results(self):
        """What stands under each final name: its bytes, or of files with times that it is whole."""
        files = [p for p in self.folder.rglob("*") if p.suffix in (".h5", ".csv", ".png") and not p.name.startswith("checkpoint")]
        return {p.relative_to(self.folder): whole(p) if self.bytes_differ and p.suffix == ".h5" else p.read_bytes() for p in files}

    def check(self, fault, codes):
        """Whether the fault was met."""
        self.fresh()
        self.mark.unlink(missing_ok=True)
        try:
            p = self.run(fault)
        except subprocess.TimeoutExpired:
            failures.append(f"{self.name}, {' '.join(map(str, fault))}: hangs")
            return self.mark.exists()
        if not self.mark.exists():
            return False
        self.count += 1
        wrong = []
        if p.returncode not in codes:
            wrong.append(f"exit code {p.returncode}")
        inner = re.findall(r"exit code (\d+)", p.stderr)
        if "ended by signal" in p.stderr or not {int(code) for code in inner} <= codes:
            wrong.append("a process within ends by another code or by a signal")
        if p.returncode and not p.stderr.strip():
            wrong.append("no message")
        if p.returncode == 71 and p.stderr.count("\n") != 1:
            wrong.append("more than a line")
        if "emory" not in p.stderr and fault[2] == ENOMEM and p.returncode:
            wrong.append("memory is not named")
        if p.returncode == 0 and self.same_output and p.stdout != self.output:
            wrong.append("success with another output")
        wrong += [f"{f} is left" for f in self.folder.rglob("*.part") if fault[0] != "unlink"]
        wrong += [f"{f} is not whole" for f in self.folder.rglob("*.h5") if not whole(f)]
        # What could not be read is left out with exit code 3, also of files written then.
        wrong += [f"{f} is neither the old nor the new file" for f, data in self.results().items()
                  if p.returncode != 3 and data not in (self.before.get(f), self.truth.get(f))]
        if self.writes:
            again = self.run()
            if again.returncode:
                wrong.append(f"without the fault: exit code {again.returncode}: {again.stderr.strip()}")
        if self.results() != self.truth:
            wrong.append("without the fault: other files than of a run that never met it")
        for w in wrong:
            failures.append(f"{self.name}, {' '.join(map(str, fault))}: {w}\n    {p.stderr.strip()[:400]}")
        return True

    def sweep(self, calls, codes, step=1.0, required=True):
        for call, error in calls:
            n = 1
            while self.check((call, n, error), codes):
                n = max(n + 1, int(n * step))
            if n == 1 and required:
                failures.append(f"{self.name}: no {call} was made to fail")


def cases_of(taxon, shim, base):
    (base / "config.yaml").write_text(CONFIG)
    common = ["--threads", "1", "--progress", "none"]
    made, run = base / "made", ["run", str(base / "config.yaml"), "--reproducible", *common]
    subprocess.run([taxon, *run, "--out", str(made)], check=True, capture_output=True)
    subprocess.run([taxon, "evaluate", str(made / RUN), "-e", "iwae", "n_importance=10", *common], check=True, capture_output=True)

    def copy(folder):
        shutil.copytree(made, folder)
        (folder / "compare.h5").unlink()

    def numbers(folder):
        folder.mkdir()
        (folder / "numbers.csv").write_text("".join(f"{i % 7}.5,{i * i % 11}.25\n" for i in range(60)))

    def case(name, prepare, *arguments, **options):
        return Case(name, taxon, shim, base / name, prepare, [a.replace("DIR", str(base / name)) for a in arguments], **options)

    writes = [*WRITES[:5], ("rename", EIO)]
    wide = ["models=[{model: made, hidden: [300]}]", "--threads", "3", "--out", "DIR"]
    return [
        (case("threads", lambda folder: None, *run, *wide, same_output=False), [("pthread_create", EAGAIN)]),
        (case("run", lambda folder: None, *run, "--out", "DIR", same_output=False), WRITES + READS[:1] + PROCESSES + TEXTS),
        (case("collect", copy, "collect", "DIR"), WRITES[:-2] + READS[:-1] + TEXTS),
        (case("evaluate", copy, "evaluate", "DIR/" + RUN, "-e", "elbo", *common, bytes_differ=True), writes + READS[:2]),
        (case("sample", copy, "sample", "DIR/" + RUN, "-n", "5", "-o", "DIR/5.h5"), writes + READS[:2]),
        (case("picture", copy, "sample", "DIR/" + RUN, "-n", "5", "-o", "DIR/5.png"), writes),
        (case("table", copy, "table", "DIR"), READS[:-1]),
        (case("status", copy, "status", "DIR"), READS),
        (case("data", numbers, "data", "check", "DIR/numbers.csv"), READS[:2]),
        (case("foreign", copy, "data", "check", f"DIR/{RUN}/result.h5#parameters/encoder/layer_w0"), READER),
    ]


def attack(case, calls, step):
    case.sweep(calls, CODES)
    case.sweep([call for call in HARMLESS if call not in calls], {0}, required=False)
    case.sweep(MEMORY, CODES, step)
    print(f"{case.name}: {case.count} faults", flush=True)


def main(taxon, shim, step):
    # The list of what is preloaded is parted by blanks; results lie in a folder with one.
    with tempfile.TemporaryDirectory(prefix="taxon-faults-") as shims, tempfile.TemporaryDirectory(prefix="taxon faults ") as base:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda c: attack(*c, step), cases_of(taxon, shutil.copy(shim, shims), pathlib.Path(base))))
    print(*failures, sep="\n")
    print(f"{len(failures)} failures")
    return bool(failures)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit("usage: test_faults.py TAXON FAULTS.so [STEP]")
    sys.exit(main(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 1.5))
