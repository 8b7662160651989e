"""Data files that are wrong, of every format that is read, or odd and right."""
import gzip
import os
import stat
import struct
import zlib

from taxon import h5py, np

MAX_SECONDS, MIB = 1.0, 64
ROWS = np.arange(60, dtype="u1").reshape(20, 3)


def idx(shape, values=None, kind=8, rank=None):
    """An IDX file that declares `shape` and holds `values`, or as many zeros."""
    head = struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape) if rank is None else rank, *shape)
    return head + (bytes(int(np.prod(shape))) if values is None else values)


def npy(descr, shape, content, fortran=False, version=(1, 0), magic=b"\x93NUMPY"):
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return magic + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", len(header)) + header + content


def hdf5(folder, how):
    path = folder / "made.h5"
    with h5py.File(path, "w") as f:
        how(f)
    return path.read_bytes()


def lines(text, n=12):
    return (text + "\n").encode() * n


def damaged(data, at, bit=0):
    data = bytearray(data)
    data[at] ^= 1 << bit
    return bytes(data)


GOOD_IDX = idx((20, 3), ROWS.tobytes())
GOOD_NPY = npy("'|u1'", (20, 3), ROWS.tobytes())
GOOD_GZ = gzip.compress(GOOD_IDX)
HUGE = 1 << 31

