"""Maximum likelihood is least KL. E_p log q(x) = -H(p) - KL(p || q): the Gaussian that maximises the mean log-likelihood of n
rows approaches the one of least KL, the moments of p. Its excess KL has expectation tr(J^-1 V) / (2 n) (White 1982), J the
curvature of -E log q and V the covariance of its slope at the best parameters; and what the run measures on test data is that
negative cross entropy within its standard error."""
import math

import h5py
import numpy as np
import theory as th


def excess_factor(log_p, mean, deviation):
    """tr(J^-1 V) of a normal with parameters (mean, log deviation)."""
    z = (th.LINE - mean) / deviation
    p = np.exp(log_p)
    slope = np.stack([z / deviation, z * z - 1])
    v = np.array([[th.integral(p * a * b) for b in slope] for a in slope])
    j = np.array([[1 / deviation**2, 2 * th.integral(p * z) / deviation], [2 * th.integral(p * z) / deviation, 2 * th.integral(p * z * z)]])
    return float(np.trace(np.linalg.solve(j, v)))


def main():
    e = th.Experiment("least_kl")
    log_p = th.log_mixture(th.LINE)
    (mean, log_deviation), least = th.minimise(lambda v: th.kl(log_p, th.log_normal(th.LINE, v[0], math.exp(v[1]))), (0, 0))
    deviation = math.exp(log_deviation)
    factor, rows, fits = excess_factor(log_p, mean, deviation), [], []
    for n in (10, 1000) if e.quick else (10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000):
        path, = e.run(f"n{n}", f"datasets.0.n_train={n}")
        entropy = th.check_truth(path)
        with h5py.File(path) as f:
            m = float(f["parameters/gaussian/mean"][0, 0])
            s = 1 / abs(float(f["parameters/gaussian/whitening"][0, 0]))
            a = f["likelihood/test/exact/log_likelihood"].attrs
            measured, error = float(a["mean"]), float(a["std_error"])
        divergence = th.kl(log_p, th.log_normal(th.LINE, m, s))
        fits.append((n, m, s, divergence - least))
        rows.append((n, m, s, divergence, divergence - least, factor / (2 * n), measured, error, -entropy - divergence,
                     (measured + entropy + divergence) / error))
    e.table("n mean deviation kl excess_kl expected_excess_kl log_likelihood std_error minus_entropy_minus_kl deviation_in_errors".split(), rows)
    shown = th.LINE[(np.abs(th.LINE) < 5)][::100]
    centres = np.linspace(-3, 3, 121)
    curve = [(c, th.kl(log_p, th.log_normal(th.LINE, c, deviation))) for c in centres]
    e.figure([
        ("density", "x", "", ["set yrange [0:0.5]"], [("lines lw 2", "p", list(zip(shown, np.exp(th.log_mixture(shown))))),
         *(("lines lw 2", f"fit, n = {n}", list(zip(shown, np.exp(th.log_normal(shown, m, s))))) for n, m, s, _ in (fits[0], fits[-1]))]),
        ("KL(p || N(mu, s*^2)), and the fits", "mu", "nats", ["set format xy '%g'"], [("lines lw 2", "KL", curve),
         ("points pt 7 ps 0.7", "maximum likelihood", [(m, th.kl(log_p, th.log_normal(th.LINE, m, s))) for _, m, s, _ in fits])]),
        ("excess KL", "n", "nats", ["set logscale xy", "set format xy '10^{%L}'"], [("points pt 7 ps 0.7", "measured", [(n, x) for n, _, _, x in fits]),
         ("lines lw 2", "expected", [(n, factor / (2 * n)) for n, *_ in fits])]),
    ], (1100, 360))
    print(f"least KL {least:.6f} nats at N({mean:.5f}, {deviation:.5f}^2); the fit of {fits[-1][0]} rows is {fits[-1][3]:.2e} above it")


main()
