#!/usr/bin/python3
"""What files say, read by programs that share no code with the command: test_files.py TAXON STOP.so

One comparison of every model, an evaluation, samples and a checkpoint of each: check_numpy.py evaluates them again and
check_schema.py reads them in every reader. Then the files of golden/: what commands of each schema version wrote is read
by today's, and says the same numbers."""
import csv
import io
import os
import pathlib
import shutil
import signal
import sys
import tempfile

os.environ["OPENBLAS_NUM_THREADS"] = "1"
tests = pathlib.Path(__file__).resolve().parent
sys.path += [str(tests), str(tests / "support")]
import taxon as tx  # noqa: E402
import check_numpy  # noqa: E402
import check_schema  # noqa: E402
from taxon import h5py, np  # noqa: E402

CONFIG = """seeds: [0]
datasets: [{binary}, {real}, {scaled}]
train: {{epochs: 20, batch: 25, learning_rate: 1e-2}}
models: [{models}]
evaluate:
  estimators:
    - exact
    - {{estimator: elbo, n_repeat: 300}}
    - {{estimator: iwae, n_importance: 10, n_repeat: 100}}
    - self_normalised
    - {{estimator: ensemble, n_ordering: 2}}
    - {{estimator: parzen, n_sample: 1000, n_valid: 20}}
    - enumerated
    - {{estimator: ais_log_z, n_step: 100, n_chain: 20}}
  metrics: [mmd, {{metric: knn, k: 3}}, frechet, nearest, {{metric: mmd, name: mmd-wide, scales: [1, 4]}}]
  n_sample: 1000
"""
FOLDER = {"binary": "bars-raw", "real": "ring-raw"}
# Of the other split, with other settings than in the runs; of the other models their exact likelihood.
LATER = {
    "dbm": ("enumerated",),
    "gan": ("parzen", "n_sample=500", "n_valid=20"),
    "gsn": ("parzen", "n_sample=500", "n_valid=20"),
    "iwae": ("elbo", "n_repeat=200"),
    "made": ("ensemble", "n_ordering=3"),
    "nce": ("enumerated",),
    "rbm": ("ais_log_z", "n_step=100", "n_chain=20", "direction=reverse"),
    "sgan": ("parzen", "n_sample=500", "n_valid=20"),
    "vae": ("iwae", "n_importance=200", "proposal=prior"),
}


class Bench:
    def __init__(self, taxon, shim, base):
        self.taxon, self.shim, self.base, self.failures = taxon, shim, base, tx.Failures()
        self.check = self.failures.check

    def run(self, *arguments, code=0, env=None):
        """What a command says, on both streams."""
        p = tx.run(self.taxon, *arguments, env=env)
        self.check(p.returncode == code, f"{' '.join(map(str, arguments))}: exit code {p.returncode}: {p.stderr.strip():.500}")
        return p.stdout + p.stderr

    def compare(self, name, **more):
        self.run("run", self.base / "config.yaml", "--out", self.base / name, "--jobs", 1, "--threads", 1, "--progress", "none", **more)
        return self.base / name


def comparison(b):
    """Results of all runs, and {model: folder} of each on its own data set."""
    models = ", ".join(f"{{model: {m}, {options}}}" for m, (_, options) in tx.MODELS.items())
    scaled = tx.SMALL["real"].replace("ring", "ring, view: standardised")
    (b.base / "config.yaml").write_text(CONFIG.format(**tx.SMALL, scaled=scaled, models=models))
    out = b.compare("out")
    own = {m: out / FOLDER[kind] / m / "seed-0" for m, (kind, _) in tx.MODELS.items()}
    for model, folder in own.items():
        estimator, *settings = LATER.get(model, ("exact",))
        b.run("evaluate", folder, "--estimator", estimator, "--split", "valid", "--name", "later", *settings)
        b.run("sample", folder, "-n", 70, "-o", b.base / f"{model}.h5")
    b.run("collect", out)
    stopped = b.compare("stopped", code=75, env={"LD_PRELOAD": b.shim, "TAXON_STOP": f"{int(signal.SIGTERM)} clock 20"})
    points = [stopped / own[m].relative_to(out) / "checkpoint.h5" for m in tx.MODELS if m not in tx.CLOSED_FORM]
    return sorted(out.rglob("result.h5")), own, [out / "compare.h5", *points]


def numpy_agrees(b, results, own):
    """Every run but those whose view only their own program can turn back; every model's weights, changed, are noticed."""
    later = [folder / "evaluation-later-valid.h5" for folder in own.values()]
    for path in results + later:
        word, said = check_numpy.verdict(path)
        expected = "skip" if path.parts[-4:-2] in {("ring-standardised", m) for m in ("gan", "gsn", "sgan")} else "ok"
        b.check(word == expected, f"check_numpy.py: {word} {said}")
    for word, said in (check_numpy.perturbed(folder / "result.h5") for folder in own.values()):
        b.check(word == "ok", f"check_numpy.py --self-test: {said}")
    b.check(len(results) == 53, f"{len(results)} runs, not 53")


