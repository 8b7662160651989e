#!/usr/bin/python3
"""taxon watch, in a terminal and without: test_watch.py TAXON

The runs are made up: a plan, metrics.jsonl with cut lines, locks that this program holds."""
import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "support"))
import taxon as tx

STEPS, ENTER, LEAVE = 100, b"\033[?1049h\033[?25l", b"\033[?25h\033[?1049l"


def lines_of(epochs, ago, *more):
    """metrics.jsonl of a process that began `ago` seconds ago, ten steps an epoch."""
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)
    rows = [{"start": start.strftime("%Y-%m-%dT%H:%M:%SZ")}]
    rows += [{"epoch": e, "step": 10 * e, "learning_rate": 0.1, "objective": -9.0, "valid_log_likelihood": -100.0 + e} for e in range(1, epochs + 1)]
    return "".join(json.dumps(r) + "\n" for r in rows + list(more))


def make(out, waiting=3):
    """One run of each state; the plan names some more that wait."""
    runs = {"running": lines_of(5, 50) + '{"epoch": 6, "st', "failed": lines_of(2, 90, {"end": "failed", "why": "it"}),
            "stopped": lines_of(3, 90) + '{"epoch": 4, "step":\n', "finished": lines_of(10, 20, {"end": "done", "why": ""}),
            "diverged": lines_of(4, 30, {"end": "diverged", "why": "NaN"})}
    names = [f"ring-raw/{name}/seed-0" for name in runs] + [f"ring-raw/finished/seed-{i}" for i in range(1, waiting + 1)]
    out.mkdir()
    (out / "plan.jsonl").write_text("".join(json.dumps({"run": n, "n_parameter": 10, "n_step": STEPS}) + "\n" for n in names) + '{"run": "ri')
    for name, text in runs.items():
        folder = out / "ring-raw" / name / "seed-0"
        folder.mkdir(parents=True)
        (folder / "metrics.jsonl").write_text(text)
        if name in ("finished", "diverged"):
            (folder / "result.h5").write_text("not read")


