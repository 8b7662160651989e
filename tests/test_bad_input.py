#!/usr/bin/python3
"""Configs and data files that are wrong: test_bad_input.py TAXON

Each must end with the exit code that is documented and one line with file, place, what was expected and what was found, at once and in
little memory, and leave nothing behind. tests/bad_input/config holds configs and, in expected.txt, what is said of each; the odd and
the large ones, and all data files, are made here. At last a few damaged files of taxon and of other programs: tests/faults/mutate.py
and foreign.py, which make as many as one likes."""
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "support"), str(HERE / "bad_input"), str(HERE / "faults")]
import taxon  # noqa: E402

import bad_config  # noqa: E402
import bad_data  # noqa: E402
import foreign  # noqa: E402
import mutate  # noqa: E402


def main(program):
    os.environ.pop("TAXON_DATA", None)
    result = taxon.Failures()
    with tempfile.TemporaryDirectory(prefix="taxon-bad-") as folder:
        meter = taxon.Meter(folder)
        for part in (bad_config, bad_data):
            part.check(program, meter, result, pathlib.Path(folder))
        foreign.check(program, meter, result, pathlib.Path(folder), 50, 2)
        mutate.check(program, meter, result, pathlib.Path(folder), 100, 2)
        meter.close()
    result.end()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: test_bad_input.py TAXON")
    main(os.path.realpath(sys.argv[1]))
