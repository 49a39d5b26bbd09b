"""Pictures out of RTP pieces: by FFmpeg's parser, and without waiting for the next picture where that is proven.

The problem: FFmpeg's parser knows that a coded picture is complete when the next one begins, so every H.264 and HEVC
camera is seen one frame late: 41 ms at 25 fps, measured by RTCP time against servers on the same machine, whatever
options are set. RTP marks the last packet of a picture, but FFmpeg does not hand the mark on.

So FFmpeg's demuxer is asked for what the depacketizer gives (`fflags noparse`): one piece for each NAL unit, aggregate
or fragment (RFC 6184 §5.4, RFC 7798 §4.4). The pieces go through FFmpeg's parser here, which says for certain where
pictures end, whatever time stamps they carry; and beside it `pipeline.camera.early` guesses. Once its guesses have
been shown to be right, pictures are given with their last piece, 1 to 5 ms after they left (the seven recordings tried,
H.264 and HEVC, from our server and GStreamer's). The parser goes on checking. At the first guess that was wrong,
pictures wait for their end again, and those since the last key frame are decoded once more, so that none is damaged for
good.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import av
import msgspec
from msgspec.structs import replace

from pipeline.camera.capture import Arrival
from pipeline.camera.decode import Stamp, reported_at_ns, stamp_of
from pipeline.camera.early import EarlyEnd
from pipeline.camera.nal import STARTS, Codec, NalScanner, NalUnit
from pipeline.camera.opening import is_assembled
from pipeline.camera.recent import Recent
from pipeline.clock import NS_PER_S
from pipeline.errors import SourceLost

MOST_BYTES = 32 << 20
"""Of one coded picture; more is no picture, and must not fill the memory."""
UNMARKED_S = 10.0
"""After so long without a marked key frame, parameter sets count as one: some cameras mark nothing."""
PADDING = bytes(64)
"""AV_INPUT_BUFFER_PADDING_SIZE: FFmpeg's parsers may look beyond what they are given."""


class AccessUnit(msgspec.Struct, frozen=True):
    """One coded picture.

    Attributes:
        packet: All of it.
        stamp: Of its packets.
        key: Decoding can begin here.
        marked: It says so itself; if not, only the parameter sets with it do.
        again: Coded pictures from a key frame to the one before this, whose decoding went wrong.
    """

    packet: av.Packet[Any]
    stamp: Stamp
    key: bool
    marked: bool = True
    again: tuple[bytes, ...] = ()


def whole(packet: av.Packet[Any], arrival: Arrival) -> AccessUnit:
    """The access unit of a packet that FFmpeg has put together."""
    return AccessUnit(packet, stamp_of(packet, arrival), packet.is_keyframe)


def assembler(codec: str) -> Assembler | None:
    """For a new stream of this codec; None where FFmpeg does it."""
    return Assembler("hevc" if codec == "hevc" else "h264") if is_assembled(codec) else None


class _Piece(msgspec.Struct, frozen=True):
    """What came with a piece; `end` is the stream's length with it, bytes."""

    end: int
    pts: int | None
    reported_at_ns: int | None
    arrival: Arrival
    corrupt: bool


@dataclass(slots=True)
class _Coming:
    """The bytes that have not been given yet, and what is known of the picture that they begin."""

    data: bytearray = field(default_factory=bytearray)
    begins: int = 0
    guessed_end: int | None = None
    given: bool = False


