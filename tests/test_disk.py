#!/usr/bin/python3
"""Disks, folders and limits that are in the way of a run: test_disk.py TAXON FAULTS.so [COUNT [PART...]]

COUNT (3) repetitions or sizes of each kind. Whatever happens: a documented exit code, a message, no signal, no .part, no partial file
under a final name; and once the obstacle is gone the same command ends with the same bytes as one that never met it."""
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))
from taxon import Failures, run, whole  # noqa: E402

CONFIG = """seeds: [0]
datasets: [{name: bars, n_train: 400, n_valid: 50, n_test: 50}]
train: {epochs: 2, batch: 50}
models: [{model: made, hidden: [300]}]
evaluate: {estimators: [exact], n_sample: 20}
"""
LONG = ["train.epochs=100000", "train.patience=0", "models.0.hidden=[8]"]
MIDDLE = ["train.epochs=400", "models.0.hidden=[16]"]
RUN = "bars-raw/made/seed-0"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Bench:
    def __init__(self, taxon, shim, base, count):
        self.taxon, self.shim, self.base, self.count, self.failures, self.tried = taxon, shim, base, count, Failures(), 0
        (base / "config.yaml").write_text(CONFIG)
        self.run(base / "truth", check=0)
        self.truth = self.files(base / "truth")

    def command(self, out, *more):
        return [self.taxon, "run", self.base / "config.yaml", "--out", out, "--threads", 1, "--progress", "none", "--reproducible", *more]

    def run(self, out, *more, before=(), check=None):
        p = run(*before, *self.command(out, *more))
        if check is not None and p.returncode != check:
            self.failures.check(False, f"exit code {p.returncode}, expected {check}: {p.stderr.strip()}")
        return p

    def start(self, out, *more, before=()):
        return subprocess.Popen([str(a) for a in [*before, *self.command(out, *more)]], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, text=True)

    def files(self, folder):
        files = [p for p in folder.rglob("*") if p.is_file() and p.suffix in (".h5", ".csv", ".png", ".jsonl")]
        return {str(p.relative_to(folder)): p.read_bytes() for p in files}

    def judge(self, what, folder, p, codes, message="", signals=False):
        """Nothing of what a fault may leave; True where the command failed."""
        self.tried += 1
        check, told = self.failures.check, f"\n    {p.stderr.strip()[:300]}"
        check(p.returncode in codes, f"{what}: exit code {p.returncode}{told}")
        check(not p.returncode or p.stderr.strip(), f"{what}: no message")
        inner = {int(code) for code in re.findall(r"exit code (\d+)", p.stderr)}
        check(inner <= {65, 70, 71, 73, 74} and (signals or "ended by signal" not in p.stderr), f"{what}: within{told}")
        check(p.returncode in (0, 127) or re.search(message, p.stderr), f"{what}: no '{message}'{told}")
        check(not list(folder.rglob("*.part")), f"{what}: a .part is left{told}")
        for f in folder.rglob("*.h5"):
            check(not f.is_file() or whole(f), f"{what}: {f} is not whole{told}")
        return p.returncode != 0

    def settle(self, what, folder):
        """Without the obstacle: the same command, the same bytes."""
        p = self.run(folder)
        self.failures.check(p.returncode == 0, f"{what}: afterwards: exit code {p.returncode}: {p.stderr.strip()[:300]}")
        self.failures.check(self.files(folder) == self.truth, f"{what}: afterwards: other files")

    def empty(self, name):
        folder = self.base / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def wait_for(self, path, process, seconds=30):
        end = time.time() + seconds
        while not path.exists() and process.poll() is None and time.time() < end:
            time.sleep(0.01)
        return self.failures.check(path.exists(), f"{path} did not come")


def mounted(folder, options):
    folder.mkdir(exist_ok=True)
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode == 0


def sizes(first, last, n):
    """From first to last, evenly in their logarithm."""
    return [int(first * (last / first) ** (i / max(n - 1, 1))) for i in range(n)]


