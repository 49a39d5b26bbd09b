"""The coded pictures since the last key frame, for the case that one turns out to have been incomplete."""

from __future__ import annotations

MOST_AGAIN = 8 << 20
"""Of the pictures that are kept to be decoded once more, bytes; where there are more, damage stays to the key frame."""


class Recent:
    """Keeps the pictures of one stream that may have to be decoded once more. Not thread-safe.

    Attributes:
        damaged: Whether what is shown up to the next key frame is damaged, since nothing is kept.
    """

    def __init__(self) -> None:
        self.damaged = False
        self._pictures: list[bytes] | None = None
        self._size = 0
        self._wrong = False

    def add(self, data: bytes, *, key: bool) -> tuple[bytes, ...]:
        """A picture is given; returns those that must be decoded once more before it."""
        if key:
            self._pictures, self._size, self._wrong, self.damaged = [], 0, False, False
        again: tuple[bytes, ...] = ()
        if self._wrong and self._pictures is not None:
            again, self._wrong = tuple(self._pictures), False
        self._keep(data)
        return again

    def mend(self, rest: bytes) -> None:
        """The picture that was given last has this rest, too."""
        if self._pictures:
            self._pictures[-1] += rest
            self._wrong = True
        else:
            self.damaged = True

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MOST_AGAIN:
            self._pictures = None
        if self._pictures is not None:
            self._pictures.append(data)
