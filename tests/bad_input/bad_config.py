"""Configs that are wrong, or odd and right."""
import pathlib

HERE = pathlib.Path(__file__).resolve().parent / "config"
GOOD = b"datasets: [{name: bars, n_train: 50, n_valid: 10, n_test: 10}]\nmodels: [{model: independent}]\n"
MIB = 1 << 20
MAX_SECONDS, SECONDS_A_MIB = 0.1, 0.2


def utf(encoding):
    return GOOD.decode().encode(encoding)


# name: (content, exit code, LINE:COLUMN, part of the message)
MADE = {
    "empty": (b"", 78, "1:1", "the text is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", 78, "1:1", "the text is empty"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, 0, "", ""),
    "CRLF": (GOOD.replace(b"\n", b"\r\n"), 0, "", ""),
    "CR": (GOOD.replace(b"\n", b"\r"), 0, "", ""),
    "no last line end": (GOOD.rstrip(), 0, "", ""),
    "1 MiB of a good one": (GOOD + b"#" * (MIB - len(GOOD)), 0, "", ""),
    "1 MiB and a byte": (GOOD + b"#" * (MIB - len(GOOD) + 1), 78, f"3:{MIB - len(GOOD) + 1}", "longer than 1 MiB"),
    "1 MiB of blank lines": (b"\n" * MIB, 78, f"{MIB + 1}:1", "the text is empty"),
    "a scalar of 1 MiB": (b"a" * MIB, 78, "1:1", "expected a map of options; found 'aaaaa"),
    "a key of 1 MiB": (b"a" * (MIB - 3) + b": 1", 78, "", ""),
    "10^6 [": (b"[" * 10**6, 78, "1:17", "nested more than 16 deep"),
    "10^6 {": (b"{" * 10**6, 78, "1:2", "a key must be text"),
    "10^5 levels of maps": (b"{a: " * 10**5, 78, "1:65", "nested more than 16 deep"),
    "10^5 levels of block lists": (b"- " * 10**5, 78, "1:33", "nested more than 16 deep"),
    "10^6 ]": (b"]" * 10**6, 78, "1:1", "did not find expected node content"),
    "10^5 keys": (b"".join(b"k%d: 1\n" % i for i in range(10**5 - 3000)), 78, "1:1", "unknown key 'k0'"),
    "10^5 equal keys": (b"k: 1\n" * 10**5, 78, "2:1", "already given at line 1"),
    "10^5 documents": (b"--- 1\n" * 10**5, 78, "2:1", "a second document is not allowed"),
    "10^5 quotes": (GOOD + b"seeds: " + b"'" * 10**5, 78, "3:1", "expected"),
    "10^5 seeds": (GOOD + b"seeds: [" + b"1, " * 10**5 + b"1]", 78, "3:1", "found a list of 100001"),
    "NUL": (GOOD + b"seeds: [0]\x00\n", 78, "3:11", "control characters are not allowed"),
    "NUL first": (b"\x00" + GOOD, 78, "1:1", "control characters are not allowed"),
    "escape": (GOOD + b"seeds: [0] # \x1b[31m\n", 78, "3:14", "control characters are not allowed"),
    "byte 0xff": (GOOD + b"experiment: a\xffb\n", 78, "3:14", "invalid leading UTF-8 octet"),
    "Latin-1": (GOOD + "# größer\n".encode("latin-1"), 78, "3:6", "UTF-8"),
    "overlong": (GOOD + b"# \xc0\x80\n", 78, "3:3", "UTF-8"),
    "surrogate": (GOOD + b"# \xed\xa0\x80\n", 78, "3:3", "Unicode"),
    "past Unicode": (GOOD + b"# \xf7\xbf\xbf\xbf\n", 78, "3:3", "Unicode"),
    "a character cut": (GOOD + b"# \xe5\xa4", 78, "3:3", "UTF-8"),
    "UTF-16 LE": (b"\xff\xfe" + utf("utf-16-le"), 78, "1:1", "invalid leading UTF-8 octet"),
    "UTF-16 BE": (b"\xfe\xff" + utf("utf-16-be"), 78, "1:1", "invalid leading UTF-8 octet"),
    "UTF-16 without a mark": (utf("utf-16-le"), 78, "1:2", "control characters are not allowed"),
    "UTF-32": (utf("utf-32"), 78, "1:1", "invalid leading UTF-8 octet"),
    "an image": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", 78, "1:1", "UTF-8"),
}

