"""`camfleet results`: what is in results that a sink has kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.results.account import Account


def results(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|DSN",
            help="A file or folder of a file sink, a file of SQLite or DuckDB, or postgresql://user@host/database.",
            show_default=False,
        ),
    ] = None,
    *,
    dsn_env: Annotated[
        str | None,
        typer.Option(
            "--dsn-env",
            metavar="NAME",
            help="The environment variable that holds the address, so that no password stands in the command.",
        ),
    ] = None,
    silence: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="From when on a time without a frame is told.")
    ] = 5.0,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png", help="Draw it, too; needs pip install 'camfleet\\[report]'.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: everything that is known, by hour too.")] = False,
) -> None:
    r"""Tell what is in kept results: counts by camera, class and time, gaps, and ages.

    Reads JSONL, CSV, Parquet and MOTChallenge text, SQLite, DuckDB and PostgreSQL; Parquet, DuckDB and PostgreSQL
    need pip install 'camfleet\[sinks]'. Frames are missing where numbers of frames are left out within a session; that
    is so where the fleet lost them, and where a sink was told to keep only some (every_s).

    Example: camfleet results results.sqlite --plot results.png
    """
    from pipeline.extras import require
    from pipeline.results.ask import account_of
    from pipeline.results.open import open_results

    if plot is not None:
        require("report", "--plot")
    opened = open_results(_source(source, dsn_env))
    try:
        account = account_of(opened, silence)
    finally:
        opened.tables.close()
    _print(account, as_json)
    if plot is not None:
        from pipeline.results.plot import write_png

        write_png(account, plot)


def _source(source: str | None, dsn_env: str | None) -> str:
    import os

    from pipeline.errors import ConfigError

    if (source is None) == (dsn_env is None):
        raise ConfigError("results needs either FILE|DSN or --dsn-env NAME")
    if source is not None:
        return source
    address = os.environ.get(str(dsn_env), "")
    if not address:
        raise ConfigError(f"the environment variable {dsn_env} is not set")
    return address


def _print(account: Account, as_json: bool) -> None:
    if as_json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(account)).decode())
        return
    from rich.console import Console

    from pipeline.results.text import show

    show(account, Console())
