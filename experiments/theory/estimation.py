"""Four ways to estimate the mean and deviation of a normal from n = 1000 draws of it, over data sets: all are consistent, and differ in
variance. n times the covariance of (mean, log deviation) is known for maximum likelihood, diag(s^2, 1/2), which self-contrastive
estimation shares, and for noise-contrastive estimation with noise drawn anew at every step: I^-1 Var_p(P g) I^-1, with P =
nu p_n / (p + nu p_n), g the slopes of log p + c in mean, log deviation and c, I = E_p P g g' (Gutmann & Hyvarinen 2012, theorem 3,
for as many noise samples as one likes). For the GAN nothing is known; the noise of its own game is in its spread."""
import math

import h5py
import numpy as np
import theory as th

MEAN, DEVIATION, N = 0.7, 1.3, 1000


def contrastive_variance(nu, scale):
    p, noise = np.exp(th.log_normal(th.LINE, MEAN, DEVIATION)), np.exp(th.log_normal(th.LINE, MEAN, scale * DEVIATION))
    z = (th.LINE - MEAN) / DEVIATION
    slopes = np.stack([z / DEVIATION, z * z, np.ones_like(z)])  # of -z^2/2 + c in mean, log deviation, c
    weight = nu * noise / (p + nu * noise)
    expect = lambda f: np.array([[th.integral(p * f * a * b) for b in slopes] for a in slopes])
    mean = np.array([th.integral(p * weight * a) for a in slopes])
    inverse = np.linalg.inv(expect(weight))
    return np.diag(inverse @ (expect(weight**2) - np.outer(mean, mean)) @ inverse)[:2]


def parameters(f):
    p = f["parameters"]
    model = str(f.attrs["model"])
    if model == "gaussian":
        return float(p["gaussian/mean"][0, 0]), -math.log(abs(float(p["gaussian/whitening"][0, 0])))
    if model == "self_contrastive":
        return float(p["conditionals/b"][0, 0]), -float(p["conditionals/log_scale"][0, 0])
    if model == "nce":
        return float(p["energy/b"][0, 0]), -math.log(abs(float(p["energy/w"][0, 0])))
    return float(p["generator/layer_b0"][0, 0]), math.log(abs(float(p["generator/layer_w0"][0, 0])))


def main():
    e = th.Experiment("estimation")
    e.runs.mkdir(parents=True, exist_ok=True)
    sets, text = 2 if e.quick else 50, []
    for i in range(sets):
        path = e.runs / f"normal{i}.csv"
        np.savetxt(path, MEAN + DEVIATION * np.random.default_rng(i).standard_normal(N * 5 // 4), "%.9g")
        text.append(f"{{path: {path}, split_key: 1}}")
    found = {}
    for path in e.run("runs", f"datasets=[{', '.join(text)}]", *(["train.epochs=3"] if e.quick else [])):
        with h5py.File(path) as f:
            found.setdefault(str(f.attrs["label"]), []).append(parameters(f))
    known = {"gaussian": np.array([DEVIATION**2, 0.5]), "self_contrastive": np.array([DEVIATION**2, 0.5]),
             "nce_1": contrastive_variance(1, 2), "nce_10": contrastive_variance(10, 2), "gan": np.full(2, np.nan)}
    rows, bars = [], []
    for label in known:
        off = np.array(found[label]) - (MEAN, math.log(DEVIATION))
        variance, bias = N * off.var(0, ddof=1), off.mean(0)
        error = variance * math.sqrt(2 / (sets - 1))  # of a variance from so many normal draws
        best = N * (np.array(found["gaussian"]) - (MEAN, math.log(DEVIATION))).var(0, ddof=1)  # on the same data sets
        rows.append((label, sets, *map(float, bias), *map(float, off.std(0, ddof=1) / math.sqrt(sets)),
                     *(float(v) for k in (0, 1) for v in (variance[k], error[k], known[label][k], variance[k] / best[k],
                                                          known[label][k] / known["gaussian"][k]))))
        bars.append((label, variance / best, known[label] / known["gaussian"]))
    e.table(("model data_sets bias_mean bias_log_deviation bias_error_mean bias_error_log_deviation "
             + " ".join(f"n_var_{k} n_var_{k}_error n_var_{k}_known over_maximum_likelihood_{k} over_maximum_likelihood_{k}_known"
                        for k in ("mean", "log_deviation"))).split(), rows)
    names = ", ".join(f"'{b[0].replace('_', ' ')}' {i}" for i, b in enumerate(bars))
    axes = [f"set xtics ({names}) rotate by 30 right", "set bmargin 6", f"set xrange [-0.5:{len(bars) - 0.5}]", "set yrange [0.9:1.3]", "set key top left"]
    e.figure([(f"{title}: variance over that of maximum likelihood", "", "", axes,
               [("points pt 7", "measured, same data", [(i, b[1][k]) for i, b in enumerate(bars)]),
                ("points pt 6 ps 1.8 lw 2", "known", [(i, b[2][k]) for i, b in enumerate(bars) if np.isfinite(b[2][k])])])
              for k, title in enumerate(("mean", "log deviation"))], (1000, 400))
    for r in rows:
        print(f"{r[0]}: n var of the mean {r[6]:.3f} +- {r[7]:.3f} (known {r[8]:.3f}), of the log deviation {r[11]:.3f} +- {r[12]:.3f} (known {r[13]:.3f}); over maximum likelihood's {r[9]:.3f} (known {r[10]:.3f}), {r[14]:.3f} (known {r[15]:.3f})")


main()