# Arguments after a good config: exit code, part of the message.
OVERRIDES = {
    "a..b=1": (64, "found an empty key"),
    "=": (64, "found an empty key"),
    ".=1": (64, "found an empty key"),
    "a.=1": (64, "found an empty key"),
    "": (64, "found no '='"),
    "train.batch": (64, "found no '='"),
    "train.batch=": (78, "command line: key 'batch': expected integer, 1 to 1000000; found nothing"),
    "train.batch =5": (78, "did you mean 'batch'?"),
    "train.batch==5": (78, "found '=5'"),
    "train.batch=0": (78, "found '0'"),
    "train.batch=1e999": (78, "found '1e999'"),
    "train.batch=18446744073709551617": (78, "found '18446744073709551617'"),
    "train.batch=[": (64, "'train.batch=[': value:2:1: did not find expected node content"),
    "train.batch=&a 1": (64, "anchors are not allowed"),
    "train.batch=*a": (64, "aliases are not allowed"),
    "train.batch=!!int 1": (64, "tags are not allowed"),
    "train.batch=1\n---\n2": (64, "a second document is not allowed"),
    "train=3": (78, "key 'train': expected a map of options; found '3'"),
    "models.9.x=1": (64, "expected a member of a list of 1, numbered from 0; found '9'"),
    "models.-1.x=1": (64, "found '-1'"),
    "models.99999999999999999999.x=1": (64, "found '99999999999999999999'"),
    "models.0.model.x=1": (64, "neither a map nor a list"),
    "models=[]": (78, "found an empty list"),
    "models.0.model=independant": (78, "did you mean 'independent'?"),
    "models.0.label=../x": (78, "found '../x'"),
    "experiment=a/b": (78, "found 'a/b'"),
    "seeds=[1,1]": (78, "1 is there twice"),
    "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1": (64, "nested more than 16 deep"),
    "a=" + "[" * 100000: (64, "nested more than 16 deep"),
    "." * 100000 + "=1": (64, "found an empty key"),
    "a" * 100000: (64, "found no '='"),
    "a" * 100000 + "=1": (78, "unknown key 'aaaa"),
    "train.batch=" + "1" * 100000: (78, "found '1111"),
    "models." + "1" * 100000 + ".x=1": (64, "numbered from 0"),
    "train.batch=\udcff": (64, "invalid leading UTF-8 octet"),
    "tr\udcff\nin.batch=1": (78, "unknown key"),
    "--threads=0": (64, "--threads: expected an integer from 1 to 4096; found '0'"),
    "--shard=3/2": (64, "--shard: expected K/N"),
    "--max-time=soon": (64, "found 'soon'"),
    "--bacth=3": (64, "unknown flag"),
}


def check(program, meter, result, folder):
    out = folder / "out"
    slowest = {}

    def refuse(name, path, code, start, part, *more):
        p = meter.run(program, "run", path, "--dry-run", "--out", out, "--progress", "none", *more)
        slowest[name[:40]] = p.seconds
        found = f"config {name[:60]!r}: exit code {p.returncode}, {p.stderr[:300]!r}"
        size = path.stat().st_size if path.is_file() else 0
        lines = p.stderr.count("\n")
        result.check(p.returncode == code and lines == (code != 0) and p.stderr.startswith(f"taxon: {start}" if code else "") and part in p.stderr,
                     f"{found}; expected {code}, '{start}' and '{part}'")
        result.check(p.seconds < MAX_SECONDS + SECONDS_A_MIB * size / MIB, f"{found}: {p.seconds:.2f} s of processor time")
        result.check(not out.exists(), f"{found}: it left {out}")

    expected = [line.split(" ", 3) for line in (HERE / "expected.txt").read_text().splitlines()]
    for name, code, place, *text in expected:
        path = HERE / f"{name}.yaml"
        refuse(name, path, int(code), "" if place == "-" else f"{path}:{place}: ", text[0] if text else "")
    result.check({e[0] for e in expected} == {f.stem for f in HERE.glob("*.yaml")}, "every config is in expected.txt")
    path = folder / "made.yaml"
    for name, (content, code, place, part) in MADE.items():
        path.write_bytes(content)
        refuse(name, path, code, f"{path}:{place}: " if place else "", part)
    path.write_bytes(GOOD + b"seeds: [0]\ntrain: {epochs: 1}\n")
    for argument, (code, part) in OVERRIDES.items():
        refuse(argument, path, code, "", part, argument)
    refuse("a folder", folder, 66, str(folder), "Is a directory")
    refuse("missing", folder / "none.yaml", 66, str(folder / "none.yaml"), "No such file")
    refuse("/dev/zero", pathlib.Path("/dev/zero"), 78, f"/dev/zero:1:{MIB + 1}: ", "longer than 1 MiB")
    name = max(slowest, key=slowest.get)
    print(f"{len(slowest)} configs and overrides; the slowest, {name!r}: {slowest[name]:.3f} s of processor time", flush=True)
