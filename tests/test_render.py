from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace as changed
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from pipeline import RenderError
from pipeline.camera.orientation import Orientation
from pipeline.render import Request, read_results, render
from pipeline.render.match import Matcher
from pipeline.wire import FrameResult
from tests.conftest import RECORDING_FPS, RECORDING_FRAMES
from tests.wire_messages import FRAME, STATE

CAMFLEET = Path(sys.executable).parent / "camfleet"
DEADLINE_S = 60
WH = (320, 180)
BOX = replace(FRAME.tracks[0], track_id=1, xyxy=(200.0, 20.0, 280.0, 150.0))


def seen(number: int, **changes) -> FrameResult:
    """A frame of the fixture's recording, with a box that is easily found."""
    values = {"frame_wh": WH, "frame_id": number, "pts_s": number / RECORDING_FPS, "tracks": (BOX,)}
    return replace(FRAME, **{**values, **changes})


def whole() -> list[FrameResult]:
    return [seen(number) for number in range(RECORDING_FRAMES)]


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[Sequence[FrameResult]], Path]:
    def write(results: Sequence[FrameResult]) -> Path:
        path = tmp_path / "results.jsonl"
        path.write_bytes(b"".join(msgspec.json.encode(result) + b"\n" for result in results))
        return path

    return write


