from __future__ import annotations

import av
import pytest

from pipeline.camera.access_unit import MOST_ERRORS, PROOF, AccessUnit, Assembler, assembler, is_assembled
from pipeline.camera.capture import Arrival

START = b"\x00\x00\x00\x01"
FULL = 100
"""Payload of a fragment that is not the last, bytes."""
SPS, IDR, SLICE, SEI = 0x67, 0x65, 0x41, 0x06


def nal(header: int, size: int) -> list[bytes]:
    """A NAL unit of `size` bytes as a packetizer cuts it."""
    body = bytes([header]) + b"\xaa" * (size - 1)
    first, rest = body[: FULL + 1], body[FULL + 1 :]
    return [START + first, *(rest[at : at + FULL] for at in range(0, len(rest), FULL))]


class Feed:
    """Pictures into an assembler, one every 3600 ticks; how many pieces were in when each came out."""

    def __init__(self, codec: str = "h264") -> None:
        one = assembler(codec)
        assert one is not None
        self.assembler: Assembler = one
        self.pts = 0

    def picture(self, *pieces: bytes, corrupt: bool = False) -> list[tuple[int, AccessUnit]]:
        self.pts += 3600
        out = []
        for count, piece in enumerate(pieces, start=1):
            packet = av.Packet(piece)
            packet.pts = self.pts
            packet.is_corrupt = corrupt
            arrival = Arrival(self.pts + count, 0)
            out += [(count, unit) for unit in self.assembler.assemble(packet, arrival)]
        return out

    def prove(self) -> None:
        """Enough ordinary pictures for the guess to be believed."""
        self.picture(*nal(SPS, 20), *nal(IDR, 950))
        for number in range(PROOF + 2):
            self.picture(*nal(SLICE, 230 + number))
        assert self.assembler.early


def test_assembler_waits_for_the_next_picture_until_it_has_proof():
    feed = Feed()
    for number in range(PROOF):
        came = feed.picture(*nal(SLICE, 230))
        assert [count for count, _ in came] == ([] if number == 0 else [1])
        assert not feed.assembler.early


def test_assembler_with_proof_gives_a_picture_with_its_last_piece():
    feed = Feed()
    feed.prove()
    pieces = nal(SLICE, 350)
    ((_, before), (count, unit)) = [*feed.picture(*pieces), *feed.picture(*pieces)][-2:]
    assert (count, bytes(unit.packet), unit.packet.pts) == (len(pieces), b"".join(pieces), feed.pts)
    assert unit.stamp.arrival.ns == feed.pts + len(pieces), "the picture arrived with its last piece"
    assert not before.stamp.corrupt


def test_assembler_picture_that_ends_with_a_full_fragment_waits_and_nothing_is_lost():
    feed = Feed()
    feed.prove()
    feed.picture(*nal(SLICE, 250))
    exact = nal(SLICE, 1 + 3 * FULL)
    assert feed.picture(*exact) == []
    (_, unit), (_, following) = feed.picture(*nal(SLICE, 250))
    assert bytes(unit.packet) == b"".join(exact)
    assert feed.assembler.early
    assert following.packet.pts == feed.pts


def test_assembler_counts_slices():
    feed = Feed()
    two = [*nal(SLICE, 230), *nal(SLICE, 120)]
    for _ in range(PROOF + 3):
        came = feed.picture(*two)
    assert [count for count, _ in came] == [len(two)]


def test_assembler_knows_key_frames_by_their_nal_units():
    feed = Feed()
    feed.prove()
    aggregate = START + bytes([SPS]) + b"\xaa" * 9 + START + bytes([IDR]) + b"\xaa" * 30
    feed.picture(*nal(SLICE, 230))
    (_, unit) = feed.picture(aggregate)[-1]
    assert unit.key
    assert not feed.picture(*nal(SLICE, 230))[-1][1].key


def test_assembler_wrong_guess_marks_pictures_corrupt_up_to_the_next_key_frame():
    feed = Feed()
    feed.prove()
    feed.picture(*nal(SLICE, 230))
    short, rest = nal(SLICE, 230), b"\xbb" * 40
    (count, unit) = feed.picture(*short, rest)[-1]
    assert (count, bytes(unit.packet)) == (len(short), b"".join(short))
    assert not feed.assembler.early
    feed.picture(*nal(SLICE, 230))
    (_, after) = feed.picture(*nal(IDR, 900))[-1]
    assert after.stamp.corrupt
    (_, key) = feed.picture(*nal(SLICE, 230))[-1]
    assert (key.key, key.stamp.corrupt) == (True, False)


def test_assembler_late_piece_that_is_no_slice_does_not_matter():
    feed = Feed()
    feed.prove()
    feed.picture(*nal(SLICE, 230))
    feed.picture(*nal(SLICE, 230), *nal(SEI, 20))
    assert feed.assembler.early
    assert not feed.picture(*nal(SLICE, 230))[-1][1].stamp.corrupt


def test_assembler_often_wrong_gives_up_guessing():
    feed = Feed()
    for _ in range(MOST_ERRORS):
        feed.prove()
        feed.picture(*nal(SLICE, 230))
        feed.picture(*nal(SLICE, 230), b"\xbb" * 40)
    for _ in range(3 * PROOF):
        feed.picture(*nal(IDR, 230))
    assert not feed.assembler.early


def test_assembler_fragments_of_even_size_are_never_taken_for_the_last():
    feed = Feed()
    feed.picture(*nal(IDR, 950))
    for number in range(3 * PROOF):
        third = 60 + number % 7
        pieces = [START + bytes([SLICE]) + b"\xaa" * third, b"\xaa" * third, b"\xaa" * third]
        came = feed.picture(*pieces)
        assert [count for count, _ in came] == [1], "only with the first piece of the next picture"
    assert not feed.assembler.early


def test_assembler_damage_of_any_piece_is_damage_of_the_picture():
    feed = Feed()
    feed.picture(*nal(IDR, 230), corrupt=True)
    (_, unit) = feed.picture(*nal(SLICE, 230))[0]
    assert unit.stamp.corrupt


@pytest.mark.parametrize(
    ("header", "is_key"),
    [
        pytest.param(19 << 1, True, id="IDR_W_RADL"),
        pytest.param(21 << 1, True, id="CRA"),
        pytest.param(1 << 1, False, id="TRAIL_R"),
    ],
)
def test_assembler_hevc_key_frames(header: int, is_key: bool):
    feed = Feed("hevc")
    feed.picture(*nal(header, 230))
    (_, unit) = feed.picture(*nal(1 << 1, 230))[0]
    assert unit.key is is_key


def test_assembler_is_for_codecs_that_come_in_nal_units():
    assert [is_assembled(codec) for codec in ("h264", "hevc", "mpeg4", "mjpeg")] == [True, True, False, False]
    assert assembler("mjpeg") is None
