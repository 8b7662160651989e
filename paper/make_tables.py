"""The paper's numbers, tables and figures: make_tables.py TAXON TABLES OUT

TABLES is results/tables; of TAXON, the command, come the models and whose they are. OUT gets numbers.tex, where each number of the running text
has a key (\\N{ll.binarised.nade.exact}), a .tex for each table and the figure that is not one of TABLES/theory."""
import collections
import csv
import json
import math
import pathlib
import re
import subprocess
import sys

SIGN = {"exact": "=", "lower_bound": r"\ge", "upper_bound": r"\le", "estimate": r"\sim"}
POINT = {"exact": 7, "lower_bound": 9, "upper_bound": 11, "estimate": 6}  # gnuplot's: dot, triangle up and down, circle
KIND_WORDS = {"exact": "exact", "lower_bound": "at least", "upper_bound": "at most", "estimate": "estimate"}
COLOURS = {"exact": "#0072b2", "lower_bound": "#d55e00", "upper_bound": "#009e73", "estimate": "#777777"}


def read(path, delimiter=","):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter=delimiter))


def pages(path):
    """The tables of a Markdown file: (the last line above that is no table, heads, rows of cells)."""
    above, heads, out = "", None, []
    for line in open(path, encoding="utf-8"):
        cells = [c.strip() for c in line.strip().strip("|").split("|")] if line.startswith("|") else None
        if cells is None:
            heads, above = None, line.strip(" *\n") or above
        elif heads is None:
            heads = cells
            out.append((above, heads, []))
        elif not set(line) <= set("|-: \n"):
            out[-1][2].append(cells)
    return out


def plain(text):
    """Text for LaTeX, where it means itself."""
    text = re.sub(r"([&%$#_{}])", r"\\\1", text).replace("~", r"$\sim$").replace("^2", "$^2$")
    return text.replace(" x ", r" $\times$ ")


def code(name):
    return r"\model{" + name.replace("_", r"\_") + "}"


def value_of(text):
    return float(text) if text not in ("", "nan") else math.nan


def shown(value, error=math.nan, sign=""):
    """A number with as many digits as its error has meaning: two of the error; six of its own where that is 0, four without one."""
    if math.isnan(value):
        return ""
    if error > 1e4:
        power = math.floor(math.log10(abs(value)))
        return rf"$({shown(value / 10**power, error / 10**power, sign)[1:-1]})\cdot 10^{{{power}}}$"
    if error > 0:
        digits = max(0, 1 - math.floor(math.log10(error)))
        body = rf"{value:.{digits}f} \pm {error:.{digits}f}"
    else:
        body = f"{value:.{6 if error == 0 else 4}g}"
    if "e" in body:
        body = re.sub(r"e([+-])0*(\d+)", lambda m: rf"\cdot 10^{{{m[1].replace('+', '')}{m[2]}}}", body)
    return rf"${sign} {body}$" if sign else f"${body}$"


def count(text):
    v = value_of(text)
    return "" if math.isnan(v) else f"{v / 1e6:.2f}M" if v >= 1e6 else f"{v / 1e3:.0f}k" if v >= 1e5 else f"{v:.0f}"


class Numbers:
    """Numbers by key. What is asked for in the text and missing here stops LaTeX."""

    def __init__(self):
        self.text = {}

    def put(self, key, text):
        if self.text.setdefault(key, text) != text:
            raise SystemExit(f"make_tables.py: two numbers with the key {key}: {self.text[key]}, {text}")

    def write(self, path):
        path.write_text("".join(rf"\putnumber{{{k}}}{{{v}}}" + "%\n" for k, v in self.text.items()), encoding="utf-8")


def tabular(path, columns, heads, rows):
    """rows: lists of cells, or None for a rule."""
    lines = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
    lines += [r"\midrule" if r is None else " & ".join(r) + r" \\" for r in rows]
    path.write_text("\n".join(lines + [r"\bottomrule", r"\end{tabular}%", ""]), encoding="utf-8")


