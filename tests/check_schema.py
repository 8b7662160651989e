#!/usr/bin/python3
"""Checks that files of taxon keep the rules of results/README.md, in every reader they are meant for.

check_schema.py FILE.h5...              each file; the first violation of each is printed
check_schema.py --self-test FILE.h5     breaks copies of a good file, one rule a copy: each must be noticed

Needs h5py, xarray, netCDF4, h5netcdf (python3-h5py, python3-xarray, python3-netcdf4, python3-h5netcdf) and ncdump; where R has
rhdf5 (r-bioc-rhdf5), it reads the files too.
"""
import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

import h5netcdf
import h5py
import netCDF4
import numpy as np
import xarray as xr

TRAILER = 77
SCHEMAS = {"taxon-run", "taxon-evaluation", "taxon-compare", "taxon-checkpoint", "taxon-samples", "taxon-imputation"}
ENGINES = "netcdf4", "h5netcdf"
KINDS = {"exact", "lower_bound", "upper_bound", "estimate"}
MEASURES = {"counting", "lebesgue"}
NUMBERS = {"f64": h5py.h5t.IEEE_F64LE, "f32": h5py.h5t.IEEE_F32LE, "u8": h5py.h5t.STD_U8LE, "i32": h5py.h5t.STD_I32LE}
FILTERS = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32}
OF_HDF5 = {"DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"}
PURE = "This is a netCDF dimension but not a netCDF variable. %10d"
TIME_UNITS = re.compile(r"^(second|minute|hour|day|week|month|year|millisecond|microsecond|nanosecond)s?\b")
NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")


class Violation(Exception):
    """A rule that a file breaks: where, and what was found."""


def require(good, where, text):
    if not good:
        raise Violation(f"{where}: {text}")


def check_trailer(path):
    with open(path, "rb") as f:
        data = f.read()
    expected = b"TAXONSHA256 " + hashlib.sha256(data[:-TRAILER]).hexdigest().encode() + b"\n"
    require(data[-TRAILER:] == expected, path, "the last line is not the SHA-256 of what is before it")


def type_name(kind):
    for name, number in NUMBERS.items():
        if kind.equal(number):
            return name
    if kind.get_class() == h5py.h5t.STRING and kind.is_variable_str() and kind.get_cset() == h5py.h5t.CSET_UTF8:
        return "text"
    return None


def check_attributes(where, thing):
    for name in thing.attrs:
        if name in OF_HDF5:
            continue
        a = thing.attrs.get_id(name)
        require(type_name(a.get_type()), where, f"attribute {name} has a type that is not allowed: {a.dtype}")
        require(a.get_space().get_simple_extent_type() != h5py.h5s.NULL, where, f"attribute {name} is null")
        require(name != "_FillValue", where, "has a _FillValue")


def text_of(where, thing, name):
    require(name in thing.attrs, where, f"has no attribute {name}")
    value = thing.attrs[name]
    require(isinstance(value, str) and value, where, f"attribute {name} is no text")
    return value


def is_scale(dataset):
    return dataset.attrs.get("CLASS", b"") == b"DIMENSION_SCALE"


def is_pure(dataset):
    return is_scale(dataset) and dataset.attrs["NAME"].decode() == PURE % dataset.shape[0]


def check_axes(where, dataset):
    if is_scale(dataset):
        name = dataset.attrs["NAME"].decode()
        coordinate = name == dataset.name.rsplit("/", 1)[1]
        require(dataset.ndim == 1 and (coordinate or is_pure(dataset)), where, f"is a scale of the name '{name}'")
        return
    for i, axis in enumerate(dataset.dims):
        require(len(axis) == 1, where, f"axis {i} has {len(axis)} dimension scales")
        scale = axis[0]
        require(scale.parent == dataset.parent, where, f"axis {i} is named by a scale of another group: {scale.name}")
        require(scale.shape == (dataset.shape[i],), where, f"axis {i} has {dataset.shape[i]}, its scale {scale.shape}")