def full_disk(b):
    """F4: tmpfs from 16 KiB to 8 MiB, a run on it, then a collect."""
    disk, met = b.empty("disk"), 0
    for kib in sizes(16, 8192, max(b.count, 8)):
        if not mounted(disk, f"size={kib}k"):
            return print("skipped: no file system can be mounted here")
        try:
            what = f"a disk of {kib} KiB"
            met += b.judge(what, disk, b.run(disk / "out"), {0, 3, 73, 74}, "No space left|cannot be")
            if (disk / "out" / RUN / "result.h5").exists():
                b.judge(f"{what}, collect", disk, run(b.taxon, "collect", disk / "out"), {0, 74}, "No space left")
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            b.settle(what, disk / "out")
        finally:
            subprocess.run(["umount", disk], check=True)
    b.failures.check(met, "no disk was too small")


def file_size(b):
    """F7: no file may grow beyond a limit."""
    met = 0
    for kib in [0, *sizes(1, 2048, max(b.count, 6))]:
        out = b.empty("limited")
        met += b.judge(f"files of {kib} KiB", out, b.run(out, before=["bash", "-c", f'ulimit -f {kib}; exec "$0" "$@"']), {0, 3, 73, 74},
                       "File too large")
        b.settle(f"files of {kib} KiB", out)
    b.failures.check(met, "no file was too large")


