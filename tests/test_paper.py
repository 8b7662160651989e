"""The paper's numbers are those of results/tables, none is typed, and every model is cited: test_paper.py TAXON

The numbers of numbers.tex are read back from the CSVs by another way; a table with one value changed must give other numbers; main.tex is
searched for digits. Where LaTeX is, the PDF is made."""
import csv
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

taxon = str(pathlib.Path(sys.argv[1]).resolve())
root = pathlib.Path(__file__).resolve().parent.parent
tables, main_tex = root / "results/tables", (root / "paper/main.tex").read_text(encoding="utf-8")
if not shutil.which("gnuplot"):
    print("skipped: needs gnuplot")
    sys.exit(77)
failures = []


def judge(name, wrong):
    wrong = list(wrong)
    if wrong:
        failures.append(name)
        print(f"FAILED: {name}\n    " + "\n    ".join(str(w) for w in wrong[:10]))


def generate(source, out):
    done = subprocess.run([sys.executable, root / "paper/make_tables.py", taxon, source, out], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make_tables.py: {done.stderr}")
    return dict(re.findall(r"^\\putnumber\{([^}]*)\}\{(.*)\}%$", (out / "numbers.tex").read_text(encoding="utf-8"), re.M))


def parse(text):
    """(sign, value, error, half a unit of the last digit) of a number in LaTeX."""
    sign = next((s for s in (r"\ge", r"\le", r"\sim", "=") if text.strip("$").startswith(s)), "")
    power = float(m[1]) if (m := re.search(r"10\^\{(-?\d+)\}", text)) else 0
    body = re.sub(r"\\cdot 10\^\{-?\d+\}", "", text)
    found = re.findall(r"[-+]?\d+(?:\.\d+)?", body)
    decimals = len(found[0].partition(".")[2])
    return sign, float(found[0]) * 10**power, float(found[1]) * 10**power if len(found) > 1 else None, 0.5000001 * 10.0 ** (power - decimals)


def agrees(text, value, error=None, sign=None):
    s, v, e, half = parse(text)
    return abs(v - float(value)) <= max(half, 6e-4 * abs(float(value)) if error is None else half) and (e is None or abs(e - float(error)) <= half) and (sign is None or s == sign)


def read(name):
    with open(tables / name, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def wrong_numbers(numbers):
    sign = {"exact": "=", "lower_bound": r"\ge", "upper_bound": r"\le", "estimate": r"\sim"}
    for r in read("taxonomy.csv"):
        key = f"{r['view']}.{r['label']}.{r['name']}"
        if r["kind"] != "none" and not agrees(numbers[f"ll.{key}"], r["log_likelihood"], r["error"], sign[r["kind"]]):
            yield key, numbers[f"ll.{key}"], r["log_likelihood"]
        if r["bits_kind"] in sign and not agrees(numbers[f"bits.{key}"], r["bits_per_dim"], None, sign[r["bits_kind"]]):
            yield key, numbers[f"bits.{key}"], r["bits_per_dim"]
    for r in read("modes.csv"):
        text = numbers[f"modes.{r['dataset']}.{r['model']}.{r['quantity']}"]
        if not agrees(text, r["value"], r["std_error"]):
            yield r, text
    seen = {}
    for r in read("published.csv"):
        key = ".".join((r["model"], r["data"], r["view"], r["estimator"]))
        seen[key] = seen.get(key, 0) + 1
        key += f".{seen[key]}" if seen[key] > 1 else ""
        if not agrees(numbers[f"published.{key}"], r["value"], r["std_error"], sign[r["kind"]]):
            yield r, numbers[f"published.{key}"]
        if r["published"] and numbers[f"published.{key}.theirs"] != f"${r['published']}$":
            yield r, numbers[f"published.{key}.theirs"]
    for key, text in numbers.items():
        if key.startswith("theory."):
            _, name, *keys, column = key.split(".")
            rows = [r for r in read(f"theory/{name}.csv") if all(k in r.values() for k in keys) and r.get(column)]
            if not any(agrees(text, r[column], r.get(column + "_error") or None) for r in rows):
                yield key, text
    speeds = {(r["workload"], r["phase"], r["quantity"]): r["median"] for r in read("speed.csv")}
    for key, text in numbers.items():
        if (m := re.fullmatch(r"speed\.(.*)\.(\w+)\.(ratio_\w+)", key)) and abs(float(text) - float(speeds[m.groups()])) > 0.006 * float(text):
            yield key, text


def typed_digits(text):
    """What is left of the body when numbers by key, citations, files, lengths, display formulas and years are taken out."""
    body = re.sub(r"(?<!\\)%.*", "", text).partition(r"\begin{document}")[2]
    body = re.sub(r"\\begin\{equation\}.*?\\end\{equation\}", "", body, flags=re.S)
    body = re.sub(r"\\(?:N|cite|tablefile|ref|label|model|setlength\{\\\w+\}|bibliography\w*)\{[^}]*\}", "", body)
    body = re.sub(r"\\includegraphics(?:\[[^\]]*\])?\{[^}]*\}|\\\\\[[^\]]*\]", "", body)
    body = re.sub(r"\$([^$]*)\$", lambda m: " ".join(d for d in re.findall(r"\d+(?:\.\d+)?", m[1]) if d not in "012"), body)
    body = re.sub(r"\b(?:19|20)\d\d\b", "", body)
    return [line.strip() for line in body.splitlines() if re.search(r"\d", line)]


with tempfile.TemporaryDirectory(prefix="taxon paper ") as folder:
    folder = pathlib.Path(folder)
    out = folder / "out"
    numbers = generate(tables, out)
    judge("numbers.tex has the numbers of the tables", wrong_numbers(numbers))
    judge("no number is typed", typed_digits(main_tex))
    used = re.findall(r"\\N\{([^}]*)\}", main_tex)
    judge("every number asked for is there", (k for k in used if k not in numbers))
    judge("numbers are asked for", [] if len(set(used)) > 60 else [len(set(used))])
    sentence = "The model has $-238.6$ nats."
    judge("a typed number would be seen", [] if typed_digits(r"\begin{document} " + sentence) and typed_digits(r"\begin{document} over 31 models") else [sentence])
    needed = re.findall(r"\\(?:input|tablefile)\{(\w+)\}", main_tex) + [f + ".pdf" for f in re.findall(r"\\includegraphics(?:\[[^\]]*\])?\{(\w+)\}", main_tex)]
    made = {p.name for p in out.iterdir()} | {p.stem + ".pdf" for p in (tables / "theory").glob("*.svg")}
    judge("every table and figure is there", (f for f in needed if (f if "." in f else f + ".tex") not in made))

    # Another table, other numbers.
    other = folder / "tables"
    shutil.copytree(tables, other)
    text = (other / "taxonomy.csv").read_text(encoding="utf-8")
    row = next(r for r in read("taxonomy.csv") if r["label"] == "vae" and r["name"] == "iwae" and r["view"] == "binarised")
    (other / "taxonomy.csv").write_text(text.replace(row["log_likelihood"], "-123.456"), encoding="utf-8")
    changed = generate(other, folder / "changed")
    judge("a changed table changes the numbers", [] if agrees(changed["ll.binarised.vae.iwae"], -123.456, row["error"]) else [changed["ll.binarised.vae.iwae"]])
    judge("and the tables", [] if "-123.46" in (folder / "changed/taxonomy_binarised.tex").read_text(encoding="utf-8") else ["taxonomy_binarised.tex"])

    # Kinds in every cell: each likelihood of the table has the sign of its kind.
    for view in ("binarised", "dequantised"):
        lines = (out / f"taxonomy_{view}.tex").read_text(encoding="utf-8").splitlines()
        cells = [c for line in lines for c in line.split("&")[2:8:5] if re.match(r"\s*\$(=|\\ge|\\le|\\sim) -?\d", c)]  # its own, and Parzen's
        here = [r for r in read("taxonomy.csv") if r["view"] == view and r["kind"] != "none"]
        judge(f"every likelihood of {view} is there with its kind", [] if len(cells) == len(here) else [(len(cells), len(here))])

    # The bibliography: one place for entries, and nobody left out.
    keys = set(re.findall(r"^@\w+\{([^,]+),", (root / "paper/references.bib").read_text(encoding="utf-8"), re.M))
    cited = set(",".join(re.findall(r"\\cite\{([^}]*)\}", main_tex + (out / "models.tex").read_text(encoding="utf-8"))).split(","))
    judge("every citation is in references.bib", cited - keys)
    for what in ("models", "datasets", "estimators", "metrics"):
        listed = json.loads(subprocess.run([taxon, "list", what, "--json"], capture_output=True, text=True, check=True).stdout)
        judge(f"sources of {what} are cited", (m["name"] for m in listed if m.get("citation", None if what != "models" else "none") not in cited | {None}))
        text = (out / "models.tex").read_text(encoding="utf-8").replace("\\_", "_")
        judge(f"{what} are in the table with their sources", (m["name"] for m in listed if m.get("citation") and rf"\model{{{m['name']}}}~\cite{{{m['citation']}}}" not in text))

    if all(map(shutil.which, ("pdflatex", "bibtex", "rsvg-convert"))):
        done = subprocess.run(["bash", root / "paper/build.sh", taxon, folder / "built"], capture_output=True, text=True)
        judge("the PDF is made", [] if done.returncode == 0 else [done.stdout + done.stderr])
        log = (folder / "built/taxon.log").read_text(encoding="utf-8", errors="replace")
        judge("without undefined references", re.findall(r".*undefined.*", log))
        judge("no line is too wide", re.findall(r"Overfull \\hbox \((?:[5-9]|\d\d+)\.\d+pt too wide\).*", log))
    else:
        print("not made into a PDF here: no LaTeX")

print(f"{len(numbers)} numbers, {len(set(used))} of them in the text; {len(failures)} failures")
sys.exit(bool(failures))