def check_storage(where, dataset):
    plist = dataset.id.get_create_plist()
    require(dataset.size, where, "is empty")
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    require(filters <= FILTERS, where, f"has filters that not every reader has: {filters}")
    require(h5py.h5z.FILTER_SHUFFLE not in filters or dataset.dtype.itemsize > 1, where, "shuffles single bytes")
    if dataset.chunks:
        require(np.prod(dataset.chunks) * dataset.dtype.itemsize <= 1 << 20, where, "has chunks over 1 MiB")
    require(not plist.get_obj_track_times(), where, "keeps times")


def check_beside(where, dataset):
    """What lies beside a likelihood: rows and upper bounds only where the model drew the rows itself."""
    drawn = dataset.name.startswith("/likelihood/simulated/")
    for name in set(dataset.parent) & {"upper_bound", "x"}:
        require(drawn, where, f"has {name} beside it, though its rows were not drawn")
        require(dataset.parent[name].shape[0] == dataset.shape[0], where, f"has not as many rows as {name}")
    if "x" in dataset.parent:
        expected = "u8" if dataset.attrs["measure"] == "counting" else ("f32", "f64")
        require(type_name(dataset.parent["x"].id.get_type()) in expected, where, "has rows of another type than /data")


def check_likelihood(where, dataset):
    """A likelihood says what it is: by its own attributes in a run, by variables beside it in a comparison."""
    if dataset.ndim == 1 and "/likelihood/" in dataset.name:
        require(text_of(where, dataset, "kind") in KINDS, where, f"kind is '{dataset.attrs['kind']}'")
        require(text_of(where, dataset, "measure") in MEASURES, where, f"measure is '{dataset.attrs['measure']}'")
        for name in ("estimator", "evaluated_model", "settings"):
            text_of(where, dataset, name)
        for name in ("mean", "std_error", "mc_error", "bits_per_dim", "stochastic", "n_example"):
            require(name in dataset.attrs, where, f"has no attribute {name}")
        if np.isfinite(dataset.attrs["bits_per_dim"]):
            require(text_of(where, dataset, "bits_kind") in KINDS, where, f"bits_kind is '{dataset.attrs['bits_kind']}'")
        check_beside(where, dataset)
    elif dataset.ndim == 4:
        for name, allowed in (("kind", KINDS), ("bits_kind", KINDS), ("measure", MEASURES)):
            require(name in dataset.parent, where, f"has no {name} beside it")
            values = set(dataset.parent[name].asstr()[()].ravel())
            require(values <= allowed | {"none"}, where, f"{name} is one of {values}")


def check_dataset(where, dataset):
    name = type_name(dataset.id.get_type())
    require(name, where, f"has a type that is not allowed: {dataset.dtype}")
    check_attributes(where, dataset)
    check_axes(where, dataset)
    check_storage(where, dataset)
    if name != "text" and not is_pure(dataset):
        require(not TIME_UNITS.match(text_of(where, dataset, "units")), where, "has units that readers take for a duration")
        text_of(where, dataset, "long_name")
    if dataset.name.endswith("/log_likelihood"):
        check_likelihood(where, dataset)


def check_group(group, found):
    """Walks a group; fills found[group path] = {variable: array}."""
    check_attributes(group.name, group)
    found[group.name] = {}
    for name in group:
        where = f"{group.name.rstrip('/')}/{name}"
        require(isinstance(group.get(name, getlink=True), h5py.HardLink), where, "is a link")
        require(NAME.match(name), where, "has a name that not every reader takes")
        member = group[name]
        require(h5py.h5o.get_info(member.id).rc == 1, where, "has more than one name")
        if isinstance(member, h5py.Group):
            check_group(member, found)
        else:
            require(isinstance(member, h5py.Dataset), where, "is neither group nor array")
            check_dataset(where, member)
            if not is_pure(member):
                found[group.name][name] = member.asstr()[()] if type_name(member.id.get_type()) == "text" else member[()]


def digest(values):
    values = np.asarray(values)
    if values.dtype.kind in "OUS":
        return "\n".join(str(v) for v in values.ravel())
    return float(np.nansum(values.astype(np.float64)))


