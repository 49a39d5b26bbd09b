"""Pictures of one camera covered by what was published around their moments, and a clip of such pictures.

The pictures come as the camera has sent them and lie in memory, nowhere else, until they are covered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

from msgspec.structs import replace as changed

from pipeline import film as encoder
from pipeline.clock import NS_PER_S
from pipeline.config.privacy import Privacy
from pipeline.errors import PrivacyError, RenderError, SinkError
from pipeline.evidence.clip import TICKS_HZ
from pipeline.evidence.coded import Moment
from pipeline.evidence.film import Film, Picture, every
from pipeline.evidence.record import Footage
from pipeline.privacy import Cover, Moments, off_ns
from pipeline.wire import FrameResult

_START_S, _PER_SECOND = 30.0, 6.0
"""What a clip may take to be covered, and how much besides for each second that it shows; as those by hand."""
_FPS = 25.0
"""Of a clip with a single picture, for players that want to know."""
NO_LONGER = "it took too long to be covered"


class Covering:
    """Covers pictures of one camera. Use it from one thread."""

    def __init__(self, privacy: Privacy, results: Sequence[FrameResult], zero_ns: int = 0) -> None:
        """By what is known now.

        Args:
            privacy: What is to be covered.
            results: What was published of the camera around the pictures' time.
            zero_ns: As of `pipeline.evidence.coded.Moment`.
        """
        self._cover = Cover(privacy)
        self._by_capture = Moments(results)
        # A frame that came late stands where its stream's own time says, too; that begins anew with each session.
        newest = max(results, key=lambda one: one.captured_at_ns, default=None)
        own = [one for one in results if zero_ns and newest is not None and one.session == newest.session]
        self._by_stream = Moments(changed(one, captured_at_ns=zero_ns + round(one.pts_s * NS_PER_S)) for one in own)

    def apply(self, picture: Picture, moment: Moment) -> Picture:
        """Cover a picture in place, and return it; one of which nothing is known is blurred as a whole.

        Raises:
            SinkError: A mask does not fit the picture.
        """
        try:
            return self._cover.apply(picture, (picture.shape[1], picture.shape[0]), self._known(moment))
        except PrivacyError as error:
            raise SinkError(str(error)) from None

    def _known(self, moment: Moment) -> list[FrameResult]:
        if moment.blind:
            return []
        within_ns = off_ns(moment.error_ms)
        if self._by_capture.end(moment.at_ns, within_ns):
            return []
        return [
            *self._by_capture.around(moment.at_ns, within_ns),
            *self._by_stream.around(moment.at_ns, within_ns),
        ]


def write_covered(file: Path, film: Film, from_ns: int, covering: Covering, stopped: Callable[[], bool]) -> Footage:
    """Encode a film anew, covered, from a moment on; the file appears when it is whole. Blocks.

    Args:
        file: `.mp4` or `.mkv`.
        film: In memory.
        from_ns: Where the clip begins.
        covering: Covers its pictures.
        stopped: Whether to give up.

    Raises:
        SinkError: It cannot be decoded, covered or written, takes too long, or has no pictures.
    """
    wanted = sorted((one for one in film.written if one.moment.at_ns >= from_ns), key=lambda one: one.ticks)
    if not wanted:
        raise SinkError("nothing is kept of that time")
    span_s = (wanted[-1].ticks - wanted[0].ticks) / TICKS_HZ
    give_up_s = time.monotonic() + _START_S + _PER_SECOND * span_s
    steps = [later.ticks - sooner.ticks for sooner, later in pairwise(wanted)]
    fps = TICKS_HZ / max(1, median(steps)) if steps else _FPS
    shown: list[Moment] = []
    try:
        with encoder.Film(file, fps, Fraction(1, TICKS_HZ), encoder.QUICK) as encoded:
            for written, picture in every(film):
                if stopped() or time.monotonic() > give_up_s:
                    raise SinkError(NO_LONGER)
                if written.moment.at_ns < from_ns:
                    continue
                encoded.add(covering.apply(picture, written.moment), written.ticks)
                shown.append(written.moment)
                wh = (picture.shape[1], picture.shape[0])
    except RenderError as error:
        raise SinkError(str(error)) from None
    if not shown:
        raise SinkError("none of its pictures can be decoded")
    times = [moment.at_ns for moment in shown]
    return Footage(
        file=file.name,
        from_ns=min(times),
        to_ns=max(times),
        frames=len(shown),
        codec="h264",
        wh=(wh[0] + wh[0] % 2, wh[1] + wh[1] % 2),
        aligned_by=shown[-1].aligned_by,
        error_ms=shown[-1].error_ms,
    )
