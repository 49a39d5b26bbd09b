"""The moving picture of the README: the demo's fleet on its page, as a browser shows it.

.venv/bin/python scripts/film_page.py --out samples/film.webp

All cameras first, then one of them large, then the fleet. The browser draws without a GPU, on the cores that the
fleet detects on, so the recordings are played with half of their pictures. Nothing else should run meanwhile: a
fleet that is short says so in red.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from pipeline import Fleet

ROOT = Path(__file__).resolve().parent.parent
CAMERAS = ("gate", "yard", "crossing", "street", "parking", "park")
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
KEPT = 2
"""Of the recordings, each so many-th picture is played."""
SHOWN_WH = (1180, 620)
SETTLE_S = 12.0
"""Until every camera has pictures, and strides and charts something to show."""
LONGEST_S, LOOK_S = 40.0, 0.2
"""A scene is filmed until it has its pictures, at most so long; and how often to look whether it has."""
SHOWN_S = 0.15
"""No picture is shown for longer, so the film of a browser that draws slowly is faster than life."""
MOST_BYTES = 1_500_000
QUALITIES = (72, 62, 52, 42, 32)
"""Of WebP; the first with which the film is small enough is taken."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the film.

    Attributes:
        image: What the browser showed.
        shown_ms: For how long.
    """

    image: Image.Image
    shown_ms: int


def main() -> int:
    """Film it, and say how large the film is."""
    options = _options()
    with _demo() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": SHOWN_WH[0], "height": SHOWN_WH[1]}, color_scheme="dark")
        tab.goto(address)
        tab.locator("a.tile").first.wait_for(timeout=60_000)
        tab.wait_for_timeout(1000 * SETTLE_S)
        tab.locator("#promise[data-level=good]").wait_for(timeout=60_000)
        film, levels = [], set()
        for scene in _scenes(tab):
            film += _filmed(tab, scene, options)
            levels.add(tab.locator("#promise").get_attribute("data-level"))
        browser.close()
    if levels != {"good"}:
        print("the fleet was short while it was filmed; let nothing else run meanwhile", file=sys.stderr)
        return 1
    size, quality = _write(film, options.out)
    seconds = sum(picture.shown_ms for picture in film) / 1000
    print(f"{options.out}: {len(film)} pictures in {seconds:.1f} s, {size / 1000:.0f} kB at quality {quality}")
    return 0 if size <= MOST_BYTES else 1


@contextmanager
def _demo() -> Iterator[str]:
    """The address of a page of the demo's fleet, its recordings played without servers between."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cameras = {one: {"url": str(_seldom(one, folder)), "loop": True} for one in CAMERAS}
        body = {
            "name": "demo",
            "model": {"path": str(ROOT / "samples/model/demo_openvino_model"), "nms_iou": 0.5},
            "publish": {"bind": "tcp://127.0.0.1:0"},
            "page": {"port": 0},
            # The browser is a program among others here, and leaves the detector little.
            "worker": {"nice": 0},
            "defaults": {"stride": {"min": 3, "max": 8}},
            "cameras": cameras,
        }
        file = folder / "demo.yaml"
        file.write_text(json.dumps(body))
        with Fleet(file, control=False) as fleet:
            yield fleet.page


def _seldom(camera: str, folder: Path) -> Path:
    """A sample with every other of its pictures, at their times: as many as the film has, and work for one core."""
    out = folder / f"{camera}.mp4"
    with av.open(str(ROOT / f"samples/{camera}.mp4")) as recording, av.open(str(out), "w") as seldom:
        rate = Fraction(25, KEPT)
        stream = seldom.add_stream("libx264", rate=rate, options={"crf": "18", "bf": "0", "g": str(round(rate))})
        source = recording.streams.video[0]
        stream.width, stream.height = source.width, source.height
        for number, frame in enumerate(recording.decode(video=0)):
            if number % KEPT == 0:
                picture = frame.reformat(format="yuv420p")
                picture.pts, picture.time_base = number // KEPT, 1 / rate
                seldom.mux(stream.encode(picture))
        seldom.mux(stream.encode(None))
    return out


def _scenes(tab: Page) -> Iterator[Callable[[], None]]:
    """What is clicked before each scene."""
    yield lambda: None
    yield lambda: tab.locator("a.tile[href='#/camera/crossing']").click()
    yield lambda: tab.get_by_role("link", name="Fleet").click()


def _filmed(tab: Page, scene: Callable[[], None], options: argparse.Namespace) -> Iterator[Picture]:
    """The pictures of one scene, as the browser draws them."""
    scene()
    tab.wait_for_timeout(800)
    drawn: list[tuple[float, bytes]] = []
    session = tab.context.new_cdp_session(tab)

    def keep(event: dict[str, Any]) -> None:
        drawn.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    session.on("Page.screencastFrame", keep)
    session.send("Page.startScreencast", {"format": "jpeg", "quality": 95, "everyNthFrame": 1})
    wanted = round(options.seconds * options.fps)
    for _ in range(round(LONGEST_S / LOOK_S)):
        tab.wait_for_timeout(1000 * LOOK_S)
        if len(drawn) >= wanted and drawn[-1][0] - drawn[0][0] >= options.seconds:
            break
    session.send("Page.stopScreencast")
    session.detach()
    yield from _thinned(drawn, options)


def _thinned(drawn: list[tuple[float, bytes]], options: argparse.Namespace) -> Iterator[Picture]:
    """As many of the pictures as the film has room for; each lasts until the next one that is kept, or `SHOWN_S`."""
    kept: list[tuple[float, bytes]] = []
    for at_s, data in drawn:
        if not kept or at_s - kept[-1][0] >= 0.9 / options.fps:
            kept.append((at_s, data))
    ends = [*(at_s for at_s, _ in kept[1:]), kept[-1][0] + SHOWN_S]
    for (at_s, data), end_s in zip(kept, ends, strict=True):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        small = image.resize((options.width, options.width * image.height // image.width), Image.Resampling.LANCZOS)
        yield Picture(small, round(1000 * min(end_s - at_s, SHOWN_S)))


def _write(film: list[Picture], out: Path) -> tuple[int, int]:
    """Write the film as WebP, as good as the bound allows; its size in bytes, and the quality."""
    first, *others = film
    for quality in QUALITIES:
        first.image.save(
            out,
            save_all=True,
            append_images=[picture.image for picture in others],
            duration=[picture.shown_ms for picture in film],
            loop=0,
            quality=quality,
            method=6,
        )
        if out.stat().st_size <= MOST_BYTES:
            break
    return out.stat().st_size, quality


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "samples/film.webp", help="the film")
    parser.add_argument("--seconds", type=float, default=2.6, help="of each scene")
    parser.add_argument("--fps", type=float, default=12.0, help="pictures a second, at most")
    parser.add_argument("--width", type=int, default=880, help="of the film, px")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