def readers_agree(b, own, others):
    files = [folder / name for folder in own.values() for name in ("result.h5", "evaluation-later-valid.h5")]
    files += [b.base / f"{model}.h5" for model in own] + others + sorted((tests / "golden" / "1.1").rglob("*.h5"))
    passed, failed = check_schema.check_all(list(map(str, files)))
    b.check(failed == 0 and passed == len(files) == 4 * len(tx.MODELS) - len(tx.CLOSED_FORM) + 5, f"check_schema.py: {failed} of {len(files)} files are wrong")
    _, failed = check_schema.check_all([str(own["made"] / "result.h5")], testing=True)
    b.check(failed == 0, f"check_schema.py --self-test: {failed} failures")


# Of golden/, by label and estimate: kind, kind of bits, then mean, its error, Monte Carlo error, bits per dimension.
GOLDEN = {
    ("fvbn", "exact"): ("exact", "exact", -11.707923293113708, 0.8081154366471621, 0, 1.0556851796302207),
    ("vae", "iwae"): ("lower_bound", "upper_bound", -11.816741334192962, 0.7908364258837538, 0.159802876715999, 1.0654971326442386),
    ("vae", "elbo"): ("lower_bound", "upper_bound", -14.836275160312653, 0.975779330410706, 0.2215845758728043, 1.3377637874404484),
}
STATUS = {"fvbn": "epoch 3  valid -11.08", "vae": "epoch 3  valid -12.89"}
PRINTED = ["= -11.71 +- 0.81 exact = 1.056", ">= -11.82 +- 0.79 iwae", "0.16 <= 1.065", ">= -14.84 +- 0.98 elbo 0.22 <= 1.338",
           "true density not a model -9.51", "minus its entropy not a model -9.04"]
FIRST = [-9.638330459594727, -15.98094654083252]  # log-likelihoods of the first rows under fvbn


def near(a, b, relative=1e-12):
    return np.array_equal(np.isnan(a), np.isnan(b)) and np.all(~(np.abs(a - b) > relative * np.maximum(1, np.abs(b))))


def table_of(b, folder, code=0):
    p = tx.run(b.taxon, "table", folder, "--format", "csv")
    b.check(p.returncode == code, f"table {folder.name}: exit code {p.returncode}: {p.stderr.strip()}")
    numbers = ("log_likelihood", "error", "mc_error", "bits_per_dim")
    return {(r["label"], r["name"]): (r["kind"], r["bits_kind"], *(float(r[n]) for n in numbers)) for r in csv.DictReader(io.StringIO(p.stdout))}


def says_golden(b, what, found, expected):
    b.check(found.keys() == expected.keys(), f"{what}: has {sorted(found)}")
    for key in found.keys() & expected.keys():
        same = found[key][:2] == expected[key][:2] and near(np.array(found[key][2:]), np.array(expected[key][2:]))
        b.check(same, f"{what}: {key} is {found[key]}, not {expected[key]}")


def variables(path):
    found = {}

    def keep(name, thing):
        if isinstance(thing, h5py.Dataset):
            found[name] = np.asarray(thing.asstr()[()] if thing.dtype.kind == "O" else thing[()])

    with h5py.File(path, "r") as f:
        f.visititems(keep)
    return found


def csv_values(path):
    keys = "dataset", "view", "split", "label", "seed", "name", "estimator", "kind", "quantity"
    with open(path, newline="", encoding="utf-8") as f:
        return {tuple(r[k] for k in keys): np.array([float(r[k] or "nan") for k in ("value", "error")]) for r in csv.DictReader(f)}


def golden(b, version):
    """What the command that wrote that version of the schema left is read, whole, and says the same."""
    kept, folder = tests / "golden" / version, b.base / f"golden {version}"
    shutil.copytree(kept, folder)
    runs = {label: folder / "bernoulli_mixture-raw" / label / "seed-0" for label in STATUS}
    for path in kept.rglob("*.h5"):
        with h5py.File(path, "r") as f:
            b.check(tx.whole(path) and f.attrs["schema_version"] == version, f"{path}: is not whole, or of version {f.attrs['schema_version']}")
    said = b.run("status", folder)
    for label, text in STATUS.items():
        b.check(f"done          {runs[label]}  {text}\n" in said, f"{version}: status has no '{text}': {said}")
    says_golden(b, f"{version}: table", table_of(b, folder), GOLDEN)
    said = " ".join(b.run("table", folder).split())
    for text in PRINTED:
        b.check(text in said, f"{version}: the table has no '{text}': {said}")
    collected(b, version, folder)
    used_again(b, version, runs)