def memory_size(b):
    """F6: an address space too small. Below some size the loader itself fails, with 127."""
    met = 0
    for threads in (1, 3):
        for kib in sizes(20000, 500000, max(b.count, 20) // (1 if threads == 1 else 2)):
            out = b.empty("memory")
            p = b.run(out, "--threads", threads, before=["bash", "-c", f'ulimit -v {kib}; exec "$0" "$@"'])
            met += b.judge(f"{kib} KiB of address space, {threads} threads", out, p, {0, 3, 71, 127}, "out of memory")
            b.failures.check(p.returncode != 127 or "shared" in p.stderr or "bash" in p.stderr, f"127 without the loader: {p.stderr}")
    b.settle("no memory", b.empty("memory"))
    b.failures.check(met, "no address space was too small")


def paths(b):
    """F8: where a run cannot be written is told before it trains, in a second, and nothing is written."""
    base = b.empty("paths")
    base.mkdir(mode=0o777)
    base.chmod(0o777)
    (base / "file").write_text("a file")
    (base / "loop").symlink_to("loop")
    (base / "nowhere").symlink_to("not there")
    (base / "locked").mkdir(mode=0o555)
    places = {"csv": "compare.csv", "h5": "compare.h5", "result": RUN + "/result.h5", "png": RUN + "/samples.png",
              "curves": RUN + "/metrics.jsonl"}
    for name, place in places.items():
        (base / name / place).mkdir(parents=True)
    (base / "between" / "bars-raw").mkdir(parents=True)
    (base / "between" / "bars-raw" / "made").write_text("a file")
    user = NOBODY if os.geteuid() == 0 and shutil.which("setpriv") else []
    cases = {"a file": ("file", []), "below a file": ("file/below", []), "a loop of links": ("loop", []),
             "a link to nothing": ("nowhere", []), "a name of 256 bytes": ("n" * 256, []), "a path of 5000 bytes": ("p/" * 2500, []),
             "a read-only folder": ("locked", user), "below a read-only folder": ("locked/below", user),
             "a file in place of a folder": ("between", []),
             **{f"a folder in place of {place.split('/')[-1]}": (name, []) for name, place in places.items()}}
    for what, (out, before) in cases.items():
        listed, start = sorted(base.rglob("*")), time.time()
        b.judge(what, base, b.run(base / out, before=before), {3, 64, 73, 65}, "expected|cannot|too long")
        b.failures.check(time.time() - start < 5, f"{what}: {time.time() - start:.1f} s")
        wrote = [p for p in set(base.rglob("*")) - set(listed) if p.name not in ("log.txt", "plan.jsonl") and (
            p.name != "metrics.jsonl" or '"epoch"' in p.read_text())]  # how it ended is told there
        b.failures.check(not wrote, f"{what}: wrote {wrote}")
    if mounted(base / "locked", "size=1m,ro"):
        b.judge("a read-only file system", base, b.run(base / "locked" / "out"), {73}, "Read-only")
        subprocess.run(["umount", base / "locked"], check=True)
    odd = base / "folders that are\nmade" / "\u00e9\u4e2d \"'$`\\"
    b.settle("an odd name", odd)
    listed = run(b.taxon, "table", odd).stdout
    b.failures.check("made" in listed, "a table of an odd name")


def vanishing(b):
    """F9: the folder goes, or turns read-only, while a run trains."""
    for way in ("removed", "read-only"):
        disk = b.empty("vanishing")
        disk.mkdir()
        disk.chmod(0o777)
        out = disk / "out"
        try:
            p = b.start(out, *LONG, before=NOBODY if os.geteuid() == 0 else [])
            b.wait_for(out / RUN / "metrics.jsonl", p)
            if way == "removed":
                out.rename(disk / "moved")
                shutil.rmtree(disk / "moved")
            else:  # to its user: the system refuses a remount while the log is open
                for f in (out / RUN).iterdir():
                    f.chmod(0o444)
                (out / RUN).chmod(0o555)
            p.stdout, p.stderr = p.communicate(timeout=30)
            b.judge(f"a folder that is {way}", disk, p, {3, 73, 74}, "No such file|Permission denied")
        finally:
            p.terminate()
            for f in disk.rglob(RUN):
                f.chmod(0o755)


def two_writers(b):
    """F10: several of the same command at once: each run is made once, the others stop, and name who has it."""
    for i in range(b.count):
        out, n = b.empty("shared"), 8 if i % 5 == 4 else 2
        started = [b.start(out, *MIDDLE) for _ in range(n)]
        ends = []
        for p in started:
            p.stdout, p.stderr = p.communicate(timeout=120)
            ends.append(p.returncode)
        for p in started:
            b.judge(f"{n} at once", out, p, {0, 75}, r"process \d+ works on this run|has ended this run")
        b.failures.check(0 in ends, f"{n} at once: none ended: {ends}: {started[0].stderr}")
        b.run(out, *MIDDLE, check=0)
        found = self_made.setdefault("middle", b.files(out))
        b.failures.check(b.files(out) == found, f"{n} at once: other files")
        several, out = [*MIDDLE, "seeds=[0, 1, 2]"], b.empty("several")
        started = [b.start(out, *several) for _ in range(2)]
        for p in started:
            p.stdout, p.stderr = p.communicate(timeout=120)
        for p in started:
            b.judge("a comparison twice at once", out, p, {0, 75}, "process .* this run")
        b.run(out, *several, check=0)
        found = self_made.setdefault("three", b.files(out))
        b.failures.check(b.files(out) == found, "a comparison twice at once: other files")
    out = b.empty("shared")
    first = b.start(out, *LONG)
    b.wait_for(out / RUN / "metrics.jsonl", first)
    with open(out / RUN / "log.txt", "a") as f:
        f.write("of the first\n")
    for _ in range(b.count):
        start = time.time()
        p = b.run(out, *LONG)
        b.judge("a second", out, p, {75}, r"process \d+ works on this run")
        holder = re.search(r"process (\d+) works", p.stderr)
        b.failures.check(holder and f"{first.pid} " in pathlib.Path(f"/proc/{holder[1]}/stat").read_text(), "the holder is another")
        b.failures.check(time.time() - start < 5, f"a second: {time.time() - start:.1f} s")
    b.failures.check("of the first" in (out / RUN / "log.txt").read_text(), "the log of the first is gone")
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=30)
    b.failures.check(first.returncode == 75, f"the first: exit code {first.returncode}")


self_made = {}


