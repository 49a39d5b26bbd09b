"""Decoding on devices, of which no machine that ran these tests had any: a pretended one stands in for each."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from pipeline.camera import hardware
from pipeline.camera.hardware import BARREN_PACKETS, KINDS, OpenDevice, devices, open_device, wanted
from pipeline.camera.picture import Picture
from pipeline.camera.pretend import no_device, pretend
from pipeline.camera.probe import probe
from pipeline.camera.sandbox import _allowed
from pipeline.camera.source import Source, open_source
from pipeline.clock import VirtualClock
from pipeline.runscope import RunLease
from tests.camera_media import Clip, HttpCamera, camera
from tests.test_source import Watch

KEY_EVERY = 10
B_FRAMES = (("bf", "3"), ("g", str(KEY_EVERY)), ("b_strategy", "0"))


def played(file: Path, opens: OpenDevice, **settings: object) -> tuple[Source, list[Picture]]:
    clock = VirtualClock(1000.0)
    source = open_source(camera(file, **settings), clock, opens=opens)
    try:
        return source, list(source.pictures(Watch(clock)))
    finally:
        source.close()


def formats(pictures: list[Picture]) -> list[str]:
    return [picture.frame.format.name if picture.frame else "gap" for picture in pictures]


@pytest.mark.parametrize("options", [(("g", "10"), ("bf", "0")), B_FRAMES], ids=["plain", "b-frames"])
def test_device_decodes_every_picture(options: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    file = Clip(frames=50, options=options).write(tmp_path / "a.mp4")
    source, pictures = played(file, pretend(), decode="cuda")
    assert (source.decoder, source.concern) == ("cuda", "")
    assert formats(pictures) == ["nv12"] * 50
    assert [p.pts_s for p in pictures] == [p.pts_s for p in played(file, no_device)[1]]


def test_cpu_is_the_default_and_opens_no_device(tmp_path: Path) -> None:
    source, pictures = played(Clip().write(tmp_path / "a.mp4"), no_device)
    assert (source.decoder, source.concern) == ("cpu", "")
    assert set(formats(pictures)) == {"yuv420p"}


def test_device_that_cannot_be_opened_leaves_it_to_the_cpu_and_says_so(tmp_path: Path) -> None:
    source, pictures = played(Clip(frames=20).write(tmp_path / "a.mp4"), no_device, decode="vaapi")
    assert source.decoder == "cpu" and formats(pictures) == ["yuv420p"] * 20
    assert source.concern == (
        "decoding on the CPU, since vaapi cannot be used: it cannot be opened: Cannot allocate memory"
    )


@pytest.mark.parametrize("silent", [False, True], ids=["with-an-error", "in-silence"])
@pytest.mark.parametrize("options", [(("g", "10"), ("bf", "0")), B_FRAMES], ids=["plain", "b-frames"])
@pytest.mark.parametrize("breaks_after", [0, 1, 14, 20, 33])
def test_device_that_fails_in_midstream_is_left_at_a_key_frame_and_every_picture_counted(
    breaks_after: int, options: tuple[tuple[str, str], ...], silent: bool, tmp_path: Path
) -> None:
    file = Clip(frames=100, options=options).write(tmp_path / "a.mp4")
    source, pictures = played(file, pretend(breaks_after=breaks_after, silent=silent), decode="cuda")
    told = formats(pictures)
    lost = told.count("gap")
    assert len(told) == 100
    assert told == sorted(told, key=["nv12", "gap", "yuv420p"].index)
    assert lost < KEY_EVERY + 4 + (BARREN_PACKETS if silent else 0)
    assert all(picture.corrupt for picture in pictures if picture.frame is None)
    assert not any(picture.corrupt for picture in pictures if picture.frame)
    assert source.decoder == "cpu" and source.concern.startswith("decoding on the CPU, since cuda failed: ")


def test_device_that_ffmpeg_goes_on_without_is_not_said_to_decode(tmp_path: Path) -> None:
    source, pictures = played(Clip(frames=20).write(tmp_path / "a.mp4"), pretend(is_used=False), decode="cuda")
    assert len(pictures) == 20 and not any(picture.corrupt for picture in pictures)
    assert source.decoder == "cpu" and "not this kind of picture" in source.concern


def test_camera_in_midstream_falls_back_too(tmp_path: Path) -> None:
    stream = Clip(frames=100, options=B_FRAMES).write(tmp_path / "a.ts").read_bytes()
    clock = VirtualClock(1000.0)
    with HttpCamera(stream, then="fall silent") as server:
        asked = camera(server.url, decode="cuda", read_timeout_s=30)
        source = open_source(asked, clock, opens=pretend(breaks_after=14))
        seen = []
        for picture in source.pictures(Watch(clock)):
            seen += [picture] if picture is not None else []
            if len(seen) == 60:
                break
        source.close()
    assert {"nv12", "gap", "yuv420p"} == set(formats(seen))
    assert source.decoder == "cpu" and "the device is gone" in source.concern


@pytest.mark.parametrize("kind", KINDS)
def test_device_that_is_not_there_is_said_so(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_DEV", tmp_path)
    with av.open(str(Clip().write(tmp_path / "a.mp4"))) as container, pytest.raises(hardware.HardwareError) as error:
        open_device(kind, container.streams.video[0])
    assert str(error.value) == "this machine has no such device"
    assert devices("h264")[kind] == "this machine has no such device"


def test_auto_tries_the_devices_whose_nodes_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_DEV", tmp_path)
    asked = camera("gate.mp4", decode="auto")
    assert wanted(asked) == ()
    (tmp_path / "dri").mkdir()
    for node in ("dri/renderD128", "nvidiactl", "nvidia0"):
        (tmp_path / node).touch()
    assert wanted(asked) == ("cuda", "vaapi", "qsv")
    assert wanted(camera("gate.mp4")) == ()


def test_node_without_a_device_behind_it_leaves_it_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg itself is asked for the device here; it finds none behind the node."""
    monkeypatch.setattr(hardware, "_DEV", tmp_path)
    (tmp_path / "nvidiactl").touch()
    if not (reason := devices("h264")["cuda"]):
        pytest.skip("this machine has a CUDA device")
    assert reason.startswith(("it cannot be opened: ", "this FFmpeg was built without it"))
    source, pictures = played(Clip(frames=20).write(tmp_path / "a.mp4"), open_device, decode="auto")
    assert source.decoder == "cpu" and source.concern.startswith("decoding on the CPU, since cuda cannot be used: ")
    assert formats(pictures) == ["yuv420p"] * 20


def test_sandbox_lets_the_device_be_used(tmp_path: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_DEV", tmp_path)
    (tmp_path / "nvidia0").touch()
    with RunLease(short_path) as lease:
        allowed = [path for path, _ in _allowed(camera("gate.mp4", decode="auto"), lease.scope)]
        assert tmp_path / "nvidia0" in allowed
        assert tmp_path / "nvidia0" not in [path for path, _ in _allowed(camera("gate.mp4"), lease.scope)]


def test_probe_tells_what_decodes_and_what_could(tmp_path: Path) -> None:
    found = probe(camera(Clip().write(tmp_path / "a.mp4")), timeout_s=30)
    assert found.decoder == "cpu" and set(found.devices) == set(KINDS)
