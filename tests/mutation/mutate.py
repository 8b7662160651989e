#!/usr/bin/python3
"""Mutation check of the numerical core: are small errors noticed by the tests?

    tests/mutation/mutate.py --seed 1 --count 100     draws mutants and judges them, going on where it was interrupted
    tests/mutation/mutate.py --seed 1 --again         judges this seed's survivors once more, by the tests as they are now
    tests/mutation/mutate.py --seed 1 --report        what was caught, by kind, and the survivors as differences

A mutant is one mechanical error (KINDS) in a .c file of FOLDERS: in code, not in option tables, messages, contracts, comments and
declarations of types. Its place in the draw is the hash of the seed, the file and the change, so that an edit elsewhere moves no
mutant; the kinds take turns. It is compiled like the file of the double build, with warnings as errors, and linked before the
libraries; what does not compile, or compiles to the same object, is drawn again and counted. The programs of TESTS judge, until a
check fails, one crashes or takes two and a half times its seconds of CPU. A line a mutant in SEED.jsonl of the build folder; a later
line of a mutant wins. equivalent.tsv names the mutants that change no number anyone can see, and why."""
import argparse
import hashlib
import io
import json
import os
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import tarfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("common/tensor/", "common/likelihood/", "models/")
SECONDS = 20  # of CPU, for all programs that judge a mutant
# The first that matches judges, its programs in this order: PROGRAM[:MODELS[:TESTS]], of the contract.
BITS = "sums,gradients,biject,bounds,resumed,saved,batch"
TESTS = [
    ("common/tensor/rng.c", "rng kernels"),
    ("common/tensor/(optim|params|layers)", f"optim tape model contract:nice:{BITS}"),
    ("common/tensor/staircase", "staircase optim fvbn"),
    ("common/tensor/distance", "baseline likelihood"),
    ("common/tensor/ops_conv", "conv gated"),
    ("common/tensor/(tape|ops)", "tape zoo optim staircase baseline"),
    ("common/tensor/", "kernels rng tape optim staircase baseline"),
    ("common/likelihood/(ais_log_z|unnormalised)", "boltzmann"),
    ("common/likelihood/(ais|anneal|bdmc)", "ais truth"),
    ("common/likelihood/ensemble", "ensemble truth"),
    ("common/likelihood/iwae", "iwae truth"),
    ("common/likelihood/", "likelihood iwae truth"),
    ("models/baseline/(chow_liu|gaussian|independent|kde|mixture)", r"baseline zoo contract:\1:integrals," + BITS),
    ("models/baseline/", "baseline zoo"),
    ("models/fvbn/(gated|levels|pixelcnn|wavenet)", f"gated start gradients contract:pixelcnn,wavenet:{BITS}"),
    ("models/fvbn/made_mog", f"fvbn start gradients contract:made_mog:{BITS}"),
    ("models/fvbn/", f"fvbn start gradients ensemble contract:fvbn,made,nade:{BITS},threads"),
    (r"models/nice/(ica|maf|realnvp)", r"flows start gradients contract:\1:integrals," + BITS),
    (r"models/nice/flow", f"flows start gradients contract:ica,maf,realnvp:integrals,{BITS}"),
    ("models/boltzmann/", f"boltzmann start contract:rbm,dbm:{BITS}"),
    (r"models/(\w+)/", r"zoo start gradients contract:\1:integrals," + BITS),
    ("", "zoo contract:gaussian"),
]

# ---- tokens: what is code, and how far an operand reaches ----
TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*'
                   r"|->|\+\+|--|<<=|>>=|<<|>>|[-+*/%&|^=!<>]=|&&|\|\||[^\s\\]")
LEVEL = {op: level for level, ops in enumerate(
    ("? :", "||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %")) for op in ops.split()}
ENDS = {";", ",", "=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "<<=", ">>=", "return", "else", "case"}
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")": "(", "]": "[", "}": "{"}
TYPES = re.compile(r"(real|double|float|char|void|bool|int|size_t|u?int\d+_t|tx_\w+|struct|const|sizeof|return|else|case)$")


