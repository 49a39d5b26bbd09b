"""Pictures on their way between machines: what is looked at passes, and nothing else leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import zmq

from pipeline import keys
from pipeline.errors import ClusterError, PageError
from pipeline.keys import Certificate, read_certificate
from pipeline.scale.gallery import Doorkeeping, Gallery, Source
from pipeline.viewing import FULL, GALLERY, STILLS, UNITS, Still, endpoint, pack, socket_of, way_to
from pipeline.web.snapshot import snapshot
from tests.waiting import DEADLINE_S, wait_until


def shown(number: int) -> bytes:
    """What a camera says of a picture."""
    return pack(Still(session=1, frame_id=number, captured_at_ns=0, frame_wh=(4, 4)))


class Camera:
    """A camera's socket, as `pipeline.camera.view` has it, and what is subscribed to there."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        self.wanted: list[bytes] = []
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.set(zmq.XPUB_VERBOSER, 1)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(f"ipc://{socket_of(folder, name)}")

    def hear(self) -> list[bytes]:
        """All that was subscribed to, and not any more, since the beginning."""
        while self._socket.poll(0):
            self.wanted.append(self._socket.recv())
        return self.wanted

    def show(self, topic: bytes, number: int) -> None:
        self._socket.send_multipart([topic, shown(number), b"jpeg"])

    def close(self) -> None:
        self._socket.close(linger=0)


class Viewer:
    """Somebody who looks."""

    def __init__(self, folder: Path) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self.socket.set(zmq.LINGER, 0)
        self.socket.connect(way_to(folder, "gate")[0])

    def look(self, *topics: bytes) -> None:
        for topic in topics:
            self.socket.setsockopt(zmq.SUBSCRIBE, topic)

    def look_away(self, *topics: bytes) -> None:
        for topic in topics:
            self.socket.setsockopt(zmq.UNSUBSCRIBE, topic)

    def next(self) -> list[bytes]:
        assert self.socket.poll(round(1000 * DEADLINE_S))
        return self.socket.recv_multipart()

    def close(self) -> None:
        self.socket.close(linger=0)


def pair(name: str, folder: Path) -> Certificate:
    return read_certificate(keys.make_pair(name, folder).secret)


