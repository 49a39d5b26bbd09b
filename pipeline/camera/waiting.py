"""Pictures that may be shown once it is known what is in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.camera.published import Published
from pipeline.clock import NS_PER_S
from pipeline.privacy import Cover, at_capture
from pipeline.privacy.stencil import Picture
from pipeline.viewing import Still
from pipeline.wire import FrameResult

WAIT_NS = NS_PER_S
"""How long a picture waits for the boxes of its frame: they come within the fleet's goal, or a frame was lost."""
_CARRY_NS = NS_PER_S
"""How far boxes are carried to a picture of whose own frame nothing came."""
MOST = 16
"""Pictures that wait at once: stills of a second, and some that were asked for in full."""


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A picture that is masked, and not blurred yet.

    Attributes:
        topic: Who it is for.
        still: Which frame it is.
        pixels: (H, W, 3) uint8.
        since_ns: Monotonic time from which it waits.
    """

    topic: bytes
    still: Still
    pixels: Picture
    since_ns: int


class Waiting:
    """Blurs pictures as soon as the boxes of their frames have come. Not thread-safe."""

    def __init__(self, cover: Cover, published: Published) -> None:
        """None waits."""
        self._cover, self._published = cover, published
        self._pictures: deque[Uncovered] = deque(maxlen=MOST)

    def add(self, picture: Uncovered) -> None:
        """Let it wait; of too many, the oldest is not shown."""
        self._pictures.append(picture)

    def covered(self, now_ns: int) -> Iterator[Uncovered]:
        """Those that may be shown now, blurred, in order."""
        while self._pictures:
            picture = self._pictures[0]
            known = self._published.of((picture.still.session, picture.still.frame_id))
            if known is None and now_ns - picture.since_ns < WAIT_NS:
                return
            self._pictures.popleft()
            self._cover.blur(picture.pixels, [known] if known is not None else self._carried(picture.still))
            yield picture

    def _carried(self, still: Still) -> list[FrameResult]:
        """What was heard last, carried to a picture of which nothing came; nothing where that is too old."""
        newest = self._published.newest
        if newest is None or abs(still.captured_at_ns - newest.captured_at_ns) > _CARRY_NS:
            return []
        return [newest, at_capture(newest, still.captured_at_ns)]