@contextlib.contextmanager
def held(folder):
    fd = os.open(folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield
    os.close(fd)


def row(text, name):
    found = [line.split() for line in text.splitlines() if line.startswith(f"ring-raw/{name} ")]
    return found[0][1:] if found else None


def check_once(taxon, out, failures):
    with held(out / "ring-raw/running/seed-0"):
        p = tx.run(taxon, "watch", out, "--once", env={"LC_ALL": "C"})
        wide = tx.run(taxon, "watch", out, env={"LC_ALL": "C.UTF-8"})
    failures.check(p.returncode == 0 and "\033" not in p.stdout, f"without a terminal: {p.stderr}")
    head = [line.split() for line in p.stdout.splitlines() if line.startswith("run ")]
    failures.check(head == [["run", "state", "done", "score", "left", "score,", "epoch", "by", "epoch"]], f"the columns' names: {head}")
    failures.check("1 running, 1 failed, 1 diverged, 1 stopped, 1 finished, 3 waiting" in p.stdout, f"states:\n{p.stdout}")
    running = row(p.stdout, "running/seed-0")
    # Five of ten epochs in 50 seconds: training is 0.9 of the work, so 0.55 of it are left.
    failures.check(running and running[:4] == ["running", "45", "%", "-95"] and 55 <= int(running[4]) <= 66, f"a running run: {running}")
    failures.check(row(p.stdout, "stopped/seed-0")[:4] == ["stopped", "27", "%", "-97"], f"a stopped run: {p.stdout}")
    failures.check(row(p.stdout, "finished/seed-0")[:4] == ["finished", "100", "%", "-90"], f"a finished run: {p.stdout}")
    failures.check(row(p.stdout, "finished/seed-2") == ["waiting"], f"a waiting run: {p.stdout}")
    # One slot: 61 s of the run under way, three that wait like the one that took 20 seconds, 0.73 of one like the mean of both.
    failures.check("about 3 min left" in p.stdout, f"the time that is left: {p.stdout}")
    failures.check(p.stdout.isascii() and "_" in running[-1] and running[-1].endswith("#"), f"a curve in ASCII: {running}")
    failures.check("▁" in wide.stdout and "█" in wide.stdout, "a curve in UTF-8")
    failures.check(tx.run(taxon, "watch", out / "none").returncode == 66, "a folder that is not there")
    (out / "empty").mkdir()
    failures.check(tx.run(taxon, "watch", out / "empty").returncode == 66, "a folder without runs")
    (out / "empty").rmdir()


class Terminal:
    def __init__(self, taxon, out, rows, columns):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.p = subprocess.Popen([taxon, "watch", out], stdin=slave, stdout=slave, stderr=slave, preexec_fn=tx.hear_signals,
                                  env={**os.environ, "LC_ALL": "C.UTF-8"})
        os.close(slave)
        self.data = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.1):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                self.data += os.read(self.master, 1 << 16)
            except OSError:  # the other side is closed
                return

    def until(self, good, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not good():
            self.read()
        return good()

    def frame(self):
        return self.data.split(b"\033[H")[-1].split(b"\033[J")[0].decode().replace("\033[K", "").replace("\r", "")

    def end(self):
        self.until(lambda: self.p.poll() is not None)
        self.read()
        os.close(self.master)
        return self.p.returncode


def check_stopped(taxon, out, failures):
    """What was stopped waits to go on: it is done as far as it got, and its rest is still to come."""
    make(out, waiting=0)
    for name in ("running", "failed", "finished", "diverged"):
        shutil.rmtree(out / "ring-raw" / name)
    (out / "plan.jsonl").write_text(json.dumps({"run": "ring-raw/stopped/seed-0", "n_parameter": 10, "n_step": STEPS}) + "\n")
    text = tx.run(taxon, "watch", out).stdout
    failures.check("0 running" not in text and "] 27 %" in text and row(text, "stopped/seed-0")[:3] == ["stopped", "27", "%"], f"one that was stopped, alone:\n{text}")


def check_terminal(taxon, out, failures):
    metrics = out / "ring-raw/running/seed-0/metrics.jsonl"
    with held(metrics.parent):
        t = Terminal(taxon, out, 9, 100)
        failures.check(t.until(lambda: "running" in t.frame() and b"\033[J" in t.data), "no frame")
        failures.check(t.data.startswith(ENTER), "the other screen is not entered")
        failures.check(len(t.frame().splitlines()) <= 9 and "and 1 finished, 3 waiting" in t.frame(), f"a frame of nine lines:\n{t.frame()}")
        with metrics.open("a") as f:  # the line that was cut is completed, and is read
            f.write('ep": 60, "valid_log_likelihood": -94}\n')
        failures.check(t.until(lambda: " -94 " in t.frame() and "54 %" in t.frame()), f"what is added is not shown:\n{t.frame()}")
        t.resize(30, 60)
        t.p.send_signal(signal.SIGWINCH)
        failures.check(t.until(lambda: "seed-3" in t.frame() and "and " not in t.frame()), f"another size:\n{t.frame()}")
        failures.check(max(map(len, t.frame().splitlines())) <= 60, "lines are longer than the terminal is wide")
        result = out / "ring-raw/finished/seed-0/result.h5"
        result.rename(result.with_suffix(".away"))  # as --fresh does
        failures.check(t.until(lambda: "finished/seed-0  stopped" in t.frame()), f"a finished run that is made anew:\n{t.frame()}")
        result.with_suffix(".away").rename(result)
        failures.check(t.until(lambda: "finished/seed-0  finished" in t.frame()), f"it has a result again:\n{t.frame()}")
        t.resize(30, 2)
        t.p.send_signal(signal.SIGWINCH)
        failures.check(t.until(lambda: "seed-3" not in t.frame() and ".." in t.frame()), f"two columns:\n{t.frame()}")
        t.resize(30, 60)
        t.p.send_signal(signal.SIGTSTP)
        failures.check(t.until(lambda: t.data.endswith(LEAVE)), "suspended on the other screen")
        time.sleep(0.2)
        t.p.send_signal(signal.SIGCONT)
        failures.check(t.until(lambda: t.data.count(ENTER) == 2), "it does not come back after a suspension")
        t.p.send_signal(signal.SIGINT)
        failures.check(t.end() == 0 and t.data.count(LEAVE) == 2, "after an interrupt the terminal is not as it was")
        failures.check(b"1 running" in t.data.split(LEAVE)[-1], "the last frame does not stay")
        t = Terminal(taxon, out, 20, 100)
        t.until(lambda: b"running" in t.data)
    failures.check(t.end() == 0 and t.data.count(LEAVE) == 1 and b"2 stopped" in t.data.split(LEAVE)[-1], "it does not end when nothing runs")


def main(taxon):
    failures = tx.Failures()
    with tempfile.TemporaryDirectory(prefix="taxon watch ") as folder:
        out = pathlib.Path(folder, "out")
        make(out)
        check_once(taxon, out, failures)
        check_terminal(taxon, out, failures)
        check_stopped(taxon, pathlib.Path(folder, "stopped"), failures)
        many = pathlib.Path(folder, "many")
        make(many, waiting=2000)
        p = tx.run(taxon, "watch", many)
        failures.check("2000 waiting" in p.stdout and len(p.stdout.splitlines()) == 4 + 5 + 2000, "two thousand that wait")
        real = pathlib.Path(folder, "real")
        config = pathlib.Path(folder, "real.yaml")
        config.write_text("seeds: [0, 1]\ndatasets: [{name: bars, n_train: 50, n_valid: 10, n_test: 10}]\ntrain: {epochs: 3}\n"
                          "models: [{model: made, hidden: [4]}]\nevaluate: {n_sample: 0}\n")
        p = tx.run(taxon, "run", config, "--out", real, "--progress", "none", "--shard", "1/2")
        text = tx.run(taxon, "watch", real).stdout
        failures.check("1 finished, 1 waiting" in text and "100 %" in text, f"a real comparison: {p.stderr}{text}")
    failures.end()


if __name__ == "__main__":
    main(os.path.realpath(sys.argv[1]))