def gnuplot(path, size, text):
    if path.suffix != ".pdf":
        raise SystemExit(f"{path}: figures are PDFs")
    program = f"set terminal pdfcairo size {size[0]}cm,{size[1]}cm font 'Helvetica,9' rounded\nset output '{path}'\nset border 3\nset tics nomirror\n" + text
    subprocess.run(["gnuplot"], input=program, text=True, check=True)


# The taxonomy.

def likelihood(r):
    return shown(value_of(r["log_likelihood"]), value_of(r["error"]), SIGN[r["kind"]]) if r["kind"] in SIGN else "none"


def bits(r):
    return f"${SIGN[r['bits_kind']]} {value_of(r['bits_per_dim']):.3f}$" if r["bits_kind"] in SIGN else ""


def own(r):
    """What is evaluated is what is compared: the model, not its samples with noise added."""
    return r["evaluated_model"] == "model" and r["kind"] in SIGN


def taxonomy(tables, numbers, out):
    rows = read(tables / "taxonomy.csv")
    for view in dict.fromkeys(r["view"] for r in rows):
        here = [r for r in rows if r["view"] == view]
        for r in here:
            key = f"{view}.{r['label']}.{r['name']}"
            numbers.put(f"ll.{key}", likelihood(r))
            if bits(r):
                numbers.put(f"bits.{key}", bits(r))
            numbers.put(f"steps.{r['label']}.{view}", shown(value_of(r["sequential_steps_per_sample"])))
        numbers.put(f"{view}.n_model", str(len({r["label"] for r in here})))
        numbers.put(f"{view}.n_example", here[0]["n_example"])
        exact = sorted((r for r in here if own(r) and r["kind"] == "exact"), key=lambda r: -value_of(r["log_likelihood"]))
        for place, r in (("first", exact[0]), ("last", exact[-1])):
            numbers.put(f"{view}.{place}.label", code(r["label"]))
            numbers.put(f"{view}.{place}.ll", likelihood(r))
            numbers.put(f"{view}.{place}.bits", bits(r))
        table_of_view(here, out / f"taxonomy_{view}.tex")
    for name in dict.fromkeys(r["name"] for r in rows):
        numbers.put(f"settings.{name}", " or ".join(dict.fromkeys(plain(r["by"].partition(", ")[2]) for r in rows if r["name"] == name)))
    parzen_against_likelihood(rows, numbers, out)
    constants(rows, numbers)
    some = [r for r in rows if value_of(r["n_evaluated"]) < value_of(r["n_example"])]
    numbers.put("taxonomy.n_few", "" if not some else min(some, key=lambda r: value_of(r["n_evaluated"]))["n_evaluated"].removesuffix(".0"))
    numbers.put("taxonomy.n_seed", " or ".join(sorted({r["n_seed"] for r in rows})))
    return rows


def table_of_view(here, path):
    smoothed = {r["label"]: r for r in here if r["name"] == "parzen"}
    cells, last = [], None
    for r in here:
        if r["name"] == "parzen" and any(s["label"] == r["label"] and s is not r for s in here):
            continue
        kind = next((k for k in SIGN if k == r["kind"] and r["name"] != "parzen"), "none")
        first = r["label"] != last
        if last is not None and first and kind != before:
            cells.append(None)
        last, before = r["label"], kind if first else before
        parzen = smoothed.get(r["label"]) if first else None
        other = "" if own(r) or kind == "none" else r"$^{*}$"
        few = rf"{value_of(r['n_evaluated']):.0f}" if kind != "none" else ""
        cells.append([code(r["label"]) if first else "", leaf(r) if first else "",
                      (likelihood(r) if kind != "none" else "none") + other, noise(r) if kind != "none" else "", plain(r["name"]) if kind != "none" else "", few, bits(r) if kind != "none" else ""]
                     + ([likelihood(parzen) if parzen else ""] if smoothed else [])
                     + ([count(r["n_parameter"]), count(r["n_step"]), shown_seconds(r["train_seconds"]), r["n_seed"]] if first else [""] * 4))
    tabular(path, "lllrlrl" + ("l" if smoothed else "") + "rrrr",
            ["model", "leaf", "log-likelihood, nat", "MC", "by", "$n$", "bits/dim"] + (["Parzen, nat"] if smoothed else [])
            + ["param.", "steps", "s", "seeds"], cells)


