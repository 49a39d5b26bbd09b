"""Evidence of cameras of which something is to be covered: what is on disk when, and what it shows."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from pipeline import Fleet
from pipeline.clock import NS_PER_S
from pipeline.config.privacy import Privacy
from pipeline.evidence.coded import Coded, Moment
from pipeline.evidence.coverer import LOST
from pipeline.evidence.covering import Covering
from pipeline.evidence.known import KEEP_S, Known
from pipeline.evidence.record import read_record
from pipeline.privacy.stencil import GREY
from pipeline.replay.options import Playback, ReplayOptions
from pipeline.replay.process import ServedRecordings, serve_recordings
from tests.plugin_numbered import write
from tests.test_event_evidence import AT_WORK, BEGAN_NS, FPS, STREAM, WH, AtDesk, coded, event, frame
from tests.test_event_evidence_fleet import LASTING, first_kept, fleet_file

RIGHT = ((0.5, 0), (1, 0), (1, 1), (0.5, 1))
MASKED, BLURRED = Privacy(masks=(RIGHT,)), Privacy(blur=("person",))
ALL = (0.0, 0.0, 320.0, 180.0)


@pytest.fixture(autouse=True)
def desks_are_left() -> Iterator[None]:
    yield
    while AT_WORK:
        AT_WORK.pop().close(20)


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> list[Coded]:
    return coded(write(tmp_path_factory.mktemp("plain") / "numbered.mp4", WH, frames=150))


def noise() -> np.ndarray:
    """(H, W, 3) uint8, in which a person has a face."""
    return np.random.default_rng(1).integers(0, 255, (180, 320, 3), np.uint8)


def is_blurred(picture: np.ndarray) -> bool:
    return len(np.unique(picture.reshape(-1, 3), axis=0)) < 400


def at(number: int, **more: object) -> Moment:
    return Moment(STREAM, number / FPS, BEGAN_NS + number * NS_PER_S // FPS, (5, number), **more)  # type: ignore[arg-type]


# --- one picture --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "blurred"),
    [
        pytest.param(at(10), False, id="somebody is known to be elsewhere"),
        pytest.param(at(40), True, id="somebody is there"),
        pytest.param(at(29), True, id="somebody is there a frame later"),
        pytest.param(at(62), True, id="nothing was heard of it yet"),
        pytest.param(at(200), True, id="nothing is known of it"),
        pytest.param(at(10, blind=True), True, id="the detector does not know the class"),
        pytest.param(at(25, aligned_by="content", error_ms=None), True, id="nobody knows which moment it is"),
    ],
)
def test_picture_is_covered_by_what_is_known_of_its_moment(moment: Moment, blurred: bool) -> None:
    results = [frame(number, ALL if number >= 30 else (0, 0, 4, 4)) for number in range(60)]
    assert is_blurred(Covering(BLURRED, results).apply(noise(), moment)) == blurred


def test_picture_of_a_second_stream_is_covered_by_its_streams_time_too() -> None:
    """A frame that came 0.6 s late is found where its own time says."""
    late = [
        replace(one, captured_at_ns=one.captured_at_ns + 600_000_000)
        for one in (frame(number, ALL if number < 30 else (0, 0, 4, 4)) for number in range(60))
    ]
    moment = at(44, aligned_by="content", error_ms=30.0)
    assert not is_blurred(Covering(BLURRED, late[:30] and late, BEGAN_NS).apply(noise(), at(55, error_ms=30.0)))
    assert is_blurred(Covering(BLURRED, late, BEGAN_NS).apply(noise(), moment)), "it may be of either time"


def test_picture_is_not_covered_by_what_was_seen_in_an_earlier_session() -> None:
    """The stream's own time begins anew with each session, and what is known of the same time in another is nothing."""
    earlier = [replace(frame(number, (0, 0, 4, 4)), session=1) for number in range(250)]
    present = [
        replace(
            frame(number, ALL),
            session=2,
            origin="skipped",
            tracks=(),
            captured_at_ns=frame(number).captured_at_ns + 60 * NS_PER_S,
        )
        for number in range(250)
    ]
    began_ns = BEGAN_NS + 60 * NS_PER_S
    known = at(100, aligned_by="content", error_ms=30.0)
    moment = dataclasses.replace(known, at_ns=known.at_ns + 60 * NS_PER_S)
    assert is_blurred(Covering(BLURRED, [*earlier, *present], began_ns).apply(noise(), moment))


