"""The stream that is kept: a ring of packets, clips of it, and whether its moments are those of the detections."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import Fleet, Subscriber
from pipeline.camera.evidence.align import MOST, THUMB_WH, ContentAligner, thumb_of
from pipeline.camera.evidence.clip import times
from pipeline.camera.evidence.ring import KeptPacket, Ring, Session
from pipeline.camera.evidence.steady import SteadyTime
from pipeline.camera.sandbox import ports
from pipeline.clock import NS_PER_MS, NS_PER_S
from pipeline.config import load_fleet
from pipeline.errors import ConfigError, ControlError
from pipeline.replay.faults import Fault
from pipeline.replay.options import Playback, ReplayOptions, phase_s
from pipeline.replay.process import ServedRecordings, serve_recordings
from pipeline.wire import CameraState, EvidenceState, FrameResult
from tests.camera_media import camera
from tests.plugin_numbered import PERIOD, number_in, number_of, scene, write
from tests.waiting import DEADLINE_S

SESSION = Session("h264", (640, 360), b"")
FRAME_NS = NS_PER_S // 25


def packet(number: int, size: int = 100, every: int = 25, session: Session = SESSION) -> KeptPacket:
    return KeptPacket(bytes(size), number % every == 0, number / 25, number * FRAME_NS, session)


# --- the ring -----------------------------------------------------------------------------------------------------


def test_ring_keeps_its_seconds_in_whole_groups() -> None:
    ring = Ring(keep_s=2.0, keep_bytes=1 << 20)
    for number in range(1000):
        ring.append(packet(number))
        assert ring.span_s < 2.0 + 1.0 + 0.04
    assert ring.span_s >= 2.0
    kept = ring.between(0, 10**18)
    assert kept[0].key and [p.captured_at_ns for p in kept] == [number * FRAME_NS for number in range(925, 1000)]


def test_ring_never_has_more_than_its_bytes() -> None:
    ring = Ring(keep_s=60, keep_bytes=10_000)
    for number in range(1000):
        ring.append(packet(number, size=150))
        assert ring.size <= 10_000
        assert ring.size == sum(len(kept.data) for kept in ring.between(0, 10**18))


def test_ring_whose_group_is_larger_than_allowed_waits_for_the_next_key_frame() -> None:
    ring = Ring(keep_s=60, keep_bytes=1000)
    for number in range(20):
        ring.append(packet(number, every=50))
    assert (ring.size, ring.between(0, 10**18)) == (0, [])
    ring.append(packet(50, every=50))
    assert len(ring.between(0, 10**18)) == 1


def test_ring_gives_a_time_from_the_key_frame_before() -> None:
    ring = Ring(keep_s=60, keep_bytes=1 << 20)
    for number in range(200):
        ring.append(packet(number))
    kept = ring.between(60 * FRAME_NS, 110 * FRAME_NS)
    assert [p.captured_at_ns // FRAME_NS for p in kept] == list(range(50, 111))
    assert ring.between(-20 * FRAME_NS, -10 * FRAME_NS) == []
    assert ring.between(300 * FRAME_NS, 310 * FRAME_NS)[0].captured_at_ns == 175 * FRAME_NS


def test_ring_gives_the_session_with_most_of_a_time() -> None:
    ring = Ring(keep_s=60, keep_bytes=1 << 20)
    later = Session("h264", (640, 360), b"")
    for number in range(100):
        ring.append(packet(number, session=SESSION if number < 30 else later))
    assert {id(p.session) for p in ring.between(0, 99 * FRAME_NS)} == {id(later)}


# --- times in a clip ----------------------------------------------------------------------------------------------


def test_times_of_pictures_in_order_are_their_own() -> None:
    shown, decoded = times([packet(number) for number in range(4)])
    assert shown == decoded == [0, 3600, 7200, 10800]


def test_times_of_reordered_pictures_are_decoded_in_time() -> None:
    shown, decoded = times([packet(number) for number in (0, 4, 2, 1, 3, 8, 6, 5, 7)])
    assert decoded == sorted(set(decoded)) and all(d <= s for d, s in zip(decoded, shown, strict=True))
    assert [s - shown[0] for s in shown] == [3600 * number for number in (0, 4, 2, 1, 3, 8, 6, 5, 7)]


def test_times_that_pictures_share_are_told_apart() -> None:
    shown, decoded = times([packet(number) for number in (0, 1, 1, 1, 2)])
    assert len(set(shown)) == 5 and decoded == sorted(set(decoded))


# --- alignment by content -----------------------------------------------------------------------------------------


def aligned(offset_s: float, pictures: Iterator[np.ndarray], noise: float = 0.0) -> ContentAligner:
    """What is found when the large stream is `offset_s` later than the small one, whose pictures are given."""
    aligner, rng = ContentAligner(), np.random.default_rng(1)
    thumbs = [thumb_of(picture) for picture in pictures]
    for number, thumb in enumerate(thumbs):
        if number % 25 == 0:
            other = thumb + 12 + rng.normal(0, 2 + noise, thumb.shape).astype(np.float32)
            aligner.see_kept(other, round((number / 25 + offset_s) * NS_PER_S))
        shaky = thumb + rng.normal(0, 2 + noise, thumb.shape).astype(np.float32)
        aligner.see_detected(shaky, number * FRAME_NS)
    return aligner


@pytest.mark.parametrize("offset_s", [-1.4, -0.32, 0.0, 0.04, 0.5, 2.2])
def test_alignment_by_content_finds_how_much_later_a_stream_is(offset_s: float) -> None:
    found = aligned(offset_s, (scene(number, (320, 180)) for number in range(500))).alignment
    assert found.by == "content"
    assert abs(found.offset_ns / NS_PER_S + offset_s) <= 0.021
    assert found.error_ms is not None and found.error_ms <= 60
    assert abs(found.offset_ns / NS_PER_MS + offset_s * 1000) <= found.error_ms


def test_alignment_by_content_of_a_still_scene_says_that_nothing_is_known() -> None:
    found = aligned(0.5, (scene(7, (320, 180)) for _ in range(500))).alignment
    assert (found.by, found.error_ms) == ("arrival", None)


def test_alignment_by_content_of_what_repeats_every_second_says_that_nothing_is_known() -> None:
    found = aligned(0.5, (scene(number % 25 * 5, (320, 180)) for number in range(500))).alignment
    assert (found.by, found.error_ms) == ("arrival", None)


def test_alignment_by_content_settles_and_begins_anew_with_another_connection() -> None:
    aligner = aligned(0.0, (scene(number, (320, 180)) for number in range(25 * (MOST + 12))))
    assert aligner.is_settled
    aligner.forget()
    assert not aligner.is_settled and aligner.alignment.by == "arrival"


def test_thumbs_are_small() -> None:
    assert thumb_of(scene(1, (1920, 1080))).size == THUMB_WH[0] * THUMB_WH[1]


# --- arrival ------------------------------------------------------------------------------------------------------


def arrivals(count: int, fps: float = 25.0) -> Iterator[tuple[float, int]]:
    """Stamp and lateness, ms, of a camera's pictures: key frames come 60 ms later, half the others up to 200."""
    rng = np.random.default_rng(3)
    for number in range(count):
        held_up_ms = 60 if number % 25 == 0 else max(0.0, rng.uniform(-200, 200))
        yield 5000 + number / fps, round(held_up_ms * NS_PER_MS)


