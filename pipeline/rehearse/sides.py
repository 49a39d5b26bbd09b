"""What of a fleet file is rehearsed: what it detects, tracks and judges. Nothing that others would hear of.

A rehearsal of last Tuesday must not wake anybody today. So a fleet that is rehearsed is made from the few parts that
may run, and is not the file's with some taken out: a part that is added to fleet files one day is left out, and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import CameraUrl, Fleet, Publish
from pipeline.config.camera import Evidence
from pipeline.config.dump import to_dict

KEPT = ("name", "model", "cascade", "worker", "slo", "power", "defaults", "cameras")
"""Parts of a fleet file that are rehearsed; of its cameras all but `_AWAY`."""
FREE_PORT = Publish(bind="tcp://127.0.0.1:0", queue=1_000_000)
"""Where nobody else listens, with room for all."""
_AWAY: Mapping[str, Any] = {
    "evidence_url": None,
    "evidence": Evidence(),
    "format": None,
    "loop": False,
    "pace": "realtime",
    "needs": (),
}
"""What of a camera is about where its pictures come from or go to."""
_WORDS = {
    "sinks": "sinks ({}): nothing is sent to them",
    "page": "page: nobody is served",
    "evidence": "evidence: nothing is kept on disk",
    "publish": "publish: on a free port of this machine, for the rehearsal alone",
    "scale": "scale: it runs on this machine",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One of two.

    Attributes:
        letter: `a` or `b`.
        file: The fleet file.
        fleet: What it says.
    """

    letter: str
    file: Path
    fleet: Fleet


@dataclass(frozen=True, slots=True)
class Difference:
    """A key that the two files do not agree about, and what each says, in words."""

    key: str
    a: str
    b: str


def rehearsed(side: Side, urls: Mapping[str, str]) -> Fleet:
    """The fleet that is run.

    Args:
        side: Whose.
        urls: Where the recording of each camera is served; other cameras are left out.
    """
    fleet = side.fleet
    return Fleet(
        name=f"rehearsal-{side.letter}",
        model=fleet.model,
        cascade=fleet.cascade,
        worker=fleet.worker,
        slo=fleet.slo,
        power=fleet.power,
        publish=FREE_PORT,
        cameras={
            camera_id: fleet.cameras[camera_id].model_copy(update={**_AWAY, "url": CameraUrl(url)})
            for camera_id, url in urls.items()
        },
    )


def left_out(side: Side) -> Iterator[str]:
    """What the file says beyond what is rehearsed, a line each."""
    fleet = side.fleet
    for part in sorted(fleet.model_fields_set - set(KEPT)):
        words = _WORDS.get(part, f"{part}: it is not rehearsed")
        if value := getattr(fleet, part):
            yield words.format(", ".join(value)) if part == "sinks" else words
    recorded = [camera_id for camera_id, camera in fleet.cameras.items() if camera.evidence_url is not None]
    if recorded:
        yield f"evidence_url ({', '.join(recorded)}): there is one recording a camera, and no second stream"


def differences(a: Side, b: Side, cameras: Sequence[str]) -> list[Difference]:
    """Where the two files differ in what is rehearsed; a key of all cameras is told once."""
    one, two = (_flat(side, cameras) for side in (a, b))
    found = [
        Difference(key, _shown(one.get(key)), _shown(two.get(key)))
        for key in dict.fromkeys([*one, *two])
        if one.get(key) != two.get(key)
    ]
    return _gathered(found, cameras)


def _flat(side: Side, cameras: Sequence[str]) -> dict[str, Any]:
    said = to_dict(rehearsed(side, dict.fromkeys(cameras, "rtsp://127.0.0.1/")))
    del said["name"]
    return dict(_leaves("", said))


def _leaves(at: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inside in value.items():
            yield from _leaves(f"{at}.{key}" if at else str(key), inside)
    else:
        yield at, value


def _gathered(found: list[Difference], cameras: Sequence[str]) -> list[Difference]:
    """Of a key that differs alike for all cameras, one line."""
    alike: dict[tuple[str, str, str], list[Difference]] = {}
    for one in found:
        alike.setdefault((_without_camera(one.key, cameras), one.a, one.b), []).append(one)
    told: list[Difference] = []
    for (key, a, b), several in alike.items():
        whole = len(several) == len(cameras) and key != several[0].key
        told += [Difference(key, a, b)] if whole else several
    return told


def _without_camera(key: str, cameras: Sequence[str]) -> str:
    for camera_id in cameras:
        if key.startswith(f"cameras.{camera_id}."):
            return f"every camera.{key.removeprefix(f'cameras.{camera_id}.')}"
    return key


def _shown(value: Any) -> str:
    if value is None or value in ({}, []):
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith("/"):
        path = Path(value)
        return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else value
    return str(value)
