#!/usr/bin/python3
"""Data and layers of awkward sizes, and folders of which one run is missing: sizes.py TAXON [DATA ...]

Every model on ten rows, on one column, on constant ones, on more rows than a batch has and fewer: it runs, or refuses by name.
Layers that no machine can hold fail alone. Of a hundred runs, one damaged, lost or of a newer schema is named and left out."""
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import taxon as tx
from taxon import np

RUNS = 100


def samples():
    """Data sets by name, each with a batch that fits it badly."""
    draw = np.random.default_rng(2385)
    bits, values = (lambda n, d: draw.integers(0, 2, (n, d)).astype("u1")), (lambda n, d: draw.normal(size=(n, d)))
    constant_bits, constant_values = bits(43, 6), values(43, 4)
    constant_bits[:, 2], constant_bits[:, 4], constant_values[:, 1] = 1, 0, 2.5
    return {
        "few bits": (bits(10, 5), 1000), "few values": (values(10, 3), 1000),
        "one bit": (bits(43, 1), 7), "one value": (values(43, 1), 7),
        "constant bits": (constant_bits, 7), "constant values": (constant_values, 7),
        "zeros": (np.zeros((43, 6), "u1"), 7), "ones": (np.ones((43, 6), "u1"), 7),
        "halves": (np.full((43, 4), 0.5), 7), "a rectangle": (bits(43, 15).reshape(43, 3, 5), 1),
    }


def all_models(data, train, but=()):
    return f"""datasets: [{data}]
train: {{epochs: 2, {train}}}
models:
""" + "".join(f"  - {{model: {m}, {o}}}\n" for m, (_, o) in tx.MODELS.items() if m not in but) + """
evaluate: {estimators: [exact, elbo, {estimator: parzen, n_sample: 5}], n_sample: 3}
"""


def sizes(taxon, base, failures, only=()):
    cases = {name: (a, batch) for name, (a, batch) in samples().items() if not only or name in only}
    for name, (array, batch) in cases.items():
        path, out = base / f"{name}.npy", base / f"{name} out"
        np.save(path, array)
        (base / "config.yaml").write_text(all_models(f'{{path: "{path}"}}', f"batch: {batch}"))
        p = tx.run(taxon, "run", base / "config.yaml", "--out", out, "--progress", "none", "--threads", 2, timeout=600)
        failures.check(p.returncode in (0, 3), f"{name}: exit code {p.returncode}: {p.stderr}")
        text = p.stderr + "".join(f.read_text() for f in out.rglob("log.txt"))
        failures.check(not re.search(r"runtime error|Sanitizer|requirement|signal|failed: ", text), f"{name}: {text}")
        diverged = [line for line in p.stderr.splitlines() if ": diverged: " in line]
        failures.check(p.returncode == 0 or diverged, f"{name}: no run is named: {p.stderr}")
        print(f"{name}: {sum(1 for _ in out.rglob('result.h5'))} runs", *diverged, sep="\n    ", flush=True)


def one_row(taxon, base, failures):
    """One example in each split; a semi-supervised model wants one of each class."""
    for kind, name in (("binary", "bars"), ("real", "ring")):
        (base / "config.yaml").write_text(all_models(f"{{name: {name}, n_train: 1, n_valid: 1, n_test: 1}}", "batch: 7", ["sgan"]))
        p = tx.run(taxon, "run", base / "config.yaml", "--out", base / f"one {kind}", "--progress", "none", timeout=600)
        bad = re.search(r"runtime error|Sanitizer|requirement|signal|: failed: ", p.stderr)
        failures.check(p.returncode in (0, 3) and not bad, f"one row of {name}: exit code {p.returncode}: {p.stderr}")


