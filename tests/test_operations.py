"""Metrics and health by messages and a clock; no sockets but those of one server."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from pipeline.client.silence import HEARTBEAT_S
from pipeline.clock import VirtualClock
from pipeline.web.health import live, ready, status
from pipeline.web.known import GONE_S, KnownFleet
from pipeline.web.measured import Measures, Taken
from pipeline.web.metrics import collected, text_of
from pipeline.web.minute import LastMinute
from pipeline.web.totals import LONGEST_NAME, OTHER, Histogram, Names
from pipeline.wire import CameraState, Counts, FleetState, FrameResult, LookFigures, ProcessFigures, SinkState, State
from tests.operations_server import operations_of
from tests.publishing import Publisher
from tests.wire_messages import FLEET, FRAME, STATE

WORKER = ProcessFigures(name="worker", role="worker", condition="running", restarts=1)
SEEING = replace(FLEET.cameras["gate"], state="live")


def fleet_state(**cameras: State | None) -> FleetState:
    """The fleet's word; cameras in these states, with figures as they have then."""
    figures = {
        name: replace(
            SEEING, state=state, **({} if state in ("live", "degraded") else {"kept_percent": None, "frame_hz": 0.0})
        )
        for name, state in cameras.items()
    }
    return replace(FLEET, cameras=figures, kept=None, broken_by={}, processes=(WORKER,))


def counts(decoded: int, detected: int, filled: int = 0, lost: int = 0) -> Counts:
    return Counts(
        decoded=decoded,
        detected=detected,
        filled={"stride": filled} if filled else {},
        lost={"link": lost} if lost else {},
    )


def known_of(*messages: FrameResult | CameraState | FleetState, clock: VirtualClock | None = None) -> KnownFleet:
    known = KnownFleet("town", clock or VirtualClock())
    for message in messages:
        known.hear(message)
    return known


def samples(known: KnownFleet, taken: dict[str, Taken] | None = None) -> dict[str, float]:
    """Every sample as Prometheus reads it, by name and labels."""
    text = text_of(collected(known, taken or {})).decode()
    return {
        f"{one.name}{sorted(one.labels.items())}".replace("[]", ""): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def of(known: KnownFleet, name: str, **labels: str) -> float | None:
    key = f"camfleet_{name}{sorted(labels.items())}".replace("[]", "")
    return samples(known).get(key)


def test_metrics_of_a_fleet_that_said_nothing_say_that_nothing_is_known():
    assert samples(known_of()) == {"camfleet_fleet_info[('fleet', 'town')]": 1.0, "camfleet_up": 0.0}


def test_counters_survive_sessions_and_add_up():
    known = known_of(
        replace(FRAME, session_id="a", counts=counts(10, 6, 3, 1)),
        replace(FRAME, session_id="b", counts=counts(5, 5)),
        replace(FRAME, session_id="b", counts=counts(7, 5, 1, 1)),
    )
    assert of(known, "frames_decoded_total", camera="gate") == 17
    assert of(known, "frames_detected_total", camera="gate") == 11
    assert of(known, "frames_filled_total", camera="gate", reason="stride") == 4
    assert of(known, "frames_lost_total", camera="gate", cause="link") == 2


def test_reconnects_survive_the_camera_process():
    known = known_of(*(replace(STATE, reconnects=count) for count in (0, 3, 4, 1, 2)))
    assert of(known, "camera_reconnects_total", camera="gate") == 6


def test_ages_and_stages_are_in_buckets():
    known = known_of(
        replace(FRAME, age_ms=100.0), replace(FRAME, age_ms=9000.0, origin="predicted", filled_because="stale")
    )
    assert of(known, "frame_age_seconds_bucket", camera="gate", le="0.075") == 0
    assert of(known, "frame_age_seconds_bucket", camera="gate", le="0.1") == 1
    assert of(known, "frame_age_seconds_count", camera="gate") == 2
    assert of(known, "frame_age_seconds_sum", camera="gate") == pytest.approx(9.1)
    assert of(known, "stage_latency_seconds_sum", stage="detect") == pytest.approx(0.028), "of detected frames alone"


def test_sinks_are_told_by_their_names_and_have_no_value_while_nothing_is_known():
    archive = ProcessFigures(
        name="sink archive",
        role="sink",
        condition="running",
        restarts=0,
        sink=SinkState(waiting=12, waiting_bytes=3000, lag_s=1.5, written=70, lost=4, missed=2),
    )
    silent = replace(archive, name="sink bus", sink=None)
    known = known_of(replace(FLEET, processes=(WORKER, archive, silent)))
    assert {key: value for key, value in samples(known).items() if "_sink_" in key} == {
        "camfleet_sink_waiting[('sink', 'archive')]": 12,
        "camfleet_sink_lag_seconds[('sink', 'archive')]": 1.5,
        "camfleet_sink_written_total[('sink', 'archive')]": 70,
        "camfleet_sink_lost_total[('sink', 'archive')]": 4,
        "camfleet_sink_missed_total[('sink', 'archive')]": 2,
    }


def test_second_looks_are_told_by_worker_and_attribute():
    looks = {"colour": LookFigures(given=12, told=9, failed=1, took_s=0.25)}
    worker = ProcessFigures(name="worker", role="worker", condition="running", restarts=0, looks=looks)
    known = known_of(replace(fleet_state(), processes=(worker,)))
    values = [
        of(known, f"looks_{name}_total", process="worker", attribute="colour")
        for name in ("given", "told", "failed", "seconds")
    ]
    assert values == [12, 9, 1, 0.25]
    assert of(known_of(fleet_state()), "looks_given_total", process="worker", attribute="colour") is None


def test_histogram_value_at_a_bound_is_within_it():
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 3.0):
        histogram.add(value)
    assert histogram.buckets() == [("1.0", 2), ("2.0", 4), ("+Inf", 5)]


