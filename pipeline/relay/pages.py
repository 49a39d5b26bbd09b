"""Bytes in the order of their coming, in pages of memory that go back to the system with the last of them.

Messages of all sizes that come and go, a hundred a second, leave holes between them that the C library can hardly use:
a history of constant length took a fifth more memory after half an hour.
"""

from __future__ import annotations

import mmap
from collections import deque
from dataclasses import dataclass

PAGE = 1 << 20


@dataclass(slots=True)
class _Page:
    memory: mmap.mmap
    used: int = 0
    kept: int = 0
    """How many pieces lie on it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Where some bytes lie, until they are dropped."""

    page: _Page
    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    def __bytes__(self) -> bytes:
        return self.page.memory[self.begin : self.end]


class Pages:
    """A queue of pieces. Not thread-safe."""

    def __init__(self) -> None:
        self._pages: deque[_Page] = deque()
        self._spare: _Page | None = None

    def put(self, body: bytes) -> Piece:
        """Keep a copy of these bytes behind all others."""
        page = self._pages[-1] if self._pages else None
        if page is None or page.used + len(body) > len(page.memory):
            page = self._next(len(body))
        begin, page.used = page.used, page.used + len(body)
        page.memory[begin : page.used] = body
        page.kept += 1
        return Piece(page, begin, page.used)

    def drop(self, piece: Piece) -> None:
        """Let go of a piece, the oldest that is kept."""
        piece.page.kept -= 1
        while len(self._pages) > 1 and not self._pages[0].kept:
            page = self._pages.popleft()
            if self._spare is None and len(page.memory) == PAGE:
                page.used, self._spare = 0, page
            else:
                page.memory.close()

    def _next(self, length: int) -> _Page:
        page, self._spare = self._spare, None
        if page is None or length > PAGE:
            page = _Page(mmap.mmap(-1, max(PAGE, length), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self._pages.append(page)
        return page
