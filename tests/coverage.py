#!/usr/bin/python3
"""Sums what gcov counted: coverage.py ROOT BUILD"""
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

root, build = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
count = collections.defaultdict(collections.Counter)  # file -> line -> times; of several builds of a file the sum
with tempfile.TemporaryDirectory() as scratch:
    for data in sorted(build.rglob("*.gcno")):
        p = subprocess.run(["gcov", "--json-format", "--stdout", str(data)], cwd=scratch, capture_output=True, check=True)
        for line in p.stdout.splitlines():
            for f in json.loads(line)["files"]:
                path = (root / f["file"]).resolve()
                if path.is_file() and path.suffix == ".c" and root in path.parents and build not in path.parents:
                    for at in f["lines"]:
                        count[path.relative_to(root)][at["line_number"]] += at["count"]

# A failure is a statement: reached if any of its lines is.
failures, total = [], 0
for path, lines in sorted(count.items()):
    if path.parts[0] == "tests":
        continue
    text = (root / path).read_text().splitlines()
    for i, line in enumerate(text, 1):
        if not re.search(r"\btx_(yaml_)?fail\(", line) or re.match(r"(tx_status|static|_Noreturn)\b.*\)$", line):
            continue
        end = next(k for k in range(i, len(text) + 1) if text[k - 1].rstrip().endswith((";", "{", "}")))
        total += 1
        if not any(lines[k] for k in range(i, end + 1)):
            failures.append(f"{path}:{i}: {line.strip()}")
(build / "failures.txt").write_text("".join(f + "\n" for f in failures))
(build / "lines.txt").write_text("".join(f"{path}:{n}\n" for path, lines in sorted(count.items()) if path.parts[0] == "common"
                                         for n, times in sorted(lines.items()) if times == 0))

folders = collections.defaultdict(lambda: [0, 0])
for path, lines in count.items():
    for name in {"/".join(path.parts[:2]), path.parts[0]}:
        folders[name][0] += sum(times > 0 for times in lines.values())
        folders[name][1] += len(lines)
print(f"{'folder':22}{'lines':>8}{'reached':>9}")
for name, (hit, n) in sorted(folders.items()):
    if not name.startswith("tests"):
        print(f"{name:22}{n:8}{100 * hit / n:8.1f}%")
print(f"failures reached: {total - len(failures)} of {total}; the others are in {build}/failures.txt")
