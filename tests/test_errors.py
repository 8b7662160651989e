#!/usr/bin/python3
"""Errors that need a file, a place or a moment of their own, which no other test meets: test_errors.py TAXON

Files that are whole by their sum, yet say what the command never writes; paths that grow too long; data that moved; pictures and
nets beyond what there can be."""
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "support"))
import taxon as tx
from taxon import np

CONFIG = """seeds: [0]
datasets: [{path: bits.npy}]
train: {epochs: 2, batch: 20}
models: [{model: vae, latent: 2, hidden: [6]}]
evaluate: {estimators: [elbo], n_sample: 4}
"""
OUT = "crafted"
RUN = f"{OUT}/bits-raw/vae/seed-0"
LARGE = 1 << 40


def replaced(name, text):
    """A scalar text of another content."""
    def how(f):
        del f[name]
        f[name] = text
    return how


def attribute(path, name, value):
    def how(f):
        f[path].attrs[name] = value
    return how


def shorter(path):
    """The array without its last row, its attributes kept, its dimension a new one."""
    def how(f):
        values, kept = f[path][:-1], {k: v for k, v in f[path].attrs.items() if k not in ("DIMENSION_LIST", "REFERENCE_LIST")}
        del f[path]
        f[path] = values
        for k, v in kept.items():
            f[path].attrs[k] = v
    return how


def many_numbers(f):
    for i in range(200):
        f[f"cost/number_{i}"] = 1.0
        f[f"cost/number_{i}"].attrs.update(units="1", long_name="a number")


def not_a_number(f):
    f["parameters/decoder/layer_w0"][0, 0] = np.nan


def huge(path):
    """An array of 2^40 values of which none is stored."""
    def how(f):
        kept = {k: v for k, v in f[path].attrs.items() if k not in ("DIMENSION_LIST", "REFERENCE_LIST")}
        kind, rank = f[path].dtype, len(f[path].shape)
        del f[path]
        d = f.create_dataset(path, (LARGE,) + (1,) * (rank - 1), kind, chunks=(1 << 10,) + (1,) * (rank - 1))
        d.attrs.update(kept)
    return how


LIKELIHOOD = "likelihood/test/elbo/log_likelihood"
# (what, which file of the run, the change, command, exit code, part of the message)
FILES = [
    ("a config that is no JSON", "result.h5", replaced("config/json", "{"), ["table", OUT], 65, "config/json: expected JSON, found "),
    ("no examples", "result.h5", attribute(LIKELIHOOD, "n_example", np.int32(0)), ["table", OUT], 65, "expected examples, found 0"),
    ("too many numbers", "result.h5", many_numbers, ["table", OUT], 65, "expected at most "),
    ("values that are not stored", "result.h5", huge(LIKELIHOOD), ["collect", OUT], 65, "claims more values than it stores"),
    ("weights that are not stored", "result.h5", huge("parameters/decoder/layer_w0"), ["sample", RUN, "-n", 3, "-o", OUT + "/x.h5"], 65, "layer_w0"),
    ("values that are not stored, hashed", "result.h5", huge(LIKELIHOOD), ["reproduce", RUN], 65, "claims more values than it stores"),
    ("a weight that is none", "result.h5", not_a_number, ["evaluate", RUN, "-e", "elbo"], 3, "result.h5: the log-likelihood of test row 0 is nan"),
    ("another content", "result.h5", attribute("/", "seed", np.int32(7)), ["reproduce", RUN], 65, "content_sha256 is "),
    ("fewer drawn rows", "evaluation-bdmc.h5", shorter("likelihood/simulated/bdmc/x"), ["collect", OUT], 3, "expected 5 rows"),
]


def name_of_curve(f):
    f["state/curve_0_name"][0] = np.frombuffer(b"a b/c\0\0\0", "u1")


def number_of_metrics(f):
    f["state/counters"][8, 0] = 2


def within_an_epoch(checkpoint):
    """As nearly all stops are, of 72 batches an epoch."""
    return tx.counters(checkpoint)[2] > 0


CHECKPOINTS = [
    ("a name of a curve", name_of_curve, "expected a name of letters and digits, found 'a b/c'"),
    ("a number of metrics", number_of_metrics, "numbers a step, the sums of this epoch are of"),
]


def crafted(taxon, made, check):
    for what, name, how, command, code, part in FILES:
        shutil.rmtree(OUT, ignore_errors=True)
        shutil.copytree(made, OUT)
        tx.change(f"{RUN}/{name}", how)
        check(what, tx.run(taxon, *command), code, part)


def idx(n):
    return struct.pack(">BBBB3I", 0, 0, 8, 3, n, 2, 2) + bytes(4 * n)


def long_folder(base, length):
    """A folder whose path has `length` bytes."""
    path = str(base)
    while length - len(path) > 201:
        path += "/" + "d" * 200
    path += "/" + "e" * (length - len(path) - 1)
    os.makedirs(path)
    return pathlib.Path(path)


def places():
    """Data sets: (what, path, exit code, part of the message)."""
    here = pathlib.Path.cwd()
    few, deep, edge = here / "few", long_folder(here / "deep", 1010), long_folder(here / "edge", 1010)
    few.mkdir()
    for folder, n in ((few, 5), (deep, 24)):
        for s in ("train", "t10k"):
            (folder / f"{s}-images.idx").write_bytes(idx(n))
    with tx.h5py.File(edge / "splits.h5", "w") as f:
        for s in ("train", "valid", "test"):
            f[s] = np.zeros((20, 4), "u1")
    yield "five images", few, 65, "expected 6 rows or more, to cut a validation split, found 5"
    yield "a folder whose files have too long a path", deep, 66, "a path of over 1023 bytes"
    yield "a file whose arrays have too long a path", edge / "splits.h5", 66, "a path of over 1023 bytes"


