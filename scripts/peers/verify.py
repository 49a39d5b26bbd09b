"""Whether the time camfleet's own source gives a frame tells its number: by the numbers in the pixels."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from peers.blocks import read
from peers.served import serve
from pipeline.camera.source import open_source
from pipeline.clock import SystemClock
from pipeline.config import load_fleet

PICTURES = 20
FPS = 25


class _Always:
    """A pulse that never ends."""

    def go_on(self) -> bool:
        return True

    def wait_until(self, due_ns: int) -> bool:
        return True


def verify(recording: Path, kind: str) -> None:
    """Open a camera as the camera process does; ends the program unless a picture at n / FPS seconds shows number n."""
    with tempfile.TemporaryDirectory() as folder, serve([recording], kind, Path(folder)) as cameras:
        file = Path(folder) / "verify.yaml"
        file.write_text(
            f"model: {{backend: stub}}\ncameras: {{cam0: {{url: '{cameras.urls[0]}'}}}}\n", encoding="utf-8"
        )
        source = open_source(load_fleet(file).cameras["cam0"], SystemClock())
        try:
            for _, picture in zip(range(PICTURES), source.pictures(_Always()), strict=False):
                shown = None if picture.frame is None else read(picture.frame.to_ndarray(format="gray"))
                if shown != round(picture.pts_s * FPS):
                    sys.exit(
                        f"camfleet's picture at {picture.pts_s:.2f} s shows number {shown}: pts_s cannot stand for it"
                    )
        finally:
            source.close()
