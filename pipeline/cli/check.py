"""`camfleet check`: whether a fleet file is right, and whether its cameras answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.camera.probe import ProbeResult
    from pipeline.config import Camera
    from pipeline.errors import SourceError

PROBED_AT_ONCE = 8
"""Opening a camera is waiting, mostly; more at once would load a switch or a recorder that serves them all."""
_ASSEMBLIES = {"": "whole", "early": "at once", "next": "one late"}
"""How a camera's pictures come: whole from the source, with their last packet, or with the next one's first."""
GRACE_S = 5.0
"""How long a camera may overrun its own time limit: FFmpeg does not keep it in name look-up and in some hand-shakes."""


def check(
    fleet: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The fleet file.", show_default=False)],
    probe: Annotated[bool, typer.Option("--probe", help="Open each camera and tell what it sends.")] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile/--no-profile", help="With the settings that camfleet tune found for this machine, as run has it."
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML or a table.")] = False,
) -> None:
    """Say whether a fleet file is right, and what it means with every default filled in; credentials are masked.

    All mistakes are told at once, each with its line and what is allowed. Settings that camfleet tune found for this
    machine are in it, as they are in a run, and where they come from is said; or why they are not used.

    With --probe, each camera is opened as `run` opens it and watched for five seconds; its codec, size, frame rate and
    key-frame interval are shown, what decodes it (and of the devices of this machine, which could), and whether its
    pictures are there at once or one picture late; the exit code is 1 if one does not answer.

    Example: camfleet check configs/example.yaml --probe
    """
    from pipeline.config import load_fleet, to_dict, to_yaml
    from pipeline.tune.use import load_tuned

    tuned = load_tuned(fleet) if profile else None
    loaded = load_fleet(fleet) if tuned is None else tuned.fleet
    if tuned is not None and tuned.words:
        typer.echo(f"profile {tuned.words}", err=True)
    if not probe:
        text = json.dumps(to_dict(loaded), indent=2, ensure_ascii=False) if as_json else to_yaml(loaded)
        print(text.rstrip("\n"))
        return
    cameras = loaded.cameras.values()
    outcomes = dict(_probed(cameras))
    if as_json:
        print(
            json.dumps({camera.camera_id: _as_dict(camera, outcomes[camera.camera_id]) for camera in cameras}, indent=2)
        )
    else:
        _print_table(cameras, outcomes)
    if any(isinstance(outcome, Exception) for outcome in outcomes.values()):
        raise typer.Exit(1)


def _probed(cameras: Iterable[Camera]) -> Iterator[tuple[str, ProbeResult | SourceError]]:
    """Each camera's name with what it sends, or why that is not known; in the order they answer."""
    import queue
    import threading

    from pipeline.camera.probe import probe
    from pipeline.errors import SourceError

    waiting: queue.SimpleQueue[Camera] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[str, ProbeResult | SourceError]] = queue.SimpleQueue()
    open_cameras = {camera.camera_id: camera for camera in cameras}
    for camera in open_cameras.values():
        waiting.put(camera)

    def work() -> None:
        while not waiting.empty():
            camera = waiting.get()
            try:
                answers.put((camera.camera_id, probe(camera, camera.open_timeout_s)))
            except SourceError as error:
                answers.put((camera.camera_id, error))

    # Daemons, because a camera may hold FFmpeg for good, and that must not hold the command.
    for _ in range(min(PROBED_AT_ONCE, len(open_cameras))):
        threading.Thread(target=work, daemon=True).start()
    # The time limit holds for opening a camera, and again for watching it.
    patience_s = GRACE_S + 2 * max(camera.open_timeout_s for camera in open_cameras.values())
    while open_cameras:
        try:
            name, answer = answers.get(timeout=patience_s)
        except queue.Empty:
            break
        del open_cameras[name]
        yield name, answer
    for name in open_cameras:
        yield name, SourceError(f"no answer in {patience_s:g} s")


def _as_dict(camera: Camera, outcome: ProbeResult | SourceError) -> dict[str, Any]:
    from pipeline.redact import redact

    if isinstance(outcome, Exception):
        return {"url": str(camera.url), "error": redact(outcome)}
    return {
        "url": str(camera.url),
        "codec": outcome.codec,
        "frame_wh": list(outcome.frame_wh),
        "fps": outcome.fps and round(outcome.fps, 3),
        "keyframe_interval_s": outcome.keyframe_interval_s and round(outcome.keyframe_interval_s, 3),
        "assembly": outcome.assembly,
        "decoder": outcome.decoder,
        "devices": outcome.devices,
        "concern": outcome.concern,
    }


def _print_table(cameras: Iterable[Camera], outcomes: dict[str, ProbeResult | SourceError]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "camera", "codec", "size", "fps", "key frame every", "pictures", "decoder", "address", box=None, pad_edge=False
    )
    failures: list[Text] = []
    notes: list[Text] = []
    for camera in cameras:
        told = _as_dict(camera, outcomes[camera.camera_id])
        if "error" in told:
            cells = ("[red]failed[/]", "", "", "", "", "")
            failures.append(Text.assemble((camera.camera_id, "red"), f": {told['error']}"))
        else:
            interval = told["keyframe_interval_s"]
            every = "unknown" if interval is None else f"{interval:.1f} s"
            fps = "unknown" if told["fps"] is None else f"{told['fps']:g}"
            assembly = _ASSEMBLIES[told["assembly"]]
            cells = (told["codec"], "{}×{}".format(*told["frame_wh"]), fps, every, assembly, _decoders(told))
            if told["concern"]:
                notes.append(Text.assemble((camera.camera_id, "yellow"), f": {told['concern']}"))
        table.add_row(camera.camera_id, *cells, Text(told["url"], overflow="fold"))
    console = Console()
    console.print(table)
    for line in notes + failures:
        console.print(line, soft_wrap=True)


def _decoders(told: dict[str, Any]) -> str:
    """What decodes a camera, and what could."""
    others = [kind for kind, why in told["devices"].items() if not why and kind != told["decoder"]]
    return f"{told['decoder']} (or {', '.join(others)})" if others else str(told["decoder"])
