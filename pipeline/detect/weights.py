"""Weights by path or by name, and their OpenVINO export, made once and kept.

Both need Ultralytics and so torch, which the worker shall not carry: they run in a process of their own, `tool.py`.
An export leaves batch and picture size open, so one serves every fleet; both are settled before it is compiled.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import structlog

from pipeline.detect.cache import cache_folder
from pipeline.detect.quiet import quiet_environment
from pipeline.errors import DetectorError
from pipeline.extras import require

TOOL_TIMEOUT_S = 900.0
"""For a download on a slow line, or the export of the largest models on a small machine (YOLO26n: 7 s)."""
_MAKERS = ("ultralytics", "ultralytics-opencv-headless", "openvino")
"""What exports weights; the second is the first for machines without a screen."""


def find_weights(path: Path) -> Path:
    """The file at `path`; a bare name that is no file is fetched once, if Ultralytics publishes weights of that name.

    Raises:
        DetectorError: There is no such file, and no such published weights or no way to get them; or it is no weights.
    """
    if path.is_file():
        _check_kind(path)
        return path
    if path.name != str(path) or path.suffix != ".pt":
        raise DetectorError(f"model.path: there is no file {path}")
    require_tools(path)
    file = cache_folder("weights") / path.name
    with _locked(file):
        if not file.is_file():
            structlog.get_logger().info("fetching published weights, once", name=path.name, into=str(file))
            with _partial(file) as folder:
                _run_tool(["fetch", path.name], folder, f"model.path: there is no file {path}, and fetching it failed")
                (folder / path.name).replace(file)
    return file


def require_tools(weights: Path, *, int8: bool = False) -> None:
    """Make sure that what loads weights, and exports them, is installed; nothing is imported to find out.

    Raises:
        DetectorError: It is not; the message says what brings it.
    """
    require("ultralytics", f"model.path: {weights}", error=DetectorError)
    if int8:
        require("int8", "model.openvino.int8_from", "nncf", error=DetectorError)


def _check_kind(path: Path) -> None:
    """PyTorch saves a zip archive, and before 1.6 a pickle; of anything else it says nothing a user understands."""
    with path.open("rb") as file:
        begin = file.read(2)
    if begin not in (b"PK", b"\x80\x02"):
        raise DetectorError(
            f"model.path: {path} is not a loadable checkpoint: no file that PyTorch has saved; name the .pt that "
            "training has written, whole"
        )


def exported(weights: Path, int8_from: Path | None = None) -> Path:
    """The OpenVINO folder of a `.pt`, any batch and size; exported now if these very weights never were.

    Blocks for seconds to minutes the first time; a second fleet that asks meanwhile waits for the first.

    Args:
        weights: The `.pt`.
        int8_from: A folder of pictures to export as INT8 with; None keeps floats.

    Raises:
        DetectorError: They are no weights of a detection model, or cannot be exported.
    """
    if int8_from and not int8_from.is_dir():
        raise DetectorError(f"model.openvino.int8_from: there is no folder {int8_from}")
    require_tools(weights, int8=int8_from is not None)
    name = f"{weights.stem}-{_fingerprint(weights, int8_from)}_openvino_model"
    folder = cache_folder("exported") / name
    with _locked(folder):
        if not folder.is_dir():
            structlog.get_logger().info("exporting to OpenVINO, once", weights=str(weights), into=str(folder))
            with _partial(folder) as partial:
                shutil.copyfile(weights, partial / "model.pt")
                pictures = [str(int8_from.absolute())] if int8_from else []
                failure = f"model.path: cannot export {weights} to OpenVINO"
                _run_tool(["export", "model.pt", *pictures], partial, failure)
                next(partial.glob("*_openvino_model")).replace(folder)
    return folder


def _fingerprint(weights: Path, int8_from: Path | None) -> str:
    """Changes with the file's bytes, with what exports them and with the pictures, never with its name or date."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    for package in _MAKERS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            digest.update(f"{package} {importlib.metadata.version(package)}".encode())
    if int8_from:
        digest.update(b"int8")
        for picture in sorted(int8_from.iterdir()):
            digest.update(f"{picture} {picture.stat().st_size} {picture.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Holds `target` against other processes; the kernel frees it if this one dies."""
    with target.with_name(f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """An empty folder beside `target`, to be filled and renamed from; whatever a killed run left there is removed."""
    folder = target.with_name(f".{target.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_tool(arguments: list[str], folder: Path, failure: str) -> None:
    """Runs `tool.py` in `folder`; raises `DetectorError` of `failure` and its last line where it fails.

    The tool ends when its standard input closes: with this process, however that ends.
    """
    log = folder / "tool.log"
    command = [sys.executable, "-m", "pipeline.detect.tool", *arguments]
    environment = {**os.environ, **quiet_environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
        )
        with process:
            try:
                code = process.wait(TOOL_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                raise DetectorError(f"{failure}: no result within {TOOL_TIMEOUT_S:.0f} s") from error
            finally:
                process.kill()
    if code != 0:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise DetectorError(f"{failure}: {lines[-1] if lines else f'exit code {code}'}")
