"""Second looks: what is cut out, which crop is looked at when, and what that may cost frames; on a virtual clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.clock import VirtualClock
from pipeline.detections import Detections
from pipeline.geometry import Letterbox, square_around
from pipeline.link import Settings
from pipeline.look.crop import Crop, cutter, of_kept
from pipeline.look.looks import MOST_WAITING, Look, Looks
from pipeline.look.second import Looked, Second
from pipeline.look.share import SHARE, Share
from pipeline.plan import CameraPlan, StrideBounds
from pipeline.wire import FrameResult
from pipeline.worker.core import Serving
from pipeline.worker.virtual_looks import LookingLanes, LookingWorker

SERVING = Serving(("car", "person"), (640, 384), max_batch=1, lanes=1)
COLOUR = Second("colour", ("red", "blue"), max_batch=8, of=frozenset({"car"}))
DEADLINE_S = 0.15


def found(*boxes: tuple[float, float, float, float], score: float = 0.9, class_id: int = 0) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, score, np.float32),
        np.full(count, class_id, np.int32),
    )


def label(class_id: int, score: float = 0.9, xyxy: tuple[float, ...] = (0, 0, 999, 999)) -> Detections:
    return Detections(np.array([xyxy], np.float32), np.array([score], np.float32), np.array([class_id], np.int32))


@pytest.mark.parametrize(
    ("box", "square"),
    [
        pytest.param((10, 20, 50, 40), (10, 10, 50, 50), id="wide box: above and below, too"),
        pytest.param((0, 0, 40, 20), (0, 0, 40, 40), id="at the upper edge: moved down"),
        pytest.param((70, 60, 100, 80), (70, 50, 100, 80), id="at the lower right corner: moved up"),
        pytest.param((-10, 0, 110, 10), (0, 0, 100, 80), id="longer than the picture: the picture"),
        pytest.param((30.2, 30.2, 30.4, 30.4), (30, 30, 31, 31), id="of no size: a pixel"),
    ],
)
def test_square_around_box_is_inside_the_picture(box: tuple[float, ...], square: tuple[int, ...]):
    assert square_around(box, (0, 0, 100, 80)) == square


def test_cutter_takes_wanted_classes_from_a_size_on_and_leaves_padding_out():
    picture = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    letterbox = Letterbox.fit((128, 64), (64, 64))
    assert letterbox.pad_xy == (0, 16)
    cut = cutter(("car", "person"), [(frozenset({"car"}), 10.0)])
    detections = Detections(
        np.array([[4, 16, 24, 20], [0, 20, 30, 40], [40, 20, 44, 24]], np.float32),
        np.full(3, 0.9, np.float32),
        np.array([0, 1, 0], np.int32),
    )
    (crop,) = cut.cut(picture, letterbox, detections)
    assert (crop.row, crop.left_top, crop.pixels.shape, crop.area_px) == (0, (4, 16), (20, 20, 3), 80.0)
    before = crop.pixels.copy()
    picture[:] = 0
    np.testing.assert_array_equal(crop.pixels, before)
    assert cut.cut(picture, letterbox, Detections.empty()) == ()


def test_crops_of_masked_detections_are_dropped_and_the_others_renumbered():
    pixels = np.zeros((4, 4, 3), np.uint8)
    crops = [Crop(row, pixels, (row, 0), 1.0) for row in (0, 2, 3)]
    kept = of_kept(crops, np.array([False, True, True, False]))
    assert [(crop.row, crop.left_top) for crop in kept] == [(1, (2, 0))]


def test_crop_that_is_blurred_counts_less():
    sharp = np.random.default_rng(1).integers(0, 255, (20, 20, 3), np.uint8)
    flat = np.full((20, 20, 3), 90, np.uint8)
    assert Crop(0, flat, (0, 0), 1.0).sharpness == 0
    assert 0.5 < Crop(0, sharp, (0, 0), 1.0).sharpness < 1


@pytest.mark.parametrize(
    ("quality", "looked", "at_s", "wanted"),
    [
        pytest.param(1.0, None, 0.0, True, id="never looked at"),
        pytest.param(19.0, Looked(10.0, 0.0), 5.0, False, id="hardly better"),
        pytest.param(20.0, Looked(10.0, 0.0), 5.0, True, id="twice as good"),
        pytest.param(1.0, Looked(10.0, 0.0), 10.0, True, id="long ago"),
    ],
)
def test_second_wants_a_first_a_better_or_another_look(
    quality: float, looked: Looked | None, at_s: float, wanted: bool
):
    assert Second("door", ("open",), again_s=10.0).wants(quality, looked, at_s) is wanted


def test_share_bounds_what_looks_take_from_frames_over_time():
    share, now_s, spent_s = Share(0.0), 0.0, 0.0
    while now_s < 60:
        if share.may(2, now_s):
            share.spend(0.015, pressing=True)
            spent_s += 0.015
        now_s += 0.005
    assert spent_s == pytest.approx(60 * 2 * SHARE, rel=0.02)


def test_looks_in_gaps_are_a_debt_for_a_moment_only():
    share = Share(0.0)
    share.spend(9.0, pressing=False)
    assert not share.may(1, 0.1)
    assert share.may(1, 1.0)
    share.spend(1.0, pressing=True)
    assert not share.may(1, 9.0)
    assert share.may(1, 12.0)


class Everything:
    """Owns objects that never leave."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def knows(self, track_id: int) -> bool:
        return True

    def learn(self, look: Look, found: Detections) -> bool:
        self.told.append(look.track_id)
        return look.track_id % 2 == 1