def pictures(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.time, frame.to_ndarray(format="bgr24")


def has_box(picture: np.ndarray) -> bool:
    """By its right side, where the recording is dark."""
    return bool(picture[60:120, 280].mean() > 80)


def test_render_draws_each_result_on_the_frame_of_its_time(recording: Path, tmp_path: Path, kept):
    out = tmp_path / "out.mp4"
    results = [
        seen(number, tracks=(BOX,) if number % 2 else (), origin="detected" if number % 3 else "skipped")
        for number in range(RECORDING_FRAMES)
    ]
    done = render(Request(video=recording, results=kept(results), out=out, trail_s=0))
    shown = list(pictures(out))
    assert [round(at_s * RECORDING_FPS) for at_s, _ in shown] == list(range(RECORDING_FRAMES))
    assert [has_box(picture) for _, picture in shown] == [number % 2 == 1 for number in range(RECORDING_FRAMES)]
    assert (done.frames, done.skipped, done.without_result, done.unused) == (75, 25, 0, 0)
    assert done.frames == done.with_boxes + done.empty + done.skipped


def test_render_frames_without_a_result_are_marked_and_results_without_a_frame_counted(recording, tmp_path, kept):
    out = tmp_path / "out.mp4"
    done = render(Request(video=recording, results=kept([seen(n, tracks=()) for n in range(10, 80)]), out=out))
    assert (done.without_result, done.empty, done.unused) == (10, 65, 5)
    edges = [float(np.ptp(picture[2:6, 20:300].astype(int))) for _, picture in pictures(out)]
    assert min(edges[:10]) > 60 > max(edges[10:])


def test_render_results_that_come_twice_are_drawn_once(recording: Path, tmp_path: Path, kept):
    results = [one for one in whole() for _ in range(2)] + whole()[:20]
    done = render(Request(video=recording, results=kept(results), out=tmp_path / "out.mp4"))
    assert (done.with_boxes, done.unused) == (75, 0)


def test_render_worker_that_was_started_again_goes_on_in_the_same_session(recording: Path, tmp_path: Path, kept):
    results = whole()
    rest = [replace(one, session_id=f"{one.session_id}.40", frame_id=number) for number, one in enumerate(results[40:])]
    request = Request(video=recording, results=kept(results[:40] + rest), out=tmp_path / "out.mp4", by_frame=True)
    assert render(request).with_boxes == RECORDING_FRAMES


def test_render_by_frame_does_not_look_at_times(recording: Path, tmp_path: Path, kept):
    results = [replace(one, pts_s=one.pts_s + 100) for one in whole()]
    request = Request(video=recording, results=kept(results), out=tmp_path / "out.mkv", by_frame=True)
    assert render(request).with_boxes == RECORDING_FRAMES
    with pytest.raises(RenderError, match="--by-frame"):
        render(changed(request, by_frame=False, force=True))
    assert list(tmp_path.glob(".*")) == []


def test_render_of_a_turned_camera_is_upright(recording: Path, tmp_path: Path, kept):
    turned = [replace(one, frame_wh=(180, 320), tracks=()) for one in whole()]
    request = Request(video=recording, results=kept(turned), out=tmp_path / "out.mp4")
    with pytest.raises(RenderError, match="--rotate"):
        render(request)
    render(changed(request, mounted=Orientation(1)))
    assert next(pictures(request.out))[1].shape == (320, 180, 3)


def test_render_of_a_phone_held_upright_is_upright(recording: Path, tmp_path: Path, kept):
    """The matrix is that of the track's header (tkhd), written into a recording byte by byte."""
    phone, data = tmp_path / "phone.mp4", bytearray(recording.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    phone.write_bytes(data)
    upright = [replace(one, frame_wh=(180, 320), tracks=()) for one in whole()]
    render(Request(video=phone, results=kept(upright), out=tmp_path / "out.mp4", caption=False))
    before, after = (next(pictures(path))[1] for path in (recording, tmp_path / "out.mp4"))
    assert np.abs(np.rot90(before, -1).astype(int) - after).mean() < 3


def test_render_of_odd_sizes_is_written(tmp_path: Path, kept):
    odd = tmp_path / "odd.mkv"
    with av.open(str(odd), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 99, 51, "yuv444p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((51, 99, 3), 90, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    results = kept([seen(number, frame_wh=(99, 51)) for number in range(3)])
    assert render(Request(video=odd, results=results, out=tmp_path / "out.mp4")).frames == 3
    assert next(pictures(tmp_path / "out.mp4"))[1].shape == (52, 100, 3)


def test_render_keeps_colours(recording: Path, tmp_path: Path, kept):
    render(Request(video=recording, results=kept([seen(0, tracks=())]), out=tmp_path / "out.mp4", caption=False))
    before, after = (next(pictures(path))[1].astype(int) for path in (recording, tmp_path / "out.mp4"))
    assert np.abs(before - after).mean() < 3


@pytest.mark.parametrize(
    ("results", "changes", "words"),
    [
        pytest.param([], {}, "no frame", id="nothing"),
        pytest.param([seen(1), seen(1, camera_id="yard")], {}, "--camera: gate, yard", id="two cameras"),
        pytest.param([seen(1), seen(1, session_id="b2")], {}, "--session: 0000000001f0", id="two sessions"),
        pytest.param([seen(1)], {"session": "ff"}, "no session ff", id="no such session"),
        pytest.param([seen(1)], {"camera": "yard"}, "camera yard", id="no such camera"),
        pytest.param([seen(1, frame_wh=(640, 360))], {}, "640×360", id="another size"),
        pytest.param([seen(1)], {"out": Path("out.avi")}, "ends in .mp4 or .mkv", id="another format"),
        pytest.param([seen(1)], {"out": Path("/nonexistent/out.mp4")}, "cannot be written", id="no folder"),
    ],
)
def test_render_what_does_not_fit_is_told_and_leaves_nothing(recording, tmp_path, kept, results, changes, words):
    path = kept(results)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RenderError, match=words.replace(".", r"\.")):
        render(Request(**{"video": recording, "results": path, "out": tmp_path / "out.mp4", **changes}))
    assert sorted(tmp_path.iterdir()) == before


def test_render_existing_file_is_replaced_only_by_force_and_never_what_is_read(recording, tmp_path, kept):
    out, results = tmp_path / "out.mp4", kept(whole())
    out.write_bytes(b"precious")
    with pytest.raises(RenderError, match="--force"):
        render(Request(video=recording, results=results, out=out))
    assert out.read_bytes() == b"precious"
    assert render(Request(video=recording, results=results, out=out, force=True)).frames == RECORDING_FRAMES
    with pytest.raises(RenderError, match="what is read"):
        render(Request(video=out, results=results, out=out, force=True))


def test_read_results_takes_what_subscribe_prints_with_states_between(tmp_path: Path):
    path = tmp_path / "all.jsonl"
    lines = [{"kind": one.kind, **msgspec.structs.asdict(one)} for one in (seen(1), STATE, seen(2, camera_id="yard"))]
    path.write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
    assert [one.camera_id for one in read_results(path)] == ["gate", "yard"]
    assert [one.camera_id for one in read_results(path, "yard")] == ["yard"]


@pytest.mark.parametrize("line", [b"{}", b"\xff\x00", b"[1, 2]", b'{"camera_id": "gate"'])
def test_read_results_foreign_line_is_named(tmp_path: Path, line: bytes):
    path = tmp_path / "foreign.jsonl"
    path.write_bytes(msgspec.json.encode(seen(1)) + b"\n" + line + b"\n")
    with pytest.raises(RenderError, match="line 2"):
        list(read_results(path))


def test_read_results_of_a_folder_are_in_the_order_in_which_its_files_were_begun(tmp_path: Path):
    names = ("a-20260101T000000Z.jsonl", "a-20260101T000000Z-2.jsonl", "a-20260101T000000Z-10.jsonl.part")
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(msgspec.json.encode(seen(number)) + b"\n")
    (tmp_path / "notes.txt").write_text("not ours")
    assert [one.frame_id for one in read_results(tmp_path)] == [0, 1, 2]


def test_read_results_of_a_folder_without_any_says_what_was_expected(tmp_path: Path):
    with pytest.raises(RenderError, match=r"\.jsonl"):
        list(read_results(tmp_path))


def test_read_results_leaves_out_half_a_last_line(tmp_path: Path):
    path = tmp_path / "killed.jsonl"
    path.write_bytes(msgspec.json.encode(seen(1)) + b"\n" + msgspec.json.encode(seen(2))[:100])
    assert [one.frame_id for one in read_results(path)] == [1]


def test_matcher_takes_the_nearest_of_each_and_counts_the_rest():
    matcher = Matcher(iter([seen(n, pts_s=n / 100) for n in range(0, 100, 2)]), lambda one: one.pts_s, within=0.011)
    assert [found.frame_id for at_s in (0.0, 0.041, 0.3) if (found := matcher.at(at_s))] == [0, 4, 30]
    assert matcher.at(5.0) is None
    assert matcher.finish() == 47


def test_render_command_prints_what_it_drew(recording: Path, tmp_path: Path, kept):
    command = [CAMFLEET, "render", recording, kept(whole()), tmp_path / "out.mp4", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    told = json.loads(done.stdout)
    assert (told["frames"], told["with_boxes"], told["camera_id"]) == (RECORDING_FRAMES, RECORDING_FRAMES, "gate")
    assert done.stderr == ""


def test_render_of_a_recording_that_begins_late_begins_at_once(recording: Path, tmp_path: Path, kept):
    late = tmp_path / "late.mkv"
    with av.open(str(recording)) as source, av.open(str(late), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = (ticks + round(3600 / packet.time_base) for ticks in (packet.pts, packet.dts))
                packet.stream = stream
                copy.mux(packet)
    results = [replace(one, pts_s=one.pts_s + 3600) for one in whole()]
    assert render(Request(video=late, results=kept(results), out=tmp_path / "out.mp4")).with_boxes == RECORDING_FRAMES
    assert next(pictures(tmp_path / "out.mp4"))[0] == 0


def test_render_results_that_can_be_read_only_once_are_refused(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(RenderError, match="no file"):
        next(read_results(pipe))
