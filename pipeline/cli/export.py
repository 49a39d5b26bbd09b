"""`camfleet export`: a model in other forms, with what each is worth on this machine."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pipeline.detect.triton.repository import Written
    from pipeline.levers.figures import Exported
    from pipeline.levers.recipe import Recipe

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
    triton: Annotated[
        Path | None,
        typer.Option(
            metavar="REPOSITORY",
            help="Write the model into this folder of a Triton Inference Server instead; nothing is measured.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="With --triton: its name there; its file's without.")] = "",
    triton_backend: Annotated[
        Literal["auto", "onnxruntime", "openvino", "python"],
        typer.Option(help="With --triton: what runs it; python is OpenVINO in the server's Python."),
    ] = "auto",
    max_batch: Annotated[
        int, typer.Option(min=1, max=1024, help="With --triton: the largest batch that the server may make.")
    ] = 8,
    instances: Annotated[
        int, typer.Option(min=1, max=64, help="With --triton: how many requests the server computes at once.")
    ] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    r"""Make a model's other forms, and tell what each is worth: accuracy, speed and size before and after.

    Every combination of --input and --precision becomes a folder that model.path takes as it is. A .pt is exported by
    Ultralytics; OpenVINO and ONNX are reshaped, or cropped where they were exported for one size. INT8 is calibrated on
    pictures of the fleet's recordings, or of the data set; without either it is refused. Where nobody has labelled the
    pictures, the boxes of the model before are taken for the truth. Needs pip install 'camfleet\[levers]'.

    With --triton the model goes into the model repository of a Triton Inference Server as it is (an ONNX), or as the
    OpenVINO network that camfleet would compute itself, with a config.pbtxt: batches, instances, warm-up, class names.
    A fleet then says model: {backend: triton, url: grpc://HOST:8001, path: NAME}.

    Example: camfleet export yolo26n.pt --input 640x384,512x288 --precision f16,int8 --data coco64.yaml --out models

    Example: camfleet export models/yolo26n-int8 --triton /srv/triton --name yolo26n
    """
    from pipeline.detect.quiet import forbid_telemetry
    from pipeline.logs import configure_logs

    recipes = _recipes(inputs, precision)
    if triton is not None:
        _require_alone(precision, data, fleet)
        require_folder("--triton", triton)
        configure_logs("export", level="warning")
        forbid_telemetry()
        _print_written(_written(model, triton, name, triton_backend, recipes, max_batch, instances), as_json)
        return
    require_folder("--out", out)
    configure_logs("export", level="warning")
    forbid_telemetry()
    _print(_made(model, recipes, data, fleet, out, seconds), as_json)


def _require_alone(precision: str, data: Path | None, fleet: Path | None) -> None:
    from pipeline.errors import ConfigError

    if precision or data or fleet:
        raise ConfigError(
            "--triton writes one model and measures nothing; make and measure its forms first, without --triton, and "
            "then give the folder of the one that you want"
        )


def _written(  # noqa: PLR0917
    model: Path,
    repository: Path,
    name: str,
    backend: Literal["auto", "onnxruntime", "openvino", "python"],
    recipes: list[Recipe],
    most: int,
    instances: int,
) -> Written:
    from pipeline.detect.triton.repository import Order, write_repository
    from pipeline.errors import ConfigError

    if len(recipes) > 1:
        raise ConfigError("--input: --triton takes one size, a model of its own --name for each")
    return write_repository(Order(model, repository, name, backend, recipes[0].input_wh, most, instances))


def _print_written(written: Written, as_json: bool) -> None:
    config = written.config
    if as_json:
        import json

        told = {
            "folder": str(written.folder),
            "version": written.version,
            "backend": config.backend,
            "input": {"datatype": config.pictures.datatype, "dims": list(config.pictures.dims)},
            "output": {"datatype": config.boxes.datatype, "dims": list(config.boxes.dims)},
            "max_batch_size": config.most,
            "instances": config.instances,
        }
        print(json.dumps(told, indent=2))
        return
    shape = "×".join(str(length) if length > 0 else "any" for length in config.pictures.dims)
    batches = f"batches up to {config.most}" if config.most else "batch as in its shape"
    print(
        f"{written.folder}: version {written.version}, {config.backend}, {config.pictures.datatype} {shape}, {batches}"
    )
    print(f"  tritonserver --model-repository={written.folder.parent}")
    print(f"  model: {{backend: triton, url: grpc://HOST:8001, path: {config.name}}}")


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
    from pipeline.levers.recipe import Recipe

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