def noise(r):
    v = value_of(r["mc_error"])
    return f"{v:.2g}" if v > 0 else ""


def leaf(r):
    return r["taxonomy_path"].rsplit("/", 1)[1].replace("_", " ")


def shown_seconds(text):
    v = value_of(text)
    return "" if math.isnan(v) else f"{v:.0f}" if v >= 10 else f"{v:.1f}"


def constants(rows, numbers):
    """Dimension and levels, from bits and nats of exact values."""
    r = next(r for r in rows if r["measure"] == "counting" and r["kind"] == "exact")
    dim = round(-value_of(r["log_likelihood"]) / (value_of(r["bits_per_dim"]) * math.log(2)))
    r = next(r for r in rows if r["measure"] == "lebesgue" and r["kind"] == "exact" and own(r))
    log_levels = value_of(r["bits_per_dim"]) * math.log(2) + value_of(r["log_likelihood"]) / dim
    numbers.put("dim", str(dim))
    numbers.put("levels", str(round(math.exp(log_levels))))


def kendall(pairs):
    n = [0, 0]
    for i, (a, b) in enumerate(pairs):
        for c, d in pairs[:i]:
            n[(a - c) * (b - d) < 0] += (a - c) * (b - d) != 0
    return (n[0] - n[1]) / (n[0] + n[1])


def known(r):
    """How well a likelihood is known, the best first: by its kind; of bounds the tightest, of estimates the highest."""
    sign = 1 if r["kind"] == "upper_bound" else -1
    return list(SIGN).index(r["kind"]), sign * value_of(r["log_likelihood"])


def parzen_against_likelihood(rows, numbers, out):
    view = next(r["view"] for r in rows if r["name"] == "parzen")
    here = [r for r in rows if r["view"] == view]
    smoothed = {r["label"]: r for r in here if r["name"] == "parzen"}
    best = {}
    for r in here:  # the best known of each model
        if own(r) and r["label"] in smoothed and r["name"] != "ais":
            if r["label"] not in best or known(r) < known(best[r["label"]]):
                best[r["label"]] = r
    exact = [m for m in best if best[m]["kind"] == "exact"]
    by_ll = sorted(exact, key=lambda m: -value_of(best[m]["log_likelihood"]))
    by_parzen = sorted(exact, key=lambda m: -value_of(smoothed[m]["log_likelihood"]))
    numbers.put("parzen.n_exact", str(len(exact)))
    numbers.put("parzen.tau", f"${kendall([(value_of(best[m]['log_likelihood']), value_of(smoothed[m]['log_likelihood'])) for m in exact]):+.2f}$")
    for name, first, other in (("by_ll", by_ll, by_parzen), ("by_parzen", by_parzen, by_ll)):
        numbers.put(f"parzen.first_{name}", code(first[0]))
        numbers.put(f"parzen.first_{name}.rank", str(other.index(first[0]) + 1))
        numbers.put(f"parzen.first_{name}.ll", likelihood(best[first[0]]))
        numbers.put(f"parzen.first_{name}.parzen", likelihood(smoothed[first[0]]))
    kinds = [k for k in SIGN if any(best[m]["kind"] == k for m in best)]
    at = {m: (value_of(best[m]["log_likelihood"]), value_of(smoothed[m]["log_likelihood"])) for m in best}
    text = "".join(f"${k} << E\n" + "".join(f"{at[m][0]} {at[m][1]}\n" for m in best if best[m]["kind"] == k) + "E\n" for k in kinds)
    text += "".join(f"set label \"{m}\" at {at[m][0]},{at[m][1]} {where} font ',7'\n" for m, where in beside(at).items())
    gnuplot(out / "parzen.pdf", (13, 6.3), text + "set termoption noenhanced\nset xlabel 'log-likelihood of the model, nat'\nset ylabel 'Parzen estimate, nat'\n"
            "set key bottom right samplen 0.6\nset offsets graph 0.08, graph 0.12, graph 0.08, graph 0.08\nplot "
            + ", ".join(f"${k} with points pt {POINT[k]} ps 0.6 lc rgb '{COLOURS[k]}' title '{KIND_WORDS[k]}'" for k in kinds) + "\n")