def test_steady_time_is_that_of_what_nothing_held_up_key_frames_included() -> None:
    steady, began_ns = SteadyTime(), 1_764_000_000 * NS_PER_S
    for pts_s, late_ns in arrivals(500):
        steady.see(pts_s, began_ns + round(pts_s * NS_PER_S) + late_ns)
        assert abs(steady.at_ns(pts_s) - began_ns - round(pts_s * NS_PER_S)) <= 60 * NS_PER_MS
    assert steady.at_ns(5010.0) - began_ns == 5010 * NS_PER_S
    assert 0.15 < steady.jitter_s < 0.2


@pytest.mark.parametrize("jump_s", [-3600, 5, 3600])
def test_steady_time_begins_anew_with_another_clock(jump_s: float) -> None:
    steady = SteadyTime()
    for pts_s, late_ns in arrivals(100):
        steady.see(pts_s, round(pts_s * NS_PER_S) + late_ns)
    steady.see(jump_s, 6000 * NS_PER_S)
    assert (steady.at_ns(jump_s), steady.jitter_s) == (6000 * NS_PER_S, 0.0)


def test_steady_time_is_not_led_astray_by_one_wrong_stamp() -> None:
    steady = SteadyTime()
    for number in range(100):
        steady.see(number / 25 + (1.5 if number == 50 else 0.0), number * FRAME_NS)
    assert steady.at_ns(4.0) == 4 * NS_PER_S


# --- a fleet ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same pictures, small and large, the large with B-frames."""
    folder = tmp_path_factory.mktemp("numbered")
    return write(folder / "sub.mp4", (320, 180)), write(folder / "main.mp4", (640, 360), bf=2)


@contextmanager
def served(recordings: tuple[Path, Path]) -> Iterator[ServedRecordings]:
    with serve_recordings(ReplayOptions(recordings, playback=Playback(offset_s=0))) as server:
        yield server


def fleet_file(folder: Path, server: ServedRecordings, **settings: object) -> Path:
    sub, main = server.urls
    file = folder / "fleet.yaml"
    content = {
        "model": {"path": "-", "backend": "tests.plugin_numbered:make"},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "slo": {"p95_ms": 5000},
        "defaults": {"stride": 1, "reconnect": {"initial_s": 0.1, "max_s": 0.2}, **settings},
        "cameras": {"gate": {"url": sub, "evidence_url": main}},
    }
    file.write_text(json.dumps(content))
    return file


