"""`camfleet record`: a camera into a file, as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.logs import LogFormatOption, LogLevelOption, begin_logs


def record(
    url: Annotated[str, typer.Argument(help="The camera: rtsp://, rtsps://, http://, https:// or /dev/videoN.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.mkv", help="The recording to write; must not exist.")],
    duration: Annotated[
        float | None, typer.Option(min=0.1, help="End after so many seconds; otherwise with Ctrl-C.")
    ] = None,
    transport: Annotated[Literal["tcp", "udp"], typer.Option(help="How RTSP carries its packets.")] = "tcp",
    *,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Record a camera without re-encoding, with the times at which its packets came.

    The times are kept in OUT.mkv.arrivals; camfleet replay repeats the camera's jitter, pauses and bursts from them.
    A camera that is lost is connected again. If it comes back with another codec or size, OUT-2.mkv goes on.

    A password in the address is seen by everybody on this machine; ${NAME} in it is replaced by that environment
    variable, so put the address in single quotes: camfleet record 'rtsp://bob:${GATE_PASSWORD}@10.0.0.7/1' gate.mkv
    """
    import signal
    import threading
    from types import FrameType

    from pipeline.record import record as record_camera
    from pipeline.record import recorded_camera

    begin_logs("record", log_format, log_level)
    stop, received = threading.Event(), []

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    recorded = record_camera(recorded_camera(url, transport), out, duration_s=duration, stop=stop)
    names = ", ".join(map(str, recorded.files)) or "nothing"
    print(f"{names}: {recorded.pictures} pictures in {recorded.seconds:.0f} s, {recorded.sessions} connection(s)")
    if signal.SIGINT in received:
        raise typer.Exit(128 + signal.SIGINT)
