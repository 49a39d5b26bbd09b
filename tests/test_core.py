"""What a worker decides, on a virtual clock: the manual's "Under load", rule by rule."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.clock import NS_PER_S
from pipeline.detections import Detections
from pipeline.link import Hello, Introduce, Settings
from pipeline.plan import CameraPlan, StrideBounds
from pipeline.wire import CameraState, FrameResult
from pipeline.worker.core import FLOOR_SHARE, Serving
from pipeline.worker.health import Health, Limits
from pipeline.worker.virtual import VirtualCamera, VirtualLanes, VirtualWorker

SERVICE_S = 0.0267
"""Two lanes of this serve 75 frames a second."""
DEADLINE_S = 0.15
THING = Detections(np.array([[16, 24, 32, 40]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32))


def plan(camera_id: str, least: int = 1, most: int = 8, *, bounds: dict[str, Any] | None = None, **rest) -> CameraPlan:
    return CameraPlan(camera_id=camera_id, stride=StrideBounds(least, most, **(bounds or {})), **rest)


def fixed(camera_id: str, stride: int = 1, **rest) -> CameraPlan:
    return plan(camera_id, stride, stride, **rest)


def worker(
    service_s: float | Callable[[float], float] = SERVICE_S, lanes: int = 2, settings: Settings | None = None, **rest
) -> VirtualWorker:
    needs_s = service_s if callable(service_s) else lambda at_s: service_s
    see = rest.pop("detect", lambda camera_id, frame_id: THING)
    return VirtualWorker(VirtualLanes(lanes, needs_s), settings or Settings(DEADLINE_S), detect=see, **rest)


def join(into: VirtualWorker, *plans: CameraPlan, fps: float = 25.0) -> list[VirtualCamera]:
    """Cameras that begin 7 ms apart."""
    begin_s = into.now_s
    return [into.join(each, lambda at_s: fps, starts_s=begin_s + 0.007 * index) for index, each in enumerate(plans)]


def results(of: VirtualWorker, camera_id: str | None = None) -> list[FrameResult]:
    found = (message for message in of.messages if isinstance(message, FrameResult))
    return [result for result in found if camera_id in (None, result.camera_id)]


def strides(of: VirtualWorker) -> dict[str, int]:
    """That each camera was told last."""
    return {name: camera.admission.stride for name, camera in of.cameras.items() if camera.admission is not None}


def states(of: VirtualWorker, camera_id: str = "a") -> list[CameraState]:
    found = (message for message in of.messages if isinstance(message, CameraState))
    return [state for state in found if state.camera_id == camera_id]


def because(found: list[FrameResult]) -> Counter[str]:
    return Counter(result.filled_because or "detected" for result in found)


def detected_hz(of: VirtualWorker, seconds: float, camera_id: str) -> float:
    """In the last seconds, in time."""
    since_ns = (of.now_s - seconds) * 1e9
    return (
        sum(result.origin == "detected" and result.published_at_ns > since_ns for result in results(of, camera_id))
        / seconds
    )


def assert_books_balance(found: list[FrameResult]) -> None:
    """At every message: decoded = detected + filled + lost, and each frame is told of once."""
    assert found
    for _, session in itertools.groupby(found, key=lambda result: (result.camera_id, result.session_id)):
        following = 0
        for result in session:
            counts = result.counts
            assert counts.decoded == counts.detected + sum(counts.filled.values()) + sum(counts.lost.values())
            assert result.frame_id == following + sum(result.lost.values())
            following = result.frame_id + 1
            assert counts.decoded == following


def test_core_strides_give_way_and_come_back():
    fleet = worker(lambda at_s: SERVICE_S if at_s < 6 else 0.002)
    join(fleet, *(plan(name) for name in "abcdef"))
    assert set(strides(fleet).values()) == {1}
    fleet.run(6)
    assert sum(25 / stride for stride in strides(fleet).values()) <= 1.4 * 75
    fleet.run(20)
    assert set(strides(fleet).values()) == {1}
    assert max(result.age_ms for result in results(fleet)) <= 1000 * DEADLINE_S


def test_core_detector_that_is_away_is_named_by_blind_cameras_until_it_is_back():
    fleet = worker(lambda at_s: SERVICE_S if at_s < 2 else math.inf if at_s < 8 else SERVICE_S)
    join(fleet, fixed("a"))
    fleet.run(5)
    fleet.core.do_without([], "grpc://10.0.0.9:8001: connection refused")
    fleet.run(7)
    last = states(fleet)[-1]
    assert last.state == "blind"
    assert re.fullmatch(r"no detection for \d s: grpc://10\.0\.0\.9:8001: connection refused", last.detail)
    fleet.run(12)
    assert states(fleet)[-1].state == "live"
    assert_books_balance(results(fleet))


def test_core_priority_weight_and_floor_say_who_gives_way():
    fleet = worker(1.4 * SERVICE_S)
    join(
        fleet,
        plan("high", bounds={"rank": 2}),
        plan("low", bounds={"rank": 0}),
        plan("floor", bounds={"rank": 0, "min_detect_hz": 5.0}),
        plan("heavy", bounds={"weight": 2.0}),
        *(plan(name) for name in "abc"),
    )
    fleet.run(15)
    told = strides(fleet)
    assert (told["high"], told["low"]) == (1, 8)
    assert told["floor"] == 5
    assert told["heavy"] <= min(told[name] for name in "abc") / 1.5
    assert detected_hz(fleet, 5, "high") >= 0.9 * 25


def test_core_camera_is_detected_no_more_often_than_it_may_and_is_well():
    fleet = worker(0.002)
    join(fleet, plan("capped", bounds={"max_detect_hz": 10.0}), plan("free"))
    fleet.run(10)
    assert strides(fleet) == {"capped": 3, "free": 1}
    assert detected_hz(fleet, 5, "capped") <= 10
    assert states(fleet, "capped")[-1].state == "live"
    assert_books_balance(results(fleet, "capped"))


def test_core_lane_goes_to_the_camera_that_is_owed_a_detection():
    fleet = worker()
    join(fleet, plan("high", bounds={"rank": 2}), *(plan(name) for name in "abcde"))
    fleet.run(15)
    assert detected_hz(fleet, 10, "high") >= 0.97 * 25
    assert because(results(fleet, "a"))["stale"] > 0, "more was offered than could be served"


def test_core_newest_frame_replaces_the_one_that_waits():
    fleet = worker(0.1, lanes=1, settings=Settings(1.0))
    join(fleet, fixed("a"))
    fleet.run(5)
    found = results(fleet)
    assert because(found).keys() == {"detected", "replaced"}
    taken_ms = [result.latency_ms["slot"] for result in found if result.origin == "detected"]
    assert max(taken_ms) <= 40.1, "never one to which there was a newer one"


def test_core_frame_waits_about_one_detection_and_leaves():
    fleet = worker(0.04, lanes=1)
    for name in "abcd":
        fleet.join(fixed(name), lambda at_s: 10.0, starts_s=0.0)
    fleet.run(10)
    ages_ms = [result.age_ms for result in results(fleet)[-200:] if result.filled_because == "stale"]
    assert len(ages_ms) > 50
    assert min(ages_ms) >= 30
    assert max(ages_ms) <= 50


def test_core_late_detection_lets_its_frame_go_at_nine_tenths_and_corrects_the_boxes():
    fleet = worker(0.2, lanes=1)
    join(fleet, fixed("a"))
    fleet.run(5)
    found = results(fleet)
    overdue = [result for result in found if result.filled_because == "overdue"]
    assert len(overdue) > 10
    assert all(134.9 <= result.age_ms <= 136.1 for result in overdue)
    assert all(result.origin == "predicted" and len(result.tracks) == 1 for result in found[-50:])
    assert max(result.age_ms for result in found) <= 1000 * DEADLINE_S


def test_core_on_a_device_slower_than_the_goal_serves_all_alike():
    fleet = worker(0.2, lanes=1)
    join(fleet, *(fixed(name) for name in "abcd"))
    fleet.run(20)
    assert min(fleet.detected.values()) >= 0.6 * max(fleet.detected.values())


def test_core_cameras_that_wait_for_a_processor_make_strides_give_way():
    fleet = worker(0.002)
    for camera in join(fleet, plan("a"), plan("b")):
        camera.starved_ms = lambda at_s: 60.0 if 3 <= at_s < 8 else 1.0
    fleet.run(3)
    assert set(strides(fleet).values()) == {1}
    fleet.run(8)
    assert set(strides(fleet).values()) == {8}
    fleet.run(30)
    assert set(strides(fleet).values()) == {1}


def test_core_camera_without_a_detection_for_half_its_boxes_life_goes_first_even_late():
    fleet = worker(0.05, lanes=1)
    join(fleet, *(fixed(f"big{number}", bounds={"rank": 2}) for number in range(6)), fps=25.0)
    (slow,) = join(fleet, fixed("slow", max_fill_s=1.0), fps=5.0)
    slow.age_s = 0.1
    fleet.run(20)
    ages_ms = [result.detection_age_ms for result in results(fleet, "slow") if result.published_at_ns > 2e9]
    assert None not in ages_ms
    assert max(ages_ms) <= 1000 * (FLOOR_SHARE + 0.45)
    assert fleet.detected["slow"] > sum(result.origin == "detected" for result in results(fleet, "slow"))


def test_core_archive_loses_nothing_and_takes_nothing_from_the_promise():
    fleet = worker()
    join(fleet, *(plan(name) for name in "abcdef"))
    (archive,) = join(fleet, fixed("archive", 2, pace="archive"), fps=500.0)
    fleet.run(10)
    found = results(fleet, "archive")
    assert because(found).keys() == {"detected", "stride"}
    assert archive.frames - len(found) <= 2
    assert len(found) > 100
    live = [result.age_ms for result in results(fleet) if result.camera_id != "archive"]
    assert max(live) <= 1000 * DEADLINE_S


def test_core_unknown_camera_is_asked_who_it_is_and_none_of_its_ticks_is_lost():
    fleet = worker()
    camera = VirtualCamera(fixed("a"), lambda at_s: 25.0, fleet.new_session("a"), 0.0)
    fleet.cameras["a"] = camera
    for _ in range(3):
        fleet.clock.advance(0.04)
        fleet.core.hear("a", camera.take_picture(fleet.clock))
    assert fleet.core.outbox.replies == [("a", Introduce())] * 3
    assert fleet.core.cameras == 0
    fleet.core.hear("a", Hello(camera.plan))
    fleet.run(0.3)
    assert [(result.frame_id, result.filled_because) for result in results(fleet)] == [
        (number, "unwanted") for number in range(3)
    ]
    assert_books_balance(results(fleet))


def test_core_camera_that_leaves_has_its_last_frames_published_and_is_forgotten():
    fleet = worker(0.1, lanes=1)
    a, b = join(fleet, fixed("a"), fixed("b"))
    fleet.run(3)
    fleet.leave(a)
    fleet.run(4)
    assert len(results(fleet, "a")) == a.frames
    assert fleet.core.cameras == 1
    assert fleet.core.hear("a", a.take_picture(fleet.clock)) is None
    assert fleet.core.outbox.replies == [("a", Introduce())]
    assert len(results(fleet, "b")) >= b.frames - 5
    assert_books_balance(results(fleet, "a"))


def test_core_camera_that_comes_begins_as_its_equals_and_what_it_leaves_is_theirs():
    fleet = worker(2 * SERVICE_S)
    join(fleet, *(plan(name) for name in "abcdef"))
    fleet.run(10)
    alone = strides(fleet)
    new = join(fleet, *(plan(name) for name in "xyz"))
    assert strides(fleet)["x"] == sorted(alone.values())[3]
    fleet.run(20)
    assert sum(strides(fleet)[name] for name in "abcdef") > sum(alone.values())
    for camera in new:
        fleet.leave(camera)
    fleet.run(30)
    assert sum(strides(fleet)[name] for name in "abcdef") <= sum(alone.values()) + 1
    assert len({(result.camera_id, result.session_id) for result in results(fleet)}) == 9
    assert sum(sum(result.lost.values()) for result in results(fleet)) == 0


def test_core_books_balance_at_every_message_whatever_happens():
    fleet = worker(0.04, lanes=2)
    cut, hung, fresh, dirty, held = join(fleet, *(plan(name) for name in "abcd"), plan("e", fill="interpolate"))
    for number in range(8):
        at_s, end_s = 1 + number, 1.3 + number
        for camera, name, value, after in (
            (cut, "cut_off", True, False),
            (hung, "hangs", True, False),
            (dirty, "spoiled", "corrupt", None),
            (held, "age_s", 2.5, 0.0),
        ):
            fleet.at(at_s, lambda camera=camera, name=name, value=value: setattr(camera, name, value))
            fleet.at(end_s, lambda camera=camera, name=name, after=after: setattr(camera, name, after))

    def reconnect() -> None:
        fresh.session, fresh.frames = fleet.new_session("c"), 0

    fleet.at(5, reconnect)
    fleet.run(10)
    fleet.core.end()
    fleet.run(fleet.now_s)
    for name in "abcde":
        assert_books_balance(results(fleet, name))
    assert results(fleet, "a")[-1].counts.lost["link"] > 0
    assert results(fleet, "e")[-1].counts.lost["late"] > 0
    assert results(fleet, "d")[-1].counts.filled["corrupt"] > 0
    assert len({result.session_id for result in results(fleet, "c")}) == 2


@pytest.mark.parametrize(
    ("class_names", "ids_after"),
    [
        pytest.param(("thing",), {1}, id="the same classes: the object is the same"),
        pytest.param(("other",), {2}, id="other classes: it is another, and its number was never used"),
    ],
)
def test_core_model_that_is_swapped_keeps_sessions_and_ids(class_names: tuple[str, ...], ids_after: set[int]):
    scale = [1.0]
    fleet = worker(detect=lambda camera_id, frame_id: replace(THING, xyxy=scale[0] * THING.xyxy))
    join(fleet, fixed("a"))
    fleet.run(2.035)
    assert not fleet.lanes.busy
    scale[0] = 2.0
    before = results(fleet)[-1]
    fleet.messages.clear()
    fleet.core.serve(Serving(class_names, (128, 128), max_batch=1, lanes=2))
    fleet.run(4)
    late = results(fleet)[-25:]
    assert {result.session_id for result in late} == {before.session_id}
    assert {box.track_id for box in before.tracks} == {1}
    assert {box.track_id for result in late for box in result.tracks} == ids_after
    assert {box.class_name for result in late for box in result.tracks} == set(class_names)
    assert because(late).keys() == {"detected"}, "pictures come in the new model's size"


def test_core_settings_change_the_deadline():
    fleet = worker(0.5, lanes=1)
    join(fleet, fixed("a"))
    fleet.run(3)
    fleet.core.promise(Settings(0.3))
    fleet.messages.clear()
    fleet.run(6)
    ages_ms = [result.age_ms for result in results(fleet)[20:] if result.filled_because == "overdue"]
    assert len(ages_ms) > 3
    assert all(269.9 <= age_ms <= 271.1 for age_ms in ages_ms)


def test_core_settings_leave_strides_alone():
    fleet = worker()
    join(fleet, *(plan(name) for name in "abcdef"))
    fleet.run(9.99)
    before = strides(fleet)
    fleet.core.promise(Settings(DEADLINE_S))
    fleet.run(10.1)
    assert strides(fleet) == before
    assert max(before.values()) > 1


def test_core_frames_without_a_detection_behind_them_are_skipped():
    fleet = worker(lambda at_s: 0.02 if at_s < 2 else math.inf)
    join(fleet, fixed("a", 10))
    fleet.run(6)
    found = results(fleet)
    last = max(result.pts_s for result in found if result.origin == "detected")
    for result in found:
        if result.pts_s > last:
            assert result.origin == ("predicted" if result.pts_s - last <= 1.0 else "skipped")
            assert bool(result.tracks) == (result.origin == "predicted")
    assert found[-1].origin == "skipped"


def test_core_is_not_due_at_once_for_a_frame_that_is_old_and_waits():
    fleet = worker(0.2, lanes=1)
    (a,) = join(fleet, fixed("a"))
    a.age_s = 0.14
    for turn in range(1, 500):
        fleet.run(turn * 0.01 + 0.0011)
        assert fleet.core.due_s(lane_is_free=fleet.lanes.is_free) > fleet.now_s


def fault(fleet: VirtualWorker, camera: VirtualCamera, what: str) -> None:
    """From 4 s on, or always."""
    if what == "left out":
        for step in range(40):
            fleet.at(4 + 0.2 * step, lambda: setattr(camera, "spoiled", "behind"))
            fleet.at(4.1 + 0.2 * step, lambda: setattr(camera, "spoiled", None))
    elif what == "hangs":
        fleet.at(4, lambda: setattr(camera, "hangs", True))
    elif what == "old":
        fleet.at(4, lambda: setattr(camera, "age_s", 0.2))
    elif what == "blind process":
        fleet.at(4, lambda: setattr(camera, "fps", lambda at_s: 0.0))


@pytest.mark.parametrize(
    ("what", "service_s", "state", "detail"),
    [
        pytest.param("", 0.02, "live", "", id="all is well"),
        pytest.param("", math.inf, "blind", "pictures for 1[12] s, none detected", id="never detected"),
        pytest.param("stops", 0.02, "blind", r"no detection for [78] s", id="detections stop"),
        pytest.param("hangs", 0.02, "blind", "silent", id="its process is silent"),
        pytest.param(
            "old", 0.02, "degraded", "100 % of its frames are older than 150 ms: decoding", id="frames come late"
        ),
        pytest.param("left out", 0.02, "degraded", "[56]. % of its pictures are left out", id="pictures are left out"),
        pytest.param("", 0.3, "degraded", "below its floor of 10", id="fewer detections than its floor"),
        pytest.param("blind process", 0.02, "retrying", "", id="what its process says passes"),
    ],
)
def test_core_states(what: str, service_s: float, state: str, detail: str):
    fleet = worker(lambda at_s: math.inf if what == "stops" and at_s >= 4 else service_s, settings=Settings(DEADLINE_S))
    (camera,) = join(fleet, plan("a", bounds={"min_detect_hz": 10.0}))
    fault(fleet, camera, what)
    fleet.run(12)
    last = states(fleet)[-1]
    assert last.state == state
    assert re.search(detail, last.detail), last.detail


def test_health_of_a_camera_that_is_being_opened_says_so_and_nothing_of_its_process():
    health = Health(Limits(deadline_s=DEADLINE_S, boxes_live_s=1.0), 0)
    health.hear(CameraState(fleet="town", camera_id="a", session_id="", state="connecting"), 0)
    state = health.state(None, 8 * NS_PER_S, 0)
    assert state is not None
    assert (state.state, state.detail) == ("connecting", "no picture 8 s after it was asked; it is waited for")


def test_core_camera_is_live_again_a_second_after_its_trouble():
    fleet = worker(lambda at_s: math.inf if 4 <= at_s < 8 else 0.02)
    join(fleet, fixed("a"))
    fleet.run(12)
    told = [(state.state, state.at_ns / 1e9) for state in states(fleet)]
    assert {state for state, at_s in told if 6.5 < at_s < 8} == {"blind"}
    back_s = min(at_s for state, at_s in told if state == "live" and at_s > 5)
    assert 9.0 <= back_s <= 11.0
    assert "degraded" in {state for state, at_s in told if 8 < at_s < back_s}
    assert told[-1][0] == "live"
