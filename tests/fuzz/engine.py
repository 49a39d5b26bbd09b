"""One target in a process of its own, whose current directory is the scratch folder; says on its last line how it went.

python -m tests.fuzz.engine fleet --corpus DIR --guided 50000 --drawn 5000 --seconds 300 --seed 1
python -m tests.fuzz.engine fleet --repeat FILE
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
import traceback
from itertools import chain
from pathlib import Path
from typing import NoReturn

from tests.fuzz.limits import Finding, Watched

WARM_UP = 200
"""Cases after which everything is imported, compiled and cached."""
GUIDED_BYTES = 4096
"""Of the inputs of guided cases: small ones are tried faster, large ones are drawn."""
LONGEST_S = 60
"""A case that holds the interpreter up so long, by the clock on the wall, has no other end."""
FOUND = "case"
"""The file of a case that broke something, in the scratch folder."""


def main() -> None:
    """Run what the command line says."""
    options = _options()
    if options.guided:
        # Only what has been imported under this is led by: our own code, not the libraries it calls.
        import atheris

        with atheris.instrument_imports(include=["pipeline"]):
            importlib.import_module("tests.fuzz.targets")
    from tests.fuzz import files
    from tests.fuzz.targets import TARGETS

    files.stage()
    run = _Told(Watched(TARGETS[options.target].run, WARM_UP), options)
    _drawn(run, options)
    if options.guided:
        _guided(run, options)
    run.end()


class _Told:
    """Runs cases, keeps the one that broke something, and ends the process with what is to be said."""

    def __init__(self, watched: Watched, options: argparse.Namespace) -> None:
        self._watched, self._options = watched, options
        self._began_s = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the time has passed that it was given."""
        return time.monotonic() - self._began_s > self._options.seconds

    def __call__(self, data: bytes) -> None:
        try:
            self._watched(data)
        except BaseException:
            Path(FOUND).write_bytes(data)
            raise

    def warm_up_again(self) -> None:
        """LibFuzzer takes memory of its own when it begins."""
        self._watched.warm_up_again()

    def end(self, error: BaseException | None = None) -> NoReturn:
        """Print one line of JSON and leave at once, past what libFuzzer does at the end."""
        watched = self._watched
        if error is None:
            try:
                watched.look()
            except Finding as too_much:
                error = too_much
        told = {
            "cases": watched.cases,
            "refused": watched.refused,
            "seconds": time.monotonic() - self._began_s,
            "slowest_ms": watched.slowest_s * 1000,
            "growth_mb": watched.growth_mb,
            "peak_mb": watched.peak_mb,
            "error": "" if error is None else "".join(traceback.format_exception(error, limit=-6)),
        }
        sys.stderr.flush()
        print(json.dumps(told), flush=True)
        os._exit(0 if error is None else 1)


def _drawn(run: _Told, options: argparse.Namespace) -> None:
    """The corpus as it is, then edits of it; or the one case that is to be repeated."""
    from tests.fuzz.drawn import cases
    from tests.fuzz.targets import TARGETS, seeds

    known = [options.repeat.read_bytes()] if options.repeat else seeds(options.target)
    try:
        for case in chain(known, cases(TARGETS[options.target], known, options.drawn, options.seed)):
            run(case)
        run.warm_up_again()
    except BaseException as error:  # noqa: BLE001  whatever it is, it is told and this process ends
        run.end(error)


def _guided(run: _Told, options: argparse.Namespace) -> NoReturn:
    import atheris

    from tests.fuzz.targets import TARGETS

    target = TARGETS[options.target]
    left = options.guided

    def case(data: bytes) -> None:
        nonlocal left
        left -= 1
        try:
            run(data)
        except BaseException as error:  # noqa: BLE001  as above
            run.end(error)
        if left <= 0 or run.is_over:
            run.end()

    words = Path("words.dict")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in (*target.tokens, b"\x00")))
    arguments = {
        "max_len": min(target.most_bytes, GUIDED_BYTES),
        "seed": options.seed,
        "dict": words,
        "timeout": LONGEST_S,
        "rss_limit_mb": 0,
        "verbosity": 0,
        "handle_int": 0,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{name}={value}" for name, value in arguments.items()), *map(str, options.corpus)], case
    )
    atheris.Fuzz()
    run.end()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--corpus", type=Path, nargs="*", default=[], help="folders; the first takes what is found")
    parser.add_argument("--guided", type=int, default=0)
    parser.add_argument("--drawn", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
