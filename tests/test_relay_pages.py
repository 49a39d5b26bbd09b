"""What lies in pages of memory, and that they go back."""

from __future__ import annotations

from collections import deque

import numpy as np

from pipeline.relay.history import History
from pipeline.relay.pages import PAGE, Pages
from pipeline.wire import encode
from tests.wire_messages import FRAME


def test_pages_give_back_what_was_put_in_and_take_no_more_memory_than_they_need():
    pages, kept, rng = Pages(), deque(), np.random.default_rng(3)
    for count in range(20_000):
        body = rng.bytes(int(rng.integers(0, 4000)))
        kept.append((pages.put(body), body))
        if count > 1500:
            piece, expected = kept.popleft()
            assert (bytes(piece), len(piece)) == (expected, len(expected))
            pages.drop(piece)
    assert len(pages._pages) <= 6  # 1,500 pieces of 2,000 bytes, and those that are not yet full
    assert all(bytes(piece) == body for piece, body in kept)


def test_pages_take_a_piece_that_is_larger_than_a_page_and_keep_no_room_for_another():
    pages = Pages()
    large = pages.put(bytes(3 * PAGE))
    small = pages.put(b"x")
    pages.drop(large)
    assert (bytes(small), len(pages._pages), large.page.memory.closed) == (b"x", 1, True)


def test_history_that_keeps_nothing_grows_by_nothing():
    history, body = History("a1", 0), encode(FRAME)
    for at_s in range(20_000):
        history.add(b"detections/gate/", body, at_s)
    assert len(history._pages._pages) <= 2
    assert history.after({}, 0, 10_000) == ([], None)
