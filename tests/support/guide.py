"""The guide's blocks: experiments/guide/*.md as it is read by tests/test_guide.py, and its C code laid over the tree.

A fenced block is told apart by the words behind its fence:
    sh              commands of a terminal, run in the chapter's own folder, one block after the other
    sh exit N       the same, where the last command ends with N; its messages belong to its output
    sh long         not run by the suite
    text            what the block of commands before it prints
    text FILE       lines of a file of the tree
    c PATH          a whole file of the tree that the reader is to write
    diff PATH       lines to change in a file of the tree

A table under `<!-- rows of FILE -->` has rows of a table of that file, all their cells or some.

    guide.py OUT    writes the files of the c and diff blocks below OUT, for tests/CMakeLists.txt
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "experiments/guide"
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)


class Block:
    def __init__(self, chapter, match):
        self.chapter, self.words, self.text = chapter, match[1].split(), match[2]
        self.start, self.end = match.span(2)
        self.line = chapter.text.count("\n", 0, match.start()) + 1
        self.place = f"{chapter.path.name}:{self.line}"

    def is_a(self, kind):
        return self.words[:1] == [kind]


class Chapter:
    def __init__(self, path):
        self.path, self.text = path, path.read_text(encoding="utf-8")
        self.blocks = [Block(self, m) for m in FENCE.finditer(self.text)]


def chapters():
    return [Chapter(path) for path in sorted(GUIDE.glob("*.md"))]


def changed(text, diff):
    """`text` with a diff's changes; its lines without '+' must stand in it exactly once."""
    lines = [(line[:1], line[1:]) for line in diff.splitlines()]
    old, new = ("\n".join(body for sign, body in lines if sign != drop) for drop in "+-")
    if text.count(old) != 1:
        raise SystemExit(f"expected once:\n{old}\nfound {text.count(old)} times")
    return text.replace(old, new)


def overlay(out):
    """The tree's files as the guide's blocks make them, one change after the other."""
    files = {}
    for block in (b for chapter in chapters() for b in chapter.blocks if b.words[:1] in (["c"], ["diff"])):
        path = block.words[1]
        if block.is_a("diff"):
            files[path] = changed(files.get(path) or (ROOT / path).read_text(encoding="utf-8"), block.text)
        else:
            files[path] = block.text
    for path, text in files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: guide.py OUT")
    overlay(pathlib.Path(sys.argv[1]))