class Assembler:
    """Pieces of one stream in, access units out. Not thread-safe."""

    def __init__(self, codec: Codec) -> None:
        self.early = EarlyEnd(codec)
        self._parser = av.CodecContext.create(codec, "r")
        self._scanner = NalScanner(codec)
        self._pieces: deque[_Piece] = deque()
        self._units: deque[NalUnit] = deque()
        self._slices = self._keys = self._marked = 0
        self._marked_ns: int | None = None
        self._coming = _Coming()
        self._length = self._parsed = 0
        self._last_pts: int | None = None
        self._recent = Recent()
        self._sequences = _Sequences()

    def assemble(self, packet: av.Packet[Any], arrival: Arrival) -> list[AccessUnit]:
        """The access units that are complete with this piece, which came at `arrival`.

        Raises:
            SourceLost: The picture has no end.
        """
        data, pts = bytes(packet), packet.pts
        # An empty one would mean the stream's end to the parser, which is not made to go on after that.
        if not data or self._is_orphan(data, pts):
            return []
        begins = self._length
        self._length += len(data)
        self._coming.data += data
        self._pieces.append(_Piece(self._length, pts, self._reported_at_ns(packet, pts), arrival, packet.is_corrupt))
        self._last_pts = pts
        found = self._find(data, begins, arrival.ns)
        complete: list[AccessUnit] = []
        for parsed in self._parser.parse(memoryview(data + PADDING)[: len(data)]):
            self._settle(parsed, complete)
        if self._length - self._parsed > MOST_BYTES:
            raise SourceLost(f"a picture of more than {MOST_BYTES >> 20} MB: it has no end")
        if self._guess(len(data), begins=len(found) if found and found[0].begins == begins else 0):
            self._coming.guessed_end = self._length
            if self.early.holds_for(self._length - self._parsed):
                complete.append(self._give(self._length, key=self._keys > 0, marked=self._marked > 0))
                self._coming.given = True
        return complete

    def _is_orphan(self, data: bytes, pts: int | None) -> bool:
        """Whether it is a fragment of a NAL unit whose beginning was lost; all fragments have one time stamp."""
        return (pts != self._last_pts or not self._length) and not data.startswith(STARTS)

    def _reported_at_ns(self, packet: av.Packet[Any], pts: int | None) -> int | None:
        """Of one time stamp, FFmpeg says the same with each piece."""
        if pts is not None and pts == self._last_pts and self._pieces:
            return self._pieces[-1].reported_at_ns
        return reported_at_ns(packet)

    def _find(self, data: bytes, begins: int, arrived_ns: int) -> list[NalUnit]:
        """The NAL units whose headers end in a piece that begins at this offset of the stream."""
        found = self._scanner.scan(data)
        if not found:
            return found
        found = [self._as_key(unit, arrived_ns) for unit in found]
        self._note(found, 1)
        self._units.extend(found)
        self._sequences.note(found, data, begins)
        return found

    def _guess(self, size: int, *, begins: int) -> bool:
        ends_in_slice = bool(self._units) and self._units[-1].is_slice
        seems_complete = self.early.guess(
            size - 4 if begins else size, begins=begins, ends_in_slice=ends_in_slice, slices=self._slices
        )
        return seems_complete and self._coming.guessed_end is None and not self._sequences.has_changed

    def _settle(self, parsed: av.Packet[Any], complete: list[AccessUnit]) -> None:
        """A picture whose end is certain: give it, unless it was given, and learn from it."""
        end = self._parsed + parsed.size
        units = self._units_before(end)
        slices, keys, marks = _count(units)
        marked = parsed.is_keyframe or marks > 0
        key = marked or keys > 0
        guessed_end = self._coming.guessed_end
        right = None if guessed_end is None else abs(guessed_end - _slices_end(units, end)) <= 1
        if not self._coming.given:
            complete.append(self._give(end, key=key, marked=marked))
        elif not right:
            self._recent.mend(bytes(self._coming.data[: end - self._coming.begins]))
            del self._coming.data[: end - self._coming.begins]
            self._coming.begins = end
        if self._sequences.settle(end):
            self.early = self.early.renewed()
        if self._parsed or key:
            # Any other first one may have begun before this connection did.
            self.early.settle(slices, parsed.size, right=right, key=key)
        self._forget(units, end)
        self._coming.guessed_end, self._coming.given = None, False
        self._parsed = end

    def _units_before(self, end: int) -> list[NalUnit]:
        units: list[NalUnit] = []
        for unit in self._units:
            if unit.begins >= end:
                break
            units.append(unit)
        return units

    def _as_key(self, unit: NalUnit, arrived_ns: int) -> NalUnit:
        """With parameter sets for a key frame where the camera has marked none for long."""
        if unit.is_key:
            self._marked_ns = arrived_ns
        elif not unit.is_sequence:
            return unit
        long_ago = self._marked_ns is None or arrived_ns - self._marked_ns > UNMARKED_S * NS_PER_S
        return replace(unit, is_key=True) if unit.is_sequence and long_ago else unit

    def _give(self, end: int, *, key: bool, marked: bool) -> AccessUnit:
        """Everything up to `end` that was not given yet."""
        data = bytes(memoryview(self._coming.data)[: end - self._coming.begins])
        stamp = self._stamp(end)
        del self._coming.data[: end - self._coming.begins]
        self._coming.begins = end
        again = self._recent.add(data, key=key)
        packet = av.Packet(data)
        packet.pts = stamp.pts
        corrupt = stamp.corrupt or self._recent.damaged
        return AccessUnit(packet, Stamp(stamp.arrival, stamp.reported_at_ns, corrupt), key, marked, again)

    def _stamp(self, end: int) -> _Piece:
        """What came with the first slice of the picture that ends here, and when its last piece came."""
        slice_at = next((unit.begins for unit in self._units if unit.is_slice), 0)
        first: _Piece | None = None
        corrupt = False
        for piece in self._pieces:
            corrupt = corrupt or piece.corrupt
            if piece.end <= slice_at:
                continue
            first = first or piece
            if piece.end >= end:
                break
        assert first is not None, "a picture has a piece"
        return _Piece(end, first.pts, first.reported_at_ns, piece.arrival, corrupt)

    def _note(self, units: list[NalUnit], sign: int) -> None:
        slices, keys, marks = _count(units)
        self._slices += sign * slices
        self._keys += sign * keys
        self._marked += sign * marks

    def _forget(self, units: list[NalUnit], end: int) -> None:
        self._note(units, -1)
        for _ in units:
            self._units.popleft()
        while self._pieces and self._pieces[0].end <= end:
            self._pieces.popleft()


