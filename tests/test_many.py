#!/usr/bin/python3
"""What is recalled of many finished runs, and what makes it void: test_many.py TAXON

Every command must say the same with compare.cache as without, whatever happens to runs, evaluations and the cache itself, and runs that
did not change must not be opened again."""
import ctypes
import os
import pathlib
import shutil
import struct
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(here / "support"), str(here.parent / "experiments/bench")]
import taxon as tx
import many

RUNS, IN_OPEN, SETTLED = 60, 0x20, 3


class Opened:
    """Counts how often files are opened, as the kernel sees it."""

    def __init__(self, files):
        self.c = ctypes.CDLL(None, use_errno=True)
        self.fd = self.c.inotify_init1(os.O_NONBLOCK)
        for f in files:
            assert self.c.inotify_add_watch(self.fd, os.fsencode(f), IN_OPEN) >= 0, f

    def count(self):
        n = 0
        try:
            while data := os.read(self.fd, 1 << 16):
                n += len(data) // struct.calcsize("iIII")
        except BlockingIOError:
            return n


def results(out):
    return sorted(out.glob("*/*/seed-*/result.h5"))


def say(taxon, out, *commands):
    """What the commands print and end with, wherever the folder is."""
    said = []
    for c in commands:
        p = tx.run(taxon, c, out)
        said.append((p.returncode, p.stdout.replace(str(out), "DIR"), p.stderr.replace(str(out), "DIR")))
    return said


def forgetful(taxon, out, *commands):
    """The same without a cache, from a copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "copy")
        shutil.copytree(out, copy)
        (copy / many.CACHE).unlink(missing_ok=True)
        said = say(taxon, copy, *commands)
        files = [(copy / n).read_bytes() for n in ("compare.h5", "compare.csv") if "collect" in commands]
    return said, files


def check_same(taxon, out, failures, what):
    """With the cache as without it."""
    said, files = forgetful(taxon, out, "status", "table", "collect")
    now = say(taxon, out, "status", "table", "collect")
    failures.check([p[:2] for p in now[:2]] == [p[:2] for p in said[:2]], f"{what}: status or table differ")
    failures.check([p[2] for p in now] == [p[2] for p in said], f"{what}: messages differ: {now[1][2][:300]}")
    failures.check([(out / n).read_bytes() for n in ("compare.h5", "compare.csv")] == files, f"{what}: compare.* differ")
    return now


def replace(path, data):
    new = path.with_suffix(".new")
    new.write_bytes(data)
    os.replace(new, path)


def check_recalled(taxon, out, failures):
    time.sleep(SETTLED)
    first = say(taxon, out, "table", "collect", "status")
    failures.check((out / many.CACHE).exists(), "nothing is kept of 60 runs")
    watch = Opened(results(out))
    again = say(taxon, out, "table", "collect", "status")
    failures.check(watch.count() == 0, "runs that did not change are opened")
    failures.check(again[::2] == first[::2], "the second table or status differs from the first")
    failures.check("60 runs\n" in first[1][1] and "60 runs, as they were\n" in again[1][1], f"collect writes anew: {again[1]}")
    path = results(out)[7]
    replace(path, path.read_bytes())
    say(taxon, out, "table")
    failures.check(watch.count() > 0, "a run that was made again is not opened")


def check_changes(taxon, out, base, failures):
    path = results(out)[11]
    good, times = path.read_bytes(), path.stat()
    with path.open("rb+") as f:
        f.seek(len(good) // 2)
        f.write(bytes([good[len(good) // 2] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    now = check_same(taxon, out, failures, "a turned bit under the old time")
    failures.check(all(code == 3 and str(path).replace(str(out), "DIR") in text + err for code, text, err in now),
                   "a turned bit is not found")
    replace(path, good)
    check_same(taxon, out, failures, "a run mended")
    p = tx.run(taxon, "evaluate", path.parent, "--metric", "mmd", "n_sample=10")
    failures.check(p.returncode == 0, f"evaluate: {p.stderr}")
    check_same(taxon, out, failures, "an evaluation more")
    evaluation = next(path.parent.glob("evaluation-*.h5"))
    replace(evaluation, evaluation.read_bytes()[:-1] + b"x")
    now = check_same(taxon, out, failures, "a damaged evaluation")
    failures.check(now[1][0] == 3, "a damaged evaluation is not found")
    evaluation.unlink()
    check_same(taxon, out, failures, "an evaluation less")
    many.add(base, out, "n0000")
    check_same(taxon, out, failures, "ten runs more")
    shutil.rmtree(out / base.name / "n0000")
    check_same(taxon, out, failures, "ten runs less")
    with (out / "compare.csv").open("a") as f:
        f.write("x\n")
    check_same(taxon, out, failures, "a changed compare.csv")
    (out / "compare.h5").unlink()
    check_same(taxon, out, failures, "no compare.h5")


def check_cache(taxon, out, failures):
    """Whatever lies in the place of the cache: it is as if there were none, and is mended."""
    time.sleep(SETTLED)
    cache = out / many.CACHE
    say(taxon, out, "collect")
    data, table = cache.read_bytes(), say(taxon, out, "table")
    older = bytearray(data[:-tx.TRAILER])
    older[12] ^= 1  # the version
    whole = bytes(older) + tx.MARK + tx.hashlib.sha256(older).hexdigest().encode() + b"\n"
    for what, other in (("a turned bit", data[:999] + bytes([data[999] ^ 4]) + data[1000:]), ("cut", data[:-500]), ("empty", b""),
                        ("another version's", whole)):
        cache.write_bytes(other)
        failures.check(say(taxon, out, "table") == table, f"a cache, {what}: another table")
        failures.check(cache.read_bytes()[:13] == data[:13] and tx.whole(cache), f"a cache, {what}, is not mended")
    cache.unlink()
    cache.mkdir()
    failures.check(say(taxon, out, "table") == table, "a folder in the cache's place: another table")
    path = results(out)[3]
    good = path.read_bytes()
    replace(path, b"x")
    said = tx.run(taxon, "table", out).stderr.splitlines()
    failures.check(said[-1] == "taxon: 1 file left out", f"the reason of an exit code beside a cache that cannot be written: {said}")
    replace(path, good)
    cache.rmdir()


def main(taxon):
    failures = tx.Failures()
    with tempfile.TemporaryDirectory(prefix="taxon many ") as folder:
        folder = pathlib.Path(folder)
        base, out = many.trained(taxon, folder, small=True), folder / "many"
        many.fill(base, out, RUNS)
        check_recalled(taxon, out, failures)
        check_changes(taxon, out, base, failures)
        check_cache(taxon, out, failures)
        few = folder / "few"
        many.fill(base, few, 20)
        time.sleep(SETTLED)
        say(taxon, few, "table", "collect")
        failures.check(not (few / many.CACHE).exists(), "a cache of twenty runs, which are read in a moment")
    failures.end()


if __name__ == "__main__":
    main(os.path.realpath(sys.argv[1]))
