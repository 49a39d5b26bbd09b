from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from pipeline.config.sinks.mqtt import MqttSettings
from pipeline.errors import SinkError
from pipeline.sink.mqtt import MqttSink, board_of, open_sink
from pipeline.sink.protocol import Place
from pipeline.wire import FrameResult
from tests.mqtt_listener import MqttListener, kept_by
from tests.servers import PASSWORD, USER, Server, certificate, free_port, mosquitto
from tests.waiting import wait_until
from tests.wire_messages import ALL, FLEET, FRAME, STATE

PREFIX = "camfleet/town"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with mosquitto(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def _another_process() -> None:
    """Each test stands for a process of its own."""
    board_of.cache_clear()


@contextmanager
def sink_to(port: int, folder: Path = Path(), **fields: object) -> Iterator[MqttSink]:
    settings = MqttSettings.model_validate({"url": f"mqtt://127.0.0.1:{port}", **fields})
    sink = open_sink(settings, Place("home", "town", folder))
    try:
        yield sink
    finally:
        sink.close()


def seeing(*classes: str) -> FrameResult:
    tracks = tuple(msgspec.structs.replace(FRAME.tracks[0], class_name=name) for name in classes)
    return msgspec.structs.replace(FRAME, tracks=tracks)


def test_mqtt_batch_is_kept_by_the_broker_for_whoever_comes(broker: Server):
    with sink_to(broker.port) as sink:
        sink.write(ALL)
        kept = kept_by(broker.port)
    assert json.loads(kept.pop(f"{PREFIX}/gate/state"))["state"] == "degraded"
    assert json.loads(kept.pop(f"{PREFIX}/gate/objects"))["tracks"][0]["class_name"] == "person"
    assert kept == {f"{PREFIX}/status": b"online", f"{PREFIX}/gate/count/person": b"1"}


def test_mqtt_closed_sink_says_offline(broker: Server):
    with sink_to(broker.port) as sink:
        sink.tick()
        assert kept_by(broker.port) == {f"{PREFIX}/status": b"online"}
    assert kept_by(broker.port) == {f"{PREFIX}/status": b"offline"}


def test_mqtt_killed_sink_is_said_to_be_offline_by_the_broker(broker: Server, within: Callable):
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.config.sinks.mqtt import MqttSettings\n"
        "from pipeline.sink.mqtt import open_sink\nfrom pipeline.sink.protocol import Place\n"
        "sink = open_sink(MqttSettings.model_validate({'url': sys.argv[1]}), Place('home', 'town', Path()))\n"
        "sink.tick()\nprint('here', flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", code, f"mqtt://127.0.0.1:{broker.port}"]
    with (
        MqttListener(broker.port) as listener,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        wait_until(within, lambda: listener.kept.get(f"{PREFIX}/status") == b"online")
        child.kill()
        wait_until(within, lambda: listener.kept.get(f"{PREFIX}/status") == b"offline")


def test_mqtt_broker_away_is_a_sink_error_until_it_is_there(tmp_path: Path):
    with sink_to(free_port()) as nobody, pytest.raises(SinkError, match=r"mqtt://127\.0\.0\.1:\d+ .* refused"):
        nobody.write(ALL)
    with mosquitto(tmp_path) as broker, sink_to(broker.port) as sink:
        broker.kill()
        for _ in range(3):
            with pytest.raises(SinkError, match="is it running"):
                sink.write(ALL)
        broker.start()
        sink.write(ALL)
        assert kept_by(broker.port)[f"{PREFIX}/gate/count/person"] == b"1"


def test_mqtt_broker_restarted_between_batches_is_told_everything_anew(broker: Server, within: Callable):
    with sink_to(broker.port) as sink:
        sink.write([STATE, seeing("person", "car")])
        before = kept_by(broker.port)
        broker.kill()
        broker.start()
        assert kept_by(broker.port) == {}

        def said_anew() -> bool:
            # What broke is known by the next turn of the loop, or by the first try.
            try:
                sink.tick()
            except SinkError:
                return False
            return kept_by(broker.port) == before

        wait_until(within, said_anew)


def test_mqtt_broker_killed_in_midst_of_writing_ends_in_an_error_and_then_in_the_truth(broker: Server):
    """Whatever happens in between, what the broker has in the end is what the last batch says."""
    with sink_to(broker.port, objects_hz=0) as sink:
        for number in range(30):
            batch = [seeing(*["person"] * (number % 7), *["car"] * (number % 5))]
            if number % 10 == 5:
                broker.kill()
                with pytest.raises(SinkError, match="broker"):
                    sink.write(batch)
                broker.start()
            sink.write(batch)
        assert kept_by(broker.port) == {
            f"{PREFIX}/status": b"online",
            f"{PREFIX}/gate/count/person": b"1",
            f"{PREFIX}/gate/count/car": b"4",
        }


def test_mqtt_broker_that_stops_answering_ends_in_an_error(broker: Server, monkeypatch: pytest.MonkeyPatch):
    with sink_to(broker.port) as sink:
        sink.tick()
        with broker.stopped(), monkeypatch.context() as patch:
            patch.setattr("pipeline.sink.mqtt.ANSWER_S", 0.5)
            with pytest.raises(SinkError, match=r"does not answer within 0\.5 s"):
                sink.write([STATE])
        sink.write([STATE])


def test_mqtt_sink_opened_anew_tells_a_broker_that_forgot_all_that_was_known(broker: Server):
    with sink_to(broker.port, objects_hz=0) as sink:
        sink.write([STATE, seeing("person", "car")])
        sink.write([seeing("person")])
        before = kept_by(broker.port)
    broker.kill()
    broker.start()
    with sink_to(broker.port, objects_hz=0) as sink:
        sink.tick()
        assert kept_by(broker.port) == before


def test_mqtt_sink_in_another_process_leaves_no_number_of_the_one_before(broker: Server):
    with sink_to(broker.port, objects_hz=0) as sink:
        sink.write([STATE, seeing("person", "traffic light")])
    board_of.cache_clear()
    with sink_to(broker.port, objects_hz=0) as sink:
        sink.write([seeing("person")])
        assert kept_by(broker.port)[f"{PREFIX}/gate/count/traffic%20light"] == b"0"
        sink.write([msgspec.structs.replace(STATE, state="removed")])
        assert kept_by(broker.port) == {f"{PREFIX}/status": b"online"}


def test_mqtt_user_that_may_only_write_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.sink.mqtt.ECHO_S", 0.2)
    rules = tmp_path / "rules"
    rules.write_text(f"user {USER}\ntopic write {PREFIX}/#\n")
    with (
        mosquitto(tmp_path, login=True, lines=[f"acl_file {rules}"]) as broker,
        sink_to(broker.port, url=f"mqtt://{USER}@127.0.0.1:{broker.port}", password=PASSWORD) as sink,
    ):
        sink.write(ALL)
        broker.kill()
    assert "/gate/count/person'" in broker.said()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"url": "mqtt://bob:no{0}@127.0.0.1:{1}"}, id="in the address"),
        pytest.param({"url": "mqtt://bob@127.0.0.1:{1}", "password": "no{0}"}, id="by itself"),
        pytest.param({"url": "mqtt://127.0.0.1:{1}", "password": "no{0}"}, id="without a user"),
    ],
)
def test_mqtt_wrong_password_is_refused_and_told_nowhere(
    tmp_path: Path, fields: dict, capfd: pytest.CaptureFixture[str]
):
    with mosquitto(tmp_path, login=True) as broker:
        given = {key: value.format(PASSWORD, broker.port) for key, value in fields.items()}
        with sink_to(broker.port, **given) as sink, pytest.raises(SinkError, match="refuses the user") as caught:
            sink.write(ALL)
    assert caught.value.__cause__ is None
    for shown in (*capfd.readouterr(), str(caught.value), repr(caught.value.__context__)):
        assert PASSWORD not in shown