def check_xarray(path, found, engine):
    """Groups of a file that is opened once: xr.open_dataset(path, group=...) makes the same of it, and opens it each time."""
    if engine == "netcdf4":
        opened, store = netCDF4.Dataset(path), xr.backends.NetCDF4DataStore
    else:
        opened, store = h5netcdf.File(path, "r", decode_vlen_strings=True), xr.backends.H5NetCDFStore
    with opened as file:
        for group, expected in found.items():
            where = f"{engine}: {group}"
            d = xr.open_dataset(store(file[group] if group != "/" else file))
            names = set(map(str, d.variables))
            require(names == set(expected), where, f"has variables {sorted(names)}, not {sorted(expected)}")
            for dim in d.dims:
                require(not str(dim).startswith("phony"), where, f"has an unnamed dimension {dim}")
            for name, values in expected.items():
                require(d[name].dtype.kind not in "mM", where, f"{name} became a time")
                same = digest(d[name].values) == digest(values)
                require(same, where, f"{name} sums to {digest(d[name].values)!r:.40}, not {digest(values)!r:.40}")


def check_ncdump(path, found):
    run = subprocess.run(["ncdump", "-h", path], capture_output=True, text=True)
    require(run.returncode == 0, f"ncdump: {path}", f"exit code {run.returncode}: {run.stderr.strip()}")
    require("phony_dim" not in run.stdout, f"ncdump: {path}", "has unnamed dimensions")
    group, seen = [], {"/": set()}
    for line in run.stdout.replace("\\", "").splitlines():
        begin, variable = re.match(r"^\s*group: (\S+) {", line), re.match(r"^\s*(?:double|float|ubyte|int|string) ([^\s:=(]+)[^:=]*;$", line)
        if begin:
            group.append(begin[1])
            seen["/" + "/".join(group)] = set()
        elif re.match(r"^\s*} // group /?\S", line):
            group = group[:-1]
        elif variable:
            seen["/" + "/".join(group)].add(variable[1])
    for name in set(seen) | set(found):
        shown, expected = seen.get(name, set()), set(found.get(name, ()))
        require(shown == expected, f"ncdump: {name}", f"shows variables {sorted(shown)}, not {sorted(expected)}")


# A line a variable: file, name, sum of numbers or bytes of texts.
R = r"""
suppressMessages(library(rhdf5))
for (path in commandArgs(TRUE)) {
  file <- H5Fopen(path, flags = "H5F_ACC_RDONLY")
  all <- h5ls(file)
  all <- all[all$otype == "H5I_DATASET", ]
  for (name in paste(sub("/$", "", all$group), all$name, sep = "/")) {
    x <- h5read(file, name)
    value <- if (is.character(x)) sum(nchar(x, "bytes")) else sum(as.numeric(x), na.rm = TRUE)
    cat(sprintf("%s\t%s\t%.17g\n", path, name, value))
  }
  H5Fclose(file)
}
"""


def has_r():
    try:
        return subprocess.run(["Rscript", "-e", "library(rhdf5)"], capture_output=True).returncode == 0
    except OSError:
        return False


def check_r(files):
    """{path: found} as R reads it: yields what sums to something else."""
    run = subprocess.run(["Rscript", "-", *files], input=R, capture_output=True, text=True)
    seen = {path: {} for path in files}
    for path, name, value in (line.split("\t") for line in run.stdout.splitlines()):
        seen[path][name] = float(value)
    for path, found in files.items():
        for group, expected in found.items():
            for name, values in expected.items():
                where, own = f"{group.rstrip('/')}/{name}", np.asarray(values)
                text = own.dtype.kind in "OUS"
                own = np.array([len(str(v).encode()) for v in own.ravel()]) if text else own.astype(np.float64)
                total, value = np.nansum(own), seen[path].get(where, np.nan)
                if not abs(value - total) <= 1e-12 * np.nansum(np.abs(own)):
                    yield Violation(f"R: {path}: {where} sums to {value!r}, not {total!r} {run.stderr.strip():.200}")


