"""Sources that are neither a camera nor a recording: folders of pictures, functions of Python, other protocols."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline import Fleet
from pipeline.camera.source import open_source
from pipeline.clock import NS_PER_S, SystemClock, VirtualClock
from pipeline.config import load_fleet
from pipeline.errors import ConfigError, SourceError, SourceLost
from tests.camera_media import camera
from tests.plugin_pictures import COUNT
from tests.test_source import Watch, played, steps_s

COCO = Path(__file__).parents[2] / "shared/data/coco/images"


def folder_of(folder: Path, count: int = 12, ending: str = ".png") -> Path:
    """Pictures of growing brightness, numbered from 1 with as many digits as each number needs in a camera's folder."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number + 1:06d}{ending}"), np.full((96, 128, 3), number * 10, np.uint8))
    return folder


def brightness(frame: av.VideoFrame | None) -> int:
    return -1 if frame is None else round(frame.to_ndarray(format="gray").mean())


@pytest.mark.parametrize("ending", [".png", ".jpg", ".JPEG", ".bmp", ".webp", ".tiff"])
def test_folder_is_played_by_name_at_its_rate(ending: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "100% of frames", ending=".jpg" if ending == ".JPEG" else ending)
    if ending == ".JPEG":
        for file in folder.iterdir():
            file.rename(file.with_suffix(ending))
    (folder / "notes.txt").write_text("no picture")
    (folder / "more").mkdir()
    pictures = played(camera(folder, fps=10))
    assert [brightness(p.frame) for p in pictures] == pytest.approx([10 * number for number in range(12)], abs=3)
    assert steps_s(pictures) == pytest.approx([0.1] * 11)
    due_s = [(p.received_ns - pictures[0].received_ns) / NS_PER_S for p in pictures]
    assert due_s == pytest.approx([0.1 * number for number in range(12)], abs=0.002)


def test_folder_with_a_broken_picture_has_a_gap_there(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "frames")
    (folder / "000001.png").write_bytes(b"no picture")
    (folder / "000005.png").write_bytes((folder / "000005.png").read_bytes()[:40])
    pictures = played(camera(folder))
    assert [number for number, picture in enumerate(pictures) if picture.frame is None] == [0, 4]
    assert [picture.corrupt for picture in pictures] == [number in (0, 4) for number in range(12)]


def test_folder_that_loops_shows_what_has_come_meanwhile(tmp_path: Path) -> None:
    folder, clock = folder_of(tmp_path / "frames", count=3), VirtualClock(1000.0)
    source = open_source(camera(folder, loop=True), clock)
    seen = []
    for picture in source.pictures(Watch(clock, 10)):
        seen.append(picture)
        if len(seen) == 2:
            cv2.imwrite(str(folder / "000004.png"), np.full((96, 128, 3), 200, np.uint8))
    assert [brightness(p.frame) for p in seen][:9] == pytest.approx([0, 10, 20, 0, 10, 20, 200, 0, 10], abs=2)
    assert steps_s(seen) == pytest.approx([0.04] * (len(seen) - 1))


def test_folder_that_goes_away_is_one_clear_error(tmp_path: Path) -> None:
    folder, clock = folder_of(tmp_path / "frames", count=2), VirtualClock(1000.0)
    source = open_source(camera(folder, loop=True), clock)
    with pytest.raises(SourceError, match=r"frames cannot be read: No such file"):
        for _ in source.pictures(Watch(clock)):
            shutil.rmtree(folder, ignore_errors=True)


def test_folder_of_pictures_larger_than_allowed_says_which_key(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="max_pixels"):
        played(camera(folder_of(tmp_path / "frames"), max_pixels=1000))


@pytest.mark.skipif(not COCO.is_dir(), reason="COCO's pictures are not here")
def test_folder_of_photographs_of_many_sizes_is_played() -> None:
    pictures = played(camera(COCO), count=50)
    assert len(pictures) >= 49 and not any(picture.corrupt for picture in pictures)
    assert len({(p.frame.width, p.frame.height) for p in pictures if p.frame}) > 5


def function(name: str, **settings: object) -> object:
    return camera(f"python:tests.plugin_pictures:{name}", **settings)


