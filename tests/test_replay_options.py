from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pipeline.errors import ReplayError
from pipeline.replay import Login, Playback, ReplayOptions
from pipeline.replay.options import camera_name, phase_s, plan_cameras

GATE, YARD = Path("a/gate.mp4"), Path("b/yard.mkv")


@pytest.mark.parametrize(
    ("files", "cameras", "expected"),
    [
        pytest.param([GATE, YARD], None, [("gate", 0.0), ("yard", 0.0)], id="one camera per file"),
        pytest.param([GATE], 3, [("gate", 0.0), ("gate-2", 1 / 3), ("gate-3", 2 / 3)], id="spread over one file"),
        pytest.param([GATE, YARD], 3, [("gate", 0.0), ("yard", 0.0), ("gate-2", 0.5)], id="files take turns"),
        pytest.param([GATE, YARD], 1, [("gate", 0.0)], id="fewer cameras than files"),
        pytest.param([GATE, Path("c/gate.mp4")], None, [("gate", 0.0), ("gate-2", 0.0)], id="same name elsewhere"),
        pytest.param(
            [GATE, Path("gate-2.mp4")], 3, [("gate", 0.0), ("gate-2", 0.0), ("gate-3", 0.5)], id="number already taken"
        ),
    ],
)
def test_plan_cameras_gives_each_camera_a_name_and_a_place(
    files: list[Path], cameras: int | None, expected: list[tuple[str, float]]
) -> None:
    assert [(plan.name, plan.start_share) for plan in plan_cameras(files, cameras)] == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), ["gate", "yard", "gate-2"]),
        (("north",), ["north", "yard", "gate"]),
        (("yard",), ["yard", "yard-2", "gate"]),
        (("a", "b", "c"), ["a", "b", "c"]),
    ],
)
def test_plan_cameras_calls_the_first_ones_as_they_are_named(names: tuple[str, ...], expected: list[str]) -> None:
    assert [plan.name for plan in ReplayOptions((GATE, YARD), 3, names=names).plan()] == expected


@pytest.mark.parametrize(
    ("file", "expected"),
    [("front door (1).mp4", "front-door-1"), ("Tür.mp4", "T-r"), ("...mp4", "camera"), ("cam_1.v2.mp4", "cam_1.v2")],
)
def test_camera_name_needs_no_quoting_in_a_url(file: str, expected: str) -> None:
    assert camera_name(Path(file)) == expected


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"files": ()}, "at least one recording", id="no file"),
        pytest.param({"files": (GATE,), "cameras": 0}, "1 or more", id="no camera"),
        pytest.param({"files": (GATE,), "port": 65536}, "port 65536", id="no such port"),
        pytest.param({"files": (GATE,), "names": ("a", "b")}, "2 names for 1 cameras", id="more names than cameras"),
        pytest.param({"files": (GATE, YARD), "names": ("a", "a")}, "both be called 'a'", id="a name twice"),
        pytest.param({"files": (GATE,), "names": ("a b",)}, "cannot be called 'a b'", id="a name with a space"),
    ],
)
def test_options_that_cannot_be_served_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ReplayError, match=reason):
        ReplayOptions(**options)  # type: ignore[arg-type]


def test_options_come_back_from_json() -> None:
    login = Login("bob", "secret")
    options = ReplayOptions(
        (GATE, YARD), 4, 0, "::1", Playback(loop=True), login, own_ports=True, departures=GATE, names=("a",)
    )

    assert ReplayOptions.from_json(options.to_json()) == options


def test_phase_s_spreads_frames_over_an_interval_and_key_frames_over_a_second():
    phases = [phase_s(index, 60, 15.0) for index in range(60)]
    assert phases[0] == 0.0 and max(phases) < 1 + 1 / 15
    within_interval = sorted(phase * 15 % 1 for phase in phases)
    assert within_interval == pytest.approx([index / 60 for index in range(60)], abs=1e-6)
    in_one_interval = Counter(int(phase * 15 + 1e-9) for phase in phases)
    assert len(in_one_interval) == 15 and max(in_one_interval.values()) <= 5


def test_phase_s_two_frames_a_second_are_hardly_late():
    assert max(phase_s(index, 4, 2.0) for index in range(4)) < 1.0
