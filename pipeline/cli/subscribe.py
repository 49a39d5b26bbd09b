"""`camfleet subscribe`: read a running fleet's messages in a terminal or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.wire import FrameResult


def subscribe(
    endpoint: Annotated[str, typer.Argument(help="Where the fleet publishes.")] = "tcp://127.0.0.1:5555",
    camera: Annotated[
        list[str] | None, typer.Option("--camera", "-c", help="Only this camera; may be given several times.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="End after so many frames; 0 never ends.")] = 0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Give up after so many seconds without a frame; 0 waits for ever.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, the keys of the wire.")] = False,
) -> None:
    """Print a line for every frame that a fleet publishes.

    Waits for the fleet if it is not running yet. Works in a pipe:
    camfleet subscribe --camera gate --json | jq -c '[.frame_id, (.tracks | length)]'
    """
    import sys

    from pipeline.client import Subscriber

    seen = 0
    with Subscriber(endpoint, camera or None, timeout_s=timeout or None) as results:
        for result in results:
            print(_json(result) if as_json else readable(result))
            sys.stdout.flush()
            seen += 1
            if seen == count:
                return


def _json(result: FrameResult) -> str:
    import msgspec

    return msgspec.json.encode(result).decode()


def readable(result: FrameResult) -> str:
    """One line for people: what, how old, and what is in the frame.

    A box is written as class, track id and, unless it was detected in this frame, `~` and the milliseconds since.
    """
    boxes = "  ".join(
        f"{box.class_name}#{box.track_id}" + ("" if box.origin == "detected" else f"~{box.since_detected_ms:.0f}ms")
        for box in result.tracks
    )
    lost = f"  LOST {result.lost}" if result.lost else ""
    return (
        f"{result.camera_id:<12} {result.frame_id:>7}  {result.origin:<12} {result.age_ms:>6.1f} ms"
        f"  {len(result.tracks):>3} objects{lost}  {boxes}"
    ).rstrip()
