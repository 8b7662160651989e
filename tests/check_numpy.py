#!/usr/bin/python3
"""Evaluates the densities of stored runs again, from the formulas of models/*/README.md and the numbers in the file
alone, in float64: an independent witness of what result.h5 says.

    check_numpy.py RESULT.h5|evaluation-NAME.h5 [...]
        exact log-likelihoods within 1e-5 max(|LL|, D) of each row (1e-9 where the parameters are float64), ensembles of
        MADE's masks too; lower bounds against draws of its own, Parzen windows against the stored samples; means, errors
        and bits per dimension; log-likelihoods of the stored samples; metrics of small sets, whose rows are all stored. An evaluation is of the result.h5 beside it
    check_numpy.py --self-test [RESULT.h5 ...]
        the formulas themselves (densities sum to 1), then that a change of each weight of each file, one at a time, fails
        the check

Letters: n rows, D variables, K levels, L latent samples a bound."""
import itertools
import json
import os
import sys

import h5py
import numpy as np

REPEATS = 300  # own draws of a stochastic bound
DRAWS = 2000000  # latents of all of them: of bounds with many, the first rows are enough
SIGMAS = 4, 5  # allowed: of a mean over rows, of a single row
OF_Z = "enumerated", "ais_log_z", "self_normalised"  # log p*(x) less one number, whose error is that of every row
SHARED_NOISE = ("parzen",)  # estimators whose rows see the same samples: their errors do not average out
FEW = 0.4  # error of a row's Parzen estimate from which on too few kernels carry it to tell how far off it is
IDENTITY_VIEWS = "raw", "binarised", "static_binarised", "dequantised"


class Run:
    """What a density needs: options, view, and weights as {"net/name": float64 array}."""

    def __init__(self, model, options, weights, dim, view="raw", view_options=None):
        self.model, self.options, self.weights, self.dim = model, options, weights, dim
        self.view, self.view_options, self.measure = view, view_options or {}, "counting"
        self.levels, self.image = 2, None  # height and width, where rows are images

    @classmethod
    def read(cls, file):
        config = json.loads(file["config/json"][()])
        weights, exact = {}, True
        for net in file["parameters"].values():
            for name, value in net.items():
                if not is_dimension(value):
                    weights[f"{net.name.split('/')[-1]}/{name}"] = value[()].astype(np.float64)
                    exact = exact and value.dtype == np.float64
        dim = file["data/test/x"].shape[1]
        run = cls(text(file, "model"), config["model"], weights, dim, text(file, "view"), config["dataset"])
        run.tolerance = 1e-9 if exact else 1e-5
        run.measure, run.levels = text(file, "measure"), int(file.attrs["levels"])
        if "image" in file["samples"]:
            run.image = file["samples/image"].shape[1:3]
        return run

    def layers(self, prefix, x, activation, last=lambda a: a):
        """A perceptron: activation(x W + b) a layer, the last one linear."""
        n = sum(key.startswith(prefix + "_w") for key in self.weights)
        for k in range(n):
            a = x @ self.weights[f"{prefix}_w{k}"] + self.weights[f"{prefix}_b{k}"]
            x = activation(a) if k < n - 1 else last(a)
        return x

    def box(self):
        """Bounds of the space that the view maps into, or None."""
        if self.view == "dequantised":
            return 0.0, 1.0
        if self.view == "logit":
            edge = np.log((1 - self.view_options["lambda"]) / self.view_options["lambda"])
            return -edge, edge
        return None


def text(file, name):
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def is_dimension(value):
    return value.attrs.get("CLASS", b"") == b"DIMENSION_SCALE"


def sigmoid(a):
    return 0.5 * (1 + np.tanh(0.5 * a))


def softplus(a):
    return np.logaddexp(0, a)


def log_sum_exp(a, axis):
    top = a.max(axis, keepdims=True)
    return np.log(np.exp(a - top).sum(axis)) + np.squeeze(top, axis)


ACTIVATIONS = {"relu": lambda a: np.maximum(a, 0), "leaky_relu": lambda a: np.where(a < 0, 0.2 * a, a),
               "tanh": np.tanh, "sigmoid": sigmoid, "softplus": softplus}


def bernoulli(x, logit):
    return (x * logit - softplus(logit)).sum(1)


def normal(x, mean, log_variance):
    return -0.5 * (np.log(2 * np.pi) + log_variance + (x - mean) ** 2 * np.exp(-log_variance)).sum(1)


# Densities: log p(x) of the rows x [n,D] in the model's space.


def independent(run, x):
    w = {key.split("/")[1]: value for key, value in run.weights.items()}
    if "mean" in w:
        return normal(x, w["mean"], w["log_variance"])
    if w["logit"].shape == (1, run.dim):
        return bernoulli(x, w["logit"])
    log_p = w["logit"] - log_sum_exp(w["logit"], 1)[:, None]
    return log_p[np.arange(run.dim), x.astype(int)].sum(1)


def chow_liu(run, x):
    w, parent = run.weights, run.weights["structure/parent"][0].astype(int)
    return bernoulli(x, np.where(x[:, parent] > 0, w["tree/logit1"], w["tree/logit0"]))


def gaussian(run, x):
    w = run.weights["gaussian/whitening"]
    z = (x - run.weights["gaussian/mean"]) @ w.T
    return -0.5 * (z**2).sum(1) + np.log(np.diag(w)).sum() - 0.5 * run.dim * np.log(2 * np.pi)


def mixture(run, x):
    w = {key.split("/")[1]: value for key, value in run.weights.items()}
    log_weight = w["log_weight"][0] - log_sum_exp(w["log_weight"], 1)
    if "logit" in w:
        each = [bernoulli(x, row) for row in w["logit"]]
    else:
        each = [normal(x, mean, log_variance) for mean, log_variance in zip(w["mean"], w["log_variance"])]
    return log_sum_exp(np.stack(each) + log_weight[:, None], 0)


def kde(run, x):
    w = {key.split("/")[1]: value for key, value in run.weights.items()}
    b, centre = w["scale"][0, 0], w["mean"] + w["offset"]
    square = np.stack([((row - centre) ** 2).sum(1) for row in x])
    log_z = 0.5 * np.log(np.pi / b) if run.measure == "lebesgue" else np.log1p(np.exp(-b))
    return log_sum_exp(w["log_weight"] - b * square, 1) - run.dim * log_z


