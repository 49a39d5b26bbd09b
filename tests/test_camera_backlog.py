from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.camera.backlog import AGAIN_S, LATE_S, PICTURES, STARVED_PICTURES, Backlog
from pipeline.camera.decode import Decoder
from pipeline.camera.source import open_source
from pipeline.clock import NS_PER_S, SystemClock, VirtualClock
from pipeline.replay import ReplayOptions, serve_recordings
from tests.camera_media import Clip, camera
from tests.test_source import Watch

INTERVAL_S = 0.04


class Feed:
    """Pictures of a camera of 25 fps with a key frame every ten, each read `lag_s` after it was sent."""

    def __init__(self) -> None:
        self.backlog = Backlog()
        self._number = 0

    def next(self, lag_s: float, *, waited: bool, starved_s: float = 0.0, wait_s: float = INTERVAL_S / 2) -> bool:
        """Whether the picture is left out."""
        if waited:
            self.backlog.waited(round(wait_s * NS_PER_S))
        pts_s, key = self._number * INTERVAL_S, self._number % 10 == 0
        self._number += 1
        arrived_ns = round((100.0 + pts_s + lag_s) * NS_PER_S)
        return self.backlog.skips(pts_s, arrived_ns, round(starved_s * NS_PER_S), key=key)


def on_time(feed: Feed, count: int = 10) -> list[bool]:
    return [feed.next(0.0, waited=True) for _ in range(count)]


def test_backlog_of_a_camera_that_is_on_time_leaves_nothing_out() -> None:
    assert not any(on_time(Feed(), 100))


def test_backlog_that_grows_is_left_out_up_to_the_next_key_frame_on_time() -> None:
    feed = Feed()
    on_time(feed)
    grows = [feed.next(0.03 * (turn + 1), waited=False) for turn in range(5)]
    assert grows == [False] * (PICTURES - 1) + [True]
    drained = [feed.next(0.0, waited=True) for _ in range(12)]
    assert drained == [True] * 5 + [False] * 7


def test_backlog_key_frame_that_is_late_itself_is_left_out() -> None:
    feed = Feed()
    on_time(feed)
    late = [feed.next(0.2, waited=False) for _ in range(11)]
    assert late == [False] * (PICTURES - 1) + [True] * 7


@pytest.mark.parametrize(
    ("lag_s", "waited"),
    [
        pytest.param(2 * LATE_S, True, id="late, but each is waited for: the network is slow, not we"),
        pytest.param(0.5 * LATE_S, False, id="always there already, but hardly late"),
    ],
)
def test_backlog_that_is_none_leaves_nothing_out(lag_s: float, waited: bool) -> None:
    feed = Feed()
    on_time(feed)
    assert not any(feed.next(lag_s, waited=waited) for _ in range(50))


def test_backlog_late_for_want_of_a_processor_is_left_out_although_it_was_waited_for() -> None:
    feed = Feed()
    on_time(feed)
    starved = [feed.next(0.12, waited=True, starved_s=0.11) for _ in range(STARVED_PICTURES)]
    assert starved == [False] * (STARVED_PICTURES - 1) + [True]


def left_out_after_falling_behind(feed: Feed, *, starved: bool, decoded_s: float) -> int:
    """How many pictures are left out by one that is on time from then on, and decodes for so long."""
    while not feed.next(0.12, waited=starved, starved_s=0.11 if starved else 0.0):
        pass
    left_out = list(itertools.takewhile(bool, (feed.next(0.0, waited=True) for _ in range(1000))))
    on_time(feed, round(decoded_s / INTERVAL_S))
    return len(left_out)


@pytest.mark.parametrize(
    ("starved", "decoded_s", "seconds"),
    [
        pytest.param(True, 2.0, (0, 1, 2, 4, 4), id="again and again"),
        pytest.param(True, AGAIN_S, (0, 0, 0, 0, 0), id="now and then"),
        pytest.param(False, 2.0, (0, 0, 0, 0, 0), id="a camera that is too much for a processor of its own"),
    ],
)
def test_backlog_for_want_of_a_processor_rests_longer_each_time(
    starved: bool, decoded_s: float, seconds: tuple[int, ...]
) -> None:
    feed = Feed()
    on_time(feed)
    left_out = [left_out_after_falling_behind(feed, starved=starved, decoded_s=decoded_s) for _ in seconds]
    for count, rest_s in zip(left_out, seconds, strict=True):
        assert rest_s - 0.2 < count * INTERVAL_S < rest_s + 0.5, "up to the next key frame"


