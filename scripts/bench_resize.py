"""What a picture costs to scale to the model's input, by its pixel format: planar, as devices give it, and by swscale.

    .venv/bin/python scripts/bench_resize.py [--rounds 7] [--json out.json]

All three turns come after one another in each round, so that a machine that gets slower does so for each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from footage import data_folder

from pipeline.camera.resize import Resizer

SIZES = [((1280, 720), (640, 360)), ((1920, 1080), (640, 360)), ((3840, 2160), (640, 360))]
TURNS = 100


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    for source_wh, wh in SIZES:
        frames = _frames(source_wh)
        took = {name: [] for name in (*frames, "nv12 by swscale")}
        for _ in range(options.rounds):
            for name, frame in frames.items():
                took[name].append(_ours_ms(frame, wh))
            took["nv12 by swscale"].append(_swscale_ms(frames["nv12"], wh))
        row = {name: round(statistics.median(times), 3) for name, times in took.items()}
        results.append({"source_wh": source_wh, "wh": wh, "ms": row})
        print(results[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _frames(wh: tuple[int, int]) -> dict[str, av.VideoFrame]:
    """A picture of real footage where it is at hand, or else noise; by pixel format."""
    files = sorted((data_folder() / "videos").glob("*.mp4"))
    if files:
        with av.open(str(files[0])) as container:
            frame = next(container.decode(video=0))
    else:
        frame = av.VideoFrame.from_ndarray(np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8))
    return {name: frame.reformat(*wh, format=name) for name in ("yuv420p", "nv12")}


def _ours_ms(frame: av.VideoFrame, wh: tuple[int, int]) -> float:
    resizer, out = Resizer(), np.empty((wh[1], wh[0], 3), np.uint8)
    began_s = time.perf_counter()
    for _ in range(TURNS):
        resizer.resize_into(frame, out)
    return (time.perf_counter() - began_s) / TURNS * 1e3


def _swscale_ms(frame: av.VideoFrame, wh: tuple[int, int]) -> float:
    swscale, out = VideoReformatter(), np.empty((wh[1], wh[0], 3), np.uint8)
    began_s = time.perf_counter()
    for _ in range(TURNS):
        np.copyto(out, swscale.reformat(frame, *wh, "rgb24", interpolation="AREA").to_ndarray())
    return (time.perf_counter() - began_s) / TURNS * 1e3


if __name__ == "__main__":
    main()