def wait_for_evidence(fleet: Fleet, wanted: str, *, seconds: float = 0.0, by: str | None = None) -> EvidenceState:
    """The camera's word on its second stream, once that is in this state, this long, and aligned like this."""
    give_up_s = time.monotonic() + DEADLINE_S
    with Subscriber(fleet.endpoint, states=True, timeout_s=DEADLINE_S) as messages:
        for message in messages:
            if not isinstance(message, CameraState):
                continue
            told = message.evidence
            if told and told.state == wanted and told.seconds >= seconds and by in (None, told.aligned_by):
                return told
            assert time.monotonic() < give_up_s, told
    raise AssertionError


def wait_for_word(fleet: Fleet, words: str) -> None:
    with Subscriber(fleet.endpoint, states=True, timeout_s=DEADLINE_S) as messages:
        said = (message.detail for message in messages if isinstance(message, CameraState) and message.state == "live")
        assert any(detail.startswith(words) for detail in said)


def numbers_by_time(fleet: Fleet, seconds: float) -> dict[int, float]:
    """The number of each picture that was detected, by its capture time."""
    found: dict[int, float] = {}
    with fleet.results(timeout_s=DEADLINE_S) as results:
        for result in results:
            if result.origin == "detected" and result.tracks and result.tracks[0].since_detected_ms == 0:
                found[result.captured_at_ns] = number_of(result.tracks[0].score)
            # On a machine under load few of a second's are detected.
            if len(found) > 30 and result.captured_at_ns - min(found) > seconds * NS_PER_S:
                return found
    raise AssertionError


def numbers_in_clip(path: Path, from_ns: int) -> dict[int, float]:
    with av.open(str(path)) as container:
        seen = [(frame.time or 0.0, number_in(frame.to_ndarray(format="gray"))) for frame in container.decode(video=0)]
    return {from_ns + round((at_s - seen[0][0]) * NS_PER_S): number for at_s, number in seen}


LATER = phase_s(1, 2, 25) * 25 + 2
"""Pictures by which the replay server shows the second recording later, that its B-frames hold back included."""


def differences(detected: dict[int, float], kept: dict[int, float], later: float = 0.0) -> list[float]:
    """By how many pictures the detected picture and the kept one nearest in time differ, ascending.

    Args:
        detected: Number by capture time.
        kept: The same of the clip.
        later: What the difference is in truth.
    """
    inside = {at: number for at, number in detected.items() if min(kept) <= at <= max(kept)}
    assert len(inside) > 20
    apart = [number - kept[min(kept, key=lambda other, at=at: abs(other - at))] for at, number in inside.items()]
    return sorted(abs((one - later + PERIOD) % (2 * PERIOD) - PERIOD) for one in apart)


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_clip_shows_the_moments_that_were_detected_by_rtcp(
    recordings: tuple[Path, Path], ending: str, tmp_path: Path
) -> None:
    with served(recordings) as server, Fleet(fleet_file(tmp_path, server)) as fleet:
        told = wait_for_evidence(fleet, "live", seconds=1.0, by="rtcp")
        assert (told.codec, told.frame_wh, told.offset_ms) == ("h264", (640, 360), 0)
        detected = numbers_by_time(fleet, 3.0)
        out = tmp_path / f"clip{ending}"
        clip = fleet.clip("gate", out, from_ns=min(detected), to_ns=max(detected))
    assert (clip.path, clip.by) == (str(out), "rtcp")
    assert clip.from_ns <= min(detected)
    kept = numbers_in_clip(out, clip.from_ns)
    assert len(kept) == clip.frames
    assert differences(detected, kept, LATER)[-1] <= 1.0


