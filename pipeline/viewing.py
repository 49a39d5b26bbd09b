"""What a camera's process shows to the fleet's own page and snapshots: its coded pictures, and stills.

Each camera has a ZeroMQ XPUB socket in the run's private folder. A subscription says what is wanted, and nothing is
made while there is none:

- `units`: every coded picture as it came (`Unit`, and its bytes), and for each frame which of them it is (`Shown`).
- `stills`: small JPEG pictures, some a second (`Still`, and the JPEG).
- `full`: the next picture once, in full size (`Still`, and the JPEG), for each subscription.

Frames are named by (session, frame_id) as the camera counts them: `FrameResult.session`, and its `frame_id` added to
`first_frame_of(session_id)`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from pipeline.errors import WireError
from pipeline.foreign import UNREADABLE

UNITS, STILLS, FULL = b"units", b"stills", b"full"
GALLERY = "pictures"
"""The socket where a fleet over several machines shows all its cameras, which are elsewhere: its topics begin with the
camera's name and a slash."""


class Unit(msgspec.Struct, frozen=True, kw_only=True, tag="unit"):
    """One coded picture; its bytes follow.

    Attributes:
        unit: Grows with every coded picture, in the order in which they are decoded; names no two of a camera's life.
        key: Decoding can begin here.
        codec: As FFmpeg names it.
        extradata: What a decoder must know before the first: parameter sets, `avcC`; empty where the stream says it.
        turns: Quarter turns clockwise that make the picture upright, after mirroring.
        mirrored: Whether left and right change places first.
    """

    unit: int
    key: bool
    codec: str
    extradata: bytes = b""
    turns: int = 0
    mirrored: bool = False


class Shown(msgspec.Struct, frozen=True, kw_only=True, tag="shown"):
    """Which frame a coded picture has become; nothing follows.

    Attributes:
        unit: The coded picture.
        session: The camera's number of its session.
        frame_id: The camera's number of the frame in it.
    """

    unit: int
    session: int
    frame_id: int


class Still(msgspec.Struct, frozen=True, kw_only=True, tag="still"):
    """A picture as JPEG, upright; its bytes follow.

    Attributes:
        session: The camera's number of its session.
        frame_id: The camera's number of the frame in it.
        captured_at_ns: Wall time of its capture, ns since 1970-01-01 UTC.
        frame_wh: Size of the camera's picture, px; the still may be smaller.
    """

    session: int
    frame_id: int
    captured_at_ns: int
    frame_wh: tuple[int, int]


Word = Unit | Shown | Still

_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Word)


def socket_of(directory: Path, camera_id: str) -> Path:
    """The socket of a camera of the run in this directory; a short name, as `sun_path` ends at 107 bytes."""
    return directory / f"v-{hashlib.blake2s(camera_id.encode(), digest_size=4).hexdigest()}"


def endpoint(directory: Path, camera_id: str) -> str:
    """The same for ZeroMQ."""
    return f"ipc://{socket_of(directory, camera_id)}"


def way_to(directory: Path, camera_id: str) -> tuple[str, bytes]:
    """Where a camera of the run in this directory is shown, and what its topics begin with there."""
    if (directory / GALLERY).exists():
        return f"ipc://{directory / GALLERY}", f"{camera_id}/".encode()
    return endpoint(directory, camera_id), b""


def pack(word: Word) -> bytes:
    """A word for the middle part of a message of three: topic, word, bytes."""
    return _encoder.encode(word)


def unpack(packed: bytes) -> Word:
    """The word again.

    Raises:
        WireError: It is none.
    """
    try:
        return _decoder.decode(packed)
    except UNREADABLE as error:
        raise WireError(f"a camera's word on its pictures cannot be read: {error}") from error