def beside(at):
    """Where each point's name goes: the first place, in widths and heights of letters, in which it meets no other."""
    wide, high = (max(p[i] for p in at.values()) - min(p[i] for p in at.values()) for i in (0, 1))
    letter, line, taken, out = wide * 0.014, high * 0.05, [], {}
    for m, (x, y) in sorted(at.items(), key=lambda v: -v[1][1]):
        places = [("left", 0.8, 0), ("right", -0.8, 0)] + [(side, dx, dy) for dy in (0.9, -0.9, 1.8, -1.8, 2.7, -2.7) for side, dx in (("left", 0.8), ("right", -0.8))]
        for side, dx, dy in places:
            left = x + dx * letter - (side == "right") * len(m) * letter
            box = left, left + len(m) * letter, y + (dy - 0.5) * line, y + (dy + 0.5) * line
            points = [(px - letter / 2, px + letter / 2, py - line / 3, py + line / 3) for px, py in at.values()]
            if not any(box[0] < t[1] and t[0] < box[1] and box[2] < t[3] and t[2] < box[3] for t in taken + points):
                break
        taken.append(box)
        out[m] = f"{side} offset {dx},{dy * 0.75}"
    return out


# Samples' quality.

def quality(tables, rows, numbers, out):
    found = collections.defaultdict(dict)
    for q in read(tables / "taxonomy_quality.csv"):
        of = found[q["view"], q["metric"]]
        of[q["label"]] = value_of(q["value"]), value_of(q["error"])
        if q["real"]:
            of.setdefault("real rows", (value_of(q["real"]), value_of(q["real_error"])))
        numbers.put(f"quality.n_sample.{q['view']}.{q['metric']}.{q['label']}", q["n_sample"])
    for _, _, cells in pages(tables / "taxonomy.md"):
        for c in cells:
            if c[0] == "coin flips alone":
                numbers.put("coin_flips", f"${c[2]}$")
    views = list(dict.fromkeys(r["view"] for r in rows))
    metrics = ("c2st", "frechet", "knn_coverage")
    for (view, metric), of in found.items():
        for label, (value, error) in of.items():
            numbers.put(f"quality.{view}.{metric}.{label}", shown(value, error))
    labels = [*dict.fromkeys(r["label"] for r in rows), "real rows"]
    cells = [[code(m) if m != "real rows" else m] + [shown(*found[v, q].get(m, (math.nan,))) for v in views for q in metrics] for m in labels]
    tabular(out / "quality.tex", "l" + "l" * 6, ["model"] + [rf"{q.replace('knn_', '')}, {v}" for v in views for q in metrics], cells[:-1] + [None, cells[-1]])
    for view in views:
        for metric, low in (("frechet", True), ("knn_coverage", False)):
            of = {m: v for m, (v, _) in found[view, metric].items() if m != "real rows"}
            best = (min if low else max)(of, key=of.get)
            numbers.put(f"quality.{view}.{metric}.first", code(best))
            exact = {r["label"]: value_of(r["log_likelihood"]) for r in rows if r["view"] == view and own(r) and r["kind"] == "exact" and r["label"] in of}
            numbers.put(f"quality.{view}.{metric}.tau", f"${kendall([(exact[m], -of[m] if low else of[m]) for m in exact]):+.2f}$")
            numbers.put(f"quality.{view}.{metric}.n_exact", str(len(exact)))
            order = sorted(exact, key=exact.get, reverse=True)
            numbers.put(f"quality.{view}.{metric}.first_rank", str(order.index(best) + 1) if best in order else "none")


# Modes, published values, known densities, speed, the tutorial's claims.