def look(owner: Everything, track_id: int, quality: float, at_s: float) -> Look:
    crop = Crop(0, np.zeros((8, 8, 3), np.uint8), (0, 0), 64.0)
    return Look(owner, 0, track_id, crop, Letterbox.fit((64, 64), (64, 64)), quality, at_s, at_s)


def test_looks_keep_the_best_crop_of_each_object_batch_them_and_are_bounded():
    clock, owner = VirtualClock(), Everything()
    looks = Looks([COLOUR], SERVING.class_names, clock)
    for quality in (1.0, 5.0, 2.0):
        looks.offer(look(owner, 1, quality, 0.0))
    batch = looks.take(0, pressing=False)
    assert batch is not None
    assert [(each.track_id, each.quality) for each in batch.looks] == [(1, 5.0)]
    assert looks.take(0, pressing=False) is None
    clock.advance(0.002)
    looks.finish(batch, [label(0)])
    for track_id in range(2 * MOST_WAITING):
        looks.offer(look(owner, track_id, 1.0, looks.now_s))
    sizes = []
    while (batch := looks.take(0, pressing=False)) is not None:
        sizes.append(len(batch.looks))
        looks.finish(batch, [label(0) for _ in batch.looks])
    assert sizes == [8] * (MOST_WAITING // 8)
    figures = looks.figures()["colour"]
    assert (figures.given, figures.told, figures.failed) == (1 + MOST_WAITING, 1 + MOST_WAITING // 2, 0)
    assert figures.took_s == pytest.approx(0.002)


def test_looks_of_a_model_that_failed_wait_and_go_on():
    clock, owner = VirtualClock(), Everything()
    looks = Looks([COLOUR], SERVING.class_names, clock)
    looks.offer(look(owner, 1, 1.0, 0.0))
    batch = looks.take(0, pressing=False)
    assert batch is not None
    assert looks.fail(batch) == "colour"
    assert (looks.figures()["colour"].given, looks.figures()["colour"].failed) == (0, 1)
    looks.offer(look(owner, 1, 1.0, 0.0))
    assert looks.take(0, pressing=False) is None
    clock.advance(11)
    looks.offer(look(owner, 1, 1.0, looks.now_s))
    assert looks.take(0, pressing=False) is None, "what waited too long is dropped, and a better one did not come"
    looks.offer(look(owner, 1, 1.0, looks.now_s))
    assert looks.take(0, pressing=False) is not None


def worker(
    second: Second = COLOUR,
    *,
    service_s: float = 0.01,
    look_s: float = 0.002,
    see: Callable[[str, int], Detections],
    answer: Callable[[Look], Detections] = lambda look: label(0),
) -> LookingWorker:
    made = LookingWorker(
        LookingLanes(1, lambda at_s: service_s, look_s),
        Settings(DEADLINE_S),
        serving=SERVING,
        detect=see,
        looks=lambda clock: Looks([second], SERVING.class_names, clock),
    )
    made.answer, made.looked = answer, []
    return made


def results(of: LookingWorker, camera_id: str = "a") -> list[FrameResult]:
    found = (message for message in of.messages if isinstance(message, FrameResult))
    return [result for result in found if result.camera_id == camera_id]


def join(into: LookingWorker, *names: str, most: int = 8) -> None:
    for index, name in enumerate(names):
        plan = CameraPlan(camera_id=name, stride=StrideBounds(1, most))
        into.join(plan, lambda at_s: 25.0, starts_s=0.007 * index)


def standing(camera_id: str, frame_id: int) -> Detections:
    return found((100, 100, 160, 140))


def test_object_is_looked_at_once_and_keeps_its_attribute_on_every_frame_detected_or_filled():
    fleet = worker(see=standing)
    fleet.join(CameraPlan(camera_id="a", stride=StrideBounds(3, 3)), lambda at_s: 25.0)
    fleet.run(4)
    assert len(fleet.looked) == 1
    told = [box.attributes.get("colour") for result in results(fleet) for box in result.tracks]
    first = next(index for index, attribute in enumerate(told) if attribute)
    assert first <= 6
    assert all(
        attribute and (attribute.label, attribute.score, attribute.xyxy) == ("red", 0.9, None)
        for attribute in told[first:]
    )
    assert {result.origin for result in results(fleet)[-9:]} == {"detected", "predicted"}
    assert told[first].looked_at_s < 0.5  # type: ignore[union-attr]


def test_object_that_comes_nearer_is_looked_at_again_and_the_better_look_counts():
    def nearing(camera_id: str, frame_id: int) -> Detections:
        half = 15 + frame_id
        return found((300 - half, 180 - half, 300 + half, 180 + half))

    fleet = worker(see=nearing, answer=lambda look: label(0 if look.crop.area_px < 10_000 else 1))
    join(fleet, "a")
    fleet.run(4)
    assert 4 <= len(fleet.looked) <= 7, "each time its crop is twice as good"
    qualities = [each.quality for each in fleet.looked]
    assert all(after >= 2 * before for before, after in itertools.pairwise(qualities))
    assert results(fleet)[-1].tracks[0].attributes["colour"].label == "blue"


def test_unsure_answer_is_not_told_and_small_or_other_objects_are_not_looked_at():
    def see(camera_id: str, frame_id: int) -> Detections:
        return {
            "a": found((100, 100, 160, 140)),
            "b": found((100, 100, 110, 110)),
            "c": found((9, 9, 90, 90), class_id=1),
        }[camera_id]

    fleet = worker(see=see, answer=lambda look: label(0, score=0.4))
    join(fleet, "a", "b", "c")
    fleet.run(2)
    assert len(fleet.looked) == 1
    assert not any(box.attributes for name in "abc" for result in results(fleet, name) for box in result.tracks)


def test_box_on_a_crop_is_told_in_source_pixels():
    fleet = worker(see=standing, answer=lambda look: label(1, xyxy=(6, 3, 12, 9)))
    join(fleet, "a")
    fleet.run(1)
    attribute = results(fleet)[-1].tracks[0].attributes["colour"]
    left_top = fleet.looked[0].crop.left_top
    letterbox = fleet.looked[0].letterbox
    box = np.array([[6, 3, 12, 9]], np.float32) + np.array(left_top * 2, np.float32)
    np.testing.assert_allclose(attribute.xyxy, letterbox.to_source(box)[0], atol=0.06)


def test_what_is_known_of_an_object_goes_with_it():
    def leaving(camera_id: str, frame_id: int) -> Detections:
        return found((100, 100, 160, 140)) if frame_id < 50 else found((400, 200, 460, 240))

    fleet = worker(see=leaving)
    join(fleet, "a")
    fleet.run(6)
    assert len(fleet.looked) == 2
    known = fleet.core._channels["a"]._stream.sights.attributes  # type: ignore[union-attr]
    assert len(known) == 1
    assert {box.track_id for box in results(fleet)[-1].tracks} == set(known)


def crowd(camera_id: str, frame_id: int) -> Detections:
    """Twenty vehicles that are others every two seconds."""
    row = frame_id // 50 % 4
    return found(*((30 * column, 80 * row + 10, 30 * column + 26, 80 * row + 36) for column in range(20)))


def test_looks_keep_the_goal_and_take_their_share_only_where_frames_are_short():
    without, looking = (
        worker(second, service_s=0.02, look_s=0.004, see=crowd)
        for second in (Second("none", ("x",), of=frozenset()), COLOUR)
    )
    for fleet in (without, looking):
        join(fleet, *"abcdef")
        fleet.run(4)
        fleet.messages.clear()
        fleet.detected.clear()
        fleet.looked.clear()
        fleet.run(16)
    assert not without.looked
    assert len(looking.looked) > 100
    ages_ms = [result.age_ms for name in "abcdef" for result in results(looking, name)]
    assert float(np.percentile(ages_ms, 95)) <= 1000 * DEADLINE_S
    seconds = 12.0
    assert len(looking.looked) * 0.004 <= 1.5 * SHARE * seconds
    assert sum(looking.detected.values()) >= (1 - 1.5 * SHARE) * sum(without.detected.values())


def test_looks_in_gaps_raise_no_stride():
    fleet = worker(service_s=0.01, look_s=0.01, see=crowd)
    join(fleet, "a", "b")
    fleet.run(10)
    assert len(fleet.looked) > 100
    assert {camera.admission.stride for camera in fleet.cameras.values() if camera.admission} == {1}
