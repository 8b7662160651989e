"""What the generator of three games descends (Goodfellow 2016, section 3.2 and figure 16), as a function of D(G(z)): log(1 - D)
(minimax), -log D (non-saturating), -exp(logit D) = -D / (1 - D) (maximum likelihood). Its gradient for the two parameters of
G(z) = w z + b is measured over minibatches, with D as trained against three fixed generators and with the best one, D*. There the
expected gradients are known: those of 2 JSD(p, g) (Goodfellow et al. 2014), KL(g || p) - 2 JSD(p, g) (Arjovsky & Bottou 2017,
theorem 2.5), and KL(p || g) (Goodfellow 2015). The last has a finite variance only where g is so wide that E_g (p / g)^2 is finite."""
import math

import h5py
import numpy as np
import theory as th

# d cost / d logit of D at a sample, and the divergence whose gradient it has at D*.
GAMES = {
    "minimax": (lambda l: -th.sigmoid(l), lambda p, g: 2 * th.jensen_shannon(p, g)),
    "non_saturating": (lambda l: -th.sigmoid(-l), lambda p, g: th.kl(g, p) - 2 * th.jensen_shannon(p, g)),
    "maximum_likelihood": (lambda l: -np.exp(l), th.kl),
}
COSTS = {"minimax": lambda d: np.log1p(-d), "non_saturating": lambda d: -np.log(d), "maximum_likelihood": lambda d: -d / (1 - d)}
BATCH = 100


def trained_slope(group):
    """x -> logit of D, and its derivative, by the stored weights (tanh)."""
    w = [group[f"layer_w{i}"][()].astype(float) for i in range(3)]
    b = [group[f"layer_b{i}"][()].astype(float) for i in range(3)]

    def of(x):
        one = np.tanh(x[:, None] @ w[0] + b[0])
        two = np.tanh(one @ w[1] + b[1])
        back = ((1 - two**2) * w[2][:, 0]) @ w[1].T * (1 - one**2)
        return (two @ w[2] + b[2])[:, 0], back @ w[0][0]

    return of


def best_slope(mean, deviation):
    def of(x):
        terms = np.log(th.WEIGHTS) + th.log_normal(x[:, None], th.CENTRES, th.DEVIATIONS)
        share = np.exp(terms - th.log_mixture(x)[:, None])
        slope = (share * (th.CENTRES - x[:, None]) / th.DEVIATIONS**2).sum(1)
        return th.log_mixture(x) - th.log_normal(x, mean, deviation), slope + (x - mean) / deviation**2

    return of


def known_gradient(divergence, w, b, h=1e-4):
    log_p = th.log_mixture(th.LINE)
    at = lambda w, b: divergence(log_p, th.log_normal(th.LINE, b, abs(w)))
    return np.array([(at(w + h, b) - at(w - h, b)) / (2 * h), (at(w, b + h) - at(w, b - h)) / (2 * h)])


def main():
    e = th.Experiment("game_costs")
    rows, worst, batches = [], 0, 200 if e.quick else 20000
    for path in e.run("runs", *(["seeds=[0]", "train.epochs=1"] if e.quick else []), config="discriminator.yaml"):
        with h5py.File(path) as f:
            w, b = float(f["parameters/generator/layer_w0"][0, 0]), float(f["parameters/generator/layer_b0"][0, 0])
            slopes = {"trained": trained_slope(f["parameters/discriminator"]), "best": best_slope(b, abs(w))}
            seed = int(f.attrs["seed"])
        z = np.random.default_rng(seed).standard_normal(batches * BATCH)
        for which, of in slopes.items():
            logit, slope = of(w * z + b)
            for game, (cost, divergence) in GAMES.items():
                each = (cost(logit) * slope)[:, None] * np.stack([z, np.ones_like(z)], 1)
                batch = each.reshape(batches, BATCH, 2).mean(1)
                mean, error, known = batch.mean(0), batch.std(0, ddof=1) / math.sqrt(batches), known_gradient(divergence, w, b)
                variance = float(batch.var(0, ddof=1).sum())
                off = float(np.abs((mean - known) / error).max())
                finite = game != "maximum_likelihood" or 2 * w * w > th.DEVIATIONS.max() ** 2
                worst = max(worst, off if which == "best" and finite else 0)
                rows.append((seed, abs(w), float(th.sigmoid(logit).mean()), which, game, *map(float, mean), *map(float, error), *map(float, known), off,
                             float(np.linalg.norm(mean)), variance, "finite" if finite or which == "trained" else "infinite", variance / float(mean @ mean)))
    e.table(("seed generator_deviation mean_d discriminator game gradient_w gradient_b error_w error_b known_w known_b deviation_in_errors "
             "norm variance_of_a_batch variance_is relative_variance").split(), rows)
    d = np.linspace(0.002, 0.998, 499)
    bars = [[(i + 0.25 * k, r[-1]) for i, r in enumerate(r for r in rows if r[3] == "trained" and r[4] == game)] for k, game in enumerate(GAMES)]
    names = [f"'D(G(z)) = {r[2]:.2f}' {i + 0.25}" for i, r in enumerate(r for r in rows if r[3] == "trained" and r[4] == "minimax")]
    e.figure([
        ("cost of the generator", "D(G(z))", "", ["set yrange [-20:7]", "set key bottom left"], [("lines lw 2", g.replace("_", " "), list(zip(d, COSTS[g](d)))) for g in GAMES]),
        (f"variance of a minibatch gradient of {BATCH} over its squared mean", "", "",
         ["set logscale y", "set boxwidth 0.22", "set style fill solid 0.8", f"set xtics ({', '.join(names)})", "set key top left", "set xrange [-0.4:*]", "set yrange [*:*]"],
         [("boxes", g.replace("_", " "), points) for g, points in zip(GAMES, bars)]),
    ], (1000, 400))
    print(f"expected gradients at D* within {worst:.2f} standard errors of those of their divergences, where their variance is finite ({batches} batches)")


main()
