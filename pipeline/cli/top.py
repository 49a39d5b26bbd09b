"""`camfleet top`: any running fleet, live in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.settings import KeyOption, ServerKeyOption, key_of

if TYPE_CHECKING:
    from pipeline.observe.glance import Glance, GlanceView
    from pipeline.observe.headlines import Headlines

DEFAULT = "tcp://127.0.0.1:5555"
EVERY_S = 1.0
FIRST_S = 5.0
"""How long a fleet may take to say how it is, which it does once a second."""
STATES_S = 0.2
"""What a newcomer gets at once takes no longer."""
STATUS_S = 10.0


def top(
    endpoint: Annotated[
        str | None,
        typer.Argument(
            help="Where the fleet publishes. Without it, the fleet of yours that runs on this machine, "
            f"or {DEFAULT} if there is none.",
            show_default=False,
        ),
    ] = None,
    *,
    fleet: Annotated[
        str | None,
        typer.Option("--fleet", "-f", help="Which fleet, where several of yours run here.", show_default=False),
    ] = None,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Say it once and end. Exit code 1: a promise is not kept, or nobody knows whether it is."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, once a second.")] = False,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
) -> None:
    """Watch any fleet: each camera's state, since when and why, its rates and ages, and whether the promise is kept.

    It hears what a fleet says of itself once a second and no frames, so a slow line will do. Ctrl-C ends it.

    Example: camfleet top tcp://10.0.0.5:5555
    """
    from pipeline.observe.headlines import Headlines

    address, life_ms = (endpoint, {}) if endpoint is not None else _own(fleet)
    with Headlines(address, key_of(key, server_key)) as heard:
        if once:
            _say_once(heard, life_ms, as_json)
        elif as_json:
            _say_lines(heard)
        else:
            _watch(heard, life_ms)


def _own(fleet: str | None) -> tuple[str, dict[str, float]]:
    """Where this user's fleet is heard, and how long its boxes live; the usual endpoint if none runs."""
    from pipeline.errors import ControlError
    from pipeline.supervise.control import any_runs, ask

    if fleet is None and not any_runs():
        return DEFAULT, {}
    found: dict[str, Any] = ask({"command": "status"}, fleet, timeout_s=STATUS_S)
    if found["inside"] is None:
        raise ControlError(f"the fleet “{found['fleet']}” is still starting; ask again in a moment")
    return found["inside"], found["boxes_live_ms"]


def _say_once(heard: Headlines, life_ms: dict[str, float], as_json: bool) -> None:
    import time

    from rich.console import Console

    from pipeline.errors import SubscriberTimeout
    from pipeline.observe.glance import look

    end_s = time.monotonic() + FIRST_S
    while heard.fleet is None and time.monotonic() < end_s:
        heard.listen(STATES_S)
    if heard.fleet is None:
        raise SubscriberTimeout(heard.silence)
    heard.listen(STATES_S)
    glance = look(heard)
    if as_json:
        _print_json(glance)
    else:
        Console().print(_view(heard, life_ms, whole=True))
    if glance.kept is not True or (glance.max_loss is not None and glance.loss_kept is not True):
        raise typer.Exit(1)


def _say_lines(heard: Headlines) -> None:
    """A line a second, also while nothing is heard: whoever reads knows then that nothing is known."""
    from pipeline.observe.glance import look

    while True:
        heard.listen(EVERY_S)
        _print_json(look(heard))


def _watch(heard: Headlines, life_ms: dict[str, float]) -> None:
    """Until Ctrl-C; where there is no terminal, one table after the other."""
    from contextlib import suppress

    from rich.console import Console
    from rich.live import Live

    console = Console()
    with suppress(KeyboardInterrupt):
        if not console.is_terminal:
            while True:
                heard.listen(EVERY_S)
                console.print(_view(heard, life_ms, whole=True))
        with Live(_view(heard, life_ms), console=console, auto_refresh=False, screen=True) as live:
            while True:
                heard.listen(EVERY_S / 2)
                live.update(_view(heard, life_ms), refresh=True)


def _view(heard: Headlines, life_ms: dict[str, float], *, whole: bool = False) -> GlanceView:
    from pipeline.observe.glance import GlanceView, look, tally_of

    glance = look(heard)
    tally = tally_of(glance, heard.heard_s_ago)
    return GlanceView(glance, tally, life_ms, heard.silence, whole)


def _print_json(glance: Glance) -> None:
    import msgspec

    print(msgspec.json.encode(glance).decode(), flush=True)
