"""Pictures to try a model on, brought into its input exactly as a camera process brings a camera's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.camera.orientation import UPRIGHT, Orientation, told_orientation
from pipeline.camera.resize import Resizer
from pipeline.detect.protocol import PAD_GREY
from pipeline.errors import EvaluationError
from pipeline.evaluate.precision import Truth
from pipeline.geometry import Letterbox, WidthHeight


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that can be read when it is its turn.

    Attributes:
        name: For messages.
        read: Decodes it; the frame is the caller's.
        mounted: What makes a camera's pictures upright, after what they say themselves.
    """

    name: str
    read: Callable[[], av.VideoFrame]
    mounted: Orientation = UPRIGHT


@dataclass(frozen=True, slots=True)
class Exam:
    """Pictures, and what is on them; as many truths as pictures.

    Attributes:
        pictures: In order.
        truths: One a picture.
        class_names: The name of each class id of the truths.
        words: Where they come from, for people: “64 pictures of coco64.yaml”.
        by_model: Whether a model's boxes are taken for the truth, since nobody has labelled the pictures.
    """

    pictures: tuple[Picture, ...]
    truths: tuple[Truth, ...]
    class_names: tuple[str, ...]
    words: str
    by_model: bool = False

    @property
    def objects(self) -> int:
        """How many are asked for."""
        return sum(int(truth.asked.sum()) for truth in self.truths)

    def only(self, names: Sequence[str]) -> Exam:
        """The same, asking for the classes `names` alone."""
        wanted = np.isin(np.array(self.class_names), np.array(names))
        truths = (replace(truth, asked=truth.asked & wanted[truth.class_id]) for truth in self.truths)
        return replace(self, truths=tuple(truths))


def picture_file(path: Path) -> Picture:
    """The picture in a file."""
    return Picture(path.name, lambda: _decode(path))


def _decode(path: Path) -> av.VideoFrame:
    """A picture's frame, by the decoder that plays folders of pictures.

    Raises:
        EvaluationError: It cannot be read.
    """
    try:
        with path.open("rb") as file, av.open(file, mode="r") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            return next(container.decode(stream))
    except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
        raise EvaluationError(f"the picture {path} cannot be read: {error}") from error


class Layer:
    """Lays pictures into inputs, letterboxed; keeps scratch memory, so one a thread."""

    def __init__(self) -> None:
        self._resizer = Resizer()

    def lay(self, picture: Picture, target: NDArray[np.uint8]) -> Letterbox:
        """Fill `target`, (H, W, 3) uint8 RGB, with the picture and grey around it; returns how it lies there.

        Raises:
            EvaluationError: It cannot be read.
            SourceError: Its pixel format cannot be converted.
        """
        frame = picture.read()
        upright = told_orientation(frame).then(picture.mounted)
        letterbox = Letterbox.fit(upright.upright_wh((frame.width, frame.height)), (target.shape[1], target.shape[0]))
        (left, top), (width, height) = letterbox.pad_xy, letterbox.content_wh
        content = np.empty((height, width, 3), np.uint8)
        self._resizer.resize_into(frame, content, upright)
        target[:] = PAD_GREY
        target[top : top + height, left : left + width] = content
        return letterbox


def laid(picture: Picture, wh: WidthHeight) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, RGB: a picture in an input of `wh` px."""
    target = np.empty((wh[1], wh[0], 3), np.uint8)
    Layer().lay(picture, target)
    return target
