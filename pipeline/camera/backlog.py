"""Whether decoding keeps up with a camera, and which pictures are left out where it does not.

The problem: where the cameras need more processor than there is, packets wait in their sockets, and every picture is
older than the one before, until all are seconds old (dlstreamer#64). Nothing behind the decoder can mend that: latest
wins has to hold in front of it too.

The policy: a camera has fallen behind when several pictures in a row are a good deal later than they could be, and it
is not the network's doing: either they lay there already, none had to be waited for, or most of the delay was spent
waiting for a processor. A pause of the network does not look like that: what comes after it is late, but decoded in no
time, and then the next picture is waited for. From then on pictures are not decoded, which empties the socket at once,
and when it is empty, decoding begins again with the next key frame that is on time; pictures between two key frames
cannot be decoded without those before them. A camera whose pictures never seem on time was misjudged: after
`MOST_SKIPPED_S` decoding begins again with any key frame once nothing lay there any more. Each picture that is left out
is told and counted (`behind`), and gets its boxes from the tracker as any other that is not detected.

A camera that falls behind again and again because others have the processor rests before it begins again, longer each
time: where all begin at once with the next key frame, none is on time. Sixty cameras on two cores that could decode
half of their pictures had a p95 of 228 to 277 ms, and with rests of 116 to 150 (`bench_fleet.py --stub`, in turns).

Late means later than pictures were since the socket was last empty, when nothing could be late because of us. So a
camera whose stamps are slower than time, by however much, is not late, and neither is what comes at once after a pause
of the network.

How late is late follows from the fleet's goal. Pure arithmetic, but for the question whether the thread has waited.
"""

from __future__ import annotations

import resource

from pipeline.camera.capture import Quickest
from pipeline.clock import NS_PER_S

PICTURES = 5
"""In a row that lay there already and are late."""
STARVED_PICTURES = 3
"""In a row that are late because no processor was free."""
STARVED_SHARE = 0.5
"""Of the delay: what was spent waiting for one."""
LATE_SHARE = 0.6
"""Of the promised age: how late a picture may come, compared with the quickest since the socket was empty."""
LATE_S = 0.1
"""The same where nothing is promised."""
ON_TIME_SHARE = 0.5
"""Of that: how late a key frame may be with which decoding begins again."""

EMPTY_S = 0.005
"""A wait of so long means that the sender has nothing more to send, either."""
MOST_SKIPPED_S = 2.0
"""After so long, whatever is not waited for any more is taken for the present."""

AGAIN_S = 20.0
"""A camera that has decoded for less than this before it fell behind has done so again."""
FIRST_REST_S, LONGEST_REST_S = 1.0, 4.0
"""How long it leaves pictures out at least if that is for want of a processor; doubles each time."""


class Backlog:
    """Judges one camera. Not thread-safe."""

    def __init__(self, late_s: float = LATE_S) -> None:
        """From `late_s` on a picture is late."""
        self._late_s = late_s
        self._quickest = Quickest()
        self._unwaited = 0
        self._starved_ns = 0
        self._starved = 0
        self._skipping = False
        self._rest_s = 0.0
        self._rests_until_ns = 0
        self._left_out_ns: int | None = None
        self._emptied = False

    def waited(self, for_ns: int) -> None:
        """Nothing lay there: a packet of the next picture had to be waited for, so it is not late because of us.

        Args:
            for_ns: How long; packets that are on their way already do not take `EMPTY_S`.
        """
        if for_ns >= EMPTY_S * NS_PER_S:
            self._quickest = Quickest()
        self._unwaited = -1
        self._starved_ns = 0
        self._emptied = True

    def skips(self, pts_s: float, arrived_ns: int, starved_ns: int = 0, *, key: bool) -> bool:
        """Whether to leave the next picture out.

        Args:
            pts_s: Its own time, s.
            arrived_ns: Monotonic time its last packet was read.
            starved_ns: How long the thread was ready to run, but had no processor, since the picture before.
            key: Whether decoding can begin with it.
        """
        delay_ns = arrived_ns - round(pts_s * NS_PER_S)
        lag_s = (delay_ns - self._quickest.of(delay_ns - starved_ns, arrived_ns)) / NS_PER_S
        self._unwaited += 1
        self._starved_ns += starved_ns
        late = lag_s > self._late_s
        for_want_of_processor = late and self._starved_ns / NS_PER_S >= STARVED_SHARE * lag_s
        self._starved = self._starved + 1 if for_want_of_processor else 0
        if self._skipping:
            self._skipping = not (key and self._emptied and self._is_present(lag_s, arrived_ns))
            self._left_out_ns = arrived_ns
        elif late and (self._unwaited >= PICTURES or self._starved >= STARVED_PICTURES):
            self._skipping, self._emptied = True, False
            self._rest(arrived_ns)
        return self._skipping

    def _rest(self, now_ns: int) -> None:
        """Decide how long it leaves pictures out at least."""
        again = self._left_out_ns is not None and now_ns - self._left_out_ns < AGAIN_S * NS_PER_S
        starved = self._starved >= STARVED_PICTURES
        self._rest_s = min(max(FIRST_REST_S, 2 * self._rest_s), LONGEST_REST_S) if again and starved else 0.0
        self._rests_until_ns = now_ns + round(self._rest_s * NS_PER_S)

    def _is_present(self, lag_s: float, arrived_ns: int) -> bool:
        """Whether it has rested, and a key frame is on time or has to be taken for it."""
        if arrived_ns < self._rests_until_ns:
            return False
        if lag_s < ON_TIME_SHARE * self._late_s:
            return True
        if arrived_ns - self._rests_until_ns <= MOST_SKIPPED_S * NS_PER_S:
            return False
        self._quickest = Quickest()
        return True


def waits_of_this_thread() -> int:
    """How often it has waited for something so far; being deprived of the processor does not count."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