def check_file(path):
    """The variables of the file: {group: {name: array}}."""
    check_trailer(path)
    found = {}
    with h5py.File(path, "r") as f:
        schema = text_of("/", f, "schema")
        require(schema in SCHEMAS, "/", f"schema is '{schema}'")
        require(re.match(r"^1\.\d+$", text_of("/", f, "schema_version")), "/", "schema_version is not 1.x")
        if schema != "taxon-checkpoint":
            require(re.match(r"^[0-9a-f]{64}$", text_of("/", f, "content_sha256")), "/", "content_sha256 is no SHA-256")
        check_group(f, found)
    for engine in ENGINES:
        check_xarray(path, found, engine)
    check_ncdump(path, found)
    return found


LL = "/likelihood/test/exact/log_likelihood"


def unnamed(f, name, **how):
    d = f.create_dataset(name, **how)
    d.attrs["units"], d.attrs["long_name"] = "1", "a test"
    return d


def named(f, data, **how):
    """A variable beside LL, right but for what `how` breaks."""
    name = how.pop("name", "extra")
    d = unnamed(f, os.path.dirname(LL) + "/" + name, data=data, track_times=how.pop("track_times", False), **how)
    d.dims[0].attach_scale(f[os.path.dirname(LL) + "/example"])
    return d


def foreign_scale(f):
    d = unnamed(f, os.path.dirname(LL) + "/extra", data=np.zeros(len(f["/train/epoch"])), track_times=False)
    d.dims[0].attach_scale(f["/train/epoch"])


def null_attribute(f):
    f.attrs["nothing"] = h5py.Empty("f8")


def rewrite(f, name, value):
    f[LL].attrs[name] = value


def remove(f, name):
    del f[LL].attrs[name]


BREAKAGES = [
    ("an 8-byte text array", "type that is not allowed", lambda f, n: named(f, np.array([b"abc"] * n))),
    ("a bool array", "type that is not allowed", lambda f, n: named(f, np.zeros(n, bool))),
    ("a compound array", "type that is not allowed", lambda f, n: named(f, np.zeros(n, [("a", "f8"), ("b", "i4")]))),
    ("an i64 array", "type that is not allowed", lambda f, n: named(f, np.zeros(n, "i8"))),
    ("an f16 array", "type that is not allowed", lambda f, n: named(f, np.zeros(n, "f2"))),
    ("a big-endian array", "type that is not allowed", lambda f, n: named(f, np.zeros(n, ">f8"))),
    ("an ASCII text array", "type that is not allowed",
     lambda f, n: named(f, np.array(["a"] * n, object), dtype=h5py.string_dtype("ascii"))),
    ("a bool attribute", "attribute flag has a type", lambda f, n: f.attrs.__setitem__("flag", True)),
    ("a fixed-length attribute", "attribute text has a type", lambda f, n: f.attrs.__setitem__("text", np.bytes_(b"abc"))),
    ("a null attribute", "is null", lambda f, n: null_attribute(f)),
    ("a fill value", "_FillValue", lambda f, n: rewrite(f, "_FillValue", np.float64(0))),
    ("a soft link", "is a link", lambda f, n: f.__setitem__("soft", h5py.SoftLink(LL))),
    ("a dangling external link", "is a link", lambda f, n: f.__setitem__("out", h5py.ExternalLink("none.h5", "/x"))),
    ("a second name", "more than one name", lambda f, n: f.__setitem__("alias", f[LL])),
    ("an axis without a name", "0 dimension scales", lambda f, n: unnamed(f, "extra", data=np.zeros(3), track_times=False)),
    ("a scale of another group", "another group", lambda f, n: foreign_scale(f)),
    ("a blank in a name", "name that not every reader takes", lambda f, n: f.create_group("two words")),
    ("no units", "no attribute units", lambda f, n: remove(f, "units")),
    ("no long name", "no attribute long_name", lambda f, n: remove(f, "long_name")),
    ("units of a duration", "take for a duration", lambda f, n: rewrite(f, "units", "seconds")),
    ("an unknown kind", "kind is 'guess'", lambda f, n: rewrite(f, "kind", "guess")),
    ("no estimator", "no attribute estimator", lambda f, n: remove(f, "estimator")),
    ("no measure", "no attribute measure", lambda f, n: remove(f, "measure")),
    ("no Monte Carlo error", "no attribute mc_error", lambda f, n: remove(f, "mc_error")),
    ("no kind of bits", "no attribute bits_kind", lambda f, n: remove(f, "bits_kind")),
    ("an unknown kind of bits", "bits_kind is 'guess'", lambda f, n: rewrite(f, "bits_kind", "guess")),
    ("an upper bound of test data", "has upper_bound beside it", lambda f, n: named(f, np.zeros(n), name="upper_bound")),
    ("the filter lzf", "filters that not every reader has", lambda f, n: named(f, np.zeros(n), compression="lzf", chunks=(n,))),
    ("times", "keeps times", lambda f, n: named(f, np.zeros(n), track_times=True)),
    ("another schema", "schema is 'other'", lambda f, n: f.attrs.__setitem__("schema", "other")),
]


