"""Against a fixed generator the best discriminator is D*(x) = p(x) / (p(x) + p_g(x)), and its value E_p log D* + E_g log(1 - D*)
is -log 4 + 2 JSD(p || p_g) (Goodfellow et al. 2014, proposition 1, theorem 1). D is trained by the command; the generator is
linear, so that p_g is a normal whose parameters are stored with the run; the rest is quadrature."""
import math

import h5py
import numpy as np
import theory as th


def main():
    e = th.Experiment("discriminator")
    log_p, rows, curves = th.log_mixture(th.LINE), [], []
    for path in e.run("runs", *(["seeds=[0]", "train.epochs=1"] if e.quick else [])):
        th.check_truth(path)
        with h5py.File(path) as f:
            w, b = float(f["parameters/generator/layer_w0"][0, 0]), float(f["parameters/generator/layer_b0"][0, 0])
            logit = th.net(f["parameters/discriminator"], th.LINE[:, None], np.tanh)[:, 0]
            seed = int(f.attrs["seed"])
        log_g = th.log_normal(th.LINE, b, abs(w))
        best = th.sigmoid(log_p - log_g)
        p, g = np.exp(log_p), np.exp(log_g)
        value = th.integral(-p * np.logaddexp(0, -logit) - g * np.logaddexp(0, logit))
        at_best = -math.log(4) + 2 * th.jensen_shannon(log_p, log_g)
        # E |D - D*| over equal parts of data and samples, which is where D is trained.
        off = th.integral((p + g) / 2 * np.abs(th.sigmoid(logit) - best))
        rows.append((seed, b, abs(w), value, at_best, at_best - value, off))
        curves.append((seed, th.sigmoid(logit), best, p, g))
    e.table("seed generator_mean generator_deviation value optimal_value short_of_optimum mean_absolute_error".split(), rows)
    seed, learnt, best, p, g = curves[0]
    shown = (np.abs(th.LINE) < 6) & (np.arange(len(th.LINE)) % 100 == 0)
    x = th.LINE[shown]
    e.figure([
        (f"D(x), seed {seed}", "x", "", ["set yrange [0:1.3]"], [("lines lw 2", "D* = p / (p + p_g)", list(zip(x, best[shown]))), ("lines lw 2 dt 2", "trained D", list(zip(x, learnt[shown])))]),
        ("densities", "x", "", ["set autoscale"], [("lines lw 2", "p", list(zip(x, p[shown]))), ("lines lw 2", "p_g", list(zip(x, g[shown])))]),
    ])
    print(f"value at most {max(r[5] for r in rows):.2e} nats short of -log 4 + 2 JSD; D off by {max(r[6] for r in rows):.2e} on the average")


main()
