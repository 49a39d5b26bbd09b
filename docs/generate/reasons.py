"""Reasons and causes as the code has them: what camfleet itself says of each."""

from __future__ import annotations

from docs.generate.markdown import plain
from pipeline.camera.failure import REASONS
from pipeline.worker.health import SLOW, WHY

_CHECKS = {
    "it broke off the connection": "It is tried again by itself; look at camera and network, and who else watches it",
    "there is no such file or device": "Check the path: beside the fleet file, or in the current directory",
    "reading it is not permitted": "Let the user that runs the fleet read it",
    "it is a directory, not a recording": "Name a recording in it; a folder of pictures has pictures in it",
    "this FFmpeg cannot decode its codec": "Set the camera to H.264 or HEVC",
    "it ends before there is a picture": "Check the address; a recording may be cut off",
}
"""What to check where a message has no room for it."""


def says(kind: str, name: str) -> str:
    """What a camera's state says where this is why it is blind or degraded.

    Args:
        kind: `reason`, of a frame that was not detected or lost; or `stage`, of one that is late.
        name: The reason, or the stage where it spent most of its time.
    """
    words = {"reason": WHY, "stage": SLOW}[kind]
    return f"camfleet says: “{plain(words[name])}”." if name in words else ""


def failures() -> str:
    """What camfleet says of sources that cannot be opened or read, and what that says to check."""
    rows = [text.partition(";") for _, text in REASONS]
    lines = [f"| {plain(what)} | {plain(_begun(check or _CHECKS[what]))} |" for what, _, check in rows]
    return "\n".join(("| What it says | What to check |", "|---|---|", *lines)) + "\n"


def _begun(text: str) -> str:
    """Words that stood behind a semicolon, as a sentence begins."""
    text = text.strip()
    return text[:1].upper() + text[1:]
