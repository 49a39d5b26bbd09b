"""What is kept of events: coded pictures, clips, pictures of objects, records, retention; without a fleet."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.cli.events import events
from pipeline.clock import NS_PER_S
from pipeline.config import load_fleet
from pipeline.config.evidence import EventEvidence, Retention
from pipeline.config.privacy import Privacy
from pipeline.errors import ConfigError, SinkError, WireError
from pipeline.evidence.case import GRACE_S, Case
from pipeline.evidence.clip import Clip
from pipeline.evidence.coded import START, Coded, Moment, Stream, complete
from pipeline.evidence.desk import NOTHING, Desk
from pipeline.evidence.film import Film, film_of
from pipeline.evidence.finish import CUT_OFF, recover
from pipeline.evidence.keep import Keep
from pipeline.evidence.record import Footage, Record, beside, read_record, stem_of, write_record
from pipeline.evidence.sights import MOST, Best, Frames, Sight, seen
from pipeline.evidence.snapshot import take
from pipeline.evidence.spec import EvidenceSpec, Keeps, Watched
from pipeline.evidence.tape import REORDERED, Tape
from pipeline.evidence.watch import _View
from pipeline.supervise.evidence import keeps, wanted_of
from pipeline.viewing import UNITS, Shown, Unit, pack
from pipeline.wire import Event, FrameResult, TrackedBox
from tests.camera_media import camera
from tests.plugin_numbered import number_in, write
from tests.wire_messages import EVENT, EVIDENCE, FRAME

FPS = 25
BEGAN_NS = 1_764_000_000 * NS_PER_S
WH = (320, 180)
STREAM = Stream("h264", 5, WH)


def coded(path: Path, stream: Stream = STREAM) -> list[Coded]:
    """The coded pictures of a recording; frame n of session 5 was captured n / 25 s after it began."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        extradata, unit_s = video.codec_context.extradata or b"", video.time_base or 1
        found = []
        for number, packet in enumerate((one for one in container.demux(video) if one.size), 1):
            pts_s = float((packet.pts or 0) * unit_s)
            data = complete(stream.codec, extradata, bytes(packet), key=packet.is_keyframe)
            moment = Moment(stream, pts_s, BEGAN_NS + round(pts_s * NS_PER_S), (5, round(pts_s * FPS)))
            found.append(Coded(number, packet.is_keyframe, data, moment))
    return found


@pytest.fixture(scope="module", params=[0, 2], ids=["in order", "out of order"])
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Coded]:
    path = tmp_path_factory.mktemp("numbered") / "numbered.mp4"
    return coded(write(path, WH, frames=150, bf=request.param))


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> list[Coded]:
    return coded(write(tmp_path_factory.mktemp("plain") / "numbered.mp4", WH, frames=150))


def event(phase: str = "once", at_s: float = 3.0, name: str = "5d1c7a90b3e2f468", **more: object) -> Event:
    told = {"session_id": FRAME.session_id, "track_id": 3, "lasted_s": 0.0, "rule": "drive", **more}
    body = {**{key: getattr(EVENT, key) for key in EVENT.__struct_fields__}, **told}
    return Event(**{**body, "event_id": name, "phase": phase, "at_ns": BEGAN_NS + round(at_s * NS_PER_S)})


