#!/usr/bin/python3
"""Many runs and large files: endurance.py TAXON [RUNS [ROWS]]

RUNS tiny runs (2000) in one comparison: the memory of the process that schedules them may grow by 1 MiB once all kinds of work were
seen, and no descriptor is left open. ROWS samples of 784 values (1,000,000: 2.9 GiB) in one file: what the command holds in memory
stays below 256 MiB and three times the file, the file is whole, and h5py and xarray read it."""
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import taxon as tx
from taxon import h5py, np

SEEDS, MIB = 50, 1 << 20
TAIL = "evaluate: {estimators: [exact], n_sample: 4}\n"


def memory_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    return 0


def many_runs(taxon, base, failures, runs):
    labels = (runs + SEEDS - 1) // SEEDS
    config, out = base / "many.yaml", base / "many"
    config.write_text(f"seeds: {list(range(SEEDS))}\ndatasets: [{{name: bars, n_train: 20, n_valid: 5, n_test: 5}}]\n"
                      "train: {epochs: 1, batch: 10}\nmodels:\n"
                      + "".join(f"  - {{model: independent, label: m{i}}}\n" for i in range(labels)) + TAIL)
    start = time.monotonic()
    p = subprocess.Popen([taxon, "run", config, "--out", out, "--jobs", "2", "--threads", "1", "--progress", "none"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seen = []  # (finished runs, bytes, descriptors)
    while p.poll() is None:
        try:
            done = sum(1 for _ in out.glob("*/*/*/result.h5"))
            seen.append((done, memory_of(p.pid), len(list(pathlib.Path(f"/proc/{p.pid}/fd").iterdir()))))
        except OSError:
            pass  # it ended, or a file was renamed meanwhile
        time.sleep(0.5)
    text = p.stderr.read()
    failures.check(p.returncode == 0, f"many runs: exit code {p.returncode}: {text[-500:]}")
    failures.check(sum(1 for _ in out.glob("*/*/*/result.h5")) == labels * SEEDS, "many runs: not all of them are there")
    middle = [(m, d) for done, m, d in seen if labels * SEEDS * 0.05 < done < labels * SEEDS * 0.95]
    if failures.check(len(middle) > 3, "many runs: too few looks at the process"):
        growth, most = max(m for m, _ in middle) - middle[0][0], max(d for _, d in middle)
        failures.check(growth < MIB, f"many runs: the process grew by {growth} bytes")
        failures.check(most <= 16, f"many runs: {most} descriptors were open")
        print(f"{labels * SEEDS} runs in {time.monotonic() - start:.0f} s: {middle[0][0] / MIB:.1f} MiB, growth {growth >> 10} KiB, "
              f"at most {most} descriptors", flush=True)


def large_file(taxon, base, failures, rows):
    data, config, out, file = base / "bits.npy", base / "large.yaml", base / "large", base / "large.h5"
    np.save(data, np.random.default_rng(2385).integers(0, 2, (200, 784)).astype("u1"))
    config.write_text(f'seeds: [0]\ndatasets: [{{path: "{data}"}}]\nmodels: [{{model: independent, smoothing: 0.1}}]\n' + TAIL)
    p = tx.run(taxon, "run", config, "--out", out, "--progress", "none", timeout=600)
    run = next(out.glob("*/*/*/result.h5"), None)
    if not failures.check(p.returncode == 0 and run, f"large file: no run: {p.stderr}"):
        return
    start = time.monotonic()
    p = subprocess.run([taxon, "sample", run.parent, "-n", str(rows), "-o", file], capture_output=True, text=True)
    held = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10  # of the largest command so far
    if not failures.check(p.returncode == 0, f"large file: exit code {p.returncode}: {p.stderr}"):
        return
    seconds, bytes_ = time.monotonic() - start, file.stat().st_size
    failures.check(tx.whole(file), "large file: its sum is wrong")
    failures.check(held < 256 * MIB + 3 * bytes_, f"large file: {held >> 20} MiB in memory for a file of {bytes_ >> 20} MiB")
    with h5py.File(file) as f:
        x = f["samples/x"]
        failures.check(x.shape == (rows, 784), f"large file: shape {x.shape}")
        last = x[-1000:]
        failures.check(0.4 < last.mean() < 0.6 and set(np.unique(last)) == {0, 1}, "large file: its last rows are no samples")
    try:
        import xarray
        with xarray.open_dataset(file, group="samples", engine="h5netcdf") as d:
            failures.check(np.array_equal(d.x[-1000:].values, last), "large file: xarray reads other values than h5py")
    except (ImportError, ValueError) as e:
        print(f"xarray skipped: {e}")
    print(f"{rows} x 784 samples, {rows * 784 * 4 / (1 << 30):.1f} GiB, in {seconds:.0f} s: file of {bytes_ >> 20} MiB, "
          f"{held >> 20} MiB in memory", flush=True)


def main(taxon, runs, rows):
    failures = tx.Failures()
    with tempfile.TemporaryDirectory(prefix="taxon endurance ") as base:
        large_file(taxon, pathlib.Path(base), failures, rows)
        many_runs(taxon, pathlib.Path(base), failures, runs)
    failures.end()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__)
    main(str(pathlib.Path(sys.argv[1]).resolve()), *(int(a) for a in (sys.argv[2:] + ["2000", "1000000"][len(sys.argv) - 2:])))
