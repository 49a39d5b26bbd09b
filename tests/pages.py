"""Pages of running fleets, and a browser that looks at them; recordings that draw each frame's number into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

BITS, BLOCK = 12, 24
NUMBERED = 250
"""Pictures of a numbered recording, which is played in a loop."""
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READING = "Multiple readback operations"
"""What Chromium has to say of tests that read pixels."""
READ_NUMBERS = """
(() => {
  const found = [];
  camfleet.onshown = (entry, canvas) => {
    const scale = canvas.width / 640;
    const row = canvas.getContext('2d').getImageData(0, Math.round(12 * scale), canvas.width, 1).data;
    const bits = [];
    for (let at = 0; at < 24; at++) bits.push(row[4 * Math.round((at + 0.5) * 24 * scale) + 1] > 128);
    let number = 0;
    let sound = true;
    for (let at = 0; at < 12; at++) {
      if (bits[at]) number += 1 << at;
      if (bits[at] === bits[at + 12]) sound = false;
    }
    found.push({...entry, number: sound ? number : null});
  };
  window.found = found;
})()
"""


def write_numbered(path: Path, *, codec: str = "libx264", bf: int = 0, frames: int = NUMBERED) -> Path:
    """H.264, 640×360 at 25 fps: 24 black or white blocks on top, a frame's number from 0 and its complement."""
    with av.open(str(path), "w") as container:
        options = {"g": "25", "bf": str(bf), "preset": "ultrafast" if not bf else "veryfast", "sc_threshold": "0"}
        if codec == "libx265":
            options["x265-params"] = "log-level=none:keyint=25"
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(_numbered(number), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _numbered(number: int) -> np.ndarray:
    luma = np.full((360, 640), 90, np.uint8)
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    for at, bit in enumerate([*bits, *(1 - bit for bit in bits)]):
        luma[:BLOCK, at * BLOCK : (at + 1) * BLOCK] = 235 if bit else 16
    left = number * 4 % 560
    luma[140:220, left : left + 80] = 200
    return luma


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, or a skipped test that says what is missing.

    Of one module only: as long as playwright runs, its thread has an event loop, and no other test can have one.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'camfleet[dev]'")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs {CHROMIUM}: apt install chromium")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@contextmanager
def looking(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """A tab that looks at this address; what it complains of and asks of others fails the test at the end."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: None if READING in message.text else complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    home = address.split("/")[2]
    page.on("request", lambda request: complaints.append(request.url) if not _is_ours(request.url, home) else None)
    page.goto(address)
    try:
        yield page
    finally:
        context.close()
    assert complaints == [], complaints


def _is_ours(url: str, home: str) -> bool:
    return url.startswith(("blob:", "data:")) or url.split("/")[2] == home


def axe_script(folder: Path) -> str:
    """The script of axe-core; a test that cannot get it is skipped and says so."""
    import subprocess
    import tarfile

    if shutil.which("npm") is None:
        pytest.skip("needs axe-core, which npm pack axe-core brings: apt install npm")
    done = subprocess.run(
        ["npm", "pack", "axe-core@4", "--silent"], check=False, cwd=folder, capture_output=True, timeout=60
    )
    packed = next(folder.glob("axe-core-*.tgz"), None)
    if done.returncode or packed is None:
        pytest.skip("needs axe-core, and npm pack axe-core brought nothing; is there a registry?")
    with tarfile.open(packed) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()
