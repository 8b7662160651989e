#!/usr/bin/python3
"""The table of taxon beside PyTorch from what compare.sh has timed: compare.py FOLDER PREFIX

FOLDER holds a folder a round with peer-1.txt, peer-2.txt (peer.py with so many threads), taxon-1.json and taxon-2.json. Writes
PREFIX.md and PREFIX.csv. A ratio is PyTorch's time over taxon's in the same round; stated are the median and the range over rounds.
"""
import csv
import io
import json
import os
import re
import statistics
import sys

ROW = re.compile(r"(\S+) +(\S+) +batch +(\d+) +([\d.]+) ms ")
# Rows of the peer alone: the same work written otherwise.
SAME_AS = {"made-500-incremental": "made-500", "nade-500-unbound": "nade-500"}
GOAL_TWO = {
    ("vae-500-20", "train"): 2.5,
    ("vae-500-20", "sample"): 2.3,
    ("gan-1200", "train"): 1.6,
    ("gan-1200", "sample"): 1.05,
    ("nice-4x5x1000", "train"): 1.35,
    ("nice-4x5x1000", "sample"): 1.5,
    ("made-500", "train"): 3,
    ("made-500", "sample"): 100,
    ("made-500-incremental", "sample"): 7,
    ("nade-500", "train"): 10,
    ("nade-500", "sample"): 7,
    ("fvbn-logistic", "train"): 2.5,
    ("rbm-500-cd1", "train"): 2.5,
}
GOAL_ONE = {
    ("vae-500-20", "train"): 1.3,
    ("made-500", "train"): 1.3,
    ("nade-500", "train"): 1.3,
    ("fvbn-logistic", "train"): 1.3,
    ("gan-1200", "train"): 1.1,
    ("nice-4x5x1000", "train"): 1.1,
}
GOAL_SHARE = {("gan-1200", "train"): 0.85, ("nice-4x5x1000", "train"): 0.85}
GOAL_THREADS = {("nice-4x5x1000", "train"): 1.7, ("gan-1200", "train"): 1.7, ("vae-500-20", "train"): 1.7}


class Round:
    """What one round measured, by (workload, phase)."""

    def __init__(self, folder):
        self.peer, self.taxon = {}, {}
        for threads in (1, 2):
            with open(os.path.join(folder, f"peer-{threads}.txt"), encoding="utf-8") as f:
                lines = f.read().splitlines()
            self.peer_says = re.sub(r"^# |, \d+ threads$", "", lines[0])
            self.peer[threads] = {(m[1], m[2]): float(m[4]) for m in map(ROW.match, lines) if m}
            with open(os.path.join(folder, f"taxon-{threads}.json"), encoding="utf-8") as f:
                self.place = json.load(f)
            self.taxon[threads] = {(r["name"], r["phase"]): r for r in self.place["rows"]}

    def ours(self, key, threads, field="median_ms"):
        return self.taxon[threads][SAME_AS.get(key[0], key[0]), key[1]][field]

    def best(self, key):
        return min(self.peer[threads][key] for threads in (1, 2))


class Spread:
    """A quantity over the rounds."""

    def __init__(self, values):
        values = list(values)
        self.median, self.low, self.high = statistics.median(values), min(values), max(values)


def check(rounds):
    first = rounds[0]
    for r in rounds:
        for threads in (1, 2):
            for name, mine, theirs in (("peer", r.peer, first.peer), ("taxon", r.taxon, first.taxon)):
                if not mine[threads] or list(mine[threads]) != list(theirs[1]):
                    raise SystemExit(f"compare.py: {name} has other workloads in one round, or with {threads} threads: {list(mine[threads])}")
    for name, phase in first.peer[1]:
        if (SAME_AS.get(name, name), phase) not in first.taxon[1]:
            raise SystemExit(f"compare.py: taxon has not timed {name} {phase}")


def collect(rounds):
    """Rows (workload, phase, batch, quantity, Spread, goal or None)."""
    first, rows = rounds[0], []

    def add(key, quantity, of, goals=None):
        batch = first.ours(key, 1, "batch")
        rows.append((*key, batch, quantity, Spread(of(r) for r in rounds), (goals or {}).get(key)))

    for key in first.peer[1]:
        for threads in (1, 2):
            add(key, f"pytorch_ms_{threads}", lambda r, t=threads, k=key: r.peer[t][k])
        add(key, "ratio_two", lambda r, k=key: r.best(k) / r.ours(k, 2), GOAL_TWO)
        add(key, "ratio_one", lambda r, k=key: r.peer[1][k] / r.ours(k, 1), GOAL_ONE)
    for key in first.taxon[1]:
        for threads in (1, 2):
            add(key, f"taxon_ms_{threads}", lambda r, t=threads, k=key: r.ours(k, t))
            add(key, f"share_{threads}", lambda r, t=threads, k=key: r.ours(k, t, "share"), GOAL_SHARE)
        add(key, "two_threads", lambda r, k=key: r.ours(k, 1) / r.ours(k, 2), GOAL_THREADS)
    return rows


def number(x):
    return "" if x is None else f"{x:.0f}" if x >= 99.5 else f"{x:.3g}"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " --: |" * (len(heads) - 2)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"


