"""What the rules of a fleet remember, on disk: how far they have heard, and how everything was then."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pipeline.client.inlet import Position
from pipeline.errors import SinkError
from pipeline.statefolder import private_folder

VERSION = 1


class Memory(msgspec.Struct, frozen=True):
    """One moment.

    Attributes:
        positions: How far each topic was heard.
        cameras: What the rules of each camera remember, see `CameraRules.state`.
        version: Of this form.
    """

    positions: dict[str, Position] = {}
    cameras: dict[str, bytes] = {}
    version: int = VERSION


def read_memory(file: Path) -> Memory:
    """What was kept there last; nothing where nothing was, or by another version.

    Raises:
        SinkError: It cannot be read, or is damaged.
    """
    try:
        memory = msgspec.msgpack.decode(file.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory()
    except (OSError, msgspec.DecodeError) as error:
        raise SinkError(f"what is remembered of events cannot be read from {file}: {error}; delete it") from None
    return memory if memory.version == VERSION else Memory()


def write_memory(file: Path, memory: Memory) -> None:
    """Keep it; what was there before stays whole until this is.

    Raises:
        SinkError: It cannot be kept.
    """
    private_folder(file.parent)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_bytes(msgspec.msgpack.encode(memory))
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise SinkError(f"events cannot be remembered in {file}: {error.strerror}") from None
