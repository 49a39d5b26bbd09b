"""The corpus, and 20,000 edits of it, into everything that reads bytes of strangers; `make fuzz` tries a million."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain, islice
from pathlib import Path
from random import Random

import pytest

from pipeline.errors import WireError
from tests.fuzz import files
from tests.fuzz.drawn import LARGE_EVERY, cases
from tests.fuzz.limits import MOST_CPU_S, Finding, Watched
from tests.fuzz.targets import CORPUS, TARGETS, seeds

CASES = 20_000
SEED = 12
WARM_UP = 20
_SHARES = sum(target.share for target in TARGETS.values())


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.stage()


@pytest.mark.parametrize("name", TARGETS)
def test_target_refuses_by_the_projects_own_errors_within_time_and_memory(name: str):
    target, known = TARGETS[name], seeds(name)
    count = -(-CASES * target.share // _SHARES)
    with Watched(target.run, WARM_UP) as watched:
        for number, case in enumerate(chain(known, cases(target, known, count, SEED))):
            try:
                watched(case)
            except BaseException as error:
                Path("case").write_bytes(case)
                error.add_note(f"case {number} of {name}, kept in {Path('case').absolute()}")
                raise
        watched.look()
    assert watched.cases == len(known) + count


def test_targets_all_have_a_corpus_and_no_corpus_is_without_target():
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert all(seeds(name) for name in TARGETS)


def test_cases_are_the_same_for_a_seed_and_some_are_as_large_as_allowed():
    target, known = TARGETS["order"], seeds("order")
    drawn = list(cases(target, known, 2 * LARGE_EVERY, 1))
    assert drawn == list(cases(target, known, 2 * LARGE_EVERY, 1))
    assert drawn != list(cases(target, known, 2 * LARGE_EVERY, 2))
    assert max(map(len, drawn)) > target.most_bytes * 0.99
    assert len(set(islice(drawn, LARGE_EVERY))) > LARGE_EVERY / 2


def _spin(data: bytes) -> None:
    while True:
        pass


def _wrong(data: bytes) -> None:
    raise KeyError("x")


def _refuse(data: bytes) -> None:
    raise WireError("no")


@pytest.mark.parametrize(("run", "raised"), [(_spin, Finding), (_wrong, KeyError)], ids=["endless", "another error"])
def test_watched_case_that_goes_wrong_is_a_finding(run: object, raised: type[BaseException]):
    with Watched(run, 1) as watched, pytest.raises(raised):  # type: ignore[arg-type]
        watched(b"")


def test_watched_refusal_is_counted():
    with Watched(_refuse, 1) as watched:
        watched(b"")
    assert (watched.cases, watched.refused) == (1, 1)
    assert watched.slowest_s < MOST_CPU_S


def test_watched_memory_that_is_kept_or_too_much_at_once_is_a_finding():
    kept: list[bytes] = []
    random = Random(1)
    with Watched(lambda data: kept.append(random.randbytes(1 << 20)), 2) as watched:
        for _ in range(30):
            watched(b"")
        with pytest.raises(Finding, match="grew"):
            watched.look()
    with (
        Watched(lambda data: bytearray(b"x") * (150 << 20) and None, 2) as watched,
        pytest.raises(Finding, match="needed"),
    ):
        for _ in range(3):
            watched(b"")


@pytest.mark.parametrize("target", ["order", "departures"], ids=["with words", "without words"])
def test_fuzz_script_runs_both_engines_and_says_how_it_went(target: str):
    pytest.importorskip("atheris", reason="needs the extra `fuzz`")
    script = CORPUS.parents[2] / "scripts" / "fuzz.py"
    command = [sys.executable, str(script), "--target", target, "--cases", "1000", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "nothing" in done.stdout and "1,0" in done.stdout


def test_engine_keeps_the_case_that_broke_its_target_and_repeats_it():
    """A file is given that breaks the target's own promise, by a reader that is told to break it."""
    Path("broken.py").write_text(
        "import pipeline.replay.faults as faults\n"
        "def wrong(line): raise KeyError(line[:3])\n"
        "faults.Order.from_line = staticmethod(wrong)\n"
        "import runpy\n"
        "runpy.run_module('tests.fuzz.engine', run_name='__main__')\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    engine = [sys.executable, "broken.py", "order"]
    first = subprocess.run(
        [*engine, "--drawn", "3"], env=environ, capture_output=True, text=True, timeout=100, check=False
    )
    assert first.returncode == 1, first.stderr
    assert "KeyError" in json.loads(first.stdout.splitlines()[-1])["error"]
    assert Path("case").read_bytes() == seeds("order")[0]
    again = subprocess.run(
        [*engine, "--repeat", "case"], env=environ, capture_output=True, text=True, timeout=100, check=False
    )
    assert again.returncode != 0
    assert "KeyError" in again.stderr + again.stdout