def test_results_are_known_for_as_long_as_clips_begin_before_their_event() -> None:
    known = Known(("person",), before_s=40)
    for number in range(0, 3000, 5):
        known.hear(frame(number))
    known.forget(known.newest_ns)
    assert known.newest_ns - known.all[0].captured_at_ns == 50 * NS_PER_S


def test_known_results_have_the_classes_that_matter_and_are_forgotten() -> None:
    known, indifferent = Known(("person",)), Known(())
    for number in range(0, 2000, 5):
        known.hear(frame(number))
        indifferent.hear(frame(number))
    car = replace(frame(2000).tracks[0], class_name="car")
    known.hear(replace(frame(2000), tracks=(car,)))
    assert [len(one.tracks) for one in known.all][-2:] == [1, 0]
    assert indifferent.all == [] and not indifferent.matters
    known.forget(BEGAN_NS + 20 * NS_PER_S)
    assert known.all[0].captured_at_ns == BEGAN_NS + 20 * NS_PER_S
    known.forget(known.newest_ns)
    assert known.all[0].captured_at_ns == known.newest_ns - round(KEEP_S * NS_PER_S)


# --- what is on disk when -----------------------------------------------------------------------------------------


def pictures_of(file: str) -> list[np.ndarray]:
    with av.open(file) as container:
        return [one.to_ndarray(format="bgr24") for one in container.decode(video=0)]


def is_grey(part: np.ndarray) -> bool:
    return bool(np.abs(part.astype(int) - GREY).max() < 14)


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_desk_covers_clip_and_picture_and_writes_nothing_of_them_before(
    in_order: list[Coded], kind: str, tmp_path: Path
) -> None:
    desk = AtDesk(tmp_path, in_order, MASKED, format=kind)
    desk.play(3.0)
    desk.desk.hear(event(at_s=2.6))
    desk.play(3.5)
    assert [name[0] + name[-5:] for name in desk.files] == ["..json"]
    desk.play(3.72)
    desk.finish()
    (kept,) = desk.told
    record = read_record(Path(kept.record))
    assert record is not None and record.clip is not None and record.snapshot is not None and record.detail == ""
    assert (record.clip.from_ns - BEGAN_NS, record.clip.to_ns - BEGAN_NS) == (1.6 * NS_PER_S, 3.6 * NS_PER_S)
    shown = pictures_of(kept.clip)
    assert len(shown) == record.clip.frames == 51
    still = cv2.imread(kept.snapshot)
    for picture in (*shown, still):
        assert picture.shape == (180, 320, 3) and is_grey(picture[:, 157:]) and not is_grey(picture[:, :150])
    assert len(desk.files) == 3


def test_desk_waits_for_what_is_known_of_the_last_pictures(in_order: list[Coded], tmp_path: Path) -> None:
    desk = AtDesk(tmp_path, in_order, BLURRED)
    desk.play(3.0)
    desk.desk.hear(event(at_s=2.6))
    desk.play(3.9)
    assert desk.desk._cases
    desk.play(4.3)
    desk.finish()
    (kept,) = desk.told
    # The object is at 10..60 × 20..80 and blurred with it is what is around it: the square is below.
    assert len(pictures_of(kept.clip)) == 51 and kept.detail == ""


def test_desk_that_is_killed_leaves_no_picture_and_the_next_says_so(in_order: list[Coded], tmp_path: Path) -> None:
    desk = AtDesk(tmp_path, in_order, MASKED)
    desk.play(3.0)
    desk.desk.hear(event("begin", at_s=2.0))
    desk.play(4.4)
    (tmp_path / "again").mkdir()
    shutil.copytree(desk.folder, tmp_path / "again" / "kept")
    (half,) = (tmp_path / "again").glob("kept/*/*/.*.json")
    half.with_name(f"{half.stem}.0.part").write_bytes(b"half a covered clip")
    again = AtDesk(tmp_path / "again", in_order, MASKED)
    (kept,) = again.told
    assert (kept.clip, kept.snapshot, kept.detail) == ("", "", LOST)
    assert [Path(name).suffix for name in again.files] == [".json"]