def test_mqtt_right_password_opens_and_is_in_no_topic(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    with mosquitto(tmp_path, login=True) as broker, MqttListener(broker.port, login=True) as listener:
        with sink_to(broker.port, url=f"mqtt://{USER}:{PASSWORD}@127.0.0.1:{broker.port}", discovery=True) as sink:
            sink.write([*ALL, FLEET])
        assert listener.kept
    for shown in (*capfd.readouterr(), repr(listener.heard), broker.said()):
        assert PASSWORD not in shown


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_mqtt_certificate_is_checked_by_the_authority_that_is_named(tmp_path: Path):
    made, key = certificate(tmp_path)
    with mosquitto(tmp_path, lines=[f"certfile {made}", f"keyfile {key}"]) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}"
        with sink_to(broker.port, tmp_path, url=url, ca_file=made.name) as sink:
            sink.write(ALL)
        with sink_to(broker.port, url=url) as sink, pytest.raises(SinkError, match="certificate verify failed"):
            sink.write(ALL)
    # paho-mqtt leaves a socket to the collector where the handshake fails.
    gc.collect()


@pytest.mark.parametrize("made", [pytest.param("no certificate", id="foreign"), pytest.param(None, id="missing")])
def test_mqtt_authority_that_cannot_be_read_says_which(tmp_path: Path, made: str | None):
    if made:
        (tmp_path / "ca.pem").write_text(made)
    with (
        sink_to(1, tmp_path, url="mqtts://127.0.0.1:1", ca_file="ca.pem") as sink,
        pytest.raises(SinkError, match=r"ca_file: .*ca\.pem"),
    ):
        sink.write(ALL)


def test_mqtt_sink_that_has_nothing_to_say_keeps_its_connection_alive(
    broker: Server, within: Callable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.sink.mqtt.KEEPALIVE_S", 1)

    def said() -> tuple[int, int]:
        words = broker.said()
        return words.count("Received PINGREQ from camfleet-town-home"), words.count("has exceeded timeout")

    def is_kept() -> bool:
        with sink_to(broker.port) as sink:
            pings, ends = said()
            sink.tick()
            wait_until(within, lambda: said()[0] > pings + 1 or said()[1] > ends)
            return kept_by(broker.port)[f"{PREFIX}/status"] == b"online"

    # The broker hangs up after a second and a half; a machine may pause for longer.
    assert any(is_kept() for _ in range(5))


def test_mqtt_sink_closed_while_the_broker_is_silent_ends(broker: Server, monkeypatch: pytest.MonkeyPatch):
    with sink_to(broker.port) as sink:
        sink.tick()
        monkeypatch.setattr("pipeline.sink.mqtt.ANSWER_S", 0.5)
        with broker.stopped():
            sink.close()
    sink.close()
