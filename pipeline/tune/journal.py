"""Every measurement of a search on disk as soon as it is made, so that a search that was interrupted goes on.

The first line is the question: hardware, fleet, goal, budget and what is searched. A search asks for the same things in
the same order when the question is the same, so what was asked before is answered from the journal, and the search
stands where it was. A half-written last line, of a process that was killed, is left out.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError

OUT_OF_TIME, SETTLED = "out of time", "settled"
"""How a search ended: it may go on with more time, or there was nothing left to do."""

Record = dict[str, Any]


class Journal:
    """Answers by what was asked, in the order in which they were found.

    Attributes:
        resumed: How many measurements are there from before.
        spent_s: How long those took, s.
    """

    def __init__(self, file: Path, question: Mapping[str, Any], time_s: float, resume: bool = True) -> None:
        """Go on with the journal in `file` if it is of this question and did not come to its end; else begin anew.

        Raises:
            ConfigError: The file cannot be written.
        """
        self._file = file
        self._known: dict[str, deque[Record]] = defaultdict(deque)
        asked = json.loads(json.dumps(question))
        records = _read(file) if resume else []
        going_on = bool(records) and records[0].get("question") == asked and _may_go_on(records, time_s)
        answers = [record for record in records[1:] if "asked" in record] if going_on else []
        for record in answers:
            self._known[record["asked"]].append(record)
        self.resumed, self.spent_s = len(answers), sum(float(record["took_s"]) for record in answers)
        _write(file, [{"question": asked}, *answers])

    def take(self, asked: str) -> Record | None:
        """The next answer to this that is known from before; None if it has to be found."""
        known = self._known.get(asked)
        return known.popleft() if known else None

    def note(self, asked: str, answer: Mapping[str, Any], took_s: float) -> None:
        """Keep an answer; it is on disk when this returns."""
        self._append({"asked": asked, "took_s": round(took_s, 3), **answer})

    def end(self, how: str, time_s: float) -> None:
        """Note that the search is over."""
        self._append({"ended": how, "time_s": time_s})

    def _append(self, record: Record) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _may_go_on(records: list[Record], time_s: float) -> bool:
    ends = [record for record in records if "ended" in record]
    return not ends or (ends[-1]["ended"] == OUT_OF_TIME and time_s > float(ends[-1]["time_s"]))


def _read(file: Path) -> list[Record]:
    records: list[Record] = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not isinstance(record, dict):
            break
        records.append(record)
    return records


def _write(file: Path, records: list[Record]) -> None:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    partial = file.with_suffix(".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise ConfigError(f"{file}: the journal of the search cannot be written: {error.strerror}") from error
