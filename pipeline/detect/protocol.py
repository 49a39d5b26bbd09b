"""What the worker asks of a detector, and all it knows of one.

A detector has lanes. A lane is a piece of picture memory and an inference request of its own, so that one lane's
pictures are being written while another computes: `lanes` threads, one a lane, keep the device busy. Lanes share
nothing that needs a lock; one lane is used by one thread at a time.

A detector of your own is a class with these members and a function that makes one of a fleet file's `model:`

    class Brightest:                                   # my_package/my_detector.py
        input_wh, max_batch, batches, class_names, lanes = (64, 64), 4, (1, 2, 3, 4), ("spot",), 1

        def __init__(self) -> None: self.rebuild(0)
        def input(self, lane): return self.pictures
        def detect(self, lane, count): return [one_box(picture) for picture in self.pictures[:count]]
        def rebuild(self, lane): self.pictures = np.full((4, 64, 64, 3), PAD_GREY, np.uint8)
        def warm_up(self): self.detect(0, 4)
        def close(self): self.pictures = None

    def make(model): return Brightest()                # model: {backend: "my_package.my_detector:make", path: none}
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections
from pipeline.errors import DetectorError
from pipeline.geometry import WidthHeight

PAD_GREY = 114
"""The grey around a letterboxed picture that YOLO models were trained with, all three channels."""


class DetectorAway(DetectorError):
    """What computes is away for a while, such as a server that is started again; says why.

    The pictures of this call get no boxes, their frames are filled, and the next pictures may be given as always. Who
    raises it has waited for a while first: a worker asks again at once.
    """


@runtime_checkable
class Detector(Protocol):
    """Pictures in, boxes out, on `lanes` lanes at once."""

    @property
    def input_wh(self) -> WidthHeight:
        """Width and height of the model's input, px."""
        ...

    @property
    def max_batch(self) -> int:
        """The most pictures that one `detect` takes."""
        ...

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes that the device computes, ascending, the last not below `max_batch`.

        `detect` of a count between two of them computes the larger one; the surplus is never reported and is no work
        done. A caller that can choose fills one of them.
        """
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each `class_id`."""
        ...

    @property
    def lanes(self) -> int:
        """How many `detect` calls may run at once, each on another lane."""
        ...

    @property
    def computes_in_caller(self) -> bool:
        """Whether `detect` computes in the calling thread, so that this one has to stand back behind decoding.

        False where a device does, or threads that the library started while it was loaded, at the loader's priority:
        then a calling thread that stood back would hold the GIL while it waits for a processor. A plug-in may leave
        this out, which is taken as True.
        """
        ...

    def input(self, lane: int) -> NDArray[np.uint8]:
        """(max_batch, H, W, 3) uint8, RGB: where this lane's letterboxed pictures are written.

        The detector owns the memory and fills it with `PAD_GREY` once. The array stays the same until `rebuild` or
        `close`, and keeps what was written: whoever writes a picture of another shape paints the padding again. Not to
        be written while `detect` runs on the lane.
        """
        ...

    def detect(self, lane: int, count: int) -> list[Detections]:
        """What is on the lane's first `count` pictures, in model pixels (of the letterboxed input, not clipped).

        Blocks until the boxes are there; the GIL is free while the device computes. The arrays returned are the
        caller's. Boxes of classes that the fleet file does not ask for, or below its confidence, are left out.

        Raises:
            DetectorAway: What computes is away for now; nothing is known of these pictures.
            DetectorError: The device failed; the worker ends, and its successor loads the detector anew.
        """
        ...

    def rebuild(self, lane: int) -> None:
        """Gives the lane a new request and new memory, grey again; for a `detect` that did not come back in time.

        That call goes on with the old ones, which nothing else uses any more, until it returns or the process ends; its
        result is to be thrown away. Other lanes go on meanwhile. May block for seconds, and forever where the device
        itself hangs: call it from a thread that may be lost, and end the process where a rebuilt lane hangs again.

        Raises:
            DetectorError: The device refuses.
        """
        ...

    def warm_up(self) -> None:
        """Runs every lane at every batch size that costs time when first met. Blocks; before the first picture."""
        ...

    def close(self) -> None:
        """Frees the device; no `detect` may be running. A second call does nothing."""
        ...
