#!/usr/bin/python3
"""The report of a comparison as its reader meets it: test_report.py TAXON

Well-formed, self-contained and reachable by ear; the tables' numbers those of `taxon table --format json`; pictures that decode; all that
is missing named."""
import base64
import html.parser
import os
import pathlib
import re
import shutil
import struct
import sys
import tempfile
import xml.dom.minidom
import zlib
import json

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "support"))
import taxon as tx
from taxon import np

CONFIG = """seeds: [0, 1]
datasets:
  - {path: pictures.npy, view: binarised, n_train: 60}
  - {name: ring, n_train: 200, n_valid: 60, n_test: 60}
  - {name: mixture_1d, n_train: 200, n_valid: 60, n_test: 60}
train: {epochs: 3, batch: 20}
models:
  - {model: independent}
  - {model: made, hidden: [6]}
  - {model: vae, latent: 2, hidden: [6]}
  - {model: vae, label: lost, latent: 2, hidden: [6], train: {optimizer: sgd, learning_rate: 1e12}}
  - {model: gan, latent: 3, generator_hidden: [6], discriminator_hidden: [6]}
evaluate: {estimators: [exact, elbo, parzen], metrics: [mmd], n_sample: 25}
"""
LARGE = """seeds: [0]
datasets: [{path: large.npy, view: dequantised}]
models:
%s
evaluate: {estimators: [exact], n_sample: 40}
"""
ODD = "o<d>&\"d\"'\x01"
VOID = {"meta", "img", "br", "link", "input", "hr"}
KINDS = {"=": "exact", "≥": "lower bound", "≤": "upper bound", "~": "estimate"}


class Page(html.parser.HTMLParser):
    """What stands where; complaints about what should not."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.images, self.wrong = [], [], [], [], []
        self.headings, self.tables, self.tags, self.text = [], [], set(), []
        self.feed(text)
        self.close()
        self.wrong += [f"not closed: {t}" for t in self.open]
        self.wrong += [f"id twice: {i}" for i in set(self.ids) if self.ids.count(i) > 1]
        self.wrong += [f"no target: {h}" for h in self.links if h[1:] not in self.ids]

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in a:
            self.ids.append(a["id"])
        if tag == "a":
            self.links.append(a["href"])
        for name in ("src", "href", "srcset", "data", "action"):
            if not a.get(name, "#").startswith(("#", "data:image/")):
                self.wrong.append(f"{tag} {name} {a[name][:60]}")
        if tag == "img":
            self.images.append(a)
            if not a.get("alt", "").strip() or not int(a["width"]) or not int(a["height"]):
                self.wrong.append(f"an image without words or size: {a.get('alt')}")
        if tag == "th" and a.get("scope") not in ("col", "row", "rowgroup"):
            self.wrong.append("th without scope")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "table":
            self.tables.append({"caption": "", "rows": [], "spans": []})
        if tag == "tr":
            self.tables[-1]["rows"].append([])
            self.tables[-1]["spans"].append([])
        if tag in ("th", "td"):
            self.tables[-1]["rows"][-1].append("")
            self.tables[-1]["spans"][-1].append((int(a.get("rowspan", 1)), int(a.get("colspan", 1))))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        self.text.append(data)
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        elif self.open and self.open[-1] in ("th", "td", "small") and "tr" in self.open:
            self.tables[-1]["rows"][-1][-1] += data


def is_grid(spans):
    """Every row of a table has as many columns as the first, cells that reach down from above counted."""
    reach = []
    for row in spans:
        reach = [n - 1 for n in reach if n > 1]
        if len(reach) + sum(columns for _, columns in row) != sum(columns for _, columns in spans[0]):
            return False
        reach += [rows for rows, columns in row for _ in range(columns)]
    return all(n == 1 for n in reach)


def png_size(data):
    """Width and height of a PNG whose sums fit and whose pixels are all there."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, pixels, size = 8, b"", None
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + n:at + 12 + n])[0]
        size = struct.unpack(">IIBB", body[:10]) if kind == b"IHDR" else size
        pixels += body if kind == b"IDAT" else b""
        at += 12 + n
    width, height, depth, colour = size
    channels = {0: 1, 2: 3}[colour]
    assert depth == 8 and len(zlib.decompress(pixels)) == height * (1 + width * channels)
    return width, height


