"""What second looks have found, and are to find, of the objects of one session of a camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pipeline.detections import Detections, Sighted
from pipeline.geometry import Letterbox
from pipeline.look.crop import Crop
from pipeline.look.looks import Look, Looks
from pipeline.look.second import Looked
from pipeline.wire import Attribute


class Sighting(Protocol):
    """A tracker that has just learnt of a detection; `pipeline.track.tracker.Tracker` is one."""

    def sighted(self) -> Sighted:
        """The objects it saw in it."""


class Sights:
    """One session's objects; an object that the tracker has let go of is forgotten.

    Attributes:
        attributes: What is known, by track id, then by the name of the second model. The inner dicts are never written
            to again, so that messages may hold them.
    """

    def __init__(self, looks: Looks, tracker: Sighting) -> None:
        self.attributes: dict[int, dict[str, Attribute]] = {}
        self._looks, self._tracker = looks, tracker
        self._looked: dict[tuple[int, int], Looked] = {}
        self._there: frozenset[int] = frozenset()

    def knows(self, track_id: int) -> bool:
        """Whether the tracker still has the object."""
        return track_id in self._there

    def see(self, crops: Sequence[Crop], found: Detections, letterbox: Letterbox, pts_s: float) -> None:
        """The tracker has learnt of a detection: ask for looks at what it saw there, where they are worth it.

        Args:
            crops: Cut out of the picture.
            found: All that was detected on it, in source pixels; `Crop.row` is an index into it.
            letterbox: How the picture lay in the detector's input.
            pts_s: Stream time of the frame, s.
        """
        sighted = self._tracker.sighted()
        self._forget_others(frozenset(sighted.all_ids))
        track_of = dict(zip(map(tuple, sighted.xyxy.tolist()), sighted.track_id.tolist(), strict=True))
        for crop in crops:
            track_id = track_of.get(tuple(found.xyxy[crop.row].tolist()))
            if track_id is not None:
                self._consider(crop, found, letterbox, track_id, pts_s)

    def learn(self, look: Look, found: Detections) -> bool:
        """A look has come back; whether the label with the highest score is told, because it is high enough."""
        if not self.knows(look.track_id):
            return False
        self._looked[look.track_id, look.second] = Looked(look.quality, look.asked_s)
        second = self._looks.seconds[look.second]
        if not len(found) or float(found.score.max()) < second.min_score:
            return False
        best = int(found.score.argmax())
        attribute = Attribute(
            label=second.labels[int(found.class_id[best])],
            score=round(float(found.score[best]), 3),
            xyxy=_on_picture(look, found, best),
            looked_at_s=round(look.pts_s, 3),
        )
        self.attributes[look.track_id] = {**self.attributes.get(look.track_id, {}), second.name: attribute}
        return True

    def _consider(self, crop: Crop, found: Detections, letterbox: Letterbox, track_id: int, pts_s: float) -> None:
        looks, now_s = self._looks, self._looks.now_s
        most = crop.area_px * float(found.score[crop.row])
        quality: float | None = None
        for number in looks.wanted[int(found.class_id[crop.row])]:
            second, looked = looks.seconds[number], self._looked.get((track_id, number))
            if not second.wants(most, looked, now_s) or looks.is_under_way(number, self, track_id):
                continue
            # Only where it may matter: a crop is never better than it is large.
            quality = most * crop.sharpness if quality is None else quality
            if max(crop.pixels.shape[:2]) >= second.least_px and second.wants(quality, looked, now_s):
                looks.offer(Look(self, number, track_id, crop, letterbox, quality, pts_s, now_s))

    def _forget_others(self, there: frozenset[int]) -> None:
        if gone := self._there - there:
            for track_id in gone:
                self.attributes.pop(track_id, None)
            self._looked = {key: looked for key, looked in self._looked.items() if key[0] not in gone}
        self._there = there


def _on_picture(look: Look, found: Detections, row: int) -> tuple[float, float, float, float] | None:
    """A box of a crop, in source pixels; None for one that is the whole crop, which is what classifiers give."""
    height, width, _ = look.crop.pixels.shape
    left, top, right, bottom = found.xyxy[row].tolist()
    if left <= 0 and top <= 0 and right >= width and bottom >= height:
        return None
    in_model = found.xyxy[row : row + 1] + np.array(look.crop.left_top * 2, np.float32)
    x1, y1, x2, y2 = look.letterbox.to_source(in_model)[0].round(1).tolist()
    return x1, y1, x2, y2
