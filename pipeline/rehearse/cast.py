"""Which recording stands for which camera."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from pipeline.config import Fleet
from pipeline.errors import ConfigError, RehearsalError
from pipeline.record.arrivals import beside
from pipeline.replay.options import SUFFIXES, camera_name

_NAMED = re.compile(r"(?P<camera>[A-Za-z0-9][A-Za-z0-9_.-]*)=(?P<file>.+)")


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays.

    Attributes:
        recordings: Of each camera, as they were named; in the order of the first fleet file.
        without: Cameras of either file that have no recording, and are left out.
    """

    recordings: Mapping[str, Path]
    without: tuple[str, ...]


def cast(arguments: Sequence[str], a: Fleet, b: Fleet) -> Cast:
    """Recordings for the cameras that both fleets have.

    Args:
        arguments: Files called as their cameras are, folders of such files, and `camera=FILE`.
        a: One fleet.
        b: The other.

    Raises:
        ConfigError: A file is not there, stands for no camera, or for one that only one of the fleets has; a camera
            has two.
    """
    every = list(dict.fromkeys([*a.cameras, *b.cameras]))
    found: dict[str, Path] = {}
    for camera_id, file in (pair for argument in arguments for pair in _pairs(argument, every)):
        if camera_id in found and found[camera_id] != file:
            raise ConfigError(f"camera {camera_id} has two recordings, {found[camera_id]} and {file}; leave one out")
        found[camera_id] = file
    for camera_id in found:
        for fleet, other in ((a, "first"), (b, "second")):
            if camera_id not in fleet.cameras:
                raise ConfigError(
                    f"there is a recording of {camera_id}, which the {other} fleet file does not have; both need the "
                    "same cameras, so name it alike in both, or leave its recording out"
                )
    if not found:
        raise ConfigError(f"no recording is of a camera of both files, which are {', '.join(every)}")
    return Cast(
        {camera_id: found[camera_id] for camera_id in every if camera_id in found},
        tuple(camera_id for camera_id in every if camera_id not in found),
    )


def _pairs(argument: str, cameras: Sequence[str]) -> Iterator[tuple[str, Path]]:
    path = Path(argument)
    named = None if path.exists() else _NAMED.fullmatch(argument)
    if named is not None:
        yield _known(named["camera"], named["file"], cameras), _file(Path(named["file"]))
    elif path.is_dir():
        yield from _in_folder(path, cameras)
    else:
        yield _known(camera_name(_file(path)), argument, cameras), path.absolute()


def _file(path: Path) -> Path:
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such recording; give a file, a folder, or camera=FILE")
    return path.absolute()


def _known(name: str, file: str, cameras: Sequence[str]) -> str:
    if name in cameras:
        return name
    close = difflib.get_close_matches(name, cameras, 1)
    hint = (
        f"did you mean {close[0]}={file}?" if close else f"the files have {', '.join(cameras)}; camera=FILE says which"
    )
    raise ConfigError(f"{file}: there is no camera “{name}”; {hint}")


def _in_folder(folder: Path, cameras: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Those that are called as a camera is; others may lie there, too."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    known = [(camera_name(file), file.absolute()) for file in files if camera_name(file) in cameras]
    if not known:
        has = ", ".join(file.name for file in files[:6]) or "none at all"
        raise ConfigError(
            f"{folder}: no recording in it is called as a camera of the files is ({', '.join(cameras)}); it has {has}"
        )
    yield from known


def cut(recording: Path, seconds: float, folder: Path) -> Path:
    """The beginning of a recording as a file of its own in `folder`, not encoded anew.

    Raises:
        RehearsalError: It cannot be read or written.
    """
    made = folder / f"{recording.stem}.mkv"
    try:
        with av.open(str(recording)) as source, av.open(str(made), "w", format="matroska") as target:
            picture = source.streams.video[0]
            stream = target.add_stream_from_template(picture)
            first: int | None = None
            for packet in source.demux(picture):
                if packet.dts is None or packet.time_base is None:
                    continue
                first = packet.dts if first is None else first
                if float((packet.dts - first) * packet.time_base) >= seconds:
                    break
                packet.stream = stream
                target.mux(packet)
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise RehearsalError(f"{recording}: its first {seconds:g} s cannot be taken: {error}") from error
    if beside(recording).is_file():
        beside(made).symlink_to(beside(recording).absolute())
    return made
