"""One file that grows: what a file sink and its formats have in common.

A file that is written ends in `.part` and gets its name when it is whole. One that a killed writer has left is taken
up again: what is half there at its end is cut off, and frames that it has are known, so that they are not added twice.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.errors import SinkError
from pipeline.wire import FrameResult, Message

PART = ".part"

SessionKey = tuple[str, str, str]
"""Fleet, camera and session: a frame's number means something within."""


class Book(Protocol):
    """A file that is open. Whatever it says may raise `SinkError`: the disk is full or gone."""

    @property
    def size(self) -> int:
        """What was added so far, bytes; 0 while nothing was."""
        ...

    def add(self, messages: Sequence[Message]) -> None:
        """Append these; they survive the end of this process once it returns. Frames that are there are left out."""
        ...

    def close(self) -> None:
        """Make it whole, and give it its name; one without anything in it goes."""
        ...


class Known:
    """The newest frame of each session that is in a file; frames come in their order."""

    def __init__(self) -> None:
        self._newest: dict[SessionKey, int] = {}

    @property
    def some(self) -> bool:
        """Whether there is any frame in it."""
        return bool(self._newest)

    def note(self, key: SessionKey, frame_id: int) -> None:
        """It is in the file."""
        self._newest[key] = max(frame_id, self._newest.get(key, -1))

    def note_all(self, messages: Iterable[Message]) -> None:
        """They are in the file."""
        for message in messages:
            if isinstance(message, FrameResult):
                self.note(session_key(message), message.frame_id)

    def new_of(self, messages: Iterable[Message]) -> list[Message]:
        """Those that are not in the file."""
        return [
            message
            for message in messages
            if not isinstance(message, FrameResult) or message.frame_id > self._newest.get(session_key(message), -1)
        ]


def session_key(frame: FrameResult) -> SessionKey:
    """Whose frame it is."""
    return (frame.fleet, frame.camera_id, frame.session_id)


class PartFile:
    """The bytes of a `.part` file: appended whole or not at all, and locked against another writer.

    Attributes:
        path: Where it is.
        size: Bytes of it that are right.
    """

    def __init__(self, path: Path) -> None:
        """Make it, or open one that was left; its end is not looked at yet.

        Raises:
            BlockingIOError: Another process writes it.
            SinkError: It cannot be written.
        """
        self.path = path
        try:
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.size = os.fstat(self._file).st_size
        except OSError:
            os.close(self._file)
            raise

    def read(self) -> bytes:
        """All of it."""
        return self.path.read_bytes()

    def cut(self, size: int) -> None:
        """Keep so many bytes."""
        self.size = size
        os.ftruncate(self._file, size)

    def append(self, content: bytes) -> None:
        """Add this at the end.

        Raises:
            SinkError: The disk is full or gone; nothing of it is kept.
        """
        try:
            rest, at = memoryview(content), self.size
            while rest:
                written = os.pwrite(self._file, rest, at)
                rest, at = rest[written:], at + written
        except OSError as error:
            self.cut(self.size)
            raise unwritable(self.path, error) from error
        self.size = at

    def let_go(self) -> None:
        """Leave it as it is, to whoever goes on with it."""
        os.close(self._file)

    def close(self, final: Path | None) -> None:
        """Write all of it to the disk and give it this name; without one, remove it."""
        try:
            if final is None:
                self.path.unlink(missing_ok=True)
            else:
                os.fsync(self._file)
                self.path.rename(final)
        except OSError as error:
            raise unwritable(self.path, error) from error
        finally:
            os.close(self._file)


def unwritable(path: Path, error: OSError) -> SinkError:
    """What to say of a file that cannot be written."""
    return SinkError(f"{path} cannot be written: {error.strerror or error}")


def final_of(part: Path) -> Path:
    """The name that a `.part` file gets."""
    return part.with_name(part.name.removesuffix(PART))
