"""How full a shard is, by its own words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline.config import load_fleet
from pipeline.plan import StrideBounds
from pipeline.scale.headroom import Load
from pipeline.scale.load import Steady, bounds_of, load_of, wanted_of
from pipeline.wire import CameraFigures, FleetState, ProcessFigures
from tests.wire_messages import FLEET

BOUNDS = {"gate": StrideBounds(2, 8), "yard": StrideBounds(1, 8, max_detect_hz=5.0)}


def camera(frame_hz: float, detect_hz: float, stride: int) -> CameraFigures:
    return replace(FLEET.cameras["gate"], frame_hz=frame_hz, detect_hz=detect_hz, stride=stride)


def worker(lanes: int | None, busy: float | None) -> ProcessFigures:
    return ProcessFigures(name="worker", role="worker", condition="running", restarts=0, lanes=lanes, lanes_busy=busy)


def state(*workers: ProcessFigures, **cameras: CameraFigures) -> FleetState:
    others = [process for process in FLEET.processes if process.role != "worker"]
    return replace(FLEET, cameras=cameras, processes=(*others, *workers))


def test_load_with_room_is_what_is_wanted() -> None:
    found = load_of(state(worker(2, 0.5), gate=camera(25, 12.5, 2), yard=camera(20, 5, 4)), BOUNDS)
    assert found is not None
    assert (found.wanted_hz, found.detected_hz, found.busy, found.stretch) == (17.5, 17.5, 0.25, 1.0)
    assert found.demand == pytest.approx(0.25)


def test_load_that_gives_way_tells_by_how_much() -> None:
    found = load_of(state(worker(2, 2.0), worker(2, 1.9), gate=camera(24, 4, 6)), BOUNDS)
    assert found is not None
    assert (found.wanted_hz, found.detected_hz, found.stretch) == (12.0, 4.0, 3.0)
    assert found.busy == pytest.approx(0.975)
    assert found.demand == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("seen", "wanted_hz"),
    [
        pytest.param(state(worker(2, 0.0)), 0.0, id="no camera"),
        pytest.param(state(worker(2, 0.0), gate=camera(0, 0, 2)), 0.0, id="a camera that is off"),
        pytest.param(state(worker(2, 1.9), tape=camera(90, 45, 2)), 0.0, id="an archive takes what is left"),
    ],
)
def test_load_counts_only_cameras_that_are_promised_something(seen: FleetState, wanted_hz: float) -> None:
    found = load_of(seen, BOUNDS)
    assert found is not None
    assert (found.wanted_hz, found.demand) == (wanted_hz, 0.0)


@pytest.mark.parametrize("workers", [(), (worker(None, None),)], ids=["no worker", "one that has not said"])
def test_load_is_unknown_until_a_worker_has_said(workers: tuple[ProcessFigures, ...]) -> None:
    assert load_of(state(*workers, gate=camera(25, 12.5, 2)), BOUNDS) is None


def test_wanted_is_told_of_each_camera_that_sends() -> None:
    found = wanted_of(state(gate=camera(25, 3, 8), yard=camera(20, 5, 4), tape=camera(90, 45, 2)), BOUNDS)
    assert found == {"gate": 12.5, "yard": 5.0}
    assert wanted_of(state(gate=camera(0, 0, 2)), BOUNDS) == {}


def test_bounds_are_those_of_cameras_that_are_promised_something(fleet_file: Callable[..., Path], tmp_path: Path):
    tape = tmp_path / "tape.mp4"
    tape.touch()
    cameras = {
        "gate": {"url": "rtsp://cam/1", "stride": {"min": 2, "max": 6}},
        "tape": {"url": str(tape), "pace": "fastest"},
    }
    found = bounds_of(load_fleet(fleet_file(cameras)).cameras.values())
    assert {name: (one.least, one.most) for name, one in found.items()} == {"gate": (2, 6)}


CALM, SHORT = Load(25.0, 25.0, 0.25), Load(25.0, 25.0, 0.25, 4.0)


def test_steady_load_of_a_stride_that_jumps_for_seconds_is_as_if_it_had_not() -> None:
    steady = Steady(20.0)
    seen = [steady.update(SHORT if turn % 10 in (3, 4) else CALM, float(turn)) for turn in range(60)]
    assert seen == [CALM] * 60


def test_steady_load_comes_to_what_lasts() -> None:
    steady = Steady(20.0)
    seen = [steady.update(CALM if turn < 30 else SHORT, float(turn)) for turn in range(60)]
    assert seen[29:35] == [CALM] * 6
    assert seen[45:] == [SHORT] * 15


def test_steady_load_begins_with_the_first_that_is_known() -> None:
    steady = Steady(20.0)
    assert [steady.update(one, float(turn)) for turn, one in enumerate((None, SHORT, None))] == [None, SHORT, None]
