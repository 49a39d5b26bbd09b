"""Bytes from strangers into everything that reads them: fleet files, messages, RTSP, the control socket, pages.

    .venv/bin/python scripts/fuzz.py                              a million cases over all targets, as `make fuzz` does
    .venv/bin/python scripts/fuzz.py --target wire --cases 50000 --seconds 60 --seed 7 --json

Nine tenths of the cases are led by the code they reach (Atheris, which is libFuzzer; the extra `fuzz`), one tenth is
drawn from the corpus with the seed, some as large as a reader takes. A target may refuse by one of the project's own
errors; anything else, a second of processor time, or memory beyond bounds is a finding: its case is kept under --output
with the command that repeats it, and the exit code is 1. Copied into tests/fuzz/corpus/TARGET it is a test for good.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

HOME = Path(__file__).resolve().parent.parent
CASES, SECONDS = 1_000_000, 1500.0
DRAWN_SHARE = 0.1
GRACE_S = 120.0
"""How much longer than its time a target may take, for starting and for its last case."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one target; `error` is empty where nothing was found, `case` is the input that broke it."""

    target: str
    cases: int
    refused: int
    seconds: float
    slowest_ms: float
    growth_mb: float
    peak_mb: float
    error: str
    case: str = ""


def main() -> None:
    """Run the targets, print what came out, and exit with 1 where something was found."""
    options = _options()
    if importlib.util.find_spec("atheris") is None:
        sys.exit("Atheris is missing: pip install '.[fuzz]', as `make fuzz` does")
    sys.path.insert(0, str(HOME))
    from tests.fuzz.targets import TARGETS

    names = options.target or list(TARGETS)
    total = sum(TARGETS[name].share for name in names)
    console = Console(stderr=True, highlight=False)
    console.print(f"{options.cases:,} cases, {len(names)} targets, {options.jobs} at once, --seed {options.seed}")

    def run(name: str) -> Outcome:
        outcome = _run(name, -(-options.cases * TARGETS[name].share // total), options)
        console.print(
            f"{name}: {'[bold red]found something[/]' if outcome.error else f'{outcome.cases:,} cases, nothing'}"
        )
        return outcome

    began_s = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(run, names))
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        _print(outcomes, time.monotonic() - began_s)
    _print_findings(outcomes, console)
    sys.exit(any(outcome.error for outcome in outcomes))


def _run(name: str, cases: int, options: argparse.Namespace) -> Outcome:
    """One target in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="camfleet-fuzz-") as scratch:
        Path(scratch, "found").mkdir()
        drawn = round(cases * DRAWN_SHARE)
        command = [sys.executable, "-m", "tests.fuzz.engine", name, "--drawn", drawn, "--guided", cases - drawn]
        command += ["--seconds", options.seconds, "--seed", options.seed]
        command += ["--corpus", Path(scratch, "found"), HOME / "tests/fuzz/corpus" / name]
        with Path(scratch, "log").open("w") as log:
            try:
                done = subprocess.run(
                    [str(word) for word in command],
                    cwd=scratch,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join((str(HOME), os.environ.get("PYTHONPATH", "")))},
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    timeout=options.seconds + GRACE_S,
                    check=False,
                )
                said = done.stdout
            except subprocess.TimeoutExpired:
                said = ""
        return _outcome(name, said, Path(scratch), options.output)


def _outcome(name: str, said: str, scratch: Path, output: Path) -> Outcome:
    try:
        told = json.loads(said.splitlines()[-1])
    except (IndexError, ValueError):
        # A crash below Python, or no end: libFuzzer has kept the case and said so in the log.
        log = (scratch / "log").read_text(errors="replace")
        told = {"cases": 0, "refused": 0, "seconds": 0.0, "slowest_ms": 0.0, "growth_mb": 0.0, "peak_mb": 0.0}
        told["error"] = f"the process ended without a word; the last it said:\n{log[-3000:]}"
    if told["error"]:
        cases = [
            path for path in (scratch / "case", *scratch.glob("crash-*"), *scratch.glob("timeout-*")) if path.exists()
        ]
        if cases:
            output.mkdir(parents=True, exist_ok=True)
            told["case"] = str(shutil.copy(cases[0], output / f"{name}-{time.time_ns():x}"))
    return Outcome(target=name, **told)


def _print(outcomes: list[Outcome], took_s: float) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("target")
    for heading in ("cases", "refused", "cases /s", "slowest ms", "kept MB", "most MB"):
        table.add_column(heading, justify="right")
    table.add_column("found")
    for one in outcomes:
        rate = one.cases / one.seconds if one.seconds else 0.0
        figures = (f"{one.cases:,}", f"{one.refused:,}", f"{rate:,.0f}", f"{one.slowest_ms:.0f}")
        word = "[bold red]finding[/]" if one.error else "[green]nothing[/]"
        table.add_row(one.target, *figures, f"{one.growth_mb:.1f}", f"{one.peak_mb:.1f}", word)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{sum(one.cases for one in outcomes):,} cases in {took_s / 60:.1f} minutes")


def _print_findings(outcomes: list[Outcome], console: Console) -> None:
    for one in outcomes:
        if one.error:
            console.print(f"\n{one.target}:", style="bold red")
            console.print(one.error, markup=False)
            if one.case:
                console.print("repeat it, in an empty folder, by", style="bold")
                command = f"PYTHONPATH={HOME} {sys.executable} -m tests.fuzz.engine {one.target} --repeat {one.case}"
                console.print(command, markup=False, soft_wrap=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", help="only this one; may be given several times")
    parser.add_argument("--cases", type=int, default=CASES, help="over all targets, by their shares (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="at most, of each target (%(default)g)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randint(1, 1 << 30), help="else a new one")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="targets at once")
    parser.add_argument("--output", type=Path, default=Path("fuzz-findings"), help="where findings are kept")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
