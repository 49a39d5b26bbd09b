"""`camfleet demo`: six recordings as cameras and a fleet that watches them, anywhere, with nothing left behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pipeline.replay.process import ServedRecordings

CAMERAS = ("gate", "yard", "crossing", "street", "parking", "park")
FOLDERS = ("configs", "samples")


def demo(
    *,
    duration: Annotated[
        float, typer.Option("--duration", "-d", min=0, help="Seconds to run; 0 runs until Ctrl-C.")
    ] = 30.0,
    page: Annotated[int, typer.Option(min=0, max=65535, help="Port of the live page; 0 takes a free one.")] = 8080,
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Run nothing: write the recordings, the model, and the example and scenario files there.",
            show_default=False,
        ),
    ] = None,
) -> None:
    r"""Watch six cameras of a small town, which are recordings: a live table, and a page with their pictures and boxes.

    Needs no network, no camera and no model of yours. Ports that somebody has are replaced by free ones, and nothing is
    written but a temporary folder. The page needs pip install 'camfleet\[page]'.

    Example: camfleet demo --duration 60
    """
    import tempfile

    if files is not None:
        _write(files)
        return
    with tempfile.TemporaryDirectory(prefix="camfleet-demo-") as folder, _cameras() as cameras:
        os.environ.update(XDG_CACHE_HOME=folder, XDG_STATE_HOME=folder)
        _run(cameras, duration, _page(page))


def _cameras() -> AbstractContextManager[ServedRecordings]:
    """The recordings as RTSP cameras, until the `with` ends, and at the latest when this process does."""
    from pipeline.replay.options import Playback, ReplayOptions
    from pipeline.replay.process import serve_recordings

    recordings = tuple(_there("samples") / f"{name}.mp4" for name in CAMERAS)
    port = free_port(8554)
    _say("Serving six recordings as cameras:")
    _show(f"replay {' '.join(path.name for path in recordings)} --loop --port {port}")
    return serve_recordings(ReplayOptions(recordings, port=port, playback=Playback(loop=True)))


def _run(cameras: ServedRecordings, duration: float, page: int | None) -> None:
    """The fleet, in this process, as `camfleet run` has it."""
    from urllib.parse import urlsplit

    from pipeline.cli.run import run

    for url in cameras.urls:
        _say(f"    {url}")
    port = free_port(5555)
    os.environ.update(RTSP_PORT=str(urlsplit(cameras.urls[0]).port), RESULTS_PORT=str(port))
    _say("\nLaunching a fleet that watches them:")
    _show(f"run demo.yaml --duration {duration:g}" + ("" if page is None else f" --page {page}"))
    _say("Read along in another terminal with:")
    _show(f"subscribe tcp://127.0.0.1:{port} --camera gate")
    _say("")
    run(_there("configs") / "demo.yaml", duration=duration, page=page, profile=False)


def _page(port: int) -> int | None:
    """Where the page is to be; None, and why, where it needs what is not installed."""
    from pipeline.extras import lack

    if words := lack("page", "the page"):
        _say(f"Without a page: {words}\n")
        return None
    return free_port(port) if port else 0


def free_port(wanted: int) -> int:
    """The TCP port of this machine that is wanted, or another one where somebody has it."""
    for port in (wanted, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    return 0


def _write(target: Path) -> None:
    """Copy what the demonstration is made of; what is there already is never written over."""
    from pipeline.errors import ConfigError

    for name in FOLDERS:
        if (target / name).exists():
            raise ConfigError(f"--files {target}: there is a “{name}” already; name another folder")
    try:
        for name in FOLDERS:
            _copy(_there(name), target / name)
    except OSError as error:
        raise ConfigError(f"--files {target}: cannot be written: {error.strerror}") from error
    _say(f"{target}/samples: recordings, their ground truth, and a model that knows their town")
    _say(f"{target}/configs: fleets and scenarios; begin with {target}/configs/minimal.yaml and example.yaml")


def _copy(source: Path, target: Path) -> None:
    """All files of a folder, as files of the user's own: an installation may be read-only."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


def _there(name: str) -> Path:
    from pipeline.errors import ConfigError
    from pipeline.installed import shared_files

    folder = shared_files() / name
    if not folder.is_dir():
        raise ConfigError(
            f"the sample recordings are not installed: there is no folder {folder}; install camfleet from its wheel"
        )
    return folder


def _show(command: str) -> None:
    """A command as it can be typed here, also where camfleet is in an environment that is not activated."""
    import shutil
    import sys

    own = sys.argv[0]
    program = own if Path(own).name == "camfleet" and shutil.which("camfleet") is None else "camfleet"
    _say(f"  $ {program} {command}")


def _say(text: str) -> None:
    typer.echo(text)
