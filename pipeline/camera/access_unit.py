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
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

import av

from pipeline.camera.capture import Arrival
from pipeline.camera.decode import Stamp, reported_at_ns, stamp_of
from pipeline.camera.early import EarlyEnd
from pipeline.camera.nal import STARTS, Codec, NalScanner, NalUnit
from pipeline.camera.opening import is_assembled
from pipeline.clock import NS_PER_S
from pipeline.errors import SourceLost

MOST_BYTES = 32 << 20
"""Of one coded picture; more is no picture, and must not fill the memory."""
MOST_AGAIN = 8 << 20
"""Of the pictures that are kept to be decoded once more, bytes; where there are more, damage stays to the key frame."""


UNMARKED_S = 10.0
"""After so long without a marked key frame, parameter sets count as one: some cameras mark nothing."""
PADDING = bytes(64)
"""AV_INPUT_BUFFER_PADDING_SIZE: FFmpeg's parsers may look beyond what they are given."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
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


@dataclass(frozen=True, slots=True)
class _Piece:
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
        self._recent = _Recent()
        self._sequences = _Sequences()

    def assemble(self, packet: av.Packet[Any], arrival: Arrival) -> Iterator[AccessUnit]:
        """The access units that are complete with this piece, which came at `arrival`.

        Raises:
            SourceLost: The picture has no end.
        """
        data = bytes(packet)
        # An empty one would mean the stream's end to the parser, which is not made to go on after that.
        if not data or self._is_orphan(data, packet.pts):
            return
        self._last_pts = packet.pts
        self._length += len(data)
        self._coming.data += data
        self._pieces.append(_Piece(self._length, packet.pts, reported_at_ns(packet), arrival, packet.is_corrupt))
        found = [self._as_key(unit, arrival.ns) for unit in self._scanner.scan(data)]
        self._note(found, 1)
        self._units.extend(found)
        self._sequences.note(found, data, self._length - len(data))
        for parsed in self._parser.parse(memoryview(data + PADDING)[: len(data)]):
            yield from self._settle(parsed)
        if self._length - self._parsed > MOST_BYTES:
            raise SourceLost(f"a picture of more than {MOST_BYTES >> 20} MB: it has no end")
        begins_here = bool(found) and found[0].begins == self._length - len(data)
        if self._guess(len(data), begins=len(found) if begins_here else 0):
            self._coming.guessed_end = self._length
            if self.early.holds_for(self._length - self._parsed):
                yield self._give(self._length, key=self._keys > 0, marked=self._marked > 0)
                self._coming.given = True

    def _is_orphan(self, data: bytes, pts: int | None) -> bool:
        """Whether it is a fragment of a NAL unit whose beginning was lost; all fragments have one time stamp."""
        return not data.startswith(STARTS) and (not self._length or pts != self._last_pts)

    def _guess(self, size: int, *, begins: int) -> bool:
        ends_in_slice = bool(self._units) and self._units[-1].is_slice
        seems_complete = self.early.guess(
            size - 4 if begins else size, begins=begins, ends_in_slice=ends_in_slice, slices=self._slices
        )
        return seems_complete and self._coming.guessed_end is None and not self._sequences.has_changed

    def _settle(self, parsed: av.Packet[Any]) -> Iterator[AccessUnit]:
        """A picture whose end is certain: give it, unless it was given, and learn from it."""
        end = self._parsed + parsed.size
        units = list(takewhile(lambda unit: unit.begins < end, self._units))
        marked = parsed.is_keyframe or any(_is_marked(unit) for unit in units)
        key = marked or any(unit.is_key for unit in units)
        slices = sum(unit.is_slice for unit in units)
        guessed_end = self._coming.guessed_end
        right = None if guessed_end is None else abs(guessed_end - _slices_end(units, end)) <= 1
        if not self._coming.given:
            yield self._give(end, key=key, marked=marked)
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

    def _as_key(self, unit: NalUnit, arrived_ns: int) -> NalUnit:
        """With parameter sets for a key frame where the camera has marked none for long."""
        if unit.is_key:
            self._marked_ns = arrived_ns
        long_ago = self._marked_ns is None or arrived_ns - self._marked_ns > UNMARKED_S * NS_PER_S
        return replace(unit, is_key=True) if unit.is_sequence and long_ago else unit

    def _give(self, end: int, *, key: bool, marked: bool) -> AccessUnit:
        """Everything up to `end` that was not given yet."""
        data = bytes(self._coming.data[: end - self._coming.begins])
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
        own = [piece for piece in self._pieces if piece.end > slice_at]
        first = own[0]
        last = next((piece for piece in own if piece.end >= end), own[-1])
        corrupt = any(piece.corrupt for piece in self._pieces if piece.end <= last.end)
        return _Piece(end, first.pts, first.reported_at_ns, last.arrival, corrupt)

    def _note(self, units: list[NalUnit], sign: int) -> None:
        self._slices += sign * sum(unit.is_slice for unit in units)
        self._keys += sign * sum(unit.is_key for unit in units)
        self._marked += sign * sum(_is_marked(unit) for unit in units)

    def _forget(self, units: list[NalUnit], end: int) -> None:
        self._note(units, -1)
        for _ in units:
            self._units.popleft()
        while self._pieces and self._pieces[0].end <= end:
            self._pieces.popleft()


class _Recent:
    """The coded pictures since the last key frame, for the case that they must be decoded once more."""

    def __init__(self) -> None:
        self.damaged = False
        self._pictures: list[bytes] | None = None
        self._size = 0
        self._wrong = False

    def add(self, data: bytes, *, key: bool) -> tuple[bytes, ...]:
        """A picture is given; returns those that must be decoded once more before it."""
        if key:
            self._pictures, self._size, self._wrong, self.damaged = [], 0, False, False
        again: tuple[bytes, ...] = ()
        if self._wrong and self._pictures is not None:
            again, self._wrong = tuple(self._pictures), False
        self._keep(data)
        return again

    def mend(self, rest: bytes) -> None:
        """The picture that was given last has this rest, too."""
        if self._pictures:
            self._pictures[-1] += rest
            self._wrong = True
        else:
            self.damaged = True

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MOST_AGAIN:
            self._pictures = None
        if self._pictures is not None:
            self._pictures.append(data)


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


def _is_marked(unit: NalUnit) -> bool:
    return unit.is_key and not unit.is_sequence


def _slices_end(units: list[NalUnit], end: int) -> int:
    """Where the last slice of a picture ends, if the picture ends at `end`; offset in the stream, bytes."""
    following = end
    for unit in reversed(units):
        if unit.is_slice:
            return following
        following = unit.begins
    return end
