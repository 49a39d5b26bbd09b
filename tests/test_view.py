"""What a camera's process shows to those who look: units that decode to the very frames, and stills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import zmq

from pipeline.errors import WireError
from pipeline.replay import ReplayOptions, serve_recordings
from pipeline.replay.options import Playback
from pipeline.viewing import FULL, STILLS, UNITS, Shown, Still, Unit, endpoint, unpack
from tests.test_camera_process import Running, Worker, camera, worker  # noqa: F401

Word = Unit | Shown | Still


class Viewer:
    """Somebody who looks at the camera `gate`."""

    def __init__(self, directory: Path, topic: bytes) -> None:
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.connect(endpoint(directory, "gate"))
        self._socket.subscribe(topic)
        self.seen: list[tuple[Word, bytes]] = []

    def look(self) -> list[tuple[Word, bytes]]:
        while self._socket.poll(0):
            _, word, data = self._socket.recv_multipart()
            self.seen.append((unpack(word), data))
        return self.seen

    def close(self) -> None:
        self._socket.close(linger=0)


@pytest.fixture
def look(worker: Worker) -> Iterator[Callable[[bytes], Viewer]]:  # noqa: F811
    viewers: list[Viewer] = []

    def begin(topic: bytes) -> Viewer:
        viewers.append(Viewer(worker.scope.directory, topic))
        return viewers[-1]

    yield begin
    for viewer in viewers:
        viewer.close()


def test_units_decode_to_the_frames_that_shown_says_they_are(
    worker: Worker,  # noqa: F811
    recording: Path,
    look: Callable[[bytes], Viewer],
):
    viewer = look(UNITS)
    with Running(worker, camera(recording, loop=True)):
        worker.listen(lambda heard: len([word for word, _ in viewer.look() if isinstance(word, Shown)]) > 120)
    units = {word.unit: (word, data) for word, data in viewer.seen if isinstance(word, Unit)}
    frames = {word.unit: word.frame_id for word, _ in viewer.seen if isinstance(word, Shown)}
    first_key = next(number for number, (word, _) in units.items() if word.key)
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = units[first_key][0].extradata
    compared = 0
    for number in sorted(unit for unit in units if first_key <= unit <= max(frames)):
        packet = av.Packet(units[number][1])
        packet.pts = number
        for picture in decoder.decode(packet):
            # The recording's square moves by two pixels a frame, and the frame's number tells where it is.
            row = picture.to_ndarray(format="gray")[90]
            left = int(np.argmax(row > 128))
            assert abs(left - 2 * (frames[picture.pts] % 75)) <= 2
            compared += 1
    assert compared > 75  # also of the second time it was played


def test_only_key_pictures_are_told_to_be_such_also_long_after_the_connection_was_made(
    worker: Worker,  # noqa: F811
    recording: Path,
    look: Callable[[bytes], Viewer],
):
    viewer = look(UNITS)
    with serve_recordings(ReplayOptions((recording,), playback=Playback(loop=True))) as server:
        (url,) = server.urls
        with Running(worker, camera(url)):
            # FFmpeg's H.264 decoder may begin anywhere once a connection is three seconds old.
            worker.listen(lambda heard: len(viewer.look()) > 2 * 150)
    units = [word for word, _ in viewer.seen if isinstance(word, Unit)]
    assert 3 <= sum(unit.key for unit in units) <= len(units) / 25 + 2


def test_stills_are_upright_small_and_name_their_frame(
    worker: Worker,  # noqa: F811
    recording: Path,
    look: Callable[[bytes], Viewer],
):
    viewer = look(STILLS)
    with Running(worker, camera(recording, loop=True, rotate=90)):
        worker.listen(lambda heard: len(viewer.look()) > 3)
    still, jpeg = viewer.seen[-1]
    assert isinstance(still, Still)
    assert still.frame_wh == (180, 320)
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (320, 180, 3)
    assert still.session in worker.sessions()


def test_full_picture_comes_once_for_each_who_asks(
    worker: Worker,  # noqa: F811
    recording: Path,
    look: Callable[[bytes], Viewer],
):
    with Running(worker, camera(recording, loop=True)):
        first = look(FULL)
        worker.listen(lambda heard: len(first.look()) > 0)
        ticks = len(worker.ticks)
        worker.listen(lambda heard: len(worker.ticks) > ticks + 10)
        assert len(first.look()) == 1
        second = look(FULL)
        worker.listen(lambda heard: len(second.look()) > 0)
    assert cv2.imdecode(np.frombuffer(second.seen[0][1], np.uint8), cv2.IMREAD_COLOR).shape == (180, 320, 3)


def test_word_of_strangers_is_refused():
    with pytest.raises(WireError, match="cannot be read"):
        unpack(b"\xc1")
