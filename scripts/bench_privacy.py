"""What masks cost a frame, blurring a picture, and covering a clip.

    .venv/bin/python scripts/bench_privacy.py

On one core, medians of several rounds. Masks: four of the camera's picture's corners, an eighth of its area together,
painted at the detector's size and at larger ones; and how long it takes to tell which of ten boxes they hide. Blur:
ten people, a tenth of the picture's width each. Clip: two seconds of a sample, as it is and enlarged, as they come and
covered, by frame.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.camera.evidence.clip import head_of
from pipeline.camera.evidence.door import ClipDoor
from pipeline.camera.evidence.ring import KeptPacket, Session
from pipeline.clock import NS_PER_S
from pipeline.config.camera import Camera
from pipeline.config.privacy import Privacy
from pipeline.config.url import CameraUrl
from pipeline.privacy import Cover, Hidden
from pipeline.privacy.blur import areas_of, pixelate
from pipeline.wire import Counts, FrameResult, TrackedBox

ROOT = Path(__file__).resolve().parent.parent
RECORDING = ROOT / "samples" / "gate.mp4"
FRAME_WH = (1280, 720)
SIZES = ((640, 360), (1280, 720), (1920, 1080))
LEG = 0.25
MASKS = tuple(
    ((x, y), (abs(x - LEG), y), (x, abs(y - LEG))) for x, y in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
)
PEOPLE = 10
ROUNDS, TURNS = 15, 40
CLIP_FRAMES = 50


def main() -> None:
    """Measure, and print tables."""
    cv2.setNumThreads(1)
    table = Table("picture", "masks, ms", "blur, ms")
    cover, result = Cover(Privacy(masks=MASKS)), people()
    for wh in SIZES:
        picture = np.random.default_rng(1).integers(0, 256, (wh[1], wh[0], 3), np.uint8)
        areas = areas_of([result], ("person",), 0.1, wh)
        masked_ms = median_ms(lambda picture=picture: cover.mask(picture, FRAME_WH))  # type: ignore[misc]
        blurred_ms = median_ms(lambda picture=picture, areas=areas: pixelate(picture, areas))  # type: ignore[misc]
        table.add_row(f"{wh[0]}×{wh[1]}", f"{masked_ms:.3f}", f"{blurred_ms:.2f}")
    hidden, boxes = Hidden(MASKS, FRAME_WH), result.boxes
    console = Console()
    console.print(table)
    console.print(f"which of {PEOPLE} boxes are hidden: {median_ms(lambda: hidden.of(boxes)):.3f} ms a frame")
    with tempfile.TemporaryDirectory() as folder:
        for wh in (SIZES[0], SIZES[-1]):
            recording = enlarged(Path(folder) / "clip.mp4", wh)
            console.print(
                f"a clip of {wh[0]}×{wh[1]}, a frame: {clip_ms(recording, Privacy()):.2f} ms as it comes, "
                f"{clip_ms(recording, Privacy(masks=MASKS)):.1f} ms masked"
            )


def median_ms(act: Callable[[], object]) -> float:
    """Of one call, of the median round."""
    act()
    rounds = []
    for _ in range(ROUNDS):
        begin_s = time.process_time()
        for _ in range(TURNS):
            act()
        rounds.append((time.process_time() - begin_s) / TURNS * 1000)
    return statistics.median(rounds)


def people() -> FrameResult:
    """A frame with ten of them, side by side."""
    wide, high = FRAME_WH
    boxes = [
        TrackedBox(
            track_id=number, class_id=0, class_name="person", score=0.9, origin="detected", since_detected_ms=0.0,
            uncertainty_px=1.0, xyxy=(wide * number / PEOPLE, high * 0.3, wide * (number + 1) / PEOPLE, high * 0.8),
        )
        for number in range(PEOPLE)
    ]  # fmt: skip
    return FrameResult(
        fleet="bench", camera_id="gate", session_id="0", frame_id=0, pts_s=0.0, captured_at_ns=0,
        capture_clock="arrival", published_at_ns=0, age_ms=0.0, frame_wh=FRAME_WH, origin="detected",
        filled_because=None, stride=1, lost={}, counts=Counts(decoded=1, detected=1, filled={}, lost={}),
        latency_ms={}, tracks=tuple(boxes),
    )  # fmt: skip


def enlarged(path: Path, wh: tuple[int, int]) -> Path:
    """The beginning of the sample in another size."""
    with av.open(str(RECORDING)) as source, av.open(str(path), "w") as container:
        out = container.add_stream("libx264", rate=25, options={"preset": "veryfast", "g": "25"})
        out.width, out.height, out.pix_fmt = *wh, "yuv420p"
        for _, frame in zip(range(CLIP_FRAMES), source.decode(video=0), strict=False):
            container.mux(out.encode(frame.reformat(*wh)))
        container.mux(out.encode(None))
    return path


def clip_ms(recording: Path, privacy: Privacy) -> float:
    """Processor time of a frame of a clip, ms."""
    camera = Camera(camera_id="gate", url=CameraUrl.parse(str(recording)), privacy=privacy)
    packets = kept(recording)
    with tempfile.TemporaryDirectory() as folder:
        begin_s = time.process_time()
        ClipDoor(camera, None).write(Path(folder) / "clip.mp4", packets, 0, 0.0)
        return (time.process_time() - begin_s) / len(packets) * 1000


def kept(recording: Path) -> list[KeptPacket]:
    """A recording as it lies in a camera's ring."""
    found: list[KeptPacket] = []
    with av.open(str(recording)) as container:
        stream = container.streams.video[0]
        session: Session | None = None
        for packet in container.demux(stream):
            if packet.pts is None:
                break
            session = session or Session("h264", (stream.width, stream.height), head_of(stream, packet))
            at_s = float(packet.pts * (packet.time_base or 0))
            found.append(KeptPacket(bytes(packet), packet.is_keyframe, at_s, round(at_s * NS_PER_S), session))
    return found


if __name__ == "__main__":
    main()