class Town:
    """Two shards with a gallery each, and the front's before them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        server, proxy, self.other = (pair(name, folder / "keys") for name in ("shard", "proxy", "other"))
        self.where = {"gate": "a"}
        self._shards: dict[str, Gallery] = {}
        for name in "ab":
            own = folder / name
            assert server.secret is not None
            self._shards[name] = Gallery(
                "tcp://127.0.0.1:0",
                lambda camera_id, own=own: Source(endpoint(own, camera_id)),
                doorkeeping=Doorkeeping(server.secret, proxy.public),
            )
        self._server = server
        front = folder / "front"
        front.mkdir()
        self.front_folder = front
        self.front = Gallery(f"ipc://{front / GALLERY}", self.source, own_key=proxy)
        for gallery in (*self._shards.values(), self.front):
            stack.callback(gallery.close)
            gallery.open()

    def source(self, camera_id: str) -> Source | None:
        shard = self.where.get(camera_id)
        if shard is None:
            return None
        return Source(self._shards[shard].endpoint, f"{camera_id}/".encode(), self._server.public)

    def camera(self, shard: str, name: str = "gate") -> Camera:
        it = Camera(self.folder / shard, name)
        self._stack.callback(it.close)
        return it

    def viewer(self) -> Viewer:
        it = Viewer(self.front_folder)
        self._stack.callback(it.close)
        return it

    def moves(self, camera_id: str, shard: str) -> None:
        self.where[camera_id] = shard
        self.front.turn()


@pytest.fixture
def town(short_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(short_path, stack)


@contextmanager
def showing(camera: Camera, topic: bytes) -> Iterator[None]:
    """Pictures of it, as long as this lasts."""
    over = threading.Event()

    def show() -> None:
        number = 0
        while not over.wait(0.01):
            camera.hear()
            camera.show(topic, number)
            number += 1

    thread = threading.Thread(target=show)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(DEADLINE_S)


def test_gallery_passes_pictures_of_a_camera_while_somebody_looks_and_then_asks_for_none(town: Town, within: Callable):
    camera, viewer = town.camera("a"), town.viewer()
    assert camera.hear() == []
    viewer.look(b"gate/" + STILLS)
    wait_until(within, lambda: camera.hear() == [b"\x01" + STILLS])
    camera.show(STILLS, 7)
    topic, word, data = viewer.next()
    assert (topic, word, data) == (b"gate/" + STILLS, shown(7), b"jpeg")
    viewer.look_away(b"gate/" + STILLS)
    wait_until(within, lambda: camera.hear() == [b"\x01" + STILLS, b"\x00" + STILLS])


def test_gallery_asks_a_camera_once_for_what_several_look_at(town: Town, within: Callable):
    camera, viewers = town.camera("a"), [town.viewer() for _ in range(3)]
    for viewer in viewers:
        viewer.look(b"gate/" + UNITS)
    wait_until(within, lambda: camera.hear() == [b"\x01" + UNITS])
    with showing(camera, UNITS):
        for viewer in viewers:
            assert viewer.next()[0] == b"gate/" + UNITS
    for viewer in viewers[:2]:
        viewer.close()
    viewers[2].look(b"gate/" + STILLS)
    wait_until(within, lambda: camera.hear() == [b"\x01" + UNITS, b"\x01" + STILLS])
    viewers[2].close()
    wait_until(within, lambda: sorted(camera.hear()[2:]) == [b"\x00" + STILLS, b"\x00" + UNITS])


def test_gallery_asks_for_a_whole_picture_each_time_that_somebody_does(town: Town, within: Callable):
    camera, viewers = town.camera("a"), [town.viewer() for _ in range(2)]
    viewers[0].look(b"gate/" + FULL)
    wait_until(within, lambda: camera.hear() == [b"\x01" + FULL])
    camera.show(FULL, 1)
    assert viewers[0].next()[0] == b"gate/" + FULL
    viewers[1].look(b"gate/" + FULL)
    wait_until(within, lambda: camera.hear() == [b"\x01" + FULL] * 2)


def test_gallery_of_a_camera_that_moves_goes_on_with_its_new_machine(town: Town, within: Callable):
    old, new, viewer = town.camera("a"), town.camera("b"), town.viewer()
    viewer.look(b"gate/" + STILLS)
    wait_until(within, lambda: old.hear() == [b"\x01" + STILLS])
    town.moves("gate", "b")
    wait_until(within, lambda: new.hear() == [b"\x01" + STILLS])
    wait_until(within, lambda: old.hear() == [b"\x01" + STILLS, b"\x00" + STILLS])
    new.show(STILLS, 3)
    assert viewer.next()[1] == shown(3)


def test_gallery_of_a_camera_that_finds_a_machine_later_shows_it_then(town: Town, within: Callable):
    camera, viewer = town.camera("b", "yard"), town.viewer()
    viewer.look(b"yard/" + STILLS)
    with showing(camera, STILLS):
        town.moves("yard", "b")
        assert viewer.next()[0] == b"yard/" + STILLS


def test_gallery_is_for_the_proxys_key_alone(town: Town, within: Callable):
    camera, viewer = town.camera("a"), town.viewer()
    with ExitStack() as stack, showing(camera, STILLS):
        strange = town.folder / "strange"
        strange.mkdir()
        stranger = Gallery(f"ipc://{strange / GALLERY}", town.source, own_key=town.other)
        stack.callback(stranger.close)
        stranger.open()
        nobody = Viewer(strange)
        stack.callback(nobody.close)
        nobody.look(b"gate/" + STILLS)
        viewer.look(b"gate/" + STILLS)
        for _ in range(20):
            viewer.next()
        assert not nobody.socket.poll(0)


def test_snapshot_of_a_camera_on_another_machine_is_taken_as_here(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.web.snapshot.PICTURE_S", DEADLINE_S)
    camera = town.camera("a")
    with showing(camera, FULL):
        assert snapshot(town.front_folder, "", "gate") == b"jpeg"


def test_snapshot_of_a_camera_that_no_machine_has_is_given_up(town: Town):
    with pytest.raises(PageError, match="camera yard has shown no picture for 3 s"):
        snapshot(town.front_folder, "", "yard")


def test_gallery_that_cannot_be_bound_says_so(short_path: Path):
    with pytest.raises(ClusterError, match="pictures cannot be shown at"):
        Gallery(f"ipc://{short_path}/nowhere/at-all", lambda camera_id: None)


def test_gallery_is_closed_while_somebody_looks(town: Town, within: Callable):
    camera, viewer = town.camera("a"), town.viewer()
    viewer.look(b"gate/" + STILLS)
    wait_until(within, lambda: camera.hear() == [b"\x01" + STILLS])
    town.front.close()
    town.front.close()
    wait_until(within, lambda: camera.hear() == [b"\x01" + STILLS, b"\x00" + STILLS])
