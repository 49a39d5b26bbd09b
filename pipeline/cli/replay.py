"""`camfleet replay`: recordings as RTSP cameras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli.logs import LogFormatOption, LogLevelOption, begin_logs

if TYPE_CHECKING:
    from pipeline.replay.options import ReplayOptions
    from pipeline.replay.server import ReplayServer


def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings in H.264, HEVC, MPEG-4 or MJPEG.")],
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 8554,
    cameras: Annotated[
        int | None,
        typer.Option(min=1, help="How many cameras, instead of one per file; files repeat, from other places in them."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What a camera is called, and its address ends with: the first, the second, … Else its file's name.",
        ),
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Begin again at the end; run whether somebody plays or not.")
    ] = False,
    bind: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    speed: Annotated[float, typer.Option(help="How many times faster than recorded.")] = 1.0,
    fps: Annotated[
        float | None, typer.Option(help="Pictures a second; all are shown, so motion changes its speed.")
    ] = None,
    paced: Annotated[
        Literal["recorded", "even"],
        typer.Option(help="With the jitter, pauses and bursts of the recording (see camfleet record), or without."),
    ] = "recorded",
    offset: Annotated[
        float | None,
        typer.Option(help="Seconds by which each camera begins later in its recording than the one before."),
    ] = None,
    user: Annotated[
        str, typer.Option(help="Ask for this user; the password is in the variable CAMFLEET_REPLAY_PASSWORD.")
    ] = "",
    auth: Annotated[Literal["any", "basic", "digest"], typer.Option(help="How the password is asked for.")] = "any",
    own_ports: Annotated[
        bool, typer.Option("--own-ports", help="A port for each camera: the given one and those after it.")
    ] = False,
    departures: Annotated[
        Path | None, typer.Option(help="Write there when each picture left; pipeline.replay.departures reads it.")
    ] = None,
    push: Annotated[
        str | None, typer.Option(metavar="URL", help="Publish to the RTSP server at this address instead of serving.")
    ] = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Serve recordings as RTSP cameras, in real time and without re-encoding.

    The address of each camera is printed first, one a line. Clients may use TCP or UDP.
    Without --loop each recording starts with its first client, and the command ends when all have been played.

    Example: camfleet replay gate.mp4 yard.mp4 --cameras 6 --loop
             camfleet replay 2026-11-30.mkv --name gate
    """
    import asyncio
    import os

    from pipeline.replay.options import Playback, ReplayOptions
    from pipeline.replay.serve import go_first, serve
    from pipeline.rtsp.auth import PASSWORD_VARIABLE, Login

    begin_logs("replay", log_format, log_level)
    playback = Playback(loop, speed, fps, paced, offset)
    login = Login(user, os.environ.get(PASSWORD_VARIABLE, "") if user else "", auth)
    options = ReplayOptions(
        tuple(files), cameras, port, bind, playback, login, own_ports, departures, tuple(name or ())
    )
    if push is not None:
        raise typer.Exit(_push(options, push))
    go_first()
    raise typer.Exit(asyncio.run(serve(options, _print_addresses)))


def _print_addresses(server: ReplayServer) -> None:
    print("\n".join(server.urls), flush=True)


def _push(options: ReplayOptions, base: str) -> int:
    import signal
    import threading
    from types import FrameType

    from pipeline.redact import redact
    from pipeline.replay.push import push, push_targets

    stop, received = threading.Event(), []

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    print("\n".join(map(redact, push_targets(options, base))), flush=True)
    push(options, base, stop)
    return 128 + signal.SIGINT if signal.SIGINT in received else 0
