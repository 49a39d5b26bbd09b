"""A recording as RTP units, read and packetized ahead of time in another thread.

A disk that was asleep takes longer to answer than a picture may be late, so the event loop never reads a file: it takes
what a thread has laid ready, half a second and more ahead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.replay.options import Playback
from pipeline.replay.packetize import RtpPacketizer, media_format
from pipeline.replay.recording import Recording
from pipeline.rtsp.rtp import RtpUnit
from pipeline.rtsp.sdp import MediaFormat

# Read as many pictures at once, and as soon as fewer than that lie ready: 0.6 to 1.3 s at 25 fps, 2 MB at 16 Mbit/s.
BATCH = 16


@dataclass(frozen=True, slots=True)
class Start:
    """Where a feed begins.

    Attributes:
        start_s: Seconds into the recording; the key frame at or before it is the first picture.
        ssrc: Of the RTP packets; None takes a random one.
    """

    start_s: float = 0.0
    ssrc: int | None = None


class Feed:
    """The coming pictures of one recording, in order; `take` hands them out."""

    def __init__(self, recording: Recording, playback: Playback, executor: Executor, start: Start = Start()) -> None:
        """Blocks: the first pictures are read here. Owns `recording` from here on; `executor` reads the others.

        Raises:
            ReplayError: the recording cannot be put into RTP packets.
        """
        self.path = recording.path
        self._recording = recording
        self._executor = executor
        self.media: MediaFormat = media_format(recording)
        self._packetizer = RtpPacketizer(recording, start.ssrc)
        access_units = recording.access_units(start.start_s, loop=playback.loop, even=playback.paced == "even")
        self._units: Iterator[RtpUnit] = map(self._packetizer.packetize, access_units)
        self._ready: deque[RtpUnit] = deque(islice(self._units, BATCH))
        self._reading: asyncio.Future[list[RtpUnit]] | None = None
        self._exhausted = len(self._ready) < BATCH

    @classmethod
    def open(cls, path: Path, playback: Playback, executor: Executor, start: Start) -> Feed:
        """A feed of the recording at `path`; blocks.

        Raises:
            ReplayError: it cannot be replayed.
        """
        recording = Recording(path)
        try:
            return cls(recording, playback, executor, start)
        except BaseException:
            recording.close()
            raise

    @property
    def ssrc(self) -> int:
        """The RTP synchronization source of all packets."""
        return self._packetizer.ssrc

    @property
    def rate(self) -> float:
        """Pictures a second, as recorded."""
        return float(self._recording.rate)

    async def take(self) -> RtpUnit | None:
        """The next picture; None after the last one.

        Raises:
            ReplayError: the recording cannot be read on.
        """
        if len(self._ready) < BATCH and self._reading is None and not self._exhausted:
            self._reading = asyncio.get_running_loop().run_in_executor(self._executor, self._read)
        if self._reading is not None and (self._reading.done() or not self._ready):
            # Shielded, as a camera that is cancelled while it waits must not take the reading thread for idle.
            batch = await asyncio.shield(self._reading)
            self._reading = None
            self._exhausted = len(batch) < BATCH
            self._ready.extend(batch)
        return self._ready.popleft() if self._ready else None

    async def finish(self) -> None:
        """Free the file and the muxer as soon as the thread has done with them."""
        if self._reading is not None:
            await asyncio.wait({self._reading})
        self.close()

    def close(self) -> None:
        """Free the file and the muxer; only when the executor reads no more. Harmless when repeated."""
        self._ready.clear()
        self._exhausted = True
        self._packetizer.close()
        self._recording.close()

    def _read(self) -> list[RtpUnit]:
        return list(islice(self._units, BATCH))