def ranged(s, goal=None):
    mark = "" if goal is None or s.median >= goal else " (below)"
    return f"{number(s.median)}{mark}", f"{number(s.low)} .. {number(s.high)}"


def heading(rounds):
    p = rounds[0].place
    gemm = Spread(r.place["gemm_gflops"] for r in rounds)
    copy = Spread(r.place["copy_gbytes"] for r in rounds)
    return f"""# taxon beside PyTorch

{p["processor"]}, {p["cores"]} cores; taxon {p["version"]} ({p["build"]}, {p["real"]}, {p["instruction_set"]}); {p["blas_config"]}, kernels for
{p["blas_core"]}; {rounds[0].peer_says}. Two threads: GEMM {number(gemm.median)} GFLOP/s at 1000 x 1000 x 1000, copy {number(copy.median)} GB/s.
Rounds: {len(rounds)}. Made by `experiments/bench/compare.sh`; what the rows are is in `experiments/bench/README.md`. Milliseconds are
medians over rounds of the median of many repetitions; a ratio is PyTorch's time over taxon's in the same round, with its median
and range over rounds.
"""


def below(rounds, of):
    """Rows under their goal on two threads, with what the ratio would be at the floor, and how near PyTorch is to the same floor."""
    rows = []
    for key in rounds[0].peer[1]:
        ratio, goal = of[(*key, "ratio_two")], GOAL_TWO.get(key)
        if goal is None or ratio.median >= goal:
            continue
        floors = {t: Spread(r.ours(key, t) * r.ours(key, t, "share") for r in rounds).median for t in (1, 2)}
        best = {t: of[(*key, f"pytorch_ms_{t}")].median for t in (1, 2)}
        rows.append((*key, number(ratio.median), number(goal), number(floors[2]), number(min(best.values()) / floors[2]),
                     number(floors[1] / best[1])))
    heads = ("workload", "phase", "ratio", "goal", "floor, ms", "ratio at the floor", "PyTorch's share of the floor, 1 thread")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "below.md"), encoding="utf-8") as f:
        return ("## Rows below their goal\n", table(heads, rows) if rows else "None on two threads.\n", f.read())


def markdown(rounds, rows):
    of = {(r[0], r[1], r[3]): r[4] for r in rows}
    first = rounds[0]
    two, one, floors = [], [], []
    for key in first.peer[1]:
        name, phase = key
        same = (SAME_AS.get(name, name), phase)
        at = {t: of[(*key, f"pytorch_ms_{t}")].median for t in (1, 2)}
        best = min(at, key=at.get)
        batch, mine = str(first.ours(key, 1, "batch")), {t: number(of[(*same, f"taxon_ms_{t}")].median) for t in (1, 2)}
        ratio = ranged(of[(*key, "ratio_two")], GOAL_TWO.get(key))
        two.append((name, phase, batch, number(at[best]), str(best), mine[2], *ratio, number(GOAL_TWO.get(key))))
        ratio = ranged(of[(*key, "ratio_one")], GOAL_ONE.get(key))
        one.append((name, phase, batch, number(at[1]), mine[1], *ratio, number(GOAL_ONE.get(key))))
    for key in first.taxon[1]:
        cells = [*key, str(first.ours(key, 1, "batch"))]
        for t in (1, 2):
            cells += [number(of[(*key, f"taxon_ms_{t}")].median), ranged(of[(*key, f"share_{t}")], GOAL_SHARE.get(key))[0]]
        scaling = ranged(of[(*key, "two_threads")], GOAL_THREADS.get(key))
        floors.append((*cells, number(GOAL_SHARE.get(key)), *scaling, number(GOAL_THREADS.get(key))))
    return "\n".join((
        heading(rounds),
        "## Two threads, PyTorch with the better of one and two\n",
        table(("workload", "phase", "batch", "PyTorch ms", "its threads", "taxon ms", "ratio", "range", "goal"), two),
        "## One thread each\n",
        table(("workload", "phase", "batch", "PyTorch ms", "taxon ms", "ratio", "range", "goal"), one),
        "## Share of the floor reached, and two threads against one\n",
        table(("workload", "phase", "batch", "1 thread, ms", "share", "2 threads, ms", "share", "goal", "two : one", "range", "goal"), floors),
        *below(rounds, of),
    ))


def tidy(rows):
    out = io.StringIO()
    w = csv.writer(out, lineterminator="\n")
    w.writerow("workload phase batch quantity median low high goal".split())
    for *key, s, goal in rows:
        w.writerow([*key, *(f"{x:.6g}" for x in (s.median, s.low, s.high)), "" if goal is None else goal])
    return out.getvalue()


def replace(path, text):
    """The old file or the new one, never a part."""
    part = f"{path}.part"
    try:
        with open(part, "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


def main(folder, prefix):
    rounds = [Round(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]
    check(rounds)
    rows = collect(rounds)
    text, data = markdown(rounds, rows), tidy(rows)
    replace(f"{prefix}.csv", data)
    replace(f"{prefix}.md", text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: compare.py FOLDER PREFIX")
    main(*sys.argv[1:])
