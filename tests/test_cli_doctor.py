"""`camfleet doctor`: each part of the machine with a verdict, and what to do where it is not well."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.camera.probe import ProbeResult
from pipeline.config import load_fleet
from pipeline.doctor import machine, room
from pipeline.doctor.cameras import findings_of
from pipeline.doctor.finding import Finding
from pipeline.errors import SourceError
from tests.camera_media import camera

ROOT = Path(__file__).parent.parent
DEADLINE_S = 90

Write = Callable[..., Path]


def doctor(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "doctor", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_doctor_has_a_line_for_each_part_of_the_machine() -> None:
    done = doctor()
    *lines, last = done.stdout.splitlines()
    parts = [line[9:].partition(":")[0] for line in lines]
    assert parts == [
        *("python", "libraries", "processor", "gpu", "clock", "shared memory", "descriptors", "cores"),
        *("runtime folder", "cache"),
    ]
    assert {line.split()[0] for line in lines} <= {"ok", "warning", "failure"}
    failures = sum(line.startswith("failure") for line in lines)
    assert done.returncode == (1 if failures else 0)
    assert (last == "OK") == all(line.startswith("ok") for line in lines)


def test_doctor_with_a_fleet_opens_its_cameras(fleet_file: Write, recording: Path) -> None:
    file = fleet_file({"gate": str(recording), "away": {"url": "rtsp://bob:hunter2@127.0.0.1:9/", "open_timeout_s": 2}})
    done = doctor(file, "--json")
    report = json.loads(done.stdout)
    found = {one["about"]: one for one in report["findings"]}
    assert done.returncode == 1 and not report["ok"]
    assert report["failures"] == sum(one["verdict"] == "failure" for one in report["findings"]) >= 1
    assert found["camera gate"]["found"] == "h264, 320×180 at 25 fps, decoded by cpu"
    assert found["camera away"]["verdict"] == "failure"
    assert "nothing listens there" in found["camera away"]["found"]
    assert "hunter2" not in done.stdout + done.stderr


def test_doctor_names_folders_that_cannot_be_written(tmp_path: Path, fleet_file: Write, recording: Path) -> None:
    taken = tmp_path / "a-file"
    taken.write_text("")
    sinks = {"kept": {"kind": "file", "path": str(tmp_path), "format": "jsonl"}}
    done = doctor(
        fleet_file({"gate": str(recording)}, sinks=sinks), XDG_CACHE_HOME=str(taken), XDG_STATE_HOME=str(taken)
    )
    assert done.returncode == 1
    told = {line[9:].partition(":")[0]: line for line in done.stdout.splitlines()}
    assert told["cache"].startswith("failure") and "set XDG_CACHE_HOME" in told["cache"]
    assert told["state folder"].startswith("failure") and "XDG_STATE_HOME" in told["state folder"]
    assert done.stdout.splitlines()[-1].startswith("2 failures")


def test_doctor_of_a_wrong_fleet_file_is_one_message(tmp_path: Path) -> None:
    done = doctor(tmp_path / "nowhere.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no such file" in done.stderr


def result(**known: Any) -> ProbeResult:
    usual = {"codec": "h264", "frame_wh": (1280, 720), "fps": 25.0, "keyframe_interval_s": 2.0}
    return ProbeResult(**{**usual, **known})


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(
            result(clock="rtcp", delay_s=0.08),
            [("ok", "1280×720 at 25 fps"), ("ok", "one every 2.0 s"), ("ok", "was 80 ms old")],
            id="a good one",
        ),
        pytest.param(
            result(keyframe_interval_s=12.0), [("warning", "one every 12.0 s, and so long it is dark")], id="gop"
        ),
        pytest.param(result(keyframe_interval_s=None), [("warning", "fewer than two came")], id="no key frame"),
        pytest.param(
            result(concern="the camera's clock is 40 s behind"), [("warning", "clock is 40 s behind")], id="a clock"
        ),
        pytest.param(result(), [("ok", "counted from its arrival")], id="no sender reports"),
        pytest.param(
            SourceError("cannot open rtsp://x: nothing listens there"), [("failure", "nothing listens")], id="off"
        ),
    ],
)
def test_camera_has_verdicts_on_its_key_frames_and_clock(
    outcome: ProbeResult | SourceError, expected: list[tuple[str, str]]
) -> None:
    found = list(findings_of(camera("rtsp://10.0.0.7/1"), outcome))
    for verdict, words in expected:
        assert [one for one in found if one.verdict == verdict and words in one.found], found
    assert all(one.advice for one in found if one.verdict == "warning")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("fpu avx2 avx512_vnni amx_int8 amx_bf16", "AMX, AVX-512 VNNI: INT8 and bfloat16 models are fastest"),
        ("fpu avx2 avx_vnni", "AVX VNNI: INT8 models are fastest"),
        ("fpu avx2", "INT8 models gain little"),
    ],
)
def test_processor_is_told_by_what_it_computes_fast(tmp_path: Path, flags: str, words: str) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"model name\t: x\nflags\t\t: {flags}\n")
    assert words in machine._processor(machine.read_fingerprint(), info).found


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("msgspec>=0.1", ""),
        ("msgspec>=99", "is installed, and >=99 is needed"),
        ("iceoryx2<0.11,>=0.10", ""),
        ("iceoryx2<0.1", "and <0.1 is needed"),
        ("no-such-package>=1", "no-such-package is not installed"),
        ('no-such-package>=1; extra == "page"', ""),
    ],
)
def test_library_is_judged_by_what_the_package_requires(requirement: str, expected: str) -> None:
    words = machine._why_not(requirement)
    assert expected in words and bool(words) == bool(expected)


@pytest.mark.parametrize(
    ("told", "verdict"), [((True, 0.012), "ok"), ((False, 16.0), "warning"), (None, "ok")], ids=str
)
def test_clock_that_nobody_sets_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, told: tuple[bool, float] | None, verdict: str
) -> None:
    monkeypatch.setattr(machine, "clock_state", lambda: told)
    assert machine._clock().verdict == verdict


def test_clock_state_is_what_the_kernel_says() -> None:
    told = machine.clock_state()
    assert told is None or told[1] >= 0


def test_threads_beyond_the_cores_are_a_warning(
    fleet_file: Write, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.machine, "usable_cores", lambda: 2.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)

    def found(**model: object) -> Finding:
        return room._cores(load_fleet(fleet_file({"gate": str(recording)}, model={"backend": "stub", **model})))

    assert "make threads for all" in found().found and "threads: 2" in found().advice
    assert found(threads=2).verdict == "ok"
    assert "asks for 8" in found(threads=8).found and found(threads=8).verdict == "warning"


def test_room_for_the_cameras_of_a_fleet_is_counted(
    fleet_file: Write, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = {f"c{number}": str(recording) for number in range(40)}
    fleet = load_fleet(fleet_file(cameras, model={"backend": "stub", "input_wh": [1920, 1080]}))
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, 256))
    assert room._descriptors(fleet).verdict == "failure" and "LimitNOFILE" in room._descriptors(fleet).advice
    assert "40 cameras may need 2135" in room._shared_memory(fleet).found
