"""Every door through which pixels leave the fleet: that none is forgotten, and what each lets through."""

from __future__ import annotations

import re
from dataclasses import replace as changed
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
import pytest
import zmq
from msgspec.structs import replace

from pipeline.camera.capture import Capture
from pipeline.camera.evidence.clip import head_of
from pipeline.camera.evidence.door import ClipDoor
from pipeline.camera.evidence.ring import KeptPacket, Session
from pipeline.camera.frames import Frames
from pipeline.camera.picture import Picture
from pipeline.camera.published import Published
from pipeline.camera.waiting import WAIT_NS, Uncovered, Waiting
from pipeline.clock import SystemClock
from pipeline.config import load_fleet
from pipeline.config.privacy import Privacy
from pipeline.detections import Detections
from pipeline.doctor.model import OpenedModel
from pipeline.doctor.privacy import look_at_privacy
from pipeline.errors import ConfigError, RenderError, SourceError
from pipeline.fleet import Fleet
from pipeline.privacy import Cover
from pipeline.privacy.stencil import GREY
from pipeline.render import Request, render
from pipeline.runscope import RunLease, RunScope
from pipeline.tune.recordings import record_clips
from pipeline.viewing import STILLS, UNITS, Still, endpoint, unpack
from pipeline.web.snapshot import snapshot
from pipeline.wire import FrameResult
from tests.camera_media import camera
from tests.conftest import RECORDING_FPS, RECORDING_FRAMES
from tests.fleet_files import STUB
from tests.test_core import fixed, join, results, worker
from tests.test_privacy import SECOND_NS, box, noise, seen
from tests.waiting import DEADLINE_S

ROOT = Path(__file__).parent.parent / "pipeline"
LEFT = ((0, 0), (0.5, 0), (0.5, 1), (0, 1))
WH = (320, 180)

DOORS = {
    "camera/frames.py": "the slot, for the detector and whatever it hands pictures to: masked",
    "camera/view.py": "stills and snapshots, for page and commands: masked and blurred",
    "camera/units.py": "coded pictures: for the page if nothing is covered, else by `uncovered` for evidence alone",
    "camera/evidence/clip.py": "clips as they came, behind camera/evidence/door.py",
    "camera/evidence/covered.py": "clips encoded anew, masked and blurred",
    "camera/process.py": "packets of evidence_url, for evidence of events: by `uncovered` where it has to cover them",
    "evidence/clip.py": "clips of events as they came, on disk of cameras that keep them so: supervise/evidence.py",
    "evidence/covering.py": "clips of events encoded anew, masked and blurred, out of memory",
    "evidence/film.py": "such pictures in memory, to be decoded",
    "evidence/finish.py": "chooses the file of a clip as it came for its picture",
    "evidence/snapshot.py": "pictures of events; each passes `presentable`, masked and blurred",
    "film.py": "writes what it is given, for the one above and render/play.py",
    "render/play.py": "a film of a recording and its results: masked and blurred if it is asked for",
    "web/snapshot.py": "draws boxes on a snapshot that has come through camera/view.py",
    "record/container.py": "camfleet record: all that a camera sends, and tune, which refuses cameras with privacy",
    "rehearse/pictures.py": "frames of the user's own recordings, masked; of cameras with blur none, by its callers",
    "levers/recordings.py": "pictures of the user's own recordings, to calibrate on, for a moment",
}
"""What makes or sends pictures, by file, and what it does about privacy. docs/guides/privacy.md tells users."""
MAKES_PICTURES = re.compile(
    r"\b(imencode|imwrite|add_stream|add_stream_from_template|add_mux_stream|to_image|Film|SlotWriter|Unit|KeptView)\("
)


def test_no_door_is_forgotten() -> None:
    """A new one is covered first, then written down here and in the guide."""
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if MAKES_PICTURES.search(path.read_text(encoding="utf-8"))
    }
    assert found - DOORS.keys() == PASS_NO_PICTURES
    assert DOORS.keys() - found == set()


PASS_NO_PICTURES = {
    "burst/encode.py",
    "burst/shrink.py",
    "rehearse/cast.py",
    "replay/packetize.py",
    "replay/push.py",
    "sink/nats.py",
    "viewing.py",
}
"""The user's own recordings, played or encoded for that; streams of messages; and the type of a word."""


# --- the detector's door ------------------------------------------------------------------------------------------


