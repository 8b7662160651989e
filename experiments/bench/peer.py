#!/usr/bin/python3
"""The workloads of `taxon bench` in PyTorch (Debian's python3-torch), eager mode: what a user would otherwise pick.

    peer.py THREADS [--seconds S] [WORKLOAD ...]

A comment line with versions, then a line a workload: name, phase, batch, median ms, img/s, n. Data, architectures, batches and
optimisers are those of experiments/bench/workloads.c. Where the usual way to write a step is far from the fastest one, the
fastest has a row of its own: made-500-incremental, nade-500-unbound.
"""
import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

DIM, ROWS = 784, 6000


def layers(widths, hidden, last=None):
    """A multilayer perceptron: `hidden` makes the activation between layers, `last` the one behind them."""
    stack = []
    for i, (wide, high) in enumerate(zip(widths, widths[1:])):
        stack.append(nn.Linear(wide, high))
        if i + 2 < len(widths):
            stack.append(hidden())
    return nn.Sequential(*stack, *([last()] if last else []))


class Batches:
    """Rows of the data set in turn: slices, which cost nothing."""

    def __init__(self, data, size):
        self.data, self.size, self.at = data, size, 0

    def __call__(self):
        x = self.data[self.at : self.at + self.size]
        self.at = (self.at + self.size) % len(self.data)
        return x


def cross_entropy(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


def stepper(optimiser, loss):
    def step():
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()

    return step


def vae(data):
    encoder, decoder = layers((DIM, 500, 40), nn.Tanh), layers((20, 500, DIM), nn.Tanh)
    batch = Batches(data, 100)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)

    def loss():
        x = batch()
        mean, log_variance = encoder(x).chunk(2, 1)
        z = torch.addcmul(mean, torch.randn_like(mean), (log_variance * 0.5).exp())
        divergence = 0.5 * (mean * mean + log_variance.exp() - log_variance - 1).sum() / len(x)
        return cross_entropy(decoder(z), x) + divergence

    @torch.no_grad()
    def sample():
        torch.bernoulli(torch.sigmoid(decoder(torch.randn(1000, 20))))

    yield "vae-500-20", "train", 100, stepper(optimiser, loss)
    yield "vae-500-20", "sample", 1000, sample


def gan(data):
    generator = layers((100, 1200, 1200, DIM), nn.ReLU, nn.Sigmoid)
    discriminator = layers((DIM, 1200, 1200, 1), lambda: nn.LeakyReLU(0.2))
    batch = Batches(data, 100)
    of_g, of_d = (torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999)) for net in (generator, discriminator))

    def step():
        x = batch()
        fake = generator(torch.randn(len(x), 100))
        loss = F.softplus(-discriminator(x)).mean() + F.softplus(discriminator(fake.detach())).mean()
        of_d.zero_grad(set_to_none=True)
        loss.backward()
        of_d.step()
        discriminator.requires_grad_(False)  # the generator's step needs none of their gradients
        loss = F.softplus(-discriminator(fake)).mean()
        of_g.zero_grad(set_to_none=True)
        loss.backward()
        of_g.step()
        discriminator.requires_grad_(True)

    @torch.no_grad()
    def sample():
        generator(torch.randn(1000, 100))

    yield "gan-1200", "train", 100, step
    yield "gan-1200", "sample", 1000, sample


def nice(data):
    half, couplings = DIM // 2, 4
    nets = nn.ModuleList(layers((half, *[1000] * 5, half), nn.ReLU) for _ in range(couplings))
    log_scale = nn.Parameter(torch.zeros(DIM))
    batch = Batches(data, 200)
    optimiser = torch.optim.Adam([*nets.parameters(), log_scale], 1e-3)

    def couple(a, b, order, sign):
        for i in order:
            if i % 2 == 0:
                b = torch.add(b, nets[i](a), alpha=sign)
            else:
                a = torch.add(a, nets[i](b), alpha=sign)
        return torch.cat((a, b), 1)

    def loss():
        x = batch()
        x = x + torch.rand_like(x) / 256
        z = couple(x[:, 0::2], x[:, 1::2], range(couplings), 1) * log_scale.exp()
        return (F.softplus(z) + F.softplus(-z)).sum() / len(x) - log_scale.sum()

    @torch.no_grad()
    def sample():
        z = torch.logit(torch.rand(1000, DIM)) * (-log_scale).exp()
        couple(z[:, :half], z[:, half:], reversed(range(couplings)), -1)

    yield "nice-4x5x1000", "train", 200, stepper(optimiser, loss)
    yield "nice-4x5x1000", "sample", 1000, sample


