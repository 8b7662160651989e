#!/usr/bin/python3
"""What a NICE trained on MNIST in [0,1] would gain from its scales alone: nice_scales.py RESULT.h5

Each of the 784 scales is fitted anew, by itself, to the latent coordinates of half of the validation digits; the other half is scored
with the run's scales and with these. Coordinates are grouped by their pixels' deviation. MNIST's files are looked for in
TAXON_DATA/mnist; the dequantising noise is drawn here (seed 1), so the run's own score differs a little from its curve."""
import gzip
import os
import pathlib
import sys

import h5py
import numpy as np

PIXELS, HALF = 784, 2500
GROUPS = (0, 0.0012, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5)


def images(first, n):
    path = pathlib.Path(os.environ["TAXON_DATA"]) / "mnist" / "train-images-idx3-ubyte.gz"
    rows = np.frombuffer(gzip.open(path).read()[16:], np.uint8).reshape(-1, PIXELS)[first:first + n]
    return (rows + np.random.default_rng(1).random(rows.shape)) / 256


def latent(flow, x):
    """Before the scaling: the couplings, whose even ones move the odd coordinates."""
    half = [x[:, k::2].astype(np.float32) for k in range(2)]
    k = 0
    while f"coupling{k}_w0" in flow:
        a, i = half[k % 2], 0
        while f"coupling{k}_w{i}" in flow:
            a = (np.maximum(a, 0) if i else a) @ flow[f"coupling{k}_w{i}"][()] + flow[f"coupling{k}_b{i}"][()]
            i += 1
        half[1 - k % 2] = half[1 - k % 2] + a
        k += 1
    z = np.empty(x.shape)
    z[:, 0::2], z[:, 1::2] = half
    return z


def score(z, s):
    """Mean log-density of each coordinate under the logistic prior, nats."""
    y = np.abs(z * np.exp(s))
    return (-y - 2 * np.log1p(np.exp(-y)) + s).mean(0)


def fit(z, s):
    """Every coordinate by itself, by steps that shrink: the score has one maximum in s."""
    best, at = s.copy(), score(z, s)
    for step in (1, 0.3, 0.1, 0.03, 0.01):
        moved = True
        while moved:
            moved = False
            for d in (step, -step):
                there = score(z, best + d)
                better = there > at + 1e-12
                best, at, moved = np.where(better, best + d, best), np.where(better, there, at), moved or better.any()
    return best


def main():
    with h5py.File(sys.argv[1]) as f:
        flow = f["parameters/flow"]
        s, valid, train = flow["log_scale"][()].reshape(-1).astype(float), latent(flow, images(50000, 2 * HALF)), latent(flow, images(0, 2 * HALF))
    fitted, other = fit(valid[:HALF], s), valid[HALF:]
    print(f"train {score(train, s).sum():.1f}, half of valid {score(other, s).sum():.1f} nats; "
          f"with scales of the other half {score(other, fitted).sum():.1f}")
    print("deviation of pixel   pixels   train - valid   change of log scale   gain on valid")
    deviation, gap, gain = images(0, 50000).std(0), score(train, s) - score(other, s), score(other, fitted) - score(other, s)
    for low, high in zip(GROUPS, GROUPS[1:]):
        m = (deviation >= low) & (deviation < high)
        print(f"{low:8.3g} .. {high:<6.3g} {m.sum():8} {gap[m].sum():15.1f} {(fitted - s)[m].mean() if m.any() else 0:21.2f} {gain[m].sum():15.1f}")


main()
