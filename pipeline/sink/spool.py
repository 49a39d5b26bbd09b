"""What a sink has received and not yet got rid of: a queue on disk, bounded, in SQLite.

It survives whatever happens to the process (not to the machine: at a loss of power the last moments may be missing).
With the messages go the positions up to which each topic was heard, in one transaction, so that whoever is started
again asks for exactly what it lacks.

A thread that hears appends, another takes and gives back; both hold the lock for milliseconds only.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from pipeline.client.inlet import Position
from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.sink.spoolfile import LOCK, WRONG, Damaged, is_damage, open_file, own, set_aside
from pipeline.statefolder import private_folder

log = structlog.get_logger()

ROW_BYTES = 48
"""What a message takes on disk beside itself, about."""
SPARE_PAGES = 4096
"""Empty pages that stay in the file, 16 MB; more are given back, as many at a time."""
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Held:
    """A message in the spool; `number` counts them in the order in which they came."""

    number: int
    topic: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What waits in a spool.

    Attributes:
        waiting: Messages.
        size: What they take on disk, bytes.
        lag_s: How long ago the oldest of them came, s; 0 if none waits.
        lost: Messages of this run that had to give way, or that the sink's place will never take.
    """

    waiting: int
    size: int
    lag_s: float
    lost: int


class Spool:
    """A queue of messages on disk, with one owner. Any thread may call, one of them `take` and `done`."""

    def __init__(self, folder: Path, most_bytes: int, run: str = "") -> None:
        """Open what an earlier owner has left, or begin.

        Args:
            folder: Where; made where it is missing, for this user alone.
            most_bytes: Beyond it the oldest messages give way.
            run: Losses are counted from the beginning of a run.

        Raises:
            SinkError: Another process has it, or nothing can be kept there.
        """
        private_folder(folder)
        self._folder, self._most, self._run = folder, most_bytes, run
        self._lock = threading.Lock()
        self._owner = own(folder / LOCK)
        self._taken = 0
        try:
            self._begin()
        except BaseException:
            os.close(self._owner)
            raise

    def append(self, messages: Iterable[tuple[bytes, bytes]], positions: Mapping[bytes, Position], now_ns: int) -> None:
        """Keep these, topic and body each, and with them how far was heard; the oldest give way where they must.

        Args:
            messages: In the order in which they came.
            positions: Of the topics that were heard since the last call.
            now_ns: Wall time, ns since 1970-01-01 UTC.

        Raises:
            SinkError: The disk is full or gone; nothing of it is kept.
        """
        rows = [(now_ns, len(topic) + len(body) + ROW_BYTES, topic, body) for topic, body in messages]
        heard = [(topic, one.publisher, one.number) for topic, one in positions.items()]

        def work(link: sqlite3.Connection) -> None:
            link.executemany("INSERT INTO message (at_ns, size, topic, body) VALUES (?, ?, ?, ?)", rows)
            link.executemany("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", heard)
            size = self._size + sum(row[1] for row in rows)
            gone, freed = self._make_room(link, size - self._most)
            self._count(len(rows) - gone, size - freed - self._size, gone)

        self._do(work)

    def take(self, most: int) -> list[Held]:
        """The oldest messages that were not given yet, up to so many; they stay on disk until `done`.

        Raises:
            SinkError: The disk is gone.
        """
        taken = self._do(lambda link: self._oldest(link, most))
        if taken:
            self._taken = taken[-1].number
        return taken

    def done(self, number: int) -> None:
        """Every message up to this number is safe elsewhere.

        Raises:
            SinkError: The disk is gone; they come again after the next start.
        """

        def work(link: sqlite3.Connection) -> None:
            messages, size = link.execute(
                "SELECT count(*), total(size) FROM message WHERE id <= ?", (number,)
            ).fetchone()
            link.execute("DELETE FROM message WHERE id <= ?", (number,))
            self._count(-messages, -int(size), 0)

        self._do(work)
        self._give_room_back()

    def lose(self, messages: int) -> None:
        """Count so many as lost; they were never kept, or nobody takes them.

        Raises:
            SinkError: The disk is gone.
        """
        self._do(lambda link: self._count(0, 0, messages))

    def state(self, now_ns: int) -> SpoolState:
        """What waits, at this wall time.

        Raises:
            SinkError: The disk is gone.
        """
        found = self._do(lambda link: link.execute("SELECT at_ns FROM message ORDER BY id LIMIT 1").fetchone())
        lag_s = 0.0 if found is None or not self._waiting else max(0, now_ns - int(found[0])) / NS_PER_S
        return SpoolState(self._waiting, self._size, lag_s, self._lost)

    def positions(self) -> dict[bytes, Position]:
        """How far each topic was heard.

        Raises:
            SinkError: The disk is gone.
        """
        return self._do(_positions)

    def close(self) -> None:
        """Let another have it; what waits stays."""
        with self._lock:
            self._link.close()
            os.close(self._owner)

    def _begin(self) -> None:
        try:
            self._link = open_file(self._folder)
            self._transact(self._read_books)
        except WRONG as error:
            if not is_damage(error):
                raise self._failed(error) from error
            self._begin_anew(error)

    def _begin_anew(self, error: Exception) -> None:
        """Put a damaged file aside; what waited in it is lost, how much nobody knows."""
        with suppress(AttributeError, sqlite3.Error):
            self._link.close()
        try:
            aside = set_aside(self._folder)
            self._link = open_file(self._folder)
            # Numbers go on: whoever has taken some and gives them back later must not mean others.
            self._link.execute("INSERT INTO sqlite_sequence VALUES ('message', ?)", (self._taken,))
            self._transact(self._read_books)
        except (OSError, *WRONG) as again:
            raise SinkError(f"the spool in {self._folder} is damaged, and cannot be begun anew: {again}") from again
        log.error(f"what waited for the sink cannot be read and is put aside as {aside}: {error}")

    def _read_books(self, link: sqlite3.Connection) -> None:
        """What earlier owners have left."""
        self._waiting, size = link.execute("SELECT count(*), total(size) FROM message").fetchone()
        self._size = int(size)
        link.execute("DELETE FROM loss WHERE run <> ?", (self._run,))
        link.execute("INSERT OR IGNORE INTO loss VALUES (?, 0)", (self._run,))
        (self._lost,) = link.execute("SELECT messages FROM loss").fetchone()
        if not isinstance(self._lost, int):
            raise Damaged("a number is none")

    def _do(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Do something in one transaction; with an empty spool if this one turns out to be damaged."""
        with self._lock:
            books = self._waiting, self._size, self._lost
            try:
                return self._transact(work)
            except WRONG as error:
                self._waiting, self._size, self._lost = books
                if not is_damage(error):
                    raise self._failed(error) from error
                self._begin_anew(error)
            try:
                return self._transact(work)
            except WRONG as error:
                raise self._failed(error) from error

    def _transact(self, work: Callable[[sqlite3.Connection], R]) -> R:
        self._link.execute("BEGIN IMMEDIATE")
        try:
            outcome = work(self._link)
            self._link.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._link.execute("ROLLBACK")
            raise
        return outcome

    def _failed(self, error: Exception) -> SinkError:
        return SinkError(f"nothing can be kept in {self._folder}: {error}")

    def _count(self, messages: int, size: int, lost: int) -> None:
        """Note what has changed; undone by `_do` where the transaction fails."""
        self._waiting += messages
        self._size += size
        if lost:
            self._lost += lost
            self._link.execute("UPDATE loss SET messages = ?", (self._lost,))

    def _oldest(self, link: sqlite3.Connection, most: int) -> list[Held]:
        found = link.execute(
            "SELECT id, topic, body FROM message WHERE id > ? ORDER BY id LIMIT ?", (self._taken, most)
        ).fetchall()
        return [_held(row) for row in found]

    def _make_room(self, link: sqlite3.Connection, over: int) -> tuple[int, int]:
        """Remove the oldest, as far as nobody has taken them; how many messages and bytes are gone."""
        if over <= 0:
            return 0, 0
        gone = freed = last = 0
        for number, size in link.execute("SELECT id, size FROM message WHERE id > ? ORDER BY id", (self._taken,)):
            gone, freed, last = gone + 1, freed + int(size), number
            if freed >= over:
                break
        link.execute("DELETE FROM message WHERE id > ? AND id <= ?", (self._taken, last))
        return gone, freed

    def _give_room_back(self) -> None:
        """Shrink a file that was large and is empty, a piece at a time."""
        if self._waiting:
            return
        with self._lock, suppress(sqlite3.Error):
            (spare,) = self._link.execute("PRAGMA freelist_count").fetchone()
            if spare > SPARE_PAGES:
                self._link.execute(f"PRAGMA incremental_vacuum({SPARE_PAGES})").fetchall()


def _held(row: Sequence[object]) -> Held:
    number, topic, body = row
    if not isinstance(number, int) or not isinstance(topic, bytes) or not isinstance(body, bytes):
        raise Damaged("a message is none")
    return Held(number, topic, body)


def _positions(link: sqlite3.Connection) -> dict[bytes, Position]:
    found = {}
    for topic, publisher, number in link.execute("SELECT topic, publisher, number FROM position"):
        if not isinstance(topic, bytes) or not isinstance(publisher, str) or not isinstance(number, int):
            raise Damaged("a position is none")
        found[topic] = Position(publisher, number)
    return found