def masked_net(run, x, index, heads, activation=None, per=1, net="net/"):
    """Outputs of the masked net (Germain et al. 2015, section 4) with set of masks `index`, one array a head."""
    w, d = run.weights, run.dim
    n_hidden = 0 if run.model == "fvbn" else len(run.options["hidden"])
    place = w["structure/place"][index] if "structure/place" in w else np.arange(1, d + 1)
    h, degree = x, place
    for k in range(n_hidden):
        weight, stored = w[f"{net}w{k}"], f"structure/degree{k}"
        n = weight.shape[1]
        above = w[stored][index] if stored in w else np.arange(n) * max(d - 1, 1) // n + 1
        h = activation(h @ np.where(degree[:, None] <= above, weight, 0) + w[f"{net}b{k}"])
        degree = above
    sees = np.repeat(place - 1, per)
    outputs = []
    for head in heads:
        out = h @ np.where(degree[:, None] <= sees, w[f"{net}w{head}"], 0) + w.get(f"{net}b{head}", 0)
        if run.options.get("direct"):
            out += x @ np.where(place[:, None] <= sees, w[f"{net}direct{head}"], 0)
        outputs.append(out)
    return outputs


def fvbn(run, x):
    return bernoulli(x, masked_net(run, x, 0, [""])[0])


def made(run, x, sets=None):
    act, sets = ACTIVATIONS[run.options["activation"]], range(sets or run.options["masks"])
    each = [bernoulli(x, masked_net(run, x, k, ["_out"], act)[0]) for k in sets]
    return log_sum_exp(np.stack(each), 0) - np.log(len(each))


def made_mog(run, x):
    act, k, low = ACTIVATIONS[run.options["activation"]], run.options["components"], run.options["min_log_sd"]
    parts = masked_net(run, x, 0, ["_logit", "_mean", "_log_sd"], act, k)
    logit, mean, raw = (part.reshape(len(x), run.dim, k) for part in parts)
    log_sd = low + softplus(raw - low)
    each = -0.5 * np.log(2 * np.pi) - log_sd - 0.5 * ((x[:, :, None] - mean) * np.exp(-log_sd)) ** 2
    return (log_sum_exp(logit + each, 2) - log_sum_exp(logit, 2)).sum(1)


def nade(run, x):
    w, d = run.weights, run.dim
    agnostic, n_deep = run.options["order"] == "agnostic", len(run.options["hidden"]) - 1
    order = np.argsort(w["structure/place"][0]) if "structure/place" in w else range(d)
    a, total = np.repeat(w["net/c"], len(x), 0), 0
    for i in order:
        h = np.maximum(a, 0) if agnostic else sigmoid(a)
        for k in range(1, n_deep + 1):
            h = np.maximum(h @ w[f"net/w{k}"] + w[f"net/b{k}"], 0)
        logit = h @ w["net/v"][i] + w["net/b"][0, i]
        total = total + x[:, i] * logit - softplus(logit)
        a = a + np.outer(x[:, i], w["net/w"][i]) + (w["net/w"][d + i] if agnostic else 0)
    return total


def convolution(x, w, b, rows, columns):
    """x [n,height,width,in] at the rows and columns (offsets) that the taps of w [taps in, out] see, zeros around it."""
    n, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (-rows[0], 0), (-min(columns), max(*columns, 0)), (0, 0)))
    at = [padded[:, a - rows[0]:a - rows[0] + height, c - min(columns):c - min(columns) + width]
          for a in rows for c in columns]
    return np.concatenate(at, 3) @ w + b


def gated(run, x, first, reach, dilations, shape):
    """Two stacks of gated convolutions (van den Oord et al. 2016c), the vertical one where there are several rows."""
    w = {key.split("/")[1]: value for key, value in run.weights.items()}
    own, total, above, f = [0], 0, None, w["left0_w"].shape[1]

    def conv(name, h, rows=own, columns=own):
        return convolution(h, w[name + "_w"], w.get(name + "_b", 0), rows, columns)

    def gate(a):
        return np.tanh(a[..., :f]) * sigmoid(a[..., f:])

    v = (2 * x / (run.levels - 1) - 1).reshape(len(x), *shape, 1)
    if shape[0] > 1:
        above = conv("above0", v, range(-first, 0), range(-first, first + 1))
    h = conv("left0", v, own, range(-first, 0))
    if "position" in w:
        h = h + w["position"].reshape(*shape, f)
    for k, d in enumerate(dilations, 1):
        a = conv(f"left{k}", h, own, range(-reach * d, 1, d))
        if above is not None:
            a_above = conv(f"above{k}", above, range(-reach, 1), range(-reach, reach + 1))
            a, above = a + conv(f"link{k}", a_above), gate(a_above)
        z = gate(a)
        if f"skip{k}_w" in w:
            total = total + conv(f"skip{k}", z)
        if f"out{k}_w" in w:
            h = h + conv(f"out{k}", z)
    top = np.maximum(h if "skip1_w" not in w else total, 0)
    logit = conv("last", np.maximum(conv("hidden", top), 0)).reshape(len(x), run.dim, -1)
    if logit.shape[2] == 1:
        return bernoulli(x, logit[:, :, 0])
    picked = np.take_along_axis(logit, x.astype(int)[:, :, None], 2)[:, :, 0]
    return (picked - log_sum_exp(logit, 2)).sum(1)