def modes(tables, published, numbers, out):
    rows = read(tables / "modes.csv")
    beside = {(r["dataset"], r["label"]): r for r in read(published, "\t")}
    of = {(r["dataset"], r["model"], r["quantity"]): r for r in rows}
    for (data, model, quantity), r in of.items():
        numbers.put(f"modes.{data}.{model}.{quantity}", shown(value_of(r["value"]), value_of(r["std_error"])))
    numbers.put("modes.n_seed", "/".join(sorted({r["n_seed"] for r in rows})))
    sets = sorted({r["dataset"] for r in rows}, reverse=True)
    cells = []
    for model in dict.fromkeys(r["model"] for r in rows):
        line = [code(model)]
        for data in sets:
            get = lambda q: of.get((data, model, q), {"value": "", "std_error": "", "by": ""})
            line += [shown(value_of(get(q)["value"]), value_of(get(q)["std_error"])) for q in ("mode_count", "mode_high_quality")]
            line.append(shown(value_of(get("kl")["value"]), value_of(get("kl")["std_error"]), "=" if get("kl")["by"] == "exact" else r"\sim"))
            p = beside.get((data, model))
            line.append("$" + p["modes"].replace("+-", r"\pm") + "$" if p else "")
        cells.append(line)
    tabular(out / "modes.tex", "l" + "llll" * len(sets), ["model"] + [t for data in sets for t in (f"{data}: modes", "quality", "KL, nat", "published")], cells)


def published(tables, numbers, out):
    rows = sorted(read(tables / "published.csv"), key=lambda r: (r["measure"], r["data"], r["view"]))  # stable: the order within a set stays
    seen, cells, place = collections.Counter(), [], None
    for r in rows:
        key = ".".join((r["model"], r["data"], r["view"], r["estimator"]))
        seen[key] += 1
        key += f".{seen[key]}" if seen[key] > 1 else ""
        ours = shown(value_of(r["value"]), value_of(r["std_error"]), SIGN[r["kind"]])
        numbers.put(f"published.{key}", ours)
        if r["published"]:
            theirs = f"${r['published']}$" + (r"$^{\dagger}$" if "unverified" in r["seen"] else r"$^{\ddagger}$" if "transcription" in r["seen"] else "")
            digits = min(len(r["published"].partition(".")[2]), 2)
            difference = value_of(r["value"]) - value_of(r["published"])
            numbers.put(f"published.{key}.theirs", f"${r['published']}$")
            numbers.put(f"published.{key}.difference", f"${difference:+.{digits}f}$")
            source = re.sub(r" \(.*|, (README|plotting script|appendix) of .*", "", r["source"])
            while len(source) > 45 and ", " in source:
                source = source.rpartition(", ")[0]
            if place != (r["data"], r["view"]):
                place = r["data"], r["view"]
                cells += [[r"\addlinespace[2pt]" * bool(cells) + rf"\multicolumn{{9}}{{@{{}}l}}{{\emph{{{plain(', '.join(place))}}}}}"]]
            noise = re.search(r"Monte Carlo error ([\d.]+)", r["remark"])
            cells.append([code(r["model"]), plain(r["estimator"]), r["n"], ours, noise[1] if noise else "", theirs, f"${difference:+.{digits}f}$", plain(source), r["epochs"]])
    with_value = [r for r in rows if r["published"]]
    numbers.put("published.n", str(len(with_value)))
    numbers.put("published.n_memory", str(sum("unverified" in r["seen"] for r in with_value)))
    numbers.put("published.n_within", str(sum(abs(value_of(r["value"]) - value_of(r["published"])) <= 1 for r in with_value)))
    tabular(out / "published.tex", "llrlrlrlr", ["model", "by", "$n$", "ours, nat", "MC", "published", "difference", "source", "epochs"], cells)


def truth(tables, numbers, out):
    ((_, heads, rows),) = pages(tables / "truth.md")
    column = {h: i for i, h in enumerate(heads)}
    cells, total = [], collections.Counter()
    for data in dict.fromkeys(r[0] for r in rows):
        here = [r for r in rows if r[0] == data]
        verdicts = collections.Counter(r[-1] for r in here)
        total += verdicts
        known = [(value_of(r[column["measured gap"]].split(" +- ")[0]) - value_of(r[2]), r[1]) for r in here if r[2]]
        worst = max(known) if known else (math.nan, "")
        cells.append([code(data), str(verdicts["met"]), str(sum(verdicts.values()) - verdicts["met"] - verdicts["reported"] - verdicts["none"]),
                      str(verdicts["reported"]), str(verdicts["none"]), f"${worst[0]:.4f}$", code(worst[1]) if worst[1] else ""])
    for verdict in ("met", "reported", "none"):
        numbers.put(f"truth.{verdict}", str(total[verdict]))
    numbers.put("truth.failed", str(sum(total.values()) - total["met"] - total["reported"] - total["none"]))
    numbers.put("truth.n_known", str(sum(bool(r[2]) for r in rows)))
    tabular(out / "truth.tex", "lrrrrll", ["set", "met", "missed", "reported", "none", "largest excess, nat", "of"], cells)


