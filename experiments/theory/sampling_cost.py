"""Sequential steps and seconds a sample against the dimension, for every family. The data are bits that repeat their left
neighbour with probability 0.8: what they are does not matter, only how many there are."""
import h5py
import numpy as np
import theory as th


def bits(path, dim, rows=1000, seed=0):
    random = np.random.default_rng(seed)
    x = np.empty((rows, dim), np.uint8)
    x[:, 0] = random.random(rows) < 0.5
    for j in range(1, dim):
        x[:, j] = np.where(random.random(rows) < 0.8, x[:, j - 1], 1 - x[:, j - 1])
    np.savetxt(path, x, "%d", ",")


def main():
    e = th.Experiment("sampling_cost")
    e.runs.mkdir(parents=True, exist_ok=True)
    rows, dims = [], (8, 16) if e.quick else (16, 64, 256, 1024)
    for dim in dims:
        data = e.runs / f"bits{dim}.csv"
        bits(data, dim)
        for kind in ("binary", "real"):
            for path in e.run(f"d{dim}-{kind}", f"datasets.0={{path: {data}, type: {kind}, split_key: 1}}"):
                with h5py.File(path) as f:
                    rows.append((str(f.attrs["label"]), str(f.attrs["taxonomy_path"]), kind, dim, float(f["cost/sequential_steps_per_sample"][()]),
                                 float(f["timing/sample_seconds_per_1000"][()])))
    known = {r[0] for r in rows if r[2] == "binary"}
    rows = sorted((r for r in rows if r[2] == "binary" or r[0] not in known), key=lambda r: (r[1], r[0], r[3]))
    e.table("model taxonomy_path data dim sequential_steps seconds_per_1000_samples".split(), rows)
    models = sorted({r[0] for r in rows})
    wide = ["set logscale xy", "set key outside right", f"set xrange [{dims[0] / 1.2}:{dims[-1] * 1.2}]", "set format y '10^{%L}'"]
    e.figure([
        ("steps that follow one another", "dimension", "", wide, [("linespoints lw 2 pt 7 ps 0.6", m, [(r[3], r[4]) for r in rows if r[0] == m]) for m in models]),
        ("seconds for 1000 samples, one thread", "dimension", "", wide, [("linespoints lw 2 pt 7 ps 0.6", m, [(r[3], r[5]) for r in rows if r[0] == m]) for m in models]),
    ], (1200, 460))
    print(f"{len(models)} models at {len(dims)} dimensions")


main()