def too_large(taxon, base, failures):
    """One that no machine can hold fails alone; sizes that are none are refused."""
    wide = "[" + ", ".join(["65536"] * 15) + "]"
    large = (f"vae, latent: 65536, hidden: {wide}", f"nice, hidden: {wide}", "made_mog, components: 256, hidden: [100000, 100000]")
    for i, model in enumerate(large):
        (base / "config.yaml").write_text(f"""datasets: [{tx.SMALL['real']}]
train: {{epochs: 1}}
models:
  - {{model: {model}, label: large}}
  - {{model: gaussian}}
""")
        out = base / f"large {i}"
        p = tx.run(taxon, "run", base / "config.yaml", "--out", out, "--progress", "none")
        good = p.returncode == 3 and re.search(r"ring-raw/large/seed-0: failed: exit code 71: out of memory", p.stderr)
        failures.check(good, f"{model}: exit code {p.returncode}: {p.stderr}")
        failures.check((out / "ring-raw/gaussian/seed-0/result.h5").exists(), f"{model}: the other run did not go on")
    for text in ("vae, latent: 0", "gan, latent: 0", "made, hidden: [0]", "vae, hidden: [4294967297]",
                 "vae, hidden: [99999999999999999999]", "nice, couplings: -1"):
        (base / "config.yaml").write_text(f"datasets: [{tx.SMALL['real']}]\nmodels: [{{model: {text}}}]\n")
        p = tx.run(taxon, "run", base / "config.yaml", "--out", base / "refused")
        key = re.search(r", (\w+):", text)[1]
        good = p.returncode == 78 and key in p.stderr and "config.yaml:2:" in p.stderr
        failures.check(good, f"{text}: exit code {p.returncode}: {p.stderr}")
    p = tx.run(taxon, "run", base / "config.yaml", "models=[{model: gan}]", "--out", "")
    failures.check(p.returncode == 64 and "--out" in p.stderr, f"--out '': exit code {p.returncode}: {p.stderr}")


def one_of_many(taxon, base, failures):
    models = "".join(f"  - {{model: independent, label: m{i}, smoothing: 1.{i:02}}}\n" for i in range(RUNS))
    data = "{name: bars, n_train: 20, n_valid: 10, n_test: 10}"
    (base / "config.yaml").write_text(f"datasets: [{data}]\nmodels:\n{models}evaluate: {{n_sample: 0}}\n")
    out = base / "many"
    p = tx.run(taxon, "run", base / "config.yaml", "--out", out, "--progress", "none", "--threads", 1, timeout=300)
    failures.check(p.returncode == 0, f"{RUNS} runs: exit code {p.returncode}: {p.stderr}")
    run = out / "bars-raw" / "m42" / "seed-0"
    kept = (run / "result.h5").read_bytes()

    def flip(path):
        path.write_bytes(kept[:1000] + bytes([kept[1000] ^ 4]) + kept[1001:])

    ways = {"damaged": flip, "lost": lambda path: path.unlink(), "cut": lambda path: os.truncate(path, len(kept) // 2),
            "of a newer schema": lambda path: tx.change(path, lambda f: f.attrs.__setitem__("schema_version", "2.0"))}
    for what, how in ways.items():
        (run / "result.h5").write_bytes(kept)
        how(run / "result.h5")
        for command in ("collect", "table"):
            p = tx.run(taxon, command, out, *["--format", "csv"] * (command == "table"))
            rows = p.stdout if command == "table" else (out / "compare.csv").read_text()
            seen = set(re.findall(r"\bm\d+\b", rows))
            failures.check(p.returncode == 3, f"one {what}: {command}: exit code {p.returncode}: {p.stderr}")
            failures.check(len(seen) == RUNS - 1 and "m42" not in seen, f"one {what}: {command}: {len(seen)} runs are shown")
            named = re.findall(r"left out: .*", p.stderr)
            failures.check(len(named) == 1 and "/m42/" in named[0], f"one {what}: {command}: named are {named}")
            failures.check(not re.search(r"\b(nan|inf)\b", rows, re.I), f"one {what}: {command}: a number that is none")
    print(f"{RUNS} runs, one {', '.join(ways)}: {RUNS - 1} in the table")


def all_of(taxon, failures, only=()):
    with tempfile.TemporaryDirectory(prefix="taxon sizes ") as base:
        base = pathlib.Path(base)
        sizes(taxon, base, failures, only)
        one_row(taxon, base, failures)
        too_large(taxon, base, failures)
        one_of_many(taxon, base, failures)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: sizes.py TAXON [DATA ...]")
    found = tx.Failures()
    all_of(os.path.realpath(sys.argv[1]), found, sys.argv[2:])
    found.end()
