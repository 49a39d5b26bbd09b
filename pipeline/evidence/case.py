"""One event whose evidence is being kept: from when to when, and where its object was seen. Pure arithmetic."""

from __future__ import annotations

from pathlib import Path

from pipeline.clock import NS_PER_S
from pipeline.config.evidence import EventEvidence
from pipeline.evidence.clip import Clip
from pipeline.evidence.coded import Coded
from pipeline.evidence.sights import Best, Frames, Track, seen
from pipeline.wire import FrameResult
from pipeline.wire.event import Event

GRACE_S = 0.7
"""So long after the end of a case it is closed although its camera has not shown the end: it may be gone."""


class Case:
    """One event. Not thread-safe.

    Attributes:
        event: As it was told last.
        stem: What its files are called.
        from_ns: Where its clip is to begin, wall time, ns since 1970-01-01 UTC.
        until_ns: And to end, as far as that is known.
        clip: While it is written; None before, and where there is none.
        wants_clip: Whether there is to be one.
        why: Why something is missing.
        best: Where its object was seen best.
        held: Pictures of its clip, where they are covered before they are written.
        held_bytes: Of these.
        is_full: Whether no more may be held.
    """

    def __init__(self, event: Event, stem: Path, settings: EventEvidence) -> None:
        """Of an event that has just been told for the first time."""
        self.event, self.stem, self._settings = event, stem, settings
        self.from_ns = event.at_ns - round(settings.before_s * NS_PER_S)
        self.until_ns = self._until_ns(event)
        self.clip: Clip | None = None
        self.wants_clip, self.why = True, ""
        self.best = Best()
        self.held: list[Coded] = []
        self.held_bytes, self.is_full = 0, False
        self.tracks: set[Track] = set()
        self._note_track(event)

    def tell(self, event: Event) -> None:
        """It was told again: it goes on, ends, or was corrected."""
        self.event = event
        self.until_ns = self._until_ns(event)
        self._note_track(event)

    def look_back(self, frames: Frames) -> None:
        """Find its object on frames from before it was told."""
        if not self.tracks:
            if (near := frames.nearest(self.event.at_ns)) is not None:
                self.best.see(near)
            return
        for sight in frames.of(self.tracks, self.from_ns):
            self.best.see(sight)

    def look_at(self, frame: FrameResult) -> None:
        """Find its object on a new frame."""
        if self.tracks and self.from_ns <= frame.captured_at_ns <= self.until_ns:
            for sight in seen(frame, self.tracks):
                self.best.see(sight)

    def is_over(self, shown_ns: int, now_ns: int) -> bool:
        """Whether nothing more will come of it.

        Args:
            shown_ns: The newest moment that its camera has shown; 0 of none.
            now_ns: Wall time.
        """
        return shown_ns > self.until_ns or now_ns > self.until_ns + GRACE_S * NS_PER_S

    def _until_ns(self, event: Event) -> int:
        longest_ns = self.from_ns + round(self._settings.longest_s * NS_PER_S)
        if event.phase in ("begin", "update"):
            return longest_ns
        ended_ns = event.at_ns + round((event.lasted_s + self._settings.after_s) * NS_PER_S)
        return min(longest_ns, ended_ns)

    def _note_track(self, event: Event) -> None:
        if event.track_id:
            self.tracks.add((event.session_id, event.track_id))
