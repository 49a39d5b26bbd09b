"""Sources that come in bursts, shown evenly.

The problem: what is fetched over HTTP in segments (HLS), or flushed by a server a second at a time, arrives as dozens
of pictures at once and then none for seconds. Shown as they come, all but the last of a burst are replaced before
anybody looks at them: 12 of 848 were detected.

The policy is that of a playout buffer: a picture is shown at its own time plus the longest delay of late, so that the
slowest of a burst is just in time. What comes later still shifts everything after it; a buffer that is longer than it
must be shortens by a twentieth of the time that passes. A source that does not come in bursts is hardly delayed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec.structs import replace

from pipeline.camera.capture import Capture, Quickest
from pipeline.camera.live import LiveSource
from pipeline.camera.opening import Description
from pipeline.camera.picture import Picture, Pulse
from pipeline.clock import NS_PER_S, Clock
from pipeline.wire import Assembly

SHORTEN = 0.05
"""Of the time that passes."""
TOLD_S = 0.5
"""A longer delay is told, in powers of two, so that it is not news with every picture."""


class Playout:
    """When pictures are due. Pure arithmetic.

    Example:
        >>> playout = Playout()
        >>> [playout.due_ns(pts_s, came_ns) for pts_s, came_ns in ((0, 0), (1, 10), (2, 20), (3, 3_000_000_000))]
        [0, 1000000000, 2000000000, 3000000000]
    """

    def __init__(self) -> None:
        self._quickest = Quickest()
        self._delay_ns: int | None = None
        self._came_ns = 0

    def due_ns(self, pts_s: float, came_ns: int) -> int:
        """The monotonic time at which a picture is due that came at `came_ns`."""
        delay_ns = came_ns - round(pts_s * NS_PER_S)
        longest_ns = -self._quickest.of(-delay_ns, came_ns)
        if self._delay_ns is not None:
            longest_ns = max(longest_ns, self._delay_ns - round(SHORTEN * (came_ns - self._came_ns)))
        self._delay_ns, self._came_ns = longest_ns, came_ns
        return came_ns + longest_ns - delay_ns

    def restart(self) -> None:
        """What comes next has another time scale."""
        self._quickest, self._delay_ns = Quickest(), None


class EvenSource:
    """A camera whose pictures come in bursts, as one whose pictures do not. Not thread-safe."""

    def __init__(self, source: LiveSource, clock: Clock) -> None:
        self._source, self._clock = source, clock
        self._playout = Playout()
        self._longest_wait, self._waited_s = Quickest(), 0.0

    @property
    def description(self) -> Description:
        """What was known of it before the first picture."""
        return self._source.description

    @property
    def concern(self) -> str:
        """What a user should know although pictures come; empty if nothing."""
        if self._source.concern or self._waited_s < TOLD_S:
            return self._source.concern
        within_s = 2 ** math.ceil(math.log2(self._waited_s))
        return f"it sends in bursts; pictures are shown evenly, within {within_s:g} s after they came"

    @property
    def blind(self) -> str:
        """Why packets come and no pictures worth showing; empty while that is not so."""
        return self._source.blind

    @property
    def assembly(self) -> Assembly:
        """How its pictures are put together."""
        return self._source.assembly

    @property
    def decoder(self) -> str:
        """What decodes its pictures."""
        return self._source.decoder

    def pictures(self, pulse: Pulse) -> Iterator[Picture | None]:
        """Every picture at its own pace; returns only when `pulse` says so.

        Raises:
            SourceLost: It ended, broke or fell silent.
        """
        last_s: float | None = None
        for picture in self._source.pictures(pulse):
            if picture is None:
                yield None
                continue
            if last_s is not None and not -picture.max_gap_s <= picture.pts_s - last_s <= picture.max_gap_s:
                self._playout.restart()
            last_s = picture.pts_s
            now_ns = self._clock.monotonic_ns()
            due_ns = self._playout.due_ns(picture.pts_s, now_ns)
            self._note_wait(due_ns - self._source.waited_ns, now_ns)
            if not pulse.wait_until(due_ns):
                return
            capture = Capture(due_ns, self._clock.wall_ns(), "arrival")
            yield replace(picture, received_ns=due_ns, capture=capture)

    def close(self) -> None:
        """Hang up."""
        self._source.close()

    def _note_wait(self, wait_ns: int, now_ns: int) -> None:
        self._waited_s = -self._longest_wait.of(-wait_ns, now_ns) / NS_PER_S
