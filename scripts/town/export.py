"""Exports a checkpoint to OpenVINO with Ultralytics, without a trace of the machine it was made on."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import yaml

IMAGE_HW = (384, 640)
"""The input that a 640x360 picture fits into with the least padding: both sides are multiples of 32."""
NAME = "demo"


ABOUT = "YOLO26n of the camfleet demo town"


def export_openvino(
    checkpoint: Path, data: Path, out: Path, bits: int, *, name: str = NAME, about: str = ABOUT
) -> Path:
    """Write name.xml, name.bin and metadata.yaml to a folder; returns the XML. bits is 8 (calibrated on data) or 16.

    It leaves it to the caller to drop repeated boxes.
    """
    from ultralytics.models.yolo.model import YOLO

    model = YOLO(str(checkpoint), task="detect")
    made = Path(model.export(format="openvino", imgsz=IMAGE_HW, quantize=bits, data=str(data), device="cpu"))
    out.mkdir(parents=True, exist_ok=True)
    for kind in ("xml", "bin"):
        shutil.copyfile(next(made.glob(f"*.{kind}")), out / f"{name}.{kind}")
    metadata = yaml.safe_load((made / "metadata.yaml").read_text())
    (out / "metadata.yaml").write_text(yaml.safe_dump(without_traces(metadata, about), sort_keys=False))
    strip_paths(out / f"{name}.xml")
    return out / f"{name}.xml"


def without_traces(metadata: dict[str, object], about: str) -> dict[str, object]:
    """Ultralytics' metadata with its own description and no path or date of the machine that trained."""
    arguments = metadata.get("args")
    kept = {k: v for k, v in metadata.items() if k != "date"}
    kept["description"] = about
    if isinstance(arguments, dict):
        kept["args"] = {k: v for k, v in arguments.items() if not (isinstance(v, str) and "/" in v)}
    return kept


def strip_paths(xml: Path) -> None:
    """Remove the conversion options, which name files of the machine, from an OpenVINO model."""
    tree = ElementTree.parse(xml)
    for info in tree.getroot().findall("rt_info"):
        for child in list(info):
            if any("/" in value for part in child.iter() for value in part.attrib.values()):
                info.remove(child)
    tree.write(xml, encoding="utf-8", xml_declaration=True)
