"""What a sink hears when it joins, when it was away, and when the publisher was."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.client.history import RESULTS
from pipeline.client.inlet import Inlet, Position
from pipeline.wire import FrameResult
from tests.sinks import frame
from tests.test_relay import Running, running
from tests.waiting import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one, for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def inlet_at(folder: Path, cameras: list[str] | None = None, positions: dict[bytes, Position] | None = None) -> Inlet:
    return Inlet(f"ipc://{folder / RESULTS}", cameras, positions or {}, run=folder)


def send(publisher: Running, numbers: range, camera_id: str = "gate") -> None:
    for number in numbers:
        publisher.worker.publish(frame(number, camera_id))


class Frames:
    """The numbers of the frames that an inlet has given so far."""

    def __init__(self, inlet: Inlet) -> None:
        self._inlet, self._all = inlet, []

    def of(self, camera_id: str = "gate") -> list[int]:
        self._all += [one.message for one in self._inlet.receive(20) if isinstance(one.message, FrameResult)]
        return [one.frame_id for one in self._all if one.camera_id == camera_id]


def test_inlet_that_joins_late_has_all_that_was_published_of_late(folder: Path, within: Callable):
    with running(folder) as publisher:
        send(publisher, range(50))
        inlet = inlet_at(folder)
        frames = Frames(inlet)
        wait_until(within, lambda: frames.of() == list(range(50)))
        send(publisher, range(50, 60))
        wait_until(within, lambda: frames.of() == list(range(60)))
        assert inlet.hearing.missed == 0
        inlet.close()


def test_inlet_that_was_away_goes_on_behind_what_it_has(folder: Path, within: Callable):
    with running(folder) as publisher:
        first = inlet_at(folder)
        frames = Frames(first)
        send(publisher, range(10))
        send(publisher, range(10), "yard")
        wait_until(within, lambda: len(frames.of()) == len(frames.of("yard")) == 10)
        positions = first.hearing.positions
        first.close()
        send(publisher, range(10, 30))
        again = inlet_at(folder, None, positions)
        frames = Frames(again)
        wait_until(within, lambda: frames.of() == list(range(10, 30)))
        assert frames.of("yard") == []
        assert again.hearing.missed == 0
        again.close()


def test_inlet_of_some_cameras_is_told_of_no_others(folder: Path, within: Callable):
    with running(folder) as publisher:
        for camera_id in ("gate", "yard"):
            send(publisher, range(20), camera_id)
        inlet = inlet_at(folder, ["yard"])
        frames = Frames(inlet)
        wait_until(within, lambda: frames.of("yard") == list(range(20)))
        assert frames.of("gate") == []
        inlet.close()


def test_inlet_hears_all_of_a_publisher_that_began_anew(folder: Path, within: Callable):
    inlet = inlet_at(folder)
    frames = Frames(inlet)
    with running(folder) as publisher:
        send(publisher, range(10))
        wait_until(within, lambda: frames.of() == list(range(10)))
    with running(folder) as publisher:
        send(publisher, range(10, 40))
        wait_until(within, lambda: frames.of() == list(range(40)))
        assert inlet.hearing.missed == 0
    inlet.close()


def test_inlet_counts_what_the_publisher_has_no_more(folder: Path, within: Callable):
    with running(folder, history_mb=0) as publisher:
        send(publisher, range(3))
        inlet = inlet_at(folder)
        frames = Frames(inlet)
        wait_until(within, frames.of)
        positions, last = inlet.hearing.positions, frames.of()[-1]
        assert inlet.hearing.missed == 0, "what was before it came is not missed"
        inlet.close()
        watching = inlet_at(folder)
        seen = Frames(watching)
        send(publisher, range(3, 10))
        wait_until(within, lambda: seen.of()[-1:] == [9])
        again = inlet_at(folder, None, positions)
        frames = Frames(again)
        wait_until(within, lambda: frames.of() == [9])
        assert again.hearing.missed == 9 - last - 1 > 0
        for one in (watching, again):
            one.close()


def test_inlet_whose_publisher_does_not_answer_goes_on(folder: Path, within: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.client.inlet.ANSWER_S", 0.05)
    with running(folder) as publisher:
        send(publisher, range(5))
        inlet = Inlet(f"ipc://{folder / RESULTS}", None, {}, run=folder / "nowhere")
        frames = Frames(inlet)
        wait_until(within, lambda: frames.of()[-1:] == [4])
        send(publisher, range(5, 8))
        wait_until(within, lambda: frames.of()[-3:] == [5, 6, 7])
        inlet.close()


def test_inlet_beside_a_fleet_asks_nobody_and_counts(folder: Path, within: Callable):
    with running(folder) as publisher:
        send(publisher, range(5))
        first = Inlet(publisher.relay.endpoint, None, {})
        seen = Frames(first)
        wait_until(within, lambda: seen.of()[-1:] == [4])
        known = first.hearing.positions[b"detections/gate/"]
        inlet = Inlet(publisher.relay.endpoint, None, {b"detections/gate/": Position(known.publisher, 1)})
        frames = Frames(inlet)
        wait_until(within, lambda: frames.of() == [4])
        assert inlet.hearing.missed == 3
        for one in (first, inlet):
            one.close()
