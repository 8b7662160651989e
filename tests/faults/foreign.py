#!/usr/bin/python3
"""Damaged HDF5 files of other programs as data sets: foreign.py TAXON [COUNT [SEED]]

Each of COUNT (2000) files is one of a few kinds with 1 to 4 bits turned, cut, zeroed or lengthened, and is given to `taxon data check`.
It must end with 0 or 65 and one line that names the file, never by a signal and never after its time. Where the kind has check sums
over all it holds, a file that is read must be read as before; elsewhere HDF5 has no way to tell, and such files are counted."""
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import taxon  # noqa: E402
from taxon import h5py, np  # noqa: E402

SPLITS = ("train", "valid", "test")


def values(*shape):
    return np.random.default_rng(2385).normal(size=shape)


def plain(f):
    f["x"] = values(40, 6)


def chunked(f):
    f.create_dataset("group/inner/x", data=values(60, 8).astype("f4"), chunks=(16, 4), compression="gzip", shuffle=True)
    f["group"].attrs["note"] = "of another program"


def big_endian(f):
    f["x"] = (values(30, 4, 4) * 100).astype(">i2")


def splits(f):
    for n, name in zip((40, 12, 14), SPLITS):
        f.create_dataset(name, data=(values(n, 9) > 0).astype("u1"), chunks=(8, 9), fletcher32=True)


def checked(f):
    f.create_dataset("x", data=values(50, 6), chunks=(50, 6), fletcher32=True)


def scales(f):
    f["x"] = values(40, 5)
    f["row"] = np.arange(40)
    f["row"].make_scale("row")
    f["x"].dims[0].attach_scale(f["row"])


# (how it is made, version of the format, whether check sums cover all of it)
KINDS = [(plain, "earliest", False), (chunked, "earliest", False), (big_endian, "earliest", False), (splits, "earliest", False),
         (scales, "earliest", False), (chunked, "latest", False), (splits, "latest", True), (checked, "latest", True)]


def make(folder):
    made = []
    for how, version, sums in KINDS:
        path = folder / f"{how.__name__}-{version}.h5"
        with h5py.File(path, "w", libver=version) as f:
            how(f)
        made.append((path, sums))
    return made


def digest(p):
    return next((line for line in p.stdout.splitlines() if line.startswith("sha256")), None)


def check(program, meter, result, folder, count, seed):
    tally = {"refused": 0, "read as before": 0, "read with other values": 0}
    slowest, crashes, rng, target = 0, 0, random.Random(seed), folder / "damaged.h5"
    kinds = make(folder)
    truth = {path: digest(meter.run(program, "data", "check", path)) for path, _ in kinds}
    for path, _ in kinds:
        result.check(truth[path], f"{path.name} is read before it is damaged")
    for i in range(count):
        path, sums = kinds[i % len(kinds)]
        what, data = taxon.mutated(path.read_bytes(), rng)
        target.write_bytes(data)
        p = meter.run(program, "data", "check", target, timeout=60)
        text, case = p.stderr, f"{i}: {path.name}, {what}"
        slowest, crashes = max(slowest, p.seconds), crashes + ("ended by signal" in text or "does not explain the time" in text)
        good = result.check(p.returncode in (0, 65), f"{case}: exit code {p.returncode}: {text}")
        if p.returncode:
            result.check(text.count("\n") == 1 and str(target) in text, f"{case}: no line that names the file: {text!r}")
        same = good and p.returncode == 0 and digest(p) == truth[path]
        tally["refused" if p.returncode else "read as before" if same else "read with other values"] += 1
        result.check(p.returncode or same or not sums, f"{case}: other values in spite of check sums")
    print(f"{count} damaged files of other programs:", ", ".join(f"{k}: {v}" for k, v in tally.items()), end="; ")
    print(f"HDF5 crashed or hung in its own process: {crashes}; at most {slowest:.2f} s of processor time", flush=True)


if __name__ == "__main__":
    taxon.campaign(check, __doc__.splitlines()[0])
