"""Cameras of which some pictures were left out: with which picture decoding begins again, and what is shown of it."""

from __future__ import annotations

from typing import get_args

import pytest

from pipeline.camera import live
from pipeline.camera.access_unit import UNMARKED_S, AccessUnit, Assembler
from pipeline.camera.capture import Arrival
from pipeline.camera.nal import Codec
from pipeline.clock import NS_PER_S
from pipeline.errors import SourceLost
from tests.camera_media import camera
from tests.coded_pictures import Nal, coded, decoded, nal_units, pieces, without_sets
from tests.rtsp_camera import Habits, RtspCamera
from tests.test_camera_habits import Pulse, opened

GOP = 30
LAPSE_FROM = 40


class Lapse:
    """A machine that is too slow once: from one picture on, pictures are left out up to a key frame."""

    def __init__(self, late_s: float) -> None:
        self._pictures = 0
        self._lapsed = False

    def waited(self, for_ns: int) -> None:
        """It makes no difference."""

    def skips(self, pts_s: float, arrived_ns: int, starved_ns: int = 0, *, key: bool) -> bool:
        self._pictures += 1
        self._lapsed = self._pictures == LAPSE_FROM or (self._lapsed and not key)
        return self._lapsed


def sets_with_each(units: list[list[Nal]], codec: str) -> list[list[Nal]]:
    """The parameter sets with every picture, as some encoders repeat them."""
    sets = [one.data for one in units[0] if one.is_set(codec)]
    pictures = without_sets(units, codec)
    return [[*(Nal(data, unit[-1].pts) for data in sets), *unit] for unit in pictures]


@pytest.mark.parametrize(
    ("codec", "options", "shape"),
    [
        *(pytest.param(codec, "", sets_with_each, id=f"{codec}-sets-with-each-picture") for codec in get_args(Codec)),
        pytest.param("h264", "intra-refresh=1", lambda units, codec: units, id="refresh-without-key-frames"),
        pytest.param("h264", "", lambda units, codec: units, id="key-frames"),
    ],
)
def test_camera_of_which_pictures_were_left_out_shows_none_that_lacks_them(
    codec: Codec, options: str, shape: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(shape)
    monkeypatch.setattr(live, "Backlog", Lapse)
    pictures = coded(codec, options, frames=160, lively_from=10, gop=GOP)
    habits = Habits(codec, fps=60, shape=lambda units: shape(units, codec), hangs_up=True)
    came, left_out = [], 0
    with RtspCamera(pictures, habits) as server, opened(camera(server.url)) as source, pytest.raises(SourceLost):
        for picture in source.pictures(Pulse()):
            left_out += picture is not None and picture.behind
            if picture is not None and picture.frame is not None and not picture.corrupt:
                came.append(picture.frame.to_ndarray().tobytes())
    right = [frame.tobytes() for frame in decoded(codec, pictures)]
    assert left_out > 0
    assert all(one in right for one in came)
    assert len(came) > 60, "it is seen again"


def test_parameter_sets_count_as_a_key_frame_where_none_was_marked_for_long() -> None:
    sent = sets_with_each(nal_units(coded("h264", frames=25)), "h264")
    assembler = Assembler("h264")

    def assembled(units: list[list[Nal]], at_s: float) -> list[AccessUnit]:
        arrival = Arrival(round(at_s * NS_PER_S), 0)
        return [one for piece in pieces(units) for one in assembler.assemble(piece, arrival)]

    soon, late = assembled(sent[:15], 1.0), assembled(sent[15:], 2.0 + UNMARKED_S)
    assert [(unit.key, unit.marked) for unit in soon[:3]] == [(True, True), (False, False), (False, False)]
    assert (late[-1].key, late[-1].marked) == (True, False)