def test_backlog_one_picture_that_no_processor_was_free_for_leaves_nothing_out() -> None:
    feed = Feed()
    on_time(feed)
    hiccup = [feed.next(0.2, waited=True, starved_s=0.2), feed.next(0.16, waited=False)]
    assert not any(hiccup + on_time(feed, 20))


def test_backlog_with_a_goal_of_a_second_takes_a_tenth_for_on_time() -> None:
    feed = Feed()
    feed.backlog = Backlog(late_s=0.6)
    on_time(feed)
    assert not any(feed.next(0.2, waited=False, starved_s=0.04) for _ in range(50))


def test_backlog_after_a_pause_of_the_network_leaves_nothing_out() -> None:
    feed = Feed()
    on_time(feed)
    burst = [feed.next(0.12 - 0.04 * turn, waited=turn == 0) for turn in range(3)]
    assert not any(burst + on_time(feed, 20))


def test_camera_that_decodes_too_slowly_leaves_pictures_out_and_is_on_time_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Decoder.decode

    def slowly(self: Decoder, *packet: Any, **key: Any) -> Any:
        time.sleep(0.06)  # a processor that is too slow for 25 fps; nothing is waited for
        return decode(self, *packet, **key)

    monkeypatch.setattr(Decoder, "decode", slowly)
    recording = Clip(frames=100).write(tmp_path / "a.mp4")
    with serve_recordings(ReplayOptions((recording,))) as server:
        source = open_source(camera(server.urls[0]), SystemClock())
        pictures = list(itertools.islice(source.pictures(Watch(VirtualClock())), 120))
        source.close()
    left_out = [picture.behind for picture in pictures]
    assert 0.2 < sum(left_out) / len(left_out) < 1
    assert all((picture.frame is None) == picture.behind for picture in pictures)
    pts_s = [picture.pts_s for picture in pictures]
    assert [round(later - earlier, 2) for earlier, later in itertools.pairwise(pts_s)] == [INTERVAL_S] * 119
    decoded = [picture for picture in pictures[40:] if not picture.behind]
    delays_s = [picture.received_ns / NS_PER_S - picture.pts_s for picture in decoded]
    # Without leaving any out, the last would be 1.6 s later than the first; a pause of the machine makes few late.
    assert statistics.median(delays_s) - min(delays_s) < 0.5


@pytest.mark.parametrize("fps", [24.75, 21.0, 12.0])
def test_backlog_of_stamps_slower_than_time_is_none_and_a_pause_leaves_nothing_out(fps: float) -> None:
    """25 stamps a second from a camera that sends fewer, and pauses of the network: 0.6 s every ten."""
    feed, read_s = Feed(), 0.0
    for number in range(1000):
        sent_s = number / fps
        pause_s = 0.6 - sent_s % 10 if number > 50 and sent_s % 10 < 0.6 else 0.0
        arrived_s = max(read_s + 0.002, sent_s + pause_s)
        waited = arrived_s > read_s + 0.002
        assert not feed.next(arrived_s - number * INTERVAL_S, waited=waited), number
        read_s = arrived_s


def test_backlog_of_stamps_slower_than_time_is_seen_when_there_is_one() -> None:
    feed = Feed()
    for number in range(100):
        assert not feed.next(0.0076 * number, waited=True)
    assert any(feed.next(0.76 + 0.03 * turn, waited=False) for turn in range(10))


def test_backlog_that_the_sender_still_has_is_one_although_packets_on_their_way_are_waited_for() -> None:
    feed = Feed()
    on_time(feed)
    grows = [feed.next(0.03 * turn, waited=False) for turn in range(8)]
    assert grows[-1]
    on_their_way = [feed.next(0.24, waited=True, wait_s=0.001) for _ in range(5)]
    assert all(on_their_way), "a key frame that is 0.24 s old is not the present"
