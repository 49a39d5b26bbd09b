"""What needs Ultralytics only for a moment, in a process of its own; started by `weights.py`.

`python -m pipeline.detect.tool export FILE.pt [PICTURES]` or `fetch NAME.pt`, in the current folder; with a folder of
pictures the export is INT8, tuned on them. Where it fails, the last line of its output says why. It ends when its
standard input closes.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import yaml

from pipeline.detect.quiet import first_line, forbid_telemetry

ORPHANED = 70

PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def main(verb: str, name: str, *pictures: str) -> None:
    """Exports or fetches `name`."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    forbid_telemetry()
    try:
        if verb == "export":
            _export(name, *pictures)
        else:
            _fetch(name)
    except Exception as error:  # the process's outermost call: a file can be broken in any way
        raise SystemExit(first_line(error)) from error


def _export(name: str, pictures: str = "") -> None:
    from ultralytics.models import YOLO

    model = YOLO(name)
    if model.task not in ("detect", "classify"):
        raise SystemExit(f"these are weights for task {model.task!r}; camfleet runs models that detect, or classify")
    # nms=False keeps an end-to-end head where the model has one; others end in the classic layout, see `heads.py`.
    size = model.overrides.get("imgsz") or {"detect": 640, "classify": 224}[model.task]
    int8 = {"quantize": 8, "data": _calibration(Path(pictures), model.names)} if pictures else {}
    model.export(format="openvino", dynamic=True, nms=False, imgsz=size, device="cpu", **int8)


def _calibration(pictures: Path, names: dict[int, str]) -> str:
    """A data set of Ultralytics' kind, made of links, because it writes files of its own beside the pictures."""
    found = [file for file in sorted(pictures.iterdir()) if file.suffix.lower() in PICTURES]
    if not found:
        raise SystemExit(f"INT8 needs pictures ({', '.join(PICTURES)}); {pictures} has none")
    folder = Path("calibration/images").absolute()
    folder.mkdir(parents=True)
    for file in found:
        (folder / file.name).symlink_to(file)
    described = {"path": str(folder.parent), "train": "images", "val": "images", "names": names}
    Path("calibration.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    return "calibration.yaml"


def _fetch(name: str) -> None:
    # The one thing that the fleet file asks the network for, by naming published weights.
    del os.environ["YOLO_OFFLINE"]
    from ultralytics import settings
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    settings.update(sync=False)  # type: ignore[no-untyped-call]
    if name not in GITHUB_ASSETS_NAMES:
        raise SystemExit(f"Ultralytics publishes no weights named {name}; give the path of a file of yours")
    try:
        attempt_download_asset(name)
    except OSError as error:
        raise SystemExit(
            f"no network here ({error}); copy {name} beside the fleet file, or give the path of another model"
        ) from error
    if not Path(name).is_file():
        raise SystemExit(f"no network here; copy {name} beside the fleet file, or give the path of another model")


def _end_with_parent() -> None:
    os.read(0, 1)  # not through sys.stdin, whose lock a thread must not hold when the interpreter ends
    os._exit(ORPHANED)


if __name__ == "__main__":
    main(*sys.argv[1:])
