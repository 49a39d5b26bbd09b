"""What a camera's process shows to the fleet's own page and snapshots: its coded pictures, and stills.

Each camera has a ZeroMQ XPUB socket in the run's private folder. A subscription says what is wanted, and nothing is
made while there is none:

- `units`: every coded picture as it came (`Unit`, and its bytes), and for each frame which of them it is (`Shown`).
- `stills`: small JPEG pictures, some a second (`Still`, and the JPEG).
- `full`: the next picture once, in full size (`Still`, and the JPEG), for each subscription.

Where it keeps a second stream, it has another socket for it, with one topic:

- `kept`: every coded picture as it came (`Kept`, and its bytes).

Of a camera of which something is to be covered, `units` and `kept` have nothing. What keeps evidence of its events, and
covers it itself, finds the same words at that other socket, by a topic that nobody asks for by mistake:

- `uncovered`: as `kept`, or as `units` where there is no second stream.

Frames are named by (session, frame_id) as the camera counts them: `FrameResult.session`, and its `frame_id` added to
`first_frame_of(session_id)`.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import msgspec

from pipeline.clock import NS_PER_MS
from pipeline.errors import WireError
from pipeline.foreign import UNREADABLE
from pipeline.wire import AlignedBy

UNITS, STILLS, FULL, KEPT, UNCOVERED = b"units", b"stills", b"full", b"kept", b"uncovered"
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
        pts_s: The stream's own time of it, s.
        captured_at_ns: Wall time of its capture, ns since 1970-01-01 UTC.
        frame_wh: Size of the camera's picture, upright, px.
        blind: Whether no result tells all that is to be blurred in it: the detector does not know a class.
    """

    unit: int
    session: int
    frame_id: int
    pts_s: float = 0.0
    captured_at_ns: int = 0
    frame_wh: tuple[int, int] = (0, 0)
    blind: bool = False


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag="kept"):
    """One coded picture of a camera's second stream, in the order in which they are decoded; its bytes follow.

    Attributes:
        number: Counts those of the camera's process.
        connection: Counts the connections; each begins with a key frame.
        key: Decoding can begin here.
        codec: As FFmpeg names it.
        extradata: As of `Unit`.
        frame_wh: Size of the picture, px.
        turns: As of `Unit`.
        mirrored: Likewise.
        pts_s: The stream's own time, s.
        at_ns: Wall time of its capture by the stream that is detected, ns since 1970-01-01 UTC.
        aligned_by: What makes the two one.
        error_ms: How far that may be off; None where it is not known.
        zero_ns: Where frames are timed by their arrival: the wall time of the detected stream's time 0, so that a frame
            is found by its own time, and not by when it happened to come; 0 where that is not needed.
        blind: As of `Shown`.
    """

    number: int
    connection: int
    key: bool
    codec: str
    extradata: bytes = b""
    frame_wh: tuple[int, int] = (0, 0)
    turns: int = 0
    mirrored: bool = False
    pts_s: float
    at_ns: int
    aligned_by: AlignedBy
    error_ms: float | None = None
    zero_ns: int = 0
    blind: bool = False


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
_kept_decoder = msgspec.msgpack.Decoder(Kept)


def socket_of(directory: Path, camera_id: str) -> Path:
    """The socket of a camera of the run in this directory; a short name, as `sun_path` ends at 107 bytes."""
    return directory / f"v-{hashlib.blake2s(camera_id.encode(), digest_size=4).hexdigest()}"


def kept_socket_of(directory: Path, camera_id: str) -> Path:
    """The socket of its second stream, and of what is to be covered by whoever takes it."""
    return directory / f"k-{hashlib.blake2s(camera_id.encode(), digest_size=4).hexdigest()}"


def endpoint(directory: Path, camera_id: str) -> str:
    """The same for ZeroMQ."""
    return f"ipc://{socket_of(directory, camera_id)}"


def way_to(directory: Path, camera_id: str) -> tuple[str, bytes]:
    """Where a camera of the run in this directory is shown, and what its topics begin with there."""
    if (directory / GALLERY).exists():
        return f"ipc://{directory / GALLERY}", f"{camera_id}/".encode()
    return endpoint(directory, camera_id), b""


def first_number() -> int:
    """Where a camera's process begins to number its pictures: the wall clock's ms, which no earlier process came up to.

    Pictures of an earlier one may still be there, and are not to be taken for its own.
    """
    return time.time_ns() // NS_PER_MS


def pack(word: Word | Kept) -> bytes:
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


def unpack_kept(packed: bytes) -> Kept:
    """The word on a picture of the second stream.

    Raises:
        WireError: It is none.
    """
    try:
        return _kept_decoder.decode(packed)
    except UNREADABLE as error:
        raise WireError(f"a camera's word on its second stream cannot be read: {error}") from error
