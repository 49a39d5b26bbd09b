"""The moments at which two sides differ, as pictures with what each of them saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.camera.orientation import Orientation
from pipeline.config.camera import Camera
from pipeline.config.rules import Rules
from pipeline.privacy import Cover
from pipeline.rehearse.catalogue import Occurrence
from pipeline.rehearse.pictures import jpegs
from pipeline.rehearse.play import Played
from pipeline.rehearse.result import Mark, Picture
from pipeline.rehearse.sides import Side
from pipeline.rehearse.sightings import Sighting
from pipeline.rehearse.take import Clip, Take
from pipeline.rules.geometry import Places


def pictures(found: Sequence[Occurrence], sides: Sequence[Side], runs: Sequence[Sequence[Played]]) -> list[Picture]:
    """A picture of each occurrence, in their order.

    Args:
        found: What to show.
        sides: A and B.
        runs: The runs of each of them.

    Raises:
        RehearsalError: A recording cannot be read any more.
    """
    clips = {name: take.clip for name, take in runs[0][0].witness.takes.items()}
    frames = [_frame(one, clips[one.sighting.camera_id]) for one in found]
    shown: dict[tuple[str, int], str] = {}
    for camera_id, clip in clips.items():
        own = [frame for one, frame in zip(found, frames, strict=True) if one.sighting.camera_id == camera_id]
        if own and camera_id not in unseen(sides):
            cameras = [side.fleet.cameras[camera_id] for side in sides]
            covers = [Cover(camera.privacy) for camera in cameras if camera.privacy.masks]
            coded = jpegs(clip, own, _mounted(cameras[0]), covers)
            shown |= {(camera_id, number): jpeg for number, jpeg in coded.items()}
    return [
        _picture(one, frame, shown.get((one.sighting.camera_id, frame), ""), sides, runs)
        for one, frame in zip(found, frames, strict=True)
    ]


def unseen(sides: Sequence[Side]) -> list[str]:
    """Cameras of which no picture is shown, since either file has classes blurred there.

    Who one side has missed could not be blurred for it, and just that is what a picture would show.
    """
    blurred = [camera_id for side in sides for camera_id, camera in side.fleet.cameras.items() if camera.privacy.blur]
    return list(dict.fromkeys(blurred))


def _frame(one: Occurrence, clip: Clip) -> int:
    return int(np.clip(np.searchsorted(clip.times_s, one.sighting.at_s), 0, clip.frames - 1))


def _mounted(camera: Camera) -> Orientation:
    return Orientation(camera.rotate // 90, camera.mirror)


def _picture(
    one: Occurrence, frame: int, jpeg: str, sides: Sequence[Side], runs: Sequence[Sequence[Played]]
) -> Picture:
    sighting = one.sighting
    marks: list[Mark] = []
    for side, played in zip(sides, runs, strict=True):
        own = next((run for run in played if run.witness.name in one.by), played[0])
        marks += _marks(side.letter, own.witness.takes[sighting.camera_id], frame, one.by.get(own.witness.name))
    if one.first.name == "truth":
        about = _marks("truth", one.first.takes[sighting.camera_id], frame, sighting)
        marks += [mark for mark in about if mark.about]
    wh = runs[0][0].witness.takes[sighting.camera_id].frame_wh
    corners, is_line = _rule(sighting, [side.fleet.cameras[sighting.camera_id].rules for side in sides], wh)
    return Picture(jpeg=jpeg, wh=wh, marks=marks, rule=corners, is_line=is_line)


def _marks(letter: str, take: Take, frame: int, sighting: Sighting | None) -> Iterator[Mark]:
    about = None if sighting is None else take.objects.get(sighting.object_key)
    for box in take.on(frame):
        left, top, right, bottom = (round(float(edge), 1) for edge in box["xyxy"])
        yield Mark(side=letter, xyxy=(left, top, right, bottom), about=int(box["object"]) == about)  # type: ignore[arg-type]


def _rule(sighting: Sighting, rules: Sequence[Rules], wh: tuple[int, int]) -> tuple[list[tuple[float, float]], bool]:
    """Where the zone or line is, px, and whether it is a line; that of A, else of B."""
    for one in rules:
        places = Places.of(one, wh)
        if sighting.rule in places.barriers:
            barrier = places.barriers[sighting.rule]
            return [barrier.first, barrier.second], True
        if sighting.rule in places.areas:
            return [(float(x), float(y)) for x, y in places.areas[sighting.rule].polygon.exterior.coords][:-1], False
    return [], False
