"""`camfleet clip`: the moment before now, from a running fleet's camera."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.control import AsJson, CameraName, FleetName


def clip(  # noqa: PLR0917
    name: CameraName,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new .mp4 or .mkv file.", show_default=False)],
    last: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How long before the end it begins.")] = 10.0,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When it ends, as in 2026-11-27T14:03:07.5 (this machine's time) or with Z or +01:00; now by default.",
            show_default=False,
        ),
    ] = None,
    fleet: FleetName = None,
    as_json: AsJson = False,
) -> None:
    """Write the last seconds of a camera's evidence_url, as they came: nothing is encoded anew.

    Unless the camera's privacy has masks or classes to be blurred: then it is covered and encoded anew, or refused, as
    privacy.clips says.

    The stream that is detected is often the small one; evidence_url is the large one, of which the latest seconds are
    kept in memory. Times are those of the detections (captured_at_ns): the two streams are aligned by the camera's
    RTCP sender reports, or by their pictures, and how far that may be off is told. A clip begins with the key frame
    before, so that it can be played.

    Example: camfleet clip gate gate.mp4 --last 8
    """
    from pipeline.clock import NS_PER_S, SystemClock
    from pipeline.supervise.control import ask

    to_ns = SystemClock().wall_ns() if until is None else _ns_of(until)
    request = {"command": "clip", "name": name, "out": str(out.absolute())}
    written = ask({**request, "from_ns": to_ns - round(last * NS_PER_S), "to_ns": to_ns}, fleet)
    if as_json:
        typer.echo(json.dumps(written))
        return
    seconds = (written["to_ns"] - written["from_ns"]) / NS_PER_S
    error_ms = written["error_ms"]
    within = "by an unknown error" if error_ms is None else f"within {error_ms:.0f} ms"
    how = {"rtcp": "RTCP", "content": "their pictures", "arrival": "nothing but their arrival"}[written["by"]]
    typer.echo(f"{out}: {seconds:.1f} s, {written['frames']} frames; streams aligned {within}, by {how}")


def _ns_of(text: str) -> int:
    from datetime import datetime

    from pipeline.clock import NS_PER_S
    from pipeline.errors import ControlError

    try:
        return round(datetime.fromisoformat(text).timestamp() * NS_PER_S)
    except (ValueError, OverflowError):
        raise ControlError(f"--until {text}: expected a time such as 2026-11-27T14:03:07.5") from None