def blank(text, start, end):
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def group_end(text, at):
    """After the bracket that closes the one at `at`."""
    depth = 0
    for m in re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[(){}\[\]]').finditer(text, at):
        depth += (m[0] in OPEN) - (m[0] in CLOSE)
        if depth == 0:
            return m.end()
    return len(text)


def code_only(text):
    """The same length, with blanks for all that is not mutated."""
    for m in re.finditer(r'("(?:\\.|[^"\\])*")|/\*.*?\*/|//[^\n]*', text, re.S):
        if not m[1]:
            text = blank(text, *m.span())
    for m in re.finditer(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", text, re.M):
        head = re.match(r"\s*#\s*define\s+\w+(\([^)]*\))?", m[0])
        end = m.start() + head.end() if head and '"' not in m[0] else m.end()
        text = blank(text, m.start(), end)
    for m in re.finditer(r"\b(TX_REQUIRE|tx_fail|tx_warn\w*|snprintf|offsetof)\s*(?=\()|\b(struct|enum)\b[\w ]*(?=\{)", text):
        text = blank(text, m.start(), group_end(text, m.end()))
    at = 0
    for m in iter(lambda: re.compile(r"[{;]").search(text, at), None):  # outside functions: tables and declarations
        end = group_end(text, m.start()) if m[0] == "{" else m.end()
        if m[0] == ";" or re.search(r"=\s*$", text[at:m.start()]):
            text = blank(text, at, end) if not re.match(r"\s*[A-Z]\w*\(", text[at:]) else text
        elif not re.search(r"^[A-Z]\w*\(", text[at:m.start()], re.M):
            text = blank(text, at, m.start())
        at = end
    return text


class Code:
    def __init__(self, text):
        found = list(TOKEN.finditer(code_only(text)))
        self.source, self.at = text, [m.span() for m in found]
        self.t = [m[0] for m in found]
        self.pair, stack = {}, []
        for i, t in enumerate(self.t):
            if t in OPEN:
                stack.append(i)
            elif t in CLOSE and stack and self.t[stack[-1]] == CLOSE[t]:
                self.pair[i] = stack.pop()
                self.pair[self.pair[i]] = i

    def binary(self, i):
        before = self.t[i - 1] if i else ";"
        declared = self.t[i] == "*" and i > 1 and self.t[i - 2] in ("const", "struct", ";", "{", "}")
        return self.t[i] in LEVEL and bool(re.match(r"[\w.\"')\]]", before)) and not TYPES.match(before) and not declared

    def reach(self, i, step, level):
        """The last token of the operand beside operator i that binds more tightly than `level`."""
        j, last = i + step, i
        while 0 <= j < len(self.t):
            t = self.t[j]
            if t in (OPEN if step > 0 else CLOSE) and j in self.pair:
                if t in "{}":
                    break
                j = self.pair[j]
            elif t in OPEN or t in CLOSE or t in ENDS or (self.binary(j) and LEVEL[t] <= level):
                break
            last, j = j, j + step
        return last

    def text(self, i, j):
        return self.source[self.at[i][0]:self.at[j][1]]

    def edit(self, i, j, new):
        return self.at[i][0], self.at[j][1], new


# ---- the errors ----
def sign(c, i):
    change = {"+": "-", "-": "+", "+=": "-=", "-=": "+="}
    if c.t[i] in change:
        yield c.edit(i, i, change[c.t[i]])


def product(c, i):
    change = {"*": "/", "/": "*", "*=": "/=", "/=": "*="}
    if c.t[i] in ("*=", "/=") or (c.t[i] in change and c.binary(i)):
        yield c.edit(i, i, change[c.t[i]])


def bound(c, i):
    change = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
    if re.match(r"(0|[1-9.][\d.]*([eE][+-]?\d+)?)[uUlLfF]*$", c.t[i]) and c.t[i] != ".":
        yield c.edit(i, i, f"({c.t[i]} + 1)")
        yield c.edit(i, i, f"({c.t[i]} - 1)")
    if c.t[i] in change and c.binary(i):
        yield c.edit(i, i, change[c.t[i]])
        j = c.reach(i, 1, LEVEL["<"])
        yield c.edit(j, j, c.t[j] + (" - 1" if c.t[i][0] == "<" else " + 1"))


def term(c, i):
    if c.t[i] in ("+=", "-="):
        yield c.edit(i, i, "=")
    if c.t[i] in "+-" and c.binary(i):
        left, right = c.reach(i, -1, LEVEL["+"]), c.reach(i, 1, LEVEL["+"])
        yield c.edit(i, right, "")
        if not (c.binary(left - 1) and c.t[left - 1] in "+-"):
            yield c.edit(left, i, "" if c.t[i] == "+" else "-")


def operands(c, i):
    if c.t[i] in "-/" and c.binary(i):
        level = LEVEL[c.t[i]]
        left, right = c.reach(i, -1, level - 1), c.reach(i, 1, level)
        if left < i < right:
            yield c.edit(left, right, f"{c.text(i + 1, right)} {c.t[i]} ({c.text(left, i - 1)})")


def arguments(c, i):
    if c.t[i] == "(" and i in c.pair and re.match(r"[A-Za-z_]", c.t[i - 1]) and c.t[i - 1] not in ("if", "for", "while", "switch"):
        commas, j = [i], i + 1
        while j < c.pair[i]:
            commas += [j] if c.t[j] == "," else []
            j = c.pair.get(j, j) + 1
        commas.append(c.pair[i])
        for a, b, e in zip(commas, commas[1:], commas[2:]):
            one, two = c.text(a + 1, b - 1), c.text(b + 1, e - 1)
            if one != two:
                yield c.edit(a + 1, e - 1, f"{two}, {one}")


def condition(c, i):
    change = {"==": "!=", "!=": "==", "fmin": "fmax", "fmax": "fmin"}
    if c.t[i] in change:
        yield c.edit(i, i, change[c.t[i]])
    if c.t[i] == "if":
        yield c.edit(i + 1, c.pair[i + 1], f"(!{c.text(i + 1, c.pair[i + 1])})")
    if c.t[i] == "?":
        left = c.reach(i, -1, LEVEL["?"])
        yield c.edit(left, i - 1, f"!({c.text(left, i - 1)})")


KINDS = {"sign": sign, "product": product, "bound": bound, "dropped term": term, "swapped operands": operands,
         "swapped arguments": arguments, "condition": condition}


def mutants_of(file, text, seed):
    """(key, mutant) of every error in a file."""
    code, seen = Code(text), {}
    for i in range(len(code.t)):
        for kind, errors in KINDS.items():
            for start, end, new in errors(code, i):
                first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
                before, after = text[first:last], text[first:start] + new + text[end:last]
                name = "\0".join((seed, file, kind, before.strip(), after.strip()))
                seen[name] = seen.get(name, 0) + 1
                key = hashlib.sha256(f"{name}\0{seen[name]}".encode()).hexdigest()[:16]
                yield key, {"file": file, "line": text.count("\n", 0, first) + 1, "kind": kind, "before": before, "after": after,
                            "start": start, "end": end, "new": new}


# ---- building and judging ----
class Bench:
    """A copy of a commit, its double build, and what the programs take there without an error."""

    def __init__(self, folder, commit):
        self.tree, self.build, self.out, self.record = (folder / f for f in ("tree", "double", "mutant", "usual.json"))
        self.usual = json.loads(self.record.read_text()) if self.record.exists() else {}
        for f in self.tree, self.out:
            f.mkdir(parents=True, exist_ok=True)
        self.copy(commit)
        programs = sorted({p.split(":")[0] for _, line in TESTS for p in line.split()})
        if not (self.build / "build.ninja").exists():
            self.command("cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DTX_DOUBLE=ON", "-DTX_WERROR=ON")
        self.command("ninja", "-j1", "-C", self.build, *[f"test_{p}" for p in programs])
        self.compilers = {}
        for c in json.loads((self.build / "compile_commands.json").read_text()):
            self.compilers.setdefault(os.path.relpath(c["file"], self.tree), []).append(c["command"])
        self.linker = {p: subprocess.run(["ninja", "-C", self.build, "-t", "commands", f"test_{p}"], check=True, text=True,
                                         capture_output=True).stdout.splitlines()[-1] for p in programs}

    @staticmethod
    def command(*words):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    def copy(self, commit):
        archive = subprocess.run(["git", "-C", ROOT, "archive", commit], check=True, capture_output=True).stdout
        names = set()
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for m in filter(tarfile.TarInfo.isfile, tar):
                new, content = self.tree / m.name, tar.extractfile(m).read()
                names.add(new)
                if not new.exists() or new.read_bytes() != content:
                    new.parent.mkdir(parents=True, exist_ok=True)
                    new.write_bytes(content)
        for old in self.tree.rglob("*"):
            if old.is_file() and old not in names:
                old.unlink()

    def compile(self, file, text, flags):
        """The objects of a changed file (one an instruction set), or why there are none."""
        objects, same = [], True
        for n, line in enumerate(self.compilers[file]):
            words = shlex.split(line)
            old, new = self.build / words[words.index("-o") + 1], self.out / f"{n}.o"
            words[words.index("-o") + 1], words[words.index("-c") + 1] = str(new), "-"
            text_in = f'#line 1 "{self.tree / file}"\n{text}'
            p = subprocess.run(words[:1] + ["-x", "c", *flags] + words[1:], input=text_in, text=True, cwd=self.build, capture_output=True)
            if p.returncode:
                return None, "does not compile"
            objects.append(str(new))
            same = same and old.read_bytes() == new.read_bytes()
        return (None, "same object") if same else (objects, "")

    def link(self, program, objects):
        target = self.out / f"test_{program}"
        line = re.sub(r"-o (\S+)", lambda m: f"-o {target} {' '.join(objects)}", self.linker[program], count=1)
        subprocess.run(line, shell=True, check=True, cwd=self.build, capture_output=True)
        return target

    def run(self, path, words, limit):
        """How it ended ("" is well), and its seconds of CPU."""
        def limits():
            for what, most in ((resource.RLIMIT_CPU, int(limit) + 1), (resource.RLIMIT_AS, 8 << 30), (resource.RLIMIT_FSIZE, 1 << 30),
                               (resource.RLIMIT_CORE, 0)):
                resource.setrlimit(what, (most, most))
        _, models, tests = (words + "::").split(":")[:3]
        env = dict(os.environ, TMPDIR=str(self.out), TAXON_MODELS=models, TAXON_TESTS=tests, OMP_WAIT_POLICY="passive")
        before, test, end = resource.getrusage(resource.RUSAGE_CHILDREN), "", ""
        p = subprocess.Popen(["stdbuf", "-oL", path], env=env, cwd=self.out, preexec_fn=limits, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
        clock = threading.Timer(400 * limit, p.kill)  # the machine may be busy: what counts is CPU
        clock.start()
        for line in p.stdout:
            name = re.search(r"Test: (.*?) \.\.\.", line)
            test = name[1] if name else test
            if "FAILED" in line or re.match(r"\s+\S+/test_\w+\.c:\d+: ", line):  # CUnit's word for a test, or a check's own
                end = f"failed: {test}"
                p.kill()
        clock.cancel()
        if p.wait() and not end:
            end = f"too long: {test}" if p.returncode == -9 else f"signal {-p.returncode}: {test}" if p.returncode < 0 else "failed"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    def judges(self, file):
        """(words of TESTS, usual seconds) for a file; they pass without an error, and within SECONDS."""
        for pattern, line in TESTS:
            m = re.match(pattern, file)
            if m:
                found = [m.expand(p) for p in line.split()]
                break
        seconds = []
        for p in found:
            program = self.build / "tests" / f"test_{p.split(':')[0]}"
            key = f"{p} {hashlib.sha256(program.read_bytes()).hexdigest()}"
            if key not in self.usual:
                end, self.usual[key] = self.run(program, p, 60)
                if end:
                    sys.exit(f"test_{p}: {end}, without any error made")
                self.record.write_text(json.dumps(self.usual))
            seconds.append(self.usual[key])
        if sum(seconds) > SECONDS:
            sys.exit(f"{file}: {line} take {sum(seconds):.1f} s of CPU, more than {SECONDS}")
        return list(zip(found, seconds))

    def judge(self, m):
        text = (self.tree / m["file"]).read_text()
        flags = ["-Wconversion", "-Wno-sign-conversion"] if m["kind"] == "swapped arguments" else []  # they must be of like type
        objects, why = self.compile(m["file"], text[:m["start"]] + m["new"] + text[m["end"]:], flags)
        if why:
            return {"verdict": why}
        judges, spent = self.judges(m["file"]), 0
        for words, usual in judges:
            program = words.split(":")[0]
            end, cpu = self.run(self.link(program, objects), words, 2.5 * usual + 1)
            spent += cpu
            if end:
                return {"verdict": "caught", "by": f"test_{program}: {end}", "seconds": round(spent, 2)}
        return {"verdict": "survived", "seconds": round(spent, 2)}


# ---- the record ----
def read(path):
    """All lines, and the last of each mutant."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return lines, {m["key"]: m for m in lines}


def judged(mutants):
    return [m for m in mutants if m["verdict"] in ("caught", "survived")]


def equivalents():
    rows = (ROOT / "tests/mutation/equivalent.tsv").read_text().splitlines()[1:]
    return {tuple(r.split("\t")[:3]) for r in rows}


def table(title, mutants, known):
    print(f"\n{title:<20}{'caught':>8}{'survived':>10}{'equivalent':>12}{'share':>8}")
    for kind in [*KINDS, "all"]:
        of = [m for m in mutants if kind in (m["kind"], "all")]
        caught, same = sum(m["verdict"] == "caught" for m in of), sum(is_known(m, known) for m in of)
        share = f"{100 * caught / (len(of) - same):6.0f} %" if len(of) > same else ""
        print(f"{kind:<20}{caught:>8}{len(of) - caught - same:>10}{same:>12}{share:>8}")


def is_known(m, known):
    return m["verdict"] == "survived" and (m["file"], m["before"].strip(), m["after"].strip()) in known


def report(path):
    lines, last = read(path)
    first, known = {}, equivalents()
    for m in lines:
        first.setdefault(m["key"], m)
    print(f"{path.name}: drawn {len(last)}, of which", ", ".join(
        f"{sum(m['verdict'] == v for m in last.values())} {v}" for v in ("caught", "survived", "same object", "does not compile")))
    table("at first", judged(first.values()), set())
    table("now", judged(last.values()), known)
    for m in last.values():
        if m["verdict"] == "survived" and not is_known(m, known):
            print(f"\n{m['file']}:{m['line']}: {m['kind']}, {m['seconds']} s")
            print("\n".join(["- " + s for s in m["before"].split("\n")] + ["+ " + s for s in m["after"].split("\n")]))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--seed", default="1")
    a.add_argument("--count", type=int, default=100, help="mutants to judge, with those of earlier calls")
    a.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mutation", help="folder of the copy, the build and the record")
    a.add_argument("--commit", default="HEAD", help="whose files and tests")
    a.add_argument("--again", action="store_true", help="judge the survivors of the seed once more")
    a.add_argument("--report", action="store_true", help="only print")
    o = a.parse_args()
    path = o.build.resolve() / f"{o.seed}.jsonl"
    if o.report:
        return report(path)
    bench, (_, done) = Bench(o.build.resolve(), o.commit), read(path)
    kinds = {}
    for f in sorted(bench.compilers):
        if f.startswith(FOLDERS):
            for key, m in mutants_of(f, (bench.tree / f).read_text(), o.seed):
                kinds.setdefault(m["kind"], []).append((key, m))
    draw = sorted((rank, kind, key, m) for kind, of in kinds.items() for rank, (key, m) in enumerate(sorted(of, key=lambda k: k[0])))
    left = o.count - len(judged(done.values()))
    for _, _, key, m in draw:
        again = done.get(key, {}).get("verdict") == "survived"
        if o.again != again or (key in done and not again) or (left <= 0 and not again):
            continue
        start = time.time()
        m.update(bench.judge(m), key=key, seed=o.seed, wall=round(time.time() - start, 1))
        left -= m["verdict"] in ("caught", "survived")
        with path.open("a") as out:
            out.write(json.dumps({k: v for k, v in m.items() if k not in ("start", "end", "new")}) + "\n")
        print(f"{m['file']}:{m['line']}: {m['kind']}: {m['verdict']} {m.get('by', '')}", flush=True)
    report(path)


if __name__ == "__main__":
    main()
