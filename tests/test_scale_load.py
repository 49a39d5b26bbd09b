"""How full a shard is, by its own words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pipeline.plan import StrideBounds
from pipeline.scale.load import load_of
from pipeline.wire import CameraFigures, FleetState, ProcessFigures
from tests.wire_messages import FLEET

BOUNDS = {"gate": StrideBounds(2, 8), "yard": StrideBounds(1, 8, max_detect_hz=5.0)}


def camera(frame_hz: float, detect_hz: float, stride: int) -> CameraFigures:
    return replace(FLEET.cameras["gate"], frame_hz=frame_hz, detect_hz=detect_hz, stride=stride)


def worker(lanes: int | None, busy: float | None) -> ProcessFigures:
    return ProcessFigures(name="worker", role="worker", condition="running", restarts=0, lanes=lanes, lanes_busy=busy)


def state(*workers: ProcessFigures, **cameras: CameraFigures) -> FleetState:
    return replace(FLEET, cameras=cameras, processes=(*FLEET.processes, *workers))


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
