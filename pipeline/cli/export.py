"""`camfleet export`: a model in other forms, with what each is worth on this machine."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.levers.figures import Exported
    from pipeline.levers.make import Recipe

PRECISIONS = ("as it is", "f32", "f16", "int8")


Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A .pt, an .onnx, an .xml or its folder.", show_default=False)
]
Data = Annotated[
    Path | None,
    typer.Option(metavar="DATASET.yaml", help="Labelled pictures, as Ultralytics keeps them.", show_default=False),
]
Seconds = Annotated[float, typer.Option(min=0.1, help="How long the speed of each is measured.")]


def export(  # noqa: PLR0917
    model: Model,
    inputs: Annotated[
        str, typer.Option("--input", metavar="WxH,…", help="Inputs to make, px; the model's own without it.")
    ] = "",
    precision: Annotated[
        str, typer.Option(metavar="f32,f16,int8", help="Precisions to make; the model's own without it.")
    ] = "",
    data: Data = None,
    fleet: Annotated[
        Path | None,
        typer.Option(
            metavar="FLEET.yaml",
            help="A fleet with recordings: its pictures calibrate INT8, and its settings run the model.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the models are made, a folder each.")] = Path(),
    seconds: Seconds = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    r"""Make a model's other forms, and tell what each is worth: accuracy, speed and size before and after.

    Every combination of --input and --precision becomes a folder that model.path takes as it is. A .pt is exported by
    Ultralytics; OpenVINO and ONNX are reshaped, or cropped where they were exported for one size. INT8 is calibrated on
    pictures of the fleet's recordings, or of the data set; without either it is refused. Where nobody has labelled the
    pictures, the boxes of the model before are taken for the truth. Needs pip install 'camfleet\[levers]'.

    Example: camfleet export yolo26n.pt --input 640x384,512x288 --precision f16,int8 --data coco64.yaml --out models
    """
    from pipeline.detect.quiet import forbid_telemetry
    from pipeline.logs import configure_logs

    recipes = _recipes(inputs, precision)
    require_folder("--out", out)
    configure_logs("export", level="warning")
    forbid_telemetry()
    _print(_made(model, recipes, data, fleet, out, seconds), as_json)


def _made(  # noqa: PLR0917
    model: Path, recipes: list[Recipe], data: Path | None, fleet: Path | None, out: Path, seconds: float
) -> Exported:
    from pipeline.cli.steps import steps
    from pipeline.levers.export import Order, export, require_makeable
    from pipeline.levers.material import Asked, gather
    from pipeline.levers.trial import Lab

    require_makeable(model, recipes, pictures=bool(data or fleet))
    calibrate = any(recipe.precision == "int8" for recipe in recipes)
    with tempfile.TemporaryDirectory(prefix="camfleet-export-") as folder, steps() as step:
        material = gather(Asked(model, data, fleet, None, calibrate, by_itself=True), Path(folder), step)
        order = Order(model, material.base.wh, recipes, material.calibration, material.calibrated_on, out)
        return export(order, Lab(material.template, material.fleet, material.exam, seconds, step))


def _recipes(inputs: str, precision: str) -> list[Recipe]:
    from pipeline.errors import ConfigError
    from pipeline.levers.make import Recipe

    bits = [one.strip() for one in precision.split(",") if one.strip()] or ["as it is"]
    for one in bits:
        if one not in PRECISIONS:
            raise ConfigError(f"--precision: found “{one}”, expected f32, f16 or int8, or several with commas")
    sizes: list[tuple[int, int] | None] = [*sizes_of(inputs)] or [None]
    return [Recipe(size, one) for size in sizes for one in bits]  # type: ignore[arg-type]


def sizes_of(inputs: str) -> list[tuple[int, int]]:
    """Widths and heights of `640x384,512x288`.

    Raises:
        ConfigError: It is none.
    """
    from pipeline.errors import ConfigError

    found = []
    for one in filter(None, (part.strip() for part in inputs.split(","))):
        match = re.fullmatch(r"(\d{2,4})[x×](\d{2,4})", one)
        if match is None:
            raise ConfigError(f"--input: found “{one}”, expected WIDTHxHEIGHT such as 512x288, or several with commas")
        found.append((int(match[1]), int(match[2])))
    return found


def require_folder(option: str, folder: Path) -> None:
    """Say now, not when a model is made, that none can be written there.

    Raises:
        ConfigError: It is no folder, none can be made there, or nothing can be written into it.
    """
    import os

    from pipeline.errors import ConfigError

    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"{option} {folder}: no models can be written there; name a folder of yours")


def _print(exported: Exported, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from pipeline.levers.text import show_exported

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(exported)).decode())
    else:
        show_exported(exported, Console(highlight=False))
