"""Service times, sizes, cores on a virtual clock, and what the planner says of loads that do not fit."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from pipeline.bench.figures import MeasuredService, Percentiles, Service
from pipeline.capacity.answer import answer
from pipeline.capacity.arithmetic import FULL, size
from pipeline.capacity.processor import Device, Processor, SharedLanes, always, draw
from pipeline.capacity.rehearse import Span, Stage, rehearse
from pipeline.capacity.service import ServiceTimes, parse_ms, parse_service
from pipeline.capacity.task import Overheads, Task, callers, cameras
from pipeline.errors import ConfigError
from pipeline.plan import StrideBounds

SHORT = Span(2.0, 4.0, 1)
TIMES = parse_service("b1=20ms,b2=24,b4=0.032s")


def task(count: int = 4, fps: float = 10.0, least: int = 1, most: int = 8, **rest: Any) -> Task:
    return Task(cameras(count, fps, StrideBounds(least, most)), TIMES, rest.pop("p95_ms", 150.0), **rest)


def test_service_times_are_read_with_any_unit_and_as_detectors_compute_them():
    assert TIMES.by_batch == ((1, 20.0), (2, 24.0), (4, 32.0))
    assert [TIMES.of_ms(count) for count in (1, 2, 3, 4, 9)] == [20, 24, 32, 32, 32]
    assert TIMES.carries_hz(4) == 125
    assert parse_service("b8=7").of_ms(1) == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "names no batch", id="nothing"),
        pytest.param("25ms", "“25ms” is no batch with its time", id="no batch"),
        pytest.param("b1=fast", "expected a time such as 25ms", id="no time"),
        pytest.param("b1=0", "cannot take no time", id="no time at all"),
        pytest.param("b1=20,b1=30", "batch 1 is there twice", id="twice"),
        pytest.param("b1=30,b4=20", "a batch of 4 takes 20 ms, less than the 30 ms of 1", id="faster when larger"),
        pytest.param("b0=20", "is no batch", id="batch of none"),
        pytest.param("b1=11min", "expected a time", id="another unit"),
        pytest.param("b1=601s", "at most 600 s", id="too long"),
    ],
)
def test_service_times_that_are_none_are_told(text: str, words: str):
    with pytest.raises(ConfigError, match=words):
        parse_service(text)


@pytest.mark.parametrize(("text", "ms"), [("25", 25), ("25ms", 25), ("0.5 s", 500), ("250us", 0.25), (".5", 0.5)])
def test_times_have_units(text: str, ms: float):
    assert parse_ms(text, "--pre") == pytest.approx(ms)


def test_size_takes_the_smallest_batch_that_leaves_room():
    made, _ = size(task(count=4, fps=10, instances=1))
    assert (made.batch, made.utilisation) == (2, pytest.approx(40 / (2 / 0.024), abs=1e-4))


def test_size_finds_instances_before_strides_and_strides_where_instances_are_given():
    found, _ = size(task(count=12, fps=25))
    assert found.stride == 1 and found.instances == 4 and found.utilisation <= FULL
    given, _ = size(task(count=12, fps=25, instances=1))
    assert given.stride == 4 and given.fits and FULL >= 300 / 4 / 125


def test_size_batch_is_no_larger_than_the_cameras_can_fill():
    assert size(task(count=1, fps=10))[0].batch == 1
    assert size(task(count=2, fps=20, instances=1, most=1))[0].batch == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"p95_ms": 15.0}, "nothing stands in the way of is 20 ms old", id="too slow for the promise"),
        pytest.param({"p95_ms": 30.0}, "when a batch has just begun is 40 ms old", id="too slow for two"),
        pytest.param({"count": 40, "most": 1, "instances": 1}, "busy 320 % of the time", id="too much"),
        pytest.param({"overheads": Overheads(100, 40)}, "is 160 ms old; 150 are promised", id="overheads"),
    ],
)
def test_size_load_that_does_not_fit_says_why(changes: dict[str, Any], words: str):
    made, steps = size(task(**changes))
    assert not made.fits
    assert words in made.problem
    assert {step.name for step in steps} >= {"load", "age", "utilisation", "in flight"}


def test_size_without_a_load_tells_what_the_instances_carry():
    made, steps = size(Task((), TIMES, 150.0, instances=2, batch=1))
    assert made.capacity_hz == 100 and made.offered_hz == FULL * 100
    assert "nobody said what comes" in steps[0].words


def test_size_floor_of_detections_bounds_how_far_strides_give_way():
    bounds = StrideBounds(1, 8, min_detect_hz=10)
    made, _ = size(Task(cameras(6, 25, bounds), TIMES, 150.0, instances=1))
    assert (made.stride, made.most_stride) == (2, 2)


def test_more_cameras_say_whether_the_plan_bears_them_and_what_they_need(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.capacity.rehearse.MANY", 300)
    light = answer("light", task(count=2, fps=10, instances=1), more=2).more
    assert light is not None and light.as_it_is.fits and "bears them" in light.words
    heavy = answer("heavy", task(count=4, fps=15, most=1, instances=1), more=6).more
    assert heavy is not None and not heavy.as_it_is.fits
    assert "does not bear them" in heavy.words and heavy.needed.instances > 1


def test_more_cameras_than_requests_is_a_mistake():
    with pytest.raises(ConfigError, match="--more"):
        answer("requests", Task(callers(10), TIMES, 150.0), more=2)


def test_rehearsal_of_one_camera_is_what_one_adds_up_on_paper():
    stage = Stage(cameras(1, 10, StrideBounds(1, 1)), Device(parse_service("b1=20"), 1), 1, 0.0, 0.15)
    found = rehearse(replace(stage, lag=(always(3.0), always(2.0)), lane=always(1.0), publish=always(4.0)), SHORT)
    assert found.age.p50_ms == pytest.approx(3 + 2 + 20 + 1 + 4, abs=0.1) == pytest.approx(found.age.p99_ms, abs=0.1)
    assert found.detected_hz == pytest.approx(10, abs=0.5) and found.detected_share == 1
    assert found.utilisation == pytest.approx(0.21, abs=0.01)
    assert found.in_flight == pytest.approx(10 * 0.030, abs=0.02)
    assert found.kept


def test_rehearsal_hears_ticks_together_as_the_loop_does():
    stage = Stage(cameras(12, 25, StrideBounds(1, 1)), Device(parse_service("b1=1"), 16), 1, 0.0, 0.15)
    at_once, together = rehearse(stage, SHORT), rehearse(replace(stage, turns=True), SHORT)
    assert at_once.age.p95_ms == pytest.approx(1.0, abs=0.1)
    assert 2.0 <= together.age.p95_ms <= 5.1, "ticks of twelve cameras wait for each other up to 4 ms"


def test_rehearsal_frames_wait_for_cores_that_others_occupy():
    stage = Stage(cameras(8, 25, StrideBounds(8, 8)), Device(parse_service("b1=10"), 2, 1.0), 1, 0.0, 0.15, cores=1.0)
    decoded = rehearse(replace(stage, frame_cpu_ms={source.camera_id: 3.0 for source in stage.sources}), SHORT)
    alone = rehearse(stage, SHORT)
    assert decoded.detected_age.p50_ms > 1.5 * alone.detected_age.p50_ms
    assert decoded.published_hz == pytest.approx(200, rel=0.05)


def test_rehearsal_comes_out_the_same_every_time():
    stage = Stage(callers(40), Device(TIMES, 1), 4, 0.01, 0.15)
    assert rehearse(stage, SHORT) == rehearse(stage, SHORT)


def test_rehearsal_strides_give_way_as_the_worker_lets_them():
    stage = Stage(cameras(6, 25, StrideBounds(1, 8)), Device(parse_service("b1=20"), 1), 1, 0.0, 0.15)
    found = rehearse(stage, SHORT)
    assert 2 < found.stride < 6 and 35 <= found.detected_hz <= 50
    fixed = rehearse(replace(stage, sources=cameras(6, 25, StrideBounds(1, 1))), SHORT)
    assert not fixed.kept and fixed.detected_share < 0.5


def test_rehearsal_never_detects_more_often_than_max_detect_hz():
    stage = Stage(cameras(3, 25, StrideBounds(1, 8, max_detect_hz=5)), Device(TIMES, 2), 1, 0.0, 0.15)
    found = rehearse(stage, SHORT)
    assert found.stride == 5 and found.detected_hz <= 3 * 5 + 0.5


def test_processor_work_waits_for_a_core_first_come_first_served():
    cores = Processor(2)
    assert [cores.take(0.0, 0.010) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.010)]
    assert cores.left(0.005) == (0.0, 0.010)
    assert cores.left(0.015) == (1.0, pytest.approx(0.020))
    assert cores.left(0.030)[0] == 2.0


def test_processor_later_work_that_is_known_already_holds_up_nobody_before_it():
    cores = Processor(1)
    cores.take(0.5, 0.010)
    assert cores.take(0.1, 0.010) == 0.0


def test_processor_that_is_overrun_leaves_work_out():
    cores = Processor(1)
    waits_s = [cores.take(0.0, 0.3) for _ in range(20)]
    assert max(waits_s) <= 1.0


def lanes(device: Device, processor: Processor) -> SharedLanes:
    return SharedLanes(device, processor, always(0.0), Random(0))


def test_lanes_take_longer_while_cores_are_short_and_what_is_left_of_their_work_goes_on():
    processor = Processor(1)
    one = lanes(Device(ServiceTimes.of({1: 20.0}), 1, lane_cores=1.0), processor)
    one.submit([], 0.0)
    assert one.due_ns == pytest.approx(20e6, abs=10)
    processor.take(0.005, 0.010)
    assert one.due_ns == pytest.approx(30e6, abs=10)
    assert one.collect(25_000_000) == []
    assert one.collect(30_000_010) == [[]]


def test_lanes_share_cores_and_get_in_each_others_way():
    two = lanes(Device(ServiceTimes.of({1: 20.0}), 2, lane_cores=1.0, contention=0.5), Processor(1))
    two.submit([], 0.0)
    two.submit([], 0.0)
    assert two.due_ns == pytest.approx(60e6, abs=10), "half of a core each, and half as long again"
    assert not two.is_free


def test_device_knows_what_lanes_take_from_each_other_beyond_cores():
    service = Service(batch=1, alone_ms=20, together_ms=36, together_p95_ms=40, cores=1.0)
    found = MeasuredService(lanes=2, max_batch=1, input_wh=(64, 64), batches=[service])
    assert Device.measured(found, 1.0).contention == 0, "two on one core take 40 as it is"
    assert Device.measured(found, 2.0).contention == pytest.approx(0.8)
    assert Device.measured(found, 2.0, in_place=1.25).service.of_ms(1) == 25


def test_draw_has_the_percentiles_it_was_given():
    rng, spread = Random(1), Percentiles(p50_ms=2.0, p95_ms=5.0, p99_ms=9.0)
    drawn = sorted(draw(spread, rng) for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(2.0, rel=0.05)
    assert drawn[19_000] == pytest.approx(5.0, rel=0.05)
    assert drawn[-1] <= 9.0
