"""Real footage for benchmarks: brought to one size and rate once, kept in a cache folder.

The recordings are not part of the project. Point CAMFLEET_DATA to a folder with `videos/*.mp4` and `models/`; without
it `../shared/data` beside the repository is looked at. Benchmarks say so and end where there is none.
"""

from __future__ import annotations

import os
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av

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
    partial = target.with_suffix(".partial.mp4")
    with av.open(str(source)) as given, av.open(str(partial), "w") as made:
        stream = made.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": str(fps), "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *wh, "yuv420p"
        for number, frame in enumerate(_resampled(given, fps, round(seconds * fps))):
            picture = frame.reformat(*wh, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, fps)
            made.mux(stream.encode(picture))
        made.mux(stream.encode(None))
    partial.rename(target)
    return target


def _resampled(container: av.container.InputContainer, fps: int, most: int):
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
