"""`camfleet snapshot`: one picture of a camera of a running fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.control import CameraName, FleetName

STATUS_S = 10.0


def snapshot(
    name: CameraName,
    out: Annotated[Path, typer.Argument(metavar="OUT.jpg", help="The file; one that exists is replaced.")],
    boxes: Annotated[bool, typer.Option("--boxes", help="Draw the boxes of that very frame.")] = False,
    fleet: FleetName = None,
) -> None:
    """Write a camera's next picture in its full size, as JPEG.

    With --boxes it waits for what is known of the same frame: detected boxes are solid, filled ones dashed.

    Example: camfleet snapshot gate gate.jpg --boxes
    """
    from pipeline.errors import PageError
    from pipeline.supervise.control import ask, find
    from pipeline.web.snapshot import snapshot as take

    if out.suffix.lower() not in (".jpg", ".jpeg"):
        raise PageError(f"{out}: a snapshot is a .jpg file; give it such a name")
    status = ask({"command": "status"}, fleet, timeout_s=STATUS_S)
    if name not in status["cameras"]:
        raise PageError(f"the fleet has no camera “{name}”; there is {', '.join(status['cameras'][:20])}")
    try:
        jpeg = take(find(fleet), status["inside"], name, boxes=boxes)
    except PageError as error:
        raise PageError(f"{error}{_where(status, name)}") from None
    try:
        out.write_bytes(jpeg)
    except OSError as error:
        raise PageError(f"{out} cannot be written: {error.strerror}") from None
    typer.echo(f"{out}: {len(jpeg) / 1000:.0f} kB")


def _where(status: dict[str, Any], name: str) -> str:
    """On which machine a camera is; empty of a fleet on a single one."""
    machines = " and ".join(shard["machine"] for shard in status["shards"] if name in shard["cameras"])
    return f"; it is on {machines}" if machines else ""