def test_function_gives_its_pictures_no_faster_than_told() -> None:
    pictures = played(function("numbered", fps=10))
    assert [brightness(p.frame) for p in pictures] == pytest.approx([10 * number for number in range(COUNT)], abs=2)
    assert steps_s(pictures) == pytest.approx([0.1] * (COUNT - 1))
    assert (pictures[-1].received_ns - pictures[0].received_ns) / NS_PER_S == pytest.approx(1.9, abs=0.01)


def test_function_that_tells_times_is_shown_at_those() -> None:
    pictures = played(function("timed"))
    assert pictures[0].pts_s == 5 and steps_s(pictures) == pytest.approx([0.5] * (COUNT - 1))
    assert (pictures[-1].received_ns - pictures[0].received_ns) / NS_PER_S == pytest.approx(9.5, abs=0.01)


@pytest.mark.parametrize("name", ["numbered", "timed"])
def test_function_that_loops_is_called_again_and_time_goes_on(name: str) -> None:
    pictures = played(function(name, loop=True, fps=2), count=3 * COUNT)
    assert len(pictures) >= 3 * COUNT - 1
    assert steps_s(pictures) == pytest.approx([0.5] * (len(pictures) - 1))


def test_function_may_give_gray_pictures() -> None:
    pictures = played(function("gray"))
    assert [brightness(p.frame) for p in pictures] == [77] * 3


def test_function_may_give_a_source_of_its_own() -> None:
    source = open_source(function("whole_source"), SystemClock())
    assert source.description.codec == "h264"
    source.close()


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("missing", SourceError, "cannot open python:.*: 'missing' does not exist in 'tests.plugin_pictures'"),
        ("raises", SourceLost, "python:.* raised RuntimeError: no grabber"),
        ("raises_after_three", SourceLost, "raised RuntimeError: the grabber is unplugged"),
        ("floats", SourceError, r"gave an array of shape \(96, 128, 3\) and float64; expected a picture"),
        ("nothing", SourceError, "gave a NoneType; expected an iterable of pictures"),
        ("half_a_source", SourceError, "has no description, concern, blind, assembly, decoder, close"),
    ],
)
def test_function_that_does_it_wrong_is_one_clear_error(name: str, kind: type[SourceError], words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        played(function(name))
    assert type(error.value) is kind


def test_fleet_of_a_folder_and_a_function_delivers_every_frame(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "frames", count=24)
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "model: {backend: stub}\npublish: {bind: 'tcp://127.0.0.1:0'}\ndefaults: {loop: true, fps: 20}\n"
        f"cameras:\n  folder: {{url: {folder}}}\n  made: {{url: 'python:tests.plugin_pictures:numbered'}}\n"
    )
    seen: dict[str, list[int]] = {"folder": [], "made": []}
    with Fleet(path) as fleet, fleet.results(timeout_s=60) as results:
        for result in results:
            seen[result.camera_id].append(result.frame_id)
            if all(len(frames) >= 40 for frames in seen.values()):
                break
    for frames in seen.values():
        assert frames == list(range(frames[0], frames[0] + len(frames)))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("whep://host/cam", "FFmpeg reads no WebRTC; let a gateway such as MediaMTX or go2rtc give it as rtsp://"),
        ("srt://host/cam", "srt:// needs a port"),
        ("python:nothing", "names no function; expected python:package.module:function"),
        ("'python:os.system(1):x'", "names no function"),
    ],
)
def test_address_that_cannot_be_is_refused_with_what_to_do(url: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"model: {{backend: stub}}\ncameras: {{gate: {{url: {url}}}}}\n")
    with pytest.raises(ConfigError) as error:
        load_fleet(file)
    assert words in str(error.value)


def test_srt_is_opened_where_ffmpeg_speaks_it_and_else_said_so() -> None:
    url = "srt://127.0.0.1:9?passphrase=hunter2hunter2"
    with pytest.raises(SourceError, match=r"cannot open srt://") as error:
        open_source(camera(url, open_timeout_s=1, read_timeout_s=1), SystemClock())
    assert "hunter2" not in str(error.value)
    speaks = "it does not answer in time; check host, port, passphrase"
    assert speaks in str(error.value) or "this FFmpeg does not speak that protocol; let a gateway" in str(error.value)