def collected(b, version, folder):
    """compare.h5 and compare.csv of either version: all that those of golden/1.1 hold but times."""
    kept = tests / "golden" / "1.1"
    b.run("collect", folder)
    before, after = (csv_values(f / "compare.csv") for f in (kept, folder))
    for key, value in before.items():
        found = after.get(key, np.nan)
        b.check(near(found, value) or "evaluation" in key[-1], f"{version}: compare.csv: {key} is {found}, not {value}")
    before, after = (variables(f / "compare.h5") for f in (kept, folder))
    for name, value in before.items():
        found = after.get(name, np.array("missing", object))
        same = found.shape == value.shape and (np.array_equal(found, value) if value.dtype.kind == "O" else near(found, value))
        b.check(same or "timing" in name, f"{version}: compare.h5: {name} is {found}, not {value}")


def used_again(b, version, runs):
    """Weights and data: densities of the stored rows, and samples, which were not stored."""
    b.run("evaluate", runs["fvbn"], "--estimator", "exact", "--name", "again")
    with h5py.File(runs["fvbn"] / "evaluation-again.h5") as again, h5py.File(runs["fvbn"] / "result.h5") as was:
        new, old = (f[f"likelihood/test/{name}/log_likelihood"][()] for f, name in ((again, "again"), (was, "exact")))
        b.check(near(new, old, 1e-5), f"{version}: evaluated again {new}, not {old}")
        b.check(near(old[:2], np.array(FIRST)), f"{version}: the first rows have {old[:2].tolist()}, not {FIRST}")
    said = b.run("evaluate", runs["vae"], "--estimator", "iwae", "n_importance=40")
    b.check("log-likelihood >= -11.8167 nats, standard error 0.7908" in said, f"{version}: iwae again: {said}")
    b.run("sample", runs["vae"], "-n", 5, "-o", b.base / f"golden-{version}.h5")
    for path in [runs["fvbn"] / "result.h5", runs["fvbn"] / "evaluation-again.h5"]:
        word, said = check_numpy.verdict(path)
        b.check(word == "ok", f"{version}: check_numpy.py: {word} {said}")


def versions(b):
    """Files of 1.9 are read, of 2.0 refused by name, and the others of their folder are still there; a value that was changed
    under a good last line is found by the sum of the content."""
    fvbn, vae = (pathlib.Path("bernoulli_mixture-raw") / label / "seed-0" for label in ("fvbn", "vae"))
    folder, refused = b.base / "versions", "expected schema version 1.x, found 2.0: read it with the taxon that wrote it"

    def copy(path, how):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tests / "golden" / "1.1", folder)
        tx.change(folder / path, how)

    def to(version):
        return lambda f: f.attrs.__setitem__("schema_version", version)

    copy(fvbn / "result.h5", to("1.9"))
    says_golden(b, "1.9", table_of(b, folder), GOLDEN)
    copy(fvbn / "result.h5", to("2.0"))
    text = f"{folder / fvbn / 'result.h5'}: {refused}"
    commands = [(3, "status", folder), (3, "table", folder), (3, "collect", folder), (65, "evaluate", folder / fvbn, "--estimator", "exact"),
                (65, "sample", folder / fvbn, "-o", b.base / "x.h5"), (65, "reproduce", folder / fvbn),
                (3, "run", tests / "golden" / "config.yaml", "--out", folder, "--progress", "none")]
    for code, *command in commands:
        said = b.run(*command, code=code)
        b.check(text in said, f"2.0: {command[0]} says {said}")
    says_golden(b, "2.0", table_of(b, folder, 3), {k: v for k, v in GOLDEN.items() if k[0] == "vae"})
    copy(vae / "evaluation-iwae.h5", to("2.0"))
    said = b.run("table", folder, code=3)
    b.check(f"left out: {folder / vae / 'evaluation-iwae.h5'}: {refused}" in said, f"2.0: table says {said}")
    says_golden(b, "2.0 of an evaluation", table_of(b, folder, 3), {k: v for k, v in GOLDEN.items() if k[1] != "iwae"})
    p = tx.run(b.taxon, "reproduce", tests / "golden" / "1.1" / vae)  # another processor may give other bits
    b.check(p.returncode in (0, 3) and "content_sha256 is" not in p.stderr, f"reproduce: exit code {p.returncode}: {p.stderr}")
    copy(vae / "result.h5", lambda f: f["likelihood/test/elbo/log_likelihood"].write_direct(np.full(8, -2.385)))
    said = b.run("reproduce", folder / vae, code=65)
    b.check("content_sha256 is" in said, f"a changed value: reproduce says {said}")


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: test_files.py TAXON STOP.so")
    with tempfile.TemporaryDirectory(prefix="taxon-files-") as base:
        shim = shutil.copy(sys.argv[2], base)
        b = Bench(os.path.realpath(sys.argv[1]), shim, pathlib.Path(base))
        results, own, others = comparison(b)
        numpy_agrees(b, results, own)
        readers_agree(b, own, others)
        for version in ("1.0", "1.1"):
            golden(b, version)
        versions(b)
    b.failures.end()


if __name__ == "__main__":
    main()
