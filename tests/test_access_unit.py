"""Pictures out of RTP pieces: every way of sending them, compared pixel by pixel with what FFmpeg alone makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
import pytest

from pipeline.camera.access_unit import AccessUnit, Assembler, assembler
from pipeline.camera.capture import Arrival
from pipeline.camera.decode import Decoder
from pipeline.camera.early import HARDER, PROOF
from pipeline.camera.nal import Codec
from tests.camera_media import camera
from tests.coded_pictures import (
    START,
    TICKS,
    Nal,
    coded,
    decoded,
    joined,
    nal_units,
    one_stamp_for_all,
    one_stamp_for_two,
    pieces,
    sets_apart,
    without_sets,
)

QUIET = 40
"""Pictures before something happens."""


class Seen:
    """What a camera's process would make of pieces."""

    def __init__(self, codec: Codec = "h264", sets: bytes | None = None) -> None:
        self.assembler = Assembler(codec)
        context = av.CodecContext.create(codec, "r")
        context.extradata = sets
        self._decoder = Decoder(camera("rtsp://127.0.0.1/live"), cast(Any, SimpleNamespace(codec_context=context)))
        self.units: list[AccessUnit] = []
        self.frames: list[npt.NDArray[np.uint8]] = []
        self.corrupt = 0
        self.pieces = 0

    def see(self, packets: Iterable[av.Packet]) -> Seen:
        for packet in packets:
            self.pieces += 1
            for unit in self.assembler.assemble(packet, Arrival(self.pieces, 0)):
                self.units.append(unit)
                for picture in self._decoder.decode(unit.packet, unit.stamp, key=unit.key, again=unit.again):
                    self.corrupt += picture.corrupt
                    if picture.frame is not None:
                        self.frames.append(picture.frame.to_ndarray())
        return self


def differing(seen: Seen, expected: list[npt.NDArray[np.uint8]]) -> list[int]:
    return [number for number, (one, two) in enumerate(zip(seen.frames, expected, strict=False)) if (one != two).any()]


