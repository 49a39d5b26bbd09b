"""Real footage for benchmarks: brought to one size and rate once, kept in a cache folder.

The recordings are not part of the project. Point CAMFLEET_DATA to a folder with `videos/*.mp4` and `models/`; without
it `../shared/data` beside the repository is looked at. Benchmarks say so and end where there is none.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from peers.blocks import MOST, draw

ROOT = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """Where the footage is; ends the program with one line where there is none."""
    folder = Path(os.environ.get("CAMFLEET_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "videos").is_dir():
        sys.exit(f"no footage: {folder}/videos does not exist; set CAMFLEET_DATA to a folder with videos/ and models/")
    return folder


def as_cameras(names: list[str], wh: tuple[int, int], fps: int, seconds: float = 12.0) -> list[Path]:
    """The named recordings (a part of the file name is enough) as H.264 of this size and rate, a key frame a second."""
    cache = Path(tempfile.gettempdir()) / f"camfleet-footage-{wh[0]}x{wh[1]}-{fps}"
    cache.mkdir(exist_ok=True)
    return [_camera(_find(name), cache, wh, fps, seconds) for name in names]


def numbered(names: list[str], wh: tuple[int, int], fps: int, seconds: float) -> list[Path]:
    """The same, played over and over until they last `seconds`, with each frame's number drawn in; see `blocks`."""
    return _all_numbered("footage", as_cameras(names, wh, fps), wh, fps, seconds)


def numbered_samples(seconds: float) -> list[Path]:
    """The sample recordings, which have exact ground truth and meet where they end, over and over with numbers."""
    recordings = sorted((ROOT / "samples").glob("*.mp4"))
    with av.open(str(recordings[0])) as container:
        stream = container.streams.video[0]
        wh, fps = (stream.width, stream.height), round(float(stream.average_rate or 25))
    return _all_numbered("samples", recordings, wh, fps, seconds)


def _all_numbered(what: str, recordings: list[Path], wh: tuple[int, int], fps: int, seconds: float) -> list[Path]:
    frames = round(seconds * fps)
    if frames > MOST + 1:
        sys.exit(f"{seconds:g} s at {fps} fps are more frames than can be numbered; measure for a shorter time")
    cache = Path(tempfile.gettempdir()) / f"camfleet-{what}-{wh[0]}x{wh[1]}-{fps}-numbered-{frames}"
    cache.mkdir(exist_ok=True)
    return [_numbered(file, cache / file.name, frames, fps) for file in recordings]


def _numbered(recording: Path, target: Path, frames: int, fps: int) -> Path:
    if target.exists():
        return target
    with av.open(str(recording)) as container:
        wh = container.streams.video[0].width, container.streams.video[0].height
    print(f"drawing the numbers of {frames} frames into {target.name} …", file=sys.stderr)
    with _encoder(target, wh, fps) as encode:
        for number, frame in zip(range(frames), _repeated(recording), strict=False):
            planes = frame.to_ndarray(format="yuv420p")
            draw(planes[: frame.height], number)
            encode(av.VideoFrame.from_ndarray(planes, format="yuv420p"), number)
    return target


def _repeated(recording: Path) -> Iterator[av.VideoFrame]:
    while True:
        with av.open(str(recording)) as container:
            yield from container.decode(video=0)


@contextmanager
def _encoder(target: Path, wh: tuple[int, int], fps: int) -> Iterator[Callable[[av.VideoFrame, int], None]]:
    """A function that takes the frames of an H.264 recording, which is there once it is whole.

    A key frame a second and no B-frames, as cameras send it.
    """
    partial = target.with_suffix(".partial.mp4")
    with av.open(str(partial), "w") as made:
        stream = made.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": str(fps), "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *wh, "yuv420p"

        def encode(frame: av.VideoFrame, number: int) -> None:
            frame.pts, frame.time_base = number, Fraction(1, fps)
            made.mux(stream.encode(frame))

        yield encode
        made.mux(stream.encode(None))
    partial.rename(target)


def _find(name: str) -> Path:
    found = sorted((data_folder() / "videos").glob(f"*{name}*"))
    if not found:
        sys.exit(f"no recording like “{name}” in {data_folder()}/videos")
    return found[0]


def _camera(source: Path, cache: Path, wh: tuple[int, int], fps: int, seconds: float) -> Path:
    target = cache / f"{source.stem.split('_')[0]}.mp4"
    if target.exists():
        return target
    print(f"preparing {target.name}: {wh[0]}×{wh[1]} at {fps} fps …", file=sys.stderr)
    with av.open(str(source)) as given, _encoder(target, wh, fps) as encode:
        for number, frame in enumerate(_resampled(given, fps, round(seconds * fps))):
            encode(frame.reformat(*wh, format="yuv420p"), number)
    return target


def _resampled(container: av.container.InputContainer, fps: int, most: int) -> Iterator[av.VideoFrame]:
    """Frames on a grid of 1/fps: the last one shown at that time, as a camera of this rate would have seen it."""
    shown, number = None, 0
    for frame in container.decode(video=0):
        while shown is not None and number < most and frame.time * fps > number + 0.5:
            yield shown
            number += 1
        shown = frame
    while shown is not None and number < most and number / fps <= shown.time:
        yield shown
        number += 1
