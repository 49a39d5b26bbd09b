"""What a message, a byte and a camera cost, as `scripts/bench_scale.py` measured them; `measured.json` says where."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from pipeline.errors import ConfigError

FILE = Path(__file__).with_name("measured.json")


class Constant(msgspec.Struct, frozen=True):
    """One figure.

    Attributes:
        value: In the unit that its name ends in.
        how: How it came about.
    """

    value: float
    how: str


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them; µs are CPU time, bytes are on the wire.

    Attributes:
        machine: Where.
        at: On which day.
        by: The command.
        frame_bytes: A frame without objects, topic included.
        object_bytes: Each of its objects.
        compact_frame_bytes: The same in compact form.
        compact_object_bytes: Likewise.
        state_bytes: A camera's state.
        overview_bytes: A camera in the fleet's overview, which is told once a second.
        overview_us: For whoever tells it.
        directory_bytes: A camera in the directory of where which camera is.
        directory_us: To write it and read it again.
        placing_us: A camera, when all of a fleet are placed and a rack is lost.
        proxy_message_us: A message that a proxy takes in, keys on both sides.
        proxy_byte_us: A byte of it.
        proxy_copy_us: A message that it gives to one subscriber.
        proxy_copied_byte_us: A byte of that.
        reader_message_us: A message that a subscriber in Python takes in and decodes.
        reader_byte_us: A byte of it.
    """

    machine: str
    at: str
    by: str
    frame_bytes: Constant
    object_bytes: Constant
    compact_frame_bytes: Constant
    compact_object_bytes: Constant
    state_bytes: Constant
    overview_bytes: Constant
    overview_us: Constant
    directory_bytes: Constant
    directory_us: Constant
    placing_us: Constant
    proxy_message_us: Constant
    proxy_byte_us: Constant
    proxy_copy_us: Constant
    proxy_copied_byte_us: Constant
    reader_message_us: Constant
    reader_byte_us: Constant

    def words(self) -> list[str]:
        """One line for each figure: name, value, and how it was measured."""
        figures = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return [
            f"{name.replace('_', ' ')}: {one.value:g} ({one.how})" for name, one in figures if isinstance(one, Constant)
        ]


@cache
def measured() -> Measured:
    """The figures that come with camfleet.

    Raises:
        ConfigError: The file was changed by hand and is not what `scripts/bench_scale.py` writes.
    """
    return read(FILE)


def read(path: Path) -> Measured:
    """The figures of a file.

    Raises:
        ConfigError: It cannot be read, or is not what `scripts/bench_scale.py` writes.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Measured)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: {error}; write it again with scripts/bench_scale.py") from None