def decode(image):
    kind, data = re.fullmatch(r"data:image/(png|svg\+xml);base64,(.*)", image["src"]).groups()
    data = base64.b64decode(data, validate=True)
    if kind == "png":
        return kind, png_size(data) == (int(image["width"]), int(image["height"]))
    root = xml.dom.minidom.parseString(data).documentElement
    return kind, root.tagName == "svg" and root.getAttribute("width") == image["width"]


def near(printed, value):
    """A printed number is the value rounded."""
    digits = len(printed.partition(".")[2])
    return abs(float(printed) - value) <= 0.50001 * 10 ** -digits


def check_row(cells, row):
    """One line of a table of likelihoods against its record."""
    m = re.fullmatch(r"(\S) (-?[\d.]+)(?: ± ([\d.]+))? (.*)", cells["log-likelihood, nats"])
    good = m and KINDS[m[1]] == m[4] == row["kind"].replace("_", " ") and near(m[2], row["log_likelihood"])
    good = good and (near(m[3], row["error"]) if m[3] else not row["error"])
    good = good and cells["by"] == row["by"] and ("MC error" not in cells or not cells["MC error"] or near(cells["MC error"], row["mc_error"]))
    if row["bits_per_dim"] is not None:
        b = re.fullmatch(r"(\S) (-?[\d.]+) (.*)", cells["bits/dim"])
        good = good and b and KINDS[b[1]] == b[3] == row["bits_kind"].replace("_", " ") and near(b[2], row["bits_per_dim"])
    return bool(good)


def check_numbers(page, records, check):
    """Every record of the table is a line of the page, in order."""
    for caption in dict.fromkeys((r["dataset"], r["view"], r["measure"], r["split"]) for r in records):
        own = [r for r in records if (r["dataset"], r["view"], r["measure"], r["split"]) == caption]
        start = f"{caption[0]}, {caption[1]}: {caption[2]} measure, {caption[3]} split"
        table = next(t for t in page.tables if t["caption"].startswith(start) and t["rows"][0][0] == "model")
        head, lines = table["rows"][0], [r for r in table["rows"][1:] if "not a model" not in r]
        # A line that goes on with a model has no cell for its name.
        lines = [dict(zip(head, line if len(line) == len(head) else [""] + line)) for line in lines]
        if not check(len(lines) == len(own), f"{start}: {len(lines)} lines, {len(own)} records"):
            continue
        for cells, row in zip(lines, own):
            if row["kind"] == "none":
                check(cells["log-likelihood, nats"] in ("none", "diverged"), f"{start}: {cells}")
            else:
                check(check_row(cells, row), f"{start}: {cells}, {row}")


def check_page(what, text, check):
    page = Page(text)
    check(not page.wrong, f"{what}: {page.wrong[:5]}")
    check(not page.tags & {"script", "link", "iframe", "object", "base"}, f"{what}: elements that load something")
    check('<html lang="en">' in text and {"main", "nav", "header", "h1"} <= page.tags, f"{what}: landmarks")
    check(page.headings[0] == 1 and page.headings.count(1) == 1, f"{what}: one h1")
    check(all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:])), f"{what}: headings in order: {page.headings}")
    check(page.tables and all(t["caption"] for t in page.tables), f"{what}: captions")
    check(all(is_grid(t["spans"]) for t in page.tables), f"{what}: columns")
    check(not re.search("[\x00-\x08\x0b-\x1f\x7f]", text), f"{what}: control characters")
    check("url(" not in text and "@import" not in text, f"{what}: styles load nothing")
    for image in page.images:
        try:
            check(decode(image)[1], f"{what}: size of the picture '{image['alt']}'")
        except Exception as e:  # whatever a decoder says
            check(False, f"{what}: {image['alt']}: {e!r}")
    return page


def rename(label):
    def how(f):
        f.attrs["label"] = label
        f.attrs["group"] = label
        config = json.loads(f["config/json"][()])
        config["model"]["label"] = "</code></pre><script>alert(1)</script>"
        del f["config/json"]
        f["config/json"] = json.dumps(config)
    return how


def failure(f):
    f.attrs["failure"] = "<script>alert(2)</script>"