def broken_copy(good, path, breakage):
    shutil.copyfile(good, path)
    os.truncate(path, os.path.getsize(path) - TRAILER)
    with h5py.File(path, "r+") as f:
        breakage(f, len(f[LL]))
    with open(path, "rb+") as f:
        data = f.read()
        f.write(b"TAXONSHA256 " + hashlib.sha256(data).hexdigest().encode() + b"\n")


def altered(found, add):
    """The same with one number larger, or with one variable more."""
    group = {**found["/cost"], **({"more": np.float64(2.385)} if add else {})}
    return {**found, "/cost": {**group, "n_step": group["n_step"] + (not add)}}


def self_test(good, with_r):
    """Yields (name, message or None) of each breakage."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "broken.h5")
        with open(good, "rb") as f:
            data = bytearray(f.read())
        data[len(data) // 2] ^= 1
        with open(path, "wb") as f:
            f.write(data)
        cases = [("a flipped bit", "SHA-256", None)] + BREAKAGES
        for name, expected, breakage in cases:
            if breakage:
                broken_copy(good, path, breakage)
            try:
                check_file(path)
                yield name, "was not noticed"
            except Violation as v:
                yield name, None if expected in str(v) else f"was taken for '{v}'"
    found = check_file(good)
    readers = [(engine, lambda f, e=engine: check_xarray(good, f, e)) for engine in ENGINES] + [("ncdump", lambda f: check_ncdump(good, f))]
    for reader, check in readers:
        for add in (False, True):
            if add or reader != "ncdump":  # it is asked for headers only
                yield reading(reader, add, check, altered(found, add))
    for add in (False, True) if with_r else ():
        said = list(check_r({good: altered(found, add)}))
        yield f"another file in R{', of more variables' * add}", None if len(said) == 1 else f"{len(said)} violations"


def reading(reader, add, check, found):
    try:
        check(found)
        message = "was not noticed"
    except Violation as v:
        message = None if str(v).startswith(f"{reader}: /cost") else f"was taken for '{v}'"
    return f"another file in {reader}{', of more variables' * add}", message


def check_all(paths, testing=False):
    """Prints a line a file; (passed, failed)."""
    good, failed, passed, with_r = {}, 0, 0, has_r()
    for path in paths:
        try:
            good[path] = check_file(path)
        except (Violation, OSError, ValueError, KeyError, RuntimeError) as e:
            print(f"{path}: {e}")
            failed += 1
    wrong = list(check_r(good)) if with_r and good else []
    for violation in wrong:
        print(violation)
    for path, found in good.items():
        count = sum(len(v) for v in found.values())
        print(f"{path}: {count} variables, alike in h5py, xarray (netcdf4, h5netcdf), ncdump{' and R' * with_r}")
        for name, message in self_test(path, with_r) if testing else ():
            print(f"  {name}: {message or 'noticed'}")
            passed, failed = passed + (message is None), failed + (message is not None)
    if not with_r:
        print("skipped: R, which has no rhdf5 here")
    return passed + len(good), failed + len(wrong)


def main():
    parser = argparse.ArgumentParser(description="Check files of taxon against their documented rules.")
    parser.add_argument("--self-test", action="store_true", help="break copies of the files and expect to notice")
    parser.add_argument("file", nargs="+")
    args = parser.parse_args()
    passed, failed = check_all(args.file, args.self_test)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
