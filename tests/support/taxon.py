"""What the Python tests of the command share: running it, looking at its files, changing them as if it had written them."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import types

try:
    import h5py
    import numpy as np
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

MARK = b"TAXONSHA256 "
TRAILER = len(MARK) + 64 + 1

# Every model at a size that trains in a moment, and a data set that it is defined on.
SMALL = {
    "binary": "{name: bars, n_train: 75, n_valid: 20, n_test: 20}",
    "real": "{name: ring, n_train: 75, n_valid: 20, n_test: 20}",
}
MODELS = {
    "chow_liu": ("binary", ""),
    "dbm": ("binary", "hidden: [5, 4], chains: 10, sample_steps: 20"),
    "fvbn": ("binary", ""),
    "flow_gan": ("real", "couplings: 2, hidden: [6], discriminator_hidden: [5], discriminator_steps: 2"),
    "gan": ("real", "latent: 3, generator_hidden: [5], discriminator_hidden: [6], keep_hidden: 0.5"),
    "gaussian": ("real", ""),
    "gsn": ("real", "hidden: [6], hidden_noise: 0.3, burn_in: 30, mixing_steps: 20"),
    "ica": ("real", ""),
    "independent": ("binary", ""),
    "iwae": ("binary", "latent: 2, hidden: [6], n_sample: 3"),
    "kde": ("real", "centres: kmeans, n_centre: 10"),
    "made": ("binary", "hidden: [7], order: random, masks: 3"),
    "made_mog": ("real", "hidden: [7], components: 2"),
    "maf": ("real", "hidden: [6], blocks: 2"),
    "mixture": ("binary", "components: 3"),
    "nade": ("binary", "hidden: [6], order: agnostic"),
    "nce": ("binary", "energy: quadratic, sample_steps: 2"),
    "nice": ("real", "couplings: 3, hidden: [6]"),
    "pixelcnn": ("binary", "features: 4, layers: 2, hidden: 5"),
    "rbm": ("binary", "hidden: 5, algorithm: pcd, chains: 10, sample_steps: 20"),
    "realnvp": ("real", "hidden: [6], couplings: 2"),
    "self_contrastive": ("real", ""),
    "sgan": ("real", "latent: 3, generator_hidden: [5], discriminator_hidden: [6], n_label: 16"),
    "vae": ("binary", "latent: 2, hidden: [6]"),
    "wavenet": ("binary", "features: 3, skip: 4, layers: 4, hidden: 5"),
}
CLOSED_FORM = {"chow_liu", "gaussian", "independent", "kde"}


class Failures:
    """Collects what went wrong, and ends the program with it."""

    def __init__(self):
        self.checks, self.found = 0, []

    def check(self, good, text):
        self.checks += 1
        if not good:
            self.found.append(text)
            print(f"FAILED: {text}", flush=True)
        return good

    def end(self):
        print(f"{self.checks} checks, {len(self.found)} failures")
        sys.exit(bool(self.found))


def run(taxon, *arguments, timeout=60, env=None, **more):
    """One command to its end, deaf to nothing: a shell's background processes ignore SIGINT."""
    return subprocess.run([taxon, *map(str, arguments)], env={**os.environ, **(env or {})}, capture_output=True, text=True,
                          errors="replace", timeout=timeout, stdin=subprocess.DEVNULL, preexec_fn=hear_signals, **more)


def hear_signals():
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(s, signal.SIG_DFL)


def whole(path):
    """Does a file end with the sum of what stands before?"""
    data = pathlib.Path(path).read_bytes()
    return data[-TRAILER:] == MARK + hashlib.sha256(data[:-TRAILER]).hexdigest().encode() + b"\n"


def content(path):
    with h5py.File(path, "r") as f:
        return f.attrs["content_sha256"]


def change(path, how):
    """Calls how(file) on an HDF5 file of taxon and makes it whole again for all that its last line says."""
    os.truncate(path, os.path.getsize(path) - TRAILER)
    with h5py.File(path, "r+") as f:
        how(f)
    with open(path, "rb+") as f:
        f.write(MARK + hashlib.sha256(f.read()).hexdigest().encode() + b"\n")