def frame(number: int, xyxy: tuple[float, float, float, float] = (10, 20, 60, 80), score: float = 0.9) -> FrameResult:
    box = TrackedBox(
        track_id=3,
        class_id=0,
        class_name="person",
        score=score,
        xyxy=xyxy,
        origin="detected",
        since_detected_ms=0.0,
        uncertainty_px=1.0,
    )
    body = {key: getattr(FRAME, key) for key in FRAME.__struct_fields__}
    at = {"session": 5, "frame_id": number, "pts_s": number / FPS, "frame_wh": WH, "tracks": (box,)}
    return FrameResult(**{**body, **at, "captured_at_ns": BEGAN_NS + number * NS_PER_S // FPS})


# --- coded pictures -----------------------------------------------------------------------------------------------


def test_coded_picture_of_a_recording_gets_start_codes_and_parameter_sets(pictures: list[Coded]) -> None:
    assert all(one.data.startswith(START) for one in pictures)
    assert [b"\x67" in one.data[4:5] for one in pictures] == [one.key for one in pictures]
    with av.open(io.BytesIO(b"".join(one.data for one in pictures)), "r", format="h264") as container:
        assert sum(1 for _ in container.decode(video=0)) == 150


def test_coded_picture_with_a_length_that_looks_like_a_start_code_is_read_by_its_length() -> None:
    header = b"\x01\x64\x00\x1e\xff\xe1\x00\x02\x67\x01\x01\x00\x01\x68"
    unit = b"\x65" + bytes(299)
    found = complete("h264", header, len(unit).to_bytes(4, "big") + unit, key=True)
    assert found == START + b"\x67\x01" + START + b"\x68" + START + unit


def test_coded_picture_of_hevc_gets_all_arrays_of_its_header() -> None:
    arrays = b"".join(bytes([kind]) + b"\x00\x01\x00\x02" + bytes([kind << 1, 1]) for kind in (32, 33, 34))
    header = b"\x01" + bytes(20) + b"\x03\x03" + arrays
    found = complete("hevc", header, b"\x00\x00\x00\x03\x26\x01\x02", key=True)
    sets = b"".join(START + bytes([kind << 1, 1]) for kind in (32, 33, 34))
    assert found == sets + START + b"\x26\x01\x02"


def test_coded_picture_of_a_camera_gets_the_sets_of_its_sdp_where_it_has_none() -> None:
    sets, picture = START + b"\x67\x01" + START + b"\x68", START + b"\x65\x02"
    assert complete("h264", sets, picture, key=True) == sets + picture
    assert complete("h264", sets, sets + picture, key=True) == sets + picture
    assert complete("h264", sets, START + b"\x41\x02", key=False) == START + b"\x41\x02"
    assert complete("mjpeg", b"", b"\xff\xd8", key=True) == b"\xff\xd8"


# --- the tape -----------------------------------------------------------------------------------------------------


def put(tape: Tape, pictures: Sequence[Coded]) -> None:
    for one in pictures:
        tape.put(Coded(one.number, one.key, one.data))
        assert one.moment is not None
        tape.show(one.number, one.moment)


def test_tape_keeps_its_seconds_in_whole_groups(pictures: list[Coded]) -> None:
    tape = Tape(2.0, 1 << 20)
    put(tape, pictures)
    kept = tape.since(0)
    assert kept[0].key and kept[-1].number == 150 and 50 <= len(kept) <= 78
    assert tape.size == sum(len(one.data) for one in kept)


def test_tape_never_has_more_than_its_bytes(pictures: list[Coded]) -> None:
    tape = Tape(60.0, 6000)
    for one in pictures:
        put(tape, [one])
        assert tape.size <= 6000
        assert not (kept := tape.since(0)) or kept[0].key


def test_tape_with_a_gap_goes_on_at_the_next_key_frame(pictures: list[Coded]) -> None:
    tape = Tape(60.0, 1 << 20)
    put(tape, [one for one in pictures if one.number != 60])
    assert [one.number for one in tape.since(50)] == [*range(51, 60), *range(76, 151)]


def test_tape_gives_what_is_shown_and_in_the_end_what_never_is(in_order: list[Coded]) -> None:
    tape = Tape(60.0, 1 << 20)
    for one in in_order[:40]:
        tape.put(Coded(one.number, one.key, one.data))
        if one.number != 10 and one.number <= 30:
            assert one.moment is not None
            tape.show(one.number, one.moment)
    assert [one.number for one in tape.since(0)] == list(range(1, 31))
    tape = Tape(60.0, 1 << 20)
    for one in in_order[: 10 + REORDERED]:
        tape.put(Coded(one.number, one.key, one.data))
        if one.number < 10:
            assert one.moment is not None
            tape.show(one.number, one.moment)
    assert [one.number for one in tape.since(0)] == list(range(1, 11))


def test_tape_begins_with_its_key_frame_also_where_that_is_never_shown(in_order: list[Coded], tmp_path: Path) -> None:
    tape = Tape(60.0, 1 << 20)
    for one in in_order[:40]:
        tape.put(Coded(one.number, one.key, one.data))
        if one.number > 2:
            assert one.moment is not None
            tape.show(one.number, one.moment)
    kept = tape.since(0)
    assert kept[0].key and [one.number for one in kept] == list(range(1, 41))
    assert tape.key_before(BEGAN_NS + NS_PER_S // 2) == 1
    clip = Clip(tmp_path / "clip.mp4", kept, ".mp4")
    clip.close()
    assert len(shown(tmp_path / "clip.mp4")) == 40


def test_tape_finds_the_key_frame_before_a_time(pictures: list[Coded]) -> None:
    tape = Tape(60.0, 1 << 20)
    assert tape.key_before(BEGAN_NS) == 0
    put(tape, pictures)
    by_number = {one.number: one for one in pictures}
    found = by_number[tape.key_before(BEGAN_NS + 3 * NS_PER_S + 1)]
    assert found.key and found.moment is not None and found.moment.at_ns == BEGAN_NS + 3 * NS_PER_S
    assert tape.key_before(BEGAN_NS - NS_PER_S) == 1


def test_view_knows_which_frame_a_picture_is_and_how_it_is_turned() -> None:
    tape = Tape(60.0, 1 << 20)
    view = _View(tape)
    view.see([UNITS, pack(Unit(unit=7, key=True, codec="mjpeg", turns=1, mirrored=True)), b"\xff\xd8"])
    assert tape.since(0) == []
    word = Shown(unit=7, session=5, frame_id=2, pts_s=0.5, captured_at_ns=9, frame_wh=(180, 320))
    view.see([UNITS, pack(word), b""])
    (one,) = tape.since(0)
    assert one.moment == Moment(Stream("mjpeg", 5, (320, 180), 1, mirrored=True), 0.5, 9, (5, 2))


# --- clips --------------------------------------------------------------------------------------------------------


def shown(path: Path) -> list[tuple[float, float]]:
    """When a clip shows which number, from its first picture."""
    with av.open(str(path)) as container:
        found = [(one.time or 0.0, number_in(one.to_ndarray(format="gray"))) for one in container.decode(video=0)]
    return [(at_s - found[0][0], number) for at_s, number in found]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_clip_has_every_picture_at_its_time(pictures: list[Coded], suffix: str, tmp_path: Path) -> None:
    clip = Clip(tmp_path / f"clip{suffix}", pictures[25:60], suffix)
    for at in range(60, 125, 7):
        clip.add(pictures[at : at + 7][: 125 - at])
    clip.close()
    found = shown(tmp_path / f"clip{suffix}")
    assert len(found) == 100
    for number, (at_s, seen_number) in enumerate(found):
        assert abs(at_s - number / FPS) < 0.002 and abs(seen_number - 25 - number) < 0.5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_clip_that_is_not_finished_can_be_played_up_to_the_last_second(
    pictures: list[Coded], suffix: str, tmp_path: Path
) -> None:
    clip = Clip(tmp_path / f"clip{suffix}", pictures[:30], suffix)
    clip.add(pictures[30:110])
    copy = tmp_path / f"copy{suffix}"
    copy.write_bytes((tmp_path / f"clip{suffix}").read_bytes())
    assert len(shown(copy)) >= 75
    clip.close()


def test_clip_leaves_another_connection_out(in_order: list[Coded], tmp_path: Path) -> None:
    other = [Coded(one.number, one.key, one.data, Moment(Stream("h264", 6, WH), 0.0, 0)) for one in in_order[50:60]]
    clip = Clip(tmp_path / "clip.mp4", [*in_order[:50], *other], ".mp4")
    clip.close()
    assert (len(clip.written), clip.last) == (50, 60)
    assert len(shown(tmp_path / "clip.mp4")) == 50


# --- the picture --------------------------------------------------------------------------------------------------


def sight(number: int, xyxy: tuple[float, float, float, float] | None = (0, 0, 320, 180), score: float = 0.9) -> Sight:
    at_ns = BEGAN_NS + number * NS_PER_S // FPS
    return Sight(at_ns, number / FPS, (5, number), FRAME.session_id, number, WH, xyxy, score)


@pytest.mark.parametrize("number", [0, 33, 74, 149])
def test_snapshot_is_the_very_frame(pictures: list[Coded], number: int, tmp_path: Path) -> None:
    taken = take(film_of(pictures), [sight(number)], "gate", tmp_path / "a.jpg")
    assert taken is not None
    shot, jpeg = taken
    grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert abs(number_in(grey) - number) < 0.5
    assert (shot.frame_id, shot.wh, shot.xyxy, shot.error_ms) == (number, WH, (0, 0, 320, 180), 0.0)


def test_snapshot_of_a_second_stream_is_the_nearest_in_time_and_its_box_is_in_its_pixels(
    tmp_path: Path,
) -> None:
    large = Stream("h264", 1, (640, 360))
    found = coded(write(tmp_path / "large.mp4", (640, 360), frames=100), large)
    for late_s, zero_ns in ((0.0, 0), (0.013, 0), (0.6, BEGAN_NS)):
        kept = [
            Coded(one.number, one.key, one.data, Moment(large, m.pts_s, m.at_ns, None, "content", 30.0, zero_ns))
            for one in found
            if (m := one.moment) is not None
        ]
        wanted = sight(60, (10, 20, 60, 80))
        wanted = Sight(wanted.at_ns + round(late_s * NS_PER_S), *list(_fields(wanted))[1:])
        taken = take(film_of(kept), [wanted], "gate", tmp_path / "a.jpg")
        assert taken is not None
        grey = cv2.imdecode(np.frombuffer(taken[1], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert abs(number_in(grey) - 60) < 0.5
        assert (taken[0].xyxy, taken[0].wh, taken[0].error_ms) == ((20, 40, 120, 160), (640, 360), 30.0)


def _fields(one: Sight) -> Sequence[object]:
    return [getattr(one, name) for name in Sight.__slots__]


def test_snapshot_takes_the_sharper_of_two_that_are_as_large(in_order: list[Coded], tmp_path: Path) -> None:
    # The square is at pixel 2.3 × number, and the rest of the picture has nothing sharp in it.
    blank, square = sight(20, (200, 100, 260, 160)), sight(100, (200, 100, 260, 160))
    for order in ([blank, square], [square, blank]):
        taken = take(film_of(in_order), order, "gate", tmp_path / "a.jpg")
        assert taken is not None and taken[0].frame_id == 100


def test_snapshot_of_what_the_film_does_not_have_is_none(in_order: list[Coded], tmp_path: Path) -> None:
    assert take(film_of(in_order[:25]), [sight(140)], "gate", tmp_path / "a.jpg") is None
    assert take(Film(io.BytesIO(), STREAM, []), [sight(1)], "gate", tmp_path / "a.jpg") is None


def test_snapshot_is_upright_as_its_box_is(in_order: list[Coded], tmp_path: Path) -> None:
    turned = Stream("h264", 5, WH, turns=1, mirrored=True)
    film = film_of(
        [Coded(o.number, o.key, o.data, Moment(turned, m.pts_s, m.at_ns, m.frame)) for o in in_order if (m := o.moment)]
    )
    taken = take(film, [sight(60)], "gate", tmp_path / "a.jpg")
    assert taken is not None and taken[0].wh == (180, 320)
    grey = cv2.imdecode(np.frombuffer(taken[1], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert abs(number_in(np.ascontiguousarray(np.rot90(grey)[:, ::-1])) - 60) < 0.5


def test_best_sights_are_the_largest_and_most_certain_and_apart_in_time() -> None:
    best = Best()
    for number in range(200):
        best.see(sight(number, (0, 0, number % 60 + 10, 50), 0.5 + number % 3 / 10))
    worth = [one.worth for one in best.sights]
    assert len(worth) == MOST and worth == sorted(worth, reverse=True)
    assert len({one.at_ns // (NS_PER_S // 5) for one in best.sights}) == MOST
    assert worth[0] == sight(0, (0, 0, 69, 50), 0.7).worth


def test_best_sights_count_only_what_is_in_the_picture() -> None:
    assert sight(1, (-100, 0, 100, 100)).worth == pytest.approx(100 * 100 * 0.9)
    assert sight(1, (400, 0, 500, 100)).worth == 0


def test_sights_are_those_of_detected_boxes_of_the_object_alone() -> None:
    assert [one.frame for one in seen(frame(7), {(FRAME.session_id, 3)})] == [(5, 7)]
    assert seen(frame(7), {(FRAME.session_id, 4), ("other", 3)}) == []
    frames = Frames()
    for number in range(0, 1000, 5):
        frames.see(frame(number))
    found = frames.of([(FRAME.session_id, 3)], BEGAN_NS)
    assert found[-1].frame == (5, 995) and found[0].at_ns >= found[-1].at_ns - 20 * NS_PER_S
    assert (near := frames.nearest(BEGAN_NS + 38 * NS_PER_S)) is not None and near.frame == (5, 950)


# --- from when to when --------------------------------------------------------------------------------------------

SETTINGS = EventEvidence(before_s=2, after_s=3, longest_s=20)


@pytest.mark.parametrize(
    ("told", "until_s"),
    [
        pytest.param([("once", 0.0)], 8.0, id="a moment has what follows it"),
        pytest.param([("begin", 0.0)], 23.0, id="what lasts has no end yet"),
        pytest.param([("begin", 0.0), ("update", 4.0), ("end", 6.0)], 14.0, id="what lasted has what follows its end"),
        pytest.param([("begin", 0.0), ("end", 600.0)], 23.0, id="nothing is longer than the longest"),
    ],
)
def test_case_is_from_before_to_after(told: list[tuple[str, float]], until_s: float) -> None:
    first, *later = [event(phase, 5.0, lasted_s=lasted_s) for phase, lasted_s in told]
    case = Case(first, Path("stem"), SETTINGS)
    for one in later:
        case.tell(one)
    until_ns = BEGAN_NS + round(until_s * NS_PER_S)
    assert (case.from_ns, case.until_ns) == (BEGAN_NS + 3 * NS_PER_S, until_ns)
    assert not case.is_over(until_ns, until_ns)
    assert case.is_over(until_ns + 1, until_ns)
    assert case.is_over(0, until_ns + round(GRACE_S * NS_PER_S) + 1)


# --- how long -----------------------------------------------------------------------------------------------------


def evidence_of(folder: Path, at_s: float, size: int = 1000, name: str = "a" * 16) -> Path:
    """Clip, picture and record of an event; the record's file."""
    told = event(at_s=at_s, name=name)
    stem = stem_of(folder, told)
    stem.parent.mkdir(parents=True, exist_ok=True)
    for ending in (".mp4", ".jpg"):
        beside(stem, ending).write_bytes(bytes(size))
    write_record(stem, Record(event=told))
    return beside(stem, ".json")


def test_retention_deletes_what_is_too_old_and_nothing_else(tmp_path: Path) -> None:
    old, new = evidence_of(tmp_path, 0), evidence_of(tmp_path, 3 * 86_400, name="b" * 16)
    foreign = old.with_name("000000-mine-enter-12345678.mp4")
    foreign.touch()
    (old.parent / "notes.json").write_text("{}")
    keep = Keep(tmp_path, Retention(days=2, free_gb=0))
    assert keep.tidy(BEGAN_NS + 4 * 86_400 * NS_PER_S) == 1
    assert sorted(file.name for file in old.parent.iterdir()) == [foreign.name, "notes.json"]
    assert new.exists() and new.with_suffix(".mp4").exists()


def test_retention_deletes_the_oldest_until_the_rest_fits_also_what_an_earlier_life_wrote(tmp_path: Path) -> None:
    records = [evidence_of(tmp_path, at_s, 1_000_000, f"{at_s:016d}") for at_s in (500, 100, 300)]
    keep = Keep(tmp_path, Retention(gb=0.0045, free_gb=0))
    records.append(evidence_of(tmp_path, 700, 1_000_000, f"{7:016d}"))
    keep.add(records[-1])
    assert keep.tidy(BEGAN_NS) == 2
    assert [record.exists() for record in records] == [True, False, False, True]
    assert keep.size < 4_500_000


def test_retention_goes_on_behind_what_cannot_be_deleted(tmp_path: Path) -> None:
    stays, goes = (evidence_of(tmp_path, at_s, name=f"{at_s:016d}") for at_s in (100, 200))
    picture = stays.with_suffix(".jpg")
    picture.unlink(missing_ok=True)
    (picture / "somebody's").mkdir(parents=True)
    keep = Keep(tmp_path, Retention(days=1, free_gb=0))
    with pytest.raises(SinkError, match="cannot be deleted"):
        keep.tidy(BEGAN_NS + 2 * 86_400 * NS_PER_S)
    assert (stays.exists(), goes.exists()) == (True, False)


def test_retention_keeps_the_disk_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [evidence_of(tmp_path, at_s, name=f"{at_s:016d}") for at_s in (100, 200, 300)]
    left = sum(record.exists() for record in records)
    usage = type("Usage", (), {"free": 0})()
    monkeypatch.setattr("pipeline.evidence.keep.shutil.disk_usage", lambda folder: usage)
    keep = Keep(tmp_path, Retention(free_gb=1e-6))
    usage.free = -2000
    assert not keep.has_room
    assert keep.tidy(BEGAN_NS) == 2 and sum(record.exists() for record in records) == left - 2
    usage.free = 1001
    assert keep.has_room and keep.tidy(BEGAN_NS) == 0


def test_retention_removes_folders_that_are_empty_by_then(tmp_path: Path) -> None:
    evidence_of(tmp_path / "kept", 0)
    assert Keep(tmp_path / "kept", Retention(days=1, free_gb=0)).tidy(BEGAN_NS + 2 * 86_400 * NS_PER_S) == 1
    assert list((tmp_path / "kept").iterdir()) == []


# --- what is written when -----------------------------------------------------------------------------------------


AT_WORK: list[Desk] = []


@pytest.fixture(autouse=True)
def desks_are_left() -> Iterator[None]:
    yield
    while AT_WORK:
        AT_WORK.pop().close(20)


def kept_of(privacy: Privacy | None) -> Keeps:
    """What is kept of a camera without a second stream."""
    return keeps(camera("rtsp://127.0.0.1/1", privacy=privacy or Privacy()))


class AtDesk:
    """A desk with one camera whose pictures come as the test says."""

    def __init__(
        self, folder: Path, pictures: Sequence[Coded], privacy: Privacy | None = None, **settings: object
    ) -> None:
        self.folder, self.pictures = folder / "kept", list(pictures)
        self.tape = Tape(60.0, 1 << 24)
        chosen = {"before_s": 1, "after_s": 1, "keep": Retention(free_gb=0), **settings}
        spec = EvidenceSpec(
            fleet="town",
            settings=EventEvidence(**chosen),
            folder=self.folder,
            cameras={"gate": Watched(frozenset({"drive"}), False, kept_of(privacy), privacy or Privacy())},
            endpoint="",
            run=folder,
            inbox="",
            report=folder / "words",
        )
        self.desk = Desk(spec, {"gate": self.tape})
        AT_WORK.append(self.desk)
        self.told = list(self.desk.turn(0))
        self.now_s = 0.0

    def play(self, until_s: float) -> None:
        """Pictures and frames come up to then."""
        while self.now_s < until_s - 1e-9:
            self.now_s += 0.04
            number = round(self.now_s * FPS)
            put(self.tape, self.pictures[number - 1 : number])
            self.desk.hear(frame(number - 1))
            self.told += self.desk.turn(BEGAN_NS + round(self.now_s * NS_PER_S))

    def finish(self) -> None:
        """Everything that is over is on disk."""
        for ending in list(self.desk._endings):
            ending.future.result(60)
        self.told += self.desk.turn(BEGAN_NS + round(self.now_s * NS_PER_S))

    @property
    def files(self) -> list[str]:
        return sorted(file.name for file in self.folder.glob("*/*/*"))


def test_desk_keeps_clip_picture_and_record_of_an_event(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, in_order)
    at.play(3.0)
    at.desk.hear(event(at_s=2.6))
    at.desk.hear(event(at_s=2.6, rule="other", name="f" * 16))
    at.play(3.5)
    assert at.told == [] and [name[0] for name in at.files] == [".", "."]
    at.play(3.72)
    at.finish()
    (kept,) = at.told
    record = read_record(Path(kept.record))
    assert record is not None and record.clip is not None and record.snapshot is not None
    assert {name.rpartition(".")[2] for name in at.files} == {"mp4", "jpg", "json"} and len(at.files) == 3
    assert (record.clip.from_ns - BEGAN_NS, record.clip.to_ns - BEGAN_NS) == (NS_PER_S, 3.6 * NS_PER_S)
    assert len(shown(Path(kept.clip))) == record.clip.frames == 66
    assert (kept.event_id, kept.detail, kept.xyxy) == (record.event.event_id, "", (10, 20, 60, 80))
    jpeg = cv2.imread(kept.snapshot, cv2.IMREAD_GRAYSCALE)
    assert abs(number_in(jpeg) - record.snapshot.frame_id) < 0.5


def test_desk_told_twice_keeps_once(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, in_order)
    at.play(3.0)
    at.desk.hear(event(at_s=1.5))
    at.play(3.2)
    at.finish()
    at.desk.hear(event(at_s=1.5))
    at.play(4.0)
    at.finish()
    assert len(at.told) == 1 and len(at.files) == 3


def test_desk_writes_so_many_clips_at_once_and_says_what_it_gives_up(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, in_order, at_once=2)
    at.play(3.0)
    for number in range(5):
        at.desk.hear(event(at_s=2.9, name=f"{number}" * 16))
    at.play(4.2)
    at.finish()
    assert len([kept for kept in at.told if kept.clip]) == 2
    without = [kept for kept in at.told if not kept.clip]
    assert len(without) == 3 and all("(at_once)" in kept.detail and kept.snapshot for kept in without)
    assert at.desk.words == "5 kept, 3 without a clip; 0.0 MB in memory"


def test_desk_drops_what_is_withdrawn(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, in_order)
    at.play(3.0)
    at.desk.hear(event(at_s=2.9))
    at.play(3.4)
    at.desk.hear(event(at_s=2.9, revised=True, withdrawn=True))
    at.play(5.0)
    assert at.told == [] and at.files == []


def test_desk_says_so_where_nothing_is_kept_of_that_time(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, [])
    at.desk.hear(event(at_s=0.1))
    at.play(2.0)
    at.finish()
    (kept,) = at.told
    assert (kept.clip, kept.snapshot, kept.detail) == ("", "", "nothing is kept of that time")


def test_desk_writes_no_clip_onto_a_full_disk(
    in_order: list[Coded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr("pipeline.evidence.keep.shutil.disk_usage", lambda folder: usage)
    at = AtDesk(tmp_path, in_order, keep=Retention(free_gb=1))
    at.play(3.0)
    at.desk.hear(event(at_s=1.5))
    at.play(3.2)
    at.finish()
    (kept,) = at.told
    assert kept.clip == "" and kept.detail == "no clip: less than 1 GB of the disk is free"


def test_desk_keeps_a_record_alone_of_a_camera_that_gives_no_clips(tmp_path: Path) -> None:
    at = AtDesk(tmp_path, [], Privacy(clips="none"))
    at.desk.hear(event(at_s=0.1))
    at.play(2.0)
    at.finish()
    (kept,) = at.told
    assert (kept.clip, kept.snapshot, kept.detail) == ("", "", NOTHING)


@pytest.mark.parametrize(
    ("privacy", "second", "kept"),
    [
        ({}, False, "as it came"),
        ({}, True, "as it came"),
        ({"blur": "person"}, False, "covered"),
        ({"blur": "person"}, True, "covered"),
        ({"blur": "person", "clips": "as_recorded"}, True, "as it came"),
        ({"blur": "person", "clips": "as_recorded"}, False, "covered"),
        ({"blur": "person", "clips": "none"}, False, "nothing"),
        ({"clips": "none"}, True, "nothing"),
    ],
)
def test_what_privacy_covers_is_not_kept_as_it_came(
    privacy: dict[str, str], second: bool, kept: Keeps, tmp_path: Path
) -> None:
    gate = {"url": "rtsp://cam/1", "zones": {"drive": {}, "lobby": {"evidence": False}}, "privacy": privacy}
    body = {
        "model": {"backend": "stub"},
        "evidence": {},
        "cameras": {"gate": gate | ({"evidence_url": "rtsp://cam/2"} if second else {})},
    }
    file = tmp_path / "fleet.yaml"
    file.write_text(json.dumps(body))
    fleet = load_fleet(file)
    _, cameras = wanted_of(fleet)
    assert cameras == {"gate": Watched(frozenset({"drive"}), second, kept, fleet.cameras["gate"].privacy)}


def test_desk_that_ends_finishes_what_there_is(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, in_order)
    at.play(3.0)
    at.desk.hear(event("begin", at_s=2.0))
    at.play(3.4)
    (kept,) = at.desk.close(20)
    assert (kept.detail, len(shown(Path(kept.clip)))) == ("evidence was started anew, or the fleet ended", 60)
    assert len(at.files) == 3


def test_desk_finishes_what_one_that_was_killed_has_left(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, in_order)
    at.play(3.0)
    at.desk.hear(event("begin", at_s=2.0))
    at.play(4.4)
    (tmp_path / "again" / "kept").parent.mkdir()
    shutil.copytree(at.folder, tmp_path / "again" / "kept")
    again = AtDesk(tmp_path / "again", in_order)
    (kept,) = again.told
    record = read_record(Path(kept.record))
    assert record is not None and record.clip is not None and kept.detail == CUT_OFF
    assert record.clip.frames == len(shown(Path(kept.clip))) >= 50
    assert len(again.files) == 2 and not any(name.startswith(".") for name in again.files)


def test_clip_that_was_cut_off_within_its_first_picture_is_none(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, in_order)
    at.play(3.0)
    at.desk.hear(event("begin", at_s=2.0))
    at.play(4.4)
    shutil.copytree(at.folder, tmp_path / "again")
    (file,) = (tmp_path / "again").glob("*/*/.*.mp4")
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"mdat") + 44])  # its index is there, and the picture's beginning
    (finished,) = recover(tmp_path / "again")
    assert finished.record.detail == CUT_OFF and finished.record.clip is None
    assert not list((tmp_path / "again").glob("*/*/*.mp4"))


@pytest.mark.parametrize("header", [b"\x01", b"\x01d\x00", b"\x01d\x00\x1f\xff\xe1"])
def test_parameter_sets_that_end_too_soon_are_refused(header: bytes) -> None:
    with pytest.raises(WireError, match="end too soon"):
        complete("h264", header, b"\x00\x00\x00\x02\x65\x01", key=True)


def test_clip_of_which_a_full_disk_left_no_record_is_removed(tmp_path: Path) -> None:
    nameless = tmp_path / "gate" / "2026-11-30" / ".140307-drive-enter-5d1c7a90.mp4"
    nameless.parent.mkdir(parents=True)
    nameless.touch()
    mine = nameless.with_name("holiday.mp4")
    mine.touch()
    assert list(recover(tmp_path)) == []
    assert list(nameless.parent.iterdir()) == [mine]


def test_disk_that_is_full_leaves_no_clip_without_a_record(
    in_order: list[Coded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SinkError("No space left on device")

    monkeypatch.setattr("pipeline.evidence.finish.write_record", full)
    at = AtDesk(tmp_path, in_order)
    at.play(3.0)
    at.desk.hear(event("begin", at_s=2.0))
    at.play(4.4)
    assert not list(at.folder.glob("*/*/*"))


def test_desk_shares_its_folder_with_nobody(in_order: list[Coded], tmp_path: Path) -> None:
    at = AtDesk(tmp_path, in_order)
    with pytest.raises(SinkError, match=r"another process keeps evidence in .*; give each fleet a folder of its own"):
        AtDesk(tmp_path, in_order)
    at.desk.close(1)
    AtDesk(tmp_path, in_order).desk.close(1)


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ("{before_s: 40, after_s: 30}", r"evidence.longest_s: longest_s \(60\) is shorter than before_s and after_s"),
        ("{format: avi}", r"evidence.format"),
        ("{folder: ''}", r"evidence.folder: expected a folder"),
        ("{keep: {weeks: 2}}", r"evidence.keep.weeks"),
    ],
)
def test_evidence_settings_that_cannot_be_name_their_key(evidence: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"model: {{backend: stub}}\ncameras: {{gate: {{url: 'rtsp://cam/1'}}}}\nevidence: {evidence}\n")
    with pytest.raises(ConfigError, match=words):
        load_fleet(file)


# --- what is told -------------------------------------------------------------------------------------------------


def test_events_command_lists_a_folder_of_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for at_s in (20, 10):
        record = evidence_of(tmp_path, at_s, name=f"{at_s:016d}")
        told = read_record(record)
        assert told is not None
        clip = Footage(file=f"{record.stem}.mp4", from_ns=1, to_ns=2, frames=3, codec="h264", wh=WH)
        write_record(record.with_suffix(""), Record(event=told.event, clip=clip))
    events(str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and "drive" in lines[0] and lines[1].endswith(".mp4")
    assert Path(lines[1].split()[-1]).is_file()
    events(str(tmp_path), rule=["drive"], as_json=True)
    said = [json.loads(line)["event_id"] for line in capsys.readouterr().out.splitlines()]
    assert said == [f"{10:016d}", f"{20:016d}"]
    events(str(tmp_path), rule=["other"])
    assert capsys.readouterr().out == ""
    events(str(tmp_path), camera=["gat"])
    told_of = capsys.readouterr()
    assert (told_of.out, told_of.err) == ("", "camfleet: nothing is kept of gat; there is of gate\n")


def test_events_command_refuses_what_it_could_only_be_silent_about(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    for folder in ("nowhere", "results"):
        with pytest.raises(ConfigError, match=f"{folder} is no folder of evidence; results need RULES.yaml"):
            events(str(tmp_path / folder))
    with pytest.raises(ConfigError, match="nothing is called “croos”; did you mean “cross”"):
        events(str(tmp_path), happening=["enter", "croos"])


def test_evidence_of_the_wire_is_read_again() -> None:
    from pipeline.wire import decode, encode

    assert decode(EVIDENCE.topic, encode(EVIDENCE)) == EVIDENCE
    assert EVIDENCE.topic == b"evidence/gate/"