def test_clip_shows_the_moments_that_were_detected_by_content_where_clocks_are_wrong(
    recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    def is_as_exact_as_told(folder: Path) -> bool:
        folder.mkdir()
        with served(recordings) as server:
            for name, late_ms in zip(server.names, (0, 600), strict=True):
                server.inject(name, Fault("time_jump", 0, jump_s=3600))
                server.inject(name, Fault("delay", 600, delay_ms=late_ms))
            with Fleet(fleet_file(folder, server)) as fleet:
                told = wait_for_evidence(fleet, "live", seconds=5.0, by="content")
                detected = numbers_by_time(fleet, 3.0)
                time.sleep(0.7)
                out = folder / "clip.mp4"
                clip = fleet.clip("gate", out, from_ns=min(detected), to_ns=max(detected))
        assert told.error_ms is not None and clip.error_ms is not None and clip.by == "content"
        apart = differences(detected, numbers_in_clip(out, clip.from_ns))
        # A detection is at the time of its arrival. The error that is told is that of nineteen of twenty; those that
        # came at once are at their very moment.
        return apart[len(apart) * 19 // 20] <= 1 + clip.error_ms / 40 and apart[len(apart) // 10] <= 1.1

    # A busy machine holds up many.
    assert any(is_as_exact_as_told(tmp_path / f"{turn}") for turn in range(3))


def test_camera_goes_on_without_its_second_stream_and_tells_why_and_when_it_is_back(
    recordings: tuple[Path, Path], tmp_path: Path
) -> None:
    with served(recordings) as server, Fleet(fleet_file(tmp_path, server)) as fleet:
        wait_for_evidence(fleet, "live", seconds=1.0)
        server.inject(server.names[1], Fault("refuse", 600))
        assert wait_for_evidence(fleet, "retrying").detail
        wait_for_word(fleet, "its evidence_url is not kept now: ")
        assert detected(fleet, 25)
        server.inject(server.names[1], Fault("refuse", 0))
        wait_for_evidence(fleet, "live", seconds=1.0)


def detected(fleet: Fleet, count: int) -> list[FrameResult]:
    with fleet.results(timeout_s=DEADLINE_S) as results:
        return list(itertools.islice((result for result in results if result.origin == "detected"), count))


def test_clip_that_cannot_be_is_one_clear_error(recordings: tuple[Path, Path], tmp_path: Path) -> None:
    taken = tmp_path / "taken.mp4"
    taken.touch()
    with served(recordings) as server, Fleet(fleet_file(tmp_path, server)) as fleet:
        fleet.add_camera("yard", url=server.urls[0])
        wait_for_evidence(fleet, "live", seconds=0.5)
        now_ns = time.time_ns()
        for name, out, from_ns, words in (
            ("yard", "a.mp4", now_ns, "camera “yard” keeps nothing; give it an evidence_url in the fleet file"),
            ("gat", "a.mp4", now_ns, "the fleet has no camera “gat”; did you mean “gate”?"),
            ("gate", "a.avi", now_ns, "a clip is a .mp4 or .mkv file"),
            ("gate", "taken.mp4", now_ns, "taken.mp4 exists already"),
            ("gate", "no/such/folder/a.mp4", now_ns, "cannot be written: No such file or directory"),
            ("gate", "a.mp4", now_ns - 3600 * NS_PER_S, "nothing of that time is kept of rtsp://127.0.0.1"),
        ):
            with pytest.raises(ControlError, match=words.replace("?", r"\?")):
                fleet.clip(name, tmp_path / out, from_ns=from_ns - NS_PER_S, to_ns=from_ns)
        assert not (tmp_path / "a.mp4").exists() and taken.stat().st_size == 0


def test_clip_command_writes_the_last_seconds(recordings: tuple[Path, Path], tmp_path: Path) -> None:
    def clip(name: str, *how: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline", "clip", "gate", str(tmp_path / name), "--last", "2", *how]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    with served(recordings) as server, Fleet(fleet_file(tmp_path, server)) as fleet:
        wait_for_evidence(fleet, "live", seconds=3.0, by="rtcp")
        for turn in range(5):
            told = json.loads(clip(f"{turn}.mp4", "--json").stdout)
            # Where the machine pauses, the last pictures have not come yet.
            if (told["to_ns"] - told["from_ns"]) / NS_PER_S >= 1.9:
                break
        again = clip(f"{turn}.mp4")
    assert told["by"] == "rtcp" and (told["to_ns"] - told["from_ns"]) / NS_PER_S >= 1.9
    with av.open(told["path"]) as container:
        assert sum(1 for _ in container.decode(video=0)) == told["frames"]
    assert (again.returncode, again.stdout) == (2, "") and "exists already" in again.stderr


# --- settings -----------------------------------------------------------------------------------------------------


def test_sandbox_opens_the_ports_of_both_streams() -> None:
    both = camera("rtsp://127.0.0.1:5540/sub", evidence_url="rtsp://127.0.0.1:5541/main")
    assert ports(both) == {5540, 5541}


@pytest.mark.parametrize("url", ["main.mp4", "/dev/video0", "python:a:b"])
def test_evidence_that_is_no_camera_is_refused(url: str, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"model: {{backend: stub}}\ncameras: {{gate: {{url: 'rtsp://cam/1', evidence_url: '{url}'}}}}\n")
    with pytest.raises(ConfigError, match=r"evidence_url: expected the address of a camera's other stream"):
        load_fleet(file)


def test_password_of_the_second_stream_is_shown_nowhere(tmp_path: Path) -> None:
    kept = camera("rtsp://bob:hunter2@cam/1", evidence_url="rtsp://bob:hunter3@cam/2")
    assert "hunter" not in repr(kept) + str(kept) + kept.model_dump_json()
