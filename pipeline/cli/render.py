"""`camfleet render`: results drawn on a recording."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.render import Rendered


def render(  # noqa: PLR0917
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="The recording.", show_default=False)],
    results: Annotated[
        str,
        typer.Argument(
            metavar="RESULTS",
            help="JSON lines; or what a sink has kept: a file or folder, or postgresql://user@host/database.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new .mp4 or .mkv file.", show_default=False)],
    camera: Annotated[
        str | None, typer.Option("--camera", "-c", help="Whose results, where they are of several cameras.")
    ] = None,
    session: Annotated[
        str | None, typer.Option(help="Of which session_id, or how it begins, where there are several.")
    ] = None,
    by_frame: Annotated[
        bool, typer.Option("--by-frame", help="Match by the numbers of the frames, not by their times.")
    ] = False,
    rotate: Annotated[Literal["0", "90", "180", "270"], typer.Option(help="As in the camera's fleet file.")] = "0",
    mirror: Annotated[bool, typer.Option("--mirror", help="As in the camera's fleet file.")] = False,
    privacy: Annotated[
        Path | None,
        typer.Option(
            metavar="FLEET.yaml",
            help="Mask and blur what the camera's privacy says in this fleet file, and turn pictures as it says.",
        ),
    ] = None,
    blur: Annotated[
        list[str] | None, typer.Option(metavar="CLASS", help="Blur objects of this class; may be given several times.")
    ] = None,
    trail: Annotated[float, typer.Option(metavar="SECONDS", min=0, max=60, help="How long objects' trails are.")] = 2.0,
    colour: Annotated[Literal["track", "class"], typer.Option(help="What has a colour of its own.")] = "track",
    no_caption: Annotated[bool, typer.Option("--no-caption", help="Do not write which frame it is.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was drawn as JSON.")] = False,
) -> None:
    r"""Draw what a fleet published about a recording on that recording.

    Boxes are solid where the detector saw the object in that frame, dashed where the tracker filled in. A frame that no
    detection stands behind is marked as skipped, one without a result as such. Results and frames belong together that
    have the same time (pts_s): play the recording in a fleet, and keep what it publishes:

        camfleet subscribe --json > results.jsonl

    Or let a sink keep it, and name what it wrote: JSONL, CSV, Parquet, SQLite, DuckDB or PostgreSQL, of which Parquet,
    DuckDB and PostgreSQL need pip install 'camfleet\[sinks]'. MOTChallenge text has no times and is not drawn. A
    password of PostgreSQL need not be in the command: its library takes it from PGPASSWORD or ~/.pgpass.

    With --blur, a frame of which nothing is known, skipped or without a result, is blurred as a whole.

    Example: camfleet render samples/gate.mp4 results.jsonl gate-boxes.mp4 --camera gate
    """
    import json
    from dataclasses import asdict

    from pipeline.camera.orientation import Orientation
    from pipeline.config import load_fleet
    from pipeline.logs import configure_logs
    from pipeline.render import Request
    from pipeline.render import render as render_results

    configure_logs("render", level="warning")
    request = Request(
        video=video,
        results=results,
        out=out,
        camera=camera,
        session=session,
        by_frame=by_frame,
        mounted=Orientation(int(rotate) // 90, mirror),
        cameras={} if privacy is None else load_fleet(privacy).cameras,
        blur=tuple(blur or ()),
        trail_s=trail,
        colour_by=colour,
        caption=not no_caption,
        force=force,
    )
    with _progress(out) as turn:
        done = render_results(request, turn)
    print(json.dumps({"out": str(out), **asdict(done)}) if as_json else f"{out}: {readable(done)}")


def readable(done: Rendered) -> str:
    """One line for people."""
    parts = (
        (done.with_boxes, "with boxes"),
        (done.empty, "empty"),
        (done.skipped, "skipped"),
        (done.without_result, "without a result"),
    )
    unused = f"; {done.unused} results have no frame" if done.unused else ""
    return f"{done.frames} frames, " + ", ".join(f"{count} {word}" for count, word in parts if count) + unused


@contextlib.contextmanager
def _progress(out: Path) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal, on stderr, because stdout is for the result."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"drawing {out.name}", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