# (name, content, part of the message that says what was expected or found, key=value ...); what is named .gz, .csv ... is told by
# its content all the same.
IDX = [
    ("bad magic", damaged(GOOD_IDX, 0, 1), "of no known format"),
    ("unknown type", idx((20, 3), kind=0x0a), "found 0a"),
    ("rank 0", idx((), b"", rank=0), "1 to 4 dimensions, found 08 and 0"),
    ("rank 5", idx((20, 3, 1, 1, 1)), "found 08 and 5"),
    ("rank 255", GOOD_IDX[:3] + b"\xff" + GOOD_IDX[4:], "found 08 and 255"),
    ("only a magic", GOOD_IDX[:4], "expected 12 bytes, found 4"),
    ("header cut", GOOD_IDX[:11], "expected 12 bytes, found 11"),
    ("no values", GOOD_IDX[:12], "expected 72 bytes (12 of header and 60 of values, by its header), found 12"),
    ("short by 1", GOOD_IDX[:-1], "expected 72 bytes (12 of header and 60 of values, by its header), found 71"),
    ("long by 1", GOOD_IDX + b"\0", "expected 72 bytes (12 of header and 60 of values, by its header), found 73"),
    ("no rows", idx((0, 3)), "dimension 0 of the array is 0"),
    ("no columns", idx((20, 0)), "dimension 1 of the array is 0"),
    ("2^31 rows", idx((HUGE, 3), b"\0" * 60), "expected 6442450956 bytes"),
    ("product over 2^64", idx((HUGE, HUGE, 16), b"\0" * 60), "more values than can be counted"),
    ("all dimensions 2^32 - 1", idx((2**32 - 1,) * 4, b""), "more values than can be counted"),
    ("bytes over 2^64", idx((HUGE, HUGE, 2), b"", kind=0x0e), "more than can be addressed"),
    ("5 GiB in 16 bytes", idx((5 * 2**20, 1024), b"\0" * 4), "expected 5368709132 bytes (12 of header and 5368709120 of values, by its header), found 16"),
    ("fewer rows than splits", idx((9, 3), bytes(27)), "expected at least 10 rows to split 80/10/10, found 9"),
    ("NaN", idx((20, 1), b"\0" * 76 + struct.pack(">f", float("nan")), kind=0x0d), "row 20, column 1: expected a finite 32-bit number, found"),
    ("infinite as float", idx((20, 1), b"\0" * 152 + struct.pack(">d", 1e300), kind=0x0e), "row 20, column 1: expected a finite 32-bit number, found inf"),
    ("levels for binary", GOOD_IDX, "row 1, column 3: expected an integer 0..1 (type binary), found 2", "type=binary"),
    ("levels over K", GOOD_IDX, "row 3, column 2: expected an integer 0..6", "levels=7"),
]
GZIP = [
    ("cut", GOOD_GZ[:-9], "the gzip file is cut"),
    ("cut in the check sum", GOOD_GZ[:-1], "the gzip file is cut"),
    ("header only", GOOD_GZ[:10], "the gzip file is cut: its 10 bytes end after 0 bytes of content"),
    ("two bytes", b"\x1f\x8b", "the gzip file is cut"),
    ("wrong check sum", damaged(GOOD_GZ, -8), "damaged after 72 bytes of content: incorrect data check"),
    ("wrong length", damaged(GOOD_GZ, -4), "damaged after 72 bytes of content: incorrect length check"),
    ("bad method", damaged(GOOD_GZ, 2), "damaged after 0 bytes of content: unknown compression method"),
    ("bad block", GOOD_GZ[:10] + b"\xff" * 20, "damaged after 0 bytes of content: invalid block type"),
    ("rubbish after it", GOOD_GZ + b"rubbish", "damaged after 72 bytes of content: incorrect header check"),
    ("nothing within", gzip.compress(b""), "0 bytes of content"),
    ("short by 1", gzip.compress(GOOD_IDX[:-1]), "expected 72 bytes of content, found 71"),
    ("long by 1", gzip.compress(GOOD_IDX + b"\0"), "expected 72 bytes of content, found 73"),
    ("twice", gzip.compress(GOOD_GZ), "of no known format"),
    ("5 GiB declared", gzip.compress(idx((5 * 2**20, 1024), b"\0" * 4)), "more than"),
    ("bomb behind an array", gzip.compress(GOOD_IDX + bytes(1 << 26)), "found at least"),
    ("bomb, one line", gzip.compress(b"1" * (1 << 27)), "line 1: expected at most 16777216 bytes, found more"),
    ("bomb of blank lines", gzip.compress(b"\n" * (1 << 24)), "no rows: expected numbers in columns, found 16777216 lines"),
    ("bomb of zeros", gzip.compress(bytes(1 << 26)), "of no known format"),
]
NPY = [
    ("bad magic", GOOD_NPY[:5] + b"X" + GOOD_NPY[6:], "of no known format"),
    ("only a magic", GOOD_NPY[:6], "expected 1 to 3, found 0"),
    ("version 0", npy("'|u1'", (20, 3), ROWS.tobytes(), version=(0, 0)), "expected 1 to 3, found 0"),
    ("version 4", npy("'|u1'", (20, 3), ROWS.tobytes(), version=(4, 0)), "expected 1 to 3, found 4"),
    ("header cut", GOOD_NPY[:40], "NPY header: expected 128 bytes, found 40"),
    ("header of 4 GiB", b"\x93NUMPY\x02\0\xff\xff\xff\xff", "expected at most 65536 bytes, found 4294967295 declared"),
    ("header not a dictionary", b"\x93NUMPY\x01\0\x10\0" + b"x" * 16, "fortran_order: expected False, found none"),
    ("Fortran order", npy("'|u1'", (20, 3), ROWS.tobytes(), fortran=True), "expected False, found True"),
    ("objects", npy("'|O'", (20, 3), bytes(60)), "NPY type '|O': expected"),
    ("records", npy("[('a', '<f4'), ('b', '<i4')]", (20,), bytes(160)), "no records"),
    ("complex", npy("'<c8'", (20, 3), bytes(480)), "NPY type '<c8': expected"),
    ("half floats", npy("'<f2'", (20, 3), bytes(120)), "NPY type '<f2': expected"),
    ("text", npy("'<U1'", (20, 3), bytes(240)), "NPY type '<U1': expected"),
    ("dates", npy("'<M8[s]'", (20, 3), bytes(480)), "NPY type '<M8[s]': expected"),
    ("no shape", npy("'|u1'", "None", b""), "NPY shape None"),
    ("rank 0", npy("'|u1'", "()", b"\1"), "expected 1 to 4 dimensions"),
    ("rank 5", npy("'|u1'", (20, 1, 1, 1, 3), bytes(60)), "expected 1 to 4 dimensions"),
    ("negative", npy("'|u1'", (-20, 3), bytes(60)), "NPY shape (-20"),
    ("over 2^64", npy("'|u1'", (2**65, 3), bytes(60)), "NPY shape (36893488147419103232"),
    ("product over 2^64", npy("'<f8'", (2**62, 4), bytes(60)), "more values than can be counted"),
    ("no rows", npy("'|u1'", (0, 3), b""), "dimension 0 of the array is 0"),
    ("5 GiB declared", npy("'<f4'", (2**20, 1280), bytes(16)), "by its header), found 144"),
    ("short by 1", GOOD_NPY[:-1], "found 187"),
    ("long by 1", GOOD_NPY + b"\0", "found 189"),
    ("NaN", npy("'<f4'", (20, 1), bytes(76) + struct.pack("<f", float("nan"))), "row 20, column 1: expected a finite 32-bit number"),
]
TEXT = [
    ("ragged", lines("1 2 3") + b"4 5\n", "line 13 (row 13): expected 3 columns as in row 1, found 2"),
    ("ragged, longer", lines("1,2,3") + b"4,5,6,7\n", "line 13 (row 13): expected 3 columns as in row 1, found 4"),
    ("nan", lines("1 2 3") + b"4 nan 6\n", "line 13 (row 13), column 2: expected a number, found 'nan'"),
    ("nan first", b"nan 2 3\n" + lines("1 2 3"), "line 1 (row 1), column 1: expected a number, found 'nan'"),
    ("inf", lines("1,2,3") + b"4,inf,6\n", "line 13 (row 13), column 2: expected a number, found 'inf'"),
    ("overflow", lines("1,2,3") + b"4,1e99,6\n", "row 13, column 2: expected a finite 32-bit number, found inf"),
    ("hexadecimal", lines("1 2 3") + b"4 0x10 6\n", "expected a number, found '0x10'"),
    ("decimal comma", lines("0,5;1,5"), "expected a number, found '0,5' (numbers need a decimal point)"),
    ("decimal comma, blanks", lines("1 2") + b"0,5 1\n", "line 13 (row 13), column 1: expected a number, found '0,5'"),
    ("word", lines("1,2,3") + b"4,five,6\n", "line 13 (row 13), column 2: expected a number, found 'five'"),
    ("quoted", b"a,b\n" + lines('"1","2"'), "(fields in quotes are not read)"),
    ("empty field", lines("1,2,3") + b"4,,6\n", "line 13 (row 13), column 2: expected a number, found an empty field"),
    ("comma at the end", lines("1,2,3,"), "line 1 (row 1), column 4: expected a number, found an empty field"),
    ("header only", b"a,b,c\n", "no rows"),
    ("two headers", b"a,b,c\na,b,c\n" + lines("1,2,3"), "line 2 (row 1), column 1: expected a number, found 'a'"),
    ("header of other width", b"a,b\n" + lines("1,2,3"), "the header line has 2 columns, the rows have 3"),
    ("only blanks", b" \n\t\n\n", "no rows"),
    ("a hole", lines("1 2") + b"\n" + lines("1 2"), "line 13 (row 13): expected a row, found an empty line"),
    ("NUL", lines("1 2 3") + b"4 \0 6\n", "of no known format"),
    ("NUL, later", lines("1 2 3", 2000) + b"4 5 6\0\n", "line 2001 (row 2001), column 3: expected a number, found '6"),
    ("UTF-16", lines("1 2 3").decode().encode("utf-16"), "of no known format"),
    ("control", b"1 2 3\n4 \x1b[31m 6\n", "of no known format"),
    ("too few rows", lines("1 2 3", 9), "expected at least 10 rows to split 80/10/10, found 9"),
    ("float for binary", lines("0 1 0") + b"0 0.5 1\n", "row 13, column 2: expected an integer 0..1 (type binary), found 0.5", "type=binary"),
    ("over the levels", lines("0 1 7"), "row 1, column 3: expected an integer 0..3", "levels=4"),
    ("negative level", lines("0 1 -7"), "row 1, column 3: expected an integer", "type=levels"),
    ("label too large", lines("0.5 1 256"), "row 1, column 3: expected a label 0..255, found 256", "label_column=2"),
    ("HTML", b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n", "expected"),
    ("JSON", b'{"x": [1, 2, 3]}\n', "expected"),
    ("an image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "of no known format"),
    ("a zip", b"PK\x03\x04\x14\0\0\0", "of no known format"),
]


def external(f):
    f.create_dataset("x", shape=(20, 3), dtype="u1", external=[("elsewhere.raw", 0, 60)])


def virtual(f):
    layout = h5py.VirtualLayout(shape=(20, 3), dtype="u1")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=(20, 3))
    f.create_virtual_dataset("x", layout)


def linked(f):
    f["train"] = f["valid"] = f["test"] = h5py.ExternalLink("/dev/zero", "/x")


def uneven(f):
    f["train"], f["valid"], f["test"] = ROWS, ROWS[:, :2], ROWS


HDF5 = [
    ("no array", lambda f: f.create_group("g"), "expected exactly one numeric array, found 0"),
    ("two arrays", lambda f: f.update(x=ROWS, y=ROWS), "expected exactly one numeric array, found 2: name it"),
    ("text", lambda f: f.create_dataset("x", data=["a", "b"]), "expected exactly one numeric array, found 0"),
    ("compound", lambda f: f.create_dataset("x", data=np.zeros(20, "f4,i4")), "found 0"),
    ("scalar", lambda f: f.create_dataset("x", data=1.5), "found 0"),
    ("rank 5", lambda f: f.create_dataset("x", data=np.zeros((20, 1, 1, 1, 3))), "expected an array of 1 to 4 dimensions, found 5"),
    ("no rows", lambda f: f.create_dataset("x", shape=(0, 3), dtype="f4"), "dimension 0 of the array is 0"),
    ("5 GiB without values", lambda f: f.create_dataset("x", shape=(2**20, 1280), dtype="f4", chunks=(16, 16)), "than its 0 stored bytes can hold"),
    ("product over 2^64", lambda f: f.create_dataset("x", shape=(2**40, 2**40), dtype="f4", chunks=(16, 16)), "more values than can be counted"),
    ("chunk of 2 GiB", lambda f: f.create_dataset("x", shape=(20, 3), maxshape=(None, None), dtype="u1", chunks=(2**16, 2**15)), "stored bytes can hold"),
    ("NaN", lambda f: f.create_dataset("x", data=np.where(np.eye(20, 3) > 0, np.nan, 0)), "row 1, column 1: expected a finite 32-bit number"),
    ("values elsewhere", external, "in 1 other file"),
    ("virtual", virtual, "stored bytes can hold"),
    ("links elsewhere", linked, "links to other files are not followed"),
    ("splits of other widths", uneven, "expected rows of 3 values"),
]


def files(folder):
    for kind, cases in (("IDX", IDX), ("gzip", GZIP), ("NPY", NPY), ("text", TEXT)):
        for name, content, *rest in cases:
            yield f"{kind}: {name}", content, 65, rest
    for name, how, *rest in HDF5:
        yield f"HDF5: {name}", hdf5(folder, how), 65, rest
    good = hdf5(folder, lambda f: f.create_dataset("x", data=ROWS))
    for n in (8, 100, len(good) // 2, len(good) - 1):
        yield f"HDF5: cut to {n} bytes", good[:n], 65, ["HDF5 cannot open it"]
    yield "HDF5: gzip", gzip.compress(good), 65, ["decompress it first"]
    yield "0 bytes", b"", 65, ["no rows: the file has 0 bytes of content"]
    yield "1 byte", b"\0", 65, ["of no known format"]
    right = {"IDX": GOOD_IDX, "gzip": GOOD_GZ, "two gzip members": gzip.compress(GOOD_IDX[:30]) + gzip.compress(GOOD_IDX[30:]), "NPY": GOOD_NPY,
             "NPY 2": npy("'|u1'", (20, 3), ROWS.tobytes(), version=(2, 0)), "big-endian NPY": npy("'>f8'", (20, 3), ROWS.astype(">f8").tobytes()),
             "boolean NPY": npy("'|b1'", (20, 3), bytes(60)), "HDF5": good, "CRLF": lines("1,2,3\r"), "byte order mark": b"\xef\xbb\xbf" + lines("1,2,3"),
             "semicolons": lines("1.5; 2 ;-0"), "tabs and a header": b"a\tb\n" + lines("1\t2"), "no last line end": lines("1 2 3")[:-1],
             "stored, not deflated": zlib_stored(GOOD_IDX), "subnormal": lines("1e-320 2"), "many digits": lines("0." + "3" * 400 + " 1")}
    for name, content in right.items():
        yield f"right: {name}", content, 0, ["sha256"]


def zlib_stored(data):
    deflate = zlib.compressobj(0, zlib.DEFLATED, 31)
    return deflate.compress(data) + deflate.flush()


def places(folder):
    """What is no regular file: (name, path, exit code, part of the message)."""
    fifo, loop, closed, dangling = (folder / n for n in ("fifo", "loop", "closed.csv", "dangling"))
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    dangling.symlink_to("nowhere")
    closed.write_bytes(lines("1 2 3"))
    closed.chmod(0)
    (folder / "empty").mkdir()
    (folder / "file.csv").write_bytes(lines("1 2 3"))
    yield "FIFO", fifo, 65, "expected a regular file, found a FIFO"
    yield "/dev/zero", "/dev/zero", 65, "expected a regular file, found a device"
    yield "/dev/null", "/dev/null", 65, "expected a regular file, found a device"
    yield "symlink loop", loop, 66, "Too many levels of symbolic links"
    yield "dangling symlink", dangling, 66, "No such file"
    yield "an empty folder", folder / "empty", 66, "found no file of the train split"
    yield "a file as a folder", folder / "file.csv" / "x", 66, "Not a directory"
    yield "a path of 5000 bytes", "/" + "x/" * 2500, 64, "the name is longer than 1023 bytes"
    yield "an array of a text file", f"{folder / 'file.csv'}#x", 65, "'#' names an array of a HDF5 file"
    if os.geteuid() != 0:
        yield "not readable", closed, 66, "Permission denied"


def folders(folder):
    """Data sets of several files: (name, their folder, part of the message, key=value ...)."""
    rows, labels = idx((24, 2, 2)), idx((24,), bytes(24))
    split = {f"{s}.csv": lines("1 2 3") for s in ("train", "valid", "test")}
    images = {"train-images.idx": rows, "train-labels.idx": labels, "t10k-images.idx": rows, "t10k-labels.idx": labels}
    cases = {
        "right: three files": (split, 0, "sha256"),
        "right: images": (images, 0, "sha256"),
        "valid has fewer columns": (split | {"valid.csv": lines("1 2")}, 65, "valid.csv: expected rows of 3 values"),
        "test has other images": (images | {"t10k-images.idx": idx((24, 4, 1))}, 65, "expected rows of 4 values (2 x 2)"),
        "test is missing": ({k: v for k, v in split.items() if k != "test.csv"}, 66, "found no file of the test split"),
        "test images are missing": ({k: v for k, v in images.items() if "t10k-i" not in k}, 66, "found only the former"),
        "test twice": (split | {"test.npy": GOOD_NPY}, 65, "expected one file of 'test'"),
        "test is empty": (split | {"test.csv": b""}, 65, "test.csv: no rows"),
        "test is of another type": (split | {"test.csv": lines("1 2 300")}, 65, "test.csv: row 1, column 3: expected an integer 0..255", "type=levels"),
        "labels, not images": (images | {"train-images.idx": labels}, 65, "expected images, found one value a row"),
        "images, not labels": (images | {"train-labels.idx": rows}, 65, "expected 24 labels 0..255"),
        "fewer labels": (images | {"train-labels.idx": idx((23,))}, 65, "expected 24 labels 0..255, one for each row of"),
        "labels are real": (images | {"train-labels.idx": idx((24,), struct.pack(">24f", *[0.5] * 24), kind=0x0d)}, 65, "found 24 x 1 real values"),
        "no labels": ({k: v for k, v in images.items() if "labels" not in k}, 0, "no labels"),
        "label column of images": (images, 78, "label_column 0: expected a column", "label_column=0"),
    }
    for i, (name, (content, code, *rest)) in enumerate(cases.items()):
        place = folder / f"set{i}"
        place.mkdir()
        for file, data in content.items():
            (place / file).write_bytes(data)
        yield name, place, code, rest


def check(program, meter, result, folder):
    most = {"seconds": (0, ""), "memory": (0, "")}
    count = 0

    def open_one(name, path, code, part, *more):
        nonlocal count
        p = meter.run(program, "data", "check", path, *more)
        count += 1
        said = p.stderr if code else p.stdout
        found = f"data {name!r}: exit code {p.returncode}, {said[-400:]!r}"
        result.check(p.returncode == code and p.stderr.count("\n") == (code != 0) and part in said, f"{found}; expected {code} and {part!r}")
        result.check(code in (0, 64) or str(path)[:60] in said, f"{found}: no file is named")
        result.check(p.seconds < MAX_SECONDS, f"{found}: {p.seconds:.2f} s of processor time")
        result.check(p.memory < MIB, f"{found}: {p.memory:.0f} MiB")
        for key, value in (("seconds", p.seconds), ("memory", p.memory)):
            most[key] = max(most[key], (value, name))

    path = folder / "data file"
    for name, content, code, (part, *more) in files(folder):
        path.write_bytes(content)
        open_one(name, path, code, part, *more)
    for name, place, code, (part, *more) in folders(folder):
        open_one(name, place, code, part, *more)
    for name, place, code, part in places(folder):
        open_one(name, place, code, part)
    print(f"{count} data files; at most {most['seconds'][0]:.2f} s of processor time ({most['seconds'][1]}) and {most['memory'][0]:.0f} MiB ({most['memory'][1]})", flush=True)
