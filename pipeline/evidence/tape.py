"""The latest coded pictures of a camera, bounded in seconds and bytes."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from pipeline.clock import NS_PER_S
from pipeline.evidence.coded import Coded, Moment

REORDERED = 16
"""Pictures after which one that was not shown by now will not be: the most that H.264 and HEVC hold back."""


class Tape:
    """Keeps pictures from a key frame on; the oldest group of pictures goes first. Thread-safe.

    At least `keep_s` seconds are kept, so at most a group more, unless they have more than `keep_bytes`: then fewer.
    """

    def __init__(self, keep_s: float, keep_bytes: int) -> None:
        """Nothing came so far."""
        self._keep_ns, self._keep_bytes = round(keep_s * NS_PER_S), keep_bytes
        self._pictures: deque[Coded] = deque()
        self._bytes, self._last = 0, 0
        self._waits = True
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Of what is kept, bytes."""
        return self._bytes

    def put(self, picture: Coded) -> None:
        """Keep one more. After one that was lost on its way, nothing is kept until a key frame comes."""
        with self._lock:
            if self._last and picture.number != self._last + 1:
                self._waits = True
            self._last = picture.number
            self._waits = self._waits and not picture.key
            if self._waits:
                return
            self._pictures.append(picture)
            self._bytes += len(picture.data)
            while self._pictures and self._is_too_much():
                self._drop_group()

    def show(self, number: int, moment: Moment) -> None:
        """When a picture that was put is shown."""
        with self._lock:
            for picture in reversed(self._pictures):
                if picture.number == number:
                    picture.moment = moment
                if picture.number <= number:
                    return

    def since(self, number: int) -> list[Coded]:
        """Pictures behind that number whose moment is known; those that are never shown get that of one before them."""
        with self._lock:
            pictures = list(self._pictures)
        found: list[Coded] = []
        # A key frame that is never shown, with nothing before it, gets that of the first behind it, which needs it.
        known = next((one.moment for one in pictures if one.moment is not None), None)
        for picture in pictures:
            moment = picture.moment
            if moment is None and self._last - picture.number < REORDERED:
                break
            moment = moment or (known and replace(known, frame=None))
            known = moment or known
            if picture.number > number and moment is not None:
                found.append(Coded(picture.number, picture.key, picture.data, moment))
        return found

    def key_before(self, at_ns: int) -> int:
        """The number of the last key frame that was shown at or before a time; else of the oldest; 0 of none."""
        found = 0
        for picture in self.since(0):
            if picture.key and picture.moment is not None and (not found or picture.moment.at_ns <= at_ns):
                found = picture.number
        return found

    def _is_too_much(self) -> bool:
        if self._bytes > self._keep_bytes:
            return True
        keys = (picture for picture in self._pictures if picture.key)
        next(keys, None)
        second, newest = next(keys, None), self._newest_ns()
        if second is None or second.moment is None or newest is None:
            return False
        return second.moment.at_ns < newest - self._keep_ns

    def _newest_ns(self) -> int | None:
        for picture in reversed(self._pictures):
            if picture.moment is not None:
                return picture.moment.at_ns
        return None

    def _drop_group(self) -> None:
        """The oldest key frame and all that need it."""
        while self._pictures:
            self._bytes -= len(self._pictures.popleft().data)
            if self._pictures and self._pictures[0].key:
                return
        self._waits = True