class _Sequences:
    """The sequence parameter sets of the newest picture that brought some: other ones code another picture.

    A camera whose size is changed may code the new one in another number of slices. That is no doubt about the rule by
    which a picture's end is guessed, but the rule has to be shown again.
    """

    def __init__(self) -> None:
        self.has_changed = False
        """Whether the picture that comes is coded otherwise than the one before."""
        self._known: frozenset[bytes] = frozenset()
        self._coming: dict[int, bytes] = {}

    def note(self, units: list[NalUnit], piece: bytes, offset: int) -> None:
        """Take in the NAL units of a piece that begins at this offset of the stream; the sets come whole."""
        for unit, end in zip(units, [*(unit.begins for unit in units[1:]), offset + len(piece)], strict=False):
            if unit.is_sequence and unit.begins >= offset:
                self._coming[unit.begins] = piece[unit.begins - offset : end - offset]
                self.has_changed |= bool(self._known) and self._coming[unit.begins] not in self._known

    def settle(self, end: int) -> bool:
        """A picture ends here; whether it is the first that is coded otherwise."""
        told = frozenset(self._coming.pop(begins) for begins in sorted(self._coming) if begins < end)
        changed = self.has_changed and bool(told)
        if told:
            self._known, self.has_changed = told, False
        return changed


def _count(units: list[NalUnit]) -> tuple[int, int, int]:
    """How many are slices, how many say that decoding can begin, and how many of those are no parameter sets."""
    slices = keys = marks = 0
    for unit in units:
        slices += unit.is_slice
        keys += unit.is_key
        marks += unit.is_key and not unit.is_sequence
    return slices, keys, marks


def _slices_end(units: list[NalUnit], end: int) -> int:
    """Where the last slice of a picture ends, if the picture ends at `end`; offset in the stream, bytes."""
    following = end
    for unit in reversed(units):
        if unit.is_slice:
            return following
        following = unit.begins
    return end