def pixelcnn(run, x):
    o = run.options
    return gated(run, x, o["first_kernel"] // 2, o["kernel"] // 2, [1] * o["layers"], run.image or (1, run.dim))


def wavenet(run, x):
    o = run.options
    dilations = [2**k for k in range(o["layers"])] * o["blocks"]
    return gated(run, x, o["kernel"], o["kernel"] - 1, dilations, (1, run.dim))


def nice(run, x):
    act = ACTIVATIONS[run.options["activation"]]
    half = [x[:, 0::2], x[:, 1::2]]
    for k in range(run.options["couplings"] if run.dim > 1 else 0):
        half[1 - k % 2] = half[1 - k % 2] + run.layers(f"flow/coupling{k}", half[k % 2], act)
    z = np.empty_like(x)
    z[:, 0::2], z[:, 1::2] = half
    log_scale = run.weights["flow/log_scale"]
    z = z * np.exp(log_scale)
    prior = -z - 2 * softplus(-z) if run.options["prior"] == "logistic" else -0.5 * (np.log(2 * np.pi) + z**2)
    return prior.sum(1) + log_scale.sum()


SOURCES = {"logistic": lambda z: -z - 2 * softplus(-z), "sech": lambda z: -np.log(np.pi) - np.log(np.cosh(z)),
           "student": lambda z: np.log(3 / 8) - 2.5 * np.log(1 + z**2 / 4)}


def bounded(a, bound):
    return bound * np.tanh(a / bound) if bound else a


def normalise(run, layer, x):
    """Batch normalisation by running statistics, and its log-determinant."""
    mean, variance = run.weights[f"running/{layer}_mean"], run.weights[f"running/{layer}_variance"] + 1e-5
    gain = run.weights[f"flow/{layer}_log_gain"]
    y = (x - mean) / np.sqrt(variance) * np.exp(gain) + run.weights[f"flow/{layer}_bias"]
    return y, (gain - 0.5 * np.log(variance)).sum()


def maf(run, x):
    o, w = run.options, run.weights
    z, total = (x - w["flow/shift"]) * np.exp(w["flow/log_scale"]), w["flow/log_scale"].sum()
    for k in range(o["blocks"]):
        z = z[:, ::-1] if k else z
        mean, a = masked_net(run, z, 0, ["_mean", "_log_scale"], ACTIVATIONS[o["activation"]], net=f"flow/block{k}_")
        a = bounded(a, o["max_log_scale"])
        z, total = (z - mean) * np.exp(-a), total - a.sum(1)
        if o["batch_norm"]:
            z, more = normalise(run, f"block{k}", z)
            total = total + more
    return total - 0.5 * (z**2 + np.log(2 * np.pi)).sum(1)


def realnvp(run, x):
    o, w, act = run.options, run.weights, ACTIVATIONS[run.options["activation"]]
    z, total = (x - w["flow/shift"]) * np.exp(w["flow/log_scale"]), w["flow/log_scale"].sum()
    half = [np.arange(0, run.dim, 2), np.arange(1, run.dim, 2)]
    if o["split"] == "checkerboard":
        side = int(np.sqrt(run.dim))  # a square image
        colour = np.add.outer(np.arange(side), np.arange(side)).ravel() % 2
        half = [np.flatnonzero(colour == c) for c in (0, 1)]
    for k in range(o["couplings"] if run.dim > 1 else 0):
        to, layer = half[1 - k % 2], f"coupling{k}"
        out = run.layers(f"flow/{layer}", z[:, half[k % 2]], act)
        s = w[f"flow/{layer}_rescale"] * np.tanh(out[:, :len(to)])
        b, total = z[:, to] * np.exp(s) + out[:, len(to):], total + s.sum(1)
        if o["batch_norm"]:
            b, more = normalise(run, layer, b)
            total = total + more
        z = z.copy()
        z[:, to] = b
    return total - 0.5 * (z**2 + np.log(2 * np.pi)).sum(1)


def ica(run, x):
    w = {key.split("/")[1]: value for key, value in run.weights.items()}
    z = (x - w["shift"]) * np.exp(w["log_scale"])
    if run.dim > 1:
        z = (z + z @ np.triu(w["upper0"], 1))[:, ::-1]
        z = z + z @ np.triu(w["upper1"], 1)
    return SOURCES[run.options["source"]](z).sum(1) + w["log_scale"].sum()


def self_contrastive(run, x):
    w = {key.split("/")[1]: value for key, value in run.weights.items()}
    if run.measure == "counting":
        return bernoulli(x, w["b"] + x @ np.triu(w["w"], 1))
    e = x - w["b"]
    z = e * np.exp(w["log_scale"]) + e @ np.triu(w["w"], 1)
    return normal(z, 0, np.zeros_like(z)) + w["log_scale"].sum()


# Lower bounds: one draw for each row, with the given generator; `s` are the settings of the estimate.


def encode(run, x):
    latent = run.options["latent"]
    code = run.layers("encoder/layer", x, ACTIVATIONS[run.options["activation"]])
    return code[:, :latent], code[:, latent:]


def elbo(run, s, x, random):
    o, n, latent, act = run.options, len(x), run.options["latent"], ACTIVATIONS[run.options["activation"]]
    mu, log_variance = encode(run, x)
    divergence = 0.5 * (mu**2 + np.exp(log_variance) - log_variance - 1).sum(1)
    total = 0
    for _ in range(o["n_sample"]):
        z = mu + np.exp(0.5 * log_variance) * random.standard_normal((n, latent))
        total = total + vae_observation(run, x, run.layers("decoder/layer", z, act))
    return total / o["n_sample"] - divergence


def prior(run, n, random):
    """Latents of n rows, as the net is given them."""
    shape = n, run.options["latent"]
    uniform = run.options.get("prior") == "uniform"
    return random.uniform(-np.sqrt(3), np.sqrt(3), shape) if uniform else random.standard_normal(shape)


def decode(run, z):
    if run.model == "sgan":
        return batch_normalised(run, z)
    net = "generator" if run.model == "gan" else "decoder"
    return run.layers(f"{net}/layer", z, ACTIVATIONS[run.options["activation"]])


def batch_normalised(run, z):
    """The generator of sgan by its running statistics."""
    depth = len(run.options["generator_hidden"])
    w = {key.split("/", 1)[1]: value for key, value in run.weights.items() if not key.startswith("discriminator/")}
    for i in range(depth):
        name = f"generator_layer{i}"
        z = (z @ w[f"layer_w{i}"] - w[f"{name}_mean"]) / np.sqrt(w[f"{name}_variance"] + 1e-5) + w[f"layer_b{i}"]
        z = np.logaddexp(0, z)
    return z @ w[f"layer_w{depth}"] + w[f"layer_b{depth}"]


def gsn_samples(run, n, random):
    """States of n chains on reals without bounds, from 0: after 100 steps no start is left."""
    o, w, count = run.options, run.weights, len(run.options["hidden"])
    act, sigma = ACTIVATIONS[o["activation"]], np.sqrt(np.exp(w["chain/log_variance"]) + o["min_sigma"] ** 2)
    h = [np.zeros((n, run.dim))] + [np.zeros((n, width)) for width in o["hidden"]]
    for _ in range(100):
        h[0] = h[0] + o["corruption_sigma"] * random.standard_normal(h[0].shape)
        for i in [*range(1, count + 1, 2), *range(2, count + 1, 2)]:
            a = h[i - 1] @ w[f"chain/w{i - 1}"] + w[f"chain/b{i}"] + (h[i + 1] @ w[f"chain/w{i}"].T if i < count else 0)
            noise = o["hidden_noise"] * (i > 1 or count == 1 or o["noisy_first_layer"])
            h[i] = act(a + noise * random.standard_normal(a.shape)) + noise * random.standard_normal(a.shape)
        h[0] = h[1] @ w["chain/w0"].T + w["chain/b0"] + sigma * random.standard_normal((n, run.dim))
    return h[0]


def iwae(run, s, x, random):
    """Burda et al. 2016, equation 8; with a generator, the likelihood of Bernoullis with its output as their means."""
    rows = np.repeat(x, s["n_importance"], 0)
    if s["proposal"] == "prior":
        z, log_weight = prior(run, len(rows), random), 0
    else:
        mu, log_variance = (np.repeat(part, s["n_importance"], 0) for part in encode(run, x))
        z = mu + np.exp(0.5 * log_variance) * random.standard_normal(mu.shape)
        log_weight = normal(z, 0, np.zeros_like(z)) - normal(z, mu, log_variance)
    log_weight = log_weight + vae_observation(run, rows, decode(run, z))
    return log_sum_exp(log_weight.reshape(len(x), -1), 1) - np.log(s["n_importance"])


def vae_observation(run, x, y):
    """log p(x|z) from the decoder's output y."""
    o, d, box = run.options, run.dim, run.box()
    if run.measure == "counting":
        return bernoulli(x, y)
    raw = y[:, d:] if o["variance"] == "predicted" else run.weights.get("decoder/log_variance")
    log_variance = 2 * np.log(o["sigma"]) if raw is None else np.log(np.exp(raw) + o["min_sigma"] ** 2)
    mean = y[:, :d] if box is None else box[0] + (box[1] - box[0]) * sigmoid(y[:, :d])
    return normal(x, mean, log_variance)


EXACT = {"independent": independent, "chow_liu": chow_liu, "gaussian": gaussian, "mixture": mixture, "kde": kde,
         "fvbn": fvbn, "nade": nade, "made": made, "made_mog": made_mog, "pixelcnn": pixelcnn, "wavenet": wavenet,
         "nice": nice, "flow_gan": nice, "ica": ica, "maf": maf,
         "realnvp": realnvp,
         "self_contrastive": self_contrastive}
BOUND = {"elbo": elbo, "iwae": iwae}


# Densities up to Z.


def rbm(run, x):
    w, b, c = run.weights["weights/w"], run.weights["biases/b"], run.weights["biases/c"]
    if run.measure == "counting":
        return (x @ b.T)[:, 0] + softplus(x @ w + c).sum(1)
    sigma = np.exp(run.weights["biases/log_sigma"])
    return -0.5 * (((x - b) / sigma) ** 2).sum(1) + softplus(x / sigma @ w + c).sum(1)


def rbm_log_z(run):
    """Over all states of the hidden units."""
    w, b, c = run.weights["weights/w"], run.weights["biases/b"], run.weights["biases/c"]
    h = np.array(list(itertools.product((0, 1), repeat=w.shape[1])), float)
    if run.measure == "counting":
        return log_sum_exp((h @ c.T)[:, 0] + softplus(h @ w.T + b).sum(1), 0)
    sigma, a = np.exp(run.weights["biases/log_sigma"]), h @ w.T
    return log_sum_exp((h @ c.T)[:, 0] + (a * b / sigma + 0.5 * a**2).sum(1), 0) + np.log(np.sqrt(2 * np.pi) * sigma).sum()


def dbm(run, x):
    """The variational term, after a fixed number of updates of the means."""
    w1, w2 = run.weights["weights/w1"], run.weights["weights/w2"]
    b, c1, c2 = (run.weights[f"biases/{k}"] for k in ("b", "c1", "c2"))
    up = x @ w1 + c1
    a1 = 2 * up
    for _ in range(run.options["mean_field_steps"]):
        a1 = up + sigmoid(sigmoid(a1) @ w2 + c2) @ w2.T
    mu1 = sigmoid(a1)
    return (x @ b.T)[:, 0] + (mu1 * (up - a1) + softplus(a1)).sum(1) + softplus(mu1 @ w2 + c2).sum(1)


def dbm_log_z(run):
    w1, w2 = run.weights["weights/w1"], run.weights["weights/w2"]
    b, c1, c2 = (run.weights[f"biases/{k}"] for k in ("b", "c1", "c2"))
    h = np.array(list(itertools.product((0, 1), repeat=w1.shape[1])), float)
    return log_sum_exp((h @ c1.T)[:, 0] + softplus(h @ w1.T + b).sum(1) + softplus(h @ w2 + c2).sum(1), 0)


def nce(run, x):
    o, w = run.options, {key.split("/")[1]: value for key, value in run.weights.items() if key.startswith("energy/")}
    bits, e = run.measure == "counting", x - w["b"]
    if o["energy"] == "mlp":
        g = run.layers("energy/layer", x, ACTIVATIONS[o["activation"]])[:, 0]
        return g + ((x @ w["b"].T)[:, 0] if bits else -0.5 * ((e * np.exp(w["log_scale"])) ** 2).sum(1))
    if o["energy"] == "ica":
        return SOURCES["logistic"](e @ w["w"]).sum(1)
    return ((x @ w["w"]) * x).sum(1) + (x @ w["b"].T)[:, 0] if bits else -0.5 * ((e @ w["w"]) ** 2).sum(1)


def nce_log_z(run):
    """Over all states, or of a linear map."""
    if run.measure == "counting":
        return log_sum_exp(nce(run, np.array(list(itertools.product((0, 1), repeat=run.dim)), float)), 0)
    constant = 0.5 * run.dim * np.log(2 * np.pi) if run.options["energy"] == "quadratic" else 0
    return constant - np.linalg.slogdet(run.weights["energy/w"])[1]


UNNORMALISED = {"rbm": (rbm, rbm_log_z), "dbm": (dbm, dbm_log_z), "nce": (nce, nce_log_z)}
LATENT = {"vae", "iwae", "gan", "sgan", "gsn"}  # models without a density of their own; a generator has one with noise laid over it


# Checks of one file: each adds to `said` and raises Wrong.


class Wrong(Exception):
    pass


def near(what, stored, own, relative=1e-9):
    if not (np.isnan(stored) and np.isnan(own)) and not abs(stored - own) <= relative * max(1, abs(own)):
        raise Wrong(f"{what} is {stored!r} in the file, {own!r} here")


def check_summary(run, what, likelihood, errors):
    """Attributes against the array that they summarise."""
    ll, attrs = likelihood[()], likelihood.attrs
    n, mean = len(ll), ll.mean()
    near(f"{what}: mean", attrs["mean"], mean)
    near(f"{what}: std_error", attrs["std_error"], ll.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan)
    errors = np.zeros(n) if errors is None else errors[()]
    if text(likelihood, "estimator") in OF_Z:
        near(f"{what}: mc_error", attrs["mc_error"], json.loads(text(likelihood, "settings")).get("log_z_error", 0))
    elif text(likelihood, "estimator") not in SHARED_NOISE:
        near(f"{what}: mc_error", attrs["mc_error"], np.sqrt((errors**2).sum()) / n)
    elif not 0 < attrs["mc_error"] <= errors.mean() * (1 + 1e-6):
        raise Wrong(f"{what}: mc_error is {attrs['mc_error']!r}, of rows {errors.mean()!r} on average")
    bits = -mean / (run.dim * np.log(2))
    if text(likelihood, "measure") == "lebesgue":
        bits += np.log2(run.levels) if run.levels else np.nan
    near(f"{what}: bits_per_dim", attrs["bits_per_dim"], bits)


def rounding(run, x, own):
    """What a row may be off: distances to kernels, of products of matrices, lose the digits of their squares."""
    allowed = run.tolerance * np.maximum(np.abs(own), run.dim)
    if run.model == "kde":
        squares = ((x - run.weights["kernels/mean"]) ** 2).sum(1) + (run.weights["kernels/offset"] ** 2).sum(1).max()
        allowed += 0.03 * run.tolerance * run.weights["kernels/scale"][0, 0] * squares
    return allowed


def check_exact(run, what, x, jacobian, ll, density=None):
    own = (density or EXACT[run.model])(run, x) + jacobian
    allowed = rounding(run, x, own)
    difference = np.abs(ll - own)
    row = int(np.argmax(np.where(np.isnan(difference), np.inf, difference / allowed)))
    if not difference[row] <= allowed[row]:
        raise Wrong(f"{what}: row {row} is {ll[row]!r} in the file, {own[row]!r} here")
    return f"{what} {len(x)} rows, largest difference {difference[row]:.1e} of {allowed[row]:.1e} allowed"


def check_unnormalised(run, s, what, estimator, x, jacobian, ll):
    """log p* by its formula; log Z by all states where there are few of them."""
    density, log_z = UNNORMALISED[run.model]
    if estimator == "enumerated" or s.get("start") == "exact":
        own, allowed = log_z(run), 5 * s.get("log_z_error", 0)
        if not abs(s["log_z"] - own) <= allowed + 10 * run.tolerance * max(run.dim, abs(own)):
            raise Wrong(f"{what}: log Z is {s['log_z']:.6f} in the file, {own:.6f} here")
    if estimator == "self_normalised":
        near(f"{what}: log Z", s["log_z"], -run.weights["energy/c"][0, 0])
    return check_exact(run, what, x, jacobian, ll, lambda run, x: density(run, x) - s["log_z"])


def check_bound(run, s, what, bound, x, jacobian, ll, stderr):
    """The stored means of so many draws a row and their errors, against own draws, which also give the spread. The
    mean of few skewed draws strays farther (Cornish & Fisher 1938)."""
    rows = min(len(x), max(1, DRAWS // (REPEATS * s.get("n_importance", 1))))
    x, jacobian, ll, stderr, repeats = x[:rows], jacobian[:rows], ll[:rows], stderr[:rows], s["n_repeat"]
    random = np.random.default_rng(20160719)
    own = np.stack([bound(run, s, x, random) for _ in range(REPEATS)]) + jacobian
    mean, centred = own.mean(0), own - own.mean(0)
    variance = (centred**2).sum(0) / (REPEATS - 1)
    sd = np.sqrt(variance)
    skew = np.abs((centred**3).mean(0)) / np.maximum(sd, 1e-9) ** 3
    error = sd * np.sqrt(1 / repeats + 1 / REPEATS)
    rounded = rounding(run, x, mean)
    single = (SIGMAS[1] + (SIGMAS[1] ** 2 - 1) / 6 * skew / np.sqrt(repeats)) * error + rounded
    row = int(np.argmax(np.abs(ll - mean) / single))
    if not abs(ll[row] - mean[row]) <= single[row]:
        raise Wrong(f"{what}: row {row} is {ll[row]:.4f} in the file, {mean[row]:.4f} +- {error[row]:.4f} here")
    together = np.sqrt((error**2).sum()) / len(x)
    off = (ll - mean).mean()
    if not abs(off) <= SIGMAS[0] * together + rounded.mean():
        raise Wrong(f"{what}: the mean differs by {off:.4f} +- {together:.4f} over {len(x)} rows")
    if repeats > 1:  # else the errors are a jackknife's
        spread = ((centred**4).mean(0) - variance**2) / repeats + 2 * variance**2 / (repeats * (repeats - 1))
        expected, found = variance.sum(), (stderr**2).sum() * repeats
        if not abs(found - expected) <= SIGMAS[1] * np.sqrt(spread.sum() * (1 + repeats / REPEATS)) + (rounded**2).sum():
            raise Wrong(f"{what}: Monte Carlo variances of the rows sum to {found:.4g}, here {expected:.4g}")
    return f"{what} {len(x)} rows, mean differs by {off:.1e}, Monte Carlo error {together:.1e}"


def parzen(kernels, sigma, x):
    """Log density of a kernel at each row of `kernels`, its error a row (infinitesimal jackknife) and of the mean."""
    n, d = kernels.shape
    each = np.stack([normal(kernels, row, 2 * np.log(sigma) * np.ones(d)) for row in x])
    value = log_sum_exp(each, 1)
    share = np.exp(each - value[:, None])
    error = np.sqrt(np.maximum((share**2).sum(1) - 1 / n, 0) * n / (n - 1))
    return value - np.log(n), error, share.sum(0).std(ddof=1) * np.sqrt(n) / len(x)


def check_parzen(run, s, what, file, x, ll, stderr, mc_error):
    """Against as many kernels again: the stored samples, of a generator samples drawn here."""
    if run.model in {"gan", "sgan"}:
        kernels = decode(run, prior(run, 4000, np.random.default_rng(20160719)))
    else:
        kernels = file["samples/mean" if s["kernel_at"] == "mean" else "samples/x"][()].astype(np.float64)
    n, grid = s["n_sample"], np.geomspace(s["sigma_min"], s["sigma_max"], s["n_sigma"])
    near(f"{what}: sigma", s["sigma"], grid[np.argmin(np.abs(grid - s["sigma"]))])
    own, error, shared = parzen(kernels, s["sigma"], x)
    expected = error * np.sqrt(len(kernels) / n)
    sure = np.maximum(error, expected) < FEW
    if not sure.any():
        return f"{what}: too few kernels for {len(x)} rows"
    allowed = SIGMAS[1] * np.hypot(error, expected)[sure] + rounding(run, x, own)[sure]
    off = (ll - own)[sure]
    row = int(np.argmax(np.abs(off) / allowed))
    if not abs(off[row]) <= allowed[row]:
        raise Wrong(f"{what}: a row is {ll[sure][row]:.4f} in the file, {own[sure][row]:.4f} +- {allowed[row] / SIGMAS[1]:.4f} here")
    each = np.sqrt((stderr[sure] ** 2).mean() / (expected[sure] ** 2).mean())
    together = mc_error / shared * np.sqrt(n / len(kernels)) if sure.all() else 1
    if not 0.4 < min(each, together) <= max(each, together) < 2.5:
        raise Wrong(f"{what}: errors of rows are {each:.2f} times what they are here, that of the mean {together:.2f}")
    return f"{what} {sure.sum()} rows, mean differs by {off.mean():.1e}, Monte Carlo error {np.hypot(mc_error, shared):.1e}"


def check_samples(run, file):
    if run.view not in IDENTITY_VIEWS or "log_likelihood" not in file.get("samples", {}):
        return []
    x = file["samples/x"][:64].astype(np.float64)
    ll = file["samples/log_likelihood"][: len(x)]
    tolerance, run.tolerance = run.tolerance, 1e-5  # stored samples are float32
    said = check_exact(run, "samples", x, 0, ll)
    run.tolerance = tolerance
    return [said]


def check_chain(run, file):
    """First and second moments of the stored samples against those of a chain that is run here."""
    if run.measure == "counting" or run.view not in IDENTITY_VIEWS:
        return []
    x, own = file["samples/x"][()].astype(np.float64), gsn_samples(run, 4000, np.random.default_rng(20160719))
    for power in (1, 2):
        a, b = x**power, own**power
        sigmas = np.abs(a.mean(0) - b.mean(0)) / np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
        if not sigmas.max() <= SIGMAS[1]:
            raise Wrong(f"samples: moments of order {power} differ by {sigmas.max():.1f} standard errors")
    return [f"moments of {len(x)} samples"]


def check_coin_flips(run, file, split, likelihood):
    """Nobody assigns coin flips a higher mean log-likelihood than minus their entropy."""
    entropy = file.get(f"metrics/coin_flip_entropy_{split}")
    if entropy is None:
        return
    if not 0 <= entropy[()] <= run.dim * np.log(2):
        raise Wrong(f"{entropy.name} is {entropy[()]!r} nats of {run.dim} flips")
    if not likelihood.attrs["mean"] <= -entropy[()] + SIGMAS[1] * likelihood.attrs["std_error"]:
        raise Wrong(f"{likelihood.name}: the mean, {likelihood.attrs['mean']:.4f}, is above minus {entropy.name}")


def check_estimate(run, file, what, group, x, jacobian):
    """What was compared, or None where nothing is known otherwise: of ais, or of orders that are not stored."""
    likelihood = group["log_likelihood"]
    ll, s, estimator = likelihood[: len(x)], json.loads(text(likelihood, "settings")), text(likelihood, "estimator")
    x, jacobian = x[: len(ll)], jacobian[: len(ll)]
    errors = group["stderr"][: len(ll)] if "stderr" in group else None
    if estimator == "exact":
        return check_exact(run, what, x, jacobian, ll)
    if estimator == "ensemble" and run.model == "made":
        return check_exact(run, what, x, jacobian, ll, lambda run, x: made(run, x, s["n_ordering"]))
    if estimator in OF_Z and run.model in UNNORMALISED:
        return check_unnormalised(run, s, what, estimator, x, jacobian, ll)
    if estimator in BOUND:
        return check_bound(run, s, what, BOUND[estimator], x, jacobian, ll, errors)
    if estimator == "parzen" and run.view in IDENTITY_VIEWS:
        return check_parzen(run, s, what, file, x, ll, errors, likelihood.attrs["mc_error"])
    return None


def mmd(settings, stored, x, y):
    kernel = lambda a, b: np.mean([np.exp(-squares(a, b) / (2 * (c * stored["bandwidth"]) ** 2)) for c in settings["scales"]], axis=0)
    n = len(x)
    off = lambda k: (k.sum() - np.trace(k)) / (n * (n - 1))
    return {"": off(kernel(x, x)) + off(kernel(y, y)) - 2 * kernel(x, y).mean()}


def frechet(settings, stored, x, y):
    a, b = (np.cov(rows, rowvar=False).reshape(x.shape[1], -1) for rows in (x, y))
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    trace = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum()
    return {"": ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * trace}


def knn(settings, stored, x, y):
    radius = lambda rows: np.sort(squares(rows, rows), axis=1)[:, settings["k"]]  # the first is the row itself
    d, k = squares(x, y), settings["k"]
    inside, recalled = d <= radius(y), d <= radius(x)[:, None]
    return {"precision": inside.any(1).mean(), "recall": recalled.any(0).mean(), "density": inside.sum() / (k * len(x)),
            "coverage": inside.any(0).mean()}


METRICS = {"mmd": mmd, "frechet": frechet, "knn": knn}


def squares(a, b):
    return ((a[:, None] - b[None]) ** 2).sum(-1)


def check_metrics(run, file):
    """Those of which all rows are stored, in the data themselves."""
    said, rows = [], file["data/test"]
    for asked in json.loads(file["config/json"][()])["evaluate"].get("metrics", []):
        name = asked.get("name", asked["metric"])
        stored = {k[len(name) + 1:]: v for k, v in file["metrics"].items() if k == name or k.startswith(name + "_")}
        if asked["metric"] not in METRICS or not stored or run.view not in IDENTITY_VIEWS:
            continue
        n = min(int(v.attrs["n_sample"]) for v in stored.values())
        if rows.attrs["n_rows"] != n or len(rows["x"]) != n or len(file["samples/x"]) < n or run.dim > asked["n_component"]:
            continue
        x, y = (a[:n].astype(np.float64) for a in (file["samples/x"], rows["x"]))
        values = {k: v[()] for k, v in stored.items()}
        for key, own in METRICS[asked["metric"]](asked, values, x, y).items():
            if not abs(values[key] - own) <= 1e-4 * max(1, abs(own)):
                raise Wrong(f"{name} {key}: stored {values[key]!r}, here {own!r}")
        said.append(f"{name} of {n} samples")
    return said


def check(run, file, estimates=None):
    """List of what was compared; empty where the model has no density."""
    said = []
    for split, estimators in (estimates or file)["likelihood"].items():
        if split == "simulated":  # rows that the model drew: they lie beside their likelihoods
            for name, group in estimators.items():
                check_summary(run, f"{name} {split}", group["log_likelihood"], group.get("stderr"))
            continue
        rows = file[f"data/{split}"]
        x = rows["x"][()].astype(np.float64)
        jacobian = rows["log_jacobian"][()] if "log_jacobian" in rows else np.zeros(len(x))
        for name, group in estimators.items():
            what, errors = f"{name} {split}", group.get("stderr")
            check_summary(run, what, group["log_likelihood"], errors)
            check_coin_flips(run, file, split, group["log_likelihood"])
            compared = check_estimate(run, file, what, group, x, jacobian)
            said += [compared] if compared else []
    if estimates:
        return said
    if run.model == "gsn":
        said += check_chain(run, file)
    return said + (check_samples(run, file) if run.model in EXACT else []) + check_metrics(run, file)


def verdict(path):
    """"ok", "skip" or "FAIL", and what is said about the file."""
    with h5py.File(path) as estimates, h5py.File(os.path.join(os.path.dirname(path), "result.h5")) as file:
        later = text(estimates, "schema") == "taxon-evaluation"
        run = Run.read(file)
        name = f"{text(file, 'label')} on {text(file, 'dataset')}-{run.view}{', evaluated' * later}"
        if text(file, "status") != "complete":
            return "skip", f"{name}: {text(file, 'status')}"
        try:
            if later and text(estimates, "run_sha256") != text(file, "content_sha256"):
                raise Wrong("evaluates another run")
            said = check(run, file, estimates if later else None)
        except Wrong as wrong:
            return "FAIL", f"{name}: {wrong}"
        if not said and run.model not in {"gan", "sgan", "gsn"} and not later:
            return "FAIL", f"{name}: no log-likelihood to check"
        return ("ok", f"{name}: {'; '.join(said)}") if said else ("skip", f"{name}: nothing that is known otherwise")


# Self-test.


def noticed(run, file, key):
    """Does some single entry of a weight, 0.05 larger, fail the check? Not every entry can: a pixel that is always 0
    has weights that never count. A bound hides small changes in its noise: there the whole weight moves, by 0.5."""
    weight = run.weights[key]
    flat = weight.reshape(-1)
    for entry in np.random.default_rng(0).permutation(flat.size)[:100]:
        kept = flat.copy()
        if run.model in LATENT:
            flat += 0.5
        else:
            flat[entry] += 0.05
        try:
            with np.errstate(all="ignore"):
                check(run, file)
        except Wrong:
            return True
        finally:
            flat[:] = kept
        if run.model in LATENT:
            break
    return False


def perturbed(path):
    with h5py.File(path) as file:
        run = Run.read(file)
        name = f"{text(file, 'label')} on {text(file, 'dataset')}-{run.view}"
        keys = [key for key in run.weights if not key.startswith(("structure/", "discriminator/", "chains/", "noise/"))]
        if not check(run, file):
            return "skip", f"{name}: nothing that is known otherwise"
        missed = [key for key in keys if not noticed(run, file, key)]
        said = f"{name}: changes of {len(keys) - len(missed)} weights are noticed"
        if missed:  # a mixture of one component has free logits, one variable depends on no other
            said += f", not those of {', '.join(missed)}"
        return "FAIL" if missed else "ok", said


def drawn(random, **shapes):
    return {key.replace("__", "/"): 0.9 * random.standard_normal(shape) for key, shape in shapes.items()}


SHARES = {"kernels/log_weight": np.log([[0.1, 0.2, 0.3, 0.4]]), "kernels/scale": np.array([[1.3]])}


def tiny_discrete(random):
    """Models of {0,1}^6 or {0,1,2}^3 with random weights, of every kind."""
    d = 6
    places = [random.permutation(d) + 1.0 for _ in range(3)]
    structure = {"structure/place": np.stack(places),
                 "structure/degree0": random.integers(1, d, (3, 7)).astype(float),
                 "structure/degree1": random.integers(1, d, (3, 5)).astype(float)}
    order = {"structure/place": places[0][None]}
    head = {"net__w0": (d, 7), "net__b0": (1, 7)}
    deep = {**head, "net__w1": (7, 5), "net__b1": (1, 5), "net__w_out": (5, d), "net__b_out": (1, d)}
    options = {"hidden": [7, 5], "activation": "tanh", "masks": 1, "direct": False}
    nade_net = {"net__c": (1, 7), "net__v": (d, 7), "net__b": (1, d)}
    yield Run("independent", {}, drawn(random, marginals__logit=(1, d)), d), 2
    yield Run("independent", {}, drawn(random, marginals__logit=(3, 3)), 3), 3
    parent = {"structure/parent": np.array([[2.0, 0, 2, 0, 3, 2]])}
    tree = drawn(random, tree__logit0=(1, d), tree__logit1=(1, d))
    tree["tree/logit1"][0, 2] = tree["tree/logit0"][0, 2]  # the root
    yield Run("chow_liu", {}, {**tree, **parent}, d), 2
    yield Run("mixture", {}, drawn(random, mixture__log_weight=(1, 3), mixture__logit=(3, d)), d), 2
    centres = {"kernels/mean": np.zeros((1, d)), "kernels/offset": random.integers(0, 2, (4, d)).astype(float)}
    yield Run("kde", {}, {**centres, **SHARES}, d), 2
    yield Run("fvbn", {}, {**drawn(random, net__w=(d, d), net__b=(1, d)), **order}, d), 2
    yield Run("made", options, drawn(random, **deep), d), 2
    several = {**options, "masks": 3, "direct": True, "activation": "relu"}
    yield Run("made", several, {**drawn(random, **deep, net__direct_out=(d, d)), **structure}, d), 2
    none = {**options, "hidden": []}
    yield Run("made", none, drawn(random, net__w_out=(d, d), net__b_out=(1, d)), d), 2
    yield Run("nade", {"order": "fixed", "hidden": [7]}, drawn(random, net__w=(d, 7), **nade_net), d), 2
    both = {**drawn(random, net__w=(2 * d, 7), net__w1=(7, 7), net__b1=(1, 7), **nade_net), **order}
    yield Run("nade", {"order": "agnostic", "hidden": [7, 7]}, both, d), 2
    random = np.random.default_rng(11)
    top = {"net__hidden_w": (3, 4), "net__hidden_b": (1, 4), "net__last_b": (1, 1)}
    stacks = {"net__above0_w": (3, 3), "net__above0_b": (1, 3), "net__left0_w": (1, 3), "net__left0_b": (1, 3),
              "net__above1_w": (18, 6), "net__above1_b": (1, 6), "net__link1_w": (6, 6), "net__left1_w": (6, 6),
              "net__left1_b": (1, 6), "net__out1_w": (3, 3), "net__out1_b": (1, 3), "net__position": (1, 18)}
    run = Run("pixelcnn", {"first_kernel": 3, "kernel": 3, "layers": 1}, drawn(random, **stacks, **top, net__last_w=(4, 1)), d)
    run.image = 2, 3
    yield run, 2
    wave = {"net__left0_w": (2, 2), "net__left0_b": (1, 2), "net__left1_w": (4, 4), "net__left1_b": (1, 4),
            "net__out1_w": (2, 2), "net__out1_b": (1, 2), "net__skip1_w": (2, 3), "net__skip1_b": (1, 3),
            "net__left2_w": (4, 4), "net__left2_b": (1, 4), "net__skip2_w": (2, 3), "net__skip2_b": (1, 3)}
    top["net__last_b"] = 1, 3
    run = Run("wavenet", {"kernel": 2, "layers": 2, "blocks": 1}, drawn(random, **wave, **top, net__last_w=(4, 3)), 4)
    run.levels = 3
    yield run, 3


def tiny_continuous(random):
    """Models of the plane."""
    heads = {f"net__{kind}_{head}": (rows, 6)
             for head in ("logit", "mean", "log_sd") for kind, rows in (("w", 5), ("b", 1))}
    mixture = {"hidden": [5], "activation": "sigmoid", "components": 3, "min_log_sd": -1.5}
    narrow = {key: 0.4 * value for key, value in drawn(random, net__w0=(2, 5), net__b0=(1, 5), **heads).items()}
    yield Run("made_mog", mixture, narrow, 2)
    flow = {f"flow__coupling{k}_{kind}{layer}": (rows, cols) for k in range(3)
            for layer, (rows_in, cols) in enumerate([(1, 4), (4, 1)]) for kind, rows in (("w", rows_in), ("b", 1))}
    for prior in "logistic", "normal":
        options = {"activation": "leaky_relu", "couplings": 3, "prior": prior}
        weights = {**drawn(random, **flow), "flow/log_scale": np.array([[0.7, 0.2]])}
        yield Run("nice", options, weights, 2)
    for source in "logistic", "sech":
        linear = drawn(random, flow__shift=(1, 2), flow__log_scale=(1, 2), flow__upper0=(2, 2), flow__upper1=(2, 2))
        yield Run("ica", {"source": source}, linear, 2)
    start = {"flow/shift": np.array([[0.3, -0.2]]), "flow/log_scale": np.array([[0.1, -0.3]])}
    for norm in False, True:
        options = {"blocks": 2, "hidden": [4], "activation": "tanh", "max_log_scale": 0.5, "batch_norm": norm}
        layers = {f"flow__block{k}_{name}": shape for k in range(2)
                  for name, shape in (("w0", (2, 4)), ("b0", (1, 4)), ("w_mean", (4, 2)), ("b_mean", (1, 2)),
                                      ("w_log_scale", (4, 2)), ("log_gain", (1, 2)), ("bias", (1, 2)))}
        running = {f"running/block{k}_{name}": np.array([value]) for k in range(2)
                   for name, value in (("mean", (0.1, -0.4)), ("variance", (1.2, 0.8)))}
        weights = {key: 0.4 * value for key, value in drawn(random, **layers).items()}
        yield Run("maf", options, {**weights, **start, **running}, 2)
        options = {"couplings": 2, "activation": "tanh", "split": "interleaved", "batch_norm": norm}
        layers = {f"flow__coupling{k}_{name}": shape for k in range(2)
                  for name, shape in (("w0", (1, 4)), ("b0", (1, 4)), ("w1", (4, 2)), ("b1", (1, 2)),
                                      ("rescale", (1, 1)), ("log_gain", (1, 1)), ("bias", (1, 1)))}
        running = {f"running/coupling{k}_{name}": np.array([[value]]) for k in range(2)
                   for name, value in (("mean", 0.1), ("variance", 1.2))}
        weights = {key: 0.4 * value for key, value in drawn(random, **layers).items()}
        yield Run("realnvp", options, {**weights, **start, **running}, 2)
    yield Run("independent", {}, drawn(random, marginals__mean=(1, 2), marginals__log_variance=(1, 2)), 2)
    whitening = np.array([[0.7, 0], [0.4, 1.3]])
    yield Run("gaussian", {}, {**drawn(random, gaussian__mean=(1, 2)), "gaussian/whitening": whitening}, 2)
    parts = drawn(random, mixture__log_weight=(1, 3), mixture__mean=(3, 2), mixture__log_variance=(3, 2))
    yield Run("mixture", {}, parts, 2)
    kernels = {**drawn(random, kernels__mean=(1, 2), kernels__offset=(4, 2)), **SHARES}
    run = Run("kde", {}, kernels, 2)
    run.measure = "lebesgue"
    yield run


def linear_vae_gap(random):
    """A linear VAE with the true posterior is probabilistic PCA: its bound is exact (Tipping & Bishop 1999), and so is each
    importance weight. Returns the mean distance in Monte Carlo errors, and the largest of weights. A diagonal posterior
    needs orthogonal columns."""
    sigma, w, b = 0.7, np.linalg.qr(random.standard_normal((5, 2)))[0] * [1.3, 0.6], random.standard_normal((1, 5))
    precision = 1 + (w**2).sum(0) / sigma**2
    to_mu = w / sigma**2 / precision
    weights = {"encoder/layer_w0": np.hstack([to_mu, np.zeros((5, 2))]), "decoder/layer_w0": w.T, "decoder/layer_b0": b,
               "encoder/layer_b0": np.hstack([-b @ to_mu, -np.log(precision)[None]])}
    options = {"latent": 2, "activation": "tanh", "variance": "fixed", "sigma": sigma, "n_sample": 2}
    run, x = Run("vae", options, weights, 5), random.standard_normal((20, 5))
    run.measure = "lebesgue"
    bound = np.stack([elbo(run, {}, x, random) for _ in range(2000)]).mean(1)
    covariance = w @ w.T + sigma**2 * np.eye(5)
    centred = x - b
    squares = (centred * np.linalg.solve(covariance, centred.T).T).sum(1)
    truth = -0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + squares)
    weight = iwae(run, {"n_importance": 3, "proposal": "encoder"}, x, random) - truth
    return abs(bound.mean() - truth.mean()) / (bound.std() / np.sqrt(len(bound))), np.abs(weight).max()


def formulas():
    """Verdicts: densities sum to 1."""
    random = np.random.default_rng(7)
    for run, levels in tiny_discrete(random):
        x = np.array(list(itertools.product(range(levels), repeat=run.dim)), float)
        total = np.exp(EXACT[run.model](run, x)).sum()
        yield "ok" if abs(total - 1) < 1e-12 else "FAIL", f"{run.model}: sum over {len(x)} values, 1 + {total - 1:.0e}"
    step = 0.05
    axis = np.arange(-30, 30, step)
    for run in tiny_continuous(random):
        rows = (np.column_stack([np.full_like(axis, x), axis]) for x in axis)
        total = sum(np.exp(EXACT[run.model](run, x)).sum() for x in rows) * step**2
        yield "ok" if abs(total - 1) < 1e-6 else "FAIL", f"{run.model}: integral over the plane, 1 + {total - 1:.0e}"
    gap, off = linear_vae_gap(random)
    yield "ok" if gap < SIGMAS[1] else "FAIL", f"vae: bound of a linear one, {gap:.1f} errors from log p(x)"
    yield "ok" if off < 1e-12 else "FAIL", f"vae: importance weights of a linear one, {off:.0e} from log p(x)"
    kernels, x = random.standard_normal((7, 2)), random.standard_normal((5, 2))
    same = {"log_weight": np.zeros((1, 7)), "mean": kernels, "log_variance": np.full((7, 2), 2 * np.log(0.7))}
    off = np.abs(parzen(kernels, 0.7, x)[0] - mixture(Run("mixture", {}, {f"mixture/{k}": v for k, v in same.items()}, 2), x)).max()
    yield "ok" if off < 1e-12 else "FAIL", f"parzen: {off:.0e} from a mixture of normals"


def main(arguments):
    testing = "--self-test" in arguments
    paths = [a for a in arguments if a != "--self-test"]
    if not testing and not paths or any(a.startswith("-") for a in paths):
        sys.exit(__doc__)
    count = {"ok": 0, "skip": 0, "FAIL": 0}

    def tell(word, said):
        count[word] += 1
        print(f"{word:4}  {said}", flush=True)

    if testing:
        for each in formulas():
            tell(*each)
    for path in paths:
        tell(*(perturbed if testing else verdict)(path))
    print(f"{count['ok']} passed, {count['FAIL']} failed")
    return 1 if count["FAIL"] or not count["ok"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
