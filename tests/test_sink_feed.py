"""From a publisher to a sink: what is chosen, kept, written and tried again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest

from pipeline.client.inlet import Hearing, Position
from pipeline.clock import SystemClock
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.choice import sink_of
from pipeline.errors import SinkError
from pipeline.sink.choose import Choice
from pipeline.sink.feed import Feed, SinkSpec
from pipeline.sink.protocol import Refused
from pipeline.sink.report import SinkFigures, read_figures, write_figures
from pipeline.sink.spool import Spool
from pipeline.sink.writer import FIRST_PAUSE_S, LONGEST_PAUSE_S, Writer, pause_s
from pipeline.wire import FrameResult, encode
from tests.publishing import Publisher
from tests.sinks import Told, frame, place
from tests.waiting import wait_until
from tests.wire_messages import EVENT, FLEET, FRAME, STATE

ROOM = 10_000_000


@pytest.mark.parametrize(
    ("settings", "message", "kept"),
    [
        ({}, FRAME, True),
        ({}, FLEET, True),
        ({"cameras": ["gate"]}, FRAME, True),
        ({"cameras": ["yard"]}, FRAME, False),
        ({"cameras": ["yard"]}, STATE, False),
        ({"cameras": ["yard"]}, FLEET, True),
    ],
)
def test_choice_takes_the_cameras_that_were_asked_for(settings: dict, message, kept: bool):
    assert Choice(SinkSettings(**settings)).choose(message) == (message if kept else None)


@pytest.mark.parametrize(
    ("settings", "objects"),
    [
        ({}, 1),
        ({"classes": ["person"]}, 1),
        ({"classes": ["car"]}, 0),
        ({"min_score": 0.9}, 1),
        ({"min_score": 0.91}, 0),
    ],
)
def test_choice_leaves_objects_out_and_keeps_the_frame(settings: dict, objects: int):
    chosen = Choice(SinkSettings(**settings)).choose(FRAME)
    assert isinstance(chosen, FrameResult)
    assert (chosen.frame_id, len(chosen.tracks)) == (FRAME.frame_id, objects)


def test_choice_takes_one_frame_of_each_camera_in_so_long():
    choice = Choice(SinkSettings(every_s=0.1))
    chosen = [number for number in range(10) if choice.choose(frame(number))]
    assert chosen == [0, 3, 6, 9]
    assert choice.choose(frame(9, "yard"))
    assert choice.choose(frame(2)), "the camera's clock went back"
    assert not choice.choose(frame(3))


def numbered(number: int, publisher: str = "p") -> FrameResult:
    return msgspec.structs.replace(FRAME, publisher=publisher, number=number)


def test_hearing_knows_repeats_and_gaps_of_each_publisher():
    hearing = Hearing({b"t": Position("p", 4)})
    news = [hearing.is_new(b"t", numbered(number)) for number in (3, 4, 5, 5, 8)]
    assert (news, hearing.missed) == ([False, False, True, False, True], 2)
    assert hearing.is_new(b"t", numbered(1, "q"))
    assert hearing.is_new(b"u", numbered(9))
    assert hearing.is_new(b"t", FRAME), "one without a number"
    assert (hearing.missed, hearing.positions[b"t"]) == (2, Position("q", 1))


def test_pause_doubles_up_to_half_a_minute_and_never_vanishes():
    assert [pause_s(failures, 1.0) for failures in (1, 2, 3, 99)] == [FIRST_PAUSE_S, 1.0, 2.0, LONGEST_PAUSE_S]
    assert pause_s(1, 0.0) == FIRST_PAUSE_S / 2


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", ROOM)
    yield spool
    spool.close()


def fill(spool: Spool, numbers: range) -> None:
    spool.append([(one.topic, encode(one)) for one in map(frame, numbers)], {}, SystemClock().wall_ns())


def frames_of(told: Told) -> list[int]:
    return [message.frame_id for message in told.got]


def test_writer_tries_again_with_the_same_batch_and_a_sink_opened_anew(spool: Spool, within: Callable):
    told = Told(failures=2)
    fill(spool, range(3))
    with patch("pipeline.sink.writer.FIRST_PAUSE_S", 0.05):
        writer = Writer(told.open, spool, SystemClock())
        wait_until(within, lambda: writer.written)
    assert (frames_of(told), told.opened, told.closed) == ([0, 1, 2], 3, 2)
    assert spool.state(0).waiting == 0
    assert writer.close(5)
    assert told.closed == 3


def test_writer_tells_why_results_wait_without_secrets(spool: Spool, within: Callable):
    told = Told(failures=1000)
    fill(spool, range(3))
    writer = Writer(told.open, spool, SystemClock())
    wait_until(within, lambda: writer.detail)
    assert writer.detail == "the server rtsp://***@cam/ is away"
    assert spool.state(0).waiting == 3
    assert writer.close(5)


@pytest.mark.parametrize("wrong", [ValueError("a mistake of a plug-in"), OSError("a mistake of a library")])
def test_writer_whose_sink_makes_a_mistake_tries_again(spool: Spool, wrong: Exception, within: Callable):
    told = Told()
    fill(spool, range(3))
    with patch.object(told, "write", side_effect=wrong):
        writer = Writer(told.open, spool, SystemClock())
        wait_until(within, lambda: str(wrong) in writer.detail)
    wait_until(within, lambda: writer.written == 3 and not writer.detail)
    assert frames_of(told) == [0, 1, 2]
    assert writer.close(5)


def test_writer_counts_what_is_refused_and_goes_on(spool: Spool, within: Callable):
    told = Told()
    fill(spool, range(3))
    with patch.object(told, "write", side_effect=Refused("the server knows no such thing", 2)):
        writer = Writer(told.open, spool, SystemClock())
        wait_until(within, lambda: spool.state(0).lost)
    fill(spool, range(3, 5))
    wait_until(within, lambda: writer.written == 3)
    assert (spool.state(0).lost, spool.state(0).waiting, frames_of(told)) == (2, 0, [3, 4])
    assert writer.detail == "the server knows no such thing"
    assert writer.close(5)


def test_writer_leaves_out_what_nobody_can_read(spool: Spool, within: Callable):
    told = Told()
    spool.append([(b"detections/gate/", b"\xc1"), (b"?", b""), (FRAME.topic, encode(FRAME))], {}, 0)
    writer = Writer(told.open, spool, SystemClock())
    wait_until(within, lambda: writer.written)
    assert writer.close(5)
    assert (told.got, writer.written, spool.state(0).lost) == ([FRAME], 1, 2)


def test_writer_that_ends_writes_what_is_left(spool: Spool, within: Callable):
    told = Told()
    writer = Writer(told.open, spool, SystemClock())
    wait_until(within, lambda: told.opened)
    fill(spool, range(3500))
    assert writer.close(20)
    assert (frames_of(told), told.closed) == (list(range(3500)), 1)


def test_writer_whose_sink_stands_still_says_so_and_ends_without_it(spool: Spool, within: Callable):
    told = Told()
    told.goes.clear()
    fill(spool, range(3))
    with patch("pipeline.sink.writer.SLOW_S", 0.05):
        writer = Writer(told.open, spool, SystemClock())
        wait_until(within, lambda: "a batch has been on its way for" in writer.detail)
    assert not writer.close(0.1)
    told.goes.set()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher("tcp://127.0.0.1:0", 10_000)
    yield publisher
    publisher.close()


def feed(publisher: Publisher, folder: Path, told: Told, **settings) -> Feed:
    spec = SinkSpec(
        sink_of("file", {"path": "out", **settings}), place(folder), publisher.endpoint, folder / "spool", "run"
    )
    with patch("pipeline.sink.feed.open_sink", lambda settings, place: told.open()):
        made = Feed(spec, SystemClock())
        made._writer._open = told.open
    return made


def test_feed_whose_sink_stands_still_goes_on_hearing(publisher: Publisher, tmp_path: Path, within: Callable):
    told, stop = Told(), threading.Event()
    told.goes.clear()
    made = feed(publisher, tmp_path, told)
    running = threading.Thread(target=made.run, args=(stop, lambda: None), daemon=True)
    running.start()
    publisher.look()
    wait_until(within, lambda: publisher.look() and publisher.publish(FLEET) is None and made.figures.waiting)
    before = made.figures.waiting
    for number in range(3000):
        publisher.publish(frame(number))
    wait_until(within, lambda: made.figures.waiting >= before + 3000)
    assert (made.figures.lost, made.figures.written) == (0, 0)
    told.goes.set()
    wait_until(within, lambda: made.figures.waiting == 0)
    assert [one.frame_id for one in told.got if isinstance(one, FrameResult)] == list(range(3000))
    stop.set()
    running.join()
    assert made.close()


def test_feed_without_room_drops_the_oldest_and_says_how_many(publisher: Publisher, tmp_path: Path, within: Callable):
    told, stop = Told(failures=1 << 30), threading.Event()
    made = feed(publisher, tmp_path, told, spool_mb=1)
    running = threading.Thread(target=made.run, args=(stop, lambda: None), daemon=True)
    running.start()
    wait_until(within, lambda: publisher.look() and publisher.publish(FLEET) is None and made.figures.waiting)
    for number in range(3000):
        publisher.publish(frame(number))
    wait_until(within, lambda: made.figures.lost > 1000)
    assert made.figures.waiting_bytes <= 1_000_000
    wait_until(within, lambda: made.figures.detail == "the server rtsp://***@cam/ is away")
    stop.set()
    running.join()
    assert made.close()


def test_feed_keeps_nothing_of_what_is_no_message(publisher: Publisher, tmp_path: Path, within: Callable):
    told = Told()
    made, stop = feed(publisher, tmp_path, told), threading.Event()
    running = threading.Thread(target=made.run, args=(stop, lambda: None), daemon=True)
    running.start()
    wait_until(within, lambda: publisher.look() and publisher.publish(FLEET) is None and told.got)
    for body in (b"", b"\xc1", b"\x80", b"\x9f" * 5000):
        publisher.send(b"detections/gate/", body)
    publisher.publish(FRAME)
    wait_until(within, lambda: FRAME in told.got)
    assert made._inlet.unreadable == 4
    stop.set()
    running.join()
    assert made.close()


def test_feed_that_cannot_be_opened_lets_go_of_its_spool(tmp_path: Path):
    from pipeline.errors import PublishError

    spec = SinkSpec(sink_of("file", {"path": "out"}), place(tmp_path), "nowhere", tmp_path / "spool")
    with pytest.raises(PublishError):
        Feed(spec, SystemClock())
    Spool(tmp_path / "spool", ROOM).close()


def test_figures_are_read_as_they_were_written_and_never_raise(tmp_path: Path):
    figures = SinkFigures(waiting=3, lag_s=1.5, lost=2, detail="the server is away")
    write_figures(tmp_path / "keep", figures)
    assert read_figures(tmp_path / "keep") == figures
    assert figures.words == "3 waiting, 1.5 s behind, 2 lost: the server is away"
    (tmp_path / "keep").write_bytes(b"\xff{")
    assert read_figures(tmp_path / "keep") is None
    assert read_figures(tmp_path / "nobody") is None
    write_figures(tmp_path / "no folder" / "keep", figures)


def test_open_sink_of_a_plug_in_that_is_wrong_says_how(tmp_path: Path):
    from pipeline.sink.opening import open_sink

    for factory, why in (
        ("tests.no_such:make", "cannot import"),
        ("tests.sinks:nobody", "'nobody' does not exist"),
        ("tests.sinks:place", "has no write, tick, close"),
    ):
        with pytest.raises(SinkError, match=why):
            open_sink(sink_of(factory, {}), place(tmp_path))


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, ["detections", "events", "fleet"]),
        ({"events": "only"}, ["events"]),
        ({"events": "no"}, ["detections", "fleet"]),
        ({"events": "only", "classes": ["car"]}, []),
        ({"events": "only", "min_score": 0.95}, []),
        ({"events": "only", "cameras": ["yard"]}, []),
    ],
)
def test_choice_of_events(settings: dict, kinds: list[str]):
    from pipeline.config.sinks.base import SinkSettings
    from pipeline.sink.choose import Choice

    choice = Choice(SinkSettings.model_validate(settings))
    assert [one.kind for message in (FRAME, EVENT, FLEET) if (one := choice.choose(message)) is not None] == kinds
