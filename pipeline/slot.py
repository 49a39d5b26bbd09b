"""The slot of a camera: one frame in shared memory, and a newer one replaces it.

iceoryx2 publish-subscribe with a subscriber buffer of one and safe overflow. The camera process writes the scaled
picture straight into shared memory, the worker reads it where it lies; nobody copies and nobody waits. Either side may
be killed at any moment: a frame is handed over whole or not at all (measured: a writer killed 30 times in mid-write
while a reader took 1.28 million frames, none torn).

Readers learn from elsewhere that there is something to take (`pipeline.link`); a slot never blocks.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import iceoryx2 as iox
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SlotError
from pipeline.geometry import WidthHeight
from pipeline.runscope import SHARED_MEMORY, RunScope

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

MAX_HELD = 6
"""Frames of one camera a reader may hold at once: two in each of two lanes, one waiting, one to spare. Memory is
reserved for each, but none is used before a frame is written there."""

_PORTS = 2
"""Writers and readers of a service at once: the one at work, and a killed one that has not been cleaned up yet."""

_GONE: Pixels = np.empty((0, 0, 3), np.uint8)
"""What is left of a picture whose memory was given back."""

_HALF_MADE = ("HangsInCreation", "ServiceInCorruptedState")


class _Header(ctypes.Structure):
    """What travels with the pixels."""

    _fields_ = (
        ("writer_ns", ctypes.c_int64),
        ("sequence", ctypes.c_uint64),
        ("session", ctypes.c_uint64),
        ("frame_id", ctypes.c_uint64),
        ("sent_ns", ctypes.c_int64),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
    )

    @staticmethod
    def type_name() -> str:
        """Both ends must name the same; a field that changes changes the number."""
        return "camfleet.SlotHeader.1"


class SlotWriter:
    """The camera process's end. Use it from one thread at a time.

    Example:
        with writer.loan((640, 360)) as loan:
            convert(frame, loan.pixels)
            loan.send(session, frame_id)
    """

    def __init__(self, scope: RunScope, camera_id: str, max_wh: WidthHeight) -> None:
        """Join the slot of `camera_id`, making it where it is not yet.

        Args:
            scope: The fleet's run.
            camera_id: The camera's name in the fleet file.
            max_wh: The largest picture that will be written, px.

        Raises:
            SlotError: There is no room under /dev/shm, or the slot cannot be made.
        """
        self.max_wh = max_wh
        self._camera_id = camera_id
        self._since_ns = time.monotonic_ns()
        self._sequence = 0
        _require_room(camera_id, max_wh)
        self._node = scope.node(camera_id)
        self._service = _join(scope, self._node, camera_id)
        try:
            builder = self._service.publisher_builder().initial_max_slice_len(_nbytes(max_wh)).max_loaned_samples(1)
            self._publisher = builder.allocation_strategy(iox.AllocationStrategy.Static).create()
        except iox.PublisherCreateError as error:
            raise SlotError(f"camera {camera_id}: cannot write to its slot: {error}") from error

    def loan(self, wh: WidthHeight) -> SlotLoan:
        """Shared memory for a picture of `wh` px. One at a time: send or discard it before asking for the next.

        Raises:
            SlotError: The picture is larger than `max_wh`, or an earlier loan is still out.
        """
        try:
            sample = self._publisher.loan_slice_uninit(_nbytes(wh))
        except iox.LoanError as error:
            raise SlotError(
                f"camera {self._camera_id}: no room in the slot for {wh[0]}x{wh[1]} (made for {self.max_wh}): {error}"
            ) from error
        header = sample.user_header().contents
        header.writer_ns, header.sequence = self._since_ns, self._sequence
        header.width, header.height = wh
        return SlotLoan(self, sample, wh)

    def delivered(self) -> None:
        """Count a frame that reached a reader; one that nobody was there to read was not replaced either."""
        self._sequence += 1

    def close(self) -> None:
        """Leave the slot; may be called again. A frame in it can be taken still, by a reader that has looked before."""
        if self._publisher is not None:
            self._publisher.delete()
        self._publisher = self._service = self._node = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class SlotLoan:
    """Shared memory to write one picture into.

    Attributes:
        pixels: (H, W, 3) uint8, contiguous, RGB, of undefined content. Empty after `send` or `discard`.
    """

    def __init__(self, writer: SlotWriter, sample: iox.SampleMutUninit, wh: WidthHeight) -> None:
        self._writer = writer
        self._sample: iox.SampleMutUninit | None = sample
        self.pixels = _view(sample, wh)

    def send(self, session: int, frame_id: int) -> bool:
        """Put the picture into the slot, replacing the one there; False if nobody is connected to read it."""
        sample, self._sample, self.pixels = self._sample, None, _GONE
        if sample is None:
            raise SlotError("a loan can be sent once")
        header = sample.user_header().contents
        header.session, header.frame_id, header.sent_ns = session, frame_id, time.monotonic_ns()
        reached = sample.assume_init().send() > 0
        if reached:
            self._writer.delivered()
        return bool(reached)

    def discard(self) -> None:
        """Give the memory back unsent; without effect after `send`."""
        if self._sample is not None:
            self._sample.delete()
        self._sample, self.pixels = None, _GONE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()


@dataclass(slots=True)
class SlotFrame:
    """A frame taken out of the slot, where it lies in shared memory.

    The reader owns the memory until `release`, which any thread may call, and which every frame needs: a reader can
    hold `MAX_HELD`. The array does not keep the memory alive: after `release` the writer draws over it.

    Attributes:
        session: The camera's session.
        frame_id: Of the session.
        sequence: Counts what the writer wrote into the slot, from 0.
        replaced: Frames that were replaced in the slot since the last one taken.
        sent_ns: Monotonic time it was put in.
        pixels: (H, W, 3) uint8, RGB, read-only.
    """

    session: int
    frame_id: int
    sequence: int
    replaced: int
    sent_ns: int
    pixels: Pixels
    _sample: iox.Sample | None

    def release(self) -> None:
        """Give the memory back; may be called again."""
        sample, self._sample = self._sample, None
        if sample is not None:
            self.pixels = _GONE
            sample.delete()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


class SlotReader:
    """The worker's end. Use it from one thread at a time; frames may be released from any."""

    def __init__(self, scope: RunScope, camera_id: str, node: iox.Node | None = None) -> None:
        """Join the slot of `camera_id`, making it where it is not yet; the writer may come later, or come back.

        Args:
            scope: The fleet's run.
            camera_id: The camera's name in the fleet file.
            node: The process's place in the run (`RunScope.node`), for one with many readers: joining and leaving take
                2 and 0.2 ms with it, 15 and 12 ms without.

        Raises:
            SlotError: The slot cannot be made or opened.
        """
        self._camera_id = camera_id
        self._since_ns = time.monotonic_ns()
        self._last = (0, -1)
        self._node = node or scope.node(camera_id)
        self._service = _join(scope, self._node, camera_id)
        try:
            self._subscriber = self._service.subscriber_builder().buffer_size(1).create()
        except iox.SubscriberCreateError as error:
            raise SlotError(f"camera {camera_id}: cannot read from its slot: {error}") from error

    def take(self) -> SlotFrame | None:
        """The newest frame in the slot, not copied, or None if nothing came since the last. Does not block.

        Raises:
            SlotError: `MAX_HELD` frames are out already.
        """
        # One at most, but after a writer was killed and started again there may be one of each.
        received = [(sample.user_header().contents, sample) for sample in self._receive()]
        if len(received) > 1:
            received.sort(key=lambda one: int(one[0].sent_ns))
        if not received:
            return None
        replaced = sum(self._count_unseen(header) for header, _ in received)
        for _, older in received[:-1]:
            older.delete()
        return _frame(*received[-1], replaced + len(received) - 1)

    def close(self) -> None:
        """Leave the slot; may be called again. Frames that are out stay valid until released."""
        if self._subscriber is not None:
            self._subscriber.delete()
        self._subscriber = self._service = self._node = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _receive(self) -> list[iox.Sample]:
        samples: list[iox.Sample] = []
        try:
            while (sample := self._subscriber.receive()) is not None:
                samples.append(sample)
        except iox.ReceiveError as error:
            if not samples:
                raise SlotError(
                    f"camera {self._camera_id}: {MAX_HELD} frames are out and not released ({error})"
                ) from error
        return samples

    def _count_unseen(self, header: _Header) -> int:
        """Frames its writer delivered since the last one that was seen: replaced before they were taken."""
        writer, sequence = self._last
        self._last = (header.writer_ns, header.sequence)
        if header.writer_ns == writer:
            return int(header.sequence) - sequence - 1
        # What an older writer delivered before this reader came was not meant for it.
        return int(header.sequence) if header.writer_ns > self._since_ns else 0