def test_desk_holds_no_more_than_its_memory(in_order: list[Coded], tmp_path: Path) -> None:
    large = [Coded(one.number, one.key, one.data + bytes(30_000), one.moment) for one in in_order]
    desk = AtDesk(tmp_path, large, MASKED, memory_mb=1)
    desk.play(2.0)
    desk.desk.hear(event("begin", at_s=1.5))
    desk.play(5.0)
    (case,) = desk.desk._cases.values()
    assert case.held_bytes <= 1 << 20 and 30 <= len(case.held) < 40
    desk.desk.hear(event("end", at_s=1.5, lasted_s=2.0))
    desk.play(5.2)
    desk.finish()
    (kept,) = desk.told
    assert "memory_mb" in kept.detail and kept.clip


def test_desk_with_a_mask_that_does_not_fit_keeps_a_record_that_says_so(in_order: list[Coded], tmp_path: Path) -> None:
    desk = AtDesk(tmp_path, in_order, Privacy(masks=(((0, 0), (1900, 0), (1900, 1000)),)))
    desk.play(3.0)
    desk.desk.hear(event(at_s=1.5))
    desk.play(3.2)
    desk.finish()
    (kept,) = desk.told
    assert (kept.clip, kept.snapshot) == ("", "") and "outside the camera's picture" in kept.detail
    assert len(desk.files) == 1


# --- a fleet ------------------------------------------------------------------------------------------------------


def texture(folder: Path, wh: tuple[int, int]) -> Path:
    """A recording of fine noise, of whose points nothing is left where it is blurred."""
    small = np.random.default_rng(2).integers(0, 256, (90, 160), np.uint8)
    luma = cv2.resize(small, wh, interpolation=cv2.INTER_NEAREST)
    file = folder / f"{wh[0]}.mp4"
    with av.open(str(file), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"g": "25", "bf": "0", "preset": "ultrafast"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *wh, "yuv420p"
        for number in range(250):
            one = av.VideoFrame.from_ndarray(np.roll(luma, number % 8, 0), format="gray").reformat(format="yuv420p")
            one.pts, one.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(one))
        container.mux(video.encode(None))
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRecordings]:
    folder = tmp_path_factory.mktemp("texture")
    files = texture(folder, (320, 180)), texture(folder, (640, 360))
    with serve_recordings(ReplayOptions(files, playback=Playback(offset_s=0))) as served:
        yield served


def test_fleet_covers_the_evidence_of_both_streams(
    server: ServedRecordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("shapely", reason="masks, zones and lines need Shapely: pip install 'camfleet[rules]'")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sub, main = server.urls
    both = {"url": sub, "zones": LASTING, "privacy": {"masks": [RIGHT], "blur": ["number"]}}
    cameras: dict[str, object] = {"yard": both, "gate": both | {"evidence_url": main}}
    with Fleet(fleet_file(tmp_path, cameras, before_s=0.5, after_s=0.5, longest_s=2.5)) as fleet:
        found = first_kept(fleet, set(cameras))
    for camera_id, scale in (("yard", 1), ("gate", 2)):
        kept = found[camera_id]
        assert kept.detail == "" and kept.snapshot_wh == (320 * scale, 180 * scale), json.dumps(kept.detail)
        shown = pictures_of(kept.clip)
        assert len(shown) > 10  # a clip begins with the first key frame that is seen
        for picture in (*shown, cv2.imread(kept.snapshot)):
            # Beside the noise, encoding the painted picture leaves a trace of it in its own block of 16 px.
            assert is_grey(picture[:, 160 * scale + 4 :]), camera_id
            assert np.abs(picture[:, 160 * scale :].astype(int) - GREY).max() < 40, camera_id
            # The object is at 10..100 × 10..100; a cell is 9 px, a point of the noise 2.
            blurred, free = picture[10 * scale : 100 * scale, 10 * scale : 100 * scale], picture[120 * scale :]
            assert blurred.std() < 30 and free[:, : 150 * scale].std() > 45, camera_id
        assert {file.suffix for file in Path(kept.clip).parent.glob(f"{Path(kept.record).stem}*")} == {
            ".mp4",
            ".jpg",
            ".json",
        }
