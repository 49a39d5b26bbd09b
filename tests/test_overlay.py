from __future__ import annotations

import sys

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline import PipelineError, Trails, draw
from pipeline.overlay import draw_note
from pipeline.overlay.labels import place
from pipeline.overlay.paint import COLOURS
from pipeline.wire import FrameResult, TrackedBox
from tests.wire_messages import FRAME

WH = (320, 180)


def box(track_id: int = 1, xyxy=(100.0, 60.0, 160.0, 140.0), origin: str = "detected", class_id: int = 0) -> TrackedBox:
    return replace(FRAME.tracks[0], track_id=track_id, xyxy=xyxy, origin=origin, class_id=class_id)


def result(*boxes: TrackedBox, **changes) -> FrameResult:
    return replace(FRAME, frame_wh=WH, tracks=boxes, **changes)


def blank(wh=WH, value: int = 128) -> np.ndarray:
    return np.full((wh[1], wh[0], 3), value, np.uint8)


def coloured(picture: np.ndarray, colour) -> np.ndarray:
    """(H, W) bool: where a picture has a colour."""
    return (np.abs(picture.astype(int) - colour) < 40).all(axis=2)


def test_draw_is_in_place_and_gives_the_same_picture():
    picture = blank()
    assert draw(picture, result(box())) is picture
    assert (picture != 128).any()


def test_draw_without_objects_changes_nothing():
    assert (draw(blank(), result()) == 128).all()


@pytest.mark.parametrize("value", [0, 255], ids=["by night", "on snow"])
def test_draw_box_has_its_colour_and_an_edge_on_any_ground(value: int):
    picture = draw(blank(value=value), result(box()))
    side = picture[100, 92:108].astype(int)
    assert coloured(side[None], COLOURS[1]).any()
    assert (side.sum(axis=1) < 3 * 60).any()


def test_draw_detected_is_solid_and_predicted_is_dashed():
    solid, dashed = (
        coloured(draw(blank(), result(box(origin=origin))), COLOURS[1])[62:138, 100]
        for origin in ("detected", "predicted")
    )
    assert solid.all()
    assert 0.2 < dashed.mean() < 0.8


@pytest.mark.parametrize(("colour_by", "number"), [("track", 3), ("class", 2)])
def test_draw_colours_are_of_tracks_or_of_classes(colour_by, number: int):
    picture = draw(blank(), result(box(track_id=3, class_id=2)), colour_by=colour_by)
    assert coloured(picture, COLOURS[number])[138:142].any()


def test_draw_on_a_smaller_picture_scales_the_boxes():
    picture = draw(blank((160, 90)), result(box()))
    assert coloured(picture, COLOURS[1])[60, 48:53].any()
    assert not coloured(picture, COLOURS[1])[60, 95:105].any()


def test_draw_skipped_is_marked_and_is_not_as_empty():
    skipped = draw(blank(), result(origin="skipped", filled_because="stale"))
    assert (skipped[:6] != 128).any()
    assert (draw_note(blank(), "NO RESULT")[:6] != 128).any()


@pytest.mark.parametrize("wh", [(16, 16), (64, 48), (3840, 2160)], ids=str)
def test_draw_any_size_of_picture_and_boxes_outside_of_it(wh):
    boxes = (
        box(1, (-50.0, -50.0, 9000.0, 9000.0)),
        box(2, (5.0, 5.0, 5.0, 5.0)),
        box(3, (-1e15, -1e15, 1e15, 1e15), "predicted"),
    )
    frame = replace(result(*boxes), frame_wh=wh, origin="skipped", filled_because="stale")
    assert draw(blank(wh), frame, trails=Trails()).shape == (wh[1], wh[0], 3)


def test_trails_fade_and_end():
    trails = Trails(seconds=1.0)
    for number in range(60):
        found = trails.follow(result(box(xyxy=(number, 0.0, number + 2.0, 9.0)), pts_s=number / 25))
    assert len(found[0].points) in (25, 26)
    assert found[0].points[-1] == pytest.approx((60.0, 9.0, 0.0))
    ages = [age for _, _, age in found[0].points]
    assert ages == sorted(ages, reverse=True)
    assert trails.follow(result(pts_s=10.0)) == []


def test_trails_of_a_box_that_trembles_are_calm_and_end_at_the_box():
    trails = Trails()
    for number in range(40):
        found = trails.follow(result(box(xyxy=(number % 2, 0.0, number % 2 + 2.0, 9.0)), pts_s=number / 25))
    middle = [x for x, _, _ in found[0].points[5:-5]]
    assert max(middle) - min(middle) < 0.2
    assert found[0].points[-1][0] == pytest.approx(2.0)


def test_trails_of_another_session_begin_anew():
    trails = Trails()
    trails.follow(result(box(), pts_s=1.0, session_id="a1"))
    assert len(trails.follow(result(box(), pts_s=1.1, session_id="a1.7"))[0].points) == 2
    assert len(trails.follow(result(box(), pts_s=1.2, session_id="b2"))[0].points) == 1


def test_trail_is_drawn_behind_the_object():
    trails = Trails()
    for number in range(20):
        picture = draw(
            blank(), result(box(xyxy=(4.0 * number, 20.0, 4.0 * number + 20, 100.0)), pts_s=number / 25), trails=trails
        )
    assert (picture[100, 20:60] != 128).any(axis=1).all()


def test_labels_do_not_cover_each_other_and_stay_inside():
    boxes = [(10, 10, 60, 60), (12, 12, 62, 62), (14, 14, 64, 64), (290, 0, 330, 30)]
    placed = place(boxes, [(40, 12)] * 4, WH)
    assert all(min(area[:2]) >= 0 and area[2] <= WH[0] and area[3] <= WH[1] for area in placed)
    for number, (left, top, right, bottom) in enumerate(placed):
        for other in placed[:number]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_to_supervision_has_every_column():
    pytest.importorskip("supervision")
    found = result(box(7, origin="predicted"), box(8)).to_supervision()
    assert found.xyxy.shape == (2, 4)
    assert found.tracker_id.tolist() == [7, 8]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.9])
    assert found.class_id.tolist() == [0, 0]
    assert found.data["class_name"].tolist() == ["person", "person"]
    assert found.data["origin"].tolist() == ["predicted", "detected"]
    assert found[found.data["origin"] == "detected"].tracker_id.tolist() == [8]


def test_to_supervision_of_an_empty_frame_is_empty():
    pytest.importorskip("supervision")
    assert len(result().to_supervision()) == 0


def test_to_supervision_without_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(PipelineError, match=r"pip install 'camfleet\[supervision\]'"):
        result(box()).to_supervision()