def _frame(header: _Header, sample: iox.Sample, replaced: int) -> SlotFrame:
    pixels = _view(sample, (header.width, header.height))
    pixels.flags.writeable = False
    return SlotFrame(
        session=header.session,
        frame_id=header.frame_id,
        sequence=header.sequence,
        replaced=replaced,
        sent_ns=header.sent_ns,
        pixels=pixels,
        _sample=sample,
    )


def _join(scope: RunScope, node: iox.Node, camera_id: str) -> iox.PortFactoryPublishSubscribe:
    """The camera's service, made where it is not yet.

    A process killed while it made the service leaves it half made, and iceoryx2 then refuses it to everybody, for ever
    (HangsInCreation). Makers hold a lock that the kernel drops with them, so it is known to be nobody's and is removed.
    """
    name = iox.ServiceName.new(camera_id)
    with scope.creating():
        try:
            return _open_or_create(node, name)
        except iox.PublishSubscribeOpenOrCreateError as error:
            if not any(reason in str(error) for reason in _HALF_MADE):
                raise SlotError(f"camera {camera_id}: cannot open its slot: {error}") from error
        try:
            scope.remove_half_made()
            node.force_remove_service(name, iox.MessagingPattern.PublishSubscribe)
            return _open_or_create(node, name)
        except (iox.ServiceRemoveError, iox.PublishSubscribeOpenOrCreateError) as error:
            raise SlotError(f"camera {camera_id}: cannot make its slot anew: {error}") from error


