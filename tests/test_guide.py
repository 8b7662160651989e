#!/usr/bin/python3
"""The guide against the command: test_guide.py TAXON EXTENDED [--write]

Runs the commands of experiments/guide in folders of their own, chapter by chapter, and holds what they print against what the guide
shows; looks up every name that it mentions, and follows every link of every Markdown file. What is a block is told in
support/guide.py; EXTENDED is the command with the guide's own code. --write puts what the commands print
now into the guide where it says something else."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "support")]
import guide  # noqa: E402
import taxon  # noqa: E402

try:
    import pandas, xarray  # noqa: E401, F401
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.I)


def execute(block, folder, env):
    """(what was printed, what is wrong) of a block of commands."""
    wanted = int(block.words[2]) if block.words[1:2] == ["exit"] else 0
    # Every command but the last must succeed; messages are shown where failing is the point.
    p = subprocess.run(["bash", "-eo", "pipefail", "-c", block.text], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT if wanted else subprocess.PIPE, text=True, timeout=120, preexec_fn=taxon.hear_signals)
    return p.stdout, None if p.returncode == wanted else f"exit code {p.returncode}, expected {wanted}: {(p.stderr or p.stdout)[-500:]}"


def measured(text):
    """The same without times, which no two runs share: the column `train s` of tables."""
    lines, span = [], None
    for line in text.splitlines():
        if "train s" in line:
            end = line.index("train s") + len("train s")
            span = (len(line[:end - len("train s")].rstrip()), end)
        lines.append(line[:span[0]] + line[span[1]:] if span and len(line) > span[1] else line)
        span = span if line else None
    return lines


def agree(shown, printed):
    """None if two outputs say the same: words are equal and numbers agree to a tenth or some units of the last digit shown, since the
    last digits of training differ between processors; else the lines that do not."""
    shown, printed = measured(shown), measured(printed)
    for a, b in zip(shown, printed):
        if set(a) | set(b) <= {"-"}:
            continue
        if NUMBER.sub("#", a).split() != NUMBER.sub("#", b).split():
            return f"shown:   {a}\nprinted: {b}"
        for m, n in zip(NUMBER.findall(a), NUMBER.findall(b)):
            digits = len(m.split(".")[1]) if "." in m and "e" not in m else 0
            if abs(float(m) - float(n)) > max(0.1 * abs(float(m)), 20 * 10 ** -digits if digits else 0):
                return f"{m} shown, {n} printed:\n{b}"
    return None if len(shown) == len(printed) else f"{len(shown)} lines shown, {len(printed)} printed"


def check_agree(result):
    """What is compared is told apart: words, numbers beyond their digits, lines that are missing."""
    shown = "made  = -1.234 +- 0.012  12\nvae  none"
    same = agree(shown, shown.replace("-1.234", "-1.251")) is None and agree("0.5 0", "0.5 0") is None
    other = (shown.replace("-1.234", "-1.534"), shown.replace("= ", ">= "), shown.replace("12\n", "15\n"), shown.split("\n")[0])
    result.check(same and all(agree(shown, text) for text in other), "agree() does not tell outputs apart")


def play(chapter, command, result, write):
    """Runs a chapter's commands; its text with the outputs of today."""
    text, shift, printed = chapter.text, 0, None
    with tempfile.TemporaryDirectory(prefix="taxon-guide-") as folder:
        tools = pathlib.Path(folder, "bin")
        tools.mkdir()
        (tools / "taxon").symlink_to(command)
        (tools / "python3").symlink_to("/usr/bin/python3")
        work = pathlib.Path(folder, "work")
        work.mkdir()
        env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        for name in ("TAXON_DATA", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            env.pop(name, None)
        for block in chapter.blocks:
            if block.is_a("sh"):
                printed = None
                if block.words[1:] != ["long"]:
                    printed, wrong = execute(block, work, env)
                    result.check(not wrong, f"{block.place}: {wrong}")
            elif block.is_a("text") and block.words[1:]:
                whole = (guide.ROOT / block.words[1]).read_text(encoding="utf-8").splitlines()
                for line in block.text.splitlines():
                    result.check(line in whole, f"{block.place}: no such line in {block.words[1]}: {line}")
            elif block.is_a("text") and printed is not None:
                wrong = agree(block.text, printed)
                if wrong and write:
                    text = text[:block.start + shift] + printed + text[block.end + shift:]
                    shift += len(printed) - len(block.text)
                else:
                    result.check(not wrong, f"{block.place}: {wrong}")
                printed = None
    if write and text != chapter.text:
        chapter.path.write_text(text, encoding="utf-8")


def words_known(command):
    """Every name that the command, its source and the documentation of its files have."""
    ask = lambda *a: subprocess.run([command, *a], capture_output=True, text=True).stdout
    known, shown = {"taxon"}, []
    for kind in ("models", "datasets", "views", "estimators", "metrics", "optimizers", "imputers"):
        names = [line.split()[0] for line in ask("list", kind).splitlines()]
        known |= set(names)
        shown += names
    for text in (ask("show", name) for name in {*shown, "train", "dataset", "view", "evaluate"}):
        known |= set(re.findall(r"^  (\w+):", text, re.M))
        known |= {choice for line in re.findall(r"^      one of (.*)$", text, re.M) for choice in line.split(", ")}
    for name in re.findall(r"^  (\w+) ", ask("--help"), re.M):
        known |= {name, *re.findall(r"--[a-z-]+", ask(name, "--help"))}
    for path in (guide.ROOT / "results/README.md", guide.ROOT / "experiments/bench/README.md", *guide.ROOT.glob("models/*/README.md")):
        for span in re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8")):
            known |= set(re.findall(r"[A-Za-z_]\w*", span))
    for path in guide.ROOT.glob("common/**/*.h"):
        known |= set(re.findall(r"\btx_\w+|(?<=\(\*)\w+", path.read_text(encoding="utf-8")))
    # Keys of a config that belong to no table of options.
    return known | set("experiment seeds datasets models train evaluate estimators metrics splits model label grid estimator metric".split())


def check_names(chapter, known, result):
    """`Code` in running text: a file of the tree, or a command, or words that are names of something or of what the chapter makes."""
    made = " ".join(b.text for b in chapter.blocks)
    for span in re.findall(r"`([^`\n]+)`", guide.FENCE.sub("", chapter.text)):
        if (guide.ROOT / span.split()[0]).exists() or span.startswith("cmake "):
            continue
        for word in re.findall(r"--[a-z-]+|\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b", span) + ([span] if re.fullmatch(r"[a-z][a-z0-9]+", span) else []):
            found = word in known or re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", made)
            result.check(found, f"{chapter.path.name}: `{word}` is no name of anything")


def check_rows(chapter, result):
    """Tables that are taken from other files: cells of a row there, in that order."""
    cells = lambda row: [cell.strip() for cell in row.strip("|").split("|")]
    for file, table in re.findall(r"^<!-- rows of (\S+) -->\n((?:\|.*\n)+)", chapter.text, re.M):
        rows = [cells(line) for line in (guide.ROOT / file).read_text(encoding="utf-8").splitlines() if line.startswith("|")]
        for line in (line for line in table.splitlines() if not line.startswith("| ---")):
            found = False
            for row in (row for row in rows if row[0] == cells(line)[0]):
                rest = iter(row)
                found = found or all(any(agree(cell, other) is None for other in rest) for cell in cells(line))
            result.check(found, f"{chapter.path.name}: no such row in {file}: {line}")


def anchors(path):
    headings = re.findall(r"^#+ (.*)$", guide.FENCE.sub("", path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def check_links(result):
    listed = subprocess.run(["git", "-C", str(guide.ROOT), "ls-files", "-co", "--exclude-standard", "*.md"], capture_output=True, text=True).stdout.split("\n")
    files = [guide.ROOT / f for f in listed if f] or [p for p in guide.ROOT.rglob("*.md") if "build" not in p.parts]
    result.check(len(files) > 15, f"{len(files)} Markdown files found")
    part = guide.ROOT / "experiments/bench/below.md"  # of a file in results/tables, where its links lead from
    for path in (f for f in files if f.exists() and f != part):
        text = re.sub(r"`[^`\n]*`", "", guide.FENCE.sub("", path.read_text(encoding="utf-8")))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            place, _, anchor = target.partition("#")
            file = (path.parent / place).resolve() if place else path
            good = file.exists() and (not anchor or anchor in anchors(file))
            result.check(good, f"{path.relative_to(guide.ROOT)}: the link {target} leads nowhere")


def main(command, extended, write):
    result = taxon.Failures()
    check_agree(result)
    known = words_known(extended)
    chapters = guide.chapters()
    result.check(len(chapters) >= 8, f"{len(chapters)} chapters")
    made = lambda chapter: any(b.words[:1] in (["c"], ["diff"]) for b in chapter.blocks)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda chapter: play(chapter, extended if made(chapter) else command, result, write), chapters))
    for chapter in chapters:
        check_names(chapter, known, result)
        check_rows(chapter, result)
    check_links(result)
    result.end()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit("usage: test_guide.py TAXON EXTENDED [--write]")
    main(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), sys.argv[3:] == ["--write"])
