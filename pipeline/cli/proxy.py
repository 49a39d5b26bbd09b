"""`camfleet proxy`: another endpoint of a fleet that runs over several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.logs import LogFormatOption, LogLevelOption, begin_logs


def proxy(
    fleet_file: Annotated[Path, typer.Argument(metavar="FLEET.yaml", help="The fleet that runs.")],
    *,
    on: Annotated[
        str, typer.Option("--on", metavar="ray[://HOST:PORT]", help="The Ray cluster where it runs.")
    ] = "ray",
    bind: Annotated[
        str, typer.Option("--bind", metavar="ENDPOINT", help="Where it publishes, instead of the file's publish.bind.")
    ],
    duration: Annotated[
        float, typer.Option("--duration", "-d", min=0, help="Seconds to run; 0 runs until the fleet ends.")
    ] = 0.0,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Publish a fleet that runs over several machines at a further endpoint, mostly on another machine.

    Whoever subscribes to both endpoints hears everything once, and goes on when one of them is away. Keys are those of
    the file; limits and JSON are at the first endpoint alone.

    Example: camfleet proxy fleet.yaml --on ray --bind tcp://10.0.0.8:5555
    """
    import signal

    from pydantic import ValidationError

    from pipeline.config import load_fleet
    from pipeline.config.values import Publish
    from pipeline.errors import ConfigError
    from pipeline.redact import redact
    from pipeline.scale.on_ray import RayCluster, address_of, require_ray
    from pipeline.scale.standby import Standby

    address = address_of(on)
    require_ray()
    fleet = load_fleet(fleet_file)
    keys = fleet.publish.keys
    settings = {
        "bind": bind,
        "keys": None if keys is None else {"server": keys.server, "clients": keys.clients},
        "insecure": fleet.publish.insecure,
        "encoding": fleet.publish.encoding,
        "queue": fleet.publish.queue,
        "history_mb": 0,
    }
    try:
        publish = Publish.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(f"--bind {redact(bind)}: {error.errors(include_url=False)[0]['msg']}") from None
    fleet = fleet.model_copy(update={"publish": publish})
    begin_logs("proxy", log_format, log_level)
    with RayCluster(address, fleet.name) as cluster, Standby(fleet, cluster) as standby:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: standby.stop())
        typer.echo(f"{fleet.name} → {standby.open().endpoint}", err=True)
        standby.run(duration or None)
