"""`camfleet discover`: the cameras of the network, and the lines of a fleet file for them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.discover.device import Login
    from pipeline.discover.lines import Proposal, Proposals
    from pipeline.discover.secret import Variables
    from pipeline.discover.survey import Progress, Survey

PASSWORD_VARIABLE = "ONVIF_PASSWORD"


def discover(  # noqa: PLR0917
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            "-a",
            metavar="HOST[:PORT]",
            help="Ask this device, in whatever network, instead of searching; may be given several times.",
            show_default=False,
        ),
    ] = None,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            "--interface",
            "-i",
            metavar="CARD",
            help="Search the network of this card, such as eth0 or its IPv4 address; all cards by default.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            "-u",
            metavar="NAME",
            help="Who asks; by default as in ONVIF_USER, else nobody.",
            show_default=False,
        ),
    ] = None,
    password_env: Annotated[
        str, typer.Option(metavar="VARIABLE", help="The environment variable that holds the password.")
    ] = PASSWORD_VARIABLE,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.1, max=300, help="How long to listen, and for each answer of a device."),
    ] = 5.0,
    other_hosts: Annotated[
        bool, typer.Option("--other-hosts", help="Believe devices that name another host than the one that answered.")
    ] = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print a fleet file and nothing else.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Find the ONVIF cameras of this network, and print lines for the fleet file.

    Of each camera, the smallest stream that is large enough is proposed for detecting (url), and its largest for
    keeping (evidence_url). The lines name environment variables for user and password, which are never printed. The
    password travels as a digest, to every device that answers; --address asks one device only. Without a variable, it
    is asked for.

    Exit code 1 says that no camera was found, or that one cannot be used, and why.

    Example: ONVIF_PASSWORD=… camfleet discover --user viewer --yaml > fleet.yaml && camfleet check fleet.yaml --probe
    """
    from pipeline.discover.cards import cards_at
    from pipeline.discover.lines import propose, to_yaml
    from pipeline.discover.place import Address
    from pipeline.discover.survey import Request, survey

    variables = _variables(password_env)
    request = Request(
        addresses=tuple(map(Address.parse, address or ())),
        cards=tuple(card for text in interface or () for card in cards_at(text)),
        login=_login(user, variables),
        wait_s=timeout,
        other_hosts=other_hosts,
    )
    with _progress() as progress:
        found = survey(request, progress)
    proposals = propose(found.devices, request.login, variables)
    if as_json:
        print(json.dumps(_as_dict(proposals), indent=2, ensure_ascii=False))
    elif proposals.cameras:
        if not as_yaml:
            _print_table(proposals.cameras)
            print()
        print(to_yaml(proposals.cameras, model=as_yaml), end="")
    _tell(found, proposals)
    if proposals.unused or not proposals.cameras:
        raise typer.Exit(1)


def _variables(password: str) -> Variables:
    """The variable of the user is called as that of the password."""
    import re

    from pipeline.discover.secret import Variables
    from pipeline.errors import ConfigError

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", password):
        raise ConfigError(
            f"--password-env: expected the name of an environment variable, such as {PASSWORD_VARIABLE}, not the "
            "password itself, which other users of this machine can see"
        )
    return Variables(f"{password.removesuffix('_PASSWORD')}_USER", password)


def _login(user: str | None, variables: Variables) -> Login | None:
    from pipeline.discover.device import Login
    from pipeline.errors import ConfigError

    user = user or os.environ.get(variables.user)
    if not user:
        return None
    password = os.environ.get(variables.password)
    if password is None and sys.stdin is not None and sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, err=True, default="", show_default=False)
    if password is None:
        raise ConfigError(f"the environment variable {variables.password} is not set; it holds the password")
    return Login(user, password)


def _tell(found: Survey, proposals: Proposals) -> None:
    """What is to be known beside the cameras, on stderr: one sentence each."""
    for card, why in found.deaf.items():
        typer.echo(f"{card} could not be searched: {why}", err=True)
    for device, why in ((one.device, one.why) for one in proposals.unused):
        typer.echo(f"{device.host}{device.name and f' ({device.name})'}: {'; '.join((why, *device.notes))}", err=True)
    if not found.devices:
        typer.echo(_nothing(found), err=True)
    if missing := {name for one in proposals.cameras for name in one.variables if name not in os.environ}:
        typer.echo(f"set these before using the lines: {', '.join(sorted(missing))}", err=True)


def _nothing(found: Survey) -> str:
    where = ", ".join(card for card in found.cards if card not in found.deaf)
    if not where:
        return "there is no network to search: see --interface, or ask a camera by --address HOST"
    return (
        f"no ONVIF device answered on {where}: check that cameras are on and have ONVIF switched on, that no firewall "
        "drops UDP from their port 3702, and ask those of other networks by --address HOST"
    )


def _as_dict(proposals: Proposals) -> dict[str, Any]:
    return {
        "cameras": {one.camera_id: _camera(one) for one in proposals.cameras},
        "unused": [
            {"host": one.device.host, "name": one.device.name, "why": one.why, "notes": one.device.notes}
            for one in proposals.unused
        ],
    }


def _camera(one: Proposal) -> dict[str, Any]:
    return {
        "url": one.url.text,
        "evidence_url": one.evidence_url.text if one.evidence_url else None,
        "variables": one.variables,
        "host": one.device.host,
        "name": one.device.name,
        "maker": one.device.maker,
        "model": one.device.model,
        "profiles": [
            {
                "token": profile.token,
                "name": profile.name,
                "codec": profile.codec,
                "size_wh": profile.size_wh,
                "fps": profile.fps,
                "bitrate_kbps": profile.bitrate_kbps,
                "use": _use(one, number),
            }
            for number, profile in enumerate(one.profiles)
        ],
        "notes": one.notes,
    }


def _use(one: Proposal, number: int) -> str | None:
    profile = one.profiles[number]
    if profile is one.choice.detect:
        return "detect"
    return "evidence" if one.evidence_url and profile is one.choice.evidence else None


def _print_table(proposals: Sequence[Proposal]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("camera", "device", "host", "profile", "stream", "use", box=None, pad_edge=False)
    for one in proposals:
        _add_rows(table, one)
    Console(highlight=False).print(table)


def _add_rows(table: Table, one: Proposal) -> None:
    from rich.text import Text

    from pipeline.discover.lines import stream

    head = (one.camera_id, one.device.title, one.device.host)
    for number, profile in enumerate(one.profiles):
        use = _use(one, number) or ""
        cells = (*(head if number == 0 else ("", "", "")), profile.name, stream(profile), use)
        table.add_row(*(Text(cell, overflow="fold", style="" if use else "dim") for cell in cells))


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, a line for each step elsewhere; on stderr, because stdout is for the result."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    from pipeline.discover.survey import Progress

    console = Console(stderr=True)
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )

    class Shown(Progress):
        def begin(self, words: str, total: int | None) -> None:
            if bars.disable:
                typer.echo(f"{words} …", err=True)
            for done in bars.task_ids:
                bars.remove_task(done)
            self._task = bars.add_task(words, total=total)

        def reach(self, count: int) -> None:
            bars.update(self._task, completed=count)

    with bars:
        yield Shown()