def test_picture_that_a_mask_does_not_fit_is_shown_to_nobody(tmp_path: Path) -> None:
    masked = camera("rtsp://127.0.0.1/1", privacy=Privacy(masks=(((0, 0), (1900, 0), (1900, 1000)),)))
    now_ns = SystemClock().monotonic_ns()
    picture = Picture(
        frame=av.VideoFrame.from_ndarray(noise(WH), "rgb24"),
        pts_s=0.0,
        received_ns=now_ns,
        capture=Capture(now_ns, now_ns, "arrival"),
        corrupt=False,
        max_gap_s=1.0,
    )
    with RunLease(tmp_path) as lease:
        frames = Frames(lease.scope, masked, SystemClock())
        with pytest.raises(
            SourceError, match=r"privacy\.masks\.0: \[1900, 0\] is outside the camera's picture, .*320x180"
        ):
            frames.put(picture)
        frames.close()


def moving(camera_id: str, frame_id: int) -> Detections:
    left = float(2 * frame_id)
    xyxy = np.array([[left, 10, left + 8, 30]], np.float32)
    return Detections(xyxy, np.array([0.9], np.float32), np.zeros(1, np.int32))


def test_boxes_in_a_mask_are_published_by_nobody_neither_found_nor_carried_there() -> None:
    right = ((0.5, 0), (1, 0), (1, 1), (0.5, 1))
    free, masked = worker(detect=moving), worker(detect=moving)
    join(free, fixed("a", 4))
    join(masked, fixed("a", 4, masks=(right,)))
    for fleet in (free, masked):
        fleet.run(1.2)

    def within(found: list[FrameResult]) -> list[str]:
        return [
            one.origin
            for result in found
            for one in result.tracks
            if one.xyxy[0] + one.xyxy[2] > result.frame_wh[0] * 1.01
        ]

    assert {"detected", "predicted"} <= set(within(results(free)))
    assert within(results(masked)) == []
    assert sum(len(result.tracks) for result in results(masked)) > 5


def test_camera_is_told_of_classes_to_be_blurred_that_the_detector_does_not_know() -> None:
    fleet = worker()
    (known, unknown) = join(fleet, fixed("a", blur=("thing",)), fixed("b", blur=("thing", "persn")))
    fleet.run(0.5)
    assert (known.admission.unknown, unknown.admission.unknown) == ((), ("persn",))


# --- stills and snapshots -----------------------------------------------------------------------------------------


class Told(Published):
    """What was published, without a publisher."""

    def __init__(self, *heard: FrameResult, keep_s: float = 100) -> None:
        nowhere = RunScope("nobody", Path("/nonexistent"))
        super().__init__(nowhere, camera("rtsp://127.0.0.1/1", privacy=Privacy(blur=("person",))))
        self._keep_ns = round(keep_s * SECOND_NS)
        for result in heard:
            self.note(result)


PERSON = seen(box(1, (0, 0, 640, 720)), session=496, frame_id=7)


def waiting(*heard: FrameResult) -> tuple[Waiting, Told]:
    told = Told(*heard)
    return Waiting(Cover(Privacy(blur=("person",))), told), told


def still(frame_id: int) -> Uncovered:
    told = Still(session=496, frame_id=frame_id, captured_at_ns=PERSON.captured_at_ns, frame_wh=(1280, 720))
    return Uncovered(STILLS, told, noise(WH), 0)


def is_blurred(pixels: np.ndarray) -> tuple[bool, ...]:
    """Whether the left and the right half of it are, but for what a box's doubt and margin take of the other."""
    return tuple(len(np.unique(part.reshape(-1, 3), axis=0)) < 400 for part in (pixels[:, :160], pixels[:, 200:]))