def aggregated(units: list[list[Nal]], codec: Codec, mtu: int) -> Iterable[av.Packet]:
    """As FFmpeg hands on aggregates: all NAL units of a picture in one piece, where they fit into a packet."""
    for unit in units:
        if sum(len(nal.data) + 2 for nal in unit) + (1 if codec == "h264" else 2) > mtu:
            yield from pieces([unit], codec, mtu)
        else:
            packet = av.Packet(b"".join(START + nal.data for nal in unit))
            packet.pts = unit[0].pts
            yield packet


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(
    ("options", "sent", "early"),
    [
        pytest.param("", list, True, id="tidy"),
        pytest.param("slices=4", list, True, id="four-slices"),
        pytest.param("", lambda units: sets_apart(units, "h264", TICKS), True, id="sets-with-the-picture-before"),
        pytest.param("", lambda units: sets_apart(units, "h264", TICKS // 2), True, id="sets-with-a-time-of-their-own"),
        pytest.param("", lambda units: joined(units, b"\0\0\1"), True, id="three-byte-codes-inside"),
        pytest.param("", lambda units: joined(units, START), True, id="four-byte-codes-inside"),
        pytest.param("", one_stamp_for_two, True, id="one-stamp-for-two-pictures"),
        pytest.param("", one_stamp_for_all, True, id="one-stamp-for-all"),
    ],
)
def test_every_picture_is_that_of_ffmpeg_however_it_was_sent(
    codec: Codec, options: str, sent: Any, early: bool
) -> None:
    pictures = coded(codec, options)
    seen = Seen(codec).see(pieces(sent(nal_units(pictures)), codec))
    expected = decoded(codec, pictures)
    assert len(seen.frames) >= len(expected) - 1
    assert (differing(seen, expected), seen.corrupt) == ([], 0)
    assert seen.assembler.early.believed is early


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_whole_nal_unit_as_large_as_a_packet_does_not_make_full_fragments_look_like_last_ones(codec: Codec) -> None:
    pictures = coded(codec, "slices=4", lively_from=QUIET)
    units, expected = nal_units(pictures), decoded(codec, pictures)
    quiet = [len(nal.data) for unit in units[1:30] for nal in unit if not nal.is_set(codec)]
    for mtu in sorted(set(quiet))[-12:]:
        seen = Seen(codec).see(pieces(units, codec, mtu))
        assert (mtu, differing(seen, expected), seen.corrupt) == (mtu, [], 0)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("smaller", [4, 60])
def test_a_camera_that_cuts_smaller_than_what_it_sends_whole_is_not_taken_for_complete(
    codec: Codec, smaller: int
) -> None:
    pictures = coded(codec, "slices=4", lively_from=QUIET)
    units, expected = nal_units(pictures), decoded(codec, pictures)
    whole = max(len(nal.data) for unit in units[1:30] for nal in unit)
    seen = Seen(codec).see(pieces(units, codec, whole - smaller, whole=whole))
    assert (differing(seen, expected), seen.corrupt) == ([], 0)
    assert seen.assembler.early.believed


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_aggregates_as_large_as_a_packet_do_not_make_full_fragments_look_like_last_ones(codec: Codec) -> None:
    pictures = coded(codec, "slices=4", lively_from=QUIET)
    units, expected = nal_units(pictures), decoded(codec, pictures)
    together = [sum(len(nal.data) + 2 for nal in unit) for unit in units[1:30]]
    for mtu in sorted(set(together))[-8:]:
        seen = Seen(codec).see(aggregated(units, codec, mtu))
        assert (mtu, differing(seen, expected), seen.corrupt) == (mtu, [], 0)


@pytest.mark.parametrize("mtu", [200, 333, 1000, 1400])
def test_slices_limited_to_a_packets_size_make_no_picture_corrupt(mtu: int) -> None:
    pictures = coded("h264", f"slice-max-size={mtu - 10}", lively_from=QUIET)
    seen = Seen().see(pieces(nal_units(pictures), mtu=mtu))
    expected = decoded("h264", pictures)
    assert len(seen.frames) >= len(expected) - 1
    assert (differing(seen, expected), seen.corrupt) == ([], 0)
    assert not seen.assembler.early.believed


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_slices_limited_to_more_than_a_night_fills_are_told_at_the_first_that_is_full(codec: Codec) -> None:
    # One slice each and larger than a packet, until the night is over: nothing told that there could be more.
    night, day = coded(codec, frames=QUIET, lively_from=QUIET), coded(codec, "slices=2", frames=50)
    units = nal_units(night + day)
    seen = Seen(codec).see(pieces(units[:QUIET], codec, mtu=100))
    assert seen.assembler.early.believed, "all its pictures are one slice, and the key frame did not fit into a packet"
    first = sum(len(nal.data) for nal in units[QUIET][:-1])
    assert first > len(night[0]), "with its first slice alone it is larger than any picture before"
    seen.see(pieces(units[QUIET:], codec, mtu=100))
    assert (differing(seen, decoded(codec, night + day)), seen.corrupt) == ([], 0)
    assert "varying numbers of slices" in seen.assembler.early.doubt


def test_a_wrong_guess_costs_one_picture_and_none_after_it() -> None:
    # Settings that change in midstream, with pictures no larger than before.
    one, two = coded("h264", "", frames=QUIET, gop=500), coded("h264", "slices=2", frames=50, gop=500)
    units = nal_units(one + two)
    seen = Seen().see(pieces(units[:QUIET], mtu=40))
    assert seen.assembler.early.believed
    seen.see(pieces(units[QUIET:], mtu=40))
    assert differing(seen, decoded("h264", one + two)) == [QUIET], "the picture that was taken for complete too early"
    assert seen.corrupt == 1, "FFmpeg tells that it is not whole, so it is not shown to a detector"
    assert "varying numbers of slices" in seen.assembler.early.doubt
    assert not seen.assembler.early.believed


def test_proof_is_asked_for_and_a_longer_one_after_doubt() -> None:
    pictures = coded("h264", "")
    seen = Seen()
    for number, unit in enumerate(nal_units(pictures[:30])):
        seen.see(pieces([unit], mtu=40))
        assert not seen.assembler.early.believed or number > PROOF
    assert seen.assembler.early.believed
    two = nal_units(coded("h264", "slices=2", frames=2))[0]
    seen.see(pieces([two], mtu=40))
    shown = 0
    for unit in nal_units(pictures * 3):
        seen.see(pieces([unit], mtu=40))
        shown += not seen.assembler.early.believed
    assert shown >= HARDER * PROOF


@pytest.mark.parametrize(
    ("codec", "otherwise"), [("h264", "slices=2:level=41"), ("hevc", "slices=2:level-idc=41")], ids=["h264", "hevc"]
)
def test_after_other_parameters_the_rule_is_shown_again_by_no_longer_proof(codec: Codec, otherwise: str) -> None:
    pictures = [*coded(codec, ""), *coded(codec, otherwise), *coded(codec, "")]
    seen, late = Seen(codec), 0
    for unit in nal_units(pictures):
        seen.see(pieces([unit], codec, mtu=70))
        late += not seen.assembler.early.believed
    assert (differing(seen, decoded(codec, pictures)), seen.corrupt) == ([], 0)
    assert 3 * PROOF <= late <= 3 * (PROOF + 3)
    assert not seen.assembler.early.doubt


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_with_proof_a_picture_is_given_with_its_last_piece(codec: Codec) -> None:
    units = nal_units(coded(codec, ""))
    seen = Seen(codec).see(pieces(units[:60], codec))
    given = 0
    for unit in units[60:]:
        before, own = len(seen.units), list(pieces([unit], codec))
        seen.see(own)
        if len(seen.units) > before:
            given += seen.units[-1].packet.pts == unit[-1].pts and seen.units[-1].stamp.arrival.ns == seen.pieces
    assert given >= 0.9 * len(units[60:]), "all but those that end with a full packet"


def test_fragments_of_even_size_are_never_taken_for_the_last() -> None:
    def evenly(units: list[list[Nal]]) -> Iterable[av.Packet]:
        for nal in (nal for unit in units for nal in unit):
            third = len(nal.data) // 3 + 1
            for number, at in enumerate(range(0, len(nal.data), third)):
                packet = av.Packet((b"" if number else START) + nal.data[at : at + third])
                packet.pts = nal.pts
                yield packet

    pictures = coded("h264", "")
    seen = Seen().see(evenly(nal_units(pictures)))
    assert (differing(seen, decoded("h264", pictures)), seen.corrupt) == ([], 0)


@pytest.mark.parametrize("lost", ["first", "middle", "last"])
def test_a_lost_packet_costs_its_picture_and_no_trust(lost: str) -> None:
    pictures = coded("h264", "", gop=15)
    units = nal_units(pictures)
    sent = [list(pieces([unit], mtu=40)) for unit in units]
    place = {"first": -len(sent[50]), "middle": len(sent[50]) // 2, "last": -1}[lost]
    assert len(sent[50]) > 2
    del sent[50][place]
    seen = Seen().see(packet for unit in sent for packet in unit)
    assert seen.assembler.early.believed and not seen.assembler.early.doubt
    expected = decoded("h264", pictures)
    shown = [frame.tobytes() for frame in seen.frames]
    assert all(frame.tobytes() in shown for frame in [*expected[:50], *expected[60:88]])


def test_refresh_step_by_step_without_a_key_frame_begins_at_a_recovery_point() -> None:
    pictures = coded("h264", "intra-refresh=1", frames=120)
    units = without_sets(nal_units(pictures), "h264")
    sets = b"".join(START + one.data for one in nal_units(pictures)[0] if one.is_set("h264"))
    seen = Seen(sets=sets).see(pieces(units[10:]))
    assert [unit.packet.pts for unit in seen.units if unit.key], "a recovery point is as good as a key frame"
    whole = decoded("h264", pictures)[-20]
    assert any((frame == whole).all() for frame in seen.frames), "the picture has become whole"


def test_damage_of_any_piece_is_damage_of_the_picture() -> None:
    seen = Seen()
    for number, packet in enumerate(pieces(nal_units(coded("h264", "")))):
        packet.is_corrupt = number == 1
        seen.see([packet])
    assert [unit.stamp.corrupt for unit in seen.units[:3]] == [True, False, False]


def test_there_is_one_for_codecs_that_come_in_nal_units() -> None:
    assert assembler("mjpeg") is None and assembler("h264") is not None and assembler("hevc") is not None