def spoil(out):
    """A damaged, a foreign, an unfinished run, and two whose texts mean something in HTML."""
    runs = pathlib.Path(out)
    path = runs / "ring-raw/vae/seed-1/result.h5"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with tx.h5py.File(runs / "ring-raw/gan/seed-1/result.h5", "w") as f:
        f["x"] = 1
    os.remove(runs / "ring-raw/independent/seed-1/result.h5")
    for seed in (0, 1):
        tx.change(runs / f"pictures-binarised/vae/seed-{seed}/result.h5", rename(ODD))
    tx.change(runs / "ring-raw/lost/seed-0/result.h5", failure)


def check_spoilt(taxon, plots, check):
    done = tx.run(taxon, "report", "out", "-o", "spoilt.html")
    check(done.returncode == 3 and "3 files left out" in done.stderr, f"spoilt: {done}")
    check(all(": left out: out/" in line for line in done.stderr.splitlines() if "left out: " in line), f"spoilt, lines: {done.stderr}")
    text = pathlib.Path("spoilt.html").read_text(encoding="utf-8")
    page = check_page("spoilt", text, check)
    said = " ".join(page.text)
    for part in ("ring-raw/vae/seed-1/result.h5: damaged", "ring-raw/gan/seed-1/result.h5: expected a last line",
                 "ring-raw/independent/seed-1: has no result.h5"):
        check(part in said and f"left out: out/{part}" in done.stderr, f"not named: {part}")
    for part in ("ring-raw/lost/seed-0/result.h5: <script>alert(2)</script>", "ring-raw/lost/seed-1/result.h5: epoch 1"):
        check(part in said and f"diverged: out/{part}" in done.stderr, f"not named: {part}")
    check("<script" not in text and "alert(1)" in said, "texts of files are escaped")
    odd = ODD.replace("\x01", "�")
    check(any(odd in row[0] for t in page.tables for row in t["rows"]), "a label as it is")
    check(any(odd in i["alt"] for i in page.images), "a label in words beside pictures")
    # Its parts of one program: what `taxon table` prints is in it.
    table = tx.run(taxon, "table", "out", "--format", "html").stdout
    first = table[table.index("<table>"):table.index("</table>")]
    check(first in text, "the table of taxon table --format html")
    check_numbers(page, json.loads(tx.run(taxon, "table", "out", "--format", "json").stdout)["rows"], check)
    check(not plots or "Learning curves of" in text, "plots")


def check_whole(taxon, plots, check):
    done = tx.run(taxon, "report", "out", "-o", "whole.html")
    check(done.returncode == 0, f"whole: {done}")
    text = pathlib.Path("whole.html").read_text(encoding="utf-8")
    page = check_page("whole", text, check)
    check_numbers(page, json.loads(tx.run(taxon, "table", "out", "--format", "json").stdout)["rows"], check)
    again = tx.run(taxon, "report", "out", "-o", "-")
    check(again.stdout == text, "the same folder gives the same page, on standard output too")
    kinds = [decode(i)[0] for i in page.images]
    check(kinds.count("png") >= 4 * 2 + 5 + 5, f"pictures of samples: {kinds}")
    check(kinds.count("svg+xml") >= 20 if plots else not kinds.count("svg+xml"), f"plots: {kinds}")
    plain = [base64.b64decode(i["src"].partition(",")[2]) for i in page.images if "svg" in i["src"][:20]]
    check(all(b"<filter" not in p and b"linecap" not in p and len(p) < 20000 for p in plain), f"bytes of plots: {sorted(map(len, plain))[-3:]}")
    alts = " ".join(i["alt"] for i in page.images)
    drawn = ("Learning curves of vae: ", "log-likelihoods of made", "against seconds per sample") if plots else ()
    for part in ("test split of pictures, binarised", "samples of gan", "the training row nearest to it", "points in the plane", *drawn):
        check(part in alts, f"no picture of: {part}")
    said = " ".join(page.text)
    for part in ("taxon reproduce out/ring-raw/vae/seed-0/result.h5", "learning_rate: 0.001", "compiler", "version_hdf5",
                 "over seeds", "lower bound", "mmd"):
        check(part in said, f"not said: {part}")
    check_nearest(page, check)
    check("Paired differences" in said and "independent - vae" in said, "paired differences")
    # The configuration that is printed makes the same runs again.
    found = re.search(r"pictures-binarised\.yaml</code></pre>\s*<pre[^>]*><code>(.*?)</code>", text, re.S)
    pathlib.Path("again.yaml").write_text(html.unescape(found[1]), encoding="utf-8")
    runs = [json.loads(tx.run(taxon, "config", c, "--json").stdout) for c in ("again.yaml", "config.yaml")]
    check({m["label"] for m in runs[0]["models"]} == {m["label"] for m in runs[1]["models"]} and runs[0]["seeds"] == [0, 1], "its labels")
    tx.run(taxon, "run", "again.yaml", "--out", "again", "--progress", "none")
    sums = [tx.h5py.File(f"{o}/pictures-binarised/made/seed-1/result.h5").attrs["content_sha256"] for o in ("out", "again")]
    check(sums[0] == sums[1], "a run of the printed configuration is the same")
    return text