def test_still_waits_for_the_boxes_of_its_own_frame() -> None:
    pictures, told = waiting()
    pictures.add(still(7))
    assert list(pictures.covered(WAIT_NS // 2)) == []
    told.note(PERSON)
    (shown,) = pictures.covered(WAIT_NS // 2)
    assert is_blurred(shown.pixels) == (True, False)
    told.close()


@pytest.mark.parametrize(
    ("heard", "blurred"),
    [((), (True, True)), ((PERSON,), (True, False)), ((replace(PERSON, origin="skipped", tracks=()),), (True, True))],
    ids=["nothing", "of another frame", "that nothing is known"],
)
def test_still_of_whose_frame_nothing_comes_is_shown_by_what_was_heard_last(
    heard: tuple[FrameResult, ...], blurred: tuple[bool, bool]
) -> None:
    pictures, told = waiting(*heard)
    pictures.add(still(9))
    (shown,) = pictures.covered(WAIT_NS)
    assert is_blurred(shown.pixels) == blurred
    told.close()


def test_nothing_is_known_of_pictures_while_the_detector_does_not_know_a_class() -> None:
    pictures, told = waiting()
    told.unknown = ("persn",)
    told.note(PERSON)
    pictures.add(still(7))
    (shown,) = pictures.covered(0)
    assert is_blurred(shown.pixels) == (True, True)
    assert told.concern == "privacy.blur: the model does not know “persn”, so its pictures are blurred as a whole"
    told.close()


def test_what_was_published_is_forgotten_after_a_while() -> None:
    told = Told(*(seen(at_s=number, frame_id=number) for number in range(200)), keep_s=10)
    assert [result.frame_id for result in told.all] == list(range(189, 200))
    assert told.of((496, 10)) is None and told.of((496, 199)) is told.newest
    told.close()


# --- clips --------------------------------------------------------------------------------------------------------


@pytest.fixture
def packets(recording: Path) -> list[KeptPacket]:
    """The recording as it is kept, from a moment on."""
    kept: list[KeptPacket] = []
    with av.open(str(recording)) as container:
        stream = container.streams.video[0]
        session = None
        for packet in container.demux(stream):
            if packet.pts is None:
                continue
            session = session or Session("h264", WH, head_of(stream, packet))
            at_s = float(packet.pts * packet.time_base)
            kept.append(
                KeptPacket(bytes(packet), packet.is_keyframe, at_s, BEGIN_NS + round(at_s * SECOND_NS), session)
            )
    return kept


BEGIN_NS = PERSON.captured_at_ns


def pictures_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_clip_of_a_camera_with_masks_shows_nothing_under_them_and_all_else(
    packets: list[KeptPacket], tmp_path: Path
) -> None:
    masked = camera("rtsp://127.0.0.1/1", privacy=Privacy(masks=(LEFT,)))
    ClipDoor(masked, None).write(tmp_path / "clip.mkv", packets, BEGIN_NS, 20.0)
    shown = pictures_of(tmp_path / "clip.mkv")
    assert len(shown) == RECORDING_FRAMES
    assert all(np.abs(picture[:, :158].astype(int) - GREY).max() < 12 for picture in shown)
    assert shown[70][60:120, 170:190].mean() > 180, "the square, where it is not masked"


def test_clip_of_a_camera_that_hangs_on_its_side_is_masked_where_it_is_shown(
    packets: list[KeptPacket], tmp_path: Path
) -> None:
    masked = camera("rtsp://127.0.0.1/1", rotate=90, privacy=Privacy(masks=(((0, 0), (1, 0), (1, 0.5), (0, 0.5)),)))
    ClipDoor(masked, None).write(tmp_path / "clip.mp4", packets, BEGIN_NS, 20.0)
    shown = pictures_of(tmp_path / "clip.mp4")
    assert shown[0].shape == (320, 180, 3)
    assert all(np.abs(picture[:158].astype(int) - GREY).max() < 12 for picture in shown)


def test_clip_is_blurred_by_what_was_published_around_each_picture(packets: list[KeptPacket], tmp_path: Path) -> None:
    known = [
        seen(
            box(1, (0, 0, 640, 720)) if number < 30 else box(1, (640, 0, 1280, 720)),
            at_s=number / RECORDING_FPS,
            frame_id=number,
        )
        for number in range(50)
    ]
    told = Told(*known)
    blurred = camera("rtsp://127.0.0.1/1", privacy=Privacy(blur=("person",), margin=0))
    ClipDoor(blurred, told).write(tmp_path / "clip.mkv", packets, BEGIN_NS, 20.0)
    told.close()
    shown = pictures_of(tmp_path / "clip.mkv")
    assert len(shown) == RECORDING_FRAMES
    # The square's left side is at 2 px a frame: sharp where nobody is, and drawn into a large cell where somebody is.
    edges = [int(np.abs(np.diff(picture[90, :, 1].astype(int))).max()) for picture in shown]
    assert min(edges[32:45]) > 120, "where it is known that nobody is in the left half, it is as it was"
    assert shown[74].reshape(-1, 3).std(axis=0).max() < 80, "a second behind the last result, nothing is known"


def test_clips_are_refused_or_left_alone_where_the_file_says_so(packets: list[KeptPacket], tmp_path: Path) -> None:
    masked = Privacy(masks=(LEFT,))
    none = camera("rtsp://127.0.0.1/1", privacy=masked.model_copy(update={"clips": "none"}))
    with pytest.raises(SourceError, match=r"gives no clips, as its privacy\.clips is “none”; “covered” allows them"):
        ClipDoor(none, None).require_open()
    whole = camera("rtsp://127.0.0.1/1", privacy=masked.model_copy(update={"clips": "as_recorded"}))
    ClipDoor(whole, None).write(tmp_path / "clip.mkv", packets, BEGIN_NS, None)
    assert pictures_of(tmp_path / "clip.mkv")[10][60:120, 30:70].mean() > 180


# --- films, tune, check -------------------------------------------------------------------------------------------


def kept(path: Path, *some: FrameResult) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(result) + b"\n" for result in some))
    return path


def test_render_masks_and_blurs_as_the_fleet_file_says(recording: Path, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    mask = "{masks: [[0, 0], [0.25, 0], [0.25, 1], [0, 1]], blur: person}"
    file.write_text(f"{STUB}\ncameras: {{gate: {{url: '{recording}', privacy: {mask}}}}}\n")
    some = [seen(frame_wh=WH, frame_id=number, pts_s=number / RECORDING_FPS) for number in range(40)]
    request = Request(
        video=recording,
        results=kept(tmp_path / "results.jsonl", *some),
        out=tmp_path / "film.mkv",
        cameras=load_fleet(file, {}).cameras,
        trail_s=0,
        caption=False,
    )
    render(request)
    shown = pictures_of(tmp_path / "film.mkv")
    assert all(np.abs(picture[:60, :78].astype(int) - GREY).max() < 16 for picture in shown[:40])
    assert shown[39][60:120, 90:130].mean() > 180, "nobody was there"
    assert (
        np.abs(np.diff(shown[60][90, :, 1].astype(int))).max() < np.abs(np.diff(shown[39][90, :, 1].astype(int))).max()
    )
    with pytest.raises(RenderError, match="the fleet file has no camera “gate”, of which the results are; it has yard"):
        render(changed(request, cameras={"yard": request.cameras["gate"]}, out=tmp_path / "other.mkv"))


def test_tune_does_not_keep_clips_of_cameras_with_privacy(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"{STUB}\ncameras: {{gate: {{url: rtsp://127.0.0.1/1, privacy: {{blur: object}}}}}}\n")
    with pytest.raises(ConfigError, match=r"camera gate: its privacy covers pictures, .*--recordings DIR"):
        record_clips(load_fleet(file, {}), tmp_path / "clips", lambda line: None)
    assert not (tmp_path / "clips").exists()


def test_check_finds_classes_to_be_blurred_that_the_model_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(
        f"{STUB}\ndefaults: {{privacy: {{blur: [persn, car]}}}}\ncameras: {{a: {{url: rtsp://x/1}}, b: {{url: rtsp://x/2}}}}\n"
    )
    opened = OpenedModel(
        name="m", device="cpu", backend="stub", input_wh=(64, 64), max_batch=1, lanes=1,
        class_names=["person", "car"], kept=["person", "car"],
    )  # fmt: skip
    (found,) = look_at_privacy(load_fleet(file, {}), [opened])
    assert found.words == (
        "cameras.a.privacy.blur: the model does not know “persn”, so the pictures of a, b are blurred as a whole; did "
        "you mean “person”?"
    )
    assert list(look_at_privacy(load_fleet(file, {}), [])) == []


# --- a fleet ------------------------------------------------------------------------------------------------------


def test_fleet_shows_neither_detector_nor_page_a_pixel_of_what_is_masked(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bright square runs through the mask; the detector says what it sees, and blurs it everywhere else."""
    monkeypatch.setattr("pipeline.web.snapshot.PICTURE_S", DEADLINE_S)
    file = tmp_path / "fleet.yaml"
    privacy = "{masks: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], blur: bright, margin: 0.2}"
    file.write_text(
        "model: {path: '-', backend: 'tests.plugin_bright:make'}\npublish: {bind: 'tcp://127.0.0.1:0'}\n"
        f"slo: {{p95_ms: 2000}}\ncameras: {{gate: {{url: '{recording}', loop: true, stride: 1, privacy: {privacy}}}}}\n"
    )
    with Fleet(file) as fleet, zmq.Context.instance().socket(zmq.SUB) as looks:
        looks.set(zmq.LINGER, 0)
        looks.connect(endpoint(fleet.directory, "gate"))
        looks.subscribe(UNITS)
        looks.subscribe(STILLS)
        boxes, stills = [], []
        with fleet.results(timeout_s=DEADLINE_S) as messages:
            for result in messages:
                boxes += result.tracks
                while looks.poll(0):
                    stills.append(looks.recv_multipart())
                if len(boxes) > 20 and len(stills) > 8:
                    break
        jpeg = snapshot(fleet.directory, fleet.inside, "gate")
    assert {type(unpack(word)) for _, word, _ in stills} == {Still}, (
        "coded pictures, which cannot be masked, do not come"
    )
    for data in [jpeg, *(data for _, _, data in stills)]:
        shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert shown.shape == (180, 320)
        assert np.abs(shown[:, :156].astype(int) - GREY).max() < 25
    detected = [one.xyxy for one in boxes if one.origin == "detected"]
    assert detected and min(left for left, _, _, _ in detected) >= 158, (
        "the detector sees the square behind the mask only"
    )