def test_frames_are_judged_by_the_promise_once_it_is_known():
    skipped = replace(FRAME, origin="skipped", filled_because="stale", tracks=())
    known = known_of(FRAME, FLEET, FRAME, replace(FRAME, age_ms=151.0), skipped)
    assert of(known, "frames_judged_total", camera="gate") == 3
    assert of(known, "frames_kept_total", camera="gate") == 1


def test_objects_are_counted_by_class_and_stay_with_zero():
    box = FRAME.tracks[0]
    known = known_of(replace(FRAME, tracks=(box, box, replace(box, class_name="car"))))
    assert of(known, "camera_objects", **{"camera": "gate", "class": "person"}) == 2
    known.hear(replace(FRAME, tracks=()))
    assert of(known, "camera_objects", **{"camera": "gate", "class": "car"}) == 0


@pytest.mark.parametrize("later", ["skipped", "old"])
def test_objects_that_nobody_knows_have_no_value(later: str):
    clock = VirtualClock()
    known = known_of(FRAME, clock=clock)
    assert of(known, "camera_objects", **{"camera": "gate", "class": "person"}) == 1
    if later == "skipped":
        known.hear(replace(FRAME, origin="skipped", filled_because="stale", tracks=()))
    else:
        clock.advance(6)
    assert of(known, "camera_objects", **{"camera": "gate", "class": "person"}) is None


