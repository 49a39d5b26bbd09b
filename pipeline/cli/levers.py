"""`camfleet levers`: what each lever brings on this machine, and what it costs."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.export import Data, Model, Seconds, require_folder, sizes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.levers.figures import Leaderboard

PICTURES = (".html", ".png")


def levers(  # noqa: PLR0917
    model: Model,
    data: Data = None,
    fleet: Annotated[
        Path | None,
        typer.Option(
            metavar="FLEET.yaml",
            help="A fleet with recordings, with ground truth beside them or with --reference.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="A heavier model, whose boxes are the truth where nobody has labels.",
            show_default=False,
        ),
    ] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option("--model", metavar="MODEL", help="A model that may take its place; again for more."),
    ] = None,
    inputs: Annotated[
        str,
        typer.Option(
            "--input", metavar="WxH,…", help="Smaller inputs to try; 3/4, 0.65 and 1/2 of its sides without it."
        ),
    ] = "",
    out: Annotated[Path | None, typer.Option(metavar="OUT.html|.png", help="Draw it, too.", show_default=False)] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the models that are made for it.", show_default=False)
    ] = None,
    seconds: Seconds = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    r"""Measure every lever on this machine: speed-up, accuracy lost, memory; in order of leverage, with the front.

    Tried are the models of --model, smaller inputs, f16, INT8, larger batches, the tracker instead of every second,
    third or fifth detection (with ground truth of recordings), and the sensible of these together; beside each what
    the lesson says of it. What cannot be pulled on this model is told with the reason. For figures worth keeping, let
    nothing else run. Needs pip install 'camfleet\[levers]'.

    Example: camfleet levers samples/model/demo_openvino_model --fleet configs/evaluate.yaml --out levers.html
    """
    from pipeline.detect.quiet import forbid_telemetry
    from pipeline.errors import ConfigError
    from pipeline.extras import require
    from pipeline.logs import configure_logs

    require("levers", "levers")
    if data is None and fleet is None:
        raise ConfigError("levers needs pictures: give --data DATASET.yaml, or --fleet FLEET.yaml with recordings")
    if out is not None and out.suffix not in PICTURES:
        raise ConfigError(f"--out: found “{out}”, expected a file that ends in .html or .png")
    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"--out: there is no folder {out.parent}")
    if keep is not None:
        require_folder("--keep", keep)
    configure_logs("levers", level="warning")
    forbid_telemetry()
    board = _board(_Asked(model, data, fleet, reference, others or [], sizes_of(inputs), keep, seconds))
    _print(board, as_json)
    if out is not None:
        _draw(board, out)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says."""

    model: Path
    data: Path | None
    fleet: Path | None
    reference: Path | None
    others: list[Path]
    inputs: list[tuple[int, int]]
    keep: Path | None
    seconds: float


def _board(asked: _Asked) -> Leaderboard:
    from pipeline.cli.steps import steps
    from pipeline.errors import EvaluationError
    from pipeline.levers.candidates import smaller_inputs
    from pipeline.levers.material import Asked, gather
    from pipeline.levers.network import open_source
    from pipeline.levers.pull import Wish, pull
    from pipeline.levers.trial import Lab

    for path in (*asked.others, *filter(None, [asked.reference])):
        open_source(path)
    makes_int8 = open_source(asked.model).precision != "int8"
    with _folder(None) as pictures, _folder(asked.keep) as folder, steps() as step:
        wanted = Asked(asked.model, asked.data, asked.fleet, asked.reference, makes_int8)
        material = gather(wanted, pictures, step)
        if material.exam is None:
            raise EvaluationError(
                f"the recordings of {asked.fleet} have no ground truth; give --reference BIGGER_MODEL, whose boxes are "
                "then taken for the truth, or --data DATASET.yaml"
            )
        base = material.base
        wish = Wish(
            base=base,
            others=[material.contestant(path) for path in asked.others],
            inputs=asked.inputs or smaller_inputs(base.wh, base.source.metadata.stride),
            calibration=material.calibration,
            calibrated_on=material.calibrated_on,
            grounds=material.grounds,
        )
        return pull(Lab(material.template, material.fleet, material.exam, asked.seconds, step), wish, folder)


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """The folder given, or one that is gone afterwards."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="camfleet-levers-") as folder:
        yield Path(folder)


def _print(board: Leaderboard, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from pipeline.levers.text import show_leaderboard

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(board)).decode())
    else:
        show_leaderboard(board, Console(highlight=False))


def _draw(board: Leaderboard, out: Path) -> None:
    if out.suffix == ".png":
        from pipeline.levers.chart import write_png

        write_png(board, out)
    else:
        from pipeline.levers.page import write_page

        write_page(board, out)