def dead_holder(b):
    """F11: the process that has a run is killed: the next needs no unlocking."""
    for i in range(b.count):
        out = b.empty("dead")
        p = b.start(out, *MIDDLE)
        b.wait_for(out / RUN / "metrics.jsonl", p)
        time.sleep(0.01 * (i % 7))
        children = pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()
        for pid in children:
            os.kill(int(pid), signal.SIGKILL)
        p.kill()
        p.communicate(timeout=30)
        b.tried += 1
        b.run(out, *MIDDLE, check=0)
        b.failures.check(b.files(out) == self_made.setdefault("middle", b.files(out)), "after a kill: other files")


def crashes(b):
    """A library that crashes in a run: the comparison says so and goes on with the next, and the same command makes it again."""
    several = [*MIDDLE, "seeds=[0, 1]", "--jobs", "1"]
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGKILL):
        out = b.empty("crashes")
        p = b.start(out, *several)
        b.wait_for(out / RUN / "metrics.jsonl", p)
        child = pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()[0]
        os.kill(int(child), number)
        p.stdout, p.stderr = p.communicate(timeout=60)
        abort = number == signal.SIGABRT  # what a contract of ours does: a bug, exit code 70
        b.judge(f"signal {number}", out, p, {3}, "seed-0: failed: exit code 70" if abort else f"seed-0: failed: ended by signal {number}", signals=True)
        b.failures.check((out / RUN).with_name("seed-1").joinpath("result.h5").exists(), f"signal {number}: the next run is missing")
        b.run(out, *several, check=0)
        b.failures.check(b.files(out) == self_made.setdefault("two", b.files(out)), f"signal {number}: other files afterwards")


def order(b):
    """F3: in each commit the file is written, synchronised, renamed, and then its folder is synchronised."""
    out, log = b.empty("order"), b.base / "log"
    env = {"LD_PRELOAD": b.shim, "TAXON_FAULT": f"log 0 0 {log}:{out}"}
    for more in (["--max-time", "1s", *LONG], ["--fresh"]):
        run(*b.command(out, *more), env=env)
    lines = [line.split(" ", 2) for line in log.read_text().splitlines()]
    commits = 0
    for i, (pid, call, path) in enumerate(lines):
        if call != "rename" or path.endswith("checkpoint.prev.h5"):
            continue
        commits += 1
        before = [c for q, c, f in lines[:i] if q == pid and f.startswith(path + ".") and f.endswith(".part")]
        after = [(c, f) for q, c, f in lines[i + 1 :] if q == pid]
        at = max(k for k, c in enumerate(before) if c == "open")
        b.failures.check(re.fullmatch("open (write )*fsync close", " ".join(before[at:])), f"{path}: {before[at:]}")
        b.failures.check(after[:2] == [("open", os.path.dirname(path)), ("fsync", os.path.dirname(path))], f"{path}: then {after[:2]}")
    b.tried += commits
    b.failures.check(commits >= 7, f"{commits} commits: {lines[-20:]}")


PARTS = [order, crashes, full_disk, file_size, memory_size, paths, vanishing, two_writers, dead_holder]


def main():
    if len(sys.argv) < 3:
        raise SystemExit("usage: test_disk.py TAXON FAULTS.so [COUNT [PART...]]")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chosen = [p for p in PARTS if p.__name__ in sys.argv[4:] or len(sys.argv) < 5]
    with tempfile.TemporaryDirectory(prefix="taxon disk ") as folder, tempfile.TemporaryDirectory(prefix="taxon-disk-") as shims:
        os.chmod(folder, 0o755)
        b = Bench(os.path.realpath(sys.argv[1]), shutil.copy(sys.argv[2], shims), pathlib.Path(folder),
                  int(sys.argv[3]) if len(sys.argv) > 3 else 3)
        for part in chosen:
            start, tried, found = time.time(), b.tried, len(b.failures.found)
            part(b)
            print(f"{part.__name__}: {b.tried - tried} tried, {len(b.failures.found) - found} failures, {time.time() - start:.1f} s", flush=True)
    b.failures.end()


if __name__ == "__main__":
    main()