def made(data):
    hidden = 500
    place = torch.arange(1, DIM + 1)
    degree = torch.randint(1, DIM, (hidden,))
    into, out_of = (degree[:, None] >= place).float(), (place[:, None] > degree).float()
    w, b = nn.Parameter(torch.randn(hidden, DIM) * 0.03), nn.Parameter(torch.zeros(hidden))
    v, c = nn.Parameter(torch.randn(DIM, hidden) * 0.03), nn.Parameter(torch.zeros(DIM))
    batch = Batches(data, 100)
    optimiser = torch.optim.Adam([w, b, v, c], 1e-3)

    def loss():
        x = batch()
        return cross_entropy(F.linear(F.relu(F.linear(x, w * into, b)), v * out_of, c), x)

    @torch.no_grad()
    def sample():
        """A forward pass a variable, as it is usually written; only the logit that is asked for is computed."""
        x, first, second = torch.zeros(100, DIM), w * into, v * out_of
        for d in range(DIM):
            h = F.relu(F.linear(x, first, b))
            x[:, d] = torch.bernoulli(torch.sigmoid(h @ second[d] + c[d]))

    @torch.no_grad()
    def incremental():
        """The hidden layer's inputs are carried along: what a drawn variable adds to them is one row of the weights."""
        x, first, second = torch.zeros(100, DIM), (w * into).t().contiguous(), v * out_of
        a = b.expand(100, -1).clone()
        for d in range(DIM):
            drawn = torch.bernoulli(torch.sigmoid(F.relu(a) @ second[d] + c[d]))
            x[:, d] = drawn
            a.addr_(drawn, first[d])

    yield "made-500", "train", 100, stepper(optimiser, loss)
    yield "made-500", "sample", 100, sample
    yield "made-500-incremental", "sample", 100, incremental


def nade(data):
    hidden = 500
    w, v = nn.Parameter(torch.randn(DIM, hidden) * 0.03), nn.Parameter(torch.randn(DIM, hidden) * 0.03)
    b, c = nn.Parameter(torch.zeros(DIM)), nn.Parameter(torch.zeros(hidden))
    batch = Batches(data, 100)
    optimiser = torch.optim.Adam([w, v, b, c], 1e-3)

    def loss():
        """A step a variable, as it is usually written; every index costs a tensor of zeros on the way back."""
        x = batch()
        a, logits = c.expand(len(x), -1), []
        for d in range(DIM):
            logits.append((torch.sigmoid(a) * v[d]).sum(1))
            a = a + x[:, d : d + 1] * w[d]
        return cross_entropy(torch.stack(logits, 1) + b, x)

    def unbound_loss():
        """Rows of the weights taken apart once, so that their gradients are put together once."""
        x = batch()
        a, logits = c.expand(len(x), -1), []
        columns, into, out_of = x.t().unsqueeze(2).unbind(0), w.unbind(0), v.unbind(0)
        for d in range(DIM):
            logits.append(torch.sigmoid(a) @ out_of[d])
            a = torch.addcmul(a, columns[d], into[d])
        return cross_entropy(torch.stack(logits, 1) + b, x)

    @torch.no_grad()
    def sample():
        a, x = c.expand(100, -1).clone(), torch.zeros(100, DIM)
        for d in range(DIM):
            drawn = torch.bernoulli(torch.sigmoid(torch.sigmoid(a) @ v[d] + b[d]))
            x[:, d] = drawn
            a.addr_(drawn, w[d])

    yield "nade-500", "train", 100, stepper(optimiser, loss)
    yield "nade-500-unbound", "train", 100, stepper(optimiser, unbound_loss)
    yield "nade-500", "sample", 100, sample


def fvbn(data):
    w, b = nn.Parameter(torch.zeros(DIM, DIM)), nn.Parameter(torch.zeros(DIM))
    mask = torch.tril(torch.ones(DIM, DIM), -1)
    batch = Batches(data, 100)
    optimiser = torch.optim.Adam([w, b], 1e-3)

    def loss():
        x = batch()
        return cross_entropy(F.linear(x, w * mask, b), x)

    yield "fvbn-logistic", "train", 100, stepper(optimiser, loss)


def rbm(data):
    w, b, c = 0.01 * torch.randn(DIM, 500), torch.zeros(DIM), torch.zeros(500)
    batch = Batches(data, 100)

    @torch.no_grad()
    def step():
        v = batch()
        p = torch.sigmoid(v @ w + c)
        v2 = torch.bernoulli(torch.sigmoid(torch.bernoulli(p) @ w.t() + b))
        p2 = torch.sigmoid(v2 @ w + c)
        w.add_(v.t() @ p - v2.t() @ p2, alpha=1e-4)
        b.add_((v - v2).mean(0), alpha=1e-2)
        c.add_((p - p2).mean(0), alpha=1e-2)

    yield "rbm-500-cd1", "train", 100, step


MODELS = (vae, gan, nice, made, nade, fvbn, rbm)
SECONDS = {
    ("nice-4x5x1000", "train"): 6,
    ("made-500", "sample"): 3,
    ("made-500-incremental", "sample"): 3,
    ("nade-500", "train"): 6,
    ("nade-500-unbound", "train"): 6,
    ("nade-500", "sample"): 3,
}


def median_of(step, seconds):
    for _ in range(3):
        step()
    times, begin = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times), len(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("threads", type=int)
    parser.add_argument("workload", nargs="*")
    parser.add_argument("--seconds", type=float, help="of each workload (3 to 6, as the table says)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    print(f"# torch {torch.__version__}, {args.threads} threads", flush=True)
    data = (torch.rand(ROWS, DIM) < 0.13).float()
    for model in MODELS:
        for name, phase, batch, step in model(data):
            if args.workload and name not in args.workload:
                continue
            median, n = median_of(step, args.seconds or SECONDS.get((name, phase), 4))
            print(f"{name:20s} {phase:8s} batch {batch:5d} {median * 1e3:10.3f} ms {batch / median:10.0f} img/s  (n={n})", flush=True)


if __name__ == "__main__":
    main()
