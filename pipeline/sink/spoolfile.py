"""The file of a spool: its tables, its owner, and how a damaged one is told."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from pathlib import Path

from pipeline.errors import SinkError

FILE, LOCK, DAMAGED = "spool.sqlite", "lock", "spool.damaged"
LOCK_S, LOCK_EVERY_S = 3.0, 0.05
"""How long a successor waits for one that is ending."""
_APPLICATION = 0x63616D66
"""“camf”: what SQLite's header says of a file that is ours."""
_LAYOUT = (
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    f"PRAGMA journal_size_limit = {16 << 20}",
    "CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, "
    "size INTEGER NOT NULL, topic BLOB NOT NULL, body BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS position (topic BLOB PRIMARY KEY, publisher TEXT NOT NULL, number INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS loss (run TEXT PRIMARY KEY, messages INTEGER NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION}",
)


class Damaged(SinkError):
    """What was read is nothing that was written here."""


WRONG = (sqlite3.Error, Damaged, ValueError, TypeError, OverflowError)
"""What reading a file raises that somebody else has written; the last three where a number is none."""


def open_file(folder: Path) -> sqlite3.Connection:
    """The file, or a new one, readable by this user alone.

    Raises:
        SinkError: It cannot be made; `Damaged` if it is a database of something else.
        sqlite3.Error: It is none, or the disk is gone.
    """
    path = folder / FILE
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise SinkError(f"nothing can be kept in {folder}: {error.strerror}") from error
    link = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        (application,) = link.execute("PRAGMA application_id").fetchone()
        (pages,) = link.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if pages and application != _APPLICATION:
            raise Damaged("it is a database of something else")
        for line in _LAYOUT:
            link.execute(line)
    except BaseException:
        link.close()
        raise
    return link


def set_aside(folder: Path) -> Path:
    """Rename a damaged file, whose place is free then; the new name. One that was set aside before goes.

    Raises:
        OSError: It cannot be renamed.
    """
    aside = folder / DAMAGED
    (folder / FILE).replace(aside)
    for rest in ("-wal", "-shm"):
        (folder / (FILE + rest)).unlink(missing_ok=True)
    return aside


def own(path: Path) -> int:
    """A descriptor with a lock that nobody else has, until it is closed or this process ends."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SinkError(f"nothing can be kept in {path.parent}: {error.strerror}") from error
    pause, tries = threading.Event(), 0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            tries += 1
        else:
            return descriptor
        if tries > LOCK_S / LOCK_EVERY_S:
            os.close(descriptor)
            raise SinkError(
                f"another process uses the spool {path.parent}; end it, or give this sink or fleet another name"
            )
        pause.wait(LOCK_EVERY_S)


def is_damage(error: Exception) -> bool:
    """Whether the file itself is wrong, and not the disk that it is on."""
    if not isinstance(error, sqlite3.Error):
        return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # Text that is no UTF-8 is an error without a code.
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR) or "decode" in str(error)
