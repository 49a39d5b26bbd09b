"""`camfleet status`, `reload` and `camera`: ask a running fleet how it is, and change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.settings import read_settings

if TYPE_CHECKING:
    from pipeline.observe.tally import FleetTally

LISTEN_S = 2.2
"""How long `status` listens: every camera says how it is once a second."""
STATUS_S = 10.0
"""How long a fleet may take to say how it is, on a machine under load; a supervisor that is stopped never does."""

camera = typer.Typer(no_args_is_help=True, help="Add, remove, pause or resume a camera of a running fleet.")

FleetName = Annotated[
    str | None,
    typer.Option("--fleet", "-f", help="Which fleet, where several run here.", show_default=False),
]
CameraName = Annotated[str, typer.Argument(metavar="NAME", help="The camera.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")]


def status(fleet: FleetName = None, as_json: AsJson = False) -> None:
    """How a running fleet is: each camera's state, since when and why, and each process.

    Listens to the fleet for two seconds. Exit code 1 says that a camera is failed, blind or retrying.
    """
    from pipeline.supervise.control import ask

    found = ask({"command": "status"}, fleet, timeout_s=STATUS_S)
    tally = _listen(found)
    if as_json:
        import msgspec

        typer.echo(json.dumps({**found, "now": msgspec.to_builtins(tally)}))
    else:
        _print(found, tally)
    if any(one.state in ("failed", "blind", "retrying") for one in tally.cameras):
        raise typer.Exit(1)


def reload(fleet: FleetName = None, as_json: AsJson = False) -> None:
    """Apply the changed fleet file to the fleet that runs; what did not change is not touched.

    A file with mistakes is refused whole, and the fleet stays as it is. Another model takes over when it is loaded and
    warm. Cameras that were added by `camfleet camera add` and are not in the file leave.
    """
    _change({"command": "reload"}, fleet, as_json)


def drain(
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="Its address, or the beginning of its id.")],
    fleet: FleetName = None,
) -> None:
    """Empty a machine of a fleet that runs over several: its cameras move to others, and no picture is lost.

    Returns at once; camfleet status shows the shards, and when the machine has none any more. It stays empty until the
    fleet ends.

    Example: camfleet drain 10.0.0.7
    """
    from pipeline.supervise.control import ask

    node = ask({"command": "drain", "name": machine}, fleet)
    typer.echo(f"{machine} ({node[:8]}) is being emptied")


@camera.command()
def add(
    name: CameraName,
    url: Annotated[str, typer.Option("--url", help="Where it is, as in a fleet file.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting as in a fleet file, such as --set stride=2."),
    ] = None,
    fleet: FleetName = None,
    as_json: AsJson = False,
) -> None:
    """Let a camera join a running fleet; it leaves with the next reload unless it is in the file by then.

    Example: camfleet camera add yard --url rtsp://cam.example/1 --set stride=2 --set track.fill=interpolate
    """
    request = {
        "command": "camera-add",
        "name": name,
        "settings": {"url": _absolute(url), **read_settings(settings or [])},
    }
    _change(request, fleet, as_json)


@camera.command()
def remove(name: CameraName, fleet: FleetName = None, as_json: AsJson = False) -> None:
    """Let a camera leave a running fleet; it comes back with the next reload if it is still in the file."""
    _change({"command": "camera-remove", "name": name}, fleet, as_json)


@camera.command()
def pause(name: CameraName, fleet: FleetName = None, as_json: AsJson = False) -> None:
    """Disconnect a camera and keep its settings."""
    _change({"command": "camera-pause", "name": name}, fleet, as_json, f"{name} is paused")


@camera.command()
def resume(name: CameraName, fleet: FleetName = None, as_json: AsJson = False) -> None:
    """Take up a camera that was paused."""
    _change({"command": "camera-resume", "name": name}, fleet, as_json, f"{name} is taken up again")


def _change(request: dict[str, Any], fleet: str | None, as_json: bool, words: str = "") -> None:
    import msgspec

    from pipeline.supervise.changes import Changes
    from pipeline.supervise.control import ask

    result = ask(request, fleet)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(words or msgspec.convert(result, Changes).words)


def _absolute(url: str) -> str:
    """A recording's path, from here to where the fleet runs."""
    return str(Path(url).absolute()) if Path(url).is_file() else url


def _listen(found: dict[str, Any]) -> FleetTally:
    """What the cameras and their frames say meanwhile."""
    import threading

    from pipeline.errors import ControlError
    from pipeline.observe.watch import FleetWatch

    if found["inside"] is None:
        raise ControlError(f"the fleet “{found['fleet']}” is still starting; ask again in a moment")
    with FleetWatch(found["inside"], found["cameras"], found["slo_p95_ms"]) as watch:
        threading.Event().wait(LISTEN_S)
        return watch.live()


def _print(found: dict[str, Any], tally: FleetTally) -> None:
    from rich.console import Console

    from pipeline.observe.promise import Promise
    from pipeline.observe.summary import promise_lines
    from pipeline.observe.table import FleetTable

    console = Console()
    promise = Promise(found["slo_p95_ms"], found["boxes_live_ms"], found.get("max_loss"))
    console.print(FleetTable(tally, found["fleet"], promise))
    for line in promise_lines(tally, promise):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if found["scaling"]:
        console.print(f"autoscale: {found['scaling']}", highlight=False, markup=False, soft_wrap=True)
    for shard in found["shards"]:
        drains = ", to be empty" if shard["drains"] else ""
        cameras = ", ".join(shard["cameras"]) or "no camera"
        line = f"shard {shard['name']} on {shard['machine']}: {shard['condition']}{drains}; {cameras}"
        console.print(line, highlight=False, markup=False)
    for process in found["processes"]:
        restarts = f", started again {process['restarts']} times" if process["restarts"] else ""
        detail = f"; {process['detail']}" if process["detail"] else ""
        line = f"{process['name']}: {process['condition']}, pid {process['pid']}{restarts}{detail}"
        console.print(line, highlight=False, markup=False)