def _open_or_create(node: iox.Node, name: iox.ServiceName) -> iox.PortFactoryPublishSubscribe:
    builder = node.service_builder(name).publish_subscribe(iox.Slice[ctypes.c_uint8]).user_header(_Header)
    builder = builder.enable_safe_overflow(True).history_size(0)
    builder = builder.subscriber_max_buffer_size(1).subscriber_max_borrowed_samples(MAX_HELD)
    return builder.max_publishers(_PORTS).max_subscribers(_PORTS).max_nodes(2 * _PORTS).open_or_create()


def _view(sample: iox.Sample | iox.SampleMutUninit, wh: WidthHeight) -> Pixels:
    return np.asarray(sample.payload().as_memory_view()).reshape(wh[1], wh[0], 3)


def _nbytes(wh: WidthHeight) -> int:
    return wh[0] * wh[1] * 3


def slot_bytes(max_wh: WidthHeight) -> int:
    """Shared memory that the slot of a camera may need whose pictures are scaled to `max_wh` px at most."""
    return (MAX_HELD + 3) * _nbytes(max_wh)


def _require_room(camera_id: str, max_wh: WidthHeight) -> None:
    """Writing to shared memory that is not there ends a process by SIGBUS, with no word; so ask before."""
    system = os.statvfs(SHARED_MEMORY)
    free, needed = system.f_bavail * system.f_frsize, slot_bytes(max_wh)
    if free < needed:
        raise SlotError(
            f"camera {camera_id}: its slot may need {needed >> 20} MB and {SHARED_MEMORY} has {free >> 20} MB free; "
            "make it larger (docker run --shm-size=1g, or mount -o remount,size=1g /dev/shm)"
        )