def check_nearest(page, check):
    """The distances told are those to the nearest of all training rows, which a run keeps when they are few."""
    said = " ".join(page.text)
    for model in ("made", "vae", "gan", "independent"):
        with tx.h5py.File(f"out/pictures-binarised/{model}/seed-0/result.h5") as f:
            train, x = f["data/train/x"][:].astype(float), f["samples/x"][:10]
        least = np.sqrt(((x[:, None] - train[None]) ** 2).sum(2)).min(1)
        told = re.search(rf"{model}, seed 0: distances ([\d., ]+); mean ([\d.]+)", said)
        check(told and np.allclose([float(d) for d in told[1].split(",")], least, atol=6e-3) and len(train) == 60, f"nearest of {model}: {told}, {least}")


def check_missing(taxon, whole, check):
    """No gnuplot, one that fails, no data: the rest comes, and what is missing is said."""
    os.mkdir("no programs")
    done = tx.run(taxon, "report", "out", "-o", "x.html", env={"PATH": str(pathlib.Path("no programs").resolve())})
    text = pathlib.Path("x.html").read_text(encoding="utf-8")
    check(done.returncode == 0 and "no such program on the PATH" in text and "image/svg" not in text, "no gnuplot")
    check(text.count("image/png") == whole.count("image/png") and text.count("<table>") == whole.count("<table>"), "the rest without gnuplot")
    fake = pathlib.Path("no programs/gnuplot")
    fake.write_text("#!/bin/sh\necho '<broken> pipe' >&2\nexit 2\n", encoding="utf-8")
    fake.chmod(0o755)
    done = tx.run(taxon, "report", "out", "-o", "x.html", env={"PATH": f"{fake.resolve().parent}:/usr/bin:/bin"})
    text = pathlib.Path("x.html").read_text(encoding="utf-8")
    check(done.returncode == 0 and text.count("gnuplot: exit code 2: &lt;broken&gt; pipe") == 1 and "image/svg" not in text, "a gnuplot that fails")
    os.rename("pictures.npy", "moved.npy")
    done = tx.run(taxon, "report", "out", "-o", "x.html")
    text = pathlib.Path("x.html").read_text(encoding="utf-8")
    check_page("without data", text, check)
    check(done.returncode == 0 and "nearest training rows are missing: " in text and "pictures.npy" in text, "data that moved")
    check("test split of pictures, binarised" in text and "the training row nearest" not in text, "real rows that every run keeps")
    os.rename("moved.npy", "pictures.npy")


def check_refusals(taxon, check):
    for what, arguments, code, part in [
            ("a place that cannot be written", ["out", "-o", "nowhere/x.html"], 73, "nowhere/x.html: cannot create"),
            ("a folder in its place", ["nothing", "-o", "out"], 73, "expected a file or nothing, found a folder"),
            ("no runs", ["empty", "-o", "y.html"], 66, "holds no finished run"),
            ("no folder", ["nothing", "-o", "y.html"], 66, "nothing: No such file"),
            ("no argument", [], 64, "an argument is missing")]:
        done = tx.run(taxon, "report", *arguments)
        check(done.returncode == code and part in done.stderr, f"{what}: {done}")
    check(not os.path.exists("y.html"), "nothing is written without results")


