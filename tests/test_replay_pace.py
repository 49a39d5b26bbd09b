"""When pictures are due: speed, frame rate, even distances, recorded arrivals, offsets."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ReplayError
from pipeline.record.arrivals import ARRIVAL, MAGIC, beside
from pipeline.replay import Playback, ReplayOptions, serve_recordings
from pipeline.replay.recording import Recording
from pipeline.replay.timeline import Timeline, in_step
from pipeline.rtsp.rtp import CLOCK_HZ
from tests.camera_media import Clip
from tests.rtsp_client import RawClient

STEP = CLOCK_HZ // 25


def test_timeline_changes_speed_without_a_jump() -> None:
    timeline = Timeline(1.0)
    timeline.splice(1000, timeline.to_camera(1000), 2.0)
    timeline.splice(2000, timeline.to_camera(2000), 0.5)

    assert [timeline.to_camera(at) for at in (2000, 2100)] == [1500, 1700]


def test_timeline_goes_on_with_another_recording() -> None:
    timeline = Timeline(1.0)
    timeline.splice(70, 500, 2.0)

    assert [timeline.to_camera(at) for at in (70, 90)] == [500, 510]


@pytest.mark.parametrize(
    ("earliest", "usual", "expected"),
    [
        pytest.param(7200, 3600, 7200, id="on a step"),
        pytest.param(9000, 3600, 10800, id="half a step late"),
        pytest.param(7202, 0, 10800, id="just missed"),
        pytest.param(7200, 3599.6, 7200, id="rounded up"),
        pytest.param(9000, 90_000, 10800, id="far behind"),
    ],
)
def test_in_step_waits_for_the_next_of_the_cameras_own_instants(earliest: int, usual: float, expected: int) -> None:
    assert in_step(earliest, usual, STEP) == expected


@pytest.mark.parametrize(
    ("settings", "step"),
    [({"speed": 3.0}, STEP // 3), ({"fps": 50.0}, STEP // 2), ({"fps": 50.0, "paced": "even"}, STEP // 2)],
    ids=["speed", "fps", "fps, evenly"],
)
def test_played_at_another_speed_the_pictures_are_the_same(
    recording: Path, settings: dict[str, Any], step: int
) -> None:
    options = ReplayOptions((recording,), playback=Playback(**settings))
    with serve_recordings(options) as server, RawClient(server.urls[0]) as client:
        client.play()
        units = client.read_units(60)

    steps = {(later.timestamp - earlier.timestamp) % 2**32 for earlier, later in pairwise(units)}
    assert steps == {step}
    numbers = [number for unit in units for number in unit.sequences]
    assert all((later - earlier) % 65536 == 1 for earlier, later in pairwise(numbers))


def test_cameras_with_an_offset_begin_that_much_later_in_the_recording(recording: Path) -> None:
    firsts = []
    playback = Playback(loop=False, offset_s=1.0)
    for camera in range(2):
        with (
            serve_recordings(ReplayOptions((recording,), cameras=2, playback=playback)) as server,
            RawClient(server.urls[camera]) as client,
        ):
            client.play()
            firsts.append(client.read_units(1)[0].payloads)

    whole = list(Recording(recording).access_units())
    sizes = [sum(map(len, payloads)) for payloads in firsts]
    assert firsts[0] != firsts[1]
    assert abs(sizes[0] - whole[0].packet.size) < 200 and abs(sizes[1] - whole[25].packet.size) < 200


def with_arrivals(path: Path, delays_ms: list[int]) -> Path:
    """A recording in Matroska whose packets came late by these."""
    Clip(frames=len(delays_ms)).write(path)
    records = np.array([(40 * n, (40 * n + late + 777) * 1_000_000) for n, late in enumerate(delays_ms)], ARRIVAL)
    beside(path).write_bytes(MAGIC + records.tobytes())
    return path


def test_recorded_arrivals_are_repeated_in_every_pass_and_never_turn_around(tmp_path: Path) -> None:
    delays_ms = [0, 0, 100, 60, 20, 0, 0, 0, 0, 90]
    path = with_arrivals(tmp_path / "x.mkv", delays_ms)

    units = [unit for unit, _ in zip(Recording(path).access_units(loop=True), range(20), strict=False)]

    late_ms = [((unit.due or 0) - unit.dts) * 1000 // CLOCK_HZ for unit in units]
    assert late_ms == [*delays_ms, 50, 10, *delays_ms[2:]], "the second pass begins when the last one has left"
    assert [unit.dts for unit in units] == [number * STEP for number in range(20)]


def test_even_pace_ignores_arrivals_and_uneven_timestamps(tmp_path: Path) -> None:
    path = with_arrivals(tmp_path / "x.mkv", [0, 30, 0, 30, 0])

    units = list(Recording(path).access_units(even=True))

    assert [(unit.dts, unit.pts, unit.due) for unit in units] == [(n * STEP, n * STEP, None) for n in range(5)]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"speed": 0.0}, "speed 0"),
        ({"fps": 0.0}, "0 pictures a second"),
        ({"fps": 5.0, "speed": 2.0}, "contradict"),
        ({"paced": "roughly"}, "recorded or even"),
        ({"offset_s": -1.0}, "0 or more"),
    ],
)
def test_playback_that_makes_no_sense_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ReplayError, match=reason):
        Playback(**settings)
