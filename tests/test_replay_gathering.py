"""Recordings that begin at one moment, once each has a client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

from pipeline.clock import NS_PER_S
from pipeline.replay import Playback, ReplayOptions, read_departures
from pipeline.replay.gathering import Gathering
from pipeline.replay.options import phase_s
from pipeline.replay.server import ReplayServer
from pipeline.rtsp.rtp import RtpUnit
from pipeline.rtsp.subscriber import RtpSubscriber

DEADLINE_S = 20.0
LATER_S = 0.6


def in_time(task: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(task, DEADLINE_S))


def test_cameras_wait_until_all_are_there():
    async def story() -> None:
        gathering = Gathering(2, patience_s=DEADLINE_S)
        first = asyncio.create_task(gathering.wait())
        await asyncio.sleep(0)
        assert not first.done()
        await gathering.wait()
        await first

    in_time(story())


def test_camera_that_never_comes_keeps_the_others_waiting_no_longer_than_they_have_patience():
    async def story() -> None:
        gathering = Gathering(3, patience_s=0.05)
        await asyncio.gather(gathering.wait(), gathering.wait())
        await gathering.wait()  # late, and at once

    in_time(story())


class Client(RtpSubscriber):
    """Takes everything, and does nothing with it."""

    def __init__(self) -> None:
        super().__init__(lambda unit: b"", lambda: None)

    def close(self) -> None: ...

    def _is_behind(self) -> bool:
        return False

    def _send_unit(self, unit: RtpUnit) -> None: ...

    def _send_rtcp(self, rtcp: bytes) -> None: ...


def test_recordings_played_together_begin_at_one_moment_though_one_is_watched_later(recording: Path, tmp_path: Path):
    """They are as far apart as their places among the cameras make them, and not by when they were first watched."""
    departures = tmp_path / "left"
    playback = Playback(loop=False, together=True, speed=3)
    options = ReplayOptions((recording, recording), playback=playback, departures=departures)

    async def story() -> None:
        async with ReplayServer(options) as server:
            one, two = server._cameras.values()
            one.join(Client())
            await asyncio.sleep(LATER_S)
            two.join(Client())
            await server.played()

    in_time(story())
    left = read_departures(departures)
    first, second = (int(left["presented_wall_ns"][left["camera"] == camera].min()) for camera in (0, 1))
    assert len(left) == 150
    assert abs((second - first) / NS_PER_S - phase_s(1, 2, 25)) < LATER_S / 2
