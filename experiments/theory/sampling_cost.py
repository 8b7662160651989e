"""Sequential steps and seconds a sample against the dimension, for every family. The data are bits that repeat their left
neighbour with probability 0.8: what they are does not matter, only how many there are."""
import math

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


def path_of(rows, model):
    return next(r[1] for r in rows if r[0] == model)


def spread(values, gap):
    """Ascending values raised until neighbours are `gap` apart: half way to the same from above, both stay apart."""
    out = []
    for v in values:
        out.append(max(v, out[-1] + gap) if out else v)
    return out


def panel(title, lines, dims):
    """A line a model of lines {model: (taxonomy path, points)}, coloured by its leaf, its name behind its end; equal lines have one name."""
    leaves = sorted({path for path, _ in lines.values()})
    ends = {}
    for model, (path, points) in sorted(lines.items(), key=lambda v: (v[1][1][-1][1], v[0])):
        ends.setdefault((points[-1][1], leaves.index(path)), []).append(model.replace("_", " "))
    low, high = (math.log10(f(p[1] for _, points in lines.values() for p in points)) for f in (min, max))
    wanted = [math.log10(y) for y, _ in sorted(ends)]
    upward, downward = spread(wanted, (high - low) / 30), spread([-y for y in reversed(wanted)], (high - low) / 30)
    labels = [f"set label '{', '.join(names)}' at {dims[-1] * 1.15},{10 ** ((up - down) / 2):.6g} left tc rgb '{th.COLOURS[colour]}'"
              for ((_, colour), names), up, down in zip(sorted(ends.items()), upward, reversed(downward))]
    settings = ["unset label", "set key off", "set rmargin 34", "set logscale xy", f"set xrange [{dims[0] / 1.2}:{dims[-1] * 1.1}]",
                f"set yrange [{10 ** low / 2}:{10 ** high * 2}]", "set format y '10^{%L}'", *labels]
    return (title, "dimension", "", settings, [(f"linespoints lw 2 pt 7 ps 0.6 lc rgb '{th.COLOURS[leaves.index(path)]}'", model, points)
                                               for model, (path, points) in lines.items()])


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
    e.figure([
        panel("steps that follow one another", {m: (path_of(rows, m), [(r[3], r[4]) for r in rows if r[0] == m]) for m in models}, dims),
        panel("seconds for 1000 samples, one thread", {m: (path_of(rows, m), [(r[3], r[5]) for r in rows if r[0] == m]) for m in models}, dims),
    ], (1300, 620))
    print(f"{len(models)} models at {len(dims)} dimensions")


main()
