"""Files in a folder: named by sink and time, a new one by size and age, what is closed is whole."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.file import FileSink
from pipeline.errors import SinkError
from pipeline.sink.book import PART, Book, SessionKey, final_of, session_key, unwritable
from pipeline.sink.motbook import MotBook
from pipeline.sink.protocol import Place, Sink
from pipeline.sink.textbook import CommaLines, JsonLines, TextBook
from pipeline.wire import FrameResult, Message

_TIME = "%Y%m%dT%H%M%SZ"
_NAMED = r"(?P<time>\d{8}T\d{6}Z)(-\d+)?"

ALL = ("", "", "")
"""Whose frames a file holds that holds everybody's."""


@dataclass(slots=True)
class _Open:
    """A file that is written, and since when, monotonic s."""

    book: Book
    began_s: float


def open_sink(settings: SinkSettings, place: Place) -> Sink:
    """A sink that writes files into the folder of its settings; it goes on with what was left there.

    Raises:
        SinkError: Nothing can be written there.
    """
    assert isinstance(settings, FileSink)
    return Files(settings, place)


class Files:
    """The files that are open: one, or one for each session in MOTChallenge's format."""

    def __init__(self, settings: FileSink, place: Place) -> None:
        """Make the folder, and go on with files that a killed writer has left.

        Raises:
            SinkError: Nothing can be written there.
        """
        self._settings, self._name = settings, place.name
        self._folder = place.directory / Path(settings.path).expanduser()
        self._by_session = settings.format == "mot"
        self._open: dict[SessionKey, _Open] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_up()
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def write(self, batch: Sequence[Message]) -> None:
        """Append to the file, or to those of the sessions."""
        self.tick()
        for key, messages in self._sorted(batch).items():
            self._close_others_of(key)
            if key not in self._open:
                self._open[key] = _Open(self._book(self._new_part(key, messages[0]), key), time.monotonic())
            self._open[key].book.add(messages)

    def tick(self) -> None:
        """Close what is large or old enough."""
        now_s = time.monotonic()
        for key, one in list(self._open.items()):
            if one.book.size >= self._settings.rotate_mb * 1e6 or now_s - one.began_s >= self._settings.rotate_s:
                self._close(key)

    def close(self) -> None:
        """Close every file; one that cannot be is left to the next start."""
        for key in list(self._open):
            with suppress(SinkError):
                self._close(key)

    def _sorted(self, batch: Sequence[Message]) -> dict[SessionKey, list[Message]]:
        """By the file that they belong to."""
        if not self._by_session:
            return {ALL: list(batch)} if batch else {}
        sessions: dict[SessionKey, list[Message]] = {}
        for message in batch:
            if isinstance(message, FrameResult):
                sessions.setdefault(session_key(message), []).append(message)
        return sessions

    def _close_others_of(self, key: SessionKey) -> None:
        """A camera has one session at a time."""
        for other in [other for other in self._open if other != key and other[:2] == key[:2]]:
            self._close(other)

    def _close(self, key: SessionKey) -> None:
        self._open.pop(key).book.close()

    def _take_up(self) -> None:
        """Go on with the newest of each, and close the others."""
        found = re.compile(re.escape(self._name) + (r"-(?P<key>.+)" if self._by_session else "") + f"-{_NAMED}")
        for part in sorted(self._folder.glob(f"*{self._suffix}{PART}")):
            named = found.fullmatch(part.name.removesuffix(self._suffix + PART))
            if named is None:
                continue
            if self._settings.format == "parquet" and final_of(part).exists():
                part.unlink()  # The file is whole; its writer was killed before it removed the journal.
                continue
            with suppress(BlockingIOError):
                self._go_on(part, _key_in(named["key"]) if self._by_session else ALL, named["time"])

    def _go_on(self, part: Path, key: SessionKey, began: str) -> None:
        book = self._book(part, key)
        if key in self._open:
            self._close(key)
        began_ns = datetime.strptime(began, _TIME).replace(tzinfo=UTC).timestamp() * 1e9
        self._open[key] = _Open(book, time.monotonic() - max(0.0, time.time_ns() - began_ns) / 1e9)

    def _new_part(self, key: SessionKey, first: Message) -> Path:
        stem = "-".join((self._name, *([_words_of(key)] if self._by_session else [])))
        stem = f"{stem}-{datetime.now(UTC).strftime(_TIME)}"
        tries = 1
        while True:
            final = self._folder / f"{stem}{f'-{tries}' if tries > 1 else ''}{self._suffix}"
            part = final.with_name(final.name + PART)
            if not final.exists() and not part.exists():
                return part
            tries += 1

    @property
    def _suffix(self) -> str:
        return ".txt" if self._by_session else f".{self._settings.format}"

    def _book(self, part: Path, key: SessionKey) -> Book:
        if self._settings.format == "parquet":
            from pipeline.sink.parquetbook import ParquetBook

            return ParquetBook(part)
        if self._by_session:
            return MotBook(part, key)
        form = JsonLines(states=self._settings.states) if self._settings.format == "jsonl" else CommaLines()
        return TextBook(part, form)


def _words_of(key: SessionKey) -> str:
    """As part of a file's name; `+` is in no name of a fleet or camera."""
    return "+".join(re.sub(r"[^\w.-]", "_", word) for word in key)


def _key_in(words: str) -> SessionKey:
    fleet, camera_id, session_id = [*words.split("+"), "", ""][:3]
    return fleet, camera_id, session_id
