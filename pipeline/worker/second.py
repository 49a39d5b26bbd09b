"""Second models at work: crops into a lane's input, and what is found on them back in pixels of the crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.config.cascade import SecondLook
from pipeline.detect import Detector
from pipeline.detect.protocol import PAD_GREY
from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import Letterbox
from pipeline.look.crop import Crop
from pipeline.look.second import Second


@dataclass(frozen=True, slots=True)
class SecondModel:
    """A model that sees crops.

    Attributes:
        second: What the fleet file says of it, and what it can do.
        detector: It, loaded and warm.
    """

    second: Second
    detector: Detector

    def look(self, lane: int, crops: Sequence[Crop]) -> list[Detections]:
        """What is on these crops, boxes in their pixels; blocks, in the lane's own thread.

        Raises:
            DetectorError: The model failed.
        """
        import cv2

        rows, (width, height) = self.detector.input(lane), self.detector.input_wh
        letterboxes = []
        for row, crop in zip(rows, crops, strict=False):
            letterbox = Letterbox.fit((crop.pixels.shape[1], crop.pixels.shape[0]), (width, height))
            (left, top), (wide, high) = letterbox.pad_xy, letterbox.content_wh
            if letterbox.content_wh != (width, height):
                row[:] = PAD_GREY
            cv2.resize(crop.pixels, (wide, high), dst=row[top : top + high, left : left + wide])
            letterboxes.append(letterbox)
        found = self.detector.detect(lane, len(crops))
        return [
            Detections(letterbox.to_source(each.xyxy), each.score, each.class_id)
            for letterbox, each in zip(letterboxes, found, strict=True)
        ]


def second_model(name: str, look: SecondLook, detector: Detector) -> SecondModel:
    """The second model of this name in a fleet file, loaded as this detector."""
    second = Second(
        name=name,
        labels=detector.class_names,
        max_batch=detector.max_batch,
        lanes=detector.lanes,
        of=None if look.of is None else frozenset(look.of),
        least_px=float(look.min_px),
        min_score=look.min_score,
        better=look.better,
        again_s=look.again_s,
    )
    return SecondModel(second, detector)


def require_classes(cascade: Mapping[str, SecondLook], class_names: Sequence[str]) -> None:
    """Make sure that the detector can find what is to be looked at.

    Raises:
        DetectorError: It tells no such class apart.
    """
    for name, look in cascade.items():
        for wanted in look.of or ():
            if wanted not in class_names:
                raise DetectorError(
                    f"cascade.{name}.of: the detector knows no class “{wanted}”; it knows {', '.join(class_names)}"
                )