def counters(checkpoint):
    """(epoch, step, batch) of a checkpoint."""
    with h5py.File(checkpoint, "r") as f:
        c = f["state/counters"][()].view("<u8").ravel()
    return tuple(int(v) for v in c[:3])


def leftovers(folder, known=("result.h5", "samples.png", "metrics.jsonl")):
    """Files of a run's folder that a finished run has not."""
    return sorted(p.name for p in pathlib.Path(folder).iterdir() if p.name not in known)


def mutated(data, random):
    """(what was done, bytes): 1 to 4 bits turned, an end cut off, a block of zeros, or bytes that follow; half of it near the start,
    where files describe themselves."""
    data, way = bytearray(data), random.choice(["turned"] * 5 + ["cut", "zeros", "appended"])
    reach = min(len(data), random.choice([len(data), 2048]))
    if way == "turned":
        places = [(random.randrange(reach), random.randrange(8)) for _ in range(random.randint(1, 4))]
        for byte, bit in places:
            data[byte] ^= 1 << bit
        return f"bits turned: {places}", bytes(data)
    if way == "cut":
        n = random.randrange(reach)
        return f"cut to {n} of {len(data)} bytes", bytes(data[:n])
    if way == "zeros":
        n, start = 1 << random.randint(3, 10), random.randrange(reach)
        data[start : start + n] = bytes(len(data[start : start + n]))
        return f"zeros from {start}, {n} bytes", bytes(data)
    n = random.randint(1, 300)
    return f"{n} bytes appended", bytes(data + random.randbytes(n))


class Meter:
    """Commands with what they cost. They are started by a small process: a process begins with the peak memory of the one that it
    was forked from."""

    PROGRAM = """
import json, os, signal, subprocess, sys
for line in sys.stdin:
    c = json.loads(line)
    with open(c["out"], "wb") as out, open(c["err"], "wb") as err:
        p = subprocess.Popen(c["arguments"], stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(p.pid, signal.SIGKILL))
        signal.alarm(c["timeout"])
        _, status, used = os.wait4(p.pid, 0)
        signal.alarm(0)
    print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), flush=True)
"""

    def __init__(self, folder):
        self.out, self.err = (str(pathlib.Path(folder, f"meter.{name}")) for name in ("out", "err"))
        self.process = subprocess.Popen([sys.executable, "-S", "-E", "-c", self.PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *arguments, timeout=30):
        """The ended command: returncode, stdout, stderr, seconds (of processors), memory (peak, MiB). -9 after `timeout` seconds."""
        request = {"arguments": [str(a) for a in arguments], "out": self.out, "err": self.err, "timeout": timeout}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        code, seconds, memory = json.loads(self.process.stdout.readline())
        text = [pathlib.Path(f).read_text(errors="replace") for f in (self.out, self.err)]
        return types.SimpleNamespace(returncode=code, stdout=text[0], stderr=text[1], seconds=seconds, memory=memory)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def campaign(check, usage):
    """The main program of a script under tests/faults: TAXON [COUNT [SEED]], and check(program, meter, result, folder, count, seed)."""
    if not 2 <= len(sys.argv) <= 4:
        raise SystemExit(usage)
    count, seed = (int(a) for a in (sys.argv[2:] + ["2000", "1"][len(sys.argv) - 2 :]))
    result = Failures()
    with tempfile.TemporaryDirectory(prefix="taxon-campaign-") as folder:
        meter = Meter(folder)
        check(os.path.realpath(sys.argv[1]), meter, result, pathlib.Path(folder), count, seed)
        meter.close()
    result.end()


def with_shim(check, usage, count):
    """The same of TAXON STOP.so [COUNT], and check(program, shim, count, failures)."""
    if not 3 <= len(sys.argv) <= 4:
        raise SystemExit(usage)
    result = Failures()
    check(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else count, result)
    result.end()
