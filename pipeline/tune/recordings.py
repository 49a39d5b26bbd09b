"""What a fleet is tuned on: a recording for each camera, the same pictures in every run."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.camera import Camera
from pipeline.config.url import CameraUrl
from pipeline.config.values import Fleet
from pipeline.errors import ConfigError, PipelineError
from pipeline.redact import redact
from pipeline.replay.options import SUFFIXES

CLIP_S = 20.0
"""Recorded of each camera that is none: longer than a run is measured."""


@dataclass(frozen=True, slots=True)
class Footage:
    """Recordings in place of cameras.

    Attributes:
        files: By camera.
        words: Where they come from, for people.
    """

    files: Mapping[str, Path]
    words: str

    def in_place_of(self, fleet: Fleet) -> Fleet:
        """The fleet with its cameras played from these, over and over, as fast as a camera sends; served to nobody."""
        cameras = {
            camera_id: camera.model_copy(
                update={
                    "url": CameraUrl.parse(str(self.files[camera_id])),
                    "evidence_url": None,
                    "format": None,
                    "loop": True,
                    "pace": "realtime",
                }
            )
            for camera_id, camera in fleet.cameras.items()
        }
        return fleet.model_copy(update={"cameras": cameras, "page": None, "sinks": {}})

    def to_the_end(self, fleet: Fleet, stride: int) -> Fleet:
        """The same played once, as fast as it goes, with one stride for all: what can be judged frame by frame."""
        playing = self.in_place_of(fleet)
        once = {"loop": False, "pace": "fastest", "stride": camera_stride(stride)}
        cameras = {camera_id: camera.model_copy(update=once) for camera_id, camera in playing.cameras.items()}
        return playing.model_copy(update={"cameras": cameras})


def camera_stride(stride: int) -> object:
    """A stride that does not change."""
    from pipeline.config.camera import Stride

    return Stride(min=stride, max=stride)


def find_footage(fleet: Fleet, folder: Path | None) -> Footage | None:
    """The recordings that stand for a fleet's cameras; None where they have to be made first (`record_clips`).

    Args:
        fleet: Whose cameras.
        folder: `--recordings`: by the cameras' names where they are called so, else dealt out in turn.

    Raises:
        ConfigError: The folder has no recordings, or there is none and a camera cannot be recorded.
    """
    if folder is not None:
        return _dealt(fleet, folder)
    if all(camera.url.kind == "file" for camera in fleet.cameras.values()):
        files = {name: _path(camera) for name, camera in fleet.cameras.items()}
        return Footage(files, "the fleet file's own recordings")
    for camera_id, camera in fleet.cameras.items():
        if camera.url.kind not in ("network", "file"):
            raise ConfigError(
                f"camera {camera_id}: {redact(str(camera.url))} is neither a recording nor on the network; name a "
                "folder of recordings to tune with: --recordings DIR"
            )
    return None


def record_clips(fleet: Fleet, folder: Path, told: Callable[[str], None], seconds: float = CLIP_S) -> Footage:
    """A clip of each camera, recorded now, all at once; those that are in `folder` already are taken. Blocks.

    Raises:
        ConfigError: A camera cannot be recorded.
    """
    for name, camera in fleet.cameras.items():
        if camera.privacy.any and camera.url.kind != "file":
            raise ConfigError(
                f"camera {name}: its privacy covers pictures, and a clip to tune with would keep all that it sees; "
                "name a folder of recordings: --recordings DIR"
            )
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        name: _path(camera) if camera.url.kind == "file" else folder / f"{name}.mkv"
        for name, camera in fleet.cameras.items()
    }
    missing = [fleet.cameras[name] for name, file in files.items() if not file.exists()]
    if missing:
        told(f"recording {len(missing)} cameras for {seconds:g} s, to tune with the same pictures each time …")
        with ThreadPoolExecutor(len(missing)) as pool:
            list(pool.map(lambda camera: _record(camera, files[camera.camera_id], seconds), missing))
    return Footage(files, f"clips of the cameras, {folder}")


def _record(camera: Camera, file: Path, seconds: float) -> None:
    from pipeline.record import record

    instead = "start it, or name a folder of recordings: --recordings DIR"
    with tempfile.TemporaryDirectory(prefix=".recording-", dir=file.parent) as folder:
        try:
            recorded = record(camera, Path(folder) / file.name, duration_s=seconds, stop=threading.Event())
        except PipelineError as error:
            told = redact(str(error))
            raise ConfigError(
                f"camera {camera.camera_id} cannot be recorded to tune with: {told}; {instead}"
            ) from error
        if not recorded.files or not recorded.pictures:
            raise ConfigError(f"camera {camera.camera_id} gave no picture in {seconds:g} s; {instead}")
        recorded.files[0].rename(file)


def _dealt(fleet: Fleet, folder: Path) -> Footage:
    if not folder.is_dir():
        raise ConfigError(f"--recordings {folder}: there is no such folder")
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not found:
        raise ConfigError(f"--recordings {folder}: there is no recording in it ({' '.join(sorted(SUFFIXES))})")
    named = {file.stem: file for file in found}
    files, dealt = {}, 0
    for camera_id in fleet.cameras:
        if camera_id in named:
            files[camera_id] = named[camera_id].absolute()
        else:
            files[camera_id] = found[dealt % len(found)].absolute()
            dealt += 1
    by_turns = f", {dealt} of them dealt out in turn" if dealt else " of the cameras' names"
    return Footage(files, f"recordings in {folder}{by_turns}")


def _path(camera: Camera) -> Path:
    return Path(camera.url.reveal().removeprefix("file://"))