def too_many_layers():
    """(what, overrides of the config)"""
    layers = "[" + ", ".join(["3"] * 16) + "]"
    for model, key in (("gan", "generator_hidden"), ("gan", "discriminator_hidden"), ("nice", "hidden"), ("vae", "hidden")):
        yield f"too many layers: {key} of {model}", ["datasets=[{name: ring, n_train: 20, n_valid: 5, n_test: 5}]",
                                                     f"models=[{{model: {model}, {key}: {layers}}}]"]


def stopped(what, command, folder, failures):
    """SIGTERM once training has begun."""
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=tx.hear_signals)
    while p.poll() is None and not next(pathlib.Path(folder).rglob("metrics.jsonl"), None):
        time.sleep(0.01)
    p.terminate()
    _, text = p.communicate(timeout=60)
    failures.check(p.returncode == 75 and "stopped; the same command goes on" in text, f"{what}: {p.returncode}: {text}")


def main(taxon):
    failures = tx.Failures()

    def check(what, p, code, part):
        failures.check(p.returncode == code and part in p.stderr, f"{what}: exit code {p.returncode}, expected {code} and '{part}': {p.stderr}")

    with tempfile.TemporaryDirectory(prefix="taxon errors ") as folder:
        os.chdir(folder)
        np.save("bits.npy", np.random.default_rng(2385).integers(0, 2, (90, 4, 4)).astype("u1"))
        pathlib.Path("config.yaml").write_text(CONFIG)
        check("the run", tx.run(taxon, "run", "config.yaml", "--out", OUT, "--progress", "none"), 0, "")
        check("the evaluation", tx.run(taxon, "evaluate", RUN, "-e", "bdmc", "-n", 5, "n_step=5", "n_chain=2", "--progress", "none"), 0, "")
        shutil.copytree(OUT, "made")
        crafted(taxon, "made", check)
        shutil.rmtree(OUT)
        os.rename("made", OUT)
        for what, path, code, part in places():
            check(what, tx.run(taxon, "data", "check", path), code, part)
        for what, overrides in too_many_layers():
            check(what, tx.run(taxon, "run", "config.yaml", "--out", "layers", *overrides), 78, "are possible")
        check("a Gaussian", tx.run(taxon, "run", "config.yaml", "--out", "real", "datasets=[{name: ring, n_train: 50, n_valid: 5, n_test: 5}]",
                                   "models=[{model: gaussian}]"), 0, "")
        check("means of its samples", tx.run(taxon, "sample", "real/ring-raw/gaussian/seed-0", "--mean", "-o", "x.h5"), 64, "have no other mean")
        check("a picture that is too tall", tx.run(taxon, "sample", RUN, "-n", 99999, "-o", "x.png"), 73, "pixels cannot be written (1 to 65535)")
        for text, part in ((b"\0", "not the text of a run's spec"), (b" " * (1 << 21), "not the text of a run's spec")):
            p = subprocess.run([taxon, "run-one", "--folder", "one"], input=text, capture_output=True)
            failures.check(p.returncode == 78 and part in p.stderr.decode(), f"a spec that is no text: {p}")
        check("a temporary folder that is none", tx.run(taxon, "doctor", env={"TMPDIR": "none"}), 70, "1 fault: results of this installation")
        long = [*"run config.yaml --out long --progress none --max-time 2s train.batch=1 train.epochs=1000000".split(), "evaluate={n_sample: 0}"]
        check("a run that is stopped", tx.run(taxon, *long), 75, "stopped: ")
        os.makedirs(f"{RUN}/checkpoint.prev.h5/x".replace(OUT, "long"))
        check("a folder in place of the second checkpoint", tx.run(taxon, *long), 3, "cannot be renamed to checkpoint.prev.h5")
        os.rmdir("long/bits-raw/vae/seed-0/checkpoint.prev.h5/x"), os.rmdir("long/bits-raw/vae/seed-0/checkpoint.prev.h5")
        for what, how, part in CHECKPOINTS:
            shutil.rmtree("spoilt", ignore_errors=True)
            shutil.copytree("long", "spoilt")
            tx.change("spoilt/bits-raw/vae/seed-0/checkpoint.h5", how)
            if how is name_of_curve or within_an_epoch("long/bits-raw/vae/seed-0/checkpoint.h5"):
                check(what, tx.run(taxon, *[a.replace("long", "spoilt") for a in long]), 3, part)
        with tx.h5py.File(f"{RUN}/result.h5") as f:
            spec = f["config/json"][()]
        p = subprocess.run([taxon, "run-one", "--folder", RUN], input=spec, capture_output=True)
        failures.check(p.returncode == 75 and b"another process has ended this run" in p.stderr, f"a run that has ended: {p}")
        check("a longer run", tx.run(taxon, *"run config.yaml --out longer --progress none train.batch=1 train.epochs=600".split()), 0, "")
        stopped("reproduce that is stopped", [taxon, "reproduce", RUN.replace(OUT, "longer"), "--out", "again"], "again", failures)
        os.rename("bits.npy", "elsewhere.npy")
        check("data that moved", tx.run(taxon, "sample", RUN, "-o", "x.h5"), 66, "its data set is not where the run found it")
        os.chdir("/")
    failures.end()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(os.path.realpath(sys.argv[1]))