def speed(tables, numbers, out):
    of = collections.defaultdict(dict)
    for r in read(tables / "speed.csv"):
        of[r["workload"], r["phase"]][r["quantity"]] = r
    ratios = {k: q for k, q in of.items() if "ratio_two" in q}
    cells = []
    for (workload, phase), q in ratios.items():
        for quantity in ("ratio_two", "ratio_one"):
            numbers.put(f"speed.{workload}.{phase}.{quantity}", f"{value_of(q[quantity]['median']):.3g}")
        span = lambda r: rf"{value_of(r['median']):.3g} ({value_of(r['low']):.3g}--{value_of(r['high']):.3g})"
        cells.append([code(workload), phase, q["ratio_two"]["batch"], span(q["ratio_two"]), span(q["ratio_one"])])
    train = [value_of(q["ratio_two"]["median"]) for (_, phase), q in ratios.items() if phase == "train"]
    numbers.put("speed.train.least", f"{min(train):.3g}")
    numbers.put("speed.train.most", f"{max(train):.3g}")
    tabular(out / "speed.tex", "llrll", ["workload", "phase", "batch", "ratio, two threads", "ratio, one thread"], cells)


THEORY = {"least_kl": ("n",), "divergences": ("model", "seed"), "discriminator": ("seed",), "game_costs": ("seed", "discriminator", "game"),
          "estimation": ("model",), "mode_dropping": ("dataset", "game"), "sampling_cost": ("model", "data", "dim")}


def theory(tables, numbers):
    for name, keys in THEORY.items():
        for r in read(tables / "theory" / f"{name}.csv"):
            for column, text in r.items():
                if column not in keys and text and re.fullmatch(r"[-+\d.eE]+", text):
                    error = r.get(column + "_error") or ""
                    numbers.put(".".join(["theory", name, *(r[k] for k in keys), column]), shown(value_of(text), value_of(error)))


def registry(taxon, numbers, out):
    listed = {what: json.loads(subprocess.run([taxon, "list", what, "--json"], capture_output=True, text=True, check=True).stdout)
              for what in ("models", "datasets", "estimators", "metrics")}
    leaves = collections.defaultdict(list)
    for m in listed["models"]:
        leaves[m["place"]].append(m)
    for what in ("datasets", "estimators", "metrics"):
        leaves[what] = [m for m in listed[what] if m.get("citation")]
        numbers.put(f"n_{what}", str(len(listed[what])))
    numbers.put("n_models", str(len(listed["models"])))
    tree = sorted(p for p in leaves if p not in listed)
    cells = {place: [plain(place.replace("/", " / ").replace("_", " ")), ", ".join(code(m["name"]) + rf"~\cite{{{m['citation']}}}" for m in of)] for place, of in leaves.items()}
    tabular(out / "models.tex", "lp{0.66\\linewidth}", ["place", "members, and their sources"], [cells[p] for p in tree] + [None] + [cells[w] for w in listed if w in cells])


def main(taxon, tables, out):
    tables, out = pathlib.Path(tables), pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    numbers = Numbers()
    rows = taxonomy(tables, numbers, out)
    quality(tables, rows, numbers, out)
    modes(tables, pathlib.Path(__file__).parent.parent / "experiments/configs/modes_published.tsv", numbers, out)
    published(tables, numbers, out)
    truth(tables, numbers, out)
    speed(tables, numbers, out)
    theory(tables, numbers)
    registry(taxon, numbers, out)
    numbers.write(out / "numbers.tex")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
