"""One Gaussian q against two normals p: forward KL(p || q) covers both modes, reverse KL(q || p) chooses one, Jensen-Shannon lies
between. By quadrature the least of each divergence; by the command what maximum likelihood (forward KL) and the f-GANs reach,
which start at the mean of the data: a game is compared with the minimum downhill from its own start."""
import math

import h5py
import numpy as np
import theory as th

WEIGHTS, CENTRES, DEVIATIONS = np.array([0.6, 0.4]), np.array([-1.8, 1.8]), np.array([0.6, 0.8])
DIVERGENCES = {"forward_kl": th.kl, "reverse_kl": lambda p, q: th.kl(q, p), "jensen_shannon": th.jensen_shannon}
MODELS = {"gaussian": "forward_kl", "kl": "forward_kl", "reverse_kl": "reverse_kl", "jensen_shannon": "jensen_shannon"}


def least(divergence, log_p, start):
    (mean, log_deviation), value = th.minimise(lambda v: divergence(log_p, th.log_normal(th.LINE, v[0], math.exp(v[1]))), start, 0.1)
    return mean, math.exp(log_deviation), value


def main():
    e = th.Experiment("divergences")
    e.runs.mkdir(parents=True, exist_ok=True)
    data = e.runs / "two_normals.csv"
    random = np.random.default_rng(0)
    which = (random.random(62500) > WEIGHTS[0]).astype(int)
    np.savetxt(data, CENTRES[which] + DEVIATIONS[which] * random.standard_normal(len(which)), "%.8g")
    log_p = th.log_mixture(th.LINE, WEIGHTS, CENTRES, DEVIATIONS)
    overall = float(WEIGHTS @ CENTRES)
    best = {name: [least(f, log_p, s) for s in ((overall, 0), (CENTRES[0], -0.5), (CENTRES[1], -0.5))] for name, f in DIVERGENCES.items()}
    rows, fits = [], {}
    quick = ["seeds=[0]", "train.epochs=1"] if e.quick else []
    for path in e.run("runs", f"datasets.0={{path: {data}, split_key: 1}}", *quick):
        with h5py.File(path) as f:
            label, seed = str(f.attrs["label"]), int(f.attrs["seed"])
            if label == "gaussian":
                if seed:
                    continue
                mean, deviation = float(f["parameters/gaussian/mean"][0, 0]), 1 / abs(float(f["parameters/gaussian/whitening"][0, 0]))
            else:
                mean, deviation = float(f["parameters/generator/layer_b0"][0, 0]), abs(float(f["parameters/generator/layer_w0"][0, 0]))
        name = MODELS[label]
        value = DIVERGENCES[name](log_p, th.log_normal(th.LINE, mean, deviation))
        near = min(best[name], key=lambda b: abs(b[0] - mean) + abs(b[1] - deviation))
        rows.append((label, seed, name, mean, deviation, value, *near, value - near[2], min(b[2] for b in best[name])))
        fits.setdefault(label, (mean, deviation))
    e.table("model seed divergence mean deviation value optimal_mean optimal_deviation optimal_value excess least_of_all_minima".split(), rows)
    shown = th.LINE[(np.abs(th.LINE) < 6)][::100]
    density = lambda m, s: list(zip(shown, np.exp(th.log_normal(shown, m, s))))
    e.figure([(name.replace("_", " "), "x", "", ["set yrange [0:0.9]"], [
        ("lines lw 2", "p", list(zip(shown, np.exp(th.log_mixture(shown, WEIGHTS, CENTRES, DEVIATIONS))))),
        ("lines lw 2", "least, by quadrature", density(*min(best[name], key=lambda b: b[2])[:2])),
        *(("lines lw 2 dt 2", label.replace("_", " ") + (" game" if label != "gaussian" else ", maximum likelihood"), density(*fits[label]))
          for label in fits if MODELS[label] == name)]) for name in DIVERGENCES], (1200, 380))
    print("; ".join(f"{r[0]} {r[1]}: {r[5]:.4f}, the minimum {r[8]:.4f}" for r in rows))


main()