def test_classes_beyond_the_bound_are_others():
    names = Names(most=2)
    assert [names.of(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]
    assert names.of("b" * 200) == OTHER
    assert len(Names().of("b" * 200)) == LONGEST_NAME


def test_label_of_a_hostile_class_is_read_back_as_it_was():
    box = replace(FRAME.tracks[0], class_name='car"} 1\n\\x')
    assert of(known_of(replace(FRAME, tracks=(box,))), "camera_objects", **{"camera": "gate", "class": box.class_name})


def test_state_of_a_camera_is_one_of_all():
    known = known_of(fleet_state(gate="degraded", yard=None))
    states = {key: value for key, value in samples(known).items() if "camera_state[" in key}
    assert len(states) == 9, "nothing is said of a camera of which nothing is known"
    assert [key for key, value in states.items() if value] == [
        "camfleet_camera_state[('camera', 'gate'), ('state', 'degraded')]"
    ]


def test_promise_of_cameras_is_kept_broken_or_not_known():
    told = replace(fleet_state(gate="live", yard="retrying", park="paused"), kept=False, broken_by={"yard": "retrying"})
    known = known_of(told)
    assert of(known, "slo_kept") == 0
    assert [of(known, "camera_slo_kept", camera=name) for name in ("gate", "yard", "park")] == [1, 0, None]
    assert of(known_of(replace(told, kept=None)), "slo_kept") is None


def test_gauges_go_and_counters_stay_when_the_fleet_falls_silent():
    clock = VirtualClock()
    known = known_of(FRAME, STATE, fleet_state(gate="live"), clock=clock)
    before = samples(known)
    clock.advance(HEARTBEAT_S + 0.1)
    after = samples(known)
    assert (before["camfleet_up"], after["camfleet_up"]) == (1, 0)
    gone = {key.partition("[")[0].removeprefix("camfleet_") for key in before.keys() - after.keys()}
    assert {"camera_state", "camera_slo_kept_ratio", "camera_stride_frames", "process_running", "slo_seconds"} <= gone
    assert not any(name.endswith(("_total", "_count", "_sum", "_bucket")) and "process" not in name for name in gone)
    assert after["camfleet_camera_last_frame_age_seconds[('camera', 'gate')]"] == pytest.approx(3.1)


def test_removed_camera_disappears():
    yard = replace(STATE, camera_id="yard")
    known = known_of(fleet_state(gate="live", yard="live"), FRAME, STATE, yard, replace(yard, state="removed"))
    known.hear(fleet_state(gate="live"))
    assert not [key for key in samples(known) if "yard" in key]
    assert [key for key in samples(known) if "gate" in key]


def test_camera_that_the_fleet_does_not_name_any_more_is_forgotten_after_a_while():
    clock = VirtualClock()
    known = known_of(FRAME, clock=clock)
    known.hear(fleet_state(yard="live"))
    assert "gate" in known.cameras, "a publisher that has just begun does not know it yet"
    clock.advance(GONE_S + 1)
    known.hear(fleet_state(yard="live"))
    assert "gate" not in known.cameras


def test_messages_of_another_fleet_are_passed_over():
    assert samples(known_of(replace(FRAME, fleet="village"), replace(FLEET, fleet="village"))) == samples(known_of())


def test_processes_are_measured_by_their_id():
    own = ProcessFigures(name="worker", role="worker", condition="running", restarts=2, pid=os.getpid())
    waiting = ProcessFigures(name="camera gate", role="camera", condition="waiting", restarts=0)
    gone = ProcessFigures(name="page", role="page", condition="running", restarts=0, pid=(1 << 22) + 1)
    taken = Measures().take([own, waiting, gone])
    assert taken.keys() == {"worker"}
    assert taken["worker"].cpu_s > 0
    assert taken["worker"].resident_bytes > (taken["worker"].proportional_bytes or 0) > 1_000_000
    assert (taken["worker"].descriptors or 0) > 3
    known = known_of(replace(fleet_state(gate="live"), processes=(own, waiting)))
    found = samples(known, taken)
    labels = "[('process', 'worker'), ('role', 'worker')]"
    assert found[f"camfleet_process_restarts_total{labels}"] == 2
    assert found[f"camfleet_process_cpu_seconds_total{labels}"] == taken["worker"].cpu_s
    assert found["camfleet_process_running[('process', 'camera gate'), ('role', 'camera')]"] == 0


def test_processor_time_of_a_process_that_is_started_again_goes_on():
    measures = Measures()
    one = ProcessFigures(name="worker", role="worker", condition="running", restarts=0, pid=os.getpid())
    first = measures.take([one])["worker"].cpu_s
    other = measures.take([replace(one, pid=os.getppid())])["worker"].cpu_s
    assert other >= first


@pytest.mark.parametrize(
    ("messages", "later_s", "why"),
    [
        pytest.param([], 0, "nothing was heard of the fleet yet", id="nothing"),
        pytest.param([FRAME, STATE], 0, "nothing was heard of the fleet yet", id="frames alone"),
        pytest.param([fleet_state(gate="live")], 4, "nothing was heard of the fleet for 4 s", id="silent"),
        pytest.param([fleet_state(gate="live")], 2.9, "", id="heard"),
    ],
)
def test_live_is_what_was_heard_within_three_seconds(messages: list, later_s: float, why: str):
    clock = VirtualClock()
    known = known_of(*messages, clock=clock)
    clock.advance(later_s)
    found = live(known)
    assert found.ok is not bool(why)
    assert " ".join(found.why).startswith(why)
    if why:
        assert not ready(known).ok
        assert (status(known, {}).live, status(known, {}).ready, status(known, {}).kept) == (False, False, None)


@pytest.mark.parametrize(
    ("told", "asked", "why"),
    [
        pytest.param(fleet_state(gate="live"), [], [], id="one camera, live"),
        pytest.param(fleet_state(gate="live", yard="paused"), ["*"], [], id="a paused one is not waited for"),
        pytest.param(fleet_state(), [], ["no camera delivers"], id="no camera"),
        pytest.param(
            fleet_state(gate="blind"), [], ["no camera delivers", "camera gate is blind: no frame of late"], id="blind"
        ),
        pytest.param(
            fleet_state(gate="paused", yard=None),
            [],
            ["no camera delivers", "camera gate is paused: no frame of late", "nothing was heard of camera yard yet"],
            id="paused, or not heard of",
        ),
        pytest.param(
            fleet_state(gate="live", yard="failed"), ["*"], ["camera yard is failed: no frame of late"], id="all asked"
        ),
        pytest.param(fleet_state(gate="live", yard="failed"), ["gate"], [], id="the one that is well asked"),
        pytest.param(fleet_state(gate="live"), ["attic"], ["there is no camera attic"], id="one that is not there"),
        pytest.param(
            fleet_state(gate="paused"), ["*"], ["no camera is expected to deliver"], id="all asked, none expected"
        ),
        pytest.param(
            replace(fleet_state(gate="live"), processes=(replace(WORKER, condition="given up"),)),
            [],
            ["no worker runs: worker is given up"],
            id="no worker",
        ),
        pytest.param(
            replace(fleet_state(gate="live"), processes=()), [], ["no worker is known"], id="nothing of processes"
        ),
        pytest.param(
            fleet_state(**{f"cam{number}": "failed" for number in range(6)}),
            ["*"],
            [*(f"camera cam{number} is failed: no frame of late" for number in range(4)), "and 2 more cameras"],
            id="many",
        ),
    ],
)
def test_ready_says_why_not(told: FleetState, asked: list[str], why: list[str]):
    found = ready(known_of(told), asked)
    assert found.ok is not bool(why)
    assert found.ok or list(found.why) == why


def test_ready_fleet_tells_of_cameras_that_are_down_with_their_reasons_masked():
    down = replace(STATE, camera_id="yard", state="retrying", detail="cannot open rtsp://bob:hunter2@cam/1")
    known = known_of(down, fleet_state(gate="live", yard="retrying"))
    found = ready(known)
    assert found.ok
    assert found.why == ("camera yard is retrying: cannot open rtsp://***@cam/1",)
    assert status(known, {}).cameras["yard"].detail == "cannot open rtsp://***@cam/1"


def test_latency_is_that_of_the_last_minute():
    clock = VirtualClock()
    known = known_of(clock=clock)
    for age_ms in (10.0, 500.0):
        for _ in range(100):
            known.hear(replace(FRAME, age_ms=age_ms))
        clock.advance(40)
    found = live(known).latency
    assert (found.frames, found.window_s) == (100, 60)
    assert found.p50_ms == pytest.approx(500, rel=0.02)
    assert LastMinute().latency(0.0).p95_ms is None


def test_status_says_everything_of_a_camera():
    known = known_of(FRAME, STATE, replace(FLEET, processes=(WORKER,)))
    told = status(known, {"worker": Taken(cpu_s=1.5, resident_bytes=10)})
    gate = told.cameras["gate"]
    assert (gate.state, gate.detail, gate.since_ns) == ("degraded", "decoding falls behind", STATE.since_ns)
    assert (gate.keeps_promise, gate.why_not) == (False, "degraded: decoding falls behind")
    assert (gate.counts, gate.reconnects, gate.latency.frames) == (FRAME.counts, 1, 1)
    assert told.processes[0].takes == Taken(cpu_s=1.5, resident_bytes=10)
    assert (told.p95_ms, told.kept) == (150.0, False)


def answer(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=60) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_operations_answer_over_http(within: Callable):
    publisher, stop = Publisher("tcp://127.0.0.1:0", queue=100), threading.Event()

    def publish() -> None:
        while not stop.wait(0.02):
            publisher.look()
            publisher.publish(replace(FRAME, fleet="town"))
            publisher.publish(fleet_state(gate="live"))

    with operations_of(publisher.endpoint, "town") as url:
        assert answer(f"{url}/livez")[0] == answer(f"{url}/readyz")[0] == 503
        thread = threading.Thread(target=publish)
        thread.start()
        try:
            for _ in within(30):
                if answer(f"{url}/readyz?camera=gate")[0] == 200:
                    break
            assert answer(f"{url}/livez")[0] == 200
            code, body = answer(f"{url}/readyz?camera=attic")
            assert (code, json.loads(body)["why"]) == (503, ["there is no camera attic"])
            assert json.loads(answer(f"{url}/status")[1])["cameras"]["gate"]["state"] == "live"
            assert b'camfleet_frames_decoded_total{camera="gate"} 8.0' in answer(f"{url}/metrics")[1]
            with pytest.raises(urllib.error.HTTPError, match="405"):
                urllib.request.urlopen(f"{url}/status", data=b"x", timeout=10)
        finally:
            stop.set()
            thread.join(10)
            publisher.close()
