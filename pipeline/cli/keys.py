"""`camfleet keys`: who may subscribe to a fleet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Make keys for readers of a fleet, allow and revoke them.\n\n"
    "Each reader has a pair: NAME.key_secret stays with it, NAME.key goes to the folder that the fleet file names as "
    "publish.keys.clients. The fleet has a pair, too, and its readers need the public half of that.",
)

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="The key, such as gate-reader.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")]
CLIENTS = Path("keys/clients")


@app.command()
def new(
    name: KeyName,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the two files are written.")] = Path(
        "keys"
    ),
    as_json: AsJson = False,
) -> None:
    """Make a pair of keys: NAME.key_secret, which only you can read, and NAME.key.

    Nothing is ever overwritten. Best done where the secret is to be used, so that it never travels.

    Example: camfleet keys new server && camfleet keys new gate-reader
    """
    from pipeline.keys import make_pair

    pair = make_pair(name, folder)
    if as_json:
        told = {"public": str(pair.public), "secret": str(pair.secret), "fingerprint": pair.fingerprint}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{pair.secret}  the secret; it stays where it is used")
    typer.echo(f"{pair.public}  the public half, {pair.fingerprint}")
    typer.echo(
        f"a fleet's:  publish: {{keys: {{server: {pair.secret}, clients: {CLIENTS}}}}}; readers need {pair.public}"
    )
    typer.echo(f"a reader's: camfleet keys allow {pair.public} --to {CLIENTS}, where the fleet runs")


@app.command()
def allow(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A reader's NAME.key.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="publish.keys.clients, or a limit's.")] = CLIENTS,
) -> None:
    """Let the reader with this key subscribe; if it tries already, it is in within a few seconds.

    Example: camfleet keys allow gate-reader.key --to keys/clients
    """
    from pipeline import keys

    name, certificate = keys.allow(file, to)
    typer.echo(f"{name} is allowed, {certificate.fingerprint}")


@app.command()
def revoke(
    name: KeyName,
    folder: Annotated[
        Path, typer.Option("--from", metavar="DIR", help="publish.keys.clients, or a limit's.")
    ] = CLIENTS,
) -> None:
    """Take a reader's permission away; if the fleet runs, its connection is closed within a second.

    Example: camfleet keys revoke gate-reader --from keys/clients
    """
    from pipeline import keys

    keys.revoke(name, folder)
    typer.echo(f"{name} is not allowed any more")


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Option("--in", metavar="DIR", help="publish.keys.clients, or a limit's.")] = CLIENTS,
    as_json: AsJson = False,
) -> None:
    """Who is allowed, by name and fingerprint; exit code 1 if a file there is no public key."""
    from pipeline.errors import ConfigError
    from pipeline.keys import read_folder

    try:
        allowed, refused = read_folder(folder)
    except OSError as error:
        raise ConfigError(f"the keys in {folder} cannot be read: {error.strerror}") from None
    if as_json:
        fingerprints = {name: certificate.fingerprint for name, certificate in allowed.items()}
        typer.echo(json.dumps({"allowed": fingerprints, "refused": refused}))
    else:
        width = max(map(len, allowed), default=0)
        for name, certificate in allowed.items():
            typer.echo(f"{name:<{width}}  {certificate.fingerprint}")
        for why in refused.values():
            typer.echo(f"allows nobody: {why}", err=True)
    if refused:
        raise typer.Exit(1)
