"""Ten thousand malformed inputs at each door: none is let in, none does harm."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tests.fuzz import doors
from tests.fuzz.drawn import cases
from tests.fuzz.limits import Watched
from tests.fuzz.targets import TARGETS, seeds

CASES, SEED, WARM_UP = 10_000, 14, 200


@pytest.mark.parametrize("name", ["zap", "key-file", "subscription"])
def test_ten_thousand_inputs_open_nothing_and_break_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    target, known = TARGETS[name], seeds(name)
    with Watched(target.run, WARM_UP) as watched:
        for case in chain(known, cases(target, known, CASES, SEED)):
            watched(case)
        watched.look()
    assert watched.cases == len(known) + CASES
    assert name != "subscription" or doors.room().heard > CASES / 2, "what may be heard was heard all the while"
