"""`camfleet replay`: recordings as RTSP cameras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.replay.server import ReplayServer


def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings in H.264, HEVC, MPEG-4 or MJPEG.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 8554,
    cameras: Annotated[
        int | None,
        typer.Option(min=1, help="How many cameras, instead of one per file; files repeat, from other places in them."),
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Begin again at the end; run whether somebody plays or not.")
    ] = False,
    bind: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
) -> None:
    """Serve recordings as RTSP cameras, in real time and without re-encoding.

    The address of each camera is printed first, one a line.
    Without --loop each recording starts with its first client, and the command ends when all have been played.

    Example: camfleet replay gate.mp4 yard.mp4 --cameras 6 --loop
    """
    import asyncio

    from pipeline.logs import configure_logs
    from pipeline.replay.options import Playback, ReplayOptions
    from pipeline.replay.serve import serve

    configure_logs("replay")
    options = ReplayOptions(tuple(files), cameras, port, bind, Playback(loop))
    raise typer.Exit(asyncio.run(serve(options, _print_addresses)))


def _print_addresses(server: ReplayServer) -> None:
    print("\n".join(server.urls), flush=True)