def check_large(taxon, check):
    """Pictures that would be too many bytes are fewer and smaller, and that is said."""
    np.save("large.npy", np.random.default_rng(1).integers(0, 256, (60, 72, 72, 3)).astype("u1"))
    models = "\n".join(f"  - {{model: independent, label: i{k}}}" for k in range(4))
    pathlib.Path("large.yaml").write_text(LARGE % models, encoding="utf-8")
    done = tx.run(taxon, "run", "large.yaml", "--out", "large", "--progress", "none", timeout=200)
    check(done.returncode == 0, f"large: {done}")
    done = tx.run(taxon, "report", "large", "-o", "large.html", timeout=200)
    size = os.path.getsize("large.html")
    text = pathlib.Path("large.html").read_text(encoding="utf-8")
    check(done.returncode == 0 and 300000 < size < 3000000, f"large: {size} bytes, {done}")
    check("pictures of each model, not 40" in text and "smaller than they are" in text, "large: said")
    check_page("large", text, check)


def check_plane(taxon, plots, check):
    """Points of the plane without their data set are framed by themselves; `smoothed` is a metric to plot; a histogram is of a seed that
    has the estimate."""
    np.save("plane.npy", np.random.default_rng(2).normal(100, 3, (90, 2)))
    pathlib.Path("plane.yaml").write_text("seeds: [0, 1]\ndatasets: [{path: plane.npy, view: standardised}, {name: ring, n_train: 90, n_valid: 20, n_test: 20}]\n"
                                          "models: [{model: gaussian}, {model: vae, latent: 2, hidden: [3], train: {epochs: 2}}]\n"
                                          "evaluate: {estimators: [exact], n_sample: 20}\n", encoding="utf-8")
    done = tx.run(taxon, "run", "plane.yaml", "--out", "plane", "--progress", "none")
    check(done.returncode == 0, f"plane: {done}")
    for model in ("gaussian", "vae"):
        tx.run(taxon, "evaluate", f"plane/ring-raw/{model}/seed-0", "--metric", "smoothed", "n_sample=50")
    tx.run(taxon, "evaluate", "plane/ring-raw/vae/seed-1", "--estimator", "elbo")
    os.remove("plane.npy")
    done = tx.run(taxon, "report", "plane", "-o", "plane.html")
    page = check_page("plane", pathlib.Path("plane.html").read_text(encoding="utf-8"), check)
    alts = [i["alt"] for i in page.images]
    spans = [re.search(r"both axes from ([\d.]+) to ([\d.]+): samples of gaussian", a) for a in alts]
    spans = [(float(m[1]), float(m[2])) for m in spans if m]
    check(any(80 < lo < 100 < hi < 120 for lo, hi in spans), f"a frame of samples alone: {alts[:4]}")
    check("the same for all seeds" in "".join(page.text), "an error over seeds that agree")
    check(not plots or any(a.startswith("smoothed_kl against seconds") for a in alts), f"cost against smoothed_kl: {alts}")
    said = "".join(page.text)
    check(not plots or "vae, seed 1, lower bound by elbo: median" in said, "a histogram of the seed that has the estimate")


def main(taxon):
    failures = tx.Failures()
    check = failures.check
    plots = shutil.which("gnuplot") is not None
    with tempfile.TemporaryDirectory(prefix="taxon report ") as folder:
        os.chdir(folder)
        os.mkdir("empty")
        rng = np.random.default_rng(0)
        np.save("pictures.npy", rng.binomial(15, rng.random((6, 5)), (200, 6, 5)).astype("u1"))
        pathlib.Path("config.yaml").write_text(CONFIG, encoding="utf-8")
        done = tx.run(taxon, "run", "config.yaml", "--out", "out", "--progress", "none", timeout=200)
        check(done.returncode == 3, f"the comparison: {done}")
        check_refusals(taxon, check)
        whole = check_whole(taxon, plots, check)
        check_missing(taxon, whole, check)
        check_large(taxon, check)
        check_plane(taxon, plots, check)
        spoil("out")
        check_spoilt(taxon, plots, check)
        os.chdir("/")
    failures.end()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(os.path.realpath(sys.argv[1]))
